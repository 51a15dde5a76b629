#pragma once

#include <stdint.h>

/* A small seeded generator (xoshiro256**) for tests, the simulator and jitter; never for secrets.
 * The same seed gives the same numbers everywhere. */
struct rng {
    uint64_t state[4];
};

void rng_init(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);

/* Evenly 0 to bound - 1; bound > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);

/* True once in `n` times on average; n 0 is never. */
int rng_one_in(struct rng *rng, uint64_t n);
void rng_bytes(struct rng *rng, void *data, uint64_t size);
