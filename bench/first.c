/*
 * A client that is there before its broker, and asks all the time.
 *
 *     first SERVERS TOPIC PARTITIONS
 *
 * One record to the first partition and, when that is acknowledged, one to each other. Prints a
 * line then and another when all are acknowledged; ends with 1 when one has failed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ottla/client.h"

enum { WAIT_MS = 120000 };

static int acknowledged;
static int failed;

static void delivered(void *arg, const struct ottla_delivery *delivery) {
    (void)arg;
    if (delivery->code != OTTLA_OK) {
        fprintf(stderr, "partition %d: %s\n", delivery->partition, delivery->text);
        failed++;
    } else if (acknowledged++ == 0) {
        puts("first");
        (void)fflush(stdout);
    }
}

static void need(int code, const struct ottla_error *error) {
    if (code != OTTLA_OK) {
        fprintf(stderr, "%s\n", error->text);
        exit(1);
    }
}

static struct ottla_client *connect_to(const char *servers) {
    static const char *const settings[][2] = {
        {"reconnect.backoff.ms", "1"},
        {"reconnect.backoff.max.ms", "5"},
        {"retry.backoff.ms", "1"},
        {"retry.backoff.max.ms", "5"},
        {"linger.ms", "0"},
        {"max.block.ms", "120000"},
    };
    struct ottla_error error = {0};
    struct ottla_config *config = ottla_config_new();
    need(ottla_config_set(config, "bootstrap.servers", servers, &error), &error);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        need(ottla_config_set(config, settings[i][0], settings[i][1], &error), &error);
    }
    struct ottla_client *client;
    need(ottla_client_new(config, &client, &error), &error);
    ottla_config_free(config);
    return client;
}

int main(int argc, char **argv) {
    int partitions = argc == 4 ? atoi(argv[3]) : 0;
    if (partitions < 1) {
        fputs("first SERVERS TOPIC PARTITIONS\n", stderr);
        return 2;
    }
    struct ottla_client *client = connect_to(argv[1]);
    struct ottla_producer *producer;
    struct ottla_error error;
    need(ottla_producer_new(client, &producer, &error), &error);
    for (int i = 0; i < partitions; i++) {
        struct ottla_record record = {.topic = argv[2],
                                      .partition = i,
                                      .timestamp_ms = OTTLA_TIMESTAMP_NOW,
                                      .value = {"record", 6}};
        need(ottla_produce_wait(producer, &record, delivered, NULL, &error), &error);
        if (i == 0 || i == partitions - 1) {
            (void)ottla_producer_flush(producer, WAIT_MS);
        }
    }
    bool well = acknowledged == partitions;
    if (well) {
        puts("all");
        (void)fflush(stdout);
    }
    ottla_producer_free(producer);
    ottla_client_free(client);
    return well ? 0 : 1;
}
