#pragma once

#include "base/buffer.h"
#include "log/cleaner_txns.h"
#include "log/offset_map.h"
#include "wire/record_batch.h"

/*
 * What the cleaner keeps of a batch. Memory only; the order of batches is that of the log.
 *
 *   a record goes when       its key is written again further on; it has no key; it is a tombstone
 *                            whose delete horizon is over; its transaction was aborted
 *   a batch without records  goes, unless it is the last of a producer that the log knows (its
 *                            sequences, or a marker's epoch, are told by the batch's head), or it
 *                            ends where the cleaned part does, so that the log's offsets stay
 *   a batch with a tombstone, or a marker whose transaction has no records left, gets its delete
 *                            horizon in its head when it is first met: now + delete.retention.ms
 *   a batch of magic 0 or 1  stays as it is
 *
 * Offsets never change; base and last offset, sequences, epochs and codec of a batch stay.
 */
struct cleaner_filter {
    const struct offset_map *map;
    struct cleaner_txns *txns;
    const struct map *last_batches; /* struct cleaner_last by producer */
    int64_t now_ms;
    int64_t delete_retention_ms;
    int64_t end_offset; /* of the part that may be cleaned */
    struct compression *compression;
    struct buffer *scratch; /* decompressed records */
    struct buffer *kept;    /* a byte for each record of a batch */

    uint64_t records_read;
    uint64_t records_kept;
    uint64_t records_without_key;
};

/* What a producer wrote last. */
struct cleaner_last {
    int64_t data_offset; /* of its last record; -1: only markers */
    int16_t epoch;
};

struct cleaner_kept {
    bool aborted; /* `txn` belongs into the transaction index of what is written */
    struct txn_index_entry txn;
    uint32_t batches; /* 0 or 1 */
};

/* The records of a batch of magic 2; `scratch` is its until the next batch. As record_iter_init,
 * but MESSAGE_TOO_LARGE: they expand to more than RECORD_SET_DECOMPRESSED_MAX. */
err_t cleaner_records_init(const struct cleaner_filter *filter, const struct batch_header *header,
                           const uint8_t *data, struct record_iter *iter);

/* Adds what is kept of the next batch, whole and with a good checksum, to `out`. Errors are those
 * of cleaner_records_init and record_iter_next: its records make no sense. */
err_t cleaner_filter_batch(struct cleaner_filter *filter, const struct batch_header *header,
                           const uint8_t *data, struct buffer *out, struct cleaner_kept *ret_kept);
