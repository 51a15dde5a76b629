/*
 * Reading piece by piece. What Kafka's readers accept is accepted, what they refuse is refused:
 *
 *   gzip    members one after the other; what follows the last and is none is not looked at
 *   snappy  xerial's stream of blocks, headers may be repeated within; or one raw block
 *   lz4     one frame with independent blocks; what follows it is not looked at
 *   zstd    frames one after the other, nothing else
 *
 * A stream that stops before its own end is MALFORMED.
 */
#include "wire/compression_int.h"

#include <assert.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

/* --- gzip --- */

static bool gzip_member_follows(const struct decompressor *d) {
    return d->in_size > 2 && d->in[0] == 0x1f && d->in[1] == 0x8b;
}

static err_t gzip_open(struct decompressor *d) {
    enum { GZIP_ONLY = 15 + 16 };
    struct compression *c = d->compression;
    if (!gzip_member_follows(d)) {
        return ERR_MALFORMED;
    }
    if (!c->inflate_ready) {
        if (inflateInit2(&c->inflate, GZIP_ONLY) != Z_OK) {
            abort();
        }
        c->inflate_ready = true;
    }
    inflateReset(&c->inflate);
    return ERR_OK;
}

static err_t gzip_read(struct decompressor *d, uint8_t *data, size_t size, size_t *ret_size) {
    z_stream *stream = &d->compression->inflate;
    stream->next_out = data;
    stream->avail_out = (uInt)size;
    while (stream->avail_out == (uInt)size) {
        stream->next_in = (Bytef *)(uintptr_t)d->in;
        stream->avail_in = (uInt)d->in_size;
        int result = inflate(stream, Z_NO_FLUSH);
        d->in = stream->next_in;
        d->in_size = stream->avail_in;
        if (result == Z_STREAM_END) {
            if (!gzip_member_follows(d)) {
                d->ended = true;
                break;
            }
            inflateReset(stream);
        } else if (result != Z_OK || (d->in_size == 0 && stream->avail_out == (uInt)size)) {
            return ERR_MALFORMED;
        }
    }
    *ret_size = size - stream->avail_out;
    return ERR_OK;
}

/* --- snappy --- */

static bool xerial_header_follows(const struct decompressor *d) {
    return d->in_size >= XERIAL_HEADER_SIZE && memcmp(d->in, xerial_header, 8) == 0;
}

static void skip_in(struct decompressor *d, size_t size) {
    assert(size <= d->in_size);
    d->in += size;
    d->in_size -= size;
}

/* Makes the first `size` bytes of the input, a raw block, the current block. */
static err_t snappy_take_block(struct decompressor *d, size_t size) {
    struct buffer *block = &d->compression->block;
    size_t declared;
    if (snappy_uncompressed_length((const char *)d->in, size, &declared) != SNAPPY_OK ||
        declared / SNAPPY_EXPANSION_MAX > size) {
        return ERR_MALFORMED;
    }
    if (declared > d->out_left) {
        return ERR_LIMIT;
    }
    buffer_clear(block);
    uint8_t *out = buffer_reserve(block, declared + 1);
    size_t written = declared;
    if (snappy_uncompress((const char *)d->in, size, (char *)out, &written) != SNAPPY_OK) {
        return ERR_MALFORMED;
    }
    d->block = out;
    d->block_size = written;
    skip_in(d, size);
    return ERR_OK;
}

