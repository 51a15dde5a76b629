/* kafka-transactions find-hanging and abort: what partitions keep open, and ending it there. */
#include <string.h>

#include "base/err.h"
#include "cli/hanging.h"
#include "cli/kafka/tools.h"
#include "cli/kafka/transactions_int.h"
#include "client/core.h"
#include "sys/sys.h"

/* --- where to look --- */

struct places {
    struct tool *tool;
    struct ottla_client *client;
    const int32_t *broker_id; /* NULL: any */
    struct ottla_partition *partitions;
    size_t count;
};

static bool is_there(const struct places *places, const struct ottla_replicas *replicas) {
    bool there = places->broker_id == NULL;
    for (size_t i = 0; !there && i < replicas->count; i++) {
        there = replicas->brokers[i] == *places->broker_id;
    }
    return there;
}

static void add_topics(struct places *places, const struct ottla_topic_description *topics,
                       size_t count) {
    size_t all = 0;
    for (size_t i = 0; i < count; i++) {
        all += topics[i].partition_count;
    }
    places->partitions = ARENA_ARRAY(tool_arena(places->tool), struct ottla_partition, all);
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < topics[i].partition_count; p++) {
            const struct ottla_partition_description *partition = &topics[i].partitions[p];
            if (is_there(places, &partition->replicas)) {
                places->partitions[places->count++] =
                    (struct ottla_partition){topics[i].name, partition->partition};
            }
        }
    }
}

/* Of one topic, or of all but the internal ones. */
static int find_places(struct places *places) {
    struct tool *tool = places->tool;
    struct ottla_topic_ref topic = {.name = tool_text(tool, "topic")};
    struct ottla_call *call = topic.name == NULL
                                  ? ottla_topics_list(places->client, NULL)
                                  : ottla_topics_describe(places->client, &topic, 1, NULL);
    struct ottla_error error;
    if (tool_wait(tool, call, &error) != OTTLA_OK) {
        return topic.name == NULL ? transactions_fail(tool, &error, "Failed to list topics")
                                  : transactions_fail(tool, &error, "Failed to describe 1 topics");
    }
    size_t count;
    const struct ottla_topic_description *topics = ottla_call_topic_descriptions(call, &count);
    add_topics(places, topics, count);
    return TOOL_DONE;
}

/* --- find-hanging --- */

static bool wait(struct hanging_search *search, enum hanging_step step, size_t count,
                 struct ottla_call *call) {
    struct tool *tool = search->arg;
    struct ottla_error error;
    if (ottla_call_wait(call, -1, &error) == OTTLA_OK) {
        return true;
    }
    char broker[32] = "Optional.empty";
    size_t failed;
    const struct ottla_failure *failures = ottla_call_failures(call, &failed);
    switch (step) {
    case HANGING_PRODUCERS:
        if (search->broker_id != NULL) {
            (void)snprintf(broker, sizeof broker, "Optional[%d]", (int)*search->broker_id);
        }
        (void)transactions_fail(tool, &error,
                                "Failed to describe producers for %zu partitions on broker %s",
                                count, broker);
        break;
    case HANGING_LIST:
        (void)transactions_fail(tool, &error, "Failed to list transactions for %zu producers",
                                count);
        break;
    case HANGING_DESCRIBE:
        for (size_t i = 0; i < failed; i++) {
            if (failures[i].code != ERR_TRANSACTIONAL_ID_NOT_FOUND) {
                error.code = failures[i].code;
                (void)snprintf(error.text, sizeof error.text, "%s", failures[i].text);
                (void)transactions_fail(tool, &error, "Failed to describe %zu transactions", count);
                return false;
            }
        }
        return true;
    }
    return false;
}

static void print(struct tool *tool, const struct hanging *hanging, size_t count, int64_t now_ms) {
    static const char *const titles[] = {"Topic",         "Partition",        "ProducerId",
                                         "ProducerEpoch", "CoordinatorEpoch", "StartOffset",
                                         "LastTimestamp", "Duration(min)"};
    enum { COLUMNS = sizeof titles / sizeof titles[0], MINUTE_MS = 60 * 1000 };
    const char **rows = ARENA_ARRAY(tool_arena(tool), const char *, count *COLUMNS);
    for (size_t i = 0; i < count; i++) {
        const struct ottla_producer_state *producer = &hanging[i].producer;
        const char **row = &rows[i * COLUMNS];
        row[0] = hanging[i].topic;
        row[1] = transactions_number(tool, hanging[i].partition, NULL);
        row[2] = transactions_number(tool, producer->producer_id, NULL);
        row[3] = transactions_number(tool, producer->producer_epoch, NULL);
        row[4] = transactions_number(tool, producer->coordinator_epoch, "-1");
        row[5] = transactions_number(tool, producer->transaction_start_offset, NULL);
        row[6] = transactions_number(tool, producer->last_timestamp_ms, NULL);
        row[7] = transactions_number(tool, hanging_idle_ms(producer, now_ms) / MINUTE_MS, NULL);
    }
    transactions_print(titles, COLUMNS, rows, count);
}

