#pragma once

#include "replica/partition.h"
#include "server/request.h"
#include "server/txn_verify.h"

/*
 * The records of a transaction in a Produce request, before they are appended: each partition that
 * has none of the transaction yet must be part of it for its coordinator, which alone can end it
 * (KIP-890). Producers of before Produce 12 have said so themselves, and it is verified; for others
 * the coordinator is told here.
 */
struct produce_txn {
    /* In; of the first batch. */
    struct str topic; /* as long as the request lives */
    int32_t index;
    int64_t producer_id;
    int16_t producer_epoch;

    /* Out. */
    err_t err; /* what the producer is told; OK: to be appended with `txn` */
    struct str message;
    struct partition_txn txn;
};

struct produce_txns {
    /* The caller's. */
    struct request *request; /* its message is a Produce with a transactional id */
    struct produce_txn *items;
    int32_t count;
    void (*done)(struct produce_txns *txns); /* of produce_txns_ask */

    /* This module's. */
    struct txn_verify verify;
    int32_t *places; /* of verify's parts among the items */
    struct sys_timer timer;
    int64_t retry_ms_max; /* sys_loop_now_ms */
};

/* All are of one producer. Whether the coordinator has to be asked; if not, the outcome is there.
 */
bool produce_txns_look(struct produce_txns *txns);

/* Asks it; `done` is called once, perhaps before the call returns. */
void produce_txns_ask(struct produce_txns *txns);
