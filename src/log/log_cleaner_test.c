/* Compacted logs on a simulated disk: what is left of them. Crashes: log_cleaner_crash_test.c. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "log/log_cleaner_fixture_test.h"
#include "log/offset_map.h"
#include "wire/record_batch.h"

enum { DAY_MS = 24 * 60 * 60 * 1000 };

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    fixture_init(f);
    f->config.cleanup_compact = true;
    f->config.cleanup_delete = false;
    f->config.segment_bytes = 1000;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_done(*state);
    free(*state);
    return 0;
}

/* --- records by key --- */

static void the_newest_of_each_key_stays(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    put(f, "abc", "1");
    seal(f);
    put(f, "ab", "2");
    put(f, "-d", "2");
    seal(f);
    put(f, "a", "3");
    clean(f);
    shows(f, "2:c=1 3:a=2 4:b=2 6:d=2 7:a=3 "); /* the active segment is not looked at */
    assert_int_equal(log_segment_count(f->log), 2);
    assert_int_equal(log_end_offset(f->log), 8);
    assert_int_equal(log_start_offset(f->log), 0);
    int64_t cleaned;
    assert_true(log_cleaned_offset(f->log, &cleaned));
    assert_int_equal(cleaned, 7);
    seal(f);
    clean(f);
    shows(f, "2:c=1 4:b=2 6:d=2 7:a=3 ");
    assert_int_equal(log_segment_count(f->log), 2);
}

static void codecs_are_kept(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    for (int codec = COMPRESSION_NONE; codec < COMPRESSION_TYPE_COUNT; codec++) {
        append(f, &(struct keyed){.keys = "abcx", .value = "1", .compression = codec});
    }
    seal(f);
    put(f, "ab", "2");
    seal(f);
    clean(f);
    shows(f, "18:c=1 19:x=1 20:a=2 21:b=2 ");
    struct log_slice slice;
    assert_int_equal(log_read(f->log, 16, 1000, INT64_MAX, 0, &slice), ERR_OK);
    assert_int_equal(slice.start_offset, 16);
    uint8_t head[RECORD_BATCH_HEADER_SIZE];
    size_t got;
    assert_int_equal(sys_file_read(slice.file, slice.position, head, sizeof head, &got), ERR_OK);
    assert_int_equal(record_batch_compression(head), COMPRESSION_ZSTD);
    assert_int_equal(record_batch_last_offset(head), 19);
    log_slice_release(&slice);
}

static void tombstones_wait_for_their_horizon(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    put(f, "ab", "1");
    put(f, "a", NULL);
    put(f, "cd", NULL);
    seal(f);
    put(f, "d", "2");
    seal(f);
    clean(f);
    shows(f, "1:b=1 H2:!a H3:!c 5:d=2 ");
    put(f, "e", "3");
    seal(f);
    f->now_ms += DAY_MS - 1000;
    clean(f);
    shows(f, "1:b=1 H2:!a H3:!c 5:d=2 6:e=3 ");
    put(f, "f", "3");
    seal(f);
    f->now_ms += 2000;
    clean(f);
    shows(f, "1:b=1 5:d=2 6:e=3 7:f=3 ");
}

static void the_end_of_the_cleaned_part_stays(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    put(f, "a", "1");
    put(f, "--", "1");
    seal(f);
    clean(f);
    shows(f, "0:a=1 E2 ");
    fixture_crash(f, false);
    fixture_open(f);
    assert_int_equal(log_end_offset(f->log), 3);
}

/* A log that lost its end, and grew again: what it has there now was never compacted. */
static void a_checkpoint_beyond_the_end_is_forgotten(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    put(f, "ab", "1");
    fixture_checkpoint_at(f, LOG_CHECKPOINT_CLEANER, 4);
    fixture_crash(f, false);
    fixture_open(f);
    put(f, "a", "2");
    put(f, "bc", NULL);
    seal(f);
    clean(f);
    shows(f, "2:a=2 H3:!b 4:!c ");
}

