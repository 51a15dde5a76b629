/*
 * Transactions in the logs of a node: who reads what while they are open and when they end, and
 * what a crash leaves. Markers come from the test, as from a coordinator elsewhere, so partitions
 * are not verified. What a crashed node allocated is lost with it: leaks are not looked for here.
 */
#include <string.h>

#include "server/node_fixture_test.h"
#include "wire/batch_builder.h"

enum { READ_UNCOMMITTED = 0, READ_COMMITTED = 1, PRODUCER = 77 };

const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0";
}

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
    machine_set(test.machine, "offsets.topic.num.partitions", "1");
    machine_set(test.machine, "transaction.partition.verification.enable", "false");
    machine_start(test.machine);
    peer_open(&test.peer, test.machine);
    assert_int_equal(create_topic(&test.peer, "t", 1), 0);
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
}

/* A clean stop, which syncs everything. */
static void restart(struct test *test) {
    peer_close(&test->peer);
    machine_stop(test->machine);
    machine_start(test->machine);
    peer_open(&test->peer, test->machine);
}

/* --- asking --- */

/* One record of a transaction. */
struct write {
    struct call call;
    struct buffer batch;
    struct produce_request request;
    struct produce_request_topic_produce_data topic;
    struct produce_request_partition_produce_data data;
    struct produce_response response;
};

static void write_begin(struct write *write, struct peer *peer, int16_t version,
                        int64_t producer_id, int16_t epoch, int32_t sequence) {
    *write = (struct write){
        .topic = {.name = STR("t"), .partition_data = &write->data, .partition_data_count = 1}};
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.producer_id = producer_id;
    options.producer_epoch = epoch;
    options.base_sequence = sequence;
    options.attributes = RECORD_BATCH_TRANSACTIONAL;
    struct batch_builder builder;
    batch_builder_init(&builder, &write->batch, &options);
    batch_builder_add(&builder, 1, (struct bytes){0}, str_bytes(STR("v")), NULL, 0);
    batch_builder_finish(&builder, NULL);
    write->data.records = buffer_bytes(&write->batch);
    wire_init(&produce_request_type, &write->request);
    write->request.transactional_id = STR("x");
    write->request.acks = -1;
    write->request.timeout_ms = 10000;
    write->request.topic_data = &write->topic;
    write->request.topic_data_count = 1;
    call_begin(&write->call, peer, API_PRODUCE, version, &write->request, &write->response);
}

/* Its offset, or minus the error. */
static int64_t write_end(struct write *write) {
    assert_int_equal(call_wait(&write->call), ERR_OK);
    buffer_done(&write->batch);
    const struct produce_response_partition_produce_response *answer =
        &write->response.responses[0].partition_responses[0];
    return answer->error_code == 0 ? answer->base_offset : -(int64_t)answer->error_code;
}

static int64_t write_record(struct peer *peer, int16_t epoch, int32_t sequence) {
    struct write write;
    write_begin(&write, peer, 9, PRODUCER, epoch, sequence);
    return write_end(&write);
}

/* A marker. */
struct ending {
    struct call call;
    int32_t index;
    struct write_txn_markers_request request;
    struct write_txn_markers_request_writable_txn_marker marker;
    struct write_txn_markers_request_writable_txn_marker_topic topic;
    struct write_txn_markers_response response;
};

static void end_begin(struct ending *ending, struct peer *peer, const char *topic,
                      int64_t producer_id, int16_t epoch, bool commit, int8_t version) {
    *ending = (struct ending){
        .topic = {.name = str_from_c(topic),
                  .partition_indexes = &ending->index,
                  .partition_indexes_count = 1},
        .marker = {.producer_id = producer_id,
                   .producer_epoch = epoch,
                   .transaction_result = commit,
                   .topics = &ending->topic,
                   .topics_count = 1,
                   .transaction_version = version},
    };
    wire_init(&write_txn_markers_request_type, &ending->request);
    ending->request.markers = &ending->marker;
    ending->request.markers_count = 1;
    call_begin(&ending->call, peer, API_WRITE_TXN_MARKERS, 2, &ending->request, &ending->response);
}

/* Kafka's code. */
static int16_t end_end(struct ending *ending) {
    assert_int_equal(call_wait(&ending->call), ERR_OK);
    return ending->response.markers[0].topics[0].partitions[0].error_code;
}

/* One of transaction.version 2. */
static int16_t end(struct peer *peer, const char *topic, int16_t epoch, bool commit) {
    struct ending ending;
    end_begin(&ending, peer, topic, PRODUCER, epoch, commit, 2);
    return end_end(&ending);
}

