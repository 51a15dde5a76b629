/* kafka-consumer-groups --describe: offsets, members, state. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/kafka/consumer_groups_int.h"

enum { WIDTH_MIN = 15, INSTANCE_WIDTH_MIN = 17, ASSIGNMENT_WIDTH_MIN = 20 };

/* A line of --offsets. */
struct row {
    const char *topic; /* NULL: a member without partitions */
    int32_t partition;
    const struct ottla_position *commit;    /* NULL: none */
    const struct ottla_group_member *owner; /* NULL: nobody */
    int64_t end;                            /* -1: not known */
};

struct report {
    struct tool *tool;
    struct ottla_client *client;
    const struct ottla_group_description *group;
    struct row *rows;
    size_t row_count;
};

static int wider(int width, const char *text) {
    int size = text == NULL ? 1 : (int)strlen(text);
    return size > width ? size : width;
}

/* Says how the group is. False: there is nothing to show of it. */
static bool print_state(const struct report *report, size_t rows) {
    const struct ottla_group_description *group = report->group;
    if (strcmp(group->state, "Dead") == 0) {
        groups_error(report->tool, "Consumer group '%s' does not exist.", group->group);
        return false;
    }
    if (strcmp(group->state, "Empty") == 0) {
        fprintf(stderr, "\nConsumer group '%s' has no active members.\n", group->group);
    } else if (strcmp(group->state, "Stable") != 0) {
        fprintf(stderr, "\nWarning: Consumer group '%s' is rebalancing.\n", group->group);
    }
    return rows > 0;
}

/* --- offsets --- */

static int order_rows(const void *a, const void *b) {
    const struct row *left = a;
    const struct row *right = b;
    int order = strcmp(left->topic, right->topic);
    return order != 0 ? order
                      : (left->partition > right->partition) - (left->partition < right->partition);
}

static const struct ottla_position *commit_of(const struct ottla_group_offsets *offsets,
                                              const struct ottla_partition *partition) {
    for (size_t i = 0; i < offsets->position_count; i++) {
        const struct ottla_position *position = &offsets->positions[i];
        if (position->partition == partition->partition && position->offset >= 0 &&
            strcmp(position->topic, partition->topic) == 0) {
            return position;
        }
    }
    return NULL;
}

static bool is_owned(const struct report *report, const struct ottla_position *position) {
    for (size_t i = 0; i < report->row_count; i++) {
        if (report->rows[i].partition == position->partition &&
            strcmp(report->rows[i].topic, position->topic) == 0) {
            return true;
        }
    }
    return false;
}

static int order_members(const void *a, const void *b) {
    const struct ottla_group_member *left = *(const struct ottla_group_member *const *)a;
    const struct ottla_group_member *right = *(const struct ottla_group_member *const *)b;
    return left->assignment_count != right->assignment_count
               ? (left->assignment_count < right->assignment_count ? 1 : -1)
               : (left > right) - (left < right);
}

/* Members with the most partitions first; then what is committed and nobody owns. */
static void collect_rows(struct report *report, const struct ottla_group_offsets *offsets) {
    const struct ottla_group_description *group = report->group;
    struct arena *arena = tool_arena(report->tool);
    const struct ottla_group_member **members =
        ARENA_ARRAY(arena, const struct ottla_group_member *, group->member_count + 1);
    size_t count = offsets->position_count;
    for (size_t i = 0; i < group->member_count; i++) {
        members[i] = &group->members[i];
        count += members[i]->assignment_count;
    }
    qsort(members, group->member_count, sizeof(void *), order_members);
    report->rows = ARENA_ARRAY(arena, struct row, count + 1);
    for (size_t m = 0; m < group->member_count; m++) {
        size_t start = report->row_count;
        for (size_t i = 0; i < members[m]->assignment_count; i++) {
            const struct ottla_partition *partition = &members[m]->assignment[i];
            report->rows[report->row_count++] =
                (struct row){partition->topic, partition->partition, commit_of(offsets, partition),
                             members[m], -1};
        }
        qsort(report->rows + start, report->row_count - start, sizeof(struct row), order_rows);
    }
    size_t start = report->row_count;
    for (size_t i = 0; i < offsets->position_count; i++) {
        const struct ottla_position *position = &offsets->positions[i];
        if (position->offset >= 0 && !is_owned(report, position)) {
            report->rows[report->row_count++] =
                (struct row){position->topic, position->partition, position, NULL, -1};
        }
    }
    qsort(report->rows + start, report->row_count - start, sizeof(struct row), order_rows);
}

