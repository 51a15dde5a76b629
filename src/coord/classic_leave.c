/*
 * LeaveGroup: one member that leaves, or an administrator who sends several away, also by their
 * instance ids alone. Each has an answer of its own; the group reacts once, to all of them.
 */
#include "base/limits.h"
#include "coord/classic_int.h"

typedef struct leave_group_request_member_identity identity;
typedef struct leave_group_response_member_response answer;

struct leaving {
    struct group_step *step;
    struct classic_group *classic;
    int32_t count;
    struct str first; /* who it is, and the client's reason: for the text log */
};

static void note(struct leaving *leaving, struct str id, struct str reason) {
    if (leaving->count++ > 0) {
        return;
    }
    if (reason.size == 0) {
        reason = STR("no reason given");
    }
    reason.size = reason.size > LIMIT_ERROR_TEXT / 2 ? LIMIT_ERROR_TEXT / 2 : reason.size;
    leaving->first =
        arena_printf(leaving->step->arena, "%.*s (%.*s)", STR_ARGS(id), STR_ARGS(reason));
}

static err_t leave(struct leaving *leaving, const identity *who) {
    struct classic_group *classic = leaving->classic;
    struct classic_pending *pending = classic_pending_find(classic, who->member_id);
    if (pending != NULL) {
        classic_pending_remove(pending);
        note(leaving, who->member_id, who->reason);
        return ERR_OK;
    }
    struct classic_member *member;
    if (who->member_id.size > 0) {
        err_t err = classic_member_check(classic, who->member_id, who->group_instance_id, &member);
        if (err != ERR_OK) {
            return err;
        }
    } else {
        member = who->group_instance_id.data == NULL
                     ? NULL
                     : classic_instance_find(classic, who->group_instance_id);
        if (member == NULL) {
            return ERR_UNKNOWN_MEMBER_ID;
        }
    }
    note(leaving, member->id, who->reason);
    classic_expel(leaving->step, member, ERR_UNKNOWN_MEMBER_ID);
    return ERR_OK;
}

static void react(struct leaving *leaving) {
    struct classic_group *classic = leaving->classic;
    switch (classic->state) {
    case CLASSIC_COMPLETING_REBALANCE:
    case CLASSIC_STABLE:
        classic_prepare_rebalance(leaving->step, classic, "%d members leave, the first is %.*s",
                                  (int)leaving->count, STR_ARGS(leaving->first));
        break;
    case CLASSIC_PREPARING_REBALANCE:
        classic_maybe_complete_join(leaving->step, classic);
        break;
    case CLASSIC_EMPTY:
        break;
    }
}

err_t classic_leave(struct group_step *step, struct group *group) {
    const struct leave_group_request *request = step->request;
    struct leave_group_response *response = step->response;
    struct leaving leaving = {.step = step, .classic = classic_of(group)};
    response->members = ARENA_ARRAY(step->arena, answer, request->members_count);
    response->members_count = request->members_count;
    for (int32_t i = 0; i < request->members_count; i++) {
        const identity *who = &request->members[i];
        response->members[i] = (answer){
            .member_id = who->member_id,
            .group_instance_id = who->group_instance_id,
            .error_code = err_kafka_code(leave(&leaving, who)),
        };
    }
    if (leaving.count > 0) {
        react(&leaving);
    }
    return ERR_OK;
}
