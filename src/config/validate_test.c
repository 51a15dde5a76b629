#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

static struct config *file;
static struct config_layers below; /* of topics */
static struct arena arena;

static int set_up(void **state) {
    (void)state;
    size_t count;
    const struct config_pair *pairs = config_pairs_default(&count);
    struct config_report report;
    config_report_init(&report);
    arena_init(&arena, SIZE_MAX);
    assert_int_equal(config_new(pairs, count, &report, &file), ERR_OK);
    config_report_done(&report);
    below = (struct config_layers){.file = file};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    config_unref(file);
    arena_done(&arena);
    return 0;
}

static void topic(const char *name, const char *value, const char *message) {
    struct config_pair pair = {str_from_c(name), str_from_c(value)};
    struct str said = STR("");
    err_t err = config_validate(CONFIG_TOPIC, &pair, 1, &below, &arena, &said);
    assert_int_equal(err, message == NULL ? ERR_OK : ERR_INVALID_CONFIG);
    if (message != NULL && !str_equal(said, str_from_c(message))) {
        fail_msg("'%s' instead of '%s'", said.data, message);
    }
}

static void topic_settings(void **state) {
    (void)state;
    topic("retention.ms", "5", NULL);
    topic("retentionms", "5", "Unknown topic config name: retentionms");
    topic("retention.ms", NULL, "Null value not supported for topic configs: retention.ms");
    topic("retention.ms", "-2",
          "Invalid value -2 for configuration retention.ms: Value must be at least -1");
    topic("cleanup.policy", "x",
          "Invalid value x for configuration cleanup.policy: String must be "
          "one of: compact, delete");
    topic("cleanup.policy", "compact,delete", NULL);
    topic("min.compaction.lag.ms", "9223372036854775807", NULL);
    topic("max.compaction.lag.ms", "5", NULL);
    topic("remote.storage.enable", "true",
          "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with "
          "remote log storage.");
    struct config_pair both[] = {{STR("min.compaction.lag.ms"), STR("6")},
                                 {STR("max.compaction.lag.ms"), STR("5")}};
    struct str said;
    assert_int_equal(config_validate(CONFIG_TOPIC, both, 2, &below, &arena, &said),
                     ERR_INVALID_CONFIG);
    assert_true(str_equal(said, STR("conflict topic config setting min.compaction.lag.ms (6) > "
                                    "max.compaction.lag.ms (5)")));
    assert_int_equal(config_validate(CONFIG_TOPIC, NULL, 0, &below, &arena, &said), ERR_OK);
}

static void broker(const char *name, const char *value, bool per_broker, err_t expected) {
    struct config_pair pair = {str_from_c(name), str_from_c(value)};
    struct str said = STR("");
    assert_int_equal(config_validate_broker(&pair, 1, per_broker, file, &arena, &said), expected);
}

static void broker_settings(void **state) {
    (void)state;
    broker("message.max.bytes", "5", false, ERR_OK);
    broker("message.max.bytes", "5", true, ERR_OK);
    broker("message.max.bytes", "-5", true, ERR_INVALID_CONFIG);
    broker("num.partitions", "5", true, ERR_INVALID_REQUEST);
    broker("ssl.keystore.location", "/k", false, ERR_INVALID_REQUEST);
    broker("ssl.keystore.location", "/k", true, ERR_INVALID_CONFIG);
    broker("listeners", "PLAINTEXT://:1", true, ERR_INVALID_CONFIG);
    broker("plugin.key", "x", true, ERR_OK);
    broker("leader.replication.throttled.rate", "5", true, ERR_OK);
}

static bool pair_get(const void *arg, struct str name, struct str *ret_value) {
    const struct config_pair *pair = arg;
    bool found = str_equal(pair->name, name);
    if (found) {
        *ret_value = pair->value;
    }
    return found;
}

