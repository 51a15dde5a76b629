/* Paths and directories on Linux. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "sys/linux_int.h"

static err_t result_err(int result) {
    return result == 0 ? ERR_OK : linux_err(errno);
}

void linux_working_dir(struct sys *sys, char *path, size_t size) {
    (void)sys;
    if (getcwd(path, size) == NULL) {
        path[0] = '\0';
    }
}

err_t linux_path_stat(struct sys *sys, const char *path, struct sys_stat *ret_stat) {
    (void)sys;
    struct stat found;
    if (stat(path, &found) != 0) {
        return linux_err(errno);
    }
    *ret_stat = (struct sys_stat){
        .size = (uint64_t)found.st_size,
        .modified_ms = (int64_t)found.st_mtim.tv_sec * 1000 + found.st_mtim.tv_nsec / 1000000,
        .directory = S_ISDIR(found.st_mode),
    };
    return ERR_OK;
}

err_t linux_path_set_modified(struct sys *sys, const char *path, int64_t modified_ms) {
    (void)sys;
    int64_t ms = (modified_ms % 1000 + 1000) % 1000; /* times before 1970 round down */
    struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = (modified_ms - ms) / 1000, .tv_nsec = ms * 1000000},
    };
    return result_err(utimensat(AT_FDCWD, path, times, 0));
}

err_t linux_path_rename(struct sys *sys, const char *from, const char *to) {
    (void)sys;
    return result_err(rename(from, to));
}

err_t linux_path_remove(struct sys *sys, const char *path) {
    (void)sys;
    int result = unlink(path);
    if (result != 0 && errno == EISDIR) {
        result = rmdir(path);
    }
    return result_err(result);
}

err_t linux_dir_make(struct sys *sys, const char *path) {
    (void)sys;
    return result_err(mkdir(path, 0755));
}

err_t linux_dir_sync(struct sys *sys, const char *path) {
    (void)sys;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return linux_err(errno);
    }
    err_t err = result_err(fsync(fd));
    (void)close(fd);
    return err;
}

err_t linux_dir_list(struct sys *sys, const char *path, struct sys_dir_list *list) {
    (void)sys;
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return linux_err(errno);
    }
    const struct dirent *entry;
    errno = 0;
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            sys_dir_list_add(list, entry->d_name);
        }
        errno = 0;
    }
    err_t err = errno == 0 ? ERR_OK : linux_err(errno);
    (void)closedir(dir);
    return err;
}

err_t linux_dir_space(struct sys *sys, const char *path, struct sys_space *ret_space) {
    (void)sys;
    struct statvfs space;
    if (statvfs(path, &space) != 0) {
        return linux_err(errno);
    }
    ret_space->total_bytes = (uint64_t)space.f_blocks * space.f_frsize;
    ret_space->free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
    return ERR_OK;
}
