#include "metrics/name.h"

#include <ctype.h>
#include <string.h>

/* Where the last `word` in the name starts, or the end of the name. */
static size_t find_last(const char *name, const char *word) {
    size_t size = strlen(name);
    size_t word_size = strlen(word);
    for (size_t i = size; i-- > 0;) {
        if (strncmp(name + i, word, word_size) == 0) {
            return i;
        }
    }
    return size;
}

static bool name_char(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == ':';
}

/* Adds a piece of a name; `start` is where the whole name began in the buffer. */
static void add_piece(struct buffer *out, size_t start, const char *piece, size_t size) {
    for (size_t i = 0; i < size; i++) {
        char c = name_char(piece[i]) ? (char)tolower((unsigned char)piece[i]) : '_';
        bool repeated = c == '_' && out->size > start && out->data[out->size - 1] == '_';
        if (out->size == start && isdigit((unsigned char)c)) {
            buffer_add(out, "_", 1);
        }
        if (!repeated) {
            buffer_add(out, &c, 1);
        }
    }
}

/* How much of id->name the exported name keeps, and what it gets instead. */
static size_t stem_size(enum metrics_name_kind kind, const char *name, const char **ret_suffix) {
    size_t size = strlen(name);
    switch (kind) {
    case METRICS_NAME_TOTAL:
        *ret_suffix = "_total";
        size_t per_second = find_last(name, "PerSec");
        size_t total = find_last(name, "-total");
        size_t count = find_last(name, "-count");
        if (count + strlen("-count") == size) {
            *ret_suffix = "_count";
            return count;
        }
        return per_second < size ? per_second : total;
    case METRICS_NAME_COUNT:
        *ret_suffix = "_count";
        return size;
    case METRICS_NAME_PERCENT:
        *ret_suffix = "_percent";
        return find_last(name, "Percent");
    case METRICS_NAME_VALUE:
        break;
    }
    *ret_suffix = "";
    return size;
}

void metrics_name_add(struct buffer *out, enum metrics_name_kind kind,
                      const struct metrics_id *id) {
    size_t start = out->size;
    if (id->group == NULL) {
        buffer_add(out, id->name, strlen(id->name));
        if (kind == METRICS_NAME_COUNT) {
            buffer_add(out, "_count", strlen("_count"));
        }
    } else {
        const char *suffix;
        size_t stem = stem_size(kind, id->name, &suffix);
        add_piece(out, start, id->group, strlen(id->group));
        add_piece(out, start, "_", 1);
        add_piece(out, start, id->type, strlen(id->type));
        add_piece(out, start, "_", 1);
        add_piece(out, start, id->name, stem);
        add_piece(out, start, suffix, strlen(suffix));
    }
    buffer_add(out, "", 1);
    out->size--;
}

static void add_label_value(struct buffer *out, const char *value) {
    for (const char *p = value; *p != '\0'; p++) {
        switch (*p) {
        case '\\':
            buffer_add(out, "\\\\", 2);
            break;
        case '"':
            buffer_add(out, "\\\"", 2);
            break;
        case '\n':
            buffer_add(out, "\\n", 2);
            break;
        default:
            buffer_add(out, p, 1);
        }
    }
}

void metrics_labels_add(struct buffer *out, const struct metrics_label *labels) {
    for (int i = 0; i < METRICS_LABELS_MAX && labels[i].name != NULL; i++) {
        if (i > 0) {
            buffer_add(out, ",", 1);
        }
        for (const char *p = labels[i].name; *p != '\0'; p++) {
            char c = isalnum((unsigned char)*p) ? *p : '_';
            buffer_add(out, &c, 1);
        }
        buffer_add(out, "=\"", 2);
        add_label_value(out, labels[i].value);
        buffer_add(out, "\"", 1);
    }
}
