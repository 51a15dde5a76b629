/* What the coordinator answers a member of a consumer group, and the way from the assignment in it
 * to what the owner has: the table of member_consumer.c. */
#include "client/member_consumer_int.h"

enum { RESOLVE_PAUSE_MS = 100 };

/* --- from the assignment to what the owner has --- */

/* The part of the target that has names. Whether that is all of it. */
static bool resolve(struct member_consumer *member) {
    member_set_clear(&member->resolved);
    struct str name = STR_NULL;
    for (size_t i = 0; i < member->target.count; i++) {
        const struct member_partition *wanted = &member->target.items[i];
        if (i == 0 || !uuid_equal(wanted->topic_id, wanted[-1].topic_id)) {
            name = member->settings.topic_name(member->settings.arg, &wanted->topic_id);
        }
        if (name.data != NULL) {
            member_set_add(&member->resolved, name, wanted->topic_id, wanted->partition);
        }
    }
    return member->resolved.count == member->target.count;
}

void member_consumer_apply(struct member_consumer *member) {
    member_set_minus(&member->added, &member->resolved, &member->owned);
    member_set_copy(&member->owned, &member->resolved);
    member->ever_assigned = true;
    member->tell_assigned = true;
    member->owned_changed = true;
    member->phase = CONSUMER_ACKNOWLEDGING;
}

void member_consumer_reconcile(struct member_consumer *member) {
    if (member->phase != CONSUMER_RECONCILING || member->awaiting_release) {
        return;
    }
    bool all = resolve(member);
    bool same = member_set_equal(&member->resolved, &member->owned);
    if (same && !all) {
        return;
    }
    if (same && member->ever_assigned) {
        member->phase = CONSUMER_ACKNOWLEDGING;
        member->owned_changed = true;
        return;
    }
    member_set_minus(&member->revoking, &member->owned, &member->resolved);
    if (member->revoking.count == 0) {
        member_consumer_apply(member);
    } else {
        member->tell_revoking = true;
        member->awaiting_release = true;
    }
}

bool member_consumer_names_missing(const struct member_consumer *member) {
    return member->phase == CONSUMER_RECONCILING && !member->awaiting_release &&
           member->resolved.count < member->target.count;
}

void member_consumer_names_changed(struct member_consumer *member) {
    if (member_consumer_names_missing(member)) {
        member_consumer_reconcile(member);
    }
}

void member_consumer_resolved(struct member_consumer *member, int64_t now_ms) {
    member->resolving = false;
    member->resolve_at_ms = now_ms + RESOLVE_PAUSE_MS;
    member_consumer_names_changed(member);
}

/* --- answers --- */

static void take_answer(struct member_consumer *member, const struct consumer_heartbeat *heartbeat,
                        int64_t now_ms) {
    member->failures = 0;
    member->full = false;
    member->epoch = heartbeat->epoch;
    if (heartbeat->interval_ms > 0) {
        member->heartbeat_interval_ms = heartbeat->interval_ms < CONSUMER_HEARTBEAT_MS_MIN
                                            ? CONSUMER_HEARTBEAT_MS_MIN
                                            : heartbeat->interval_ms;
    }
    int64_t next_ms = now_ms + member_consumer_interval_ms(member);
    member->heartbeat_at_ms = next_ms < member->heartbeat_at_ms ? next_ms : member->heartbeat_at_ms;
    if (heartbeat->assignment != NULL && member->phase != CONSUMER_LEAVING) {
        member_set_copy(&member->target, heartbeat->assignment);
        member->has_target = true;
        bool there = member->ever_assigned && member_set_equal(&member->target, &member->owned);
        if (!there || member->awaiting_release) {
            member->phase = CONSUMER_RECONCILING;
        } else if (member->phase != CONSUMER_ACKNOWLEDGING) {
            member->phase = CONSUMER_STABLE;
        }
        member_consumer_reconcile(member);
    } else if (member->phase == CONSUMER_JOINING) {
        member->phase = CONSUMER_STABLE;
    }
}

static void answer_failed(struct member_consumer *member, err_t err, struct str text,
                          int64_t now_ms) {
    member->full = true;
    switch ((int)err) {
    case ERR_FENCED_MEMBER_EPOCH:
    case ERR_UNKNOWN_MEMBER_ID:
        member_consumer_fenced(member, now_ms);
        break;
    case ERR_TOPIC_AUTHORIZATION_FAILED:
        member->heartbeat_at_ms = now_ms + member_consumer_pause_ms(member);
        break;
    default:
        if (member_may_pass(err)) {
            member->heartbeat_at_ms = now_ms + member_consumer_pause_ms(member);
        } else {
            member_consumer_fail(member, err, text);
        }
    }
}

void member_consumer_answered(struct member_consumer *member,
                              const struct consumer_heartbeat *heartbeat, int64_t now_ms) {
    if (!member->in_flight) {
        return;
    }
    member->in_flight = false;
    err_t err = heartbeat->err;
    if (err == ERR_OK && heartbeat->epoch <= 0) {
        err = ERR_MALFORMED; /* a member that is in has an epoch */
    }
    if (err == ERR_OK) {
        take_answer(member, heartbeat, now_ms);
    } else {
        answer_failed(member, err, heartbeat->text, now_ms);
    }
}

void member_consumer_commit_answered(struct member_consumer *member, int32_t epoch, err_t err,
                                     int64_t now_ms) {
    if (err == ERR_STALE_MEMBER_EPOCH) {
        member->soon = member->soon || member_consumer_is_active(member); /* there is a newer one */
    } else if (err == ERR_UNKNOWN_MEMBER_ID && epoch > 0 && epoch == member->epoch) {
        member_consumer_fenced(member, now_ms);
    }
}
