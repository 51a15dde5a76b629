/*
 * Records at their time.
 *
 * At a fixed rate the load is open: record n is due at start + n / rate, whatever became of those
 * before it, and its latency counts from then. So a broker that stands still for a second shows a
 * thousand late records, and not one. Between records the loop is only asked, without sleeping,
 * when the next is due within 2 ms: the own CPU says nothing then.
 *
 * Flat out, a record is due when there is memory for it (buffer.memory); what is in flight at the
 * end of the warm-up is waited for, so that CPU is counted for whole records.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench_int.h"
#include "cli/cluster.h"
#include "client/core.h"

enum {
    SIZE = 1024,
    NS_OF_MS = 1000000,
    SPIN_NS = 2 * NS_OF_MS, /* closer to the next record the loop does not sleep */
    TURN_BYTES = 64 * 1024, /* between two turns of the loop */
    TURN_RECORDS = 1000,
    BUSY_MS = 100,
    SLOTS = 1024, /* made at once */
    FAILURES_SHOWN = 5,
};

/* One record on its way. */
struct slot {
    struct bench_load *load;
    struct slot *next; /* free ones; chunks */
    int64_t due_ns;
    uint32_t crc;
    bool counts; /* not of the warm-up */
};

struct bench_load {
    const struct items *items;
    struct bench_measure *measure;
    struct metrics_histogram *latencies;
    struct ottla_producer *producer;
    struct ottla_producer_stats stats_begin;
    struct bench_writer *writer;
    struct ottla_record model;
    struct cli_progress progress;
    struct slot *free_slots;
    struct slot **chunks;
    size_t chunk_count;
    uint32_t run;
    int32_t partition_count;
    int64_t rate; /* 0: flat out */
    int64_t warm_up_ns;
    int64_t duration_ns; /* INT64_MAX: by count */
    int64_t count;       /* INT64_MAX: by duration */
    int64_t start_ns;
    int64_t produced;        /* of them all; the rate's n */
    int64_t produced_before; /* those of the warm-up */
    uint64_t acknowledged;
    uint64_t failed;
    uint64_t checksum;
};

/* --- slots --- */

static void add_slots(struct bench_load *load) {
    load->chunks = realloc(load->chunks, (load->chunk_count + 1) * sizeof *load->chunks);
    struct slot *slots = calloc(SLOTS, sizeof *slots);
    load->chunks[load->chunk_count++] = slots;
    for (size_t i = 0; i < SLOTS; i++) {
        slots[i].load = load;
        slots[i].next = load->free_slots;
        load->free_slots = &slots[i];
    }
}

static struct slot *take_slot(struct bench_load *load) {
    if (load->free_slots == NULL) {
        add_slots(load);
    }
    struct slot *slot = load->free_slots;
    load->free_slots = slot->next;
    return slot;
}

static void give_slot(struct slot *slot) {
    slot->next = slot->load->free_slots;
    slot->load->free_slots = slot;
}

/* --- one record --- */

static void on_delivery(void *arg, const struct ottla_delivery *delivery) {
    struct slot *slot = arg;
    struct bench_load *load = slot->load;
    struct bench_measure *measure = load->measure;
    give_slot(slot);
    if (delivery->code == OTTLA_CLOSED) {
        return; /* the producer ends */
    }
    if (delivery->code != OTTLA_OK) {
        if (load->failed++ < FAILURES_SHOWN) {
            cli_fail(load->items->cli, CLI_FAILED, NULL, "%s (%s)", delivery->text,
                     ottla_code_name(delivery->code));
        }
        return;
    }
    load->acknowledged++;
    load->checksum += slot->crc;
    if (slot->counts) {
        measure->records++;
        measure->bytes += load->model.value.size;
        metrics_observe(load->latencies, sys_mono_ns(measure->sys) - slot->due_ns);
    }
}

/* OTTLA_BUSY: it is not taken now. The sequence is given when it is. */
static int produce(struct bench_load *load, int64_t due_ns, struct ottla_error *error) {
    struct slot *slot = take_slot(load);
    struct ottla_record *record = &load->model;
    record->partition = (int32_t)(load->produced % load->partition_count);
    slot->due_ns = due_ns;
    slot->counts = load->measure->begun && due_ns >= load->measure->begin_ns;
    slot->crc = bench_writer_next(load->writer, record->partition, due_ns, &record->value.data);
    int code = ottla_produce(load->producer, record, on_delivery, slot, error);
    if (code == OTTLA_OK) {
        load->produced++;
    } else {
        bench_writer_undo(load->writer, record->partition);
        give_slot(slot);
    }
    return code;
}

