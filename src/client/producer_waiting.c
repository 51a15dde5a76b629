/*
 * Records whose partition is not known yet: of a topic of which nothing has been heard, or with the
 * number of a partition that the topic does not have so far. They wait in copies, at most
 * max.block.ms, as long as Java's producer blocks.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/producer_int.h"

enum { ASK_AGAIN_MS = 1000 };

static int64_t wait_ms_max(const struct ottla_producer *producer) {
    const struct client_settings *settings = &producer->settings;
    return settings->max_block_ms < settings->delivery_timeout_ms ? settings->max_block_ms
                                                                  : settings->delivery_timeout_ms;
}

/* Until the first one's time is over; meanwhile the cluster is asked again and again. */
static void wait_on(struct producer_topic *topic) {
    struct ottla_producer *producer = topic->producer;
    struct list *link = list_first(&topic->waiting);
    if (link == NULL) {
        sys_timer_clear(producer->loop, &topic->timer);
        return;
    }
    int64_t end_ms =
        container_of(link, struct producer_waiting, link)->produced_ms + wait_ms_max(producer);
    int64_t again_ms = sys_mono_ms(producer->sys) + ASK_AGAIN_MS;
    sys_timer_set(producer->loop, &topic->timer, end_ms < again_ms ? end_ms : again_ms);
    client_metadata_refresh(producer->client);
}

static uint8_t *copy_bytes(uint8_t *p, struct ottla_bytes from, struct ottla_bytes *ret_copy) {
    *ret_copy = (struct ottla_bytes){.data = from.data == NULL ? NULL : p, .size = from.size};
    if (from.size > 0) {
        memcpy(p, from.data, from.size);
    }
    return p + from.size;
}

err_t producer_wait_for_partition(struct producer_topic *topic, const struct ottla_record *record,
                                  ottla_delivery_fn delivered, void *arg) {
    struct ottla_producer *producer = topic->producer;
    size_t size = sizeof(struct producer_waiting) +
                  record->header_count * sizeof(struct ottla_header) + batch_record_bound(record);
    if (!batches_reserve(&producer->batches, size)) {
        return ERR_BUSY;
    }
    struct producer_waiting *waiting = malloc(size);
    if (waiting == NULL) {
        abort();
    }
    *waiting = (struct producer_waiting){.record = *record,
                                         .delivered = delivered,
                                         .arg = arg,
                                         .produced_ms = sys_mono_ms(producer->sys),
                                         .memory = size};
    struct ottla_header *headers = (struct ottla_header *)(waiting + 1);
    uint8_t *p = (uint8_t *)(headers + record->header_count);
    p = copy_bytes(p, record->key, &waiting->record.key);
    p = copy_bytes(p, record->value, &waiting->record.value);
    for (size_t i = 0; i < record->header_count; i++) {
        struct ottla_bytes key = {record->headers[i].key, record->headers[i].key_size}, copy;
        p = copy_bytes(p, key, &copy);
        headers[i].key = copy.data;
        headers[i].key_size = copy.size;
        p = copy_bytes(p, record->headers[i].value, &headers[i].value);
    }
    waiting->record.headers = headers;
    waiting->record.topic = topic->name;
    if (record->timestamp_ms == OTTLA_TIMESTAMP_NOW) {
        waiting->record.timestamp_ms = sys_wall_ms(producer->sys);
    }
    list_add_last(&topic->waiting, &waiting->link);
    if (!sys_timer_is_set(&topic->timer)) {
        wait_on(topic);
    }
    return ERR_OK;
}

static void free_waiting(struct ottla_producer *producer, struct producer_waiting *waiting) {
    list_remove(&waiting->link);
    batches_unreserve(&producer->batches, waiting->memory);
    free(waiting);
}

