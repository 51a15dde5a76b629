/*
 * ottla group describe: how far groups are.
 *
 * Lag in records is the end of a partition less the commit. Lag in seconds is the age of the first
 * record that is not read yet, which says more where traffic comes in bursts. It is found by
 * reading that record: one consumer for all partitions that lag, which stops at the first of each.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/group_int.h"
#include "cli/output.h"
#include "cli/when.h"
#include "client/core.h"
#include "ottla/consumer.h"
#include "sys/sys.h"

enum { READ_MS = 5000 };

/* A partition that a group has committed or owns. */
struct row {
    const char *topic;
    int32_t partition;
    int64_t committed; /* OTTLA_OFFSET_NONE */
    int64_t end;       /* -1: not known */
    int64_t age_ms;    /* of the first unread record; -1: not known */
    const char *metadata;
    const struct ottla_group_member *owner; /* NULL: nobody */
};

struct report {
    struct items *items;
    const struct ottla_group_description *group;
    struct row *rows;
    size_t count;
};

static int64_t lag_of(const struct row *row) {
    return row->end < 0 || row->committed < 0 ? -1
           : row->end > row->committed        ? row->end - row->committed
                                              : 0;
}

/* --- what the group has --- */

static int order_rows(const void *a, const void *b) {
    const struct row *left = a;
    const struct row *right = b;
    int order = strcmp(left->topic, right->topic);
    return order != 0 ? order
                      : (left->partition > right->partition) - (left->partition < right->partition);
}

/* Rows are sorted by then. */
static struct row *find(const struct report *report, const char *topic, int32_t partition) {
    struct row key = {.topic = topic, .partition = partition};
    return bsearch(&key, report->rows, report->count, sizeof key, order_rows);
}

static void add_committed(struct report *report, const struct ottla_group_offsets *offsets) {
    for (size_t i = 0; i < offsets->position_count; i++) {
        const struct ottla_position *position = &offsets->positions[i];
        report->rows[report->count++] = (struct row){.topic = position->topic,
                                                     .partition = position->partition,
                                                     .committed = position->offset,
                                                     .end = -1,
                                                     .age_ms = -1,
                                                     .metadata = position->metadata};
    }
    qsort(report->rows, report->count, sizeof *report->rows, order_rows);
}

/* Partitions that a member owns; those without a commit are added. */
static void add_owned(struct report *report) {
    size_t committed = report->count;
    for (size_t m = 0; m < report->group->member_count; m++) {
        const struct ottla_group_member *member = &report->group->members[m];
        for (size_t i = 0; i < member->assignment_count; i++) {
            struct row key = {.topic = member->assignment[i].topic,
                              .partition = member->assignment[i].partition,
                              .committed = OTTLA_OFFSET_NONE,
                              .end = -1,
                              .age_ms = -1,
                              .owner = member};
            struct row *row =
                bsearch(&key, report->rows, committed, sizeof *report->rows, order_rows);
            if (row != NULL) {
                row->owner = member;
            } else {
                report->rows[report->count++] = key;
            }
        }
    }
    qsort(report->rows, report->count, sizeof *report->rows, order_rows);
}

static size_t owned_count(const struct ottla_group_description *group) {
    size_t count = 0;
    for (size_t m = 0; m < group->member_count; m++) {
        count += group->members[m].assignment_count;
    }
    return count;
}

/* --- where the partitions end --- */

static void ask_ends(struct report *report) {
    struct arena *arena = cli_arena(report->items->cli);
    struct ottla_position *ends = ARENA_ARRAY(arena, struct ottla_position, report->count + 1);
    for (size_t i = 0; i < report->count; i++) {
        ends[i] = (struct ottla_position){.topic = report->rows[i].topic,
                                          .partition = report->rows[i].partition,
                                          .offset = OTTLA_OFFSET_LATEST};
    }
    struct ottla_call *call = ottla_offsets_list(report->items->client, ends, report->count, NULL);
    struct ottla_error error;
    (void)ottla_call_wait(call, cli_timeout_ms(report->items->cli), &error);
    size_t count;
    const struct ottla_offset_result *results = ottla_call_offsets(call, &count);
    for (size_t i = 0; i < count && i < report->count; i++) {
        report->rows[i].end = results[i].code == OTTLA_OK ? results[i].offset : -1;
    }
    ottla_call_free(call);
}

