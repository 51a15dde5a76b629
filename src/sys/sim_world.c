/*
 * The clock and the scheduler.
 *
 * One step of the world runs one of all that could happen now, chosen by the seed: the earliest
 * moment that is due (a delivery, a call of the harness), or any actor that has work or whose call
 * returns. When nothing is due, the clock jumps to the next time at which something is.
 *
 *   actor           in_event  ready_ns   goes on when
 *   -------------   --------  --------   ------------------------------------------
 *   idle            no        past       due_ns: it has work
 *   after an event  no        future     then, when it has work (the event took processor time)
 *   in a call       yes       future     then
 *   hung            yes       never      the fault that holds it is removed, which sets ready_ns
 *   paused host     any       any        not before paused_until_ns
 *
 * Invariants
 *   1. current is set exactly while its fiber is entered.
 *   2. The clock moves only in step(), with no fiber entered.
 *   3. Hosts end (crash, power cut) and actors are freed only with no fiber entered.
 */
#include <stdlib.h>
#include <string.h>

#include "sys/lock.h"
#include "sys/sim_int.h"
#include "sys/sim_net_int.h"

/* What an event costs an actor before its next, and now and then: the machine was busy. */
enum {
    EVENT_COST_NS_MIN = 1000,
    EVENT_COST_NS_MAX = 20000,
    PREEMPTED_ONE_IN = 256,
    PREEMPTED_NS_MAX = 4 * 1000 * 1000,
};

struct harness_call {
    struct sim_moment moment; /* first */
    void (*call)(void *arg);
    void *arg;
};

static bool moment_before(const struct heap_node *a, const struct heap_node *b) {
    const struct sim_moment *x = container_of(a, struct sim_moment, node);
    const struct sim_moment *y = container_of(b, struct sim_moment, node);
    return x->time_ns != y->time_ns ? x->time_ns < y->time_ns : x->order < y->order;
}

struct sim_world *sim_world_new(uint64_t seed) {
    struct sim_world *world = calloc(1, sizeof *world);
    assert(world != NULL);
    struct rng seeds;
    rng_init(&seeds, seed);
    rng_init(&world->schedule, rng_next(&seeds));
    rng_init(&world->disk, rng_next(&seeds));
    rng_init(&world->network, rng_next(&seeds));
    rng_init(&world->harness, rng_next(&seeds));
    world->hash = seed;
    list_init(&world->hosts);
    heap_init(&world->moments, moment_before);
    world->net = sim_net_new(world);
    return world;
}

void sim_world_free(struct sim_world *world) {
    if (world == NULL) {
        return;
    }
    assert(world->current == NULL);
    world->trace = NULL;
    world->observe = NULL;
    struct list *link;
    while ((link = list_first(&world->hosts)) != NULL) {
        sim_host_free(container_of(link, struct sim_host, link));
    }
    sim_net_free(world->net);
    struct heap_node *node;
    while ((node = heap_top(&world->moments)) != NULL) {
        heap_remove(&world->moments, node);
        free(container_of(node, struct harness_call, moment.node)); /* only those are left */
    }
    heap_done(&world->moments);
    assert(world->actor_count == 0);
    free(world->actors);
    free(world);
}

int64_t sim_world_now_ms(const struct sim_world *world) {
    return world->now_ns / 1000000;
}

uint64_t sim_world_random(struct sim_world *world, uint64_t bound) {
    return rng_below(&world->harness, bound);
}

/* --- moments --- */

void sim_moment_add(struct sim_world *world, struct sim_moment *moment, int64_t delay_ns) {
    assert(delay_ns >= 0);
    moment->time_ns = world->now_ns + delay_ns;
    moment->order = world->moment_order++;
    heap_push(&world->moments, &moment->node);
}

void sim_moment_remove(struct sim_world *world, struct sim_moment *moment) {
    heap_remove(&world->moments, &moment->node);
}

static void run_harness_call(struct sim_world *world, struct sim_moment *moment) {
    (void)world;
    struct harness_call *call = container_of(moment, struct harness_call, moment);
    call->call(call->arg);
    free(call);
}

void sim_world_call_in(struct sim_world *world, int64_t delay_ms, void (*function)(void *arg),
                       void *arg) {
    struct harness_call *call = calloc(1, sizeof *call);
    assert(call != NULL);
    call->moment.run = run_harness_call;
    call->call = function;
    call->arg = arg;
    sim_moment_add(world, &call->moment, delay_ms * 1000000);
}

/* --- actors --- */

static void run_actor(void *arg) {
    struct sim_actor *actor = arg;
    actor->in_event = true;
    actor->work(actor);
    actor->in_event = false;
}

struct sim_actor *sim_actor_new(struct sim_host *host, const char *name, void *owner,
                                int64_t (*due_ns)(struct sim_actor *actor),
                                void (*work)(struct sim_actor *actor)) {
    struct sim_world *world = host->world;
    struct sim_actor *actor = calloc(1, sizeof *actor);
    assert(actor != NULL);
    actor->world = world;
    actor->host = host;
    snprintf(actor->name, sizeof actor->name, "%s", name);
    actor->ready_ns = world->now_ns;
    actor->call.what = "";
    actor->owner = owner;
    actor->due_ns = due_ns;
    actor->work = work;
    if (world->actor_count == world->actor_capacity) {
        world->actor_capacity = world->actor_capacity == 0 ? 32 : 2 * world->actor_capacity;
        world->actors = realloc(world->actors, world->actor_capacity * sizeof(struct sim_actor *));
        assert(world->actors != NULL);
    }
    world->actors[world->actor_count++] = actor;
    return actor;
}

