/*
 * A loop on Linux: one epoll descriptor, one eventfd for waking, the timers of loop.c.
 *
 * A turn waits (until the next deadline; not at all when tasks are there), then runs the events of
 * one batch, the tasks that were posted before, and the timers that are due. What these add waits
 * for the next turn, so no kind can starve the others.
 *
 * Posting: `posted` is a stack of tasks that any thread pushes with one compare-and-swap; the loop
 * takes all at once and reverses them. Waking costs a system call, so it is made only when the loop
 * may be asleep:
 *
 *     poster: push; if `asleep` was set, clear it and write to the eventfd
 *     loop:   set `asleep`; if something was pushed, do not wait; wait; clear `asleep`
 *
 * Both sides use sequentially consistent operations, so one of them sees the other.
 *
 * Invariants
 *   1. A socket is registered with epoll exactly while something is wanted of it: epoll reports a
 *      hang-up even when nothing was asked, and the loop would spin.
 *   2. A closed socket appears in no event that is still to be run: linux_loop_forget takes it out
 *      of the batch at hand.
 *   3. Objects of the loop are used on its thread, or while it does not run.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/limits.h"
#include "sys/linux_int.h"
#include "sys/yield_int.h"

struct linux_loop {
    struct sys_loop loop;
    char name[16];
    int epoll_fd;
    int wake_fd;
    pthread_t thread; /* when started */

    /* any thread, atomic */
    struct list *posted; /* newest first, linked by next, ended by &posted_end */
    bool asleep;
    bool stop;
    bool running;
    int64_t stall_max_ns;
    int64_t busy_ns;
    uint64_t turns;

    /* never written: a posted task always links to something, and so can be told from others */
    struct list posted_end;

    /* the loop's thread */
    struct epoll_event events[LIMIT_LOOP_EVENTS];
    int event_next; /* the first that was not run yet */
    int event_count;
    int socket_count;    /* with something wanted, without the loop's own */
    int64_t measured_ns; /* end of the function before */
};

static _Thread_local const struct sys_loop *current_loop;

static struct linux_loop *loop_of(struct sys_loop *base) {
    return (struct linux_loop *)base;
}

bool linux_loop_is_current(const struct sys_loop *base) {
    return current_loop == base;
}

static bool may_touch(const struct linux_loop *loop) {
    return current_loop == &loop->loop || !__atomic_load_n(&loop->running, __ATOMIC_ACQUIRE);
}

/* --- life --- */

err_t linux_loop_new(struct sys *sys, const char *name, struct sys_loop **ret_loop) {
    struct linux_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) {
        return ERR_NO_MEMORY;
    }
    sys_loop_init(&loop->loop, sys->ops, sys);
    (void)snprintf(loop->name, sizeof loop->name, "%s", name);
    loop->posted = &loop->posted_end;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = loop->epoll_fd < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (loop->wake_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) != 0) {
        err_t err = linux_err(errno);
        linux_loop_free(&loop->loop);
        return err;
    }
    *ret_loop = &loop->loop;
    return ERR_OK;
}

void linux_loop_free(struct sys_loop *base) {
    struct linux_loop *loop = loop_of(base);
    assert(!__atomic_load_n(&loop->running, __ATOMIC_ACQUIRE));
    assert(loop->socket_count == 0);
    if (loop->wake_fd >= 0) {
        (void)close(loop->wake_fd);
    }
    if (loop->epoll_fd >= 0) {
        (void)close(loop->epoll_fd);
    }
    sys_loop_done(base);
    free(loop);
}

static void *run_thread(void *arg) {
    struct linux_loop *loop = arg;
    pthread_setname_np(pthread_self(), loop->name);
    linux_loop_run(&loop->loop);
    return NULL;
}

err_t linux_loop_start(struct sys_loop *base) {
    struct linux_loop *loop = loop_of(base);
    assert(!loop->running);
    /* From now on only the new thread may touch what belongs to the loop. */
    __atomic_store_n(&loop->running, true, __ATOMIC_RELEASE);
    if (pthread_create(&loop->thread, NULL, run_thread, loop) != 0) {
        __atomic_store_n(&loop->running, false, __ATOMIC_RELEASE);
        return ERR_NO_MEMORY;
    }
    return ERR_OK;
}

void linux_loop_join(struct sys_loop *base) {
    assert(current_loop == NULL);
    (void)pthread_join(loop_of(base)->thread, NULL);
}

/* --- waking --- */

static void write_wake_fd(struct linux_loop *loop) {
    uint64_t one = 1;
    ssize_t count;
    do {
        count = write(loop->wake_fd, &one, sizeof one);
    } while (count < 0 && errno == EINTR);
    /* EAGAIN means that the count is at its top: the loop wakes anyway. */
}

