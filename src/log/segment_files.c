/* A segment's object, its files and their names. */
#include "log/segment.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/offset_index.h"
#include "log/time_index.h"

static const char *const file_suffixes[SEGMENT_FILE_COUNT] = {
    [SEGMENT_LOG] = ".log",
    [SEGMENT_INDEX] = ".index",
    [SEGMENT_TIME_INDEX] = ".timeindex",
    [SEGMENT_TXN_INDEX] = ".txnindex",
    [SEGMENT_SNAPSHOT] = ".snapshot",
};

char *segment_path(const char *folder, int64_t base_offset, enum segment_file file,
                   const char *suffix) {
    size_t size = strlen(folder) + strlen(suffix) + 48;
    char *path = malloc(size);
    snprintf(path, size, "%s/%020" PRId64 "%s%s", folder, base_offset, file_suffixes[file], suffix);
    return path;
}

struct log_segment *segment_new(struct log_cache *cache, const char *folder, int64_t base_offset,
                                const struct segment_sizes *sizes, int64_t next_offset) {
    return segment_new_named(cache, folder, base_offset, "", sizes, next_offset);
}

struct log_segment *segment_new_named(struct log_cache *cache, const char *folder,
                                      int64_t base_offset, const char *suffix,
                                      const struct segment_sizes *sizes, int64_t next_offset) {
    struct log_segment *segment = calloc(1, sizeof *segment);
    segment->references = 1;
    segment->cache = cache;
    segment->base_offset = base_offset;
    segment->size = sizes->file[SEGMENT_LOG];
    segment->next_offset = next_offset;
    sys_lock_init(&segment->lock, SYS_RANK_SEGMENT);
    cached_file_init(&segment->log, cache, segment_path(folder, base_offset, SEGMENT_LOG, suffix));
    index_file_init(&segment->offsets, cache, &segment->lock,
                    segment_path(folder, base_offset, SEGMENT_INDEX, suffix),
                    OFFSET_INDEX_ENTRY_SIZE, sizes->present[SEGMENT_INDEX],
                    sizes->file[SEGMENT_INDEX]);
    index_file_init(&segment->times, cache, &segment->lock,
                    segment_path(folder, base_offset, SEGMENT_TIME_INDEX, suffix),
                    TIME_INDEX_ENTRY_SIZE, sizes->present[SEGMENT_TIME_INDEX],
                    sizes->file[SEGMENT_TIME_INDEX]);
    txn_index_init(&segment->aborted, cache, &segment->lock,
                   segment_path(folder, base_offset, SEGMENT_TXN_INDEX, suffix),
                   sizes->file[SEGMENT_TXN_INDEX]);
    return segment;
}

struct log_segment *segment_ref(struct log_segment *segment) {
    uint32_t before = __atomic_fetch_add(&segment->references, 1, __ATOMIC_RELAXED);
    assert(before > 0);
    return segment;
}

void segment_unref(struct log_segment *segment) {
    if (segment == NULL || __atomic_sub_fetch(&segment->references, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    cached_file_done(&segment->log);
    index_file_done(&segment->offsets);
    index_file_done(&segment->times);
    txn_index_done(&segment->aborted);
    free(segment->recents);
    free(segment);
}

err_t segment_create_files(struct log_segment *segment, uint64_t reserve) {
    err_t err = cached_file_create(&segment->log);
    if (err == ERR_OK) {
        err = index_file_create(&segment->offsets);
    }
    if (err == ERR_OK) {
        err = index_file_create(&segment->times);
    }
    struct sys_file *file;
    if (err == ERR_OK && reserve > 0 && cached_file_take(&segment->log, false, &file) == ERR_OK) {
        err = sys_file_preallocate(file, reserve);
        cached_file_give(&segment->log);
        segment->reserved = err == ERR_OK;
        err = err == ERR_UNSUPPORTED ? ERR_OK : err;
    }
    return err;
}

/* --- names --- */

err_t segment_rename_deleted(struct sys *sys, const char *folder, struct log_segment *segment,
                             bool with_snapshot) {
    int count = with_snapshot ? SEGMENT_FILE_COUNT : SEGMENT_SNAPSHOT;
    err_t result = ERR_OK;
    for (int i = 0; i < count && result == ERR_OK; i++) {
        char *from = segment_path(folder, segment->base_offset, (enum segment_file)i, "");
        char *to = segment_path(folder, segment->base_offset, (enum segment_file)i, ".deleted");
        err_t err = sys_path_rename(sys, from, to);
        if (err != ERR_OK && err != ERR_NOT_FOUND && i == SEGMENT_LOG) {
            result = err; /* without its .log, the others are rubbish that a start removes */
        }
        free(from);
        free(to);
    }
    return result;
}

err_t segment_hold(struct log_segment *segment) {
    struct sys_file *file;
    err_t err = cached_file_take(&segment->log, false, &file);
    if (err != ERR_OK) {
        return err;
    }
    err = cached_file_take(&segment->offsets.file, false, &file);
    if (err == ERR_OK) {
        err = cached_file_take(&segment->times.file, false, &file);
        if (err == ERR_OK && segment->aborted.size > 0) {
            err = cached_file_take(&segment->aborted.file, false, &file);
            if (err != ERR_OK) {
                cached_file_give(&segment->times.file);
            }
        }
        if (err != ERR_OK) {
            cached_file_give(&segment->offsets.file);
        }
    }
    if (err != ERR_OK) {
        cached_file_give(&segment->log);
    }
    return err;
}

void segment_let_go(struct log_segment *segment) {
    cached_file_give(&segment->log);
    cached_file_give(&segment->offsets.file);
    cached_file_give(&segment->times.file);
    if (segment->aborted.size > 0) {
        cached_file_give(&segment->aborted.file);
    }
}

void segment_named(struct log_segment *segment, const char *folder) {
    struct cached_file *files[] = {[SEGMENT_LOG] = &segment->log,
                                   [SEGMENT_INDEX] = &segment->offsets.file,
                                   [SEGMENT_TIME_INDEX] = &segment->times.file,
                                   [SEGMENT_TXN_INDEX] = &segment->aborted.file};
    for (int i = SEGMENT_LOG; i <= SEGMENT_TXN_INDEX; i++) {
        cached_file_moved(files[i],
                          segment_path(folder, segment->base_offset, (enum segment_file)i, ""));
    }
}
