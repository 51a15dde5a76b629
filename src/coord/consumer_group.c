/*
 * Members of a consumer group, and what is counted of them.
 *
 * Invariants
 *   1. A member exists between its first metadata or ownership record and the tombstone of its
 *      metadata. One that does not exist has a target, and nothing else.
 *   2. counts (subscription, assignors, protocols, instances, classic_member_count) are those of
 * the members that exist.
 *   3. owned has a partition's epoch exactly while a member of that epoch has it as assigned or
 *      revoking. Two members never have the same: who is next waits until it is given back.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "coord/consumer_int.h"
#include "coord/piece.h"

/* --- tallies --- */

void consumer_tally_add(struct consumer_tally *tally, struct str name, int32_t by) {
    struct consumer_count *count = map_get(&tally->by_name, str_bytes(name));
    if (count == NULL) {
        assert(by > 0);
        count = calloc(1, sizeof *count + name.size);
        assert(count != NULL);
        char *text = memcpy(count + 1, name.data, name.size);
        count->name = (struct str){.data = text, .size = name.size};
        map_put(&tally->by_name, str_bytes(count->name), count);
    }
    count->count += by;
    if (count->count == 0) {
        map_remove(&tally->by_name, str_bytes(count->name));
        free(count);
    }
}

int32_t consumer_tally_count(const struct consumer_tally *tally, struct str name) {
    const struct consumer_count *count = map_get(&tally->by_name, str_bytes(name));
    return count == NULL ? 0 : count->count;
}

void consumer_tally_done(struct consumer_tally *tally) {
    struct consumer_count *count;
    size_t cursor;
    map_for_each (&tally->by_name, cursor, count) {
        free(count);
    }
    map_done(&tally->by_name);
}

/* --- who owns what --- */

static struct bytes topic_key(const struct uuid *id) {
    return (struct bytes){.data = id->bytes, .size = sizeof id->bytes};
}

int32_t consumer_partition_epoch(const struct consumer_group *consumer, struct uuid topic_id,
                                 int32_t partition) {
    const struct consumer_owned *owned = map_get(&consumer->owned, topic_key(&topic_id));
    return owned == NULL || partition >= owned->capacity ? -1 : owned->epochs[partition];
}

static void own_one(struct consumer_group *consumer, const struct partition_item *item,
                    int32_t epoch) {
    struct consumer_owned *owned = map_get(&consumer->owned, topic_key(&item->topic_id));
    if (owned == NULL) {
        owned = calloc(1, sizeof *owned);
        assert(owned != NULL);
        owned->topic_id = item->topic_id;
        map_put(&consumer->owned, topic_key(&owned->topic_id), owned);
    }
    if (item->partition >= owned->capacity) {
        int32_t capacity = owned->capacity == 0 ? 8 : owned->capacity;
        while (capacity <= item->partition) {
            capacity *= 2;
        }
        owned->epochs = realloc(owned->epochs, (size_t)capacity * sizeof owned->epochs[0]);
        assert(owned->epochs != NULL);
        for (int32_t i = owned->capacity; i < capacity; i++) {
            owned->epochs[i] = -1;
        }
        owned->capacity = capacity;
    }
    owned->count += owned->epochs[item->partition] == -1;
    owned->epochs[item->partition] = epoch;
}

static void own(struct consumer_group *consumer, const struct partition_set *set, int32_t epoch) {
    for (int32_t i = 0; epoch != -1 && i < set->count; i++) {
        own_one(consumer, &set->items[i], epoch);
    }
}

/* What another one owns by now stays its. */
static void disown(struct consumer_group *consumer, const struct partition_set *set,
                   int32_t epoch) {
    for (int32_t i = 0; epoch != -1 && i < set->count; i++) {
        const struct partition_item *item = &set->items[i];
        if (consumer_partition_epoch(consumer, item->topic_id, item->partition) != epoch) {
            continue;
        }
        struct consumer_owned *owned = map_get(&consumer->owned, topic_key(&item->topic_id));
        owned->epochs[item->partition] = -1;
        if (--owned->count == 0) {
            map_remove(&consumer->owned, topic_key(&item->topic_id));
            free(owned->epochs);
            free(owned);
        }
    }
}

