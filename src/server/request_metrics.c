/*
 * One set of series per API, made at its first request, in it a counter for each version and each
 * error at their first: most nodes never see most of them. Times are taken in microseconds and
 * shown in milliseconds. Series are made under a lock and read without one.
 */
#include "server/request_metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/node_int.h"
#include "wire/schema.h"

enum { VERSIONS_MAX = 32, SETS_MAX = API_KEYS_MAX + 3 };

/* Kafka's codes begin at -1. */
enum { ERRORS_MAX = 160 };

/* Kafka shows Fetch as one of these, too. */
enum { SET_FETCH_CONSUMER = API_KEYS_MAX + 1, SET_FETCH_FOLLOWER };

typedef _Atomic(struct metrics_counter *) lazy_counter;

struct api_set {
    const char *api;
    lazy_counter requests[VERSIONS_MAX];
    lazy_counter errors[ERRORS_MAX]; /* by code + 1 */
    struct metrics_histogram *request_queue;
    struct metrics_histogram *local;
    struct metrics_histogram *remote;
    struct metrics_histogram *response_queue;
    struct metrics_histogram *response_send;
    struct metrics_histogram *total;
    struct metrics_histogram *request_bytes;
};

struct request_metrics {
    struct metrics *metrics;
    struct sys_lock lock;
    _Atomic(struct api_set *) sets[SETS_MAX];
};

struct request_metrics *request_metrics_new(struct metrics *metrics) {
    struct request_metrics *all = calloc(1, sizeof *all);
    all->metrics = metrics;
    sys_lock_init(&all->lock, SYS_RANK_CACHE);
    return all;
}

void request_metrics_free(struct request_metrics *metrics) {
    if (metrics != NULL) {
        for (int i = 0; i < SETS_MAX; i++) {
            free(atomic_load(&metrics->sets[i]));
        }
        free(metrics);
    }
}

static struct metrics_histogram *histogram(struct request_metrics *all, const char *api,
                                           const char *name, double unit) {
    struct metrics_id id = {.group = "kafka.network",
                            .type = "RequestMetrics",
                            .name = name,
                            .labels = {{"request", api}}};
    return metrics_histogram_get(all->metrics, &id, unit, METRICS_SHARDED);
}

/* Counts in a counter of the set that may not be there yet. */
static void count(struct request_metrics *all, struct api_set *set, lazy_counter *place,
                  const struct metrics_label *label, const char *name, int shard, uint64_t n) {
    struct metrics_counter *counter = atomic_load_explicit(place, memory_order_acquire);
    if (counter == NULL) {
        struct metrics_id id = {.group = "kafka.network",
                                .type = "RequestMetrics",
                                .name = name,
                                .labels = {{"request", set->api}, *label}};
        /* Asked for twice at the same time it is the same one. */
        counter = metrics_counter_get(all->metrics, &id, METRICS_SHARDED);
        atomic_store_explicit(place, counter, memory_order_release);
    }
    metrics_count_at(counter, shard, n);
}

static struct api_set *make_set(struct request_metrics *all, int index, const char *api) {
    sys_lock_take(&all->lock);
    struct api_set *set = atomic_load(&all->sets[index]);
    if (set == NULL) {
        set = calloc(1, sizeof *set);
        double ms = 0.001;
        set->request_queue = histogram(all, api, "RequestQueueTimeMs", ms);
        set->local = histogram(all, api, "LocalTimeMs", ms);
        set->remote = histogram(all, api, "RemoteTimeMs", ms);
        set->response_queue = histogram(all, api, "ResponseQueueTimeMs", ms);
        set->response_send = histogram(all, api, "ResponseSendTimeMs", ms);
        set->total = histogram(all, api, "TotalTimeMs", ms);
        set->request_bytes = histogram(all, api, "RequestBytes", 1);
        set->api = api;
        atomic_store(&all->sets[index], set);
    }
    sys_lock_give(&all->lock);
    return set;
}

static struct api_set *find_set(struct request_metrics *all, int index, const char *api) {
    struct api_set *set = atomic_load_explicit(&all->sets[index], memory_order_acquire);
    return set != NULL ? set : make_set(all, index, api);
}

static void observe(struct request_metrics *all, struct api_set *set, const struct request *request,
                    const struct net_spans *spans, size_t size) {
    int shard = request->reactor->index;
    if (request->version >= 0 && request->version < VERSIONS_MAX) {
        char version[8];
        (void)snprintf(version, sizeof version, "%d", request->version);
        count(all, set, &set->requests[request->version],
              &(struct metrics_label){"version", version}, "RequestsPerSec", shard, 1);
    }
    metrics_observe_at(set->request_queue, shard, spans->request_queue_ns / 1000);
    metrics_observe_at(set->local, shard, spans->local_ns / 1000);
    metrics_observe_at(set->remote, shard, spans->remote_ns / 1000);
    metrics_observe_at(set->response_queue, shard, spans->response_queue_ns / 1000);
    metrics_observe_at(set->response_send, shard, spans->response_send_ns / 1000);
    metrics_observe_at(set->total, shard, spans->total_ns / 1000);
    metrics_observe_at(set->request_bytes, shard, (int64_t)size);
}

/* --- errors --- */

/* Adds up the error codes of a message, wherever they are in it. */
static void add_errors(const struct wire_struct *shape, const uint8_t *message,
                       uint32_t counts[ERRORS_MAX]) {
    for (int i = 0; i < shape->field_count; i++) {
        const struct wire_field *field = &shape->fields[i];
        const uint8_t *at = message + field->offset;
        if (field->kind == WIRE_INT16 && !field->array && strcmp(field->name, "errorCode") == 0) {
            int code = *(const int16_t *)at;
            counts[code >= -1 && code + 1 < ERRORS_MAX ? code + 1 : 0]++;
        } else if (field->kind == WIRE_STRUCT && field->array) {
            const uint8_t *elements = *(const uint8_t *const *)at;
            int32_t count = wire_count_at(message, field->count_offset);
            for (int32_t e = 0; e < count; e++) {
                add_errors(field->shape, elements + (size_t)e * field->shape->size, counts);
            }
        } else if (field->kind == WIRE_STRUCT) {
            add_errors(field->shape, at, counts);
        }
    }
}

void request_metrics_answered(struct request_metrics *metrics, const struct request *request,
                              const void *response) {
    uint32_t counts[ERRORS_MAX] = {0};
    struct api_set *set = find_set(metrics, request->api->key, request->api->name);
    add_errors(request->api->response->shape, response, counts);
    for (int i = 0; i < ERRORS_MAX; i++) {
        if (counts[i] > 0) {
            const char *name = err_name(err_from_kafka_code((int16_t)(i - 1)));
            count(metrics, set, &set->errors[i], &(struct metrics_label){"error", name},
                  "ErrorsPerSec", request->reactor->index, counts[i]);
        }
    }
}

void request_metrics_done(struct request_metrics *metrics, struct request *request,
                          struct net_request *net) {
    if (request->api == NULL || request->row == NULL) {
        return;
    }
    struct net_spans spans;
    net_request_spans(net, &spans);
    size_t size = net_request_size(net);
    observe(metrics, find_set(metrics, request->api->key, request->api->name), request, &spans,
            size);
    if (request->api->key == API_FETCH) {
        struct api_set *set = request->follower_fetch
                                  ? find_set(metrics, SET_FETCH_FOLLOWER, "FetchFollower")
                                  : find_set(metrics, SET_FETCH_CONSUMER, "FetchConsumer");
        observe(metrics, set, request, &spans, size);
    }
}
