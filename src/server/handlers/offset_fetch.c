/*
 * OffsetFetch: all versions become one request of many groups, a part for each shard, and the
 * answers become what the version asks for.
 *
 *   version   a group that cannot be asked (its coordinator is loading …)
 *   -------   ------------------------------------------------------------
 *   1         the error stands at each partition
 *   2 to 7    the error stands at the top; one group
 *   8 on      the error stands at the group
 */
#include "server/handlers/group_request.h"
#include "server/handlers/handlers.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct offset_fetch_request_group asked_group;
typedef struct offset_fetch_request_topics asked_topic;
typedef struct offset_fetch_response_group answer_group;
typedef struct offset_fetch_response_topics answer_topic;
typedef struct offset_fetch_response_partitions answer_partition;

enum { VERSION_OF_GROUPS = 8, VERSION_OF_TOPIC_IDS = 10, VERSION_OF_TOP_ERROR = 2 };

struct fetch_offsets {
    struct request *request;
    asked_group *groups; /* as the client asked, in the newest shape */
    int32_t group_count;
    answer_group **refused; /* per group: topics that are unknown by their ids; may be NULL */
};

/* --- what is asked --- */

static void one_group(struct fetch_offsets *fetch) {
    struct arena *arena = &fetch->request->arena;
    const struct offset_fetch_request *message = fetch->request->message;
    asked_group *group = ARENA_NEW(arena, asked_group);
    *group = (asked_group){
        .group_id = message->group_id, .member_epoch = -1, .topics_count = message->topics_count};
    for (int32_t i = 0; i < message->topics_count; i++) {
        group->topics =
            i == 0 ? ARENA_ARRAY(arena, asked_topic, message->topics_count) : group->topics;
        group->topics[i] = (asked_topic){
            .name = message->topics[i].name,
            .partition_indexes = message->topics[i].partition_indexes,
            .partition_indexes_count = message->topics[i].partition_indexes_count,
        };
    }
    fetch->groups = group;
    fetch->group_count = 1;
}

/* A topic whose id nobody knows: the answer is known already. */
static void refuse_topic(struct fetch_offsets *fetch, int32_t index, const asked_topic *asked) {
    struct arena *arena = &fetch->request->arena;
    if (fetch->refused[index] == NULL) {
        answer_group *group = fetch->refused[index] = ARENA_NEW(arena, answer_group);
        group->topics = ARENA_ARRAY(arena, answer_topic, fetch->groups[index].topics_count);
    }
    answer_group *group = fetch->refused[index];
    answer_topic *topic = &group->topics[group->topics_count++];
    topic->topic_id = asked->topic_id;
    topic->partitions = ARENA_ARRAY(arena, answer_partition, asked->partition_indexes_count);
    topic->partitions_count = asked->partition_indexes_count;
    for (int32_t i = 0; i < asked->partition_indexes_count; i++) {
        topic->partitions[i] = (answer_partition){
            .partition_index = asked->partition_indexes[i],
            .committed_offset = -1,
            .committed_leader_epoch = -1,
            .metadata = STR(""),
            .error_code = ERR_UNKNOWN_TOPIC_ID,
        };
    }
}

/* Topics get their names; groups keep the topics that have one. */
static void resolve_ids(struct fetch_offsets *fetch) {
    struct arena *arena = &fetch->request->arena;
    fetch->refused = ARENA_ARRAY(arena, answer_group *, fetch->group_count);
    for (int32_t i = 0; i < fetch->group_count; i++) {
        asked_group *group = &fetch->groups[i];
        int32_t kept = 0;
        asked_topic *topics = group->topics_count < 0
                                  ? NULL
                                  : ARENA_ARRAY(arena, asked_topic, group->topics_count + 1);
        for (int32_t k = 0; k < group->topics_count; k++) {
            const struct meta_topic *topic = NULL;
            if (topic_find_by_id(fetch->request, group->topics[k].topic_id, &topic) != ERR_OK) {
                refuse_topic(fetch, i, &group->topics[k]);
                continue;
            }
            topics[kept] = group->topics[k];
            topics[kept++].name = arena_str(arena, topic->name);
        }
        group->topics = topics;
        group->topics_count = group->topics_count < 0 ? -1 : kept;
    }
}

static void copy_groups(struct fetch_offsets *fetch) {
    const struct offset_fetch_request *message = fetch->request->message;
    fetch->groups = ARENA_ARRAY(&fetch->request->arena, asked_group, message->groups_count);
    fetch->group_count = message->groups_count;
    for (int32_t i = 0; i < message->groups_count; i++) {
        fetch->groups[i] = message->groups[i];
    }
    if (fetch->request->version >= VERSION_OF_TOPIC_IDS) {
        resolve_ids(fetch);
    }
}

/* --- what is answered --- */

/* All offsets of a group: topics get their ids, and one that is gone is left out. */
static void add_ids(const struct request *request, answer_group *group) {
    int32_t kept = 0;
    for (int32_t i = 0; i < group->topics_count; i++) {
        const struct meta_topic *topic = NULL;
        if (topic_find(request, group->topics[i].name, &topic) == ERR_OK) {
            group->topics[kept] = group->topics[i];
            group->topics[kept++].topic_id = topic->id;
        }
    }
    group->topics_count = kept;
}

