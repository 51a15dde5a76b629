/*
 * Putting a cleaned segment into the place of others, see cleaner_int.h.
 *
 * In memory it comes first: one step of the writer, under the log's lock, no disk. What was found
 * in the old segments before is still good for those who hold them; lookups that began before begin
 * anew (log->truncations), for the old names will be those of other files. The new segment's files
 * are held open until they have their names. Until then retention and truncation keep away from
 * these segments (log->renaming_end).
 *
 * A crash before the folder knows the .swap files comes back with the old segments, which hold all
 * that the new one has.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "log/cleaner_int.h"

/* Under the lock: where the group's segments are; NOT_FOUND when one is not, or is the active. */
static err_t group_find(const struct log_cleaning *cleaning, size_t *ret_index) {
    const struct log *log = cleaning->log;
    size_t count = cleaning->group_end - cleaning->group_start;
    size_t index = log_segment_floor(log, cleaning->cleaned->base_offset);
    if (index + count >= log->segment_count ||
        log->segments[index + count]->base_offset != cleaning->cleaned->next_offset) {
        return ERR_NOT_FOUND;
    }
    for (size_t i = 0; i < count; i++) {
        if (log->segments[index + i] != cleaning->segments[cleaning->group_start + i]) {
            return ERR_NOT_FOUND;
        }
    }
    *ret_index = index;
    return ERR_OK;
}

/* Under the lock. The cleaning has references of its own on the old ones. */
static void segments_replace(struct log_cleaning *cleaning, size_t index) {
    struct log *log = cleaning->log;
    size_t count = cleaning->group_end - cleaning->group_start;
    log->segments[index] = segment_ref(cleaning->cleaned);
    log->segment_count -= count - 1;
    memmove(&log->segments[index + 1], &log->segments[index + count],
            (log->segment_count - index - 1) * sizeof *log->segments);
    cleaning->truncations = ++log->truncations;
    log->renaming_end = cleaning->cleaned->next_offset;
}

err_t log_cleaning_swap(struct log_cleaning *cleaning) {
    assert(cleaning->phase == CLEANING_SWAP);
    struct log *log = cleaning->log;
    err_t err = log_writable(log);
    if (err != ERR_OK) {
        return err;
    }
    log->untouched = false;
    sys_lock_take(&log->lock);
    size_t index;
    err = log->truncations == cleaning->truncations ? group_find(cleaning, &index) : ERR_NOT_FOUND;
    if (err == ERR_OK) {
        segments_replace(cleaning, index);
    }
    sys_lock_give(&log->lock);
    if (err != ERR_OK) {
        return err;
    }
    for (size_t i = cleaning->group_start; i < cleaning->group_end; i++) {
        segment_unref(cleaning->segments[i]); /* the log's */
    }
    cleaning->phase = CLEANING_NAME;
    cleaning->rename_next = 0;
    cleaning->renamed = false;
    return ERR_OK;
}

/* --- names --- */

static void folder_changed(struct log *log) {
    sys_lock_take(&log->lock);
    log->folder_changes++;
    sys_lock_give(&log->lock);
}

/* The step may be a second try, after the first did it. */
static err_t file_rename(const struct log_cleaning *cleaning, enum segment_file file,
                         const char *from_suffix, const char *to_suffix) {
    struct log *log = cleaning->log;
    int64_t base_offset = cleaning->cleaned->base_offset;
    if (file == SEGMENT_TXN_INDEX && cleaning->cleaned->aborted.size == 0) {
        return ERR_OK;
    }
    char *from = segment_path(log->path, base_offset, file, from_suffix);
    char *to = segment_path(log->path, base_offset, file, to_suffix);
    err_t err = sys_path_rename(log->sys, from, to);
    free(from);
    free(to);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum { FILE_COUNT = SEGMENT_TXN_INDEX + 1 };

/* The .log last: without it there is nothing to swap in. */
static err_t name_next(struct log_cleaning *cleaning) {
    enum segment_file file = (enum segment_file)(FILE_COUNT - 1 - cleaning->rename_next);
    err_t err = file_rename(cleaning, file, ".cleaned", ".swap");
    cleaning->rename_next += err == ERR_OK;
    cleaning->renamed = cleaning->rename_next == FILE_COUNT;
    return err;
}

/* The .log: from then on the others only lack their names. */
static err_t take_next(struct log_cleaning *cleaning) {
    err_t err = file_rename(cleaning, SEGMENT_LOG, ".swap", "");
    cleaning->renamed = err == ERR_OK;
    return err;
}

static err_t settle_next(struct log_cleaning *cleaning) {
    enum segment_file file = (enum segment_file)(SEGMENT_INDEX + cleaning->rename_next);
    err_t err = file_rename(cleaning, file, ".swap", "");
    cleaning->rename_next += err == ERR_OK;
    cleaning->renamed = file == SEGMENT_TXN_INDEX && err == ERR_OK;
    return err;
}

/* The last one first. A producer snapshot where the new segment begins stays. */
static err_t retire_next(struct log_cleaning *cleaning) {
    size_t count = cleaning->group_end - cleaning->group_start;
    size_t index = cleaning->group_end - 1 - (size_t)cleaning->rename_next;
    err_t err = segment_rename_deleted(cleaning->log->sys, cleaning->log->path,
                                       cleaning->segments[index], index > cleaning->group_start);
    cleaning->rename_next += err == ERR_OK;
    cleaning->renamed = (size_t)cleaning->rename_next == count;
    return err;
}

static void settled(struct log_cleaning *cleaning) {
    struct log *log = cleaning->log;
    for (size_t i = cleaning->group_start; i < cleaning->group_end; i++) {
        log_segment_trash(log, segment_ref(cleaning->segments[i]));
    }
    segment_named(cleaning->cleaned, log->path);
    segment_let_go(cleaning->cleaned);
    segment_unref(cleaning->cleaned);
    cleaning->cleaned = NULL;
    cleaning->held = false;
    sys_lock_take(&log->lock);
    log->renaming_end = 0;
    sys_lock_give(&log->lock);
    cleaning->phase = CLEANING_GROUP;
}

static void phase_end(struct log_cleaning *cleaning) {
    cleaning->rename_next = 0;
    cleaning->renamed = false;
    if (cleaning->phase == CLEANING_SETTLE) {
        settled(cleaning);
    } else {
        cleaning->phase++;
    }
}

/* What passes is tried again. Nothing else may leave files with names that the log does not know:
 * then the directory goes offline. */
static err_t names_note(struct log *log, err_t err) {
    bool passes = err == ERR_OK || log_cleaning_passes(err);
    return log_note(log, passes ? err : ERR_IO);
}

err_t cleaning_rename_step(struct log_cleaning *cleaning) {
    struct log *log = cleaning->log;
    err_t err;
    if (cleaning->renamed) {
        err = sys_dir_sync(log->sys, log->path);
        if (err == ERR_OK) {
            phase_end(cleaning);
        }
        return names_note(log, err == ERR_NO_SPACE ? ERR_IO : err); /* see flush.c */
    }
    err = cleaning->phase == CLEANING_NAME     ? name_next(cleaning)
          : cleaning->phase == CLEANING_RETIRE ? retire_next(cleaning)
          : cleaning->phase == CLEANING_TAKE   ? take_next(cleaning)
                                               : settle_next(cleaning);
    folder_changed(log);
    return names_note(log, err);
}
