/*
 * kafka-producer-perf-test: records as fast as they go, or at a rate, and how long each took.
 *
 * A record is due at its number divided by the rate; while none is due the client's loop turns. Its
 * latency is from its hand-over to its delivery. In transactions the first record behind
 * --transaction-duration-ms ends one, which waits for the records and for the commit.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"
#include "cli/kafka/console.h"
#include "cli/kafka/perf_payloads.h"
#include "cli/kafka/perf_stats.h"
#include "cli/kafka/tools.h"
#include "client/core.h"
#include "ottla/producer.h"
#include "sys/linux.h"
#include "sys/sys.h"

enum { TRANSACTION_DURATION_MS = 3000 };

/* A record on its way; those that are delivered are used again. */
struct sent {
    struct perf *perf;
    struct sent *next;
    int64_t start_ms;
    int64_t number;
    size_t size;
};

struct perf {
    struct tool *tool;
    struct ottla_client *client;
    struct ottla_producer *producer;
    struct sys *sys;
    int64_t record_count;
    int64_t record_size;
    int64_t warmup_count;
    int64_t interval_ms;
    int64_t transaction_ms; /* 0: no transactions */
    double throughput;      /* records a second; negative: no bound */
    struct perf_payloads payloads;
    struct perf_stats all;
    struct perf_stats steady;
    struct sent *idle;
};

static int fail(struct perf *perf, const struct ottla_error *error) {
    return tool_fail(perf->tool, "%s: %s", tool_exception(perf->tool, error->code), error->text);
}

/* --- sending --- */

static void on_delivery(void *arg, const struct ottla_delivery *delivery) {
    struct sent *sent = arg;
    struct perf *perf = sent->perf;
    int64_t now_ms = sys_mono_ms(perf->sys);
    int64_t latency_ms = now_ms - sent->start_ms;
    if (delivery->code == OTTLA_OK) {
        perf_stats_add(&perf->all, latency_ms, sent->size, now_ms);
        if (perf->warmup_count > 0 && sent->number >= perf->warmup_count) {
            perf_stats_add(&perf->steady, latency_ms, sent->size, now_ms);
        }
    } else if (delivery->code != OTTLA_CLOSED) { /* freed behind an error, which was printed */
        fprintf(stderr, "%s: %s\n", tool_exception(perf->tool, delivery->code), delivery->text);
    }
    sent->next = perf->idle;
    perf->idle = sent;
}

static struct sent *take_sent(struct perf *perf) {
    struct sent *sent = perf->idle;
    if (sent == NULL) {
        return ARENA_NEW(tool_arena(perf->tool), struct sent);
    }
    perf->idle = sent->next;
    return sent;
}

/* Lets the loop turn until the record is due. */
static void pace(struct perf *perf, int64_t number) {
    if (perf->throughput < 0) {
        return;
    }
    int64_t due_ms = perf->all.start_ms + (int64_t)((double)number * 1000.0 / perf->throughput);
    int64_t now_ms;
    while ((now_ms = sys_mono_ms(perf->sys)) < due_ms) {
        ottla_client_run(perf->client, due_ms - now_ms);
    }
}

static int send(struct perf *perf, int64_t number, int64_t now_ms) {
    struct ottla_bytes value = perf_payload(&perf->payloads, number);
    struct ottla_record record = {.topic = tool_text(perf->tool, "topic"),
                                  .partition = OTTLA_PARTITION_ANY,
                                  .timestamp_ms = OTTLA_TIMESTAMP_NOW,
                                  .value = value};
    struct sent *sent = take_sent(perf);
    *sent = (struct sent){.perf = perf, .start_ms = now_ms, .number = number, .size = value.size};
    struct ottla_error error;
    return ottla_produce_wait(perf->producer, &record, on_delivery, sent, &error) == OTTLA_OK
               ? TOOL_DONE
               : fail(perf, &error);
}

static int commit(struct perf *perf) {
    struct ottla_error error;
    int64_t wait_ms = client_settings(perf->client)->max_block_ms;
    return ottla_transaction_commit(perf->producer, wait_ms, &error) == OTTLA_OK
               ? TOOL_DONE
               : fail(perf, &error);
}

/* The record, and the transaction around it: begun with the first record, and committed behind one
 * that was sent when its time was over. *since_ms is -1 while none is open. */
