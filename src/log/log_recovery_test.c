/* Broken files made by hand, one kind of damage each: what comes back, and what people are told. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "log/batch_header.h"
#include "log/log_fixture_test.h"

enum { BATCH = 170 }; /* bytes of a batch of these tests */

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    fixture_init(f);
    f->config.segment_bytes = 2000; /* 11 batches */
    f->config.index_interval_bytes = 300;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_done(*state);
    free(*state);
    return 0;
}

/* 40 records in four segments, of which `synced` are synced, ended by a crash. */
static void crashed_log(struct fixture *f, int64_t synced) {
    fixture_open(f);
    fixture_append_many(f, 40, 100);
    assert_int_equal(log_flush(f->log, synced), ERR_OK);
    fixture_checkpoint(f);
    fixture_crash(f, false);
    buffer_clear(&f->lines);
}

static void check_whole(struct fixture *f, int64_t end_offset) {
    assert_int_equal(log_end_offset(f->log), end_offset);
    assert_int_equal(fixture_read_all(f, 0), end_offset);
    assert_int_equal(fixture_append(f, &(struct batch_spec){.value_size = 100}), end_offset);
    assert_int_equal(fixture_read_all(f, 0), end_offset + 1);
}

static void nothing_broken(void **state) {
    struct fixture *f = *state;
    crashed_log(f, 0);
    fixture_open(f);
    told_nothing(f);
    check_whole(f, 40);
}

static void closed_before_it_is_recovered(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    fixture_append_many(f, 10, 100);
    fixture_crash(f, false);
    f->cache = log_cache_new(f->sys, 16, 256 * 1024);
    assert_int_equal(log_directory_open(f->sys, &f->text_log, f->cache, "/data", &f->directory),
                     ERR_OK);
    assert_int_equal(log_open(f->directory, "t-0", &f->config, &f->log), ERR_OK);
    assert_int_equal(log_close(f->log), ERR_OK);
    assert_int_equal(log_directory_mark_clean(f->directory, 7), ERR_INVALID);
    fixture_crash(f, false);
    fixture_open(f);
    assert_int_equal(fixture_read_all(f, 0), 10);
}

static void torn_last_batch(void **state) {
    struct fixture *f = *state;
    crashed_log(f, 0);
    file_truncate(f, "00000000000000000033.log", 6 * BATCH + 100);
    fixture_open(f);
    assert_true(told(f, "00000000000000000033.log: cut 100 bytes at position 1020, from offset 39 "
                        "on, the remains of a write that was not finished: it reaches beyond the "
                        "end of the file"));
    assert_false(file_exists(f, "00000000000000000033.log.1020.damaged"));
    assert_int_equal(file_size(f, "00000000000000000033.log"), 6 * BATCH);
    check_whole(f, 39);
}

static void torn_head(void **state) {
    struct fixture *f = *state;
    crashed_log(f, 0);
    file_truncate(f, "00000000000000000033.log", 6 * BATCH + 9);
    fixture_open(f);
    assert_true(told(f, "cut 9 bytes at position 1020, from offset 39 on, the remains of a write "
                        "that was not finished: less than a batch header"));
    check_whole(f, 39);
}

static void zeros_at_the_end(void **state) {
    struct fixture *f = *state;
    crashed_log(f, 0);
    file_truncate(f, "00000000000000000033.log", 7 * BATCH + 5000);
    fixture_open(f);
    assert_true(told(f, "cut 5000 bytes at position 1190, from offset 40 on, the remains of a "
                        "write that was not finished: zeros"));
    check_whole(f, 40);
}

static void flipped_bit_in_the_last_batch(void **state) {
    struct fixture *f = *state;
    crashed_log(f, 0);
    file_flip(f, "00000000000000000033.log", 6 * BATCH + 100);
    fixture_open(f);
    assert_true(told(f, "cut 170 bytes at position 1020, from offset 39 on, the remains of a write "
                        "that was not finished: its checksum does not match"));
    check_whole(f, 39);
}

