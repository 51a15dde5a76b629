/* UpdateFeatures: decided by the controller. As in Kafka the client's timeout does not bound it. */
#include "server/handlers/forward.h"
#include "server/handlers/handlers.h"
#include "server/node_int.h"

static void fail(struct forward *forward, err_t err, struct str message) {
    struct update_features_response *response = forward->response;
    response->error_code = err_kafka_code(err);
    response->error_message = message;
}

void handle_update_features(struct request *request) {
    struct update_features_response *response =
        ARENA_NEW(&request->arena, struct update_features_response);
    struct forward *forward = forward_new(request, FORWARD_NO_TIMEOUT, response, fail);
    controller_update_features(request->node->controller, &forward->call, request->message,
                               request->version, response);
}
