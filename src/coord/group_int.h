#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"
#include "config/config.h"
#include "coord/coord.h"
#include "coord/standing.h"
#include "meta/delta.h"
#include "meta/image.h"
#include "replica/partition.h"
#include "strand/strand.h"
#include "sys/worker.h"
#include "wire/messages.h"

/*
 * Inside the group coordinator: what the kinds of groups are written against.
 *
 *   request ─► coord_api.step ──┐
 *   timer   ─► group_timer.fire ├─► step(struct group_step *) ─► records ─► log ─► records.c: apply
 *   job     ─► group_job.finish ┘        │                                              │
 *                                        ├─► soft state, timers, jobs                   ▼
 *                                        └─► answers ──────── when the records are committed ──►
 *
 * A shard (struct groups) is one state machine: the groups of one partition of __consumer_offsets.
 * All of it belongs to one loop. A step sees the state and the clock, and does no I/O.
 *
 *   - Hard state, that which is in records, changes in apply only: when a step's records are
 *     appended, and when the log is replayed. Both call the same function.
 *   - Soft state (who waits, which session ends when) may change in the step itself. It is gone
 *     when the shard moves; `loaded` builds what can be built.
 *   - Between a step, its append, its apply and its `settled` no other step runs. If the append
 *     fails, apply is not called and settled gets the error.
 *   - Answers leave when all records appended up to the end of their step are committed. What
 *     they point at is copied at the end of the step, so they may borrow from the state.
 *
 * Kinds: classic*.c (the protocol of JoinGroup), consumer*.c (KIP-848), offsets*.c (what every
 * group has). A kind adds its requests to the table in apis.c, its records to the one in records.c,
 * and its struct group_ops.
 */

struct group_ops;
struct group_step;
struct groups;
struct groups_runtime;
struct offsets;

/* --- records --- */

/* What a step says of the transaction that a record is written in. */
struct coord_record_txn {
    int16_t producer_epoch;
    int32_t coordinator_epoch; /* of its end */
    struct partition_txn check;
};

/* A record of a coordinator's topic. The key's version on the disk is the record's type. */
struct coord_record {
    int16_t type;          /* enum group_record */
    int16_t value_version; /* -1: a tombstone */
    const void *key;       /* struct offset_commit_key and so on */
    const void *value;     /* NULL: a tombstone */
    int64_t producer_id;   /* of the transaction it was written in; -1: none */
    /* A step's: all its records are of this transaction, or they are one end of it. NULL: none. */
    const struct coord_record_txn *txn;
    bool again; /* a step's: it says what is known, so that the log before it can go */
};

enum group_record {
    GROUP_RECORD_LEGACY_OFFSET_COMMIT = 0,
    GROUP_RECORD_OFFSET_COMMIT = 1,
    GROUP_RECORD_GROUP_METADATA = 2,
    GROUP_RECORD_CONSUMER_GROUP_METADATA = 3,
    GROUP_RECORD_CONSUMER_GROUP_PARTITION_METADATA = 4,
    GROUP_RECORD_CONSUMER_GROUP_MEMBER_METADATA = 5,
    GROUP_RECORD_CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA = 6,
    GROUP_RECORD_CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER = 7,
    GROUP_RECORD_CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT = 8,
    GROUP_RECORD_CONSUMER_GROUP_REGULAR_EXPRESSION = 16,
    GROUP_RECORD_TYPES = 24, /* one above the last on the disk */

    /* A transaction's end: a control batch's record. Only producer_id counts. */
    GROUP_RECORD_TRANSACTION_COMMIT = 100,
    GROUP_RECORD_TRANSACTION_ABORT = 101,

    /* One that is not acted upon, of other kinds of groups or a newer release: key and value are
     * struct bytes. It is kept as it is. */
    GROUP_RECORD_FOREIGN = 102,
};

