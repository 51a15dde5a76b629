/*
 * Transactions, against the broker at OTTLA_TEST_BOOTSTRAP: what they wrote is read back by
 * consumers of the library, with and without what was aborted.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "ottla/consumer.h"
#include "ottla/producer.h"
#include "read_back.h"
#include "suite.h"

enum { WAIT_MS = 60000, VALUES_MAX = 3000, POLLS_MAX = 1000 };

/* --- producers --- */

struct side {
    struct ottla_client *client;
    struct ottla_producer *producer;
};

static struct ottla_client *make_client(const char *const *settings) {
    struct ottla_config *config = suite_config();
    struct ottla_error error = {0};
    struct ottla_client *client;
    for (; settings[0] != NULL; settings += 2) {
        if (ottla_config_set(config, settings[0], settings[1], &error) != OTTLA_OK) {
            fail_msg("%s", error.text);
        }
    }
    if (ottla_client_new(config, &client, &error) != OTTLA_OK) {
        fail_msg("%s", error.text);
    }
    ottla_config_free(config);
    return client;
}

#define CLIENT(...) make_client((const char *const[]){__VA_ARGS__, NULL})

static struct side make_side(struct ottla_client *client) {
    struct side side = {.client = client};
    struct ottla_error error = {0};
    if (ottla_producer_new(client, &side.producer, &error) != OTTLA_OK ||
        ottla_transactions_init(side.producer, WAIT_MS, &error) != OTTLA_OK) {
        fail_msg("%s", error.text);
    }
    return side;
}

static void free_side(struct side *side) {
    ottla_producer_free(side->producer);
    ottla_client_free(side->client);
}

static void check(int code, const struct ottla_error *error) {
    if (code != OTTLA_OK) {
        fail_msg("%s: %s", ottla_code_name(code), error->text);
    }
}

static void begin(struct side *side) {
    struct ottla_error error = {0};
    check(ottla_transaction_begin(side->producer, &error), &error);
}

static void commit(struct side *side) {
    struct ottla_error error = {0};
    check(ottla_transaction_commit(side->producer, WAIT_MS, &error), &error);
    assert_int_equal(ottla_transaction_state(side->producer), OTTLA_TRANSACTION_READY);
}

static void abort_it(struct side *side) {
    struct ottla_error error = {0};
    check(ottla_transaction_abort(side->producer, WAIT_MS, &error), &error);
    assert_int_equal(ottla_transaction_state(side->producer), OTTLA_TRANSACTION_READY);
}

static int try_produce(struct side *side, const char *topic, int32_t partition, int number) {
    char value[32];
    int size = snprintf(value, sizeof value, "%d", number);
    struct ottla_record record = {.topic = topic,
                                  .partition = partition,
                                  .timestamp_ms = OTTLA_TIMESTAMP_NOW,
                                  .value = {value, (size_t)size}};
    return ottla_produce_wait(side->producer, &record, NULL, NULL, NULL);
}

static void produce(struct side *side, const char *topic, int32_t partition, int number) {
    assert_int_equal(try_produce(side, topic, partition, number), OTTLA_OK);
}

/* --- reading --- */

struct values {
    int all[VALUES_MAX];
    size_t count;
};

/* At least so many: the markers of the last commit may come a little later than the answer to it.
 */
static struct values read_all(const char *topic, int32_t partition, const char *isolation_level,
                              size_t least) {
    static struct values values;
    struct ottla_client *client = CLIENT("isolation.level", isolation_level);
    struct ottla_consumer *consumer;
    struct ottla_error error = {0};
    struct ottla_position position = {
        .topic = topic, .partition = partition, .offset = OTTLA_OFFSET_EARLIEST};
    struct ottla_partition of = {topic, partition};
    check(ottla_consumer_new(client, &consumer, &error), &error);
    check(ottla_consumer_assign(consumer, &position, 1, &error), &error);
    values.count = 0;
    int polls = 0;
    while ((!ottla_consumer_at_end(consumer, &of) || values.count < least) && polls++ < POLLS_MAX) {
        const struct ottla_record *records;
        size_t count;
        check(ottla_consumer_poll(consumer, 100, &records, &count, &error), &error);
        for (size_t i = 0; i < count; i++) {
            char text[32];
            (void)snprintf(text, sizeof text, "%.*s", (int)records[i].value.size,
                           (const char *)records[i].value.data);
            assert_true(values.count < VALUES_MAX);
            values.all[values.count++] = atoi(text);
        }
    }
    ottla_consumer_free(consumer);
    ottla_client_free(client);
    return values;
}

static void check_read(const char *topic, int32_t partition, const char *isolation_level,
                       const int *expected, size_t count) {
    struct values values = read_all(topic, partition, isolation_level, count);
    assert_int_equal(values.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(values.all[i], expected[i]);
    }
}

/* --- tests --- */

static char topic[64];

static void make_topic(int32_t partition_count) {
    struct ottla_client *client = CLIENT("client.id", "topics");
    suite_topic_name("transactions", topic);
    topic_create(client, topic, partition_count, NULL);
    ottla_client_free(client);
}

