/* A cleaning's course, its reading and its copying; see cleaner_int.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "log/cleaner_int.h"

/* --- life --- */

int64_t cleaning_segment_end(const struct log_cleaning *cleaning, size_t index) {
    return index + 1 < cleaning->segment_count ? cleaning->segments[index + 1]->base_offset
                                               : cleaning->cleanable.first_uncleanable_offset;
}

static void segments_take(struct log_cleaning *cleaning) {
    struct log *log = cleaning->log;
    sys_lock_take(&log->lock);
    cleaning->segments = calloc(log->segment_count, sizeof *cleaning->segments);
    for (size_t i = 0; i < log->segment_count; i++) {
        if (log->segments[i]->base_offset < cleaning->cleanable.first_uncleanable_offset) {
            cleaning->segments[cleaning->segment_count++] = segment_ref(log->segments[i]);
        }
    }
    sys_lock_give(&log->lock);
}

static void map_begin(struct log_cleaning *cleaning) {
    const struct log_cleanable *cleanable = &cleaning->cleanable;
    uint64_t hash_key[2];
    sys_random(cleaning->log->sys, hash_key, sizeof hash_key);
    offset_map_init(&cleaning->map, cleaning->settings.map_bytes, cleaning->settings.map_load,
                    (uint64_t)(cleanable->first_uncleanable_offset - cleanable->first_dirty_offset),
                    hash_key);
}

struct log_cleaning *log_cleaning_new(struct log *log, const struct log_cleanable *cleanable,
                                      const struct log_cleaning_settings *settings) {
    struct log_cleaning *cleaning = calloc(1, sizeof *cleaning);
    cleaning->log = log;
    cleaning->cleanable = *cleanable;
    cleaning->truncations = cleanable->truncations;
    cleaning->settings = *settings;
    log_config_read(log, &cleaning->config);
    segments_take(cleaning);
    map_begin(cleaning);
    cleaner_txns_init(&cleaning->txns);
    map_init(&cleaning->last_batches);
    cleaning->filter = (struct cleaner_filter){
        .map = &cleaning->map,
        .txns = &cleaning->txns,
        .last_batches = &cleaning->last_batches,
        .now_ms = settings->now_ms,
        .delete_retention_ms = cleaning->config.delete_retention_ms,
        .end_offset = cleanable->first_uncleanable_offset,
        .compression = compression_new(),
        .scratch = &cleaning->scratch,
        .kept = &cleaning->kept,
    };
    cleaning->stats.end_offset = cleanable->first_dirty_offset;
    return cleaning;
}

void log_cleaning_free(struct log_cleaning *cleaning) {
    if (cleaning == NULL) {
        return;
    }
    cleaning_group_drop(cleaning);
    for (size_t i = 0; i < cleaning->segment_count; i++) {
        segment_unref(cleaning->segments[i]);
    }
    free(cleaning->segments);
    offset_map_done(&cleaning->map);
    cleaner_txns_done(&cleaning->txns);
    size_t cursor;
    struct cleaner_last *last;
    map_for_each (&cleaning->last_batches, cursor, last) {
        free(last);
    }
    map_done(&cleaning->last_batches);
    compression_free(cleaning->filter.compression);
    buffer_done(&cleaning->scratch);
    buffer_done(&cleaning->kept);
    buffer_done(&cleaning->out);
    free(cleaning->data);
    free(cleaning->where);
    free(cleaning);
}

void log_cleaning_stats(const struct log_cleaning *cleaning, struct log_cleaning_stats *ret_stats) {
    *ret_stats = cleaning->stats;
    ret_stats->records_read = cleaning->filter.records_read;
    ret_stats->records_kept = cleaning->filter.records_kept;
    ret_stats->records_without_key = cleaning->filter.records_without_key;
    uint64_t slots = cleaning->settings.map_bytes / OFFSET_MAP_SLOT_SIZE;
    ret_stats->map_used = slots == 0 ? 0 : (double)cleaning->map.count / (double)slots;
}

