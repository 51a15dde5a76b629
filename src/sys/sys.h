#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * The outside world of one node: clock, random numbers, files, sockets, threads and workers.
 *
 * A `struct sys` is given to a node when it is built, and is either Linux (sys/linux.h) or one host
 * of a simulated world (sys/sim.h). Production code does not know which. Everything that a node
 * asks of its world is in this header and its neighbours file.h, loop.h, socket.h, worker.h and
 * lock.h; no other folder calls the operating system.
 *
 * Safe to call from any thread, unless a function says otherwise.
 */
struct sys;

/* Wall clock in Unix milliseconds. May jump. For timestamps that others see. */
int64_t sys_wall_ms(struct sys *sys);

/* Monotonic clocks from an arbitrary start. For durations and deadlines. */
int64_t sys_mono_ms(struct sys *sys);
int64_t sys_mono_ns(struct sys *sys);

/* A deadline; INT64_MAX, never, where the sum would be more. after_ms: not negative. */
static inline int64_t sys_later_ms(int64_t now_ms, int64_t after_ms) {
    return after_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + after_ms;
}

/* Random bytes fit for ids and secrets (in the simulator: from the seed). */
void sys_random(struct sys *sys, void *data, size_t size);

/* What /proc says of this process: resident bytes, CPU nanoseconds, open files; zeros in the
 * simulator. */
struct sys_usage {
    uint64_t resident_bytes;
    uint64_t cpu_ns;
    uint64_t open_files;
    uint64_t open_files_max;
    int64_t start_wall_ms;
};
void sys_usage_read(struct sys *sys, struct sys_usage *ret_usage);

/* Raises the soft limit on open files to the hard one. Returns the limit in force. */
uint64_t sys_raise_file_limit(struct sys *sys);

/* The host's name; zero-terminated, cut to size. */
void sys_host_name(struct sys *sys, char *name, size_t size);

/* How many processors this process may use. */
int sys_processor_count(struct sys *sys);
