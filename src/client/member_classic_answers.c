/* What the coordinator answers, and what a member of a classic group does about it: the table of
 * member_classic.c. */
#include <assert.h>
#include <stdio.h>

#include "client/member_classic_int.h"

/* --- JoinGroup --- */

static bool is_consumer(struct str protocol_type) {
    return protocol_type.data == NULL || str_equal(protocol_type, STR("consumer"));
}

static void join_failed(struct member_classic *member, const struct classic_joined *joined,
                        int64_t now_ms) {
    switch ((int)joined->err) {
    case ERR_MEMBER_ID_REQUIRED:
        member_classic_text(&member->member_id, joined->member_id);
        snprintf(member->reason, sizeof member->reason,
                 "need to re-join with the given member-id: %.*s", STR_ARGS(joined->member_id));
        member_classic_join_again(member, false, now_ms);
        break;
    case ERR_UNKNOWN_MEMBER_ID:
        member_classic_fenced(member, "JOIN_GROUP", joined->err, now_ms);
        break;
    case ERR_REBALANCE_IN_PROGRESS:
        member_classic_join_again(member, false, now_ms);
        break;
    default:
        if (member_may_pass(joined->err)) {
            member_classic_join_again(member, true, now_ms);
        } else {
            member_classic_fail(member, joined->err, "JoinGroup");
        }
    }
}

void member_classic_joined(struct member_classic *member, const struct classic_joined *joined,
                           int64_t now_ms) {
    if (member->phase != CLASSIC_JOINING || !member->in_flight) {
        return;
    }
    member->in_flight = false;
    if (joined->err != ERR_OK) {
        join_failed(member, joined, now_ms);
    } else if (!is_consumer(joined->protocol_type) || !joined->known_protocol) {
        member_classic_fail(member, ERR_INCONSISTENT_GROUP_PROTOCOL, "JoinGroup");
    } else if (joined->generation < 0 || joined->member_id.size == 0) {
        member_classic_join_again(member, true, now_ms);
    } else {
        member->generation = joined->generation;
        member->leader = joined->leader;
        member_classic_text(&member->member_id, joined->member_id);
        member_classic_text(&member->protocol, joined->protocol);
        member->phase = joined->leader ? CLASSIC_LEADING : CLASSIC_SYNCING;
        member->heartbeat_at_ms = now_ms + member->settings.heartbeat_interval_ms;
        member->heartbeat_failures = 0;
        member->tell_lead = joined->leader;
    }
}

void member_classic_led(struct member_classic *member) {
    if (member->phase == CLASSIC_LEADING) {
        member->phase = CLASSIC_SYNCING;
        member->in_flight = false;
    }
}

/* --- SyncGroup --- */

void member_classic_assigned(struct member_classic *member, int64_t now_ms) {
    member_set_minus(&member->added, &member->next, &member->owned);
    member_set_copy(&member->owned, &member->next);
    member_set_copy(&member->last, &member->next);
    member->last_generation = member->generation;
    member->has_last = true;
    member->tell_assigned = true;
    member->phase = CLASSIC_STABLE;
    member->attempts = 0;
    if (member->rejoin) {
        member_classic_prepare(member, now_ms);
    } else {
        member->reason[0] = '\0';
    }
}

static bool all_subscribed(const struct member_classic *member, const struct member_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        if (!member->settings.subscribed(member->settings.arg, set->items[i].topic)) {
            return false;
        }
    }
    return true;
}

static void assignment_take(struct member_classic *member, const struct member_set *assignment,
                            int64_t now_ms) {
    if (!all_subscribed(member, assignment)) {
        snprintf(member->reason, sizeof member->reason,
                 "received assignment does not match the current subscription");
        member_classic_join_again(member, false, now_ms);
        return;
    }
    member_set_copy(&member->next, assignment);
    member_set_minus(&member->revoking, &member->owned, assignment);
    if (member->revoking.count == 0) {
        member_classic_assigned(member, now_ms);
        return;
    }
    assert(member->settings.cooperative); /* an eager member has given all back */
    member->phase = CLASSIC_TRIMMING;
    member->tell_revoking = true;
    member->awaiting_release = true;
}

static void sync_failed(struct member_classic *member, err_t err, int64_t now_ms) {
    switch ((int)err) {
    case ERR_UNKNOWN_MEMBER_ID:
    case ERR_ILLEGAL_GENERATION:
        member_classic_fenced(member, "SYNC_GROUP", err, now_ms);
        break;
    default:
        if (member_may_pass(err) || err == ERR_REBALANCE_IN_PROGRESS) {
            snprintf(member->reason, sizeof member->reason, "rebalance failed due to %s",
                     err_name(err));
            member_classic_join_again(member, err != ERR_REBALANCE_IN_PROGRESS, now_ms);
        } else {
            member_classic_fail(member, err, "SyncGroup");
        }
    }
}

void member_classic_synced(struct member_classic *member, const struct classic_synced *synced,
                           int64_t now_ms) {
    if (member->phase != CLASSIC_SYNCING || !member->in_flight) {
        return;
    }
    member->in_flight = false;
    member->heartbeat_at_ms = now_ms + member->settings.heartbeat_interval_ms;
    bool named =
        synced->protocol.data == NULL || str_equal(synced->protocol, str_from_c(member->protocol));
    if (synced->err != ERR_OK) {
        sync_failed(member, synced->err, now_ms);
    } else if (!is_consumer(synced->protocol_type) || !named) {
        member_classic_fail(member, ERR_INCONSISTENT_GROUP_PROTOCOL, "SyncGroup");
    } else {
        assignment_take(member, synced->assigned, now_ms);
    }
}

/* --- Heartbeat, and what commits tell --- */

static void alive(struct member_classic *member, err_t err, const char *request, int64_t now_ms) {
    switch ((int)err) {
    case ERR_UNKNOWN_MEMBER_ID:
    case ERR_ILLEGAL_GENERATION:
        member_classic_fenced(member, request, err, now_ms);
        break;
    case ERR_REBALANCE_IN_PROGRESS:
        if (member->phase == CLASSIC_STABLE || member->phase == CLASSIC_TRIMMING) {
            member_classic_rejoin(member, "group is already rebalancing", now_ms);
        }
        break;
    default:
        member_classic_fail(member, err, request);
    }
}

void member_classic_heartbeat_answered(struct member_classic *member, err_t err, int64_t now_ms) {
    if (!member->heartbeat_in_flight) {
        return;
    }
    member->heartbeat_in_flight = false;
    if (member->heartbeat_generation != member->generation) {
        return;
    }
    if (member_may_pass(err)) {
        member->heartbeat_failures++;
        member->heartbeat_at_ms =
            now_ms + member->settings.backoff_ms(member->settings.arg, member->heartbeat_failures);
        return;
    }
    member->heartbeat_failures = 0;
    if (err != ERR_OK) {
        alive(member, err, "HEARTBEAT", now_ms);
    }
}

void member_classic_commit_answered(struct member_classic *member, int32_t generation, err_t err,
                                    int64_t now_ms) {
    bool told = err == ERR_UNKNOWN_MEMBER_ID || err == ERR_ILLEGAL_GENERATION ||
                err == ERR_REBALANCE_IN_PROGRESS || err == ERR_FENCED_INSTANCE_ID;
    bool in_group = member_classic_is_active(member) || member->phase == CLASSIC_LEAVING;
    if (told && in_group && generation >= 0 && generation == member->generation) {
        alive(member, err, "OFFSET_COMMIT", now_ms);
    }
}
