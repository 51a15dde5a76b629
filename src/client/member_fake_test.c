/* The world of member_fake_test_int.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/member_fake_test_int.h"
#include "client/member_protocol.h"

/* --- the coordinator --- */

struct fake_cluster *cluster;
struct ottla_client *client;
struct client_member *member;
struct coordinator coordinator;

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

static bool says_all(const struct consumer_group_heartbeat_request *request) {
    return request->rebalance_timeout_ms >= 0 && request->subscribed_topic_names_count >= 0 &&
           request->topic_partitions_count >= 0;
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
    if (coordinator.assign || says_all(request)) {
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
        what = coordinator.lose_answer ? FAKE_CLOSE : what;
        coordinator.lose_answer = false;
        break;
    case API_METADATA:
        answer_ids(call);
        break;
    }
    return what;
}

/* --- the owner --- */

struct owner owner;

static int place_of(const struct member_partition *partition) {
    for (size_t i = 0; i < owner.owned_count; i++) {
        if (str_equal(owner.owned[i].topic, partition->topic) &&
            owner.owned[i].partition == partition->partition) {
            return (int)i;
        }
    }
    return -1;
}

void release(void) {
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

/* --- the world of a test --- */

int set_up(void **state) {
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

int tear_down(void **state) {
    (void)state;
    client_member_free(member);
    fake_cluster_free(cluster);
    return 0;
}

void start(const char *protocol, const char *assignors, const char *instance_id) {
    client = fake_cluster_client(cluster, "group.id", "g", "group.protocol", protocol,
                                 strcmp(protocol, "classic") == 0 ? "partition.assignment.strategy"
                                                                  : "client.id",
                                 assignors, "metadata.max.age.ms", "1000", "max.poll.interval.ms",
                                 "60000", "group.instance.id", instance_id, NULL);
    const struct member_owner functions = {
        .revoking = on_revoking, .assigned = on_assigned, .lost = on_lost, .failed = on_failed};
    member = client_member_new(client, &functions);
}

void subscribe(const char *topic) {
    const struct str topics[] = {str_from_c(topic)};
    client_member_subscribe(member, topics, 1, STR_NULL);
    assert_int_equal(owner.assigned_calls, 0); /* not from inside */
}

void run(int64_t duration_ms) {
    fake_cluster_run(cluster, duration_ms);
}

int calls(int16_t api_key) {
    return fake_broker_calls(cluster, 1, api_key) + fake_broker_calls(cluster, 2, api_key);
}
