#include <inttypes.h>
#include <stdlib.h>

#include "node_int.h"
#include "wire/record_batch.h"

enum { DECOMPRESSED_MAX = 1024 * 1024 };

struct node_records *node_records_new(void) {
    struct node_records *records = calloc(1, sizeof *records);
    records->compression = compression_new();
    return records;
}

void node_records_free(struct node_records *records) {
    compression_free(records->compression);
    buffer_done(&records->scratch);
    free(records);
}

void node_record_add(struct batch_builder *builder, const struct node_topic *topic, uint64_t value,
                     struct bytes bytes) {
    struct node_sim *sim = topic->sim;
    int64_t now_ms = sys_wall_ms(sim->sys);
    char text[TOPIC_KEY_MAX];
    struct bytes key = topic_key(topic, value, text);
    if (topic_is_tombstone(topic, value)) {
        struct record_header header = {.key = STR("value"), .value = bytes};
        audit_txns_tombstone(sim->txns, value, sys_mono_ms(sim->sys) + topic->tombstones_ms);
        batch_builder_add(builder, now_ms, key, (struct bytes){0}, &header, 1);
    } else {
        batch_builder_add(builder, now_ms, key, bytes, NULL, 0);
    }
}

/* A tombstone has it in its first header. */
static struct bytes value_of(const struct record *record) {
    struct record_header header = {0};
    size_t position = 0;
    if (record->value.data != NULL || record->header_count == 0) {
        return record->value;
    }
    record_header_next(record, &position, &header);
    return header.value;
}

static bool read_batch(struct node_records *records, const struct record_batch *batch,
                       const struct node_fetched *fetched, int64_t *offset) {
    const struct node_topic *topic = fetched->topic;
    struct node_sim *sim = topic->sim;
    if (record_batch_is_control(batch->data)) {
        if (fetched->marker != NULL) {
            fetched->marker(fetched->arg, fetched, batch);
        }
        *offset = record_batch_next_offset(batch->data);
        return true;
    }
    bool skipped = fetched->skips != NULL && fetched->skips(fetched->arg, batch);
    if (skipped && fetched->pass == NULL) {
        *offset = record_batch_next_offset(batch->data);
        return true;
    }
    struct record_iter iter;
    buffer_clear(&records->scratch);
    err_t err = record_iter_init(&iter, batch->data, batch->size, records->compression,
                                 &records->scratch, DECOMPRESSED_MAX);
    struct record record;
    while (err == ERR_OK && (err = record_iter_next(&iter, &record)) == ERR_OK) {
        int64_t at = record_batch_base_offset(batch->data) + record.offset_delta;
        if (at < *offset) {
            continue; /* the batch holds the offset that was asked for */
        }
        struct bytes bytes = value_of(&record);
        uint64_t value = audit_value_check(bytes.data, (uint32_t)bytes.size);
        if (value == 0) {
            node_fail(sim, "%s-%d: the record at offset %" PRId64 " has wrong bytes", topic->name,
                      fetched->partition, at);
            return false;
        }
        (skipped ? fetched->pass : fetched->take)(fetched->arg, fetched, at, value);
        *offset = at + 1;
    }
    if (err != ERR_NOT_FOUND) {
        node_fail(sim, "%s-%d: the records of the batch at offset %" PRId64 " cannot be read: %s",
                  topic->name, fetched->partition, record_batch_base_offset(batch->data),
                  err_name(err));
    }
    return err == ERR_NOT_FOUND;
}

bool node_records_read(struct node_records *records, const struct node_fetched *fetched,
                       int64_t *offset) {
    const struct node_topic *topic = fetched->topic;
    size_t position = 0;
    struct record_batch batch;
    err_t err;
    while ((err = record_batch_next(fetched->records, &position, &batch)) == ERR_OK) {
        if (batch.magic != 2 || !record_batch_crc_matches(batch.data, batch.size)) {
            node_fail(topic->sim, "%s-%d: the batch at offset %" PRId64 " is damaged", topic->name,
                      fetched->partition, record_batch_base_offset(batch.data));
            return false;
        }
        if (record_batch_next_offset(batch.data) <= *offset) {
            node_fail(
                topic->sim,
                "%s-%d: asked for offset %" PRId64 ", and a batch comes that ends at %" PRId64,
                topic->name, fetched->partition, *offset, record_batch_next_offset(batch.data));
            return false;
        }
        if (record_batch_base_offset(batch.data) > *offset && !topic->compacted) {
            node_fail(topic->sim,
                      "%s-%d: asked for offset %" PRId64 ", and the next batch is at %" PRId64,
                      topic->name, fetched->partition, *offset,
                      record_batch_base_offset(batch.data));
            return false;
        }
        if (record_batch_next_offset(batch.data) > fetched->high_watermark) {
            node_fail(topic->sim,
                      "%s-%d: a reader gets records up to offset %" PRId64
                      ", but the high watermark is %" PRId64,
                      topic->name, fetched->partition, record_batch_next_offset(batch.data),
                      fetched->high_watermark);
            return false;
        }
        if (!read_batch(records, &batch, fetched, offset)) {
            return false;
        }
        if (topic->compacted && record_batch_next_offset(batch.data) > *offset) {
            *offset = record_batch_next_offset(batch.data); /* its last records were taken out */
        }
    }
    if (err == ERR_CORRUPT) {
        node_fail(topic->sim, "%s-%d: what is read at offset %" PRId64 " is no batch", topic->name,
                  fetched->partition, *offset);
    }
    return err != ERR_CORRUPT;
}
