#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/rng.h"
#include "sys/sim.h"
#include "sys/sim_disk.h"
#include "sys/sim_fiber.h"
#include "sys/sys_int.h"

/*
 * What the files of the simulated world share. From the bottom:
 *
 *   sim_fiber    a stack that can stop in the middle
 *   sim_trace    events: hash, trace, observer
 *   sim_world    clock, moments, actors, the scheduler, waiting
 *   sim_loop, sim_pool   the actors that nodes know of
 *   sim_inode    the bytes of one file: cached and stored
 *   sim_tree     names: directories, changes not yet synced, power cut
 *   sim_fault    injected faults and latencies of disk calls
 *   sim_file     sys/file.h over these
 *   sim_net      connections, links, delivery
 *   sim_socket   sys/socket.h over it
 *   sim_host     sys/sys.h, the table of operations, crash and restart
 */

/* --- moments: things that the world does at a time --- */

struct sim_moment {
    struct heap_node node;
    int64_t time_ns;
    uint64_t order;
    void (*run)(struct sim_world *world, struct sim_moment *moment); /* may free it */
};

/* --- actors --- */

struct sim_actor {
    struct sim_world *world;
    struct sim_host *host;
    char name[32];
    struct sim_fiber *fiber;
    bool in_event;         /* stopped in the middle of one */
    bool ended;            /* to be freed by the scheduler when it is in no event */
    int64_t ready_ns;      /* goes on not before; INT64_MAX: until somebody sets it */
    struct sim_event call; /* that it is in; what is "" when none */
    int hung_by;           /* the fault that holds it, or 0 */

    /* When there is work: INT64_MIN now, a time of the clock, or INT64_MAX. */
    int64_t (*due_ns)(struct sim_actor *actor);
    void (*work)(struct sim_actor *actor); /* on the fiber: one event */
    void *owner;
};

struct sim_net;

struct sim_world {
    int64_t now_ns;
    struct rng schedule; /* who is next, and for how long */
    struct rng disk;
    struct rng network;
    struct rng harness;
    struct list hosts;
    uint32_t host_count;
    struct sim_actor **actors;
    size_t actor_count;
    size_t actor_capacity;
    struct sim_actor *current; /* whose fiber is entered; NULL outside */
    bool crash_wanted;         /* by some host */
    struct heap moments;
    uint64_t moment_order;
    struct sim_net *net;

    uint64_t hash;
    uint64_t event_count;
    FILE *trace;
    void (*observe)(void *arg, const struct sim_event *event);
    void *observe_arg;
};

enum sim_host_end { SIM_END_NONE, SIM_END_CRASH, SIM_END_POWER_CUT };

struct sim_tree;

struct sim_host {
    struct sys sys; /* first */
    struct sim_world *world;
    struct list link;
    char *name;
    uint32_t number; /* from 1 */
    uint8_t ip[4];
    bool up;
    bool dark; /* no power */
    enum sim_host_end end_wanted;
    int64_t wall_offset_ms;
    int64_t paused_until_ns;
    uint64_t files_max;
    uint64_t files_open;
    int processor_count;
    struct rng random;

    struct list loops;
    struct list pools;
    struct list files;
    struct list sockets;

    struct sim_tree *tree;
    struct list faults;
    int fault_last;
    int64_t latency_ns[6][2]; /* per class of call: least, most */
    uint16_t port_last;
};

static inline struct sim_host *sim_host_of(struct sys *sys) {
    return (struct sim_host *)sys;
}

extern const struct sys_ops sim_ops;

/* sim_trace.c */
void sim_record(struct sim_world *world, const struct sim_event *event);
void sim_hash_bytes(struct sim_world *world, const void *data, size_t size);
void sim_hash_number(struct sim_world *world, uint64_t number);

/* sim_world.c */
void sim_moment_add(struct sim_world *world, struct sim_moment *moment, int64_t delay_ns);
void sim_moment_remove(struct sim_world *world, struct sim_moment *moment);

struct sim_actor *sim_actor_new(struct sim_host *host, const char *name, void *owner,
                                int64_t (*due_ns)(struct sim_actor *actor),
                                void (*work)(struct sim_actor *actor));

/* Not in an event. */
void sim_actor_free(struct sim_actor *actor);

/* Stops the current actor for a time, INT64_MAX: until ready_ns is set; nothing outside actors. */
void sim_wait(struct sim_world *world, int64_t duration_ns);

/* Lets the world go on until a condition holds: from an actor or from outside. */
void sim_wait_until(struct sim_world *world, bool (*done)(void *arg), void *arg);

/* An event of the current actor begins. */
void sim_record_work(struct sim_actor *actor, enum sim_event_kind kind);

/* Evenly between, both included. */
static inline int64_t sim_between(struct rng *rng, int64_t least, int64_t most) {
    assert(least <= most);
    return least + (int64_t)rng_below(rng, (uint64_t)(most - least) + 1);
}

/* sim_loop.c, sim_pool.c */
struct sim_loop {
    struct sys_loop loop;    /* first */
    struct list link;        /* of the host */
    struct sim_actor *actor; /* NULL until started, or the first turn */
    char name[16];
    bool stopped;
    bool by_turns; /* somebody runs it a turn at a time: it does nothing between turns */
    bool turning;
    bool woken;
    struct sim_actor *turner; /* the actor that waits for the turn's end; NULL: none, or no actor */
    int64_t turn_end_ms;
    struct list tasks;
    struct list ready; /* sim_socket.ready_link */
    size_t ready_count;
    int64_t stall_max_ns;
    int64_t busy_ns;
    uint64_t turns;
};

err_t sim_loop_new(struct sys *sys, const char *name, struct sys_loop **ret_loop);
void sim_loop_free(struct sys_loop *loop);
err_t sim_loop_start(struct sys_loop *loop);
void sim_loop_join(struct sys_loop *loop);
void sim_loop_run(struct sys_loop *loop);
void sim_loop_stop(struct sys_loop *loop);
void sim_loop_turn(struct sys_loop *loop, int64_t timeout_ms);
int64_t sim_loop_deadline_ms(const struct sys_loop *loop);
void sim_loop_wake(struct sys_loop *loop);
bool sim_loop_is_current(const struct sys_loop *loop);
void sim_loop_stats_take(struct sys_loop *loop, struct sys_loop_stats *ret_stats);
void sim_loop_post(struct sys_loop *loop, struct sys_task *task);
void sim_loops_drop(struct sim_host *host); /* at a crash */

err_t sim_pool_new(struct sys *sys, const char *name, int thread_count, struct sys_pool **ret_pool);
void sim_pool_free(struct sys_pool *pool);
void sim_pool_submit(struct sys_pool *pool, struct sys_job *job);
int64_t sim_pool_depth(struct sys_pool *pool);
void sim_pools_drop(struct sim_host *host);

/* sim_host.c */
void sim_host_free(struct sim_host *host);
void sim_hosts_end_wanted(struct sim_world *world); /* the crashes that actors asked for */

/* Takes a descriptor; NO_FILES when none is left. */
err_t sim_host_take_file(struct sim_host *host);
void sim_host_give_file(struct sim_host *host);
