/*
 * Produce: records into partitions.
 *
 *   with transactional records   produce_txn.h: the partitions are in the transaction
 *   per partition                name or id ──► partition ──► append ──┬── done
 *                                                                       └── pending: its worker
 *                                                                           will tell
 *   when none is pending         answer
 *
 * All partitions are begun in the order of the request, and a partition takes its appends in the
 * order in which they were begun, so the order of requests on a connection is kept whatever is
 * pending. With acks=0 nothing is sent; a failure closes the connection, so that the producer looks
 * for itself (as Kafka does).
 *
 * A partition that is named twice is written once, with what came last, and a topic has one place
 * in the answer, however often it is named: Kafka gathers the request in maps.
 */
#include "server/handlers/produce.h"
#include "server/handlers/handlers.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct produce_request_topic_produce_data produce_topic;
typedef struct produce_request_partition_produce_data produce_partition;
typedef struct produce_response_topic_produce_response topic_answer;
typedef struct produce_response_partition_produce_response partition_answer;
typedef struct produce_response_batch_index_and_error_message record_error;

enum { VERSION_OF_LEADERS = 10, VERSION_OF_CONCURRENT = 12 };

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

/* Where the log starts is told with what the log or the records' checks refuse, but not with these.
 */
static bool tells_log_start(err_t err) {
    switch (err) {
    case ERR_UNKNOWN_TOPIC_OR_PARTITION:
    case ERR_NOT_LEADER_OR_FOLLOWER:
    case ERR_MESSAGE_TOO_LARGE:
    case ERR_RECORD_LIST_TOO_LARGE:
    case ERR_INVALID_TOPIC_EXCEPTION:
    case ERR_CORRUPT_MESSAGE:
    case ERR_KAFKA_STORAGE_ERROR:
    case ERR_UNKNOWN_TOPIC_ID:
        return false;
    default:
        return true;
    }
}

