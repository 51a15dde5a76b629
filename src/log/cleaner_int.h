#pragma once

#include "log/cleaner.h"
#include "log/cleaner_filter.h"
#include "log/log_int.h"

/*
 * The inside of a cleaning.
 *
 *   phase    does, per step                                                   file
 *   ------   --------------------------------------------------------------   ---------------
 *   MAP      reads a piece of the dirty segments, notes where keys are last   cleaner_map.c
 *   GROUP    chooses the next segments that become one, makes its .cleaned    cleaner_group.c
 *   COPY     reads a piece of them, filters it                                cleaner.c
 *   WRITE    writes what was kept                                             cleaner.c
 *   SEAL     syncs the new segment: files, then their names                   cleaner_group.c
 *   SWAP     waits for log_cleaning_swap                                      cleaner_swap.c
 *   NAME     renames .cleaned to .swap, syncs the folder: from here on a      cleaner_swap.c
 *            crash ends with the new segment
 *   RETIRE   renames the old ones to .deleted, syncs the folder               cleaner_swap.c
 *   TAKE     renames .log.swap to .log, syncs the folder                      cleaner_swap.c
 *   SETTLE   renames the other .swap files, syncs the folder                  cleaner_swap.c
 *   OVER     -
 *
 * A start that finds .cleaned has the old segments whole, and removes it; one that finds .log.swap
 * removes what that covers, then names it; one that finds other .swap files only names them
 * (leftovers.c). So each folder sync above divides states of which each is one of these three.
 */
enum cleaning_phase {
    CLEANING_MAP,
    CLEANING_GROUP,
    CLEANING_COPY,
    CLEANING_WRITE,
    CLEANING_SEAL,
    CLEANING_SWAP,
    CLEANING_NAME,
    CLEANING_RETIRE,
    CLEANING_TAKE,
    CLEANING_SETTLE,
    CLEANING_OVER,
};

struct log_cleaning {
    struct log *log;
    struct log_config config; /* of its begin */
    struct log_cleanable cleanable;
    struct log_cleaning_settings settings;
    enum cleaning_phase phase;

    struct log_segment **segments; /* a reference each: all below the first uncleanable offset */
    size_t segment_count;
    uint64_t truncations; /* of the log, as the cleaning knows them */
    size_t segment;       /* where the phase is */
    uint64_t position;

    uint8_t *data; /* bytes of the segment from `data_position` on */
    size_t data_capacity;
    size_t data_size;

    struct offset_map map;
    struct cleaner_txns txns;
    struct map last_batches; /* struct cleaner_last by producer */
    struct cleaner_filter filter;
    struct buffer scratch, kept;

    size_t group_start; /* the segments that become `cleaned` */
    size_t group_end;
    struct log_segment *cleaned;
    bool held; /* its files */
    struct buffer out;
    uint32_t out_batches;
    int rename_next; /* file, or segment, that is renamed next */
    bool renamed;    /* all, and the folder is to be synced */

    struct log_cleaning_stats stats;
    char *where;
};

/* Where segment i ends: its next one's base. */
int64_t cleaning_segment_end(const struct log_cleaning *cleaning, size_t index);

typedef err_t (*cleaning_batch_fn)(struct log_cleaning *cleaning, const struct batch_header *header,
                                   const uint8_t *data);

/* Reads a piece of the segment and hands out its whole batches, checked; the position is behind
 * those that were taken. */
err_t cleaning_piece_walk(struct log_cleaning *cleaning, cleaning_batch_fn take);
bool cleaning_segment_at_end(const struct log_cleaning *cleaning);

/* Tells the transactions of what was aborted in a range. */
err_t cleaning_aborted_load(struct log_cleaning *cleaning, int64_t start, int64_t end);

err_t cleaning_map_step(struct log_cleaning *cleaning);

err_t cleaning_group_begin(struct log_cleaning *cleaning);
err_t cleaning_seal(struct log_cleaning *cleaning);
void cleaning_group_drop(struct log_cleaning *cleaning);

/* One rename, or the folder's sync, of the three last phases. */
err_t cleaning_rename_step(struct log_cleaning *cleaning);
