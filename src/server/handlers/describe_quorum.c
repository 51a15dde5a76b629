/*
 * DescribeQuorum: who votes over the metadata log, who leads and how far everybody is. The quorum
 * belongs to reactor 0, so a request of another reactor goes there and back.
 */
#include "server/handlers/handlers.h"
#include "server/node_int.h"

typedef struct describe_quorum_response_topic_data topic_answer;
typedef struct describe_quorum_response_partition_data partition_answer;
typedef struct describe_quorum_response_replica_state replica_answer;
typedef struct describe_quorum_response_node node_answer;
typedef struct describe_quorum_response_listener listener_answer;

struct description {
    struct sys_task task;
    struct request *request;
    struct describe_quorum_response response;
};

/* There is one log; a request for anything else is answered per partition. */
static bool asks_for_metadata(const struct describe_quorum_request *message) {
    return message->topics_count == 1 &&
           str_equal(message->topics[0].topic_name, STR("__cluster_metadata")) &&
           message->topics[0].partitions_count == 1 &&
           message->topics[0].partitions[0].partition_index == 0;
}

static void refuse_all(struct request *request, struct describe_quorum_response *response) {
    const struct describe_quorum_request *message = request->message;
    response->topics = ARENA_ARRAY(&request->arena, topic_answer, message->topics_count);
    response->topics_count = message->topics_count;
    for (int32_t t = 0; t < message->topics_count; t++) {
        topic_answer *answer = &response->topics[t];
        int32_t count = message->topics[t].partitions_count;
        answer->topic_name = message->topics[t].topic_name;
        answer->partitions = ARENA_ARRAY(&request->arena, partition_answer, count);
        answer->partitions_count = count;
        for (int32_t p = 0; p < count; p++) {
            answer->partitions[p] = (partition_answer){
                .partition_index = message->topics[t].partitions[p].partition_index,
                .error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION,
                .error_message = STR("This server does not host this topic-partition."),
            };
        }
    }
}

static void fill_observers(struct request *request, const struct raft_observers *observers,
                           partition_answer *answer) {
    answer->observers = ARENA_ARRAY(&request->arena, replica_answer, observers->count);
    answer->observers_count = (int32_t)observers->count;
    for (size_t i = 0; i < observers->count; i++) {
        const struct raft_observer *observer = &observers->observers[i];
        answer->observers[i] = (replica_answer){
            .replica_id = observer->id,
            .replica_directory_id = request->version >= 2 ? observer->directory_id : UUID_ZERO,
            .log_end_offset = observer->log_end_offset,
            .last_fetch_timestamp = observer->last_fetch_ms,
            .last_caught_up_timestamp = observer->last_caught_up_ms,
        };
    }
}

static void fill_partition(struct request *request, const struct quorum_description *quorum,
                           partition_answer *answer) {
    answer->leader_id = quorum->leader_id;
    answer->leader_epoch = quorum->leader_epoch;
    answer->high_watermark = quorum->high_watermark;
    answer->current_voters = ARENA_NEW(&request->arena, replica_answer);
    answer->current_voters_count = 1;
    answer->current_voters[0] = (replica_answer){
        .replica_id = quorum->voter.id,
        .replica_directory_id = request->version >= 2 ? quorum->voter.directory_id : UUID_ZERO,
        .log_end_offset = quorum->voter.log_end_offset,
        .last_fetch_timestamp = quorum->voter.last_fetch_ms,
        .last_caught_up_timestamp = quorum->voter.last_caught_up_ms,
    };
    fill_observers(request, quorum->observers, answer);
}

static struct str controller_listener(const struct node *node) {
    for (int i = 0; i < node->listener_count; i++) {
        if (node->listeners[i].controller) {
            return node->listeners[i].name;
        }
    }
    return STR("");
}

/* A static set has no names of listeners: they are all of the controllers' listener. */
static void fill_nodes(struct request *request, const struct raft_voters *voters,
                       struct describe_quorum_response *response) {
    struct arena *arena = &request->arena;
    response->nodes = ARENA_ARRAY(arena, node_answer, voters->voter_count);
    response->nodes_count = voters->voter_count;
    for (int32_t v = 0; v < voters->voter_count; v++) {
        const struct raft_voter *voter = &voters->voters[v];
        node_answer *answer = &response->nodes[v];
        answer->node_id = voter->id;
        answer->listeners = ARENA_ARRAY(arena, listener_answer, voter->endpoint_count);
        answer->listeners_count = voter->endpoint_count;
        for (int32_t i = 0; i < voter->endpoint_count; i++) {
            const struct raft_endpoint *endpoint = &voter->endpoints[i];
            answer->listeners[i] = (listener_answer){
                .name = endpoint->name.data != NULL ? arena_str(arena, endpoint->name)
                                                    : controller_listener(request->node),
                .host = arena_str(arena, endpoint->host),
                .port = endpoint->port,
            };
        }
    }
}

static void describe(struct description *description) {
    struct request *request = description->request;
    struct describe_quorum_response *response = &description->response;
    struct quorum_description quorum;
    quorum_describe(request->node->quorum, &quorum);
    response->topics = ARENA_NEW(&request->arena, topic_answer);
    response->topics_count = 1;
    topic_answer *topic = &response->topics[0];
    topic->topic_name = STR("__cluster_metadata");
    topic->partitions = ARENA_NEW(&request->arena, partition_answer);
    topic->partitions_count = 1;
    topic->partitions[0].error_message = STR("");
    if (quorum.leader_id != request->node->node_id) {
        topic->partitions[0].error_code = ERR_NOT_LEADER_OR_FOLLOWER;
        topic->partitions[0].leader_id = quorum.leader_id;
        topic->partitions[0].leader_epoch = quorum.leader_epoch;
        return;
    }
    fill_partition(request, &quorum, &topic->partitions[0]);
    if (request->version >= 2) {
        fill_nodes(request, quorum.voters, response);
    }
}

/* --- there and back --- */

static void respond(struct sys_task *task) {
    struct description *description = container_of(task, struct description, task);
    request_respond(description->request, &description->response);
}

static void describe_on_first(struct sys_task *task) {
    struct description *description = container_of(task, struct description, task);
    describe(description);
    description->task.run = respond;
    sys_loop_post(description->request->reactor->loop, &description->task);
}

void handle_describe_quorum(struct request *request) {
    struct description *description = ARENA_NEW(&request->arena, struct description);
    description->request = request;
    wire_init(&describe_quorum_response_type, &description->response);
    if (!asks_for_metadata(request->message)) {
        refuse_all(request, &description->response);
        request_respond(request, &description->response);
    } else if (request->reactor->index == 0) {
        describe(description);
        request_respond(request, &description->response);
    } else {
        net_request_park(request->net);
        description->task.run = describe_on_first;
        sys_loop_post(request->node->loops[0], &description->task);
    }
}