static void add_refused(struct fetch_offsets *fetch, int32_t index, answer_group *group) {
    const answer_group *refused = fetch->refused[index];
    if (refused == NULL || group->error_code != 0) {
        return;
    }
    size_t unit = sizeof group->topics[0];
    answer_topic *topics =
        arena_alloc(&fetch->request->arena,
                    ((size_t)group->topics_count + (size_t)refused->topics_count) * unit);
    int32_t count = 0;
    for (int32_t i = 0; i < group->topics_count; i++) {
        topics[count++] = group->topics[i];
    }
    for (int32_t i = 0; i < refused->topics_count; i++) {
        topics[count++] = refused->topics[i];
    }
    group->topics = topics;
    group->topics_count = count;
}

/* Version 1 has no place for an error but the partitions. */
static void spread_error(struct fetch_offsets *fetch, answer_group *group) {
    struct arena *arena = &fetch->request->arena;
    const asked_group *asked = &fetch->groups[0];
    group->topics = ARENA_ARRAY(arena, answer_topic, asked->topics_count + 1);
    for (int32_t i = 0; i < asked->topics_count; i++) {
        const asked_topic *topic = &asked->topics[i];
        answer_topic *answer = &group->topics[group->topics_count++];
        answer->name = topic->name;
        answer->partitions = ARENA_ARRAY(arena, answer_partition, topic->partition_indexes_count);
        answer->partitions_count = topic->partition_indexes_count;
        for (int32_t k = 0; k < topic->partition_indexes_count; k++) {
            answer->partitions[k] = (answer_partition){
                .partition_index = topic->partition_indexes[k],
                .committed_offset = -1,
                .committed_leader_epoch = -1,
                .metadata = STR(""),
                .error_code = group->error_code,
            };
        }
    }
}

/* The shape before version 8. The structs of partitions are the same but for their names. */
static void flatten(struct arena *arena, const answer_group *group,
                    struct offset_fetch_response *response) {
    response->error_code = group->error_code;
    response->topics = ARENA_ARRAY(arena, struct offset_fetch_response_topic, group->topics_count);
    response->topics_count = group->topics_count;
    for (int32_t i = 0; i < group->topics_count; i++) {
        const answer_topic *topic = &group->topics[i];
        struct offset_fetch_response_topic *answer = &response->topics[i];
        answer->name = topic->name;
        answer->partitions =
            ARENA_ARRAY(arena, struct offset_fetch_response_partition, topic->partitions_count);
        answer->partitions_count = topic->partitions_count;
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            answer->partitions[k] = (struct offset_fetch_response_partition){
                .partition_index = topic->partitions[k].partition_index,
                .committed_offset = topic->partitions[k].committed_offset,
                .committed_leader_epoch = topic->partitions[k].committed_leader_epoch,
                .metadata = topic->partitions[k].metadata,
                .error_code = topic->partitions[k].error_code,
            };
        }
    }
}

static void respond(struct fetch_offsets *fetch, answer_group *groups) {
    struct request *request = fetch->request;
    struct offset_fetch_response response;
    wire_init(&offset_fetch_response_type, &response);
    if (request->version < VERSION_OF_GROUPS) {
        if (request->version < VERSION_OF_TOP_ERROR && groups[0].error_code != 0) {
            spread_error(fetch, &groups[0]);
        }
        flatten(&request->arena, &groups[0], &response);
    } else {
        response.groups = groups;
        response.groups_count = fetch->group_count;
    }
    request_respond(request, &response);
}

static void fetched(struct group_fan *fan) {
    struct fetch_offsets *fetch = fan->context;
    struct request *request = fan->request;
    answer_group *groups = ARENA_ARRAY(&request->arena, answer_group, fetch->group_count);
    for (int32_t i = 0; i < fan->part_count; i++) {
        const struct group_part *part = &fan->parts[i];
        const struct offset_fetch_response *response = part->call.response;
        for (int32_t k = 0; k < part->count; k++) {
            answer_group *group = &groups[part->places[k]];
            *group = response->groups[k];
            if (request->version >= VERSION_OF_TOPIC_IDS) {
                if (fetch->groups[part->places[k]].topics_count < 0) {
                    add_ids(request, group);
                }
                add_refused(fetch, part->places[k], group);
            }
        }
    }
    respond(fetch, groups);
}

static void fill_part(const struct fetch_offsets *fetch, struct group_part *part) {
    struct arena *arena = &fetch->request->arena;
    const struct offset_fetch_request *message = fetch->request->message;
    struct offset_fetch_request *pass = ARENA_NEW(arena, struct offset_fetch_request);
    pass->require_stable = message->require_stable;
    pass->groups = ARENA_ARRAY(arena, asked_group, part->count);
    pass->groups_count = part->count;
    for (int32_t i = 0; i < part->count; i++) {
        pass->groups[i] = fetch->groups[part->places[i]];
    }
    part->message = pass;
}

void handle_offset_fetch(struct request *request) {
    struct fetch_offsets *fetch = ARENA_NEW(&request->arena, struct fetch_offsets);
    fetch->request = request;
    if (request->version < VERSION_OF_GROUPS) {
        one_group(fetch);
    } else {
        copy_groups(fetch);
    }
    struct str *ids = ARENA_ARRAY(&request->arena, struct str, fetch->group_count);
    for (int32_t i = 0; i < fetch->group_count; i++) {
        ids[i] = fetch->groups[i].group_id;
    }
    struct group_fan *fan = group_fan_new(request, ids, fetch->group_count);
    fan->context = fetch;
    for (int32_t i = 0; i < fan->part_count; i++) {
        fill_part(fetch, &fan->parts[i]);
    }
    group_fan_send(fan, fetched);
}
