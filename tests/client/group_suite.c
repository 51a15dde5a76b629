/*
 * Consumers in groups, against the broker at OTTLA_TEST_BOOTSTRAP, in both protocols. Members of
 * one test share one client, or have one each; they come, go, stop polling and change their minds.
 * Offsets are committed behind the application, before partitions are given away, too: as long as
 * nobody is lost, each record is read exactly once.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "calls.h"
#include "ottla/consumer.h"
#include "ottla/producer.h"
#include "suite.h"

enum { WAIT_MS = 40000, POLL_MS = 20, PARTITIONS = 6, RECORDS_MAX = 1000 };

/* A way to be in a group. */
struct mode {
    const char *name;
    const char *settings[8];
};

/* Members hear of a rebalance by their next heartbeat. */
#define QUICK "heartbeat.interval.ms", "300", "session.timeout.ms", "6000"

static struct mode modes[] = {
    {"range", {"partition.assignment.strategy", "range", QUICK, NULL}},
    {"sticky", {"partition.assignment.strategy", "sticky", QUICK, NULL}},
    {"cooperative", {"partition.assignment.strategy", "cooperative-sticky", QUICK, NULL}},
    {"consumer", {"group.protocol", "consumer", NULL}},
};

enum { RANGE, STICKY, COOPERATIVE, CONSUMER };

struct reader {
    struct ottla_client *client; /* its own; NULL: the test's */
    struct ottla_consumer *consumer;
    bool owned[PARTITIONS];
    int assigned_calls, revoked_calls, lost_calls;
};

static struct ottla_client *client; /* of the test */
static char topic[64];
static char group[64];
static int reads[PARTITIONS][RECORDS_MAX]; /* how often each record was read, by all */
static int written;                        /* to each partition */

/* --- a world of a test --- */

static struct ottla_client *client_with(const struct mode *mode, const char *name,
                                        const char *value) {
    struct ottla_config *config = suite_config();
    struct ottla_error error = {0};
    const char *const settings[] = {"group.id",
                                    group,
                                    "auto.offset.reset",
                                    "earliest",
                                    "auto.commit.interval.ms",
                                    "60000",
                                    "metadata.max.age.ms",
                                    "1000",
                                    "allow.auto.create.topics",
                                    "false",
                                    name,
                                    value};
    int code = OTTLA_OK;
    for (size_t i = 0; code == OTTLA_OK && i < 12 && settings[i] != NULL; i += 2) {
        code = ottla_config_set(config, settings[i], settings[i + 1], &error);
    }
    for (size_t i = 0; code == OTTLA_OK && mode->settings[i] != NULL; i += 2) {
        code = ottla_config_set(config, mode->settings[i], mode->settings[i + 1], &error);
    }
    struct ottla_client *made = NULL;
    if (code != OTTLA_OK || ottla_client_new(config, &made, &error) != OTTLA_OK) {
        fail_msg("%s", error.text);
    }
    ottla_config_free(config);
    return made;
}

static void begin(const struct mode *mode, const char *what) {
    char text[64];
    snprintf(text, sizeof text, "%s-%s", what, mode->name);
    suite_topic_name(text, topic);
    snprintf(group, sizeof group, "%s", topic);
    client = client_with(mode, NULL, NULL);
    calls_make_topic(client, topic, PARTITIONS);
    memset(reads, 0, sizeof reads);
    written = 0;
}

