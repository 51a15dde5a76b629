/*
 * Every value of a table that Apache Kafka's own definitions printed (tests/fixtures/configs/
 * values.tsv, made by tests/compat/configs/ConfigTool.java), and every row of ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config_int.h"

static const char *values_path;

static void unescape(char *text) {
    char *out = text;
    for (; *text != 0; text++) {
        if (*text == '\\' && text[1] != 0) {
            text++;
            *out++ = (char)(*text == 't' ? '\t' : *text == 'n' ? '\n' : *text);
        } else {
            *out++ = *text;
        }
    }
    *out = 0;
}

static enum config_scope scope_of(const char *name) {
    static const char *const names[] = {"broker", "topic", "group", "client-metrics"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum config_scope)i;
        }
    }
    fail_msg("scope %s", name);
    return CONFIG_BROKER;
}

static void compare(char *scope, char *name, char *text, const char *expected) {
    enum config_key key;
    struct config_value value;
    struct str message;
    struct arena arena;
    char result[1024];
    arena_init(&arena, SIZE_MAX);
    assert_int_equal(config_find(scope_of(scope), str_from_c(name), &key), ERR_OK);
    err_t err = config_value_parse(key, str_from_c(text), &arena, &value, &message);
    const char *kind = err == ERR_OK ? "ok" : "error";
    struct str shown = err == ERR_OK ? value.text : message;
    (void)snprintf(result, sizeof result, "%s %.*s", kind, STR_ARGS(shown));
    if (strcmp(result, expected) != 0) {
        fail_msg("%s '%s'\n  Kafka %s\n  Ottla %s", name, text, expected, result);
    }
    arena_done(&arena);
}

static void values_are_taken_and_refused_as_kafka_does(void **state) {
    (void)state;
    FILE *file = fopen(values_path, "r");
    assert_non_null(file);
    char *line = NULL;
    size_t capacity = 0;
    size_t count = 0;
    while (getline(&line, &capacity, file) > 0) {
        line[strcspn(line, "\n")] = 0;
        char *rest = line;
        char *scope = strsep(&rest, "\t");
        char *name = strsep(&rest, "\t");
        char *text = strsep(&rest, "\t");
        unescape(text);
        unescape(rest);
        compare(scope, name, text, rest);
        count++;
    }
    assert_true(count > 2000);
    free(line);
    fclose(file);
}

/* A value just outside a row's range, or one that is no choice of it. */
static bool bad_value(const struct config_row *row, char *text, size_t size) {
    if (row->check == CONFIG_CHECK_RANGE) {
        (void)snprintf(text, size, "%.0f", row->min - 1);
        return true;
    }
    (void)snprintf(text, size, "%s", "no such value");
    return row->choices != NULL ||
           (row->type != CONFIG_TYPE_STRING && row->type != CONFIG_TYPE_LIST &&
            row->type != CONFIG_TYPE_CLASS && row->type != CONFIG_TYPE_PASSWORD);
}

static void check_row(enum config_key key) {
    const struct config_row *row = config_row(key);
    struct arena arena;
    struct config_value value;
    struct str message;
    enum config_key found;
    char text[64];
    arena_init(&arena, SIZE_MAX);
    assert_int_equal(config_find(row->scope, str_from_c(row->name), &found), ERR_OK);
    assert_int_equal(found, key);
    value = config_value_default(key, &arena); /* asserts that it parses */
    assert_int_equal(value.text.data == NULL, row->default_text == NULL);
    if (bad_value(row, text, sizeof text)) {
        assert_int_equal(config_value_parse(key, str_from_c(text), &arena, &value, &message),
                         ERR_INVALID);
        assert_non_null(strstr(message.data, row->name));
    }
    assert_true(row->min <= row->max);
    assert_true(row->class != CONFIG_LIVE || row->doc != NULL);
    for (int i = 0; i < CONFIG_FALLBACK_MAX && row->fallbacks[i].factor != 0; i++) {
        assert_int_equal(config_row((enum config_key)row->fallbacks[i].key)->scope, CONFIG_BROKER);
    }
    arena_done(&arena);
}

