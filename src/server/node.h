#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text_log.h"
#include "config/config.h"
#include "metrics/metrics.h"
#include "sys/loop.h"
#include "sys/sys.h"

/*
 * A node: broker and controller in one object, over one outside world.
 *
 *   node_new ──► node_start ──► started(OK) ──► serving ──► node_stop ──► stopped ──► node_free
 *                                   └── started(error): node_stop is still due
 *
 * Nothing of a node is global: many may live in one process. After node_start everything happens on
 * its reactors; the two callbacks come on reactor 0.
 */
struct node;

struct node_settings {
    struct sys *sys;
    struct text_log *text_log; /* outlives the node */
    struct config *config;     /* a reference is taken */
    bool auto_format;          /* format empty log directories (ottla.auto.format, or no file) */

    /* OK: clients are being served. An error: the node cannot start; `text` is a sentence for the
     * operator. */
    void (*started)(void *arg, err_t err, const char *text);
    /* All is closed. The reactors still run; sys_loop_stop them, join, then node_free. */
    void (*stopped)(void *arg);
    /* The node cannot go on (the disk of the metadata log failed): the process should end. */
    void (*failed)(void *arg, const char *text);
    void *arg;
};

/* Makes the reactors and what needs no disk. */
err_t node_new(const struct node_settings *settings, struct node **ret_node);

/* After stopped, with the reactors joined. Accepts NULL. */
void node_free(struct node *node);

/* Starts the reactors. */
err_t node_start(struct node *node);

/* Any thread. Controlled shutdown: tells the controller, answers what is in flight, closes every
 * log cleanly. Calls `stopped` at the end. A second call does nothing. */
void node_stop(struct node *node);

/* Any thread: ends the reactors, after `stopped`. */
void node_end_loops(struct node *node);

/* Waits for the reactors' threads; Linux only. */
void node_join(struct node *node);

/* --- what others may ask: any thread --- */

bool node_is_ready(const struct node *node); /* serving, and not fenced */
bool node_is_live(const struct node *node);  /* its reactors turn */
struct metrics *node_metrics(struct node *node);
struct sys_loop *node_loop(struct node *node); /* reactor 0 */

/* The port of a listener by its name, after started: for settings with port 0. 0: no such. */
uint16_t node_port(const struct node *node, const char *listener);
