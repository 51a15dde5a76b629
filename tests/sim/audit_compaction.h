#pragma once

#include "audit_txn.h"

/*
 * What compaction may take out of a log, beside the tables of audit.h and audit_txn.h:
 *
 *  13. the newest stays        of each key the last record that was committed, or was of no
 *                              transaction, is there: no record of another transaction takes its
 *                              place before that one is committed
 *  14. tombstones stay         as long as delete.retention.ms says, and when one goes, nothing of
 *                              what it deleted comes back
 *
 * That readers see no aborted records, and of a committed transaction either all that is not
 * written again or none, are promises 8 to 11. Which key a record has follows from its value id.
 */
enum { AUDIT_KEYS = 400 };

/* The key of a value in a compacted log: one of AUDIT_KEYS. */
uint32_t audit_compaction_key(uint64_t value);

struct audit_compaction { /* of values that were known, and are not there any more */
    uint64_t written_again;
    uint64_t aborted;
    uint64_t tombstones; /* which nothing was written after */
};

/* All came to its end, and the last walks are done. */
struct audit_compaction audit_compaction_check(struct audit *audit, struct audit_txns *txns,
                                               int64_t now_ms);
