#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "ottla/admin.h"

/*
 * Transactions that hang: a partition holds them open, and their coordinator will never end them
 * there. They keep the last stable offset, and with it whoever reads committed records, where it
 * is.
 *
 *   1. DescribeProducers: open transactions of which a partition heard nothing for a time
 *   2. ListTransactions: whose they are, by their producers' ids
 *   3. DescribeTransactions: those coordinators still have in that partition are well
 *   4. DescribeProducers: so are those that are not open any more
 *
 * In this order: a coordinator has a partition in the transaction before anything is open there,
 * and until that is ended. What is ended between 1 and 3 is told from what hangs by 4.
 */
struct hanging {
    const char *topic;
    int32_t partition;
    struct ottla_producer_state producer;
    const char *transactional_id; /* that the producer's id belongs to; NULL: no coordinator says */
};

enum { HANGING_IDLE_MS = 15 * 60 * 1000 }; /* the default of transaction.max.timeout.ms */

enum hanging_step { HANGING_PRODUCERS, HANGING_LIST, HANGING_DESCRIBE };

struct hanging_search {
    struct ottla_client *client;
    struct arena *arena;      /* of the results */
    const int32_t *broker_id; /* whose replicas are asked; NULL: leaders */
    int64_t idle_ms;          /* nothing was heard for more than that; negative: whenever */
    int64_t now_ms;

    /* Waits for the call of a step, which is about `count` things, and tells what failed of it.
     * False: the search is over. That a transactional id is not found is no failure. */
    bool (*wait)(struct hanging_search *search, enum hanging_step step, size_t count,
                 struct ottla_call *call);
    void *arg; /* the caller's */
};

/* For how long nothing was heard of it: by its records' timestamps, which say what they like. */
int64_t hanging_idle_ms(const struct ottla_producer_state *producer, int64_t now_ms);

/* Sorted by topic and partition. False: `wait` said so. Partitions that failed are left out, when
 * `wait` goes on after it. */
bool hanging_find(struct hanging_search *search, const struct ottla_partition *partitions,
                  size_t count, struct hanging **ret_hanging, size_t *ret_count);
