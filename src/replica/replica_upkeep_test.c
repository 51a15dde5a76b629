/* What happens in the background. */
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

/* Of a record each; two are kept. */
static struct uuid topic_of_eight_segments(struct fixture *f) {
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_config(f, META_RESOURCE_TOPIC, "t", "segment.bytes", "1048576");
    fixture_config(f, META_RESOURCE_TOPIC, "t", "retention.bytes", "1048576");
    fixture_commit(f);
    struct partition *partition = find(f, id, 0);
    for (int i = 0; i < 8; i++) {
        append(f, partition, &(struct batch){.value_size = 900 * 1000});
    }
    partition_unref(partition);
    return id;
}

static void old_segments_go(void **state) {
    struct fixture *f = *state;
    fixture_set(f, "log.retention.check.interval.ms", "2000");
    fixture_start(f);
    struct uuid id = topic_of_eight_segments(f);
    fixture_run_for(f, 10 * 1000);
    assert_int_equal(offsets_of(f, id).log_start_offset, 6);
    assert_int_equal(count_names(f, "/d0/t-0", "0000000000000000000"), 2 * 4);
}

/* The largest interval is one, too. */
static void old_segments_stay_when_nobody_looks(void **state) {
    struct fixture *f = *state;
    fixture_set(f, "log.retention.check.interval.ms", "9223372036854775807");
    fixture_start(f);
    fixture_run_for(f, 5 * 1000); /* the look after the start */
    struct uuid id = topic_of_eight_segments(f);
    fixture_run_for(f, 60 * 1000);
    assert_int_equal(offsets_of(f, id).log_start_offset, 0);
}

static bool knows_producer(struct fixture *f, struct uuid id) {
    struct partition *partition = find(f, id, 0);
    bool known = log_producer_known(partition_log(partition), 7);
    partition_unref(partition);
    return known;
}

static void silent_producers_are_forgotten(void **state) {
    struct fixture *f = *state;
    fixture_set(f, "producer.id.expiration.check.interval.ms", "2000");
    fixture_set(f, "producer.id.expiration.ms", "10000");
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_commit(f);
    struct partition *partition = find(f, id, 0);
    append(f, partition, &(struct batch){.producer_id = 7});
    partition_unref(partition);
    fixture_run_for(f, 5 * 1000);
    assert_true(knows_producer(f, id));
    fixture_run_for(f, 10 * 1000);
    assert_false(knows_producer(f, id));
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

/* --- log starts --- */

static void what_was_deleted_stays_deleted(void **state) {
    struct fixture *f = *state;
    for (int round = 1; round <= 8; round++) {
        fixture_start(f);
        struct uuid id = fixture_topic(f, round % 2 == 0 ? "even" : "odd", 1);
        fixture_commit(f);
        fill(f, id, 10);
        fixture_run_for(f, 20 * 1000); /* its records are synced */
        cut_below(f, id, 7);
        fixture_crash(f, true);
        fixture_start(f);
        assert_int_equal(offsets_of(f, id).log_start_offset, 7);
        fixture_delete(f, id);
        fixture_commit(f);
        fixture_run_for(f, 20 * 1000);
        fixture_stop(f);
    }
}

static int64_t log_start(struct fixture *f, const char *topic) {
    int64_t offset = -1;
    (void)log_directory_checkpoint_get(f->volumes[0]->directory, LOG_CHECKPOINT_LOG_START,
                                       str_from_c(topic), 0, &offset);
    return offset;
}

/* Between two logs that it syncs; but what the run does not know is left to the next. */
static void log_starts_are_written_while_a_run_goes_on(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 6);
    fixture_commit(f);
    for (int i = 0; i < 6; i++) {
        struct partition *partition = find(f, id, i);
        append(f, partition, &(struct batch){.records = 10});
        partition_unref(partition);
    }
    struct sim_fault fault = {
        .kind = SIM_FAULT_DELAY, .calls = SIM_CALL_SYNC, .path = "*.log", .delay_ms = 2000};
    (void)sim_disk_add_fault(f->host, &fault);
    fixture_run_for(f, 16 * 1000);
    struct cut known;
    cut_begin(f, id, 3, &known);
    fixture_run_for(f, 3000);
    assert_true(known.done);
    assert_int_equal(known.wait.err, ERR_OK);
    assert_int_equal(log_start(f, "t"), 3);

    struct uuid later = fixture_topic(f, "later", 1);
    fixture_commit(f);
    fill(f, later, 10);
    struct cut unknown;
    cut_begin(f, later, 5, &unknown);
    fixture_run_for(f, 3000);
    assert_int_equal(sys_pool_depth(f->volumes[0]->upkeep), 1);
    assert_false(unknown.done);
    fixture_settle(f);
    assert_true(unknown.done);
    assert_int_equal(unknown.wait.err, ERR_OK);
    assert_int_equal(log_start(f, "later"), 5);
}

static void a_log_start_that_cannot_be_written_is_said(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_commit(f);
    fill(f, id, 10);
    struct sim_fault fault = {.kind = SIM_FAULT_ERROR,
                              .calls = SIM_CALL_WRITE,
                              .path = "*log-start-offset-checkpoint*",
                              .err = ERR_NO_SPACE};
    int number = sim_disk_add_fault(f->host, &fault);
    struct cut cut;
    cut_begin(f, id, 3, &cut);
    fixture_settle(f);
    assert_true(cut.done);
    assert_int_equal(cut.wait.err, ERR_NO_SPACE);
    sim_disk_remove_fault(f->host, number);
    fixture_run_for(f, 3000);
    assert_int_equal(log_start(f, "t"), 3);
}

static void at_a_stop_nobody_is_left_waiting(void **state) {
    struct fixture *f = *state;
    fixture_start(f);
    struct uuid id = fixture_topic(f, "t", 1);
    fixture_commit(f);
    fill(f, id, 10);
    struct cut cut;
    cut_begin(f, id, 3, &cut);
    fixture_stop(f);
    assert_true(cut.done);
    assert_int_equal(cut.wait.err, ERR_NOT_LEADER_OR_FOLLOWER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_synced_soon),
        TEST(recovery_points_of_appends_that_sync),
        TEST(a_sealed_segment_is_synced_at_the_next_look),
        TEST(old_segments_go),
        TEST(old_segments_stay_when_nobody_looks),
        TEST(silent_producers_are_forgotten),
        TEST(upkeep_waits_for_a_hung_disk),
        TEST(an_idle_node_leaves_the_disk_alone),
        TEST(what_was_deleted_stays_deleted),
        TEST(log_starts_are_written_while_a_run_goes_on),
        TEST(a_log_start_that_cannot_be_written_is_said),
        TEST(at_a_stop_nobody_is_left_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
