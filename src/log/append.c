/*
 * Appending a run of batches. The order of steps is what keeps a failure from leaving traces:
 *
 *   step 1   the run is whole v2 batches; offsets and leader epoch are written into them, outside
 *            the checksum
 *   step 2   producers: checked, changes gathered; a duplicate ends here
 *   step 3   a new segment begins when one is due
 *   step 4   a leader epoch not seen before goes to leader-epoch-checkpoint, durably
 *   step 5   aborts go to the transaction index
 *   step 6   one write at the end of the segment; on failure the file is cut back, and 5 too
 *   step 7   producers, end offset and counts change, under the lock, at once
 *
 * What fails before step 7 has changed nothing that anyone sees. When cutting back fails, bytes of
 * the failed append may stand behind the end: nothing is written before they are cut.
 */
#include <assert.h>
#include <string.h>

#include "log/log_int.h"

/* What the batches of a run have in common. */
struct run {
    uint32_t batch_count;
    int64_t first_offset;
    int64_t last_offset;
    int64_t max_timestamp_ms;
    bool has_producer;
};

/* Step 1. */
static err_t run_prepare(const struct log *log, const struct log_append *append,
                         struct run *ret_run) {
    bool keep = (append->flags & LOG_APPEND_KEEP_OFFSETS) != 0;
    struct run run = {.max_timestamp_ms = -1};
    int64_t next_offset = log->end_offset;
    struct batch_header header;
    for (size_t at = 0; at < append->size; at += header.size) {
        uint8_t *batch = append->data + at;
        if (batch_header_read(batch, append->size - at, &header) != NULL || header.magic != 2 ||
            header.size > append->size - at || (keep && header.base_offset < next_offset)) {
            return ERR_CORRUPT_MESSAGE;
        }
        int64_t delta = header.last_offset - header.base_offset;
        int64_t base_offset = keep ? header.base_offset : next_offset;
        if (!keep) {
            put_be64(batch, (uint64_t)base_offset);
            put_be32(batch + BATCH_SIZE_PREFIX, (uint32_t)append->leader_epoch);
        }
        if (run.batch_count == 0) {
            run.first_offset = base_offset;
        }
        run.batch_count++;
        run.last_offset = base_offset + delta;
        next_offset = run.last_offset + 1;
        run.has_producer |= header.producer_id >= 0;
        if (header.max_timestamp_ms > run.max_timestamp_ms) {
            run.max_timestamp_ms = header.max_timestamp_ms;
        }
    }
    if (run.batch_count == 0) {
        return ERR_CORRUPT_MESSAGE;
    }
    *ret_run = run;
    return ERR_OK;
}

/* Step 2. *ret_duplicate is a copy of the batch that is repeated; last_offset -1 for none. */
static err_t producers_check(struct log *log, const struct log_append *append,
                             struct sequence_batch *ret_duplicate) {
    struct producer_rules rules = {
        .origin = (append->flags & LOG_APPEND_KEEP_OFFSETS) != 0  ? PRODUCER_ORIGIN_REPLICATION
                  : (append->flags & LOG_APPEND_COORDINATOR) != 0 ? PRODUCER_ORIGIN_COORDINATOR
                                                                  : PRODUCER_ORIGIN_CLIENT,
        .transaction_version = append->transaction_version,
        .verified = (append->flags & LOG_APPEND_VERIFIED) != 0,
        .from_zero = (append->flags & LOG_APPEND_FROM_ZERO) != 0,
        .guard = append->txn_guard,
        .exact = (append->flags & LOG_APPEND_EXACT) != 0,
        .first_offset = append->txn_first_offset,
        .last_offset = append->txn_last_offset,
    };
    err_t err = ERR_OK;
    struct batch_header header;
    for (size_t at = 0; at < append->size && err == ERR_OK; at += header.size) {
        const uint8_t *batch = append->data + at;
        (void)batch_header_read(batch, append->size - at, &header);
        const struct sequence_batch *duplicate = NULL;
        err = producer_append_batch(&log->producers, &log->append, &header, batch, &rules,
                                    &duplicate);
        if (err == ERR_OK && duplicate != NULL) {
            *ret_duplicate = *duplicate;
            return ERR_OK;
        }
    }
    return err;
}

static bool offset_fits(const struct log_segment *segment, int64_t offset) {
    return offset - segment->base_offset <= INT32_MAX;
}

static bool index_full(const struct log_config *config, const struct log_segment *segment) {
    uint32_t bytes = (uint32_t)config->segment_index_bytes;
    uint32_t offsets_max = bytes / segment->offsets.entry_size;
    uint32_t times_max = bytes / segment->times.entry_size;
    return segment->offsets.count >= offsets_max || segment->times.count + 1 >= times_max;
}

/* A compacted log's segments end early enough for max.compaction.lag.ms: the active one is not
 * compacted. */
static int64_t segment_ms(const struct log_config *config) {
    bool lag = config->cleanup_compact && config->max_compaction_lag_ms < config->segment_ms;
    return lag ? config->max_compaction_lag_ms : config->segment_ms;
}

