#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/log.h"

/*
 * The cleaner of compacted logs: takes out records whose key was written again. One log at a time
 * is chosen by its owner (log_cleanable), and cleaned in steps beside appends, reads and flushes,
 * which never wait for it.
 *
 *     log_cleaning_new ─► step ─► step … ─► SWAP: log_cleaning_swap ─► step … ─► SWAP … ─► DONE
 *
 * The log must stay alive and its folder in place until log_cleaning_free.
 */

/* --- choosing --- */

struct log_cleanable {
    int64_t first_dirty_offset;       /* where the last cleaning ended */
    int64_t first_uncleanable_offset; /* up to here it may be cleaned: the base of a segment */
    uint64_t clean_bytes;             /* of segments that begin below the first dirty offset */
    uint64_t cleanable_bytes;         /* of those that may be cleaned now */
    double ratio;                     /* cleanable of both; 0 when there are none */
    uint64_t truncations;             /* of the log, when this was so */
    int64_t delay_ms;                 /* by how much max.compaction.lag.ms is over; 0: it is not */
};

/* [any] What there is to clean. Blocks on the disk only for min. and max.compaction.lag.ms; with
 * `memory_only` these are left out, and it does not fail. NOT_FOUND: segments were deleted or
 * truncated meanwhile; else an error of the disk, or CORRUPT. */
err_t log_cleanable(struct log *log, int64_t now_ms, bool memory_only,
                    struct log_cleanable *ret_cleanable);

/* Whether it is enough: min.cleanable.dirty.ratio, or the lag is over. */
bool log_cleanable_due(struct log *log, const struct log_cleanable *cleanable);

/* [any, memory only] The line of the log in the CLEANER checkpoint: up to where it is compacted.
 * False: it has none. */
bool log_cleaned_offset(struct log *log, int64_t *ret_offset);

/* --- cleaning --- */

struct log_cleaning_settings {
    uint64_t map_bytes; /* of the map of keys */
    double map_load;    /* the most of it that may be used */
    size_t io_bytes;    /* read at a time; more only for a larger batch */
    int64_t now_ms;     /* wall clock: delete horizons count from here */
};

enum log_cleaning_next {
    LOG_CLEANING_AGAIN, /* more to do */
    LOG_CLEANING_SWAP,  /* log_cleaning_swap is due */
    LOG_CLEANING_DONE,
};

struct log_cleaning_stats {
    uint64_t bytes_read; /* of segments that were rewritten */
    uint64_t bytes_written;
    uint64_t bytes_io; /* of all reading and writing: what throttling counts */
    uint64_t records_read;
    uint64_t records_kept;
    uint64_t records_without_key;
    double map_used;    /* of the memory it may take */
    int64_t end_offset; /* up to where the log is compacted when it is done */
};

struct log_cleaning;

/* Memory only. `cleanable` is of this log and has cleanable bytes. */
struct log_cleaning *log_cleaning_new(struct log *log, const struct log_cleanable *cleanable,
                                      const struct log_cleaning_settings *settings);

/* A blocking call to the disk (a few where a segment is begun or synced), and work on what it read.
 * On an error it is over, unless files are being renamed (log_cleaning_may_stop): then the step is
 * to be tried again when the error passes (log_cleaning_passes); after others the directory is
 * offline.
 *   CLOSED      the log was closed or deleted, or is not compacted any more
 *   NOT_FOUND   segments were deleted or truncated meanwhile: a later cleaning begins anew
 *   LIMIT       the map has no room for the keys of one batch
 *   MESSAGE_TOO_LARGE      the records of a batch expand to more than 256 MiB
 *   RECORD_LIST_TOO_LARGE  what stays, compressed anew, is more than a segment may have (2 GiB)
 *   CORRUPT, MALFORMED, UNSUPPORTED   a batch makes no sense; see log_cleaning_where */
err_t log_cleaning_step(struct log_cleaning *cleaning, enum log_cleaning_next *ret_next);

/* [writer, memory only] Puts the new segment into the place of the old ones: from now on it is
 * read. Errors as above. */
err_t log_cleaning_swap(struct log_cleaning *cleaning);

/* Whether it may be given up without a trace: not while files are being renamed. */
bool log_cleaning_may_stop(const struct log_cleaning *cleaning);

/* Whether an error says that something is short just now: room, open files, memory. */
bool log_cleaning_passes(err_t err);

void log_cleaning_stats(const struct log_cleaning *cleaning, struct log_cleaning_stats *ret_stats);

/* The file and position it is at, for a message; good until the next call. */
const char *log_cleaning_where(struct log_cleaning *cleaning);

/* Removes the files of a segment that was not swapped in; blocks on the disk for that. When files
 * are being renamed the next start ends it. Accepts NULL. */
void log_cleaning_free(struct log_cleaning *cleaning);