/* What the cleaner took out is not taken for what a power cut did: nothing says at the start that
 * the log was compacted a moment ago. */
static void a_crash_after_the_policy_changed(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 100; /* each stays a segment of its own */
    fixture_open(f);
    for (int i = 0; i < 2; i++) {
        put(f, "a", "1");
        put(f, "b", "2");
    }
    assert_int_equal(log_roll(f->log), ERR_OK);
    assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
    for (int checkpointed = 0; checkpointed <= 1; checkpointed++) {
        const char *left = checkpointed ? "2:a=1 3:b=2 " : "0:a=1 1:b=2 2:a=1 3:b=2 ";
        if (checkpointed) {
            log_high_watermark_set(f->log, log_end_offset(f->log));
            seal(f);
        }
        clean(f);
        shows(f, left);
        f->config.cleanup_compact = false;
        f->config.cleanup_delete = true;
        fixture_crash(f, false);
        fixture_open(f);
        shows(f, left);
        f->config.cleanup_compact = true;
        f->config.cleanup_delete = false;
        log_configure(f->log, &f->config);
    }
}

/* --- transactions --- */

/* bug T17 */
static void transactions(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    append(f, &(struct keyed){.keys = "ab", .value = "c", .producer_id = 1, .transactional = true});
    append(f, &(struct keyed){.keys = "ac", .value = "x", .producer_id = 2, .transactional = true});
    end_txn(f, 1, true);  /* 4 */
    end_txn(f, 2, false); /* 5 */
    append(f, &(struct keyed){.keys = "q",
                              .value = "y",
                              .producer_id = 1,
                              .sequence = 2,
                              .transactional = true}); /* 6 */
    append(f, &(struct keyed){.keys = "q",
                              .value = "y",
                              .producer_id = 2,
                              .sequence = 2,
                              .transactional = true}); /* 7 */
    seal(f);
    struct log_cleanable cleanable;
    assert_int_equal(log_cleanable(f->log, f->now_ms, false, &cleanable), ERR_OK);
    assert_int_equal(cleanable.cleanable_bytes, 0); /* open transactions stand in the segment */
    end_txn(f, 1, true);                            /* 8 */
    end_txn(f, 2, false);                           /* 9 */
    seal(f);
    clean(f);
    /* what was aborted is gone, but for the last batch of its producer */
    shows(f, "0:a=c 1:b=c 4:C 5:A 6:q=y E7 8:C 9:A ");
    struct log_aborted *aborted;
    size_t count;
    assert_int_equal(log_aborted_transactions(f->log, 0, 10, 0, &aborted, &count), ERR_OK);
    assert_int_equal(count, 2);
    assert_int_equal(aborted[1].first_offset, 7);
    free(aborted);
    put(f, "z", "1");
    seal(f);
    clean(f); /* nothing is left of the first marker's transaction: from now on it waits */
    shows(f, "0:a=c 1:b=c 4:C H5:A 6:q=y E7 8:C 9:A 10:z=1 ");
    assert_int_equal(log_aborted_transactions(f->log, 0, 10, 0, &aborted, &count), ERR_OK);
    assert_int_equal(count, 1);
    free(aborted);
    put(f, "y", "1");
    seal(f);
    f->now_ms += 2 * DAY_MS;
    clean(f);
    shows(f, "0:a=c 1:b=c 4:C 6:q=y E7 8:C 9:A 10:z=1 11:y=1 ");
}

