/* One partition: its queue of writes, its readers and who waits, on good and on bad disks. */
#include <string.h>

#include "base/limits.h"
#include "replica/replica_fixture_test.h"

struct test {
    struct fixture f;
    struct uuid id;
    struct partition *partition;
};

static int set_up(void **state) {
    static struct test test;
    memset(&test, 0, sizeof test);
    struct fixture *f = &test.f;
    fixture_init(f, 1);
    fixture_start(f);
    test.id = fixture_topic(f, "t", 1);
    fixture_commit(f);
    fixture_settle(f);
    test.partition = find(f, test.id, 0);
    *state = &test;
    return 0;
}

static int tear_down(void **state) {
    struct test *test = *state;
    partition_unref(test->partition);
    fixture_done(&test->f);
    return 0;
}

static struct partition_read read_at(int64_t offset) {
    return (struct partition_read){.offset = offset,
                                   .size_max = 64 * 1024,
                                   .min_one = true,
                                   .leader_epoch = PARTITION_ANY_EPOCH,
                                   .fetched_epoch = PARTITION_ANY_EPOCH};
}

static err_t try_read(struct test *test, struct partition_read read) {
    err_t err = partition_read(test->partition, &read);
    log_slice_release(&read.slice);
    return err;
}

static void set_topic(struct test *test, const char *name, const char *value) {
    fixture_config(&test->f, META_RESOURCE_TOPIC, "t", name, value);
    fixture_commit(&test->f);
}

/* --- the queue --- */

/* Some are checked at once, some recompressed by a worker: they keep their places. */
static void appends_keep_their_order(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    append(f, test->partition, &(struct batch){0});
    enum { COUNT = 30 };
    struct appending appendings[COUNT];
    for (int i = 0; i < COUNT; i++) {
        if (i % 5 == 0) {
            set_topic(test, "compression.type", i % 10 == 0 ? "gzip" : "producer");
        }
        append_begin(f, test->partition, &(struct batch){.records = 1 + i % 3}, &appendings[i]);
        assert_true(appendings[i].pending); /* behind the first one, all of them */
    }
    fixture_settle(f);
    int64_t next = 1;
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(appendings[i].append.write.err, ERR_OK);
        assert_int_equal(appendings[i].append.first_offset, next);
        assert_int_equal(appendings[i].append.record_count, 1 + i % 3);
        next = appendings[i].append.last_offset + 1;
        assert_true(i == 0 || appendings[i].order == appendings[i - 1].order + 1);
        append_end(&appendings[i]);
    }
    assert_int_equal(count_records(test->partition, 0), next);
}

static void an_append_alone_is_done_at_once(void **state) {
    struct test *test = *state;
    append(&test->f, test->partition, &(struct batch){0}); /* the epoch is noted by a worker */
    fixture_settle(&test->f);
    struct appending appending;
    append_begin(&test->f, test->partition, &(struct batch){0}, &appending);
    assert_false(appending.pending);
    assert_int_equal(appending.append.first_offset, 1);
    append_end(&appending);
}

static void writes_queue_behind_a_hung_one(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    append(f, test->partition, &(struct batch){0});
    set_topic(test, "compression.type", "gzip");
    struct sim_fault fault = {.kind = SIM_FAULT_HANG, .calls = SIM_CALL_WRITE};
    int number = sim_disk_add_fault(f->host, &fault);
    struct appending appendings[8];
    append_begin(f, test->partition, &(struct batch){0}, &appendings[0]);
    fixture_run_for(f, 1000);
    set_topic(test, "compression.type", "producer");
    for (int i = 1; i < 8; i++) {
        append_begin(f, test->partition, &(struct batch){0}, &appendings[i]);
        assert_true(appendings[i].pending);
    }
    fixture_run_for(f, 10 * 1000);
    assert_int_equal(try_read(test, read_at(0)), ERR_OK); /* readers go on */
    assert_false(appendings[0].done);
    sim_disk_remove_fault(f->host, number);
    fixture_settle(f);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(appendings[i].append.first_offset, 1 + i);
        append_end(&appendings[i]);
    }
}