static void wake(struct linux_loop *loop) {
    if (__atomic_exchange_n(&loop->asleep, false, __ATOMIC_SEQ_CST)) {
        write_wake_fd(loop);
    }
}

/* Also when nobody is asleep in here: the caller may sleep on the descriptor elsewhere. */
void linux_loop_wake(struct sys_loop *base) {
    int before = errno; /* it may be a signal handler that calls */
    write_wake_fd(loop_of(base));
    errno = before;
}

void linux_loop_post(struct sys_loop *base, struct sys_task *task) {
    struct linux_loop *loop = loop_of(base);
    assert(!list_linked(&task->link));
    sys_yield_maybe();
    struct list *top = __atomic_load_n(&loop->posted, __ATOMIC_RELAXED);
    do {
        task->link.next = top;
    } while (!__atomic_compare_exchange_n(&loop->posted, &top, &task->link, true, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    sys_yield_maybe();
    wake(loop);
}

void linux_loop_stop(struct sys_loop *base) {
    struct linux_loop *loop = loop_of(base);
    __atomic_store_n(&loop->stop, true, __ATOMIC_SEQ_CST);
    wake(loop);
}

void linux_loop_timers_changed(struct sys_loop *base) {
    /* A turn looks at the heap before it waits; no more is needed on the loop's own thread. */
    assert(may_touch(loop_of(base)));
}

/* --- statistics --- */

void linux_loop_stats_take(struct sys_loop *base, struct sys_loop_stats *ret_stats) {
    struct linux_loop *loop = loop_of(base);
    ret_stats->stall_max_ns = __atomic_exchange_n(&loop->stall_max_ns, 0, __ATOMIC_RELAXED);
    ret_stats->busy_ns = __atomic_load_n(&loop->busy_ns, __ATOMIC_RELAXED);
    ret_stats->turns = __atomic_load_n(&loop->turns, __ATOMIC_RELAXED);
}

/* A function has ended: one reading of the clock. Only this thread writes the sums. */
static void measure(struct linux_loop *loop) {
    int64_t now_ns = linux_mono_ns();
    int64_t taken_ns = now_ns - loop->measured_ns;
    loop->measured_ns = now_ns;
    __atomic_store_n(&loop->busy_ns, loop->busy_ns + taken_ns, __ATOMIC_RELAXED);
    if (taken_ns > __atomic_load_n(&loop->stall_max_ns, __ATOMIC_RELAXED)) {
        __atomic_store_n(&loop->stall_max_ns, taken_ns, __ATOMIC_RELAXED);
    }
}

/* --- sockets --- */

void linux_loop_watch(struct linux_loop *loop, struct linux_socket *socket, int wanted) {
    assert(may_touch(loop));
    if (wanted == socket->wanted) {
        return;
    }
    int operation = wanted == 0           ? EPOLL_CTL_DEL
                    : socket->wanted == 0 ? EPOLL_CTL_ADD
                                          : EPOLL_CTL_MOD;
    struct epoll_event event = {.data.ptr = socket};
    event.events |= (wanted & SYS_SOCKET_READABLE) != 0 ? (uint32_t)EPOLLIN : 0;
    event.events |= (wanted & SYS_SOCKET_WRITABLE) != 0 ? (uint32_t)EPOLLOUT : 0;
    int result = epoll_ctl(loop->epoll_fd, operation, socket->fd, &event);
    assert(result == 0); /* what could fail is memory for ADD, and there we end anyway */
    if (!socket->internal) {
        loop->socket_count += (operation == EPOLL_CTL_ADD) - (operation == EPOLL_CTL_DEL);
    }
    socket->wanted = wanted;
}

void linux_loop_forget(struct linux_loop *loop, struct linux_socket *socket) {
    linux_loop_watch(loop, socket, 0);
    for (int i = loop->event_next; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == socket) {
            loop->events[i] = (struct epoll_event){0};
        }
    }
}

/* --- a turn --- */

/* How long to wait, in epoll's milliseconds: -1 is for ever. */
static int wait_time_ms(struct linux_loop *loop, int64_t deadline_max_ms) {
    if (__atomic_load_n(&loop->posted, __ATOMIC_SEQ_CST) != &loop->posted_end ||
        __atomic_load_n(&loop->stop, __ATOMIC_SEQ_CST)) {
        return 0;
    }
    int64_t deadline_ms = sys_loop_next_deadline_ms(&loop->loop);
    deadline_ms = deadline_ms < deadline_max_ms ? deadline_ms : deadline_max_ms;
    if (deadline_ms == INT64_MAX) {
        return -1;
    }
    int64_t now_ns = linux_mono_ns();
    if (deadline_ms <= now_ns / 1000000) {
        return 0;
    }
    if (deadline_ms - now_ns / 1000000 > INT_MAX) {
        return INT_MAX;
    }
    return (int)((deadline_ms * 1000000 - now_ns + 999999) / 1000000);
}

static void wait_for_events(struct linux_loop *loop, int64_t deadline_max_ms) {
    __atomic_store_n(&loop->asleep, true, __ATOMIC_SEQ_CST);
    int time_ms = wait_time_ms(loop, deadline_max_ms);
    int count = epoll_wait(loop->epoll_fd, loop->events, LIMIT_LOOP_EVENTS, time_ms);
    __atomic_store_n(&loop->asleep, false, __ATOMIC_SEQ_CST);
    assert(count >= 0 || errno == EINTR);
    loop->event_count = count < 0 ? 0 : count;
    loop->event_next = 0;
    loop->measured_ns = linux_mono_ns();
    loop->loop.now_ms = loop->measured_ns / 1000000;
    __atomic_store_n(&loop->turns, loop->turns + 1, __ATOMIC_RELAXED);
}

static void drain_wake_fd(struct linux_loop *loop) {
    uint64_t count;
    ssize_t size = read(loop->wake_fd, &count, sizeof count);
    (void)size;
}

/* An error or a hang-up shows as all that was wanted: the next call on the socket tells which. */
static int ready_events(uint32_t events) {
    int ready = 0;
    ready |= (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 ? SYS_SOCKET_READABLE : 0;
    ready |= (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0 ? SYS_SOCKET_WRITABLE : 0;
    return ready;
}

static void run_events(struct linux_loop *loop) {
    while (loop->event_next < loop->event_count) {
        const struct epoll_event *event = &loop->events[loop->event_next++];
        if (event->events == 0) {
            continue; /* forgotten */
        }
        struct linux_socket *socket = event->data.ptr;
        if (socket == NULL) {
            drain_wake_fd(loop);
            continue;
        }
        int ready = ready_events(event->events) & socket->wanted;
        if (ready != 0) {
            socket->ready(socket->arg, ready);
            measure(loop);
        }
    }
}

static void run_tasks(struct linux_loop *loop) {
    struct list *newest = __atomic_exchange_n(&loop->posted, &loop->posted_end, __ATOMIC_SEQ_CST);
    struct list *oldest = &loop->posted_end;
    while (newest != &loop->posted_end) {
        struct list *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != &loop->posted_end) {
        struct sys_task *task = container_of(oldest, struct sys_task, link);
        oldest = oldest->next;
        task->link.next = NULL; /* it may be posted again, or be freed, while it runs */
        sys_yield_maybe();
        task->run(task);
        measure(loop);
    }
}

static void run_timers(struct linux_loop *loop) {
    uint64_t order_limit = loop->loop.timer_order;
    struct sys_timer *timer;
    while ((timer = sys_loop_take_due_timer(&loop->loop, order_limit)) != NULL) {
        timer->fire(timer);
        measure(loop);
    }
}

static void turn(struct linux_loop *loop, int64_t deadline_max_ms) {
    wait_for_events(loop, deadline_max_ms);
    run_events(loop);
    run_tasks(loop);
    run_timers(loop);
}

void linux_loop_run(struct sys_loop *base) {
    struct linux_loop *loop = loop_of(base);
    assert(current_loop == NULL);
    current_loop = base;
    __atomic_store_n(&loop->running, true, __ATOMIC_RELEASE);
    do {
        turn(loop, INT64_MAX);
    } while (!__atomic_load_n(&loop->stop, __ATOMIC_SEQ_CST));
    __atomic_store_n(&loop->stop, false, __ATOMIC_SEQ_CST); /* it may run again */
    current_loop = NULL;
    __atomic_store_n(&loop->running, false, __ATOMIC_RELEASE);
}

/* --- a turn at a time --- */

void linux_loop_turn(struct sys_loop *base, int64_t timeout_ms) {
    struct linux_loop *loop = loop_of(base);
    assert(!loop->running);
    const struct sys_loop *outer = current_loop;
    current_loop = base;
    loop->running = true;
    int64_t now_ms = linux_mono_ns() / 1000000;
    bool forever = timeout_ms < 0 || timeout_ms >= INT64_MAX - now_ms;
    turn(loop, forever ? INT64_MAX : now_ms + timeout_ms);
    loop->running = false;
    current_loop = outer;
}

int linux_loop_fd(const struct sys_loop *base) {
    return ((const struct linux_loop *)base)->epoll_fd;
}

/* A task that was posted between turns does not make the descriptor readable. */
int64_t linux_loop_deadline_ms(const struct sys_loop *base) {
    const struct linux_loop *loop = (const struct linux_loop *)base;
    bool posted = __atomic_load_n(&loop->posted, __ATOMIC_SEQ_CST) != &loop->posted_end;
    return posted ? linux_mono_ns() / 1000000 : sys_loop_next_deadline_ms(base);
}
