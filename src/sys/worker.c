#include "sys/worker.h"

#include <assert.h>

#include "base/limits.h"
#include "sys/sys_int.h"

err_t sys_pool_new(struct sys *sys, const char *name, int thread_count,
                   struct sys_pool **ret_pool) {
    if (thread_count < 1 || thread_count > LIMIT_POOL_THREADS) {
        return ERR_INVALID;
    }
    return sys->ops->pool_new(sys, name, thread_count, ret_pool);
}

void sys_pool_free(struct sys_pool *pool) {
    if (pool != NULL) {
        pool->ops->pool_free(pool);
    }
}

void sys_pool_submit(struct sys_pool *pool, struct sys_job *job) {
    assert(job->run != NULL);
    pool->ops->pool_submit(pool, job);
}

int64_t sys_pool_depth(struct sys_pool *pool) {
    return pool->ops->pool_depth(pool);
}
