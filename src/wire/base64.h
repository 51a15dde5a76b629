#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/err.h"

/* Base64 of RFC 4648, with padding. */
void base64_add(struct buffer *out, struct bytes in);

/* Into the arena. ERR_MALFORMED: not base64, or without its padding. */
err_t base64_parse(struct arena *arena, struct str text, struct bytes *ret_bytes);