static void what_is_aborted_is_not_read(void **state) {
    (void)state;
    make_topic(2);
    struct side side = make_side(CLIENT("transactional.id", topic));
    int committed[2][VALUES_MAX], all[2][VALUES_MAX];
    size_t committed_count[2] = {0}, all_count[2] = {0};
    for (int t = 0, n = 0; t < 30; t++) {
        bool keep = t % 3 != 1;
        begin(&side);
        for (int i = 0; i < 5 * (t % 4 + 1); i++, n++) {
            produce(&side, topic, n % 2, n);
            all[n % 2][all_count[n % 2]++] = n;
            if (keep) {
                committed[n % 2][committed_count[n % 2]++] = n;
            }
        }
        assert_int_equal(ottla_producer_flush(side.producer, WAIT_MS), OTTLA_OK);
        keep ? commit(&side) : abort_it(&side);
    }
    free_side(&side);
    for (int32_t p = 0; p < 2; p++) {
        check_read(topic, p, "read_committed", committed[p], committed_count[p]);
        check_read(topic, p, "read_uncommitted", all[p], all_count[p]);
    }
}

/* Many batches are in flight or queued when the abort comes, and the next transaction follows at
 * once. */
static void an_abort_under_load(void **state) {
    (void)state;
    make_topic(1);
    struct side side = make_side(CLIENT("transactional.id", topic, "batch.size", "200"));
    int committed[VALUES_MAX];
    size_t count = 0;
    for (int t = 0; t < 20; t++) {
        begin(&side);
        for (int i = 0; i < 100; i++) {
            produce(&side, topic, 0, t * 1000 + i);
            if (t % 2 == 1) {
                committed[count++] = t * 1000 + i;
            }
        }
        t % 2 == 1 ? commit(&side) : abort_it(&side);
    }
    free_side(&side);
    check_read(topic, 0, "read_committed", committed, count);
}

static void transactions_without_records_end(void **state) {
    (void)state;
    make_topic(1);
    struct side side = make_side(CLIENT("transactional.id", topic));
    begin(&side);
    commit(&side);
    begin(&side);
    abort_it(&side);
    begin(&side);
    produce(&side, topic, 0, 7);
    commit(&side);
    free_side(&side);
    check_read(topic, 0, "read_committed", (const int[]){7}, 1);
}

static void the_older_of_two_is_fenced(void **state) {
    (void)state;
    make_topic(1);
    struct side old = make_side(CLIENT("transactional.id", topic));
    struct ottla_error error = {0};
    begin(&old);
    produce(&old, topic, 0, 1);
    assert_int_equal(ottla_producer_flush(old.producer, WAIT_MS), OTTLA_OK);
    struct side new = make_side(CLIENT("transactional.id", topic));
    begin(&new);
    produce(&new, topic, 0, 2);
    commit(&new);
    assert_int_equal(ottla_transaction_commit(old.producer, WAIT_MS, &error), 90); /* fenced */
    assert_non_null(strstr(error.text, topic));
    assert_int_equal(ottla_transaction_state(old.producer), OTTLA_TRANSACTION_FATAL);
    assert_int_equal(ottla_transaction_begin(old.producer, &error), 90);
    begin(&new);
    produce(&new, topic, 0, 3);
    commit(&new);
    free_side(&old);
    free_side(&new);
    check_read(topic, 0, "read_committed", (const int[]){2, 3}, 2);
}

/* By a Produce that comes too late: an abort tells that it is fenced. */
static void the_older_of_two_writes_no_more(void **state) {
    (void)state;
    make_topic(1);
    struct side old = make_side(CLIENT("transactional.id", topic));
    struct ottla_error error = {0};
    begin(&old);
    produce(&old, topic, 0, 1);
    assert_int_equal(ottla_producer_flush(old.producer, WAIT_MS), OTTLA_OK);
    struct side new = make_side(CLIENT("transactional.id", topic));
    (void)try_produce(&old, topic, 0, 9);
    assert_int_not_equal(ottla_transaction_commit(old.producer, WAIT_MS, &error), OTTLA_OK);
    if (ottla_transaction_state(old.producer) == OTTLA_TRANSACTION_ABORTABLE) {
        assert_int_not_equal(ottla_transaction_abort(old.producer, WAIT_MS, &error), OTTLA_OK);
    }
    assert_int_equal(ottla_transaction_state(old.producer), OTTLA_TRANSACTION_FATAL);
    free_side(&old);
    free_side(&new);
    check_read(topic, 0, "read_committed", NULL, 0);
}

