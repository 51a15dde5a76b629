/* Each setting of a topic, and what it becomes for its partitions; and which layer wins. */
#include "replica/replica_fixture_test.h"

#include "replica/topic_config.h"

static struct fixture f;
static struct partition_config found;

static int set_up(void **state) {
    (void)state;
    fixture_init(&f, 1);
    fixture_start(&f);
    (void)fixture_topic(&f, "t", 1);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fixture_done(&f);
    return 0;
}

static void read_config(void) {
    fixture_commit(&f);
    topic_config_read(f.image, STR("t"), 1, f.config, &found);
}

static void set(const char *name, const char *value) {
    fixture_config(&f, META_RESOURCE_TOPIC, "t", name, value);
    read_config();
}

static void defaults(void **state) {
    (void)state;
    read_config();
    assert_int_equal(found.log.segment_bytes, 1 << 30);
    assert_int_equal(found.log.segment_ms, INT64_C(7) * 24 * 3600 * 1000);
    assert_int_equal(found.log.segment_jitter_ms, 0);
    assert_int_equal(found.log.segment_index_bytes, 10 << 20);
    assert_int_equal(found.log.index_interval_bytes, 4096);
    assert_int_equal(found.log.retention_ms, INT64_C(7) * 24 * 3600 * 1000);
    assert_int_equal(found.log.retention_bytes, -1);
    assert_int_equal(found.log.flush_messages, INT64_MAX);
    assert_int_equal(found.log.flush_ms, INT64_MAX);
    assert_int_equal(found.log.producer_expiration_ms, 24 * 3600 * 1000);
    assert_false(found.log.preallocate);
    assert_true(found.log.cleanup_delete);
    assert_false(found.log.cleanup_compact);
    assert_true(found.rules.keep_compression);
    assert_false(found.rules.log_append_time);
    assert_false(found.rules.compacted);
    assert_int_equal(found.rules.timestamp_before_ms_max, INT64_MAX);
    assert_int_equal(found.rules.timestamp_after_ms_max, 3600 * 1000);
    assert_int_equal(found.rules.message_size_max, 1048588);
    assert_int_equal(found.min_insync_replicas, 1);
}

/* A number: its setting, a value, where it must be found. */
static void numbers(void **state) {
    (void)state;
#define ROW(name, value, field)                                                                    \
    set(name, #value);                                                                             \
    assert_int_equal(found.field, value)
    ROW("segment.bytes", 1234567, log.segment_bytes);
    ROW("segment.ms", 1001, log.segment_ms);
    ROW("segment.jitter.ms", 1002, log.segment_jitter_ms);
    ROW("segment.index.bytes", 1003, log.segment_index_bytes);
    ROW("index.interval.bytes", 1004, log.index_interval_bytes);
    ROW("retention.ms", 1005, log.retention_ms);
    ROW("retention.bytes", 1006, log.retention_bytes);
    ROW("flush.messages", 1007, log.flush_messages);
    ROW("flush.ms", 1008, log.flush_ms);
    ROW("file.delete.delay.ms", 1009, log.file_delete_delay_ms);
    ROW("max.message.bytes", 1010, rules.message_size_max);
    ROW("message.timestamp.before.max.ms", 1011, rules.timestamp_before_ms_max);
    ROW("message.timestamp.after.max.ms", 1012, rules.timestamp_after_ms_max);
    ROW("min.insync.replicas", 3, min_insync_replicas);
    ROW("compression.gzip.level", 4, rules.gzip_level);
    ROW("compression.lz4.level", 5, rules.lz4_level);
    ROW("compression.zstd.level", 6, rules.zstd_level);
#undef ROW
    assert_int_equal(found.rules.segment_size_max, 1234567);
}

static void words(void **state) {
    (void)state;
    set("preallocate", "true");
    assert_true(found.log.preallocate);
    set("message.timestamp.type", "LogAppendTime");
    assert_true(found.rules.log_append_time);
    set("cleanup.policy", "compact");
    assert_false(found.log.cleanup_delete);
    assert_true(found.log.cleanup_compact);
    assert_true(found.rules.compacted);
    set("cleanup.policy", "compact,delete");
    assert_true(found.log.cleanup_delete);
    assert_true(found.log.cleanup_compact);
}

static void codecs(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum compression_type type;
    } rows[] = {{"uncompressed", COMPRESSION_NONE},
                {"gzip", COMPRESSION_GZIP},
                {"snappy", COMPRESSION_SNAPPY},
                {"lz4", COMPRESSION_LZ4},
                {"zstd", COMPRESSION_ZSTD}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set("compression.type", rows[i].name);
        assert_false(found.rules.keep_compression);
        assert_int_equal(found.rules.compression, rows[i].type);
    }
    set("compression.type", "producer");
    assert_true(found.rules.keep_compression);
}

static void the_nearest_layer_wins(void **state) {
    (void)state;
    fixture_config(&f, META_RESOURCE_BROKER, "", "log.retention.ms", "3000");
    read_config();
    assert_int_equal(found.log.retention_ms, 3000);
    fixture_config(&f, META_RESOURCE_BROKER, "1", "log.retention.ms", "2000");
    read_config();
    assert_int_equal(found.log.retention_ms, 2000);
    set("retention.ms", "1000");
    assert_int_equal(found.log.retention_ms, 1000);
    set("retention.ms", NULL);
    assert_int_equal(found.log.retention_ms, 2000);
    fixture_config(&f, META_RESOURCE_BROKER, "1", "log.retention.ms", NULL);
    fixture_config(&f, META_RESOURCE_BROKER, "", "log.retention.ms", NULL);
    read_config();
    assert_int_equal(found.log.retention_ms, INT64_C(7) * 24 * 3600 * 1000);
}

static void the_file_is_the_last_layer(void **state) {
    (void)state;
    fixture_stop(&f);
    fixture_set(&f, "log.retention.hours", "2");
    fixture_set(&f, "log.segment.bytes", "2000000");
    fixture_set(&f, "compression.type", "lz4");
    fixture_set(&f, "producer.id.expiration.ms", "5000");
    fixture_start(&f);
    read_config();
    assert_int_equal(found.log.retention_ms, 2 * 3600 * 1000);
    assert_int_equal(found.log.segment_bytes, 2000000);
    assert_int_equal(found.rules.compression, COMPRESSION_LZ4);
    assert_int_equal(found.log.producer_expiration_ms, 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(defaults),
        TEST(numbers),
        TEST(words),
        TEST(codecs),
        TEST(the_nearest_layer_wins),
        TEST(the_file_is_the_last_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
