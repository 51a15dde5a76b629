/* Scenario files: what is read, and how mistakes are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scenario.h"

static void lines_and_settings_are_read(void **state) {
    (void)state;
    char error[SCENARIO_ERROR_MAX];
    struct scenario *scenario = scenario_parse("s",
                                               "# a comment\n"
                                               "seconds 60\n"
                                               "  client produce count=3 idempotent=yes # x\n"
                                               "client read wait=1ms-2s size=1KiB-2MiB\n"
                                               "config a.b=c d=-5\n",
                                               error);
    assert_non_null(scenario);
    assert_int_equal(scenario_run_number(scenario, "seconds", "1"), 60);
    assert_int_equal(scenario_run_number(scenario, "nodes", "7"), 7);
    struct scenario_line *line = scenario_next(scenario, SCENARIO_CLIENT, NULL, NULL);
    assert_string_equal(line->name, "produce");
    assert_int_equal(line->number, 3);
    assert_int_equal(scenario_number(line, "count", "1"), 3);
    assert_true(scenario_flag(line, "idempotent", false));
    assert_false(scenario_flag(line, "other", false));
    line = scenario_next(scenario, SCENARIO_CLIENT, NULL, line);
    struct scenario_range wait = scenario_range(line, "wait", "0");
    assert_int_equal(wait.least, 1000);
    assert_int_equal(wait.most, 2000000);
    assert_int_equal(scenario_range(line, "size", "0").most, 2 << 20);
    assert_null(scenario_next(scenario, SCENARIO_CLIENT, NULL, line));
    assert_true(scenario_unknown(scenario, error));
    assert_string_equal(error, "s:5: nobody knows the setting 'a.b'");
    line = scenario_next(scenario, SCENARIO_CONFIG, NULL, NULL);
    assert_string_equal(scenario_text(line, "a.b", ""), "c");
    assert_int_equal(scenario_number(line, "d", "0"), -5);
    assert_false(scenario_unknown(scenario, error));
    struct rng rng;
    rng_init(&rng, 1);
    for (int i = 0; i < 100; i++) {
        assert_in_range(scenario_draw((struct scenario_range){5, 7}, &rng), 5, 7);
    }
    scenario_free(scenario);
}

static void mistakes_are_told(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"client\n", "s:1: no name after 'client'"},
        {"\nfault crash every\n", "s:2: not a setting (key=value): 'every'"},
        {"fault crash =5\n", "s:1: not a setting (key=value): '=5'"},
        {"seconds\n", "s:1: no value after 'seconds'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[SCENARIO_ERROR_MAX] = "";
        assert_null(scenario_parse("s", cases[i][0], error));
        assert_string_equal(error, cases[i][1]);
    }
    char error[SCENARIO_ERROR_MAX];
    assert_null(scenario_read("/nowhere.sim", error));
    assert_string_equal(error, "cannot read /nowhere.sim");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_settings_are_read),
        cmocka_unit_test(mistakes_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
