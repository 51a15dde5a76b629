/* Log directories: who may open them, what a clean end is, folders, checkpoints, broken and full
 * disks, reading without waiting. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
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

static void write_path(struct fixture *f, const char *path, const char *text) {
    assert_int_equal(sys_file_replace(f->sys, path, text, strlen(text)), ERR_OK);
}

static void one_process_at_a_time(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    struct log_directory *second;
    assert_int_equal(log_directory_open(f->sys, &f->text_log, f->cache, "/data", &second),
                     ERR_IN_USE);
}

static void identity(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    struct log_meta meta;
    assert_false(log_directory_meta(f->directory, &meta));
    meta = (struct log_meta){
        .cluster_id = "c", .node_id = 5, .has_directory_id = true, .directory_id = UUID_TWO};
    assert_int_equal(log_directory_format(f->directory, &meta), ERR_OK);
    fixture_crash(f, true);
    char reason[100];
    assert_int_equal(log_meta_read(f->sys, "/data", &meta, reason, sizeof reason), ERR_OK);
    assert_int_equal(meta.node_id, 5);
    assert_int_equal(meta.version, 1);
    write_path(f, "/data/meta.properties", "version=1\nnode.id=x\n");
    f->cache = log_cache_new(f->sys, 4, 4096);
    assert_int_equal(log_directory_open(f->sys, &f->text_log, f->cache, "/data", &f->directory),
                     ERR_CORRUPT);
    f->directory = NULL;
    assert_true(told(f, "/data/meta.properties cannot be used: node.id is no number"));
}

static bool was_clean(struct fixture *f) {
    int64_t broker_epoch;
    bool clean = log_directory_was_clean(f->directory, &broker_epoch);
    assert_int_equal(broker_epoch, clean ? 7 : -1);
    return clean;
}

static void the_marker_tells_the_truth(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    assert_false(was_clean(f));
    fixture_append_many(f, 3, 10);
    assert_int_equal(log_directory_mark_clean(f->directory, 7), ERR_INVALID); /* a log is open */
    fixture_close(f);
    fixture_open(f);
    assert_true(was_clean(f));
    fixture_crash(f, true); /* the marker went away when it was read */
    fixture_open(f);
    assert_false(was_clean(f));
    log_free(f->log); /* not closed */
    f->log = NULL;
    assert_int_equal(log_directory_mark_clean(f->directory, 7), ERR_INVALID);
}

static void checkpoints_are_whole_or_absent(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    struct log_checkpoint_entry entries[] = {
        {.topic = STR("a.b-c"), .partition = 3, .offset = 9},
        {.topic = STR("t"), .partition = 0, .offset = 4},
    };
    for (int kind = 0; kind < LOG_CHECKPOINT_COUNT; kind++) {
        assert_int_equal(
            log_directory_checkpoint_write(f->directory, (enum log_checkpoint)kind, entries, 2),
            ERR_OK);
    }
    fixture_crash(f, true);
    write_path(f, "/data/replication-offset-checkpoint", "0\n1\nt 0\n");
    fixture_open(f);
    int64_t offset;
    assert_true(log_directory_checkpoint_get(f->directory, LOG_CHECKPOINT_CLEANER, STR("a.b-c"), 3,
                                             &offset));
    assert_int_equal(offset, 9);
    assert_false(log_directory_checkpoint_get(f->directory, LOG_CHECKPOINT_CLEANER, STR("a.b-c"), 2,
                                              &offset));
    assert_false(log_directory_checkpoint_get(f->directory, LOG_CHECKPOINT_HIGH_WATERMARK, STR("t"),
                                              0, &offset));
    assert_true(told(f, "/data/replication-offset-checkpoint cannot be used and counts as absent: "
                        "line 3: 3 fields were expected"));
}

static void folders(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    static const char *const names[] = {
        "/data/u-3", "/data/u-4.0123456789abcdef0123456789abcdef-delete", "/data/lost+found",
        "/data/u-5.0123456789abcdef0123456789abcdef-future"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(sys_dir_make(f->sys, names[i]), ERR_OK);
    }
    write_path(f, "/data/u-3/partition.metadata", "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAg");
    write_path(f, "/data/u-4.0123456789abcdef0123456789abcdef-delete/x.log", "x");
    assert_int_equal(log_directory_set_stray(f->directory, "u-3"), ERR_OK);
    struct log_folder *found;
    size_t count;
    assert_int_equal(log_directory_list(f->directory, &found, &count), ERR_OK);
    assert_true(told(f, "/data/lost+found is no partition's folder and was skipped"));
    assert_int_equal(count, 3);
    assert_string_equal(found[0].name, "t-0");
    assert_true(uuid_equal(found[0].topic_id, UUID_ONE));
    assert_int_equal(found[1].kind, LOG_FOLDER_STRAY);
    assert_true(uuid_equal(found[1].topic_id, UUID_TWO));
    assert_int_equal(found[2].kind, LOG_FOLDER_FUTURE);
    free(found);
    int64_t next_ms;
    do {
        assert_int_equal(log_directory_trash_step(f->directory, &next_ms), ERR_OK);
    } while (next_ms != INT64_MAX);
    struct sys_stat stat;
    assert_int_equal(sys_path_stat(f->sys, names[1], &stat), ERR_NOT_FOUND);
}

static void topic_ids(void **state) {
    struct fixture *f = *state;
    fixture_open(f);
    struct uuid id;
    assert_true(log_topic_id(f->log, &id));
    assert_true(uuid_equal(id, UUID_ONE));
    assert_int_equal(log_topic_id_set(f->log, UUID_ONE), ERR_OK);
    assert_int_equal(log_topic_id_set(f->log, UUID_TWO), ERR_INCONSISTENT_TOPIC_ID);
    fixture_close(f);
    file_remove(f, "partition.metadata");
    fixture_open(f);
    assert_false(log_topic_id(f->log, &id));
    assert_int_equal(log_topic_id_set(f->log, UUID_TWO), ERR_OK);
    fixture_close(f);
    fixture_open(f);
    assert_true(log_topic_id(f->log, &id));
    assert_true(uuid_equal(id, UUID_TWO));
}

/* --- disks that fail: only actors meet injected faults, so these run in one --- */

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
    assert_true(told(f, "/data is full: appends are refused until there is space"));
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

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(one_process_at_a_time),
        CASE(identity),
        CASE(the_marker_tells_the_truth),
        CASE(checkpoints_are_whole_or_absent),
        CASE(folders),
        CASE(topic_ids),
        CASE(a_full_disk_heals),
        CASE(a_torn_append_leaves_nothing),
        CASE(a_torn_append_is_taken_back_later),
        CASE(a_failed_sync_ends_writing),
        CASE(cold_reads_say_so),
        CASE(a_clean_start_reads_no_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
