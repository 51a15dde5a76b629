/*
 * Groups that change their protocol while they are at work (group.consumer.migration.policy).
 *
 *   up     a member of the consumer protocol joins a classic group of consumers. All members stay,
 *          with what the leader assigned to them; their generation is the first epoch
 *   down   the last member of the consumer protocol leaves, or a static one of the classic protocol
 *          takes its place. The members that are left have their target as their assignment
 *
 * Either way tombstones and new records are in one batch: a group is one or the other.
 */
#include <strings.h>

#include "coord/classic_int.h"
#include "coord/consumer_int.h"

/* --- the policy --- */

static bool policy_is(const struct groups *groups, const char *name) {
    struct str policy = config_str(groups->config, CONFIG_GROUP_CONSUMER_MIGRATION_POLICY);
    return policy.size == strlen(name) && strncasecmp(policy.data, name, policy.size) == 0;
}

bool consumer_may_mix(const struct groups *groups) {
    return !policy_is(groups, "disabled");
}

/* --- up --- */

static struct consumer_refusal cannot_upgrade(const struct group_step *step,
                                              const struct group *group, const char *why) {
    return (struct consumer_refusal){
        .err = ERR_GROUP_ID_NOT_FOUND,
        .message = arena_printf(step->arena,
                                "Cannot upgrade classic group %.*s to consumer group because %s",
                                STR_ARGS(group->id), why),
    };
}

static struct consumer_refusal check_upgrade(const struct group_step *step,
                                             const struct group *group) {
    const struct groups *groups = step->groups;
    const struct classic_group *classic = classic_of(group);
    if (!policy_is(groups, "bidirectional") && !policy_is(groups, "upgrade")) {
        return cannot_upgrade(step, group, "online upgrade is disabled.");
    }
    if (!classic_is_consumer(classic)) {
        return cannot_upgrade(step, group,
                              "the group does not use the consumer embedded protocol.");
    }
    if (classic->generation == EPOCH_LAST) {
        return cannot_upgrade(step, group, "its generation is the last one.");
    }
    if (map_count(&classic->members) >
        (size_t)config_int(groups->config, CONFIG_GROUP_CONSUMER_MAX_SIZE)) {
        return cannot_upgrade(step, group,
                              "the group size exceeds the consumer group maximum size.");
    }
    return (struct consumer_refusal){0};
}

static struct consumer_profile profile_of(const struct classic_member *member,
                                          const struct consumer_protocol_subscription *subscription,
                                          struct arena *arena) {
    struct consumer_profile profile = consumer_profile_none();
    profile.instance_id = member->instance_id;
    profile.rack_id = subscription->rack_id.size > 0 ? subscription->rack_id : STR_NULL;
    profile.client_id = member->client_id;
    profile.client_host = member->client_host;
    profile.topics = consumer_sort_names(arena, subscription->topics, subscription->topics_count,
                                         &profile.topic_count);
    profile.rebalance_timeout_ms = member->rebalance_timeout_ms;
    profile.is_classic = true;
    profile.session_timeout_ms = member->session_timeout_ms;
    profile.protocol_count = member->protocols->count;
    struct join_group_request_protocol *protocols =
        ARENA_ARRAY(arena, struct join_group_request_protocol, (size_t)profile.protocol_count);
    for (int32_t i = 0; i < profile.protocol_count; i++) {
        protocols[i].name = member->protocols->list[i].name;
        protocols[i].metadata = member->protocols->list[i].metadata;
    }
    profile.protocols = protocols;
    return profile;
}

/* What the leader gave to two members the first one has. */
static struct partition_set take_unowned(const struct group_step *step,
                                         const struct consumer_group *consumer,
                                         const struct consumer_protocol_assignment *assignment,
                                         int32_t epoch) {
    struct partition_set set = consumer_partitions_of(step, assignment->assigned_partitions,
                                                      assignment->assigned_partitions_count, epoch);
    int32_t kept = 0;
    for (int32_t i = 0; i < set.count; i++) {
        if (consumer_partition_epoch(consumer, set.items[i].topic_id, set.items[i].partition) ==
            -1) {
            set.items[kept++] = set.items[i];
        }
    }
    set.count = kept;
    return set;
}

static struct consumer_refusal take_member(struct group_step *step, const struct group *group,
                                           struct consumer_group *consumer,
                                           const struct classic_member *member,
                                           struct str protocol) {
    struct consumer_protocol_assignment assignment;
    struct consumer_protocol_subscription subscription;
    struct bytes metadata = classic_protocols_metadata(member->protocols, protocol);
    if (consumer_read_assignment(member->assignment, step->arena, &assignment) != ERR_OK ||
        consumer_read_subscription(metadata, step->arena, &subscription) != ERR_OK) {
        return cannot_upgrade(step, group, "the embedded consumer protocol is malformed.");
    }
    if (assignment.user_data.size > 0) {
        return cannot_upgrade(step, group,
                              "an unsupported custom assignor is in use. Please refer to the "
                              "documentation or switch to a default assignor before "
                              "re-attempting the upgrade.");
    }
    struct consumer_ownership ownership = consumer_ownership_none();
    ownership.epoch = ownership.previous_epoch = consumer->epoch;
    ownership.assigned = take_unowned(step, consumer, &assignment, consumer->epoch);
    struct consumer_profile profile = profile_of(member, &subscription, step->arena);
    consumer_set_target(consumer, member->id, &ownership.assigned);
    consumer_set_profile(consumer, member->id, &profile);
    consumer_set_ownership(consumer, member->id, &ownership);
    return (struct consumer_refusal){0};
}

