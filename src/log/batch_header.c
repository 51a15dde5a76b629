#include "log/batch_header.h"

#include <assert.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/varint.h"

enum {
    POSITION_LENGTH = 8,
    POSITION_LEADER_EPOCH = 12,
    POSITION_CRC = 17,
    POSITION_ATTRIBUTES = 21,
    POSITION_LAST_OFFSET_DELTA = 23,
    POSITION_BASE_TIMESTAMP = 27,
    POSITION_MAX_TIMESTAMP = 35,
    POSITION_PRODUCER_ID = 43,
    POSITION_PRODUCER_EPOCH = 51,
    POSITION_BASE_SEQUENCE = 53,
    POSITION_RECORD_COUNT = 57,

    OLD_POSITION_CRC = 12,
    OLD_POSITION_ATTRIBUTES = 17,
    OLD_POSITION_TIMESTAMP = 18,
    OLD_HEADER_SIZE_V1 = 34,
};

static const char *read_old(const uint8_t *data, struct batch_header *header) {
    if (header->magic == 1 && header->size < OLD_HEADER_SIZE_V1) {
        return "message shorter than its header";
    }
    header->last_offset = header->base_offset;
    header->leader_epoch = -1;
    header->crc = get_be32(data + OLD_POSITION_CRC);
    header->attributes = data[OLD_POSITION_ATTRIBUTES];
    header->max_timestamp_ms =
        header->magic == 1 ? (int64_t)get_be64(data + OLD_POSITION_TIMESTAMP) : -1;
    header->base_timestamp_ms = header->max_timestamp_ms;
    header->producer_id = -1;
    header->producer_epoch = -1;
    header->base_sequence = -1;
    header->record_count = 1;
    return NULL;
}

const char *batch_header_read(const uint8_t *data, size_t size, struct batch_header *ret_header) {
    if (size < BATCH_HEADER_SIZE_V0) {
        return "less than a batch header";
    }
    struct batch_header header = {
        .base_offset = (int64_t)get_be64(data),
        .magic = (int8_t)data[BATCH_MAGIC_POSITION],
    };
    int32_t length = (int32_t)get_be32(data + POSITION_LENGTH);
    if (length < BATCH_HEADER_SIZE_V0 - BATCH_SIZE_PREFIX) {
        return length == 0 && header.base_offset == 0 ? "zeros" : "batch length too small";
    }
    if (length > INT32_MAX - BATCH_SIZE_PREFIX) {
        return "batch length too large";
    }
    if (header.base_offset < 0) {
        return "negative offset";
    }
    header.size = (uint32_t)length + BATCH_SIZE_PREFIX;
    const char *wrong = NULL;
    if (header.magic == 0 || header.magic == 1) {
        wrong = read_old(data, &header);
    } else if (header.magic != 2) {
        wrong = "unknown magic";
    } else if (header.size < BATCH_HEADER_SIZE_V2 || size < BATCH_HEADER_SIZE_V2) {
        wrong = "batch shorter than its header";
    } else {
        int32_t last_offset_delta = (int32_t)get_be32(data + POSITION_LAST_OFFSET_DELTA);
        if (last_offset_delta < 0 || header.base_offset > INT64_MAX - last_offset_delta) {
            return "impossible last offset";
        }
        header.last_offset = header.base_offset + last_offset_delta;
        header.leader_epoch = (int32_t)get_be32(data + POSITION_LEADER_EPOCH);
        header.crc = get_be32(data + POSITION_CRC);
        header.attributes = (int16_t)get_be16(data + POSITION_ATTRIBUTES);
        header.base_timestamp_ms = (int64_t)get_be64(data + POSITION_BASE_TIMESTAMP);
        header.max_timestamp_ms = (int64_t)get_be64(data + POSITION_MAX_TIMESTAMP);
        header.producer_id = (int64_t)get_be64(data + POSITION_PRODUCER_ID);
        header.producer_epoch = (int16_t)get_be16(data + POSITION_PRODUCER_EPOCH);
        header.base_sequence = (int32_t)get_be32(data + POSITION_BASE_SEQUENCE);
        header.record_count = (int32_t)get_be32(data + POSITION_RECORD_COUNT);
    }
    if (wrong == NULL) {
        *ret_header = header;
    }
    return wrong;
}

