/* Members of groups in a simulated world: a coordinator that a test commands, brokers that go and
 * come, and answers at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "client/fake_broker_test_int.h"
#include "client/member.h"
#include "client/member_protocol.h"

enum { OWNED_MAX = 64, ASSIGNED_MAX = 16 };

/* --- the coordinator --- */

struct coordinator {
    err_t error;      /* of heartbeats, or of joins while join_error says so */
    err_t join_error; /* OK: none */
    err_t sync_error;
    int32_t generation;
    bool second_member; /* there is another one, that reads the same */
    bool foreign_bytes; /* and whose subscription is no subscription */
    bool bad_assignment;
    bool moved; /* to broker 1 */
    int members_named;
    char topics[256]; /* that the last join subscribed to */
    char reason[256];
    int32_t left_epoch;
    bool left;

    bool assign; /* consumer protocol: says the assignment with the next answer */
    struct uuid assigned_topic;
    int32_t assigned[ASSIGNED_MAX];
    int32_t assigned_count;
    int32_t epoch;
    int32_t told_owned; /* partitions that the last heartbeat named; -1: nothing new */
    char expression[64];
    bool names_hidden; /* Metadata knows no topic by its id */

    struct rng *rng; /* not NULL: answers at random */
};

static struct fake_cluster *cluster;
static struct ottla_client *client;
static struct client_member *member;
static struct coordinator coordinator;

static void answer_join(struct fake_call *call) {
    const struct join_group_request *request = call->request;
    struct join_group_response *response = call->response;
    response->member_id = request->member_id;
    if (request->member_id.size == 0) {
        response->member_id = STR("m-1");
    }
    if (coordinator.join_error != ERR_OK || request->member_id.size == 0) {
        response->error_code = (int16_t)(coordinator.join_error != ERR_OK ? coordinator.join_error
                                                                          : ERR_MEMBER_ID_REQUIRED);
        response->protocol_name = STR("");
        return;
    }
    response->generation_id = ++coordinator.generation;
    response->protocol_type = STR("consumer");
    response->protocol_name = request->protocols[0].name;
    response->leader = response->member_id;
    response->members = ARENA_ARRAY(call->arena, struct join_group_response_member, 2);
    response->members_count = coordinator.second_member ? 2 : 1;
    for (int i = 0; i < response->members_count; i++) {
        response->members[i].member_id = i == 0 ? request->member_id : STR("z");
        response->members[i].metadata = request->protocols[0].metadata;
    }
    if (coordinator.foreign_bytes) {
        response->members[1].metadata = str_bytes(STR("\0\3\x7f\xff\xff\xff"));
    }
    struct member_claim claim;
    assert_int_equal(member_subscription_read(request->protocols[0].metadata,
                                              client_assignor_by_name(request->protocols[0].name),
                                              call->arena, &claim),
                     ERR_OK);
    coordinator.topics[0] = '\0';
    for (int32_t i = 0; i < claim.topic_count; i++) {
        size_t size = strlen(coordinator.topics);
        snprintf(coordinator.topics + size, sizeof coordinator.topics - size, " %.*s",
                 STR_ARGS(claim.topics[i]));
    }
    snprintf(coordinator.reason, sizeof coordinator.reason, "%.*s", STR_ARGS(request->reason));
}

static void answer_sync(struct fake_call *call) {
    const struct sync_group_request *request = call->request;
    struct sync_group_response *response = call->response;
    response->error_code = (int16_t)coordinator.sync_error;
    response->protocol_type = STR("consumer");
    response->protocol_name = request->protocol_name;
    coordinator.members_named = request->assignments_count;
    for (int32_t i = 0; i < request->assignments_count; i++) {
        if (str_equal(request->assignments[i].member_id, request->member_id)) {
            response->assignment = request->assignments[i].assignment;
        }
    }
    if (coordinator.bad_assignment) {
        response->assignment = str_bytes(STR("\0\1\0\0\x7f"));
    }
}

