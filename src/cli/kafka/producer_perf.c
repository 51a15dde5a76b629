/*
 * kafka-producer-perf-test: records as fast as they go, or at a rate, and how long each took.
 *
 * A record is due at its number divided by the rate; while none is due the client's loop turns.
 * Latencies are in milliseconds, from the record's hand-over to its delivery. One of so many is
 * kept, so that there are at most SAMPLES_MAX.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/kafka/console.h"
#include "cli/kafka/tools.h"
#include "client/core.h"
#include "ottla/producer.h"
#include "sys/file.h"
#include "sys/sys.h"

enum { SAMPLES_MAX = 500000, PAYLOAD_FILE_MAX = 1 << 30 };

/* Of all records, or of those behind the warm-up. */
struct stats {
    int64_t start_ms;
    int64_t count;
    int64_t bytes;
    int64_t latency_sum;
    int64_t latency_max;
    int32_t *latencies;
    int64_t sampled;
    int64_t every;
};

/* Since the last line that was printed. */
struct window {
    int64_t start_ms;
    int64_t count;
    int64_t bytes;
    int64_t latency_sum;
    int64_t latency_max;
};

/* A record on its way; those that are delivered are used again. */
struct sent {
    struct perf *perf;
    struct sent *next;
    int64_t start_ms;
    int64_t number;
    size_t size;
};

struct payload {
    char *data;
    size_t size;
};

struct perf {
    struct tool *tool;
    struct ottla_client *client;
    struct ottla_producer *producer;
    struct sys *sys;
    int64_t record_count;
    int64_t warmup_count;
    int64_t interval_ms;
    double throughput; /* records a second; negative: no bound */
    bool monotonic;
    struct payload *payloads;
    size_t payload_count;
    char *text; /* of the payload file */
    struct stats all;
    struct stats steady;
    struct window window;
    struct sent *idle;
};

/* --- numbers --- */

static void stats_init(struct stats *stats, int64_t count, int64_t now_ms) {
    int64_t kept = count < SAMPLES_MAX ? count : SAMPLES_MAX;
    *stats = (struct stats){.start_ms = now_ms, .every = kept == 0 ? 1 : count / kept};
    stats->latencies = calloc((size_t)(count / stats->every) + 2, sizeof *stats->latencies);
}

static void stats_add(struct stats *stats, int64_t latency_ms, size_t size) {
    if (stats->count % stats->every == 0) {
        stats->latencies[stats->sampled++] = (int32_t)latency_ms;
    }
    stats->count++;
    stats->bytes += (int64_t)size;
    stats->latency_sum += latency_ms;
    stats->latency_max = latency_ms > stats->latency_max ? latency_ms : stats->latency_max;
}

