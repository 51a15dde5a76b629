/* Reading a segment batch by batch through one buffer, with every check. */
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/limits.h"
#include "log/recovery_int.h"

void recovery_seek(struct recovery *recovery, size_t segment, uint64_t position,
                   int64_t expected_offset) {
    recovery->segment = segment;
    recovery->position = position;
    recovery->expected_offset = expected_offset;
    recovery->buffer_size = 0;
}

static err_t segment_bytes(struct log *log, const struct recovery *recovery, uint64_t position,
                           uint8_t *data, size_t size) {
    struct log_segment *segment = log->segments[recovery->segment];
    struct sys_file *file;
    err_t err = cached_file_take(&segment->log, false, &file);
    if (err != ERR_OK) {
        return err;
    }
    size_t got;
    err = sys_file_read(file, position, data, size, &got);
    cached_file_give(&segment->log);
    return err == ERR_OK && got < size ? ERR_IO : err;
}

/* Makes `wanted` bytes at the position be in the buffer, if the segment has so many. */
static err_t fill(struct log *log, struct recovery *recovery, size_t wanted) {
    uint64_t in_buffer = recovery->position - recovery->buffer_position;
    if (recovery->buffer_size > 0 && in_buffer + wanted <= recovery->buffer_size) {
        return ERR_OK;
    }
    uint64_t left = log->segments[recovery->segment]->size - recovery->position;
    size_t size = left < LOG_RECOVERY_CHUNK ? (size_t)left : LOG_RECOVERY_CHUNK;
    if (recovery->buffer == NULL) {
        recovery->buffer = malloc(LOG_RECOVERY_CHUNK);
    }
    recovery->buffer_size = 0;
    err_t err = segment_bytes(log, recovery, recovery->position, recovery->buffer, size);
    if (err == ERR_OK) {
        recovery->buffer_position = recovery->position;
        recovery->buffer_size = size;
    }
    return err;
}

/* The checksum of a batch that is larger than the buffer, piece by piece. Leaves the buffer empty.
 */
static err_t large_crc_check(struct log *log, struct recovery *recovery,
                             const struct batch_header *header, bool *ret_good) {
    uint32_t from = header->magic < 2 ? BATCH_MAGIC_POSITION : BATCH_MAGIC_POSITION + 5;
    uint32_t crc = 0;
    recovery->buffer_size = 0;
    for (uint64_t at = from; at < header->size;) {
        uint64_t left = header->size - at;
        size_t size = left < LOG_RECOVERY_CHUNK ? (size_t)left : LOG_RECOVERY_CHUNK;
        err_t err = segment_bytes(log, recovery, recovery->position + at, recovery->buffer, size);
        if (err != ERR_OK) {
            return err;
        }
        crc = header->magic < 2 ? crc32_ieee(crc, recovery->buffer, size)
                                : crc32c(crc, recovery->buffer, size);
        at += size;
    }
    *ret_good = crc == header->crc;
    return ERR_OK;
}

static const char *offsets_wrong(const struct log_segment *segment, const struct recovery *recovery,
                                 const struct batch_header *header) {
    if (header->base_offset < recovery->expected_offset) {
        return "its offset is not above those before";
    }
    if (header->last_offset - segment->base_offset > INT32_MAX) {
        return "its offset is too far from the segment's";
    }
    return NULL;
}

static err_t wrong(struct recovery_batch *batch, const char *what) {
    batch->wrong = what;
    return ERR_CORRUPT;
}

err_t recovery_next(struct log *log, struct recovery *recovery, bool check,
                    struct recovery_batch *ret_batch) {
    struct log_segment *segment = log->segments[recovery->segment];
    *ret_batch = (struct recovery_batch){0};
    uint64_t left = segment->size - recovery->position;
    if (left == 0) {
        return ERR_NOT_FOUND;
    }
    err_t err =
        fill(log, recovery, left < BATCH_HEADER_SIZE_V2 ? (size_t)left : BATCH_HEADER_SIZE_V2);
    if (err != ERR_OK) {
        return err;
    }
    size_t at = (size_t)(recovery->position - recovery->buffer_position);
    struct batch_header *header = &ret_batch->header;
    const char *what = batch_header_read(recovery->buffer + at, recovery->buffer_size - at, header);
    if (what != NULL) {
        return wrong(ret_batch, what);
    }
    ret_batch->has_header = true;
    if (header->size > left) {
        return wrong(ret_batch, "it reaches beyond the end of the file");
    }
    bool good = true;
    if (header->size <= LOG_RECOVERY_CHUNK) {
        err = fill(log, recovery, header->size);
        if (err != ERR_OK) {
            return err;
        }
        ret_batch->data =
            recovery->buffer + (size_t)(recovery->position - recovery->buffer_position);
        good = !check || batch_crc_good(header, ret_batch->data);
    } else if (check) {
        err = large_crc_check(log, recovery, header, &good);
        if (err != ERR_OK) {
            return err;
        }
    }
    if (!good) {
        return wrong(ret_batch, "its checksum does not match");
    }
    what = offsets_wrong(segment, recovery, header);
    if (what != NULL) {
        return wrong(ret_batch, what);
    }
    recovery->position += header->size;
    recovery->bytes_done += header->size;
    recovery->expected_offset = header->last_offset + 1;
    return ERR_OK;
}
