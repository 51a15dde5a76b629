/*
 * Coordinators of groups under a slow disk, crashes and stops. What a crashed node allocated is
 * lost with it, so leaks are not looked for here.
 */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "coord/group_int.h"
#include "server/node_fixture_test.h"
#include "wire/record_batch.h"

#define OFFSETS_FILES "/data/__consumer_offsets-*"

const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0";
}

struct test {
    struct fixture f;
    struct machine *machine;
    struct peer peer;
};

/* --- asking --- */

static int16_t find_coordinator(struct peer *peer) {
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    wire_init(&find_coordinator_request_type, &request);
    request.key = STR("g");
    call(peer, API_FIND_COORDINATOR, 3, &request, &response);
    return response.error_code;
}

struct commit {
    struct call call;
    struct offset_commit_request request;
    struct offset_commit_request_topic topic;
    struct offset_commit_request_partition partition;
    struct offset_commit_response response;
};

static void commit_begin(struct commit *c, struct peer *peer, int64_t offset) {
    *c = (struct commit){
        .topic = {.name = STR("t"), .partitions = &c->partition, .partitions_count = 1},
        .partition = {.committed_offset = offset, .committed_leader_epoch = -1},
    };
    wire_init(&offset_commit_request_type, &c->request);
    c->request.group_id = STR("g");
    c->request.member_id = STR("");
    c->request.topics = &c->topic;
    c->request.topics_count = 1;
    call_begin(&c->call, peer, API_OFFSET_COMMIT, 9, &c->request, &c->response);
}

static int16_t commit_end(struct commit *c) {
    assert_int_equal(call_wait(&c->call), ERR_OK);
    return c->response.topics[0].partitions[0].error_code;
}

static int16_t commit(struct peer *peer, int64_t offset) {
    struct commit c;
    commit_begin(&c, peer, offset);
    return commit_end(&c);
}

/* The committed offset of partition 0 of "t", or minus the error. */
static int64_t fetch_offset(struct peer *peer) {
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    struct offset_fetch_request_group group = {.group_id = STR("g"), .member_epoch = -1};
    wire_init(&offset_fetch_request_type, &request);
    group.topics_count = -1;
    request.groups = &group;
    request.groups_count = 1;
    call(peer, API_OFFSET_FETCH, 9, &request, &response);
    const struct offset_fetch_response_group *found = &response.groups[0];
    return found->error_code != 0     ? -found->error_code
           : found->topics_count == 0 ? -1
                                      : found->topics[0].partitions[0].committed_offset;
}

static bool has_coordinator(void *arg) {
    struct peer *peer = arg;
    return find_coordinator(peer) == 0 && fetch_offset(peer) != -ERR_COORDINATOR_LOAD_IN_PROGRESS;
}

static void wait_for_coordinator(struct test *test) {
    for (int i = 0; i < 1000 && !has_coordinator(&test->peer); i++) {
        fixture_run_for(&test->f, 10);
    }
    assert_true(has_coordinator(&test->peer));
}

static int set_up(void **state) {
    static struct test test;
    memset(&test, 0, sizeof test);
    fixture_init(&test.f, 1);
    test.machine = &test.f.machines[0];
    machine_set(test.machine, "offsets.topic.num.partitions", "1");
    machine_start(test.machine);
    peer_open(&test.peer, test.machine);
    assert_int_equal(create_topic(&test.peer, "t", 200), 0);
    wait_for_coordinator(&test);
    *state = &test;
    return 0;
}

static int tear_down(void **state) {
    struct test *test = *state;
    peer_close(&test->peer);
    fixture_done(&test->f);
    return 0;
}

static void crash(struct test *test, bool power) {
    peer_close(&test->peer);
    machine_crash(test->machine, power);
    machine_start(test->machine);
    peer_open(&test->peer, test->machine);
    wait_for_coordinator(test);
}

/* --- the order of commits --- */

