#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"

/*
 * Client-side assignors: how the leader of a classic group spreads partitions over its members.
 * Pure functions: the same group gives the same assignment, whatever the order of its members was
 * on the wire.
 *
 *   range               topic by topic, in runs; rack-aware as in Kafka (KIP-881)
 *   roundrobin          partition by partition, in turn
 *   sticky              as even as can be, and what members had stays where it may
 *   cooperative-sticky  likewise, but what has to move is given to nobody until its owner has
 *                       given it back (KIP-429)
 *
 * range and roundrobin give what Kafka's classes give, partition by partition. The sticky ones keep
 * Kafka's promises (balance, stickiness), and Kafka's choices where all members subscribe to the
 * same topics; they do not look at racks.
 */
enum { CLIENT_ASSIGN_NOBODY = -1, CLIENT_ASSIGN_RACK_NONE = -1 };

/* Racks of a partition's replicas: rising numbers, each once. */
struct client_assign_racks {
    const int32_t *ids;
    int32_t count;
};

struct client_assign_topic {
    struct str name;
    int32_t partition_count;
    const struct client_assign_racks *racks; /* by partition; NULL: nothing is known */
    int32_t *owners; /* out: members by partition, in the arena; or CLIENT_ASSIGN_NOBODY */
};

struct client_assign_partition {
    int32_t topic;
    int32_t partition;
};

struct client_assign_member {
    struct str id;
    struct str instance_id; /* null: dynamic */
    int32_t rack;           /* CLIENT_ASSIGN_RACK_NONE */
    const int32_t *topics;  /* rising, each once */
    int32_t topic_count;
    /* What it says it had in that generation: rising, each once; maybe more than its topics have
     * now. For the sticky ones. */
    const struct client_assign_partition *owned;
    int32_t owned_count;
    int32_t generation;
};

struct client_assign_group {
    struct client_assign_topic *topics; /* by rising name; those that exist */
    int32_t topic_count;
    const struct client_assign_member *members; /* by rising id */
    int32_t member_count;
    int32_t rack_count; /* racks are 0 to rack_count - 1 */
};

struct client_assignor {
    const char *name; /* as in JoinGroup */
    const char *java_class;
    bool cooperative;
    bool sticky; /* cares for what members had */
    void (*assign)(struct client_assign_group *group, struct arena *arena);
};

/* By protocol name, or by the class that Java's clients are configured with; NULL: none. */
const struct client_assignor *client_assignor_by_name(struct str name);

int client_assign_partition_compare(const void *a, const void *b);

/* --- for the assignors --- */

void client_assign_range(struct client_assign_group *group, struct arena *arena);
void client_assign_round_robin(struct client_assign_group *group, struct arena *arena);
void client_assign_sticky(struct client_assign_group *group, struct arena *arena);
void client_assign_cooperative_sticky(struct client_assign_group *group, struct arena *arena);

/* Owners of all partitions: nobody. */
void client_assign_clear(struct client_assign_group *group, struct arena *arena);

/* Members in the order in which Kafka serves them: static ones by instance id, then by member id.
 */
int32_t *client_assign_order(const struct client_assign_group *group, struct arena *arena);

bool client_assign_subscribes(const struct client_assign_member *member, int32_t topic);

/* The members that subscribe to each topic, in a given order (NULL: their own). */
struct client_assign_readers {
    int32_t *members;
    int32_t count;
};
struct client_assign_readers *client_assign_readers(const struct client_assign_group *group,
                                                    const int32_t *order, struct arena *arena);
