/*
 * Batches that Apache's Java client wrote (tests/fixtures/records, made by
 * tests/compat/records/RecordTool.java) against our readers and our builder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/batch_builder.h"
#include "wire/message_set.h"
#include "wire/record_text_test_int.h"

static const char *fixture_dir;

static const char *const names[] = {
    "v2-none",
    "v2-log-append-time",
    "v2-transactional",
    "v2-commit",
    "v2-abort",
    "v2-gzip",
    "v2-snappy",
    "v2-lz4",
    "v2-zstd",
    "v2-leader-change",
    "v1-none",
    "v1-gzip",
    "v1-snappy",
    "v1-lz4",
    "v1-log-append-time",
    "v0-none",
    "v0-gzip",
    "v0-snappy",
    "v0-lz4",
};
enum { NAME_COUNT = sizeof names / sizeof names[0] };

static void load(struct buffer *out, const char *name, const char *suffix) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s.%s", fixture_dir, name, suffix);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    uint8_t piece[4096];
    size_t size;
    while ((size = fread(piece, 1, sizeof piece, file)) > 0) {
        buffer_add(out, piece, size);
    }
    fclose(file);
}

static void reads_what_java_wrote(void **state) {
    (void)state;
    struct compression *compression = compression_new();
    for (size_t i = 0; i < NAME_COUNT; i++) {
        struct buffer bytes = {0}, expected = {0}, text = {0};
        load(&bytes, names[i], "bin");
        load(&expected, names[i], "txt");
        assert_int_equal(record_text_print(&text, buffer_bytes(&bytes), compression, '\n'), ERR_OK);
        buffer_add(&text, "", 1);
        buffer_add(&expected, "", 1);
        assert_string_equal((char *)text.data, (char *)expected.data);
        buffer_done(&bytes);
        buffer_done(&expected);
        buffer_done(&text);
    }
    compression_free(compression);
}

/* Builds the batch again from what was read of it. */
static void rebuild(const struct record_batch *batch, struct compression *compression,
                    struct buffer *out) {
    const uint8_t *data = batch->data;
    struct batch_options options = {
        .base_offset = record_batch_base_offset(data),
        .producer_id = record_batch_producer_id(data),
        .producer_epoch = record_batch_producer_epoch(data),
        .base_sequence = record_batch_base_sequence(data),
        .leader_epoch = record_batch_leader_epoch(data),
        .log_append_time_ms = record_batch_max_timestamp(data),
        .attributes = record_batch_attributes(data) & (uint16_t)~RECORD_BATCH_COMPRESSION_MASK,
        .compression = (enum compression_type)record_batch_compression(data),
    };
    options.level = compression_level_default(options.compression);
    struct buffer scratch = {0};
    struct record_iter iter;
    struct batch_builder builder;
    struct record record;
    assert_int_equal(record_iter_init(&iter, data, batch->size, compression, &scratch, 1 << 20), 0);
    batch_builder_init(&builder, out, &options);
    while (record_iter_next(&iter, &record) == ERR_OK) {
        struct record_header headers[8];
        size_t position = 0;
        for (int32_t i = 0; i < record.header_count; i++) {
            record_header_next(&record, &position, &headers[i]);
        }
        batch_builder_add(&builder, record.timestamp, record.key, record.value, headers,
                          record.header_count);
    }
    batch_builder_finish(&builder, compression);
    buffer_done(&scratch);
}

static void builds_what_java_builds(void **state) {
    (void)state;
    struct compression *compression = compression_new();
    for (size_t i = 0; i < 10; i++) {
        struct buffer bytes = {0}, built = {0}, ours = {0}, theirs = {0};
        struct record_batch batch;
        size_t position = 0;
        load(&bytes, names[i], "bin");
        assert_int_equal(record_batch_next(buffer_bytes(&bytes), &position, &batch), ERR_OK);
        rebuild(&batch, compression, &built);
        bool log_append_time = record_batch_has_log_append_time(batch.data);
        if (record_batch_compression(batch.data) == COMPRESSION_NONE && !log_append_time) {
            assert_int_equal(built.size, batch.size);
            assert_memory_equal(built.data, batch.data, batch.size);
        } else if (!log_append_time) { /* compressors differ by version: compare the content */
            assert_int_equal(record_text_print(&ours, buffer_bytes(&built), compression, '\n'), 0);
            assert_int_equal(record_text_print(&theirs, buffer_bytes(&bytes), compression, '\n'),
                             0);
            assert_int_equal(ours.size, theirs.size);
            assert_memory_equal(ours.data, theirs.data, ours.size);
        }
        buffer_done(&bytes);
        buffer_done(&built);
        buffer_done(&ours);
        buffer_done(&theirs);
    }
    compression_free(compression);
}

