/*
 * Brokers that lie, for a minute of the simulated world each. However they do it, the client's loop
 * is not kept busy (requests and connections are counted), its memory stays where it was, every ask
 * is told once; and when they tell the truth again, all is well.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/fake_broker_test_int.h"

enum {
    LIE_MS = 60 * 1000,
    ASKS = 5,
    CALLS_MAX = 1500,      /* some 400 when all asks are repeated each second and metadata too */
    CONNECTIONS_MAX = 800, /* reconnect.backoff.max.ms is a second */
    MEMORY_MAX = 4 * 1024 * 1024,
};

struct liar {
    const char *name;
    void (*lie)(struct fake_call *call, enum fake_do *action);
};

static struct fake_cluster *cluster;
static int calls;

/* --- lies about frames --- */

static void put_frame(struct fake_call *call, int32_t correlation_id, const void *body,
                      size_t size) {
    bool flexible = wire_response_header_version(call->api_key, call->version) > 0;
    put_be32(buffer_extend(&call->raw, 4), (uint32_t)(size + 4 + (flexible ? 1 : 0)));
    put_be32(buffer_extend(&call->raw, 4), (uint32_t)correlation_id);
    if (flexible) {
        buffer_add(&call->raw, "", 1);
    }
    buffer_add(&call->raw, body, size);
}

static void other_correlation_id(struct fake_call *call, enum fake_do *action) {
    put_frame(call, call->correlation_id + call->number, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    *action = FAKE_BYTES;
}

static void garbage(struct fake_call *call, enum fake_do *action) {
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)sim_world_random(cluster->world, 256);
    }
    put_frame(call, call->correlation_id, bytes, sizeof bytes);
    *action = FAKE_BYTES;
}

static void ones(struct fake_call *call, enum fake_do *action) {
    uint8_t bytes[64];
    memset(bytes, call->number % 2 == 0 ? 0x7f : 0xff, sizeof bytes);
    put_frame(call, call->correlation_id, bytes, sizeof bytes);
    *action = FAKE_BYTES;
}

static void empty_body(struct fake_call *call, enum fake_do *action) {
    put_frame(call, call->correlation_id, "", 0);
    *action = FAKE_BYTES;
}

static void negative_length(struct fake_call *call, enum fake_do *action) {
    buffer_add(&call->raw, "\xff\xff\xff\xf0zzzzzzzz", 12);
    *action = FAKE_BYTES;
}

static void huge_length(struct fake_call *call, enum fake_do *action) {
    buffer_add(&call->raw, "\x7f\xff\xff\xffzzzzzzzz", 12);
    *action = FAKE_BYTES;
}

static void promised_length(struct fake_call *call, enum fake_do *action) {
    buffer_add(&call->raw, "\x07\x00\x00\x00zzzzzzzz", 12); /* 117 MiB, of which 8 bytes come */
    *action = FAKE_BYTES;
}