/* Kafka's rule: age counts from the first batch's timestamp against the newest one, or by the clock
 * when the segment has no timestamps. */
static bool too_old(const struct log_config *config, const struct log_segment *segment,
                    int64_t max_timestamp_ms, int64_t now_ms) {
    int64_t waited_ms = segment->first_timestamp_known && segment->first_timestamp_ms >= 0
                            ? max_timestamp_ms - segment->first_timestamp_ms
                            : now_ms - segment->created_ms;
    return waited_ms > segment_ms(config) - segment->roll_jitter_ms;
}

static bool roll_due(const struct log_config *config, const struct log_segment *segment,
                     size_t size, int64_t max_timestamp_ms, int64_t now_ms) {
    if (segment->size == 0) {
        return false;
    }
    return segment->size + size > (uint64_t)config->segment_bytes || index_full(config, segment) ||
           too_old(config, segment, max_timestamp_ms, now_ms);
}

bool log_roll_due(struct log *log, size_t size, int64_t max_timestamp_ms, int64_t now_ms) {
    sys_lock_take(&log->lock);
    struct log_segment *segment = log_active(log);
    sys_lock_take(&segment->lock);
    bool due = roll_due(&log->config, segment, size, size == 0 ? now_ms : max_timestamp_ms, now_ms);
    sys_lock_give(&segment->lock);
    sys_lock_give(&log->lock);
    return due;
}

/* From the next segment on recovery looks no further back, if all below was synced by then. */
static err_t active_end(struct log *log) {
    struct log_segment *active = log_active(log);
    log->untouched = false;
    log_segment_unsynced(log, active);
    err_t err = log_note(log, segment_seal(active));
    if (err == ERR_OK) {
        err = segment_sync_cut(active);
        err = log_note(log, err == ERR_NO_SPACE ? ERR_IO : err); /* see flush.c */
    }
    return err;
}

err_t log_roll(struct log *log) {
    err_t err = log_writable(log);
    if (err != ERR_OK || log_active(log)->size == 0) {
        return err;
    }
    err = active_end(log);
    if (err == ERR_OK) {
        err = log_snapshot_write(log);
    }
    return err == ERR_OK ? log_segment_begin(log, log->end_offset) : err;
}

/* An empty segment whose base is too far below what is to come is replaced. */
static err_t active_rebase(struct log *log, int64_t base_offset) {
    struct log_segment *empty = log_active(log);
    sys_lock_take(&log->lock);
    (void)log_segment_take_out(log, log->segment_count - 1);
    sys_lock_give(&log->lock);
    err_t err = log_segment_begin(log, base_offset);
    if (err != ERR_OK) {
        sys_lock_take(&log->lock);
        log_segment_insert(log, empty);
        sys_lock_give(&log->lock);
        return err;
    }
    return log_segment_discard(log, empty);
}

/* Step 3. */
static err_t roll_if_due(struct log *log, const struct log_config *config,
                         const struct log_append *append, const struct run *run, bool *ret_rolled) {
    struct log_segment *active = log_active(log);
    int64_t first_timestamp_ms;
    err_t err = segment_first_timestamp(active, &first_timestamp_ms);
    if (err != ERR_OK) {
        return err;
    }
    *ret_rolled = false;
    bool fits = offset_fits(active, run->last_offset);
    if (active->size == 0) {
        return fits ? ERR_OK : active_rebase(log, run->first_offset);
    }
    if (fits && !roll_due(config, active, append->size, run->max_timestamp_ms, append->now_ms)) {
        return ERR_OK;
    }
    err = log_roll(log);
    *ret_rolled = err == ERR_OK;
    if (err == ERR_OK && !offset_fits(log_active(log), run->last_offset)) {
        err = active_rebase(log, run->first_offset);
    }
    return err;
}

/* Step 4. */
static err_t epochs_note(struct log *log, const struct log_append *append) {
    bool changed = false;
    struct batch_header header;
    for (size_t at = 0; at < append->size; at += header.size) {
        (void)batch_header_read(append->data + at, append->size - at, &header);
        if (header.leader_epoch > leader_epochs_latest(&log->epochs)) {
            sys_lock_take(&log->lock);
            changed |= leader_epochs_assign(&log->epochs, header.leader_epoch, header.base_offset);
            sys_lock_give(&log->lock);
        }
    }
    return changed ? log_epochs_write(log) : ERR_OK;
}

/* Step 5. */
static err_t aborts_write(struct log *log) {
    err_t err = ERR_OK;
    for (size_t i = 0; i < log->append.aborted_count && err == ERR_OK; i++) {
        err = log_aborted_add(log, log_active(log), &log->append.aborted[i]);
    }
    return err;
}

