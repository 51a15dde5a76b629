#pragma once

#include "base/err.h"
#include "client/member_set.h"
#include "client/member_step.h"

/*
 * A member of a classic group, as a pure state machine: see member_classic.c for its states.
 *
 * Fields are for reading; strings live until the next call.
 */
enum classic_phase {
    CLASSIC_OUT,
    CLASSIC_RELEASING,
    CLASSIC_JOINING,
    CLASSIC_LEADING,
    CLASSIC_SYNCING,
    CLASSIC_TRIMMING,
    CLASSIC_STABLE,
    CLASSIC_STALE,
    CLASSIC_LEAVING,
    CLASSIC_FAILED,
};

struct member_classic {
    struct member_settings settings;
    enum classic_phase phase;
    char *member_id;                 /* "": none yet */
    int32_t generation;              /* -1: none */
    char *protocol;                  /* the assignor that was chosen; "" */
    char reason[MEMBER_REASON_SIZE]; /* why it joins */
    bool leader;                     /* of this generation */

    struct member_set owned;    /* what the owner has */
    struct member_set revoking; /* what it is to give back, or gives back */
    struct member_set added;
    struct member_set lost;
    struct member_set next; /* the assignment that becomes `owned` after TRIMMING */
    struct member_set scratch;
    struct member_set last; /* the last assignment, for the sticky assignors */
    int32_t last_generation;
    bool has_last;

    bool rejoin;    /* once it is stable */
    bool in_flight; /* JoinGroup or SyncGroup */
    bool heartbeat_in_flight;
    int32_t heartbeat_generation;
    bool awaiting_release;
    bool leave_in_flight;
    bool subscribe_again; /* after leaving */
    int attempts;         /* since the last assignment */
    int heartbeat_failures;
    int64_t try_at_ms;
    int64_t heartbeat_at_ms;
    int64_t polled_at_ms;
    int64_t leave_by_ms;

    char *leave_id; /* whom LeaveGroup names; "" */
    const char *leave_reason;
    err_t failure;
    char failure_text[MEMBER_TEXT_SIZE];

    bool cancel, tell_lost, tell_assigned, tell_revoking, tell_failed, tell_left, tell_lead;
    bool send_leave;
};

void member_classic_init(struct member_classic *member, const struct member_settings *settings);
void member_classic_done(struct member_classic *member);

/* --- what comes next --- */

enum member_action member_classic_next(struct member_classic *member, int64_t now_ms);
int64_t member_classic_deadline_ms(const struct member_classic *member); /* INT64_MAX: none */

/* --- what the consumer wants --- */

/* There is a subscription, or another one. */
void member_classic_subscribe(struct member_classic *member, int64_t now_ms);

/* There is one that cannot be. */
void member_classic_refuse(struct member_classic *member, err_t err, const char *text);
void member_classic_rejoin(struct member_classic *member, const char *reason, int64_t now_ms);
void member_classic_polled(struct member_classic *member, int64_t now_ms);
void member_classic_released(struct member_classic *member, int64_t now_ms);
void member_classic_leave(struct member_classic *member, int64_t now_ms, int64_t by_ms);

/* --- what the coordinator says --- */

struct classic_joined {
    err_t err; /* of the answer, or why there is none */
    int32_t generation;
    struct str protocol_type; /* null: an old version does not say */
    struct str protocol;
    struct str member_id;
    bool leader;
    bool known_protocol; /* it is one of ours */
};
void member_classic_joined(struct member_classic *member, const struct classic_joined *joined,
                           int64_t now_ms);

/* The group's assignment is made. */
void member_classic_led(struct member_classic *member);

struct classic_synced {
    err_t err;
    struct str protocol_type;
    struct str protocol;
    const struct member_set *assigned;
};
void member_classic_synced(struct member_classic *member, const struct classic_synced *synced,
                           int64_t now_ms);
void member_classic_heartbeat_answered(struct member_classic *member, err_t err, int64_t now_ms);
void member_classic_commit_answered(struct member_classic *member, int32_t generation, err_t err,
                                    int64_t now_ms);
void member_classic_left(struct member_classic *member);

/* Commits would be refused now: the group rebalances. */
bool member_classic_rebalancing(const struct member_classic *member);
