/*
 * GroupMetadata, the one record that classic groups have: a generation that became stable, with who
 * was in it and what each was assigned; or one that became empty.
 *
 *   a step adds it when                                     when it is appended it makes
 *   -----------------------------------------------------   ----------------------------
 *   a group begins (classic_join.c)                         nothing
 *   nobody is left (classic_rebalance.c)                    Empty, the next generation
 *   the leader has assigned (classic_sync.c)                assignments, Stable
 *   a static member came back (classic_static.c)            nothing
 *   a consumer group becomes classic (classic_convert.c)    a new group, Stable
 *   the log's older part is about to go                     nothing: it is said anew
 *
 * A consumer group that becomes classic because somebody left it owes its members a rebalance: what
 * that one had is nobody's. Its record names no leader, so that a coordinator that takes over
 * before the rebalance has come to an end begins it again. To Apache Kafka that is a stable group.
 *
 * A replay makes a new group of each record. Of what a member can speak the record has the chosen
 * protocol only, so one that joins again with all it has has news.
 *
 * While a group is in a rebalance its members are others than those of the record, which is still
 * what a replay must find: who left without a new generation has partitions that nobody else has.
 * Therefore the record is kept, from the first soft change until the next record.
 */
#include <assert.h>

#include "coord/classic_int.h"
#include "wire/codec.h"

/* In which a record is kept that is not the state any more. */
enum { LOGGED_VERSION = 3 };

/* --- made --- */

static void fill_in(struct classic_group *classic, struct arena *arena,
                    struct group_metadata_value *value) {
    wire_init(&group_metadata_value_type, value);
    value->protocol_type = classic->protocol_type.data == NULL ? STR("") : classic->protocol_type;
    value->generation = classic->generation;
    value->protocol = classic->protocol_name;
    value->leader = classic->leader == NULL || classic->rejoin_due ? STR_NULL : classic->leader->id;
    value->current_state_timestamp = classic->state_since_ms;
    value->members = ARENA_ARRAY(arena, struct group_metadata_value_member_metadata,
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
}

struct group_metadata_value *classic_add_record(struct group_step *step,
                                                struct classic_group *classic) {
    void *body;
    struct group_metadata_key *key = step_record(step, GROUP_RECORD_GROUP_METADATA, &body);
    key->group = classic->group->id;
    fill_in(classic, step->arena, body);
    return body;
}

/* --- said anew --- */

void classic_keep_logged(struct classic_group *classic) {
    if (classic->taking_in || classic->logged.size > 0) {
        return;
    }
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct group_metadata_value value;
    fill_in(classic, &arena, &value);
    err_t err = wire_encode(&group_metadata_value_type, LOGGED_VERSION, &value, &classic->logged);
    assert(err == ERR_OK); /* it was a record, or would have been one */
    arena_done(&arena);
}

bool classic_add_state(struct group_step *step, const struct group *group) {
    struct classic_group *classic = classic_of(group);
    struct group_metadata_value *value = classic_add_record(step, classic);
    if (classic->logged.size > 0) {
        size_t used;
        err_t err = wire_decode(&group_metadata_value_type, LOGGED_VERSION,
                                buffer_bytes(&classic->logged), step->arena, value, &used);
        assert(err == ERR_OK);
    }
    return true;
}

/* --- taken in --- */

/* From now on the state is what the log says. */
static void taken_in(struct classic_group *classic) {
    buffer_done(&classic->logged);
    classic->logged = (struct buffer){0};
    classic->taking_in = false;
}

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
    bool unnamed = value->protocol.data == NULL && value->members_count > 0;
    classic_set_protocol_name(classic, unnamed ? STR("") : value->protocol);
}

static void make_anew(struct group *group, const struct group_metadata_value *value) {
    struct classic_group *classic = classic_new(group);
    classic->taking_in = true;
    classic_set_protocol_type(classic, or_null(value->protocol_type));
    for (int32_t i = 0; i < value->members_count; i++) {
        (void)add_member(classic, value, &value->members[i]);
    }
    set_generation(classic, value);
    struct classic_member *leader = classic_member_find(classic, value->leader);
    classic->leader = leader == NULL ? classic->leader : leader;
    classic->rejoin_due = value->leader.data == NULL && value->members_count > 0;
    taken_in(classic);
}

static bool knows_all(const struct classic_group *classic,
                      const struct group_metadata_value *value) {
    for (int32_t i = 0; i < value->members_count; i++) {
        if (classic_member_find(classic, value->members[i].member_id) == NULL) {
            return false;
        }
    }
    return true;
}

/* Whether the record is a step of the group, and does not only say what is in the log already, or
 * that the group begins: who joined already is not in that one. */
static bool is_news(const struct classic_group *classic, const struct group_metadata_value *value) {
    switch (classic->state) {
    case CLASSIC_EMPTY:
        break;
    case CLASSIC_PREPARING_REBALANCE:
        return value->members_count == 0 && map_count(&classic->members) == 0 &&
               value->generation == classic_next_generation(classic);
    case CLASSIC_COMPLETING_REBALANCE:
        return value->generation == classic->generation;
    case CLASSIC_STABLE: /* else the record of before, which a new id could not follow */
        return knows_all(classic, value);
    }
    return false;
}

/* The record of a step of ours: nobody in it is new. */
static void go_on(struct classic_group *classic, const struct group_metadata_value *value) {
    if (!is_news(classic, value)) {
        return;
    }
    classic->taking_in = true;
    set_generation(classic, value);
    for (int32_t i = 0; i < value->members_count; i++) {
        struct classic_member *member = classic_member_find(classic, value->members[i].member_id);
        assert(member != NULL);
        classic_member_set_assignment(member, value->members[i].assignment);
    }
    taken_in(classic);
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
