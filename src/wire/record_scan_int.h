#pragma once

#include "wire/compression.h"

/*
 * Checks records one after the other without keeping them: in place when they are uncompressed,
 * else through a small window, whatever they expand to.
 *
 * Finds what record_read finds wrong: sizes that do not fit, null header keys, records whose length
 * is not their content's.
 */
struct record_scan {
    const uint8_t *p; /* not read yet, up to end */
    const uint8_t *end;
    struct decompressor *more; /* NULL: all is there */
    uint8_t *window;           /* of RECORD_SCAN_WINDOW_SIZE bytes, with `more` */
    size_t left;               /* of the record that is being read */
    err_t err;                 /* the first one */
};

struct record_facts {
    int64_t timestamp_delta;
    int32_t offset_delta;
    int32_t key_size;   /* negative: null */
    int32_t value_size; /* negative: null */
};

void record_scan_init(struct record_scan *scan, struct bytes records);
void record_scan_init_compressed(struct record_scan *scan, struct decompressor *decompressor,
                                 uint8_t *window);

/* MALFORMED; LIMIT when it expands beyond the decompressor's bound. */
err_t record_scan_next(struct record_scan *scan, struct record_facts *ret_facts);

/* OK when no byte is left, MALFORMED else. */
err_t record_scan_end(struct record_scan *scan);