/* --- members --- */

static struct consumer_member *member_get(struct consumer_group *consumer, struct str id) {
    struct consumer_member *member = map_get(&consumer->members, str_bytes(id));
    if (member != NULL) {
        return member;
    }
    member = calloc(1, sizeof *member + id.size);
    assert(member != NULL);
    char *text = memcpy(member + 1, id.data, id.size);
    member->consumer = consumer;
    member->id = (struct str){.data = text, .size = id.size};
    member->profile = consumer_profile_none();
    member->ownership = consumer_ownership_none();
    map_put(&consumer->members, str_bytes(member->id), member);
    return member;
}

static void member_free(struct consumer_member *member) {
    consumer_clear_timers(member);
    piece_unref(member->profile_memory);
    partition_set_free(&member->ownership.assigned);
    partition_set_free(&member->ownership.revoking);
    partition_set_free(&member->target);
    free(member);
}

/* The member's part in the counts of the group. */
static void count_profile(struct consumer_member *member, int32_t by) {
    struct consumer_group *consumer = member->consumer;
    const struct consumer_profile *profile = &member->profile;
    subscription_count_topics(&consumer->subscription, profile->topics, profile->topic_count, by);
    if (consumer_has_regex(profile)) {
        subscription_count_regex(&consumer->subscription, profile->regex, by);
    }
    if (profile->assignor.data != NULL) {
        consumer_tally_add(&consumer->assignors, profile->assignor, by);
    }
    if (profile->is_classic) {
        consumer->classic_member_count += by;
        for (int32_t i = 0; i < profile->protocol_count; i++) {
            consumer_tally_add(&consumer->protocols, profile->protocols[i].name, by);
        }
    }
}

static void forget_instance(struct consumer_member *member) {
    struct str id = member->profile.instance_id;
    if (id.data != NULL && map_get(&member->consumer->instances, str_bytes(id)) == member) {
        map_remove(&member->consumer->instances, str_bytes(id));
    }
}

static void exist(struct consumer_member *member) {
    member->consumer->member_count += !member->exists;
    member->exists = true;
}

void consumer_set_profile(struct consumer_group *consumer, struct str member_id,
                          const struct consumer_profile *profile) {
    struct consumer_member *member = member_get(consumer, member_id);
    struct consumer_profile copy;
    void *memory = consumer_profile_copy(profile, &copy);
    if (member->exists) {
        count_profile(member, -1);
        forget_instance(member);
    }
    piece_unref(member->profile_memory);
    member->profile = copy;
    member->profile_memory = memory;
    exist(member);
    count_profile(member, 1);
    if (copy.instance_id.data != NULL) {
        map_put(&consumer->instances, str_bytes(member->profile.instance_id), member);
    }
}

void consumer_set_ownership(struct consumer_group *consumer, struct str member_id,
                            const struct consumer_ownership *ownership) {
    struct consumer_member *member = member_get(consumer, member_id);
    struct consumer_ownership *mine = &member->ownership;
    exist(member);
    struct consumer_ownership copy = *ownership;
    copy.assigned = partition_set_copy(&ownership->assigned);
    copy.revoking = partition_set_copy(&ownership->revoking);
    disown(consumer, &mine->assigned, mine->epoch);
    disown(consumer, &mine->revoking, mine->epoch);
    partition_set_free(&mine->assigned);
    partition_set_free(&mine->revoking);
    *mine = copy;
    own(consumer, &mine->assigned, mine->epoch);
    own(consumer, &mine->revoking, mine->epoch);
}

static void drop_if_nothing(struct consumer_member *member) {
    if (!member->exists && !member->has_target) {
        map_remove(&member->consumer->members, str_bytes(member->id));
        member_free(member);
    }
}

