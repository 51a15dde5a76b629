#pragma once

#include "wire/record_batch.h"

/*
 * Builds a batch of magic 2 behind what a buffer holds. For the metadata log, snapshots, control
 * batches, recompression, tools and tests.
 *
 *     struct batch_builder builder;
 *     batch_builder_init(&builder, &out, &(struct batch_options){BATCH_OPTIONS_DEFAULT, ...});
 *     batch_builder_add(&builder, timestamp, key, value, NULL, 0);
 *     batch_builder_finish(&builder, compression);
 */
struct batch_options {
    int64_t base_offset;
    int64_t producer_id;
    int64_t log_append_time_ms; /* with RECORD_BATCH_LOG_APPEND_TIME in the attributes */
    int64_t delete_horizon_ms;  /* with RECORD_BATCH_DELETE_HORIZON: the base timestamp */
    int32_t leader_epoch;
    int32_t base_sequence;
    int16_t producer_epoch;
    uint16_t attributes; /* all but the codec */
    enum compression_type compression;
    int level; /* of the codec */
};

#define BATCH_OPTIONS_DEFAULT                                                                      \
    .producer_id = RECORD_NO_PRODUCER_ID, .producer_epoch = RECORD_NO_PRODUCER_EPOCH,              \
    .base_sequence = RECORD_NO_SEQUENCE, .leader_epoch = RECORD_NO_LEADER_EPOCH,                   \
    .log_append_time_ms = RECORD_NO_TIMESTAMP

struct batch_builder {
    struct batch_options options;
    struct buffer *out;
    size_t start; /* of the batch in `out` */
    int64_t base_timestamp;
    int64_t max_timestamp;
    int32_t record_count;
    int32_t last_offset_delta;
};

void batch_builder_init(struct batch_builder *builder, struct buffer *out,
                        const struct batch_options *options);

/* Adds a record at the next offset. A key or value with data NULL is null. */
void batch_builder_add(struct batch_builder *builder, int64_t timestamp, struct bytes key,
                       struct bytes value, const struct record_header *headers, int header_count);

/* The same, leaving a gap in the offsets before it; deltas must rise. */
void batch_builder_add_at(struct batch_builder *builder, int32_t offset_delta, int64_t timestamp,
                          struct bytes key, struct bytes value, const struct record_header *headers,
                          int header_count);

/* Adds a record that was read, at the next offset, with its attributes, key, value and headers. */
void batch_builder_add_record(struct batch_builder *builder, const struct record *record);

/* The same at this offset; deltas must rise. */
void batch_builder_add_record_at(struct batch_builder *builder, int32_t offset_delta,
                                 const struct record *record);

/* Lets the batch end at this offset, which is not below its last record's: those that were there
 * were taken out. Nothing may be added after. */
void batch_builder_reach(struct batch_builder *builder, int32_t last_offset_delta);

/* Bytes the batch has now, uncompressed. */
size_t batch_builder_size(const struct batch_builder *builder);

/* Writes header and CRC. There is at least one record. `compression` may be NULL for
 * COMPRESSION_NONE. The batch is in the buffer from `start` on. */
void batch_builder_finish(struct batch_builder *builder, struct compression *compression);

/* The same for records that the caller has compressed in place already: they stand in the buffer
 * behind the header's room, packed with options.compression. */
void batch_builder_finish_packed(struct batch_builder *builder);

/* Adds the end of a transaction: a control batch of options' producer. */
void batch_build_end_transaction(struct buffer *out, const struct batch_options *options,
                                 int64_t timestamp, bool commit, int32_t coordinator_epoch);

/* Adds one whole control batch with one record. */
void batch_build_control(struct buffer *out, const struct batch_options *options, int64_t timestamp,
                         enum control_record_type type, struct bytes value);
