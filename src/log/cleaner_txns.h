#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "log/batch_header.h"
#include "log/txn_index.h"

/*
 * Which transactions the batches of a log belong to, as the cleaner meets them in their order.
 *
 *   batch                      of a transaction that was      may its records go
 *   ------------------------   ----------------------------   ------------------------------------
 *   data, transactional        aborted                        yes, all of them
 *   data                       committed, or of none          as their keys say
 *   marker                     ended, and no batch of it      yes, once its delete horizon is over
 *                              is left before the marker
 *   marker                     ended, with batches left       no
 *
 * Only decided transactions may be walked: the cleaner stays below the last stable offset.
 */
struct cleaner_txns {
    struct txn_index_entry *coming; /* aborted ones that begin further on, by first offset */
    size_t coming_count;
    size_t coming_capacity;
    struct map aborted;   /* struct aborted_txn by producer: begun, marker not met */
    struct map committed; /* producers with batches of a committed one, marker not met */
};

void cleaner_txns_init(struct cleaner_txns *txns);
void cleaner_txns_done(struct cleaner_txns *txns);

/* Tells of aborted transactions with records in what is walked next; twice does no harm. */
void cleaner_txns_add(struct cleaner_txns *txns, const struct txn_index_entry *entries,
                      size_t count);

/* The next data batch: whether it was aborted. */
bool cleaner_txns_data(struct cleaner_txns *txns, const struct batch_header *header);

/* The next control batch, whole: whether it is of no use any more but for those who still read.
 * *ret_aborted: the transaction it ends belongs into the transaction index. */
bool cleaner_txns_control(struct cleaner_txns *txns, const struct batch_header *header,
                          const uint8_t *data, bool *ret_aborted, struct txn_index_entry *ret_txn);
