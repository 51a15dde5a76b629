/*
 * Two ways to the same number. By table: eight bytes per step ("slicing by 8"); the tables are made
 * by tools/generate_crc.py when the project is built. With SSE4.2: one
 * crc32 instruction takes eight bytes and has three cycles of latency but a throughput of one per
 * cycle, so a block is cut into three lanes that go on side by side, and their sums are put
 * together at the end:
 *
 *     sum(A B C) = shift(sum(A), |B| + |C|) ^ shift(sum(B), |C|) ^ sum(C)
 *
 * shift(crc, n) is what crc becomes when n zero bytes follow: crc * x^(8n) mod P. The carry-less
 * product of crc and a constant, run through the crc32 instruction, gives crc * constant * x^33,
 * so the constants are x^(8n - 33) mod P, bits reflected.
 */
#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#include "base/crc_tables.h"

enum { SLICE_COUNT = 8 };

static uint32_t by_table(const uint32_t table[SLICE_COUNT][256], uint32_t crc, const uint8_t *p,
                         size_t size) {
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        word ^= crc;
        crc = 0;
        for (int i = 0; i < SLICE_COUNT; i++) {
            crc ^= table[SLICE_COUNT - 1 - i][word >> (8 * i) & 0xff];
        }
    }
    for (; size > 0; size--, p++) {
        crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
    }
    return crc;
}

#if defined(__x86_64__)

#include <immintrin.h>

enum { LANE_LARGE = 1024, LANE_SMALL = 128 };

/* x^(8n - 33) for n of one and two lanes */
static const uint32_t shift_large[2] = {0x170076fa, 0xa51b6135};
static const uint32_t shift_small[2] = {0x0d3b6092, 0xb9e02b86};

#define WITH_SSE __attribute__((target("sse4.2,pclmul")))

WITH_SSE static inline uint64_t word_at(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

WITH_SSE static inline uint32_t shift(uint64_t crc, uint32_t constant) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc),
                                           _mm_cvtsi32_si128((int)constant), 0);
    return (uint32_t)_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* Takes blocks of three lanes of `lane` bytes as long as there are any. */
WITH_SSE static inline uint32_t take_blocks(uint32_t crc, const uint8_t **p, size_t *size,
                                            size_t lane, const uint32_t shifts[2]) {
    while (*size >= 3 * lane) {
        uint64_t a = crc;
        uint64_t b = 0;
        uint64_t c = 0;
        const uint8_t *at = *p;
        for (size_t i = 0; i < lane; i += 8) {
            a = _mm_crc32_u64(a, word_at(at + i));
            b = _mm_crc32_u64(b, word_at(at + lane + i));
            c = _mm_crc32_u64(c, word_at(at + 2 * lane + i));
        }
        crc = shift(a, shifts[1]) ^ shift(b, shifts[0]) ^ (uint32_t)c;
        *p += 3 * lane;
        *size -= 3 * lane;
    }
    return crc;
}

WITH_SSE static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t size) {
    crc = take_blocks(crc, &p, &size, LANE_LARGE, shift_large);
    crc = take_blocks(crc, &p, &size, LANE_SMALL, shift_small);
    for (; size >= 8; size -= 8, p += 8) {
        crc = (uint32_t)_mm_crc32_u64(crc, word_at(p));
    }
    for (; size > 0; size--, p++) {
        crc = _mm_crc32_u8(crc, *p);
    }
    return crc;
}

static bool has_instruction(void) {
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

#else

static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t size) {
    return by_table(crc32c_tables, crc, p, size);
}

static bool has_instruction(void) {
    return false;
}

#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
    return has_instruction() ? ~by_instruction(~crc, data, size)
                             : ~by_table(crc32c_tables, ~crc, data, size);
}

uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t size) {
    return ~by_table(crc32c_tables, ~crc, data, size);
}

uint32_t crc32_ieee(uint32_t crc, const void *data, size_t size) {
    return ~by_table(crc32_ieee_tables, ~crc, data, size);
}