void consumer_remove_member(struct consumer_group *consumer, struct str member_id) {
    struct consumer_member *member = consumer_member_find(consumer, member_id);
    if (member == NULL) {
        return;
    }
    struct consumer_ownership nothing = consumer_ownership_none();
    consumer_set_ownership(consumer, member_id, &nothing);
    count_profile(member, -1);
    forget_instance(member);
    consumer_clear_timers(member);
    piece_unref(member->profile_memory);
    member->profile_memory = NULL;
    member->profile = consumer_profile_none();
    member->exists = false;
    consumer->member_count--;
    drop_if_nothing(member);
}

void consumer_set_target(struct consumer_group *consumer, struct str member_id,
                         const struct partition_set *target) {
    struct consumer_member *member = member_get(consumer, member_id);
    struct partition_set copy = partition_set_copy(target);
    partition_set_free(&member->target);
    member->target = copy;
    member->has_target = true;
}

void consumer_remove_target(struct consumer_group *consumer, struct str member_id) {
    struct consumer_member *member = map_get(&consumer->members, str_bytes(member_id));
    if (member != NULL) {
        partition_set_free(&member->target);
        member->has_target = false;
        drop_if_nothing(member);
    }
}

struct consumer_member *consumer_member_find(const struct consumer_group *consumer, struct str id) {
    struct consumer_member *member = map_get(&consumer->members, str_bytes(id));
    return member != NULL && member->exists ? member : NULL;
}

struct consumer_member *consumer_instance_find(const struct consumer_group *consumer,
                                               struct str instance_id) {
    return instance_id.data == NULL ? NULL : map_get(&consumer->instances, str_bytes(instance_id));
}

struct consumer_member *consumer_member_next(const struct consumer_group *consumer,
                                             size_t *cursor) {
    struct consumer_member *member;
    do {
        member = map_next(&consumer->members, cursor);
    } while (member != NULL && !member->exists);
    return member;
}

/* --- groups --- */

struct consumer_group *consumer_new(struct groups *groups, struct group *group, struct str id) {
    struct consumer_group *consumer = calloc(1, sizeof *consumer);
    assert(consumer != NULL);
    consumer->groups = groups;
    consumer->group = group;
    consumer->id = id;
    consumer->epoch = EPOCH_FIRST;
    consumer->topics_version = -1;
    subscription_init(&consumer->subscription);
    return consumer;
}

void consumer_free(struct consumer_group *consumer) {
    if (consumer == NULL) {
        return;
    }
    consumer_resolution_cancel(consumer->resolution);
    consumer_planning_cancel(consumer->planning);
    struct consumer_member *member;
    size_t cursor;
    map_for_each (&consumer->members, cursor, member) {
        member_free(member);
    }
    struct consumer_owned *owned;
    map_for_each (&consumer->owned, cursor, owned) {
        free(owned->epochs);
        free(owned);
    }
    map_done(&consumer->members);
    map_done(&consumer->owned);
    map_done(&consumer->instances);
    subscription_done(&consumer->subscription);
    consumer_tally_done(&consumer->assignors);
    consumer_tally_done(&consumer->protocols);
    free(consumer);
}

struct consumer_group *consumer_of(const struct group *group) {
    assert(group->type == GROUP_CONSUMER);
    return group->part;
}

struct consumer_group *consumer_find(const struct groups *groups, struct str group_id) {
    const struct group *group = groups_find(groups, group_id);
    return group != NULL && group->type == GROUP_CONSUMER ? consumer_of(group) : NULL;
}

const char *consumer_state_name(const struct consumer_group *consumer) {
    if (consumer->member_count == 0) {
        return "Empty";
    }
    if (consumer->epoch > consumer->target_epoch) {
        return "Assigning";
    }
    const struct consumer_member *member;
    for (size_t cursor = 0; (member = consumer_member_next(consumer, &cursor)) != NULL;) {
        if (!consumer_is_reconciled(&member->ownership, consumer->target_epoch)) {
            return "Reconciling";
        }
    }
    return "Stable";
}
