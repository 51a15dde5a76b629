#pragma once

#include "base/rng.h"
#include "client/fake_log_test_int.h"

/*
 * Fake brokers with a transaction coordinator as Apache Kafka's, for one producer (transactional id
 * "mover", topic "orders", group "readers" at another broker's), in both of its ways: with
 * AddPartitionsToTxn, and with transaction.version 2, where partitions join by being written and
 * EndTxn bumps the epoch. What is wrong whatever happens fails the test; what a test wants to go
 * wrong are faults.
 */
enum {
    FAKE_TRANSACTIONS_PARTITIONS = 4,
    FAKE_TRANSACTIONS_VALUES_MAX = 4000,
    FAKE_FAULTS_MAX = 8,
};

enum fake_fault {
    LOSE_REQUEST, /* the connection is closed before it is seen */
    LOSE_ANSWER,  /* it is done, and the connection closed */
    HOLD,         /* neither done nor answered */
    REFUSE,       /* answered with an error */
};

struct fake_transactions {
    struct fake_cluster *cluster;
    bool implicit;        /* transaction.version 2 */
    int16_t told_version; /* of it, by ApiVersions */

    int64_t id;
    int16_t epoch;
    int16_t ended_epoch; /* that of the last EndTxn, which may come again */
    bool ended_committed;
    bool ongoing;
    bool joined[FAKE_TRANSACTIONS_PARTITIONS];
    bool group;
    int commits;
    int aborts;
    int64_t pending_offset;
    int64_t offset; /* of the group; -1: none */
    int strays;     /* batches outside of a transaction */

    struct fake_log logs[FAKE_TRANSACTIONS_PARTITIONS];
    size_t stable[FAKE_TRANSACTIONS_PARTITIONS]; /* what is behind it is of the open transaction */
    uint64_t committed[FAKE_TRANSACTIONS_PARTITIONS][FAKE_TRANSACTIONS_VALUES_MAX];
    size_t committed_count[FAKE_TRANSACTIONS_PARTITIONS];

    struct fake_fault_row {
        int16_t api_key;
        enum fake_fault kind;
        int count; /* of calls that it hits */
        err_t err;
    } faults[FAKE_FAULTS_MAX];
    int fault_count;
    uint32_t chance; /* 1 in so many calls is lost, or its answer; 0: none */
    struct rng rng;
    int calls[API_KEYS_MAX];
};

/* Takes over the cluster's hook. */
void fake_transactions_init(struct fake_transactions *fake, struct fake_cluster *cluster,
                            bool implicit);
void fake_transactions_done(struct fake_transactions *fake);

void fake_transactions_fault(struct fake_transactions *fake, int16_t api_key, enum fake_fault kind,
                             int count, err_t err);

/* As the coordinator does it, when time is over or a newer producer comes. */
void fake_transactions_end(struct fake_transactions *fake, bool commit);
