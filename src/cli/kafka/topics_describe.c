/* kafka-topics --describe. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/uuid.h"
#include "cli/kafka/java.h"
#include "cli/kafka/topics_int.h"

/* Everything that was asked about the topics. */
struct report {
    struct tool *tool;
    struct ottla_client *client;
    const struct ottla_topic_description *topics;
    size_t count;
    const struct ottla_resource_configs *configs; /* by topic */
    const struct ottla_cluster *cluster;
    const struct ottla_ongoing_reassignment *moves;
    size_t move_count;
    bool troubled; /* only partitions of some kind of trouble */
};

/* --- asking --- */

/* Of --topic-id: the one topic, or all when it is the zero id. */
static int find_by_id(struct report *report, const char *text, struct ottla_call **ret_call) {
    struct uuid id;
    *ret_call = NULL;
    if (uuid_parse(str_from_c(text), &id) != ERR_OK) {
        return topics_fail(report->tool,
                           "Input string `%s` decoded as %zu bytes, which is not equal to the "
                           "expected 16 bytes of a base64-encoded UUID",
                           text, strlen(text) * 6 / 8);
    }
    if (uuid_is_zero(id)) {
        return TOOL_DONE;
    }
    struct ottla_topic_ref ref = {.id = text};
    struct ottla_error error;
    struct ottla_call *call = ottla_topics_describe(report->client, &ref, 1, NULL);
    int code = tool_wait(report->tool, call, &error);
    if (code == ERR_UNKNOWN_TOPIC_ID) {
        *ret_call = call;
        return tool_has(report->tool, "if-exists")
                   ? TOOL_DONE
                   : topics_fail(report->tool, "TopicId '%s' does not exist as expected", text);
    }
    *ret_call = call;
    return code == OTTLA_OK ? TOOL_DONE : topics_fail(report->tool, "%s", error.text);
}

static int find_by_name(struct report *report, struct ottla_call **ret_call) {
    struct ottla_topic_ref *topics;
    size_t count;
    struct ottla_error error;
    struct tool *tool = report->tool;
    if (topics_find(tool, report->client, &topics, &count, &error) != OTTLA_OK) {
        return topics_fail(tool, "%s", error.text);
    }
    if (topics_is_missing(tool, count)) {
        return topics_fail(tool, "Topic '%s' does not exist as expected", tool_text(tool, "topic"));
    }
    if (count == 0) {
        return TOOL_DONE;
    }
    *ret_call = ottla_topics_describe(report->client, topics, count, NULL);
    return tool_wait(tool, *ret_call, &error) == OTTLA_OK ? TOOL_DONE
                                                          : topics_fail(tool, "%s", error.text);
}

static int find(struct report *report) {
    const char *id = tool_text(report->tool, "topic-id");
    struct ottla_call *call = NULL;
    int code = id == NULL ? TOOL_DONE : find_by_id(report, id, &call);
    if (code == TOOL_DONE && call == NULL) {
        code = find_by_name(report, &call);
    }
    if (code == TOOL_DONE && call != NULL) {
        report->topics = ottla_call_topic_descriptions(call, &report->count);
        report->count -= report->count == 1 && report->topics[0].code != OTTLA_OK;
    }
    return code;
}

static int ask_configs(struct report *report) {
    struct ottla_resource *topics =
        ARENA_ARRAY(tool_arena(report->tool), struct ottla_resource, report->count);
    for (size_t i = 0; i < report->count; i++) {
        topics[i] = (struct ottla_resource){OTTLA_RESOURCE_TOPIC, report->topics[i].name};
    }
    struct ottla_error error;
    struct ottla_call *call = ottla_configs_describe(report->client, topics, report->count, NULL);
    if (tool_wait(report->tool, call, &error) != OTTLA_OK) {
        return topics_fail(report->tool, "%s", error.text);
    }
    size_t count;
    report->configs = ottla_call_configs(call, &count);
    call = ottla_cluster_describe(report->client, NULL);
    if (tool_wait(report->tool, call, &error) != OTTLA_OK) {
        return topics_fail(report->tool, "%s", error.text);
    }
    report->cluster = ottla_call_cluster(call);
    return TOOL_DONE;
}

/* What goes on is a nicety: a broker that does not tell is no failure. */
static void ask_moves(struct report *report) {
    struct ottla_error error;
    struct ottla_call *call = ottla_reassignments_list(report->client, NULL, 0, NULL);
    if (tool_wait(report->tool, call, &error) == OTTLA_OK) {
        report->moves = ottla_call_reassignments(call, &report->move_count);
    }
}

static const struct ottla_ongoing_reassignment *move_of(const struct report *report,
                                                        const char *topic, int32_t partition) {
    for (size_t i = 0; i < report->move_count; i++) {
        if (report->moves[i].partition == partition && strcmp(report->moves[i].topic, topic) == 0) {
            return &report->moves[i];
        }
    }
    return NULL;
}

/* --- a topic's line --- */

static bool has(struct ottla_replicas list, int32_t broker) {
    for (size_t i = 0; i < list.count; i++) {
        if (list.brokers[i] == broker) {
            return true;
        }
    }
    return false;
}

/* Without the replicas that come, while some move. */
static size_t factor_of(const struct ottla_partition_description *partition,
                        const struct ottla_ongoing_reassignment *move) {
    bool moving = false;
    for (size_t i = 0; move != NULL && i < partition->replicas.count; i++) {
        int32_t broker = partition->replicas.brokers[i];
        moving = moving || has(move->adding, broker) || has(move->removing, broker);
    }
    return moving ? move->replicas.count - move->adding.count : partition->replicas.count;
}

static bool is_changed(const struct ottla_config_entry *entry) {
    return entry->source != OTTLA_SOURCE_DEFAULT;
}

