/*
 * From an input to its answers.
 *
 *   function                what
 *   ---------------------   ------------------------------------------------------------------
 *   groups_call             any thread: an op for the call, into the strand's mailbox (calls.c)
 *   op_step                 the row's step, a due timer, a finished job; then answers are copied
 *                           out of the state, for it may change before they leave
 *   groups_take_records     each record is applied by its kind
 *   op_settled              the step's own `settled`; then the next timer is armed
 *   op_done                 the records are committed, or never will be: answers leave
 *
 * Invariants
 *   1. A call is in one place at a time: in its op, in one group_wait, in the answers of an op, or
 *      on its way back to its own loop.
 *   2. While active, the tick is scheduled not later than the first timer.
 *   3. Unloaded: no group, no timer, nobody waits; jobs that still run are cancelled.
 *
 * A tick runs one timer, for the records of one timer must be applied before the next one looks.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "coord/groups_int.h"
#include "sys/sys.h"
#include "wire/api.h"

/* --- ops: what the strand takes --- */

static err_t op_step(struct strand_op *base, void *state, const struct strand_input *input,
                     struct strand_output *output);
static void op_settled(struct strand_op *base, void *state, err_t err);
static void op_done(struct strand_op *base, err_t err);

struct group_op *group_op_new(struct groups *groups, enum op_kind kind) {
    struct group_op *op = calloc(1, sizeof *op);
    assert(op != NULL);
    op->op.step = op_step;
    op->op.settled = op_settled;
    op->op.done = op_done;
    op->groups = groups;
    op->kind = kind;
    op->step.groups = groups;
    list_init(&op->step.answers);
    return op;
}

/* --- timers --- */

static struct group_timer *first_timer(const struct groups *groups) {
    struct heap_node *node = heap_top(&groups->runtime->timers);
    return node == NULL ? NULL : container_of(node, struct group_timer, node);
}

void groups_arm_tick(struct groups *groups) {
    struct groups_runtime *runtime = groups->runtime;
    const struct group_timer *timer = first_timer(groups);
    if (timer == NULL || !strand_is_active(runtime->strand)) {
        return;
    }
    if (runtime->tick == NULL) {
        runtime->tick = group_op_new(groups, OP_TICK);
        runtime->tick->deadline_ms = INT64_MAX;
    }
    if (timer->deadline_ms < runtime->tick->deadline_ms) {
        runtime->tick->deadline_ms = timer->deadline_ms;
        strand_schedule(runtime->strand, &runtime->tick->op, timer->deadline_ms);
    }
}

void group_timer_set(struct groups *groups, struct group_timer *timer, int64_t deadline_ms) {
    struct groups_runtime *runtime = groups->runtime;
    timer->deadline_ms = deadline_ms;
    timer->order = runtime->timer_order++;
    if (heap_contains(&timer->node)) {
        heap_update(&runtime->timers, &timer->node);
    } else {
        heap_push(&runtime->timers, &timer->node);
    }
    groups_arm_tick(groups);
}

void group_timer_clear(struct groups *groups, struct group_timer *timer) {
    heap_remove(&groups->runtime->timers, &timer->node);
}

static err_t run_due_timer(struct group_step *step) {
    struct group_timer *timer = first_timer(step->groups);
    if (timer == NULL || timer->deadline_ms > step->mono_ms) {
        return ERR_OK; /* it was moved or cleared meanwhile */
    }
    heap_remove(&step->groups->runtime->timers, &timer->node);
    return timer->fire(step, timer);
}

/* --- jobs --- */

static enum sys_job_result job_run(struct sys_job *base) {
    struct group_job *job = container_of(base, struct group_job, job);
    job->run(job);
    return SYS_JOB_DONE;
}

static void job_free(struct group_job *job) {
    list_remove(&job->link);
    job->free(job);
}

void group_job_end(struct group_job *job) {
    if (job->cancelled) {
        job_free(job);
        return;
    }
    struct group_op *op = group_op_new(job->groups, OP_JOB);
    op->job = job;
    strand_schedule(job->groups->runtime->strand, &op->op, 0);
}

static void job_done(struct sys_job *base) {
    group_job_end(container_of(base, struct group_job, job));
}

void group_job_begin(struct groups *groups, struct group_job *job) {
    job->groups = groups;
    job->cancelled = false;
    list_add_last(&groups->runtime->jobs, &job->link);
}

void group_job_start(struct groups *groups, struct group_job *job) {
    group_job_begin(groups, job);
    job->job = (struct sys_job){.run = job_run, .done = job_done, .loop = groups->loop};
    sys_pool_submit(groups->runtime->pool, &job->job);
}

void group_job_cancel(struct group_job *job) {
    if (job != NULL) {
        job->cancelled = true;
    }
}

/* --- a step, and what follows it --- */