bool batch_crc_good(const struct batch_header *header, const uint8_t *data) {
    if (header->magic < 2) {
        return crc32_ieee(0, data + BATCH_MAGIC_POSITION, header->size - BATCH_MAGIC_POSITION) ==
               header->crc;
    }
    return crc32c(0, data + POSITION_ATTRIBUTES, header->size - POSITION_ATTRIBUTES) == header->crc;
}

int32_t batch_last_sequence(const struct batch_header *header) {
    if (header->base_sequence < 0) {
        return -1;
    }
    int64_t last = (int64_t)header->base_sequence + (header->last_offset - header->base_offset);
    return (int32_t)(last > INT32_MAX ? last - INT32_MAX - 1 : last);
}

bool batch_marker_read(const struct batch_header *header, const uint8_t *data, int *ret_type,
                       int32_t *ret_coordinator_epoch) {
    if ((header->attributes & BATCH_CONTROL) == 0 || header->record_count < 1) {
        return false;
    }
    const uint8_t *p = data + BATCH_HEADER_SIZE_V2;
    const uint8_t *end = data + header->size;
    int32_t length, offset_delta, key_size, value_size;
    int64_t timestamp_delta;
    size_t used = varint_read(p, (size_t)(end - p), &length);
    if (used == 0 || length < 1 || (size_t)length > (size_t)(end - p) - used) {
        return false;
    }
    p += used;
    end = p + length;
    p++; /* attributes */
    if ((used = varlong_read(p, (size_t)(end - p), &timestamp_delta)) == 0) {
        return false;
    }
    p += used;
    if ((used = varint_read(p, (size_t)(end - p), &offset_delta)) == 0) {
        return false;
    }
    p += used;
    if ((used = varint_read(p, (size_t)(end - p), &key_size)) == 0 || key_size < 4 ||
        key_size > end - p - (ptrdiff_t)used) {
        return false;
    }
    p += used;
    int type = (int16_t)get_be16(p + 2);
    p += key_size;
    if ((type != MARKER_ABORT && type != MARKER_COMMIT) ||
        (used = varint_read(p, (size_t)(end - p), &value_size)) == 0 || value_size < 6 ||
        value_size > end - p - (ptrdiff_t)used) {
        return false;
    }
    *ret_coordinator_epoch = (int32_t)get_be32(p + used + 2);
    *ret_type = type;
    return true;
}

void batch_walk_init(struct batch_walk *walk, struct sys_file *file, uint64_t position,
                     uint64_t end, bool no_wait) {
    walk->file = file;
    walk->position = position;
    walk->end = end;
    walk->no_wait = no_wait;
    walk->window_position = 0;
    walk->window_size = 0;
}

/* Makes the window begin at walk->position. */
static err_t window_move(struct batch_walk *walk, size_t wanted) {
    uint64_t left = walk->end - walk->position;
    size_t size = left < sizeof walk->window ? (size_t)left : sizeof walk->window;
    if (walk->no_wait && !sys_file_cached(walk->file, walk->position, wanted)) {
        return ERR_WOULD_BLOCK;
    }
    if (walk->no_wait && !sys_file_cached(walk->file, walk->position, size)) {
        size = wanted;
    }
    size_t got;
    err_t err = sys_file_read(walk->file, walk->position, walk->window, size, &got);
    if (err != ERR_OK) {
        return err;
    }
    walk->window_position = walk->position;
    walk->window_size = got;
    return got < wanted ? ERR_CORRUPT : ERR_OK;
}

err_t batch_walk_next(struct batch_walk *walk, struct batch_header *ret_header) {
    if (walk->position >= walk->end) {
        return ERR_NOT_FOUND;
    }
    uint64_t left = walk->end - walk->position;
    size_t wanted = left < BATCH_HEADER_SIZE_V2 ? (size_t)left : BATCH_HEADER_SIZE_V2;
    if (walk->position < walk->window_position ||
        walk->position + wanted > walk->window_position + walk->window_size) {
        err_t err = window_move(walk, wanted);
        if (err != ERR_OK) {
            return err;
        }
    }
    size_t in_window = (size_t)(walk->position - walk->window_position);
    struct batch_header header;
    if (batch_header_read(walk->window + in_window, walk->window_size - in_window, &header) !=
            NULL ||
        header.size > left) {
        return ERR_CORRUPT;
    }
    walk->position += header.size;
    *ret_header = header;
    return ERR_OK;
}