struct fetch {
    struct call call;
    struct fetch_request request;
    struct fetch_request_fetch_topic topic;
    struct fetch_request_fetch_partition partition;
    struct fetch_response response;
};

static void read_begin(struct fetch *fetch, struct peer *peer, int8_t isolation, int32_t wait_ms) {
    *fetch = (struct fetch){
        .topic = {.topic = STR("t"), .partitions = &fetch->partition, .partitions_count = 1},
        .partition = {.partition_max_bytes = 1024 * 1024,
                      .current_leader_epoch = -1,
                      .last_fetched_epoch = -1,
                      .log_start_offset = -1},
    };
    wire_init(&fetch_request_type, &fetch->request);
    fetch->request.max_wait_ms = wait_ms;
    fetch->request.min_bytes = 1;
    fetch->request.session_epoch = -1;
    fetch->request.isolation_level = isolation;
    fetch->request.topics = &fetch->topic;
    fetch->request.topics_count = 1;
    call_begin(&fetch->call, peer, API_FETCH, 12, &fetch->request, &fetch->response);
}

static const struct fetch_response_partition_data *read_end(struct fetch *fetch) {
    assert_int_equal(call_wait(&fetch->call), ERR_OK);
    return &fetch->response.responses[0].partitions[0];
}

static struct fetch_response_partition_data read_now(struct peer *peer, int8_t isolation) {
    struct fetch fetch;
    read_begin(&fetch, peer, isolation, 0);
    return *read_end(&fetch);
}

/* "latest" for a reader. */
static int64_t latest(struct peer *peer, int8_t isolation) {
    struct list_offsets_request request;
    struct list_offsets_response response;
    struct list_offsets_request_list_offsets_partition partition = {.current_leader_epoch = -1,
                                                                    .timestamp = -1};
    struct list_offsets_request_list_offsets_topic topic = {
        .name = STR("t"), .partitions = &partition, .partitions_count = 1};
    wire_init(&list_offsets_request_type, &request);
    request.replica_id = -1;
    request.isolation_level = isolation;
    request.topics = &topic;
    request.topics_count = 1;
    call(peer, API_LIST_OFFSETS, 7, &request, &response);
    return response.topics[0].partitions[0].offset;
}

/* Where the producer's transaction begins; -1: none is open. */
static int64_t open_from(struct peer *peer) {
    int32_t index = 0;
    struct describe_producers_request request;
    struct describe_producers_response response;
    struct describe_producers_request_topic_request topic = {
        .name = STR("t"), .partition_indexes = &index, .partition_indexes_count = 1};
    wire_init(&describe_producers_request_type, &request);
    request.topics = &topic;
    request.topics_count = 1;
    call(peer, API_DESCRIBE_PRODUCERS, 0, &request, &response);
    assert_int_equal(response.topics[0].partitions[0].active_producers_count, 1);
    return response.topics[0].partitions[0].active_producers[0].current_txn_start_offset;
}

/* --- readers --- */

/* The marker wakes who waits to read committed records; records of others before it do not. */
static void a_reader_waits_for_the_end(void **state) {
    struct test *test = *state;
    assert_int_equal(write_record(&test->peer, 0, 0), 0);
    struct peer reader;
    peer_open(&reader, test->machine);
    struct fetch fetch;
    read_begin(&fetch, &reader, READ_COMMITTED, 20 * 1000);
    fixture_run_for(&test->f, 500);
    assert_false(fetch.call.done);
    assert_int_equal(produce(&test->peer, "t", 0, 1), 1);
    fixture_run_for(&test->f, 500);
    assert_false(fetch.call.done);
    int64_t before_ms = sim_world_now_ms(test->f.world);
    assert_int_equal(end(&test->peer, "t", 1, true), 0);
    const struct fetch_response_partition_data *answer = read_end(&fetch);
    assert_true(sim_world_now_ms(test->f.world) - before_ms < 1000);
    assert_int_equal(answer->last_stable_offset, 3);
    assert_int_equal(answer->aborted_transactions_count, 0);
    assert_true(answer->records.size > 0);
    peer_close(&reader);
}