static void ask_ends(struct report *report) {
    size_t count = report->row_count;
    struct ottla_position *ends =
        ARENA_ARRAY(tool_arena(report->tool), struct ottla_position, count + 1);
    for (size_t i = 0; i < count; i++) {
        ends[i] = (struct ottla_position){.topic = report->rows[i].topic,
                                          .partition = report->rows[i].partition,
                                          .offset = OTTLA_OFFSET_LATEST};
    }
    struct ottla_call *call = ottla_offsets_list(report->client, ends, count, NULL);
    struct ottla_error error;
    (void)ottla_call_wait(call, -1, &error);
    const struct ottla_offset_result *results = ottla_call_offsets(call, &count);
    for (size_t i = 0; i < count && i < report->row_count; i++) {
        report->rows[i].end = results[i].code == OTTLA_OK ? results[i].offset : -1;
    }
    ottla_call_free(call);
}

static void print_number(int64_t number) {
    if (number < 0) {
        fputs(" -              ", stdout);
    } else {
        printf(" %-15lld", (long long)number);
    }
}

static void print_row(const struct report *report, const struct row *row, const int widths[4]) {
    const struct ottla_group_member *owner = row->owner;
    printf("\n%-*s %-*s %-10d", widths[0], report->group->group, widths[1], row->topic,
           (int)row->partition);
    if (tool_has(report->tool, "verbose")) {
        print_number(row->commit == NULL ? -1 : row->commit->leader_epoch);
    }
    print_number(row->commit == NULL ? -1 : row->commit->offset);
    print_number(row->end);
    if (row->commit == NULL || row->end < 0) {
        print_number(-1);
    } else {
        printf(" %-15lld", (long long)(row->end - row->commit->offset));
    }
    printf(" %-*s %-*s %s", widths[2], owner == NULL ? "-" : owner->member_id, widths[3],
           owner == NULL ? "-" : owner->host, owner == NULL ? "-" : owner->client_id);
}

static void describe_offsets(struct report *report, const struct ottla_group_offsets *offsets) {
    collect_rows(report, offsets);
    if (!print_state(report, report->row_count)) {
        return;
    }
    ask_ends(report);
    int widths[4] = {WIDTH_MIN, WIDTH_MIN, WIDTH_MIN, WIDTH_MIN};
    widths[0] = wider(widths[0], report->group->group);
    for (size_t i = 0; i < report->row_count; i++) {
        const struct ottla_group_member *owner = report->rows[i].owner;
        widths[1] = wider(widths[1], report->rows[i].topic);
        widths[2] = wider(widths[2], owner == NULL ? NULL : owner->member_id);
        widths[3] = wider(widths[3], owner == NULL ? NULL : owner->host);
    }
    printf("\n%-*s %-*s %-10s", widths[0], "GROUP", widths[1], "TOPIC", "PARTITION");
    if (tool_has(report->tool, "verbose")) {
        fputs(" LEADER-EPOCH   ", stdout);
    }
    printf(" %-15s %-15s %-15s %-*s %-*s %s", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", widths[2],
           "CONSUMER-ID", widths[3], "HOST", "CLIENT-ID");
    for (size_t i = 0; i < report->row_count; i++) {
        print_row(report, &report->rows[i], widths);
    }
    putchar('\n');
}

/* --- members --- */

/* "orders:0,1;payments:3" */
static const char *assignment_text(struct tool *tool, const struct ottla_partition *partitions,
                                   size_t count) {
    struct arena *arena = tool_arena(tool);
    struct row *rows = ARENA_ARRAY(arena, struct row, count + 1);
    for (size_t i = 0; i < count; i++) {
        rows[i] = (struct row){.topic = partitions[i].topic, .partition = partitions[i].partition};
    }
    qsort(rows, count, sizeof *rows, order_rows);
    struct str text = STR("");
    for (size_t i = 0; i < count; i++) {
        bool more = i > 0 && strcmp(rows[i - 1].topic, rows[i].topic) == 0;
        text = more ? arena_printf(arena, "%.*s,%d", STR_ARGS(text), (int)rows[i].partition)
                    : arena_printf(arena, "%.*s%s%s:%d", STR_ARGS(text), i == 0 ? "" : ";",
                                   rows[i].topic, (int)rows[i].partition);
    }
    return count == 0 ? "-" : arena_c_str(arena, text);
}

