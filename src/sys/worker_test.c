#include "sys/worker.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/test.h"
#include "sys/linux.h"

enum { JOB_COUNT = 200, SLICE_COUNT = 5 };

struct counted {
    struct sys_job job;
    int slices;
};

static struct sys_loop *loop;
static int64_t done_count; /* atomic */

static enum sys_job_result run_slice(struct sys_job *job) {
    struct counted *counted = container_of(job, struct counted, job);
    return ++counted->slices < SLICE_COUNT ? SYS_JOB_AGAIN : SYS_JOB_DONE;
}

static void done(struct sys_job *job) {
    struct counted *counted = container_of(job, struct counted, job);
    assert_int_equal(counted->slices, SLICE_COUNT);
    free(counted);
    if (__atomic_add_fetch(&done_count, 1, __ATOMIC_RELAXED) == JOB_COUNT && loop != NULL) {
        assert_true(sys_loop_is_current(loop));
        sys_loop_stop(loop);
    }
}

static void submit_all(struct sys_pool *pool) {
    done_count = 0;
    for (int i = 0; i < JOB_COUNT; i++) {
        struct counted *counted = calloc(1, sizeof *counted);
        counted->job.run = run_slice;
        counted->job.done = done;
        counted->job.loop = loop;
        sys_pool_submit(pool, &counted->job);
    }
}

static void test_done_on_loop(void **state) {
    (void)state;
    struct sys *sys;
    struct sys_pool *pool;
    assert_int_equal(sys_linux_new(&sys), ERR_OK);
    assert_int_equal(sys_loop_new(sys, "main", &loop), ERR_OK);
    assert_int_equal(sys_pool_new(sys, "worker", 3, &pool), ERR_OK);
    submit_all(pool);
    sys_loop_run(loop);
    assert_int_equal(done_count, JOB_COUNT);
    assert_int_equal(sys_pool_depth(pool), 0);
    sys_pool_free(pool);
    sys_loop_free(loop);
    loop = NULL;
    sys_linux_free(sys);
}

/* Freeing a pool runs everything to its end. */
static void test_done_on_worker(void **state) {
    (void)state;
    struct sys *sys;
    struct sys_pool *pool;
    assert_int_equal(sys_linux_new(&sys), ERR_OK);
    assert_int_equal(sys_pool_new(sys, "worker", 2, &pool), ERR_OK);
    submit_all(pool);
    sys_pool_free(pool);
    assert_int_equal(done_count, JOB_COUNT);
    assert_int_equal(sys_pool_new(sys, "worker", 0, &pool), ERR_INVALID);
    sys_pool_free(NULL);
    sys_linux_free(sys);
}

/* --- a job without `done` frees itself; and the order of slices --- */

static char order[16];
static int order_size;

struct lettered {
    struct sys_job job;
    char letter;
    int slices;
};

static enum sys_job_result note_letter(struct sys_job *job) {
    struct lettered *lettered = container_of(job, struct lettered, job);
    order[order_size++] = lettered->letter;
    if (++lettered->slices < 2) {
        return SYS_JOB_AGAIN;
    }
    free(lettered);
    return SYS_JOB_DONE;
}

static enum sys_job_result wait_a_moment(struct sys_job *job) {
    (void)job;
    usleep(20000);
    return SYS_JOB_DONE;
}

static void test_order(void **state) {
    (void)state;
    struct sys *sys;
    struct sys_pool *pool;
    assert_int_equal(sys_linux_new(&sys), ERR_OK);
    assert_int_equal(sys_pool_new(sys, "worker", 1, &pool), ERR_OK);
    struct sys_job first = {.run = wait_a_moment};
    sys_pool_submit(pool, &first);
    for (int i = 0; i < 3; i++) {
        struct lettered *lettered = calloc(1, sizeof *lettered);
        *lettered = (struct lettered){.job.run = note_letter, .letter = (char)('a' + i)};
        sys_pool_submit(pool, &lettered->job);
    }
    assert_in_range(sys_pool_depth(pool), 3, 4);
    sys_pool_free(pool);
    assert_string_equal(order, "abcabc");
    sys_linux_free(sys);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_done_on_loop),
        cmocka_unit_test(test_done_on_worker),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
