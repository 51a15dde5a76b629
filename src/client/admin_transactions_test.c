/* The administrator's operations on transactions, with brokers that a test commands: who is asked,
 * with which filters, what passes and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/fake_broker_test_int.h"
#include "ottla/admin.h"

static struct fake_cluster *cluster;
static struct ottla_client *client;

static int code_of(struct ottla_call *call, struct ottla_error *ret_error) {
    int code = ottla_call_wait(call, 600 * 1000, ret_error);
    assert_true(ottla_call_is_done(call));
    return code;
}

static int begin(void **state) {
    (void)state;
    cluster = fake_cluster_new(11, 3);
    fake_cluster_topic(cluster, "orders", 6);
    client = fake_cluster_client(cluster, NULL);
    return 0;
}

static int end(void **state) {
    (void)state;
    fake_cluster_free(cluster);
    return 0;
}

/* --- list --- */

struct listing {
    int16_t version_max; /* -1: as it is */
    bool unknown_state;
    int asked;
};

static void cut_versions(struct fake_call *call, int16_t version_max) {
    struct api_versions_response *versions = call->response;
    for (int32_t i = 0; i < versions->api_keys_count; i++) {
        if (versions->api_keys[i].api_key == API_LIST_TRANSACTIONS) {
            versions->api_keys[i].max_version = version_max;
        }
    }
}

static void answer_listing(struct fake_call *call, const struct listing *listing) {
    struct list_transactions_response *response = call->response;
    if (listing->unknown_state) {
        response->unknown_state_filters = ARENA_NEW(call->arena, struct str);
        response->unknown_state_filters[0] = STR("Tired");
        response->unknown_state_filters_count = 1;
    }
    response->transaction_states =
        ARENA_ARRAY(call->arena, struct list_transactions_response_transaction_state, 2);
    response->transaction_states_count = 2;
    response->transaction_states[0] = (struct list_transactions_response_transaction_state){
        STR("moving"), 7, STR("Empty")}; /* while its coordinator moves, all name it */
    response->transaction_states[1] = (struct list_transactions_response_transaction_state){
        arena_printf(call->arena, "t%d", (int)(9 - call->broker_id)), call->broker_id,
        STR("Ongoing")};
}

static enum fake_do listing_hook(void *arg, struct fake_call *call) {
    struct listing *listing = arg;
    if (call->api_key == API_API_VERSIONS && listing->version_max >= 0) {
        cut_versions(call, listing->version_max);
    } else if (call->api_key == API_LIST_TRANSACTIONS) {
        listing->asked++;
        answer_listing(call, listing);
    }
    return FAKE_ANSWER;
}

static void every_broker_lists_its_own(void **state) {
    (void)state;
    struct listing listing = {.version_max = -1};
    cluster->hook = listing_hook;
    cluster->arg = &listing;
    struct ottla_call *call = ottla_transactions_list(client, NULL);
    assert_int_equal(code_of(call, NULL), OTTLA_OK);
    size_t count;
    const struct ottla_transaction_listing *rows = ottla_call_transaction_listings(call, &count);
    assert_int_equal(count, 4);
    assert_string_equal(rows[0].transactional_id, "moving");
    assert_string_equal(rows[1].transactional_id, "t6");
    assert_int_equal(rows[1].producer_id, 3);
    assert_int_equal(rows[1].broker_id, 3);
    assert_string_equal(rows[3].transactional_id, "t8");
    assert_string_equal(rows[3].state, "Ongoing");
    assert_int_equal(listing.asked, 3);
    ottla_call_free(call);
}

static enum fake_do filters_hook(void *arg, struct fake_call *call) {
    if (call->api_key == API_LIST_TRANSACTIONS) {
        const struct list_transactions_request *request = call->request;
        assert_int_equal(request->state_filters_count, 2);
        assert_true(str_equal(request->state_filters[1], STR("Empty")));
        assert_int_equal(request->producer_id_filters_count, 2);
        assert_int_equal(request->producer_id_filters[0], 40);
        assert_int_equal(request->duration_filter, 0);
        assert_true(str_equal(request->transactional_id_pattern, STR("a.*")));
        ++*(int *)arg;
    }
    return FAKE_ANSWER;
}