static void answer_consumer(struct fake_call *call) {
    const struct consumer_group_heartbeat_request *request = call->request;
    struct consumer_group_heartbeat_response *response = call->response;
    response->error_code = (int16_t)coordinator.error;
    response->member_id = request->member_id;
    response->heartbeat_interval_ms = 1000;
    response->member_epoch = coordinator.epoch;
    if (request->member_epoch < 0) {
        coordinator.left = true;
        coordinator.left_epoch = request->member_epoch;
        response->member_epoch = request->member_epoch;
        return;
    }
    if (request->subscribed_topic_regex.size > 0) {
        snprintf(coordinator.expression, sizeof coordinator.expression, "%.*s",
                 STR_ARGS(request->subscribed_topic_regex));
    }
    coordinator.told_owned = request->topic_partitions_count;
    if (request->topic_partitions_count > 0) {
        coordinator.told_owned = request->topic_partitions[0].partitions_count;
    }
    if (coordinator.assign) {
        coordinator.assign = false;
        response->assignment =
            ARENA_NEW(call->arena, struct consumer_group_heartbeat_response_assignment);
        response->assignment->topic_partitions =
            ARENA_NEW(call->arena, struct consumer_group_heartbeat_response_topic_partitions);
        response->assignment->topic_partitions_count = 1;
        response->assignment->topic_partitions[0] =
            (struct consumer_group_heartbeat_response_topic_partitions){
                coordinator.assigned_topic, coordinator.assigned, coordinator.assigned_count};
    }
}

/* Metadata of topics by their ids. */
static void answer_ids(struct fake_call *call) {
    const struct metadata_request *request = call->request;
    struct metadata_response *response = call->response;
    for (int32_t i = 0; i < request->topics_count; i++) {
        for (int t = 0; t < cluster->topic_count && !coordinator.names_hidden; t++) {
            if (!uuid_is_zero(request->topics[i].topic_id) &&
                uuid_equal(request->topics[i].topic_id, cluster->topics[t].id)) {
                response->topics[i].name = str_from_c(cluster->topics[t].name);
                response->topics[i].topic_id = cluster->topics[t].id;
                response->topics[i].error_code = 0;
            }
        }
    }
}

static err_t random_error(struct rng *rng) {
    static const err_t errors[] = {ERR_OK,
                                   ERR_OK,
                                   ERR_OK,
                                   ERR_OK,
                                   ERR_REBALANCE_IN_PROGRESS,
                                   ERR_UNKNOWN_MEMBER_ID,
                                   ERR_ILLEGAL_GENERATION,
                                   ERR_NOT_COORDINATOR,
                                   ERR_COORDINATOR_LOAD_IN_PROGRESS,
                                   ERR_COORDINATOR_NOT_AVAILABLE,
                                   ERR_FENCED_MEMBER_EPOCH,
                                   ERR_MEMBER_ID_REQUIRED,
                                   ERR_FENCED_INSTANCE_ID};
    return errors[rng_below(rng, sizeof errors / sizeof errors[0] - !rng_one_in(rng, 20))];
}

static enum fake_do random_answer(struct rng *rng) {
    coordinator.error = random_error(rng);
    coordinator.join_error = random_error(rng);
    coordinator.sync_error = random_error(rng);
    coordinator.bad_assignment = rng_one_in(rng, 8);
    coordinator.second_member = coordinator.foreign_bytes = rng_one_in(rng, 4);
    coordinator.assign = rng_one_in(rng, 2);
    coordinator.epoch += (int32_t)rng_below(rng, 3) - (rng_one_in(rng, 10) ? 3 : 0);
    coordinator.assigned_count = (int32_t)rng_below(rng, 6);
    for (int32_t i = 0; i < coordinator.assigned_count; i++) {
        coordinator.assigned[i] = (int32_t)rng_below(rng, 8) - rng_one_in(rng, 30);
    }
    coordinator.assigned_topic = cluster->topics[rng_below(rng, 2)].id;
    return rng_one_in(rng, 20) ? FAKE_CLOSE : FAKE_ANSWER;
}

