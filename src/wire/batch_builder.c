/*
 * Records are written behind a header's worth of room; compression replaces them when the batch is
 * finished, and the header is filled in last. The base timestamp is the first record's, as the Java
 * client has it.
 */
#include "wire/batch_builder.h"

#include <assert.h>
#include <string.h>

#include "base/varint.h"

void batch_builder_init(struct batch_builder *builder, struct buffer *out,
                        const struct batch_options *options) {
    assert((options->attributes & RECORD_BATCH_COMPRESSION_MASK) == 0);
    *builder = (struct batch_builder){
        .options = *options,
        .out = out,
        .start = out->size,
        .max_timestamp = RECORD_NO_TIMESTAMP,
        .last_offset_delta = -1,
    };
    (void)buffer_extend(out, RECORD_BATCH_HEADER_SIZE);
}

/* --- records: each is measured, then written in one go --- */

/* Most numbers of a record take a byte or two. */
static inline size_t size_of_varint(int32_t value) {
    uint32_t zigzag = (uint32_t)value << 1 ^ (uint32_t)(value >> 31);
    return zigzag < 1u << 7 ? 1 : zigzag < 1u << 14 ? 2 : varint_size(value);
}

static inline uint8_t *put_varint(uint8_t *p, int32_t value) {
    uint32_t zigzag = (uint32_t)value << 1 ^ (uint32_t)(value >> 31);
    if (zigzag < 1u << 7) {
        *p = (uint8_t)zigzag;
        return p + 1;
    }
    if (zigzag < 1u << 14) {
        p[0] = (uint8_t)(zigzag | 0x80);
        p[1] = (uint8_t)(zigzag >> 7);
        return p + 2;
    }
    return p + varint_write(p, value);
}

static size_t bytes_encoded_size(struct bytes value) {
    return value.data == NULL ? size_of_varint(-1)
                              : size_of_varint((int32_t)value.size) + value.size;
}

static uint8_t *put_bytes(uint8_t *p, struct bytes value) {
    if (value.data == NULL) {
        return put_varint(p, -1);
    }
    p = put_varint(p, (int32_t)value.size);
    memcpy(p, value.data, value.size);
    return p + value.size;
}

static size_t headers_encoded_size(const struct record_header *headers, int header_count) {
    size_t size = size_of_varint(header_count);
    for (int i = 0; i < header_count; i++) {
        size += bytes_encoded_size(str_bytes(headers[i].key));
        size += bytes_encoded_size(headers[i].value);
    }
    return size;
}

static uint8_t *put_headers(uint8_t *p, const struct record_header *headers, int header_count) {
    p = put_varint(p, header_count);
    for (int i = 0; i < header_count; i++) {
        assert(headers[i].key.data != NULL);
        p = put_bytes(p, str_bytes(headers[i].key));
        p = put_bytes(p, headers[i].value);
    }
    return p;
}

/* All of a record up to its content; returns where that goes, and makes it part of the buffer. */
static uint8_t *start_record(struct batch_builder *builder, int32_t offset_delta, int64_t timestamp,
                             uint8_t attributes, size_t content_size) {
    assert(offset_delta > builder->last_offset_delta);
    if (builder->record_count == 0) {
        bool horizon = (builder->options.attributes & RECORD_BATCH_DELETE_HORIZON) != 0;
        builder->base_timestamp = horizon ? builder->options.delete_horizon_ms : timestamp;
    }
    int64_t timestamp_delta = (int64_t)((uint64_t)timestamp - (uint64_t)builder->base_timestamp);
    size_t length = 1 + varlong_size(timestamp_delta) + size_of_varint(offset_delta) + content_size;
    assert(length <= INT32_MAX);

    size_t size = size_of_varint((int32_t)length) + length;
    uint8_t *p = put_varint(buffer_extend(builder->out, size), (int32_t)length);
    *p++ = attributes;
    p += varlong_write(p, timestamp_delta);
    p = put_varint(p, offset_delta);

    builder->record_count++;
    builder->last_offset_delta = offset_delta;
    if (timestamp > builder->max_timestamp) {
        builder->max_timestamp = timestamp;
    }
    return p;
}

void batch_builder_add(struct batch_builder *builder, int64_t timestamp, struct bytes key,
                       struct bytes value, const struct record_header *headers, int header_count) {
    batch_builder_add_at(builder, builder->last_offset_delta + 1, timestamp, key, value, headers,
                         header_count);
}

void batch_builder_add_at(struct batch_builder *builder, int32_t offset_delta, int64_t timestamp,
                          struct bytes key, struct bytes value, const struct record_header *headers,
                          int header_count) {
    size_t content_size = bytes_encoded_size(key) + bytes_encoded_size(value) +
                          headers_encoded_size(headers, header_count);
    uint8_t *p = start_record(builder, offset_delta, timestamp, 0, content_size);
    p = put_bytes(p, key);
    p = put_bytes(p, value);
    p = put_headers(p, headers, header_count);
    assert(p == builder->out->data + builder->out->size);
}

