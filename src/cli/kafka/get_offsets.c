/* kafka-get-offsets: where partitions begin or end, or where they were at a time. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/kafka/filter.h"
#include "cli/kafka/tools.h"

/* "orders.*:0-3": a topic's pattern, and partitions from `first` to before `end`. */
struct rule {
    const struct tool_filter *topics; /* NULL: all */
    int64_t first;
    int64_t end;
};

struct query {
    struct tool *tool;
    struct rule *rules; /* one of them is enough */
    size_t rule_count;
    int32_t *partitions; /* --partitions; count 0: all */
    size_t partition_count;
    int64_t what; /* OTTLA_OFFSET_…, or a time */
};

static int fail(const struct tool *tool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int fail(const struct tool *tool, const char *format, ...) {
    (void)tool;
    fputs("Error occurred: ", stderr);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return TOOL_FAILED;
}

/* --- what is asked for --- */

static bool parse_time(const char *text, int64_t *ret_what) {
    static const struct {
        const char *name;
        int64_t what;
    } names[] = {{"latest", OTTLA_OFFSET_LATEST},
                 {"earliest", OTTLA_OFFSET_EARLIEST},
                 {"max-timestamp", OTTLA_OFFSET_MAX_TIMESTAMP},
                 {"earliest-local", OTTLA_OFFSET_EARLIEST_LOCAL},
                 {"latest-tiered", OTTLA_OFFSET_LATEST_TIERED},
                 {"earliest-pending-upload", OTTLA_OFFSET_EARLIEST_PENDING_UPLOAD}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i].name) == 0) {
            *ret_what = names[i].what;
            return true;
        }
    }
    char *end;
    *ret_what = strtoll(text, &end, 10);
    return end != text && *end == '\0' && text[0] != ' ';
}

/* Digits, or nothing, and what follows them. */
static const char *parse_number(const char *text, int64_t otherwise, int64_t *ret_number) {
    size_t digits = strspn(text, "0123456789");
    *ret_number = digits == 0 ? otherwise : strtoll(text, NULL, 10);
    return text + digits;
}

/* "", "3", "3-", "-3", "3-5" */
static bool parse_range(const char *text, struct rule *rule) {
    const char *at = parse_number(text, 0, &rule->first);
    if (*at == '\0') {
        rule->end = text[0] == '\0' ? INT64_MAX : rule->first + 1;
        return true;
    }
    return *at == '-' && *parse_number(at + 1, INT64_MAX, &rule->end) == '\0';
}

static int parse_rule(struct query *query, char *text) {
    char *colon = strchr(text, ':');
    struct rule *rule = &query->rules[query->rule_count++];
    *rule = (struct rule){.end = INT64_MAX};
    if (colon != NULL && !parse_range(colon + 1, rule)) {
        return fail(query->tool,
                    "org.apache.kafka.tools.TerseException: Invalid rule specification: %s", text);
    }
    if (colon != NULL) {
        *colon = '\0';
    }
    rule->topics = text[0] == '\0' ? NULL : tool_filter_new(query->tool, text);
    return text[0] == '\0' || rule->topics != NULL
               ? TOOL_DONE
               : fail(query->tool, "%s is an invalid regex.", text);
}

static int parse_rules(struct query *query) {
    const char *list = tool_text(query->tool, "topic-partitions");
    const char *topic = tool_text(query->tool, "topic");
    struct arena *arena = tool_arena(query->tool);
    query->rules = ARENA_ARRAY(arena, struct rule, list == NULL ? 1 : strlen(list) + 1);
    if (list == NULL) {
        query->rule_count = 1;
        query->rules[0].end = INT64_MAX;
        query->rules[0].topics = topic == NULL ? NULL : tool_filter_new(query->tool, topic);
        return topic == NULL || query->rules[0].topics != NULL
                   ? TOOL_DONE
                   : fail(query->tool, "%s is an invalid regex.", topic);
    }
    int code = TOOL_DONE;
    char *rest = NULL;
    char *copy = arena_c_str(arena, str_from_c(list));
    for (char *text = strtok_r(copy, ",", &rest); code == TOOL_DONE && text != NULL;
         text = strtok_r(NULL, ",", &rest)) {
        code = parse_rule(query, text);
    }
    return code;
}

static int parse_partitions(struct query *query) {
    const char *text = tool_text(query->tool, "partitions");
    if (text == NULL || text[0] == '\0') {
        return TOOL_DONE;
    }
    struct arena *arena = tool_arena(query->tool);
    query->partitions = ARENA_ARRAY(arena, int32_t, strlen(text) + 1);
    for (const char *at = text;; at++) {
        char *end;
        long number = strtol(at, &end, 10);
        if (end == at || (*end != ',' && *end != '\0')) {
            return fail(query->tool,
                        "--partitions expects a comma separated list of numeric partition ids, but "
                        "received: %s",
                        text);
        }
        query->partitions[query->partition_count++] = (int32_t)number;
        if (*end == '\0') {
            return TOOL_DONE;
        }
        at = end;
    }
}

