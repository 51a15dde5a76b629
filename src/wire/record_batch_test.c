#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/varint.h"
#include "wire/batch_builder.h"

static const struct bytes no_bytes = {.data = NULL};

static struct bytes text(const char *s) {
    return (struct bytes){.data = (const uint8_t *)s, .size = strlen(s)};
}

static void build(struct buffer *out, int64_t base_offset, int count) {
    struct batch_builder builder;
    batch_builder_init(&builder, out,
                       &(struct batch_options){BATCH_OPTIONS_DEFAULT, .base_offset = base_offset});
    for (int i = 0; i < count; i++) {
        batch_builder_add(&builder, 1000 + i, text("key"), text("value"), NULL, 0);
    }
    batch_builder_finish(&builder, NULL);
}

static void a_run_is_walked(void **state) {
    (void)state;
    struct buffer run = {0};
    build(&run, 10, 3);
    build(&run, 13, 1);
    struct record_batch batch;
    size_t position = 0;
    assert_int_equal(record_batch_next(buffer_bytes(&run), &position, &batch), ERR_OK);
    assert_int_equal(record_batch_base_offset(batch.data), 10);
    assert_int_equal(record_batch_last_offset(batch.data), 12);
    assert_int_equal(record_batch_max_timestamp(batch.data), 1002);
    assert_true(record_batch_crc_matches(batch.data, batch.size));
    assert_int_equal(position, batch.size);
    assert_int_equal(record_batch_next(buffer_bytes(&run), &position, &batch), ERR_OK);
    assert_int_equal(record_batch_base_offset(batch.data), 13);
    assert_int_equal(record_batch_next(buffer_bytes(&run), &position, &batch), ERR_NOT_FOUND);
    buffer_done(&run);
}

/* H15: a length, negative or huge, is not followed. */
static void h15_a_length_is_not_trusted(void **state) {
    (void)state;
    struct buffer run = {0};
    build(&run, 0, 1);
    struct record_batch batch;
    size_t position = 0;
    for (size_t size = 1; size < run.size; size++) {
        struct bytes cut = {.data = run.data, .size = size};
        assert_int_equal(record_batch_next(cut, &position, &batch), ERR_LIMIT);
    }
    static const struct {
        uint32_t length;
        err_t err;
    } rows[] = {{0xffffffff, ERR_CORRUPT}, {0x80000000, ERR_CORRUPT}, {0, ERR_CORRUPT},
                {48, ERR_CORRUPT},         {0x7fffffff, ERR_LIMIT},   {49, ERR_OK}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put_be32(run.data + RECORD_BATCH_LENGTH, rows[i].length);
        position = 0;
        assert_int_equal(record_batch_next(buffer_bytes(&run), &position, &batch), rows[i].err);
    }
    run.data[RECORD_BATCH_MAGIC] = 3;
    position = 0;
    assert_int_equal(record_batch_next(buffer_bytes(&run), &position, &batch), ERR_CORRUPT);
    buffer_done(&run);
}

static void patching_the_head_keeps_the_crc(void **state) {
    (void)state;
    struct buffer run = {0};
    build(&run, 0, 2);
    record_batch_set_base_offset(run.data, INT64_MAX - 1);
    record_batch_set_leader_epoch(run.data, 77);
    assert_true(record_batch_crc_matches(run.data, run.size));
    assert_int_equal(record_batch_last_offset(run.data), INT64_MAX);
    assert_int_equal(record_batch_leader_epoch(run.data), 77);
    buffer_done(&run);
}

static void times_are_set_with_the_crc(void **state) {
    (void)state;
    struct buffer run = {0};
    build(&run, 0, 2);
    put_be16(run.data + RECORD_BATCH_ATTRIBUTES, 0x4100); /* bits nobody knows */
    record_batch_set_log_append_time(run.data, run.size, 5555);
    assert_true(record_batch_crc_matches(run.data, run.size));
    assert_int_equal(record_batch_attributes(run.data), 0x4100 | RECORD_BATCH_LOG_APPEND_TIME);
    assert_int_equal(record_batch_max_timestamp(run.data), 5555);
    record_batch_set_max_timestamp(run.data, run.size, 1001);
    assert_true(record_batch_crc_matches(run.data, run.size));
    assert_int_equal(record_batch_attributes(run.data), 0x4100);
    assert_int_equal(record_batch_max_timestamp(run.data), 1001);
    buffer_done(&run);
}

