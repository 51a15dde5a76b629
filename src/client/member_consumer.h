#pragma once

#include "client/member_set.h"
#include "client/member_step.h"

/*
 * A member of a consumer group (KIP-848), as a pure state machine: see member_consumer.c for its
 * states.
 *
 * Fields are for reading; strings live until the next call.
 */
enum consumer_phase {
    CONSUMER_OUT,
    CONSUMER_JOINING,
    CONSUMER_STABLE,
    CONSUMER_RECONCILING,
    CONSUMER_ACKNOWLEDGING,
    CONSUMER_STALE,
    CONSUMER_LEAVING,
    CONSUMER_FAILED,
};

/* Epochs that mean something else. */
enum {
    CONSUMER_EPOCH_JOIN = 0,
    CONSUMER_EPOCH_LEAVE = -1,
    CONSUMER_EPOCH_LEAVE_STATIC = -2, /* somebody with the same instance id will come */
};

/* A broker may ask for heartbeats this often at most, whatever it says. */
enum { CONSUMER_HEARTBEAT_MS_MIN = 50 };

struct member_consumer {
    struct member_settings settings;
    enum consumer_phase phase;
    char member_id[UUID_TEXT_SIZE + 1]; /* its own choice, for all its life */
    int32_t epoch;
    int32_t heartbeat_interval_ms; /* the broker's; 0: not told yet */

    struct member_set owned;    /* what the owner has; names are known */
    struct member_set target;   /* by ids; as the broker wants it */
    struct member_set resolved; /* of the target, what has names, while it reconciles */
    struct member_set revoking;
    struct member_set added;
    struct member_set lost;
    struct member_set scratch;
    bool has_target;
    bool ever_assigned; /* since it joined */

    bool full; /* the next heartbeat says all: it joins, or one failed */
    bool subscription_changed;
    bool owned_changed; /* the broker has not heard yet what it owns */
    bool soon;          /* a heartbeat without waiting for its time */
    bool in_flight;
    bool said;       /* the heartbeat in flight has been, once at least */
    bool sent_owned; /* of the heartbeat in flight, and so on */
    bool sent_subscription;
    bool awaiting_release;
    bool resolving; /* topics without a name are being asked for */
    bool leave_in_flight;
    bool subscribe_again;
    int failures; /* heartbeats in a row that brought nothing */
    int64_t heartbeat_at_ms;
    int64_t polled_at_ms;
    int64_t leave_by_ms;
    int64_t resolve_at_ms;

    int32_t leave_epoch;
    err_t failure;
    char failure_text[MEMBER_TEXT_SIZE];

    bool cancel, tell_lost, tell_assigned, tell_revoking, tell_failed, tell_left;
    bool send_leave;
};

void member_consumer_init(struct member_consumer *member, const struct member_settings *settings,
                          struct uuid member_id);
void member_consumer_done(struct member_consumer *member);

enum member_action member_consumer_next(struct member_consumer *member, int64_t now_ms);
int64_t member_consumer_deadline_ms(const struct member_consumer *member);

/* The heartbeat that was asked for is about to be written, at each try: those after the first say
 * all. */
void member_consumer_say(struct member_consumer *member);

/* --- what the consumer wants --- */

void member_consumer_subscribe(struct member_consumer *member, int64_t now_ms);

/* There is one that cannot be. */
void member_consumer_refuse(struct member_consumer *member, err_t err, const char *text);
void member_consumer_polled(struct member_consumer *member, int64_t now_ms);
void member_consumer_released(struct member_consumer *member);
void member_consumer_leave(struct member_consumer *member, int64_t now_ms, int64_t by_ms);

/* Names of topics may be known now. */
void member_consumer_names_changed(struct member_consumer *member);

/* What was asked for is answered; those still unknown are asked for again after a pause. */
void member_consumer_resolved(struct member_consumer *member, int64_t now_ms);

/* --- what the coordinator says --- */

struct consumer_heartbeat {
    err_t err;       /* of the answer, or why there is none */
    struct str text; /* the broker's, of the error; may be null */
    int32_t epoch;
    int32_t interval_ms;
    const struct member_set *assignment; /* NULL: as before */
};
void member_consumer_answered(struct member_consumer *member,
                              const struct consumer_heartbeat *heartbeat, int64_t now_ms);
void member_consumer_left(struct member_consumer *member);
void member_consumer_commit_answered(struct member_consumer *member, int32_t epoch, err_t err,
                                     int64_t now_ms);
