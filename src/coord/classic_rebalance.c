/*
 * From state to state. Requests are in classic_join.c, classic_sync.c and classic_leave.c; each
 * ends here when it changes who is in the group.
 *
 *   state        what happens                                    then         function
 *   ----------   ---------------------------------------------   ----------   -----------------
 *   Empty        a member joins                                  Preparing    prepare_rebalance
 *   Preparing    all members wait in `join`, no id is pending    Completing   complete_join
 *   Preparing    time is up: who has not joined is out, but      Completing   complete_join
 *                not the static ones
 *   Preparing    the same, and nobody is left                    Empty        complete_join
 *   Completing   the leader's assignments are appended           Stable       classic_apply
 *   Completing   they cannot be; a member joins, leaves, has     Preparing    prepare_rebalance
 *                news or is lost; not all sync in time
 *   Stable       the same, or the leader joins again             Preparing    prepare_rebalance
 *   Stable       a static member comes back                      Stable       classic_static.c
 *
 * To Completing: the generation rises, a protocol is chosen, all who wait are answered; there is no
 * record yet. To Empty: the generation rises, with a record.
 *
 * The first rebalance, from Empty, waits group.initial.rebalance.delay.ms; each time members came
 * meanwhile it waits once more, all in all as long as the rebalance timeout of the first.
 *
 * Sessions: a member is expected back within its session timeout after each answer or heartbeat.
 * One that waits for us is in touch by that, except a new one: it does not know its id, so nobody
 * could tell whether it is still there, and after five minutes it has to begin again.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"
#include "coord/classic_int.h"

/* Before members who did not join within their own timeout, which may be nothing, are waited for
 * once more. */
enum { JOIN_RETRY_MS = 500 };

/* --- states --- */

const char *classic_state_name(enum classic_state state) {
    static const char *const names[] = {
        [CLASSIC_EMPTY] = "Empty",
        [CLASSIC_PREPARING_REBALANCE] = "PreparingRebalance",
        [CLASSIC_COMPLETING_REBALANCE] = "CompletingRebalance",
        [CLASSIC_STABLE] = "Stable",
    };
    return names[state];
}

void classic_set_state(struct classic_group *classic, const struct group_step *step,
                       enum classic_state state) {
    classic->state = state;
    classic->state_since_ms = step->wall_ms;
}

int32_t classic_next_generation(const struct classic_group *classic) {
    return classic->generation == INT32_MAX ? 1 : classic->generation + 1;
}

/* --- sessions --- */

/* Whether the group waits no longer for somebody who was expected. */
static void member_is_gone(struct group_step *step, struct classic_group *classic,
                           const char *member_id) {
    switch (classic->state) {
    case CLASSIC_PREPARING_REBALANCE:
        if (classic_all_joined(classic)) {
            classic_complete_join(step, classic);
        }
        break;
    case CLASSIC_COMPLETING_REBALANCE:
    case CLASSIC_STABLE:
        classic_prepare_rebalance(step, classic, "member %s was not heard of", member_id);
        break;
    case CLASSIC_EMPTY:
        break;
    }
}

static err_t session_expired(struct group_step *step, struct group_timer *timer) {
    struct classic_member *member = container_of(timer, struct classic_member, session);
    if (!member->is_new && (member->join.waiting || member->sync.waiting)) {
        return ERR_OK; /* the session begins again with the answer */
    }
    struct classic_group *classic = member->classic;
    char *id = arena_c_str(step->arena, member->id);
    classic_expel(step, member, ERR_UNKNOWN_MEMBER_ID);
    member_is_gone(step, classic, id);
    return ERR_OK;
}

err_t classic_pending_expired(struct group_step *step, struct group_timer *timer) {
    struct classic_pending *pending = container_of(timer, struct classic_pending, session);
    struct classic_group *classic = pending->classic;
    classic_pending_remove(pending);
    if (classic->state == CLASSIC_PREPARING_REBALANCE && classic_all_joined(classic)) {
        classic_complete_join(step, classic);
    }
    return ERR_OK;
}

