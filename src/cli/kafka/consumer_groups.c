/* kafka-consumer-groups: --list, --delete, --delete-offsets, --validate-regex. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "cli/kafka/consumer_groups_int.h"
#include "cli/kafka/filter.h"
#include "cli/kafka/tools.h"

int groups_error(const struct tool *tool, const char *format, ...) {
    (void)tool;
    fputs("\nError: ", stdout);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    return TOOL_DONE;
}

int groups_failed(const struct tool *tool, const struct ottla_error *error) {
    return groups_error(tool, "Executing consumer group command failed due to %s", error->text);
}

/* --- which options go together --- */

static size_t count_given(const struct tool *tool, const char *const *options) {
    size_t count = 0;
    for (; *options != NULL; options++) {
        count += tool_has(tool, *options);
    }
    return count;
}

/* Options of some actions only. */
static bool check_available(struct tool *tool) {
    static const struct {
        const char *option;
        const char *action;
        const char *other;
    } rules[] = {
        {"members", "describe", "describe"},
        {"verbose", "describe", "describe"},
        {"offsets", "describe", "describe"},
        {"state", "describe", "list"},
        {"type", "list", "list"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (tool_has(tool, rules[i].option) && !tool_has(tool, rules[i].action) &&
            !tool_has(tool, rules[i].other)) {
            (void)tool_fail(tool,
                            "Option(s) [%s] are unavailable given other options on the "
                            "command line",
                            rules[i].option);
            return false;
        }
    }
    return true;
}

static bool check_describe(struct tool *tool) {
    static const char *const kinds[] = {"members", "offsets", "state", NULL};
    if (count_given(tool, kinds) > 1) {
        (void)tool_usage(tool, "Option [describe] takes at most one of these options: [members], "
                               "[offsets], [state]");
        return false;
    }
    if (tool_has(tool, "state") && tool_text(tool, "state") != NULL) {
        (void)tool_usage(tool, "Option [describe] does not take a value for [state]");
        return false;
    }
    return true;
}

static bool check_reset(struct tool *tool) {
    static const char *const scenarios[] = {"to-offset",   "to-datetime", "by-duration",
                                            "to-earliest", "to-latest",   "to-current",
                                            "shift-by",    "from-file"};
    enum { COUNT = sizeof scenarios / sizeof scenarios[0] };
    if (tool_has(tool, "dry-run") && tool_has(tool, "execute")) {
        (void)tool_usage(tool,
                         "Option [reset-offsets] only accepts one of [execute] and [dry-run]");
        return false;
    }
    if (!tool_has(tool, "dry-run") && !tool_has(tool, "execute")) {
        fputs("WARN: No action will be performed as the --execute option is missing. In version "
              "5.0, this command will require either --dry-run or --execute to be specified. You "
              "should add the --dry-run option explicitly if you are scripting this command and "
              "want to keep the current default behavior without prompting.\n",
              stderr);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < COUNT; j++) {
            const char *const other[] = {scenarios[j], NULL};
            if (i != j && !tool_exclude(tool, scenarios[i], other)) {
                return false;
            }
        }
    }
    return true;
}

/* Actions that are about groups name some. */
static bool check_groups(struct tool *tool) {
    static const char *const actions[] = {"describe", "delete", "reset-offsets"};
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (!tool_has(tool, actions[i])) {
            continue;
        }
        if (i == 2 && !check_reset(tool)) {
            return false;
        }
        if (!tool_has(tool, "group") && !tool_has(tool, "all-groups")) {
            (void)tool_usage(tool, "Option [%s] takes one of these options: [group], [all-groups]",
                             actions[i]);
            return false;
        }
    }
    return true;
}

