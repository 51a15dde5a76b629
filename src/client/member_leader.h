#pragma once

#include "base/map.h"
#include "client/member_protocol.h"
#include "wire/messages.h"

/*
 * The leader of a classic group: reads what all members subscribe to, and makes the assignment from
 * that and from metadata. Pure: metadata is a view. A member whose subscription cannot be read gets
 * nothing, and harms no other.
 *
 *     member_leader_read ──► topics ──► (metadata knows them) ──► member_leader_assign
 */
struct member_view {
    /* NULL: not heard of. */
    const struct client_topic *(*topic)(void *arg, struct str name);
    /* Of a broker; null: it has none. */
    struct str (*rack)(void *arg, int32_t broker_id);
    void *arg;
};

struct member_leader {
    const struct client_assignor *assignor;
    struct member_claim *claims; /* by member of the answer */
    struct str *ids;             /* likewise */
    struct str *instance_ids;
    int32_t member_count;
    int32_t unreadable_count;
    struct str *topics; /* of all members: rising, each once */
    size_t topic_count;
    struct arena arena; /* of all this; the join's answer is copied into it */
};

void member_leader_init(struct member_leader *leader);
void member_leader_done(struct member_leader *leader);

/* The answer is copied. What was read before is forgotten. */
void member_leader_read(struct member_leader *leader, const struct client_assignor *assignor,
                        const struct join_group_response *joined);

/* Whether metadata has heard of all topics. */
bool member_leader_ready(const struct member_leader *leader, const struct member_view *view);

/* Into the arena. */
void member_leader_assign(struct member_leader *leader, const struct member_view *view,
                          struct arena *arena,
                          struct sync_group_request_assignment **ret_assignments,
                          int32_t *ret_count);

/* A number for what an assignment depends on: the partitions of the topics, and their racks where
 * that plays a part. */
uint64_t member_leader_snapshot(const struct member_leader *leader, const struct member_view *view,
                                bool racks);