static void a_record_that_failed_ends_only_its_transaction(void **state) {
    (void)state;
    struct ottla_client *admin = CLIENT("client.id", "topics");
    suite_topic_name("small", topic);
    topic_create(admin, topic, 1, "max.message.bytes", "500", NULL);
    ottla_client_free(admin);
    struct side side = make_side(CLIENT("transactional.id", topic));
    char large[2000];
    memset(large, 'x', sizeof large);
    struct ottla_record record = {.topic = topic, .value = {large, sizeof large}};
    struct ottla_error error = {0};
    begin(&side);
    produce(&side, topic, 0, 1);
    check(ottla_produce_wait(side.producer, &record, NULL, NULL, &error), &error);
    int code = ottla_transaction_commit(side.producer, WAIT_MS, &error);
    assert_string_equal(ottla_code_name(code), "MESSAGE_TOO_LARGE");
    assert_int_equal(ottla_transaction_state(side.producer), OTTLA_TRANSACTION_ABORTABLE);
    assert_int_not_equal(try_produce(&side, topic, 0, 2), OTTLA_OK);
    abort_it(&side);
    begin(&side);
    produce(&side, topic, 0, 3);
    commit(&side);
    free_side(&side);
    check_read(topic, 0, "read_committed", (const int[]){3}, 1);
}

/* --- offsets --- */

static int64_t committed_offset(const char *group) {
    struct ottla_client *client = CLIENT("group.id", group);
    struct ottla_consumer *consumer;
    struct ottla_error error = {0};
    struct ottla_position position = {.topic = topic, .partition = 0};
    check(ottla_consumer_new(client, &consumer, &error), &error);
    check(ottla_consumer_committed(consumer, &position, 1, WAIT_MS, &error), &error);
    ottla_consumer_free(consumer);
    ottla_client_free(client);
    return position.offset;
}

static void send_offset(struct side *side, const struct ottla_membership *membership,
                        int64_t offset) {
    struct ottla_error error = {0};
    struct ottla_position position = {.topic = topic, .partition = 0, .offset = offset};
    check(ottla_transaction_send_offsets(side->producer, &position, 1, membership, WAIT_MS, &error),
          &error);
}

static void offsets_are_part_of_it(void **state) {
    (void)state;
    make_topic(1);
    struct side side = make_side(CLIENT("transactional.id", topic));
    const struct ottla_membership group = {.group_id = topic, .generation = -1};
    begin(&side);
    produce(&side, topic, 0, 1);
    send_offset(&side, &group, 5);
    commit(&side);
    assert_int_equal(committed_offset(topic), 5);
    begin(&side);
    send_offset(&side, &group, 9);
    abort_it(&side);
    assert_int_equal(committed_offset(topic), 5);
    begin(&side);
    send_offset(&side, &group, 6); /* and nothing else */
    commit(&side);
    assert_int_equal(committed_offset(topic), 6);
    free_side(&side);
}

/* The offsets of one that is no member any more are refused; the transaction can be aborted. */
static void offsets_of_a_member_of_old_are_refused(void **state) {
    const char *protocol = *state;
    make_topic(1);
    struct side side = make_side(CLIENT("transactional.id", topic));
    struct ottla_client *client =
        CLIENT("group.id", topic, "group.protocol", protocol, "enable.auto.commit", "false");
    struct ottla_consumer *consumer;
    struct ottla_error error = {0};
    struct ottla_membership member;
    const struct ottla_record *records;
    size_t count;
    const char *name = topic;
    check(ottla_consumer_new(client, &consumer, &error), &error);
    check(ottla_consumer_subscribe(consumer, &name, 1, NULL, &error), &error);
    while (ottla_consumer_assignment(consumer, NULL, 0) == 0) {
        check(ottla_consumer_poll(consumer, 100, &records, &count, &error), &error);
    }
    check(ottla_consumer_membership(consumer, &member), &error);
    begin(&side);
    produce(&side, topic, 0, 1);
    send_offset(&side, &member, 1);
    commit(&side);
    assert_int_equal(committed_offset(topic), 1);

    char member_id[200];
    (void)snprintf(member_id, sizeof member_id, "%s", member.member_id);
    member.member_id = member_id;
    member.group_id = topic;
    check(ottla_consumer_close(consumer, WAIT_MS), &error);
    ottla_consumer_free(consumer);
    ottla_client_free(client);
    begin(&side);
    struct ottla_position position = {.topic = topic, .partition = 0, .offset = 2};
    int code =
        ottla_transaction_send_offsets(side.producer, &position, 1, &member, WAIT_MS, &error);
    assert_int_not_equal(code, OTTLA_OK);
    assert_int_equal(ottla_transaction_state(side.producer), OTTLA_TRANSACTION_ABORTABLE);
    abort_it(&side);
    assert_int_equal(committed_offset(topic), 1);
    free_side(&side);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_aborted_is_not_read),
        cmocka_unit_test(an_abort_under_load),
        cmocka_unit_test(transactions_without_records_end),
        cmocka_unit_test(the_older_of_two_is_fenced),
        cmocka_unit_test(the_older_of_two_writes_no_more),
        cmocka_unit_test(a_record_that_failed_ends_only_its_transaction),
        cmocka_unit_test(offsets_are_part_of_it),
        cmocka_unit_test_prestate(offsets_of_a_member_of_old_are_refused, "classic"),
        cmocka_unit_test_prestate(offsets_of_a_member_of_old_are_refused, "consumer"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
