#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/uuid.h"

/*
 * Sets of partitions, sorted by topic and number, each partition once; an epoch stands beside each
 * and is no part of its identity. Values: whoever makes one says in which arena it lives, or
 * frees it.
 */
struct partition_item {
    struct uuid topic_id;
    int32_t partition;
    int32_t epoch;
};

struct partition_set {
    struct partition_item *items;
    int32_t count;
};

/* NULL: it is not in it. */
const struct partition_item *partition_set_find(const struct partition_set *set,
                                                struct uuid topic_id, int32_t partition);

/* Also of epochs. */
bool partition_set_equal(const struct partition_set *a, const struct partition_set *b);

/* Brings items that were put there in any order into order; of doubles one stays. */
void partition_set_sort(struct partition_set *set);

/* What of `a` is in `b`, or is not; the epochs are a's. */
struct partition_set partition_set_common(struct arena *arena, const struct partition_set *a,
                                          const struct partition_set *b);
struct partition_set partition_set_without(struct arena *arena, const struct partition_set *a,
                                           const struct partition_set *b);
/* Both; where both have one, a's epoch. */
struct partition_set partition_set_union(struct arena *arena, const struct partition_set *a,
                                         const struct partition_set *b);

/* A copy whose items are memory that may be shared (see piece.h), for partition_set_free. */
struct partition_set partition_set_copy(const struct partition_set *set);
void partition_set_free(struct partition_set *set);

/* --- topic by topic, as messages have them --- */

struct partition_run {
    struct uuid topic_id;
    const struct partition_item *items;
    int32_t count;
};

int32_t partition_set_topic_count(const struct partition_set *set);

/* Start with cursor 0. False: that was all. */
bool partition_set_next(const struct partition_set *set, int32_t *cursor,
                        struct partition_run *ret_run);

/* The numbers of a run, in the arena. */
int32_t *partition_run_numbers(struct arena *arena, const struct partition_run *run);
