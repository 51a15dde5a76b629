#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* Which keys of a list come more than once. */
struct duplicates {
    bool *twice; /* it does */
    bool *again; /* it does, and this is not the first */
};

void duplicates_find(struct arena *arena, const struct bytes *keys, int32_t count,
                     struct duplicates *ret);
