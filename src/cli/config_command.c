/* ottla config: settings of topics, brokers and groups: what is in force, from where, changing it.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/items.h"
#include "cli/output.h"

/* --- what is meant --- */

/* "topic/orders", "broker/1", "broker/" for the default of all, "group/g", "client-metrics/x",
 * "broker-logger/1". */
static const struct {
    const char *word;
    enum ottla_resource_type type;
} kinds[] = {
    {"topic", OTTLA_RESOURCE_TOPIC},
    {"broker", OTTLA_RESOURCE_BROKER},
    {"broker-logger", OTTLA_RESOURCE_BROKER_LOGGER},
    {"group", OTTLA_RESOURCE_GROUP},
    {"client-metrics", OTTLA_RESOURCE_CLIENT_METRICS},
};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

static const char *kind_word(enum ottla_resource_type type) {
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (kinds[i].type == type) {
            return kinds[i].word;
        }
    }
    return "?";
}

static int parse_resource(struct cli *cli, const char *text, enum ottla_resource_type *ret_type,
                          const char **ret_name) {
    const char *slash = strchr(text, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - text);
    for (size_t i = 0; i < KIND_COUNT && slash != NULL; i++) {
        if (strlen(kinds[i].word) == size && memcmp(kinds[i].word, text, size) == 0) {
            *ret_type = kinds[i].type;
            *ret_name = slash + 1;
            return CLI_DONE;
        }
    }
    return cli_fail(cli, CLI_USAGE, NULL,
                    "%s: write it as topic/NAME, broker/ID, broker/ (the default of all brokers), "
                    "group/NAME, client-metrics/NAME or broker-logger/ID",
                    text);
}

/* --- get --- */

static const struct cli_column columns[] = {
    {"OF", "resource"},   {"KEY", "key"},   {"VALUE", "value"},
    {"SOURCE", "source"}, {"NOTE", "note"}, {NULL},
};

static const char *source_word(int source) {
    static const char *const words[] = {"unknown",       "topic",          "broker",
                                        "all brokers",   "file",           "default",
                                        "broker-logger", "client-metrics", "group"};
    return source > 0 && source < (int)(sizeof words / sizeof words[0]) ? words[source] : "unknown";
}

static bool is_default(const struct ottla_config_entry *entry) {
    return entry->source == OTTLA_SOURCE_DEFAULT;
}

/* Where a value would come from, what is in force first. */
static json_t *synonyms_json(const struct ottla_config_entry *entry) {
    json_t *list = json_array();
    for (size_t i = 0; i < entry->synonym_count; i++) {
        const struct ottla_config_synonym *synonym = &entry->synonyms[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:s?, s:s}", "key", synonym->name, "value",
                                        synonym->value, "source", source_word(synonym->source)));
    }
    return list;
}

static json_t *entry_json(const struct ottla_resource_configs *of,
                          const struct ottla_config_entry *entry) {
    char resource[300];
    (void)snprintf(resource, sizeof resource, "%s/%s", kind_word(of->type), of->name);
    return json_pack("{s:s, s:s, s:s?, s:s, s:s, s:b, s:b}", "resource", resource, "key",
                     entry->name, "value", entry->value, "source", source_word(entry->source),
                     "note",
                     entry->sensitive   ? "hidden"
                     : entry->read_only ? "read-only"
                                        : "",
                     "readOnly", entry->read_only, "sensitive", entry->sensitive);
}

/* A paragraph per key, for --explain. */
static void explain(const json_t *entry) {
    size_t i;
    json_t *synonym;
    const char *value = json_string_value(json_object_get(entry, "value"));
    const char *text = json_string_value(json_object_get(entry, "documentation"));
    printf("%s = %s\n", json_string_value(json_object_get(entry, "key")),
           value == NULL ? "" : value);
    if (json_array_size(json_object_get(entry, "synonyms")) == 0) {
        printf("  from %s\n", json_string_value(json_object_get(entry, "source")));
    }
    json_array_foreach(json_object_get(entry, "synonyms"), i, synonym) {
        value = json_string_value(json_object_get(synonym, "value"));
        printf("  %s %s: %s = %s\n", i == 0 ? "from" : "over",
               json_string_value(json_object_get(synonym, "source")),
               json_string_value(json_object_get(synonym, "key")), value == NULL ? "" : value);
    }
    printf("%s%s%s\n", text == NULL ? "" : "  ", text == NULL ? "" : text,
           text == NULL ? "" : "\n");
}

static int print_entries(const struct cli *cli, json_t *rows) {
    size_t i;
    json_t *entry;
    if (!cli_has(cli, "explain") || cli_wants_json(cli)) {
        return cli_print_rows(cli, columns, rows);
    }
    json_array_foreach(rows, i, entry) {
        explain(entry);
    }
    json_decref(rows);
    return CLI_DONE;
}

