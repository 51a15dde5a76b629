/*
 * The sticky assignors: as even as the subscriptions allow, and with as few moves as that takes.
 *
 *   1. Claims: a partition stays with the member that had it in the newest generation, as long as
 *      that member still subscribes to its topic. Two that say so for the same generation are both
 *      wrong: it counts as nobody's.
 *   2a. All members subscribe to the same topics: shares differ by one at most. Members give up
 *      what they have beyond their share; what is free goes round those that have too little.
 *   2b. They do not: what is free goes to whoever may have it and has least, topics with the fewest
 *      readers first; then partitions move, those that nobody had before the others, while
 *      somebody who may have one has two less than its owner.
 *   3. cooperative-sticky: a partition that moves from a living owner is given to nobody in this
 *      round; its owner gives it back and the group meets again.
 */
#include "client/assignor.h"

#include <assert.h>
#include <stdlib.h>

struct sticky {
    struct client_assign_group *group;
    struct arena *arena;
    int32_t **holders; /* by topic and partition: who had it in the newest generation */
    int32_t **claims;  /* and who therefore keeps it if it can: subscribes to it */
    bool **disputed;   /* two members said so for the newest generation */
    int32_t *loads;    /* by member */
    struct client_assign_readers *readers;
};

/* --- claims --- */

static void claim(const struct sticky *sticky, int32_t **generations, int32_t m,
                  const struct client_assign_partition *owned) {
    int32_t *owner = &sticky->holders[owned->topic][owned->partition];
    int32_t *generation = &generations[owned->topic][owned->partition];
    bool *disputed = &sticky->disputed[owned->topic][owned->partition];
    int32_t said = sticky->group->members[m].generation;
    bool claimed = *owner != CLIENT_ASSIGN_NOBODY || *disputed;
    if (!claimed || said > *generation) {
        *owner = m;
        *generation = said;
        *disputed = false;
    } else if (said == *generation) {
        *owner = CLIENT_ASSIGN_NOBODY;
        *disputed = true;
    }
}

static void claims_make(struct sticky *sticky) {
    struct client_assign_group *group = sticky->group;
    struct arena *arena = sticky->arena;
    int32_t **generations = ARENA_ARRAY(arena, int32_t *, (size_t)group->topic_count);
    for (int32_t t = 0; t < group->topic_count; t++) {
        size_t count = (size_t)group->topics[t].partition_count;
        generations[t] = ARENA_ARRAY(arena, int32_t, count);
        sticky->disputed[t] = ARENA_ARRAY(arena, bool, count);
        sticky->claims[t] = ARENA_ARRAY(arena, int32_t, count);
        sticky->holders[t] = ARENA_ARRAY(arena, int32_t, count);
        for (size_t p = 0; p < count; p++) {
            sticky->holders[t][p] = CLIENT_ASSIGN_NOBODY;
        }
    }
    for (int32_t m = 0; m < group->member_count; m++) {
        const struct client_assign_member *member = &group->members[m];
        for (int32_t i = 0; i < member->owned_count; i++) {
            const struct client_assign_partition *owned = &member->owned[i];
            if (owned->partition >= 0 &&
                owned->partition < group->topics[owned->topic].partition_count) {
                claim(sticky, generations, m, owned);
            }
        }
    }
    for (int32_t t = 0; t < group->topic_count; t++) {
        for (int32_t p = 0; p < group->topics[t].partition_count; p++) {
            int32_t holder = sticky->holders[t][p];
            bool reads = holder != CLIENT_ASSIGN_NOBODY &&
                         client_assign_subscribes(&group->members[holder], t);
            sticky->claims[t][p] = reads ? holder : CLIENT_ASSIGN_NOBODY;
        }
    }
}

static void sticky_give(const struct sticky *sticky, int32_t t, int32_t p, int32_t m) {
    int32_t *owner = &sticky->group->topics[t].owners[p];
    if (*owner != CLIENT_ASSIGN_NOBODY) {
        sticky->loads[*owner]--;
    }
    *owner = m;
    sticky->loads[m]++;
}

/* --- the same topics for all --- */

static bool all_read_the_same(const struct client_assign_group *group) {
    for (int32_t m = 0; m < group->member_count; m++) {
        if (group->members[m].topic_count != group->topic_count) {
            return false; /* the group's topics are those of its members, so all of them it is */
        }
    }
    return true;
}

struct shares {
    int32_t small;
    int32_t large;      /* small, or one more */
    int32_t large_left; /* members that may have it */
    int32_t *lacking;   /* members below the small share */
    int32_t lacking_count;
    int32_t *content; /* with the small share, that may have one more */
    int32_t content_count;
    int32_t content_first;
};

