#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"
#include "base/rng.h"
#include "sys/loop.h"

/*
 * A strand: one state machine over one replicated log, owned by one loop, without a lock.
 *
 * Operations come in through a bounded mailbox and are taken one at a time. The step of an
 * operation looks at the state, decides, and yields records; it changes nothing itself. The records
 * are appended to the log and applied to the state before the next operation is taken, so replaying
 * the log gives the state that was in memory. The operation is answered when its records are
 * committed, and operations are answered in the order in which they were taken; one that only read
 * waits for what it may have read.
 *
 * The owner of the log drives the life of a strand:
 *
 *   unloaded  -- strand_replay ... --> strand_activate --> active -- strand_unload --> unloaded
 *
 * strand_unload drops the state, and everything that waits fails with the error given there.
 *
 * Everything is called on the strand's loop, except strand_submit.
 */
struct strand;

/* What a step knows of the world besides the state. */
struct strand_input {
    int64_t mono_ms;
    int64_t wall_ms;
    int64_t next_offset; /* where the first record of this step will be, if it yields one */
    struct rng *random;
};

/* What a step decides. Records are of the machine's own kind, opaque to the strand. */
struct strand_output {
    struct arena *arena; /* for records: lives until they are appended and applied */
    void **records;
    int32_t record_count;
    int32_t record_capacity;
    bool
        splittable; /* the records may be appended in several batches; else in one, or not at all */
};

void strand_output_add(struct strand_output *output, void *record);

struct strand_op {
    /*
     * Decides. Any error is the operation's outcome, and then what was yielded is dropped: the
     * state did not change. The error of the append is another possible outcome.
     */
    err_t (*step)(struct strand_op *op, void *state, const struct strand_input *input,
                  struct strand_output *output);

    /*
     * May be NULL. Called after the step and before any other step: ERR_OK when its records are
     * appended and applied (or it had none), else the step's or the append's error. May change what
     * is not in records. Left out when the strand is unloaded before.
     */
    void (*settled)(struct strand_op *op, void *state, err_t err);

    /* Called once for every operation that was accepted, on the strand's loop; afterwards the
     * operation is its owner's again. */
    void (*done)(struct strand_op *op, err_t err);

    /* The strand's. Zero-initialise. */
    struct sys_task task;
    struct sys_timer timer;
    struct list link;
    struct strand *strand;
    int64_t release_offset;
    err_t outcome;
    bool scheduled;
    bool submitted;
};

/* The state machine. */
struct strand_machine {
    /* Takes records into the state: those of a step after their append, or replayed ones. They have
     * the offsets from first_offset on. */
    void (*apply)(void *state, void *const *records, int32_t record_count, int64_t first_offset);
    /* Forgets everything: what follows is a replay from the start, or nothing. */
    void (*reset)(void *state);
};

/* The log. Its owner calls strand_committed as records become committed. */
struct strand_log {
    void *arg;

    /* The offset that the next record will get. */
    int64_t (*next_offset)(void *arg);

    /*
     * Appends all records or none, and says the offset of the last; the others stand directly
     * before it. `splittable` as in the output. ERR_PENDING: it goes on elsewhere; the strand takes
     * no input until strand_append_done. The records stay where they are until then.
     */
    err_t (*append)(void *arg, void *const *records, int32_t record_count, bool splittable,
                    int64_t *ret_last_offset);
};

struct strand_options {
    struct sys_loop *loop;
    const struct strand_machine *machine;
    void *state;
    struct strand_log log;
    int32_t mailbox_max; /* operations submitted and not yet answered */
};

/* Starts unloaded, refusing operations with unloaded_err. */
void strand_new(const struct strand_options *options, err_t unloaded_err,
                struct strand **ret_strand);

/* Nothing is pending (strand_pending). Accepts NULL. */
void strand_free(struct strand *strand);

/* Operations accepted and not yet answered, scheduled ones included. Any thread. */
int32_t strand_pending(const struct strand *strand);

bool strand_is_active(const struct strand *strand);

/* --- by who uses it --- */

/*
 * Any thread. Puts an operation in the mailbox; it must stay where it is until done is called.
 * ERR_BUSY when the mailbox is full; then done is not called. While the strand is not active
 * operations are accepted, and done with the error of the last strand_unload.
 */
err_t strand_submit(struct strand *strand, struct strand_op *op);

/* Takes the operation as an input at that time (sys_mono_ms), whatever the mailbox holds. Only
 * while active. An operation that is scheduled already is moved. */
void strand_schedule(struct strand *strand, struct strand_op *op, int64_t deadline_ms);

/* Takes a scheduled operation back; done is not called. Nothing happens to one that is not. */
void strand_cancel(struct strand *strand, struct strand_op *op);

/* --- by the owner of the log --- */

/* Not while active: applies committed records. */
void strand_replay(struct strand *strand, void *const *records, int32_t record_count,
                   int64_t first_offset);

/* Everything in the log is replayed, and we lead it: takes operations from now on. `first` (may be
 * NULL) is taken before all others, whatever the mailbox holds. */
void strand_activate(struct strand *strand, struct strand_op *first);

/* All records up to and including this offset are committed. Fine while unloaded. */
void strand_committed(struct strand *strand, int64_t offset);

/* Ends an append that was ERR_PENDING; called once for each, even when the strand was unloaded
 * meanwhile. */
void strand_append_done(struct strand *strand, err_t err, int64_t last_offset);

/* Leadership was lost, or the log halted: fails everything that waits, drops the state, and refuses
 * with `err` from now on. Fine when unloaded already: then only the error changes. */
void strand_unload(struct strand *strand, err_t err);
