#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/uuid.h"

/*
 * What the state machines of membership, member_classic.h and member_consumer.h, ask of who drives
 * them. They are pure: time comes in, and after each input the driver takes actions from …_next
 * until there is none, and comes back at …_deadline_ms at the latest.
 */
enum member_action {
    MEMBER_NOTHING,
    MEMBER_CANCEL, /* requests on their way have no meaning any more; those of leaving excepted */
    MEMBER_JOIN,   /* send JoinGroup */
    MEMBER_LEAD,   /* make the group's assignment */
    MEMBER_SYNC,   /* send SyncGroup */
    MEMBER_HEARTBEAT, /* send Heartbeat or ConsumerGroupHeartbeat */
    MEMBER_LEAVE,     /* send LeaveGroup, or a heartbeat that says so */
    MEMBER_RESOLVE,   /* learn the names of topics */
    MEMBER_LOST,      /* tell the owner */
    MEMBER_ASSIGNED,
    MEMBER_REVOKING,
    MEMBER_FAILED,
    MEMBER_LEFT, /* leaving is over */
};

enum { MEMBER_REASON_SIZE = 256, MEMBER_TEXT_SIZE = 320 };

/* What both machines are told once. */
struct member_settings {
    bool is_static;                /* group.instance.id is given */
    bool cooperative;              /* classic: all assignors are */
    int64_t heartbeat_interval_ms; /* classic */
    int64_t max_poll_interval_ms;
    /* Before the n-th try (1, 2 …). */
    int64_t (*backoff_ms)(void *arg, int attempt);
    /* Whether the topic is in the subscription, by name or by pattern. */
    bool (*subscribed)(void *arg, struct str topic);
    /* The name of a topic; null: not known. */
    struct str (*topic_name)(void *arg, const struct uuid *id);
    void *arg;
};

/* What may be over the next time: the connection, a coordinator that moves or loads. */
bool member_may_pass(err_t err);