static int search(struct places *places) {
    struct tool *tool = places->tool;
    struct hanging_search search = {
        .client = places->client,
        .arena = tool_arena(tool),
        .broker_id = places->broker_id,
        .idle_ms = tool_number(tool, "max-transaction-timeout") * 60 * 1000,
        .now_ms = sys_wall_ms(client_sys(places->client)),
        .wait = wait,
        .arg = tool,
    };
    struct hanging *hanging;
    size_t count;
    if (!hanging_find(&search, places->partitions, places->count, &hanging, &count)) {
        return TOOL_FAILED;
    }
    print(tool, hanging, count, search.now_ms);
    return TOOL_DONE;
}

int transactions_find_hanging(struct tool *tool, struct ottla_client *client) {
    const char *topic = tool_text(tool, "topic");
    bool one = tool_has(tool, "partition");
    int32_t broker_id = -1;
    struct places places = {.tool = tool, .client = client};
    if (tool_has(tool, "broker-id")) {
        broker_id = (int32_t)tool_number(tool, "broker-id");
        places.broker_id = &broker_id;
    }
    if (topic == NULL && places.broker_id == NULL) {
        return tool_fail(tool, "The `find-hanging` command requires either --topic or --broker-id "
                               "to limit the scope of the search");
    }
    if (topic == NULL && one) {
        return tool_fail(tool, "The --partition argument requires --topic to be provided");
    }
    struct ottla_partition partition = {topic, 0};
    if (one) {
        partition.partition = (int32_t)tool_number(tool, "partition");
        places.partitions = &partition;
        places.count = 1;
    } else if (find_places(&places) != TOOL_DONE) {
        return TOOL_FAILED;
    }
    return search(&places);
}

/* --- abort --- */

/* What brokers before 3.0 do not tell is given. */
static bool take_given(struct tool *tool, struct ottla_transaction_abort *abort) {
    static const char *const options[] = {"producer-epoch", "coordinator-epoch"};
    for (size_t i = 0; i < 2; i++) {
        if (!tool_has(tool, options[i])) {
            (void)tool_fail(tool, "Missing required argument --%s", options[i]);
            return false;
        }
    }
    int64_t epoch = tool_number(tool, "producer-epoch");
    if (epoch < INT16_MIN || epoch > INT16_MAX) {
        (void)tool_fail(tool, "Cannot parse argument '%lld' of option producer-epoch",
                        (long long)epoch);
        return false;
    }
    abort->producer_id = tool_number(tool, "producer-id");
    abort->producer_epoch = (int16_t)epoch;
    abort->coordinator_epoch = (int32_t)tool_number(tool, "coordinator-epoch");
    return true;
}

static bool look_up(struct tool *tool, struct ottla_client *client,
                    struct ottla_transaction_abort *abort) {
    struct ottla_partition partition = {abort->topic, abort->partition};
    struct ottla_call *call = ottla_producers_describe(client, &partition, 1, NULL);
    struct ottla_error error;
    if (tool_wait(tool, call, &error) != OTTLA_OK) {
        (void)transactions_fail(tool, &error,
                                "Failed to validate producer state for partition %s-%d",
                                abort->topic, (int)abort->partition);
        return false;
    }
    int64_t start_offset = tool_number(tool, "start-offset");
    size_t count;
    const struct ottla_partition_producers *told = ottla_call_producers(call, &count);
    for (size_t i = 0; i < told->producer_count; i++) {
        const struct ottla_producer_state *producer = &told->producers[i];
        if (producer->transaction_start_offset >= 0 &&
            producer->transaction_start_offset == start_offset) {
            abort->producer_id = producer->producer_id;
            abort->producer_epoch = (int16_t)producer->producer_epoch;
            abort->coordinator_epoch = producer->coordinator_epoch;
            return true;
        }
    }
    (void)tool_fail(tool,
                    "Could not find any open transactions starting at offset %lld on partition "
                    "%s-%d",
                    (long long)start_offset, abort->topic, (int)abort->partition);
    return false;
}

int transactions_abort(struct tool *tool, struct ottla_client *client) {
    struct ottla_transaction_abort abort = {.topic = tool_text(tool, "topic"),
                                            .partition = (int32_t)tool_number(tool, "partition")};
    if (!tool_has(tool, "start-offset") && !tool_has(tool, "producer-id")) {
        return tool_fail(tool,
                         "The transaction to abort must be identified either with "
                         "--start-offset (for brokers on 3.0 or above) or with --producer-id, "
                         "--producer-epoch, and --coordinator-epoch (for older brokers)");
    }
    if (tool_has(tool, "start-offset") ? !look_up(tool, client, &abort)
                                       : !take_given(tool, &abort)) {
        return TOOL_FAILED;
    }
    abort.coordinator_epoch = abort.coordinator_epoch < 0 ? 0 : abort.coordinator_epoch;
    struct ottla_call *call = ottla_transactions_abort(client, &abort, 1, NULL);
    struct ottla_error error;
    if (tool_wait(tool, call, &error) != OTTLA_OK) {
        return transactions_fail(
            tool, &error,
            "Failed to abort transaction AbortTransactionSpec(topicPartition=%s-%d, "
            "producerId=%lld, producerEpoch=%d, coordinatorEpoch=%d)",
            abort.topic, (int)abort.partition, (long long)abort.producer_id,
            (int)abort.producer_epoch, (int)abort.coordinator_epoch);
    }
    return TOOL_DONE;
}
