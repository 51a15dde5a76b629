/*
 * Writing, and reading as a whole. What is written is what the Java client writes: gzip with one
 * member; xerial blocks of 32 KiB; LZ4 frames of independent 64 KiB blocks without checksums; one
 * zstd frame.
 */
#include "wire/compression_int.h"

#include <assert.h>
#include <lz4hc.h>
#include <snappy-c.h>
#include <stdlib.h>

/* "\x82SNAPPY\0", version 1, readable since version 1 */
const uint8_t xerial_header[XERIAL_HEADER_SIZE] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                   0,    0,   0,   1,   0,   0,   0,   1};

static void out_of_memory_unless(bool good) {
    if (!good) {
        abort(); /* as every allocation of ours; the libraries fail for no other reason here */
    }
}

struct compression *compression_new(void) {
    struct compression *compression = calloc(1, sizeof *compression);
    out_of_memory_unless(compression != NULL);
    return compression;
}

void compression_free(struct compression *compression) {
    if (compression == NULL) {
        return;
    }
    if (compression->inflate_ready) {
        inflateEnd(&compression->inflate);
    }
    LZ4F_freeDecompressionContext(compression->lz4);
    ZSTD_freeDCtx(compression->zstd_in);
    ZSTD_freeCCtx(compression->zstd_out);
    buffer_done(&compression->block);
    free(compression);
}

const char *compression_name(enum compression_type type) {
    static const char *const names[COMPRESSION_TYPE_COUNT] = {"none", "gzip", "snappy", "lz4",
                                                              "zstd"};
    return (int)type < COMPRESSION_TYPE_COUNT ? names[type] : "unknown";
}

int compression_level_default(enum compression_type type) {
    switch (type) {
    case COMPRESSION_GZIP:
        return COMPRESSION_GZIP_LEVEL_DEFAULT;
    case COMPRESSION_LZ4:
        return COMPRESSION_LZ4_LEVEL_DEFAULT;
    case COMPRESSION_ZSTD:
        return COMPRESSION_ZSTD_LEVEL_DEFAULT;
    case COMPRESSION_NONE:
    case COMPRESSION_SNAPPY:
        break;
    }
    return 0;
}

static void gzip_compress(int level, struct bytes in, struct buffer *out) {
    enum { MEMORY_LEVEL = 8, GZIP_WINDOW_BITS = 15 + 16 };
    z_stream stream = {0};
    out_of_memory_unless(deflateInit2(&stream, level, Z_DEFLATED, GZIP_WINDOW_BITS, MEMORY_LEVEL,
                                      Z_DEFAULT_STRATEGY) == Z_OK);
    size_t bound = deflateBound(&stream, in.size);
    stream.next_in = (Bytef *)(uintptr_t)in.data;
    stream.avail_in = (uInt)in.size;
    stream.next_out = buffer_reserve(out, bound);
    stream.avail_out = (uInt)bound;
    int result = deflate(&stream, Z_FINISH);
    assert(result == Z_STREAM_END);
    (void)buffer_extend(out, bound - stream.avail_out);
    deflateEnd(&stream);
}

static void snappy_compress_blocks(struct bytes in, struct buffer *out) {
    buffer_add(out, xerial_header, XERIAL_HEADER_SIZE);
    for (size_t position = 0; position < in.size; position += SNAPPY_BLOCK_SIZE) {
        size_t size = in.size - position;
        if (size > SNAPPY_BLOCK_SIZE) {
            size = SNAPPY_BLOCK_SIZE;
        }
        size_t written = snappy_max_compressed_length(size);
        uint8_t *start = buffer_reserve(out, 4 + written);
        snappy_status status =
            snappy_compress((const char *)in.data + position, size, (char *)start + 4, &written);
        assert(status == SNAPPY_OK);
        put_be32(start, (uint32_t)written);
        (void)buffer_extend(out, 4 + written);
    }
}

/* Kafka's default level 9 means LZ4's fast mode, every other level the high compression of that
 * level. */
static int lz4_frame_level(int level) {
    if (level == COMPRESSION_LZ4_LEVEL_DEFAULT) {
        return 0;
    }
    return level < LZ4HC_CLEVEL_MIN ? LZ4HC_CLEVEL_MIN : level;
}

static void lz4_compress(int level, struct bytes in, struct buffer *out) {
    LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = lz4_frame_level(level),
    };
    /* A small input would get smaller blocks announced; Kafka always announces 64 KiB, and readers
     * do not mind. */
    size_t bound = LZ4F_compressFrameBound(in.size, &preferences);
    uint8_t *start = buffer_reserve(out, bound);
    size_t size = LZ4F_compressFrame(start, bound, in.data, in.size, &preferences);
    assert(!LZ4F_isError(size));
    (void)buffer_extend(out, size);
}

static void zstd_compress(struct compression *compression, int level, struct bytes in,
                          struct buffer *out) {
    if (compression->zstd_out == NULL) {
        compression->zstd_out = ZSTD_createCCtx();
        out_of_memory_unless(compression->zstd_out != NULL);
    }
    ZSTD_CCtx_setParameter(compression->zstd_out, ZSTD_c_compressionLevel, level);
    size_t bound = ZSTD_compressBound(in.size);
    uint8_t *start = buffer_reserve(out, bound);
    size_t size = ZSTD_compress2(compression->zstd_out, start, bound, in.data, in.size);
    out_of_memory_unless(!ZSTD_isError(size));
    (void)buffer_extend(out, size);
}

void compression_compress(struct compression *compression, enum compression_type type, int level,
                          struct bytes in, struct buffer *out) {
    assert(in.size <= INT32_MAX);
    switch (type) {
    case COMPRESSION_NONE:
        buffer_add(out, in.data, in.size);
        return;
    case COMPRESSION_GZIP:
        gzip_compress(level, in, out);
        return;
    case COMPRESSION_SNAPPY:
        snappy_compress_blocks(in, out);
        return;
    case COMPRESSION_LZ4:
        lz4_compress(level, in, out);
        return;
    case COMPRESSION_ZSTD:
        zstd_compress(compression, level, in, out);
        return;
    }
    assert(!"a codec");
}

err_t decompressor_read_all(struct decompressor *decompressor, struct buffer *out) {
    enum { PIECE = 16 << 10 };
    for (;;) {
        uint8_t *piece = buffer_reserve(out, PIECE);
        size_t size = 0;
        err_t err = decompressor_read(decompressor, piece, PIECE, &size);
        if (err != ERR_OK || size == 0) {
            return err;
        }
        (void)buffer_extend(out, size);
    }
}

err_t compression_decompress(struct compression *compression, enum compression_type type,
                             struct bytes in, size_t size_max, struct buffer *out) {
    size_t before = out->size;
    struct decompressor decompressor;
    err_t err = decompressor_open(&decompressor, compression, type, in, size_max);
    if (err == ERR_OK) {
        err = decompressor_read_all(&decompressor, out);
        decompressor_close(&decompressor);
    }
    if (err != ERR_OK) {
        out->size = before;
    }
    return err;
}
