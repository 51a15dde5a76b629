/*
 * A call from its own loop to the shard's and back, and the requests that wait in between.
 *
 * A client that goes away: coord_cancel posts to the shard's loop, which takes the call out of its
 * wait, if it is in one, and posts back. `done` comes after both have arrived, the answer and the
 * word that nobody will look at the call any more.
 *
 * An answer waits until its step is committed, but not for ever: offsets.commit.timeout.ms at most
 * where it is groups', request.timeout.ms where it is transactions'. That begins when
 * the records are in the log, as in Apache Kafka: while an append is under way the step's request
 * is still read, and nobody knows whether anything of it will be.
 */
#include <assert.h>
#include <stdlib.h>

#include "coord/groups_int.h"

/* --- calls --- */

static void deliver(struct coord_call *call) {
    call->answered = true;
    if (!call->cancelling) {
        call->done(call);
    }
}

static void deliver_task(struct sys_task *task) {
    deliver(container_of(task, struct coord_call, task));
}

void coord_call_return(struct coord_call *call, bool here) {
    if (here) {
        deliver(call);
        return;
    }
    call->task.run = deliver_task;
    sys_loop_post(call->loop, &call->task);
}

err_t group_write_err(err_t err) {
    if (err == ERR_BUSY || err == ERR_NO_SPACE) { /* there may be room later */
        return ERR_COORDINATOR_NOT_AVAILABLE;
    }
    err_t kafka = err_from_kafka_code(err_kafka_code(err));
    switch (kafka) {
    case ERR_UNKNOWN_TOPIC_OR_PARTITION:
    case ERR_NOT_ENOUGH_REPLICAS:
    case ERR_REQUEST_TIMED_OUT:
    case ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
        return ERR_COORDINATOR_NOT_AVAILABLE;
    case ERR_NOT_LEADER_OR_FOLLOWER:
    case ERR_FENCED_LEADER_EPOCH:
    case ERR_KAFKA_STORAGE_ERROR: /* whatever the disk's error is called here */
        return ERR_NOT_COORDINATOR;
    case ERR_MESSAGE_TOO_LARGE:
    case ERR_RECORD_LIST_TOO_LARGE:
        return ERR_UNKNOWN_SERVER_ERROR;
    default:
        return kafka;
    }
}

static void make_response(struct coord_call *call) {
    call->response = arena_alloc(call->arena, wire_struct_size(call->api->response_type));
    wire_init(call->api->response_type, call->response);
}

void coord_call_fail(struct coord_call *call, err_t err) {
    make_response(call);
    call->api->fail(call, (int16_t)group_write_err(err), call->response);
}

void coord_call_turn_away(struct coord_call *call, const struct groups *groups, err_t err) {
    make_response(call);
    if (call->api->check == NULL || call->api->check(call, groups, call->response)) {
        call->api->fail(call, (int16_t)group_write_err(err), call->response);
    }
}

void groups_call_refuse(struct coord_call *call, const struct coord_api *api, err_t err) {
    call->api = api;
    coord_call_fail(call, err);
    coord_call_return(call, false);
}

void groups_call(struct groups *groups, struct coord_call *call, const struct coord_api *api) {
    call->api = api;
    call->groups = groups;
    call->wait = NULL;
    struct group_op *op = group_op_new(groups, OP_CALL);
    op->step.call = call;
    op->step.request = call->request;
    err_t err = strand_submit(groups->runtime->strand, &op->op);
    if (err != ERR_OK) {
        free(op);
        groups_call_refuse(call, api, err);
    }
}

static void cancel_acked(struct sys_task *task) {
    struct coord_call *call = container_of(task, struct coord_call, cancel_task);
    call->cancelling = false;
    if (call->answered) {
        call->done(call);
    }
}

/* On the shard's loop. One that does not wait is on its way back already, or will be soon. */
static void cancel_run(struct sys_task *task) {
    struct coord_call *call = container_of(task, struct coord_call, cancel_task);
    if (call->wait != NULL) {
        call->wait->call = NULL;
        call->wait = NULL;
        coord_call_fail(call, ERR_COORDINATOR_NOT_AVAILABLE); /* nobody will read it */
        coord_call_return(call, call->loop == call->groups->loop);
    }
    call->cancel_task.run = cancel_acked;
    sys_loop_post(call->loop, &call->cancel_task);
}

