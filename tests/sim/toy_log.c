/*
 *   record   size 4 | checksum of all that follows 4 | producer 4 | sequence 4 | value
 *
 * Files are named by their number, 00000000.log and so on. A record that does not check out is the
 * end of the log: it is cut off, and files after it are removed. What is left is synced before
 * anything is answered, for a process that crashed may not have come to it.
 */
#include "toy_log.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "sys/file.h"

enum { HEAD_SIZE = 16, SEGMENT_SIZE_MAX = 32 * 1024, PRODUCERS_MAX = 64 };

struct place {
    uint32_t segment;
    uint32_t position;
    uint32_t size; /* of the value */
};

struct toy_log {
    struct sys *sys;
    enum toy_bug bug;
    struct sys_file *segments[4096];
    uint32_t segment_count;
    uint32_t position; /* in the last one */
    struct place *places;
    int64_t end;
    struct {
        uint32_t sequence;
        int64_t offset;
    } producers[PRODUCERS_MAX];
};

static void segment_path(uint32_t number, char path[32]) {
    snprintf(path, 32, "/data/%08u.log", number);
}

static err_t open_segment(struct toy_log *log, int flags) {
    assert(log->segment_count < sizeof log->segments / sizeof log->segments[0]);
    char path[32];
    segment_path(log->segment_count, path);
    err_t err = sys_file_open(log->sys, path, flags, &log->segments[log->segment_count]);
    if (err == ERR_OK) {
        log->segment_count++;
        log->position = 0;
    }
    return err;
}

static void take_note(struct toy_log *log, uint32_t producer, uint32_t sequence, uint32_t size) {
    log->places = realloc(log->places, (size_t)(log->end + 1) * sizeof(struct place));
    assert(log->places != NULL);
    log->places[log->end] =
        (struct place){.segment = log->segment_count - 1, .position = log->position, .size = size};
    assert(producer < PRODUCERS_MAX);
    log->producers[producer].sequence = sequence;
    log->producers[producer].offset = log->end;
    log->end++;
    log->position += HEAD_SIZE + size;
}

/* --- recovery --- */

/* Whether a whole record is at the position, and of which size. */
static bool check_record(struct toy_log *log, const uint8_t *data, size_t left,
                         uint32_t *ret_size) {
    if (left < HEAD_SIZE) {
        return false;
    }
    uint32_t size = get_be32(data);
    if (size == 0 && log->bug == TOY_SKIP_TO_ZEROS) {
        *ret_size = 0;
        return get_be32(data + 4) == 0;
    }
    if (size == 0 || size > TOY_VALUE_MAX || size > left - HEAD_SIZE ||
        get_be32(data + 4) != crc32c(0, data + 8, size + 8) ||
        get_be32(data + 8) >= PRODUCERS_MAX) {
        return false;
    }
    *ret_size = size;
    return true;
}

static err_t recover_segment(struct toy_log *log, bool *ret_whole) {
    struct sys_file *file = log->segments[log->segment_count - 1];
    uint64_t file_size;
    err_t err = sys_file_size(file, &file_size);
    uint8_t *data = malloc((size_t)file_size + 1);
    assert(data != NULL);
    size_t size = 0;
    if (err == ERR_OK) {
        err = sys_file_read(file, 0, data, (size_t)file_size, &size);
    }
    uint32_t value_size;
    while (err == ERR_OK && log->position < size &&
           check_record(log, data + log->position, size - log->position, &value_size)) {
        const uint8_t *head = data + log->position;
        take_note(log, get_be32(head + 8), get_be32(head + 12), value_size);
    }
    free(data);
    bool whole = log->position == size;
    if (err == ERR_OK && !whole && log->bug != TOY_NO_CUT) {
        err = sys_file_truncate(file, log->position);
    }
    if (err == ERR_OK && log->bug == TOY_NO_CUT) {
        log->position = (uint32_t)size;
    }
    if (err == ERR_OK) {
        err = sys_file_sync(file);
    }
    *ret_whole = whole;
    return err;
}