static void producers_go_on(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    append(f, &(struct keyed){.keys = "a", .value = "1", .producer_id = 5, .sequence = 0});
    append(f, &(struct keyed){.keys = "a", .value = "2", .producer_id = 5, .sequence = 1});
    put(f, "ab", "3");
    seal(f);
    clean(f);
    shows(f, "E1 2:a=3 3:b=3 ");
    for (int i = 0; i < 2; i++) { /* what a start knows comes from the files */
        struct log_append_result result;
        struct buffer batch = {0};
        batch_make(f, &(struct batch_spec){.producer_id = 5, .sequence = 1}, &batch);
        struct log_append again = {.data = batch.data, .size = batch.size, .now_ms = f->now_ms};
        assert_int_equal(log_append(f->log, &again, &result), ERR_OK);
        assert_true(result.duplicate);
        assert_int_equal(result.first_offset, 1);
        buffer_done(&batch);
        fixture_crash(f, false);
        if (i == 0) {
            file_remove(f, "00000000000000000004.snapshot");
        }
        fixture_open(f);
    }
}

/* A marker of which only the head is left, and a start that has nothing else. */
static void a_markers_epoch_is_kept(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    append(f, &(struct keyed){.keys = "a", .value = "1", .producer_id = 1, .transactional = true});
    int64_t ended_ms = ++f->now_ms;
    assert_int_equal(fixture_marker_of(f, 1, 1, true, 1, 2), ERR_OK);
    for (int i = 0; i < 3; i++) { /* its records go, its delete horizon begins, and is over */
        put(f, "a", "2");
        seal(f);
        clean(f);
        f->now_ms += 2 * DAY_MS;
    }
    shows(f, "E1 4:a=2 ");
    fixture_crash(f, false);
    file_remove(f, "00000000000000000005.snapshot");
    fixture_open(f);
    struct log_producer *producers;
    size_t count;
    log_producers(f->log, &producers, &count);
    assert_int_equal(count, 1);
    assert_int_equal(producers[0].producer_id, 1);
    assert_int_equal(producers[0].epoch, 1);
    assert_int_equal(producers[0].last_timestamp_ms, ended_ms);
    assert_int_equal(producers[0].last_sequence, -1);
    free(producers);
    put(f, "a", "3");
    seal(f);
    clean(f);
    shows(f, "E1 5:a=3 ");
    struct log_append_result result;
    struct batch_spec old = {.producer_id = 1, .producer_epoch = 0, .sequence = 1};
    assert_int_equal(fixture_try_append(f, &old, &result), ERR_INVALID_PRODUCER_EPOCH);
}

/* --- how much at once --- */

static void a_small_map_takes_several_cleanings(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    put(f, "abcdefgh", "1");
    seal(f);
    put(f, "ijkl", "1");
    put(f, "mnop", "1");
    seal(f);
    put(f, "amxyz", "2");
    seal(f);
    struct log_cleaning_settings settings = settings_of(f);
    settings.map_bytes = 15 * OFFSET_MAP_SLOT_SIZE; /* 13 keys */
    assert_int_equal(try_clean(f, &settings), ERR_OK);
    int64_t cleaned;
    assert_true(log_cleaned_offset(f->log, &cleaned));
    assert_int_equal(cleaned, 12); /* the batch that did not fit is not cleaned */
    assert_int_equal(try_clean(f, &settings), ERR_OK);
    assert_true(log_cleaned_offset(f->log, &cleaned));
    assert_int_equal(cleaned, 21);
    shows(f, "1:b=1 2:c=1 3:d=1 4:e=1 5:f=1 6:g=1 7:h=1 8:i=1 9:j=1 10:k=1 11:l=1 13:n=1 "
             "14:o=1 15:p=1 16:a=2 17:m=2 18:x=2 19:y=2 20:z=2 ");
    settings.map_bytes = 4 * OFFSET_MAP_SLOT_SIZE;
    put(f, "0123456", "1");
    seal(f);
    assert_int_equal(try_clean(f, &settings), ERR_LIMIT); /* not even one batch */
}

