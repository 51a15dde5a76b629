/* ottla transaction: what transactions there are, and who writes to partitions in them. */
#include <string.h>

#include "base/java_hash.h"
#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/items.h"
#include "cli/output.h"
#include "cli/transaction_int.h"
#include "cli/when.h"
#include "client/core.h"
#include "sys/sys.h"

static json_t *ago_json(int64_t then_ms, int64_t now_ms) {
    char text[WHEN_TEXT_SIZE];
    if (then_ms < 0) {
        return json_null();
    }
    when_duration_format(now_ms > then_ms ? now_ms - then_ms : 0, text);
    return json_string(text);
}

/* A number that is not known is -1 in the protocol. */
static json_t *known_json(int64_t number) {
    return number < 0 ? json_null() : json_integer(number);
}

int transaction_duration(struct cli *cli, const char *option, int64_t otherwise, int64_t *ret_ms) {
    const char *text = cli_text(cli, option, NULL);
    *ret_ms = otherwise;
    return text == NULL || when_duration_parse(text, ret_ms)
               ? CLI_DONE
               : cli_fail(cli, CLI_USAGE, NULL, "--%s %s: write it as 90s, 15m or 36h", option,
                          text);
}

/* --- list --- */

static const struct cli_column list_columns[] = {
    {"TRANSACTION", "transaction"},
    {"STATE", "state"},
    {"PRODUCER", "producerId", true},
    {"COORDINATOR", "coordinator", true},
    {NULL},
};

static json_t *listings_json(const struct cli *cli, const struct ottla_call *call) {
    size_t count;
    const struct ottla_transaction_listing *rows = ottla_call_transaction_listings(call, &count);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (items_match(cli, rows[i].transactional_id)) {
            json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:i}", "transaction",
                                                  rows[i].transactional_id, "state", rows[i].state,
                                                  "producerId", (json_int_t)rows[i].producer_id,
                                                  "coordinator", rows[i].broker_id));
        }
    }
    return list;
}

