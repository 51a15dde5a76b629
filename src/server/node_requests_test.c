/* Appends and lookups that wait, and what may happen to what they wait for. */
#include <string.h>

#include "server/node_fixture_test.h"
#include "sys/file.h"
#include "wire/batch_builder.h"

struct test {
    struct fixture f;
    struct machine *machine;
    struct peer peer; /* with topic "t" of one partition */
};

static int set_up(void **state) {
    static struct test test;
    memset(&test, 0, sizeof test);
    fixture_init(&test.f, 1);
    test.machine = &test.f.machines[0];
    machine_start(test.machine);
    peer_open(&test.peer, test.machine);
    assert_int_equal(create_topic(&test.peer, "t", 1), 0);
    assert_int_equal(produce(&test.peer, "t", 0, 1), 0);
    *state = &test;
    return 0;
}

static int tear_down(void **state) {
    struct test *test = *state;
    peer_close(&test->peer);
    fixture_done(&test->f);
    return 0;
}

/* --- pending appends --- */

static void set_compression(struct test *test, const char *value) {
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_response response;
    wire_init(&incremental_alter_configs_request_type, &request);
    struct incremental_alter_configs_request_alterable_config config = {
        .name = STR("compression.type"), .value = str_from_c(value)};
    struct incremental_alter_configs_request_alter_configs_resource resource = {
        .resource_type = 2, .resource_name = STR("t"), .configs = &config, .configs_count = 1};
    request.resources = &resource;
    request.resources_count = 1;
    call(&test->peer, API_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response);
    assert_int_equal(response.responses[0].error_code, 0);
    fixture_run_for(&test->f, 10);
}

struct production {
    struct call call;
    struct buffer batch;
    struct produce_request request;
    struct produce_request_topic_produce_data topic;
    struct produce_request_partition_produce_data partition;
    struct produce_response response;
};

static void produce_begin(struct production *p, struct peer *peer, int16_t acks) {
    *p = (struct production){
        .topic = {.name = STR("t"), .partition_data = &p->partition, .partition_data_count = 1}};
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    struct batch_builder builder;
    batch_builder_init(&builder, &p->batch, &options);
    batch_builder_add(&builder, SIM_START_WALL_MS, (struct bytes){0}, str_bytes(STR("v")), NULL, 0);
    batch_builder_finish(&builder, NULL);
    p->partition.records = buffer_bytes(&p->batch);
    wire_init(&produce_request_type, &p->request);
    p->request.acks = acks;
    p->request.timeout_ms = 10000;
    p->request.topic_data = &p->topic;
    p->request.topic_data_count = 1;
    call_begin(&p->call, peer, API_PRODUCE, 9, &p->request, &p->response);
}

/* Some are pending, some not: their order is that of the connection. */
static void appends_of_one_connection_keep_their_order(void **state) {
    struct test *test = *state;
    enum { COUNT = 12 };
    struct production productions[COUNT];
    set_compression(test, "gzip");
    for (int i = 0; i < COUNT; i++) {
        produce_begin(&productions[i], &test->peer, -1);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(call_wait(&productions[i].call), ERR_OK);
        assert_int_equal(productions[i].response.responses[0].partition_responses[0].base_offset,
                         1 + i);
        buffer_done(&productions[i].batch);
    }
}

static void an_append_whose_client_goes(void **state) {
    struct test *test = *state;
    set_compression(test, "gzip");
    struct sim_fault fault = {
        .kind = SIM_FAULT_HANG, .calls = SIM_CALL_WRITE, .path = "/data/t-0/*"};
    int number = sim_disk_add_fault(test->machine->host, &fault);
    struct peer writer;
    peer_open(&writer, test->machine);
    struct production production;
    produce_begin(&production, &writer, -1);
    fixture_run_for(&test->f, 100);
    assert_false(production.call.done);
    peer_close(&writer);
    fixture_run_for(&test->f, 100);
    sim_disk_remove_fault(test->machine->host, number);
    fixture_run_for(&test->f, 100);
    buffer_done(&production.batch);
    assert_int_equal(end_of(&test->peer, "t", 0), 2); /* it was written all the same */
}

