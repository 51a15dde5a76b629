/* kafka-topics: --list, --create, --alter, --delete; --describe has its own file. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/kafka/filter.h"
#include "cli/kafka/tools.h"
#include "cli/kafka/topics_int.h"

int topics_fail(const struct tool *tool, const char *format, ...) {
    (void)tool;
    fputs("Error while executing topic command : ", stdout);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    return TOOL_FAILED;
}

/* --- which options go together --- */

/* Each option with the actions and options that it cannot stand beside. */
static const struct {
    const char *option;
    const char *others[6];
} excluded[] = {
    {"config", {"describe", "list", "delete"}},
    {"partitions", {"describe", "list", "delete"}},
    {"replication-factor", {"alter", "describe", "list", "delete"}},
    {"replica-assignment", {"describe", "list", "delete"}},
    {"under-replicated-partitions", {"alter", "create", "list", "delete", "topics-with-overrides"}},
    {"under-min-isr-partitions", {"alter", "create", "list", "delete", "topics-with-overrides"}},
    {"at-min-isr-partitions", {"alter", "create", "list", "delete", "topics-with-overrides"}},
    {"unavailable-partitions", {"alter", "create", "list", "delete", "topics-with-overrides"}},
    {"topics-with-overrides", {"alter", "create", "list", "delete"}},
    {"if-exists", {"create", "list"}},
    {"if-not-exists", {"alter", "describe", "list", "delete"}},
    {"exclude-internal", {"alter", "create", "delete"}},
};

static bool check_required(struct tool *tool) {
    static const char *const topic[] = {"topic", NULL};
    static const char *const partitions[] = {"partitions", NULL};
    if (tool_has(tool, "describe") && tool_has(tool, "if-exists")) {
        if (!tool_has(tool, "topic") && !tool_has(tool, "topic-id")) {
            (void)tool_usage(tool, "--topic or --topic-id is required to describe a topic");
            return false;
        }
        if (tool_has(tool, "topic") && tool_has(tool, "topic-id")) {
            puts("Only topic id will be used when both --topic and --topic-id are specified and "
                 "topicId is not Uuid.ZERO_UUID");
        }
    }
    if (!tool_has(tool, "list") && !tool_has(tool, "describe") && !tool_require(tool, topic)) {
        return false;
    }
    if (tool_has(tool, "alter") && tool_has(tool, "config")) {
        (void)tool_usage(tool, "Option combination \"[[config], [bootstrap-server]]\" can't be "
                               "used with option \"[alter]\" (To alter topic configurations, the "
                               "kafka-configs tool can be used.)");
        return false;
    }
    return !tool_has(tool, "alter") || tool_require(tool, partitions);
}

static bool check(struct tool *tool) {
    static const char *const actions[] = {"create", "list", "alter", "describe", "delete"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        count += tool_has(tool, actions[i]);
    }
    if (count != 1) {
        (void)tool_usage(tool, "Command must include exactly one action: --list, --describe, "
                               "--create, --alter or --delete");
        return false;
    }
    if (tool_has(tool, "delete-config")) {
        fputs("delete-config option is no longer supported and deprecated since version 4.0. The "
              "config will be fully removed in future releases.\n",
              stderr);
    }
    if (!tool_has(tool, "bootstrap-server")) {
        (void)tool_fail(tool, "--bootstrap-server must be specified");
        return false;
    }
    if (!check_required(tool)) {
        return false;
    }
    for (size_t i = 0; i < sizeof excluded / sizeof excluded[0]; i++) {
        if (!tool_exclude(tool, excluded[i].option, excluded[i].others)) {
            return false;
        }
    }
    static const char *const counts[] = {"partitions", "replication-factor", NULL};
    return !tool_has(tool, "create") || tool_exclude(tool, "replica-assignment", counts);
}

/* --- which topics --- */

