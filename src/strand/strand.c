/*
 * What happens to an operation, from submit to done.
 *
 *   strand_submit      any thread: counted against the mailbox, posted to the loop
 *   arrive             on the loop; not active: done with the error of the unload
 *   queue              waits for its turn; more than one waits only while an append is pending
 *   step               decides; its records are appended, then applied; settled knows how it went
 *   waiting            ordered by the offset that must be committed before it may be answered
 *   done               the operation is its owner's again
 *
 * Invariants
 *   1. Between the step of one operation and the step of the next, its records are appended and
 *      applied; while an append is pending (append_pending) no step runs.
 *   2. The waiting operations stand in the order of their steps, and so of release_offset.
 *   3. An operation without records waits for the last offset that was appended before its step: it
 *      may have seen what those records say.
 *   4. Unloaded: queue, waiting and scheduled are empty, and appending is NULL. append_pending may
 *      still be set: the log reads the records until strand_append_done, so their memory stays.
 *   5. pending counts the operations between submit and done, scheduled ones included; only the
 *      submitted ones count against the mailbox's bound.
 *
 * done may submit again, and may even unload the strand: lists are taken apart before it is called.
 */
#include "strand/strand.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "sys/sys.h"

struct strand {
    struct strand_options options;
    _Atomic int32_t pending;
    _Atomic int32_t mailbox; /* of these, the submitted ones */
    bool active;
    err_t unloaded_err;
    struct list queue;
    struct list waiting;
    struct list scheduled;
    struct strand_op *appending; /* whose append is pending, unless it was failed by an unload */
    bool append_pending;
    struct strand_output output; /* of the step that is under way, or whose append is pending */
    struct arena arena;
    struct rng random;
    int64_t appended_offset;  /* of the last record appended since the activation */
    int64_t committed_offset; /* all records up to it are committed */
    bool draining;
};

static void output_reset(struct strand *strand) {
    arena_reset(&strand->arena);
    strand->output = (struct strand_output){.arena = &strand->arena};
}

void strand_output_add(struct strand_output *output, void *record) {
    if (output->record_count == output->record_capacity) {
        int32_t capacity = output->record_capacity == 0 ? 8 : output->record_capacity * 2;
        size_t unit = sizeof output->records[0];
        output->records =
            arena_grow(output->arena, output->records, (size_t)output->record_capacity * unit,
                       (size_t)capacity * unit);
        output->record_capacity = capacity;
    }
    output->records[output->record_count++] = record;
}

void strand_new(const struct strand_options *options, err_t unloaded_err,
                struct strand **ret_strand) {
    assert(options->mailbox_max > 0);
    assert(unloaded_err != ERR_OK);

    struct strand *strand = calloc(1, sizeof *strand);
    assert(strand != NULL);
    strand->options = *options;
    strand->unloaded_err = unloaded_err;
    strand->appended_offset = -1;
    strand->committed_offset = -1;
    list_init(&strand->queue);
    list_init(&strand->waiting);
    list_init(&strand->scheduled);
    arena_init(&strand->arena, SIZE_MAX);
    output_reset(strand);
    sys_random(sys_loop_sys(options->loop), strand->random.state, sizeof strand->random.state);
    strand->random.state[0] |= 1; /* a state of zeros would stay zero */
    *ret_strand = strand;
}

void strand_free(struct strand *strand) {
    if (strand == NULL) {
        return;
    }
    assert(strand_pending(strand) == 0);
    arena_done(&strand->arena);
    free(strand);
}

int32_t strand_pending(const struct strand *strand) {
    return atomic_load(&strand->pending);
}

bool strand_is_active(const struct strand *strand) {
    return strand->active;
}

static void finish(struct strand *strand, struct strand_op *op, err_t err) {
    assert(!op->scheduled);
    assert(!list_linked(&op->link));
    atomic_fetch_sub(&strand->pending, 1);
    atomic_fetch_sub(&strand->mailbox, op->submitted ? 1 : 0);
    op->submitted = false;
    op->done(op, err);
}

static void finish_all(struct strand *strand, struct list *ops, err_t err) {
    struct list *link;
    while ((link = list_take_first(ops)) != NULL) {
        finish(strand, container_of(link, struct strand_op, link), err);
    }
}

/* Answers those whose turn has come. */
static void release(struct strand *strand) {
    struct list *link;
    while ((link = list_first(&strand->waiting)) != NULL) {
        struct strand_op *op = container_of(link, struct strand_op, link);
        if (op->release_offset > strand->committed_offset) {
            return;
        }
        list_remove(link);
        finish(strand, op, op->outcome);
    }
}

/* The step and its append are through: the operation waits for its commit. */
static void settle(struct strand *strand, struct strand_op *op, err_t outcome,
                   int64_t last_offset) {
    int32_t count = strand->output.record_count;
    if (outcome == ERR_OK && count > 0) {
        assert(last_offset - count + 1 > strand->appended_offset);
        strand->options.machine->apply(strand->options.state, strand->output.records, count,
                                       last_offset - count + 1);
        strand->appended_offset = last_offset;
    }
    if (op->settled != NULL) {
        op->settled(op, strand->options.state, outcome);
    }
    output_reset(strand);
    op->outcome = outcome;
    op->release_offset = strand->appended_offset;
    list_add_last(&strand->waiting, &op->link);
}

