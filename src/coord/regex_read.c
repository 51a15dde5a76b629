#include <string.h>

#include "coord/regex_int.h"

static const char bad_bracket[] = "missing closing ]";
static const char bad_escape[] = "invalid escape sequence";
static const char bad_range[] = "invalid character class range";

/* --- characters --- */

bool regex_more(const struct regex_reader *reader) {
    return reader->position < reader->text.size;
}

struct str regex_rest(const struct regex_reader *reader) {
    return (struct str){reader->text.data + reader->position, reader->text.size - reader->position};
}

bool regex_looking_at(const struct regex_reader *reader, struct str text) {
    struct str left = regex_rest(reader);
    return left.size >= text.size && memcmp(left.data, text.data, text.size) == 0;
}

/* 0 at the end, where there is nothing. */
static uint32_t peek(const struct regex_reader *reader, size_t *ret_size) {
    struct str left = regex_rest(reader);
    const uint8_t *p = (const uint8_t *)left.data;
    *ret_size = left.size == 0 ? 0 : 1;
    if (left.size == 0 || p[0] < 0x80) {
        return left.size == 0 ? 0 : p[0];
    }
    size_t size = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || size > left.size) {
        return 0xfffd;
    }
    uint32_t c = p[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0xfffd;
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    *ret_size = size;
    return c;
}

uint32_t regex_pop(struct regex_reader *reader) {
    size_t size;
    uint32_t c = peek(reader, &size);
    reader->position += size;
    return c;
}

bool regex_take(struct regex_reader *reader, char c) {
    if (!regex_more(reader) || reader->text.data[reader->position] != c) {
        return false;
    }
    reader->position++;
    return true;
}

size_t regex_find(const struct regex_reader *reader, struct str text) {
    struct str left = regex_rest(reader);
    const char *at = memmem(left.data, left.size, text.data, text.size);
    return at == NULL ? left.size : (size_t)(at - left.data);
}

