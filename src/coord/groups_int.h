#pragma once

#include "coord/group_int.h"
#include "coord/transactions.h"

/*
 * A shard's state machine as its owner drives it: shard.c over a partition, tests over a log in
 * memory. The kinds of groups need none of this. All on the shard's loop, except groups_call.
 *
 *   groups_new ──► groups_replay … ──► groups_activate ──► groups_unload ──► groups_replay …
 */
struct groups_options {
    const struct coord_kind *kind;
    const struct coord_world *world; /* of transactions; stays */
    struct sys_loop *loop;
    struct sys_pool *pool; /* for jobs */
    struct text_log *text_log;
    int32_t partition;
    struct strand_log log;
    int32_t mailbox_max;
    struct meta_image *image; /* references are taken */
    struct config *config;
    void (*stepped)(void *arg); /* after each step; may be NULL */
    void *stepped_arg;
};

struct groups_runtime {
    struct strand *strand;
    struct sys_loop *loop;
    struct sys_pool *pool;
    struct heap timers; /* struct group_timer */
    uint64_t timer_order;
    struct group_op *tick; /* scheduled for the first timer, or earlier; NULL: none */
    struct list waits;     /* struct group_wait */
    struct list unsaid;    /* struct group_op: answers that wait for a commit, the oldest first */
    struct sys_timer overdue;
    struct list jobs; /* struct group_job: on a worker, or on the way back */
    const struct coord_world *world;
    err_t unload_err;
    void (*stepped)(void *arg);
    void *stepped_arg;
    struct group_timer expiry; /* these two: offsets_expiry.c's */
    size_t expiry_cursor;
};

struct groups *groups_new(const struct groups_options *options, err_t unloaded_err);

/* Unloaded, and groups_pending is 0. Accepts NULL. */
void groups_free(struct groups *groups);

/* Calls, inner operations and jobs that are not through yet. */
int32_t groups_pending(const struct groups *groups);

/* Any thread: the call goes to this shard. */
void groups_call(struct groups *groups, struct coord_call *call, const struct coord_api *api);

/* Any thread: answers a call with an error, on its own loop. */
void groups_call_refuse(struct coord_call *call, const struct coord_api *api, err_t err);

/* An operation of the coordinator's own, as soon as possible. Only while active. `done` may be
 * NULL; it comes when the records are committed. */
typedef err_t (*groups_inner_fn)(struct group_step *step, void *context);
typedef void (*groups_inner_done_fn)(struct groups *groups, void *context, err_t err);
void groups_run(struct groups *groups, groups_inner_fn fn, groups_inner_done_fn done,
                void *context);

/* --- the life of a shard --- */

/* Committed records, in order; not while active. `record->key` may be of any known type. */
void groups_replay(struct groups *groups, void *const *records, int32_t count,
                   int64_t first_offset);

/* All is replayed, and we lead: sessions and timers begin, requests are taken. */
void groups_activate(struct groups *groups);

/* Whatever the state: drops it, and fails what waits and what comes with this error. */
void groups_unload(struct groups *groups, err_t err);

/* The image or the settings moved on. */
void groups_set_view(struct groups *groups, struct meta_image *image, struct config *config,
                     const struct coord_image_change *change);

/* For its log's owner: strand_committed, strand_append_done. */
struct strand *groups_strand(const struct groups *groups);

/* --- records as bytes --- */

/* Appends key and value (nothing for a tombstone) as they are in the log. */
err_t coord_record_encode(const struct coord_kind *kind, const struct coord_record *record,
                          struct buffer *key, struct buffer *value);

/* What cannot be decoded, or is not acted upon, comes as GROUP_RECORD_FOREIGN; MALFORMED only for a
 * key that is none. The structs are in the arena, strings point into the bytes. */
err_t coord_record_decode(const struct coord_kind *kind, struct bytes key, struct bytes value,
                          struct arena *arena, struct coord_record *ret_record);

/* Records that are only kept. */
void groups_apply_foreign(struct groups *groups, const struct coord_record *record);
void groups_forget_foreign(struct groups *groups);
void groups_add_foreign(struct group_step *step); /* all of them, as they were */

/* --- between the files of the runtime: groups.c, steps.c, calls.c --- */

enum op_kind { OP_CALL, OP_TICK, OP_JOB, OP_INNER };

/* What the strand takes. */

struct group_op {
    struct strand_op op;
    struct groups *groups;
    enum op_kind kind;
    struct group_step step;
    bool stepped;
    bool settled;
    err_t outcome;         /* of step and append, once settled */
    struct list unsaid;    /* in the runtime's */
    int64_t unsaid_ms_max; /* mono_ms: answered until then, committed or not */
    struct group_job *job; /* OP_JOB */
    int64_t deadline_ms;   /* OP_TICK */
    groups_inner_fn inner; /* OP_INNER */
    groups_inner_done_fn inner_done;
    void *inner_context;
};

struct group_op *group_op_new(struct groups *groups, enum op_kind kind);
void groups_arm_tick(struct groups *groups);
void groups_take_records(void *state, void *const *records, int32_t record_count,
                         int64_t first_offset);

/* The response of a call that failed; and the call on its way back to its loop. */
void coord_call_fail(struct coord_call *call, err_t err);

/* The same for one that nobody looked at yet; on the shard's loop. */
void coord_call_turn_away(struct coord_call *call, const struct groups *groups, err_t err);
void coord_call_return(struct coord_call *call, bool here);

/* The step is settled: its answers wait until it is committed, or the kind's answer_ms_max. */
void groups_await_commit(struct group_op *op);
void groups_committed(struct group_op *op); /* or lost */

/* Everybody who waits is answered with an error. */
void groups_fail_waits(struct groups *groups, err_t err);