/* A row of the table in records.c. */
struct coord_record_kind {
    int16_t type; /* enum group_record */
    const char *name;
    const struct wire_type *key_type;
    const struct wire_type *value_type;
    int16_t value_version; /* that we write */
    /* Takes a record into the state; its memory is borrowed. groups->loading tells a replay. Bytes
     * from a disk may say anything: what makes no sense is passed over. */
    void (*apply)(struct groups *groups, const struct coord_record *record);
};

/* Of groups. NULL: a type that is not known, or not acted upon. */
const struct coord_record_kind *coord_record_kind(int16_t type);

/* --- groups --- */

enum group_type {
    GROUP_SIMPLE,  /* nothing but offsets: some client commits without being a member. Kafka shows
                      it as a classic group that is Empty, with the protocol type "" */
    GROUP_CLASSIC, /* group->part is a struct classic_group */
    GROUP_CONSUMER /* group->part is a struct consumer_group */
};

struct group {
    struct groups *groups;
    struct str id; /* behind the struct */
    enum group_type type;
    const struct group_ops *ops; /* of the type */
    void *part;                  /* of the type; NULL for GROUP_SIMPLE */
    struct offsets *offsets;     /* see offsets_int.h; NULL: none were ever committed */
    struct group_aside *aside;   /* groups.c's: see group_set_aside */
};

/* Who commits or fetches offsets, as the request says. */
struct group_caller {
    int16_t api_key; /* OffsetCommit, TxnOffsetCommit, OffsetFetch */
    int16_t version; /* of the request */
    struct str member_id;
    struct str instance_id;      /* null: none */
    int32_t generation_or_epoch; /* generation of a classic group, member epoch of others */
};

/* What all kinds of groups can be asked. */
struct group_ops {
    const char *type_name;                                  /* "classic", "consumer" */
    const char *(*state_name)(const struct group *group);   /* "Stable", "PreparingRebalance" … */
    struct str (*protocol_type)(const struct group *group); /* "consumer", "" */
    int32_t (*member_count)(const struct group *group);
    bool (*is_empty)(const struct group *group); /* no members */

    /* Whether this caller may commit: ERR_OK, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION,
     * STALE_MEMBER_EPOCH, FENCED_INSTANCE_ID, REBALANCE_IN_PROGRESS …; keeps the member's session
     * alive where Kafka does. */
    err_t (*check_commit)(struct group_step *step, struct group *group,
                          const struct group_caller *caller);
    /* Asked after check_commit for each partition: an older epoch may do for some. NULL: for all.
     * An error is the whole request's. */
    err_t (*check_commit_partition)(const struct group *group, const struct group_caller *caller,
                                    struct uuid topic_id, int32_t partition);
    err_t (*check_fetch)(struct group_step *step, struct group *group,
                         const struct group_caller *caller);
    /* OffsetDelete and DeleteGroups: ERR_OK, NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND. */
    err_t (*check_offset_delete)(const struct group *group);
    err_t (*check_delete)(const struct group *group);

    /* Whether members read this topic, so that its offsets are neither deleted nor expired. */
    bool (*is_subscribed)(const struct group *group, struct str topic);

    /* Whether offsets of this group may expire now. *ret_empty_since_ms: wall clock; the retention
     * counts from there, or, with -1, from each commit. */
    bool (*offsets_may_expire)(const struct group *group, int64_t *ret_empty_since_ms);

    /* JoinGroup, SyncGroup, Heartbeat and LeaveGroup, for a group that exists: a classic group
     * serves them itself, a consumer group its classic members. Whoever has no group yet, or a
     * GROUP_SIMPLE, goes to the classic protocol (see classic_requests.c). As coord_api.step. */
    err_t (*join)(struct group_step *step, struct group *group);
    err_t (*sync)(struct group_step *step, struct group *group);
    err_t (*heartbeat)(struct group_step *step, struct group *group);
    err_t (*leave)(struct group_step *step, struct group *group);

    /* DescribeGroups and ConsumerGroupDescribe: fills in an answer that has the group's id, empty
     * strings and defaults. NULL: not a group of that protocol, which is answered as unknown. */
    void (*describe_classic)(struct group_step *step, const struct group *group,
                             struct describe_groups_response_described_group *ret);
    void (*describe_consumer)(struct group_step *step, const struct group *group,
                              struct consumer_group_describe_response_described_group *ret);

