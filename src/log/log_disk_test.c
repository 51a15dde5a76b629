/* Disks that are full, fail or are cold, and what a log does about it. */
#include <stdlib.h>

#include "log/log_fixture_test.h"

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

/* --- only actors meet injected faults --- */

struct act {
    struct fixture *f;
    void (*run)(struct act *act);
    err_t errs[4];
    int64_t end_offset;
    bool ended;
};

static void act_run(void *arg) {
    struct act *act = arg;
    act->run(act);
    act->ended = true;
}

static bool act_ended(void *arg) {
    return ((struct act *)arg)->ended;
}

static void in_actor(struct fixture *f, struct act *act, void (*run)(struct act *act)) {
    *act = (struct act){.f = f, .run = run};
    sim_host_spawn(f->host, "test", act_run, act);
    assert_true(sim_world_run_until(f->world, act_ended, act, 60000));
}

static void append_and_flush(struct act *act) {
    struct log_append_result result;
    act->errs[0] = fixture_try_append(act->f, &(struct batch_spec){.value_size = 5000}, &result);
    act->end_offset = log_end_offset(act->f->log);
    act->errs[1] = log_flush(act->f->log, INT64_MAX);
    act->errs[2] = fixture_try_append(act->f, &(struct batch_spec){0}, &result);
}

static void a_full_disk_heals(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    fixture_append_many(f, 3, 10);
    uint64_t used = sim_disk_used(f->host, "/");
    sim_disk_set_capacity(f->host, "/", used + 1024);
    struct act act;
    in_actor(f, &act, append_and_flush);
    assert_int_equal(act.errs[0], ERR_NO_SPACE);
    assert_int_equal(act.end_offset, 3);
    assert_int_equal(log_directory_state(f->directory), ERR_OK);
    sim_disk_set_capacity(f->host, "/", 1 << 30);
    in_actor(f, &act, append_and_flush);
    assert_int_equal(act.errs[0], ERR_OK);
    assert_false(log_directory_full(f->directory));
    assert_int_equal(fixture_read_all(f, 0), log_end_offset(f->log));
    fixture_crash(f, false);
    buffer_clear(&f->lines);
    fixture_open(f);
    told_nothing(f);
}

static void a_torn_append_leaves_nothing(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    fixture_append_many(f, 3, 10);
    struct sim_fault fault = {.kind = SIM_FAULT_SHORT_WRITE,
                              .calls = SIM_CALL_WRITE,
                              .path = "*.log",
                              .count_max = 1,
                              .err = ERR_NO_SPACE};
    (void)sim_disk_add_fault(f->host, &fault);
    uint64_t before = file_size(f, "00000000000000000000.log");
    struct act act;
    in_actor(f, &act, append_and_flush);
    assert_int_equal(act.errs[0], ERR_NO_SPACE);
    assert_int_equal(act.end_offset, 3);
    assert_int_equal(act.errs[2], ERR_OK);
    assert_true(file_size(f, "00000000000000000000.log") < before + 100);
    assert_int_equal(fixture_read_all(f, 0), 4);
    fixture_crash(f, false);
    buffer_clear(&f->lines);
    fixture_open(f);
    told_nothing(f);
    assert_int_equal(log_end_offset(f->log), 4);
}

/* The disk is so full that even cutting back fails. It heals by itself. */
static void a_torn_append_is_taken_back_later(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    fixture_append_many(f, 3, 10);
    struct sim_fault fault = {.kind = SIM_FAULT_SHORT_WRITE,
                              .calls = SIM_CALL_WRITE,
                              .path = "*.log",
                              .count_max = 2,
                              .err = ERR_NO_SPACE};
    (void)sim_disk_add_fault(f->host, &fault);
    struct act act;
    in_actor(f, &act, append_and_flush);
    assert_int_equal(act.errs[0], ERR_NO_SPACE);
    assert_int_equal(act.end_offset, 3);
    assert_true(told(f, "could not be taken back yet"));
    assert_int_equal(act.errs[2], ERR_OK);
    assert_int_equal(fixture_read_all(f, 0), 4);
    fixture_crash(f, false);
    buffer_clear(&f->lines);
    fixture_open(f);
    told_nothing(f);
    assert_int_equal(log_end_offset(f->log), 4);
}