static void flipped_bit_before_good_batches(void **state) {
    struct fixture *f = *state;
    crashed_log(f, 0);
    file_flip(f, "00000000000000000033.log", 2 * BATCH + 100);
    fixture_open(f);
    assert_true(told(f, "00000000000000000033.log is damaged at position 340, offset 35: its "
                        "checksum does not match; the log ends there now, and the 850 bytes from "
                        "there on were set aside as /data/t-0/"
                        "00000000000000000033.log.340.damaged"));
    assert_int_equal(file_size(f, "00000000000000000033.log.340.damaged"), 5 * BATCH);
    check_whole(f, 35);
}

static void flipped_bit_before_other_segments(void **state) {
    struct fixture *f = *state;
    crashed_log(f, 0);
    file_flip(f, "00000000000000000011.log", 10 * BATCH + 100);
    fixture_open(f);
    assert_true(told(f, "00000000000000000022.log.damaged: 1870 bytes from offset 22"));
    assert_true(file_exists(f, "00000000000000000011.log.1700.damaged"));
    assert_true(file_exists(f, "00000000000000000022.log.damaged"));
    assert_true(file_exists(f, "00000000000000000033.log.damaged"));
    assert_false(file_exists(f, "00000000000000000033.log"));
    check_whole(f, 21);
    fixture_crash(f, false);
    buffer_clear(&f->lines);
    fixture_open(f);
    told_nothing(f);
    assert_int_equal(fixture_read_all(f, 0), 22);
}

static void synced_bytes_are_set_aside(void **state) {
    struct fixture *f = *state;
    crashed_log(f, 40);
    file_truncate(f, "00000000000000000033.log", 6 * BATCH + 100);
    fixture_open(f);
    assert_true(told(f, "were set aside as /data/t-0/00000000000000000033.log.1020.damaged"));
    check_whole(f, 39);
}

static void below_the_recovery_point_is_not_read(void **state) {
    struct fixture *f = *state;
    crashed_log(f, 22);
    file_flip(f, "00000000000000000000.log", 100);
    fixture_open(f);
    told_nothing(f);
    assert_int_equal(log_end_offset(f->log), 40);
}

static void offsets_that_go_back(void **state) {
    struct fixture *f = *state;
    crashed_log(f, 0);
    struct buffer segment = file_read(f, "00000000000000000033.log");
    put_be64(segment.data + 3 * BATCH, 35); /* outside the CRC */
    file_write(f, "00000000000000000033.log", segment.data, segment.size);
    buffer_done(&segment);
    fixture_open(f);
    assert_true(told(f, "its offset is not above those before"));
    check_whole(f, 36);
}

static void unknown_magic(void **state) {
    struct fixture *f = *state;
    crashed_log(f, 0);
    struct buffer segment = file_read(f, "00000000000000000033.log");
    segment.data[6 * BATCH + 16] = 3;
    file_write(f, "00000000000000000033.log", segment.data, segment.size);
    buffer_done(&segment);
    fixture_open(f);
    assert_true(told(f, "unknown magic"));
    check_whole(f, 39);
}

/* --- indexes --- */

static void times_still_found(struct fixture *f) {
    for (int i = 0; i < 40; i++) {
        struct log_time_offset found;
        assert_int_equal(log_offset_for_timestamp(f->log, SIM_START_WALL_MS + 1 + i, &found),
                         ERR_OK);
        assert_int_equal(found.offset, i);
    }
}

static void closed_log(struct fixture *f) {
    fixture_open(f);
    fixture_append_many(f, 40, 100);
    fixture_close(f);
    buffer_clear(&f->lines);
}

static void missing_indexes_after_a_clean_end(void **state) {
    struct fixture *f = *state;
    closed_log(f);
    struct buffer before = file_read(f, "00000000000000000011.index");
    file_remove(f, "00000000000000000011.index");
    file_remove(f, "00000000000000000022.timeindex");
    fixture_open(f);
    assert_true(told(f, "00000000000000000011.log: an index is missing or damaged and is made "
                        "anew"));
    struct buffer after = file_read(f, "00000000000000000011.index");
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.data, before.data, after.size);
    buffer_done(&before);
    buffer_done(&after);
    assert_true(file_exists(f, "00000000000000000022.timeindex"));
    times_still_found(f);
    check_whole(f, 40);
}

