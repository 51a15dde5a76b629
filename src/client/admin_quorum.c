/* The quorum of controllers described and changed, and brokers struck off. Any broker passes these
 * on to the active controller. */
#include "client/admin_int.h"
#include "wire/api_keys.h"

/* --- describe --- */

#define METADATA_TOPIC STR("__cluster_metadata")

typedef struct describe_quorum_response_partition_data quorum_partition;
typedef struct describe_quorum_response_replica_state replica_state;

static err_t describe_build(struct admin_part *part, int16_t version, struct arena *arena,
                            const void **ret_request) {
    (void)part;
    (void)version;
    struct describe_quorum_request *request = ADMIN_REQUEST(arena, describe_quorum_request);
    request->topics = ARENA_NEW(arena, struct describe_quorum_request_topic_data);
    request->topics_count = 1;
    request->topics->topic_name = METADATA_TOPIC;
    request->topics->partitions = ARENA_NEW(arena, struct describe_quorum_request_partition_data);
    request->topics->partitions_count = 1;
    *ret_request = request;
    return ERR_OK;
}

static struct ottla_quorum_replica *copy_replicas(struct ottla_call *call,
                                                  const replica_state *states, int32_t count,
                                                  size_t *ret_count) {
    *ret_count = count > 0 ? (size_t)count : 0;
    struct ottla_quorum_replica *copy =
        ARENA_ARRAY(&call->arena, struct ottla_quorum_replica, *ret_count);
    for (size_t i = 0; i < *ret_count; i++) {
        copy[i] = (struct ottla_quorum_replica){
            .id = states[i].replica_id,
            .directory_id = admin_id_text(call, &states[i].replica_directory_id),
            .log_end_offset = states[i].log_end_offset,
            .last_fetch_ms = states[i].last_fetch_timestamp,
            .last_caught_up_ms = states[i].last_caught_up_timestamp,
        };
    }
    return copy;
}

static struct ottla_quorum_node *copy_nodes(struct ottla_call *call,
                                            const struct describe_quorum_response *answer,
                                            size_t *ret_count) {
    *ret_count = answer->nodes_count > 0 ? (size_t)answer->nodes_count : 0;
    struct ottla_quorum_node *nodes =
        ARENA_ARRAY(&call->arena, struct ottla_quorum_node, *ret_count);
    for (size_t i = 0; i < *ret_count; i++) {
        const struct describe_quorum_response_node *from = &answer->nodes[i];
        size_t count = from->listeners_count > 0 ? (size_t)from->listeners_count : 0;
        struct ottla_listener *listeners = ARENA_ARRAY(&call->arena, struct ottla_listener, count);
        for (size_t k = 0; k < count; k++) {
            listeners[k] = (struct ottla_listener){
                .name = admin_text(call, from->listeners[k].name),
                .host = admin_text(call, from->listeners[k].host),
                .port = from->listeners[k].port,
            };
        }
        nodes[i] = (struct ottla_quorum_node){
            .id = from->node_id, .listeners = listeners, .listener_count = count};
    }
    return nodes;
}

static void describe_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct describe_quorum_response *answer = response;
    struct ottla_call *call = part->call;
    if (!admin_part_answer(part, answer->error_code, answer->error_message) ||
        answer->topics_count != 1 || answer->topics[0].partitions_count != 1) {
        return;
    }
    const quorum_partition *quorum = &answer->topics[0].partitions[0];
    if (!admin_item_answer(part->items[0], quorum->error_code, quorum->error_message)) {
        return;
    }
    struct ottla_quorum *result = admin_result_add(call);
    result->leader_id = quorum->leader_id;
    result->leader_epoch = quorum->leader_epoch;
    result->high_watermark = quorum->high_watermark;
    result->voters = copy_replicas(call, quorum->current_voters, quorum->current_voters_count,
                                   &result->voter_count);
    result->observers =
        copy_replicas(call, quorum->observers, quorum->observers_count, &result->observer_count);
    result->nodes = copy_nodes(call, answer, &result->node_count);
}

static const struct admin_stage describe_stages[] = {{
    .api_key = API_DESCRIBE_QUORUM,
    .route = ADMIN_ANY,
    .build = describe_build,
    .take = describe_take,
}};
static const struct admin_op describe_op = {
    .name = "describe the quorum",
    .kind = ADMIN_QUORUM,
    .stages = describe_stages,
};

struct ottla_call *ottla_quorum_describe(struct ottla_client *client,
                                         const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &describe_op, options);
    (void)admin_item_whole(call);
    return admin_start(call);
}

/* --- voters --- */

