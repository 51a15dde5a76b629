#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/list.h"
#include "sys/loop.h"

struct coord;

/*
 * The transaction coordinators of a node, beside coord.h: a coord of the kind
 * coord_transactions_kind has one shard for each partition of __transaction_state, whose requests
 * are InitProducerId, AddPartitionsToTxn, EndTxn, DescribeTransactions and ListTransactions.
 *
 * AddPartitionsToTxn goes to a shard in the form of version 4 and later, one transaction in each
 * call; with verify_only it asks whether partitions are part of a transaction, as leaders do for
 * producers of before. AddOffsetsToTxn is the same, for a partition of __consumer_offsets.
 *
 * What coordinators need of the rest of the node comes in as a struct coord_world.
 */
struct txn_partition {
    struct str topic;
    int32_t partition;
};

/* The end of one producer's transaction, to be written into partitions by their leaders. */
struct coord_markers {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t coordinator_epoch;
    int16_t transaction_version; /* of the client, or of the cluster when it was not the client */
    bool commit;
    const struct txn_partition *partitions;
    int32_t partition_count;
    err_t *errors; /* of each partition, filled in: ERR_OK when its marker is committed */
    struct sys_loop *loop;
    void (*done)(struct coord_markers *markers); /* once, on the loop */
};

/* A producer id that nobody has had. */
struct coord_id_wait {
    struct sys_loop *loop;
    void (*done)(struct coord_id_wait *wait, err_t err, int64_t producer_id); /* on the loop */

    /* Of whoever carries it out. */
    struct list link;
    struct sys_task task;
    err_t err;
    int64_t producer_id;
};

/* Called on a shard's loop; `done` may come before it returns. */
struct coord_world {
    void *arg;
    void (*write_markers)(void *arg, struct coord_markers *markers);
    void (*next_producer_id)(void *arg, struct coord_id_wait *wait);

    /* Producers that had transactions open in this node's partitions when it started, sorted: how
     * each of theirs ended is remembered for coord_fates. Set before the first coord_update. */
    const int64_t *watched;
    size_t watched_count;

    /* The last stop was not clean: what is loaded may be older than what producers were told. */
    bool unclean;
};

/* --- what became of a transaction that is open in a partition --- */

enum coord_fate {
    COORD_FATE_OPEN,      /* its coordinator will end it, or tell how it ended */
    COORD_FATE_LOST,      /* of its begin nothing is known; the producer may go on with it, for as
                             long as timeout_ms */
    COORD_FATE_COMMITTED, /* beyond doubt, as the next */
    COORD_FATE_ABORTED,
    COORD_FATE_UNKNOWN, /* nobody will end it, and nobody knows how it ended */
};

struct coord_fate_of {
    int64_t producer_id;
    int16_t epoch; /* of its records there */
    struct str topic;
    int32_t partition;

    /* Out. */
    enum coord_fate fate;
    int32_t timeout_ms;
    bool version_2; /* no other transaction of the producer has this epoch */
};

struct coord_fates {
    /* The caller's; all of it stays until `done`. */
    struct coord_fate_of *items; /* sorted by producer id */
    size_t count;
    struct sys_loop *loop;
    void (*done)(struct coord_fates *fates); /* on the loop, later */

    bool complete; /* out. False: some coordinator is not there yet, and nothing is certain */

    /* fates.c's. */
    struct coord *coord;
    int next_loop;
    struct sys_task task;
};

/* Of a coord of transactions; any thread. */
void coord_fates_ask(struct coord *coord, struct coord_fates *fates);

/* --- ListTransactions, whichever shard it is --- */

/* Whether a filter names a state that there is. */
bool coord_txn_state_known(struct str name);

/* Makes filters what shards expect, in place: states that there are, each once, and the ids of
 * producers in order. Once for all shards, however many filters a stranger sends. */
struct list_transactions_request;
void coord_txn_filters_prepare(struct list_transactions_request *request);

/* INVALID_REGULAR_EXPRESSION, or OK; linear in its length. */
err_t coord_txn_pattern_check(struct str pattern);
