#pragma once

#include "wire/record_batch.h"

/*
 * The formats before record batches: messages of magic 0 and 1. Never written any more, refused
 * from producers, but found in old logs: recovered, dumped and served as they are.
 *
 *   0 offset 8 | 8 size 4 | 12 crc 4, CRC-32 of all that follows | 16 magic 1 | 17 attributes 1
 *   magic 1: 18 timestamp 8 | key length 4, key | value length 4, value
 *
 * A compressed wrapper message holds a message set as its value. Inner offsets are absolute with
 * magic 0, relative with magic 1, where the wrapper has the last inner message's offset.
 */
enum {
    MESSAGE_CRC = 12,
    MESSAGE_ATTRIBUTES = 17,
    MESSAGE_TIMESTAMP = 18,
    MESSAGE_SIZE_MIN_V0 = 26, /* with null key and value */
    MESSAGE_SIZE_MIN_V1 = 34,
};

/* For one whole message, as record_batch_next yields it with magic 0 or 1. */

/* The CRC, and that the lengths of key and value fill the message: CORRUPT. */
err_t message_check(const struct record_batch *message);

int message_compression(const struct record_batch *message);
bool message_has_log_append_time(const struct record_batch *message);

/* The offset of the last record in it (for a plain message: its own). */
int64_t message_last_offset(const struct record_batch *message);

/* RECORD_NO_TIMESTAMP with magic 0. Of a wrapper: the largest inside. */
int64_t message_max_timestamp(const struct record_batch *message);

/*
 * The records in one message: itself, or those in the wrapper. Their keys and values point into
 * the message or into scratch.
 */
struct message_iter {
    struct record_batch message;
    struct bytes inner; /* data NULL: not a wrapper */
    size_t position;
    int64_t offset_base; /* magic 1: of relative offset 0 */
    bool done;
};

/* CORRUPT, LIMIT, UNSUPPORTED (codec) as record_iter_init. */
err_t message_iter_init(struct message_iter *iter, const struct record_batch *message,
                        struct compression *compression, struct buffer *scratch,
                        size_t decompressed_max);

/* NOT_FOUND at the end. */
err_t message_iter_next(struct message_iter *iter, struct record *ret_record);

/* --- any magic: what a log needs to know of a batch --- */

struct batch_summary {
    int64_t base_offset; /* of a compressed magic 0 or 1 wrapper: found by decompressing */
    int64_t last_offset;
    int64_t max_timestamp;
};

/* Reads and checks a whole batch of any magic, header and checksum. CORRUPT, LIMIT. */
err_t batch_summarise(const struct record_batch *batch, struct compression *compression,
                      struct buffer *scratch, size_t decompressed_max,
                      struct batch_summary *ret_summary);
