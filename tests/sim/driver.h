#pragma once

#include <stdbool.h>

struct run;

/*
 * What is simulated: how its nodes are started and stopped, and which clients work on it. A run
 * (run.h) does the rest: the world, the faults, the crashes and restarts, the verdict.
 *
 * All calls come from outside actors. The driver reads the lines config, topic and client of the
 * scenario, tells the auditor (run->audit) what was sent, answered and read, and may count points.
 */
struct driver {
    const char *name;

    /* The hosts of the nodes are up and empty. Makes hosts for the clients and starts them; they
     * try until a node answers. */
    void *(*begin)(struct run *run);

    /* The host is up, with an empty or an old disk: starts the node's process on it. When it cannot
     * start, or ends by itself, run_node_exited is called. */
    void (*start_node)(void *state, int node);

    /* Begins an orderly stop; run_node_exited tells when the process ends. */
    void (*stop_node)(void *state, int node);

    /* The node's process is gone: crashed, out of power or exited. Drops what belonged to it. */
    void (*node_gone)(void *state, int node);

    /* All nodes are up and nothing goes wrong any more: the clients come to an end, and then all
     * logs are walked from begin to end. */
    void (*finish)(void *state);
    bool (*is_finished)(void *state);

    /* What it is that does not come to its end, for people; may be NULL. */
    const char *(*waits_for)(void *state);

    void (*end)(void *state);
};

/* drivers.c: by the scenario's "driver NAME"; NULL: unknown. */
const struct driver *driver_find(const char *name);
