/*
 * Checkpoints: per volume, one line for each of its logs (see log/directory.h).
 *
 * A line is found by the partition's name, not by its topic's id. So a line must not outlive its
 * log when the name is used again (replicas_forget), and must not be lost because its log could not
 * be opened this time: where the log was cut off from below (DeleteRecords) stands nowhere else.
 */
#include <assert.h>
#include <stdlib.h>

#include "log/cleaner.h"
#include "replica/replicas_int.h"

/* Whether the log has a line in this checkpoint, and what it says. */
static bool read_log(struct log *log, enum log_checkpoint kind, int64_t *ret_offset) {
    switch (kind) {
    case LOG_CHECKPOINT_RECOVERY_POINT:
        *ret_offset = log_recovery_point(log);
        return true;
    case LOG_CHECKPOINT_HIGH_WATERMARK:
        *ret_offset = log_high_watermark(log);
        return true;
    case LOG_CHECKPOINT_CLEANER:
        return log_cleaned_offset(log, ret_offset);
    default:
        *ret_offset = log_start_offset(log);
        return log_start_checkpointed(log);
    }
}

/* Writes them, of which these logs are open, the others NULL. */
static err_t write_entries(struct volume *volume, enum log_checkpoint kind,
                           const struct log_checkpoint_entry *entries, struct log *const *logs,
                           size_t count) {
    err_t err = log_directory_checkpoint_write(volume->directory, kind, entries, count);
    for (size_t i = 0; i < count && err == ERR_OK && kind == LOG_CHECKPOINT_RECOVERY_POINT; i++) {
        if (logs[i] != NULL) {
            log_recovery_point_checkpointed(logs[i], entries[i].offset);
        }
    }
    return volume_note(volume, err);
}

err_t checkpoint_write(struct volume *volume, enum log_checkpoint kind,
                       const struct checkpoint_part *parts, size_t count) {
    struct log_checkpoint_entry *entries = calloc(count + 1, sizeof *entries);
    struct log **logs = calloc(count + 1, sizeof *logs);
    assert(entries != NULL && logs != NULL);
    size_t entry_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct partition *partition = parts[i].partition;
        struct log *log = partition_log(partition);
        struct log_checkpoint_entry entry = {.topic = partition_topic(partition),
                                             .partition = partition_index(partition)};
        bool has_line = log != NULL
                            ? read_log(log, kind, &entry.offset)
                            : parts[i].found &&
                                  log_directory_checkpoint_get(volume->directory, kind, entry.topic,
                                                               entry.partition, &entry.offset);
        if (has_line) {
            logs[entry_count] = log;
            entries[entry_count++] = entry;
        }
    }
    err_t err = write_entries(volume, kind, entries, logs, entry_count);
    free(logs);
    free(entries);
    return err;
}

bool checkpoint_names(const struct volume *volume, struct str topic, int32_t index) {
    static const enum log_checkpoint kinds[] = {LOG_CHECKPOINT_RECOVERY_POINT,
                                                LOG_CHECKPOINT_HIGH_WATERMARK,
                                                LOG_CHECKPOINT_LOG_START, LOG_CHECKPOINT_CLEANER};
    int64_t offset;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (log_directory_checkpoint_get(volume->directory, kinds[i], topic, index, &offset)) {
            return true;
        }
    }
    return false;
}
