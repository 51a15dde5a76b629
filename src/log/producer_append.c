/*
 * Rules of a data batch, by who sent it (sequences: sequence_window.c):
 *
 *   client        sequence and epoch must fit; a repeated batch is a duplicate
 *   coordinator   the epoch must not be older than the one known
 *   replication   followed whatever it is
 *   all           a batch without the transactional bit inside an open transaction is
 *                 INVALID_TXN_STATE, and one of a newer epoch, while one of an older epoch is
 *                 open, CONCURRENT_TRANSACTIONS; except from replication
 *
 * A batch that begins a transaction must have been verified: the coordinator, which alone can end
 * what begins here, said that the partition is in the transaction (KIP-890). Between its word and
 * the append a marker may have come; then the word was about a transaction that is over, and the
 * guard, the offset of the producer's last marker, is another one.
 *
 * One that was begun before the log was opened is verified again: a power cut may have lost what
 * the coordinator knew of it. And a newer one does not join it, for its own end is missing yet.
 *
 * And of a marker: not of an older epoch, nor of an older coordinator epoch (except replication).
 * With transaction.version 2 each marker has an epoch above its records', so one of the epoch known
 * is a late or a repeated one: it is refused while a transaction is open, and else changes nothing.
 * And one of an epoch above the next, while a transaction from before the log was opened is open,
 * is of a later one, whose records are lost: how this one ended it does not know.
 * It ends the producer's open transaction, when there is one: an abort goes to the transaction
 * index, with the last stable offset that follows from it: the first offset of the oldest
 * transaction of another producer that is open, else the offset after the marker. Either way the
 * transaction stays unstable until the high watermark has passed its marker.
 */
#include "log/producer_state.h"

#include <stdlib.h>

void producer_append_begin(struct producer_append *append, int64_t now_ms) {
    append->now_ms = now_ms;
    append->producer_count = 0;
    append->changes.count = 0;
    append->aborted_count = 0;
    append->end_offset = -1;
}

void producer_append_done(struct producer_append *append) {
    free(append->producers);
    free(append->changes.items);
    free(append->aborted);
}

/* The producer as the batches before in this append leave it. */
static struct producer *working_copy(const struct producer_state *state,
                                     struct producer_append *append, int64_t producer_id) {
    for (size_t i = 0; i < append->producer_count; i++) {
        if (append->producers[i].id == producer_id) {
            return &append->producers[i];
        }
    }
    if (append->producer_count == append->producer_capacity) {
        append->producer_capacity =
            append->producer_capacity == 0 ? 2 : append->producer_capacity * 2;
        append->producers =
            realloc(append->producers, append->producer_capacity * sizeof *append->producers);
    }
    struct producer *copy = &append->producers[append->producer_count++];
    const struct producer *known = producer_state_get(state, producer_id);
    if (known != NULL) {
        *copy = *known;
    } else {
        *copy = (struct producer){
            .id = producer_id,
            .coordinator_epoch = -1,
            .last_timestamp_ms = -1,
            .current_txn_offset = -1,
            .txn_since_ms = -1,
            .last_marker_offset = -1,
        };
        sequence_window_init(&copy->window);
    }
    return copy;
}

static void change_add(struct producer_append *append, int64_t producer_id, int64_t first_offset,
                       int64_t last_offset) {
    producer_txns_insert(&append->changes, append->changes.count,
                         (struct producer_txn){.producer_id = producer_id,
                                               .first_offset = first_offset,
                                               .last_offset = last_offset});
}

/* Whether a transaction that is open, or was begun in this append, is ended in it. */
static bool ends_here(const struct producer_append *append, int64_t first_offset) {
    for (size_t i = 0; i < append->changes.count; i++) {
        const struct producer_txn *change = &append->changes.items[i];
        if (change->last_offset >= 0 && change->first_offset == first_offset) {
            return true;
        }
    }
    return false;
}