static void sequences_run_over(void **state) {
    (void)state;
    uint8_t batch[RECORD_BATCH_HEADER_SIZE] = {0};
    put_be32(batch + RECORD_BATCH_LAST_OFFSET_DELTA, 5);
    put_be32(batch + RECORD_BATCH_BASE_SEQUENCE, INT32_MAX - 1);
    assert_int_equal(record_batch_last_sequence(batch), 3);
    put_be32(batch + RECORD_BATCH_BASE_SEQUENCE, 7);
    assert_int_equal(record_batch_last_sequence(batch), 12);
    put_be32(batch + RECORD_BATCH_BASE_SEQUENCE, (uint32_t)RECORD_NO_SEQUENCE);
    assert_int_equal(record_batch_last_sequence(batch), RECORD_NO_SEQUENCE);
}

static void records_come_back_from_every_codec(void **state) {
    (void)state;
    struct compression *compression = compression_new();
    for (int type = 0; type < COMPRESSION_TYPE_COUNT; type++) {
        struct buffer out = {0}, scratch = {0};
        struct record_header headers[] = {{STR("h"), text("1")}, {STR(""), no_bytes}};
        struct batch_builder builder;
        struct batch_options options = {BATCH_OPTIONS_DEFAULT, .base_offset = 100,
                                        .compression = type,
                                        .level = compression_level_default(type)};
        batch_builder_init(&builder, &out, &options);
        batch_builder_add(&builder, 50, text("k"), no_bytes, NULL, 0);
        batch_builder_add_at(&builder, 5, 20, no_bytes, text("v"), headers, 2);
        assert_int_equal(batch_builder_size(&builder), out.size);
        batch_builder_finish(&builder, compression);

        struct record_iter iter;
        struct record record;
        assert_int_equal(record_iter_init(&iter, out.data, out.size, compression, &scratch, 4096),
                         ERR_OK);
        assert_int_equal(record_iter_next(&iter, &record), ERR_OK);
        assert_int_equal(record.offset, 100);
        assert_int_equal(record.timestamp, 50);
        assert_null(record.value.data);
        assert_int_equal(record_iter_next(&iter, &record), ERR_OK);
        assert_int_equal(record.offset, 105);
        assert_int_equal(record.timestamp, 20);
        assert_null(record.key.data);
        assert_int_equal(record.header_count, 2);
        struct record_header header;
        size_t position = 0;
        record_header_next(&record, &position, &header);
        assert_true(str_equal(header.key, STR("h")));
        record_header_next(&record, &position, &header);
        assert_null(header.value.data);
        assert_int_equal(record_iter_next(&iter, &record), ERR_NOT_FOUND);
        assert_int_equal(record_batch_max_timestamp(out.data), 50);
        buffer_done(&out);
        buffer_done(&scratch);
    }
    compression_free(compression);
}

/* Each row is one record's bytes, with one thing wrong. */
static void damaged_records_are_malformed(void **state) {
    (void)state;
    static const struct {
        const char *what;
        uint8_t bytes[16];
        size_t size;
    } rows[] = {
        {"good: null key, empty value", {12, 0, 0, 0, 1, 0, 0}, 7},
        {"negative length", {1, 0, 0, 0, 1, 0, 0}, 7},
        {"length beyond the end", {14, 0, 0, 0, 1, 0, 0}, 7},
        {"length shorter than content", {10, 0, 0, 0, 1, 0, 0}, 7},
        {"nothing in it", {0}, 1},
        {"attributes only", {2, 0}, 2},
        {"key beyond the record", {12, 0, 0, 0, 40, 0, 0}, 7},
        {"value beyond the record", {12, 0, 0, 0, 1, 40, 0}, 7},
        {"negative header count", {12, 0, 0, 0, 1, 0, 1}, 7},
        {"header count without headers", {12, 0, 0, 0, 1, 0, 2}, 7},
        {"null header key", {16, 0, 0, 0, 1, 0, 2, 1, 1}, 9},
        {"varint that does not end", {16, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9},
    };
    uint8_t batch[RECORD_BATCH_HEADER_SIZE] = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct record record;
        size_t position = 0;
        err_t err =
            record_read((struct bytes){rows[i].bytes, rows[i].size}, &position, batch, &record);
        if (err != (i == 0 ? ERR_OK : ERR_MALFORMED)) {
            fail_msg("%s: %s", rows[i].what, err_name(err));
        }
        assert_int_equal(position, i == 0 ? rows[i].size : 0);
    }
}