/* Partition 0 of all topics before partition 1: a member that gives up some keeps a bit of each. */
static int compare_across(const void *a, const void *b) {
    const struct client_assign_partition *x = a;
    const struct client_assign_partition *y = b;
    if (x->partition != y->partition) {
        return x->partition < y->partition ? -1 : 1;
    }
    return (x->topic > y->topic) - (x->topic < y->topic);
}

/* A member keeps what it has up to its share. */
static void keep(const struct sticky *sticky, struct shares *shares, int32_t m,
                 struct client_assign_partition *scratch) {
    const struct client_assign_member *member = &sticky->group->members[m];
    int32_t count = 0;
    for (int32_t i = 0; i < member->owned_count; i++) {
        const struct client_assign_partition *owned = &member->owned[i];
        if (owned->partition >= 0 &&
            owned->partition < sticky->group->topics[owned->topic].partition_count &&
            sticky->claims[owned->topic][owned->partition] == m) {
            scratch[count++] = *owned;
        }
    }
    qsort(scratch, (size_t)count, sizeof scratch[0], compare_across);
    int32_t kept = count;
    if (count < shares->small) {
        shares->lacking[shares->lacking_count++] = m;
    } else if (count >= shares->large && shares->large_left > 0) {
        kept = shares->large;
        shares->large_left--;
    } else {
        kept = shares->small;
        shares->content[shares->content_count++] = m;
    }
    for (int32_t i = 0; i < kept; i++) {
        sticky_give(sticky, scratch[i].topic, scratch[i].partition, m);
    }
}

/* Who gets the next free partition: in rounds, those that lack some first. */
struct round {
    int32_t at;
    int32_t left; /* of the lacking that still lack some after this round, so far */
};

static int32_t next_lacking(const struct sticky *sticky, struct shares *shares,
                            struct round *round) {
    if (round->at == shares->lacking_count) {
        shares->lacking_count = round->left;
        *round = (struct round){0};
    }
    int32_t m = shares->lacking[round->at++];
    if (sticky->loads[m] + 1 == shares->small) {
        shares->content[shares->content_count++] = m;
    } else {
        shares->lacking[round->left++] = m;
    }
    return m;
}

static bool any_lacking(const struct shares *shares, const struct round *round) {
    return round->at < shares->lacking_count || round->left > 0;
}

static void assign_shares(const struct sticky *sticky, int64_t total) {
    struct client_assign_group *group = sticky->group;
    size_t members = (size_t)group->member_count;
    struct shares shares = {
        .small = (int32_t)(total / group->member_count),
        .large_left = (int32_t)(total % group->member_count),
        .lacking = ARENA_ARRAY(sticky->arena, int32_t, members),
        .content = ARENA_ARRAY(sticky->arena, int32_t, 2 * members),
    };
    shares.large = shares.small + (shares.large_left > 0 ? 1 : 0);
    struct client_assign_partition *scratch =
        ARENA_ARRAY(sticky->arena, struct client_assign_partition, (size_t)total);
    for (int32_t m = 0; m < group->member_count; m++) {
        keep(sticky, &shares, m, scratch);
    }
    struct round round = {0};
    for (int32_t t = 0; t < group->topic_count; t++) {
        for (int32_t p = 0; p < group->topics[t].partition_count; p++) {
            if (group->topics[t].owners[p] != CLIENT_ASSIGN_NOBODY) {
                continue;
            }
            bool lacking = any_lacking(&shares, &round);
            assert(lacking || shares.content_first < shares.content_count);
            int32_t m = lacking ? next_lacking(sticky, &shares, &round)
                                : shares.content[shares.content_first++];
            sticky_give(sticky, t, p, m);
        }
    }
}

/* --- topics of their own --- */

static int32_t least_loaded(const struct sticky *sticky, int32_t t) {
    const struct client_assign_readers *readers = &sticky->readers[t];
    int32_t best = readers->members[0];
    for (int32_t i = 1; i < readers->count; i++) {
        if (sticky->loads[readers->members[i]] < sticky->loads[best]) {
            best = readers->members[i];
        }
    }
    return best;
}

struct topic_place {
    int32_t topic;
    int32_t reader_count;
};

static int compare_readers(const void *a, const void *b) {
    const struct topic_place *x = a;
    const struct topic_place *y = b;
    if (x->reader_count != y->reader_count) {
        return x->reader_count < y->reader_count ? -1 : 1;
    }
    return (x->topic > y->topic) - (x->topic < y->topic);
}

