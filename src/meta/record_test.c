#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "meta/record.h"
#include "wire/codec.h"
#include "wire/messages.h"
#include "wire/random.h"

/* The capabilities as features.tsv has them, one line per level where something changes. */
static void versions_follow_the_level(void **state) {
    (void)state;
    const struct {
        int16_t level;
        int16_t register_broker, partition, partition_change, register_controller, scram, token;
    } rows[] = {
        {7, 1, 0, 0, -1, -1, -1}, {8, 2, 0, 0, -1, -1, -1}, {11, 2, 0, 0, -1, 0, -1},
        {13, 2, 0, 0, -1, 0, -1}, {14, 2, 0, 0, -1, 0, 0},  {15, 2, 0, 0, 0, 0, 0},
        {17, 3, 1, 1, 0, 0, 0},   {23, 3, 2, 2, 0, 0, 0},   {30, 4, 2, 2, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int16_t level = rows[i].level;
        assert_int_equal(meta_record_version(META_RECORD_REGISTER_BROKER, level),
                         rows[i].register_broker);
        assert_int_equal(meta_record_version(META_RECORD_PARTITION, level), rows[i].partition);
        assert_int_equal(meta_record_version(META_RECORD_PARTITION_CHANGE, level),
                         rows[i].partition_change);
        assert_int_equal(meta_record_version(META_RECORD_REGISTER_CONTROLLER, level),
                         rows[i].register_controller);
        assert_int_equal(meta_record_version(META_RECORD_USER_SCRAM_CREDENTIAL, level),
                         rows[i].scram);
        assert_int_equal(meta_record_version(META_RECORD_DELEGATION_TOKEN, level), rows[i].token);
    }
    assert_int_equal(meta_record_version(6, 30), -1);
}

static void levels_have_names(void **state) {
    (void)state;
    int16_t level;
    assert_string_equal(metadata_version_name(30), "4.3-IV0");
    assert_string_equal(metadata_version_name(7), "3.3-IV3");
    assert_null(metadata_version_name(6));
    assert_null(metadata_version_name(31));
    assert_int_equal(metadata_version_parse(STR("4.2"), &level), ERR_OK);
    assert_int_equal(level, 29);
    assert_int_equal(metadata_version_parse(STR("3.7-IV2"), &level), ERR_OK);
    assert_int_equal(level, 17);
    assert_int_equal(metadata_version_parse(STR("4.3.1"), &level), ERR_OK);
    assert_int_equal(level, 30);
    assert_int_equal(metadata_version_parse(STR("20"), &level), ERR_OK);
    assert_int_equal(level, 20);
    assert_int_equal(metadata_version_parse(STR("4"), &level), ERR_NOT_FOUND);
    assert_int_equal(metadata_version_parse(STR("5.0"), &level), ERR_NOT_FOUND);
    assert_int_equal(metadata_version_parse(STR(""), &level), ERR_NOT_FOUND);
    assert_true(metadata_version_format_differs(30, 29));
    assert_false(metadata_version_format_differs(29, 24));

    const struct meta_feature_info *transactions = meta_feature_find(STR("transaction.version"));
    assert_int_equal(meta_feature_default(transactions, 30), 2);
    assert_int_equal(meta_feature_default(transactions, 23), 0);
    assert_null(meta_feature_find(STR("metadata.version")));
}

static void random_records_come_back(void **state) {
    (void)state;
    struct rng rng;
    rng_init(&rng, 1);
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    for (int round = 0; round < 2000; round++) {
        int16_t type = (int16_t)rng_below(&rng, META_RECORD_TYPES);
        const struct wire_type *wire = meta_record_wire_type(type);
        if (wire == NULL) {
            assert_string_equal(meta_record_name(type), "UNKNOWN");
            continue;
        }
        int16_t version = (int16_t)rng_below(&rng, (uint64_t)wire_version_max(wire) + 1);
        void *message = arena_alloc(&arena, wire_struct_size(wire));
        wire_random(wire, version, &rng, &arena, message);
        struct meta_record record = {.type = type, .version = version, .message = message};
        struct buffer value = {0};
        assert_int_equal(meta_record_encode(&record, &value), ERR_OK);
        struct meta_record decoded;
        assert_int_equal(meta_record_decode(buffer_bytes(&value), &arena, &decoded), ERR_OK);
        assert_int_equal(decoded.type, type);
        assert_int_equal(decoded.version, version);
        assert_true(wire_equal(wire, message, decoded.message));
        for (size_t size = 0; size < value.size; size++) { /* cut anywhere: never read */
            assert_int_not_equal(
                meta_record_decode((struct bytes){value.data, size}, &arena, &decoded), ERR_OK);
        }
        buffer_add(&value, "", 1);
        assert_int_equal(meta_record_decode(buffer_bytes(&value), &arena, &decoded), ERR_MALFORMED);
        buffer_done(&value);
        arena_reset(&arena);
    }
    arena_done(&arena);
}

static void newer_frames_are_unsupported(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct meta_record record;
    const uint8_t newer_frame[] = {2, 20, 0, 0};
    const uint8_t newer_type[] = {1, 29, 0, 0};
    const uint8_t hole[] = {1, 6, 0, 0};
    const uint8_t newer_version[] = {1, 20, 1, 0};
    const uint8_t good[] = {1, 20, 0, 0};
    assert_int_equal(meta_record_decode((struct bytes){newer_frame, 4}, &arena, &record),
                     ERR_UNSUPPORTED);
    assert_int_equal(meta_record_decode((struct bytes){newer_type, 4}, &arena, &record),
                     ERR_UNSUPPORTED);
    assert_int_equal(meta_record_decode((struct bytes){hole, 4}, &arena, &record), ERR_UNSUPPORTED);
    assert_int_equal(meta_record_decode((struct bytes){newer_version, 4}, &arena, &record),
                     ERR_UNSUPPORTED);
    assert_int_equal(meta_record_decode((struct bytes){good, 4}, &arena, &record), ERR_OK);
    assert_string_equal(meta_record_name(record.type), "NO_OP_RECORD");
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_follow_the_level),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(random_records_come_back),
        cmocka_unit_test(newer_frames_are_unsupported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
