/* What groups of all kinds are asked, for a consumer group; and ConsumerGroupDescribe. */
#include "coord/consumer_int.h"
#include "wire/api_keys.h"

/* --- for lists --- */

static const char *state_name(const struct group *group) {
    return consumer_state_name(consumer_of(group));
}

static struct str protocol_type(const struct group *group) {
    (void)group;
    return STR("consumer");
}

static int32_t member_count(const struct group *group) {
    return consumer_of(group)->member_count;
}

static bool is_empty(const struct group *group) {
    return consumer_of(group)->member_count == 0;
}

/* --- offsets --- */

/* Since then OffsetCommit has member epochs. */
enum { VERSION_MEMBER_EPOCH = 9 };

static err_t stale(const struct consumer_member *member) {
    return member->profile.is_classic ? ERR_ILLEGAL_GENERATION : ERR_STALE_MEMBER_EPOCH;
}

/*
 * Who may commit. While nobody is in the group, whoever names no epoch. A member at its own epoch;
 * at an older one for partitions that it had then already (check_commit_partition).
 */
static err_t check_commit(struct group_step *step, struct group *group,
                          const struct group_caller *caller) {
    (void)step;
    const struct consumer_group *consumer = consumer_of(group);
    bool in_transaction = caller->api_key == API_TXN_OFFSET_COMMIT;
    if (caller->generation_or_epoch < 0 && consumer->member_count == 0) {
        return ERR_OK;
    }
    if (in_transaction && caller->generation_or_epoch == -1 && caller->member_id.size == 0 &&
        caller->instance_id.data == NULL) {
        return ERR_OK;
    }
    const struct consumer_member *member = consumer_member_find(consumer, caller->member_id);
    if (member == NULL) {
        return ERR_UNKNOWN_MEMBER_ID;
    }
    if (!in_transaction && !member->profile.is_classic && caller->version < VERSION_MEMBER_EPOCH) {
        return ERR_UNSUPPORTED_VERSION;
    }
    return caller->generation_or_epoch > member->ownership.epoch ? stale(member) : ERR_OK;
}

static err_t check_commit_partition(const struct group *group, const struct group_caller *caller,
                                    struct uuid topic_id, int32_t partition) {
    const struct consumer_group *consumer = consumer_of(group);
    const struct consumer_member *member = consumer_member_find(consumer, caller->member_id);
    if (member == NULL || caller->generation_or_epoch >= member->ownership.epoch) {
        return ERR_OK; /* check_commit has settled it */
    }
    const struct partition_item *item =
        partition_set_find(&member->ownership.assigned, topic_id, partition);
    if (item == NULL) {
        item = partition_set_find(&member->ownership.revoking, topic_id, partition);
    }
    return item != NULL && caller->generation_or_epoch >= item->epoch ? ERR_OK : stale(member);
}

static err_t check_fetch(struct group_step *step, struct group *group,
                         const struct group_caller *caller) {
    (void)step;
    const struct consumer_group *consumer = consumer_of(group);
    if (caller->member_id.data == NULL && caller->generation_or_epoch < 0) {
        return ERR_OK; /* an administrator */
    }
    const struct consumer_member *member = consumer_member_find(consumer, caller->member_id);
    if (member == NULL) {
        return ERR_UNKNOWN_MEMBER_ID;
    }
    return caller->generation_or_epoch == member->ownership.epoch ? ERR_OK : stale(member);
}

static err_t check_offset_delete(const struct group *group) {
    (void)group;
    return ERR_OK; /* is_subscribed is asked for each topic */
}

static err_t check_delete(const struct group *group) {
    return is_empty(group) ? ERR_OK : ERR_NON_EMPTY_GROUP;
}

static bool is_subscribed(const struct group *group, struct str topic) {
    return subscription_has_topic(&consumer_of(group)->subscription, topic);
}

