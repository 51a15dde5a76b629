/*
 * IncrementalAlterConfigs and AlterConfigs, and the settings of a topic that is created. Each turns
 * a part of its request into operations on a resource; alteration.c carries them out.
 */
#include "base/duplicates.h"
#include "controller/alteration.h"

/* A changed min.insync.replicas makes eligible leader replicas of before meaningless. */
static void add_clear_elr(struct controller *controller, struct strand_output *output) {
    if (!feature_elr_enabled(controller->image)) {
        return;
    }
    int32_t count = output->record_count;
    for (int32_t i = 0; i < count; i++) {
        const struct meta_record *record = output->records[i];
        const struct config_record *config = record->message;
        if (record->type != META_RECORD_CONFIG ||
            !str_equal(config->name, STR("min.insync.replicas"))) {
            continue;
        }
        struct clear_elr_record *clear = record_add(controller, output, META_RECORD_CLEAR_ELR);
        if (config->resource_type == META_RESOURCE_TOPIC) {
            clear->topic_name = config->resource_name;
        }
    }
}

/* --- a topic that is about to be created --- */

struct api_error configs_for_new_topic(struct controller *controller, struct arena *arena,
                                       const struct create_topics_request_creatable_topic *topic,
                                       struct strand_output *output) {
    if (topic->configs_count <= 0) {
        return topic_check_name(topic->name, arena);
    }
    struct alteration alteration = {
        .controller = controller,
        .arena = arena,
        .type = META_RESOURCE_TOPIC,
        .name = topic->name,
        .ops = ARENA_ARRAY(arena, struct op, (size_t)topic->configs_count),
        .new_resource = true,
    };
    struct str nulls = STR_NULL;
    struct map named;
    map_init(&named);
    for (int32_t i = 0; i < topic->configs_count; i++) {
        const struct create_topics_request_creatable_topic_config *config = &topic->configs[i];
        if (config->value.data == NULL) {
            nulls = arena_list(arena, nulls, ",", config->name);
            continue;
        }
        struct op *op = map_get(&named, str_bytes(config->name));
        if (op == NULL) {
            op = &alteration.ops[alteration.op_count++];
            map_put(&named, str_bytes(config->name), op);
        }
        *op = (struct op){config->name, OP_SET, config->value}; /* the last value counts */
    }
    map_done(&named);
    if (nulls.data != NULL) {
        return api_error(arena, ERR_INVALID_CONFIG,
                         "Null value not supported for topic configs: %.*s", STR_ARGS(nulls));
    }
    struct api_error error = alteration_run(&alteration, output);
    if (error.err == ERR_OK) {
        add_clear_elr(controller, output);
    }
    return error;
}

/* --- the resources of a request --- */

/* Those that are answered, in order, and what is wrong with them as such. */
struct resources {
    int32_t *order;
    int32_t count;
    struct api_error *errors; /* by their place in the request */
};

/* Kind and name, as one key. */
static struct bytes resource_key(struct arena *arena, int8_t type, struct str name) {
    uint8_t *key = arena_alloc(arena, name.size + 1);
    key[0] = (uint8_t)type;
    memcpy(key + 1, name.data, name.size);
    return (struct bytes){key, name.size + 1};
}

static bool is_kind(int8_t type) {
    return type == META_RESOURCE_TOPIC || type == META_RESOURCE_BROKER ||
           type == META_RESOURCE_BROKER_LOGGER || type == META_RESOURCE_CLIENT_METRICS ||
           type == META_RESOURCE_GROUP;
}

static struct api_error check_resource(const struct controller_call *call, int8_t type,
                                       bool twice) {
    if (call->direct && !is_kind(type)) {
        return api_error(call->arena, ERR_UNSUPPORTED_VERSION, "Unknown resource type %d.", type);
    }
    if (twice) {
        return api_error(call->arena, ERR_INVALID_REQUEST,
                         call->direct ? "Duplicate resource."
                                      : "Each resource must appear at most once.");
    }
    if (call->direct && type == META_RESOURCE_BROKER_LOGGER) {
        return api_error(call->arena, ERR_INVALID_REQUEST,
                         "Unexpected resource type BROKER_LOGGER.");
    }
    return API_OK;
}

/* A broker answers each resource in its place. A controller begins with those that it cannot even
 * look at; one that is named twice it answers once, when it sees it again. */
static void check_resources(const struct controller_call *call, const struct bytes *keys,
                            int32_t count, struct resources *ret_resources) {
    struct resources found = {
        .order = ARENA_ARRAY(call->arena, int32_t, (size_t)count),
        .errors = ARENA_ARRAY(call->arena, struct api_error, (size_t)count),
    };
    struct duplicates duplicates;
    duplicates_find(call->arena, keys, count, &duplicates);
    struct map told;
    map_init(&told);
    for (int32_t i = 0; i < count; i++) {
        int8_t type = (int8_t)keys[i].data[0];
        found.errors[i] = check_resource(call, type, duplicates.twice[i]);
        if (!call->direct || !is_kind(type) ||
            (duplicates.again[i] && map_put(&told, keys[i], &found) == NULL)) {
            found.order[found.count++] = i;
        }
    }
    map_done(&told);
    for (int32_t i = 0; i < count && call->direct; i++) {
        if (is_kind((int8_t)keys[i].data[0]) && !duplicates.twice[i]) {
            found.order[found.count++] = i;
        }
    }
    *ret_resources = found;
}

