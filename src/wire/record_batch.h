#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/err.h"
#include "wire/compression.h"

/*
 * Record batches of magic 2 as they are on the wire and on disk, and walking over runs of batches
 * of any magic. Checks of what a client sends are in record_set.h, building in batch_builder.h, the
 * formats before magic 2 in message_set.h.
 *
 * Accessors work on the batch's bytes and trust nothing but that RECORD_BATCH_HEADER_SIZE bytes are
 * there.
 *
 *   0  base offset 8 | 8  length 4, of all that follows | 12 partition leader epoch 4 | 16 magic 1
 *   17 crc 4, CRC-32C of all that follows | 21 attributes 2 | 23 last offset delta 4
 *   27 base timestamp 8 | 35 max timestamp 8 | 43 producer id 8 | 51 producer epoch 2
 *   53 base sequence 4 | 57 record count 4 | 61 records, compressed as one
 */
enum {
    RECORD_BATCH_BASE_OFFSET = 0,
    RECORD_BATCH_LENGTH = 8,
    RECORD_BATCH_LEADER_EPOCH = 12,
    RECORD_BATCH_MAGIC = 16, /* at the same place in every format */
    RECORD_BATCH_CRC = 17,
    RECORD_BATCH_ATTRIBUTES = 21,
    RECORD_BATCH_LAST_OFFSET_DELTA = 23,
    RECORD_BATCH_BASE_TIMESTAMP = 27,
    RECORD_BATCH_MAX_TIMESTAMP = 35,
    RECORD_BATCH_PRODUCER_ID = 43,
    RECORD_BATCH_PRODUCER_EPOCH = 51,
    RECORD_BATCH_BASE_SEQUENCE = 53,
    RECORD_BATCH_RECORD_COUNT = 57,
    RECORD_BATCH_HEADER_SIZE = 61,

    RECORD_BATCH_OVERHEAD = 12,  /* base offset and length: size = this + length, in every format */
    RECORD_BATCH_MAGIC_END = 17, /* so many bytes tell base offset, size and magic */
};

/* Attributes. The bits that no one has a meaning for yet are carried. */
enum {
    RECORD_BATCH_COMPRESSION_MASK = 0x07,
    RECORD_BATCH_LOG_APPEND_TIME = 0x08,
    RECORD_BATCH_TRANSACTIONAL = 0x10,
    RECORD_BATCH_CONTROL = 0x20,
    RECORD_BATCH_DELETE_HORIZON = 0x40, /* the base timestamp is the delete horizon */
};

enum {
    RECORD_NO_PRODUCER_ID = -1,
    RECORD_NO_PRODUCER_EPOCH = -1,
    RECORD_NO_SEQUENCE = -1,
    RECORD_NO_TIMESTAMP = -1,
    RECORD_NO_LEADER_EPOCH = -1,
};

/* --- header fields --- */

static inline int64_t record_batch_base_offset(const uint8_t *batch) {
    return (int64_t)get_be64(batch + RECORD_BATCH_BASE_OFFSET);
}

/* The declared length as it stands there; may be negative. */
static inline int32_t record_batch_length(const uint8_t *batch) {
    return (int32_t)get_be32(batch + RECORD_BATCH_LENGTH);
}

static inline int32_t record_batch_leader_epoch(const uint8_t *batch) {
    return (int32_t)get_be32(batch + RECORD_BATCH_LEADER_EPOCH);
}

static inline int8_t record_batch_magic(const uint8_t *batch) {
    return (int8_t)batch[RECORD_BATCH_MAGIC];
}

static inline uint32_t record_batch_crc(const uint8_t *batch) {
    return get_be32(batch + RECORD_BATCH_CRC);
}

static inline uint16_t record_batch_attributes(const uint8_t *batch) {
    return get_be16(batch + RECORD_BATCH_ATTRIBUTES);
}

/* 5 to 7 are no codec. */
static inline int record_batch_compression(const uint8_t *batch) {
    return record_batch_attributes(batch) & RECORD_BATCH_COMPRESSION_MASK;
}

static inline bool record_batch_is_control(const uint8_t *batch) {
    return (record_batch_attributes(batch) & RECORD_BATCH_CONTROL) != 0;
}

static inline bool record_batch_is_transactional(const uint8_t *batch) {
    return (record_batch_attributes(batch) & RECORD_BATCH_TRANSACTIONAL) != 0;
}

static inline bool record_batch_has_log_append_time(const uint8_t *batch) {
    return (record_batch_attributes(batch) & RECORD_BATCH_LOG_APPEND_TIME) != 0;
}

static inline int32_t record_batch_last_offset_delta(const uint8_t *batch) {
    return (int32_t)get_be32(batch + RECORD_BATCH_LAST_OFFSET_DELTA);
}

static inline int64_t record_batch_last_offset(const uint8_t *batch) {
    return (int64_t)((uint64_t)record_batch_base_offset(batch) +
                     (uint64_t)(int64_t)record_batch_last_offset_delta(batch));
}

static inline int64_t record_batch_next_offset(const uint8_t *batch) {
    return (int64_t)((uint64_t)record_batch_last_offset(batch) + 1);
}

static inline int64_t record_batch_base_timestamp(const uint8_t *batch) {
    return (int64_t)get_be64(batch + RECORD_BATCH_BASE_TIMESTAMP);
}

static inline int64_t record_batch_max_timestamp(const uint8_t *batch) {
    return (int64_t)get_be64(batch + RECORD_BATCH_MAX_TIMESTAMP);
}

