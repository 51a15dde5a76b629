/* CreatePartitions: decided by the controller. */
#include "server/handlers/forward.h"
#include "server/handlers/handlers.h"
#include "server/node_int.h"

typedef struct create_partitions_response_create_partitions_topic_result topic_answer;

static void fail(struct forward *forward, err_t err, struct str message) {
    struct request *request = forward->request;
    const struct create_partitions_request *asked = request->message;
    struct create_partitions_response *response = forward->response;
    response->results = ARENA_ARRAY(&request->arena, topic_answer, asked->topics_count);
    response->results_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        response->results[i] = (topic_answer){
            .name = asked->topics[i].name,
            .error_code = err_kafka_code(err),
            .error_message = message,
        };
    }
}

void handle_create_partitions(struct request *request) {
    const struct create_partitions_request *asked = request->message;
    struct create_partitions_response *response =
        ARENA_NEW(&request->arena, struct create_partitions_response);
    struct forward *forward = forward_new(request, asked->timeout_ms, response, fail);
    controller_create_partitions(request->node->controller, &forward->call, asked, response);
}