static int parse(struct tool *tool, struct query *ret_query) {
    static const char *const needed[] = {"bootstrap-server", NULL};
    *ret_query = (struct query){.tool = tool};
    if (!tool_require(tool, needed)) {
        return TOOL_FAILED;
    }
    if (strchr(tool_text(tool, "bootstrap-server"), ':') == NULL) {
        return tool_usage(tool, "Please provide valid host:port like host1:9091,host2:9092\n");
    }
    if (tool_has(tool, "topic-partitions") &&
        (tool_has(tool, "topic") || tool_has(tool, "partitions"))) {
        return fail(tool, "--topic-partitions cannot be used with --topic or --partitions");
    }
    if (!parse_time(tool_text(tool, "time"), &ret_query->what)) {
        return fail(tool,
                    "Malformed time argument %s. Please use -1 or latest / -2 or earliest / -3 or "
                    "max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or "
                    "earliest-pending-upload, or a specified long format timestamp",
                    tool_text(tool, "time"));
    }
    int code = parse_rules(ret_query);
    return code == TOOL_DONE ? parse_partitions(ret_query) : code;
}

/* --- asking --- */

static bool is_wanted(const struct query *query, const char *topic, int32_t partition) {
    bool wanted = query->partition_count == 0;
    for (size_t i = 0; i < query->partition_count; i++) {
        wanted = wanted || query->partitions[i] == partition;
    }
    for (size_t i = 0; wanted && i < query->rule_count; i++) {
        const struct rule *rule = &query->rules[i];
        if (partition >= rule->first && partition < rule->end &&
            (rule->topics == NULL || tool_filter_matches(rule->topics, topic))) {
            return true;
        }
    }
    return false;
}

static size_t select_partitions(const struct query *query,
                                const struct ottla_topic_description *topics, size_t topic_count,
                                struct ottla_position **ret_positions) {
    size_t all = 0;
    for (size_t i = 0; i < topic_count; i++) {
        all += topics[i].partition_count;
    }
    struct ottla_position *positions =
        ARENA_ARRAY(tool_arena(query->tool), struct ottla_position, all + 1);
    size_t count = 0;
    for (size_t i = 0; i < topic_count; i++) {
        for (size_t p = 0; p < topics[i].partition_count; p++) {
            int32_t partition = topics[i].partitions[p].partition;
            if (is_wanted(query, topics[i].name, partition)) {
                positions[count++] = (struct ottla_position){
                    .topic = topics[i].name, .partition = partition, .offset = query->what};
            }
        }
    }
    *ret_positions = positions;
    return count;
}

/* As text: "orders-10" stands before "orders-2". */
static int order_results(const void *a, const void *b) {
    const struct ottla_offset_result *left = *(const struct ottla_offset_result *const *)a;
    const struct ottla_offset_result *right = *(const struct ottla_offset_result *const *)b;
    char one[OTTLA_ERROR_TEXT_SIZE];
    char two[OTTLA_ERROR_TEXT_SIZE];
    (void)snprintf(one, sizeof one, "%s-%d", left->topic, (int)left->partition);
    (void)snprintf(two, sizeof two, "%s-%d", right->topic, (int)right->partition);
    return strcmp(one, two);
}

static void print(struct tool *tool, const struct ottla_offset_result *results, size_t count) {
    const struct ottla_offset_result **sorted =
        ARENA_ARRAY(tool_arena(tool), const struct ottla_offset_result *, count + 1);
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &results[i];
    }
    qsort(sorted, count, sizeof(void *), order_results);
    for (size_t i = 0; i < count; i++) {
        const struct ottla_offset_result *result = sorted[i];
        if (result->code != OTTLA_OK) {
            fprintf(stderr, "Skip getting offsets for topic-partition %s-%d due to error: %s: %s\n",
                    result->topic, (int)result->partition, tool_exception(tool, result->code),
                    result->text);
        } else if (result->offset >= 0) {
            printf("%s:%d:%lld\n", result->topic, (int)result->partition,
                   (long long)result->offset);
        }
    }
}

int kafka_get_offsets(struct tool *tool) {
    struct query query;
    struct ottla_client *client;
    if (parse(tool, &query) != TOOL_DONE || tool_connect(tool, &client) != TOOL_DONE) {
        return TOOL_FAILED;
    }
    struct ottla_admin_options options = {.internal = !tool_has(tool, "exclude-internal-topics")};
    struct ottla_call *call = ottla_topics_list(client, &options);
    struct ottla_error error;
    if (tool_wait(tool, call, &error) != OTTLA_OK) {
        return fail(tool, "%s", error.text);
    }
    size_t count;
    const struct ottla_topic_description *topics = ottla_call_topic_descriptions(call, &count);
    struct ottla_position *positions;
    count = select_partitions(&query, topics, count, &positions);
    if (count == 0) {
        return fail(tool, "Could not match any topic-partitions with the specified filters");
    }
    call = ottla_offsets_list(client, positions, count, NULL);
    (void)tool_wait(tool, call, &error);
    const struct ottla_offset_result *results = ottla_call_offsets(call, &count);
    print(tool, results, count);
    return TOOL_DONE;
}
