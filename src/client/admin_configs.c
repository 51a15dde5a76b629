/*
 * Settings described and changed.
 *
 * Those of a broker and of its loggers are asked of that broker, which alone knows its
 * server.properties; all others of any broker. Changes of loggers go to their broker, too, and
 * those of a broker's settings, as Kafka's clients do: so the broker can check them.
 */
#include <errno.h>
#include <stdlib.h>

#include "client/admin_int.h"
#include "wire/api_keys.h"

enum { STAGE_ANY, STAGE_BROKER };

/* The key of an item is the resource's name and type. */
static struct admin_item *resource_add(struct ottla_call *call, enum ottla_resource_type type,
                                       const char *name) {
    static const char *const types[] = {
        [OTTLA_RESOURCE_TOPIC] = "topic",
        [OTTLA_RESOURCE_BROKER] = "broker",
        [OTTLA_RESOURCE_BROKER_LOGGER] = "broker logger",
        [OTTLA_RESOURCE_CLIENT_METRICS] = "client metrics",
        [OTTLA_RESOURCE_GROUP] = "group",
    };
    bool known = (size_t)type < sizeof types / sizeof *types && types[type] != NULL;
    const char *text = name == NULL ? "" : name;
    struct admin_item *item = admin_item_add(call, str_from_c(text), (int32_t)type, "%s %s",
                                             known ? types[type] : "resource", text);
    bool of_broker = type == OTTLA_RESOURCE_BROKER || type == OTTLA_RESOURCE_BROKER_LOGGER;
    if (!known || name == NULL) {
        admin_item_end(item, OTTLA_INVALID, "a resource has a type and a name");
    } else if (of_broker && text[0] != '\0') {
        char *end;
        errno = 0;
        long id = strtol(text, &end, 10);
        if (errno != 0 || *end != '\0' || id < 0 || id > INT32_MAX) {
            admin_item_end(item, OTTLA_INVALID, "a broker's name is its number");
        }
        item->broker_id = (int32_t)id;
        item->stage = STAGE_BROKER;
    }
    return item;
}

/* --- describe --- */

typedef struct describe_configs_request_describe_configs_resource resource_request;
typedef struct describe_configs_response_describe_configs_result resource_answer;
typedef struct describe_configs_response_describe_configs_resource_result config_answer;

static err_t describe_build(struct admin_part *part, int16_t version, struct arena *arena,
                            const void **ret_request) {
    struct describe_configs_request *request = ADMIN_REQUEST(arena, describe_configs_request);
    request->resources = ARENA_ARRAY(arena, resource_request, part->item_count);
    request->resources_count = (int32_t)part->item_count;
    for (size_t i = 0; i < part->item_count; i++) {
        request->resources[i] = *(const resource_request *)part->items[i]->input;
    }
    request->include_synonyms = part->call->options.synonyms;
    request->include_documentation = version >= 3 && part->call->options.documentation;
    *ret_request = request;
    return ERR_OK;
}

static void set_synonyms(struct ottla_call *call, struct ottla_config_entry *entry,
                         const config_answer *config) {
    if (config->synonyms_count <= 0) {
        return;
    }
    size_t count = (size_t)config->synonyms_count;
    struct ottla_config_synonym *synonyms =
        ARENA_ARRAY(&call->arena, struct ottla_config_synonym, count);
    for (size_t i = 0; i < count; i++) {
        synonyms[i] = (struct ottla_config_synonym){
            .name = admin_text(call, config->synonyms[i].name),
            .value = admin_text(call, config->synonyms[i].value),
            .source = config->synonyms[i].source,
        };
    }
    entry->synonyms = synonyms;
    entry->synonym_count = count;
}

static void set_configs(struct ottla_call *call, struct ottla_resource_configs *result,
                        const resource_answer *resource) {
    size_t count = resource->configs_count > 0 ? (size_t)resource->configs_count : 0;
    struct ottla_config_entry *entries =
        ARENA_ARRAY(&call->arena, struct ottla_config_entry, count);
    for (size_t i = 0; i < count; i++) {
        const config_answer *config = &resource->configs[i];
        entries[i] = (struct ottla_config_entry){
            .name = admin_text(call, config->name),
            .value = admin_text(call, config->value),
            .source = config->config_source,
            .type = config->config_type,
            .read_only = config->read_only,
            .sensitive = config->is_sensitive,
            .documentation = admin_text(call, config->documentation),
        };
        set_synonyms(call, &entries[i], config);
    }
    result->entries = entries;
    result->entry_count = count;
}

static void describe_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct describe_configs_response *answer = response;
    for (int32_t i = 0; i < answer->results_count; i++) {
        const resource_answer *resource = &answer->results[i];
        struct admin_item *item =
            admin_find(part, resource->resource_name, resource->resource_type);
        if (item != NULL &&
            admin_item_answer(item, resource->error_code, resource->error_message)) {
            set_configs(part->call, item->result, resource);
        }
    }
}

