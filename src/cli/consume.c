/*
 * ottla consume: records of topics, as text or JSON.
 *
 * Two ways. By hand: the range is turned into offsets, each partition is read from its start to its
 * end, and one that is done is paused; all done is the end. In a group (-g): what the group gives,
 * from where it has committed; every batch that was printed is committed before the next is asked
 * for, so a record is printed again only after a crash.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/items.h"
#include "cli/output.h"
#include "cli/range.h"
#include "cli/record_text.h"
#include "client/core.h"
#include "ottla/consumer.h"
#include "sys/linux.h"
#include "sys/sys.h"

enum { POLL_MS = 1000 };

struct consume {
    struct items items;
    struct ottla_consumer *consumer;
    const struct record_format *format; /* NULL: JSON, a line per record */
    int64_t left;                       /* records to print; INT64_MAX: no bound */
    int64_t printed;
    bool exit_at_end;

    /* by hand only */
    struct items_partitions partitions;
    int64_t *ends;
    bool *done;
    size_t done_count;
    size_t found; /* the partition of the last record */
};

/* --- one partition's end --- */

/* Records come in runs of one partition: the search begins where the last one ended. */
static size_t index_of(struct consume *consume, const char *topic, int32_t partition) {
    size_t count = consume->partitions.count;
    for (size_t i = 0; i < count; i++) {
        size_t index = (consume->found + i) % count;
        const struct ottla_partition *at = &consume->partitions.partitions[index];
        if (at->partition == partition && strcmp(at->topic, topic) == 0) {
            consume->found = index;
            return index;
        }
    }
    return SIZE_MAX;
}

static void finish(struct consume *consume, size_t index) {
    if (!consume->done[index]) {
        consume->done[index] = true;
        consume->done_count++;
        (void)ottla_consumer_pause(consume->consumer, &consume->partitions.partitions[index], 1);
    }
}

/* Partitions whose end was reached though its last record was never seen (compacted, or a marker),
 * and, with --exit, those in which there is nothing more now. */
static void look_for_ends(struct consume *consume) {
    for (size_t i = 0; i < consume->partitions.count; i++) {
        const struct ottla_partition *partition = &consume->partitions.partitions[i];
        struct ottla_position position;
        if (ottla_consumer_position(consume->consumer, partition, &position) == OTTLA_OK &&
            position.offset >= consume->ends[i]) {
            finish(consume, i);
        }
        if (consume->exit_at_end && ottla_consumer_at_end(consume->consumer, partition)) {
            finish(consume, i);
        }
    }
}

static bool group_at_end(const struct consume *consume) {
    size_t count = ottla_consumer_assignment(consume->consumer, NULL, 0);
    struct ottla_partition *all = calloc(count + 1, sizeof *all);
    count = ottla_consumer_assignment(consume->consumer, all, count);
    bool end = count > 0;
    for (size_t i = 0; i < count && end; i++) {
        end = ottla_consumer_at_end(consume->consumer, &all[i]);
    }
    free(all);
    return end;
}

/* --- printing --- */

static void print(const struct consume *consume, const struct ottla_record *record) {
    if (consume->format != NULL) {
        record_format_print(consume->format, record, stdout);
        return;
    }
    json_t *json = record_to_json(record);
    json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(json);
}

static void take(struct consume *consume, const struct ottla_record *record) {
    if (consume->left == 0) {
        return;
    }
    if (consume->partitions.count > 0) {
        size_t index = index_of(consume, record->topic, record->partition);
        if (index == SIZE_MAX || consume->done[index]) {
            return;
        }
        if (record->offset >= consume->ends[index]) {
            finish(consume, index);
            return;
        }
    }
    print(consume, record);
    consume->printed++;
    consume->left -= consume->left < INT64_MAX;
}

/* --- reading --- */

static bool is_over(struct consume *consume) {
    if (consume->left == 0) {
        return true;
    }
    if (consume->partitions.count > 0) {
        look_for_ends(consume);
        return consume->done_count == consume->partitions.count;
    }
    return consume->exit_at_end && group_at_end(consume);
}

/* In a group, the batch that was printed; a stop in the middle of one commits up to there. */
static int commit(struct consume *consume, const struct ottla_record *records, size_t count) {
    if (consume->partitions.count > 0 || count == 0) {
        return CLI_DONE;
    }
    struct ottla_position *positions = calloc(count, sizeof *positions);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < used && (positions[at].partition != records[i].partition ||
                             strcmp(positions[at].topic, records[i].topic) != 0)) {
            at++;
        }
        used += at == used;
        positions[at] = (struct ottla_position){.topic = records[i].topic,
                                                .partition = records[i].partition,
                                                .offset = records[i].offset + 1,
                                                .leader_epoch = records[i].leader_epoch};
    }
    struct ottla_error error;
    int64_t timeout_ms = cli_timeout_ms(consume->items.cli);
    int code = ottla_consumer_commit(consume->consumer, positions, used, timeout_ms, &error);
    bool interrupted = code == OTTLA_CLOSED;
    if (interrupted) { /* what was printed is committed all the same; a second signal ends that */
        code = ottla_consumer_commit(consume->consumer, positions, used, timeout_ms, &error);
    }
    free(positions);
    if (interrupted || code == OTTLA_OK) {
        return interrupted ? CLI_INTERRUPTED : CLI_DONE;
    }
    if (ottla_code_retriable(code) || code == ERR_ILLEGAL_GENERATION ||
        code == ERR_UNKNOWN_MEMBER_ID || code == ERR_STALE_MEMBER_EPOCH) {
        cli_note(consume->items.cli, "The group moved on before this commit: %s", error.text);
        return CLI_DONE;
    }
    return cli_fail_with(consume->items.cli, &error);
}

