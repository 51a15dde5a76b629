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

static int64_t wall_ms = 1767225599123;

static int64_t fixed_time(void *arg) {
    (void)arg;
    return wall_ms;
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

static void test_times(void **state) {
    (void)state;
    static const struct {
        int64_t wall_ms;
        const char *text;
    } times[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {1709251199999, "2024-02-29T23:59:59.999Z"},
        {1709251200000, "2024-03-01T00:00:00.000Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
    };
    struct sink sink = {0};
    struct text_log log = {
        .sink = keep, .now_ms = fixed_time, .arg = &sink, .level = TEXT_LOG_INFO};
    int64_t before_ms = wall_ms;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        wall_ms = times[i].wall_ms;
        text_log_info(&log, "net", "x");
        assert_memory_equal(sink.line, times[i].text, strlen(times[i].text));
    }
    wall_ms = before_ms;
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

static void test_component_levels(void **state) {
    (void)state;
    struct sink sink = {0};
    struct text_log log = {
        .sink = keep, .now_ms = fixed_time, .arg = &sink, .level = TEXT_LOG_INFO};
    int net = 0;
    while (strcmp(text_log_component(net), "net") != 0) {
        net++;
    }
    text_log_level_set(&log, net, TEXT_LOG_DEBUG);
    text_log_debug(&log, "net", "seen");
    text_log_debug(&log, "log", "not seen");
    assert_int_equal(sink.count, 1);
    text_log_level_set(&log, -1, TEXT_LOG_ERROR);
    text_log_debug(&log, "net", "seen");
    text_log_warn(&log, "log", "not seen");
    assert_int_equal(sink.count, 2);
    text_log_level_clear(&log, net);
    text_log_warn(&log, "net", "not seen");
    assert_int_equal(sink.count, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_component_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
