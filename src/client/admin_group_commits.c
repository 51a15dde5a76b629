/* Committed offsets set and taken away, by each group's coordinator. */
#include "client/admin_int.h"
#include "wire/api_keys.h"

/* --- set --- */

static err_t alter_build(struct admin_part *part, int16_t version, struct arena *arena,
                         const void **ret_request) {
    struct offset_commit_request *request = ADMIN_REQUEST(arena, offset_commit_request);
    struct offset_commit_request_partition *rows =
        ARENA_ARRAY(arena, struct offset_commit_request_partition, part->item_count);
    request->group_id = part->items[0]->group;
    ADMIN_PUT_TOPICS(part, arena, request, topics, name, partitions, rows);
    for (size_t i = 0; i < part->item_count; i++) {
        const struct ottla_position *position = part->items[i]->input;
        rows[i].partition_index = part->items[i]->number;
        rows[i].committed_offset = position->offset;
        rows[i].committed_leader_epoch = version >= 6 ? position->leader_epoch : -1;
        rows[i].committed_metadata = str_from_c(position->metadata);
    }
    *ret_request = request;
    return ERR_OK;
}

static void alter_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct offset_commit_response *answer = response;
    for (int32_t t = 0; t < answer->topics_count; t++) {
        const struct offset_commit_response_topic *topic = &answer->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            struct admin_item *item =
                admin_find(part, topic->name, topic->partitions[p].partition_index);
            if (item != NULL &&
                admin_item_answer(item, topic->partitions[p].error_code, STR_NULL)) {
                struct ottla_partition_result *result = item->result;
                result->offset = ((const struct ottla_position *)item->input)->offset;
            }
        }
    }
}

static const struct admin_stage alter_stages[] = {{
    .api_key = API_OFFSET_COMMIT,
    .version_max = ADMIN_OFFSETS_VERSION_MAX,
    .route = ADMIN_GROUP,
    .passing = ADMIN_PASS_GROUP,
    .build = alter_build,
    .take = alter_take,
}};
static const struct admin_op alter_op = {
    .name = "alter group offsets",
    .kind = ADMIN_PARTITIONS,
    .effect = ADMIN_CHANGES,
    .stages = alter_stages,
};

struct ottla_call *ottla_group_offsets_alter(struct ottla_client *client, const char *group,
                                             const struct ottla_position *positions, size_t count,
                                             const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &alter_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item =
            admin_partition_add(call, positions[i].topic, positions[i].partition);
        item->group = arena_str(&call->arena, str_from_c(group == NULL ? "" : group));
        struct ottla_position *copy = ARENA_NEW(&call->arena, struct ottla_position);
        *copy = positions[i];
        copy->metadata = admin_text(call, str_from_c(copy->metadata == NULL ? "" : copy->metadata));
        item->input = copy;
        (void)admin_partition_result(call, item);
        if (copy->offset < 0) {
            admin_item_end(item, OTTLA_INVALID, "an offset to commit is not negative");
        }
    }
    return admin_start(call);
}

/* --- take away --- */

static err_t delete_build(struct admin_part *part, int16_t version, struct arena *arena,
                          const void **ret_request) {
    (void)version;
    struct offset_delete_request *request = ADMIN_REQUEST(arena, offset_delete_request);
    struct offset_delete_request_partition *rows =
        ARENA_ARRAY(arena, struct offset_delete_request_partition, part->item_count);
    request->group_id = part->items[0]->group;
    ADMIN_PUT_TOPICS(part, arena, request, topics, name, partitions, rows);
    for (size_t i = 0; i < part->item_count; i++) {
        rows[i].partition_index = part->items[i]->number;
    }
    *ret_request = request;
    return ERR_OK;
}

static void delete_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct offset_delete_response *answer = response;
    if (!admin_part_answer(part, answer->error_code, STR_NULL)) {
        return;
    }
    for (int32_t t = 0; t < answer->topics_count; t++) {
        const struct offset_delete_response_topic *topic = &answer->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            struct admin_item *item =
                admin_find(part, topic->name, topic->partitions[p].partition_index);
            if (item != NULL) {
                (void)admin_item_answer(item, topic->partitions[p].error_code, STR_NULL);
            }
        }
    }
}

static const struct admin_stage delete_stages[] = {{
    .api_key = API_OFFSET_DELETE,
    .route = ADMIN_GROUP,
    .build = delete_build,
    .take = delete_take,
}};
static const struct admin_op delete_op = {
    .name = "delete group offsets",
    .kind = ADMIN_PARTITIONS,
    .effect = ADMIN_CHANGES,
    .stages = delete_stages,
};

struct ottla_call *ottla_group_offsets_delete(struct ottla_client *client, const char *group,
                                              const struct ottla_partition *partitions,
                                              size_t count,
                                              const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &delete_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item =
            admin_partition_add(call, partitions[i].topic, partitions[i].partition);
        item->group = arena_str(&call->arena, str_from_c(group == NULL ? "" : group));
        (void)admin_partition_result(call, item);
    }
    return admin_start(call);
}
