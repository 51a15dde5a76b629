/* kafka-consumer-perf-test: how fast records come, in all or interval by interval. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/kafka/console.h"
#include "cli/kafka/tools.h"
#include "cli/when.h"
#include "client/core.h"
#include "ottla/consumer.h"
#include "sys/sys.h"

enum { POLL_MS = 100, CLOSE_MS = 30000 };

static const char date_format[] = "yyyy-MM-dd HH:mm:ss:SSS";

/* What has been read up to a moment. */
struct progress {
    int64_t ms;
    int64_t bytes;
    int64_t records;
    int64_t join_ms; /* of it spent outside of a group that is at work */
};

struct perf {
    struct tool *tool;
    struct ottla_client *client;
    struct ottla_consumer *consumer;
    struct sys *sys;
    int64_t wanted;
    int64_t interval_ms;
    int64_t timeout_ms;
    int64_t wall_offset_ms; /* wall clock less the monotonic one */
    bool detailed;
    bool joining;
    int64_t join_start_ms;
    struct progress now;
    struct progress start;
    struct progress last; /* the line printed last */
};

/* --- numbers --- */

static double megabytes(int64_t bytes) {
    return (double)bytes / (1024.0 * 1024.0);
}

/* "2026-11-21 10:30:15:250" */
static void print_date(const struct perf *perf, int64_t mono_ms) {
    char text[WHEN_TEXT_SIZE];
    when_format(mono_ms + perf->wall_offset_ms, text);
    printf("%.10s %.8s:%.3s, ", text, text + 11, text + 20);
}

static double rate(double amount, int64_t ms) {
    return ms > 0 ? amount * 1000.0 / (double)ms : 0;
}

/* The rest of a line: amounts, and rates of what came between two moments. */
static void print_rates(const struct progress *from, const struct progress *to) {
    int64_t elapsed_ms = to->ms - from->ms;
    int64_t join_ms = to->join_ms - from->join_ms;
    int64_t fetch_ms = elapsed_ms - join_ms;
    double mb = megabytes(to->bytes - from->bytes);
    double records = (double)(to->records - from->records);
    printf("%.4f, %.4f, %" PRId64 ", %.4f, %" PRId64 ", %" PRId64 ", %.4f, %.4f\n",
           megabytes(to->bytes), rate(mb, elapsed_ms), to->records, rate(records, elapsed_ms),
           join_ms, fetch_ms, rate(mb, fetch_ms), rate(records, fetch_ms));
}

static void print_header(const struct perf *perf) {
    if (!tool_has(perf->tool, "hide-header")) {
        printf("%s, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, "
               "rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n",
               perf->detailed ? "time, threadId" : "start.time, end.time");
    }
}

static void print_interval(struct perf *perf) {
    if (perf->detailed && perf->now.ms - perf->last.ms >= perf->interval_ms) {
        print_date(perf, perf->now.ms);
        fputs("0, ", stdout);
        print_rates(&perf->last, &perf->now);
        fflush(stdout);
        perf->last = perf->now;
    }
}

/* --- the group --- */

static void on_assigned(void *arg, struct ottla_consumer *consumer,
                        const struct ottla_partition *partitions, size_t count) {
    struct perf *perf = arg;
    (void)consumer;
    (void)partitions;
    (void)count;
    if (perf->joining) {
        perf->now.join_ms += sys_mono_ms(perf->sys) - perf->join_start_ms;
        perf->joining = false;
    }
}

static void on_revoked(void *arg, struct ottla_consumer *consumer,
                       const struct ottla_partition *partitions, size_t count) {
    struct perf *perf = arg;
    (void)consumer;
    (void)partitions;
    (void)count;
    perf->joining = true;
    perf->join_start_ms = sys_mono_ms(perf->sys);
}

/* A comma is an "or". */
static int subscribe(struct perf *perf) {
    const char *topic = tool_text(perf->tool, "topic");
    const struct ottla_rebalance rebalance = {
        .assigned = on_assigned, .revoked = on_revoked, .arg = perf};
    struct ottla_error error;
    int code;
    if (topic != NULL) {
        code = ottla_consumer_subscribe(perf->consumer, &topic, 1, &rebalance, &error);
    } else {
        char *pattern =
            arena_c_str(tool_arena(perf->tool), str_from_c(tool_text(perf->tool, "include")));
        for (char *at = pattern; *at != '\0'; at++) {
            *at = *at == ',' ? '|' : *at;
        }
        code = ottla_consumer_subscribe_pattern(perf->consumer, pattern, &rebalance, &error);
    }
    return code == OTTLA_OK ? TOOL_DONE : tool_fail(perf->tool, "%s", error.text);
}

/* --- reading --- */

