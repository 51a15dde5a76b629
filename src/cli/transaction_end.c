/*
 * ottla transaction abort, fence: two ways to end a transaction from outside.
 *
 * abort writes a marker to one partition, past the coordinator. That tears a transaction apart
 * which its coordinator still has, so it is done to hanging ones only. fence has the coordinator
 * abort what an id has open, everywhere.
 */
#include <string.h>

#include "base/err.h"
#include "cli/cluster.h"
#include "cli/hanging.h"
#include "cli/items.h"
#include "cli/output.h"
#include "cli/transaction_int.h"
#include "client/core.h"
#include "sys/sys.h"

/* --- abort --- */

struct aborting {
    struct items *items;
    struct ottla_partition partition;
    int64_t start_offset;
    struct ottla_producer_state producer; /* whose transaction it is */
    int code;
};

static int find_producer(struct aborting *aborting) {
    const struct items *items = aborting->items;
    struct ottla_call *call =
        ottla_producers_describe(items->client, &aborting->partition, 1, NULL);
    int code = items_wait(items, call);
    size_t count;
    const struct ottla_partition_producers *rows = ottla_call_producers(call, &count);
    bool found = false;
    for (size_t i = 0; code == CLI_DONE && i < rows->producer_count; i++) {
        if (rows->producers[i].transaction_start_offset == aborting->start_offset) {
            aborting->producer = rows->producers[i];
            found = true;
        }
    }
    ottla_call_free(call);
    if (code == CLI_DONE && !found) {
        const char *hint =
            arena_printf(cli_arena(items->cli),
                         "`ottla transaction producers %s:%d --open` prints those "
                         "that are open.",
                         aborting->partition.topic, (int)aborting->partition.partition)
                .data;
        code = cli_fail(items->cli, CLI_NOT_FOUND, hint,
                        "no transaction is open from offset %lld on in %s:%d",
                        (long long)aborting->start_offset, aborting->partition.topic,
                        (int)aborting->partition.partition);
    }
    return code;
}

static bool wait(struct hanging_search *search, enum hanging_step step, size_t count,
                 struct ottla_call *call) {
    (void)count;
    struct aborting *aborting = search->arg;
    struct items items = *aborting->items;
    items.fine = step == HANGING_DESCRIBE ? ERR_TRANSACTIONAL_ID_NOT_FOUND : OTTLA_OK;
    aborting->code = items_wait(&items, call);
    return aborting->code == CLI_DONE;
}

static int check_hanging(struct aborting *aborting) {
    struct cli *cli = aborting->items->cli;
    struct hanging_search search = {.client = aborting->items->client,
                                    .arena = cli_arena(cli),
                                    .idle_ms = -1,
                                    .wait = wait,
                                    .arg = aborting};
    struct hanging *hanging;
    size_t count;
    if (!hanging_find(&search, &aborting->partition, 1, &hanging, &count)) {
        return aborting->code;
    }
    for (size_t i = 0; i < count; i++) {
        if (hanging[i].producer.producer_id == aborting->producer.producer_id &&
            hanging[i].producer.transaction_start_offset == aborting->start_offset) {
            return CLI_DONE;
        }
    }
    const char *hint = arena_printf(cli_arena(cli),
                                    "`ottla transaction list --producer-id %lld` prints its id; "
                                    "`ottla transaction fence ID` aborts it in all partitions.",
                                    (long long)aborting->producer.producer_id)
                           .data;
    return cli_fail(cli, CLI_FAILED, hint,
                    "the transaction does not hang: its coordinator has it, and will end it");
}

static const struct cli_column abort_columns[] = {
    {"TOPIC", "topic"},
    {"PARTITION", "partition", true},
    {"OPEN FROM", "transactionStartOffset", true},
    {"PRODUCER", "producerId", true},
    {"EPOCH", "producerEpoch", true},
    {"RESULT", "result"},
    {NULL},
};

static int print_aborted(const struct aborting *aborting, const char *result) {
    json_t *rows = json_array();
    json_array_append_new(
        rows, json_pack("{s:s, s:i, s:I, s:I, s:i, s:s}", "topic", aborting->partition.topic,
                        "partition", aborting->partition.partition, "transactionStartOffset",
                        (json_int_t)aborting->start_offset, "producerId",
                        (json_int_t)aborting->producer.producer_id, "producerEpoch",
                        aborting->producer.producer_epoch, "result", result));
    return cli_print_rows(aborting->items->cli, abort_columns, rows);
}

static int abort_it(const struct aborting *aborting) {
    if (cli_is_dry(aborting->items->cli)) {
        return print_aborted(aborting, "would be aborted");
    }
    struct ottla_transaction_abort abort = {
        .topic = aborting->partition.topic,
        .partition = aborting->partition.partition,
        .producer_id = aborting->producer.producer_id,
        .producer_epoch = (int16_t)aborting->producer.producer_epoch,
        .coordinator_epoch = aborting->producer.coordinator_epoch,
    };
    struct ottla_call *call = ottla_transactions_abort(aborting->items->client, &abort, 1, NULL);
    int code = items_wait(aborting->items, call);
    if (code == CLI_DONE) {
        print_aborted(aborting, "aborted");
    }
    ottla_call_free(call);
    return code;
}