static void torn_index_below_the_recovery_point(void **state) {
    struct fixture *f = *state;
    crashed_log(f, 33);
    file_truncate(f, "00000000000000000011.index", 5);
    fixture_open(f);
    assert_true(told(f, "00000000000000000011.log: an index is missing or damaged"));
    times_still_found(f);
    check_whole(f, 40);
}

static void garbage_in_an_index(void **state) {
    struct fixture *f = *state;
    closed_log(f);
    uint8_t garbage[5 * 8];
    memset(garbage, 0x5a, sizeof garbage);
    file_write(f, "00000000000000000011.index", garbage, sizeof garbage);
    memset(garbage, 0, sizeof garbage);
    file_write(f, "00000000000000000022.index", garbage, sizeof garbage);
    fixture_open(f);
    check_whole(f, 40);
}

static void wrong_positions_in_an_index(void **state) {
    struct fixture *f = *state;
    closed_log(f);
    struct buffer index = file_read(f, "00000000000000000011.index");
    for (size_t at = 4; at < index.size; at += 8) {
        put_be32(index.data + at, get_be32(index.data + at) + 1);
    }
    file_write(f, "00000000000000000011.index", index.data, index.size);
    buffer_done(&index);
    fixture_open(f);
    check_whole(f, 40);
}

static void kafkas_padded_indexes_after_a_crash(void **state) {
    struct fixture *f = *state;
    crashed_log(f, 33);
    file_truncate(f, "00000000000000000033.index", 10485760);
    file_truncate(f, "00000000000000000033.timeindex", 10485756);
    fixture_open(f);
    told_nothing(f);
    assert_true(file_size(f, "00000000000000000033.index") < 100);
    times_still_found(f);
    check_whole(f, 40);
}

static void indexes_without_a_segment(void **state) {
    struct fixture *f = *state;
    closed_log(f);
    file_write(f, "00000000000000000005.index", "", 0);
    fixture_open(f);
    assert_true(told(f, "00000000000000000005.index belongs to no segment and is removed"));
    assert_false(file_exists(f, "00000000000000000005.index"));
    check_whole(f, 40);
}

/* --- small files --- */

static void idempotent_log(struct fixture *f) {
    fixture_open(f);
    struct log_append_result result;
    for (int i = 0; i < 40; i++) {
        struct batch_spec spec = {.producer_id = 9, .sequence = i, .value_size = 100};
        assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
    }
}

