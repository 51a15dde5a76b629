/* Appending and reading, rolling, producers, times, retention, truncation: what a log promises
 * while nothing breaks. Broken files are in log_recovery_test.c, power cuts in log_power_test.c. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "log/batch_header.h"
#include "log/log_fixture_test.h"
#include "wire/compression.h"

enum { BATCH = 170 }; /* bytes of a batch with one record of 100 bytes */

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    fixture_init(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_done(*state);
    free(*state);
    return 0;
}

static void offsets_follow_on(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(fixture_append(f, &(struct batch_spec){.records = 3}), 0);
    assert_int_equal(fixture_append(f, &(struct batch_spec){.records = 2}), 3);
    assert_int_equal(log_end_offset(f->log), 5);
    assert_int_equal(fixture_read_all(f, 0), 5);
    fixture_close(f);
    fixture_open(f);
    assert_false(log_needs_recovery(f->log));
    assert_int_equal(log_end_offset(f->log), 5);
    assert_int_equal(fixture_append(f, &(struct batch_spec){.records = 1}), 5);
    assert_int_equal(fixture_read_all(f, 0), 6);
}

static void reads_are_whole_batches(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    fixture_append_many(f, 500, 100);
    struct log_slice slice;
    /* every start, several sizes */
    for (int64_t offset = 0; offset < 500; offset += 7) {
        for (size_t size = 200; size < 30000; size = size * 3 + 1) {
            assert_int_equal(log_read(f->log, offset, size, INT64_MAX, 0, &slice), ERR_OK);
            assert_non_null(slice.segment);
            assert_int_equal(slice.start_offset, offset);
            assert_true(slice.size <= size);
            assert_int_equal(slice.size % BATCH, 0); /* of one batch here */
            size_t whole = size / BATCH * BATCH, left = (size_t)(500 - offset) * BATCH;
            assert_int_equal(slice.size, whole < left ? whole : left);
            log_slice_release(&slice);
        }
    }
    assert_int_equal(log_read(f->log, 10, 5, INT64_MAX, 0, &slice), ERR_OK);
    assert_null(slice.segment);
    assert_int_equal(log_read(f->log, 10, 5, INT64_MAX, LOG_READ_MIN_ONE, &slice), ERR_OK);
    assert_int_equal(slice.size, BATCH);
    log_slice_release(&slice);
}

