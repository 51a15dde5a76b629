/*
 * kafka-consumer-groups --reset-offsets: where a group shall read on.
 *
 *   partitions   --topic, --all-topics (all with a commit), or those in the file of --from-file
 *   offsets      of one scenario: --to-…, --shift-by, --by-duration, --from-file
 *
 * What is asked for outside of a partition becomes its nearest end. Nothing is changed without
 * --execute.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/kafka/consumer_groups_int.h"
#include "cli/when.h"
#include "client/core.h"
#include "sys/sys.h"

struct reset {
    struct tool *tool;
    struct ottla_client *client;
    const char *group;
    struct groups_partitions partitions;
    int64_t *offsets; /* by partition: the result */
    int code;         /* of the tool, when something failed */
};

/* A line of --from-file. */
struct planned {
    const char *group; /* NULL: of the one that was named */
    const char *topic;
    int32_t partition;
    int64_t offset;
};
struct plan {
    struct planned *items;
    size_t count;
};

/* --- asking --- */

static int64_t *ask_offsets(struct reset *reset, int64_t what) {
    size_t count = reset->partitions.count;
    struct arena *arena = tool_arena(reset->tool);
    struct ottla_position *asked = ARENA_ARRAY(arena, struct ottla_position, count + 1);
    int64_t *offsets = ARENA_ARRAY(arena, int64_t, count + 1);
    for (size_t i = 0; i < count; i++) {
        asked[i] = (struct ottla_position){.topic = reset->partitions.items[i].topic,
                                           .partition = reset->partitions.items[i].partition,
                                           .offset = what};
    }
    if (count == 0) {
        return offsets;
    }
    struct ottla_call *call = ottla_offsets_list(reset->client, asked, count, NULL);
    struct ottla_error error;
    int code = ottla_call_wait(call, -1, &error);
    const struct ottla_offset_result *results = ottla_call_offsets(call, &count);
    for (size_t i = 0; i < count; i++) {
        offsets[i] = results[i].offset;
    }
    if (code == ERR_UNKNOWN_TOPIC_OR_PARTITION) {
        struct str list = STR_NULL;
        for (size_t i = 0; i < count; i++) {
            if (results[i].code != OTTLA_OK) {
                list = arena_list(
                    arena, list, ",",
                    arena_printf(arena, "%s-%d", results[i].topic, (int)results[i].partition));
            }
        }
        (void)groups_error(reset->tool,
                           "Executing consumer group command failed due to The partitions \"%.*s\" "
                           "do not exist",
                           STR_ARGS(list));
    } else if (code != OTTLA_OK) {
        (void)groups_failed(reset->tool, &error);
    }
    ottla_call_free(call);
    return code == OTTLA_OK ? offsets : NULL;
}

static const struct ottla_group_offsets *ask_committed(struct reset *reset) {
    struct ottla_group_partitions one = {.group = reset->group};
    struct ottla_call *call = ottla_group_offsets_list(reset->client, &one, 1, NULL);
    struct ottla_error error;
    size_t count;
    if (tool_wait(reset->tool, call, &error) != OTTLA_OK) {
        (void)groups_failed(reset->tool, &error);
        return NULL;
    }
    return ottla_call_group_offsets(call, &count);
}

/* -1: none */
static int64_t committed_of(const struct ottla_group_offsets *committed,
                            const struct ottla_partition *partition) {
    for (size_t i = 0; i < committed->position_count; i++) {
        const struct ottla_position *position = &committed->positions[i];
        if (position->partition == partition->partition &&
            strcmp(position->topic, partition->topic) == 0) {
            return position->offset;
        }
    }
    return -1;
}

/* --- the file --- */

/* "topic,partition,offset", with the group before it when several are named. */
static bool parse_planned(struct tool *tool, char *line, bool with_group,
                          struct planned *ret_item) {
    char *fields[4];
    size_t count = 0;
    char *rest = NULL;
    for (char *field = strtok_r(line, ",", &rest); field != NULL && count < 4;
         field = strtok_r(NULL, ",", &rest)) {
        fields[count++] = field;
    }
    size_t first = with_group ? 1 : 0;
    if (count != first + 3) {
        return false;
    }
    char *partition_end;
    char *offset_end;
    *ret_item = (struct planned){
        .group = with_group ? arena_c_str(tool_arena(tool), str_from_c(fields[0])) : NULL,
        .topic = arena_c_str(tool_arena(tool), str_from_c(fields[first])),
        .partition = (int32_t)strtol(fields[first + 1], &partition_end, 10),
        .offset = strtoll(fields[first + 2], &offset_end, 10)};
    return *partition_end == '\0' && *offset_end == '\0';
}

