/*
 * DescribeConfigs: the settings in force of topics, brokers, groups and client-metrics
 * subscriptions, with where each value comes from, and the levels of loggers.
 *
 * Answered from the image and the node's file, the same on both kinds of listener. A kind of
 * resource that Kafka does not know fails the whole request. A request for many resources is
 * answered in slices between which the reactor serves others, over one image.
 */
#include "base/limits.h"
#include "base/map.h"
#include "meta/topic_name.h"
#include "replica/topic_config.h"
#include "server/handlers/handlers.h"
#include "server/handlers/loggers.h"
#include "server/handlers/node_name.h"
#include "server/node_int.h"

typedef struct describe_configs_request_describe_configs_resource resource_request;
typedef struct describe_configs_response_describe_configs_result resource_answer;
typedef struct describe_configs_response_describe_configs_resource_result config_answer;
typedef struct describe_configs_response_describe_configs_synonym synonym_answer;

/* Resources described in one slice; each costs up to some 100 microseconds. */
enum { RESOURCES_AT_ONCE = 8 };

struct description {
    struct sys_task task;
    struct request *request;
    struct meta_image *image;
    struct describe_configs_response response;
    int32_t next;

    /* Of the resource that is being described: */
    struct arena scratch;
    const resource_request *asked;
    resource_answer *answer;
    struct map wanted; /* names; when not all are */
};

static err_t refuse(struct description *description, err_t err, struct str message) {
    description->answer->error_message = message;
    return err;
}

static bool is_wanted(const struct description *description, struct str name) {
    return description->asked->configuration_keys_count <= 0 ||
           map_get(&description->wanted, str_bytes(name)) != NULL;
}

/* --- entries --- */

static void fill_synonyms(struct description *description, const struct config_entry *entry,
                          bool defaults_only, config_answer *answer) {
    struct arena *arena = &description->request->arena;
    answer->synonyms = ARENA_ARRAY(arena, synonym_answer, entry->synonym_count);
    for (int32_t i = 0; i < entry->synonym_count; i++) {
        const struct config_synonym *synonym = &entry->synonyms[i];
        if (!defaults_only || synonym->source == CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER) {
            answer->synonyms[answer->synonyms_count++] =
                (synonym_answer){.name = synonym->name,
                                 .value = arena_str(arena, synonym->value),
                                 .source = (int8_t)synonym->source};
        }
    }
}

static void add_key(struct description *description, const struct config_layers *layers,
                    enum config_key key, bool defaults_only) {
    struct request *request = description->request;
    const struct describe_configs_request *message = request->message;
    const struct config_row *row = config_row(key);
    struct config_entry entry;
    arena_reset(&description->scratch);
    config_describe(layers, key, &description->scratch, &entry);
    config_answer *answer = &description->answer->configs[description->answer->configs_count++];
    *answer = (config_answer){
        .name = entry.name,
        .value = arena_str(&request->arena, entry.value),
        .read_only = entry.read_only,
        .config_source = (int8_t)entry.source,
        .is_sensitive = entry.sensitive,
        .config_type = config_type_code(row->type),
        .documentation = message->include_documentation ? str_from_c(row->doc) : STR_NULL,
    };
    if (message->include_synonyms) {
        fill_synonyms(description, &entry, defaults_only, answer);
    }
}

/* Kafka shows what is internal only when the file sets it. */
static bool is_hidden(const struct description *description, enum config_key key) {
    const struct config_row *row = config_row(key);
    const struct config *file = description->request->node->settings.config;
    bool set = row->scope == CONFIG_BROKER && config_is_set(file, key);
    return row->dynamic_only || (row->internal && !set);
}

static void add_scope(struct description *description, enum config_scope scope,
                      const struct config_layers *layers) {
    enum config_key first = config_scope_first(scope);
    enum config_key end = config_scope_end(scope);
    description->answer->configs =
        ARENA_ARRAY(&description->request->arena, config_answer, (size_t)(end - first));
    for (enum config_key key = first; key < end; key++) {
        const struct config_row *row = config_row(key);
        if (!is_hidden(description, key) && is_wanted(description, str_from_c(row->name))) {
            add_key(description, layers, key, false);
        }
    }
}

