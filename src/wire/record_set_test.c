/* The checks of produced batches, one row per refusal. That they are Kafka's own is compared in
 * tests/compat/test_records.py, on thousands of batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "wire/batch_builder.h"
#include "wire/record_set.h"

static const int64_t now_ms = 1700000000000;

struct fixture {
    struct compression *compression;
    struct arena arena;
    struct buffer in;
    struct buffer out;
    struct record_set_rules rules;
    struct record_set_result result;
    struct record_set_refusal refusal;
};

static struct bytes text(const char *s) {
    return (struct bytes){.data = (const uint8_t *)s, .size = strlen(s)};
}

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    f->compression = compression_new();
    arena_init(&f->arena, SIZE_MAX);
    f->rules = (struct record_set_rules){
        .partition = STR("topic-3"),
        .keep_compression = true,
        .gzip_level = -1,
        .lz4_level = 9,
        .zstd_level = 3,
        .timestamp_before_ms_max = INT64_MAX,
        .timestamp_after_ms_max = 3600000,
        .message_size_max = 1048588,
        .segment_size_max = 1 << 30,
        .decompressed_size_max = RECORD_SET_DECOMPRESSED_MAX,
    };
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    compression_free(f->compression);
    arena_done(&f->arena);
    buffer_done(&f->in);
    buffer_done(&f->out);
    free(f);
    return 0;
}

/* Three records at now, now + 1, now + 2; the last one without a key. */
static void build(struct fixture *f, enum compression_type type) {
    struct batch_builder builder;
    struct batch_options options = {BATCH_OPTIONS_DEFAULT, .compression = type,
                                    .level = compression_level_default(type)};
    buffer_clear(&f->in);
    batch_builder_init(&builder, &f->in, &options);
    batch_builder_add(&builder, now_ms, text("a"), text("value value value"), NULL, 0);
    batch_builder_add(&builder, now_ms + 1, text("b"), text("value value value"), NULL, 0);
    batch_builder_add(&builder, now_ms + 2, (struct bytes){.data = NULL}, text("v"), NULL, 0);
    batch_builder_finish(&builder, f->compression);
}

static void seal(struct fixture *f) {
    put_be32(f->in.data + RECORD_BATCH_CRC, record_batch_crc_compute(f->in.data, f->in.size));
}

static err_t validate(struct fixture *f) {
    return record_set_validate(&f->rules, f->in.data, f->in.size, now_ms, f->compression, &f->out,
                               &f->arena, &f->result, &f->refusal);
}

static void a_good_batch_stays_in_place(void **state) {
    struct fixture *f = *state;
    for (int type = 0; type < COMPRESSION_TYPE_COUNT; type++) {
        build(f, type);
        struct buffer before = {0};
        buffer_add(&before, f->in.data, f->in.size);
        assert_int_equal(record_set_check_request(9, buffer_bytes(&f->in)), ERR_OK);
        assert_false(record_set_needs_recompression(&f->rules, buffer_bytes(&f->in)));
        assert_int_equal(record_set_needs_decompression(buffer_bytes(&f->in)), type != 0);
        assert_int_equal(validate(f), ERR_OK);
        assert_ptr_equal(f->result.records, f->in.data);
        assert_int_equal(f->result.size, f->in.size);
        assert_memory_equal(f->in.data, before.data, before.size);
        assert_int_equal(f->result.record_count, 3);
        assert_int_equal(f->result.max_timestamp, now_ms + 2);
        assert_int_equal(f->result.log_append_time_ms, RECORD_NO_TIMESTAMP);
        assert_false(f->result.recompressed);
        buffer_done(&before);
    }
}