static void check_producer(struct fixture *f) {
    struct log_append_result result;
    struct batch_spec spec = {.producer_id = 9, .sequence = 39, .value_size = 100};
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OK);
    assert_true(result.duplicate);
    spec.sequence = 41;
    assert_int_equal(fixture_try_append(f, &spec, &result), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

static void damaged_snapshot(void **state) {
    struct fixture *f = *state;
    idempotent_log(f);
    assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
    fixture_checkpoint(f);
    fixture_crash(f, false);
    file_flip(f, "00000000000000000033.snapshot", 20);
    file_truncate(f, "00000000000000000022.snapshot", 11);
    fixture_open(f);
    assert_true(told(f, "00000000000000000022.snapshot cannot be used: checksum does not match"));
    check_producer(f);
}

static void damaged_snapshot_after_a_clean_end(void **state) {
    struct fixture *f = *state;
    idempotent_log(f);
    fixture_close(f);
    file_flip(f, "00000000000000000040.snapshot", 20);
    fixture_open(f);
    assert_true(told(f, "00000000000000000040.snapshot cannot be used"));
    check_producer(f);
}

static void missing_snapshots(void **state) {
    struct fixture *f = *state;
    idempotent_log(f);
    fixture_crash(f, false);
    file_remove(f, "00000000000000000033.snapshot");
    file_remove(f, "00000000000000000022.snapshot");
    file_remove(f, "00000000000000000011.snapshot");
    fixture_open(f);
    check_producer(f);
    assert_true(file_exists(f, "00000000000000000033.snapshot"));
}

static void stale_snapshot_above_the_end(void **state) {
    struct fixture *f = *state;
    idempotent_log(f);
    fixture_crash(f, false);
    struct buffer snapshot = file_read(f, "00000000000000000033.snapshot");
    file_write(f, "00000000000000000099.snapshot", snapshot.data, snapshot.size);
    buffer_done(&snapshot);
    fixture_open(f);
    assert_false(file_exists(f, "00000000000000000099.snapshot"));
    check_producer(f);
}

static void damaged_epochs(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    for (int i = 0; i < 30; i++) {
        fixture_append(f, &(struct batch_spec){.leader_epoch = i / 10, .value_size = 100});
    }
    fixture_crash(f, false);
    file_write(f, "leader-epoch-checkpoint", "0\n3\n0 0\n1 x\n", 12);
    fixture_open(f);
    assert_true(told(f, "leader-epoch-checkpoint cannot be used and is made anew from the records "
                        "that are checked: line 4: \"x\" is no number in range"));
    struct buffer text = file_read(f, "leader-epoch-checkpoint");
    assert_int_equal(text.size, strlen("0\n3\n0 0\n1 10\n2 20\n"));
    assert_memory_equal(text.data, "0\n3\n0 0\n1 10\n2 20\n", text.size);
    buffer_done(&text);
}

static void epochs_beyond_the_end(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    fixture_append_many(f, 5, 100);
    assert_int_equal(log_epoch_start(f->log, 4), ERR_OK);
    fixture_crash(f, false);
    file_truncate(f, "00000000000000000000.log", 4 * BATCH);
    fixture_open(f);
    assert_int_equal(log_latest_epoch(f->log), 0);
}

static void damaged_partition_metadata(void **state) {
    struct fixture *f = *state;
    closed_log(f);
    file_write(f, "partition.metadata", "version: 0\ntopic_id: short", 26);
    assert_int_equal(fixture_try_open(f), ERR_CORRUPT);
    assert_true(told(f, "partition.metadata cannot be used: topic_id is no id"));
}

static void changed_after_a_clean_end(void **state) {
    struct fixture *f = *state;
    closed_log(f);
    file_truncate(f, "00000000000000000033.log", 6 * BATCH);
    fixture_open(f);
    struct log_append_result result;
    assert_int_equal(fixture_try_append(f, &(struct batch_spec){0}, &result), ERR_CORRUPT);
    assert_true(told(f, "does not end at offset 40, where it was closed"));
    fixture_crash(f, false);
    fixture_open(f);
    check_whole(f, 39);
}

static void leftovers_of_deletion_and_cleaning(void **state) {
    struct fixture *f = *state;
    closed_log(f);
    struct buffer segment = file_read(f, "00000000000000000011.log");
    file_write(f, "00000000000000000003.log.deleted", "x", 1);
    file_write(f, "00000000000000000022.log.cleaned", "x", 1);
    file_write(f, "00000000000000000033.log.swap", "x", 1); /* of an unfinished split */
    /* a finished replacement of the second segment by its first half */
    file_write(f, "00000000000000000011.log.swap", segment.data, 5 * BATCH);
    buffer_done(&segment);
    fixture_open(f);
    assert_false(file_exists(f, "00000000000000000022.log.cleaned"));
    assert_false(file_exists(f, "00000000000000000033.log.swap"));
    assert_int_equal(file_size(f, "00000000000000000011.log"), 5 * BATCH);
    int64_t next_ms;
    assert_int_equal(log_directory_trash_step(f->directory, &next_ms), ERR_OK);
    assert_false(file_exists(f, "00000000000000000003.log.deleted"));
    assert_int_equal(fixture_read_all(f, 0), 40 - 6);
    struct log_slice slice; /* into the gap: the next batch */
    assert_int_equal(log_read(f->log, 17, 1000, INT64_MAX, LOG_READ_MIN_ONE, &slice), ERR_OK);
    assert_int_equal(slice.start_offset, 22);
    log_slice_release(&slice);
}

static void lost_segments(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    fixture_append_many(f, 40, 100);
    assert_int_equal(log_delete_records(f->log, 35), ERR_OK);
    assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
    fixture_checkpoint(f);
    fixture_crash(f, false);
    file_remove(f, "00000000000000000033.log");
    fixture_open(f);
    assert_true(told(f, "ends at offset 33, below its start offset 35: records were lost"));
    assert_int_equal(log_start_offset(f->log), 35);
    assert_int_equal(fixture_append(f, &(struct batch_spec){0}), 35);
}

static void old_magic_is_served(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    fixture_crash(f, false);
    uint8_t messages[2 * 40] = {0};
    size_t size = 0;
    for (int magic = 0; magic < 2; magic++) {
        uint8_t *p = messages + size;
        size_t body = magic == 0 ? 15 : 23; /* crc to value, a value of one byte */
        put_be64(p, (uint64_t)magic);
        put_be32(p + 8, (uint32_t)body);
        p[16] = (uint8_t)magic;
        if (magic == 1) {
            put_be64(p + 18, 1234);
        }
        uint8_t *key = p + (magic == 0 ? 18 : 26);
        put_be32(key, UINT32_MAX);
        put_be32(key + 4, 1);
        key[8] = 'v';
        put_be32(p + 12, crc32_ieee(0, p + 16, body - 4));
        size += 12 + body;
    }
    file_write(f, "00000000000000000000.log", messages, size);
    fixture_open(f);
    told_nothing(f);
    assert_int_equal(log_end_offset(f->log), 2);
    assert_int_equal(fixture_read_all(f, 0), 2);
    struct log_time_offset found;
    assert_int_equal(log_offset_for_timestamp(f->log, 1000, &found), ERR_OK);
    assert_int_equal(found.offset, 1);
    assert_int_equal(found.timestamp_ms, 1234);
    assert_int_equal(fixture_append(f, &(struct batch_spec){0}), 2);
}

/* Readers and coordinators take what is there for committed, whoever wrote it: a process that was
 * killed before it could sync. */
static void what_was_never_synced_is_synced_when_it_is_due(void **state) {
    struct fixture *f = *state;
    f->config.flush_messages = 1;
    for (int round = 0; round < 20; round++) { /* what the power takes is up to chance */
        fixture_open(f);
        assert_int_equal(log_end_offset(f->log), round);
        assert_int_equal(log_recovery_point(f->log), round);
        fixture_append(f, &(struct batch_spec){0});
        fixture_crash(f, false);
        fixture_open(f);
        fixture_crash(f, true);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(nothing_broken),
        CASE(closed_before_it_is_recovered),
        CASE(torn_last_batch),
        CASE(torn_head),
        CASE(what_was_never_synced_is_synced_when_it_is_due),
        CASE(zeros_at_the_end),
        CASE(flipped_bit_in_the_last_batch),
        CASE(flipped_bit_before_good_batches),
        CASE(flipped_bit_before_other_segments),
        CASE(synced_bytes_are_set_aside),
        CASE(below_the_recovery_point_is_not_read),
        CASE(offsets_that_go_back),
        CASE(unknown_magic),
        CASE(missing_indexes_after_a_clean_end),
        CASE(torn_index_below_the_recovery_point),
        CASE(garbage_in_an_index),
        CASE(wrong_positions_in_an_index),
        CASE(kafkas_padded_indexes_after_a_crash),
        CASE(indexes_without_a_segment),
        CASE(damaged_snapshot),
        CASE(damaged_snapshot_after_a_clean_end),
        CASE(missing_snapshots),
        CASE(stale_snapshot_above_the_end),
        CASE(damaged_epochs),
        CASE(epochs_beyond_the_end),
        CASE(damaged_partition_metadata),
        CASE(changed_after_a_clean_end),
        CASE(leftovers_of_deletion_and_cleaning),
        CASE(lost_segments),
        CASE(old_magic_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
