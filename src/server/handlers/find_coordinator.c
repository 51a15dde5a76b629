/*
 * FindCoordinator: which broker coordinates a group or a transactional id. Version 4 and later ask
 * for many at once.
 *
 * Where the topic of the coordinators is not there yet it is made now, and the client is told to
 * ask again. Share groups have no coordinators yet.
 */
#include "server/auto_create.h"
#include "server/handlers/handlers.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct find_coordinator_response_coordinator answer_coordinator;

enum coordinator_type { COORDINATOR_GROUP = 0, COORDINATOR_TRANSACTION = 1, COORDINATOR_SHARE = 2 };

static const struct str offsets_topic = {"__consumer_offsets", 18};
static const struct str transactions_topic = {"__transaction_state", 19};

/* Apache Kafka's words; some clients show them. */
static const struct str not_available_text = STR("The coordinator is not available.");
static const struct str invalid_text =
    STR("This most likely occurs because of a request being malformed by the client library or the "
        "message was sent to an incompatible broker. See the broker logs for more details.");

static err_t find_in(struct request *request, struct auto_create **create, struct coord *coord,
                     struct str topic_name, struct str key, answer_coordinator *answer) {
    const struct meta_topic *topic = meta_image_topic(request_image(request), topic_name);
    if (topic == NULL) {
        if (*create == NULL) {
            (void)auto_create_add(create, request, topic_name, 1);
        }
        return ERR_COORDINATOR_NOT_AVAILABLE;
    }
    const struct meta_partition *partition =
        meta_topic_partition(topic, coord_partition(coord, key));
    struct topic_endpoint endpoint;
    if (partition == NULL || !topic_endpoint_find(request, partition->leader, &endpoint)) {
        return ERR_COORDINATOR_NOT_AVAILABLE;
    }
    answer->node_id = partition->leader;
    answer->host = endpoint.host;
    answer->port = endpoint.port;
    return ERR_OK;
}

static void find(struct request *request, struct auto_create **create, struct str key,
                 answer_coordinator *answer) {
    const struct find_coordinator_request *message = request->message;
    *answer = (answer_coordinator){.key = key, .node_id = -1, .host = STR(""), .port = -1};
    err_t err = ERR_COORDINATOR_NOT_AVAILABLE;
    if (message->key_type == COORDINATOR_GROUP) {
        err = find_in(request, create, request->node->coord, offsets_topic, key, answer);
    } else if (message->key_type == COORDINATOR_TRANSACTION) {
        err =
            find_in(request, create, request->node->transactions, transactions_topic, key, answer);
    } else if (message->key_type == COORDINATOR_SHARE && request->version < 6) {
        err = ERR_INVALID_REQUEST;
    }
    answer->error_code = err_kafka_code(err);
    answer->error_message = STR("");
}

/* A type of coordinator that does not exist. */
static void refuse(struct request *request, struct find_coordinator_response *response) {
    const struct find_coordinator_request *message = request->message;
    if (request->version < 4) {
        response->error_code = ERR_INVALID_REQUEST;
        response->error_message = invalid_text;
        response->node_id = -1;
        response->port = -1;
        response->host = STR("");
        request_respond(request, response);
        return;
    }
    response->coordinators =
        ARENA_ARRAY(&request->arena, answer_coordinator, message->coordinator_keys_count);
    response->coordinators_count = message->coordinator_keys_count;
    for (int32_t i = 0; i < message->coordinator_keys_count; i++) {
        response->coordinators[i] = (answer_coordinator){.key = message->coordinator_keys[i],
                                                         .error_code = ERR_INVALID_REQUEST,
                                                         .error_message = invalid_text,
                                                         .node_id = -1,
                                                         .host = STR(""),
                                                         .port = -1};
    }
    request_respond(request, response);
}

static void find_one(struct request *request, struct auto_create **create,
                     struct find_coordinator_response *response) {
    const struct find_coordinator_request *message = request->message;
    answer_coordinator answer;
    find(request, create, message->key, &answer);
    response->error_code = answer.error_code;
    response->error_message = answer.error_code == 0                     ? STR("NONE")
                              : answer.error_code == ERR_INVALID_REQUEST ? invalid_text
                                                                         : not_available_text;
    response->node_id = answer.node_id;
    response->host = answer.host;
    response->port = answer.port;
}

static void find_many(struct request *request, struct auto_create **create,
                      struct find_coordinator_response *response) {
    const struct find_coordinator_request *message = request->message;
    response->coordinators =
        ARENA_ARRAY(&request->arena, answer_coordinator, message->coordinator_keys_count);
    response->coordinators_count = message->coordinator_keys_count;
    for (int32_t i = 0; i < message->coordinator_keys_count; i++) {
        find(request, create, message->coordinator_keys[i], &response->coordinators[i]);
    }
}

void handle_find_coordinator(struct request *request) {
    const struct find_coordinator_request *message = request->message;
    struct find_coordinator_response response;
    wire_init(&find_coordinator_response_type, &response);
    if (message->key_type < COORDINATOR_GROUP || message->key_type > COORDINATOR_SHARE) {
        refuse(request, &response);
        return;
    }
    struct auto_create *create = NULL;
    if (request->version < 4) {
        find_one(request, &create, &response);
    } else {
        find_many(request, &create, &response);
    }
    auto_create_send(create);
    request_respond(request, &response);
}
