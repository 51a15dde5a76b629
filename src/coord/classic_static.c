/*
 * A static member that comes back without its id (KIP-345): a new process under the same instance
 * id. It takes the place, the assignment and, if need be, the lead of the one before, which is
 * fenced.
 *
 *   state        the protocol that the members would choose now    then
 *   ----------   -----------------------------------------------   --------------------------------
 *   Stable       the same                                          answered as it is (KIP-814), and
 *                                                                  the new id is written
 *   Stable       another                                           a rebalance
 *   Completing   any; the leader may be assigning to the old id    a rebalance
 *   Preparing    any                                               waits for the others
 */
#include <assert.h>

#include "coord/classic_int.h"

/* Of JoinGroup; since then a leader can be told to leave the assignment as it is. */
enum { VERSION_SKIP_ASSIGNMENT = 9 };

/*
 * Nothing kept a leader of an older version from assigning anew while the others sync no more. So
 * it is not told that it leads: the leader is its own id of before.
 */
static void answer_as_it_is(struct group_step *step, const struct classic_member *member,
                            struct str old_leader_id) {
    struct join_group_response *response = step->response;
    classic_answer_join(member, step->arena, response);
    if (step->call->version >= VERSION_SKIP_ASSIGNMENT) {
        response->skip_assignment = member->classic->leader == member;
    } else {
        response->leader = old_leader_id;
        response->members_count = 0;
    }
}

/* One whose place could not be taken keeps it. */
struct replaced {
    struct classic_member *member;
    struct str old_id;
};

static void replaced_settled(struct group_step *step, err_t err) {
    const struct replaced *replaced = step->context;
    if (err != ERR_OK) {
        classic_member_rename(replaced->member, replaced->old_id);
    }
}

static void write_new_id(struct group_step *step, struct classic_member *member,
                         struct str old_id) {
    struct replaced *replaced = ARENA_NEW(step->arena, struct replaced);
    *replaced = (struct replaced){.member = member, .old_id = old_id};
    (void)classic_add_record(step, member->classic);
    step->context = replaced;
    step->settled = replaced_settled;
}

static bool chooses_the_same(struct classic_group *classic) {
    return str_equal(classic_select_protocol(classic), classic->protocol_name);
}

static void join_anew(struct group_step *step, struct classic_member *member) {
    struct classic_group *classic = member->classic;
    classic_park_join(step, member);
    if (classic->state == CLASSIC_PREPARING_REBALANCE) {
        classic_maybe_complete_join(step, classic);
    } else {
        classic_prepare_rebalance(step, classic, "static member %.*s is %.*s now (%s)",
                                  STR_ARGS(member->instance_id), STR_ARGS(member->id),
                                  classic_join_reason(step));
    }
}

void classic_replace_static(struct group_step *step, struct classic_member *member, struct str id) {
    struct classic_group *classic = member->classic;
    assert(classic->state != CLASSIC_EMPTY);
    struct str old_id = arena_str(step->arena, member->id);
    struct str old_leader_id = arena_str(step->arena, classic->leader->id);
    classic_fence(step, member);
    classic_member_rename(member, id);
    classic_update_member(step, member);
    classic_session_renew(step, member);
    if (classic->state == CLASSIC_STABLE && chooses_the_same(classic)) {
        answer_as_it_is(step, member, old_leader_id);
        write_new_id(step, member, old_id);
    } else {
        join_anew(step, member);
    }
}
