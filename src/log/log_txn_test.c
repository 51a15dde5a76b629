/* Transactions in a log: who may end them, who may begin them, and what survives which end. */
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"
#include "log/log_fixture_test.h"
#include "wire/batch_builder.h"

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

/* --- the fixture's appends, with what a leader knows of transactions --- */

static err_t data(struct fixture *f, int64_t producer_id, int16_t epoch, int32_t sequence) {
    struct log_append_result result;
    return fixture_try_append(f,
                              &(struct batch_spec){.producer_id = producer_id,
                                                   .producer_epoch = epoch,
                                                   .sequence = sequence,
                                                   .transactional = true},
                              &result);
}

static err_t verified(struct fixture *f, int64_t producer_id, int16_t epoch, int32_t sequence,
                      int64_t guard, int flags) {
    struct buffer batch = {0};
    batch_make(f,
               &(struct batch_spec){.producer_id = producer_id,
                                    .producer_epoch = epoch,
                                    .sequence = sequence,
                                    .transactional = true},
               &batch);
    struct log_append append = {.data = batch.data,
                                .size = batch.size,
                                .now_ms = f->now_ms,
                                .flags = LOG_APPEND_VERIFIED | flags,
                                .txn_guard = guard};
    struct log_append_result result;
    err_t err = log_append(f->log, &append, &result);
    buffer_done(&batch);
    return err;
}

static int64_t guard(struct fixture *f, int64_t producer_id, int16_t epoch, bool open) {
    int64_t value;
    bool is_open;
    assert_int_equal(log_txn_is_open(f->log, producer_id, epoch, &is_open, &value), ERR_OK);
    assert_int_equal(is_open, open);
    return value;
}

static void commit_all(struct fixture *f) {
    log_high_watermark_set(f->log, log_end_offset(f->log));
}

static size_t aborted_count(struct fixture *f, int64_t start_offset, int64_t end_offset) {
    struct log_aborted *aborted;
    size_t count;
    assert_int_equal(
        log_aborted_transactions(f->log, start_offset, end_offset, 0, &aborted, &count), ERR_OK);
    free(aborted);
    return count;
}

static struct log_producer producer_of(struct fixture *f, int64_t producer_id) {
    struct log_producer *producers;
    struct log_producer found = {.producer_id = -1};
    size_t count;
    log_producers(f->log, &producers, &count);
    for (size_t i = 0; i < count; i++) {
        found = producers[i].producer_id == producer_id ? producers[i] : found;
    }
    free(producers);
    return found;
}

/* --- who may end a transaction --- */