const char *log_cleaning_where(struct log_cleaning *cleaning) {
    if (cleaning->segment >= cleaning->segment_count) {
        return cleaning->log->path;
    }
    const char *path = cleaning->segments[cleaning->segment]->log.path;
    size_t size = strlen(path) + 48;
    free(cleaning->where);
    cleaning->where = malloc(size);
    snprintf(cleaning->where, size, "%s at position %" PRIu64, path, cleaning->position);
    return cleaning->where;
}

/* --- reading --- */

/* Makes the data begin at the position, and be at least `wanted` bytes. */
static err_t data_read(struct log_cleaning *cleaning, size_t wanted) {
    struct log_segment *segment = cleaning->segments[cleaning->segment];
    uint64_t left = segment_size(segment) - cleaning->position;
    size_t size = wanted > cleaning->settings.io_bytes ? wanted : cleaning->settings.io_bytes;
    size = left < size ? (size_t)left : size;
    if (wanted > size) {
        return ERR_CORRUPT;
    }
    if (size > cleaning->data_capacity) {
        free(cleaning->data);
        cleaning->data = malloc(size);
        cleaning->data_capacity = size;
    }
    struct sys_file *file;
    err_t err = cached_file_take(&segment->log, false, &file);
    if (err != ERR_OK) {
        return err;
    }
    err = sys_file_read(file, cleaning->position, cleaning->data, size, &cleaning->data_size);
    cached_file_give(&segment->log);
    cleaning->stats.bytes_io += cleaning->data_size;
    return err == ERR_OK && cleaning->data_size < size ? ERR_CORRUPT : err;
}

err_t cleaning_piece_walk(struct log_cleaning *cleaning, cleaning_batch_fn take) {
    err_t err = data_read(cleaning, 1);
    size_t at = 0;
    while (err == ERR_OK && at < cleaning->data_size) {
        size_t left = cleaning->data_size - at;
        struct batch_header header = {0};
        const char *wrong = batch_header_read(cleaning->data + at, left, &header);
        bool cut = wrong != NULL ? left < BATCH_HEADER_SIZE_V2 : header.size > left;
        if (cut && at > 0) {
            break;
        }
        if (wrong != NULL) {
            return ERR_CORRUPT;
        }
        if (cut) { /* the first of the piece is larger than it */
            err = data_read(cleaning, header.size);
            continue;
        }
        if (!batch_crc_good(&header, cleaning->data + at)) {
            return ERR_CORRUPT;
        }
        err = take(cleaning, &header, cleaning->data + at);
        if (err == ERR_OK) {
            at += header.size;
            cleaning->position += header.size;
        }
    }
    return err;
}

bool cleaning_segment_at_end(const struct log_cleaning *cleaning) {
    return cleaning->position >= segment_size(cleaning->segments[cleaning->segment]);
}

err_t cleaning_aborted_load(struct log_cleaning *cleaning, int64_t start, int64_t end) {
    struct txn_index_entry *entries;
    size_t count;
    err_t err = log_aborted_entries(cleaning->log, start, end, 0, &entries, &count);
    if (err == ERR_OK) {
        cleaner_txns_add(&cleaning->txns, entries, count);
        free(entries);
    }
    return err;
}

/* --- COPY, WRITE --- */

static err_t copy_batch(struct log_cleaning *cleaning, const struct batch_header *header,
                        const uint8_t *data) {
    struct cleaner_kept kept;
    err_t err = cleaner_filter_batch(&cleaning->filter, header, data, &cleaning->out, &kept);
    if (err == ERR_OK) {
        cleaning->out_batches += kept.batches;
        cleaning->stats.bytes_read += header->size;
    }
    if (err == ERR_OK && kept.aborted) {
        err = txn_index_add(&cleaning->cleaned->aborted, &kept.txn);
        err = log_note(cleaning->log, err);
    }
    return err;
}

