/* Records out of fetched bytes: every codec and format, cuts, damage, transactions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/limits.h"
#include "client/fetched.h"
#include "wire/batch_builder.h"
#include "wire/messages.h"

enum { RECORDS_MAX = 4096 };

static struct arena headers;
static struct fetched_pool pool;
static struct buffer run; /* what a broker sends */
static struct ottla_record records[RECORDS_MAX];
static struct fetched_place place;

static int begin(void **state) {
    (void)state;
    arena_init(&headers, SIZE_MAX);
    fetched_pool_init(&pool, &headers);
    buffer_init(&run);
    place = (struct fetched_place){.topic = "t", .partition = 3, .epoch = -1};
    return 0;
}

static int end(void **state) {
    (void)state;
    fetched_pool_done(&pool);
    arena_done(&headers);
    buffer_done(&run);
    return 0;
}

static struct bytes text_bytes(const char *text) {
    return str_bytes(str_from_c(text));
}

static struct batch_options options_at(int64_t offset) {
    struct batch_options options = {BATCH_OPTIONS_DEFAULT, .base_offset = offset, .level = 1};
    options.leader_epoch = 7;
    return options;
}

/* `count` records from `offset` on, each with its offset as value. */
static void add_batch(const struct batch_options *options, int count) {
    struct batch_builder builder;
    batch_builder_init(&builder, &run, options);
    for (int i = 0; i < count; i++) {
        char value[32];
        (void)snprintf(value, sizeof value, "%lld", (long long)options->base_offset + i);
        batch_builder_add(&builder, 1000 + i, text_bytes("key"), text_bytes(value), NULL, 0);
    }
    batch_builder_finish(&builder, pool.compression);
}

static void add_plain(int64_t offset, int count) {
    struct batch_options options = options_at(offset);
    add_batch(&options, count);
}

static struct fetched *fetch_aborted(const struct fetch_response_aborted_transaction *aborted,
                                     int32_t count) {
    struct fetched_frame *frame = calloc(1, sizeof *frame);
    size_t size;
    assert_non_null(frame);
    frame->users = 1;
    frame->memory = buffer_steal(&run, &size);
    struct bytes bytes = {.data = frame->memory, .size = size};
    struct fetched *fetched = fetched_new(frame, bytes, aborted, count);
    fetched_frame_unref(frame);
    return fetched;
}

static struct fetched *fetch(void) {
    return fetch_aborted(NULL, 0);
}

static err_t take(struct fetched *fetched, size_t max, size_t *ret_count) {
    size_t size;
    return fetched_take(fetched, &pool, &place, records, max, ret_count, &size);
}

static void expect_values(size_t count, int64_t first) {
    for (size_t i = 0; i < count; i++) {
        char value[32];
        (void)snprintf(value, sizeof value, "%lld", (long long)first + (long long)i);
        assert_int_equal(records[i].offset, first + (int64_t)i);
        assert_int_equal(records[i].value.size, strlen(value));
        assert_memory_equal(records[i].value.data, value, strlen(value));
        assert_string_equal(records[i].topic, "t");
        assert_int_equal(records[i].partition, 3);
    }
}

static void expect_all(struct fetched *fetched, size_t count, int64_t first, int64_t end_offset) {
    size_t taken;
    assert_int_equal(take(fetched, RECORDS_MAX, &taken), ERR_NOT_FOUND);
    assert_int_equal(taken, count);
    expect_values(count, first);
    assert_int_equal(place.offset, end_offset);
    fetched_retire(fetched, &pool);
}

/* --- tests --- */

static void records_of_every_codec(void **state) {
    (void)state;
    for (int codec = 0; codec < COMPRESSION_TYPE_COUNT; codec++) {
        struct batch_options options = options_at(100);
        options.compression = (enum compression_type)codec;
        options.level = compression_level_default(options.compression);
        add_batch(&options, 500);
        options.base_offset = 600;
        add_batch(&options, 1);
        place.offset = 100;
        expect_all(fetch(), 501, 100, 601);
        assert_int_equal(records[0].timestamp_ms, 1000);
        assert_int_equal(records[0].leader_epoch, 7);
        assert_int_equal(records[0].timestamp_type, OTTLA_CREATE_TIME);
        assert_memory_equal(records[0].key.data, "key", 3);
        fetched_pool_release(&pool);
    }
}

