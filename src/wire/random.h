#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/rng.h"
#include "wire/codec.h"

/*
 * Fills a message at random so that it can be written in that version: fields the version lacks
 * keep their defaults, null stands only where it is legal. Edges (0, -1, extremes, empty, long)
 * come more often than chance would have them. The version must be valid; the arena without bound.
 */
void wire_random(const struct wire_type *type, int16_t version, struct rng *rng,
                 struct arena *arena, void *ret_message);
