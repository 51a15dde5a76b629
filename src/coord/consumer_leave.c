/*
 * Members that are gone: because they say so, or because they were not heard of in time.
 *
 *   session      no heartbeat since
 *   revocation   partitions to be given up were not, within the member's own rebalance timeout
 *   join, sync   a member of the classic protocol did not follow the group
 */
#include "coord/consumer_int.h"

enum { EXPIRE_RETRY_MS = 500 };

/* --- settings --- */

static int32_t bounded(const struct groups *groups, struct str group_id, enum config_key key,
                       enum config_key min, enum config_key max) {
    int32_t value = group_config_int(groups, group_id, key);
    int32_t least = config_int(groups->config, min);
    int32_t most = config_int(groups->config, max);
    return value < least ? least : value > most ? most : value;
}

int32_t consumer_session_timeout_ms(const struct groups *groups, struct str group_id) {
    return bounded(groups, group_id, GROUP_CONFIG_CONSUMER_SESSION_TIMEOUT_MS,
                   CONFIG_GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS,
                   CONFIG_GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS);
}

int32_t consumer_heartbeat_interval_ms(const struct groups *groups, struct str group_id) {
    return bounded(groups, group_id, GROUP_CONFIG_CONSUMER_HEARTBEAT_INTERVAL_MS,
                   CONFIG_GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS,
                   CONFIG_GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS);
}

int32_t consumer_assignment_interval_ms(const struct groups *groups, struct str group_id) {
    return bounded(groups, group_id, GROUP_CONFIG_CONSUMER_ASSIGNMENT_INTERVAL_MS,
                   CONFIG_GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS,
                   CONFIG_GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS);
}

/* --- gone --- */

/* Expressions that only these members have are forgotten. What they stood for goes to `removed`,
 * which has room for it. */
static int32_t drop_regexes(struct group_step *step, const struct consumer_group *consumer,
                            struct consumer_member *const *members, int32_t count,
                            struct str *removed) {
    struct consumer_tally leaving = {0};
    for (int32_t i = 0; i < count; i++) {
        if (consumer_has_regex(&members[i]->profile)) {
            consumer_tally_add(&leaving, members[i]->profile.regex, 1);
        }
    }
    int32_t removed_count = 0;
    const struct consumer_count *left;
    size_t cursor;
    map_for_each (&leaving.by_name, cursor, left) {
        const struct subscribed_regex *regex =
            subscription_regex(&consumer->subscription, left->name);
        if (regex->member_count != left->count) {
            continue;
        }
        consumer_record_no_regex(step, consumer->id, regex->expression);
        for (int32_t k = 0; k < regex->topic_count; k++) {
            removed[removed_count++] = regex->topics[k];
        }
    }
    consumer_tally_done(&leaving);
    return removed_count;
}

/* The hash of the topics that are left. */
static int64_t hash_without(struct group_step *step, struct consumer_group *consumer,
                            struct consumer_member *const *members, int32_t count) {
    size_t count_max = 0;
    for (int32_t i = 0; i < count; i++) {
        const struct consumer_profile *profile = &members[i]->profile;
        const struct subscribed_regex *regex =
            subscription_regex(&consumer->subscription, profile->regex);
        count_max +=
            (size_t)profile->topic_count + (size_t)(regex == NULL ? 0 : regex->topic_count);
    }
    struct str *removed = ARENA_ARRAY(step->arena, struct str, count_max);
    struct subscription_change change = {
        .removed = removed,
        .removed_count = drop_regexes(step, consumer, members, count, removed),
    };
    for (int32_t i = 0; i < count; i++) {
        const struct consumer_profile *profile = &members[i]->profile;
        for (int32_t k = 0; k < profile->topic_count; k++) {
            removed[change.removed_count++] = profile->topics[k];
        }
    }
    return subscription_hash(&consumer->subscription, &change, step->groups->image, step->arena);
}

/*
 * Numbers never go back while members know them: they would be taken for old ones. (Apache Kafka
 * counts on below zero, where no member can be.)
 */
void consumer_begin_anew(struct group_step *step, struct consumer_group *consumer) {
    text_log_warn(step->groups->text_log, "coord",
                  "the consumer group %.*s has used up its epochs: all members are fenced, and it "
                  "begins anew",
                  STR_ARGS(consumer->id));
    consumer_record_no_group(step, consumer, NULL);
    consumer_record_epoch(step, consumer->id, EPOCH_FIRST, 0);
}

void consumer_fence(struct group_step *step, struct consumer_group *consumer,
                    struct consumer_member *const *members, int32_t count) {
    if (count == 0) {
        return;
    }
    if (consumer_may_downgrade(consumer, members, count)) {
        consumer_downgrade(step, consumer, members, count, NULL, true);
        return;
    }
    if (consumer_is_spent(consumer)) {
        consumer_begin_anew(step, consumer);
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        consumer_record_no_member(step, consumer->id, members[i]->id);
    }
    int64_t hash = hash_without(step, consumer, members, count);
    consumer_record_epoch(step, consumer->id, consumer->epoch + 1, hash);
}

/* --- timers --- */

void consumer_timer_set(struct group_step *step, struct group_timer *timer, int32_t timeout_ms,
                        err_t (*fire)(struct group_step *step, struct group_timer *timer)) {
    timer->fire = fire;
    group_timer_set(step->groups, timer, step->mono_ms + timeout_ms);
}

void consumer_clear_timers(struct consumer_member *member) {
    struct groups *groups = member->consumer->groups;
    group_timer_clear(groups, &member->session);
    group_timer_clear(groups, &member->revocation);
    group_timer_clear(groups, &member->join);
    group_timer_clear(groups, &member->sync);
}

/* If the records cannot be appended it is tried again; else the timer goes with the member. */
static err_t expire(struct group_step *step, struct group_timer *timer,
                    struct consumer_member *member, const char *why) {
    group_timer_set(step->groups, timer, step->mono_ms + EXPIRE_RETRY_MS);
    text_log_info(step->groups->text_log, "coord",
                  "member %.*s is fenced from the consumer group %.*s, for %s",
                  STR_ARGS(member->id), STR_ARGS(member->consumer->id), why);
    consumer_fence(step, member->consumer, &member, 1);
    return ERR_OK;
}

err_t consumer_session_expired(struct group_step *step, struct group_timer *timer) {
    return expire(step, timer, container_of(timer, struct consumer_member, session),
                  "it was not heard of within its session timeout");
}

void consumer_revocation_begin(struct group_step *step, struct consumer_member *member) {
    member->revocation_epoch = member->ownership.epoch;
    consumer_timer_set(step, &member->revocation, member->profile.rebalance_timeout_ms,
                       consumer_revocation_expired);
}

err_t consumer_revocation_expired(struct group_step *step, struct group_timer *timer) {
    struct consumer_member *member = container_of(timer, struct consumer_member, revocation);
    if (member->ownership.epoch != member->revocation_epoch) {
        return ERR_OK;
    }
    return expire(step, timer, member, "it kept partitions beyond its rebalance timeout");
}

err_t consumer_join_expired(struct group_step *step, struct group_timer *timer) {
    return expire(step, timer, container_of(timer, struct consumer_member, join),
                  "it did not join within its rebalance timeout");
}

err_t consumer_sync_expired(struct group_step *step, struct group_timer *timer) {
    return expire(step, timer, container_of(timer, struct consumer_member, sync),
                  "it did not sync within its rebalance timeout");
}
