/*
 * A member of a group as a process, for tests that mix clients (tests/cluster/members.py describes
 * what is printed):
 *
 *   group_member BOOTSTRAP GROUP TOPIC [SETTING=VALUE…]
 *
 * TOPIC may be an expression, from ^ to $. It commits after every poll what it has processed, and
 * leaves the group when its standard input ends.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ottla/client.h"

enum { POLL_MS = 100, CLOSE_MS = 20000, COMMIT_MS = 10000, PARTITIONS_MAX = 256 };

static void say_partitions(const char *kind, const struct ottla_partition *partitions,
                           size_t count) {
    if (count == 0) {
        return;
    }
    printf("%s", kind);
    for (size_t i = 0; i < count; i++) {
        printf(" %d", (int)partitions[i].partition);
    }
    printf("\n");
    fflush(stdout);
}

static void on_assigned(void *arg, struct ottla_consumer *consumer,
                        const struct ottla_partition *partitions, size_t count) {
    (void)arg;
    (void)consumer;
    say_partitions("assigned", partitions, count);
}

static void on_revoked(void *arg, struct ottla_consumer *consumer,
                       const struct ottla_partition *partitions, size_t count) {
    (void)arg;
    (void)consumer;
    say_partitions("revoked", partitions, count);
}

static void on_lost(void *arg, struct ottla_consumer *consumer,
                    const struct ottla_partition *partitions, size_t count) {
    (void)arg;
    (void)consumer;
    say_partitions("lost", partitions, count);
}

static const struct ottla_rebalance rebalance = {
    .assigned = on_assigned, .revoked = on_revoked, .lost = on_lost};

static void on_log(void *arg, enum ottla_log_level level, const char *text) {
    (void)arg;
    fprintf(stderr, "%d %s\n", (int)level, text);
}

static void check(int code, const struct ottla_error *error, const char *what) {
    if (code != OTTLA_OK) {
        fprintf(stderr, "%s: %s (%s)\n", what, error->text, ottla_code_name(code));
        exit(1);
    }
}

static bool input_ended(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;
    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

/* --- the positions that a poll leads to --- */

struct done {
    struct ottla_position positions[PARTITIONS_MAX];
    size_t count;
};

static void note(struct done *done, const struct ottla_record *record) {
    size_t i = 0;
    while (i < done->count && (done->positions[i].partition != record->partition ||
                               strcmp(done->positions[i].topic, record->topic) != 0)) {
        i++;
    }
    if (i == PARTITIONS_MAX) {
        fprintf(stderr, "more than %d partitions\n", PARTITIONS_MAX);
        exit(1);
    }
    done->count += i == done->count;
    done->positions[i] = (struct ottla_position){.topic = record->topic,
                                                 .partition = record->partition,
                                                 .offset = record->offset + 1,
                                                 .leader_epoch = record->leader_epoch};
}

static void commit(struct ottla_consumer *consumer, const struct done *done) {
    struct ottla_error error;
    int code = ottla_consumer_commit(consumer, done->positions, done->count, COMMIT_MS, &error);
    for (size_t i = 0; code == OTTLA_OK && i < done->count; i++) {
        printf("committed %d %lld\n", (int)done->positions[i].partition,
               (long long)done->positions[i].offset);
    }
    if (code != OTTLA_OK) {
        printf("uncommitted %s\n", ottla_code_name(code));
        fprintf(stderr, "commit: %s\n", error.text);
    }
}

static void turn(struct ottla_consumer *consumer) {
    const struct ottla_record *records;
    size_t count;
    struct ottla_error error;
    int code = ottla_consumer_poll(consumer, POLL_MS, &records, &count, &error);
    if (code != OTTLA_OK) {
        fprintf(stderr, "poll: %s (%s)\n", error.text, ottla_code_name(code));
        if (!ottla_code_retriable(code)) {
            exit(1);
        }
        return;
    }
    struct done done = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        printf("read %d %lld %.*s\n", (int)records[i].partition, (long long)records[i].offset,
               (int)records[i].value.size, (const char *)records[i].value.data);
        note(&done, &records[i]);
    }
    fflush(stdout); /* what is committed has been said, whenever it is killed */
    if (done.count > 0) {
        commit(consumer, &done);
        fflush(stdout);
    }
}

static struct ottla_config *config_of(int argc, char **argv) {
    struct ottla_config *config = ottla_config_new();
    struct ottla_error error = {0};
    check(ottla_config_set(config, "bootstrap.servers", argv[1], &error), &error, "bootstrap");
    check(ottla_config_set(config, "group.id", argv[2], &error), &error, "group");
    check(ottla_config_set(config, "auto.offset.reset", "earliest", &error), &error, "reset");
    check(ottla_config_set(config, "enable.auto.commit", "false", &error), &error, "commit");
    for (int i = 4; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL) {
            fprintf(stderr, "%s is no setting\n", argv[i]);
            exit(2);
        }
        *value = '\0';
        check(ottla_config_set(config, argv[i], value + 1, &error), &error, argv[i]);
    }
    return config;
}

static void subscribe(struct ottla_consumer *consumer, const char *topic) {
    struct ottla_error error = {0};
    if (topic[0] == '^') {
        check(ottla_consumer_subscribe_pattern(consumer, topic, &rebalance, &error), &error, topic);
    } else {
        const char *const topics[] = {topic};
        check(ottla_consumer_subscribe(consumer, topics, 1, &rebalance, &error), &error, topic);
    }
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: %s BOOTSTRAP GROUP TOPIC [SETTING=VALUE…]\n", argv[0]);
        return 2;
    }
    struct ottla_config *config = config_of(argc, argv);
    struct ottla_client *client;
    struct ottla_consumer *consumer;
    struct ottla_error error = {0};
    check(ottla_client_new(config, &client, &error), &error, "client");
    ottla_client_on_log(client, on_log, NULL);
    check(ottla_consumer_new(client, &consumer, &error), &error, "consumer");
    subscribe(consumer, argv[3]);
    while (!input_ended()) {
        turn(consumer);
    }
    int code = ottla_consumer_close(consumer, CLOSE_MS);
    if (code == OTTLA_OK) {
        printf("stopped\n");
    }
    ottla_consumer_free(consumer);
    ottla_client_free(client);
    ottla_config_free(config);
    return code == OTTLA_OK ? 0 : 1;
}