static int64_t last_stable_after(const struct producer_state *state,
                                 const struct producer_append *append, int64_t producer_id,
                                 int64_t marker_offset) {
    int64_t stable = marker_offset + 1;
    for (size_t i = 0; i < state->open.count; i++) {
        const struct producer_txn *txn = &state->open.items[i];
        if (txn->producer_id != producer_id && txn->first_offset < stable &&
            !ends_here(append, txn->first_offset)) {
            stable = txn->first_offset;
        }
    }
    for (size_t i = 0; i < append->changes.count; i++) {
        const struct producer_txn *txn = &append->changes.items[i];
        if (txn->last_offset < 0 && txn->producer_id != producer_id && txn->first_offset < stable &&
            !ends_here(append, txn->first_offset)) {
            stable = txn->first_offset;
        }
    }
    return stable;
}

static void aborted_add(struct producer_append *append, const struct txn_index_entry *entry) {
    if (append->aborted_count == append->aborted_capacity) {
        append->aborted_capacity = append->aborted_capacity == 0 ? 2 : append->aborted_capacity * 2;
        append->aborted =
            realloc(append->aborted, append->aborted_capacity * sizeof *append->aborted);
    }
    append->aborted[append->aborted_count++] = *entry;
}

static err_t check_marker(const struct producer *producer, const struct batch_header *header,
                          int32_t coordinator_epoch, const struct producer_rules *rules) {
    if (rules->exact && (producer->current_txn_offset != rules->first_offset ||
                         producer_last_offset(producer) != rules->last_offset)) {
        return ERR_INVALID_TXN_STATE;
    }
    bool older = rules->transaction_version >= 2 && producer->current_txn_offset >= 0 &&
                 producer->txn_since_ms < 0 && header->producer_epoch > producer->window.epoch + 1;
    if (older && !rules->exact) {
        return ERR_CONCURRENT_TRANSACTIONS;
    }
    bool late = rules->transaction_version >= 2 &&
                header->producer_epoch == producer->window.epoch &&
                producer->current_txn_offset >= 0;
    if (header->producer_epoch < producer->window.epoch || late) {
        return ERR_INVALID_PRODUCER_EPOCH;
    }
    return coordinator_epoch < producer->coordinator_epoch ? ERR_TRANSACTION_COORDINATOR_FENCED
                                                           : ERR_OK;
}

/* A marker whose record the cleaner took: its head tells the epoch, for which it was kept. But
 * which transaction it ended is not told. One that is open here, as on a follower that lost the
 * marker of an earlier one, must not be taken for one of this epoch. */
static void emptied_marker(struct producer *producer, const struct batch_header *header) {
    if (producer->current_txn_offset < 0) {
        sequence_window_set_epoch(&producer->window, header->producer_epoch);
        producer->last_timestamp_ms = header->max_timestamp_ms;
    }
}

static err_t marker(const struct producer_state *state, struct producer_append *append,
                    struct producer *producer, const struct batch_header *header,
                    const uint8_t *data, const struct producer_rules *rules) {
    int type;
    int32_t coordinator_epoch;
    if (!batch_marker_read(header, data, &type, &coordinator_epoch)) {
        if (header->record_count == 0 && rules->origin == PRODUCER_ORIGIN_REPLICATION) {
            emptied_marker(producer, header);
        }
        return ERR_OK;
    }
    if (rules->origin != PRODUCER_ORIGIN_REPLICATION) {
        err_t err = check_marker(producer, header, coordinator_epoch, rules);
        if (err != ERR_OK) {
            return err;
        }
    }
    int64_t first_offset = producer->current_txn_offset;
    if (first_offset >= 0) {
        if (type == MARKER_ABORT) {
            struct txn_index_entry entry = {
                .producer_id = producer->id,
                .first_offset = first_offset,
                .last_offset = header->base_offset,
                .last_stable_offset =
                    last_stable_after(state, append, producer->id, header->base_offset),
            };
            aborted_add(append, &entry);
        }
        change_add(append, producer->id, first_offset, header->base_offset);
    }
    sequence_window_set_epoch(&producer->window, header->producer_epoch);
    producer->coordinator_epoch = coordinator_epoch;
    producer->last_timestamp_ms = header->max_timestamp_ms;
    producer->current_txn_offset = -1;
    producer->txn_since_ms = -1;
    /* With version 2 its epoch is that of the next transaction, which may be under verification. */
    if (rules->transaction_version < 2) {
        producer->last_marker_offset = header->base_offset;
    }
    return ERR_OK;
}

