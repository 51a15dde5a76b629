/* What can be asked of a log without going to the disk. */
#include <stdlib.h>

#include "log/log_int.h"

/* The lock of a log that is only asked. */
static struct sys_lock *lock_of(const struct log *log) {
    return (struct sys_lock *)&log->lock;
}

static int64_t offset_read(const struct log *log, const int64_t *field) {
    sys_lock_take(lock_of(log));
    int64_t offset = *field;
    sys_lock_give(lock_of(log));
    return offset;
}

void log_configure(struct log *log, const struct log_config *config) {
    sys_lock_take(&log->lock);
    log->config = *config;
    sys_lock_give(&log->lock);
}

void log_config_read(struct log *log, struct log_config *ret_config) {
    sys_lock_take(&log->lock);
    *ret_config = log->config;
    sys_lock_give(&log->lock);
}

struct log_directory *log_directory_of(const struct log *log) {
    return log->directory;
}

struct str log_topic(const struct log *log) {
    return log->folder.topic;
}

int32_t log_partition(const struct log *log) {
    return log->folder.partition;
}

const char *log_path(const struct log *log) {
    return log->path;
}

bool log_topic_id(const struct log *log, struct uuid *ret_id) {
    sys_lock_take(lock_of(log));
    bool has = log->has_topic_id;
    if (has) {
        *ret_id = log->topic_id;
    }
    sys_lock_give(lock_of(log));
    return has;
}

bool log_needs_recovery(const struct log *log) {
    return log->recovery != NULL;
}

int64_t log_start_offset(const struct log *log) {
    return offset_read(log, &log->start_offset);
}

int64_t log_end_offset(const struct log *log) {
    return offset_read(log, &log->end_offset);
}

int64_t log_recovery_point(const struct log *log) {
    return offset_read(log, &log->recovery_point);
}

void log_recovery_point_checkpointed(struct log *log, int64_t offset) {
    sys_lock_take(&log->lock);
    log->checkpointed_point = offset;
    sys_lock_give(&log->lock);
}

int64_t log_high_watermark(const struct log *log) {
    return offset_read(log, &log->high_watermark);
}

int64_t log_dirty_bytes(const struct log *log) {
    return offset_read(log, &log->dirty_bytes);
}

void log_high_watermark_set(struct log *log, int64_t offset) {
    sys_lock_take(&log->lock);
    if (offset > log->end_offset) {
        offset = log->end_offset;
    }
    if (offset < log->start_offset) {
        offset = log->start_offset;
    }
    log->high_watermark = offset;
    producer_state_high_watermark(&log->producers, offset);
    sys_lock_give(&log->lock);
}

int64_t log_last_stable_offset(const struct log *log) {
    sys_lock_take(lock_of(log));
    int64_t stable = producer_state_first_unstable(&log->producers);
    if (stable < log->start_offset) {
        stable = log->start_offset;
    }
    if (stable > log->high_watermark) {
        stable = log->high_watermark;
    }
    sys_lock_give(lock_of(log));
    return stable;
}

uint64_t log_size(const struct log *log) {
    uint64_t size = 0;
    sys_lock_take(lock_of(log));
    for (size_t i = 0; i < log->segment_count; i++) {
        size += segment_size(log->segments[i]);
    }
    sys_lock_give(lock_of(log));
    return size;
}

size_t log_segment_count(const struct log *log) {
    sys_lock_take(lock_of(log));
    size_t count = log->segment_count;
    sys_lock_give(lock_of(log));
    return count;
}

bool log_start_checkpointed(const struct log *log) {
    sys_lock_take(lock_of(log));
    bool beyond = log->segment_count > 0 && log->start_offset > log->segments[0]->base_offset;
    sys_lock_give(lock_of(log));
    return beyond;
}

/* --- epochs --- */

void log_epoch_end_offset(struct log *log, int32_t leader_epoch, int32_t *ret_epoch,
                          int64_t *ret_end_offset) {
    sys_lock_take(&log->lock);
    leader_epochs_end(&log->epochs, leader_epoch, log->end_offset, ret_epoch, ret_end_offset);
    sys_lock_give(&log->lock);
}

int32_t log_latest_epoch(struct log *log) {
    sys_lock_take(&log->lock);
    int32_t epoch = leader_epochs_latest(&log->epochs);
    sys_lock_give(&log->lock);
    return epoch;
}

int32_t log_epoch_of_offset(struct log *log, int64_t offset) {
    sys_lock_take(&log->lock);
    int32_t epoch = leader_epochs_of(&log->epochs, offset);
    sys_lock_give(&log->lock);
    return epoch;
}

/* --- producers --- */

void log_producers(struct log *log, struct log_producer **ret_producers, size_t *ret_count) {
    sys_lock_take(&log->lock);
    struct log_producer *producers =
        calloc(map_count(&log->producers.producers) + 1, sizeof *producers);
    size_t count = 0;
    size_t cursor;
    const struct producer *producer;
    map_for_each (&log->producers.producers, cursor, producer) {
        const struct sequence_window *window = &producer->window;
        producers[count++] = (struct log_producer){
            .producer_id = producer->id,
            .epoch = window->epoch,
            .last_sequence =
                window->count == 0 ? -1 : window->batches[window->count - 1].last_sequence,
            .last_timestamp_ms = producer->last_timestamp_ms,
            .coordinator_epoch = producer->coordinator_epoch,
            .current_txn_offset = producer->current_txn_offset,
            .last_data_offset = producer_last_offset(producer),
        };
    }
    sys_lock_give(&log->lock);
    *ret_producers = producers;
    *ret_count = count;
}

void log_open_txns(struct log *log, struct log_open_txn **ret_txns, size_t *ret_count) {
    sys_lock_take(&log->lock);
    const struct producer_txns *open = &log->producers.open;
    struct log_open_txn *txns = open->count == 0 ? NULL : calloc(open->count, sizeof *txns);
    for (size_t i = 0; i < open->count; i++) {
        const struct producer *producer =
            producer_state_get(&log->producers, open->items[i].producer_id);
        txns[i] = (struct log_open_txn){
            .producer_id = producer->id,
            .epoch = producer->window.epoch,
            .coordinator_epoch = producer->coordinator_epoch,
            .first_offset = open->items[i].first_offset,
            .last_offset = producer_last_offset(producer),
            .since_ms = producer->txn_since_ms,
        };
    }
    *ret_count = open->count;
    sys_lock_give(&log->lock);
    *ret_txns = txns;
}

size_t log_producer_count(struct log *log) {
    sys_lock_take(&log->lock);
    size_t count = map_count(&log->producers.producers);
    sys_lock_give(&log->lock);
    return count;
}

bool log_producer_known(struct log *log, int64_t producer_id) {
    sys_lock_take(&log->lock);
    const struct producer *producer = producer_state_get(&log->producers, producer_id);
    bool known = producer != NULL && producer->window.count > 0;
    sys_lock_give(&log->lock);
    return known;
}

err_t log_txn_is_open(struct log *log, int64_t producer_id, int16_t epoch, bool *ret_open,
                      int64_t *ret_guard) {
    sys_lock_take(&log->lock);
    err_t err = producer_txn_guard(&log->producers, producer_id, epoch, ret_open, ret_guard);
    sys_lock_give(&log->lock);
    return err;
}

void log_producers_expire(struct log *log, int64_t now_ms) {
    sys_lock_take(&log->lock);
    producer_state_expire(&log->producers, now_ms, log->config.producer_expiration_ms);
    sys_lock_give(&log->lock);
}
