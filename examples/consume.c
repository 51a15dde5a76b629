/*
 * A consumer in a group: prints what it reads, as long as it may.
 *
 *     consume BOOTSTRAP GROUP TOPIC [COUNT]
 *
 * Start it twice, and the group shares the partitions out; stop one with Ctrl-C, and the other
 * takes over where it was. With COUNT it ends after so many records.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "ottla/client.h"

enum { CLOSE_MS = 10000 };

static struct ottla_client *client;
static volatile sig_atomic_t stopped;

static void stop(int signal) {
    (void)signal;
    stopped = 1;
    ottla_client_interrupt(client); /* the poll that waits returns */
}

static int check(int code, const struct ottla_error *error) {
    if (code != OTTLA_OK) {
        fprintf(stderr, "%s (%s)\n", error->text, ottla_code_name(code));
    }
    return code;
}

/* Called inside poll, before records of these partitions come. */
static void on_assigned(void *arg, struct ottla_consumer *consumer,
                        const struct ottla_partition *partitions, size_t count) {
    (void)arg;
    (void)consumer;
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "now mine: %s-%d\n", partitions[i].topic, (int)partitions[i].partition);
    }
}

/* And before they go to somebody else: what was read has been committed. */
static void on_revoked(void *arg, struct ottla_consumer *consumer,
                       const struct ottla_partition *partitions, size_t count) {
    (void)arg;
    (void)consumer;
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "no more: %s-%d\n", partitions[i].topic, (int)partitions[i].partition);
    }
}

static void print(const struct ottla_record *record) {
    printf("%s-%d@%lld %.*s = %.*s\n", record->topic, (int)record->partition,
           (long long)record->offset, (int)record->key.size, (const char *)record->key.data,
           (int)record->value.size, (const char *)record->value.data);
}

static int consume(struct ottla_consumer *consumer, long wanted) {
    for (long read = 0; !stopped && read < wanted;) {
        const struct ottla_record *records; /* good until the next poll */
        size_t count;
        struct ottla_error error;
        int code = ottla_consumer_poll(consumer, 1000, &records, &count, &error);
        if (code != OTTLA_OK && code != OTTLA_CLOSED) {
            (void)check(code, &error);
            if (!ottla_code_retriable(code)) {
                return code;
            }
        }
        for (size_t i = 0; i < count && read < wanted; i++, read++) {
            print(&records[i]);
        }
        fflush(stdout);
    }
    return OTTLA_OK;
}

static int run(struct ottla_config *config, const char *topic, long wanted) {
    struct ottla_consumer *consumer;
    struct ottla_error error;
    const struct ottla_rebalance rebalance = {.assigned = on_assigned, .revoked = on_revoked};
    if (check(ottla_client_new(config, &client, &error), &error) != OTTLA_OK) {
        return 1;
    }
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    int code = check(ottla_consumer_new(client, &consumer, &error), &error);
    if (code == OTTLA_OK) {
        code = check(ottla_consumer_subscribe(consumer, &topic, 1, &rebalance, &error), &error);
        code = code == OTTLA_OK ? consume(consumer, wanted) : code;
        int closed = ottla_consumer_close(consumer, CLOSE_MS); /* commits, and leaves the group */
        code = code == OTTLA_OK ? closed : code;
        ottla_consumer_free(consumer);
    }
    ottla_client_free(client);
    return code == OTTLA_OK ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: %s BOOTSTRAP GROUP TOPIC [COUNT]\n", argv[0]);
        return 2;
    }
    struct ottla_config *config = ottla_config_new();
    struct ottla_error error;
    int status = 1;
    if (check(ottla_config_set(config, "bootstrap.servers", argv[1], &error), &error) == 0 &&
        check(ottla_config_set(config, "group.id", argv[2], &error), &error) == 0 &&
        check(ottla_config_set(config, "auto.offset.reset", "earliest", &error), &error) == 0) {
        status = run(config, argv[3], argc > 4 ? atol(argv[4]) : LONG_MAX);
    }
    ottla_config_free(config);
    return status;
}
