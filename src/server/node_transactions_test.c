/*
 * Transactions in the logs of a node: who reads what while they are open and when they end, and
 * what a crash leaves. Markers come from the test, as from a coordinator elsewhere, so partitions
 * are not verified. What a crashed node allocated is lost with it: leaks are not looked for here.
 */
#include <string.h>

#include "server/node_fixture_test.h"
#include "server/node_int.h"
#include "server/txn_markers.h"
#include "wire/batch_builder.h"

enum { READ_UNCOMMITTED = 0, READ_COMMITTED = 1, PRODUCER = 77, TIMEOUT_MS = 60 * 1000 };

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
    machine_set(test.machine, "transaction.state.log.num.partitions", "1");
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

static void write_begin_to(struct write *write, struct peer *peer, const char *topic,
                           int16_t version, int64_t producer_id, int16_t epoch, int32_t sequence) {
    *write = (struct write){.topic = {.name = str_from_c(topic),
                                      .partition_data = &write->data,
                                      .partition_data_count = 1}};
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.producer_id = producer_id;
    options.producer_epoch = epoch;
    options.base_sequence = sequence;
    options.attributes = RECORD_BATCH_TRANSACTIONAL;
    struct batch_builder builder;
    batch_builder_init(&builder, &write->batch, &options);
    int64_t now_ms = sys_wall_ms(sim_host_sys(peer->machine->f->client_host));
    batch_builder_add(&builder, now_ms, (struct bytes){0}, str_bytes(STR("v")), NULL, 0);
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

static void write_begin(struct write *write, struct peer *peer, int16_t version,
                        int64_t producer_id, int16_t epoch, int32_t sequence) {
    write_begin_to(write, peer, "t", version, producer_id, epoch, sequence);
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

/* --- the coordinator --- */

static int64_t init_producer(struct test *test) {
    struct init_producer_id_request request;
    struct init_producer_id_response response;
    wire_init(&init_producer_id_request_type, &request);
    request.transactional_id = STR("x");
    request.transaction_timeout_ms = TIMEOUT_MS;
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

/* The transaction's end, by its producer; the next epoch. */
static int16_t end_txn(struct test *test, int16_t version, int64_t producer_id, int16_t epoch,
                       bool commit) {
    struct end_txn_request request;
    struct end_txn_response response;
    wire_init(&end_txn_request_type, &request);
    request.transactional_id = STR("x");
    request.producer_id = producer_id;
    request.producer_epoch = epoch;
    request.committed = commit;
    call(&test->peer, API_END_TXN, version, &request, &response);
    assert_int_equal(response.error_code, 0);
    return response.producer_epoch;
}

/* For clients of before version 2. */
static void add_partition(struct test *test, int64_t producer_id, int16_t epoch) {
    struct add_partitions_to_txn_request request;
    struct add_partitions_to_txn_response response;
    int32_t index = 0;
    struct add_partitions_to_txn_request_add_partitions_to_txn_topic topic = {
        .name = STR("t"), .partitions = &index, .partitions_count = 1};
    wire_init(&add_partitions_to_txn_request_type, &request);
    request.v3_and_below_transactional_id = STR("x");
    request.v3_and_below_producer_id = producer_id;
    request.v3_and_below_producer_epoch = epoch;
    request.v3_and_below_topics = &topic;
    request.v3_and_below_topics_count = 1;
    call(&test->peer, API_ADD_PARTITIONS_TO_TXN, 3, &request, &response);
    assert_int_equal(
        response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code, 0);
}

/* A record of version 2, which adds the partition; again while coordinators are being loaded. */
static int64_t write_of(struct peer *peer, int64_t producer_id, int16_t epoch, int32_t sequence) {
    int64_t offset = -1;
    for (int i = 0; i < 1000; i++) {
        struct write write;
        write_begin(&write, peer, 12, producer_id, epoch, sequence);
        offset = write_end(&write);
        if (offset != -ERR_NOT_ENOUGH_REPLICAS && offset != -ERR_CONCURRENT_TRANSACTIONS) {
            return offset;
        }
        fixture_run_for(peer->machine->f, 10);
    }
    return offset;
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
    assert_int_equal(
        sim_disk_flip(test->machine->host, "/data/t-0/00000000000000000000.txnindex", 1, 0),
        ERR_OK);
    struct fetch_response_partition_data committed = read_now(&test->peer, READ_COMMITTED);
    assert_int_equal(committed.error_code, ERR_CORRUPT_MESSAGE);
    assert_int_equal(committed.records.size, 0);
    assert_int_equal(read_now(&test->peer, READ_UNCOMMITTED).error_code, 0);
    assert_true(read_now(&test->peer, READ_UNCOMMITTED).records.size > 0);
}

/* The records are in memory, the list of what was aborted is not: workers read it, while others are
 * served. */
static void cold_lists_of_what_was_aborted(void **state) {
    struct test *test = *state;
    assert_int_equal(write_record(&test->peer, 0, 0), 0);
    assert_int_equal(end(&test->peer, "t", 1, false), 0);
    restart(test);
    struct peer reader, others[4]; /* also on its reactor */
    peer_open(&reader, test->machine);
    for (int i = 0; i < 4; i++) {
        peer_open(&others[i], test->machine);
    }
    sim_disk_drop_cache(test->machine->host);
    assert_true(read_now(&test->peer, READ_UNCOMMITTED).records.size > 0);
    sim_disk_set_latency(test->machine->host, SIM_CALL_READ, 100 * 1000 * 1000, 200 * 1000 * 1000);
    struct fetch fetch;
    read_begin(&fetch, &reader, READ_COMMITTED, 0);
    fixture_run_for(&test->f, 2);
    int64_t before_ms = sim_world_now_ms(test->f.world);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(latest(&others[i], READ_UNCOMMITTED), 2);
        peer_close(&others[i]);
    }
    assert_true(sim_world_now_ms(test->f.world) - before_ms < 15);
    const struct fetch_response_partition_data *committed = read_end(&fetch);
    assert_int_equal(committed->error_code, 0);
    assert_int_equal(committed->aborted_transactions_count, 1);
    peer_close(&reader);
}

/* --- what a crash leaves --- */

static void expect_open(struct test *test, int64_t producer_id) {
    assert_int_equal(latest(&test->peer, READ_COMMITTED), 2);
    assert_int_equal(latest(&test->peer, READ_UNCOMMITTED), 3);
    assert_int_equal(open_from(&test->peer), 2);
    assert_int_equal(read_now(&test->peer, READ_COMMITTED).aborted_transactions_count, 1);
    struct ending ending;
    end_begin(&ending, &test->peer, "t", producer_id, 1, true, 2);
    assert_int_equal(end_end(&ending), ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(write_of(&test->peer, producer_id, 0, 1), -ERR_INVALID_PRODUCER_EPOCH);
}

/* Its coordinator knows of it, and so it is nobody else's to end. */
static void an_open_transaction_stays_open(void **state) {
    struct test *test = *state;
    int64_t producer_id = init_producer(test);
    assert_int_equal(write_of(&test->peer, producer_id, 0, 0), 0);
    assert_int_equal(end_txn(test, 5, producer_id, 0, false), 1);
    assert_int_equal(write_of(&test->peer, producer_id, 1, 0), 2);
    expect_open(test, producer_id);
    crash(test, false);
    expect_open(test, producer_id);
    fixture_run_for(&test->f, 2000);
    restart(test);
    expect_open(test, producer_id);
    crash(test, true);
    expect_open(test, producer_id);
    fixture_run_for(&test->f, 2000);
    expect_open(test, producer_id);
    assert_int_equal(write_of(&test->peer, producer_id, 1, 1), 3);
    assert_int_equal(end_txn(test, 5, producer_id, 1, true), 2);
    fixture_run_for(&test->f, 100);
    crash(test, false);
    assert_int_equal(open_from(&test->peer), -1);
    assert_int_equal(latest(&test->peer, READ_COMMITTED), 5);
    assert_false(told(&test->f, "A transaction hung"));
}

/* --- what hangs --- */

/* What the last write of a file was is lost, as in a power cut: recovery cuts it off. */
static void lose_end(struct test *test, const char *path) {
    struct sim_host *host = test->machine->host;
    uint64_t size = 0;
    for (uint64_t step = 1U << 24; step > 0; step /= 2) {
        if (sim_disk_flip(host, path, size + step - 1, 0) == ERR_OK) {
            assert_int_equal(sim_disk_flip(host, path, size + step - 1, 0), ERR_OK);
            size += step;
        }
    }
    assert_true(size > 0);
    assert_int_equal(sim_disk_flip(host, path, size - 1, 0), ERR_OK);
}

/* The node is killed, and comes back without the end of this file. */
static void crash_without_end(struct test *test, const char *path) {
    peer_close(&test->peer);
    machine_crash(test->machine, false);
    lose_end(test, path);
    machine_start(test->machine);
    peer_open(&test->peer, test->machine);
}

static const char marker_file[] = "/data/t-0/00000000000000000000.log";

static void expect_ended(struct test *test, bool commit) {
    fixture_run_for(&test->f, 1000);
    assert_int_equal(latest(&test->peer, READ_COMMITTED), 2);
    assert_int_equal(open_from(&test->peer), -1);
    struct fetch_response_partition_data data = read_now(&test->peer, READ_COMMITTED);
    assert_int_equal(data.error_code, 0);
    assert_int_equal(data.aborted_transactions_count, commit ? 0 : 1);
    assert_true(told(&test->f, commit ? "from offset 0 on, was committed, as its coordinator's log"
                                      : "from offset 0 on, was aborted"));
}

static void what_nobody_knows_is_aborted(void **state) {
    struct test *test = *state;
    assert_int_equal(write_record(&test->peer, 0, 0), 0);
    fixture_run_for(&test->f, 30 * 1000);
    assert_int_equal(open_from(&test->peer), 0); /* it was seen to begin, and is young */
    crash(test, false);
    expect_ended(test, false);
}

static void what_is_open_for_too_long_is_aborted(void **state) {
    struct test *test = *state;
    peer_close(&test->peer);
    machine_stop(test->machine);
    machine_set(test->machine, "transaction.max.timeout.ms", "40000");
    machine_start(test->machine);
    peer_open(&test->peer, test->machine);
    assert_int_equal(write_record(&test->peer, 0, 0), 0);
    fixture_run_for(&test->f, 45 * 1000);
    assert_int_equal(open_from(&test->peer), 0);
    fixture_run_for(&test->f, 20 * 1000);
    expect_ended(test, false);
}

static void a_lost_commit_is_made_good(void **state) {
    struct test *test = *state;
    int64_t producer_id = init_producer(test);
    assert_int_equal(write_of(&test->peer, producer_id, 0, 0), 0);
    assert_int_equal(end_txn(test, 5, producer_id, 0, true), 1);
    fixture_run_for(&test->f, 100);
    assert_int_equal(latest(&test->peer, READ_COMMITTED), 2);
    crash_without_end(test, marker_file);
    assert_int_equal(latest(&test->peer, READ_COMMITTED), 0);
    expect_ended(test, true);
    assert_int_equal(write_of(&test->peer, producer_id, 1, 0), 2);
}

/* The coordinator's log tells how it ended, though newer transactions came. */
static void so_is_one_of_long_ago(void **state) {
    struct test *test = *state;
    int64_t producer_id = init_producer(test);
    assert_int_equal(write_of(&test->peer, producer_id, 0, 0), 0);
    for (int16_t epoch = 0; epoch < 5; epoch++) {
        assert_int_equal(end_txn(test, 5, producer_id, epoch, epoch == 0), epoch + 1);
        fixture_run_for(&test->f, 100);
    }
    crash_without_end(test, marker_file);
    expect_ended(test, true);
}

/* What comes next waits: it is not to become part of what hangs. */
static void the_next_transaction_waits(void **state) {
    struct test *test = *state;
    int64_t producer_id = init_producer(test);
    assert_int_equal(write_of(&test->peer, producer_id, 0, 0), 0);
    assert_int_equal(end_txn(test, 5, producer_id, 0, true), 1);
    fixture_run_for(&test->f, 100);
    crash_without_end(test, marker_file);
    assert_int_equal(write_of(&test->peer, producer_id, 1, 0), 2);
    assert_int_equal(open_from(&test->peer), 2);
    assert_int_equal(latest(&test->peer, READ_COMMITTED), 2);
    assert_int_equal(end_txn(test, 5, producer_id, 1, false), 2);
    fixture_run_for(&test->f, 100);
    assert_int_equal(latest(&test->peer, READ_COMMITTED), 4);
    struct fetch_response_partition_data data = read_now(&test->peer, READ_COMMITTED);
    assert_int_equal(data.aborted_transactions_count, 1);
    assert_int_equal(data.aborted_transactions[0].first_offset, 2);
}

/* Before version 2 the next transaction has the same epoch: nobody knows which one committed. */
static void what_could_be_another_is_aborted(void **state) {
    struct test *test = *state;
    int64_t producer_id = init_producer(test);
    add_partition(test, producer_id, 0);
    struct write write;
    write_begin(&write, &test->peer, 9, producer_id, 0, 0);
    assert_int_equal(write_end(&write), 0);
    (void)end_txn(test, 3, producer_id, 0, true);
    fixture_run_for(&test->f, 100);
    crash_without_end(test, marker_file);
    expect_ended(test, false);

    /* And the producer goes on. */
    add_partition(test, producer_id, 0);
    write_begin(&write, &test->peer, 9, producer_id, 0, 1);
    assert_int_equal(write_end(&write), 2);
}

/* The coordinator has lost the begin. Its producer is at that epoch, and may go on. */
static void what_was_lost_may_go_on(void **state) {
    struct test *test = *state;
    int64_t producer_id = init_producer(test);
    assert_int_equal(write_of(&test->peer, producer_id, 0, 0), 0);
    crash_without_end(test, "/data/__transaction_state-0/00000000000000000000.log");
    fixture_run_for(&test->f, 5000);
    assert_int_equal(open_from(&test->peer), 0);
    assert_int_equal(write_of(&test->peer, producer_id, 0, 1), 1);
    assert_int_equal(end_txn(test, 5, producer_id, 0, true), 1);
    fixture_run_for(&test->f, 100);
    assert_int_equal(latest(&test->peer, READ_COMMITTED), 3);
    assert_int_equal(read_now(&test->peer, READ_COMMITTED).aborted_transactions_count, 0);
    assert_false(told(&test->f, "A transaction hung"));
}

static void but_not_for_longer_than_its_timeout(void **state) {
    struct test *test = *state;
    int64_t producer_id = init_producer(test);
    assert_int_equal(write_of(&test->peer, producer_id, 0, 0), 0);
    crash_without_end(test, "/data/__transaction_state-0/00000000000000000000.log");
    fixture_run_for(&test->f, TIMEOUT_MS - 5000);
    assert_int_equal(open_from(&test->peer), 0);
    fixture_run_for(&test->f, 10 * 1000);
    expect_ended(test, false);
    assert_int_equal(write_of(&test->peer, producer_id, 0, 1), -ERR_INVALID_PRODUCER_EPOCH);
}

/* The coordinator has lost that this partition is in it: it is as the rest of it. */
static void a_partition_that_was_lost_ends_with_the_others(void **state) {
    struct test *test = *state;
    assert_int_equal(create_topic(&test->peer, "u", 1), 0);
    int64_t producer_id = init_producer(test);
    struct write write;
    write_begin_to(&write, &test->peer, "u", 12, producer_id, 0, 0);
    assert_int_equal(write_end(&write), 0);
    assert_int_equal(write_of(&test->peer, producer_id, 0, 0), 0);
    crash_without_end(test, "/data/__transaction_state-0/00000000000000000000.log");
    fixture_run_for(&test->f, 5000);
    assert_int_equal(open_from(&test->peer), 0);
    assert_int_equal(end_txn(test, 5, producer_id, 0, true), 1);
    expect_ended(test, true);
}

/* --- verification --- */

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

static int16_t commit_offset_of(struct peer *peer, int16_t version, int64_t producer_id,
                                int16_t epoch, int64_t offset) {
    struct txn_offset_commit_request request;
    struct txn_offset_commit_response response;
    struct txn_offset_commit_request_partition partition = {.committed_offset = offset,
                                                            .committed_leader_epoch = -1};
    struct txn_offset_commit_request_topic topic = {
        .name = STR("t"), .partitions = &partition, .partitions_count = 1};
    wire_init(&txn_offset_commit_request_type, &request);
    request.transactional_id = STR("x");
    request.group_id = STR("g");
    request.producer_id = producer_id;
    request.producer_epoch = epoch;
    request.topics = &topic;
    request.topics_count = 1;
    call(peer, API_TXN_OFFSET_COMMIT, version, &request, &response);
    return response.topics[0].partitions[0].error_code;
}

static int16_t commit_offset(struct peer *peer, int16_t epoch, int64_t offset) {
    return commit_offset_of(peer, 3, PRODUCER, epoch, offset);
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

/* As of any partition; what was pending is committed, or dropped, with the marker. */
static void lost_ends_of_offsets(void **state) {
    struct test *test = *state;
    static const char file[] = "/data/__consumer_offsets-0/00000000000000000000.log";
    wait_for_coordinator(test);
    int64_t producer_id = init_producer(test);
    assert_int_equal(commit_offset_of(&test->peer, 5, producer_id, 0, 10), 0);
    assert_int_equal(end_txn(test, 5, producer_id, 0, true), 1);
    fixture_run_for(&test->f, 100);
    assert_int_equal(stable_offset(&test->peer), 10);
    crash_without_end(test, file);
    wait_for_coordinator(test);
    fixture_run_for(&test->f, 1000);
    assert_int_equal(stable_offset(&test->peer), 10);
    assert_true(told(&test->f, "was committed, as its coordinator's log says"));

    assert_int_equal(commit_offset(&test->peer, 0, 11), 0); /* of a producer that nobody knows */
    crash(test, false);
    wait_for_coordinator(test);
    fixture_run_for(&test->f, 1000);
    assert_int_equal(stable_offset(&test->peer), 10);
    assert_true(told(&test->f, "was aborted, for no coordinator"));
}

/* --- a topic of the same name --- */

struct marking {
    struct sys_task task;
    struct node *node;
    struct txn_markers markers;
    struct txn_marker_part part;
    bool done;
};

static void marked(struct txn_markers *markers) {
    container_of(markers, struct marking, markers)->done = true;
}

static void mark(struct sys_task *task) {
    struct marking *marking = container_of(task, struct marking, task);
    txn_markers_write(marking->node, &marking->markers);
}

static bool is_marked(void *arg) {
    return ((struct marking *)arg)->done;
}

/* Aborts what is open from 0 to 0, in that partition only. */
static err_t abort_exactly(struct test *test, const struct partition *partition,
                           int64_t producer_id, int16_t epoch) {
    struct node *node = test->machine->node;
    struct marking marking = {.task = {.run = mark},
                              .node = node,
                              .part = {.topic = STR("t")},
                              .markers = {.producer_id = producer_id,
                                          .producer_epoch = (int16_t)(epoch + 1),
                                          .transaction_version = 2,
                                          .exact = true,
                                          .partition = partition,
                                          .parts = &marking.part,
                                          .part_count = 1,
                                          .loop = node->loops[0],
                                          .done = marked}};
    sys_loop_post(node->loops[0], &marking.task);
    assert_true(fixture_run_until(&test->f, is_marked, &marking));
    return marking.part.err;
}

static struct partition *find_partition(struct test *test) {
    struct node *node = test->machine->node;
    struct meta_image *image = node_image_ref(node);
    struct uuid id = meta_image_topic(image, STR("t"))->id;
    meta_image_unref(image);
    return replicas_find(node->replicas, id, 0);
}

/* What hung is gone with its topic; the transaction that is open in the next one, at the same
 * offsets, is its coordinator's. */
static void what_hung_went_with_its_topic(void **state) {
    struct test *test = *state;
    int64_t producer_id = init_producer(test);
    assert_int_equal(write_of(&test->peer, producer_id, 0, 0), 0);
    struct partition *before = find_partition(test);
    assert_int_equal(delete_topic(&test->peer, "t"), 0);
    assert_int_equal(create_topic(&test->peer, "t", 1), 0);
    assert_int_equal(write_of(&test->peer, producer_id, 0, 0), 0);
    err_t err = abort_exactly(test, before, producer_id, 0);
    partition_unref(before);
    assert_int_equal(err, ERR_INVALID_TXN_STATE);
    assert_int_equal(end_txn(test, 5, producer_id, 0, true), 1);
    fixture_run_for(&test->f, 100);
    assert_int_equal(read_now(&test->peer, READ_COMMITTED).aborted_transactions_count, 0);

    assert_int_equal(delete_topic(&test->peer, "t"), 0);
    assert_int_equal(create_topic(&test->peer, "t", 1), 0);
    assert_int_equal(write_of(&test->peer, producer_id, 1, 0), 0);
    struct partition *now = find_partition(test);
    err = abort_exactly(test, now, producer_id, 1);
    partition_unref(now);
    assert_int_equal(err, ERR_OK);
}

/* --- what /metrics shows --- */

static void assert_shows(struct test *test, const char *line) {
    struct buffer page = {0};
    fixture_run_for(&test->f, 10);
    metrics_render(node_metrics(test->machine->node), sim_world_now_ms(test->f.world), &page);
    buffer_add(&page, "", 1);
    if (strstr((const char *)page.data, line) == NULL) {
        fail_msg("no line '%s'", line);
    }
    buffer_done(&page);
}

static void figures(void **state) {
    struct test *test = *state;
    int64_t producer_id = init_producer(test);
    assert_int_equal(write_of(&test->peer, producer_id, 0, 0), 0);
    fixture_run_for(&test->f, 3000);
    assert_shows(test, "\nottla_partition_transactions_open 1\n");
    assert_shows(test, "\nottla_partition_transaction_oldest_seconds 3.");
    assert_shows(test, "\nkafka_server_replicamanager_produceridcount 1\n");
    assert_shows(test, "\nkafka_server_addpartitionstotxnmanager_verificationtimems_count 1\n");
    assert_shows(test, "\nkafka_server_transaction_coordinator_metrics_partition_load_time_max ");
    assert_shows(test, "\nkafka_server_transaction_coordinator_metrics_partition_load_time_avg ");
    assert_int_equal(end_txn(test, 5, producer_id, 0, true), 1);
    assert_int_equal(write_of(&test->peer, producer_id, 0, 1), -ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(write_of(&test->peer, producer_id, 1, 0), 2);
    assert_int_equal(end_txn(test, 5, producer_id, 1, false), 2);
    assert_shows(test, "\nottla_transactions_ended_total{by=\"commit\"} 1\n");
    assert_shows(test, "\nottla_transactions_ended_total{by=\"abort\"} 1\n");
    assert_shows(test, "\nottla_partition_transactions_open 0\n");
    assert_int_equal(write_of(&test->peer, producer_id, 2, 0), 4);
    fixture_run_for(&test->f, TIMEOUT_MS + 15 * 1000);
    assert_shows(test, "\nottla_transactions_ended_total{by=\"timeout\"} 1\n");
    assert_shows(test, "\nottla_transactions_ended_total{by=\"fence\"} 0\n");
    assert_int_equal(write_record(&test->peer, 0, 0), 6); /* of nobody */
    struct write write;
    write_begin(&write, &test->peer, 12, producer_id + 1, 0, 0);
    assert_true(write_end(&write) < 0);
    assert_shows(test, "\nkafka_server_addpartitionstotxnmanager_verificationfailurerate_total ");
    fixture_run_for(&test->f, 21 * 60 * 1000);
    assert_shows(test, "\nottla_transactions_hung_total{end=\"abort\"} 1\n");
    assert_shows(test, "\nkafka_server_replicamanager_partitionswithlatetransactionscount 0\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reader_waits_for_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_abort_is_told_to_who_asks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_records_without_what_was_aborted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cold_lists_of_what_was_aborted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_open_transaction_stays_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_nobody_knows_is_aborted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_open_for_too_long_is_aborted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_commit_is_made_good, set_up, tear_down),
        cmocka_unit_test_setup_teardown(so_is_one_of_long_ago, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_next_transaction_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_could_be_another_is_aborted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_lost_may_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(but_not_for_longer_than_its_timeout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_partition_that_was_lost_ends_with_the_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_marker_overtakes_a_verification, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lost_ends_of_offsets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_hung_went_with_its_topic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(figures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(offsets_wait_for_the_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
