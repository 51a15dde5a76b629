/*
 * Produce: records into partitions.
 *
 *   per partition   name or id ──► partition ──► append ──┬── done
 *                                                          └── pending: its worker will tell
 *   when none is pending                                    answer
 *
 * All partitions are begun in the order of the request, and a partition takes its appends in the
 * order in which they were begun, so the order of requests on a connection is kept whatever is
 * pending. With acks=0 nothing is sent; a failure closes the connection, so that the producer looks
 * for itself (as Kafka does).
 */
#include "replica/partition.h"
#include "server/handlers/handlers.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct produce_request_topic_produce_data produce_topic;
typedef struct produce_request_partition_produce_data produce_partition;
typedef struct produce_response_topic_produce_response topic_answer;
typedef struct produce_response_partition_produce_response partition_answer;
typedef struct produce_response_batch_index_and_error_message record_error;

struct produce {
    struct request *request;
    struct produce_response response;
    int32_t pending;
    bool failed;
    bool parked;
};

/* One partition of the request. Its arena is its own, because a worker may fill it while others of
 * the request are worked on. */
struct produce_part {
    struct partition_append append;
    struct arena arena;
    struct produce *produce;
    struct partition *partition;
    struct str topic;
    partition_answer *answer;
};

/* Where the leaders named in the answer are (KIP-951). */
static void fill_endpoints(struct produce *produce) {
    struct request *request = produce->request;
    for (int32_t i = 0; i < produce->response.responses_count; i++) {
        const topic_answer *topic = &produce->response.responses[i];
        for (int32_t p = 0; p < topic->partition_responses_count; p++) {
            int32_t leader = topic->partition_responses[p].current_leader.leader_id;
            struct topic_endpoint endpoint;
            if (leader >= 0 && produce->response.node_endpoints_count == 0 &&
                topic_endpoint_find(request, leader, &endpoint)) {
                struct produce_response_node_endpoint *node =
                    ARENA_NEW(&request->arena, struct produce_response_node_endpoint);
                *node = (struct produce_response_node_endpoint){.node_id = leader,
                                                                .host = endpoint.host,
                                                                .port = endpoint.port,
                                                                .rack = endpoint.rack};
                produce->response.node_endpoints = node;
                produce->response.node_endpoints_count = 1;
            }
        }
    }
}

static void respond(struct produce *produce) {
    struct request *request = produce->request;
    const struct produce_request *message = request->message;
    if (message->acks != 0) {
        fill_endpoints(produce);
        request_respond(request, &produce->response);
    } else if (produce->failed) {
        request_close(request, "a produce request with acks=0 failed");
    } else {
        request_respond_nothing(request);
    }
}

static void fill_record_errors(struct request *request, struct produce_part *part) {
    const struct record_set_refusal *refusal = &part->append.refusal;
    partition_answer *answer = part->answer;
    answer->error_message = arena_str(&request->arena, refusal->message);
    answer->record_errors = ARENA_ARRAY(&request->arena, record_error, refusal->error_count);
    answer->record_errors_count = refusal->error_count;
    for (int32_t i = 0; i < refusal->error_count; i++) {
        answer->record_errors[i] = (record_error){
            .batch_index = refusal->errors[i].record_index,
            .batch_index_error_message = arena_str(&request->arena, refusal->errors[i].message)};
    }
}

/* Leader and epoch for a client that asked the wrong node (KIP-951). */
static void fill_leader(struct request *request, struct produce_part *part) {
    const struct meta_topic *topic = meta_image_topic(request_image(request), part->topic);
    const struct meta_partition *state =
        topic == NULL ? NULL : meta_topic_partition(topic, part->answer->index);
    if (state != NULL) {
        part->answer->current_leader.leader_id = state->leader;
        part->answer->current_leader.leader_epoch = state->leader_epoch;
    }
}

