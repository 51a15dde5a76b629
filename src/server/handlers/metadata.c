/*
 * Metadata: brokers, the controller, topics and where their partitions are.
 *
 * A topic asked for by name that does not exist is made when client and node both allow it; the
 * answer says UNKNOWN_TOPIC_OR_PARTITION all the same and the client asks again, as in Kafka. So is
 * the order: topics that are there, then the others. A request with an id in it is about ids, its
 * names are not looked at.
 */
#include "base/duplicates.h"
#include "meta/topic_name.h"
#include "server/auto_create.h"
#include "server/handlers/handlers.h"
#include "server/handlers/operations.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct metadata_response_broker broker_answer;
typedef struct metadata_response_topic topic_answer;
typedef struct metadata_response_partition partition_answer;

static void list_brokers(struct request *request, struct metadata_response *response) {
    const struct meta_image *image = request_image(request);
    response->brokers = ARENA_ARRAY(&request->arena, broker_answer, image->brokers.count);
    response->controller_id = -1;
    struct pmap_walk walk;
    const struct meta_broker *broker;
    pmap_for_each(&walk, &image->brokers, broker) {
        struct topic_endpoint endpoint;
        if (topic_endpoint_find(request, broker->id, &endpoint)) {
            response->brokers[response->brokers_count++] = (broker_answer){
                .node_id = broker->id,
                .host = endpoint.host,
                .port = endpoint.port,
                .rack = endpoint.rack,
            };
            /* Any living broker: they all pass requests on (KIP-590). */
            response->controller_id =
                response->controller_id < 0 ? broker->id : response->controller_id;
        }
    }
}

/* Replicas on brokers that are fenced, gone, or without this partition's directory. */
static void list_offline(struct request *request, const struct meta_partition *state,
                         partition_answer *answer) {
    const struct meta_image *image = request_image(request);
    answer->offline_replicas = ARENA_ARRAY(&request->arena, int32_t, state->replica_count);
    for (int32_t i = 0; i < state->replica_count; i++) {
        const struct meta_broker *broker = meta_image_broker(image, state->replicas[i]);
        if (broker == NULL || broker->fenced ||
            !meta_broker_has_online_dir(broker, state->directories[i])) {
            answer->offline_replicas[answer->offline_replicas_count++] = state->replicas[i];
        }
    }
}

static err_t leader_error(struct request *request, const struct meta_partition *state) {
    const struct meta_broker *broker = meta_image_broker(request_image(request), state->leader);
    struct topic_endpoint endpoint;
    if (broker == NULL || broker->fenced) {
        return ERR_LEADER_NOT_AVAILABLE;
    }
    if (!topic_endpoint_find(request, state->leader, &endpoint)) {
        return request->version >= 6 ? ERR_LISTENER_NOT_FOUND : ERR_LEADER_NOT_AVAILABLE;
    }
    return ERR_OK;
}

static void fill_partition(struct request *request, const struct meta_partition *state,
                           partition_answer *answer) {
    err_t err = leader_error(request, state);
    *answer = (partition_answer){
        .error_code = err_kafka_code(err),
        .partition_index = state->id,
        .leader_id = err == ERR_OK ? state->leader : META_LEADER_NONE,
        .leader_epoch = state->leader_epoch,
        .replica_nodes = (int32_t *)(uintptr_t)state->replicas,
        .replica_nodes_count = state->replica_count,
        .isr_nodes = (int32_t *)(uintptr_t)state->isr,
        .isr_nodes_count = state->isr_count,
    };
    list_offline(request, state, answer);
}

static void fill_topic(struct request *request, const struct meta_topic *topic,
                       topic_answer *answer) {
    const struct metadata_request *message = request->message;
    *answer = (topic_answer){
        .name = topic->name,
        .topic_id = topic->id,
        .is_internal = topic_is_internal(topic->name),
        .topic_authorized_operations =
            message->include_topic_authorized_operations ? OPERATIONS_OF_TOPIC : OPERATIONS_UNKNOWN,
    };
    answer->partitions = ARENA_ARRAY(&request->arena, partition_answer, topic->partitions.count);
    struct pmap_walk walk;
    const struct meta_partition *state;
    pmap_for_each(&walk, &topic->partitions, state) {
        fill_partition(request, state, &answer->partitions[answer->partitions_count++]);
    }
}

static void list_all(struct request *request, struct metadata_response *response) {
    const struct meta_image *image = request_image(request);
    response->topics = ARENA_ARRAY(&request->arena, topic_answer, image->topics.count);
    struct pmap_walk walk;
    const struct meta_topic *topic;
    pmap_for_each(&walk, &image->topics, topic) {
        fill_topic(request, topic, &response->topics[response->topics_count++]);
    }
}

static topic_answer missing_topic(const struct metadata_request_topic *asked, err_t err) {
    return (topic_answer){
        .error_code = err_kafka_code(err),
        .name = asked->name,
        .topic_id = asked->topic_id,
        .is_internal = topic_is_internal(asked->name),
        .topic_authorized_operations = OPERATIONS_UNKNOWN,
    };
}

