/*
 * kafka.server:type=BrokerTopicMetrics, of the broker and of each topic. A topic's set is made when
 * it is first used and given back when the topic is deleted.
 */
#include <stdlib.h>

#include "base/map.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"
#include "server/node_metrics.h"
#include "server/topic_metrics.h"

enum topic_metric {
    MESSAGES_IN,
    BYTES_IN,
    BYTES_OUT,
    BYTES_REJECTED,
    PRODUCE_REQUESTS,
    FETCH_REQUESTS,
    FAILED_PRODUCE,
    FAILED_FETCH,
    TOPIC_METRICS,
};

static const char *const names[TOPIC_METRICS] = {
    [MESSAGES_IN] = "MessagesInPerSec",
    [BYTES_IN] = "BytesInPerSec",
    [BYTES_OUT] = "BytesOutPerSec",
    [BYTES_REJECTED] = "BytesRejectedPerSec",
    [PRODUCE_REQUESTS] = "TotalProduceRequestsPerSec",
    [FETCH_REQUESTS] = "TotalFetchRequestsPerSec",
    [FAILED_PRODUCE] = "FailedProduceRequestsPerSec",
    [FAILED_FETCH] = "FailedFetchRequestsPerSec",
};

/* Of the broker only. */
enum fault_metric { NO_KEY, CHECKSUM, NUMBERS, MAGIC, FAULT_METRICS };

static const char *const fault_names[FAULT_METRICS] = {
    [NO_KEY] = "NoKeyCompactedTopicRecordsPerSec",
    [CHECKSUM] = "InvalidMessageCrcRecordsPerSec",
    [NUMBERS] = "InvalidOffsetOrSequenceRecordsPerSec",
    [MAGIC] = "InvalidMagicNumberRecordsPerSec", /* of formats that nobody may send any more */
};

struct topic_set {
    struct metrics_counter *counters[TOPIC_METRICS];
    char name[LOG_TOPIC_NAME_MAX + 1];
};

struct topic_metrics {
    struct metrics *metrics;
    struct topic_set all;
    struct metrics_counter *faults[FAULT_METRICS];
    struct sys_lock lock; /* guards topics */
    struct map topics;    /* struct topic_set by name */
};

static void open_set(struct topic_metrics *metrics, struct topic_set *set) {
    for (int i = 0; i < TOPIC_METRICS; i++) {
        struct metrics_id id = {
            .group = "kafka.server", .type = "BrokerTopicMetrics", .name = names[i]};
        if (set->name[0] != '\0') {
            id.labels[0] = (struct metrics_label){"topic", set->name};
        }
        set->counters[i] = metrics_counter_get(metrics->metrics, &id, METRICS_SHARDED);
    }
}

static void close_set(struct topic_metrics *metrics, struct topic_set *set) {
    for (int i = 0; i < TOPIC_METRICS; i++) {
        metrics_counter_put(metrics->metrics, set->counters[i]);
    }
}

struct topic_metrics *topic_metrics_new(struct metrics *metrics) {
    struct topic_metrics *all = calloc(1, sizeof *all);
    all->metrics = metrics;
    sys_lock_init(&all->lock, SYS_RANK_CACHE);
    map_init(&all->topics);
    open_set(all, &all->all);
    for (int i = 0; i < FAULT_METRICS; i++) {
        struct metrics_id id = {
            .group = "kafka.server", .type = "BrokerTopicMetrics", .name = fault_names[i]};
        all->faults[i] = metrics_counter_get(metrics, &id, METRICS_SHARDED);
    }
    return all;
}

void topic_metrics_free(struct topic_metrics *metrics) {
    if (metrics == NULL) {
        return;
    }
    size_t cursor;
    struct topic_set *set;
    map_for_each (&metrics->topics, cursor, set) {
        close_set(metrics, set);
        free(set);
    }
    close_set(metrics, &metrics->all);
    for (int i = 0; i < FAULT_METRICS; i++) {
        metrics_counter_put(metrics->metrics, metrics->faults[i]);
    }
    map_done(&metrics->topics);
    free(metrics);
}

/* Counts in the set of a topic, and of the broker. The lock keeps the set while it is used. */
struct tally {
    uint64_t values[TOPIC_METRICS];
};

static void count(struct request *request, struct str topic, const struct tally *tally) {
    struct topic_metrics *metrics = request->node->topic_metrics;
    int shard = request->reactor->index;
    struct topic_set *set = NULL;
    bool named = topic.data != NULL && topic.size <= LOG_TOPIC_NAME_MAX;
    if (named) {
        sys_lock_take(&metrics->lock);
        set = map_get(&metrics->topics, str_bytes(topic));
        /* An answer may be late: the topic is gone, and its series with it. */
        if (set == NULL && meta_image_topic(request_image(request), topic) != NULL) {
            set = calloc(1, sizeof *set);
            memcpy(set->name, topic.data, topic.size);
            open_set(metrics, set);
            (void)map_put(&metrics->topics, str_bytes(str_from_c(set->name)), set);
        }
    }
    for (int i = 0; i < TOPIC_METRICS; i++) {
        if (tally->values[i] > 0) {
            metrics_count_at(metrics->all.counters[i], shard, tally->values[i]);
            if (set != NULL) {
                metrics_count_at(set->counters[i], shard, tally->values[i]);
            }
        }
    }
    if (named) {
        sys_lock_give(&metrics->lock);
    }
}

void topic_metrics_produced(struct request *request, struct str topic, err_t err,
                            int32_t record_count, size_t appended_size, size_t offered_size) {
    struct tally tally = {.values = {[PRODUCE_REQUESTS] = 1}};
    if (err == ERR_OK && appended_size > 0) {
        tally.values[MESSAGES_IN] = (uint64_t)record_count;
        tally.values[BYTES_IN] = appended_size;
    } else if (err != ERR_OK) {
        tally.values[FAILED_PRODUCE] = 1;
        tally.values[BYTES_REJECTED] =
            err == ERR_MESSAGE_TOO_LARGE || err == ERR_RECORD_LIST_TOO_LARGE ? offered_size : 0;
    }
    count(request, topic, &tally);
}

void topic_metrics_refused(struct request *request, const struct record_set_refusal *refusal) {
    static const enum fault_metric metric_of[] = {
        [RECORD_SET_FAULT_CHECKSUM] = CHECKSUM,
        [RECORD_SET_FAULT_NUMBERS] = NUMBERS,
        [RECORD_SET_FAULT_NO_KEY] = NO_KEY,
    };
    if (refusal->fault != RECORD_SET_FAULT_NONE) {
        metrics_count_at(request->node->topic_metrics->faults[metric_of[refusal->fault]],
                         request->reactor->index, (uint64_t)refusal->fault_count);
    }
}

void topic_metrics_fetched(struct request *request, struct str topic, err_t err, size_t size) {
    struct tally tally = {.values = {[FETCH_REQUESTS] = 1}};
    tally.values[BYTES_OUT] = err == ERR_OK ? size : 0;
    tally.values[FAILED_FETCH] = err != ERR_OK;
    count(request, topic, &tally);
}

void topic_metrics_forget(struct node *node, const struct meta_changes *changes) {
    struct topic_metrics *metrics = node->topic_metrics;
    for (int32_t i = 0; i < changes->topic_count; i++) {
        if (changes->topics[i].change == META_DELETED) {
            sys_lock_take(&metrics->lock);
            struct topic_set *set =
                map_remove(&metrics->topics, str_bytes(changes->topics[i].name));
            sys_lock_give(&metrics->lock);
            if (set != NULL) {
                close_set(metrics, set);
                free(set);
            }
        }
    }
}