void classic_session_begin(struct group_step *step, struct classic_member *member,
                           int32_t timeout_ms) {
    member->session.fire = session_expired;
    group_timer_set(step->groups, &member->session, step->mono_ms + timeout_ms);
}

void classic_session_renew(struct group_step *step, struct classic_member *member) {
    classic_session_begin(step, member, member->session_timeout_ms);
}

/* --- answers --- */

/* The id is copied: the member may get another, or go, in this step. */
static void answer_join_error(struct group_step *step, struct classic_member *member, err_t err,
                              struct str member_id) {
    if (!member->join.waiting) {
        return;
    }
    int16_t version;
    struct join_group_response *response = step_answer(step, &member->join, &version);
    member->classic->joined_count--;
    classic_refuse_join(response, version, err, arena_str(step->arena, member_id));
}

static void answer_sync_error(struct group_step *step, struct classic_member *member, err_t err) {
    if (member->sync.waiting) {
        struct sync_group_response *response = step_answer(step, &member->sync, NULL);
        response->error_code = err_kafka_code(err);
    }
}

void classic_park_join(struct group_step *step, struct classic_member *member) {
    answer_join_error(step, member, ERR_REBALANCE_IN_PROGRESS, member->id);
    step_park(step, &member->join);
    member->classic->joined_count++;
}

void classic_park_sync(struct group_step *step, struct classic_member *member) {
    answer_sync_error(step, member, ERR_REBALANCE_IN_PROGRESS);
    step_park(step, &member->sync);
}

void classic_fence(struct group_step *step, struct classic_member *member) {
    answer_join_error(step, member, ERR_FENCED_INSTANCE_ID, member->id);
    answer_sync_error(step, member, ERR_FENCED_INSTANCE_ID);
}

void classic_expel(struct group_step *step, struct classic_member *member, err_t err) {
    answer_join_error(step, member, err, STR(""));
    answer_sync_error(step, member, err);
    classic_member_remove(member);
}

void classic_release_all(struct group_step *step, struct group *group) {
    struct classic_group *classic = classic_of(group);
    struct classic_member *member = classic_member_first(classic);
    for (; member != NULL; member = classic_member_next(member)) {
        answer_join_error(step, member, ERR_REBALANCE_IN_PROGRESS, member->id);
        answer_sync_error(step, member, ERR_REBALANCE_IN_PROGRESS);
    }
}

static void list_members(const struct classic_group *classic, struct arena *arena,
                         struct join_group_response *response) {
    int32_t count = (int32_t)map_count(&classic->members);
    response->members = ARENA_ARRAY(arena, struct join_group_response_member, count);
    response->members_count = 0;
    struct classic_member *member = classic_member_first(classic);
    for (; member != NULL; member = classic_member_next(member)) {
        response->members[response->members_count++] = (struct join_group_response_member){
            .member_id = member->id,
            .group_instance_id = member->instance_id,
            .metadata = classic_protocols_metadata(member->protocols, classic->protocol_name),
        };
    }
}

void classic_answer_join(const struct classic_member *member, struct arena *arena,
                         struct join_group_response *response) {
    const struct classic_group *classic = member->classic;
    response->generation_id = classic->generation;
    response->protocol_type = classic->protocol_type;
    response->protocol_name = classic->protocol_name;
    response->leader = classic->leader->id;
    response->member_id = member->id;
    if (classic->leader == member) {
        list_members(classic, arena, response);
    }
}

/* --- to Preparing --- */

static err_t rejoin_expired(struct group_step *step, struct group_timer *timer);

static void wait_for_joins(struct group_step *step, struct classic_group *classic, int32_t ms) {
    classic->rejoin.fire = rejoin_expired;
    group_timer_set(step->groups, &classic->rejoin, step->mono_ms + ms);
}

static int32_t first_delay_ms_max(const struct group_step *step) {
    int32_t delay_ms = config_int(step->groups->config, CONFIG_GROUP_INITIAL_REBALANCE_DELAY_MS);
    return delay_ms < 0 ? 0 : delay_ms;
}

