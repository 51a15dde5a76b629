#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/err.h"

/*
 * The text checkpoints (docs/formats/checkpoints.md): a version, a count, then a line of fields per
 * entry. A strict reader: anything unexpected is refused with the line and what is wrong with it.
 */
enum { CHECKPOINT_FIELDS_MAX = 3, CHECKPOINT_MESSAGE_MAX = 96 };

struct checkpoint_reader {
    struct str rest;
    uint32_t line;   /* number of the one read last */
    int64_t left;    /* entries that must follow */
    int field_count; /* per line */
    char message[CHECKPOINT_MESSAGE_MAX];
};

/* Reads version and count. CORRUPT with a message. The bytes stay the caller's. */
err_t checkpoint_read_begin(struct checkpoint_reader *reader, const char *data, size_t size,
                            int field_count);

/* The next entry; NOT_FOUND after the last one. Fields point into the bytes. */
err_t checkpoint_read_entry(struct checkpoint_reader *reader,
                            struct str ret_fields[CHECKPOINT_FIELDS_MAX]);

/* A field as a number from 0 to `max`; CORRUPT with a message. */
err_t checkpoint_number(struct checkpoint_reader *reader, struct str field, int64_t max,
                        int64_t *ret_number);

/* Version 0 and the count; entries follow with buffer_printf. */
void checkpoint_write_begin(struct buffer *out, size_t count);

/* A decimal number without sign, of at most `max`. */
bool decimal_parse(struct str text, int64_t max, int64_t *ret_number);