/* Steps 5 and 6. */
static err_t run_write(struct log *log, const struct log_config *config,
                       const struct log_append *append, const struct run *run) {
    struct log_segment *active = log_active(log);
    bool torn = false;
    log->untouched = false;
    err_t err = aborts_write(log);
    if (err == ERR_OK) {
        err = log_note(log, segment_append(active, append->data, append->size, run->batch_count,
                                           (uint32_t)config->index_interval_bytes, &torn));
    }
    if (torn) {
        log_say(log, TEXT_LOG_ERROR,
                "%s: a failed write could not be taken back yet (%s); the log is read-only until "
                "it is",
                log->path, err_name(err));
    }
    if (err != ERR_OK && log->append.aborted_count > 0 &&
        txn_index_cut(&active->aborted, run->first_offset) != ERR_OK) {
        log_say(log, TEXT_LOG_ERROR,
                "%s: an entry of the transaction index could not be taken back (%s); the log is "
                "read-only until the next start",
                log->path, err_name(err));
        log_set_state(log, err);
    }
    return err;
}

/* Under the lock. */
static bool flush_due(const struct log *log) {
    return log->end_offset - log->recovery_point >= log->config.flush_messages;
}

/* Step 7. */
static void run_publish(struct log *log, const struct log_append *append, const struct run *run,
                        struct log_append_result *ret_result) {
    sys_lock_take(&log->lock);
    producer_append_commit(&log->producers, &log->append);
    log->end_offset = run->last_offset + 1;
    log->dirty_bytes += (int64_t)append->size;
    log_active(log)->modified_ms = append->now_ms;
    *ret_result = (struct log_append_result){
        .first_offset = run->first_offset,
        .last_offset = run->last_offset,
        .log_start_offset = log->start_offset,
        .duplicate_timestamp_ms = -1,
        .flush_due = flush_due(log),
    };
    sys_lock_give(&log->lock);
    directory_dirty_add(log->directory, (int64_t)append->size);
}

/* After a start that trusted a clean end: the last batch must end where the file does. */
static err_t tail_check(struct log *log) {
    if (log->tail_checked) {
        return ERR_OK;
    }
    struct segment_tail tail;
    err_t err = segment_scan_tail(log_active(log), &tail);
    if (err == ERR_OK && tail.next_offset != log->end_offset) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_CORRUPT) {
        log_say(
            log, TEXT_LOG_ERROR,
            "%s does not end at offset %lld, where it was closed: its files were changed since; "
            "it is read-only, and the next start checks it",
            log->path, (long long)log->end_offset);
        log_set_state(log, err);
    }
    log->tail_checked = err == ERR_OK;
    return err;
}

/* It may have been written before flush.messages asked for a sync of each. */
static void tell_duplicate(struct log *log, const struct sequence_batch *duplicate,
                           struct log_append_result *ret_result) {
    sys_lock_take(&log->lock);
    *ret_result = (struct log_append_result){
        .first_offset = duplicate->last_offset - duplicate->offset_delta,
        .last_offset = duplicate->last_offset,
        .log_start_offset = log->start_offset,
        .duplicate_timestamp_ms = duplicate->timestamp_ms,
        .duplicate = true,
        .flush_due = flush_due(log),
    };
    sys_lock_give(&log->lock);
}

err_t log_append(struct log *log, const struct log_append *append,
                 struct log_append_result *ret_result) {
    assert(log->recovery == NULL);
    struct log_config config;
    log_config_read(log, &config);
    err_t err = log_writable(log);
    if (err == ERR_OK && append->size > (uint64_t)config.segment_bytes) {
        err = ERR_RECORD_LIST_TOO_LARGE;
    }
    if (err == ERR_OK) {
        err = tail_check(log);
    }
    struct run run;
    if (err == ERR_OK) {
        err = run_prepare(log, append, &run);
    }
    if (err != ERR_OK) {
        return err;
    }
    producer_append_begin(&log->append, append->now_ms);
    log->append.end_offset = run.last_offset + 1;
    if (run.has_producer) {
        struct sequence_batch duplicate = {.last_offset = -1};
        err = producers_check(log, append, &duplicate);
        if (err == ERR_OK && duplicate.last_offset >= 0) {
            tell_duplicate(log, &duplicate, ret_result);
            return ERR_OK;
        }
    }
    bool rolled = false;
    if (err == ERR_OK) {
        err = roll_if_due(log, &config, append, &run, &rolled);
    }
    if (err == ERR_OK) {
        err = epochs_note(log, append);
    }
    if (err == ERR_OK) {
        err = run_write(log, &config, append, &run);
    }
    if (err == ERR_OK) {
        run_publish(log, append, &run, ret_result);
        ret_result->rolled = rolled;
    }
    return err;
}

err_t log_epoch_start(struct log *log, int32_t leader_epoch) {
    err_t err = log_writable(log);
    if (err != ERR_OK || leader_epoch <= leader_epochs_latest(&log->epochs)) {
        return err;
    }
    sys_lock_take(&log->lock);
    bool changed = leader_epochs_assign(&log->epochs, leader_epoch, log->end_offset);
    sys_lock_give(&log->lock);
    return changed ? log_epochs_write(log) : ERR_OK;
}
