/* What stands in a partition's folder becomes a log; what does not belong there: leftovers.c. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "log/checkpoint.h"
#include "log/log_int.h"
#include "log/meta_properties.h"
#include "log/offset_index.h"
#include "log/time_index.h"

/* --- segments --- */

struct found {
    int64_t base_offset;
    struct segment_sizes sizes;
    int64_t modified_ms;
};

/* Sorted names bring the files of one segment together. */
static err_t files_stat(struct log *log, const struct sys_dir_list *list, struct found *found,
                        size_t *ret_count) {
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        int64_t offset;
        enum segment_file file;
        if (!log_file_name_parse(list->names[i], "", &offset, &file)) {
            continue;
        }
        if (count == 0 || found[count - 1].base_offset != offset) {
            found[count++] = (struct found){.base_offset = offset};
        }
        char *path = path_join(log->path, list->names[i]);
        struct sys_stat stat;
        err_t err = sys_path_stat(log->sys, path, &stat);
        free(path);
        if (err != ERR_OK) {
            return err;
        }
        found[count - 1].sizes.present[file] = true;
        found[count - 1].sizes.file[file] = stat.size;
        if (file == SEGMENT_LOG) {
            found[count - 1].modified_ms = stat.modified_ms;
        }
    }
    *ret_count = count;
    return ERR_OK;
}

static err_t orphans_remove(struct log *log, const struct found *found) {
    err_t err = ERR_OK;
    for (int i = SEGMENT_INDEX; i <= SEGMENT_TXN_INDEX && err == ERR_OK; i++) {
        if (found->sizes.present[i]) {
            char *path = segment_path(log->path, found->base_offset, (enum segment_file)i, "");
            log_say(log, TEXT_LOG_WARN, "%s belongs to no segment and is removed", path);
            err = log_note(log, sys_path_remove(log->sys, path));
            free(path);
        }
    }
    return err;
}

static bool indexes_whole(const struct found *found) {
    return found->sizes.present[SEGMENT_INDEX] && found->sizes.present[SEGMENT_TIME_INDEX] &&
           found->sizes.file[SEGMENT_INDEX] % OFFSET_INDEX_ENTRY_SIZE == 0 &&
           found->sizes.file[SEGMENT_TIME_INDEX] % TIME_INDEX_ENTRY_SIZE == 0 &&
           found->sizes.file[SEGMENT_TXN_INDEX] % TXN_INDEX_ENTRY_SIZE == 0;
}

static err_t segments_add(struct log *log, const struct found *found, size_t count,
                          bool *ret_index_missing) {
    *ret_index_missing = false;
    for (size_t i = 0; i < count; i++) {
        if (!found[i].sizes.present[SEGMENT_LOG]) {
            err_t err = orphans_remove(log, &found[i]);
            if (err != ERR_OK) {
                return err;
            }
            continue;
        }
        if (log->segment_count > 0) {
            log_active(log)->next_offset = found[i].base_offset;
        }
        struct log_segment *segment =
            segment_new(log->directory->cache, log->path, found[i].base_offset, &found[i].sizes,
                        found[i].base_offset);
        segment->created_ms = sys_wall_ms(log->sys);
        segment->modified_ms = found[i].modified_ms;
        segment->indexes_synced = true;
        if (!indexes_whole(&found[i])) {
            segment->index_distrusted = true;
            *ret_index_missing = true;
        }
        log_segment_insert(log, segment);
    }
    return ERR_OK;
}

static int64_t *snapshots_pick(const struct found *found, size_t count, size_t *ret_count) {
    int64_t *snapshots = calloc(count + 1, sizeof *snapshots);
    *ret_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (found[i].sizes.present[SEGMENT_SNAPSHOT]) {
            snapshots[(*ret_count)++] = found[i].base_offset;
        }
    }
    return snapshots;
}

