/*
 * JoinGroup. What becomes of a request, the first row that fits:
 *
 *   group is full, and the member is none that counts           GROUP_MAX_SIZE_REACHED
 *   protocol type or protocols do not go with the members'      INCONSISTENT_GROUP_PROTOCOL
 *   without an id
 *     an instance that is known                                 classic_static.c
 *     an instance that is not, or version 0 to 3                a new member
 *     version 4 and later                                       MEMBER_ID_REQUIRED (KIP-394)
 *   with an id
 *     one that was given out                                    a new member
 *     unknown; or the instance is another member                UNKNOWN_MEMBER_ID; FENCED_...
 *     Preparing                                                 waits for the others
 *     Completing or Stable, with nothing new, no leader of a    answered as it is
 *     Stable
 *     Completing or Stable                                      begins a rebalance
 */
#include "base/limits.h"
#include "coord/classic_int.h"

/* A new member does not know its id before it is answered, so it cannot send heartbeats. Kafka's
 * time, after which it has to begin again. */
enum { NEW_MEMBER_TIMEOUT_MS = 5 * 60 * 1000 };

/* Of JoinGroup; since then a member asks for an id before it joins. */
enum { VERSION_MEMBER_ID_REQUIRED = 4 };

static const struct join_group_request *request_of(const struct group_step *step) {
    return step->request;
}

static void refuse(struct group_step *step, err_t err, struct str member_id) {
    classic_refuse_join(step->response, step->call->version, err, member_id);
}

char *classic_join_reason(const struct group_step *step) {
    struct str reason = request_of(step)->reason;
    if (reason.size == 0) {
        reason = STR("no reason given");
    }
    if (reason.size > LIMIT_ERROR_TEXT / 2) {
        reason.size = LIMIT_ERROR_TEXT / 2;
    }
    return arena_c_str(step->arena, reason);
}

/* Version 0 has none of its own. */
static int32_t rebalance_timeout_ms(const struct group_step *step) {
    const struct join_group_request *request = request_of(step);
    return step->call->version == 0 ? request->session_timeout_ms : request->rebalance_timeout_ms;
}

void classic_update_member(struct group_step *step, struct classic_member *member) {
    const struct join_group_request *request = request_of(step);
    classic_keep_logged(member->classic);
    if (!classic_protocols_equal(member->protocols, request)) {
        classic_member_set_protocols(
            member, classic_protocols_new(request->protocols, request->protocols_count));
    }
    member->rebalance_timeout_ms = rebalance_timeout_ms(step);
    member->session_timeout_ms = request->session_timeout_ms;
}

/* --- whether there is room --- */

/*
 * While a group prepares, those who wait are counted: members of before may be more than fit, after
 * the limit was lowered, and the last ones to come back are out.
 */
static bool has_room(const struct group_step *step, const struct classic_group *classic,
                     const struct classic_member *member) {
    int32_t size_max = config_int(step->groups->config, CONFIG_GROUP_MAX_SIZE);
    switch (classic->state) {
    case CLASSIC_EMPTY:
        break;
    case CLASSIC_PREPARING_REBALANCE:
        return (member != NULL && member->join.waiting) || classic->joined_count < size_max;
    case CLASSIC_COMPLETING_REBALANCE:
    case CLASSIC_STABLE:
        return member != NULL || map_count(&classic->members) < (size_t)size_max;
    }
    return true;
}

static void refuse_for_room(struct group_step *step, struct classic_group *classic,
                            struct classic_member *member) {
    struct classic_pending *pending = classic_pending_find(classic, request_of(step)->member_id);
    refuse(step, ERR_GROUP_MAX_SIZE_REACHED, STR(""));
    if (pending != NULL) {
        classic_pending_remove(pending);
    }
    if (member != NULL) {
        classic_expel(step, member, ERR_UNKNOWN_MEMBER_ID);
    }
    classic_maybe_complete_join(step, classic); /* nobody waits for it any more */
}

/* --- new members --- */

static void rebalance_for(struct group_step *step, const struct classic_member *member,
                          const char *what) {
    if (member->classic->state == CLASSIC_PREPARING_REBALANCE) {
        classic_maybe_complete_join(step, member->classic);
    } else {
        classic_prepare_rebalance(step, member->classic, "member %.*s %s (%s)",
                                  STR_ARGS(member->id), what, classic_join_reason(step));
    }
}

static void add_member(struct group_step *step, struct classic_group *classic, struct str id) {
    const struct join_group_request *request = request_of(step);
    const struct classic_newcomer newcomer = {
        .member_id = id,
        .instance_id = request->group_instance_id,
        .client_id = step->call->client_id.data == NULL ? STR("") : step->call->client_id,
        .client_host = step->call->client_host,
        .rebalance_timeout_ms = rebalance_timeout_ms(step),
        .session_timeout_ms = request->session_timeout_ms,
        .protocols = request->protocols,
        .protocols_count = request->protocols_count,
    };
    if (map_count(&classic->members) == 0) {
        classic_set_protocol_type(classic, request->protocol_type);
    }
    struct classic_member *member = classic_member_add(classic, &newcomer);
    member->is_new = true;
    classic->member_came = true;
    classic_park_join(step, member);
    classic_session_begin(step, member, NEW_MEMBER_TIMEOUT_MS);
    rebalance_for(step, member, "joins");
}

/* The oldest id goes when there are too many: its owner will be told that it is unknown. */
static void give_id(struct group_step *step, struct classic_group *classic, struct str id) {
    if (map_count(&classic->pending) == GROUP_PENDING_MEMBERS_MAX) {
        size_t cursor = 0;
        classic_pending_remove(map_next(&classic->pending, &cursor));
    }
    struct classic_pending *pending = classic_pending_add(classic, id);
    pending->session.fire = classic_pending_expired;
    group_timer_set(step->groups, &pending->session,
                    step->mono_ms + request_of(step)->session_timeout_ms);
    refuse(step, ERR_MEMBER_ID_REQUIRED, id);
}