static void filters_are_sent_and_copied(void **state) {
    (void)state;
    int asked = 0;
    cluster->hook = filters_hook;
    cluster->arg = &asked;
    const char *states[] = {"Ongoing", "Empty"};
    int64_t producer_ids[] = {40, 41};
    int64_t older_than_ms = 0;
    char pattern[] = "a.*";
    struct ottla_admin_options options = {.states = states,
                                          .state_count = 2,
                                          .producer_ids = producer_ids,
                                          .producer_id_count = 2,
                                          .older_than_ms = &older_than_ms,
                                          .id_pattern = pattern};
    struct ottla_call *call = ottla_transactions_list(client, &options);
    states[1] = "gone";
    producer_ids[0] = older_than_ms = 99;
    pattern[0] = 'x';
    assert_int_equal(code_of(call, NULL), OTTLA_OK);
    assert_int_equal(asked, 3);
    ottla_call_free(call);
}

static void what_a_broker_cannot_filter_is_said(void **state) {
    (void)state;
    struct listing listing = {.version_max = 0};
    cluster->hook = listing_hook;
    cluster->arg = &listing;
    struct ottla_admin_options old = {.older_than_ms = &(int64_t){5}};
    struct ottla_admin_options pattern = {.id_pattern = "x"};
    struct ottla_error error;
    struct ottla_call *call = ottla_transactions_list(client, &old);
    assert_int_equal(code_of(call, &error), OTTLA_UNSUPPORTED);
    assert_non_null(strstr(error.text, "ListTransactions"));
    ottla_call_free(call);
    call = ottla_transactions_list(client, &pattern);
    assert_int_equal(code_of(call, NULL), OTTLA_UNSUPPORTED);
    ottla_call_free(call);
    assert_int_equal(listing.asked, 0);
    listing.unknown_state = true;
    call = ottla_transactions_list(client, NULL);
    assert_int_equal(code_of(call, &error), OTTLA_INVALID);
    assert_non_null(strstr(error.text, "there is no state Tired"));
    ottla_call_free(call);
}

/* --- describe --- */

static void answer_described(struct fake_call *call) {
    const struct describe_transactions_request *request = call->request;
    struct describe_transactions_response *response = call->response;
    assert_int_equal(request->transactional_ids_count, 1);
    struct str id = request->transactional_ids[0];
    response->transaction_states =
        ARENA_NEW(call->arena, struct describe_transactions_response_transaction_state);
    response->transaction_states_count = 1;
    struct describe_transactions_response_transaction_state *row = response->transaction_states;
    row->transactional_id = id;
    row->transaction_state = STR("Ongoing");
    row->transaction_timeout_ms = 60000;
    row->transaction_start_time_ms = 1234;
    row->producer_id = 17;
    row->producer_epoch = 3;
    row->error_code = str_equal(id, STR("none")) ? ERR_TRANSACTIONAL_ID_NOT_FOUND : 0;
    row->topics = ARENA_ARRAY(call->arena, struct describe_transactions_response_topic_data, 2);
    row->topics_count = 2;
    static int32_t numbers[] = {2, 0, 1};
    row->topics[0] = (struct describe_transactions_response_topic_data){STR("z"), numbers, 1};
    row->topics[1] = (struct describe_transactions_response_topic_data){STR("a"), numbers, 3};
}

/* The first coordinator says once that it is none. */
static enum fake_do describe_hook(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_FIND_COORDINATOR) {
        const struct find_coordinator_request *request = call->request;
        assert_int_equal(request->key_type, 1);
    } else if (call->api_key == API_DESCRIBE_TRANSACTIONS) {
        answer_described(call);
        struct describe_transactions_response *response = call->response;
        if (call->broker_id == 1) {
            cluster->coordinator_id = 2;
            response->transaction_states[0].error_code = ERR_NOT_COORDINATOR;
        }
    }
    return FAKE_ANSWER;
}

