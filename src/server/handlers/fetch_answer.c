/* What was read, as the answer to a fetch. */
#include <stdlib.h>

#include "server/handlers/fetch.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct fetch_response_fetchable_topic_response topic_answer;
typedef struct fetch_response_partition_data partition_answer;

enum { VERSION_OF_STORAGE_ERRORS = 6, VERSION_OF_LEADERS = 16 };

static void release_slice(void *arg) {
    log_slice_release(arg);
}

/* The aborted transactions of what was read. Records are not given without: their reader would take
 * those of aborted transactions for committed ones. */
static void find_aborted(struct fetch *fetch, struct fetch_part *part) {
    struct log_aborted *found = NULL;
    size_t count = 0;
    part->aborted_count = 0;
    if (part->err != ERR_OK || part->read.slice.size == 0) {
        return;
    }
    err_t err =
        partition_aborted_transactions(part->partition, part->item->fetch_offset,
                                       part->read.slice.end_offset, !fetch->warmed, &found, &count);
    fetch->cold = fetch->cold || err == ERR_WOULD_BLOCK;
    if (err != ERR_OK) {
        log_slice_release(&part->read.slice);
        part->err = err;
        return;
    }
    part->aborted =
        ARENA_ARRAY(&fetch->request->arena, struct fetch_response_aborted_transaction, count);
    part->aborted_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        part->aborted[i] = (struct fetch_response_aborted_transaction){
            .producer_id = found[i].producer_id, .first_offset = found[i].first_offset};
    }
    free(found);
}

void fetch_find_aborted(struct fetch *fetch) {
    for (int32_t i = 0; i < fetch->part_count && fetch->committed_only; i++) {
        find_aborted(fetch, &fetch->parts[i]);
    }
}

/* Leader and epoch for a client that asked the wrong node, and where that leader is (KIP-951). */
static void fill_leader(struct fetch *fetch, const struct fetch_part *part,
                        partition_answer *answer, struct fetch_response *response) {
    struct request *request = fetch->request;
    bool moved = part->err == ERR_NOT_LEADER_OR_FOLLOWER || part->err == ERR_FENCED_LEADER_EPOCH;
    const struct meta_topic *topic =
        moved && request->version >= VERSION_OF_LEADERS
            ? meta_image_topic_by_id(request_image(request), part->topic_id)
            : NULL;
    const struct meta_partition *state =
        topic == NULL ? NULL : meta_topic_partition(topic, part->item->index);
    if (state == NULL) {
        return;
    }
    answer->current_leader.leader_id = state->leader;
    answer->current_leader.leader_epoch = state->leader_epoch;
    struct topic_endpoint endpoint;
    if (!fetch->follower && response->node_endpoints_count == 0 &&
        topic_endpoint_find(request, state->leader, &endpoint)) {
        response->node_endpoints = ARENA_NEW(&request->arena, struct fetch_response_node_endpoint);
        response->node_endpoints[0] =
            (struct fetch_response_node_endpoint){.node_id = state->leader,
                                                  .host = endpoint.host,
                                                  .port = endpoint.port,
                                                  .rack = endpoint.rack};
        response->node_endpoints_count = 1;
    }
}

/* Clients of before KAFKA_STORAGE_ERROR are told what makes them ask again, too. */
static err_t known_error(const struct fetch *fetch, err_t err) {
    err_t code = topic_read_code(err);
    bool unknown =
        code == ERR_KAFKA_STORAGE_ERROR && fetch->request->version < VERSION_OF_STORAGE_ERRORS;
    return unknown ? ERR_NOT_LEADER_OR_FOLLOWER : code;
}

