/*
 * From a frame to a handler
 *
 *   frame ──► header (its version follows from api key and version) ──► row of the table
 *         ──► arena, bounded by the frame's size ──► body ──► handler
 *
 * What cannot be understood closes the connection, as in Kafka: an unknown key, a version that is
 * not advertised, bytes that do not decode. The exception is ApiVersions, which is how a client
 * finds out: an unknown version of it is answered in version 0 (KIP-511).
 */
#include "server/dispatch.h"

#include "server/handlers/handlers.h"
#include "server/node_int.h"
#include "server/request_metrics.h"

static const struct api_row rows[] = {
    /* key                            handler                         broker controller */
    {API_PRODUCE, handle_produce, true, false},
    {API_FETCH, handle_fetch, true, true},
    {API_LIST_OFFSETS, handle_list_offsets, true, false},
    {API_METADATA, handle_metadata, true, false},
    {API_OFFSET_COMMIT, handle_offset_commit, true, false},
    {API_OFFSET_FETCH, handle_offset_fetch, true, false},
    {API_FIND_COORDINATOR, handle_find_coordinator, true, false},
    {API_JOIN_GROUP, handle_join_group, true, false},
    {API_HEARTBEAT, handle_heartbeat, true, false},
    {API_LEAVE_GROUP, handle_leave_group, true, false},
    {API_SYNC_GROUP, handle_sync_group, true, false},
    {API_DESCRIBE_GROUPS, handle_describe_groups, true, false},
    {API_LIST_GROUPS, handle_list_groups, true, false},
    {API_API_VERSIONS, handle_api_versions, true, true},
    {API_CREATE_TOPICS, handle_create_topics, true, true},
    {API_DELETE_TOPICS, handle_delete_topics, true, true},
    {API_DELETE_RECORDS, handle_delete_records, true, false},
    {API_INIT_PRODUCER_ID, handle_init_producer_id, true, false},
    {API_OFFSET_FOR_LEADER_EPOCH, handle_offset_for_leader_epoch, true, false},
    {API_ADD_PARTITIONS_TO_TXN, handle_add_partitions_to_txn, true, false},
    {API_ADD_OFFSETS_TO_TXN, handle_add_offsets_to_txn, true, false},
    {API_END_TXN, handle_end_txn, true, false},
    {API_WRITE_TXN_MARKERS, handle_write_txn_markers, true, false},
    {API_TXN_OFFSET_COMMIT, handle_txn_offset_commit, true, false},
    {API_DESCRIBE_CONFIGS, handle_describe_configs, true, true},
    {API_ALTER_CONFIGS, handle_alter_configs, true, true},
    {API_DESCRIBE_LOG_DIRS, handle_describe_log_dirs, true, false},
    {API_CREATE_PARTITIONS, handle_create_partitions, true, true},
    {API_DELETE_GROUPS, handle_delete_groups, true, false},
    {API_INCREMENTAL_ALTER_CONFIGS, handle_incremental_alter_configs, true, true},
    {API_OFFSET_DELETE, handle_offset_delete, true, false},
    {API_DESCRIBE_QUORUM, handle_describe_quorum, true, true},
    {API_UPDATE_FEATURES, handle_update_features, true, true},
    {API_DESCRIBE_CLUSTER, handle_describe_cluster, true, true},
    {API_DESCRIBE_PRODUCERS, handle_describe_producers, true, false},
    {API_DESCRIBE_TRANSACTIONS, handle_describe_transactions, true, false},
    {API_LIST_TRANSACTIONS, handle_list_transactions, true, false},
    {API_CONSUMER_GROUP_HEARTBEAT, handle_consumer_group_heartbeat, true, false},
    {API_CONSUMER_GROUP_DESCRIBE, handle_consumer_group_describe, true, false},
    {API_LIST_CONFIG_RESOURCES, handle_list_config_resources, true, false},
    {API_DESCRIBE_TOPIC_PARTITIONS, handle_describe_topic_partitions, true, false},
};

const struct api_row *api_rows(size_t *ret_count) {
    *ret_count = sizeof rows / sizeof rows[0];
    return rows;
}

const struct api_row *api_row_find(int16_t key, bool controller) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].key == key) {
            return (controller ? rows[i].controller : rows[i].broker) ? &rows[i] : NULL;
        }
    }
    return NULL;
}

struct wire_versions api_row_versions(const struct api_row *row, bool controller) {
    const struct wire_api *api = wire_api(row->key);
    return controller ? api->controller_advertised : api->broker_advertised;
}

/* The size of api key, api version and correlation id, the start of every header. */
enum { HEADER_START_SIZE = 8 };

static err_t decode_header(struct request *request, struct bytes frame, size_t *ret_used) {
    struct request_header header;
    int16_t version = wire_request_header_version(request->api->key, request->version);
    err_t err =
        wire_decode(&request_header_type, version, frame, &request->arena, &header, ret_used);
    if (err == ERR_OK) {
        request->client_id = header.client_id;
    }
    return err;
}

/* Header and body. Bytes left behind are let through, as Kafka lets them. */
static err_t decode(struct request *request, struct bytes frame) {
    request->arena.bound = wire_decode_bound(frame.size);
    size_t used = 0;
    err_t err = decode_header(request, frame, &used);
    if (err == ERR_OK) {
        void *message = arena_alloc(&request->arena, wire_struct_size(request->api->request));
        struct bytes body = {.data = frame.data + used, .size = frame.size - used};
        err = message == NULL ? ERR_LIMIT
                              : wire_decode(request->api->request, request->version, body,
                                            &request->arena, message, &used);
        request->message = message;
    }
    request->arena.bound = SIZE_MAX; /* the answer is ours */
    return err;
}

static bool version_advertised(const struct request *request) {
    struct wire_versions versions = api_row_versions(request->row, request_on_controller(request));
    return wire_versions_have(versions, request->version);
}

static void refuse(struct request *request, const char *what, int16_t key) {
    struct str text = arena_printf(&request->arena, "%s (api key %d, version %d)%c", what, key,
                                   request->version, '\0');
    request_close(request, text.data);
}

void dispatch_request(void *arg, struct net_request *net) {
    struct node *node = arg;
    struct reactor *reactor = &node->reactors[net_connection_reactor(net_request_connection(net))];
    struct request *request = request_new(reactor, net);
    struct bytes frame = {.data = net_request_data(net), .size = net_request_size(net)};
    if (frame.size < HEADER_START_SIZE) {
        refuse(request, "a frame without a header", -1);
        return;
    }
    int16_t key = (int16_t)get_be16(frame.data);
    request->version = (int16_t)get_be16(frame.data + 2);
    request->correlation_id = (int32_t)get_be32(frame.data + 4);
    request->api = wire_api(key);
    request->row = api_row_find(key, request_on_controller(request));
    if (request->row == NULL) {
        refuse(request, "an API that this listener does not have", key);
        return;
    }
    if (!version_advertised(request) ||
        !wire_version_valid(request->api->request, request->version)) {
        if (key == API_API_VERSIONS) {
            handle_api_versions(request);
        } else {
            refuse(request, "a version that is not advertised", key);
        }
        return;
    }
    if (decode(request, frame) != ERR_OK) {
        refuse(request, "a request that does not decode", key);
        return;
    }
    request->row->handle(request);
}
