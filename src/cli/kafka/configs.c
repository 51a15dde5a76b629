/* kafka-configs: what is asked for, and --describe; --alter has its own file. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/kafka/configs_int.h"
#include "cli/kafka/tools.h"

static const struct configs_kind kinds[] = {
    {"topics", "topic", NULL, OTTLA_RESOURCE_TOPIC, OTTLA_SOURCE_TOPIC},
    {"clients", "client", "client-defaults", 0, 0},
    {"users", "user", "user-defaults", 0, 0},
    {"brokers", "broker", "broker-defaults", OTTLA_RESOURCE_BROKER, OTTLA_SOURCE_BROKER},
    {"ips", "ip", "ip-defaults", 0, 0},
    {"client-metrics", "client-metrics", NULL, OTTLA_RESOURCE_CLIENT_METRICS,
     OTTLA_SOURCE_CLIENT_METRICS},
    {"groups", "group", NULL, OTTLA_RESOURCE_GROUP, OTTLA_SOURCE_GROUP},
    {"broker-loggers", "broker-logger", NULL, OTTLA_RESOURCE_BROKER_LOGGER, 0},
};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0], ENTITIES_MAX = 2 };

int configs_fail(struct tool *tool, int code, const char *text) {
    fputs("Error while executing config command with args '", stderr);
    tool_print_arguments(tool, stderr);
    return tool_fail(tool, "'\n%s: %s", tool_exception(tool, code), tool_error_text(code, text));
}

const char *configs_singular(struct tool *tool, const struct configs_kind *kind) {
    return arena_printf(tool_arena(tool), "%.*s", (int)strlen(kind->name) - 1, kind->name).data;
}

/* --- which entities --- */

struct entities {
    struct configs_entity items[ENTITIES_MAX];
    size_t count;
};

/* Of --entity-type and of the flags that stand for one. */
static bool add_entity(struct tool *tool, struct entities *entities,
                       const struct configs_kind *kind, const char *name) {
    for (size_t i = 0; i < entities->count; i++) {
        if (entities->items[i].kind == kind) {
            (void)tool_fail(tool, "Duplicate entity type(s) specified: %s", kind->name);
            return false;
        }
    }
    if (entities->count == ENTITIES_MAX) {
        (void)tool_fail(tool, "Only 'users' and 'clients' entity types may be specified together");
        return false;
    }
    entities->items[entities->count++] = (struct configs_entity){kind, name};
    return true;
}

static const struct configs_kind *find_kind(const char *name) {
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

static bool add_typed(struct tool *tool, struct entities *entities) {
    const char *const *types;
    const char *const *names;
    size_t count = tool_texts(tool, "entity-type", &types);
    size_t name_count = tool_texts(tool, "entity-name", &names);
    for (size_t i = 0; i < count; i++) {
        const struct configs_kind *kind = find_kind(types[i]);
        if (kind == NULL) {
            (void)tool_fail(tool,
                            "Invalid entity type %s, the entity type must be one of topics, "
                            "clients, users, brokers, ips, client-metrics, groups, "
                            "broker-loggers with a --bootstrap-server or "
                            "--bootstrap-controller argument",
                            types[i]);
            return false;
        }
        const char *name = i < name_count ? names[i] : tool_has(tool, "entity-default") ? "" : NULL;
        if (!add_entity(tool, entities, kind, name)) {
            return false;
        }
    }
    return true;
}

static bool find_entities(struct tool *tool, struct entities *ret_entities) {
    *ret_entities = (struct entities){0};
    if (!add_typed(tool, ret_entities)) {
        return false;
    }
    bool flags = false;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        bool named = tool_has(tool, kinds[i].flag);
        bool defaults = kinds[i].defaults != NULL && tool_has(tool, kinds[i].defaults);
        flags = flags || named || defaults;
        if ((named || defaults) && !add_entity(tool, ret_entities, &kinds[i],
                                               named ? tool_text(tool, kinds[i].flag) : "")) {
            return false;
        }
    }
    if (ret_entities->count == 0) {
        (void)tool_fail(tool, "At least one entity type must be specified");
        return false;
    }
    if (ret_entities->count == 2 && (ret_entities->items[0].kind->resource != 0 ||
                                     ret_entities->items[1].kind->resource != 0)) {
        (void)tool_fail(tool, "Only 'users' and 'clients' entity types may be specified together");
        return false;
    }
    if (flags && (tool_has(tool, "entity-type") || tool_has(tool, "entity-name") ||
                  tool_has(tool, "entity-default"))) {
        (void)tool_fail(tool, "--entity-{type,name,default} should not be used in conjunction with "
                              "specific entity flags");
        return false;
    }
    return true;
}

