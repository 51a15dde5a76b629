/* What those get who follow the metadata log: places, waiting, snapshots, ends. */
#include <stdlib.h>
#include <string.h>

#include "quorum/quorum_fixture_test.h"
#include "sys/file.h"
#include "sys/sim_disk.h"
#include "wire/record_batch.h"

struct asking {
    struct quorum_fetch fetch;
    struct node *node;
    struct sys_task task;
    struct sys_task end_task;
    bool drops; /* what it gets */
    bool done;
};

static void fetched(struct quorum_fetch *fetch) {
    struct asking *asking = container_of(fetch, struct asking, fetch);
    asking->done = true;
    if (asking->drops) {
        log_slice_release(&fetch->slice);
    }
}

static void run_fetch(struct sys_task *task) {
    struct asking *asking = container_of(task, struct asking, task);
    quorum_fetch(asking->node->quorum, &asking->fetch);
}

/* From a replica 2 that has everything below `offset`, the last of it of that epoch. */
static void ask(struct fixture *f, struct asking *asking, int64_t offset, int32_t last_epoch,
                int32_t wait_ms) {
    *asking = (struct asking){
        .fetch = {.replica_id = 2,
                  .leader_epoch = f->node->leader_epoch,
                  .offset = offset,
                  .last_epoch = last_epoch,
                  .known_high_watermark = INT64_MAX,
                  .size_max = 100 * 1000,
                  .wait_ms_max = wait_ms,
                  .done = fetched},
        .node = f->node,
        .task = {.run = run_fetch},
    };
    sys_loop_post(f->node->loop, &asking->task);
}

static bool is_fetched(void *arg) {
    return ((struct asking *)arg)->done;
}

static const struct quorum_fetch *ask_now(struct fixture *f, struct asking *asking, int64_t offset,
                                          int32_t last_epoch) {
    ask(f, asking, offset, last_epoch, 0);
    assert_true(sim_world_run_until(f->world, is_fetched, asking, 1000));
    return &asking->fetch;
}

static void expect_records(struct fixture *f, int64_t offset, int32_t last_epoch) {
    struct asking asking;
    const struct quorum_fetch *fetch = ask_now(f, &asking, offset, last_epoch);
    assert_int_equal(fetch->err, ERR_OK);
    assert_int_equal(fetch->place, QUORUM_PLACE_SHARED);
    assert_true(fetch->slice.size > 0);
    assert_true(fetch->slice.start_offset <= offset);
    log_slice_release(&asking.fetch.slice);
}

static void expect_place(struct fixture *f, int64_t offset, int32_t last_epoch,
                         enum quorum_place place, int64_t place_offset, int32_t place_epoch) {
    struct asking asking;
    const struct quorum_fetch *fetch = ask_now(f, &asking, offset, last_epoch);
    assert_int_equal(fetch->err, ERR_OK);
    assert_int_equal(fetch->slice.size, 0);
    assert_int_equal(fetch->place, place);
    assert_int_equal(fetch->place_offset, place_offset);
    assert_int_equal(fetch->place_epoch, place_epoch);
}

static int64_t high_watermark(struct fixture *f) {
    struct quorum_description description;
    quorum_describe(f->node->quorum, &description);
    return description.high_watermark;
}

static void expect_observer(struct fixture *f, int64_t log_end_offset, bool caught_up) {
    struct quorum_description description;
    quorum_describe(f->node->quorum, &description);
    assert_int_equal(description.observers->count, 1);
    const struct raft_observer *observer = &description.observers->observers[0];
    assert_int_equal(observer->id, 2);
    assert_int_equal(observer->log_end_offset, log_end_offset);
    assert_int_equal(observer->last_caught_up_ms >= 0, caught_up);
}

/* --- waiting --- */

static void a_fetch_waits_for_the_next_commit(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    assert_int_equal(node_start(f), ERR_OK);
    expect_records(f, 0, 0);
    expect_observer(f, 0, false);
    int64_t end_offset = high_watermark(f);

    struct asking asking;
    ask(f, &asking, end_offset, 1, 5000);
    sim_world_run_for(f->world, 1000);
    assert_false(asking.done);
    expect_observer(f, end_offset, true);
    assert_int_equal(append_and_wait(f), ERR_OK);
    assert_true(sim_world_run_until(f->world, is_fetched, &asking, 1000));
    assert_int_equal(asking.fetch.err, ERR_OK);
    assert_int_equal(asking.fetch.slice.start_offset, end_offset);
    assert_int_equal(asking.fetch.high_watermark, end_offset + 1);
    assert_int_equal(asking.fetch.leader_id, 1);
    assert_int_equal(asking.fetch.current_epoch, 1);
    log_slice_release(&asking.fetch.slice);

    ask(f, &asking, end_offset + 1, 1, 700);
    sim_world_run_for(f->world, 600);
    assert_false(asking.done);
    sim_world_run_for(f->world, 200);
    assert_true(asking.done);
    assert_int_equal(asking.fetch.err, ERR_OK);
    assert_int_equal(asking.fetch.slice.size, 0);
    node_stop(f);
}

