/* The newest and the first timestamp of a segment: found out when somebody asks, then known. */
#include "log/segment.h"
#include "log/time_index.h"

/* The last entry of the time index, or a batch behind it. */
static err_t max_timestamp_load(struct log_segment *segment, int64_t *ret_timestamp_ms,
                                int64_t *ret_offset) {
    for (;;) {
        uint64_t cuts = segment_cuts(segment);
        struct time_entry last;
        struct segment_tail tail;
        err_t err = time_index_last(&segment->times, &last);
        if (err == ERR_OK) {
            err = segment_scan_tail(segment, &tail);
        }
        if (segment_cuts(segment) != cuts) {
            continue;
        }
        if (err == ERR_OK) {
            bool newer = tail.timestamp_ms > last.timestamp_ms;
            *ret_timestamp_ms = newer ? tail.timestamp_ms : last.timestamp_ms;
            *ret_offset =
                newer ? tail.timestamp_offset : segment->base_offset + last.relative_offset;
        }
        return err;
    }
}

err_t segment_max_timestamp(struct log_segment *segment, int64_t *ret_timestamp_ms,
                            int64_t *ret_offset) {
    sys_lock_take(&segment->lock);
    bool known = segment->max_timestamp_known;
    int64_t timestamp_ms = segment->max_timestamp_ms;
    int64_t offset = segment->max_timestamp_offset;
    uint64_t size = segment->size;
    uint64_t cuts = segment->cuts;
    sys_lock_give(&segment->lock);
    if (!known) {
        if (size == 0) {
            timestamp_ms = -1;
            offset = segment->base_offset;
        } else {
            err_t err = max_timestamp_load(segment, &timestamp_ms, &offset);
            if (err != ERR_OK) {
                return err;
            }
        }
        sys_lock_take(&segment->lock);
        if (!segment->max_timestamp_known && segment->size == size && segment->cuts == cuts) {
            segment->max_timestamp_known = true;
            segment->max_timestamp_ms = timestamp_ms;
            segment->max_timestamp_offset = offset;
        }
        sys_lock_give(&segment->lock);
    }
    *ret_timestamp_ms = timestamp_ms;
    *ret_offset = offset;
    return ERR_OK;
}

err_t segment_first_timestamp(struct log_segment *segment, int64_t *ret_timestamp_ms) {
    sys_lock_take(&segment->lock);
    bool known = segment->first_timestamp_known;
    int64_t timestamp_ms = known ? segment->first_timestamp_ms : -1;
    uint64_t size = segment->size;
    sys_lock_give(&segment->lock);
    if (!known && size > 0) {
        struct sys_file *file;
        err_t err = cached_file_take(&segment->log, false, &file);
        if (err != ERR_OK) {
            return err;
        }
        struct batch_walk walk;
        struct batch_header header;
        batch_walk_init(&walk, file, 0, size, false);
        err = batch_walk_next(&walk, &header);
        cached_file_give(&segment->log);
        if (err != ERR_OK) {
            return err;
        }
        timestamp_ms = header.max_timestamp_ms;
        segment_first_timestamp_set(segment, timestamp_ms);
    }
    *ret_timestamp_ms = timestamp_ms;
    return ERR_OK;
}

void segment_first_timestamp_set(struct log_segment *segment, int64_t timestamp_ms) {
    sys_lock_take(&segment->lock);
    segment->first_timestamp_known = true;
    segment->first_timestamp_ms = timestamp_ms;
    sys_lock_give(&segment->lock);
}
