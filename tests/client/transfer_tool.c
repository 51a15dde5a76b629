/*
 * Transfers between accounts, for tests that kill it or the broker meanwhile. exactly_once.py says
 * what it writes and prints.
 *
 *     transfer_tool transfer TOPIC PARTITIONS NAME [setting=value ...] (OTTLA_TEST_BOOTSTRAP)
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

enum { ABORTED_EACH = 5, AMOUNT_MAX = 100, WAIT_MS = 10000 };

static struct ottla_producer *producer;
static const char *topic, *name;
static int partitions;

static void say(const char *what, long number) {
    printf("%s %ld\n", what, number);
    fflush(stdout);
}

static bool input_ended(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;
    return poll(&input, 1, 0) == 1 && read(STDIN_FILENO, &byte, 1) <= 0;
}

typedef int call_fn(struct ottla_producer *, int64_t, struct ottla_error *);

/* What becomes of it is asked until it is known. */
static int until_known(call_fn *call, struct ottla_error *error) {
    int code;
    do {
        code = call(producer, WAIT_MS, error);
    } while (code == OTTLA_TIMED_OUT);
    return code;
}

static int write_one(int partition, long number, long amount, struct ottla_error *error) {
    char value[200];
    int size = snprintf(value, sizeof value, "%s/%ld %ld", name, number, amount);
    struct ottla_record record = {.topic = topic,
                                  .partition = partition,
                                  .timestamp_ms = OTTLA_TIMESTAMP_NOW,
                                  .value = {value, (size_t)size}};
    return ottla_produce_wait(producer, &record, NULL, NULL, error);
}

static int write_both(long number, struct ottla_error *error) {
    int from = (int)(random() % partitions);
    int to = (from + 1 + (int)(random() % (partitions - 1))) % partitions;
    long amount = 1 + random() % AMOUNT_MAX;
    int code = write_one(from, number, -amount, error);
    return code == OTTLA_OK ? write_one(to, number, amount, error) : code;
}

static void transfer(long number) {
    struct ottla_error error = {0};
    if (ottla_transaction_begin(producer, &error) != OTTLA_OK) {
        tool_fail(&error);
    }
    int code = write_both(number, &error);
    if (code == OTTLA_OK && number % ABORTED_EACH != 0) {
        code = until_known(ottla_transaction_commit, &error);
        if (code == OTTLA_OK) {
            say("committed", number);
            return;
        }
    } else if (code == OTTLA_OK) {
        (void)ottla_producer_flush(producer, WAIT_MS); /* there is something to take back */
    }
    if (code != OTTLA_OK) {
        fprintf(stderr, "%s\n", error.text);
    }
    if (until_known(ottla_transaction_abort, &error) != OTTLA_OK) {
        tool_fail(&error);
    }
    say("aborted", number);
}

int main(int argc, char **argv) {
    if (argc < 5 || strcmp(argv[1], "transfer") != 0) {
        fprintf(stderr, "usage: %s transfer topic partitions name [setting=value ...]\n", argv[0]);
        return 2;
    }
    topic = argv[2];
    partitions = atoi(argv[3]);
    name = argv[4];
    srandom((unsigned)getpid());
    struct ottla_client *client = tool_client(argv + 5);
    struct ottla_error error = {0};
    if (ottla_producer_new(client, &producer, &error) != OTTLA_OK ||
        until_known(ottla_transactions_init, &error) != OTTLA_OK) {
        tool_fail(&error);
    }
    for (long number = 1; !input_ended(); number++) {
        transfer(number);
    }
    ottla_producer_free(producer);
    ottla_client_free(client);
    return 0;
}
