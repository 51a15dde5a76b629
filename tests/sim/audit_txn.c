/*
 * What is known of a transaction, and from where:
 *
 *   may be visible   its commit was asked for
 *   is visible       its commit was answered; a record of it was read; its offset was fetched
 *   is not visible   its abort was answered; a reader passed a record of it without being given it;
 *                    an older offset was fetched; compaction took out a record of it that nothing
 *                    else took the place of
 *
 * Two of the last rows for one transaction are a violation, whichever come together. Of a shaken
 * one they are kept for each log, and those of its answers and offsets do not count.
 */
#include "audit_txn.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What is left of a shaken transaction in a log. */
struct txn_part {
    struct txn_part *next;
    const struct audit_partition *log;
    bool visible;
    bool hidden;
};

struct audit_txn {
    struct audit_txns *txns;
    struct audit_txn *next; /* older */
    uint64_t number;
    char who[64];
    bool commit_asked;
    bool abort_asked;
    bool own_epoch;
    bool shaken;
    struct txn_part *parts;
    const char *visible_by; /* for people; NULL: not known */
    const char *hidden_by;
    const char *group; /* NULL: no offsets */
    int64_t from;
    int64_t to;
    uint64_t offsets_acked; /* by audit_txns_now; 0: not */
};

struct txn_value {
    struct audit_txn *txn; /* NULL: of no transaction */
    uint64_t stretch;      /* in which it was read last */
    bool is_tombstone;
    int64_t stays_until_ms;
};

struct audit_txns {
    struct audit *audit;
    struct audit_txn *newest;
    uint64_t count;
    uint64_t stretch_count;
    uint64_t acked_count;     /* offsets */
    struct txn_value *values; /* by id - 1 */
    uint64_t value_capacity;
};

struct audit_txns *audit_txns_new(struct audit *audit) {
    struct audit_txns *txns = calloc(1, sizeof *txns);
    assert(txns != NULL);
    txns->audit = audit;
    return txns;
}

static void parts_free(struct audit_txn *txn) {
    while (txn->parts != NULL) {
        struct txn_part *part = txn->parts;
        txn->parts = part->next;
        free(part);
    }
}

void audit_txns_free(struct audit_txns *txns) {
    while (txns->newest != NULL) {
        struct audit_txn *txn = txns->newest;
        txns->newest = txn->next;
        parts_free(txn);
        free(txn);
    }
    free(txns->values);
    free(txns);
}

/* --- what is known --- */

static void tell_both(const struct audit_txn *txn) {
    audit_fail(txn->txns->audit, "transaction %" PRIu64 " of %s is applied in part: %s, but %s",
               txn->number, txn->who, txn->visible_by, txn->hidden_by);
}

static void is_visible(struct audit_txn *txn, const char *by) {
    if (txn->shaken) {
        return;
    }
    txn->visible_by = txn->visible_by == NULL ? by : txn->visible_by;
    if (txn->hidden_by != NULL) {
        tell_both(txn);
    }
}

static void is_hidden(struct audit_txn *txn, const char *by) {
    if (txn->shaken) {
        return;
    }
    txn->hidden_by = txn->hidden_by == NULL ? by : txn->hidden_by;
    if (txn->visible_by != NULL) {
        tell_both(txn);
    }
}

/* A record of it is read, or is not. */
static void note_record(struct audit_txn *txn, uint64_t id, bool visible) {
    if (!txn->shaken || !txn->own_epoch) {
        return;
    }
    const struct audit_partition *log = audit_value_log(txn->txns->audit, id);
    struct txn_part *part = txn->parts;
    while (part != NULL && part->log != log) {
        part = part->next;
    }
    if (part == NULL) {
        part = calloc(1, sizeof *part);
        assert(part != NULL);
        *part = (struct txn_part){.next = txn->parts, .log = log};
        txn->parts = part;
    }
    part->visible |= visible;
    part->hidden |= !visible;
    if (part->visible && part->hidden) {
        audit_fail(txn->txns->audit,
                   "transaction %" PRIu64 " of %s is applied in part within one log, at value "
                   "%" PRIu64,
                   txn->number, txn->who, id);
    }
}