static bool read_plan(struct tool *tool, struct plan *ret_plan) {
    const char *path = tool_text(tool, "from-file");
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        (void)groups_error(tool,
                           "Executing consumer group command failed due to java.io.IOException: "
                           "Unable to read file %s",
                           path);
        return false;
    }
    const char *const *groups;
    bool with_group = tool_texts(tool, "group", &groups) != 1;
    char line[4096];
    bool good = true;
    *ret_plan = (struct plan){0};
    while (good && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        size_t used = ret_plan->count * sizeof *ret_plan->items;
        ret_plan->items =
            arena_grow(tool_arena(tool), ret_plan->items, used, used + sizeof *ret_plan->items);
        good = parse_planned(tool, line, with_group, &ret_plan->items[ret_plan->count]);
        ret_plan->count += good;
    }
    fclose(file);
    if (!good) {
        (void)groups_error(tool, "Executing consumer group command failed due to line %zu of %s",
                           ret_plan->count + 1, path);
    }
    return good;
}

/* --- which partitions --- */

static bool find_partitions(struct reset *reset, const struct ottla_group_offsets *committed,
                            const struct plan *plan) {
    struct tool *tool = reset->tool;
    if (tool_has(tool, "all-topics")) {
        for (size_t i = 0; i < committed->position_count; i++) {
            if (committed->positions[i].offset >= 0) {
                groups_partitions_add(tool, &reset->partitions, committed->positions[i].topic,
                                      committed->positions[i].partition);
            }
        }
        return true;
    }
    if (tool_has(tool, "topic")) {
        return groups_topics(tool, reset->client, &reset->partitions, NULL, &reset->code) ==
               TOOL_DONE;
    }
    if (!tool_has(tool, "from-file")) {
        reset->code =
            tool_usage(tool, "One of the reset scopes should be defined: --all-topics, --topic.");
        return false;
    }
    bool found = false;
    for (size_t i = 0; i < plan->count; i++) {
        const struct planned *item = &plan->items[i];
        if (item->group == NULL || strcmp(item->group, reset->group) == 0) {
            groups_partitions_add(tool, &reset->partitions, item->topic, item->partition);
            found = true;
        }
    }
    if (!found) {
        (void)groups_error(tool, "No reset plan for group %s found", reset->group);
    }
    return true;
}

/* --- offsets by scenario --- */

/* What was asked for, kept within the partitions. */
static bool keep_within(struct reset *reset) {
    int64_t *first = ask_offsets(reset, OTTLA_OFFSET_EARLIEST);
    int64_t *end = first == NULL ? NULL : ask_offsets(reset, OTTLA_OFFSET_LATEST);
    for (size_t i = 0; end != NULL && i < reset->partitions.count; i++) {
        int64_t offset = reset->offsets[i];
        reset->offsets[i] = offset > end[i] ? end[i] : offset < first[i] ? first[i] : offset;
    }
    return end != NULL;
}

static bool shift(struct reset *reset, const struct ottla_group_offsets *committed) {
    int64_t by = tool_number(reset->tool, "shift-by");
    for (size_t i = 0; i < reset->partitions.count; i++) {
        const struct ottla_partition *partition = &reset->partitions.items[i];
        int64_t offset = committed_of(committed, partition);
        if (offset < 0) {
            reset->code = tool_usage(reset->tool,
                                     "Cannot shift offset for partition %s-%d since there is no "
                                     "current committed offset",
                                     partition->topic, (int)partition->partition);
            return false;
        }
        if (__builtin_add_overflow(offset, by, &reset->offsets[i])) {
            reset->offsets[i] = by > 0 ? INT64_MAX : 0;
        }
    }
    return keep_within(reset);
}

/* Where there is no record so late, the end. */
static bool to_time(struct reset *reset, int64_t time_ms) {
    reset->offsets = ask_offsets(reset, time_ms);
    if (reset->offsets == NULL) {
        return false;
    }
    int64_t *end = ask_offsets(reset, OTTLA_OFFSET_LATEST);
    for (size_t i = 0; end != NULL && i < reset->partitions.count; i++) {
        if (reset->offsets[i] < 0) {
            printf("\nWarn: Partition %d from topic %s is empty. Falling back to latest known "
                   "offset.\n",
                   (int)reset->partitions.items[i].partition, reset->partitions.items[i].topic);
            reset->offsets[i] = end[i];
        }
    }
    return end != NULL;
}

