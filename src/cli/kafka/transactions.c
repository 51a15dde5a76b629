/* kafka-transactions: transactional ids, and who writes to a partition. */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "cli/kafka/tools.h"
#include "cli/kafka/transactions_int.h"
#include "client/core.h"
#include "sys/sys.h"

/* --- text --- */

int transactions_fail(const struct tool *tool, const struct ottla_error *error, const char *format,
                      ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    return tool_fail(tool, ": %s. Enable debug logging for additional detail.",
                     tool_unlabelled(error));
}

const char *transactions_number(struct tool *tool, int64_t number, const char *negative) {
    return number < 0 && negative != NULL
               ? negative
               : arena_printf(tool_arena(tool), "%lld", (long long)number).data;
}

static int width_of(const char *title, size_t column, size_t columns, const char *const *rows,
                    size_t count) {
    size_t width = strlen(title);
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(rows[i * columns + column]);
        width = size > width ? size : width;
    }
    return (int)width;
}

void transactions_print(const char *const *titles, size_t columns, const char *const *rows,
                        size_t count) {
    enum { COLUMNS_MAX = 16 };
    int widths[COLUMNS_MAX];
    assert(columns <= COLUMNS_MAX);
    for (size_t c = 0; c < columns; c++) {
        widths[c] = width_of(titles[c], c, columns, rows, count);
        printf("%-*s\t", widths[c], titles[c]);
    }
    putchar('\n');
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < columns; c++) {
            printf("%-*s\t", widths[c], rows[i * columns + c]);
        }
        putchar('\n');
    }
}

/* The states that tools of this version know. */
static const char *state_text(const char *state) {
    static const char *const states[] = {"Ongoing",          "PrepareAbort",   "PrepareCommit",
                                         "CompleteAbort",    "CompleteCommit", "Empty",
                                         "PrepareEpochFence"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (strcmp(states[i], state) == 0) {
            return state;
        }
    }
    return "Unknown";
}

/* --- list --- */

static int list(struct tool *tool, struct ottla_client *client) {
    static const char *const titles[] = {"TransactionalId", "Coordinator", "ProducerId",
                                         "TransactionState"};
    enum { COLUMNS = sizeof titles / sizeof titles[0] };
    int64_t older_than_ms;
    struct ottla_admin_options options = {.id_pattern =
                                              tool_text(tool, "transactional-id-pattern")};
    if (tool_has(tool, "duration-filter")) {
        older_than_ms = tool_number(tool, "duration-filter");
        options.older_than_ms = older_than_ms < 0 ? NULL : &older_than_ms;
    }
    struct ottla_call *call = ottla_transactions_list(client, &options);
    struct ottla_error error;
    if (tool_wait(tool, call, &error) != OTTLA_OK) {
        return transactions_fail(tool, &error, "Failed to list transactions");
    }
    size_t count;
    const struct ottla_transaction_listing *listings =
        ottla_call_transaction_listings(call, &count);
    const char **rows = ARENA_ARRAY(tool_arena(tool), const char *, count *COLUMNS);
    for (size_t i = 0; i < count; i++) {
        const char **row = &rows[i * COLUMNS];
        row[0] = listings[i].transactional_id;
        row[1] = transactions_number(tool, listings[i].broker_id, NULL);
        row[2] = transactions_number(tool, listings[i].producer_id, NULL);
        row[3] = state_text(listings[i].state);
    }
    transactions_print(titles, COLUMNS, rows, count);
    return TOOL_DONE;
}

/* --- describe --- */

static const char *partitions_text(struct tool *tool,
                                   const struct ottla_transaction_description *description) {
    struct str list = STR("");
    for (size_t i = 0; i < description->partition_count; i++) {
        const struct ottla_partition *partition = &description->partitions[i];
        struct str one =
            arena_printf(tool_arena(tool), "%s-%d", partition->topic, (int)partition->partition);
        list = arena_list(tool_arena(tool), i == 0 ? STR_NULL : list, ",", one);
    }
    return arena_c_str(tool_arena(tool), list);
}