/* H1: a count of records or headers costs nothing until the bytes are there. */
static void h1_counts_are_not_trusted(void **state) {
    (void)state;
    struct buffer out = {0};
    build(&out, 0, 1);
    put_be32(out.data + RECORD_BATCH_RECORD_COUNT, INT32_MAX);
    struct record_iter iter;
    struct record record;
    assert_int_equal(record_iter_init(&iter, out.data, out.size, NULL, NULL, 0), ERR_OK);
    assert_int_equal(record_iter_next(&iter, &record), ERR_OK);
    assert_int_equal(record_iter_next(&iter, &record), ERR_MALFORMED);
    put_be32(out.data + RECORD_BATCH_RECORD_COUNT, (uint32_t)-1);
    assert_int_equal(record_iter_init(&iter, out.data, out.size, NULL, NULL, 0), ERR_MALFORMED);
    put_be32(out.data + RECORD_BATCH_RECORD_COUNT, 1);
    buffer_add(&out, "x", 1); /* bytes behind the last record */
    assert_int_equal(record_iter_init(&iter, out.data, out.size, NULL, NULL, 0), ERR_OK);
    assert_int_equal(record_iter_next(&iter, &record), ERR_MALFORMED);
    put_be16(out.data + RECORD_BATCH_ATTRIBUTES, 6);
    assert_int_equal(record_iter_init(&iter, out.data, out.size, NULL, NULL, 0), ERR_UNSUPPORTED);
    buffer_done(&out);

    uint8_t batch[RECORD_BATCH_HEADER_SIZE] = {0};
    uint8_t many[] = {22, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0}; /* 2^31 - 1 headers */
    size_t position = 0;
    assert_int_equal(record_read((struct bytes){many, sizeof many}, &position, batch, &record),
                     ERR_MALFORMED);
}

static void control_keys(void **state) {
    (void)state;
    struct buffer out = {0};
    batch_build_control(
        &out,
        &(struct batch_options){BATCH_OPTIONS_DEFAULT, .attributes = RECORD_BATCH_TRANSACTIONAL},
        77, CONTROL_RECORD_COMMIT, text("abc"));
    assert_int_equal(record_batch_attributes(out.data), 0x30);
    struct record_iter iter;
    struct record record;
    int16_t type;
    assert_int_equal(record_iter_init(&iter, out.data, out.size, NULL, NULL, 0), ERR_OK);
    assert_int_equal(record_iter_next(&iter, &record), ERR_OK);
    assert_int_equal(control_record_key_read(record.key, &type), ERR_OK);
    assert_int_equal(type, CONTROL_RECORD_COMMIT);
    buffer_done(&out);

    static const uint8_t newer[] = {0, 1, 0, 99, 5};
    assert_int_equal(control_record_key_read((struct bytes){newer, sizeof newer}, &type), ERR_OK);
    assert_int_equal(type, 99);
    static const uint8_t negative[] = {0xff, 0xff, 0, 0};
    assert_int_equal(control_record_key_read((struct bytes){negative, 4}, &type), ERR_MALFORMED);
    assert_int_equal(control_record_key_read((struct bytes){negative, 3}, &type), ERR_MALFORMED);
    assert_int_equal(control_record_key_read(no_bytes, &type), ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_walked),
        cmocka_unit_test(h15_a_length_is_not_trusted),
        cmocka_unit_test(patching_the_head_keeps_the_crc),
        cmocka_unit_test(times_are_set_with_the_crc),
        cmocka_unit_test(sequences_run_over),
        cmocka_unit_test(records_come_back_from_every_codec),
        cmocka_unit_test(damaged_records_are_malformed),
        cmocka_unit_test(h1_counts_are_not_trusted),
        cmocka_unit_test(control_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
