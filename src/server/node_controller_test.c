/* The controller's listener: those who follow the metadata log, and what may happen to them. */
#include <string.h>

#include "server/node_fixture_test.h"

enum { VERSION_FETCH = 18, FOLLOWERS = 6 };

struct test {
    struct fixture f;
    struct machine *machine;
    struct peer peer;
    struct peer followers[FOLLOWERS]; /* on several reactors */
};

static int set_up(void **state) {
    static struct test test;
    memset(&test, 0, sizeof test);
    fixture_init(&test.f, 1);
    test.machine = &test.f.machines[0];
    machine_start(test.machine);
    peer_open(&test.peer, test.machine);
    for (int i = 0; i < FOLLOWERS; i++) {
        peer_open_controller(&test.followers[i], test.machine);
    }
    *state = &test;
    return 0;
}

static int tear_down(void **state) {
    struct test *test = *state;
    peer_close(&test->peer);
    for (int i = 0; i < FOLLOWERS; i++) {
        peer_close(&test->followers[i]);
    }
    fixture_done(&test->f);
    return 0;
}

struct following {
    struct call call;
    struct fetch_request request;
    struct fetch_request_fetch_topic topic;
    struct fetch_request_fetch_partition partition;
    struct fetch_response response;
};

static void follow(struct test *test, int number, struct following *following, int64_t offset,
                   int32_t wait_ms) {
    *following = (struct following){
        .topic = {.topic_id = UUID_ONE, .partitions = &following->partition, .partitions_count = 1},
        .partition = {.fetch_offset = offset,
                      .current_leader_epoch = 1,
                      .last_fetched_epoch = offset == 0 ? 0 : 1,
                      .log_start_offset = -1,
                      .high_watermark = INT64_MAX},
    };
    wire_init(&fetch_request_type, &following->request);
    following->request.replica_state.replica_id = 100 + number;
    following->request.max_wait_ms = wait_ms;
    following->request.topics = &following->topic;
    following->request.topics_count = 1;
    call_begin(&following->call, &test->followers[number], API_FETCH, VERSION_FETCH,
               &following->request, &following->response);
}

static const struct fetch_response_partition_data *answer(struct following *following) {
    assert_int_equal(call_wait(&following->call), ERR_OK);
    assert_int_equal(following->response.error_code, 0);
    assert_int_equal(following->response.responses_count, 1);
    assert_true(uuid_equal(following->response.responses[0].topic_id, UUID_ONE));
    assert_int_equal(following->response.node_endpoints_count, 1);
    assert_int_equal(following->response.node_endpoints[0].port, 9093);
    return &following->response.responses[0].partitions[0];
}

static void describe_quorum(struct test *test, struct describe_quorum_response *response) {
    struct describe_quorum_request request;
    struct describe_quorum_request_partition_data partition = {.partition_index = 0};
    struct describe_quorum_request_topic_data topic = {
        .topic_name = STR("__cluster_metadata"), .partitions = &partition, .partitions_count = 1};
    wire_init(&describe_quorum_request_type, &request);
    request.topics = &topic;
    request.topics_count = 1;
    call(&test->peer, API_DESCRIBE_QUORUM, 2, &request, response);
}

static int64_t end_of_log(struct test *test) {
    struct describe_quorum_response response;
    describe_quorum(test, &response);
    return response.topics[0].partitions[0].high_watermark;
}

static void followers_wait_for_changes_of_metadata(void **state) {
    struct test *test = *state;
    struct following followings[FOLLOWERS];
    int64_t end_offset = end_of_log(test);
    for (int i = 0; i < FOLLOWERS; i++) {
        follow(test, i, &followings[i], end_offset, 60 * 1000);
    }
    fixture_run_for(&test->f, 1000);
    for (int i = 0; i < FOLLOWERS; i++) {
        assert_false(followings[i].call.done);
    }
    assert_int_equal(create_topic(&test->peer, "t", 3), 0);
    for (int i = 0; i < FOLLOWERS; i++) {
        const struct fetch_response_partition_data *got = answer(&followings[i]);
        assert_int_equal(got->error_code, 0);
        assert_true(got->records.size > 0);
        assert_true(got->high_watermark > end_offset);
        assert_int_equal(got->current_leader.leader_id, 1);
        assert_int_equal(got->current_leader.leader_epoch, 1);
    }
    struct describe_quorum_response response;
    describe_quorum(test, &response);
    assert_int_equal(response.topics[0].partitions[0].observers_count, FOLLOWERS);
}

static void followers_that_go_leave_nothing(void **state) {
    struct test *test = *state;
    enum { ROUNDS = 20 };
    static struct following all[ROUNDS + 1][FOLLOWERS];
    int64_t end_offset = end_of_log(test);
    for (int32_t ms = 1; ms <= ROUNDS; ms++) { /* at any moment of the way there and back */
        struct following *followings = all[ms];
        for (int i = 0; i < FOLLOWERS; i++) {
            follow(test, i, &followings[i], i % 2 == 0 ? end_offset : 0, i < 3 ? ms : 60 * 1000);
        }
        fixture_run_for(&test->f, ms);
        for (int i = 0; i < FOLLOWERS; i++) {
            peer_close(&test->followers[i]);
        }
        fixture_run_for(&test->f, ms % 3);
        for (int i = 0; i < FOLLOWERS; i++) {
            peer_open_controller(&test->followers[i], test->machine);
        }
    }
    struct following last;
    follow(test, 0, &last, 0, 0);
    assert_true(answer(&last)->records.size > 0);
}

static void a_stop_answers_those_that_wait(void **state) {
    struct test *test = *state;
    struct following followings[FOLLOWERS];
    int64_t end_offset = end_of_log(test);
    for (int i = 0; i < FOLLOWERS; i++) {
        follow(test, i, &followings[i], end_offset, 60 * 1000);
    }
    fixture_run_for(&test->f, 100);
    int64_t before_ms = sys_mono_ms(sim_host_sys(test->f.client_host));
    machine_stop(test->machine);
    assert_true(sys_mono_ms(sim_host_sys(test->f.client_host)) - before_ms < 1000);
    for (int i = 0; i < FOLLOWERS; i++) {
        assert_int_equal(answer(&followings[i])->error_code, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(followers_wait_for_changes_of_metadata, set_up, tear_down),
        cmocka_unit_test_setup_teardown(followers_that_go_leave_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_answers_those_that_wait, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
