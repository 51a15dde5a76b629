/* A consumer without a group's help, against commanded brokers in a simulated world. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/consumer.h"
#include "client/fetch_fake_test_int.h"
#include "wire/record_batch.h"

enum { WAIT_MS = 20000 };

static struct fetch_fake *fake;
static struct ottla_consumer *consumer;

static void begin_with(int brokers, int32_t partitions, int64_t count, const char *name,
                       const char *value) {
    struct ottla_error error = {0};
    fake = fetch_fake_new(7, brokers, partitions, count);
    (void)fake_cluster_client(fake->cluster, "auto.offset.reset", "earliest", "group.id", "g",
                              "enable.auto.commit", "false", name, value, NULL);
    assert_int_equal(ottla_consumer_new(fake->cluster->client, &consumer, &error), OTTLA_OK);
}

static void begin(int brokers, int32_t partitions, int64_t count) {
    begin_with(brokers, partitions, count, "max.poll.records", "500");
}

static void end(void) {
    assert_int_equal(fake->mistakes, 0);
    fake->twist = NULL;
    assert_int_equal(ottla_consumer_close(consumer, WAIT_MS), OTTLA_OK);
    ottla_consumer_free(consumer);
    fetch_fake_free(fake);
}

static void assign(int64_t offset) {
    struct ottla_position positions[FETCH_FAKE_PARTITIONS];
    struct ottla_error error = {0};
    int32_t count = fake->topic->partition_count;
    for (int32_t i = 0; i < count; i++) {
        positions[i] = (struct ottla_position){
            .topic = "t", .partition = i, .offset = offset, .leader_epoch = -1};
    }
    assert_int_equal(ottla_consumer_assign(consumer, positions, (size_t)count, &error), OTTLA_OK);
}

/* What was read of each partition: the next offset wanted. */
static int64_t next[FETCH_FAKE_PARTITIONS];
static struct ottla_error last_error;

static void start_at(int64_t offset) {
    for (int i = 0; i < FETCH_FAKE_PARTITIONS; i++) {
        next[i] = offset;
    }
    last_error = (struct ottla_error){0};
    assign(offset);
}

/* One poll; errors are kept. How many records came. */
static size_t poll_once(int64_t timeout_ms) {
    const struct ottla_record *records;
    struct ottla_error error = {0};
    size_t count;
    if (ottla_consumer_poll(consumer, timeout_ms, &records, &count, &error) != OTTLA_OK) {
        last_error = error;
        assert_true(error.text[0] != 0);
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        int32_t partition = records[i].partition;
        char value[24];
        int size = snprintf(value, sizeof value, "%lld", (long long)records[i].offset);
        assert_int_equal(records[i].offset, next[partition]++);
        assert_int_equal(records[i].value.size, size);
        assert_memory_equal(records[i].value.data, value, (size_t)size);
    }
    return count;
}

static int64_t now_ms(void) {
    return sim_world_now_ms(fake->cluster->world);
}

static bool read_to(int64_t offset) {
    for (int64_t until = now_ms() + WAIT_MS; now_ms() < until;) {
        bool all = true;
        for (int32_t i = 0; i < fake->topic->partition_count; i++) {
            all = all && next[i] >= offset;
        }
        if (all) {
            return true;
        }
        (void)poll_once(100);
    }
    return false;
}

static int fetches(int32_t broker_id) {
    return fake_broker_calls(fake->cluster, broker_id, API_FETCH);
}

/* --- a loop that somebody else runs --- */

static int ready_count;

static void on_ready(void *arg) {
    assert_ptr_equal(arg, &ready_count);
    ready_count++;
}

static void records_are_taken_without_waiting(void **state) {
    (void)state;
    begin(1, 1, 100);
    ready_count = 0;
    consumer_on_ready(consumer, on_ready, &ready_count);
    start_at(0);
    for (int i = 0; i < 1000 && next[0] < 100; i++) {
        const struct ottla_record *records;
        struct ottla_error error = {0};
        size_t count;
        int before = ready_count;
        assert_int_equal(consumer_take(consumer, &records, &count, &error), OTTLA_OK);
        assert_true(count == 0 || ready_count > 0);
        next[0] += (int64_t)count;
        fake_cluster_run(fake->cluster, ready_count == before ? 10 : 0);
    }
    assert_int_equal(next[0], 100);
    end();
}

/* Who polls without waiting sees what has come since the last poll, however short ago that was. */
static void records_come_to_who_does_not_wait(void **state) {
    (void)state;
    begin(1, 1, 100);
    start_at(0);
    for (int i = 0; i < 10000 && next[0] < 100; i++) {
        (void)poll_once(0);
    }
    assert_int_equal(next[0], 100);
    end();
}