static err_t check_verified(const struct producer *producer, const struct batch_header *header,
                            const struct producer_rules *rules) {
    if (header->producer_epoch < producer->window.epoch) {
        return ERR_INVALID_PRODUCER_EPOCH;
    }
    bool open =
        producer->current_txn_offset >= 0 && producer->window.epoch == header->producer_epoch;
    bool begins = (header->attributes & BATCH_TRANSACTIONAL) != 0 && !open;
    return begins && rules->verified && rules->guard != producer->last_marker_offset
               ? ERR_INVALID_TXN_STATE
               : ERR_OK;
}

static err_t check_sequence(const struct producer *producer, const struct batch_header *header,
                            const struct producer_rules *rules,
                            const struct sequence_batch **ret_duplicate) {
    if (rules->from_zero && producer->window.epoch == PRODUCER_EPOCH_NONE &&
        header->base_sequence != 0) {
        return ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    return sequence_window_check(&producer->window, header->producer_epoch, header->base_sequence,
                                 batch_last_sequence(header), ret_duplicate);
}

/* In Kafka's order. */
static err_t check_data(const struct producer *producer, const struct batch_header *header,
                        const struct producer_rules *rules,
                        const struct sequence_batch **ret_duplicate) {
    err_t sequence_err = rules->origin == PRODUCER_ORIGIN_CLIENT
                             ? check_sequence(producer, header, rules, ret_duplicate)
                             : ERR_OK;
    if (sequence_err == ERR_OK && *ret_duplicate != NULL) {
        return ERR_OK;
    }
    err_t err = check_verified(producer, header, rules);
    if (err == ERR_OK) {
        err = sequence_err;
    }
    if (err != ERR_OK || producer->current_txn_offset < 0) {
        return err;
    }
    if ((header->attributes & BATCH_TRANSACTIONAL) == 0) {
        return ERR_INVALID_TXN_STATE;
    }
    return header->producer_epoch > producer->window.epoch ? ERR_CONCURRENT_TRANSACTIONS : ERR_OK;
}

static void data_batch(struct producer_append *append, struct producer *producer,
                       const struct batch_header *header, const struct producer_rules *rules) {
    bool transactional = (header->attributes & BATCH_TRANSACTIONAL) != 0;
    struct sequence_batch batch = {
        .first_sequence = header->base_sequence,
        .last_sequence = batch_last_sequence(header),
        .last_offset = header->last_offset,
        .offset_delta = (int32_t)(header->last_offset - header->base_offset),
        .timestamp_ms = header->max_timestamp_ms,
    };
    sequence_window_add(&producer->window, header->producer_epoch, &batch);
    producer->last_timestamp_ms = header->max_timestamp_ms;
    if (!transactional) {
        return;
    }
    if (producer->txn_since_ms < 0 && rules->verified) {
        producer->txn_since_ms = append->now_ms;
    }
    if (producer->current_txn_offset < 0) {
        producer->current_txn_offset = header->base_offset;
        producer->txn_since_ms = append->now_ms;
        change_add(append, producer->id, header->base_offset, -1);
    }
}

err_t producer_append_batch(const struct producer_state *state, struct producer_append *append,
                            const struct batch_header *header, const uint8_t *data,
                            const struct producer_rules *rules,
                            const struct sequence_batch **ret_duplicate) {
    append->end_offset = header->last_offset + 1;
    *ret_duplicate = NULL;
    if (header->producer_id < 0) {
        return ERR_OK;
    }
    struct producer *producer = working_copy(state, append, header->producer_id);
    if ((header->attributes & BATCH_CONTROL) != 0) {
        return marker(state, append, producer, header, data, rules);
    }
    err_t err = rules->origin == PRODUCER_ORIGIN_REPLICATION
                    ? ERR_OK
                    : check_data(producer, header, rules, ret_duplicate);
    if (err == ERR_OK && *ret_duplicate == NULL) {
        data_batch(append, producer, header, rules);
    }
    return err;
}
