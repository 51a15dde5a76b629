#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Borrowed runs of bytes and characters, and big-endian numbers inside them.
 *
 * A `bytes` or `str` never owns what it points at; the name next to it says who does. data is NULL
 * for Kafka's null, and then size is 0. An empty value has data != NULL. A str is UTF-8 as it came
 * from the wire, and not zero-terminated.
 */
struct bytes {
    const uint8_t *data;
    size_t size;
};

struct str {
    const char *data;
    size_t size;
};

#define STR(literal) ((struct str){.data = (literal), .size = sizeof(literal) - 1})
#define STR_NULL     ((struct str){.data = NULL, .size = 0})

/* For printf: ("%.*s", STR_ARGS(name)). A null prints as nothing. */
#define STR_ARGS(s) (int)(s).size, ((s).data == NULL ? "" : (s).data)

static inline struct str str_from_c(const char *text) {
    return (struct str){.data = text, .size = text == NULL ? 0 : strlen(text)};
}

static inline bool str_equal(struct str a, struct str b) {
    return a.size == b.size && (a.data == NULL) == (b.data == NULL) &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* A zero-terminated copy on the heap, for free(); NULL for null. */
char *str_dup(struct str s);

/* Order of memcmp, then of length; null before empty. */
int str_compare(struct str a, struct str b);

static inline struct bytes str_bytes(struct str s) {
    return (struct bytes){.data = (const uint8_t *)s.data, .size = s.size};
}

static inline struct str bytes_str(struct bytes b) {
    return (struct str){.data = (const char *)b.data, .size = b.size};
}

static inline uint16_t get_be16(const uint8_t *p) {
    return (uint16_t)((uint16_t)p[0] << 8 | p[1]);
}

static inline uint32_t get_be32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t get_be64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

static inline void put_be16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void put_be32(uint8_t *p, uint32_t v) {
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}

static inline void put_be64(uint8_t *p, uint64_t v) {
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof v);
}