/* --- the load --- */

static int64_t due_ns(const struct bench_load *load) {
    int64_t seconds = load->produced / load->rate;
    int64_t rest = load->produced % load->rate;
    return load->start_ns + seconds * 1000000000 + rest * 1000000000 / load->rate;
}

/* What is due now, or flat out what a turn takes. *ret_wait_ms: how long the loop may sleep. */
static int produce_due(struct bench_load *load, int64_t now_ns, int64_t *ret_wait_ms) {
    int64_t turn = TURN_BYTES / (int64_t)load->model.value.size;
    turn = turn < 1 ? 1 : turn > TURN_RECORDS ? TURN_RECORDS : turn;
    int64_t left = load->count == INT64_MAX || !load->measure->begun
                       ? turn
                       : load->count - (load->produced - load->produced_before);
    int code = OTTLA_OK;
    struct ottla_error error;
    *ret_wait_ms = 0;
    for (int64_t i = 0; i < turn && i < left && code == OTTLA_OK; i++) {
        int64_t due = load->rate > 0 ? due_ns(load) : now_ns;
        if (due > now_ns) {
            *ret_wait_ms = due - now_ns < SPIN_NS ? 0 : (due - now_ns) / NS_OF_MS - 1;
            return CLI_DONE;
        }
        code = produce(load, due, &error);
    }
    if (code == OTTLA_BUSY) {
        *ret_wait_ms = BUSY_MS;
        return CLI_DONE;
    }
    return code == OTTLA_OK ? CLI_DONE : cli_fail_with(load->items->cli, &error);
}

static int wait_for(struct bench_load *load, bench_wait_fn wait, void *arg, int64_t timeout_ms) {
    if (wait != NULL) {
        return wait(arg, timeout_ms);
    }
    ottla_client_run(load->items->client, timeout_ms);
    return CLI_DONE;
}

/* Until all that was produced has its answer. Where somebody else waits, it goes on meanwhile. */
static int drain(struct bench_load *load, bench_wait_fn wait, void *arg) {
    struct ottla_producer_stats stats;
    int code = CLI_DONE;
    if (wait == NULL) {
        (void)ottla_producer_flush(load->producer, -1);
    }
    ottla_producer_stats(load->producer, &stats);
    while (code == CLI_DONE && stats.records > 0 && !load->measure->stopped) {
        code = wait_for(load, wait, arg, BUSY_MS);
        ottla_producer_stats(load->producer, &stats);
    }
    return code;
}

/* At a fixed rate those count that are due from now on, which is not those that are sent. */
static int begin(struct bench_load *load, bench_wait_fn wait, void *arg) {
    struct bench_measure *measure = load->measure;
    int code = load->rate > 0 ? CLI_DONE : drain(load, wait, arg);
    ottla_producer_stats(load->producer, &load->stats_begin);
    bench_measure_begin(measure);
    load->produced_before = load->produced;
    if (load->produced == 0) {
        load->start_ns = measure->begin_ns;
    } else if (load->rate > 0) {
        double passed_s = (double)(measure->begin_ns - load->start_ns) / 1e9;
        load->produced_before = (int64_t)(passed_s * (double)load->rate) + 1;
    }
    return code;
}

static bool is_over(const struct bench_load *load, int64_t now_ns) {
    const struct bench_measure *measure = load->measure;
    return measure->stopped ||
           (measure->begun && (load->produced - load->produced_before >= load->count ||
                               now_ns - measure->begin_ns >= load->duration_ns));
}

int bench_load_run(struct bench_load *load, bench_wait_fn wait, void *arg) {
    struct sys *sys = load->measure->sys;
    int code = CLI_DONE;
    int64_t now_ns = load->start_ns = sys_mono_ns(sys);
    cli_progress_start(&load->progress, load->items->cli, "Acknowledged");
    while (code == CLI_DONE && !is_over(load, now_ns)) {
        int64_t wait_ms = 0;
        if (!load->measure->begun && now_ns - load->start_ns >= load->warm_up_ns) {
            code = begin(load, wait, arg);
            now_ns = sys_mono_ns(sys);
        }
        if (code == CLI_DONE) {
            code = produce_due(load, now_ns, &wait_ms);
        }
        if (code == CLI_DONE) {
            code = wait_for(load, wait, arg, wait_ms);
        }
        now_ns = sys_mono_ns(sys);
        cli_progress_show(&load->progress, now_ns / NS_OF_MS, (int64_t)load->acknowledged,
                          load->count == INT64_MAX ? 0 : load->count, "records");
    }
    if (code == CLI_DONE) {
        code = drain(load, wait, arg);
    }
    bench_measure_end(load->measure);
    cli_progress_end(&load->progress);
    return code == CLI_DONE && load->measure->stopped ? CLI_INTERRUPTED : code;
}

