/* Against what Java's String.hashCode answers. */
#include "base/java_hash.h"
#include "base/test.h"

static void strings_have_javas_hash(void **state) {
    (void)state;
    assert_int_equal(java_hash(STR("")), 0);
    assert_int_equal(java_hash(STR("abc")), 96354);
    assert_int_equal(java_hash(STR("payments-1")), 1612905873);
    assert_int_equal(java_hash(STR("polygenelubricants")), INT32_MIN);
    assert_int_equal(java_hash(STR("na\xc3\xafve")), 104710475);
    assert_int_equal(java_hash(STR("\xf0\x9f\x98\x80")), 1772899); /* two of Java's characters */
    assert_int_equal(java_hash(STR("a\xff")), 97 * 31 + 0xfffd);
    assert_int_equal(java_hash(STR("\xe2\x82")), 0xfffd);
}

static void places_are_never_negative(void **state) {
    (void)state;
    assert_int_equal(java_hash_place(STR("polygenelubricants"), 50), 0);
    assert_int_equal(java_hash_place(STR("payments-1"), 50), 23);
    assert_int_equal(java_hash_place(STR("payments-1"), 1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_have_javas_hash),
        cmocka_unit_test(places_are_never_negative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
