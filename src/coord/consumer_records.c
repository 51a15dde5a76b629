/*
 * Records that a step adds. What they point at is copied into the step's arena, for their apply may
 * free the memory of the state that it came from.
 */
#include "coord/consumer_int.h"

void consumer_record_epoch(struct group_step *step, struct str group_id, int32_t epoch,
                           int64_t metadata_hash) {
    void *body;
    struct consumer_group_metadata_key *key =
        step_record(step, GROUP_RECORD_CONSUMER_GROUP_METADATA, &body);
    struct consumer_group_metadata_value *value = body;
    key->group_id = arena_str(step->arena, group_id);
    value->epoch = epoch;
    value->metadata_hash = metadata_hash;
}

/* --- members --- */

static struct consumer_group_member_metadata_value_classic_member_metadata *
classic_metadata(struct arena *arena, const struct consumer_profile *profile) {
    struct consumer_group_member_metadata_value_classic_member_metadata *metadata =
        ARENA_NEW(arena, struct consumer_group_member_metadata_value_classic_member_metadata);
    metadata->session_timeout_ms = profile->session_timeout_ms;
    metadata->supported_protocols_count = profile->protocol_count;
    metadata->supported_protocols =
        ARENA_ARRAY(arena, struct consumer_group_member_metadata_value_classic_protocol,
                    (size_t)profile->protocol_count);
    for (int32_t i = 0; i < profile->protocol_count; i++) {
        metadata->supported_protocols[i] =
            (struct consumer_group_member_metadata_value_classic_protocol){
                .name = profile->protocols[i].name, .metadata = profile->protocols[i].metadata};
    }
    return metadata;
}

void consumer_record_profile(struct group_step *step, struct str group_id, struct str member_id,
                             const struct consumer_profile *given) {
    struct consumer_profile profile = consumer_profile_keep(given, step->arena);
    void *body;
    struct consumer_group_member_metadata_key *key =
        step_record(step, GROUP_RECORD_CONSUMER_GROUP_MEMBER_METADATA, &body);
    struct consumer_group_member_metadata_value *value = body;
    key->group_id = arena_str(step->arena, group_id);
    key->member_id = arena_str(step->arena, member_id);
    value->instance_id = profile.instance_id;
    value->rack_id = profile.rack_id;
    value->client_id = profile.client_id;
    value->client_host = profile.client_host;
    value->subscribed_topic_names = (struct str *)profile.topics;
    value->subscribed_topic_names_count = profile.topic_count;
    value->subscribed_topic_regex = profile.regex;
    value->rebalance_timeout_ms = profile.rebalance_timeout_ms;
    value->server_assignor = profile.assignor;
    value->classic_member_metadata =
        profile.is_classic ? classic_metadata(step->arena, &profile) : NULL;
}

static struct consumer_group_current_member_assignment_value_topic_partitions *
list_partitions(struct arena *arena, const struct partition_set *set, int32_t *ret_count) {
    int32_t count = partition_set_topic_count(set);
    struct consumer_group_current_member_assignment_value_topic_partitions *list =
        ARENA_ARRAY(arena, struct consumer_group_current_member_assignment_value_topic_partitions,
                    (size_t)count);
    struct partition_run run;
    int32_t cursor = 0;
    for (int32_t i = 0; partition_set_next(set, &cursor, &run); i++) {
        list[i].topic_id = run.topic_id;
        list[i].partitions = partition_run_numbers(arena, &run);
        list[i].partitions_count = run.count;
        list[i].assignment_epochs = ARENA_ARRAY(arena, int32_t, (size_t)run.count);
        list[i].assignment_epochs_count = run.count;
        for (int32_t k = 0; k < run.count; k++) {
            list[i].assignment_epochs[k] = run.items[k].epoch;
        }
    }
    *ret_count = count;
    return list;
}