/* --- how old the first unread record is --- */

/* Reads until each lagging partition gave a record, or time is over. */
static void read_first(struct report *report, struct ottla_consumer *consumer, size_t waiting,
                       int64_t now_ms) {
    struct sys *sys = client_sys(report->items->client);
    int64_t deadline_ms = sys_mono_ms(sys) + READ_MS;
    while (waiting > 0 && sys_mono_ms(sys) < deadline_ms) {
        const struct ottla_record *records;
        size_t count;
        struct ottla_error error;
        if (ottla_consumer_poll(consumer, deadline_ms - sys_mono_ms(sys), &records, &count,
                                &error) != OTTLA_OK) {
            return;
        }
        for (size_t i = 0; i < count; i++) {
            struct row *row = find(report, records[i].topic, records[i].partition);
            if (row == NULL || row->age_ms >= 0) {
                continue;
            }
            row->age_ms = now_ms > records[i].timestamp_ms ? now_ms - records[i].timestamp_ms : 0;
            waiting--;
            struct ottla_partition done = {row->topic, row->partition};
            (void)ottla_consumer_pause(consumer, &done, 1);
        }
    }
}

static void ask_ages(struct report *report) {
    struct arena *arena = cli_arena(report->items->cli);
    struct ottla_position *first = ARENA_ARRAY(arena, struct ottla_position, report->count + 1);
    size_t count = 0;
    for (size_t i = 0; i < report->count; i++) {
        struct row *row = &report->rows[i];
        if (lag_of(row) == 0) {
            row->age_ms = 0;
        } else if (lag_of(row) > 0) {
            first[count++] = (struct ottla_position){.topic = row->topic,
                                                     .partition = row->partition,
                                                     .offset = row->committed,
                                                     .leader_epoch = -1};
        }
    }
    struct ottla_consumer *consumer = NULL;
    if (count > 0 && ottla_consumer_new(report->items->client, &consumer, NULL) == OTTLA_OK &&
        ottla_consumer_assign(consumer, first, count, NULL) == OTTLA_OK) {
        read_first(report, consumer, count, sys_wall_ms(client_sys(report->items->client)));
    }
    ottla_consumer_free(consumer);
}

/* --- output --- */

static const struct cli_column columns[] = {
    {"TOPIC", "topic"},
    {"PARTITION", "partition", true},
    {"COMMITTED", "committed", true},
    {"END", "end", true},
    {"LAG", "lag", true},
    {"BEHIND", "behind", true},
    {"MEMBER", "member"},
    {"CLIENT", "client"},
    {"HOST", "host"},
    {NULL},
};

static json_t *number_or_null(int64_t number) {
    return number < 0 ? json_null() : json_integer(number);
}

static json_t *row_json(const struct row *row) {
    char behind[WHEN_TEXT_SIZE];
    when_duration_format(row->age_ms, behind);
    const struct ottla_group_member *owner = row->owner;
    return json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:s, s:s?, s:s?, s:s?, s:s?}", "topic",
                     row->topic, "partition", row->partition, "committed",
                     number_or_null(row->committed), "end", number_or_null(row->end), "lag",
                     number_or_null(lag_of(row)), "lagMs", number_or_null(row->age_ms), "behind",
                     behind, "member", owner == NULL ? NULL : owner->member_id, "client",
                     owner == NULL ? NULL : owner->client_id, "host",
                     owner == NULL ? NULL : owner->host, "metadata", row->metadata);
}

