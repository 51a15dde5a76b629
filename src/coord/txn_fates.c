/*
 * What a shard knows of transactions that are open in a partition.
 *
 * A transactional id has the state of its newest transaction only. With transaction.version 2 each
 * transaction has an epoch of its own, so a state tells of this one, or of another; before that
 * several have the same, and all that is sure is that one is open, in the partitions it names:
 *
 *   state        epoch    version 2                     before
 *   ----------   ------   ---------------------------   ------------------------------------------
 *   Ongoing      this     open                          open, when it names the partition
 *   Prepare      next     open: how, is known at its    open, when it names the partition (or this
 *                         end                           epoch)
 *   Complete     next     committed or aborted          unknown
 *   Empty,       this     lost: the coordinator's log   unknown
 *   Complete              has no begin of it
 *   any          other    unknown                       unknown
 *
 * "Open" also without the partition's name: a power cut may have lost that, and it is told at the
 * end how the transaction ended. For the same reason the past counts: of producers that had open
 * transactions in partitions here when the node started (coord_world.watched) each end is
 * remembered that the log tells of, though newer transactions came after it.
 */
#include <assert.h>
#include <stdlib.h>

#include "coord/txn_int.h"

enum outcome { OUTCOME_COMMITTED, OUTCOME_ABORTED, OUTCOME_AMBIGUOUS };

struct ended {
    int16_t epoch;
    uint8_t outcome;
};

/* Of one producer id; in the order of the log. */
struct txn_past {
    int64_t producer_id;
    int16_t epoch_max;
    size_t count;
    size_t capacity;
    struct ended *items;
};

/* --- the past --- */

