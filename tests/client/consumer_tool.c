/*
 * Reads partitions to their ends, for tests that write them with other clients.
 *
 *     consumer_tool TOPIC PARTITIONS [setting=value ...] (OTTLA_TEST_BOOTSTRAP)
 *
 * Prints a line for each record: partition, offset, timestamp, key, value and headers, with a bar
 * between; null is NULL. Ends with 0 when all was read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tool.h"

enum { PARTITIONS_MAX = 100, POLL_MS = 1000, WAIT_POLLS = 60, CLOSE_MS = 5000 };

static void print_bytes(struct ottla_bytes bytes) {
    if (bytes.data == NULL) {
        printf("NULL");
    } else {
        fwrite(bytes.data, 1, bytes.size, stdout);
    }
}

static void print_record(const struct ottla_record *record) {
    printf("%" PRId32 "|%" PRId64 "|%" PRId64 "|", record->partition, record->offset,
           record->timestamp_ms);
    print_bytes(record->key);
    printf("|");
    print_bytes(record->value);
    printf("|");
    for (size_t i = 0; i < record->header_count; i++) {
        printf("%s%s=", i == 0 ? "" : ",", record->headers[i].key);
        print_bytes(record->headers[i].value);
    }
    printf("\n");
}

static bool all_at_end(const struct ottla_consumer *consumer, const char *topic, int partitions) {
    for (int i = 0; i < partitions; i++) {
        if (!ottla_consumer_at_end(consumer, &(struct ottla_partition){topic, i})) {
            return false;
        }
    }
    return true;
}

static void read_all(struct ottla_consumer *consumer, const char *topic, int partitions) {
    int idle = 0;
    while (!all_at_end(consumer, topic, partitions)) {
        const struct ottla_record *records;
        size_t count;
        struct ottla_error error = {0};
        if (ottla_consumer_poll(consumer, POLL_MS, &records, &count, &error) != OTTLA_OK) {
            tool_fail(&error);
        }
        for (size_t i = 0; i < count; i++) {
            print_record(&records[i]);
        }
        idle = count > 0 ? 0 : idle + 1;
        if (idle > WAIT_POLLS) {
            fprintf(stderr, "no record for a minute, and not at the end\n");
            exit(1);
        }
    }
}

int main(int argc, char **argv) {
    int partitions = argc < 3 ? 0 : atoi(argv[2]);
    if (partitions < 1 || partitions > PARTITIONS_MAX) {
        fprintf(stderr, "usage: %s TOPIC PARTITIONS [setting=value ...]\n", argv[0]);
        return 2;
    }
    struct ottla_client *client = tool_client(argv + 3);
    struct ottla_consumer *consumer;
    struct ottla_error error = {0};
    struct ottla_position positions[PARTITIONS_MAX];
    for (int i = 0; i < partitions; i++) {
        positions[i] = (struct ottla_position){
            .topic = argv[1], .partition = i, .offset = OTTLA_OFFSET_EARLIEST, .leader_epoch = -1};
    }
    if (ottla_consumer_new(client, &consumer, &error) != OTTLA_OK ||
        ottla_consumer_assign(consumer, positions, (size_t)partitions, &error) != OTTLA_OK) {
        tool_fail(&error);
    }
    read_all(consumer, argv[1], partitions);
    int code = ottla_consumer_close(consumer, CLOSE_MS);
    ottla_consumer_free(consumer);
    ottla_client_free(client);
    return code == OTTLA_OK ? 0 : 1;
}
