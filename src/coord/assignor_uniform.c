/*
 * Loads that differ by one at most, with as few moves as that takes.
 *
 * Homogeneous, every member subscribes to every topic. With n members and p partitions each gets
 * p / n, and p % n of them one more:
 *   1. who has more than p / n is the first to be allowed one more;
 *   2. each member keeps what it has up to its quota: of all of its topics alike, low partitions
 *      before high ones, so that a topic with much traffic is shared by all;
 *   3. what is left goes round the members that have room, topic by topic.
 *
 * Heterogeneous, subscriptions differ:
 *   1. each member keeps what it still subscribes to;
 *   2. what nobody has goes to the subscriber with the least load, topics with few subscribers
 *      first, because they have the least choice;
 *   3. topic by topic, partitions move from the subscriber with the most load that has one to the
 *      subscriber with the least, while these two differ by two or more. This is repeated until
 *      nothing moves: then no single move makes the group more even. Each move makes the sum of the
 *      squares of all loads smaller, so it ends; PASSES_MAX cuts long chains of subscriptions
 *      (a-b, b-c, c-d …) short, where load trickles from one to the next.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/list.h"
#include "coord/assignor.h"

enum { PASSES_MAX = 64 };

/* --- homogeneous --- */

/* Number 0 of all topics, then number 1 of all, and so on. What is kept is taken off the quotas. */
static void keep_up_to_quota(struct assignor_group *group, int32_t *quotas, struct arena *arena) {
    int32_t *live = ARENA_ARRAY(arena, int32_t, (size_t)group->topic_count);
    int32_t live_count = group->topic_count;
    for (int32_t t = 0; t < group->topic_count; t++) {
        live[t] = t;
    }
    for (int32_t partition = 0; live_count > 0; partition++) {
        int32_t still = 0;
        for (int32_t i = 0; i < live_count; i++) {
            struct assignor_topic *topic = &group->topics[live[i]];
            if (partition >= topic->partition_count) {
                continue;
            }
            live[still++] = live[i];
            int32_t owner = topic->owners[partition];
            if (owner == ASSIGNOR_NOBODY) {
                continue;
            }
            if (quotas[owner] > 0) {
                quotas[owner]--;
            } else {
                topic->owners[partition] = ASSIGNOR_NOBODY;
            }
        }
        live_count = still;
    }
}

/* Members with room are a ring: next[m] follows m. */
static void go_round(struct assignor_group *group, int32_t *quotas, struct arena *arena) {
    int32_t *next = ARENA_ARRAY(arena, int32_t, (size_t)group->member_count);
    int32_t first = ASSIGNOR_NOBODY;
    int32_t last = ASSIGNOR_NOBODY;
    for (int32_t m = group->member_count - 1; m >= 0; m--) {
        if (quotas[m] > 0) {
            last = last == ASSIGNOR_NOBODY ? m : last;
            next[m] = first;
            first = m;
        }
    }
    if (first == ASSIGNOR_NOBODY) {
        return;
    }
    next[last] = first;
    int32_t before = last;
    for (int32_t t = 0; t < group->topic_count; t++) {
        struct assignor_topic *topic = &group->topics[t];
        for (int32_t partition = 0; partition < topic->partition_count; partition++) {
            if (topic->owners[partition] != ASSIGNOR_NOBODY) {
                continue;
            }
            int32_t m = next[before];
            assert(quotas[m] > 0); /* quotas add up to all partitions */
            topic->owners[partition] = m;
            if (--quotas[m] > 0) {
                before = m;
            } else {
                next[before] = next[m];
            }
        }
    }
}

static int32_t *quotas_make(const struct assignor_group *group, struct arena *arena) {
    int32_t *loads = ARENA_ARRAY(arena, int32_t, (size_t)group->member_count);
    int32_t total = 0;
    for (int32_t t = 0; t < group->topic_count; t++) {
        const struct assignor_topic *topic = &group->topics[t];
        total += topic->partition_count;
        for (int32_t partition = 0; partition < topic->partition_count; partition++) {
            if (topic->owners[partition] != ASSIGNOR_NOBODY) {
                loads[topic->owners[partition]]++;
            }
        }
    }
    int32_t quota = total / group->member_count;
    int32_t extra = total % group->member_count;
    int32_t *quotas = ARENA_ARRAY(arena, int32_t, (size_t)group->member_count);
    for (int32_t m = 0; m < group->member_count; m++) {
        quotas[m] = quota;
        if (loads[m] > quota && extra > 0) {
            quotas[m]++;
            extra--;
        }
    }
    for (int32_t m = 0; m < group->member_count && extra > 0; m++) {
        if (quotas[m] == quota) {
            quotas[m]++;
            extra--;
        }
    }
    return quotas;
}