static int read_all(struct consume *consume) {
    int code = CLI_DONE;
    while (code == CLI_DONE && !is_over(consume)) {
        const struct ottla_record *records = NULL;
        size_t count = 0;
        struct ottla_error error;
        int err = ottla_consumer_poll(consume->consumer, POLL_MS, &records, &count, &error);
        if (err == OTTLA_CLOSED) {
            return CLI_INTERRUPTED;
        }
        if (err != OTTLA_OK) {
            code = cli_fail_with(consume->items.cli, &error);
            break;
        }
        size_t taken = 0;
        while (taken < count && consume->left > 0) {
            take(consume, &records[taken++]);
        }
        if (fflush(stdout) != 0) {
            return CLI_FAILED; /* nobody reads us any more */
        }
        code = commit(consume, records, taken);
    }
    return code;
}

/* --- starting --- */

static int start_by_hand(struct consume *consume) {
    struct cli *cli = consume->items.cli;
    struct range range;
    int code = range_parse(cli, sys_wall_ms(client_sys(consume->items.client)), &range);
    for (size_t i = 0; code == CLI_DONE && i < cli_argument_count(cli); i++) {
        code = items_partitions_add(&consume->items, cli_argument(cli, i), &consume->partitions);
    }
    int64_t *starts;
    if (code == CLI_DONE) {
        code =
            range_resolve(&consume->items, &range, &consume->partitions, &starts, &consume->ends);
    }
    if (code != CLI_DONE) {
        return code;
    }
    size_t count = consume->partitions.count;
    consume->done = ARENA_ARRAY(cli_arena(cli), bool, count + 1);
    struct ottla_position *positions =
        ARENA_ARRAY(cli_arena(cli), struct ottla_position, count + 1);
    for (size_t i = 0; i < count; i++) {
        positions[i] =
            (struct ottla_position){.topic = consume->partitions.partitions[i].topic,
                                    .partition = consume->partitions.partitions[i].partition,
                                    .offset = starts[i],
                                    .leader_epoch = -1};
    }
    struct ottla_error error;
    if (ottla_consumer_assign(consume->consumer, positions, count, &error) != OTTLA_OK) {
        return cli_fail_with(cli, &error);
    }
    for (size_t i = 0; i < count; i++) {
        if (starts[i] >= consume->ends[i]) {
            finish(consume, i);
        }
    }
    return CLI_DONE;
}

static int start_in_group(struct consume *consume) {
    struct cli *cli = consume->items.cli;
    size_t count = cli_argument_count(cli);
    const char *const *topics = cli_arguments(cli);
    struct ottla_error error;
    int code = cli_has(cli, "regex")
                   ? ottla_consumer_subscribe_pattern(consume->consumer, topics[0], NULL, &error)
                   : ottla_consumer_subscribe(consume->consumer, topics, count, NULL, &error);
    return code == OTTLA_OK ? CLI_DONE : cli_fail_with(cli, &error);
}

/* In a group, --from says where it starts when it has committed nothing yet. */
static int add_settings(struct cli *cli, struct ottla_config *config) {
    const char *group = cli_text(cli, "group", NULL);
    const char *from = cli_text(cli, "from", "earliest");
    struct ottla_error error = {0};
    int code = ottla_config_set(config, "enable.auto.commit", "false", &error);
    if (code == OTTLA_OK && group != NULL) {
        if (cli_has(cli, "range") || cli_has(cli, "to") ||
            (strcmp(from, "earliest") != 0 && strcmp(from, "latest") != 0)) {
            return cli_fail(cli, CLI_USAGE, "ottla group reset moves a group.",
                            "a group reads from where it has committed; --from earliest|latest "
                            "says where it begins at first");
        }
        code = ottla_config_set(config, "group.id", group, &error);
        if (code == OTTLA_OK) {
            code = ottla_config_set(config, "auto.offset.reset", from, &error);
        }
    }
    return code == OTTLA_OK ? CLI_DONE : cli_fail(cli, CLI_USAGE, NULL, "%s", error.text);
}

