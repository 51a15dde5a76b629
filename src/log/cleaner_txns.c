#include "log/cleaner_txns.h"

#include <stdlib.h>
#include <string.h>

struct aborted_txn {
    struct txn_index_entry entry;
    bool seen; /* a batch of it was met */
};

void cleaner_txns_init(struct cleaner_txns *txns) {
    *txns = (struct cleaner_txns){0};
    map_init(&txns->aborted);
    map_init(&txns->committed);
}

void cleaner_txns_done(struct cleaner_txns *txns) {
    size_t cursor;
    struct aborted_txn *txn;
    map_for_each (&txns->aborted, cursor, txn) {
        free(txn);
    }
    map_done(&txns->aborted);
    map_done(&txns->committed);
    free(txns->coming);
}

static int by_first_offset(const void *a, const void *b) {
    const struct txn_index_entry *x = a, *y = b;
    return x->first_offset < y->first_offset ? -1 : x->first_offset > y->first_offset;
}

void cleaner_txns_add(struct cleaner_txns *txns, const struct txn_index_entry *entries,
                      size_t count) {
    if (count == 0) {
        return;
    }
    if (txns->coming_count + count > txns->coming_capacity) {
        txns->coming_capacity = 2 * (txns->coming_count + count);
        txns->coming = realloc(txns->coming, txns->coming_capacity * sizeof *txns->coming);
    }
    memcpy(txns->coming + txns->coming_count, entries, count * sizeof *entries);
    txns->coming_count += count;
    qsort(txns->coming, txns->coming_count, sizeof *txns->coming, by_first_offset);
}

/* Aborted transactions that begin up to this offset are open from now on. */
static void reach(struct cleaner_txns *txns, int64_t offset) {
    size_t count = 0;
    while (count < txns->coming_count && txns->coming[count].first_offset <= offset) {
        uint64_t producer = (uint64_t)txns->coming[count].producer_id;
        if (map_get_u64(&txns->aborted, producer) == NULL) {
            struct aborted_txn *txn = calloc(1, sizeof *txn);
            txn->entry = txns->coming[count];
            map_put_u64(&txns->aborted, producer, txn);
        }
        count++;
    }
    if (count == 0) {
        return;
    }
    txns->coming_count -= count;
    memmove(txns->coming, txns->coming + count, txns->coming_count * sizeof *txns->coming);
}

bool cleaner_txns_data(struct cleaner_txns *txns, const struct batch_header *header) {
    reach(txns, header->last_offset);
    if ((header->attributes & BATCH_TRANSACTIONAL) == 0) {
        return false;
    }
    struct aborted_txn *txn = map_get_u64(&txns->aborted, (uint64_t)header->producer_id);
    if (txn != NULL) {
        txn->seen = true;
        return true;
    }
    map_put_u64(&txns->committed, (uint64_t)header->producer_id, txns);
    return false;
}

static bool abort_met(struct cleaner_txns *txns, int64_t producer_id, bool *ret_aborted,
                      struct txn_index_entry *ret_txn) {
    struct aborted_txn *txn = map_remove_u64(&txns->aborted, (uint64_t)producer_id);
    bool seen = txn != NULL && txn->seen;
    if (seen) {
        *ret_aborted = true;
        *ret_txn = txn->entry;
    }
    free(txn);
    return !seen;
}

bool cleaner_txns_control(struct cleaner_txns *txns, const struct batch_header *header,
                          const uint8_t *data, bool *ret_aborted, struct txn_index_entry *ret_txn) {
    reach(txns, header->last_offset);
    *ret_aborted = false;
    if (header->record_count == 0) {
        return true; /* it was kept for its producer's epoch only */
    }
    int type;
    int32_t coordinator_epoch;
    if (!batch_marker_read(header, data, &type, &coordinator_epoch)) {
        return false; /* another kind of control record is nothing to us */
    }
    if (type == MARKER_ABORT) {
        return abort_met(txns, header->producer_id, ret_aborted, ret_txn);
    }
    return map_remove_u64(&txns->committed, (uint64_t)header->producer_id) == NULL;
}
