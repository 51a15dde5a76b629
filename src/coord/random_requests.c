#include "coord/random_requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "wire/api.h"
#include "wire/random.h"

enum { GROUPS = 4 };

/* --- names --- */

static struct str group_name(uint64_t number) {
    static const char *const names[GROUPS] = {"g0", "g1", "g2", "g3"};
    return str_from_c(names[number]);
}

struct str random_group(struct random_client *client) {
    return group_name(rng_below(client->rng, GROUPS));
}

static struct str any_topic(struct random_client *client) {
    static const char *const names[RANDOM_TOPICS] = {"t0", "t1", "t2"};
    return str_from_c(names[rng_below(client->rng, RANDOM_TOPICS)]);
}

/* Mostly one that fits group and epoch; now and then anything. */
static const struct random_member *any_member(struct random_client *client) {
    static struct random_member stranger;
    if (client->member_count == 0 || rng_one_in(client->rng, 4)) {
        stranger = (struct random_member){.group = rng_below(client->rng, GROUPS),
                                          .epoch = (int32_t)rng_below(client->rng, 8) - 2};
        if (client->member_count > 0 && rng_one_in(client->rng, 2)) {
            const struct random_member *other =
                &client->members[rng_below(client->rng, (uint64_t)client->member_count)];
            memcpy(stranger.id, other->id, sizeof stranger.id);
        }
        return &stranger;
    }
    return &client->members[rng_below(client->rng, (uint64_t)client->member_count)];
}

static struct str any_instance(struct random_client *client) {
    return rng_one_in(client->rng, 5) ? STR("static") : STR_NULL;
}

static struct random_member *find_known(struct random_client *client, struct str id,
                                        uint64_t group) {
    for (int i = 0; i < client->member_count; i++) {
        struct random_member *each = &client->members[i];
        if (str_equal(str_from_c(each->id), id) && each->group == group) {
            return each;
        }
    }
    return NULL;
}

static void learn_member(struct random_client *client, struct str id, uint64_t group, int32_t epoch,
                         const struct consumer_group_heartbeat_response_assignment *assigned) {
    if (id.size == 0 || id.size >= sizeof((struct random_member *)NULL)->id) {
        return;
    }
    struct random_member *member = find_known(client, id, group);
    if (member == NULL && client->member_count < RANDOM_MEMBERS_MAX) {
        member = &client->members[client->member_count++];
        member->assigned = NULL;
        arena_init(&member->arena, SIZE_MAX);
    } else if (member == NULL) {
        member = &client->members[rng_below(client->rng, RANDOM_MEMBERS_MAX)];
        member->assigned = NULL;
    }
    (void)snprintf(member->id, sizeof member->id, "%.*s", STR_ARGS(id));
    member->group = group;
    member->epoch = epoch;
    if (assigned != NULL) {
        struct consumer_group_heartbeat_response response, copy;
        wire_init(&consumer_group_heartbeat_response_type, &response);
        response.assignment = (struct consumer_group_heartbeat_response_assignment *)assigned;
        arena_reset(&member->arena);
        (void)wire_copy(&consumer_group_heartbeat_response_type, &response, &member->arena, &copy);
        member->assigned = copy.assignment;
    }
}

static void forget_member(struct random_client *client, struct str id, uint64_t group) {
    struct random_member *member = find_known(client, id, group);
    if (member != NULL) {
        arena_done(&member->arena);
        *member = client->members[--client->member_count];
    }
}

/* Says to own what it was given. */
static void claim(const struct random_member *member, struct arena *arena,
                  struct consumer_group_heartbeat_request *heartbeat) {
    int32_t count = member->assigned == NULL ? 0 : member->assigned->topic_partitions_count;
    heartbeat->topic_partitions =
        ARENA_ARRAY(arena, struct consumer_group_heartbeat_request_topic_partitions, count + 1);
    heartbeat->topic_partitions_count = count;
    for (int32_t i = 0; i < count; i++) {
        heartbeat->topic_partitions[i].topic_id = member->assigned->topic_partitions[i].topic_id;
        heartbeat->topic_partitions[i].partitions =
            member->assigned->topic_partitions[i].partitions;
        heartbeat->topic_partitions[i].partitions_count =
            member->assigned->topic_partitions[i].partitions_count;
    }
}

