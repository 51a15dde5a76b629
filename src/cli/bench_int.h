#pragma once

#include <jansson.h>

#include "cli/bench_record.h"
#include "cli/items.h"
#include "cli/output.h"
#include "metrics/metrics.h"
#include "ottla/consumer.h"
#include "ottla/producer.h"
#include "sys/linux.h"

/*
 * Private to bench*.c.
 *
 *     bench_produce.c  bench_consume.c  bench_end_to_end.c     what each measures
 *           └─ bench_load.c ─┘                                 records at their time
 *     bench_measure.c                                          time, CPU, memory, latencies, JSON
 *     bench_record.h                                           what can be checked in a record
 */

/* --- what is measured --- */

/* Between begin and end. What comes before (the warm-up) is done, and not counted. */
struct bench_measure {
    struct cli *cli;
    struct sys *sys;
    int64_t broker_pid; /* 0: not said */
    struct ottla_client *client;
    bool stopped; /* by a signal */
    bool begun;
    int64_t begin_ns;
    int64_t end_ns;
    uint64_t own_begin_ns; /* CPU */
    uint64_t own_end_ns;
    struct sys_process broker_begin;
    struct sys_process broker_end;
    uint64_t records;
    uint64_t bytes; /* of values */
    struct metrics *registry;
};

/* Of --broker-pid; a signal ends what the client waits for from now on. CLI_NOT_FOUND, printed.
 * Done with bench_measure_done in any case. */
int bench_measure_init(struct bench_measure *measure, const struct items *items);
void bench_measure_done(struct bench_measure *measure);
void bench_measure_begin(struct bench_measure *measure);
void bench_measure_end(struct bench_measure *measure);

/* Adds to the JSON: records, rates, CPU and memory of both sides. */
void bench_measure_tell(const struct bench_measure *measure, json_t *into);

/* Latencies, which live with the measure; and {"p50": …} of them in milliseconds. */
struct metrics_histogram *bench_latencies(struct bench_measure *measure, const char *name);
void bench_latencies_tell(struct metrics_histogram *latencies, json_t *into, const char *key);

/* What the checker found, and CLI_FAILED, printed, if that is not as it should be. */
void bench_checks_tell(const struct bench_checks *checks, json_t *into);
int bench_checks_judge(struct cli *cli, const struct bench_checks *checks);

/* The result as JSON, or as lines for people. Takes the reference. */
void bench_print(struct cli *cli, json_t *result);

/* --- a duration option, in ns --- */

int bench_duration(struct cli *cli, const char *option, const char *otherwise, int64_t *ret_ns);

/* A client with the settings `defaults` (name, value, …, NULL) under what -X says. Errors are
 * printed. */
int bench_connect(struct cli *cli, const char *const *defaults, struct items *ret_items);

/* The topic's partitions; it is made, of --partitions, when it is not there. Errors are printed. */
int bench_topic(const struct items *items, int32_t *ret_partitions);

/* --- load --- */

struct bench_load;

/* What runs the client between records: ottla_client_run, or a poll. CLI_DONE to go on. */
typedef int (*bench_wait_fn)(void *arg, int64_t timeout_ms);

/* Of --rate, --size, --data, --duration, --count, --warm-up; asks nobody. Errors are printed. */
int bench_load_new(const struct items *items, struct bench_measure *measure,
                   struct bench_load **ret_load);
void bench_load_free(struct bench_load *load); /* accepts NULL */

/* Finds or makes the topic. Errors are printed. */
int bench_load_open(struct bench_load *load);
int32_t bench_load_partitions(const struct bench_load *load);

/* The whole load, warm-up first, until all is acknowledged. wait NULL: ottla_client_run. The
 * measure begins and ends with it. */
int bench_load_run(struct bench_load *load, bench_wait_fn wait, void *arg);

uint32_t bench_load_number(const struct bench_load *load); /* the run's, in its records */
uint64_t bench_load_acknowledged(const struct bench_load *load);
void bench_load_tell(struct bench_load *load, json_t *into); /* also the latencies */
int bench_load_judge(const struct bench_load *load);         /* printed if any failed */

/* --- commands and what they share --- */

extern const struct cli_command bench_produce_command;
extern const struct cli_command bench_consume_command;
extern const struct cli_command bench_end_to_end_command;

/* clang-format off */
#define BENCH_LOAD_OPTIONS                                                                         \
    {"size", 's', CLI_NUMBER, "SIZE", "bytes of a record's value (1024; 28 at least)"},            \
    {"rate", 'r', CLI_NUMBER, "RECORDS", "so many a second; else as many as go",                   \
     .most = 1000000000},                                                                          \
    {"count", 'n', CLI_NUMBER, "RECORDS", "stop after so many"},                                   \
    {"duration", 'd', CLI_TEXT, "TIME", "stop after 500ms, 90s, 15m (10s, unless --count)"},       \
    {"warm-up", 'w', CLI_TEXT, "TIME", "do so for a while before anything counts (1s)"},           \
    {"partitions", 'p', CLI_NUMBER, "COUNT", "of the topic, if it is not there yet (4)",           \
     .least = 1, .most = INT32_MAX},                                                               \
    {"data", 0, CLI_TEXT, "KIND", "what records are filled with (random)", "random|text",          \
     CLI_COMPLETE_CHOICE}
#define BENCH_BROKER_OPTION                                                                        \
    {"broker-pid", 0, CLI_NUMBER, "PID", "a broker on this machine: tells its CPU and memory, too"}
/* clang-format on */