static int compare_ids(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static bool is_watched(const struct coord_world *world, int64_t producer_id) {
    return world != NULL && world->watched_count > 0 &&
           bsearch(&producer_id, world->watched, world->watched_count, sizeof producer_id,
                   compare_ids) != NULL;
}

/* A new epoch is above all others, unless a power cut made the coordinator forget some. */
static struct ended *find_ended(const struct txn_past *past, int16_t epoch) {
    if (epoch > past->epoch_max) {
        return NULL;
    }
    for (size_t i = past->count; i-- > 0;) {
        if (past->items[i].epoch == epoch) {
            return &past->items[i];
        }
    }
    return NULL;
}

static void remember(struct txns *txns, int64_t producer_id, int16_t epoch, enum outcome outcome) {
    struct txn_past *past = map_get_u64(&txns->pasts, (uint64_t)producer_id);
    if (past == NULL) {
        past = calloc(1, sizeof *past);
        assert(past != NULL);
        past->producer_id = producer_id;
        past->epoch_max = -1;
        map_put_u64(&txns->pasts, (uint64_t)producer_id, past);
    }
    struct ended *known = find_ended(past, epoch);
    if (known != NULL) {
        known->outcome = known->outcome == outcome ? outcome : OUTCOME_AMBIGUOUS;
        return;
    }
    if (past->count == past->capacity) {
        past->capacity = past->capacity == 0 ? 4 : past->capacity * 2;
        past->items = realloc(past->items, past->capacity * sizeof *past->items);
        assert(past->items != NULL);
    }
    past->epoch_max = epoch > past->epoch_max ? epoch : past->epoch_max;
    past->items[past->count++] = (struct ended){.epoch = epoch, .outcome = (uint8_t)outcome};
}

/* How the transaction before ended, by a state of Prepare or Complete. */
static enum outcome outcome_of(const struct txn_values *values) {
    bool commit = values->state == TXN_PREPARE_COMMIT || values->state == TXN_COMPLETE_COMMIT;
    return commit ? OUTCOME_COMMITTED : OUTCOME_ABORTED;
}

void txn_past_note(struct groups *groups, const struct txn_values *values) {
    struct txns *txns = txns_of(groups);
    bool ends = values->state >= TXN_PREPARE_COMMIT && values->state <= TXN_COMPLETE_ABORT;
    if (!ends || !is_watched(txns->world, values->producer_id)) {
        return;
    }
    if (values->client_version < 2) {
        remember(txns, values->producer_id, values->epoch, OUTCOME_AMBIGUOUS);
    } else if (values->epoch > 0) { /* else its epochs were spent, and Prepare has told */
        remember(txns, values->producer_id, (int16_t)(values->epoch - 1), outcome_of(values));
    }
}

void txn_pasts_forget(struct txns *txns) {
    struct txn_past *past;
    size_t cursor;
    map_for_each (&txns->pasts, cursor, past) {
        free(past->items);
        free(past);
    }
    map_clear(&txns->pasts);
}

static void look_back(const struct txn_past *past, struct coord_fate_of *item) {
    const struct ended *ended = find_ended(past, item->epoch);
    if (ended == NULL || item->fate == COORD_FATE_OPEN) {
        return;
    }
    item->version_2 = ended->outcome != OUTCOME_AMBIGUOUS;
    item->fate = ended->outcome == OUTCOME_COMMITTED ? COORD_FATE_COMMITTED
                 : ended->outcome == OUTCOME_ABORTED ? COORD_FATE_ABORTED
                                                     : COORD_FATE_UNKNOWN;
}

/* --- the present --- */

static enum coord_fate fate_of_old(const struct txn_values *values,
                                   const struct coord_fate_of *item) {
    bool named = txn_partitions_have(values, item->topic, item->partition);
    bool open = values->state == TXN_ONGOING
                    ? values->epoch == item->epoch
                    : txn_state_is_prepared(values->state) && values->epoch >= item->epoch;
    return named && open ? COORD_FATE_OPEN : COORD_FATE_UNKNOWN;
}

static enum coord_fate fate_of(const struct txn_values *values, const struct coord_fate_of *item) {
    bool same = values->epoch == item->epoch;
    bool next = values->epoch == item->epoch + 1;
    switch (values->state) {
    case TXN_ONGOING:
        return same ? COORD_FATE_OPEN : COORD_FATE_UNKNOWN;
    case TXN_PREPARE_COMMIT:
    case TXN_PREPARE_ABORT:
        return next ? COORD_FATE_OPEN : COORD_FATE_UNKNOWN;
    case TXN_COMPLETE_COMMIT:
    case TXN_COMPLETE_ABORT:
        if (next) {
            return outcome_of(values) == OUTCOME_COMMITTED ? COORD_FATE_COMMITTED
                                                           : COORD_FATE_ABORTED;
        }
        return same ? COORD_FATE_LOST : COORD_FATE_UNKNOWN;
    default:
        return same ? COORD_FATE_LOST : COORD_FATE_UNKNOWN;
    }
}

static void look(const struct txn *txn, struct coord_fate_of *item) {
    const struct txn_values *values = &txn->values;
    bool begun = values->state != TXN_EMPTY;
    item->version_2 = begun ? values->client_version >= 2 : txn_cluster_version(txn->groups) >= 2;
    item->timeout_ms = values->timeout_ms;
    item->fate = item->version_2 ? fate_of(values, item) : fate_of_old(values, item);
}

static int compare_items(const void *left, const void *right) {
    const struct coord_fate_of *a = left, *b = right;
    return (a->producer_id > b->producer_id) - (a->producer_id < b->producer_id);
}

/* The first of a producer's; NULL: none is asked for. */
static struct coord_fate_of *items_of(const struct coord_fates *fates, int64_t producer_id) {
    const struct coord_fate_of sought = {.producer_id = producer_id};
    struct coord_fate_of *found =
        bsearch(&sought, fates->items, fates->count, sizeof sought, compare_items);
    while (found != NULL && found > fates->items && found[-1].producer_id == producer_id) {
        found--;
    }
    return found;
}

void txn_fates_look(const struct groups *groups, struct coord_fates *fates) {
    const struct txns *txns = txns_of(groups);
    const struct coord_fate_of *end = fates->items + fates->count;
    const struct txn *txn;
    size_t cursor;
    map_for_each (&txns->by_id, cursor, txn) {
        int64_t producer_id = txn->values.producer_id;
        struct coord_fate_of *item = txn->known ? items_of(fates, producer_id) : NULL;
        for (; item != NULL && item < end && item->producer_id == producer_id; item++) {
            look(txn, item);
        }
    }
    const struct txn_past *past;
    map_for_each (&txns->pasts, cursor, past) {
        struct coord_fate_of *item = items_of(fates, past->producer_id);
        for (; item != NULL && item < end && item->producer_id == past->producer_id; item++) {
            look_back(past, item);
        }
    }
}
