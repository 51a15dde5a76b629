#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Kafka's variable-length numbers: groups of 7 bits, low first. "varint" and "varlong" are zigzag
 * of 32 and 64 bits, "uvarint" is plain.
 *
 * A reader returns how many bytes the number took, or 0 when `size` bytes do not hold a whole one
 * or it is longer than its type allows (5 bytes, 10 bytes). Bits of the last byte that the type has
 * no room for are dropped, as Kafka's reader does. A writer returns how many bytes it
 * wrote; 5 and 10 are the most.
 */
enum { UVARINT_SIZE_MAX = 5, VARLONG_SIZE_MAX = 10 };

size_t uvarint_read_slow(const uint8_t *p, size_t size, uint32_t *ret_value);
size_t uvarlong_read_slow(const uint8_t *p, size_t size, uint64_t *ret_value);

/* One and two bytes are what nearly all of them have. */
static inline size_t uvarint_read(const uint8_t *p, size_t size, uint32_t *ret_value) {
    if (size > 0 && p[0] < 0x80) {
        *ret_value = p[0];
        return 1;
    }
    if (size > 1 && p[1] < 0x80) {
        *ret_value = (p[0] & 0x7fu) | (uint32_t)p[1] << 7;
        return 2;
    }
    return uvarint_read_slow(p, size, ret_value);
}

static inline size_t varint_read(const uint8_t *p, size_t size, int32_t *ret_value) {
    uint32_t raw;
    size_t used = uvarint_read(p, size, &raw);
    if (used > 0) {
        *ret_value = (int32_t)((raw >> 1) ^ (~(raw & 1) + 1));
    }
    return used;
}

static inline size_t varlong_read(const uint8_t *p, size_t size, int64_t *ret_value) {
    uint64_t raw;
    if (size > 0 && p[0] < 0x80) {
        *ret_value = (int64_t)(p[0] >> 1) ^ -(int64_t)(p[0] & 1);
        return 1;
    }
    size_t used = uvarlong_read_slow(p, size, &raw);
    if (used > 0) {
        *ret_value = (int64_t)((raw >> 1) ^ (~(raw & 1) + 1));
    }
    return used;
}

size_t uvarint_write(uint8_t *p, uint32_t value);
size_t varint_write(uint8_t *p, int32_t value);
size_t varlong_write(uint8_t *p, int64_t value);

size_t uvarint_size(uint32_t value);
size_t varint_size(int32_t value);
size_t varlong_size(int64_t value);
