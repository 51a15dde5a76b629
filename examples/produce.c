/*
 * Writes the lines that it reads to a topic; "key<tab>value" has a key. Tells of each record that
 * could not be delivered, and at the end how many were.
 *
 *     produce localhost:9092 topic [setting=value ...] < lines
 */
#include <ottla/client.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct counts {
    long delivered;
    long failed;
};

/* Called for each record, in ottla_produce_wait or ottla_producer_flush. */
static void told(void *arg, const struct ottla_delivery *delivery) {
    struct counts *counts = arg;
    if (delivery->code == OTTLA_OK) {
        counts->delivered++;
    } else {
        counts->failed++;
        fprintf(stderr, "%s: %s\n", ottla_code_name(delivery->code), delivery->text);
    }
}

/* The record's bytes are copied by the call. */
static bool produce_line(struct ottla_producer *producer, const char *topic, const char *line,
                         size_t size, struct counts *counts) {
    const char *tab = memchr(line, '\t', size);
    struct ottla_record record = {
        .topic = topic,
        .partition = OTTLA_PARTITION_ANY,
        .timestamp_ms = OTTLA_TIMESTAMP_NOW,
        .value = {line, size},
    };
    if (tab != NULL) {
        record.key = (struct ottla_bytes){line, (size_t)(tab - line)};
        record.value = (struct ottla_bytes){tab + 1, size - record.key.size - 1};
    }
    struct ottla_error error;
    if (ottla_produce_wait(producer, &record, told, counts, &error) != OTTLA_OK) {
        fprintf(stderr, "%s\n", error.text);
        return false;
    }
    return true;
}

static bool produce_all(struct ottla_producer *producer, const char *topic) {
    struct counts counts = {0};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    bool well = true;
    while (well && (size = getline(&line, &capacity, stdin)) > 0) {
        size -= line[size - 1] == '\n';
        well = produce_line(producer, topic, line, (size_t)size, &counts);
    }
    free(line);
    well = ottla_producer_flush(producer, -1) == OTTLA_OK && well;
    printf("%ld delivered, %ld failed\n", counts.delivered, counts.failed);
    return well && counts.failed == 0;
}

/* bootstrap.servers, and each setting=value. */
static int configure(struct ottla_config *config, char **arguments, struct ottla_error *error) {
    int code = ottla_config_set(config, "bootstrap.servers", arguments[1], error);
    for (char **setting = arguments + 3; code == OTTLA_OK && *setting != NULL; setting++) {
        char *value = strchr(*setting, '=');
        if (value != NULL) {
            *value++ = 0;
        }
        code = ottla_config_set(config, *setting, value, error);
    }
    return code;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: produce HOST:PORT TOPIC [SETTING=VALUE ...] < lines\n");
        return 2;
    }
    struct ottla_error error;
    struct ottla_config *config = ottla_config_new();
    struct ottla_client *client = NULL;
    struct ottla_producer *producer = NULL;
    bool well = false;
    if (configure(config, argv, &error) == OTTLA_OK &&
        ottla_client_new(config, &client, &error) == OTTLA_OK &&
        ottla_producer_new(client, &producer, &error) == OTTLA_OK) {
        well = produce_all(producer, argv[2]);
    } else {
        fprintf(stderr, "%s\n", error.text);
    }
    ottla_producer_free(producer);
    ottla_client_free(client);
    ottla_config_free(config);
    return well ? 0 : 1;
}
