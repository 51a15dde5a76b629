/* ottla topic alter and trim: more partitions, fewer records. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/output.h"
#include "cli/range.h"
#include "cli/topic_int.h"
#include "client/core.h"
#include "sys/sys.h"

/* --- assignments --- */

static bool parse_broker(const char **at, int32_t *ret_broker) {
    char *end;
    unsigned long broker = strtoul(*at, &end, 10);
    bool good = **at >= '0' && **at <= '9' && broker <= INT32_MAX;
    *at = end;
    *ret_broker = (int32_t)broker;
    return good;
}

bool topic_assignment_parse(struct cli *cli, const char *text, struct ottla_replicas **ret_list,
                            size_t *ret_count) {
    size_t size = strlen(text);
    struct ottla_replicas *list = ARENA_ARRAY(cli_arena(cli), struct ottla_replicas, size + 1);
    int32_t *brokers = ARENA_ARRAY(cli_arena(cli), int32_t, size + 1);
    size_t count = 0;
    list[0].brokers = brokers;
    for (const char *at = text; parse_broker(&at, brokers); at++) {
        brokers++;
        list[count].count++;
        if (*at == '\0') {
            *ret_list = list;
            *ret_count = count + 1;
            return true;
        }
        if (*at == ',') {
            list[++count].brokers = brokers;
        } else if (*at != ':') {
            return false;
        }
    }
    return false;
}

/* --- alter --- */

static int parse_growth(struct cli *cli, struct ottla_new_partitions *ret_model) {
    *ret_model = (struct ottla_new_partitions){.count = (int32_t)cli_number(cli, "partitions", 0)};
    if (ret_model->count <= 0) {
        return cli_fail(cli, CLI_USAGE, "Settings are changed with `ottla config set topic/NAME`.",
                        "say with -p how many partitions there shall be");
    }
    const char *assignment = cli_text(cli, "assignment", NULL);
    struct ottla_replicas *replicas = NULL;
    if (assignment != NULL &&
        !topic_assignment_parse(cli, assignment, &replicas, &ret_model->assignment_count)) {
        return cli_fail(cli, CLI_USAGE, NULL,
                        "--assignment %s: write it as 1:2,2:3 (brokers of one new partition with "
                        "colons, partitions with commas)",
                        assignment);
    }
    ret_model->assignments = replicas;
    return CLI_DONE;
}

static int topic_alter(struct cli *cli) {
    struct ottla_new_partitions model;
    struct items items;
    int code = parse_growth(cli, &model);
    if (code != CLI_DONE || (code = items_start(cli, &items)) != CLI_DONE) {
        return code;
    }
    size_t count = cli_argument_count(cli);
    struct ottla_new_partitions *topics =
        ARENA_ARRAY(cli_arena(cli), struct ottla_new_partitions, count);
    for (size_t i = 0; i < count; i++) {
        topics[i] = model;
        topics[i].topic = cli_argument(cli, i);
    }
    items.count = count;
    struct ottla_admin_options options = {.validate_only = cli_is_dry(cli)};
    struct ottla_call *call = ottla_partitions_create(items.client, topics, count, &options);
    code = items_wait(&items, call);
    if (code != CLI_UNREACHABLE) {
        topic_print_results(&items, call, cli_is_dry(cli) ? "would be altered" : "altered");
    }
    ottla_call_free(call);
    items_end(&items);
    return code;
}

static const struct cli_option alter_options[] = {
    {"partitions", 'p', CLI_NUMBER, "COUNT", "how many there shall be; never fewer than there are",
     .least = 1, .most = INT32_MAX},
    {"assignment", 0, CLI_TEXT, "BROKERS", "1:2,2:3: where each new partition's replicas live"},
    {NULL},
};
const struct cli_command topic_alter_command = {
    .name = "alter",
    .arguments = "TOPIC…",
    .summary = "add partitions to topics",
    .text = "Records with a key may go to another partition from then on, so that their order\n"
            "with older ones of the same key is lost. Partitions cannot be taken away.\n",
    .examples = "  ottla topic alter orders -p 12\n"
                "  ottla topic alter orders -p 12 --dry-run\n",
    .options = alter_options,
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_TOPIC,
    .run = topic_alter,
};

/* --- trim --- */

static const struct cli_column trim_columns[] = {
    {"TOPIC", "topic"},       {"PARTITION", "partition", true},
    {"START", "start", true}, {"END", "end", true},
    {"RESULT", "result"},     {NULL},
};