static bool offsets_may_expire(const struct group *group, int64_t *ret_empty_since_ms) {
    (void)group;
    *ret_empty_since_ms = -1;
    return true;
}

/* --- ConsumerGroupDescribe --- */

/* What exists of it. */
static struct consumer_group_describe_response_assignment
describe_partitions(const struct group_step *step, const struct partition_set *set) {
    struct consumer_group_describe_response_assignment assignment = {0};
    assignment.topic_partitions =
        ARENA_ARRAY(step->arena, struct consumer_group_describe_response_topic_partitions,
                    (size_t)partition_set_topic_count(set));
    struct partition_run run;
    int32_t cursor = 0;
    while (partition_set_next(set, &cursor, &run)) {
        const struct meta_topic *topic = meta_image_topic_by_id(step->groups->image, run.topic_id);
        if (topic != NULL) {
            assignment.topic_partitions[assignment.topic_partitions_count++] =
                (struct consumer_group_describe_response_topic_partitions){
                    .topic_id = run.topic_id,
                    .topic_name = topic->name,
                    .partitions = partition_run_numbers(step->arena, &run),
                    .partitions_count = run.count,
                };
        }
    }
    return assignment;
}

static void describe_member(const struct group_step *step, const struct consumer_member *member,
                            struct consumer_group_describe_response_member *ret) {
    const struct consumer_profile *profile = &member->profile;
    struct partition_set owned =
        partition_set_union(step->arena, &member->ownership.assigned, &member->ownership.revoking);
    *ret = (struct consumer_group_describe_response_member){
        .member_id = member->id,
        .instance_id = profile->instance_id,
        .rack_id = profile->rack_id,
        .member_epoch = member->ownership.epoch,
        .client_id = profile->client_id,
        .client_host = profile->client_host,
        .subscribed_topic_names = (struct str *)profile->topics,
        .subscribed_topic_names_count = profile->topic_count,
        .subscribed_topic_regex = profile->regex,
        .assignment = describe_partitions(step, &owned),
        .target_assignment = describe_partitions(step, &member->target),
        .member_type = profile->is_classic ? 0 : 1,
    };
}

static void describe(struct group_step *step, const struct group *group,
                     struct consumer_group_describe_response_described_group *ret) {
    const struct consumer_group *consumer = consumer_of(group);
    ret->group_state = str_from_c(consumer_state_name(consumer));
    ret->group_epoch = consumer->epoch;
    ret->assignment_epoch = consumer->target_epoch;
    ret->assignor_name = consumer_assignor_preferred(consumer, NULL);
    ret->members = ARENA_ARRAY(step->arena, struct consumer_group_describe_response_member,
                               (size_t)consumer->member_count);
    const struct consumer_member *member;
    for (size_t cursor = 0; (member = consumer_member_next(consumer, &cursor)) != NULL;) {
        describe_member(step, member, &ret->members[ret->members_count++]);
    }
}

err_t consumer_step_describe(struct group_step *step) {
    const struct consumer_group_describe_request *request = step->request;
    struct consumer_group_describe_response *response = step->response;
    response->groups_count = request->group_ids_count;
    response->groups =
        ARENA_ARRAY(step->arena, struct consumer_group_describe_response_described_group,
                    (size_t)request->group_ids_count);
    for (int32_t i = 0; i < request->group_ids_count; i++) {
        struct consumer_group_describe_response_described_group *described = &response->groups[i];
        *described = (struct consumer_group_describe_response_described_group){
            .group_id = request->group_ids[i],
            .group_state = STR(""),
            .assignor_name = STR(""),
            .authorized_operations = INT32_MIN,
        };
        const struct group *group = groups_find(step->groups, request->group_ids[i]);
        if (!step_has_room(step)) {
            described->error_code = ERR_INVALID_REQUEST;
            continue;
        }
        if (group != NULL && group->type == GROUP_CONSUMER) {
            describe(step, group, described);
            struct consumer_group_describe_response one = {.groups = described, .groups_count = 1};
            step_take_room_of(step, &one);
            continue;
        }
        described->error_code = ERR_GROUP_ID_NOT_FOUND;
        described->error_message = arena_printf(
            step->arena,
            group == NULL ? "Group %.*s not found." : "Group %.*s is not a consumer group.",
            STR_ARGS(request->group_ids[i]));
    }
    return ERR_OK;
}

