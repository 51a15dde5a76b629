/*
 * What each member shall own: the group as an assignor sees it, and the records of what it says.
 *
 * The assignor is run within the step, as Kafka does. Its work is linear in members, subscriptions
 * and partitions: a millisecond for some ten thousand of them together.
 */
#include <assert.h>
#include <stdlib.h>

#include "coord/assignor.h"
#include "coord/consumer_int.h"

/* --- which assignor --- */

/* Kafka's own class names stand for the assignors that they are. */
static struct str assignor_name(struct str item) {
    if (str_equal(item, STR("org.apache.kafka.coordinator.group.assignor.UniformAssignor"))) {
        return STR("uniform");
    }
    if (str_equal(item, STR("org.apache.kafka.coordinator.group.assignor.RangeAssignor"))) {
        return STR("range");
    }
    return item;
}

/* The next one that group.consumer.assignors lists. */
static bool next_assignor(const struct groups *groups, size_t *position, struct str *ret_name) {
    struct str list = config_str(groups->config, CONFIG_GROUP_CONSUMER_ASSIGNORS);
    struct str item;
    while (config_list_next(list, position, &item)) {
        *ret_name = assignor_name(item);
        if (assignor_find(*ret_name) != NULL) {
            return true;
        }
    }
    return false;
}

bool consumer_assignor_known(const struct groups *groups, struct str name) {
    struct str known;
    for (size_t position = 0; next_assignor(groups, &position, &known);) {
        if (str_equal(known, name)) {
            return true;
        }
    }
    return false;
}

struct str consumer_assignor_list(const struct groups *groups, struct arena *arena) {
    struct str list = STR_NULL;
    struct str known;
    for (size_t position = 0; next_assignor(groups, &position, &known);) {
        list = arena_list(arena, list, ", ", known);
    }
    return list;
}

static int32_t votes(const struct consumer_group *consumer, const struct consumer_turn *turn,
                     struct str name) {
    int32_t count = consumer_tally_count(&consumer->assignors, name);
    if (turn != NULL) {
        count -= str_equal(turn->profile_before.assignor, name);
        count += str_equal(turn->profile.assignor, name);
    }
    return count;
}

struct str consumer_assignor_preferred(const struct consumer_group *consumer,
                                       const struct consumer_turn *turn) {
    struct str preferred = STR("uniform");
    int32_t most = -1;
    struct str known;
    for (size_t position = 0; next_assignor(consumer->groups, &position, &known);) {
        int32_t count = votes(consumer, turn, known);
        if (count > most) {
            preferred = known;
            most = count;
        }
    }
    return preferred;
}

/* --- the group as the assignor sees it --- */

struct seat { /* one of the group's members */
    struct str id;
    const struct consumer_profile *profile;
    const struct partition_set *target; /* its last */
    bool had_target;
};

struct plan {
    const struct consumer_turn *turn;
    struct arena *arena;
    struct seat *seats;
    int32_t own_seat; /* of the member whose turn it is */
    struct assignor_group group;
    struct assignor_member *members;
    struct map topic_indices; /* by name: of topics, + 1 */
};

static void add_seat(struct plan *plan, struct str id, const struct consumer_profile *profile,
                     const struct partition_set *target, bool had_target) {
    plan->seats[plan->group.member_count++] =
        (struct seat){.id = id, .profile = profile, .target = target, .had_target = had_target};
}

/* The one whose turn it is has a new profile; it stays in its place, or comes last when it is new.
 */
static void take_own_seat(struct plan *plan) {
    static const struct partition_set nothing = {0};
    const struct consumer_turn *turn = plan->turn;
    const struct consumer_member *place = turn->place;
    bool stays = place != NULL && str_equal(place->id, turn->member_id);
    plan->own_seat = plan->group.member_count;
    add_seat(plan, turn->member_id, &turn->profile, place == NULL ? &nothing : &place->target,
             stays && place->has_target);
}

static void take_seats(struct plan *plan) {
    const struct consumer_turn *turn = plan->turn;
    size_t count = map_count(&turn->consumer->members) + 1;
    plan->seats = ARENA_ARRAY(plan->arena, struct seat, count);
    const struct consumer_member *member;
    for (size_t cursor = 0; (member = consumer_member_next(turn->consumer, &cursor)) != NULL;) {
        if (member == turn->place) {
            take_own_seat(plan);
        } else {
            add_seat(plan, member->id, &member->profile, &member->target, member->has_target);
        }
    }
    if (turn->place == NULL) {
        take_own_seat(plan);
    }
}

