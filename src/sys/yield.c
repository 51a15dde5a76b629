#include "sys/yield_int.h"

#ifdef SYS_YIELDS

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <time.h>

enum { SCHEDULE_ONE_IN = 16, SLEEP_ONE_IN = 512, SLEEP_NS_MAX = 200 * 1000 };

/* Each thread has a sequence of its own (xorshift), begun by its address and the clock. */
static uint32_t next_random(void) {
    static _Thread_local uint32_t state;
    if (state == 0) {
        struct timespec now;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        state = ((uint32_t)(uintptr_t)&state ^ (uint32_t)now.tv_nsec) | 1;
    }
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

void sys_yield_maybe(void) {
    uint32_t random = next_random();
    if (random % SLEEP_ONE_IN == 0) {
        struct timespec time = {.tv_nsec = (random / SLEEP_ONE_IN) % SLEEP_NS_MAX};
        (void)nanosleep(&time, NULL);
    } else if (random % SCHEDULE_ONE_IN == 0) {
        (void)sched_yield();
    }
}

#endif
