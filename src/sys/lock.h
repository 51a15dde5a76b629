#pragma once

#include <stdint.h>

/*
 * A mutex with a rank. A thread may take a lock only when its rank is higher than those of all it
 * holds; this is checked in every build. Never held across a blocking call or a callback. In the
 * simulator a lock only checks: there is one thread.
 */
enum sys_lock_rank {
    SYS_RANK_NONE = 0, /* never: catches a lock that was not initialised */
    SYS_RANK_NODE,
    SYS_RANK_REPLICAS,
    SYS_RANK_PARTITION,
    SYS_RANK_LOG,
    SYS_RANK_SEGMENT,
    SYS_RANK_DIRECTORY,
    SYS_RANK_SESSIONS,
    SYS_RANK_WAITING,
    SYS_RANK_CACHE,
    SYS_RANK_NET,
    SYS_RANK_METRICS,
};

struct sys_lock {
    uint32_t state;
    uint32_t rank;
};

void sys_lock_init(struct sys_lock *lock, enum sys_lock_rank rank);
void sys_lock_take(struct sys_lock *lock);
void sys_lock_give(struct sys_lock *lock);

/* How many locks the calling thread holds. For assertions that it holds none. */
int sys_locks_held(void);