static void begin_first_rebalance(struct group_step *step, struct classic_group *classic) {
    int32_t delay_ms = first_delay_ms_max(step);
    int32_t timeout_ms = classic_rebalance_timeout_ms(classic);
    classic->first_rebalance = true;
    classic->member_came = false;
    classic->first_delay_ms = delay_ms;
    classic->first_left_ms = timeout_ms > delay_ms ? timeout_ms - delay_ms : 0;
    wait_for_joins(step, classic, delay_ms);
}

/* Whether the first rebalance goes on waiting. */
static bool extend_first_rebalance(struct group_step *step, struct classic_group *classic) {
    if (!classic->first_rebalance || !classic->member_came || classic->first_left_ms == 0) {
        return false;
    }
    int32_t left_ms = classic->first_left_ms;
    int32_t delay_ms = first_delay_ms_max(step) < left_ms ? first_delay_ms_max(step) : left_ms;
    classic->member_came = false;
    classic->first_left_ms =
        left_ms > classic->first_delay_ms ? left_ms - classic->first_delay_ms : 0;
    classic->first_delay_ms = delay_ms;
    wait_for_joins(step, classic, delay_ms);
    return true;
}

static err_t rejoin_expired(struct group_step *step, struct group_timer *timer) {
    struct classic_group *classic = container_of(timer, struct classic_group, rejoin);
    if (!extend_first_rebalance(step, classic)) {
        classic_complete_join(step, classic);
    }
    return ERR_OK;
}

/* Nobody has an assignment any more. */
static void take_assignments_back(struct group_step *step, struct classic_group *classic) {
    struct classic_member *member = classic_member_first(classic);
    for (; member != NULL; member = classic_member_next(member)) {
        classic_member_set_assignment(member, (struct bytes){0});
        if (member->sync.waiting) {
            answer_sync_error(step, member, ERR_REBALANCE_IN_PROGRESS);
            classic_session_renew(step, member);
        }
    }
}

static void stop_waiting_for_syncs(struct group_step *step, struct classic_group *classic) {
    struct classic_member *member = classic_member_first(classic);
    for (; member != NULL; member = classic_member_next(member)) {
        classic_member_set_must_sync(member, false);
    }
    group_timer_clear(step->groups, &classic->resync);
}

static void log_rebalance(const struct group_step *step, const struct classic_group *classic,
                          const char *format, va_list arguments) {
    char reason[LIMIT_ERROR_TEXT];
    vsnprintf(reason, sizeof reason, format, arguments);
    text_log_info(step->groups->text_log, "coord",
                  "Group %.*s begins a rebalance after generation %d: %s",
                  STR_ARGS(classic->group->id), (int)classic->generation, reason);
}

void classic_prepare_rebalance(struct group_step *step, struct classic_group *classic,
                               const char *reason, ...) {
    assert(classic->state != CLASSIC_PREPARING_REBALANCE);
    classic_keep_logged(classic);
    classic->rejoin_due = false;
    va_list arguments;
    va_start(arguments, reason);
    log_rebalance(step, classic, reason, arguments);
    va_end(arguments);

    bool first = classic->state == CLASSIC_EMPTY;
    if (classic->state == CLASSIC_COMPLETING_REBALANCE) {
        take_assignments_back(step, classic);
    }
    stop_waiting_for_syncs(step, classic);
    classic_set_state(classic, step, CLASSIC_PREPARING_REBALANCE);
    if (first) {
        begin_first_rebalance(step, classic);
        return;
    }
    classic->first_rebalance = false;
    if (classic_all_joined(classic)) {
        classic_complete_join(step, classic);
    } else {
        wait_for_joins(step, classic, classic_rebalance_timeout_ms(classic));
    }
}

void classic_begin_due_rebalance(struct group_step *step, struct classic_group *classic) {
    if (classic->rejoin_due) {
        classic_prepare_rebalance(step, classic, "it was a group of the consumer protocol");
    }
}

/* --- from Preparing --- */