int topics_find(struct tool *tool, struct ottla_client *client, struct ottla_topic_ref **ret_topics,
                size_t *ret_count, struct ottla_error *ret_error) {
    const char *pattern = tool_text(tool, "topic");
    struct ottla_admin_options options = {.internal = !tool_has(tool, "exclude-internal")};
    struct ottla_call *call = ottla_topics_list(client, &options);
    int code = tool_wait(tool, call, ret_error);
    size_t count;
    const struct ottla_topic_description *all = ottla_call_topic_descriptions(call, &count);
    if (code != OTTLA_OK && count == 0) {
        return code;
    }
    const struct tool_filter *filter = pattern == NULL ? NULL : tool_filter_new(tool, pattern);
    if (pattern != NULL && filter == NULL) {
        ret_error->code = OTTLA_INVALID;
        (void)snprintf(ret_error->text, sizeof ret_error->text, "%s is an invalid regex.", pattern);
        return ret_error->code;
    }
    struct ottla_topic_ref *topics = ARENA_ARRAY(tool_arena(tool), struct ottla_topic_ref, count);
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (filter == NULL || tool_filter_matches(filter, all[i].name)) {
            topics[found++].name = all[i].name;
        }
    }
    *ret_topics = topics;
    *ret_count = found;
    return OTTLA_OK;
}

bool topics_is_missing(const struct tool *tool, size_t count) {
    const char *topic = tool_text(tool, "topic");
    return count == 0 && topic != NULL && topic[0] != '\0' && !tool_has(tool, "if-exists");
}

static int list(struct tool *tool, struct ottla_client *client) {
    struct ottla_topic_ref *topics;
    size_t count;
    struct ottla_error error;
    if (topics_find(tool, client, &topics, &count, &error) != OTTLA_OK) {
        return topics_fail(tool, "%s", error.text);
    }
    for (size_t i = 0; i < count; i++) {
        puts(topics[i].name);
    }
    if (count == 0) {
        putchar('\n');
    }
    return TOOL_DONE;
}

/* Of what changed topics: the broker's words about the first that failed. */
static int print_result(struct tool *tool, struct ottla_call *call, int fine) {
    struct ottla_error error;
    if (tool_wait(tool, call, &error) == OTTLA_OK) {
        return TOOL_DONE;
    }
    size_t count;
    const struct ottla_topic_result *results = ottla_call_topics(call, &count);
    for (size_t i = 0; i < count; i++) {
        if (results[i].code != OTTLA_OK) {
            return fine != OTTLA_OK && results[i].code == fine
                       ? fine
                       : topics_fail(tool, "%s", results[i].text);
        }
    }
    return topics_fail(tool, "%s", error.text);
}

/* --- --replica-assignment 1:2,2:3 --- */

struct assignment {
    struct ottla_replicas *partitions;
    size_t count;
    int32_t *ids; /* room for the brokers of all */
};

/* "1:2" */
static int parse_replicas(struct tool *tool, char *text, struct assignment *assignment) {
    struct ottla_replicas *partition = &assignment->partitions[assignment->count];
    int32_t *ids = assignment->ids;
    size_t count = 0;
    char *rest = NULL;
    for (char *id = strtok_r(text, ":", &rest); id != NULL; id = strtok_r(NULL, ":", &rest)) {
        id += strspn(id, " ");
        char *end;
        long number = strtol(id, &end, 10);
        if (end == id || *end != '\0' || number < INT32_MIN || number > INT32_MAX) {
            return topics_fail(tool, "For input string: \"%s\"", id);
        }
        for (size_t i = 0; i < count; i++) {
            if (ids[i] == (int32_t)number) {
                return topics_fail(tool,
                                   "Partition replica lists may not contain duplicate entries: %d",
                                   (int)number);
            }
        }
        ids[count++] = (int32_t)number;
    }
    *partition = (struct ottla_replicas){.brokers = ids, .count = count};
    assignment->ids += count;
    return TOOL_DONE;
}

