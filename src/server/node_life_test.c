/* A node's start and stop, at any moment and over any directory. */
#include <string.h>

#include "server/node_fixture_test.h"
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

static struct machine *machine_of(void **state) {
    return &((struct fixture *)*state)->machines[0];
}

static bool exists(struct machine *machine, const char *path) {
    struct sys_stat stat;
    return sys_path_stat(sim_host_sys(machine->host), path, &stat) == ERR_OK;
}

static void write_text(struct machine *machine, const char *path, const char *text) {
    struct sys *sys = sim_host_sys(machine->host);
    struct sys_file *file;
    assert_int_equal(sys_file_open(sys, path, SYS_FILE_CREATE | SYS_FILE_TRUNCATE, &file), ERR_OK);
    assert_int_equal(sys_file_write(file, 0, text, strlen(text)), ERR_OK);
    sys_file_close(file);
}

/* --- directories --- */

static void an_empty_directory_is_formatted(void **state) {
    struct machine *machine = machine_of(state);
    machine_start(machine);
    assert_true(told(machine->f, "Formatted /data for the new cluster"));
    assert_true(exists(machine, "/data/meta.properties"));
    struct peer peer;
    peer_open(&peer, machine);
    assert_int_equal(create_topic(&peer, "t", 2), 0);
    assert_int_equal(produce(&peer, "t", 0, 5), 0);
    assert_int_equal(end_of(&peer, "t", 0), 5);
    peer_close(&peer);
}

static void one_that_must_not_be_formatted(void **state) {
    struct machine *machine = machine_of(state);
    machine->formats = false;
    assert_int_equal(machine_try(machine), ERR_NOT_FOUND);
    assert_non_null(strstr(machine->start_text, "ottla storage format"));
    assert_false(exists(machine, "/data/meta.properties"));
}

static void only_some_are_formatted(void **state) {
    struct machine *machine = machine_of(state);
    machine_start(machine);
    machine_stop(machine);
    machine_set(machine, "log.dirs", "/data,/more");
    assert_int_equal(machine_try(machine), ERR_NOT_FOUND);
    assert_non_null(strstr(machine->start_text, "/more is not formatted"));
}

static void directories_of_two_clusters(void **state) {
    struct machine *machine = machine_of(state);
    machine_start(machine);
    machine_stop(machine);
    assert_int_equal(sys_dir_make(sim_host_sys(machine->host), "/more"), ERR_OK);
    write_text(machine, "/more/meta.properties",
               "version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=1\n"
               "directory.id=AAAAAAAAAAAAAAAAAAAAAg\n");
    machine_set(machine, "log.dirs", "/data,/more");
    assert_int_equal(machine_try(machine), ERR_INCONSISTENT_CLUSTER_ID);
    assert_non_null(strstr(machine->start_text, "/more belongs to cluster AAAAAAAAAAAAAAAAAAAAAQ"));
}

static void a_directory_of_another_node(void **state) {
    struct machine *machine = machine_of(state);
    machine_start(machine);
    machine_stop(machine);
    machine_set(machine, "node.id", "2");
    assert_int_equal(machine_try(machine), ERR_INVALID);
    assert_non_null(strstr(machine->start_text, "/data belongs to node 1, but node.id is 2"));
}

static void a_directory_in_use(void **state) {
    struct machine *machine = machine_of(state);
    machine_start(machine);
    struct machine second = {.f = machine->f, .number = 0, .host = machine->host, .formats = true};
    machine_set(&second, "listeners", "PLAINTEXT://10.0.0.1:19092,CONTROLLER://10.0.0.1:19093");
    assert_int_equal(machine_try(&second), ERR_IN_USE);
    assert_non_null(strstr(second.start_text, "another process holds its .lock"));
}

static void a_port_in_use(void **state) {
    struct machine *machine = machine_of(state);
    machine_start(machine);
    struct machine second = {.f = machine->f, .number = 0, .host = machine->host, .formats = true};
    machine_set(&second, "log.dirs", "/other");
    assert_int_equal(machine_try(&second), ERR_IN_USE);
    assert_non_null(strstr(second.start_text, "Cannot listen on 10.0.0.1:9092"));
}

