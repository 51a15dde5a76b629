/*
 * What stands in a partition's folder, and what of it is rubbish of an interrupted operation:
 *
 *   *.deleted            waited for its removal: put into the trash again
 *   *.cleaned            an unfinished output of the cleaner: removed
 *   *.swap               of a finished one that replaces the segments it covers. With a .log.swap,
 *                        those are removed first; without, they were, and only names are missing.
 *                        One whose offset is not below the smallest .cleaned is not finished:
 *                        removed, before the .cleaned that tells so
 *   an index without     its segment is gone: removed
 *   its .log
 *
 * Metadata snapshots (*.checkpoint and what is derived from them) are not the log's business.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "log/checkpoint.h"
#include "log/log_int.h"
#include "log/meta_properties.h"
#include "log/offset_index.h"
#include "log/time_index.h"

enum { OFFSET_DIGITS = 20 };

static const char *const suffixes[SEGMENT_FILE_COUNT] = {
    [SEGMENT_LOG] = ".log",
    [SEGMENT_INDEX] = ".index",
    [SEGMENT_TIME_INDEX] = ".timeindex",
    [SEGMENT_TXN_INDEX] = ".txnindex",
    [SEGMENT_SNAPSHOT] = ".snapshot",
};

/* Splits "00000000000000000042.index" + `extra`. */
static bool name_parse(const char *name, const char *extra, int64_t *ret_offset,
                       enum segment_file *ret_file) {
    size_t size = strlen(name), extra_size = strlen(extra);
    if (size < OFFSET_DIGITS + extra_size || strcmp(name + size - extra_size, extra) != 0) {
        return false;
    }
    struct str digits = {.data = name, .size = OFFSET_DIGITS};
    while (digits.size > 1 && digits.data[0] == '0') {
        digits.data++;
        digits.size--;
    }
    struct str suffix = {.data = name + OFFSET_DIGITS, .size = size - OFFSET_DIGITS - extra_size};
    if (!decimal_parse(digits, INT64_MAX, ret_offset)) {
        return false;
    }
    for (int i = 0; i < SEGMENT_FILE_COUNT; i++) {
        if (str_equal(suffix, str_from_c(suffixes[i]))) {
            *ret_file = (enum segment_file)i;
            return true;
        }
    }
    return false;
}

static bool ends_with(const char *name, const char *end) {
    size_t size = strlen(name), end_size = strlen(end);
    return size >= end_size && strcmp(name + size - end_size, end) == 0;
}

static err_t remove_file(struct log *log, const char *name) {
    char *path = path_join(log->path, name);
    err_t err = sys_path_remove(log->sys, path);
    free(path);
    return log_note(log, err == ERR_NOT_FOUND ? ERR_OK : err);
}

/* --- leftovers of the cleaner --- */