static void an_older_epoch_ends_nothing(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(data(f, 9, 3, 0), ERR_OK);
    assert_int_equal(fixture_marker_of(f, 9, 2, true, 0, 0), ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(fixture_marker_of(f, 9, 2, true, 0, 2), ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(producer_of(f, 9).current_txn_offset, 0);
    assert_int_equal(log_end_offset(f->log), 1);
}

/* Before version 2 the marker has its records' epoch; from then on a higher one, and one of the
 * records' epoch is of the transaction before. */
static void version_2_demands_a_higher_epoch(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(data(f, 9, 3, 0), ERR_OK);
    assert_int_equal(fixture_marker_of(f, 9, 3, true, 0, 2), ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(producer_of(f, 9).current_txn_offset, 0);
    assert_int_equal(fixture_marker_of(f, 9, 4, true, 0, 2), ERR_OK);
    assert_int_equal(producer_of(f, 9).current_txn_offset, -1);
    assert_int_equal(producer_of(f, 9).epoch, 4);

    /* The same one again, as its answer was lost: nothing is open that it could end. */
    assert_int_equal(fixture_marker_of(f, 9, 4, true, 0, 2), ERR_OK);
    assert_int_equal(data(f, 9, 4, 0), ERR_OK);
    assert_int_equal(fixture_marker_of(f, 9, 4, true, 0, 2), ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(fixture_marker_of(f, 9, 4, true, 0, 1), ERR_OK);
    assert_int_equal(producer_of(f, 9).current_txn_offset, -1);
}

/* The head that a leader's cleaner left of a marker. */
static void replicate_emptied(struct fixture *f, int64_t producer_id, int16_t epoch) {
    struct buffer batch = {0};
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.base_offset = log_end_offset(f->log);
    options.producer_id = producer_id;
    options.producer_epoch = epoch;
    batch_build_end_transaction(&batch, &options, f->now_ms, true, 1);
    put_be32(batch.data + RECORD_BATCH_LENGTH, RECORD_BATCH_HEADER_SIZE - RECORD_BATCH_OVERHEAD);
    put_be32(batch.data + RECORD_BATCH_RECORD_COUNT, 0);
    put_be32(batch.data + RECORD_BATCH_CRC,
             record_batch_crc_compute(batch.data, RECORD_BATCH_HEADER_SIZE));
    struct log_append append = {.data = batch.data,
                                .size = RECORD_BATCH_HEADER_SIZE,
                                .now_ms = f->now_ms,
                                .flags = LOG_APPEND_KEEP_OFFSETS};
    struct log_append_result result;
    assert_int_equal(log_append(f->log, &append, &result), ERR_OK);
    buffer_done(&batch);
}

static void an_emptied_marker_tells_its_epoch(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    f->now_ms += 1000;
    replicate_emptied(f, 7, 3);
    struct log_producer producer = producer_of(f, 7);
    assert_int_equal(producer.epoch, 3);
    assert_int_equal(producer.last_timestamp_ms, f->now_ms);
    assert_int_equal(producer.last_data_offset, -1);
    assert_int_equal(data(f, 7, 2, 0), ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(data(f, 7, 3, 0), ERR_OK);
    replicate_emptied(f, 7, 4); /* not of the open one, for all that is known */
    producer = producer_of(f, 7);
    assert_int_equal(producer.epoch, 3);
    assert_int_equal(producer.current_txn_offset, 1);
    assert_int_equal(data(f, 7, 4, 0), ERR_CONCURRENT_TRANSACTIONS);
    assert_int_equal(fixture_marker(f, 7, 4, true, 1), ERR_OK);
    replicate_emptied(f, 7, 4);
    assert_int_equal(producer_of(f, 7).epoch, 4);
    assert_int_equal(producer_of(f, 7).coordinator_epoch, 1);
}

static void an_older_coordinator_ends_nothing(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(data(f, 9, 0, 0), ERR_OK);
    assert_int_equal(fixture_marker_of(f, 9, 1, true, 5, 2), ERR_OK);
    assert_int_equal(producer_of(f, 9).coordinator_epoch, 5);
    assert_int_equal(data(f, 9, 1, 0), ERR_OK);
    assert_int_equal(fixture_marker_of(f, 9, 2, true, 4, 2), ERR_TRANSACTION_COORDINATOR_FENCED);
    assert_int_equal(producer_of(f, 9).current_txn_offset, 2);
    assert_int_equal(fixture_marker_of(f, 9, 2, true, 5, 2), ERR_OK);
}

/* An abort is of (id, epoch): others' transactions and later ones stay (T16). */
static void an_abort_is_of_one_producer(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(data(f, 9, 0, 0), ERR_OK);
    assert_int_equal(data(f, 10, 0, 0), ERR_OK);
    assert_int_equal(fixture_marker_of(f, 9, 1, false, 0, 2), ERR_OK); /* at 2 */
    assert_int_equal(data(f, 9, 1, 0), ERR_OK);                        /* at 3 */
    commit_all(f);
    assert_int_equal(log_last_stable_offset(f->log), 1);
    assert_int_equal(producer_of(f, 10).current_txn_offset, 1);
    assert_int_equal(producer_of(f, 9).current_txn_offset, 3);
    assert_int_equal(aborted_count(f, 0, 4), 1);
    assert_int_equal(aborted_count(f, 3, 4), 0);
}

/* After an abort that raised the epoch, the same sequences are new records (T13). */
static void sequences_begin_anew_with_the_epoch(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(data(f, 9, 0, 0), ERR_OK);
    assert_int_equal(fixture_marker_of(f, 9, 1, false, 0, 2), ERR_OK);
    assert_int_equal(data(f, 9, 0, 0), ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(data(f, 9, 1, 1), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(data(f, 9, 1, 0), ERR_OK);
    assert_int_equal(log_end_offset(f->log), 3);
}

static void others_records_stay_out_of_a_transaction(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(data(f, 9, 0, 0), ERR_OK);
    struct log_append_result result;
    struct batch_spec plain = {.producer_id = 9, .sequence = 1};
    assert_int_equal(fixture_try_append(f, &plain, &result), ERR_INVALID_TXN_STATE);
    plain.sequence = 2;
    assert_int_equal(fixture_try_append(f, &plain, &result), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

/* --- who may begin one --- */

static void only_what_was_verified_begins(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(guard(f, 9, 0, false), LOG_TXN_GUARD_NEW);
    assert_int_equal(verified(f, 9, 0, 0, LOG_TXN_GUARD_NONE, 0), ERR_INVALID_TXN_STATE);
    assert_int_equal(log_end_offset(f->log), 0);
    assert_int_equal(verified(f, 9, 0, 0, LOG_TXN_GUARD_NEW, 0), ERR_OK);

    /* It is open: what follows is of it, whatever the guard. */
    (void)guard(f, 9, 0, true);
    assert_int_equal(verified(f, 9, 0, 1, LOG_TXN_GUARD_NONE, 0), ERR_OK);

    /* Not so at another epoch; and it waits for the end of this one. */
    int64_t newer = guard(f, 9, 1, false);
    assert_int_equal(verified(f, 9, 1, 0, LOG_TXN_GUARD_NONE, 0), ERR_INVALID_TXN_STATE);
    assert_int_equal(verified(f, 9, 1, 0, newer, 0), ERR_CONCURRENT_TRANSACTIONS);
    assert_int_equal(fixture_marker_of(f, 9, 1, true, 0, 2), ERR_OK);
    assert_int_equal(verified(f, 9, 1, 0, newer, 0), ERR_OK);
    assert_int_equal(verified(f, 9, 0, 2, newer, 0), ERR_INVALID_PRODUCER_EPOCH);

    /* Nobody has to be asked about an older one. */
    bool open;
    assert_int_equal(log_txn_is_open(f->log, 9, 0, &open, &newer), ERR_INVALID_PRODUCER_EPOCH);
}

/* The coordinator's word was about a transaction that a marker ended meanwhile: a record that came
 * now would be open for ever. */
static void a_marker_ends_a_verification(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    int64_t before = guard(f, 9, 0, false);
    assert_int_equal(fixture_marker_of(f, 9, 0, false, 0, 0), ERR_OK);
    assert_int_equal(verified(f, 9, 0, 0, before, 0), ERR_INVALID_TXN_STATE);
    int64_t first = guard(f, 9, 0, false);
    assert_int_equal(fixture_marker_of(f, 9, 0, false, 0, 0), ERR_OK);
    assert_int_equal(verified(f, 9, 0, 0, first, 0), ERR_INVALID_TXN_STATE);
    assert_int_equal(verified(f, 9, 0, 0, guard(f, 9, 0, false), 0), ERR_OK);

    /* One that was open when it was looked at has no guard. */
    assert_int_equal(fixture_marker_of(f, 9, 0, true, 0, 0), ERR_OK);
    assert_int_equal(verified(f, 9, 0, 1, LOG_TXN_GUARD_NONE, 0), ERR_INVALID_TXN_STATE);

    /* A repeated batch is known all the same. */
    assert_int_equal(verified(f, 9, 0, 0, LOG_TXN_GUARD_NONE, 0), ERR_OK);
    assert_int_equal(log_end_offset(f->log), 4);
}

/* From version 2 on it has the epoch of the next transaction, which is verified while the marker is
 * on its way; the epoch alone keeps out what is of the one that it ends. */
static void a_marker_of_version_2_ends_no_verification_of_the_next(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(verified(f, 9, 0, 0, guard(f, 9, 0, false), 0), ERR_OK);
    int64_t next = guard(f, 9, 1, false);
    assert_int_equal(fixture_marker_of(f, 9, 1, true, 0, 2), ERR_OK);
    assert_int_equal(verified(f, 9, 0, 1, next, 0), ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(verified(f, 9, 1, 0, next, 0), ERR_OK);

    /* Also in a partition that has nothing of the producer yet. */
    int64_t first = guard(f, 10, 0, false);
    assert_int_equal(fixture_marker_of(f, 10, 1, false, 0, 2), ERR_OK);
    assert_int_equal(verified(f, 10, 0, 0, first, 0), ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(verified(f, 10, 1, 0, first, 0), ERR_OK);
}

/* What the coordinator knew of a transaction may have been lost since: it is asked once more. */
static void what_was_open_before_is_verified_again(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(verified(f, 9, 0, 0, LOG_TXN_GUARD_NEW, 0), ERR_OK);
    assert_int_equal(verified(f, 10, 0, 0, LOG_TXN_GUARD_NEW, 0), ERR_OK);
    struct log_open_txn *txns;
    size_t count;
    log_open_txns(f->log, &txns, &count);
    assert_int_equal(count, 2);
    assert_int_equal(txns[0].producer_id, 9);
    assert_int_equal(txns[0].since_ms, f->now_ms);
    free(txns);
    for (int clean = 0; clean < 2; clean++) {
        if (clean) {
            fixture_close(f);
        } else {
            fixture_crash(f, false);
        }
        fixture_open(f);
        log_open_txns(f->log, &txns, &count);
        assert_int_equal(count, 2);
        assert_int_equal(txns[1].producer_id, 10);
        assert_int_equal(txns[1].first_offset, 1);
        assert_int_equal(txns[1].last_offset, 1);
        assert_int_equal(txns[1].since_ms, -1);
        free(txns);
    }
    int64_t again = guard(f, 9, 0, false);
    assert_int_equal(data(f, 9, 0, 1), ERR_OK);
    (void)guard(f, 9, 0, false);
    assert_int_equal(verified(f, 9, 0, 2, again, 0), ERR_OK);
    (void)guard(f, 9, 0, true);
    (void)guard(f, 10, 0, false);
}

static err_t exact_marker(struct fixture *f, int16_t epoch, int64_t first_offset,
                          int64_t last_offset) {
    struct buffer batch = {0};
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.producer_id = 9;
    options.producer_epoch = epoch;
    batch_build_end_transaction(&batch, &options, f->now_ms, false, 0);
    struct log_append append = {.data = batch.data,
                                .size = batch.size,
                                .now_ms = f->now_ms,
                                .flags = LOG_APPEND_COORDINATOR | LOG_APPEND_EXACT,
                                .txn_first_offset = first_offset,
                                .txn_last_offset = last_offset};
    struct log_append_result result;
    err_t err = log_append(f->log, &append, &result);
    buffer_done(&batch);
    return err;
}

/* Who ends a transaction by its offsets ends neither the next one nor one that goes on. */
static void an_exact_marker_ends_what_it_saw(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(data(f, 9, 0, 0), ERR_OK);
    assert_int_equal(data(f, 9, 0, 1), ERR_OK);
    assert_int_equal(exact_marker(f, 0, 0, 0), ERR_INVALID_TXN_STATE);
    assert_int_equal(exact_marker(f, 0, 1, 1), ERR_INVALID_TXN_STATE);
    assert_int_equal(producer_of(f, 9).current_txn_offset, 0);
    assert_int_equal(exact_marker(f, 0, 0, 1), ERR_OK);
    assert_int_equal(producer_of(f, 9).current_txn_offset, -1);
    assert_int_equal(exact_marker(f, 0, 0, 1), ERR_INVALID_TXN_STATE);
    assert_int_equal(log_end_offset(f->log), 3);
}

static void a_new_producer_begins_with_sequence_0(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(verified(f, 9, 0, 7, LOG_TXN_GUARD_NEW, LOG_APPEND_FROM_ZERO),
                     ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(verified(f, 9, 0, 0, LOG_TXN_GUARD_NEW, LOG_APPEND_FROM_ZERO), ERR_OK);
    assert_int_equal(verified(f, 9, 0, 1, LOG_TXN_GUARD_NONE, LOG_APPEND_FROM_ZERO), ERR_OK);
    assert_int_equal(verified(f, 10, 0, 7, LOG_TXN_GUARD_NEW, 0), ERR_OK); /* before version 2 */
}

/* --- the last stable offset --- */

static void it_moves_when_the_marker_is_committed(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(data(f, 9, 0, 0), ERR_OK);
    commit_all(f);
    assert_int_equal(fixture_marker_of(f, 9, 1, true, 0, 2), ERR_OK); /* at 1 */
    assert_int_equal(log_last_stable_offset(f->log), 0);
    log_high_watermark_set(f->log, 1);
    assert_int_equal(log_last_stable_offset(f->log), 0);
    log_high_watermark_set(f->log, 2);
    assert_int_equal(log_last_stable_offset(f->log), 2);
}

/* Ended in another order than begun: the oldest one that is not stable holds it. */
static void the_oldest_holds_it(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(data(f, 9, 0, 0), ERR_OK);  /* 0 */
    assert_int_equal(data(f, 10, 0, 0), ERR_OK); /* 1 */
    assert_int_equal(data(f, 11, 0, 0), ERR_OK); /* 2 */
    commit_all(f);
    assert_int_equal(fixture_marker_of(f, 10, 0, false, 0, 0), ERR_OK); /* 3 */
    commit_all(f);
    assert_int_equal(log_last_stable_offset(f->log), 0);
    assert_int_equal(fixture_marker_of(f, 9, 0, true, 0, 0), ERR_OK); /* 4 */
    log_high_watermark_set(f->log, 4);
    assert_int_equal(log_last_stable_offset(f->log), 0);
    log_high_watermark_set(f->log, 5);
    assert_int_equal(log_last_stable_offset(f->log), 2);
    assert_int_equal(log_delete_records(f->log, 3), ERR_OK);
    assert_int_equal(log_last_stable_offset(f->log), 3);
}

/* The list is complete and in the order of the markers, over segments. */
static void all_aborts_are_told(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 400;
    fixture_open(f);
    for (int i = 0; i < 10; i++) { /* data at 2i, marker at 2i + 1 */
        assert_int_equal(data(f, 100 + i, 0, 0), ERR_OK);
        assert_int_equal(fixture_marker_of(f, 100 + i, 0, i % 2 == 0, 0, 0), ERR_OK);
    }
    commit_all(f);
    assert_true(log_segment_count(f->log) > 3);
    struct log_aborted *aborted;
    size_t count;
    assert_int_equal(log_aborted_transactions(f->log, 0, 20, 0, &aborted, &count), ERR_OK);
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(aborted[i].producer_id, 101 + 2 * (int64_t)i);
        assert_int_equal(aborted[i].first_offset, 4 * (int64_t)i + 2);
    }
    free(aborted);
    assert_int_equal(aborted_count(f, 3, 6), 1); /* its marker alone is in it */
    assert_int_equal(aborted_count(f, 4, 6), 0);
    assert_int_equal(aborted_count(f, 0, 2), 0);
    assert_int_equal(aborted_count(f, 19, 20), 1);
}

/* Who read records before they were deleted gets no list without their transactions. */
static void no_list_is_told_of_what_is_deleted(void **state) {
    struct fixture *f = *state;
    f->config.cleanup_delete = false;
    fixture_open(f);
    assert_int_equal(data(f, 9, 0, 0), ERR_OK);
    assert_int_equal(fixture_marker_of(f, 9, 0, false, 0, 0), ERR_OK);
    assert_int_equal(log_roll(f->log), ERR_OK);
    assert_int_equal(data(f, 10, 0, 0), ERR_OK);
    commit_all(f);
    struct log_slice slice;
    assert_int_equal(log_read(f->log, 0, 3000, INT64_MAX, 0, &slice), ERR_OK);
    assert_int_equal(aborted_count(f, 0, slice.end_offset), 1);
    assert_int_equal(log_delete_records(f->log, 2), ERR_OK);
    bool more;
    assert_int_equal(log_retention_step(f->log, f->now_ms, &more), ERR_OK);
    assert_true(more);
    struct log_aborted *aborted;
    size_t count;
    assert_int_equal(log_aborted_transactions(f->log, 0, slice.end_offset, 0, &aborted, &count),
                     ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(aborted_count(f, 2, 3), 0);
    assert_int_equal(log_delete(f->log), ERR_OK);
    assert_int_equal(log_aborted_transactions(f->log, 2, 3, 0, &aborted, &count), ERR_CLOSED);
    log_slice_release(&slice);
}

/* A reader is told of what it gets, and not of all that comes behind. */
static void read_all_aborts(struct fixture *f, int64_t segment_bytes) {
    f->config.segment_bytes = segment_bytes;
    fixture_open(f);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(data(f, 100 + i, 0, 0), ERR_OK);
        assert_int_equal(fixture_marker_of(f, 100 + i, 0, false, 0, 0), ERR_OK);
    }
    commit_all(f);
    for (int64_t offset = 0; offset < 80;) {
        struct log_slice slice;
        size_t size_max = 100 + (size_t)offset * 13 % 500;
        assert_int_equal(log_read(f->log, offset, size_max, 80, LOG_READ_MIN_ONE, &slice), ERR_OK);
        int64_t end = offset;
        fixture_walk(&slice, &end);
        assert_int_equal(slice.end_offset, end);
        assert_int_equal(aborted_count(f, offset, slice.end_offset),
                         (size_t)((end + 1) / 2 - offset / 2));
        log_slice_release(&slice);
        offset = end;
    }
}

static void aborts_of_a_read_are_those_it_reached(void **state) {
    read_all_aborts(*state, 2000);
}

static void so_in_a_long_index(void **state) {
    read_all_aborts(*state, 1024 * 1024);
}

/* --- what survives --- */

static void expect_state(struct fixture *f) {
    commit_all(f);
    assert_int_equal(log_last_stable_offset(f->log), 3);
    assert_int_equal(producer_of(f, 10).current_txn_offset, 3);
    assert_int_equal(producer_of(f, 9).current_txn_offset, -1);
    assert_int_equal(producer_of(f, 9).epoch, 1);
    assert_int_equal(producer_of(f, 9).coordinator_epoch, 7);
    assert_int_equal(aborted_count(f, 0, 5), 1);
    assert_int_equal(fixture_marker_of(f, 9, 1, true, 6, 2), ERR_TRANSACTION_COORDINATOR_FENCED);
    assert_int_equal(fixture_marker_of(f, 9, 0, true, 7, 2), ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(fixture_marker_of(f, 10, 0, true, 7, 2), ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(data(f, 9, 1, 1), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

static void every_end_is_survived(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(data(f, 9, 0, 0), ERR_OK);
    assert_int_equal(data(f, 9, 0, 1), ERR_OK);
    assert_int_equal(fixture_marker_of(f, 9, 1, false, 7, 2), ERR_OK); /* 2 */
    assert_int_equal(data(f, 10, 0, 0), ERR_OK);                       /* 3 */
    assert_int_equal(data(f, 10, 0, 1), ERR_OK);
    expect_state(f);
    fixture_close(f);
    fixture_open(f);
    expect_state(f);
    fixture_crash(f, false);
    fixture_open(f);
    expect_state(f);
    assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
    fixture_checkpoint(f);
    fixture_crash(f, true);
    fixture_open(f);
    expect_state(f);
    assert_int_equal(fixture_marker_of(f, 10, 1, true, 7, 2), ERR_OK);
    commit_all(f);
    assert_int_equal(log_last_stable_offset(f->log), 6);
}

/* Recovery looks at batches through a buffer; one that is larger is followed as well. */
static void large_batches_survive_a_crash(void **state) {
    struct fixture *f = *state;
    enum { LARGE = 1500 * 1000 };
    fixture_open(f);
    fixture_append(f, &(struct batch_spec){.producer_id = 9, .value_size = LARGE});
    fixture_append(
        f, &(struct batch_spec){.producer_id = 10, .value_size = LARGE, .transactional = true});
    assert_int_equal(fixture_marker(f, 10, 0, false, 0), ERR_OK);
    fixture_append(
        f, &(struct batch_spec){.producer_id = 11, .value_size = LARGE, .transactional = true});
    fixture_crash(f, false);
    fixture_open(f);
    commit_all(f);
    assert_int_equal(log_last_stable_offset(f->log), 3);
    assert_int_equal(aborted_count(f, 0, 4), 1);
    struct log_append_result result;
    struct batch_spec again = {.producer_id = 9, .value_size = LARGE};
    assert_int_equal(fixture_try_append(f, &again, &result), ERR_OK);
    assert_true(result.duplicate);
}

/* What is taken back is as if it had never been: the transaction is open again, and nothing of it
 * was aborted. */
static void a_marker_is_taken_back(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 300;
    fixture_open(f);
    assert_int_equal(data(f, 9, 0, 0), ERR_OK);
    for (int i = 0; i < 10; i++) {
        fixture_append(f, &(struct batch_spec){0});
    }
    assert_int_equal(fixture_marker_of(f, 9, 1, false, 7, 2), ERR_OK); /* 11 */
    fixture_append(f, &(struct batch_spec){0});
    commit_all(f);
    assert_int_equal(aborted_count(f, 0, 13), 1);
    assert_int_equal(log_truncate_to(f->log, 11), ERR_OK);
    for (int round = 0; round < 2; round++) {
        commit_all(f);
        assert_int_equal(log_last_stable_offset(f->log), 0);
        assert_int_equal(producer_of(f, 9).current_txn_offset, 0);
        assert_int_equal(producer_of(f, 9).epoch, 0);
        assert_int_equal(aborted_count(f, 0, 13), 0);
        assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
        fixture_checkpoint(f);
        fixture_crash(f, round > 0);
        fixture_open(f);
    }
    assert_int_equal(fixture_marker_of(f, 9, 1, true, 7, 2), ERR_OK);
    commit_all(f);
    assert_int_equal(log_last_stable_offset(f->log), 12);
    assert_int_equal(aborted_count(f, 0, 13), 0);
}

/* Synced up to its end while it was the active one, and so without its other indexes: what was
 * aborted in it is known, and its records are found by their time. */
static void a_segment_that_was_just_sealed_is_whole(void **state) {
    enum { ROUNDS = 100, RECORDS = 9, STEP = RECORDS + 1 }; /* the power takes what it likes */
    struct fixture *f = *state;
    int64_t begin_ms = f->now_ms;
    f->config.index_interval_bytes = 1;
    for (int round = 0; round < ROUNDS; round++) {
        fixture_open(f);
        assert_int_equal(log_end_offset(f->log), STEP * round);
        assert_int_equal(aborted_count(f, 0, STEP * round), (size_t)round);
        for (int64_t offset = 0; offset < STEP * round; offset++) {
            struct log_time_offset found;
            assert_int_equal(log_offset_for_timestamp(f->log, begin_ms + offset, &found), ERR_OK);
            assert_int_equal(found.offset, offset);
        }
        for (int i = 0; i < RECORDS; i++) {
            f->now_ms = begin_ms + STEP * round + i;
            assert_int_equal(data(f, 100 + round, 0, i), ERR_OK);
            assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
        }
        f->now_ms++;
        assert_int_equal(fixture_marker_of(f, 100 + round, 0, false, 0, 0), ERR_OK);
        assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
        fixture_checkpoint(f);
        assert_int_equal(log_roll(f->log), ERR_OK);
        fixture_crash(f, true);
    }
}

/* A power cut took the marker of one, and all of the next but its coordinator's decision. */
static void a_marker_of_a_later_one_ends_nothing(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(data(f, 9, 3, 0), ERR_OK);
    assert_int_equal(data(f, 10, 3, 0), ERR_OK);
    fixture_crash(f, false);
    fixture_open(f);
    assert_int_equal(data(f, 11, 3, 0), ERR_OK);
    assert_int_equal(fixture_marker_of(f, 9, 5, true, 0, 2), ERR_CONCURRENT_TRANSACTIONS);
    assert_int_equal(producer_of(f, 9).current_txn_offset, 0);
    assert_int_equal(fixture_marker_of(f, 9, 4, true, 0, 2), ERR_OK);
    assert_int_equal(fixture_marker_of(f, 9, 5, true, 0, 2), ERR_OK);
    assert_int_equal(fixture_marker_of(f, 10, 5, true, 0, 0), ERR_OK); /* who says so knows */
    assert_int_equal(fixture_marker_of(f, 11, 5, true, 0, 2), ERR_OK); /* it was seen to begin */
}

/* An index that was emptied is as much to be synced as one that has entries: else they come back
 * with the power. */
static void what_was_taken_back_stays_so(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(data(f, 9, 0, 0), ERR_OK);
    for (int16_t round = 0; round < 20; round++) {
        int64_t marker = log_end_offset(f->log);
        assert_int_equal(fixture_marker_of(f, 9, (int16_t)(round + 1), false, 0, 2), ERR_OK);
        assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
        assert_int_equal(log_truncate_to(f->log, marker), ERR_OK);
        assert_int_equal(fixture_marker_of(f, 9, (int16_t)(round + 1), true, 0, 2), ERR_OK);
        assert_int_equal(data(f, 9, (int16_t)(round + 1), 0), ERR_OK);
        assert_int_equal(log_roll(f->log), ERR_OK);
        assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
        fixture_checkpoint(f);
        fixture_crash(f, true);
        fixture_open(f);
        assert_int_equal(aborted_count(f, 0, log_end_offset(f->log)), 0);
    }
}

static void an_open_transaction_does_not_expire(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(data(f, 9, 0, 0), ERR_OK);
    assert_int_equal(data(f, 10, 0, 0), ERR_OK);
    assert_int_equal(fixture_marker_of(f, 10, 0, true, 0, 0), ERR_OK);
    log_producers_expire(f->log, f->now_ms + f->config.producer_expiration_ms);
    assert_int_equal(producer_of(f, 9).current_txn_offset, 0);
    assert_int_equal(producer_of(f, 10).producer_id, -1);
    commit_all(f);
    assert_int_equal(log_last_stable_offset(f->log), 0);
}

/* Every read_committed fetch asks: it must not walk from the first segment to each of the others.
 */
static void thousands_of_segments_are_looked_through_once(void **state) {
    enum { SEGMENTS = 2000, QUESTIONS = 1200 };
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(data(f, 9, 0, 0), ERR_OK);
    for (int i = 0; i < SEGMENTS; i++) {
        fixture_append(f, &(struct batch_spec){0});
        assert_int_equal(log_roll(f->log), ERR_OK);
    }
    assert_int_equal(fixture_marker_of(f, 9, 1, false, 0, 2), ERR_OK);
    clock_t begun = clock();
    for (int i = 0; i < QUESTIONS; i++) {
        assert_int_equal(aborted_count(f, 0, 1), 1);
    }
    double seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
    assert_true(seconds < 1.5); /* 0.05; and 3.6 when each was looked for from the first on */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_older_epoch_ends_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(version_2_demands_a_higher_epoch, setup, teardown),
        cmocka_unit_test_setup_teardown(an_emptied_marker_tells_its_epoch, setup, teardown),
        cmocka_unit_test_setup_teardown(an_older_coordinator_ends_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(an_abort_is_of_one_producer, setup, teardown),
        cmocka_unit_test_setup_teardown(sequences_begin_anew_with_the_epoch, setup, teardown),
        cmocka_unit_test_setup_teardown(others_records_stay_out_of_a_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(only_what_was_verified_begins, setup, teardown),
        cmocka_unit_test_setup_teardown(a_marker_ends_a_verification, setup, teardown),
        cmocka_unit_test_setup_teardown(a_marker_of_version_2_ends_no_verification_of_the_next,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_open_before_is_verified_again, setup, teardown),
        cmocka_unit_test_setup_teardown(an_exact_marker_ends_what_it_saw, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_producer_begins_with_sequence_0, setup, teardown),
        cmocka_unit_test_setup_teardown(thousands_of_segments_are_looked_through_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(it_moves_when_the_marker_is_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_holds_it, setup, teardown),
        cmocka_unit_test_setup_teardown(all_aborts_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(aborts_of_a_read_are_those_it_reached, setup, teardown),
        cmocka_unit_test_setup_teardown(so_in_a_long_index, setup, teardown),
        cmocka_unit_test_setup_teardown(no_list_is_told_of_what_is_deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(every_end_is_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(large_batches_survive_a_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(a_marker_is_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_segment_that_was_just_sealed_is_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_marker_of_a_later_one_ends_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_taken_back_stays_so, setup, teardown),
        cmocka_unit_test_setup_teardown(an_open_transaction_does_not_expire, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
