#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "log/producer_state.h"

/*
 * The .snapshot files of a log (docs/formats/producer-snapshot.md): the state of its producers at
 * the offset that names the file.
 */
enum {
    PRODUCER_SNAPSHOT_HEADER_SIZE = 10, /* also the size of a snapshot without producers */
    PRODUCER_SNAPSHOT_ENTRY_SIZE = 46,
};

void producer_snapshot_encode(const struct producer_state *state, struct buffer *out);

/* Adds what is in a snapshot to an empty state, without what has expired, and sets its end offset.
 * NULL, or what is wrong with the bytes: then nothing was added. */
const char *producer_snapshot_decode(const uint8_t *data, size_t size, int64_t end_offset,
                                     int64_t now_ms, int64_t expiration_ms,
                                     struct producer_state *state);

/* Writes the file, not synced: its checksum tells a torn one. */
err_t producer_snapshot_write(struct sys *sys, const char *path, const struct buffer *data);

/* CORRUPT with *ret_wrong (may be NULL) when the bytes are no snapshot; NOT_FOUND. */
err_t producer_snapshot_read(struct sys *sys, const char *path, int64_t end_offset, int64_t now_ms,
                             int64_t expiration_ms, struct producer_state *state,
                             const char **ret_wrong);
