/* Fetches that wait, and what may happen to what they wait for. */
#include <string.h>

#include "server/node_fixture_test.h"

enum { VERSION_IDS = 17 };

struct test {
    struct fixture f;
    struct machine *machine;
    struct peer peer; /* with topic "t" of one partition */
    struct uuid topic_id;
};

static struct uuid find_id(struct peer *peer, const char *name) {
    struct metadata_request request;
    struct metadata_response response;
    struct metadata_request_topic topic = {.name = str_from_c(name)};
    wire_init(&metadata_request_type, &request);
    request.topics = &topic;
    request.topics_count = 1;
    request.allow_auto_topic_creation = false;
    call(peer, API_METADATA, 12, &request, &response);
    return response.topics[0].topic_id;
}

static int set_up(void **state) {
    static struct test test;
    memset(&test, 0, sizeof test);
    fixture_init(&test.f, 1);
    test.machine = &test.f.machines[0];
    machine_start(test.machine);
    peer_open(&test.peer, test.machine);
    assert_int_equal(create_topic(&test.peer, "t", 1), 0);
    assert_int_equal(produce(&test.peer, "t", 0, 1), 0);
    test.topic_id = find_id(&test.peer, "t");
    *state = &test;
    return 0;
}

static int tear_down(void **state) {
    struct test *test = *state;
    peer_close(&test->peer);
    fixture_done(&test->f);
    return 0;
}

/* A fetch by id, with a session. */
struct id_fetch {
    struct fetch_request request;
    struct fetch_request_fetch_topic topic;
    struct fetch_request_fetch_partition partition;
    struct fetch_response response;
};

static void by_id(struct id_fetch *fetch, struct uuid id, int64_t offset, int32_t session_id,
                  int32_t epoch) {
    *fetch = (struct id_fetch){
        .topic = {.topic_id = id, .partitions = &fetch->partition, .partitions_count = 1},
        .partition = {.fetch_offset = offset,
                      .partition_max_bytes = 1024 * 1024,
                      .current_leader_epoch = -1,
                      .last_fetched_epoch = -1,
                      .log_start_offset = -1},
    };
    wire_init(&fetch_request_type, &fetch->request);
    fetch->request.max_wait_ms = 20 * 1000;
    fetch->request.min_bytes = 1;
    fetch->request.session_id = session_id;
    fetch->request.session_epoch = epoch;
    fetch->request.topics = &fetch->topic;
    fetch->request.topics_count = uuid_is_zero(id) ? 0 : 1;
}

static const struct fetch_response_partition_data *
answer_of(const struct fetch_response *response) {
    assert_int_equal(response->error_code, 0);
    assert_int_equal(response->responses_count, 1);
    return &response->responses[0].partitions[0];
}

/* --- waiting fetches --- */

static void a_fetch_waits_for_a_record(void **state) {
    struct test *test = *state;
    struct peer reader;
    peer_open(&reader, test->machine);
    struct call fetch;
    struct fetch_response response;
    fetch_begin(&fetch, &reader, "t", 1, 20 * 1000, 1, &response);
    fixture_run_for(&test->f, 1000);
    assert_false(fetch.done);
    assert_int_equal(produce(&test->peer, "t", 0, 3), 1);
    assert_int_equal(call_wait(&fetch), ERR_OK);
    assert_int_equal(answer_of(&response)->high_watermark, 4);
    assert_true(answer_of(&response)->records.size > 0);
    peer_close(&reader);
}

static void a_fetch_waits_for_enough(void **state) {
    struct test *test = *state;
    struct peer reader;
    peer_open(&reader, test->machine);
    struct call fetch;
    struct fetch_response response;
    fetch_begin(&fetch, &reader, "t", 1, 20 * 1000, 1000, &response);
    int count = 0;
    while (!fetch.done) {
        (void)produce(&test->peer, "t", 0, 1);
        fixture_run_for(&test->f, 5);
        count++;
    }
    assert_true(count > 5);
    assert_true(answer_of(&response)->records.size >= 1000);

    /* Or until its time is over. */
    int64_t before_ms = sim_world_now_ms(test->f.world);
    fetch_begin(&fetch, &reader, "t", 1, 500, 1000 * 1000, &response);
    assert_int_equal(call_wait(&fetch), ERR_OK);
    assert_true(sim_world_now_ms(test->f.world) - before_ms >= 500);
    assert_true(answer_of(&response)->records.size >= 1000);
    peer_close(&reader);
}

