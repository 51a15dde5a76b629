#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "log/batch_header.h"
#include "log/index_file.h"
#include "log/log.h"
#include "log/txn_index.h"

/*
 * One segment of a log: a .log file and its indexes.
 *
 * Counted: the log holds one reference as long as the segment is part of it, a slice another. The
 * lock guards the fields marked so; it is held for a moment only. As in log/log.h, [writer]
 * functions do not overlap each other, [any] may run at any time.
 */
struct segment_recent {
    int64_t base_offset;
    int64_t last_offset;
    uint64_t position;
    uint32_t size;
};

/* Batches whose place is known without asking an index: consumers read at the end. */
enum { SEGMENT_RECENTS = 16 };

struct log_segment {
    uint32_t references; /* atomic */
    struct log_cache *cache;
    int64_t base_offset;
    struct cached_file log;
    struct index_file offsets;
    struct index_file times;
    struct txn_index aborted;

    struct sys_lock lock;
    uint64_t size;                  /* lock: bytes that readers may see */
    int64_t next_offset;            /* lock: no batch here has an offset at or above it */
    bool max_timestamp_known;       /* lock, and so the next two */
    int64_t max_timestamp_ms;       /* -1 when no batch has one */
    int64_t max_timestamp_offset;   /* last offset of the batch that has it */
    bool index_distrusted;          /* lock: lookups start at the file's beginning */
    uint64_t cuts;                  /* lock: how often the end was taken back */
    bool indexes_synced;            /* the log's lock: sealed, and indexes are on the disk */
    struct segment_recent *recents; /* lock: a ring; NULL before the first append */
    uint32_t recent_next;
    uint32_t recent_count;
    bool first_timestamp_known; /* lock, and so the next one */
    int64_t first_timestamp_ms; /* of the first batch: what rolling by time counts from */

    /* writer only */
    bool torn;                  /* remains of a failed write may stand behind the end */
    bool cut_unsynced;          /* what was cut off may come back with a power cut */
    uint32_t bytes_since_entry; /* appended since the last index entry */
    int64_t created_ms;
    int64_t roll_jitter_ms;
    bool reserved;       /* the disk may keep space for the log file behind its end */
    int64_t modified_ms; /* of the file as it was opened; for retention without timestamps */
};

enum segment_file {
    SEGMENT_LOG,
    SEGMENT_INDEX,
    SEGMENT_TIME_INDEX,
    SEGMENT_TXN_INDEX,
    SEGMENT_SNAPSHOT,
    SEGMENT_FILE_COUNT
};

/* "<folder>/00000000000000000042.log"; freed with free(). */
char *segment_path(const char *folder, int64_t base_offset, enum segment_file file,
                   const char *suffix);

struct segment_sizes {
    uint64_t file[SEGMENT_FILE_COUNT]; /* 0 when absent */
    bool present[SEGMENT_FILE_COUNT];
};

/* An object for files that are there; opens nothing. next_offset: what is known, else base_offset
 * (the caller finds it with segment_scan_tail). */
struct log_segment *segment_new(struct log_cache *cache, const char *folder, int64_t base_offset,
                                const struct segment_sizes *sizes, int64_t next_offset);

/* The same for files whose names end in `suffix`. */
struct log_segment *segment_new_named(struct log_cache *cache, const char *folder,
                                      int64_t base_offset, const char *suffix,
                                      const struct segment_sizes *sizes, int64_t next_offset);
struct log_segment *segment_ref(struct log_segment *segment);
void segment_unref(struct log_segment *segment); /* [any], accepts NULL */

/* [writer] Makes the empty files of a new segment; reserve: bytes to reserve on the disk, or 0. */
err_t segment_create_files(struct log_segment *segment, uint64_t reserve);

/* [writer] Writes whole v2 batches at the end, one write, then indexes them. On an error nothing
 * is visible, and the file has been cut back, or else *ret_torn is set: then nothing more is
 * written, nor is the segment sealed, before that succeeded. */
err_t segment_append(struct log_segment *segment, const uint8_t *data, size_t size,
                     uint32_t batch_count, uint32_t index_interval_bytes, bool *ret_torn);

/* [writer] Takes note of a batch of this segment that lies at `position`: largest timestamp, and
 * index entries when one is due. There is room in the indexes for one. For append and recovery. */
err_t segment_index_batch(struct log_segment *segment, const struct batch_header *header,
                          uint64_t position, uint32_t index_interval_bytes);

/* [writer] The last time entry, and both indexes written to their files; space that was reserved
 * and not used is given back. */
err_t segment_seal(struct log_segment *segment);

/* [writer] Syncs the .log where it was cut and may not have been synced since: the next segment
 * must not be there before the end of this one is for good. */
err_t segment_sync_cut(struct log_segment *segment);

/* [any] Syncs the .log, and the indexes of a sealed segment. */
err_t segment_sync(struct log_segment *segment, bool with_indexes);

/* [writer] Cuts the files at a batch's position; that batch and all after it are gone. */
err_t segment_truncate(struct log_segment *segment, uint64_t position, int64_t next_offset);

/* [writer] Empties the indexes, to be filled again by segment_index_batch; with_aborted: that of
 * transactions too. */
err_t segment_reset_indexes(struct log_segment *segment, bool with_aborted);

/* [writer] Renames the files to *.deleted, and the producer snapshot at its beginning. Open ones
 * stay readable. On an error it has all its files still. */
err_t segment_rename_deleted(struct sys *sys, const char *folder, struct log_segment *segment,
                             bool with_snapshot);

/* Holds the files open, so that they are read and renamed without a look at their names, and lets
 * go of them. */
err_t segment_hold(struct log_segment *segment);
void segment_let_go(struct log_segment *segment);

/* The files, held, have the names of a segment now. */
void segment_named(struct log_segment *segment, const char *folder);

/* --- reading: [any] --- */

/* Batches from the first that ends at or after `offset`; see log_read. NOT_FOUND when there is none
 * in this segment. */
err_t segment_read(struct log_segment *segment, int64_t offset, size_t size_max,
                   int64_t limit_offset, int flags, struct log_slice *ret_slice);

/* The first batch that ends at or after `offset`, and its head. */
err_t segment_find(struct log_segment *segment, int64_t offset, bool no_wait,
                   uint64_t *ret_position, struct batch_header *ret_header);

/* Walks from the last index entry to the end of the file. CORRUPT when the batches do not end where
 * the file does. */
struct segment_tail {
    int64_t next_offset;      /* of the segment */
    int64_t timestamp_ms;     /* the largest of the batches walked over, -1 without one */
    int64_t timestamp_offset; /* the last offset of the batch that has it */
};
err_t segment_scan_tail(struct log_segment *segment, struct segment_tail *ret_tail);

/* The largest timestamp and the last offset of its batch; -1 and base offset without one. */
err_t segment_max_timestamp(struct log_segment *segment, int64_t *ret_timestamp_ms,
                            int64_t *ret_offset);

/* The timestamp of the first batch, -1 while empty. [writer], or of a sealed segment. */
err_t segment_first_timestamp(struct log_segment *segment, int64_t *ret_timestamp_ms);

/* [writer] Takes note of it. */
void segment_first_timestamp_set(struct log_segment *segment, int64_t timestamp_ms);

uint64_t segment_size(struct log_segment *segment);
int64_t segment_next_offset(struct log_segment *segment);

/* Whether lookups do without its indexes until these are made anew. */
bool segment_index_distrusted(struct log_segment *segment);

/* How often its end was taken back. A lookup that began before the last cut may have met half of
 * it: it begins anew. */
uint64_t segment_cuts(struct log_segment *segment);