/* One whose records cannot be had: their size is told before they are expanded. */
static void a_batch_that_expands_too_far(void **state) {
    struct fixture *f = *state;
    enum { SIZE = RECORD_BATCH_HEADER_SIZE + RECORD_SET_DECOMPRESSED_MAX / 20 };
    static const uint8_t expanded_size[] = {0x81, 0x80, 0x80, 0x80, 0x01}; /* 256 MiB and a byte */
    f->config.segment_bytes = SIZE;
    fixture_open(f);
    struct buffer batch = {0};
    batch_make(f, &(struct batch_spec){0}, &batch);
    buffer_extend(&batch, SIZE - batch.size);
    memset(batch.data + RECORD_BATCH_HEADER_SIZE, 0, SIZE - RECORD_BATCH_HEADER_SIZE);
    memcpy(batch.data + RECORD_BATCH_HEADER_SIZE, expanded_size, sizeof expanded_size);
    put_be32(batch.data + RECORD_BATCH_LENGTH, SIZE - RECORD_BATCH_OVERHEAD);
    put_be16(batch.data + RECORD_BATCH_ATTRIBUTES, COMPRESSION_SNAPPY);
    put_be32(batch.data + RECORD_BATCH_CRC, record_batch_crc_compute(batch.data, SIZE));
    struct log_append_result result;
    struct log_append append = {.data = batch.data, .size = SIZE, .now_ms = f->now_ms};
    assert_int_equal(log_append(f->log, &append, &result), ERR_OK);
    buffer_done(&batch);
    log_high_watermark_set(f->log, log_end_offset(f->log));
    seal(f);
    struct log_cleaning_settings settings = settings_of(f);
    assert_int_equal(try_clean(f, &settings), ERR_MESSAGE_TOO_LARGE);
    fixture_checkpoint_at(f, LOG_CHECKPOINT_CLEANER, 1);
    fixture_crash(f, false);
    fixture_open(f);
    put(f, "a", "1");
    seal(f);
    assert_int_equal(try_clean(f, &settings), ERR_MESSAGE_TOO_LARGE); /* it is only copied */
}

static void lags_are_kept(void **state) {
    struct fixture *f = *state;
    f->config.min_compaction_lag_ms = 1000;
    f->config.max_compaction_lag_ms = 5000;
    f->config.min_cleanable_ratio = 1;
    fixture_open(f);
    put(f, "a", "1");
    seal(f);
    f->now_ms += 900;
    put(f, "a", "2");
    seal(f);
    f->now_ms += 500;
    struct log_cleanable cleanable;
    assert_int_equal(log_cleanable(f->log, f->now_ms, false, &cleanable), ERR_OK);
    assert_int_equal(cleanable.first_uncleanable_offset, 1);
    assert_int_equal(cleanable.delay_ms, 0);
    assert_false(log_cleanable_due(f->log, &cleanable));
    f->now_ms += 4000;
    assert_int_equal(log_cleanable(f->log, f->now_ms, false, &cleanable), ERR_OK);
    assert_int_equal(cleanable.first_uncleanable_offset, 2);
    assert_true(cleanable.delay_ms > 0);
    assert_true(log_cleanable_due(f->log, &cleanable));
}

/* Else a segment of which the map has no room for the last keys would be cleaned over and over. */
static void what_is_clean_in_part_is_clean_and_dirty(void **state) {
    struct fixture *f = *state;
    f->config.min_cleanable_ratio = 0.5;
    fixture_open(f);
    put(f, "abcdefgh", "1");
    seal(f);
    struct log_cleanable cleanable;
    assert_int_equal(log_cleanable(f->log, f->now_ms, false, &cleanable), ERR_OK);
    assert_true(cleanable.ratio == 1);
    assert_int_equal(log_delete_records(f->log, 4), ERR_OK);
    assert_int_equal(log_cleanable(f->log, f->now_ms, false, &cleanable), ERR_OK);
    assert_int_equal(cleanable.first_dirty_offset, 4);
    assert_true(cleanable.clean_bytes > 0);
    assert_true(cleanable.ratio == 0.5);
    assert_false(log_cleanable_due(f->log, &cleanable));
}

