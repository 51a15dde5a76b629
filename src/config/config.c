/* A set of values, and how a node's is built from its file. */
#include "config/config_int.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct config *config_alloc(enum config_scope scope) {
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL) {
        abort();
    }
    arena_init(&config->arena, SIZE_MAX);
    config->refs = 1;
    config->scope = scope;
    size_t count = (size_t)(config_scope_end(scope) - config_scope_first(scope));
    config->values = ARENA_ARRAY(&config->arena, struct config_value, count);
    config->set = ARENA_ARRAY(&config->arena, bool, count);
    return config;
}

void config_ref(struct config *config) {
    (void)__atomic_add_fetch(&config->refs, 1, __ATOMIC_RELAXED);
}

void config_unref(struct config *config) {
    if (config == NULL || __atomic_sub_fetch(&config->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    config_unref(config->base);
    arena_done(&config->arena);
    free(config);
}

static size_t slot_of(const struct config *config, enum config_key key) {
    assert(key >= config_scope_first(config->scope));
    assert(key < config_scope_end(config->scope));
    return (size_t)(key - config_scope_first(config->scope));
}

struct config_value *config_slot(struct config *config, enum config_key key) {
    return &config->values[slot_of(config, key)];
}

const struct config_value *config_value_of(const struct config *config, enum config_key key) {
    return &config->values[slot_of(config, key)];
}

/* --- from a file --- */

static void report_unknown(struct config_report *report, struct str name) {
    const char *nearest = config_nearest(CONFIG_BROKER, name);
    if (nearest == NULL) {
        config_report_warning(report,
                              "unknown key '%.*s' is ignored; `ottla server --help-config` "
                              "lists all keys",
                              STR_ARGS(name));
    } else {
        config_report_warning(report, "unknown key '%.*s' is ignored; did you mean %s?",
                              STR_ARGS(name), nearest);
    }
}

/* listener.name.<listener>.<key>: what it says of a listener may be what protects it. */
static void report_foreign(struct config_report *report, struct str name) {
    struct str prefix = STR("listener.name.");
    if (name.size > prefix.size && memcmp(name.data, prefix.data, prefix.size) == 0) {
        for (size_t i = prefix.size; i < name.size; i++) {
            enum config_key key;
            struct str rest = {name.data + i + 1, name.size - i - 1};
            if (name.data[i] == '.' && config_find(CONFIG_BROKER, rest, &key) == ERR_OK &&
                config_row(key)->class == CONFIG_PROTECTIVE) {
                config_report_error(report,
                                    "%.*s is set and not enforced by this version: remove "
                                    "it, and what it protects",
                                    STR_ARGS(name));
                return;
            }
        }
    }
    config_report_warning(report, "%.*s has no effect", STR_ARGS(name));
}

static bool name_seen_later(const struct config_pair *pairs, size_t pair_count, size_t at) {
    for (size_t i = at + 1; i < pair_count; i++) {
        if (str_equal(pairs[i].name, pairs[at].name)) {
            return true;
        }
    }
    return false;
}

static void take_pair(struct config *config, const struct config_pair *pair,
                      struct config_report *report) {
    enum config_key key;
    if (config_find(CONFIG_BROKER, pair->name, &key) != ERR_OK || config_row(key)->dynamic_only) {
        if (config_name_is_foreign(pair->name)) {
            report_foreign(report, pair->name);
        } else {
            report_unknown(report, pair->name);
        }
        return;
    }
    struct config_value value = {.text = STR_NULL};
    struct str message;
    if (pair->value.data != NULL &&
        config_value_parse(key, pair->value, &config->arena, &value, &message) != ERR_OK) {
        const char *valid = config_row(key)->valid;
        config_report_error(report, "%.*s%s%s%s", STR_ARGS(message),
                            valid == NULL ? "" : " (valid: ", valid == NULL ? "" : valid,
                            valid == NULL ? "" : ")");
        return;
    }
    *config_slot(config, key) = value;
    config->set[slot_of(config, key)] = true;
}

static void take_defaults(struct config *config) {
    for (int i = (int)config_scope_first(config->scope); i < (int)config_scope_end(config->scope);
         i++) {
        enum config_key key = (enum config_key)i;
        *config_slot(config, key) = config_value_default(key, &config->arena);
    }
}

static bool differs_from_default(const struct config *config, enum config_key key) {
    struct config_value value = config_value_default(key, (struct arena *)&config->arena);
    return !str_equal(value.text, config_value_of(config, key)->text);
}

/* What is set and has no effect: an error when it would protect, one warning for all others. */
static void report_classes(struct config *config, struct config_report *report) {
    struct buffer inert = {0};
    for (int i = (int)config_scope_first(CONFIG_BROKER); i < (int)config_scope_end(CONFIG_BROKER);
         i++) {
        enum config_key key = (enum config_key)i;
        const struct config_row *row = config_row(key);
        if (!config_is_set(config, key) || row->class == CONFIG_LIVE) {
            continue;
        }
        if (row->class == CONFIG_INERT) {
            buffer_printf(&inert, "%s%s", inert.size == 0 ? "" : ", ", row->name);
        } else if (differs_from_default(config, key)) {
            config_report_error(report,
                                "%s is set and not enforced by this version: remove it, if the "
                                "node may run without what it protects",
                                row->name);
        }
    }
    if (inert.size > 0) {
        config_report_warning(report, "known, but without effect in this version: %.*s",
                              STR_ARGS(bytes_str(buffer_bytes(&inert))));
    }
    buffer_done(&inert);
}

static void report_missing(const struct config *config, struct config_report *report) {
    for (int i = (int)config_scope_first(CONFIG_BROKER); i < (int)config_scope_end(CONFIG_BROKER);
         i++) {
        enum config_key key = (enum config_key)i;
        /* broker.id is node.id's old name, and Kafka takes it for it */
        if (config_row(key)->required && config_is_null(config, key)) {
            config_report_error(report,
                                "Missing required configuration \"%s\" which has no default value.",
                                config_row(key)->name);
        }
    }
}

static void copy_setting(struct config *config, enum config_key from, enum config_key to) {
    *config_slot(config, to) = *config_value_of(config, from);
    config->set[(int)to - (int)config_scope_first(CONFIG_BROKER)] = true;
}

/* node.id and broker.id are one setting with two names; who sets one sets both. */
static void unite_ids(struct config *config) {
    if (!config_is_set(config, CONFIG_NODE_ID) && config_is_set(config, CONFIG_BROKER_ID)) {
        copy_setting(config, CONFIG_BROKER_ID, CONFIG_NODE_ID);
    } else if (!config_is_set(config, CONFIG_BROKER_ID) && config_is_set(config, CONFIG_NODE_ID)) {
        copy_setting(config, CONFIG_NODE_ID, CONFIG_BROKER_ID);
    }
}

err_t config_new(const struct config_pair *pairs, size_t pair_count, struct config_report *report,
                 struct config **ret_config) {
    struct config *config = config_alloc(CONFIG_BROKER);
    take_defaults(config);
    for (size_t i = 0; i < pair_count; i++) {
        if (!name_seen_later(pairs, pair_count, i)) {
            take_pair(config, &pairs[i], report);
        }
    }
    unite_ids(config);
    report_missing(config, report);
    report_classes(config, report);
    if (report->error_count == 0) {
        config_check_broker(config, report);
    }
    if (report->error_count > 0) {
        config_unref(config);
        return ERR_INVALID;
    }
    *ret_config = config;
    return ERR_OK;
}

const struct config_pair *config_pairs_default(size_t *ret_count) {
    static const struct config_pair pairs[] = {
        {STR("process.roles"), STR("broker,controller")},
        {STR("node.id"), STR("1")},
        {STR("listeners"), STR("PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093")},
        {STR("controller.listener.names"), STR("CONTROLLER")},
        {STR("controller.quorum.bootstrap.servers"), STR("127.0.0.1:9093")},
        {STR("log.dirs"), STR("./data")},
        {STR("ottla.auto.format"), STR("true")},
    };
    *ret_count = sizeof pairs / sizeof pairs[0];
    return pairs;
}

/* --- getters --- */

static const struct config_value *typed(const struct config *config, enum config_key key,
                                        enum config_type low, enum config_type high) {
    assert(config_row(key)->type >= low);
    assert(config_row(key)->type <= high);
    return config_value_of(config, key);
}

static int64_t number(const struct config *config, enum config_key key, enum config_type low,
                      enum config_type high) {
    const struct config_value *value = typed(config, key, low, high);
    assert(value->text.data != NULL); /* ask config_is_null first */
    return value->number;
}

bool config_bool(const struct config *config, enum config_key key) {
    return typed(config, key, CONFIG_TYPE_BOOLEAN, CONFIG_TYPE_BOOLEAN)->boolean;
}

int32_t config_int(const struct config *config, enum config_key key) {
    return (int32_t)number(config, key, CONFIG_TYPE_SHORT, CONFIG_TYPE_INT);
}

int64_t config_long(const struct config *config, enum config_key key) {
    return number(config, key, CONFIG_TYPE_SHORT, CONFIG_TYPE_LONG);
}

double config_double(const struct config *config, enum config_key key) {
    return typed(config, key, CONFIG_TYPE_DOUBLE, CONFIG_TYPE_DOUBLE)->real;
}

struct str config_str(const struct config *config, enum config_key key) {
    return config_value_of(config, key)->text;
}

bool config_is_null(const struct config *config, enum config_key key) {
    return config_value_of(config, key)->text.data == NULL;
}

bool config_is_set(const struct config *config, enum config_key key) {
    return config->set[slot_of(config, key)];
}

struct str config_log_dirs(const struct config *config) {
    return config_is_null(config, CONFIG_LOG_DIRS) ? config_str(config, CONFIG_LOG_DIR)
                                                   : config_str(config, CONFIG_LOG_DIRS);
}

struct str config_metadata_log_dir(const struct config *config) {
    struct str dir = config_str(config, CONFIG_METADATA_LOG_DIR);
    if (dir.data == NULL) {
        size_t position = 0;
        bool found = config_list_next(config_log_dirs(config), &position, &dir);
        assert(found);
    }
    return dir;
}

int64_t config_effective_long(const struct config *config, enum config_key key) {
    const struct config_row *chain = config_chain_of(key);
    if (chain == NULL) {
        return config_long(config, key);
    }
    for (int i = 0; i < CONFIG_FALLBACK_MAX && chain->fallbacks[i].factor != 0; i++) {
        const struct config_value *value =
            config_value_of(config, (enum config_key)chain->fallbacks[i].key);
        if (value->text.data != NULL) {
            return value->number < 0 ? value->number : value->number * chain->fallbacks[i].factor;
        }
    }
    return config_long(config, key);
}
