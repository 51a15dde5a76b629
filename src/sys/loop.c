/* Loops of either world: calls go to the world's table; timers are kept here for both. */
#include "sys/loop.h"

#include <assert.h>

#include "sys/sys_int.h"

err_t sys_loop_new(struct sys *sys, const char *name, struct sys_loop **ret_loop) {
    return sys->ops->loop_new(sys, name, ret_loop);
}

void sys_loop_free(struct sys_loop *loop) {
    if (loop != NULL) {
        loop->ops->loop_free(loop);
    }
}

err_t sys_loop_start(struct sys_loop *loop) {
    return loop->ops->loop_start(loop);
}

void sys_loop_join(struct sys_loop *loop) {
    loop->ops->loop_join(loop);
}

void sys_loop_run(struct sys_loop *loop) {
    loop->ops->loop_run(loop);
}

void sys_loop_stop(struct sys_loop *loop) {
    loop->ops->loop_stop(loop);
}

void sys_loop_turn(struct sys_loop *loop, int64_t timeout_ms) {
    assert(loop->ops->loop_turn != NULL);
    loop->ops->loop_turn(loop, timeout_ms);
}

int sys_loop_fd(const struct sys_loop *loop) {
    assert(loop->ops->loop_fd != NULL);
    return loop->ops->loop_fd(loop);
}

int64_t sys_loop_deadline_ms(const struct sys_loop *loop) {
    assert(loop->ops->loop_deadline_ms != NULL);
    return loop->ops->loop_deadline_ms(loop);
}

void sys_loop_wake(struct sys_loop *loop) {
    assert(loop->ops->loop_wake != NULL);
    loop->ops->loop_wake(loop);
}

struct sys *sys_loop_sys(struct sys_loop *loop) {
    return loop->sys;
}

bool sys_loop_is_current(const struct sys_loop *loop) {
    return loop->ops->loop_is_current(loop);
}

int64_t sys_loop_now_ms(const struct sys_loop *loop) {
    return loop->now_ms;
}

void sys_loop_stats_take(struct sys_loop *loop, struct sys_loop_stats *ret_stats) {
    loop->ops->loop_stats_take(loop, ret_stats);
}

void sys_loop_post(struct sys_loop *loop, struct sys_task *task) {
    assert(task->run != NULL);
    loop->ops->loop_post(loop, task);
}

/* --- timers --- */

static const struct sys_timer *timer_of(const struct heap_node *node) {
    return (const struct sys_timer *)((const char *)node - offsetof(struct sys_timer, node));
}

static bool timer_before(const struct heap_node *a, const struct heap_node *b) {
    const struct sys_timer *left = timer_of(a);
    const struct sys_timer *right = timer_of(b);
    return left->deadline_ms != right->deadline_ms ? left->deadline_ms < right->deadline_ms
                                                   : left->order < right->order;
}

static void timers_changed(struct sys_loop *loop) {
    if (loop->ops->loop_timers_changed != NULL) {
        loop->ops->loop_timers_changed(loop);
    }
}

/* A deadline in the past becomes now, so that a timer that sets itself again and again lines up
 * behind the others that are due. */
void sys_timer_set(struct sys_loop *loop, struct sys_timer *timer, int64_t deadline_ms) {
    assert(timer->fire != NULL);
    timer->deadline_ms = deadline_ms < loop->now_ms ? loop->now_ms : deadline_ms;
    timer->order = loop->timer_order++;
    if (heap_contains(&timer->node)) {
        heap_update(&loop->timers, &timer->node);
    } else {
        heap_push(&loop->timers, &timer->node);
    }
    timers_changed(loop);
}

void sys_timer_clear(struct sys_loop *loop, struct sys_timer *timer) {
    if (heap_contains(&timer->node)) {
        heap_remove(&loop->timers, &timer->node);
        timers_changed(loop);
    }
}

void sys_loop_init(struct sys_loop *loop, const struct sys_ops *ops, struct sys *sys) {
    *loop = (struct sys_loop){.ops = ops, .sys = sys};
    loop->now_ms = sys_mono_ms(sys);
    heap_init(&loop->timers, timer_before);
}

void sys_loop_done(struct sys_loop *loop) {
    heap_done(&loop->timers);
}

int64_t sys_loop_next_deadline_ms(const struct sys_loop *loop) {
    const struct heap_node *top = heap_top(&loop->timers);
    return top == NULL ? INT64_MAX : timer_of(top)->deadline_ms;
}

struct sys_timer *sys_loop_take_due_timer(struct sys_loop *loop, uint64_t order_limit) {
    struct heap_node *top = heap_top(&loop->timers);
    if (top == NULL) {
        return NULL;
    }
    struct sys_timer *timer = container_of(top, struct sys_timer, node);
    if (timer->deadline_ms > loop->now_ms || timer->order >= order_limit) {
        return NULL;
    }
    heap_remove(&loop->timers, top);
    return timer;
}
