/*
 * Reading: never under the lock. A read takes what it needs of the partition's state under the
 * lock, then asks the log, which is safe beside a writer. Leadership may move in between; the
 * records that are read were committed then and stay so.
 */
#include "replica/partition_int.h"

/* What a read takes of the partition's state. */
struct opened {
    struct log *log; /* NULL while it is being made: it is empty */
    struct volume *volume;
    int32_t leader_epoch;
};

static err_t open_read(struct partition *partition, int32_t leader_epoch,
                       struct opened *ret_opened) {
    sys_lock_take(&partition->lock);
    err_t err = partition_check(partition, leader_epoch);
    if (err == ERR_OK) {
        *ret_opened = (struct opened){.log = partition->log,
                                      .volume = partition->volume,
                                      .leader_epoch = partition->leader_epoch};
    }
    sys_lock_give(&partition->lock);
    return err;
}

/* What a reader is told of the log's error. A log that was closed under its feet is deleted. */
static err_t read_error(struct partition *partition, struct volume *volume, err_t err) {
    switch (err) {
    case ERR_OK:
    case ERR_WOULD_BLOCK:
    case ERR_OFFSET_OUT_OF_RANGE:
        return err;
    case ERR_CLOSED:
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    default:
        if (!atomic_exchange(&partition->unreadable_said, true)) {
            text_log_error(volume->text_log, "log",
                           "The log of %.*s in %s cannot be read (%s); its readers get an error. "
                           "Check the disk, and the files of the log",
                           STR_ARGS(partition->name), log_directory_path(volume->directory),
                           err_text(err));
        }
        return volume_log_err(volume_note(volume, err));
    }
}

/* The end of an epoch. The log learns of the leader's with its first record only; until then the
 * leader's epoch begins, and those before it end, at the log's end. */
static void find_epoch_end(struct log *log, int32_t leader_epoch, int32_t requested_epoch,
                           int32_t *ret_epoch, int64_t *ret_end_offset) {
    int32_t latest_epoch = log_latest_epoch(log);
    if (requested_epoch >= 0 && requested_epoch > latest_epoch && requested_epoch <= leader_epoch) {
        bool floor = requested_epoch < leader_epoch && latest_epoch >= 0;
        *ret_epoch = floor ? latest_epoch : requested_epoch;
        *ret_end_offset = log_end_offset(log);
    } else {
        log_epoch_end_offset(log, requested_epoch, ret_epoch, ret_end_offset);
    }
}

static bool is_earliest(int64_t timestamp_ms) {
    return timestamp_ms == LOG_TIMESTAMP_EARLIEST || timestamp_ms == LOG_TIMESTAMP_EARLIEST_LOCAL;
}

/* KIP-595: whether the log before `offset` is another than the one the reader has. */
static err_t check_divergence(struct log *log, int32_t leader_epoch, struct partition_read *read) {
    int32_t epoch;
    int64_t end_offset;
    find_epoch_end(log, leader_epoch, read->fetched_epoch, &epoch, &end_offset);
    if (end_offset < 0 || epoch < 0 || read->offset < read->log_start_offset) {
        return ERR_OFFSET_OUT_OF_RANGE;
    }
    if (epoch < read->fetched_epoch || end_offset < read->offset) {
        read->diverging = true;
        read->diverging_epoch = epoch;
        read->diverging_end_offset = end_offset;
    }
    return ERR_OK;
}

err_t partition_read(struct partition *partition, struct partition_read *read) {
    struct opened opened;
    read->slice = (struct log_slice){.segment = NULL};
    read->diverging = false;
    read->high_watermark = -1;
    read->last_stable_offset = -1;
    read->log_start_offset = -1;
    err_t err = open_read(partition, read->leader_epoch, &opened);
    if (err != ERR_OK) {
        return err;
    }
    if (opened.log == NULL) {
        read->high_watermark = 0;
        read->last_stable_offset = 0;
        read->log_start_offset = 0;
        return read->offset == 0 ? ERR_OK : ERR_OFFSET_OUT_OF_RANGE;
    }
    read->high_watermark = log_high_watermark(opened.log);
    read->last_stable_offset = log_last_stable_offset(opened.log);
    read->log_start_offset = log_start_offset(opened.log);

    if (read->fetched_epoch != PARTITION_ANY_EPOCH) {
        err = check_divergence(opened.log, opened.leader_epoch, read);
        if (err != ERR_OK || read->diverging) {
            return err;
        }
    }
    int64_t limit = read->committed_only ? read->last_stable_offset : read->high_watermark;
    int flags = (read->min_one ? LOG_READ_MIN_ONE : 0) | (read->no_wait ? LOG_READ_NO_WAIT : 0);
    err = log_read(opened.log, read->offset, read->size_max, limit, flags, &read->slice);
    return read_error(partition, opened.volume, err);
}

int64_t partition_wait(struct partition *partition, struct partition_waiter *waiter) {
    sys_lock_take(&partition->lock);
    list_add_last(&partition->waiters, &waiter->link);
    int64_t high_watermark = partition->state == PARTITION_OPENING ? 0
                             : partition->state == PARTITION_ONLINE
                                 ? log_high_watermark(partition->log)
                                 : -1;
    sys_lock_give(&partition->lock);
    return high_watermark;
}

