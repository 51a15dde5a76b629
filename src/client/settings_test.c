/* Settings: what is taken, what is refused and in which words, and what they come to together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/settings.h"

static struct ottla_config *config;
static struct ottla_error error;
static struct client_settings settings;

static int make(void **state) {
    (void)state;
    config = ottla_config_new();
    memset(&error, 0, sizeof error);
    return 0;
}

static int drop(void **state) {
    (void)state;
    ottla_config_free(config);
    return 0;
}

static int set(const char *name, const char *value) {
    return ottla_config_set(config, name, value, &error);
}

static err_t settle(void) {
    return client_settings_of(config, &settings, &error);
}

static void defaults_are_kafkas(void **state) {
    (void)state;
    assert_int_equal(settle(), ERR_OK);
    assert_int_equal(settings.acks, -1);
    assert_int_equal(settings.linger_ms, 5);
    assert_int_equal(settings.batch_size, 16384);
    assert_int_equal(settings.buffer_memory, 33554432);
    assert_int_equal(settings.retries, INT32_MAX);
    assert_true(settings.enable_idempotence);
    assert_int_equal(settings.compression_type, COMPRESSION_NONE);
    assert_int_equal(settings.connections_max_idle_ms, 540000);
    assert_int_equal(settings.default_api_timeout_ms, 60000);
    assert_int_equal(settings.auto_offset_reset, CLIENT_RESET_LATEST);
    assert_int_equal(settings.group_protocol, CLIENT_GROUP_CLASSIC);
    assert_int_equal(settings.metadata_recovery_strategy, CLIENT_RECOVERY_REBOOTSTRAP);
    assert_int_equal(settings.isolation_level, CLIENT_READ_UNCOMMITTED);
    assert_null(settings.group_id);
    assert_null(settings.partitioner_class);
    assert_string_equal(settings.client_id, "");
    assert_string_equal(ottla_config_get(config, "acks"), "all");
    assert_null(ottla_config_get(config, "group.id"));
    assert_null(ottla_config_get(config, "no.such.setting"));
}

static void values_are_checked_in_kafkas_words(void **state) {
    (void)state;
    static const struct {
        const char *name, *value, *text;
    } rows[] = {
        {"linger.ms", "-1",
         "Invalid value -1 for configuration linger.ms: Value must be at least 0"},
        {"batch.size", "many",
         "Invalid value many for configuration batch.size: Not a number of type INT"},
        {"acks", "2",
         "Invalid value 2 for configuration acks: String must be one of: all, -1, 0, 1"},
        {"enable.idempotence", "yes",
         "Invalid value yes for configuration enable.idempotence: Expected value to be either "
         "true or false"},
        {"compression.gzip.level", "10",
         "Invalid value 10 for configuration compression.gzip.level: Value must be between 1 and "
         "9 or equal to -1"},
        {"group.instance.id", "",
         "Invalid value  for configuration group.instance.id: String must be non-empty"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(set(rows[i].name, rows[i].value), OTTLA_INVALID);
        assert_int_equal(error.code, OTTLA_INVALID);
        assert_string_equal(error.text, rows[i].text);
    }
    assert_int_equal(settle(), ERR_OK); /* nothing of it was taken */
    assert_int_equal(settings.linger_ms, 5);
}

static void unknown_names_get_the_nearest(void **state) {
    (void)state;
    assert_int_equal(set("bootstrap.server", "x:1"), OTTLA_NOT_FOUND);
    assert_non_null(strstr(error.text, "did you mean bootstrap.servers?"));
    assert_int_equal(set("linger", "1"), OTTLA_NOT_FOUND);
    assert_int_equal(set("something.else.altogether", "1"), OTTLA_NOT_FOUND);
    assert_null(strstr(error.text, "did you mean"));
}