static int read_records(struct perf *perf) {
    int64_t last_record_ms = perf->start.ms;
    perf->now.ms = perf->start.ms;
    while (perf->now.records < perf->wanted) {
        const struct ottla_record *records = NULL;
        size_t count = 0;
        struct ottla_error error;
        int code = ottla_consumer_poll(perf->consumer, POLL_MS, &records, &count, &error);
        if (code != OTTLA_OK) {
            return tool_fail(perf->tool, "%s: %s", tool_exception(perf->tool, code), error.text);
        }
        perf->now.ms = sys_mono_ms(perf->sys);
        for (size_t i = 0; i < count; i++) {
            perf->now.records++;
            perf->now.bytes += (int64_t)(records[i].key.size + records[i].value.size);
            print_interval(perf);
        }
        last_record_ms = count > 0 ? perf->now.ms : last_record_ms;
        if (perf->now.ms - last_record_ms > perf->timeout_ms) {
            printf("WARNING: Exiting before consuming the expected number of records: timeout "
                   "(%" PRId64 " ms) exceeded. You can use the --timeout option to increase the "
                   "timeout.\n",
                   perf->timeout_ms);
            return TOOL_DONE;
        }
    }
    return TOOL_DONE;
}

static int measure(struct perf *perf) {
    perf->sys = client_sys(perf->client);
    perf->start.ms = sys_mono_ms(perf->sys);
    perf->wall_offset_ms = sys_wall_ms(perf->sys) - perf->start.ms;
    perf->last = perf->start;
    perf->joining = true;
    perf->join_start_ms = perf->start.ms;
    print_header(perf);
    int code = subscribe(perf);
    if (code == TOOL_DONE) {
        code = read_records(perf);
    }
    if (code == TOOL_DONE && !perf->detailed) {
        perf->now.ms = sys_mono_ms(perf->sys);
        print_date(perf, perf->start.ms);
        print_date(perf, perf->now.ms);
        print_rates(&perf->start, &perf->now);
    }
    (void)ottla_consumer_close(perf->consumer, CLOSE_MS);
    return code;
}

/* --- options --- */

static int check(struct tool *tool) {
    if (tool_has(tool, "messages") == tool_has(tool, "num-records")) {
        return tool_usage(
            tool, "Exactly one of the following arguments is required: [messages], [num-records]");
    }
    if (tool_has(tool, "topic") == tool_has(tool, "include")) {
        return tool_usage(tool,
                          "Exactly one of the following arguments is required: [topic], [include]");
    }
    if (tool_has(tool, "print-metrics")) {
        return tool_unsupported(tool, "print-metrics");
    }
    return strcmp(tool_text(tool, "date-format"), date_format) == 0
               ? TOOL_DONE
               : tool_unsupported(tool, "date-format");
}

static int read_settings(struct tool *tool, struct console_properties *settings) {
    const char *file = tool_text(tool, "command-config");
    int code = TOOL_DONE;
    file = file == NULL ? tool_text(tool, "consumer.config") : file;
    if (file != NULL) {
        code = console_properties_read(tool, settings, file);
    }
    if (code == TOOL_DONE) {
        code = console_properties_add(tool, settings, "command-property");
    }
    const char *group = tool_text(tool, "group");
    if (group == NULL && console_property(settings, "group.id", NULL) == NULL) {
        group = console_random_name(tool, "perf-consumer");
    }
    if (group != NULL) {
        console_properties_set(tool, settings, "group.id", group);
    }
    if (console_property(settings, "client.id", NULL) == NULL) {
        console_properties_set(tool, settings, "client.id", "perf-consumer-client");
    }
    console_properties_set(tool, settings, "receive.buffer.bytes",
                           tool_text(tool, "socket-buffer-size"));
    console_properties_set(tool, settings, "max.partition.fetch.bytes",
                           tool_text(tool, "fetch-size"));
    console_properties_set(tool, settings, "auto.offset.reset",
                           tool_has(tool, "from-latest") ? "latest" : "earliest");
    console_properties_set(tool, settings, "check.crcs", "false");
    return code;
}

int kafka_consumer_perf_test(struct tool *tool) {
    struct perf perf = {.tool = tool};
    struct console_properties settings = {0};
    struct ottla_error error;
    int code = check(tool);
    if (code == TOOL_DONE) {
        if (tool_has(tool, "messages")) {
            puts("Warning: --messages is deprecated. Use --num-records instead.");
        }
        perf.wanted = tool_number(tool, tool_has(tool, "messages") ? "messages" : "num-records");
        perf.interval_ms = tool_number(tool, "reporting-interval");
        perf.timeout_ms = tool_number(tool, "timeout");
        perf.detailed = tool_has(tool, "show-detailed-stats");
        code = read_settings(tool, &settings);
    }
    if (code == TOOL_DONE) {
        code = console_connect(tool, &settings, &perf.client);
    }
    if (code == TOOL_DONE && ottla_consumer_new(perf.client, &perf.consumer, &error) != OTTLA_OK) {
        code = tool_fail(tool, "org.apache.kafka.common.config.ConfigException: %s", error.text);
    }
    if (code == TOOL_DONE) {
        code = measure(&perf);
    }
    ottla_consumer_free(perf.consumer);
    return code;
}