static json_t *entries_json(const struct cli *cli, const struct ottla_resource_configs *configs) {
    bool all = cli_has(cli, "all") || cli_argument_count(cli) > 1;
    json_t *rows = json_array();
    for (size_t i = 0; i < configs->entry_count; i++) {
        const struct ottla_config_entry *entry = &configs->entries[i];
        if (!all && is_default(entry)) {
            continue;
        }
        json_t *row = entry_json(configs, entry);
        if (cli_has(cli, "explain")) {
            json_object_set_new(row, "synonyms", synonyms_json(entry));
            json_object_set_new(row, "documentation",
                                entry->documentation == NULL ? json_null()
                                                             : json_string(entry->documentation));
        }
        json_array_append_new(rows, row);
    }
    return rows;
}

static int config_get(struct cli *cli) {
    struct ottla_resource resource = {0};
    int code = parse_resource(cli, cli_argument(cli, 0), &resource.type, &resource.name);
    struct items items;
    if (code != CLI_DONE || (code = items_start(cli, &items)) != CLI_DONE) {
        return code;
    }
    size_t key_count = cli_argument_count(cli) - 1;
    resource.keys = cli_arguments(cli) + 1;
    resource.key_count = key_count;
    bool explained = cli_has(cli, "explain");
    struct ottla_admin_options options = {.synonyms = explained, .documentation = explained};
    struct ottla_call *call = ottla_configs_describe(items.client, &resource, 1, &options);
    code = items_wait(&items, call);
    size_t count;
    const struct ottla_resource_configs *configs = ottla_call_configs(call, &count);
    if (code == CLI_DONE && count > 0) {
        json_t *rows = entries_json(cli, configs);
        size_t found = json_array_size(rows);
        if (found == 0 && key_count == 0) {
            cli_note(cli, "Everything has its default; --all shows it.");
        }
        code = print_entries(cli, rows);
        if (found < key_count) {
            code = cli_fail(cli, CLI_NOT_FOUND, NULL, "%zu of %zu keys do not exist there",
                            key_count - found, key_count);
        }
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static const struct cli_option get_options[] = {
    {"all", 'a', CLI_FLAG, NULL, "with what has its default"},
    {"explain", 'e', CLI_FLAG, NULL, "what each means, and what it stands over"},
    {NULL},
};
static const struct cli_command get_command = {
    .name = "get",
    .others = "describe|show",
    .arguments = "KIND/NAME [KEY…]",
    .summary = "settings in force, and where they come from",
    .examples = "  ottla config get topic/orders\n"
                "  ottla config get topic/orders retention.ms cleanup.policy\n"
                "  ottla config get topic/orders retention.ms --explain\n"
                "  ottla config get broker/1 --all\n",
    .options = get_options,
    .arguments_min = 1,
    .arguments_max = -1,
    .run = config_get,
};

/* --- set, unset --- */

static const struct cli_column change_columns[] = {
    {"OF", "resource"}, {"KEY", "key"}, {"CHANGE", "change"}, {"VALUE", "value"}, {NULL}};

/* "key=value", "key+=value", "key-=value"; without '=' only for unset. */
static int parse_change(struct cli *cli, const char *text, bool unset,
                        struct ottla_config_change *ret_change) {
    const char *equals = strchr(text, '=');
    if (unset) {
        *ret_change = (struct ottla_config_change){.op = OTTLA_CONFIG_DELETE, .name = text};
        return equals == NULL ? CLI_DONE
                              : cli_fail(cli, CLI_USAGE, NULL, "%s: name the key only", text);
    }
    if (equals == NULL || equals == text) {
        return cli_fail(cli, CLI_USAGE, NULL,
                        "%s: write it as key=value, or key+=item and key-=item for lists", text);
    }
    enum ottla_config_op op = equals[-1] == '+'   ? OTTLA_CONFIG_APPEND
                              : equals[-1] == '-' ? OTTLA_CONFIG_SUBTRACT
                                                  : OTTLA_CONFIG_SET;
    struct str name = {.data = text,
                       .size = (size_t)(equals - text) - (op == OTTLA_CONFIG_SET ? 0 : 1)};
    *ret_change = (struct ottla_config_change){
        .op = op, .name = arena_c_str(cli_arena(cli), name), .value = equals + 1};
    return CLI_DONE;
}

static int print_changes(const struct cli *cli, const struct ottla_resource_change *resource) {
    static const char *const done[] = {"set", "back to the default", "added", "taken out"};
    static const char *const dry[] = {"would be set", "would be back to the default",
                                      "would be added", "would be taken out"};
    json_t *rows = json_array();
    for (size_t i = 0; i < resource->change_count; i++) {
        const struct ottla_config_change *change = &resource->changes[i];
        char name[300];
        (void)snprintf(name, sizeof name, "%s/%s", kind_word(resource->type), resource->name);
        json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s?}", "resource", name, "key",
                                              change->name, "change",
                                              cli_is_dry(cli) ? dry[change->op] : done[change->op],
                                              "value", change->value));
    }
    return cli_print_rows(cli, change_columns, rows);
}

enum change { CHANGE_SET, CHANGE_UNSET, CHANGE_REPLACE };