static int start(struct consume *consume) {
    struct cli *cli = consume->items.cli;
    struct ottla_config *config;
    int code = cli_config(cli, &config);
    if (code == CLI_DONE) {
        code = add_settings(cli, config);
        if (code == CLI_DONE) {
            code = cli_connect_with(cli, config, &consume->items.client);
        }
        ottla_config_free(config);
    }
    struct ottla_error error;
    if (code == CLI_DONE &&
        ottla_consumer_new(consume->items.client, &consume->consumer, &error) != OTTLA_OK) {
        code = cli_fail_with(cli, &error);
    }
    if (code != CLI_DONE) {
        return code;
    }
    return cli_has(cli, "group") ? start_in_group(consume) : start_by_hand(consume);
}

static void on_signal(void *arg, int signal) {
    (void)signal;
    ottla_client_interrupt(arg);
}

static int parse_output(struct cli *cli, struct consume *consume) {
    const char *text = cli_text(cli, "format", cli_has(cli, "keys") ? "%k\\t%v\\n" : "%v\\n");
    consume->left = cli_number(cli, "count", INT64_MAX);
    consume->exit_at_end = cli_has(cli, "exit");
    if (cli_wants_json(cli)) {
        return CLI_DONE;
    }
    const char *error;
    consume->format = record_format_parse(cli_arena(cli), text, &error);
    return consume->format != NULL
               ? CLI_DONE
               : cli_fail(cli, CLI_USAGE, "ottla consume --help lists what a format may have.",
                          "--format: nothing is known that is written %.2s", error);
}

static int consume_run(struct cli *cli) {
    struct consume consume = {.items.cli = cli};
    if (cli_text(cli, "group", "-")[0] == '\0') {
        return cli_fail(cli, CLI_USAGE, NULL, "-g: a group has a name");
    }
    if (cli_has(cli, "regex") && !cli_has(cli, "group")) {
        return cli_fail(cli, CLI_USAGE, NULL, "--regex subscribes a group: say which with -g");
    }
    int code = parse_output(cli, &consume);
    if (code == CLI_DONE) {
        code = start(&consume);
    }
    if (code == CLI_DONE) {
        (void)sys_linux_on_signals(client_sys(consume.items.client),
                                   client_loop(consume.items.client), on_signal,
                                   consume.items.client);
        cli_tell_trouble(cli, consume.items.client);
        code = read_all(&consume);
    }
    if (consume.consumer != NULL) {
        (void)ottla_consumer_close(consume.consumer, cli_timeout_ms(cli));
        ottla_consumer_free(consume.consumer);
        if (sys_linux_terminal_columns(1) > 0) {
            cli_note(cli, "%" PRId64 " records", consume.printed);
        }
    }
    items_end(&consume.items);
    return code;
}

static const struct cli_option options[] = {
    {"from", 0, CLI_TEXT, "WHERE",
     "earliest (the default), latest, OFFSET, +N, -N, 1h-ago, a date"},
    {"to", 0, CLI_TEXT, "WHERE", "where to stop, before it; else follow"},
    {"range", 'r', CLI_TEXT, "RANGE", "both in one: 10:20, +10, -10, @1h-ago:now"},
    {"count", 'n', CLI_NUMBER, "COUNT", "stop after so many records"},
    {"exit", 'e', CLI_FLAG, NULL, "stop at the end of all partitions instead of waiting for more"},
    {"group", 'g', CLI_TEXT, "GROUP", "read as a member of this group, and commit", NULL,
     CLI_COMPLETE_GROUP},
    {"regex", 0, CLI_FLAG, NULL, "with -g: the argument is an expression over topics' names"},
    {"format", 'f', CLI_TEXT, "FORMAT", "how a record is printed; see above"},
    {"keys", 'k', CLI_FLAG, NULL, "key, tab, value"},
    {NULL},
};

const struct cli_command cli_consume_command = {
    .name = "consume",
    .arguments = "TOPIC[:PARTITIONS]…",
    .summary = "print records",
    .text =
        "A format is text with %t topic, %p partition, %o offset, %T timestamp (ms), %d the same\n"
        "as a date, %k key, %v value, %K and %V their sizes, %h headers, %e leader epoch, %%,\n"
        "\\n \\t \\r \\0 \\xHH. A null prints as nothing, its size as -1.\n"
        "-o json prints an object per line, which `ottla produce --json` takes back.\n"
        "\n"
        "+10 is the first ten of each partition, -10 the last ten; without -e, an end that is not\n"
        "there yet is waited for.\n",
    .examples =
        "  ottla consume orders                               everything, and follow\n"
        "  ottla consume orders -e --from 1h-ago              the last hour\n"
        "  ottla consume orders -r -10 -e                     the last ten of each partition\n"
        "  ottla consume orders:0 -r 100:200 -f '%o %k %v\\n'  offsets 100 to 199\n"
        "  ottla consume orders -g billing                    as a member of a group\n"
        "  ottla consume orders -X isolation.level=read_committed   no aborted transactions\n"
        "  ottla consume orders -e -o json | jq .value\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_TOPIC,
    .run = consume_run,
};
