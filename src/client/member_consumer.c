/*
 * A member of a consumer group (KIP-848). The broker assigns; a heartbeat tells it what the member
 * wants and has, and its answer what the member is to have.
 *
 *   phase          what goes on                            left by
 *   OUT            nothing is subscribed                   subscribe → JOINING
 *   JOINING        a heartbeat of epoch 0 says all         answer → RECONCILING (an assignment
 * came), STABLE STABLE         it has what it is to have               another assignment →
 * RECONCILING RECONCILING    names are looked up, the owner gives    all done → ACKNOWLEDGING back
 * what it must, and gets the rest ACKNOWLEDGING  a heartbeat at once says what it has    sent →
 * STABLE; RECONCILING, where the target is another one already STALE          the application did
 * not poll in time:   polled → JOINING it has left, and what it had is lost LEAVING        the
 * owner gives back, then a heartbeat  → OUT of epoch -1 (a static member: -2) FAILED         an
 * error that joining again won't mend  subscribe → JOINING
 *
 * Fenced (FENCED_MEMBER_EPOCH, UNKNOWN_MEMBER_ID): what it had is lost, and it joins again under
 * the same id, with epoch 0.
 *
 * What a heartbeat says: who it is, always. The subscription, when it changed; what it owns, when
 * that changed; all of it when it joins, and after a heartbeat that failed or when one is tried
 * again, because nobody knows whether the broker heard the one before. If it did, it has moved on
 * with the member, and tells an assignment for a second time only to who says all.
 *
 * A target whose topics have no names yet is reconciled in part: the rest follows when metadata
 * knows them.
 *
 * Invariants
 *   1. One heartbeat on its way at a time; those of leaving excepted, which follow no other.
 *   2. owned is not empty with an epoch above 0 only, or until `lost` is told.
 *   3. What the broker is told to be owned is never more than the owner has, and what is revoked is
 *      told only after the owner gave it back.
 */
#include "client/member_consumer_int.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { HEARTBEAT_MS_BEFORE_TOLD = 5000 };

void member_consumer_init(struct member_consumer *member, const struct member_settings *settings,
                          struct uuid member_id) {
    *member = (struct member_consumer){.settings = *settings};
    uuid_format(member_id, member->member_id);
    member_set_init(&member->owned);
    member_set_init(&member->target);
    member_set_init(&member->resolved);
    member_set_init(&member->revoking);
    member_set_init(&member->added);
    member_set_init(&member->lost);
    member_set_init(&member->scratch);
}

void member_consumer_done(struct member_consumer *member) {
    member_set_done(&member->owned);
    member_set_done(&member->target);
    member_set_done(&member->resolved);
    member_set_done(&member->revoking);
    member_set_done(&member->added);
    member_set_done(&member->lost);
    member_set_done(&member->scratch);
}

bool member_consumer_is_active(const struct member_consumer *member) {
    return member->phase == CONSUMER_JOINING || member->phase == CONSUMER_STABLE ||
           member->phase == CONSUMER_RECONCILING || member->phase == CONSUMER_ACKNOWLEDGING;
}

int64_t member_consumer_interval_ms(const struct member_consumer *member) {
    return member->heartbeat_interval_ms > 0 ? member->heartbeat_interval_ms
                                             : HEARTBEAT_MS_BEFORE_TOLD;
}

/* --- joining, losing --- */

static void request_cancel(struct member_consumer *member) {
    member->cancel = member->cancel || member->in_flight || member->resolving;
    member->in_flight = false;
    member->resolving = false;
}

static void lose(struct member_consumer *member) {
    member->awaiting_release = false;
    member->tell_revoking = false;
    member->tell_assigned = false;
    member->has_target = false;
    member->ever_assigned = false;
    member_set_clear(&member->target);
    if (member->owned.count > 0) {
        member_set_copy(&member->lost, &member->owned);
        member_set_clear(&member->owned);
        member->tell_lost = true;
    }
}

static void join(struct member_consumer *member, int64_t at_ms) {
    member->phase = CONSUMER_JOINING;
    member->epoch = CONSUMER_EPOCH_JOIN;
    member->full = true;
    member->soon = false;
    member->heartbeat_at_ms = at_ms;
}

static void leave_finish(struct member_consumer *member) {
    member->send_leave = false;
    member->leave_in_flight = false;
    member->epoch = CONSUMER_EPOCH_LEAVE;
    member->phase = CONSUMER_OUT;
    member->tell_left = true;
}

