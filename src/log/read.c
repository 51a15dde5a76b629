/* Reading: from an offset to a run of bytes, over the log's segments. */
#include <stdlib.h>
#include <string.h>

#include "log/log_int.h"

/* The first segment that may hold a batch ending at or after `offset`, with a reference; NULL
 * behind the last one. `after` is the base offset of the one before, or INT64_MIN. `aborted`: of
 * those in which something was aborted, which are few of perhaps thousands. */
static struct log_segment *segment_from(struct log *log, int64_t offset, int64_t after,
                                        bool aborted) {
    struct log_segment *found = NULL;
    sys_lock_take(&log->lock);
    size_t i = log_segment_floor(log, offset > after ? offset : after);
    for (; i < log->segment_count && found == NULL; i++) {
        struct log_segment *segment = log->segments[i];
        if (segment->base_offset > after && !(aborted && txn_index_is_empty(&segment->aborted))) {
            found = segment_ref(segment);
        }
    }
    sys_lock_give(&log->lock);
    return found;
}

static err_t read_once(struct log *log, int64_t offset, size_t size_max, int64_t limit_offset,
                       int flags, struct log_slice *ret_slice) {
    int64_t after = INT64_MIN;
    for (;;) {
        struct log_segment *segment = segment_from(log, offset, after, false);
        if (segment == NULL) {
            *ret_slice = (struct log_slice){0};
            return ERR_OK;
        }
        err_t err = segment_read(segment, offset, size_max, limit_offset, flags, ret_slice);
        after = segment->base_offset;
        segment_unref(segment);
        if (err != ERR_NOT_FOUND) {
            return err;
        }
        /* A gap reaches to the end of this segment, or its file is gone; read_range tells. */
    }
}

/* What the log's lock tells of a read. */
struct range {
    uint64_t truncations;
    int64_t start_offset;
    int64_t end_offset;
    err_t state;
};

static struct range range_read(struct log *log) {
    sys_lock_take(&log->lock);
    struct range range = {
        .truncations = log->truncations,
        .start_offset = log->start_offset,
        .end_offset = log->end_offset,
        .state = log->state == ERR_CLOSED ? ERR_CLOSED : ERR_OK,
    };
    sys_lock_give(&log->lock);
    return range;
}

err_t log_read(struct log *log, int64_t offset, size_t size_max, int64_t limit_offset, int flags,
               struct log_slice *ret_slice) {
    for (;;) {
        struct range range = range_read(log);
        if (range.state != ERR_OK) {
            return range.state;
        }
        if (offset < range.start_offset || offset > range.end_offset) {
            return ERR_OFFSET_OUT_OF_RANGE;
        }
        int64_t limit = limit_offset < range.end_offset ? limit_offset : range.end_offset;
        if (offset >= limit) {
            *ret_slice = (struct log_slice){0};
            return ERR_OK;
        }
        struct log_slice slice;
        err_t err = read_once(log, offset, size_max, limit, flags, &slice);
        struct range after = range_read(log);
        if (after.state != ERR_OK && err == ERR_OK) {
            log_slice_release(&slice); /* by now its path may be another log's */
            return after.state;
        }
        if (after.truncations != range.truncations || after.start_offset > offset) {
            if (err == ERR_OK) {
                log_slice_release(&slice);
            }
            continue; /* it was cut, or deleted, under our feet */
        }
        if (err == ERR_OK) {
            *ret_slice = slice;
        }
        return err;
    }
}

void log_slice_release(struct log_slice *slice) {
    if (slice->segment != NULL) {
        cached_file_give(&slice->segment->log);
        segment_unref(slice->segment);
    }
    *slice = (struct log_slice){0};
}

/* --- aborted transactions --- */

struct aborted_list {
    struct txn_index_entry *items;
    size_t count;
    size_t capacity;
};

static void aborted_add(struct aborted_list *list, const struct txn_index_entry *entry) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 4 : list->capacity * 2;
        list->items = realloc(list->items, list->capacity * sizeof *list->items);
    }
    list->items[list->count++] = *entry;
}

/* Adds what overlaps. *ret_complete: later markers cannot be of a transaction that began below
 * end_offset, because the last stable offset had reached it. */
static err_t aborted_collect(struct log_segment *segment, int64_t start_offset, int64_t end_offset,
                             int flags, struct aborted_list *list, bool *ret_complete) {
    *ret_complete = false;
    struct txn_index_walk walk;
    err_t err = txn_index_walk_init(&walk, &segment->aborted, segment->base_offset, start_offset,
                                    (flags & LOG_READ_NO_WAIT) != 0);
    if (err != ERR_OK) {
        return err;
    }
    struct txn_index_entry entry;
    while (!*ret_complete && (err = txn_index_walk_next(&walk, &entry)) == ERR_OK) {
        if (entry.first_offset < end_offset) {
            aborted_add(list, &entry);
        }
        *ret_complete = entry.last_stable_offset >= end_offset;
    }
    txn_index_walk_done(&walk);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static err_t aborted_collect_all(struct log *log, int64_t start_offset, int64_t end_offset,
                                 int flags, struct aborted_list *list) {
    bool complete = false;
    int64_t after = INT64_MIN;
    while (!complete) {
        struct log_segment *segment = segment_from(log, start_offset, after, true);
        if (segment == NULL) {
            break;
        }
        err_t err = aborted_collect(segment, start_offset, end_offset, flags, list, &complete);
        after = segment->base_offset;
        segment_unref(segment);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

err_t log_aborted_entries(struct log *log, int64_t start_offset, int64_t end_offset, int flags,
                          struct txn_index_entry **ret_entries, size_t *ret_count) {
    for (;;) {
        struct range range = range_read(log);
        struct aborted_list list = {0};
        err_t err = aborted_collect_all(log, start_offset, end_offset, flags, &list);
        struct range after = range_read(log);
        if (after.state == ERR_OK && after.truncations != range.truncations) {
            free(list.items);
            continue; /* files were cut or replaced under our feet */
        }
        err = after.state == ERR_OK ? err : after.state; /* its paths may be another log's by now */
        if (err != ERR_OK) {
            free(list.items);
            return err;
        }
        *ret_entries = list.items;
        *ret_count = list.count;
        return ERR_OK;
    }
}

err_t log_aborted_transactions(struct log *log, int64_t start_offset, int64_t end_offset, int flags,
                               struct log_aborted **ret_aborted, size_t *ret_count) {
    struct txn_index_entry *entries = NULL;
    size_t count;
    err_t err = log_aborted_entries(log, start_offset, end_offset, flags, &entries, &count);
    bool deleted = range_read(log).start_offset > start_offset;
    if (deleted && (err == ERR_OK || err == ERR_NOT_FOUND)) {
        free(entries); /* some may have gone with their segments */
        return ERR_OFFSET_OUT_OF_RANGE;
    }
    if (err != ERR_OK) {
        return err;
    }
    struct log_aborted *aborted = count == 0 ? NULL : calloc(count, sizeof *aborted);
    for (size_t i = 0; i < count; i++) {
        aborted[i] = (struct log_aborted){.producer_id = entries[i].producer_id,
                                          .first_offset = entries[i].first_offset};
    }
    free(entries);
    *ret_aborted = aborted;
    *ret_count = count;
    return ERR_OK;
}
