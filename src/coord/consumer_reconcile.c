/*
 * From what a member owns towards what it shall own.
 *
 *   state        when                                              what follows
 *   ----------   -----------------------------------------------   ------------------------------
 *   STABLE       at the target's epoch, subscription as before     nothing
 *                at the target's epoch, another subscription       gives up what it unsubscribed
 *                another epoch                                     next step
 *   UNREVOKED    says it still owns what it shall give up, or      waits; gives up what it
 *                says nothing                                      unsubscribed in the meantime
 *                says it does not any more                         next step
 *   UNRELEASED   always                                            next step
 *   UNKNOWN      (a record of a newer release) owns nothing        next step
 *
 * The next step: what it owns and shall not own any more goes first, and while the member has some
 * of it, it gets nothing new and keeps its epoch (UNREVOKED). Then it moves to the target's epoch
 * and gets what nobody else owns; is there more that others did not give back yet, it is
 * UNRELEASED.
 */
#include "coord/consumer_int.h"

bool consumer_reconcile_owns(const struct consumer_turn *turn, const struct partition_set *set) {
    if (turn->owned_count < 0) {
        return true;
    }
    for (int32_t i = 0; i < turn->owned_count; i++) {
        for (int32_t k = 0; k < turn->owned[i].partitions_count; k++) {
            if (partition_set_find(set, turn->owned[i].topic_id, turn->owned[i].partitions[k]) !=
                NULL) {
                return true;
            }
        }
    }
    return false;
}

static bool has_name(const struct str *names, int32_t count, struct str name) {
    int32_t first = 0;
    int32_t end = count;
    while (first < end) {
        int32_t middle = first + (end - first) / 2;
        int order = str_compare(names[middle], name);
        if (order == 0) {
            return true;
        }
        first = order < 0 ? middle + 1 : first;
        end = order < 0 ? end : middle;
    }
    return false;
}

bool consumer_subscribes(const struct consumer_group *consumer,
                         const struct consumer_profile *profile, struct str topic) {
    if (has_name(profile->topics, profile->topic_count, topic)) {
        return true;
    }
    const struct subscribed_regex *regex =
        consumer_has_regex(profile) ? subscription_regex(&consumer->subscription, profile->regex)
                                    : NULL;
    return regex != NULL && has_name(regex->topics, regex->topic_count, topic);
}

/* Of a set what is of topics that the member subscribes to, or what is not. */
static struct partition_set select_subscribed(const struct consumer_turn *turn,
                                              const struct partition_set *set, bool subscribed) {
    struct arena *arena = turn->step->arena;
    struct partition_set selected = {
        .items = ARENA_ARRAY(arena, struct partition_item, (size_t)set->count)};
    struct partition_run run;
    int32_t cursor = 0;
    while (partition_set_next(set, &cursor, &run)) {
        const struct meta_topic *topic =
            meta_image_topic_by_id(turn->step->groups->image, run.topic_id);
        bool is_subscribed =
            topic != NULL && consumer_subscribes(turn->consumer, &turn->profile, topic->name);
        for (int32_t i = 0; is_subscribed == subscribed && i < run.count; i++) {
            selected.items[selected.count++] = run.items[i];
        }
    }
    return selected;
}

static void move_to(struct consumer_ownership *ownership, enum consumer_state state, int32_t epoch,
                    const struct partition_set *assigned, const struct partition_set *revoking) {
    ownership->state = state;
    ownership->previous_epoch = ownership->epoch;
    ownership->epoch = epoch;
    ownership->assigned = *assigned;
    ownership->revoking = *revoking;
}

/* Topics that it unsubscribed from are given up at once, whatever the target says. */
static void give_up_unsubscribed(struct consumer_turn *turn) {
    struct consumer_ownership *ownership = &turn->ownership;
    struct partition_set unsubscribed = select_subscribed(turn, &ownership->assigned, false);
    if (unsubscribed.count == 0) {
        return;
    }
    struct arena *arena = turn->step->arena;
    struct partition_set assigned =
        partition_set_without(arena, &ownership->assigned, &unsubscribed);
    struct partition_set revoking = partition_set_union(arena, &unsubscribed, &ownership->revoking);
    if (consumer_reconcile_owns(turn, &revoking)) {
        move_to(ownership, CONSUMER_UNREVOKED, ownership->epoch, &assigned, &revoking);
    } else {
        move_to(ownership, ownership->state, ownership->epoch, &assigned, &ownership->revoking);
    }
}

/* Of what a member shall get, that which nobody has, or only the member itself. */
static struct partition_set select_free(const struct consumer_turn *turn,
                                        const struct partition_set *wanted, bool *ret_all) {
    struct partition_set free = {
        .items = ARENA_ARRAY(turn->step->arena, struct partition_item, (size_t)wanted->count)};
    for (int32_t i = 0; i < wanted->count; i++) {
        struct partition_item item = wanted->items[i];
        if (consumer_partition_epoch(turn->consumer, item.topic_id, item.partition) == -1 ||
            partition_set_find(&turn->ownership.revoking, item.topic_id, item.partition) != NULL) {
            item.epoch = turn->target_epoch;
            free.items[free.count++] = item;
        }
    }
    *ret_all = free.count == wanted->count;
    return free;
}

static void next_step(struct consumer_turn *turn, int32_t epoch) {
    struct arena *arena = turn->step->arena;
    struct consumer_ownership *ownership = &turn->ownership;
    struct partition_set target = select_subscribed(turn, &turn->target, true);
    struct partition_set kept = partition_set_common(arena, &ownership->assigned, &target);
    struct partition_set revoking = partition_set_without(arena, &ownership->assigned, &kept);
    if (revoking.count > 0 && consumer_reconcile_owns(turn, &revoking)) {
        move_to(ownership, CONSUMER_UNREVOKED, epoch, &kept, &revoking);
        return;
    }
    struct partition_set wanted = partition_set_without(arena, &target, &kept);
    bool all;
    struct partition_set got = select_free(turn, &wanted, &all);
    struct partition_set assigned = partition_set_union(arena, &kept, &got);
    struct partition_set nothing = {0};
    move_to(ownership, all ? CONSUMER_STABLE : CONSUMER_UNRELEASED, turn->target_epoch, &assigned,
            &nothing);
}

void consumer_reconcile(struct consumer_turn *turn, bool subscription_changed) {
    const struct consumer_ownership *ownership = &turn->ownership;
    switch (ownership->state) {
    case CONSUMER_STABLE:
        if (ownership->epoch != turn->target_epoch) {
            next_step(turn, ownership->epoch);
        } else if (subscription_changed) {
            give_up_unsubscribed(turn);
        }
        break;
    case CONSUMER_UNREVOKED:
        if (!consumer_reconcile_owns(turn, &ownership->revoking)) {
            next_step(turn, ownership->epoch);
        } else if (subscription_changed) {
            give_up_unsubscribed(turn);
        }
        break;
    case CONSUMER_UNRELEASED:
        next_step(turn, ownership->epoch);
        break;
    case CONSUMER_UNKNOWN:
        next_step(turn, turn->target_epoch);
        break;
    }
}