/* Where a segment that is swapped in ends: its next offset. */
static err_t swap_end(struct log *log, const char *name, int64_t base_offset, int64_t *ret_end) {
    char *path = path_join(log->path, name);
    struct sys_file *file;
    err_t err = sys_file_open(log->sys, path, SYS_FILE_READ, &file);
    free(path);
    if (err != ERR_OK) {
        return err;
    }
    uint64_t size;
    *ret_end = base_offset;
    err = sys_file_size(file, &size);
    struct batch_walk walk;
    batch_walk_init(&walk, file, 0, size, false);
    struct batch_header header;
    while (err == ERR_OK && (err = batch_walk_next(&walk, &header)) == ERR_OK) {
        *ret_end = header.last_offset + 1;
    }
    sys_file_close(file);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

struct swap_range {
    int64_t start; /* INT64_MAX: there is no swap */
    int64_t end;
};

static int64_t cleaned_least(const struct sys_dir_list *list) {
    int64_t least = INT64_MAX, offset;
    enum segment_file file;
    for (size_t i = 0; i < list->count; i++) {
        if (name_parse(list->names[i], ".cleaned", &offset, &file) && offset < least) {
            least = offset;
        }
    }
    return least;
}

/* Whether a name is that of a file to be swapped in, or of one that must not. */
static bool is_swap(const char *name, int64_t cleaned_min, bool finished, int64_t *ret_offset,
                    enum segment_file *ret_file) {
    return name_parse(name, ".swap", ret_offset, ret_file) &&
           (*ret_offset < cleaned_min) == finished;
}

/* What is not finished goes. */
static err_t unfinished_remove(struct log *log, const struct sys_dir_list *list,
                               int64_t cleaned_min) {
    err_t err = ERR_OK;
    int64_t offset;
    enum segment_file file;
    bool removed = false;
    for (size_t i = 0; i < list->count && err == ERR_OK; i++) {
        if (is_swap(list->names[i], cleaned_min, false, &offset, &file)) {
            err = remove_file(log, list->names[i]);
            removed = true;
        }
    }
    if (err == ERR_OK && removed) {
        err = log_note(log, sys_dir_sync(log->sys, log->path));
    }
    for (size_t i = 0; i < list->count && err == ERR_OK; i++) {
        if (ends_with(list->names[i], ".cleaned")) {
            err = remove_file(log, list->names[i]);
        }
    }
    return err;
}

/* Which offsets the finished ones cover. One without a batch covers its own. */
static err_t swaps_find(struct log *log, const struct sys_dir_list *list, int64_t cleaned_min,
                        struct swap_range *ret_range) {
    *ret_range = (struct swap_range){.start = INT64_MAX, .end = INT64_MIN};
    err_t err = ERR_OK;
    int64_t offset, end;
    enum segment_file file;
    for (size_t i = 0; i < list->count && err == ERR_OK; i++) {
        if (!is_swap(list->names[i], cleaned_min, true, &offset, &file) || file != SEGMENT_LOG) {
            continue;
        }
        err = swap_end(log, list->names[i], offset, &end);
        if (err == ERR_OK) {
            end = end > offset ? end : offset + 1;
            ret_range->start = offset < ret_range->start ? offset : ret_range->start;
            ret_range->end = end > ret_range->end ? end : ret_range->end;
        }
    }
    return err;
}

/* Removes the segments that the swapped ones cover, for good, and all of them but the producer
 * snapshot where the first begins. */
static err_t covered_remove(struct log *log, const struct sys_dir_list *list,
                            const struct swap_range *range) {
    if (range->start == INT64_MAX) {
        return ERR_OK;
    }
    log_say(log, TEXT_LOG_INFO, "%s: finishing the replacement of segments %" PRId64 " to %" PRId64,
            log->path, range->start, range->end);
    int64_t offset;
    enum segment_file file;
    err_t err = ERR_OK;
    for (size_t i = 0; i < list->count && err == ERR_OK; i++) {
        if (name_parse(list->names[i], "", &offset, &file) && offset >= range->start &&
            offset < range->end && !(file == SEGMENT_SNAPSHOT && offset == range->start)) {
            err = remove_file(log, list->names[i]);
        }
    }
    return err == ERR_OK ? log_note(log, sys_dir_sync(log->sys, log->path)) : err;
}

/* The .log first, for good: while it is not named, what the others are named is of the old one. */
static err_t swaps_name(struct log *log, const struct sys_dir_list *list, int64_t cleaned_min,
                        bool logs) {
    int64_t offset;
    enum segment_file file;
    err_t err = ERR_OK;
    for (size_t i = 0; i < list->count && err == ERR_OK; i++) {
        if (is_swap(list->names[i], cleaned_min, true, &offset, &file) &&
            (file == SEGMENT_LOG) == logs) {
            char *from = path_join(log->path, list->names[i]);
            char *to = segment_path(log->path, offset, file, "");
            err = log_note(log, sys_path_rename(log->sys, from, to));
            free(from);
            free(to);
        }
    }
    return err == ERR_OK ? log_note(log, sys_dir_sync(log->sys, log->path)) : err;
}

/* Does what the first and second line of the table say; *ret_changed: list the folder again. */
static err_t leftovers_clear(struct log *log, const struct sys_dir_list *list, bool *ret_changed) {
    *ret_changed = false;
    for (size_t i = 0; i < list->count; i++) {
        const char *name = list->names[i];
        if (ends_with(name, ".deleted") && !ends_with(name, ".checkpoint.deleted")) {
            directory_trash_add(log->directory, path_join(log->path, name), false, 0);
        }
        *ret_changed |= ends_with(name, ".cleaned") || ends_with(name, ".swap");
    }
    if (!*ret_changed) {
        return ERR_OK;
    }
    int64_t cleaned_min = cleaned_least(list);
    struct swap_range range;
    err_t err = unfinished_remove(log, list, cleaned_min);
    if (err == ERR_OK) {
        err = swaps_find(log, list, cleaned_min, &range);
    }
    if (err == ERR_OK) {
        err = covered_remove(log, list, &range);
    }
    if (err == ERR_OK) {
        err = swaps_name(log, list, cleaned_min, true);
    }
    return err == ERR_OK ? swaps_name(log, list, cleaned_min, false) : err;
}

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
        if (!name_parse(list->names[i], "", &offset, &file)) {
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
        if (name_parse(list.names[i], "", &offset, &file) && file == SEGMENT_SNAPSHOT) {
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
    err = leftovers_clear(log, &list, &again);
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
