#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/err.h"

/*
 * The codecs of record batches: gzip, snappy in xerial's framing, LZ4 frames, zstd.
 *
 * A `struct compression` holds the libraries' contexts and the scratch memory of all codecs, made
 * when first needed. One thread uses it at a time: a reactor or a worker has one of its own. At
 * most one decompressor is open on it.
 *
 * Lengths inside compressed data are never trusted: memory grows with bytes that were really
 * produced, and stops at the limit that the caller gives.
 */
struct compression;

/* The numbers are those of a batch's attributes. */
enum compression_type {
    COMPRESSION_NONE = 0,
    COMPRESSION_GZIP = 1,
    COMPRESSION_SNAPPY = 2,
    COMPRESSION_LZ4 = 3,
    COMPRESSION_ZSTD = 4,
};
enum { COMPRESSION_TYPE_COUNT = 5 };

/* Kafka's defaults. gzip's -1 is zlib's own (6). Snappy has no levels. */
enum {
    COMPRESSION_GZIP_LEVEL_DEFAULT = -1,
    COMPRESSION_LZ4_LEVEL_DEFAULT = 9,
    COMPRESSION_ZSTD_LEVEL_DEFAULT = 3,
};

struct compression *compression_new(void);
void compression_free(struct compression *compression); /* accepts NULL */

const char *compression_name(enum compression_type type); /* "none", "gzip", ... */
int compression_level_default(enum compression_type type);

/* Appends the compressed form to `out`. The level must be one that Kafka's configs allow.
 * COMPRESSION_NONE copies. */
void compression_compress(struct compression *compression, enum compression_type type, int level,
                          struct bytes in, struct buffer *out);

/* Appends what `in` decompresses to. MALFORMED when it is not such data, or is cut short; LIMIT
 * when there is more than size_max. On failure `out` is as it was. */
err_t compression_decompress(struct compression *compression, enum compression_type type,
                             struct bytes in, size_t size_max, struct buffer *out);

/*
 * Decompression piece by piece, in memory that does not depend on what the data claims.
 */
struct decompressor {
    struct compression *compression;
    enum compression_type type;
    const uint8_t *in; /* what is not consumed yet */
    size_t in_size;
    size_t out_left; /* of the limit */
    bool ended;
    bool lz4_header_unchecked;
    bool xerial;          /* snappy: framed */
    const uint8_t *block; /* snappy: what is not handed out of the current block */
    size_t block_size;
};

/* MALFORMED when the start is wrong already. `in` must stay. */
err_t decompressor_open(struct decompressor *decompressor, struct compression *compression,
                        enum compression_type type, struct bytes in, size_t size_max);

/* The same for what messages of magic 0 hold: their writers computed the checksum of LZ4's header
 * wrongly. */
err_t decompressor_open_magic_0(struct decompressor *decompressor, struct compression *compression,
                                enum compression_type type, struct bytes in, size_t size_max);

/* Gives up to `size` bytes, at least one; *ret_size 0 is the end. LIMIT, MALFORMED as above. */
err_t decompressor_read(struct decompressor *decompressor, void *data, size_t size,
                        size_t *ret_size);

/* Appends all that is left. On failure some may have been appended. */
err_t decompressor_read_all(struct decompressor *decompressor, struct buffer *out);

/* Gives back what was large. Only for one that was opened. */
void decompressor_close(struct decompressor *decompressor);
