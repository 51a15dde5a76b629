/* Open files on Linux. Calls are repeated when a signal interrupts them, and go on after a partial
 * read or write; a failed sync is never repeated, as the kernel forgets what it could not write. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/limits.h"
#include "sys/linux_int.h"

enum { PAGE_SIZE = 4096, CALL_SIZE_MAX = 0x7ffff000 /* Linux transfers no more in one call */ };

static int fd_of(const struct sys_file *base) {
    return ((const struct linux_file *)base)->fd;
}

static int open_flags(int flags) {
    int result = O_CLOEXEC | ((flags & SYS_FILE_READ) != 0 ? O_RDONLY : O_RDWR);
    result |= (flags & SYS_FILE_CREATE) != 0 ? O_CREAT : 0;
    result |= (flags & SYS_FILE_EXCLUSIVE) != 0 ? O_EXCL : 0;
    result |= (flags & SYS_FILE_TRUNCATE) != 0 ? O_TRUNC : 0;
    return result;
}

err_t linux_file_open(struct sys *sys, const char *path, int flags, struct sys_file **ret_file) {
    assert((flags & SYS_FILE_READ) == 0 || (flags & SYS_FILE_TRUNCATE) == 0);
    mode_t mode = (flags & SYS_FILE_READ_ONLY_MODE) != 0 ? 0400 : 0644;
    int fd;
    do {
        fd = open(path, open_flags(flags), mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return linux_err(errno);
    }
    struct linux_file *file = malloc(sizeof *file);
    if (file == NULL) {
        abort();
    }
    *file = (struct linux_file){.file.ops = sys->ops, .fd = fd};
    *ret_file = &file->file;
    return ERR_OK;
}

void linux_file_close(struct sys_file *base) {
    (void)close(fd_of(base)); /* on Linux the descriptor is gone whatever it returns */
    free(base);
}

err_t linux_file_read(struct sys_file *base, uint64_t position, void *data, size_t size,
                      size_t *ret_size) {
    size_t done = 0;
    while (done < size) {
        size_t wanted = size - done < CALL_SIZE_MAX ? size - done : CALL_SIZE_MAX;
        ssize_t count =
            pread(fd_of(base), (uint8_t *)data + done, wanted, (off_t)(position + done));
        if (count == 0) {
            break;
        }
        if (count > 0) {
            done += (size_t)count;
        } else if (errno != EINTR) {
            return linux_err(errno);
        }
    }
    *ret_size = done;
    return ERR_OK;
}

/* Writes the rest of a part that a vectored write left unfinished. */
static err_t write_rest(int fd, uint64_t position, const uint8_t *data, size_t size) {
    while (size > 0) {
        ssize_t count = pwrite(fd, data, size, (off_t)position);
        if (count == 0) {
            return ERR_IO;
        }
        if (count < 0) {
            if (errno != EINTR) {
                return linux_err(errno);
            }
            continue;
        }
        data += count;
        size -= (size_t)count;
        position += (size_t)count;
    }
    return ERR_OK;
}

/* Makes one call; *ret_parts says how many whole parts are written afterwards, of *ret_size bytes
 * in all. */
static err_t write_some(int fd, uint64_t position, const struct iovec *parts, int part_count,
                        int *ret_parts, size_t *ret_size) {
    ssize_t count = pwritev(fd, parts, part_count, (off_t)position);
    if (count < 0) {
        *ret_parts = 0;
        *ret_size = 0;
        return errno == EINTR ? ERR_OK : linux_err(errno);
    }
    int whole = 0;
    size_t size = 0;
    while (whole < part_count && size + parts[whole].iov_len <= (size_t)count) {
        size += parts[whole++].iov_len;
    }
    if (whole < part_count) {
        size_t written = (size_t)count - size;
        const struct iovec *part = &parts[whole++];
        err_t err = write_rest(fd, position + (size_t)count, (uint8_t *)part->iov_base + written,
                               part->iov_len - written);
        if (err != ERR_OK) {
            return err;
        }
        size += part->iov_len;
    }
    *ret_parts = whole;
    *ret_size = size;
    return ERR_OK;
}

err_t linux_file_write_vector(struct sys_file *base, uint64_t position, const struct iovec *parts,
                              int part_count) {
    while (part_count > 0) {
        int batch = part_count < LIMIT_IO_PARTS ? part_count : LIMIT_IO_PARTS;
        int whole;
        size_t size;
        err_t err = write_some(fd_of(base), position, parts, batch, &whole, &size);
        if (err != ERR_OK) {
            return err;
        }
        parts += whole;
        part_count -= whole;
        position += size;
    }
    return ERR_OK;
}

err_t linux_file_sync(struct sys_file *base) {
    int result;
    do {
        result = fdatasync(fd_of(base));
    } while (result != 0 && errno == EINTR);
    return result == 0 ? ERR_OK : linux_err(errno);
}

err_t linux_file_truncate(struct sys_file *base, uint64_t size) {
    int result;
    do {
        result = ftruncate(fd_of(base), (off_t)size);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? ERR_OK : linux_err(errno);
}

err_t linux_file_size(struct sys_file *base, uint64_t *ret_size) {
    struct stat stat;
    if (fstat(fd_of(base), &stat) != 0) {
        return linux_err(errno);
    }
    *ret_size = (uint64_t)stat.st_size;
    return ERR_OK;
}

err_t linux_file_preallocate(struct sys_file *base, uint64_t size) {
    int result;
    do {
        result = fallocate(fd_of(base), FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? ERR_OK : linux_err(errno);
}

void linux_file_start_writeback(struct sys_file *base, uint64_t position, uint64_t size) {
    if (size > 0) { /* 0 would mean: to the end */
        (void)sync_file_range(fd_of(base), (off_t)position, (off_t)size, SYNC_FILE_RANGE_WRITE);
    }
}

/* --- is it cached? --- */

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

struct cache_range {
    uint64_t position;
    uint64_t size;
};

struct cache_stat {
    uint64_t cached_pages;
    uint64_t dirty;
    uint64_t writeback;
    uint64_t evicted;
    uint64_t recently_evicted;
};

/* One call for the whole range, since Linux 6.5. False when the kernel does not know it. */
static bool ask_kernel(int fd, uint64_t position, uint64_t size, bool *ret_cached) {
    struct cache_range range = {position, size};
    struct cache_stat stat;
    if (syscall(SYS_cachestat, fd, &range, &stat, 0) != 0) {
        return false;
    }
    uint64_t page_count = (position + size - 1) / PAGE_SIZE - position / PAGE_SIZE + 1;
    *ret_cached = stat.cached_pages >= page_count;
    return true;
}

/* Reads one byte of each page, without waiting. */
static bool probe_pages(int fd, uint64_t position, uint64_t size) {
    uint64_t end = position + size;
    if (size / PAGE_SIZE >= LIMIT_CACHED_PAGES) {
        return false;
    }
    while (position < end) {
        char byte;
        struct iovec part = {.iov_base = &byte, .iov_len = 1};
        ssize_t count = preadv2(fd, &part, 1, (off_t)position, RWF_NOWAIT);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return count == 0; /* the end of the file; else it would wait, or cannot tell */
        }
        position = (position / PAGE_SIZE + 1) * PAGE_SIZE;
    }
    return true;
}

bool linux_file_cached(struct sys_file *base, uint64_t position, size_t size) {
    uint64_t file_size;
    if (linux_file_size(base, &file_size) != ERR_OK) {
        return false;
    }
    if (position >= file_size || size == 0) {
        return true;
    }
    uint64_t rest = file_size - position < size ? file_size - position : size;
    bool cached;
    if (ask_kernel(fd_of(base), position, rest, &cached)) {
        return cached;
    }
    return probe_pages(fd_of(base), position, rest);
}

/* A lock of the open file, not of the process, so that two nodes in one process exclude each
 * other. */
err_t linux_file_lock(struct sys_file *base) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd_of(base), F_OFD_SETLK, &lock) == 0) {
        return ERR_OK;
    }
    return errno == EAGAIN || errno == EACCES ? ERR_IN_USE : linux_err(errno);
}
