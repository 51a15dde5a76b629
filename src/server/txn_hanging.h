#pragma once

#include <stdint.h>

/*
 * Ends transactions that are open in partitions of this node and that nobody else will end: a power
 * cut has taken their marker, or what their coordinator knew of them. What is done is said in the
 * log. On reactor 0.
 */
struct node;
struct txn_hanging;

struct txn_hanging *txn_hanging_new(struct node *node);
void txn_hanging_free(struct txn_hanging *hanging); /* it was stopped. Accepts NULL */

/* The logs are open, and no coordinator is loaded yet: coordinators are told whose past counts. */
void txn_hanging_watch(struct txn_hanging *hanging);

void txn_hanging_start(struct txn_hanging *hanging);
void txn_hanging_stop(struct txn_hanging *hanging, void (*stopped)(struct node *node));

/* Since the start; any thread. */
struct txn_hanging_stats {
    uint64_t committed;
    uint64_t aborted;
};
void txn_hanging_stats(const struct txn_hanging *hanging, struct txn_hanging_stats *ret_stats);
