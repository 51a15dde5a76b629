#pragma once

#include "base/arena.h"
#include "meta/record.h"
#include "wire/record_batch.h"

/*
 * Batches as the metadata log and its snapshots hold them: uncompressed, either of metadata records
 * or of control records.
 */

/* Whether the batch is whole and its checksum is right. Nothing else about it may be trusted
 * before. CORRUPT; UNSUPPORTED when it is of another format or compressed. */
err_t meta_batch_check(const struct record_batch *batch);

/* Walks the records of a checked batch. The arena is reset before each record. */
struct meta_batch_walk {
    struct record_iter iter;
    struct arena *arena;
};

err_t meta_batch_walk_init(struct meta_batch_walk *walk, const struct record_batch *batch,
                           struct arena *arena);

/* Of a data batch: NOT_FOUND at the end; MALFORMED, UNSUPPORTED as meta_record_decode. */
err_t meta_batch_next(struct meta_batch_walk *walk, struct meta_record *ret_record,
                      int64_t *ret_offset);

/* Of a control batch: the type (enum control_record_type, or one we do not know) and the body. */
err_t meta_batch_next_control(struct meta_batch_walk *walk, int16_t *ret_type,
                              struct bytes *ret_value);
