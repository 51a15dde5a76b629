/* Several log directories: what a failed one takes along, and what it does not. */
#include <string.h>

#include "server/node_fixture_test.h"
#include "sys/sim_disk.h"

enum { PARTITIONS = 6 };

struct test {
    struct fixture f;
    struct machine *machine;
    struct peer peer; /* with topic "t" of so many partitions, each with a record */
};

static int set_up(void **state) {
    static struct test test;
    memset(&test, 0, sizeof test);
    fixture_init(&test.f, 1);
    test.machine = &test.f.machines[0];
    machine_set(test.machine, "log.dirs", "/a,/b");
    machine_set(test.machine, "metadata.log.dir", "/m");
    machine_start(test.machine);
    peer_open(&test.peer, test.machine);
    assert_int_equal(create_topic(&test.peer, "t", PARTITIONS), 0);
    for (int i = 0; i < PARTITIONS; i++) {
        assert_int_equal(produce(&test.peer, "t", i, 1), 0);
    }
    fixture_run_for(&test.f, 100); /* the controller learns where they are */
    *state = &test;
    return 0;
}

static int tear_down(void **state) {
    struct test *test = *state;
    peer_close(&test->peer);
    fixture_done(&test->f);
    return 0;
}

static void restart(struct test *test) {
    peer_close(&test->peer);
    machine_stop(test->machine);
    machine_start(test->machine);
    peer_open(&test->peer, test->machine);
}

static void break_disk(struct test *test, unsigned calls, const char *path) {
    struct sim_fault fault = {.kind = SIM_FAULT_ERROR, .calls = calls, .path = path};
    (void)sim_disk_add_fault(test->machine->host, &fault);
}

/* --- what the node says --- */

static void describe_log_dirs(struct test *test, struct describe_log_dirs_response *response) {
    struct describe_log_dirs_request request;
    wire_init(&describe_log_dirs_request_type, &request);
    request.topics_count = -1;
    call(&test->peer, API_DESCRIBE_LOG_DIRS, 4, &request, response);
    assert_int_equal(response->results_count, 2);
    assert_true(str_equal(response->results[0].log_dir, STR("/a")));
    assert_true(str_equal(response->results[1].log_dir, STR("/b")));
}

/* Marks the partitions of "t" that are in the directory; how many there are. */
static int partitions_in(struct test *test, int directory, bool in[PARTITIONS]) {
    struct describe_log_dirs_response response;
    describe_log_dirs(test, &response);
    memset(in, 0, PARTITIONS * sizeof in[0]);
    int count = 0;
    for (int t = 0; t < response.results[directory].topics_count; t++) {
        const struct describe_log_dirs_response_describe_log_dirs_topic *topic =
            &response.results[directory].topics[t];
        for (int p = 0; p < topic->partitions_count && str_equal(topic->name, STR("t")); p++) {
            in[topic->partitions[p].partition_index] = true;
            count++;
        }
    }
    return count;
}

static void describe_topic(struct test *test, const char *name,
                           struct metadata_response *response) {
    struct metadata_request request;
    struct metadata_request_topic topic = {.name = str_from_c(name)};
    wire_init(&metadata_request_type, &request);
    request.topics = &topic;
    request.topics_count = 1;
    request.allow_auto_topic_creation = false;
    call(&test->peer, API_METADATA, 12, &request, response);
}

/* Those in `lost` have no leader and their only replica is offline; all others are led. */
static void expect_leaders(struct test *test, const bool lost[PARTITIONS]) {
    struct metadata_response response;
    describe_topic(test, "t", &response);
    assert_int_equal(response.topics[0].partitions_count, PARTITIONS);
    for (int i = 0; i < PARTITIONS; i++) {
        const struct metadata_response_partition *partition = &response.topics[0].partitions[i];
        bool gone = lost[partition->partition_index];
        assert_int_equal(partition->leader_id, gone ? -1 : 1);
        assert_int_equal(partition->offline_replicas_count, gone);
        assert_int_equal(partition->error_code, gone ? ERR_LEADER_NOT_AVAILABLE : 0);
    }
}

static void expect_produced(struct test *test, const bool lost[PARTITIONS], int64_t offset,
                            err_t err) {
    for (int i = 0; i < PARTITIONS; i++) {
        int64_t got = produce(&test->peer, "t", i, 1);
        assert_int_equal(got, lost[i] ? -(int64_t)err : offset);
    }
}

/* --- tests --- */

