/* What Kafka refuses when settings are changed while it runs. */
#include <inttypes.h>
#include <string.h>

#include "config/config_int.h"

static const char *scope_word(enum config_scope scope) {
    static const char *const words[] = {"broker", "topic", "group", "client metrics"};
    return words[scope];
}

static err_t unknown_name(enum config_scope scope, struct str name, struct arena *arena,
                          struct str *ret_message) {
    static const char *const formats[] = {
        "Unknown broker config name: %.*s",
        "Unknown topic config name: %.*s",
        "Unknown group config name: %.*s",
        "Unknown client metrics configuration: %.*s",
    };
    *ret_message = arena_printf(arena, formats[scope], STR_ARGS(name));
    return ERR_INVALID_CONFIG;
}

static err_t check_names(enum config_scope scope, const struct config_pair *pairs,
                         size_t pair_count, struct arena *arena, struct str *ret_message) {
    struct buffer nulls = {0};
    for (size_t i = 0; i < pair_count; i++) {
        if (pairs[i].value.data == NULL) {
            buffer_printf(&nulls, "%s%.*s", nulls.size == 0 ? "" : ",", STR_ARGS(pairs[i].name));
        }
    }
    if (nulls.size > 0) {
        *ret_message = arena_printf(arena, "Null value not supported for %s configs: %.*s",
                                    scope_word(scope), (int)nulls.size, (const char *)nulls.data);
        buffer_done(&nulls);
        return ERR_INVALID_CONFIG;
    }
    for (size_t i = 0; i < pair_count; i++) {
        enum config_key key;
        if (config_find(scope, pairs[i].name, &key) != ERR_OK) {
            return unknown_name(scope, pairs[i].name, arena, ret_message);
        }
    }
    return ERR_OK;
}

static bool pair_lookup(const void *arg, struct str name, struct str *ret_value) {
    const struct config_pair *pair = arg;
    for (; pair->name.data != NULL; pair++) {
        if (str_equal(pair->name, name)) {
            *ret_value = pair->value;
            return true;
        }
    }
    return false;
}

/* Settings of a topic that are each fine, together. */
static err_t check_topic(const struct config *topic, struct arena *arena, struct str *ret_message) {
    int64_t lag_min = config_long(topic, TOPIC_CONFIG_MIN_COMPACTION_LAG_MS);
    int64_t lag_max = config_long(topic, TOPIC_CONFIG_MAX_COMPACTION_LAG_MS);
    if (lag_min > lag_max) {
        *ret_message = arena_printf(arena,
                                    "conflict topic config setting min.compaction.lag.ms (%" PRId64
                                    ") > max.compaction.lag.ms (%" PRId64 ")",
                                    lag_min, lag_max);
        return ERR_INVALID_CONFIG;
    }
    if (config_bool(topic, TOPIC_CONFIG_REMOTE_STORAGE_ENABLE)) {
        *ret_message = STR("Tiered Storage functionality is disabled in the broker. Topic cannot "
                           "be configured with remote log storage.");
        return ERR_INVALID_CONFIG;
    }
    return ERR_OK;
}

err_t config_validate(enum config_scope scope, const struct config_pair *pairs, size_t pair_count,
                      const struct config_layers *below, struct arena *arena,
                      struct str *ret_message) {
    err_t err = check_names(scope, pairs, pair_count, arena, ret_message);
    if (err != ERR_OK) {
        return err;
    }
    /* In the order of the table, so that the same mistakes always give the same message. */
    for (int i = (int)config_scope_first(scope); i < (int)config_scope_end(scope); i++) {
        for (size_t j = 0; j < pair_count; j++) {
            struct config_value value;
            if (str_equal(pairs[j].name, str_from_c(config_row((enum config_key)i)->name)) &&
                config_value_parse((enum config_key)i, pairs[j].value, arena, &value,
                                   ret_message) != ERR_OK) {
                return ERR_INVALID_CONFIG;
            }
        }
    }
    if (scope != CONFIG_TOPIC) {
        return ERR_OK;
    }
    struct config_pair *ended = ARENA_ARRAY(arena, struct config_pair, pair_count + 1);
    for (size_t i = 0; i < pair_count; i++) {
        ended[i] = pairs[i];
    }
    struct config_layers layers = *below;
    layers.resource = (struct config_lookup){pair_lookup, ended};
    struct config *topic = config_resolve(scope, &layers);
    err = check_topic(topic, arena, ret_message);
    config_unref(topic);
    return err;
}

/* Kafka allows these dynamically; it would have to rebind or reauthenticate, which we do not. */
static bool cannot_change_here(const struct config_row *row) {
    return row->class == CONFIG_PROTECTIVE || strcmp(row->name, "listeners") == 0 ||
           strcmp(row->name, "listener.security.protocol.map") == 0;
}

static err_t refuse_update(const char *why, struct str names, struct arena *arena,
                           struct str *ret_message) {
    *ret_message = arena_printf(arena, "%s: [%.*s]", why, STR_ARGS(names));
    return ERR_INVALID_REQUEST;
}

err_t config_validate_broker(const struct config_pair *pairs, size_t pair_count, bool per_broker,
                             const struct config *file, struct arena *arena,
                             struct str *ret_message) {
    for (size_t i = 0; i < pair_count; i++) {
        enum config_key key;
        struct config_value value;
        if (config_find(CONFIG_BROKER, pairs[i].name, &key) != ERR_OK) {
            continue; /* kept, as Kafka keeps what plug-ins may want */
        }
        const struct config_row *row = config_row(key);
        if (row->update_mode == CONFIG_READ_ONLY) {
            return refuse_update("Cannot update these configs dynamically", pairs[i].name, arena,
                                 ret_message);
        }
        if (row->update_mode == CONFIG_PER_BROKER && !per_broker) {
            return refuse_update("Cannot update these configs at default cluster level, broker id "
                                 "must be specified",
                                 pairs[i].name, arena, ret_message);
        }
        if (pairs[i].value.data == NULL) {
            continue;
        }
        if (config_value_parse(key, pairs[i].value, arena, &value, ret_message) != ERR_OK) {
            return ERR_INVALID_CONFIG;
        }
        if (cannot_change_here(row) && !str_equal(value.text, config_str(file, key))) {
            *ret_message = arena_printf(arena,
                                        "%s is not enforced by this version of Ottla, so it "
                                        "cannot be changed",
                                        row->name);
            return ERR_INVALID_CONFIG;
        }
    }
    return ERR_OK;
}