/* A transaction that was aborted before the dirty part says nothing of its producer's later ones.
 */
static void a_cleaning_that_begins_within_a_segment(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    put(f, "k", "1");
    append(f, &(struct keyed){.keys = "x", .value = "0", .producer_id = 1, .transactional = true});
    end_txn(f, 1, false); /* 2 */
    put(f, "abcd", "1");
    append(
        f,
        &(struct keyed){
            .keys = "eka", .value = "2", .producer_id = 1, .sequence = 1, .transactional = true});
    end_txn(f, 1, true); /* 10 */
    append(f,
           &(struct keyed){
               .keys = "b", .value = "2", .producer_id = 1, .sequence = 4, .transactional = true});
    end_txn(f, 1, true); /* 12 */
    seal(f);
    struct log_cleaning_settings settings = settings_of(f);
    settings.map_bytes = 6 * OFFSET_MAP_SLOT_SIZE; /* 5 keys */
    assert_int_equal(try_clean(f, &settings), ERR_OK);
    int64_t cleaned;
    assert_true(log_cleaned_offset(f->log, &cleaned));
    assert_int_equal(cleaned, 7);
    assert_int_equal(try_clean(f, &settings), ERR_OK);
    assert_true(log_cleaned_offset(f->log, &cleaned));
    assert_int_equal(cleaned, 13);
    shows(f, "H2:A 5:c=1 6:d=1 7:e=2 8:k=2 9:a=2 10:C 11:b=2 12:C ");
}

/* A power cut that takes the newest value of a key must not have cost the older one; and nobody may
 * take what the cleaner left out for the loss of what was not synced. */
static void what_is_not_known_as_synced_is_left_alone(void **state) {
    struct fixture *f = *state;
    struct log_cleanable cleanable;
    fixture_open(f);
    put(f, "a", "1");
    seal(f);
    put(f, "a", "2");
    assert_int_equal(log_roll(f->log), ERR_OK);
    assert_int_equal(log_cleanable(f->log, f->now_ms, false, &cleanable), ERR_OK);
    assert_int_equal(cleanable.first_uncleanable_offset, 1);
    clean(f);
    shows(f, "0:a=1 1:a=2 ");
    assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
    clean(f);
    shows(f, "0:a=1 1:a=2 ");
    fixture_checkpoint(f);
    clean(f);
    shows(f, "1:a=2 ");
}

/* The active segment is not compacted: it must not stay active for longer than the lag. */
static void a_lag_ends_segments(void **state) {
    struct fixture *f = *state;
    f->config.max_compaction_lag_ms = 5000;
    fixture_open(f);
    put(f, "a", "1");
    f->now_ms += 4000;
    put(f, "a", "2");
    assert_int_equal(log_segment_count(f->log), 1);
    f->now_ms += 2000;
    put(f, "a", "3");
    assert_int_equal(log_segment_count(f->log), 2);
    f->config.cleanup_compact = false;
    f->config.cleanup_delete = true;
    log_configure(f->log, &f->config);
    f->now_ms += 6000;
    put(f, "a", "4");
    assert_int_equal(log_segment_count(f->log), 2);
}

static void segments_are_grouped(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    for (int i = 0; i < 12; i++) {
        char key[2] = {(char)('a' + i), '\0'};
        put(f, key,
            "01234567890123456789012345678901234567890123456789012345678901234567890123456"
            "01234567890123456789012345678901234567890123456789012345678901234567890123456"
            "01234567890123456789012345678901234567890123456789012345678901234567890123456");
        seal(f);
    }
    clean(f);
    assert_int_equal(log_segment_count(f->log), 5); /* three of 300 bytes fit into one */
    assert_int_equal(fixture_read_all(f, 0), 12);
    assert_false(file_exists(f, "00000000000000000001.log"));
    assert_true(file_exists(f, "00000000000000000001.log.deleted"));
    fixture_crash(f, true);
    fixture_open(f);
    assert_int_equal(log_segment_count(f->log), 5);
    assert_int_equal(fixture_read_all(f, 0), 12);
}

