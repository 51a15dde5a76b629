/* What the other files of a log share. */
#include "log/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log_int.h"
#include "log/producer_snapshot.h"

void log_config_init(struct log_config *config) {
    *config = (struct log_config){
        .segment_bytes = 1 << 30,
        .segment_ms = 7ll * 24 * 60 * 60 * 1000,
        .segment_index_bytes = 10 << 20,
        .index_interval_bytes = 4096,
        .retention_ms = 7ll * 24 * 60 * 60 * 1000,
        .retention_bytes = -1,
        .flush_messages = INT64_MAX,
        .flush_ms = INT64_MAX,
        .file_delete_delay_ms = 60 * 1000,
        .producer_expiration_ms = 24ll * 60 * 60 * 1000,
        .delete_retention_ms = 24ll * 60 * 60 * 1000,
        .max_compaction_lag_ms = INT64_MAX,
        .min_cleanable_ratio = 0.5,
        .cleanup_delete = true,
    };
}

void log_say(const struct log *log, enum text_log_level level, const char *format, ...) {
    if (log->directory->text_log == NULL) {
        return;
    }
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    text_log_write(log->directory->text_log, level, "log", "%s", text);
}

err_t log_note(struct log *log, err_t err) {
    return log_directory_note(log->directory, err);
}

bool log_is_outdated(struct log *log, uint64_t truncations) {
    sys_lock_take(&log->lock);
    bool outdated = log->truncations != truncations;
    sys_lock_give(&log->lock);
    return outdated;
}

err_t log_writable(struct log *log) {
    err_t err = log_directory_state(log->directory);
    return err == ERR_OK ? log->state : err;
}

void log_set_state(struct log *log, err_t state) {
    sys_lock_take(&log->lock);
    log->state = state;
    sys_lock_give(&log->lock);
}

struct log_segment *log_active(const struct log *log) {
    assert(log->segment_count > 0);
    return log->segments[log->segment_count - 1];
}