/* --- sessions --- */

static void a_session_names_only_what_changed(void **state) {
    (void)state;
    begin(2, 6, 300);
    start_at(0);
    assert_true(read_to(300));
    (void)poll_once(2000); /* the end was seen */
    assert_int_equal(fake->full, 2);
    assert_true(fake->incremental > 2 * 30);
    assert_true(fake->partitions <= 6 * 31);
    fake->logs[3].end = 310;
    fake->partitions = 0;
    (void)poll_once(5000);
    assert_int_equal(next[3], 310);
    (void)poll_once(2000);
    assert_true(fake->partitions <= 1);
    end();
}

static void without_sessions_it_goes_on(void **state) {
    (void)state;
    begin(1, 3, 100);
    fake->no_sessions = true;
    start_at(0);
    assert_true(read_to(100));
    assert_int_equal(fake->incremental, 0);
    end();
}

static enum fake_do lose_sessions(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_FETCH && call->number % 7 == 0) {
        struct fetch_response *response = call->response;
        response->error_code = call->number % 14 == 0 ? ERR_FETCH_SESSION_ID_NOT_FOUND
                                                      : ERR_INVALID_FETCH_SESSION_EPOCH;
        response->responses_count = 0;
        response->session_id = 0;
    }
    return FAKE_ANSWER;
}

static void lost_sessions_are_begun_anew(void **state) {
    (void)state;
    begin(1, 3, 300);
    fake->twist = lose_sessions;
    start_at(0);
    assert_true(read_to(300));
    assert_true(fake->full > 3);
    end();
}

static void paused_partitions_are_forgotten(void **state) {
    (void)state;
    begin(1, 3, 1000000);
    struct ottla_partition first = {"t", 0};
    start_at(0);
    assert_true(read_to(50));
    assert_int_equal(ottla_consumer_pause(consumer, &first, 1), OTTLA_OK);
    int64_t stood = next[0];
    for (int i = 0; i < 20; i++) {
        (void)poll_once(100);
    }
    assert_int_equal(next[0], stood);
    assert_true(next[1] > stood);
    assert_true(fake->forgotten >= 1);
    assert_int_equal(ottla_consumer_resume(consumer, &first, 1), OTTLA_OK);
    assert_true(read_to(stood + 100));
    end();
}

/* Away and back, and other partitions: no session gets out of step. */
static void assignments_come_and_go(void **state) {
    (void)state;
    begin(2, 6, 1000000);
    for (int round = 0; round < 30; round++) {
        struct ottla_position positions[FETCH_FAKE_PARTITIONS];
        struct ottla_error error = {0};
        size_t count = 0;
        for (int32_t i = 0; i < 6; i++) {
            if (sim_world_random(fake->cluster->world, 2) == 0) {
                next[i] = round * 10;
                positions[count++] = (struct ottla_position){
                    .topic = "t", .partition = i, .offset = next[i], .leader_epoch = -1};
            }
        }
        assert_int_equal(ottla_consumer_assign(consumer, positions, count, &error), OTTLA_OK);
        for (uint64_t polls = sim_world_random(fake->cluster->world, 4); polls > 0; polls--) {
            (void)poll_once((int64_t)sim_world_random(fake->cluster->world, 20));
        }
    }
    end();
}

/* --- leaders --- */

static void a_new_leader_is_found(void **state) {
    (void)state;
    begin(3, 3, 100);
    start_at(0);
    assert_true(read_to(100));
    fetch_fake_lead(fake, 0, 2, 2);
    fetch_fake_lead(fake, 1, 3, 2);
    fetch_fake_lead(fake, 2, 1, 2);
    for (int i = 0; i < 3; i++) {
        fake->logs[i].end = 200;
        fake->logs[i].epoch_ends[1] = 100;
    }
    assert_true(read_to(200));
    assert_true(fake_broker_calls(fake->cluster, 2, API_OFFSET_FOR_LEADER_EPOCH) >= 1);
    end();
}

static void a_broker_that_dies_is_left(void **state) {
    (void)state;
    begin(2, 2, 200);
    start_at(0);
    (void)poll_once(1000);
    fake_broker_stop(fake->cluster, 2);
    fetch_fake_lead(fake, 1, 1, 2);
    fake->logs[1].epoch_ends[1] = 200;
    assert_true(read_to(200));
    end();
}

static void a_log_that_was_cut_is_read_from_the_cut(void **state) {
    (void)state;
    begin(2, 1, 100);
    start_at(0);
    assert_true(read_to(100));
    fetch_fake_lead(fake, 0, 2, 2);
    fake->logs[0].epoch_ends[1] = 60; /* the new leader had no more */
    fake->logs[0].end = 90;
    next[0] = 60;
    assert_true(read_to(90));
    end();
}

