/*
 * Bringing a log back after any end but a clean one, in steps that read about a MiB each.
 *
 *   phase     reads                              does
 *   -------   --------------------------------   ----------------------------------------------
 *   START     producer snapshots                 takes the newest good one at or below the scan;
 *                                                removes those above, which may be of records that
 *                                                are lost
 *   REBUILD   segments before the scan whose     makes their indexes anew
 *             index is missing or odd
 *   FOLLOW    from the snapshot to the scan      follows producers
 *   SCAN      from the recovery point's          checks every batch; makes indexes anew; follows
 *             segment to the end                 producers and leader epochs; writes a producer
 *                                                snapshot at the end of each sealed segment. The
 *                                                first bad batch is the end of the log
 *   FINISH    -                                  sets the offsets, cuts leader epochs to them, and
 *                                                syncs what flush.messages says to be overdue
 *
 * Below the recovery point everything was synced, and is trusted until somebody reads it.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/limits.h"
#include "log/producer_snapshot.h"
#include "log/recovery_int.h"

void log_recovery_plan(struct log *log, const struct recovery_plan *plan) {
    struct recovery *recovery = calloc(1, sizeof *recovery);
    recovery->plan = *plan;
    log_config_read(log, &recovery->config);
    recovery->synced_offset = log_recovery_point(log);
    recovery->scan_from = log->segment_count;
    if (plan->scan) {
        recovery->scan_from = log_segment_floor(log, recovery->synced_offset);
    }
    for (size_t i = 0; i < log->segment_count; i++) {
        if (i >= recovery->scan_from || segment_index_distrusted(log->segments[i])) {
            recovery->bytes_total += log->segments[i]->size;
        }
    }
    log->recovery = recovery;
}

void log_recovery_free(struct recovery *recovery) {
    if (recovery != NULL) {
        free(recovery->plan.snapshots);
        free(recovery->buffer);
        free(recovery);
    }
}

/* Where following producers ends: the scan, or the end of a log that is not scanned. */
static int64_t follow_end(const struct log *log) {
    const struct recovery *recovery = log->recovery;
    return recovery->plan.scan ? log->segments[recovery->scan_from]->base_offset : log->end_offset;
}

/* --- START --- */

err_t recovery_snapshot_remove(struct log *log, int64_t offset) {
    char *path = segment_path(log->path, offset, SEGMENT_SNAPSHOT, "");
    err_t err = sys_path_remove(log->sys, path);
    free(path);
    return log_note(log, err == ERR_NOT_FOUND ? ERR_OK : err);
}

static err_t snapshot_try(struct log *log, int64_t offset, bool *ret_good) {
    char *path = segment_path(log->path, offset, SEGMENT_SNAPSHOT, "");
    const char *wrong = NULL;
    struct producer_state loaded; /* readers of a truncated log may be asking for the old one */
    producer_state_init(&loaded, offset);
    err_t err =
        producer_snapshot_read(log->sys, path, offset, sys_wall_ms(log->sys),
                               log->recovery->config.producer_expiration_ms, &loaded, &wrong);
    *ret_good = err == ERR_OK;
    if (err == ERR_OK) {
        sys_lock_take(&log->lock);
        struct producer_state before = log->producers;
        log->producers = loaded;
        sys_lock_give(&log->lock);
        loaded = before;
    }
    producer_state_done(&loaded);
    if (err == ERR_CORRUPT) {
        log_say(log, TEXT_LOG_WARN, "%s cannot be used: %s; an older one serves", path, wrong);
        err = recovery_snapshot_remove(log, offset);
    }
    free(path);
    return err == ERR_NOT_FOUND || err == ERR_LIMIT ? ERR_OK : err;
}

/* The snapshot to begin with; producers start empty at the log's start without one. */
static err_t snapshot_choose(struct log *log) {
    struct recovery_plan *plan = &log->recovery->plan;
    int64_t end = follow_end(log);
    sys_lock_take(&log->lock);
    producer_state_clear(&log->producers, log->start_offset);
    sys_lock_give(&log->lock);
    log->snapshot_offset = -1;
    for (size_t i = plan->snapshot_count; i-- > 0;) {
        int64_t offset = plan->snapshots[i];
        bool good = false;
        err_t err = offset > end || offset < log->start_offset
                        ? recovery_snapshot_remove(log, offset)
                        : snapshot_try(log, offset, &good);
        if (err != ERR_OK) {
            return err;
        }
        if (good) {
            log->snapshot_offset = offset;
            break;
        }
        plan->snapshot_count = i;
    }
    return ERR_OK;
}

/* The first segment from `from` on that needs new indexes, before the scan. */
static size_t rebuild_next(const struct log *log, size_t from) {
    while (from < log->recovery->scan_from && !segment_index_distrusted(log->segments[from])) {
        from++;
    }
    return from;
}

