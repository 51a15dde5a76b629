#include "base/varint.h"

/* At most `bits` bits, so at most (bits + 6) / 7 bytes; the last may not carry more than is left.
 */
static size_t read_groups(const uint8_t *p, size_t size, int bits, uint64_t *ret_value) {
    uint64_t value = 0;
    int shift = 0;
    for (size_t i = 0; i < size && shift < bits; i++, shift += 7) {
        uint64_t group = p[i] & 0x7f;
        if (bits - shift < 7 && group >> (bits - shift) != 0) {
            return 0;
        }
        value |= group << shift;
        if ((p[i] & 0x80) == 0) {
            *ret_value = value;
            return i + 1;
        }
    }
    return 0;
}

size_t uvarint_read_slow(const uint8_t *p, size_t size, uint32_t *ret_value) {
    uint64_t value;
    size_t used = read_groups(p, size, 32, &value);
    if (used > 0) {
        *ret_value = (uint32_t)value;
    }
    return used;
}

size_t uvarlong_read_slow(const uint8_t *p, size_t size, uint64_t *ret_value) {
    return read_groups(p, size, 64, ret_value);
}

static size_t write_groups(uint8_t *p, uint64_t value) {
    size_t size = 0;
    while (value >= 0x80) {
        p[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    p[size++] = (uint8_t)value;
    return size;
}

static uint32_t zigzag32(int32_t value) {
    return ((uint32_t)value << 1) ^ (uint32_t)(value >> 31);
}

static uint64_t zigzag64(int64_t value) {
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

size_t uvarint_write(uint8_t *p, uint32_t value) {
    return write_groups(p, value);
}

size_t varint_write(uint8_t *p, int32_t value) {
    return write_groups(p, zigzag32(value));
}

size_t varlong_write(uint8_t *p, int64_t value) {
    return write_groups(p, zigzag64(value));
}

static size_t groups(uint64_t value) {
    int bits = 64 - __builtin_clzll(value | 1);
    return (size_t)(bits + 6) / 7;
}

size_t uvarint_size(uint32_t value) {
    return groups(value);
}

size_t varint_size(int32_t value) {
    return groups(zigzag32(value));
}

size_t varlong_size(int64_t value) {
    return groups(zigzag64(value));
}
