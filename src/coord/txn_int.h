#pragma once

#include "coord/groups_int.h"
#include "coord/transactions.h"

/*
 * Inside the transaction coordinator: the transactional ids of a shard of __transaction_state.
 *
 *   state             what leads to it
 *   ---------------   ---------------------------------------------------------------------------
 *   Empty             InitProducerId, from no state, Empty and Complete
 *   Ongoing           AddPartitionsToTxn, from Empty, Ongoing and Complete
 *   PrepareCommit     EndTxn, from Ongoing
 *   PrepareAbort      EndTxn, InitProducerId or the timeout, from Ongoing;
 *                     of version 2 an abort of nothing, too, from Empty and Complete
 *   CompleteCommit,   all markers are written, from Prepare
 *   CompleteAbort
 *   no state          nobody used the id, in Empty and Complete
 *
 *   - A record says all of a transactional id, so a transition is one record, whose values are
 *     made by a step (txn_write); apply takes them over.
 *   - Prepare decides. When it is committed the markers are written, again and again until every
 *     partition has its own; then Complete is logged (txn_markers.c). A shard that is loaded goes
 *     on with what is prepared.
 *   - A timed-out transaction, and that of a producer which somebody else takes over, is aborted
 *     with a higher epoch (Kafka calls the step in between PrepareEpochFence; it is in no record).
 *
 * txns.c        the transactional ids of a shard, and what a shard of them is
 * txn_values.c  what a record says of one, transitions
 * txn_apis.c    the table of requests, and how each fails as a whole
 * txn_init.c    InitProducerId, and requests that need a producer id first
 * txn_add.c     AddPartitionsToTxn
 * txn_end.c     EndTxn, timeouts
 * txn_markers.c from Prepare to Complete
 * txn_expiry.c  ids that nobody uses any more
 * txn_fates.c   whose transactions are those that are open in partitions
 * txn_list.c    DescribeTransactions, ListTransactions
 */

/* As on the disk. */
enum txn_state {
    TXN_EMPTY = 0,
    TXN_ONGOING = 1,
    TXN_PREPARE_COMMIT = 2,
    TXN_PREPARE_ABORT = 3,
    TXN_COMPLETE_COMMIT = 4,
    TXN_COMPLETE_ABORT = 5,
    TXN_DEAD = 6,
    TXN_PREPARE_EPOCH_FENCE = 7,
    TXN_STATES = 8,
};

enum { TXN_RECORD = 0, TXN_NO_EPOCH = -1, TXN_NO_PRODUCER = -1, TXN_CLIENT_UNKNOWN = -1 };

/* The last epoch that a producer has: it gets a new id instead of the next one, which is kept for
 * fencing. Nothing may begin or end with that, for no marker could have a higher one. */
enum { TXN_EPOCH_EXHAUSTED = INT16_MAX - 1, TXN_EPOCH_OF_NOBODY = INT16_MAX };

/* What transitions change. */
struct txn_values {
    enum txn_state state;
    int64_t producer_id;
    int64_t previous_producer_id; /* before the last transition */
    int64_t next_producer_id;     /* from Complete on, the epochs of this one are spent; -1 */
    int16_t epoch;
    int16_t last_epoch; /* with which the producer may ask once more; in no record. -1: none */
    int32_t timeout_ms;
    int64_t start_ms; /* wall clock, as the next; -1: no transaction yet */
    int64_t update_ms;
    int16_t client_version; /* transaction.version of the client that began or ended it; after a
                               load from a record of version 0 TXN_CLIENT_UNKNOWN */
    const struct txn_partition *partitions; /* sorted, each once */
    int32_t partition_count;
};

/* A transactional id. */
struct txn {
    struct groups *groups;
    struct str id; /* behind the struct */
    bool known;    /* a record says so; else somebody waits for a producer id for it */
    bool asking;   /* a producer id is on its way: others are told CONCURRENT_TRANSACTIONS */
    bool unsure;   /* epochs of the producer id above the one known may have been given out */
    struct txn_values values;
    struct group_timer timer;         /* Ongoing: the timeout; Prepare: the next try */
    struct txn_ending *ending;        /* that waits for its next try */
    const struct txn_ending *writing; /* whose markers are under way; its job's */
};

/* groups->part */
struct txns {
    struct map by_id; /* struct txn */
    struct map pasts; /* struct txn_past, see txn_fates.c */
    const struct coord_world *world;
    struct group_timer expiry;
    size_t expiry_cursor;
};

static inline struct txns *txns_of(const struct groups *groups) {
    return groups->part;
}