/* A name that is not there: made, if that is allowed. */
static err_t missing_error(struct request *request, struct str name, struct auto_create **create) {
    const struct metadata_request *message = request->message;
    bool allowed = (request->version < 4 || message->allow_auto_topic_creation) &&
                   config_bool(request->reactor->config, CONFIG_AUTO_CREATE_TOPICS_ENABLE);
    if (allowed) {
        return auto_create_add(create, request, name, message->topics_count);
    }
    return topic_name_fault(name, &request->arena).data == NULL ? ERR_UNKNOWN_TOPIC_OR_PARTITION
                                                                : ERR_INVALID_TOPIC_EXCEPTION;
}

/* Which topics of the request count: each name and each id once. */
static bool *find_wanted(struct request *request, bool by_id) {
    const struct metadata_request *message = request->message;
    size_t count = (size_t)message->topics_count;
    struct bytes *keys = ARENA_ARRAY(&request->arena, struct bytes, count);
    bool *wanted = ARENA_ARRAY(&request->arena, bool, count);
    for (size_t i = 0; i < count; i++) {
        const struct metadata_request_topic *asked = &message->topics[i];
        wanted[i] = !by_id || !uuid_is_zero(asked->topic_id);
        keys[i] = by_id ? (struct bytes){asked->topic_id.bytes, sizeof asked->topic_id.bytes}
                        : str_bytes(asked->name);
    }
    struct duplicates duplicates;
    duplicates_find(&request->arena, keys, message->topics_count, &duplicates);
    for (size_t i = 0; i < count; i++) {
        wanted[i] = wanted[i] && !duplicates.again[i];
    }
    return wanted;
}

static bool has_id(const struct metadata_request *message) {
    for (int32_t i = 0; i < message->topics_count; i++) {
        if (!uuid_is_zero(message->topics[i].topic_id)) {
            return true;
        }
    }
    return false;
}

static void list_asked(struct request *request, struct metadata_response *response) {
    const struct metadata_request *message = request->message;
    bool by_id = has_id(message);
    bool *wanted = find_wanted(request, by_id);
    response->topics = ARENA_ARRAY(&request->arena, topic_answer, message->topics_count);
    for (int32_t i = 0; i < message->topics_count; i++) {
        const struct metadata_request_topic *asked = &message->topics[i];
        const struct meta_topic *topic = NULL;
        if (wanted[i] && (by_id ? topic_find_by_id(request, asked->topic_id, &topic)
                                : topic_find(request, asked->name, &topic)) == ERR_OK) {
            fill_topic(request, topic, &response->topics[response->topics_count++]);
            wanted[i] = false;
        }
    }
    struct auto_create *create = NULL;
    for (int32_t i = 0; i < message->topics_count; i++) {
        const struct metadata_request_topic *asked = &message->topics[i];
        if (wanted[i]) {
            err_t err = by_id ? ERR_UNKNOWN_TOPIC_ID : missing_error(request, asked->name, &create);
            response->topics[response->topics_count++] = missing_topic(asked, err);
        }
    }
    auto_create_send(create);
}

/* Before version 12 topics have names and no ids; later they have one of them at least. */
static bool is_wrong(const struct request *request) {
    const struct metadata_request *message = request->message;
    bool by_id = request->version >= 12 && has_id(message);
    for (int32_t i = 0; !by_id && i < message->topics_count; i++) {
        if (message->topics[i].name.data == NULL || !uuid_is_zero(message->topics[i].topic_id)) {
            return true;
        }
    }
    return false;
}

static void refuse(struct request *request, err_t err) {
    const struct metadata_request *message = request->message;
    struct metadata_response response;
    wire_init(&metadata_response_type, &response);
    response.error_code = err_kafka_code(err);
    response.topics = ARENA_ARRAY(&request->arena, topic_answer, message->topics_count);
    for (int32_t i = 0; i < message->topics_count; i++) {
        const struct metadata_request_topic *asked = &message->topics[i];
        response.topics[response.topics_count] = missing_topic(asked, err);
        if (asked->name.data == NULL) {
            response.topics[response.topics_count].name = STR("");
        }
        response.topics_count++;
    }
    request_respond(request, &response);
}

void handle_metadata(struct request *request) {
    const struct metadata_request *message = request->message;
    if (is_wrong(request)) {
        refuse(request, ERR_INVALID_REQUEST);
        return;
    }
    struct metadata_response response;
    wire_init(&metadata_response_type, &response);
    bool all = message->topics_count < 0 || (request->version == 0 && message->topics_count == 0);
    list_brokers(request, &response);
    response.cluster_id = str_from_c(request->node->cluster_id);
    response.cluster_authorized_operations =
        message->include_cluster_authorized_operations ? OPERATIONS_OF_CLUSTER : OPERATIONS_UNKNOWN;
    if (all) {
        list_all(request, &response);
    } else {
        list_asked(request, &response);
    }
    request_respond(request, &response);
}