    /* Adds the tombstones of all of the group's records but the offsets'. */
    void (*add_tombstones)(struct group_step *step, struct group *group);

    /*
     * Adds the records that say what the log says of the group now, all but the offsets': replayed
     * alone, they give the hard state that is there. The log is kept short so: its older part goes
     * when these are in it. False, and nothing is added: it cannot be said now (a rebalance is
     * under way); it is asked again later.
     */
    bool (*add_state)(struct group_step *step, const struct group *group);

    /* The log was replayed and the shard leads: sessions start anew. */
    void (*loaded)(struct group_step *step, struct group *group);

    /* Frees group->part: clears its timers, cancels its jobs. Nobody waits in it: the step before
     * answered them, or the shard is being unloaded. */
    void (*free_part)(struct group *group);
};

/* --- the shard's state --- */

struct groups {
    const struct coord_kind *kind;
    void *part; /* of a kind that is not groups: its state */
    struct sys_loop *loop;
    struct text_log *text_log; /* component "coord" */
    int32_t partition;         /* of the kind's topic */
    int32_t leader_epoch;      /* of that partition, while active */
    struct meta_image *image;  /* changes between steps only */
    struct config *config;     /* of the node, with dynamic settings; likewise */
    struct map by_id;          /* struct group */
    bool loading;              /* records are being replayed */
    int64_t apply_offset;      /* of the record that is being applied */
    int32_t plan_inline_max;   /* see consumer_target.c; not constant for the sake of tests */
    struct map transactions;   /* open ones that wrote offsets; offsets.c's */
    struct map foreign;        /* records that are only kept; records.c's */
    _Atomic uint64_t counts[GROUP_COUNTS]; /* read by coord_counts on any thread */
    _Atomic int32_t markers_waiting;       /* these two: of transactions, for coord_txn_stats */
    _Atomic int32_t ends_waiting;
    struct groups_runtime *runtime; /* groups.c's */
};

/* NULL: no such group. */
struct group *groups_find(const struct groups *groups, struct str id);

/* Makes a GROUP_SIMPLE; in apply, or as soft state. */
struct group *groups_add(struct groups *groups, struct str id);

/* The group becomes one of this type. The part of the type before is freed. */
void group_set_part(struct group *group, enum group_type type, const struct group_ops *ops,
                    void *part);

/*
 * For a step that makes the group another before its records are appended: puts the part of before
 * aside; the group is a GROUP_SIMPLE until it gets another. In `settled`, either of these ends it:
 * the part of before is freed, or is back and the one in between is freed.
 */
void group_set_aside(struct group *group);
void group_forget_aside(struct group *group); /* nothing when there is none */
void group_take_back(struct group *group);

/* The group is of no kind any more: it becomes GROUP_SIMPLE when it has offsets, else it is freed.
 * For tombstones, and for soft groups that nobody is in any more. */
void group_drop_part(struct group *group);

/* A setting of the group (GROUP_CONFIG_…): as its own resource says, else the node. */
int32_t group_config_int(const struct groups *groups, struct str group_id, enum config_key key);

/* What Kafka says to a caller of a group that has no members: one that names no generation stores
 * offsets as it likes, others are unknown. */
err_t group_check_no_members(const struct group_caller *caller);

/* The names in ListGroups, for groups of every type. */
const char *group_state_name(const struct group *group);
const char *group_type_name(const struct group *group);
struct str group_protocol_type(const struct group *group);

/* Whether nobody is in it; and the tombstones of the group itself, not of its offsets. */
int32_t group_member_count(const struct group *group);
bool group_is_empty(const struct group *group);
void group_add_tombstones(struct group_step *step, struct group *group);

/* --- steps --- */

