/*
 * Life of a log, and what its other files share.
 *
 *   state        made by                        may do
 *   ----------   ----------------------------   ------------------------------------------------
 *   recovering   log_open after any end but a   log_recovery_step
 *                clean one
 *   open         log_create, log_open, the      everything
 *                last log_recovery_step
 *   stuck        a write that could not be      reading; writing fails with the error of then
 *                taken back
 *   closed       log_close, log_delete          memory-only questions, log_free
 */
#include "log/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "log/log_int.h"
#include "log/meta_properties.h"
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
        .cleanup_delete = true,
    };
}

/* --- shared --- */

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

static int64_t jitter(struct log *log) {
    int64_t bound = log->config.segment_jitter_ms < log->config.segment_ms
                        ? log->config.segment_jitter_ms
                        : log->config.segment_ms;
    if (bound <= 0) {
        return 0;
    }
    uint64_t random;
    sys_random(log->sys, &random, sizeof random);
    return (int64_t)(random % (uint64_t)bound);
}

err_t log_segment_begin(struct log *log, int64_t base_offset) {
    struct segment_sizes sizes = {0};
    struct log_segment *segment =
        segment_new(log->directory->cache, log->path, base_offset, &sizes, base_offset);
    segment->created_ms = sys_wall_ms(log->sys);
    segment->modified_ms = segment->created_ms;
    segment->roll_jitter_ms = jitter(log);
    err_t err = segment_create_files(
        segment, log->config.preallocate ? (uint64_t)log->config.segment_bytes : 0);
    if (err != ERR_OK) {
        segment_unref(segment);
        return log_note(log, err);
    }
    sys_lock_take(&log->lock);
    log_segment_insert(log, segment);
    log->folder_changes++;
    log->writeback_from = 0;
    sys_lock_give(&log->lock);
    return ERR_OK;
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
    err_t err = segment_rename_deleted(log->sys, log->path, segment);
    sys_lock_take(&log->lock);
    log->folder_changes++;
    sys_lock_give(&log->lock);
    return log_note(log, err);
}

