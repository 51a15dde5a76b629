#pragma once

#include "base/text_log.h"
#include "log/directory_int.h"
#include "log/leader_epochs.h"
#include "log/log.h"
#include "log/producer_state.h"
#include "log/segment.h"

struct recovery;

/*
 * The inside of a log. Its lock guards the fields marked so; the writer may read them without it,
 * because only the writer changes them (except those marked "flush").
 *
 * Order of offsets: start <= recovery point <= end, start <= high watermark <= end. The recovery
 * point is below the start only until the first flush after a DeleteRecords.
 */
struct log {
    struct sys *sys;
    struct log_directory *directory;
    char *path;
    struct log_folder folder;

    struct sys_lock lock;
    struct log_config config;      /* lock */
    err_t state;                   /* lock: OK, CLOSED, or why writing is over until reopened */
    bool has_topic_id;             /* lock */
    struct uuid topic_id;          /* lock */
    struct log_segment **segments; /* lock: by base offset; the last one is active */
    size_t segment_count;
    size_t segment_capacity;
    int64_t start_offset;            /* lock */
    int64_t end_offset;              /* lock */
    int64_t high_watermark;          /* lock */
    int64_t recovery_point;          /* lock, flush */
    int64_t checkpointed_point;      /* lock: the recovery point that the next start will read */
    int64_t dirty_bytes;             /* lock, flush: appended and not synced */
    int64_t last_flush_ms;           /* lock, flush: wall clock */
    uint64_t truncations;            /* lock: how often what may have been found was taken back, or
                                        its segments replaced */
    int64_t cleaned_offset;          /* lock: below it the log is compacted; -1: not known */
    int64_t renaming_end;            /* lock: of segments below, the cleaner renames files */
    uint64_t folder_changes;         /* lock: files made or renamed */
    uint64_t folder_synced;          /* lock, flush: of them on the disk */
    uint64_t writeback_from;         /* lock: in the active segment */
    struct producer_state producers; /* lock */
    struct leader_epochs epochs;     /* lock */

    /* writer only */
    bool untouched;          /* since a clean end: records and files are as they were then */
    bool tail_checked;       /* the last segment was seen to end where it should */
    bool closed;             /* log_close or log_delete has run */
    int64_t snapshot_offset; /* of the newest producer snapshot; -1: none */
    int64_t gaps_end;        /* gaps between segments below are no loss: gaps.c */
    struct producer_append append;
    struct recovery *recovery; /* until it is done */
};

/* --- log.c --- */

void log_say(const struct log *log, enum text_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Takes note of an error of a write or sync; returns it. */
err_t log_note(struct log *log, err_t err);

/* Whether the log was cut, or segments replaced, since it had these truncations: what was found
 * then may not be what it was. */
bool log_is_outdated(struct log *log, uint64_t truncations);

/* What stands against writing: the directory's failure or the log's own. */
err_t log_writable(struct log *log);

/* No more writing until the log is opened again. */
void log_set_state(struct log *log, err_t state);

struct log_segment *log_active(const struct log *log);

/* Under the lock: the index of the last segment whose base offset is not above; 0 for less. */
size_t log_segment_floor(const struct log *log, int64_t offset);

/* Under the lock. Takes over the reference. */
void log_segment_insert(struct log *log, struct log_segment *segment);
struct log_segment *log_segment_take_out(struct log *log, size_t index);

/* After an opening: forgets a line of the CLEANER checkpoint that lies beyond the log's end, for
 * what will be written there is not compacted. */
void log_cleaned_check(struct log *log);

/* Whether the cleaner is renaming files of segments from `offset` on. */
bool log_is_renaming(struct log *log, int64_t offset);

/* [any] As log_aborted_transactions, with all that the indexes say. */
err_t log_aborted_entries(struct log *log, int64_t start_offset, int64_t end_offset, int flags,
                          struct txn_index_entry **ret_entries, size_t *ret_count);

/* Notes that the indexes of a segment will have to be synced again. */
void log_segment_unsynced(struct log *log, struct log_segment *segment);

/* [writer] Makes files and object of a new last segment. Not synced. */
err_t log_segment_begin(struct log *log, int64_t base_offset);

/* [writer] Writes leader-epoch-checkpoint, durably. */
err_t log_epochs_write(struct log *log);

/* [writer] Writes a producer snapshot at the log's end unless there is one. Not synced. */
err_t log_snapshot_write(struct log *log);

/* [writer] Renames the files of a segment to .deleted; they still have to be trashed. */
err_t log_segment_rename(struct log *log, struct log_segment *segment);

/* [writer] Trashes the renamed files of a segment that was taken out. Takes over the reference. */
void log_segment_trash(struct log *log, struct log_segment *segment);

/* [writer] Both, for a segment that was taken out. Takes over the reference. */
err_t log_segment_discard(struct log *log, struct log_segment *segment);

/* Syncs a producer snapshot, if there is one at this offset. */
err_t log_snapshot_sync(struct log *log, int64_t offset);

/* [writer] Notes that a transaction was aborted, by a marker of this segment. Not synced. */
err_t log_aborted_add(struct log *log, struct log_segment *segment,
                      const struct txn_index_entry *entry);

/* [writer] Syncs the folder if files were made or renamed. */
err_t log_folder_sync(struct log *log);

/* --- load.c: what is in the folder --- */

/* Fills the log from its folder's listing. */
err_t log_load(struct log *log, int64_t **ret_snapshots, size_t *ret_snapshot_count,
               bool *ret_index_missing);

/* The offsets of the producer snapshots in the folder, rising; freed with free(). */
err_t log_snapshots_list(struct log *log, int64_t **ret_snapshots, size_t *ret_count);

/* --- gaps.c --- */

/* Reads the file, if the folder's listing has it. */
err_t log_gaps_load(struct log *log, const struct sys_dir_list *list);

/* [writer] Gaps between segments below `end` are no loss; 0: none are known. It is on the disk, or
 * was before. */
err_t log_gaps_note(struct log *log, int64_t end);

/* --- leftovers.c --- */

/* Splits "00000000000000000042.index" + `extra`. */
bool log_file_name_parse(const char *name, const char *extra, int64_t *ret_offset,
                         enum segment_file *ret_file);

/* Ends or undoes what was interrupted; *ret_changed: list the folder again. */
err_t log_leftovers_clear(struct log *log, const struct sys_dir_list *list, bool *ret_changed);

/* --- recovery.c --- */

/* What a step-wise recovery has to do. Takes over `snapshots`, offsets that rise. */
struct recovery_plan {
    bool scan;      /* check and index again from the recovery point's segment on */
    bool rebuild;   /* index again where an index is missing or no whole number of entries */
    bool truncated; /* not at start: producers are to be followed again */
    int64_t *snapshots;
    size_t snapshot_count;
};
void log_recovery_plan(struct log *log, const struct recovery_plan *plan);
void log_recovery_free(struct recovery *recovery);