static void a_listener_without_a_host(void **state) {
    struct machine *machine = machine_of(state);
    machine_set(machine, "listeners", "PLAINTEXT://:9092,CONTROLLER://:9093");
    machine_set(machine, "advertised.listeners", "PLAINTEXT://:9092");
    machine_start(machine);
    struct peer peer;
    peer_open(&peer, machine);
    struct describe_cluster_request request;
    struct describe_cluster_response response;
    wire_init(&describe_cluster_request_type, &request);
    call(&peer, API_DESCRIBE_CLUSTER, 1, &request, &response);
    assert_int_equal(response.brokers_count, 1);
    assert_true(str_equal(response.brokers[0].host, str_from_c(sim_host_name(machine->host))));
    assert_int_equal(response.brokers[0].port, 9092);
    peer_close(&peer);
}

/* --- again --- */

static void a_second_start_has_everything(void **state) {
    struct machine *machine = machine_of(state);
    struct peer peer;
    machine_start(machine);
    peer_open(&peer, machine);
    assert_int_equal(create_topic(&peer, "t", 3), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(produce(&peer, "t", 0, 1), i);
    }
    peer_close(&peer);
    machine_stop(machine);
    assert_true(exists(machine, "/data/.kafka_cleanshutdown"));
    for (int round = 0; round < 3; round++) {
        machine_start(machine);
        peer_open(&peer, machine);
        assert_int_equal(end_of(&peer, "t", 0), 20 + round);
        assert_int_equal(produce(&peer, "t", 0, 1), 20 + round);
        assert_int_equal(create_topic(&peer, "t", 1), ERR_TOPIC_ALREADY_EXISTS);
        peer_close(&peer);
        machine_stop(machine);
    }
}

static void a_topic_made_anew_is_empty(void **state) {
    struct machine *machine = machine_of(state);
    struct peer peer;
    machine_start(machine);
    peer_open(&peer, machine);
    for (int round = 0; round < 5; round++) {
        assert_int_equal(create_topic(&peer, "t", 1), 0);
        assert_int_equal(produce(&peer, "t", 0, 3 + round), 0);
        assert_int_equal(end_of(&peer, "t", 0), 3 + round);
        assert_int_equal(delete_topic(&peer, "t"), 0);
    }
    peer_close(&peer);
}

/* --- stopping --- */

/* The moment walks over the whole start, with everything that is begun and not done in it. */
static void a_stop_at_any_moment_of_the_start(void **state) {
    struct machine *machine = machine_of(state);
    struct fixture *f = machine->f;
    sim_disk_set_latency(machine->host, SIM_CALL_ALL, 200 * 1000, 400 * 1000);
    struct peer peer;
    machine_start(machine);
    peer_open(&peer, machine);
    assert_int_equal(create_topic(&peer, "t", 4), 0);
    assert_int_equal(produce(&peer, "t", 0, 7), 0);
    peer_close(&peer);
    machine_stop(machine);
    bool was_served = false;
    for (int ms = 0; ms < 200 && !was_served; ms++) {
        machine_launch(machine);
        fixture_run_for(f, ms);
        was_served = machine->started && machine->start_err == ERR_OK;
        machine_stop(machine);
        assert_false(machine->failed);
    }
    assert_true(was_served);
    machine_start(machine);
    peer_open(&peer, machine);
    assert_int_equal(end_of(&peer, "t", 0), 7);
    peer_close(&peer);
}

static void a_stop_answers_who_waits(void **state) {
    struct machine *machine = machine_of(state);
    struct peer peer;
    machine_start(machine);
    peer_open(&peer, machine);
    assert_int_equal(create_topic(&peer, "t", 1), 0);
    assert_int_equal(produce(&peer, "t", 0, 1), 0);
    struct call fetch;
    struct fetch_response response;
    fetch_begin(&fetch, &peer, "t", 1, 50 * 1000, 1, &response);
    fixture_run_for(machine->f, 100);
    assert_false(fetch.done);
    int64_t before_ms = sim_world_now_ms(machine->f->world);
    machine_stop(machine);
    assert_true(sim_world_now_ms(machine->f->world) - before_ms < 2000);
    assert_int_equal(call_wait(&fetch), ERR_OK);
    assert_int_equal(response.responses[0].partitions[0].error_code, ERR_NOT_LEADER_OR_FOLLOWER);
    peer_close(&peer);
}