err_t log_snapshots_list(struct log *log, int64_t **ret_snapshots, size_t *ret_count) {
    struct sys_dir_list list;
    err_t err = sys_dir_list(log->sys, log->path, &list);
    if (err != ERR_OK) {
        return err;
    }
    int64_t *snapshots = calloc(list.count + 1, sizeof *snapshots);
    size_t count = 0;
    for (size_t i = 0; i < list.count; i++) {
        int64_t offset;
        enum segment_file file;
        if (log_file_name_parse(list.names[i], "", &offset, &file) && file == SEGMENT_SNAPSHOT) {
            snapshots[count++] = offset;
        }
    }
    sys_dir_list_free(&list);
    *ret_snapshots = snapshots;
    *ret_count = count;
    return ERR_OK;
}

/* --- small files --- */

static err_t epochs_load(struct log *log) {
    char *path = path_join(log->path, "leader-epoch-checkpoint");
    char *data;
    size_t size;
    err_t err = sys_file_read_all(log->sys, path, LOG_CHECKPOINT_SIZE_MAX, &data, &size);
    if (err == ERR_OK) {
        char message[CHECKPOINT_MESSAGE_MAX];
        err = leader_epochs_parse(&log->epochs, data, size, message, sizeof message);
        free(data);
        if (err == ERR_CORRUPT) {
            log_say(log, TEXT_LOG_ERROR,
                    "%s cannot be used and is made anew from the records that are checked: %s",
                    path, message);
            err = ERR_OK;
        }
    }
    free(path);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static err_t topic_id_load(struct log *log) {
    char *path = path_join(log->path, "partition.metadata");
    char *data;
    size_t size;
    err_t err = sys_file_read_all(log->sys, path, LOG_SMALL_FILE_SIZE_MAX, &data, &size);
    if (err == ERR_OK) {
        const char *wrong = partition_metadata_parse(data, size, &log->topic_id);
        log->has_topic_id = wrong == NULL;
        free(data);
        if (wrong != NULL) {
            log_say(log, TEXT_LOG_ERROR, "%s cannot be used: %s", path, wrong);
            err = ERR_CORRUPT;
        }
    }
    free(path);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static err_t segments_load(struct log *log, const struct sys_dir_list *list,
                           int64_t **ret_snapshots, size_t *ret_snapshot_count,
                           bool *ret_index_missing) {
    struct found *found = calloc(list->count + 1, sizeof *found);
    size_t count;
    err_t err = files_stat(log, list, found, &count);
    if (err == ERR_OK) {
        err = segments_add(log, found, count, ret_index_missing);
    }
    if (err == ERR_OK) {
        *ret_snapshots = snapshots_pick(found, count, ret_snapshot_count);
    }
    free(found);
    return err;
}

err_t log_load(struct log *log, int64_t **ret_snapshots, size_t *ret_snapshot_count,
               bool *ret_index_missing) {
    struct sys_dir_list list;
    bool again;
    err_t err = sys_dir_list(log->sys, log->path, &list);
    if (err != ERR_OK) {
        return err;
    }
    err = log_leftovers_clear(log, &list, &again);
    if (err == ERR_OK && again) {
        sys_dir_list_free(&list);
        err = sys_dir_list(log->sys, log->path, &list);
        if (err != ERR_OK) {
            return err;
        }
    }
    if (err == ERR_OK) {
        err = segments_load(log, &list, ret_snapshots, ret_snapshot_count, ret_index_missing);
    }
    if (err == ERR_OK) {
        err = log_gaps_load(log, &list);
    }
    sys_dir_list_free(&list);
    if (err == ERR_OK) {
        err = epochs_load(log);
    }
    if (err == ERR_OK) {
        err = topic_id_load(log);
    }
    int64_t checkpoint = 0;
    (void)log_directory_checkpoint_get(log->directory, LOG_CHECKPOINT_LOG_START, log_topic(log),
                                       log_partition(log), &checkpoint);
    log->start_offset = checkpoint;
    if (err == ERR_OK && log->segment_count == 0) {
        err = log_segment_begin(log, checkpoint);
    }
    if (err == ERR_OK && log_active(log) != NULL &&
        log->segments[0]->base_offset > log->start_offset) {
        log->start_offset = log->segments[0]->base_offset;
    }
    return err;
}
