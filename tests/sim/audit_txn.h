#pragma once

#include "audit.h"

/*
 * What readers of committed records may see: the model of all transactions of a run, beside the
 * table of audit.h, which holds for their records as for all others (nothing invented, one value
 * per offset, no duplicates, order, nothing acknowledged lost, aborted or not).
 *
 *   8. no aborted read         a record of a transaction that was aborted is not read
 *   9. no read in the future   nor one of a transaction whose commit nobody asked for yet
 *  10. nothing committed lost  when the commit was answered, each record in the log is read
 *  11. all or nothing          of a transaction all records are read, or none; and its offsets are
 *                              the group's, or they are not. A commit without an answer is either
 *  12. each input once         transactions that consume and commit offsets follow one another:
 *                              each begins where the last committed one ended
 *
 * Where nothing is synced a power cut shakes the transactions of before: their ends may be lost, or
 * be decided otherwise, in one log and not in another. Of a shaken transaction that had an epoch of
 * its own (transaction.version 2) all that is left in one log is read, or nothing of it, and
 * nothing when nobody asked for its commit. Before version 2 it may be taken for the next one.
 *
 * Cycles of writes between transactions are fine: Kafka promises nothing there.
 */
struct audit_txns;
struct audit_txn;

struct audit_txns *audit_txns_new(struct audit *audit);
void audit_txns_free(struct audit_txns *txns);

/* --- what producers do --- */

/* who: copied, for people. */
struct audit_txn *audit_txn_begin(struct audit_txns *txns, const char *who);

/* No other transaction of its producer has its epoch. */
void audit_txn_own_epoch(struct audit_txn *txn);

/* A record of audit_send is about to be sent in it. */
void audit_txn_value(struct audit_txn *txn, uint64_t value);

/* It consumes a group's input from one offset to another, which is asked to be committed; no two
 * have the same `to`. Then it was acknowledged. The group's name is borrowed. */
void audit_txn_offsets(struct audit_txn *txn, const char *group, int64_t from, int64_t to);
void audit_txn_offsets_acked(struct audit_txn *txn);

/* It is a tombstone, and stays in its compacted log at least until then. */
void audit_txns_tombstone(struct audit_txns *txns, uint64_t value, int64_t stays_until_ms);

/* EndTxn is about to be sent; and was answered. */
void audit_txn_end_asked(struct audit_txn *txn, bool commit);
void audit_txn_ended(struct audit_txn *txn, bool commit);

/* --- what readers see --- */

/* A reader of committed records begins to take a stretch of a log; its number. */
uint64_t audit_txns_stretch(struct audit_txns *txns);

/* In the stretch a value was read. */
void audit_txns_read(struct audit_txns *txns, uint64_t stretch, uint64_t value);

/* The stretch held this value, read or not. */
void audit_txns_covered(struct audit_txns *txns, uint64_t stretch, uint64_t value);

/* Whether a value is one of a transaction. */
bool audit_txns_has(const struct audit_txns *txns, uint64_t value);

/* While no transaction of the group's was open its offset was this; -1: none. */
void audit_txns_fetched(struct audit_txns *txns, const char *group, int64_t offset);

/* The same while others work, each with its own part of the input: of what was acknowledged before
 * the fetch was sent (audit_txns_now) nothing was open any more. */
uint64_t audit_txns_now(const struct audit_txns *txns);
void audit_txns_fetched_since(struct audit_txns *txns, const char *group, uint64_t sent,
                              int64_t offset);

/* The power was cut, and nothing is synced. */
void audit_txns_shake(struct audit_txns *txns);

/* All came to its end, and each log was read from begin to end. */
void audit_txns_check(struct audit_txns *txns);

/* --- what became of a value, for the auditor of compaction --- */

enum audit_fate {
    AUDIT_VISIBLE, /* committed, or of no transaction */
    AUDIT_HIDDEN,  /* aborted */
    AUDIT_UNKNOWN, /* its commit was not answered, and nobody saw whether it was done */
};
enum audit_fate audit_txns_fate(const struct audit_txns *txns, uint64_t value);

/* False: it is none. */
bool audit_txns_is_tombstone(const struct audit_txns *txns, uint64_t value,
                             int64_t *ret_stays_until_ms);

/* A value was taken out of its log, as those of aborted transactions are. */
void audit_txns_taken_out(struct audit_txns *txns, uint64_t value);
