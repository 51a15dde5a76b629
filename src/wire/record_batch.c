/* Headers of batches, and walking over runs of them. */
#include "wire/record_batch.h"

#include <assert.h>

#include "base/crc32c.h"

enum { MAGIC_NEWEST = 2 };

/* What a batch of each magic has at least, without RECORD_BATCH_OVERHEAD. */
static const int32_t length_min[MAGIC_NEWEST + 1] = {
    14, /* crc 4, magic, attributes, two lengths of 4 */
    22, /* and a timestamp of 8 */
    RECORD_BATCH_HEADER_SIZE - RECORD_BATCH_OVERHEAD,
};

int32_t record_batch_last_sequence(const uint8_t *batch) {
    int32_t base = record_batch_base_sequence(batch);
    if (base == RECORD_NO_SEQUENCE) {
        return RECORD_NO_SEQUENCE;
    }
    int64_t last = (int64_t)base + record_batch_last_offset_delta(batch);
    return (int32_t)(last > INT32_MAX ? last - INT32_MAX - 1 : last);
}

uint32_t record_batch_crc_compute(const uint8_t *batch, size_t size) {
    assert(size >= RECORD_BATCH_HEADER_SIZE);
    return crc32c(0, batch + RECORD_BATCH_ATTRIBUTES, size - RECORD_BATCH_ATTRIBUTES);
}

static void set_time(uint8_t *batch, size_t size, uint16_t attributes, int64_t timestamp) {
    put_be16(batch + RECORD_BATCH_ATTRIBUTES, attributes);
    put_be64(batch + RECORD_BATCH_MAX_TIMESTAMP, (uint64_t)timestamp);
    put_be32(batch + RECORD_BATCH_CRC, record_batch_crc_compute(batch, size));
}

void record_batch_set_log_append_time(uint8_t *batch, size_t size, int64_t now_ms) {
    set_time(batch, size, record_batch_attributes(batch) | RECORD_BATCH_LOG_APPEND_TIME, now_ms);
}

void record_batch_set_max_timestamp(uint8_t *batch, size_t size, int64_t timestamp) {
    uint16_t attributes = record_batch_attributes(batch);
    if ((attributes & RECORD_BATCH_LOG_APPEND_TIME) != 0 ||
        record_batch_max_timestamp(batch) != timestamp) {
        attributes &= (uint16_t)~RECORD_BATCH_LOG_APPEND_TIME;
        set_time(batch, size, attributes, timestamp);
    }
}

err_t record_batch_peek(const uint8_t *start, size_t *ret_size, int8_t *ret_magic) {
    int32_t length = record_batch_length(start);
    int8_t magic = record_batch_magic(start);
    if (magic < 0 || magic > MAGIC_NEWEST || length < length_min[magic]) {
        return ERR_CORRUPT;
    }
    *ret_size = RECORD_BATCH_OVERHEAD + (size_t)length;
    *ret_magic = magic;
    return ERR_OK;
}

err_t record_batch_next(struct bytes run, size_t *position, struct record_batch *ret_batch) {
    assert(*position <= run.size);
    size_t left = run.size - *position;
    if (left == 0) {
        return ERR_NOT_FOUND;
    }
    if (left < RECORD_BATCH_MAGIC_END) {
        return ERR_LIMIT;
    }
    struct record_batch batch = {.data = run.data + *position};
    err_t err = record_batch_peek(batch.data, &batch.size, &batch.magic);
    if (err != ERR_OK) {
        return err;
    }
    if (batch.size > left) {
        return ERR_LIMIT;
    }
    *position += batch.size;
    *ret_batch = batch;
    return ERR_OK;
}
