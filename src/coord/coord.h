#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/list.h"
#include "base/text_log.h"
#include "sys/loop.h"

/*
 * The group coordinators of a node: one shard for each partition of __consumer_offsets that this
 * node leads. A shard is a state machine on a strand over that partition's log; it lives on one of
 * the node's loops, partition p on loop p modulo their number.
 *
 * A request is a call: a struct that its owner keeps, next to the decoded request. Whether the
 * client may do what it asks was settled before. Calls may be made on any thread.
 */
struct coord;

struct coord_call {
    int16_t api_key;        /* enum api_key; a row of apis.c */
    int16_t version;        /* of the request */
    struct str client_id;   /* null: none */
    struct str client_host; /* "/127.0.0.1" */
    struct arena *arena;    /* nobody else uses it until the call is done */
    const void *request;    /* stays, with all it points at, until the call is done */
    struct sys_loop *loop;  /* where done is called */

    /* The response is complete in the arena, and what it says is committed. Errors are in it, where
     * the protocol has them. */
    void (*done)(struct coord_call *call);
    void *response;

    /* The coordinator's. Zero-initialise. */
    struct list link;
    struct sys_task task;
    struct sys_task cancel_task;
    const struct coord_api *api;
    struct groups *groups;   /* of the shard */
    struct group_wait *wait; /* where it is parked; the shard's loop only */
    bool stands;             /* the answer is given whatever becomes of the step */
    bool cancelling;         /* these two: the call's loop only */
    bool answered;
};

/* On the call's loop: the client is gone, `done` comes soon, and what it brings is worth nothing.
 */
void coord_cancel(struct coord_call *call);
