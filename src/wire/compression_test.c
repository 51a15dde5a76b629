#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "wire/compression_int.h"

static struct compression *compression;

static int set_up(void **state) {
    (void)state;
    compression = compression_new();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    compression_free(compression);
    return 0;
}

static struct bytes bytes_of(const struct buffer *buffer) {
    return buffer_bytes(buffer);
}

/* Half text that repeats, half noise. */
static void fill(struct buffer *out, size_t size) {
    struct rng rng;
    rng_init(&rng, size + 1);
    uint8_t *data = buffer_extend(out, size);
    for (size_t i = 0; i < size; i++) {
        data[i] = i % 64 < 32 ? (uint8_t)('a' + i % 7) : (uint8_t)rng_next(&rng);
    }
}

static void round_trip(enum compression_type type, int level, size_t size) {
    struct buffer in = {0}, packed = {0}, out = {0};
    fill(&in, size);
    buffer_add(&packed, "kept", 4);
    buffer_add(&out, "kept", 4);
    compression_compress(compression, type, level, bytes_of(&in), &packed);
    struct bytes coded = {.data = packed.data + 4, .size = packed.size - 4};
    assert_int_equal(compression_decompress(compression, type, coded, size, &out), ERR_OK);
    assert_int_equal(out.size, 4 + size);
    assert_memory_equal(out.data, "kept", 4);
    assert_memory_equal(out.data + 4, in.data, size);
    buffer_done(&in);
    buffer_done(&packed);
    buffer_done(&out);
}

static void every_codec_and_level_comes_back(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 32768, 32769, 200000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        round_trip(COMPRESSION_NONE, 0, sizes[i]);
        round_trip(COMPRESSION_SNAPPY, 0, sizes[i]);
        for (int level = -1; level <= 9; level++) {
            if (level != 0) {
                round_trip(COMPRESSION_GZIP, level, sizes[i]);
            }
        }
        for (int level = 1; level <= 17; level++) {
            round_trip(COMPRESSION_LZ4, level, sizes[i]);
        }
        for (int level = 1; level <= 22; level += 3) {
            round_trip(COMPRESSION_ZSTD, level, sizes[i]);
        }
        round_trip(COMPRESSION_ZSTD, -131072, sizes[i]);
    }
}

static void a_cut_or_damaged_stream_is_malformed(void **state) {
    (void)state;
    for (int type = COMPRESSION_GZIP; type < COMPRESSION_TYPE_COUNT; type++) {
        struct buffer in = {0}, packed = {0}, out = {0};
        fill(&in, 5000);
        compression_compress(compression, type, compression_level_default(type), bytes_of(&in),
                             &packed);
        for (size_t size = 0; size < packed.size; size++) {
            err_t err = compression_decompress(compression, type,
                                               (struct bytes){.data = packed.data, .size = size},
                                               1 << 20, &out);
            bool block_ends = type == COMPRESSION_SNAPPY && size >= XERIAL_HEADER_SIZE && size < 20;
            assert_int_equal(err, block_ends ? ERR_OK : ERR_MALFORMED);
            assert_int_equal(out.size, 0);
        }
        packed.data[0] ^= 0xff;
        assert_int_equal(
            compression_decompress(compression, type, bytes_of(&packed), 1 << 20, &out),
            ERR_MALFORMED);
        buffer_done(&in);
        buffer_done(&packed);
        buffer_done(&out);
    }
}

/* H3: a batch that expands without bound. 64 MiB of zeros, of which 1 MiB may come out. */
static void h3_a_bomb_stops_at_the_limit(void **state) {
    (void)state;
    enum { SIZE = 64 << 20, LIMIT = 1 << 20 };
    struct buffer zeros = {0};
    memset(buffer_extend(&zeros, SIZE), 0, SIZE);
    for (int type = COMPRESSION_GZIP; type < COMPRESSION_TYPE_COUNT; type++) {
        struct buffer packed = {0}, out = {0};
        compression_compress(compression, type, compression_level_default(type), bytes_of(&zeros),
                             &packed);
        assert_int_equal(compression_decompress(compression, type, bytes_of(&packed), LIMIT, &out),
                         ERR_LIMIT);
        assert_int_equal(out.size, 0);
        assert_true(out.capacity <= 4 * LIMIT);
        buffer_done(&packed);
        buffer_done(&out);
    }
    buffer_done(&zeros);
}

