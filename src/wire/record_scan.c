/*
 * Nearly all records are there as a whole and are read in place. One that goes on behind the window
 * is read piece by piece: its length is the budget of everything in it: each number and each run of
 * bytes is paid from it before it is taken, so nothing is read beyond the record, and at its end
 * the budget must be used up.
 */
#include "wire/record_scan_int.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "base/varint.h"
#include "wire/record_int.h"

void record_scan_init(struct record_scan *scan, struct bytes records) {
    *scan = (struct record_scan){.p = records.data, .end = records.data + records.size};
}

void record_scan_init_compressed(struct record_scan *scan, struct decompressor *decompressor,
                                 uint8_t *window) {
    *scan =
        (struct record_scan){.p = window, .end = window, .more = decompressor, .window = window};
}

static bool fail(struct record_scan *scan, err_t err) {
    scan->err = err;
    return false;
}

/* Tries to have `wanted` bytes at p; there may be fewer at the end of the data. */
static bool fill(struct record_scan *scan, size_t wanted) {
    size_t have = (size_t)(scan->end - scan->p);
    if (have >= wanted || scan->more == NULL) {
        return true;
    }
    memmove(scan->window, scan->p, have);
    scan->p = scan->window;
    scan->end = scan->window + have;
    while (have < wanted) {
        size_t size = 0;
        err_t err = decompressor_read(scan->more, scan->window + have,
                                      RECORD_SCAN_WINDOW_SIZE - have, &size);
        if (err != ERR_OK) {
            return fail(scan, err);
        }
        if (size == 0) {
            break;
        }
        have += size;
        scan->end += size;
    }
    return true;
}

static bool pay(struct record_scan *scan, size_t size) {
    if (size == 0 || size > scan->left) {
        return fail(scan, ERR_MALFORMED);
    }
    scan->p += size;
    scan->left -= size;
    return true;
}

static bool take_varint(struct record_scan *scan, int32_t *value) {
    return fill(scan, UVARINT_SIZE_MAX) &&
           pay(scan, varint_read(scan->p, (size_t)(scan->end - scan->p), value));
}

static bool take_varlong(struct record_scan *scan, int64_t *value) {
    return fill(scan, VARLONG_SIZE_MAX) &&
           pay(scan, varlong_read(scan->p, (size_t)(scan->end - scan->p), value));
}

static bool skip(struct record_scan *scan, size_t size) {
    if (size > scan->left) {
        return fail(scan, ERR_MALFORMED);
    }
    scan->left -= size;
    while (size > (size_t)(scan->end - scan->p)) {
        size -= (size_t)(scan->end - scan->p);
        scan->p = scan->end;
        if (!fill(scan, 1)) {
            return false;
        }
        if (scan->p == scan->end) {
            return fail(scan, ERR_MALFORMED);
        }
    }
    scan->p += size;
    return true;
}

static bool skip_bytes(struct record_scan *scan, int32_t *size) {
    return take_varint(scan, size) && (*size < 0 || skip(scan, (size_t)*size));
}

static bool skip_headers(struct record_scan *scan) {
    int32_t count;
    if (!take_varint(scan, &count)) {
        return false;
    }
    if (count < 0) {
        return fail(scan, ERR_MALFORMED);
    }
    for (int32_t i = 0; i < count; i++) {
        int32_t key_size, value_size; /* two bytes at least, so what is left bounds the loop */
        if (!skip_bytes(scan, &key_size) || !skip_bytes(scan, &value_size)) {
            return false;
        }
        if (key_size < 0) {
            return fail(scan, ERR_MALFORMED);
        }
    }
    return true;
}

static bool scan_whole(struct record_scan *scan, size_t length, struct record_facts *facts) {
    struct record record;
    struct bytes body = {.data = scan->p, .size = length};
    if (!record_body_read(body, &facts->timestamp_delta, &record)) {
        return fail(scan, ERR_MALFORMED);
    }
    facts->offset_delta = record.offset_delta;
    facts->key_size = record.key.data == NULL ? -1 : (int32_t)record.key.size;
    facts->value_size = record.value.data == NULL ? -1 : (int32_t)record.value.size;
    scan->p += length;
    return true;
}

static bool scan_pieces(struct record_scan *scan, size_t length, struct record_facts *facts) {
    scan->left = length;
    if (!skip(scan, 1) || /* attributes */
        !take_varlong(scan, &facts->timestamp_delta) || !take_varint(scan, &facts->offset_delta) ||
        !skip_bytes(scan, &facts->key_size) || !skip_bytes(scan, &facts->value_size) ||
        !skip_headers(scan)) {
        return false;
    }
    return scan->left == 0 || fail(scan, ERR_MALFORMED);
}

err_t record_scan_next(struct record_scan *scan, struct record_facts *ret_facts) {
    assert(scan->err == ERR_OK);
    int32_t length;
    scan->left = UVARINT_SIZE_MAX;
    if (!take_varint(scan, &length)) {
        return scan->err;
    }
    if (length < 0) {
        (void)fail(scan, ERR_MALFORMED);
    } else if (length <= scan->end - scan->p) {
        (void)scan_whole(scan, (size_t)length, ret_facts);
    } else {
        (void)scan_pieces(scan, (size_t)length, ret_facts);
    }
    return scan->err;
}

err_t record_scan_end(struct record_scan *scan) {
    if (!fill(scan, 1)) {
        return scan->err;
    }
    return scan->p == scan->end ? ERR_OK : ERR_MALFORMED;
}