static void run_end(struct sys_task *task) {
    quorum_fetch_end(&container_of(task, struct asking, end_task)->fetch);
}

static void a_high_watermark_that_is_news_or_an_end_ends_the_wait(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    assert_int_equal(node_start(f), ERR_OK);
    struct asking asking;
    int64_t end_offset = high_watermark(f);
    ask(f, &asking, end_offset, 1, 5000);
    asking.fetch.known_high_watermark = end_offset - 1;
    sim_world_run_for(f->world, 100);
    assert_true(asking.done);
    ask(f, &asking, end_offset, 1, 5000);
    asking.fetch.known_high_watermark = end_offset;
    sim_world_run_for(f->world, 100);
    assert_false(asking.done);
    for (int i = 0; i < 2; i++) { /* the second finds it answered */
        asking.end_task = (struct sys_task){.run = run_end};
        sys_loop_post(f->node->loop, &asking.end_task);
        sim_world_run_for(f->world, 100);
        assert_true(asking.done);
    }
    node_stop(f);
}

static void the_end_of_a_leader_is_told(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    assert_int_equal(node_start(f), ERR_OK);
    struct asking asking;
    ask(f, &asking, high_watermark(f), 1, 1000 * 1000);
    sim_world_run_for(f->world, 10);
    assert_false(asking.done);
    node_stop(f);
    assert_true(asking.done);
    assert_int_equal(asking.fetch.err, ERR_NOT_LEADER_OR_FOLLOWER);

    assert_int_equal(node_start(f), ERR_OK);
    ask(f, &asking, high_watermark(f), 2, 1000 * 1000);
    sim_world_run_for(f->world, 10);
    struct sim_fault fault = {.kind = SIM_FAULT_ERROR, .calls = SIM_CALL_SYNC, .path = FOLDER "/*"};
    (void)sim_disk_add_fault(f->host, &fault);
    assert_int_equal(append_and_wait(f), ERR_NOT_CONTROLLER);
    assert_true(asking.done);
    assert_int_equal(asking.fetch.err, ERR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(asking.fetch.high_watermark, -1);
    node_stop(f);
}

/* What is written and not synced may be gone after a power cut: nobody gets it. */
static void what_is_not_committed_is_not_given(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    assert_int_equal(node_start(f), ERR_OK);
    int64_t end_offset = high_watermark(f);
    struct sim_fault fault = {.kind = SIM_FAULT_HANG, .calls = SIM_CALL_SYNC, .path = FOLDER "/*"};
    int number = sim_disk_add_fault(f->host, &fault);
    (void)append_topic(f);
    sim_world_run_for(f->world, 100);
    struct asking asking;
    ask(f, &asking, end_offset, 1, 5000);
    sim_world_run_for(f->world, 1000);
    assert_false(asking.done);
    sim_disk_remove_fault(f->host, number);
    assert_true(sim_world_run_until(f->world, is_fetched, &asking, 1000));
    assert_int_equal(asking.fetch.slice.start_offset, end_offset);
    log_slice_release(&asking.fetch.slice);
    node_stop(f);
}

/* --- places --- */

static void refused(struct fixture *f, err_t err, struct quorum_fetch fetch) {
    struct asking asking = {.fetch = fetch, .node = f->node, .task = {.run = run_fetch}};
    asking.fetch.done = fetched;
    sys_loop_post(f->node->loop, &asking.task);
    assert_true(sim_world_run_until(f->world, is_fetched, &asking, 1000));
    assert_int_equal(asking.fetch.err, err);
    assert_int_equal(asking.fetch.high_watermark, -1);
    assert_int_equal(asking.fetch.current_epoch, 1);
}

static void what_cannot_be_is_refused(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    assert_int_equal(node_start(f), ERR_OK);
    struct quorum_fetch good = {.replica_id = 2, .leader_epoch = 1, .offset = 1, .last_epoch = 1};
    struct quorum_fetch bad = good;
    bad.leader_epoch = 2;
    refused(f, ERR_UNKNOWN_LEADER_EPOCH, bad);
    bad = good;
    bad.leader_epoch = bad.last_epoch = 0;
    refused(f, ERR_FENCED_LEADER_EPOCH, bad);
    bad = good;
    bad.last_epoch = 2;
    refused(f, ERR_INVALID_REQUEST, bad);
    bad = good;
    bad.last_epoch = -1;
    refused(f, ERR_INVALID_REQUEST, bad);
    bad = good;
    bad.offset = -1;
    refused(f, ERR_INVALID_REQUEST, bad);
    bad = good;
    bad.wait_ms_max = -1;
    refused(f, ERR_INVALID_REQUEST, bad);
    bad = good;
    bad.size_max = -1;
    refused(f, ERR_INVALID_REQUEST, bad);
    bad = good;
    bad.replica_id = 1; /* ourselves */
    refused(f, ERR_INVALID_REQUEST, bad);
    struct quorum_description description;
    quorum_describe(f->node->quorum, &description);
    assert_int_equal(description.observers->count, 0);
    node_stop(f);
}

static void a_log_that_diverges_is_told_where(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    int64_t ends[4] = {0};
    for (int32_t epoch = 1; epoch <= 3; epoch++) {
        assert_int_equal(node_start(f), ERR_OK);
        assert_int_equal(append_and_wait(f), ERR_OK);
        ends[epoch] = high_watermark(f);
        if (epoch < 3) {
            node_stop(f);
        }
    }
    expect_records(f, 0, 0);
    expect_records(f, 0, 3); /* an empty log has no last record */
    expect_records(f, ends[1], 1);
    expect_records(f, ends[1] - 1, 1);
    expect_records(f, ends[2] - 1, 2);
    expect_place(f, 1, 0, QUORUM_PLACE_DIVERGING, 0, 0);
    expect_place(f, ends[1] + 1, 1, QUORUM_PLACE_DIVERGING, ends[1], 1);
    expect_place(f, ends[3] + 1, 2, QUORUM_PLACE_DIVERGING, ends[2], 2);
    expect_place(f, ends[3] + 1, 3, QUORUM_PLACE_DIVERGING, ends[3], 3);
    expect_place(f, INT64_MAX, 3, QUORUM_PLACE_DIVERGING, ends[3], 3);
    node_stop(f);
}

static void run_snapshot(struct sys_task *task) {
    quorum_snapshot(container_of(task, struct node, start_task)->quorum);
}

static void write_snapshot(struct fixture *f) {
    f->node->start_task.run = run_snapshot;
    sys_loop_post(f->node->loop, &f->node->start_task);
    sim_world_run_for(f->world, 1000);
}

static void a_log_that_ends_before_ours_begins_needs_a_snapshot(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    f->options.segment_bytes = 1024;
    assert_int_equal(node_start(f), ERR_OK);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(append_and_wait(f), ERR_OK);
    }
    write_snapshot(f);
    int64_t first = high_watermark(f);
    expect_place(f, 0, 0, QUORUM_PLACE_SNAPSHOT, first, 1);
    expect_records(f, 5, 1); /* the log still begins at 0 */

    node_stop(f);
    f->options.retention_bytes = 0; /* the log begins at the newest snapshot */
    assert_int_equal(node_start(f), ERR_OK);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(append_and_wait(f), ERR_OK);
    }
    write_snapshot(f);
    int64_t second = high_watermark(f);
    expect_place(f, 0, 0, QUORUM_PLACE_SNAPSHOT, second, 2);
    expect_place(f, 5, 1, QUORUM_PLACE_SNAPSHOT, second, 2);
    expect_place(f, second, 1, QUORUM_PLACE_SNAPSHOT, second, 2);
    expect_place(f, second + 1, 2, QUORUM_PLACE_DIVERGING, second, 2);

    for (int i = 0; i < 2; i++) { /* after a restart, too */
        struct asking asking;
        const struct quorum_fetch *fetch = ask_now(f, &asking, second, 2);
        assert_int_equal(fetch->err, ERR_OK);
        assert_int_equal(fetch->place, QUORUM_PLACE_SHARED);
        assert_int_equal(fetch->slice.size > 0, i == 1);
        log_slice_release(&asking.fetch.slice);
        node_stop(f);
        assert_int_equal(node_start(f), ERR_OK);
    }
    node_stop(f);
}

