/*
 * OffsetDelete: partitions that do not exist are refused here, the rest goes to the group's
 * coordinator. An error of the group is all that is answered.
 */
#include "base/map.h"
#include "server/handlers/group_request.h"
#include "server/handlers/handlers.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct offset_delete_request_topic asked_topic;
typedef struct offset_delete_request_partition asked_partition;
typedef struct offset_delete_response_topic answer_topic;
typedef struct offset_delete_response_partition answer_partition;

struct deletion {
    struct request *request;
    struct offset_delete_response response; /* of what is refused here, at first */
    struct map by_name;                     /* answer_topic */
};

static answer_topic *answer_of(struct deletion *deletion, struct str name) {
    answer_topic *answer = map_get(&deletion->by_name, str_bytes(name));
    if (answer == NULL) {
        answer = &deletion->response.topics[deletion->response.topics_count++];
        *answer = (answer_topic){.name = name};
        map_put(&deletion->by_name, str_bytes(name), answer);
    }
    return answer;
}

static void add_answers(struct deletion *deletion, struct str name,
                        const answer_partition *partitions, int32_t count) {
    answer_topic *to = answer_of(deletion, name);
    to->partitions =
        arena_extend(&deletion->request->arena, to->partitions, (size_t)to->partitions_count,
                     (size_t)count, sizeof partitions[0]);
    for (int32_t i = 0; i < count; i++) {
        to->partitions[to->partitions_count++] = partitions[i];
    }
}

static void deleted(struct group_request *sent) {
    struct deletion *deletion = sent->context;
    const struct offset_delete_response *made = sent->call.response;
    for (int32_t i = 0; i < made->topics_count && made->error_code == 0; i++) {
        add_answers(deletion, made->topics[i].name, made->topics[i].partitions,
                    made->topics[i].partitions_count);
    }
    map_done(&deletion->by_name);
    request_respond(sent->request, made->error_code != 0 ? made : &deletion->response);
}

/* Copies what exists of a topic to `pass`; refuses the rest. */
static void sort_topic(struct deletion *deletion, const asked_topic *asked, asked_topic *pass) {
    const struct meta_topic *topic = NULL;
    err_t err = topic_find(deletion->request, asked->name, &topic);
    pass->name = asked->name;
    pass->partitions =
        ARENA_ARRAY(&deletion->request->arena, asked_partition, asked->partitions_count);
    for (int32_t i = 0; i < asked->partitions_count; i++) {
        int32_t partition = asked->partitions[i].partition_index;
        if (err == ERR_OK && meta_topic_partition(topic, partition) != NULL) {
            pass->partitions[pass->partitions_count++] = asked->partitions[i];
        } else {
            answer_partition answer = {.partition_index = partition,
                                       .error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION};
            add_answers(deletion, asked->name, &answer, 1);
        }
    }
}

void handle_offset_delete(struct request *request) {
    const struct offset_delete_request *message = request->message;
    struct arena *arena = &request->arena;
    struct deletion *deletion = ARENA_NEW(arena, struct deletion);
    deletion->request = request;
    deletion->response.topics = ARENA_ARRAY(arena, answer_topic, message->topics_count);
    struct offset_delete_request *pass = ARENA_NEW(arena, struct offset_delete_request);
    pass->group_id = message->group_id;
    pass->topics = ARENA_ARRAY(arena, asked_topic, message->topics_count);
    for (int32_t i = 0; i < message->topics_count; i++) {
        asked_topic *topic = &pass->topics[pass->topics_count];
        sort_topic(deletion, &message->topics[i], topic);
        pass->topics_count += topic->partitions_count > 0;
    }
    group_request_send(request, pass, deletion, deleted);
}
