/* Topics made, deleted, and given more partitions: by the controller. */
#include "client/admin_int.h"
#include "wire/api_keys.h"

static struct ottla_topic_result *topic_result(struct ottla_call *call, struct admin_item *item,
                                               const char *name) {
    struct ottla_topic_result *result = admin_result_add(call);
    result->name = name == NULL ? NULL : admin_text(call, str_from_c(name));
    result->partitions = -1;
    result->replication_factor = -1;
    item->result = result;
    return result;
}

static struct admin_item *topic_item(struct ottla_call *call, const char *name) {
    const char *text = name == NULL ? "" : name;
    struct admin_item *item = admin_item_add(call, str_from_c(text), 0, "topic %s", text);
    (void)topic_result(call, item, name);
    if (name == NULL) {
        admin_item_end(item, OTTLA_INVALID, "a topic has a name");
    }
    return item;
}

/* --- create --- */

typedef struct create_topics_request_creatable_topic new_topic;
typedef struct create_topics_request_creatable_replica_assignment new_assignment;
typedef struct create_topics_request_creatable_topic_config new_config;

static new_topic *copy_new_topic(struct ottla_call *call, const struct ottla_new_topic *topic,
                                 struct str name) {
    struct arena *arena = &call->arena;
    new_topic *copy = ARENA_NEW(arena, new_topic);
    bool assigned = topic->assignment_count > 0;
    copy->name = name;
    copy->num_partitions = assigned || topic->partitions == 0 ? -1 : topic->partitions;
    copy->replication_factor =
        assigned || topic->replication_factor == 0 ? -1 : topic->replication_factor;
    copy->assignments = ARENA_ARRAY(arena, new_assignment, topic->assignment_count);
    copy->assignments_count = (int32_t)topic->assignment_count;
    for (size_t i = 0; i < topic->assignment_count; i++) {
        const struct ottla_replicas *replicas = &topic->assignments[i];
        copy->assignments[i].partition_index = (int32_t)i;
        copy->assignments[i].broker_ids =
            (int32_t *)admin_replicas(call, replicas->brokers, (int32_t)replicas->count).brokers;
        copy->assignments[i].broker_ids_count = (int32_t)replicas->count;
    }
    copy->configs = ARENA_ARRAY(arena, new_config, topic->config_count);
    copy->configs_count = (int32_t)topic->config_count;
    for (size_t i = 0; i < topic->config_count; i++) {
        copy->configs[i].name = arena_str(arena, str_from_c(topic->configs[i].name));
        copy->configs[i].value = arena_str(arena, str_from_c(topic->configs[i].value));
    }
    return copy;
}

static err_t create_build(struct admin_part *part, int16_t version, struct arena *arena,
                          const void **ret_request) {
    (void)version;
    struct create_topics_request *request = ADMIN_REQUEST(arena, create_topics_request);
    request->topics = ARENA_ARRAY(arena, new_topic, part->item_count);
    request->topics_count = (int32_t)part->item_count;
    for (size_t i = 0; i < part->item_count; i++) {
        request->topics[i] = *(const new_topic *)part->items[i]->input;
    }
    request->timeout_ms = admin_timeout_ms(part->call);
    request->validate_only = part->call->options.validate_only;
    *ret_request = request;
    return ERR_OK;
}

static void take_created(struct ottla_call *call, struct ottla_topic_result *result,
                         const struct create_topics_response_creatable_topic_result *topic) {
    result->id = admin_id_text(call, &topic->topic_id);
    result->partitions = topic->num_partitions;
    result->replication_factor = topic->replication_factor;
    if (topic->configs_count <= 0) {
        return;
    }
    size_t count = (size_t)topic->configs_count;
    struct ottla_config_entry *entries =
        ARENA_ARRAY(&call->arena, struct ottla_config_entry, count);
    for (size_t i = 0; i < count; i++) {
        const struct create_topics_response_creatable_topic_configs *config = &topic->configs[i];
        entries[i] = (struct ottla_config_entry){
            .name = admin_text(call, config->name),
            .value = admin_text(call, config->value),
            .source = config->config_source,
            .read_only = config->read_only,
            .sensitive = config->is_sensitive,
        };
    }
    result->configs = entries;
    result->config_count = count;
}

static void create_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct create_topics_response *answer = response;
    for (int32_t i = 0; i < answer->topics_count; i++) {
        struct admin_item *item = admin_find(part, answer->topics[i].name, 0);
        if (item != NULL && admin_item_answer(item, answer->topics[i].error_code,
                                              answer->topics[i].error_message)) {
            take_created(part->call, item->result, &answer->topics[i]);
        }
    }
}

static const struct admin_stage create_stages[] = {{
    .api_key = API_CREATE_TOPICS,
    .route = ADMIN_CONTROLLER,
    .passing = ADMIN_PASS_QUOTA,
    .build = create_build,
    .take = create_take,
}};
static const struct admin_op create_op = {
    .name = "create topics",
    .kind = ADMIN_TOPICS,
    .effect = ADMIN_VALIDATES,
    .stages = create_stages,
};

struct ottla_call *ottla_topics_create(struct ottla_client *client,
                                       const struct ottla_new_topic *topics, size_t count,
                                       const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &create_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item = topic_item(call, topics[i].name);
        item->input = copy_new_topic(call, &topics[i], item->name);
    }
    return admin_start(call);
}

/* --- delete, by name or id --- */

