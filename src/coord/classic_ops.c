/* What groups of all kinds are asked, for a classic one. */
#include "coord/classic_int.h"
#include "wire/api_keys.h"

/* --- for lists and descriptions --- */

static const char *state_name(const struct group *group) {
    return classic_state_name(classic_of(group)->state);
}

static struct str protocol_type(const struct group *group) {
    const struct classic_group *classic = classic_of(group);
    return classic->protocol_type.data == NULL ? STR("") : classic->protocol_type;
}

static int32_t member_count(const struct group *group) {
    return (int32_t)map_count(&classic_of(group)->members);
}

static bool is_empty(const struct group *group) {
    return classic_of(group)->state == CLASSIC_EMPTY;
}

/* Protocol and metadata are those of a stable group; before that they are about to change. */
static void describe(struct group_step *step, const struct group *group,
                     struct describe_groups_response_described_group *ret) {
    const struct classic_group *classic = classic_of(group);
    bool stable = classic->state == CLASSIC_STABLE;
    ret->group_state = str_from_c(state_name(group));
    ret->protocol_type = protocol_type(group);
    ret->protocol_data = stable ? classic->protocol_name : STR("");
    ret->members = ARENA_ARRAY(step->arena, struct describe_groups_response_described_group_member,
                               map_count(&classic->members));
    struct bytes nothing = {.data = (const uint8_t *)"", .size = 0};
    const struct classic_member *member = classic_member_first(classic);
    for (; member != NULL; member = classic_member_next(member)) {
        ret->members[ret->members_count++] =
            (struct describe_groups_response_described_group_member){
                .member_id = member->id,
                .group_instance_id = member->instance_id,
                .client_id = member->client_id,
                .client_host = member->client_host,
                .member_metadata =
                    stable ? classic_protocols_metadata(member->protocols, classic->protocol_name)
                           : nothing,
                .member_assignment = member->assignment,
            };
    }
}

/* --- offsets --- */

/*
 * Who may commit. One that names neither member nor generation is no member: an administrator, or a
 * consumer that chooses its partitions itself; that is fine while the group is empty. Within a
 * transaction the state of the group does not matter, and clients of old name nobody.
 */
static err_t check_commit(struct group_step *step, struct group *group,
                          const struct group_caller *caller) {
    struct classic_group *classic = classic_of(group);
    bool in_transaction = caller->api_key == API_TXN_OFFSET_COMMIT;
    if (caller->generation_or_epoch < 0 && classic->state == CLASSIC_EMPTY) {
        return ERR_OK;
    }
    struct classic_member *member = NULL;
    if (caller->generation_or_epoch >= 0 || caller->member_id.size > 0 ||
        caller->instance_id.data != NULL) {
        err_t err = classic_member_check(classic, caller->member_id, caller->instance_id, &member);
        if (err != ERR_OK) {
            return err;
        }
        if (caller->generation_or_epoch != classic->generation) {
            return ERR_ILLEGAL_GENERATION;
        }
    } else if (!in_transaction && classic->state != CLASSIC_EMPTY) {
        return ERR_UNKNOWN_MEMBER_ID;
    }
    if (in_transaction) {
        return ERR_OK;
    }
    if (classic->state == CLASSIC_COMPLETING_REBALANCE) {
        return ERR_REBALANCE_IN_PROGRESS; /* it knows the generation, but not what it gets */
    }
    if (member != NULL) {
        classic_session_renew(step, member);
    }
    return ERR_OK;
}

static err_t check_fetch(struct group_step *step, struct group *group,
                         const struct group_caller *caller) {
    (void)step;
    (void)group;
    (void)caller;
    return ERR_OK; /* a classic group tells anybody */
}

static err_t check_delete(const struct group *group) {
    return is_empty(group) ? ERR_OK : ERR_NON_EMPTY_GROUP;
}

/* Of consumers it is known which topics they read: OffsetDelete asks for each. */
static err_t check_offset_delete(const struct group *group) {
    return is_empty(group) || classic_is_consumer(classic_of(group)) ? ERR_OK : ERR_NON_EMPTY_GROUP;
}

static bool is_subscribed(const struct group *group, struct str topic) {
    struct classic_group *classic = classic_of(group);
    if (!classic_is_consumer(classic)) {
        return false;
    }
    return !classic_topics_known(classic) || classic_reads_topic(classic, topic);
}

/*
 * Without members, all offsets since it is without; with members that are consumers and whose
 * topics are known, those of other topics. Offsets of a group that nobody ever joined live by
 * themselves.
 */
static bool offsets_may_expire(const struct group *group, int64_t *ret_empty_since_ms) {
    struct classic_group *classic = classic_of(group);
    if (classic->protocol_type.data == NULL) {
        *ret_empty_since_ms = -1;
        return true;
    }
    if (classic->state == CLASSIC_EMPTY) {
        *ret_empty_since_ms = classic->state_since_ms;
        return true;
    }
    if (classic->state == CLASSIC_STABLE && classic_is_consumer(classic) &&
        classic_topics_known(classic)) {
        *ret_empty_since_ms = -1;
        return true;
    }
    return false;
}

/* --- life --- */

static void add_tombstones(struct group_step *step, struct group *group) {
    struct group_metadata_key *key = step_record(step, GROUP_RECORD_GROUP_METADATA, NULL);
    key->group = group->id;
}

/* A group that is too large since the setting was lowered has its members join again: the last ones
 * are left out, and all can commit before. */
static void loaded(struct group_step *step, struct group *group) {
    struct classic_group *classic = classic_of(group);
    int32_t size_max = config_int(step->groups->config, CONFIG_GROUP_MAX_SIZE);
    struct classic_member *member = classic_member_first(classic);
    for (; member != NULL; member = classic_member_next(member)) {
        classic_session_renew(step, member);
    }
    if (map_count(&classic->members) > (size_t)size_max) {
        classic_prepare_rebalance(step, classic, "%zu members were loaded, group.max.size is %d",
                                  map_count(&classic->members), (int)size_max);
    } else {
        classic_begin_due_rebalance(step, classic);
    }
}

static void free_part(struct group *group) {
    classic_free(classic_of(group));
}

const struct group_ops classic_ops = {
    .type_name = "classic",
    .state_name = state_name,
    .protocol_type = protocol_type,
    .member_count = member_count,
    .is_empty = is_empty,
    .check_commit = check_commit,
    .check_fetch = check_fetch,
    .check_offset_delete = check_offset_delete,
    .check_delete = check_delete,
    .is_subscribed = is_subscribed,
    .offsets_may_expire = offsets_may_expire,
    .join = classic_join,
    .sync = classic_sync,
    .heartbeat = classic_heartbeat,
    .leave = classic_leave,
    .describe_classic = describe,
    .add_tombstones = add_tombstones,
    .add_state = classic_add_state,
    .loaded = loaded,
    .free_part = free_part,
};