/* --- which options go together --- */

static bool is_number(const char *text) {
    char *end;
    long number = strtol(text, &end, 10);
    return end != text && *end == '\0' && number >= INT32_MIN && number <= INT32_MAX;
}

static bool check_alter(struct tool *tool, const struct configs_entity *entity) {
    bool with_default = entity->kind->defaults != NULL;
    if (entity->name == NULL && with_default) {
        (void)tool_fail(tool, "An entity-name or default entity must be specified with --alter of "
                              "users, clients, brokers or ips");
    } else if ((entity->name == NULL || entity->name[0] == '\0') && !with_default) {
        (void)tool_fail(tool, "An entity name must be specified with --alter of %s",
                        entity->kind->name);
    } else if (tool_has(tool, "add-config") && tool_has(tool, "add-config-file")) {
        (void)tool_fail(tool, "Only one of --add-config or --add-config-file must be specified");
    } else if (!tool_has(tool, "add-config") && !tool_has(tool, "add-config-file") &&
               !tool_has(tool, "delete-config")) {
        (void)tool_fail(tool, "At least one of --add-config, --add-config-file, or --delete-config "
                              "must be specified with --alter");
    } else {
        return true;
    }
    return false;
}

static bool check_entity(struct tool *tool, const struct configs_entity *entity) {
    const char *name = entity->name;
    bool of_broker = entity->kind->resource == OTTLA_RESOURCE_BROKER ||
                     entity->kind->resource == OTTLA_RESOURCE_BROKER_LOGGER;
    if (of_broker && name != NULL && name[0] != '\0' && !is_number(name)) {
        (void)tool_fail(tool,
                        "The entity name for %s must be a valid integer broker id, but it is: "
                        "%s",
                        entity->kind->name, name);
        return false;
    }
    if (tool_has(tool, "alter")) {
        return check_alter(tool, entity);
    }
    if (entity->kind->defaults == NULL && tool_has(tool, "entity-default")) {
        (void)tool_fail(tool, "--entity-default must not be specified with --describe of %s",
                        entity->kind->name);
        return false;
    }
    if (entity->kind->resource == OTTLA_RESOURCE_BROKER_LOGGER && name == NULL) {
        (void)tool_fail(tool, "An entity name must be specified with --describe of %s",
                        entity->kind->name);
        return false;
    }
    return true;
}

static bool check(struct tool *tool, struct entities *ret_entities) {
    static const char *const not_described[] = {"alter", "add-config", "delete-config", NULL};
    if (tool_has(tool, "alter") == tool_has(tool, "describe")) {
        (void)tool_usage(tool, "Command must include exactly one action: --describe, --alter");
        return false;
    }
    if (!tool_exclude(tool, "describe", not_described)) {
        return false;
    }
    if (!tool_has(tool, "bootstrap-server") && !tool_has(tool, "bootstrap-controller")) {
        (void)tool_fail(tool,
                        "Either --bootstrap-server or --bootstrap-controller must be specified.");
        return false;
    }
    if (!find_entities(tool, ret_entities)) {
        return false;
    }
    if (tool_has(tool, "bootstrap-server") && tool_has(tool, "bootstrap-controller")) {
        (void)tool_fail(
            tool, "Only one of --bootstrap-server or --bootstrap-controller can be specified");
        return false;
    }
    return check_entity(tool, &ret_entities->items[0]);
}

/* --- describe --- */

/* Names of what there is; a broker's end with "", the default of all. */
struct names {
    const char **items;
    size_t count;
};

static void add_name(struct names *names, const char *name) {
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0) {
            return;
        }
    }
    names->items[names->count++] = name;
}

static int list_topics(struct tool *tool, struct ottla_client *client, struct names *names) {
    struct ottla_admin_options options = {.internal = true};
    struct ottla_call *call = ottla_topics_list(client, &options);
    struct ottla_error error;
    int code = tool_wait(tool, call, &error);
    size_t count;
    const struct ottla_topic_description *topics = ottla_call_topic_descriptions(call, &count);
    names->items = ARENA_ARRAY(tool_arena(tool), const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        names->items[names->count++] = topics[i].name;
    }
    return code == OTTLA_OK ? TOOL_DONE : configs_fail(tool, code, error.text);
}