static void control_types_are_read(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum control_record_type type;
    } rows[] = {{"v2-commit", CONTROL_RECORD_COMMIT},
                {"v2-abort", CONTROL_RECORD_ABORT},
                {"v2-leader-change", CONTROL_RECORD_LEADER_CHANGE}};
    for (size_t i = 0; i < 3; i++) {
        struct buffer bytes = {0};
        struct record_iter iter;
        struct record record;
        int16_t type;
        load(&bytes, rows[i].name, "bin");
        assert_true(record_batch_is_control(bytes.data));
        assert_int_equal(record_iter_init(&iter, bytes.data, bytes.size, NULL, NULL, 0), ERR_OK);
        assert_int_equal(record_iter_next(&iter, &record), ERR_OK);
        assert_int_equal(control_record_key_read(record.key, &type), ERR_OK);
        assert_int_equal(type, rows[i].type);
        buffer_done(&bytes);
    }
}

/* Clients of magic 0 computed the checksum of LZ4's header over its magic number too. */
static void lz4_header_checksum_is_not_looked_at_with_magic_0(void **state) {
    (void)state;
    struct compression *compression = compression_new();
    struct buffer bytes = {0}, scratch = {0};
    struct record_batch batch;
    struct message_iter iter;
    size_t position = 0;
    load(&bytes, "v0-lz4", "bin");
    assert_int_equal(record_batch_next(buffer_bytes(&bytes), &position, &batch), ERR_OK);
    size_t checksum = MESSAGE_SIZE_MIN_V0 + 6;
    bytes.data[checksum] ^= 0x5a;
    assert_int_equal(message_iter_init(&iter, &batch, compression, &scratch, 1 << 20), ERR_OK);
    bytes.data[checksum] = 0;
    buffer_clear(&bytes);
    load(&bytes, "v1-lz4", "bin");
    position = 0;
    assert_int_equal(record_batch_next(buffer_bytes(&bytes), &position, &batch), ERR_OK);
    bytes.data[MESSAGE_SIZE_MIN_V1 + 6] ^= 0x5a;
    assert_int_equal(message_iter_init(&iter, &batch, compression, &scratch, 1 << 20), ERR_CORRUPT);
    buffer_done(&bytes);
    buffer_done(&scratch);
    compression_free(compression);
}

static void damaged_messages_are_corrupt(void **state) {
    (void)state;
    struct compression *compression = compression_new();
    for (size_t i = 10; i < NAME_COUNT; i++) {
        struct buffer bytes = {0}, scratch = {0};
        load(&bytes, names[i], "bin");
        struct record_batch batch;
        struct batch_summary summary;
        size_t position = 0;
        assert_int_equal(record_batch_next(buffer_bytes(&bytes), &position, &batch), ERR_OK);
        for (size_t at = RECORD_BATCH_OVERHEAD; at < batch.size; at++) {
            bytes.data[at] ^= 1;
            batch.magic = (int8_t)bytes.data[RECORD_BATCH_MAGIC];
            if (batch.magic < 2) {
                assert_int_equal(batch_summarise(&batch, compression, &scratch, 1 << 20, &summary),
                                 ERR_CORRUPT);
            }
            bytes.data[at] ^= 1;
        }
        buffer_done(&bytes);
        buffer_done(&scratch);
    }
    compression_free(compression);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s FIXTURE-DIRECTORY\n", argv[0]);
        return 2;
    }
    fixture_dir = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_java_wrote),
        cmocka_unit_test(builds_what_java_builds),
        cmocka_unit_test(control_types_are_read),
        cmocka_unit_test(lz4_header_checksum_is_not_looked_at_with_magic_0),
        cmocka_unit_test(damaged_messages_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