static void fill_answer(struct produce_part *part) {
    struct produce *produce = part->produce;
    struct request *request = produce->request;
    struct partition_append *append = &part->append;
    partition_answer *answer = part->answer;
    err_t err = append->write.err;

    answer->error_code = err_kafka_code(err);
    answer->base_offset = err == ERR_OK ? append->first_offset : -1;
    answer->log_append_time_ms = err == ERR_OK ? append->log_append_time_ms : -1;
    answer->log_start_offset = err == ERR_OK ? append->log_start_offset : -1;
    if (err != ERR_OK) {
        produce->failed = true;
        fill_record_errors(request, part);
        if (err == ERR_NOT_LEADER_OR_FOLLOWER) {
            fill_leader(request, part);
        }
    }
    topic_metrics_produced(request, part->topic, err, append->record_count, append->appended_size,
                           append->size);
    partition_append_done(append);
    arena_done(&part->arena);
    partition_unref(part->partition);
    part->partition = NULL;
}

static void part_done(struct partition_write *write) {
    struct produce_part *part = container_of(write, struct produce_part, append.write);
    struct produce *produce = part->produce;
    fill_answer(part);
    produce->pending--;
    if (produce->pending == 0 && produce->parked) {
        respond(produce);
    }
}

/* Finds the partition, in Kafka's order of checks. */
static err_t find_part(struct request *request, const struct meta_topic *topic, err_t topic_err,
                       const produce_partition *data, struct partition **ret_partition) {
    if (topic_err != ERR_OK) {
        return topic_err;
    }
    if (meta_topic_partition(topic, data->index) == NULL) {
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    err_t err = record_set_check_request(request->version, data->records);
    if (err != ERR_OK) {
        return err;
    }
    const struct produce_request *message = request->message;
    if (message->acks < -1 || message->acks > 1) {
        return ERR_INVALID_REQUIRED_ACKS;
    }
    return topic_partition_find(request, topic, data->index, ret_partition);
}

static void begin_part(struct produce *produce, const struct meta_topic *topic, err_t topic_err,
                       const produce_partition *data, partition_answer *answer) {
    struct request *request = produce->request;
    const struct produce_request *message = request->message;
    *answer = (partition_answer){.index = data->index,
                                 .current_leader = {.leader_id = -1, .leader_epoch = -1}};

    struct produce_part *part = ARENA_NEW(&request->arena, struct produce_part);
    arena_init(&part->arena, SIZE_MAX);
    part->produce = produce;
    part->answer = answer;
    part->topic = topic == NULL ? STR_NULL : topic->name;
    part->append = (struct partition_append){
        .write = {.done = part_done, .loop = request->reactor->loop},
        .records = (uint8_t *)(uintptr_t)data->records.data, /* our own frame's bytes */
        .size = data->records.size,
        .leader_epoch = PARTITION_ANY_EPOCH,
        .all_acks = message->acks == -1,
        .arena = &part->arena,
        .compression = request->reactor->compression,
    };
    err_t err = find_part(request, topic, topic_err, data, &part->partition);
    if (err != ERR_OK) {
        part->append.write.err = err;
        fill_answer(part);
        return;
    }
    part->topic = partition_topic(part->partition); /* the image may move on meanwhile */
    if (partition_append(part->partition, &part->append) == ERR_PENDING) {
        produce->pending++;
    } else {
        fill_answer(part);
    }
}

static void begin_topic(struct produce *produce, const produce_topic *data, topic_answer *answer) {
    struct request *request = produce->request;
    const struct meta_topic *topic = NULL;
    err_t err = request->version >= 13 ? topic_find_by_id(request, data->topic_id, &topic)
                                       : topic_find(request, data->name, &topic);
    answer->name = data->name;
    answer->topic_id = data->topic_id;
    answer->partition_responses_count = data->partition_data_count;
    answer->partition_responses =
        ARENA_ARRAY(&request->arena, partition_answer, data->partition_data_count);
    for (int32_t i = 0; i < data->partition_data_count; i++) {
        begin_part(produce, topic, err, &data->partition_data[i], &answer->partition_responses[i]);
    }
}

void handle_produce(struct request *request) {
    const struct produce_request *message = request->message;
    struct produce *produce = ARENA_NEW(&request->arena, struct produce);
    produce->request = request;
    wire_init(&produce_response_type, &produce->response);
    produce->response.responses_count = message->topic_data_count;
    produce->response.responses =
        ARENA_ARRAY(&request->arena, topic_answer, message->topic_data_count);
    for (int32_t i = 0; i < message->topic_data_count; i++) {
        begin_topic(produce, &message->topic_data[i], &produce->response.responses[i]);
    }
    if (produce->pending == 0) {
        respond(produce);
    } else {
        produce->parked = true;
        net_request_park(request->net);
    }
}
