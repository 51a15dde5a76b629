#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* The number in the name of a BROKER or BROKER_LOGGER resource, as Java's Integer.parseInt reads
 * one: decimal digits after an optional sign. */
bool node_name_parse(struct str name, int32_t *ret_id);
