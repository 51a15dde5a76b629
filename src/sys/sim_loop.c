/*
 * Loops of the simulated world. One event of a loop is one function: a posted task, a timer, or a
 * socket's readiness; which of the three kinds goes first is the seed's choice, as it depends on
 * chance in a real loop. Tasks stay in the order of posting, timers in that of their deadlines.
 */
#include <stdlib.h>
#include <string.h>

#include "sys/sim_int.h"
#include "sys/sim_net_int.h"

static struct sim_loop *sim(const struct sys_loop *loop) {
    return container_of(loop, struct sim_loop, loop);
}

static struct sim_host *host_of(const struct sim_loop *loop) {
    return sim_host_of(loop->loop.sys);
}

static struct sim_world *world_of(const struct sim_loop *loop) {
    return host_of(loop)->world;
}

err_t sim_loop_new(struct sys *sys, const char *name, struct sys_loop **ret_loop) {
    struct sim_loop *loop = calloc(1, sizeof *loop);
    assert(loop != NULL);
    sys_loop_init(&loop->loop, &sim_ops, sys);
    snprintf(loop->name, sizeof loop->name, "%s", name);
    list_init(&loop->tasks);
    list_init(&loop->ready);
    list_add_last(&sim_host_of(sys)->loops, &loop->link);
    *ret_loop = &loop->loop;
    return ERR_OK;
}

static void loop_drop(struct sim_loop *loop) {
    list_remove(&loop->link);
    if (loop->actor != NULL) {
        sim_actor_free(loop->actor);
    }
    sys_loop_done(&loop->loop);
    free(loop);
}

void sim_loop_free(struct sys_loop *base) {
    struct sim_loop *loop = sim(base);
    assert(loop->actor == NULL || loop->stopped || loop->by_turns);
    assert(loop->actor == NULL || !loop->actor->in_event);
    assert(list_empty(&loop->ready));
    loop_drop(loop);
}

void sim_loops_drop(struct sim_host *host) {
    struct list *link;
    while ((link = list_first(&host->loops)) != NULL) {
        loop_drop(container_of(link, struct sim_loop, link));
    }
}

/* --- running --- */

static int64_t loop_due_ns(struct sim_actor *actor) {
    struct sim_loop *loop = actor->owner;
    if (loop->stopped || (loop->by_turns && !loop->turning)) {
        return INT64_MAX;
    }
    if (!list_empty(&loop->tasks) || loop->ready_count > 0 || loop->woken) {
        return INT64_MIN;
    }
    int64_t deadline_ms = sys_loop_next_deadline_ms(&loop->loop);
    if (loop->by_turns && loop->turn_end_ms < deadline_ms) {
        deadline_ms = loop->turn_end_ms;
    }
    if (deadline_ms >= INT64_MAX / 1000000) {
        return INT64_MAX;
    }
    return deadline_ms * 1000000;
}

static void run_task(struct sim_loop *loop) {
    struct list *link = list_take_first(&loop->tasks);
    struct sys_task *task = container_of(link, struct sys_task, link);
    sim_record_work(loop->actor, SIM_EVENT_TASK);
    task->run(task);
}

static void run_timer(struct sim_loop *loop) {
    struct sys_timer *timer = sys_loop_take_due_timer(&loop->loop, UINT64_MAX);
    assert(timer != NULL);
    sim_record_work(loop->actor, SIM_EVENT_TIMER);
    timer->fire(timer);
}

static void run_socket(struct sim_loop *loop) {
    enum { CHOICE_MAX = 8 };
    size_t choice_count = loop->ready_count < CHOICE_MAX ? loop->ready_count : CHOICE_MAX;
    struct list *link = loop->ready.next;
    for (uint64_t skip = rng_below(&world_of(loop)->schedule, choice_count); skip > 0; skip--) {
        link = link->next;
    }
    sim_record_work(loop->actor, SIM_EVENT_SOCKET);
    sim_socket_run(container_of(link, struct sim_socket, ready_link));
}

