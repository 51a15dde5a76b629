/* xoshiro256** of David Blackman and Sebastiano Vigna (public domain), seeded through splitmix64.
 */
#include "base/rng.h"

#include <assert.h>
#include <string.h>

static uint64_t rotate_left(uint64_t x, int count) {
    return x << count | x >> (64 - count);
}

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void rng_init(struct rng *rng, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        rng->state[i] = splitmix(&seed);
    }
}

uint64_t rng_next(struct rng *rng) {
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound) {
    assert(bound > 0);
    uint64_t uneven = -bound % bound; /* the lowest 2^64 mod bound numbers would come too often */
    uint64_t number;
    do {
        number = rng_next(rng);
    } while (number < uneven);
    return number % bound;
}

int rng_one_in(struct rng *rng, uint64_t n) {
    return n > 0 && rng_below(rng, n) == 0;
}

void rng_bytes(struct rng *rng, void *data, uint64_t size) {
    uint8_t *at = data;
    while (size > 0) {
        uint64_t number = rng_next(rng);
        uint64_t part = size < sizeof number ? size : sizeof number;
        memcpy(at, &number, part);
        at += part;
        size -= part;
    }
}