static void reads_stop_at_the_limit(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    for (int i = 0; i < 100; i++) {
        fixture_append(f, &(struct batch_spec){.records = 5});
    }
    struct log_slice slice;
    for (int64_t limit = 0; limit <= 500; limit++) {
        assert_int_equal(log_read(f->log, 20, 1 << 20, limit, LOG_READ_MIN_ONE, &slice), ERR_OK);
        int64_t batches = limit <= 20 ? 0 : (limit - 20) / 5;
        assert_int_equal(slice.segment != NULL, batches > 0);
        if (batches > 0) {
            assert_int_equal(slice.size % (size_t)batches, 0);
            log_slice_release(&slice);
        }
    }
    assert_int_equal(log_read(f->log, 500, 100, INT64_MAX, 0, &slice), ERR_OK);
    assert_null(slice.segment);
    assert_int_equal(log_read(f->log, 501, 100, INT64_MAX, 0, &slice), ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(log_read(f->log, -1, 100, INT64_MAX, 0, &slice), ERR_OFFSET_OUT_OF_RANGE);
}

static void segments_roll_by_size(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 10000;
    fixture_open(f);
    fixture_append_many(f, 300, 100);
    assert_int_equal(log_segment_count(f->log), (300 + 57) / 58);
    assert_true(file_exists(f, "00000000000000000058.log"));
    assert_true(file_exists(f, "00000000000000000058.snapshot"));
    assert_int_equal(file_size(f, "00000000000000000000.index"), 2 * 8);
    assert_int_equal(file_size(f, "00000000000000000000.timeindex"), 3 * 12);
    assert_int_equal(fixture_read_all(f, 0), 300);
    struct buffer big = {0};
    batch_make(f, &(struct batch_spec){.value_size = 10000}, &big);
    struct log_append append = {.data = big.data, .size = big.size, .now_ms = f->now_ms};
    struct log_append_result result;
    assert_int_equal(log_append(f->log, &append, &result), ERR_RECORD_LIST_TOO_LARGE);
    buffer_done(&big);
}

static void reserved_space_is_given_back(void **state) {
    struct fixture *f = *state;
    f->config.preallocate = true;
    f->config.segment_bytes = 1 << 20;
    fixture_open(f);
    uint64_t before = sim_disk_used(f->host, "/data");
    for (int i = 0; i < 5; i++) {
        fixture_append(f, &(struct batch_spec){0});
        assert_true(sim_disk_used(f->host, "/data") >= 1 << 20);
        assert_true(sim_disk_used(f->host, "/data") < before + (1 << 19));
        assert_int_equal(log_roll(f->log), ERR_OK);
    }
    fixture_append(f, &(struct batch_spec){0});
    fixture_crash(f, false);
    fixture_open(f);
    assert_int_equal(fixture_read_all(f, 0), 6);
    assert_true(sim_disk_used(f->host, "/data") < 1 << 19);
    fixture_append(f, &(struct batch_spec){0});
    assert_int_equal(log_roll(f->log), ERR_OK);
    assert_true(sim_disk_used(f->host, "/data") >= 1 << 20);
    fixture_close(f);
    assert_true(sim_disk_used(f->host, "/data") < 1 << 19);
}

static void segments_roll_by_age(void **state) {
    struct fixture *f = *state;
    f->config.segment_ms = 1000;
    fixture_open(f);
    fixture_append(f, &(struct batch_spec){0});
    f->now_ms += 1000;
    assert_false(log_roll_due(f->log, 0, 0, f->now_ms));
    fixture_append(f, &(struct batch_spec){0});
    assert_int_equal(log_segment_count(f->log), 1);
    f->now_ms += 1;
    assert_true(log_roll_due(f->log, 100, f->now_ms, f->now_ms));
    fixture_append(f, &(struct batch_spec){0});
    assert_int_equal(log_segment_count(f->log), 2);
}

/* Else a record waits for the end of its segment, whatever max.compaction.lag.ms says. */
static void segments_of_compacted_logs_roll_by_their_lag(void **state) {
    struct fixture *f = *state;
    f->config.segment_ms = 10000;
    f->config.max_compaction_lag_ms = 1000;
    fixture_open(f);
    fixture_append(f, &(struct batch_spec){0});
    f->now_ms += 1001;
    assert_false(log_roll_due(f->log, 100, f->now_ms, f->now_ms)); /* it is not compacted */
    f->config.cleanup_compact = true;
    log_configure(f->log, &f->config);
    assert_false(log_roll_due(f->log, 100, f->now_ms - 1, f->now_ms));
    assert_true(log_roll_due(f->log, 100, f->now_ms, f->now_ms));
    f->config.max_compaction_lag_ms = 100000;
    log_configure(f->log, &f->config);
    assert_false(log_roll_due(f->log, 100, f->now_ms + 8000, f->now_ms));
    assert_true(log_roll_due(f->log, 100, f->now_ms + 9000, f->now_ms));
}

static void segments_roll_by_full_index(void **state) {
    struct fixture *f = *state;
    f->config.segment_index_bytes = 12 * 10;
    f->config.index_interval_bytes = 0;
    fixture_open(f);
    fixture_append_many(f, 100, 10);
    assert_int_equal(log_segment_count(f->log), 10);
    assert_int_equal(fixture_read_all(f, 0), 100);
}

static void index_entries_are_kafkas(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    fixture_append_many(f, 60, 100); /* an entry before every 26th */
    fixture_close(f);
    struct buffer index = file_read(f, "00000000000000000000.index");
    assert_int_equal(index.size, 2 * 8);
    assert_int_equal(get_be32(index.data), 25);
    assert_int_equal(get_be32(index.data + 4), 25 * BATCH);
    assert_int_equal(get_be32(index.data + 8), 50);
    struct buffer times = file_read(f, "00000000000000000000.timeindex");
    assert_int_equal(times.size, 3 * 12);
    assert_int_equal(get_be64(times.data), SIM_START_WALL_MS + 26);
    assert_int_equal(get_be32(times.data + 8), 25);
    assert_int_equal(get_be32(times.data + 2 * 12 + 8), 59);
    buffer_done(&index);
    buffer_done(&times);
}

/* --- producers --- */

static void duplicates_are_answered(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    struct log_append_result result;
    struct batch_spec spec = {.records = 3, .producer_id = 9, .timestamp = 5000};
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
    spec.sequence = 3;
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
    spec.sequence = 0;
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
    assert_true(result.duplicate);
    assert_int_equal(result.first_offset, 0);
    assert_int_equal(result.last_offset, 2);
    assert_int_equal(result.duplicate_timestamp_ms, 5002);
    assert_int_equal(log_end_offset(f->log), 6);
    spec.sequence = 7;
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    spec = (struct batch_spec){.producer_id = 9, .producer_epoch = 1, .sequence = 1};
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    spec.sequence = 0;
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
    spec.producer_epoch = 0;
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_INVALID_PRODUCER_EPOCH);
    spec = (struct batch_spec){.producer_id = 10, .sequence = 77};
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
    struct log_producer *producers;
    size_t count;
    log_producers(f->log, &producers, &count);
    assert_int_equal(count, 2);
    assert_int_equal(producers[0].producer_id, 9);
    assert_int_equal(producers[0].epoch, 1);
    assert_int_equal(producers[1].last_sequence, 77);
    free(producers);
}