static err_t rebuild_begin(struct log *log, size_t segment) {
    struct recovery *recovery = log->recovery;
    if (segment == recovery->scan_from) {
        recovery->phase = RECOVERY_FOLLOW;
        size_t first = log_segment_floor(log, log->producers.end_offset);
        recovery_seek(recovery, first, 0, log->segments[first]->base_offset);
        return ERR_OK;
    }
    recovery->phase = RECOVERY_REBUILD;
    recovery_seek(recovery, segment, 0, log->segments[segment]->base_offset);
    log_segment_unsynced(log, log->segments[segment]);
    log_say(log, TEXT_LOG_WARN, "%s: an index is missing or damaged and is made anew",
            log->segments[segment]->log.path);
    return log_note(log, segment_reset_indexes(log->segments[segment], false));
}

static err_t start(struct log *log) {
    err_t err = snapshot_choose(log);
    return err == ERR_OK ? rebuild_begin(log, rebuild_next(log, 0)) : err;
}

/* --- what is done with a batch --- */

static err_t batch_index(struct log *log, const struct recovery_batch *batch) {
    struct log_segment *segment = log->segments[log->recovery->segment];
    err_t err = index_file_reserve(&segment->offsets, 1);
    if (err == ERR_OK) {
        err = index_file_reserve(&segment->times, 1);
    }
    uint64_t position = log->recovery->position - batch->header.size;
    if (err == ERR_OK) {
        err = segment_index_batch(segment, &batch->header, position,
                                  (uint32_t)log->recovery->config.index_interval_bytes);
    }
    if (position == 0) {
        segment_first_timestamp_set(segment, batch->header.max_timestamp_ms);
    }
    return log_note(log, err);
}

/* Producers, and with `index` the aborted transactions too. Of data batches the head says it all;
 * markers are small. */
static err_t batch_follow(struct log *log, const struct recovery_batch *batch, bool index) {
    bool unreadable = batch->data == NULL && (batch->header.attributes & BATCH_CONTROL) != 0;
    if (batch->header.producer_id < 0 || unreadable ||
        batch->header.base_offset < log->producers.end_offset) {
        return ERR_OK;
    }
    const struct sequence_batch *duplicate;
    producer_append_begin(&log->append, -1);
    err_t err =
        producer_append_batch(&log->producers, &log->append, &batch->header, batch->data,
                              &(struct producer_rules){PRODUCER_ORIGIN_REPLICATION}, &duplicate);
    for (size_t i = 0; i < log->append.aborted_count && err == ERR_OK && index; i++) {
        err = log_aborted_add(log, log->segments[log->recovery->segment], &log->append.aborted[i]);
    }
    if (err == ERR_OK) {
        sys_lock_take(&log->lock);
        producer_append_commit(&log->producers, &log->append);
        sys_lock_give(&log->lock);
    }
    return err;
}

static void batch_epoch(struct log *log, const struct recovery_batch *batch) {
    if (batch->header.leader_epoch > leader_epochs_latest(&log->epochs)) {
        log->recovery->epochs_changed |= leader_epochs_assign(
            &log->epochs, batch->header.leader_epoch, batch->header.base_offset);
    }
}

/* --- REBUILD --- */

static err_t rebuild_batch(struct log *log, bool *ret_step_done) {
    struct recovery *recovery = log->recovery;
    struct recovery_batch batch;
    err_t err = recovery_next(log, recovery, false, &batch);
    if (err == ERR_OK) {
        return batch_index(log, &batch);
    }
    if (err != ERR_NOT_FOUND && err != ERR_CORRUPT) {
        return err;
    }
    struct log_segment *segment = log->segments[recovery->segment];
    if (err == ERR_CORRUPT) {
        log_say(log, TEXT_LOG_ERROR,
                "%s is damaged at position %" PRIu64 ", offset %" PRId64
                ": %s; it was synced before and is left as it is",
                segment->log.path, recovery->position, recovery->expected_offset, batch.wrong);
    }
    *ret_step_done = true;
    err = log_note(log, segment_seal(segment));
    return err == ERR_OK ? rebuild_begin(log, rebuild_next(log, recovery->segment + 1)) : err;
}

/* --- FOLLOW --- */

static err_t scan_begin(struct log *log, size_t segment);

static err_t follow_done(struct log *log) {
    struct recovery *recovery = log->recovery;
    log->producers.end_offset = follow_end(log);
    if (recovery->plan.scan) {
        return scan_begin(log, recovery->scan_from);
    }
    recovery->phase = RECOVERY_FINISH;
    return ERR_OK;
}

static err_t follow_batch(struct log *log, bool *ret_step_done) {
    struct recovery *recovery = log->recovery;
    int64_t end = follow_end(log);
    if (log->producers.end_offset >= end || recovery->segment >= log->segment_count ||
        log->segments[recovery->segment]->base_offset >= end) {
        *ret_step_done = true;
        return follow_done(log);
    }
    struct recovery_batch batch;
    err_t err = recovery_next(log, recovery, false, &batch);
    if (err == ERR_OK) {
        return batch_follow(log, &batch, false);
    }
    if (err != ERR_NOT_FOUND && err != ERR_CORRUPT) {
        return err;
    }
    *ret_step_done = true;
    size_t next = recovery->segment + 1;
    if (next < log->segment_count) {
        recovery_seek(recovery, next, 0, log->segments[next]->base_offset);
    } else {
        recovery->segment = next;
    }
    return ERR_OK;
}