static void coordinators_describe(void **state) {
    (void)state;
    cluster->coordinator_id = 1;
    cluster->hook = describe_hook;
    const char *ids[] = {"pay", "none", "", "pay"};
    struct ottla_call *call = ottla_transactions_describe(client, ids, 4, NULL);
    assert_int_equal(code_of(call, NULL), ERR_TRANSACTIONAL_ID_NOT_FOUND);
    size_t count;
    const struct ottla_transaction_description *rows =
        ottla_call_transaction_descriptions(call, &count);
    assert_int_equal(count, 4);
    assert_int_equal(rows[0].code, OTTLA_OK);
    assert_string_equal(rows[0].state, "Ongoing");
    assert_int_equal(rows[0].producer_id, 17);
    assert_int_equal(rows[0].producer_epoch, 3);
    assert_int_equal(rows[0].timeout_ms, 60000);
    assert_int_equal(rows[0].start_ms, 1234);
    assert_int_equal(rows[0].broker_id, 2);
    assert_int_equal(rows[0].partition_count, 4);
    assert_string_equal(rows[0].partitions[0].topic, "a");
    assert_int_equal(rows[0].partitions[2].partition, 2);
    assert_string_equal(rows[0].partitions[3].topic, "z");
    assert_int_equal(rows[1].code, ERR_TRANSACTIONAL_ID_NOT_FOUND);
    assert_int_equal(rows[1].broker_id, -1);
    assert_int_equal(rows[2].code, OTTLA_INVALID);
    assert_int_equal(rows[3].code, OTTLA_INVALID); /* named twice */
    ottla_call_free(call);
}

/* --- fence --- */

/* The transaction before still ends, twice; then the id is free. */
static enum fake_do fence_hook(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_INIT_PRODUCER_ID) {
        const struct init_producer_id_request *request = call->request;
        struct init_producer_id_response *response = call->response;
        assert_true(str_equal(request->transactional_id, STR("pay")));
        assert_int_equal(request->producer_id, -1);
        assert_int_equal(request->producer_epoch, -1);
        assert_true(request->transaction_timeout_ms > 0);
        response->error_code = call->number < 3 ? ERR_CONCURRENT_TRANSACTIONS : 0;
        response->producer_id = 17;
        response->producer_epoch = 4;
    }
    return FAKE_ANSWER;
}

static void fencing_waits_for_the_transaction_before(void **state) {
    (void)state;
    cluster->coordinator_id = 2;
    cluster->hook = fence_hook;
    const char *ids[] = {"pay"};
    struct ottla_call *call = ottla_producers_fence(client, ids, 1, NULL);
    assert_int_equal(code_of(call, NULL), OTTLA_OK);
    size_t count;
    const struct ottla_fenced_producer *fenced = ottla_call_fenced_producers(call, &count);
    assert_int_equal(count, 1);
    assert_string_equal(fenced[0].transactional_id, "pay");
    assert_int_equal(fenced[0].producer_id, 17);
    assert_int_equal(fenced[0].producer_epoch, 4);
    assert_int_equal(fake_broker_calls(cluster, 2, API_INIT_PRODUCER_ID), 3);
    ottla_call_free(call);
    struct ottla_admin_options dry = {.validate_only = true};
    call = ottla_producers_fence(client, ids, 1, &dry);
    assert_int_equal(code_of(call, NULL), OTTLA_UNSUPPORTED);
    assert_int_equal(fake_broker_calls(cluster, 2, API_INIT_PRODUCER_ID), 3);
    ottla_call_free(call);
}

/* --- abort --- */

/* The leader of orders-1 has moved to broker 3; what the marker of orders-2 says is refused. */
static enum fake_do abort_hook(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key != API_WRITE_TXN_MARKERS) {
        return FAKE_ANSWER;
    }
    const struct write_txn_markers_request *request = call->request;
    struct write_txn_markers_response *response = call->response;
    assert_int_equal(request->markers_count, 1);
    const struct write_txn_markers_request_writable_txn_marker *marker = &request->markers[0];
    assert_false(marker->transaction_result);
    assert_int_equal(marker->topics_count, 1);
    assert_int_equal(marker->topics[0].partition_indexes_count, 1);
    int32_t partition = marker->topics[0].partition_indexes[0];
    assert_int_equal(marker->producer_id, 1000 + partition);
    assert_int_equal(marker->producer_epoch, 5);
    assert_int_equal(marker->coordinator_epoch, partition == 0 ? 0 : 8);
    response->markers =
        ARENA_NEW(call->arena, struct write_txn_markers_response_writable_txn_marker_result);
    response->markers_count = 1;
    response->markers->producer_id = marker->producer_id;
    response->markers->topics =
        ARENA_NEW(call->arena, struct write_txn_markers_response_writable_txn_marker_topic_result);
    response->markers->topics_count = 1;
    response->markers->topics->name = marker->topics[0].name;
    response->markers->topics->partitions = ARENA_NEW(
        call->arena, struct write_txn_markers_response_writable_txn_marker_partition_result);
    response->markers->topics->partitions_count = 1;
    response->markers->topics->partitions->partition_index = partition;
    int16_t code = partition == 2 ? ERR_TRANSACTION_COORDINATOR_FENCED : 0;
    if (partition == 1 && call->broker_id != 3) {
        cluster->topics[0].leaders[1] = 3;
        code = ERR_NOT_LEADER_OR_FOLLOWER;
    }
    response->markers->topics->partitions->error_code = code;
    return FAKE_ANSWER;
}

