/*
 * A consumer, alone, against the broker at OTTLA_TEST_BOOTSTRAP: what a producer wrote comes back,
 * in order, from wherever it is wanted; offsets are committed and found again.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "calls.h"
#include "ottla/consumer.h"
#include "ottla/producer.h"
#include "suite.h"

enum { WAIT_MS = 30000, PARTITIONS_MAX = 16 };

static struct ottla_client *client;
static struct ottla_consumer *consumer;
static char topic[64];

/* --- a world of a test: a topic, a consumer --- */

static struct ottla_client *client_with(const char *const *settings) {
    struct ottla_config *config = suite_config();
    struct ottla_error error = {0};
    struct ottla_client *made;
    for (; settings[0] != NULL; settings += 2) {
        if (ottla_config_set(config, settings[0], settings[1], &error) != OTTLA_OK) {
            fail_msg("%s", error.text);
        }
    }
    if (ottla_client_new(config, &made, &error) != OTTLA_OK) {
        fail_msg("%s", error.text);
    }
    ottla_config_free(config);
    return made;
}

static void begin(const char *what, int32_t partitions, const char *const *settings) {
    struct ottla_error error = {0};
    client = client_with(settings);
    suite_topic_name(what, topic);
    calls_make_topic(client, topic, partitions);
    assert_int_equal(ottla_consumer_new(client, &consumer, &error), OTTLA_OK);
}

