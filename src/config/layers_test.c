#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

struct fixture {
    struct config *file;
    struct arena arena;
};

static int set_up_with(void **state, const char *more) {
    struct fixture *f = calloc(1, sizeof *f);
    struct config_report report;
    size_t base_count, more_count;
    const struct config_pair *base = config_pairs_default(&base_count);
    struct config_pair *added, pairs[32];
    arena_init(&f->arena, SIZE_MAX);
    config_report_init(&report);
    assert_int_equal(config_properties_parse(str_from_c(more), &f->arena, &added, &more_count), 0);
    memcpy(pairs, base, base_count * sizeof *pairs);
    memcpy(pairs + base_count, added, more_count * sizeof *pairs);
    assert_int_equal(config_new(pairs, base_count + more_count, &report, &f->file), ERR_OK);
    config_report_done(&report);
    *state = f;
    return 0;
}

static int set_up(void **state) {
    return set_up_with(state, "log.retention.hours=3\nlog.segment.bytes=2000000\n");
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    config_unref(f->file);
    arena_done(&f->arena);
    free(f);
    return 0;
}

/* "name=value" texts, ended by NULL. */
static bool get(const void *arg, struct str name, struct str *ret_value) {
    for (const char *const *text = arg; *text != NULL; text++) {
        if (strncmp(*text, name.data, name.size) == 0 && (*text)[name.size] == '=') {
            *ret_value = str_from_c(*text + name.size + 1);
            return true;
        }
    }
    return false;
}

#define LOOKUP(...)                                                                                \
    {                                                                                              \
        get, (const char *const[]) {                                                               \
            __VA_ARGS__, NULL                                                                      \
        }                                                                                          \
    }

static void a_topic_has_the_nearest_value(void **state) {
    struct fixture *f = *state;
    struct config_layers layers = {.file = f->file};
    struct config *topic = config_resolve(CONFIG_TOPIC, &layers);
    assert_int_equal(config_long(topic, TOPIC_CONFIG_RETENTION_MS), 3 * 3600000);
    assert_int_equal(config_int(topic, TOPIC_CONFIG_SEGMENT_BYTES), 2000000);
    assert_int_equal(config_int(topic, TOPIC_CONFIG_MAX_MESSAGE_BYTES), 1048588);
    assert_int_equal(config_long(topic, TOPIC_CONFIG_FLUSH_MS), INT64_MAX);
    assert_true(config_is_null(topic, TOPIC_CONFIG_INTERNAL_SEGMENT_BYTES));
    assert_true(str_equal(config_str(topic, TOPIC_CONFIG_CLEANUP_POLICY), STR("delete")));
    config_unref(topic);

    layers.cluster =
        (struct config_lookup)LOOKUP("log.retention.ms=50", "log.segment.bytes=3000000");
    layers.broker = (struct config_lookup)LOOKUP("log.segment.bytes=4000000");
    layers.resource = (struct config_lookup)LOOKUP("max.message.bytes=9", "retention.bytes=oops");
    topic = config_resolve(CONFIG_TOPIC, &layers);
    assert_int_equal(config_long(topic, TOPIC_CONFIG_RETENTION_MS), 50);
    assert_int_equal(config_int(topic, TOPIC_CONFIG_SEGMENT_BYTES), 4000000);
    assert_int_equal(config_int(topic, TOPIC_CONFIG_MAX_MESSAGE_BYTES), 9);
    assert_int_equal(config_long(topic, TOPIC_CONFIG_RETENTION_BYTES), -1);
    config_unref(topic);
}

static void dynamic_values_lie_over_the_file(void **state) {
    struct fixture *f = *state;
    struct config_layers layers = {
        .file = f->file,
        .cluster = LOOKUP("message.max.bytes=70", "num.io.threads=3", "num.partitions=9"),
        .broker = LOOKUP("message.max.bytes=80", "max.connections=oops"),
    };
    struct config *config = config_with_dynamic(&layers);
    assert_int_equal(config_int(config, CONFIG_MESSAGE_MAX_BYTES), 80);
    assert_int_equal(config_int(config, CONFIG_NUM_IO_THREADS), 3);
    assert_int_equal(config_int(config, CONFIG_NUM_PARTITIONS), 1); /* read-only */
    assert_int_equal(config_int(config, CONFIG_MAX_CONNECTIONS), INT32_MAX);
    assert_int_equal(config_int(config, CONFIG_LOG_SEGMENT_BYTES), 2000000);
    assert_int_equal(config_int(f->file, CONFIG_MESSAGE_MAX_BYTES), 1048588);
    config_unref(config);
}