static void a_stop_while_a_disk_hangs(void **state) {
    struct test *test = *state;
    set_compression(test, "gzip");
    struct sim_fault fault = {
        .kind = SIM_FAULT_HANG, .calls = SIM_CALL_WRITE, .path = "/data/t-0/*"};
    int number = sim_disk_add_fault(test->machine->host, &fault);
    struct production production;
    produce_begin(&production, &test->peer, -1);
    fixture_run_for(&test->f, 100);
    node_stop(test->machine->node);
    fixture_run_for(&test->f, 20 * 1000);
    assert_false(test->machine->stopped); /* what was begun comes to its end first */
    sim_disk_remove_fault(test->machine->host, number);
    machine_stop(test->machine);
    buffer_done(&production.batch);
    peer_close(&test->peer);
    machine_start(test->machine);
    peer_open(&test->peer, test->machine);
    assert_int_equal(end_of(&test->peer, "t", 0), 2);
}

static void a_topic_deleted_under_a_pending_append(void **state) {
    struct test *test = *state;
    set_compression(test, "gzip");
    struct sim_fault fault = {
        .kind = SIM_FAULT_HANG, .calls = SIM_CALL_WRITE, .path = "/data/t-0/*"};
    int number = sim_disk_add_fault(test->machine->host, &fault);
    struct peer writer;
    peer_open(&writer, test->machine);
    struct production productions[3];
    for (int i = 0; i < 3; i++) {
        produce_begin(&productions[i], &writer, -1);
    }
    fixture_run_for(&test->f, 100);
    assert_int_equal(delete_topic(&test->peer, "t"), 0);
    fixture_run_for(&test->f, 100);
    sim_disk_remove_fault(test->machine->host, number);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(call_wait(&productions[i].call), ERR_OK);
        int16_t code = productions[i].response.responses[0].partition_responses[0].error_code;
        assert_int_equal(code, i == 0 ? 0 : ERR_UNKNOWN_TOPIC_OR_PARTITION);
        buffer_done(&productions[i].batch);
    }
    peer_close(&writer);
}

/* --- several directories --- */

static void ask_times(struct call *call, struct peer *peer,
                      struct list_offsets_response *response) {
    static struct list_offsets_request request;
    static struct list_offsets_request_list_offsets_topic topic;
    static struct list_offsets_request_list_offsets_partition partitions[4];
    for (int i = 0; i < 4; i++) {
        partitions[i] = (struct list_offsets_request_list_offsets_partition){
            .partition_index = i, .timestamp = i == 3 ? -1 : 1, .current_leader_epoch = -1};
    }
    topic = (struct list_offsets_request_list_offsets_topic){
        .name = STR("u"), .partitions = partitions, .partitions_count = 4};
    wire_init(&list_offsets_request_type, &request);
    request.topics = &topic;
    request.topics_count = 1;
    call_begin(call, peer, API_LIST_OFFSETS, 7, &request, response);
}

