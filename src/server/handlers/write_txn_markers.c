/*
 * WriteTxnMarkers: the ends of transactions, from their coordinators or from an operator's tool.
 *
 * A partition takes its markers in the order of the request. As Kafka gathers the answer in maps,
 * it has one place for each producer of which a partition was named, and in it one for each topic.
 */
#include "base/limits.h"
#include "base/map.h"
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

/* --- the answer --- */

/* What is answered of one producer. */
struct producer {
    answer_marker *answer;
    struct map topics; /* answer_topic by name */
};

static struct producer *producer_of(struct write *write, struct map *producers,
                                    struct write_txn_markers_response *response,
                                    const asked_marker *asked) {
    struct producer *producer = map_get_u64(producers, (uint64_t)asked->producer_id);
    if (producer == NULL) {
        producer = ARENA_NEW(&write->request->arena, struct producer);
        map_init(&producer->topics);
        producer->answer = &response->markers[response->markers_count++];
        producer->answer->producer_id = asked->producer_id;
        map_put_u64(producers, (uint64_t)asked->producer_id, producer);
    }
    return producer;
}

static answer_topic *topic_of(struct write *write, struct producer *producer, struct str name) {
    answer_topic *topic = map_get(&producer->topics, str_bytes(name));
    if (topic == NULL) {
        topic = ARENA_NEW(&write->request->arena, answer_topic);
        topic->name = name;
        map_put(&producer->topics, str_bytes(name), topic);
    }
    return topic;
}

static void add_marker(struct write *write, struct producer *producer, const asked_marker *asked,
                       const struct txn_marker_part *parts) {
    for (int32_t t = 0; t < asked->topics_count; t++) {
        int32_t count = asked->topics[t].partition_indexes_count;
        if (count == 0) {
            continue;
        }
        answer_topic *topic = topic_of(write, producer, asked->topics[t].name);
        topic->partitions =
            arena_extend(&write->request->arena, topic->partitions, (size_t)topic->partitions_count,
                         (size_t)count, sizeof(answer_partition));
        for (int32_t p = 0; p < count; p++, parts++) {
            topic->partitions[topic->partitions_count++] = (answer_partition){
                .partition_index = parts->partition, .error_code = err_kafka_code(parts->err)};
        }
    }
}

/* Puts the topics into the answer. */
static void finish_producer(struct write *write, struct producer *producer) {
    answer_marker *answer = producer->answer;
    answer->topics =
        ARENA_ARRAY(&write->request->arena, answer_topic, map_count(&producer->topics));
    const answer_topic *topic;
    size_t cursor;
    map_for_each (&producer->topics, cursor, topic) {
        answer->topics[answer->topics_count++] = *topic;
    }
    map_done(&producer->topics);
}

static void respond(struct write *write) {
    struct request *request = write->request;
    const struct write_txn_markers_request *message = request->message;
    struct write_txn_markers_response response;
    wire_init(&write_txn_markers_response_type, &response);
    response.markers = ARENA_ARRAY(&request->arena, answer_marker, message->markers_count);
    struct map producers;
    map_init(&producers);
    for (int32_t i = 0; i < message->markers_count; i++) {
        const asked_marker *asked = &message->markers[i];
        const struct txn_markers *markers = &write->markers[i].write;
        if (markers->part_count > 0) {
            add_marker(write, producer_of(write, &producers, &response, asked), asked,
                       markers->parts);
        }
    }
    struct producer *producer;
    size_t cursor;
    map_for_each (&producers, cursor, producer) {
        finish_producer(write, producer);
    }
    map_done(&producers);
    request_respond(request, &response);
}

/* --- the request --- */

static void one_done(struct write *write) {
    write->pending--;
    if (write->pending == 0) {
        respond(write);
    }
}

static void marker_done(struct txn_markers *markers) {
    one_done(container_of(markers, struct marker, write)->all);
}

static bool is_too_much(const struct write_txn_markers_request *message) {
    int64_t count = message->markers_count;
    for (int32_t i = 0; i < message->markers_count; i++) {
        for (int32_t t = 0; t < message->markers[i].topics_count; t++) {
            count += message->markers[i].topics[t].partition_indexes_count;
        }
    }
    return count > TXN_PARTITIONS_MAX;
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

/* Kafka fails inside. Without an id or an epoch the marker would end no transaction, and nobody
 * could tell whose it is. */
static bool is_of_nobody(const asked_marker *asked) {
    return asked->producer_id < 0 || asked->producer_epoch < 0;
}

static void refuse(struct txn_markers *markers) {
    for (int32_t i = 0; i < markers->part_count; i++) {
        markers->parts[i].err = ERR_INVALID_REQUEST;
    }
    marker_done(markers);
}

void handle_write_txn_markers(struct request *request) {
    const struct write_txn_markers_request *message = request->message;
    struct arena *arena = &request->arena;
    if (is_too_much(message)) {
        request_close(request, "it asks for more markers than we write at a time");
        return;
    }
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
        if (is_of_nobody(asked)) {
            refuse(&marker->write);
        } else {
            txn_markers_write(request->node, &marker->write);
        }
    }
    if (write->pending > 1) {
        net_request_park(request->net);
    }
    one_done(write);
}
