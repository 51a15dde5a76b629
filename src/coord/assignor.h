#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/uuid.h"

/*
 * Server-side assignors: who of a group gets which partitions. Pure: they see nothing but the group
 * they are given, so they may run on any thread.
 *
 *   range     of each topic, its subscribers get neighbouring partitions, in the order of instance
 *             ids, then of member ids. Topics with as many partitions and the same subscribers are
 *             divided alike (co-partitioned).
 *   uniform   loads differ by one at most where subscriptions allow it, and nothing moves that need
 *             not move.
 */

enum { ASSIGNOR_NOBODY = -1 };

struct assignor_topic {
    struct uuid id;
    int32_t partition_count;
    /* Of each partition the index of a member, or ASSIGNOR_NOBODY. In: the last assignment, whose
     * members need not subscribe any more. Out: the new one. */
    int32_t *owners;
};

struct assignor_member {
    struct str id;
    struct str instance_id; /* null: a dynamic member */
    const int32_t *topics;  /* indices of the topics it subscribes to, rising */
    int32_t topic_count;
};

struct assignor_group {
    struct assignor_topic *topics; /* each has a subscriber */
    int32_t topic_count;
    const struct assignor_member *members;
    int32_t member_count;
};

/* Every partition gets a member that subscribes to its topic. Memory is the group's own size again,
 * from an arena without a bound. */
typedef void (*assignor_fn)(struct assignor_group *group, struct arena *arena);

void assignor_range(struct assignor_group *group, struct arena *arena);
void assignor_uniform(struct assignor_group *group, struct arena *arena);

/* The names under which clients and group.consumer.assignors know them; NULL: there is none. */
assignor_fn assignor_find(struct str name);

/* --- for assignors --- */

/* Whether every member subscribes to every topic. */
bool assignor_is_homogeneous(const struct assignor_group *group);

/* The subscribers of each topic: members[starts[t]] to members[starts[t + 1] - 1], in the order in
 * which `order` lists the members (NULL: that of the group). */
struct assignor_subscribers {
    int64_t *starts;
    int32_t *members;
};
void assignor_subscribers_find(const struct assignor_group *group, const int32_t *order,
                               struct arena *arena, struct assignor_subscribers *ret);