/* Calls `each` with all records of the log of the coordinator, by the way of a consumer. */
static void read_log(struct test *test,
                     void (*each)(void *arg, const struct offset_commit_value *value), void *arg) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    for (int64_t offset = 0;;) {
        struct fetch_response response;
        struct call fetch;
        fetch_begin(&fetch, &test->peer, "__consumer_offsets", offset, 0, 1, &response);
        assert_int_equal(call_wait(&fetch), ERR_OK);
        struct bytes run = response.responses[0].partitions[0].records;
        struct record_batch batch;
        size_t position = 0;
        int batches = 0;
        for (; record_batch_next(run, &position, &batch) == ERR_OK; batches++) {
            struct record_iter iter;
            struct record record;
            assert_int_equal(record_iter_init(&iter, batch.data, batch.size, NULL, NULL, 0),
                             ERR_OK);
            while (record_iter_next(&iter, &record) == ERR_OK) {
                struct offset_commit_value value;
                struct bytes body = {record.value.data + 2, record.value.size - 2};
                size_t used;
                assert_int_equal(get_be16(record.key.data), GROUP_RECORD_OFFSET_COMMIT);
                assert_int_equal(wire_decode(&offset_commit_value_type,
                                             (int16_t)get_be16(record.value.data), body, &arena,
                                             &value, &used),
                                 ERR_OK);
                each(arg, &value);
            }
            offset = record_batch_next_offset(batch.data);
        }
        if (batches == 0) {
            break;
        }
    }
    arena_done(&arena);
}

struct order {
    int64_t last[2]; /* of each of the two clients */
    int64_t end;
};

enum { CLIENT_STEP = 1000000 };

static void see(void *arg, const struct offset_commit_value *value) {
    struct order *order = arg;
    int client = (int)(value->offset / CLIENT_STEP);
    assert_true(value->offset > order->last[client]);
    order->last[client] = value->offset;
    order->end = value->offset;
}

/*
 * Two clients commit the same partition, some dozens of requests at a time, while writes take now a
 * moment and now longer, so that some appends are done at once and others go on elsewhere. What the
 * coordinator says then, what its log says, and what it says after a crash is the same; and neither
 * client's commits overtook each other.
 */
static void commits_of_two_clients_keep_their_order(void **state) {
    struct test *test = *state;
    enum { ROUNDS = 20, COUNT = 12 };
    static struct commit commits[2][COUNT];
    struct peer peers[2];
    struct sim_fault fault = {.kind = SIM_FAULT_DELAY,
                              .calls = SIM_CALL_WRITE,
                              .path = OFFSETS_FILES,
                              .one_in = 3,
                              .delay_ms = 40};
    (void)sim_disk_add_fault(test->machine->host, &fault);
    int64_t next[2] = {1, CLIENT_STEP + 1};
    for (int round = 0; round < ROUNDS; round++) {
        peer_open(&peers[0], test->machine);
        peer_open(&peers[1], test->machine);
        for (int i = 0; i < COUNT; i++) {
            commit_begin(&commits[0][i], &peers[0], next[0]++);
            commit_begin(&commits[1][i], &peers[1], next[1]++);
            fixture_run_for(&test->f, i % 3);
        }
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(commit_end(&commits[0][i]), 0);
            assert_int_equal(commit_end(&commits[1][i]), 0);
        }
        peer_close(&peers[0]);
        peer_close(&peers[1]);
        int64_t told_before = fetch_offset(&test->peer);
        struct order order = {.last = {0, CLIENT_STEP}};
        read_log(test, see, &order);
        assert_int_equal(order.end, told_before);
        if (round % 5 == 4) {
            crash(test, false);
            assert_int_equal(fetch_offset(&test->peer), told_before);
        }
    }
}

/* --- what a commit survives --- */

static void committed_offsets_survive_a_crash(void **state) {
    struct test *test = *state;
    for (int64_t offset = 1; offset < 10; offset++) {
        assert_int_equal(commit(&test->peer, offset), 0);
        crash(test, false);
        assert_int_equal(fetch_offset(&test->peer), offset);
    }
}