/* --- beside others --- */

static void slices_outlive_a_cleaning(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    put(f, "a", "1");
    put(f, "a", "2");
    seal(f);
    struct log_slice slice;
    assert_int_equal(log_read(f->log, 0, 3000, INT64_MAX, 0, &slice), ERR_OK);
    clean(f);
    uint8_t head[RECORD_BATCH_HEADER_SIZE];
    size_t got;
    assert_int_equal(sys_file_read(slice.file, slice.position, head, sizeof head, &got), ERR_OK);
    assert_int_equal(record_batch_last_offset(head), 0);
    log_slice_release(&slice);
    shows(f, "1:a=2 ");
}

/* Runs a cleaning up to its swap. */
static struct log_cleaning *before_swap(struct fixture *f) {
    struct log_cleanable cleanable;
    assert_int_equal(log_cleanable(f->log, f->now_ms, false, &cleanable), ERR_OK);
    struct log_cleaning_settings settings = settings_of(f);
    struct log_cleaning *cleaning = log_cleaning_new(f->log, &cleanable, &settings);
    enum log_cleaning_next next = LOG_CLEANING_AGAIN;
    while (next == LOG_CLEANING_AGAIN) {
        assert_int_equal(log_cleaning_step(cleaning, &next), ERR_OK);
    }
    assert_int_equal(next, LOG_CLEANING_SWAP);
    return cleaning;
}

static void what_changes_meanwhile_ends_it(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    put(f, "a", "1");
    seal(f);
    put(f, "a", "2");
    seal(f);
    struct log_cleaning *cleaning = before_swap(f);
    assert_true(file_exists(f, "00000000000000000000.log.cleaned"));
    assert_int_equal(log_truncate_to(f->log, 1), ERR_OK);
    assert_int_equal(log_cleaning_swap(cleaning), ERR_NOT_FOUND);
    log_cleaning_free(cleaning);
    assert_false(file_exists(f, "00000000000000000000.log.cleaned"));
    shows(f, "0:a=1 ");

    put(f, "a", "3");
    seal(f);
    put(f, "b", "3");
    seal(f);
    cleaning = before_swap(f);
    assert_int_equal(log_delete_records(f->log, 2), ERR_OK);
    bool more;
    assert_int_equal(log_retention_step(f->log, f->now_ms, &more), ERR_OK);
    assert_true(more);
    assert_int_equal(log_cleaning_swap(cleaning), ERR_NOT_FOUND);
    log_cleaning_free(cleaning);
    shows(f, "2:b=3 ");

    put(f, "b", "4");
    seal(f);
    cleaning = before_swap(f);
    struct log_config config = f->config;
    config.cleanup_compact = false;
    log_configure(f->log, &config);
    enum log_cleaning_next next;
    assert_int_equal(log_cleaning_step(cleaning, &next), ERR_CLOSED);
    log_cleaning_free(cleaning);
}

/* What was found out of a log says nothing of one that was cut, and grew again, since. */
static void what_was_cut_is_looked_at_anew(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    put(f, "a", "1");
    put(f, "b", "1");
    seal(f);
    struct log_cleaning *cleaning = before_swap(f);
    assert_int_equal(log_cleaning_swap(cleaning), ERR_OK);
    enum log_cleaning_next next;
    while (!log_cleaning_may_stop(cleaning)) {
        assert_int_equal(log_cleaning_step(cleaning, &next), ERR_OK);
    }
    assert_int_equal(log_truncate_to(f->log, 1), ERR_OK);
    put(f, "a", "2");
    seal(f);
    assert_int_equal(run(cleaning), ERR_NOT_FOUND);
    log_cleaning_free(cleaning);
    int64_t cleaned;
    assert_false(log_cleaned_offset(f->log, &cleaned));

    struct log_cleanable cleanable;
    assert_int_equal(log_cleanable(f->log, f->now_ms, false, &cleanable), ERR_OK);
    assert_int_equal(cleanable.first_uncleanable_offset, 2);
    assert_int_equal(log_truncate_to(f->log, 1), ERR_OK);
    append(f, &(struct keyed){.keys = "a", .value = "3", .producer_id = 1, .transactional = true});
    seal(f);
    struct log_cleaning_settings settings = settings_of(f);
    cleaning = log_cleaning_new(f->log, &cleanable, &settings);
    assert_int_equal(run(cleaning), ERR_NOT_FOUND);
    log_cleaning_free(cleaning);
    shows(f, "0:a=1 1:a=3 ");
}

