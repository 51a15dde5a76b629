/* How a log comes to its end: closed, deleted, or just dropped. */
#include <assert.h>
#include <stdlib.h>

#include "log/log_int.h"

/* What log_flush leaves out, because recovery makes it anew: indexes and the last snapshot. */
static err_t active_sync(struct log *log) {
    err_t err = segment_sync(log_active(log), true);
    if (err == ERR_OK) {
        err = log_snapshot_sync(log, log->end_offset);
    }
    err = log_note(log, err == ERR_NO_SPACE ? ERR_IO : err); /* see flush.c */
    return err == ERR_OK ? log_folder_sync(log) : err;
}

static err_t write_out(struct log *log) {
    err_t err = log_note(log, segment_seal(log_active(log)));
    if (err == ERR_OK) {
        err = log_snapshot_write(log);
    }
    if (err == ERR_OK) {
        err = log_flush(log, INT64_MAX);
    }
    return err == ERR_OK ? active_sync(log) : err;
}

err_t log_close(struct log *log) {
    assert(!log->closed);
    bool recovered = log->recovery == NULL;
    err_t err = recovered ? log_writable(log) : ERR_OK;
    if (err == ERR_OK && recovered && !(log->untouched && log->folder_changes == 0)) {
        err = write_out(log);
    }
    log->closed = true;
    log_set_state(log, ERR_CLOSED);
    directory_log_closed(log->directory, err == ERR_OK && recovered);
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
    sys_lock_take(&log->lock); /* the flusher may be choosing what to flush next */
    int64_t dirty_bytes = log->dirty_bytes;
    log->dirty_bytes = 0;
    sys_lock_give(&log->lock);
    directory_dirty_add(log->directory, -dirty_bytes);
    directory_log_closed(log->directory, true);
    struct log_config config;
    log_config_read(log, &config);
    directory_trash_add(log->directory, to, true, config.file_delete_delay_ms);
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