static int compare_topics(const void *a, const void *b) {
    const struct meta_topic *const *one = a;
    const struct meta_topic *const *other = b;
    return uuid_compare((*one)->id, (*other)->id);
}

/* Calls `visit` for each name that a profile subscribes to; a name may come twice. */
static void for_names(const struct plan *plan, const struct consumer_profile *profile,
                      void (*visit)(void *arg, struct str name), void *arg) {
    for (int32_t i = 0; i < profile->topic_count; i++) {
        visit(arg, profile->topics[i]);
    }
    const struct subscribed_regex *regex =
        consumer_has_regex(profile)
            ? subscription_regex(&plan->turn->consumer->subscription, profile->regex)
            : NULL;
    for (int32_t i = 0; regex != NULL && i < regex->topic_count; i++) {
        visit(arg, regex->topics[i]);
    }
}

/* Whether two subscribe to the same, as far as can be seen at once. */
static bool subscribe_alike(const struct consumer_profile *a, const struct consumer_profile *b) {
    return str_equal(a->regex, b->regex) && consumer_topics_equal(a, b);
}

static void note_topic(void *arg, struct str name) {
    struct plan *plan = arg;
    const struct meta_topic *topic = meta_image_topic(plan->turn->step->groups->image, name);
    if (topic != NULL) {
        map_put(&plan->topic_indices, str_bytes(topic->name), (void *)topic);
    }
}

static void note_topics(struct plan *plan) {
    for (int32_t i = 0; i < plan->group.member_count; i++) {
        const struct consumer_profile *profile = plan->seats[i].profile;
        if (i == 0 || !subscribe_alike(profile, plan->seats[i - 1].profile)) {
            for_names(plan, profile, note_topic, plan);
        }
    }
}

/* All topics that exist, by id; then topic_indices has their places. */
static void lay_out_topics(struct plan *plan) {
    note_topics(plan);
    size_t count = map_count(&plan->topic_indices);
    const struct meta_topic **topics = ARENA_ARRAY(plan->arena, const struct meta_topic *, count);
    const struct meta_topic *topic;
    size_t cursor;
    size_t i = 0;
    map_for_each (&plan->topic_indices, cursor, topic) {
        topics[i++] = topic;
    }
    qsort(topics, count, sizeof topics[0], compare_topics);
    plan->group.topics = ARENA_ARRAY(plan->arena, struct assignor_topic, count);
    plan->group.topic_count = (int32_t)count;
    for (i = 0; i < count; i++) {
        struct assignor_topic *laid_out = &plan->group.topics[i];
        laid_out->id = topics[i]->id;
        laid_out->partition_count = (int32_t)topics[i]->partitions.count;
        laid_out->owners = ARENA_ARRAY(plan->arena, int32_t, (size_t)laid_out->partition_count);
        for (int32_t p = 0; p < laid_out->partition_count; p++) {
            laid_out->owners[p] = ASSIGNOR_NOBODY;
        }
        map_put(&plan->topic_indices, str_bytes(topics[i]->name), (void *)(uintptr_t)(i + 1));
    }
}

/* --- members' subscriptions --- */

struct indices {
    const struct plan *plan;
    int32_t *list;
    int32_t count;
};

static void add_index(void *arg, struct str name) {
    struct indices *indices = arg;
    uintptr_t place = (uintptr_t)map_get(&indices->plan->topic_indices, str_bytes(name));
    if (place != 0) {
        indices->list[indices->count++] = (int32_t)(place - 1);
    }
}

static int compare_indices(const void *a, const void *b) {
    int32_t one = *(const int32_t *)a;
    int32_t other = *(const int32_t *)b;
    return one < other ? -1 : one > other;
}