static int send_in_transaction(struct perf *perf, int64_t number, int64_t *since_ms) {
    struct ottla_error error;
    bool first = *since_ms < 0;
    if (first && ottla_transaction_begin(perf->producer, &error) != OTTLA_OK) {
        return fail(perf, &error);
    }
    int64_t now_ms = sys_mono_ms(perf->sys);
    *since_ms = first ? now_ms : *since_ms;
    int code = send(perf, number, now_ms);
    if (code == TOOL_DONE && now_ms - *since_ms >= perf->transaction_ms) {
        *since_ms = -1;
        code = commit(perf);
    }
    return code;
}

static int send_records(struct perf *perf) {
    int64_t since_ms = -1;
    int code = TOOL_DONE;
    for (int64_t i = 0; i < perf->record_count && code == TOOL_DONE; i++) {
        pace(perf, i);
        if (i == perf->warmup_count && i > 0) {
            perf_stats_init(&perf->steady, perf->record_count - i, perf->interval_ms, true,
                            sys_mono_ms(perf->sys));
            perf->all.silent = true;
        }
        code = perf->transaction_ms > 0 ? send_in_transaction(perf, i, &since_ms)
                                        : send(perf, i, sys_mono_ms(perf->sys));
    }
    if (code == TOOL_DONE && since_ms >= 0) {
        code = commit(perf);
    }
    return code;
}

static int send_all(struct perf *perf) {
    perf_stats_init(&perf->all, perf->record_count, perf->interval_ms, false,
                    sys_mono_ms(perf->sys));
    if (perf->warmup_count > 0) {
        printf("Warmup first %" PRId64 " records. Steady state results will print after the "
               "complete test summary.\n",
               perf->warmup_count);
    }
    int code = send_records(perf);
    if (code == TOOL_DONE) {
        (void)ottla_producer_flush(perf->producer, -1);
        int64_t now_ms = sys_mono_ms(perf->sys);
        perf_stats_print(&perf->all, now_ms);
        if (perf->steady.latencies != NULL) {
            perf_stats_print(&perf->steady, now_ms);
        }
    }
    return code;
}

/* --- options --- */

static int parse_number(struct tool *tool, const char *option, int64_t max, int64_t *ret_number) {
    char *end;
    const char *text = tool_text(tool, option);
    if (text == NULL) {
        return TOOL_DONE;
    }
    *ret_number = strtoll(text, &end, 10);
    return text[0] != '\0' && *end == '\0' && *ret_number <= max
               ? TOOL_DONE
               : tool_usage(tool, "argument --%s: could not convert '%s' to a number", option,
                            text);
}

static int parse_throughput(struct perf *perf) {
    char *end;
    const char *text = tool_text(perf->tool, "throughput");
    perf->throughput = strtod(text, &end);
    return *end != '\0' || text[0] == '\0' || perf->throughput == 0 || isnan(perf->throughput)
               ? tool_usage(perf->tool, "argument --throughput: could not convert '%s' to a rate",
                            text)
               : TOOL_DONE;
}

static int parse_numbers(struct perf *perf) {
    const struct {
        const char *option;
        int64_t max;
        int64_t *number;
    } numbers[] = {
        {"num-records", INT64_MAX, &perf->record_count},
        {"record-size", INT32_MAX, &perf->record_size},
        {"warmup-records", INT64_MAX, &perf->warmup_count},
        {"transaction-duration-ms", INT64_MAX, &perf->transaction_ms},
        {"reporting-interval", INT64_MAX, &perf->interval_ms},
    };
    int code = parse_throughput(perf);
    for (size_t i = 0; code == TOOL_DONE && i < sizeof numbers / sizeof numbers[0]; i++) {
        code = parse_number(perf->tool, numbers[i].option, numbers[i].max, numbers[i].number);
    }
    return code;
}

static bool has_cluster(struct tool *tool) {
    static const char *const options[] = {"bootstrap-server", "command-property", "producer-props",
                                          "producer.config", "command-config"};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (tool_has(tool, options[i])) {
            return true;
        }
    }
    return false;
}

static int check_options(struct perf *perf) {
    struct tool *tool = perf->tool;
    const char *wrong = NULL;
    if (perf->record_count <= 0) {
        wrong = "--num-records should be greater than zero.";
    } else if (perf->warmup_count >= perf->record_count) {
        wrong = "The value for --warmup-records must be strictly fewer than the number of records "
                "in the test, --num-records.";
    } else if (tool_has(tool, "record-size") && perf->record_size <= 0) {
        wrong = "--record-size should be greater than zero.";
    } else if (!has_cluster(tool)) {
        wrong = "At least one of --bootstrap-server, --command-property, --producer-props, "
                "--producer.config or --command-config must be specified.";
    } else if (tool_has(tool, "command-property") && tool_has(tool, "producer-props")) {
        wrong = "--command-property and --producer-props cannot be specified together.";
    } else if (tool_has(tool, "command-config") && tool_has(tool, "producer.config")) {
        wrong = "--command-config and --producer.config cannot be specified together.";
    } else if (tool_has(tool, "transaction-duration-ms") && perf->transaction_ms <= 0) {
        wrong = "--transaction-duration-ms should be greater than zero.";
    } else if (perf->interval_ms <= 0) {
        wrong = "--reporting-interval should be greater than zero.";
    }
    if (wrong != NULL) {
        return tool_usage(tool, "%s", wrong);
    }
    return tool_has(tool, "print-metrics") ? tool_unsupported(tool, "print-metrics") : TOOL_DONE;
}