static void join_without_id(struct group_step *step, struct classic_group *classic) {
    struct str instance_id = request_of(step)->group_instance_id;
    bool is_static = instance_id.data != NULL;
    struct classic_member *before = is_static ? classic_instance_find(classic, instance_id) : NULL;
    struct str id = classic_make_member_id(step, instance_id);
    if (before != NULL) {
        classic_replace_static(step, before, id);
    } else if (is_static || step->call->version < VERSION_MEMBER_ID_REQUIRED) {
        add_member(step, classic, id);
    } else {
        give_id(step, classic, id);
    }
}

/* --- members of before --- */

static void join_again(struct group_step *step, struct classic_member *member, const char *what) {
    classic_update_member(step, member);
    classic_park_join(step, member);
    rebalance_for(step, member, what);
}

static void answer_as_it_is(struct group_step *step, const struct classic_member *member) {
    classic_answer_join(member, step->arena, step->response);
}

static void join_known(struct group_step *step, struct classic_member *member) {
    struct classic_group *classic = member->classic;
    bool news = !classic_protocols_equal(member->protocols, request_of(step));
    switch (classic->state) {
    case CLASSIC_EMPTY:
        refuse(step, ERR_UNKNOWN_MEMBER_ID, request_of(step)->member_id);
        break;
    case CLASSIC_PREPARING_REBALANCE:
        join_again(step, member, "joins");
        break;
    case CLASSIC_COMPLETING_REBALANCE: /* the answer may not have reached it */
        if (news) {
            join_again(step, member, "has new metadata");
        } else {
            answer_as_it_is(step, member);
        }
        break;
    case CLASSIC_STABLE: /* a leader knows why, if it is about what it assigns */
        if (news || classic->leader == member) {
            join_again(step, member, news ? "has new metadata" : "leads and joins again");
        } else {
            answer_as_it_is(step, member);
        }
        break;
    }
}

static void join_with_id(struct group_step *step, struct classic_group *classic) {
    const struct join_group_request *request = request_of(step);
    struct classic_pending *pending = classic_pending_find(classic, request->member_id);
    if (pending != NULL && request->group_instance_id.data == NULL) {
        struct str id = arena_str(step->arena, pending->id);
        classic_pending_remove(pending);
        add_member(step, classic, id);
        return;
    }
    struct classic_member *member;
    err_t err =
        classic_member_check(classic, request->member_id, request->group_instance_id, &member);
    if (err != ERR_OK) {
        refuse(step, err, request->member_id);
        return;
    }
    join_known(step, member);
}

err_t classic_join(struct group_step *step, struct group *group) {
    const struct join_group_request *request = request_of(step);
    struct classic_group *classic = classic_of(group);
    struct classic_member *member = classic_member_find(classic, request->member_id);
    if (!has_room(step, classic, member)) {
        refuse_for_room(step, classic, member);
    } else if (!classic_supports(classic, request)) {
        refuse(step, ERR_INCONSISTENT_GROUP_PROTOCOL, request->member_id);
    } else if (request->member_id.size == 0) {
        join_without_id(step, classic);
    } else {
        join_with_id(step, classic);
    }
    return ERR_OK;
}

/* --- groups that begin --- */

/* If the group could not be written it never began, and what it was before it still is. */
static void begin_settled(struct group_step *step, err_t err) {
    struct classic_group *classic = step->context;
    struct group *group = classic->group;
    if (err == ERR_OK) {
        group_forget_aside(group);
        return;
    }
    struct classic_member *member;
    while ((member = classic_member_first(classic)) != NULL) {
        classic_expel(step, member, group_write_err(err));
    }
    if (group->aside != NULL) {
        group_take_back(group);
    } else {
        group_drop_part(group);
    }
}

/* An empty group, whoever joins it in the same step. */
static void add_first_record(struct group_step *step, const struct group *group) {
    void *body;
    struct group_metadata_key *key = step_record(step, GROUP_RECORD_GROUP_METADATA, &body);
    struct group_metadata_value *value = body;
    key->group = group->id;
    value->protocol = STR_NULL;
    value->leader = STR_NULL;
    value->current_state_timestamp = step->wall_ms;
}

/* As in Kafka the group is there from its first JoinGroup on, also from one that is refused. */
static err_t begin_group(struct group_step *step, struct group *group) {
    struct classic_group *classic = classic_new(group);
    classic->state_since_ms = step->wall_ms;
    add_first_record(step, group);
    step->context = classic;
    step->settled = begin_settled;
    return classic_join(step, group);
}

err_t classic_join_instead(struct group_step *step, struct group *group) {
    group->ops->add_tombstones(step, group);
    group_set_aside(group);
    return begin_group(step, group);
}

/* Whose offsets are known has a place in the log: then only a generation is written. */
static err_t join_simple(struct group_step *step, struct group *group) {
    struct classic_group *classic = classic_new(group);
    classic->state_since_ms = step->wall_ms;
    return classic_join(step, group);
}

err_t classic_join_first(struct group_step *step, struct group *group) {
    if (request_of(step)->member_id.size > 0) {
        refuse(step, ERR_UNKNOWN_MEMBER_ID, request_of(step)->member_id);
        return ERR_OK;
    }
    if (group != NULL) {
        return join_simple(step, group);
    }
    return begin_group(step, groups_add(step->groups, request_of(step)->group_id));
}