static void subscribe_member(struct plan *plan, struct assignor_member *member,
                             const struct consumer_profile *profile) {
    const struct subscribed_regex *regex =
        consumer_has_regex(profile)
            ? subscription_regex(&plan->turn->consumer->subscription, profile->regex)
            : NULL;
    size_t count_max =
        (size_t)profile->topic_count + (size_t)(regex == NULL ? 0 : regex->topic_count);
    struct indices indices = {.plan = plan, .list = ARENA_ARRAY(plan->arena, int32_t, count_max)};
    for_names(plan, profile, add_index, &indices);
    qsort(indices.list, (size_t)indices.count, sizeof indices.list[0], compare_indices);
    int32_t kept = 0;
    for (int32_t i = 0; i < indices.count; i++) {
        if (kept == 0 || indices.list[kept - 1] != indices.list[i]) {
            indices.list[kept++] = indices.list[i];
        }
    }
    member->topics = indices.list;
    member->topic_count = kept;
}

static void lay_out_members(struct plan *plan) {
    plan->members =
        ARENA_ARRAY(plan->arena, struct assignor_member, (size_t)plan->group.member_count);
    for (int32_t i = 0; i < plan->group.member_count; i++) {
        const struct seat *seat = &plan->seats[i];
        struct assignor_member *member = &plan->members[i];
        if (i > 0 && subscribe_alike(seat->profile, plan->seats[i - 1].profile)) {
            *member = plan->members[i - 1];
        } else {
            subscribe_member(plan, member, seat->profile);
        }
        member->id = seat->id;
        member->instance_id = seat->profile->instance_id;
    }
    plan->group.members = plan->members;
}

/* --- who had what --- */

static struct assignor_topic *find_topic(const struct plan *plan, struct uuid id) {
    int32_t first = 0;
    int32_t end = plan->group.topic_count;
    while (first < end) {
        int32_t middle = first + (end - first) / 2;
        int order = uuid_compare(plan->group.topics[middle].id, id);
        if (order == 0) {
            return &plan->group.topics[middle];
        }
        first = order < 0 ? middle + 1 : first;
        end = order < 0 ? end : middle;
    }
    return NULL;
}

static void lay_out_owners(struct plan *plan) {
    for (int32_t m = 0; m < plan->group.member_count; m++) {
        struct partition_run run;
        int32_t cursor = 0;
        while (partition_set_next(plan->seats[m].target, &cursor, &run)) {
            struct assignor_topic *topic = find_topic(plan, run.topic_id);
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

static struct partition_set *collect(const struct plan *plan) {
    size_t member_count = (size_t)plan->group.member_count;
    struct partition_set *sets = ARENA_ARRAY(plan->arena, struct partition_set, member_count);
    int32_t *counts = ARENA_ARRAY(plan->arena, int32_t, member_count);
    for (int32_t t = 0; t < plan->group.topic_count; t++) {
        const struct assignor_topic *topic = &plan->group.topics[t];
        for (int32_t p = 0; p < topic->partition_count; p++) {
            counts[topic->owners[p]]++;
        }
    }
    for (size_t m = 0; m < member_count; m++) {
        sets[m].items = ARENA_ARRAY(plan->arena, struct partition_item, (size_t)counts[m]);
    }
    for (int32_t t = 0; t < plan->group.topic_count; t++) {
        const struct assignor_topic *topic = &plan->group.topics[t];
        for (int32_t p = 0; p < topic->partition_count; p++) {
            struct partition_set *set = &sets[topic->owners[p]];
            set->items[set->count++] =
                (struct partition_item){.topic_id = topic->id, .partition = p};
        }
    }
    return sets;
}

static void add_records(struct plan *plan, struct consumer_turn *turn) {
    struct partition_set *sets = collect(plan);
    for (int32_t m = 0; m < plan->group.member_count; m++) {
        const struct seat *seat = &plan->seats[m];
        if (!seat->had_target || !partition_set_equal(seat->target, &sets[m])) {
            consumer_record_target(turn->step, turn->group_id, seat->id, &sets[m]);
        }
    }
    consumer_record_target_epoch(turn->step, turn->group_id, turn->group_epoch,
                                 turn->step->wall_ms);
    turn->target = sets[plan->own_seat];
    turn->target_epoch = turn->group_epoch;
}

void consumer_target_update(struct consumer_turn *turn) {
    struct plan plan = {.turn = turn, .arena = turn->step->arena};
    take_seats(&plan);
    lay_out_topics(&plan);
    lay_out_members(&plan);
    lay_out_owners(&plan);
    map_done(&plan.topic_indices);
    assignor_fn assign = assignor_find(consumer_assignor_preferred(turn->consumer, turn));
    assert(assign != NULL);
    assign(&plan.group, plan.arena);
    add_records(&plan, turn);
}
