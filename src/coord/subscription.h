#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/map.h"
#include "meta/image.h"

/*
 * Which topics a group of consumers subscribes to: by name, counted by members, and by regular
 * expression, counted by expressions. An expression stands for the topics that it was last resolved
 * to.
 */
struct subscribed_topic {
    struct str name;     /* behind the struct */
    int32_t count;       /* of members that name it, and of expressions that it matches; not 0 */
    bool fingerprinted;  /* fingerprint is that of the image */
    int64_t fingerprint; /* of the topic's partitions and racks */
};

struct subscribed_regex {
    struct str expression; /* behind the struct */
    int32_t member_count;
    bool resolved;
    struct str *topics; /* sorted; memory that may be shared (see piece.h) */
    int32_t topic_count;
    int64_t version;      /* of the image it was resolved with */
    int64_t timestamp_ms; /* when, by the wall clock */
};

struct subscription {
    struct map topics;  /* struct subscribed_topic by name */
    struct map regexes; /* struct subscribed_regex by expression: with members, or resolved */
    int32_t regex_member_kinds; /* expressions that have members */
    int32_t resolved_count;
};

void subscription_init(struct subscription *subscription);
void subscription_done(struct subscription *subscription);

/* --- hard state: as records say --- */

/* by 1: one more subscriber of each; by -1: one less. */
void subscription_count_topics(struct subscription *subscription, const struct str *topics,
                               int32_t topic_count, int32_t by);
void subscription_count_regex(struct subscription *subscription, struct str expression, int32_t by);

/* The expression stands for these topics from now on. They are copied. */
void subscription_resolve(struct subscription *subscription, struct str expression,
                          const struct str *topics, int32_t topic_count, int64_t version,
                          int64_t timestamp_ms);
void subscription_unresolve(struct subscription *subscription, struct str expression);

/* --- questions --- */

bool subscription_has_topic(const struct subscription *subscription, struct str topic);

/* NULL: nobody has it, and it is not resolved. */
const struct subscribed_regex *subscription_regex(const struct subscription *subscription,
                                                  struct str expression);

/* What would be different: names that come and go, one entry for each subscriber or expression. */
struct subscription_change {
    const struct str *added;
    const struct str *removed;
    int32_t added_count;
    int32_t removed_count;
};

/*
 * The hash that Kafka stores with a group's epoch, over the ids, partitions and racks of all topics
 * subscribed to: as soon as it is another, the group must be assigned anew. With a change that is
 * not made yet (NULL: none). Fingerprints are remembered until subscription_forget.
 */
int64_t subscription_hash(struct subscription *subscription,
                          const struct subscription_change *change, const struct meta_image *image,
                          struct arena *arena);

/* The topic changed, came or went. False: nobody subscribes to it. */
bool subscription_forget(struct subscription *subscription, struct str topic);
