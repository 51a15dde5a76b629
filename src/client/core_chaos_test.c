/*
 * The core among brokers that die and come back, links that are cut, coordinators and controllers
 * that move, and answers that are lost or false: whatever comes, each ask is told once or was
 * cancelled, the client can be closed at any moment, and in peace everything is answered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "client/fake_broker_test_int.h"

enum {
    SEEDS = 60,
    ASKS_MAX = 40,
    STEPS = 150,
    BROKERS = 4,
};

struct slot {
    struct client_asked *asked; /* NULL: free, or told */
    int told;                   /* since it was asked */
    bool cancelled;
    err_t inside;
};

static struct fake_cluster *cluster;
static struct rng rng;
static struct slot slots[ASKS_MAX];
static bool peace;
static int told_total, fine_total;
static struct list_groups_request request;

static bool one_in(uint64_t n) {
    return rng_below(&rng, n) == 0;
}

/* --- brokers --- */

static enum fake_do answer_anyhow(void *arg, struct fake_call *call) {
    (void)arg;
    static const int16_t errors[] = {ERR_NOT_COORDINATOR, ERR_COORDINATOR_NOT_AVAILABLE,
                                     ERR_NOT_CONTROLLER, ERR_GROUP_AUTHORIZATION_FAILED};
    if (peace || !one_in(12)) {
        return FAKE_ANSWER;
    }
    switch (rng_below(&rng, 4)) {
    case 0:
        return FAKE_CLOSE;
    case 1:
        return FAKE_SILENCE;
    case 2:
        buffer_add(&call->raw, "\0\0\0\x09zzzzzzzzz", 13);
        return FAKE_BYTES;
    default:
        if (call->api_key == API_LIST_GROUPS) {
            ((struct list_groups_response *)call->response)->error_code =
                errors[rng_below(&rng, sizeof errors / sizeof errors[0])];
        }
        return FAKE_ANSWER;
    }
}

static void disturb(void) {
    int32_t id = 1 + (int32_t)rng_below(&rng, BROKERS);
    struct sim_host *host = fake_broker_host(cluster, id);
    switch (rng_below(&rng, 8)) {
    case 0:
    case 1:
        if (sim_host_is_up(host)) {
            fake_broker_stop(cluster, id);
        } else {
            fake_broker_start(cluster, id);
        }
        break;
    case 2:
        sim_net_reset_connections(host);
        break;
    case 3:
        sim_net_lose_connections(host);
        break;
    case 4:
        sim_net_isolate(host);
        break;
    case 5:
        sim_net_heal_all(cluster->world);
        break;
    case 6:
        cluster->coordinator_id = id;
        cluster->controller_id = 1 + (int32_t)rng_below(&rng, BROKERS);
        break;
    default:
        cluster->hidden[id - 1] = !cluster->hidden[id - 1];
        break;
    }
}

static void make_peace(void) {
    peace = true;
    sim_net_heal_all(cluster->world);
    for (int32_t id = 1; id <= BROKERS; id++) {
        cluster->hidden[id - 1] = false;
        if (!sim_host_is_up(fake_broker_host(cluster, id))) {
            fake_broker_start(cluster, id);
        }
    }
}

/* --- asks --- */

static err_t judge(void *arg, int16_t version, const void *response) {
    (void)version;
    struct slot *slot = arg;
    slot->inside = err_from_kafka_code(((const struct list_groups_response *)response)->error_code);
    return slot->inside;
}

static void start(struct slot *slot);

static void cancel(struct slot *slot) {
    client_ask_cancel(slot->asked);
    slot->asked = NULL;
    slot->cancelled = true;
}

