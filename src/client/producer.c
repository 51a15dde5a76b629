/* A producer's life, and what its owner calls. */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "client/producer_int.h"

enum { SEND_TURNS_MAX = 8 }; /* from a batch that is ready to its bytes at the socket: three */

static int level_of(const struct client_settings *settings) {
    switch (settings->compression_type) {
    case COMPRESSION_GZIP:
        return settings->compression_gzip_level;
    case COMPRESSION_LZ4:
        return settings->compression_lz4_level;
    case COMPRESSION_ZSTD:
        return settings->compression_zstd_level;
    case COMPRESSION_NONE:
    case COMPRESSION_SNAPPY:
        break;
    }
    return 0;
}

static err_t check_settings(const struct client_settings *settings,
                            enum partitioner_kind *ret_partitioner, struct ottla_error *ret_error) {
    err_t err = partitioner_parse(settings->partitioner_class, ret_partitioner);
    if (err != ERR_OK) {
        return client_error_set(ret_error, OTTLA_INVALID,
                                "partitioner.class=%s: there are RoundRobinPartitioner, "
                                "consistent, consistent_random, murmur2, murmur2_random, fnv1a, "
                                "fnv1a_random, random; unset, it is that of Kafka's clients",
                                settings->partitioner_class);
    }
    return ERR_OK;
}

int ottla_producer_new(struct ottla_client *client, struct ottla_producer **ret_producer,
                       struct ottla_error *ret_error) {
    const struct client_settings *settings = client_settings(client);
    enum partitioner_kind partitioner;
    err_t err = check_settings(settings, &partitioner, ret_error);
    if (err != ERR_OK) {
        return err;
    }
    struct ottla_producer *producer = calloc(1, sizeof *producer);
    if (producer == NULL) {
        abort();
    }
    producer->client = client;
    producer->sys = client_sys(client);
    producer->loop = client_loop(client);
    producer->settings = *settings;
    producer->partitioner = partitioner;
    producer->idempotent = settings->enable_idempotence;
    producer->producer_id = -1;
    producer->epoch = -1;
    producer->empty = true;
    producer->watcher.changed = producer_topics_changed;
    producer->send_timer.fire = producer_send_ready;
    producer->idle_timer.fire = producer_topics_idle;
    producer->id_timer.fire = producer_id_retry;
    list_init(&producer->topics);
    list_init(&producer->brokers);
    list_init(&producer->active);
    list_init(&producer->requests);
    uint64_t seed;
    sys_random(producer->sys, &seed, sizeof seed);
    rng_init(&producer->rng, seed);
    batches_init(&producer->batches, (size_t)settings->batch_size, (size_t)settings->buffer_memory,
                 settings->compression_type, level_of(settings));
    if (settings->transactional_id != NULL) {
        producer_transaction_new(producer);
    }
    client_watch(client, &producer->watcher);
    sys_timer_set(producer->loop, &producer->idle_timer,
                  sys_mono_ms(producer->sys) + settings->metadata_max_idle_ms);
    *ret_producer = producer;
    return ERR_OK;
}

void ottla_producer_free(struct ottla_producer *producer) {
    if (producer == NULL) {
        return;
    }
    assert(producer->depth == 0);
    producer->fatal = ERR_CLOSED;
    producer_sequence_done(producer);
    struct list *link;
    while ((link = list_first(&producer->requests)) != NULL) {
        struct producer_request *request = container_of(link, struct producer_request, link);
        client_ask_cancel(request->asked);
        producer_request_free(request);
    }
    producer_topics_free(producer);
    producer_transaction_free(producer);
    producer_brokers_free(producer);
    client_unwatch(producer->client, &producer->watcher);
    sys_timer_clear(producer->loop, &producer->send_timer);
    sys_timer_clear(producer->loop, &producer->idle_timer);
    batches_done(&producer->batches);
    free(producer->fatal_text);
    free(producer);
}

/* --- records in --- */

static bool is_bytes(struct ottla_bytes bytes) {
    return (bytes.data != NULL || bytes.size == 0) && bytes.size <= INT32_MAX;
}

static const char *what_is_wrong(const struct ottla_record *record) {
    size_t name_size = record->topic == NULL ? 0 : strnlen(record->topic, LIMIT_TOPIC_NAME + 1);
    if (name_size == 0 || name_size > LIMIT_TOPIC_NAME) {
        return "a topic's name has 1 to 249 characters";
    }
    if (record->partition < OTTLA_PARTITION_ANY) {
        return "a partition is a number from 0, or OTTLA_PARTITION_ANY";
    }
    if (record->timestamp_ms < OTTLA_TIMESTAMP_NOW) {
        return "a timestamp is not negative";
    }
    if (!is_bytes(record->key) || !is_bytes(record->value)) {
        return "a key or value without data has size 0";
    }
    if (record->header_count > 0 && (record->headers == NULL || record->header_count > INT32_MAX)) {
        return "there are no headers where they are said to be";
    }
    for (size_t i = 0; i < record->header_count; i++) {
        const struct ottla_header *header = &record->headers[i];
        if (header->key == NULL || header->key_size > INT32_MAX || !is_bytes(header->value)) {
            return "a header has a key, and a value without data has size 0";
        }
    }
    return NULL;
}