static void protection_that_is_not_there_is_refused(void **state) {
    (void)state;
    assert_int_equal(set("security.protocol", "SASL_SSL"), OTTLA_UNSUPPORTED);
    assert_non_null(strstr(error.text, "security.protocol=SASL_SSL"));
    assert_int_equal(set("security.protocol", "PLAINTEXT"), OTTLA_OK);
    assert_int_equal(set("ssl.truststore.location", "/tmp/x"), OTTLA_UNSUPPORTED);
    assert_int_equal(set("sasl.jaas.config", "user secret"), OTTLA_UNSUPPORTED);
    assert_null(strstr(error.text, "secret"));
    assert_int_equal(set("sasl.mechanism", "GSSAPI"), OTTLA_OK); /* the default protects nothing */
}

static void names_of_java_have_no_effect(void **state) {
    (void)state;
    assert_int_equal(set("key.serializer", "org.example.Serializer"), OTTLA_OK);
    assert_int_equal(set("metric.reporters", ""), OTTLA_OK);
    assert_string_equal(ottla_config_get(config, "key.serializer"), "org.example.Serializer");
    assert_int_equal(settle(), ERR_OK);
}

static void null_is_the_default(void **state) {
    (void)state;
    assert_int_equal(set("linger.ms", " 20 "), OTTLA_OK);
    assert_string_equal(ottla_config_get(config, "linger.ms"), "20");
    struct ottla_config *copy = ottla_config_copy(config);
    assert_int_equal(set("linger.ms", NULL), OTTLA_OK);
    assert_string_equal(ottla_config_get(config, "linger.ms"), "5");
    assert_string_equal(ottla_config_get(copy, "linger.ms"), "20");
    ottla_config_free(copy);
}

static void conflicts_are_told(void **state) {
    (void)state;
    assert_int_equal(set("acks", "1"), OTTLA_OK);
    assert_int_equal(settle(), ERR_OK); /* idempotence was not asked for: it gives way */
    assert_false(settings.enable_idempotence);
    assert_int_equal(set("enable.idempotence", "true"), OTTLA_OK);
    assert_int_equal(settle(), ERR_INVALID);
    assert_non_null(strstr(error.text, "Must set acks to all"));
    assert_int_equal(set("acks", "-1"), OTTLA_OK);
    assert_int_equal(settle(), ERR_OK);
    assert_int_equal(set("max.in.flight.requests.per.connection", "6"), OTTLA_OK);
    assert_int_equal(settle(), ERR_INVALID);
    assert_int_equal(set("max.in.flight.requests.per.connection", "5"), OTTLA_OK);
    assert_int_equal(set("retries", "0"), OTTLA_OK);
    assert_int_equal(settle(), ERR_INVALID);
    assert_int_equal(set("enable.idempotence", "false"), OTTLA_OK);
    assert_int_equal(settle(), ERR_OK);
    assert_int_equal(set("transactional.id", "t"), OTTLA_OK);
    assert_int_equal(settle(), ERR_INVALID);
}

static void transactions_need_idempotence(void **state) {
    (void)state;
    assert_int_equal(set("transactional.id", "t"), OTTLA_OK);
    assert_int_equal(settle(), ERR_OK);
    assert_true(settings.enable_idempotence);
    assert_int_equal(settings.transaction_timeout_ms, 60000);
    assert_int_equal(set("acks", "1"), OTTLA_OK);
    assert_int_equal(settle(), ERR_INVALID);
    assert_int_equal(set("acks", "all"), OTTLA_OK);
    assert_int_equal(set("max.in.flight.requests.per.connection", "6"), OTTLA_OK);
    assert_int_equal(settle(), ERR_INVALID);
    assert_int_equal(set("max.in.flight.requests.per.connection", NULL), OTTLA_OK);
    assert_int_equal(settle(), ERR_OK);
    assert_int_equal(set("enable.idempotence", "false"), OTTLA_OK);
    assert_int_equal(settle(), ERR_INVALID);
    assert_non_null(strstr(error.text, "transactional.id"));
    assert_int_equal(set("transactional.id", ""), OTTLA_INVALID);
    assert_int_equal(set("transaction.two.phase.commit.enable", "true"), OTTLA_UNSUPPORTED);
}

