/*
 * How a segment grows, ends and is cut. Its files: segment_files.c; looking things up:
 * segment_read.c.
 *
 * Invariants
 *   1. `size` is the end of a whole batch; the file may be longer only while an append is running.
 *   2. Readers look at `size` first and at indexes after it; an append makes `size` visible before
 *      its index entries. So no index entry that a reader finds lies beyond what it may read.
 *   3. An index entry is added before a batch when more than the interval was appended since the
 *      last one, as Kafka does it; the first batch of a segment therefore has none.
 *   4. The offset index names the batch it is added for, the time index the batch with the largest
 *      timestamp up to and with that batch.
 */
#include "log/segment.h"

#include <assert.h>
#include <stdlib.h>

#include "log/offset_index.h"
#include "log/time_index.h"

/* --- append --- */

static void recent_add(struct log_segment *segment, const struct batch_header *header,
                       uint64_t position) {
    if (segment->recents == NULL) {
        segment->recents = calloc(SEGMENT_RECENTS, sizeof *segment->recents);
    }
    segment->recents[segment->recent_next] = (struct segment_recent){
        .base_offset = header->base_offset,
        .last_offset = header->last_offset,
        .position = position,
        .size = header->size,
    };
    segment->recent_next = (segment->recent_next + 1) % SEGMENT_RECENTS;
    if (segment->recent_count < SEGMENT_RECENTS) {
        segment->recent_count++;
    }
}

static err_t reserve_entries(struct log_segment *segment, uint32_t count) {
    err_t err = index_file_reserve(&segment->offsets, count);
    if (err == ERR_OK) {
        err = index_file_reserve(&segment->times, count);
    }
    int64_t timestamp_ms, offset;
    if (err == ERR_OK) {
        err = segment_max_timestamp(segment, &timestamp_ms, &offset);
    }
    return err;
}

static void note_timestamp(struct log_segment *segment, const struct batch_header *header) {
    if (header->max_timestamp_ms > segment->max_timestamp_ms) {
        sys_lock_take(&segment->lock);
        segment->max_timestamp_ms = header->max_timestamp_ms;
        segment->max_timestamp_offset = header->last_offset;
        sys_lock_give(&segment->lock);
    }
}

static struct time_entry max_entry(const struct log_segment *segment) {
    return (struct time_entry){
        .timestamp_ms = segment->max_timestamp_ms,
        .relative_offset = (int32_t)(segment->max_timestamp_offset - segment->base_offset),
    };
}

err_t segment_index_batch(struct log_segment *segment, const struct batch_header *header,
                          uint64_t position, uint32_t index_interval_bytes) {
    assert(segment->max_timestamp_known);
    note_timestamp(segment, header);
    err_t err = ERR_OK;
    if (segment->bytes_since_entry > index_interval_bytes) {
        offset_index_add(&segment->offsets, (int32_t)(header->last_offset - segment->base_offset),
                         (uint32_t)position);
        err = time_index_add(&segment->times, max_entry(segment));
        segment->bytes_since_entry = 0;
    }
    segment->bytes_since_entry += header->size;
    return err;
}

static err_t write_or_cut(struct log_segment *segment, const uint8_t *data, size_t size,
                          bool *ret_torn) {
    struct sys_file *file;
    err_t err = cached_file_take(&segment->log, false, &file);
    if (err != ERR_OK) {
        return err;
    }
    if (segment->torn) {
        err = sys_file_truncate(file, segment->size);
        segment->torn = err != ERR_OK;
    }
    if (err == ERR_OK) {
        err = sys_file_write(file, segment->size, data, size);
        if (err != ERR_OK) {
            segment->cut_unsynced = true;
            segment->torn = sys_file_truncate(file, segment->size) != ERR_OK;
            *ret_torn = segment->torn;
        }
    }
    cached_file_give(&segment->log);
    return err;
}

static void publish(struct log_segment *segment, const uint8_t *data, size_t size) {
    struct batch_header header = {0};
    sys_lock_take(&segment->lock);
    for (size_t at = 0; at < size; at += header.size) {
        const char *wrong = batch_header_read(data + at, size - at, &header);
        assert(wrong == NULL);
        recent_add(segment, &header, segment->size + at);
    }
    segment->size += size;
    segment->next_offset = header.last_offset + 1;
    sys_lock_give(&segment->lock);
}

err_t segment_append(struct log_segment *segment, const uint8_t *data, size_t size,
                     uint32_t batch_count, uint32_t index_interval_bytes, bool *ret_torn) {
    err_t err = reserve_entries(segment, batch_count);
    if (err == ERR_OK) {
        err = write_or_cut(segment, data, size, ret_torn);
    }
    if (err != ERR_OK) {
        return err;
    }
    uint64_t position = segment->size;
    publish(segment, data, size);
    struct batch_header header;
    for (size_t at = 0; at < size && err == ERR_OK; at += header.size) {
        const char *wrong = batch_header_read(data + at, size - at, &header);
        assert(wrong == NULL);
        if (position + at == 0) {
            segment_first_timestamp_set(segment, header.max_timestamp_ms);
        }
        err = segment_index_batch(segment, &header, position + at, index_interval_bytes);
    }
    if (err != ERR_OK) { /* the batches are in; only lookups are slower until it is rebuilt */
        sys_lock_take(&segment->lock);
        segment->index_distrusted = true;
        sys_lock_give(&segment->lock);
    }
    return ERR_OK;
}