/* Settings that are not the default, in the order in which Java's map names them. */
static void print_configs(const struct report *report,
                          const struct ottla_resource_configs *configs) {
    size_t count = configs->entry_count;
    const char **names = ARENA_ARRAY(tool_arena(report->tool), const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        names[i] = configs->entries[i].name;
    }
    const size_t *order = java_map_order(tool_arena(report->tool), names, count);
    const char *comma = "";
    for (size_t i = 0; i < count; i++) {
        const struct ottla_config_entry *entry = &configs->entries[order[i]];
        if (is_changed(entry)) {
            printf("%s%s=%s", comma, entry->name, entry->value == NULL ? "null" : entry->value);
            comma = ",";
        }
    }
}

static void print_topic(const struct report *report, const struct ottla_topic_description *topic,
                        const struct ottla_resource_configs *configs) {
    bool changed = false;
    for (size_t i = 0; i < configs->entry_count; i++) {
        changed = changed || is_changed(&configs->entries[i]);
    }
    if (report->troubled || topic->partition_count == 0 ||
        (tool_has(report->tool, "topics-with-overrides") && !changed)) {
        return;
    }
    const struct ottla_partition_description *first = &topic->partitions[0];
    printf("Topic: %s", topic->name);
    if (topic->id != NULL) {
        printf("\tTopicId: %s", topic->id);
    }
    printf("\tPartitionCount: %zu\tReplicationFactor: %zu\tConfigs: ", topic->partition_count,
           factor_of(first, move_of(report, topic->name, first->partition)));
    print_configs(report, configs);
    putchar('\n');
}

/* --- partitions --- */

static void print_brokers(const char *title, struct ottla_replicas list, const char *unknown) {
    printf("\t%s: ", title);
    if (list.brokers == NULL && unknown != NULL) {
        fputs(unknown, stdout);
        return;
    }
    for (size_t i = 0; i < list.count; i++) {
        printf("%s%d", i == 0 ? "" : ",", (int)list.brokers[i]);
    }
}

static void print_partition(const char *topic, const struct ottla_partition_description *partition,
                            const struct ottla_ongoing_reassignment *move) {
    printf("\tTopic: %s\tPartition: %d", topic, (int)partition->partition);
    if (partition->leader < 0) {
        fputs("\tLeader: none", stdout);
    } else {
        printf("\tLeader: %d", (int)partition->leader);
    }
    print_brokers("Replicas", partition->replicas, NULL);
    print_brokers("Isr", partition->isr, NULL);
    if (move != NULL) {
        print_brokers("Adding Replicas", move->adding, NULL);
        print_brokers("Removing Replicas", move->removing, NULL);
    }
    print_brokers("Elr", partition->eligible, "N/A");
    print_brokers("LastKnownElr", partition->last_known_eligible, "N/A");
    putchar('\n');
}

static bool is_live(const struct ottla_cluster *cluster, int32_t broker) {
    for (size_t i = 0; cluster != NULL && i < cluster->node_count; i++) {
        if (cluster->nodes[i].id == broker) {
            return true;
        }
    }
    return false;
}

static size_t min_isr_of(const struct ottla_resource_configs *configs) {
    for (size_t i = 0; i < configs->entry_count; i++) {
        if (strcmp(configs->entries[i].name, "min.insync.replicas") == 0 &&
            configs->entries[i].value != NULL) {
            return (size_t)strtoul(configs->entries[i].value, NULL, 10);
        }
    }
    return 1;
}

/* Whether one of the troubles that were asked for is there. */
static bool is_troubled(const struct report *report,
                        const struct ottla_partition_description *partition,
                        const struct ottla_ongoing_reassignment *move, size_t min_isr) {
    const struct tool *tool = report->tool;
    size_t isr = partition->isr.count;
    bool leader = partition->leader >= 0;
    return (tool_has(tool, "under-replicated-partitions") && factor_of(partition, move) > isr) ||
           (tool_has(tool, "unavailable-partitions") &&
            (!leader || !is_live(report->cluster, partition->leader))) ||
           (tool_has(tool, "under-min-isr-partitions") && (!leader || isr < min_isr)) ||
           (tool_has(tool, "at-min-isr-partitions") && isr == min_isr);
}

static void print_partitions(const struct report *report,
                             const struct ottla_topic_description *topic,
                             const struct ottla_resource_configs *configs) {
    for (size_t i = 0; i < topic->partition_count; i++) {
        const struct ottla_partition_description *partition = &topic->partitions[i];
        const struct ottla_ongoing_reassignment *move =
            move_of(report, topic->name, partition->partition);
        if (!report->troubled || is_troubled(report, partition, move, min_isr_of(configs))) {
            print_partition(topic->name, partition, move);
        }
    }
}

int topics_describe(struct tool *tool, struct ottla_client *client) {
    struct report report = {.tool = tool, .client = client};
    report.troubled =
        tool_has(tool, "under-replicated-partitions") || tool_has(tool, "unavailable-partitions") ||
        tool_has(tool, "under-min-isr-partitions") || tool_has(tool, "at-min-isr-partitions");
    int code = find(&report);
    if (code == TOOL_DONE && report.count > 0) {
        code = ask_configs(&report);
    }
    if (code != TOOL_DONE || report.count == 0) {
        return code;
    }
    ask_moves(&report);
    for (size_t i = 0; i < report.count; i++) {
        const struct ottla_topic_description *topic = &report.topics[i];
        print_topic(&report, topic, &report.configs[i]);
        if (!tool_has(tool, "topics-with-overrides")) {
            print_partitions(&report, topic, &report.configs[i]);
        }
    }
    return TOOL_DONE;
}
