#include "base/text_log.h"

#include <string.h>

#include "base/test.h"

struct sink {
    char line[TEXT_LOG_LINE_MAX + 1];
    int count;
};

static void keep(void *arg, enum text_log_level level, const char *line, int size) {
    struct sink *sink = arg;
    (void)level;
    assert_int_equal(strlen(line), size);
    assert_int_equal(line[size - 1], '\n');
    assert_true(size <= TEXT_LOG_LINE_MAX);
    strcpy(sink->line, line);
    sink->count++;
}

static int64_t fixed_time(void *arg) {
    (void)arg;
    return 1767225599123;
}

static void test_lines(void **state) {
    (void)state;
    struct sink sink = {0};
    struct text_log log = {
        .sink = keep, .now_ms = fixed_time, .arg = &sink, .level = TEXT_LOG_INFO};
    text_log_info(&log, "net", "hello %d \"x\"\n\x01 \xff \xc3\xa4", 7);
    assert_string_equal(sink.line,
                        "2025-12-31T23:59:59.123Z INFO  net: hello 7 \"x\"\\u000a\\u0001 "
                        "\xef\xbf\xbd \xc3\xa4\n");
    log.json = true;
    text_log_error(&log, "log", "a\\b\"");
    assert_string_equal(sink.line, "{\"time\":\"2025-12-31T23:59:59.123Z\",\"level\":\"ERROR\","
                                   "\"component\":\"log\",\"message\":\"a\\\\b\\\"\"}\n");
    text_log_debug(&log, "log", "not seen");
    text_log_info(NULL, "log", "nowhere");
    assert_int_equal(sink.count, 2);
}

static void test_cut(void **state) {
    (void)state;
    struct sink sink = {0};
    struct text_log log = {
        .sink = keep, .now_ms = fixed_time, .arg = &sink, .level = TEXT_LOG_INFO};
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    text_log_info(&log, "net", "%s", text);
    assert_int_equal(strlen(sink.line), TEXT_LOG_LINE_MAX);
    assert_string_equal(sink.line + TEXT_LOG_LINE_MAX - 5, "x\xe2\x80\xa6\n");
    log.json = true;
    memset(text, '"', sizeof text - 1);
    text_log_info(&log, "net", "%s", text);
    assert_non_null(strstr(sink.line, "\\\"\xe2\x80\xa6\"}\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
