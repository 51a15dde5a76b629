#include "base/java_hash.h"

/* One character of UTF-8, or U+FFFD for bytes that are none, as Java decodes them. */
static uint32_t take_character(const uint8_t **p, const uint8_t *end) {
    uint8_t first = *(*p)++;
    int more = first < 0x80 ? 0 : first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc2 ? 1 : -1;
    if (more < 0 || first > 0xf4) {
        return 0xfffd;
    }
    uint32_t value = more == 0 ? first : first & (0x3f >> more);
    for (int i = 0; i < more; i++) {
        if (*p == end || (**p & 0xc0) != 0x80) {
            return 0xfffd;
        }
        value = value << 6 | (*(*p)++ & 0x3f);
    }
    return value;
}

int32_t java_hash(struct str text) {
    uint32_t hash = 0;
    const uint8_t *p = (const uint8_t *)text.data, *end = p + text.size;
    while (p < end) {
        uint32_t character = take_character(&p, end);
        if (character >= 0x10000) { /* two of Java's characters */
            hash = 31 * hash + (0xd800 + ((character - 0x10000) >> 10));
            character = 0xdc00 + ((character - 0x10000) & 0x3ff);
        }
        hash = 31 * hash + character;
    }
    return (int32_t)hash;
}

int32_t java_hash_place(struct str text, int32_t count) {
    int32_t hash = java_hash(text);
    int32_t positive = hash == INT32_MIN ? 0 : hash < 0 ? -hash : hash;
    return positive % count;
}