static bool check(struct tool *tool) {
    static const char *const server[] = {"bootstrap-server", NULL};
    static const char *const not_with_group[] = {"all-groups", "list", NULL};
    static const char *const not_with_topic[] = {"list", "describe", NULL};
    if (!check_available(tool) || !tool_require(tool, server) || !check_groups(tool) ||
        (tool_has(tool, "describe") && !check_describe(tool))) {
        return false;
    }
    if (tool_has(tool, "delete") && tool_has(tool, "topic")) {
        (void)tool_usage(tool, "The consumer does not support topic-specific offset deletion from "
                               "a consumer group.");
        return false;
    }
    if (tool_has(tool, "delete-offsets") &&
        (!tool_has(tool, "group") || !tool_has(tool, "topic"))) {
        (void)tool_usage(tool, "Option [delete-offsets] takes the following options: [group], "
                               "[topic]");
        return false;
    }
    if (!tool_exclude(tool, "group", not_with_group) ||
        !tool_exclude(tool, "topic", not_with_topic)) {
        return false;
    }
    static const char *const actions[] = {"list",          "describe",       "delete",
                                          "reset-offsets", "delete-offsets", NULL};
    if (count_given(tool, actions) != 1) {
        (void)tool_usage(tool, "Command must include exactly one action: --list, --describe, "
                               "--delete, --reset-offsets, --delete-offsets, --validate-regex");
        return false;
    }
    return true;
}

/* --- list --- */

/* "Stable, empty" to the names as Kafka writes them. False: one of them is no such name. */
static bool parse_names(struct tool *tool, const char *text, const char *const *known,
                        const char *const **ret_names, size_t *ret_count) {
    struct arena *arena = tool_arena(tool);
    const char **names = ARENA_ARRAY(arena, const char *, strlen(text) + 1);
    char *copy = arena_c_str(arena, str_from_c(text));
    size_t count = 0;
    char *rest = NULL;
    for (char *name = strtok_r(copy, ", ", &rest); name != NULL;
         name = strtok_r(NULL, ", ", &rest)) {
        size_t i = 0;
        while (known[i] != NULL && strcasecmp(known[i], name) != 0) {
            i++;
        }
        if (known[i] == NULL) {
            return false;
        }
        names[count++] = known[i];
    }
    *ret_names = names;
    *ret_count = count;
    return true;
}

static int parse_filters(struct tool *tool, struct ottla_admin_options *options) {
    static const char *const all_types[] = {"Consumer", "Classic", NULL};
    static const char *const all_states[] = {
        "Empty", "CompletingRebalance", "Stable",    "PreparingRebalance",
        "Dead",  "Reconciling",         "Assigning", NULL};
    const char *types = tool_text(tool, "type");
    const char *states = tool_text(tool, "state");
    if (types != NULL &&
        !parse_names(tool, types, all_types, &options->types, &options->type_count)) {
        return tool_usage(tool, "Invalid types list '%s'. Valid types are: Consumer, Classic",
                          types);
    }
    if (states != NULL &&
        !parse_names(tool, states, all_states, &options->states, &options->state_count)) {
        return tool_usage(tool,
                          "Invalid state list '%s'. Valid states are: Empty, "
                          "CompletingRebalance, Stable, PreparingRebalance, Dead, "
                          "Reconciling, Assigning",
                          states);
    }
    return TOOL_DONE;
}

/* Consumers' groups, and those that only commit. */
static bool is_listed(const struct ottla_group_listing *group) {
    return (strcmp(group->type, "Share") != 0 && strcmp(group->type, "Streams") != 0) &&
           (group->protocol_type[0] == '\0' || strcmp(group->protocol_type, "consumer") == 0);
}

static void print_list(struct tool *tool, const struct ottla_group_listing *groups, size_t count) {
    int width = 15;
    for (size_t i = 0; i < count; i++) {
        int size = (int)strlen(groups[i].group);
        width = is_listed(&groups[i]) && size > width ? size : width;
    }
    bool types = tool_has(tool, "type");
    bool states = tool_has(tool, "state");
    printf("%-*s", width + 10, "GROUP");
    fputs(types ? " TYPE                " : "", stdout);
    puts(states ? " STATE               " : "");
    for (size_t i = 0; i < count; i++) {
        if (!is_listed(&groups[i])) {
            continue;
        }
        printf("%-*s", width + 10, groups[i].group);
        if (types) {
            printf(" %-20s", tool_capital(tool, groups[i].type));
        }
        if (states) {
            printf(" %-20s", tool_capital(tool, groups[i].state));
        }
        putchar('\n');
    }
}

