/*
 * Writes numbered records in transactions, for tests that read them with other clients or kill the
 * broker meanwhile.
 *
 *     transaction_tool TOPIC PARTITIONS COUNT SEED [setting=value ...] (OTTLA_TEST_BOOTSTRAP)
 *
 * Three producers (transactional ids TOPIC-0 …) take turns with the records, in between each other;
 * each of their transactions ends by chance in a commit or an abort. Prints "PARTITION NUMBER" for
 * each record that was committed, in the order of the commits.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ottla/client.h"

enum { WRITERS = 3, OPEN_MAX = 100, WAIT_MS = 120000 };

struct writer {
    struct ottla_client *client;
    struct ottla_producer *producer;
    struct {
        int32_t partition;
        long number;
    } open[OPEN_MAX];
    int open_count;
};

static const char *topic;
static char **settings;

static void check(int code, const struct ottla_error *error) {
    if (code != OTTLA_OK) {
        fprintf(stderr, "%s (%s)\n", error->text, ottla_code_name(code));
        exit(1);
    }
}

static void print_log(void *arg, enum ottla_log_level level, const char *text) {
    (void)arg;
    fprintf(stderr, "%c %s\n", "EWID"[level], text);
}

static void start(struct writer *writer, int index) {
    struct ottla_config *config = ottla_config_new();
    struct ottla_error error = {0};
    char id[300];
    (void)snprintf(id, sizeof id, "%s-%d", topic, index);
    const char *bootstrap = getenv("OTTLA_TEST_BOOTSTRAP");
    check(ottla_config_set(config, "bootstrap.servers", bootstrap, &error), &error);
    check(ottla_config_set(config, "transactional.id", id, &error), &error);
    for (char **setting = settings; *setting != NULL; setting++) {
        char name[100];
        const char *value = strchr(*setting, '=') + 1;
        (void)snprintf(name, sizeof name, "%.*s", (int)(value - *setting - 1), *setting);
        check(ottla_config_set(config, name, value, &error), &error);
    }
    check(ottla_client_new(config, &writer->client, &error), &error);
    ottla_config_free(config);
    ottla_client_on_log(writer->client, print_log, NULL);
    check(ottla_producer_new(writer->client, &writer->producer, &error), &error);
    check(ottla_transactions_init(writer->producer, WAIT_MS, &error), &error);
}

static void write_one(struct writer *writer, int32_t partition, long number) {
    struct ottla_error error = {0};
    char value[32];
    int size = snprintf(value, sizeof value, "%ld", number);
    struct ottla_record record = {.topic = topic,
                                  .partition = partition,
                                  .timestamp_ms = OTTLA_TIMESTAMP_NOW,
                                  .value = {value, (size_t)size}};
    if (writer->open_count == 0) {
        check(ottla_transaction_begin(writer->producer, &error), &error);
    }
    check(ottla_produce_wait(writer->producer, &record, NULL, NULL, &error), &error);
    writer->open[writer->open_count].partition = partition;
    writer->open[writer->open_count++].number = number;
}

static void end(struct writer *writer, bool commit) {
    struct ottla_error error = {0};
    if (!commit) {
        check(ottla_transaction_abort(writer->producer, WAIT_MS, &error), &error);
    } else {
        check(ottla_transaction_commit(writer->producer, WAIT_MS, &error), &error);
        for (int i = 0; i < writer->open_count; i++) {
            printf("%" PRId32 " %ld\n", writer->open[i].partition, writer->open[i].number);
        }
    }
    writer->open_count = 0;
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: %s topic partitions count seed [setting=value ...]\n", argv[0]);
        return 2;
    }
    struct writer writers[WRITERS] = {0};
    topic = argv[1];
    settings = argv + 5;
    srandom((unsigned)atoi(argv[4]));
    for (int i = 0; i < WRITERS; i++) {
        start(&writers[i], i);
    }
    for (long n = 0; n < atol(argv[3]); n++) {
        struct writer *writer = &writers[random() % WRITERS];
        write_one(writer, (int32_t)(random() % atoi(argv[2])), n);
        if (random() % 7 == 0) {
            (void)ottla_producer_flush(writer->producer, WAIT_MS); /* an abort has to undo it */
        }
        if (writer->open_count == OPEN_MAX || random() % 12 == 0) {
            end(writer, random() % 2 == 0);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        if (writers[i].open_count > 0) {
            end(&writers[i], i % 2 == 0);
        }
        ottla_producer_free(writers[i].producer);
        ottla_client_free(writers[i].client);
    }
    return 0;
}
