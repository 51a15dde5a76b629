#include "sys/lock.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"

enum { THREAD_COUNT = 4, ROUND_COUNT = 50000 };

struct shared {
    struct sys_lock lock;
    int64_t number; /* guarded by the lock */
};

static void *count_up(void *arg) {
    struct shared *shared = arg;
    for (int i = 0; i < ROUND_COUNT; i++) {
        sys_lock_take(&shared->lock);
        shared->number++;
        if (i % 1000 == 0) {
            usleep(10); /* so that others come to sleep */
        }
        sys_lock_give(&shared->lock);
    }
    return NULL;
}

static void test_exclusion(void **state) {
    (void)state;
    struct shared shared = {.number = 0};
    pthread_t threads[THREAD_COUNT];
    sys_lock_init(&shared.lock, SYS_RANK_PARTITION);
    for (int i = 0; i < THREAD_COUNT; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, &shared), 0);
    }
    for (int i = 0; i < THREAD_COUNT; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(shared.number, THREAD_COUNT * ROUND_COUNT);
}

static void test_order(void **state) {
    (void)state;
    struct sys_lock low;
    struct sys_lock middle;
    struct sys_lock high;
    sys_lock_init(&low, SYS_RANK_NODE);
    sys_lock_init(&middle, SYS_RANK_PARTITION);
    sys_lock_init(&high, SYS_RANK_LOG);
    sys_lock_take(&low);
    sys_lock_take(&high);
    assert_int_equal(sys_locks_held(), 2);
    sys_lock_give(&low);
    sys_lock_give(&high);
    sys_lock_take(&middle);
    sys_lock_take(&high);
    sys_lock_give(&high);
    sys_lock_give(&middle);
    assert_int_equal(sys_locks_held(), 0);
}

/* --- what ends the process --- */

static void take_downwards(void) {
    struct sys_lock low;
    struct sys_lock high;
    sys_lock_init(&low, SYS_RANK_PARTITION);
    sys_lock_init(&high, SYS_RANK_LOG);
    sys_lock_take(&high);
    sys_lock_take(&low);
}

static void take_same_rank(void) {
    struct sys_lock a;
    struct sys_lock b;
    sys_lock_init(&a, SYS_RANK_LOG);
    sys_lock_init(&b, SYS_RANK_LOG);
    sys_lock_take(&a);
    sys_lock_take(&b);
}

static void take_uninitialised(void) {
    struct sys_lock lock = {0};
    sys_lock_take(&lock);
}

static void give_untaken(void) {
    struct sys_lock lock;
    sys_lock_init(&lock, SYS_RANK_LOG);
    sys_lock_give(&lock);
}

static void assert_aborts(void (*call)(void)) {
    pid_t child = fork();
    if (child == 0) {
        int fd = open("/dev/null", O_WRONLY);
        (void)dup2(fd, STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL); /* cmocka and sanitizers have handlers of their own */
        call();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void test_violations(void **state) {
    (void)state;
    assert_aborts(take_downwards);
    assert_aborts(take_same_rank);
    assert_aborts(take_uninitialised);
    assert_aborts(give_untaken);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exclusion),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_violations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