static void a_request_is_looked_at_first(void **state) {
    struct fixture *f = *state;
    build(f, COMPRESSION_ZSTD);
    struct bytes none = {.data = f->in.data, .size = 0};
    struct bytes cut = {.data = f->in.data, .size = f->in.size - 1};
    assert_int_equal(record_set_check_request(9, none), ERR_INVALID_RECORD);
    assert_int_equal(record_set_check_request(9, cut), ERR_INVALID_RECORD);
    assert_int_equal(record_set_check_request(6, buffer_bytes(&f->in)),
                     ERR_UNSUPPORTED_COMPRESSION_TYPE);
    assert_int_equal(record_set_check_request(7, buffer_bytes(&f->in)), ERR_OK);

    buffer_add(&f->in, "\0\0\0\0\0\0\0\0\0", 9); /* a cut second one is not seen */
    assert_int_equal(record_set_check_request(9, buffer_bytes(&f->in)), ERR_OK);
    build(f, COMPRESSION_NONE);
    size_t size = f->in.size;
    uint8_t *copy = malloc(size);
    memcpy(copy, f->in.data, size);
    buffer_add(&f->in, copy, size);
    free(copy);
    assert_int_equal(record_set_check_request(9, buffer_bytes(&f->in)), ERR_INVALID_RECORD);
    f->in.data[size + RECORD_BATCH_MAGIC] = 9;
    assert_int_equal(record_set_check_request(9, buffer_bytes(&f->in)), ERR_CORRUPT_MESSAGE);
    for (int magic = 0; magic < 2; magic++) {
        f->in.data[RECORD_BATCH_MAGIC] = (uint8_t)magic;
        assert_int_equal(record_set_check_request(3, buffer_bytes(&f->in)), ERR_INVALID_RECORD);
        assert_int_equal(validate(f), ERR_INVALID_RECORD);
    }
    put_be32(f->in.data + RECORD_BATCH_LENGTH, (uint32_t)-7);
    assert_int_equal(record_set_check_request(3, buffer_bytes(&f->in)), ERR_CORRUPT_MESSAGE);
    assert_int_equal(validate(f), ERR_CORRUPT_MESSAGE);
}

static void put32(struct fixture *f, size_t at, int32_t value) {
    put_be32(f->in.data + at, (uint32_t)value);
}

static void headers_that_are_refused(void **state) {
    struct fixture *f = *state;
    static const struct {
        size_t field;
        int32_t value;
    } rows[] = {
        {RECORD_BATCH_RECORD_COUNT, 0},
        {RECORD_BATCH_RECORD_COUNT, -1},
        {RECORD_BATCH_RECORD_COUNT, 2},
        {RECORD_BATCH_RECORD_COUNT, INT32_MAX},
        {RECORD_BATCH_LAST_OFFSET_DELTA, -1},
        {RECORD_BATCH_LAST_OFFSET_DELTA, 5},
        {RECORD_BATCH_LAST_OFFSET_DELTA, INT32_MAX},
        {RECORD_BATCH_LAST_OFFSET_DELTA, INT32_MIN},
        {RECORD_BATCH_PRODUCER_ID, 0}, /* a producer without a sequence */
        {RECORD_BATCH_BASE_OFFSET + 4, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        build(f, COMPRESSION_NONE);
        put32(f, rows[i].field, rows[i].value);
        seal(f);
        assert_int_equal(validate(f), ERR_INVALID_RECORD);
        assert_null(f->refusal.message.data);
        assert_int_equal(f->refusal.error_count, 0);
        assert_int_equal(f->refusal.fault, rows[i].field == RECORD_BATCH_BASE_OFFSET + 4
                                               ? RECORD_SET_FAULT_NONE
                                               : RECORD_SET_FAULT_NUMBERS);
    }
    build(f, COMPRESSION_NONE);
    put_be16(f->in.data + RECORD_BATCH_ATTRIBUTES, RECORD_BATCH_CONTROL);
    seal(f);
    assert_int_equal(validate(f), ERR_INVALID_RECORD);
    f->rules.origin = RECORD_SET_COORDINATOR;
    assert_int_equal(validate(f), ERR_OK);
}

/* A coordinator's step may need several batches: in place, or all of them compressed. */
static void batches_of_a_coordinator(void **state) {
    struct fixture *f = *state;
    build(f, COMPRESSION_NONE);
    struct buffer one = {0};
    buffer_add(&one, f->in.data, f->in.size);
    buffer_add(&f->in, one.data, one.size);
    assert_int_equal(validate(f), ERR_INVALID_RECORD);
    f->rules.origin = RECORD_SET_COORDINATOR;
    assert_int_equal(validate(f), ERR_OK);
    assert_int_equal(f->result.size, 2 * one.size);
    assert_int_equal(f->result.record_count, 2 * record_batch_record_count(one.data));
    assert_ptr_equal(f->result.records, f->in.data);
    f->rules.keep_compression = false;
    f->rules.compression = COMPRESSION_GZIP;
    assert_int_equal(validate(f), ERR_OK);
    assert_true(f->result.recompressed);
    assert_int_equal(f->result.record_count, 2 * record_batch_record_count(one.data));
    struct bytes run = {.data = f->result.records, .size = f->result.size};
    struct record_batch batch;
    size_t position = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(record_batch_next(run, &position, &batch), ERR_OK);
        assert_int_equal(record_batch_compression(batch.data), COMPRESSION_GZIP);
    }
    assert_int_equal(position, run.size);
    f->in.data[f->in.size - 1] ^= 1;
    assert_int_equal(validate(f), ERR_CORRUPT_MESSAGE);
    buffer_done(&one);
}

