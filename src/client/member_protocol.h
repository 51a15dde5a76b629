#pragma once

#include "base/buffer.h"
#include "client/assignor.h"
#include "client/member_set.h"

/*
 * What members of a classic group say to each other through the coordinator, which does not look at
 * it: Kafka's ConsumerProtocolSubscription and ConsumerProtocolAssignment, each behind its version,
 * and the user data of the sticky assignors. What others wrote is checked; from a version newer
 * than ours the part that we know is read.
 */
struct member_subscription {
    const struct str *topics; /* rising, each once */
    size_t topic_count;
    const struct member_set *owned;
    int32_t generation; /* -1: in none */
    struct str rack;    /* null: none */
    /* What the last assignment was, and in which generation: `sticky` says it in its user data.
     * NULL: there was none. */
    const struct member_set *last;
    int32_t last_generation;
};

/* As of version 3. Appends. */
void member_subscription_write(const struct member_subscription *subscription,
                               const struct client_assignor *assignor, struct buffer *out);

/* What a leader has to know of a member. Memory: the arena, and the bytes. */
struct member_claim {
    struct str *topics;
    int32_t topic_count;
    struct str rack; /* null: none */
    int32_t generation;
    struct member_partition *owned; /* as they came */
    size_t owned_count;
};

/* `sticky` takes what is owned from its user data, all others from the fields. MALFORMED. */
err_t member_subscription_read(struct bytes bytes, const struct client_assignor *assignor,
                               struct arena *arena, struct member_claim *ret_claim);

/* partitions in order of their topics. Appends. */
void member_assignment_write(const struct member_partition *partitions, size_t count,
                             struct arena *arena, struct buffer *out);

/* MALFORMED; the set is empty then. No bytes at all: nothing is assigned. */
err_t member_assignment_read(struct bytes bytes, struct member_set *set);
