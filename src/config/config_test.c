/* A node's settings from its file: what is taken, warned of, and refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/listeners.h"

struct fixture {
    struct config_report report;
    struct config *config;
    struct arena arena;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    arena_init(&f->arena, SIZE_MAX);
    config_report_init(&f->report);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    config_unref(f->config);
    config_report_done(&f->report);
    arena_done(&f->arena);
    free(f);
    return 0;
}

/* The defaults of a single node, and `more` behind them. */
static err_t start(struct fixture *f, const char *more) {
    size_t base_count, more_count;
    const struct config_pair *base = config_pairs_default(&base_count);
    struct config_pair *added;
    config_unref(f->config);
    f->config = NULL;
    config_report_done(&f->report);
    config_report_init(&f->report);
    assert_int_equal(config_properties_parse(str_from_c(more), &f->arena, &added, &more_count), 0);
    struct config_pair *pairs = ARENA_ARRAY(&f->arena, struct config_pair, base_count + more_count);
    memcpy(pairs, base, base_count * sizeof *pairs);
    memcpy(pairs + base_count, added, more_count * sizeof *pairs);
    return config_new(pairs, base_count + more_count, &f->report, &f->config);
}

static bool mentions(const struct str *texts, size_t count, const char *part) {
    for (size_t i = 0; i < count; i++) {
        if (memmem(texts[i].data, texts[i].size, part, strlen(part)) != NULL) {
            return true;
        }
    }
    return false;
}

static void starts(struct fixture *f, const char *more) {
    err_t err = start(f, more);
    if (err != ERR_OK) {
        fail_msg("%s: %.*s", more, STR_ARGS(f->report.errors[0]));
    }
}

static void is_refused(struct fixture *f, const char *more, const char *why) {
    assert_int_equal(start(f, more), ERR_INVALID);
    assert_null(f->config);
    if (!mentions(f->report.errors, f->report.error_count, why)) {
        fail_msg("%s: no error says '%s', but: %.*s", more, why, STR_ARGS(f->report.errors[0]));
    }
}

static void a_single_node_needs_no_file(void **state) {
    struct fixture *f = *state;
    starts(f, "");
    assert_int_equal(f->report.warning_count, 0);
    assert_int_equal(config_int(f->config, CONFIG_NODE_ID), 1);
    assert_int_equal(config_int(f->config, CONFIG_BROKER_ID), 1);
    assert_true(str_equal(config_log_dirs(f->config), STR("./data")));
    assert_true(str_equal(config_metadata_log_dir(f->config), STR("./data")));
    assert_true(config_bool(f->config, CONFIG_OTTLA_AUTO_FORMAT));
    assert_int_equal(config_int(f->config, CONFIG_NUM_PARTITIONS), 1);
    assert_true(config_is_null(f->config, CONFIG_LOG_RETENTION_MS));
    assert_false(config_is_set(f->config, CONFIG_NUM_PARTITIONS));
    assert_true(config_double(f->config, CONFIG_LOG_CLEANER_MIN_CLEANABLE_RATIO) == 0.5);
    assert_true(str_equal(config_str(f->config, CONFIG_COMPRESSION_TYPE), STR("producer")));
}

static void a_later_value_wins(void **state) {
    struct fixture *f = *state;
    starts(f, "num.partitions=2\nnum.partitions=7");
    assert_int_equal(config_int(f->config, CONFIG_NUM_PARTITIONS), 7);
    starts(f, "num.partitions=oops\nnum.partitions=7");
}