static void a_cut_is_told_without_a_reset(void **state) {
    (void)state;
    begin_with(2, 1, 100, "auto.offset.reset", "none");
    start_at(0);
    assert_true(read_to(100));
    fetch_fake_lead(fake, 0, 2, 2);
    fake->logs[0].epoch_ends[1] = 60;
    fake->logs[0].end = 90;
    for (int i = 0; i < 50 && last_error.code == 0; i++) {
        (void)poll_once(200);
    }
    assert_int_equal(last_error.code, ERR_OFFSET_OUT_OF_RANGE);
    assert_non_null(strstr(last_error.text, "t-0"));
    end();
}

/* --- followers --- */

static void a_named_follower_is_read(void **state) {
    (void)state;
    begin_with(2, 1, 300, "client.rack", "here");
    fake->logs[0].preferred = 2;
    fake->logs[0].follower = 2;
    start_at(0);
    assert_true(read_to(300));
    assert_int_equal(fetches(1), 1);
    assert_true(fetches(2) >= 30);
    end();
}

static void a_follower_that_fails_is_left(void **state) {
    (void)state;
    begin_with(2, 1, 300, "client.rack", "here");
    fake->logs[0].preferred = 2;
    fake->logs[0].follower = 2;
    start_at(0);
    assert_true(read_to(50));
    fake->logs[0].follower = 0; /* it says that it is none */
    fake->logs[0].preferred = 0;
    assert_true(read_to(300));
    end();
}

/* The follower is behind: what it calls out of range the leader has. */
static enum fake_do follower_is_behind(void *arg, struct fake_call *call) {
    (void)arg;
    const struct fetch_response *response = call->response;
    if (call->api_key == API_FETCH && call->broker_id == 2 && response->responses_count > 0) {
        struct fetch_response_partition_data *data = response->responses[0].partitions;
        if (fake->sessions[2].offset[0] >= 100) {
            data->error_code = ERR_OFFSET_OUT_OF_RANGE;
            data->records = (struct bytes){.data = NULL};
            fake->logs[0].preferred = 0;
        }
    }
    return FAKE_ANSWER;
}

static void out_of_range_at_a_follower_asks_the_leader(void **state) {
    (void)state;
    begin_with(2, 1, 300, "client.rack", "here");
    fake->logs[0].preferred = 2;
    fake->logs[0].follower = 2;
    fake->twist = follower_is_behind;
    start_at(0);
    assert_true(read_to(300));
    assert_int_equal(fake_broker_calls(fake->cluster, 1, API_LIST_OFFSETS), 0); /* no reset */
    end();
}

/* --- offsets --- */

static void out_of_range_begins_at_the_start(void **state) {
    (void)state;
    begin(1, 1, 300);
    fake->logs[0].start = 250;
    start_at(10);
    next[0] = 250;
    assert_true(read_to(300));
    end();
}

static enum fake_do unstable_at_first(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_OFFSET_FETCH && call->number < 4) {
        struct offset_fetch_response *response = call->response;
        if (call->number == 1) {
            response->groups[0].error_code = ERR_COORDINATOR_LOAD_IN_PROGRESS;
        } else {
            response->groups[0].topics[0].partitions[0].error_code = ERR_UNSTABLE_OFFSET_COMMIT;
        }
    }
    return FAKE_ANSWER;
}

static void it_begins_where_it_is_committed(void **state) {
    (void)state;
    begin(1, 2, 300);
    fake->twist = unstable_at_first;
    fake->logs[0].committed = 120; /* of the other there is no commit */
    start_at(OTTLA_OFFSET_NONE);
    next[0] = 120;
    next[1] = 0;
    assert_true(read_to(300));
    assert_int_equal(fake_broker_calls(fake->cluster, 1, API_OFFSET_FETCH), 4);
    end();
}

static enum fake_do coordinator_moves(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_OFFSET_COMMIT && call->broker_id == 1) {
        struct offset_commit_response *response = call->response;
        response->topics[0].partitions[0].error_code = ERR_NOT_COORDINATOR;
        fake->cluster->coordinator_id = 2;
        fake->commits = 0;
    }
    return FAKE_ANSWER;
}

static void commits_follow_the_coordinator(void **state) {
    (void)state;
    begin(2, 1, 100);
    fake->twist = coordinator_moves;
    start_at(0);
    assert_true(read_to(100));
    struct ottla_error error = {0};
    assert_int_equal(ottla_consumer_commit(consumer, NULL, 0, 5000, &error), OTTLA_OK);
    assert_int_equal(fake->commits, 1);
    assert_int_equal(fake->logs[0].committed, 100);
    end();
}

