/* ottla group reset: moves what a group has committed. The group must have no members. */
#include <stdlib.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/group_int.h"
#include "cli/output.h"
#include "cli/when.h"
#include "client/core.h"
#include "sys/sys.h"

/* Where to: what --to says. */
enum target_kind { TO_OFFSET, TO_TIME, TO_EARLIEST, TO_LATEST, BY };

struct target {
    enum target_kind kind;
    int64_t number; /* the offset, the time in ms, or how many records further */
};

struct reset {
    struct items *items;
    const char *group;
    struct target target;
    struct items_partitions partitions;
    int64_t *committed; /* by partition; OTTLA_OFFSET_NONE */
    int64_t *first;
    int64_t *end;
    struct ottla_position *positions; /* the result */
    int *codes;
};

static int parse_target(struct cli *cli, int64_t now_ms, struct target *ret_target) {
    const char *to = cli_text(cli, "to", NULL);
    char *end;
    if (to == NULL) {
        return cli_fail(cli, CLI_USAGE, NULL,
                        "say where --to: earliest, latest, OFFSET, +N, -N or a time");
    }
    *ret_target = (struct target){.kind = TO_EARLIEST};
    if (strcmp(to, "earliest") == 0) {
        return CLI_DONE;
    }
    if (strcmp(to, "latest") == 0) {
        ret_target->kind = TO_LATEST;
        return CLI_DONE;
    }
    ret_target->kind = to[0] == '+' || to[0] == '-' ? BY : TO_OFFSET;
    ret_target->number = strtoll(to, &end, 10);
    if (end != to && *end == '\0') {
        return CLI_DONE;
    }
    ret_target->kind = TO_TIME;
    return when_parse(to + (to[0] == '@'), now_ms, &ret_target->number)
               ? CLI_DONE
               : cli_fail(cli, CLI_USAGE, NULL,
                          "--to %s: write earliest, latest, OFFSET, +N, -N, 1h-ago, "
                          "2026-11-21T10:00 or @1795257015250",
                          to);
}

/* --- what is there --- */

static int ask_committed(struct reset *reset) {
    bool all = reset->partitions.count == 0;
    struct ottla_group_partitions asked = {
        .group = reset->group,
        .partitions = all ? NULL : reset->partitions.partitions,
        .partition_count = reset->partitions.count,
    };
    struct ottla_call *call = ottla_group_offsets_list(reset->items->client, &asked, 1, NULL);
    int code = items_wait(reset->items, call);
    size_t group_count;
    const struct ottla_group_offsets *offsets = ottla_call_group_offsets(call, &group_count);
    size_t count = code == CLI_DONE && group_count == 1 ? offsets->position_count : 0;
    struct arena *arena = cli_arena(reset->items->cli);
    if (all) {
        reset->partitions.partitions = ARENA_ARRAY(arena, struct ottla_partition, count + 1);
        for (size_t i = 0; i < count; i++) {
            reset->partitions.partitions[i] = (struct ottla_partition){
                arena_c_str(arena, str_from_c(offsets->positions[i].topic)),
                offsets->positions[i].partition};
        }
        reset->partitions.count = count;
    }
    reset->committed = ARENA_ARRAY(arena, int64_t, reset->partitions.count + 1);
    for (size_t i = 0; i < reset->partitions.count; i++) { /* in the order asked for */
        reset->committed[i] = i < count ? offsets->positions[i].offset : OTTLA_OFFSET_NONE;
    }
    ottla_call_free(call);
    return code;
}

/* --- where they go --- */

/* Within what the partition has: a commit outside would only be reset by the next reader. */
static int64_t goal(const struct reset *reset, size_t i, const int64_t *at_time) {
    int64_t base = reset->committed[i] >= 0 ? reset->committed[i] : reset->first[i];
    int64_t offset = reset->target.number;
    switch (reset->target.kind) {
    case TO_EARLIEST:
        offset = reset->first[i];
        break;
    case TO_LATEST:
        offset = reset->end[i];
        break;
    case TO_TIME:
        offset = at_time[i] < 0 ? reset->end[i] : at_time[i];
        break;
    case BY: /* any number may have been typed: the sum is not made where it would overflow */
        offset = offset > reset->end[i] - base ? reset->end[i] : base + offset;
        break;
    case TO_OFFSET:
        break;
    }
    offset = offset > reset->end[i] ? reset->end[i] : offset;
    return offset < reset->first[i] ? reset->first[i] : offset;
}