static void uncompressed_values_are_views(void **state) {
    (void)state;
    add_plain(0, 3);
    struct fetched *fetched = fetch();
    const uint8_t *from = fetched->records.data;
    expect_all(fetched, 3, 0, 3);
    for (int i = 0; i < 3; i++) {
        assert_true((const uint8_t *)records[i].value.data > from);
        assert_true((const uint8_t *)records[i].value.data < from + 200);
    }
}

/* In pieces of every size; memory that was lent stays until the release. */
static void pieces_are_the_whole(void **state) {
    (void)state;
    for (size_t piece = 1; piece < 9; piece++) {
        struct batch_options options = options_at(0);
        options.compression = COMPRESSION_LZ4;
        add_batch(&options, 5);
        add_plain(5, 3);
        options.base_offset = 8;
        add_batch(&options, 5);
        place.offset = 0;
        struct fetched *fetched = fetch();
        int64_t next = 0;
        err_t err = ERR_OK;
        while (err == ERR_OK) {
            size_t count;
            err = take(fetched, piece, &count);
            expect_values(count, next);
            next += (int64_t)count;
            assert_int_equal(place.offset, next);
            if (err == ERR_OK) {
                fetched_pool_release(&pool);
            }
        }
        assert_int_equal(err, ERR_NOT_FOUND);
        assert_int_equal(next, 13);
        fetched_retire(fetched, &pool);
        fetched_pool_release(&pool);
    }
}

static void reading_begins_in_the_middle(void **state) {
    (void)state;
    add_plain(0, 10);
    add_plain(10, 10);
    place.offset = 13;
    expect_all(fetch(), 7, 13, 20);
}

static void a_cut_batch_is_not_seen(void **state) {
    (void)state;
    add_plain(0, 10);
    add_plain(10, 10);
    size_t whole = run.size;
    for (size_t cut = 1; cut < 60; cut += 7) {
        struct bytes bytes = {.data = run.data, .size = whole - cut};
        assert_int_equal(fetched_end_offset(bytes, 0), 10);
    }
    assert_int_equal(fetched_end_offset(buffer_bytes(&run), 0), 20);
    run.size -= 5;
    expect_all(fetch(), 10, 0, 10);
}

static void control_batches_are_passed(void **state) {
    (void)state;
    struct batch_options control = options_at(5);
    control.producer_id = 9;
    control.producer_epoch = 0;
    control.attributes = RECORD_BATCH_TRANSACTIONAL | RECORD_BATCH_CONTROL;
    static const uint8_t value[6];
    add_plain(0, 5);
    batch_build_control(&run, &control, 1, CONTROL_RECORD_COMMIT, (struct bytes){value, 6});
    size_t count;
    struct fetched *fetched = fetch();
    assert_int_equal(take(fetched, 5, &count), ERR_NOT_FOUND); /* though 5 were wanted, no more */
    assert_int_equal(count, 5);
    assert_int_equal(place.offset, 6);
    fetched_retire(fetched, &pool);
}

static void add_transaction(int64_t offset, int64_t producer_id, int count) {
    struct batch_options options = options_at(offset);
    options.producer_id = producer_id;
    options.producer_epoch = 0;
    options.base_sequence = 0;
    options.attributes = RECORD_BATCH_TRANSACTIONAL;
    add_batch(&options, count);
}

static void add_marker(int64_t offset, int64_t producer_id, enum control_record_type type) {
    struct batch_options control = options_at(offset);
    static const uint8_t value[6];
    control.producer_id = producer_id;
    control.producer_epoch = 0;
    control.attributes = RECORD_BATCH_TRANSACTIONAL | RECORD_BATCH_CONTROL;
    batch_build_control(&run, &control, 1, type, (struct bytes){value, 6});
}

