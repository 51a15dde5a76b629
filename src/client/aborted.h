#pragma once

#include "base/map.h"
#include "wire/record_batch.h"

struct fetch_response_aborted_transaction;

/*
 * Which batches of one partition's answer belong to aborted transactions: for
 * isolation.level=read_committed. The answer lists the aborted transactions that reach into it by
 * producer and first offset; each ends at its abort marker.
 */
struct aborted {
    struct aborted_entry *entries; /* by first offset */
    size_t count;
    size_t next;          /* those before it have begun */
    struct map producers; /* whose transaction is one of them at the batch looked at */
};

/* The list is copied. */
void aborted_init(struct aborted *aborted, const struct fetch_response_aborted_transaction *list,
                  int32_t count);
void aborted_done(struct aborted *aborted);

/* For each batch of magic 2 in the order of the answer; its records must be readable for control
 * batches. True: leave it out. */
bool aborted_leaves_out(struct aborted *aborted, const struct record_batch *batch);