struct trim {
    struct items items;
    struct items_partitions partitions;
    int64_t *starts; /* where each shall begin */
    int64_t *ends;
};

static int choose_starts(struct trim *trim) {
    struct cli *cli = trim->items.cli;
    const char *to = cli_text(cli, "to", NULL);
    struct range range = {.to.kind = BOUND_LATEST};
    if (to == NULL || !bound_parse(to, sys_wall_ms(client_sys(trim->items.client)), &range.from)) {
        return cli_fail(cli, CLI_USAGE, NULL,
                        "say what goes with --to: OFFSET, +N (the first N), -N (all but the last "
                        "N), 7d-ago, a date, or latest for everything");
    }
    int code = CLI_DONE;
    for (size_t i = 0; code == CLI_DONE && i < cli_argument_count(cli); i++) {
        code = items_partitions_add(&trim->items, cli_argument(cli, i), &trim->partitions);
    }
    if (code == CLI_DONE) {
        code = range_resolve(&trim->items, &range, &trim->partitions, &trim->starts, &trim->ends);
    }
    for (size_t i = 0; code == CLI_DONE && i < trim->partitions.count; i++) {
        /* a count may be more than is there; an offset that is not there is the broker's to refuse
         */
        if (range.from.kind == BOUND_AFTER_FIRST && trim->starts[i] > trim->ends[i]) {
            trim->starts[i] = trim->ends[i];
        }
    }
    return code;
}

static void print_trim(const struct trim *trim, const struct ottla_call *call) {
    size_t count = 0;
    const struct ottla_partition_result *results =
        call == NULL ? NULL : ottla_call_partitions(call, &count);
    json_t *rows = json_array();
    for (size_t i = 0; i < trim->partitions.count; i++) {
        const struct ottla_partition *partition = &trim->partitions.partitions[i];
        bool well = i < count && results[i].code == OTTLA_OK;
        const char *result = call == NULL ? "would be trimmed"
                             : i >= count ? "not asked"
                             : well       ? "trimmed"
                                          : ottla_code_name(results[i].code);
        json_array_append_new(rows,
                              json_pack("{s:s, s:i, s:I, s:I, s:s}", "topic", partition->topic,
                                        "partition", partition->partition, "start",
                                        (json_int_t)(well ? results[i].offset : trim->starts[i]),
                                        "end", (json_int_t)trim->ends[i], "result", result));
    }
    cli_print_rows(trim->items.cli, trim_columns, rows);
}

static int delete_records(struct trim *trim) {
    size_t count = trim->partitions.count;
    struct ottla_position *positions =
        ARENA_ARRAY(cli_arena(trim->items.cli), struct ottla_position, count + 1);
    for (size_t i = 0; i < count; i++) {
        positions[i] =
            (struct ottla_position){.topic = trim->partitions.partitions[i].topic,
                                    .partition = trim->partitions.partitions[i].partition,
                                    .offset = trim->starts[i]};
    }
    trim->items.count = count;
    struct ottla_call *call = ottla_records_delete(trim->items.client, positions, count, NULL);
    int code = items_wait(&trim->items, call);
    if (code != CLI_UNREACHABLE) {
        print_trim(trim, call);
    }
    ottla_call_free(call);
    return code;
}

static int topic_trim(struct cli *cli) {
    struct trim trim = {0};
    int code = items_start(cli, &trim.items);
    if (code != CLI_DONE) {
        return code;
    }
    code = choose_starts(&trim);
    if (code == CLI_DONE && cli_is_dry(cli)) {
        print_trim(&trim, NULL);
    } else if (code == CLI_DONE) {
        code = delete_records(&trim);
    }
    items_end(&trim.items);
    return code;
}

static const struct cli_option trim_options[] = {
    {"to", 't', CLI_TEXT, "WHERE", "what is before goes: OFFSET, +N, -N, 7d-ago, a date, latest"},
    {NULL},
};
const struct cli_command topic_trim_command = {
    .name = "trim",
    .arguments = "TOPIC[:PARTITIONS]…",
    .summary = "delete the oldest records",
    .examples = "  ottla topic trim orders --to 7d-ago --dry-run    where would it begin?\n"
                "  ottla topic trim orders --to -1000               keep the last 1000 of each\n"
                "  ottla topic trim orders:0 --to 5000              partition 0 begins at 5000\n",
    .options = trim_options,
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_TOPIC,
    .run = topic_trim,
};
