/* Topics made, deleted and made again; what is on the disk at a start; stopping at any time. */
#include <stdio.h>
#include <string.h>

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

/* Appends so many records to a topic's partition 0, and returns its end. */
static int64_t fill(struct fixture *f, struct uuid id, int batches) {
    struct partition *partition = find(f, id, 0);
    int64_t last = -1;
    for (int i = 0; i < batches; i++) {
        last = append(f, partition, &(struct batch){.records = 1});
    }
    partition_unref(partition);
    return last + 1;
}

static int64_t records_of(struct fixture *f, struct uuid id, int64_t offset) {
    struct partition *partition = find(f, id, 0);
    int64_t count = count_records(partition, offset);
    partition_unref(partition);
    return count;
}

static struct partition_offsets offsets_of(struct fixture *f, struct uuid id) {
    struct partition *partition = find(f, id, 0);
    struct partition_offsets offsets;
    assert_int_equal(partition_offsets(partition, PARTITION_ANY_EPOCH, &offsets), ERR_OK);
    partition_unref(partition);
    return offsets;
}

/* DeleteRecords. */
struct cut {
    struct partition_write write;
    int64_t offset;
    bool done;
};

static err_t run_cut(struct partition_write *write, struct partition *partition, struct log *log) {
    (void)partition;
    return log_delete_records(log, container_of(write, struct cut, write)->offset);
}

static void cut_done(struct partition_write *write) {
    container_of(write, struct cut, write)->done = true;
}