void audit_txns_shake(struct audit_txns *txns) {
    for (struct audit_txn *txn = txns->newest; txn != NULL; txn = txn->next) {
        txn->shaken = true;
        txn->visible_by = txn->hidden_by = NULL;
        parts_free(txn);
    }
}

/* --- what producers do --- */

struct audit_txn *audit_txn_begin(struct audit_txns *txns, const char *who) {
    struct audit_txn *txn = calloc(1, sizeof *txn);
    assert(txn != NULL);
    txn->txns = txns;
    txn->next = txns->newest;
    txn->number = ++txns->count;
    strncpy(txn->who, who, sizeof txn->who - 1);
    txns->newest = txn;
    return txn;
}

void audit_txn_own_epoch(struct audit_txn *txn) {
    txn->own_epoch = true;
}

static struct txn_value *value_of(const struct audit_txns *txns, uint64_t value) {
    struct txn_value *known =
        value >= 1 && value <= txns->value_capacity ? &txns->values[value - 1] : NULL;
    return known != NULL && known->txn != NULL ? known : NULL;
}

void audit_txn_value(struct audit_txn *txn, uint64_t value) {
    struct audit_txns *txns = txn->txns;
    if (value > txns->value_capacity) {
        uint64_t capacity = value * 2 + 1024;
        txns->values = realloc(txns->values, capacity * sizeof *txns->values);
        assert(txns->values != NULL);
        memset(txns->values + txns->value_capacity, 0,
               (capacity - txns->value_capacity) * sizeof *txns->values);
        txns->value_capacity = capacity;
    }
    txns->values[value - 1] = (struct txn_value){.txn = txn};
}

void audit_txns_tombstone(struct audit_txns *txns, uint64_t id, int64_t stays_until_ms) {
    struct txn_value *value = value_of(txns, id);
    assert(value != NULL);
    value->is_tombstone = true;
    value->stays_until_ms = stays_until_ms;
}

void audit_txn_offsets(struct audit_txn *txn, const char *group, int64_t from, int64_t to) {
    txn->group = group;
    txn->from = from;
    txn->to = to;
}

void audit_txn_offsets_acked(struct audit_txn *txn) {
    if (txn->offsets_acked == 0) {
        txn->offsets_acked = ++txn->txns->acked_count;
    }
}

void audit_txn_end_asked(struct audit_txn *txn, bool commit) {
    if (commit) {
        txn->commit_asked = true;
    } else {
        txn->abort_asked = true;
    }
}

void audit_txn_ended(struct audit_txn *txn, bool commit) {
    if (commit) {
        is_visible(txn, "its commit was answered");
    } else {
        is_hidden(txn, "its abort was answered");
    }
}

/* --- what readers see --- */

uint64_t audit_txns_stretch(struct audit_txns *txns) {
    return ++txns->stretch_count;
}

void audit_txns_read(struct audit_txns *txns, uint64_t stretch, uint64_t id) {
    struct txn_value *value = value_of(txns, id);
    if (value == NULL) {
        return;
    }
    struct audit_txn *txn = value->txn;
    bool may_be_another = txn->shaken && !txn->own_epoch;
    if (!txn->commit_asked && may_be_another) {
        return;
    }
    if (!txn->commit_asked) {
        audit_fail(txns->audit, "%s: value %" PRIu64 " of transaction %" PRIu64 " of %s",
                   txn->abort_asked ? "an aborted record is read"
                                    : "a record of an open transaction is read",
                   id, txn->number, txn->who);
    }
    value->stretch = stretch;
    is_visible(txn, "a record of it was read");
    note_record(txn, id, true);
}

void audit_txns_covered(struct audit_txns *txns, uint64_t stretch, uint64_t id) {
    struct txn_value *value = value_of(txns, id);
    if (value != NULL && value->stretch != stretch) {
        is_hidden(value->txn, "a record of it was passed over");
        note_record(value->txn, id, false);
    }
}

bool audit_txns_has(const struct audit_txns *txns, uint64_t id) {
    return value_of(txns, id) != NULL;
}