static int transaction_abort(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    struct items_partitions partitions = {0};
    if (code == CLI_DONE && !cli_has(cli, "start-offset")) {
        code = cli_fail(cli, CLI_USAGE, "`ottla transaction find-hanging` prints it: OPEN FROM.",
                        "say --start-offset, where the transaction begins in the partition");
    }
    if (code == CLI_DONE) {
        code = items_partitions_add(&items, cli_argument(cli, 0), &partitions);
    }
    if (code == CLI_DONE && partitions.count != 1) {
        code = cli_fail(cli, CLI_USAGE, NULL, "%s: name one partition, as in orders:0",
                        cli_argument(cli, 0));
    }
    if (code == CLI_DONE) {
        struct aborting aborting = {.items = &items,
                                    .partition = partitions.partitions[0],
                                    .start_offset = cli_number(cli, "start-offset", 0)};
        code = find_producer(&aborting);
        code = code == CLI_DONE ? check_hanging(&aborting) : code;
        code = code == CLI_DONE ? abort_it(&aborting) : code;
    }
    items_end(&items);
    return code;
}

static const struct cli_option abort_options[] = {
    {"start-offset", 0, CLI_NUMBER, "OFFSET", "of its first record: OPEN FROM in find-hanging",
     .most = INT64_MAX},
    {NULL},
};
const struct cli_command transaction_abort_command = {
    .name = "abort",
    .arguments = "TOPIC:PARTITION",
    .summary = "abort a hanging transaction in a partition",
    .text =
        "Writes an abort marker to the partition: readers of committed records go on, without\n"
        "what the transaction wrote. One that its coordinator still has is refused: to write a\n"
        "marker for it would tear it apart. `ottla transaction fence` aborts those.\n",
    .examples = "  ottla transaction find-hanging\n"
                "  ottla transaction abort orders:3 --start-offset 1042 --dry-run\n"
                "  ottla transaction abort orders:3 --start-offset 1042\n",
    .options = abort_options,
    .arguments_min = 1,
    .arguments_max = 1,
    .complete = CLI_COMPLETE_TOPIC,
    .run = transaction_abort,
};

/* --- fence --- */

static const struct cli_column fence_columns[] = {
    {"TRANSACTION", "transaction"},
    {"WAS", "was"},
    {"RESULT", "result"},
    {NULL},
};

/* Those that are there: to fence an id that nobody ever used would make it known. */
struct known {
    const char **ids;
    const char **states;
    size_t count;
};

static int find_known(struct items *items, struct known *known) {
    struct arena *arena = cli_arena(items->cli);
    size_t count = cli_argument_count(items->cli);
    known->ids = ARENA_ARRAY(arena, const char *, count);
    known->states = ARENA_ARRAY(arena, const char *, count);
    items->count = count;
    struct ottla_admin_options options = {.timeout_ms = cli_timeout_ms(items->cli)};
    struct ottla_call *call =
        ottla_transactions_describe(items->client, cli_arguments(items->cli), count, &options);
    int code = items_wait(items, call);
    const struct ottla_transaction_description *rows =
        ottla_call_transaction_descriptions(call, &count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].code == OTTLA_OK) {
            known->ids[known->count] = arena_c_str(arena, str_from_c(rows[i].transactional_id));
            known->states[known->count++] = arena_c_str(arena, str_from_c(rows[i].state));
        }
    }
    ottla_call_free(call);
    return code;
}

/* call NULL: nothing was done. */
static void print_fenced(const struct cli *cli, const struct known *known,
                         const struct ottla_call *call) {
    size_t count = 0;
    const struct ottla_fenced_producer *rows =
        call == NULL ? NULL : ottla_call_fenced_producers(call, &count);
    json_t *list = json_array();
    for (size_t i = 0; i < known->count; i++) {
        const char *result = i >= count                 ? "would be fenced"
                             : rows[i].code == OTTLA_OK ? "fenced"
                                                        : ottla_code_name(rows[i].code);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "transaction", known->ids[i],
                                              "was", known->states[i], "result", result));
    }
    cli_print_rows(cli, fence_columns, list);
}

static int transaction_fence(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    if (code != CLI_DONE) {
        return code;
    }
    struct known known = {0};
    code = find_known(&items, &known);
    if (known.count > 0 && cli_is_dry(cli)) {
        print_fenced(cli, &known, NULL);
    } else if (known.count > 0) {
        items.count = known.count;
        struct ottla_call *call = ottla_producers_fence(items.client, known.ids, known.count, NULL);
        int fenced = items_wait(&items, call);
        code = code == CLI_DONE ? fenced : code;
        print_fenced(cli, &known, call);
        ottla_call_free(call);
    }
    items_end(&items);
    return code;
}

const struct cli_command transaction_fence_command = {
    .name = "fence",
    .arguments = "ID…",
    .summary = "abort what transactional ids have open, and lock out their producers",
    .text = "The coordinator aborts the open transaction in all its partitions, and the producer\n"
            "that uses the id now fails at its next request. One that starts later works.\n",
    .examples = "  ottla transaction fence payments-1 --dry-run\n"
                "  ottla transaction fence payments-1\n",
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_TRANSACTION,
    .run = transaction_fence,
};
