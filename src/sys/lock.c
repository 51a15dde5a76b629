/*
 * The state of a lock is one word: FREE, TAKEN, or WAITED (taken, and a thread may sleep for it).
 * A taker that finds it taken spins for a moment, for locks are held for a moment only; then it
 * marks the word WAITED and sleeps in the kernel until the word changes. Whoever gives a WAITED
 * lock wakes one sleeper. Without rivals neither call enters the kernel.
 *
 * Each thread remembers the locks it holds, in the order of taking, which is that of their ranks.
 */
#include "sys/lock.h"

#include <assert.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/limits.h"
#include "sys/yield_int.h"

enum lock_state { FREE, TAKEN, WAITED };

enum { SPIN_COUNT = 100 };

_Static_assert(SYS_RANK_METRICS < LIMIT_LOCKS_HELD, "a thread can remember one lock of each rank");

static _Thread_local const struct sys_lock *held[LIMIT_LOCKS_HELD];
static _Thread_local int held_count;

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void futex(uint32_t *word, int operation, uint32_t value) {
    /* Interruptions and changed words are no errors: the callers look again. */
    (void)syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

static bool try_take(struct sys_lock *lock, uint32_t state) {
    uint32_t expected = FREE;
    return __atomic_compare_exchange_n(&lock->state, &expected, state, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static void take_waiting(struct sys_lock *lock) {
    for (int i = 0; i < SPIN_COUNT; i++) {
        pause_briefly();
        if (__atomic_load_n(&lock->state, __ATOMIC_RELAXED) == FREE && try_take(lock, TAKEN)) {
            return;
        }
    }
    while (__atomic_exchange_n(&lock->state, WAITED, __ATOMIC_ACQUIRE) != FREE) {
        futex(&lock->state, FUTEX_WAIT_PRIVATE, WAITED);
    }
}

static void check_rank(const struct sys_lock *lock) {
    uint32_t highest = held_count == 0 ? SYS_RANK_NONE : held[held_count - 1]->rank;
    if (lock->rank <= highest) {
        (void)fprintf(stderr, "a lock of rank %u was taken while one of rank %u was held\n",
                      lock->rank, highest);
        abort();
    }
    assert(held_count < LIMIT_LOCKS_HELD);
}

void sys_lock_init(struct sys_lock *lock, enum sys_lock_rank rank) {
    assert(rank > SYS_RANK_NONE);
    *lock = (struct sys_lock){.state = FREE, .rank = rank};
}

void sys_lock_take(struct sys_lock *lock) {
    check_rank(lock);
    sys_yield_maybe();
    if (!try_take(lock, TAKEN)) {
        take_waiting(lock);
    }
    held[held_count++] = lock;
}

/* Locks may be given in any order; the usual one is the last taken first. */
void sys_lock_give(struct sys_lock *lock) {
    int place = held_count - 1;
    while (place >= 0 && held[place] != lock) {
        place--;
    }
    assert(place >= 0);
    held_count--;
    for (int i = place; i < held_count; i++) {
        held[i] = held[i + 1];
    }
    if (__atomic_exchange_n(&lock->state, FREE, __ATOMIC_RELEASE) == WAITED) {
        futex(&lock->state, FUTEX_WAKE_PRIVATE, 1);
    }
    sys_yield_maybe();
}

int sys_locks_held(void) {
    return held_count;
}
