/* The process and its host on Linux: clocks, random numbers, limits, the table of operations. */
#include "sys/linux.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "sys/linux_int.h"

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    int result = clock_gettime(clock, &now);
    assert(result == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t linux_mono_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

static int64_t mono_ns(struct sys *sys) {
    (void)sys;
    return linux_mono_ns();
}

static int64_t wall_ms(struct sys *sys) {
    (void)sys;
    return clock_ns(CLOCK_REALTIME) / 1000000;
}

static void fill_random(struct sys *sys, void *data, size_t size) {
    (void)sys;
    uint8_t *at = data;
    while (size > 0) {
        ssize_t count = getrandom(at, size, 0);
        if (count < 0) {
            assert(errno == EINTR);
            continue;
        }
        at += count;
        size -= (size_t)count;
    }
}

static uint64_t resident_bytes(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%*u %llu", &pages) != 1) {
            pages = 0;
        }
        (void)fclose(file);
    }
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t count_open_files(void) {
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return 0;
    }
    uint64_t count = 0;
    while (readdir(dir) != NULL) {
        count++;
    }
    (void)closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", "..", and the one that was read through */
}

static void usage_read(struct sys *sys, struct sys_usage *ret_usage) {
    struct rlimit limit = {0};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    *ret_usage = (struct sys_usage){
        .resident_bytes = resident_bytes(),
        .cpu_ns = (uint64_t)clock_ns(CLOCK_PROCESS_CPUTIME_ID),
        .open_files = count_open_files(),
        .open_files_max = limit.rlim_cur,
        .start_wall_ms = ((struct linux_sys *)sys)->start_wall_ms,
    };
}

static uint64_t raise_file_limit(struct sys *sys) {
    (void)sys;
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            limit.rlim_cur = before;
        }
    }
    return limit.rlim_cur;
}

static void host_name(struct sys *sys, char *name, size_t size) {
    (void)sys;
    assert(size > 0);
    if (gethostname(name, size) != 0) {
        (void)snprintf(name, size, "localhost");
    }
    name[size - 1] = '\0';
}

static int processor_count(struct sys *sys) {
    (void)sys;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        return CPU_COUNT(&set);
    }
    long count = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than a cpu_set_t holds */
    return count < 1 ? 1 : (int)count;
}

const struct sys_ops linux_ops = {
    .wall_ms = wall_ms,
    .mono_ns = mono_ns,
    .random = fill_random,
    .usage_read = usage_read,
    .raise_file_limit = raise_file_limit,
    .host_name = host_name,
    .processor_count = processor_count,
    .file_open = linux_file_open,
    .file_close = linux_file_close,
    .file_read = linux_file_read,
    .file_write_vector = linux_file_write_vector,
    .file_sync = linux_file_sync,
    .file_truncate = linux_file_truncate,
    .file_size = linux_file_size,
    .file_preallocate = linux_file_preallocate,
    .file_start_writeback = linux_file_start_writeback,
    .file_cached = linux_file_cached,
    .file_lock = linux_file_lock,
    .path_stat = linux_path_stat,
    .path_set_modified = linux_path_set_modified,
    .path_rename = linux_path_rename,
    .path_remove = linux_path_remove,
    .dir_make = linux_dir_make,
    .dir_sync = linux_dir_sync,
    .dir_list = linux_dir_list,
    .dir_space = linux_dir_space,
    .working_dir = linux_working_dir,
    .loop_new = linux_loop_new,
    .loop_free = linux_loop_free,
    .loop_start = linux_loop_start,
    .loop_join = linux_loop_join,
    .loop_run = linux_loop_run,
    .loop_stop = linux_loop_stop,
    .loop_turn = linux_loop_turn,
    .loop_fd = linux_loop_fd,
    .loop_deadline_ms = linux_loop_deadline_ms,
    .loop_wake = linux_loop_wake,
    .loop_is_current = linux_loop_is_current,
    .loop_stats_take = linux_loop_stats_take,
    .loop_post = linux_loop_post,
    .loop_timers_changed = linux_loop_timers_changed,
    .resolve = linux_resolve,
    .socket_listen = linux_socket_listen,
    .socket_accept = linux_socket_accept,
    .socket_connect = linux_socket_connect,
    .socket_connect_result = linux_socket_connect_result,
    .socket_attach = linux_socket_attach,
    .socket_want = linux_socket_want,
    .socket_close = linux_socket_close,
    .socket_read = linux_socket_read,
    .socket_write = linux_socket_write,
    .socket_send_file = linux_socket_send_file,
    .socket_set_buffers = linux_socket_set_buffers,
    .port_holder = linux_port_holder,
    .pool_new = linux_pool_new,
    .pool_free = linux_pool_free,
    .pool_submit = linux_pool_submit,
    .pool_depth = linux_pool_depth,
};