/* Moves partitions where it helps; whether any moved. */
static bool level(const struct sticky *sticky, const struct topic_place *order, bool claimed_too) {
    bool moved = false;
    for (int32_t i = 0; i < sticky->group->topic_count; i++) {
        int32_t t = order[i].topic;
        const struct client_assign_topic *topic = &sticky->group->topics[t];
        for (int32_t p = 0; order[i].reader_count > 1 && p < topic->partition_count; p++) {
            int32_t owner = topic->owners[p];
            if (sticky->claims[t][p] == owner && !claimed_too) {
                continue;
            }
            int32_t best = least_loaded(sticky, t);
            if (sticky->loads[owner] > sticky->loads[best] + 1) {
                sticky_give(sticky, t, p, best);
                moved = true;
            }
        }
    }
    return moved;
}

/* Two partitions of a topic that changed places stay where they were instead. */
static void undo_exchanges(const struct sticky *sticky, int32_t t) {
    int32_t *owners = sticky->group->topics[t].owners;
    const int32_t *claims = sticky->claims[t];
    int32_t count = sticky->group->topics[t].partition_count;
    for (int32_t p = 0; p < count; p++) {
        for (int32_t q = p + 1;
             claims[p] != CLIENT_ASSIGN_NOBODY && claims[p] != owners[p] && q < count; q++) {
            if (claims[q] == owners[p] && owners[q] == claims[p]) {
                owners[q] = claims[q];
                owners[p] = claims[p];
            }
        }
    }
}

static void assign_levelled(const struct sticky *sticky) {
    struct client_assign_group *group = sticky->group;
    struct topic_place *order =
        ARENA_ARRAY(sticky->arena, struct topic_place, (size_t)group->topic_count);
    for (int32_t t = 0; t < group->topic_count; t++) {
        order[t] = (struct topic_place){t, sticky->readers[t].count};
        for (int32_t p = 0; p < group->topics[t].partition_count; p++) {
            if (sticky->claims[t][p] != CLIENT_ASSIGN_NOBODY) {
                sticky_give(sticky, t, p, sticky->claims[t][p]);
            }
        }
    }
    qsort(order, (size_t)group->topic_count, sizeof order[0], compare_readers);
    for (int32_t i = 0; i < group->topic_count; i++) {
        const struct client_assign_topic *topic = &group->topics[order[i].topic];
        for (int32_t p = 0; order[i].reader_count > 0 && p < topic->partition_count; p++) {
            if (topic->owners[p] == CLIENT_ASSIGN_NOBODY) {
                sticky_give(sticky, order[i].topic, p, least_loaded(sticky, order[i].topic));
            }
        }
    }
    while (level(sticky, order, false)) {
    }
    while (level(sticky, order, true)) {
    }
    for (int32_t t = 0; t < group->topic_count; t++) {
        undo_exchanges(sticky, t);
    }
}

/* --- both --- */

static void assign(struct sticky *sticky) {
    struct client_assign_group *group = sticky->group;
    client_assign_clear(group, sticky->arena);
    sticky->claims = ARENA_ARRAY(sticky->arena, int32_t *, (size_t)group->topic_count);
    sticky->holders = ARENA_ARRAY(sticky->arena, int32_t *, (size_t)group->topic_count);
    sticky->disputed = ARENA_ARRAY(sticky->arena, bool *, (size_t)group->topic_count);
    sticky->loads = ARENA_ARRAY(sticky->arena, int32_t, (size_t)group->member_count);
    sticky->readers = client_assign_readers(group, NULL, sticky->arena);
    claims_make(sticky);
    int64_t total = 0;
    for (int32_t t = 0; t < group->topic_count; t++) {
        total += group->topics[t].partition_count;
    }
    if (total > 0 && all_read_the_same(group)) {
        assign_shares(sticky, total);
    } else {
        assign_levelled(sticky);
    }
}

void client_assign_sticky(struct client_assign_group *group, struct arena *arena) {
    struct sticky sticky = {.group = group, .arena = arena};
    assign(&sticky);
}

void client_assign_cooperative_sticky(struct client_assign_group *group, struct arena *arena) {
    struct sticky sticky = {.group = group, .arena = arena};
    assign(&sticky);
    for (int32_t t = 0; t < group->topic_count; t++) {
        for (int32_t p = 0; p < group->topics[t].partition_count; p++) {
            int32_t *owner = &group->topics[t].owners[p];
            int32_t holder = sticky.holders[t][p];
            bool moves = holder != CLIENT_ASSIGN_NOBODY && holder != *owner;
            if (moves || sticky.disputed[t][p]) {
                *owner = CLIENT_ASSIGN_NOBODY;
            }
        }
    }
}