void sim_actor_free(struct sim_actor *actor) {
    struct sim_world *world = actor->world;
    assert(actor != world->current);
    size_t place = 0;
    while (world->actors[place] != actor) {
        place++;
        assert(place < world->actor_count);
    }
    memmove(&world->actors[place], &world->actors[place + 1],
            (world->actor_count - place - 1) * sizeof(struct sim_actor *));
    world->actor_count--;
    sim_fiber_free(actor->fiber);
    free((char *)actor->call.path);
    free(actor);
}

void sim_record_work(struct sim_actor *actor, enum sim_event_kind kind) {
    sim_record(actor->world,
               &(struct sim_event){.kind = kind, .host = actor->host, .actor = actor->name});
}

void sim_wait(struct sim_world *world, int64_t duration_ns) {
    struct sim_actor *actor = world->current;
    if (actor == NULL) {
        return;
    }
    assert(sys_locks_held() == 0);
    actor->ready_ns = duration_ns == INT64_MAX ? INT64_MAX : world->now_ns + duration_ns;
    sim_fiber_leave(actor->fiber);
    assert(world->current == actor);
}

/* --- the scheduler --- */

static int64_t actor_next_ns(const struct sim_world *world, struct sim_actor *actor) {
    int64_t next_ns = actor->ready_ns;
    if (!actor->in_event) {
        int64_t due_ns = actor->due_ns(actor);
        next_ns = due_ns > next_ns ? due_ns : next_ns;
    }
    int64_t paused_ns = actor->host->paused_until_ns;
    next_ns = paused_ns > next_ns ? paused_ns : next_ns;
    return next_ns > world->now_ns ? next_ns : world->now_ns;
}

static int64_t event_cost_ns(struct sim_world *world) {
    if (rng_one_in(&world->schedule, PREEMPTED_ONE_IN)) {
        return sim_between(&world->schedule, EVENT_COST_NS_MAX, PREEMPTED_NS_MAX);
    }
    return sim_between(&world->schedule, EVENT_COST_NS_MIN, EVENT_COST_NS_MAX);
}

static void enter(struct sim_world *world, struct sim_actor *actor) {
    if (actor->fiber == NULL) {
        actor->fiber = sim_fiber_new(run_actor, actor);
    }
    world->current = actor;
    sim_fiber_enter(actor->fiber);
    world->current = NULL;
    if (!actor->in_event) {
        assert(sys_locks_held() == 0);
        actor->ready_ns = world->now_ns + event_cost_ns(world);
        if (actor->ended) {
            sim_actor_free(actor);
        }
    }
    if (world->crash_wanted) {
        sim_hosts_end_wanted(world);
    }
}

static void run_moment(struct sim_world *world) {
    struct sim_moment *moment = container_of(heap_top(&world->moments), struct sim_moment, node);
    heap_remove(&world->moments, &moment->node);
    moment->run(world, moment);
    if (world->crash_wanted) {
        sim_hosts_end_wanted(world);
    }
}

static int64_t moment_next_ns(const struct sim_world *world) {
    struct heap_node *top = heap_top(&world->moments);
    return top == NULL ? INT64_MAX : container_of(top, struct sim_moment, node)->time_ns;
}

/* Runs what is chosen of all that is due. False when nothing is; then *ret_next_ns says when. */
static bool run_one(struct sim_world *world, int64_t *ret_next_ns) {
    int64_t next_ns = moment_next_ns(world);
    bool moment_due = next_ns <= world->now_ns;
    uint64_t due_count = moment_due;
    struct sim_actor *chosen = NULL;
    for (size_t i = 0; i < world->actor_count; i++) {
        int64_t time_ns = actor_next_ns(world, world->actors[i]);
        if (time_ns <= world->now_ns) {
            due_count++;
            if (due_count == 1 || rng_below(&world->schedule, due_count) == 0) {
                chosen = world->actors[i];
            }
        } else if (time_ns < next_ns) {
            next_ns = time_ns;
        }
    }
    if (chosen != NULL) {
        enter(world, chosen);
    } else if (moment_due) {
        run_moment(world);
    }
    *ret_next_ns = next_ns;
    return due_count > 0;
}

/* One event, at limit_ns at the latest; false: there is none, and it is limit_ns now. */
static bool step(struct sim_world *world, int64_t limit_ns) {
    assert(world->current == NULL);
    for (;;) {
        int64_t next_ns;
        if (run_one(world, &next_ns)) {
            return true;
        }
        assert(next_ns > world->now_ns);
        if (next_ns > limit_ns) {
            world->now_ns = limit_ns;
            return false;
        }
        world->now_ns = next_ns;
    }
}

void sim_world_run_for(struct sim_world *world, int64_t duration_ms) {
    int64_t limit_ns = world->now_ns + duration_ms * 1000000;
    while (step(world, limit_ns)) {
    }
}

bool sim_world_run_until(struct sim_world *world, bool (*done)(void *arg), void *arg,
                         int64_t duration_ms_max) {
    int64_t limit_ns = world->now_ns + duration_ms_max * 1000000;
    while (!done(arg)) {
        if (!step(world, limit_ns)) {
            return done(arg);
        }
    }
    return true;
}

void sim_wait_until(struct sim_world *world, bool (*done)(void *arg), void *arg) {
    enum { LOOK_NS = 50000 };
    if (world->current == NULL) {
        bool happened = sim_world_run_until(world, done, arg, INT64_C(3600) * 1000);
        assert(happened);
        (void)happened;
        return;
    }
    while (!done(arg)) {
        sim_wait(world, LOOK_NS);
    }
}
