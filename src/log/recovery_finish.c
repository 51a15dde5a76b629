/* The end of a recovery: offsets, epochs and snapshots agree with what was found. */
#include <inttypes.h>

#include "log/recovery_int.h"

/* The segments end below where the log is known to start: all of it was deleted before. */
static err_t restart_at_start(struct log *log) {
    log_say(log, TEXT_LOG_ERROR,
            "%s ends at offset %" PRId64 ", below its start offset %" PRId64
            ": records were lost; it goes on, empty, at its start",
            log->path, log->end_offset, log->start_offset);
    err_t err = ERR_OK;
    while (err == ERR_OK && log->segment_count > 0) {
        err = log_segment_discard(log, log_segment_take_out(log, log->segment_count - 1));
    }
    log->epochs.count = 0;
    log->recovery->epochs_changed = true;
    producer_state_clear(&log->producers, log->start_offset);
    log->end_offset = log->start_offset;
    return err == ERR_OK ? log_segment_begin(log, log->start_offset) : err;
}

static err_t stray_snapshots_remove(struct log *log) {
    struct recovery_plan *plan = &log->recovery->plan;
    for (size_t i = 0; i < plan->snapshot_count; i++) {
        int64_t offset = plan->snapshots[i];
        bool of_segment = log->segments[log_segment_floor(log, offset)]->base_offset == offset;
        if (!of_segment && offset != log->snapshot_offset) {
            err_t err = recovery_snapshot_remove(log, offset);
            if (err != ERR_OK) {
                return err;
            }
        }
    }
    return ERR_OK;
}

static err_t gaps_settle(struct log *log) {
    int64_t end = log->recovery->plan.truncated ? log->gaps_end : log->recovery->gaps_end;
    return log_gaps_note(log, end < log->end_offset ? end : log->end_offset);
}

static void offsets_settle(struct log *log) {
    sys_lock_take(&log->lock);
    if (log->recovery_point > log->end_offset) {
        log->recovery_point = log->end_offset;
    }
    sys_lock_give(&log->lock);
    int64_t high_watermark = log->start_offset;
    (void)log_directory_checkpoint_get(log->directory, LOG_CHECKPOINT_HIGH_WATERMARK,
                                       log_topic(log), log_partition(log), &high_watermark);
    if (log->recovery->plan.truncated) {
        high_watermark = log->high_watermark;
    }
    log_high_watermark_set(log, high_watermark);
    log_cleaned_check(log);
    log->tail_checked = true;
}

/* What a killed process could not sync any more is taken for committed from now on, by readers and
 * by coordinators that answer for what they find in their log. */
static err_t tail_sync(struct log *log) {
    sys_lock_take(&log->lock);
    int64_t unsynced = log->end_offset - log->recovery_point;
    sys_lock_give(&log->lock);
    return unsynced >= log->recovery->config.flush_messages ? log_flush(log, INT64_MAX) : ERR_OK;
}

err_t recovery_finish(struct log *log) {
    err_t err = ERR_OK;
    if (log->end_offset < log->start_offset) {
        err = restart_at_start(log);
    }
    bool changed = log->recovery->epochs_changed;
    sys_lock_take(&log->lock);
    changed |= leader_epochs_truncate_end(&log->epochs, log->end_offset);
    changed |= leader_epochs_truncate_start(&log->epochs, log->start_offset);
    sys_lock_give(&log->lock);
    if (err == ERR_OK && changed) {
        err = log_epochs_write(log);
    }
    if (err == ERR_OK) {
        err = stray_snapshots_remove(log);
    }
    if (err == ERR_OK) {
        err = gaps_settle(log);
    }
    if (err == ERR_OK) {
        offsets_settle(log);
        err = tail_sync(log);
    }
    if (err == ERR_OK) {
        log_recovery_free(log->recovery);
        log->recovery = NULL;
    }
    return err;
}