/* --- each kind of request: what is not made to fit stays random --- */

struct aim {
    struct random_client *client;
    struct arena *arena;
    const struct random_member *who;
    struct str group; /* of the member */
    struct str id;
};

static void aim_join(const struct aim *aim, void *message) {
    static struct join_group_request_protocol protocols[2] = {
        {.name = STR("range"),
         .metadata = {(const uint8_t *)"\0\1\0\0\0\1\0\2t0\xff\xff\xff\xff\0\0\0\0", 18}},
        {.name = STR("rr"), .metadata = {(const uint8_t *)"junk", 4}},
    };
    struct rng *rng = aim->client->rng;
    struct join_group_request *join = message;
    join->group_id = aim->group;
    join->member_id = aim->id;
    join->group_instance_id = any_instance(aim->client);
    join->session_timeout_ms = 6000 + (int32_t)rng_below(rng, 5000);
    join->rebalance_timeout_ms = (int32_t)rng_below(rng, 5000);
    if (!rng_one_in(rng, 4)) {
        join->protocol_type = STR("consumer");
        join->protocols = protocols;
        join->protocols_count = 1 + (int32_t)rng_below(rng, 2);
    }
}

static void aim_sync(const struct aim *aim, void *message) {
    struct sync_group_request *sync = message;
    sync->group_id = aim->group;
    sync->member_id = aim->id;
    sync->generation_id = aim->who->epoch;
    sync->group_instance_id = any_instance(aim->client);
    sync->protocol_type = sync->protocol_name = STR_NULL;
}

static void aim_beat(const struct aim *aim, void *message) {
    struct heartbeat_request *heartbeat = message;
    heartbeat->group_id = aim->group;
    heartbeat->member_id = aim->id;
    heartbeat->generation_id = aim->who->epoch;
    heartbeat->group_instance_id = any_instance(aim->client);
}

static void aim_leave(const struct aim *aim, void *message) {
    struct leave_group_request *leave = message;
    leave->group_id = aim->group;
    leave->member_id = aim->id;
    for (int32_t i = 0; i < leave->members_count; i++) {
        leave->members[i].member_id = aim->id;
    }
}

static void aim_commit(const struct aim *aim, void *message) {
    struct offset_commit_request *commit = message;
    commit->group_id = aim->group;
    commit->member_id = aim->id;
    commit->generation_id_or_member_epoch = rng_one_in(aim->client->rng, 4) ? -1 : aim->who->epoch;
    for (int32_t i = 0; i < commit->topics_count; i++) {
        commit->topics[i].name = any_topic(aim->client);
    }
}

/* Few producers, so that their transactions meet. */
static int64_t any_producer(const struct aim *aim) {
    return (int64_t)rng_below(aim->client->rng, 3);
}

static void aim_commit_in_transaction(const struct aim *aim, void *message) {
    struct txn_offset_commit_request *commit = message;
    commit->group_id = aim->group;
    commit->member_id = aim->id;
    commit->generation_id_or_member_epoch = rng_one_in(aim->client->rng, 2) ? -1 : aim->who->epoch;
    commit->producer_id = any_producer(aim);
    for (int32_t i = 0; i < commit->topics_count; i++) {
        commit->topics[i].name = any_topic(aim->client);
    }
}

