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

#include "log/checkpoint.h"
#include "log/log_int.h"

enum { OFFSET_DIGITS = 20 };

static const char *const suffixes[SEGMENT_FILE_COUNT] = {
    [SEGMENT_LOG] = ".log",
    [SEGMENT_INDEX] = ".index",
    [SEGMENT_TIME_INDEX] = ".timeindex",
    [SEGMENT_TXN_INDEX] = ".txnindex",
    [SEGMENT_SNAPSHOT] = ".snapshot",
};

bool log_file_name_parse(const char *name, const char *extra, int64_t *ret_offset,
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
        if (log_file_name_parse(list->names[i], ".cleaned", &offset, &file) && offset < least) {
            least = offset;
        }
    }
    return least;
}

/* Whether a name is that of a file to be swapped in, or of one that must not. */
static bool is_swap(const char *name, int64_t cleaned_min, bool finished, int64_t *ret_offset,
                    enum segment_file *ret_file) {
    return log_file_name_parse(name, ".swap", ret_offset, ret_file) &&
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
        if (log_file_name_parse(list->names[i], "", &offset, &file) && offset >= range->start &&
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

err_t log_leftovers_clear(struct log *log, const struct sys_dir_list *list, bool *ret_changed) {
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