/* --- SCAN --- */

static err_t scan_begin(struct log *log, size_t index) {
    struct recovery *recovery = log->recovery;
    struct log_segment *segment = log->segments[index];
    recovery->phase = RECOVERY_SCAN;
    int64_t expected =
        recovery->expected_offset > segment->base_offset && index > recovery->scan_from
            ? recovery->expected_offset
            : segment->base_offset;
    recovery_seek(recovery, index, 0, expected);
    if (index == recovery->scan_from) {
        recovery->batches_end = expected;
    }
    log_segment_unsynced(log, segment);
    return log_note(log, segment_reset_indexes(segment, true));
}

static err_t scan_done(struct log *log) {
    struct recovery *recovery = log->recovery;
    err_t err = recovery_drop_hole_at_end(log, recovery);
    if (err != ERR_OK) {
        return err;
    }
    log_active(log)->next_offset = recovery->expected_offset;
    log->end_offset = recovery->expected_offset;
    log->producers.end_offset = log->end_offset;
    recovery->phase = RECOVERY_FINISH;
    return ERR_OK;
}

static err_t scan_segment_done(struct log *log) {
    struct recovery *recovery = log->recovery;
    struct log_segment *segment = log->segments[recovery->segment];
    segment->reserved = recovery->config.preallocate;
    err_t err = log_note(log, segment_seal(segment));
    segment->cut_unsynced = true; /* by whoever was killed, perhaps */
    if (err == ERR_OK && recovery_at_hole(log, recovery)) {
        err = recovery_end_at_hole(log, recovery);
    }
    if (err != ERR_OK) {
        return err;
    }
    size_t next = recovery->segment + 1;
    if (next == log->segment_count) {
        return scan_done(log);
    }
    log->producers.end_offset = log->segments[next]->base_offset;
    err = log_snapshot_write(log);
    return err == ERR_OK ? scan_begin(log, next) : err;
}

static err_t scan_batch(struct log *log, bool *ret_step_done) {
    struct recovery *recovery = log->recovery;
    struct recovery_batch batch;
    err_t err = recovery_next(log, recovery, true, &batch);
    if (err == ERR_CORRUPT) {
        err = recovery_cut(log, recovery, &batch);
        return err == ERR_OK ? scan_segment_done(log) : err;
    }
    if (err == ERR_NOT_FOUND) {
        *ret_step_done = true;
        return scan_segment_done(log);
    }
    if (err == ERR_OK) {
        recovery->batches_end = recovery->expected_offset;
        err = batch_index(log, &batch);
    }
    if (err == ERR_OK) {
        batch_epoch(log, &batch);
        err = batch_follow(log, &batch, true);
    }
    return err;
}

/* --- steps --- */

static err_t batches_step(struct log *log) {
    struct recovery *recovery = log->recovery;
    uint64_t until = recovery->bytes_done + LOG_RECOVERY_CHUNK;
    enum recovery_phase phase = recovery->phase;
    bool step_done = false;
    err_t err = ERR_OK;
    while (err == ERR_OK && !step_done && recovery->phase == phase &&
           recovery->bytes_done < until) {
        err = phase == RECOVERY_REBUILD  ? rebuild_batch(log, &step_done)
              : phase == RECOVERY_FOLLOW ? follow_batch(log, &step_done)
                                         : scan_batch(log, &step_done);
    }
    return err;
}

err_t log_recovery_step(struct log *log, bool *ret_done,
                        struct log_recovery_progress *ret_progress) {
    struct recovery *recovery = log->recovery;
    if (recovery == NULL) {
        *ret_done = true;
        return ERR_OK;
    }
    uint64_t bytes_done = recovery->bytes_done; /* all, when this step is the last */
    uint64_t bytes_total = recovery->bytes_total;
    err_t err = log_writable(log);
    if (err == ERR_OK) {
        err = recovery->phase == RECOVERY_START    ? start(log)
              : recovery->phase == RECOVERY_FINISH ? recovery_finish(log)
                                                   : batches_step(log);
    }
    if (err != ERR_OK) {
        return err;
    }
    if (ret_progress != NULL) {
        bool more = log->recovery != NULL;
        *ret_progress = (struct log_recovery_progress){
            .bytes_done = more ? recovery->bytes_done : bytes_done,
            .bytes_total = more ? recovery->bytes_total : bytes_total,
            .offset = more ? recovery->expected_offset : log->end_offset,
        };
    }
    *ret_done = log->recovery == NULL;
    return ERR_OK;
}