static err_t check_record(const struct ottla_producer *producer, const struct ottla_record *record,
                          struct ottla_error *ret_error) {
    if (producer->fatal != ERR_OK) {
        return client_error_set(ret_error, producer->fatal, "%s",
                                producer->fatal_text != NULL ? producer->fatal_text
                                                             : err_text(producer->fatal));
    }
    const char *wrong = what_is_wrong(record);
    if (wrong != NULL) {
        return client_error_set(ret_error, OTTLA_INVALID, "%s", wrong);
    }
    err_t err = producer_transaction_takes(producer, ret_error);
    if (err != ERR_OK) {
        return err;
    }
    size_t size = RECORD_BATCH_HEADER_SIZE + batch_record_bound(record);
    if (size > (size_t)producer->settings.max_request_size) {
        return client_error_set(ret_error, ERR_MESSAGE_TOO_LARGE,
                                "a record for %s takes %zu bytes; max.request.size allows %" PRId32,
                                record->topic, size, producer->settings.max_request_size);
    }
    if (size > producer->batches.memory_max) {
        return client_error_set(ret_error, ERR_MESSAGE_TOO_LARGE,
                                "a record for %s takes %zu bytes; buffer.memory is %zu",
                                record->topic, size, producer->batches.memory_max);
    }
    return ERR_OK;
}

static void use_all_memory(struct ottla_producer *producer) {
    if (!producer->exhausted) {
        producer->exhausted = true;
        producer_partitions_ready(producer);
    }
}

int ottla_produce(struct ottla_producer *producer, const struct ottla_record *record,
                  ottla_delivery_fn delivered, void *arg, struct ottla_error *ret_error) {
    err_t err = check_record(producer, record, ret_error);
    if (err == ERR_MESSAGE_TOO_LARGE) {
        producer_transaction_record_failed(producer, err, STR("a record is too large"));
    }
    if (err != ERR_OK) {
        return err;
    }
    struct producer_topic *topic = producer_topic_get(producer, record->topic);
    struct producer_partition *partition = producer_choose(topic, record);
    err = partition != NULL ? producer_append(partition, record, -1, delivered, arg)
                            : producer_wait_for_partition(topic, record, delivered, arg);
    if (err != ERR_OK) {
        use_all_memory(producer);
        return client_error_set(ret_error, err,
                                "buffer.memory (%zu bytes) is used up: run the client, or use "
                                "ottla_produce_wait",
                                producer->batches.memory_max);
    }
    producer->record_count++;
    producer->empty = false;
    return ERR_OK;
}

/* What is ready is sent while its bytes are still in the processor's cache. Not by
 * ottla_client_run: an interruption is for a call that waits. */
static void send_along(struct ottla_producer *producer) {
    struct sys_loop *loop = producer->loop;
    if (!sys_timer_is_set(&producer->send_timer) || sys_loop_is_current(loop)) {
        return;
    }
    for (int turns = 0; turns < SEND_TURNS_MAX; turns++) {
        if (sys_loop_deadline_ms(loop) > sys_mono_ms(producer->sys)) {
            return;
        }
        sys_loop_turn(loop, 0);
    }
}

static int without_memory(const struct ottla_producer *producer, err_t waited,
                          struct ottla_error *ret_error) {
    size_t memory = producer->batches.memory_max;
    if (waited == ERR_TIMED_OUT) {
        return client_error_set(ret_error, waited,
                                "buffer.memory (%zu bytes) is used up, also after max.block.ms "
                                "(%" PRId64 " ms); are brokers and topics there?",
                                memory, producer->settings.max_block_ms);
    }
    return client_error_set(
        ret_error, waited, "buffer.memory (%zu bytes) is used up, and %s", memory,
        waited == ERR_BUSY ? "a delivery function cannot wait" : "the wait for it was interrupted");
}

int ottla_produce_wait(struct ottla_producer *producer, const struct ottla_record *record,
                       ottla_delivery_fn delivered, void *arg, struct ottla_error *ret_error) {
    int64_t deadline_ms = -1;
    int err;
    while ((err = ottla_produce(producer, record, delivered, arg, ret_error)) == OTTLA_BUSY) {
        if (deadline_ms < 0) {
            deadline_ms = client_deadline_ms(producer->client, producer->settings.max_block_ms);
        }
        producer->progress = false;
        err_t waited = client_wait(producer->client, &producer->progress, deadline_ms);
        if (waited == ERR_TIMED_OUT) {
            producer_transaction_record_failed(producer, waited,
                                               STR("there was no memory for a record"));
        }
        if (waited != ERR_OK) {
            return without_memory(producer, waited, ret_error);
        }
    }
    send_along(producer);
    return err;
}

/* --- records out --- */

void producer_told(struct ottla_producer *producer, size_t count, bool good) {
    assert(producer->record_count >= count);
    producer->record_count -= count;
    producer->empty = producer->record_count == 0;
    if (producer->empty) {
        producer_transaction_flushed(producer);
    }
    if (good) {
        producer->stats.delivered += count;
    } else {
        producer->stats.failed += count;
    }
}

int ottla_producer_flush(struct ottla_producer *producer, int64_t timeout_ms) {
    producer->flushing++;
    producer_partitions_ready(producer);
    err_t err = producer->empty ? ERR_OK
                                : client_wait(producer->client, &producer->empty,
                                              client_deadline_ms(producer->client, timeout_ms));
    producer->flushing--;
    return err;
}

void producer_fail(struct ottla_producer *producer, err_t err, const char *format, ...) {
    if (producer->fatal != ERR_OK) {
        return;
    }
    char text[OTTLA_ERROR_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    producer->fatal = err;
    producer->fatal_text = strdup(text);
    if (producer->fatal_text == NULL) {
        abort();
    }
    client_log(producer->client, OTTLA_LOG_ERROR, "the producer is of no use any more: %s", text);
    producer_topics_fail(producer, err, producer->fatal_text);
    producer_transaction_fatal(producer);
}

void ottla_producer_stats(const struct ottla_producer *producer,
                          struct ottla_producer_stats *ret_stats) {
    *ret_stats = producer->stats;
    ret_stats->records = producer->record_count;
    ret_stats->memory = producer->batches.memory;
}
