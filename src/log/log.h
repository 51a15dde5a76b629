#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/uuid.h"
#include "log/directory.h"
#include "log/log_config.h"
#include "sys/file.h"

/*
 * The log of one partition: record batches in Kafka's files, found again by offset and time.
 *
 * Threads. Functions marked
 *   [writer]  must not overlap each other on one log (the partition's writer token sees to it);
 *   [flush]   must not overlap each other on one log, but may run beside a writer;
 *   [any]     may be called at any time on any thread while the log is open.
 * All of them may block on the disk except those that say "memory only". A log has a lock of its
 * own (rank LOG), never held over a blocking call.
 *
 * Errors. ERR_IO and ERR_NO_SPACE come from the disk, see log/directory.h; ERR_CORRUPT means that
 * bytes on the disk are not what was written; ERR_CLOSED that the log was closed or deleted. The
 * log tells people nothing itself except through its directory's text log: what recovery cut off,
 * what it rebuilt, and which segments retention deleted and why.
 */
struct log;

/* --- life --- */

/* Makes the folder, partition.metadata and the first segment, at `start_offset`, durably. EXISTS
 * when the folder is there. */
err_t log_create(struct log_directory *directory, struct str topic, int32_t partition,
                 struct uuid topic_id, int64_t start_offset, const struct log_config *config,
                 struct log **ret_log);

/* Opens the folder `name`. After a clean shutdown of the directory that lists the folder, reads the
 * small files in it, and no data. After any other end the log needs recovery: call
 * log_recovery_step until it is done, nothing else before. */
err_t log_open(struct log_directory *directory, const char *name, const struct log_config *config,
               struct log **ret_log);

struct log_recovery_progress {
    uint64_t bytes_done;
    uint64_t bytes_total; /* to be re-read */
    int64_t offset;       /* where it is */
};

bool log_needs_recovery(const struct log *log);

/* [writer] Re-reads up to some MiB, or does one of the small steps around it. *ret_progress may be
 * NULL. On an error the log stays unusable: free it; a later log_open begins anew. */
err_t log_recovery_step(struct log *log, bool *ret_done,
                        struct log_recovery_progress *ret_progress);

/* [writer] Clean end: writes indexes and the producer snapshot, syncs everything. Whatever it
 * returns, only memory-only calls and log_free may follow; log_recovery_point is what belongs into
 * the checkpoint. The directory remembers whether it went well. Nothing is written of a log that
 * is not recovered yet: the next start does that. */
err_t log_close(struct log *log);

/* No call runs; slices may still be out. Without log_close before, the next start recovers.
 * Accepts NULL. */
void log_free(struct log *log);

/* [writer] Deletes the log: renames the folder to <topic>-<partition>.<hex>-delete and puts it into
 * the directory's trash. Readers get ERR_CLOSED from now on; only log_free may follow. */
err_t log_delete(struct log *log);

/* [any, memory only] */
void log_configure(struct log *log, const struct log_config *config);
void log_config_read(struct log *log, struct log_config *ret_config);

struct log_directory *log_directory_of(const struct log *log);
struct str log_topic(const struct log *log);
int32_t log_partition(const struct log *log);
bool log_topic_id(const struct log *log, struct uuid *ret_id);
const char *log_path(const struct log *log); /* of the folder */

/* [writer] Writes partition.metadata of a log that had none. ERR_INCONSISTENT_TOPIC_ID when it has
 * another one. */
err_t log_topic_id_set(struct log *log, struct uuid id);

/* --- append --- */

enum log_append_flags {
    LOG_APPEND_KEEP_OFFSETS = 1, /* follower: batches come with offsets and epochs, all at or above
                                    the log's end; producers are not checked, only followed */
    LOG_APPEND_COORDINATOR = 2,  /* written by a coordinator: markers, batches without sequences */
    LOG_APPEND_VERIFIED = 4,     /* a batch may begin a transaction only while txn_guard holds */
    LOG_APPEND_FROM_ZERO = 8,    /* who is not known here begins with sequence 0 */
    LOG_APPEND_EXACT = 16,       /* a marker ends the transaction of these offsets, or nothing */
};

enum {
    LOG_TXN_GUARD_NEW = -1,  /* of a producer that the log knows no marker of */
    LOG_TXN_GUARD_NONE = -2, /* never holds */
};

struct log_append {
    uint8_t *data; /* validated v2 batches back to back; patched in place: offsets and epoch */
    size_t size;
    int32_t leader_epoch; /* ignored with KEEP_OFFSETS */
    int64_t now_ms;       /* wall clock */
    int flags;
    int16_t transaction_version; /* of a marker: 2 demands an epoch above its records' */
    int64_t txn_guard;           /* with VERIFIED */
    int64_t txn_first_offset;    /* with EXACT, as in struct log_open_txn */
    int64_t txn_last_offset;
};

