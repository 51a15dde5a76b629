/* What is on the disk at a start, and stopping at any time. */
#include "replica/replica_fixture_test.h"
#include "sys/file.h"

static int set_up(void **state) {
    static struct fixture fixture;
    fixture_init(&fixture, 1);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state) {
    fixture_done(*state);
    return 0;
}

/* --- starting --- */

static void a_restart_finds_everything(void **state) {
    struct fixture *f = *state;
    f->volume_count = 2;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 4);
    fixture_commit(f);
    fill(f, id, 50);
    cut_below(f, id, 10);
    fixture_stop(f);
    assert_true(exists(f, "/d0/.kafka_cleanshutdown"));
    assert_true(exists(f, "/d1/.kafka_cleanshutdown"));

    fixture_start(f);
    assert_int_equal(replicas_count(f->replicas), 4);
    assert_int_equal(offsets_of(f, id).log_start_offset, 10);
    assert_int_equal(records_of(f, id, 10), 40);
    fixture_crash(f, false);

    fixture_start(f);
    assert_int_equal(offsets_of(f, id).log_start_offset, 10);
    assert_int_equal(records_of(f, id, 10), 40);
}

static void what_is_read_again_is_counted(void **state) {
    struct fixture *f = *state;
    struct replicas_progress progress;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 3);
    fixture_commit(f);
    fill(f, id, 50);
    fixture_crash(f, false);

    fixture_start(f);
    replicas_progress(f->replicas, &progress);
    assert_int_equal(progress.logs_open, 3);
    assert_true(progress.bytes_recovered > 0);
    assert_true(progress.bytes_recovered == progress.bytes_to_recover);
    fixture_stop(f);

    fixture_start(f);
    replicas_progress(f->replicas, &progress);
    assert_true(progress.bytes_recovered == 0);
}

static void what_is_unknown_is_set_aside(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 2);
    fixture_commit(f);
    fill(f, id, 5);
    fixture_stop(f);

    /* Deleted while nobody ran, and made anew: the old folder's name is wanted at once. */
    fixture_delete(f, id);
    struct uuid after = fixture_topic(f, "t", 2);
    f->loaded = false;
    fixture_commit(f);
    fixture_start(f);
    assert_int_equal(fill(f, after, 3), 3);
    fixture_settle(f);
    assert_true(told(f, "/d0/t-0 belongs to no partition of this node; renamed"));
    assert_int_equal(count_names(f, "/d0", "t-0"), 2);
    assert_int_equal(records_of(f, after, 0), 3);
}

static void a_log_without_an_id_gets_that_of_its_partition(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_commit(f);
    fill(f, id, 5);
    fixture_stop(f);
    assert_int_equal(sys_path_remove(f->sys, "/d0/t-0/partition.metadata"), ERR_OK);
    fixture_start(f);
    assert_int_equal(records_of(f, id, 0), 5);
    fixture_stop(f);

    /* Another topic of that name does not inherit its records. */
    fixture_delete(f, id);
    struct uuid after = fixture_topic(f, "t", 1);
    f->loaded = false;
    fixture_commit(f);
    fixture_start(f);
    fixture_settle(f);
    assert_int_equal(records_of(f, after, 0), 0);
}

static void a_log_in_two_directories_is_opened_once(void **state) {
    struct fixture *f = *state;
    f->volume_count = 2;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_commit(f);
    fill(f, id, 5);
    fixture_stop(f);
    assert_int_equal(sys_dir_make(f->sys, "/d1/t-0"), ERR_OK);
    fixture_start(f);
    fixture_settle(f);
    assert_int_equal(records_of(f, id, 0), 5);
    assert_true(told(f, "t-0 is in two log directories; the one in /d1 is set aside"));
}

