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
        TEST(what_was_written_is_synced_soon),
        TEST(recovery_points_of_appends_that_sync),
        TEST(a_sealed_segment_is_synced_at_the_next_look),
        TEST(old_segments_go),
        TEST(upkeep_waits_for_a_hung_disk),
        TEST(an_idle_node_leaves_the_disk_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