/* --- following --- */

struct follower {
    struct buffer log;
    int64_t end_offset;
    int32_t last_epoch;
};

static void take(struct fixture *f, struct follower *follower, struct asking *asking) {
    struct log_slice *slice = &asking->fetch.slice;
    struct buffer bytes = {0};
    size_t got = 0;
    assert_int_equal(sys_file_read(slice->file, slice->position, buffer_extend(&bytes, slice->size),
                                   slice->size, &got),
                     ERR_OK);
    assert_int_equal(got, slice->size);
    log_slice_release(slice);
    struct record_batch batch;
    size_t position = 0;
    while (record_batch_next(buffer_bytes(&bytes), &position, &batch) == ERR_OK) {
        assert_int_equal(record_batch_base_offset(batch.data), follower->end_offset);
        follower->end_offset = record_batch_next_offset(batch.data);
        follower->last_epoch = record_batch_leader_epoch(batch.data);
    }
    assert_int_equal(position, bytes.size);
    assert_true(follower->end_offset <= high_watermark(f));
    buffer_add(&follower->log, bytes.data, bytes.size);
    buffer_done(&bytes);
}

/* Batch after batch, whatever the sizes, over a restart: the same bytes. */
static void a_follower_has_the_same_log(void **state) {
    struct fixture *f = *state;
    struct follower follower = {0};
    format_dir(f, true);
    sim_disk_set_latency(f->host, SIM_CALL_ALL, 100000, 5000000);
    assert_int_equal(node_start(f), ERR_OK);
    for (int i = 0; i < 300; i++) {
        if (i % 3 != 0) {
            (void)append_topic(f);
        }
        if (i == 150) {
            node_stop(f);
            assert_int_equal(node_start(f), ERR_OK);
        }
        struct asking asking;
        ask(f, &asking, follower.end_offset, follower.last_epoch, 20);
        asking.fetch.size_max = i % 7 * 100;
        assert_true(sim_world_run_until(f->world, is_fetched, &asking, 1000));
        assert_int_equal(asking.fetch.err, ERR_OK);
        assert_int_equal(asking.fetch.place, QUORUM_PLACE_SHARED);
        if (asking.fetch.slice.size > 0) {
            take(f, &follower, &asking);
        }
    }
    assert_true(follower.end_offset > 200);
    node_stop(f);
    char *data;
    size_t size;
    assert_int_equal(
        sys_file_read_all(f->sys, FOLDER "/00000000000000000000.log", 1 << 20, &data, &size),
        ERR_OK);
    assert_true(follower.log.size <= size);
    assert_memory_equal(data, follower.log.data, follower.log.size);
    free(data);
    buffer_done(&follower.log);
}

