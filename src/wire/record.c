/*
 * Single records of a batch of magic 2.
 *
 *   length varint, of all that follows | attributes 1 | timestamp delta varlong
 *   offset delta varint | key: size varint, bytes | value: the same
 *   header count varint | per header: key size varint, key, value size varint, value
 *
 * A negative size is null, whatever its number, as in Kafka's reader; but a header's key cannot be
 * null. Every size is checked against the bytes of its own record before it is used.
 */
#include <assert.h>

#include "base/varint.h"
#include "wire/record_int.h"

struct cursor {
    const uint8_t *p;
    const uint8_t *end;
};

static bool take_varint(struct cursor *cursor, int32_t *value) {
    size_t used = varint_read(cursor->p, (size_t)(cursor->end - cursor->p), value);
    cursor->p += used;
    return used > 0;
}

static bool take_varlong(struct cursor *cursor, int64_t *value) {
    size_t used = varlong_read(cursor->p, (size_t)(cursor->end - cursor->p), value);
    cursor->p += used;
    return used > 0;
}

static bool take_bytes(struct cursor *cursor, struct bytes *value) {
    int32_t size;
    if (!take_varint(cursor, &size)) {
        return false;
    }
    if (size < 0) {
        *value = (struct bytes){.data = NULL};
        return true;
    }
    if (size > cursor->end - cursor->p) {
        return false;
    }
    *value = (struct bytes){.data = cursor->p, .size = (size_t)size};
    cursor->p += size;
    return true;
}

static bool take_header(struct cursor *cursor, struct record_header *header) {
    struct bytes key;
    if (!take_bytes(cursor, &key) || key.data == NULL || !take_bytes(cursor, &header->value)) {
        return false;
    }
    header->key = bytes_str(key);
    return true;
}

static bool take_headers(struct cursor *cursor, struct record *record) {
    if (!take_varint(cursor, &record->header_count) || record->header_count < 0) {
        return false;
    }
    record->headers.data = cursor->p;
    for (int32_t i = 0; i < record->header_count; i++) {
        struct record_header header; /* takes two bytes at least, so the loop is bounded by them */
        if (!take_header(cursor, &header)) {
            return false;
        }
    }
    record->headers.size = (size_t)(cursor->p - record->headers.data);
    return true;
}

static bool take_body(struct cursor *cursor, int64_t *timestamp_delta, struct record *record) {
    if (cursor->p == cursor->end) {
        return false;
    }
    record->attributes = *cursor->p++;
    if (!take_varlong(cursor, timestamp_delta) || !take_varint(cursor, &record->offset_delta)) {
        return false;
    }
    record->content = (struct bytes){.data = cursor->p, .size = (size_t)(cursor->end - cursor->p)};
    return take_bytes(cursor, &record->key) && take_bytes(cursor, &record->value) &&
           take_headers(cursor, record);
}

bool record_body_read(struct bytes body, int64_t *ret_timestamp_delta, struct record *ret_record) {
    struct cursor cursor = {body.data, body.data + body.size};
    return take_body(&cursor, ret_timestamp_delta, ret_record) && cursor.p == cursor.end;
}

err_t record_read(struct bytes records, size_t *position, const uint8_t *batch,
                  struct record *ret_record) {
    assert(*position <= records.size);
    struct cursor cursor = {records.data + *position, records.data + records.size};
    int32_t length;
    if (!take_varint(&cursor, &length) || length < 0 || length > cursor.end - cursor.p) {
        return ERR_MALFORMED;
    }
    cursor.end = cursor.p + length;

    struct record record = {0};
    int64_t timestamp_delta;
    if (!take_body(&cursor, &timestamp_delta, &record) || cursor.p != cursor.end) {
        return ERR_MALFORMED;
    }
    record.offset = (int64_t)((uint64_t)record_batch_base_offset(batch) +
                              (uint64_t)(int64_t)record.offset_delta);
    record.timestamp =
        record_batch_has_log_append_time(batch)
            ? record_batch_max_timestamp(batch)
            : (int64_t)((uint64_t)record_batch_base_timestamp(batch) + (uint64_t)timestamp_delta);
    record.size = (size_t)(cursor.end - (records.data + *position));
    *position += record.size;
    *ret_record = record;
    return ERR_OK;
}

void record_header_next(const struct record *record, size_t *position,
                        struct record_header *ret_header) {
    assert(*position < record->headers.size);
    struct cursor cursor = {record->headers.data + *position,
                            record->headers.data + record->headers.size};
    bool good = take_header(&cursor, ret_header);
    assert(good); /* record_read has checked it */
    *position = (size_t)(cursor.p - record->headers.data);
}

/* --- all records of a batch --- */

err_t record_iter_init(struct record_iter *iter, const uint8_t *batch, size_t size,
                       struct compression *compression, struct buffer *scratch,
                       size_t decompressed_max) {
    assert(size >= RECORD_BATCH_HEADER_SIZE);
    assert(record_batch_magic(batch) == 2);
    struct bytes records = {.data = batch + RECORD_BATCH_HEADER_SIZE,
                            .size = size - RECORD_BATCH_HEADER_SIZE};
    if (record_batch_record_count(batch) < 0) {
        return ERR_MALFORMED;
    }
    int type = record_batch_compression(batch);
    if (type >= COMPRESSION_TYPE_COUNT) {
        return ERR_UNSUPPORTED;
    }
    if (type != COMPRESSION_NONE && record_batch_record_count(batch) > 0) {
        assert(compression != NULL);
        assert(scratch != NULL);
        buffer_clear(scratch);
        err_t err = compression_decompress(compression, (enum compression_type)type, records,
                                           decompressed_max, scratch);
        if (err != ERR_OK) {
            return err;
        }
        records = buffer_bytes(scratch);
    }
    *iter = (struct record_iter){
        .batch = batch, .records = records, .left = record_batch_record_count(batch)};
    return ERR_OK;
}

err_t record_iter_next(struct record_iter *iter, struct record *ret_record) {
    if (iter->left == 0) {
        return ERR_NOT_FOUND;
    }
    struct record record;
    err_t err = record_read(iter->records, &iter->position, iter->batch, &record);
    if (err != ERR_OK) {
        return err;
    }
    if (iter->left == 1 && iter->position != iter->records.size) {
        return ERR_MALFORMED;
    }
    iter->left--;
    *ret_record = record;
    return ERR_OK;
}

/* --- control records --- */

err_t control_record_key_read(struct bytes key, int16_t *ret_type) {
    if (key.data == NULL || key.size < CONTROL_RECORD_KEY_SIZE) {
        return ERR_MALFORMED;
    }
    if ((int16_t)get_be16(key.data) < 0) {
        return ERR_MALFORMED;
    }
    *ret_type = (int16_t)get_be16(key.data + 2); /* later versions may append to the key */
    return ERR_OK;
}

void control_record_key_write(uint8_t key[CONTROL_RECORD_KEY_SIZE], enum control_record_type type) {
    put_be16(key, 0);
    put_be16(key + 2, (uint16_t)type);
}