static void a_commit_ends_at_its_time(void **state) {
    (void)state;
    begin(1, 1, 100);
    start_at(0);
    assert_true(read_to(100));
    fake_broker_stop(fake->cluster, 1);
    struct ottla_error error = {0};
    int64_t from = now_ms();
    assert_int_not_equal(ottla_consumer_commit(consumer, NULL, 0, 3000, &error), OTTLA_OK);
    assert_true(now_ms() - from <= 3500);
    assert_true(error.text[0] != 0);
    fake_broker_start(fake->cluster, 1);
    assert_int_equal(ottla_consumer_commit(consumer, NULL, 0, 30000, &error), OTTLA_OK);
    end();
}

static void on_closed(void *arg, int code, const struct ottla_position *positions, size_t count) {
    assert_int_equal(count, 1);
    assert_int_equal(positions[0].code, code);
    *(int *)arg = code;
}

static void unanswered_commits_are_told(void **state) {
    (void)state;
    int code = -5;
    begin(1, 1, 100);
    start_at(0);
    assert_true(read_to(100));
    fake_broker_stop(fake->cluster, 1);
    assert_int_equal(ottla_consumer_commit_async(consumer, NULL, 0, on_closed, &code), OTTLA_OK);
    fake_cluster_run(fake->cluster, 100);
    assert_int_equal(code, -5);
    ottla_consumer_free(consumer);
    assert_int_equal(code, OTTLA_CLOSED);
    fetch_fake_free(fake);
}

/* --- bounds --- */

static void fetches_stop_when_nobody_polls(void **state) {
    (void)state;
    begin_with(2, 4, 1000000, "max.partition.fetch.bytes", "1000");
    start_at(0);
    (void)poll_once(1000);
    fake_cluster_run(fake->cluster, 2000);
    int before = fetches(1) + fetches(2);
    fake_cluster_run(fake->cluster, 10000);
    assert_int_equal(fetches(1) + fetches(2), before);
    assert_true(read_to(500)); /* and all is there, in order */
    end();
}

static enum fake_do damage(void *arg, struct fake_call *call) {
    (void)arg;
    const struct fetch_response *response = call->response;
    if (call->api_key == API_FETCH && response->responses_count > 0) {
        struct fetch_response_partition_data *data = response->responses[0].partitions;
        if (data->records.size > 0 && record_batch_base_offset(data->records.data) >= 50 &&
            record_batch_base_offset(data->records.data) < 60) {
            uint8_t *bytes = (uint8_t *)data->records.data;
            bytes[data->records.size - 2] ^= 1;
        }
    }
    return FAKE_ANSWER;
}

static void damage_stays_where_it_is(void **state) {
    (void)state;
    begin(1, 1, 100);
    fake->twist = damage;
    start_at(0);
    assert_true(read_to(50));
    for (int i = 0; i < 30; i++) {
        (void)poll_once(100);
    }
    assert_int_equal(next[0], 50);
    assert_int_equal(last_error.code, ERR_CORRUPT_MESSAGE);
    assert_non_null(strstr(last_error.text, "50"));
    assert_true(fetches(1) < 60); /* it does not hammer the broker */
    struct ottla_position behind = {.topic = "t", .partition = 0, .offset = 60, .leader_epoch = -1};
    assert_int_equal(ottla_consumer_seek(consumer, &behind), OTTLA_OK);
    next[0] = 60;
    assert_true(read_to(100));
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_taken_without_waiting),
        cmocka_unit_test(records_come_to_who_does_not_wait),
        cmocka_unit_test(a_session_names_only_what_changed),
        cmocka_unit_test(without_sessions_it_goes_on),
        cmocka_unit_test(lost_sessions_are_begun_anew),
        cmocka_unit_test(paused_partitions_are_forgotten),
        cmocka_unit_test(assignments_come_and_go),
        cmocka_unit_test(a_new_leader_is_found),
        cmocka_unit_test(a_broker_that_dies_is_left),
        cmocka_unit_test(a_log_that_was_cut_is_read_from_the_cut),
        cmocka_unit_test(a_cut_is_told_without_a_reset),
        cmocka_unit_test(a_named_follower_is_read),
        cmocka_unit_test(a_follower_that_fails_is_left),
        cmocka_unit_test(out_of_range_at_a_follower_asks_the_leader),
        cmocka_unit_test(out_of_range_begins_at_the_start),
        cmocka_unit_test(it_begins_where_it_is_committed),
        cmocka_unit_test(commits_follow_the_coordinator),
        cmocka_unit_test(a_commit_ends_at_its_time),
        cmocka_unit_test(unanswered_commits_are_told),
        cmocka_unit_test(fetches_stop_when_nobody_polls),
        cmocka_unit_test(damage_stays_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
