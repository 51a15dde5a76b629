/*
 * kafka-configs --alter.
 *
 *     --add-config k1=v1,k2=[v1,v2]   commas and equals inside brackets belong to the value
 *     --add-config-file FILE          a properties file
 *     --delete-config k1,k2           back to the default
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/err.h"
#include "cli/kafka/configs_int.h"
#include "config/config.h"

struct changes {
    struct ottla_config_change *items;
    size_t count;
};

static void add(struct tool *tool, struct changes *changes, enum ottla_config_op op,
                const char *name, const char *value) {
    size_t used = changes->count * sizeof *changes->items;
    changes->items =
        arena_grow(tool_arena(tool), changes->items, used, used + sizeof *changes->items);
    changes->items[changes->count++] = (struct ottla_config_change){op, name, value};
}

/* Without blanks around it, and without brackets. */
static const char *cleaned(struct tool *tool, const char *text, size_t size) {
    char *copy = arena_alloc(tool_arena(tool), size + 1);
    size_t length = 0;
    while (size > 0 && text[0] == ' ') {
        text++;
        size--;
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '[' && text[i] != ']') {
            copy[length++] = text[i];
        }
    }
    while (length > 0 && copy[length - 1] == ' ') {
        length--;
    }
    copy[length] = '\0';
    return copy;
}

/* Up to a character that stands outside of brackets, or the end. */
static size_t until(const char *text, const char *stops) {
    size_t depth = 0;
    size_t size = 0;
    for (; text[size] != '\0'; size++) {
        depth += text[size] == '[';
        depth -= text[size] == ']' && depth > 0;
        if (depth == 0 && strchr(stops, text[size]) != NULL) {
            break;
        }
    }
    return size;
}

static bool is_key(struct tool *tool, const char *key) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (key[strspn(key, letters)] != '\0') {
        (void)tool_fail(tool, "Invalid character found for config key: %s", key);
        return false;
    }
    return true;
}

static bool add_listed(struct tool *tool, struct changes *changes, const char *text) {
    while (*text != '\0') {
        size_t name = until(text, "=,");
        size_t value = text[name] == '=' ? until(text + name + 1, "=,") : 0;
        const char *end = text + name + (text[name] == '=' ? 1 + value : 0);
        if (text[name] != '=' || *end == '=') {
            (void)tool_fail(tool, "requirement failed: Invalid entity config: all configs to be "
                                  "added must be in the format \"key=val\" or  \"key=[val1,val2]\" "
                                  "to group values which contain commas.");
            return false;
        }
        const char *key = cleaned(tool, text, name);
        if (!is_key(tool, key)) {
            return false;
        }
        add(tool, changes, OTTLA_CONFIG_SET, key, cleaned(tool, text + name + 1, value));
        text = end + (*end == ',');
    }
    return true;
}

static bool add_file(struct tool *tool, struct changes *changes, const char *path) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        (void)tool_fail(tool, "java.nio.file.NoSuchFileException: %s", path);
        return false;
    }
    struct buffer text;
    buffer_init(&text);
    char block[4096];
    size_t got;
    while ((got = fread(block, 1, sizeof block, file)) > 0) {
        buffer_add(&text, block, got);
    }
    fclose(file);
    struct config_pair *pairs = NULL;
    size_t count = 0;
    struct str all = arena_str(tool_arena(tool), (struct str){(const char *)text.data, text.size});
    err_t err = config_properties_parse(all, tool_arena(tool), &pairs, &count);
    buffer_done(&text);
    if (err != ERR_OK) {
        (void)tool_fail(tool, "%s: %s", path, err_text(err));
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const char *key = arena_c_str(tool_arena(tool), pairs[i].name);
        if (!is_key(tool, key)) {
            return false;
        }
        add(tool, changes, OTTLA_CONFIG_SET, key, arena_c_str(tool_arena(tool), pairs[i].value));
    }
    return true;
}

static void add_deleted(struct tool *tool, struct changes *changes) {
    const char *const *lists;
    size_t count = tool_texts(tool, "delete-config", &lists);
    for (size_t i = 0; i < count; i++) {
        for (const char *at = lists[i]; *at != '\0'; at += *at == ',') {
            size_t size = strcspn(at, ",");
            add(tool, changes, OTTLA_CONFIG_DELETE, cleaned(tool, at, size), NULL);
            at += size;
        }
    }
}

/* Loggers that a broker does not have are told before anything is changed. */
static bool has_loggers(struct tool *tool, struct ottla_client *client,
                        const struct configs_entity *entity, const struct changes *changes) {
    struct ottla_resource resource = {OTTLA_RESOURCE_BROKER_LOGGER, entity->name};
    struct ottla_call *call = ottla_configs_describe(client, &resource, 1, NULL);
    struct ottla_error error;
    int code = tool_wait(tool, call, &error);
    if (code != OTTLA_OK) {
        (void)configs_fail(tool, code, error.text);
        return false;
    }
    size_t count;
    const struct ottla_resource_configs *configs = ottla_call_configs(call, &count);
    struct str bad = STR_NULL;
    for (size_t i = 0; i < changes->count; i++) {
        bool found = false;
        for (size_t j = 0; j < configs->entry_count; j++) {
            found = found || strcmp(configs->entries[j].name, changes->items[i].name) == 0;
        }
        if (!found) {
            bad = arena_list(tool_arena(tool), bad, ",", str_from_c(changes->items[i].name));
        }
    }
    if (bad.data != NULL) {
        (void)tool_fail(tool, "Invalid broker logger(s): %.*s", STR_ARGS(bad));
    }
    return bad.data == NULL;
}

int configs_alter(struct tool *tool, struct ottla_client *client,
                  const struct configs_entity *entity) {
    struct changes changes = {0};
    const char *listed = tool_text(tool, "add-config");
    const char *file = tool_text(tool, "add-config-file");
    if ((listed != NULL && !add_listed(tool, &changes, listed)) ||
        (file != NULL && !add_file(tool, &changes, file))) {
        return TOOL_FAILED;
    }
    add_deleted(tool, &changes);
    if (entity->kind->resource == OTTLA_RESOURCE_BROKER_LOGGER &&
        !has_loggers(tool, client, entity, &changes)) {
        return TOOL_FAILED;
    }
    struct ottla_resource_change change = {(enum ottla_resource_type)entity->kind->resource,
                                           entity->name, changes.items, changes.count};
    struct ottla_call *call = ottla_configs_alter(client, &change, 1, NULL);
    struct ottla_error error;
    size_t count;
    int code = tool_wait(tool, call, &error);
    const struct ottla_resource_result *results = ottla_call_resources(call, &count);
    if (code != OTTLA_OK) {
        return configs_fail(tool, code, count > 0 ? results->text : error.text);
    }
    if (entity->name[0] == '\0') {
        printf("Completed updating default config for %s in the cluster.\n", entity->kind->name);
    } else {
        printf("Completed updating config for %s %s.\n", configs_singular(tool, entity->kind),
               entity->name);
    }
    return TOOL_DONE;
}