struct log_append_result {
    int64_t first_offset;
    int64_t last_offset;
    int64_t log_start_offset;
    int64_t duplicate_timestamp_ms; /* of a duplicate: when it was appended; else -1 */
    bool duplicate;                 /* nothing was written; offsets are those of then */
    bool rolled;                    /* a segment was sealed: log_flush to its end is due */
    bool flush_due;                 /* flush.messages reached */
};

/* [writer] Appends, all or nothing. One write; nothing is synced.
 *   OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED,
 *   INVALID_TXN_STATE   the producer's mistake, nothing changed; the last also when a marker came
 *                       between a verification and its append, or with EXACT
 *   CONCURRENT_TRANSACTIONS   the producer's transaction of an older epoch is still open: of
 * records, and of a marker that is of a later one RECORD_LIST_TOO_LARGE   larger than segment.bytes
 *   CORRUPT_MESSAGE     the run is not whole v2 batches (with KEEP_OFFSETS: or offsets go back)
 *   IO, NO_SPACE        nothing is visible, what was written of it was cut off again
 */
err_t log_append(struct log *log, const struct log_append *append,
                 struct log_append_result *ret_result);

/* [any, memory only] Whether appending `size` bytes with this largest timestamp would begin a new
 * segment first, which takes several file operations. size 0 asks only about age. */
bool log_roll_due(struct log *log, size_t size, int64_t max_timestamp_ms, int64_t now_ms);

/* [writer] Seals the active segment and begins a new one; nothing when the active one is empty.
 * log_append does it by itself when it is due. */
err_t log_roll(struct log *log);

/* --- offsets: [any, memory only] --- */

int64_t log_start_offset(const struct log *log);
int64_t log_end_offset(const struct log *log);     /* of the next record */
int64_t log_recovery_point(const struct log *log); /* everything below is on the disk */

/* This recovery point is in the checkpoint, and that on the disk. A log is not cleaned beyond it: a
 * start that recovers takes gaps from there on for the loss of what was not synced. */
void log_recovery_point_checkpointed(struct log *log, int64_t offset);

/* The partition tells its log how far records are committed: retention stops there, and the last
 * stable offset follows. Never moves beyond the end. Starts at the checkpoint's, bounded by the
 * log's start and end. */
void log_high_watermark_set(struct log *log, int64_t offset);
int64_t log_high_watermark(const struct log *log);

/* Where read_committed stops: the first offset of the oldest transaction that is open, or whose
 * marker is not below the high watermark; else the high watermark. */
int64_t log_last_stable_offset(const struct log *log);

uint64_t log_size(const struct log *log); /* bytes in segments, indexes not counted */
size_t log_segment_count(const struct log *log);

/* --- read --- */

/* A run of whole batches in one segment's file. Keeps segment and file open until it is released,
 * on any thread, also after log_free. Bytes stay readable after deletion, not after truncation. */
struct log_slice {
    struct log_segment *segment; /* NULL: empty slice, nothing to release */
    struct sys_file *file;
    uint64_t position;
    size_t size;
    int64_t start_offset;     /* base offset of the first batch; may be below what was asked for */
    int64_t end_offset;       /* all records are below; at most where the next batch begins */
    int64_t file_base_offset; /* the segment's */
};

enum log_read_flags {
    LOG_READ_MIN_ONE = 1, /* the first batch even when it is larger than size_max */
    LOG_READ_NO_WAIT = 2, /* WOULD_BLOCK rather than wait for the disk while looking up */
};

/* [any] Batches from the one that holds `offset`, or the first after a gap, up to `size_max` bytes
 * and only such that end below limit_offset. An empty slice at or above limit_offset, or when the
 * first batch does not fit and MIN_ONE is not given. OFFSET_OUT_OF_RANGE below the start or above
 * the end. CORRUPT when the segment's bytes are damaged. */
err_t log_read(struct log *log, int64_t offset, size_t size_max, int64_t limit_offset, int flags,
               struct log_slice *ret_slice);
void log_slice_release(struct log_slice *slice); /* accepts an empty one; empties it */

/* Special timestamps of ListOffsets. */
enum {
    LOG_TIMESTAMP_LATEST = -1,
    LOG_TIMESTAMP_EARLIEST = -2,
    LOG_TIMESTAMP_MAX = -3,
    LOG_TIMESTAMP_EARLIEST_LOCAL = -4,
    LOG_TIMESTAMP_LATEST_TIERED = -5,
    LOG_TIMESTAMP_EARLIEST_PENDING_UPLOAD = -6,
};

struct log_time_offset {
    int64_t timestamp_ms; /* -1 when it has none to tell */
    int64_t offset;       /* -1: no such record */
    int32_t leader_epoch; /* -1 when unknown */
};

/* [any] The first record at or after a time, or what a special timestamp means: LATEST is the log
 * end offset, the caller bounds it. UNSUPPORTED for a negative number that means nothing. */
err_t log_offset_for_timestamp(struct log *log, int64_t timestamp_ms,
                               struct log_time_offset *ret_found);

/* [any, memory only] The end of the newest epoch at or below `leader_epoch`; both -1 when unknown.
 * As OffsetForLeaderEpoch answers it. */
