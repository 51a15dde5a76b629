/* Which partition a record goes to, given partitions as they are now. */
#include <assert.h>

#include "client/producer_int.h"

/* Whether its leader has not taken what is ready for it for too long (KIP-794). */
static bool is_slow(const struct producer_partition *partition, int64_t now_ms) {
    struct ottla_producer *producer = partition->topic->producer;
    int64_t timeout_ms = producer->settings.partitioner_availability_timeout_ms;
    if (timeout_ms == 0 || !producer->settings.partitioner_adaptive_partitioning_enable) {
        return false;
    }
    const struct producer_broker *broker = producer_broker_get(producer, partition->leader);
    return broker->ready_since_ms >= 0 && now_ms - broker->ready_since_ms > timeout_ms;
}

/* Those with a leader, without the slow ones; all when there are none. */
static size_t find_candidates(struct producer_topic *topic) {
    int64_t now_ms = sys_mono_ms(topic->producer->sys);
    for (int strictness = 2; strictness >= 0; strictness--) {
        size_t count = 0;
        for (int32_t i = 0; i < topic->partition_count; i++) {
            const struct producer_partition *partition = topic->partitions[i];
            if ((strictness >= 1 && partition->leader < 0) ||
                (strictness >= 2 && is_slow(partition, now_ms))) {
                continue;
            }
            topic->candidates[count++] = (struct partitioner_candidate){
                .index = i, .queued = partition->batch_count - partition->in_flight};
        }
        if (count > 0) {
            return count;
        }
    }
    assert(false);
    return 0;
}

static void draw_sticky(struct producer_topic *topic) {
    struct ottla_producer *producer = topic->producer;
    topic->sticky = partitioner_draw(topic->candidates, find_candidates(topic),
                                     producer->settings.partitioner_adaptive_partitioning_enable,
                                     &producer->rng);
    topic->sticky_bytes = 0;
}

static bool takes_no_more(const struct producer_partition *partition) {
    return list_empty(&partition->batches) ||
           !container_of(partition->batches.prev, struct batch, link)->open;
}

/* A new one after a batch's worth of bytes, but not while a batch could still be filled; unless it
 * were two of them. */
static int32_t choose_sticky(struct producer_topic *topic, size_t size) {
    size_t batch_size = (size_t)topic->producer->settings.batch_size;
    batch_size = batch_size > 0 ? batch_size : 1;
    if (topic->sticky < 0 || topic->sticky >= topic->partition_count ||
        topic->sticky_bytes >= 2 * batch_size ||
        (topic->sticky_bytes >= batch_size && takes_no_more(topic->partitions[topic->sticky]))) {
        draw_sticky(topic);
    }
    topic->sticky_bytes += size;
    return topic->sticky;
}

static int32_t choose_in_turn(struct producer_topic *topic) {
    size_t count = 0;
    for (int32_t i = 0; i < topic->partition_count; i++) {
        if (topic->partitions[i]->leader >= 0) {
            topic->candidates[count++].index = i;
        }
    }
    uint32_t turn = topic->round_robin++ & INT32_MAX;
    return count > 0 ? topic->candidates[turn % count].index
                     : (int32_t)(turn % (uint32_t)topic->partition_count);
}

static int32_t choose_at_random(struct producer_topic *topic) {
    struct ottla_producer *producer = topic->producer;
    uint64_t count = (uint64_t)topic->partition_count;
    int32_t index = (int32_t)rng_below(&producer->rng, count);
    return topic->partitions[index]->leader >= 0 ? index
                                                 : (int32_t)rng_below(&producer->rng, count);
}

struct producer_partition *producer_choose(struct producer_topic *topic,
                                           const struct ottla_record *record) {
    const struct ottla_producer *producer = topic->producer;
    int32_t index = record->partition;
    if (topic->partition_count == 0 || index >= topic->partition_count) {
        return NULL;
    }
    if (index >= 0) {
        return topic->partitions[index];
    }
    if (producer->partitioner == PARTITIONER_ROUND_ROBIN) {
        return topic->partitions[choose_in_turn(topic)];
    }
    if (producer->partitioner == PARTITIONER_RANDOM) {
        return topic->partitions[choose_at_random(topic)];
    }
    struct bytes key = {.data = record->key.data, .size = record->key.size};
    index = partitioner_by_key(producer->partitioner, producer->settings.partitioner_ignore_keys,
                               key, topic->partition_count);
    if (index < 0) {
        index = choose_sticky(topic, batch_record_bound(record));
    }
    return topic->partitions[index];
}
