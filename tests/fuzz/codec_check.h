#pragma once

#include <stddef.h>

#include "base/bytes.h"
#include "wire/schema.h"

/*
 * Decodes `in` under the bound for bytes from outside. What can be read must be writable, and what
 * was written must read as the same message. Ends the process otherwise. ret_used is how many bytes
 * the message took, 0 when it was refused.
 */
void fuzz_check_codec(const struct wire_type *type, int16_t version, struct bytes in,
                      size_t *ret_used);
