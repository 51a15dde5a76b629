#include "base/varint.h"

/* Bits of the last group that the type has no room for are dropped, as Kafka's reader does. */
static size_t read_groups(const uint8_t *p, size_t size, size_t group_max, uint64_t *ret_value) {
    uint64_t value = 0;
    for (size_t i = 0; i < group_max && i < size; i++) {
        value |= (uint64_t)(p[i] & 0x7f) << (7 * i);
        if (p[i] < 0x80) {
            *ret_value = value;
            return i + 1;
        }
    }
    return 0;
}

static size_t write_groups(uint8_t *p, uint64_t value) {
    size_t used = 0;
    while (value >= 0x80) {
        p[used++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    p[used++] = (uint8_t)value;
    return used;
}

static uint32_t zigzag_32(int32_t value) {
    return (uint32_t)value << 1 ^ (value < 0 ? UINT32_MAX : 0);
}

static uint64_t zigzag_64(int64_t value) {
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static size_t size_64(uint64_t value) {
    int bit_count = 64 - __builtin_clzll(value | 1);
    return (size_t)(bit_count + 6) / 7;
}

size_t uvarint_read_slow(const uint8_t *p, size_t size, uint32_t *ret_value) {
    uint64_t value;
    size_t used = read_groups(p, size, UVARINT_SIZE_MAX, &value);
    if (used > 0) {
        *ret_value = (uint32_t)value;
    }
    return used;
}

size_t uvarlong_read_slow(const uint8_t *p, size_t size, uint64_t *ret_value) {
    return read_groups(p, size, VARLONG_SIZE_MAX, ret_value);
}

size_t uvarint_write(uint8_t *p, uint32_t value) {
    return write_groups(p, value);
}

size_t varint_write(uint8_t *p, int32_t value) {
    return write_groups(p, zigzag_32(value));
}

size_t varlong_write(uint8_t *p, int64_t value) {
    return write_groups(p, zigzag_64(value));
}

size_t uvarint_size(uint32_t value) {
    return size_64(value);
}

size_t varint_size(int32_t value) {
    return size_64(zigzag_32(value));
}

size_t varlong_size(int64_t value) {
    return size_64(zigzag_64(value));
}