static void fill_answer(struct fetch *fetch, struct fetch_part *part, partition_answer *answer) {
    *answer = (partition_answer){
        .partition_index = part->item->index,
        .error_code = known_error(fetch, part->err),
        .high_watermark = part->err == ERR_OK ? part->read.high_watermark : -1,
        .last_stable_offset = part->err == ERR_OK ? part->read.last_stable_offset : -1,
        .log_start_offset = part->err == ERR_OK ? part->read.log_start_offset : -1,
        .diverging_epoch = {.epoch = -1, .end_offset = -1},
        .current_leader = {.leader_id = -1, .leader_epoch = -1},
        .snapshot_id = {.end_offset = -1, .epoch = -1},
        .aborted_transactions_count =
            part->unknown || fetch->refused != ERR_OK ? 0 : -1, /* null, as Kafka */
        .preferred_read_replica = -1,
        .records = {.data = WIRE_GAP, .size = part->read.slice.size},
    };
    if (part->err == ERR_OK && part->read.diverging) {
        answer->diverging_epoch.epoch = part->read.diverging_epoch;
        answer->diverging_epoch.end_offset = part->read.diverging_end_offset;
    }
    if (part->err == ERR_OK && fetch->committed_only) {
        answer->aborted_transactions = part->aborted;
        answer->aborted_transactions_count = part->aborted_count;
    }
}

/* Parts of one topic stand together in an answer as long as they do in the list. */
static bool same_topic(const struct fetch *fetch, const topic_answer *topic,
                       const struct fetch_item *item) {
    return fetch->context.by_id ? uuid_equal(topic->topic_id, item->topic_id)
                                : str_equal(topic->topic, item->topic);
}

static void fill_response(struct fetch *fetch, struct fetch_response *response,
                          struct request_file *files, size_t *ret_file_count) {
    struct arena *arena = &fetch->request->arena;
    topic_answer *topics = ARENA_ARRAY(arena, topic_answer, fetch->part_count);
    partition_answer *answers = ARENA_ARRAY(arena, partition_answer, fetch->part_count);
    int32_t answer_count = 0;
    size_t file_count = 0;
    for (int32_t i = 0; i < fetch->part_count; i++) {
        struct fetch_part *part = &fetch->parts[i];
        if (!fetch_context_tell(&fetch->context, part->item, part->err, part->read.high_watermark,
                                part->read.log_start_offset, part->read.slice.size,
                                part->read.diverging)) {
            continue;
        }
        if (response->responses_count == 0 ||
            !same_topic(fetch, &topics[response->responses_count - 1], part->item)) {
            topics[response->responses_count++] = (topic_answer){
                .topic = part->item->topic,
                .topic_id = part->item->topic_id,
                .partitions = &answers[answer_count],
            };
        }
        fill_answer(fetch, part, &answers[answer_count]);
        fill_leader(fetch, part, &answers[answer_count++], response);
        topics[response->responses_count - 1].partitions_count++;
        files[file_count++] = (struct request_file){.file = part->read.slice.file,
                                                    .position = part->read.slice.position,
                                                    .size = part->read.slice.size,
                                                    .release = release_slice,
                                                    .arg = &part->read.slice};
        topic_metrics_fetched(fetch->request, part->topic, part->err, part->read.slice.size);
    }
    response->responses = topics;
    *ret_file_count = file_count;
}

static void unref_parts(struct fetch *fetch) {
    for (int32_t i = 0; i < fetch->part_count; i++) {
        partition_unref(fetch->parts[i].partition);
        fetch->parts[i].partition = NULL;
    }
}

void fetch_respond(struct fetch *fetch) {
    struct request *request = fetch->request;
    struct fetch_sessions *sessions = request->node->fetch_sessions;
    struct fetch_response response;
    wire_init(&fetch_response_type, &response);
    struct request_file *files =
        ARENA_ARRAY(&request->arena, struct request_file, fetch->part_count + 1);
    size_t file_count = 0;
    fill_response(fetch, &response, files, &file_count);
    unref_parts(fetch);
    /* The answer names topics in the session's memory, so a session that was there is held until it
     * is encoded. One that is opened now gives its id. */
    struct fetch_context context = fetch->context;
    if (context.session == NULL) {
        fetch_context_end(sessions, &context, false);
    }
    response.error_code = err_kafka_code(fetch->refused);
    response.session_id = context.session_id;
    request_respond_files(request, &response, files, file_count);
    if (context.session != NULL) {
        fetch_context_end(sessions, &context, false);
    }
}