/* Those with an error got it while they were carried out, or before. */
static void alter(const struct controller_call *call, struct alteration *alterations, int32_t count,
                  bool validate_only, struct strand_output *output,
                  struct resources *ret_resources) {
    struct bytes *keys = ARENA_ARRAY(call->arena, struct bytes, (size_t)count);
    for (int32_t i = 0; i < count; i++) {
        keys[i] = resource_key(call->arena, alterations[i].type, alterations[i].name);
    }
    check_resources(call, keys, count, ret_resources);
    for (int32_t k = 0; k < ret_resources->count; k++) {
        int32_t i = ret_resources->order[k];
        struct api_error *error = &ret_resources->errors[i];
        if (error->err == ERR_OK) {
            *error = call->direct ? alteration_run_direct(&alterations[i], output)
                                  : alteration_check_and_run(&alterations[i], output);
        }
    }
    add_clear_elr(call->controller, output);
    if (validate_only) {
        output->record_count = 0;
    }
}

static struct alteration alteration_of(const struct controller_call *call, int8_t type,
                                       struct str name, int32_t op_count, bool replace) {
    return (struct alteration){
        .controller = call->controller,
        .arena = call->arena,
        .type = type,
        .name = name,
        .ops = ARENA_ARRAY(call->arena, struct op, (size_t)op_count + 1),
        .op_count = op_count,
        .replace = replace,
    };
}

/* --- IncrementalAlterConfigs --- */

static struct alteration incremental_alteration(
    const struct controller_call *call,
    const struct incremental_alter_configs_request_alter_configs_resource *from) {
    struct alteration alteration =
        alteration_of(call, from->resource_type, from->resource_name, from->configs_count, false);
    for (int32_t i = 0; i < from->configs_count; i++) {
        alteration.ops[i] = (struct op){from->configs[i].name, from->configs[i].config_operation,
                                        from->configs[i].value};
    }
    return alteration;
}

static err_t incremental_alter_configs_step(struct controller_call *call,
                                            const struct strand_input *input,
                                            struct strand_output *output) {
    (void)input;
    const struct incremental_alter_configs_request *request = call->request;
    struct incremental_alter_configs_response *response = call->response;
    size_t count = (size_t)request->resources_count;
    struct alteration *alterations = ARENA_ARRAY(call->arena, struct alteration, count);
    for (size_t i = 0; i < count; i++) {
        alterations[i] = incremental_alteration(call, &request->resources[i]);
    }
    struct resources resources;
    alter(call, alterations, request->resources_count, request->validate_only, output, &resources);
    response->responses = ARENA_ARRAY(
        call->arena, struct incremental_alter_configs_response_alter_configs_resource_response,
        count);
    response->responses_count = resources.count;
    for (int32_t k = 0; k < resources.count; k++) {
        int32_t i = resources.order[k];
        response->responses[k] =
            (struct incremental_alter_configs_response_alter_configs_resource_response){
                .error_code = err_kafka_code(resources.errors[i].err),
                .error_message = resources.errors[i].message,
                .resource_type = request->resources[i].resource_type,
                .resource_name = request->resources[i].resource_name,
            };
    }
    return ERR_OK;
}

void controller_incremental_alter_configs(struct controller *controller,
                                          struct controller_call *call,
                                          const struct incremental_alter_configs_request *request,
                                          struct incremental_alter_configs_response *response) {
    wire_init(&incremental_alter_configs_response_type, response);
    controller_call_start(controller, call, incremental_alter_configs_step, request, response);
}

/* --- AlterConfigs --- */

static struct alteration
legacy_alteration(const struct controller_call *call,
                  const struct alter_configs_request_alter_configs_resource *from) {
    struct alteration alteration =
        alteration_of(call, from->resource_type, from->resource_name, from->configs_count, true);
    for (int32_t i = 0; i < from->configs_count; i++) {
        alteration.ops[i] = (struct op){from->configs[i].name, OP_SET, from->configs[i].value};
    }
    return alteration;
}

static err_t alter_configs_step(struct controller_call *call, const struct strand_input *input,
                                struct strand_output *output) {
    (void)input;
    const struct alter_configs_request *request = call->request;
    struct alter_configs_response *response = call->response;
    size_t count = (size_t)request->resources_count;
    struct alteration *alterations = ARENA_ARRAY(call->arena, struct alteration, count);
    for (size_t i = 0; i < count; i++) {
        alterations[i] = legacy_alteration(call, &request->resources[i]);
    }
    struct resources resources;
    alter(call, alterations, request->resources_count, request->validate_only, output, &resources);
    response->responses = ARENA_ARRAY(
        call->arena, struct alter_configs_response_alter_configs_resource_response, count);
    response->responses_count = resources.count;
    for (int32_t k = 0; k < resources.count; k++) {
        int32_t i = resources.order[k];
        response->responses[k] = (struct alter_configs_response_alter_configs_resource_response){
            .error_code = err_kafka_code(resources.errors[i].err),
            .error_message = resources.errors[i].message,
            .resource_type = request->resources[i].resource_type,
            .resource_name = request->resources[i].resource_name,
        };
    }
    return ERR_OK;
}

void controller_alter_configs(struct controller *controller, struct controller_call *call,
                              const struct alter_configs_request *request,
                              struct alter_configs_response *response) {
    wire_init(&alter_configs_response_type, response);
    controller_call_start(controller, call, alter_configs_step, request, response);
}
