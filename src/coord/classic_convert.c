/*
 * A consumer group goes on as a classic one, when the last member of the new protocol has left it.
 *
 * The record is what the members bring along, copied: the tombstones before it may free them when
 * they are applied. Its apply makes the group anew; what records do not have is added when it is
 * settled.
 */
#include <assert.h>
#include <stdlib.h>

#include "coord/classic_int.h"

/* --- the protocol --- */

/* Name of the list's own memory that outlives it: of the member who brought it. */
static struct str name_given(const struct classic_newcomer *members, int32_t count,
                             struct str winner) {
    for (int32_t i = 0; i < count; i++) {
        for (int32_t k = 0; k < members[i].protocols_count; k++) {
            if (str_equal(members[i].protocols[k].name, winner)) {
                return members[i].protocols[k].name;
            }
        }
    }
    return STR_NULL;
}

struct str classic_choose_protocol(const struct classic_newcomer *members, int32_t count) {
    struct classic_tally tally = {0};
    struct classic_protocols **lists = calloc((size_t)count, sizeof(struct classic_protocols *));
    assert(lists != NULL || count == 0);
    for (int32_t i = 0; i < count; i++) {
        lists[i] = classic_protocols_new(members[i].protocols, members[i].protocols_count);
        classic_tally_add(&tally, lists[i]);
    }
    for (int32_t i = 0; i < count; i++) {
        classic_tally_vote(&tally, lists[i], (size_t)count);
        free(lists[i]);
    }
    free(lists);
    struct str chosen = name_given(members, count, classic_tally_winner(&tally));
    classic_tally_done(&tally);
    return chosen;
}

/* --- the conversion --- */

struct conversion {
    struct str group_id;
    struct classic_newcomer *members;
    int32_t count;
    bool rebalance;
};

static void copy_member(struct arena *arena, const struct classic_newcomer *member,
                        struct classic_newcomer *ret) {
    struct join_group_request_protocol *protocols =
        ARENA_ARRAY(arena, struct join_group_request_protocol, member->protocols_count);
    for (int32_t i = 0; i < member->protocols_count; i++) {
        protocols[i].name = arena_str(arena, member->protocols[i].name);
        protocols[i].metadata = arena_bytes(arena, member->protocols[i].metadata);
    }
    *ret = (struct classic_newcomer){
        .member_id = arena_str(arena, member->member_id),
        .instance_id = arena_str(arena, member->instance_id),
        .client_id = arena_str(arena, member->client_id),
        .client_host = arena_str(arena, member->client_host),
        .rebalance_timeout_ms = member->rebalance_timeout_ms,
        .session_timeout_ms = member->session_timeout_ms,
        .protocols = protocols,
        .protocols_count = member->protocols_count,
        .assignment = arena_bytes(arena, member->assignment),
    };
}

static struct bytes metadata_of(const struct classic_newcomer *member, struct str protocol) {
    for (int32_t i = 0; i < member->protocols_count; i++) {
        if (str_equal(member->protocols[i].name, protocol)) {
            return member->protocols[i].metadata;
        }
    }
    return (struct bytes){.data = (const uint8_t *)"", .size = 0};
}

static void add_record(struct group_step *step, const struct conversion *conversion,
                       int32_t generation) {
    void *body;
    struct group_metadata_key *key = step_record(step, GROUP_RECORD_GROUP_METADATA, &body);
    struct group_metadata_value *value = body;
    key->group = conversion->group_id;
    value->protocol_type = STR("consumer");
    value->generation = generation;
    value->protocol = classic_choose_protocol(conversion->members, conversion->count);
    bool led = conversion->count > 0 && !conversion->rebalance;
    value->leader = led ? conversion->members[0].member_id : STR_NULL;
    value->current_state_timestamp = step->wall_ms;
    value->members =
        ARENA_ARRAY(step->arena, struct group_metadata_value_member_metadata, conversion->count);
    value->members_count = conversion->count;
    for (int32_t i = 0; i < conversion->count; i++) {
        const struct classic_newcomer *member = &conversion->members[i];
        value->members[i] = (struct group_metadata_value_member_metadata){
            .member_id = member->member_id,
            .group_instance_id = member->instance_id,
            .client_id = member->client_id,
            .client_host = member->client_host,
            .rebalance_timeout = member->rebalance_timeout_ms,
            .session_timeout = member->session_timeout_ms,
            .subscription = metadata_of(member, value->protocol),
            .assignment = member->assignment,
        };
    }
}

static void converted(struct group_step *step, err_t err) {
    const struct conversion *conversion = step->context;
    if (err != ERR_OK) {
        return; /* it is a consumer group as before */
    }
    struct classic_group *classic = classic_of(groups_find(step->groups, conversion->group_id));
    for (int32_t i = 0; i < conversion->count; i++) {
        const struct classic_newcomer *brought = &conversion->members[i];
        struct classic_member *member = classic_member_find(classic, brought->member_id);
        if (member == NULL) {
            continue; /* strange records: another one had its instance id */
        }
        classic_member_set_protocols(
            member, classic_protocols_new(brought->protocols, brought->protocols_count));
        classic_session_renew(step, member);
    }
    classic_begin_due_rebalance(step, classic);
}

void classic_convert(struct group_step *step, struct group *group, int32_t generation,
                     const struct classic_newcomer *members, int32_t count, bool rebalance) {
    struct conversion *conversion = ARENA_NEW(step->arena, struct conversion);
    *conversion = (struct conversion){
        .group_id = arena_str(step->arena, group->id),
        .members = ARENA_ARRAY(step->arena, struct classic_newcomer, count),
        .count = count,
        .rebalance = rebalance,
    };
    for (int32_t i = 0; i < count; i++) {
        copy_member(step->arena, &members[i], &conversion->members[i]);
    }
    add_record(step, conversion, generation);
    step->context = conversion;
    step->settled = converted;
}
