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
 * The coordinators of a node, of groups or of transactions: one shard for each partition of
 * __consumer_offsets or __transaction_state, which works while this node leads it. A shard is a
 * state machine on a strand over that partition's log; it lives on one of the node's loops,
 * partition p on loop p modulo their number.
 *
 * A request is a call: a struct that its owner keeps, next to the decoded request. Whether the
 * client may do what it asks was settled before. Calls may be made on any thread.
 */
struct coord;
struct coord_kind;
struct coord_world;
struct config;
struct meta_changes;
struct meta_image;
struct partition_txn;
struct replicas;
struct sys_pool;

/* --- life: on the first loop --- */

extern const struct coord_kind coord_groups_kind;
extern const struct coord_kind coord_transactions_kind;

struct coord_settings {
    const struct coord_kind *kind;
    const struct coord_world *world; /* of transactions, see transactions.h; borrowed */
    struct sys *sys;
    struct sys_loop **loops; /* the node's; borrowed */
    int loop_count;
    struct sys_pool *pool; /* for long work of groups */
    struct text_log *text_log;
    int32_t node_id;
    struct replicas *replicas;
    struct config *config; /* references are taken */
    struct meta_image *image;
};

struct coord *coord_new(const struct coord_settings *settings);
void coord_free(struct coord *coord); /* it was stopped, the loops are joined. Accepts NULL */

/*
 * The image or the node's settings moved on: shards are loaded where this node leads now, and
 * unloaded where it does no more; groups learn of topics. `replicas` has seen the image before.
 * changes NULL: anything may have changed. The first call starts the shards.
 */
void coord_update(struct coord *coord, struct meta_image *image, struct config *config,
                  const struct meta_changes *changes);

/* Answers everybody who waits with NOT_COORDINATOR, gives the partitions back, then calls stopped.
 */
void coord_stop(struct coord *coord, void (*stopped)(void *arg), void *arg);

/* --- requests: any thread --- */

/* The partition that a group or a transactional id belongs to, as Kafka places it. */
int32_t coord_partition(const struct coord *coord, struct str id);
int32_t coord_partition_count(const struct coord *coord);

struct coord_call {
    int16_t api_key;        /* enum api_key; a row of apis.c or txn_apis.c */
    int16_t version;        /* of the request */
    struct str client_id;   /* null: none */
    struct str client_host; /* "/127.0.0.1" */
    struct arena *arena;    /* nobody else uses it until the call is done */
    const void *request;    /* stays, with all it points at, until the call is done */
    struct sys_loop *loop;  /* where done is called */
    /* About so many bytes may be answered yet, by all parts of a request together; what it asks for
     * beyond is refused with INVALID_REQUEST. NULL: there is no bound. */
    _Atomic int64_t *room;
    /* TxnOffsetCommit: what was verified; WriteTxnMarkers: what is ended. NULL: nothing is known.
     */
    const struct partition_txn *txn;

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

/* To the shard of the call's group or transactional id. */
void coord_submit(struct coord *coord, struct coord_call *call);
/* Makes the filters of a ListGroups what shards expect, in place: words that there are, each once.
 * Once for all shards, however many a stranger sends. */
struct list_groups_request;
void coord_group_filters_prepare(struct list_groups_request *request);

/* To a shard by its number: a part of a request about many groups. */
void coord_submit_to(struct coord *coord, struct coord_call *call, int32_t partition);

/* On the call's loop: the client is gone, `done` comes soon, and what it brings is worth nothing.
 */
void coord_cancel(struct coord_call *call);