void consumer_fail_describe(const struct coord_call *call, int16_t code, void *response) {
    const struct consumer_group_describe_request *request = call->request;
    struct consumer_group_describe_response *describe_response = response;
    describe_response->groups_count = request->group_ids_count;
    describe_response->groups =
        ARENA_ARRAY(call->arena, struct consumer_group_describe_response_described_group,
                    (size_t)request->group_ids_count);
    for (int32_t i = 0; i < request->group_ids_count; i++) {
        describe_response->groups[i] = (struct consumer_group_describe_response_described_group){
            .error_code = code,
            .group_id = request->group_ids[i],
            .group_state = STR(""),
            .assignor_name = STR(""),
            .authorized_operations = INT32_MIN,
        };
    }
}

/* --- life --- */

static void add_tombstones(struct group_step *step, struct group *group) {
    consumer_record_no_group(step, consumer_of(group), NULL);
}

static bool add_state(struct group_step *step, const struct group *group) {
    consumer_record_all(step, consumer_of(group));
    return true;
}

/* Sessions begin anew. Topics may have come up while nobody looked. */
static void loaded(struct group_step *step, struct group *group) {
    struct consumer_group *consumer = consumer_of(group);
    consumer->topics_version = step->groups->image->provenance.offset;
    int32_t session_ms = consumer_session_timeout_ms(step->groups, group->id);
    struct consumer_member *member;
    for (size_t cursor = 0; (member = consumer_member_next(consumer, &cursor)) != NULL;) {
        consumer_timer_set(step, &member->session, session_ms, consumer_session_expired);
        if (member->ownership.state == CONSUMER_UNREVOKED) {
            consumer_revocation_begin(step, member);
        }
    }
}

static void free_part(struct group *group) {
    consumer_free(consumer_of(group));
}

/* Its group's topics are others now: the next heartbeat looks at the hash again. */
static void take_changes(struct consumer_group *consumer, const struct coord_image_change *change,
                         int64_t version) {
    for (int32_t i = 0; i < change->topic_count; i++) {
        if (subscription_forget(&consumer->subscription, change->topics[i].name)) {
            consumer->metadata_fresh = false;
        }
        if (change->topics[i].change == META_CREATED) {
            consumer->topics_version = version;
        }
    }
}

void consumer_image_changed(struct groups *groups, const struct coord_image_change *change) {
    if (change->topic_count == 0) {
        return;
    }
    const struct group *group;
    size_t cursor;
    map_for_each (&groups->by_id, cursor, group) {
        if (group->type == GROUP_CONSUMER) {
            take_changes(consumer_of(group), change, groups->image->provenance.offset);
        }
    }
}

const struct group_ops consumer_ops = {
    .type_name = "consumer",
    .state_name = state_name,
    .protocol_type = protocol_type,
    .member_count = member_count,
    .is_empty = is_empty,
    .check_commit = check_commit,
    .check_commit_partition = check_commit_partition,
    .check_fetch = check_fetch,
    .check_offset_delete = check_offset_delete,
    .check_delete = check_delete,
    .is_subscribed = is_subscribed,
    .offsets_may_expire = offsets_may_expire,
    .join = consumer_classic_join,
    .sync = consumer_classic_sync,
    .heartbeat = consumer_classic_heartbeat,
    .leave = consumer_classic_leave,
    .describe_classic = NULL,
    .describe_consumer = describe,
    .add_tombstones = add_tombstones,
    .add_state = add_state,
    .loaded = loaded,
    .free_part = free_part,
};
