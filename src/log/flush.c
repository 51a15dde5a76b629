/*
 * Making what was appended durable, beside the writer.
 *
 *   1  under the lock: which segments hold bytes between the recovery point and the offset
 *   2  each is synced; sealed ones with their indexes and the producer snapshot at their end
 *   3  the folder is synced when files were made since: a file that is not found is not there
 *   4  under the lock: the recovery point moves up, unless a truncation came between
 *
 * An active segment's indexes are not synced: recovery indexes the recovery point's segment anew.
 */
#include <stdlib.h>

#include "log/log_int.h"

/* One segment to sync, and what the log looked like when that began. */
struct slice_of_flush {
    struct log_segment *segment;
    bool sealed;
    int64_t end_offset; /* everything below is in this segment or synced already */
    int64_t dirty_bytes;
    uint64_t truncations;
};

/* Under the lock: the first segment that needs a sync, by its records or by its indexes (it may
 * have been sealed when its records were on the disk already). */
static size_t first_unsynced(const struct log *log) {
    size_t index = log_segment_floor(log, log->recovery_point);
    size_t sealed = log->segment_count - 1;
    while (sealed > 0 && !log->segments[sealed - 1]->indexes_synced) {
        sealed--;
    }
    return sealed < index ? sealed : index;
}

/* Step 1, one segment at a time; NOT_FOUND when all below `offset` is synced. */
static err_t slice_begin(struct log *log, int64_t offset, struct slice_of_flush *ret_slice) {
    sys_lock_take(&log->lock);
    size_t index = first_unsynced(log);
    bool sealed = index + 1 < log->segment_count;
    int64_t segment_end = sealed ? log->segments[index + 1]->base_offset : log->end_offset;
    int64_t target = offset < log->end_offset ? offset : log->end_offset;
    bool due = log->recovery_point < target || (sealed && segment_end <= target);
    err_t err = !due ? ERR_NOT_FOUND : log->state == ERR_CLOSED ? ERR_CLOSED : ERR_OK;
    if (err == ERR_OK) {
        *ret_slice = (struct slice_of_flush){
            .segment = segment_ref(log->segments[index]),
            .sealed = sealed,
            .end_offset = segment_end,
            .dirty_bytes = log->dirty_bytes,
            .truncations = log->truncations,
        };
    }
    sys_lock_give(&log->lock);
    return err;
}

/* Steps 2 and 3. A sync that failed may have dropped what was to be written, and a second one would
 * say that all is well; so whatever the error was, nothing in this directory can be trusted. */
static err_t slice_sync(struct log *log, const struct slice_of_flush *slice) {
    err_t err = segment_sync(slice->segment, slice->sealed);
    if (err == ERR_OK && slice->sealed) {
        err = log_snapshot_sync(log, slice->end_offset);
    }
    if (err == ERR_NOT_FOUND) { /* retention took it meanwhile; so nothing needs to be kept */
        err = ERR_OK;
    }
    if (err == ERR_NO_SPACE) {
        err = ERR_IO;
    }
    err = log_note(log, err);
    return err == ERR_OK ? log_folder_sync(log) : err;
}

/* Step 4. What was dirty and lies in later segments stays counted until those are synced. */
static void slice_end(struct log *log, const struct slice_of_flush *slice) {
    int64_t cleaned = 0;
    sys_lock_take(&log->lock);
    if (log->truncations == slice->truncations) {
        if (log->recovery_point < slice->end_offset) {
            log->recovery_point = slice->end_offset;
        }
        slice->segment->indexes_synced |= slice->sealed;
        int64_t left = 0;
        for (size_t i = log_segment_floor(log, slice->end_offset); i < log->segment_count; i++) {
            if (log->segments[i]->base_offset >= slice->end_offset) {
                left += (int64_t)segment_size(log->segments[i]);
            }
        }
        int64_t since = log->dirty_bytes - slice->dirty_bytes;
        left = slice->sealed ? left : since;
        cleaned = log->dirty_bytes > left ? log->dirty_bytes - left : 0;
        log->dirty_bytes -= cleaned;
    }
    log->last_flush_ms = sys_wall_ms(log->sys);
    sys_lock_give(&log->lock);
    directory_dirty_add(log->directory, -cleaned);
}

err_t log_flush(struct log *log, int64_t offset) {
    err_t err = log_directory_state(log->directory);
    struct slice_of_flush slice;
    while (err == ERR_OK) {
        err = slice_begin(log, offset, &slice);
        if (err == ERR_NOT_FOUND) {
            return ERR_OK;
        }
        if (err == ERR_OK) {
            err = slice_sync(log, &slice);
            if (err == ERR_OK) {
                slice_end(log, &slice);
            }
            segment_unref(slice.segment);
        }
    }
    return err == ERR_NOT_FOUND ? ERR_CLOSED : err; /* its folder was renamed: it is deleted */
}

int64_t log_flush_next(const struct log *log) {
    struct sys_lock *lock = (struct sys_lock *)&log->lock;
    sys_lock_take(lock);
    int64_t next = log->end_offset;
    size_t index = first_unsynced(log);
    if (index + 1 < log->segment_count) {
        next = log->segments[index + 1]->base_offset;
    }
    sys_lock_give(lock);
    return next;
}

bool log_flush_due(const struct log *log, int64_t now_ms) {
    struct sys_lock *lock = (struct sys_lock *)&log->lock;
    sys_lock_take(lock);
    int64_t unflushed = log->end_offset - log->recovery_point;
    bool due = unflushed > 0 && (unflushed >= log->config.flush_messages ||
                                 now_ms - log->last_flush_ms >= log->config.flush_ms);
    sys_lock_give(lock);
    return due;
}

void log_start_writeback(struct log *log) {
    sys_lock_take(&log->lock);
    struct log_segment *active = log_active(log);
    uint64_t from = log->writeback_from;
    uint64_t to = segment_size(active);
    bool due = to > from && log->state != ERR_CLOSED;
    if (due) {
        segment_ref(active);
        log->writeback_from = to;
    }
    sys_lock_give(&log->lock);
    if (!due) {
        return;
    }
    struct sys_file *file;
    if (cached_file_take(&active->log, false, &file) == ERR_OK) {
        sys_file_start_writeback(file, from, to - from);
        cached_file_give(&active->log);
    }
    segment_unref(active);
}
