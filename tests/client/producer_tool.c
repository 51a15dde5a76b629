/*
 * Produces numbered records, for tests that read them with other clients or kill the broker
 * meanwhile.
 *
 *     producer_tool TOPIC FIRST COUNT PARTITIONS TIME [setting=value ...] (OTTLA_TEST_BOOTSTRAP)
 *
 * Record n goes to partition n % PARTITIONS (-1: the partitioner's choice) with key "key-n", value
 * "value n" with some text behind it, timestamp TIME + n and two headers. Prints a line for
 * each delivery: n, code, partition, offset. Ends with 0 when all were delivered.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static long failed;
static int64_t time_ms;

static void delivered(void *arg, const struct ottla_delivery *delivery) {
    printf("%zu %d %" PRId32 " %" PRId64 "\n", (size_t)arg, delivery->code, delivery->partition,
           delivery->offset);
    if (delivery->code != OTTLA_OK) {
        fprintf(stderr, "%zu: %s\n", (size_t)arg, delivery->text);
        failed++;
    }
}

static void produce(struct ottla_producer *producer, const char *topic, size_t n, int partitions) {
    char key[32], value[64], number[32];
    (void)snprintf(key, sizeof key, "key-%zu", n);
    (void)snprintf(value, sizeof value, "value %zu, and then some text", n);
    (void)snprintf(number, sizeof number, "%zu", n);
    struct ottla_header headers[] = {{"number", 6, {number, strlen(number)}},
                                     {"nothing", 7, {NULL, 0}}};
    struct ottla_record record = {
        .topic = topic,
        .partition = partitions < 0 ? OTTLA_PARTITION_ANY : (int32_t)(n % (size_t)partitions),
        .timestamp_ms = time_ms + (int64_t)n,
        .key = {key, strlen(key)},
        .value = {value, strlen(value)},
        .headers = headers,
        .header_count = 2,
    };
    struct ottla_error error;
    if (ottla_produce_wait(producer, &record, delivered, (void *)n, &error) != OTTLA_OK) {
        tool_fail(&error);
    }
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: %s topic first count partitions time [setting=value ...]\n",
                argv[0]);
        return 2;
    }
    struct ottla_client *client = tool_client(argv + 6);
    struct ottla_producer *producer;
    struct ottla_error error;
    if (ottla_producer_new(client, &producer, &error) != OTTLA_OK) {
        tool_fail(&error);
    }
    time_ms = strtoll(argv[5], NULL, 10);
    size_t first = strtoul(argv[2], NULL, 10), count = strtoul(argv[3], NULL, 10);
    for (size_t n = first; n < first + count; n++) {
        produce(producer, argv[1], n, atoi(argv[4]));
    }
    int code = ottla_producer_flush(producer, -1);
    ottla_producer_free(producer);
    ottla_client_free(client);
    return code == OTTLA_OK && failed == 0 ? 0 : 1;
}
