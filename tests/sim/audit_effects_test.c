/* The auditor of what is made of records finds each kind of violation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "audit_effects.h"

enum { INPUT = 0, OUTPUT = 8 };

static struct audit *audit;
static struct audit_effects *effects;

static int set_up(void **state) {
    (void)state;
    audit = audit_new();
    effects = audit_effects_new(audit);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    audit_effects_free(effects);
    audit_free(audit);
    return 0;
}

static void tells(const char *sentence) {
    assert_non_null(audit_failure(audit));
    assert_string_equal(audit_failure(audit), sentence);
}

static void input(int64_t offset, uint64_t value) {
    audit_effects_read(effects, INPUT, offset, value, true);
}

static void output(int64_t offset, uint64_t value) {
    audit_effects_read(effects, OUTPUT, offset, value, false);
}

static void test_once_and_in_order(void **state) {
    (void)state;
    audit_effect(effects, 1, INPUT, 0, 11);
    audit_effect(effects, 2, INPUT, 1, 12); /* aborted */
    audit_effect(effects, 2, INPUT, 1, 13);
    for (int reader = 0; reader < 2; reader++) {
        output(0, 11);
        output(5, 13);
        input(0, 1);
        input(1, 2);
        output(6, 20); /* of somebody else */
    }
    audit_effects_check(effects);
    assert_null(audit_failure(audit));
}

static void test_twice(void **state) {
    (void)state;
    audit_effect(effects, 1, INPUT, 0, 11);
    audit_effect(effects, 1, INPUT, 0, 12);
    input(0, 1);
    output(0, 11);
    audit_effects_read(effects, OUTPUT + 1, 0, 12, false);
    tells("value 1 was transformed twice: values 11 and 12 are committed");
}

static void test_skipped(void **state) {
    (void)state;
    audit_effect(effects, 1, INPUT, 0, 11);
    input(0, 1);
    audit_effects_check(effects);
    tells("value 1 was not transformed: it was skipped");
}

static void test_made_of_nothing(void **state) {
    (void)state;
    audit_effect(effects, 1, INPUT, 0, 11);
    output(0, 11);
    audit_effects_check(effects);
    tells("value 11 is made of value 1, which is not there");
}

static void test_out_of_order(void **state) {
    (void)state;
    audit_effect(effects, 1, INPUT, 0, 11);
    audit_effect(effects, 2, INPUT, 1, 12);
    output(0, 12);
    output(1, 11);
    tells("the effect of input 0 at 0 is at 1 of output 8, behind that of 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_once_and_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_skipped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_made_of_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_out_of_order, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
