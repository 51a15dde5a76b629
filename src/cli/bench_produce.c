/* ottla bench produce: records to a topic, flat out or at a fixed rate. */
#include "cli/bench_int.h"

#include "cli/cluster.h"

static void tell(struct bench_load *load, const struct bench_measure *measured) {
    struct cli *cli = measured->cli;
    json_t *result = json_pack("{s:s, s:s}", "bench", "produce", "topic", cli_argument(cli, 0));
    bench_measure_tell(measured, result);
    bench_load_tell(load, result);
    bench_print(cli, result);
}

static int measure(const struct items *items, struct bench_measure *measured) {
    struct bench_load *load = NULL;
    int code = bench_load_new(items, measured, &load);
    if (code == CLI_DONE && cli_is_dry(items->cli)) {
        cli_note(items->cli, "%s: nothing was made, nothing sent", cli_argument(items->cli, 0));
        bench_load_free(load);
        return CLI_DONE;
    }
    if (code == CLI_DONE) {
        code = bench_load_open(load);
    }
    if (code == CLI_DONE) {
        code = bench_load_run(load, NULL, NULL);
    }
    if (measured->begun) {
        tell(load, measured);
    }
    if (code == CLI_DONE) {
        code = bench_load_judge(load);
    }
    bench_load_free(load);
    return code;
}

static int bench_produce_run(struct cli *cli) {
    static const char *const defaults[] = {NULL};
    struct items items;
    int code = bench_connect(cli, defaults, &items);
    if (code != CLI_DONE) {
        return code;
    }
    struct bench_measure measured;
    code = bench_measure_init(&measured, &items);
    if (code == CLI_DONE) {
        code = measure(&items, &measured);
    }
    items_end(&items);
    bench_measure_done(&measured);
    return code;
}

static const struct cli_option options[] = {BENCH_LOAD_OPTIONS, BENCH_BROKER_OPTION, {NULL}};
const struct cli_command bench_produce_command = {
    .name = "produce",
    .arguments = "TOPIC",
    .summary = "how fast records are acknowledged, and what that costs",
    .text = "At a --rate the latency of a record counts from when it was due, not from when it "
            "could be\nsent: a broker that stands still is not spared. Records go to the "
            "partitions in turn and can\nbe checked by ottla bench consume, as long as one "
            "producer at a time writes the topic.\nBatches, compression and acks are settings: "
            "-X batch.size=100000 -X linger.ms=5 -X acks=1.\n",
    .examples = "  ottla bench produce load\n"
                "  ottla bench produce load --rate 20k --size 100 --duration 30s\n"
                "  ottla bench produce load -n 1M -X compression.type=zstd --data text\n"
                "  ottla bench produce load -n 100k -X batch.size=0 -X linger.ms=0 "
                "--broker-pid $(pidof ottla)\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .complete = CLI_COMPLETE_TOPIC,
    .run = bench_produce_run,
};