static err_t add_build(struct admin_part *part, int16_t version, struct arena *arena,
                       const void **ret_request) {
    (void)version;
    struct add_raft_voter_request *request = ADMIN_REQUEST(arena, add_raft_voter_request);
    *request = *(const struct add_raft_voter_request *)part->items[0]->input;
    request->timeout_ms = admin_timeout_ms(part->call);
    *ret_request = request;
    return ERR_OK;
}

static void add_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct add_raft_voter_response *answer = response;
    (void)admin_item_answer(part->items[0], answer->error_code, answer->error_message);
}

static err_t remove_build(struct admin_part *part, int16_t version, struct arena *arena,
                          const void **ret_request) {
    (void)version;
    (void)arena;
    *ret_request = part->items[0]->input;
    return ERR_OK;
}

static void remove_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct remove_raft_voter_response *answer = response;
    (void)admin_item_answer(part->items[0], answer->error_code, answer->error_message);
}

static const struct admin_stage add_stages[] = {
    {.api_key = API_ADD_RAFT_VOTER, .route = ADMIN_ANY, .build = add_build, .take = add_take},
};
static const struct admin_op add_op = {
    .name = "add a voter",
    .kind = ADMIN_NOTHING,
    .effect = ADMIN_CHANGES,
    .stages = add_stages,
};
static const struct admin_stage remove_stages[] = {
    {.api_key = API_REMOVE_RAFT_VOTER,
     .route = ADMIN_ANY,
     .build = remove_build,
     .take = remove_take},
};
static const struct admin_op remove_op = {
    .name = "remove a voter",
    .kind = ADMIN_NOTHING,
    .effect = ADMIN_CHANGES,
    .stages = remove_stages,
};

static struct admin_item *voter_add(struct ottla_call *call, int32_t id, const char *directory_id,
                                    struct uuid *ret_directory_id) {
    struct admin_item *item = admin_item_add(call, STR(""), 0, "voter %d", (int)id);
    if (directory_id == NULL || uuid_parse(str_from_c(directory_id), ret_directory_id) != ERR_OK) {
        admin_item_end(item, OTTLA_INVALID, "a directory's id has 22 characters of base64");
    }
    return item;
}

struct ottla_call *ottla_voter_add(struct ottla_client *client, int32_t id,
                                   const char *directory_id, const struct ottla_listener *listeners,
                                   size_t listener_count,
                                   const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &add_op, options);
    struct arena *arena = &call->arena;
    struct add_raft_voter_request *request = ADMIN_REQUEST(arena, add_raft_voter_request);
    struct admin_item *item = voter_add(call, id, directory_id, &request->voter_directory_id);
    request->cluster_id = STR_NULL;
    request->voter_id = id;
    request->listeners = ARENA_ARRAY(arena, struct add_raft_voter_request_listener, listener_count);
    request->listeners_count = (int32_t)listener_count;
    for (size_t i = 0; i < listener_count; i++) {
        request->listeners[i] = (struct add_raft_voter_request_listener){
            .name = arena_str(arena, str_from_c(listeners[i].name)),
            .host = arena_str(arena, str_from_c(listeners[i].host)),
            .port = listeners[i].port,
        };
    }
    item->input = request;
    return admin_start(call);
}

struct ottla_call *ottla_voter_remove(struct ottla_client *client, int32_t id,
                                      const char *directory_id,
                                      const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &remove_op, options);
    struct remove_raft_voter_request *request =
        ADMIN_REQUEST(&call->arena, remove_raft_voter_request);
    request->cluster_id = STR_NULL;
    request->voter_id = id;
    voter_add(call, id, directory_id, &request->voter_directory_id)->input = request;
    return admin_start(call);
}

/* --- brokers --- */

static err_t unregister_build(struct admin_part *part, int16_t version, struct arena *arena,
                              const void **ret_request) {
    (void)version;
    struct unregister_broker_request *request = ADMIN_REQUEST(arena, unregister_broker_request);
    request->broker_id = part->items[0]->number;
    *ret_request = request;
    return ERR_OK;
}

static void unregister_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct unregister_broker_response *answer = response;
    (void)admin_item_answer(part->items[0], answer->error_code, answer->error_message);
}

static const struct admin_stage unregister_stages[] = {{
    .api_key = API_UNREGISTER_BROKER,
    .route = ADMIN_ANY,
    .build = unregister_build,
    .take = unregister_take,
}};
static const struct admin_op unregister_op = {
    .name = "unregister a broker",
    .kind = ADMIN_NOTHING,
    .effect = ADMIN_CHANGES,
    .stages = unregister_stages,
};

struct ottla_call *ottla_broker_unregister(struct ottla_client *client, int32_t id,
                                           const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &unregister_op, options);
    (void)admin_item_add(call, STR(""), id, "broker %d", (int)id);
    return admin_start(call);
}
