/*
 * Life of a log, and what its other files share.
 *
 *   state        made by                        may do
 *   ----------   ----------------------------   ------------------------------------------------
 *   recovering   log_open after any end but a   log_recovery_step
 *                clean one
 *   open         log_create, log_open, the      everything
 *                last log_recovery_step
 *   stuck        an entry that could not be     reading; writing fails with the error of then
 *                taken back
 *   closed       log_close, log_delete          memory-only questions, log_free
 */
#include <stdlib.h>
#include <string.h>

#include "log/log_int.h"
#include "log/meta_properties.h"
#include "log/producer_snapshot.h"

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
    log->cleaned_offset = -1;
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

/* The names of the folder and of what is in it are on the disk. */
static err_t names_sync(struct log *log) {
    err_t err = log_folder_sync(log);
    return err == ERR_OK ? log_note(log, sys_dir_sync(log->sys, log->directory->path)) : err;
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
    return err == ERR_OK ? names_sync(log) : err;
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
        struct segment_tail tail;
        err_t err = segment_scan_tail(active, &tail);
        if (err != ERR_OK) {
            return err;
        }
        end = tail.next_offset;
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
    log_cleaned_check(log);
    log->untouched = true;
    return err == ERR_OK ? log_gaps_note(log, 0) : err;
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
        log->recovery_point = log->checkpointed_point = offset;
        (void)log_directory_checkpoint_get(directory, LOG_CHECKPOINT_CLEANER, log_topic(log),
                                           log_partition(log), &log->cleaned_offset);
        if (log_directory_was_clean(directory, NULL)) {
            err = open_clean(log, &plan, has_recovery_point);
        } else {
            plan.scan = true;
            log->folder_changes++; /* its files may be there without being synced */
            log_recovery_plan(log, &plan);
        }
        if (err == ERR_OK && !has_recovery_point) { /* its creation may not have come to an end */
            log->folder_changes++;
            err = names_sync(log);
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