static void check_entry(struct fixture *f, const struct config_layers *layers, enum config_key key,
                        const char *expected) {
    struct config_entry entry;
    config_describe(layers, key, &f->arena, &entry);
    struct buffer text = {0};
    buffer_printf(&text, "%.*s=%.*s source %d%s%s", STR_ARGS(entry.name), STR_ARGS(entry.value),
                  entry.source, entry.read_only ? " read-only" : "",
                  entry.sensitive ? " sensitive" : "");
    for (int32_t i = 0; i < entry.synonym_count; i++) {
        buffer_printf(&text, " [%.*s=%.*s %d]", STR_ARGS(entry.synonyms[i].name),
                      STR_ARGS(entry.synonyms[i].value), entry.synonyms[i].source);
    }
    buffer_add(&text, "", 1);
    assert_string_equal((char *)text.data, expected);
    buffer_done(&text);
}

static void entries_are_described_with_their_synonyms(void **state) {
    struct fixture *f = *state;
    struct config_layers layers = {.file = f->file};
    check_entry(f, &layers, TOPIC_CONFIG_RETENTION_MS, "retention.ms=10800000 source 5");
    check_entry(f, &layers, TOPIC_CONFIG_SEGMENT_BYTES,
                "segment.bytes=2000000 source 4 [log.segment.bytes=2000000 4] "
                "[log.segment.bytes=1073741824 5]");
    check_entry(f, &layers, TOPIC_CONFIG_REMOTE_STORAGE_ENABLE,
                "remote.storage.enable=false source 5");
    check_entry(f, &layers, CONFIG_NUM_PARTITIONS,
                "num.partitions=1 source 5 read-only [num.partitions=1 5]");
    check_entry(f, &layers, CONFIG_LOG_RETENTION_HOURS,
                "log.retention.hours=3 source 4 read-only [log.retention.hours=3 4] "
                "[log.retention.hours=168 5]");
    check_entry(f, &layers, CONFIG_SSL_KEY_PASSWORD, "ssl.key.password= source 5 sensitive");

    layers.resource = (struct config_lookup)LOOKUP("segment.bytes=5000000");
    layers.broker = (struct config_lookup)LOOKUP("log.segment.bytes=4000000", "log.retention.ms=7");
    layers.cluster = (struct config_lookup)LOOKUP("log.segment.bytes=3000000");
    check_entry(f, &layers, TOPIC_CONFIG_SEGMENT_BYTES,
                "segment.bytes=5000000 source 1 [segment.bytes=5000000 1] "
                "[log.segment.bytes=4000000 2] [log.segment.bytes=3000000 3] "
                "[log.segment.bytes=2000000 4] [log.segment.bytes=1073741824 5]");
    check_entry(f, &layers, CONFIG_LOG_SEGMENT_BYTES,
                "log.segment.bytes=4000000 source 2 [log.segment.bytes=4000000 2] "
                "[log.segment.bytes=3000000 3] [log.segment.bytes=2000000 4] "
                "[log.segment.bytes=1073741824 5]");
    check_entry(f, &layers, TOPIC_CONFIG_RETENTION_MS,
                "retention.ms=7 source 2 [log.retention.ms=7 2] [log.retention.hours=3 4] "
                "[log.retention.hours=168 5]");
}

static void groups_fall_back_too(void **state) {
    struct fixture *f = *state;
    struct config_layers layers = {.file = f->file,
                                   .resource = LOOKUP("share.isolation.level=read_committed")};
    struct config *group = config_resolve(CONFIG_GROUP, &layers);
    assert_int_equal(config_int(group, GROUP_CONFIG_CONSUMER_SESSION_TIMEOUT_MS), 45000);
    assert_true(
        str_equal(config_str(group, GROUP_CONFIG_SHARE_ISOLATION_LEVEL), STR("read_committed")));
    config_unref(group);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_topic_has_the_nearest_value),
        TEST(dynamic_values_lie_over_the_file),
        TEST(entries_are_described_with_their_synonyms),
        TEST(groups_fall_back_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
