/* Topics made, deleted and made again, and their settings. */
#include "replica/replica_fixture_test.h"

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

/* --- making and deleting --- */

static void a_topic_is_made_used_and_deleted(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 3);
    fixture_commit(f);
    assert_int_equal(replicas_count(f->replicas), 3);
    assert_int_equal(fill(f, id, 5), 5);
    assert_int_equal(records_of(f, id, 0), 5);
    assert_true(exists(f, "/d0/t-2"));

    struct partition *partition = find(f, id, 0);
    fixture_delete(f, id);
    fixture_commit(f);
    assert_null(replicas_find(f->replicas, id, 0));
    assert_int_equal(append_try(f, partition, &(struct batch){0}), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    partition_unref(partition);
    fixture_settle(f);
    assert_false(exists(f, "/d0/t-0"));
    assert_int_equal(count_names(f, "/d0", "t-"), 3); /* .…-delete */
    fixture_run_for(f, 5000);
    assert_int_equal(count_names(f, "/d0", "t-"), 0);
}

static void a_topic_may_be_used_at_once(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_commit(f);
    struct partition *partition = find(f, id, 0);
    struct partition_read read = {.offset = 0,
                                  .size_max = 1000,
                                  .leader_epoch = PARTITION_ANY_EPOCH,
                                  .fetched_epoch = PARTITION_ANY_EPOCH};
    assert_int_equal(partition_read(partition, &read), ERR_OK);
    assert_int_equal(read.high_watermark, 0);
    struct appending appending;
    append_begin(f, partition, &(struct batch){0}, &appending);
    assert_true(appending.pending);
    fixture_settle(f);
    assert_int_equal(appending.append.write.err, ERR_OK);
    append_end(&appending);
    assert_int_equal(count_records(partition, 0), 1);
    partition_unref(partition);
}

/* Deleted and made again in one change, while writes stand in the queue. */
static void a_name_is_used_again(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid before = fixture_topic(f, "t", 1);
    fixture_commit(f);
    fill(f, before, 5);
    struct uuid after = {{0}};
    for (int i = 0; i < 5; i++) {
        fixture_delete(f, before);
        after = fixture_topic(f, "t", 1);
        fixture_commit(f);
        before = after;
    }
    assert_int_equal(fill(f, after, 3), 3);
    fixture_settle(f);
    assert_int_equal(offsets_of(f, after).high_watermark, 3);
    assert_false(told(f, "could not be made"));
    fixture_run_for(f, 5000);
    assert_int_equal(count_names(f, "/d0", "t-"), 1);
}

/* Each time after some slices of the one before, so that every order of them comes about. */
static void a_name_is_used_again_and_again(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_commit(f);
    for (int i = 0; i < 100; i++) {
        sim_disk_set_latency(f->host, SIM_CALL_ALL, 0, 1000 * 1000);
        fixture_run_for(f, (int64_t)sim_world_random(f->world, 5));
        fixture_delete(f, id);
        if (sim_world_random(f->world, 2) == 0) {
            fixture_commit(f);
        }
        id = fixture_topic(f, "t", 1);
        fixture_commit(f);
        assert_false(told(f, "could not be made"));
    }
    assert_int_equal(fill(f, id, 3), 3);
    fixture_settle(f);
    fixture_run_for(f, 5000);
    assert_int_equal(count_names(f, "/d0", "t-"), 1);
}

/* Checkpoints know names only: what they say of the old topic must not cut the new one. */
static void a_checkpoint_does_not_outlive_its_topic(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid before = fixture_topic(f, "t", 1);
    fixture_commit(f);
    fill(f, before, 100);
    cut_below(f, before, 90);
    fixture_run_for(f, 60 * 1000);
    int64_t offset;
    assert_true(log_directory_checkpoint_get(f->volumes[0]->directory, LOG_CHECKPOINT_LOG_START,
                                             STR("t"), 0, &offset));
    fixture_delete(f, before);
    struct uuid after = fixture_topic(f, "t", 1);
    fixture_commit(f);
    fill(f, after, 20);
    fixture_crash(f, false);

    fixture_start(f);
    struct partition_offsets offsets = offsets_of(f, after);
    assert_int_equal(offsets.log_start_offset, 0);
    assert_int_equal(offsets.high_watermark, 20);
    assert_int_equal(records_of(f, after, 0), 20);
}

static void the_emptier_directory_gets_the_next_log(void **state) {
    struct fixture *f = *state;
    f->volume_count = 2;
    fixture_start(f);
    struct uuid first = fixture_topic(f, "a", 4);
    fixture_commit(f);
    fixture_settle(f);
    assert_int_equal(count_names(f, "/d0", "a-"), 2);
    assert_int_equal(count_names(f, "/d1", "a-"), 2);
    fixture_delete(f, first);
    (void)fixture_topic(f, "b", 4);
    fixture_commit(f);
    fixture_settle(f);
    assert_int_equal(count_names(f, "/d0", "b-"), 2);
    assert_int_equal(count_names(f, "/d1", "b-"), 2);
}

static void a_failed_directory_gets_none(void **state) {
    struct fixture *f = *state;
    f->volume_count = 2;
    fixture_start(f);
    (void)log_directory_note(f->volumes[0]->directory, ERR_IO);
    (void)fixture_topic(f, "a", 4);
    fixture_commit(f);
    fixture_settle(f);
    assert_int_equal(count_names(f, "/d1", "a-"), 4);
}

static void a_directory_for_metadata_only_gets_none(void **state) {
    struct fixture *f = *state;
    f->volume_count = 2;
    f->metadata_volumes = 1;
    fixture_start(f);
    (void)fixture_topic(f, "a", 4);
    fixture_commit(f);
    fixture_settle(f);
    assert_int_equal(count_names(f, "/d0", "a-"), 4);
}

/* --- settings --- */

static void settings_reach_a_log_that_is_being_made(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_commit(f);
    fixture_config(f, META_RESOURCE_TOPIC, "t", "segment.ms", "1234567");
    fixture_commit(f);
    fixture_settle(f);
    struct partition *partition = find(f, id, 0);
    struct log_config config;
    log_config_read(partition_log(partition), &config);
    assert_int_equal(config.segment_ms, 1234567);

    fixture_config(f, META_RESOURCE_TOPIC, "t", "segment.ms", NULL);
    fixture_config(f, META_RESOURCE_BROKER, "", "log.roll.ms", "7654321");
    fixture_commit(f);
    log_config_read(partition_log(partition), &config);
    assert_int_equal(config.segment_ms, 7654321);
    partition_unref(partition);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_topic_is_made_used_and_deleted),
        TEST(a_topic_may_be_used_at_once),
        TEST(a_name_is_used_again),
        TEST(a_name_is_used_again_and_again),
        TEST(a_checkpoint_does_not_outlive_its_topic),
        TEST(the_emptier_directory_gets_the_next_log),
        TEST(a_failed_directory_gets_none),
        TEST(a_directory_for_metadata_only_gets_none),
        TEST(settings_reach_a_log_that_is_being_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
