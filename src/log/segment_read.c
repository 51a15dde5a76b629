/*
 * Finding batches in a segment.
 *
 *   offset -> position   the recent batches in memory, else the offset index gives a position at
 *                        or before the batch, and heads are walked from there
 *   size   -> position   whole batches only: the last indexed position within the size, and a walk
 *
 * An index is a help, not a witness: when a walk from an indexed position meets bytes that are no
 * batch, or an offset beyond the one looked for, the index is distrusted from then on and the walk
 * starts at the beginning of the file. Only bytes that make no sense from there on are CORRUPT.
 */
#include <assert.h>

#include "log/offset_index.h"
#include "log/segment.h"

/* A segment as one lookup sees it. */
struct view {
    struct log_segment *segment;
    struct sys_file *file;
    uint64_t size;
    int64_t next_offset;
    uint64_t cuts;
    bool no_wait;
    bool index_distrusted;
};

static err_t view_take(struct log_segment *segment, bool no_wait, struct view *ret_view) {
    struct view view = {.segment = segment, .no_wait = no_wait};
    err_t err = cached_file_take(&segment->log, no_wait, &view.file);
    if (err != ERR_OK) {
        return err;
    }
    sys_lock_take(&segment->lock);
    view.size = segment->size;
    view.next_offset = segment->next_offset;
    view.cuts = segment->cuts;
    view.index_distrusted = segment->index_distrusted;
    sys_lock_give(&segment->lock);
    *ret_view = view;
    return ERR_OK;
}

/* Whether the segment was cut since: what was read, well or not, says nothing. */
static bool view_is_stale(const struct view *view) {
    return segment_cuts(view->segment) != view->cuts;
}

static void index_distrust(struct view *view) {
    view->index_distrusted = true;
    sys_lock_take(&view->segment->lock);
    if (view->segment->cuts == view->cuts) {
        view->segment->index_distrusted = true;
    }
    sys_lock_give(&view->segment->lock);
}

static int32_t relative(const struct log_segment *segment, int64_t offset) {
    int64_t delta = offset - segment->base_offset;
    return delta > INT32_MAX ? INT32_MAX : delta < 0 ? 0 : (int32_t)delta;
}

/* Looks among the recent batches, which follow each other without a gap in the file. */
static bool find_recent(const struct view *view, int64_t offset, uint64_t *ret_position,
                        struct batch_header *ret_header) {
    struct log_segment *segment = view->segment;
    bool found = false;
    sys_lock_take(&segment->lock);
    for (uint32_t i = 0; i < segment->recent_count && !found; i++) {
        uint32_t oldest = segment->recent_next + SEGMENT_RECENTS - segment->recent_count;
        const struct segment_recent *recent = &segment->recents[(oldest + i) % SEGMENT_RECENTS];
        if (i == 0 && offset < recent->base_offset) {
            break;
        }
        if (recent->last_offset >= offset && recent->position + recent->size <= view->size) {
            found = true;
            *ret_position = recent->position;
            *ret_header = (struct batch_header){
                .base_offset = recent->base_offset,
                .last_offset = recent->last_offset,
                .size = recent->size,
            };
        }
    }
    sys_lock_give(&segment->lock);
    return found;
}

static err_t walk_to(const struct view *view, uint64_t from, int64_t offset, uint64_t *ret_position,
                     struct batch_header *ret_header) {
    struct batch_walk walk;
    batch_walk_init(&walk, view->file, from, view->size, view->no_wait);
    for (bool first = true;; first = false) {
        uint64_t position = walk.position;
        struct batch_header header;
        err_t err = batch_walk_next(&walk, &header);
        if (err != ERR_OK) {
            return err;
        }
        if (first && from > 0 && header.base_offset > offset) {
            return ERR_CORRUPT; /* the index named a batch that is too far on */
        }
        if (header.last_offset >= offset) {
            *ret_position = position;
            *ret_header = header;
            return ERR_OK;
        }
    }
}

/* Where a walk to the offset begins: at 0 without an index to trust. */
static err_t index_floor(struct view *view, int32_t relative_offset, uint32_t *ret_from) {
    uint32_t from = 0;
    err_t err = view->index_distrusted ? ERR_OK
                                       : offset_index_floor(&view->segment->offsets,
                                                            relative_offset, view->no_wait, &from);
    if (err == ERR_CORRUPT || (err == ERR_OK && from > view->size)) {
        index_distrust(view);
        from = 0;
        err = ERR_OK;
    }
    *ret_from = from;
    return err;
}

static err_t find(struct view *view, int64_t offset, uint64_t *ret_position,
                  struct batch_header *ret_header) {
    if (find_recent(view, offset, ret_position, ret_header)) {
        return ERR_OK;
    }
    uint32_t from;
    err_t err = index_floor(view, relative(view->segment, offset), &from);
    if (err == ERR_OK) {
        err = walk_to(view, from, offset, ret_position, ret_header);
    }
    if (err == ERR_CORRUPT && from > 0) {
        index_distrust(view);
        err = walk_to(view, 0, offset, ret_position, ret_header);
    }
    return err;
}

/* The greatest size up to size_max that ends with a batch, and the offset that the next one begins
 * with. The first batch fits. */
