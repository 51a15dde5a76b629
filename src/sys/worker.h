#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "sys/loop.h"

/*
 * Workers: threads for what may take long. A pool has its own threads and its own queue, first in,
 * first out; work that can hang on one disk has a pool of its own for that disk.
 *
 * A job runs in slices. Each slice does at most one blocking call, then returns SYS_JOB_AGAIN to
 * be called again (behind others that wait) or SYS_JOB_DONE. The simulator interleaves slices of
 * all pools with the loops' events, by its seed.
 */
struct sys_pool;

enum sys_job_result { SYS_JOB_AGAIN, SYS_JOB_DONE };

struct sys_job {
    struct sys_task task; /* zero-initialise */
    struct list link;
    enum sys_job_result (*run)(struct sys_job *job); /* on a worker */
    void (*done)(struct sys_job *job); /* on `loop` afterwards; on the worker when loop is NULL; may
                                          be NULL */
    struct sys_loop *loop;
};

err_t sys_pool_new(struct sys *sys, const char *name, int thread_count, struct sys_pool **ret_pool);

/* Runs what is queued to its end and joins the threads. Not from a loop whose jobs are queued.
 * Accepts NULL. In the simulator the queue must be empty. */
void sys_pool_free(struct sys_pool *pool);

/* Any thread. The job must stay alive until done was called (or run returned DONE, without). */
void sys_pool_submit(struct sys_pool *pool, struct sys_job *job);

/* Jobs queued or running. */
int64_t sys_pool_depth(struct sys_pool *pool);
