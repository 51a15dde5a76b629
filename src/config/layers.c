/*
 * Who says what. For a broker's key, nearest first: dynamic for this broker, dynamic for all, the
 * file, the default. For a topic's (group's ...) key: its own setting, then the broker keys it
 * falls back to, each through those layers, then the default.
 */
#include <assert.h>

#include "config/config_int.h"

static bool look(const struct config_lookup *lookup, const char *name, struct str *ret_value) {
    struct str value;
    if (lookup->get == NULL || !lookup->get(lookup->arg, str_from_c(name), &value) ||
        value.data == NULL) {
        return false;
    }
    *ret_value = value;
    return true;
}

static bool is_dynamic(const struct config_row *row) {
    return row->update_mode != CONFIG_READ_ONLY;
}

struct str config_layers_broker_text(const struct config_layers *layers, enum config_key key) {
    const struct config_row *row = config_row(key);
    struct str text, message;
    struct config_value parsed;
    struct arena arena;
    if (!is_dynamic(row)) {
        return config_str(layers->file, key);
    }
    arena_init(&arena, SIZE_MAX);
    bool found = (look(&layers->broker, row->name, &text) &&
                  config_value_parse(key, text, &arena, &parsed, &message) == ERR_OK) ||
                 (look(&layers->cluster, row->name, &text) &&
                  config_value_parse(key, text, &arena, &parsed, &message) == ERR_OK);
    arena_done(&arena);
    return found ? text : config_str(layers->file, key);
}

struct config *config_with_dynamic(const struct config_layers *layers) {
    struct config *config = config_alloc(CONFIG_BROKER);
    config->base = (struct config *)layers->file;
    config_ref(config->base);
    for (int i = (int)config_scope_first(CONFIG_BROKER); i < (int)config_scope_end(CONFIG_BROKER);
         i++) {
        enum config_key key = (enum config_key)i;
        struct str text = config_layers_broker_text(layers, key);
        struct str message;
        struct config_value value = *config_value_of(layers->file, key);
        if (text.data != NULL && text.data != value.text.data) {
            err_t err = config_value_parse(key, text, &config->arena, &value, &message);
            assert(err == ERR_OK);
        }
        *config_slot(config, key) = value;
        config->set[i - (int)config_scope_first(CONFIG_BROKER)] = config_is_set(layers->file, key);
    }
    return config;
}

/* A broker key's value in the units of the key that falls back to it. */
static bool convert_fallback(enum config_key key, struct str text, int64_t factor,
                             struct arena *arena, struct config_value *ret_value) {
    struct str message;
    if (config_value_parse(key, text, arena, ret_value, &message) != ERR_OK) {
        return false;
    }
    if (factor != 1 && ret_value->number > 0) {
        *ret_value = config_value_from_number(ret_value->number * factor, arena);
    }
    return true;
}

static bool take_fallback(const struct config_layers *layers, enum config_key key,
                          struct arena *arena, struct config_value *ret_value) {
    const struct config_row *row = config_row(key);
    for (int i = 0; i < CONFIG_FALLBACK_MAX && row->fallbacks[i].factor != 0; i++) {
        struct str text = config_layers_broker_text(layers, (enum config_key)row->fallbacks[i].key);
        if (text.data != NULL &&
            convert_fallback(key, text, row->fallbacks[i].factor, arena, ret_value)) {
            return true;
        }
    }
    return false;
}

struct config *config_resolve(enum config_scope scope, const struct config_layers *layers) {
    assert(scope != CONFIG_BROKER);
    struct config *config = config_alloc(scope);
    for (int i = (int)config_scope_first(scope); i < (int)config_scope_end(scope); i++) {
        enum config_key key = (enum config_key)i;
        struct config_value value = {.text = STR_NULL};
        struct str text, message;
        bool own = look(&layers->resource, config_row(key)->name, &text) &&
                   config_value_parse(key, text, &config->arena, &value, &message) == ERR_OK;
        if (!own && !take_fallback(layers, key, &config->arena, &value)) {
            value = config_value_default(key, &config->arena);
        }
        *config_slot(config, key) = value;
        config->set[i - (int)config_scope_first(scope)] = own;
    }
    return config;
}

/* --- describing --- */

struct description {
    const struct config_layers *layers;
    struct arena *arena;
    struct config_entry *entry;
};

enum { SYNONYM_MAX = 1 + 4 * CONFIG_FALLBACK_MAX };

static void add_synonym(struct description *d, const char *name, struct str value,
                        enum config_source source) {
    struct config_entry *entry = d->entry;
    assert(entry->synonym_count < SYNONYM_MAX);
    entry->synonyms[entry->synonym_count++] = (struct config_synonym){
        .name = str_from_c(name),
        .value = entry->sensitive ? STR_NULL : arena_str(d->arena, value),
        .source = source,
    };
}

