/* The cluster: who is in it, and what each broker speaks. */
#include <stdlib.h>

#include "client/admin_int.h"
#include "wire/api.h"

/* --- brokers, or controllers --- */

enum { STAGE_CLUSTER, STAGE_METADATA };
enum { ENDPOINT_BROKERS = 1, ENDPOINT_CONTROLLERS = 2 };

static int node_compare(const void *a, const void *b) {
    const struct ottla_node *left = a;
    const struct ottla_node *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

static void set_nodes(struct ottla_cluster *result, struct ottla_node *nodes, size_t count) {
    if (count > 0) {
        qsort(nodes, count, sizeof *nodes, node_compare);
    }
    result->nodes = nodes;
    result->node_count = count;
}

static uint16_t port_of(int32_t port) {
    return port < 0 || port > UINT16_MAX ? 0 : (uint16_t)port;
}

static err_t cluster_build(struct admin_part *part, int16_t version, struct arena *arena,
                           const void **ret_request) {
    const struct ottla_admin_options *options = &part->call->options;
    struct describe_cluster_request *request = ADMIN_REQUEST(arena, describe_cluster_request);
    request->include_cluster_authorized_operations = options->authorized_operations;
    bool controllers = options->controllers || admin_to_controllers(part->call->client);
    request->endpoint_type = controllers ? ENDPOINT_CONTROLLERS : ENDPOINT_BROKERS;
    request->include_fenced_brokers = options->fenced;
    *ret_request = request;
    return (version < 1 && controllers) || (version < 2 && options->fenced)
               ? ERR_UNSUPPORTED_VERSION
               : ERR_OK;
}

static void cluster_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct describe_cluster_response *answer = response;
    struct ottla_call *call = part->call;
    if (!admin_part_answer(part, answer->error_code, answer->error_message)) {
        return;
    }
    size_t count = answer->brokers_count > 0 ? (size_t)answer->brokers_count : 0;
    struct ottla_node *nodes = ARENA_ARRAY(&call->arena, struct ottla_node, count);
    for (size_t i = 0; i < count; i++) {
        nodes[i] = (struct ottla_node){
            .id = answer->brokers[i].broker_id,
            .host = admin_text(call, answer->brokers[i].host),
            .port = port_of(answer->brokers[i].port),
            .rack = admin_text(call, answer->brokers[i].rack),
            .fenced = answer->brokers[i].is_fenced,
        };
    }
    struct ottla_cluster *result = admin_result_add(call);
    result->cluster_id = admin_text(call, answer->cluster_id);
    result->controller_id = answer->controller_id;
    result->authorized_operations =
        call->options.authorized_operations ? answer->cluster_authorized_operations : INT32_MIN;
    set_nodes(result, nodes, count);
    admin_item_end(part->items[0], OTTLA_OK, NULL);
}

/* From brokers without DescribeCluster (before 2.8). */
static err_t metadata_build(struct admin_part *part, int16_t version, struct arena *arena,
                            const void **ret_request) {
    const struct ottla_admin_options *options = &part->call->options;
    struct metadata_request *request = ADMIN_REQUEST(arena, metadata_request);
    request->allow_auto_topic_creation = version < 4; /* of no topic */
    request->include_cluster_authorized_operations = options->authorized_operations;
    *ret_request = request;
    return version < 1 || options->fenced ? ERR_UNSUPPORTED_VERSION : ERR_OK;
}

static void metadata_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct metadata_response *answer = response;
    struct ottla_call *call = part->call;
    size_t count = answer->brokers_count > 0 ? (size_t)answer->brokers_count : 0;
    struct ottla_node *nodes = ARENA_ARRAY(&call->arena, struct ottla_node, count);
    for (size_t i = 0; i < count; i++) {
        nodes[i] = (struct ottla_node){
            .id = answer->brokers[i].node_id,
            .host = admin_text(call, answer->brokers[i].host),
            .port = port_of(answer->brokers[i].port),
            .rack = admin_text(call, answer->brokers[i].rack),
        };
    }
    struct ottla_cluster *result = admin_result_add(call);
    result->cluster_id = admin_text(call, answer->cluster_id);
    result->controller_id = answer->controller_id;
    result->authorized_operations =
        call->options.authorized_operations ? answer->cluster_authorized_operations : INT32_MIN;
    set_nodes(result, nodes, count);
    admin_item_end(part->items[0], OTTLA_OK, NULL);
}

static const struct admin_stage cluster_stages[] = {
    [STAGE_CLUSTER] = {.api_key = API_DESCRIBE_CLUSTER,
                       .route = ADMIN_ANY,
                       .fallback = STAGE_METADATA,
                       .build = cluster_build,
                       .take = cluster_take},
    [STAGE_METADATA] = {.api_key = API_METADATA,
                        .route = ADMIN_ANY,
                        .again = STAGE_METADATA,
                        .build = metadata_build,
                        .take = metadata_take},
};
static const struct admin_op cluster_op = {
    .name = "describe the cluster",
    .kind = ADMIN_CLUSTER,
    .stages = cluster_stages,
};

static const struct admin_stage controller_stages[] = {{
    .api_key = API_DESCRIBE_CLUSTER,
    .route = ADMIN_BOOTSTRAP,
    .build = cluster_build,
    .take = cluster_take,
}};
static const struct admin_op controllers_op = {
    .name = "describe the controllers",
    .kind = ADMIN_CLUSTER,
    .stages = controller_stages,
};

