/* ottla bench consume: what is in a topic, from its first record to its end, and whether it is what
 * was written. */
#include "cli/bench_int.h"

#include <inttypes.h>

#include "base/arena.h"
#include "cli/cluster.h"
#include "cli/range.h"
#include "client/core.h"

enum { POLL_MS = 100, NS_OF_MS = 1000000 };

struct reading {
    const struct items *items;
    struct bench_measure *measure;
    struct ottla_consumer *consumer;
    struct bench_checker *checker; /* NULL: --no-verify */
    struct cli_progress progress;
    int64_t warm_up_ns;
    int64_t duration_ns; /* INT64_MAX: none */
    int64_t count;       /* INT64_MAX: none */
    int64_t start_ns;
    uint64_t total; /* of this reading, as the ends were at its start; 0: it follows */
    uint64_t read;  /* records, the warm-up's too */
    bool in_group;
};

/* --- starting --- */

static int assign(struct reading *reading) {
    struct cli *cli = reading->items->cli;
    struct items_partitions partitions = {0};
    struct range range = {.from.kind = BOUND_EARLIEST, .to.kind = BOUND_LATEST};
    int64_t *starts;
    int64_t *ends;
    int code = items_partitions_add(reading->items, cli_argument(cli, 0), &partitions);
    if (code == CLI_DONE) {
        code = range_resolve(reading->items, &range, &partitions, &starts, &ends);
    }
    if (code != CLI_DONE) {
        return code;
    }
    struct ottla_position *positions =
        ARENA_ARRAY(cli_arena(cli), struct ottla_position, partitions.count + 1);
    bool anywhere = false;
    for (size_t i = 0; i < partitions.count; i++) {
        positions[i] = (struct ottla_position){.topic = partitions.partitions[i].topic,
                                               .partition = partitions.partitions[i].partition,
                                               .offset = starts[i],
                                               .leader_epoch = -1};
        anywhere = anywhere || starts[i] > 0;
        reading->total += (uint64_t)(ends[i] - starts[i]);
    }
    if (!cli_has(cli, "no-verify")) {
        reading->checker = bench_checker_new((int32_t)partitions.count, anywhere);
    }
    struct ottla_error error;
    return ottla_consumer_assign(reading->consumer, positions, partitions.count, &error) == OTTLA_OK
               ? CLI_DONE
               : cli_fail_with(cli, &error);
}

/* A group gives partitions as it likes, and may give a part of them: nothing is checked. */
static int subscribe(struct reading *reading) {
    const char *topic = cli_argument(reading->items->cli, 0);
    struct ottla_error error;
    reading->in_group = true;
    return ottla_consumer_subscribe(reading->consumer, &topic, 1, NULL, &error) == OTTLA_OK
               ? CLI_DONE
               : cli_fail_with(reading->items->cli, &error);
}

static int start(struct reading *reading) {
    struct cli *cli = reading->items->cli;
    struct ottla_error error;
    reading->count = cli_number(cli, "count", INT64_MAX);
    reading->duration_ns = INT64_MAX;
    int code = bench_duration(cli, "warm-up", "0s", &reading->warm_up_ns);
    if (code == CLI_DONE && cli_has(cli, "duration")) {
        code = bench_duration(cli, "duration", NULL, &reading->duration_ns);
    }
    if (code != CLI_DONE) {
        return code;
    }
    if (ottla_consumer_new(reading->items->client, &reading->consumer, &error) != OTTLA_OK) {
        return cli_fail(cli, CLI_USAGE, NULL, "%s", error.text);
    }
    if (!cli_has(cli, "group")) {
        return assign(reading);
    }
    if (reading->count == INT64_MAX && reading->duration_ns == INT64_MAX) {
        return cli_fail(cli, CLI_USAGE, NULL, "a member of a group needs --count or --duration");
    }
    return subscribe(reading);
}

/* --- reading --- */

static void take(struct reading *reading, const struct ottla_record *records, size_t count) {
    struct bench_measure *measure = reading->measure;
    for (size_t i = 0; i < count; i++) {
        const struct ottla_record *record = &records[i];
        struct bench_seen seen;
        if (reading->checker != NULL) {
            (void)bench_checker_see(reading->checker, record->partition, record->value.data,
                                    record->value.size, &seen);
        }
        if (measure->begun) {
            measure->records++;
            measure->bytes += record->value.size;
        }
    }
    reading->read += count;
}

