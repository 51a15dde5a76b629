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
    static const char *const words[] = {"unknown",        "topic",   "broker",  "all brokers",
                                        "file",           "default", "default", "broker-logger",
                                        "client-metrics", "group"};
    return source > 0 && source < (int)(sizeof words / sizeof words[0]) ? words[source] : "unknown";
}

static bool is_default(const struct ottla_config_entry *entry) {
    return entry->source == OTTLA_SOURCE_DEFAULT;
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

static int config_get(struct cli *cli) {
    struct ottla_resource resource = {0};
    int code = parse_resource(cli, cli_argument(cli, 0), &resource.type, &resource.name);
    struct items items;
    if (code != CLI_DONE || (code = items_start(cli, &items)) != CLI_DONE) {
        return code;
    }
    size_t key_count = cli_argument_count(cli) - 1;
    const char **keys = ARENA_ARRAY(cli_arena(cli), const char *, key_count + 1);
    for (size_t i = 0; i < key_count; i++) {
        keys[i] = cli_argument(cli, i + 1);
    }
    resource.keys = keys;
    resource.key_count = key_count;
    struct ottla_call *call = ottla_configs_describe(items.client, &resource, 1, NULL);
    code = items_wait(&items, call);
    if (code == CLI_DONE) {
        size_t count;
        const struct ottla_resource_configs *configs = ottla_call_configs(call, &count);
        json_t *rows = json_array();
        bool all = cli_has(cli, "all") || key_count > 0;
        for (size_t i = 0; count > 0 && i < configs->entry_count; i++) {
            if (all || !is_default(&configs->entries[i])) {
                json_array_append_new(rows, entry_json(configs, &configs->entries[i]));
            }
        }
        if (json_array_size(rows) == 0 && key_count == 0) {
            cli_note(cli, "Everything has its default; --all shows it.");
        }
        size_t found = json_array_size(rows);
        code = cli_print_rows(cli, columns, rows);
        if (key_count > 0 && found < key_count) {
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
    {NULL},
};
static const struct cli_command get_command = {
    .name = "get",
    .arguments = "KIND/NAME [KEY…]",
    .summary = "settings in force, and where they come from",
    .examples = "  ottla config get topic/orders\n"
                "  ottla config get topic/orders retention.ms cleanup.policy\n"
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

static int config_change(struct cli *cli, bool unset) {
    struct ottla_resource_change resource = {.change_count = cli_argument_count(cli) - 1};
    struct ottla_config_change *changes =
        ARENA_ARRAY(cli_arena(cli), struct ottla_config_change, resource.change_count);
    int code = parse_resource(cli, cli_argument(cli, 0), &resource.type, &resource.name);
    for (size_t i = 0; i < resource.change_count && code == CLI_DONE; i++) {
        code = parse_change(cli, cli_argument(cli, i + 1), unset, &changes[i]);
    }
    struct items items;
    if (code != CLI_DONE || (code = items_start(cli, &items)) != CLI_DONE) {
        return code;
    }
    resource.changes = changes;
    struct ottla_admin_options options = {.validate_only = cli_is_dry(cli)};
    struct ottla_call *call = ottla_configs_alter(items.client, &resource, 1, &options);
    code = items_wait(&items, call);
    if (code == CLI_DONE) {
        code = print_changes(cli, &resource);
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static int config_set(struct cli *cli) {
    return config_change(cli, false);
}

static int config_unset(struct cli *cli) {
    return config_change(cli, true);
}

static const struct cli_command set_command = {
    .name = "set",
    .arguments = "KIND/NAME KEY=VALUE…",
    .summary = "change settings while everything runs",
    .text = "All changes of one command are made together, or none is. A list takes += and -=.\n",
    .examples = "  ottla config set topic/orders retention.ms=3600000\n"
                "  ottla config set topic/orders cleanup.policy+=compact --dry-run\n"
                "  ottla config set broker/ log.retention.hours=24     all brokers\n",
    .arguments_min = 2,
    .arguments_max = -1,
    .run = config_set,
};
static const struct cli_command unset_command = {
    .name = "unset",
    .arguments = "KIND/NAME KEY…",
    .summary = "let settings fall back to their default",
    .examples = "  ottla config unset topic/orders retention.ms\n",
    .arguments_min = 2,
    .arguments_max = -1,
    .run = config_unset,
};

static const struct cli_command *const commands[] = {&get_command, &set_command, &unset_command,
                                                     NULL};
const struct cli_command cli_config_command = {
    .name = "config",
    .summary = "settings of topics, brokers and groups",
    .commands = commands,
};
