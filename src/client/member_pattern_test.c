/* Patterns over names of topics. */
#include "client/member_pattern.h"

#include <string.h>

#include "base/test.h"

static struct member_pattern *pattern(const char *expression) {
    char text[256];
    struct member_pattern *made = NULL;
    assert_int_equal(member_pattern_new(str_from_c(expression), &made, text, sizeof text), ERR_OK);
    return made;
}

static void assert_matches(const char *expression, const char *name, bool expected) {
    struct member_pattern *made = pattern(expression);
    assert_int_equal(member_pattern_matches(made, str_from_c(name)), expected);
    member_pattern_free(made);
}

static void names_match_as_a_whole(void **state) {
    (void)state;
    assert_matches("a.*", "abc", true);
    assert_matches("b", "abc", false);
    assert_matches("^abc$", "abc", true);
    assert_matches("a|abc", "abc", true); /* not the first alternative that fits the start */
    assert_matches("orders-[0-9]+", "orders-12", true);
    assert_matches("orders-[0-9]+", "orders-12-x", false);
    assert_matches("", "a", false);
    assert_matches("\xc3\xa4.", "\xc3\xa4x", true);
}

static void what_is_wrong_is_said(void **state) {
    (void)state;
    char text[256];
    struct member_pattern *made = NULL;
    assert_int_equal(member_pattern_new(STR("a(b"), &made, text, sizeof text), ERR_INVALID);
    assert_non_null(strstr(text, "a(b"));
    assert_non_null(strstr(text, "character 3"));
    assert_null(made);
    assert_int_equal(member_pattern_new(STR("\xff"), &made, text, sizeof text), ERR_INVALID);
}

static void a_name_costs_no_more_than_the_bound(void **state) {
    (void)state;
    assert_matches("(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                   false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_match_as_a_whole),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(a_name_costs_no_more_than_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