static void markers_go_to_leaders(void **state) {
    (void)state;
    cluster->hook = abort_hook;
    struct ottla_transaction_abort aborts[] = {
        {"orders", 0, 1000, 5, -1},
        {"orders", 1, 1001, 5, 8},
        {"orders", 2, 1002, 5, 8},
        {"", 2, 1002, 5, 8},
    };
    struct ottla_call *call = ottla_transactions_abort(client, aborts, 4, NULL);
    assert_int_equal(code_of(call, NULL), ERR_TRANSACTION_COORDINATOR_FENCED);
    size_t count;
    const struct ottla_partition_result *rows = ottla_call_partitions(call, &count);
    assert_int_equal(count, 4);
    assert_int_equal(rows[0].code, OTTLA_OK);
    assert_int_equal(rows[1].code, OTTLA_OK);
    assert_int_equal(rows[2].code, ERR_TRANSACTION_COORDINATOR_FENCED);
    assert_int_equal(rows[3].code, OTTLA_INVALID);
    ottla_call_free(call);
}

/* --- producers of a replica --- */

static enum fake_do producers_hook(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_DESCRIBE_PRODUCERS) {
        struct describe_producers_response *response = call->response;
        response->topics =
            ARENA_NEW(call->arena, struct describe_producers_response_topic_response);
        response->topics_count = 1;
        response->topics->name = STR("orders");
        response->topics->partitions =
            ARENA_NEW(call->arena, struct describe_producers_response_partition_response);
        response->topics->partitions_count = 1;
        response->topics->partitions->active_producers =
            ARENA_NEW(call->arena, struct describe_producers_response_producer_state);
        response->topics->partitions->active_producers_count = 1;
        response->topics->partitions->active_producers->producer_id = call->broker_id;
        response->topics->partitions->error_code =
            (int16_t)(call->broker_id == 1 ? ERR_NOT_LEADER_OR_FOLLOWER : 0);
    }
    return FAKE_ANSWER;
}

static void producers_of_a_replica_are_asked_of_it(void **state) {
    (void)state;
    cluster->hook = producers_hook;
    struct ottla_partition partition = {"orders", 0};
    struct ottla_admin_options options = {.broker_id = &(int32_t){3}};
    struct ottla_call *call = ottla_producers_describe(client, &partition, 1, &options);
    assert_int_equal(code_of(call, NULL), OTTLA_OK);
    size_t count;
    assert_int_equal(ottla_call_producers(call, &count)[0].producers[0].producer_id, 3);
    ottla_call_free(call);
    options.broker_id = &(int32_t){1}; /* has none of it: no other is asked */
    call = ottla_producers_describe(client, &partition, 1, &options);
    assert_int_equal(code_of(call, NULL), ERR_NOT_LEADER_OR_FOLLOWER);
    ottla_call_free(call);
    assert_int_equal(fake_broker_calls(cluster, 1, API_DESCRIBE_PRODUCERS), 1);
    assert_int_equal(fake_broker_calls(cluster, 2, API_DESCRIBE_PRODUCERS), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_broker_lists_its_own),
        TEST(filters_are_sent_and_copied),
        TEST(what_a_broker_cannot_filter_is_said),
        TEST(coordinators_describe),
        TEST(fencing_waits_for_the_transaction_before),
        TEST(markers_go_to_leaders),
        TEST(producers_of_a_replica_are_asked_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