/* ended, or a block that is not empty. */
static err_t snappy_next_block(struct decompressor *d) {
    while (d->block_size == 0 && !d->ended) {
        if (xerial_header_follows(d)) {
            skip_in(d, XERIAL_HEADER_SIZE);
            continue;
        }
        if (d->in_size < 4) {
            d->ended = true;
            break;
        }
        uint32_t size = get_be32(d->in);
        if (size > d->in_size - 4) {
            return ERR_MALFORMED;
        }
        skip_in(d, 4);
        err_t err = snappy_take_block(d, size);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

static err_t snappy_open(struct decompressor *d) {
    d->xerial = xerial_header_follows(d);
    if (d->xerial) {
        return ERR_OK;
    }
    return snappy_take_block(d, d->in_size);
}

static err_t snappy_read(struct decompressor *d, uint8_t *data, size_t size, size_t *ret_size) {
    err_t err = d->xerial ? snappy_next_block(d) : ERR_OK;
    if (err != ERR_OK) {
        return err;
    }
    size_t piece = d->block_size < size ? d->block_size : size;
    if (piece > 0) {
        memcpy(data, d->block, piece);
        d->block += piece;
        d->block_size -= piece;
    } else {
        d->ended = true;
    }
    *ret_size = piece;
    return ERR_OK;
}

/* --- lz4 --- */

/* xxHash, 32 bits, seed 0, of less than 16 bytes: what LZ4's frame header is checked with. */
static uint32_t xxh32_short(const uint8_t *p, size_t size) {
    const uint32_t P1 = 0x9E3779B1u, P2 = 0x85EBCA77u, P3 = 0xC2B2AE3Du;
    const uint32_t P4 = 0x27D4EB2Fu, P5 = 0x165667B1u;
    assert(size < 16);
    uint32_t hash = P5 + (uint32_t)size;
    for (; size >= 4; p += 4, size -= 4) {
        uint32_t word = __builtin_bswap32(get_be32(p));
        hash += word * P3;
        hash = (hash << 17 | hash >> 15) * P4;
    }
    for (; size > 0; p++, size--) {
        hash += *p * P5;
        hash = (hash << 11 | hash >> 21) * P1;
    }
    hash = (hash ^ hash >> 15) * P2;
    hash = (hash ^ hash >> 13) * P3;
    return hash ^ hash >> 16;
}

/* Frame header: magic 4 (184D2204, little-endian), flags 1, block descriptor 1, content size 0 or
 * 8, checksum 1. */
enum { LZ4_FLAGS = 4, LZ4_HEADER_SIZE_MIN = 7, LZ4_HEADER_SIZE_MAX = 15 };
enum {
    LZ4_VERSION_MASK = 0xc0,
    LZ4_VERSION_1 = 0x40,
    LZ4_BLOCKS_INDEPENDENT = 0x20,
    LZ4_CONTENT_SIZE = 0x08,
    LZ4_RESERVED_OR_DICTIONARY = 0x03,
};

/* Gives the library a header with the right checksum: clients of magic 0 computed it over the magic
 * number too, and Kafka does not look at it there. */
static err_t lz4_open(struct decompressor *d) {
    static const uint8_t magic[4] = {0x04, 0x22, 0x4d, 0x18};
    struct compression *c = d->compression;
    if (d->in_size < LZ4_HEADER_SIZE_MIN || memcmp(d->in, magic, sizeof magic) != 0) {
        return ERR_MALFORMED;
    }
    uint8_t flags = d->in[LZ4_FLAGS];
    size_t header_size = LZ4_HEADER_SIZE_MIN + (flags & LZ4_CONTENT_SIZE ? 8 : 0);
    if ((flags & LZ4_VERSION_MASK) != LZ4_VERSION_1 || !(flags & LZ4_BLOCKS_INDEPENDENT) ||
        (flags & LZ4_RESERVED_OR_DICTIONARY) || d->in_size < header_size) {
        return ERR_MALFORMED;
    }
    if (c->lz4 == NULL && LZ4F_isError(LZ4F_createDecompressionContext(&c->lz4, LZ4F_VERSION))) {
        abort();
    }
    LZ4F_resetDecompressionContext(c->lz4);

    uint8_t header[LZ4_HEADER_SIZE_MAX];
    memcpy(header, d->in, header_size);
    if (d->lz4_header_unchecked) {
        header[header_size - 1] =
            (uint8_t)(xxh32_short(header + LZ4_FLAGS, header_size - 1 - LZ4_FLAGS) >> 8);
    }
    size_t used = header_size;
    size_t none = 0;
    uint8_t nowhere;
    size_t result = LZ4F_decompress(c->lz4, &nowhere, &none, header, &used, NULL);
    if (LZ4F_isError(result) || used != header_size) {
        return ERR_MALFORMED;
    }
    skip_in(d, header_size);
    return ERR_OK;
}

static err_t lz4_read(struct decompressor *d, uint8_t *data, size_t size, size_t *ret_size) {
    size_t written = 0;
    while (written == 0) {
        size_t used = d->in_size;
        written = size;
        size_t hint = LZ4F_decompress(d->compression->lz4, data, &written, d->in, &used, NULL);
        if (LZ4F_isError(hint)) {
            return ERR_MALFORMED;
        }
        skip_in(d, used);
        if (hint == 0) {
            d->ended = true;
            break;
        }
        if (written == 0 && used == 0) {
            return ERR_MALFORMED; /* it wants more, and there is no more */
        }
    }
    *ret_size = written;
    return ERR_OK;
}

/* --- zstd --- */

static err_t zstd_open(struct decompressor *d) {
    struct compression *c = d->compression;
    if (c->zstd_in == NULL) {
        c->zstd_in = ZSTD_createDCtx();
        if (c->zstd_in == NULL) {
            abort();
        }
        ZSTD_DCtx_setParameter(c->zstd_in, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    }
    ZSTD_DCtx_reset(c->zstd_in, ZSTD_reset_session_only);
    return d->in_size == 0 ? ERR_MALFORMED : ERR_OK;
}

static err_t zstd_read(struct decompressor *d, uint8_t *data, size_t size, size_t *ret_size) {
    ZSTD_outBuffer out = {.dst = data, .size = size};
    while (out.pos == 0) {
        ZSTD_inBuffer in = {.src = d->in, .size = d->in_size};
        size_t hint = ZSTD_decompressStream(d->compression->zstd_in, &out, &in);
        if (ZSTD_isError(hint)) {
            return ERR_MALFORMED;
        }
        skip_in(d, in.pos);
        if (hint == 0 && d->in_size == 0) {
            d->ended = true;
            break;
        }
        if (out.pos == 0 && d->in_size == 0) {
            return ERR_MALFORMED;
        }
    }
    *ret_size = out.pos;
    return ERR_OK;
}

/* --- all --- */

static err_t none_read(struct decompressor *d, uint8_t *data, size_t size, size_t *ret_size) {
    size_t piece = d->in_size < size ? d->in_size : size;
    if (piece > 0) {
        memcpy(data, d->in, piece);
        skip_in(d, piece);
    }
    d->ended = piece == 0;
    *ret_size = piece;
    return ERR_OK;
}

static err_t open_codec(struct decompressor *d) {
    switch (d->type) {
    case COMPRESSION_NONE:
        return ERR_OK;
    case COMPRESSION_GZIP:
        return gzip_open(d);
    case COMPRESSION_SNAPPY:
        return snappy_open(d);
    case COMPRESSION_LZ4:
        return lz4_open(d);
    case COMPRESSION_ZSTD:
        return zstd_open(d);
    }
    return ERR_UNSUPPORTED;
}

static err_t open_any(struct decompressor *decompressor, struct compression *compression,
                      enum compression_type type, struct bytes in, size_t size_max,
                      bool lz4_header_unchecked) {
    struct decompressor d = {
        .compression = compression,
        .type = type,
        .in = in.data,
        .in_size = in.size,
        .out_left = size_max,
        .lz4_header_unchecked = lz4_header_unchecked,
    };
    err_t err = open_codec(&d);
    if (err == ERR_OK) {
        *decompressor = d;
    }
    return err;
}

err_t decompressor_open(struct decompressor *decompressor, struct compression *compression,
                        enum compression_type type, struct bytes in, size_t size_max) {
    return open_any(decompressor, compression, type, in, size_max, false);
}

err_t decompressor_open_magic_0(struct decompressor *decompressor, struct compression *compression,
                                enum compression_type type, struct bytes in, size_t size_max) {
    return open_any(decompressor, compression, type, in, size_max, true);
}

void decompressor_close(struct decompressor *decompressor) {
    struct compression *c = decompressor->compression;
    if (c != NULL && c->zstd_in != NULL && ZSTD_sizeof_DCtx(c->zstd_in) > ZSTD_KEEP_MAX) {
        ZSTD_freeDCtx(c->zstd_in);
        c->zstd_in = NULL;
    }
}

static err_t read_codec(struct decompressor *d, uint8_t *data, size_t size, size_t *ret_size) {
    switch (d->type) {
    case COMPRESSION_NONE:
        return none_read(d, data, size, ret_size);
    case COMPRESSION_GZIP:
        return gzip_read(d, data, size, ret_size);
    case COMPRESSION_SNAPPY:
        return snappy_read(d, data, size, ret_size);
    case COMPRESSION_LZ4:
        return lz4_read(d, data, size, ret_size);
    case COMPRESSION_ZSTD:
        return zstd_read(d, data, size, ret_size);
    }
    return ERR_UNSUPPORTED;
}

err_t decompressor_read(struct decompressor *decompressor, void *data, size_t size,
                        size_t *ret_size) {
    assert(size > 0);
    size_t piece = 0;
    if (!decompressor->ended) {
        err_t err = read_codec(decompressor, data, size, &piece);
        if (err != ERR_OK) {
            return err;
        }
    }
    if (piece > decompressor->out_left) {
        return ERR_LIMIT;
    }
    decompressor->out_left -= piece;
    *ret_size = piece;
    return ERR_OK;
}