static void cut_below(struct fixture *f, struct uuid id, int64_t offset) {
    struct partition *partition = find(f, id, 0);
    struct cut cut = {
        .write = {.run = run_cut, .done = cut_done, .loop = f->loop, .blocking = true},
        .offset = offset};
    assert_int_equal(partition_submit(partition, &cut.write), ERR_PENDING);
    fixture_settle(f);
    assert_true(cut.done);
    assert_int_equal(cut.write.err, ERR_OK);
    replicas_note_log_start(f->replicas);
    partition_unref(partition);
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

/* A directory that cannot be listed may hold anything: nothing is made anew elsewhere. */
static bool is_told(struct fixture *f) {
    return f->loaded;
}

static void a_directory_that_cannot_be_listed_ends_the_start(void **state) {
    struct fixture *f = *state;
    f->volume_count = 2;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 2);
    fixture_commit(f);
    fill(f, id, 5);
    fixture_stop(f);
    struct sim_fault fault = {
        .kind = SIM_FAULT_ERROR, .calls = SIM_CALL_LOOK, .path = "/d0", .err = ERR_IO};
    fixture_begin(f);
    int number = sim_disk_add_fault(f->host, &fault);
    fixture_wait(f, is_told);
    assert_int_equal(f->load_err, ERR_IO);
    assert_int_equal(replicas_count(f->replicas), 0);
    sim_disk_remove_fault(f->host, number);
    fixture_stop(f);
    assert_int_equal(count_names(f, "/d0", "t-") + count_names(f, "/d1", "t-"), 2);

    fixture_start(f);
    assert_int_equal(records_of(f, id, 0), 5);
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

/* --- upkeep --- */

static int64_t recovery_point(struct fixture *f, const char *topic) {
    int64_t offset = -1;
    (void)log_directory_checkpoint_get(f->volumes[0]->directory, LOG_CHECKPOINT_RECOVERY_POINT,
                                       str_from_c(topic), 0, &offset);
    return offset;
}

static void what_was_written_is_synced_soon(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_commit(f);
    fill(f, id, 10);
    fixture_run_for(f, 30 * 1000);
    assert_int_equal(sim_disk_dirty_bytes(f->host, "/d0/t-0/00000000000000000000.log"), 0);
    assert_int_equal(recovery_point(f, "t"), 10);
    fixture_crash(f, true);
    fixture_start(f);
    assert_int_equal(records_of(f, id, 0), 10);
}

/* Its own appends sync it; their recovery points are written down, too. */
static void recovery_points_of_appends_that_sync(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_config(f, META_RESOURCE_TOPIC, "t", "flush.messages", "1");
    fixture_commit(f);
    fill(f, id, 10);
    assert_int_equal(sim_disk_dirty_bytes(f->host, "/d0/t-0/00000000000000000000.log"), 0);
    fixture_run_for(f, 30 * 1000);
    assert_int_equal(recovery_point(f, "t"), 10);
}

static void a_sealed_segment_is_synced_at_the_next_look(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_config(f, META_RESOURCE_TOPIC, "t", "segment.bytes", "1048576");
    fixture_commit(f);
    struct partition *partition = find(f, id, 0);
    append(f, partition, &(struct batch){.value_size = 900 * 1000});
    append(f, partition, &(struct batch){.value_size = 900 * 1000});
    partition_unref(partition);
    fixture_run_for(f, 3000);
    assert_int_equal(sim_disk_dirty_bytes(f->host, "/d0/t-0/00000000000000000000.log"), 0);
    assert_true(sim_disk_dirty_bytes(f->host, "/d0/t-0/00000000000000000001.log") > 0);
}

static void old_segments_go(void **state) {
    struct fixture *f = *state;
    fixture_set(f, "log.retention.check.interval.ms", "2000");
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_config(f, META_RESOURCE_TOPIC, "t", "segment.bytes", "1048576");
    fixture_config(f, META_RESOURCE_TOPIC, "t", "retention.bytes", "1048576");
    fixture_commit(f);
    struct partition *partition = find(f, id, 0);
    for (int i = 0; i < 8; i++) {
        append(f, partition, &(struct batch){.value_size = 900 * 1000});
    }
    partition_unref(partition);
    fixture_run_for(f, 10 * 1000);
    assert_int_equal(offsets_of(f, id).log_start_offset, 6);
    assert_int_equal(count_names(f, "/d0/t-0", "0000000000000000000"), 2 * 4);
}

/* A disk that hangs: upkeep does not pile up work behind it. */
static void upkeep_waits_for_a_hung_disk(void **state) {
    struct fixture *f = *state;
    fixture_set(f, "log.retention.check.interval.ms", "1000");
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_config(f, META_RESOURCE_TOPIC, "t", "compression.type", "gzip");
    fixture_commit(f);
    fill(f, id, 3);
    struct partition *partition = find(f, id, 0);
    struct sim_fault fault = {.kind = SIM_FAULT_HANG, .path = "/d0/t-0/*"};
    int number = sim_disk_add_fault(f->host, &fault);
    struct appending appending;
    append_begin(f, partition, &(struct batch){0}, &appending);
    fixture_run_for(f, 100 * 1000);
    assert_false(appending.done);
    assert_true(sys_pool_depth(f->volumes[0]->writers) <= 1);
    assert_true(sys_pool_depth(f->volumes[0]->upkeep) <= 1);
    sim_disk_remove_fault(f->host, number);
    fixture_settle(f);
    assert_int_equal(appending.append.write.err, ERR_OK);
    append_end(&appending);
    partition_unref(partition);
}

/* Nothing to do is nothing done: no call to the disk while idle. */
static uint64_t calls_seen;

static void count_calls(void *arg, const struct sim_event *event) {
    (void)arg;
    calls_seen += event->kind == SIM_EVENT_CALL;
}

static void an_idle_node_leaves_the_disk_alone(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 10);
    fixture_commit(f);
    fill(f, id, 10);
    fixture_run_for(f, 60 * 1000);
    calls_seen = 0;
    sim_world_observe(f->world, count_calls, NULL);
    fixture_run_for(f, 100 * 1000);
    sim_world_observe(f->world, NULL, NULL);
    assert_int_equal(calls_seen, 0);
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
        TEST(a_restart_finds_everything),
        TEST(what_is_unknown_is_set_aside),
        TEST(a_log_in_two_directories_is_opened_once),
        TEST(a_log_that_cannot_be_opened_is_offline_alone),
        TEST(a_directory_that_cannot_be_listed_ends_the_start),
        TEST(an_image_that_moved_while_logs_were_opened),
        TEST(settings_reach_a_log_that_is_being_made),
        TEST(a_stop_before_loading_leaves_checkpoints_alone),
        TEST(a_stop_with_writes_in_the_queue),
        TEST(a_stop_while_topics_come_and_go),
        TEST(what_was_written_is_synced_soon),
        TEST(recovery_points_of_appends_that_sync),
        TEST(a_sealed_segment_is_synced_at_the_next_look),
        TEST(old_segments_go),
        TEST(upkeep_waits_for_a_hung_disk),
        TEST(an_idle_node_leaves_the_disk_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