/* When the process started, from field 22 of /proc/self/stat; now when that cannot be read. */
static int64_t read_start_wall_ms(void) {
    int64_t now_ms = clock_ns(CLOCK_REALTIME) / 1000000;
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (file == NULL) {
        return now_ms;
    }
    size_t size = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[size] = '\0';
    const char *after_name = strrchr(text, ')'); /* the name before it may hold anything */
    unsigned long long ticks;
    const char *fields = ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
                         "%*d %*d %llu";
    if (after_name == NULL || sscanf(after_name, fields, &ticks) != 1) {
        return now_ms;
    }
    int64_t started_ms = (int64_t)ticks * 1000 / sysconf(_SC_CLK_TCK); /* since the boot */
    return now_ms - (clock_ns(CLOCK_BOOTTIME) / 1000000 - started_ms);
}

err_t sys_linux_new(struct sys **ret_sys) {
    struct linux_sys *sys = calloc(1, sizeof *sys);
    if (sys == NULL) {
        return ERR_NO_MEMORY;
    }
    sys->sys.ops = &linux_ops;
    sys->start_wall_ms = read_start_wall_ms();
    *ret_sys = &sys->sys;
    return ERR_OK;
}

void sys_linux_free(struct sys *sys) {
    if (sys != NULL) {
        linux_signals_free(((struct linux_sys *)sys)->signals);
        free(sys);
    }
}

err_t linux_err(int number) {
    switch (number) {
    case ENOENT:
    case ENOTDIR:
    case EADDRNOTAVAIL: /* an address that is not one of this host's */
        return ERR_NOT_FOUND;
    case EEXIST:
    case ENOTEMPTY:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_ACCESS;
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case EMFILE:
    case ENFILE:
        return ERR_NO_FILES;
    case ENOMEM:
    case ENOBUFS:
        return ERR_NO_MEMORY;
    case EADDRINUSE:
    case EBUSY:
    case ETXTBSY:
        return ERR_IN_USE;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
    case EISDIR:
        return ERR_INVALID;
    case EOPNOTSUPP:
    case ENOSYS:
    case EAFNOSUPPORT:
        return ERR_UNSUPPORTED;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
        return ERR_REFUSED;
    case ETIMEDOUT:
        return ERR_TIMED_OUT;
    case EFBIG:
        return ERR_LIMIT;
    default:
        return ERR_IO;
    }
}

int sys_linux_terminal_columns(int fd) {
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0) {
        return 0;
    }
    return size.ws_col == 0 ? 80 : size.ws_col; /* a terminal that does not say */
}

void sys_linux_wait(int fd, int other, int64_t timeout_ms, bool *ret_fd, bool *ret_other) {
    struct pollfd polled[] = {{.fd = fd, .events = POLLIN}, {.fd = other, .events = POLLIN}};
    int ready = poll(polled, 2, timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms);
    *ret_fd = ready > 0 && polled[0].revents != 0;
    *ret_other = ready > 0 && polled[1].revents != 0;
}

err_t sys_linux_read(int fd, void *data, size_t size, size_t *ret_size) {
    ssize_t got;
    do {
        got = read(fd, data, size);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return ERR_IO;
    }
    *ret_size = (size_t)got;
    return ERR_OK;
}