/* A topic's settings go together with those that all topics have. */
static void what_topics_fall_back_to(void **state) {
    (void)state;
    struct config_pair lag = {STR("log.cleaner.max.compaction.lag.ms"), STR("5")};
    below.cluster = (struct config_lookup){pair_get, &lag};
    topic("min.compaction.lag.ms", "5", NULL);
    topic("min.compaction.lag.ms", "6",
          "conflict topic config setting min.compaction.lag.ms (6) > max.compaction.lag.ms (5)");
    below.cluster = (struct config_lookup){0};
    topic("min.compaction.lag.ms", "6", NULL);
}

/* What a broker has with this setting. */
static struct config *changed(const char *name, const char *value) {
    struct config_pair pair = {str_from_c(name), str_from_c(value)};
    struct config_layers layers = {.file = file, .broker = {pair_get, &pair}};
    return config_with_dynamic(&layers);
}

static void change(const char *name, const char *from, const char *to, const char *message) {
    struct config *now = changed(name, from), *next = changed(name, to);
    struct str said = STR("");
    err_t err = config_validate_broker_change(now, next, &arena, &said);
    assert_int_equal(err, message == NULL ? ERR_OK : ERR_INVALID_CONFIG);
    if (message != NULL && !str_equal(said, str_from_c(message))) {
        fail_msg("'%s' instead of '%s'", said.data, message);
    }
    config_unref(now);
    config_unref(next);
}

static void what_a_running_broker_cannot_go_on_with(void **state) {
    (void)state;
    change("log.cleaner.threads", "2", "0", "Log cleaner threads should be at least 1");
    change("log.cleaner.threads", "2", "4", NULL);
    change("log.cleaner.threads", "2", "5",
           "Log cleaner threads cannot be increased to more than double the current value 2");
    change("log.cleaner.threads", "5", "2", NULL);
    change("log.cleaner.threads", "4", "1",
           "Log cleaner threads cannot be reduced to less than half the current value 4");
    const char *small = "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.";
    change("log.cleaner.dedupe.buffer.size", "5000000", "1048576", small);
    change("log.cleaner.dedupe.buffer.size", "5000000", "-5", small);
    change("log.cleaner.dedupe.buffer.size", "5000000", "1048577", NULL);
    const char *full =
        "offset map is too small to fit in even a single message, so log cleaning will never make "
        "progress. You can increase log.cleaner.io.buffer.load.factor";
    change("log.cleaner.io.buffer.load.factor", "0.9", "0", full);
    change("log.cleaner.io.buffer.load.factor", "0.9", "-1", full);
    change("log.cleaner.io.buffer.load.factor", "0.9", "2", NULL);
    change("log.retention.ms", "5", "0",
           "log.retention.ms must be unlimited (-1) or, greater than or equal to 1");
    change("log.roll.ms", "5", "0", "log.roll.ms must be greater than or equal to 1");
    change("log.roll.jitter.ms", "5", "-1",
           "log.roll.jitter.ms must be greater than or equal to 0");
    change("max.connections.per.ip", "5", "0",
           "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides "
           "property is set.");
    change("num.io.threads", "8", "3",
           "Dynamic thread count update validation failed for num.io.threads=3, value should be at "
           "least half the current value 8");
    change("background.threads", "10", "21",
           "Dynamic thread count update validation failed for background.threads=21, value should "
           "not be greater than double the current value 10");
    change("num.replica.fetchers", "1", "2", NULL);
}

static void other_scopes(void **state) {
    (void)state;
    struct config_pair pair = {STR("interval.mss"), STR("1")};
    struct str said;
    assert_int_equal(config_validate(CONFIG_CLIENT_METRICS, &pair, 1, &below, &arena, &said),
                     ERR_INVALID_CONFIG);
    pair = (struct config_pair){STR("share.isolation.level"), STR("x")};
    assert_int_equal(config_validate(CONFIG_GROUP, &pair, 1, &below, &arena, &said),
                     ERR_INVALID_CONFIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topic_settings),
        cmocka_unit_test(broker_settings),
        cmocka_unit_test(what_topics_fall_back_to),
        cmocka_unit_test(what_a_running_broker_cannot_go_on_with),
        cmocka_unit_test(other_scopes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