static err_t copy_step(struct log_cleaning *cleaning) {
    if (cleaning->segment == cleaning->group_end) {
        cleaning->phase = CLEANING_SEAL;
        return ERR_OK;
    }
    if (cleaning->position == 0) {
        err_t err =
            cleaning_aborted_load(cleaning, cleaning->segments[cleaning->segment]->base_offset,
                                  cleaning_segment_end(cleaning, cleaning->segment));
        if (err != ERR_OK) {
            return err;
        }
    }
    if (cleaning_segment_at_end(cleaning)) {
        cleaning->segment++;
        cleaning->position = 0;
        return ERR_OK;
    }
    err_t err = cleaning_piece_walk(cleaning, copy_batch);
    if (cleaning->out.size > 0) {
        cleaning->phase = CLEANING_WRITE;
    }
    return err;
}

static err_t write_step(struct log_cleaning *cleaning) {
    bool torn = false;
    struct buffer *out = &cleaning->out;
    if (cleaning->cleaned->size + out->size > INT32_MAX) {
        return ERR_RECORD_LIST_TOO_LARGE;
    }
    err_t err = segment_append(cleaning->cleaned, out->data, out->size, cleaning->out_batches,
                               (uint32_t)cleaning->config.index_interval_bytes, &torn);
    if (err != ERR_OK) {
        return log_note(cleaning->log, err);
    }
    cleaning->stats.bytes_written += out->size;
    cleaning->stats.bytes_io += out->size;
    buffer_clear(out);
    cleaning->out_batches = 0;
    cleaning->phase = CLEANING_COPY;
    return ERR_OK;
}

/* --- steps --- */

bool log_cleaning_may_stop(const struct log_cleaning *cleaning) {
    return cleaning->phase < CLEANING_NAME || cleaning->phase == CLEANING_OVER;
}

bool log_cleaning_passes(err_t err) {
    return err == ERR_NO_SPACE || err == ERR_NO_FILES || err == ERR_NO_MEMORY;
}

/* What ends a cleaning that can still be given up. */
static err_t why_give_up(const struct log_cleaning *cleaning) {
    struct log *log = cleaning->log;
    sys_lock_take(&log->lock);
    bool closed = log->state == ERR_CLOSED || !log->config.cleanup_compact;
    sys_lock_give(&log->lock);
    return closed ? ERR_CLOSED : log_directory_state(log->directory);
}

static err_t phase_step(struct log_cleaning *cleaning) {
    switch (cleaning->phase) {
    case CLEANING_MAP:
        return cleaning_map_step(cleaning);
    case CLEANING_GROUP:
        return cleaning_group_begin(cleaning);
    case CLEANING_COPY:
        return copy_step(cleaning);
    case CLEANING_WRITE:
        return write_step(cleaning);
    case CLEANING_SEAL:
        return cleaning_seal(cleaning);
    case CLEANING_NAME:
    case CLEANING_RETIRE:
    case CLEANING_TAKE:
    case CLEANING_SETTLE:
        return cleaning_rename_step(cleaning);
    case CLEANING_SWAP:
    case CLEANING_OVER:
        break;
    }
    return ERR_OK;
}

err_t log_cleaning_step(struct log_cleaning *cleaning, enum log_cleaning_next *ret_next) {
    err_t err = log_cleaning_may_stop(cleaning) ? why_give_up(cleaning)
                                                : log_directory_state(cleaning->log->directory);
    if (err == ERR_OK) {
        err = phase_step(cleaning);
    }
    if (err != ERR_OK && log_cleaning_may_stop(cleaning) &&
        log_is_outdated(cleaning->log, cleaning->truncations)) {
        err = ERR_NOT_FOUND; /* it read what was being cut */
    }
    if (err == ERR_OK) {
        *ret_next = cleaning->phase == CLEANING_SWAP   ? LOG_CLEANING_SWAP
                    : cleaning->phase == CLEANING_OVER ? LOG_CLEANING_DONE
                                                       : LOG_CLEANING_AGAIN;
    }
    return err;
}