static void an_abort_is_told_to_who_asks(void **state) {
    struct test *test = *state;
    assert_int_equal(write_record(&test->peer, 0, 0), 0);
    assert_int_equal(latest(&test->peer, READ_COMMITTED), 0);
    assert_int_equal(latest(&test->peer, READ_UNCOMMITTED), 1);
    assert_int_equal(read_now(&test->peer, READ_COMMITTED).records.size, 0);
    assert_int_equal(end(&test->peer, "t", 1, false), 0);
    assert_int_equal(latest(&test->peer, READ_COMMITTED), 2);
    struct fetch_response_partition_data committed = read_now(&test->peer, READ_COMMITTED);
    assert_int_equal(committed.aborted_transactions_count, 1);
    assert_int_equal(committed.aborted_transactions[0].producer_id, PRODUCER);
    assert_int_equal(committed.aborted_transactions[0].first_offset, 0);

    /* Others get the records all the same (T18). */
    struct fetch_response_partition_data all = read_now(&test->peer, READ_UNCOMMITTED);
    assert_int_equal(all.records.size, committed.records.size);
    assert_int_equal(all.aborted_transactions_count, -1);
}

/* The list of what was aborted is damaged: no records then, for they would pass as committed. */
static void no_records_without_what_was_aborted(void **state) {
    struct test *test = *state;
    assert_int_equal(write_record(&test->peer, 0, 0), 0);
    assert_int_equal(end(&test->peer, "t", 1, false), 0);
    /* The marker begins a segment: by the clock it is much later than the record. */
    assert_int_equal(
        sim_disk_flip(test->machine->host, "/data/t-0/00000000000000000001.txnindex", 1, 0),
        ERR_OK);
    struct fetch_response_partition_data committed = read_now(&test->peer, READ_COMMITTED);
    assert_int_equal(committed.error_code, ERR_CORRUPT_MESSAGE);
    assert_int_equal(committed.records.size, 0);
    assert_int_equal(read_now(&test->peer, READ_UNCOMMITTED).error_code, 0);
    assert_true(read_now(&test->peer, READ_UNCOMMITTED).records.size > 0);
}

/* --- what a crash leaves --- */

