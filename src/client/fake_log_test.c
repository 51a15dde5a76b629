/* The partitions of fake_log_test_int.h. */
#include "client/fake_log_test_int.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/record_batch.h"

enum { VALUE_SIZE = 8 };

void fake_log_done(struct fake_log *log) {
    free(log->values);
    *log = (struct fake_log){0};
}

int32_t fake_log_record_count(struct bytes records) {
    return record_batch_record_count(records.data);
}

static void add_value(struct fake_log *log, uint64_t value) {
    if (log->count == log->capacity) {
        log->capacity = log->capacity * 2 + 64;
        log->values = realloc(log->values, log->capacity * sizeof *log->values);
    }
    log->values[log->count++] = value;
}

static void add_values(struct fake_log *log, struct bytes records) {
    struct compression *compression = compression_new();
    struct buffer scratch = {0};
    struct record_iter iter;
    err_t err =
        record_iter_init(&iter, records.data, records.size, compression, &scratch, SIZE_MAX);
    assert(err == ERR_OK);
    struct record record;
    while ((err = record_iter_next(&iter, &record)) == ERR_OK) {
        assert(record.value.size >= VALUE_SIZE);
        add_value(log, get_be64(record.value.data));
    }
    assert(err == ERR_NOT_FOUND);
    buffer_done(&scratch);
    compression_free(compression);
}

/* OK: it follows; EXISTS: it is known, *ret_offset says where. */
static err_t check_sequence(struct fake_log *log, const uint8_t *batch, int64_t *ret_offset) {
    int64_t producer_id = record_batch_producer_id(batch);
    int16_t epoch = record_batch_producer_epoch(batch);
    int32_t first = record_batch_base_sequence(batch), last = record_batch_last_sequence(batch);
    if (producer_id < 0 || producer_id != log->producer_id) {
        return ERR_OK; /* a producer that is not known may begin anywhere */
    }
    if (epoch < log->epoch) {
        return ERR_INVALID_PRODUCER_EPOCH;
    }
    if (epoch > log->epoch) {
        return first == 0 ? ERR_OK : ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    for (int i = 0; i < log->window_count; i++) {
        if (log->window[i].first == first && log->window[i].last == last) {
            *ret_offset = log->window[i].offset;
            return ERR_EXISTS;
        }
    }
    int32_t newest = log->window[log->window_count - 1].last;
    int32_t next = newest == INT32_MAX ? 0 : newest + 1;
    return first == next ? ERR_OK : ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
}

static void remember(struct fake_log *log, const uint8_t *batch, int64_t offset) {
    if (log->producer_id != record_batch_producer_id(batch) ||
        log->epoch != record_batch_producer_epoch(batch)) {
        log->window_count = 0;
    }
    log->producer_id = record_batch_producer_id(batch);
    log->epoch = record_batch_producer_epoch(batch);
    if (log->window_count == FAKE_LOG_WINDOW) {
        memmove(log->window, log->window + 1, sizeof log->window - sizeof log->window[0]);
        log->window_count--;
    }
    log->window[log->window_count++] =
        (struct fake_log_batch){.first = record_batch_base_sequence(batch),
                                .last = record_batch_last_sequence(batch),
                                .offset = offset};
}

err_t fake_log_append(struct fake_log *log, struct bytes records, int64_t *ret_offset) {
    assert(records.size >= RECORD_BATCH_HEADER_SIZE);
    assert(record_batch_crc_matches(records.data, records.size));
    err_t err = check_sequence(log, records.data, ret_offset);
    if (err == ERR_EXISTS) {
        log->duplicates++;
        return ERR_OK;
    }
    if (err != ERR_OK) {
        log->refused++;
        return err;
    }
    *ret_offset = (int64_t)log->count;
    add_values(log, records);
    remember(log, records.data, *ret_offset);
    return ERR_OK;
}
