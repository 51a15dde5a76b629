/*
 * Opening a log directory, in this order:
 *
 *   1. .lock is locked: nobody else writes here
 *   2. meta.properties tells whose it is
 *   3. .kafka_cleanshutdown is read, then removed and the removal synced: from the first write on
 *      until the next clean end, a start has to recover
 *   4. the checkpoints are read; one that cannot be parsed counts as absent
 *
 * The marker is written last at a clean end, and only when every log that was opened was also
 * closed well and no write or sync in the directory ever failed (bug T33): otherwise what the
 * marker says would be a lie, and the next start would not look.
 */
#include "log/directory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "log/checkpoint.h"
#include "log/directory_int.h"
#include "log/meta_properties.h"

#define META_FILE  "meta.properties"
#define CLEAN_FILE ".kafka_cleanshutdown"

char *path_join(const char *path, const char *name) {
    size_t path_size = strlen(path), name_size = strlen(name);
    char *joined = malloc(path_size + name_size + 2);
    memcpy(joined, path, path_size);
    joined[path_size] = '/';
    memcpy(joined + path_size + 1, name, name_size + 1);
    return joined;
}

err_t directory_read_file(struct log_directory *directory, const char *name, size_t size_max,
                          char **ret_data, size_t *ret_size) {
    char *path = path_join(directory->path, name);
    err_t err = sys_file_read_all(directory->sys, path, size_max, ret_data, ret_size);
    free(path);
    return err;
}

err_t directory_replace_file(struct log_directory *directory, const char *name,
                             const struct buffer *data) {
    err_t err = log_directory_state(directory);
    if (err != ERR_OK) {
        return err;
    }
    char *path = path_join(directory->path, name);
    err = sys_file_replace(directory->sys, path, data->data, data->size);
    free(path);
    return log_directory_note(directory, err);
}

/* --- life --- */

/* A directory that is not ours to read is not ours to have made. */
static err_t sync_above(struct sys *sys, const char *path) {
    err_t err = sys_dir_sync(sys, path);
    return err == ERR_ACCESS ? ERR_OK : err;
}

/* Makes the directory and those above it, so that they survive a power cut. Whoever made them
 * before may have been killed before he could sync them. */
static err_t make_durably(struct sys *sys, const char *path) {
    struct sys_stat stat;
    err_t err = sys_path_stat(sys, path, &stat);
    if (err == ERR_NOT_FOUND) {
        err = sys_dir_make_all(sys, path);
    }
    char *parent = strdup(path);
    char *slash;
    while (err == ERR_OK && (slash = strrchr(parent, '/')) != NULL) {
        *slash = '\0';
        err = sync_above(sys, slash == parent ? "/" : parent);
    }
    if (err == ERR_OK && path[0] != '/') {
        err = sync_above(sys, ".");
    }
    free(parent);
    return err;
}

/* After any end but a clean one folders may be there that were never synced. */
static err_t names_sync(struct log_directory *directory) {
    return directory->clean
               ? ERR_OK
               : log_directory_note(directory, sys_dir_sync(directory->sys, directory->path));
}

static err_t lock_take(struct log_directory *directory) {
    char *path = path_join(directory->path, ".lock");
    struct sys_file *file;
    err_t err = sys_file_open(directory->sys, path, SYS_FILE_CREATE, &file);
    free(path);
    if (err != ERR_OK) {
        return err;
    }
    err = sys_file_lock(file);
    if (err != ERR_OK) {
        sys_file_close(file);
        return err;
    }
    directory->lock_file = file;
    return ERR_OK;
}