/* The columns of --members, wide enough for all. */
struct columns {
    int group;
    int member;
    int instance; /* 0: nobody has one */
    int host;
    int client;
    int assignment;
    int target;
    bool upgraded; /* some member speaks the classic protocol in a group of the new one */
};

static struct columns measure(const struct report *report) {
    const struct ottla_group_description *group = report->group;
    struct columns columns = {
        WIDTH_MIN, WIDTH_MIN, 0, WIDTH_MIN, WIDTH_MIN, ASSIGNMENT_WIDTH_MIN, ASSIGNMENT_WIDTH_MIN,
        false};
    for (size_t i = 0; i < group->member_count; i++) {
        const struct ottla_group_member *member = &group->members[i];
        columns.group = wider(columns.group, group->group);
        columns.member = wider(columns.member, member->member_id);
        if (member->instance_id != NULL) {
            int least = columns.instance == 0 ? INSTANCE_WIDTH_MIN : columns.instance;
            columns.instance = wider(least, member->instance_id);
        }
        columns.host = wider(columns.host, member->host);
        columns.client = wider(columns.client, member->client_id);
        columns.assignment =
            wider(columns.assignment,
                  assignment_text(report->tool, member->assignment, member->assignment_count));
        columns.target = wider(columns.target,
                               assignment_text(report->tool, member->target, member->target_count));
        columns.upgraded = columns.upgraded || (member->epoch >= 0 && !member->upgraded);
    }
    return columns;
}

static void print_verbose(const struct columns *columns, const char *epoch, const char *assignment,
                          const char *target_epoch, const char *target, const char *upgraded) {
    printf("%-15s %-*s %-15s %-*s", epoch, columns->assignment, assignment, target_epoch,
           columns->target, target);
    if (columns->upgraded) {
        printf(" %s", upgraded);
    }
}

static void print_member(const struct report *report, const struct columns *columns,
                         const struct ottla_group_member *member) {
    printf("%-*s %-*s ", columns->group, report->group->group, columns->member, member->member_id);
    if (columns->instance > 0) {
        printf("%-*s ", columns->instance, member->instance_id == NULL ? "" : member->instance_id);
    }
    printf("%-*s %-*s %-15zu ", columns->host, member->host, columns->client, member->client_id,
           member->assignment_count);
    if (tool_has(report->tool, "verbose")) {
        char epoch[16] = "-";
        char target_epoch[16] = "-";
        if (member->epoch >= 0) {
            (void)snprintf(epoch, sizeof epoch, "%d", (int)member->epoch);
            (void)snprintf(target_epoch, sizeof target_epoch, "%d",
                           (int)report->group->assignment_epoch);
        }
        print_verbose(columns, epoch,
                      assignment_text(report->tool, member->assignment, member->assignment_count),
                      target_epoch,
                      assignment_text(report->tool, member->target, member->target_count),
                      member->upgraded ? "true" : "false");
    }
    putchar('\n');
}

static void describe_members(const struct report *report) {
    const struct ottla_group_description *group = report->group;
    (void)print_state(report, group->member_count);
    struct columns columns = measure(report);
    printf("\n%-*s %-*s ", columns.group, "GROUP", columns.member, "CONSUMER-ID");
    if (columns.instance > 0) {
        printf("%-*s ", columns.instance, "GROUP-INSTANCE-ID");
    }
    printf("%-*s %-*s %-15s ", columns.host, "HOST", columns.client, "CLIENT-ID", "#PARTITIONS");
    if (tool_has(report->tool, "verbose")) {
        print_verbose(&columns, "CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH",
                      "TARGET-ASSIGNMENT", "UPGRADED");
    }
    putchar('\n');
    for (size_t i = 0; i < group->member_count; i++) {
        print_member(report, &columns, &group->members[i]);
    }
}

/* --- state --- */

static const struct ottla_node *node_of(const struct ottla_cluster *cluster, int32_t id) {
    for (size_t i = 0; cluster != NULL && i < cluster->node_count; i++) {
        if (cluster->nodes[i].id == id) {
            return &cluster->nodes[i];
        }
    }
    return NULL;
}