static bool is_over(const struct reading *reading, int64_t now_ns) {
    const struct bench_measure *measure = reading->measure;
    bool follows = reading->in_group || reading->duration_ns < INT64_MAX;
    return measure->stopped || (!follows && reading->read >= reading->total) ||
           (measure->begun && ((int64_t)measure->records >= reading->count ||
                               now_ns - measure->begin_ns >= reading->duration_ns));
}

static int read_all(struct reading *reading) {
    struct bench_measure *measure = reading->measure;
    struct cli *cli = reading->items->cli;
    int64_t now_ns = reading->start_ns = sys_mono_ns(measure->sys);
    int code = CLI_DONE;
    cli_progress_start(&reading->progress, cli, "Read");
    while (code == CLI_DONE) {
        if (!measure->begun && now_ns - reading->start_ns >= reading->warm_up_ns) {
            bench_measure_begin(measure);
        }
        if (is_over(reading, now_ns)) {
            break;
        }
        const struct ottla_record *records = NULL;
        size_t count = 0;
        struct ottla_error error;
        int err = ottla_consumer_poll(reading->consumer, POLL_MS, &records, &count, &error);
        if (err != OTTLA_OK && err != OTTLA_CLOSED) {
            code = cli_fail_with(cli, &error);
        }
        take(reading, records, count);
        now_ns = sys_mono_ns(measure->sys);
        cli_progress_show(&reading->progress, now_ns / NS_OF_MS, (int64_t)reading->read,
                          (int64_t)reading->total, "records");
    }
    bench_measure_end(measure);
    cli_progress_end(&reading->progress);
    return code == CLI_DONE && measure->stopped ? CLI_INTERRUPTED : code;
}

static int measure(struct reading *reading) {
    struct cli *cli = reading->items->cli;
    int code = start(reading);
    if (code != CLI_DONE) {
        return code;
    }
    code = read_all(reading);
    json_t *result = json_pack("{s:s, s:s}", "bench", "consume", "topic", cli_argument(cli, 0));
    bench_measure_tell(reading->measure, result);
    if (reading->checker != NULL) {
        bench_checks_tell(bench_checker_result(reading->checker), result);
    }
    bench_print(cli, result);
    if (code == CLI_DONE && reading->checker != NULL) {
        code = bench_checks_judge(cli, bench_checker_result(reading->checker));
    }
    return code;
}

static int bench_consume_run(struct cli *cli) {
    const char *const defaults[] = {"enable.auto.commit",
                                    "false",
                                    "auto.offset.reset",
                                    "earliest",
                                    cli_has(cli, "group") ? "group.id" : NULL,
                                    cli_text(cli, "group", NULL),
                                    NULL};
    struct items items;
    int code = bench_connect(cli, defaults, &items);
    if (code != CLI_DONE) {
        return code;
    }
    struct bench_measure measured;
    code = bench_measure_init(&measured, &items);
    if (code == CLI_DONE) {
        struct reading reading = {.items = &items, .measure = &measured};
        code = measure(&reading);
        if (reading.consumer != NULL) {
            (void)ottla_consumer_close(reading.consumer, cli_timeout_ms(cli));
        }
        ottla_consumer_free(reading.consumer);
        bench_checker_free(reading.checker);
    }
    items_end(&items);
    bench_measure_done(&measured);
    return code;
}

static const struct cli_option options[] = {
    {"count", 'n', CLI_NUMBER, "RECORDS", "stop after so many"},
    {"duration", 'd', CLI_TEXT, "TIME", "read for so long, also what is still to come"},
    {"warm-up", 'w', CLI_TEXT, "TIME", "read for a while before anything counts (0s)"},
    {"group", 'g', CLI_TEXT, "GROUP", "as a member of this group; what it reads is not checked",
     NULL, CLI_COMPLETE_GROUP},
    {"no-verify", 0, CLI_FLAG, NULL, "any records, not those of ottla bench produce only"},
    BENCH_BROKER_OPTION,
    {NULL},
};
const struct cli_command bench_consume_command = {
    .name = "consume",
    .arguments = "TOPIC",
    .summary = "how fast a topic is read, what that costs, and whether all is there",
    .text =
        "Reads from the first record to what is the end when it starts. Each record is checked: "
        "its\nchecksum, and whether it came once, in order, with none missing before it; the "
        "checksum of\nall is that which ottla bench produce has told.\n",
    .examples = "  ottla bench consume load\n"
                "  ottla bench consume load -o json --broker-pid $(pidof ottla)\n"
                "  ottla bench consume orders --no-verify --duration 30s\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .complete = CLI_COMPLETE_TOPIC,
    .run = bench_consume_run,
};
