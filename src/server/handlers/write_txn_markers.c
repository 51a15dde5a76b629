/*
 * WriteTxnMarkers: the ends of transactions, from their coordinators or from an operator's tool.
 *
 * Markers are written one after the other as to a partition, all at once as to the node. The answer
 * has a place for each producer, in which its topics and partitions stand as they were asked for.
 */
#include "server/handlers/handlers.h"
#include "server/node_int.h"
#include "server/txn_markers.h"

typedef struct write_txn_markers_request_writable_txn_marker asked_marker;
typedef struct write_txn_markers_response_writable_txn_marker_result answer_marker;
typedef struct write_txn_markers_response_writable_txn_marker_topic_result answer_topic;
typedef struct write_txn_markers_response_writable_txn_marker_partition_result answer_partition;

struct marker {
    struct txn_markers write;
    struct write *all;
};

struct write {
    struct request *request;
    struct marker *markers;
    int32_t pending;
};

static answer_topic *answer_topics(struct arena *arena, const asked_marker *asked,
                                   const struct txn_marker_part *parts) {
    answer_topic *topics = ARENA_ARRAY(arena, answer_topic, asked->topics_count);
    for (int32_t t = 0; t < asked->topics_count; t++) {
        int32_t count = asked->topics[t].partition_indexes_count;
        topics[t].name = asked->topics[t].name;
        topics[t].partitions = ARENA_ARRAY(arena, answer_partition, count);
        topics[t].partitions_count = count;
        for (int32_t p = 0; p < count; p++, parts++) {
            topics[t].partitions[p] = (answer_partition){.partition_index = parts->partition,
                                                         .error_code = err_kafka_code(parts->err)};
        }
    }
    return topics;
}

static void respond(struct write *write) {
    struct request *request = write->request;
    const struct write_txn_markers_request *message = request->message;
    struct write_txn_markers_response response;
    wire_init(&write_txn_markers_response_type, &response);
    response.markers = ARENA_ARRAY(&request->arena, answer_marker, message->markers_count);
    response.markers_count = message->markers_count;
    for (int32_t i = 0; i < message->markers_count; i++) {
        const asked_marker *asked = &message->markers[i];
        response.markers[i] = (answer_marker){
            .producer_id = asked->producer_id,
            .topics = answer_topics(&request->arena, asked, write->markers[i].write.parts),
            .topics_count = asked->topics_count,
        };
    }
    request_respond(request, &response);
}

static void one_done(struct write *write) {
    write->pending--;
    if (write->pending == 0) {
        respond(write);
    }
}

static void marker_done(struct txn_markers *markers) {
    one_done(container_of(markers, struct marker, write)->all);
}

static void list_parts(struct arena *arena, const asked_marker *asked, struct txn_markers *write) {
    for (int32_t t = 0; t < asked->topics_count; t++) {
        write->part_count += asked->topics[t].partition_indexes_count;
    }
    write->parts = ARENA_ARRAY(arena, struct txn_marker_part, write->part_count);
    int32_t place = 0;
    for (int32_t t = 0; t < asked->topics_count; t++) {
        for (int32_t p = 0; p < asked->topics[t].partition_indexes_count; p++) {
            write->parts[place++] = (struct txn_marker_part){
                .topic = asked->topics[t].name, .partition = asked->topics[t].partition_indexes[p]};
        }
    }
}

void handle_write_txn_markers(struct request *request) {
    const struct write_txn_markers_request *message = request->message;
    struct arena *arena = &request->arena;
    struct write *write = ARENA_NEW(arena, struct write);
    write->request = request;
    write->markers = ARENA_ARRAY(arena, struct marker, message->markers_count);
    write->pending = message->markers_count + 1; /* the last: all were begun */
    for (int32_t i = 0; i < message->markers_count; i++) {
        const asked_marker *asked = &message->markers[i];
        struct marker *marker = &write->markers[i];
        marker->all = write;
        marker->write = (struct txn_markers){
            .producer_id = asked->producer_id,
            .producer_epoch = asked->producer_epoch,
            .coordinator_epoch = asked->coordinator_epoch,
            .transaction_version = asked->transaction_version,
            .commit = asked->transaction_result,
            .loop = request->reactor->loop,
            .done = marker_done,
        };
        list_parts(arena, asked, &marker->write);
        txn_markers_write(request->node, &marker->write);
    }
    if (write->pending > 1) {
        net_request_park(request->net);
    }
    one_done(write);
}