static void describe_state(const struct report *report, const struct ottla_cluster *cluster) {
    const struct ottla_group_description *group = report->group;
    if (!print_state(report, 1)) {
        return;
    }
    const struct ottla_node *node = node_of(cluster, group->broker_id);
    const char *coordinator =
        arena_printf(tool_arena(report->tool), "%s:%d  (%d)", node == NULL ? "" : node->host,
                     node == NULL ? -1 : (int)node->port, (int)group->broker_id)
            .data;
    int wide = wider(25, coordinator);
    int group_width = wider(WIDTH_MIN, group->group);
    const char *assignor =
        group->assignor == NULL || group->assignor[0] == '\0' ? "-" : group->assignor;
    bool verbose = tool_has(report->tool, "verbose");
    printf("\n%-*s %-*s %-20s %-20s ", group_width, "GROUP", wide, "COORDINATOR (ID)",
           "ASSIGNMENT-STRATEGY", "STATE");
    if (verbose) {
        printf("%-15s %-25s ", "GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH");
    }
    printf("#MEMBERS\n%-*s %-*s %-20s %-20s ", group_width, group->group, wide, coordinator,
           assignor, group->state);
    if (verbose && group->epoch >= 0) {
        printf("%-15d %-25d ", (int)group->epoch, (int)group->assignment_epoch);
    } else if (verbose) {
        printf("%-15s %-25s ", "-", "-");
    }
    printf("%zu\n", group->member_count);
}

/* --- all --- */

static int order_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Offsets of every group, in the order of the names; NULL: it was printed that it failed. */
static const struct ottla_group_offsets *ask_offsets(struct tool *tool, struct ottla_client *client,
                                                     const char *const *names, size_t count) {
    struct ottla_group_partitions *wanted =
        ARENA_ARRAY(tool_arena(tool), struct ottla_group_partitions, count);
    for (size_t i = 0; i < count; i++) {
        wanted[i].group = names[i];
    }
    struct ottla_call *call = ottla_group_offsets_list(client, wanted, count, NULL);
    struct ottla_error error;
    size_t found;
    int code = tool_wait(tool, call, &error);
    const struct ottla_group_offsets *offsets = ottla_call_group_offsets(call, &found);
    if (code != OTTLA_OK || found != count) {
        (void)groups_failed(tool, &error);
        return NULL;
    }
    return offsets;
}

static const struct ottla_group_description *
ask_groups(struct tool *tool, struct ottla_client *client, const char *const *names, size_t count) {
    struct ottla_call *call = ottla_groups_describe(client, names, count, NULL);
    struct ottla_error error;
    int code = tool_wait(tool, call, &error);
    const struct ottla_group_description *groups = ottla_call_group_descriptions(call, &count);
    for (size_t i = 0; i < count; i++) {
        if (groups[i].code != OTTLA_OK) {
            (void)groups_error(tool, "Executing consumer group command failed due to %s: %s",
                               tool_exception(tool, groups[i].code),
                               tool_error_text(groups[i].code, groups[i].text));
            return NULL;
        }
    }
    if (code != OTTLA_OK) {
        (void)groups_failed(tool, &error);
        return NULL;
    }
    return groups;
}

int groups_describe(struct tool *tool, struct ottla_client *client) {
    const char *const *given;
    size_t count;
    if (groups_named(tool, client, &given, &count) != OTTLA_OK || count == 0) {
        return TOOL_DONE;
    }
    const char **names = ARENA_ARRAY(tool_arena(tool), const char *, count);
    memcpy(names, given, count * sizeof *names);
    qsort(names, count, sizeof *names, order_texts);
    const struct ottla_group_description *groups = ask_groups(tool, client, names, count);
    const struct ottla_group_offsets *offsets = NULL;
    const struct ottla_cluster *cluster = NULL;
    bool members = tool_has(tool, "members");
    bool state = tool_has(tool, "state");
    if (groups == NULL ||
        (!members && !state && (offsets = ask_offsets(tool, client, names, count)) == NULL)) {
        return TOOL_DONE;
    }
    if (state) {
        struct ottla_call *call = ottla_cluster_describe(client, NULL);
        struct ottla_error error;
        (void)tool_wait(tool, call, &error);
        cluster = ottla_call_cluster(call);
    }
    for (size_t i = 0; i < count; i++) {
        struct report report = {.tool = tool, .client = client, .group = &groups[i]};
        if (members) {
            describe_members(&report);
        } else if (state) {
            describe_state(&report, cluster);
        } else {
            describe_offsets(&report, &offsets[i]);
        }
    }
    return TOOL_DONE;
}
