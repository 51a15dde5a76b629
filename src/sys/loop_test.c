/* Timers, tasks, statistics and signals on a loop of the real world. */
#include "sys/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/test.h"
#include "sys/linux.h"

struct fixture {
    struct sys *sys;
    struct sys_loop *loop;
    char trace[128]; /* what happened, a letter each */
    struct sys_timer timers[5];
    struct sys_task task;
    int count;
};

static struct fixture *current; /* the tests run one at a time */

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_int_equal(sys_linux_new(&fixture->sys), ERR_OK);
    assert_int_equal(sys_loop_new(fixture->sys, "test", &fixture->loop), ERR_OK);
    current = fixture;
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    sys_loop_free(fixture->loop);
    sys_linux_free(fixture->sys);
    free(fixture);
    return 0;
}

static void note(char letter) {
    size_t size = strlen(current->trace);
    assert_true(size + 1 < sizeof current->trace);
    current->trace[size] = letter;
}

static void stop(struct sys_timer *timer) {
    (void)timer;
    sys_loop_stop(current->loop);
}

static void note_timer(struct sys_timer *timer) {
    assert_true(sys_loop_is_current(current->loop));
    assert_true(sys_loop_now_ms(current->loop) >= timer->deadline_ms);
    assert_false(sys_timer_is_set(timer));
    note((char)('a' + (timer - current->timers)));
}

static void test_timers(void **state) {
    struct fixture *fixture = *state;
    int64_t now_ms = sys_mono_ms(fixture->sys);
    for (int i = 0; i < 4; i++) {
        fixture->timers[i].fire = note_timer;
    }
    fixture->timers[4].fire = stop;
    sys_timer_set(fixture->loop, &fixture->timers[0], now_ms + 20);
    sys_timer_set(fixture->loop, &fixture->timers[1], now_ms + 10);
    sys_timer_set(fixture->loop, &fixture->timers[2], now_ms + 5);
    sys_timer_set(fixture->loop, &fixture->timers[3], now_ms + 10);
    sys_timer_set(fixture->loop, &fixture->timers[4], now_ms + 40);
    sys_timer_set(fixture->loop, &fixture->timers[2], now_ms + 30); /* moved */
    sys_loop_run(fixture->loop);
    assert_string_equal(fixture->trace, "bdac");
    assert_in_range(sys_mono_ms(fixture->sys) - now_ms, 40, 1000);
    assert_false(sys_loop_is_current(fixture->loop));
}

static void set_again(struct sys_timer *timer) {
    note('r');
    if (++current->count < 3) {
        sys_timer_set(current->loop, timer, 0);
    }
}

/* A timer that sets itself for a time in the past lets the others go first. */
static void test_timer_again(void **state) {
    struct fixture *fixture = *state;
    int64_t now_ms = sys_mono_ms(fixture->sys);
    fixture->timers[0].fire = set_again;
    fixture->timers[1].fire = note_timer;
    fixture->timers[2].fire = note_timer;
    fixture->timers[4].fire = stop;
    sys_timer_set(fixture->loop, &fixture->timers[0], now_ms - 100);
    sys_timer_set(fixture->loop, &fixture->timers[1], now_ms);
    sys_timer_set(fixture->loop, &fixture->timers[2], now_ms + 10000);
    sys_timer_set(fixture->loop, &fixture->timers[4], now_ms + 10);
    sys_timer_clear(fixture->loop, &fixture->timers[2]);
    sys_timer_clear(fixture->loop, &fixture->timers[2]);
    sys_loop_run(fixture->loop);
    assert_string_equal(fixture->trace, "rbrr");
}

/* --- tasks --- */

static void post_again(struct sys_task *task) {
    note('t');
    if (++current->count < 3) {
        sys_loop_post(current->loop, task);
    } else {
        sys_loop_stop(current->loop);
    }
}

static void test_post_from_task(void **state) {
    struct fixture *fixture = *state;
    fixture->task.run = post_again;
    sys_loop_post(fixture->loop, &fixture->task);
    sys_loop_run(fixture->loop);
    assert_string_equal(fixture->trace, "ttt");
}