static void aim_end(const struct aim *aim, void *message) {
    struct write_txn_markers_request *end = message;
    struct write_txn_markers_request_writable_txn_marker *marker =
        ARENA_NEW(aim->arena, struct write_txn_markers_request_writable_txn_marker);
    marker->producer_id = any_producer(aim);
    marker->transaction_result = rng_one_in(aim->client->rng, 2);
    marker->topics =
        ARENA_NEW(aim->arena, struct write_txn_markers_request_writable_txn_marker_topic);
    marker->topics_count = 1;
    marker->topics[0].name = STR("__consumer_offsets");
    marker->topics[0].partition_indexes = ARENA_NEW(aim->arena, int32_t);
    marker->topics[0].partition_indexes_count = 1;
    end->markers = marker;
    end->markers_count = 1;
}

static void aim_fetch(const struct aim *aim, void *message) {
    struct offset_fetch_request *fetch = message;
    fetch->groups = ARENA_ARRAY(aim->arena, struct offset_fetch_request_group, 1);
    fetch->groups_count = 1;
    fetch->groups[0] = (struct offset_fetch_request_group){.group_id = aim->group,
                                                           .member_id = aim->id,
                                                           .member_epoch = aim->who->epoch,
                                                           .topics_count = -1};
}

static void aim_removal(const struct aim *aim, void *message) {
    struct offset_delete_request *removal = message;
    removal->group_id = random_group(aim->client);
    for (int32_t i = 0; i < removal->topics_count; i++) {
        removal->topics[i].name = any_topic(aim->client);
    }
}

static struct str *one_group(const struct aim *aim) {
    struct str *ids = ARENA_ARRAY(aim->arena, struct str, 1);
    ids[0] = random_group(aim->client);
    return ids;
}

static void aim_describe(const struct aim *aim, void *message) {
    *(struct describe_groups_request *)message =
        (struct describe_groups_request){.groups = one_group(aim), .groups_count = 1};
}

static void aim_describe_consumer(const struct aim *aim, void *message) {
    *(struct consumer_group_describe_request *)message =
        (struct consumer_group_describe_request){.group_ids = one_group(aim), .group_ids_count = 1};
}

static void aim_delete(const struct aim *aim, void *message) {
    *(struct delete_groups_request *)message =
        (struct delete_groups_request){.groups_names = one_group(aim), .groups_names_count = 1};
}

static void aim_nothing(const struct aim *aim, void *message) {
    (void)aim;
    (void)message;
}

static void aim_heartbeat(const struct aim *aim, void *message) {
    struct rng *rng = aim->client->rng;
    struct consumer_group_heartbeat_request *heartbeat = message;
    heartbeat->group_id = aim->group;
    heartbeat->member_id = aim->id;
    heartbeat->member_epoch = aim->who->epoch;
    heartbeat->instance_id = any_instance(aim->client);
    heartbeat->rebalance_timeout_ms = 1 + (int32_t)rng_below(rng, 20000);
    if (!rng_one_in(rng, 4)) {
        heartbeat->subscribed_topic_regex = rng_one_in(rng, 4) ? STR("t.*") : STR_NULL;
        heartbeat->server_assignor = STR_NULL;
        for (int32_t i = 0; i < heartbeat->subscribed_topic_names_count; i++) {
            heartbeat->subscribed_topic_names[i] = any_topic(aim->client);
        }
        claim(aim->who, aim->arena, heartbeat);
    }
    if (aim->id.size == 0) { /* one that joins */
        heartbeat->member_id = arena_printf(aim->arena, "made-%d", (int)rng_below(rng, 9));
        heartbeat->member_epoch = 0;
        heartbeat->topic_partitions_count = 0;
    }
}

static const struct shape {
    int16_t key;
    void (*aim)(const struct aim *aim, void *message);
} shapes[] = {
    /* what keeps groups busy comes more often */
    {API_JOIN_GROUP, aim_join},
    {API_JOIN_GROUP, aim_join},
    {API_SYNC_GROUP, aim_sync},
    {API_HEARTBEAT, aim_beat},
    {API_LEAVE_GROUP, aim_leave},
    {API_OFFSET_COMMIT, aim_commit},
    {API_TXN_OFFSET_COMMIT, aim_commit_in_transaction},
    {API_WRITE_TXN_MARKERS, aim_end},
    {API_OFFSET_FETCH, aim_fetch},
    {API_OFFSET_DELETE, aim_removal},
    {API_DESCRIBE_GROUPS, aim_describe},
    {API_LIST_GROUPS, aim_nothing},
    {API_DELETE_GROUPS, aim_delete},
    {API_CONSUMER_GROUP_HEARTBEAT, aim_heartbeat},
    {API_CONSUMER_GROUP_HEARTBEAT, aim_heartbeat},
    {API_CONSUMER_GROUP_HEARTBEAT, aim_heartbeat},
    {API_CONSUMER_GROUP_DESCRIBE, aim_describe_consumer},
};

