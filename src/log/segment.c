/*
 * The files of a segment and how they grow. Looking things up is in segment_read.c.
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
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/offset_index.h"
#include "log/time_index.h"

static const char *const file_suffixes[SEGMENT_FILE_COUNT] = {
    [SEGMENT_LOG] = ".log",
    [SEGMENT_INDEX] = ".index",
    [SEGMENT_TIME_INDEX] = ".timeindex",
    [SEGMENT_TXN_INDEX] = ".txnindex",
    [SEGMENT_SNAPSHOT] = ".snapshot",
};

char *segment_path(const char *folder, int64_t base_offset, enum segment_file file,
                   const char *suffix) {
    size_t size = strlen(folder) + strlen(suffix) + 48;
    char *path = malloc(size);
    snprintf(path, size, "%s/%020" PRId64 "%s%s", folder, base_offset, file_suffixes[file], suffix);
    return path;
}

struct log_segment *segment_new(struct log_cache *cache, const char *folder, int64_t base_offset,
                                const struct segment_sizes *sizes, int64_t next_offset) {
    return segment_new_named(cache, folder, base_offset, "", sizes, next_offset);
}

struct log_segment *segment_new_named(struct log_cache *cache, const char *folder,
                                      int64_t base_offset, const char *suffix,
                                      const struct segment_sizes *sizes, int64_t next_offset) {
    struct log_segment *segment = calloc(1, sizeof *segment);
    segment->references = 1;
    segment->cache = cache;
    segment->base_offset = base_offset;
    segment->size = sizes->file[SEGMENT_LOG];
    segment->next_offset = next_offset;
    sys_lock_init(&segment->lock, SYS_RANK_SEGMENT);
    cached_file_init(&segment->log, cache, segment_path(folder, base_offset, SEGMENT_LOG, suffix));
    index_file_init(&segment->offsets, cache, &segment->lock,
                    segment_path(folder, base_offset, SEGMENT_INDEX, suffix),
                    OFFSET_INDEX_ENTRY_SIZE, sizes->present[SEGMENT_INDEX],
                    sizes->file[SEGMENT_INDEX]);
    index_file_init(&segment->times, cache, &segment->lock,
                    segment_path(folder, base_offset, SEGMENT_TIME_INDEX, suffix),
                    TIME_INDEX_ENTRY_SIZE, sizes->present[SEGMENT_TIME_INDEX],
                    sizes->file[SEGMENT_TIME_INDEX]);
    txn_index_init(&segment->aborted, cache, &segment->lock,
                   segment_path(folder, base_offset, SEGMENT_TXN_INDEX, suffix),
                   sizes->file[SEGMENT_TXN_INDEX]);
    return segment;
}

struct log_segment *segment_ref(struct log_segment *segment) {
    uint32_t before = __atomic_fetch_add(&segment->references, 1, __ATOMIC_RELAXED);
    assert(before > 0);
    return segment;
}

void segment_unref(struct log_segment *segment) {
    if (segment == NULL || __atomic_sub_fetch(&segment->references, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    cached_file_done(&segment->log);
    index_file_done(&segment->offsets);
    index_file_done(&segment->times);
    txn_index_done(&segment->aborted);
    free(segment->recents);
    free(segment);
}

err_t segment_create_files(struct log_segment *segment, uint64_t reserve) {
    err_t err = cached_file_create(&segment->log);
    if (err == ERR_OK) {
        err = index_file_create(&segment->offsets);
    }
    if (err == ERR_OK) {
        err = index_file_create(&segment->times);
    }
    struct sys_file *file;
    if (err == ERR_OK && reserve > 0 && cached_file_take(&segment->log, false, &file) == ERR_OK) {
        err = sys_file_preallocate(file, reserve);
        cached_file_give(&segment->log);
        segment->reserved = err == ERR_OK;
        err = err == ERR_UNSUPPORTED ? ERR_OK : err;
    }
    return err;
}

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

void segment_first_timestamp_set(struct log_segment *segment, int64_t timestamp_ms) {
    sys_lock_take(&segment->lock);
    segment->first_timestamp_known = true;
    segment->first_timestamp_ms = timestamp_ms;
    sys_lock_give(&segment->lock);
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

err_t segment_rename_deleted(struct sys *sys, const char *folder, struct log_segment *segment,
                             bool with_snapshot) {
    int count = with_snapshot ? SEGMENT_FILE_COUNT : SEGMENT_SNAPSHOT;
    err_t result = ERR_OK;
    for (int i = 0; i < count && result == ERR_OK; i++) {
        char *from = segment_path(folder, segment->base_offset, (enum segment_file)i, "");
        char *to = segment_path(folder, segment->base_offset, (enum segment_file)i, ".deleted");
        err_t err = sys_path_rename(sys, from, to);
        if (err != ERR_OK && err != ERR_NOT_FOUND && i == SEGMENT_LOG) {
            result = err; /* without its .log, the others are rubbish that a start removes */
        }
        free(from);
        free(to);
    }
    return result;
}

err_t segment_hold(struct log_segment *segment) {
    struct sys_file *file;
    err_t err = cached_file_take(&segment->log, false, &file);
    if (err != ERR_OK) {
        return err;
    }
    err = cached_file_take(&segment->offsets.file, false, &file);
    if (err == ERR_OK) {
        err = cached_file_take(&segment->times.file, false, &file);
        if (err == ERR_OK && segment->aborted.size > 0) {
            err = cached_file_take(&segment->aborted.file, false, &file);
            if (err != ERR_OK) {
                cached_file_give(&segment->times.file);
            }
        }
        if (err != ERR_OK) {
            cached_file_give(&segment->offsets.file);
        }
    }
    if (err != ERR_OK) {
        cached_file_give(&segment->log);
    }
    return err;
}

void segment_let_go(struct log_segment *segment) {
    cached_file_give(&segment->log);
    cached_file_give(&segment->offsets.file);
    cached_file_give(&segment->times.file);
    if (segment->aborted.size > 0) {
        cached_file_give(&segment->aborted.file);
    }
}

void segment_named(struct log_segment *segment, const char *folder) {
    struct cached_file *files[] = {[SEGMENT_LOG] = &segment->log,
                                   [SEGMENT_INDEX] = &segment->offsets.file,
                                   [SEGMENT_TIME_INDEX] = &segment->times.file,
                                   [SEGMENT_TXN_INDEX] = &segment->aborted.file};
    for (int i = SEGMENT_LOG; i <= SEGMENT_TXN_INDEX; i++) {
        cached_file_moved(files[i],
                          segment_path(folder, segment->base_offset, (enum segment_file)i, ""));
    }
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