static enum fake_do hook(void *arg, struct fake_call *call) {
    (void)arg;
    bool group = call->api_key == API_JOIN_GROUP || call->api_key == API_SYNC_GROUP ||
                 call->api_key == API_HEARTBEAT || call->api_key == API_LEAVE_GROUP ||
                 call->api_key == API_CONSUMER_GROUP_HEARTBEAT;
    enum fake_do what = FAKE_ANSWER;
    if (group && coordinator.rng != NULL) {
        what = random_answer(coordinator.rng);
    }
    bool elsewhere = coordinator.moved && call->broker_id != 1;
    switch (call->api_key) {
    case API_JOIN_GROUP:
        answer_join(call);
        break;
    case API_SYNC_GROUP:
        answer_sync(call);
        break;
    case API_HEARTBEAT:
        ((struct heartbeat_response *)call->response)->error_code =
            (int16_t)(elsewhere ? ERR_NOT_COORDINATOR : coordinator.error);
        break;
    case API_LEAVE_GROUP:
        coordinator.left = true;
        break;
    case API_CONSUMER_GROUP_HEARTBEAT:
        answer_consumer(call);
        break;
    case API_METADATA:
        answer_ids(call);
        break;
    }
    return what;
}

/* --- the owner --- */

struct owner {
    struct member_partition owned[OWNED_MAX];
    char topics[OWNED_MAX][32];
    size_t owned_count;
    int revoking[OWNED_MAX]; /* places in owned */
    size_t revoking_count;   /* not 0: to be released */
    bool hold;               /* release only when the test says so */
    int assigned_calls, revoking_calls, lost_calls, left_calls;
    err_t failed;
    char text[512];
};
static struct owner owner;

static int place_of(const struct member_partition *partition) {
    for (size_t i = 0; i < owner.owned_count; i++) {
        if (str_equal(owner.owned[i].topic, partition->topic) &&
            owner.owned[i].partition == partition->partition) {
            return (int)i;
        }
    }
    return -1;
}

static void release(void) {
    for (size_t i = 0; i < owner.revoking_count; i++) {
        owner.owned[owner.revoking[i]].partition = -1; /* until the next assignment */
    }
    owner.revoking_count = 0;
    client_member_released(member);
}

static void on_revoking(void *arg, const struct member_partition *partitions, size_t count) {
    (void)arg;
    assert_int_equal(owner.revoking_count, 0);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        owner.revoking[i] = place_of(&partitions[i]);
        assert_true(owner.revoking[i] >= 0); /* it has it */
    }
    owner.revoking_calls++;
    owner.revoking_count = count;
    if (!owner.hold) {
        release();
    }
}

static void on_assigned(void *arg, const struct member_partition *all, size_t all_count,
                        const struct member_partition *added, size_t added_count) {
    (void)arg;
    assert_int_equal(owner.revoking_count, 0);
    assert_true(all_count <= OWNED_MAX);
    for (size_t i = 0; i < added_count; i++) {
        assert_true(place_of(&added[i]) < 0);
    }
    owner.assigned_calls++;
    owner.owned_count = all_count;
    for (size_t i = 0; i < all_count; i++) {
        owner.owned[i] = all[i];
        snprintf(owner.topics[i], sizeof owner.topics[i], "%.*s", STR_ARGS(all[i].topic));
        owner.owned[i].topic = str_from_c(owner.topics[i]);
    }
}

static void on_lost(void *arg, const struct member_partition *partitions, size_t count) {
    (void)arg;
    for (size_t i = 0; i < count; i++) {
        assert_true(place_of(&partitions[i]) >= 0);
    }
    owner.lost_calls++;
    owner.owned_count = 0;
    owner.revoking_count = 0;
}

static void on_failed(void *arg, err_t err, const char *text) {
    (void)arg;
    owner.failed = err;
    snprintf(owner.text, sizeof owner.text, "%s", text);
}

static void on_left(void *arg) {
    (void)arg;
    owner.left_calls++;
}

/* --- the world of a test --- */