static int list_brokers(struct tool *tool, struct ottla_client *client, struct names *names) {
    struct ottla_call *call = ottla_cluster_describe(client, NULL);
    struct ottla_error error;
    int code = tool_wait(tool, call, &error);
    if (code != OTTLA_OK) {
        return configs_fail(tool, code, error.text);
    }
    const struct ottla_cluster *cluster = ottla_call_cluster(call);
    names->items = ARENA_ARRAY(tool_arena(tool), const char *, cluster->node_count + 1);
    for (size_t i = 0; i < cluster->node_count; i++) {
        add_name(names, arena_printf(tool_arena(tool), "%d", (int)cluster->nodes[i].id).data);
    }
    add_name(names, "");
    return TOOL_DONE;
}

/* Those with settings of their own, and the groups there are. */
static int list_resources(struct tool *tool, struct ottla_client *client,
                          enum ottla_resource_type type, struct names *names) {
    struct ottla_error error;
    struct ottla_call *call = ottla_resources_list(client, &type, 1, NULL);
    int code = tool_wait(tool, call, &error);
    if (code != OTTLA_OK) {
        return configs_fail(tool, code, error.text);
    }
    size_t count;
    size_t group_count = 0;
    const struct ottla_resource_result *resources = ottla_call_resources(call, &count);
    const struct ottla_group_listing *groups = NULL;
    if (type == OTTLA_RESOURCE_GROUP) {
        call = ottla_groups_list(client, NULL);
        code = tool_wait(tool, call, &error);
        groups = ottla_call_group_listings(call, &group_count);
    }
    names->items = ARENA_ARRAY(tool_arena(tool), const char *, count + group_count + 1);
    for (size_t i = 0; i < group_count; i++) {
        add_name(names, groups[i].group);
    }
    for (size_t i = 0; i < count; i++) {
        add_name(names, resources[i].name);
    }
    return code == OTTLA_OK ? TOOL_DONE : configs_fail(tool, code, error.text);
}

static int list(struct tool *tool, struct ottla_client *client, const struct configs_kind *kind,
                struct names *ret_names) {
    *ret_names = (struct names){0};
    switch (kind->resource) {
    case OTTLA_RESOURCE_TOPIC:
        return list_topics(tool, client, ret_names);
    case OTTLA_RESOURCE_BROKER:
    case OTTLA_RESOURCE_BROKER_LOGGER:
        return list_brokers(tool, client, ret_names);
    default:
        return list_resources(tool, client, (enum ottla_resource_type)kind->resource, ret_names);
    }
}

static int order_entries(const void *a, const void *b) {
    const struct ottla_config_entry *left = *(const struct ottla_config_entry *const *)a;
    const struct ottla_config_entry *right = *(const struct ottla_config_entry *const *)b;
    return strcmp(left->name, right->name);
}

static const char *source_name(int source) {
    static const char *const names[] = {
        [OTTLA_SOURCE_UNKNOWN] = "UNKNOWN",
        [OTTLA_SOURCE_TOPIC] = "DYNAMIC_TOPIC_CONFIG",
        [OTTLA_SOURCE_BROKER] = "DYNAMIC_BROKER_CONFIG",
        [OTTLA_SOURCE_BROKER_DEFAULT] = "DYNAMIC_DEFAULT_BROKER_CONFIG",
        [OTTLA_SOURCE_STATIC] = "STATIC_BROKER_CONFIG",
        [OTTLA_SOURCE_DEFAULT] = "DEFAULT_CONFIG",
        [OTTLA_SOURCE_BROKER_LOGGER] = "DYNAMIC_BROKER_LOGGER_CONFIG",
        [OTTLA_SOURCE_CLIENT_METRICS] = "DYNAMIC_CLIENT_METRICS_CONFIG",
        [OTTLA_SOURCE_GROUP] = "DYNAMIC_GROUP_CONFIG",
    };
    bool known = source >= 0 && (size_t)source < sizeof names / sizeof names[0];
    return names[known ? source : 0];
}

