/* Compacted logs whose tail was lost in a power cut: what is empty behind a hole at their end goes,
 * a hole with records behind it stays. Forty records lie in segments that begin at 0, 11, 22
 * and 33. */
#include <stdlib.h>

#include "log/log_fixture_test.h"

enum { BATCH = 170, RECORDS = 40 }; /* bytes of a batch of these tests */

#define SEGMENT_11 "00000000000000000011.log"
#define SEGMENT_22 "00000000000000000022.log"
#define SEGMENT_33 "00000000000000000033.log"

static void begin(struct fixture *f, uint64_t seed) {
    fixture_init(f);
    sim_world_free(f->world);
    f->world = sim_world_new(seed);
    f->host = sim_host_new(f->world, "a", "10.0.0.1");
    f->sys = sim_host_sys(f->host);
    f->config.cleanup_compact = true;
    f->config.cleanup_delete = false;
    f->config.segment_bytes = 2000; /* 11 batches */
    f->config.index_interval_bytes = 300;
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    begin(f, 1);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_done(*state);
    free(*state);
    return 0;
}

/* All of it is on the disk, but known to be so only below the recovery point. */
static void written_log(struct fixture *f, int64_t start_offset, int64_t recovery_point) {
    fixture_open(f);
    for (int i = 0; i < RECORDS; i++) {
        f->now_ms++;
        fixture_append(f,
                       &(struct batch_spec){
                           .producer_id = 9, .sequence = i, .leader_epoch = 1, .value_size = 100});
    }
    assert_int_equal(file_size(f, SEGMENT_33), (RECORDS - 33) * BATCH);
    assert_int_equal(log_epoch_start(f->log, 4), ERR_OK);
    assert_int_equal(log_delete_records(f->log, start_offset), ERR_OK);
    assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
    fixture_checkpoint(f);
    fixture_checkpoint_at(f, LOG_CHECKPOINT_RECOVERY_POINT, recovery_point);
}

static void crash(struct fixture *f) {
    fixture_crash(f, false);
    buffer_clear(&f->lines);
}

/* As a power cut leaves a file whose end was never synced. */
static void lose(struct fixture *f, const char *name, uint64_t size) {
    struct sys_file *file;
    assert_int_equal(sys_file_open(f->sys, fixture_path(name), 0, &file), ERR_OK);
    assert_int_equal(sys_file_truncate(file, size), ERR_OK);
    assert_int_equal(sys_file_sync(file), ERR_OK);
    sys_file_close(file);
}

static err_t append_next(struct fixture *f, int64_t sequence) {
    struct log_append_result result;
    struct batch_spec spec = {
        .producer_id = 9, .sequence = (int32_t)sequence, .leader_epoch = 1, .value_size = 100};
    f->now_ms++;
    err_t err = fixture_try_append(f, &spec, &result);
    assert_true(err != ERR_OK || result.first_offset == sequence);
    log_high_watermark_set(f->log, log_end_offset(f->log));
    return err;
}

static void check_times(struct fixture *f, int64_t end_offset) {
    struct log_time_offset found;
    for (int64_t offset = 0; offset < end_offset; offset++) {
        assert_int_equal(log_offset_for_timestamp(f->log, SIM_START_WALL_MS + 1 + offset, &found),
                         ERR_OK);
        assert_int_equal(found.offset, offset);
    }
}

