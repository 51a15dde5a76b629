/*
 * A plan is laid out in numbers for the assignor: topics by their ids, members in the order of
 * their seats. That takes longer than the assignor itself, as every name of every subscription is
 * looked up; members that subscribe to the same as the one before share its list.
 */
#include "coord/consumer_plan.h"

#include <stdlib.h>

struct layout {
    const struct consumer_plan *plan;
    struct arena *arena;
    struct assignor_group group;
    struct assignor_member *members;
    struct map topic_indices; /* by name: of topics, + 1 */
};

/* --- topics --- */

static int compare_topics(const void *a, const void *b) {
    const struct meta_topic *const *one = a;
    const struct meta_topic *const *other = b;
    return uuid_compare((*one)->id, (*other)->id);
}

static bool subscribe_alike(const struct consumer_seat *a, const struct consumer_seat *b) {
    return a->matched == b->matched && a->matched_count == b->matched_count &&
           consumer_topics_equal(&a->profile, &b->profile);
}

static void note_topics(struct layout *layout, const struct str *names, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        const struct meta_topic *topic = meta_image_topic(layout->plan->image, names[i]);
        if (topic != NULL) {
            map_put(&layout->topic_indices, str_bytes(topic->name), (void *)topic);
        }
    }
}

static void note_all_topics(struct layout *layout) {
    for (int32_t i = 0; i < layout->plan->seat_count; i++) {
        const struct consumer_seat *seat = &layout->plan->seats[i];
        if (i == 0 || !subscribe_alike(seat, seat - 1)) {
            note_topics(layout, seat->profile.topics, seat->profile.topic_count);
            note_topics(layout, seat->matched, seat->matched_count);
        }
    }
}

static void lay_out_topic(struct layout *layout, const struct meta_topic *topic) {
    struct assignor_topic *laid_out = &layout->group.topics[layout->group.topic_count++];
    laid_out->id = topic->id;
    laid_out->partition_count = (int32_t)topic->partitions.count;
    laid_out->owners = ARENA_ARRAY(layout->arena, int32_t, (size_t)laid_out->partition_count);
    for (int32_t p = 0; p < laid_out->partition_count; p++) {
        laid_out->owners[p] = ASSIGNOR_NOBODY;
    }
    map_put(&layout->topic_indices, str_bytes(topic->name),
            (void *)(uintptr_t)layout->group.topic_count);
}

/* All that somebody subscribes to and that exist. */
static void lay_out_topics(struct layout *layout) {
    note_all_topics(layout);
    size_t count = map_count(&layout->topic_indices);
    const struct meta_topic **topics = ARENA_ARRAY(layout->arena, const struct meta_topic *, count);
    const struct meta_topic *topic;
    size_t cursor;
    size_t i = 0;
    map_for_each (&layout->topic_indices, cursor, topic) {
        topics[i++] = topic;
    }
    qsort(topics, count, sizeof topics[0], compare_topics);
    layout->group.topics = ARENA_ARRAY(layout->arena, struct assignor_topic, count);
    for (i = 0; i < count; i++) {
        lay_out_topic(layout, topics[i]);
    }
}

/* --- members' subscriptions --- */

static int compare_indices(const void *a, const void *b) {
    int32_t one = *(const int32_t *)a;
    int32_t other = *(const int32_t *)b;
    return one < other ? -1 : one > other;
}

static int32_t find_indices(const struct layout *layout, const struct str *names, int32_t count,
                            int32_t *ret_indices) {
    int32_t found = 0;
    for (int32_t i = 0; i < count; i++) {
        uintptr_t place = (uintptr_t)map_get(&layout->topic_indices, str_bytes(names[i]));
        if (place != 0) {
            ret_indices[found++] = (int32_t)(place - 1);
        }
    }
    return found;
}