static void fail_waiting(struct producer_topic *topic, struct producer_waiting *waiting, err_t err,
                         const char *text) {
    struct ottla_producer *producer = topic->producer;
    producer_transaction_record_failed(producer, err, str_from_c(text));
    if (waiting->delivered != NULL) {
        producer->depth++;
        waiting->delivered(waiting->arg, &(struct ottla_delivery){
                                             .code = err,
                                             .text = text,
                                             .topic = topic->name,
                                             .partition = waiting->record.partition,
                                             .offset = -1,
                                             .timestamp_ms = waiting->record.timestamp_ms,
                                         });
        producer->depth--;
    }
    free_waiting(producer, waiting);
    producer->progress = true;
    producer_told(producer, 1, false);
}

/* Fails those that began to wait before a time. What the functions of their owners produce
 * meanwhile waits behind them, and is not looked at. */
static void fail_before(struct producer_topic *topic, int64_t before_ms, err_t err,
                        const char *text) {
    struct list failing;
    list_init(&failing);
    struct list *link;
    while ((link = list_first(&topic->waiting)) != NULL &&
           container_of(link, struct producer_waiting, link)->produced_ms < before_ms) {
        list_remove(link);
        list_add_last(&failing, link);
    }
    while ((link = list_first(&failing)) != NULL) {
        fail_waiting(topic, container_of(link, struct producer_waiting, link), err, text);
    }
}

void producer_fail_waiting(struct producer_topic *topic, err_t err, const char *text) {
    fail_before(topic, INT64_MAX, err, text);
}

/* Why none of them can be sent. */
static err_t reason(const struct producer_topic *topic, int64_t wait_ms,
                    char text[OTTLA_ERROR_TEXT_SIZE]) {
    const struct client_topic *known = client_topic(topic->producer->client, topic->name_str);
    if (topic->partition_count > 0) {
        (void)snprintf(text, OTTLA_ERROR_TEXT_SIZE,
                       "topic %s has %" PRId32 " partitions, also after %" PRId64
                       " ms (max.block.ms)",
                       topic->name, topic->partition_count, wait_ms);
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    if (known != NULL && known->err != ERR_OK) {
        (void)snprintf(text, OTTLA_ERROR_TEXT_SIZE,
                       "topic %s: %s, also after %" PRId64
                       " ms (max.block.ms); is it there, or may brokers create it?",
                       topic->name, err_text(known->err), wait_ms);
        return known->err;
    }
    (void)snprintf(text, OTTLA_ERROR_TEXT_SIZE,
                   "no broker of bootstrap.servers told of topic %s within %" PRId64
                   " ms (max.block.ms)",
                   topic->name, wait_ms);
    return ERR_TIMED_OUT;
}

void producer_waited(struct sys_timer *timer) {
    struct producer_topic *topic = container_of(timer, struct producer_topic, timer);
    int64_t wait_ms = wait_ms_max(topic->producer);
    char text[OTTLA_ERROR_TEXT_SIZE];
    err_t err = reason(topic, wait_ms, text);
    fail_before(topic, sys_mono_ms(topic->producer->sys) - wait_ms + 1, err, text);
    wait_on(topic);
}

/* Their memory has been counted already, and is not more in a batch. */
void producer_move_waiting(struct producer_topic *topic) {
    struct ottla_producer *producer = topic->producer;
    struct list *link, *after;
    list_for_each_safe (link, after, &topic->waiting) {
        struct producer_waiting *waiting = container_of(link, struct producer_waiting, link);
        struct producer_partition *partition = producer_choose(topic, &waiting->record);
        if (partition == NULL) {
            continue;
        }
        size_t memory_max = producer->batches.memory_max;
        producer->batches.memory_max = SIZE_MAX;
        err_t err = producer_append(partition, &waiting->record, waiting->produced_ms,
                                    waiting->delivered, waiting->arg);
        producer->batches.memory_max = memory_max;
        assert(err == ERR_OK);
        free_waiting(producer, waiting);
    }
    if (list_empty(&topic->waiting)) {
        sys_timer_clear(producer->loop, &topic->timer);
    }
}