static void a_directory_that_fails_takes_its_partitions_along(void **state) {
    struct test *test = *state;
    bool lost[PARTITIONS], none[PARTITIONS] = {false};
    assert_int_equal(partitions_in(test, 1, lost), PARTITIONS / 2);
    expect_leaders(test, none);

    break_disk(test, SIM_CALL_WRITE | SIM_CALL_SYNC, "/b/*");
    expect_produced(test, lost, 1, ERR_KAFKA_STORAGE_ERROR);
    fixture_run_for(&test->f, 100); /* long before the next heartbeat's time */
    expect_leaders(test, lost);
    expect_produced(test, lost, 2, ERR_KAFKA_STORAGE_ERROR);
    assert_true(node_is_ready(test->machine->node));
    struct describe_log_dirs_response response;
    describe_log_dirs(test, &response);
    assert_int_equal(response.results[0].error_code, 0);
    assert_int_equal(response.results[1].error_code, ERR_KAFKA_STORAGE_ERROR);

    assert_int_equal(create_topic(&test->peer, "new", 4), 0);
    fixture_run_for(&test->f, 100);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(produce(&test->peer, "new", i, 1), 0);
    }

    sim_disk_remove_all_faults(test->machine->host);
    restart(test); /* mended */
    expect_leaders(test, none);
    for (int i = 0; i < PARTITIONS; i++) {
        assert_int_equal(produce(&test->peer, "t", i, 1), lost[i] ? 1 : 3);
    }
}

/* The controller does not know yet where the replicas are when their directory fails. */
static void a_directory_fails_while_partitions_are_made(void **state) {
    struct test *test = *state;
    break_disk(test, SIM_CALL_WRITE | SIM_CALL_SYNC | SIM_CALL_NAME, "/b/new-*");
    assert_int_equal(create_topic(&test->peer, "new", 4), 0);
    fixture_run_for(&test->f, 1000);
    struct metadata_response response;
    describe_topic(test, "new", &response);
    int led = 0;
    for (int i = 0; i < 4; i++) {
        led += response.topics[0].partitions[i].leader_id == 1;
    }
    assert_int_equal(led, 2);
}

/* --- directories that cannot be opened at the start --- */

static err_t try_without(struct test *test, const char *path, err_t err) {
    peer_close(&test->peer);
    machine_stop(test->machine);
    struct sim_fault fault = {
        .kind = SIM_FAULT_ERROR, .calls = SIM_CALL_OPEN, .path = path, .err = err};
    (void)sim_disk_add_fault(test->machine->host, &fault);
    return machine_try(test->machine);
}

static void a_start_without_one_directory(void **state) {
    struct test *test = *state;
    static const char *const files[] = {"/b/meta.properties", "/b/.lock"};
    bool lost[PARTITIONS], none[PARTITIONS] = {false};
    (void)partitions_in(test, 1, lost);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(try_without(test, files[round], round == 0 ? ERR_ACCESS : ERR_IO), ERR_OK);
        assert_true(told(&test->f, "The log directory /b cannot be used"));
        peer_open(&test->peer, test->machine);
        expect_leaders(test, lost);
        expect_produced(test, lost, 1 + round, ERR_NOT_LEADER_OR_FOLLOWER);
        struct describe_log_dirs_response response;
        describe_log_dirs(test, &response);
        assert_int_equal(response.results[0].error_code, 0);
        assert_int_equal(response.results[1].error_code, ERR_KAFKA_STORAGE_ERROR);
        assert_int_equal(response.results[1].topics_count, 0);

        char name[] = "new-0";
        name[4] += (char)round;
        assert_int_equal(create_topic(&test->peer, name, 2), 0);
        assert_int_equal(produce(&test->peer, name, 0, 1), 0);
        assert_int_equal(produce(&test->peer, name, 1, 1), 0);
    }
    sim_disk_remove_all_faults(test->machine->host);
    restart(test);
    expect_leaders(test, none);
    for (int i = 0; i < PARTITIONS; i++) {
        assert_int_equal(produce(&test->peer, "t", i, 1), lost[i] ? 1 : 3);
    }
}

static void no_start_without_the_metadata_or_any_directory(void **state) {
    struct test *test = *state;
    bool none[PARTITIONS] = {false};
    assert_int_equal(try_without(test, "/m/meta.properties", ERR_IO), ERR_IO);
    assert_non_null(strstr(test->machine->start_text, "/m, which holds the metadata log"));
    sim_disk_remove_all_faults(test->machine->host);

    struct sim_fault fault = {
        .kind = SIM_FAULT_ERROR, .calls = SIM_CALL_OPEN, .path = "/[ab]/.lock"};
    (void)sim_disk_add_fault(test->machine->host, &fault);
    assert_int_equal(machine_try(test->machine), ERR_IO);
    assert_non_null(strstr(test->machine->start_text, "and with it all of log.dirs"));
    sim_disk_remove_all_faults(test->machine->host);

    machine_start(test->machine);
    peer_open(&test->peer, test->machine);
    expect_leaders(test, none);
    expect_produced(test, none, 1, ERR_OK);
}

/* Nobody is left to write down that it failed: the node ends. */
static void without_the_metadata_log_there_is_no_node(void **state) {
    struct test *test = *state;
    break_disk(test, SIM_CALL_WRITE | SIM_CALL_SYNC, "/m/*");
    assert_int_not_equal(create_topic(&test->peer, "new", 1), 0);
    fixture_run_for(&test->f, 1000);
    assert_true(test->machine->failed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_directory_that_fails_takes_its_partitions_along, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_directory_fails_while_partitions_are_made, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_the_metadata_log_there_is_no_node, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_start_without_one_directory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_start_without_the_metadata_or_any_directory, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
