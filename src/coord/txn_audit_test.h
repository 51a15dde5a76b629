#pragma once

#include "coord/txn_int.h"

/*
 * The log of a transaction coordinator in memory, and what has to be true of it, of the markers
 * that are sent and of what is answered; for txn_random_test.c. Asserts.
 */
struct txn_kept {
    struct buffer key;
    struct buffer value;
    bool tombstone;
};

/* A partition took its marker. */
struct txn_mark {
    size_t prepare; /* offset of the decision */
    int32_t partition;
};

struct txn_audit {
    struct txn_kept *log;
    size_t count;
    size_t committed;
    struct txn_mark *marks;
    size_t mark_count;
};

void txn_audit_done(struct txn_audit *audit);

/* Adds a record, which must be one that may follow: epochs do not go back, a new producer id is one
 * of ours, Complete has all its markers. */
void txn_audit_keep(struct txn_audit *audit, const struct coord_record *record);

/* Leadership is lost: so is what is not committed. */
void txn_audit_truncate(struct txn_audit *audit);
void txn_audit_replay(const struct txn_audit *audit, struct groups *groups);

/* Markers must say what a committed decision says, which is the last record of its transactional
 * id; returns that record's offset. */
size_t txn_audit_markers(const struct txn_audit *audit, const struct coord_markers *markers);
void txn_audit_mark(struct txn_audit *audit, size_t prepare, int32_t partition);

/* Whether the log says so, as far as it is committed. partition -1: whatever it is. */
bool txn_audit_says(const struct txn_audit *audit, struct str id, int64_t producer_id,
                    int16_t epoch, int8_t status, int32_t partition);

/* Nothing is open or prepared. */
void txn_audit_is_at_rest(const struct txn_audit *audit);
