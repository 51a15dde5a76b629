#include "base/rng.h"

#include <string.h>

/* splitmix64 spreads a seed over the state; see https://prng.di.unimi.it/ for both generators. */
static uint64_t spread(uint64_t *seed) {
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void rng_init(struct rng *rng, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        rng->state[i] = spread(&seed);
    }
}

static uint64_t rotate(uint64_t x, int count) {
    return x << count | x >> (64 - count);
}

uint64_t rng_next(struct rng *rng) {
    uint64_t *s = rng->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound) {
    return (uint64_t)((unsigned __int128)rng_next(rng) * bound >> 64);
}

int rng_one_in(struct rng *rng, uint64_t n) {
    return n > 0 && rng_below(rng, n) == 0;
}

void rng_bytes(struct rng *rng, void *data, uint64_t size) {
    uint8_t *bytes = data;
    while (size > 0) {
        uint64_t value = rng_next(rng);
        size_t taken = size < sizeof value ? (size_t)size : sizeof value;
        memcpy(bytes, &value, taken);
        bytes += taken;
        size -= taken;
    }
}