#define BEGIN(what, partitions, ...)                                                               \
    begin(what, partitions, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void end(void) {
    assert_int_equal(ottla_consumer_close(consumer, WAIT_MS), OTTLA_OK);
    ottla_consumer_free(consumer);
    calls_delete_topic(client, topic);
    ottla_client_free(client);
}

/* --- what is there to be read: values "0", "1" … of each partition --- */

struct writer {
    struct ottla_client *client;
    struct ottla_producer *producer;
    int failed;
};

static void delivered(void *arg, const struct ottla_delivery *delivery) {
    struct writer *writer = arg;
    if (delivery->code != OTTLA_OK) {
        fprintf(stderr, "%s\n", delivery->text);
        writer->failed++;
    }
}

static void write_begin(struct writer *writer, const char *codec) {
    struct ottla_error error = {0};
    writer->client = client_with((const char *const[]){"compression.type", codec, NULL});
    writer->failed = 0;
    assert_int_equal(ottla_producer_new(writer->client, &writer->producer, &error), OTTLA_OK);
}

static void write_one(struct writer *writer, int32_t partition, int64_t timestamp_ms,
                      const char *value, const struct ottla_header *headers, size_t header_count) {
    struct ottla_error error = {0};
    struct ottla_record record = {.topic = topic,
                                  .partition = partition,
                                  .timestamp_ms = timestamp_ms,
                                  .value = {value, value == NULL ? 0 : strlen(value)},
                                  .headers = headers,
                                  .header_count = header_count};
    if (ottla_produce_wait(writer->producer, &record, delivered, writer, &error) != OTTLA_OK) {
        fail_msg("%s", error.text);
    }
}

static void write_end(struct writer *writer) {
    assert_int_equal(ottla_producer_flush(writer->producer, WAIT_MS), OTTLA_OK);
    assert_int_equal(writer->failed, 0);
    ottla_producer_free(writer->producer);
    ottla_client_free(writer->client);
}

static void write_numbers(int32_t partition, int from, int count, const char *codec) {
    struct writer writer;
    write_begin(&writer, codec);
    for (int i = from; i < from + count; i++) {
        char value[16];
        (void)snprintf(value, sizeof value, "%d", i);
        write_one(&writer, partition, 1000000 + i, value, NULL, 0);
    }
    write_end(&writer);
}

/* --- reading --- */

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static size_t poll_ok(const struct ottla_record **ret_records, int64_t timeout_ms) {
    struct ottla_error error = {0};
    size_t count;
    int code = ottla_consumer_poll(consumer, timeout_ms, ret_records, &count, &error);
    if (code != OTTLA_OK) {
        fail_msg("poll: %s", error.text);
    }
    return count;
}

/* Values of partition 0 are from, from + 1 …, until `to`. */
static void read_numbers(int from, int to) {
    int64_t until = now_ms() + WAIT_MS;
    int next = from;
    while (next < to && now_ms() < until) {
        const struct ottla_record *records;
        size_t count = poll_ok(&records, 1000);
        for (size_t i = 0; i < count; i++) {
            char value[16];
            (void)snprintf(value, sizeof value, "%d", next);
            assert_int_equal(records[i].value.size, strlen(value));
            assert_memory_equal(records[i].value.data, value, strlen(value));
            assert_int_equal(records[i].offset, next);
            assert_string_equal(records[i].topic, topic);
            next++;
        }
    }
    assert_int_equal(next, to);
}

static void expect_nothing(int64_t for_ms) {
    const struct ottla_record *records;
    assert_int_equal(poll_ok(&records, for_ms), 0);
}

static struct ottla_position at(int32_t partition, int64_t offset) {
    return (struct ottla_position){
        .topic = topic, .partition = partition, .offset = offset, .leader_epoch = -1};
}

static void assign(int64_t offset) {
    struct ottla_error error = {0};
    struct ottla_position position = at(0, offset);
    if (ottla_consumer_assign(consumer, &position, 1, &error) != OTTLA_OK) {
        fail_msg("%s", error.text);
    }
}

static int64_t offset_of(int32_t partition) {
    struct ottla_partition place = {topic, partition};
    struct ottla_position position;
    return ottla_consumer_position(consumer, &place, &position) == OTTLA_OK ? position.offset : -1;
}

static const struct ottla_partition *first(void) {
    static struct ottla_partition place;
    place = (struct ottla_partition){topic, 0};
    return &place;
}

/* --- tests --- */

static void every_codec_is_read(void **state) {
    (void)state;
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    BEGIN("codecs", 1);
    assign(OTTLA_OFFSET_EARLIEST);
    for (int i = 0; i < 5; i++) {
        write_numbers(0, i * 2000, 2000, codecs[i]);
    }
    read_numbers(0, 10000);
    assert_int_equal(offset_of(0), 10000);
    assert_int_equal(ottla_consumer_lag(consumer, first()), 0);
    assert_true(ottla_consumer_at_end(consumer, first()));
    end();
}

static void headers_keys_nulls_and_times(void **state) {
    (void)state;
    struct writer writer;
    BEGIN("fields", 1);
    write_begin(&writer, "zstd");
    struct ottla_header headers[] = {{"a", 1, {"x", 1}}, {"empty", 5, {"", 0}}, {"none", 4, {0}}};
    write_one(&writer, 0, 1234567890123, NULL, headers, 3);
    write_one(&writer, 0, 1234567890124, "", NULL, 0);
    write_end(&writer);
    assign(OTTLA_OFFSET_EARLIEST);
    const struct ottla_record *records;
    size_t count = 0;
    for (int64_t until = now_ms() + WAIT_MS; count == 0 && now_ms() < until;) {
        count = poll_ok(&records, 1000);
    }
    assert_int_equal(count, 2);
    assert_null(records[0].key.data);
    assert_null(records[0].value.data);
    assert_int_equal(records[0].timestamp_ms, 1234567890123);
    assert_int_equal(records[0].timestamp_type, OTTLA_CREATE_TIME);
    assert_true(records[0].leader_epoch >= 0);
    assert_int_equal(records[0].header_count, 3);
    assert_string_equal(records[0].headers[0].key, "a");
    assert_int_equal(records[0].headers[0].value.size, 1);
    assert_non_null(records[0].headers[1].value.data);
    assert_int_equal(records[0].headers[1].value.size, 0);
    assert_null(records[0].headers[2].value.data);
    assert_non_null(records[1].value.data);
    assert_int_equal(records[1].value.size, 0);
    assert_int_equal(records[1].header_count, 0);
    end();
}

static void small_fetches_bring_all(void **state) {
    (void)state;
    BEGIN("small", 1, "max.partition.fetch.bytes", "1000", "fetch.max.bytes", "3000",
          "max.poll.records", "7");
    write_numbers(0, 0, 3000, "none");
    assign(OTTLA_OFFSET_EARLIEST);
    read_numbers(0, 3000);
    end();
}

static void many_partitions_come_each_in_order(void **state) {
    (void)state;
    enum { PARTITIONS = 12, EACH = 500 };
    struct ottla_position positions[PARTITIONS];
    int next[PARTITIONS] = {0}, total = 0;
    struct ottla_error error = {0};
    BEGIN("many", PARTITIONS, "max.poll.records", "100");
    for (int32_t p = 0; p < PARTITIONS; p++) {
        write_numbers(p, 0, EACH, p % 2 == 0 ? "lz4" : "none");
        positions[p] = at(p, OTTLA_OFFSET_EARLIEST);
    }
    assert_int_equal(ottla_consumer_assign(consumer, positions, PARTITIONS, &error), OTTLA_OK);
    assert_int_equal(ottla_consumer_assignment(consumer, NULL, 0), PARTITIONS);
    for (int64_t until = now_ms() + WAIT_MS; total < PARTITIONS * EACH && now_ms() < until;) {
        const struct ottla_record *records;
        size_t count = poll_ok(&records, 1000);
        assert_true(count <= 100);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(records[i].offset, next[records[i].partition]++);
            total++;
        }
    }
    assert_int_equal(total, PARTITIONS * EACH);
    end();
}