bool regex_is_alnum(uint32_t c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

void regex_fail(struct regex_reader *reader, const char *reason) {
    if (reader->reason == NULL) {
        reader->reason = reason;
    }
}

/* --- escapes --- */

static int unhex(uint32_t c) {
    if (c >= '0' && c <= '9') {
        return (int)c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (int)c - 'a' + 10 : -1;
}

/* \x{10FFFF}, behind the brace. */
static bool read_hex(struct regex_reader *reader, uint32_t *ret_c) {
    uint32_t value = 0;
    bool some = false;
    while (regex_more(reader)) {
        uint32_t c = regex_pop(reader);
        if (c == '}') {
            *ret_c = value;
            return some;
        }
        int digit = c < 128 ? unhex(c) : -1;
        if (digit < 0) {
            return false;
        }
        value = value * 16 + (uint32_t)digit;
        if (value > 0x10ffff) {
            return false;
        }
        some = true;
    }
    return false;
}

static bool read_hex_escape(struct regex_reader *reader, uint32_t *ret_c) {
    if (regex_take(reader, '{')) {
        return read_hex(reader, ret_c);
    }
    int high = regex_more(reader) ? unhex(regex_pop(reader)) : -1;
    int low = regex_more(reader) ? unhex(regex_pop(reader)) : -1;
    *ret_c = (uint32_t)(high * 16 + low);
    return high >= 0 && low >= 0;
}

static bool next_is_octal(const struct regex_reader *reader) {
    return regex_more(reader) && reader->text.data[reader->position] >= '0' &&
           reader->text.data[reader->position] <= '7';
}

static bool read_octal(struct regex_reader *reader, uint32_t first, uint32_t *ret_c) {
    if (first != '0' && !next_is_octal(reader)) {
        return false; /* a backreference */
    }
    uint32_t value = first - '0';
    for (int i = 0; i < 2 && next_is_octal(reader); i++) {
        value = value * 8 + (regex_pop(reader) - '0');
    }
    *ret_c = value;
    return true;
}

uint32_t regex_read_escape(struct regex_reader *reader) {
    reader->position++;
    if (!regex_more(reader)) {
        regex_fail(reader, "trailing backslash at end of expression");
        return 0;
    }
    uint32_t c = regex_pop(reader);
    static const char letters[] = "afnrtv";
    static const char controls[] = "\a\f\n\r\t\v";
    const char *letter = c != 0 && c < 128 ? strchr(letters, (int)c) : NULL;
    bool good = true;
    if (c >= '0' && c <= '7') {
        good = read_octal(reader, c, &c);
    } else if (c == 'x') {
        good = read_hex_escape(reader, &c);
    } else if (letter != NULL) {
        c = (uint8_t)controls[letter - letters];
    } else {
        good = !regex_is_alnum(c);
    }
    if (!good) {
        regex_fail(reader, bad_escape);
    }
    return c;
}

bool regex_read_unicode_class(struct regex_reader *reader, bool fold, struct regex_set *ret_set) {
    bool negate = regex_looking_at(reader, STR("\\P"));
    if (!negate && !regex_looking_at(reader, STR("\\p"))) {
        return false;
    }
    reader->position += 2;
    struct str name = regex_rest(reader);
    if (regex_take(reader, '{')) {
        name.data++;
        name.size = regex_find(reader, STR("}"));
        reader->position += name.size;
        if (!regex_take(reader, '}')) {
            regex_fail(reader, bad_range);
            return true;
        }
    } else {
        size_t start = reader->position;
        (void)regex_pop(reader);
        name.size = reader->position - start;
    }
    if (!regex_class_unicode(name, fold, ret_set)) {
        regex_fail(reader, bad_range);
    } else if (negate) {
        regex_set_negate(ret_set);
    }
    return true;
}

bool regex_read_perl_class(struct regex_reader *reader, bool fold, struct regex_set *ret_set) {
    struct str left = regex_rest(reader);
    if (left.size < 2 || left.data[0] != '\\' || !regex_class_perl(left.data[1], fold, ret_set)) {
        return false;
    }
    reader->position += 2;
    return true;
}

/* [:alpha:]. False: it is none, and nothing was read. */
static bool read_posix_class(struct regex_reader *reader, bool fold, struct regex_set *ret_set) {
    if (!regex_looking_at(reader, STR("[:"))) {
        return false;
    }
    size_t size = regex_find(reader, STR(":]"));
    struct str left = regex_rest(reader);
    if (size == left.size) {
        return false;
    }
    reader->position += size + 2;
    struct str name = {.data = left.data + 2, .size = size < 2 ? 0 : size - 2};
    if (size < 2 || !regex_class_posix(name, fold, ret_set)) {
        regex_fail(reader, bad_range);
    }
    return true;
}

/* --- sets --- */

static uint32_t read_set_character(struct regex_reader *reader) {
    if (!regex_more(reader)) {
        regex_fail(reader, bad_bracket);
        return 0;
    }
    return regex_looking_at(reader, STR("\\")) ? regex_read_escape(reader) : regex_pop(reader);
}

static void read_range(struct regex_reader *reader, bool fold, struct regex_set *set) {
    uint32_t first = read_set_character(reader);
    uint32_t last = first;
    if (regex_looking_at(reader, STR("-")) && !regex_looking_at(reader, STR("-]"))) {
        reader->position++;
        last = read_set_character(reader);
        if (last < first) {
            regex_fail(reader, bad_range);
        }
    }
    if (fold) {
        regex_set_add_folded(set, first, last);
    } else {
        regex_set_add(set, first, last);
    }
}

void regex_read_set(struct regex_reader *reader, bool fold, struct regex_set *ret_set) {
    reader->position++;
    bool negate = regex_take(reader, '^');
    *ret_set = (struct regex_set){0};
    bool first = true;
    while (reader->reason == NULL && (first || !regex_looking_at(reader, STR("]")))) {
        first = false;
        struct regex_set named;
        if (read_posix_class(reader, fold, &named) ||
            regex_read_unicode_class(reader, fold, &named) ||
            regex_read_perl_class(reader, fold, &named)) {
            regex_set_add_set(ret_set, named);
        } else {
            read_range(reader, fold, ret_set);
        }
    }
    if (reader->reason != NULL) {
        return;
    }
    reader->position++;
    if (negate) {
        regex_set_negate(ret_set);
    }
}
