/*
 * A member of a classic group.
 *
 *   phase      what goes on                            left by
 *   OUT        nothing is subscribed                   subscribe → JOINING
 *   RELEASING  the owner gives back before the join:   released → JOINING
 *              all (eager), or what is no longer
 *              subscribed (cooperative)
 *   JOINING    JoinGroup is on its way, or waits for   joined → LEADING (leader), SYNCING
 *              its time
 *   LEADING    the group's assignment is being made    led → SYNCING
 *   SYNCING    SyncGroup is on its way                 synced → STABLE; TRIMMING (cooperative, when
 *                                                      the assignment lacks what it has)
 *   TRIMMING   the owner gives back what it lacks      released → STABLE, and at once on to
 * JOINING: the others wait for what was given back STABLE     heartbeats a wish to rejoin →
 * RELEASING or JOINING STALE      the application did not poll in time:   polled → JOINING it has
 * left, and what it had is lost LEAVING    the owner gives back, then LeaveGroup   → OUT FAILED an
 * error that joining again won't mend  subscribe → JOINING
 *
 * Heartbeats are sent in all phases in which it has a generation and no JoinGroup or SyncGroup
 * waits: the coordinator counts a member that waits as alive, and answers in order.
 *
 * Invariants
 *   1. owned is not empty only with a generation, or until `lost` is told, which is before
 *      anything else is sent.
 *   2. awaiting_release in RELEASING, TRIMMING and LEAVING only. Whoever loses what it has while
 *      the owner gives back waits no more.
 *   3. Each failed try makes the next one wait longer, until an assignment came: the first one is
 *      repeated at once where Kafka's clients do so (an unknown member id, a new rebalance).
 */
#include "client/member_classic_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void member_classic_text(char **field, struct str text) {
    char *copy = malloc(text.size + 1);
    assert(copy != NULL);
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
    free(*field);
    *field = copy;
}

void member_classic_init(struct member_classic *member, const struct member_settings *settings) {
    *member =
        (struct member_classic){.settings = *settings, .generation = -1, .last_generation = -1};
    member_classic_text(&member->member_id, STR(""));
    member_classic_text(&member->protocol, STR(""));
    member_classic_text(&member->leave_id, STR(""));
    member_set_init(&member->owned);
    member_set_init(&member->revoking);
    member_set_init(&member->added);
    member_set_init(&member->lost);
    member_set_init(&member->next);
    member_set_init(&member->last);
    member_set_init(&member->scratch);
}

void member_classic_done(struct member_classic *member) {
    free(member->member_id);
    free(member->protocol);
    free(member->leave_id);
    member_set_done(&member->owned);
    member_set_done(&member->revoking);
    member_set_done(&member->added);
    member_set_done(&member->lost);
    member_set_done(&member->next);
    member_set_done(&member->last);
    member_set_done(&member->scratch);
}

bool member_may_pass(err_t err) {
    return err == ERR_CLOSED || err == ERR_TIMED_OUT || err == ERR_REFUSED || err == ERR_IO ||
           err == ERR_MALFORMED || err == ERR_LIMIT || err_retriable(err);
}

bool member_classic_is_active(const struct member_classic *member) {
    return member->phase != CLASSIC_OUT && member->phase != CLASSIC_STALE &&
           member->phase != CLASSIC_LEAVING && member->phase != CLASSIC_FAILED;
}

/* --- losing, joining --- */

static void requests_cancel(struct member_classic *member) {
    member->cancel = member->cancel || member->in_flight || member->heartbeat_in_flight ||
                     member->phase == CLASSIC_LEADING;
    member->in_flight = false;
    member->heartbeat_in_flight = false;
    member->tell_lead = false;
}

/* Others may have it already. */
static void lose(struct member_classic *member) {
    member->awaiting_release = false;
    member->tell_revoking = false;
    member->tell_assigned = false;
    if (member->owned.count > 0) {
        member_set_copy(&member->lost, &member->owned);
        member_set_clear(&member->owned);
        member->tell_lost = true;
    }
}

static void join_at(struct member_classic *member, int64_t at_ms) {
    member->phase = CLASSIC_JOINING;
    member->in_flight = false;
    member->try_at_ms = at_ms;
}

static void leave_finish(struct member_classic *member) {
    member->leave_in_flight = false;
    member->send_leave = false;
    member->generation = -1;
    member->leader = false;
    member_classic_text(&member->member_id, STR(""));
    member->phase = CLASSIC_OUT;
    member->tell_left = true;
}

/* It is not in this generation any more, or not in the group at all. */
static void reset(struct member_classic *member, bool forget_id) {
    requests_cancel(member);
    lose(member);
    member->generation = -1;
    member->leader = false;
    member_classic_text(&member->protocol, STR(""));
    if (forget_id) {
        member_classic_text(&member->member_id, STR(""));
    }
}

