/*
 * Reads a snapshot, one read of the disk per step.
 *
 * A snapshot is good when it is: a control batch that begins with SNAPSHOT_HEADER, data batches, a
 * control batch with SNAPSHOT_FOOTER, the end of the file; offsets count from 0 without a gap; and
 * every checksum is right. Anything else is damage.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "meta/batch.h"
#include "meta/object_int.h"
#include "meta/snapshot.h"
#include "wire/codec.h"

enum { READ_SIZE = 1024 * 1024, ERROR_MAX = 512 };

struct meta_snapshot_reader {
    struct sys_file *file;
    uint64_t size;
    uint64_t position;  /* read up to here */
    struct buffer data; /* read, and not yet taken apart */
    uint64_t data_position;
    int64_t next_offset;
    bool has_header;
    bool has_footer;
    int64_t timestamp_ms;
    int16_t kraft_version;
    struct arena voters_arena;
    struct voters_record voters;
    bool has_voters;
    struct arena arena; /* of the record being read */
    char error[ERROR_MAX];
};

err_t meta_snapshot_reader_open(struct sys *sys, const char *path,
                                struct meta_snapshot_reader **ret_reader) {
    struct sys_file *file;
    err_t err = sys_file_open(sys, path, SYS_FILE_READ, &file);
    if (err != ERR_OK) {
        return err;
    }
    uint64_t size;
    err = sys_file_size(file, &size);
    if (err != ERR_OK) {
        sys_file_close(file);
        return err;
    }
    struct meta_snapshot_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        abort();
    }
    reader->file = file;
    reader->size = size;
    arena_init(&reader->voters_arena, SIZE_MAX);
    arena_init(&reader->arena, SIZE_MAX);
    *ret_reader = reader;
    return ERR_OK;
}

void meta_snapshot_reader_free(struct meta_snapshot_reader *reader) {
    if (reader == NULL) {
        return;
    }
    sys_file_close(reader->file);
    buffer_done(&reader->data);
    arena_done(&reader->voters_arena);
    arena_done(&reader->arena);
    free(reader);
}

const char *meta_snapshot_reader_error(const struct meta_snapshot_reader *reader) {
    return reader->error;
}

void meta_snapshot_reader_progress(const struct meta_snapshot_reader *reader, uint64_t *ret_read,
                                   uint64_t *ret_size) {
    *ret_read = reader->position;
    *ret_size = reader->size;
}

int64_t meta_snapshot_reader_timestamp_ms(const struct meta_snapshot_reader *reader) {
    return reader->timestamp_ms;
}

int16_t meta_snapshot_reader_kraft_version(const struct meta_snapshot_reader *reader) {
    return reader->kraft_version;
}

const struct voters_record *meta_snapshot_reader_voters(const struct meta_snapshot_reader *reader) {
    return reader->has_voters ? &reader->voters : NULL;
}

__attribute__((format(printf, 3, 4))) static err_t
damaged(struct meta_snapshot_reader *reader, uint64_t position, const char *format, ...) {
    int size = snprintf(reader->error, sizeof reader->error,
                        "at byte %llu: ", (unsigned long long)position);
    va_list args;
    va_start(args, format);
    vsnprintf(reader->error + size, sizeof reader->error - (size_t)size, format, args);
    va_end(args);
    return ERR_CORRUPT;
}

static err_t read_voters(struct meta_snapshot_reader *reader, struct bytes value) {
    struct voters_record record;
    size_t used;
    arena_reset(&reader->arena);
    err_t err = wire_decode(&voters_record_type, 0, value, &reader->arena, &record, &used);
    if (err == ERR_OK) {
        arena_reset(&reader->voters_arena);
        (void)wire_copy(&voters_record_type, &record, &reader->voters_arena, &reader->voters);
        reader->has_voters = true;
    }
    return err;
}

static err_t take_control(struct meta_snapshot_reader *reader, int16_t type, struct bytes value) {
    size_t used;
    err_t err = ERR_OK;
    if (type == CONTROL_RECORD_SNAPSHOT_HEADER) {
        struct snapshot_header_record header;
        err = wire_decode(&snapshot_header_record_type, 0, value, &reader->arena, &header, &used);
        if (err == ERR_OK) {
            reader->timestamp_ms = header.last_contained_log_timestamp;
            reader->has_header = true;
        }
    } else if (type == CONTROL_RECORD_SNAPSHOT_FOOTER) {
        reader->has_footer = true;
    } else if (type == CONTROL_RECORD_KRAFT_VERSION) {
        struct kraft_version_record version;
        err = wire_decode(&kraft_version_record_type, 0, value, &reader->arena, &version, &used);
        if (err == ERR_OK) {
            reader->kraft_version = version.kraft_version;
        }
    } else if (type == CONTROL_RECORD_KRAFT_VOTERS) {
        err = read_voters(reader, value);
    }
    return err;
}

static err_t take_control_batch(struct meta_snapshot_reader *reader,
                                const struct record_batch *batch, uint64_t position) {
    struct meta_batch_walk walk;
    err_t err = meta_batch_walk_init(&walk, batch, &reader->arena);
    while (err == ERR_OK) {
        int16_t type;
        struct bytes value;
        err = meta_batch_next_control(&walk, &type, &value);
        if (err == ERR_OK) {
            err = take_control(reader, type, value);
        }
    }
    return err == ERR_NOT_FOUND ? ERR_OK
                                : damaged(reader, position, "a control record cannot be read");
}

