#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "sys/loop.h"

/*
 * Whether partitions are in a producer's open transaction, as its coordinator knows. Produce and
 * TxnOffsetCommit ask before they write anything that only the coordinator's marker can end.
 */
struct node;

enum txn_verify_mode {
    TXN_VERIFY_ONLY, /* AddPartitionsToTxn with VerifyOnly: what is not in the transaction is an
                        error */
    TXN_VERIFY_ADD,  /* clients of transaction.version 2: it is added, which may begin the
                        transaction */
};

/* What the coordinator says of a partition, as in an answer to AddPartitionsToTxn:
 *   OK
 *   TRANSACTION_ABORTABLE                    TXN_VERIFY_ONLY: it is not in the transaction
 *   INVALID_TXN_STATE, INVALID_PRODUCER_ID_MAPPING, INVALID_PRODUCER_EPOCH, PRODUCER_FENCED
 *   CONCURRENT_TRANSACTIONS                  the one before is being ended
 *   COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR
 *   UNKNOWN_TOPIC_OR_PARTITION, OPERATION_NOT_ATTEMPTED
 */
struct txn_verify_part {
    struct str topic;
    int32_t partition;
    err_t err; /* out */
};

struct txn_verify {
    /* The caller's; all of it stays as it is until `done`. */
    struct str transactional_id;
    int64_t producer_id;
    int16_t producer_epoch;
    enum txn_verify_mode mode;
    struct txn_verify_part *parts; /* at least one */
    int32_t part_count;
    struct sys_loop *loop;                   /* one of the node's */
    void (*done)(struct txn_verify *verify); /* on `loop`, once; perhaps before the call returns */
};

/* On `verify->loop`. */
void txn_verify_begin(struct node *node, struct txn_verify *verify);