static void times_fall_back(void **state) {
    struct fixture *f = *state;
    starts(f, "");
    assert_int_equal(config_effective_long(f->config, CONFIG_LOG_RETENTION_MS), 604800000);
    assert_int_equal(config_effective_long(f->config, CONFIG_LOG_ROLL_MS), 604800000);
    assert_int_equal(config_effective_long(f->config, CONFIG_LOG_ROLL_JITTER_MS), 0);
    assert_int_equal(config_effective_long(f->config, CONFIG_LOG_FLUSH_INTERVAL_MS), INT64_MAX);
    starts(f, "log.retention.hours=2");
    assert_int_equal(config_effective_long(f->config, CONFIG_LOG_RETENTION_MS), 7200000);
    starts(f, "log.retention.hours=2\nlog.retention.minutes=3");
    assert_int_equal(config_effective_long(f->config, CONFIG_LOG_RETENTION_MS), 180000);
    starts(f, "log.retention.hours=2\nlog.retention.minutes=3\nlog.retention.ms=-1");
    assert_int_equal(config_effective_long(f->config, CONFIG_LOG_RETENTION_MS), -1);
    starts(f, "log.retention.hours=-1");
    assert_int_equal(config_effective_long(f->config, CONFIG_LOG_RETENTION_MS), -1);
    starts(f, "log.flush.scheduler.interval.ms=5");
    assert_int_equal(config_effective_long(f->config, CONFIG_LOG_FLUSH_INTERVAL_MS), 5);
}

static void a_bad_value_names_key_value_and_range(void **state) {
    struct fixture *f = *state;
    is_refused(f, "num.partitions=0",
               "Invalid value 0 for configuration num.partitions: Value must be at least 1 "
               "(valid: [1,...])");
    is_refused(f, "compression.type=brotli", "brotli for configuration compression.type");
    is_refused(f, "auto.create.topics.enable=maybe", "Expected value to be either true or false");
    is_refused(f, "num.partitions=0\nlog.segment.bytes=1", "log.segment.bytes");
    assert_int_equal(f->report.error_count, 2);
}

static void a_typo_names_the_nearest_key(void **state) {
    struct fixture *f = *state;
    starts(f, "log.retension.ms=5\nsomething.else.altogether=1\nrsm.config.bucket=b");
    assert_true(mentions(f->report.warnings, f->report.warning_count,
                         "unknown key 'log.retension.ms' is ignored; did you mean "
                         "log.retention.ms?"));
    assert_true(mentions(f->report.warnings, f->report.warning_count,
                         "unknown key 'something.else.altogether'"));
    assert_true(mentions(f->report.warnings, f->report.warning_count, "rsm.config.bucket"));
}

static void inert_keys_are_named_in_one_warning(void **state) {
    struct fixture *f = *state;
    starts(f, "num.io.threads=8\ngroup.share.max.size=3\nnum.partitions=3");
    assert_int_equal(f->report.warning_count, 1);
    assert_true(mentions(f->report.warnings, 1, "group.share.max.size, num.io.threads"));
    assert_false(mentions(f->report.warnings, 1, "num.partitions,"));
}

static void what_would_protect_ends_the_start(void **state) {
    struct fixture *f = *state;
    is_refused(f, "ssl.keystore.location=/k", "ssl.keystore.location is set and not enforced");
    is_refused(f, "sasl.enabled.mechanisms=PLAIN", "sasl.enabled.mechanisms");
    is_refused(f, "authorizer.class.name=x.Y", "authorizer.class.name");
    is_refused(f, "create.topic.policy.class.name=x.Y", "create.topic.policy.class.name");
    is_refused(f, "principal.builder.class=x.Y", "principal.builder.class");
    is_refused(f, "client.quota.callback.class=x.Y", "client.quota.callback.class");
    is_refused(f, "security.inter.broker.protocol=SSL", "security.inter.broker.protocol");
    is_refused(f, "listener.name.plaintext.sasl.enabled.mechanisms=PLAIN",
               "listener.name.plaintext");
    is_refused(f, "listener.security.protocol.map=PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT",
               "SASL_SSL");
    starts(f, "sasl.enabled.mechanisms=GSSAPI\nsecurity.inter.broker.protocol=PLAINTEXT");
}

