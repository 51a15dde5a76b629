/* A producer, against the broker at OTTLA_TEST_BOOTSTRAP: what it says it delivered is read back.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ottla/producer.h"
#include "read_back.h"
#include "suite.h"

enum { RECORDS_MAX = 20000, FLUSH_MS = 60000 };

/* --- a producer with settings of its own --- */

struct told {
    int calls;
    int code;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;
    char text[200];
};

static struct told told[RECORDS_MAX];
static int told_count;
static struct ottla_client *client;
static struct ottla_producer *producer;

static void delivered(void *arg, const struct ottla_delivery *delivery) {
    struct told *to = arg;
    to->calls++;
    to->code = delivery->code;
    to->partition = delivery->partition;
    to->offset = delivery->offset;
    to->timestamp_ms = delivery->timestamp_ms;
    (void)snprintf(to->text, sizeof to->text, "%s", delivery->text);
    told_count++;
}

static void begin(const char *const *settings) {
    struct ottla_config *config = suite_config();
    struct ottla_error error = {0};
    for (; settings[0] != NULL; settings += 2) {
        if (ottla_config_set(config, settings[0], settings[1], &error) != OTTLA_OK) {
            fail_msg("%s", error.text);
        }
    }
    if (ottla_client_new(config, &client, &error) != OTTLA_OK ||
        ottla_producer_new(client, &producer, &error) != OTTLA_OK) {
        fail_msg("%s", error.text);
    }
    ottla_config_free(config);
    memset(told, 0, sizeof told);
    told_count = 0;
}

#define BEGIN(...) begin((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void end(void) {
    ottla_producer_free(producer);
    ottla_client_free(client);
}

static void flush(void) {
    assert_int_equal(ottla_producer_flush(producer, FLUSH_MS), OTTLA_OK);
    struct ottla_producer_stats stats;
    ottla_producer_stats(producer, &stats);
    assert_int_equal(stats.records, 0);
    assert_int_equal(stats.memory, 0);
}

static int produce(const char *topic, int32_t partition, const char *key, const char *value,
                   struct told *to) {
    struct ottla_record record = {
        .topic = topic,
        .partition = partition,
        .timestamp_ms = OTTLA_TIMESTAMP_NOW,
        .key = {key, key == NULL ? 0 : strlen(key)},
        .value = {value, value == NULL ? 0 : strlen(value)},
    };
    struct ottla_error error = {0};
    int code = ottla_produce_wait(producer, &record, to == NULL ? NULL : delivered, to, &error);
    if (code != OTTLA_OK) {
        assert_true(error.text[0] != 0);
    }
    return code;
}

static void check_told(int count) {
    assert_int_equal(told_count, count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(told[i].calls, 1);
        if (told[i].code != OTTLA_OK) {
            fail_msg("record %d: %s", i, told[i].text);
        }
    }
}

/* Values "0", "1" … in order; each at the offset it was said to have. */
static void check_numbers(const char *topic, int count) {
    struct read_back read;
    read_back(client, topic, 0, &read);
    assert_int_equal(read.count, count);
    for (int i = 0; i < count; i++) {
        char value[16];
        (void)snprintf(value, sizeof value, "%d", i);
        assert_int_equal(read.records[i].value.size, strlen(value));
        assert_memory_equal(read.records[i].value.data, value, strlen(value));
        assert_int_equal(told[i].offset, read.records[i].offset);
    }
    read_back_done(&read);
}

static void produce_numbers(const char *topic, int count) {
    for (int i = 0; i < count; i++) {
        char value[16];
        (void)snprintf(value, sizeof value, "%d", i);
        assert_int_equal(produce(topic, 0, NULL, value, &told[i]), OTTLA_OK);
    }
}

/* --- tests --- */

static void each_codec_arrives(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"none", "client.id", "x"},
        {"gzip", "compression.gzip.level", "1"},
        {"snappy", "client.id", "x"},
        {"lz4", "compression.lz4.level", "12"},
        {"zstd", "compression.zstd.level", "-5"},
    };
    for (size_t codec = 0; codec < sizeof cases / sizeof *cases; codec++) {
        char topic[64];
        suite_topic_name(cases[codec][0], topic);
        BEGIN("compression.type", cases[codec][0], cases[codec][1], cases[codec][2]);
        produce_numbers(topic, 3000);
        flush();
        check_told(3000);
        check_numbers(topic, 3000);
        struct read_back read;
        read_back(client, topic, 0, &read);
        assert_int_equal(read.codecs[10], codec);
        read_back_done(&read);
        end();
    }
}