static void assign_homogeneous(struct assignor_group *group, struct arena *arena) {
    int32_t *quotas = quotas_make(group, arena);
    keep_up_to_quota(group, quotas, arena);
    go_round(group, quotas, arena);
}

/* --- heterogeneous --- */

struct share {
    struct heap_node light; /* among the subscribers of a topic: the least load on top */
    struct heap_node heavy; /* among those that have a partition to give: the most load on top */
    int32_t member;
    int32_t load;
    int32_t give; /* the highest partition of the topic that it has, or ASSIGNOR_NOBODY */
};

struct balance {
    struct assignor_group *group;
    struct assignor_subscribers subscribers;
    struct share *shares; /* by member */
    struct heap light;
    struct heap heavy;
    int32_t
        *give_next; /* by partition of the topic at hand: the next lower one of the same owner */
};

static bool light_before(const struct heap_node *a, const struct heap_node *b) {
    const struct share *one = container_of(a, struct share, light);
    const struct share *other = container_of(b, struct share, light);
    return one->load != other->load ? one->load < other->load : one->member < other->member;
}

static bool heavy_before(const struct heap_node *a, const struct heap_node *b) {
    const struct share *one = container_of(a, struct share, heavy);
    const struct share *other = container_of(b, struct share, heavy);
    return one->load != other->load ? one->load > other->load : one->member < other->member;
}

static void heap_empty(struct heap *heap) {
    for (size_t i = 0; i < heap->count; i++) {
        heap->nodes[i]->place = 0;
    }
    heap->count = 0;
}

static void load_change(struct balance *balance, struct share *share, int32_t by) {
    share->load += by;
    heap_update(&balance->light, &share->light);
    if (heap_contains(&share->heavy)) {
        heap_update(&balance->heavy, &share->heavy);
    }
}

/* Owners that do not subscribe any more lose the partition; the others' loads are counted. */
static void keep_subscribed(struct balance *balance, struct arena *arena) {
    struct assignor_group *group = balance->group;
    int32_t *subscribed = ARENA_ARRAY(arena, int32_t, (size_t)group->member_count);
    for (int32_t t = 0; t < group->topic_count; t++) {
        const struct assignor_subscribers *subscribers = &balance->subscribers;
        for (int64_t i = subscribers->starts[t]; i < subscribers->starts[t + 1]; i++) {
            subscribed[subscribers->members[i]] = t + 1;
        }
        struct assignor_topic *topic = &group->topics[t];
        for (int32_t partition = 0; partition < topic->partition_count; partition++) {
            int32_t owner = topic->owners[partition];
            if (owner != ASSIGNOR_NOBODY && subscribed[owner] == t + 1) {
                balance->shares[owner].load++;
            } else {
                topic->owners[partition] = ASSIGNOR_NOBODY;
            }
        }
    }
}

static void light_fill(struct balance *balance, int32_t t) {
    const struct assignor_subscribers *subscribers = &balance->subscribers;
    for (int64_t i = subscribers->starts[t]; i < subscribers->starts[t + 1]; i++) {
        heap_push(&balance->light, &balance->shares[subscribers->members[i]].light);
    }
}

static void assign_rest_of(struct balance *balance, int32_t t) {
    struct assignor_topic *topic = &balance->group->topics[t];
    bool filled = false;
    for (int32_t partition = 0; partition < topic->partition_count; partition++) {
        if (topic->owners[partition] != ASSIGNOR_NOBODY) {
            continue;
        }
        if (!filled) {
            light_fill(balance, t);
            filled = true;
        }
        struct share *share = container_of(heap_top(&balance->light), struct share, light);
        topic->owners[partition] = share->member;
        load_change(balance, share, 1);
    }
    heap_empty(&balance->light);
}

static int few_subscribers_first(const void *a, const void *b, void *arg) {
    const int64_t *starts = arg;
    int32_t one = *(const int32_t *)a;
    int32_t other = *(const int32_t *)b;
    int64_t one_count = starts[one + 1] - starts[one];
    int64_t other_count = starts[other + 1] - starts[other];
    if (one_count != other_count) {
        return one_count < other_count ? -1 : 1;
    }
    return one < other ? -1 : one > other;
}