struct ottla_call *ottla_cluster_describe(struct ottla_client *client,
                                          const struct ottla_admin_options *options) {
    bool controllers = options != NULL && options->controllers;
    struct ottla_call *call =
        admin_call_new(client, controllers ? &controllers_op : &cluster_op, options);
    (void)admin_item_whole(call);
    return admin_start(call);
}

/* --- what brokers speak --- */

enum { STAGE_BROKERS, STAGE_VERSIONS };

err_t admin_versions_build(struct admin_part *part, int16_t version, struct arena *arena,
                           const void **ret_request) {
    (void)part;
    (void)version;
    struct api_versions_request *request = ADMIN_REQUEST(arena, api_versions_request);
    request->client_software_name = STR("ottla");
    request->client_software_version = STR(OTTLA_VERSION);
    *ret_request = request;
    return ERR_OK;
}

static int api_compare(const void *a, const void *b) {
    const struct ottla_api_versions *left = a;
    const struct ottla_api_versions *right = b;
    return (left->key > right->key) - (left->key < right->key);
}

static struct ottla_api_versions api_of(const struct api_versions_response_api_version *row) {
    struct ottla_api_versions versions = {.key = row->api_key,
                                          .name = "UNKNOWN",
                                          .min = row->min_version,
                                          .max = row->max_version,
                                          .usable = -1};
    const struct wire_api *ours = wire_api(row->api_key);
    if (ours != NULL) {
        versions.name = ours->name;
        int16_t high =
            row->max_version < ours->versions.high ? row->max_version : ours->versions.high;
        int16_t low = row->min_version > ours->versions.low ? row->min_version : ours->versions.low;
        versions.usable = high >= low ? high : -1;
    }
    return versions;
}

static void versions_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct api_versions_response *answer = response;
    struct ottla_call *call = part->call;
    struct admin_item *item = part->items[0];
    if (!admin_item_answer(item, answer->error_code, STR_NULL)) {
        return;
    }
    size_t count = answer->api_keys_count > 0 ? (size_t)answer->api_keys_count : 0;
    struct ottla_api_versions *apis = ARENA_ARRAY(&call->arena, struct ottla_api_versions, count);
    for (size_t i = 0; i < count; i++) {
        apis[i] = api_of(&answer->api_keys[i]);
    }
    if (count > 0) {
        qsort(apis, count, sizeof *apis, api_compare);
    }
    struct ottla_broker_versions *result = item->result;
    result->apis = apis;
    result->api_count = count;
}

static void version_add(struct ottla_call *call, const struct client_broker *broker, int32_t id,
                        struct admin_item *item) {
    struct ottla_broker_versions *result = admin_result_add(call);
    result->node.id = id;
    result->node.host = "";
    if (broker != NULL) {
        result->node.host = admin_text(call, broker->host);
        result->node.port = broker->port;
        result->node.rack = admin_text(call, broker->rack);
    }
    item->result = result;
}

/* Here every broker has a result with its address, so the lookup is one of its own. */
static void versions_brokers_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct metadata_response *answer = response;
    struct ottla_call *call = part->call;
    bool all = part->items[0]->number < 0;
    for (int32_t i = 0; i < answer->brokers_count; i++) {
        const struct metadata_response_broker *from = &answer->brokers[i];
        struct client_broker broker = {from->node_id, from->host, port_of(from->port), from->rack};
        struct admin_item *item = all ? admin_broker_add(call, from->node_id, STAGE_VERSIONS)
                                      : admin_find(part, STR(""), from->node_id);
        if (item != NULL) {
            version_add(call, &broker, from->node_id, item);
            admin_item_go(item, STAGE_VERSIONS);
        }
    }
    for (size_t i = 0; i < part->item_count; i++) {
        struct admin_item *item = part->items[i];
        if (all && answer->brokers_count > 0) {
            admin_item_end(item, OTTLA_OK, NULL);
        } else if (admin_is_asked(part, item)) {
            version_add(call, NULL, item->number, item);
            (void)admin_item_answer(item, ERR_BROKER_NOT_AVAILABLE, STR("it is not there"));
        }
    }
}

static int by_broker(const void *a, const void *b) {
    const struct ottla_broker_versions *left = a;
    const struct ottla_broker_versions *right = b;
    return node_compare(&left->node, &right->node);
}

static const struct admin_stage versions_stages[] = {
    [STAGE_BROKERS] = {.api_key = API_METADATA,
                       .route = ADMIN_ANY,
                       .build = admin_brokers_build,
                       .take = versions_brokers_take},
    [STAGE_VERSIONS] = {.api_key = API_API_VERSIONS,
                        .route = ADMIN_BROKER,
                        .each = true,
                        .again = STAGE_VERSIONS,
                        .build = admin_versions_build,
                        .take = versions_take},
};
static const struct admin_op versions_op = {
    .name = "describe versions",
    .kind = ADMIN_VERSIONS,
    .stages = versions_stages,
    .order = by_broker,
};

struct ottla_call *ottla_versions_describe(struct ottla_client *client, const int32_t *brokers,
                                           size_t count,
                                           const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &versions_op, options);
    if (brokers == NULL) {
        (void)admin_item_add(call, STR(""), -1, "%s", "");
    }
    for (size_t i = 0; brokers != NULL && i < count; i++) {
        (void)admin_broker_add(call, brokers[i], STAGE_BROKERS);
    }
    return admin_start(call);
}