/* A repeated batch is acknowledged as synced, too, though it was written when nobody asked for
 * that; what a killed process wrote is synced with the start. */
static void duplicates_ask_for_their_flush(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    struct log_append_result result;
    struct batch_spec spec = {.records = 3, .producer_id = 9};
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
    assert_false(result.flush_due);
    f->config.flush_messages = 1;
    log_configure(f->log, &f->config);
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
    assert_true(result.duplicate);
    assert_true(result.flush_due);
    fixture_crash(f, false);
    fixture_open(f);
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
    assert_true(result.duplicate);
    assert_false(result.flush_due);
}

static void producers_survive_every_end(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 1000;
    for (int end = 0; end < 3; end++) {
        fixture_open(f);
        struct log_append_result result;
        for (int i = 0; i < 20; i++) {
            struct batch_spec spec = {.producer_id = 9, .sequence = end * 20 + i};
            assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
            assert_false(result.duplicate);
        }
        if (end == 0) {
            fixture_close(f);
        } else {
            fixture_crash(f, false);
        }
        fixture_open(f);
        for (int i = 15; i < 20; i++) { /* any of the last five may be repeated */
            struct batch_spec again = {.producer_id = 9, .sequence = end * 20 + i};
            assert_int_equal(fixture_try_append(f, &again, &result), ERR_OK);
            assert_true(result.duplicate);
            assert_int_equal(result.first_offset, end * 20 + i);
        }
        fixture_crash(f, false);
    }
}

static void producers_expire(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    struct log_append_result result;
    struct batch_spec spec = {.producer_id = 9};
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
    log_producers_expire(f->log, f->now_ms + f->config.producer_expiration_ms - 1);
    spec.sequence = 50;
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    log_producers_expire(f->log, f->now_ms + f->config.producer_expiration_ms);
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
}

static void transactions_hold_the_stable_offset(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    struct batch_spec spec = {.producer_id = 9, .transactional = true};
    fixture_append(f, &spec);
    fixture_append(f, &(struct batch_spec){0});
    spec.producer_id = 10;
    fixture_append(f, &spec);
    assert_int_equal(log_last_stable_offset(f->log), 0);
    assert_int_equal(fixture_marker(f, 9, 0, false, 0), ERR_OK); /* at 3 */
    assert_int_equal(log_last_stable_offset(f->log), 0);
    log_high_watermark_set(f->log, 4);
    assert_int_equal(log_last_stable_offset(f->log), 2);
    assert_int_equal(fixture_marker(f, 10, 0, true, 0), ERR_OK);
    log_high_watermark_set(f->log, 5);
    assert_int_equal(log_last_stable_offset(f->log), 5);
    for (int round = 0; round < 2; round++) {
        struct log_aborted *aborted;
        size_t count;
        assert_int_equal(log_aborted_transactions(f->log, 0, 5, 0, &aborted, &count), ERR_OK);
        assert_int_equal(count, 1);
        assert_int_equal(aborted[0].producer_id, 9);
        assert_int_equal(aborted[0].first_offset, 0);
        free(aborted);
        struct buffer index = file_read(f, "00000000000000000000.txnindex");
        assert_int_equal(index.size, 34);
        assert_int_equal(get_be64(index.data + 18), 3); /* the marker */
        assert_int_equal(get_be64(index.data + 26), 2); /* the last stable offset after it */
        buffer_done(&index);
        fixture_crash(f, false);
        fixture_open(f);
    }
    assert_int_equal(fixture_marker(f, 9, 0, true, 3), ERR_OK);
    assert_int_equal(fixture_marker(f, 9, 0, true, 2), ERR_TRANSACTION_COORDINATOR_FENCED);
}

