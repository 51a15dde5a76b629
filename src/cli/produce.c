/*
 * ottla produce: records to a topic, from arguments, standard input or files.
 *
 * Input is cut into records at a delimiter (a line each, unless --delimiter), or is one record as a
 * whole (--whole), or a JSON object per line (--json). Each record is handed to libottla, which
 * batches; the command ends when all of them were acknowledged or have failed. A signal ends the
 * input, and where that has ended already, the wait for acknowledgements.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/items.h"
#include "cli/output.h"
#include "cli/record_text.h"
#include "client/core.h"
#include "ottla/producer.h"
#include "sys/linux.h"
#include "sys/sys.h"

enum { RECORD_SIZE_MAX = 1 << 30, FAILURES_SHOWN = 5 };

struct produce {
    struct items items;
    struct ottla_producer *producer;
    struct ottla_record model;        /* what the options say of every record */
    struct ottla_bytes delimiter;     /* between records */
    struct ottla_bytes key_delimiter; /* between key and value; size 0: no keys in the input */
    struct arena arena;               /* of one JSON record */
    int64_t number;                   /* of the record, for messages */
    int64_t delivered;
    int64_t failed;
    int code;     /* of the first failure */
    bool ended;   /* the input */
    bool stopped; /* by a signal */
};

/* --- deliveries --- */

static void print_delivery(const struct ottla_delivery *delivery) {
    json_t *json = json_pack("{s:s, s:i, s:I, s:I, s:s}", "topic", delivery->topic, "partition",
                             delivery->partition, "offset", (json_int_t)delivery->offset,
                             "timestamp", (json_int_t)delivery->timestamp_ms, "result",
                             delivery->code == OTTLA_OK ? "OK" : ottla_code_name(delivery->code));
    json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(json);
}

static void on_delivery(void *arg, const struct ottla_delivery *delivery) {
    struct produce *produce = arg;
    if (cli_wants_json(produce->items.cli)) {
        print_delivery(delivery);
    }
    if (delivery->code == OTTLA_OK) {
        produce->delivered++;
        return;
    }
    produce->code = produce->failed == 0 ? (int)cli_exit_of(delivery->code) : produce->code;
    if (produce->failed++ < FAILURES_SHOWN) {
        cli_fail(produce->items.cli, CLI_FAILED, NULL, "%s (%s)", delivery->text,
                 ottla_code_name(delivery->code));
    }
}

/* --- one record --- */

static int send(struct produce *produce, const struct ottla_record *record) {
    struct ottla_error error;
    produce->number++;
    int code = ottla_produce_wait(produce->producer, record, on_delivery, produce, &error);
    return code == OTTLA_OK ? CLI_DONE
                            : cli_fail(produce->items.cli, cli_exit_of(code), NULL,
                                       "record %" PRId64 ": %s (%s)", produce->number, error.text,
                                       ottla_code_name(code));
}

static int send_json(struct produce *produce, const char *text, size_t size) {
    struct ottla_record record = produce->model;
    json_error_t parse_error;
    json_t *json = json_loadb(text, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, &parse_error);
    arena_reset(&produce->arena);
    const char *error =
        json == NULL ? parse_error.text : record_from_json(json, &produce->arena, &record);
    int code = error == NULL ? send(produce, &record)
                             : cli_fail(produce->items.cli, CLI_FAILED, NULL,
                                        "record %" PRId64 ": %s", produce->number + 1, error);
    json_decref(json);
    return code;
}

static int send_text(struct produce *produce, const char *text, size_t size) {
    struct cli *cli = produce->items.cli;
    if (cli_has(cli, "json")) {
        return size == 0 ? CLI_DONE : send_json(produce, text, size);
    }
    struct ottla_record record = produce->model;
    const char *value = text;
    const char *split =
        produce->key_delimiter.size == 0
            ? NULL
            : memmem(text, size, produce->key_delimiter.data, produce->key_delimiter.size);
    if (split != NULL) {
        record.key = (struct ottla_bytes){text, (size_t)(split - text)};
        value = split + produce->key_delimiter.size;
    }
    record.value = (struct ottla_bytes){value, size - (size_t)(value - text)};
    if (cli_has(cli, "tombstone") && record.value.size == 0) {
        record.value.data = NULL;
    }
    return send(produce, &record);
}

/* --- input --- */