void partition_unwait(struct partition *partition, struct partition_waiter *waiter) {
    sys_lock_take(&partition->lock);
    list_remove(&waiter->link);
    sys_lock_give(&partition->lock);
}

err_t partition_offsets(struct partition *partition, int32_t leader_epoch,
                        struct partition_offsets *ret_offsets) {
    sys_lock_take(&partition->lock);
    err_t err = partition_check(partition, leader_epoch);
    if (err == ERR_OK && partition->log == NULL) {
        *ret_offsets = (struct partition_offsets){.leader_epoch = partition->leader_epoch};
    } else if (err == ERR_OK) {
        ret_offsets->leader_epoch = partition->leader_epoch;
        ret_offsets->log_start_offset = log_start_offset(partition->log);
        ret_offsets->high_watermark = log_high_watermark(partition->log);
        ret_offsets->last_stable_offset = log_last_stable_offset(partition->log);
        ret_offsets->log_end_offset = log_end_offset(partition->log);
    }
    sys_lock_give(&partition->lock);
    return err;
}

err_t partition_offset_for_timestamp(struct partition *partition, int32_t leader_epoch,
                                     int64_t timestamp_ms, bool committed_only,
                                     struct log_time_offset *ret_found) {
    struct opened opened;
    err_t err = open_read(partition, leader_epoch, &opened);
    if (err != ERR_OK) {
        return err;
    }
    struct log *log = opened.log;
    if (log == NULL) {
        bool end = timestamp_ms == LOG_TIMESTAMP_LATEST || is_earliest(timestamp_ms);
        *ret_found = (struct log_time_offset){.timestamp_ms = -1,
                                              .offset = end ? 0 : -1,
                                              .leader_epoch = end ? opened.leader_epoch : -1};
        return ERR_OK;
    }
    int64_t limit = committed_only ? log_last_stable_offset(log) : log_high_watermark(log);
    struct log_time_offset found;
    if (timestamp_ms == LOG_TIMESTAMP_LATEST) {
        /* The epoch of the leader, not of the last record, as Kafka answers it. */
        found = (struct log_time_offset){
            .timestamp_ms = -1, .offset = limit, .leader_epoch = opened.leader_epoch};
    } else {
        err = log_offset_for_timestamp(log, timestamp_ms, &found);
        if (err != ERR_OK) {
            return read_error(partition, opened.volume, err);
        }
        /* The next record will have the leader's epoch, of which the log learns with it. */
        if (is_earliest(timestamp_ms) && found.offset == log_end_offset(log)) {
            found.leader_epoch = opened.leader_epoch;
        }
        /* A time beyond what this reader may see is not there yet. */
        if (!is_earliest(timestamp_ms) && found.offset >= limit) {
            found = (struct log_time_offset){.timestamp_ms = -1, .offset = -1, .leader_epoch = -1};
        }
    }
    *ret_found = found;
    return ERR_OK;
}

err_t partition_epoch_end_offset(struct partition *partition, int32_t leader_epoch,
                                 int32_t requested_epoch, int32_t *ret_epoch,
                                 int64_t *ret_end_offset) {
    sys_lock_take(&partition->lock);
    err_t err = partition_check(partition, leader_epoch);
    if (err == ERR_OK && partition->log == NULL) {
        bool known = requested_epoch >= 0 && requested_epoch <= partition->leader_epoch;
        *ret_epoch = known ? requested_epoch : -1;
        *ret_end_offset = known ? 0 : -1;
    } else if (err == ERR_OK) {
        find_epoch_end(partition->log, partition->leader_epoch, requested_epoch, ret_epoch,
                       ret_end_offset);
    }
    sys_lock_give(&partition->lock);
    return err;
}

err_t partition_aborted_transactions(struct partition *partition, int64_t start_offset,
                                     int64_t end_offset, bool no_wait,
                                     struct log_aborted **ret_aborted, size_t *ret_count) {
    struct opened opened;
    err_t err = open_read(partition, PARTITION_ANY_EPOCH, &opened);
    if (err == ERR_OK && opened.log == NULL) {
        *ret_aborted = NULL;
        *ret_count = 0;
        return ERR_OK;
    }
    if (err == ERR_OK) {
        err = log_aborted_transactions(opened.log, start_offset, end_offset,
                                       no_wait ? LOG_READ_NO_WAIT : 0, ret_aborted, ret_count);
        err = read_error(partition, opened.volume, err);
    }
    return err;
}

err_t partition_producers(struct partition *partition, struct log_producer **ret_producers,
                          size_t *ret_count) {
    struct opened opened;
    err_t err = open_read(partition, PARTITION_ANY_EPOCH, &opened);
    if (err == ERR_OK && opened.log == NULL) {
        *ret_producers = NULL;
        *ret_count = 0;
    } else if (err == ERR_OK) {
        log_producers(opened.log, ret_producers, ret_count);
    }
    return err;
}

err_t partition_open_txns(struct partition *partition, struct log_open_txn **ret_txns,
                          size_t *ret_count) {
    struct opened opened;
    err_t err = open_read(partition, PARTITION_ANY_EPOCH, &opened);
    if (err == ERR_OK && opened.log == NULL) {
        *ret_txns = NULL;
        *ret_count = 0;
    } else if (err == ERR_OK) {
        log_open_txns(opened.log, ret_txns, ret_count);
    }
    return err;
}
