/* Files of either world: calls go to the world's table; what follows from other calls is here. */
#include "sys/file.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "sys/sys_int.h"

/* --- one call each --- */

err_t sys_file_open(struct sys *sys, const char *path, int flags, struct sys_file **ret_file) {
    return sys->ops->file_open(sys, path, flags, ret_file);
}

void sys_file_close(struct sys_file *file) {
    if (file != NULL) {
        file->ops->file_close(file);
    }
}

err_t sys_file_read(struct sys_file *file, uint64_t position, void *data, size_t size,
                    size_t *ret_size) {
    return file->ops->file_read(file, position, data, size, ret_size);
}

err_t sys_file_write_vector(struct sys_file *file, uint64_t position, const struct iovec *parts,
                            int part_count) {
    return file->ops->file_write_vector(file, position, parts, part_count);
}

err_t sys_file_sync(struct sys_file *file) {
    return file->ops->file_sync(file);
}

err_t sys_file_truncate(struct sys_file *file, uint64_t size) {
    return file->ops->file_truncate(file, size);
}

err_t sys_file_size(struct sys_file *file, uint64_t *ret_size) {
    return file->ops->file_size(file, ret_size);
}

err_t sys_file_preallocate(struct sys_file *file, uint64_t size) {
    return file->ops->file_preallocate(file, size);
}

void sys_file_start_writeback(struct sys_file *file, uint64_t position, uint64_t size) {
    file->ops->file_start_writeback(file, position, size);
}

bool sys_file_cached(struct sys_file *file, uint64_t position, size_t size) {
    return file->ops->file_cached(file, position, size);
}

err_t sys_file_lock(struct sys_file *file) {
    return file->ops->file_lock(file);
}

void sys_path_absolute(struct sys *sys, const char *path, char *absolute, size_t size) {
    assert(size > 0);
    absolute[0] = '\0';
    if (path[0] != '/') {
        sys->ops->working_dir(sys, absolute, size);
    }
    size_t used = strlen(absolute);
    const char *between = used == 0 || absolute[used - 1] == '/' ? "" : "/";
    (void)snprintf(absolute + used, size - used, "%s%s", between, path);
}

err_t sys_path_stat(struct sys *sys, const char *path, struct sys_stat *ret_stat) {
    return sys->ops->path_stat(sys, path, ret_stat);
}

err_t sys_path_set_modified(struct sys *sys, const char *path, int64_t modified_ms) {
    return sys->ops->path_set_modified(sys, path, modified_ms);
}

err_t sys_path_rename(struct sys *sys, const char *from, const char *to) {
    return sys->ops->path_rename(sys, from, to);
}

err_t sys_path_remove(struct sys *sys, const char *path) {
    return sys->ops->path_remove(sys, path);
}

err_t sys_dir_make(struct sys *sys, const char *path) {
    return sys->ops->dir_make(sys, path);
}

err_t sys_dir_sync(struct sys *sys, const char *path) {
    return sys->ops->dir_sync(sys, path);
}

err_t sys_dir_space(struct sys *sys, const char *path, struct sys_space *ret_space) {
    return sys->ops->dir_space(sys, path, ret_space);
}

/* --- made of them --- */

err_t sys_file_write(struct sys_file *file, uint64_t position, const void *data, size_t size) {
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    return sys_file_write_vector(file, position, &part, 1);
}

/* Makes one directory of a path; fine when it is there. */
static err_t make_if_missing(struct sys *sys, const char *path) {
    struct sys_stat stat;
    err_t err = sys_path_stat(sys, path, &stat);
    if (err == ERR_OK) {
        return stat.directory ? ERR_OK : ERR_EXISTS;
    }
    if (err == ERR_NOT_FOUND) {
        err = sys_dir_make(sys, path);
        if (err == ERR_EXISTS) {
            err = ERR_OK; /* another thread was faster */
        }
    }
    return err;
}

