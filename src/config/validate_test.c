#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

static struct config *file;
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
    err_t err = config_validate(CONFIG_TOPIC, &pair, 1, file, &arena, &said);
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
    assert_int_equal(config_validate(CONFIG_TOPIC, both, 2, file, &arena, &said),
                     ERR_INVALID_CONFIG);
    assert_true(str_equal(said, STR("conflict topic config setting min.compaction.lag.ms (6) > "
                                    "max.compaction.lag.ms (5)")));
    assert_int_equal(config_validate(CONFIG_TOPIC, NULL, 0, file, &arena, &said), ERR_OK);
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

static void other_scopes(void **state) {
    (void)state;
    struct config_pair pair = {STR("interval.mss"), STR("1")};
    struct str said;
    assert_int_equal(config_validate(CONFIG_CLIENT_METRICS, &pair, 1, file, &arena, &said),
                     ERR_INVALID_CONFIG);
    pair = (struct config_pair){STR("share.isolation.level"), STR("x")};
    assert_int_equal(config_validate(CONFIG_GROUP, &pair, 1, file, &arena, &said),
                     ERR_INVALID_CONFIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topic_settings),
        cmocka_unit_test(broker_settings),
        cmocka_unit_test(other_scopes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