/* Deleted while writes stand in the queue: those get an error, and then the folder goes. */
static void writes_of_a_deleted_topic(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    set_topic(test, "compression.type", "gzip");
    struct appending appendings[4];
    for (int i = 0; i < 4; i++) {
        append_begin(f, test->partition, &(struct batch){0}, &appendings[i]);
    }
    fixture_delete(f, test->id);
    fixture_commit(f);
    fixture_settle(f);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(appendings[i].append.write.err, ERR_UNKNOWN_TOPIC_OR_PARTITION);
        append_end(&appendings[i]);
    }
    assert_int_equal(try_read(test, read_at(0)), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_false(exists(f, "/d0/t-0"));
}

/* --- disks --- */

static void a_full_disk_refuses_and_heals(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    append(f, test->partition, &(struct batch){0});
    fixture_run_for(f, 30 * 1000);
    sim_disk_set_capacity(f->host, "/", sim_disk_used(f->host, "/"));
    for (int i = 0; i < 3; i++) {
        err_t err = append_try(f, test->partition, &(struct batch){.value_size = 100 * 1000});
        assert_int_equal(err_kafka_code(err), ERR_KAFKA_STORAGE_ERROR);
        assert_true(told(f, "The disk of /d0 is full") == (i == 0));
        sim_disk_set_capacity(f->host, "/", sim_disk_used(f->host, "/") + 10000);
        assert_int_equal(append(f, test->partition, &(struct batch){0}), 1 + i);
    }
    assert_int_equal(count_records(test->partition, 0), 4);
    sim_disk_set_capacity(f->host, "/", UINT64_C(8) << 30);
    assert_int_equal(append(f, test->partition, &(struct batch){.value_size = 100 * 1000}), 4);
    assert_int_equal(count_records(test->partition, 0), 5);
    fixture_run_for(f, VOLUME_ROOM_AGAIN_MS);
    (void)append(f, test->partition, &(struct batch){0});
    assert_true(told(f, "The disk of /d0 has room again"));
}

static void a_failed_disk_takes_its_partitions_offline(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    append(f, test->partition, &(struct batch){0});
    set_topic(test, "compression.type", "gzip"); /* a worker meets the fault */
    struct sim_fault fault = {.kind = SIM_FAULT_ERROR, .calls = SIM_CALL_WRITE};
    int number = sim_disk_add_fault(f->host, &fault);
    err_t err = append_try(f, test->partition, &(struct batch){0});
    assert_int_equal(err_kafka_code(err), ERR_KAFKA_STORAGE_ERROR);
    sim_disk_remove_fault(f->host, number);
    assert_true(told(f, "The directory /d0 failed and is offline"));
    assert_true(partition_is_offline(test->partition));
    assert_int_equal(append_try(f, test->partition, &(struct batch){0}), ERR_KAFKA_STORAGE_ERROR);
    assert_int_equal(try_read(test, read_at(0)), ERR_KAFKA_STORAGE_ERROR);
    assert_false(told(f, "/d0 failed")); /* said once */
}

/* After a slow write, and while much is unsynced, workers write. */
static void a_slow_disk_is_left_to_workers(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    append(f, test->partition, &(struct batch){0});
    fixture_settle(f);
    assert_true(volume_is_healthy(f->volumes[0]));
    volume_note_write(f->volumes[0], INT64_C(50) * 1000 * 1000);
    assert_false(volume_is_healthy(f->volumes[0]));
    struct appending appending;
    append_begin(f, test->partition, &(struct batch){0}, &appending);
    assert_true(appending.pending);
    fixture_run_for(f, 2000);
    append_end(&appending);
    assert_true(volume_is_healthy(f->volumes[0]));
    append_begin(f, test->partition, &(struct batch){0}, &appending);
    assert_false(appending.pending);
    append_end(&appending);
}

/* --- leadership --- */