static void the_delivery_timeout_follows_unless_it_is_given(void **state) {
    (void)state;
    assert_int_equal(set("linger.ms", "200000"), OTTLA_OK);
    assert_int_equal(settle(), ERR_OK);
    assert_int_equal(settings.delivery_timeout_ms, 230000);
    assert_int_equal(set("delivery.timeout.ms", "1000"), OTTLA_OK);
    assert_int_equal(settle(), ERR_INVALID);
    assert_non_null(strstr(error.text, "delivery.timeout.ms should be equal to or larger than"));
    assert_int_equal(set("retry.backoff.ms", "7000"), OTTLA_OK);
    assert_int_equal(set("linger.ms", "0"), OTTLA_OK);
    assert_int_equal(set("request.timeout.ms", "500"), OTTLA_OK);
    assert_int_equal(settle(), ERR_OK);
    assert_int_equal(settings.retry_backoff_max_ms, 7000);
}

static void settings_belong_to_a_group_protocol(void **state) {
    (void)state;
    assert_int_equal(set("heartbeat.interval.ms", "45000"), OTTLA_OK);
    assert_int_equal(settle(), ERR_INVALID);
    assert_int_equal(set("heartbeat.interval.ms", "4000"), OTTLA_OK);
    assert_int_equal(settle(), ERR_OK);
    assert_int_equal(set("group.protocol", "consumer"), OTTLA_OK);
    assert_int_equal(settle(), ERR_INVALID);
    assert_string_equal(error.text,
                        "heartbeat.interval.ms cannot be set when group.protocol=CONSUMER");
    assert_int_equal(set("heartbeat.interval.ms", NULL), OTTLA_OK);
    assert_int_equal(set("group.remote.assignor", "range"), OTTLA_OK);
    assert_int_equal(settle(), ERR_OK);
    assert_int_equal(set("group.protocol", "classic"), OTTLA_OK);
    assert_int_equal(settle(), ERR_INVALID);
}

