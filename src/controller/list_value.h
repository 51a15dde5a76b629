#pragma once

#include "base/arena.h"
#include "base/bytes.h"

/*
 * Values of settings that are lists, "a,b": APPEND and SUBTRACT. Texts are split at commas; empty
 * items at the end do not count. `now` may be null. The result is in the arena.
 */

/* Adds the items that are not there yet. */
struct str list_append(struct str now, struct str given, struct arena *arena);

/* Takes each item out, once. */
struct str list_subtract(struct str now, struct str given, struct arena *arena);
