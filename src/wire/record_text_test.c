#include "wire/record_text_test_int.h"

#include <inttypes.h>

#include "base/limits.h"
#include "wire/message_set.h"

static void print_bytes(struct buffer *out, struct bytes value) {
    if (value.data == NULL || value.size == 0) {
        buffer_printf(out, "%s", value.data == NULL ? "null" : "empty");
        return;
    }
    for (size_t i = 0; i < value.size; i++) {
        buffer_printf(out, "%02x", value.data[i]);
    }
}

static void print_record(struct buffer *out, const struct record *record, char end) {
    buffer_printf(out, "  %" PRId64 " %" PRId64 " ", record->offset, record->timestamp);
    print_bytes(out, record->key);
    buffer_printf(out, " ");
    print_bytes(out, record->value);
    size_t position = 0;
    for (int32_t i = 0; i < record->header_count; i++) {
        struct record_header header;
        record_header_next(record, &position, &header);
        buffer_printf(out, " %.*s=", STR_ARGS(header.key));
        print_bytes(out, header.value);
    }
    buffer_printf(out, "%c", end);
}

static void print_batch(struct buffer *out, const uint8_t *batch, char end) {
    buffer_printf(out,
                  "batch magic 2 offsets %" PRId64 "-%" PRId64 " codec %s time %s max %" PRId64
                  " epoch %" PRId32 " producer %" PRId64 "/%d sequence %" PRId32 "-%" PRId32
                  "%s%s%c",
                  record_batch_base_offset(batch), record_batch_last_offset(batch),
                  compression_name((enum compression_type)record_batch_compression(batch)),
                  record_batch_has_log_append_time(batch) ? "LogAppendTime" : "CreateTime",
                  record_batch_max_timestamp(batch), record_batch_leader_epoch(batch),
                  record_batch_producer_id(batch), record_batch_producer_epoch(batch),
                  record_batch_base_sequence(batch), record_batch_last_sequence(batch),
                  record_batch_is_transactional(batch) ? " transactional" : "",
                  record_batch_is_control(batch) ? " control" : "", end);
}

static err_t print_v2(struct buffer *out, const struct record_batch *batch,
                      struct compression *compression, char end) {
    if (!record_batch_crc_matches(batch->data, batch->size)) {
        return ERR_CORRUPT;
    }
    print_batch(out, batch->data, end);
    struct buffer scratch = {0};
    struct record_iter iter;
    err_t err = record_iter_init(&iter, batch->data, batch->size, compression, &scratch,
                                 RECORD_SET_DECOMPRESSED_MAX);
    struct record record;
    while (err == ERR_OK && (err = record_iter_next(&iter, &record)) == ERR_OK) {
        print_record(out, &record, end);
    }
    buffer_done(&scratch);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static err_t print_old(struct buffer *out, const struct record_batch *batch,
                       struct compression *compression, char end) {
    struct buffer scratch = {0};
    struct message_iter iter;
    struct batch_summary summary;
    err_t err =
        batch_summarise(batch, compression, &scratch, RECORD_SET_DECOMPRESSED_MAX, &summary);
    if (err == ERR_OK) {
        buffer_printf(out,
                      "batch magic %d offsets %" PRId64 "-%" PRId64 " codec %s time %s max %" PRId64
                      "%c",
                      batch->magic, summary.base_offset, summary.last_offset,
                      compression_name((enum compression_type)message_compression(batch)),
                      batch->magic == 0                    ? "NoTimestampType"
                      : message_has_log_append_time(batch) ? "LogAppendTime"
                                                           : "CreateTime",
                      summary.max_timestamp, end);
        err = message_iter_init(&iter, batch, compression, &scratch, RECORD_SET_DECOMPRESSED_MAX);
    }
    struct record record;
    while (err == ERR_OK && (err = message_iter_next(&iter, &record)) == ERR_OK) {
        print_record(out, &record, end);
    }
    buffer_done(&scratch);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

err_t record_text_print(struct buffer *out, struct bytes run, struct compression *compression,
                        char end) {
    size_t position = 0;
    struct record_batch batch;
    err_t err;
    while ((err = record_batch_next(run, &position, &batch)) == ERR_OK) {
        err = batch.magic == 2 ? print_v2(out, &batch, compression, end)
                               : print_old(out, &batch, compression, end);
        if (err != ERR_OK) {
            return err;
        }
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}
