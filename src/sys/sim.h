#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "sys/sys.h"

/*
 * A simulated world: any number of hosts in one process, on one thread, under one virtual clock.
 * The same seed, and the same calls in the same order, give the same run to the last byte.
 *
 * Each host has a `struct sys` for the nodes on it, a disk (sys/sim_disk.h), and addresses on one
 * network (sys/sim_net.h). The world's scheduler plays the part of all processors: what would be a
 * thread is an *actor* (a started loop, each thread of a pool, sim_host_spawn), and whenever
 * several could go on, the seed chooses. They change places only
 *   - when a function that an actor was running returns (a task, a timer, a socket's readiness, a
 *     slice of a job), and
 *   - inside a call that may block on the disk or on a name. It takes virtual time, others run
 *     meanwhile, and the host may crash in the middle of it. No lock may be held there (asserted).
 * Time stands still between those points.
 *
 * Code that runs outside every actor (the test itself, functions of sim_world_call_in) may call
 * anything on a host's sys, too: its calls take no time and meet no injected fault, so it can look
 * at a disk at any moment.
 *
 * What the world made (loops, files, sockets, pools) is freed at a crash. What the node allocated
 * is abandoned, as by a real crash, and leaks: harnesses run a batch of seeds per process.
 */
struct sim_world;
struct sim_host;

struct sim_world *sim_world_new(uint64_t seed);
void sim_world_free(struct sim_world *world); /* accepts NULL */

/* --- time: only outside actors --- */

#define SIM_START_WALL_MS INT64_C(1767225600000) /* 2026-01-01 00:00:00 UTC */

/* Virtual milliseconds since the world began. */
int64_t sim_world_now_ms(const struct sim_world *world);

void sim_world_run_for(struct sim_world *world, int64_t duration_ms);

/* Runs until `done` says so (asked after every event) or the time has passed; whether it did. */
bool sim_world_run_until(struct sim_world *world, bool (*done)(void *arg), void *arg,
                         int64_t duration_ms_max);

/* Calls a function, outside all actors, after a delay. */
void sim_world_call_in(struct sim_world *world, int64_t delay_ms, void (*call)(void *arg),
                       void *arg);

/* Random numbers of the seed for the harness, apart from those that the world draws. */
uint64_t sim_world_random(struct sim_world *world, uint64_t bound);

/* --- hosts --- */

/* ip: "10.0.0.1"; the host also has the IPv6 address fd00::10.0.0.1, and loopback. The name can be
 * resolved by all. The host is up and empty. It lives as long as the world. */
struct sim_host *sim_host_new(struct sim_world *world, const char *name, const char *ip);
struct sys *sim_host_sys(struct sim_host *host); /* the same through all crashes */
const char *sim_host_name(const struct sim_host *host);

/* Runs a function as a thread of the host, once: for what a process does in main. */
void sim_host_spawn(struct sim_host *host, const char *name, void (*run)(void *arg), void *arg);

/*
 * The process ends as by SIGKILL: all actors, loops, pools, sockets, files and locks of the host
 * vanish, and none of its code runs any more. Peers see their connections end. The disk keeps
 * every byte written. From inside one of the host's actors it takes effect at the actor's next
 * point of change.
 */
void sim_host_crash(struct sim_host *host);

/* As sim_host_crash, and the machine goes dark: peers are told nothing, and the disk loses what was
 * not synced, in the ways that sys/file.h and sys/sim_disk.h say. */
void sim_host_power_cut(struct sim_host *host);

/* The host is up again after a crash or a power cut, with no actors yet. */
void sim_host_restart(struct sim_host *host);

/* The host stands still, all its actors, for a time; peers see only silence. */
void sim_host_pause(struct sim_host *host, int64_t duration_ms);
bool sim_host_is_up(const struct sim_host *host);

/* Settings; at any time. */
void sim_host_set_wall_offset(struct sim_host *host, int64_t offset_ms);
void sim_host_set_file_limit(struct sim_host *host, uint64_t files_max); /* files and sockets */
void sim_host_set_processor_count(struct sim_host *host, int count);

/* --- events --- */

enum sim_event_kind {
    SIM_EVENT_TASK, /* an actor begins a posted task, */
    SIM_EVENT_TIMER,
    SIM_EVENT_SOCKET,
    SIM_EVENT_SLICE,
    SIM_EVENT_THREAD,
    SIM_EVENT_CALL,    /* a blocking call begins; what: its class, path; a: position, b: size */
    SIM_EVENT_RETURN,  /* and returns, with err */
    SIM_EVENT_FAULT,   /* a fault is injected into a call; what: the fault */
    SIM_EVENT_CONNECT, /* a connection is made; a: its number */
    SIM_EVENT_DELIVER, /* bytes arrive; a: connection, b: size */
    SIM_EVENT_RESET,   /* a: connection */
    SIM_EVENT_CRASH,
    SIM_EVENT_POWER_CUT,
    SIM_EVENT_LOST,   /* of a power cut: path lost unsynced bytes; a: sectors, b: size now */
    SIM_EVENT_UNDONE, /* of a power cut: a change of the name `path` was undone */
    SIM_EVENT_RESTART,
    SIM_EVENT_NOTE, /* sim_world_note */
};

struct sim_event {
    enum sim_event_kind kind;
    struct sim_host *host; /* NULL when none is concerned */
    const char *actor;     /* name, or "" */
    const char *what;      /* or "" */
    const char *path;      /* or "" */
    uint64_t a;
    uint64_t b;
    err_t err;
};

const char *sim_event_name(enum sim_event_kind kind);

/* Called for every event, maybe in the middle of an actor: it takes notes, calls nothing on a sys,
 * and may ask for a crash. One observer; NULL: none. */
void sim_world_observe(struct sim_world *world,
                       void (*observe)(void *arg, const struct sim_event *event), void *arg);

/* Writes every event as a line. NULL: no more. The file is the caller's. */
void sim_world_trace(struct sim_world *world, FILE *file);

/* Puts a line into the trace, and into the hash. */
void sim_world_note(struct sim_world *world, const char *what);

/* A rolling hash of all events with their times and contents: equal for equal runs. */
uint64_t sim_world_trace_hash(const struct sim_world *world);
uint64_t sim_world_event_count(const struct sim_world *world);

/* The blocking calls that the host's actors are in at this moment. */
void sim_host_each_call(struct sim_host *host,
                        void (*visit)(void *arg, const struct sim_event *call), void *arg);