static struct consumer_refusal take_members(struct group_step *step, const struct group *group,
                                            struct consumer_group *consumer) {
    struct classic_group *classic = classic_of(group);
    /* In its first rebalance none was chosen yet. */
    struct str protocol = classic->protocol_name.data != NULL ? classic->protocol_name
                                                              : classic_select_protocol(classic);
    struct consumer_refusal refusal = {0};
    const struct classic_member *member = classic_member_first(classic);
    while (member != NULL && refusal.err == ERR_OK) {
        refusal = take_member(step, group, consumer, member, protocol);
        member = classic_member_next(member);
    }
    return refusal;
}

struct consumer_group *consumer_upgrade(struct group_step *step, struct group *group,
                                        struct consumer_refusal *ret_refusal) {
    *ret_refusal = check_upgrade(step, group);
    if (ret_refusal->err != ERR_OK) {
        return NULL;
    }
    struct consumer_group *consumer = consumer_new(step->groups, NULL, group->id);
    consumer->epoch = consumer->target_epoch = classic_of(group)->generation;
    *ret_refusal = take_members(step, group, consumer);
    if (ret_refusal->err != ERR_OK) {
        consumer_free(consumer);
        return NULL;
    }
    consumer->metadata_hash =
        subscription_hash(&consumer->subscription, NULL, step->groups->image, step->arena);
    group_add_tombstones(step, group);
    consumer_record_all(step, consumer);
    return consumer;
}

/* --- down --- */

bool consumer_may_downgrade(const struct consumer_group *consumer,
                            struct consumer_member *const *without, int32_t count) {
    const struct groups *groups = consumer->groups;
    int32_t classic_without = 0;
    for (int32_t i = 0; i < count; i++) {
        classic_without += without[i]->profile.is_classic;
    }
    int32_t left = consumer->member_count - count;
    return left > 0 && consumer->classic_member_count - classic_without == left &&
           left <= config_int(groups->config, CONFIG_GROUP_MAX_SIZE) &&
           (policy_is(groups, "bidirectional") || policy_is(groups, "downgrade"));
}

bool consumer_may_downgrade_with(const struct consumer_turn *turn) {
    const struct consumer_group *consumer = turn->consumer;
    const struct groups *groups = consumer->groups;
    return turn->place != NULL && !turn->place->profile.is_classic &&
           consumer->classic_member_count == consumer->member_count - 1 &&
           consumer->member_count <= config_int(groups->config, CONFIG_GROUP_MAX_SIZE) &&
           (policy_is(groups, "bidirectional") || policy_is(groups, "downgrade"));
}

static struct classic_newcomer newcomer(struct str id, const struct consumer_profile *profile) {
    return (struct classic_newcomer){
        .member_id = id,
        .instance_id = profile->instance_id,
        .client_id = profile->client_id,
        .client_host = profile->client_host,
        .rebalance_timeout_ms = profile->rebalance_timeout_ms,
        .session_timeout_ms = profile->session_timeout_ms,
        .protocols = profile->protocols,
        .protocols_count = profile->protocol_count,
    };
}

static bool is_leaving(const struct map *leaving, const struct consumer_member *member) {
    return map_get(leaving, str_bytes(member->id)) != NULL;
}

/* Of the protocol that was chosen. */
static struct bytes subscription_in(const struct classic_newcomer *member, struct str protocol) {
    for (int32_t i = 0; i < member->protocols_count; i++) {
        if (str_equal(member->protocols[i].name, protocol)) {
            return member->protocols[i].metadata;
        }
    }
    return (struct bytes){0};
}

struct downgrade {
    struct classic_newcomer *members;
    const struct partition_set **targets;
    int32_t count;
};

static void gather(struct group_step *step, const struct consumer_group *consumer,
                   const struct map *leaving, const struct consumer_turn *turn,
                   struct downgrade *ret) {
    size_t count_max = (size_t)consumer->member_count + 1;
    ret->members = ARENA_ARRAY(step->arena, struct classic_newcomer, count_max);
    ret->targets = ARENA_ARRAY(step->arena, const struct partition_set *, count_max);
    const struct consumer_member *member;
    for (size_t cursor = 0; (member = consumer_member_next(consumer, &cursor)) != NULL;) {
        if (!is_leaving(leaving, member) && (turn == NULL || member != turn->place)) {
            ret->members[ret->count] = newcomer(member->id, &member->profile);
            ret->targets[ret->count++] = &member->target;
        }
    }
    if (turn != NULL) {
        ret->members[ret->count] = newcomer(turn->member_id, &turn->profile);
        ret->targets[ret->count++] = &turn->place->target;
    }
}

void consumer_downgrade(struct group_step *step, struct consumer_group *consumer,
                        struct consumer_member *const *without, int32_t count,
                        const struct consumer_turn *turn, bool rebalance) {
    struct map leaving;
    map_init(&leaving);
    for (int32_t i = 0; i < count; i++) {
        map_put(&leaving, str_bytes(without[i]->id), without[i]);
    }
    struct downgrade downgrade = {0};
    gather(step, consumer, &leaving, turn, &downgrade);
    map_done(&leaving);

    struct consumer_rename rename;
    if (turn != NULL) {
        rename = (struct consumer_rename){.from = turn->place->id, .to = turn->member_id};
    }
    consumer_record_no_group(step, consumer, turn == NULL ? NULL : &rename);
    struct str protocol = classic_choose_protocol(downgrade.members, downgrade.count);
    for (int32_t i = 0; i < downgrade.count; i++) {
        struct classic_newcomer *member = &downgrade.members[i];
        member->assignment = consumer_write_assignment(step, downgrade.targets[i],
                                                       subscription_in(member, protocol));
    }
    text_log_info(step->groups->text_log, "coord", "consumer group %.*s goes on as a classic group",
                  STR_ARGS(consumer->id));
    classic_convert(step, consumer->group, consumer->epoch, downgrade.members, downgrade.count,
                    rebalance);
}