static bool to_current(struct reset *reset, const struct ottla_group_offsets *committed) {
    int64_t *end = ask_offsets(reset, OTTLA_OFFSET_LATEST);
    for (size_t i = 0; end != NULL && i < reset->partitions.count; i++) {
        int64_t offset = committed_of(committed, &reset->partitions.items[i]);
        reset->offsets[i] = offset < 0 ? end[i] : offset;
    }
    return end != NULL;
}

static bool to_datetime(struct reset *reset) {
    const char *text = tool_text(reset->tool, "to-datetime");
    int64_t time_ms;
    if (strchr(text, 'T') == NULL || !when_parse(text, 0, &time_ms)) {
        (void)groups_error(reset->tool, "Executing consumer group command failed due to "
                                        "java.text.ParseException: Error parsing timestamp. It "
                                        "does not contain a 'T' according to ISO8601 format");
        return false;
    }
    return to_time(reset, time_ms);
}

/* "P1DT2H3M4.5S" in milliseconds. */
static bool parse_duration(const char *text, int64_t *ret_ms) {
    static const struct {
        char unit;
        bool time;
        double ms;
    } units[] = {{'D', false, 86400e3}, {'H', true, 3600e3}, {'M', true, 60e3}, {'S', true, 1e3}};
    bool time = false;
    bool any = false;
    double sum = 0;
    if (*text++ != 'P') {
        return false;
    }
    while (*text != '\0') {
        if (*text == 'T' && !time) {
            time = true;
            text++;
            continue;
        }
        char *end;
        double number = strtod(text, &end);
        size_t i = 0;
        while (i < 4 && (units[i].unit != *end || units[i].time != time)) {
            i++;
        }
        if (end == text || i == 4) {
            return false;
        }
        sum += number * units[i].ms;
        any = true;
        text = end + 1;
    }
    *ret_ms = (int64_t)sum;
    return any;
}

static bool by_duration(struct reset *reset) {
    int64_t duration_ms;
    if (!parse_duration(tool_text(reset->tool, "by-duration"), &duration_ms)) {
        (void)groups_error(reset->tool, "Executing consumer group command failed due to Text "
                                        "cannot be parsed to a Duration");
        return false;
    }
    int64_t now_ms = sys_wall_ms(client_sys(reset->client));
    return to_time(reset, now_ms > duration_ms ? now_ms - duration_ms : 0);
}

static bool from_plan(struct reset *reset, const struct plan *plan) {
    for (size_t i = 0; i < reset->partitions.count; i++) {
        const struct ottla_partition *partition = &reset->partitions.items[i];
        for (size_t p = 0; p < plan->count; p++) {
            const struct planned *item = &plan->items[p];
            if ((item->group == NULL || strcmp(item->group, reset->group) == 0) &&
                item->partition == partition->partition &&
                strcmp(item->topic, partition->topic) == 0) {
                reset->offsets[i] = item->offset;
            }
        }
    }
    return keep_within(reset);
}

static bool choose(struct reset *reset, const struct ottla_group_offsets *committed,
                   const struct plan *plan) {
    struct tool *tool = reset->tool;
    reset->offsets = ARENA_ARRAY(tool_arena(tool), int64_t, reset->partitions.count + 1);
    if (tool_has(tool, "to-offset")) {
        for (size_t i = 0; i < reset->partitions.count; i++) {
            reset->offsets[i] = tool_number(tool, "to-offset");
        }
        return keep_within(reset);
    }
    if (tool_has(tool, "to-earliest") || tool_has(tool, "to-latest")) {
        reset->offsets = ask_offsets(reset, tool_has(tool, "to-earliest") ? OTTLA_OFFSET_EARLIEST
                                                                          : OTTLA_OFFSET_LATEST);
        return reset->offsets != NULL;
    }
    if (tool_has(tool, "shift-by")) {
        return shift(reset, committed);
    }
    if (tool_has(tool, "to-datetime")) {
        return to_datetime(reset);
    }
    if (tool_has(tool, "by-duration")) {
        return by_duration(reset);
    }
    if (tool_has(tool, "from-file")) {
        return from_plan(reset, plan);
    }
    if (tool_has(tool, "to-current")) {
        return to_current(reset, committed);
    }
    reset->code = tool_usage(tool, "Option '[reset-offsets]' requires one of the following "
                                   "scenarios: [[to-datetime], [by-duration], [to-latest], "
                                   "[to-current], [to-earliest], [to-offset], [shift-by], "
                                   "[from-file]]");
    return false;
}