int64_t member_consumer_pause_ms(struct member_consumer *member) {
    member->failures++;
    return member->settings.backoff_ms(member->settings.arg, member->failures);
}

/* Out of the group, by the coordinator's word. The first time it joins again at once. */
void member_consumer_fenced(struct member_consumer *member, int64_t now_ms) {
    request_cancel(member);
    lose(member);
    if (member->phase == CONSUMER_LEAVING) {
        leave_finish(member);
        return;
    }
    bool again = member->failures > 0;
    int64_t wait_ms = member_consumer_pause_ms(member);
    join(member, again ? now_ms + wait_ms : now_ms);
}

void member_consumer_fail(struct member_consumer *member, err_t err, struct str text) {
    request_cancel(member);
    lose(member);
    if (member->phase == CONSUMER_LEAVING) {
        leave_finish(member);
        return;
    }
    member->failure = err;
    if (err == ERR_UNSUPPORTED_VERSION) {
        snprintf(member->failure_text, sizeof member->failure_text,
                 "the broker has no ConsumerGroupHeartbeat that can say this (a pattern needs its "
                 "version 1); group.protocol=classic works with all");
    } else if (text.size > 0) {
        snprintf(member->failure_text, sizeof member->failure_text, "%.*s", STR_ARGS(text));
    } else {
        snprintf(member->failure_text, sizeof member->failure_text, "%s", err_text(err));
    }
    member->phase = CONSUMER_FAILED;
    member->epoch = CONSUMER_EPOCH_LEAVE;
    member->tell_failed = true;
}

void member_consumer_refuse(struct member_consumer *member, err_t err, const char *text) {
    member_consumer_fail(member, err, STR_NULL);
    snprintf(member->failure_text, sizeof member->failure_text, "%s", text);
}

void member_consumer_subscribe(struct member_consumer *member, int64_t now_ms) {
    switch (member->phase) {
    case CONSUMER_OUT:
    case CONSUMER_FAILED:
        member->failures = 0;
        member->polled_at_ms = now_ms;
        join(member, now_ms);
        break;
    case CONSUMER_LEAVING:
        member->subscribe_again = true;
        break;
    case CONSUMER_STALE:
        break; /* it says all when it comes back */
    default:
        member->subscription_changed = true;
        member->soon = true;
    }
}

/* --- the owner gave back --- */

static void leave_go_on(struct member_consumer *member);

void member_consumer_released(struct member_consumer *member) {
    if (!member->awaiting_release) {
        return;
    }
    member->awaiting_release = false;
    member->tell_revoking = false;
    member_set_minus(&member->scratch, &member->owned, &member->revoking);
    member_set_copy(&member->owned, &member->scratch);
    member->owned_changed = true;
    if (member->phase == CONSUMER_LEAVING) {
        leave_go_on(member);
    } else {
        assert(member->phase == CONSUMER_RECONCILING);
        member_consumer_apply(member);
    }
}

/* --- leaving --- */

static void leave_go_on(struct member_consumer *member) {
    if (member->owned.count > 0) {
        member_set_copy(&member->revoking, &member->owned);
        member->tell_revoking = true;
        member->awaiting_release = true;
    } else {
        request_cancel(member);
        member->leave_epoch =
            member->settings.is_static ? CONSUMER_EPOCH_LEAVE_STATIC : CONSUMER_EPOCH_LEAVE;
        member->send_leave = true;
    }
}

void member_consumer_leave(struct member_consumer *member, int64_t now_ms, int64_t by_ms) {
    (void)now_ms;
    if (!member_consumer_is_active(member)) {
        if (member->phase != CONSUMER_LEAVING) {
            leave_finish(member);
        }
        return;
    }
    member->leave_by_ms = by_ms;
    member->phase = CONSUMER_LEAVING;
    if (!member->awaiting_release) {
        leave_go_on(member);
    }
}

void member_consumer_left(struct member_consumer *member) {
    if (member->leave_in_flight && member->phase == CONSUMER_LEAVING) {
        leave_finish(member);
    }
    member->leave_in_flight = false;
}

static void grow_stale(struct member_consumer *member) {
    request_cancel(member);
    lose(member);
    member->leave_epoch =
        member->settings.is_static ? CONSUMER_EPOCH_LEAVE_STATIC : CONSUMER_EPOCH_LEAVE;
    member->send_leave = true;
    member->epoch = CONSUMER_EPOCH_LEAVE;
    member->phase = CONSUMER_STALE;
}