static void expect_open(struct test *test) {
    assert_int_equal(latest(&test->peer, READ_COMMITTED), 2);
    assert_int_equal(latest(&test->peer, READ_UNCOMMITTED), 3);
    assert_int_equal(open_from(&test->peer), 2);
    assert_int_equal(read_now(&test->peer, READ_COMMITTED).aborted_transactions_count, 1);
    assert_int_equal(end(&test->peer, "t", 1, true), ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(write_record(&test->peer, 0, 1), -ERR_INVALID_PRODUCER_EPOCH);
}

static void an_open_transaction_stays_open(void **state) {
    struct test *test = *state;
    assert_int_equal(write_record(&test->peer, 0, 0), 0);
    assert_int_equal(end(&test->peer, "t", 1, false), 0);
    assert_int_equal(write_record(&test->peer, 1, 0), 2);
    expect_open(test);
    crash(test, false);
    expect_open(test);
    restart(test);
    expect_open(test);
    crash(test, true);
    expect_open(test);
    assert_int_equal(write_record(&test->peer, 1, 1), 3);
    assert_int_equal(end(&test->peer, "t", 2, true), 0);
    crash(test, false);
    assert_int_equal(open_from(&test->peer), -1);
    assert_int_equal(latest(&test->peer, READ_COMMITTED), 5);
    assert_int_equal(end(&test->peer, "t", 2, true),
                     0); /* its answer was lost, and it comes again */
    assert_int_equal(latest(&test->peer, READ_COMMITTED), 6);
}

/* --- verification --- */

static int64_t init_producer(struct test *test) {
    struct init_producer_id_request request;
    struct init_producer_id_response response;
    wire_init(&init_producer_id_request_type, &request);
    request.transactional_id = STR("x");
    request.transaction_timeout_ms = 60000;
    struct find_coordinator_request find;
    struct find_coordinator_response found;
    wire_init(&find_coordinator_request_type, &find);
    find.key = STR("x");
    find.key_type = 1;
    for (int i = 0; i < 1000; i++) {
        call(&test->peer, API_FIND_COORDINATOR, 3, &find, &found);
        call(&test->peer, API_INIT_PRODUCER_ID, 4, &request, &response);
        if (response.error_code == 0) {
            return response.producer_id;
        }
        fixture_run_for(&test->f, 10);
    }
    fail_msg("there is no coordinator of transactions");
    return -1;
}

/* A marker comes while the coordinator is asked: what it was asked about is over. */
static void a_marker_overtakes_a_verification(void **state) {
    struct test *test = *state;
    peer_close(&test->peer);
    machine_stop(test->machine);
    machine_set(test->machine, "transaction.partition.verification.enable", "true");
    machine_start(test->machine);
    peer_open(&test->peer, test->machine);
    int64_t producer_id = init_producer(test);
    struct peer other;
    peer_open(&other, test->machine);
    int overtaken = 0;
    int32_t sequence = 0;
    for (int i = 0; i < 3000 && overtaken < 3; i++) {
        struct write write;
        struct ending ending;
        write_begin(&write, &test->peer, 12, producer_id, 0, sequence);
        fixture_run_for(&test->f, i % 6);
        end_begin(&ending, &other, "t", producer_id, 0, false, 0);
        int64_t offset = write_end(&write);
        assert_int_equal(end_end(&ending), 0);
        assert_true(offset >= 0 || offset == -ERR_INVALID_TXN_STATE);
        overtaken += offset < 0;
        sequence += offset >= 0;
        end_begin(&ending, &other, "t", producer_id, 0, false, 0);
        assert_int_equal(end_end(&ending), 0);
    }
    assert_int_equal(overtaken, 3);
    peer_close(&other);
}

/* --- offsets --- */

static int16_t commit_offset(struct peer *peer, int16_t epoch, int64_t offset) {
    struct txn_offset_commit_request request;
    struct txn_offset_commit_response response;
    struct txn_offset_commit_request_partition partition = {.committed_offset = offset,
                                                            .committed_leader_epoch = -1};
    struct txn_offset_commit_request_topic topic = {
        .name = STR("t"), .partitions = &partition, .partitions_count = 1};
    wire_init(&txn_offset_commit_request_type, &request);
    request.transactional_id = STR("x");
    request.group_id = STR("g");
    request.producer_id = PRODUCER;
    request.producer_epoch = epoch;
    request.topics = &topic;
    request.topics_count = 1;
    call(peer, API_TXN_OFFSET_COMMIT, 3, &request, &response);
    return response.topics[0].partitions[0].error_code;
}

/* The group's offset, or minus the error. */
static int64_t stable_offset(struct peer *peer) {
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    int32_t index = 0;
    struct offset_fetch_request_topics topic = {
        .name = STR("t"), .partition_indexes = &index, .partition_indexes_count = 1};
    struct offset_fetch_request_group group = {
        .group_id = STR("g"), .member_epoch = -1, .topics = &topic, .topics_count = 1};
    wire_init(&offset_fetch_request_type, &request);
    request.groups = &group;
    request.groups_count = 1;
    request.require_stable = true;
    call(peer, API_OFFSET_FETCH, 9, &request, &response);
    const struct offset_fetch_response_group *found = &response.groups[0];
    if (found->error_code != 0) {
        return -found->error_code;
    }
    const struct offset_fetch_response_partitions *answer = &found->topics[0].partitions[0];
    return answer->error_code != 0 ? -answer->error_code : answer->committed_offset;
}

static void wait_for_coordinator(struct test *test) {
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    wire_init(&find_coordinator_request_type, &request);
    request.key = STR("g");
    for (int i = 0; i < 1000; i++) {
        call(&test->peer, API_FIND_COORDINATOR, 3, &request, &response);
        int64_t offset =
            response.error_code != 0 ? -response.error_code : stable_offset(&test->peer);
        if (offset >= -1 || offset == -ERR_UNSTABLE_OFFSET_COMMIT) {
            return;
        }
        fixture_run_for(&test->f, 10);
    }
    fail_msg("there is no coordinator");
}

static void offsets_wait_for_the_end(void **state) {
    struct test *test = *state;
    wait_for_coordinator(test);
    assert_int_equal(stable_offset(&test->peer), -1);
    assert_int_equal(commit_offset(&test->peer, 0, 10), 0);
    assert_int_equal(stable_offset(&test->peer), -ERR_UNSTABLE_OFFSET_COMMIT);
    crash(test, false);
    wait_for_coordinator(test);
    assert_int_equal(stable_offset(&test->peer), -ERR_UNSTABLE_OFFSET_COMMIT);
    assert_int_equal(end(&test->peer, "__consumer_offsets", 0, true), ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(stable_offset(&test->peer), -ERR_UNSTABLE_OFFSET_COMMIT);
    assert_int_equal(end(&test->peer, "__consumer_offsets", 1, true), 0);
    assert_int_equal(stable_offset(&test->peer), 10);
    assert_int_equal(commit_offset(&test->peer, 0, 11), ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(commit_offset(&test->peer, 1, 12), 0);
    assert_int_equal(end(&test->peer, "__consumer_offsets", 2, false), 0);
    assert_int_equal(stable_offset(&test->peer), 10);
    crash(test, false);
    wait_for_coordinator(test);
    assert_int_equal(stable_offset(&test->peer), 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reader_waits_for_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_abort_is_told_to_who_asks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_records_without_what_was_aborted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_open_transaction_stays_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_marker_overtakes_a_verification, set_up, tear_down),
        cmocka_unit_test_setup_teardown(offsets_wait_for_the_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
