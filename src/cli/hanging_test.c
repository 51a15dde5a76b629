/* What is called hanging, and what not, by what brokers say that a test commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/hanging.h"
#include "client/fake_broker_test_int.h"

enum { NOW_MS = 10000000, IDLE_MS = 1000 };

/* What the brokers hold: an open transaction of producer `10 + partition` in every partition. */
struct story {
    bool closed[6];          /* nothing is open in the partition */
    bool recent[6];          /* it was written to just now */
    bool nameless[6];        /* no coordinator has the producer's id */
    bool forgotten[6];       /* the coordinator that listed it does not know it any more */
    bool kept[6];            /* the coordinator has the partition in the transaction */
    bool ends[6];            /* it is ended before the coordinator is asked */
    bool ancient[6];         /* written to as long ago as a number can say */
    bool listed;             /* coordinators have been asked */
    enum hanging_step fails; /* this step is refused by broker 2 */
    bool any_fails;
    int asked[3]; /* by step */
    struct ottla_error error;
};

static struct fake_cluster *cluster;
static struct arena arena;

static int begin(void **state) {
    (void)state;
    cluster = fake_cluster_new(3, 3);
    fake_cluster_topic(cluster, "orders", 6);
    (void)fake_cluster_client(cluster, "default.api.timeout.ms", "5000", NULL);
    arena_init(&arena, SIZE_MAX);
    return 0;
}

static int end(void **state) {
    (void)state;
    arena_done(&arena);
    fake_cluster_free(cluster);
    return 0;
}

/* --- brokers --- */

static void answer_producers(struct story *story, struct fake_call *call) {
    const struct describe_producers_request *request = call->request;
    struct describe_producers_response *response = call->response;
    int32_t count = request->topics[0].partition_indexes_count;
    response->topics = ARENA_NEW(call->arena, struct describe_producers_response_topic_response);
    response->topics_count = 1;
    response->topics->name = request->topics[0].name;
    response->topics->partitions_count = count;
    response->topics->partitions =
        ARENA_ARRAY(call->arena, struct describe_producers_response_partition_response, count);
    for (int32_t i = 0; i < count; i++) {
        struct describe_producers_response_partition_response *row =
            &response->topics->partitions[i];
        row->partition_index = request->topics[0].partition_indexes[i];
        row->active_producers =
            ARENA_NEW(call->arena, struct describe_producers_response_producer_state);
        row->active_producers_count = 1;
        *row->active_producers = (struct describe_producers_response_producer_state){
            .producer_id = 10 + row->partition_index,
            .last_timestamp = story->recent[row->partition_index] ? NOW_MS : NOW_MS - 5000,
            .current_txn_start_offset = story->closed[row->partition_index] ? -1 : 70,
        };
        if (story->ancient[row->partition_index]) {
            row->active_producers->last_timestamp = INT64_MIN;
        }
        if (story->ends[row->partition_index] && story->listed) {
            row->active_producers->current_txn_start_offset = 90; /* of the next one */
        }
        row->error_code =
            story->any_fails && story->fails == HANGING_PRODUCERS && call->broker_id == 2
                ? ERR_TOPIC_AUTHORIZATION_FAILED
                : 0;
    }
}

/* Ids "t0" … "t5", from broker 1. */
static void answer_list(struct story *story, struct fake_call *call) {
    const struct list_transactions_request *request = call->request;
    struct list_transactions_response *response = call->response;
    story->listed = true;
    response->error_code = story->any_fails && story->fails == HANGING_LIST && call->broker_id == 2
                               ? ERR_CLUSTER_AUTHORIZATION_FAILED
                               : 0;
    response->transaction_states =
        ARENA_ARRAY(call->arena, struct list_transactions_response_transaction_state,
                    request->producer_id_filters_count);
    for (int32_t i = 0; call->broker_id == 1 && i < request->producer_id_filters_count; i++) {
        int64_t id = request->producer_id_filters[i];
        if (!story->nameless[id - 10]) {
            response->transaction_states[response->transaction_states_count++] =
                (struct list_transactions_response_transaction_state){
                    arena_printf(call->arena, "t%d", (int)(id - 10)), id, STR("Ongoing")};
        }
    }
}

static void answer_describe(const struct story *story, struct fake_call *call) {
    const struct describe_transactions_request *request = call->request;
    struct describe_transactions_response *response = call->response;
    int32_t partition = request->transactional_ids[0].data[1] - '0';
    struct describe_transactions_response_transaction_state *row =
        ARENA_NEW(call->arena, struct describe_transactions_response_transaction_state);
    row->transactional_id = request->transactional_ids[0];
    row->transaction_state = STR("Ongoing");
    row->error_code = story->any_fails && story->fails == HANGING_DESCRIBE
                          ? ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                      : story->forgotten[partition] ? ERR_TRANSACTIONAL_ID_NOT_FOUND
                                                    : 0;
    row->topics = ARENA_ARRAY(call->arena, struct describe_transactions_response_topic_data, 2);
    int32_t *numbers = ARENA_ARRAY(call->arena, int32_t, 2);
    numbers[0] = story->kept[partition] ? partition : (partition + 1) % 6;
    numbers[1] = 77;
    row->topics[0] = (struct describe_transactions_response_topic_data){STR("orders"), numbers, 2};
    row->topics[1] = (struct describe_transactions_response_topic_data){STR("a"), numbers, 1};
    row->topics_count = 2;
    response->transaction_states = row;
    response->transaction_states_count = 1;
}