static err_t remove_from(struct toy_log *log, uint32_t number) {
    err_t err = ERR_OK;
    for (; err == ERR_OK; number++) {
        char path[32];
        segment_path(number, path);
        err = sys_path_remove(log->sys, path);
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static err_t recover(struct toy_log *log) {
    bool whole = true;
    err_t err = ERR_OK;
    while (whole) {
        err = open_segment(log, 0);
        if (err == ERR_NOT_FOUND) {
            break;
        }
        if (err == ERR_OK) {
            err = recover_segment(log, &whole);
        }
        if (err != ERR_OK) {
            return err;
        }
    }
    err = remove_from(log, log->segment_count);
    if (err == ERR_OK && log->segment_count == 0) {
        err = open_segment(log, SYS_FILE_CREATE);
    }
    return err;
}

err_t toy_log_open(struct sys *sys, enum toy_bug bug, struct toy_log **ret_log) {
    struct toy_log *log = calloc(1, sizeof *log);
    assert(log != NULL);
    log->sys = sys;
    log->bug = bug;
    err_t err = sys_dir_make_all(sys, "/data");
    if (err == ERR_OK) {
        err = recover(log);
    }
    if (err == ERR_OK) {
        err = sys_dir_sync(sys, "/data");
    }
    if (err == ERR_OK) {
        err = sys_dir_sync(sys, "/");
    }
    if (err == ERR_OK) {
        *ret_log = log;
    }
    return err; /* what was opened goes with the process */
}

/* --- appending and reading --- */

/* The last segment may have been cut back after a failed write: were that undone, what follows
 * would be taken for a torn end. */
static err_t roll(struct toy_log *log) {
    err_t err = ERR_OK;
    if (log->bug != TOY_NO_ROLL_SYNC) {
        err = sys_file_sync(log->segments[log->segment_count - 1]);
    }
    if (err == ERR_OK) {
        err = open_segment(log, SYS_FILE_CREATE | SYS_FILE_TRUNCATE);
    }
    if (err == ERR_OK && log->bug != TOY_NO_NAME_SYNC) {
        err = sys_dir_sync(log->sys, "/data");
    }
    return err;
}

err_t toy_log_append(struct toy_log *log, uint32_t producer, uint32_t sequence,
                     const uint8_t *value, uint32_t size, int64_t *ret_offset) {
    assert(producer < PRODUCERS_MAX);
    assert(size <= TOY_VALUE_MAX);
    if (sequence <= log->producers[producer].sequence && log->bug != TOY_NO_DUPLICATES) {
        *ret_offset = log->producers[producer].offset;
        return ERR_OK;
    }
    if (log->position + HEAD_SIZE + size > SEGMENT_SIZE_MAX) {
        err_t err = roll(log);
        if (err != ERR_OK) {
            return err;
        }
    }
    struct sys_file *file = log->segments[log->segment_count - 1];
    uint8_t record[HEAD_SIZE + TOY_VALUE_MAX];
    put_be32(record, size);
    put_be32(record + 8, producer);
    put_be32(record + 12, sequence);
    memcpy(record + HEAD_SIZE, value, size);
    put_be32(record + 4, crc32c(0, record + 8, size + 8));
    err_t err = sys_file_write(file, log->position, record, HEAD_SIZE + size);
    if (err != ERR_OK) {
        (void)sys_file_truncate(file, log->position);
        return err;
    }
    if (log->bug != TOY_NO_SYNC) {
        err = sys_file_sync(file);
    }
    if (err == ERR_OK) {
        *ret_offset = log->end;
        take_note(log, producer, sequence, size);
    }
    return err;
}

int64_t toy_log_end(const struct toy_log *log) {
    return log->end;
}

err_t toy_log_read(struct toy_log *log, int64_t offset, uint8_t value[TOY_VALUE_MAX],
                   uint32_t *ret_size) {
    assert(offset < log->end);
    const struct place *place = &log->places[offset];
    size_t size;
    err_t err = sys_file_read(log->segments[place->segment], place->position + HEAD_SIZE, value,
                              place->size, &size);
    if (err == ERR_OK && size != place->size) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_OK) {
        *ret_size = place->size;
    }
    return err;
}
