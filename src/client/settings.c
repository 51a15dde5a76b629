/* A set of settings as text: what the user gave, by key of the table. */
#include "client/settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "client/core.h"
#include "client/settings_int.h"
#include "config/config.h"
#include "sys/file.h"
#include "sys/linux.h"

/* --- life --- */

struct ottla_config *ottla_config_new(void) {
    struct ottla_config *config = calloc(1, sizeof *config);
    config->texts = calloc(client_keys_count(), sizeof *config->texts);
    return config;
}

struct ottla_config *ottla_config_copy(const struct ottla_config *config) {
    struct ottla_config *copy = ottla_config_new();
    for (size_t i = 0; i < client_keys_count(); i++) {
        copy->texts[i] = config->texts[i] == NULL ? NULL : strdup(config->texts[i]);
    }
    return copy;
}

void ottla_config_free(struct ottla_config *config) {
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < client_keys_count(); i++) {
        free(config->texts[i]);
    }
    free(config->texts);
    free(config);
}

/* --- the table --- */

size_t client_keys_count(void) {
    return (size_t)(config_scope_end(CONFIG_CLIENT) - config_scope_first(CONFIG_CLIENT));
}

static size_t index_of(enum config_key key) {
    return (size_t)(key - config_scope_first(CONFIG_CLIENT));
}

bool ottla_config_row(size_t index, struct ottla_config_row *ret_row) {
    if (index >= client_keys_count()) {
        return false;
    }
    const struct config_row *row =
        config_row((enum config_key)(config_scope_first(CONFIG_CLIENT) + index));
    *ret_row = (struct ottla_config_row){
        .name = row->name,
        .type = config_type_name(row->type),
        .default_text = row->default_text,
        .valid = row->valid,
        .help = row->doc == NULL ? "" : row->doc,
        .effect = row->class == CONFIG_LIVE,
    };
    return true;
}

/* --- setting --- */

static int unknown(struct str name, struct ottla_error *ret_error) {
    const char *nearest = config_nearest(CONFIG_CLIENT, name);
    return client_error_set(ret_error, OTTLA_NOT_FOUND,
                            "There is no setting %.*s of producers, consumers or administrators"
                            "%s%s%s",
                            STR_ARGS(name), nearest == NULL ? "" : "; did you mean ",
                            nearest == NULL ? "" : nearest, nearest == NULL ? "" : "?");
}

static bool is_default(const struct config_row *row, struct str text) {
    return str_equal(text, str_from_c(row->default_text == NULL ? "" : row->default_text));
}

static int set(struct ottla_config *config, struct str name, struct str text, struct arena *arena,
               struct ottla_error *ret_error) {
    enum config_key key;
    if (config_find(CONFIG_CLIENT, name, &key) != ERR_OK) {
        return unknown(name, ret_error);
    }
    char **slot = &config->texts[index_of(key)];
    if (text.data == NULL) {
        free(*slot);
        *slot = NULL;
        return OTTLA_OK;
    }
    struct config_value value;
    struct str message;
    if (config_value_parse(key, text, arena, &value, &message) != ERR_OK) {
        return client_error_set(ret_error, OTTLA_INVALID, "%.*s", STR_ARGS(message));
    }
    const struct config_row *row = config_row(key);
    if (row->class == CONFIG_PROTECTIVE && !is_default(row, value.text)) {
        return client_error_set(ret_error, OTTLA_UNSUPPORTED,
                                "%s=%.*s cannot be honoured by this version of the client, and "
                                "going on without it would not be safe; leave it out",
                                row->name,
                                row->type == CONFIG_TYPE_PASSWORD ? 8 : (int)value.text.size,
                                row->type == CONFIG_TYPE_PASSWORD ? "[hidden]" : value.text.data);
    }
    free(*slot);
    *slot = str_dup(value.text);
    return OTTLA_OK;
}

int ottla_config_set(struct ottla_config *config, const char *name, const char *value,
                     struct ottla_error *ret_error) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    int code = set(config, str_from_c(name), str_from_c(value), &arena, ret_error);
    arena_done(&arena);
    return code;
}

const char *ottla_config_get(const struct ottla_config *config, const char *name) {
    enum config_key key;
    if (config_find(CONFIG_CLIENT, str_from_c(name), &key) != ERR_OK) {
        return NULL;
    }
    const char *text = config->texts[index_of(key)];
    return text != NULL ? text : config_row(key)->default_text;
}

bool client_config_is_set(const struct ottla_config *config, enum config_key key) {
    return config->texts[index_of(key)] != NULL;
}

struct config_value client_config_value(const struct ottla_config *config, enum config_key key) {
    const char *text = config->texts[index_of(key)];
    text = text != NULL ? text : config_row(key)->default_text;
    struct config_value value = {.text = str_from_c(text)};
    if (text != NULL) {
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        struct str message;
        err_t err = config_value_parse(key, str_from_c(text), &arena, &value, &message);
        assert(err == ERR_OK); /* it was parsed when it was set */
        value.text = str_from_c(text);
        arena_done(&arena);
    }
    return value;
}

/* --- files --- */

enum { FILE_SIZE_MAX = 1024 * 1024 };

static err_t read_file(const char *path, char **ret_data, size_t *ret_size) {
    struct sys *sys;
    err_t err = sys_linux_new(&sys);
    if (err == ERR_OK) {
        err = sys_file_read_all(sys, path, FILE_SIZE_MAX, ret_data, ret_size);
        sys_linux_free(sys);
    }
    return err;
}

static int read_pairs(struct ottla_config *config, const char *path, struct str text,
                      struct arena *arena, struct ottla_error *ret_error) {
    struct config_pair *pairs;
    size_t count;
    if (config_properties_parse(text, arena, &pairs, &count) != ERR_OK) {
        return client_error_set(ret_error, OTTLA_INVALID, "%s: a \\u escape is malformed", path);
    }
    for (size_t i = 0; i < count; i++) {
        struct ottla_error why;
        int code = set(config, pairs[i].name, pairs[i].value, arena, &why);
        if (code != OTTLA_OK) {
            return client_error_set(ret_error, code, "%s: %s", path, why.text);
        }
    }
    return OTTLA_OK;
}

int ottla_config_read(struct ottla_config *config, const char *path,
                      struct ottla_error *ret_error) {
    char *data;
    size_t size;
    err_t err = read_file(path, &data, &size);
    if (err != ERR_OK) {
        return client_error_set(ret_error, (int)err, "%s: %s", path, err_text(err));
    }
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    int code =
        read_pairs(config, path, (struct str){.data = data, .size = size}, &arena, ret_error);
    arena_done(&arena);
    free(data);
    return code;
}