static void add_transactions(void) {
    add_transaction(0, 1, 2); /* aborted */
    add_transaction(2, 2, 2); /* committed */
    add_plain(4, 1);
    add_marker(5, 1, CONTROL_RECORD_ABORT);
    add_transaction(6, 1, 2); /* committed */
    add_marker(8, 2, CONTROL_RECORD_COMMIT);
    add_marker(9, 1, CONTROL_RECORD_COMMIT);
    add_transaction(10, 2, 1); /* aborted, its marker beyond this answer */
}

static void aborted_transactions_are_left_out(void **state) {
    (void)state;
    static const struct fetch_response_aborted_transaction list[] = {{2, 10}, {1, 0}};
    static const int64_t expected[] = {2, 3, 4, 6, 7};
    size_t count;
    add_transactions();
    pool.committed_only = true;
    struct fetched *fetched = fetch_aborted(list, 2);
    assert_int_equal(take(fetched, RECORDS_MAX, &count), ERR_NOT_FOUND);
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(records[i].offset, expected[i]);
    }
    assert_int_equal(place.offset, 11);
    fetched_retire(fetched, &pool);
}

static void uncommitted_readers_see_all(void **state) {
    (void)state;
    static const struct fetch_response_aborted_transaction list[] = {{1, 0}};
    size_t count;
    add_transactions();
    struct fetched *fetched = fetch_aborted(list, 1);
    assert_int_equal(take(fetched, RECORDS_MAX, &count), ERR_NOT_FOUND);
    assert_int_equal(count, 8);
    fetched_retire(fetched, &pool);
}

static void damage_is_told_at_its_place(void **state) {
    (void)state;
    size_t count;
    add_plain(0, 10);
    size_t second = run.size;
    add_plain(10, 10);
    run.data[second + RECORD_BATCH_HEADER_SIZE + 9] ^= 1;
    struct fetched *fetched = fetch();
    assert_int_equal(take(fetched, RECORDS_MAX, &count), ERR_CORRUPT_MESSAGE);
    assert_int_equal(count, 10);
    assert_int_equal(place.offset, 10);
    assert_int_equal(take(fetched, RECORDS_MAX, &count), ERR_CORRUPT_MESSAGE); /* and again */
    assert_int_equal(count, 0);
    fetched_free(fetched);
}

/* Without check.crcs a flipped byte of a value is not seen. */
static void checksums_can_be_left_out(void **state) {
    (void)state;
    size_t count;
    add_plain(0, 2);
    run.data[run.size - 2] ^= 1;
    pool.check_crcs = false;
    struct fetched *fetched = fetch();
    assert_int_equal(take(fetched, RECORDS_MAX, &count), ERR_NOT_FOUND);
    assert_int_equal(count, 2);
    fetched_retire(fetched, &pool);
}

static void lies_about_offsets_are_damage(void **state) {
    (void)state;
    static const struct {
        size_t at;
        uint64_t value;
    } lies[] = {
        {RECORD_BATCH_BASE_OFFSET, UINT64_MAX - 3},
        {RECORD_BATCH_BASE_OFFSET, INT64_MAX - 1},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        size_t count;
        add_plain(0, 10);
        put_be64(run.data + lies[i].at, lies[i].value);
        assert_int_equal(fetched_end_offset(buffer_bytes(&run), 0), 0);
        struct fetched *fetched = fetch();
        assert_int_equal(take(fetched, RECORDS_MAX, &count), ERR_CORRUPT_MESSAGE);
        fetched_free(fetched);
    }
}

static void seal(uint8_t *batch, size_t size) {
    put_be32(batch + RECORD_BATCH_CRC, record_batch_crc_compute(batch, size));
}

/* A batch whose records reach beyond its last offset, or are fewer than it says. */
static void lies_about_records_are_damage(void **state) {
    (void)state;
    for (int lie = 0; lie < 3; lie++) {
        size_t count;
        add_plain(0, 10);
        put_be32(run.data + RECORD_BATCH_LAST_OFFSET_DELTA, lie == 0 ? 4 : 9);
        put_be32(run.data + RECORD_BATCH_RECORD_COUNT, lie == 1 ? 11 : lie == 2 ? 9 : 10);
        seal(run.data, run.size);
        place.offset = 0;
        struct fetched *fetched = fetch();
        assert_int_equal(take(fetched, RECORDS_MAX, &count), ERR_CORRUPT_MESSAGE);
        assert_true(count <= 10);
        fetched_retire(fetched, &pool);
        fetched_pool_release(&pool);
    }
}

