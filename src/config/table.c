/* Looking things up in the table. */
#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "config/config_int.h"

const struct config_row *config_row(enum config_key key) {
    assert((int)key >= 0);
    assert(key < CONFIG_KEY_COUNT);
    return &config_rows[key];
}

enum config_key config_scope_first(enum config_scope scope) {
    return (enum config_key)config_scope_starts[scope];
}

enum config_key config_scope_end(enum config_scope scope) {
    return (enum config_key)config_scope_starts[scope + 1];
}

err_t config_find(enum config_scope scope, struct str name, enum config_key *ret_key) {
    int low = (int)config_scope_first(scope);
    int high = (int)config_scope_end(scope);
    while (low < high) {
        int middle = (low + high) / 2;
        int order = str_compare(str_from_c(config_rows[middle].name), name);
        if (order == 0) {
            *ret_key = (enum config_key)middle;
            return ERR_OK;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return ERR_NOT_FOUND;
}

/* How many letters must be put in, left out, changed, or swapped with their neighbour. */
enum { NAME_MAX_COMPARED = 96 };

static int distance(struct str a, const char *b) {
    int size_b = (int)strlen(b);
    int rows[3][NAME_MAX_COMPARED + 1];
    for (int j = 0; j <= size_b; j++) {
        rows[0][j] = j;
    }
    for (int i = 1; i <= (int)a.size; i++) {
        int *now = rows[i % 3];
        const int *before = rows[(i + 2) % 3];
        const int *before_that = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= size_b; j++) {
            int best = before[j - 1] + (a.data[i - 1] != b[j - 1]);
            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a.data[i - 1] == b[j - 2] && a.data[i - 2] == b[j - 1] &&
                before_that[j - 2] + 1 < best) {
                best = before_that[j - 2] + 1;
            }
            now[j] = best;
        }
    }
    return rows[a.size % 3][size_b];
}

const char *config_nearest(enum config_scope scope, struct str name) {
    if (name.size > NAME_MAX_COMPARED) {
        return NULL;
    }
    const char *nearest = NULL;
    int best = 2 + (int)name.size / 6;
    for (int key = (int)config_scope_first(scope); key < (int)config_scope_end(scope); key++) {
        if (strlen(config_rows[key].name) > NAME_MAX_COMPARED) {
            continue;
        }
        int d = distance(name, config_rows[key].name);
        if (d < best) {
            best = d;
            nearest = config_rows[key].name;
        }
    }
    return nearest;
}

bool config_name_is_foreign(struct str name) {
    static const char *const prefixes[] = {"listener.name.",   "rsm.config.",
                                           "rlmm.config.",     "remote.log.",
                                           "metrics.context.", "config.providers."};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t size = strlen(prefixes[i]);
        if (name.size > size && memcmp(name.data, prefixes[i], size) == 0) {
            return true;
        }
    }
    return false;
}

const char *config_type_name(enum config_type type) {
    static const char *const names[] = {"boolean", "short",  "int",   "long",    "double",
                                        "list",    "string", "class", "password"};
    return names[type];
}

int8_t config_type_code(enum config_type type) {
    /* BOOLEAN 1, STRING 2, INT 3, SHORT 4, LONG 5, DOUBLE 6, LIST 7, CLASS 8, PASSWORD 9 */
    static const int8_t codes[] = {1, 4, 3, 5, 6, 7, 2, 8, 9};
    return codes[type];
}

const char *config_class_name(enum config_class class) {
    static const char *const names[] = {"live", "inert", "protective"};
    return names[class];
}

const char *config_update_mode_name(enum config_update_mode mode) {
    static const char *const names[] = {"read-only", "per-broker", "cluster-wide"};
    return names[mode];
}

const struct config_row *config_chain_of(enum config_key key) {
    for (int i = (int)config_scope_first(CONFIG_TOPIC); i < (int)config_scope_end(CONFIG_TOPIC);
         i++) {
        if (config_rows[i].fallbacks[0].factor != 0 &&
            config_rows[i].fallbacks[0].key == (int16_t)key) {
            return &config_rows[i];
        }
    }
    return NULL;
}