err_t log_meta_read(struct sys *sys, const char *path, struct log_meta *ret_meta, char *reason,
                    size_t reason_size) {
    char *file = path_join(path, META_FILE);
    char *data;
    size_t size;
    err_t err = sys_file_read_all(sys, file, LOG_SMALL_FILE_SIZE_MAX, &data, &size);
    free(file);
    if (err != ERR_OK) {
        snprintf(reason, reason_size, "%s", err_text(err));
        return err;
    }
    const char *wrong = meta_properties_parse(data, size, ret_meta);
    free(data);
    if (wrong != NULL) {
        snprintf(reason, reason_size, "%s", wrong);
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

static err_t meta_load(struct log_directory *directory) {
    char reason[128];
    err_t err =
        log_meta_read(directory->sys, directory->path, &directory->meta, reason, sizeof reason);
    directory->formatted = err == ERR_OK;
    if (err == ERR_NOT_FOUND) {
        return ERR_OK;
    }
    if (err != ERR_OK && directory->text_log != NULL) {
        text_log_error(directory->text_log, "log", "%s/" META_FILE " cannot be used: %s",
                       directory->path, reason);
    }
    return err;
}

static err_t clean_marker_take(struct log_directory *directory) {
    char *data;
    size_t size;
    err_t err = directory_read_file(directory, CLEAN_FILE, LOG_SMALL_FILE_SIZE_MAX, &data, &size);
    directory->clean_broker_epoch = -1;
    if (err == ERR_NOT_FOUND) {
        return ERR_OK;
    }
    if (err != ERR_OK) {
        return err;
    }
    directory->clean = true;
    directory->clean_broker_epoch = clean_shutdown_parse(data, size);
    free(data);
    char *path = path_join(directory->path, CLEAN_FILE);
    err = sys_path_remove(directory->sys, path);
    free(path);
    return err == ERR_OK ? sys_dir_sync(directory->sys, directory->path) : err;
}

err_t log_directory_open(struct sys *sys, struct text_log *text_log, struct log_cache *cache,
                         const char *path, struct log_directory **ret_directory) {
    struct log_directory *directory = calloc(1, sizeof *directory);
    directory->sys = sys;
    directory->text_log = text_log;
    directory->cache = cache;
    directory->path = strdup(path);
    sys_lock_init(&directory->lock, SYS_RANK_DIRECTORY);
    list_init(&directory->trash);
    for (int i = 0; i < LOG_CHECKPOINT_COUNT; i++) {
        map_init(&directory->checkpoints[i]);
    }
    err_t err = make_durably(sys, path);
    if (err == ERR_OK) {
        err = lock_take(directory);
    }
    if (err == ERR_OK) {
        err = meta_load(directory);
    }
    if (err == ERR_OK) {
        err = clean_marker_take(directory);
    }
    if (err == ERR_OK) {
        err = names_sync(directory);
    }
    if (err == ERR_OK) {
        err = directory_checkpoints_load(directory);
    }
    if (err != ERR_OK) {
        log_directory_close(directory);
        return err;
    }
    *ret_directory = directory;
    return ERR_OK;
}

void log_directory_close(struct log_directory *directory) {
    if (directory == NULL) {
        return;
    }
    directory_trash_done(directory);
    directory_checkpoints_done(directory);
    sys_file_close(directory->lock_file);
    free(directory->path);
    free(directory);
}

const char *log_directory_path(const struct log_directory *directory) {
    return directory->path;
}

bool log_directory_meta(const struct log_directory *directory, struct log_meta *ret_meta) {
    if (directory->formatted) {
        *ret_meta = directory->meta;
    }
    return directory->formatted;
}

err_t log_directory_format(struct log_directory *directory, const struct log_meta *meta) {
    struct buffer text = {0};
    meta_properties_format(meta, &text);
    err_t err = directory_replace_file(directory, META_FILE, &text);
    buffer_done(&text);
    if (err == ERR_OK) {
        directory->meta = *meta;
        directory->meta.version = 1;
        directory->formatted = true;
    }
    return err;
}

/* --- clean shutdown --- */

bool log_directory_was_clean(const struct log_directory *directory, int64_t *ret_broker_epoch) {
    if (ret_broker_epoch != NULL) {
        *ret_broker_epoch = directory->clean_broker_epoch;
    }
    return directory->clean;
}

err_t log_directory_mark_clean(struct log_directory *directory, int64_t broker_epoch) {
    if (__atomic_load_n(&directory->logs_open, __ATOMIC_ACQUIRE) != 0 ||
        __atomic_load_n(&directory->unclean, __ATOMIC_ACQUIRE) ||
        log_directory_state(directory) != ERR_OK) {
        return ERR_INVALID;
    }
    struct buffer text = {0};
    clean_shutdown_format(broker_epoch, &text);
    err_t err = directory_replace_file(directory, CLEAN_FILE, &text);
    buffer_done(&text);
    return err;
}

void directory_log_opened(struct log_directory *directory) {
    __atomic_add_fetch(&directory->logs_open, 1, __ATOMIC_ACQ_REL);
}

void directory_log_closed(struct log_directory *directory, bool well) {
    if (!well) {
        __atomic_store_n(&directory->unclean, true, __ATOMIC_RELEASE);
    }
    __atomic_sub_fetch(&directory->logs_open, 1, __ATOMIC_ACQ_REL);
}

/* --- folders --- */

static void say_skipped(struct log_directory *directory, const char *name) {
    char *path = path_join(directory->path, name);
    struct sys_stat stat;
    if (directory->text_log != NULL && sys_path_stat(directory->sys, path, &stat) == ERR_OK &&
        stat.directory) {
        text_log_warn(directory->text_log, "log", "%s is no partition's folder and was skipped",
                      path);
    }
    free(path);
}

static void topic_id_load(struct log_directory *directory, struct log_folder *folder) {
    char name[LOG_FOLDER_NAME_MAX + sizeof "/partition.metadata"];
    snprintf(name, sizeof name, "%s/partition.metadata", folder->name);
    char *data;
    size_t size;
    if (directory_read_file(directory, name, LOG_SMALL_FILE_SIZE_MAX, &data, &size) != ERR_OK) {
        return;
    }
    const char *wrong = partition_metadata_parse(data, size, &folder->topic_id);
    folder->has_topic_id = wrong == NULL;
    if (wrong != NULL && directory->text_log != NULL) {
        text_log_warn(directory->text_log, "log", "%s/%s cannot be used: %s", directory->path, name,
                      wrong);
    }
    free(data);
}

err_t log_directory_list(struct log_directory *directory, struct log_folder **ret_folders,
                         size_t *ret_count) {
    struct sys_dir_list list;
    err_t err = sys_dir_list(directory->sys, directory->path, &list);
    if (err != ERR_OK) {
        return log_directory_note(directory, err);
    }
    struct log_folder *folders = calloc(list.count + 1, sizeof *folders);
    size_t count = 0;
    for (size_t i = 0; i < list.count; i++) {
        struct log_folder *folder = &folders[count];
        if (log_folder_parse(list.names[i], folder) != ERR_OK) {
            say_skipped(directory, list.names[i]);
        } else if (folder->kind == LOG_FOLDER_DELETED) {
            directory_trash_add(directory, path_join(directory->path, folder->name), true, 0);
        } else {
            topic_id_load(directory, folder);
            count++;
        }
    }
    sys_dir_list_free(&list);
    *ret_folders = folders;
    *ret_count = count;
    return ERR_OK;
}

err_t log_directory_set_stray(struct log_directory *directory, const char *name) {
    struct log_folder folder;
    err_t err = log_folder_parse(name, &folder);
    if (err != ERR_OK) {
        return err;
    }
    struct uuid id;
    sys_random(directory->sys, id.bytes, sizeof id.bytes);
    char stray[LOG_FOLDER_NAME_MAX + 1];
    log_folder_format(folder.topic, folder.partition, LOG_FOLDER_STRAY, id, stray);
    char *from = path_join(directory->path, name);
    char *to = path_join(directory->path, stray);
    err = sys_path_rename(directory->sys, from, to);
    if (err == ERR_OK) {
        err = sys_dir_sync(directory->sys, directory->path);
    }
    free(from);
    free(to);
    return log_directory_note(directory, err);
}

/* --- health --- */

err_t log_directory_state(const struct log_directory *directory) {
    return __atomic_load_n(&directory->failed, __ATOMIC_ACQUIRE) ? ERR_IO : ERR_OK;
}

err_t log_directory_note(struct log_directory *directory, err_t err) {
    if (err == ERR_IO && !__atomic_exchange_n(&directory->failed, true, __ATOMIC_ACQ_REL) &&
        directory->text_log != NULL) {
        text_log_error(directory->text_log, "log",
                       "%s failed and is offline until the next start; check the disk",
                       directory->path);
    }
    if (err == ERR_NO_SPACE) {
        __atomic_store_n(&directory->full, true, __ATOMIC_RELEASE);
    }
    return err;
}

bool log_directory_full(const struct log_directory *directory) {
    return __atomic_load_n(&directory->full, __ATOMIC_ACQUIRE);
}

int64_t log_directory_dirty_bytes(const struct log_directory *directory) {
    return __atomic_load_n(&directory->dirty_bytes, __ATOMIC_RELAXED);
}

void directory_dirty_add(struct log_directory *directory, int64_t bytes) {
    __atomic_add_fetch(&directory->dirty_bytes, bytes, __ATOMIC_RELAXED);
    if (bytes > 0 && log_directory_full(directory)) {
        __atomic_store_n(&directory->full, false, __ATOMIC_RELEASE);
    }
}

err_t log_directory_space(struct log_directory *directory, uint64_t *ret_total_bytes,
                          uint64_t *ret_free_bytes) {
    struct sys_space space;
    err_t err = sys_dir_space(directory->sys, directory->path, &space);
    if (err == ERR_OK) {
        *ret_total_bytes = space.total_bytes;
        *ret_free_bytes = space.free_bytes;
    }
    return err;
}
