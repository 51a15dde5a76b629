/*
 * CRC-32C by the processor's instruction where there is one. Its latency is three cycles and its
 * throughput one per cycle, so a long run is cut in three blocks that are worked on at the same
 * time. Their CRCs are put together with tables that say what a CRC becomes when as many zero bytes
 * follow as a block is long.
 *
 * Elsewhere, and for CRC-32: eight bytes at a time through tables ("slicing by 8").
 */
#include "base/crc32c.h"

#include <string.h>

#include "base/crc_tables.h"

/* `crc` is the inner state, without the inversion at start and end. */
static uint32_t slice_by_8(const uint32_t slices[8][256], uint32_t crc, const uint8_t *p,
                           size_t size) {
    for (; size >= 8; size -= 8, p += 8) {
        uint32_t low;
        uint32_t high;
        memcpy(&low, p, sizeof low);
        memcpy(&high, p + 4, sizeof high);
        low ^= crc;
        crc = slices[7][low & 255] ^ slices[6][low >> 8 & 255] ^ slices[5][low >> 16 & 255] ^
              slices[4][low >> 24] ^ slices[3][high & 255] ^ slices[2][high >> 8 & 255] ^
              slices[1][high >> 16 & 255] ^ slices[0][high >> 24];
    }
    for (; size > 0; size--, p++) {
        crc = crc >> 8 ^ slices[0][(crc ^ *p) & 255];
    }
    return crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t short_run(uint32_t crc, const uint8_t *p,
                                                            size_t size) {
    uint64_t state = crc;
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        state = __builtin_ia32_crc32di(state, word);
    }
    crc = (uint32_t)state;
    for (; size > 0; size--, p++) {
        crc = __builtin_ia32_crc32qi(crc, *p);
    }
    return crc;
}

static uint32_t shift(const uint32_t zeros[4][256], uint32_t crc) {
    return zeros[0][crc & 255] ^ zeros[1][crc >> 8 & 255] ^ zeros[2][crc >> 16 & 255] ^
           zeros[3][crc >> 24];
}

/* Three blocks side by side. */
__attribute__((target("sse4.2"))) static uint32_t
three_blocks(const uint32_t zeros[4][256], uint32_t crc, const uint8_t *p, size_t block_size) {
    uint64_t a = crc;
    uint64_t b = 0;
    uint64_t c = 0;
    for (size_t i = 0; i < block_size; i += 8) {
        uint64_t words[3];
        memcpy(&words[0], p + i, sizeof words[0]);
        memcpy(&words[1], p + block_size + i, sizeof words[1]);
        memcpy(&words[2], p + 2 * block_size + i, sizeof words[2]);
        a = __builtin_ia32_crc32di(a, words[0]);
        b = __builtin_ia32_crc32di(b, words[1]);
        c = __builtin_ia32_crc32di(c, words[2]);
    }
    crc = shift(zeros, (uint32_t)a) ^ (uint32_t)b;
    return shift(zeros, crc) ^ (uint32_t)c;
}

enum { LONG_BLOCK = 8192, MIDDLE_BLOCK = 256 };

static uint32_t run_by_instruction(uint32_t crc, const uint8_t *p, size_t size) {
    for (; size >= 3 * LONG_BLOCK; size -= 3 * LONG_BLOCK, p += 3 * LONG_BLOCK) {
        crc = three_blocks(crc32c_zeros_8192, crc, p, LONG_BLOCK);
    }
    for (; size >= 3 * MIDDLE_BLOCK; size -= 3 * MIDDLE_BLOCK, p += 3 * MIDDLE_BLOCK) {
        crc = three_blocks(crc32c_zeros_256, crc, p, MIDDLE_BLOCK);
    }
    return short_run(crc, p, size);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
    if (__builtin_cpu_supports("sse4.2")) {
        return ~run_by_instruction(~crc, data, size);
    }
    return ~slice_by_8(crc32c_slices, ~crc, data, size);
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
    return ~slice_by_8(crc32c_slices, ~crc, data, size);
}

#endif

uint32_t crc32_ieee(uint32_t crc, const void *data, size_t size) {
    return ~slice_by_8(crc32_ieee_slices, ~crc, data, size);
}