static void a_fetch_whose_topic_goes(void **state) {
    struct test *test = *state;
    struct peer reader;
    peer_open(&reader, test->machine);
    struct call fetch;
    struct fetch_response response;
    fetch_begin(&fetch, &reader, "t", 1, 20 * 1000, 1, &response);
    fixture_run_for(&test->f, 100);
    int64_t before_ms = sim_world_now_ms(test->f.world);
    assert_int_equal(delete_topic(&test->peer, "t"), 0);
    assert_int_equal(call_wait(&fetch), ERR_OK);
    assert_true(sim_world_now_ms(test->f.world) - before_ms < 1000);
    assert_int_equal(answer_of(&response)->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(answer_of(&response)->high_watermark, -1);
    peer_close(&reader);
}

/* A session remembers ids: the new topic of that name is not the one it reads. */
static void a_topic_made_anew_under_a_session(void **state) {
    struct test *test = *state;
    struct peer reader;
    peer_open(&reader, test->machine);
    struct id_fetch fetch;
    by_id(&fetch, test->topic_id, 0, 0, 0);
    call(&reader, API_FETCH, VERSION_IDS, &fetch.request, &fetch.response);
    int32_t session = fetch.response.session_id;
    assert_true(session != 0);
    assert_int_equal(answer_of(&fetch.response)->error_code, 0);

    assert_int_equal(delete_topic(&test->peer, "t"), 0);
    assert_int_equal(create_topic(&test->peer, "t", 1), 0);
    assert_int_equal(produce(&test->peer, "t", 0, 5), 0);
    for (int32_t epoch = 1; epoch < 4; epoch++) { /* told again and again */
        by_id(&fetch, UUID_ZERO, 0, session, epoch);
        call(&reader, API_FETCH, VERSION_IDS, &fetch.request, &fetch.response);
        assert_int_equal(answer_of(&fetch.response)->error_code, ERR_INCONSISTENT_TOPIC_ID);
    }
    int32_t forgotten_index = 0;
    struct fetch_request_forgotten_topic forgotten = {
        .topic_id = test->topic_id, .partitions = &forgotten_index, .partitions_count = 1};
    by_id(&fetch, find_id(&test->peer, "t"), 0, session, 4);
    fetch.request.forgotten_topics_data = &forgotten;
    fetch.request.forgotten_topics_data_count = 1;
    call(&reader, API_FETCH, VERSION_IDS, &fetch.request, &fetch.response);
    assert_int_equal(answer_of(&fetch.response)->high_watermark, 5);
    peer_close(&reader);
}

/* Many names: the frame is given back while the fetch waits, and the answer names them all. */
static void a_large_fetch_that_waits(void **state) {
    struct test *test = *state;
    enum { TOPICS = 300 };
    struct peer reader;
    peer_open(&reader, test->machine);
    struct fetch_request request;
    struct fetch_response response;
    static struct fetch_request_fetch_topic topics[TOPICS];
    static struct fetch_request_fetch_partition partition;
    partition = (struct fetch_request_fetch_partition){
        .partition_max_bytes = 1000, .current_leader_epoch = -1, .last_fetched_epoch = -1};
    wire_init(&fetch_request_type, &request);
    for (int i = 0; i < TOPICS; i++) {
        struct str name = arena_printf(&test->f.arena, "a-topic-with-a-long-name-%d", i);
        topics[i] = (struct fetch_request_fetch_topic){
            .topic = name, .partitions = &partition, .partitions_count = 1};
        char text[64];
        memcpy(text, name.data, name.size + 1);
        assert_int_equal(create_topic(&test->peer, text, 1), 0);
    }
    fixture_run_for(&test->f, 1000);
    request.topics = topics;
    request.topics_count = TOPICS;
    request.max_wait_ms = 20 * 1000;
    request.min_bytes = 1;
    request.session_epoch = -1;
    struct call fetch;
    call_begin(&fetch, &reader, API_FETCH, 12, &request, &response);
    fixture_run_for(&test->f, 100);
    assert_false(fetch.done);
    assert_int_equal(produce(&test->peer, "a-topic-with-a-long-name-77", 0, 1), 0);
    assert_int_equal(call_wait(&fetch), ERR_OK);
    assert_int_equal(response.responses_count, TOPICS);
    for (int i = 0; i < TOPICS; i++) {
        assert_true(str_equal(response.responses[i].topic, topics[i].topic));
        assert_int_equal(response.responses[i].partitions[0].high_watermark, i == 77);
    }
    peer_close(&reader);
}

/* What is not in memory is read by workers, while others are served. */
static void a_fetch_of_cold_records(void **state) {
    struct test *test = *state;
    struct peer reader, others[2]; /* also on its reactor */
    peer_open(&reader, test->machine);
    peer_open(&others[0], test->machine);
    peer_open(&others[1], test->machine);
    for (int i = 0; i < 50; i++) {
        (void)produce(&test->peer, "t", 0, 20);
    }
    fixture_run_for(&test->f, 40 * 1000); /* all of it synced */
    sim_disk_drop_cache(test->machine->host);
    sim_disk_set_latency(test->machine->host, SIM_CALL_READ, 100 * 1000 * 1000, 200 * 1000 * 1000);
    struct call fetch;
    struct fetch_response response;
    fetch_begin(&fetch, &reader, "t", 0, 0, 1, &response);
    fixture_run_for(&test->f, 2);
    int64_t before_ms = sim_world_now_ms(test->f.world);
    for (int i = 0; i < 2; i++) {
        (void)find_id(&others[i], "t");
        peer_close(&others[i]);
    }
    assert_true(sim_world_now_ms(test->f.world) - before_ms < 15);
    assert_int_equal(call_wait(&fetch), ERR_OK);
    assert_true(answer_of(&response)->records.size > 50 * 100);

    /* A client that goes meanwhile. */
    sim_disk_drop_cache(test->machine->host);
    fetch_begin(&fetch, &reader, "t", 0, 0, 1, &response);
    fixture_run_for(&test->f, 2);
    peer_close(&reader);
    fixture_run_for(&test->f, 1000);
}

static void leaders_are_named_from_version_16(void **state) {
    struct test *test = *state;
    struct id_fetch fetch;
    for (int16_t version = 15; version <= 16; version++) {
        by_id(&fetch, test->topic_id, 0, 0, -1);
        fetch.partition.current_leader_epoch = 77;
        call(&test->peer, API_FETCH, version, &fetch.request, &fetch.response);
        assert_int_equal(answer_of(&fetch.response)->error_code, ERR_UNKNOWN_LEADER_EPOCH);
        assert_int_equal(fetch.response.node_endpoints_count, 0);
    }
    /* A restart elects the leader anew. */
    peer_close(&test->peer);
    machine_stop(test->machine);
    machine_start(test->machine);
    peer_open(&test->peer, test->machine);
    for (int16_t version = 15; version <= 16; version++) {
        by_id(&fetch, test->topic_id, 0, 0, -1);
        fetch.partition.current_leader_epoch = 0;
        call(&test->peer, API_FETCH, version, &fetch.request, &fetch.response);
        const struct fetch_response_partition_data *answer = answer_of(&fetch.response);
        assert_int_equal(answer->error_code, ERR_FENCED_LEADER_EPOCH);
        assert_int_equal(answer->current_leader.leader_id, version < 16 ? -1 : 1);
        assert_int_equal(fetch.response.node_endpoints_count, version < 16 ? 0 : 1);
        assert_true(version < 16 || fetch.response.node_endpoints[0].port == 9092);
    }
}

/* The client came back and closed its session, while the node still works on it. */
static void a_session_closed_under_its_fetch(void **state) {
    struct test *test = *state;
    struct peer reader;
    peer_open(&reader, test->machine);
    struct call fetch;
    struct fetch_response response;
    fetch_begin(&fetch, &reader, "t", 1, 0, 1, &response);
    ((struct fetch_request *)(uintptr_t)fetch.request)->session_epoch = 0;
    assert_int_equal(call_wait(&fetch), ERR_OK);
    int32_t session = response.session_id;
    assert_true(session != 0);
    fetch_begin(&fetch, &reader, "t", 1, 20 * 1000, 1, &response);
    ((struct fetch_request *)(uintptr_t)fetch.request)->session_id = session;
    ((struct fetch_request *)(uintptr_t)fetch.request)->session_epoch = 1;
    fixture_run_for(&test->f, 100);
    assert_false(fetch.done);

    struct id_fetch closing;
    by_id(&closing, UUID_ZERO, 0, session, -1);
    struct fetch_response closed;
    call(&test->peer, API_FETCH, VERSION_IDS, &closing.request, &closed);
    assert_int_equal(closed.session_id, 0);
    assert_int_equal(produce(&test->peer, "t", 0, 1), 1);
    assert_int_equal(call_wait(&fetch), ERR_OK);
    assert_int_equal(answer_of(&response)->high_watermark, 2);
    assert_true(str_equal(response.responses[0].topic, STR("t")));
    peer_close(&reader);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_fetch_waits_for_a_record),        TEST(a_fetch_waits_for_enough),
        TEST(a_fetch_whose_topic_goes),          TEST(a_topic_made_anew_under_a_session),
        TEST(a_large_fetch_that_waits),          TEST(a_fetch_of_cold_records),
        TEST(leaders_are_named_from_version_16), TEST(a_session_closed_under_its_fetch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