static void each_acks_arrives(void **state) {
    (void)state;
    static const char *const acks[] = {"0", "1", "all"};
    for (size_t i = 0; i < 3; i++) {
        char topic[64];
        suite_topic_name("acks", topic);
        BEGIN("acks", acks[i], "enable.idempotence", i == 2 ? "true" : "false");
        produce_numbers(topic, 500);
        flush();
        check_told(500);
        if (i == 0) {
            assert_int_equal(told[0].offset, -1);
            for (int n = 0; n < 500; n++) {
                told[n].offset = n;
            }
            usleep(300000); /* it is only on its way */
        }
        check_numbers(topic, 500);
        end();
    }
}

static void keys_headers_nulls_and_times(void **state) {
    (void)state;
    char topic[64];
    suite_topic_name("parts", topic);
    BEGIN();
    static const struct ottla_header headers[] = {
        {"trace", 5, {"\0\1\2", 3}}, {"trace", 5, {NULL, 0}}, {"empty", 5, {"", 0}}};
    struct ottla_record record = {.topic = topic,
                                  .partition = 0,
                                  .timestamp_ms = 1700000000123,
                                  .key = {"k", 1},
                                  .headers = headers,
                                  .header_count = 3};
    assert_int_equal(ottla_produce(producer, &record, delivered, &told[0], NULL), OTTLA_OK);
    record = (struct ottla_record){
        .topic = topic, .partition = 0, .timestamp_ms = 1700000000001, .value = {"", 0}};
    assert_int_equal(ottla_produce(producer, &record, delivered, &told[1], NULL), OTTLA_OK);
    flush();
    check_told(2);
    assert_int_equal(told[0].timestamp_ms, 1700000000123);
    struct read_back read;
    read_back(client, topic, 0, &read);
    assert_int_equal(read.count, 2);
    assert_int_equal(read.records[0].timestamp, 1700000000123);
    assert_int_equal(read.records[1].timestamp, 1700000000001);
    assert_null(read.records[0].value.data);
    assert_int_equal(read.records[0].key.size, 1);
    assert_int_equal(read.records[0].header_count, 3);
    assert_null(read.records[1].key.data);
    assert_non_null(read.records[1].value.data);
    size_t position = 0;
    struct record_header header;
    record_header_next(&read.records[0], &position, &header);
    assert_true(str_equal(header.key, STR("trace")));
    assert_memory_equal(header.value.data, "\0\1\2", 3);
    record_header_next(&read.records[0], &position, &header);
    assert_null(header.value.data);
    record_header_next(&read.records[0], &position, &header);
    assert_int_equal(header.value.size, 0);
    read_back_done(&read);
    end();
}

static void keys_choose_partitions_as_javas(void **state) {
    (void)state;
    char topic[64];
    suite_topic_name("keys", topic);
    BEGIN("linger.ms", "0");
    topic_create(client, topic, 7, NULL);
    static const char *const keys[] = {"", "a", "ab", "abc", "abcd", "21", "foobar", "kafka"};
    static const int partitions[] = {2, 5, 0, 4, 5, 3, 0, 3}; /* told by Java's client */
    for (int i = 0; i < 8; i++) {
        assert_int_equal(produce(topic, OTTLA_PARTITION_ANY, keys[i], "v", &told[i]), OTTLA_OK);
    }
    flush();
    check_told(8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(told[i].partition, partitions[i]);
    }
    end();
}

