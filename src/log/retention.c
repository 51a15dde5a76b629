/*
 * Deleting from the start, a segment at a time. A segment may go when
 *
 *   its end is not above        reason                        in logs with
 *   -------------------------   ---------------------------   ---------------------------
 *   the log start offset        DeleteRecords                 any cleanup.policy
 *   the high watermark, and     retention.bytes               cleanup.policy with "delete"
 *     all after it are enough
 *   the high watermark, and     retention.ms                  cleanup.policy with "delete"
 *     its newest record is old
 *
 * The last segment may go too: then a new one begins first. The log start offset moves up before
 * the files go, so nobody is promised what is being deleted.
 */
#include <inttypes.h>

#include "log/log_int.h"

/* A segment and what is known about it without the disk. */
struct candidate {
    struct log_segment *segment; /* referenced */
    bool last;
    int64_t end_offset;
    uint64_t size;
    uint64_t size_after; /* of all segments after it */
    bool below_start;
    bool below_high_watermark;
    struct log_config config;
};

static struct candidate oldest(struct log *log) {
    uint64_t total = log_size(log);
    sys_lock_take(&log->lock);
    struct candidate candidate = {
        .segment = segment_ref(log->segments[0]),
        .last = log->segment_count == 1,
        .end_offset = log->segment_count == 1 ? log->end_offset : log->segments[1]->base_offset,
        .config = log->config,
    };
    candidate.below_start = candidate.end_offset <= log->start_offset;
    candidate.below_high_watermark = candidate.end_offset <= log->high_watermark;
    sys_lock_give(&log->lock);
    candidate.size = segment_size(candidate.segment);
    candidate.size_after = total > candidate.size ? total - candidate.size : 0;
    return candidate;
}

static err_t too_old(const struct candidate *candidate, int64_t now_ms, bool *ret_old) {
    int64_t newest_ms, offset;
    err_t err = segment_max_timestamp(candidate->segment, &newest_ms, &offset);
    if (err == ERR_OK) {
        if (newest_ms < 0) {
            newest_ms = candidate->segment->modified_ms;
        }
        *ret_old = newest_ms < now_ms - candidate->config.retention_ms;
    }
    return err;
}

/* Why the segment may go; NULL when it stays. */
static err_t reason_find(const struct candidate *candidate, int64_t now_ms,
                         const char **ret_reason) {
    const struct log_config *config = &candidate->config;
    *ret_reason = NULL;
    if (!candidate->below_high_watermark || (candidate->last && candidate->size == 0)) {
        return ERR_OK;
    }
    if (candidate->below_start) {
        *ret_reason = "its records are below the log start offset";
        return ERR_OK;
    }
    if (!config->cleanup_delete) {
        return ERR_OK;
    }
    if (config->retention_bytes >= 0 &&
        candidate->size_after >= (uint64_t)config->retention_bytes) {
        *ret_reason = "the log is larger than retention.bytes";
        return ERR_OK;
    }
    bool old = false;
    err_t err = config->retention_ms >= 0 ? too_old(candidate, now_ms, &old) : ERR_OK;
    if (err == ERR_OK && old) {
        *ret_reason = "its newest record is older than retention.ms";
    }
    return err;
}

/* Moves the log start up; true when leader epochs changed with it. */
static bool start_raise(struct log *log, int64_t offset) {
    sys_lock_take(&log->lock);
    bool changed = false;
    if (offset > log->start_offset) {
        log->start_offset = offset;
        producer_state_high_watermark(&log->producers, offset);
        changed = leader_epochs_truncate_start(&log->epochs, offset);
    }
    sys_lock_give(&log->lock);
    return changed;
}

static err_t segment_delete(struct log *log, const struct candidate *candidate) {
    bool epochs_changed = start_raise(log, candidate->end_offset);
    err_t err = log_segment_rename(log, candidate->segment);
    if (err != ERR_OK) {
        return err; /* it is still the first segment; the next step tries again */
    }
    sys_lock_take(&log->lock);
    struct log_segment *segment = log_segment_take_out(log, 0);
    sys_lock_give(&log->lock);
    log_segment_trash(log, segment);
    if (epochs_changed) {
        err = log_epochs_write(log);
    }
    err_t sync_err = log_folder_sync(log);
    return err == ERR_OK ? sync_err : err;
}

err_t log_retention_step(struct log *log, int64_t now_ms, bool *ret_more) {
    *ret_more = false;
    err_t err = log_writable(log);
    if (err != ERR_OK) {
        return err;
    }
    struct candidate candidate = oldest(log);
    const char *reason = NULL;
    if (!log_is_renaming(log, candidate.segment->base_offset)) {
        err = reason_find(&candidate, now_ms, &reason);
    }
    if (err == ERR_OK && reason != NULL && candidate.last) {
        err = log_roll(log);
    }
    if (err == ERR_OK && reason != NULL) {
        log_say(log, TEXT_LOG_INFO, "%s is deleted (offsets %" PRId64 " to %" PRId64 "): %s",
                candidate.segment->log.path, candidate.segment->base_offset,
                candidate.end_offset - 1, reason);
        err = segment_delete(log, &candidate);
        *ret_more = err == ERR_OK;
    }
    segment_unref(candidate.segment);
    return err;
}

bool log_retention_possible(struct log *log) {
    sys_lock_take(&log->lock);
    int64_t begin = log->segments[0]->base_offset;
    int64_t end = log->segment_count == 1 ? log->end_offset : log->segments[1]->base_offset;
    bool below_start = begin < log->start_offset && end <= log->start_offset;
    bool possible = below_start || log->config.cleanup_delete;
    sys_lock_give(&log->lock);
    return possible;
}

err_t log_delete_records(struct log *log, int64_t offset) {
    err_t err = log_writable(log);
    if (err != ERR_OK) {
        return err;
    }
    if (offset < 0 || offset > log_high_watermark(log)) {
        return ERR_OFFSET_OUT_OF_RANGE;
    }
    return start_raise(log, offset) ? log_epochs_write(log) : ERR_OK;
}