static void sizes_and_checksum(void **state) {
    struct fixture *f = *state;
    build(f, COMPRESSION_NONE);
    f->in.data[f->in.size - 1] ^= 1;
    assert_int_equal(validate(f), ERR_CORRUPT_MESSAGE);
    assert_int_equal(f->refusal.fault, RECORD_SET_FAULT_CHECKSUM);
    f->rules.message_size_max = (int32_t)f->in.size - 1;
    assert_int_equal(validate(f), ERR_MESSAGE_TOO_LARGE); /* before the checksum */
    f->rules.message_size_max++;
    seal(f);
    f->in.data[f->in.size - 1] ^= 1;
    seal(f);
    f->rules.segment_size_max = (int32_t)f->in.size - 1;
    assert_int_equal(validate(f), ERR_RECORD_LIST_TOO_LARGE);
    f->rules.segment_size_max++;
    assert_int_equal(validate(f), ERR_OK);
}

static void records_that_cannot_be_read(void **state) {
    struct fixture *f = *state;
    build(f, COMPRESSION_NONE);
    f->in.data[RECORD_BATCH_HEADER_SIZE] += 2; /* the first record's length */
    seal(f);
    assert_int_equal(validate(f), ERR_INVALID_RECORD);

    build(f, COMPRESSION_NONE);
    buffer_add(&f->in, "tail", 4);
    put32(f, RECORD_BATCH_LENGTH, (int32_t)f->in.size - RECORD_BATCH_OVERHEAD);
    seal(f);
    assert_int_equal(validate(f), ERR_INVALID_RECORD);

    for (int type = COMPRESSION_GZIP; type < COMPRESSION_TYPE_COUNT; type++) {
        build(f, type);
        f->in.data[RECORD_BATCH_HEADER_SIZE + 1] ^= 0xff;
        seal(f);
        assert_int_equal(validate(f), ERR_INVALID_RECORD);
    }
    build(f, COMPRESSION_NONE);
    put_be16(f->in.data + RECORD_BATCH_ATTRIBUTES, 5);
    seal(f);
    assert_int_equal(validate(f), ERR_UNSUPPORTED_COMPRESSION_TYPE);
}

static void offset_deltas_must_count_up(void **state) {
    struct fixture *f = *state;
    enum { SECOND_DELTA = RECORD_BATCH_HEADER_SIZE + 25 + 3 };
    build(f, COMPRESSION_NONE);
    assert_int_equal(f->in.data[SECOND_DELTA], 2); /* zigzag of 1 */
    f->in.data[SECOND_DELTA] = 4;
    seal(f);
    assert_int_equal(validate(f), ERR_INVALID_RECORD);
    f->in.data[SECOND_DELTA] = 0;
    seal(f);
    assert_int_equal(validate(f), ERR_INVALID_RECORD);
}