void coord_cancel(struct coord_call *call) {
    if (call->answered || call->cancelling || call->groups == NULL) {
        return;
    }
    call->cancelling = true;
    call->cancel_task.run = cancel_run;
    sys_loop_post(call->groups->loop, &call->cancel_task);
}

/* --- answers that wait for a commit --- */

static void give_up(struct coord_call *call) {
    if (!call->stands) {
        coord_call_fail(call, ERR_REQUEST_TIMED_OUT);
    }
    coord_call_return(call, false);
}

/* What they asked for is done all the same, and may be committed yet. */
static void answer_overdue(struct sys_timer *timer) {
    struct groups_runtime *runtime = container_of(timer, struct groups_runtime, overdue);
    struct sys_loop *loop = runtime->loop;
    struct list *link;
    while ((link = list_first(&runtime->unsaid)) != NULL) {
        struct group_op *op = container_of(link, struct group_op, unsaid);
        if (op->unsaid_ms_max > sys_loop_now_ms(loop)) {
            sys_timer_set(loop, timer, op->unsaid_ms_max);
            break;
        }
        list_remove(link);
        while ((link = list_take_first(&op->step.answers)) != NULL) {
            give_up(container_of(link, struct coord_call, link));
        }
        if (op->step.call != NULL && !op->step.parked) {
            give_up(op->step.call);
            op->step.call = NULL;
        }
    }
}

void groups_await_commit(struct group_op *op) {
    struct groups *groups = op->groups;
    struct groups_runtime *runtime = groups->runtime;
    bool answers = op->step.call != NULL && !op->step.parked;
    if (!answers && list_empty(&op->step.answers)) {
        return;
    }
    op->unsaid_ms_max = op->step.mono_ms + config_int(groups->config, groups->kind->answer_ms_max);
    list_add_last(&runtime->unsaid, &op->unsaid);
    if (!sys_timer_is_set(&runtime->overdue)) {
        runtime->overdue.fire = answer_overdue;
        sys_timer_set(groups->loop, &runtime->overdue, op->unsaid_ms_max);
    }
}

void groups_committed(struct group_op *op) {
    struct groups_runtime *runtime = op->groups->runtime;
    if (list_linked(&op->unsaid)) {
        list_remove(&op->unsaid);
        if (list_empty(&runtime->unsaid)) {
            sys_timer_clear(runtime->loop, &runtime->overdue);
        }
    }
}

/* --- how much is answered --- */

bool step_has_room(const struct group_step *step) {
    return step->call->room == NULL || atomic_load(step->call->room) > 0;
}

void step_take_room(struct group_step *step, size_t size) {
    if (step->call->room != NULL) {
        atomic_fetch_sub(step->call->room, (int64_t)size);
    }
}

void step_take_room_of(struct group_step *step, const void *part) {
    size_t size = 0;
    if (step->call->room != NULL) {
        (void)wire_size(step->call->api->response_type, step->call->version, part, &size);
    }
    step_take_room(step, size);
}

/* --- requests that wait --- */

void step_park(struct group_step *step, struct group_wait *wait) {
    assert(step->call != NULL);
    assert(!step->parked);
    assert(!wait->waiting);
    step->parked = true;
    step->call->wait = wait;
    *wait = (struct group_wait){.waiting = true,
                                .version = step->call->version,
                                .call = step->call,
                                .api = step->call->api};
    list_add_last(&step->groups->runtime->waits, &wait->link);
}

void *step_answer(struct group_step *step, struct group_wait *wait, int16_t *ret_version) {
    assert(wait->waiting);
    struct coord_call *call = wait->call;
    const struct wire_type *type = wait->api->response_type;
    bool stands = step->settling;
    void *response = arena_alloc(step->arena, wire_struct_size(type));
    wire_init(type, response);
    if (ret_version != NULL) {
        *ret_version = wait->version;
    }
    list_remove(&wait->link);
    *wait = (struct group_wait){0};
    if (call != NULL) {
        call->wait = NULL;
        call->response = response;
        call->stands = stands;
        list_add_last(&step->answers, &call->link);
    }
    return response;
}

void groups_fail_waits(struct groups *groups, err_t err) {
    struct list *link;
    while ((link = list_take_first(&groups->runtime->waits)) != NULL) {
        struct group_wait *wait = container_of(link, struct group_wait, link);
        struct coord_call *call = wait->call;
        *wait = (struct group_wait){0};
        if (call != NULL) {
            call->wait = NULL;
            coord_call_fail(call, err);
            coord_call_return(call, call->loop == groups->loop);
        }
    }
}
