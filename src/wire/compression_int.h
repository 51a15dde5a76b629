#pragma once

#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include "wire/compression.h"

/*
 * Everything the codecs keep between calls. All parts are made when first used.
 *
 * Bounds of what decompression may take, whatever the data says: gzip 32 KiB; lz4 twice its block
 * size, at most 8 MiB; snappy SNAPPY_EXPANSION_MAX times its input; zstd a window of
 * 2^ZSTD_WINDOW_LOG_MAX, of which only what is filled becomes resident, and which is given back
 * after use when it is above ZSTD_KEEP_MAX.
 */
enum {
    ZSTD_WINDOW_LOG_MAX = 27, /* what level 22 uses, and the limit of the Java client's reader */
    ZSTD_KEEP_MAX = 16 << 20,

    /* Three bytes of a snappy stream make 64 at most. */
    SNAPPY_EXPANSION_MAX = 22,
    SNAPPY_BLOCK_SIZE = 32 << 10, /* what the Java client writes */

    XERIAL_HEADER_SIZE = 16,
};

extern const uint8_t xerial_header[XERIAL_HEADER_SIZE];

struct compression {
    z_stream inflate;
    bool inflate_ready;
    LZ4F_dctx *lz4;
    ZSTD_DCtx *zstd_in;
    ZSTD_CCtx *zstd_out;
    struct buffer block; /* snappy: the block that is being handed out */
};