void consumer_record_ownership(struct group_step *step, struct str group_id, struct str member_id,
                               const struct consumer_ownership *ownership) {
    void *body;
    struct consumer_group_current_member_assignment_key *key =
        step_record(step, GROUP_RECORD_CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT, &body);
    struct consumer_group_current_member_assignment_value *value = body;
    key->group_id = arena_str(step->arena, group_id);
    key->member_id = arena_str(step->arena, member_id);
    value->member_epoch = ownership->epoch;
    value->previous_member_epoch = ownership->previous_epoch;
    value->state = (int8_t)ownership->state;
    value->assigned_partitions =
        list_partitions(step->arena, &ownership->assigned, &value->assigned_partitions_count);
    value->partitions_pending_revocation = list_partitions(
        step->arena, &ownership->revoking, &value->partitions_pending_revocation_count);
}

/* --- targets --- */

void consumer_record_target(struct group_step *step, struct str group_id, struct str member_id,
                            const struct partition_set *target) {
    void *body;
    struct consumer_group_target_assignment_member_key *key =
        step_record(step, GROUP_RECORD_CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER, &body);
    struct consumer_group_target_assignment_member_value *value = body;
    key->group_id = arena_str(step->arena, group_id);
    key->member_id = arena_str(step->arena, member_id);
    value->topic_partitions_count = partition_set_topic_count(target);
    value->topic_partitions = ARENA_ARRAY(
        step->arena, struct consumer_group_target_assignment_member_value_topic_partition,
        (size_t)value->topic_partitions_count);
    struct partition_run run;
    int32_t cursor = 0;
    for (int32_t i = 0; partition_set_next(target, &cursor, &run); i++) {
        value->topic_partitions[i].topic_id = run.topic_id;
        value->topic_partitions[i].partitions = partition_run_numbers(step->arena, &run);
        value->topic_partitions[i].partitions_count = run.count;
    }
}

void consumer_record_target_epoch(struct group_step *step, struct str group_id, int32_t epoch,
                                  int64_t timestamp_ms) {
    void *body;
    struct consumer_group_target_assignment_metadata_key *key =
        step_record(step, GROUP_RECORD_CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA, &body);
    struct consumer_group_target_assignment_metadata_value *value = body;
    key->group_id = arena_str(step->arena, group_id);
    value->assignment_epoch = epoch;
    value->assignment_timestamp = timestamp_ms;
}

/* --- regular expressions --- */

void consumer_record_regex(struct group_step *step, struct str group_id, struct str expression,
                           const struct str *topics, int32_t topic_count, int64_t version,
                           int64_t timestamp_ms) {
    void *body;
    struct consumer_group_regular_expression_key *key =
        step_record(step, GROUP_RECORD_CONSUMER_GROUP_REGULAR_EXPRESSION, &body);
    struct consumer_group_regular_expression_value *value = body;
    key->group_id = arena_str(step->arena, group_id);
    key->regular_expression = arena_str(step->arena, expression);
    value->topics = ARENA_ARRAY(step->arena, struct str, (size_t)topic_count);
    value->topics_count = topic_count;
    for (int32_t i = 0; i < topic_count; i++) {
        value->topics[i] = arena_str(step->arena, topics[i]);
    }
    value->version = version;
    value->timestamp = timestamp_ms;
}

/* --- tombstones --- */

static void no_ownership(struct group_step *step, struct str group_id, struct str member_id) {
    struct consumer_group_current_member_assignment_key *key =
        step_record(step, GROUP_RECORD_CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT, NULL);
    key->group_id = arena_str(step->arena, group_id);
    key->member_id = arena_str(step->arena, member_id);
}

static void no_target(struct group_step *step, struct str group_id, struct str member_id) {
    struct consumer_group_target_assignment_member_key *key =
        step_record(step, GROUP_RECORD_CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER, NULL);
    key->group_id = arena_str(step->arena, group_id);
    key->member_id = arena_str(step->arena, member_id);
}

static void no_profile(struct group_step *step, struct str group_id, struct str member_id) {
    struct consumer_group_member_metadata_key *key =
        step_record(step, GROUP_RECORD_CONSUMER_GROUP_MEMBER_METADATA, NULL);
    key->group_id = arena_str(step->arena, group_id);
    key->member_id = arena_str(step->arena, member_id);
}