static void a_log_that_cannot_be_opened_is_offline_alone(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid bad = fixture_topic(f, "bad", 1);
    struct uuid good = fixture_topic(f, "good", 1);
    fixture_commit(f);
    fill(f, bad, 20);
    fill(f, good, 5);
    cut_below(f, bad, 7);
    fixture_stop(f);

    struct sim_fault fault = {.kind = SIM_FAULT_ERROR,
                              .calls = SIM_CALL_LOOK | SIM_CALL_OPEN,
                              .path = "/d0/bad-0*",
                              .err = ERR_ACCESS};
    int number = sim_disk_add_fault(f->host, &fault);
    fixture_start(f);
    assert_true(told(f, "The log of bad-0 in /d0 could not be opened"));
    struct partition *partition = find(f, bad, 0);
    assert_int_equal(append_try(f, partition, &(struct batch){0}), ERR_KAFKA_STORAGE_ERROR);
    partition_unref(partition);
    fill(f, good, 5);
    fixture_run_for(f, 60 * 1000);
    fixture_stop(f);
    assert_false(exists(f, "/d0/.kafka_cleanshutdown"));

    /* What checkpoints said of it was kept. */
    sim_disk_remove_fault(f->host, number);
    fixture_start(f);
    assert_int_equal(offsets_of(f, bad).log_start_offset, 7);
    assert_int_equal(records_of(f, bad, 7), 13);
    assert_int_equal(records_of(f, good, 0), 10);
}

static bool is_told(struct fixture *f) {
    return f->loaded;
}

/* Topic with partition 0 in the first directory and 1 in the second, and 5 records in 0. */
static struct uuid in_two_directories(struct fixture *f) {
    f->volume_count = 2;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 2);
    fixture_commit(f);
    fill(f, id, 5);
    fixture_stop(f);
    return id;
}

static void expect_all_back(struct fixture *f, struct uuid id) {
    sim_disk_remove_all_faults(f->host);
    fixture_stop(f);
    assert_int_equal(count_names(f, "/d0", "t-"), 1);
    assert_int_equal(count_names(f, "/d1", "t-"), 1);
    fixture_start(f);
    assert_int_equal(records_of(f, id, 0), 5);
}

/* A directory that cannot be listed may hold anything: nothing is made anew elsewhere. */
static void a_directory_that_cannot_be_listed_is_offline(void **state) {
    struct fixture *f = *state;
    struct uuid id = in_two_directories(f);
    struct sim_fault fault = {
        .kind = SIM_FAULT_ERROR, .calls = SIM_CALL_LOOK, .path = "/d0", .err = ERR_ACCESS};
    fixture_begin(f);
    (void)sim_disk_add_fault(f->host, &fault);
    fixture_wait(f, is_told);
    assert_int_equal(f->load_err, ERR_OK);
    struct partition *lost = find(f, id, 0);
    struct partition *kept = find(f, id, 1);
    assert_true(partition_is_offline(lost));
    assert_int_equal(append_try(f, lost, &(struct batch){0}), ERR_KAFKA_STORAGE_ERROR);
    assert_int_equal(append_try(f, kept, &(struct batch){0}), ERR_OK);
    partition_unref(lost);
    partition_unref(kept);
    expect_all_back(f, id);
}

static void without_any_directory_that_can_be_listed_there_is_no_start(void **state) {
    struct fixture *f = *state;
    struct uuid id = in_two_directories(f);
    struct sim_fault fault = {
        .kind = SIM_FAULT_ERROR, .calls = SIM_CALL_LOOK, .path = "/d?", .err = ERR_IO};
    fixture_begin(f);
    (void)sim_disk_add_fault(f->host, &fault);
    fixture_wait(f, is_told);
    assert_int_equal(f->load_err, ERR_IO);
    assert_int_equal(replicas_count(f->replicas), 0);
    expect_all_back(f, id);
}

/* Nobody knows where t-0 is: it may be in the directory that could not be opened. What is made from
 * now on is not. */
static void what_may_be_in_a_missing_directory_is_not_made_anew(void **state) {
    struct fixture *f = *state;
    struct uuid id = in_two_directories(f);
    assert_int_equal(sys_path_rename(f->sys, "/d0", "/gone"), ERR_OK);
    assert_int_equal(sys_path_rename(f->sys, "/d1", "/d0"), ERR_OK);
    f->volume_count = 1;
    f->volumes_missing = true;
    fixture_start(f);
    struct partition *lost = find(f, id, 0);
    struct partition *kept = find(f, id, 1);
    assert_true(partition_is_offline(lost));
    assert_false(partition_is_offline(kept));
    partition_unref(lost);
    partition_unref(kept);
    struct uuid new = fixture_topic(f, "new", 1);
    fixture_commit(f);
    assert_int_equal(fill(f, new, 3), 3);
    fixture_stop(f);
    assert_int_equal(count_names(f, "/d0", "t-"), 1);

    assert_int_equal(sys_path_rename(f->sys, "/gone", "/d1"), ERR_OK);
    f->volume_count = 2;
    f->volumes_missing = false;
    fixture_start(f);
    assert_int_equal(records_of(f, id, 0), 5);
    assert_int_equal(records_of(f, new, 0), 3);
}

