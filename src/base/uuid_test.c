#include "base/uuid.h"

#include "base/rng.h"
#include "base/test.h"

static void test_known(void **state) {
    (void)state;
    char text[UUID_TEXT_SIZE + 1];
    uuid_format(UUID_ZERO, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAA");
    uuid_format(UUID_ONE, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAQ");
    struct uuid id;
    assert_int_equal(uuid_parse(STR("__________________8A"), &id), ERR_MALFORMED);
    assert_int_equal(uuid_parse(STR("_____________________w"), &id), ERR_OK);
    assert_int_equal(id.bytes[0], 0xff);
    assert_int_equal(id.bytes[15], 0xff);
    assert_int_equal(uuid_parse(STR("______________________"), &id), ERR_MALFORMED);
    assert_int_equal(uuid_parse(STR("AAAAAAAAAAA+AAAAAAAAAA"), &id), ERR_MALFORMED);
    assert_int_equal(uuid_parse(STR_NULL, &id), ERR_MALFORMED);
    assert_true(uuid_compare(UUID_ONE, UUID_TWO) < 0);
}

static void test_random(void **state) {
    (void)state;
    struct rng rng;
    rng_init(&rng, 9);
    int refused = 0;
    for (int i = 0; i < 10000; i++) {
        uint8_t bytes[16];
        rng_bytes(&rng, bytes, sizeof bytes);
        struct uuid id;
        if (!uuid_from_random(bytes, &id)) {
            refused++;
            continue;
        }
        char text[UUID_TEXT_SIZE + 1];
        uuid_format(id, text);
        assert_int_not_equal(text[0], '-');
        struct uuid back;
        assert_int_equal(uuid_parse(str_from_c(text), &back), ERR_OK);
        assert_true(uuid_equal(id, back));
        assert_int_equal(id.bytes[6] >> 4, 4);
    }
    assert_in_range(refused, 80, 240); /* 1 in 64 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