struct giving_up {
    struct log_cleaning *cleaning;
    bool ended;
};

static void give_up(void *arg) {
    struct giving_up *act = arg;
    log_cleaning_free(act->cleaning);
    act->ended = true;
}

static bool has_given_up(void *arg) {
    return ((struct giving_up *)arg)->ended;
}

/* A .cleaned that stayed would tell a later start that what was finished since is not. */
static void what_is_given_up_does_not_stay(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    put(f, "a", "1");
    seal(f);
    struct sim_fault fault = {
        .kind = SIM_FAULT_ERROR, .calls = SIM_CALL_NAME, .path = "*.log.cleaned", .count_max = 1};
    (void)sim_disk_add_fault(f->host, &fault);
    struct giving_up act = {.cleaning = before_swap(f)};
    sim_host_spawn(f->host, "cleaner", give_up, &act); /* only actors meet faults */
    assert_true(sim_world_run_until(f->world, has_given_up, &act, 60000));
    assert_true(file_exists(f, "00000000000000000000.log.cleaned"));
    assert_int_equal(log_directory_state(f->directory), ERR_IO);
}

static void others_keep_away_from_renaming(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    put(f, "a", "1");
    seal(f);
    put(f, "a", "2");
    seal(f);
    struct log_cleaning *cleaning = before_swap(f);
    assert_int_equal(log_cleaning_swap(cleaning), ERR_OK);
    assert_false(log_cleaning_may_stop(cleaning));
    put(f, "b", "3");
    assert_int_equal(log_delete_records(f->log, 2), ERR_OK);
    bool more = true;
    assert_int_equal(log_retention_step(f->log, f->now_ms, &more), ERR_OK);
    assert_false(more);
    assert_int_equal(log_truncate_to(f->log, 1), ERR_BUSY);
    assert_int_equal(run(cleaning), ERR_OK);
    log_cleaning_free(cleaning);
    assert_int_equal(log_retention_step(f->log, f->now_ms, &more), ERR_OK);
    assert_true(more);
    shows(f, "2:b=3 ");
}

static void damage_is_found(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    put(f, "a", "1");
    put(f, "a", "2");
    seal(f);
    file_flip(f, "00000000000000000000.log", 100);
    struct log_cleaning_settings settings = settings_of(f);
    assert_int_equal(try_clean(f, &settings), ERR_CORRUPT);
    assert_false(file_exists(f, "00000000000000000000.log.cleaned"));
}

/* --- leftovers --- */