static void a_stop_does_not_wait_for_clients(void **state) {
    struct machine *machine = machine_of(state);
    struct peer peers[5];
    machine_start(machine);
    for (int i = 0; i < 5; i++) {
        peer_open(&peers[i], machine);
    }
    fixture_run_for(machine->f, 100);
    machine_stop(machine);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(peers[i].state, ERR_CLOSED);
        peer_close(&peers[i]);
    }
}

/* The metadata log cannot be written: the node says so, and ends when it is told to. */
static bool has_failed(void *arg) {
    return ((struct machine *)arg)->failed;
}

static void a_metadata_disk_that_fails(void **state) {
    struct machine *machine = machine_of(state);
    struct peer peer;
    machine_start(machine);
    peer_open(&peer, machine);
    assert_int_equal(create_topic(&peer, "t", 1), 0);
    struct sim_fault fault = {.kind = SIM_FAULT_ERROR,
                              .calls = SIM_CALL_WRITE | SIM_CALL_SYNC,
                              .path = "/data/__cluster_metadata-0/*"};
    int number = sim_disk_add_fault(machine->host, &fault);
    struct create_topics_request request;
    struct create_topics_response response;
    wire_init(&create_topics_request_type, &request);
    struct create_topics_request_creatable_topic topic = {
        .name = STR("u"), .num_partitions = 1, .replication_factor = 1};
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 10000;
    struct call call;
    call_begin(&call, &peer, API_CREATE_TOPICS, 7, &request, &response);
    assert_true(fixture_run_until(machine->f, has_failed, machine));
    machine_stop(machine);
    if (call_wait(&call) == ERR_OK) {
        assert_true(response.topics[0].error_code != 0);
    }
    peer_close(&peer);
    sim_disk_remove_fault(machine->host, number);
    machine_start(machine);
    peer_open(&peer, machine);
    assert_int_equal(produce(&peer, "t", 0, 1), 0);
    peer_close(&peer);
}

/* --- clients that go away --- */

static void clients_that_go_while_something_is_pending(void **state) {
    struct machine *machine = machine_of(state);
    struct fixture *f = machine->f;
    struct peer peer;
    machine_start(machine);
    peer_open(&peer, machine);
    assert_int_equal(create_topic(&peer, "t", 1), 0);
    assert_int_equal(produce(&peer, "t", 0, 1), 0);
    for (int ms = 0; ms < 40; ms++) {
        struct peer other;
        peer_open(&other, machine);
        struct call calls[3];
        struct fetch_response fetch;
        struct list_offsets_request offsets;
        struct list_offsets_response offsets_response;
        struct list_offsets_request_list_offsets_partition partition = {.timestamp = 5,
                                                                        .current_leader_epoch = -1};
        struct list_offsets_request_list_offsets_topic topic = {
            .name = STR("t"), .partitions = &partition, .partitions_count = 1};
        wire_init(&list_offsets_request_type, &offsets);
        offsets.topics = &topic;
        offsets.topics_count = 1;
        struct init_producer_id_request init;
        struct init_producer_id_response init_response;
        wire_init(&init_producer_id_request_type, &init);
        call_begin(&calls[0], &other, API_LIST_OFFSETS, 7, &offsets, &offsets_response);
        call_begin(&calls[1], &other, API_INIT_PRODUCER_ID, 4, &init, &init_response);
        fetch_begin(&calls[2], &other, "t", 1, 30 * 1000, 1, &fetch);
        fixture_run_for(f, 1 + ms / 4);
        peer_close(&other);
        assert_true(calls[2].done);
    }
    assert_int_equal(produce(&peer, "t", 0, 1), 1);
    assert_int_equal(end_of(&peer, "t", 0), 2);
    peer_close(&peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_empty_directory_is_formatted),
        TEST(one_that_must_not_be_formatted),
        TEST(only_some_are_formatted),
        TEST(directories_of_two_clusters),
        TEST(a_directory_of_another_node),
        TEST(a_directory_in_use),
        TEST(a_port_in_use),
        TEST(a_listener_without_a_host),
        TEST(a_second_start_has_everything),
        TEST(a_topic_made_anew_is_empty),
        TEST(a_stop_at_any_moment_of_the_start),
        TEST(a_stop_answers_who_waits),
        TEST(a_stop_does_not_wait_for_clients),
        TEST(a_metadata_disk_that_fails),
        TEST(clients_that_go_while_something_is_pending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
