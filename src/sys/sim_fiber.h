#pragma once

/*
 * A stack of its own for code that can stop in the middle and go on later: one actor of the
 * simulated world. All fibers and their world run on one thread; only the world enters a fiber, and
 * only the fiber itself leaves.
 */
struct sim_fiber;

/* `run` is called at each sim_fiber_enter after the one before returned. */
struct sim_fiber *sim_fiber_new(void (*run)(void *arg), void *arg);

/* It may be in the middle of `run`, which then never goes on. Accepts NULL; not from inside. */
void sim_fiber_free(struct sim_fiber *fiber);

/* Goes on where the fiber left, or calls `run`. Returns when it leaves or `run` returns. */
void sim_fiber_enter(struct sim_fiber *fiber);
void sim_fiber_leave(struct sim_fiber *fiber);
