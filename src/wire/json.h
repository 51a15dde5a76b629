#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/err.h"
#include "wire/codec.h"

/*
 * Messages as JSON, as Kafka's own tools print them: camelCase names, bytes and records in base64,
 * uuids as 22 characters, only the fields that the version has, tagged fields only when they differ
 * from their default. A library of its own (ottla_wire_json), so that a broker needs no jansson for
 * its messages.
 */

/*
 * A new reference, never NULL. Text that is not UTF-8 gets U+FFFD where it is broken; a float that
 * is no number is the string "NaN", "Infinity" or "-Infinity".
 */
json_t *wire_to_json(const struct wire_type *type, int16_t version, const void *message);

/*
 * Fills a message from JSON: a field that is missing gets its default. Text is copied to the
 * arena.
 *
 * ERR_INVALID: the JSON does not fit the message; one sentence is appended to `error`, which names
 * the field from the top ("topicData[0].partitionData[2].index: …"). A field that does not exist is
 * named with the nearest that does.
 * ERR_UNSUPPORTED_VERSION: the schemas have no such version.
 */
err_t wire_from_json(const struct wire_type *type, int16_t version, const json_t *json,
                     struct arena *arena, void *ret_message, struct buffer *error);
