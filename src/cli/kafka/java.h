#pragma once

#include <stddef.h>

#include "base/arena.h"

/*
 * What of Java's own classes shows in the output of Kafka's tools.
 */

/* The order in which a java.util.HashMap names its keys, which were put into it in the order
 * given; all differ. Returns indexes into keys. */
size_t *java_map_order(struct arena *arena, const char *const *keys, size_t count);
