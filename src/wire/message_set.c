/*
 * Reading of messages of magic 0 and 1.
 *
 * A wrapper's inner messages have the wrapper's magic, are not compressed themselves, and are
 * ordered. Of inner messages a cut last one is not seen, as Kafka does not see it.
 */
#include "wire/message_set.h"

#include <assert.h>

#include "base/crc32c.h"

enum { CODEC_COUNT = COMPRESSION_LZ4 + 1 }; /* zstd came with magic 2 */

static uint8_t attributes(const struct record_batch *message) {
    return message->data[MESSAGE_ATTRIBUTES];
}

int message_compression(const struct record_batch *message) {
    return attributes(message) & RECORD_BATCH_COMPRESSION_MASK;
}

bool message_has_log_append_time(const struct record_batch *message) {
    return message->magic == 1 && (attributes(message) & RECORD_BATCH_LOG_APPEND_TIME) != 0;
}

int64_t message_last_offset(const struct record_batch *message) {
    return record_batch_base_offset(
        message->data); /* the same field: of a wrapper it is the last */
}

int64_t message_max_timestamp(const struct record_batch *message) {
    return message->magic == 0 ? RECORD_NO_TIMESTAMP
                               : (int64_t)get_be64(message->data + MESSAGE_TIMESTAMP);
}

/* Takes a field of int32 length and bytes; a negative length is null. */
static bool take_field(struct bytes *left, struct bytes *ret_field) {
    if (left->size < 4) {
        return false;
    }
    int32_t size = (int32_t)get_be32(left->data);
    left->data += 4;
    left->size -= 4;
    if (size < 0) {
        *ret_field = (struct bytes){.data = NULL};
        return true;
    }
    if ((size_t)size > left->size) {
        return false;
    }
    *ret_field = (struct bytes){.data = left->data, .size = (size_t)size};
    left->data += size;
    left->size -= (size_t)size;
    return true;
}

static bool split(const struct record_batch *message, struct bytes *ret_key,
                  struct bytes *ret_value) {
    size_t start = message->magic == 0 ? MESSAGE_TIMESTAMP : MESSAGE_TIMESTAMP + 8;
    struct bytes left = {.data = message->data + start, .size = message->size - start};
    return take_field(&left, ret_key) && take_field(&left, ret_value) && left.size == 0;
}

