/*
 * Records taken into the state, after a step's append and when the log is replayed. They come from
 * a disk: what makes no sense is passed over.
 */
#include "base/limits.h"
#include "coord/consumer_int.h"

/* A group whose records these can be: a new one, also in the place of one that is empty. */
static struct consumer_group *find_or_make(struct groups *groups, struct str group_id) {
    struct group *group = groups_find(groups, group_id);
    if (group == NULL) {
        group = groups_add(groups, group_id);
    }
    if (group->type == GROUP_CONSUMER) {
        return consumer_of(group);
    }
    if (group->type != GROUP_SIMPLE && !group->ops->is_empty(group)) {
        return NULL;
    }
    struct consumer_group *consumer = consumer_new(groups, group, group->id);
    group_set_part(group, GROUP_CONSUMER, &consumer_ops, consumer);
    return consumer;
}

static struct consumer_group *find(struct groups *groups, struct str group_id, const void *value) {
    return value != NULL ? find_or_make(groups, group_id) : consumer_find(groups, group_id);
}

void consumer_apply_epoch(struct groups *groups, const struct coord_record *record) {
    const struct consumer_group_metadata_key *key = record->key;
    const struct consumer_group_metadata_value *value = record->value;
    struct consumer_group *consumer = find(groups, key->group_id, value);
    if (consumer == NULL) {
        return;
    }
    if (value == NULL) {
        group_drop_part(consumer->group);
        return;
    }
    consumer->epoch = value->epoch;
    consumer->metadata_hash = value->metadata_hash;
}

void consumer_apply_topics(struct groups *groups, const struct coord_record *record) {
    const struct consumer_group_partition_metadata_key *key = record->key;
    struct consumer_group *consumer = find(groups, key->group_id, record->value);
    if (consumer != NULL) {
        consumer->has_topics_record = record->value != NULL;
    }
}

void consumer_apply_target_epoch(struct groups *groups, const struct coord_record *record) {
    const struct consumer_group_target_assignment_metadata_key *key = record->key;
    const struct consumer_group_target_assignment_metadata_value *value = record->value;
    struct consumer_group *consumer = find(groups, key->group_id, value);
    if (consumer != NULL) {
        consumer->target_epoch = value == NULL ? -1 : value->assignment_epoch;
        consumer->target_timestamp_ms = value == NULL ? 0 : value->assignment_timestamp;
    }
}

/* --- members --- */

static struct consumer_profile
read_profile(const struct consumer_group_member_metadata_value *value, struct arena *arena) {
    struct consumer_profile profile = {
        .instance_id = value->instance_id,
        .rack_id = value->rack_id,
        .client_id = value->client_id,
        .client_host = value->client_host,
        .regex = value->subscribed_topic_regex,
        .rebalance_timeout_ms = value->rebalance_timeout_ms,
        .assignor = value->server_assignor,
    };
    profile.topics = consumer_sort_names(arena, value->subscribed_topic_names,
                                         value->subscribed_topic_names_count, &profile.topic_count);
    if (value->classic_member_metadata != NULL) {
        profile.is_classic = true;
        profile.session_timeout_ms = value->classic_member_metadata->session_timeout_ms;
        profile.protocol_count = value->classic_member_metadata->supported_protocols_count;
        struct join_group_request_protocol *protocols =
            ARENA_ARRAY(arena, struct join_group_request_protocol, (size_t)profile.protocol_count);
        for (int32_t i = 0; i < profile.protocol_count; i++) {
            protocols[i].name = value->classic_member_metadata->supported_protocols[i].name;
            protocols[i].metadata = value->classic_member_metadata->supported_protocols[i].metadata;
        }
        profile.protocols = protocols;
    }
    return profile;
}

void consumer_apply_member(struct groups *groups, const struct coord_record *record) {
    const struct consumer_group_member_metadata_key *key = record->key;
    const struct consumer_group_member_metadata_value *value = record->value;
    struct consumer_group *consumer = find(groups, key->group_id, value);
    if (consumer == NULL) {
        return;
    }
    if (value == NULL) {
        consumer_remove_member(consumer, key->member_id);
        return;
    }
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct consumer_profile profile = read_profile(value, &arena);
    consumer_set_profile(consumer, key->member_id, &profile);
    arena_done(&arena);
}

/* --- what they own, and what they shall own --- */