static const struct admin_stage describe_stages[] = {
    [STAGE_ANY] = {.api_key = API_DESCRIBE_CONFIGS,
                   .route = ADMIN_ANY,
                   .again = STAGE_ANY,
                   .build = describe_build,
                   .take = describe_take},
    [STAGE_BROKER] = {.api_key = API_DESCRIBE_CONFIGS,
                      .route = ADMIN_BROKER,
                      .again = STAGE_BROKER,
                      .build = describe_build,
                      .take = describe_take},
};
static const struct admin_op describe_op = {
    .name = "describe configs",
    .kind = ADMIN_CONFIGS,
    .stages = describe_stages,
};

struct ottla_call *ottla_configs_describe(struct ottla_client *client,
                                          const struct ottla_resource *resources, size_t count,
                                          const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &describe_op, options);
    for (size_t i = 0; i < count; i++) {
        const struct ottla_resource *resource = &resources[i];
        struct admin_item *item = resource_add(call, resource->type, resource->name);
        struct ottla_resource_configs *result = admin_result_add(call);
        result->type = resource->type;
        result->name = admin_text(call, str_from_c(resource->name));
        item->result = result;
        resource_request *request = ARENA_NEW(&call->arena, resource_request);
        request->resource_type = (int8_t)resource->type;
        request->resource_name = item->name;
        request->configuration_keys = ARENA_ARRAY(&call->arena, struct str, resource->key_count);
        request->configuration_keys_count =
            resource->key_count == 0 ? -1 : (int32_t)resource->key_count;
        for (size_t k = 0; k < resource->key_count; k++) {
            request->configuration_keys[k] = arena_str(&call->arena, str_from_c(resource->keys[k]));
        }
        item->input = request;
    }
    return admin_start(call);
}

/* --- alter --- */

typedef struct incremental_alter_configs_request_alter_configs_resource alter_resource;
typedef struct incremental_alter_configs_request_alterable_config alter_config;
typedef struct alter_configs_request_alter_configs_resource replace_resource;
typedef struct alter_configs_request_alterable_config replace_config;

static err_t alter_build(struct admin_part *part, int16_t version, struct arena *arena,
                         const void **ret_request) {
    (void)version;
    struct incremental_alter_configs_request *request =
        ADMIN_REQUEST(arena, incremental_alter_configs_request);
    request->resources = ARENA_ARRAY(arena, alter_resource, part->item_count);
    request->resources_count = (int32_t)part->item_count;
    for (size_t i = 0; i < part->item_count; i++) {
        request->resources[i] = *(const alter_resource *)part->items[i]->input;
    }
    request->validate_only = part->call->options.validate_only;
    *ret_request = request;
    return ERR_OK;
}

static void alter_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct incremental_alter_configs_response *answer = response;
    for (int32_t i = 0; i < answer->responses_count; i++) {
        struct admin_item *item = admin_find(part, answer->responses[i].resource_name,
                                             answer->responses[i].resource_type);
        if (item != NULL) {
            (void)admin_item_answer(item, answer->responses[i].error_code,
                                    answer->responses[i].error_message);
        }
    }
}

static err_t replace_build(struct admin_part *part, int16_t version, struct arena *arena,
                           const void **ret_request) {
    (void)version;
    struct alter_configs_request *request = ADMIN_REQUEST(arena, alter_configs_request);
    request->resources = ARENA_ARRAY(arena, replace_resource, part->item_count);
    request->resources_count = (int32_t)part->item_count;
    for (size_t i = 0; i < part->item_count; i++) {
        const alter_resource *from = part->items[i]->input;
        replace_resource *to = &request->resources[i];
        to->resource_type = from->resource_type;
        to->resource_name = from->resource_name;
        to->configs = ARENA_ARRAY(arena, replace_config, (size_t)from->configs_count);
        to->configs_count = from->configs_count;
        for (int32_t k = 0; k < from->configs_count; k++) {
            to->configs[k].name = from->configs[k].name;
            to->configs[k].value = from->configs[k].value;
        }
    }
    request->validate_only = part->call->options.validate_only;
    *ret_request = request;
    return ERR_OK;
}

static void replace_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct alter_configs_response *answer = response;
    for (int32_t i = 0; i < answer->responses_count; i++) {
        struct admin_item *item = admin_find(part, answer->responses[i].resource_name,
                                             answer->responses[i].resource_type);
        if (item != NULL) {
            (void)admin_item_answer(item, answer->responses[i].error_code,
                                    answer->responses[i].error_message);
        }
    }
}