static err_t take_data_batch(struct meta_snapshot_reader *reader, const struct record_batch *batch,
                             uint64_t position, struct meta_delta *delta) {
    struct meta_batch_walk walk;
    err_t err = meta_batch_walk_init(&walk, batch, &reader->arena);
    while (err == ERR_OK) {
        struct meta_record record;
        int64_t offset;
        err = meta_batch_next(&walk, &record, &offset);
        if (err != ERR_OK) {
            break;
        }
        err = meta_delta_apply(delta, &record);
        if (err != ERR_OK) {
            (void)damaged(reader, position, "%s", meta_delta_error(delta));
            return err == ERR_UNSUPPORTED ? err : ERR_CORRUPT;
        }
    }
    if (err == ERR_NOT_FOUND) {
        return ERR_OK;
    }
    if (err == ERR_UNSUPPORTED) {
        (void)damaged(reader, position,
                      "a record is of a type or version that this release does "
                      "not know");
        return ERR_UNSUPPORTED; /* a newer release wrote it: not damage */
    }
    return damaged(reader, position, "a record cannot be read");
}

static err_t take_batch(struct meta_snapshot_reader *reader, const struct record_batch *batch,
                        uint64_t position, struct meta_delta *delta) {
    if (meta_batch_check(batch) != ERR_OK) {
        return damaged(reader, position, "a batch does not match its checksum");
    }
    if (record_batch_base_offset(batch->data) != reader->next_offset) {
        return damaged(reader, position, "offset %lld where %lld follows",
                       (long long)record_batch_base_offset(batch->data),
                       (long long)reader->next_offset);
    }
    reader->next_offset = record_batch_next_offset(batch->data);
    if (reader->has_footer) {
        return damaged(reader, position, "a batch behind the footer");
    }
    if (record_batch_is_control(batch->data)) {
        return take_control_batch(reader, batch, position);
    }
    if (!reader->has_header) {
        return damaged(reader, position, "records before the header");
    }
    return take_data_batch(reader, batch, position, delta);
}

static err_t read_more(struct meta_snapshot_reader *reader, size_t size) {
    uint8_t *at = buffer_reserve(&reader->data, size);
    size_t got;
    err_t err = sys_file_read(reader->file, reader->position, at, size, &got);
    if (err == ERR_OK) {
        (void)buffer_extend(&reader->data, got);
        reader->position += got;
        if (got == 0) {
            reader->size = reader->position; /* it was cut meanwhile; what follows will tell */
        }
    }
    return err;
}

/* Takes the whole batches out of what was read; *ret_missing is how much the next one lacks. */
static err_t take_batches(struct meta_snapshot_reader *reader, struct meta_delta *delta,
                          size_t *ret_missing) {
    struct bytes run = buffer_bytes(&reader->data);
    size_t position = 0;
    err_t err = ERR_OK;
    *ret_missing = 0;
    while (err == ERR_OK && position < run.size) {
        struct record_batch batch;
        size_t start = position;
        uint64_t file_position = reader->data_position + start;
        err = record_batch_next(run, &position, &batch);
        if (err == ERR_LIMIT) {
            position = start;
            size_t batch_size = RECORD_BATCH_HEADER_SIZE;
            int8_t magic;
            if (run.size - start >= RECORD_BATCH_MAGIC_END) {
                (void)record_batch_peek(run.data + start, &batch_size, &magic);
            }
            *ret_missing = batch_size > run.size - start ? batch_size - (run.size - start) : 1;
            break;
        }
        err = err == ERR_OK ? take_batch(reader, &batch, file_position, delta)
                            : damaged(reader, file_position, "no batch begins here");
    }
    if (err == ERR_OK || err == ERR_LIMIT) {
        memmove(reader->data.data, reader->data.data + position, run.size - position);
        reader->data.size -= position;
        reader->data_position += position;
        return ERR_OK;
    }
    return err;
}

static err_t check_end(struct meta_snapshot_reader *reader) {
    if (reader->data.size > 0) {
        return damaged(reader, reader->data_position, "the file ends within a batch");
    }
    if (!reader->has_header || !reader->has_footer) {
        return damaged(reader, reader->size, "the file ends without its %s",
                       reader->has_header ? "footer" : "header");
    }
    if (reader->kraft_version > 0 && !reader->has_voters) {
        return damaged(reader, 0, "kraft.version %d without voters", reader->kraft_version);
    }
    return ERR_OK;
}

err_t meta_snapshot_reader_step(struct meta_snapshot_reader *reader, struct meta_delta *delta,
                                bool *ret_done) {
    uint64_t left = reader->size - reader->position;
    size_t missing = 0;
    err_t err = read_more(reader, left < READ_SIZE ? (size_t)left : READ_SIZE);
    while (err == ERR_OK) {
        err = take_batches(reader, delta, &missing);
        left = reader->size - reader->position;
        if (err != ERR_OK || missing <= READ_SIZE || missing > left) {
            break;
        }
        err = read_more(reader, missing); /* a batch larger than our window */
    }
    if (err != ERR_OK) {
        return err;
    }
    bool done = reader->position >= reader->size;
    if (done) {
        err = check_end(reader);
    }
    if (err == ERR_OK) {
        *ret_done = done;
    }
    return err;
}