/* While the disk hangs nobody is answered, not even who only reads: what is read may never be. */
static void a_disk_that_hangs_makes_them_wait(void **state) {
    struct test *test = *state;
    assert_int_equal(commit(&test->peer, 1), 0);
    struct sim_fault slow = {.kind = SIM_FAULT_DELAY,
                             .calls = SIM_CALL_WRITE,
                             .path = OFFSETS_FILES,
                             .count_max = 1,
                             .delay_ms = 60};
    (void)sim_disk_add_fault(test->machine->host, &slow);
    assert_int_equal(commit(&test->peer, 2), 0); /* from now on workers write */
    struct sim_fault fault = {
        .kind = SIM_FAULT_HANG, .calls = SIM_CALL_WRITE, .path = OFFSETS_FILES};
    int number = sim_disk_add_fault(test->machine->host, &fault);
    struct peer other;
    peer_open(&other, test->machine);
    struct commit waiting;
    commit_begin(&waiting, &other, 3);
    fixture_run_for(&test->f, 1000);
    assert_false(waiting.call.done);
    assert_int_equal(produce(&test->peer, "t", 0, 1), 0); /* others go on */
    sim_disk_remove_fault(test->machine->host, number);
    assert_int_equal(commit_end(&waiting), 0);
    assert_int_equal(fetch_offset(&test->peer), 3);
    peer_close(&other);
}

/* --- loading --- */