static void end(void) {
    calls_delete_topic(client, topic);
    ottla_client_free(client);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- records --- */

static void delivered(void *arg, const struct ottla_delivery *delivery) {
    (void)arg;
    assert_int_equal(delivery->code, OTTLA_OK);
}

static void write_numbers(int count) {
    struct ottla_producer *producer;
    struct ottla_error error = {0};
    assert_int_equal(ottla_producer_new(client, &producer, &error), OTTLA_OK);
    for (int i = 0; i < count; i++) {
        for (int32_t p = 0; p < PARTITIONS; p++) {
            char text[16];
            int size = snprintf(text, sizeof text, "%d", written);
            struct ottla_record record = {.topic = topic,
                                          .partition = p,
                                          .timestamp_ms = OTTLA_TIMESTAMP_NOW,
                                          .value = {text, (size_t)size}};
            assert_int_equal(ottla_produce_wait(producer, &record, delivered, NULL, &error),
                             OTTLA_OK);
        }
        written++;
    }
    assert_true(written <= RECORDS_MAX);
    assert_int_equal(ottla_producer_flush(producer, WAIT_MS), OTTLA_OK);
    ottla_producer_free(producer);
}

static bool all_read(void) {
    for (int32_t p = 0; p < PARTITIONS; p++) {
        for (int i = 0; i < written; i++) {
            if (reads[p][i] == 0) {
                return false;
            }
        }
    }
    return true;
}

static void assert_read_once(void) {
    for (int32_t p = 0; p < PARTITIONS; p++) {
        for (int i = 0; i < written; i++) {
            if (reads[p][i] != 1) {
                fail_msg("record %d of partition %d was read %d times", i, (int)p, reads[p][i]);
            }
        }
    }
}

/* --- members --- */

static void on_assigned(void *arg, struct ottla_consumer *consumer,
                        const struct ottla_partition *partitions, size_t count) {
    (void)consumer;
    struct reader *reader = arg;
    reader->assigned_calls++;
    for (size_t i = 0; i < count; i++) {
        assert_false(reader->owned[partitions[i].partition]);
        reader->owned[partitions[i].partition] = true;
    }
}

static void take_away(struct reader *reader, const struct ottla_partition *partitions,
                      size_t count) {
    for (size_t i = 0; i < count; i++) {
        assert_true(reader->owned[partitions[i].partition]);
        reader->owned[partitions[i].partition] = false;
    }
}

static void on_revoked(void *arg, struct ottla_consumer *consumer,
                       const struct ottla_partition *partitions, size_t count) {
    (void)consumer;
    struct reader *reader = arg;
    reader->revoked_calls++;
    take_away(reader, partitions, count);
}

static void on_lost(void *arg, struct ottla_consumer *consumer,
                    const struct ottla_partition *partitions, size_t count) {
    (void)consumer;
    struct reader *reader = arg;
    reader->lost_calls++;
    take_away(reader, partitions, count);
}

static void subscribe(struct reader *reader, const char *const *topics, size_t count) {
    const struct ottla_rebalance rebalance = {
        .assigned = on_assigned, .revoked = on_revoked, .lost = on_lost, .arg = reader};
    struct ottla_error error = {0};
    if (ottla_consumer_subscribe(reader->consumer, topics, count, &rebalance, &error) != OTTLA_OK) {
        fail_msg("%s", error.text);
    }
}

/* own NULL: on the test's client. */
static void join(struct reader *reader, struct ottla_client *own) {
    struct ottla_error error = {0};
    *reader = (struct reader){.client = own};
    assert_int_equal(ottla_consumer_new(own == NULL ? client : own, &reader->consumer, &error),
                     OTTLA_OK);
    subscribe(reader, (const char *const[]){topic}, 1);
}

static void leave(struct reader *reader) {
    assert_int_equal(ottla_consumer_close(reader->consumer, WAIT_MS), OTTLA_OK);
    ottla_consumer_free(reader->consumer);
    ottla_client_free(reader->client);
}

static int poll_once(struct reader *reader, struct ottla_error *error) {
    const struct ottla_record *records;
    size_t count = 0;
    int code = ottla_consumer_poll(reader->consumer, POLL_MS, &records, &count, error);
    for (size_t i = 0; code == OTTLA_OK && i < count; i++) {
        char text[16] = "";
        assert_true(records[i].value.size < sizeof text);
        memcpy(text, records[i].value.data, records[i].value.size);
        assert_true(reader->owned[records[i].partition]);
        reads[records[i].partition][atoi(text)]++;
    }
    return code;
}

/* Polls these until the condition holds. */
static void poll_until(struct reader *const *readers, bool (*holds)(struct reader *const *readers),
                       const char *what) {
    int64_t deadline_ms = now_ms() + WAIT_MS;
    while (!holds(readers)) {
        for (size_t i = 0; readers[i] != NULL; i++) {
            struct ottla_error error = {0};
            int code = poll_once(readers[i], &error);
            if (code != OTTLA_OK && !ottla_code_retriable(code)) {
                fail_msg("%s: %s", what, error.text);
            }
        }
        if (now_ms() > deadline_ms) {
            fail_msg("%s did not happen", what);
        }
    }
}

static int share_of(const struct reader *reader) {
    int share = 0;
    for (int i = 0; i < PARTITIONS; i++) {
        share += reader->owned[i];
    }
    return share;
}

/* All is owned, and evenly. */
static bool shared(struct reader *const *readers) {
    int total = 0, least = PARTITIONS, most = 0;
    for (size_t i = 0; readers[i] != NULL; i++) {
        int share = share_of(readers[i]);
        total += share;
        least = share < least ? share : least;
        most = share > most ? share : most;
    }
    return total == PARTITIONS && most - least <= 1;
}

static bool done_reading(struct reader *const *readers) {
    (void)readers;
    return all_read();
}

#define MEMBERS(...) ((struct reader *const[]){__VA_ARGS__, NULL})

static int32_t generation_of(const struct reader *reader) {
    struct ottla_membership membership;
    assert_int_equal(ottla_consumer_membership(reader->consumer, &membership), OTTLA_OK);
    assert_string_equal(membership.group_id, group);
    return membership.generation;
}

/* --- tests --- */

static void each_record_is_read_once(void **state) {
    struct reader a, b, c;
    begin(*state, "once");
    write_numbers(50);
    join(&a, NULL);
    poll_until(MEMBERS(&a), done_reading, "reading alone");
    join(&b, NULL); /* two members on one client */
    poll_until(MEMBERS(&a, &b), shared, "sharing");
    write_numbers(50);
    join(&c, client_with(*state, NULL, NULL));
    poll_until(MEMBERS(&a, &b, &c), shared, "sharing by three");
    write_numbers(50);
    poll_until(MEMBERS(&a, &b, &c), done_reading, "reading by three");
    leave(&a);
    write_numbers(50);
    poll_until(MEMBERS(&b, &c), shared, "sharing again");
    leave(&c);
    poll_until(MEMBERS(&b), shared, "being alone");
    poll_until(MEMBERS(&b), done_reading, "reading the rest");
    assert_read_once();
    assert_int_equal(a.lost_calls + b.lost_calls + c.lost_calls, 0);
    leave(&b);
    end();
}

static void a_static_member_keeps_its_place(void **state) {
    struct reader a, b;
    begin(*state, "static");
    write_numbers(20);
    join(&a, client_with(*state, "group.instance.id", "a"));
    join(&b, client_with(*state, "group.instance.id", "b"));
    poll_until(MEMBERS(&a, &b), shared, "sharing");
    poll_until(MEMBERS(&a, &b), done_reading, "reading");
    bool had[PARTITIONS];
    memcpy(had, b.owned, sizeof had);
    int revoked_calls = a.revoked_calls;
    leave(&b);
    join(&b, client_with(*state, "group.instance.id", "b"));
    poll_until(MEMBERS(&a, &b), shared, "coming back");
    assert_memory_equal(had, b.owned, sizeof had);
    assert_int_equal(a.revoked_calls, revoked_calls);
    leave(&a);
    leave(&b);
    end();
}

static void who_does_not_poll_loses(void **state) {
    struct reader a;
    begin(*state, "slow");
    join(&a, client_with(*state, "max.poll.interval.ms", "2000"));
    poll_until(MEMBERS(&a), shared, "having all");
    int64_t until_ms = now_ms() + 3500;
    while (now_ms() < until_ms) {
        ottla_client_run(a.client, 100);
    }
    assert_int_equal(a.lost_calls, 0); /* told when it polls */
    struct ottla_error error = {0};
    (void)poll_once(&a, &error);
    assert_int_equal(a.lost_calls, 1);
    poll_until(MEMBERS(&a), shared, "having all again");
    leave(&a);
    end();
}

static void a_rebalance_can_be_asked_for(void **state) {
    struct reader a;
    begin(*state, "enforced");
    join(&a, NULL);
    poll_until(MEMBERS(&a), shared, "having all");
    int assigned_calls = a.assigned_calls;
    int32_t generation = generation_of(&a);
    assert_int_equal(ottla_consumer_enforce_rebalance(a.consumer, "because of a test"), OTTLA_OK);
    struct ottla_error error = {0};
    for (int i = 0; i < 200 && a.assigned_calls == assigned_calls; i++) {
        assert_int_equal(poll_once(&a, &error), OTTLA_OK);
    }
    assert_true(generation_of(&a) > generation);
    leave(&a);
    end();
}

static void a_subscription_can_change(void **state) {
    struct reader a;
    begin(*state, "changes");
    write_numbers(10);
    join(&a, NULL);
    poll_until(MEMBERS(&a), done_reading, "reading");
    struct ottla_error error = {0};
    subscribe(&a, (const char *const[]){"no-such-topic-yet"}, 1);
    for (int i = 0; i < 500 && share_of(&a) > 0; i++) {
        int code = poll_once(&a, &error);
        if (code != OTTLA_OK && !ottla_code_retriable(code)) {
            fail_msg("%s", error.text);
        }
    }
    assert_int_equal(share_of(&a), 0);
    subscribe(&a, NULL, 0);
    subscribe(&a, (const char *const[]){topic}, 1);
    poll_until(MEMBERS(&a), shared, "coming back");
    write_numbers(10);
    poll_until(MEMBERS(&a), done_reading, "reading more");
    assert_read_once();
    leave(&a);
    end();
}

/* Polls until so many partitions are assigned. */
static void poll_until_assigned(struct ottla_consumer *consumer, size_t count) {
    int64_t deadline_ms = now_ms() + WAIT_MS;
    while (ottla_consumer_assignment(consumer, NULL, 0) != count) {
        const struct ottla_record *records;
        size_t record_count;
        struct ottla_error error = {0};
        int code = ottla_consumer_poll(consumer, POLL_MS, &records, &record_count, &error);
        if (code != OTTLA_OK && !ottla_code_retriable(code)) {
            fail_msg("%s", error.text);
        }
        if (now_ms() > deadline_ms) {
            fail_msg("%zu partitions are assigned", ottla_consumer_assignment(consumer, NULL, 0));
        }
    }
}

static void a_pattern_finds_new_topics(void **state) {
    begin(*state, "pattern");
    struct ottla_error error = {0};
    struct ottla_consumer *consumer;
    assert_int_equal(ottla_consumer_new(client, &consumer, &error), OTTLA_OK);
    char pattern[80], more[80];
    snprintf(pattern, sizeof pattern, "%s(-more)?", topic);
    snprintf(more, sizeof more, "%s-more", topic);
    if (ottla_consumer_subscribe_pattern(consumer, pattern, NULL, &error) != OTTLA_OK) {
        fail_msg("%s", error.text);
    }
    poll_until_assigned(consumer, PARTITIONS);
    calls_make_topic(client, more, 3);
    poll_until_assigned(consumer, PARTITIONS + 3);
    assert_int_equal(ottla_consumer_close(consumer, WAIT_MS), OTTLA_OK);
    ottla_consumer_free(consumer);
    calls_delete_topic(client, more);
    end();
}

static void both_protocols_meet_in_one_group(void **state) {
    struct reader a, b;
    begin(*state, "both");
    write_numbers(20);
    join(&a, client_with(&modes[CONSUMER], NULL, NULL));
    poll_until(MEMBERS(&a), shared, "being alone");
    join(&b, client_with(&modes[RANGE], NULL, NULL));
    poll_until(MEMBERS(&a, &b), shared, "sharing");
    write_numbers(20);
    poll_until(MEMBERS(&a, &b), done_reading, "reading");
    leave(&a);
    poll_until(MEMBERS(&b), shared, "being the last");
    assert_read_once();
    leave(&b);
    end();
}

static void what_cannot_be_is_said(void **state) {
    struct reader a = {0};
    struct ottla_error error = {0};
    begin(*state, "refused");
    a.client = client_with(&modes[CONSUMER], "group.remote.assignor", "of-mine");
    assert_int_equal(ottla_consumer_new(a.client, &a.consumer, &error), OTTLA_OK);
    subscribe(&a, (const char *const[]){topic}, 1);
    int code = OTTLA_OK;
    for (int i = 0; i < 500 && code == OTTLA_OK; i++) {
        code = poll_once(&a, &error);
    }
    assert_string_equal(ottla_code_name(code), "UNSUPPORTED_ASSIGNOR");
    assert_non_null(strstr(error.text, group));
    leave(&a);
    end();
}

#define IN_MODE(test, mode)                                                                        \
    { #test " (" #mode ")", test, NULL, NULL, &modes[mode] }

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_MODE(each_record_is_read_once, RANGE),
        IN_MODE(each_record_is_read_once, STICKY),
        IN_MODE(each_record_is_read_once, COOPERATIVE),
        IN_MODE(each_record_is_read_once, CONSUMER),
        IN_MODE(a_static_member_keeps_its_place, RANGE),
        IN_MODE(a_static_member_keeps_its_place, CONSUMER),
        IN_MODE(who_does_not_poll_loses, RANGE),
        IN_MODE(who_does_not_poll_loses, CONSUMER),
        IN_MODE(a_rebalance_can_be_asked_for, RANGE),
        IN_MODE(a_rebalance_can_be_asked_for, COOPERATIVE),
        IN_MODE(a_subscription_can_change, RANGE),
        IN_MODE(a_subscription_can_change, COOPERATIVE),
        IN_MODE(a_subscription_can_change, CONSUMER),
        IN_MODE(a_pattern_finds_new_topics, COOPERATIVE),
        IN_MODE(a_pattern_finds_new_topics, CONSUMER),
        IN_MODE(both_protocols_meet_in_one_group, CONSUMER),
        IN_MODE(what_cannot_be_is_said, CONSUMER),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
