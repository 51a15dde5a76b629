/*
 * A log is looked at from its end down. What is known of a key then:
 *
 *   state        because                                    a record further down
 *   ----------   ----------------------------------------   --------------------------------------
 *   UNWRITTEN    -                                          is the key's newest: it must be there
 *   WRITTEN      a record that counts is there              may be gone
 *   DELETED      a tombstone that counted has had its time  must be gone
 *   UNCERTAIN    the same, but nobody knows whether its     may be gone
 *                transaction was committed
 *
 * A record that should be there, is not, and may be of an aborted transaction, tells that it is of
 * one; that is held against all else that is known of the transaction.
 */
#include "audit_compaction.h"

#include <inttypes.h>

enum key_state { UNWRITTEN, WRITTEN, DELETED, UNCERTAIN };

struct check {
    struct audit *audit;
    struct audit_txns *txns;
    int64_t now_ms;
    const struct audit_partition *partition;
    enum key_state keys[AUDIT_KEYS];
    struct audit_compaction gone;
};

/* Half of the records are of few keys, so that much can be taken out, and half of so many that a
 * tombstone may stay the last one. */
uint32_t audit_compaction_key(uint64_t value) {
    enum { BUSY = 20 };
    uint32_t hash = (uint32_t)(value * UINT64_C(0x9e3779b97f4a7c15) >> 32);
    return hash % 2 == 0 ? hash / 2 % BUSY : BUSY + hash / 2 % (AUDIT_KEYS - BUSY);
}

static void begin(struct check *check, const struct audit_partition *partition) {
    check->partition = partition;
    for (int i = 0; i < AUDIT_KEYS; i++) {
        check->keys[i] = UNWRITTEN;
    }
}

static void fail(const struct check *check, int64_t offset, uint64_t value, const char *what) {
    audit_fail(check->audit, "%s-%" PRId32 ": value %" PRIu64 " at offset %" PRId64 " %s",
               audit_partition_topic(check->partition), audit_partition_number(check->partition),
               value, offset, what);
}

static void there(struct check *check, int64_t offset, uint64_t value) {
    enum key_state *key = &check->keys[audit_compaction_key(value)];
    if (audit_txns_fate(check->txns, value) != AUDIT_VISIBLE) {
        return;
    }
    if (*key == DELETED) {
        fail(check, offset, value, "was deleted by a tombstone that is gone, and is there");
    }
    *key = WRITTEN;
}

/* The newest of its key, as far as is known. */
static void newest_gone(struct check *check, int64_t offset, uint64_t value) {
    enum key_state *key = &check->keys[audit_compaction_key(value)];
    enum audit_fate fate = audit_txns_fate(check->txns, value);
    int64_t stays_until_ms;
    if (audit_txns_is_tombstone(check->txns, value, &stays_until_ms)) {
        if (fate == AUDIT_VISIBLE && check->now_ms < stays_until_ms) {
            fail(check, offset, value, "is a tombstone, and was gone before its time");
        }
        check->gone.tombstones++;
        *key = fate == AUDIT_VISIBLE ? DELETED : UNCERTAIN;
    } else if (fate == AUDIT_UNKNOWN) {
        audit_txns_taken_out(check->txns, value);
    } else {
        fail(check, offset, value, "was the newest of its key, and is gone");
    }
}

static void look(void *arg, const struct audit_partition *partition, int64_t offset, uint64_t value,
                 bool met) {
    struct check *check = arg;
    if (partition != check->partition) {
        begin(check, partition);
    }
    if (met) {
        there(check, offset, value);
    } else if (audit_txns_fate(check->txns, value) == AUDIT_HIDDEN) {
        check->gone.aborted++;
    } else if (check->keys[audit_compaction_key(value)] == UNWRITTEN) {
        newest_gone(check, offset, value);
    } else {
        check->gone.written_again++;
    }
}

struct audit_compaction audit_compaction_check(struct audit *audit, struct audit_txns *txns,
                                               int64_t now_ms) {
    struct check check = {.audit = audit, .txns = txns, .now_ms = now_ms};
    audit_compacted_each(audit, look, &check);
    return check.gone;
}