static void an_image_that_moved_while_logs_were_opened(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid gone = fixture_topic(f, "gone", 1);
    struct uuid kept = fixture_topic(f, "kept", 1);
    fixture_commit(f);
    fill(f, gone, 3);
    fill(f, kept, 3);
    fixture_stop(f);

    fixture_begin(f);
    fixture_delete(f, gone);
    fixture_leader(f, kept, 0, 1);
    fixture_config(f, META_RESOURCE_TOPIC, "kept", "max.message.bytes", "100");
    struct uuid new = fixture_topic(f, "new", 1);
    fixture_commit(f);
    fixture_wait(f, is_told);
    replicas_catch_up(f->replicas, f->image);
    fixture_settle(f);
    assert_null(replicas_find(f->replicas, gone, 0));
    assert_int_equal(fill(f, new, 1), 1);
    struct partition *partition = find(f, kept, 0);
    assert_int_equal(append_try(f, partition, &(struct batch){.value_size = 200}),
                     ERR_MESSAGE_TOO_LARGE);
    partition_unref(partition);
    assert_int_equal(offsets_of(f, kept).leader_epoch, 1); /* elected anew */
}

/* --- stopping --- */

/* A stop before the table stands must not write checkpoints of nothing. */
static void a_stop_before_loading_leaves_checkpoints_alone(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_commit(f);
    fill(f, id, 20);
    cut_below(f, id, 10);
    fixture_stop(f);
    for (int ms = 0; ms < 4; ms++) {
        fixture_begin(f);
        fixture_run_for(f, ms);
        fixture_stop(f);
    }
    fixture_start(f);
    assert_int_equal(offsets_of(f, id).log_start_offset, 10);
    assert_int_equal(records_of(f, id, 10), 10);
}

static void a_stop_with_writes_in_the_queue(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_config(f, META_RESOURCE_TOPIC, "t", "compression.type", "gzip");
    fixture_commit(f);
    fill(f, id, 1);
    struct partition *partition = find(f, id, 0);
    struct appending appendings[5];
    for (int i = 0; i < 5; i++) { /* recompression is a worker's */
        append_begin(f, partition, &(struct batch){0}, &appendings[i]);
        assert_true(appendings[i].pending);
    }
    partition_unref(partition);
    fixture_stop(f);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(appendings[i].append.write.err, ERR_OK);
        append_end(&appendings[i]);
    }
    fixture_start(f);
    assert_int_equal(records_of(f, id, 0), 6);
}

static void a_stop_while_topics_come_and_go(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid before = fixture_topic(f, "t", 1);
    fixture_commit(f);
    fill(f, before, 3);
    fixture_delete(f, before);
    struct uuid after = fixture_topic(f, "t", 1);
    struct uuid other = fixture_topic(f, "u", 1);
    fixture_commit(f);
    fixture_stop(f);
    assert_true(exists(f, "/d0/.kafka_cleanshutdown"));
    fixture_start(f);
    assert_int_equal(fill(f, after, 2), 2);
    assert_int_equal(fill(f, other, 2), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_restart_finds_everything),
        TEST(what_is_read_again_is_counted),
        TEST(what_is_unknown_is_set_aside),
        TEST(a_log_without_an_id_gets_that_of_its_partition),
        TEST(a_log_in_two_directories_is_opened_once),
        TEST(a_log_that_cannot_be_opened_is_offline_alone),
        TEST(a_directory_that_cannot_be_listed_is_offline),
        TEST(without_any_directory_that_can_be_listed_there_is_no_start),
        TEST(what_may_be_in_a_missing_directory_is_not_made_anew),
        TEST(an_image_that_moved_while_logs_were_opened),
        TEST(a_stop_before_loading_leaves_checkpoints_alone),
        TEST(a_stop_with_writes_in_the_queue),
        TEST(a_stop_while_topics_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
