/* What a bench measures, and how it is told. */
#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "cli/bench_int.h"
#include "client/core.h"

static const double mib = 1 << 20;
static const double second_ns = 1e9;

/* --- begin and end --- */

static int read_broker(const struct bench_measure *measure, struct sys_process *ret_process) {
    if (measure->broker_pid == 0 ||
        sys_linux_process_read(measure->broker_pid, ret_process) == ERR_OK) {
        return CLI_DONE;
    }
    return cli_fail(measure->cli, CLI_NOT_FOUND, NULL,
                    "--broker-pid %" PRId64 ": there is no such process", measure->broker_pid);
}

static void on_signal(void *arg, int signal) {
    struct bench_measure *measure = arg;
    (void)signal;
    measure->stopped = true;
    ottla_client_interrupt(measure->client);
}

int bench_measure_init(struct bench_measure *measure, const struct items *items) {
    *measure = (struct bench_measure){
        .cli = items->cli,
        .sys = client_sys(items->client),
        .client = items->client,
        .broker_pid = cli_number(items->cli, "broker-pid", 0),
        .registry = metrics_new(NULL, 1),
    };
    (void)sys_linux_on_signals(measure->sys, client_loop(items->client), on_signal, measure);
    return read_broker(measure, &measure->broker_begin);
}

void bench_measure_done(struct bench_measure *measure) {
    metrics_free(measure->registry);
}

static uint64_t own_cpu_ns(const struct bench_measure *measure) {
    struct sys_usage usage;
    sys_usage_read(measure->sys, &usage);
    return usage.cpu_ns;
}

void bench_measure_begin(struct bench_measure *measure) {
    measure->begun = true;
    (void)read_broker(measure, &measure->broker_begin);
    measure->own_begin_ns = own_cpu_ns(measure);
    measure->begin_ns = sys_mono_ns(measure->sys);
}

void bench_measure_end(struct bench_measure *measure) {
    measure->end_ns = sys_mono_ns(measure->sys);
    measure->own_end_ns = own_cpu_ns(measure);
    if (read_broker(measure, &measure->broker_end) != CLI_DONE) {
        measure->broker_pid = 0; /* it has ended meanwhile */
    }
}

/* --- as JSON --- */

static void tell(json_t *into, const char *key, double value) {
    json_object_set_new(into, key, json_real(value));
}

void bench_measure_tell(const struct bench_measure *measure, json_t *into) {
    double seconds = (double)(measure->end_ns - measure->begin_ns) / second_ns;
    double own_s = (double)(measure->own_end_ns - measure->own_begin_ns) / second_ns;
    double records = (double)measure->records;
    double bytes = (double)measure->bytes;
    json_object_set_new(into, "records", json_integer((json_int_t)measure->records));
    json_object_set_new(into, "bytes", json_integer((json_int_t)measure->bytes));
    tell(into, "seconds", seconds);
    tell(into, "recordsPerSecond", seconds > 0 ? records / seconds : 0);
    tell(into, "mibPerSecond", seconds > 0 ? bytes / mib / seconds : 0);
    tell(into, "ownCpuSeconds", own_s);
    tell(into, "ownCpuSecondsPerMillion", records > 0 ? own_s / records * 1e6 : 0);
    if (measure->broker_pid == 0) {
        return;
    }
    const struct sys_process *end = &measure->broker_end;
    double broker_s = (double)(end->cpu_ns - measure->broker_begin.cpu_ns) / second_ns;
    tell(into, "brokerCpuSeconds", broker_s);
    tell(into, "brokerCpuSecondsPerMillion", records > 0 ? broker_s / records * 1e6 : 0);
    tell(into, "brokerCpuSecondsPerGib", bytes > 0 ? broker_s / (bytes / mib / 1024) : 0);
    tell(into, "brokerResidentMib", (double)end->resident_bytes / mib);
    tell(into, "brokerResidentMaxMib", (double)end->resident_max_bytes / mib);
}

struct metrics_histogram *bench_latencies(struct bench_measure *measure, const char *name) {
    struct metrics_id id = {.name = name};
    enum { NS_OF_US = 1000 };
    return metrics_histogram_get(measure->registry, &id, 1e-3 / NS_OF_US, 0);
}

