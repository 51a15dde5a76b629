/*
 * GroupMetadata, the one record that classic groups have: a generation that became stable, with who
 * was in it and what each was assigned; or one that became empty.
 *
 *   a step adds it when                                    and when it is appended, apply
 *   ----------------------------------------------------   -----------------------------------
 *   a group begins (classic_join.c)                         nothing
 *   nobody is left (classic_rebalance.c)                    Empty, next generation
 *   the leader has assigned (classic_sync.c)                assignments, Stable
 *   a static member came back (classic_static.c)            nothing new
 *   a consumer group becomes classic (classic_convert.c)    a new group, Stable
 *
 * A replay makes a new group of each record. Of what a member can speak the record has the chosen
 * protocol only, so one that joins again with all it has has news.
 */
#include <assert.h>

#include "coord/classic_int.h"

/* --- made --- */

struct group_metadata_value *classic_add_record(struct group_step *step,
                                                struct classic_group *classic) {
    void *body;
    struct group_metadata_key *key = step_record(step, GROUP_RECORD_GROUP_METADATA, &body);
    struct group_metadata_value *value = body;
    key->group = classic->group->id;
    value->protocol_type = classic->protocol_type.data == NULL ? STR("") : classic->protocol_type;
    value->generation = classic->generation;
    value->protocol = classic->protocol_name;
    value->leader = classic->leader == NULL ? STR_NULL : classic->leader->id;
    value->current_state_timestamp = classic->state_since_ms;
    value->members = ARENA_ARRAY(step->arena, struct group_metadata_value_member_metadata,
                                 map_count(&classic->members));
    struct classic_member *member = classic_member_first(classic);
    for (; member != NULL; member = classic_member_next(member)) {
        member->place = value->members_count++;
        value->members[member->place] = (struct group_metadata_value_member_metadata){
            .member_id = member->id,
            .group_instance_id = member->instance_id,
            .client_id = member->client_id,
            .client_host = member->client_host,
            .rebalance_timeout = member->rebalance_timeout_ms,
            .session_timeout = member->session_timeout_ms,
            .subscription = classic_protocols_metadata(member->protocols, classic->protocol_name),
            .assignment = member->assignment,
        };
    }
    return value;
}

/* --- taken in --- */

static struct str or_null(struct str s) {
    return s.size == 0 ? STR_NULL : s;
}

/* False: no two members are one, so this one is passed over. */
static bool add_member(struct classic_group *classic, const struct group_metadata_value *value,
                       const struct group_metadata_value_member_metadata *described) {
    if (classic_member_find(classic, described->member_id) != NULL ||
        (described->group_instance_id.data != NULL &&
         classic_instance_find(classic, described->group_instance_id) != NULL)) {
        return false;
    }
    const struct join_group_request_protocol protocol = {
        .name = value->protocol,
        .metadata = described->subscription,
    };
    const struct classic_newcomer newcomer = {
        .member_id = described->member_id,
        .instance_id = described->group_instance_id,
        .client_id = described->client_id,
        .client_host = described->client_host,
        .rebalance_timeout_ms = described->rebalance_timeout == -1 ? described->session_timeout
                                                                   : described->rebalance_timeout,
        .session_timeout_ms = described->session_timeout,
        .protocols = &protocol,
        .protocols_count = 1,
        .assignment = described->assignment,
    };
    (void)classic_member_add(classic, &newcomer);
    return true;
}

static void set_generation(struct classic_group *classic,
                           const struct group_metadata_value *value) {
    classic->generation = value->generation;
    classic->state = value->members_count == 0 ? CLASSIC_EMPTY : CLASSIC_STABLE;
    classic->state_since_ms = value->current_state_timestamp;
    classic_set_protocol_name(classic, value->protocol);
}

static void make_anew(struct group *group, const struct group_metadata_value *value) {
    struct classic_group *classic = classic_new(group);
    classic_set_protocol_type(classic, or_null(value->protocol_type));
    for (int32_t i = 0; i < value->members_count; i++) {
        (void)add_member(classic, value, &value->members[i]);
    }
    set_generation(classic, value);
    struct classic_member *leader = classic_member_find(classic, value->leader);
    classic->leader = leader == NULL ? classic->leader : leader;
}

/* The record of a step of ours: nobody in it is new. */
static void go_on(struct classic_group *classic, const struct group_metadata_value *value) {
    if (value->members_count == 0 && value->generation == classic->generation) {
        return; /* the group began; who joined already is not in it */
    }
    set_generation(classic, value);
    for (int32_t i = 0; i < value->members_count; i++) {
        struct classic_member *member = classic_member_find(classic, value->members[i].member_id);
        assert(member != NULL);
        classic_member_set_assignment(member, value->members[i].assignment);
    }
}

void classic_apply(struct groups *groups, const struct coord_record *record) {
    const struct group_metadata_key *key = record->key;
    const struct group_metadata_value *value = record->value;
    struct group *group = groups_find(groups, key->group);
    if (value == NULL) {
        if (group != NULL && group->type != GROUP_CONSUMER) { /* it may have become one since */
            group_drop_part(group);
        }
    } else if (group != NULL && group->type == GROUP_CLASSIC && !groups->loading) {
        go_on(classic_of(group), value);
    } else {
        make_anew(group == NULL ? groups_add(groups, key->group) : group, value);
    }
}