static void durations_are_read_as_java_does(void **state) {
    (void)state;
    static const struct {
        const char *value;
        int64_t ms;
    } rows[] = {{"P1D", 86400000},
                {"PT2H", 7200000},
                {"P1DT2H3M4.5S", 93784500},
                {"pt30m", 1800000},
                {"PT0S", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char value[64];
        (void)snprintf(value, sizeof value, "by_duration:%s", rows[i].value);
        assert_int_equal(set("auto.offset.reset", value), OTTLA_OK);
        assert_int_equal(settle(), ERR_OK);
        assert_int_equal(settings.auto_offset_reset, CLIENT_RESET_DURATION);
        assert_int_equal(settings.auto_offset_reset_duration_ms, rows[i].ms);
    }
    static const char *const bad[] = {"by_duration:P1H", "by_duration:PTM", "by_duration:PT1M1H",
                                      "by_duration:PTT1H"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (set("auto.offset.reset", bad[i]) == OTTLA_OK) {
            assert_int_equal(settle(), ERR_INVALID);
            assert_non_null(strstr(error.text, "Unable to parse duration"));
        }
    }
}

static void write_file(char path[64], const char *text) {
    (void)snprintf(path, 64, "settings-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void files_are_read(void **state) {
    (void)state;
    char path[64];
    write_file(path,
               "# a comment\nbootstrap.servers = a:1,\\\n   b:2\nacks: 1\nclient.id=x\\u0041\n");
    assert_int_equal(ottla_config_read(config, path, &error), OTTLA_OK);
    unlink(path);
    assert_string_equal(ottla_config_get(config, "bootstrap.servers"), "a:1,b:2");
    assert_string_equal(ottla_config_get(config, "client.id"), "xA");
    write_file(path, "acks=all\nlingerr.ms=4\n");
    assert_int_equal(ottla_config_read(config, path, &error), OTTLA_NOT_FOUND);
    unlink(path);
    assert_non_null(strstr(error.text, path)); /* which file, */
    assert_non_null(strstr(error.text, "linger.ms?"));
    assert_int_equal(ottla_config_read(config, "not-there.properties", &error), OTTLA_NOT_FOUND);
    assert_non_null(strstr(error.text, "not-there.properties"));
}

static void the_table_can_be_walked(void **state) {
    (void)state;
    struct ottla_config_row row;
    size_t count = 0, live = 0;
    for (; ottla_config_row(count, &row); count++) {
        live += row.effect ? 1 : 0;
        assert_true(!row.effect || row.help[0] != 0);
        const char *now = ottla_config_get(config, row.name);
        assert_true((now == NULL) == (row.default_text == NULL));
    }
    assert_true(count > 130);
    assert_true(live > 55);
}

/* Another value than the default. */
static void other_value(const struct ottla_config_row *row, char value[64]) {
    static const struct {
        const char *name, *value;
    } chosen[] = {{"acks", "1"},
                  {"compression.type", "zstd"},
                  {"metadata.recovery.strategy", "none"},
                  {"group.protocol", "consumer"},
                  {"isolation.level", "read_committed"},
                  {"auto.offset.reset", "earliest"},
                  {"retries", "7"},
                  {"compression.gzip.level", "4"}};
    for (size_t i = 0; i < sizeof chosen / sizeof chosen[0]; i++) {
        if (strcmp(row->name, chosen[i].name) == 0) {
            (void)snprintf(value, 64, "%s", chosen[i].value);
            return;
        }
    }
    if (strcmp(row->type, "boolean") == 0) {
        (void)snprintf(value, 64, "%s", row->default_text[0] == 't' ? "false" : "true");
    } else if (strcmp(row->type, "int") == 0 || strcmp(row->type, "long") == 0) {
        (void)snprintf(value, 64, "%lld", atoll(row->default_text) + 1);
    } else {
        (void)snprintf(value, 64, "something:1");
    }
}

/* What is said to have an effect reaches the settings. */
static void every_setting_with_an_effect_arrives(void **state) {
    (void)state;
    struct client_settings before, after;
    struct ottla_config_row row;
    for (size_t i = 0; ottla_config_row(i, &row); i++) {
        if (!row.effect) {
            continue;
        }
        char value[64];
        struct ottla_config *one = ottla_config_new();
        memset(&before, 0, sizeof before);
        memset(&after, 0, sizeof after);
        if (strcmp(row.name, "group.remote.assignor") == 0) {
            assert_int_equal(ottla_config_set(one, "group.protocol", "consumer", &error), OTTLA_OK);
        }
        assert_int_equal(client_settings_of(one, &before, &error), ERR_OK);
        other_value(&row, value);
        assert_int_equal(ottla_config_set(one, row.name, value, &error), OTTLA_OK);
        assert_int_equal(client_settings_of(one, &after, &error), ERR_OK);
        assert_memory_not_equal(&before, &after, sizeof before);
        ottla_config_free(one);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_kafkas),
        TEST(values_are_checked_in_kafkas_words),
        TEST(unknown_names_get_the_nearest),
        TEST(protection_that_is_not_there_is_refused),
        TEST(names_of_java_have_no_effect),
        TEST(null_is_the_default),
        TEST(conflicts_are_told),
        TEST(transactions_need_idempotence),
        TEST(the_delivery_timeout_follows_unless_it_is_given),
        TEST(settings_belong_to_a_group_protocol),
        TEST(durations_are_read_as_java_does),
        TEST(files_are_read),
        TEST(the_table_can_be_walked),
        TEST(every_setting_with_an_effect_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