static void add_items(struct partition_set *set, struct uuid topic_id, const int32_t *partitions,
                      int32_t count, const int32_t *epochs, int32_t epoch) {
    for (int32_t i = 0; i < count; i++) {
        if (partitions[i] >= 0 && partitions[i] < GROUP_PARTITIONS_MAX) {
            set->items[set->count++] =
                (struct partition_item){.topic_id = topic_id,
                                        .partition = partitions[i],
                                        .epoch = epochs == NULL ? epoch : epochs[i]};
        }
    }
}

/* Records of releases before 4.3 have no epochs: then it is the member's. */
static struct partition_set
read_partitions(struct arena *arena,
                const struct consumer_group_current_member_assignment_value_topic_partitions *list,
                int32_t list_count, int32_t member_epoch) {
    size_t count = 0;
    for (int32_t i = 0; i < list_count; i++) {
        count += (size_t)list[i].partitions_count;
    }
    struct partition_set set = {.items = ARENA_ARRAY(arena, struct partition_item, count)};
    for (int32_t i = 0; i < list_count; i++) {
        bool known = list[i].assignment_epochs_count == list[i].partitions_count;
        add_items(&set, list[i].topic_id, list[i].partitions, list[i].partitions_count,
                  known ? list[i].assignment_epochs : NULL, member_epoch < 0 ? 0 : member_epoch);
    }
    partition_set_sort(&set);
    return set;
}

static enum consumer_state read_state(int8_t state) {
    return state >= CONSUMER_STABLE && state <= CONSUMER_UNRELEASED ? (enum consumer_state)state
                                                                    : CONSUMER_UNKNOWN;
}

void consumer_apply_ownership(struct groups *groups, const struct coord_record *record) {
    const struct consumer_group_current_member_assignment_key *key = record->key;
    const struct consumer_group_current_member_assignment_value *value = record->value;
    struct consumer_group *consumer = find(groups, key->group_id, value);
    if (consumer == NULL) {
        return;
    }
    struct consumer_ownership ownership = {.epoch = -1, .previous_epoch = -1};
    if (value == NULL) {
        if (consumer_member_find(consumer, key->member_id) != NULL) {
            consumer_set_ownership(consumer, key->member_id, &ownership);
        }
        return;
    }
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    ownership = (struct consumer_ownership){
        .epoch = value->member_epoch,
        .previous_epoch = value->previous_member_epoch,
        .state = read_state(value->state),
        .assigned = read_partitions(&arena, value->assigned_partitions,
                                    value->assigned_partitions_count, value->member_epoch),
        .revoking =
            read_partitions(&arena, value->partitions_pending_revocation,
                            value->partitions_pending_revocation_count, value->member_epoch),
    };
    consumer_set_ownership(consumer, key->member_id, &ownership);
    arena_done(&arena);
}

void consumer_apply_target(struct groups *groups, const struct coord_record *record) {
    const struct consumer_group_target_assignment_member_key *key = record->key;
    const struct consumer_group_target_assignment_member_value *value = record->value;
    struct consumer_group *consumer = find(groups, key->group_id, value);
    if (consumer == NULL) {
        return;
    }
    if (value == NULL) {
        consumer_remove_target(consumer, key->member_id);
        return;
    }
    size_t count = 0;
    for (int32_t i = 0; i < value->topic_partitions_count; i++) {
        count += (size_t)value->topic_partitions[i].partitions_count;
    }
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct partition_set set = {.items = ARENA_ARRAY(&arena, struct partition_item, count)};
    for (int32_t i = 0; i < value->topic_partitions_count; i++) {
        add_items(&set, value->topic_partitions[i].topic_id, value->topic_partitions[i].partitions,
                  value->topic_partitions[i].partitions_count, NULL, 0);
    }
    partition_set_sort(&set);
    consumer_set_target(consumer, key->member_id, &set);
    arena_done(&arena);
}

/* --- regular expressions --- */

void consumer_apply_regex(struct groups *groups, const struct coord_record *record) {
    const struct consumer_group_regular_expression_key *key = record->key;
    const struct consumer_group_regular_expression_value *value = record->value;
    struct consumer_group *consumer = find(groups, key->group_id, value);
    if (consumer == NULL) {
        return;
    }
    if (value == NULL) {
        subscription_unresolve(&consumer->subscription, key->regular_expression);
    } else {
        subscription_resolve(&consumer->subscription, key->regular_expression, value->topics,
                             value->topics_count, value->version, value->timestamp);
    }
}