static void seek_goes_anywhere(void **state) {
    (void)state;
    BEGIN("seek", 1, "auto.offset.reset", "earliest");
    write_numbers(0, 0, 1000, "gzip");
    assign(500);
    read_numbers(500, 1000);
    struct ottla_position to = at(0, 123);
    assert_int_equal(ottla_consumer_seek(consumer, &to), OTTLA_OK);
    assert_int_equal(offset_of(0), 123);
    read_numbers(123, 1000);
    to.offset = OTTLA_OFFSET_EARLIEST;
    assert_int_equal(ottla_consumer_seek(consumer, &to), OTTLA_OK);
    assert_int_equal(offset_of(0), -1); /* not known yet */
    read_numbers(0, 1000);
    to.offset = OTTLA_OFFSET_LATEST;
    assert_int_equal(ottla_consumer_seek(consumer, &to), OTTLA_OK);
    expect_nothing(500);
    assert_int_equal(offset_of(0), 1000);
    write_numbers(0, 1000, 10, "none");
    read_numbers(1000, 1010);
    to.partition = 5;
    assert_int_equal(ottla_consumer_seek(consumer, &to), OTTLA_NOT_FOUND);
    end();
}

/* In the middle of what was fetched already. */
static void seek_back_between_polls(void **state) {
    (void)state;
    BEGIN("back", 1, "max.poll.records", "10");
    write_numbers(0, 0, 200, "none");
    assign(OTTLA_OFFSET_EARLIEST);
    const struct ottla_record *records;
    while (poll_ok(&records, 1000) == 0) {
    }
    struct ottla_position to = at(0, 3);
    assert_int_equal(ottla_consumer_seek(consumer, &to), OTTLA_OK);
    assert_string_equal(records[0].topic, topic); /* good until the next poll */
    assert_memory_equal(records[9].value.data, "9", 1);
    read_numbers(3, 200);
    end();
}

static void out_of_range_is_reset(void **state) {
    (void)state;
    BEGIN("reset", 1, "auto.offset.reset", "earliest");
    write_numbers(0, 0, 100, "none");
    assign(5000);
    read_numbers(0, 100);
    end();
}

static void without_a_reset_it_is_told(void **state) {
    (void)state;
    const struct ottla_record *records;
    struct ottla_error error = {0};
    size_t count;
    BEGIN("noreset", 1, "auto.offset.reset", "none");
    write_numbers(0, 0, 100, "none");
    assign(5000);
    int code = OTTLA_OK;
    for (int64_t until = now_ms() + WAIT_MS; code == OTTLA_OK && now_ms() < until;) {
        code = ottla_consumer_poll(consumer, 1000, &records, &count, &error);
    }
    assert_int_equal(code, 1); /* OFFSET_OUT_OF_RANGE */
    assert_non_null(strstr(error.text, topic));
    struct ottla_position to = at(0, 50);
    assert_int_equal(ottla_consumer_seek(consumer, &to), OTTLA_OK);
    read_numbers(50, 100);
    end();
}