/* --- sent and answered --- */

/* Members that are unknown by now are named less often. */
static void learn(struct random_request *sent) {
    const struct coord_call *call = &sent->call;
    int16_t code = 0;
    if (call->api_key == API_JOIN_GROUP) {
        const struct join_group_response *joined = call->response;
        learn_member(sent->client, joined->member_id, sent->group, joined->generation_id, NULL);
        code = joined->error_code;
    } else if (call->api_key == API_SYNC_GROUP) {
        code = ((const struct sync_group_response *)call->response)->error_code;
    } else if (call->api_key == API_HEARTBEAT) {
        code = ((const struct heartbeat_response *)call->response)->error_code;
    } else if (call->api_key == API_CONSUMER_GROUP_HEARTBEAT) {
        const struct consumer_group_heartbeat_response *response = call->response;
        code = response->error_code;
        if (code == 0) {
            learn_member(sent->client, response->member_id, sent->group, response->member_epoch,
                         response->assignment);
        }
    }
    if (code == ERR_UNKNOWN_MEMBER_ID || code == ERR_GROUP_ID_NOT_FOUND) {
        forget_member(sent->client, sent->id, sent->group);
    }
}

static void answered(struct coord_call *call) {
    struct random_request *sent = container_of(call, struct random_request, call);
    sent->done = true;
    learn(sent);
    struct buffer encoded = {0}; /* whatever it is, it can be sent */
    int16_t version = call->api_key == API_OFFSET_FETCH && call->version < 8 ? 8 : call->version;
    assert_int_equal(wire_encode(call->api->response_type, version, call->response, &encoded),
                     ERR_OK);
    buffer_done(&encoded);
}

struct random_request *random_request_new(struct random_client *client) {
    const struct shape *shape = &shapes[rng_below(client->rng, sizeof shapes / sizeof shapes[0])];
    const struct coord_api *api = coord_api_find(shape->key);
    struct wire_versions versions = wire_api(shape->key)->broker_advertised;
    uint64_t version_count = (uint64_t)(versions.high - versions.low + 1);
    int16_t version = (int16_t)(versions.low + (int16_t)rng_below(client->rng, version_count));
    struct random_request *sent = calloc(1, sizeof *sent);
    arena_init(&sent->arena, SIZE_MAX);
    void *message = arena_alloc(&sent->arena, wire_struct_size(api->request_type));
    wire_random(api->request_type, version, client->rng, &sent->arena, message);
    const struct random_member *who = any_member(client);
    sent->client = client;
    sent->group = who->group;
    sent->id = arena_str(&sent->arena, str_from_c(who->id));
    struct aim aim = {.client = client,
                      .arena = &sent->arena,
                      .who = who,
                      .group = group_name(who->group),
                      .id = sent->id};
    shape->aim(&aim, message);
    sent->call = (struct coord_call){
        .api_key = shape->key,
        .version = version,
        .client_id = rng_one_in(client->rng, 4) ? STR_NULL : STR("client"),
        .client_host = STR("/127.0.0.1"),
        .arena = &sent->arena,
        .request = message,
        .done = answered,
    };
    return sent;
}

void random_request_free(struct random_request *request) {
    arena_done(&request->arena);
    free(request);
}

void random_client_done(struct random_client *client) {
    for (int i = 0; i < client->member_count; i++) {
        arena_done(&client->members[i].arena);
    }
}