/* Whether two subscribers are two or more apart, and the one with more has a partition to give. */
static bool is_uneven(const struct balance *balance, int32_t t) {
    const struct assignor_subscribers *subscribers = &balance->subscribers;
    int32_t least = INT32_MAX;
    for (int64_t i = subscribers->starts[t]; i < subscribers->starts[t + 1]; i++) {
        int32_t load = balance->shares[subscribers->members[i]].load;
        least = load < least ? load : least;
    }
    const struct assignor_topic *topic = &balance->group->topics[t];
    for (int32_t partition = 0; partition < topic->partition_count; partition++) {
        if (balance->shares[topic->owners[partition]].load >= least + 2) {
            return true;
        }
    }
    return false;
}

static void heavy_fill(struct balance *balance, int32_t t) {
    const struct assignor_topic *topic = &balance->group->topics[t];
    for (int32_t partition = 0; partition < topic->partition_count; partition++) {
        struct share *share = &balance->shares[topic->owners[partition]];
        if (!heap_contains(&share->heavy)) {
            share->give = ASSIGNOR_NOBODY;
            heap_push(&balance->heavy, &share->heavy);
        }
        balance->give_next[partition] = share->give;
        share->give = partition;
    }
}

static bool balance_topic(struct balance *balance, int32_t t) {
    if (!is_uneven(balance, t)) {
        return false;
    }
    light_fill(balance, t);
    heavy_fill(balance, t);
    bool moved = false;
    struct heap_node *top;
    while ((top = heap_top(&balance->heavy)) != NULL) {
        struct share *from = container_of(top, struct share, heavy);
        struct share *to = container_of(heap_top(&balance->light), struct share, light);
        if (from->load < to->load + 2) {
            break;
        }
        int32_t partition = from->give;
        balance->group->topics[t].owners[partition] = to->member;
        from->give = balance->give_next[partition];
        if (from->give == ASSIGNOR_NOBODY) {
            heap_remove(&balance->heavy, &from->heavy);
        }
        load_change(balance, from, -1);
        load_change(balance, to, 1);
        moved = true;
    }
    heap_empty(&balance->light);
    heap_empty(&balance->heavy);
    return moved;
}

static void balance_init(struct balance *balance, struct assignor_group *group,
                         struct arena *arena) {
    *balance = (struct balance){.group = group};
    assignor_subscribers_find(group, NULL, arena, &balance->subscribers);
    balance->shares = ARENA_ARRAY(arena, struct share, (size_t)group->member_count);
    for (int32_t m = 0; m < group->member_count; m++) {
        balance->shares[m].member = m;
    }
    int32_t partitions_max = 0;
    for (int32_t t = 0; t < group->topic_count; t++) {
        int32_t count = group->topics[t].partition_count;
        partitions_max = count > partitions_max ? count : partitions_max;
    }
    balance->give_next = ARENA_ARRAY(arena, int32_t, (size_t)partitions_max);
    heap_init(&balance->light, light_before);
    heap_init(&balance->heavy, heavy_before);
}

static void assign_heterogeneous(struct assignor_group *group, struct arena *arena) {
    struct balance balance;
    balance_init(&balance, group, arena);
    keep_subscribed(&balance, arena);

    int32_t *order = ARENA_ARRAY(arena, int32_t, (size_t)group->topic_count);
    for (int32_t t = 0; t < group->topic_count; t++) {
        order[t] = t;
    }
    qsort_r(order, (size_t)group->topic_count, sizeof order[0], few_subscribers_first,
            balance.subscribers.starts);
    for (int32_t i = 0; i < group->topic_count; i++) {
        assign_rest_of(&balance, order[i]);
    }
    bool moved = true;
    for (int pass = 0; moved && pass < PASSES_MAX; pass++) {
        moved = false;
        for (int32_t i = 0; i < group->topic_count; i++) {
            moved |= balance_topic(&balance, order[i]);
        }
    }
    heap_done(&balance.light);
    heap_done(&balance.heavy);
}

void assignor_uniform(struct assignor_group *group, struct arena *arena) {
    if (group->member_count == 0 || group->topic_count == 0) {
        return;
    }
    if (assignor_is_homogeneous(group)) {
        assign_homogeneous(group, arena);
    } else {
        assign_heterogeneous(group, arena);
    }
}