static int set_up(void **state) {
    (void)state;
    cluster = fake_cluster_new(11, 2);
    cluster->hook = hook;
    fake_cluster_topic(cluster, "orders", 6);
    fake_cluster_topic(cluster, "orders-late", 2);
    coordinator = (struct coordinator){.epoch = 1, .assigned_topic = cluster->topics[0].id};
    owner = (struct owner){0};
    member = NULL;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    client_member_free(member);
    fake_cluster_free(cluster);
    return 0;
}

static void start(const char *protocol, const char *assignors, const char *instance_id) {
    client = fake_cluster_client(cluster, "group.id", "g", "group.protocol", protocol,
                                 strcmp(protocol, "classic") == 0 ? "partition.assignment.strategy"
                                                                  : "client.id",
                                 assignors, "metadata.max.age.ms", "1000", "max.poll.interval.ms",
                                 "60000", "group.instance.id", instance_id, NULL);
    const struct member_owner functions = {
        .revoking = on_revoking, .assigned = on_assigned, .lost = on_lost, .failed = on_failed};
    member = client_member_new(client, &functions);
}

static void subscribe(const char *topic) {
    const struct str topics[] = {str_from_c(topic)};
    client_member_subscribe(member, topics, 1, STR_NULL);
    assert_int_equal(owner.assigned_calls, 0); /* not from inside */
}

static void run(int64_t duration_ms) {
    fake_cluster_run(cluster, duration_ms);
}

static int calls(int16_t api_key) {
    return fake_broker_calls(cluster, 1, api_key) + fake_broker_calls(cluster, 2, api_key);
}

/* --- classic --- */

static void a_member_leads_and_leaves(void **state) {
    (void)state;
    start("classic", "range", NULL);
    subscribe("orders");
    run(1000);
    assert_int_equal(owner.owned_count, 6);
    assert_int_equal(owner.assigned_calls, 1);
    struct member_identity identity;
    client_member_identity(member, &identity);
    assert_true(str_equal(identity.member_id, STR("m-1")));
    assert_int_equal(identity.generation, 1);
    assert_false(identity.rebalancing);
    run(10000);
    assert_in_range(calls(API_HEARTBEAT), 2, 4);

    /* Another one comes. */
    owner.hold = true;
    coordinator.error = ERR_REBALANCE_IN_PROGRESS;
    coordinator.second_member = true;
    run(4000);
    assert_int_equal(owner.revoking_count, 6);
    assert_int_equal(calls(API_JOIN_GROUP), 2);
    coordinator.error = ERR_OK;
    release();
    run(1000);
    assert_int_equal(owner.owned_count, 3);
    assert_int_equal(coordinator.members_named, 2);
    assert_string_equal(coordinator.reason, "group is already rebalancing");

    owner.hold = false;
    client_member_leave(member, 5000, on_left, NULL);
    assert_int_equal(owner.left_calls, 0);
    run(1000);
    assert_int_equal(owner.left_calls, 1);
    assert_true(coordinator.left);
}

static void a_leader_watches_the_topics(void **state) {
    (void)state;
    start("classic", "cooperative-sticky", NULL);
    subscribe("orders");
    run(1000);
    assert_int_equal(owner.owned_count, 6);
    cluster->topics[0].partition_count = 8;
    cluster->topics[0].leaders[6] = cluster->topics[0].leaders[7] = 1;
    run(3000);
    assert_int_equal(owner.owned_count, 8);
    assert_int_equal(owner.revoking_calls, 0);
    assert_string_equal(coordinator.reason, "cached metadata has changed");
}

static void a_pattern_finds_what_there_is(void **state) {
    (void)state;
    start("classic", "range", NULL);
    client_member_subscribe(member, NULL, 0, STR("orders.*"));
    run(2000);
    assert_int_equal(owner.owned_count, 8);
    assert_string_equal(coordinator.topics, " orders orders-late");
    fake_cluster_topic(cluster, "others", 2);
    fake_cluster_topic(cluster, "orders-new", 3);
    run(3000);
    assert_int_equal(owner.owned_count, 11);
    assert_string_equal(coordinator.reason, "subscription has changed");
    client_member_subscribe(member, NULL, 0, STR("orders(("));
    run(1000);
    assert_int_equal(owner.failed, ERR_INVALID);
    assert_non_null(strstr(owner.text, "orders(("));
}