static void every_row_is_sound(void **state) {
    (void)state;
    for (int key = 0; key < CONFIG_KEY_COUNT; key++) {
        check_row((enum config_key)key);
    }
    assert_int_equal(config_scope_end(CONFIG_CLIENT), CONFIG_KEY_COUNT);
    assert_int_equal(config_scope_end(CONFIG_TOPIC) - config_scope_first(CONFIG_TOPIC), 34);
}

static void the_nearest_name_is_found(void **state) {
    (void)state;
    assert_string_equal(config_nearest(CONFIG_BROKER, STR("log.retension.ms")), "log.retention.ms");
    assert_string_equal(config_nearest(CONFIG_BROKER, STR("num.partition")), "num.partitions");
    assert_string_equal(config_nearest(CONFIG_BROKER, STR("node.di")), "node.id");
    assert_string_equal(config_nearest(CONFIG_TOPIC, STR("retention.mss")), "retention.ms");
    assert_null(config_nearest(CONFIG_BROKER, STR("something.else.altogether")));
    assert_null(config_nearest(CONFIG_BROKER, (struct str){values_path, 500}));
}

static void doubles_read_as_in_java(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0, "0.0"},
                {0.5, "0.5"},
                {1, "1.0"},
                {0.001, "0.001"},
                {0.0001, "1.0E-4"},
                {1e7, "1.0E7"},
                {9999999, "9999999.0"},
                {1.25e-9, "1.25E-9"},
                {1.7976931348623157E308, "1.7976931348623157E308"},
                {0.1 + 0.2, "0.30000000000000004"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[CONFIG_DOUBLE_TEXT_MAX];
        config_double_format(rows[i].value, text);
        assert_string_equal(text, rows[i].text);
    }
}

/* A value is not zero-terminated: what stands behind it is none of its business. */
static void a_port_ends_where_its_value_ends(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    static const char text[] = "localhost:90931234";
    struct config_value value;
    struct str message;
    assert_int_equal(config_value_parse(CONFIG_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS,
                                        (struct str){text, strlen("localhost:9093")}, &arena,
                                        &value, &message),
                     ERR_OK);
    assert_int_equal(config_value_parse(CONFIG_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS,
                                        str_from_c("localhost:65536"), &arena, &value, &message),
                     ERR_INVALID);
    arena_done(&arena);
}

static void lists_are_walked(void **state) {
    (void)state;
    struct str item;
    size_t position = 0;
    assert_true(config_list_next(STR("a, b"), &position, &item));
    assert_true(str_equal(item, STR("a")));
    assert_true(config_list_next(STR("a, b"), &position, &item));
    assert_true(str_equal(item, STR("b")));
    assert_false(config_list_next(STR("a, b"), &position, &item));
    position = 0;
    assert_false(config_list_next(STR(""), &position, &item));
    assert_true(config_list_has(STR("broker,controller"), STR("controller")));
    assert_false(config_list_has(STR("broker,controller"), STR("control")));
}

static void help_names_every_key(void **state) {
    (void)state;
    struct buffer text = {0}, json = {0};
    config_help_text(&text);
    config_help_json(&json);
    buffer_add(&text, "", 1);
    buffer_add(&json, "", 1);
    for (int key = 0; key < (int)config_scope_end(CONFIG_CLIENT_METRICS); key++) {
        assert_non_null(strstr((char *)text.data, config_row((enum config_key)key)->name));
        assert_non_null(strstr((char *)json.data, config_row((enum config_key)key)->name));
    }
    buffer_done(&text);
    buffer_done(&json);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s VALUES.tsv\n", argv[0]);
        return 2;
    }
    values_path = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_taken_and_refused_as_kafka_does),
        cmocka_unit_test(every_row_is_sound),
        cmocka_unit_test(the_nearest_name_is_found),
        cmocka_unit_test(doubles_read_as_in_java),
        cmocka_unit_test(lists_are_walked),
        cmocka_unit_test(a_port_ends_where_its_value_ends),
        cmocka_unit_test(help_names_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
