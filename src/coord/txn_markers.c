/*
 * From Prepare to Complete.
 *
 *   txn_end_begin    Prepare is in the log: it is waited for its commit, for until then it may be
 *                    lost, and another coordinator decide otherwise
 *   start            the markers are written, those of partitions that are still there
 *   written (step)   a partition that has none yet: the same for what is left, a little later;
 *                    else Complete is logged
 *
 * A partition in which the producer is at a newer epoch has nothing of this transaction to end: its
 * marker was there already, and it is the coordinator's log that lost its end (or somebody has
 * ended the transaction by hand).
 *
 * A marker may be written twice: the second changes nothing. What is under way when the shard is
 * unloaded comes back and is thrown away; whoever loads the shard begins anew.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "coord/txn_int.h"

enum { RETRY_MS_MIN = 20, RETRY_MS_MAX = 1000, TRIES_BEFORE_A_WORD = 10 };

struct txn_ending {
    struct group_job job; /* while markers are being written */
    struct coord_markers markers;
    struct arena arena;
    struct str id;
    struct txn_partition *partitions;
    int32_t partition_count;
    int tries;
};

static void txn_ending_free(struct txn_ending *ending) {
    if (ending != NULL) {
        arena_done(&ending->arena);
        free(ending);
    }
}

static void ending_job_free(struct group_job *job) {
    txn_ending_free(container_of(job, struct txn_ending, job));
}

static struct txn_ending *ending_new(const struct txn *txn, int tries) {
    struct txn_ending *ending = calloc(1, sizeof *ending);
    assert(ending != NULL);
    arena_init(&ending->arena, SIZE_MAX);
    ending->id = arena_str(&ending->arena, txn->id);
    ending->tries = tries;
    return ending;
}

/* With names of its own. */
static void add_partition(struct txn_ending *ending, const struct txn_partition *partition) {
    struct txn_partition *last =
        ending->partition_count == 0 ? NULL : &ending->partitions[ending->partition_count - 1];
    bool same = last != NULL && str_equal(last->topic, partition->topic);
    ending->partitions[ending->partition_count++] = (struct txn_partition){
        .topic = same ? last->topic : arena_str(&ending->arena, partition->topic),
        .partition = partition->partition,
    };
}

/* --- writing them --- */

static void markers_written(struct coord_markers *markers) {
    group_job_end(&container_of(markers, struct txn_ending, markers)->job);
}

/* Of a topic that was deleted there is nothing to end. */
static void drop_deleted(const struct groups *groups, struct txn_ending *ending) {
    int32_t kept = 0;
    for (int32_t i = 0; i < ending->partition_count; i++) {
        const struct txn_partition *partition = &ending->partitions[i];
        const struct meta_topic *topic = meta_image_topic(groups->image, partition->topic);
        if (topic != NULL && meta_topic_partition(topic, partition->partition) != NULL) {
            ending->partitions[kept++] = *partition;
        }
    }
    ending->partition_count = kept;
}

static err_t written(struct group_step *step, struct group_job *job);

static void start(struct txn *txn, struct txn_ending *ending) {
    struct groups *groups = txn->groups;
    const struct txn_values *values = &txn->values;
    drop_deleted(groups, ending);
    ending->job = (struct group_job){.finish = written, .free = ending_job_free};
    ending->markers = (struct coord_markers){
        .producer_id = values->producer_id,
        .producer_epoch = values->epoch,
        .coordinator_epoch = groups->leader_epoch,
        .transaction_version = txn_client_version(values),
        .commit = values->state == TXN_PREPARE_COMMIT,
        .partitions = ending->partitions,
        .partition_count = ending->partition_count,
        .errors = ARENA_ARRAY(&ending->arena, err_t, (size_t)ending->partition_count + 1),
        .loop = groups->loop,
        .done = markers_written,
    };
    txn->writing = ending;
    group_job_begin(groups, &ending->job);
    if (ending->partition_count == 0) {
        group_job_end(&ending->job);
    } else {
        const struct coord_world *world = txns_of(groups)->world;
        world->write_markers(world->arg, &ending->markers);
    }
}

/* One that has no markers to write waits for its end to be logged. */
static void count_waiting(const struct txn *txn, int32_t by) {
    const struct txn_ending *ending = txn->ending;
    struct groups *groups = txn->groups;
    if (ending->partition_count > 0) {
        atomic_fetch_add(&groups->markers_waiting, by * ending->partition_count);
    } else {
        atomic_fetch_add(&groups->ends_waiting, by);
    }
}

static struct txn_ending *take_ending(struct txn *txn) {
    struct txn_ending *ending = txn->ending;
    if (ending != NULL) {
        count_waiting(txn, -1);
        txn->ending = NULL;
    }
    return ending;
}

void txn_ending_drop(struct txn *txn) {
    txn_ending_free(take_ending(txn));
}

static err_t try_again(struct group_step *step, struct group_timer *timer) {
    (void)step;
    struct txn *txn = container_of(timer, struct txn, timer);
    start(txn, take_ending(txn));
    return ERR_OK;
}

