/*
 * One member's turn, in this order:
 *
 *   subscribe    its profile's record; expressions that nobody has any more are forgotten, new ones
 *                are to be resolved
 *   bump epoch   another subscription, or other topics than the hash says: a new group epoch
 *   target       the group's epoch is ahead of the target's: the assignor runs, but not more often
 *                than the assignment interval allows
 *   reconcile    the member's ownership moves towards its target
 */
#include <assert.h>

#include "coord/classic.h"
#include "coord/consumer_int.h"

struct consumer_turn *consumer_turn_new(struct group_step *step, struct str group_id,
                                        struct str member_id) {
    struct consumer_turn *turn = ARENA_NEW(step->arena, struct consumer_turn);
    turn->step = step;
    turn->group_id = arena_str(step->arena, group_id);
    turn->member_id = arena_str(step->arena, member_id);
    turn->owned_count = -1;
    turn->sync_timeout_ms = -1;
    return turn;
}

void consumer_turn_end(struct consumer_turn *turn, bool good) {
    if (!good) {
        step_take_back(turn->step);
    } else if (turn->upgrades) {
        classic_release_all(turn->step, groups_find(turn->step->groups, turn->group_id));
    }
    if (turn->made) {
        consumer_free(turn->consumer);
        turn->consumer = NULL;
    }
}

struct str consumer_make_member_id(struct group_step *step) {
    struct uuid id;
    uint8_t random[16];
    do {
        rng_bytes(step->random, random, sizeof random);
    } while (!uuid_from_random(random, &id));
    char *text = arena_alloc(step->arena, UUID_TEXT_SIZE + 1);
    uuid_format(id, text);
    return str_from_c(text);
}

void consumer_turn_sit(struct consumer_turn *turn, const struct consumer_member *place,
                       bool replaces) {
    turn->place = place;
    turn->replaces = replaces;
    turn->profile_before = place == NULL ? consumer_profile_none() : place->profile;
    turn->ownership_before = place == NULL ? consumer_ownership_none() : place->ownership;
    if (replaces) {
        turn->ownership_before.epoch = 0;
        turn->ownership_before.previous_epoch = 0;
    }
    turn->profile = turn->profile_before;
    turn->ownership = turn->ownership_before;
}

/* --- subscribe --- */

static bool regex_changed(const struct consumer_turn *turn) {
    return !str_equal(turn->profile_before.regex, turn->profile.regex);
}

static int32_t regex_members(const struct consumer_turn *turn, struct str expression) {
    const struct subscribed_regex *regex =
        subscription_regex(&turn->consumer->subscription, expression);
    return regex == NULL ? 0 : regex->member_count;
}

/* Its last member turns away from the expression it had. */
static bool leaves_regex(const struct consumer_turn *turn) {
    return consumer_has_regex(&turn->profile_before) && regex_changed(turn) &&
           regex_members(turn, turn->profile_before.regex) == 1;
}

static void subscribe_regex(struct consumer_turn *turn,
                            struct consumer_subscription_change *change) {
    bool is_new = false;
    if (regex_changed(turn)) {
        change->regex = true;
        if (leaves_regex(turn)) {
            consumer_record_no_regex(turn->step, turn->group_id, turn->profile_before.regex);
        }
        if (consumer_has_regex(&turn->profile)) {
            const struct subscribed_regex *regex =
                subscription_regex(&turn->consumer->subscription, turn->profile.regex);
            is_new = regex == NULL || regex->member_count == 0;
            change->regex_resolved = !is_new && regex->resolved;
        } else {
            change->regex_resolved = consumer_has_regex(&turn->profile_before);
        }
    }
    consumer_regex_refresh(turn, is_new);
}

struct consumer_subscription_change consumer_turn_subscribe(struct consumer_turn *turn) {
    struct consumer_subscription_change change = {0};
    if (!consumer_profile_equal(&turn->profile_before, &turn->profile)) {
        consumer_record_profile(turn->step, turn->group_id, turn->member_id, &turn->profile);
        change.topics = !consumer_topics_equal(&turn->profile_before, &turn->profile);
    }
    subscribe_regex(turn, &change);
    return change;
}

/* --- bump epoch --- */

/* What is subscribed to with the new profile in the place of the old one. */
static int64_t hash_with(struct consumer_turn *turn) {
    const struct consumer_profile *before = &turn->profile_before;
    struct subscription *subscription = &turn->consumer->subscription;
    struct subscription_change change = {
        .added = turn->profile.topics,
        .added_count = turn->profile.topic_count,
        .removed = before->topics,
        .removed_count = before->topic_count,
    };
    if (leaves_regex(turn)) {
        const struct subscribed_regex *regex = subscription_regex(subscription, before->regex);
        int32_t count = before->topic_count + regex->topic_count;
        struct str *removed = ARENA_ARRAY(turn->step->arena, struct str, (size_t)count);
        for (int32_t i = 0; i < count; i++) {
            removed[i] = i < before->topic_count ? before->topics[i]
                                                 : regex->topics[i - before->topic_count];
        }
        change.removed = removed;
        change.removed_count = count;
    }
    return subscription_hash(subscription, &change, turn->step->groups->image, turn->step->arena);
}