static int describe(struct tool *tool, struct ottla_client *client) {
    static const char *const titles[] = {"CoordinatorId",
                                         "TransactionalId",
                                         "ProducerId",
                                         "ProducerEpoch",
                                         "TransactionState",
                                         "TransactionTimeoutMs",
                                         "CurrentTransactionStartTimeMs",
                                         "TransactionDurationMs",
                                         "TopicPartitions"};
    const char *id = tool_text(tool, "transactional-id");
    struct ottla_call *call = ottla_transactions_describe(client, &id, 1, NULL);
    struct ottla_error error;
    int code = tool_wait(tool, call, &error);
    if (code == ERR_TRANSACTIONAL_ID_NOT_FOUND) {
        (void)snprintf(error.text, sizeof error.text,
                       "DescribeTransactions request for transactionalId `%s` failed because the "
                       "ID could not be found",
                       id);
    }
    if (code != OTTLA_OK) {
        return transactions_fail(
            tool, &error, "Failed to describe transaction state of transactional-id `%s`", id);
    }
    size_t count;
    const struct ottla_transaction_description *told =
        ottla_call_transaction_descriptions(call, &count);
    int64_t now_ms = sys_wall_ms(client_sys(client));
    bool open = told->start_ms >= 0;
    const char *row[] = {
        transactions_number(tool, told->broker_id, NULL),
        id,
        transactions_number(tool, told->producer_id, NULL),
        transactions_number(tool, told->producer_epoch, NULL),
        state_text(told->state),
        transactions_number(tool, told->timeout_ms, NULL),
        transactions_number(tool, told->start_ms, "None"),
        open ? transactions_number(tool, now_ms - told->start_ms, NULL) : "None",
        partitions_text(tool, told),
    };
    _Static_assert(sizeof row == sizeof titles, "a cell for each title");
    transactions_print(titles, sizeof titles / sizeof titles[0], row, 1);
    return TOOL_DONE;
}

/* --- describe-producers --- */

static void print_producers(struct tool *tool, const struct ottla_partition_producers *partition) {
    static const char *const titles[] = {
        "ProducerId",   "ProducerEpoch", "LatestCoordinatorEpoch",
        "LastSequence", "LastTimestamp", "CurrentTransactionStartOffset"};
    enum { COLUMNS = sizeof titles / sizeof titles[0] };
    const char **rows =
        ARENA_ARRAY(tool_arena(tool), const char *, partition->producer_count *COLUMNS);
    for (size_t i = 0; i < partition->producer_count; i++) {
        const struct ottla_producer_state *producer = &partition->producers[i];
        const char **row = &rows[i * COLUMNS];
        row[0] = transactions_number(tool, producer->producer_id, NULL);
        row[1] = transactions_number(tool, producer->producer_epoch, NULL);
        row[2] = transactions_number(tool, producer->coordinator_epoch, "-1");
        row[3] = transactions_number(tool, producer->last_sequence, NULL);
        row[4] = transactions_number(tool, producer->last_timestamp_ms, NULL);
        row[5] = transactions_number(tool, producer->transaction_start_offset, "None");
    }
    transactions_print(titles, COLUMNS, rows, partition->producer_count);
}

static int describe_producers(struct tool *tool, struct ottla_client *client) {
    struct ottla_partition partition = {tool_text(tool, "topic"),
                                        (int32_t)tool_number(tool, "partition")};
    int32_t broker_id = -1;
    struct ottla_admin_options options = {0};
    const char *where = "leader";
    if (tool_has(tool, "broker-id")) {
        broker_id = (int32_t)tool_number(tool, "broker-id");
        options.broker_id = &broker_id;
        where = arena_printf(tool_arena(tool), "broker %d", (int)broker_id).data;
    }
    struct ottla_call *call = ottla_producers_describe(client, &partition, 1, &options);
    struct ottla_error error;
    int code = tool_wait(tool, call, &error);
    if (code == ERR_NOT_LEADER_OR_FOLLOWER && broker_id >= 0) {
        (void)snprintf(error.text, sizeof error.text,
                       "Failed to describe active producers for partition %s-%d on brokerId %d",
                       partition.topic, (int)partition.partition, (int)broker_id);
    }
    if (code != OTTLA_OK) {
        return transactions_fail(tool, &error,
                                 "Failed to describe producers for partition %s-%d on %s",
                                 partition.topic, (int)partition.partition, where);
    }
    size_t count;
    print_producers(tool, ottla_call_producers(call, &count));
    return TOOL_DONE;
}

/* --- forceTerminateTransaction --- */

static int force_terminate(struct tool *tool, struct ottla_client *client) {
    const char *id = tool_text(tool, "transactionalId");
    struct ottla_call *call = ottla_producers_fence(client, &id, 1, NULL);
    struct ottla_error error;
    return tool_wait(tool, call, &error) == OTTLA_OK
               ? TOOL_DONE
               : transactions_fail(tool, &error, "Failed to force terminate transactionalId `%s`",
                                   id);
}

/* --- the tool --- */

int kafka_transactions(struct tool *tool) {
    static const struct {
        const char *name;
        int (*run)(struct tool *tool, struct ottla_client *client);
    } commands[] = {
        {"list", list},
        {"describe", describe},
        {"describe-producers", describe_producers},
        {"find-hanging", transactions_find_hanging},
        {"abort", transactions_abort},
        {"forceTerminateTransaction", force_terminate},
    };
    struct ottla_client *client;
    if (tool_connect(tool, &client) != TOOL_DONE) {
        return TOOL_FAILED;
    }
    size_t i = 0;
    while (strcmp(commands[i].name, tool_subcommand(tool)) != 0) {
        i++;
        assert(i < sizeof commands / sizeof commands[0]);
    }
    return commands[i].run(tool, client);
}