static void a_coordinator_that_moves_or_dies_loses_nothing(void **state) {
    (void)state;
    start("classic", "range", NULL);
    subscribe("orders");
    run(1000);
    coordinator.moved = true;
    cluster->coordinator_id = 1;
    run(10000);
    fake_broker_stop(cluster, 1);
    run(20000);
    fake_broker_start(cluster, 1);
    int before = fake_broker_calls(cluster, 1, API_HEARTBEAT);
    run(10000);
    assert_true(fake_broker_calls(cluster, 1, API_HEARTBEAT) > before);
    assert_int_equal(owner.owned_count, 6);
    assert_int_equal(owner.lost_calls, 0);
    assert_int_equal(calls(API_JOIN_GROUP), 2);
}

static void a_member_that_cannot_be_read_gets_nothing(void **state) {
    (void)state;
    start("classic", "range", NULL);
    coordinator.second_member = coordinator.foreign_bytes = true;
    subscribe("orders");
    run(1000);
    assert_int_equal(owner.owned_count, 6);
    assert_int_equal(coordinator.members_named, 2);
}

static void errors_without_end_are_asked_about_at_leisure(void **state) {
    (void)state;
    start("classic", "range", NULL);
    coordinator.join_error = ERR_UNKNOWN_MEMBER_ID;
    subscribe("orders");
    run(10000);
    assert_in_range(calls(API_JOIN_GROUP), 8, 25);
    coordinator.join_error = ERR_OK;
    coordinator.bad_assignment = true;
    run(10000);
    assert_in_range(calls(API_JOIN_GROUP), 16, 50);
    coordinator.bad_assignment = false;
    coordinator.sync_error = ERR_REBALANCE_IN_PROGRESS;
    run(10000);
    assert_in_range(calls(API_JOIN_GROUP), 24, 75);
    assert_int_equal(owner.owned_count, 0);
    coordinator.sync_error = ERR_OK;
    run(3000);
    assert_int_equal(owner.owned_count, 6);
}

static void who_does_not_poll_leaves(void **state) {
    (void)state;
    start("classic", "range", NULL);
    subscribe("orders");
    run(50000);
    client_member_polled(member);
    run(50000);
    assert_int_equal(owner.owned_count, 6);
    run(20000);
    assert_int_equal(owner.lost_calls, 1);
    assert_true(coordinator.left);
    client_member_polled(member);
    run(1000);
    assert_int_equal(owner.owned_count, 6);
}

static void a_group_that_refuses_is_told(void **state) {
    (void)state;
    start("classic", "range,of-mine", NULL);
    subscribe("orders");
    run(1000);
    assert_int_equal(owner.failed, ERR_INVALID);
    assert_non_null(strstr(owner.text, "of-mine"));
    assert_int_equal(calls(API_JOIN_GROUP), 0);
}

/* --- the consumer protocol --- */

static void assign(int32_t first, int32_t count) {
    coordinator.assign = true;
    coordinator.assigned_count = count;
    for (int32_t i = 0; i < count; i++) {
        coordinator.assigned[i] = first + i;
    }
}

static void a_member_gets_gives_back_and_leaves(void **state) {
    (void)state;
    start("consumer", "c", NULL);
    assign(0, 6);
    subscribe("orders");
    run(1000);
    assert_int_equal(owner.owned_count, 6);
    assert_int_equal(coordinator.told_owned, 6);
    owner.hold = true;
    assign(0, 4);
    run(2000);
    assert_int_equal(owner.revoking_count, 2);
    assert_int_equal(coordinator.told_owned, -1);
    release();
    coordinator.epoch = 2;
    run(500);
    assert_int_equal(owner.owned_count, 4);
    assert_int_equal(coordinator.told_owned, 4);
    owner.hold = false;
    client_member_leave(member, 5000, on_left, NULL);
    run(1000);
    assert_int_equal(owner.left_calls, 1);
    assert_int_equal(coordinator.left_epoch, -1);
}