static int choose(struct reset *reset) {
    int64_t *at_time = NULL;
    int code =
        items_offsets(reset->items, &reset->partitions, OTTLA_OFFSET_EARLIEST, &reset->first);
    if (code == CLI_DONE) {
        code = items_offsets(reset->items, &reset->partitions, OTTLA_OFFSET_LATEST, &reset->end);
    }
    if (code == CLI_DONE && reset->target.kind == TO_TIME) {
        code = items_offsets(reset->items, &reset->partitions, reset->target.number, &at_time);
    }
    if (code != CLI_DONE) {
        return code;
    }
    size_t count = reset->partitions.count;
    reset->positions = ARENA_ARRAY(cli_arena(reset->items->cli), struct ottla_position, count + 1);
    for (size_t i = 0; i < count; i++) {
        reset->positions[i] =
            (struct ottla_position){.topic = reset->partitions.partitions[i].topic,
                                    .partition = reset->partitions.partitions[i].partition,
                                    .offset = goal(reset, i, at_time),
                                    .leader_epoch = -1};
    }
    return CLI_DONE;
}

/* --- doing it --- */

static const struct cli_column columns[] = {
    {"TOPIC", "topic"},     {"PARTITION", "partition", true},
    {"FROM", "from", true}, {"TO", "to", true},
    {"RESULT", "result"},   {NULL},
};

static int print(const struct reset *reset, const struct ottla_call *call) {
    size_t count = 0;
    const struct ottla_partition_result *results =
        call == NULL ? NULL : ottla_call_partitions(call, &count);
    json_t *rows = json_array();
    for (size_t i = 0; i < reset->partitions.count; i++) {
        const char *result = call == NULL                  ? "would be moved"
                             : i >= count                  ? "not asked"
                             : results[i].code == OTTLA_OK ? "moved"
                                                           : ottla_code_name(results[i].code);
        json_array_append_new(
            rows,
            json_pack("{s:s, s:i, s:o, s:I, s:s}", "topic", reset->positions[i].topic, "partition",
                      reset->positions[i].partition, "from",
                      reset->committed[i] < 0 ? json_null() : json_integer(reset->committed[i]),
                      "to", (json_int_t)reset->positions[i].offset, "result", result));
    }
    return cli_print_rows(reset->items->cli, columns, rows);
}

static int move(struct reset *reset) {
    if (cli_is_dry(reset->items->cli)) {
        return print(reset, NULL);
    }
    struct ottla_call *call = ottla_group_offsets_alter(
        reset->items->client, reset->group, reset->positions, reset->partitions.count, NULL);
    reset->items->count = reset->partitions.count;
    int code = items_wait(reset->items, call);
    print(reset, call);
    ottla_call_free(call);
    return code;
}

static int group_reset(struct cli *cli) {
    struct items items;
    int code = items_start(cli, &items);
    if (code != CLI_DONE) {
        return code;
    }
    struct reset reset = {.items = &items, .group = cli_argument(cli, 0)};
    code = parse_target(cli, sys_wall_ms(client_sys(items.client)), &reset.target);
    for (size_t i = 1; code == CLI_DONE && i < cli_argument_count(cli); i++) {
        code = items_partitions_add(&items, cli_argument(cli, i), &reset.partitions);
    }
    if (code == CLI_DONE) {
        code = ask_committed(&reset);
    }
    if (code == CLI_DONE && reset.partitions.count == 0) {
        code = cli_fail(cli, CLI_NOT_FOUND, "Name the topics it shall read.",
                        "%s has committed nothing", reset.group);
    }
    if (code == CLI_DONE) {
        code = choose(&reset);
    }
    if (code == CLI_DONE) {
        code = move(&reset);
    }
    items_end(&items);
    return code;
}

static const struct cli_option options[] = {
    {"to", 't', CLI_TEXT, "WHERE",
     "earliest, latest, OFFSET, 1h-ago, a date, @MS; +N, -N from where it is"},
    {NULL},
};
const struct cli_command group_reset_command = {
    .name = "reset",
    .arguments = "GROUP [TOPIC[:PARTITIONS]…]",
    .summary = "move what a group has committed",
    .text = "Without topics all partitions move that the group has committed. The group must have\n"
            "no members: stop them first. Offsets outside of a partition go to its nearest end.\n",
    .examples = "  ottla group reset billing --to earliest --dry-run\n"
                "  ottla group reset billing orders --to 1h-ago\n"
                "  ottla group reset billing orders:0,3-5 --to -100\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_GROUP,
    .run = group_reset,
};
