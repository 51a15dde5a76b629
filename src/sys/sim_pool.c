/*
 * Pools of the simulated world: each thread is an actor, and one event of it is one slice of the
 * job that waits longest.
 */
#include <stdlib.h>
#include <string.h>

#include "sys/sim_int.h"

struct sim_pool {
    struct sys_pool pool; /* first */
    struct sim_host *host;
    struct list link;
    struct list jobs;
    int64_t depth;
    int thread_count;
    struct sim_actor *threads[];
};

static struct sim_pool *sim(struct sys_pool *pool) {
    return container_of(pool, struct sim_pool, pool);
}

static int64_t thread_due_ns(struct sim_actor *actor) {
    struct sim_pool *pool = actor->owner;
    return list_empty(&pool->jobs) ? INT64_MAX : INT64_MIN;
}

static void run_done(struct sys_task *task) {
    struct sys_job *job = container_of(task, struct sys_job, task);
    job->done(job);
}

static void thread_work(struct sim_actor *actor) {
    struct sim_pool *pool = actor->owner;
    struct sys_job *job = container_of(list_take_first(&pool->jobs), struct sys_job, link);
    bool has_done = job->done != NULL; /* if not, the job may be gone when it says DONE */
    sim_record_work(actor, SIM_EVENT_SLICE);
    if (job->run(job) == SYS_JOB_AGAIN) {
        list_add_last(&pool->jobs, &job->link);
        return;
    }
    pool->depth--;
    if (has_done && job->loop == NULL) {
        job->done(job);
    } else if (has_done) {
        job->task.run = run_done;
        sys_loop_post(job->loop, &job->task);
    }
}

err_t sim_pool_new(struct sys *sys, const char *name, int thread_count,
                   struct sys_pool **ret_pool) {
    assert(thread_count > 0);
    struct sim_pool *pool =
        calloc(1, sizeof *pool + (size_t)thread_count * sizeof(struct sim_actor *));
    assert(pool != NULL);
    pool->pool.ops = &sim_ops;
    pool->host = sim_host_of(sys);
    pool->thread_count = thread_count;
    list_init(&pool->jobs);
    for (int i = 0; i < thread_count; i++) {
        char thread_name[36];
        snprintf(thread_name, sizeof thread_name, "%.20s-%d", name, i);
        pool->threads[i] = sim_actor_new(pool->host, thread_name, pool, thread_due_ns, thread_work);
    }
    list_add_last(&pool->host->pools, &pool->link);
    *ret_pool = &pool->pool;
    return ERR_OK;
}

static void pool_drop(struct sim_pool *pool) {
    for (int i = 0; i < pool->thread_count; i++) {
        sim_actor_free(pool->threads[i]);
    }
    list_remove(&pool->link);
    free(pool);
}

static bool is_idle(void *arg) {
    struct sim_pool *pool = arg;
    if (pool->depth > 0) {
        return false;
    }
    for (int i = 0; i < pool->thread_count; i++) {
        if (pool->threads[i]->in_event) {
            return false;
        }
    }
    return true;
}

void sim_pool_free(struct sys_pool *base) {
    struct sim_pool *pool = sim(base);
    sim_wait_until(pool->host->world, is_idle, pool);
    pool_drop(pool);
}

void sim_pools_drop(struct sim_host *host) {
    struct list *link;
    while ((link = list_first(&host->pools)) != NULL) {
        pool_drop(container_of(link, struct sim_pool, link));
    }
}

void sim_pool_submit(struct sys_pool *base, struct sys_job *job) {
    struct sim_pool *pool = sim(base);
    pool->depth++;
    list_add_last(&pool->jobs, &job->link);
}

int64_t sim_pool_depth(struct sys_pool *base) {
    return sim(base)->depth;
}
