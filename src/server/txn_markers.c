/*
 * Markers into partitions of this node.
 *
 *   part                  how its marker is written
 *   -------------------   --------------------------------------------------------------------
 *   __consumer_offsets    by its group coordinator: what the transaction committed changes with
 *                         the append, in the order of the log
 *   any other             a control batch, appended to the partition as its own write
 *
 * All are begun at once; each is done when its marker is committed, or was refused. A partition's
 * last stable offset moves with the commit of the marker, and who waits to read is woken then.
 */
#include "server/txn_markers.h"

#include <assert.h>
#include <stdlib.h>

#include "server/node_int.h"
#include "sys/sys.h"
#include "wire/api_keys.h"
#include "wire/batch_builder.h"
#include "wire/codec.h"
#include "wire/messages.h"

typedef struct write_txn_markers_request_writable_txn_marker marker_request;
typedef struct write_txn_markers_request_writable_txn_marker_topic topic_request;

/* One part. The request is of its group coordinator; the others append. */
struct txn_marker_write {
    struct txn_markers *markers;
    struct txn_marker_part *part;
    struct arena arena;

    struct partition *partition;
    struct partition_append append;
    struct buffer batch;

    struct coord_call call;
    struct partition_txn txn;
    struct write_txn_markers_request request;
    marker_request marker;
    topic_request topic;
};

static void one_done(struct txn_markers *markers) {
    markers->pending--;
    if (markers->pending == 0) {
        free(markers->writes);
        markers->writes = NULL;
        markers->done(markers);
    }
}

static void write_end(struct txn_marker_write *write, err_t err) {
    write->part->err = err;
    buffer_done(&write->batch);
    arena_done(&write->arena);
    partition_unref(write->partition);
    one_done(write->markers);
}

/* --- by the partition itself --- */

static void append_end(struct txn_marker_write *write) {
    partition_append_done(&write->append);
    write_end(write, err_from_kafka_code(err_kafka_code(write->append.write.err)));
}

static void append_done(struct partition_write *base) {
    append_end(container_of(base, struct txn_marker_write, append.write));
}

static void build_marker(struct txn_marker_write *write, int64_t now_ms) {
    const struct txn_markers *markers = write->markers;
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.producer_id = markers->producer_id;
    options.producer_epoch = markers->producer_epoch;
    batch_build_end_transaction(&write->batch, &options, now_ms, markers->commit,
                                markers->coordinator_epoch);
}

static struct partition_txn txn_of(const struct txn_markers *markers) {
    return (struct partition_txn){.version = markers->transaction_version,
                                  .exact = markers->exact,
                                  .first_offset = markers->first_offset,
                                  .last_offset = markers->last_offset};
}

static void begin_append(struct reactor *reactor, struct txn_marker_write *write) {
    build_marker(write, sys_wall_ms(reactor->node->sys));
    write->append = (struct partition_append){
        .write = {.done = append_done, .loop = reactor->loop},
        .records = write->batch.data,
        .size = write->batch.size,
        .leader_epoch = PARTITION_ANY_EPOCH,
        .all_acks = true,
        .coordinator = true,
        .txn = txn_of(write->markers),
        .arena = &write->arena,
        .compression = reactor->compression,
    };
    if (partition_append(write->partition, &write->append) != ERR_PENDING) {
        append_end(write);
    }
}

/* --- by the group coordinator --- */

/* The transaction's coordinator knows of none of the group's: it has to try again. */
static err_t marker_error(err_t err) {
    switch (err) {
    case ERR_COORDINATOR_NOT_AVAILABLE:
    case ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case ERR_NOT_COORDINATOR:
        return ERR_NOT_LEADER_OR_FOLLOWER;
    default:
        return err;
    }
}

static void call_done(struct coord_call *call) {
    struct txn_marker_write *write = container_of(call, struct txn_marker_write, call);
    const struct write_txn_markers_response *response = call->response;
    int16_t code = response->markers[0].topics[0].partitions[0].error_code;
    write_end(write, marker_error(err_from_kafka_code(code)));
}

static void begin_call(struct reactor *reactor, struct txn_marker_write *write) {
    const struct txn_markers *markers = write->markers;
    write->topic = (topic_request){.name = write->part->topic,
                                   .partition_indexes = &write->part->partition,
                                   .partition_indexes_count = 1};
    write->marker = (marker_request){.producer_id = markers->producer_id,
                                     .producer_epoch = markers->producer_epoch,
                                     .transaction_result = markers->commit,
                                     .topics = &write->topic,
                                     .topics_count = 1,
                                     .coordinator_epoch = markers->coordinator_epoch,
                                     .transaction_version = (int8_t)markers->transaction_version};
    write->request =
        (struct write_txn_markers_request){.markers = &write->marker, .markers_count = 1};
    write->txn = txn_of(markers);
    write->call = (struct coord_call){
        .txn = &write->txn,
        .api_key = API_WRITE_TXN_MARKERS,
        .version = wire_version_max(&write_txn_markers_request_type),
        .arena = &write->arena,
        .request = &write->request,
        .loop = reactor->loop,
        .done = call_done,
    };
    coord_submit_to(reactor->node->coord, &write->call, write->part->partition);
}

/* --- all of it --- */

static void begin_part(struct reactor *reactor, struct txn_marker_write *write) {
    const struct txn_marker_part *part = write->part;
    const struct meta_topic *topic = meta_image_topic(reactor->image, part->topic);
    if (topic != NULL && meta_topic_partition(topic, part->partition) != NULL) {
        write->partition = replicas_find(reactor->node->replicas, topic->id, part->partition);
    }
    if (write->partition == NULL) {
        write_end(write, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    } else if (write->markers->exact && write->partition != write->markers->partition) {
        write_end(write, ERR_INVALID_TXN_STATE);
    } else if (str_equal(part->topic, STR("__consumer_offsets"))) {
        begin_call(reactor, write);
    } else {
        begin_append(reactor, write);
    }
}

void txn_markers_write(struct node *node, struct txn_markers *markers) {
    struct reactor *reactor = node_reactor(node, markers->loop);
    int32_t count = markers->part_count;
    markers->writes = calloc((size_t)count + 1, sizeof *markers->writes);
    assert(markers->writes != NULL);
    markers->pending = count + 1; /* the last: all were begun */
    for (int32_t i = 0; i < count; i++) {
        struct txn_marker_write *write = &markers->writes[i];
        write->markers = markers;
        write->part = &markers->parts[i];
        arena_init(&write->arena, SIZE_MAX);
        begin_part(reactor, write);
    }
    one_done(markers);
}