static int fail_factor(struct tool *tool, const struct assignment *assignment) {
    const struct ottla_replicas *partition = &assignment->partitions[assignment->count];
    struct str ids = STR_NULL;
    for (size_t i = 0; i < partition->count; i++) {
        ids = arena_list(tool_arena(tool), ids, ", ",
                         arena_printf(tool_arena(tool), "%d", (int)partition->brokers[i]));
    }
    return topics_fail(tool, "Partition %zu has different replication factor: [%.*s]",
                       assignment->count, STR_ARGS(ids));
}

static int parse_assignment(struct tool *tool, struct assignment *ret_assignment) {
    *ret_assignment = (struct assignment){0};
    const char *text = tool_text(tool, "replica-assignment");
    if (text == NULL || text[0] == '\0') {
        return TOOL_DONE;
    }
    struct arena *arena = tool_arena(tool);
    char *copy = arena_c_str(arena, str_from_c(text));
    ret_assignment->partitions = ARENA_ARRAY(arena, struct ottla_replicas, strlen(text) + 1);
    ret_assignment->ids = ARENA_ARRAY(arena, int32_t, strlen(text) + 1);
    char *rest = NULL;
    for (char *part = strtok_r(copy, ",", &rest); part != NULL; part = strtok_r(NULL, ",", &rest)) {
        int code = parse_replicas(tool, part, ret_assignment);
        if (code != TOOL_DONE) {
            return code;
        }
        if (ret_assignment->partitions[ret_assignment->count].count !=
            ret_assignment->partitions[0].count) {
            return fail_factor(tool, ret_assignment);
        }
        ret_assignment->count++;
    }
    return TOOL_DONE;
}

/* --- create --- */

/* "retention.ms = 5" */
static int parse_configs(struct tool *tool, struct ottla_new_topic *topic) {
    const char *const *texts;
    size_t count = tool_texts(tool, "config", &texts);
    struct ottla_setting *settings = ARENA_ARRAY(tool_arena(tool), struct ottla_setting, count);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(texts[i], '=');
        const char *value = equals == NULL ? "" : equals + 1;
        value += strspn(value, " ");
        if (*value == '\0' || strchr(value, '=') != NULL) {
            return topics_fail(tool, "requirement failed: Invalid topic config: all configs to be "
                                     "added must be in the format \"key=val\".");
        }
        const char *name = texts[i] + strspn(texts[i], " ");
        struct str trimmed = {.data = name, .size = (size_t)(equals - name)};
        while (trimmed.size > 0 && name[trimmed.size - 1] == ' ') {
            trimmed.size--;
        }
        settings[i].name = arena_c_str(tool_arena(tool), trimmed);
        settings[i].value = value;
    }
    topic->configs = settings;
    topic->config_count = count;
    return TOOL_DONE;
}

static int check_counts(struct tool *tool, struct ottla_new_topic *topic) {
    topic->partitions = -1;
    topic->replication_factor = -1;
    if (tool_has(tool, "replication-factor")) {
        int64_t factor = tool_number(tool, "replication-factor");
        if (factor < 1 || factor > INT16_MAX) {
            return topics_fail(tool,
                               "The replication factor must be between 1 and 32767 inclusive");
        }
        topic->replication_factor = (int16_t)factor;
    }
    if (tool_has(tool, "partitions")) {
        int64_t partitions = tool_number(tool, "partitions");
        if (partitions < 1) {
            return topics_fail(tool, "The partitions must be greater than 0");
        }
        topic->partitions = (int32_t)partitions;
    }
    return TOOL_DONE;
}

