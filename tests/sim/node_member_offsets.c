/* Commits and fetches of a member, one partition in each. */
#include <assert.h>
#include <stdlib.h>

#include "node_member.h"
#include "wire/api.h"

enum {
    STEP_MAX = 20,        /* by how much a position grows */
    LOOK_ONE_IN = 5,      /* of the turns look whether the commits are there */
    VERSION_INSTANCE = 7, /* from here on OffsetCommit says the instance */
};

static bool is_consumer(const struct member *member) {
    return member->protocol == &member_consumer;
}

/* --- commits --- */

static void committed(void *arg, const struct client_response *response) {
    struct member *member = arg;
    struct audit_group *audit = member->group->audit;
    if (!member_answered(member, response)) {
        member_point(member, "commit_unknown");
        return;
    }
    const struct offset_commit_response *message = response->message;
    int16_t code = message->topics[0].partitions[0].error_code;
    bool same_topic = member->incarnation == member_topic_of(member, member->place)->incarnation;
    switch (code) {
    case ERR_OK:
        member_note_loaded(member);
        audit_group_committed(audit, member->place, member->ticket);
        if (!member_is_timed(member)) {
            audit_group_heard(audit, "commit", member->name, member->generation, member->newest);
        } else if (member->floor != 0 && same_topic) {
            node_fail(member->client.sim, "group %s: %s commits partition %d, which another owns",
                      member->group->name, member->name, member->place);
        }
        return;
    case ERR_STALE_MEMBER_EPOCH:
        member_point(member, "commit_stale");
        audit_group_refused(audit, member->place, member->ticket);
        member->beat_ms = 0;
        return;
    case ERR_UNKNOWN_MEMBER_ID:
    case ERR_FENCED_INSTANCE_ID:
    case ERR_ILLEGAL_GENERATION:
    case ERR_REBALANCE_IN_PROGRESS:
    case ERR_GROUP_ID_NOT_FOUND:
        member_point(member, "commit_refused");
        audit_group_refused(audit, member->place, member->ticket);
        break;
    default:
        member_point(member, "commit_not_written"); /* or it was; nobody knows */
        break;
    }
    member_take_error(member, "OffsetCommit", code);
}

void member_ask_commit(struct member *member, int place, int64_t offset, const char *id,
                       int32_t generation, client_done_fn done) {
    struct node_sim *sim = member->client.sim;
    const struct node_topic *of = member_topic_of(member, place);
    member->place = place;
    member->incarnation = of->incarnation;
    member->ticket = audit_group_commit(member->group->audit, place, offset);
    member->floor =
        member_is_timed(member) &&
        audit_group_is_others(member->group->audit, place, member->name, sys_mono_ms(sim->sys));
    struct offset_commit_request_partition partition = {
        .partition_index = place % SIM_PARTITIONS_MAX,
        .committed_offset = offset,
        .committed_leader_epoch = -1,
        .committed_metadata = STR(""),
    };
    struct offset_commit_request_topic topic = {
        .name = str_from_c(of->name),
        .partitions = &partition,
        .partitions_count = 1,
    };
    int16_t version = (int16_t)(is_consumer(member) ? 9 : 6 + node_below(sim, 4));
    if (member->instance[0] != '\0' && version < VERSION_INSTANCE) {
        version = VERSION_INSTANCE;
    }
    struct offset_commit_request request;
    wire_init(&offset_commit_request_type, &request);
    request.group_id = str_from_c(member->group->name);
    request.generation_id_or_member_epoch = generation;
    request.member_id = str_from_c(id);
    if (member->instance[0] != '\0') {
        request.group_instance_id = str_from_c(member->instance);
    }
    request.topics = &topic;
    request.topics_count = 1;
    member_ask(member, API_OFFSET_COMMIT, version, &request, done);
}

static void commit(struct member *member, int place) {
    member->positions[place] += 1 + (int64_t)node_below(member->client.sim, STEP_MAX);
    member_ask_commit(member, place, member->positions[place], member->id, member->generation,
                      committed);
}

/* --- fetches --- */

static void fetched(void *arg, const struct client_response *response) {
    struct member *member = arg;
    if (!member_answered(member, response)) {
        return;
    }
    const struct offset_fetch_response *message = response->message;
    const struct offset_fetch_response_group *group = &message->groups[0];
    int16_t code = group->error_code;
    if (code == ERR_OK) {
        code = group->topics[0].partitions[0].error_code;
    }
    if (code == ERR_STALE_MEMBER_EPOCH) {
        member->beat_ms = 0;
        return;
    }
    member_take_error(member, "OffsetFetch", code);
    const struct node_topic *topic = member_topic_of(member, member->place);
    if (code == ERR_OK && topic_is_usable(topic) && topic->incarnation == member->incarnation) {
        member_note_loaded(member);
        int64_t offset = group->topics[0].partitions[0].committed_offset;
        audit_group_fetched(member->group->audit, member->place, member->floor, offset);
        if (offset < 0 && topic->incarnation > 1) {
            member_point(member, "offsets_of_topic_gone");
        }
        if (member->positions[member->place] < 0) {
            member->positions[member->place] = offset < 0 ? 0 : offset;
        }
    }
}

static void fetch(struct member *member, int place) {
    member->place = place;
    member->incarnation = member_topic_of(member, place)->incarnation;
    member->floor = audit_group_fetch(member->group->audit, place);
    int32_t partition = place % SIM_PARTITIONS_MAX;
    struct offset_fetch_request_topics topic = {
        .name = str_from_c(member_topic_of(member, place)->name),
        .partition_indexes = &partition,
        .partition_indexes_count = 1,
    };
    struct offset_fetch_request_group group = {
        .group_id = str_from_c(member->group->name),
        .member_epoch = -1,
        .topics = &topic,
        .topics_count = 1,
    };
    if (is_consumer(member)) {
        group.member_id = str_from_c(member->id);
        group.member_epoch = member->generation;
    }
    struct offset_fetch_request request;
    wire_init(&offset_fetch_request_type, &request);
    request.groups = &group;
    request.groups_count = 1;
    member_ask(member, API_OFFSET_FETCH, 9, &request, fetched);
}

/* --- turns --- */

static int draw_place(struct member *member) {
    int count = 0;
    int drawn = -1;
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        if (member->owned[i] && topic_is_usable(member_topic_of(member, i)) &&
            node_below(member->client.sim, (uint64_t)++count) == 0) {
            drawn = i;
        }
    }
    return drawn;
}

bool member_offsets_turn(struct member *member) {
    int place = draw_place(member);
    if (place < 0) {
        return false;
    }
    bool idle = place % SIM_PARTITIONS_MAX == 0 && member->positions[place] > 0;
    if (member->positions[place] < 0 || idle || node_below(member->client.sim, LOOK_ONE_IN) == 0) {
        fetch(member, place);
    } else {
        commit(member, place);
    }
    return true;
}
