/*
 * Records are written behind a header's worth of room; compression replaces them when the batch is
 * finished, and the header is filled in last. The base timestamp is the first record's, as the Java
 * client has it.
 */
#include "wire/batch_builder.h"

#include <assert.h>

#include "base/crc32c.h"
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

static size_t bytes_encoded_size(struct bytes value) {
    return value.data == NULL ? varint_size(-1) : varint_size((int32_t)value.size) + value.size;
}

static void add_varint(struct buffer *out, int32_t value) {
    uint8_t *p = buffer_reserve(out, UVARINT_SIZE_MAX);
    (void)buffer_extend(out, varint_write(p, value));
}

static void add_bytes(struct buffer *out, struct bytes value) {
    if (value.data == NULL) {
        add_varint(out, -1);
        return;
    }
    add_varint(out, (int32_t)value.size);
    buffer_add(out, value.data, value.size);
}

static size_t headers_encoded_size(const struct record_header *headers, int header_count) {
    size_t size = varint_size(header_count);
    for (int i = 0; i < header_count; i++) {
        size += bytes_encoded_size(str_bytes(headers[i].key));
        size += bytes_encoded_size(headers[i].value);
    }
    return size;
}

void batch_builder_add(struct batch_builder *builder, int64_t timestamp, struct bytes key,
                       struct bytes value, const struct record_header *headers, int header_count) {
    batch_builder_add_at(builder, builder->last_offset_delta + 1, timestamp, key, value, headers,
                         header_count);
}

/* All of a record up to its content. */
static void start_record(struct batch_builder *builder, int32_t offset_delta, int64_t timestamp,
                         uint8_t attributes, size_t content_size) {
    assert(offset_delta > builder->last_offset_delta);
    struct buffer *out = builder->out;
    if (builder->record_count == 0) {
        builder->base_timestamp = timestamp;
    }
    int64_t timestamp_delta = (int64_t)((uint64_t)timestamp - (uint64_t)builder->base_timestamp);
    size_t length = 1 + varlong_size(timestamp_delta) + varint_size(offset_delta) + content_size;
    assert(length <= INT32_MAX);

    add_varint(out, (int32_t)length);
    *buffer_extend(out, 1) = attributes;
    uint8_t *p = buffer_reserve(out, VARLONG_SIZE_MAX);
    (void)buffer_extend(out, varlong_write(p, timestamp_delta));
    add_varint(out, offset_delta);

    builder->record_count++;
    builder->last_offset_delta = offset_delta;
    if (timestamp > builder->max_timestamp) {
        builder->max_timestamp = timestamp;
    }
}

void batch_builder_add_at(struct batch_builder *builder, int32_t offset_delta, int64_t timestamp,
                          struct bytes key, struct bytes value, const struct record_header *headers,
                          int header_count) {
    struct buffer *out = builder->out;
    size_t content_size = bytes_encoded_size(key) + bytes_encoded_size(value) +
                          headers_encoded_size(headers, header_count);
    start_record(builder, offset_delta, timestamp, 0, content_size);
    size_t content = out->size;
    add_bytes(out, key);
    add_bytes(out, value);
    add_varint(out, header_count);
    for (int i = 0; i < header_count; i++) {
        assert(headers[i].key.data != NULL);
        add_bytes(out, str_bytes(headers[i].key));
        add_bytes(out, headers[i].value);
    }
    assert(out->size - content == content_size);
}

void batch_builder_add_record(struct batch_builder *builder, const struct record *record) {
    start_record(builder, builder->last_offset_delta + 1, record->timestamp, record->attributes,
                 record->content.size);
    buffer_add(builder->out, record->content.data, record->content.size);
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
    assert(builder->record_count > 0);
    const struct batch_options *options = &builder->options;
    if (options->compression != COMPRESSION_NONE) {
        assert(compression != NULL);
        compress_records(builder, compression);
    }
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