static int list(struct tool *tool, struct ottla_client *client) {
    struct ottla_admin_options options = {0};
    int code = parse_filters(tool, &options);
    if (code != TOOL_DONE) {
        return code;
    }
    struct ottla_call *call = ottla_groups_list(client, &options);
    struct ottla_error error;
    if (tool_wait(tool, call, &error) != OTTLA_OK) {
        return groups_failed(tool, &error);
    }
    size_t count;
    const struct ottla_group_listing *groups = ottla_call_group_listings(call, &count);
    if (tool_has(tool, "type") || tool_has(tool, "state")) {
        print_list(tool, groups, count);
        return TOOL_DONE;
    }
    for (size_t i = 0; i < count; i++) {
        if (is_listed(&groups[i])) {
            puts(groups[i].group);
        }
    }
    return TOOL_DONE;
}

/* --- what the others have in common --- */

int groups_named(struct tool *tool, struct ottla_client *client, const char *const **ret_groups,
                 size_t *ret_count) {
    if (!tool_has(tool, "all-groups")) {
        *ret_count = tool_texts(tool, "group", ret_groups);
        return OTTLA_OK;
    }
    struct ottla_call *call = ottla_groups_list(client, NULL);
    struct ottla_error error;
    int code = tool_wait(tool, call, &error);
    size_t count;
    const struct ottla_group_listing *groups = ottla_call_group_listings(call, &count);
    const char **names = ARENA_ARRAY(tool_arena(tool), const char *, count + 1);
    *ret_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_listed(&groups[i])) {
            names[(*ret_count)++] = groups[i].group;
        }
    }
    *ret_groups = names;
    if (code != OTTLA_OK) {
        (void)groups_failed(tool, &error);
    }
    return code;
}

void groups_partitions_add(struct tool *tool, struct groups_partitions *list, const char *topic,
                           int32_t partition) {
    if ((list->count & (list->count - 1)) == 0) {
        size_t used = list->count * sizeof *list->items;
        list->items = arena_grow(tool_arena(tool), list->items, used,
                                 (used == 0 ? sizeof *list->items : used) * 2);
    }
    list->items[list->count++] = (struct ottla_partition){topic, partition};
}

/* "orders:0,2" */
static int add_numbers(struct tool *tool, const char *text, struct groups_partitions *list) {
    const char *colon = strchr(text, ':');
    if (colon[1] == '\0' || strchr(colon + 1, ':') != NULL) {
        return tool_usage(tool, "Invalid topic arg '%s', expected topic name and partitions", text);
    }
    struct str name = {.data = text, .size = (size_t)(colon - text)};
    const char *topic = arena_c_str(tool_arena(tool), name);
    char *copy = arena_c_str(tool_arena(tool), str_from_c(colon + 1));
    char *rest = NULL;
    for (char *number = strtok_r(copy, ",", &rest); number != NULL;
         number = strtok_r(NULL, ",", &rest)) {
        char *end;
        long partition = strtol(number, &end, 10);
        if (end == number || *end != '\0' || partition < INT32_MIN || partition > INT32_MAX) {
            return tool_usage(tool, "Invalid partition '%s' specified in topic arg '%s''", number,
                              text);
        }
        groups_partitions_add(tool, list, topic, (int32_t)partition);
    }
    return TOOL_DONE;
}