static json_t *report_json(const struct report *report) {
    int64_t lag = 0;
    int64_t age_ms = 0;
    json_t *rows = json_array();
    for (size_t i = 0; i < report->count; i++) {
        const struct row *row = &report->rows[i];
        lag += lag_of(row) > 0 ? lag_of(row) : 0;
        age_ms = row->age_ms > age_ms ? row->age_ms : age_ms;
        json_array_append_new(rows, row_json(row));
    }
    const struct ottla_group_description *group = report->group;
    return json_pack("{s:s, s:s, s:s, s:s?, s:i, s:I, s:I, s:I, s:o}", "group", group->group,
                     "state", group->state, "type", group->type, "assignor", group->assignor,
                     "coordinator", group->broker_id, "members", (json_int_t)group->member_count,
                     "lag", (json_int_t)lag, "lagMs", (json_int_t)age_ms, "partitions", rows);
}

static void print_report(json_t *group) {
    char behind[WHEN_TEXT_SIZE];
    when_duration_format(json_integer_value(json_object_get(group, "lagMs")), behind);
    printf("%s: %s, %s, %d members, coordinator %d, lag %lld records (%s)\n\n",
           json_string_value(json_object_get(group, "group")),
           json_string_value(json_object_get(group, "state")),
           json_string_value(json_object_get(group, "type")),
           (int)json_integer_value(json_object_get(group, "members")),
           (int)json_integer_value(json_object_get(group, "coordinator")),
           (long long)json_integer_value(json_object_get(group, "lag")), behind);
    cli_print_table(columns, json_incref(json_object_get(group, "partitions")));
}

static json_t *describe(struct items *items, const struct ottla_group_description *group,
                        const struct ottla_group_offsets *offsets) {
    struct report report = {.items = items, .group = group};
    report.rows = ARENA_ARRAY(cli_arena(items->cli), struct row,
                              offsets->position_count + owned_count(group) + 1);
    add_committed(&report, offsets);
    add_owned(&report);
    ask_ends(&report);
    if (!cli_has(items->cli, "no-age")) {
        ask_ages(&report);
    }
    return report_json(&report);
}

static int group_describe(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    if (code != CLI_DONE) {
        return code;
    }
    size_t count = cli_argument_count(cli);
    struct ottla_group_partitions *names =
        ARENA_ARRAY(cli_arena(cli), struct ottla_group_partitions, count);
    for (size_t i = 0; i < count; i++) {
        names[i].group = cli_argument(cli, i);
    }
    items.count = count;
    struct ottla_call *describing = group_describe_start(&items);
    struct ottla_call *listing = ottla_group_offsets_list(items.client, names, count, NULL);
    code = items_wait(&items, describing);
    struct ottla_error error;
    (void)ottla_call_wait(listing, cli_timeout_ms(cli), &error);
    size_t offset_count;
    const struct ottla_group_description *groups =
        ottla_call_group_descriptions(describing, &count);
    const struct ottla_group_offsets *offsets = ottla_call_group_offsets(listing, &offset_count);
    json_t *all = json_array();
    for (size_t i = 0; i < count && i < offset_count; i++) {
        if (groups[i].code != OTTLA_OK) {
            continue;
        }
        json_t *group = describe(&items, &groups[i], &offsets[i]);
        json_array_append_new(all, group);
        if (!cli_wants_json(cli)) {
            print_report(group);
        }
    }
    if (cli_wants_json(cli) && (code == CLI_DONE || code == CLI_PARTLY)) {
        cli_print_json(json_incref(all));
    }
    json_decref(all);
    ottla_call_free(listing);
    ottla_call_free(describing);
    items_end(&items);
    return code;
}

static const struct cli_option options[] = {
    {"no-age", 0, CLI_FLAG, NULL, "without BEHIND, which reads a record of each lagging partition"},
    {NULL},
};
const struct cli_command group_describe_command = {
    .name = "describe",
    .arguments = "GROUP…",
    .summary = "how far groups are: commits, ends, lag in records and in time",
    .examples = "  ottla group describe billing\n"
                "  ottla group describe billing -o json\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_GROUP,
    .run = group_describe,
};
