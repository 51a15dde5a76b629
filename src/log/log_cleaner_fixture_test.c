#include "log/log_cleaner_fixture_test.h"

#include <stdlib.h>
#include <string.h>

#include "log/batch_header.h"
#include "wire/batch_builder.h"

/* --- writing and cleaning --- */

int64_t append(struct fixture *f, const struct keyed *keyed) {
    struct buffer batch = {0};
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.attributes = keyed->transactional ? RECORD_BATCH_TRANSACTIONAL : 0;
    options.compression = (enum compression_type)keyed->compression;
    options.level = compression_level_default(options.compression);
    if (keyed->producer_id > 0) {
        options.producer_id = keyed->producer_id;
        options.producer_epoch = 0;
        options.base_sequence = keyed->sequence;
    }
    struct batch_builder builder;
    batch_builder_init(&builder, &batch, &options);
    for (const char *key = keyed->keys; *key != '\0'; key++) {
        struct bytes no = {0};
        struct bytes value = {.data = (const uint8_t *)keyed->value,
                              .size = keyed->value == NULL ? 0 : strlen(keyed->value)};
        batch_builder_add(&builder, ++f->now_ms,
                          *key == '-' ? no : (struct bytes){(const uint8_t *)key, 1}, value, NULL,
                          0);
    }
    struct compression *compression = compression_new();
    batch_builder_finish(&builder, compression);
    compression_free(compression);
    struct log_append_result result;
    struct log_append append = {.data = batch.data, .size = batch.size, .now_ms = f->now_ms};
    assert_int_equal(log_append(f->log, &append, &result), ERR_OK);
    log_high_watermark_set(f->log, result.last_offset + 1);
    buffer_done(&batch);
    return result.first_offset;
}

void put(struct fixture *f, const char *keys, const char *value) {
    append(f, &(struct keyed){.keys = keys, .value = value});
}

/* Ends a transaction; markers are committed at once, too. */
void end_txn(struct fixture *f, int64_t producer_id, bool commit) {
    assert_int_equal(fixture_marker(f, producer_id, 0, commit, 1), ERR_OK);
    log_high_watermark_set(f->log, log_end_offset(f->log));
}

/* Seals what was written, so that it may be cleaned. */
void seal(struct fixture *f) {
    assert_int_equal(log_roll(f->log), ERR_OK);
    assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
    fixture_checkpoint(f);
}

struct log_cleaning_settings settings_of(const struct fixture *f) {
    return (struct log_cleaning_settings){
        .map_bytes = 1 << 20, .map_load = 0.9, .io_bytes = 300, .now_ms = f->now_ms};
}

err_t run(struct log_cleaning *cleaning) {
    enum log_cleaning_next next = LOG_CLEANING_AGAIN;
    err_t err = ERR_OK;
    while (err == ERR_OK && next != LOG_CLEANING_DONE) {
        err = next == LOG_CLEANING_SWAP ? log_cleaning_swap(cleaning) : ERR_OK;
        if (err == ERR_OK) {
            err = log_cleaning_step(cleaning, &next);
        }
    }
    return err;
}

err_t try_clean(struct fixture *f, const struct log_cleaning_settings *settings) {
    struct log_cleanable cleanable;
    err_t err = log_cleanable(f->log, f->now_ms, false, &cleanable);
    if (err != ERR_OK || cleanable.cleanable_bytes == 0) {
        return err;
    }
    struct log_cleaning *cleaning = log_cleaning_new(f->log, &cleanable, settings);
    err = run(cleaning);
    log_cleaning_free(cleaning);
    return err;
}

void clean(struct fixture *f) {
    struct log_cleaning_settings settings = settings_of(f);
    assert_int_equal(try_clean(f, &settings), ERR_OK);
}

/* --- what is in the log, as text --- */

/* The log's batches: "0:a=x 2:b=x |" with each record's offset; "!" before a tombstone's key, "C"
 * and "A" for markers, "E" for an empty batch, "H" before one with a delete horizon. */
static void batch_show(struct buffer *out, const struct batch_header *header, const uint8_t *data) {
    struct compression *compression = compression_new();
    struct buffer scratch = {0};
    struct record_iter iter;
    struct record record;
    assert_int_equal(record_iter_init(&iter, data, header->size, compression, &scratch, 1 << 20),
                     ERR_OK);
    if ((header->attributes & RECORD_BATCH_DELETE_HORIZON) != 0) {
        buffer_printf(out, "H");
    }
    if (header->record_count == 0) {
        buffer_printf(out, "E%d ", (int)header->last_offset);
    }
    while (record_iter_next(&iter, &record) == ERR_OK) {
        int type;
        int32_t epoch;
        if (batch_marker_read(header, data, &type, &epoch)) {
            buffer_printf(out, "%d:%c ", (int)record.offset, type == MARKER_COMMIT ? 'C' : 'A');
        } else {
            buffer_printf(out, "%d:%s%.*s%s%.*s ", (int)record.offset,
                          record.value.data == NULL ? "!" : "", (int)record.key.size,
                          (const char *)record.key.data, record.value.data == NULL ? "" : "=",
                          (int)record.value.size, (const char *)record.value.data);
        }
    }
    buffer_done(&scratch);
    compression_free(compression);
}

struct buffer show(struct fixture *f) {
    struct buffer out = {0};
    int64_t offset = log_start_offset(f->log);
    while (offset < log_end_offset(f->log)) {
        struct log_slice slice;
        assert_int_equal(log_read(f->log, offset, 3000, INT64_MAX, LOG_READ_MIN_ONE, &slice),
                         ERR_OK);
        if (slice.segment == NULL) {
            break; /* nothing is left up to the end */
        }
        uint8_t *data = malloc(slice.size);
        size_t got;
        assert_int_equal(sys_file_read(slice.file, slice.position, data, slice.size, &got), ERR_OK);
        struct batch_header header;
        for (size_t at = 0; at < got; at += header.size) {
            assert_null(batch_header_read(data + at, got - at, &header));
            assert_true(batch_crc_good(&header, data + at));
            assert_true(header.last_offset >= offset);
            batch_show(&out, &header, data + at);
            offset = header.last_offset + 1;
        }
        free(data);
        log_slice_release(&slice);
    }
    buffer_add(&out, "", 1);
    return out;
}

void shows(struct fixture *f, const char *expected) {
    struct buffer text = show(f);
    assert_string_equal((const char *)text.data, expected);
    buffer_done(&text);
}
