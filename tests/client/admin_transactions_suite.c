/* The administrator's operations on transactions, against the broker at OTTLA_TEST_BOOTSTRAP, which
 * does not verify partitions of transactions. Producers are played with plain requests; that of a
 * transaction that hangs never told its coordinator of the partition. Ends with 77 when the broker
 * does not have the APIs. */
#include <string.h>

#include "base/buffer.h"
#include "calls.h"
#include "client/core.h"
#include "wire/api_keys.h"
#include "wire/batch_builder.h"
#include "wire/messages.h"

enum { NOT_THERE = 77 };

/* --- a producer --- */

struct played {
    struct ottla_client *client;
    char id[64];
    int64_t producer_id;
    int16_t epoch;
    bool done;
    err_t err;
};

static void on_answer(void *arg, const struct client_answer *answer) {
    struct played *played = arg;
    played->done = true;
    played->err = answer->err;
}

static void ask(struct played *played, enum client_role role, int16_t api_key, int16_t version,
                const void *request) {
    played->done = false;
    (void)client_ask(played->client, &(struct client_ask){.role = role,
                                                          .key = str_from_c(played->id),
                                                          .lane = CLIENT_LANE_MAIN,
                                                          .api_key = api_key,
                                                          .version_max = version,
                                                          .request = request,
                                                          .done = on_answer,
                                                          .arg = played});
    int64_t deadline_ms = client_deadline_ms(played->client, 60000);
    assert_int_equal(client_wait(played->client, &played->done, deadline_ms), ERR_OK);
    assert_int_equal(played->err, ERR_OK);
}