static void names_of_a_patterns_topics_are_looked_up(void **state) {
    (void)state;
    start("consumer", "c", "static-1");
    coordinator.names_hidden = true;
    assign(2, 2);
    client_member_subscribe(member, NULL, 0, STR("ord.*"));
    run(1000);
    assert_string_equal(coordinator.expression, "ord.*");
    assert_int_equal(owner.assigned_calls, 0);
    assert_in_range(calls(API_METADATA), 3, 14);
    coordinator.names_hidden = false;
    run(1000);
    assert_int_equal(owner.owned_count, 2);
    assert_string_equal(owner.topics[0], "orders");
    client_member_leave(member, 5000, on_left, NULL);
    run(1000);
    assert_int_equal(coordinator.left_epoch, -2);
}

static void fenced_it_joins_again(void **state) {
    (void)state;
    start("consumer", "c", NULL);
    assign(0, 6);
    subscribe("orders");
    run(1000);
    coordinator.error = ERR_FENCED_MEMBER_EPOCH;
    run(10000);
    assert_int_equal(owner.lost_calls, 1);
    assert_in_range(calls(API_CONSUMER_GROUP_HEARTBEAT), 8, 30);
    coordinator.error = ERR_OK;
    assign(0, 6);
    run(2000);
    assert_int_equal(owner.owned_count, 6);
}

/* --- at random --- */

/* Whatever a coordinator says: the owner's functions are called in their order (they assert that),
 * requests come no faster than pauses allow, and a sound coordinator finds a sound member. */
static void random_answers(const char *protocol, const char *assignors) {
    for (uint64_t seed = 1; seed <= 15; seed++) {
        (void)set_up(NULL);
        struct rng rng;
        rng_init(&rng, seed);
        start(protocol, assignors, NULL);
        coordinator.rng = &rng;
        subscribe("orders");
        for (int turn = 0; turn < 60; turn++) {
            owner.hold = rng_one_in(&rng, 4);
            run((int64_t)rng_below(&rng, 3000));
            if (owner.revoking_count > 0 && rng_one_in(&rng, 2)) {
                release();
            }
            if (rng_one_in(&rng, 15)) {
                client_member_leave(member, 500, NULL, NULL);
            }
            if (rng_one_in(&rng, 5) || owner.failed != ERR_OK) {
                const struct str topics[] = {STR("orders"), STR("orders-late")};
                owner.failed = ERR_OK;
                client_member_subscribe(member, topics, 1 + rng_below(&rng, 2), STR_NULL);
            }
            client_member_polled(member);
        }
        assert_true(calls(API_JOIN_GROUP) + calls(API_CONSUMER_GROUP_HEARTBEAT) < 1500);
        (void)tear_down(NULL);
    }
}

static void classic_members_stand_random_answers(void **state) {
    (void)state;
    random_answers("classic", "range");
    random_answers("classic", "cooperative-sticky");
}

static void consumer_members_stand_random_answers(void **state) {
    (void)state;
    random_answers("consumer", "c");
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        world_test(a_member_leads_and_leaves),
        world_test(a_leader_watches_the_topics),
        world_test(a_pattern_finds_what_there_is),
        world_test(a_coordinator_that_moves_or_dies_loses_nothing),
        world_test(a_member_that_cannot_be_read_gets_nothing),
        world_test(errors_without_end_are_asked_about_at_leisure),
        world_test(who_does_not_poll_leaves),
        world_test(a_group_that_refuses_is_told),
        world_test(a_member_gets_gives_back_and_leaves),
        world_test(names_of_a_patterns_topics_are_looked_up),
        world_test(fenced_it_joins_again),
        cmocka_unit_test(classic_members_stand_random_answers),
        cmocka_unit_test(consumer_members_stand_random_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