static void take(struct strand *strand, struct strand_op *op) {
    const struct strand_log *log = &strand->options.log;
    struct sys *sys = sys_loop_sys(strand->options.loop);
    struct strand_input input = {
        .mono_ms = sys_loop_now_ms(strand->options.loop),
        .wall_ms = sys_wall_ms(sys),
        .next_offset = log->next_offset(log->arg),
        .random = &strand->random,
    };
    err_t err = op->step(op, strand->options.state, &input, &strand->output);
    int64_t last_offset = -1;
    if (err == ERR_OK && strand->output.record_count > 0) {
        err = log->append(log->arg, strand->output.records, strand->output.record_count,
                          strand->output.splittable, &last_offset);
        if (err == ERR_PENDING) {
            strand->appending = op;
            strand->append_pending = true;
            return;
        }
    }
    settle(strand, op, err, last_offset);
}

static void drain(struct strand *strand) {
    if (strand->draining) {
        return; /* called from within a done: the outer one goes on */
    }
    strand->draining = true;
    while (strand->active && !strand->append_pending) {
        struct list *link = list_take_first(&strand->queue);
        if (link == NULL) {
            break;
        }
        take(strand, container_of(link, struct strand_op, link));
        release(strand);
    }
    strand->draining = false;
}

/* --- the ways in --- */

static void arrive(struct sys_task *task) {
    struct strand_op *op = container_of(task, struct strand_op, task);
    struct strand *strand = op->strand;
    if (!strand->active) {
        finish(strand, op, strand->unloaded_err);
        return;
    }
    list_add_last(&strand->queue, &op->link);
    drain(strand);
}

err_t strand_submit(struct strand *strand, struct strand_op *op) {
    if (atomic_fetch_add(&strand->mailbox, 1) >= strand->options.mailbox_max) {
        atomic_fetch_sub(&strand->mailbox, 1);
        return ERR_BUSY;
    }
    atomic_fetch_add(&strand->pending, 1);
    op->submitted = true;
    op->strand = strand;
    op->task.run = arrive;
    sys_loop_post(strand->options.loop, &op->task);
    return ERR_OK;
}

static void fire(struct sys_timer *timer) {
    struct strand_op *op = container_of(timer, struct strand_op, timer);
    struct strand *strand = op->strand;
    assert(strand->active);
    assert(op->scheduled);
    op->scheduled = false;
    list_remove(&op->link);
    list_add_last(&strand->queue, &op->link);
    drain(strand);
}

void strand_schedule(struct strand *strand, struct strand_op *op, int64_t deadline_ms) {
    assert(strand->active);
    if (!op->scheduled) {
        atomic_fetch_add(&strand->pending, 1);
        op->scheduled = true;
        op->strand = strand;
        op->timer.fire = fire;
        list_add_last(&strand->scheduled, &op->link);
    }
    sys_timer_set(strand->options.loop, &op->timer, deadline_ms);
}

void strand_cancel(struct strand *strand, struct strand_op *op) {
    if (op->scheduled) {
        sys_timer_clear(strand->options.loop, &op->timer);
        op->scheduled = false;
        list_remove(&op->link);
        atomic_fetch_sub(&strand->pending, 1);
    }
}

/* --- by the owner of the log --- */

void strand_replay(struct strand *strand, void *const *records, int32_t record_count,
                   int64_t first_offset) {
    assert(!strand->active);
    strand->options.machine->apply(strand->options.state, records, record_count, first_offset);
}

void strand_activate(struct strand *strand, struct strand_op *first) {
    assert(!strand->active);
    assert(list_empty(&strand->queue));
    assert(list_empty(&strand->waiting));
    const struct strand_log *log = &strand->options.log;
    strand->active = true;
    strand->appended_offset = log->next_offset(log->arg) - 1;
    strand->committed_offset = strand->appended_offset;
    if (first != NULL) {
        first->strand = strand;
        atomic_fetch_add(&strand->pending, 1);
        list_add_last(&strand->queue, &first->link);
        drain(strand);
    }
}

void strand_committed(struct strand *strand, int64_t offset) {
    if (strand->active && offset > strand->committed_offset) {
        strand->committed_offset = offset;
        release(strand);
    }
}

void strand_append_done(struct strand *strand, err_t err, int64_t last_offset) {
    assert(strand->append_pending);
    struct strand_op *op = strand->appending;
    strand->append_pending = false;
    strand->appending = NULL;
    if (op == NULL) {
        output_reset(strand);
    } else {
        settle(strand, op, err, last_offset);
        release(strand);
    }
    drain(strand);
}

void strand_unload(struct strand *strand, err_t err) {
    assert(err != ERR_OK);
    strand->unloaded_err = err;
    if (!strand->active) {
        return;
    }
    strand->active = false;

    struct list failed;
    list_init(&failed);
    list_splice_last(&failed, &strand->waiting);
    if (strand->appending != NULL) {
        list_add_last(&failed, &strand->appending->link);
        strand->appending = NULL;
    }
    list_splice_last(&failed, &strand->queue);
    struct list *link, *after;
    list_for_each_safe (link, after, &strand->scheduled) {
        struct strand_op *op = container_of(link, struct strand_op, link);
        sys_timer_clear(strand->options.loop, &op->timer);
        op->scheduled = false;
    }
    list_splice_last(&failed, &strand->scheduled);
    if (!strand->append_pending) {
        output_reset(strand);
    }
    strand->options.machine->reset(strand->options.state);
    finish_all(strand, &failed, err);
}