static void twice(struct fake_call *call, enum fake_do *action) {
    put_frame(call, call->correlation_id, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    put_frame(call, call->correlation_id, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    *action = FAKE_BYTES;
}

static void closing(struct fake_call *call, enum fake_do *action) {
    (void)call;
    *action = FAKE_CLOSE;
}

static void silence(struct fake_call *call, enum fake_do *action) {
    (void)call;
    *action = FAKE_SILENCE;
}

/* --- lies about versions --- */

static void no_versions(struct fake_call *call, enum fake_do *action) {
    (void)action;
    if (call->api_key == API_API_VERSIONS) {
        ((struct api_versions_response *)call->response)->api_keys_count = 0;
    }
}

static void odd_versions(struct fake_call *call, enum fake_do *action) {
    (void)action;
    if (call->api_key == API_API_VERSIONS) {
        struct api_versions_response *response = call->response;
        for (int32_t i = 0; i < response->api_keys_count; i++) {
            response->api_keys[i].api_key = (int16_t)(i * 7919);
            response->api_keys[i].min_version = (int16_t)(32000 - i);
            response->api_keys[i].max_version = (int16_t)(-i);
        }
    }
}

static void refused_versions(struct fake_call *call, enum fake_do *action) {
    (void)action;
    if (call->api_key == API_API_VERSIONS) {
        ((struct api_versions_response *)call->response)->error_code = 35;
    }
}

/* --- lies about the cluster --- */

static struct metadata_response *metadata_of(struct fake_call *call) {
    return call->api_key == API_METADATA ? call->response : NULL;
}

static void no_brokers(struct fake_call *call, enum fake_do *action) {
    (void)action;
    struct metadata_response *response = metadata_of(call);
    if (response != NULL) {
        response->brokers_count = 0;
    }
}

static void senseless_brokers(struct fake_call *call, enum fake_do *action) {
    (void)action;
    struct metadata_response *response = metadata_of(call);
    if (response != NULL) {
        response->brokers[0].port = 70000;
        response->brokers[1].node_id = -7;
        response->brokers[2].host = STR("");
        response->controller_id = INT32_MIN;
    }
}

/* Ever other brokers, at addresses where nobody is, hundreds at a time. */
static void ever_other_brokers(struct fake_call *call, enum fake_do *action) {
    (void)action;
    struct metadata_response *response = metadata_of(call);
    if (response == NULL) {
        return;
    }
    enum { COUNT = 300 };
    response->brokers = ARENA_ARRAY(call->arena, struct metadata_response_broker, COUNT);
    response->brokers_count = COUNT;
    for (int32_t i = 0; i < COUNT; i++) {
        response->brokers[i].node_id = call->number * COUNT + i;
        response->brokers[i].host = STR("10.9.9.9");
        response->brokers[i].port = 1 + i;
    }
    response->controller_id = response->brokers[0].node_id;
}

static void brokers_that_move(struct fake_call *call, enum fake_do *action) {
    (void)action;
    struct metadata_response *response = metadata_of(call);
    if (response != NULL) {
        for (int32_t i = 0; i < response->brokers_count; i++) {
            response->brokers[i].port = 2000 + call->number;
            response->brokers[i].host = STR("b1");
        }
    }
}

static void senseless_partitions(struct fake_call *call, enum fake_do *action) {
    (void)action;
    struct metadata_response *response = metadata_of(call);
    for (int32_t i = 0; response != NULL && i < response->topics_count; i++) {
        struct metadata_response_topic *topic = &response->topics[i];
        topic->topic_id = (struct uuid){{(uint8_t)call->number, (uint8_t)(call->number >> 8), 9}};
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            topic->partitions[p].partition_index = p % 2 == 0 ? INT32_MAX - p : -p;
            topic->partitions[p].leader_id = INT32_MAX;
            topic->partitions[p].leader_epoch = INT32_MAX - call->number;
        }
    }
}

static void topics_nobody_asked_for(struct fake_call *call, enum fake_do *action) {
    (void)action;
    struct metadata_response *response = metadata_of(call);
    if (response == NULL) {
        return;
    }
    enum { COUNT = 2000 };
    response->topics = ARENA_ARRAY(call->arena, struct metadata_response_topic, COUNT);
    response->topics_count = COUNT;
    for (int32_t i = 0; i < COUNT; i++) {
        response->topics[i].name = arena_printf(call->arena, "topic-%d-%d", call->number, (int)i);
    }
}

static void failing_topics(struct fake_call *call, enum fake_do *action) {
    (void)action;
    struct metadata_response *response = metadata_of(call);
    for (int32_t i = 0; response != NULL && i < response->topics_count; i++) {
        response->topics[i].error_code = ERR_LEADER_NOT_AVAILABLE;
        response->topics[i].partitions_count = 0;
    }
}

static void endless_bootstraps(struct fake_call *call, enum fake_do *action) {
    (void)action;
    struct metadata_response *response = metadata_of(call);
    if (response != NULL) {
        response->error_code = ERR_REBOOTSTRAP_REQUIRED;
    }
}

/* --- lies about coordinators, and endless errors --- */

static struct find_coordinator_response *coordinators_of(struct fake_call *call) {
    return call->api_key == API_FIND_COORDINATOR ? call->response : NULL;
}

static void no_coordinator(struct fake_call *call, enum fake_do *action) {
    (void)action;
    struct find_coordinator_response *response = coordinators_of(call);
    if (response != NULL) {
        response->coordinators[0].error_code = ERR_COORDINATOR_NOT_AVAILABLE;
    }
}

static void no_coordinator_row(struct fake_call *call, enum fake_do *action) {
    (void)action;
    struct find_coordinator_response *response = coordinators_of(call);
    if (response != NULL) {
        response->coordinators_count = 0;
    }
}

static void senseless_coordinator(struct fake_call *call, enum fake_do *action) {
    (void)action;
    struct find_coordinator_response *response = coordinators_of(call);
    if (response != NULL) {
        response->coordinators[0].node_id = call->number % 2 == 0 ? -1 : 4711;
        response->coordinators[0].port = call->number % 3 == 0 ? -1 : 1;
    }
}

static void never_the_coordinator(struct fake_call *call, enum fake_do *action) {
    (void)action;
    if (call->api_key == API_LIST_GROUPS) {
        ((struct list_groups_response *)call->response)->error_code = ERR_NOT_COORDINATOR;
    }
}

static void never_the_controller(struct fake_call *call, enum fake_do *action) {
    (void)action;
    if (call->api_key == API_LIST_GROUPS) {
        ((struct list_groups_response *)call->response)->error_code = ERR_NOT_CONTROLLER;
    }
}

static void unknown_errors(struct fake_call *call, enum fake_do *action) {
    (void)action;
    if (call->api_key == API_LIST_GROUPS) {
        ((struct list_groups_response *)call->response)->error_code =
            (int16_t)(1000 + call->number);
    }
}

static const struct liar liars[] = {
    {"other_correlation_id", other_correlation_id},
    {"garbage", garbage},
    {"ones", ones},
    {"empty_body", empty_body},
    {"negative_length", negative_length},
    {"huge_length", huge_length},
    {"promised_length", promised_length},
    {"twice", twice},
    {"closing", closing},
    {"silence", silence},
    {"no_versions", no_versions},
    {"odd_versions", odd_versions},
    {"refused_versions", refused_versions},
    {"no_brokers", no_brokers},
    {"senseless_brokers", senseless_brokers},
    {"ever_other_brokers", ever_other_brokers},
    {"brokers_that_move", brokers_that_move},
    {"senseless_partitions", senseless_partitions},
    {"topics_nobody_asked_for", topics_nobody_asked_for},
    {"failing_topics", failing_topics},
    {"endless_bootstraps", endless_bootstraps},
    {"no_coordinator", no_coordinator},
    {"no_coordinator_row", no_coordinator_row},
    {"senseless_coordinator", senseless_coordinator},
    {"never_the_coordinator", never_the_coordinator},
    {"never_the_controller", never_the_controller},
    {"unknown_errors", unknown_errors},
};

/* --- the client that they are told to --- */

static enum fake_do tell_lies(void *arg, struct fake_call *call) {
    const struct liar *liar = arg;
    enum fake_do action = FAKE_ANSWER;
    calls++;
    if (liar != NULL) {
        liar->lie(call, &action);
    }
    return action;
}

struct asker {
    struct client_ask ask;
    int asked;
    int told;
    err_t err;
};

static err_t judge(void *arg, int16_t version, const void *response) {
    (void)arg;
    (void)version;
    return err_from_kafka_code(((const struct list_groups_response *)response)->error_code);
}

static void on_answer(void *arg, const struct client_answer *answer) {
    struct asker *asker = arg;
    asker->told++;
    asker->err = answer->err;
    if (answer->err == ERR_OK) {
        asker->err = judge(NULL, answer->version, answer->response);
    }
}

static struct list_groups_request request;

static void start(struct asker *asker) {
    asker->ask.api_key = API_LIST_GROUPS;
    asker->ask.version_max = -1;
    asker->ask.request = &request;
    asker->ask.judge = judge;
    asker->ask.timeout_ms = 20000;
    asker->ask.done = on_answer;
    asker->ask.arg = asker;
    asker->asked++;
    (void)client_ask(cluster->client, &asker->ask);
}

/* Each ask is made anew when it is over, at most once a second. */
static void live(struct asker *askers, int64_t duration_ms) {
    for (int64_t passed_ms = 0; passed_ms < duration_ms; passed_ms += 1000) {
        for (int i = 0; i < ASKS; i++) {
            if (askers[i].asked == askers[i].told) {
                start(&askers[i]);
            }
        }
        fake_cluster_run(cluster, 1000);
    }
}

static int connections(void) {
    int total = 0;
    for (int32_t id = 1; id <= cluster->broker_count; id++) {
        total += fake_broker_connections(cluster, id);
    }
    return total;
}

static void a_liar_does_no_harm(void **state) {
    const struct liar *liar = *state;
    cluster = fake_cluster_new(11, 3);
    fake_cluster_topic(cluster, "orders", 6);
    cluster->hook = tell_lies;
    wire_init(&list_groups_request_type, &request);
    struct ottla_client *client =
        fake_cluster_client(cluster, "request.timeout.ms", "10000",
                            "metadata.recovery.rebootstrap.trigger.ms", "20000", NULL);
    client_topic_want(client, STR("orders"), true);
    struct asker askers[ASKS] = {
        {.ask = {.role = CLIENT_ANY_BROKER}},
        {.ask = {.role = CLIENT_BROKER, .broker_id = 2, .lane = CLIENT_LANE_READ}},
        {.ask = {.role = CLIENT_CONTROLLER}},
        {.ask = {.role = CLIENT_GROUP, .key = STR("g"), .lane = CLIENT_LANE_GROUP}},
        {.ask = {.role = CLIENT_BOOTSTRAP}},
    };
    live(askers, 3000);
    calls = 0;
    int connections_before = connections();
    size_t memory_before = mallinfo2().uordblks;
    cluster->arg = (void *)liar;
    sim_net_reset_connections(cluster->client_host); /* and the lie begins with the versions */
    live(askers, LIE_MS);
    assert_in_range(calls, 1, CALLS_MAX);
    assert_in_range(connections() - connections_before, 0, CONNECTIONS_MAX);
    size_t memory = mallinfo2().uordblks;
    assert_true(memory < memory_before + MEMORY_MAX);
    cluster->arg = NULL;
    sim_net_reset_connections(cluster->client_host);
    live(askers, 45000);
    for (int i = 0; i < ASKS; i++) {
        assert_true(askers[i].asked - askers[i].told <= 1);
        assert_int_equal(askers[i].err, ERR_OK);
    }
    assert_int_equal(client_topic(client, STR("orders"))->partition_count, 6);
    assert_int_equal(client_topic(client, STR("orders"))->partitions[5].leader, 3);
    fake_cluster_free(cluster);
}

int main(void) {
    enum { COUNT = sizeof liars / sizeof liars[0] };
    struct CMUnitTest tests[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        tests[i] = (struct CMUnitTest){.name = liars[i].name,
                                       .test_func = a_liar_does_no_harm,
                                       .initial_state = (void *)&liars[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