static int order(const void *a, const void *b) {
    int32_t left = *(const int32_t *)a;
    int32_t right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

static int32_t percentile(const struct stats *stats, double part) {
    int64_t index = (int64_t)(part * (double)stats->sampled);
    return stats->sampled == 0
               ? 0
               : stats->latencies[index < stats->sampled ? index : stats->sampled - 1];
}

static void stats_print(struct stats *stats, const char *what, int64_t now_ms) {
    double elapsed_ms = (double)(now_ms > stats->start_ms ? now_ms - stats->start_ms : 1);
    double count = (double)(stats->count == 0 ? 1 : stats->count);
    qsort(stats->latencies, (size_t)stats->sampled, sizeof *stats->latencies, order);
    printf("%" PRId64 "%s records sent, %f records/sec (%.2f MB/sec), %.2f ms avg latency, %.2f ms "
           "max latency, %" PRId32 " ms 50th, %" PRId32 " ms 95th, %" PRId32 " ms 99th, %" PRId32
           " ms 99.9th.\n",
           stats->count, what, 1000.0 * (double)stats->count / elapsed_ms,
           1000.0 * (double)stats->bytes / elapsed_ms / (1024.0 * 1024.0),
           (double)stats->latency_sum / count, (double)stats->latency_max, percentile(stats, 0.5),
           percentile(stats, 0.95), percentile(stats, 0.99), percentile(stats, 0.999));
}

static void window_print(struct perf *perf, int64_t now_ms) {
    struct window *window = &perf->window;
    double elapsed_ms = (double)(now_ms - window->start_ms);
    printf("%" PRId64 " records sent, %.1f records/sec (%.2f MB/sec), %.1f ms avg latency, %.1f ms "
           "max latency.\n",
           window->count, 1000.0 * (double)window->count / elapsed_ms,
           1000.0 * (double)window->bytes / elapsed_ms / (1024.0 * 1024.0),
           (double)window->latency_sum / (double)window->count, (double)window->latency_max);
    fflush(stdout);
    *window = (struct window){.start_ms = now_ms};
}

/* --- sending --- */

static void on_delivery(void *arg, const struct ottla_delivery *delivery) {
    struct sent *sent = arg;
    struct perf *perf = sent->perf;
    int64_t now_ms = sys_mono_ms(perf->sys);
    int64_t latency_ms = now_ms - sent->start_ms;
    if (delivery->code == OTTLA_OK) {
        struct window *window = &perf->window;
        stats_add(&perf->all, latency_ms, sent->size);
        if (sent->number >= perf->warmup_count && perf->warmup_count > 0) {
            stats_add(&perf->steady, latency_ms, sent->size);
        }
        window->count++;
        window->bytes += (int64_t)sent->size;
        window->latency_sum += latency_ms;
        window->latency_max = latency_ms > window->latency_max ? latency_ms : window->latency_max;
        if (now_ms - window->start_ms >= perf->interval_ms) {
            window_print(perf, now_ms);
        }
    } else {
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

static int send(struct perf *perf, int64_t number) {
    char text[24];
    struct ottla_bytes value = {text, 0};
    uint32_t random;
    if (perf->monotonic) {
        value.size = (size_t)snprintf(text, sizeof text, "%" PRId64, number);
    } else {
        sys_random(perf->sys, &random, sizeof random);
        const struct payload *payload = &perf->payloads[random % perf->payload_count];
        value = (struct ottla_bytes){payload->data, payload->size};
    }
    struct ottla_record record = {.topic = tool_text(perf->tool, "topic"),
                                  .partition = OTTLA_PARTITION_ANY,
                                  .timestamp_ms = OTTLA_TIMESTAMP_NOW,
                                  .value = value};
    struct sent *sent = take_sent(perf);
    *sent = (struct sent){
        .perf = perf, .start_ms = sys_mono_ms(perf->sys), .number = number, .size = value.size};
    struct ottla_error error;
    return ottla_produce_wait(perf->producer, &record, on_delivery, sent, &error) == OTTLA_OK
               ? TOOL_DONE
               : tool_fail(perf->tool, "%s: %s", tool_exception(perf->tool, error.code),
                           error.text);
}

static int send_all(struct perf *perf) {
    int64_t now_ms = sys_mono_ms(perf->sys);
    int code = TOOL_DONE;
    stats_init(&perf->all, perf->record_count, now_ms);
    perf->window.start_ms = now_ms;
    if (perf->warmup_count > 0) {
        printf("Warmup first %" PRId64 " records. Steady state results will print after the "
               "complete test summary.\n",
               perf->warmup_count);
    }
    for (int64_t i = 0; i < perf->record_count && code == TOOL_DONE; i++) {
        pace(perf, i);
        if (i == perf->warmup_count && i > 0) {
            stats_init(&perf->steady, perf->record_count - i, sys_mono_ms(perf->sys));
        }
        code = send(perf, i);
    }
    (void)ottla_producer_flush(perf->producer, -1);
    now_ms = sys_mono_ms(perf->sys);
    stats_print(&perf->all, "", now_ms);
    if (perf->steady.latencies != NULL) {
        stats_print(&perf->steady, " steady state", now_ms);
    }
    free(perf->all.latencies);
    free(perf->steady.latencies);
    return code;
}

/* --- payloads --- */

static int random_payload(struct perf *perf, int64_t size) {
    if (size <= 0) {
        return tool_fail(perf->tool, "--record-size should be greater than zero.");
    }
    uint8_t *data = arena_alloc(tool_arena(perf->tool), (size_t)size);
    sys_random(perf->sys, data, (size_t)size);
    for (int64_t i = 0; i < size; i++) {
        data[i] = (uint8_t)('A' + data[i] % 26);
    }
    perf->payloads = ARENA_NEW(tool_arena(perf->tool), struct payload);
    perf->payloads[0] = (struct payload){(char *)data, (size_t)size};
    perf->payload_count = 1;
    return TOOL_DONE;
}

/* "\n" as two characters is a line's end, too. */
static const char *delimiter_of(struct tool *tool) {
    const char *text = tool_text(tool, "payload-delimiter");
    return strcmp(text, "\\n") == 0 ? "\n" : text;
}

static int file_payloads(struct perf *perf, const char *path) {
    const char *delimiter = delimiter_of(perf->tool);
    size_t delimiter_size = strlen(delimiter);
    size_t size = 0;
    if (sys_file_read_all(perf->sys, path, PAYLOAD_FILE_MAX, &perf->text, &size) != ERR_OK ||
        size == 0 || delimiter_size == 0) {
        return tool_fail(perf->tool, "File does not exist or empty file provided.");
    }
    printf("Reading payloads from: %s\n", path);
    char *end = perf->text + size;
    size_t capacity = 1;
    for (const char *at = perf->text;
         (at = memmem(at, (size_t)(end - at), delimiter, delimiter_size)) != NULL;
         at += delimiter_size) {
        capacity++;
    }
    perf->payloads = ARENA_ARRAY(tool_arena(perf->tool), struct payload, capacity);
    for (char *at = perf->text; at < end;) {
        char *found = memmem(at, (size_t)(end - at), delimiter, delimiter_size);
        char *stop = found == NULL ? end : found;
        perf->payloads[perf->payload_count++] = (struct payload){at, (size_t)(stop - at)};
        at = found == NULL ? end : found + delimiter_size;
    }
    printf("Number of records read: %zu\n", perf->payload_count);
    return TOOL_DONE;
}

/* --- options --- */

static int parse_number(struct tool *tool, const char *option, int64_t *ret_number) {
    char *end;
    const char *text = tool_text(tool, option);
    *ret_number = strtoll(text, &end, 10);
    return text[0] != '\0' && *end == '\0'
               ? TOOL_DONE
               : tool_usage(tool, "argument --%s: could not convert '%s' to a number", option,
                            text);
}

static int read_options(struct perf *perf) {
    struct tool *tool = perf->tool;
    char *end;
    const char *throughput = tool_text(tool, "throughput");
    int code = parse_number(tool, "num-records", &perf->record_count);
    if (code == TOOL_DONE) {
        code = parse_number(tool, "warmup-records", &perf->warmup_count);
    }
    if (code == TOOL_DONE) {
        code = parse_number(tool, "reporting-interval", &perf->interval_ms);
    }
    if (code != TOOL_DONE) {
        return code;
    }
    perf->throughput = strtod(throughput, &end);
    if (*end != '\0' || throughput[0] == '\0' || perf->throughput == 0 || isnan(perf->throughput)) {
        return tool_usage(tool, "argument --throughput: could not convert '%s' to a rate",
                          throughput);
    }
    if (perf->record_count <= 0) {
        return tool_fail(tool, "--num-records should be greater than zero.");
    }
    if (perf->warmup_count >= perf->record_count) {
        return tool_fail(tool, "The value for --warmup-records must be strictly fewer than the "
                               "number of records in the test, --num-records.");
    }
    static const char *const missing[] = {"transactional-id", "transaction-duration-ms",
                                          "print-metrics"};
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        if (tool_has(tool, missing[i])) {
            return tool_unsupported(tool, missing[i]);
        }
    }
    return TOOL_DONE;
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
    if (code == TOOL_DONE && !tool_has(tool, "bootstrap-server") &&
        console_property(settings, "bootstrap.servers", NULL) == NULL) {
        code = tool_usage(tool, "At least one of --bootstrap-server, --command-property, "
                                "--producer-props, --producer.config or --command-config must be "
                                "specified.");
    }
    return code;
}

static int read_payloads(struct perf *perf) {
    int64_t size;
    const char *file = tool_text(perf->tool, "payload-file");
    perf->monotonic = tool_has(perf->tool, "payload-monotonic");
    if (perf->monotonic) {
        return TOOL_DONE;
    }
    if (file != NULL) {
        return file_payloads(perf, file);
    }
    int code = parse_number(perf->tool, "record-size", &size);
    return code == TOOL_DONE ? random_payload(perf, size) : code;
}

int kafka_producer_perf_test(struct tool *tool) {
    struct perf perf = {.tool = tool};
    struct console_properties settings = {0};
    struct ottla_error error;
    int code = read_options(&perf);
    if (code == TOOL_DONE) {
        code = read_settings(tool, &settings);
    }
    if (code == TOOL_DONE) {
        code = console_connect(tool, &settings, &perf.client);
    }
    if (code == TOOL_DONE) {
        perf.sys = client_sys(perf.client);
        code = read_payloads(&perf);
    }
    if (code == TOOL_DONE && ottla_producer_new(perf.client, &perf.producer, &error) != OTTLA_OK) {
        code = tool_fail(tool, "org.apache.kafka.common.config.ConfigException: %s", error.text);
    }
    if (code == TOOL_DONE) {
        code = send_all(&perf);
    }
    ottla_producer_free(perf.producer);
    free(perf.text);
    return code;
}
