#pragma once

#include <stdint.h>

#include "base/err.h"

/*
 * The last batches that one idempotent producer wrote to one partition.
 *
 * A partition asks it before each append whether the batch is new, a retry of one it already has,
 * or a mistake (KIP-98). Plain data: copy it freely, embed it, no destructor. Guarded by the
 * log's lock.
 */

/* A producer may have five requests in flight, so any of its last five batches may be retried. */
enum { SEQUENCE_WINDOW_BATCHES_MAX = 5 };

enum { PRODUCER_EPOCH_NONE = -1 };

struct sequence_batch {
    int32_t first_sequence; /* 0 to INT32_MAX, then 0 again */
    int32_t last_sequence;
    int64_t last_offset;
    int32_t offset_delta; /* last offset - first offset */
    int64_t timestamp_ms;
};

struct sequence_window {
    int16_t epoch; /* PRODUCER_EPOCH_NONE: nothing is known of the producer */
    uint8_t count; /* batches held, the oldest first */
    struct sequence_batch batches[SEQUENCE_WINDOW_BATCHES_MAX];
};

void sequence_window_init(struct sequence_window *window);

/*
 * Says what to do with a batch of this epoch and these sequences. Changes nothing.
 *
 * ERR_OK, *ret_duplicate NULL:      append it, then call sequence_window_add.
 * ERR_OK, *ret_duplicate set:       a retry; answer with that batch's offsets. The pointer is good
 *                                   until the window changes.
 * ERR_OUT_OF_ORDER_SEQUENCE_NUMBER: a gap, or older than the window.
 * ERR_INVALID_PRODUCER_EPOCH:       the producer was fenced.
 */
err_t sequence_window_check(const struct sequence_window *window, int16_t epoch,
                            int32_t first_sequence, int32_t last_sequence,
                            const struct sequence_batch **ret_duplicate);

/* Takes note of a batch that was appended: one that passed the check, or that came from a leader
 * or from the log. */
void sequence_window_add(struct sequence_window *window, int16_t epoch,
                         const struct sequence_batch *batch);

/* A transaction marker of this epoch: an epoch not seen before begins with an empty window, so the
 * producer's next batch has to have sequence 0. */
void sequence_window_set_epoch(struct sequence_window *window, int16_t epoch);
