#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "sys/sys.h"

/*
 * Files and directories. Every call may block for as long as the disk likes, so where it may be
 * called from is the caller's worry. Paths are zero-terminated; relative ones are taken from the
 * directory in which the process was started.
 *
 * Errors: NOT_FOUND, EXISTS, ACCESS, NO_SPACE (also quota), IO, NO_FILES, IN_USE (locks).
 *
 * What survives, and what the simulated disk holds us to:
 *   - a process crash loses nothing that a call has returned from;
 *   - a power cut loses or tears, in any combination of 512-byte sectors, what was written to a
 *     file after its last sys_file_sync, and undoes creations, renames and removals in a directory
 *     after its last sys_dir_sync.
 */
struct sys_file;

enum {
    SYS_FILE_READ = 1,            /* for reading only, else for reading and writing */
    SYS_FILE_CREATE = 2,          /* make it when it is not there */
    SYS_FILE_EXCLUSIVE = 4,       /* with CREATE: fail with EXISTS when it is there */
    SYS_FILE_TRUNCATE = 8,        /* empty it */
    SYS_FILE_READ_ONLY_MODE = 16, /* with CREATE: permissions 0400 instead of 0644 */
};

err_t sys_file_open(struct sys *sys, const char *path, int flags, struct sys_file **ret_file);

/* Accepts NULL. An open file may be closed on any thread, once nobody uses it. */
void sys_file_close(struct sys_file *file);

/* Reads up to size bytes from a position; *ret_size is less only at the end of the file. */
err_t sys_file_read(struct sys_file *file, uint64_t position, void *data, size_t size,
                    size_t *ret_size);

/* Writes all of it, or fails: then any part may have been written. */
err_t sys_file_write(struct sys_file *file, uint64_t position, const void *data, size_t size);
err_t sys_file_write_vector(struct sys_file *file, uint64_t position, const struct iovec *parts,
                            int part_count);

err_t sys_file_sync(struct sys_file *file); /* data, and what is needed to find it */
err_t sys_file_truncate(struct sys_file *file, uint64_t size); /* shorter, or longer with zeros */
err_t sys_file_size(struct sys_file *file, uint64_t *ret_size);

/* Makes the disk reserve bytes up to `size` without changing what is read; UNSUPPORTED where the
 * file system cannot. */
err_t sys_file_preallocate(struct sys_file *file, uint64_t size);

/* Starts writing dirty bytes of a range to the disk without waiting for them; a hint. */
void sys_file_start_writeback(struct sys_file *file, uint64_t position, uint64_t size);

/* Whether reading the range would wait for the disk. Bytes never written count as cached. */
bool sys_file_cached(struct sys_file *file, uint64_t position, size_t size);

/* Takes an exclusive lock that lives until the file is closed or the process ends. IN_USE when
 * another process, or another node of this one, has it. */
err_t sys_file_lock(struct sys_file *file);

/* The path with the working directory before it, unless it begins with a slash; else as it is, "."
 * and ".." kept. Zero-terminated, cut to size. */
void sys_path_absolute(struct sys *sys, const char *path, char *absolute, size_t size);

struct sys_stat {
    uint64_t size;
    int64_t modified_ms; /* Unix milliseconds */
    bool directory;
};
err_t sys_path_stat(struct sys *sys, const char *path, struct sys_stat *ret_stat);

/* Sets the time of last change, which retention falls back to. */
err_t sys_path_set_modified(struct sys *sys, const char *path, int64_t modified_ms);

err_t sys_path_rename(struct sys *sys, const char *from, const char *to); /* replaces `to` */
err_t sys_path_remove(struct sys *sys, const char *path); /* a file, or an empty directory */

err_t sys_dir_make(struct sys *sys, const char *path);     /* EXISTS when it is there */
err_t sys_dir_make_all(struct sys *sys, const char *path); /* parents too; fine when it is there */
err_t sys_dir_sync(struct sys *sys, const char *path);

/* The names in a directory, without "." and "..", sorted. sys_dir_list_free gives them back. */
struct sys_dir_list {
    char **names;
    size_t count;
};
err_t sys_dir_list(struct sys *sys, const char *path, struct sys_dir_list *ret_list);
void sys_dir_list_free(struct sys_dir_list *list);

struct sys_space {
    uint64_t total_bytes;
    uint64_t free_bytes; /* that this process may use */
};
err_t sys_dir_space(struct sys *sys, const char *path, struct sys_space *ret_space);

/* Reads a whole file of at most `size_max` bytes (LIMIT above). The caller frees the memory; a
 * zero follows the bytes. */
err_t sys_file_read_all(struct sys *sys, const char *path, size_t size_max, char **ret_data,
                        size_t *ret_size);

/* Replaces a file so that after a power cut it is the old one or the new one: writes `path`.tmp,
 * syncs, renames, syncs the directory. */
err_t sys_file_replace(struct sys *sys, const char *path, const void *data, size_t size);
