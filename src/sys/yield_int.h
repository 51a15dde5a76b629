#pragma once

/*
 * Random yields for stress tests: in a build with -Dyields=true a thread that comes to a place
 * where threads meet (a lock, a post to a loop, a slice of a job) sometimes lets others go first,
 * for nothing, one turn of the scheduler, or a fraction of a millisecond. Orders that would take
 * weeks of luck come up within a minute. In other builds there is nothing.
 */
#ifdef SYS_YIELDS
void sys_yield_maybe(void);
#else
static inline void sys_yield_maybe(void) {
}
#endif