static void a_failed_sync_ends_writing(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    fixture_append_many(f, 3, 10);
    struct sim_fault fault = {.kind = SIM_FAULT_ERROR, .calls = SIM_CALL_SYNC, .count_max = 1};
    (void)sim_disk_add_fault(f->host, &fault);
    struct act act;
    in_actor(f, &act, append_and_flush);
    assert_int_equal(act.errs[0], ERR_OK);
    assert_int_equal(act.errs[1], ERR_IO);
    assert_int_equal(act.errs[2], ERR_IO);
    assert_true(told(f, "/data failed and is offline until the next start"));
    assert_int_equal(log_recovery_point(f->log), 0);
    assert_int_equal(log_close(f->log), ERR_IO);
    assert_int_equal(log_directory_mark_clean(f->directory, 7), ERR_INVALID);
}

/* --- and the power fails afterwards: what it takes is drawn, so there are rounds --- */

enum { ROUNDS = 24 };

static void append_torn(struct act *act) {
    struct log_append_result result;
    act->errs[0] = fixture_try_append(act->f, &(struct batch_spec){.value_size = 5000}, &result);
}

/* Three records that are synced, and the remains of another that were cut off. */
static void tear(struct fixture *f) {
    fixture_append_many(f, 3, 10);
    assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
    fixture_checkpoint(f);
    struct sim_fault fault = {.kind = SIM_FAULT_SHORT_WRITE,
                              .calls = SIM_CALL_WRITE,
                              .path = "*.log",
                              .count_max = 1,
                              .err = ERR_NO_SPACE};
    (void)sim_disk_add_fault(f->host, &fault);
    struct act act;
    in_actor(f, &act, append_torn);
    assert_int_equal(act.errs[0], ERR_NO_SPACE);
}

static void cut_off_before_the_next_segment(void **state) {
    struct fixture *f = *state;
    for (int64_t round = 0; round < ROUNDS; round++) {
        fixture_open(f);
        assert_in_range(log_end_offset(f->log), 3 * round, 4 * round);
        assert_int_equal(fixture_read_all(f, 0), log_end_offset(f->log));
        tear(f);
        if (round % 2 == 1) {
            fixture_crash(f, false);
            fixture_open(f);
        }
        assert_int_equal(log_roll(f->log), ERR_OK);
        fixture_append(f, &(struct batch_spec){0});
        fixture_crash(f, true);
    }
}

static void cut_off_before_a_clean_end(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    for (int64_t round = 0; round < ROUNDS; round++) {
        tear(f);
        fixture_close(f);
        fixture_open(f); /* from here on nothing but the torn append would be new */
        struct sim_fault fault = {
            .kind = SIM_FAULT_SHORT_WRITE, .path = "*.log", .count_max = 1, .err = ERR_NO_SPACE};
        (void)sim_disk_add_fault(f->host, &fault);
        struct act act;
        in_actor(f, &act, append_torn);
        assert_int_equal(act.errs[0], ERR_NO_SPACE);
        fixture_close(f);
        sim_host_power_cut(f->host);
        sim_host_restart(f->host);
        fixture_open(f);
        assert_int_equal(log_end_offset(f->log), 4 * round + 3);
        assert_int_equal(fixture_append(f, &(struct batch_spec){0}), 4 * round + 3);
        assert_int_equal(fixture_read_all(f, 0), log_end_offset(f->log));
    }
}

/* A segment that was there at a clean start, and grew since. */
static void a_sealed_segment_is_synced_with_its_indexes(void **state) {
    struct fixture *f = *state;
    f->config.index_interval_bytes = 100;
    fixture_open(f);
    fixture_append_many(f, 3, 100);
    fixture_close(f);
    fixture_open(f);
    fixture_append_many(f, 3, 100);
    assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
    assert_int_equal(log_roll(f->log), ERR_OK);
    assert_true(sim_disk_dirty_bytes(f->host, fixture_path("00000000000000000000.timeindex")) > 0);
    assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
    assert_int_equal(sim_disk_dirty_bytes(f->host, fixture_path("00000000000000000000.timeindex")),
                     0);
    assert_int_equal(sim_disk_dirty_bytes(f->host, fixture_path("00000000000000000000.index")), 0);
}

/* --- reading --- */

static void read_without_waiting(struct act *act) {
    struct log_slice slice;
    struct fixture *f = act->f;
    act->errs[0] = log_read(f->log, 5, 1 << 20, INT64_MAX, LOG_READ_NO_WAIT, &slice);
    act->errs[1] = log_read(f->log, 5, 1 << 20, INT64_MAX, 0, &slice);
    log_slice_release(&slice);
    act->errs[2] = log_read(f->log, 5, 1 << 20, INT64_MAX, LOG_READ_NO_WAIT, &slice);
    log_slice_release(&slice);
}

static void cold_reads_say_so(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    fixture_append_many(f, 100, 100);
    assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
    fixture_close(f);
    fixture_open(f);
    sim_disk_drop_cache(f->host);
    struct act act;
    in_actor(f, &act, read_without_waiting);
    assert_int_equal(act.errs[0], ERR_WOULD_BLOCK);
    assert_int_equal(act.errs[1], ERR_OK);
    assert_int_equal(act.errs[2], ERR_OK);
}