static err_t whole_batches(struct view *view, uint64_t start, size_t size_max, size_t *ret_size,
                           int64_t *ret_end_offset) {
    uint64_t bound = start + size_max;
    uint32_t from = (uint32_t)start;
    if (!view->index_distrusted && bound <= UINT32_MAX) {
        err_t err = offset_index_position_floor(&view->segment->offsets, (uint32_t)bound,
                                                view->no_wait, &from);
        if (err == ERR_CORRUPT) {
            index_distrust(view);
            from = (uint32_t)start;
        } else if (err != ERR_OK) {
            return err;
        }
    }
    struct batch_walk walk;
    batch_walk_init(&walk, view->file, from > start ? from : start, view->size, view->no_wait);
    uint64_t end = start;
    for (;;) {
        struct batch_header header;
        err_t err = batch_walk_next(&walk, &header);
        if (err == ERR_CORRUPT && from > start) {
            index_distrust(view);
            from = (uint32_t)start;
            batch_walk_init(&walk, view->file, start, view->size, view->no_wait);
            continue;
        }
        if (err == ERR_OK && walk.position <= bound) {
            end = walk.position;
            continue;
        }
        if (err == ERR_OK || err == ERR_NOT_FOUND) {
            end = end > start ? end : from;
            *ret_size = (size_t)(end - start);
            *ret_end_offset = err == ERR_OK ? header.base_offset : view->next_offset;
            return ERR_OK;
        }
        return err;
    }
}

/* Where the batches that end below the limit end. */
static err_t limit_position(struct view *view, int64_t limit_offset, uint64_t *ret_position) {
    if (limit_offset >= view->next_offset) {
        *ret_position = view->size;
        return ERR_OK;
    }
    struct batch_header header;
    err_t err = find(view, limit_offset, ret_position, &header);
    if (err == ERR_NOT_FOUND) {
        *ret_position = view->size;
        err = ERR_OK;
    }
    return err;
}

static err_t read_view(struct view *view, int64_t offset, size_t size_max, int64_t limit_offset,
                       int flags, struct log_slice *ret_slice) {
    uint64_t start, end;
    struct batch_header first;
    err_t err = find(view, offset, &start, &first);
    if (err != ERR_OK) {
        return err;
    }
    *ret_slice = (struct log_slice){0};
    if (first.last_offset >= limit_offset) {
        return ERR_OK;
    }
    if (first.size > size_max) {
        if ((flags & LOG_READ_MIN_ONE) == 0) {
            return ERR_OK;
        }
        size_max = first.size;
    }
    err = limit_position(view, limit_offset, &end);
    if (err != ERR_OK) {
        return err;
    }
    size_t size = (size_t)(end - start);
    int64_t end_offset = limit_offset < view->next_offset ? limit_offset : view->next_offset;
    if (size > size_max) {
        err = whole_batches(view, start, size_max, &size, &end_offset);
    }
    if (err == ERR_OK) {
        *ret_slice = (struct log_slice){
            .segment = view->segment,
            .file = view->file,
            .position = start,
            .size = size,
            .start_offset = first.base_offset,
            .end_offset = end_offset,
            .file_base_offset = view->segment->base_offset,
        };
    }
    return err;
}

err_t segment_read(struct log_segment *segment, int64_t offset, size_t size_max,
                   int64_t limit_offset, int flags, struct log_slice *ret_slice) {
    for (;;) {
        struct view view;
        err_t err = view_take(segment, (flags & LOG_READ_NO_WAIT) != 0, &view);
        if (err != ERR_OK) {
            return err;
        }
        err = read_view(&view, offset, size_max, limit_offset, flags, ret_slice);
        bool stale = view_is_stale(&view);
        if (err == ERR_OK && !stale && ret_slice->segment != NULL) {
            segment_ref(segment);
            return ERR_OK;
        }
        cached_file_give(&segment->log);
        if (!stale) {
            return err;
        }
    }
}

err_t segment_find(struct log_segment *segment, int64_t offset, bool no_wait,
                   uint64_t *ret_position, struct batch_header *ret_header) {
    for (;;) {
        struct view view;
        err_t err = view_take(segment, no_wait, &view);
        if (err != ERR_OK) {
            return err;
        }
        err = find(&view, offset, ret_position, ret_header);
        bool stale = view_is_stale(&view);
        cached_file_give(&segment->log);
        if (!stale) {
            return err;
        }
    }
}

static err_t tail_walk(struct view *view, struct segment_tail *ret_tail) {
    uint32_t from;
    err_t err = index_floor(view, INT32_MAX, &from);
    if (err != ERR_OK) {
        return err;
    }
    struct segment_tail tail = {
        .next_offset = view->segment->base_offset,
        .timestamp_ms = -1,
        .timestamp_offset = view->segment->base_offset,
    };
    struct batch_walk walk;
    batch_walk_init(&walk, view->file, from, view->size, false);
    for (;;) {
        struct batch_header header;
        err = batch_walk_next(&walk, &header);
        if (err == ERR_NOT_FOUND) {
            break;
        }
        if (err != ERR_OK) {
            return err;
        }
        tail.next_offset = header.last_offset + 1;
        if (header.max_timestamp_ms > tail.timestamp_ms) {
            tail.timestamp_ms = header.max_timestamp_ms;
            tail.timestamp_offset = header.last_offset;
        }
    }
    *ret_tail = tail;
    return ERR_OK;
}

err_t segment_scan_tail(struct log_segment *segment, struct segment_tail *ret_tail) {
    struct view view;
    err_t err = view_take(segment, false, &view);
    if (err == ERR_OK) {
        err = tail_walk(&view, ret_tail);
        cached_file_give(&segment->log);
    }
    return err;
}