err_t sys_dir_make_all(struct sys *sys, const char *path) {
    char part[LIMIT_PATH];
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof part) {
        return ERR_INVALID;
    }
    memcpy(part, path, size + 1);
    for (size_t i = 1; i < size; i++) {
        if (part[i] == '/' && part[i - 1] != '/') {
            part[i] = '\0';
            err_t err = make_if_missing(sys, part);
            if (err != ERR_OK) {
                return err;
            }
            part[i] = '/';
        }
    }
    return make_if_missing(sys, part);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

err_t sys_dir_list(struct sys *sys, const char *path, struct sys_dir_list *ret_list) {
    struct sys_dir_list list = {0};
    err_t err = sys->ops->dir_list(sys, path, &list);
    if (err != ERR_OK) {
        sys_dir_list_free(&list);
        return err;
    }
    if (list.count > 0) {
        qsort(list.names, list.count, sizeof list.names[0], compare_names);
    }
    *ret_list = list;
    return ERR_OK;
}

void sys_dir_list_add(struct sys_dir_list *list, const char *name) {
    bool full = (list->count & (list->count - 1)) == 0; /* capacities are 1, 2, 4, 8, ... */
    if (full) {
        size_t capacity = list->count == 0 ? 1 : list->count * 2;
        list->names = realloc(list->names, capacity * sizeof list->names[0]);
    }
    char *copy = strdup(name);
    if (list->names == NULL || copy == NULL) {
        abort();
    }
    list->names[list->count++] = copy;
}

void sys_dir_list_free(struct sys_dir_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->names[i]);
    }
    free(list->names);
    *list = (struct sys_dir_list){0};
}

static err_t read_open_file(struct sys_file *file, size_t size_max, char **ret_data,
                            size_t *ret_size) {
    uint64_t file_size;
    err_t err = sys_file_size(file, &file_size);
    if (err != ERR_OK) {
        return err;
    }
    if (file_size > size_max) {
        return ERR_LIMIT;
    }
    char *data = malloc((size_t)file_size + 1);
    if (data == NULL) {
        abort();
    }
    size_t size;
    err = sys_file_read(file, 0, data, (size_t)file_size, &size);
    if (err != ERR_OK) {
        free(data);
        return err;
    }
    data[size] = '\0';
    *ret_data = data;
    *ret_size = size;
    return ERR_OK;
}

err_t sys_file_read_all(struct sys *sys, const char *path, size_t size_max, char **ret_data,
                        size_t *ret_size) {
    struct sys_file *file;
    err_t err = sys_file_open(sys, path, SYS_FILE_READ, &file);
    if (err == ERR_OK) {
        err = read_open_file(file, size_max, ret_data, ret_size);
        sys_file_close(file);
    }
    return err;
}

/* The directory that a path's last name is in. */
static void parent_of(const char *path, char parent[LIMIT_PATH]) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        (void)snprintf(parent, LIMIT_PATH, ".");
    } else {
        int size = slash == path ? 1 : (int)(slash - path);
        (void)snprintf(parent, LIMIT_PATH, "%.*s", size, path);
    }
}

static err_t write_new_file(struct sys *sys, const char *path, const void *data, size_t size) {
    struct sys_file *file;
    err_t err = sys_file_open(sys, path, SYS_FILE_CREATE | SYS_FILE_TRUNCATE, &file);
    if (err != ERR_OK) {
        return err;
    }
    err = sys_file_write(file, 0, data, size);
    if (err == ERR_OK) {
        err = sys_file_sync(file);
    }
    sys_file_close(file);
    return err;
}

err_t sys_file_replace(struct sys *sys, const char *path, const void *data, size_t size) {
    char temporary[LIMIT_PATH];
    char parent[LIMIT_PATH];
    int text_size = snprintf(temporary, sizeof temporary, "%s.tmp", path);
    if (text_size < 0 || (size_t)text_size >= sizeof temporary) {
        return ERR_INVALID;
    }
    parent_of(path, parent);
    err_t err = write_new_file(sys, temporary, data, size);
    if (err == ERR_OK) {
        err = sys_path_rename(sys, temporary, path);
    }
    if (err != ERR_OK) {
        (void)sys_path_remove(sys, temporary);
        return err;
    }
    return sys_dir_sync(sys, parent);
}