/* Which broker keys speak for one, nearest first. */
static int synonym_keys(enum config_key key, enum config_key keys[CONFIG_FALLBACK_MAX]) {
    for (int i = (int)config_scope_first(CONFIG_TOPIC); i < (int)config_scope_end(CONFIG_TOPIC);
         i++) {
        const struct config_fallback *fallbacks = config_rows[i].fallbacks;
        int count = 0;
        bool found = false;
        for (; count < CONFIG_FALLBACK_MAX && fallbacks[count].factor != 0; count++) {
            keys[count] = (enum config_key)fallbacks[count].key;
            found = found || keys[count] == key;
        }
        if (found) {
            return count;
        }
    }
    keys[0] = key;
    return 1;
}

static bool layer_text(const struct config_layers *layers, enum config_source source,
                       enum config_key key, struct str *ret_text) {
    const char *name = config_row(key)->name;
    switch (source) {
    case CONFIG_SOURCE_DYNAMIC_BROKER:
        return look(&layers->broker, name, ret_text);
    case CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER:
        return look(&layers->cluster, name, ret_text);
    case CONFIG_SOURCE_STATIC_BROKER:
        *ret_text = config_str(layers->file, key);
        return config_is_set(layers->file, key) && ret_text->data != NULL;
    default:
        *ret_text = str_from_c(config_row(key)->default_text);
        return ret_text->data != NULL;
    }
}

/* As Kafka lists them: layer by layer, all keys of each; and from the key itself on, so that what
 * only its longer-named cousins say is not shown. */
static void add_broker_synonyms(struct description *d, enum config_key key) {
    static const enum config_source sources[] = {
        CONFIG_SOURCE_DYNAMIC_BROKER, CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER,
        CONFIG_SOURCE_STATIC_BROKER, CONFIG_SOURCE_DEFAULT};
    enum config_key keys[CONFIG_FALLBACK_MAX];
    int count = synonym_keys(key, keys);
    bool begun = false;
    for (size_t s = 0; s < sizeof sources / sizeof sources[0]; s++) {
        for (int i = 0; i < count; i++) {
            struct str text;
            if (!layer_text(d->layers, sources[s], keys[i], &text)) {
                continue;
            }
            begun = begun || keys[i] == key;
            if (begun) {
                add_synonym(d, config_row(keys[i])->name, text, sources[s]);
            }
        }
    }
}

static struct str described_value(struct description *d, enum config_key key) {
    const struct config_row *row = config_row(key);
    struct config_value value = {.text = STR_NULL};
    struct str text, message;
    if (d->entry->sensitive) {
        return STR_NULL;
    }
    if (row->scope == CONFIG_BROKER) {
        text = config_layers_broker_text(d->layers, key);
    } else if (!look(&d->layers->resource, row->name, &text)) {
        if (!take_fallback(d->layers, key, d->arena, &value)) {
            value = config_value_default(key, d->arena);
        }
        return value.text;
    }
    if (text.data != NULL && config_value_parse(key, text, d->arena, &value, &message) != ERR_OK) {
        value.text = arena_str(d->arena, text);
    }
    return value.text;
}

static enum config_source own_source(enum config_scope scope) {
    switch (scope) {
    case CONFIG_TOPIC:
        return CONFIG_SOURCE_DYNAMIC_TOPIC;
    case CONFIG_GROUP:
        return CONFIG_SOURCE_GROUP;
    case CONFIG_CLIENT_METRICS:
        return CONFIG_SOURCE_CLIENT_METRICS;
    case CONFIG_BROKER:
    case CONFIG_CLIENT:
        break;
    }
    return CONFIG_SOURCE_UNKNOWN;
}

void config_describe(const struct config_layers *layers, enum config_key key, struct arena *arena,
                     struct config_entry *ret_entry) {
    const struct config_row *row = config_row(key);
    struct config_entry entry = {
        .key = key,
        .name = str_from_c(row->name),
        .read_only = row->scope == CONFIG_BROKER && !is_dynamic(row),
        .sensitive = row->type == CONFIG_TYPE_PASSWORD,
        .synonyms = ARENA_ARRAY(arena, struct config_synonym, SYNONYM_MAX),
        .source = CONFIG_SOURCE_DEFAULT,
    };
    struct description d = {.layers = layers, .arena = arena, .entry = &entry};
    struct str text;
    if (row->scope != CONFIG_BROKER && look(&layers->resource, row->name, &text)) {
        add_synonym(&d, row->name, text, own_source(row->scope));
    }
    if (row->scope == CONFIG_BROKER) {
        add_broker_synonyms(&d, key);
    } else if (row->fallbacks[0].factor != 0) {
        add_broker_synonyms(&d, (enum config_key)row->fallbacks[0].key);
    } else if (row->scope == CONFIG_GROUP && row->default_text != NULL) {
        add_synonym(&d, row->name, str_from_c(row->default_text), CONFIG_SOURCE_DEFAULT);
    }
    if (entry.synonym_count > 0) {
        entry.source = entry.synonyms[0].source;
    }
    entry.value = described_value(&d, key);
    *ret_entry = entry;
}