static bool execute(struct reset *reset) {
    size_t count = reset->partitions.count;
    if (!tool_has(reset->tool, "execute") || count == 0) {
        return true;
    }
    struct ottla_position *positions =
        ARENA_ARRAY(tool_arena(reset->tool), struct ottla_position, count);
    for (size_t i = 0; i < count; i++) {
        positions[i] = (struct ottla_position){.topic = reset->partitions.items[i].topic,
                                               .partition = reset->partitions.items[i].partition,
                                               .offset = reset->offsets[i],
                                               .leader_epoch = -1};
    }
    struct ottla_call *call =
        ottla_group_offsets_alter(reset->client, reset->group, positions, count, NULL);
    struct ottla_error error;
    if (tool_wait(reset->tool, call, &error) != OTTLA_OK) {
        (void)groups_failed(reset->tool, &error);
        return false;
    }
    return true;
}

/* --- all --- */

/* Of one group. False: nothing more is to be done; what there was to say has been said. */
static bool reset_group(struct reset *reset, const struct plan *plan) {
    struct ottla_call *call = ottla_groups_describe(reset->client, &reset->group, 1, NULL);
    struct ottla_error error;
    int code = ottla_call_wait(call, -1, &error);
    size_t count;
    const struct ottla_group_description *group = ottla_call_group_descriptions(call, &count);
    bool active =
        code == OTTLA_OK && strcmp(group->state, "Empty") != 0 && strcmp(group->state, "Dead") != 0;
    if (active) {
        (void)groups_error(reset->tool,
                           "Assignments can only be reset if the group '%s' is inactive, but the "
                           "current state is %s.",
                           reset->group, group->state);
    }
    ottla_call_free(call);
    if (code != OTTLA_OK && code != ERR_GROUP_ID_NOT_FOUND) {
        (void)groups_failed(reset->tool, &error);
        return false;
    }
    if (active) {
        return true;
    }
    const struct ottla_group_offsets *committed = ask_committed(reset);
    return committed != NULL && find_partitions(reset, committed, plan) &&
           choose(reset, committed, plan) && execute(reset);
}

static void print(const struct tool *tool, const struct reset *resets, size_t count) {
    bool export = tool_has(tool, "export");
    const char *const *groups;
    bool one = tool_texts(tool, "group", &groups) == 1;
    if (!export) {
        int widths[2] = {15, 15};
        for (size_t g = 0; g < count; g++) {
            int size = (int)strlen(resets[g].group);
            widths[0] = resets[g].partitions.count > 0 && size > widths[0] ? size : widths[0];
            for (size_t i = 0; i < resets[g].partitions.count; i++) {
                size = (int)strlen(resets[g].partitions.items[i].topic);
                widths[1] = size > widths[1] ? size : widths[1];
            }
        }
        printf("\n%-*s %-*s %-10s %s", widths[0], "GROUP", widths[1], "TOPIC", "PARTITION",
               "NEW-OFFSET");
        for (size_t g = 0; g < count; g++) {
            for (size_t i = 0; i < resets[g].partitions.count; i++) {
                printf("\n%-*s %-*s %-10d %lld", widths[0], resets[g].group, widths[1],
                       resets[g].partitions.items[i].topic,
                       (int)resets[g].partitions.items[i].partition,
                       (long long)resets[g].offsets[i]);
            }
        }
    }
    for (size_t g = 0; export && g < count; g++) {
        for (size_t i = 0; i < resets[g].partitions.count; i++) {
            printf("%s%s%s,%d,%lld\n", one ? "" : resets[g].group, one ? "" : ",",
                   resets[g].partitions.items[i].topic,
                   (int)resets[g].partitions.items[i].partition, (long long)resets[g].offsets[i]);
        }
    }
    putchar('\n');
}

int groups_reset(struct tool *tool, struct ottla_client *client) {
    const char *const *groups;
    size_t count;
    struct plan plan = {0};
    if (groups_named(tool, client, &groups, &count) != OTTLA_OK ||
        (tool_has(tool, "from-file") && !read_plan(tool, &plan))) {
        return TOOL_DONE;
    }
    struct reset *resets = ARENA_ARRAY(tool_arena(tool), struct reset, count + 1);
    for (size_t i = 0; i < count; i++) {
        resets[i] = (struct reset){.tool = tool, .client = client, .group = groups[i]};
        if (!reset_group(&resets[i], &plan)) {
            return resets[i].code;
        }
    }
    if (count > 0 || tool_has(tool, "export")) {
        print(tool, resets, count);
    } else {
        putchar('\n');
    }
    return TOOL_DONE;
}
