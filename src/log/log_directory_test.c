/* Log directories: who may open them, what a clean end is, folders, checkpoints. */
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

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(one_process_at_a_time),           CASE(identity), CASE(the_marker_tells_the_truth),
        CASE(checkpoints_are_whole_or_absent), CASE(folders),  CASE(topic_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
