/*
 * ottla bench end-to-end: how long a record takes from when it was due to when a reader has it.
 *
 * Producer and consumer live on one client and one loop, so one clock counts and no other process
 * has to wake. The reader begins at the end of each partition.
 */
#include "cli/bench_int.h"

#include "base/arena.h"
#include "cli/cluster.h"
#include "client/core.h"

enum { LAST_MS = 10000, POLL_MS = 100 };

struct travel {
    const struct items *items;
    struct bench_measure *measure;
    struct bench_load *load;
    struct ottla_consumer *consumer;
    struct bench_checker *checker;
    struct metrics_histogram *latencies;
    uint64_t arrived;
};

static int start_at_ends(struct travel *travel, int32_t partitions) {
    struct cli *cli = travel->items->cli;
    struct ottla_position *positions =
        ARENA_ARRAY(cli_arena(cli), struct ottla_position, (size_t)partitions);
    for (int32_t i = 0; i < partitions; i++) {
        positions[i] = (struct ottla_position){.topic = cli_argument(cli, 0),
                                               .partition = i,
                                               .offset = OTTLA_OFFSET_LATEST,
                                               .leader_epoch = -1};
    }
    struct ottla_error error;
    if (ottla_consumer_new(travel->items->client, &travel->consumer, &error) != OTTLA_OK) {
        return cli_fail(cli, CLI_USAGE, NULL, "%s", error.text);
    }
    size_t count = (size_t)partitions;
    if (ottla_consumer_offsets_for_times(travel->consumer, positions, count, cli_timeout_ms(cli),
                                         &error) != OTTLA_OK ||
        ottla_consumer_assign(travel->consumer, positions, count, &error) != OTTLA_OK) {
        return cli_fail_with(cli, &error);
    }
    return CLI_DONE;
}

/* A bench_wait_fn. Records of others in the topic are not ours to judge. */
static int poll(void *arg, int64_t timeout_ms) {
    struct travel *travel = arg;
    struct bench_measure *measure = travel->measure;
    const struct ottla_record *records = NULL;
    size_t count = 0;
    struct ottla_error error;
    int err = ottla_consumer_poll(travel->consumer, timeout_ms, &records, &count, &error);
    if (err != OTTLA_OK && err != OTTLA_CLOSED) {
        return cli_fail_with(travel->items->cli, &error);
    }
    int64_t now_ns = count > 0 ? sys_mono_ns(measure->sys) : 0;
    for (size_t i = 0; i < count; i++) {
        struct bench_seen seen;
        if (!bench_checker_see(travel->checker, records[i].partition, records[i].value.data,
                               records[i].value.size, &seen) ||
            seen.run != bench_load_number(travel->load)) {
            continue;
        }
        travel->arrived++;
        if (measure->begun && seen.due_ns >= measure->begin_ns) {
            metrics_observe(travel->latencies, now_ns - seen.due_ns);
        }
    }
    return CLI_DONE;
}

/* What is acknowledged and not here yet. */
static int wait_for_last(struct travel *travel) {
    uint64_t all = bench_load_acknowledged(travel->load);
    int64_t deadline_ms = sys_mono_ms(travel->measure->sys) + LAST_MS;
    int code = CLI_DONE;
    while (code == CLI_DONE && travel->arrived < all && !travel->measure->stopped &&
           sys_mono_ms(travel->measure->sys) < deadline_ms) {
        code = poll(travel, POLL_MS);
    }
    return code == CLI_DONE && travel->arrived < all
               ? cli_fail(travel->items->cli, CLI_FAILED, NULL,
                          "%llu records were acknowledged, %llu have arrived",
                          (unsigned long long)all, (unsigned long long)travel->arrived)
               : code;
}

static void tell(struct travel *travel) {
    json_t *result = json_pack("{s:s, s:s}", "bench", "end-to-end", "topic",
                               cli_argument(travel->items->cli, 0));
    bench_measure_tell(travel->measure, result);
    bench_latencies_tell(travel->latencies, result, "latencyMs");
    bench_checks_tell(bench_checker_result(travel->checker), result);
    bench_load_tell(travel->load, result);
    bench_print(travel->items->cli, result);
}

static int run(struct travel *travel) {
    int code = bench_load_open(travel->load);
    int32_t partitions = bench_load_partitions(travel->load);
    if (code == CLI_DONE) {
        code = start_at_ends(travel, partitions);
    }
    if (code != CLI_DONE) {
        return code;
    }
    travel->checker = bench_checker_new(partitions, false);
    travel->latencies = bench_latencies(travel->measure, "end_to_end");
    code = bench_load_run(travel->load, poll, travel);
    if (code == CLI_DONE) {
        code = wait_for_last(travel);
    }
    if (travel->measure->begun) {
        tell(travel);
    }
    return code;
}

static int measure(struct travel *travel) {
    struct cli *cli = travel->items->cli;
    int code = bench_load_new(travel->items, travel->measure, &travel->load);
    if (code == CLI_DONE && cli_is_dry(cli)) {
        cli_note(cli, "%s: nothing was made, nothing sent", cli_argument(cli, 0));
        return CLI_DONE;
    }
    if (code == CLI_DONE) {
        code = run(travel);
    }
    if (code == CLI_DONE) {
        code = bench_checks_judge(cli, bench_checker_result(travel->checker));
    }
    return code == CLI_DONE ? bench_load_judge(travel->load) : code;
}

static int bench_end_to_end_run(struct cli *cli) {
    static const char *const defaults[] = {"enable.auto.commit", "false", "linger.ms", "0", NULL};
    struct items items;
    int code = bench_connect(cli, defaults, &items);
    if (code != CLI_DONE) {
        return code;
    }
    struct bench_measure measured;
    code = bench_measure_init(&measured, &items);
    if (code == CLI_DONE) {
        struct travel travel = {.items = &items, .measure = &measured};
        code = measure(&travel);
        ottla_consumer_free(travel.consumer);
        bench_load_free(travel.load);
        bench_checker_free(travel.checker);
    }
    items_end(&items);
    bench_measure_done(&measured);
    return code;
}

static const struct cli_option options[] = {BENCH_LOAD_OPTIONS, BENCH_BROKER_OPTION, {NULL}};
const struct cli_command bench_end_to_end_command = {
    .name = "end-to-end",
    .arguments = "TOPIC",
    .summary = "how long records take from a producer to a consumer",
    .text = "Latency counts from when a record was due to when the consumer has it; that of the\n"
            "acknowledgement is told beside it. linger.ms is 0, unless -X says otherwise.\n",
    .examples = "  ottla bench end-to-end load --rate 20k --size 100 --duration 30s\n"
                "  ottla bench end-to-end load --rate 100 -X acks=1\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .complete = CLI_COMPLETE_TOPIC,
    .run = bench_end_to_end_run,
};