/* What Apache Kafka leaves when it dies in the middle: its names are the same. */
static void leftovers_of_a_crash(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    put(f, "a", "1");
    seal(f);
    put(f, "a", "2");
    seal(f);
    put(f, "a", "3");
    seal(f);
    struct buffer old = file_read(f, "00000000000000000000.log");
    clean(f);
    struct buffer cleaned = file_read(f, "00000000000000000000.log");
    struct buffer index = file_read(f, "00000000000000000000.index");
    fixture_crash(f, false);

    /* only names of indexes are missing: the log stays what it is */
    file_remove(f, "00000000000000000000.index");
    file_write(f, "00000000000000000000.index.swap", index.data, index.size);
    fixture_open(f);
    shows(f, "2:a=3 ");
    assert_true(file_exists(f, "00000000000000000000.index"));
    fixture_crash(f, false);

    /* renaming to .swap had only begun: the old one counts */
    file_write(f, "00000000000000000000.log", old.data, old.size);
    file_write(f, "00000000000000000000.timeindex.swap", index.data, index.size);
    file_write(f, "00000000000000000000.log.cleaned", cleaned.data, cleaned.size);
    fixture_open(f);
    assert_false(file_exists(f, "00000000000000000000.log.cleaned"));
    assert_false(file_exists(f, "00000000000000000000.timeindex.swap"));
    shows(f, "0:a=1 ");
    fixture_crash(f, false);

    /* it was complete */
    file_write(f, "00000000000000000000.log.swap", cleaned.data, cleaned.size);
    fixture_open(f);
    shows(f, "2:a=3 ");
    buffer_done(&old);
    buffer_done(&cleaned);
    buffer_done(&index);
}

/* --- the map --- */

static void hash_is_siphash(void **state) {
    (void)state;
    uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908}, hash[2];
    uint8_t data[63];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)i;
    }
    key_hash(key, (struct bytes){data, 0}, hash);
    assert_true(hash[0] == 0xe6a825ba047f81a3 && hash[1] == 0x930255c71472f66d);
    key_hash(key, (struct bytes){data, 1}, hash);
    assert_true(hash[0] == 0x44af996bd8c187da && hash[1] == 0x45fc229b11597634);
}

static void the_map_keeps_to_its_bound(void **state) {
    (void)state;
    uint64_t key[2] = {1, 2};
    struct offset_map map;
    offset_map_init(&map, 100 * OFFSET_MAP_SLOT_SIZE, 0.9, 1 << 20, key);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(offset_map_put(&map, (struct bytes){(uint8_t *)&i, sizeof i}, i), i < 90);
    }
    for (int i = 0; i < 200; i++) {
        assert_int_equal(offset_map_get(&map, (struct bytes){(uint8_t *)&i, sizeof i}),
                         i < 90 ? i : -1);
    }
    int again = 7;
    assert_true(offset_map_put(&map, (struct bytes){(uint8_t *)&again, sizeof again}, 500));
    assert_int_equal(offset_map_get(&map, (struct bytes){(uint8_t *)&again, sizeof again}), 500);
    offset_map_done(&map);
    double odd[] = {0, -1, -1e300, 5};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        offset_map_init(&map, 100 * OFFSET_MAP_SLOT_SIZE, odd[i], 1 << 20, key);
        bool room = offset_map_put(&map, (struct bytes){(uint8_t *)&again, sizeof again}, 1);
        assert_int_equal(room, odd[i] > 0);
        offset_map_done(&map);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_of_each_key_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(codecs_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(tombstones_wait_for_their_horizon, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_the_cleaned_part_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(a_checkpoint_beyond_the_end_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_after_the_policy_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(transactions, setup, teardown),
        cmocka_unit_test_setup_teardown(producers_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_markers_epoch_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_small_map_takes_several_cleanings, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_that_expands_too_far, setup, teardown),
        cmocka_unit_test_setup_teardown(lags_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_clean_in_part_is_clean_and_dirty, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cleaning_that_begins_within_a_segment, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_known_as_synced_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lag_ends_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(segments_are_grouped, setup, teardown),
        cmocka_unit_test_setup_teardown(slices_outlive_a_cleaning, setup, teardown),
        cmocka_unit_test_setup_teardown(what_changes_meanwhile_ends_it, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_cut_is_looked_at_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_given_up_does_not_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(others_keep_away_from_renaming, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(leftovers_of_a_crash, setup, teardown),
        cmocka_unit_test(hash_is_siphash),
        cmocka_unit_test(the_map_keeps_to_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