uint64_t audit_txns_now(const struct audit_txns *txns) {
    return txns->acked_count;
}

void audit_txns_fetched(struct audit_txns *txns, const char *group, int64_t offset) {
    audit_txns_fetched_since(txns, group, txns->acked_count, offset);
}

void audit_txns_fetched_since(struct audit_txns *txns, const char *group, uint64_t sent,
                              int64_t offset) {
    bool found = offset < 0;
    for (struct audit_txn *txn = txns->newest; txn != NULL; txn = txn->next) {
        if (txn->group == NULL || strcmp(txn->group, group) != 0) {
            continue;
        }
        if (txn->to == offset) {
            found = true;
            if (!txn->commit_asked && (!txn->shaken || txn->own_epoch)) {
                audit_fail(txns->audit,
                           "group %s has offset %" PRId64 " of transaction %" PRIu64
                           ", which nobody committed",
                           group, offset, txn->number);
            }
            is_visible(txn, "its offset was committed");
        } else if (txn->to > offset && txn->offsets_acked != 0 && txn->offsets_acked <= sent) {
            is_hidden(txn, "its offset was not committed");
        }
    }
    if (!found) {
        audit_fail(txns->audit, "group %s has offset %" PRId64 ", which nobody sent", group,
                   offset);
    }
}

/* --- of values --- */

enum audit_fate audit_txns_fate(const struct audit_txns *txns, uint64_t id) {
    const struct txn_value *value = value_of(txns, id);
    if (value == NULL || value->txn->visible_by != NULL) {
        return AUDIT_VISIBLE;
    }
    return value->txn->hidden_by != NULL || !value->txn->commit_asked ? AUDIT_HIDDEN
                                                                      : AUDIT_UNKNOWN;
}

bool audit_txns_is_tombstone(const struct audit_txns *txns, uint64_t id,
                             int64_t *ret_stays_until_ms) {
    const struct txn_value *value = value_of(txns, id);
    if (value == NULL || !value->is_tombstone) {
        return false;
    }
    *ret_stays_until_ms = value->stays_until_ms;
    return true;
}

void audit_txns_taken_out(struct audit_txns *txns, uint64_t id) {
    const struct txn_value *value = value_of(txns, id);
    assert(value != NULL);
    is_hidden(value->txn, "a record of it was taken out as aborted");
}

/* --- at the end --- */

/* The visible transaction of the same group whose offsets end below it the last. */
static const struct audit_txn *before(const struct audit_txns *txns, const struct audit_txn *txn) {
    const struct audit_txn *found = NULL;
    for (const struct audit_txn *other = txns->newest; other != NULL; other = other->next) {
        if (other->group != NULL && other->visible_by != NULL && other->to < txn->to &&
            strcmp(other->group, txn->group) == 0 && (found == NULL || other->to > found->to)) {
            found = other;
        }
    }
    return found;
}

/* Whether the group may have been there when the power had been cut. */
static bool follows_shaken(const struct audit_txns *txns, const struct audit_txn *txn) {
    for (const struct audit_txn *other = txns->newest; other != NULL; other = other->next) {
        if (other->shaken && other->group != NULL && other->to == txn->from &&
            strcmp(other->group, txn->group) == 0) {
            return true;
        }
    }
    return false;
}

void audit_txns_check(struct audit_txns *txns) {
    for (const struct audit_txn *txn = txns->newest; txn != NULL; txn = txn->next) {
        if (txn->group == NULL || txn->visible_by == NULL) {
            continue;
        }
        const struct audit_txn *last = before(txns, txn);
        int64_t expected = last == NULL ? 0 : last->to;
        if (txn->from != expected && !(last == NULL && follows_shaken(txns, txn))) {
            audit_fail(txns->audit,
                       "group %s: transaction %" PRIu64 " of %s consumed from %" PRId64
                       " on, but all below %" PRId64 " was consumed: %s",
                       txn->group, txn->number, txn->who, txn->from, expected,
                       txn->from < expected ? "input was taken twice" : "input was skipped");
        }
    }
}
