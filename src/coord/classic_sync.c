/*
 * SyncGroup: the leader brings what each member gets, the others wait for it. And Heartbeat.
 *
 *   state        SyncGroup                                        Heartbeat
 *   ----------   ----------------------------------------------   ---------------------
 *   Empty        UNKNOWN_MEMBER_ID                                UNKNOWN_MEMBER_ID
 *   Preparing    REBALANCE_IN_PROGRESS                            REBALANCE_IN_PROGRESS, in touch
 *   Completing   the leader: a record, then Stable, all waiting   in touch
 *                ones are answered; a follower waits
 *   Stable       the member's assignment                          in touch
 */
#include "coord/classic_int.h"

/* --- SyncGroup --- */

static bool differs(struct str asked, struct str ours) {
    return asked.data != NULL && ours.data != NULL && !str_equal(asked, ours);
}

static err_t check_sync(const struct classic_group *classic,
                        const struct sync_group_request *request,
                        struct classic_member **ret_member) {
    err_t err =
        classic_member_check(classic, request->member_id, request->group_instance_id, ret_member);
    if (err != ERR_OK) {
        return err;
    }
    if (request->generation_id != classic->generation) {
        return ERR_ILLEGAL_GENERATION;
    }
    if (differs(request->protocol_type, classic->protocol_type) ||
        differs(request->protocol_name, classic->protocol_name)) {
        return ERR_INCONSISTENT_GROUP_PROTOCOL;
    }
    return classic->state == CLASSIC_PREPARING_REBALANCE ? ERR_REBALANCE_IN_PROGRESS : ERR_OK;
}

static void member_synced(struct group_step *step, struct classic_member *member) {
    classic_member_set_must_sync(member, false);
    if (member->classic->unsynced_count == 0) {
        group_timer_clear(step->groups, &member->classic->resync);
    }
}

static void fill_in(const struct classic_group *classic, struct bytes assignment,
                    struct sync_group_response *response) {
    response->protocol_type = classic->protocol_type;
    response->protocol_name = classic->protocol_name;
    response->assignment = assignment;
}

/* Members that the leader left out get nothing; names that are no members' are passed over. */
static void add_assigned_record(struct group_step *step, struct classic_group *classic,
                                struct group_metadata_value **ret_value) {
    const struct sync_group_request *request = step->request;
    struct group_metadata_value *value = classic_add_record(step, classic);
    for (int32_t i = 0; i < value->members_count; i++) {
        value->members[i].assignment = (struct bytes){.data = (const uint8_t *)"", .size = 0};
    }
    for (int32_t i = 0; i < request->assignments_count; i++) {
        const struct sync_group_request_assignment *given = &request->assignments[i];
        const struct classic_member *member = classic_member_find(classic, given->member_id);
        if (member != NULL) {
            value->members[member->place].assignment = given->assignment;
        }
    }
    *ret_value = value;
}

/* Appended: Stable by now. Else the members were told, and have to join again. */
static void assigned_settled(struct group_step *step, err_t err) {
    struct classic_group *classic = step->context;
    if (err != ERR_OK) {
        classic_prepare_rebalance(step, classic, "assignments could not be written: %s",
                                  err_text(err));
    }
}

/* The answers leave when the record is committed, else with its error. */
static void assign(struct group_step *step, struct classic_group *classic) {
    struct group_metadata_value *value;
    add_assigned_record(step, classic, &value);
    fill_in(classic, value->members[classic->leader->place].assignment, step->response);
    classic_session_renew(step, classic->leader);
    struct classic_member *member = classic_member_first(classic);
    for (; member != NULL; member = classic_member_next(member)) {
        if (member->sync.waiting) {
            fill_in(classic, value->members[member->place].assignment,
                    step_answer(step, &member->sync, NULL));
            classic_session_renew(step, member);
        }
    }
    step_count(step, GROUP_COUNT_CLASSIC_REBALANCES, 1);
    step->context = classic;
    step->settled = assigned_settled;
}

err_t classic_sync(struct group_step *step, struct group *group) {
    const struct sync_group_request *request = step->request;
    struct sync_group_response *response = step->response;
    struct classic_group *classic = classic_of(group);
    struct classic_member *member;
    err_t err = check_sync(classic, request, &member);
    if (err != ERR_OK) {
        response->error_code = err_kafka_code(err);
        return ERR_OK;
    }
    member_synced(step, member);
    if (classic->state == CLASSIC_STABLE) {
        fill_in(classic, member->assignment, response);
    } else if (classic->leader == member) {
        assign(step, classic);
    } else {
        classic_park_sync(step, member);
    }
    return ERR_OK;
}

/* --- Heartbeat --- */

err_t classic_heartbeat(struct group_step *step, struct group *group) {
    const struct heartbeat_request *request = step->request;
    struct heartbeat_response *response = step->response;
    struct classic_group *classic = classic_of(group);
    struct classic_member *member;
    err_t err =
        classic_member_check(classic, request->member_id, request->group_instance_id, &member);
    if (err == ERR_OK && request->generation_id != classic->generation) {
        err = ERR_ILLEGAL_GENERATION;
    }
    if (err == ERR_OK) {
        classic_session_renew(step, member);
        err = classic->state == CLASSIC_PREPARING_REBALANCE ? ERR_REBALANCE_IN_PROGRESS : ERR_OK;
    }
    response->error_code = err_kafka_code(err);
    return ERR_OK;
}