/* Fencing an id is what a producer does that starts with it. */
static void play(struct ottla_client *client, const char *name, struct played *ret_played) {
    *ret_played = (struct played){.client = client};
    suite_topic_name(name, ret_played->id);
    const char *ids[] = {ret_played->id};
    struct ottla_call *call = ottla_producers_fence(client, ids, 1, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    size_t count;
    const struct ottla_fenced_producer *told = ottla_call_fenced_producers(call, &count);
    assert_int_equal(count, 1);
    assert_string_equal(told->transactional_id, ret_played->id);
    assert_true(told->producer_id >= 0);
    ret_played->producer_id = told->producer_id;
    ret_played->epoch = (int16_t)told->producer_epoch;
    ottla_call_free(call);
}

static void add_partition(struct played *played, const char *topic, int32_t partition) {
    struct add_partitions_to_txn_request_add_partitions_to_txn_topic row = {
        .name = str_from_c(topic), .partitions = &partition, .partitions_count = 1};
    struct add_partitions_to_txn_request request;
    wire_init(&add_partitions_to_txn_request_type, &request);
    request.v3_and_below_transactional_id = str_from_c(played->id);
    request.v3_and_below_producer_id = played->producer_id;
    request.v3_and_below_producer_epoch = played->epoch;
    request.v3_and_below_topics = &row;
    request.v3_and_below_topics_count = 1;
    ask(played, CLIENT_TRANSACTION, API_ADD_PARTITIONS_TO_TXN, 3, &request);
}

/* Start of the transaction; -1: none. */
static int64_t open_from(const struct played *played, const char *topic, int32_t partition,
                         const int32_t *broker_id) {
    struct ottla_partition asked = {topic, partition};
    struct ottla_admin_options options = {.broker_id = broker_id};
    struct ottla_call *call = ottla_producers_describe(played->client, &asked, 1, &options);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    size_t count;
    const struct ottla_partition_producers *told = ottla_call_producers(call, &count);
    int64_t offset = -1;
    for (size_t i = 0; i < told->producer_count; i++) {
        if (told->producers[i].producer_id == played->producer_id) {
            offset = told->producers[i].transaction_start_offset;
        }
    }
    ottla_call_free(call);
    return offset;
}

static void produce(struct played *played, const char *topic, int32_t partition) {
    struct buffer buffer;
    buffer_init(&buffer);
    struct batch_builder builder;
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.producer_id = played->producer_id;
    options.producer_epoch = played->epoch;
    options.base_sequence = 0;
    options.attributes = RECORD_BATCH_TRANSACTIONAL;
    batch_builder_init(&builder, &buffer, &options);
    batch_builder_add(&builder, 1000, (struct bytes){0}, (struct bytes){(const uint8_t *)"v", 1},
                      NULL, 0);
    batch_builder_finish(&builder, NULL);
    struct produce_request_partition_produce_data data = {.index = partition,
                                                          .records = buffer_bytes(&buffer)};
    struct produce_request_topic_produce_data row = {
        .name = str_from_c(topic), .partition_data = &data, .partition_data_count = 1};
    struct produce_request request;
    wire_init(&produce_request_type, &request);
    request.transactional_id = str_from_c(played->id);
    request.acks = -1;
    request.timeout_ms = 30000;
    request.topic_data = &row;
    request.topic_data_count = 1;
    for (int i = 0; i < 1000 && open_from(played, topic, partition, NULL) < 0; i++) {
        ask(played, CLIENT_ANY_BROKER, API_PRODUCE, 9, &request); /* a new topic may refuse it */
        ottla_client_run(played->client, i);
    }
    buffer_done(&buffer);
}

static void commit(struct played *played) {
    struct end_txn_request request;
    wire_init(&end_txn_request_type, &request);
    request.transactional_id = str_from_c(played->id);
    request.producer_id = played->producer_id;
    request.producer_epoch = played->epoch;
    request.committed = true;
    ask(played, CLIENT_TRANSACTION, API_END_TXN, 3, &request);
}

/* --- what is open in a partition --- */

/* Markers are written after the coordinator has answered. */
static void wait_closed(const struct played *played, const char *topic, int32_t partition) {
    for (int i = 0; i < 1000 && open_from(played, topic, partition, NULL) >= 0; i++) {
        ottla_client_run(played->client, 20);
    }
    assert_int_equal(open_from(played, topic, partition, NULL), -1);
}

/* Until its coordinator has heard that all markers are written. */
static void wait_complete(const struct played *played) {
    const char *ids[] = {played->id};
    bool complete = false;
    for (int i = 0; i < 1000 && !complete; i++) {
        ottla_client_run(played->client, 20);
        struct ottla_call *call = ottla_transactions_describe(played->client, ids, 1, NULL);
        assert_int_equal(calls_code_of(call), OTTLA_OK);
        size_t count;
        const struct ottla_transaction_description *told =
            ottla_call_transaction_descriptions(call, &count);
        complete = strcmp(told->state, "CompleteCommit") == 0 && told->partition_count == 0;
        ottla_call_free(call);
    }
    assert_true(complete);
}

/* --- tests --- */

static const struct ottla_transaction_listing *find(const struct ottla_call *call, const char *id) {
    size_t count;
    const struct ottla_transaction_listing *rows = ottla_call_transaction_listings(call, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].transactional_id, id) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static void transactions_are_listed(void **state) {
    struct ottla_client *client = *state;
    char topic[64];
    suite_topic_name("listed", topic);
    calls_make_topic(client, topic, 1);
    struct played open, idle;
    play(client, "open", &open);
    play(client, "idle", &idle);
    add_partition(&open, topic, 0);

    struct ottla_call *call = ottla_transactions_list(client, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    assert_string_equal(find(call, open.id)->state, "Ongoing");
    assert_int_equal(find(call, open.id)->producer_id, open.producer_id);
    assert_int_equal(find(call, open.id)->broker_id, 1);
    assert_string_equal(find(call, idle.id)->state, "Empty");
    ottla_call_free(call);

    const char *states[] = {"Ongoing"};
    struct ottla_admin_options by_state = {.states = states, .state_count = 1};
    struct ottla_admin_options by_producer = {.producer_ids = &open.producer_id,
                                              .producer_id_count = 1};
    struct ottla_admin_options by_id = {.id_pattern = open.id};
    struct ottla_admin_options by_age = {
        .states = states, .state_count = 1, .older_than_ms = &(int64_t){0}};
    const struct ottla_admin_options *all[] = {&by_state, &by_producer, &by_id, &by_age};
    ottla_client_run(client, 10);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        call = ottla_transactions_list(client, all[i]);
        assert_int_equal(calls_code_of(call), OTTLA_OK);
        assert_non_null(find(call, open.id));
        assert_null(find(call, idle.id));
        ottla_call_free(call);
    }
    by_age.older_than_ms = &(int64_t){3600 * 1000};
    call = ottla_transactions_list(client, &by_age);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    assert_null(find(call, open.id));
    ottla_call_free(call);
    states[0] = "Tired";
    calls_finish(ottla_transactions_list(client, &by_state), OTTLA_INVALID);
    by_id.id_pattern = "(";
    calls_finish(ottla_transactions_list(client, &by_id), ERR_INVALID_REGULAR_EXPRESSION);
    commit(&open);
    calls_delete_topic(client, topic);
}

static void transactions_are_described(void **state) {
    struct ottla_client *client = *state;
    char topic[64];
    suite_topic_name("described", topic);
    calls_make_topic(client, topic, 2);
    struct played played;
    play(client, "described", &played);
    add_partition(&played, topic, 1);
    add_partition(&played, topic, 0);
    produce(&played, topic, 1);
    assert_int_equal(open_from(&played, topic, 1, NULL), 0);
    assert_int_equal(open_from(&played, topic, 1, &(int32_t){1}), 0);

    const char *ids[] = {played.id, "no-such-id"};
    struct ottla_call *call = ottla_transactions_describe(client, ids, 2, NULL);
    assert_int_equal(calls_code_of(call), ERR_TRANSACTIONAL_ID_NOT_FOUND);
    size_t count;
    const struct ottla_transaction_description *told =
        ottla_call_transaction_descriptions(call, &count);
    assert_int_equal(count, 2);
    assert_string_equal(told[0].state, "Ongoing");
    assert_int_equal(told[0].producer_id, played.producer_id);
    assert_int_equal(told[0].producer_epoch, played.epoch);
    assert_int_equal(told[0].broker_id, 1);
    assert_true(told[0].timeout_ms > 0);
    assert_true(told[0].start_ms > 0);
    assert_int_equal(told[0].partition_count, 2);
    assert_string_equal(told[0].partitions[0].topic, topic);
    assert_int_equal(told[0].partitions[0].partition, 0);
    assert_int_equal(told[0].partitions[1].partition, 1);
    assert_int_equal(told[1].code, ERR_TRANSACTIONAL_ID_NOT_FOUND);
    ottla_call_free(call);

    commit(&played);
    wait_complete(&played);
    assert_int_equal(open_from(&played, topic, 1, NULL), -1);
    calls_delete_topic(client, topic);
}

static void fencing_aborts_what_is_open(void **state) {
    struct ottla_client *client = *state;
    char topic[64];
    suite_topic_name("fenced", topic);
    calls_make_topic(client, topic, 1);
    struct played played;
    play(client, "fenced", &played);
    add_partition(&played, topic, 0);
    produce(&played, topic, 0);
    const char *ids[] = {played.id};
    struct ottla_call *call = ottla_producers_fence(client, ids, 1, NULL);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    size_t count;
    assert_true(ottla_call_fenced_producers(call, &count)->producer_epoch > played.epoch);
    ottla_call_free(call);
    wait_closed(&played, topic, 0);
    struct ottla_admin_options dry = {.validate_only = true};
    calls_finish(ottla_producers_fence(client, ids, 1, &dry), OTTLA_UNSUPPORTED);
    calls_delete_topic(client, topic);
}

static void what_hangs_is_aborted(void **state) {
    struct ottla_client *client = *state;
    char topic[64];
    suite_topic_name("hangs", topic);
    calls_make_topic(client, topic, 2);
    struct played played;
    play(client, "hangs", &played);
    produce(&played, topic, 0);
    assert_int_equal(open_from(&played, topic, 0, NULL), 0);
    struct ottla_transaction_abort aborts[] = {
        {topic, 0, played.producer_id, played.epoch, -1},
        {"no-such-topic", 0, played.producer_id, played.epoch, -1},
    };
    struct ottla_call *call = ottla_transactions_abort(client, aborts, 2, NULL);
    assert_int_equal(calls_code_of(call), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    size_t count;
    assert_int_equal(ottla_call_partitions(call, &count)[0].code, OTTLA_OK);
    ottla_call_free(call);
    assert_int_equal(open_from(&played, topic, 0, NULL), -1);

    struct ottla_position position = {.topic = topic, .offset = OTTLA_OFFSET_LATEST};
    struct ottla_admin_options committed = {.read_committed = true};
    call = ottla_offsets_list(client, &position, 1, &committed);
    assert_int_equal(calls_code_of(call), OTTLA_OK);
    assert_int_equal(ottla_call_offsets(call, &count)[0].offset, 2); /* the record, the marker */
    ottla_call_free(call);
    calls_delete_topic(client, topic);
}

/* --- whether the broker can --- */

static bool has(const struct ottla_broker_versions *broker, int16_t key) {
    for (size_t i = 0; i < broker->api_count; i++) {
        if (broker->apis[i].key == key) {
            return broker->apis[i].usable >= 0;
        }
    }
    return false;
}

static bool broker_has_apis(void) {
    void *client;
    if (suite_client_new(&client) != 0) {
        return false;
    }
    struct ottla_call *call = ottla_versions_describe(client, NULL, 0, NULL);
    size_t count;
    bool all = ottla_call_wait(call, 60000, NULL) == OTTLA_OK;
    const struct ottla_broker_versions *brokers = ottla_call_versions(call, &count);
    for (size_t i = 0; i < count; i++) {
        all = all && has(&brokers[i], API_LIST_TRANSACTIONS) &&
              has(&brokers[i], API_DESCRIBE_TRANSACTIONS) &&
              has(&brokers[i], API_WRITE_TXN_MARKERS) && has(&brokers[i], API_END_TXN) &&
              has(&brokers[i], API_ADD_PARTITIONS_TO_TXN);
    }
    ottla_call_free(call);
    (void)suite_client_free(&client);
    return all && count > 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        suite_test(transactions_are_listed),
        suite_test(transactions_are_described),
        suite_test(fencing_aborts_what_is_open),
        suite_test(what_hangs_is_aborted),
    };
    if (!broker_has_apis()) {
        puts("the broker does not have the APIs of transactions");
        return NOT_THERE;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