static void unknown_codecs_are_told(void **state) {
    (void)state;
    size_t count;
    add_plain(0, 1);
    put_be16(run.data + RECORD_BATCH_ATTRIBUTES, 6);
    seal(run.data, run.size);
    struct fetched *fetched = fetch();
    assert_int_equal(take(fetched, RECORDS_MAX, &count), ERR_UNSUPPORTED_COMPRESSION_TYPE);
    fetched_free(fetched);
}

static void headers_have_ends(void **state) {
    (void)state;
    struct batch_options options = options_at(0);
    struct batch_builder builder;
    struct record_header some[] = {{STR("trace"), text_bytes("abc")},
                                   {STR(""), {.data = NULL}},
                                   {STR("trace"), text_bytes("")}};
    batch_builder_init(&builder, &run, &options);
    batch_builder_add(&builder, 5, (struct bytes){.data = NULL}, (struct bytes){.data = NULL}, some,
                      3);
    batch_builder_finish(&builder, NULL);
    size_t count;
    struct fetched *fetched = fetch();
    assert_int_equal(take(fetched, RECORDS_MAX, &count), ERR_NOT_FOUND);
    assert_int_equal(count, 1);
    assert_null(records[0].key.data);
    assert_null(records[0].value.data);
    assert_int_equal(records[0].header_count, 3);
    assert_string_equal(records[0].headers[0].key, "trace");
    assert_memory_equal(records[0].headers[0].value.data, "abc", 3);
    assert_string_equal(records[0].headers[1].key, "");
    assert_null(records[0].headers[1].value.data);
    assert_non_null(records[0].headers[2].value.data);
    assert_int_equal(records[0].headers[2].value.size, 0);
    fetched_retire(fetched, &pool);
}

/* Batches that expand to much: as many in one poll as the pool lends, never none. */
static void lending_has_a_bound(void **state) {
    (void)state;
    size_t size = 1000 * 1000;
    uint8_t *value = calloc(1, size);
    assert_non_null(value);
    for (int i = 0; i < 6; i++) {
        struct batch_options options = options_at(i);
        options.compression = COMPRESSION_ZSTD;
        struct batch_builder builder;
        batch_builder_init(&builder, &run, &options);
        batch_builder_add(&builder, 5, (struct bytes){.data = NULL}, (struct bytes){value, size},
                          NULL, 0);
        batch_builder_finish(&builder, pool.compression);
    }
    free(value);
    pool.lent_max = 2 * size;
    struct fetched *fetched = fetch();
    size_t total = 0, polls = 0;
    err_t err = ERR_OK;
    while (err == ERR_OK) {
        size_t count;
        err = take(fetched, RECORDS_MAX, &count);
        total += count;
        polls++;
        assert_true(count <= 3);
        if (err == ERR_OK) {
            assert_true(count > 0);
            fetched_pool_release(&pool);
        }
    }
    assert_int_equal(err, ERR_NOT_FOUND);
    assert_int_equal(total, 6);
    assert_true(polls >= 2);
    fetched_retire(fetched, &pool);
}

/* --- formats of before --- */

static void add_message(int8_t magic, uint8_t attributes, int64_t offset, struct bytes value) {
    size_t start = run.size;
    uint8_t *p = buffer_extend(&run, 12 + 4 + 2);
    put_be64(p, (uint64_t)offset);
    p[16] = (uint8_t)magic;
    p[17] = attributes;
    if (magic == 1) {
        put_be64(buffer_extend(&run, 8), 77);
    }
    put_be32(buffer_extend(&run, 4), UINT32_MAX);
    put_be32(buffer_extend(&run, 4), (uint32_t)value.size);
    buffer_add(&run, value.data, value.size);
    p = run.data + start;
    put_be32(p + 8, (uint32_t)(run.size - start - 12));
    put_be32(p + 12, crc32_ieee(0, p + 16, run.size - start - 16));
}

