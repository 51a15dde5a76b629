/*
 * What a batch may be, given what the window holds. The first row that matches decides.
 *
 *   epoch            sequences                               outcome
 *   --------------   -------------------------------------   --------------------------------
 *   none known       those of a batch in the window          duplicate: its old offsets
 *   none known       any                                     append
 *   older            any                                     INVALID_PRODUCER_EPOCH
 *   newer            first is 0                              append, and the window starts anew
 *   newer            anything else                           OUT_OF_ORDER_SEQUENCE_NUMBER
 *   same             those of a batch in the window          duplicate: its old offsets
 *   same             first follows the newest last           append
 *   same, no batch   first is 0                              append
 *   same             anything else (a gap, or too old)       OUT_OF_ORDER_SEQUENCE_NUMBER
 *
 * The first row lets a producer go on after its state expired: the partition no longer knows what
 * came before, and must not invent a gap. An epoch without a batch comes from a transaction marker
 * that raised it.
 *
 * Batches that come from a leader or from the log are added unchecked: whatever epoch they bring is
 * the one from then on.
 *
 * A client may name PRODUCER_EPOCH_NONE itself: Kafka takes such batches in any order, and knows a
 * repeated one. So the window may hold batches while no epoch is known.
 *
 * Invariant: all batches held are of one epoch.
 */
#include "log/sequence_window.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const struct sequence_batch *newest(const struct sequence_window *window) {
    assert(window->count > 0);
    return &window->batches[window->count - 1];
}

static bool follows(int32_t last_sequence, int32_t first_sequence) {
    return first_sequence == (last_sequence == INT32_MAX ? 0 : last_sequence + 1);
}

static const struct sequence_batch *find(const struct sequence_window *window,
                                         int32_t first_sequence, int32_t last_sequence) {
    for (uint8_t i = 0; i < window->count; i++) {
        const struct sequence_batch *batch = &window->batches[i];
        if (batch->first_sequence == first_sequence && batch->last_sequence == last_sequence) {
            return batch;
        }
    }
    return NULL;
}

void sequence_window_init(struct sequence_window *window) {
    *window = (struct sequence_window){.epoch = PRODUCER_EPOCH_NONE};
}

err_t sequence_window_check(const struct sequence_window *window, int16_t epoch,
                            int32_t first_sequence, int32_t last_sequence,
                            const struct sequence_batch **ret_duplicate) {
    const struct sequence_batch *duplicate = NULL;
    bool in_order;
    if (window->epoch == PRODUCER_EPOCH_NONE) {
        duplicate = epoch == window->epoch ? find(window, first_sequence, last_sequence) : NULL;
        in_order = true;
    } else if (epoch < window->epoch) {
        return ERR_INVALID_PRODUCER_EPOCH;
    } else if (epoch > window->epoch || window->count == 0) {
        in_order = first_sequence == 0;
    } else {
        duplicate = find(window, first_sequence, last_sequence);
        in_order = duplicate != NULL || follows(newest(window)->last_sequence, first_sequence);
    }
    if (!in_order) {
        return ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    *ret_duplicate = duplicate;
    return ERR_OK;
}

void sequence_window_set_epoch(struct sequence_window *window, int16_t epoch) {
    if (epoch != window->epoch) {
        window->epoch = epoch;
        window->count = 0;
    }
}

void sequence_window_add(struct sequence_window *window, int16_t epoch,
                         const struct sequence_batch *batch) {
    sequence_window_set_epoch(window, epoch);
    if (window->count == SEQUENCE_WINDOW_BATCHES_MAX) {
        memmove(&window->batches[0], &window->batches[1],
                sizeof window->batches - sizeof window->batches[0]);
        window->count--;
    }
    window->batches[window->count++] = *batch;
}
