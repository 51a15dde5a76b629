/* Compressed data behind a byte: bits 0-2 the codec, bit 3 as in messages of magic 0, bits 4-7 the
 * size of the pieces in which it is read. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/compression.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_LIMIT = 1 << 20 };

static err_t read_pieces(struct decompressor *decompressor, size_t piece, struct buffer *out) {
    for (;;) {
        size_t size = SIZE_MAX;
        err_t err = decompressor_read(decompressor, buffer_reserve(out, piece), piece, &size);
        if (err != ERR_OK) {
            return err;
        }
        assert(size <= piece);
        if (size == 0) {
            return ERR_OK;
        }
        (void)buffer_extend(out, size);
        assert(out->size <= SIZE_LIMIT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    enum compression_type type = data[0] & 7;
    size_t piece = (size_t)1 << (data[0] >> 4);
    uint8_t *copy = malloc(size); /* so that reading beyond the end is seen */
    memcpy(copy, data + 1, size - 1);
    struct bytes in = {.data = copy, .size = size - 1};
    struct compression *compression = compression_new();
    struct buffer pieces = {0}, whole = {0};

    struct decompressor decompressor;
    err_t err = data[0] & 8
                    ? decompressor_open_magic_0(&decompressor, compression, type, in, SIZE_LIMIT)
                    : decompressor_open(&decompressor, compression, type, in, SIZE_LIMIT);
    if (err == ERR_OK) {
        err = read_pieces(&decompressor, piece, &pieces);
        decompressor_close(&decompressor);
    }
    if (!(data[0] & 8)) {
        err_t whole_err = compression_decompress(compression, type, in, SIZE_LIMIT, &whole);
        /* libzstd reads a frame at once where there is room for all of it, and then refuses other
         * damage: a compressed block of no bytes, not a window that is too large. */
        assert(type == COMPRESSION_ZSTD || (whole_err == ERR_OK) == (err == ERR_OK));
        if (whole_err == ERR_OK && err == ERR_OK) {
            assert(whole.size == pieces.size);
            assert(whole.size == 0 || memcmp(whole.data, pieces.data, whole.size) == 0);
        } else if (whole_err != ERR_OK) {
            assert(whole.size == 0);
        }
    }
    buffer_done(&pieces);
    buffer_done(&whole);
    compression_free(compression);
    free(copy);
    return 0;
}
