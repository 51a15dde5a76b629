#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sys/file.h"

/*
 * The head of a record batch as it stands in a segment file (docs/formats/record-batch.md), and a
 * walk over the heads in a file without reading what is between them. Magic 0 and 1, from before
 * Kafka 0.11, are read too: there a batch is one (maybe compressed) message, its offset that of
 * the last record in it.
 *
 * Bytes are those of a disk: a head is plausible or not, nothing here is asserted.
 */
enum {
    BATCH_SIZE_PREFIX = 12, /* base offset and batch length */
    BATCH_HEADER_SIZE_V2 = 61,
    BATCH_HEADER_SIZE_V0 = 26, /* the least that any batch takes: an empty message of magic 0 */
    BATCH_MAGIC_POSITION = 16,
};

struct batch_header {
    int64_t base_offset;
    int64_t last_offset;
    uint32_t size;        /* in the file, prefix included */
    int32_t leader_epoch; /* -1 below magic 2 */
    int8_t magic;
    uint32_t crc;
    int16_t attributes;
    int64_t base_timestamp_ms;
    int64_t max_timestamp_ms;
    int64_t producer_id; /* -1: none, and so in the next two */
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t record_count;
};

enum {
    BATCH_COMPRESSION_MASK = 0x07,
    BATCH_LOG_APPEND_TIME = 0x08,
    BATCH_TRANSACTIONAL = 0x10,
    BATCH_CONTROL = 0x20,
};

/* Reads a head from at least BATCH_HEADER_SIZE_V2 bytes, or the whole batch when it is shorter.
 * NULL when it is plausible, else what is wrong with it, as words for a message. */
const char *batch_header_read(const uint8_t *data, size_t size, struct batch_header *ret_header);

/* Checks the checksum of a whole batch in memory. */
bool batch_crc_good(const struct batch_header *header, const uint8_t *data);

/* The last sequence of a batch, which wraps after INT32_MAX; -1 when it has none. */
int32_t batch_last_sequence(const struct batch_header *header);

/* The type and coordinator epoch in a control batch's first record; false when there is no
 * transaction marker in it. The batch is whole. */
enum { MARKER_ABORT = 0, MARKER_COMMIT = 1 };
bool batch_marker_read(const struct batch_header *header, const uint8_t *data, int *ret_type,
                       int32_t *ret_coordinator_epoch);

/*
 * A walk. Reads a window of the file at a time; a window serves several small batches.
 */
enum { BATCH_WALK_WINDOW = 4096 };

struct batch_walk {
    struct sys_file *file;
    uint64_t position; /* of the next head */
    uint64_t end;      /* of what may be read */
    bool no_wait;      /* WOULD_BLOCK rather than wait for the disk */
    uint64_t window_position;
    size_t window_size;
    uint8_t window[BATCH_WALK_WINDOW];
};

void batch_walk_init(struct batch_walk *walk, struct sys_file *file, uint64_t position,
                     uint64_t end, bool no_wait);

/* Fills *ret_header with the head at walk->position and moves past that batch. NOT_FOUND at the
 * end; CORRUPT when it is not plausible or would pass the end. */
err_t batch_walk_next(struct batch_walk *walk, struct batch_header *ret_header);