/* The percentiles of a histogram are of its last minutes as its reader's clock goes: here it
 * stands, so they are of all. */
void bench_latencies_tell(struct metrics_histogram *latencies, json_t *into, const char *key) {
    enum { MEDIAN = 0, P95 = 2, P99 = 4, P999 = 5 };
    struct metrics_summary summary;
    metrics_histogram_read(latencies, 0, &summary);
    if (summary.count > 0) {
        json_object_set_new(
            into, key,
            json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "p50", summary.quantiles[MEDIAN], "p95",
                      summary.quantiles[P95], "p99", summary.quantiles[P99], "p999",
                      summary.quantiles[P999], "max", summary.max, "mean", summary.mean));
    }
}

void bench_checks_tell(const struct bench_checks *checks, json_t *into) {
    char checksum[32];
    (void)snprintf(checksum, sizeof checksum, "%016" PRIx64, checks->checksum);
    json_object_set_new(into, "read", json_integer((json_int_t)checks->records));
    json_object_set_new(into, "damaged", json_integer((json_int_t)checks->damaged));
    json_object_set_new(into, "lost", json_integer((json_int_t)checks->lost));
    json_object_set_new(into, "doubled", json_integer((json_int_t)checks->doubled));
    json_object_set_new(into, "checksum", json_string(checksum));
}

int bench_checks_judge(struct cli *cli, const struct bench_checks *checks) {
    if (checks->damaged + checks->lost + checks->doubled == 0) {
        return CLI_DONE;
    }
    return cli_fail(cli, CLI_FAILED,
                    checks->damaged > 0
                        ? "Records of another origin count as damaged; --no-verify takes them."
                        : NULL,
                    "of %" PRIu64 " records %" PRIu64 " are damaged, %" PRIu64
                    " are doubled or out of order, and %" PRIu64 " are missing",
                    checks->records, checks->damaged, checks->doubled, checks->lost);
}

/* --- for people --- */

static const struct cli_column columns[] = {
    {"Topic", "topic"},
    {"Records", "records"},
    {"Seconds", "seconds"},
    {"Records/s", "recordsPerSecond"},
    {"MiB/s", "mibPerSecond"},
    {"Requests", "requests"},
    {"Repeated", "retries"},
    {"Failed", "failed"},
    {"Damaged", "damaged"},
    {"Missing", "lost"},
    {"Doubled", "doubled"},
    {"Checksum", "checksum"},
    {"Latency ms", "latencyMs"},
    {"Acknowledged ms", "acknowledgedMs"},
    {"Own CPU s", "ownCpuSeconds"},
    {"Own CPU s per million", "ownCpuSecondsPerMillion"},
    {"Broker CPU s", "brokerCpuSeconds"},
    {"Broker CPU s per million", "brokerCpuSecondsPerMillion"},
    {"Broker CPU s per GiB", "brokerCpuSecondsPerGib"},
    {"Broker MiB", "brokerResidentMib"},
    {"Broker MiB at most", "brokerResidentMaxMib"},
    {NULL},
};
enum { COLUMN_COUNT = sizeof columns / sizeof columns[0] };

/* {"p50": 1.5, …} as "p50 1.500  p95 …". */
static json_t *latency_line(const json_t *latencies) {
    struct buffer text = {0};
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)latencies, name, value) {
        buffer_printf(&text, "%s%s %.3f", text.size == 0 ? "" : "   ",
                      strcmp(name, "p999") == 0 ? "p99.9" : name, json_real_value(value));
    }
    json_t *line = json_stringn((const char *)text.data, text.size);
    buffer_done(&text);
    return line;
}

void bench_print(struct cli *cli, json_t *result) {
    struct cli_column used[COLUMN_COUNT] = {{NULL}};
    size_t count = 0;
    for (size_t i = 0; columns[i].title != NULL; i++) {
        const json_t *value = json_object_get(result, columns[i].key);
        if (value == NULL) {
            continue;
        }
        used[count++] = columns[i];
        if (json_is_object(value) && !cli_wants_json(cli)) {
            json_object_set_new(result, columns[i].key, latency_line(value));
        }
    }
    (void)cli_print_object(cli, used, result);
}
