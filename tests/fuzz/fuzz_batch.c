/*
 * The records of a Produce request, behind two bytes that say by which rules they are judged:
 *   byte 0: bits 0-2 the codec to store in (5: as it came), 3 log append time, 4 compacted,
 *           5 small size limits, 6 a coordinator's, 7 leave length and CRC as they are
 *   byte 1: the version of the request
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "wire/record_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DECOMPRESSED_MAX = 1 << 20, SMALL = 200 };
static const int64_t now_ms = 1700000000000;

static struct record_set_rules rules_of(uint8_t bits) {
    struct record_set_rules rules = {
        .partition = STR("t-0"),
        .origin = bits & 0x40 ? RECORD_SET_COORDINATOR : RECORD_SET_CLIENT,
        .keep_compression = (bits & 7) >= COMPRESSION_TYPE_COUNT,
        .gzip_level = 1,
        .lz4_level = COMPRESSION_LZ4_LEVEL_DEFAULT,
        .zstd_level = 1,
        .log_append_time = (bits & 8) != 0,
        .compacted = (bits & 16) != 0,
        .timestamp_before_ms_max = 1000000,
        .timestamp_after_ms_max = 1000000,
        .message_size_max = bits & 0x20 ? SMALL : INT32_MAX,
        .segment_size_max = bits & 0x20 ? SMALL - 50 : INT32_MAX,
        .decompressed_size_max = DECOMPRESSED_MAX,
    };
    rules.compression = rules.keep_compression ? COMPRESSION_NONE : bits & 7;
    return rules;
}

/* The planted bug: the count in the header is believed. The fuzzer must find it. */
static void canary(const uint8_t *batch, size_t size) {
#ifdef RECORD_FUZZ_CANARY
    uint8_t sum = 0;
    for (int32_t i = 0; i < record_batch_record_count(batch); i++) {
        sum ^= batch[RECORD_BATCH_HEADER_SIZE + 7 * (size_t)i];
    }
    volatile uint8_t used = sum;
    (void)used, (void)size;
#else
    (void)batch, (void)size;
#endif
}

/* Makes length and CRC fit, or nothing behind them would ever be reached. */
static void seal(uint8_t *records, size_t size) {
    if (size >= RECORD_BATCH_HEADER_SIZE) {
        put_be32(records + RECORD_BATCH_LENGTH, (uint32_t)(size - RECORD_BATCH_OVERHEAD));
        put_be32(records + RECORD_BATCH_CRC, record_batch_crc_compute(records, size));
    }
}

/* What is stored can be read, and holds what was said of it. */
static void check_stored(const struct record_set_result *result, bool client,
                         struct compression *compression) {
    assert(record_batch_crc_matches(result->records, result->size));
    assert(record_batch_length(result->records) + RECORD_BATCH_OVERHEAD == (int64_t)result->size);
    struct buffer scratch = {0};
    struct record_iter iter;
    struct record record;
    assert(record_iter_init(&iter, result->records, result->size, compression, &scratch,
                            DECOMPRESSED_MAX) == ERR_OK);
    int32_t count = 0;
    err_t err;
    for (; (err = record_iter_next(&iter, &record)) == ERR_OK; count++) {
        assert(!client || record.offset_delta == count);
        size_t position = 0;
        for (int32_t i = 0; i < record.header_count; i++) {
            struct record_header header;
            record_header_next(&record, &position, &header);
        }
        assert(position == record.headers.size);
    }
    assert(err == ERR_NOT_FOUND);
    assert(count == result->record_count);
    buffer_done(&scratch);
}

static void read_any(struct bytes run, struct compression *compression) {
    size_t position = 0;
    struct record_batch batch;
    while (record_batch_next(run, &position, &batch) == ERR_OK) {
        struct buffer scratch = {0};
        struct record_iter iter;
        struct record record;
        int16_t type;
        if (batch.magic == 2 && record_iter_init(&iter, batch.data, batch.size, compression,
                                                 &scratch, DECOMPRESSED_MAX) == ERR_OK) {
            while (record_iter_next(&iter, &record) == ERR_OK) {
                (void)control_record_key_read(record.key, &type);
            }
            (void)record_batch_last_sequence(batch.data);
        }
        assert(scratch.size <= DECOMPRESSED_MAX);
        buffer_done(&scratch);
    }
    assert(position <= run.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    struct record_set_rules rules = rules_of(data[0]);
    size_t records_size = size - 2;
    uint8_t *records = malloc(records_size + 1);
    memcpy(records, data + 2, records_size);
    if (!(data[0] & 0x80)) {
        seal(records, records_size);
    }
    struct bytes run = {.data = records, .size = records_size};
    struct compression *compression = compression_new();
    struct arena arena;
    struct buffer out = {0};
    arena_init(&arena, SIZE_MAX);
    read_any(run, compression);
    (void)record_set_needs_recompression(&rules, run);
    (void)record_set_needs_decompression(run);
    if (record_set_check_request(data[1], run) == ERR_OK && record_batch_magic(records) == 2 &&
        records_size >= RECORD_BATCH_HEADER_SIZE) {
        canary(records, records_size);
    }
    struct record_set_result result;
    struct record_set_refusal refusal;
    if (record_set_validate(&rules, records, records_size, now_ms, compression, &out, &arena,
                            &result, &refusal) == ERR_OK) {
        assert(refusal.message.data == NULL);
        check_stored(&result, rules.origin == RECORD_SET_CLIENT, compression);
    } else {
        assert(out.size == 0);
        assert(refusal.error_count <= RECORD_ERRORS_MAX);
    }
    assert(arena.used <= 512 * RECORD_ERRORS_MAX);
    buffer_done(&out);
    arena_done(&arena);
    compression_free(compression);
    free(records);
    return 0;
}