static void without_keys_all_partitions_get_batches(void **state) {
    (void)state;
    static const char *const partitioners[] = {"", "roundrobin", "random"};
    for (size_t i = 0; i < 3; i++) {
        char topic[64], value[101] = {0};
        suite_topic_name("spread", topic);
        if (i == 0) {
            BEGIN("batch.size", "4096");
        } else {
            BEGIN("partitioner.class", partitioners[i]);
        }
        topic_create(client, topic, 4, NULL);
        memset(value, 'x', 100);
        int counts[4] = {0}, changes = 0;
        for (int n = 0; n < 4000; n++) {
            assert_int_equal(produce(topic, OTTLA_PARTITION_ANY, NULL, value, &told[n]), OTTLA_OK);
        }
        flush();
        check_told(4000);
        for (int n = 1; n < 4000; n++) {
            counts[told[n].partition]++;
            changes += told[n].partition != told[n - 1].partition;
        }
        for (int p = 0; p < 4; p++) {
            assert_in_range(counts[p], i == 0 ? 200 : 850, i == 0 ? 2500 : 1150);
        }
        assert_in_range(changes, i == 0 ? 20 : 2500, i == 0 ? 200 : 4000);
        end();
    }
}

static void too_large_batches_go_in_pieces(void **state) {
    (void)state;
    char topic[64], value[1001] = {0};
    suite_topic_name("split", topic);
    BEGIN("batch.size", "60000", "linger.ms", "50");
    topic_create(client, topic, 1, "max.message.bytes", "5000", NULL);
    memset(value, 'x', 1000);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(value, 8, "%06d", i);
        value[6] = 'x';
        assert_int_equal(produce(topic, 0, NULL, value, &told[i]), OTTLA_OK);
    }
    flush();
    check_told(300);
    struct read_back read;
    read_back(client, topic, 0, &read);
    assert_int_equal(read.count, 300);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(value, 8, "%06d", i);
        assert_memory_equal(read.records[i].value.data, value, 6);
        assert_int_equal(told[i].offset, i);
    }
    read_back_done(&read);
    struct ottla_producer_stats stats;
    ottla_producer_stats(producer, &stats);
    assert_in_range(stats.splits, 50, 150);

    static char large[8001];
    memset(large, 'y', 8000);
    assert_int_equal(produce(topic, 0, NULL, "before", &told[300]), OTTLA_OK);
    assert_int_equal(produce(topic, 0, NULL, large, &told[301]), OTTLA_OK);
    assert_int_equal(produce(topic, 0, NULL, "after", &told[302]), OTTLA_OK);
    flush();
    assert_int_equal(told[300].code, OTTLA_OK);
    assert_int_equal(told[301].code, ERR_MESSAGE_TOO_LARGE);
    assert_int_equal(told[302].code, OTTLA_OK);
    assert_int_equal(told[302].offset, 301);
    end();
}

static void memory_is_bounded(void **state) {
    (void)state;
    char topic[64];
    static char value[10001];
    memset(value, 'x', 10000);
    suite_topic_name("memory", topic);
    BEGIN("buffer.memory", "200000");
    struct ottla_record record = {.topic = topic, .value = {value, 10000}};
    struct ottla_error error = {0};
    int count = 0, code;
    while ((code = ottla_produce(producer, &record, delivered, &told[count], &error)) == OTTLA_OK) {
        count++;
    }
    assert_int_equal(code, OTTLA_BUSY);
    assert_non_null(strstr(error.text, "buffer.memory"));
    assert_in_range(count, 10, 20);
    struct ottla_producer_stats stats;
    ottla_producer_stats(producer, &stats);
    assert_true(stats.memory <= 200000);
    assert_int_equal(stats.records, count);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(produce(topic, 0, NULL, value, &told[count++]), OTTLA_OK);
        ottla_producer_stats(producer, &stats);
        assert_true(stats.memory <= 200000);
    }
    flush();
    check_told(count);
    ottla_producer_stats(producer, &stats);
    assert_int_equal(stats.delivered, count);
    end();
}

