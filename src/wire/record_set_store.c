/* What becomes of a batch that passed: it stays as it is, or goes into another codec. */
#include <assert.h>

#include "wire/batch_builder.h"
#include "wire/record_set_int.h"

struct bytes record_check_source(const struct record_check *check) {
    return (struct bytes){.data = check->batch + RECORD_BATCH_HEADER_SIZE,
                          .size = check->size - RECORD_BATCH_HEADER_SIZE};
}

err_t record_check_decompress(struct record_check *check) {
    return compression_decompress(check->compression, check->source, record_check_source(check),
                                  check->rules->decompressed_size_max, &check->plain);
}

static void set_time(const struct record_check *check, uint8_t *batch, size_t size) {
    if (check->rules->log_append_time) {
        record_batch_set_log_append_time(batch, size, check->now_ms);
    } else {
        record_batch_set_max_timestamp(batch, size, check->max_timestamp);
    }
}

static int target_level(const struct record_check *check) {
    switch (check->target) {
    case COMPRESSION_GZIP:
        return check->rules->gzip_level;
    case COMPRESSION_LZ4:
        return check->rules->lz4_level;
    case COMPRESSION_ZSTD:
        return check->rules->zstd_level;
    case COMPRESSION_NONE:
    case COMPRESSION_SNAPPY:
        break;
    }
    return 0;
}

/* The same records in the target's codec: the header's other fields and the records' bytes stay. */
static void recompress(struct record_check *check, struct buffer *out) {
    size_t start = out->size;
    struct bytes plain = check->source == COMPRESSION_NONE ? record_check_source(check)
                                                           : buffer_bytes(&check->plain);
    buffer_add(out, check->batch, RECORD_BATCH_HEADER_SIZE);
    compression_compress(check->compression, check->target, target_level(check), plain, out);
    uint8_t *batch = out->data + start;
    size_t size = out->size - start;
    uint16_t attributes = record_batch_attributes(batch) & (uint16_t)~RECORD_BATCH_COMPRESSION_MASK;
    put_be16(batch + RECORD_BATCH_ATTRIBUTES, attributes | (uint16_t)check->target);
    put_be32(batch + RECORD_BATCH_LENGTH, (uint32_t)(size - RECORD_BATCH_OVERHEAD));
    put_be32(batch + RECORD_BATCH_CRC, record_batch_crc_compute(batch, size));
    set_time(check, batch, size);
}

/* A batch that claims log append time, for a topic with create time: each of its records had the
 * batch's time, and now must carry it. They have been scanned: reading them cannot fail. */
static void rebuild(struct record_check *check, struct buffer *out) {
    struct bytes plain = check->source == COMPRESSION_NONE ? record_check_source(check)
                                                           : buffer_bytes(&check->plain);
    const uint8_t *source = check->batch;
    uint16_t kept = (uint16_t) ~(RECORD_BATCH_COMPRESSION_MASK | RECORD_BATCH_LOG_APPEND_TIME);
    struct batch_options options = {
        .base_offset = record_batch_base_offset(source),
        .producer_id = record_batch_producer_id(source),
        .producer_epoch = record_batch_producer_epoch(source),
        .base_sequence = record_batch_base_sequence(source),
        .leader_epoch = record_batch_leader_epoch(source),
        .log_append_time_ms = RECORD_NO_TIMESTAMP,
        .attributes = record_batch_attributes(source) & kept,
        .compression = check->target,
        .level = target_level(check),
    };
    struct batch_builder builder;
    batch_builder_init(&builder, out, &options);
    size_t position = 0;
    for (int32_t left = record_batch_record_count(source); left > 0; left--) {
        struct record record;
        err_t err = record_read(plain, &position, source, &record);
        assert(err == ERR_OK);
        batch_builder_add_record(&builder, &record);
    }
    batch_builder_finish(&builder, check->compression);
    set_time(check, out->data + builder.start, out->size - builder.start);
}

err_t record_check_store(struct record_check *check, struct buffer *out,
                         struct record_set_result *result) {
    if (check->source == check->target) {
        set_time(check, check->batch, check->size);
        result->records = check->batch;
        result->size = check->size;
    } else {
        size_t start = out->size;
        if (record_batch_has_log_append_time(check->batch) &&
            record_batch_record_count(check->batch) > 0) {
            rebuild(check, out);
        } else {
            recompress(check, out);
        }
        result->records = out->data + start;
        result->size = out->size - start;
        result->recompressed = true;
        if (result->size > (size_t)check->rules->message_size_max) {
            return ERR_MESSAGE_TOO_LARGE;
        }
    }
    if (result->size > (size_t)check->rules->segment_size_max) {
        return ERR_RECORD_LIST_TOO_LARGE;
    }
    return ERR_OK;
}