/* Brokers count what never began, and what has ended, as old: an age is asked of open ones. */
static int transaction_list(struct cli *cli) {
    static const char *const open_states[] = {"Ongoing", "PrepareCommit", "PrepareAbort"};
    struct ottla_admin_options options = {0};
    options.state_count = cli_texts(cli, "state", &options.states);
    if (options.state_count == 0 && cli_has(cli, "older-than")) {
        options.states = open_states;
        options.state_count = sizeof open_states / sizeof *open_states;
    }
    int64_t producer_id = cli_number(cli, "producer-id", -1);
    options.producer_ids = &producer_id;
    options.producer_id_count = cli_has(cli, "producer-id");
    int64_t older_than_ms;
    int code = transaction_duration(cli, "older-than", -1, &older_than_ms);
    options.older_than_ms = older_than_ms < 0 ? NULL : &older_than_ms;
    struct items items;
    if (code != CLI_DONE || (code = items_start(cli, &items)) != CLI_DONE) {
        return code;
    }
    struct ottla_call *call = ottla_transactions_list(items.client, &options);
    code = items_wait(&items, call);
    json_t *rows = listings_json(cli, call);
    if (code == CLI_DONE || json_array_size(rows) > 0) {
        cli_print_found(cli, list_columns, rows, "No transactional id was found.");
    } else {
        json_decref(rows);
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static const struct cli_option list_options[] = {
    {"state", 0, CLI_TEXTS, "STATE", "only those in this state: Ongoing, CompleteCommit …",
     "Empty|Ongoing|PrepareCommit|PrepareAbort|CompleteCommit|CompleteAbort|PrepareEpochFence|Dead",
     CLI_COMPLETE_CHOICE},
    {"producer-id", 0, CLI_NUMBER, "ID", "only that of this producer"},
    {"older-than", 0, CLI_TEXT, "DURATION", "only those that are open for longer: 90s, 15m, 36h"},
    {NULL},
};
static const struct cli_command list_command = {
    .name = "list",
    .arguments = "[PATTERN…]",
    .summary = "the transactional ids that coordinators know, and their states",
    .text = "A pattern is an id in which * and ? stand for anything, as in a shell.\n",
    .examples = "  ottla transaction list\n"
                "  ottla transaction list 'payments-*' --state Ongoing\n"
                "  ottla transaction list --older-than 15m\n",
    .options = list_options,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_TRANSACTION,
    .run = transaction_list,
};

/* --- describe --- */

static const char state_topic[] = "__transaction_state";

static const struct cli_column describe_columns[] = {
    {"TRANSACTION", "transaction"},
    {"STATE", "state"},
    {"OPEN FOR", "openFor"},
    {"TIMEOUT", "timeout"},
    {"PRODUCER", "producerId", true},
    {"EPOCH", "producerEpoch", true},
    {"COORDINATOR", "coordinator", true},
    {"LOG", "log"},
    {"PARTITIONS", "partitions"},
    {NULL},
};

/* Of one that has ended its start is still told. */
static bool is_open(const struct ottla_transaction_description *row) {
    return row->start_ms >= 0 &&
           (strcmp(row->state, "Ongoing") == 0 || strncmp(row->state, "Prepare", 7) == 0);
}

/* The partition that holds what its coordinator writes down; null when it cannot be told. */
static json_t *log_json(const char *transactional_id, int32_t log_count) {
    return log_count <= 0
               ? json_null()
               : json_sprintf("%s-%d", state_topic,
                              (int)java_hash_place(str_from_c(transactional_id), log_count));
}

static json_t *description_json(const struct ottla_transaction_description *row, int32_t log_count,
                                int64_t now_ms) {
    json_t *partitions = json_array();
    for (size_t i = 0; i < row->partition_count; i++) {
        json_array_append_new(partitions, json_sprintf("%s:%d", row->partitions[i].topic,
                                                       (int)row->partitions[i].partition));
    }
    char timeout[WHEN_TEXT_SIZE];
    when_duration_format(row->timeout_ms, timeout);
    return json_pack("{s:s, s:s, s:o, s:o, s:s, s:i, s:I, s:i, s:i, s:o, s:o}", "transaction",
                     row->transactional_id, "state", row->state, "openFor",
                     is_open(row) ? ago_json(row->start_ms, now_ms) : json_null(), "startMs",
                     known_json(row->start_ms), "timeout", timeout, "timeoutMs", row->timeout_ms,
                     "producerId", (json_int_t)row->producer_id, "producerEpoch",
                     row->producer_epoch, "coordinator", row->broker_id, "log",
                     log_json(row->transactional_id, log_count), "partitions", partitions);
}

/* How many partitions the coordinators' topic has; 0 when nobody says, which hinders nothing. */
static int32_t log_count_of(const struct items *items) {
    struct ottla_error error;
    int32_t count = 0;
    int code = ottla_client_partition_count(items->client, state_topic, cli_timeout_ms(items->cli),
                                            &count, &error);
    return code == OTTLA_OK ? count : 0;
}

static int transaction_describe(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    if (code != CLI_DONE) {
        return code;
    }
    items.count = cli_argument_count(cli);
    struct ottla_admin_options options = {.timeout_ms = cli_timeout_ms(cli)}; /* ends with why */
    struct ottla_call *call =
        ottla_transactions_describe(items.client, cli_arguments(cli), items.count, &options);
    code = items_wait(&items, call);
    int64_t now_ms = sys_wall_ms(client_sys(items.client));
    size_t count;
    const struct ottla_transaction_description *rows =
        ottla_call_transaction_descriptions(call, &count);
    int32_t log_count = code == CLI_DONE || code == CLI_PARTLY ? log_count_of(&items) : 0;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (rows[i].code == OTTLA_OK) {
            json_array_append_new(list, description_json(&rows[i], log_count, now_ms));
        }
    }
    if (code == CLI_DONE || code == CLI_PARTLY) {
        cli_print_rows(cli, describe_columns, list);
    } else {
        json_decref(list);
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static const struct cli_command describe_command = {
    .name = "describe",
    .arguments = "ID…",
    .summary = "transactions: since when they are open, and in which partitions",
    .text = "What its coordinator wrote down, step by step, is in LOG, a partition on the "
            "coordinator:\n"
            "ottla log records DATA/LOG, with the coordinator's log directory, prints it.\n",
    .examples = "  ottla transaction describe payments-1\n"
                "  ottla transaction describe payments-1 payments-2 -o json\n",
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_TRANSACTION,
    .run = transaction_describe,
};

/* --- producers --- */

static const struct cli_column producer_columns[] = {
    {"TOPIC", "topic"},
    {"PARTITION", "partition", true},
    {"PRODUCER", "producerId", true},
    {"EPOCH", "producerEpoch", true},
    {"SEQUENCE", "lastSequence", true},
    {"LAST WRITE", "lastWriteAgo", true},
    {"OPEN FROM", "transactionStartOffset", true},
    {NULL},
};

static void add_producers(json_t *list, const struct ottla_partition_producers *partition,
                          bool open_only, int64_t now_ms) {
    for (size_t i = 0; i < partition->producer_count; i++) {
        const struct ottla_producer_state *producer = &partition->producers[i];
        if (open_only && producer->transaction_start_offset < 0) {
            continue;
        }
        json_array_append_new(
            list,
            json_pack("{s:s, s:i, s:I, s:i, s:o, s:o, s:o, s:o, s:o}", "topic", partition->topic,
                      "partition", partition->partition, "producerId",
                      (json_int_t)producer->producer_id, "producerEpoch", producer->producer_epoch,
                      "lastSequence", known_json(producer->last_sequence), "lastWriteMs",
                      known_json(producer->last_timestamp_ms), "lastWriteAgo",
                      ago_json(producer->last_timestamp_ms, now_ms), "transactionStartOffset",
                      known_json(producer->transaction_start_offset), "coordinatorEpoch",
                      known_json(producer->coordinator_epoch)));
    }
}

static int print_producers(const struct items *items, const struct items_partitions *partitions) {
    struct cli *cli = items->cli;
    int32_t broker_id = (int32_t)cli_number(cli, "broker", -1);
    struct ottla_admin_options options = {.broker_id = broker_id < 0 ? NULL : &broker_id};
    struct ottla_call *call = ottla_producers_describe(items->client, partitions->partitions,
                                                       partitions->count, &options);
    int code = items_wait(items, call);
    int64_t now_ms = sys_wall_ms(client_sys(items->client));
    size_t count;
    const struct ottla_partition_producers *rows = ottla_call_producers(call, &count);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        add_producers(list, &rows[i], cli_has(cli, "open"), now_ms);
    }
    if (code == CLI_DONE || code == CLI_PARTLY) {
        cli_print_found(cli, producer_columns, list,
                        cli_has(cli, "open") ? "No transaction is open there."
                                             : "No producer with an id is remembered there.");
    } else {
        json_decref(list);
    }
    ottla_call_free(call);
    return code;
}

static int transaction_producers(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    struct items_partitions partitions = {0};
    for (size_t i = 0; code == CLI_DONE && i < cli_argument_count(cli); i++) {
        code = items_partitions_add(&items, cli_argument(cli, i), &partitions);
    }
    if (code == CLI_DONE) {
        items.count = partitions.count;
        code = print_producers(&items, &partitions);
    }
    items_end(&items);
    return code;
}

static const struct cli_option producer_options[] = {
    {"broker", 0, CLI_NUMBER, "ID", "as this broker's replicas see them, not the leaders'",
     .complete = CLI_COMPLETE_BROKER, .most = INT32_MAX},
    {"open", 0, CLI_FLAG, NULL, "only producers with a transaction that is open there"},
    {NULL},
};
static const struct cli_command producers_command = {
    .name = "producers",
    .arguments = "TOPIC[:PARTITIONS]…",
    .summary = "who writes to partitions, and from where on in a transaction",
    .text =
        "Producers with ids: idempotent ones, and those in transactions. OPEN FROM is the offset\n"
        "of the first record of a transaction that is neither committed nor aborted there.\n",
    .examples = "  ottla transaction producers orders\n"
                "  ottla transaction producers orders:0,3-5 --open\n",
    .options = producer_options,
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_TOPIC,
    .run = transaction_producers,
};

static const struct cli_command *const commands[] = {&list_command,
                                                     &describe_command,
                                                     &producers_command,
                                                     &transaction_find_hanging_command,
                                                     &transaction_abort_command,
                                                     &transaction_fence_command,
                                                     NULL};
const struct cli_command cli_transaction_command = {
    .name = "transaction",
    .summary = "transactions: states, who writes, what hangs, aborting",
    .commands = commands,
};
