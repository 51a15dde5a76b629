#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

/* A 128-bit id as Kafka has it: topic ids, directory ids, cluster ids. Plain data. */
struct uuid {
    uint8_t bytes[16];
};

enum { UUID_TEXT_SIZE = 22 }; /* base64url without padding */

#define UUID_ZERO ((struct uuid){{0}})

/* Reserved: the metadata topic (…01); log directory ids MIGRATING (…00), UNASSIGNED (…01), LOST
 * (…02), see KIP-858. */
#define UUID_ONE ((struct uuid){{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}})
#define UUID_TWO ((struct uuid){{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}})

bool uuid_equal(struct uuid a, struct uuid b);
bool uuid_is_zero(struct uuid id);
int uuid_compare(struct uuid a, struct uuid b);

/* Writes UUID_TEXT_SIZE characters and a zero. */
void uuid_format(struct uuid id, char text[UUID_TEXT_SIZE + 1]);

/* ERR_MALFORMED unless text is exactly 22 base64url characters of a 16-byte value. */
err_t uuid_parse(struct str text, struct uuid *ret_id);

/* Makes a random (version 4) id of 16 random bytes; never a reserved one, and its text never
 * starts with '-', as Kafka's. False when the random bytes cannot serve: draw again. */
bool uuid_from_random(const uint8_t random[16], struct uuid *ret_id);