static void wrong_records_are_refused(void **state) {
    (void)state;
    BEGIN("max.request.size", "1000");
    struct ottla_error error = {0};
    static char value[1001];
    struct ottla_header headers[] = {{NULL, 0, {NULL, 0}}};
    static char long_name[300];
    memset(long_name, 'n', sizeof long_name - 1);
    struct ottla_record wrong[] = {
        {.topic = NULL},
        {.topic = ""},
        {.topic = long_name},
        {.topic = "t", .partition = -2},
        {.topic = "t", .timestamp_ms = -2},
        {.topic = "t", .key = {NULL, 3}},
        {.topic = "t", .value = {NULL, 3}},
        {.topic = "t", .headers = NULL, .header_count = 1},
        {.topic = "t", .headers = headers, .header_count = 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        error.text[0] = 0;
        assert_int_equal(ottla_produce(producer, &wrong[i], NULL, NULL, &error), OTTLA_INVALID);
        assert_true(error.text[0] != 0);
    }
    struct ottla_record large = {.topic = "t", .value = {value, 1000}};
    assert_int_equal(ottla_produce(producer, &large, NULL, NULL, &error), ERR_MESSAGE_TOO_LARGE);
    assert_non_null(strstr(error.text, "max.request.size"));
    end();
}

static void what_brokers_refuse_fails(void **state) {
    (void)state;
    char topic[64];
    BEGIN();
    assert_int_equal(produce("no/such+name", 0, NULL, "v", &told[0]), OTTLA_OK);
    suite_topic_name("compacted", topic);
    topic_create(client, topic, 1, "cleanup.policy", "compact", NULL);
    assert_int_equal(produce(topic, 0, "k", "v", &told[1]), OTTLA_OK);
    assert_int_equal(produce(topic, 0, NULL, "v", &told[2]), OTTLA_OK);
    flush();
    assert_int_equal(told[0].code, ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(told[1].code, ERR_INVALID_RECORD);
    assert_int_equal(told[2].code, ERR_INVALID_RECORD);
    assert_non_null(strstr(told[1].text, "another record"));
    assert_non_null(strstr(told[2].text, "key"));
    assert_int_equal(produce(topic, 0, "k", "later ones go on", &told[3]), OTTLA_OK);
    flush();
    assert_int_equal(told[3].code, OTTLA_OK);
    assert_int_equal(told[3].offset, 0);
    assert_int_equal(produce("no/such+name", 0, NULL, "again", &told[4]), OTTLA_OK);
    assert_int_equal(ottla_producer_flush(producer, 10000), OTTLA_OK);
    assert_int_equal(told[4].code, ERR_INVALID_TOPIC_EXCEPTION);
    end();
}

static void append_time_is_told(void **state) {
    (void)state;
    char topic[64];
    suite_topic_name("appendtime", topic);
    BEGIN();
    topic_create(client, topic, 1, "message.timestamp.type", "LogAppendTime", NULL);
    struct ottla_record record = {.topic = topic, .timestamp_ms = 1000, .value = {"v", 1}};
    assert_int_equal(ottla_produce(producer, &record, delivered, &told[0], NULL), OTTLA_OK);
    flush();
    check_told(1);
    assert_true(told[0].timestamp_ms > 1700000000000);
    end();
}

static void partitions_grow(void **state) {
    (void)state;
    char topic[64];
    suite_topic_name("grow", topic);
    BEGIN("max.block.ms", "5000");
    topic_create(client, topic, 1, NULL);
    assert_int_equal(produce(topic, 0, NULL, "v", &told[0]), OTTLA_OK);
    assert_int_equal(produce(topic, 4, NULL, "it waits for its partition", &told[1]), OTTLA_OK);
    assert_int_equal(produce(topic, 9, NULL, "this one in vain", &told[2]), OTTLA_OK);
    topic_grow(client, topic, 6);
    flush();
    assert_int_equal(told[0].code, OTTLA_OK);
    assert_int_equal(told[1].code, OTTLA_OK);
    assert_int_equal(told[1].partition, 4);
    assert_int_equal(told[2].code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_non_null(strstr(told[2].text, "6 partitions"));
    end();
}

static void many_partitions_share_requests(void **state) {
    (void)state;
    char topic[64];
    suite_topic_name("many", topic);
    BEGIN("linger.ms", "20");
    topic_create(client, topic, 200, NULL);
    for (int i = 0; i < 4000; i++) {
        assert_int_equal(produce(topic, i % 200, NULL, "v", &told[i]), OTTLA_OK);
    }
    flush();
    check_told(4000);
    struct ottla_producer_stats stats;
    ottla_producer_stats(producer, &stats);
    assert_true(stats.requests < 400);
    for (int i = 0; i < 4000; i++) {
        assert_int_equal(told[i].partition, i % 200);
        assert_int_equal(told[i].offset, i / 200);
    }
    end();
}

static void free_tells_all(void **state) {
    (void)state;
    char topic[64];
    suite_topic_name("freed", topic);
    BEGIN("linger.ms", "10000");
    assert_int_equal(produce(topic, 0, NULL, "first", &told[0]), OTTLA_OK);
    flush();
    for (int i = 1; i < 1000; i++) { /* some in batches, some in flight */
        assert_int_equal(produce(topic, 0, NULL, "a value of some length", &told[i]), OTTLA_OK);
    }
    assert_int_equal(produce("freed-and-never-heard-of", 0, NULL, "v", &told[1000]), OTTLA_OK);
    ottla_producer_free(producer);
    assert_int_equal(told_count, 1001);
    for (int i = 0; i <= 1000; i++) {
        assert_int_equal(told[i].calls, 1);
        assert_true(told[i].code == OTTLA_OK || told[i].code == OTTLA_CLOSED);
    }
    assert_int_equal(told[1000].code, OTTLA_CLOSED);
    ottla_client_free(client);
}

static void nobody_there_times_out(void **state) {
    (void)state;
    BEGIN("bootstrap.servers", "127.0.0.1:1", "max.block.ms", "500", "linger.ms", "0");
    assert_int_equal(produce("t", 0, NULL, "v", &told[0]), OTTLA_OK);
    assert_int_equal(ottla_producer_flush(producer, 100), OTTLA_TIMED_OUT);
    flush();
    assert_int_equal(told[0].code, OTTLA_TIMED_OUT);
    end();
}

/* --- functions of the caller --- */

static const char *again_topic;
static int again_left;

static void produce_again(void *arg, const struct ottla_delivery *delivery) {
    (void)arg;
    assert_int_equal(delivery->code, OTTLA_OK);
    assert_int_equal(ottla_producer_flush(producer, 100), OTTLA_BUSY); /* it does not wait here */
    if (again_left-- > 0) {
        struct ottla_record record = {.topic = again_topic, .value = {"v", 1}};
        assert_int_equal(ottla_produce(producer, &record, produce_again, NULL, NULL), OTTLA_OK);
    }
}

static void deliveries_may_produce(void **state) {
    (void)state;
    char topic[64];
    suite_topic_name("again", topic);
    BEGIN("linger.ms", "0");
    again_topic = topic;
    again_left = 50;
    struct ottla_record record = {.topic = topic, .value = {"v", 1}};
    assert_int_equal(ottla_produce(producer, &record, produce_again, NULL, NULL), OTTLA_OK);
    flush();
    assert_true(again_left < 0);
    struct ottla_producer_stats stats;
    ottla_producer_stats(producer, &stats);
    assert_int_equal(stats.delivered, 51);
    end();
}

/* Nothing waits in the library: the program polls the client's descriptor until its deadline. */
static void programs_may_have_loops_of_their_own(void **state) {
    (void)state;
    char topic[64];
    suite_topic_name("polled", topic);
    BEGIN("linger.ms", "20");
    int produced = 0;
    while (told_count < 300) {
        if (produced < 300 && produced - told_count < 10) {
            struct ottla_record record = {.topic = topic, .value = {"v", 1}};
            assert_int_equal(ottla_produce(producer, &record, delivered, &told[produced++], NULL),
                             OTTLA_OK);
            continue;
        }
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t wait_ms =
            ottla_client_deadline_ms(client) - now.tv_sec * 1000 - now.tv_nsec / 1000000;
        struct pollfd fd = {.fd = ottla_client_fd(client), .events = POLLIN};
        (void)poll(&fd, 1, wait_ms < 0 ? 0 : wait_ms > 1000 ? 1000 : (int)wait_ms + 1);
        ottla_client_run(client, 0);
    }
    check_told(300);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_codec_arrives),
        cmocka_unit_test(each_acks_arrives),
        cmocka_unit_test(keys_headers_nulls_and_times),
        cmocka_unit_test(keys_choose_partitions_as_javas),
        cmocka_unit_test(without_keys_all_partitions_get_batches),
        cmocka_unit_test(too_large_batches_go_in_pieces),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(wrong_records_are_refused),
        cmocka_unit_test(what_brokers_refuse_fails),
        cmocka_unit_test(append_time_is_told),
        cmocka_unit_test(partitions_grow),
        cmocka_unit_test(many_partitions_share_requests),
        cmocka_unit_test(free_tells_all),
        cmocka_unit_test(nobody_there_times_out),
        cmocka_unit_test(deliveries_may_produce),
        cmocka_unit_test(programs_may_have_loops_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
