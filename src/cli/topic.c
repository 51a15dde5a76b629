/* ottla topic: what topics there are, how they are, making, changing and deleting them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/items.h"
#include "cli/output.h"
#include "cli/topic_int.h"
#include "ottla/admin.h"

/* --- list --- */

static const struct cli_column list_columns[] = {
    {"TOPIC", "topic"},
    {"PARTITIONS", "partitions", true},
    {"REPLICAS", "replicas", true},
    {"UNDER-REPLICATED", "underReplicated", true},
    {"LEADERLESS", "leaderless", true},
    {NULL},
};

static json_t *summary_of(const struct ottla_topic_description *topic) {
    size_t under_replicated = 0;
    size_t leaderless = 0;
    for (size_t i = 0; i < topic->partition_count; i++) {
        const struct ottla_partition_description *partition = &topic->partitions[i];
        under_replicated += partition->isr.count < partition->replicas.count;
        leaderless += partition->leader < 0;
    }
    size_t replicas = topic->partition_count == 0 ? 0 : topic->partitions[0].replicas.count;
    return json_pack("{s:s, s:s?, s:b, s:I, s:I, s:I, s:I}", "topic", topic->name, "id", topic->id,
                     "internal", topic->internal, "partitions", (json_int_t)topic->partition_count,
                     "replicas", (json_int_t)replicas, "underReplicated",
                     (json_int_t)under_replicated, "leaderless", (json_int_t)leaderless);
}

