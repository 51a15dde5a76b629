/*
 * Fetch on a controller's listener: the metadata log, for brokers and controllers that follow it.
 *
 * There is one partition to ask for, there are no sessions, and what comes is decided by the quorum
 * (quorum/fetch.c), which belongs to reactor 0. So every request goes there and back:
 *
 *   its reactor   checked ──► parked                              answered ──► done
 *   reactor 0                    └──► quorum_fetch ──► fetched ──────┘
 *
 * A client that goes away ends the wait: word of that goes to reactor 0 and back, too, and the
 * request lives until it is back.
 */
#include "quorum/quorum.h"
#include "server/handlers/fetch.h"
#include "server/node_int.h"

typedef struct fetch_response_fetchable_topic_response topic_answer;
typedef struct fetch_response_partition_data partition_answer;
typedef struct fetch_response_node_endpoint endpoint_answer;

enum { VERSION_OF_ENDPOINTS = 17 };

struct following {
    struct request *request;
    struct quorum_fetch fetch;
    struct fetch_response response;
    topic_answer topic;
    partition_answer partition;
    endpoint_answer endpoint;
    struct sys_task task;
    struct sys_task cancel_task;
    bool answered;   /* the quorum is done with it */
    bool cancelling; /* the cancel task is on its way */
};

/* --- the answer --- */

static void release_slice(void *arg) {
    log_slice_release(arg);
}

static void respond(struct following *following) {
    struct request_file file = {.file = following->fetch.slice.file,
                                .position = following->fetch.slice.position,
                                .size = following->fetch.slice.size,
                                .release = release_slice,
                                .arg = &following->fetch.slice};
    request_respond_files(following->request, &following->response, &file, 1);
}

static void refuse(struct request *request, err_t err) {
    struct fetch_response response;
    wire_init(&fetch_response_type, &response);
    response.error_code = err_kafka_code(err);
    request_respond(request, &response);
}

/* Where the leader listens for whom it is asked by; a static voter has one unnamed endpoint. */
static void fill_endpoint(struct following *following, const struct raft_voters *voters) {
    struct request *request = following->request;
    struct str listener = request_listener(request);
    for (int32_t v = 0; v < voters->voter_count; v++) {
        const struct raft_voter *voter = &voters->voters[v];
        for (int32_t i = 0; i < voter->endpoint_count; i++) {
            const struct raft_endpoint *endpoint = &voter->endpoints[i];
            bool named = endpoint->name.data != NULL;
            if (voter->id == following->fetch.leader_id &&
                (!named || str_equal(endpoint->name, listener))) {
                following->endpoint = (endpoint_answer){
                    .node_id = voter->id,
                    .host = arena_str(&request->arena, endpoint->host),
                    .port = endpoint->port,
                    .rack = STR_NULL,
                };
                following->response.node_endpoints = &following->endpoint;
                following->response.node_endpoints_count = 1;
                return;
            }
        }
    }
}

static void fill_partition(struct following *following) {
    const struct quorum_fetch *fetch = &following->fetch;
    following->partition = (partition_answer){
        .error_code = err_kafka_code(fetch->err),
        .high_watermark = fetch->high_watermark,
        .last_stable_offset = -1,
        .log_start_offset = fetch->log_start_offset,
        .diverging_epoch = {.epoch = -1, .end_offset = -1},
        .current_leader = {.leader_id = fetch->leader_id, .leader_epoch = fetch->current_epoch},
        .snapshot_id = {.end_offset = -1, .epoch = -1},
        .preferred_read_replica = -1,
        .records = {.data = WIRE_GAP, .size = fetch->slice.size},
    };
    if (fetch->err == ERR_OK && fetch->place == QUORUM_PLACE_DIVERGING) {
        following->partition.diverging_epoch.epoch = fetch->place_epoch;
        following->partition.diverging_epoch.end_offset = fetch->place_offset;
    } else if (fetch->err == ERR_OK && fetch->place == QUORUM_PLACE_SNAPSHOT) {
        following->partition.snapshot_id.epoch = fetch->place_epoch;
        following->partition.snapshot_id.end_offset = fetch->place_offset;
    }
}

