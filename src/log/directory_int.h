#pragma once

#include "base/buffer.h"
#include "base/list.h"
#include "base/map.h"
#include "log/cache_int.h"
#include "log/directory.h"
#include "sys/lock.h"

struct log_directory {
    struct sys *sys;
    struct text_log *text_log; /* may be NULL */
    struct log_cache *cache;
    char *path;
    struct sys_file *lock_file;
    bool formatted;
    struct log_meta meta;
    bool clean;
    int64_t clean_broker_epoch;

    /* atomics */
    bool failed;
    bool full;
    bool unclean;      /* some log was opened and not closed well */
    int64_t logs_open; /* neither closed well nor deleted */
    int64_t dirty_bytes;

    struct sys_lock lock; /* guards what follows */
    struct map
        checkpoints[LOG_CHECKPOINT_COUNT]; /* "topic partition" -> struct checkpoint_offset */
    struct list trash;                     /* struct trash_item */
};

/* "path/name" on the heap. */
char *path_join(const char *path, const char *name);

/* Reads a small file whole; the caller frees it. NOT_FOUND; LIMIT when it is larger. */
err_t directory_read_file(struct log_directory *directory, const char *name, size_t size_max,
                          char **ret_data, size_t *ret_size);

/* Replaces a small file, after a power cut whole or not at all. */
err_t directory_replace_file(struct log_directory *directory, const char *name,
                             const struct buffer *data);

err_t directory_checkpoints_load(struct log_directory *directory);
void directory_checkpoints_done(struct log_directory *directory);

/* What a log tells its directory. [any, memory only] */
void directory_log_opened(struct log_directory *directory);
void directory_log_closed(struct log_directory *directory, bool well);
void directory_dirty_add(struct log_directory *directory, int64_t bytes);

/* Puts a file or a folder into the trash, to be removed `delay_ms` from now. Takes over `path`. */
void directory_trash_add(struct log_directory *directory, char *path, bool folder,
                         int64_t delay_ms);
void directory_trash_done(struct log_directory *directory);