static int64_t told_log_start(struct produce_part *part, err_t err) {
    struct partition_offsets offsets;
    if (err == ERR_OK) {
        return part->append.log_start_offset;
    }
    if (part->partition == NULL || !tells_log_start(err_from_kafka_code(err_kafka_code(err))) ||
        partition_offsets(part->partition, PARTITION_ANY_EPOCH, &offsets) != ERR_OK) {
        return -1;
    }
    return offsets.log_start_offset;
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

/* The producer's transaction of before is being ended: old clients do not know that word here. */
static err_t told_err(const struct produce_part *part) {
    err_t err = part->append.write.err;
    bool knows = part->produce->request->version >= VERSION_OF_CONCURRENT;
    return err == ERR_CONCURRENT_TRANSACTIONS && !knows ? ERR_NOT_ENOUGH_REPLICAS : err;
}

static void fill_answer(struct produce_part *part) {
    struct produce *produce = part->produce;
    struct request *request = produce->request;
    struct partition_append *append = &part->append;
    partition_answer *answer = part->answer;
    err_t err = told_err(part);

    answer->error_code = err_kafka_code(err);
    answer->base_offset = err == ERR_OK ? append->first_offset : -1;
    answer->log_append_time_ms = err == ERR_OK ? append->log_append_time_ms : -1;
    answer->log_start_offset = told_log_start(part, err);
    if (err != ERR_OK) {
        produce->failed = true;
        fill_record_errors(request, part);
        topic_metrics_refused(request, &append->refusal);
        if (err == ERR_NOT_LEADER_OR_FOLLOWER && request->version >= VERSION_OF_LEADERS) {
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

static void one_done(struct produce *produce) {
    produce->pending--;
    if (produce->pending > 0) {
        return;
    }
    if (produce->parked) {
        atomic_fetch_sub(&produce->request->node->produces_pending, 1);
    }
    respond(produce);
}

static void part_done(struct partition_write *write) {
    struct produce_part *part = container_of(write, struct produce_part, append.write);
    struct produce *produce = part->produce;
    fill_answer(part);
    one_done(produce);
}

static err_t check_transaction(struct produce_part *part, const struct produce_txn *txn) {
    if (txn == NULL) {
        return ERR_OK;
    }
    part->append.txn = txn->txn;
    part->append.refusal.message = txn->message;
    return txn->err;
}

/* What coordinators write is theirs; Kafka lets one client mend it, which it knows by its name. */
static err_t check_internal(const struct request *request, const struct meta_topic *topic) {
    bool mends = str_equal(request->client_id, STR("__admin_client"));
    return topic_is_internal(topic->name) && !mends ? ERR_INVALID_TOPIC_EXCEPTION : ERR_OK;
}

/* Finds the partition, in Kafka's order of checks. */
static err_t find_part(struct request *request, const struct meta_topic *topic, err_t topic_err,
                       const struct named_part *named, struct produce_part *part) {
    const struct produce_request *message = request->message;
    const produce_partition *data = named->data;
    if (part->produce->refused != ERR_OK) {
        part->append.refusal.message = part->produce->why;
        return part->produce->refused;
    }
    if (topic_err != ERR_OK) {
        return topic_err;
    }
    if (meta_topic_partition(topic, data->index) == NULL) {
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    err_t err = record_set_check_request(request->version, data->records);
    if (err == ERR_CORRUPT_MESSAGE) {
        part->append.refusal.message = record_set_corrupt_message(data->records, &part->arena);
    }
    if (err == ERR_OK) {
        err = check_transaction(part, named->txn);
    }
    if (err == ERR_OK && (message->acks < -1 || message->acks > 1)) {
        err = ERR_INVALID_REQUIRED_ACKS;
    }
    if (err == ERR_OK) {
        err = check_internal(request, topic);
    }
    return err == ERR_OK ? topic_partition_find(request, topic, data->index, &part->partition)
                         : err;
}

/* Records that wait for their transaction: none that follow may come first. */
static void note_unverified(struct request *request, const struct meta_topic *topic,
                            struct produce_part *part, err_t err) {
    struct partition *partition;
    if (topic_partition_find(request, topic, part->answer->index, &partition) == ERR_OK) {
        partition_append_refuse(partition, &part->append, err);
        partition_unref(partition);
    }
}

static void begin_part(struct produce *produce, const struct meta_topic *topic, err_t topic_err,
                       const struct named_part *named, partition_answer *answer) {
    struct request *request = produce->request;
    const produce_partition *data = named->data;
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
    err_t err = find_part(request, topic, topic_err, named, part);
    if (err != ERR_OK) {
        part->append.write.err = err;
        if (topic != NULL && named->txn != NULL && named->txn->err != ERR_OK) {
            note_unverified(request, topic, part, err);
        }
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

/* --- the request --- */

static void begin_parts(struct produce *produce) {
    struct request *request = produce->request;
    const struct named_parts *parts = &produce->parts;
    const struct produce_request *message = request->message;
    for (int32_t i = 0; i < produce->response.responses_count; i++) {
        topic_answer *answer = &produce->response.responses[i];
        answer->partition_responses =
            ARENA_ARRAY(&request->arena, partition_answer, answer->partition_responses_count);
        answer->partition_responses_count = 0;
    }
    const struct meta_topic *topic = NULL;
    err_t err = ERR_OK;
    for (int32_t i = 0, found = -1; i < parts->count; i++) {
        const struct named_part *part = &parts->items[i];
        if (part->topic != found) {
            topic = NULL;
            err = produce_find_topic(request, &message->topic_data[part->topic], &topic);
            found = part->topic;
        }
        if (!part->superseded) {
            topic_answer *answer = part->answer;
            begin_part(produce, topic, err, part,
                       &answer->partition_responses[answer->partition_responses_count++]);
        }
    }
}

static void verified(struct produce_txns *txns) {
    struct produce *produce = container_of(txns, struct produce, txns);
    begin_parts(produce);
    one_done(produce);
}

static void park(struct produce *produce) {
    struct request *request = produce->request;
    produce->parked = true;
    atomic_fetch_add(&request->node->produces_pending, 1);
    net_request_park(request->net);
    /* What comes next on the connection finds these records there, as with Kafka. */
    net_request_hold_others(request->net);
}

void handle_produce(struct request *request) {
    const struct produce_request *message = request->message;
    struct produce *produce = ARENA_NEW(&request->arena, struct produce);
    produce->request = request;
    produce->pending = 1;
    wire_init(&produce_response_type, &produce->response);
    produce->response.responses =
        ARENA_ARRAY(&request->arena, topic_answer, message->topic_data_count);
    produce_list_parts(produce);
    produce->refused = produce_check(produce);
    if (produce->refused == ERR_OK && produce->txns.count > 0 &&
        produce_txns_look(&produce->txns)) {
        park(produce);
        produce->txns.done = verified;
        produce_txns_ask(&produce->txns);
        return;
    }
    begin_parts(produce);
    if (produce->pending > 1) {
        park(produce);
    }
    one_done(produce);
}
