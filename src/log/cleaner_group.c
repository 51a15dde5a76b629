/*
 * Segments that become one. They are taken together as long as log, offset index and time index of
 * all would fit into one segment by the log's settings, and offsets into the indexes' four bytes;
 * so segments do not get ever smaller.
 */
#include <stdlib.h>
#include <string.h>

#include "log/cleaner_int.h"

struct sizes {
    uint64_t log;
    uint64_t offsets;
    uint64_t times;
};

static struct sizes sizes_of(struct log_segment *segment) {
    sys_lock_take(&segment->lock);
    struct sizes sizes = {
        .log = segment->size,
        .offsets = (uint64_t)segment->offsets.count * segment->offsets.entry_size,
        .times = (uint64_t)segment->times.count * segment->times.entry_size,
    };
    sys_lock_give(&segment->lock);
    return sizes;
}

static size_t group_end_find(const struct log_cleaning *cleaning, size_t start) {
    const struct log_config *config = &cleaning->config;
    struct sizes sum = sizes_of(cleaning->segments[start]);
    size_t end = start + 1;
    for (; end < cleaning->segment_count; end++) {
        struct sizes sizes = sizes_of(cleaning->segments[end]);
        sum.log += sizes.log;
        sum.offsets += sizes.offsets;
        sum.times += sizes.times;
        int64_t last_offset = cleaning_segment_end(cleaning, end) - 1;
        bool far =
            sizes.log > 0 && last_offset - cleaning->segments[start]->base_offset > INT32_MAX;
        if (sum.log > (uint64_t)config->segment_bytes ||
            sum.offsets > (uint64_t)config->segment_index_bytes ||
            sum.times > (uint64_t)config->segment_index_bytes || far) {
            break;
        }
    }
    return end;
}

static struct log_segment *cleaned_new(const struct log_cleaning *cleaning) {
    const struct log *log = cleaning->log;
    const struct log_segment *first = cleaning->segments[cleaning->group_start];
    const struct log_segment *last = cleaning->segments[cleaning->group_end - 1];
    struct segment_sizes sizes = {0};
    struct log_segment *cleaned =
        segment_new_named(log->directory->cache, log->path, first->base_offset, ".cleaned", &sizes,
                          first->base_offset);
    cleaned->created_ms = last->created_ms;
    cleaned->modified_ms = last->modified_ms;
    return cleaned;
}

static err_t all_done(struct log_cleaning *cleaning) {
    struct log *log = cleaning->log;
    sys_lock_take(&log->lock);
    bool outdated = log->truncations != cleaning->truncations;
    if (!outdated) {
        log->cleaned_offset = cleaning->stats.end_offset;
    }
    sys_lock_give(&log->lock);
    cleaning->phase = CLEANING_OVER;
    return outdated ? ERR_NOT_FOUND : ERR_OK;
}

err_t cleaning_group_begin(struct log_cleaning *cleaning) {
    if (cleaning->group_end == cleaning->segment_count) {
        return all_done(cleaning);
    }
    cleaning->group_start = cleaning->group_end;
    cleaning->group_end = group_end_find(cleaning, cleaning->group_start);
    cleaning->segment = cleaning->group_start;
    cleaning->position = 0;
    cleaning->cleaned = cleaned_new(cleaning);
    cleaning->phase = CLEANING_COPY;
    return log_note(cleaning->log, segment_create_files(cleaning->cleaned, 0));
}

static err_t files_sync(struct log_cleaning *cleaning) {
    struct log *log = cleaning->log;
    struct log_segment *cleaned = cleaning->cleaned;
    err_t err = segment_seal(cleaned);
    if (err == ERR_OK) {
        err = sys_path_set_modified(log->sys, cleaned->log.path, cleaned->modified_ms);
    }
    if (err == ERR_OK) {
        err = segment_sync(cleaned, true);
    }
    return err == ERR_OK ? sys_dir_sync(log->sys, log->path) : err;
}

err_t cleaning_seal(struct log_cleaning *cleaning) {
    struct log_segment *cleaned = cleaning->cleaned;
    err_t err = files_sync(cleaning);
    if (err == ERR_OK) {
        err = segment_hold(cleaned);
        cleaning->held = err == ERR_OK;
    }
    if (err != ERR_OK) {
        return log_note(cleaning->log, err);
    }
    cleaned->next_offset = cleaning_segment_end(cleaning, cleaning->group_end - 1);
    cleaned->indexes_synced = true;
    cleaning->phase = CLEANING_SWAP;
    return ERR_OK;
}

void cleaning_group_drop(struct log_cleaning *cleaning) {
    struct log_segment *cleaned = cleaning->cleaned;
    if (cleaned == NULL) {
        return;
    }
    if (cleaning->phase <= CLEANING_SWAP) {
        struct log *log = cleaning->log;
        for (int i = SEGMENT_LOG; i <= SEGMENT_TXN_INDEX; i++) {
            char *path =
                segment_path(log->path, cleaned->base_offset, (enum segment_file)i, ".cleaned");
            (void)log_note(log, sys_path_remove(log->sys, path)); /* else the next start does */
            free(path);
        }
    }
    if (cleaning->held) {
        segment_let_go(cleaned);
    }
    segment_unref(cleaned);
    cleaning->cleaned = NULL;
    cleaning->held = false;
}
