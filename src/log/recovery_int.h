#pragma once

#include "log/log_int.h"

/* The inside of a recovery: recovery.c drives it, recovery_scan.c reads batches, recovery_cut.c
 * takes damage off the log's end, recovery_finish.c settles what follows from it. */
enum recovery_phase {
    RECOVERY_START,   /* choose a producer snapshot */
    RECOVERY_REBUILD, /* indexes of segments before the scan that lack one */
    RECOVERY_FOLLOW,  /* producers from the snapshot to the scan */
    RECOVERY_SCAN,    /* check, index and follow from the recovery point's segment on */
    RECOVERY_FINISH,
};

struct recovery {
    struct recovery_plan plan;
    struct log_config config;
    enum recovery_phase phase;
    size_t scan_from;      /* the first segment to be checked */
    int64_t synced_offset; /* the recovery point that was read */
    bool epochs_changed;
    size_t segment; /* where the phase is */
    uint64_t position;
    int64_t expected_offset; /* no batch from here on may begin below */
    int64_t batches_end;     /* of the SCAN: where its last batch ended, or where it began */
    int64_t gaps_end;        /* of the SCAN: where the last gap that it let pass ended, or 0 */
    uint64_t bytes_done;
    uint64_t bytes_total;
    uint8_t *buffer; /* LOG_RECOVERY_CHUNK bytes of the segment */
    uint64_t buffer_position;
    size_t buffer_size;
};

/* Begins to read a segment. */
void recovery_seek(struct recovery *recovery, size_t segment, uint64_t position,
                   int64_t expected_offset);

/* The next batch; moves past it. NOT_FOUND at the end; CORRUPT with `wrong`: then it has not moved,
 * and the header may be of use when `has_header`. */
struct recovery_batch {
    struct batch_header header;
    bool has_header;
    const uint8_t *data; /* whole; NULL when it is larger than the buffer */
    const char *wrong;
};
err_t recovery_next(struct log *log, struct recovery *recovery, bool check,
                    struct recovery_batch *ret_batch);

/* The log ends at recovery->position of its segment: cuts, sets aside what may be more than a torn
 * write, and says so. */
err_t recovery_cut(struct log *log, struct recovery *recovery, const struct recovery_batch *bad);

/* Whether the segment that was read to its end is followed by one that does not follow on, and what
 * was between was lost: then the log ends here. A gap that is no loss is noted in gaps_end. */
bool recovery_at_hole(const struct log *log, struct recovery *recovery);
err_t recovery_end_at_hole(struct log *log, struct recovery *recovery);

/* After the last segment: drops those at the log's end that are empty and begin above the last
 * batch, when what was between was lost. The place is then the end of the last one that stays. */
err_t recovery_drop_hole_at_end(struct log *log, struct recovery *recovery);

/* The last phase; afterwards log->recovery is NULL. */
err_t recovery_finish(struct log *log);

/* Removes the producer snapshot at an offset, if there is one. */
err_t recovery_snapshot_remove(struct log *log, int64_t offset);