/* --- reactor 0 --- */

static void answer(struct sys_task *task) {
    struct following *following = container_of(task, struct following, task);
    following->answered = true;
    if (!following->cancelling) {
        respond(following);
    }
}

static void fetched(struct quorum_fetch *fetch) {
    struct following *following = container_of(fetch, struct following, fetch);
    struct request *request = following->request;
    wire_init(&fetch_response_type, &following->response);
    following->topic = (topic_answer){
        .topic_id = UUID_ONE, .partitions = &following->partition, .partitions_count = 1};
    following->response.responses = &following->topic;
    following->response.responses_count = 1;
    fill_partition(following);
    if (request->version >= VERSION_OF_ENDPOINTS) {
        struct quorum_description description;
        quorum_describe(request->node->quorum, &description);
        fill_endpoint(following, description.voters);
    }
    following->task.run = answer;
    sys_loop_post(request->reactor->loop, &following->task);
}

static void begin(struct sys_task *task) {
    struct following *following = container_of(task, struct following, task);
    struct node *node = following->request->node;
    if (atomic_load(&node->draining) && following->fetch.wait_ms_max > 0) {
        following->fetch.wait_ms_max = 0;
    }
    quorum_fetch(node->quorum, &following->fetch);
}

/* --- the client is gone --- */

static void cancel_back(struct sys_task *task) {
    struct following *following = container_of(task, struct following, cancel_task);
    following->cancelling = false;
    if (following->answered) {
        respond(following);
    }
}

static void cancel_there(struct sys_task *task) {
    struct following *following = container_of(task, struct following, cancel_task);
    quorum_fetch_end(&following->fetch);
    following->cancel_task.run = cancel_back;
    sys_loop_post(following->request->reactor->loop, &following->cancel_task);
}

static void cancelled(struct request *request) {
    struct following *following = request->context;
    if (!following->cancelling && !following->answered) {
        following->cancelling = true;
        following->cancel_task.run = cancel_there;
        sys_loop_post(request->node->loops[0], &following->cancel_task);
    }
}

/* --- the request --- */

static err_t check(const struct request *request) {
    const struct fetch_request *message = request->message;
    if (message->cluster_id.data != NULL &&
        !str_equal(message->cluster_id, str_from_c(request->node->cluster_id))) {
        return ERR_INCONSISTENT_CLUSTER_ID;
    }
    bool metadata_log =
        message->topics_count == 1 && uuid_equal(message->topics[0].topic_id, UUID_ONE) &&
        message->topics[0].partitions_count == 1 && message->topics[0].partitions[0].partition == 0;
    return metadata_log ? ERR_OK : ERR_INVALID_REQUEST;
}

void handle_controller_fetch(struct request *request) {
    const struct fetch_request *message = request->message;
    err_t err = check(request);
    if (err != ERR_OK) {
        refuse(request, err);
        return;
    }
    const struct fetch_request_fetch_partition *partition = &message->topics[0].partitions[0];
    struct following *following = ARENA_NEW(&request->arena, struct following);
    following->request = request;
    following->fetch = (struct quorum_fetch){
        .replica_id =
            message->replica_id >= 0 ? message->replica_id : message->replica_state.replica_id,
        .directory_id = partition->replica_directory_id,
        .leader_epoch = partition->current_leader_epoch,
        .offset = partition->fetch_offset,
        .last_epoch = partition->last_fetched_epoch,
        .known_high_watermark = partition->high_watermark,
        .size_max = message->max_bytes,
        .wait_ms_max = message->max_wait_ms,
        .done = fetched,
    };
    request->follower_fetch = following->fetch.replica_id >= 0;
    request->context = following;
    request->cancel = cancelled;
    net_request_park(request->net);
    request->message = NULL;
    request->client_id = STR_NULL;
    net_request_drop_frame(request->net); /* it may wait long for very little */
    following->task.run = begin;
    sys_loop_post(request->node->loops[0], &following->task);
}