void batch_builder_add_record(struct batch_builder *builder, const struct record *record) {
    batch_builder_add_record_at(builder, builder->last_offset_delta + 1, record);
}

void batch_builder_add_record_at(struct batch_builder *builder, int32_t offset_delta,
                                 const struct record *record) {
    uint8_t *p = start_record(builder, offset_delta, record->timestamp, record->attributes,
                              record->content.size);
    memcpy(p, record->content.data, record->content.size);
}

void batch_builder_reach(struct batch_builder *builder, int32_t last_offset_delta) {
    assert(last_offset_delta >= builder->last_offset_delta);
    builder->last_offset_delta = last_offset_delta;
}

size_t batch_builder_size(const struct batch_builder *builder) {
    return builder->out->size - builder->start;
}

static void compress_records(struct batch_builder *builder, struct compression *compression) {
    struct buffer *out = builder->out;
    size_t records_start = builder->start + RECORD_BATCH_HEADER_SIZE;
    struct buffer packed;
    buffer_init(&packed);
    compression_compress(
        compression, builder->options.compression, builder->options.level,
        (struct bytes){.data = out->data + records_start, .size = out->size - records_start},
        &packed);
    out->size = records_start;
    buffer_add(out, packed.data, packed.size);
    buffer_done(&packed);
}

void batch_builder_finish(struct batch_builder *builder, struct compression *compression) {
    if (builder->options.compression != COMPRESSION_NONE) {
        assert(compression != NULL);
        compress_records(builder, compression);
    }
    batch_builder_finish_packed(builder);
}

void batch_builder_finish_packed(struct batch_builder *builder) {
    assert(builder->record_count > 0);
    const struct batch_options *options = &builder->options;
    size_t size = batch_builder_size(builder);
    assert(size <= INT32_MAX);
    uint16_t attributes = options->attributes | (uint16_t)options->compression;
    int64_t max_timestamp = attributes & RECORD_BATCH_LOG_APPEND_TIME ? options->log_append_time_ms
                                                                      : builder->max_timestamp;

    uint8_t *batch = builder->out->data + builder->start;
    put_be64(batch + RECORD_BATCH_BASE_OFFSET, (uint64_t)options->base_offset);
    put_be32(batch + RECORD_BATCH_LENGTH, (uint32_t)(size - RECORD_BATCH_OVERHEAD));
    put_be32(batch + RECORD_BATCH_LEADER_EPOCH, (uint32_t)options->leader_epoch);
    batch[RECORD_BATCH_MAGIC] = 2;
    put_be16(batch + RECORD_BATCH_ATTRIBUTES, attributes);
    put_be32(batch + RECORD_BATCH_LAST_OFFSET_DELTA, (uint32_t)builder->last_offset_delta);
    put_be64(batch + RECORD_BATCH_BASE_TIMESTAMP, (uint64_t)builder->base_timestamp);
    put_be64(batch + RECORD_BATCH_MAX_TIMESTAMP, (uint64_t)max_timestamp);
    put_be64(batch + RECORD_BATCH_PRODUCER_ID, (uint64_t)options->producer_id);
    put_be16(batch + RECORD_BATCH_PRODUCER_EPOCH, (uint16_t)options->producer_epoch);
    put_be32(batch + RECORD_BATCH_BASE_SEQUENCE, (uint32_t)options->base_sequence);
    put_be32(batch + RECORD_BATCH_RECORD_COUNT, (uint32_t)builder->record_count);
    put_be32(batch + RECORD_BATCH_CRC, record_batch_crc_compute(batch, size));
}

void batch_build_control(struct buffer *out, const struct batch_options *options, int64_t timestamp,
                         enum control_record_type type, struct bytes value) {
    struct batch_options control = *options;
    control.attributes |= RECORD_BATCH_CONTROL;
    uint8_t key[CONTROL_RECORD_KEY_SIZE];
    control_record_key_write(key, type);

    struct batch_builder builder;
    batch_builder_init(&builder, out, &control);
    batch_builder_add(&builder, timestamp, (struct bytes){.data = key, .size = sizeof key}, value,
                      NULL, 0);
    batch_builder_finish(&builder, NULL);
}

void batch_build_end_transaction(struct buffer *out, const struct batch_options *options,
                                 int64_t timestamp, bool commit, int32_t coordinator_epoch) {
    enum { VALUE_VERSION = 0, VALUE_SIZE = 6 };
    struct batch_options end = *options;
    end.attributes |= RECORD_BATCH_TRANSACTIONAL;
    uint8_t value[VALUE_SIZE];
    put_be16(value, VALUE_VERSION);
    put_be32(value + 2, (uint32_t)coordinator_epoch);
    batch_build_control(out, &end, timestamp, commit ? CONTROL_RECORD_COMMIT : CONTROL_RECORD_ABORT,
                        (struct bytes){.data = value, .size = sizeof value});
}
