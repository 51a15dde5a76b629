/*
 * Taking records back from the end. What readers may see shrinks first, under the lock; then files
 * shrink, the last one first, so that a crash in between leaves no hole; then leader epochs, and
 * the producers are followed again from the newest snapshot that is left.
 */
#include <stdlib.h>

#include "log/log_int.h"

static void offsets_lower(struct log *log, int64_t offset) {
    log->untouched = false;
    sys_lock_take(&log->lock);
    log->truncations++;
    log->end_offset = offset;
    if (log->high_watermark > offset) {
        log->high_watermark = offset;
    }
    if (log->recovery_point > offset) {
        log->recovery_point = offset;
    }
    if (log->cleaned_offset > offset) {
        log->cleaned_offset = offset;
    }
    log->writeback_from = 0;
    sys_lock_give(&log->lock);
}

static void dirty_bound(struct log *log) {
    uint64_t size = log_size(log);
    sys_lock_take(&log->lock);
    int64_t surplus = log->dirty_bytes > (int64_t)size ? log->dirty_bytes - (int64_t)size : 0;
    log->dirty_bytes -= surplus;
    sys_lock_give(&log->lock);
    directory_dirty_add(log->directory, -surplus);
}

static err_t last_segment_discard(struct log *log) {
    sys_lock_take(&log->lock);
    log->truncations++; /* a flush that began since saw the one before it as sealed */
    struct log_segment *segment = log_segment_take_out(log, log->segment_count - 1);
    sys_lock_give(&log->lock);
    err_t err = log_segment_discard(log, segment);
    return err == ERR_OK ? log_folder_sync(log) : err;
}

static err_t active_truncate(struct log *log, int64_t offset) {
    struct log_segment *active = log_active(log);
    uint64_t position;
    struct batch_header header;
    err_t err = segment_find(active, offset, false, &position, &header);
    if (err == ERR_NOT_FOUND) {
        position = active->size;
        err = ERR_OK;
    }
    if (err == ERR_OK) {
        err = log_note(log, segment_truncate(active, position, offset));
    }
    if (err == ERR_OK) { /* what was taken back must not come back with a power cut */
        err = segment_sync(active, false);
        err = log_note(log, err == ERR_NO_SPACE ? ERR_IO : err);
    }
    return err;
}

static err_t producers_reload(struct log *log) {
    struct recovery_plan plan = {.truncated = true};
    err_t err = log_snapshots_list(log, &plan.snapshots, &plan.snapshot_count);
    if (err != ERR_OK) {
        return err;
    }
    log_recovery_plan(log, &plan);
    bool done = false;
    while (err == ERR_OK && !done) {
        err = log_recovery_step(log, &done, NULL);
    }
    return err;
}

err_t log_truncate_to(struct log *log, int64_t offset) {
    err_t err = log_writable(log);
    if (err != ERR_OK || offset >= log->end_offset) {
        return err;
    }
    if (log_is_renaming(log, offset)) {
        return ERR_BUSY;
    }
    if (offset <= log->segments[0]->base_offset) {
        return log_truncate_fully(log, offset);
    }
    if (offset < log->start_offset) {
        sys_lock_take(&log->lock);
        log->start_offset = offset;
        sys_lock_give(&log->lock);
    }
    offsets_lower(log, offset);
    while (err == ERR_OK && log_active(log)->base_offset > offset) {
        err = last_segment_discard(log);
    }
    if (err == ERR_OK) {
        err = active_truncate(log, offset);
    }
    if (err == ERR_OK) {
        err = producers_reload(log);
    }
    if (err == ERR_OK) {
        err = log_folder_sync(log);
    }
    if (err == ERR_OK) {
        dirty_bound(log);
    } else {
        log_set_state(log, err);
    }
    return err;
}

/* Renames all files away, then begins a segment and lets it take the place of all others. */
static err_t segments_replace(struct log *log, int64_t offset) {
    err_t err = ERR_OK;
    for (size_t i = log->segment_count; i-- > 0 && err == ERR_OK;) {
        err = log_segment_rename(log, log->segments[i]);
        if (err == ERR_OK) {
            err = log_folder_sync(log);
        }
    }
    if (err != ERR_OK) {
        return err;
    }
    sys_lock_take(&log->lock);
    struct log_segment **before = log->segments;
    size_t before_count = log->segment_count;
    log->segments = NULL;
    log->segment_count = 0;
    log->segment_capacity = 0;
    sys_lock_give(&log->lock);
    err = log_segment_begin(log, offset);
    for (size_t i = 0; i < before_count; i++) {
        (void)log_segment_discard(log, before[i]);
    }
    free(before);
    return err;
}

static err_t snapshots_remove(struct log *log) {
    int64_t *snapshots;
    size_t count;
    err_t err = log_snapshots_list(log, &snapshots, &count);
    if (err != ERR_OK) {
        return err;
    }
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        char *path = segment_path(log->path, snapshots[i], SEGMENT_SNAPSHOT, "");
        err = sys_path_remove(log->sys, path);
        free(path);
        err = log_note(log, err == ERR_NOT_FOUND ? ERR_OK : err);
    }
    free(snapshots);
    return err;
}

err_t log_truncate_fully(struct log *log, int64_t offset) {
    err_t err = log_writable(log);
    if (err == ERR_OK && log_is_renaming(log, 0)) {
        err = ERR_BUSY;
    }
    if (err != ERR_OK) {
        return err;
    }
    sys_lock_take(&log->lock);
    log->start_offset = offset;
    log->epochs.count = 0;
    producer_state_clear(&log->producers, offset);
    sys_lock_give(&log->lock);
    offsets_lower(log, offset);
    log_high_watermark_set(log, offset);
    err = segments_replace(log, offset);
    if (err == ERR_OK) {
        err = snapshots_remove(log);
    }
    if (err == ERR_OK) {
        err = log_epochs_write(log);
    }
    if (err == ERR_OK) {
        err = log_gaps_note(log, 0);
    }
    if (err == ERR_OK) {
        err = log_folder_sync(log);
    }
    if (err != ERR_OK) {
        log_set_state(log, err);
        return err;
    }
    log->snapshot_offset = offset;
    sys_lock_take(&log->lock);
    log->recovery_point = offset;
    sys_lock_give(&log->lock);
    dirty_bound(log);
    return ERR_OK;
}