void log_segment_trash(struct log *log, struct log_segment *segment) {
    for (int i = 0; i < SEGMENT_FILE_COUNT; i++) {
        directory_trash_add(
            log->directory,
            segment_path(log->path, segment->base_offset, (enum segment_file)i, ".deleted"), false,
            log->config.file_delete_delay_ms);
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

/* --- making and opening --- */

static struct log *log_alloc(struct log_directory *directory, const struct log_folder *folder,
                             const struct log_config *config) {
    struct log *log = calloc(1, sizeof *log);
    log->sys = directory->sys;
    log->directory = directory;
    log->path = path_join(directory->path, folder->name);
    log->folder = *folder;
    log->folder.topic.data = log->folder.name;
    log->config = *config;
    log->snapshot_offset = -1;
    log->last_flush_ms = sys_wall_ms(log->sys);
    sys_lock_init(&log->lock, SYS_RANK_LOG);
    producer_state_init(&log->producers, 0);
    directory_log_opened(directory);
    return log;
}

static err_t topic_id_write(struct log *log, struct uuid id) {
    struct buffer text = {0};
    partition_metadata_format(id, &text);
    char *path = path_join(log->path, "partition.metadata");
    err_t err = sys_file_replace(log->sys, path, text.data, text.size);
    free(path);
    buffer_done(&text);
    return log_note(log, err);
}

err_t log_topic_id_set(struct log *log, struct uuid id) {
    if (log->has_topic_id) {
        return uuid_equal(log->topic_id, id) ? ERR_OK : ERR_INCONSISTENT_TOPIC_ID;
    }
    err_t err = topic_id_write(log, id);
    if (err == ERR_OK) {
        sys_lock_take(&log->lock);
        log->has_topic_id = true;
        log->topic_id = id;
        sys_lock_give(&log->lock);
    }
    return err;
}

static err_t create_files(struct log *log, struct uuid topic_id, int64_t start_offset) {
    err_t err = log_writable(log);
    if (err == ERR_OK) {
        err = log_note(log, sys_dir_make(log->sys, log->path));
    }
    if (err == ERR_OK && !uuid_is_zero(topic_id)) {
        err = log_topic_id_set(log, topic_id);
    }
    if (err == ERR_OK) {
        err = log_epochs_write(log);
    }
    if (err == ERR_OK) {
        err = log_segment_begin(log, start_offset);
    }
    if (err == ERR_OK) {
        err = log_folder_sync(log);
    }
    if (err == ERR_OK) {
        err = log_note(log, sys_dir_sync(log->sys, log->directory->path));
    }
    return err;
}

err_t log_create(struct log_directory *directory, struct str topic, int32_t partition,
                 struct uuid topic_id, int64_t start_offset, const struct log_config *config,
                 struct log **ret_log) {
    char name[LOG_FOLDER_NAME_MAX + 1];
    log_folder_format(topic, partition, LOG_FOLDER_CURRENT, UUID_ZERO, name);
    struct log_folder folder;
    err_t err = log_folder_parse(name, &folder);
    if (err != ERR_OK) {
        return ERR_INVALID;
    }
    struct log *log = log_alloc(directory, &folder, config);
    log->start_offset = start_offset;
    log->end_offset = start_offset;
    log->high_watermark = start_offset;
    log->recovery_point = start_offset;
    log->producers.end_offset = start_offset;
    log->snapshot_offset = start_offset;
    log->tail_checked = true;
    err = create_files(log, topic_id, start_offset);
    if (err != ERR_OK) {
        log->closed = true;
        directory_log_closed(directory, true); /* it never came to be */
        log_free(log);
        return err;
    }
    *ret_log = log;
    return ERR_OK;
}

static void high_watermark_load(struct log *log) {
    int64_t offset;
    if (!log_directory_checkpoint_get(log->directory, LOG_CHECKPOINT_HIGH_WATERMARK, log_topic(log),
                                      log_partition(log), &offset)) {
        offset = log->start_offset;
    }
    log->high_watermark = offset < log->start_offset ? log->start_offset
                          : offset > log->end_offset ? log->end_offset
                                                     : offset;
}

/* Where a cleanly closed log ends. The recovery point says it, and the names and sizes of the files
 * must agree; else the last batches are walked. */
static err_t clean_end_find(struct log *log, const int64_t *snapshots, size_t snapshot_count,
                            bool has_recovery_point) {
    struct log_segment *active = log_active(log);
    int64_t end = log->recovery_point;
    bool snapshot = snapshot_count > 0 && snapshots[snapshot_count - 1] == end;
    bool agrees = has_recovery_point && end >= active->base_offset &&
                  (active->size == 0) == (end == active->base_offset) &&
                  (snapshot || active->size == 0);
    if (!agrees) {
        err_t err = segment_scan_tail(active, &end);
        if (err != ERR_OK) {
            return err;
        }
        log->tail_checked = true;
    }
    log->end_offset = end;
    log->recovery_point = end;
    active->next_offset = end;
    return ERR_OK;
}

static err_t open_clean(struct log *log, struct recovery_plan *plan, bool has_recovery_point) {
    err_t err = clean_end_find(log, plan->snapshots, plan->snapshot_count, has_recovery_point);
    if (err == ERR_CORRUPT) {
        log_say(log, TEXT_LOG_WARN,
                "%s does not end as a clean shutdown left it and is checked again", log->path);
        plan->scan = true;
        log_recovery_plan(log, plan);
        return ERR_OK;
    }
    if (err != ERR_OK) {
        return err;
    }
    int64_t newest = plan->snapshot_count == 0 ? -1 : plan->snapshots[plan->snapshot_count - 1];
    bool empty = log->end_offset == log->start_offset;
    if (plan->rebuild || (newest >= 0 && newest != log->end_offset && !empty)) {
        log_recovery_plan(log, plan);
        return ERR_OK;
    }
    log->snapshot_offset = newest;
    log->producers.end_offset = log->end_offset;
    if (newest >= 0 && newest == log->end_offset) {
        char *path = segment_path(log->path, newest, SEGMENT_SNAPSHOT, "");
        err = producer_snapshot_read(log->sys, path, newest, sys_wall_ms(log->sys),
                                     log->config.producer_expiration_ms, &log->producers, NULL);
        free(path);
        if (err == ERR_CORRUPT || err == ERR_NOT_FOUND) {
            log_recovery_plan(log, plan);
            return ERR_OK;
        }
    }
    high_watermark_load(log);
    return err;
}

err_t log_open(struct log_directory *directory, const char *name, const struct log_config *config,
               struct log **ret_log) {
    struct log_folder folder;
    err_t err = log_folder_parse(name, &folder);
    if (err != ERR_OK) {
        return err;
    }
    struct log *log = log_alloc(directory, &folder, config);
    struct recovery_plan plan = {0};
    err = log_load(log, &plan.snapshots, &plan.snapshot_count, &plan.rebuild);
    if (err == ERR_OK) {
        int64_t offset = 0;
        bool has_recovery_point = log_directory_checkpoint_get(
            directory, LOG_CHECKPOINT_RECOVERY_POINT, log_topic(log), log_partition(log), &offset);
        log->recovery_point = offset;
        if (log_directory_was_clean(directory, NULL)) {
            err = open_clean(log, &plan, has_recovery_point);
        } else {
            plan.scan = true;
            log_recovery_plan(log, &plan);
        }
    }
    if (log->recovery == NULL) {
        free(plan.snapshots);
    }
    if (err != ERR_OK) {
        log_say(log, TEXT_LOG_ERROR, "%s could not be opened: %s", log->path, err_text(err));
        log_free(log);
        return err;
    }
    *ret_log = log;
    return ERR_OK;
}

/* --- ending --- */

/* What log_flush leaves out, because recovery makes it anew: indexes and the last snapshot. */
static err_t active_sync(struct log *log) {
    err_t err = segment_sync(log_active(log), true);
    if (err == ERR_OK) {
        err = log_snapshot_sync(log, log->end_offset);
    }
    err = log_note(log, err == ERR_NO_SPACE ? ERR_IO : err); /* see flush.c */
    return err == ERR_OK ? log_folder_sync(log) : err;
}

err_t log_close(struct log *log) {
    assert(!log->closed);
    err_t err = log->recovery != NULL ? ERR_INVALID : log_writable(log);
    if (err == ERR_OK) {
        err = log_note(log, segment_seal(log_active(log)));
    }
    if (err == ERR_OK) {
        err = log_snapshot_write(log);
    }
    if (err == ERR_OK) {
        err = log_flush(log, INT64_MAX);
    }
    if (err == ERR_OK) {
        err = active_sync(log);
    }
    log->closed = true;
    log_set_state(log, ERR_CLOSED);
    directory_log_closed(log->directory, err == ERR_OK);
    return err;
}

err_t log_delete(struct log *log) {
    assert(!log->closed);
    struct uuid id;
    sys_random(log->sys, id.bytes, sizeof id.bytes);
    char name[LOG_FOLDER_NAME_MAX + 1];
    log_folder_format(log_topic(log), log_partition(log), LOG_FOLDER_DELETED, id, name);
    char *to = path_join(log->directory->path, name);
    err_t err = sys_path_rename(log->sys, log->path, to);
    if (err == ERR_OK) {
        err = sys_dir_sync(log->sys, log->directory->path);
    }
    if (err != ERR_OK) {
        free(to);
        return log_note(log, err);
    }
    log->closed = true;
    log_set_state(log, ERR_CLOSED);
    directory_dirty_add(log->directory, -log->dirty_bytes);
    log->dirty_bytes = 0;
    directory_log_closed(log->directory, true);
    directory_trash_add(log->directory, to, true, log->config.file_delete_delay_ms);
    return ERR_OK;
}

void log_free(struct log *log) {
    if (log == NULL) {
        return;
    }
    if (!log->closed) {
        directory_log_closed(log->directory, false);
    }
    directory_dirty_add(log->directory, -log->dirty_bytes);
    for (size_t i = 0; i < log->segment_count; i++) {
        segment_unref(log->segments[i]);
    }
    free(log->segments);
    log_recovery_free(log->recovery);
    producer_append_done(&log->append);
    producer_state_done(&log->producers);
    leader_epochs_done(&log->epochs);
    free(log->path);
    free(log);
}