static int read_input(struct produce *produce, FILE *file, const char *name) {
    struct cli *cli = produce->items.cli;
    bool whole = cli_has(cli, "whole");
    struct ottla_bytes delimiter = whole ? (struct ottla_bytes){"", 0} : produce->delimiter;
    struct ottla_bytes piece;
    struct input input;
    int code = CLI_DONE;
    bool any = false;
    err_t err;
    input_init(&input, produce->items.client, fileno(file));
    input.stopped = &produce->stopped;
    while ((err = input_next(&input, delimiter, RECORD_SIZE_MAX, &piece)) == ERR_OK &&
           (code = send_text(produce, piece.data, piece.size)) == CLI_DONE) {
        any = true;
        ottla_client_run(produce->items.client, 0);
    }
    input_done(&input);
    if (err == ERR_LIMIT) {
        return cli_fail(cli, CLI_FAILED, NULL, "%s: no end of a record within 1 GiB", name);
    }
    if (err == ERR_IO) {
        return cli_fail(cli, CLI_FAILED, NULL, "%s cannot be read", name);
    }
    bool empty = code == CLI_DONE && !any && !produce->stopped;
    return whole && empty ? send_text(produce, "", 0) : code;
}

static int read_files(struct produce *produce) {
    struct cli *cli = produce->items.cli;
    const char *const *values;
    size_t count = cli_texts(cli, "value", &values);
    int code = CLI_DONE;
    for (size_t i = 0; i < count && code == CLI_DONE; i++) {
        code = send_text(produce, values[i], strlen(values[i]));
    }
    if (count > 0) {
        return code;
    }
    if (cli_argument_count(cli) == 1) {
        return read_input(produce, stdin, "standard input");
    }
    for (size_t i = 1; i < cli_argument_count(cli) && code == CLI_DONE; i++) {
        const char *name = cli_argument(cli, i);
        FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
        if (file == NULL) {
            return cli_fail(cli, CLI_FAILED, NULL, "%s cannot be opened", name);
        }
        code = read_input(produce, file, name);
        if (file != stdin) {
            fclose(file);
        }
    }
    return code;
}

/* --- options --- */

static int parse_headers(struct cli *cli, struct ottla_record *model) {
    const char *const *texts;
    size_t count = cli_texts(cli, "header", &texts);
    struct ottla_header *headers = ARENA_ARRAY(cli_arena(cli), struct ottla_header, count + 1);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(texts[i], '=');
        if (equals == NULL) {
            return cli_fail(cli, CLI_USAGE, NULL, "--header %s: write it as key=value", texts[i]);
        }
        headers[i] = (struct ottla_header){.key = texts[i],
                                           .key_size = (size_t)(equals - texts[i]),
                                           .value = {equals + 1, strlen(equals + 1)}};
    }
    model->headers = headers;
    model->header_count = count;
    return CLI_DONE;
}

static int parse_options(struct produce *produce) {
    struct cli *cli = produce->items.cli;
    const char *key = cli_text(cli, "key", NULL);
    produce->model = (struct ottla_record){
        .topic = cli_argument(cli, 0),
        .partition = (int32_t)cli_number(cli, "partition", OTTLA_PARTITION_ANY),
        .timestamp_ms = cli_number(cli, "timestamp", OTTLA_TIMESTAMP_NOW),
        .key = {key, key == NULL ? 0 : strlen(key)},
    };
    produce->delimiter = record_unescape(cli_arena(cli), cli_text(cli, "delimiter", "\\n"));
    produce->key_delimiter = record_unescape(cli_arena(cli), cli_text(cli, "key-delimiter", ""));
    if (produce->delimiter.size == 0 || produce->key_delimiter.data == NULL) {
        return cli_fail(cli, CLI_USAGE, NULL, "a delimiter is text, with \\n, \\t or \\xHH in it");
    }
    return parse_headers(cli, &produce->model);
}

static int start(struct produce *produce) {
    struct cli *cli = produce->items.cli;
    struct ottla_config *config;
    struct ottla_error error = {0};
    int code = cli_config(cli, &config);
    if (code != CLI_DONE) {
        return code;
    }
    const char *codec = cli_text(cli, "compression", NULL);
    if (codec != NULL && ottla_config_set(config, "compression.type", codec, &error) != OTTLA_OK) {
        code = cli_fail(cli, CLI_USAGE, NULL, "%s", error.text);
    }
    if (code == CLI_DONE) {
        code = cli_connect_with(cli, config, &produce->items.client);
    }
    ottla_config_free(config);
    if (code == CLI_DONE &&
        ottla_producer_new(produce->items.client, &produce->producer, &error) != OTTLA_OK) {
        code = cli_fail(cli, CLI_USAGE, NULL, "%s", error.text);
    }
    return code;
}