/* Every protective row, set to something else than its default. */
static void every_protective_row_ends_the_start(void **state) {
    struct fixture *f = *state;
    for (int i = (int)config_scope_first(CONFIG_BROKER); i < (int)config_scope_end(CONFIG_BROKER);
         i++) {
        const struct config_row *row = config_row((enum config_key)i);
        if (row->class != CONFIG_PROTECTIVE) {
            continue;
        }
        const char *value = row->type == CONFIG_TYPE_BOOLEAN ? "true"
                            : row->choices != NULL           ? "SSL"
                            : row->type >= CONFIG_TYPE_LIST  ? "something"
                                                             : "77";
        char line[256];
        (void)snprintf(line, sizeof line, "%s=%s", row->name, value);
        is_refused(f, line, row->name);
    }
}

static void required_keys(void **state) {
    struct fixture *f = *state;
    assert_int_equal(config_new(NULL, 0, &f->report, &f->config), ERR_INVALID);
    assert_true(mentions(f->report.errors, f->report.error_count,
                         "Missing required configuration \"process.roles\""));
    assert_true(mentions(f->report.errors, f->report.error_count, "\"node.id\""));
    assert_true(mentions(f->report.errors, f->report.error_count, "\"controller.listener.names\""));
}

static void listeners_must_fit_together(void **state) {
    struct fixture *f = *state;
    is_refused(f, "listeners=PLAINTEXT//x", "Unable to parse PLAINTEXT//x to a broker endpoint");
    is_refused(f, "listeners=PLAINTEXT://h:99999,CONTROLLER://h:1", "Unable to parse");
    is_refused(f, "listeners=PLAINTEXT://::1:9092,CONTROLLER://h:1", "Unable to parse");
    is_refused(f, "listeners=PLAINTEXT://h:1,CONTROLLER://h:1", "different port");
    is_refused(f, "listeners=PLAINTEXT://h:1,plaintext://h:2,CONTROLLER://h:3", "different name");
    is_refused(f, "listeners=PLAINTEXT://h:1", "at least one value appearing in the 'listeners'");
    is_refused(f, "listeners=CONTROLLER://h:1", "at least one broker advertised listener");
    is_refused(f, "listeners=OTHER://h:1,CONTROLLER://h:2", "No security protocol defined");
    is_refused(f, "listeners=PLAINTEXT://0.0.0.0:1,CONTROLLER://h:2", "meta-address 0.0.0.0");
    is_refused(f, "advertised.listeners=PLAINTEXT://0.0.0.0:1", "meta-address 0.0.0.0");
    is_refused(f, "advertised.listeners=OTHER://h:1", "Found OTHER");
    is_refused(f, "inter.broker.listener.name=CONTROLLER", "must be a listener name defined");
    is_refused(f, "node.id=2\nbroker.id=3", "same value as `broker.id`");
    is_refused(f, "process.roles=broker", "just the broker role");
    is_refused(f, "process.roles=controller", "must only contain KRaft controller listeners");
    is_refused(f, "controller.quorum.voters=2@h:1", "must be included in the set of voters");
    is_refused(f, "controller.quorum.bootstrap.servers=", "either controller.quorum.bootstrap");
    starts(f, "process.roles=controller\nlisteners=CONTROLLER://h:1");
    starts(f,
           "listeners=PLAINTEXT://0.0.0.0:1,CONTROLLER://:2\nadvertised.listeners=PLAINTEXT://h:1");
    starts(f, "listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://[::1]:1");
}

