#pragma once

#include "client/core.h"

/*
 * Membership in a consumer group, in either protocol: what a consumer asks of its group, and what
 * it is told. member_classic*.c and member_consumer*.c are behind it; the consumer knows no
 * difference.
 *
 * The member never touches positions or fetches. It calls its owner in this order of a rebalance:
 *
 *     revoking(partitions)   the owner stops fetching them, tells the application, commits, and
 *                            calls client_member_released when it is through
 *     assigned(partitions)   the whole assignment of now, and the part that is new; also when
 *                            nothing is new, after each rebalance
 *     lost(partitions)       at once: others may own them; nothing may be committed. It takes the
 *                            place of a revoking that was not released yet, which then is not
 *                            released any more
 *
 * The owner's functions are called from turns of the loop; what the application must be told waits
 * there until it polls (it calls client_member_polled with each poll: max.poll.interval.ms). From
 * inside them the owner may call all functions of this header but client_member_free.
 */
struct client_member;

struct member_partition {
    struct str topic;     /* lives with the member until the next call of the owner's functions */
    struct uuid topic_id; /* zero in a classic group */
    int32_t partition;
};

struct member_owner {
    void (*revoking)(void *arg, const struct member_partition *partitions, size_t count);
    void (*assigned)(void *arg, const struct member_partition *all, size_t all_count,
                     const struct member_partition *added, size_t added_count);
    void (*lost)(void *arg, const struct member_partition *partitions, size_t count);
    /* Group membership failed for good (GROUP_AUTHORIZATION_FAILED, FENCED_INSTANCE_ID,
     * INVALID_REGULAR_EXPRESSION, INCONSISTENT_GROUP_PROTOCOL …): poll reports it. */
    void (*failed)(void *arg, err_t err, const char *text);
    void *arg;
};

struct client_member *client_member_new(struct ottla_client *client,
                                        const struct member_owner *owner);

/* No word to the group. Accepts NULL. */
void client_member_free(struct client_member *member);

/* Joins with this subscription, or changes it. Names are copied. pattern NULL: names. */
void client_member_subscribe(struct client_member *member, const struct str *topics, size_t count,
                             struct str pattern);

/* Leaves (a static member of a classic group stays, as in Kafka): what it has goes through revoking
 * (or lost) first. done when it is through or the timeout is over; it can subscribe again then. */
void client_member_leave(struct client_member *member, int64_t timeout_ms, void (*done)(void *arg),
                         void *arg);

void client_member_released(struct client_member *member);

/* The application polled. */
void client_member_polled(struct client_member *member);

void client_member_rejoin(struct client_member *member, const char *reason);

/* What commits carry: generation or member epoch (-1: not in the group: commits as a simple
 * consumer only when nothing is subscribed), ids. */
struct member_identity {
    struct str member_id;
    struct str instance_id; /* null: dynamic */
    int32_t generation;
    bool rebalancing; /* commits are refused with REBALANCE_IN_PROGRESS until it is over */
};
void client_member_identity(const struct client_member *member,
                            struct member_identity *ret_identity);

/* A commit that carried this generation was answered so: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID,
 * ILLEGAL_GENERATION, STALE_MEMBER_EPOCH, REBALANCE_IN_PROGRESS tell the member something, too. */
void client_member_commit_answered(struct client_member *member, int32_t generation, err_t err);