static void on_answer(void *arg, const struct client_answer *answer) {
    struct slot *slot = arg;
    assert_non_null(slot->asked);
    assert_false(slot->cancelled);
    assert_int_equal(++slot->told, 1);
    slot->asked = NULL;
    told_total++;
    fine_total += answer->err == ERR_OK;
    assert_true((answer->err == ERR_OK) == (answer->response != NULL));
    struct slot *other = &slots[rng_below(&rng, ASKS_MAX)];
    if (answer->err == ERR_CLOSED && cluster->client == NULL) {
        return; /* the client is being closed */
    }
    if (one_in(3) && slot->asked == NULL) {
        start(slot);
    }
    if (one_in(6) && other->asked != NULL) {
        cancel(other);
    }
}

static void start(struct slot *slot) {
    static const enum client_role roles[] = {CLIENT_ANY_BROKER, CLIENT_BROKER, CLIENT_CONTROLLER,
                                             CLIENT_GROUP,      CLIENT_GROUP,  CLIENT_TRANSACTION,
                                             CLIENT_BOOTSTRAP};
    static const struct str keys[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    *slot = (struct slot){0};
    struct client_ask ask = {
        .role = roles[rng_below(&rng, sizeof roles / sizeof roles[0])],
        .broker_id = 1 + (int32_t)rng_below(&rng, BROKERS + 1),
        .key = keys[rng_below(&rng, 3)],
        .lane = (enum client_lane)rng_below(&rng, CLIENT_LANE_COUNT),
        .api_key = API_LIST_GROUPS,
        .version_max = one_in(4) ? 3 : -1,
        .request = &request,
        .judge = one_in(3) ? NULL : judge,
        .timeout_ms = 100 + (int64_t)rng_below(&rng, 20000),
        .try_timeout_ms = one_in(3) ? 1000 : 0,
        .done = on_answer,
        .arg = slot,
    };
    slot->asked = client_ask(cluster->client, &ask);
}

static void act(void) {
    struct slot *slot = &slots[rng_below(&rng, ASKS_MAX)];
    if (slot->asked == NULL) {
        start(slot);
    } else if (one_in(5)) {
        cancel(slot);
    }
    if (one_in(20)) {
        client_metadata_refresh(cluster->client);
    }
}

/* --- a run --- */

static int open_asks(void) {
    int open = 0;
    for (int i = 0; i < ASKS_MAX; i++) {
        open += slots[i].asked != NULL;
    }
    return open;
}

static void run(uint64_t seed) {
    rng_init(&rng, seed);
    memset(slots, 0, sizeof slots);
    peace = false;
    told_total = fine_total = 0;
    wire_init(&list_groups_request_type, &request);
    cluster = fake_cluster_new(seed, BROKERS);
    cluster->hook = answer_anyhow;
    fake_cluster_topic(cluster, "orders", 8);
    struct ottla_client *client = fake_cluster_client(
        cluster, "bootstrap.servers", "b1:9092,b2:9092,b3:9092", "request.timeout.ms", "4000",
        "connections.max.idle.ms", one_in(2) ? "3000" : "540000", NULL);
    client_topic_want(client, STR("orders"), false);
    for (int step = 0; step < STEPS; step++) {
        act();
        act();
        if (one_in(4)) {
            disturb();
        }
        fake_cluster_run(cluster, 1 + (int64_t)rng_below(&rng, 400));
    }
    if (one_in(4)) { /* closed in the middle of it all */
        cluster->client = NULL;
        ottla_client_free(client);
        assert_int_equal(open_asks(), 0);
    } else {
        make_peace();
        int told_before = told_total, fine_before = fine_total;
        fake_cluster_run(cluster, 40000);
        for (int i = 0; i < 20; i++) {
            act();
            fake_cluster_run(cluster, 1000);
        }
        fake_cluster_run(cluster, 25000);
        assert_true(fine_total - fine_before > (told_total - told_before) / 3);
        assert_int_equal(client_topic(client, STR("orders"))->partition_count, 8);
        assert_int_equal(client_broker_count(client), BROKERS);
    }
    fake_cluster_free(cluster);
}

static void whatever_comes_each_ask_is_told_once(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(seed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_comes_each_ask_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