/* One of two disks hangs: who asks of it waits, the other one's workers do not. */
static void a_disk_that_hangs_holds_up_its_own(void **state) {
    struct test *test = *state;
    peer_close(&test->peer);
    machine_stop(test->machine);
    machine_set(test->machine, "log.dirs", "/x,/y");
    machine_start(test->machine);
    peer_open(&test->peer, test->machine);
    assert_int_equal(create_topic(&test->peer, "u", 4), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(produce(&test->peer, "u", i, 1), 0);
    }
    fixture_run_for(&test->f, 40 * 1000);
    sim_disk_drop_cache(test->machine->host);
    struct sim_fault fault = {.kind = SIM_FAULT_HANG, .path = "/y/*"};
    int number = sim_disk_add_fault(test->machine->host, &fault);
    enum { ASKED = 6 }; /* more than a directory has workers */
    struct peer peers[ASKED];
    struct call calls[ASKED];
    struct list_offsets_response responses[ASKED];
    for (int i = 0; i < ASKED; i++) {
        peer_open(&peers[i], test->machine);
        ask_times(&calls[i], &peers[i], &responses[i]);
    }
    fixture_run_for(&test->f, 1000);
    for (int i = 0; i < ASKED; i++) {
        assert_false(calls[i].done);
    }
    /* What is on the other disk only: cold, so a worker is needed. */
    int cold = 0;
    for (int i = 0; i < 4; i++) {
        char path[16] = "/x/u-0";
        path[5] = (char)('0' + i);
        struct sys_stat stat;
        if (sys_path_stat(sim_host_sys(test->machine->host), path, &stat) == ERR_OK) {
            struct call fetch;
            struct fetch_response response;
            fetch_begin(&fetch, &test->peer, "u", 0, 0, 1, &response);
            ((struct fetch_request *)(uintptr_t)fetch.request)->topics[0].partitions[0].partition =
                i;
            assert_int_equal(call_wait(&fetch), ERR_OK);
            assert_true(response.responses[0].partitions[0].records.size > 0);
            cold++;
        }
    }
    assert_int_equal(cold, 2);
    sim_disk_remove_fault(test->machine->host, number);
    for (int i = 0; i < ASKED; i++) {
        assert_int_equal(call_wait(&calls[i]), ERR_OK);
        for (int p = 0; p < 4; p++) {
            assert_int_equal(responses[i].topics[0].partitions[p].error_code, 0);
            assert_int_equal(responses[i].topics[0].partitions[p].offset, p == 3);
        }
        peer_close(&peers[i]);
    }
}

/* --- topics made for a client --- */

static void topics_that_are_missing_are_made(void **state) {
    struct test *test = *state;
    peer_close(&test->peer);
    machine_stop(test->machine);
    machine_set(test->machine, "offsets.topic.replication.factor", "1");
    machine_set(test->machine, "offsets.topic.num.partitions", "7");
    machine_set(test->machine, "transaction.state.log.replication.factor", "3");
    machine_start(test->machine);
    peer_open(&test->peer, test->machine);
    struct metadata_request request;
    struct metadata_response response;
    struct metadata_request_topic topics[] = {{.name = STR("a")},
                                              {.name = STR("not / valid")},
                                              {.name = STR("b")},
                                              {.name = STR("__transaction_state")},
                                              {.name = STR("__consumer_offsets")}};
    wire_init(&metadata_request_type, &request);
    request.topics = topics;
    request.topics_count = 5;
    request.allow_auto_topic_creation = true;
    call(&test->peer, API_METADATA, 12, &request, &response);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(response.topics[i].error_code,
                         i == 1 ? ERR_INVALID_TOPIC_EXCEPTION : ERR_UNKNOWN_TOPIC_OR_PARTITION);
    }
    fixture_run_for(&test->f, 1000);
    request.allow_auto_topic_creation = false;
    call(&test->peer, API_METADATA, 12, &request, &response);
    assert_int_equal(response.topics[0].partitions_count, 1); /* a */
    assert_int_equal(response.topics[1].partitions_count, 1); /* b */
    assert_int_equal(response.topics[2].partitions_count, 7);
    assert_true(str_equal(response.topics[2].name, STR("__consumer_offsets")));
    assert_true(response.topics[2].is_internal);
    assert_true(told(&test->f, "Topic __transaction_state could not be created for a client"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(appends_of_one_connection_keep_their_order),
        TEST(an_append_whose_client_goes),
        TEST(a_stop_while_a_disk_hangs),
        TEST(a_topic_deleted_under_a_pending_append),
        TEST(a_disk_that_hangs_holds_up_its_own),
        TEST(topics_that_are_missing_are_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