static int create(struct tool *tool, struct ottla_client *client) {
    struct ottla_new_topic topic = {.name = tool_text(tool, "topic")};
    struct assignment assignment;
    int code = parse_assignment(tool, &assignment);
    topic.assignments = assignment.partitions;
    topic.assignment_count = assignment.count;
    if (code != TOOL_DONE || (code = parse_configs(tool, &topic)) != TOOL_DONE) {
        return code;
    }
    if (strpbrk(topic.name, "._") != NULL) {
        puts("WARNING: Due to limitations in metric names, topics with a period ('.') or "
             "underscore ('_') could collide. To avoid issues it is best to use either, but not "
             "both.");
    }
    code = check_counts(tool, &topic);
    if (code != TOOL_DONE) {
        return code;
    }
    bool fine = tool_has(tool, "if-not-exists");
    code = print_result(tool, ottla_topics_create(client, &topic, 1, NULL),
                        fine ? ERR_TOPIC_ALREADY_EXISTS : OTTLA_OK);
    if (code == TOOL_DONE) {
        printf("Created topic %s.\n", topic.name);
    }
    return code == ERR_TOPIC_ALREADY_EXISTS ? TOOL_DONE : code;
}

/* --- alter, delete --- */

/* The partitions that come take the assignments behind those that are there. */
static int assign(struct tool *tool, struct ottla_client *client,
                  const struct ottla_topic_ref *topics, size_t count,
                  const struct assignment *assignment, struct ottla_new_partitions *ret_new) {
    struct ottla_error error;
    struct ottla_call *call = ottla_topics_describe(client, topics, count, NULL);
    if (tool_wait(tool, call, &error) != OTTLA_OK) {
        return topics_fail(tool, "%s", error.text);
    }
    const struct ottla_topic_description *found = ottla_call_topic_descriptions(call, &count);
    for (size_t i = 0; i < count; i++) {
        size_t there = found[i].partition_count;
        there = there < assignment->count ? there : assignment->count;
        ret_new[i].assignments = assignment->partitions + there;
        ret_new[i].assignment_count = assignment->count - there;
    }
    return TOOL_DONE;
}

static int alter(struct tool *tool, struct ottla_client *client) {
    struct assignment assignment;
    int code = parse_assignment(tool, &assignment);
    if (code != TOOL_DONE) {
        return code;
    }
    struct ottla_topic_ref *topics;
    size_t count;
    struct ottla_error error;
    if (topics_find(tool, client, &topics, &count, &error) != OTTLA_OK) {
        return topics_fail(tool, "%s", error.text);
    }
    if (topics_is_missing(tool, count)) {
        return topics_fail(tool, "Topic '%s' does not exist as expected", tool_text(tool, "topic"));
    }
    struct ottla_new_partitions *new =
        ARENA_ARRAY(tool_arena(tool), struct ottla_new_partitions, count + 1);
    for (size_t i = 0; i < count; i++) {
        new[i].topic = topics[i].name;
        new[i].count = (int32_t)tool_number(tool, "partitions");
    }
    if (assignment.count > 0 && count > 0) {
        code = assign(tool, client, topics, count, &assignment, new);
    }
    return code != TOOL_DONE || count == 0
               ? code
               : print_result(tool, ottla_partitions_create(client, new, count, NULL), OTTLA_OK);
}

static int delete (struct tool *tool, struct ottla_client *client) {
    struct ottla_topic_ref *topics;
    size_t count;
    struct ottla_error error;
    if (topics_find(tool, client, &topics, &count, &error) != OTTLA_OK) {
        return topics_fail(tool, "%s", error.text);
    }
    if (topics_is_missing(tool, count)) {
        return topics_fail(tool, "Topic '%s' does not exist as expected", tool_text(tool, "topic"));
    }
    return count == 0
               ? TOOL_DONE
               : print_result(tool, ottla_topics_delete(client, topics, count, NULL), OTTLA_OK);
}

int kafka_topics(struct tool *tool) {
    struct ottla_client *client;
    if (!check(tool) || tool_connect(tool, &client) != TOOL_DONE) {
        return TOOL_FAILED;
    }
    return tool_has(tool, "create")   ? create(tool, client)
           : tool_has(tool, "alter")  ? alter(tool, client)
           : tool_has(tool, "list")   ? list(tool, client)
           : tool_has(tool, "delete") ? delete (tool, client)
                                      : topics_describe(tool, client);
}