static void callers_with_other_epochs(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    append(f, test->partition, &(struct batch){0});
    fixture_leader(f, test->id, 0, 1); /* epoch 1 */
    fixture_commit(f);
    struct partition_read read = read_at(0);
    read.leader_epoch = 0;
    assert_int_equal(try_read(test, read), ERR_FENCED_LEADER_EPOCH);
    read.leader_epoch = 2;
    assert_int_equal(try_read(test, read), ERR_UNKNOWN_LEADER_EPOCH);
    read.leader_epoch = 1;
    assert_int_equal(try_read(test, read), ERR_OK);

    fixture_leader(f, test->id, 0, META_LEADER_NONE); /* epoch 2 */
    fixture_commit(f);
    assert_int_equal(try_read(test, read_at(0)), ERR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(append_try(f, test->partition, &(struct batch){0}),
                     ERR_NOT_LEADER_OR_FOLLOWER);
    fixture_leader(f, test->id, 0, 1);
    fixture_commit(f);
    assert_int_equal(append(f, test->partition, &(struct batch){0}), 1);
}

static void batches_carry_the_epoch_they_were_written_in(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    append(f, test->partition, &(struct batch){0});
    fixture_leader(f, test->id, 0, 1);
    fixture_commit(f);
    int32_t epoch = 9;
    int64_t end = 9;
    /* The epoch counts from the moment of the election, without a record. */
    assert_int_equal(
        partition_epoch_end_offset(test->partition, PARTITION_ANY_EPOCH, 1, &epoch, &end), ERR_OK);
    assert_int_equal(epoch, 1);
    assert_int_equal(end, 1);
    fixture_leader(f, test->id, 0, 1);
    fixture_commit(f);
    assert_int_equal(
        partition_epoch_end_offset(test->partition, PARTITION_ANY_EPOCH, 1, &epoch, &end), ERR_OK);
    assert_int_equal(epoch, 0); /* which 1 left at its end */
    assert_int_equal(end, 1);
    append(f, test->partition, &(struct batch){.records = 4});
    assert_int_equal(
        partition_epoch_end_offset(test->partition, PARTITION_ANY_EPOCH, 0, &epoch, &end), ERR_OK);
    assert_int_equal(epoch, 0);
    assert_int_equal(end, 1);
    assert_int_equal(
        partition_epoch_end_offset(test->partition, PARTITION_ANY_EPOCH, 2, &epoch, &end), ERR_OK);
    assert_int_equal(end, 5);
    assert_int_equal(
        partition_epoch_end_offset(test->partition, PARTITION_ANY_EPOCH, 7, &epoch, &end), ERR_OK);
    assert_int_equal(epoch, -1);
    assert_int_equal(end, -1);
}

static void too_few_replicas_for_all_acks(void **state) {
    struct test *test = *state;
    set_topic(test, "min.insync.replicas", "2");
    assert_int_equal(append(&test->f, test->partition, &(struct batch){0}), 0); /* all there are */
    fixture_replicas(&test->f, test->id, 0, 2);
    fixture_commit(&test->f);
    assert_int_equal(append_try(&test->f, test->partition, &(struct batch){0}),
                     ERR_NOT_ENOUGH_REPLICAS);
    set_topic(test, "min.insync.replicas", "1");
    assert_int_equal(append(&test->f, test->partition, &(struct batch){0}), 1);
}

/* --- repeated batches --- */

static void a_repeated_batch_gets_the_answer_of_then(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    struct batch batch = {.producer_id = 7, .sequence = 0, .records = 3};
    assert_int_equal(append(f, test->partition, &batch), 0);
    int64_t then_ms = sys_wall_ms(f->sys);
    append(f, test->partition, &(struct batch){.records = 10});
    fixture_run_for(f, 1000);
    struct appending again;
    append_begin(f, test->partition, &batch, &again);
    fixture_settle(f);
    assert_int_equal(again.append.write.err, ERR_OK);
    assert_true(again.append.duplicate);
    assert_int_equal(again.append.first_offset, 0);
    assert_int_equal(again.append.last_offset, 2);
    assert_int_equal(again.append.appended_size, 0);
    assert_true(again.append.log_append_time_ms >= 0);
    assert_true(again.append.log_append_time_ms <= then_ms); /* as Kafka: the batch's of then */
    append_end(&again);
    struct partition_offsets offsets;
    assert_int_equal(partition_offsets(test->partition, PARTITION_ANY_EPOCH, &offsets), ERR_OK);
    assert_int_equal(offsets.high_watermark, 13);
    assert_int_equal(count_records(test->partition, 0), 13);
    batch.sequence = 9;
    assert_int_equal(append_try(f, test->partition, &batch), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

/* Its second batch was in flight, too, and there is room again when it comes. */
static void a_refused_first_batch_keeps_its_place(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    append(f, test->partition, &(struct batch){0});
    struct batch first = {.producer_id = 7, .sequence = 0, .records = 3, .value_size = 100 * 1000};
    struct batch second = {.producer_id = 7, .sequence = 3, .records = 2};
    struct batch other = {.producer_id = 8, .sequence = 5, .records = 1};
    sim_disk_set_capacity(f->host, "/", sim_disk_used(f->host, "/"));
    assert_int_equal(err_kafka_code(append_try(f, test->partition, &first)),
                     ERR_KAFKA_STORAGE_ERROR);
    sim_disk_set_capacity(f->host, "/", UINT64_C(8) << 30);
    fixture_run_for(f, 2000);
    assert_int_equal(append_try(f, test->partition, &second), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    append(f, test->partition, &other); /* of whom nothing was refused */
    assert_int_equal(append(f, test->partition, &first), 2);
    assert_int_equal(append(f, test->partition, &second), 5);
}

/* --- reading --- */

static void reads_end_where_they_should(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    for (int i = 0; i < 10; i++) {
        append(f, test->partition, &(struct batch){.value_size = 1000});
    }
    assert_int_equal(try_read(test, read_at(11)), ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(try_read(test, read_at(-1)), ERR_OFFSET_OUT_OF_RANGE);
    struct partition_read read = read_at(10);
    assert_int_equal(partition_read(test->partition, &read), ERR_OK);
    assert_null(read.slice.segment);
    assert_int_equal(read.high_watermark, 10);

    read = read_at(0);
    read.size_max = 10;
    assert_int_equal(partition_read(test->partition, &read), ERR_OK);
    assert_true(read.slice.size > 1000); /* one batch whatever its size */
    assert_true(read.slice.size < 2000);
    log_slice_release(&read.slice);
    read = read_at(0);
    read.size_max = 10;
    read.min_one = false;
    assert_int_equal(partition_read(test->partition, &read), ERR_OK);
    assert_null(read.slice.segment);
}

/* KIP-595. */
static void a_reader_whose_log_diverged(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    append(f, test->partition, &(struct batch){.records = 5}); /* epoch 0: 0 to 4 */
    fixture_leader(f, test->id, 0, 1);
    fixture_leader(f, test->id, 0, 1);
    fixture_commit(f);
    append(f, test->partition, &(struct batch){.records = 5}); /* epoch 2: 5 to 9 */
    struct partition_read read = read_at(7);
    read.fetched_epoch = 0; /* it has 5 and 6 of epoch 0 */
    assert_int_equal(partition_read(test->partition, &read), ERR_OK);
    assert_true(read.diverging);
    assert_int_equal(read.diverging_epoch, 0);
    assert_int_equal(read.diverging_end_offset, 5);
    assert_null(read.slice.segment);
    read = read_at(7);
    read.fetched_epoch = 1; /* which never wrote here */
    assert_int_equal(partition_read(test->partition, &read), ERR_OK);
    assert_true(read.diverging);
    assert_int_equal(read.diverging_epoch, 0);
    read = read_at(7);
    read.fetched_epoch = 2;
    assert_int_equal(partition_read(test->partition, &read), ERR_OK);
    assert_false(read.diverging);
    log_slice_release(&read.slice);
    read = read_at(7);
    read.fetched_epoch = 3;
    assert_int_equal(try_read(test, read), ERR_OFFSET_OUT_OF_RANGE);
}

static void special_times(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    struct log_time_offset found;
    assert_int_equal(partition_offset_for_timestamp(test->partition, PARTITION_ANY_EPOCH,
                                                    LOG_TIMESTAMP_LATEST, false, &found),
                     ERR_OK);
    assert_int_equal(found.offset, 0);
    append(f, test->partition, &(struct batch){.records = 3});
    fixture_leader(f, test->id, 0, 1);
    fixture_commit(f);
    assert_int_equal(partition_offset_for_timestamp(test->partition, PARTITION_ANY_EPOCH,
                                                    LOG_TIMESTAMP_LATEST, false, &found),
                     ERR_OK);
    assert_int_equal(found.offset, 3);
    assert_int_equal(found.leader_epoch, 1); /* the leader's, not the last record's */
    assert_int_equal(partition_offset_for_timestamp(test->partition, PARTITION_ANY_EPOCH,
                                                    SIM_START_WALL_MS * 2, false, &found),
                     ERR_OK);
    assert_int_equal(found.offset, -1);
}

/* --- waiting --- */

struct waiter {
    struct partition_waiter waiter;
    struct sys_task task;
    _Atomic bool posted;
    int woken;
};

static void woken(struct sys_task *task) {
    struct waiter *waiter = container_of(task, struct waiter, task);
    atomic_store(&waiter->posted, false);
    waiter->woken++;
}

static void wait_on(struct test *test, struct waiter *waiter, int64_t high_watermark) {
    *waiter = (struct waiter){.task = {.run = woken}};
    waiter->waiter = (struct partition_waiter){
        .loop = test->f.loop, .task = &waiter->task, .posted = &waiter->posted};
    assert_int_equal(partition_wait(test->partition, &waiter->waiter), high_watermark);
}

static void waiters_are_woken(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    struct waiter one, other;
    append(f, test->partition, &(struct batch){0});
    fixture_settle(f);
    wait_on(test, &one, 1);
    wait_on(test, &other, 1);
    fixture_run_for(f, 10);
    assert_int_equal(one.woken, 0);
    append(f, test->partition, &(struct batch){0});
    append(f, test->partition, &(struct batch){0});
    fixture_run_for(f, 10);
    assert_int_equal(one.woken, 1); /* once for both: its task was in the queue */
    assert_int_equal(other.woken, 1);

    partition_unwait(test->partition, &other.waiter);
    fixture_leader(f, test->id, 0, 1);
    fixture_commit(f);
    fixture_run_for(f, 10);
    assert_int_equal(one.woken, 2);
    assert_int_equal(other.woken, 1);

    fixture_delete(f, test->id);
    fixture_commit(f);
    fixture_run_for(f, 10);
    assert_int_equal(one.woken, 3);
    partition_unwait(test->partition, &one.waiter);
    wait_on(test, &one, -1); /* so that whoever comes late does not wait in vain */
    partition_unwait(test->partition, &one.waiter);
}

static void a_repeated_batch_wakes_nobody(void **state) {
    struct test *test = *state;
    struct fixture *f = &test->f;
    struct batch batch = {.producer_id = 7};
    append(f, test->partition, &batch);
    fixture_settle(f);
    struct waiter waiter;
    wait_on(test, &waiter, 1);
    append(f, test->partition, &batch);
    fixture_run_for(f, 10);
    assert_int_equal(waiter.woken, 0);
    partition_unwait(test->partition, &waiter.waiter);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(appends_keep_their_order),
        TEST(an_append_alone_is_done_at_once),
        TEST(writes_queue_behind_a_hung_one),
        TEST(writes_of_a_deleted_topic),
        TEST(a_full_disk_refuses_and_heals),
        TEST(a_refused_first_batch_keeps_its_place),
        TEST(a_failed_disk_takes_its_partitions_offline),
        TEST(a_slow_disk_is_left_to_workers),
        TEST(callers_with_other_epochs),
        TEST(batches_carry_the_epoch_they_were_written_in),
        TEST(too_few_replicas_for_all_acks),
        TEST(a_repeated_batch_gets_the_answer_of_then),
        TEST(reads_end_where_they_should),
        TEST(a_reader_whose_log_diverged),
        TEST(special_times),
        TEST(waiters_are_woken),
        TEST(a_repeated_batch_wakes_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