void member_classic_fail(struct member_classic *member, err_t err, const char *request) {
    bool leaving = member->phase == CLASSIC_LEAVING;
    reset(member, true);
    if (leaving) {
        leave_finish(member);
        return;
    }
    member->failure = err;
    snprintf(member->failure_text, sizeof member->failure_text, "%s failed: %s", request,
             err_text(err));
    member->phase = CLASSIC_FAILED;
    member->tell_failed = true;
}

/* --- before a join --- */

/* What must be given back before it joins. */
static void release_choose(struct member_classic *member) {
    if (!member->settings.cooperative) {
        member_set_copy(&member->revoking, &member->owned);
        return;
    }
    member_set_clear(&member->revoking);
    for (size_t i = 0; i < member->owned.count; i++) {
        const struct member_partition *owned = &member->owned.items[i];
        if (!member->settings.subscribed(member->settings.arg, owned->topic)) {
            member_set_add(&member->revoking, owned->topic, owned->topic_id, owned->partition);
        }
    }
}

void member_classic_prepare(struct member_classic *member, int64_t at_ms) {
    assert(!member->awaiting_release);
    release_choose(member);
    if (member->revoking.count == 0) {
        join_at(member, at_ms);
    } else {
        member->phase = CLASSIC_RELEASING;
        member->try_at_ms = at_ms;
        member->tell_revoking = true;
        member->awaiting_release = true;
    }
}

void member_classic_join_again(struct member_classic *member, bool pause, int64_t now_ms) {
    int64_t wait_ms = 0;
    if (pause || member->attempts > 0) {
        int attempt = member->attempts > 0 ? member->attempts : 1;
        wait_ms = member->settings.backoff_ms(member->settings.arg, attempt);
    }
    member->attempts++;
    member_classic_prepare(member, now_ms + wait_ms);
}

void member_classic_fenced(struct member_classic *member, const char *request, err_t err,
                           int64_t now_ms) {
    snprintf(member->reason, sizeof member->reason, "encountered %s from %s response",
             err_name(err), request);
    reset(member, err != ERR_ILLEGAL_GENERATION);
    if (member->phase == CLASSIC_LEAVING) {
        leave_finish(member);
    } else {
        member_classic_join_again(member, false, now_ms);
    }
}

void member_classic_rejoin(struct member_classic *member, const char *reason, int64_t now_ms) {
    if (!member_classic_is_active(member)) {
        return;
    }
    if (!member->rejoin) {
        snprintf(member->reason, sizeof member->reason, "%s", reason);
    }
    member->rejoin = true;
    if (member->phase == CLASSIC_STABLE) {
        member_classic_prepare(member, now_ms);
    }
}

void member_classic_refuse(struct member_classic *member, err_t err, const char *text) {
    member_classic_fail(member, err, "subscribe");
    snprintf(member->failure_text, sizeof member->failure_text, "%s", text);
}

void member_classic_subscribe(struct member_classic *member, int64_t now_ms) {
    switch (member->phase) {
    case CLASSIC_OUT:
    case CLASSIC_FAILED:
        member->reason[0] = '\0';
        member->attempts = 0;
        member->polled_at_ms = now_ms;
        join_at(member, now_ms);
        break;
    case CLASSIC_LEAVING:
        member->subscribe_again = true;
        break;
    default:
        member_classic_rejoin(member, "subscription has changed", now_ms);
    }
}

/* --- the owner gave back --- */

static void leave_go_on(struct member_classic *member);

void member_classic_released(struct member_classic *member, int64_t now_ms) {
    if (!member->awaiting_release) {
        return;
    }
    member->awaiting_release = false;
    member->tell_revoking = false;
    member_set_minus(&member->scratch, &member->owned, &member->revoking);
    member_set_copy(&member->owned, &member->scratch);
    if (member->phase == CLASSIC_RELEASING) {
        member_classic_prepare(member, member->try_at_ms);
    } else if (member->phase == CLASSIC_TRIMMING) {
        member->rejoin = true;
        snprintf(member->reason, sizeof member->reason, "need to revoke partitions and re-join");
        member_classic_assigned(member, now_ms);
    } else {
        assert(member->phase == CLASSIC_LEAVING);
        leave_go_on(member);
    }
}

/* --- leaving --- */

static void leave_go_on(struct member_classic *member) {
    if (member->owned.count > 0) {
        member_set_copy(&member->revoking, &member->owned);
        member->tell_revoking = true;
        member->awaiting_release = true;
    } else if (member->settings.is_static || member->member_id[0] == '\0') {
        requests_cancel(member);
        leave_finish(member);
    } else {
        requests_cancel(member);
        member_classic_text(&member->leave_id, str_from_c(member->member_id));
        member->leave_reason = "the consumer unsubscribed or is being closed";
        member->send_leave = true;
    }
}