static void try_later(const struct group_step *step, struct txn *txn, struct txn_ending *ending) {
    int64_t wait_ms = RETRY_MS_MIN;
    for (int i = 1; i < ending->tries && wait_ms < RETRY_MS_MAX; i++) {
        wait_ms *= 2;
    }
    assert(txn->ending == NULL);
    txn->ending = ending;
    count_waiting(txn, 1);
    txn->timer.fire = try_again;
    group_timer_set(txn->groups, &txn->timer,
                    step->mono_ms + (wait_ms < RETRY_MS_MAX ? wait_ms : RETRY_MS_MAX));
}

const struct txn_partition *txn_partitions_left(const struct txn *txn, int32_t *ret_count) {
    const struct txn_ending *ending = txn->writing != NULL ? txn->writing : txn->ending;
    *ret_count = ending != NULL ? ending->partition_count : txn->values.partition_count;
    return ending != NULL ? ending->partitions : txn->values.partitions;
}

/* --- and then --- */

void txn_complete_later(const struct group_step *step, struct txn *txn) {
    try_later(step, txn, ending_new(txn, TRIES_BEFORE_A_WORD));
}

/* The epochs of the producer id may have been spent by this transaction. */
static void complete(struct group_step *step, struct txn *txn) {
    bool commit = txn->values.state == TXN_PREPARE_COMMIT;
    struct txn_values next = txn_next(step, txn, commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
    if (next.client_version >= 2 && next.next_producer_id != TXN_NO_PRODUCER) {
        next.producer_id = next.next_producer_id;
        next.epoch = 0;
    }
    next.next_producer_id = TXN_NO_PRODUCER;
    next.partitions = NULL;
    next.partition_count = 0;
    txn_write(step, txn, &next);
}

static void tell_stuck(const struct txn *txn, const struct txn_ending *ending, int32_t index) {
    const struct txn_partition *partition = &ending->partitions[index];
    text_log_warn(txn->groups->text_log, "coord",
                  "The transaction of %.*s cannot be ended in %.*s-%" PRId32
                  " yet (%s); it is tried again until it can",
                  STR_ARGS(txn->id), STR_ARGS(partition->topic), partition->partition,
                  err_text(ending->markers.errors[index]));
}

static void tell_passed(const struct txn *txn, const struct txn_partition *partition) {
    text_log_warn(txn->groups->text_log, "coord",
                  "The producer of %.*s is at a newer epoch in %.*s-%" PRId32
                  " than its transaction, which is taken for ended there",
                  STR_ARGS(txn->id), STR_ARGS(partition->topic), partition->partition);
}

static err_t written(struct group_step *step, struct group_job *job) {
    const struct txn_ending *ending = container_of(job, struct txn_ending, job);
    struct txn *txn = txns_find_known(step->groups, ending->id);
    assert(txn != NULL); /* it does not go, and changes no more, until this is over */
    assert(txn_is_prepared(txn));
    txn->writing = NULL;
    struct txn_ending *rest = ending_new(txn, ending->tries + 1);
    rest->partitions =
        ARENA_ARRAY(&rest->arena, struct txn_partition, (size_t)ending->partition_count + 1);
    for (int32_t i = 0; i < ending->partition_count; i++) {
        err_t err = ending->markers.errors[i];
        if (err == ERR_INVALID_PRODUCER_EPOCH) {
            tell_passed(txn, &ending->partitions[i]);
        } else if (err != ERR_OK) {
            if (rest->partition_count == 0 && rest->tries == TRIES_BEFORE_A_WORD) {
                tell_stuck(txn, ending, i);
            }
            add_partition(rest, &ending->partitions[i]);
        }
    }
    if (rest->partition_count > 0) {
        try_later(step, txn, rest);
    } else {
        txn_ending_free(rest);
        complete(step, txn);
    }
    return ERR_OK;
}

/* --- when Prepare is committed --- */

static err_t wait(struct group_step *step, void *context) {
    (void)step;
    (void)context;
    return ERR_OK;
}

static void prepared(struct groups *groups, void *context, err_t err) {
    struct txn_ending *ending = context;
    if (err != ERR_OK) {
        txn_ending_free(ending); /* the shard was unloaded */
        return;
    }
    struct txn *txn = txns_find_known(groups, ending->id);
    assert(txn != NULL);
    start(txn, ending);
}

void txn_end_begin(struct txn *txn) {
    const struct txn_values *values = &txn->values;
    struct txn_ending *ending = ending_new(txn, 0);
    group_timer_clear(txn->groups, &txn->timer);
    ending->partitions =
        ARENA_ARRAY(&ending->arena, struct txn_partition, (size_t)values->partition_count + 1);
    for (int32_t i = 0; i < values->partition_count; i++) {
        add_partition(ending, &values->partitions[i]);
    }
    groups_run(txn->groups, wait, prepared, ending);
}