void classic_maybe_complete_join(struct group_step *step, struct classic_group *classic) {
    if (classic->state == CLASSIC_PREPARING_REBALANCE && !classic->first_rebalance &&
        classic_all_joined(classic)) {
        classic_complete_join(step, classic);
    }
}

static void drop_those_who_did_not_join(struct classic_group *classic) {
    struct classic_member *next;
    for (struct classic_member *member = classic_member_first(classic); member != NULL;
         member = next) {
        next = classic_member_next(member);
        if (!member->join.waiting && member->instance_id.data == NULL) {
            classic_member_remove(member);
        }
    }
}

/* Also without its record: nobody depends on an empty generation. */
static void empty_settled(struct group_step *step, err_t err) {
    struct classic_group *classic = step->context;
    if (err != ERR_OK) {
        text_log_warn(step->groups->text_log, "coord",
                      "Group %.*s is empty now, which could not be written: %s",
                      STR_ARGS(classic->group->id), err_text(err));
        classic->generation = classic_next_generation(classic);
        classic_set_protocol_name(classic, STR_NULL);
        classic_set_state(classic, step, CLASSIC_EMPTY);
    }
}

static void become_empty(struct group_step *step, struct classic_group *classic) {
    struct group_metadata_value *value = classic_add_record(step, classic);
    value->generation = classic_next_generation(classic);
    value->protocol = STR_NULL;
    value->current_state_timestamp = step->wall_ms;
    step->context = classic;
    step->settled = empty_settled;
}

static err_t resync_expired(struct group_step *step, struct group_timer *timer) {
    struct classic_group *classic = container_of(timer, struct classic_group, resync);
    int32_t lost = classic->unsynced_count;
    struct classic_member *next;
    for (struct classic_member *member = classic_member_first(classic); member != NULL;
         member = next) {
        next = classic_member_next(member);
        if (member->must_sync) {
            classic_expel(step, member, ERR_UNKNOWN_MEMBER_ID);
        }
    }
    classic_prepare_rebalance(step, classic, "%d members did not sync in time", (int)lost);
    return ERR_OK;
}

static void answer_joined(struct group_step *step, struct classic_member *member) {
    if (member->join.waiting) {
        int16_t version;
        struct join_group_response *response = step_answer(step, &member->join, &version);
        member->classic->joined_count--;
        classic_answer_join(member, step->arena, response);
    }
    member->is_new = false;
    classic_session_renew(step, member);
    classic_member_set_must_sync(member, true);
}

static void begin_generation(struct group_step *step, struct classic_group *classic) {
    classic->generation = classic_next_generation(classic);
    struct str protocol = classic_select_protocol(classic);
    assert(protocol.data != NULL); /* nobody gets in who has none in common with the others */
    classic_set_protocol_name(classic, protocol);
    classic_set_state(classic, step, CLASSIC_COMPLETING_REBALANCE);
    struct classic_member *member = classic_member_first(classic);
    for (; member != NULL; member = classic_member_next(member)) {
        answer_joined(step, member);
    }
    classic->resync.fire = resync_expired;
    group_timer_set(step->groups, &classic->resync,
                    step->mono_ms + classic_rebalance_timeout_ms(classic));
    text_log_info(step->groups->text_log, "coord", "Group %.*s has %zu members in generation %d",
                  STR_ARGS(classic->group->id), map_count(&classic->members),
                  (int)classic->generation);
}

void classic_complete_join(struct group_step *step, struct classic_group *classic) {
    assert(classic->state == CLASSIC_PREPARING_REBALANCE);
    group_timer_clear(step->groups, &classic->rejoin);
    drop_those_who_did_not_join(classic);
    if (map_count(&classic->members) == 0) {
        become_empty(step, classic);
    } else if (classic_elect_joined(classic)) {
        begin_generation(step, classic);
    } else { /* only static members, and none of them joined */
        int32_t timeout_ms = classic_rebalance_timeout_ms(classic);
        wait_for_joins(step, classic, timeout_ms > JOIN_RETRY_MS ? timeout_ms : JOIN_RETRY_MS);
    }
}