struct group_step {
    struct groups *groups;
    struct coord_call *call; /* the request that this step is of; NULL: a timer or a job */
    const void *request;     /* call's */
    void *response;          /* call's: initialised with wire_init, to be filled in */
    int64_t mono_ms;
    int64_t wall_ms;
    struct rng *random;
    struct arena *arena; /* for records, and for what answers point at; until the next step */

    /*
     * Set by a step that must know whether its records were appended. Called once, right after
     * apply (ERR_OK) or the failed append, before any other step: may change soft state, answer,
     * park no one, and add no records. Not called when the shard is unloaded instead.
     */
    void (*settled)(struct group_step *step, err_t err);
    void *context; /* for settled; in the arena */

    /* steps.c's. */
    uint32_t counts[GROUP_COUNTS];
    struct strand_output *output;
    struct list answers; /* struct coord_call */
    bool parked;
    bool settling;
};

/* Adds a record, with key and value structs in the step's arena, zeroed by wire_init; fill them in.
 * The value's version is the newest that Kafka writes. ret_value may be NULL: a tombstone. */
void *step_record(struct group_step *step, enum group_record type, void **ret_value);

/* Counts so many, when the step's records are written. */
static inline void step_count(struct group_step *step, enum group_count what, uint32_t n) {
    step->counts[what] += n;
}

/* Whether the answer may grow yet, and that it did: a request can name a group again and again. */
bool step_has_room(const struct group_step *step);
void step_take_room(struct group_step *step, size_t size);
/* The same for all that this response has: a part of the answer. */
void step_take_room_of(struct group_step *step, const void *part);

/* What Kafka's clients are told for an error of an append: one of the protocol's. */
err_t group_write_err(err_t err);

/* Takes back all that the step has added, and its `settled`: the client is refused after all. */
void step_take_back(struct group_step *step);

/* The same, for a value version that is not the newest. */
void *step_record_version(struct group_step *step, enum group_record type, int16_t value_version,
                          void **ret_value);

/* --- requests that wait --- */

/*
 * A place where one request waits for a later step, usually a field of a member: zero-initialise.
 * It stays `waiting` when the client goes away; then answers to it are thrown away.
 */
struct group_wait {
    bool waiting;
    int16_t version;         /* of the request */
    struct coord_call *call; /* NULL: the client is gone */
    const struct coord_api *api;
    struct list link;
};

/* The step's own request is not answered now, it waits here. `wait` must not be waiting. */
void step_park(struct group_step *step, struct group_wait *wait);

/*
 * Ends a wait: returns the response to fill in before the step is over, initialised with wire_init
 * (struct join_group_response and so on; of the API that was parked). It leaves when this step's
 * records are committed; if that fails, the request gets the error as if its own step had failed.
 * *ret_version: of the request; may be NULL. The wait can be used again at once.
 */
void *step_answer(struct group_step *step, struct group_wait *wait, int16_t *ret_version);

/* --- timers --- */

/*
 * Runs `fire` as a step of its own, at mono_ms >= deadline. Zero-initialise; usually a field of a
 * group or a member. Set and cleared in steps, settled, apply and loaded; clear it before its
 * memory goes. Setting again moves it. One that fired is not set any more.
 */
struct group_timer {
    err_t (*fire)(struct group_step *step, struct group_timer *timer);
    int64_t deadline_ms; /* of mono_ms */
    uint64_t order;
    struct heap_node node;
};

void group_timer_set(struct groups *groups, struct group_timer *timer, int64_t deadline_ms);
void group_timer_clear(struct groups *groups, struct group_timer *timer);

static inline bool group_timer_is_set(const struct group_timer *timer) {
    return heap_contains(&timer->node);
}

/* --- jobs --- */

/*
 * Long work off the loop (an assignor, a regular expression): `run` on a worker, which may look at
 * nothing but the job and what it holds references to; then `finish` as a step; then `free`.
 * Allocated by the owner, who finds its group again by id in finish. When the shard is unloaded
 * meanwhile, or group_job_cancel was called, finish is left out.
 */