void log_epoch_end_offset(struct log *log, int32_t leader_epoch, int32_t *ret_epoch,
                          int64_t *ret_end_offset);
int32_t log_latest_epoch(struct log *log);                    /* -1: none */
int32_t log_epoch_of_offset(struct log *log, int64_t offset); /* -1: none */

/* [writer] A new leader starts here: notes (epoch, log end), durably before the next append. */
err_t log_epoch_start(struct log *log, int32_t leader_epoch);

struct log_aborted {
    int64_t producer_id;
    int64_t first_offset;
};

/* [any] Transactions aborted that have records in [start_offset, end_offset); the array is freed
 * with free(), NULL when there are none. OFFSET_OUT_OF_RANGE, and CLOSED: records that were read
 * from there on are deleted by now, and which of them were aborted is not known any more. flags:
 * LOG_READ_NO_WAIT, or none. */
err_t log_aborted_transactions(struct log *log, int64_t start_offset, int64_t end_offset, int flags,
                               struct log_aborted **ret_aborted, size_t *ret_count);

/* [any] Producers that have state here, as DescribeProducers tells; freed with free(). */
struct log_producer {
    int64_t producer_id;
    int16_t epoch;
    int32_t last_sequence; /* -1: none */
    int64_t last_timestamp_ms;
    int32_t coordinator_epoch;  /* -1: none */
    int64_t current_txn_offset; /* -1: no open transaction */
    int64_t last_data_offset;   /* -1: none */
};
void log_producers(struct log *log, struct log_producer **ret_producers, size_t *ret_count);

/* [any, memory only] The transactions that are open, the oldest first; freed with free(), NULL when
 * there are none. */
struct log_open_txn {
    int64_t producer_id;
    int16_t epoch;
    int32_t coordinator_epoch; /* -1: none */
    int64_t first_offset;
    int64_t last_offset; /* of its last batch */
    int64_t since_ms;    /* wall clock; -1: since before the log was opened */
};
void log_open_txns(struct log *log, struct log_open_txn **ret_txns, size_t *ret_count);

/* [any, memory only] How many producers it knows. */
size_t log_producer_count(struct log *log);

/* Whether the log remembers batches of this producer. */
bool log_producer_known(struct log *log, int64_t producer_id);

/* [any, memory only] Whether this producer has an open transaction here, at this epoch, that was
 * begun or verified since the log was opened: then its batches need no verification. *ret_guard:
 * for the append of one that is verified now. INVALID_PRODUCER_EPOCH: a newer epoch is known. */
err_t log_txn_is_open(struct log *log, int64_t producer_id, int16_t epoch, bool *ret_open,
                      int64_t *ret_guard);

/* [writer] Forgets producers that wrote nothing for producer.id.expiration.ms. */
void log_producers_expire(struct log *log, int64_t now_ms);

/* --- durability --- */

/* [flush] Syncs everything below `offset` (at most the end; INT64_MAX: all), then moves the
 * recovery point there. One segment after the other; to slice it, pass log_flush_next. CLOSED when
 * the log was deleted meanwhile. */
err_t log_flush(struct log *log, int64_t offset);

/* [any, memory only] The end of the first segment that is not synced, bounded by the log's end: one
 * slice of a long flush. Equals the recovery point when all is synced. */
int64_t log_flush_next(const struct log *log);

/* [any, memory only] Whether flush.ms or flush.messages asks for a flush. now_ms: wall clock. */
bool log_flush_due(const struct log *log, int64_t now_ms);

/* [any, memory only] Bytes appended and not synced. */
int64_t log_dirty_bytes(const struct log *log);

/* [any] Asks the kernel to start writing what was appended since the last call. Does not wait. */
void log_start_writeback(struct log *log);

/* --- removal --- */

/* [writer] Deletes the oldest segment when time, size or the log start offset say so. *ret_more:
 * call again. A log with cleanup.policy=compact alone only loses what is below its start. */
err_t log_retention_step(struct log *log, int64_t now_ms, bool *ret_more);

/* [any, memory only] False: it has nothing to do, whatever the time is. */
bool log_retention_possible(struct log *log);

/* [writer] DeleteRecords: moves the log start offset up. OFFSET_OUT_OF_RANGE above the high
 * watermark. Files go with the next retention step. The caller writes the LOG_START checkpoint. */
err_t log_delete_records(struct log *log, int64_t offset);

/* [any, memory only] Whether this log has a line in the LOG_START checkpoint. */
bool log_start_checkpointed(const struct log *log);

/* [writer] Drops everything at and above `offset`; nothing when the log ends below it. The caller
 * writes the RECOVERY_POINT checkpoint before the next append: it may have gone down. BUSY, and
 * nothing was done, while the cleaner renames files of segments that would be cut: try again. */
err_t log_truncate_to(struct log *log, int64_t offset);

/* [writer] Drops everything and goes on at `offset`. BUSY as above. */
err_t log_truncate_fully(struct log *log, int64_t offset);
