#include "base/date.h"

#include "base/test.h"

static void test_days(void **state) {
    (void)state;
    static const struct {
        struct date date;
        int64_t days;
    } cases[] = {
        {{1970, 1, 1}, 0},        {{1969, 12, 31}, -1},   {{2000, 2, 29}, 11016},
        {{2000, 3, 1}, 11017},    {{2100, 2, 28}, 47540}, {{2100, 3, 1}, 47541},
        {{1600, 2, 29}, -135081}, {{1, 1, 1}, -719162},   {{9999, 12, 31}, 2932896},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct date date = date_from_days(cases[i].days);
        assert_true(date_is_valid(cases[i].date));
        assert_int_equal(date_to_days(cases[i].date), cases[i].days);
        assert_int_equal(date.year, cases[i].date.year);
        assert_int_equal(date.month, cases[i].date.month);
        assert_int_equal(date.day, cases[i].date.day);
    }
}

/* Each day follows the one before, over all that can be written. */
static void test_every_day(void **state) {
    (void)state;
    struct date before = {1, 1, 1};
    for (int64_t days = -719161; days <= 2932896; days++) {
        struct date date = date_from_days(days);
        struct date next = {before.year, before.month, before.day + 1};
        if (!date_is_valid(next)) {
            next = before.month < 12 ? (struct date){before.year, before.month + 1, 1}
                                     : (struct date){before.year + 1, 1, 1};
        }
        assert_true(date.year == next.year && date.month == next.month && date.day == next.day);
        assert_true(date_to_days(date) == days);
        before = date;
    }
}

static void test_what_is_no_date(void **state) {
    (void)state;
    static const struct date dates[] = {{2026, 2, 29}, {2100, 2, 29}, {2024, 2, 30}, {2026, 4, 31},
                                        {2026, 0, 1},  {2026, 13, 1}, {2026, 1, 0},  {2026, 1, 32},
                                        {0, 1, 1},     {10000, 1, 1}};
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        assert_false(date_is_valid(dates[i]));
    }
}

static void test_text(void **state) {
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {INT64_C(1795257015250), "2026-11-21T10:30:15.250Z"},
        {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
    };
    char text[DATE_TEXT_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        date_time_format(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
    }
    date_time_format(INT64_MAX, text); /* whatever it says, it fits */
    date_time_format(INT64_MIN, text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_every_day),
        cmocka_unit_test(test_what_is_no_date),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
