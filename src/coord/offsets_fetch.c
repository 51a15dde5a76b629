/*
 * OffsetFetch: how far a group has come.
 *
 * A request is of one shard; it names its groups as version 8 and later do. Nothing committed is no
 * error: the offset is -1. What an open transaction wrote is not there yet, and with require_stable
 * its partition is refused until the transaction ends.
 *
 * A name stands for the topic that has it now. What was committed of one before may still be there:
 * the node died before the tombstones were written, or the commit was on its way meanwhile.
 */
#include "coord/offsets_int.h"
#include "wire/api_keys.h"

typedef struct offset_fetch_request_group asked_group;
typedef struct offset_fetch_request_topics asked_topic;
typedef struct offset_fetch_response_group answer_group;
typedef struct offset_fetch_response_topics answer_topic;
typedef struct offset_fetch_response_partitions answer_partition;

static void answer(struct group_step *step, const struct offset_slot *slot, struct uuid topic_id,
                   bool stable, answer_partition *ret) {
    ret->committed_offset = -1;
    ret->committed_leader_epoch = -1;
    ret->metadata = STR("");
    if (slot != NULL && stable && !list_empty(&slot->pending)) {
        ret->error_code = ERR_UNSTABLE_OFFSET_COMMIT;
    } else if (!step_has_room(step)) {
        ret->error_code = ERR_INVALID_REQUEST;
    } else if (slot != NULL && slot->committed &&
               offsets_topic_matches(slot->value.topic_id, topic_id)) {
        step_take_room(step, sizeof *ret + slot->value.metadata.size);
        ret->committed_offset = slot->value.offset;
        ret->committed_leader_epoch = slot->value.leader_epoch;
        ret->metadata = arena_str(step->call->arena, slot->value.metadata);
    }
}

static void fetch_topic(struct group_step *step, const struct group *group,
                        const asked_topic *asked, bool stable, answer_topic *ret) {
    const struct offset_topic *topic = group == NULL ? NULL : offsets_topic(group, asked->name);
    struct uuid id = uuid_is_zero(asked->topic_id) ? offsets_topic_id_now(step->groups, asked->name)
                                                   : asked->topic_id;
    ret->name = asked->name;
    ret->topic_id = asked->topic_id;
    ret->partitions =
        ARENA_ARRAY(step->call->arena, answer_partition, asked->partition_indexes_count);
    ret->partitions_count = asked->partition_indexes_count;
    for (int32_t i = 0; i < asked->partition_indexes_count; i++) {
        int32_t partition = asked->partition_indexes[i];
        ret->partitions[i].partition_index = partition;
        answer(step, topic == NULL ? NULL : offsets_topic_slot(topic, partition), id, stable,
               &ret->partitions[i]);
    }
}

/* All that the group committed. */
static void fetch_all(struct group_step *step, const struct group *group, bool stable,
                      answer_group *ret) {
    if (group == NULL || group->offsets == NULL) {
        return;
    }
    struct arena *arena = step->call->arena;
    ret->topics = ARENA_ARRAY(arena, answer_topic, map_count(&group->offsets->topics));
    const struct offset_topic *topic;
    const struct offset_slot *slot;
    size_t topics, slots;
    map_for_each (&group->offsets->topics, topics, topic) {
        answer_topic *to = &ret->topics[ret->topics_count++];
        to->name = arena_str(arena, topic->name);
        to->partitions = ARENA_ARRAY(arena, answer_partition, map_count(&topic->partitions));
        struct uuid id = offsets_topic_id_now(step->groups, topic->name);
        map_for_each (&topic->partitions, slots, slot) {
            if (!slot->committed || !offsets_topic_matches(slot->value.topic_id, id)) {
                continue;
            }
            answer_partition *partition = &to->partitions[to->partitions_count++];
            partition->partition_index = slot->partition;
            answer(step, slot, id, stable, partition);
        }
        if (to->partitions_count == 0) {
            ret->topics_count--;
        }
    }
}

static err_t check(struct group_step *step, struct group *group, const asked_group *asked) {
    struct group_caller caller = {
        .api_key = API_OFFSET_FETCH,
        .version = step->call->version,
        .member_id = asked->member_id,
        .generation_or_epoch = asked->member_epoch,
    };
    return group == NULL || group->ops == NULL ? ERR_OK
                                               : group->ops->check_fetch(step, group, &caller);
}

static void fetch_group(struct group_step *step, const asked_group *asked, bool stable,
                        answer_group *ret) {
    struct group *group = groups_find(step->groups, asked->group_id);
    err_t err = step_has_room(step) ? check(step, group, asked) : ERR_INVALID_REQUEST;
    ret->group_id = asked->group_id;
    ret->error_code = err_kafka_code(err);
    if (err != ERR_OK) {
        return;
    }
    if (asked->topics_count < 0) {
        fetch_all(step, group, stable, ret);
        return;
    }
    ret->topics = ARENA_ARRAY(step->call->arena, answer_topic, asked->topics_count);
    ret->topics_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        fetch_topic(step, group, &asked->topics[i], stable, &ret->topics[i]);
    }
}

err_t offsets_fetch_step(struct group_step *step) {
    const struct offset_fetch_request *request = step->request;
    struct offset_fetch_response *response = step->response;
    response->groups = ARENA_ARRAY(step->call->arena, answer_group, request->groups_count);
    response->groups_count = request->groups_count;
    for (int32_t i = 0; i < request->groups_count; i++) {
        fetch_group(step, &request->groups[i], request->require_stable, &response->groups[i]);
    }
    return ERR_OK;
}
