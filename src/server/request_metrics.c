/*
 * One set of series per API, made at its first request: most nodes never see most APIs. Times are
 * taken in microseconds and shown in milliseconds. Sets are made under a lock and read without one.
 */
#include "server/request_metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/node_int.h"

enum { VERSIONS_MAX = 32, SETS_MAX = API_KEYS_MAX + 3 };

/* Kafka shows Fetch as FetchConsumer, too. */
enum { SET_FETCH_CONSUMER = API_KEYS_MAX + 1 };

struct api_set {
    struct metrics_counter *requests[VERSIONS_MAX];
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

static struct metrics_counter *counter(struct request_metrics *all, const char *api, int version) {
    char text[8];
    (void)snprintf(text, sizeof text, "%d", version);
    struct metrics_id id = {.group = "kafka.network",
                            .type = "RequestMetrics",
                            .name = "RequestsPerSec",
                            .labels = {{"request", api}, {"version", text}}};
    return metrics_counter_get(all->metrics, &id, METRICS_SHARDED);
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
        int last = wire_version_max(
            wire_api((int16_t)(index < API_KEYS_MAX ? index : API_FETCH))->request);
        for (int version = 0; version <= last && version < VERSIONS_MAX; version++) {
            set->requests[version] = counter(all, api, version);
        }
        atomic_store(&all->sets[index], set);
    }
    sys_lock_give(&all->lock);
    return set;
}

static void observe(struct request_metrics *all, int index, const char *api,
                    const struct request *request, const struct net_spans *spans, size_t size) {
    struct api_set *set = atomic_load_explicit(&all->sets[index], memory_order_acquire);
    if (set == NULL) {
        set = make_set(all, index, api);
    }
    int shard = request->reactor->index;
    if (request->version >= 0 && request->version < VERSIONS_MAX &&
        set->requests[request->version] != NULL) {
        metrics_count_at(set->requests[request->version], shard, 1);
    }
    metrics_observe_at(set->request_queue, shard, spans->request_queue_ns / 1000);
    metrics_observe_at(set->local, shard, spans->local_ns / 1000);
    metrics_observe_at(set->remote, shard, spans->remote_ns / 1000);
    metrics_observe_at(set->response_queue, shard, spans->response_queue_ns / 1000);
    metrics_observe_at(set->response_send, shard, spans->response_send_ns / 1000);
    metrics_observe_at(set->total, shard, spans->total_ns / 1000);
    metrics_observe_at(set->request_bytes, shard, (int64_t)size);
}

void request_metrics_done(struct request_metrics *metrics, struct request *request,
                          struct net_request *net) {
    if (request->api == NULL || request->row == NULL) {
        return;
    }
    struct net_spans spans;
    net_request_spans(net, &spans);
    size_t size = net_request_size(net);
    observe(metrics, request->api->key, request->api->name, request, &spans, size);
    if (request->api->key == API_FETCH) {
        observe(metrics, SET_FETCH_CONSUMER, "FetchConsumer", request, &spans, size);
    }
}