/* A disk that hangs holds up the fetch that has to wait for it, and nothing else. */
static void a_cold_log_is_read_by_a_worker(void **state) {
    struct fixture *f = *state;
    format_dir(f, true);
    assert_int_equal(node_start(f), ERR_OK);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(append_and_wait(f), ERR_OK);
    }
    sim_disk_drop_cache(f->host);
    struct sim_fault fault = {.kind = SIM_FAULT_HANG, .calls = SIM_CALL_READ, .path = FOLDER "/*"};
    int number = sim_disk_add_fault(f->host, &fault);
    struct asking cold, waiting;
    ask(f, &cold, 4, 1, 0);
    ask(f, &waiting, high_watermark(f), 1, 300);
    sim_world_run_for(f->world, 1000);
    assert_false(cold.done);
    assert_true(waiting.done);
    sim_disk_remove_fault(f->host, number);
    assert_true(sim_world_run_until(f->world, is_fetched, &cold, 1000));
    assert_int_equal(cold.fetch.err, ERR_OK);
    assert_true(cold.fetch.slice.size > 0);
    log_slice_release(&cold.fetch.slice);

    sim_disk_drop_cache(f->host);
    ask(f, &cold, 4, 1, 0);
    cold.drops = true;
    node_stop(f); /* waits for it */
    assert_true(cold.done);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_fetch_waits_for_the_next_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_high_watermark_that_is_news_or_an_end_ends_the_wait,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_a_leader_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_committed_is_not_given, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_diverges_is_told_where, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_ends_before_ours_begins_needs_a_snapshot, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_follower_has_the_same_log, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cold_log_is_read_by_a_worker, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
