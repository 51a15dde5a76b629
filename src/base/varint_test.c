#include "base/varint.h"

#include "base/rng.h"
#include "base/test.h"

static void check(int64_t value) {
    uint8_t p[VARLONG_SIZE_MAX];
    int64_t back;
    size_t size = varlong_write(p, value);
    assert_int_equal(size, varlong_size(value));
    assert_int_equal(varlong_read(p, size, &back), size);
    assert_true(back == value);
    assert_int_equal(varlong_read(p, size - 1, &back), 0);

    int32_t back_32;
    size = varint_write(p, (int32_t)value);
    assert_int_equal(size, varint_size((int32_t)value));
    assert_int_equal(varint_read(p, size, &back_32), size);
    assert_int_equal(back_32, (int32_t)value);
    assert_int_equal(varint_read(p, size - 1, &back_32), 0);

    uint32_t back_u32;
    size = uvarint_write(p, (uint32_t)value);
    assert_int_equal(size, uvarint_size((uint32_t)value));
    assert_int_equal(uvarint_read(p, size, &back_u32), size);
    assert_true(back_u32 == (uint32_t)value);
}

static void test_round_trip(void **state) {
    (void)state;
    struct rng rng;
    rng_init(&rng, 5);
    check(0);
    check(-1);
    check(INT64_MAX);
    check(INT64_MIN);
    check(INT32_MAX);
    check(INT32_MIN);
    for (int i = 0; i < 100000; i++) {
        check((int64_t)(rng_next(&rng) >> rng_below(&rng, 64)));
    }
}

static void test_bad(void **state) {
    (void)state;
    static const uint8_t endless[11] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                        0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t padded[3] = {0x80, 0x80, 0x00};
    uint32_t value;
    int64_t value_64;
    assert_int_equal(uvarint_read(endless, sizeof endless, &value), 0);
    assert_int_equal(varlong_read(endless, sizeof endless, &value_64), 0);
    assert_int_equal(uvarint_read(endless, 0, &value), 0);
    assert_int_equal(uvarint_read(padded, sizeof padded, &value), 3);
    assert_int_equal(value, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
