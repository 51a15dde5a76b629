#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "sys/loop.h"

/*
 * The end of a transaction in partitions of this node: a COMMIT or ABORT marker of one producer in
 * each. The transaction's coordinator calls it, and the handler of WriteTxnMarkers.
 */
struct node;
struct partition;

/*
 * A partition and what became of its marker:
 *
 *   OK                              it is in the log and committed
 *   UNKNOWN_TOPIC_OR_PARTITION      it is not kept here; its leader may be elsewhere or be
 *                                   starting: only who sees in the image that it is gone has
 *                                   no marker to write
 *   NOT_LEADER_OR_FOLLOWER,         try again later; of __consumer_offsets also while it is
 *   KAFKA_STORAGE_ERROR,            loaded
 *   NOT_ENOUGH_REPLICAS
 *   INVALID_PRODUCER_EPOCH          the producer is at a newer epoch there or, with version 2, at
 *                                   this one with a transaction that is open
 *   CONCURRENT_TRANSACTIONS         an older transaction of the producer has to be ended first
 *   TRANSACTION_COORDINATOR_FENCED  a newer coordinator has written there
 */
struct txn_marker_part {
    struct str topic;
    int32_t partition;
    err_t err; /* out */
};

struct txn_markers {
    /* The caller's; all of it stays as it is until `done`. */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t coordinator_epoch;   /* leader epoch of the coordinator's partition */
    int16_t transaction_version; /* of the transaction: 2 demands an epoch above the records' */
    bool commit;                 /* else abort */
    bool exact; /* ends only the transaction that has these offsets, else INVALID_TXN_STATE, */
    const struct partition *partition; /* in this one: not in another that has its name by now */
    int64_t first_offset;
    int64_t last_offset;
    struct txn_marker_part *parts;
    int32_t part_count;
    struct sys_loop *loop; /* one of the node's */
    void (*done)(
        struct txn_markers *markers); /* on `loop`, once; perhaps before the call returns */

    /* This module's. */
    struct txn_marker_write *writes;
    int32_t pending;
};

/* On `markers->loop`. The same marker may be written again: one that ends no transaction changes
 * nothing but the producer's epochs. */
void txn_markers_write(struct node *node, struct txn_markers *markers);
