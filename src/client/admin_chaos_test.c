/* The administrator while leaders, the coordinator and the controller move, and brokers go and come
 * back: sound brokers, so every call has to end well, with the answers of whom they belong to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "client/fake_broker_test_int.h"
#include "ottla/admin.h"

enum { SEEDS = 100, ROUNDS = 15, PARTITIONS = 24, MOVE_MS = 400 };

static struct fake_cluster *cluster;
static struct rng rng;
static int32_t down; /* the broker that is; 0: none */
static int refused;  /* answers of a broker that was not the one */
static int stopped;
static int32_t leaders_before[PARTITIONS]; /* the last move, which all know of by known_ms */
static int64_t known_ms;

/* --- sound brokers --- */

static void answer_offsets(struct fake_call *call) {
    typedef struct list_offsets_response_list_offsets_partition_response partition_answer;
    const struct list_offsets_request *request = call->request;
    struct list_offsets_response *response = call->response;
    response->topics =
        ARENA_NEW(call->arena, struct list_offsets_response_list_offsets_topic_response);
    response->topics_count = 1;
    response->topics->name = request->topics->name;
    int32_t count = request->topics->partitions_count;
    response->topics->partitions = ARENA_ARRAY(call->arena, partition_answer, (size_t)count);
    response->topics->partitions_count = count;
    for (int32_t i = 0; i < count; i++) {
        partition_answer *row = &response->topics->partitions[i];
        row->partition_index = request->topics->partitions[i].partition_index;
        bool leads = cluster->topics[0].leaders[row->partition_index] == call->broker_id;
        row->error_code = leads ? 0 : ERR_NOT_LEADER_OR_FOLLOWER;
        row->offset = leads ? row->partition_index : -1;
        refused += !leads;
    }
}

static void answer_deleted(struct fake_call *call) {
    const struct delete_groups_request *request = call->request;
    struct delete_groups_response *response = call->response;
    response->results =
        ARENA_NEW(call->arena, struct delete_groups_response_deletable_group_result);
    response->results_count = 1;
    response->results->group_id = request->groups_names[0];
    response->results->error_code =
        call->broker_id == cluster->coordinator_id ? 0 : ERR_NOT_COORDINATOR;
}

static void answer_created(struct fake_call *call) {
    const struct create_topics_request *request = call->request;
    struct create_topics_response *response = call->response;
    response->topics = ARENA_NEW(call->arena, struct create_topics_response_creatable_topic_result);
    response->topics_count = 1;
    response->topics->name = request->topics->name;
    response->topics->error_code =
        call->broker_id == cluster->controller_id ? 0 : ERR_NOT_CONTROLLER;
}

/* Brokers hear of moves later than those that moved. */
static void answer_of_before(struct fake_call *call) {
    struct metadata_response *response = call->response;
    if (sim_world_now_ms(cluster->world) >= known_ms || response->topics_count != 1) {
        return;
    }
    for (int32_t i = 0; i < response->topics[0].partitions_count; i++) {
        response->topics[0].partitions[i].leader_id = leaders_before[i];
    }
}

static enum fake_do sound_hook(void *arg, struct fake_call *call) {
    (void)arg;
    if (call->api_key == API_METADATA) {
        answer_of_before(call);
    } else if (call->api_key == API_LIST_OFFSETS) {
        answer_offsets(call);
    } else if (call->api_key == API_DELETE_GROUPS) {
        answer_deleted(call);
    } else if (call->api_key == API_CREATE_TOPICS) {
        answer_created(call);
    }
    return FAKE_ANSWER;
}

/* --- what happens to them --- */

static int32_t some_broker(void) {
    int32_t id = 1 + (int32_t)rng_below(&rng, 3);
    return id == down ? 1 : id; /* the first never goes: it is the one of bootstrap.servers */
}

static void move(void *arg) {
    (void)arg;
    if (down != 0) {
        fake_broker_start(cluster, down);
        cluster->hidden[down - 1] = false;
        down = 0;
    } else if (rng_one_in(&rng, 2)) {
        down = 2 + (int32_t)rng_below(&rng, 2);
        fake_broker_stop(cluster, down);
        stopped++;
        cluster->hidden[down - 1] = true;
    }
    struct fake_topic *topic = &cluster->topics[0];
    memcpy(leaders_before, topic->leaders, sizeof leaders_before);
    known_ms = sim_world_now_ms(cluster->world) + (int64_t)rng_below(&rng, MOVE_MS / 2);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        if (topic->leaders[i] == down || rng_one_in(&rng, 4)) {
            topic->leaders[i] = some_broker();
            topic->leader_epochs[i]++;
        }
    }
    if (cluster->coordinator_id == down || rng_one_in(&rng, 2)) {
        cluster->coordinator_id = some_broker();
    }
    if (cluster->controller_id == down || rng_one_in(&rng, 2)) {
        cluster->controller_id = some_broker();
    }
    sim_world_call_in(cluster->world, MOVE_MS / 2 + (int64_t)rng_below(&rng, MOVE_MS), move, NULL);
}

/* --- the calls --- */

static void expect_well(struct ottla_call *call) {
    struct ottla_error error;
    int code = ottla_call_wait(call, -1, &error);
    if (code != OTTLA_OK) {
        print_message("%s\n", error.text);
    }
    assert_int_equal(code, OTTLA_OK);
    size_t count;
    const struct ottla_offset_result *offsets = ottla_call_offsets(call, &count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(offsets[i].offset, offsets[i].partition);
    }
    ottla_call_free(call);
}

static void round_of_calls(struct ottla_client *client, uint64_t number) {
    struct ottla_position positions[PARTITIONS];
    for (int32_t i = 0; i < PARTITIONS; i++) {
        positions[i] = (struct ottla_position){.topic = "orders", .partition = i};
    }
    char group[16];
    (void)snprintf(group, sizeof group, "g%d", (int)(number % 5));
    const char *groups[] = {group, "same"};
    struct ottla_new_topic topic = {.name = group};
    struct ottla_call *calls[] = {
        ottla_offsets_list(client, positions, PARTITIONS, NULL),
        ottla_groups_delete(client, groups, 2, NULL),
        ottla_topics_create(client, &topic, 1, NULL),
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        expect_well(calls[i]);
    }
}

static void calls_end_well_while_everything_moves(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        rng_init(&rng, seed);
        down = 0;
        cluster = fake_cluster_new(seed, 3);
        cluster->hook = sound_hook;
        fake_cluster_topic(cluster, "orders", PARTITIONS);
        struct ottla_client *client =
            fake_cluster_client(cluster, "reconnect.backoff.max.ms", "200", NULL);
        move(NULL);
        for (uint64_t i = 0; i < ROUNDS; i++) {
            round_of_calls(client, i);
            fake_cluster_run(cluster, (int64_t)rng_below(&rng, MOVE_MS));
        }
        fake_cluster_free(cluster);
    }
    print_message("%d partitions asked in vain, %d brokers stopped\n", refused, stopped);
    assert_true(refused > SEEDS);
    assert_true(stopped > SEEDS);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(calls_end_well_while_everything_moves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
