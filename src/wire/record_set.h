#pragma once

#include "wire/record_batch.h"

/*
 * What Apache Kafka checks, and changes, in the records of one partition of a Produce request
 * before they go to the log. Offsets, leader epoch and the state of producers are the log's.
 *
 * Two steps, as in Kafka: record_set_check_request for what refuses a partition before its replica
 * is looked at, record_set_validate when it is about to be appended.
 */
enum record_set_origin {
    RECORD_SET_CLIENT,      /* the full checks */
    RECORD_SET_COORDINATOR, /* own writes: control batches are allowed */
};

/* The settings of the topic that matter here. */
struct record_set_rules {
    struct str partition; /* "topic-0", as Kafka's messages name it */
    enum record_set_origin origin;
    bool keep_compression;             /* compression.type=producer */
    enum compression_type compression; /* else */
    int gzip_level;
    int lz4_level;
    int zstd_level;
    bool log_append_time;            /* message.timestamp.type */
    bool compacted;                  /* cleanup.policy has compact */
    int64_t timestamp_before_ms_max; /* message.timestamp.before.max.ms */
    int64_t timestamp_after_ms_max;  /* message.timestamp.after.max.ms */
    int32_t message_size_max;        /* max.message.bytes */
    int32_t segment_size_max;        /* segment.bytes */
    size_t decompressed_size_max;    /* ours: what a batch may expand to */
};

/* What a client is told of records that were refused: messages live in the arena. */
struct record_set_error {
    int32_t record_index; /* batch_index of the answer */
    struct str message;   /* may be null */
};

/* What the metrics tell apart of refused records. */
enum record_set_fault {
    RECORD_SET_FAULT_NONE, /* or none of these */
    RECORD_SET_FAULT_CHECKSUM,
    RECORD_SET_FAULT_NUMBERS, /* offsets, counts, a sequence; a client's control batch */
    RECORD_SET_FAULT_NO_KEY,
};

struct record_set_refusal {
    struct str message; /* error_message of the partition; may be null */
    struct record_set_error *errors;
    int32_t error_count;
    enum record_set_fault fault;
    int32_t fault_count; /* batches; of NO_KEY: records */
};

struct record_set_result {
    uint8_t *records; /* to append: the ones given, changed in place, or recompressed ones */
    size_t size;
    int32_t record_count;
    int64_t max_timestamp;
    int64_t log_append_time_ms; /* RECORD_NO_TIMESTAMP with create time */
    enum compression_type source_compression;
    bool recompressed;
};

/*
 * The checks of ProduceRequest.validateRecords: exactly one batch, magic 2, zstd only since version
 * 7. The error (INVALID_RECORD, UNSUPPORTED_COMPRESSION_TYPE, CORRUPT_MESSAGE) goes to the
 * partition's answer, with no message. Cheap: looks at the header only.
 */
err_t record_set_check_request(int16_t produce_version, struct bytes records);

/* What Kafka says of records that record_set_check_request finds CORRUPT_MESSAGE; may be null. */
struct str record_set_corrupt_message(struct bytes records, struct arena *arena);

/* Whether validation will decompress and compress again: work for a worker, not for a reactor. */
bool record_set_needs_recompression(const struct record_set_rules *rules, struct bytes records);

/* Whether validation will decompress (every compressed batch is): lets a caller move big ones. */
bool record_set_needs_decompression(struct bytes records);

/*
 * Checks one batch from a client, or any number from a coordinator, and makes what is to be
 * appended. Records may be changed in place (timestamp type, max timestamp, CRC). Recompressed ones
 * go to the end of `out`.
 *
 * On failure *ret_refusal says what the client is told (it is written in both cases, empty on OK):
 *
 *   CORRUPT_MESSAGE     sizes or CRC are wrong, or records cannot be read
 *   MESSAGE_TOO_LARGE   a batch above max.message.bytes, or one that expands beyond the bound
 *   RECORD_LIST_TOO_LARGE  more than a segment holds
 *   INVALID_RECORD      what a client must not send; offsets, counts or keys wrong
 *   INVALID_TIMESTAMP   out of the bounds of the topic
 *   UNSUPPORTED_COMPRESSION_TYPE  ...
 */
err_t record_set_validate(const struct record_set_rules *rules, uint8_t *records, size_t size,
                          int64_t now_ms, struct compression *compression, struct buffer *out,
                          struct arena *arena, struct record_set_result *ret_result,
                          struct record_set_refusal *ret_refusal);
