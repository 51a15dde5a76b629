#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/err.h"

/*
 * Messages of Kafka's protocol, to and from bytes.
 *
 * Every message of schemas/ is a plain C struct in the generated wire/messages.h, with a
 * `struct wire_type` that describes it: struct produce_request and produce_request_type. The
 * functions here work on any of them. Nothing here keeps state: call from any thread.
 *
 *   schema                   C
 *   bool, int8 … int64       bool, int8_t … int64_t; uint16_t, uint32_t; float64 is double
 *   string                   struct str, null: data NULL
 *   bytes, records           struct bytes, null: data NULL
 *   uuid                     struct uuid
 *   []T                      T *name; int32_t name_count; null: count -1
 *   struct                   the struct itself; a pointer where null is legal
 *
 * Names are snake_case of the schema's; a struct inside a message is called <message>_<struct>, or
 * just <struct> when that begins with the message's name already.
 *
 * Memory: strings, bytes and records of a decoded message point into the bytes it was read from;
 * arrays and pointed-to structs are in the arena. A message to encode may point anywhere.
 */
struct wire_type;

const char *wire_type_name(const struct wire_type *type);

/* The versions the schemas know. What a node advertises is narrower: see wire/api.h. */
int16_t wire_version_min(const struct wire_type *type);
int16_t wire_version_max(const struct wire_type *type);
bool wire_version_valid(const struct wire_type *type, int16_t version);

/* Whether that version has compact lengths and tagged fields. */
bool wire_version_flexible(const struct wire_type *type, int16_t version);

/* sizeof the C struct. */
size_t wire_struct_size(const struct wire_type *type);

/* Gives every field its default. A message starts with this. */
void wire_init(const struct wire_type *type, void *ret_message);

/*
 * Reads one message from the start of `in`. ret_used is how many bytes it took; what follows is the
 * caller's business (Kafka's broker ignores what stands behind a request). Fields that the version
 * lacks get their defaults; unknown tagged fields are skipped.
 *
 * What is taken from the arena is bounded by what the arena allows; wire_decode_bound() is the
 * bound for bytes that came from a socket.
 *
 * ERR_UNSUPPORTED_VERSION: the schemas have no such version.
 * ERR_MALFORMED: the bytes end too early, a count or length is impossible, null where it must not
 * be, a tagged field that does not fill its size.
 * ERR_LIMIT: the arena's bound, or too many unknown tagged fields.
 */
err_t wire_decode(const struct wire_type *type, int16_t version, struct bytes in,
                  struct arena *arena, void *ret_message, size_t *ret_used);

/* The arena bound for decoding `size` bytes from outside: twice as much, and a constant. */
size_t wire_decode_bound(size_t size);

/*
 * Appends the message in that version to `out`; on error `out` is as it was.
 *
 * ERR_UNSUPPORTED_VERSION: no such version, or a field that this version lacks has another value
 * than its default and may not be dropped ("ignorable").
 * ERR_INVALID: null where the version does not allow it, or a string too long for its length.
 */
err_t wire_encode(const struct wire_type *type, int16_t version, const void *message,
                  struct buffer *out);

/* How many bytes wire_encode would append; the same errors. */
err_t wire_size(const struct wire_type *type, int16_t version, const void *message,
                size_t *ret_size);

/*
 * Gaps: bytes that are not in memory. A `records` field whose data is WIRE_GAP is written as its
 * length only; the caller puts `size` bytes there when it sends: after out->data[position - 1],
 * before out->data[position]. Gaps come in the order of the fields, so the n-th gap is the n-th
 * WIRE_GAP of the message (a gap of size 0 counts too).
 */
extern const uint8_t wire_gap_marker[1];
#define WIRE_GAP (wire_gap_marker)

struct wire_gap {
    size_t position; /* in out->data */
    size_t size;
};

/* As wire_encode; writes at most gaps_max gaps. ERR_LIMIT: the message has more. */
err_t wire_encode_with_gaps(const struct wire_type *type, int16_t version, const void *message,
                            struct buffer *out, struct wire_gap *ret_gaps, size_t gaps_max,
                            size_t *ret_gap_count);

/* Whether all fields of two messages are the same, whatever their memory. */
bool wire_equal(const struct wire_type *type, const void *a, const void *b);

/* Copies a message and everything it points at into the arena. ERR_LIMIT: the arena's bound. */
err_t wire_copy(const struct wire_type *type, const void *message, struct arena *arena,
                void *ret_copy);