static void loop_work(struct sim_actor *actor) {
    struct sim_loop *loop = actor->owner;
    struct sim_world *world = actor->world;
    int64_t begin_ns = world->now_ns;
    loop->loop.now_ms = begin_ns / 1000000;

    void (*choices[3])(struct sim_loop *);
    size_t count = 0;
    if (!list_empty(&loop->tasks)) {
        choices[count++] = run_task;
    }
    if (sys_loop_next_deadline_ms(&loop->loop) <= loop->loop.now_ms) {
        choices[count++] = run_timer;
    }
    if (loop->ready_count > 0) {
        choices[count++] = run_socket;
    }
    assert(count > 0 || loop->by_turns);
    if (count > 0) {
        choices[count == 1 ? 0 : rng_below(&world->schedule, count)](loop);
    }
    loop->turning = false;
    loop->woken = false;
    if (loop->turner != NULL) {
        loop->turner->ready_ns = world->now_ns;
        loop->turner = NULL;
    }

    int64_t took_ns = world->now_ns - begin_ns;
    loop->busy_ns += took_ns;
    loop->turns++;
    loop->stall_max_ns = took_ns > loop->stall_max_ns ? took_ns : loop->stall_max_ns;
}

err_t sim_loop_start(struct sys_loop *base) {
    struct sim_loop *loop = sim(base);
    assert(loop->actor == NULL);
    loop->actor = sim_actor_new(host_of(loop), loop->name, loop, loop_due_ns, loop_work);
    return ERR_OK;
}

static bool has_ended(void *arg) {
    struct sim_loop *loop = arg;
    return loop->stopped && !loop->actor->in_event;
}

void sim_loop_join(struct sys_loop *base) {
    struct sim_loop *loop = sim(base);
    assert(!sim_loop_is_current(base));
    if (loop->actor != NULL) {
        sim_wait_until(world_of(loop), has_ended, loop);
    }
}

void sim_loop_run(struct sys_loop *base) {
    (void)sim_loop_start(base);
    sim_loop_join(base);
}

/* --- a turn at a time: one event of the loop, while the caller waits --- */

static bool has_turned(void *arg) {
    struct sim_loop *loop = arg;
    return !loop->turning && !loop->actor->in_event;
}

void sim_loop_turn(struct sys_loop *base, int64_t timeout_ms) {
    struct sim_loop *loop = sim(base);
    if (loop->actor == NULL) {
        (void)sim_loop_start(base);
        loop->by_turns = true;
    }
    assert(loop->by_turns);
    assert(!loop->turning);
    int64_t now_ms = world_of(loop)->now_ns / 1000000;
    bool forever = timeout_ms < 0 || timeout_ms >= INT64_MAX / 1000000 - now_ms;
    loop->turn_end_ms = forever ? INT64_MAX : now_ms + timeout_ms;
    loop->turning = true;
    loop->turner = world_of(loop)->current;
    if (loop->turner == NULL) {
        sim_wait_until(world_of(loop), has_turned, loop);
    }
    while (!has_turned(loop)) {
        sim_wait(world_of(loop), INT64_MAX); /* until loop_work sets it free */
    }
}

int64_t sim_loop_deadline_ms(const struct sys_loop *base) {
    const struct sim_loop *loop = sim(base);
    return !list_empty(&loop->tasks) || loop->ready_count > 0 ? world_of(loop)->now_ns / 1000000
                                                              : sys_loop_next_deadline_ms(base);
}

void sim_loop_wake(struct sys_loop *base) {
    sim(base)->woken = true;
}

void sim_loop_stop(struct sys_loop *base) {
    sim(base)->stopped = true;
}

bool sim_loop_is_current(const struct sys_loop *base) {
    const struct sim_loop *loop = sim(base);
    const struct sim_actor *current = world_of(loop)->current;
    return current != NULL && current == loop->actor;
}

void sim_loop_stats_take(struct sys_loop *base, struct sys_loop_stats *ret_stats) {
    struct sim_loop *loop = sim(base);
    *ret_stats = (struct sys_loop_stats){
        .stall_max_ns = loop->stall_max_ns,
        .busy_ns = loop->busy_ns,
        .turns = loop->turns,
    };
    loop->stall_max_ns = 0;
}

void sim_loop_post(struct sys_loop *base, struct sys_task *task) {
    list_add_last(&sim(base)->tasks, &task->link);
}