void member_consumer_polled(struct member_consumer *member, int64_t now_ms) {
    member->polled_at_ms = now_ms;
    if (member->phase == CONSUMER_STALE) {
        member->failures = 0;
        join(member, now_ms);
    }
}

/* --- what comes next --- */

static bool take(bool *flag) {
    bool was = *flag;
    *flag = false;
    return was;
}

static bool sends_heartbeats(const struct member_consumer *member) {
    bool leaving = member->phase == CONSUMER_LEAVING && member->awaiting_release;
    return (member_consumer_is_active(member) || leaving) && !member->in_flight &&
           !member->leave_in_flight;
}

static int64_t heartbeat_due_ms(const struct member_consumer *member) {
    bool now = member->failures == 0 && member->phase != CONSUMER_LEAVING &&
               (member->soon || member->phase == CONSUMER_ACKNOWLEDGING);
    return now ? INT64_MIN : member->heartbeat_at_ms;
}

static enum member_action next_told(struct member_consumer *member) {
    if (take(&member->cancel)) {
        return MEMBER_CANCEL;
    }
    if (take(&member->tell_lost)) {
        return MEMBER_LOST;
    }
    if (take(&member->tell_failed)) {
        return MEMBER_FAILED;
    }
    if (take(&member->tell_assigned)) {
        return MEMBER_ASSIGNED;
    }
    if (take(&member->tell_revoking)) {
        return MEMBER_REVOKING;
    }
    if (take(&member->send_leave)) {
        member->leave_in_flight = true;
        return MEMBER_LEAVE;
    }
    return MEMBER_NOTHING;
}

static void look_at_clock(struct member_consumer *member, int64_t now_ms) {
    if (member_consumer_is_active(member) &&
        now_ms >= member->polled_at_ms + member->settings.max_poll_interval_ms) {
        grow_stale(member);
    }
    if (member->phase == CONSUMER_LEAVING && now_ms >= member->leave_by_ms) {
        request_cancel(member);
        lose(member);
        leave_finish(member);
    }
}

static enum member_action send_heartbeat(struct member_consumer *member, int64_t now_ms) {
    member->in_flight = true;
    member->said = false;
    member->soon = false;
    member->sent_subscription = member->full || take(&member->subscription_changed);
    member->sent_owned = member->full || take(&member->owned_changed);
    member->subscription_changed = false;
    member->owned_changed = false;
    member->heartbeat_at_ms = now_ms + member_consumer_interval_ms(member);
    if (member->phase == CONSUMER_ACKNOWLEDGING) {
        bool there = !member->has_target || member_set_equal(&member->target, &member->owned);
        member->phase = there ? CONSUMER_STABLE : CONSUMER_RECONCILING;
        member_consumer_reconcile(member);
    }
    return MEMBER_HEARTBEAT;
}

void member_consumer_say(struct member_consumer *member) {
    if (member->said) {
        member->sent_subscription = true;
        member->sent_owned = true;
    }
    member->said = true;
}

enum member_action member_consumer_next(struct member_consumer *member, int64_t now_ms) {
    look_at_clock(member, now_ms);
    enum member_action told = next_told(member);
    if (told != MEMBER_NOTHING) {
        return told;
    }
    if (take(&member->tell_left)) {
        if (take(&member->subscribe_again)) {
            member_consumer_subscribe(member, now_ms);
        }
        return MEMBER_LEFT;
    }
    if (sends_heartbeats(member) && now_ms >= heartbeat_due_ms(member)) {
        return send_heartbeat(member, now_ms);
    }
    if (member_consumer_names_missing(member) && !member->resolving &&
        now_ms >= member->resolve_at_ms) {
        member->resolving = true;
        return MEMBER_RESOLVE;
    }
    return MEMBER_NOTHING;
}

int64_t member_consumer_deadline_ms(const struct member_consumer *member) {
    int64_t deadline_ms = INT64_MAX;
    if (member_consumer_is_active(member)) {
        deadline_ms = member->polled_at_ms + member->settings.max_poll_interval_ms;
    } else if (member->phase == CONSUMER_LEAVING) {
        deadline_ms = member->leave_by_ms;
    }
    if (sends_heartbeats(member) && heartbeat_due_ms(member) < deadline_ms) {
        deadline_ms = heartbeat_due_ms(member);
    }
    if (member_consumer_names_missing(member) && !member->resolving &&
        member->resolve_at_ms < deadline_ms) {
        deadline_ms = member->resolve_at_ms;
    }
    return deadline_ms;
}