/* NULL: none; of txns_find_known: or it is not known yet. */
struct txn *txns_find_known(const struct groups *groups, struct str id);
struct txn *txns_find(const struct groups *groups, struct str id);
struct txn *txns_add(struct groups *groups, struct str id);
void txns_remove(struct txn *txn);

const char *txn_state_name(enum txn_state state);
static inline bool txn_state_is_prepared(enum txn_state state) {
    return state == TXN_PREPARE_COMMIT || state == TXN_PREPARE_ABORT;
}
static inline bool txn_is_prepared(const struct txn *txn) {
    return txn_state_is_prepared(txn->values.state);
}

/* Of who is not known the oldest is taken to be meant. */
static inline int16_t txn_client_version(const struct txn_values *values) {
    return values->client_version == TXN_CLIENT_UNKNOWN ? 0 : values->client_version;
}

/* transaction.version of the cluster. */
int16_t txn_cluster_version(const struct groups *groups);

/* --- partitions of a transaction, sorted --- */

/* Adds others, in no order; in the arena, names are borrowed. */
void txn_partitions_add(struct arena *arena, struct txn_values *values,
                        const struct txn_partition *more, int32_t more_count);
bool txn_partitions_have(const struct txn_values *values, struct str topic, int32_t partition);

/* How many partitions from `first` on are of its topic. */
int32_t txn_partitions_run(const struct txn_partition *partitions, int32_t count, int32_t first);

/* --- transitions: one in a step --- */

/* The values that a transition to this state begins with. */
struct txn_values txn_next(const struct group_step *step, const struct txn *txn,
                           enum txn_state state);

/* Adds the record, and sees to what the new state asks for once it is there. */
void txn_write(struct group_step *step, struct txn *txn, const struct txn_values *values);

/* What the state asks for: a timeout, markers. After a transition, and after a load. */
void txn_follow_state(const struct group_step *step, struct txn *txn);

/* The record kinds of __transaction_state; see coord_record_kind. */
const struct coord_record_kind *txn_record_kind(int16_t type);

/* Adds the record of what is known. */
void txn_say(struct group_step *step, const struct txn *txn);

/* --- txn_init.c --- */

/*
 * The step's request (or a timer, without one) waits for a producer id; then `resume` continues it
 * as a step of its own, with the id and the request's response to fill in. If there is none,
 * `resume` gets -1 and the error.
 */
typedef void (*txn_resume_fn)(struct group_step *step, struct txn *txn,
                              const struct coord_call *call, err_t err, int64_t producer_id,
                              void *response);
void txn_await_producer_id(struct group_step *step, struct txn *txn, txn_resume_fn resume);

/* --- txn_end.c --- */

/* fires at the timeout of the transaction, on the next tick of the check's interval */
err_t txn_timed_out(struct group_step *step, struct group_timer *timer);
/* Aborts what is Ongoing, with a higher epoch. With version 2 the last one is not left to a
 * producer: a new id follows it, which is needed first. */
bool txn_fence_needs_id(const struct txn *txn);
void txn_fence(struct group_step *step, struct txn *txn, int64_t next_producer_id);

/* --- txn_markers.c --- */

void txn_end_begin(struct txn *txn);
void txn_complete_later(const struct group_step *step,
                        struct txn *txn); /* Complete was not logged */
void txn_ending_drop(struct txn *txn);    /* one that waits for its next try */

/* Of a transaction that is being ended those whose marker is not known to be written; else all. */
const struct txn_partition *txn_partitions_left(const struct txn *txn, int32_t *ret_count);

/* --- txn_expiry.c --- */

void txn_expiry_begin(struct group_step *step);

/* --- txn_fates.c --- */

/* Takes note of a record's values. */
void txn_past_note(struct groups *groups, const struct txn_values *values);
void txn_pasts_forget(struct txns *txns);

/* Fills in what this shard, which is active, knows. */
void txn_fates_look(const struct groups *groups, struct coord_fates *fates);

/* --- requests --- */

const struct coord_api *txn_api_find(int16_t key);

bool txn_init_check(const struct coord_call *call, const struct groups *groups, void *response);
err_t txn_init_step(struct group_step *step);
bool txn_add_check(const struct coord_call *call, const struct groups *groups, void *response);
err_t txn_add_step(struct group_step *step);
void txn_add_fail(const struct coord_call *call, int16_t code, void *response);
bool txn_end_check(const struct coord_call *call, const struct groups *groups, void *response);
err_t txn_end_step(struct group_step *step);
err_t txn_describe_step(struct group_step *step);
void txn_describe_fail(const struct coord_call *call, int16_t code, void *response);
err_t txn_list_step(struct group_step *step);