static int add_topic(struct tool *tool, struct ottla_client *client, const char *topic,
                     struct groups_partitions *list, struct groups_partitions *unknown) {
    struct ottla_topic_ref ref = {.name = topic};
    struct ottla_call *call = ottla_topics_describe(client, &ref, 1, NULL);
    struct ottla_error error;
    if (tool_wait(tool, call, &error) != OTTLA_OK && error.code != ERR_UNKNOWN_TOPIC_OR_PARTITION) {
        (void)groups_failed(tool, &error);
        return TOOL_FAILED;
    }
    size_t count;
    const struct ottla_topic_description *found = ottla_call_topic_descriptions(call, &count);
    if (count == 0 || found->code != OTTLA_OK) {
        if (unknown == NULL) {
            (void)groups_error(tool, "Executing consumer group command failed due to %s",
                               tool_error_text(ERR_UNKNOWN_TOPIC_OR_PARTITION,
                                               ottla_code_text(ERR_UNKNOWN_TOPIC_OR_PARTITION)));
            return TOOL_FAILED;
        }
        groups_partitions_add(tool, unknown, topic, -1);
        return TOOL_DONE;
    }
    for (size_t i = 0; i < found->partition_count; i++) {
        groups_partitions_add(tool, list, topic, found->partitions[i].partition);
    }
    return TOOL_DONE;
}

int groups_topics(struct tool *tool, struct ottla_client *client,
                  struct groups_partitions *ret_list, struct groups_partitions *ret_unknown,
                  int *ret_code) {
    const char *const *topics;
    size_t count = tool_texts(tool, "topic", &topics);
    *ret_code = TOOL_DONE;
    for (size_t i = 0; i < count; i++) {
        if (strchr(topics[i], ':') != NULL) {
            *ret_code = add_numbers(tool, topics[i], ret_list);
            if (*ret_code != TOOL_DONE) {
                return TOOL_FAILED;
            }
        } else if (add_topic(tool, client, topics[i], ret_list, ret_unknown) != TOOL_DONE) {
            return TOOL_FAILED;
        }
    }
    return TOOL_DONE;
}

/* --- delete --- */

static int delete (struct tool *tool, struct ottla_client *client) {
    const char *const *groups;
    size_t count;
    if (groups_named(tool, client, &groups, &count) != OTTLA_OK) {
        return TOOL_DONE;
    }
    struct ottla_call *call = ottla_groups_delete(client, groups, count, NULL);
    struct ottla_error error;
    bool well = tool_wait(tool, call, &error) == OTTLA_OK;
    const struct ottla_group_result *results = ottla_call_groups(call, &count);
    struct str done = STR_NULL;
    if (!well) {
        groups_error(tool, "Deletion of some consumer groups failed:");
    }
    for (size_t i = 0; i < count; i++) {
        if (results[i].code == OTTLA_OK) {
            done = arena_printf(tool_arena(tool), "%.*s%s'%s'", STR_ARGS(done),
                                done.size == 0 ? "" : ", ", results[i].group);
        } else {
            printf("* Group '%s' could not be deleted due to: %s: %s\n", results[i].group,
                   tool_exception(tool, results[i].code),
                   tool_error_text(results[i].code, results[i].text));
        }
    }
    if (well) {
        printf("Deletion of requested consumer groups (%.*s) was successful.\n", STR_ARGS(done));
    } else if (done.size > 0) {
        printf("\nThese consumer groups were deleted successfully: %.*s\n", STR_ARGS(done));
    }
    return TOOL_DONE;
}

/* --- delete offsets --- */

struct status {
    const char *topic;
    int32_t partition;
    const char *text;
};

/* By the topic with the number behind it, as text. */
static int order_statuses(const void *a, const void *b) {
    const struct status *left = a;
    const struct status *right = b;
    char one[OTTLA_ERROR_TEXT_SIZE];
    char two[OTTLA_ERROR_TEXT_SIZE];
    (void)snprintf(one, sizeof one, "%s%d", left->topic, (int)left->partition);
    (void)snprintf(two, sizeof two, "%s%d", right->topic, (int)right->partition);
    return strcmp(one, two);
}

static void print_statuses(struct status *statuses, size_t count) {
    int width = 15;
    qsort(statuses, count, sizeof *statuses, order_statuses);
    for (size_t i = 0; i < count; i++) {
        int size = (int)strlen(statuses[i].topic);
        width = size > width ? size : width;
    }
    printf("\n%-*s %-10s %-15s", width, "TOPIC", "PARTITION", "STATUS");
    for (size_t i = 0; i < count; i++) {
        char number[16];
        (void)snprintf(number, sizeof number, "%d", (int)statuses[i].partition);
        printf("\n%-*s %-10s %-15s", width, statuses[i].topic,
               statuses[i].partition < 0 ? "-" : number, statuses[i].text);
    }
    putchar('\n');
}

