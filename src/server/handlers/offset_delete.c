/* OffsetDelete: topics that do not exist are refused here, the rest by the group's coordinator. */
#include "server/handlers/group_request.h"
#include "server/handlers/handlers.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct offset_delete_request_topic asked_topic;
typedef struct offset_delete_response_topic answer_topic;
typedef struct offset_delete_response_partition answer_partition;

static void deleted(struct group_request *sent) {
    struct offset_delete_response *response = sent->context;
    const struct offset_delete_response *made = sent->call.response;
    response->error_code = made->error_code;
    if (made->error_code != 0) {
        response->topics_count = 0;
    }
    for (int32_t i = 0; i < made->topics_count; i++) {
        response->topics[response->topics_count++] = made->topics[i];
    }
    request_respond(sent->request, response);
}

static void refuse(struct arena *arena, const asked_topic *asked, answer_topic *answer) {
    answer->name = asked->name;
    answer->partitions = ARENA_ARRAY(arena, answer_partition, asked->partitions_count);
    answer->partitions_count = asked->partitions_count;
    for (int32_t i = 0; i < asked->partitions_count; i++) {
        answer->partitions[i].partition_index = asked->partitions[i].partition_index;
        answer->partitions[i].error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
}

void handle_offset_delete(struct request *request) {
    const struct offset_delete_request *message = request->message;
    struct arena *arena = &request->arena;
    struct offset_delete_response *response = ARENA_NEW(arena, struct offset_delete_response);
    response->topics = ARENA_ARRAY(arena, answer_topic, message->topics_count);
    struct offset_delete_request *pass = ARENA_NEW(arena, struct offset_delete_request);
    pass->group_id = message->group_id;
    pass->topics = ARENA_ARRAY(arena, asked_topic, message->topics_count);
    for (int32_t i = 0; i < message->topics_count; i++) {
        const struct meta_topic *topic = NULL;
        if (topic_find(request, message->topics[i].name, &topic) != ERR_OK) {
            refuse(arena, &message->topics[i], &response->topics[response->topics_count++]);
        } else {
            pass->topics[pass->topics_count++] = message->topics[i];
        }
    }
    group_request_send(request, pass, response, deleted);
}