static void print_entry(const struct ottla_config_entry *entry) {
    printf("  %s=%s sensitive=%s synonyms={", entry->name,
           entry->value == NULL ? "null" : entry->value, entry->sensitive ? "true" : "false");
    for (size_t i = 0; i < entry->synonym_count; i++) {
        const struct ottla_config_synonym *synonym = &entry->synonyms[i];
        printf("%s%s:%s=%s", i == 0 ? "" : ", ", source_name(synonym->source), synonym->name,
               synonym->value == NULL ? "null" : synonym->value);
    }
    puts("}");
}

static int describe_one(struct tool *tool, struct ottla_client *client,
                        const struct configs_kind *kind, const char *name) {
    bool all = tool_has(tool, "all");
    if (name[0] == '\0') {
        printf("Default configs for %s in the cluster are:\n", kind->name);
    } else {
        printf("%s configs for %s %s are:\n", all ? "All" : "Dynamic", configs_singular(tool, kind),
               name);
    }
    struct ottla_resource resource = {(enum ottla_resource_type)kind->resource, name};
    struct ottla_admin_options options = {.synonyms = true};
    struct ottla_call *call = ottla_configs_describe(client, &resource, 1, &options);
    struct ottla_error error;
    size_t count;
    int code = ottla_call_wait(call, -1, &error);
    const struct ottla_resource_configs *configs = ottla_call_configs(call, &count);
    if (code != OTTLA_OK) {
        (void)configs_fail(tool, code, count > 0 ? configs->text : error.text);
        ottla_call_free(call);
        return TOOL_FAILED;
    }
    const struct ottla_config_entry **entries =
        ARENA_ARRAY(tool_arena(tool), const struct ottla_config_entry *, configs->entry_count + 1);
    int source = kind->resource == OTTLA_RESOURCE_BROKER && name[0] == '\0'
                     ? OTTLA_SOURCE_BROKER_DEFAULT
                     : kind->source;
    size_t shown = 0;
    for (size_t i = 0; i < configs->entry_count; i++) {
        if (all || source == 0 || configs->entries[i].source == source) {
            entries[shown++] = &configs->entries[i];
        }
    }
    qsort(entries, shown, sizeof(void *), order_entries);
    for (size_t i = 0; i < shown; i++) {
        print_entry(entries[i]);
    }
    ottla_call_free(call);
    return TOOL_DONE;
}

static bool is_topic_name(struct tool *tool, const char *name) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (name[strspn(name, letters)] != '\0') {
        (void)tool_fail(tool,
                        "Topic name is invalid: '%s' contains one or more characters other than "
                        "ASCII alphanumerics, '.', '_' and '-'",
                        name);
        return false;
    }
    return true;
}

static int describe(struct tool *tool, struct ottla_client *client,
                    const struct configs_entity *entity) {
    struct names names;
    if (entity->name != NULL && entity->kind->resource == OTTLA_RESOURCE_TOPIC &&
        !is_topic_name(tool, entity->name)) {
        return TOOL_FAILED;
    }
    bool any = entity->name != NULL && (tool_has(tool, "all") || entity->name[0] == '\0');
    if (any) {
        return describe_one(tool, client, entity->kind, entity->name);
    }
    int code = list(tool, client, entity->kind, &names);
    bool found = false;
    for (size_t i = 0; code == TOOL_DONE && i < names.count; i++) {
        if (entity->name == NULL || strcmp(entity->name, names.items[i]) == 0) {
            found = true;
            code = describe_one(tool, client, entity->kind, names.items[i]);
        }
    }
    if (code == TOOL_DONE && entity->name != NULL && !found) {
        printf("The %s '%s' doesn't exist and doesn't have dynamic config.\n",
               configs_singular(tool, entity->kind), entity->name);
    }
    return code;
}

int kafka_configs(struct tool *tool) {
    struct entities entities;
    struct ottla_client *client;
    if (!check(tool, &entities)) {
        return TOOL_FAILED;
    }
    const struct configs_entity *entity = &entities.items[0];
    if (entity->kind->resource == 0) {
        return tool_fail(tool, "--entity-type %s: quotas and credentials are not supported yet",
                         entity->kind->name);
    }
    if (tool_connect(tool, &client) != TOOL_DONE) {
        return TOOL_FAILED;
    }
    return tool_has(tool, "alter") ? configs_alter(tool, client, entity)
                                   : describe(tool, client, entity);
}
