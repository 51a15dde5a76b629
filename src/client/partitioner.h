#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/rng.h"

/*
 * Which partition a record goes to. Pure: the partitions as they are now come in as arguments.
 *
 *   kind      a record with a key                       one without
 *   -------   ---------------------------------------   -------------------------------------------
 *   DEFAULT   murmur2 of the key                        sticky
 *   others of librdkafka, by name:
 *   consistent          CRC-32 of the key               that of an empty key
 *   consistent_random   CRC-32                          sticky; an empty key counts as none
 *   murmur2             murmur2                         that of an empty key
 *   murmur2_random      murmur2                         sticky
 *   fnv1a               FNV-1a, as Sarama's             that of an empty key
 *   fnv1a_random        FNV-1a                          sticky
 *   random              at random                       at random
 *   ROUND_ROBIN         one after the other of those with a leader
 *
 * Sticky (KIP-794): a partition is kept for a batch's worth of bytes; then another is drawn, the
 * likelier the shorter its queue.
 */
enum partitioner_kind {
    PARTITIONER_DEFAULT,
    PARTITIONER_ROUND_ROBIN,
    PARTITIONER_CONSISTENT,
    PARTITIONER_CONSISTENT_RANDOM,
    PARTITIONER_MURMUR2,
    PARTITIONER_MURMUR2_RANDOM,
    PARTITIONER_FNV1A,
    PARTITIONER_FNV1A_RANDOM,
    PARTITIONER_RANDOM,
};

/* By name: short, or a Java class with or without its package. NULL: the default. INVALID. */
err_t partitioner_parse(const char *name, enum partitioner_kind *ret_kind);

uint32_t partitioner_fnv1a(struct bytes key);

/* The partition of the key; -1: the kind has none for it, so it is sticky. Not for ROUND_ROBIN and
 * RANDOM. */
int32_t partitioner_by_key(enum partitioner_kind kind, bool ignore_keys, struct bytes key,
                           int32_t partition_count);

/* A partition as the choice sees it. */
struct partitioner_candidate {
    int32_t index;
    int32_t queued; /* batches that wait there */
};

/* One of the candidates (at least one), the likelier the shorter its queue; evenly when not
 * adaptive. */
int32_t partitioner_draw(const struct partitioner_candidate *candidates, size_t count,
                         bool adaptive, struct rng *rng);