static void timestamps_out_of_bounds(void **state) {
    struct fixture *f = *state;
    f->rules.timestamp_after_ms_max = 0;
    build(f, COMPRESSION_NONE);
    assert_int_equal(validate(f), ERR_INVALID_TIMESTAMP);
    assert_true(str_equal(f->refusal.message,
                          STR("One or more records have been rejected due to invalid timestamp")));
    assert_int_equal(f->refusal.error_count, 2);
    assert_int_equal(f->refusal.errors[0].record_index, 1);
    assert_true(str_equal(
        f->refusal.errors[0].message,
        STR("Timestamp 1700000000001 of message with offset 1 is out of range. The timestamp "
            "should be within [-9223370336854775807, 1700000000000]")));
}

static void compacted_topics_need_keys(void **state) {
    struct fixture *f = *state;
    f->rules.compacted = true;
    build(f, COMPRESSION_LZ4);
    assert_int_equal(validate(f), ERR_INVALID_RECORD);
    assert_int_equal(f->refusal.error_count, 1);
    assert_int_equal(f->refusal.fault, RECORD_SET_FAULT_NO_KEY);
    assert_int_equal(f->refusal.fault_count, 1);
    assert_int_equal(f->refusal.errors[0].record_index, 2);
    assert_true(str_equal(f->refusal.errors[0].message,
                          STR("Compacted topic cannot accept message without key in topic "
                              "partition topic-3")));
    assert_true(str_equal(
        f->refusal.message,
        STR("One or more records have been rejected due to 1 record errors in total, and only "
            "showing the first three errors at most: [RecordError(batchIndex=2, "
            "message='Compacted topic cannot accept message without key in topic partition "
            "topic-3')]")));
}

static void log_append_time_rewrites_the_head(void **state) {
    struct fixture *f = *state;
    f->rules.log_append_time = true;
    for (int type = 0; type < COMPRESSION_TYPE_COUNT; type++) {
        build(f, type);
        assert_int_equal(validate(f), ERR_OK);
        assert_true(record_batch_has_log_append_time(f->in.data));
        assert_int_equal(record_batch_max_timestamp(f->in.data), now_ms);
        assert_true(record_batch_crc_matches(f->in.data, f->in.size));
        assert_int_equal(f->result.log_append_time_ms, now_ms);
        assert_int_equal(f->result.max_timestamp, now_ms);
    }
    assert_int_equal(validate(f), ERR_INVALID_TIMESTAMP); /* it claims log append time now */
}

static void a_wrong_max_timestamp_is_set_right(void **state) {
    struct fixture *f = *state;
    build(f, COMPRESSION_SNAPPY);
    put_be64(f->in.data + RECORD_BATCH_MAX_TIMESTAMP, 12);
    put_be16(f->in.data + RECORD_BATCH_ATTRIBUTES, 0x7100 | COMPRESSION_SNAPPY);
    seal(f);
    assert_int_equal(validate(f), ERR_OK);
    assert_int_equal(record_batch_max_timestamp(f->in.data), now_ms + 2);
    assert_int_equal(record_batch_attributes(f->in.data), 0x7100 | COMPRESSION_SNAPPY);
    assert_true(record_batch_crc_matches(f->in.data, f->in.size));
}

