/*
 * Gaps between segments that a recovery let pass, because the log was compacted: they may be a
 * cleaner's. The next recovery may find another cleanup.policy, and must not take them for the loss
 * of what was not synced, for by then records behind them are acknowledged. So a file in the log's
 * folder says up to where they were let pass, until the recovery point on the disk is beyond.
 *
 * A checkpoint of one line (docs/formats/checkpoints.md). Kafka ignores it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "log/checkpoint.h"
#include "log/log_int.h"

#define FILE_NAME "gap-offset-checkpoint"

enum { GAPS_UNKNOWN = -1 }; /* there is a file that says nothing */

static err_t parse(const char *data, size_t size, int64_t *ret_end) {
    struct checkpoint_reader reader;
    struct str fields[CHECKPOINT_FIELDS_MAX];
    err_t err = checkpoint_read_begin(&reader, data, size, 1);
    if (err == ERR_OK) {
        err = checkpoint_read_entry(&reader, fields);
    }
    return err == ERR_OK ? checkpoint_number(&reader, fields[0], INT64_MAX, ret_end) : err;
}

err_t log_gaps_load(struct log *log, const struct sys_dir_list *list) {
    size_t i = 0;
    while (i < list->count && strcmp(list->names[i], FILE_NAME) != 0) {
        i++;
    }
    if (i == list->count) {
        return ERR_OK;
    }
    char *path = path_join(log->path, FILE_NAME);
    char *data;
    size_t size;
    err_t err = sys_file_read_all(log->sys, path, LOG_SMALL_FILE_SIZE_MAX, &data, &size);
    if (err == ERR_OK) {
        if (parse(data, size, &log->gaps_end) != ERR_OK) {
            log_say(log, TEXT_LOG_ERROR, "%s cannot be used and counts as absent", path);
            log->gaps_end = GAPS_UNKNOWN;
        }
        free(data);
    }
    free(path);
    return err;
}

static err_t write_file(struct log *log, const char *path, int64_t end) {
    struct buffer text = {0};
    checkpoint_write_begin(&text, 1);
    buffer_printf(&text, "%" PRId64 "\n", end);
    err_t err = sys_file_replace(log->sys, path, text.data, text.size);
    buffer_done(&text);
    return err;
}

static err_t remove_file(struct log *log, const char *path) {
    err_t err = sys_path_remove(log->sys, path);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

err_t log_gaps_note(struct log *log, int64_t end) {
    if (end == log->gaps_end) {
        return ERR_OK;
    }
    char *path = path_join(log->path, FILE_NAME);
    err_t err = end == 0 ? remove_file(log, path) : write_file(log, path, end);
    free(path);
    log->gaps_end = err == ERR_OK ? end : log->gaps_end;
    return log_note(log, err);
}
