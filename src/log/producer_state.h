#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "log/batch_header.h"
#include "log/sequence_window.h"
#include "log/txn_index.h"

/*
 * What a log knows of its producers: last sequences and epochs, open transactions.
 *
 * An append goes in two steps. producer_append_batch checks each batch against the state and
 * gathers the changes in a `struct producer_append`, touching nothing; when the records are
 * written, producer_append_commit carries the changes out. Guarded by the log's lock, apart from
 * the gathering, which only the writer does.
 */
struct producer {
    int64_t id;
    struct sequence_window window;
    int32_t coordinator_epoch; /* -1: none */
    int64_t last_timestamp_ms;
    int64_t current_txn_offset; /* -1: no open transaction */
    int64_t txn_since_ms; /* wall clock, of the open one: when it was begun here, or found by a
                             verification. -1: before the log was opened */
    int64_t last_marker_offset; /* since the log was opened; -1: none */
};

struct producer_txn {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset; /* of the marker; -1 while open */
};

struct producer_txns { /* sorted by first_offset */
    struct producer_txn *items;
    size_t count;
    size_t capacity;
};

void producer_txns_insert(struct producer_txns *txns, size_t at, struct producer_txn txn);

struct producer_state {
    struct map producers;
    struct producer_txns open;         /* not yet committed or aborted */
    struct producer_txns unreplicated; /* ended, but the marker is not below the high watermark */
    int64_t end_offset;                /* of the last batch followed, + 1 */
};

/* The offset of its last batch that is known; -1: none. */
int64_t producer_last_offset(const struct producer *producer);

void producer_state_init(struct producer_state *state, int64_t end_offset);
void producer_state_done(struct producer_state *state);
void producer_state_clear(struct producer_state *state, int64_t end_offset);

/* NULL when nothing is known. Good until the state changes. */
const struct producer *producer_state_get(const struct producer_state *state, int64_t producer_id);

/* Puts in an entry of a snapshot. */
void producer_state_load(struct producer_state *state, const struct producer *producer);

/* The least offset that read_committed must not pass; INT64_MAX when there is none. */
int64_t producer_state_first_unstable(const struct producer_state *state);

void producer_state_high_watermark(struct producer_state *state, int64_t offset);
void producer_state_expire(struct producer_state *state, int64_t now_ms, int64_t expiration_ms);
bool producer_expired(const struct producer *producer, int64_t now_ms, int64_t expiration_ms);

/* --- an append --- */

enum producer_origin {
    PRODUCER_ORIGIN_CLIENT,      /* sequences and epochs are checked */
    PRODUCER_ORIGIN_COORDINATOR, /* epochs are checked */
    PRODUCER_ORIGIN_REPLICATION, /* from a leader, or from the log itself: only followed */
};

/* How the batches of an append are looked at. */
struct producer_rules {
    enum producer_origin origin;
    int16_t transaction_version; /* of markers */
    bool verified;               /* a transaction begins only while the guard holds */
    bool exact;                  /* a marker ends the transaction of these offsets, or nothing */
    bool from_zero;              /* who is not known begins with sequence 0 */
    int64_t guard;               /* see producer_txn_guard */
    int64_t first_offset;        /* with `exact` */
    int64_t last_offset;
};

/* What a verification that begins now has to find again when its append comes: it changes with each
 * marker of the producer, but for those whose epoch is above their transaction's (version 2), after
 * which that one's batches are refused anyway. *ret_open: no verification is needed, at this epoch:
 * the transaction is open, and was seen to begin. One from before the log was opened may be over,
 * or may have lost its place in the coordinator's log. INVALID_PRODUCER_EPOCH: a newer epoch is
 * known, there is nothing to verify. */
err_t producer_txn_guard(const struct producer_state *state, int64_t producer_id, int16_t epoch,
                         bool *ret_open, int64_t *ret_guard);

struct producer_append {
    int64_t now_ms;             /* wall clock; -1: this is read again */
    struct producer *producers; /* as they will be */
    size_t producer_count;
    size_t producer_capacity;
    struct producer_txns changes;    /* begun (last_offset -1) and ended, in their order */
    struct txn_index_entry *aborted; /* what goes into the transaction index */
    size_t aborted_count;
    size_t aborted_capacity;
    int64_t end_offset;
};

/* Memory is kept between appends. */
void producer_append_begin(struct producer_append *append, int64_t now_ms);
void producer_append_done(struct producer_append *append);

/* Takes the next batch, with its final offsets; of data batches only the head is looked at.
 * *ret_duplicate is NULL, or the batch it repeats: then the append is to be answered with that one,
 * and is over. Errors: see log_append. */
err_t producer_append_batch(const struct producer_state *state, struct producer_append *append,
                            const struct batch_header *header, const uint8_t *data,
                            const struct producer_rules *rules,
                            const struct sequence_batch **ret_duplicate);

void producer_append_commit(struct producer_state *state, const struct producer_append *append);