err_t message_check(const struct record_batch *message) {
    assert(message->magic < 2);
    assert(message->size >= MESSAGE_SIZE_MIN_V0);
    uint32_t crc =
        crc32_ieee(0, message->data + RECORD_BATCH_MAGIC, message->size - RECORD_BATCH_MAGIC);
    struct bytes key, value;
    if (crc != get_be32(message->data + MESSAGE_CRC) || !split(message, &key, &value)) {
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

/* --- wrappers --- */

static err_t decompress_inner(const struct record_batch *message, struct compression *compression,
                              struct bytes value, struct buffer *scratch, size_t decompressed_max) {
    struct decompressor decompressor;
    enum compression_type type = (enum compression_type)message_compression(message);
    buffer_clear(scratch);
    if (message->magic != 0) {
        return compression_decompress(compression, type, value, decompressed_max, scratch);
    }
    err_t err =
        decompressor_open_magic_0(&decompressor, compression, type, value, decompressed_max);
    if (err == ERR_OK) {
        err = decompressor_read_all(&decompressor, scratch);
        decompressor_close(&decompressor);
    }
    return err;
}

/* Takes the next inner message. NOT_FOUND at the end. */
static err_t next_inner(const struct message_iter *iter, size_t *position,
                        struct record_batch *ret_message) {
    struct record_batch inner;
    err_t err = record_batch_next(iter->inner, position, &inner);
    if (err == ERR_NOT_FOUND || err == ERR_LIMIT) {
        return ERR_NOT_FOUND;
    }
    if (err != ERR_OK || inner.magic != iter->message.magic || message_compression(&inner) != 0 ||
        message_check(&inner) != ERR_OK) {
        return ERR_CORRUPT;
    }
    *ret_message = inner;
    return ERR_OK;
}

/* With magic 1 the wrapper's offset is that of the last message in it. */
static err_t find_offset_base(struct message_iter *iter) {
    struct record_batch inner;
    size_t position = 0;
    int64_t last = -1;
    err_t err;
    while ((err = next_inner(iter, &position, &inner)) == ERR_OK) {
        last = record_batch_base_offset(inner.data);
    }
    if (err != ERR_NOT_FOUND || position == 0) {
        return ERR_CORRUPT; /* also: a wrapper with nothing in it */
    }
    if (iter->message.magic == 1) {
        iter->offset_base =
            (int64_t)((uint64_t)record_batch_base_offset(iter->message.data) - (uint64_t)last);
    }
    return ERR_OK;
}

err_t message_iter_init(struct message_iter *iter, const struct record_batch *message,
                        struct compression *compression, struct buffer *scratch,
                        size_t decompressed_max) {
    struct message_iter it = {.message = *message};
    struct bytes key, value;
    if (!split(message, &key, &value)) {
        return ERR_CORRUPT;
    }
    int type = message_compression(message);
    if (type >= CODEC_COUNT) {
        return ERR_UNSUPPORTED;
    }
    if (type != COMPRESSION_NONE) {
        if (value.data == NULL) {
            return ERR_CORRUPT;
        }
        err_t err = decompress_inner(message, compression, value, scratch, decompressed_max);
        if (err != ERR_OK) {
            return err == ERR_MALFORMED ? ERR_CORRUPT : err;
        }
        it.inner = buffer_bytes(scratch);
        err = find_offset_base(&it);
        if (err != ERR_OK) {
            return err;
        }
    }
    *iter = it;
    return ERR_OK;
}

static void fill_record(const struct message_iter *iter, const struct record_batch *message,
                        struct record *ret_record) {
    struct record record = {.size = message->size};
    bool good = split(message, &record.key, &record.value);
    assert(good); /* checked when the iteration began */
    record.offset =
        (int64_t)((uint64_t)record_batch_base_offset(message->data) + (uint64_t)iter->offset_base);
    record.attributes = attributes(message);
    record.timestamp = message_has_log_append_time(&iter->message)
                           ? message_max_timestamp(&iter->message)
                           : message_max_timestamp(message);
    *ret_record = record;
}

err_t message_iter_next(struct message_iter *iter, struct record *ret_record) {
    if (iter->inner.data != NULL) {
        struct record_batch inner;
        err_t err = next_inner(iter, &iter->position, &inner);
        if (err == ERR_OK) {
            fill_record(iter, &inner, ret_record);
        }
        return err;
    }
    if (iter->done) {
        return ERR_NOT_FOUND;
    }
    iter->done = true;
    fill_record(iter, &iter->message, ret_record);
    return ERR_OK;
}

/* --- any magic --- */

static err_t summarise_message(const struct record_batch *batch, struct compression *compression,
                               struct buffer *scratch, size_t decompressed_max,
                               struct batch_summary *ret_summary) {
    err_t err = message_check(batch);
    if (err != ERR_OK) {
        return err;
    }
    struct batch_summary summary = {
        .base_offset = message_last_offset(batch),
        .last_offset = message_last_offset(batch),
        .max_timestamp = message_max_timestamp(batch),
    };
    if (message_compression(batch) != COMPRESSION_NONE) {
        struct message_iter iter;
        struct record first;
        err = message_iter_init(&iter, batch, compression, scratch, decompressed_max);
        if (err == ERR_OK) {
            err = message_iter_next(&iter, &first);
        }
        if (err != ERR_OK) {
            return err;
        }
        summary.base_offset = first.offset;
    }
    *ret_summary = summary;
    return ERR_OK;
}

err_t batch_summarise(const struct record_batch *batch, struct compression *compression,
                      struct buffer *scratch, size_t decompressed_max,
                      struct batch_summary *ret_summary) {
    if (batch->magic < 2) {
        return summarise_message(batch, compression, scratch, decompressed_max, ret_summary);
    }
    if (!record_batch_crc_matches(batch->data, batch->size)) {
        return ERR_CORRUPT;
    }
    *ret_summary = (struct batch_summary){
        .base_offset = record_batch_base_offset(batch->data),
        .last_offset = record_batch_last_offset(batch->data),
        .max_timestamp = record_batch_max_timestamp(batch->data),
    };
    return ERR_OK;
}