/* --- time --- */

static void times_are_found(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 4000;
    f->config.index_interval_bytes = 500;
    fixture_open(f);
    for (int i = 0; i < 200; i++) {
        fixture_append(f, &(struct batch_spec){
                              .records = 3,
                              .timestamp = 1000 + i * 10,
                              .compression = i % 5,
                          });
    }
    struct log_time_offset found;
    for (int round = 0; round < 2; round++) {
        for (int64_t time = 990; time < 3000; time++) {
            assert_int_equal(log_offset_for_timestamp(f->log, time, &found), ERR_OK);
            int64_t batch = time < 1000 ? 0 : (time - 1000) / 10;
            int64_t inner = time < 1000 ? 0 : (time - 1000) % 10;
            int64_t offset = inner > 2 ? (batch + 1) * 3 : batch * 3 + inner;
            assert_int_equal(found.offset, offset < 600 ? offset : -1);
        }
        assert_int_equal(log_offset_for_timestamp(f->log, LOG_TIMESTAMP_MAX, &found), ERR_OK);
        assert_int_equal(found.offset, 599);
        assert_int_equal(found.timestamp_ms, 2992);
        fixture_close(f);
        fixture_open(f);
    }
    assert_int_equal(log_offset_for_timestamp(f->log, LOG_TIMESTAMP_LATEST, &found), ERR_OK);
    assert_int_equal(found.offset, 600);
    assert_int_equal(log_offset_for_timestamp(f->log, LOG_TIMESTAMP_EARLIEST, &found), ERR_OK);
    assert_int_equal(found.offset, 0);
    assert_int_equal(log_offset_for_timestamp(f->log, -7, &found), ERR_UNSUPPORTED);
}

/* --- removal --- */

static int retention_run(struct fixture *f) {
    int steps = 0;
    bool more = true;
    while (more) {
        assert_int_equal(log_retention_step(f->log, f->now_ms, &more), ERR_OK);
        steps += more;
    }
    return steps;
}

static void retention_by_size_and_time(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 2000;
    f->config.retention_bytes = 5000;
    fixture_open(f);
    fixture_append_many(f, 110, 100); /* 10 segments of 11 batches */
    assert_int_equal(log_segment_count(f->log), 10);
    log_high_watermark_set(f->log, 0);
    fixture_append_many(f, 1, 100);
    assert_int_equal(retention_run(f), 7);
    assert_true(told(f, "larger than retention.bytes"));
    assert_int_equal(log_start_offset(f->log), 77);
    assert_false(file_exists(f, "00000000000000000011.log"));
    assert_true(file_exists(f, "00000000000000000011.log.deleted"));
    assert_int_equal(fixture_read_all(f, 77), 34);
    int64_t next_ms;
    sim_world_run_for(f->world, 999);
    assert_int_equal(log_directory_trash_step(f->directory, &next_ms), ERR_OK);
    assert_true(file_exists(f, "00000000000000000011.log.deleted"));
    sim_world_run_for(f->world, 1);
    do {
        assert_int_equal(log_directory_trash_step(f->directory, &next_ms), ERR_OK);
    } while (next_ms != INT64_MAX);
    assert_false(file_exists(f, "00000000000000000011.log.deleted"));
    f->now_ms += f->config.retention_ms + 1000;
    assert_int_equal(retention_run(f), 4);
    assert_true(told(f, "older than retention.ms"));
    assert_int_equal(log_start_offset(f->log), 111);
    assert_int_equal(log_end_offset(f->log), 111);
    assert_int_equal(fixture_append(f, &(struct batch_spec){0}), 111);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(log_start_offset(f->log), 111);
    assert_int_equal(fixture_read_all(f, 111), 1);
}