size_t log_segment_floor(const struct log *log, int64_t offset) {
    size_t low = 0, high = log->segment_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (log->segments[middle]->base_offset <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

void log_segment_insert(struct log *log, struct log_segment *segment) {
    assert(log->segment_count == 0 || log_active(log)->base_offset < segment->base_offset);
    if (log->segment_count == log->segment_capacity) {
        log->segment_capacity = log->segment_capacity == 0 ? 2 : log->segment_capacity * 2;
        log->segments = realloc(log->segments, log->segment_capacity * sizeof *log->segments);
    }
    log->segments[log->segment_count++] = segment;
}

struct log_segment *log_segment_take_out(struct log *log, size_t index) {
    struct log_segment *segment = log->segments[index];
    log->segment_count--;
    memmove(&log->segments[index], &log->segments[index + 1],
            (log->segment_count - index) * sizeof *log->segments);
    return segment;
}

void log_cleaned_check(struct log *log) {
    sys_lock_take(&log->lock);
    if (log->cleaned_offset > log->end_offset) {
        log->cleaned_offset = -1;
    }
    sys_lock_give(&log->lock);
}

bool log_is_renaming(struct log *log, int64_t offset) {
    sys_lock_take(&log->lock);
    bool renaming = offset < log->renaming_end;
    sys_lock_give(&log->lock);
    return renaming;
}

void log_segment_unsynced(struct log *log, struct log_segment *segment) {
    sys_lock_take(&log->lock);
    segment->indexes_synced = false;
    sys_lock_give(&log->lock);
}

static int64_t jitter(struct log *log, const struct log_config *config) {
    int64_t bound = config->segment_jitter_ms < config->segment_ms ? config->segment_jitter_ms
                                                                   : config->segment_ms;
    if (bound <= 0) {
        return 0;
    }
    uint64_t random;
    sys_random(log->sys, &random, sizeof random);
    return (int64_t)(random % (uint64_t)bound);
}

err_t log_segment_begin(struct log *log, int64_t base_offset) {
    struct log_config config;
    log_config_read(log, &config);
    struct segment_sizes sizes = {0};
    struct log_segment *segment =
        segment_new(log->directory->cache, log->path, base_offset, &sizes, base_offset);
    segment->created_ms = sys_wall_ms(log->sys);
    segment->modified_ms = segment->created_ms;
    segment->roll_jitter_ms = jitter(log, &config);
    err_t err =
        segment_create_files(segment, config.preallocate ? (uint64_t)config.segment_bytes : 0);
    if (err != ERR_OK) {
        segment_unref(segment);
        /* Something that is no file stands where the segment has to go. */
        return log_note(log, err == ERR_INVALID ? ERR_IO : err);
    }
    sys_lock_take(&log->lock);
    log_segment_insert(log, segment);
    log->folder_changes++;
    log->writeback_from = 0;
    sys_lock_give(&log->lock);
    return ERR_OK;
}

/* The first of a segment makes the file. */
err_t log_aborted_add(struct log *log, struct log_segment *segment,
                      const struct txn_index_entry *entry) {
    bool makes_file = segment->aborted.size == 0;
    err_t err = txn_index_add(&segment->aborted, entry);
    sys_lock_take(&log->lock);
    log->folder_changes += makes_file;
    sys_lock_give(&log->lock);
    return log_note(log, err);
}

err_t log_epochs_write(struct log *log) {
    struct buffer text = {0};
    sys_lock_take(&log->lock);
    leader_epochs_format(&log->epochs, &text);
    sys_lock_give(&log->lock);
    char *path = path_join(log->path, "leader-epoch-checkpoint");
    err_t err = sys_file_replace(log->sys, path, text.data, text.size);
    free(path);
    buffer_done(&text);
    return log_note(log, err);
}

err_t log_snapshot_write(struct log *log) {
    if (log->snapshot_offset == log->producers.end_offset) {
        return ERR_OK;
    }
    struct buffer data = {0};
    sys_lock_take(&log->lock);
    producer_snapshot_encode(&log->producers, &data);
    log->folder_changes++;
    sys_lock_give(&log->lock);
    char *path = segment_path(log->path, log->producers.end_offset, SEGMENT_SNAPSHOT, "");
    err_t err = producer_snapshot_write(log->sys, path, &data);
    free(path);
    buffer_done(&data);
    if (err == ERR_OK) {
        log->snapshot_offset = log->producers.end_offset;
    }
    return log_note(log, err);
}

err_t log_segment_rename(struct log *log, struct log_segment *segment) {
    err_t err = segment_rename_deleted(log->sys, log->path, segment, true);
    sys_lock_take(&log->lock);
    log->folder_changes++;
    sys_lock_give(&log->lock);
    return log_note(log, err);
}

void log_segment_trash(struct log *log, struct log_segment *segment) {
    struct log_config config;
    log_config_read(log, &config);
    for (int i = 0; i < SEGMENT_FILE_COUNT; i++) {
        directory_trash_add(
            log->directory,
            segment_path(log->path, segment->base_offset, (enum segment_file)i, ".deleted"), false,
            config.file_delete_delay_ms);
    }
    segment_unref(segment);
}

err_t log_segment_discard(struct log *log, struct log_segment *segment) {
    err_t err = log_segment_rename(log, segment);
    log_segment_trash(log, segment);
    return err;
}

err_t log_snapshot_sync(struct log *log, int64_t offset) {
    char *path = segment_path(log->path, offset, SEGMENT_SNAPSHOT, "");
    struct sys_file *file;
    err_t err = sys_file_open(log->sys, path, 0, &file);
    free(path);
    if (err == ERR_OK) {
        err = sys_file_sync(file);
        sys_file_close(file);
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

err_t log_folder_sync(struct log *log) {
    sys_lock_take(&log->lock);
    uint64_t changes = log->folder_changes;
    bool due = log->folder_synced < changes;
    sys_lock_give(&log->lock);
    err_t err = due ? sys_dir_sync(log->sys, log->path) : ERR_OK;
    if (err == ERR_OK && due) {
        sys_lock_take(&log->lock);
        if (log->folder_synced < changes) {
            log->folder_synced = changes;
        }
        sys_lock_give(&log->lock);
    }
    return log_note(log, err == ERR_NO_SPACE ? ERR_IO : err); /* see flush.c */
}