enum { SENDER_COUNT = 3, TASK_COUNT = 20000 };

struct sent {
    struct sys_task task;
    int sender;
    int number;
};

static int next_number[SENDER_COUNT];
static int received;

static void receive(struct sys_task *task) {
    struct sent *sent = container_of(task, struct sent, task);
    assert_int_equal(sent->number, next_number[sent->sender]);
    next_number[sent->sender]++;
    free(sent);
    if (++received == SENDER_COUNT * TASK_COUNT) {
        sys_loop_stop(current->loop);
    }
}

static void *send_all(void *arg) {
    int sender = *(int *)arg;
    for (int i = 0; i < TASK_COUNT; i++) {
        struct sent *sent = calloc(1, sizeof *sent);
        *sent = (struct sent){.task.run = receive, .sender = sender, .number = i};
        sys_loop_post(current->loop, &sent->task);
        if (i % 100 == 0) {
            usleep(20); /* lets the loop fall asleep now and then */
        }
    }
    return NULL;
}

static void test_posts_across_threads(void **state) {
    struct fixture *fixture = *state;
    pthread_t threads[SENDER_COUNT];
    int senders[SENDER_COUNT] = {0, 1, 2};
    assert_int_equal(sys_loop_start(fixture->loop), ERR_OK);
    for (int i = 0; i < SENDER_COUNT; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    for (int i = 0; i < SENDER_COUNT; i++) {
        pthread_join(threads[i], NULL);
    }
    sys_loop_join(fixture->loop);
    assert_int_equal(received, SENDER_COUNT * TASK_COUNT);
}

static void test_stop(void **state) {
    struct fixture *fixture = *state;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(sys_loop_start(fixture->loop), ERR_OK);
        if (i % 2 == 0) {
            usleep(200);
        }
        sys_loop_stop(fixture->loop);
        sys_loop_join(fixture->loop);
    }
    sys_loop_stop(fixture->loop); /* before it runs */
    sys_loop_run(fixture->loop);
}

static int64_t cpu_ns(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void test_idle(void **state) {
    struct fixture *fixture = *state;
    fixture->timers[4].fire = stop;
    int64_t before_ns = cpu_ns();
    sys_timer_set(fixture->loop, &fixture->timers[4], sys_mono_ms(fixture->sys) + 200);
    sys_loop_run(fixture->loop);
    assert_true(cpu_ns() - before_ns < 20000000);
    struct sys_loop_stats stats;
    sys_loop_stats_take(fixture->loop, &stats);
    assert_in_range(stats.turns, 1, 3);
}

static void stall(struct sys_task *task) {
    (void)task;
    usleep(20000);
    sys_loop_stop(current->loop);
}

static void test_stats(void **state) {
    struct fixture *fixture = *state;
    fixture->task.run = stall;
    sys_loop_post(fixture->loop, &fixture->task);
    sys_loop_run(fixture->loop);
    struct sys_loop_stats stats;
    sys_loop_stats_take(fixture->loop, &stats);
    assert_true(stats.stall_max_ns >= 20000000);
    assert_true(stats.busy_ns >= stats.stall_max_ns);
    sys_loop_stats_take(fixture->loop, &stats);
    assert_int_equal(stats.stall_max_ns, 0);
    assert_true(stats.busy_ns >= 20000000);
}

static void on_signal(void *arg, int number) {
    assert_ptr_equal(arg, current);
    note(number == SIGTERM ? 'T' : number == SIGHUP ? 'H' : '?');
    if (number == SIGTERM) {
        sys_loop_stop(current->loop);
    } else {
        (void)kill(getpid(), SIGTERM);
    }
}

static void test_signals(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(sys_linux_on_signals(fixture->sys, fixture->loop, on_signal, fixture), ERR_OK);
    assert_int_equal(sys_linux_on_signals(fixture->sys, fixture->loop, on_signal, fixture),
                     ERR_IN_USE);
    (void)kill(getpid(), SIGHUP);
    sys_loop_run(fixture->loop);
    assert_string_equal(fixture->trace, "HT");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_timers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_timer_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_post_from_task, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_posts_across_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_idle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stats, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_signals, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