static void on_signal(void *arg, int signal) {
    struct produce *produce = arg;
    (void)signal;
    if (produce->ended || produce->stopped) {
        ottla_client_interrupt(produce->items.client);
    }
    produce->stopped = true;
}

static int run(struct produce *produce) {
    struct cli *cli = produce->items.cli;
    int code = start(produce);
    int32_t partition_count;
    if (code == CLI_DONE) { /* before the input is read: it may be somebody who types */
        code = items_partition_count(&produce->items, produce->model.topic, &partition_count);
    }
    if (code == CLI_DONE && produce->model.partition >= partition_count) {
        code = cli_fail(cli, CLI_NOT_FOUND, NULL,
                        "--partition %" PRId32 ": %s has %" PRId32 " partitions, the first is 0",
                        produce->model.partition, produce->model.topic, partition_count);
    }
    if (code == CLI_DONE && cli_is_dry(cli)) {
        cli_note(cli, "%s has %" PRId32 " partitions; nothing was sent", produce->model.topic,
                 partition_count);
        return CLI_DONE;
    }
    if (code == CLI_DONE) {
        (void)sys_linux_on_signals(client_sys(produce->items.client),
                                   client_loop(produce->items.client), on_signal, produce);
        cli_tell_trouble(cli, produce->items.client);
        code = read_files(produce);
        produce->ended = true;
    }
    if (produce->producer != NULL && produce->number > 0 &&
        ottla_producer_flush(produce->producer, -1) == OTTLA_CLOSED) {
        produce->stopped = true;
    }
    if (produce->stopped) {
        return CLI_INTERRUPTED;
    }
    if (code == CLI_DONE && produce->failed > 0) {
        code = produce->delivered > 0 ? CLI_PARTLY : produce->code;
    }
    return code;
}

static int produce_run(struct cli *cli) {
    struct produce produce = {.items.cli = cli};
    arena_init(&produce.arena, SIZE_MAX);
    int code = parse_options(&produce);
    if (code == CLI_DONE) {
        code = run(&produce);
        ottla_producer_free(produce.producer);
        items_end(&produce.items);
        if (produce.number > 0) {
            cli_note(cli, "%" PRId64 " records acknowledged, %" PRId64 " failed", produce.delivered,
                     produce.failed);
        }
    }
    arena_done(&produce.arena);
    return code;
}

static const struct cli_option options[] = {
    {"key", 'k', CLI_TEXT, "KEY", "the key of every record"},
    {"key-delimiter", 'K', CLI_TEXT, "TEXT",
     "what stands between key and value in the input: '\\t', ':'"},
    {"value", 'V', CLI_TEXTS, "VALUE", "a record, instead of input"},
    {"header", 'H', CLI_TEXTS, "KEY=VALUE", "a header of every record"},
    {"partition", 'p', CLI_NUMBER, "NUMBER", "where all of them go; else by key",
     .most = INT32_MAX},
    {"timestamp", 0, CLI_NUMBER, "MS", "the timestamp of every record; else now"},
    {"delimiter", 'D', CLI_TEXT, "TEXT", "what ends a record (\\n)"},
    {"whole", 'w', CLI_FLAG, NULL, "each file, or the input, is one record"},
    {"json", 'j', CLI_FLAG, NULL,
     "the input has a JSON object per line, as ottla consume -o json prints"},
    {"tombstone", 'Z', CLI_FLAG, NULL, "an empty value is null: it deletes in compacted topics"},
    {"compression", 'z', CLI_TEXT, "CODEC", "of batches", "none|gzip|snappy|lz4|zstd",
     CLI_COMPLETE_CHOICE},
    {NULL},
};

const struct cli_command cli_produce_command = {
    .name = "produce",
    .arguments = "TOPIC [FILE…]",
    .summary = "send records: lines of the input, files, or what --value says",
    .text =
        "With -o json each delivery is printed as an object: topic, partition, offset, result.\n",
    .examples =
        "  echo hello | ottla produce orders\n"
        "  ottla produce orders -V hello -k customer-1 -H source=shell\n"
        "  ottla produce orders -K : < keys-and-values.txt\n"
        "  ottla produce orders -V '' -k customer-1 -Z        a tombstone\n"
        "  ottla consume a -e -o json | ottla produce b --json  copies keys and headers, too\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_TOPIC,
    .run = produce_run,
};
