/*
 * DescribeCluster: the brokers, or on a controller's listener the controllers, and how to reach
 * them through a listener of the same name. A client says which of the two it wants (KIP-919).
 */
#include "server/handlers/handlers.h"
#include "server/handlers/operations.h"
#include "server/node_int.h"

typedef struct describe_cluster_response_describe_cluster_broker broker_answer;

enum { ENDPOINT_BROKER = 1, ENDPOINT_CONTROLLER = 2 };

static bool find_endpoint(const struct request *request, const struct meta_endpoint *endpoints,
                          int32_t count, broker_answer *answer) {
    struct str listener = request_listener(request);
    for (int32_t i = 0; i < count; i++) {
        if (str_equal(endpoints[i].name, listener)) {
            answer->host = endpoints[i].host;
            answer->port = endpoints[i].port;
            return true;
        }
    }
    return false;
}

static void list_brokers(struct request *request, struct describe_cluster_response *response) {
    const struct describe_cluster_request *message = request->message;
    const struct meta_image *image = request_image(request);
    response->brokers = ARENA_ARRAY(&request->arena, broker_answer, image->brokers.count);
    struct pmap_walk walk;
    const struct meta_broker *broker;
    pmap_for_each(&walk, &image->brokers, broker) {
        broker_answer answer = {
            .broker_id = broker->id, .rack = broker->rack, .is_fenced = broker->fenced};
        if ((broker->fenced && !message->include_fenced_brokers) ||
            !find_endpoint(request, broker->endpoints, broker->endpoint_count, &answer)) {
            continue;
        }
        response->brokers[response->brokers_count++] = answer;
        if (response->controller_id < 0 && !broker->fenced) {
            response->controller_id = broker->id; /* any living broker: they all pass requests on */
        }
    }
}

/* This node itself, which may not have registered as a controller. */
static void add_own_listener(struct request *request, struct describe_cluster_response *response) {
    const struct node *node = request->node;
    struct str name = request_listener(request);
    for (int i = 0; i < node->listener_count; i++) {
        const struct listener *listener = &node->listeners[i];
        if (str_equal(listener->name, name)) {
            response->brokers[response->brokers_count++] =
                (broker_answer){.broker_id = node->node_id,
                                .host = listener->advertised_host,
                                .port = listener->advertised_port};
        }
    }
}

static void list_controllers(struct request *request, struct describe_cluster_response *response) {
    const struct meta_image *image = request_image(request);
    response->brokers = ARENA_ARRAY(&request->arena, broker_answer, image->controllers.count + 1);
    response->controller_id = request->node->node_id; /* the only voter */
    struct pmap_walk walk;
    const struct meta_controller *controller;
    pmap_for_each(&walk, &image->controllers, controller) {
        broker_answer answer = {.broker_id = controller->id};
        if (find_endpoint(request, controller->endpoints, controller->endpoint_count, &answer)) {
            response->brokers[response->brokers_count++] = answer;
        }
    }
    if (response->brokers_count == 0) {
        add_own_listener(request, response);
    }
}

static const char *type_name(int8_t type) {
    return type == ENDPOINT_BROKER ? "BROKER" : "CONTROLLER";
}

/* Version 0 could not say which endpoints it wants: brokers. */
static err_t check_type(struct request *request, int8_t own, struct str *ret_message) {
    const struct describe_cluster_request *message = request->message;
    int8_t type = request->version == 0 ? ENDPOINT_BROKER : message->endpoint_type;
    if (type == own) {
        return ERR_OK;
    }
    if (type != ENDPOINT_BROKER && type != ENDPOINT_CONTROLLER) {
        *ret_message = arena_printf(&request->arena, "Unsupported endpoint type %d", type);
        return ERR_UNSUPPORTED_ENDPOINT_TYPE;
    }
    *ret_message = arena_printf(
        &request->arena,
        "The request was sent to an endpoint of type %s, but we wanted an endpoint of type %s",
        type_name(own), type_name(type));
    return request->version == 0 ? ERR_INVALID_REQUEST : ERR_MISMATCHED_ENDPOINT_TYPE;
}

void handle_describe_cluster(struct request *request) {
    const struct describe_cluster_request *message = request->message;
    bool controller = request_on_controller(request);
    int8_t own = controller ? ENDPOINT_CONTROLLER : ENDPOINT_BROKER;
    struct describe_cluster_response response;
    wire_init(&describe_cluster_response_type, &response);
    err_t err = check_type(request, own, &response.error_message);
    if (err != ERR_OK) {
        response.error_code = err_kafka_code(err);
        request_respond(request, &response);
        return;
    }
    if (request->version >= 1) {
        response.endpoint_type = own;
    }
    response.cluster_id = str_from_c(request->node->cluster_id);
    if (controller) {
        list_controllers(request, &response);
    } else {
        list_brokers(request, &response);
    }
    response.cluster_authorized_operations =
        message->include_cluster_authorized_operations ? OPERATIONS_OF_CLUSTER : OPERATIONS_UNKNOWN;
    request_respond(request, &response);
}