#define CHANGE_STAGE(stage, key, place, name)                                                      \
    [stage] = {.api_key = (key),                                                                   \
               .route = (place),                                                                   \
               .again = (stage),                                                                   \
               .passing = ADMIN_PASS_QUOTA,                                                        \
               .build = name##_build,                                                              \
               .take = name##_take}
static const struct admin_stage alter_stages[] = {
    CHANGE_STAGE(STAGE_ANY, API_INCREMENTAL_ALTER_CONFIGS, ADMIN_CONTROLLER, alter),
    CHANGE_STAGE(STAGE_BROKER, API_INCREMENTAL_ALTER_CONFIGS, ADMIN_BROKER, alter),
};
static const struct admin_stage replace_stages[] = {
    CHANGE_STAGE(STAGE_ANY, API_ALTER_CONFIGS, ADMIN_CONTROLLER, replace),
    CHANGE_STAGE(STAGE_BROKER, API_ALTER_CONFIGS, ADMIN_BROKER, replace),
};
static const struct admin_op alter_op = {
    .name = "alter configs",
    .kind = ADMIN_RESOURCES,
    .effect = ADMIN_VALIDATES,
    .stages = alter_stages,
};
static const struct admin_op replace_op = {
    .name = "replace configs",
    .kind = ADMIN_RESOURCES,
    .effect = ADMIN_VALIDATES,
    .stages = replace_stages,
};

static void change_add(struct ottla_call *call, const struct ottla_resource_change *change) {
    struct admin_item *item = resource_add(call, change->type, change->name);
    struct ottla_resource_result *result = admin_result_add(call);
    result->type = change->type;
    result->name = admin_text(call, str_from_c(change->name));
    item->result = result;
    alter_resource *request = ARENA_NEW(&call->arena, alter_resource);
    request->resource_type = (int8_t)change->type;
    request->resource_name = item->name;
    request->configs = ARENA_ARRAY(&call->arena, alter_config, change->change_count);
    request->configs_count = (int32_t)change->change_count;
    for (size_t i = 0; i < change->change_count; i++) {
        const struct ottla_config_change *from = &change->changes[i];
        alter_config *to = &request->configs[i];
        to->name = arena_str(&call->arena, str_from_c(from->name == NULL ? "" : from->name));
        to->config_operation = (int8_t)from->op;
        to->value = arena_str(&call->arena, str_from_c(from->value));
        if (call->op == &replace_op && from->op != OTTLA_CONFIG_SET) {
            admin_item_end(item, OTTLA_INVALID, "AlterConfigs can only set");
        }
    }
    item->input = request;
}

static struct ottla_call *change(struct ottla_client *client, const struct admin_op *op,
                                 const struct ottla_resource_change *resources, size_t count,
                                 const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, op, options);
    for (size_t i = 0; i < count; i++) {
        change_add(call, &resources[i]);
    }
    return admin_start(call);
}

struct ottla_call *ottla_configs_alter(struct ottla_client *client,
                                       const struct ottla_resource_change *resources, size_t count,
                                       const struct ottla_admin_options *options) {
    return change(client, &alter_op, resources, count, options);
}

struct ottla_call *ottla_configs_replace(struct ottla_client *client,
                                         const struct ottla_resource_change *resources,
                                         size_t count, const struct ottla_admin_options *options) {
    return change(client, &replace_op, resources, count, options);
}

/* --- what has settings --- */

static err_t list_build(struct admin_part *part, int16_t version, struct arena *arena,
                        const void **ret_request) {
    struct list_config_resources_request *request =
        ADMIN_REQUEST(arena, list_config_resources_request);
    const struct list_config_resources_request *wanted = part->call->input;
    if (version == 0 && (wanted->resource_types_count != 1 ||
                         wanted->resource_types[0] != OTTLA_RESOURCE_CLIENT_METRICS)) {
        return ERR_UNSUPPORTED_VERSION; /* it lists client metrics only */
    }
    if (version > 0) {
        *request = *wanted;
    }
    *ret_request = request;
    return ERR_OK;
}

static void list_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct list_config_resources_response *answer = response;
    if (!admin_part_answer(part, answer->error_code, STR_NULL)) {
        return;
    }
    for (int32_t i = 0; i < answer->config_resources_count; i++) {
        struct ottla_resource_result *result = admin_result_add(part->call);
        result->type = (enum ottla_resource_type)answer->config_resources[i].resource_type;
        result->name = admin_text(part->call, answer->config_resources[i].resource_name);
    }
    admin_item_end(part->items[0], OTTLA_OK, NULL);
}

static const struct admin_stage list_stages[] = {
    {.api_key = API_LIST_CONFIG_RESOURCES,
     .route = ADMIN_ANY,
     .build = list_build,
     .take = list_take},
};
static const struct admin_op list_op = {
    .name = "list resources",
    .kind = ADMIN_RESOURCES,
    .stages = list_stages,
};

struct ottla_call *ottla_resources_list(struct ottla_client *client,
                                        const enum ottla_resource_type *types, size_t count,
                                        const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &list_op, options);
    struct list_config_resources_request *wanted =
        ADMIN_REQUEST(&call->arena, list_config_resources_request);
    wanted->resource_types = ARENA_ARRAY(&call->arena, int8_t, count);
    wanted->resource_types_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        wanted->resource_types[i] = (int8_t)types[i];
    }
    call->input = wanted;
    (void)admin_item_whole(call);
    return admin_start(call);
}
