/*
 * ListConfigResources: names that settings may be set on or read of. Version 0 knew only
 * client-metrics subscriptions.
 */
#include "server/handlers/handlers.h"
#include "server/node_int.h"

typedef struct list_config_resources_response_config_resource resource_answer;

/* The kinds in the order of the answer. */
static const int8_t types[] = {META_RESOURCE_GROUP, META_RESOURCE_CLIENT_METRICS,
                               META_RESOURCE_BROKER_LOGGER, META_RESOURCE_BROKER,
                               META_RESOURCE_TOPIC};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

static bool is_asked(const struct request *request, int8_t type) {
    const struct list_config_resources_request *message = request->message;
    if (request->version == 0) {
        return type == META_RESOURCE_CLIENT_METRICS;
    }
    for (int32_t i = 0; i < message->resource_types_count; i++) {
        if (message->resource_types[i] == type) {
            return true;
        }
    }
    return message->resource_types_count <= 0;
}

static bool all_known(const struct list_config_resources_request *message) {
    for (int32_t i = 0; i < message->resource_types_count; i++) {
        bool known = false;
        for (size_t t = 0; t < TYPE_COUNT; t++) {
            known |= message->resource_types[i] == types[t];
        }
        if (!known) {
            return false;
        }
    }
    return true;
}

static void add(struct list_config_resources_response *response, int8_t type, struct str name) {
    response->config_resources[response->config_resources_count++] =
        (resource_answer){.resource_name = name, .resource_type = type};
}

static void add_type(struct request *request, int8_t type,
                     struct list_config_resources_response *response) {
    const struct meta_image *image = request_image(request);
    struct pmap_walk walk;
    if (type == META_RESOURCE_TOPIC) {
        const struct meta_topic *topic;
        pmap_for_each(&walk, &image->topics, topic) {
            add(response, type, topic->name);
        }
    } else if (type == META_RESOURCE_BROKER || type == META_RESOURCE_BROKER_LOGGER) {
        const struct meta_broker *broker;
        pmap_for_each(&walk, &image->brokers, broker) {
            add(response, type, arena_printf(&request->arena, "%d", (int)broker->id));
        }
    } else {
        const struct meta_config_resource *resource;
        pmap_for_each(&walk, &image->configs, resource) {
            if (resource->type == type) {
                add(response, type, resource->name);
            }
        }
    }
}

void handle_list_config_resources(struct request *request) {
    const struct meta_image *image = request_image(request);
    struct list_config_resources_response response;
    wire_init(&list_config_resources_response_type, &response);
    if (!all_known(request->message)) {
        response.error_code = ERR_UNSUPPORTED_VERSION;
        request_respond(request, &response);
        return;
    }
    size_t room = image->topics.count + 2 * image->brokers.count + image->configs.count;
    response.config_resources = ARENA_ARRAY(&request->arena, resource_answer, room);
    for (size_t t = 0; t < TYPE_COUNT; t++) {
        if (is_asked(request, types[t])) {
            add_type(request, types[t], &response);
        }
    }
    request_respond(request, &response);
}
