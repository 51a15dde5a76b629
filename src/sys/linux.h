#pragma once

#include "base/err.h"
#include "sys/loop.h"
#include "sys/sys.h"

/* The real world: Linux, epoll, pread and pwrite, POSIX threads. One per process is enough; several
 * nodes may share it. */
err_t sys_linux_new(struct sys **ret_sys);
void sys_linux_free(struct sys *sys); /* accepts NULL */

/* Blocks signals TERM, INT and HUP in all threads and calls `fire` on the loop for each. */
err_t sys_linux_on_signals(struct sys *sys, struct sys_loop *loop,
                           void (*fire)(void *arg, int signal), void *arg);

/* The width of the terminal behind a file descriptor; 0 when it is none. */
int sys_linux_terminal_columns(int fd);

/* CPU and memory of any process on this machine, all of its threads, also those that have ended.
 * NOT_FOUND: there is none. */
struct sys_process {
    uint64_t cpu_ns;
    uint64_t resident_bytes;
    uint64_t resident_max_bytes; /* the most it ever had */
};
err_t sys_linux_process_read(int64_t pid, struct sys_process *ret_process);

/* Waits until one of two descriptors can be read without blocking (or is at its end), or the time
 * is over (-1: without limit). For commands that read an input beside a loop. */
void sys_linux_wait(int fd, int other, int64_t timeout_ms, bool *ret_fd, bool *ret_other);

/* Reads what is there, up to size; *ret_size 0 at the end. IO. */
err_t sys_linux_read(int fd, void *data, size_t size, size_t *ret_size);
