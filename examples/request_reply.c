/*
 * Questions and answers over two topics: a request names in its headers where the reply belongs
 * and which of all it is for.
 *
 *     request_reply BOOTSTRAP serve TOPIC [COUNT]     answers in capital letters, as a group
 *     request_reply BOOTSTRAP ask TOPIC REPLY_TOPIC TEXT
 *
 * The topics exist, or the brokers make them when they are asked for.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ottla/client.h"

enum { WAIT_MS = 30000, TEXT_MAX = 1000 };

static const char reply_to[] = "reply-to", correlation_id[] = "correlation-id";

static struct ottla_client *client;
static struct ottla_producer *producer;
static struct ottla_consumer *consumer;
static struct ottla_error error;

static void end_if(int code) {
    if (code != OTTLA_OK) {
        fprintf(stderr, "%s (%s)\n", error.text, ottla_code_name(code));
        exit(1);
    }
}

static void begin(const char *bootstrap, const char *group) {
    struct ottla_config *config = ottla_config_new();
    end_if(ottla_config_set(config, "bootstrap.servers", bootstrap, &error));
    end_if(ottla_config_set(config, "group.id", group, &error));
    end_if(ottla_config_set(config, "auto.offset.reset", "earliest", &error));
    end_if(ottla_client_new(config, &client, &error));
    end_if(ottla_producer_new(client, &producer, &error));
    end_if(ottla_consumer_new(client, &consumer, &error));
    ottla_config_free(config);
}

static void end(void) {
    (void)ottla_producer_flush(producer, WAIT_MS);
    ottla_producer_free(producer);
    (void)ottla_consumer_close(consumer, WAIT_MS);
    ottla_consumer_free(consumer);
    ottla_client_free(client);
}

static const struct ottla_header *header_of(const struct ottla_record *record, const char *key) {
    for (size_t i = 0; i < record->header_count; i++) {
        if (strcmp(record->headers[i].key, key) == 0) {
            return &record->headers[i];
        }
    }
    return NULL;
}

/* --- serving --- */

static void answer(const struct ottla_record *request) {
    const struct ottla_header *where = header_of(request, reply_to);
    const struct ottla_header *which = header_of(request, correlation_id);
    if (where == NULL || which == NULL || where->value.size >= TEXT_MAX ||
        request->value.size > TEXT_MAX) {
        return; /* not a request of ours */
    }
    char topic[TEXT_MAX], text[TEXT_MAX];
    (void)snprintf(topic, sizeof topic, "%.*s", (int)where->value.size,
                   (const char *)where->value.data);
    for (size_t i = 0; i < request->value.size; i++) {
        text[i] = (char)toupper(((const unsigned char *)request->value.data)[i]);
    }
    struct ottla_record reply = {.topic = topic,
                                 .partition = OTTLA_PARTITION_ANY,
                                 .timestamp_ms = OTTLA_TIMESTAMP_NOW,
                                 .value = {text, request->value.size},
                                 .headers = which,
                                 .header_count = 1};
    end_if(ottla_produce_wait(producer, &reply, NULL, NULL, &error));
}

static void serve(const char *topic, long wanted) {
    end_if(ottla_consumer_subscribe(consumer, &topic, 1, NULL, &error));
    for (long answered = 0; answered < wanted;) {
        const struct ottla_record *records;
        size_t count;
        end_if(ottla_consumer_poll(consumer, 1000, &records, &count, &error));
        for (size_t i = 0; i < count; i++) {
            answer(&records[i]);
        }
        answered += (long)count;
    }
}

/* --- asking --- */

/* Replies are read from what is the end now, in every partition: ours comes later. */
static void listen(const char *topic) {
    int32_t partitions;
    end_if(ottla_client_partition_count(client, topic, WAIT_MS, &partitions, &error));
    struct ottla_position *positions = calloc((size_t)partitions, sizeof *positions);
    if (positions == NULL) {
        exit(1);
    }
    for (int32_t i = 0; i < partitions; i++) {
        positions[i] = (struct ottla_position){
            .topic = topic, .partition = i, .offset = OTTLA_OFFSET_LATEST, .leader_epoch = -1};
    }
    end_if(
        ottla_consumer_offsets_for_times(consumer, positions, (size_t)partitions, WAIT_MS, &error));
    end_if(ottla_consumer_assign(consumer, positions, (size_t)partitions, &error));
    free(positions);
}

static bool is_answer(const struct ottla_record *record, const char *id) {
    const struct ottla_header *which = header_of(record, correlation_id);
    return which != NULL && which->value.size == strlen(id) &&
           memcmp(which->value.data, id, which->value.size) == 0;
}

static int ask(const char *topic, const char *replies, const char *text) {
    char id[64];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(id, sizeof id, "%lld.%09ld", (long long)now.tv_sec, now.tv_nsec);
    listen(replies);
    const struct ottla_header headers[] = {
        {reply_to, strlen(reply_to), {replies, strlen(replies)}},
        {correlation_id, strlen(correlation_id), {id, strlen(id)}},
    };
    struct ottla_record request = {.topic = topic,
                                   .partition = OTTLA_PARTITION_ANY,
                                   .timestamp_ms = OTTLA_TIMESTAMP_NOW,
                                   .value = {text, strlen(text)},
                                   .headers = headers,
                                   .header_count = 2};
    end_if(ottla_produce_wait(producer, &request, NULL, NULL, &error));
    for (int waited = 0; waited < WAIT_MS / 1000; waited++) {
        const struct ottla_record *records;
        size_t count;
        end_if(ottla_consumer_poll(consumer, 1000, &records, &count, &error));
        for (size_t i = 0; i < count; i++) {
            if (is_answer(&records[i], id)) {
                printf("%.*s\n", (int)records[i].value.size, (const char *)records[i].value.data);
                return 0;
            }
        }
    }
    fprintf(stderr, "nobody answers on %s\n", replies);
    return 1;
}

int main(int argc, char **argv) {
    bool serves = argc >= 4 && strcmp(argv[2], "serve") == 0;
    bool asks = argc >= 6 && strcmp(argv[2], "ask") == 0;
    if (!serves && !asks) {
        fprintf(stderr,
                "usage: %s BOOTSTRAP serve TOPIC [COUNT]\n       %s BOOTSTRAP ask TOPIC "
                "REPLY_TOPIC TEXT\n",
                argv[0], argv[0]);
        return 2;
    }
    begin(argv[1], "answers");
    int status = 0;
    if (serves) {
        serve(argv[3], argc > 4 ? atol(argv[4]) : 1000000000);
    } else {
        status = ask(argv[3], argv[4], argv[5]);
    }
    end();
    return status;
}
