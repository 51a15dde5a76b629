/*
 * Reads a topic, writes what it makes of each record to another, exactly once: the records written
 * and the offsets of those read are committed together, in a transaction, or not at all.
 *
 *     transform BOOTSTRAP ID GROUP FROM TO [COUNT] [SETTING=VALUE...]
 *
 * Start several with an ID each, and the group shares the partitions out. Kill one: what it had not
 * committed is aborted, and done again by another or by itself when it comes back. Who reads TO
 * with isolation.level=read_committed sees each record once. With COUNT it ends after so many
 * records.
 */
#include <ctype.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ottla/client.h"

enum { WAIT_MS = 60000, CLOSE_MS = 10000 };

struct batch {
    const struct ottla_record *records; /* good until the next poll */
    size_t count;
};

static struct ottla_client *client;
static struct ottla_consumer *consumer;
static struct ottla_producer *producer;
static volatile sig_atomic_t stopped;

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

static int check(int code, const struct ottla_error *error) {
    if (code != OTTLA_OK) {
        fprintf(stderr, "%s (%s)\n", error->text, ottla_code_name(code));
    }
    return code;
}

/* --- a transaction --- */

static int write_upper(const struct ottla_record *from, const char *to, struct ottla_error *error) {
    char *value = malloc(from->value.size + 1);
    for (size_t i = 0; i < from->value.size; i++) {
        value[i] = (char)toupper(((const unsigned char *)from->value.data)[i]);
    }
    struct ottla_record record = {.topic = to,
                                  .partition = OTTLA_PARTITION_ANY,
                                  .timestamp_ms = from->timestamp_ms,
                                  .key = from->key,
                                  .value = {value, from->value.size}};
    int code = ottla_produce_wait(producer, &record, NULL, NULL, error);
    free(value); /* the record was copied */
    return code;
}

/* Of several positions in a partition the last one counts. */
static int send_offsets(struct batch batch, struct ottla_error *error) {
    struct ottla_membership membership;
    struct ottla_position *positions = calloc(batch.count, sizeof *positions);
    for (size_t i = 0; i < batch.count; i++) {
        positions[i] = (struct ottla_position){.topic = batch.records[i].topic,
                                               .partition = batch.records[i].partition,
                                               .offset = batch.records[i].offset + 1,
                                               .leader_epoch = batch.records[i].leader_epoch};
    }
    (void)ottla_consumer_membership(consumer, &membership);
    int code = ottla_transaction_send_offsets(producer, positions, batch.count, &membership,
                                              WAIT_MS, error);
    free(positions);
    return code;
}

static int transform(struct batch batch, const char *to, struct ottla_error *error) {
    int code = ottla_transaction_begin(producer, error);
    for (size_t i = 0; code == OTTLA_OK && i < batch.count; i++) {
        code = write_upper(&batch.records[i], to, error);
    }
    if (code == OTTLA_OK) {
        code = send_offsets(batch, error);
    }
    if (code == OTTLA_OK) {
        code = ottla_transaction_commit(producer, WAIT_MS, error);
    }
    /* Whether it was committed is not known yet: ask on. */
    while (code == OTTLA_TIMED_OUT &&
           ottla_transaction_state(producer) == OTTLA_TRANSACTION_COMMITTING) {
        code = ottla_transaction_commit(producer, WAIT_MS, error);
    }
    return code;
}

/* Nothing of the transaction is to be seen: what it was made of is read again. Partitions that the
 * group has given to others are theirs to read. */
static int take_back(struct batch batch, struct ottla_error *error) {
    for (size_t i = batch.count; i-- > 0;) {
        struct ottla_position position = {.topic = batch.records[i].topic,
                                          .partition = batch.records[i].partition,
                                          .offset = batch.records[i].offset,
                                          .leader_epoch = batch.records[i].leader_epoch};
        (void)ottla_consumer_seek(consumer, &position);
    }
    return ottla_transaction_abort(producer, WAIT_MS, error);
}

/* --- the program --- */

static int work(const char *to, long wanted) {
    struct ottla_error error = {0};
    if (check(ottla_transactions_init(producer, WAIT_MS, &error), &error) != OTTLA_OK) {
        return 1;
    }
    for (long done = 0; !stopped && done < wanted;) {
        struct batch batch;
        int code = ottla_consumer_poll(consumer, 500, &batch.records, &batch.count, &error);
        if (check(code, &error) != OTTLA_OK && !ottla_code_retriable(code)) {
            return 1;
        }
        if (code != OTTLA_OK || batch.count == 0) {
            continue;
        }
        code = check(transform(batch, to, &error), &error);
        if (code == OTTLA_OK) {
            done += (long)batch.count;
        } else if (check(take_back(batch, &error), &error) != OTTLA_OK) {
            return 1; /* fenced, or of no right: nothing helps */
        }
    }
    return 0;
}

static int run(const struct ottla_config *config, const char *from, const char *to, long wanted) {
    struct ottla_error error = {0};
    int status = 1;
    if (check(ottla_client_new(config, &client, &error), &error) != OTTLA_OK) {
        return status;
    }
    if (check(ottla_consumer_new(client, &consumer, &error), &error) == OTTLA_OK &&
        check(ottla_producer_new(client, &producer, &error), &error) == OTTLA_OK &&
        check(ottla_consumer_subscribe(consumer, &from, 1, NULL, &error), &error) == OTTLA_OK) {
        status = work(to, wanted);
        (void)ottla_consumer_close(consumer, CLOSE_MS);
    }
    ottla_producer_free(producer);
    ottla_consumer_free(consumer);
    ottla_client_free(client);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: %s BOOTSTRAP ID GROUP FROM TO [COUNT] [SETTING=VALUE...]\n",
                argv[0]);
        return 2;
    }
    const char *const settings[][2] = {
        {"bootstrap.servers", argv[1]},
        {"transactional.id", argv[2]},
        {"group.id", argv[3]},
        {"auto.offset.reset", "earliest"},
        {"enable.auto.commit", "false"}, /* the transaction commits them */
        {"isolation.level", "read_committed"},
    };
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    struct ottla_config *config = ottla_config_new();
    struct ottla_error error = {0};
    int code = OTTLA_OK;
    for (size_t i = 0; code == OTTLA_OK && i < sizeof settings / sizeof settings[0]; i++) {
        code = check(ottla_config_set(config, settings[i][0], settings[i][1], &error), &error);
    }
    long count = LONG_MAX;
    for (int i = 6; code == OTTLA_OK && i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL) {
            count = atol(argv[i]);
            continue;
        }
        *value++ = 0;
        code = check(ottla_config_set(config, argv[i], value, &error), &error);
    }
    int status = code == OTTLA_OK ? run(config, argv[4], argv[5], count) : 1;
    ottla_config_free(config);
    return status;
}