struct group_job {
    void (*run)(struct group_job *job);
    err_t (*finish)(struct group_step *step, struct group_job *job);
    void (*free)(struct group_job *job);

    /* steps.c's. Zero-initialise. */
    struct groups *groups;
    struct group_op *op;
    struct sys_job job;
    struct list link;
    bool cancelled;
};

/* In a step, settled, apply or loaded. */
void group_job_start(struct groups *groups, struct group_job *job);
void group_job_cancel(struct group_job *job); /* accepts NULL */

/* The same for work that others do: `run` is not called, the shard's loop says when it is done. */
void group_job_begin(struct groups *groups, struct group_job *job);
void group_job_end(struct group_job *job);

/* --- tables --- */

struct coord_topic_change {
    struct str name;
    struct uuid id;
    enum meta_change change;
};
struct coord_image_change {
    const struct coord_topic_change *topics;
    int32_t topic_count;
    bool brokers; /* some came, went or changed: racks may be others */
    bool configs; /* of groups, or of this node */
};

/*
 * What a shard is of: groups, of a partition of __consumer_offsets (groups.c), or transactional
 * ids, of one of __transaction_state (txns.c). The runtime is the same.
 */
struct coord_kind {
    struct str topic;
    const char *things;            /* "groups": in messages */
    enum config_key partitions;    /* how many there will be */
    enum config_key answer_ms_max; /* an answer waits so long for its commit */
    int compression;               /* enum config_key: of its batches; -1: none */
    const struct coord_api *(*api)(int16_t key);
    const struct coord_record_kind *(*record)(int16_t type);
    bool standing; /* standing.c tells of it */

    void (*init)(struct groups *groups);          /* NULL: nothing */
    void (*done)(struct groups *groups);          /* after a reset; NULL: nothing */
    void (*reset)(struct groups *groups);         /* the state is dropped */
    void (*begin)(struct group_step *step);       /* the first step after a load */
    size_t (*count)(const struct groups *groups); /* of things */
    /* As coord_image_fn. NULL: nothing. */
    void (*image_changed)(struct groups *groups, const struct coord_image_change *change);

    /* For a log that is said anew (rewriting.c): whose state there is, in the arena; and the
     * records of one. False: not now. *keep_offset is lowered to where the log has to begin all the
     * same, for what cannot be said yet. */
    struct str *(*ids)(const struct groups *groups, struct arena *arena, size_t *ret_count);
    bool (*say_anew)(struct group_step *step, struct str id, int64_t *keep_offset);
};

extern const struct coord_kind coord_groups_kind;
extern const struct coord_kind coord_transactions_kind;

/* A row of the table in apis.c: a request that belongs to one group, or to a shard. */
struct coord_api {
    int16_t key;
    const struct wire_type *request_type;
    const struct wire_type *response_type;
    /* The group that decides the shard. */
    struct str (*group_id)(const void *request);
    /* What is wrong whatever the group, and is told also by a shard that is not active: then it
     * fills in the initialised response, and returns false. NULL: nothing is. The shard's loop. */
    bool (*check)(const struct coord_call *call, const struct groups *groups, void *response);
    /*
     * Fills in step->response, or parks. An error other than ERR_OK: records are dropped, and the
     * response is made by `fail`. Mistakes of the client belong into the response, with ERR_OK.
     */
    err_t (*step)(struct group_step *step);
    /* Fills in an initialised response for a request that failed as a whole: by the step's error,
     * a failed append, COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR. `code` is Kafka's. */
    void (*fail)(const struct coord_call *call, int16_t code, void *response);
    bool keeps_answer; /* responses point at nothing but the request and call->arena: no copy */
};

/* Of groups. NULL: none. */
const struct coord_api *coord_api_find(int16_t key);

/* What kinds of groups want to know when the image moves on: a row per kind in apis.c. Between
 * steps, while active; may change soft state and set timers. groups->image is the new one. */
typedef void (*coord_image_fn)(struct groups *groups, const struct coord_image_change *change);
const coord_image_fn *coord_image_fns(size_t *ret_count);