void member_classic_leave(struct member_classic *member, int64_t now_ms, int64_t by_ms) {
    if (!member_classic_is_active(member)) {
        if (member->phase != CLASSIC_LEAVING) {
            leave_finish(member);
        }
        return;
    }
    (void)now_ms;
    bool in_between = member_classic_rebalancing(member);
    member->leave_by_ms = by_ms;
    member->rejoin = false;
    if (in_between) {
        requests_cancel(member);
        lose(member);
    }
    member->phase = CLASSIC_LEAVING;
    if (!member->awaiting_release) {
        leave_go_on(member);
    }
}

void member_classic_left(struct member_classic *member) {
    if (member->leave_in_flight && member->phase == CLASSIC_LEAVING) {
        leave_finish(member);
    }
    member->leave_in_flight = false;
}

/* max.poll.interval.ms is over: a static member keeps its place until the session ends. */
static void grow_stale(struct member_classic *member) {
    bool leave = !member->settings.is_static && member->member_id[0] != '\0';
    if (leave) {
        member_classic_text(&member->leave_id, str_from_c(member->member_id));
        member->leave_reason = "consumer poll timeout has expired.";
        member->send_leave = true;
    }
    reset(member, true);
    member->rejoin = false;
    member->phase = CLASSIC_STALE;
}

void member_classic_polled(struct member_classic *member, int64_t now_ms) {
    member->polled_at_ms = now_ms;
    if (member->phase == CLASSIC_STALE) {
        snprintf(member->reason, sizeof member->reason, "consumer pro-actively leaving the group");
        member->attempts = 0;
        join_at(member, now_ms);
    }
}

bool member_classic_rebalancing(const struct member_classic *member) {
    return member->phase == CLASSIC_JOINING || member->phase == CLASSIC_LEADING ||
           member->phase == CLASSIC_SYNCING;
}

/* --- what comes next --- */

static bool take(bool *flag) {
    bool was = *flag;
    *flag = false;
    return was;
}

static bool sends_heartbeats(const struct member_classic *member) {
    bool waits = member->phase == CLASSIC_STABLE || member->phase == CLASSIC_RELEASING ||
                 member->phase == CLASSIC_TRIMMING || member->phase == CLASSIC_LEADING ||
                 (member->phase == CLASSIC_LEAVING && member->awaiting_release);
    return waits && member->generation >= 0 && !member->heartbeat_in_flight;
}

static enum member_action next_told(struct member_classic *member) {
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

static void look_at_clock(struct member_classic *member, int64_t now_ms) {
    if (member_classic_is_active(member) &&
        now_ms >= member->polled_at_ms + member->settings.max_poll_interval_ms) {
        grow_stale(member);
    }
    if (member->phase == CLASSIC_LEAVING && now_ms >= member->leave_by_ms) {
        requests_cancel(member);
        lose(member);
        leave_finish(member);
    }
}

enum member_action member_classic_next(struct member_classic *member, int64_t now_ms) {
    look_at_clock(member, now_ms);
    enum member_action told = next_told(member);
    if (told != MEMBER_NOTHING) {
        return told;
    }
    if (take(&member->tell_left)) {
        if (take(&member->subscribe_again)) {
            member_classic_subscribe(member, now_ms);
        }
        return MEMBER_LEFT;
    }
    if (take(&member->tell_lead)) {
        return MEMBER_LEAD;
    }
    if (member->phase == CLASSIC_JOINING && !member->in_flight && now_ms >= member->try_at_ms) {
        member->in_flight = true;
        member->rejoin = false;
        return MEMBER_JOIN;
    }
    if (member->phase == CLASSIC_SYNCING && !member->in_flight) {
        member->in_flight = true;
        return MEMBER_SYNC;
    }
    if (sends_heartbeats(member) && now_ms >= member->heartbeat_at_ms) {
        member->heartbeat_in_flight = true;
        member->heartbeat_generation = member->generation;
        member->heartbeat_at_ms = now_ms + member->settings.heartbeat_interval_ms;
        return MEMBER_HEARTBEAT;
    }
    return MEMBER_NOTHING;
}

int64_t member_classic_deadline_ms(const struct member_classic *member) {
    int64_t deadline_ms = INT64_MAX;
    if (member_classic_is_active(member)) {
        deadline_ms = member->polled_at_ms + member->settings.max_poll_interval_ms;
    } else if (member->phase == CLASSIC_LEAVING) {
        deadline_ms = member->leave_by_ms;
    }
    if (member->phase == CLASSIC_JOINING && !member->in_flight && member->try_at_ms < deadline_ms) {
        deadline_ms = member->try_at_ms;
    }
    if (sends_heartbeats(member) && member->heartbeat_at_ms < deadline_ms) {
        deadline_ms = member->heartbeat_at_ms;
    }
    return deadline_ms;
}
