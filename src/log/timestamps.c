/*
 * From times to offsets: the first segment whose newest record is not older, in it the time index
 * and then the offset index for a place to start, then batch heads up to the first that may hold
 * the record, and then the records of that batch.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "log/log_int.h"
#include "log/offset_index.h"
#include "log/time_index.h"
#include "wire/message_set.h"
#include "wire/record_batch.h"

/* A batch read into memory, with what is needed to look into it. */
struct opened_batch {
    struct batch_header header;
    uint8_t *data;
    struct compression *compression;
    struct buffer scratch;
    bool old; /* magic 0 or 1 */
    struct record_iter records;
    struct message_iter messages;
};

static void batch_close(struct opened_batch *batch) {
    free(batch->data);
    compression_free(batch->compression);
    buffer_done(&batch->scratch);
}

static err_t batch_open(struct sys_file *file, uint64_t position, const struct batch_header *header,
                        struct opened_batch *batch) {
    *batch = (struct opened_batch){.header = *header, .old = header->magic < 2};
    batch->data = malloc(header->size);
    size_t got;
    err_t err = sys_file_read(file, position, batch->data, header->size, &got);
    if (err == ERR_OK && (got < header->size || !batch_crc_good(header, batch->data))) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_OK && (header->attributes & BATCH_COMPRESSION_MASK) != 0) {
        batch->compression = compression_new();
    }
    if (err == ERR_OK && batch->old) {
        struct record_batch message = {
            .data = batch->data, .size = header->size, .magic = header->magic};
        err = message_iter_init(&batch->messages, &message, batch->compression, &batch->scratch,
                                LOG_DECOMPRESSED_SIZE_MAX);
    } else if (err == ERR_OK) {
        err = record_iter_init(&batch->records, batch->data, header->size, batch->compression,
                               &batch->scratch, LOG_DECOMPRESSED_SIZE_MAX);
    }
    if (err != ERR_OK) {
        batch_close(batch);
    }
    return err;
}

static err_t batch_next(struct opened_batch *batch, struct record *ret_record) {
    return batch->old ? message_iter_next(&batch->messages, ret_record)
                      : record_iter_next(&batch->records, ret_record);
}

/* What is looked for: the first record that is at or above both. */
struct target {
    int64_t timestamp_ms;
    int64_t offset;
};

static err_t find_in_batch(struct sys_file *file, uint64_t position,
                           const struct batch_header *header, const struct target *target,
                           struct log_time_offset *ret_found) {
    struct opened_batch batch;
    err_t err = batch_open(file, position, header, &batch);
    if (err != ERR_OK) {
        return err == ERR_MALFORMED ? ERR_CORRUPT : err;
    }
    struct record record;
    while ((err = batch_next(&batch, &record)) == ERR_OK) {
        if (record.timestamp >= target->timestamp_ms && record.offset >= target->offset) {
            *ret_found = (struct log_time_offset){
                .timestamp_ms = record.timestamp,
                .offset = record.offset,
                .leader_epoch = header->leader_epoch,
            };
            break;
        }
    }
    batch_close(&batch);
    return err == ERR_MALFORMED ? ERR_CORRUPT : err;
}

/* NOT_FOUND when no record of the rest of the segment is one. */
static err_t find_from(struct log_segment *segment, struct sys_file *file, uint64_t from,
                       const struct target *target, struct log_time_offset *ret_found) {
    struct batch_walk walk;
    batch_walk_init(&walk, file, from, segment_size(segment), false);
    for (;;) {
        uint64_t position = walk.position;
        struct batch_header header;
        err_t err = batch_walk_next(&walk, &header);
        if (err == ERR_OK && header.max_timestamp_ms >= target->timestamp_ms &&
            header.last_offset >= target->offset) {
            err = find_in_batch(file, position, &header, target, ret_found);
            if (err == ERR_NOT_FOUND) {
                continue;
            }
            return err;
        }
        if (err != ERR_OK) {
            return err;
        }
    }
}

static err_t start_position(struct log_segment *segment, const struct target *target,
                            uint32_t *ret_position) {
    bool distrusted = segment_index_distrusted(segment);
    struct time_entry entry;
    *ret_position = 0;
    err_t err =
        distrusted ? ERR_OK : time_index_floor(&segment->times, target->timestamp_ms, &entry);
    if (err != ERR_OK || distrusted) {
        return err;
    }
    int64_t relative = target->offset - segment->base_offset;
    if (relative < entry.relative_offset) {
        relative = entry.relative_offset;
    }
    return offset_index_floor(&segment->offsets, (int32_t)relative, false, ret_position);
}

static err_t find_once(struct log_segment *segment, const struct target *target,
                       struct log_time_offset *ret_found) {
    uint32_t from;
    err_t err = start_position(segment, target, &from);
    struct sys_file *file;
    if (err == ERR_OK) {
        err = cached_file_take(&segment->log, false, &file);
    }
    if (err != ERR_OK) {
        return err;
    }
    err = find_from(segment, file, from, target, ret_found);
    if (err == ERR_CORRUPT && from > 0) {
        err = find_from(segment, file, 0, target, ret_found);
    }
    cached_file_give(&segment->log);
    return err;
}