/* --- the end of a segment's growth, and of a segment --- */

/* Cutting a file at its end gives back what lies reserved behind it, or is left of a write. */
static err_t cut_behind_end(struct log_segment *segment) {
    if (!segment->reserved && !segment->torn) {
        return ERR_OK;
    }
    struct sys_file *file;
    err_t err = cached_file_take(&segment->log, false, &file);
    if (err == ERR_OK) {
        err = sys_file_truncate(file, segment->size);
        cached_file_give(&segment->log);
    }
    if (err == ERR_OK) {
        segment->reserved = false;
        segment->torn = false;
    }
    return err;
}

err_t segment_seal(struct log_segment *segment) {
    err_t err = cut_behind_end(segment);
    if (err == ERR_OK) {
        err = reserve_entries(segment, 1);
    }
    if (err == ERR_OK) {
        err = time_index_add(&segment->times, max_entry(segment));
    }
    if (err == ERR_OK) {
        err = index_file_write(&segment->offsets);
    }
    return err == ERR_OK ? index_file_write(&segment->times) : err;
}

err_t segment_sync_cut(struct log_segment *segment) {
    if (!segment->cut_unsynced) {
        return ERR_OK;
    }
    err_t err = segment_sync(segment, false);
    segment->cut_unsynced = err != ERR_OK;
    return err;
}

err_t segment_sync(struct log_segment *segment, bool with_indexes) {
    struct sys_file *file;
    err_t err = cached_file_take(&segment->log, false, &file);
    if (err == ERR_OK) {
        err = sys_file_sync(file);
        cached_file_give(&segment->log);
    }
    if (err == ERR_OK && with_indexes) {
        err = index_file_sync(&segment->offsets);
    }
    if (err == ERR_OK && with_indexes) {
        err = index_file_sync(&segment->times);
    }
    return err == ERR_OK ? txn_index_sync(&segment->aborted) : err;
}

err_t segment_truncate(struct log_segment *segment, uint64_t position, int64_t next_offset) {
    assert(position <= segment->size);
    sys_lock_take(&segment->lock);
    segment->cuts++; /* before the files shrink: who looked at them until now will look again */
    segment->size = position;
    segment->next_offset = next_offset;
    segment->recent_count = 0;
    segment->recent_next = 0;
    segment->max_timestamp_known = false;
    segment->first_timestamp_known &= position > 0;
    sys_lock_give(&segment->lock);
    segment->bytes_since_entry = 0;
    segment->cut_unsynced = true;
    err_t err = offset_index_cut(&segment->offsets, (uint32_t)position);
    if (err == ERR_OK) {
        err = time_index_cut(&segment->times, next_offset - segment->base_offset);
    }
    if (err == ERR_OK) {
        err = txn_index_cut(&segment->aborted, next_offset);
    }
    struct sys_file *file;
    if (err == ERR_OK) {
        err = cached_file_take(&segment->log, false, &file);
    }
    if (err == ERR_OK) {
        err = sys_file_truncate(file, position);
        cached_file_give(&segment->log);
        segment->torn &= err != ERR_OK;
    }
    return err;
}

err_t segment_reset_indexes(struct log_segment *segment, bool with_aborted) {
    sys_lock_take(&segment->lock);
    segment->max_timestamp_known = true;
    segment->max_timestamp_ms = -1;
    segment->max_timestamp_offset = segment->base_offset;
    segment->index_distrusted = false;
    sys_lock_give(&segment->lock);
    segment->bytes_since_entry = 0;
    err_t err = index_file_cut(&segment->offsets, 0);
    if (err == ERR_OK) {
        err = index_file_cut(&segment->times, 0);
    }
    if (err == ERR_OK && with_aborted) {
        err = txn_index_cut(&segment->aborted, INT64_MIN);
    }
    return err;
}

uint64_t segment_cuts(struct log_segment *segment) {
    sys_lock_take(&segment->lock);
    uint64_t cuts = segment->cuts;
    sys_lock_give(&segment->lock);
    return cuts;
}

bool segment_index_distrusted(struct log_segment *segment) {
    sys_lock_take(&segment->lock);
    bool distrusted = segment->index_distrusted;
    sys_lock_give(&segment->lock);
    return distrusted;
}

uint64_t segment_size(struct log_segment *segment) {
    sys_lock_take(&segment->lock);
    uint64_t size = segment->size;
    sys_lock_give(&segment->lock);
    return size;
}

int64_t segment_next_offset(struct log_segment *segment) {
    sys_lock_take(&segment->lock);
    int64_t next_offset = segment->next_offset;
    sys_lock_give(&segment->lock);
    return next_offset;
}