static void messages_of_before_are_read(void **state) {
    (void)state;
    for (int8_t magic = 0; magic < 2; magic++) {
        add_message(magic, 0, 0, text_bytes("0"));
        add_message(magic, 0, 1, text_bytes("1"));
        struct buffer inner = {0}, packed = {0};
        struct buffer outer = run;
        run = inner;
        for (int i = 0; i < 3; i++) {
            char value[2] = {(char)('2' + i), 0};
            add_message(magic, 0, magic == 0 ? 2 + i : i, text_bytes(value));
        }
        inner = run;
        run = outer;
        compression_compress(pool.compression, COMPRESSION_GZIP, 6, buffer_bytes(&inner), &packed);
        add_message(magic, COMPRESSION_GZIP, 4, buffer_bytes(&packed));
        buffer_done(&inner);
        buffer_done(&packed);
        add_plain(5, 2); /* and the format of today behind them */
        place.offset = 0;
        assert_int_equal(fetched_end_offset(buffer_bytes(&run), 0), 7);
        expect_all(fetch(), 7, 0, 7);
        assert_int_equal(records[0].timestamp_ms, magic == 0 ? -1 : 77);
        assert_int_equal(records[2].leader_epoch, -1);
        fetched_pool_release(&pool);
    }
}

/* Every byte flipped, with and without checksums: something is told, nothing is harmed. */
static void no_byte_harms(void **state) {
    (void)state;
    for (int round = 0; round < 2; round++) {
        pool.check_crcs = round == 0;
        pool.committed_only = true;
        static const struct fetch_response_aborted_transaction list[] = {{1, 0}, {2, 10}};
        add_transactions();
        struct batch_options options = options_at(11);
        options.compression = COMPRESSION_SNAPPY;
        add_batch(&options, 20);
        size_t size;
        uint8_t *good = buffer_steal(&run, &size);
        for (size_t at = 0; at < size; at++) {
            for (int bit = 0; bit < 8; bit += 3) {
                buffer_add(&run, good, size);
                run.data[at] ^= (uint8_t)(1 << bit);
                place.offset = 0;
                (void)fetched_end_offset(buffer_bytes(&run), 0);
                struct fetched *fetched = fetch_aborted(list, 2);
                size_t count;
                (void)take(fetched, RECORDS_MAX, &count);
                assert_true(place.offset >= 0);
                fetched_retire(fetched, &pool);
                fetched_pool_release(&pool);
            }
        }
        free(good);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_of_every_codec, begin, end),
        cmocka_unit_test_setup_teardown(uncompressed_values_are_views, begin, end),
        cmocka_unit_test_setup_teardown(pieces_are_the_whole, begin, end),
        cmocka_unit_test_setup_teardown(reading_begins_in_the_middle, begin, end),
        cmocka_unit_test_setup_teardown(a_cut_batch_is_not_seen, begin, end),
        cmocka_unit_test_setup_teardown(control_batches_are_passed, begin, end),
        cmocka_unit_test_setup_teardown(aborted_transactions_are_left_out, begin, end),
        cmocka_unit_test_setup_teardown(uncommitted_readers_see_all, begin, end),
        cmocka_unit_test_setup_teardown(damage_is_told_at_its_place, begin, end),
        cmocka_unit_test_setup_teardown(checksums_can_be_left_out, begin, end),
        cmocka_unit_test_setup_teardown(lies_about_offsets_are_damage, begin, end),
        cmocka_unit_test_setup_teardown(lies_about_records_are_damage, begin, end),
        cmocka_unit_test_setup_teardown(unknown_codecs_are_told, begin, end),
        cmocka_unit_test_setup_teardown(headers_have_ends, begin, end),
        cmocka_unit_test_setup_teardown(lending_has_a_bound, begin, end),
        cmocka_unit_test_setup_teardown(messages_of_before_are_read, begin, end),
        cmocka_unit_test_setup_teardown(no_byte_harms, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