static err_t delete_build(struct admin_part *part, int16_t version, struct arena *arena,
                          const void **ret_request) {
    struct delete_topics_request *request = ADMIN_REQUEST(arena, delete_topics_request);
    request->topics =
        ARENA_ARRAY(arena, struct delete_topics_request_delete_topic_state, part->item_count);
    request->topic_names = ARENA_ARRAY(arena, struct str, part->item_count);
    for (size_t i = 0; i < part->item_count; i++) {
        const struct admin_item *item = part->items[i];
        if (version < 6) {
            if (item->number == ADMIN_BY_ID) {
                return ERR_UNSUPPORTED_VERSION;
            }
            request->topic_names[request->topic_names_count++] = item->name;
        } else if (item->number == ADMIN_BY_ID) {
            (void)uuid_parse(item->name, &request->topics[request->topics_count++].topic_id);
        } else {
            request->topics[request->topics_count++].name = item->name;
        }
    }
    request->timeout_ms = admin_timeout_ms(part->call);
    *ret_request = request;
    return ERR_OK;
}

static void delete_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct delete_topics_response *answer = response;
    for (int32_t i = 0; i < answer->responses_count; i++) {
        const struct delete_topics_response_deletable_topic_result *row = &answer->responses[i];
        char id[UUID_TEXT_SIZE + 1];
        uuid_format(row->topic_id, id);
        struct admin_item *item = admin_find(part, row->name, ADMIN_BY_NAME);
        item = item != NULL ? item : admin_find(part, str_from_c(id), ADMIN_BY_ID);
        if (item != NULL && admin_item_answer(item, row->error_code, row->error_message)) {
            struct ottla_topic_result *result = item->result;
            result->name = admin_text(part->call, row->name);
            result->id = admin_id_text(part->call, &row->topic_id);
        }
    }
}

static const struct admin_stage delete_stages[] = {{
    .api_key = API_DELETE_TOPICS,
    .route = ADMIN_CONTROLLER,
    .passing = ADMIN_PASS_QUOTA,
    .build = delete_build,
    .take = delete_take,
}};
static const struct admin_op delete_op = {
    .name = "delete topics",
    .kind = ADMIN_TOPICS,
    .effect = ADMIN_CHANGES,
    .stages = delete_stages,
};

struct ottla_call *ottla_topics_delete(struct ottla_client *client,
                                       const struct ottla_topic_ref *topics, size_t count,
                                       const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &delete_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item = admin_topic_add(call, &topics[i]);
        struct ottla_topic_result *result = topic_result(call, item, topics[i].name);
        result->id = admin_text(call, str_from_c(topics[i].id));
    }
    return admin_start(call);
}

/* --- more partitions --- */

typedef struct create_partitions_request_create_partitions_topic more_topic;
typedef struct create_partitions_request_create_partitions_assignment more_assignment;

static more_topic *copy_more(struct ottla_call *call, const struct ottla_new_partitions *topic,
                             struct str name) {
    more_topic *copy = ARENA_NEW(&call->arena, more_topic);
    copy->name = name;
    copy->count = topic->count;
    copy->assignments = ARENA_ARRAY(&call->arena, more_assignment, topic->assignment_count);
    copy->assignments_count = topic->assignments == NULL ? -1 : (int32_t)topic->assignment_count;
    for (size_t i = 0; i < topic->assignment_count; i++) {
        const struct ottla_replicas *replicas = &topic->assignments[i];
        copy->assignments[i].broker_ids =
            (int32_t *)admin_replicas(call, replicas->brokers, (int32_t)replicas->count).brokers;
        copy->assignments[i].broker_ids_count = (int32_t)replicas->count;
    }
    return copy;
}

static err_t more_build(struct admin_part *part, int16_t version, struct arena *arena,
                        const void **ret_request) {
    (void)version;
    struct create_partitions_request *request = ADMIN_REQUEST(arena, create_partitions_request);
    request->topics = ARENA_ARRAY(arena, more_topic, part->item_count);
    request->topics_count = (int32_t)part->item_count;
    for (size_t i = 0; i < part->item_count; i++) {
        request->topics[i] = *(const more_topic *)part->items[i]->input;
    }
    request->timeout_ms = admin_timeout_ms(part->call);
    request->validate_only = part->call->options.validate_only;
    *ret_request = request;
    return ERR_OK;
}

static void more_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct create_partitions_response *answer = response;
    for (int32_t i = 0; i < answer->results_count; i++) {
        struct admin_item *item = admin_find(part, answer->results[i].name, 0);
        if (item != NULL) {
            (void)admin_item_answer(item, answer->results[i].error_code,
                                    answer->results[i].error_message);
        }
    }
}

static const struct admin_stage more_stages[] = {{
    .api_key = API_CREATE_PARTITIONS,
    .route = ADMIN_CONTROLLER,
    .passing = ADMIN_PASS_QUOTA,
    .build = more_build,
    .take = more_take,
}};
static const struct admin_op more_op = {
    .name = "create partitions",
    .kind = ADMIN_TOPICS,
    .effect = ADMIN_VALIDATES,
    .stages = more_stages,
};

struct ottla_call *ottla_partitions_create(struct ottla_client *client,
                                           const struct ottla_new_partitions *topics, size_t count,
                                           const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &more_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item = topic_item(call, topics[i].topic);
        item->input = copy_more(call, &topics[i], item->name);
    }
    return admin_start(call);
}
