/* DeleteTopics: decided by the controller. */
#include "server/handlers/forward.h"
#include "server/handlers/handlers.h"
#include "server/node_int.h"

typedef struct delete_topics_response_deletable_topic_result topic_answer;

/* Kafka's answer has no message then. */
static void fail(struct forward *forward, err_t err, struct str message) {
    (void)message;
    struct request *request = forward->request;
    const struct delete_topics_request *asked = request->message;
    struct delete_topics_response *response = forward->response;
    bool by_state = request->version >= 6;
    int32_t count = by_state ? asked->topics_count : asked->topic_names_count;
    response->responses = ARENA_ARRAY(&request->arena, topic_answer, count);
    response->responses_count = count;
    for (int32_t i = 0; i < count; i++) {
        response->responses[i] = (topic_answer){
            .name = by_state ? asked->topics[i].name : asked->topic_names[i],
            .topic_id = by_state ? asked->topics[i].topic_id : UUID_ZERO,
            .error_code = err_kafka_code(err),
        };
    }
}

void handle_delete_topics(struct request *request) {
    const struct delete_topics_request *asked = request->message;
    struct delete_topics_response *response =
        ARENA_NEW(&request->arena, struct delete_topics_response);
    struct forward *forward = forward_new(request, asked->timeout_ms, response, fail);
    controller_delete_topics(request->node->controller, &forward->call, asked, request->version,
                             response);
}