static enum fake_do hook(void *arg, struct fake_call *call) {
    struct story *story = arg;
    switch (call->api_key) {
    case API_DESCRIBE_PRODUCERS:
        answer_producers(story, call);
        break;
    case API_LIST_TRANSACTIONS:
        answer_list(story, call);
        break;
    case API_DESCRIBE_TRANSACTIONS:
        answer_describe(story, call);
        break;
    default:
        break;
    }
    return FAKE_ANSWER;
}

/* --- searching --- */

/* Goes on when some partitions failed, and when ids are not found. */
static bool wait(struct hanging_search *search, enum hanging_step step, size_t count,
                 struct ottla_call *call) {
    struct story *story = search->arg;
    story->asked[step] += (int)count;
    int code = ottla_call_wait(call, -1, &story->error);
    return code == OTTLA_OK || step == HANGING_PRODUCERS ||
           (step == HANGING_DESCRIBE && code == ERR_TRANSACTIONAL_ID_NOT_FOUND);
}

/* The partitions that hang, as text: "013"; "-": the search was given up. */
static const char *search(struct story *story, int64_t idle_ms) {
    cluster->hook = hook;
    cluster->arg = story;
    static const struct ottla_partition partitions[] = {
        {"orders", 5}, {"orders", 0}, {"orders", 1}, {"orders", 4}, {"orders", 3}, {"orders", 2}};
    struct hanging_search search = {.client = cluster->client,
                                    .arena = &arena,
                                    .idle_ms = idle_ms,
                                    .now_ms = NOW_MS,
                                    .wait = wait,
                                    .arg = story};
    struct hanging *hanging;
    size_t count;
    if (!hanging_find(&search, partitions, 6, &hanging, &count)) {
        return "-";
    }
    char *text = arena_alloc_zero(&arena, 7);
    for (size_t i = 0; i < count; i++) {
        int32_t partition = hanging[i].partition;
        assert_string_equal(hanging[i].topic, "orders");
        assert_int_equal(hanging[i].producer.producer_id, 10 + partition);
        assert_int_equal(hanging[i].producer.transaction_start_offset, 70);
        if (story->nameless[partition]) {
            assert_null(hanging[i].transactional_id);
        } else {
            assert_int_equal(hanging[i].transactional_id[1], '0' + partition);
        }
        text[i] = (char)('0' + partition);
    }
    return text;
}

/* --- tests --- */

static void what_coordinators_do_not_have_hangs(void **state) {
    (void)state;
    struct story story = {
        .closed = {[0] = true},
        .recent = {[1] = true},
        .nameless = {[2] = true},
        .kept = {[1] = true, [3] = true},
        .forgotten = {[4] = true},
    };
    assert_string_equal(search(&story, IDLE_MS), "245");
    assert_int_equal(story.asked[HANGING_PRODUCERS], 9); /* the last 3 once more */
    assert_int_equal(story.asked[HANGING_LIST], 4);
    assert_int_equal(story.asked[HANGING_DESCRIBE], 3);
}

/* It would be called hanging for its coordinator does not have it any more. */
static void what_ends_meanwhile_does_not_hang(void **state) {
    (void)state;
    struct story story = {.nameless = {[0] = true, [1] = true}, .ends = {[1] = true, [3] = true}};
    assert_string_equal(search(&story, -1), "0245");
}

static void age_is_asked_when_it_is_given(void **state) {
    (void)state;
    struct story story = {.recent = {[2] = true}, .nameless = {true, true, true, true, true, true}};
    assert_string_equal(search(&story, IDLE_MS), "01345");
    assert_string_equal(search(&story, -1), "012345");
    assert_string_equal(search(&story, 5000), ""); /* more than that, not as much */
    story.ancient[4] = true;
    assert_string_equal(search(&story, 5000), "4");
    assert_int_equal(story.asked[HANGING_DESCRIBE], 0);
}

static void nothing_open_asks_no_coordinator(void **state) {
    (void)state;
    struct story story = {.closed = {true, true, true, true, true, true}};
    assert_string_equal(search(&story, -1), "");
    assert_int_equal(story.asked[HANGING_LIST], 0);
}

/* A coordinator that does not answer may have any of them. */
static void without_every_coordinator_nothing_hangs(void **state) {
    (void)state;
    struct story story = {.any_fails = true, .fails = HANGING_LIST};
    assert_string_equal(search(&story, -1), "-");
    story.fails = HANGING_DESCRIBE;
    assert_string_equal(search(&story, -1), "-");
    story.fails = HANGING_PRODUCERS; /* broker 2 leads 1 and 4 */
    assert_string_equal(search(&story, -1), "0235");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_coordinators_do_not_have_hangs),     TEST(what_ends_meanwhile_does_not_hang),
        TEST(age_is_asked_when_it_is_given),           TEST(nothing_open_asks_no_coordinator),
        TEST(without_every_coordinator_nothing_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
