#include "cli/kafka/console.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/kafka/tool_int.h"
#include "config/config.h"
#include "sys/linux.h"
#include "sys/sys.h"

enum { FILE_SIZE_MAX = 1 << 20 };

/* --- properties --- */

void console_properties_set(struct tool *tool, struct console_properties *properties,
                            const char *name, const char *value) {
    struct arena *arena = tool_arena(tool);
    size_t size = properties->count * sizeof *properties->pairs;
    properties->pairs =
        arena_grow(arena, properties->pairs, size, size + sizeof *properties->pairs);
    properties->pairs[properties->count++] = (struct console_pair){
        arena_c_str(arena, str_from_c(name)), arena_c_str(arena, str_from_c(value))};
}

int console_properties_add(struct tool *tool, struct console_properties *properties,
                           const char *option) {
    const char *const *texts;
    size_t count = tool_texts(tool, option, &texts);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(texts[i], '=');
        if (equals == NULL) {
            return tool_usage(tool, "Invalid command line properties: %s", texts[i]);
        }
        struct str name = {.data = texts[i], .size = (size_t)(equals - texts[i])};
        console_properties_set(tool, properties, arena_c_str(tool_arena(tool), name), equals + 1);
    }
    return TOOL_DONE;
}

int console_properties_read(struct tool *tool, struct console_properties *properties,
                            const char *path) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return tool_fail(tool, "%s (No such file or directory)", path);
    }
    char *text = malloc(FILE_SIZE_MAX);
    size_t size = fread(text, 1, FILE_SIZE_MAX, file);
    struct config_pair *pairs;
    size_t count;
    err_t err = config_properties_parse((struct str){.data = text, .size = size}, tool_arena(tool),
                                        &pairs, &count);
    for (size_t i = 0; err == ERR_OK && i < count; i++) {
        console_properties_set(tool, properties, arena_c_str(tool_arena(tool), pairs[i].name),
                               arena_c_str(tool_arena(tool), pairs[i].value));
    }
    free(text);
    fclose(file);
    return err == ERR_OK ? TOOL_DONE : tool_fail(tool, "%s: %s", path, err_text(err));
}

const char *console_property(const struct console_properties *properties, const char *name,
                             const char *otherwise) {
    for (size_t i = properties->count; i > 0; i--) {
        if (strcmp(properties->pairs[i - 1].name, name) == 0) {
            return properties->pairs[i - 1].value;
        }
    }
    return otherwise;
}

bool console_property_is_true(const struct console_properties *properties, const char *name,
                              bool otherwise) {
    const char *value = console_property(properties, name, NULL);
    return value == NULL ? otherwise : strcasecmp(value, "true") == 0;
}

int console_replaced(struct tool *tool, enum console_tool which, const char *old,
                     const char *option) {
    bool consumer = which == CONSOLE_CONSUMER;
    if (!tool_has(tool, old)) {
        return TOOL_DONE;
    }
    if (tool_has(tool, option)) {
        return tool_usage(tool, "Options --%s and --%s cannot be specified together.",
                          consumer ? old : option, consumer ? option : old);
    }
    printf("%s --%s is deprecated and will be removed in a future version. Use --%s instead.\n",
           consumer ? "Option" : "Warning:", old, option);
    return TOOL_DONE;
}

/* --- the client --- */

const char *console_random_name(struct tool *tool, const char *prefix) {
    uint32_t random = 0;
    struct sys *sys;
    if (sys_linux_new(&sys) == ERR_OK) {
        sys_random(sys, &random, sizeof random);
        sys_linux_free(sys);
    }
    return arena_printf(tool_arena(tool), "%s-%u", prefix, (unsigned)(random % 100000)).data;
}

static int set(const struct tool *tool, struct ottla_config *config, const char *name,
               const char *value) {
    struct ottla_error error;
    int code = ottla_config_set(config, name, value, &error);
    return code == OTTLA_OK || code == OTTLA_NOT_FOUND
               ? TOOL_DONE
               : tool_fail(tool, "org.apache.kafka.common.config.ConfigException: %s", error.text);
}

int console_connect(struct tool *tool, const struct console_properties *settings,
                    struct ottla_client **ret_client) {
    struct ottla_config *config = ottla_config_new();
    struct ottla_error error;
    int code = TOOL_DONE;
    for (size_t i = 0; i < settings->count && code == TOOL_DONE; i++) {
        code = set(tool, config, settings->pairs[i].name, settings->pairs[i].value);
    }
    const char *servers = tool_text_of(tool, "bootstrap-server");
    if (code == TOOL_DONE && servers != NULL) {
        code = set(tool, config, "bootstrap.servers", servers);
    }
    if (code == TOOL_DONE && ottla_client_new(config, &tool->client, &error) != OTTLA_OK) {
        code = tool_fail(tool, "org.apache.kafka.common.config.ConfigException: %s", error.text);
    }
    ottla_config_free(config);
    *ret_client = tool->client;
    return code;
}