static void warn_of(struct tool *tool, const char *old, const char *option) {
    if (tool_has(tool, old)) {
        printf("Option --%s has been deprecated and will be removed in a future version. Use --%s "
               "instead.\n",
               old, option);
    }
}

static int read_settings(struct tool *tool, struct console_properties *settings) {
    warn_of(tool, "producer-props", "command-property");
    warn_of(tool, "producer.config", "command-config");
    const char *file = tool_text(tool, "command-config");
    int code = TOOL_DONE;
    file = file == NULL ? tool_text(tool, "producer.config") : file;
    console_properties_set(tool, settings, "client.id", "perf-producer-client");
    if (file != NULL) {
        code = console_properties_read(tool, settings, file);
    }
    if (code == TOOL_DONE) {
        code = console_properties_add(tool, settings, "producer-props");
    }
    if (code == TOOL_DONE) {
        code = console_properties_add(tool, settings, "command-property");
    }
    return code;
}

static const char *random_id(struct perf *perf) {
    char text[UUID_TEXT_SIZE + 1];
    uint8_t random[16];
    struct uuid id;
    do {
        sys_random(perf->sys, random, sizeof random);
    } while (!uuid_from_random(random, &id));
    uuid_format(id, text);
    return arena_printf(tool_arena(perf->tool), "performance-producer-%s", text).data;
}

/* An id, or how long they last, asks for transactions; an option counts more than a setting. */
static void choose_transactions(struct perf *perf, struct console_properties *settings) {
    const char *id = tool_text(perf->tool, "transactional-id");
    id = id == NULL ? console_property(settings, "transactional.id", NULL) : id;
    if (id == NULL && perf->transaction_ms == 0) {
        return;
    }
    console_properties_set(perf->tool, settings, "transactional.id",
                           id == NULL ? random_id(perf) : id);
    perf->transaction_ms =
        perf->transaction_ms == 0 ? TRANSACTION_DURATION_MS : perf->transaction_ms;
}

/* --- the run --- */

static int prepare(struct perf *perf) {
    struct console_properties settings = {0};
    int code = parse_numbers(perf);
    if (code == TOOL_DONE) {
        code = check_options(perf);
    }
    if (code == TOOL_DONE) {
        code =
            perf_payloads_init(&perf->payloads, perf->tool, perf->sys, (size_t)perf->record_size);
    }
    if (code == TOOL_DONE) {
        code = read_settings(perf->tool, &settings);
    }
    if (code == TOOL_DONE) {
        choose_transactions(perf, &settings);
        code = console_connect(perf->tool, &settings, &perf->client);
    }
    return code;
}

static int make_producer(struct perf *perf) {
    struct ottla_error error;
    if (ottla_producer_new(perf->client, &perf->producer, &error) != OTTLA_OK) {
        return tool_fail(perf->tool, "org.apache.kafka.common.config.ConfigException: %s",
                         error.text);
    }
    int64_t wait_ms = client_settings(perf->client)->max_block_ms;
    return perf->transaction_ms == 0 ||
                   ottla_transactions_init(perf->producer, wait_ms, &error) == OTTLA_OK
               ? TOOL_DONE
               : fail(perf, &error);
}

int kafka_producer_perf_test(struct tool *tool) {
    struct perf perf = {.tool = tool};
    if (sys_linux_new(&perf.sys) != ERR_OK) {
        return tool_fail(tool, "no memory");
    }
    int code = prepare(&perf);
    if (code == TOOL_DONE) {
        code = make_producer(&perf);
    }
    if (code == TOOL_DONE) {
        code = send_all(&perf);
    }
    ottla_producer_free(perf.producer);
    perf_stats_done(&perf.all);
    perf_stats_done(&perf.steady);
    perf_payloads_done(&perf.payloads);
    sys_linux_free(perf.sys);
    return code;
}