static int config_change(struct cli *cli, enum change what) {
    struct ottla_resource_change resource = {.change_count = cli_argument_count(cli) - 1};
    struct ottla_config_change *changes =
        ARENA_ARRAY(cli_arena(cli), struct ottla_config_change, resource.change_count);
    int code = parse_resource(cli, cli_argument(cli, 0), &resource.type, &resource.name);
    for (size_t i = 0; i < resource.change_count && code == CLI_DONE; i++) {
        code = parse_change(cli, cli_argument(cli, i + 1), what == CHANGE_UNSET, &changes[i]);
        if (code == CLI_DONE && what == CHANGE_REPLACE && changes[i].op != OTTLA_CONFIG_SET) {
            code = cli_fail(cli, CLI_USAGE, NULL, "%s: here lists are given whole",
                            cli_argument(cli, i + 1));
        }
    }
    struct items items;
    if (code != CLI_DONE || (code = items_start(cli, &items)) != CLI_DONE) {
        return code;
    }
    resource.changes = changes;
    struct ottla_admin_options options = {.validate_only = cli_is_dry(cli)};
    struct ottla_call *call = what == CHANGE_REPLACE
                                  ? ottla_configs_replace(items.client, &resource, 1, &options)
                                  : ottla_configs_alter(items.client, &resource, 1, &options);
    code = items_wait(&items, call);
    if (code == CLI_DONE) {
        code = print_changes(cli, &resource);
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static int config_set(struct cli *cli) {
    return config_change(cli, CHANGE_SET);
}

static int config_unset(struct cli *cli) {
    return config_change(cli, CHANGE_UNSET);
}

static int config_replace(struct cli *cli) {
    return config_change(cli, CHANGE_REPLACE);
}

static const struct cli_command set_command = {
    .name = "set",
    .others = "alter",
    .arguments = "KIND/NAME KEY=VALUE…",
    .summary = "change settings while everything runs",
    .text = "All changes of one command are made together, or none is. A list takes += and -=.\n",
    .examples = "  ottla config set topic/orders retention.ms=3600000\n"
                "  ottla config set topic/orders cleanup.policy+=compact --dry-run\n"
                "  ottla config set broker/ log.retention.ms=86400000  all brokers\n",
    .arguments_min = 2,
    .arguments_max = -1,
    .run = config_set,
};
static const struct cli_command unset_command = {
    .name = "unset",
    .others = "delete|remove",
    .arguments = "KIND/NAME KEY…",
    .summary = "let settings fall back to their default",
    .examples = "  ottla config unset topic/orders retention.ms\n",
    .arguments_min = 2,
    .arguments_max = -1,
    .run = config_unset,
};

static const struct cli_command replace_command = {
    .name = "replace",
    .arguments = "KIND/NAME [KEY=VALUE…]",
    .summary = "these settings, and the default for all others",
    .examples = "  ottla config replace topic/orders retention.ms=3600000 cleanup.policy=compact\n"
                "  ottla config replace topic/orders                  everything to its default\n",
    .arguments_min = 1,
    .arguments_max = -1,
    .run = config_replace,
};

/* --- list --- */

static const struct cli_column resource_columns[] = {{"OF", "resource"}, {NULL}};

static int parse_kind(struct cli *cli, const char *text, enum ottla_resource_type *ret_type) {
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strcmp(kinds[i].word, text) == 0) {
            *ret_type = kinds[i].type;
            return CLI_DONE;
        }
    }
    return cli_fail(cli, CLI_USAGE, NULL,
                    "%s: there are topic, broker, group, client-metrics and broker-logger", text);
}

static int config_list(struct cli *cli) {
    enum ottla_resource_type types[KIND_COUNT];
    size_t count = cli_argument_count(cli);
    int code = CLI_DONE;
    for (size_t i = 0; i < count && code == CLI_DONE; i++) {
        code = parse_kind(cli, cli_argument(cli, i), &types[i]);
    }
    struct items items;
    if (code != CLI_DONE || (code = items_start(cli, &items)) != CLI_DONE) {
        return code;
    }
    struct ottla_call *call =
        ottla_resources_list(items.client, count == 0 ? NULL : types, count, NULL);
    code = items_wait(&items, call);
    if (code == CLI_DONE) {
        const struct ottla_resource_result *resources = ottla_call_resources(call, &count);
        json_t *rows = json_array();
        for (size_t i = 0; i < count; i++) {
            json_array_append_new(
                rows,
                json_pack("{s:o, s:s, s:s}", "resource",
                          json_sprintf("%s/%s", kind_word(resources[i].type), resources[i].name),
                          "kind", kind_word(resources[i].type), "name", resources[i].name));
        }
        code = cli_print_rows(cli, resource_columns, rows);
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static const struct cli_command list_command = {
    .name = "list",
    .arguments = "[KIND…]",
    .summary = "what can have settings: topics, brokers, and the groups that have some",
    .examples = "  ottla config list\n"
                "  ottla config list group client-metrics\n",
    .arguments_max = KIND_COUNT,
    .run = config_list,
};

static const struct cli_command *const commands[] = {
    &get_command, &set_command, &unset_command, &replace_command, &list_command, NULL};
const struct cli_command cli_config_command = {
    .name = "config",
    .summary = "settings of topics, brokers and groups",
    .commands = commands,
};