void consumer_turn_bump_epoch(struct consumer_turn *turn, bool bump) {
    struct consumer_group *consumer = turn->consumer;
    if (!bump && consumer->metadata_fresh) {
        return;
    }
    int64_t hash = hash_with(turn);
    if (bump || hash != consumer->metadata_hash) {
        assert(turn->group_epoch < EPOCH_LAST); /* who asked was refused, or the upgrade was */
        turn->group_epoch++;
        consumer_record_epoch(turn->step, turn->group_id, turn->group_epoch, hash);
        step_count(turn->step, GROUP_COUNT_CONSUMER_REBALANCES, 1);
    }
    consumer->metadata_fresh = true;
    turn->hash_taken = true;
    if (consumer->has_topics_record) {
        consumer_record_no_topics(turn->step, turn->group_id);
    }
}

/* --- target --- */

void consumer_turn_take_target(struct consumer_turn *turn) {
    const struct consumer_group *consumer = turn->consumer;
    turn->target_epoch = consumer->target_epoch;
    turn->target = turn->place == NULL ? (struct partition_set){0} : turn->place->target;
    if (consumer->target_epoch >= turn->group_epoch) {
        return;
    }
    int32_t interval_ms = consumer_assignment_interval_ms(turn->step->groups, turn->group_id);
    if (consumer->target_timestamp_ms == 0 || interval_ms == 0 ||
        turn->step->wall_ms - interval_ms >= consumer->target_timestamp_ms) {
        consumer_target_update(turn);
    }
}

/* --- reconcile --- */

void consumer_turn_reconcile(struct consumer_turn *turn, bool subscription_changed) {
    if (!subscription_changed && consumer_is_reconciled(&turn->ownership, turn->target_epoch)) {
        return;
    }
    struct consumer_ownership before = turn->ownership;
    consumer_reconcile(turn, subscription_changed);
    if (!consumer_ownership_equal(&before, &turn->ownership)) {
        consumer_record_ownership(turn->step, turn->group_id, turn->member_id, &turn->ownership);
        turn->ownership_changed = true;
    }
}

/* --- static members --- */

void consumer_turn_replace(struct consumer_turn *turn) {
    const struct consumer_member *old = turn->place;
    consumer_record_no_member(turn->step, turn->group_id, old->id);
    consumer_record_profile(turn->step, turn->group_id, turn->member_id, &turn->profile_before);
    consumer_record_target(turn->step, turn->group_id, turn->member_id, &old->target);
    consumer_record_ownership(turn->step, turn->group_id, turn->member_id, &turn->ownership);
}

/* --- afterwards --- */

static void set_revocation(struct group_step *step, const struct consumer_turn *turn,
                           struct consumer_member *member) {
    if (!turn->ownership_changed || member->profile.is_classic) {
        return;
    }
    if (member->ownership.state != CONSUMER_UNREVOKED) {
        group_timer_clear(step->groups, &member->revocation);
        return;
    }
    consumer_revocation_begin(step, member);
}

/* Members that came with a classic group are in touch in their own ways. */
static void begin_sessions(struct group_step *step, struct consumer_group *consumer) {
    struct consumer_member *member;
    for (size_t cursor = 0; (member = consumer_member_next(consumer, &cursor)) != NULL;) {
        if (member->profile.is_classic) {
            consumer_timer_set(step, &member->session, member->profile.session_timeout_ms,
                               consumer_session_expired);
        }
    }
}

void consumer_turn_settled(struct group_step *step, err_t err) {
    const struct consumer_turn *turn = step->context;
    struct consumer_group *consumer = consumer_find(step->groups, turn->group_id);
    if (consumer == NULL) {
        return;
    }
    if (err != ERR_OK) {
        consumer->metadata_fresh = consumer->metadata_fresh && !turn->hash_taken;
    } else if (turn->resolve != NULL) {
        consumer_regex_start(step, consumer, turn->resolve);
    }
    if (err == ERR_OK && turn->plan_later && consumer->planning == NULL) {
        consumer_planning_start(step, consumer);
    }
    if (err == ERR_OK && turn->upgrades) {
        begin_sessions(step, consumer);
    }
    struct consumer_member *member = consumer_member_find(consumer, turn->member_id);
    if (member == NULL) {
        return;
    }
    consumer_timer_set(step, &member->session, turn->session_timeout_ms, consumer_session_expired);
    group_timer_clear(step->groups, &member->join);
    group_timer_clear(step->groups, &member->sync);
    if (turn->sync_timeout_ms >= 0) {
        consumer_timer_set(step, &member->sync, turn->sync_timeout_ms, consumer_sync_expired);
    }
    if (err == ERR_OK) {
        set_revocation(step, turn, member);
    }
}
