/* Workers on Linux: a queue under a mutex, and threads that sleep on a condition. */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "sys/linux_int.h"
#include "sys/yield_int.h"

struct linux_pool {
    struct sys_pool pool;
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    struct list queue;
    int64_t depth; /* queued or running */
    bool stopping;
    char name[16];
    int thread_count;
    pthread_t threads[];
};

static struct linux_pool *pool_of(struct sys_pool *base) {
    return (struct linux_pool *)base;
}

static void run_done(struct sys_task *task) {
    struct sys_job *job = container_of(task, struct sys_job, task);
    job->done(job);
}

/* The job may be gone after this. */
static void finish(struct sys_job *job) {
    if (job->done == NULL) {
        return;
    }
    if (job->loop == NULL) {
        job->done(job);
    } else {
        job->task.run = run_done;
        sys_loop_post(job->loop, &job->task);
    }
}

/* Runs one slice, without the mutex. */
static void run_slice(struct linux_pool *pool, struct sys_job *job) {
    /* A job without `done` may be freed in its last slice: look before. */
    bool has_done = job->done != NULL;
    sys_yield_maybe();
    enum sys_job_result result = job->run(job);
    sys_yield_maybe();
    pthread_mutex_lock(&pool->mutex);
    if (result == SYS_JOB_AGAIN) {
        list_add_last(&pool->queue, &job->link);
    } else {
        pool->depth--;
    }
    pthread_mutex_unlock(&pool->mutex);
    if (result == SYS_JOB_DONE && has_done) {
        finish(job);
    }
}

static void *run_worker(void *arg) {
    struct linux_pool *pool = arg;
    pthread_setname_np(pthread_self(), pool->name);
    for (;;) {
        pthread_mutex_lock(&pool->mutex);
        while (list_empty(&pool->queue) && !pool->stopping) {
            pthread_cond_wait(&pool->changed, &pool->mutex);
        }
        struct list *link = list_take_first(&pool->queue);
        pthread_mutex_unlock(&pool->mutex);
        if (link == NULL) {
            return NULL; /* stopping; a job that runs now and wants another slice has its worker */
        }
        run_slice(pool, container_of(link, struct sys_job, link));
    }
}

static void join_all(struct linux_pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->thread_count; i++) {
        pthread_join(pool->threads[i], NULL);
    }
}

err_t linux_pool_new(struct sys *sys, const char *name, int thread_count,
                     struct sys_pool **ret_pool) {
    struct linux_pool *pool =
        calloc(1, sizeof *pool + (size_t)thread_count * sizeof pool->threads[0]);
    if (pool == NULL) {
        return ERR_NO_MEMORY;
    }
    pool->pool.ops = sys->ops;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->changed, NULL);
    list_init(&pool->queue);
    (void)snprintf(pool->name, sizeof pool->name, "%s", name);
    for (; pool->thread_count < thread_count; pool->thread_count++) {
        pthread_t *thread = &pool->threads[pool->thread_count];
        if (pthread_create(thread, NULL, run_worker, pool) != 0) {
            linux_pool_free(&pool->pool);
            return ERR_NO_MEMORY;
        }
    }
    *ret_pool = &pool->pool;
    return ERR_OK;
}

void linux_pool_free(struct sys_pool *base) {
    struct linux_pool *pool = pool_of(base);
    join_all(pool);
    assert(list_empty(&pool->queue));
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

void linux_pool_submit(struct sys_pool *base, struct sys_job *job) {
    struct linux_pool *pool = pool_of(base);
    pthread_mutex_lock(&pool->mutex);
    list_add_last(&pool->queue, &job->link);
    pool->depth++;
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
}

int64_t linux_pool_depth(struct sys_pool *base) {
    struct linux_pool *pool = pool_of(base);
    pthread_mutex_lock(&pool->mutex);
    int64_t depth = pool->depth;
    pthread_mutex_unlock(&pool->mutex);
    return depth;
}
