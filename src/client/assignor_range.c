/*
 * The range assignor: of each topic, every reader gets a run of partitions; the first ones get one
 * more where it does not come out even.
 *
 * Racks (KIP-881) come in where some reader has a rack that a replica of the topic has, and not all
 * partitions are in the same racks. If any topic is so, a round with matching racks goes before:
 *   topics with the same readers and as many partitions   partition by partition, the same
 *     (several)                                           partition of all topics to the first
 *                                                         reader whose rack fits everywhere
 *   any other, if it is such a topic itself               reader by reader, what fits its rack
 * Shares stay what they are without racks; what is left goes on in runs.
 */
#include "client/assignor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct range_topic {
    struct client_assign_topic *topic;
    struct client_assign_readers readers; /* in order */
    int32_t *shares;                      /* by reader: partitions it has */
    int32_t share;                        /* each gets so many, */
    int32_t larger_left;                  /* and so many readers one more */
    bool racked;                          /* a reader has a rack */
    bool rack_aware;
};

struct range {
    const struct client_assign_group *group;
    struct range_topic *topics;
    bool *racks; /* scratch, by rack */
};

static bool rack_in(const struct client_assign_racks *racks, int32_t rack) {
    for (int32_t i = 0; i < racks->count; i++) {
        if (racks->ids[i] == rack) {
            return true;
        }
    }
    return false;
}

/* Some reader's rack has a replica, and partitions differ in their racks. */
static bool racks_matter(struct range *range, const struct range_topic *state) {
    const struct client_assign_topic *topic = state->topic;
    if (!state->racked || topic->racks == NULL) {
        return false;
    }
    memset(range->racks, 0, sizeof range->racks[0] * (size_t)range->group->rack_count);
    int32_t distinct = 0;
    for (int32_t p = 0; p < topic->partition_count; p++) {
        for (int32_t i = 0; i < topic->racks[p].count; i++) {
            distinct += !range->racks[topic->racks[p].ids[i]];
            range->racks[topic->racks[p].ids[i]] = true;
        }
    }
    bool met = false;
    for (int32_t i = 0; i < state->readers.count; i++) {
        int32_t rack = range->group->members[state->readers.members[i]].rack;
        met = met || (rack != CLIENT_ASSIGN_RACK_NONE && range->racks[rack]);
    }
    bool same = true;
    for (int32_t p = 0; p < topic->partition_count; p++) {
        same = same && topic->racks[p].count == distinct;
    }
    return met && !same;
}

static bool rack_fits(const struct range *range, const struct range_topic *state, int32_t reader,
                      int32_t partition) {
    int32_t rack = range->group->members[state->readers.members[reader]].rack;
    const struct client_assign_racks *racks = state->topic->racks;
    return rack == CLIENT_ASSIGN_RACK_NONE || (racks != NULL && rack_in(&racks[partition], rack));
}

static int32_t room(const struct range_topic *state, int32_t reader) {
    int32_t left = state->share + (state->larger_left > 0 ? 1 : 0) - state->shares[reader];
    return left > 0 ? left : 0;
}

static void give(struct range_topic *state, int32_t reader, int32_t partition) {
    assert(state->topic->owners[partition] == CLIENT_ASSIGN_NOBODY);
    state->topic->owners[partition] = state->readers.members[reader];
    if (++state->shares[reader] > state->share) {
        state->larger_left--;
    }
}

/* Reader by reader, as many as it may have. */
static void give_ranges(const struct range *range, struct range_topic *state, bool match) {
    int32_t first = 0; /* all before it are given */
    for (int32_t r = 0; r < state->readers.count; r++) {
        int32_t left = room(state, r);
        for (int32_t p = first; left > 0 && p < state->topic->partition_count; p++) {
            bool free = state->topic->owners[p] == CLIENT_ASSIGN_NOBODY;
            if (free && (!match || rack_fits(range, state, r, p))) {
                give(state, r, p);
                left--;
            }
            first += first == p && state->topic->owners[p] != CLIENT_ASSIGN_NOBODY;
        }
    }
}

/* --- topics with the same readers and as many partitions --- */

static int32_t rack_partitions(const struct range_topic *state) {
    return state->racked ? state->topic->partition_count : 0;
}

static int compare_kinds(const void *a, const void *b) {
    const struct range_topic *x = a;
    const struct range_topic *y = b;
    if (rack_partitions(x) != rack_partitions(y)) {
        return rack_partitions(x) < rack_partitions(y) ? -1 : 1;
    }
    if (x->readers.count != y->readers.count) {
        return x->readers.count < y->readers.count ? -1 : 1;
    }
    return x->readers.count == 0 ? 0
                                 : memcmp(x->readers.members, y->readers.members,
                                          sizeof x->readers.members[0] * (size_t)x->readers.count);
}

static bool fits_all(const struct range *range, const struct range_topic *states, int32_t count,
                     int32_t reader, int32_t partition) {
    for (int32_t i = 0; i < count; i++) {
        if (room(&states[i], reader) == 0 || !rack_fits(range, &states[i], reader, partition)) {
            return false;
        }
    }
    return true;
}

static void give_together(const struct range *range, struct range_topic *states, int32_t count) {
    for (int32_t p = 0; p < rack_partitions(&states[0]); p++) {
        int32_t reader = 0;
        while (reader < states[0].readers.count && !fits_all(range, states, count, reader, p)) {
            reader++;
        }
        for (int32_t i = 0; reader < states[0].readers.count && i < count; i++) {
            give(&states[i], reader, p);
        }
    }
}

static void give_by_racks(const struct range *range) {
    int32_t count = range->group->topic_count;
    qsort(range->topics, (size_t)count, sizeof range->topics[0], compare_kinds);
    for (int32_t first = 0, next; first < count; first = next) {
        struct range_topic *states = &range->topics[first];
        for (next = first + 1; next < count && compare_kinds(states, &range->topics[next]) == 0;) {
            next++;
        }
        if (next - first > 1) {
            give_together(range, states, next - first);
        } else if (states->rack_aware) {
            give_ranges(range, states, true);
        }
    }
}

void client_assign_range(struct client_assign_group *group, struct arena *arena) {
    client_assign_clear(group, arena);
    struct client_assign_readers *readers =
        client_assign_readers(group, client_assign_order(group, arena), arena);
    struct range range = {
        .group = group,
        .topics = ARENA_ARRAY(arena, struct range_topic, (size_t)group->topic_count),
        .racks = ARENA_ARRAY(arena, bool, (size_t)group->rack_count),
    };
    bool rack_aware = false;
    for (int32_t t = 0; t < group->topic_count; t++) {
        struct range_topic *state = &range.topics[t];
        *state = (struct range_topic){.topic = &group->topics[t], .readers = readers[t]};
        state->shares = ARENA_ARRAY(arena, int32_t, (size_t)readers[t].count);
        if (readers[t].count > 0) {
            state->share = state->topic->partition_count / readers[t].count;
            state->larger_left = state->topic->partition_count % readers[t].count;
        }
        for (int32_t i = 0; i < readers[t].count; i++) {
            int32_t rack = group->members[readers[t].members[i]].rack;
            state->racked = state->racked || rack != CLIENT_ASSIGN_RACK_NONE;
        }
        state->rack_aware = racks_matter(&range, state);
        rack_aware = rack_aware || state->rack_aware;
    }
    if (rack_aware) {
        give_by_racks(&range);
    }
    for (int32_t t = 0; t < group->topic_count; t++) {
        give_ranges(&range, &range.topics[t], false);
    }
}
