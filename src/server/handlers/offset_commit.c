/*
 * OffsetCommit: partitions that do not exist are refused here; the rest goes to the group's
 * coordinator, with the ids of its topics, and both answers are put together.
 */
#include "base/map.h"
#include "server/handlers/group_request.h"
#include "server/handlers/handlers.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct offset_commit_request_topic asked_topic;
typedef struct offset_commit_request_partition asked_partition;
typedef struct offset_commit_response_topic answer_topic;
typedef struct offset_commit_response_partition answer_partition;

enum { VERSION_OF_TOPIC_IDS = 10 };

struct commit {
    struct request *request;
    struct offset_commit_response response; /* of what is refused here, at first */
    struct map by_name;                     /* answer_topic: those in the response, by name or id */
};

static struct bytes topic_key(const struct request *request, const answer_topic *topic) {
    return request->version >= VERSION_OF_TOPIC_IDS ? (struct bytes){topic->topic_id.bytes, 16}
                                                    : str_bytes(topic->name);
}

/* The answer for a topic: the same for a topic that is named twice. */
static answer_topic *answer_of(struct commit *commit, struct str name, struct uuid id) {
    answer_topic key = {.name = name, .topic_id = id};
    answer_topic *answer = map_get(&commit->by_name, topic_key(commit->request, &key));
    if (answer == NULL) {
        answer = &commit->response.topics[commit->response.topics_count++];
        *answer = key;
        map_put(&commit->by_name, topic_key(commit->request, answer), answer);
    }
    return answer;
}

static void add_answers(struct commit *commit, answer_topic *to, const answer_partition *partitions,
                        int32_t count) {
    to->partitions =
        arena_extend(&commit->request->arena, to->partitions, (size_t)to->partitions_count,
                     (size_t)count, sizeof partitions[0]);
    for (int32_t i = 0; i < count; i++) {
        to->partitions[to->partitions_count++] = partitions[i];
    }
}

static void refuse(struct commit *commit, const asked_topic *asked,
                   const asked_partition *partition, err_t err) {
    answer_partition answer = {.partition_index = partition->partition_index,
                               .error_code = err_kafka_code(err)};
    add_answers(commit, answer_of(commit, asked->name, asked->topic_id), &answer, 1);
}

/* Copies what exists of a topic to `pass`; refuses the rest. */
static void sort_topic(struct commit *commit, const asked_topic *asked, asked_topic *pass) {
    const struct request *request = commit->request;
    bool by_id = request->version >= VERSION_OF_TOPIC_IDS;
    const struct meta_topic *topic = NULL;
    err_t err = by_id ? topic_find_by_id(request, asked->topic_id, &topic)
                      : topic_find(request, asked->name, &topic);
    *pass = *asked;
    pass->partitions =
        ARENA_ARRAY(&commit->request->arena, asked_partition, asked->partitions_count);
    pass->partitions_count = 0;
    if (err == ERR_OK) {
        pass->name = arena_str(&commit->request->arena, topic->name); /* the image may go away */
        pass->topic_id = topic->id;
    }
    for (int32_t i = 0; i < asked->partitions_count; i++) {
        const asked_partition *partition = &asked->partitions[i];
        if (err != ERR_OK) {
            refuse(commit, asked, partition, err);
        } else if (meta_topic_partition(topic, partition->partition_index) == NULL) {
            refuse(commit, asked, partition, ERR_UNKNOWN_TOPIC_OR_PARTITION);
        } else {
            pass->partitions[pass->partitions_count++] = *partition;
        }
    }
}

static void respond(struct commit *commit) {
    map_done(&commit->by_name);
    request_respond(commit->request, &commit->response);
}

static void committed(struct group_request *sent) {
    struct commit *commit = sent->context;
    const struct offset_commit_response *response = sent->call.response;
    if (commit->response.topics_count == 0) {
        commit->response = *response; /* a topic that was named twice stays twice */
        respond(commit);
        return;
    }
    for (int32_t i = 0; i < response->topics_count; i++) {
        const answer_topic *topic = &response->topics[i];
        add_answers(commit, answer_of(commit, topic->name, topic->topic_id), topic->partitions,
                    topic->partitions_count);
    }
    respond(commit);
}

void handle_offset_commit(struct request *request) {
    const struct offset_commit_request *message = request->message;
    struct arena *arena = &request->arena;
    struct commit *commit = ARENA_NEW(arena, struct commit);
    commit->request = request;
    wire_init(&offset_commit_response_type, &commit->response);
    commit->response.topics = ARENA_ARRAY(arena, answer_topic, 2 * (size_t)message->topics_count);
    struct offset_commit_request *pass = ARENA_NEW(arena, struct offset_commit_request);
    *pass = *message;
    pass->topics = ARENA_ARRAY(arena, asked_topic, message->topics_count);
    pass->topics_count = 0;
    for (int32_t i = 0; i < message->topics_count; i++) {
        asked_topic *topic = &pass->topics[pass->topics_count];
        sort_topic(commit, &message->topics[i], topic);
        pass->topics_count += topic->partitions_count > 0;
    }
    if (pass->topics_count == 0) {
        respond(commit);
    } else {
        group_request_send(request, pass, commit, committed);
    }
}