static void compression_type_recompresses(void **state) {
    struct fixture *f = *state;
    f->rules.keep_compression = false;
    for (int source = 0; source < COMPRESSION_TYPE_COUNT; source++) {
        for (int target = 0; target < COMPRESSION_TYPE_COUNT; target++) {
            f->rules.compression = target;
            build(f, source);
            assert_int_equal(record_set_needs_recompression(&f->rules, buffer_bytes(&f->in)),
                             source != target);
            assert_int_equal(validate(f), ERR_OK);
            assert_int_equal(f->result.recompressed, source != target);
            assert_int_equal(record_batch_compression(f->result.records), target);
            assert_true(record_batch_crc_matches(f->result.records, f->result.size));
            assert_int_equal(record_batch_length(f->result.records),
                             f->result.size - RECORD_BATCH_OVERHEAD);
            struct buffer scratch = {0};
            struct record_iter iter;
            struct record record;
            assert_int_equal(record_iter_init(&iter, f->result.records, f->result.size,
                                              f->compression, &scratch, 4096),
                             ERR_OK);
            for (int i = 0; i < 3; i++) {
                assert_int_equal(record_iter_next(&iter, &record), ERR_OK);
                assert_int_equal(record.timestamp, now_ms + i);
            }
            buffer_done(&scratch);
        }
    }
    f->rules.compression = COMPRESSION_NONE; /* grows beyond the limit when decompressed */
    build(f, COMPRESSION_ZSTD);
    f->rules.message_size_max = (int32_t)f->in.size;
    assert_int_equal(validate(f), ERR_MESSAGE_TOO_LARGE);
    assert_int_equal(f->refusal.error_count, 0);
}

/* Packs one record whose value is `size` zeros, without ever being a valid batch for less. */
static void build_bomb(struct fixture *f, enum compression_type type, size_t size) {
    struct batch_builder builder;
    struct batch_options options = {BATCH_OPTIONS_DEFAULT, .compression = type,
                                    .level = compression_level_default(type)};
    uint8_t *zeros = calloc(1, size);
    buffer_clear(&f->in);
    batch_builder_init(&builder, &f->in, &options);
    batch_builder_add(&builder, now_ms, text("k"), (struct bytes){zeros, size}, NULL, 0);
    batch_builder_finish(&builder, f->compression);
    free(zeros);
}

/* H3: a batch that expands without bound is stopped, and while it is checked it costs a window. */
static void h3_a_bomb_is_too_large(void **state) {
    struct fixture *f = *state;
    f->rules.decompressed_size_max = 1 << 20;
    f->rules.message_size_max = INT32_MAX;
    for (int type = COMPRESSION_GZIP; type < COMPRESSION_TYPE_COUNT; type++) {
        for (int recompress = 0; recompress < 2; recompress++) {
            f->rules.keep_compression = !recompress;
            build_bomb(f, type, 32 << 20);
            assert_int_equal(validate(f), ERR_MESSAGE_TOO_LARGE);
        }
        f->rules.keep_compression = true;
        build_bomb(f, type, (1 << 20) - 1000);
        assert_int_equal(validate(f), ERR_OK);
    }
    assert_true(f->out.capacity < 2 << 20);
}

/* H1, H2: many small things wrong in one batch are not many messages. */
static void h2_errors_of_records_are_bounded(void **state) {
    struct fixture *f = *state;
    struct batch_builder builder;
    buffer_clear(&f->in);
    batch_builder_init(&builder, &f->in, &(struct batch_options){BATCH_OPTIONS_DEFAULT});
    for (int i = 0; i < 100000; i++) {
        batch_builder_add(&builder, now_ms, (struct bytes){.data = NULL},
                          (struct bytes){.data = NULL}, NULL, 0);
    }
    batch_builder_finish(&builder, NULL);
    f->rules.compacted = true;
    f->rules.message_size_max = INT32_MAX;
    assert_int_equal(validate(f), ERR_INVALID_RECORD);
    assert_int_equal(f->refusal.error_count, RECORD_ERRORS_MAX);
    assert_non_null(strstr(f->refusal.message.data, "due to 100000 record errors in total"));
    assert_true(f->arena.used < 512 << 10);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_good_batch_stays_in_place),
        TEST(a_request_is_looked_at_first),
        TEST(headers_that_are_refused),
        TEST(sizes_and_checksum),
        TEST(batches_of_a_coordinator),
        TEST(records_that_cannot_be_read),
        TEST(offset_deltas_must_count_up),
        TEST(timestamps_out_of_bounds),
        TEST(compacted_topics_need_keys),
        TEST(log_append_time_rewrites_the_head),
        TEST(a_wrong_max_timestamp_is_set_right),
        TEST(compression_type_recompresses),
        TEST(h3_a_bomb_is_too_large),
        TEST(h2_errors_of_records_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
