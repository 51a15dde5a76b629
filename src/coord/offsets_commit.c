/* OffsetCommit and OffsetDelete. */
#include "coord/offsets_int.h"
#include "wire/api_keys.h"

/* --- OffsetCommit --- */

/* Kafka counts characters as Java does: two for those beyond the basic plane. */
static size_t utf16_length(struct str text) {
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        count += (byte & 0xc0) != 0x80;
        count += byte >= 0xf0;
    }
    return count;
}

bool offsets_metadata_fits(const struct group_step *step, struct str metadata) {
    int64_t metadata_max = config_int(step->groups->config, CONFIG_OFFSET_METADATA_MAX_BYTES);
    return (int64_t)utf16_length(metadata) <= metadata_max;
}

static struct group_caller caller_of(const struct group_step *step,
                                     const struct offset_commit_request *request) {
    return (struct group_caller){
        .api_key = API_OFFSET_COMMIT,
        .version = step->call->version,
        .member_id = request->member_id,
        .instance_id = request->group_instance_id,
        .generation_or_epoch = request->generation_id_or_member_epoch,
    };
}

static err_t check_partitions(const struct group *group, const struct group_caller *caller,
                              const struct offset_commit_request *request) {
    err_t err = ERR_OK;
    for (int32_t i = 0; i < request->topics_count; i++) {
        const struct offset_commit_request_topic *topic = &request->topics[i];
        for (int32_t k = 0; k < topic->partitions_count && err == ERR_OK; k++) {
            err = group->ops->check_commit_partition(group, caller, topic->topic_id,
                                                     topic->partitions[k].partition_index);
        }
    }
    return err;
}

/* A caller that names no generation needs no group: it stores offsets and is no member. */
static err_t check(struct group_step *step, const struct offset_commit_request *request) {
    struct group *group = groups_find(step->groups, request->group_id);
    if (group == NULL) {
        return request->generation_id_or_member_epoch < 0 ? ERR_OK
               : step->call->version >= 9                 ? ERR_GROUP_ID_NOT_FOUND
                                                          : ERR_ILLEGAL_GENERATION;
    }
    struct group_caller caller = caller_of(step, request);
    if (group->ops != NULL) {
        err_t err = group->ops->check_commit(step, group, &caller);
        return err == ERR_OK && group->ops->check_commit_partition != NULL
                   ? check_partitions(group, &caller, request)
                   : err;
    }
    return group_check_no_members(&caller);
}

/* A retention beyond all time is for ever. */
static int64_t expire_timestamp(int64_t now_ms, int64_t retention_ms) {
    int64_t at_ms;
    return __builtin_add_overflow(now_ms, retention_ms, &at_ms) ? INT64_MAX : at_ms;
}

static void add_commit(struct group_step *step, const struct offset_commit_request *request,
                       const struct offset_commit_request_topic *topic,
                       const struct offset_commit_request_partition *partition) {
    bool expires = request->retention_time_ms != -1;
    void *made;
    struct offset_commit_key *key =
        step_record_version(step, GROUP_RECORD_OFFSET_COMMIT, expires ? 1 : 4, &made);
    struct offset_commit_value *value = made;
    key->group = request->group_id;
    key->topic = topic->name;
    key->partition = partition->partition_index;
    value->offset = partition->committed_offset;
    value->metadata =
        partition->committed_metadata.data == NULL ? STR("") : partition->committed_metadata;
    value->commit_timestamp = step->wall_ms;
    value->leader_epoch =
        partition->committed_leader_epoch < 0 || expires ? -1 : partition->committed_leader_epoch;
    value->topic_id = expires ? UUID_ZERO : topic->topic_id;
    value->expire_timestamp =
        expires ? expire_timestamp(step->wall_ms, request->retention_time_ms) : -1;
}

err_t offsets_commit_step(struct group_step *step) {
    const struct offset_commit_request *request = step->request;
    struct offset_commit_response *response = step->response;
    struct arena *arena = step->call->arena;
    err_t err = check(step, request);
    if (err != ERR_OK) {
        return err;
    }
    response->topics =
        ARENA_ARRAY(arena, struct offset_commit_response_topic, request->topics_count);
    response->topics_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count; i++) {
        const struct offset_commit_request_topic *topic = &request->topics[i];
        struct offset_commit_response_topic *answer = &response->topics[i];
        answer->name = topic->name;
        answer->topic_id = topic->topic_id;
        answer->partitions =
            ARENA_ARRAY(arena, struct offset_commit_response_partition, topic->partitions_count);
        answer->partitions_count = topic->partitions_count;
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            const struct offset_commit_request_partition *partition = &topic->partitions[k];
            answer->partitions[k].partition_index = partition->partition_index;
            if (!offsets_metadata_fits(step, partition->committed_metadata)) {
                answer->partitions[k].error_code = ERR_OFFSET_METADATA_TOO_LARGE;
            } else {
                add_commit(step, request, topic, partition);
                step_count(step, GROUP_COUNT_OFFSETS_COMMITTED, 1);
            }
        }
    }
    return ERR_OK;
}

/* --- OffsetDelete --- */

static void delete_topic(struct group_step *step, const struct group *group,
                         const struct offset_delete_request_topic *topic,
                         struct offset_delete_response_topic *answer) {
    bool subscribed = group->ops != NULL && group->ops->is_subscribed(group, topic->name);
    answer->name = topic->name;
    answer->partitions = ARENA_ARRAY(step->call->arena, struct offset_delete_response_partition,
                                     topic->partitions_count);
    answer->partitions_count = topic->partitions_count;
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        int32_t partition = topic->partitions[i].partition_index;
        answer->partitions[i].partition_index = partition;
        if (subscribed) {
            answer->partitions[i].error_code = ERR_GROUP_SUBSCRIBED_TO_TOPIC;
        } else if (offsets_slot(group, topic->name, partition) != NULL) {
            offsets_add_tombstone(step, group->id, topic->name, partition);
            step_count(step, GROUP_COUNT_OFFSETS_DELETED, 1);
        }
    }
}

err_t offsets_delete_step(struct group_step *step) {
    const struct offset_delete_request *request = step->request;
    struct offset_delete_response *response = step->response;
    const struct group *group = groups_find(step->groups, request->group_id);
    if (group == NULL) {
        return ERR_GROUP_ID_NOT_FOUND;
    }
    err_t err = group->ops == NULL ? ERR_OK : group->ops->check_offset_delete(group);
    if (err != ERR_OK) {
        return err;
    }
    response->topics =
        ARENA_ARRAY(step->call->arena, struct offset_delete_response_topic, request->topics_count);
    response->topics_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count; i++) {
        delete_topic(step, group, &request->topics[i], &response->topics[i]);
    }
    return ERR_OK;
}