void groups_take_records(void *state, void *const *records, int32_t record_count,
                         int64_t first_offset) {
    struct groups *groups = state;
    for (int32_t i = 0; i < record_count; i++) {
        const struct coord_record *record = records[i];
        const struct coord_record_kind *kind = groups->kind->record(record->type);
        groups->apply_offset = first_offset + i;
        kind->apply(groups, record);
    }
}

/* The answer must not change any more when the state does. */
static void keep_answer(struct coord_call *call) {
    if (call->api->keeps_answer) {
        return;
    }
    const struct wire_type *type = call->api->response_type;
    void *copy = arena_alloc(call->arena, wire_struct_size(type));
    err_t err = wire_copy(type, call->response, call->arena, copy);
    assert(err == ERR_OK); /* without a bound */
    call->response = copy;
}

static err_t run_call(struct group_step *step) {
    struct coord_call *call = step->call;
    const struct wire_type *type = call->api->response_type;
    step->response = arena_alloc(call->arena, wire_struct_size(type));
    wire_init(type, step->response);
    call->response = step->response;
    if (call->api->check != NULL && !call->api->check(call, step->groups, step->response)) {
        return ERR_OK;
    }
    err_t err = call->api->step(step);
    assert(err == ERR_OK || !step->parked);
    if (err == ERR_OK && !step->parked) {
        keep_answer(call);
    }
    return err;
}

static err_t run_op(struct group_op *op) {
    switch (op->kind) {
    case OP_CALL:
        return run_call(&op->step);
    case OP_TICK:
        op->groups->runtime->tick = NULL;
        return run_due_timer(&op->step);
    case OP_JOB:
        return op->job->cancelled ? ERR_OK : op->job->finish(&op->step, op->job);
    case OP_INNER:
        break;
    }
    return op->inner(&op->step, op->inner_context);
}

static err_t op_step(struct strand_op *base, void *state, const struct strand_input *input,
                     struct strand_output *output) {
    (void)state;
    struct group_op *op = container_of(base, struct group_op, op);
    struct group_step *step = &op->step;
    step->mono_ms = input->mono_ms;
    step->wall_ms = input->wall_ms;
    step->random = input->random;
    step->arena = output->arena;
    step->output = output;
    op->stepped = true;
    err_t err = run_op(op);
    struct list *link;
    list_for_each (link, &step->answers) {
        keep_answer(container_of(link, struct coord_call, link));
    }
    return err;
}

static void op_settled(struct strand_op *base, void *state, err_t err) {
    (void)state;
    struct group_op *op = container_of(base, struct group_op, op);
    struct group_step *step = &op->step;
    op->settled = true;
    op->outcome = err;
    for (int i = 0; err == ERR_OK && i < GROUP_COUNTS; i++) {
        atomic_fetch_add_explicit(&op->groups->counts[i], step->counts[i], memory_order_relaxed);
    }
    if (step->settled != NULL) {
        struct list *last = step->answers.prev;
        step->settling = true;
        step->settled(step, err);
        for (struct list *link = last->next; link != &step->answers; link = link->next) {
            keep_answer(container_of(link, struct coord_call, link));
        }
    }
    groups_await_commit(op);
    groups_arm_tick(op->groups);
    if (op->groups->runtime->stepped != NULL) {
        op->groups->runtime->stepped(op->groups->runtime->stepped_arg);
    }
}

/* Whether the shard was unloaded before the outcome of the step was committed. */
static bool op_was_lost(const struct group_op *op, err_t err) {
    return !op->settled || err != op->outcome;
}

static void give_answers(struct group_op *op, err_t err) {
    struct list *link;
    while ((link = list_take_first(&op->step.answers)) != NULL) {
        struct coord_call *call = container_of(link, struct coord_call, link);
        if (err != ERR_OK && (op_was_lost(op, err) || !call->stands)) {
            coord_call_fail(call, err);
        }
        coord_call_return(call, call->loop == op->groups->loop);
    }
}

static void op_done(struct strand_op *base, err_t err) {
    struct group_op *op = container_of(base, struct group_op, op);
    struct groups *groups = op->groups;
    if (groups->runtime->tick == op) {
        groups->runtime->tick = NULL;
    }
    groups_committed(op);
    give_answers(op, err);
    struct coord_call *call = op->step.call;
    if (call != NULL && !op->step.parked) {
        if (err != ERR_OK && op->stepped) {
            coord_call_fail(call, err);
        } else if (err != ERR_OK) {
            coord_call_turn_away(call, groups, err);
        }
        coord_call_return(call, call->loop == groups->loop);
    }
    if (op->job != NULL) {
        job_free(op->job);
    }
    if (op->inner_done != NULL) {
        op->inner_done(groups, op->inner_context, err);
    }
    free(op);
}

void groups_run(struct groups *groups, groups_inner_fn fn, groups_inner_done_fn done,
                void *context) {
    struct group_op *op = group_op_new(groups, OP_INNER);
    op->inner = fn;
    op->inner_done = done;
    op->inner_context = context;
    strand_schedule(groups->runtime->strand, &op->op, 0);
}
