#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/heap.h"
#include "base/list.h"
#include "sys/sys.h"

/*
 * An event loop: one thread that waits for sockets, timers and posted tasks, and runs their
 * functions one after the other. A reactor is a loop with connections on it.
 *
 * All objects attached to a loop belong to its thread: their functions are called there, and their
 * calls may be made there only. The exceptions say so: sys_loop_post and sys_loop_stop.
 *
 * On Linux a loop runs on the thread that calls sys_loop_run, or on one of its own after
 * sys_loop_start. In the simulator the world's scheduler runs every started loop, one event at a
 * time, and time moves only between events.
 */
struct sys_loop;

/* name: for thread names and metrics, at most 15 characters. */
err_t sys_loop_new(struct sys *sys, const char *name, struct sys_loop **ret_loop);

/* The loop has been stopped and joined, and nothing is attached. Accepts NULL. */
void sys_loop_free(struct sys_loop *loop);

err_t sys_loop_start(struct sys_loop *loop); /* on a thread of its own */
void sys_loop_join(struct sys_loop *loop);   /* waits for that thread; Linux, outside loops only */
void sys_loop_run(struct sys_loop *loop);    /* until stopped; Linux only */
void sys_loop_stop(struct sys_loop *loop);   /* any thread: ends it after the turn it is in */

/*
 * For a library without a thread of its own, whose caller runs the loop a turn at a time; not on a
 * loop that was started. A turn waits up to timeout_ms (-1: without limit) for something to do, and
 * does it. Turns of different loops may be nested, those of one may not. In the simulator a turn
 * is one event, time passes in it, and there is no descriptor.
 *
 * A caller that waits in another way watches the descriptor for reading, and makes a turn when it
 * is readable or the deadline (of sys_mono_ms; INT64_MAX: none) is over. A turn that waits ends
 * early after sys_loop_wake, which any thread and any signal handler may call.
 */
void sys_loop_turn(struct sys_loop *loop, int64_t timeout_ms);
int sys_loop_fd(const struct sys_loop *loop);
int64_t sys_loop_deadline_ms(const struct sys_loop *loop);
void sys_loop_wake(struct sys_loop *loop);

struct sys *sys_loop_sys(struct sys_loop *loop);

/* Whether the caller is on the loop's thread. For assertions. */
bool sys_loop_is_current(const struct sys_loop *loop);

/* Time as of the start of this turn; cheap. */
int64_t sys_loop_now_ms(const struct sys_loop *loop);

/* The longest time one function kept the loop from its other work since the last call, and the
 * time spent in functions at all; any thread. */
struct sys_loop_stats {
    int64_t stall_max_ns;
    int64_t busy_ns; /* since the start */
    uint64_t turns;  /* since the start */
};
void sys_loop_stats_take(struct sys_loop *loop, struct sys_loop_stats *ret_stats);

/* --- tasks: from any thread to a loop; first in, first out per sender --- */

struct sys_task {
    struct list link; /* zero-initialise */
    void (*run)(struct sys_task *task);
};

/* Any thread. The task must stay alive until it has run, and must not be posted twice meanwhile. */
void sys_loop_post(struct sys_loop *loop, struct sys_task *task);

/* --- timers --- */

struct sys_timer {
    struct heap_node node; /* zero-initialise */
    int64_t deadline_ms;   /* of sys_mono_ms */
    uint64_t order;
    void (*fire)(struct sys_timer *timer);
};

/* Fires once, not before the deadline; setting it again moves it. */
void sys_timer_set(struct sys_loop *loop, struct sys_timer *timer, int64_t deadline_ms);
void sys_timer_clear(struct sys_loop *loop, struct sys_timer *timer); /* fine when not set */

static inline bool sys_timer_is_set(const struct sys_timer *timer) {
    return heap_contains(&timer->node);
}
