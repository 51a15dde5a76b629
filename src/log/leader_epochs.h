#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"

/*
 * Which leader epoch wrote which offsets of a log (KIP-101), and its text form, the
 * leader-epoch-checkpoint (docs/formats/checkpoints.md). Plain memory: the log guards it with its
 * lock and writes the file.
 */
struct leader_epoch {
    int32_t epoch;
    int64_t start_offset;
};

struct leader_epochs {
    struct leader_epoch *entries; /* both fields rise */
    size_t count;
    size_t capacity;
};

void leader_epochs_done(struct leader_epochs *epochs);

/* Notes that `epoch` begins at an offset. Entries that contradict it go. Returns whether anything
 * changed: an epoch that is the latest already is not moved up. */
bool leader_epochs_assign(struct leader_epochs *epochs, int32_t epoch, int64_t start_offset);

/* Drops what begins at or above an offset. True when anything changed. */
bool leader_epochs_truncate_end(struct leader_epochs *epochs, int64_t end_offset);

/* Drops what ended at or below an offset, and moves the epoch in force there up to it. */
bool leader_epochs_truncate_start(struct leader_epochs *epochs, int64_t start_offset);

int32_t leader_epochs_latest(const struct leader_epochs *epochs);             /* -1: none */
int32_t leader_epochs_of(const struct leader_epochs *epochs, int64_t offset); /* -1: none */

/* As OffsetForLeaderEpoch wants it: the greatest epoch not above the one asked for, and where it
 * ended; -1 and -1 when it cannot be told. */
void leader_epochs_end(const struct leader_epochs *epochs, int32_t epoch, int64_t log_end_offset,
                       int32_t *ret_epoch, int64_t *ret_end_offset);

void leader_epochs_format(const struct leader_epochs *epochs, struct buffer *out);

/* Into an empty one. CORRUPT with a sentence in `message`; then it stays empty. */
err_t leader_epochs_parse(struct leader_epochs *epochs, const char *data, size_t size,
                          char *message, size_t message_size);