static err_t find_in_segment(struct log_segment *segment, const struct target *target,
                             struct log_time_offset *ret_found) {
    for (;;) {
        uint64_t cuts = segment_cuts(segment);
        struct log_time_offset found = *ret_found;
        err_t err = find_once(segment, target, &found);
        if (segment_cuts(segment) != cuts) {
            continue; /* the file was cut under our feet */
        }
        if (err == ERR_OK) {
            *ret_found = found;
        }
        return err;
    }
}

/* The segment after the one with base offset `after`, referenced; NULL: no more. */
static struct log_segment *segment_after(struct log *log, int64_t after) {
    struct log_segment *found = NULL;
    sys_lock_take(&log->lock);
    for (size_t i = 0; i < log->segment_count && found == NULL; i++) {
        if (log->segments[i]->base_offset > after) {
            found = segment_ref(log->segments[i]);
        }
    }
    sys_lock_give(&log->lock);
    return found;
}

static err_t find_time(struct log *log, int64_t timestamp_ms, struct log_time_offset *ret_found) {
    struct target target = {.timestamp_ms = timestamp_ms, .offset = log_start_offset(log)};
    struct log_segment *segment;
    int64_t after = INT64_MIN;
    while ((segment = segment_after(log, after)) != NULL) {
        int64_t newest_ms, offset;
        err_t err = segment_max_timestamp(segment, &newest_ms, &offset);
        if (err == ERR_OK) {
            err = newest_ms >= timestamp_ms ? find_in_segment(segment, &target, ret_found)
                                            : ERR_NOT_FOUND;
        }
        after = segment->base_offset;
        segment_unref(segment);
        if (err != ERR_NOT_FOUND) {
            return err;
        }
    }
    return ERR_OK;
}

/* The largest timestamp of all, then the first record that has it. */
static err_t find_max(struct log *log, struct log_time_offset *ret_found) {
    struct target target = {.timestamp_ms = -1};
    int64_t base_offset = INT64_MIN, after = INT64_MIN;
    struct log_segment *segment;
    while ((segment = segment_after(log, after)) != NULL) {
        int64_t newest_ms, offset;
        err_t err = segment_max_timestamp(segment, &newest_ms, &offset);
        after = segment->base_offset;
        segment_unref(segment);
        if (err != ERR_OK) {
            return err;
        }
        if (newest_ms > target.timestamp_ms) {
            target = (struct target){.timestamp_ms = newest_ms};
            base_offset = after;
        }
    }
    if (target.timestamp_ms < 0) {
        return ERR_OK;
    }
    target.offset = log_start_offset(log);
    segment = segment_after(log, base_offset - 1);
    if (segment == NULL) {
        return ERR_OK;
    }
    err_t err = find_in_segment(segment, &target, ret_found);
    segment_unref(segment);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static err_t find(struct log *log, int64_t timestamp_ms, struct log_time_offset *found) {
    switch (timestamp_ms) {
    case LOG_TIMESTAMP_LATEST:
        found->offset = log_end_offset(log);
        found->leader_epoch = log_latest_epoch(log);
        return ERR_OK;
    case LOG_TIMESTAMP_EARLIEST:
    case LOG_TIMESTAMP_EARLIEST_LOCAL:
        found->offset = log_start_offset(log);
        found->leader_epoch = log_epoch_of_offset(log, found->offset);
        return ERR_OK;
    case LOG_TIMESTAMP_MAX:
        return find_max(log, found);
    case LOG_TIMESTAMP_LATEST_TIERED:
    case LOG_TIMESTAMP_EARLIEST_PENDING_UPLOAD:
        return ERR_OK; /* nothing is tiered */
    default:
        return timestamp_ms < 0 ? ERR_UNSUPPORTED : find_time(log, timestamp_ms, found);
    }
}

/* How often segments, or their ends, were taken away, and files renamed. */
struct removals {
    uint64_t truncations;
    uint64_t folder_changes;
};

static struct removals removals_read(struct log *log) {
    sys_lock_take(&log->lock);
    struct removals removals = {.truncations = log->truncations,
                                .folder_changes = log->folder_changes};
    sys_lock_give(&log->lock);
    return removals;
}

err_t log_offset_for_timestamp(struct log *log, int64_t timestamp_ms,
                               struct log_time_offset *ret_found) {
    for (;;) {
        struct removals before = removals_read(log);
        struct log_time_offset found = {.timestamp_ms = -1, .offset = -1, .leader_epoch = -1};
        err_t err = find(log, timestamp_ms, &found);
        struct removals after = removals_read(log);
        if (after.truncations != before.truncations) {
            continue; /* what was found may be of a file that took another's place */
        }
        if ((err == ERR_CORRUPT || err == ERR_NOT_FOUND) &&
            after.folder_changes != before.folder_changes) {
            continue; /* a file was removed under our feet */
        }
        if (err == ERR_OK) {
            *ret_found = found;
        }
        return err == ERR_NOT_FOUND ? ERR_CLOSED : err;
    }
}