void consumer_record_no_member(struct group_step *step, struct str group_id, struct str member_id) {
    no_ownership(step, group_id, member_id);
    no_target(step, group_id, member_id);
    no_profile(step, group_id, member_id);
}

void consumer_record_no_regex(struct group_step *step, struct str group_id, struct str expression) {
    struct consumer_group_regular_expression_key *key =
        step_record(step, GROUP_RECORD_CONSUMER_GROUP_REGULAR_EXPRESSION, NULL);
    key->group_id = arena_str(step->arena, group_id);
    key->regular_expression = arena_str(step->arena, expression);
}

void consumer_record_no_topics(struct group_step *step, struct str group_id) {
    struct consumer_group_partition_metadata_key *key =
        step_record(step, GROUP_RECORD_CONSUMER_GROUP_PARTITION_METADATA, NULL);
    key->group_id = arena_str(step->arena, group_id);
}

static void no_epochs(struct group_step *step, enum group_record type, struct str group_id) {
    /* Keys of both types are the same. */
    struct consumer_group_metadata_key *key = step_record(step, type, NULL);
    key->group_id = arena_str(step->arena, group_id);
}

/* One kind of tombstone for every member. */
static void for_members(struct group_step *step, const struct consumer_group *consumer,
                        const struct consumer_rename *rename,
                        void (*add)(struct group_step *step, struct str group_id,
                                    struct str member_id)) {
    const struct consumer_member *member;
    size_t cursor;
    map_for_each (&consumer->members, cursor, member) {
        bool renamed = rename != NULL && str_equal(member->id, rename->from);
        add(step, consumer->id, renamed ? rename->to : member->id);
    }
}

void consumer_record_no_group(struct group_step *step, const struct consumer_group *consumer,
                              const struct consumer_rename *rename) {
    for_members(step, consumer, rename, no_ownership);
    for_members(step, consumer, rename, no_target);
    no_epochs(step, GROUP_RECORD_CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA, consumer->id);
    for_members(step, consumer, rename, no_profile);
    const struct subscribed_regex *regex;
    size_t cursor;
    map_for_each (&consumer->subscription.regexes, cursor, regex) {
        if (regex->resolved) {
            consumer_record_no_regex(step, consumer->id, regex->expression);
        }
    }
    consumer_record_no_topics(step, consumer->id);
    no_epochs(step, GROUP_RECORD_CONSUMER_GROUP_METADATA, consumer->id);
}

/* --- all of a group --- */

static void record_targets(struct group_step *step, const struct consumer_group *consumer) {
    const struct consumer_member *member;
    size_t cursor;
    map_for_each (&consumer->members, cursor, member) {
        if (member->has_target) {
            consumer_record_target(step, consumer->id, member->id, &member->target);
        }
    }
    consumer_record_target_epoch(step, consumer->id, consumer->target_epoch,
                                 consumer->target_timestamp_ms);
}

void consumer_record_all(struct group_step *step, const struct consumer_group *consumer) {
    const struct consumer_member *member;
    for (size_t cursor = 0; (member = consumer_member_next(consumer, &cursor)) != NULL;) {
        consumer_record_profile(step, consumer->id, member->id, &member->profile);
    }
    const struct subscribed_regex *regex;
    size_t cursor;
    map_for_each (&consumer->subscription.regexes, cursor, regex) {
        if (regex->resolved) {
            consumer_record_regex(step, consumer->id, regex->expression, regex->topics,
                                  regex->topic_count, regex->version, regex->timestamp_ms);
        }
    }
    consumer_record_epoch(step, consumer->id, consumer->epoch, consumer->metadata_hash);
    record_targets(step, consumer);
    for (cursor = 0; (member = consumer_member_next(consumer, &cursor)) != NULL;) {
        consumer_record_ownership(step, consumer->id, member->id, &member->ownership);
    }
}