/* It ends there, and goes on there as if there had been no more; also after the next start. */
static void ends_at(struct fixture *f, int64_t end_offset) {
    assert_int_equal(log_end_offset(f->log), end_offset);
    assert_int_equal(log_high_watermark(f->log), end_offset);
    assert_int_equal(log_latest_epoch(f->log), 1);
    assert_int_equal(fixture_read_all(f, 0), end_offset);
    check_times(f, end_offset);
    assert_int_equal(append_next(f, end_offset + 1), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    for (int64_t offset = end_offset; offset < 2 * RECORDS; offset++) {
        f->now_ms = SIM_START_WALL_MS + offset;
        assert_int_equal(append_next(f, offset), ERR_OK);
    }
    buffer_clear(&f->lines);
    fixture_close(f);
    fixture_open(f);
    told_nothing(f);
    assert_int_equal(log_end_offset(f->log), 2 * RECORDS);
    assert_int_equal(fixture_read_all(f, 0), 2 * RECORDS);
    check_times(f, 2 * RECORDS);
}

/* The hole is there still, and so are the offsets behind it. */
static void stays(struct fixture *f) {
    told_nothing(f);
    assert_int_equal(log_end_offset(f->log), 33);
    assert_true(file_exists(f, SEGMENT_33));
    assert_int_equal(fixture_append(f, &(struct batch_spec){0}), 33);
}

/* --- what was lost --- */

static void last_segment_empty(void **state) {
    struct fixture *f = *state;
    written_log(f, 0, 11);
    crash(f);
    lose(f, SEGMENT_22, 8 * BATCH);
    lose(f, SEGMENT_33, 0);
    fixture_open(f);
    assert_true(told(f, SEGMENT_22 " ends at offset 30, but the segment after it begins at 33: "
                                   "what was between was never synced and is gone; the log ends "
                                   "here now"));
    assert_false(file_exists(f, SEGMENT_33));
    assert_false(file_exists(f, "00000000000000000033.snapshot"));
    ends_at(f, 30);
    assert_true(file_exists(f, "00000000000000000033.snapshot")); /* a new one */
}

static void last_segment_damaged_at_its_beginning(void **state) {
    struct fixture *f = *state;
    written_log(f, 0, 0);
    crash(f);
    lose(f, SEGMENT_22, 8 * BATCH);
    file_flip(f, SEGMENT_33, 100);
    fixture_open(f);
    assert_true(told(f, SEGMENT_22 " ends at offset 30, but the segment after it begins at 33"));
    assert_false(file_exists(f, SEGMENT_33));
    assert_int_equal(file_size(f, SEGMENT_33 ".0.damaged"), 7 * BATCH); /* good ones follow */
    ends_at(f, 30);
}

static void last_segment_torn_in_its_first_batch(void **state) {
    struct fixture *f = *state;
    f->config.preallocate = true;
    written_log(f, 0, 0);
    crash(f);
    lose(f, SEGMENT_22, 8 * BATCH);
    lose(f, SEGMENT_33, 100);
    fixture_open(f);
    assert_true(told(f, SEGMENT_22 " ends at offset 30, but the segment after it begins at 33"));
    assert_false(file_exists(f, SEGMENT_33));
    assert_false(file_exists(f, SEGMENT_33 ".0.damaged"));
    ends_at(f, 30);
}

static void several_segments_empty(void **state) {
    struct fixture *f = *state;
    written_log(f, 0, 0);
    crash(f);
    lose(f, SEGMENT_11, 8 * BATCH);
    lose(f, SEGMENT_22, 0);
    lose(f, SEGMENT_33, 0);
    fixture_open(f);
    assert_true(told(f, SEGMENT_11 " ends at offset 19, but the segment after it begins at 22"));
    assert_false(file_exists(f, SEGMENT_22));
    assert_false(file_exists(f, SEGMENT_33));
    ends_at(f, 19);
}

static void an_empty_segment_that_follows_on_stays(void **state) {
    struct fixture *f = *state;
    written_log(f, 0, 0);
    crash(f);
    lose(f, SEGMENT_22, 0);
    lose(f, SEGMENT_33, 0);
    fixture_open(f);
    assert_true(told(f, SEGMENT_22 " ends at offset 22, but the segment after it begins at 33"));
    assert_true(file_exists(f, SEGMENT_22));
    assert_false(file_exists(f, SEGMENT_33));
    ends_at(f, 22);
}

static void nothing_left_above_the_recovery_point(void **state) {
    struct fixture *f = *state;
    written_log(f, 0, 22);
    crash(f);
    lose(f, SEGMENT_22, 0);
    lose(f, SEGMENT_33, 0);
    fixture_open(f);
    assert_true(told(f, SEGMENT_22 " ends at offset 22, but the segment after it begins at 33"));
    ends_at(f, 22);
}

static void start_offset_in_the_hole(void **state) {
    struct fixture *f = *state;
    written_log(f, 31, 0);
    crash(f);
    lose(f, SEGMENT_22, 8 * BATCH);
    lose(f, SEGMENT_33, 0);
    fixture_open(f);
    assert_true(told(f, "ends at offset 30, below its start offset 31: records were lost"));
    assert_int_equal(log_start_offset(f->log), 31);
    assert_int_equal(log_end_offset(f->log), 31);
    assert_int_equal(fixture_append(f, &(struct batch_spec){0}), 31);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(fixture_read_all(f, 31), 1);
}

static void start_offset_at_an_empty_segment(void **state) {
    struct fixture *f = *state;
    written_log(f, 22, 0);
    crash(f);
    lose(f, SEGMENT_11, 8 * BATCH);
    lose(f, SEGMENT_22, 0);
    lose(f, SEGMENT_33, 0);
    fixture_open(f);
    assert_true(told(f, SEGMENT_22 " ends at offset 22, but the segment after it begins at 33"));
    assert_int_equal(log_start_offset(f->log), 22);
    assert_int_equal(log_end_offset(f->log), 22);
    assert_int_equal(fixture_append(f, &(struct batch_spec){0}), 22);
}

/* --- what was not --- */

static void a_hole_below_the_recovery_point_stays(void **state) {
    struct fixture *f = *state;
    written_log(f, 0, 33);
    crash(f);
    lose(f, SEGMENT_22, 8 * BATCH);
    lose(f, SEGMENT_33, 0);
    fixture_open(f);
    stays(f);
}

/* It was synced, though the newer recovery point did not come to its checkpoint. */
static void a_hole_in_what_is_compacted_stays(void **state) {
    struct fixture *f = *state;
    written_log(f, 0, 0);
    fixture_checkpoint_at(f, LOG_CHECKPOINT_CLEANER, 33);
    crash(f);
    lose(f, SEGMENT_22, 8 * BATCH);
    lose(f, SEGMENT_33, 0);
    fixture_open(f);
    stays(f);
}

static void a_hole_below_the_start_offset_stays(void **state) {
    struct fixture *f = *state;
    written_log(f, 33, 0);
    crash(f);
    lose(f, SEGMENT_22, 8 * BATCH);
    lose(f, SEGMENT_33, 0);
    fixture_open(f);
    assert_int_equal(log_start_offset(f->log), 33);
    stays(f);
}

static void a_hole_with_records_behind_it_stays(void **state) {
    struct fixture *f = *state;
    written_log(f, 0, 0);
    crash(f);
    lose(f, SEGMENT_22, 8 * BATCH);
    lose(f, SEGMENT_33, BATCH);
    fixture_open(f);
    told_nothing(f);
    assert_int_equal(log_end_offset(f->log), 34);
    assert_int_equal(fixture_read_all(f, 0), 31);
}

/* --- what was let pass once --- */

#define GAPS "gap-offset-checkpoint"

/* A log without compaction whose hole passed while it had it. */
static void let_pass(struct fixture *f) {
    a_hole_with_records_behind_it_stays((void **)&f);
    assert_int_equal(append_next(f, 34), ERR_OK);
    f->config.cleanup_compact = false;
    f->config.cleanup_delete = true;
}

/* All of it is there, and so is the note, or not. */
static void opens(struct fixture *f, bool noted) {
    fixture_open(f);
    told_nothing(f);
    assert_int_equal(fixture_read_all(f, 0), 32);
    assert_int_equal(file_exists(f, GAPS), noted);
}

static void it_passes_whatever_the_policy_is(void **state) {
    struct fixture *f = *state;
    let_pass(f);
    for (int i = 0; i < 2; i++) {
        crash(f);
        opens(f, true);
    }
}

static void once_it_is_synced_nothing_is_kept_of_it(void **state) {
    struct fixture *f = *state;
    let_pass(f);
    assert_int_equal(log_flush(f->log, INT64_MAX), ERR_OK);
    fixture_checkpoint(f);
    crash(f);
    opens(f, false);
}

static void after_a_clean_end_too(void **state) {
    struct fixture *f = *state;
    let_pass(f);
    fixture_close(f);
    opens(f, false);
}

static void one_behind_it_does_not(void **state) {
    struct fixture *f = *state;
    let_pass(f);
    f->config.segment_bytes = BATCH;
    log_configure(f->log, &f->config);
    for (int i = 35; i < 40; i++) {
        assert_int_equal(append_next(f, i), ERR_OK);
    }
    crash(f);
    lose(f, "00000000000000000037.log", 0);
    fixture_open(f);
    assert_true(told(f, "00000000000000000037.log ends at offset 37, but the segment after it "
                        "begins at 38"));
    assert_int_equal(log_end_offset(f->log), 37);
    assert_int_equal(fixture_read_all(f, 0), 34);
}

static void what_is_cut_is_not_let_pass_again(void **state) {
    struct fixture *f = *state;
    let_pass(f);
    assert_int_equal(log_truncate_to(f->log, 20), ERR_OK);
    for (int i = 20; i < RECORDS; i++) {
        assert_int_equal(append_next(f, i), ERR_OK);
    }
    crash(f);
    lose(f, SEGMENT_22, 8 * BATCH);
    fixture_open(f);
    assert_true(told(f, SEGMENT_22 " ends at offset 30, but the segment after it begins at 33"));
    assert_true(log_truncate_fully(f->log, 50) == ERR_OK);
    assert_false(file_exists(f, GAPS));
}

static void a_file_that_says_nothing(void **state) {
    struct fixture *f = *state;
    let_pass(f);
    crash(f);
    file_write(f, GAPS, "0\n1\nx\n", 6);
    fixture_open(f);
    assert_true(told(f, GAPS " cannot be used and counts as absent"));
    assert_int_equal(log_end_offset(f->log), 30);
    assert_false(file_exists(f, GAPS));
}

/* --- power cuts while it is dropped --- */

struct strike {
    struct fixture *f;
    uint64_t at;
    uint64_t calls;
    bool ended;
};

/* From one call on nothing is done any more. */
static void on_event(void *arg, const struct sim_event *event) {
    struct strike *strike = arg;
    if (event->kind == SIM_EVENT_CALL && ++strike->calls == strike->at) {
        (void)sim_disk_add_fault(strike->f->host, &(struct sim_fault){.kind = SIM_FAULT_ERROR});
    }
}

static void open_struck(void *arg) {
    struct strike *strike = arg;
    struct fixture *f = strike->f;
    f->cache = log_cache_new(f->sys, 16, 256 * 1024);
    if (log_directory_open(f->sys, &f->text_log, f->cache, "/data", &f->directory) == ERR_OK) {
        err_t err = fixture_try_open(f);
        assert_true(strike->calls >= strike->at || err == ERR_OK);
    }
    strike->ended = true;
}

static bool has_ended(void *arg) {
    return ((const struct strike *)arg)->ended;
}

/* False: a start has no such call. */
static bool power_cut_at(uint64_t call, uint64_t seed) {
    struct fixture fixture;
    struct fixture *f = &fixture;
    begin(f, seed);
    written_log(f, 0, 0);
    crash(f);
    lose(f, SEGMENT_11, 8 * BATCH);
    lose(f, SEGMENT_22, 0);
    lose(f, SEGMENT_33, 100);
    struct strike strike = {.f = f, .at = call};
    sim_world_observe(f->world, on_event, &strike);
    sim_host_spawn(f->host, "node", open_struck, &strike);
    assert_true(sim_world_run_until(f->world, has_ended, &strike, 600000));
    sim_world_observe(f->world, NULL, NULL);
    sim_disk_remove_all_faults(f->host);
    fixture_crash(f, true);
    fixture_open(f);
    ends_at(f, 19);
    fixture_done(f);
    return strike.calls >= call;
}

static void power_cuts_at_every_call(void **state) {
    (void)state;
    uint64_t calls = 0;
    while (power_cut_at(calls + 1, 1)) {
        calls++;
        for (uint64_t seed = 2; seed <= 5; seed++) {
            (void)power_cut_at(calls, seed);
        }
    }
    assert_true(calls > 60); /* those of the segments that go among them */
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(last_segment_empty),
        CASE(last_segment_damaged_at_its_beginning),
        CASE(last_segment_torn_in_its_first_batch),
        CASE(several_segments_empty),
        CASE(an_empty_segment_that_follows_on_stays),
        CASE(nothing_left_above_the_recovery_point),
        CASE(start_offset_in_the_hole),
        CASE(start_offset_at_an_empty_segment),
        CASE(a_hole_below_the_recovery_point_stays),
        CASE(a_hole_in_what_is_compacted_stays),
        CASE(a_hole_below_the_start_offset_stays),
        CASE(a_hole_with_records_behind_it_stays),
        CASE(it_passes_whatever_the_policy_is),
        CASE(once_it_is_synced_nothing_is_kept_of_it),
        CASE(after_a_clean_end_too),
        CASE(one_behind_it_does_not),
        CASE(what_is_cut_is_not_let_pass_again),
        CASE(a_file_that_says_nothing),
        cmocka_unit_test(power_cuts_at_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
