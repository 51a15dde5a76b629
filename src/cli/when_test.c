#include "cli/when.h"

#include <string.h>

#include "base/test.h"

enum { NOW_MS = 1000000000 };

static void test_what_is_a_time(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"now", NOW_MS},
        {"90s-ago", NOW_MS - 90 * 1000},
        {"15m-ago", NOW_MS - 15 * 60 * 1000},
        {"2h-ago", NOW_MS - 2 * 3600 * 1000},
        {"1d-ago", NOW_MS - 86400000},
        {"500ms-ago", NOW_MS - 500},
        {"1970-01-01", 0},
        {"1970-01-02T00:00:00.001Z", 86400001},
        {"2000-02-29", INT64_C(951782400000)},
        {"2024-03-01T12:30", INT64_C(1709296200000)},
        {"2026-11-21T10:30:15.250Z", INT64_C(1795257015250)},
        {"2026-11-21T11:30:15.25+01:00", INT64_C(1795257015250)},
        {"2026-11-21 09:30:15.250999-0100", INT64_C(1795257015250)},
        {"1795257015", INT64_C(1795257015000)},
        {"1795257015250", INT64_C(1795257015250)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = -1;
        assert_true(when_parse(cases[i].text, NOW_MS, &ms));
        assert_int_equal(ms, cases[i].ms);
    }
}

static void test_what_is_none(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "yesterday",
                                        "5x-ago",
                                        "5m",
                                        "2026-13-01",
                                        "2026-02-29",
                                        "2026-11-21T25:00",
                                        "2026-11-21T10:30X",
                                        "12345678901234567890",
                                        "-5",
                                        "2026-11-21T10:30:61",
                                        "2026-1-1",
                                        "5m-agoo"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t ms;
        assert_false(when_parse(texts[i], NOW_MS, &ms));
    }
}

static void test_a_time_comes_back(void **state) {
    (void)state;
    for (int64_t ms = 0; ms < INT64_C(4000000000000); ms += INT64_C(98765432123)) {
        char text[WHEN_TEXT_SIZE];
        int64_t back;
        when_format(ms, text);
        assert_true(when_parse(text, 0, &back));
        assert_int_equal(back, ms);
    }
}

static void test_durations(void **state) {
    (void)state;
    char text[WHEN_TEXT_SIZE];
    int64_t ms;
    assert_true(when_duration_parse("36h", &ms));
    assert_int_equal(ms, 36 * 3600 * 1000);
    assert_false(when_duration_parse("36", &ms));
    when_duration_format(1234, text);
    assert_string_equal(text, "1.2 s");
    when_duration_format(36 * 3600 * 1000, text);
    assert_string_equal(text, "1 d 12 h");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_a_time),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_a_time_comes_back),
        cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
