/* AlterConfigs, which replaces all settings of a resource: decided by the controller. */
#include "server/handlers/forward.h"
#include "server/handlers/handlers.h"
#include "server/node_int.h"

typedef struct alter_configs_response_alter_configs_resource_response resource_answer;

static void fail(struct forward *forward, err_t err, struct str message) {
    struct request *request = forward->request;
    const struct alter_configs_request *asked = request->message;
    struct alter_configs_response *response = forward->response;
    response->responses = ARENA_ARRAY(&request->arena, resource_answer, asked->resources_count);
    response->responses_count = asked->resources_count;
    for (int32_t i = 0; i < asked->resources_count; i++) {
        response->responses[i] = (resource_answer){
            .error_code = err_kafka_code(err),
            .error_message = message,
            .resource_type = asked->resources[i].resource_type,
            .resource_name = asked->resources[i].resource_name,
        };
    }
}

void handle_alter_configs(struct request *request) {
    struct alter_configs_response *response =
        ARENA_NEW(&request->arena, struct alter_configs_response);
    struct forward *forward = forward_new(request, FORWARD_NO_TIMEOUT, response, fail);
    controller_alter_configs(request->node->controller, &forward->call, request->message, response);
}