static void a_duration_goes_back_in_time(void **state) {
    (void)state;
    BEGIN("duration", 1, "auto.offset.reset", "by_duration:PT1H");
    struct writer writer;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t wall = now.tv_sec * 1000;
    write_begin(&writer, "none");
    for (int i = 0; i < 10; i++) { /* the first five are two hours old */
        char value[16];
        (void)snprintf(value, sizeof value, "%d", i);
        write_one(&writer, 0, i < 5 ? wall - 7200 * 1000 : wall, value, NULL, 0);
    }
    write_end(&writer);
    assign(OTTLA_OFFSET_NONE);
    read_numbers(5, 10);
    end();
}

static void pause_holds_back(void **state) {
    (void)state;
    BEGIN("pause", 1, "max.poll.records", "10");
    write_numbers(0, 0, 100, "none");
    assign(OTTLA_OFFSET_EARLIEST);
    read_numbers(0, 10);
    assert_int_equal(ottla_consumer_pause(consumer, first(), 1), OTTLA_OK);
    expect_nothing(300);
    assert_int_equal(offset_of(0), 10);
    assert_int_equal(ottla_consumer_resume(consumer, first(), 1), OTTLA_OK);
    read_numbers(10, 100);
    end();
}

static void times_have_offsets(void **state) {
    (void)state;
    struct ottla_error error = {0};
    BEGIN("times", 2);
    write_numbers(0, 0, 100, "none"); /* record n at 1000000 + n */
    struct ottla_position positions[] = {at(0, 1000050), at(0, OTTLA_OFFSET_LATEST), at(1, 5),
                                         at(0, 0), at(0, 2000000)};
    int code = ottla_consumer_offsets_for_times(consumer, positions, 5, WAIT_MS, &error);
    if (code != OTTLA_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(positions[0].offset, 50);
    assert_int_equal(positions[1].offset, 100);
    assert_int_equal(positions[2].offset, OTTLA_OFFSET_NONE);
    assert_int_equal(positions[3].offset, 0);
    assert_int_equal(positions[4].offset, OTTLA_OFFSET_NONE);
    end();
}

/* --- commits, as a simple consumer --- */

static void commit_ok(const struct ottla_position *positions, size_t count) {
    struct ottla_error error = {0};
    if (ottla_consumer_commit(consumer, positions, count, WAIT_MS, &error) != OTTLA_OK) {
        fail_msg("%s", error.text);
    }
}

static struct ottla_position committed(int32_t partition) {
    struct ottla_error error = {0};
    struct ottla_position position = at(partition, 0);
    if (ottla_consumer_committed(consumer, &position, 1, WAIT_MS, &error) != OTTLA_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(position.code, OTTLA_OK);
    return position;
}

static void commits_are_found_again(void **state) {
    (void)state;
    char group[64];
    suite_topic_name("group", group);
    BEGIN("commits", 2, "group.id", group, "enable.auto.commit", "false", "max.poll.records", "10",
          "auto.offset.reset", "earliest");
    write_numbers(0, 0, 100, "none");
    assign(OTTLA_OFFSET_NONE);
    assert_int_equal(committed(0).offset, OTTLA_OFFSET_NONE);
    read_numbers(0, 30);
    commit_ok(NULL, 0);
    assert_int_equal(committed(0).offset, 30);
    assert_true(committed(0).leader_epoch >= 0);
    struct ottla_position other = at(1, 77);
    other.metadata = "why";
    commit_ok(&other, 1);
    assert_int_equal(committed(1).offset, 77);
    assert_string_equal(committed(1).metadata, "why");
    read_numbers(30, 50);
    assign(OTTLA_OFFSET_NONE); /* from what was committed */
    read_numbers(30, 100);
    end();
}

struct answers {
    int count;
    int64_t offsets[16];
    int codes[16];
};

static void answered(void *arg, int code, const struct ottla_position *positions, size_t count) {
    struct answers *answers = arg;
    assert_int_equal(count, 1);
    answers->codes[answers->count] = code;
    answers->offsets[answers->count++] = positions[0].offset;
}

static void commits_are_answered_in_order(void **state) {
    (void)state;
    char group[64];
    struct answers answers = {0};
    suite_topic_name("group", group);
    BEGIN("order", 1, "group.id", group);
    for (int i = 0; i < 10; i++) {
        struct ottla_position position = at(0, 10 + i);
        assert_int_equal(ottla_consumer_commit_async(consumer, &position, 1, answered, &answers),
                         OTTLA_OK);
    }
    struct ottla_position last = at(0, 99);
    commit_ok(&last, 1);
    assert_int_equal(answers.count, 10);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(answers.codes[i], OTTLA_OK);
        assert_int_equal(answers.offsets[i], 10 + i);
    }
    assert_int_equal(committed(0).offset, 99);
    end();
}

static void what_was_polled_is_committed_behind(void **state) {
    (void)state;
    char group[64];
    suite_topic_name("group", group);
    BEGIN("auto", 1, "group.id", group, "auto.commit.interval.ms", "100", "max.poll.records", "10",
          "auto.offset.reset", "earliest");
    write_numbers(0, 0, 25, "none");
    assign(OTTLA_OFFSET_NONE);
    read_numbers(0, 20);
    struct timespec pause = {.tv_nsec = 150 * 1000 * 1000};
    nanosleep(&pause, NULL);
    read_numbers(20, 25); /* this poll commits what those before handed out */
    expect_nothing(300);
    assert_true(committed(0).offset >= 20);
    assert_int_equal(ottla_consumer_close(consumer, WAIT_MS), OTTLA_OK);
    ottla_consumer_free(consumer);
    struct ottla_error error = {0};
    assert_int_equal(ottla_consumer_new(client, &consumer, &error), OTTLA_OK);
    assert_int_equal(committed(0).offset, 25); /* by the close */
    end();
}

/* --- a group of one --- */

static struct {
    int assigned, revoked;
    int commit_code;
} told;

static void on_assigned(void *arg, struct ottla_consumer *about,
                        const struct ottla_partition *partitions, size_t count) {
    assert_ptr_equal(arg, &told);
    told.assigned += (int)count;
    for (size_t i = 0; i < count; i++) {
        struct ottla_position to = at(partitions[i].partition, 40);
        assert_int_equal(ottla_consumer_seek(about, &to), OTTLA_OK);
    }
    struct ottla_error error = {0};
    const struct ottla_record *records;
    size_t none;
    assert_int_equal(ottla_consumer_poll(about, 0, &records, &none, &error), OTTLA_BUSY);
}

static void on_revoked(void *arg, struct ottla_consumer *about,
                       const struct ottla_partition *partitions, size_t count) {
    struct ottla_error error = {0};
    (void)arg;
    assert_string_equal(partitions[0].topic, topic);
    told.revoked += (int)count;
    told.commit_code = ottla_consumer_commit(about, NULL, 0, WAIT_MS, &error);
}

/* Seeks when it is assigned something, and commits when it is taken: at the close. */
static void play_alone(const char *protocol) {
    char group[64];
    struct ottla_error error = {0};
    const char *const topics[] = {topic};
    const struct ottla_rebalance rebalance = {
        .assigned = on_assigned, .revoked = on_revoked, .arg = &told};
    memset(&told, 0, sizeof told);
    suite_topic_name("alone", group);
    BEGIN("alone", 1, "group.id", group, "group.protocol", protocol, "enable.auto.commit", "false",
          "auto.offset.reset", "earliest");
    write_numbers(0, 0, 100, "none");
    assert_int_equal(ottla_consumer_subscribe(consumer, topics, 1, &rebalance, &error), OTTLA_OK);
    read_numbers(40, 100);
    assert_int_equal(told.assigned, 1);
    struct ottla_membership membership;
    assert_int_equal(ottla_consumer_membership(consumer, &membership), OTTLA_OK);
    assert_string_equal(membership.group_id, group);
    assert_true(membership.member_id[0] != 0);
    assert_true(membership.generation > 0);
    assert_int_equal(ottla_consumer_close(consumer, WAIT_MS), OTTLA_OK);
    assert_int_equal(told.revoked, 1);
    assert_int_equal(told.commit_code, OTTLA_OK);
    ottla_consumer_free(consumer);
    assert_int_equal(ottla_consumer_new(client, &consumer, &error), OTTLA_OK);
    assert_int_equal(committed(0).offset, 100);
    end();
}

static void callbacks_seek_and_commit(void **state) {
    (void)state;
    play_alone("classic");
    play_alone("consumer");
}

/* Out of the group, told of it in the next poll, and in again, where it was. */
static void unsubscribed_and_back(void **state) {
    (void)state;
    char group[64];
    struct ottla_error error = {0};
    const char *const topics[] = {topic};
    suite_topic_name("back", group);
    BEGIN("back", 1, "group.id", group, "auto.offset.reset", "earliest", "max.poll.records", "10");
    write_numbers(0, 0, 100, "none");
    assert_int_equal(ottla_consumer_subscribe(consumer, topics, 1, NULL, &error), OTTLA_OK);
    read_numbers(0, 30);
    assert_int_equal(ottla_consumer_subscribe(consumer, NULL, 0, NULL, &error), OTTLA_OK);
    assert_int_equal(ottla_consumer_assignment(consumer, NULL, 0), 0);
    assert_int_equal(ottla_consumer_subscribe(consumer, topics, 1, NULL, &error), OTTLA_OK);
    read_numbers(30, 50);
    assign(5); /* by hand instead */
    read_numbers(5, 25);
    end();
}

static void an_interruption_ends_a_poll(void **state) {
    (void)state;
    const struct ottla_record *records;
    struct ottla_error error = {0};
    size_t count;
    BEGIN("interrupt", 1);
    assign(OTTLA_OFFSET_EARLIEST);
    expect_nothing(100);
    ottla_client_interrupt(client);
    int64_t from = now_ms();
    assert_int_equal(ottla_consumer_poll(consumer, WAIT_MS, &records, &count, &error),
                     OTTLA_CLOSED);
    assert_true(now_ms() - from < WAIT_MS / 2);
    expect_nothing(100);
    ottla_client_interrupt(client); /* does not end the close that follows */
    end();
}

/* --- mistakes --- */

static void mistakes_are_named(void **state) {
    (void)state;
    struct ottla_error error = {0};
    BEGIN("mistakes", 1);
    struct ottla_position position = at(0, -7);
    assert_int_equal(ottla_consumer_assign(consumer, &position, 1, &error), OTTLA_INVALID);
    assert_non_null(strstr(error.text, "-7"));
    const char *const topics[] = {topic};
    assert_int_equal(ottla_consumer_subscribe(consumer, topics, 1, NULL, &error), OTTLA_INVALID);
    assert_non_null(strstr(error.text, "group.id"));
    assert_int_equal(ottla_consumer_commit(consumer, NULL, 0, 100, &error), OTTLA_INVALID);
    assert_int_equal(ottla_consumer_pause(consumer, first(), 1), OTTLA_NOT_FOUND);
    struct ottla_position unknown = {.topic = "no-such-topic-anywhere", .offset = 0};
    assert_int_not_equal(ottla_consumer_offsets_for_times(consumer, &unknown, 1, 500, &error),
                         OTTLA_OK);
    assert_non_null(strstr(error.text, "no-such-topic-anywhere"));
    assert_int_equal(ottla_consumer_close(consumer, WAIT_MS), OTTLA_OK);
    const struct ottla_record *records;
    size_t count;
    assert_int_equal(ottla_consumer_poll(consumer, 0, &records, &count, &error), OTTLA_CLOSED);
    ottla_consumer_free(consumer);
    calls_delete_topic(client, topic);
    ottla_client_free(client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec_is_read),
        cmocka_unit_test(headers_keys_nulls_and_times),
        cmocka_unit_test(small_fetches_bring_all),
        cmocka_unit_test(many_partitions_come_each_in_order),
        cmocka_unit_test(seek_goes_anywhere),
        cmocka_unit_test(seek_back_between_polls),
        cmocka_unit_test(out_of_range_is_reset),
        cmocka_unit_test(without_a_reset_it_is_told),
        cmocka_unit_test(a_duration_goes_back_in_time),
        cmocka_unit_test(pause_holds_back),
        cmocka_unit_test(times_have_offsets),
        cmocka_unit_test(commits_are_found_again),
        cmocka_unit_test(commits_are_answered_in_order),
        cmocka_unit_test(what_was_polled_is_committed_behind),
        cmocka_unit_test(callbacks_seek_and_commit),
        cmocka_unit_test(unsubscribed_and_back),
        cmocka_unit_test(an_interruption_ends_a_poll),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