/* Opening a clean directory opens no data file. */
static void a_clean_start_reads_no_data(void **state) {
    struct fixture *f = *state;
    f->config.segment_bytes = 2000;
    fixture_open(f);
    fixture_append_many(f, 100, 100);
    fixture_close(f);
    fixture_open(f);
    struct log_cache_stats stats;
    log_cache_stats(f->cache, &stats);
    assert_int_equal(stats.files_opened, 0);
    assert_int_equal(log_end_offset(f->log), 100);
}

/* The next try finds the folder half made. Names that were never synced may go with the power, and
 * a later segment's may stay: the log would begin there. */
static void try_open(struct act *act) {
    act->errs[0] = fixture_try_open(act->f);
}

static void a_creation_that_was_cut_short_is_finished(void **state) {
    struct fixture *f = *state;
    struct sim_fault fault = {.kind = SIM_FAULT_ERROR,
                              .calls = SIM_CALL_OPEN,
                              .path = "*leader-epoch-checkpoint*",
                              .count_max = 1,
                              .err = ERR_NO_SPACE};
    for (int round = 0; round < 20; round++) { /* what the power takes is up to chance */
        (void)sim_disk_add_fault(f->host, &fault);
        struct act act;
        in_actor(f, &act, try_open);
        assert_int_equal(act.errs[0], ERR_NO_SPACE);
        fixture_open(f);
        fixture_append_many(f, 1, 100);
        fixture_crash(f, true);
        struct sys_stat stat;
        assert_int_equal(sys_path_stat(f->sys, "/data/t-0/00000000000000000000.log", &stat),
                         ERR_OK);
        fixture_open(f);
        assert_int_equal(log_delete(f->log), ERR_OK);
        fixture_crash(f, false);
    }
}

static void abort_and_flush(struct act *act) {
    struct fixture *f = act->f;
    act->errs[0] = fixture_marker(f, 9, 0, false, 0);
    act->errs[1] = fixture_marker(f, 9, 0, true, 0);
    act->errs[2] = log_roll(f->log);
    act->errs[3] = log_roll(f->log) == ERR_OK ? log_flush(f->log, INT64_MAX) : ERR_IO;
}

/* An entry of the transaction index that was taken back does not come back with the power, though
 * the first sync found no files left. */
static void an_abort_that_failed_stays_away(void **state) {
    struct fixture *f = *state;
    struct sim_fault full = {.kind = SIM_FAULT_ERROR,
                             .calls = SIM_CALL_WRITE,
                             .path = "*.log",
                             .count_max = 1,
                             .err = ERR_NO_SPACE};
    struct sim_fault no_files = {.kind = SIM_FAULT_ERROR,
                                 .calls = SIM_CALL_SYNC,
                                 .path = "*.txnindex",
                                 .count_max = 1,
                                 .err = ERR_NO_FILES};
    fixture_open(f);
    for (int round = 0; round < 300; round++) { /* what the power takes is up to chance */
        fixture_append(
            f, &(struct batch_spec){.producer_id = 9, .sequence = round, .transactional = true});
        (void)sim_disk_add_fault(f->host, &full);
        (void)sim_disk_add_fault(f->host, &no_files);
        struct act act;
        in_actor(f, &act, abort_and_flush);
        assert_int_equal(act.errs[0], ERR_NO_SPACE);
        assert_int_equal(act.errs[1], ERR_OK);
        assert_int_equal(act.errs[2], ERR_NO_FILES);
        assert_int_equal(act.errs[3], ERR_OK);
        fixture_checkpoint(f);
        fixture_crash(f, true);
        fixture_open(f);
        struct log_aborted *aborted;
        size_t count;
        int64_t end_offset = log_end_offset(f->log);
        assert_int_equal(log_aborted_transactions(f->log, 0, end_offset, 0, &aborted, &count),
                         ERR_OK);
        free(aborted);
        assert_int_equal(count, 0);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_full_disk_heals),
        CASE(a_torn_append_leaves_nothing),
        CASE(an_abort_that_failed_stays_away),
        CASE(a_torn_append_is_taken_back_later),
        CASE(a_failed_sync_ends_writing),
        CASE(cut_off_before_the_next_segment),
        CASE(cut_off_before_a_clean_end),
        CASE(a_sealed_segment_is_synced_with_its_indexes),
        CASE(cold_reads_say_so),
        CASE(a_clean_start_reads_no_data),
        CASE(a_creation_that_was_cut_short_is_finished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