static const char *status_text(struct tool *tool, int code, const char *text) {
    return code == OTTLA_OK ? "Successful"
                            : arena_printf(tool_arena(tool), "Error: %s: %s",
                                           tool_exception(tool, code), tool_error_text(code, text))
                                  .data;
}

static void print_outcome(struct tool *tool, const char *group, int code, const char *text) {
    switch (code) {
    case OTTLA_OK:
        printf("Request succeeded for deleting offsets from group %s.\n", group);
        break;
    case ERR_GROUP_SUBSCRIBED_TO_TOPIC:
    case ERR_TOPIC_AUTHORIZATION_FAILED:
    case ERR_UNKNOWN_TOPIC_OR_PARTITION:
        groups_error(tool, "Encountered some partition-level error, see the follow-up details.");
        break;
    case ERR_INVALID_GROUP_ID:
    case ERR_GROUP_ID_NOT_FOUND:
    case ERR_GROUP_AUTHORIZATION_FAILED:
    case ERR_NON_EMPTY_GROUP:
        groups_error(tool, "%s", tool_error_text(code, text));
        break;
    default:
        groups_error(tool, "Encountered some unknown error: %s", ottla_code_name(code));
    }
}

static int delete_offsets(struct tool *tool, struct ottla_client *client) {
    struct groups_partitions list = {0};
    struct groups_partitions unknown = {0};
    int code;
    if (groups_topics(tool, client, &list, &unknown, &code) != TOOL_DONE) {
        return code;
    }
    struct status *statuses =
        ARENA_ARRAY(tool_arena(tool), struct status, list.count + unknown.count + 1);
    const char *group = tool_text(tool, "group");
    size_t count = 0;
    int first = OTTLA_OK;
    const char *first_text = "";
    if (list.count > 0) {
        struct ottla_call *call =
            ottla_group_offsets_delete(client, group, list.items, list.count, NULL);
        struct ottla_error error;
        (void)tool_wait(tool, call, &error);
        const struct ottla_partition_result *results = ottla_call_partitions(call, &count);
        for (size_t i = 0; i < count; i++) {
            if (results[i].code != OTTLA_OK && first == OTTLA_OK) {
                first = results[i].code;
                first_text = results[i].text;
            }
            statuses[i] = (struct status){results[i].topic, results[i].partition,
                                          status_text(tool, results[i].code, results[i].text)};
        }
    }
    for (size_t i = 0; i < unknown.count; i++) {
        const char *text = ottla_code_text(ERR_UNKNOWN_TOPIC_OR_PARTITION);
        statuses[count++] = (struct status){
            unknown.items[i].topic, -1, status_text(tool, ERR_UNKNOWN_TOPIC_OR_PARTITION, text)};
    }
    print_outcome(tool, group, first, first_text);
    print_statuses(statuses, count);
    return TOOL_DONE;
}

/* --- the tool --- */

static int validate_regex(struct tool *tool) {
    const char *text = tool_text(tool, "validate-regex");
    const char *wrong = tool_regex_mistake(tool, text);
    if (wrong == NULL) {
        printf("The regular expression `%s` is valid.\n", text);
    } else {
        printf("The regular expression `%s` is invalid: %s.\n", text, wrong);
    }
    return TOOL_DONE;
}

int kafka_consumer_groups(struct tool *tool) {
    if (tool_has(tool, "validate-regex")) {
        return validate_regex(tool);
    }
    struct ottla_client *client;
    if (!check(tool) || tool_connect(tool, &client) != TOOL_DONE) {
        return TOOL_FAILED;
    }
    return tool_has(tool, "list")            ? list(tool, client)
           : tool_has(tool, "describe")      ? groups_describe(tool, client)
           : tool_has(tool, "delete")        ? delete (tool, client)
           : tool_has(tool, "reset-offsets") ? groups_reset(tool, client)
                                             : delete_offsets(tool, client);
}