static int topic_list(struct cli *cli) {
    struct ottla_admin_options options = {.internal = cli_has(cli, "internal")};
    struct items items;
    int code = items_start(cli, &items);
    if (code != CLI_DONE) {
        return code;
    }
    struct ottla_call *call = ottla_topics_list(items.client, &options);
    code = items_wait(&items, call);
    if (code == CLI_DONE) {
        size_t count;
        const struct ottla_topic_description *topics = ottla_call_topic_descriptions(call, &count);
        json_t *rows = json_array();
        for (size_t i = 0; i < count; i++) {
            if (items_match(cli, topics[i].name)) {
                json_array_append_new(rows, summary_of(&topics[i]));
            }
        }
        code = cli_print_rows(cli, list_columns, rows);
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static const struct cli_option list_options[] = {
    {"internal", 'i', CLI_FLAG, NULL, "with the cluster's own topics (__consumer_offsets …)"},
    {NULL},
};
static const struct cli_command list_command = {
    .name = "list",
    .arguments = "[PATTERN…]",
    .summary = "the topics of the cluster",
    .text = "A pattern is a name in which * and ? stand for anything, as in a shell.\n",
    .examples = "  ottla topic list\n"
                "  ottla topic list 'orders-*' -o json\n",
    .options = list_options,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_TOPIC,
    .run = topic_list,
};

/* --- describe --- */

static const struct cli_column describe_columns[] = {
    {"TOPIC", "topic"},
    {"PARTITION", "partition", true},
    {"LEADER", "leader", true},
    {"EPOCH", "leaderEpoch", true},
    {"REPLICAS", "replicas"},
    {"ISR", "isr"},
    {"OFFLINE", "offline"},
    {"STATE", "state"},
    {NULL},
};

static json_t *brokers_json(struct ottla_replicas replicas) {
    json_t *list = json_array();
    for (size_t i = 0; i < replicas.count; i++) {
        json_array_append_new(list, json_integer(replicas.brokers[i]));
    }
    return list;
}

static const char *state_of(const struct ottla_partition_description *partition) {
    return partition->leader < 0                                 ? "leaderless"
           : partition->isr.count < partition->replicas.count    ? "under-replicated"
           : partition->leader != partition->replicas.brokers[0] ? "not preferred leader"
                                                                 : "ok";
}

static void add_partitions(json_t *rows, const struct ottla_topic_description *topic,
                           bool troubled) {
    for (size_t i = 0; i < topic->partition_count; i++) {
        const struct ottla_partition_description *partition = &topic->partitions[i];
        const char *state = partition->replicas.count == 0 ? "unknown" : state_of(partition);
        if (troubled && strcmp(state, "ok") == 0) {
            continue;
        }
        json_array_append_new(
            rows, json_pack("{s:s, s:s?, s:i, s:i, s:i, s:o, s:o, s:o, s:s}", "topic", topic->name,
                            "id", topic->id, "partition", partition->partition, "leader",
                            partition->leader, "leaderEpoch", partition->leader_epoch, "replicas",
                            brokers_json(partition->replicas), "isr", brokers_json(partition->isr),
                            "offline", brokers_json(partition->offline), "state", state));
    }
}

static int topic_describe(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    if (code != CLI_DONE) {
        return code;
    }
    size_t count = cli_argument_count(cli);
    struct ottla_topic_ref *refs = ARENA_ARRAY(cli_arena(cli), struct ottla_topic_ref, count);
    for (size_t i = 0; i < count; i++) {
        refs[i].name = cli_argument(cli, i);
    }
    items.count = count;
    struct ottla_call *call = ottla_topics_describe(items.client, refs, count, NULL);
    code = items_wait(&items, call);
    const struct ottla_topic_description *topics = ottla_call_topic_descriptions(call, &count);
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        add_partitions(rows, &topics[i], cli_has(cli, "troubled"));
    }
    if (code == CLI_DONE || code == CLI_PARTLY) {
        cli_print_rows(cli, describe_columns, rows);
    } else {
        json_decref(rows);
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static const struct cli_option describe_options[] = {
    {"troubled", 0, CLI_FLAG, NULL, "only partitions that are not as they should be"},
    {NULL},
};
static const struct cli_command describe_command = {
    .name = "describe",
    .arguments = "TOPIC…",
    .summary = "the partitions of topics: leaders, replicas, who is in sync",
    .examples = "  ottla topic describe orders\n"
                "  ottla topic describe orders --troubled\n",
    .options = describe_options,
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_TOPIC,
    .run = topic_describe,
};

/* --- create --- */

static const struct cli_column result_columns[] = {
    {"TOPIC", "topic"},
    {"PARTITIONS", "partitions", true},
    {"REPLICAS", "replicas", true},
    {"RESULT", "result"},
    {NULL},
};

int topic_print_results(const struct items *items, const struct ottla_call *call,
                        const char *done) {
    size_t count;
    const struct ottla_topic_result *topics = ottla_call_topics(call, &count);
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        bool well = topics[i].code == OTTLA_OK;
        json_array_append_new(
            rows,
            json_pack("{s:s?, s:s?, s:o, s:o, s:s, s:s?}", "topic", topics[i].name, "id",
                      topics[i].id, "partitions",
                      topics[i].partitions < 0 ? json_null() : json_integer(topics[i].partitions),
                      "replicas",
                      topics[i].replication_factor < 0 ? json_null()
                                                       : json_integer(topics[i].replication_factor),
                      "result", well ? done : ottla_code_name(topics[i].code), "error",
                      well ? NULL : topics[i].text));
    }
    return cli_print_rows(items->cli, result_columns, rows);
}

static int topic_create(struct cli *cli) {
    struct ottla_new_topic model = {
        .partitions = (int32_t)cli_number(cli, "partitions", -1),
        .replication_factor = (int16_t)cli_number(cli, "replicas", -1),
    };
    const char *assignment = cli_text(cli, "assignment", NULL);
    struct ottla_replicas *replicas = NULL;
    if (assignment != NULL &&
        !topic_assignment_parse(cli, assignment, &replicas, &model.assignment_count)) {
        return cli_fail(cli, CLI_USAGE, NULL,
                        "--assignment %s: write it as 1:2,2:3 (brokers of one partition with "
                        "colons, partitions with commas)",
                        assignment);
    }
    model.assignments = replicas;
    struct ottla_setting *configs;
    int code = items_settings(cli, "config", &configs, &model.config_count);
    model.configs = configs;
    struct items items;
    if (code != CLI_DONE || (code = items_start(cli, &items)) != CLI_DONE) {
        return code;
    }
    size_t count = cli_argument_count(cli);
    struct ottla_new_topic *topics = ARENA_ARRAY(cli_arena(cli), struct ottla_new_topic, count);
    for (size_t i = 0; i < count; i++) {
        topics[i] = model;
        topics[i].name = cli_argument(cli, i);
    }
    struct ottla_admin_options options = {.validate_only = cli_is_dry(cli)};
    struct ottla_call *call = ottla_topics_create(items.client, topics, count, &options);
    items.count = count;
    items.fine = cli_has(cli, "if-not-exists") ? ERR_TOPIC_ALREADY_EXISTS : ERR_OK;
    code = items_wait(&items, call);
    if (code != CLI_UNREACHABLE) {
        topic_print_results(&items, call, cli_is_dry(cli) ? "would be created" : "created");
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static const struct cli_option create_options[] = {
    {"partitions", 'p', CLI_NUMBER, "COUNT", "else num.partitions of the brokers", .least = 1,
     .most = INT32_MAX},
    {"replicas", 'r', CLI_NUMBER, "COUNT", "else default.replication.factor of the brokers",
     .least = 1, .most = INT16_MAX},
    {"config", 'c', CLI_TEXTS, "KEY=VALUE", "a setting of the topic, as retention.ms=86400000"},
    {"assignment", 0, CLI_TEXT, "BROKERS", "1:2,2:3: where each partition's replicas live"},
    {"if-not-exists", 0, CLI_FLAG, NULL, "a topic that exists is no failure"},
    {NULL},
};
static const struct cli_command create_command = {
    .name = "create",
    .arguments = "TOPIC…",
    .summary = "make topics",
    .examples = "  ottla topic create orders\n"
                "  ottla topic create orders payments -p 12 -r 3 -c retention.ms=86400000\n"
                "  ottla topic create orders -p 100 --dry-run     would it be taken?\n",
    .options = create_options,
    .arguments_min = 1,
    .arguments_max = -1,
    .run = topic_create,
};

/* --- delete --- */

static int topic_delete(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    if (code != CLI_DONE) {
        return code;
    }
    size_t count = cli_argument_count(cli);
    struct ottla_topic_ref *refs = ARENA_ARRAY(cli_arena(cli), struct ottla_topic_ref, count);
    for (size_t i = 0; i < count; i++) {
        refs[i].name = cli_argument(cli, i);
    }
    if (cli_is_dry(cli)) {
        struct ottla_call *call = ottla_topics_describe(items.client, refs, count, NULL);
        code = items_wait(&items, call);
        const struct ottla_topic_description *topics = ottla_call_topic_descriptions(call, &count);
        for (size_t i = 0; i < count; i++) {
            if (topics[i].code == OTTLA_OK) {
                cli_note(cli, "%s would be deleted, with %zu partitions", topics[i].name,
                         topics[i].partition_count);
            }
        }
        ottla_call_free(call);
    } else {
        struct ottla_call *call = ottla_topics_delete(items.client, refs, count, NULL);
        items.count = count;
        items.fine = cli_has(cli, "if-exists") ? ERR_UNKNOWN_TOPIC_OR_PARTITION : ERR_OK;
        code = items_wait(&items, call);
        if (code != CLI_UNREACHABLE) {
            topic_print_results(&items, call, "deleted");
        }
        ottla_call_free(call);
    }
    items_end(&items);
    return code;
}

static const struct cli_option delete_options[] = {
    {"if-exists", 0, CLI_FLAG, NULL, "a topic that does not exist is no failure"},
    {NULL},
};
static const struct cli_command delete_command = {
    .name = "delete",
    .arguments = "TOPIC…",
    .summary = "delete topics with all their records",
    .examples = "  ottla topic delete orders\n"
                "  ottla topic delete orders --dry-run\n",
    .options = delete_options,
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_TOPIC,
    .run = topic_delete,
};

static const struct cli_command *const commands[] = {&list_command,
                                                     &describe_command,
                                                     &create_command,
                                                     &topic_alter_command,
                                                     &topic_trim_command,
                                                     &delete_command,
                                                     NULL};
const struct cli_command cli_topic_command = {
    .name = "topic",
    .summary = "list, describe, create, grow, trim, delete topics",
    .commands = commands,
};
