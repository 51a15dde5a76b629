/* What is known of producers, and how an append that was written changes it. */
#include "log/producer_state.h"

#include <stdlib.h>
#include <string.h>

/* --- transactions, sorted by first offset --- */

void producer_txns_insert(struct producer_txns *txns, size_t at, struct producer_txn txn) {
    if (txns->count == txns->capacity) {
        txns->capacity = txns->capacity == 0 ? 4 : txns->capacity * 2;
        txns->items = realloc(txns->items, txns->capacity * sizeof *txns->items);
    }
    memmove(&txns->items[at + 1], &txns->items[at], (txns->count - at) * sizeof *txns->items);
    txns->items[at] = txn;
    txns->count++;
}

static void txns_add(struct producer_txns *txns, struct producer_txn txn) {
    size_t at = txns->count;
    while (at > 0 && txns->items[at - 1].first_offset > txn.first_offset) {
        at--;
    }
    producer_txns_insert(txns, at, txn);
}

static void txns_remove(struct producer_txns *txns, size_t at) {
    txns->count--;
    memmove(&txns->items[at], &txns->items[at + 1], (txns->count - at) * sizeof *txns->items);
}

static void txns_remove_first_offset(struct producer_txns *txns, int64_t first_offset) {
    for (size_t i = 0; i < txns->count; i++) {
        if (txns->items[i].first_offset == first_offset) {
            txns_remove(txns, i);
            return;
        }
    }
}

/* --- the state --- */

int64_t producer_last_offset(const struct producer *producer) {
    const struct sequence_window *window = &producer->window;
    return window->count == 0 ? -1 : window->batches[window->count - 1].last_offset;
}

void producer_state_init(struct producer_state *state, int64_t end_offset) {
    *state = (struct producer_state){.end_offset = end_offset};
    map_init(&state->producers);
}

static void producers_free(struct producer_state *state) {
    size_t cursor;
    struct producer *producer;
    map_for_each (&state->producers, cursor, producer) {
        free(producer);
    }
}

void producer_state_done(struct producer_state *state) {
    producers_free(state);
    map_done(&state->producers);
    free(state->open.items);
    free(state->unreplicated.items);
}

void producer_state_clear(struct producer_state *state, int64_t end_offset) {
    producers_free(state);
    map_clear(&state->producers);
    state->open.count = 0;
    state->unreplicated.count = 0;
    state->end_offset = end_offset;
}

const struct producer *producer_state_get(const struct producer_state *state, int64_t producer_id) {
    return map_get_u64(&state->producers, (uint64_t)producer_id);
}

static void producer_put(struct producer_state *state, const struct producer *producer) {
    struct producer *known = map_get_u64(&state->producers, (uint64_t)producer->id);
    if (known == NULL) {
        known = malloc(sizeof *known);
        map_put_u64(&state->producers, (uint64_t)producer->id, known);
    }
    *known = *producer;
}

err_t producer_txn_guard(const struct producer_state *state, int64_t producer_id, int16_t epoch,
                         bool *ret_open, int64_t *ret_guard) {
    const struct producer *producer = producer_state_get(state, producer_id);
    if (producer != NULL && producer->window.epoch > epoch) {
        return ERR_INVALID_PRODUCER_EPOCH;
    }
    *ret_open = producer != NULL && producer->current_txn_offset >= 0 &&
                producer->txn_since_ms >= 0 && producer->window.epoch == epoch;
    *ret_guard = producer == NULL ? -1 : producer->last_marker_offset;
    return ERR_OK;
}

void producer_state_load(struct producer_state *state, const struct producer *producer) {
    producer_put(state, producer);
    if (producer->current_txn_offset >= 0) {
        txns_add(&state->open, (struct producer_txn){.producer_id = producer->id,
                                                     .first_offset = producer->current_txn_offset,
                                                     .last_offset = -1});
    }
}

int64_t producer_state_first_unstable(const struct producer_state *state) {
    int64_t first = INT64_MAX;
    if (state->open.count > 0) {
        first = state->open.items[0].first_offset;
    }
    if (state->unreplicated.count > 0 && state->unreplicated.items[0].first_offset < first) {
        first = state->unreplicated.items[0].first_offset;
    }
    return first;
}

void producer_state_high_watermark(struct producer_state *state, int64_t offset) {
    for (size_t i = state->unreplicated.count; i-- > 0;) {
        if (state->unreplicated.items[i].last_offset < offset) {
            txns_remove(&state->unreplicated, i);
        }
    }
}

bool producer_expired(const struct producer *producer, int64_t now_ms, int64_t expiration_ms) {
    return producer->current_txn_offset < 0 &&
           producer->last_timestamp_ms <= now_ms - expiration_ms;
}

void producer_state_expire(struct producer_state *state, int64_t now_ms, int64_t expiration_ms) {
    size_t cursor;
    struct producer *producer;
    map_for_each (&state->producers, cursor, producer) {
        if (producer_expired(producer, now_ms, expiration_ms)) {
            map_remove_u64(&state->producers, (uint64_t)producer->id);
            free(producer);
        }
    }
}

void producer_append_commit(struct producer_state *state, const struct producer_append *append) {
    for (size_t i = 0; i < append->producer_count; i++) {
        producer_put(state, &append->producers[i]);
    }
    for (size_t i = 0; i < append->changes.count; i++) {
        const struct producer_txn *change = &append->changes.items[i];
        if (change->last_offset < 0) {
            txns_add(&state->open, *change);
        } else {
            txns_remove_first_offset(&state->open, change->first_offset);
            txns_add(&state->unreplicated, *change);
        }
    }
    if (append->end_offset > state->end_offset) {
        state->end_offset = append->end_offset;
    }
}