static void subscribe(const struct layout *layout, struct assignor_member *member,
                      const struct consumer_seat *seat) {
    const struct consumer_profile *profile = &seat->profile;
    size_t count_max = (size_t)profile->topic_count + (size_t)seat->matched_count;
    int32_t *list = ARENA_ARRAY(layout->arena, int32_t, count_max);
    int32_t count = find_indices(layout, profile->topics, profile->topic_count, list);
    count += find_indices(layout, seat->matched, seat->matched_count, list + count);
    qsort(list, (size_t)count, sizeof list[0], compare_indices);
    int32_t kept = 0;
    for (int32_t i = 0; i < count; i++) {
        if (kept == 0 || list[kept - 1] != list[i]) {
            list[kept++] = list[i];
        }
    }
    member->topics = list;
    member->topic_count = kept;
}

static void lay_out_members(struct layout *layout) {
    int32_t count = layout->plan->seat_count;
    layout->members = ARENA_ARRAY(layout->arena, struct assignor_member, (size_t)count);
    for (int32_t i = 0; i < count; i++) {
        const struct consumer_seat *seat = &layout->plan->seats[i];
        struct assignor_member *member = &layout->members[i];
        if (i > 0 && subscribe_alike(seat, seat - 1)) {
            *member = layout->members[i - 1];
        } else {
            subscribe(layout, member, seat);
        }
        member->id = seat->id;
        member->instance_id = seat->profile.instance_id;
    }
    layout->group.members = layout->members;
    layout->group.member_count = count;
}

/* --- who had what --- */

static struct assignor_topic *find_topic(const struct layout *layout, struct uuid id) {
    int32_t first = 0;
    int32_t end = layout->group.topic_count;
    while (first < end) {
        int32_t middle = first + (end - first) / 2;
        int order = uuid_compare(layout->group.topics[middle].id, id);
        if (order == 0) {
            return &layout->group.topics[middle];
        }
        first = order < 0 ? middle + 1 : first;
        end = order < 0 ? end : middle;
    }
    return NULL;
}

static void lay_out_owners(struct layout *layout) {
    for (int32_t m = 0; m < layout->plan->seat_count; m++) {
        struct partition_run run;
        int32_t cursor = 0;
        while (partition_set_next(&layout->plan->seats[m].target, &cursor, &run)) {
            struct assignor_topic *topic = find_topic(layout, run.topic_id);
            for (int32_t i = 0; topic != NULL && i < run.count; i++) {
                int32_t partition = run.items[i].partition;
                if (partition < topic->partition_count &&
                    topic->owners[partition] == ASSIGNOR_NOBODY) {
                    topic->owners[partition] = m;
                }
            }
        }
    }
}

/* --- what comes of it --- */

static struct partition_set *collect(const struct layout *layout) {
    size_t count = (size_t)layout->plan->seat_count;
    struct partition_set *sets = ARENA_ARRAY(layout->arena, struct partition_set, count);
    int32_t *sizes = ARENA_ARRAY(layout->arena, int32_t, count);
    for (int32_t t = 0; t < layout->group.topic_count; t++) {
        const struct assignor_topic *topic = &layout->group.topics[t];
        for (int32_t p = 0; p < topic->partition_count; p++) {
            sizes[topic->owners[p]]++;
        }
    }
    for (size_t m = 0; m < count; m++) {
        sets[m].items = ARENA_ARRAY(layout->arena, struct partition_item, (size_t)sizes[m]);
    }
    for (int32_t t = 0; t < layout->group.topic_count; t++) {
        const struct assignor_topic *topic = &layout->group.topics[t];
        for (int32_t p = 0; p < topic->partition_count; p++) {
            struct partition_set *set = &sets[topic->owners[p]];
            set->items[set->count++] =
                (struct partition_item){.topic_id = topic->id, .partition = p};
        }
    }
    return sets;
}

struct partition_set *consumer_plan_run(const struct consumer_plan *plan, struct arena *arena) {
    struct layout layout = {.plan = plan, .arena = arena};
    map_init(&layout.topic_indices);
    lay_out_topics(&layout);
    lay_out_members(&layout);
    lay_out_owners(&layout);
    map_done(&layout.topic_indices);
    plan->assignor(&layout.group, arena);
    return collect(&layout);
}