static void loading_tells_clients_to_wait(void **state) {
    struct test *test = *state;
    assert_int_equal(commit(&test->peer, 7), 0);
    peer_close(&test->peer);
    machine_stop(test->machine);
    struct sim_fault fault = {
        .kind = SIM_FAULT_HANG, .calls = SIM_CALL_READ, .path = OFFSETS_FILES "/*.log"};
    sim_disk_drop_cache(test->machine->host);
    int number = sim_disk_add_fault(test->machine->host, &fault);
    machine_start(test->machine);
    peer_open(&test->peer, test->machine);
    assert_int_equal(find_coordinator(&test->peer), 0);
    assert_int_equal(fetch_offset(&test->peer), -ERR_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(commit(&test->peer, 8), ERR_COORDINATOR_LOAD_IN_PROGRESS);
    sim_disk_remove_fault(test->machine->host, number);
    wait_for_coordinator(test);
    assert_int_equal(fetch_offset(&test->peer), 7);
}

/* --- requests that wait --- */

struct join {
    struct call call;
    struct join_group_request request;
    struct join_group_request_protocol protocol;
    struct join_group_response response;
};

/* Without a member id, in a version that takes that; waits for group.initial.rebalance.delay.ms. */
static void join_begin(struct join *j, struct peer *peer) {
    *j = (struct join){.protocol = {.name = STR("range"),
                                    .metadata = {(const uint8_t *)"\0\0\0\0\0\0\0\0\0\0", 10}}};
    wire_init(&join_group_request_type, &j->request);
    j->request.group_id = STR("g");
    j->request.session_timeout_ms = 10000;
    j->request.rebalance_timeout_ms = 10000;
    j->request.member_id = STR("");
    j->request.protocol_type = STR("consumer");
    j->request.protocols = &j->protocol;
    j->request.protocols_count = 1;
    call_begin(&j->call, peer, API_JOIN_GROUP, 3, &j->request, &j->response);
}

static void a_stop_answers_those_who_wait(void **state) {
    struct test *test = *state;
    struct join join;
    join_begin(&join, &test->peer);
    fixture_run_for(&test->f, 100);
    assert_false(join.call.done);
    node_stop(test->machine->node);
    assert_int_equal(call_wait(&join.call), ERR_OK);
    assert_int_equal(join.response.error_code, ERR_NOT_COORDINATOR);
    peer_close(&test->peer);
    machine_stop(test->machine);
    machine_start(test->machine);
    peer_open(&test->peer, test->machine);
}

static void a_client_that_goes_while_it_waits(void **state) {
    struct test *test = *state;
    struct peer gone, stays;
    struct join lost, join;
    peer_open(&gone, test->machine);
    peer_open(&stays, test->machine);
    join_begin(&lost, &gone);
    join_begin(&join, &stays);
    fixture_run_for(&test->f, 100);
    peer_close(&gone);
    assert_int_equal(call_wait(&join.call), ERR_OK);
    assert_int_equal(join.response.error_code, 0);
    assert_int_equal(join.response.generation_id, 1);
    peer_close(&stays);
}

/* --- a log that is kept short --- */

static int64_t log_start(struct peer *peer) {
    struct list_offsets_request request;
    struct list_offsets_response response;
    struct list_offsets_request_list_offsets_partition partition = {.current_leader_epoch = -1,
                                                                    .timestamp = -2};
    struct list_offsets_request_list_offsets_topic topic = {
        .name = STR("__consumer_offsets"), .partitions = &partition, .partitions_count = 1};
    wire_init(&list_offsets_request_type, &request);
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    call(peer, API_LIST_OFFSETS, 7, &request, &response);
    assert_int_equal(response.topics[0].partitions[0].error_code, 0);
    return response.topics[0].partitions[0].offset;
}

enum { PARTITIONS = 200, METADATA_SIZE = 4000 };

/* One commit of all partitions, of some 800 KiB. */
static void commit_much(struct peer *peer, int64_t offset) {
    static char text[METADATA_SIZE];
    static struct offset_commit_request_partition partitions[PARTITIONS];
    memset(text, 'm', sizeof text);
    for (int i = 0; i < PARTITIONS; i++) {
        partitions[i] = (struct offset_commit_request_partition){
            .partition_index = i,
            .committed_offset = offset,
            .committed_leader_epoch = -1,
            .committed_metadata = {text, sizeof text},
        };
    }
    struct offset_commit_request_topic topic = {
        .name = STR("t"), .partitions = partitions, .partitions_count = PARTITIONS};
    struct offset_commit_request request;
    struct offset_commit_response response;
    wire_init(&offset_commit_request_type, &request);
    request.group_id = STR("g");
    request.member_id = STR("");
    request.topics = &topic;
    request.topics_count = 1;
    call(peer, API_OFFSET_COMMIT, 9, &request, &response);
    for (int i = 0; i < PARTITIONS; i++) {
        assert_int_equal(response.topics[0].partitions[i].error_code, 0);
    }
}

static void the_log_is_kept_short(void **state) {
    struct test *test = *state;
    int64_t bytes = 0;
    for (int64_t offset = 1; bytes <= COORD_REWRITE_BYTES; offset++) {
        commit_much(&test->peer, offset);
        bytes += PARTITIONS * METADATA_SIZE;
        assert_int_equal(log_start(&test->peer), 0);
    }
    int64_t committed = fetch_offset(&test->peer);
    int64_t start = 0;
    for (int i = 0; i < 4000 && start == 0; i++) {
        fixture_run_for(&test->f, 10);
        start = log_start(&test->peer);
    }
    assert_int_equal(start, committed * PARTITIONS);
    crash(test, true); /* what was written anew had to be on the disk before */
    assert_int_equal(fetch_offset(&test->peer), committed);
    fixture_run_for(&test->f, 1000);
    commit_much(&test->peer, committed + 1);
    crash(test, false);
    assert_int_equal(fetch_offset(&test->peer), committed + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(commits_of_two_clients_keep_their_order),
        TEST(committed_offsets_survive_a_crash),
        TEST(a_disk_that_hangs_makes_them_wait),
        TEST(loading_tells_clients_to_wait),
        TEST(a_stop_answers_those_who_wait),
        TEST(a_client_that_goes_while_it_waits),
        TEST(the_log_is_kept_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
