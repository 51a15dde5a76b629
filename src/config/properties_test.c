#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"

static void reads(const char *text, const char *const *expected) {
    struct arena arena;
    struct config_pair *pairs;
    size_t count;
    arena_init(&arena, SIZE_MAX);
    assert_int_equal(config_properties_parse(str_from_c(text), &arena, &pairs, &count), ERR_OK);
    size_t i = 0;
    for (; expected[2 * i] != NULL; i++) {
        assert_true(i < count);
        assert_true(str_equal(pairs[i].name, str_from_c(expected[2 * i])));
        assert_true(str_equal(pairs[i].value, str_from_c(expected[2 * i + 1])));
    }
    assert_int_equal(count, i);
    arena_done(&arena);
}

#define READS(text, ...) reads((text), (const char *const[]){__VA_ARGS__, NULL, NULL})

static void lines_and_separators(void **state) {
    (void)state;
    READS("a=1\nb:2\nc 3\n", "a", "1", "b", "2", "c", "3");
    READS("a = 1\r\n  b  :  2 \r\n\tc\t=3", "a", "1", "b", "2 ", "c", "3");
    READS("a\nb=\nc=x=y:z\n", "a", "", "b", "", "c", "x=y:z");
    READS("a=1\ra=2", "a", "1", "a", "2");
    READS("=nothing\n", "", "nothing");
}

static void comments_and_blank_lines(void **state) {
    (void)state;
    READS("# one\n\n   ! two \\\na=1\n\f\n#last", "a", "1");
    READS("a=1 # not a comment", "a", "1 # not a comment");
    const char *none[] = {NULL};
    reads("", none);
    reads("#x", none);
    reads("\n \n", none);
}

static void lines_go_on(void **state) {
    (void)state;
    READS("listeners=A://:1,\\\n    B://:2\nb=2", "listeners", "A://:1,B://:2", "b", "2");
    READS("a=x\\\r\n  # y", "a", "x# y");
    READS("a=ends with \\\\\nb=2", "a", "ends with \\", "b", "2");
    READS("a=ends\\", "a", "ends");
}

static void escapes(void **state) {
    (void)state;
    READS("a\\ b\\=c\\:d=1", "a b=c:d", "1");
    READS("a=\\t\\n\\r\\f\\q\\\"", "a", "\t\n\r\fq\"");
    READS("a=\\u0041\\u00e9\\u20ac\\ud83d\\ude00", "a", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    READS("a=\\ud83dx\\ud83d\\u0041", "a", "?x?A");
    READS("a=gr\xc3\xbc\xc3\x9f", "a", "gr\xc3\xbc\xc3\x9f");
    struct arena arena;
    struct config_pair *pairs;
    size_t count;
    arena_init(&arena, SIZE_MAX);
    assert_int_equal(config_properties_parse(STR("a=\\u00g0"), &arena, &pairs, &count),
                     ERR_MALFORMED);
    assert_int_equal(config_properties_parse(STR("a=\\u00"), &arena, &pairs, &count),
                     ERR_MALFORMED);
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_separators),
        cmocka_unit_test(comments_and_blank_lines),
        cmocka_unit_test(lines_go_on),
        cmocka_unit_test(escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
