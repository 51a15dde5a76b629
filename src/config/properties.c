/*
 * Java's properties files. A logical line is a natural line and those that follow a backslash at
 * its end; comments (# or !) and blank lines are natural lines only. A key ends at the first '=',
 * ':' or white space that is not escaped; white space around the separator is dropped, at the end
 * of a value it is kept.
 */
#include <string.h>

#include "config/config_int.h"

struct reader {
    const char *p;
    const char *end;
    struct buffer key;
    struct buffer value;
};

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\f';
}

static bool is_line_end(char c) {
    return c == '\n' || c == '\r';
}

static void skip_blank(struct reader *r) {
    while (r->p < r->end && is_blank(*r->p)) {
        r->p++;
    }
}

static void skip_line_end(struct reader *r) {
    if (r->p < r->end && *r->p == '\r') {
        r->p++;
        if (r->p < r->end && *r->p == '\n') {
            r->p++;
        }
    } else if (r->p < r->end) {
        r->p++;
    }
}

static bool take_hex(struct reader *r, uint32_t *ret_unit) {
    uint32_t unit = 0;
    if (r->end - r->p < 4) {
        return false;
    }
    for (int i = 0; i < 4; i++, r->p++) {
        char c = *r->p;
        char low = (char)(c | 0x20);
        if (c >= '0' && c <= '9') {
            unit = unit << 4 | (uint32_t)(c - '0');
        } else if (low >= 'a' && low <= 'f') {
            unit = unit << 4 | (uint32_t)(low - 'a' + 10);
        } else {
            return false;
        }
    }
    *ret_unit = unit;
    return true;
}

static void add_utf8(struct buffer *out, uint32_t c) {
    uint8_t bytes[4];
    size_t size;
    if (c < 0x80) {
        bytes[0] = (uint8_t)c;
        size = 1;
    } else if (c < 0x800) {
        bytes[0] = (uint8_t)(0xc0 | c >> 6);
        bytes[1] = (uint8_t)(0x80 | (c & 0x3f));
        size = 2;
    } else if (c < 0x10000) {
        bytes[0] = (uint8_t)(0xe0 | c >> 12);
        bytes[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        bytes[2] = (uint8_t)(0x80 | (c & 0x3f));
        size = 3;
    } else {
        bytes[0] = (uint8_t)(0xf0 | c >> 18);
        bytes[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        bytes[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        bytes[3] = (uint8_t)(0x80 | (c & 0x3f));
        size = 4;
    }
    buffer_add(out, bytes, size);
}

/* Behind a backslash and a u: one character, which may be two such escapes. */
static bool take_unicode(struct reader *r, struct buffer *out) {
    uint32_t unit, low;
    if (!take_hex(r, &unit)) {
        return false;
    }
    bool pair =
        unit >= 0xd800 && unit < 0xdc00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u';
    if (pair) {
        const char *before = r->p;
        r->p += 2;
        if (!take_hex(r, &low)) {
            return false;
        }
        if (low >= 0xdc00 && low < 0xe000) {
            unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        } else {
            r->p = before;
        }
    }
    add_utf8(out, unit >= 0xd800 && unit < 0xe000 ? '?' : unit);
    return true;
}

/* Behind a backslash. A line end is nothing, with the white space that begins the next line. */
static bool take_escape(struct reader *r, struct buffer *out) {
    if (r->p == r->end) {
        return true;
    }
    if (is_line_end(*r->p)) {
        skip_line_end(r);
        skip_blank(r);
        return true;
    }
    char c = *r->p++;
    if (c == 'u') {
        return take_unicode(r, out);
    }
    static const char names[] = "tnrf";
    static const char meant[] = "\t\n\r\f";
    const char *found = strchr(names, c);
    buffer_add(out, found == NULL ? &c : &meant[found - names], 1);
    return true;
}

static bool take_until(struct reader *r, struct buffer *out, bool key) {
    while (r->p < r->end && !is_line_end(*r->p)) {
        if (key && (is_blank(*r->p) || *r->p == '=' || *r->p == ':')) {
            break;
        }
        char c = *r->p++;
        if (c != '\\') {
            buffer_add(out, &c, 1);
        } else if (!take_escape(r, out)) {
            return false;
        }
    }
    return true;
}

static void skip_separator(struct reader *r) {
    skip_blank(r);
    if (r->p < r->end && (*r->p == '=' || *r->p == ':')) {
        r->p++;
        skip_blank(r);
    }
}

/* Stands at the start of a logical line that is neither blank nor a comment. */
static bool take_pair(struct reader *r) {
    buffer_clear(&r->key);
    buffer_clear(&r->value);
    if (!take_until(r, &r->key, true)) {
        return false;
    }
    skip_separator(r);
    return take_until(r, &r->value, false);
}

static struct str copy(struct arena *arena, const struct buffer *buffer) {
    return arena_str(arena, buffer->size == 0 ? STR("") : bytes_str(buffer_bytes(buffer)));
}

static err_t read_all(struct reader *r, struct arena *arena, struct buffer *pairs) {
    while (skip_blank(r), r->p < r->end) {
        if (*r->p == '#' || *r->p == '!') {
            while (r->p < r->end && !is_line_end(*r->p)) {
                r->p++;
            }
        }
        if (r->p < r->end && is_line_end(*r->p)) {
            skip_line_end(r);
            continue;
        }
        if (r->p == r->end) {
            break;
        }
        if (!take_pair(r)) {
            return ERR_MALFORMED;
        }
        struct config_pair pair = {.name = copy(arena, &r->key), .value = copy(arena, &r->value)};
        buffer_add(pairs, &pair, sizeof pair);
    }
    return ERR_OK;
}

err_t config_properties_parse(struct str text, struct arena *arena, struct config_pair **ret_pairs,
                              size_t *ret_count) {
    struct reader reader = {.p = text.data, .end = text.data + text.size};
    struct buffer pairs = {0};
    err_t err = read_all(&reader, arena, &pairs);
    if (err == ERR_OK) {
        struct bytes kept =
            arena_bytes(arena, pairs.data == NULL ? str_bytes(STR("")) : buffer_bytes(&pairs));
        *ret_pairs = (struct config_pair *)(uintptr_t)kept.data;
        *ret_count = kept.size / sizeof **ret_pairs;
    }
    buffer_done(&reader.key);
    buffer_done(&reader.value);
    buffer_done(&pairs);
    return err;
}