static inline int64_t record_batch_producer_id(const uint8_t *batch) {
    return (int64_t)get_be64(batch + RECORD_BATCH_PRODUCER_ID);
}

static inline int16_t record_batch_producer_epoch(const uint8_t *batch) {
    return (int16_t)get_be16(batch + RECORD_BATCH_PRODUCER_EPOCH);
}

static inline int32_t record_batch_base_sequence(const uint8_t *batch) {
    return (int32_t)get_be32(batch + RECORD_BATCH_BASE_SEQUENCE);
}

/* Base sequence + last offset delta, running over from INT32_MAX to 0; RECORD_NO_SEQUENCE without
 * a base. */
int32_t record_batch_last_sequence(const uint8_t *batch);

static inline int32_t record_batch_record_count(const uint8_t *batch) {
    return (int32_t)get_be32(batch + RECORD_BATCH_RECORD_COUNT);
}

/* --- changing a header: these two are outside the CRC --- */

static inline void record_batch_set_base_offset(uint8_t *batch, int64_t offset) {
    put_be64(batch + RECORD_BATCH_BASE_OFFSET, (uint64_t)offset);
}

static inline void record_batch_set_leader_epoch(uint8_t *batch, int32_t epoch) {
    put_be32(batch + RECORD_BATCH_LEADER_EPOCH, (uint32_t)epoch);
}

/* Sets log append time: the type bit, the max timestamp, and the CRC anew. */
void record_batch_set_log_append_time(uint8_t *batch, size_t size, int64_t now_ms);

/* Sets the max timestamp of a batch with create time, and the CRC when that changed. */
void record_batch_set_max_timestamp(uint8_t *batch, size_t size, int64_t timestamp);

uint32_t record_batch_crc_compute(const uint8_t *batch, size_t size);

static inline bool record_batch_crc_matches(const uint8_t *batch, size_t size) {
    return record_batch_crc_compute(batch, size) == record_batch_crc(batch);
}

/* --- walking a run of batches --- */

struct record_batch {
    const uint8_t *data;
    size_t size;  /* all of it: RECORD_BATCH_OVERHEAD + length */
    int8_t magic; /* 2: the accessors above are for it; 0 and 1: message_set.h */
};

/*
 * Takes the batch at *position of a run and moves the position behind it.
 *
 *   OK         whole, size and magic are possible; nothing else has been checked
 *   NOT_FOUND  the run ends here
 *   LIMIT      the run ends within the batch (a fetch cut it, or a write was torn)
 *   CORRUPT    a size that no batch of this magic can have, or an unknown magic
 */
err_t record_batch_next(struct bytes run, size_t *position, struct record_batch *ret_batch);

/* The same for the first RECORD_BATCH_MAGIC_END bytes of a batch, as a reader of files has them:
 * its size and magic. CORRUPT as above. */
err_t record_batch_peek(const uint8_t *start, size_t *ret_size, int8_t *ret_magic);

/* --- records --- */

struct record {
    int64_t offset;
    int64_t timestamp; /* the batch's, with log append time */
    int32_t offset_delta;
    int32_t header_count;
    struct bytes key;     /* data NULL: none */
    struct bytes value;   /* data NULL: a tombstone */
    struct bytes headers; /* as encoded; read with record_header_next */
    struct bytes content; /* as encoded: key, value and headers */
    size_t size;          /* encoded, with its length */
    uint8_t attributes;
};

/* Reads one record at *position of uncompressed records and moves behind it. Checks every size;
 * MALFORMED. */
err_t record_read(struct bytes records, size_t *position, const uint8_t *batch,
                  struct record *ret_record);

struct record_header {
    struct str key;
    struct bytes value; /* data NULL: none */
};

/* Walks the headers of a record that was read: start with *position 0, header_count times. */
void record_header_next(const struct record *record, size_t *position,
                        struct record_header *ret_header);

/*
 * All records of a whole batch of magic 2. A compressed one is decompressed into `scratch`, which
 * records then point into, up to decompressed_max bytes.
 */
struct record_iter {
    const uint8_t *batch;
    struct bytes records;
    size_t position;
    int32_t left;
};

/* MALFORMED, LIMIT; UNSUPPORTED for an unknown codec. `compression` and `scratch` may be NULL for a
 * batch known to be uncompressed. */
err_t record_iter_init(struct record_iter *iter, const uint8_t *batch, size_t size,
                       struct compression *compression, struct buffer *scratch,
                       size_t decompressed_max);

/* NOT_FOUND at the end; MALFORMED also when bytes are left behind the last one. */
err_t record_iter_next(struct record_iter *iter, struct record *ret_record);

/* --- control records --- */

enum control_record_type {
    CONTROL_RECORD_ABORT = 0,
    CONTROL_RECORD_COMMIT = 1,
    CONTROL_RECORD_LEADER_CHANGE = 2,
    CONTROL_RECORD_SNAPSHOT_HEADER = 3,
    CONTROL_RECORD_SNAPSHOT_FOOTER = 4,
    CONTROL_RECORD_KRAFT_VERSION = 5,
    CONTROL_RECORD_KRAFT_VOTERS = 6,
};

enum { CONTROL_RECORD_KEY_SIZE = 4 };

/* The type as its key says, known to us or not. MALFORMED for a key that is no control key. */
err_t control_record_key_read(struct bytes key, int16_t *ret_type);
void control_record_key_write(uint8_t key[CONTROL_RECORD_KEY_SIZE], enum control_record_type type);