/* H3: snappy's declared length, framed and raw, is not memory until bytes could make it true. */
static void h3_a_snappy_length_is_not_trusted(void **state) {
    (void)state;
    static const uint8_t raw[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 'a'}; /* 4 GiB, it says */
    static const uint8_t framed[] = {0x82, 'S', 'N',  'A',  'P',  'P',  'Y',  0,    0,
                                     0,    0,   1,    0,    0,    0,    1,    0,    0,
                                     0,    7,   0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 'a'};
    uint8_t chunk[sizeof framed];
    memcpy(chunk, framed, sizeof framed);
    memset(chunk + XERIAL_HEADER_SIZE, 0xff, 4); /* the chunk's own length: 4 GiB */
    struct bytes cases[] = {{raw, sizeof raw}, {framed, sizeof framed}, {chunk, sizeof chunk}};
    struct buffer out = {0};
    struct compression *fresh = compression_new();
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            compression_decompress(fresh, COMPRESSION_SNAPPY, cases[i], SIZE_MAX, &out),
            ERR_MALFORMED);
        assert_true(fresh->block.capacity < 4096);
        assert_true(out.capacity < 65536);
    }
    compression_free(fresh);
    buffer_done(&out);
}

static void raw_snappy_is_taken_too(void **state) {
    (void)state;
    static const uint8_t raw[] = {5, 4 << 2, 'h', 'e', 'l', 'l', 'o'};
    struct buffer out = {0};
    assert_int_equal(compression_decompress(compression, COMPRESSION_SNAPPY,
                                            (struct bytes){raw, sizeof raw}, 100, &out),
                     ERR_OK);
    assert_int_equal(out.size, 5);
    assert_memory_equal(out.data, "hello", 5);
    buffer_done(&out);
}

static void streams_in_a_row(enum compression_type type, size_t expected) {
    struct buffer packed = {0}, out = {0};
    struct bytes hello = {(const uint8_t *)"hello", 5};
    compression_compress(compression, type, compression_level_default(type), hello, &packed);
    compression_compress(compression, type, compression_level_default(type), hello, &packed);
    assert_int_equal(compression_decompress(compression, type, bytes_of(&packed), 100, &out),
                     ERR_OK);
    assert_int_equal(out.size, expected);
    assert_memory_equal(out.data, "hellohello", expected);
    buffer_done(&packed);
    buffer_done(&out);
}

static void a_second_stream_is_read_where_java_reads_it(void **state) {
    (void)state;
    streams_in_a_row(COMPRESSION_GZIP, 10);
    streams_in_a_row(COMPRESSION_SNAPPY, 10);
    streams_in_a_row(COMPRESSION_LZ4, 5);
    streams_in_a_row(COMPRESSION_ZSTD, 10);
}

static void what_follows_gzip_is_not_looked_at(void **state) {
    (void)state;
    struct buffer packed = {0}, out = {0};
    compression_compress(compression, COMPRESSION_GZIP, -1,
                         (struct bytes){(const uint8_t *)"hello", 5}, &packed);
    buffer_add(&packed, "tail", 4);
    assert_int_equal(
        compression_decompress(compression, COMPRESSION_GZIP, bytes_of(&packed), 100, &out),
        ERR_OK);
    assert_int_equal(out.size, 5);
    buffer_done(&packed);
    buffer_done(&out);
}

static void dependent_lz4_blocks_are_refused(void **state) {
    (void)state;
    struct buffer in = {0}, out = {0};
    fill(&in, 200000);
    LZ4F_preferences_t linked = {.frameInfo = {.blockMode = LZ4F_blockLinked}};
    size_t bound = LZ4F_compressFrameBound(in.size, &linked);
    uint8_t *packed = malloc(bound);
    size_t size = LZ4F_compressFrame(packed, bound, in.data, in.size, &linked);
    assert_int_equal(compression_decompress(compression, COMPRESSION_LZ4,
                                            (struct bytes){packed, size}, 1 << 20, &out),
                     ERR_MALFORMED);
    free(packed);
    buffer_done(&in);
    buffer_done(&out);
}

static void names_and_levels(void **state) {
    (void)state;
    assert_string_equal(compression_name(COMPRESSION_NONE), "none");
    assert_string_equal(compression_name(COMPRESSION_ZSTD), "zstd");
    assert_string_equal(compression_name((enum compression_type)6), "unknown");
    assert_int_equal(compression_level_default(COMPRESSION_LZ4), 9);
    assert_int_equal(compression_level_default(COMPRESSION_SNAPPY), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec_and_level_comes_back),
        cmocka_unit_test(a_cut_or_damaged_stream_is_malformed),
        cmocka_unit_test(h3_a_bomb_stops_at_the_limit),
        cmocka_unit_test(h3_a_snappy_length_is_not_trusted),
        cmocka_unit_test(raw_snappy_is_taken_too),
        cmocka_unit_test(a_second_stream_is_read_where_java_reads_it),
        cmocka_unit_test(what_follows_gzip_is_not_looked_at),
        cmocka_unit_test(dependent_lz4_blocks_are_refused),
        cmocka_unit_test(names_and_levels),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
