/* ottla transaction find-hanging: what hanging.h tells, of the partitions that people name. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/hanging.h"
#include "cli/items.h"
#include "cli/output.h"
#include "cli/transaction_int.h"
#include "cli/when.h"
#include "client/core.h"
#include "sys/sys.h"

struct finding {
    struct items *items;
    int code; /* of what was asked so far */
};

/* Partitions that cannot be asked are told, and the others go on. Without every coordinator's word
 * nothing may be called hanging. */
static bool wait(struct hanging_search *search, enum hanging_step step, size_t count,
                 struct ottla_call *call) {
    struct finding *finding = search->arg;
    struct items items = *finding->items;
    items.count = step == HANGING_LIST ? 0 : count;
    items.fine = step == HANGING_DESCRIBE ? ERR_TRANSACTIONAL_ID_NOT_FOUND : OTTLA_OK;
    int code = items_wait(&items, call);
    finding->code = finding->code == CLI_DONE ? code : finding->code;
    return code == CLI_DONE || (step == HANGING_PRODUCERS && code == CLI_PARTLY);
}

/* --- which partitions --- */

static bool is_on(const struct ottla_replicas *replicas, const int32_t *broker_id) {
    for (size_t i = 0; broker_id != NULL && i < replicas->count; i++) {
        if (replicas->brokers[i] == *broker_id) {
            return true;
        }
    }
    return broker_id == NULL;
}

/* Of all topics, the internal ones too: groups' commits are in transactions. */
static int add_all(struct items *items, const int32_t *broker_id, struct items_partitions *list) {
    struct ottla_admin_options options = {.internal = true};
    struct ottla_call *call = ottla_topics_list(items->client, &options);
    int code = items_wait(items, call);
    struct arena *arena = cli_arena(items->cli);
    size_t count;
    const struct ottla_topic_description *topics = ottla_call_topic_descriptions(call, &count);
    size_t all = 0;
    for (size_t i = 0; i < count; i++) {
        all += topics[i].partition_count;
    }
    list->partitions = ARENA_ARRAY(arena, struct ottla_partition, all);
    for (size_t i = 0; i < count; i++) {
        const char *topic = arena_c_str(arena, str_from_c(topics[i].name));
        for (size_t p = 0; p < topics[i].partition_count; p++) {
            if (is_on(&topics[i].partitions[p].replicas, broker_id)) {
                list->partitions[list->count++] =
                    (struct ottla_partition){topic, topics[i].partitions[p].partition};
            }
        }
    }
    ottla_call_free(call);
    return code;
}

static int choose(struct items *items, const int32_t *broker_id, struct items_partitions *list) {
    struct cli *cli = items->cli;
    if (cli_argument_count(cli) == 0) {
        return add_all(items, broker_id, list);
    }
    int code = CLI_DONE;
    for (size_t i = 0; code == CLI_DONE && i < cli_argument_count(cli); i++) {
        code = items_partitions_add(items, cli_argument(cli, i), list);
    }
    return code;
}

/* --- what is found --- */

static const struct cli_column columns[] = {
    {"TOPIC", "topic"},
    {"PARTITION", "partition", true},
    {"OPEN FROM", "transactionStartOffset", true},
    {"LAST WRITE", "lastWriteAgo", true},
    {"PRODUCER", "producerId", true},
    {"EPOCH", "producerEpoch", true},
    {"TRANSACTION", "transaction"},
    {NULL},
};

static json_t *hanging_json(const struct hanging *hanging, int64_t now_ms) {
    const struct ottla_producer_state *producer = &hanging->producer;
    char ago[WHEN_TEXT_SIZE];
    when_duration_format(hanging_idle_ms(producer, now_ms), ago);
    return json_pack("{s:s, s:i, s:I, s:s, s:I, s:I, s:i, s:i, s:s?}", "topic", hanging->topic,
                     "partition", hanging->partition, "transactionStartOffset",
                     (json_int_t)producer->transaction_start_offset, "lastWriteAgo", ago,
                     "lastWriteMs", (json_int_t)producer->last_timestamp_ms, "producerId",
                     (json_int_t)producer->producer_id, "producerEpoch", producer->producer_epoch,
                     "coordinatorEpoch", producer->coordinator_epoch, "transaction",
                     hanging->transactional_id);
}

static void print(const struct cli *cli, const struct hanging *hanging, size_t count,
                  int64_t now_ms) {
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(rows, hanging_json(&hanging[i], now_ms));
    }
    cli_print_rows(cli, columns, rows);
    if (count == 0) {
        cli_note(cli, "No transaction hangs.");
    } else if (!cli_wants_json(cli)) {
        cli_note(cli, "Abort one: ottla transaction abort %s:%d --start-offset %lld",
                 hanging[0].topic, (int)hanging[0].partition,
                 (long long)hanging[0].producer.transaction_start_offset);
    }
}

static int find_hanging(struct cli *cli) {
    int32_t broker_id = (int32_t)cli_number(cli, "broker", -1);
    struct hanging_search search = {
        .arena = cli_arena(cli), .broker_id = broker_id < 0 ? NULL : &broker_id, .wait = wait};
    int code =
        transaction_duration(cli, "max-transaction-timeout", HANGING_IDLE_MS, &search.idle_ms);
    struct items items;
    if (code != CLI_DONE || (code = items_start(cli, &items)) != CLI_DONE) {
        return code;
    }
    struct items_partitions partitions = {0};
    code = choose(&items, search.broker_id, &partitions);
    if (code == CLI_DONE) {
        struct finding finding = {.items = &items};
        search.client = items.client;
        search.now_ms = sys_wall_ms(client_sys(items.client));
        search.arg = &finding;
        struct hanging *hanging;
        size_t count;
        if (hanging_find(&search, partitions.partitions, partitions.count, &hanging, &count)) {
            print(cli, hanging, count, search.now_ms);
        }
        code = finding.code;
    }
    items_end(&items);
    return code;
}

static const struct cli_option options[] = {
    {"broker", 0, CLI_NUMBER, "ID", "as this broker's replicas see it, not the leaders",
     .complete = CLI_COMPLETE_BROKER, .most = INT32_MAX},
    {"max-transaction-timeout", 0, CLI_TEXT, "DURATION",
     "the brokers' transaction.max.timeout.ms; younger ones do not hang. Else 15m"},
    {NULL},
};
const struct cli_command transaction_find_hanging_command = {
    .name = "find-hanging",
    .arguments = "[TOPIC[:PARTITIONS]…]",
    .summary = "transactions that partitions keep open and no coordinator will end",
    .text =
        "Who reads committed records gets no further than where such a transaction began. It is\n"
        "open in a partition, was not written to for longer than any transaction may take, and\n"
        "its coordinator does not have the partition in it. Without topics all are searched.\n",
    .examples = "  ottla transaction find-hanging\n"
                "  ottla transaction find-hanging orders:0,3-5 --max-transaction-timeout 1h\n"
                "  ottla transaction find-hanging --broker 2\n",
    .options = options,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_TOPIC,
    .run = find_hanging,
};