/* --- what came of it --- */

uint32_t bench_load_number(const struct bench_load *load) {
    return load->run;
}

uint64_t bench_load_acknowledged(const struct bench_load *load) {
    return load->acknowledged;
}

void bench_load_tell(struct bench_load *load, json_t *into) {
    struct ottla_producer_stats stats;
    ottla_producer_stats(load->producer, &stats);
    json_object_set_new(into, "partitions", json_integer(load->partition_count));
    json_object_set_new(into, "size", json_integer((json_int_t)load->model.value.size));
    json_object_set_new(into, "rate", load->rate == 0 ? json_null() : json_integer(load->rate));
    json_object_set_new(into, "acknowledged", json_integer((json_int_t)load->acknowledged));
    json_object_set_new(into, "failed", json_integer((json_int_t)load->failed));
    json_object_set_new(into, "requests",
                        json_integer((json_int_t)(stats.requests - load->stats_begin.requests)));
    json_object_set_new(into, "retries",
                        json_integer((json_int_t)(stats.retries - load->stats_begin.retries)));
    char checksum[32];
    (void)snprintf(checksum, sizeof checksum, "%016" PRIx64, load->checksum);
    json_object_set_new(into, "checksum", json_string(checksum));
    bench_latencies_tell(load->latencies, into, "acknowledgedMs");
}

int bench_load_judge(const struct bench_load *load) {
    return load->failed == 0 ? CLI_DONE : load->acknowledged == 0 ? CLI_FAILED : CLI_PARTLY;
}

/* --- life --- */

static int parse(struct bench_load *load, struct cli *cli) {
    int64_t size = cli_number(cli, "size", SIZE);
    load->rate = cli_number(cli, "rate", 0);
    load->count = cli_number(cli, "count", INT64_MAX);
    if (size < BENCH_RECORD_MIN || size > INT32_MAX) {
        return cli_fail(cli, CLI_USAGE, NULL, "--size %" PRId64 ": a record has %d bytes at least",
                        size, BENCH_RECORD_MIN);
    }
    load->model.value.size = (size_t)size;
    int code = bench_duration(cli, "warm-up", "1s", &load->warm_up_ns);
    bool by_count = cli_has(cli, "count") && !cli_has(cli, "duration");
    if (code == CLI_DONE && !by_count) {
        code = bench_duration(cli, "duration", "10s", &load->duration_ns);
    } else {
        load->duration_ns = INT64_MAX;
    }
    return code;
}

int bench_load_new(const struct items *items, struct bench_measure *measure,
                   struct bench_load **ret_load) {
    struct cli *cli = items->cli;
    struct bench_load *load = calloc(1, sizeof *load);
    load->items = items;
    load->measure = measure;
    load->latencies = bench_latencies(measure, "acknowledged");
    load->model =
        (struct ottla_record){.topic = cli_argument(cli, 0), .timestamp_ms = OTTLA_TIMESTAMP_NOW};
    struct ottla_error error;
    int code = parse(load, cli);
    if (code == CLI_DONE &&
        ottla_producer_new(items->client, &load->producer, &error) != OTTLA_OK) {
        code = cli_fail(cli, CLI_USAGE, NULL, "%s", error.text);
    }
    if (code != CLI_DONE) {
        bench_load_free(load);
        return code;
    }
    sys_random(measure->sys, &load->run, sizeof load->run);
    *ret_load = load;
    return CLI_DONE;
}

int bench_load_open(struct bench_load *load) {
    struct cli *cli = load->items->cli;
    int code = bench_topic(load->items, &load->partition_count);
    if (code == CLI_DONE) {
        bool text = strcmp(cli_text(cli, "data", "random"), "text") == 0;
        load->writer = bench_writer_new(load->run, load->model.value.size, load->partition_count,
                                        text ? BENCH_TEXT : BENCH_RANDOM);
    }
    return code;
}

int32_t bench_load_partitions(const struct bench_load *load) {
    return load->partition_count;
}

void bench_load_free(struct bench_load *load) {
    if (load == NULL) {
        return;
    }
    ottla_producer_free(load->producer);
    bench_writer_free(load->writer);
    for (size_t i = 0; i < load->chunk_count; i++) {
        free(load->chunks[i]);
    }
    free(load->chunks);
    free(load);
}