static void read_layers(const struct description *description, struct config_layers *ret_layers) {
    struct request *request = description->request;
    topic_config_layers(description->image, description->asked->resource_type,
                        description->asked->resource_name, request->node->node_id,
                        request->node->settings.config, ret_layers);
}

/* --- kinds of resources --- */

static err_t describe_topic(struct description *description) {
    struct request *request = description->request;
    struct str name = description->asked->resource_name;
    struct str fault = topic_name_fault(name, &request->arena);
    if (fault.data != NULL) {
        return refuse(description, ERR_INVALID_TOPIC_EXCEPTION, fault);
    }
    if (meta_image_topic(description->image, name) == NULL) {
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    struct config_layers layers;
    read_layers(description, &layers);
    add_scope(description, CONFIG_TOPIC, &layers);
    return ERR_OK;
}

/* What is set for all brokers, and nothing else. */
static void describe_broker_defaults(struct description *description) {
    struct request *request = description->request;
    const struct meta_config_resource *resource =
        meta_image_config_resource(request_image(request), META_RESOURCE_BROKER, STR(""));
    if (resource == NULL) {
        return;
    }
    struct config_layers layers;
    read_layers(description, &layers);
    layers.broker = (struct config_lookup){0};
    description->answer->configs =
        ARENA_ARRAY(&request->arena, config_answer, resource->configs.count);
    struct pmap_walk walk;
    const struct meta_config *config;
    pmap_for_each(&walk, &resource->configs, config) {
        enum config_key key;
        if (is_wanted(description, config->name) &&
            config_find(CONFIG_BROKER, config->name, &key) == ERR_OK) {
            add_key(description, &layers, key, true);
        }
    }
}

static err_t check_broker_name(struct description *description, bool logger) {
    struct request *request = description->request;
    struct str name = description->asked->resource_name;
    int32_t id;
    if (!node_name_parse(name, &id)) {
        return refuse(description, ERR_INVALID_REQUEST,
                      arena_printf(&request->arena, "Broker id must be an integer, but it is: %.*s",
                                   STR_ARGS(name)));
    }
    if (id != request->node->node_id) {
        return refuse(description, ERR_INVALID_REQUEST,
                      arena_printf(&request->arena,
                                   "Unexpected broker id, expected %d%s but received %.*s",
                                   (int)request->node->node_id, logger ? "" : " or empty string,",
                                   STR_ARGS(name)));
    }
    return ERR_OK;
}

static err_t describe_broker(struct description *description) {
    if (description->asked->resource_name.size == 0) {
        describe_broker_defaults(description);
        return ERR_OK;
    }
    err_t err = check_broker_name(description, false);
    if (err == ERR_OK) {
        struct config_layers layers;
        read_layers(description, &layers);
        add_scope(description, CONFIG_BROKER, &layers);
    }
    return err;
}

static err_t describe_loggers(struct description *description) {
    struct request *request = description->request;
    if (description->asked->resource_name.size == 0) {
        return refuse(description, ERR_INVALID_REQUEST, STR("Broker id must not be empty"));
    }
    err_t err = check_broker_name(description, true);
    if (err != ERR_OK) {
        return err;
    }
    resource_answer *answer = description->answer;
    answer->configs = ARENA_ARRAY(&request->arena, config_answer, 1 + TEXT_LOG_COMPONENT_MAX);
    for (int i = 0; logger_name(i).data != NULL; i++) {
        if (is_wanted(description, logger_name(i))) {
            answer->configs[answer->configs_count++] =
                (config_answer){.name = logger_name(i),
                                .value = logger_level(request->node, i),
                                .config_source = CONFIG_SOURCE_DYNAMIC_BROKER_LOGGER,
                                .documentation = STR("")};
        }
    }
    return ERR_OK;
}

/* Groups and client-metrics subscriptions need not exist to be described. */
static err_t describe_named(struct description *description, enum config_scope scope,
                            struct str nameless) {
    if (description->asked->resource_name.size == 0) {
        return refuse(description, ERR_INVALID_REQUEST, nameless);
    }
    struct config_layers layers;
    read_layers(description, &layers);
    add_scope(description, scope, &layers);
    return ERR_OK;
}

static err_t describe(struct description *description) {
    switch (description->asked->resource_type) {
    case META_RESOURCE_TOPIC:
        return describe_topic(description);
    case META_RESOURCE_BROKER:
        return describe_broker(description);
    case META_RESOURCE_BROKER_LOGGER:
        return describe_loggers(description);
    case META_RESOURCE_GROUP:
        return describe_named(description, CONFIG_GROUP, STR("Group name must not be empty"));
    default:
        return describe_named(description, CONFIG_CLIENT_METRICS,
                              STR("Client metrics subscription name must not be empty"));
    }
}

/* --- the request --- */

static bool type_known(int8_t type) {
    return type == META_RESOURCE_TOPIC || type == META_RESOURCE_BROKER ||
           type == META_RESOURCE_BROKER_LOGGER || type == META_RESOURCE_GROUP ||
           type == META_RESOURCE_CLIENT_METRICS;
}

static resource_answer empty_answer(const resource_request *asked, err_t err, struct str message) {
    return (resource_answer){
        .error_code = err_kafka_code(err),
        .error_message = message,
        .resource_type = asked->resource_type,
        .resource_name = asked->resource_name,
    };
}

static void describe_resource(struct description *description, const resource_request *asked,
                              resource_answer *answer) {
    *answer = empty_answer(asked, ERR_OK, STR(""));
    description->asked = asked;
    description->answer = answer;
    map_init(&description->wanted);
    for (int32_t i = 0; i < asked->configuration_keys_count; i++) {
        map_put(&description->wanted, str_bytes(asked->configuration_keys[i]),
                &asked->configuration_keys[i]);
    }
    answer->error_code = err_kafka_code(describe(description));
    map_done(&description->wanted);
}

static bool is_too_large(const struct description *description) {
    return description->request->arena.used > SERVER_ANSWER_BYTES_MAX;
}

/* False: all are described, or more than can be sent. */
static bool describe_some(struct description *description) {
    const struct describe_configs_request *message = description->request->message;
    for (int i = 0; i < RESOURCES_AT_ONCE; i++) {
        if (description->next == message->resources_count || is_too_large(description)) {
            return false;
        }
        describe_resource(description, &message->resources[description->next],
                          &description->response.results[description->next]);
        description->next++;
    }
    return true;
}

static void respond(struct description *description) {
    arena_done(&description->scratch);
    meta_image_unref(description->image);
    if (is_too_large(description)) {
        request_close(description->request, "it asks for a description of more than we send");
    } else {
        request_respond(description->request, &description->response);
    }
}

static void describe_on(struct sys_task *task) {
    struct description *description = container_of(task, struct description, task);
    if (describe_some(description)) {
        sys_loop_post(description->request->reactor->loop, &description->task);
    } else {
        respond(description);
    }
}

static void refuse_all(struct request *request, struct describe_configs_response *response) {
    const struct describe_configs_request *message = request->message;
    for (int32_t i = 0; i < message->resources_count; i++) {
        response->results[i] = empty_answer(
            &message->resources[i], ERR_INVALID_REQUEST,
            STR("This most likely occurs because of a request being malformed by the client "
                "library or the message was sent to an incompatible broker. See the broker logs "
                "for more details."));
    }
    request_respond(request, response);
}

static void begin(struct description *description) {
    struct request *request = description->request;
    description->image = meta_image_ref(request->reactor->image);
    arena_init(&description->scratch, SIZE_MAX);
    if (describe_some(description)) {
        net_request_park(request->net);
        description->task.run = describe_on;
        sys_loop_post(request->reactor->loop, &description->task);
    } else {
        respond(description);
    }
}

void handle_describe_configs(struct request *request) {
    const struct describe_configs_request *message = request->message;
    struct description *description = ARENA_NEW(&request->arena, struct description);
    struct describe_configs_response *response = &description->response;
    description->request = request;
    wire_init(&describe_configs_response_type, response);
    response->results = ARENA_ARRAY(&request->arena, resource_answer, message->resources_count);
    response->results_count = message->resources_count;
    bool all_known = true;
    for (int32_t i = 0; i < message->resources_count; i++) {
        all_known &= type_known(message->resources[i].resource_type);
    }
    if (all_known) {
        begin(description);
    } else {
        refuse_all(request, response);
    }
}