static void groups_are_checked(void **state) {
    struct fixture *f = *state;
    is_refused(f, "group.consumer.heartbeat.interval.ms=4999",
               "group.consumer.heartbeat.interval.ms must be greater than or equal to "
               "group.consumer.min.heartbeat.interval.ms");
    is_refused(f, "group.consumer.session.timeout.ms=60001",
               "group.consumer.session.timeout.ms must be less than or equal to "
               "group.consumer.max.session.timeout.ms");
    is_refused(f,
               "group.consumer.max.assignment.interval.ms=1\n"
               "group.consumer.min.assignment.interval.ms=2",
               "group.consumer.max.assignment.interval.ms must be greater than or equal to "
               "group.consumer.min.assignment.interval.ms");
    is_refused(f,
               "group.consumer.min.session.timeout.ms=1\n"
               "group.consumer.session.timeout.ms=5000",
               "group.consumer.heartbeat.interval.ms must be less than "
               "group.consumer.session.timeout.ms");
    is_refused(f, "group.consumer.assignors=uniform,x.Y", "Class x.Y cannot be found");
    is_refused(f, "group.coordinator.rebalance.protocols=consumer",
               "Disabling the 'classic' protocol is not supported.");
    starts(f, "group.consumer.assignors="
              "org.apache.kafka.coordinator.group.assignor.RangeAssignor,uniform");
}

static void limits_and_times_are_checked(void **state) {
    struct fixture *f = *state;
    is_refused(f, "log.retention.ms=0", "log.retention.ms must be unlimited");
    is_refused(f, "log.roll.ms=0", "log.roll.ms must be greater");
    is_refused(f, "queued.max.request.bytes=5", "queued.max.request.bytes must be larger");
    is_refused(f, "max.connections.per.ip=0", "can be set to zero only if");
    is_refused(f, "max.connections.per.ip.overrides=h", "host:count");
    is_refused(f, "socket.send.buffer.bytes=0", "socket.send.buffer.bytes");
    is_refused(f, "replica.fetch.wait.max.ms=40000", "frequent changes in ISR");
    is_refused(f, "log.cleaner.min.compaction.lag.ms=5\nlog.cleaner.max.compaction.lag.ms=4",
               "lag");
    is_refused(f, "ottla.http.listener=0.0.0.0:8092", "loopback");
    is_refused(f, "ottla.http.listener=8092", "host:port, or none");
    starts(f, "ottla.http.listener=none\nmax.connections.per.ip=0\n"
              "max.connections.per.ip.overrides=127.0.0.1:9,h:1");
    starts(f, "broker.heartbeat.interval.ms=8000");
    assert_true(mentions(f->report.warnings, f->report.warning_count, "half of"));
}

static void listeners_are_taken_apart(void **state) {
    struct fixture *f = *state;
    struct config_listener listeners[CONFIG_LISTENER_MAX];
    starts(f, "listeners=INSIDE://:19092,OUTSIDE://[::]:9092,CONTROLLER://127.0.0.1:9093\n"
              "listener.security.protocol.map=INSIDE:PLAINTEXT,outside:PLAINTEXT,"
              "CONTROLLER:PLAINTEXT\n"
              "advertised.listeners=OUTSIDE://kafka.example:443\n");
    assert_int_equal(config_listeners(f->config, listeners, CONFIG_LISTENER_MAX), 3);
    assert_true(str_equal(listeners[0].name, STR("INSIDE")));
    assert_int_equal(listeners[0].host.size, 0);
    assert_false(listeners[0].advertised);
    assert_true(str_equal(listeners[1].host, STR("::")));
    assert_true(listeners[1].advertised);
    assert_true(str_equal(listeners[1].advertised_host, STR("kafka.example")));
    assert_int_equal(listeners[1].advertised_port, 443);
    assert_true(str_equal(listeners[1].protocol, STR("PLAINTEXT")));
    assert_true(listeners[2].controller);
    assert_false(listeners[2].advertised);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_single_node_needs_no_file),
        TEST(a_later_value_wins),
        TEST(times_fall_back),
        TEST(a_bad_value_names_key_value_and_range),
        TEST(a_typo_names_the_nearest_key),
        TEST(inert_keys_are_named_in_one_warning),
        TEST(what_would_protect_ends_the_start),
        TEST(every_protective_row_ends_the_start),
        TEST(required_keys),
        TEST(listeners_must_fit_together),
        TEST(groups_are_checked),
        TEST(limits_and_times_are_checked),
        TEST(listeners_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