static void retention_waits_for_the_high_watermark(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 2000;
    f->config.retention_bytes = 0;
    fixture_open(f);
    fixture_append_many(f, 33, 100);
    fixture_crash(f, false);
    fixture_open(f); /* without a checkpoint of it: at the start */
    assert_int_equal(retention_run(f), 0);
    log_high_watermark_set(f->log, 21);
    assert_int_equal(retention_run(f), 1);
    log_high_watermark_set(f->log, 22);
    assert_int_equal(retention_run(f), 1);
}

static void compacted_logs_are_kept_whole(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 2000;
    f->config.retention_bytes = 0;
    f->config.cleanup_delete = false;
    f->config.cleanup_compact = true;
    fixture_open(f);
    fixture_append_many(f, 33, 100);
    f->now_ms += 2 * f->config.retention_ms;
    assert_int_equal(retention_run(f), 0);
    assert_int_equal(log_delete_records(f->log, 15), ERR_OK);
    assert_int_equal(retention_run(f), 1);
}

static void delete_records(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 2000;
    fixture_open(f);
    fixture_append_many(f, 33, 100);
    assert_int_equal(log_delete_records(f->log, 34), ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(log_delete_records(f->log, 15), ERR_OK);
    struct log_slice slice;
    assert_int_equal(log_read(f->log, 14, 100, INT64_MAX, 0, &slice), ERR_OFFSET_OUT_OF_RANGE);
    assert_true(log_start_checkpointed(f->log));
    assert_int_equal(retention_run(f), 1);
    assert_int_equal(fixture_read_all(f, 15), 18);
    struct log_time_offset found;
    assert_int_equal(log_offset_for_timestamp(f->log, 1, &found), ERR_OK);
    assert_int_equal(found.offset, 15);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(log_start_offset(f->log), 15);
}

static void truncation(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 2000;
    f->config.index_interval_bytes = 300;
    fixture_open(f);
    struct log_append_result result;
    for (int i = 0; i < 50; i++) {
        struct batch_spec spec = {
            .producer_id = 9, .sequence = i, .value_size = 100, .leader_epoch = i / 10};
        assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
    }
    log_high_watermark_set(f->log, 50);
    assert_int_equal(log_truncate_to(f->log, 60), ERR_OK);
    assert_int_equal(log_truncate_to(f->log, 27), ERR_OK);
    assert_int_equal(log_end_offset(f->log), 27);
    assert_int_equal(log_high_watermark(f->log), 27);
    assert_int_equal(log_latest_epoch(f->log), 2);
    assert_int_equal(fixture_read_all(f, 0), 27);
    struct batch_spec spec = {.producer_id = 9, .sequence = 28, .value_size = 100};
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    spec.sequence = 27;
    spec.leader_epoch = 7;
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
    assert_int_equal(result.first_offset, 27);
    int32_t epoch;
    int64_t end_offset;
    log_epoch_end_offset(f->log, 2, &epoch, &end_offset);
    assert_int_equal(epoch, 2);
    assert_int_equal(end_offset, 27);
    log_epoch_end_offset(f->log, 7, &epoch, &end_offset);
    assert_int_equal(end_offset, 28);
    fixture_crash(f, false);
    fixture_open(f);
    assert_int_equal(fixture_read_all(f, 0), 28);
    assert_int_equal(log_truncate_fully(f->log, 1000), ERR_OK);
    assert_int_equal(log_start_offset(f->log), 1000);
    assert_int_equal(log_end_offset(f->log), 1000);
    assert_int_equal(fixture_append(f, &(struct batch_spec){0}), 1000);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(fixture_read_all(f, 1000), 1);
}

/* --- durability --- */

static void flush_moves_the_recovery_point(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 2000;
    f->config.flush_messages = 20;
    fixture_open(f);
    struct log_append_result result;
    for (int i = 0; i < 25; i++) {
        assert_int_equal(fixture_try_append(f, &(struct batch_spec){.value_size = 100}, &result),
                         ERR_OK);
        assert_int_equal(result.flush_due, i >= 19);
    }
    assert_int_equal(log_dirty_bytes(f->log), 25 * BATCH);
    assert_int_equal(log_directory_dirty_bytes(f->directory), 25 * BATCH);
    assert_int_equal(log_flush_next(f->log), 11);
    assert_int_equal(log_flush(f->log, 11), ERR_OK);
    assert_int_equal(log_recovery_point(f->log), 11);
    assert_int_equal(log_dirty_bytes(f->log), 14 * BATCH);
    assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
    assert_int_equal(log_recovery_point(f->log), 25);
    assert_int_equal(log_dirty_bytes(f->log), 0);
    assert_int_equal(log_directory_dirty_bytes(f->directory), 0);
    assert_false(log_flush_due(f->log, f->now_ms));
    f->config.flush_ms = 100;
    log_configure(f->log, &f->config);
    assert_int_equal(fixture_try_append(f, &(struct batch_spec){0}, &result), ERR_OK);
    assert_true(log_flush_due(f->log, f->now_ms + 100));
}

/* Not done, or who flushes by slices would ask for ever. */
static void what_is_deleted_is_not_flushed(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 2000;
    fixture_open(f);
    fixture_append_many(f, 25, 100);
    assert_int_equal(log_flush(f->log, log_flush_next(f->log)), ERR_OK);
    assert_int_equal(log_delete(f->log), ERR_OK);
    assert_int_equal(log_flush(f->log, log_flush_next(f->log)), ERR_CLOSED);
    log_free(f->log);
    f->log = NULL;
}

static void slices_outlive_deletion(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    fixture_append_many(f, 10, 100);
    struct log_slice slice;
    assert_int_equal(log_read(f->log, 0, 1 << 20, INT64_MAX, 0, &slice), ERR_OK);
    assert_int_equal(log_delete(f->log), ERR_OK);
    struct log_slice other;
    assert_int_equal(log_read(f->log, 0, 1 << 20, INT64_MAX, 0, &other), ERR_CLOSED);
    log_free(f->log);
    f->log = NULL;
    uint8_t data[BATCH];
    size_t got;
    assert_int_equal(sys_file_read(slice.file, slice.position, data, sizeof data, &got), ERR_OK);
    assert_int_equal(got, BATCH);
    log_slice_release(&slice);
    sim_world_run_for(f->world, 2000);
    int64_t next_ms;
    do {
        assert_int_equal(log_directory_trash_step(f->directory, &next_ms), ERR_OK);
    } while (next_ms != INT64_MAX);
    struct log_folder *folders;
    size_t count;
    assert_int_equal(log_directory_list(f->directory, &folders, &count), ERR_OK);
    assert_int_equal(count, 0);
    free(folders);
}

static void open_files_are_bounded(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 1000;
    fixture_open(f);
    fixture_append_many(f, 300, 100);
    assert_int_equal(fixture_read_all(f, 0), 300);
    struct log_cache_stats stats;
    log_cache_stats(f->cache, &stats);
    assert_true(stats.files_open <= 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(offsets_follow_on, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_are_whole_batches, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_stop_at_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(segments_roll_by_size, setup, teardown),
        cmocka_unit_test_setup_teardown(reserved_space_is_given_back, setup, teardown),
        cmocka_unit_test_setup_teardown(segments_roll_by_age, setup, teardown),
        cmocka_unit_test_setup_teardown(segments_of_compacted_logs_roll_by_their_lag, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(segments_roll_by_full_index, setup, teardown),
        cmocka_unit_test_setup_teardown(index_entries_are_kafkas, setup, teardown),
        cmocka_unit_test_setup_teardown(duplicates_are_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(duplicates_ask_for_their_flush, setup, teardown),
        cmocka_unit_test_setup_teardown(producers_survive_every_end, setup, teardown),
        cmocka_unit_test_setup_teardown(producers_expire, setup, teardown),
        cmocka_unit_test_setup_teardown(transactions_hold_the_stable_offset, setup, teardown),
        cmocka_unit_test_setup_teardown(times_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(retention_by_size_and_time, setup, teardown),
        cmocka_unit_test_setup_teardown(retention_waits_for_the_high_watermark, setup, teardown),
        cmocka_unit_test_setup_teardown(compacted_logs_are_kept_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(delete_records, setup, teardown),
        cmocka_unit_test_setup_teardown(truncation, setup, teardown),
        cmocka_unit_test_setup_teardown(flush_moves_the_recovery_point, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_deleted_is_not_flushed, setup, teardown),
        cmocka_unit_test_setup_teardown(slices_outlive_deletion, setup, teardown),
        cmocka_unit_test_setup_teardown(open_files_are_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
