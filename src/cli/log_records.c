/* ottla log batches and records: what is in the .log files of a partition. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "cli/log_int.h"
#include "cli/record_text.h"
#include "cli/state_record.h"
#include "cli/when.h"
#include "wire/enums.h"
#include "wire/record_batch.h"

/* One walk over segments. */
struct dump {
    struct cli *cli;
    struct arena arena; /* of one batch */
    struct compression *compression;
    struct buffer scratch;
    struct buffer bytes;
    json_t *rows;                       /* of batches */
    const struct record_format *format; /* of records; NULL: JSON */
    const char *path;
    const char *topic;
    int32_t partition;
    enum state_topic state; /* whose records are told apart; STATE_NONE: bytes */
    int64_t from;
    int64_t left;
    bool printed; /* a record */
    bool bad;
};

static void dump_init(struct dump *dump, struct cli *cli) {
    *dump = (struct dump){.cli = cli,
                          .compression = compression_new(),
                          .from = cli_number(cli, "from", 0),
                          .left = cli_number(cli, "count", INT64_MAX)};
    arena_init(&dump->arena, SIZE_MAX);
}

static void dump_done(struct dump *dump) {
    buffer_done(&dump->scratch);
    buffer_done(&dump->bytes);
    arena_done(&dump->arena);
    compression_free(dump->compression);
}

static bool complain(struct dump *dump, int64_t offset, const char *what) {
    dump->bad = true;
    cli_fail(dump->cli, CLI_FAILED, NULL, "%s: the batch at offset %lld %s", dump->path,
             (long long)offset, what);
    return true;
}

/* --- batches --- */

static const struct cli_column batch_columns[] = {
    {"FIRST", "firstOffset", true},
    {"LAST", "lastOffset", true},
    {"RECORDS", "records", true},
    {"POSITION", "position", true},
    {"BYTES", "bytes", true},
    {"CODEC", "compression"},
    {"LATEST", "latest"},
    {"EPOCH", "leaderEpoch", true},
    {"PRODUCER", "producerId", true},
    {"ITS EPOCH", "producerEpoch", true},
    {"SEQUENCE", "firstSequence", true},
    {"KIND", "kind"},
    {"CRC", "crc"},
    {NULL},
};

static json_t *known(int64_t number) {
    return number < 0 ? json_null() : json_integer(number);
}

static bool add_batch(void *arg, struct sys_file *file, uint64_t position,
                      const struct batch_header *header) {
    struct dump *dump = arg;
    char latest[WHEN_TEXT_SIZE] = "-";
    if (header->last_offset < dump->from) {
        return true;
    }
    bool good = log_batch_read(file, position, header->size, &dump->bytes) &&
                batch_crc_good(header, dump->bytes.data);
    if (!good) {
        complain(dump, header->base_offset, "is damaged: its checksum does not fit");
    }
    if (header->max_timestamp_ms >= 0) {
        when_format(header->max_timestamp_ms, latest);
    }
    int codec = header->attributes & BATCH_COMPRESSION_MASK;
    const char *kind = (header->attributes & BATCH_CONTROL) != 0         ? "control"
                       : (header->attributes & BATCH_TRANSACTIONAL) != 0 ? "transactional"
                                                                         : "data";
    json_array_append_new(
        dump->rows,
        json_pack(
            "{s:s, s:I, s:I, s:i, s:I, s:I, s:i, s:s, s:s, s:I, s:s, s:o, s:o, s:o, s:o, "
            "s:s, s:s}",
            "file", dump->path, "firstOffset", (json_int_t)header->base_offset, "lastOffset",
            (json_int_t)header->last_offset, "records", header->record_count, "position",
            (json_int_t)position, "bytes", (json_int_t)header->size, "magic", (int)header->magic,
            "compression",
            codec < COMPRESSION_TYPE_COUNT ? compression_name((enum compression_type)codec)
                                           : "unknown",
            "timestampType",
            (header->attributes & BATCH_LOG_APPEND_TIME) != 0 ? "LogAppendTime" : "CreateTime",
            "maxTimestamp", (json_int_t)header->max_timestamp_ms, "latest", latest, "leaderEpoch",
            known(header->leader_epoch), "producerId", known(header->producer_id), "producerEpoch",
            header->producer_id < 0 ? json_null() : json_integer(header->producer_epoch),
            "firstSequence", known(header->base_sequence), "kind", kind, "crc",
            good ? "good" : "bad"));
    return --dump->left > 0;
}

static int dump_batches(struct cli *cli, struct sys *sys, const char *path, void *arg) {
    struct dump *dump = arg;
    dump->path = path;
    return dump->left == 0 ? CLI_DONE : log_batches_walk(cli, sys, path, add_batch, dump);
}

static int log_batches(struct cli *cli) {
    struct dump dump;
    dump_init(&dump, cli);
    dump.rows = json_array();
    int code = log_files_each(cli, ".log", dump_batches, &dump);
    cli_print_rows(cli, batch_columns, dump.rows);
    dump_done(&dump);
    return dump.bad ? CLI_FAILED : code;
}

static const struct cli_option batches_options[] = {
    {"from", 0, CLI_NUMBER, "OFFSET", "begin with the batch that has this offset"},
    {"count", 'n', CLI_NUMBER, "COUNT", "so many batches at most"},
    {NULL},
};
const struct cli_command log_batches_command = {
    .name = "batches",
    .arguments = "FOLDER|FILE.log…",
    .summary = "the record batches of a partition; their checksums are checked",
    .examples = "  ottla log batches data/orders-0\n"
                "  ottla log batches data/orders-0/00000000000000000000.log --from 500 -n 1\n",
    .options = batches_options,
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_FILE,
    .local = true,
    .run = log_batches,
};

/* --- records --- */

static void print_json(json_t *json) {
    json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(json);
}

static struct ottla_bytes text_of(struct dump *dump, const json_t *json) {
    if (json == NULL) {
        return (struct ottla_bytes){0};
    }
    char *text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
    struct str copy = arena_str(&dump->arena, str_from_c(text));
    free(text);
    return (struct ottla_bytes){copy.data, copy.size};
}

/* A transaction's state by its name. */
static void name_state(json_t *value) {
    static const char *const names[] = {
        [KAFKA_TRANSACTION_STATE_EMPTY] = "Empty",
        [KAFKA_TRANSACTION_STATE_ONGOING] = "Ongoing",
        [KAFKA_TRANSACTION_STATE_PREPARE_COMMIT] = "PrepareCommit",
        [KAFKA_TRANSACTION_STATE_PREPARE_ABORT] = "PrepareAbort",
        [KAFKA_TRANSACTION_STATE_COMPLETE_COMMIT] = "CompleteCommit",
        [KAFKA_TRANSACTION_STATE_COMPLETE_ABORT] = "CompleteAbort",
        [KAFKA_TRANSACTION_STATE_DEAD] = "Dead",
        [KAFKA_TRANSACTION_STATE_PREPARE_EPOCH_FENCE] = "PrepareEpochFence",
    };
    const json_t *number = json_object_get(value, "transactionStatus");
    json_int_t state = json_integer_value(number);
    if (json_is_integer(number) && state >= 0 &&
        state < (json_int_t)(sizeof names / sizeof *names)) {
        json_object_set_new(value, "transactionStatus", json_string(names[state]));
    }
}

/* {"type": …} and what is in the object. */
static json_t *typed(const char *type, json_t *object) {
    json_t *json = json_pack("{s:s}", "type", type);
    json_object_update(json, object);
    return json;
}

/* A record of the cluster's own: what it says. False: it says nothing that we know. */
static bool print_state(struct dump *dump, const struct record *record, struct ottla_record *out) {
    struct state_record state;
    const char *wrong;
    if (state_record_read(dump->state, record->key, record->value, &dump->arena, &state, &wrong) !=
        ERR_OK) {
        return false;
    }
    state_record_take_apart(&state, &dump->arena);
    bool keyed = state.key != NULL;
    json_t *key = keyed ? typed(state.name, state.key) : NULL;
    json_t *value = keyed ? json_incref(state.value) : typed(state.name, state.value);
    name_state(value);
    out->key = text_of(dump, key);
    out->value = text_of(dump, value);
    if (dump->format != NULL) {
        record_format_print(dump->format, out, stdout);
    } else {
        json_t *json = record_to_json(out);
        json_object_set(json, "key", keyed ? key : json_null());
        json_object_set(json, "value", value != NULL ? value : json_null());
        print_json(json);
    }
    json_decref(key);
    json_decref(value);
    state_record_done(&state);
    return true;
}

static struct ottla_header *headers_of(struct dump *dump, const struct record *record) {
    struct ottla_header *headers =
        ARENA_ARRAY(&dump->arena, struct ottla_header, (size_t)record->header_count + 1);
    size_t position = 0;
    for (int32_t i = 0; i < record->header_count; i++) {
        struct record_header one;
        record_header_next(record, &position, &one);
        headers[i] = (struct ottla_header){.key = one.key.data,
                                           .key_size = one.key.size,
                                           .value = {one.value.data, one.value.size}};
    }
    return headers;
}

static void print(struct dump *dump, const struct batch_header *header,
                  const struct record *record) {
    struct ottla_record out = {
        .topic = dump->topic,
        .partition = dump->partition,
        .offset = record->offset,
        .timestamp_ms = record->timestamp,
        .key = {record->key.data, record->key.size},
        .value = {record->value.data, record->value.size},
        .headers = headers_of(dump, record),
        .header_count = (size_t)record->header_count,
        .leader_epoch = header->leader_epoch,
    };
    bool control = (header->attributes & BATCH_CONTROL) != 0;
    if (dump->state != STATE_NONE && !control && print_state(dump, record, &out)) {
        return;
    }
    if (dump->format != NULL) {
        record_format_print(dump->format, &out, stdout);
    } else {
        print_json(record_to_json(&out));
    }
}

static bool print_batch(void *arg, struct sys_file *file, uint64_t position,
                        const struct batch_header *header) {
    struct dump *dump = arg;
    if (header->last_offset < dump->from ||
        ((header->attributes & BATCH_CONTROL) != 0 && !cli_has(dump->cli, "control"))) {
        return true;
    }
    if (header->magic != 2) {
        return complain(dump, header->base_offset, "is of a format from before Kafka 0.11");
    }
    if (!log_batch_read(file, position, header->size, &dump->bytes) ||
        !batch_crc_good(header, dump->bytes.data)) {
        return complain(dump, header->base_offset, "is damaged: its checksum does not fit");
    }
    struct record_iter iter;
    struct record record;
    buffer_clear(&dump->scratch);
    err_t err = record_iter_init(&iter, dump->bytes.data, header->size, dump->compression,
                                 &dump->scratch, LOG_DECOMPRESSED_SIZE_MAX);
    while (err == ERR_OK && dump->left > 0 && (err = record_iter_next(&iter, &record)) == ERR_OK) {
        arena_reset(&dump->arena);
        if (record.offset >= dump->from) {
            print(dump, header, &record);
            dump->printed = true;
            dump->left--;
        }
    }
    if (err != ERR_OK && err != ERR_NOT_FOUND) {
        return complain(dump, header->base_offset, "has records that cannot be read");
    }
    return dump->left > 0;
}

static int dump_records(struct cli *cli, struct sys *sys, const char *path, void *arg) {
    struct dump *dump = arg;
    dump->path = path;
    dump->topic = log_topic_of(cli_arena(cli), path, &dump->partition);
    dump->state = cli_has(cli, "raw") ? STATE_NONE : state_topic_of(dump->topic);
    return dump->left == 0 ? CLI_DONE : log_batches_walk(cli, sys, path, print_batch, dump);
}

static int log_records(struct cli *cli) {
    struct dump dump;
    dump_init(&dump, cli);
    const char *error = NULL;
    int code = CLI_DONE;
    if (!cli_wants_json(cli)) {
        dump.format =
            record_format_parse(cli_arena(cli), cli_text(cli, "format", "%o\\t%k\\t%v\\n"), &error);
        if (dump.format == NULL) {
            code = cli_fail(cli, CLI_USAGE, "ottla consume --help lists what a format may have.",
                            "--format: nothing is known that is written %.2s", error);
        }
    }
    if (code == CLI_DONE) {
        code = log_files_each(cli, ".log", dump_records, &dump);
        if (code == CLI_DONE && !dump.printed && !dump.bad && !cli_wants_json(cli)) {
            cli_note(cli, "No records.");
        }
    }
    dump_done(&dump);
    return dump.bad && code == CLI_DONE ? CLI_FAILED : code;
}

static const struct cli_option records_options[] = {
    {"from", 0, CLI_NUMBER, "OFFSET", "begin there"},
    {"count", 'n', CLI_NUMBER, "COUNT", "so many records at most"},
    {"format", 'f', CLI_TEXT, "FORMAT", "how a record is printed, as with ottla consume"},
    {"control", 0, CLI_FLAG, NULL, "with the records of control batches (markers of transactions)"},
    {"raw", 0, CLI_FLAG, NULL, "bytes of the cluster's own topics, not what they say"},
    {NULL},
};
const struct cli_command log_records_command = {
    .name = "records",
    .arguments = "FOLDER|FILE.log…",
    .summary = "the records of a partition, read from its files",
    .examples = "  ottla log records data/orders-0\n"
                "  ottla log records data/orders-0 --from 1000 -n 10 -f '%o %d %k\\n'\n"
                "  ottla log records data/orders-0 -o json | jq .value\n"
                "  ottla log records data/__transaction_state-3 -o json |\n"
                "      jq -c 'select(.value.transactionStatus == \"Ongoing\")'\n",
    .text = "Records of __transaction_state, __consumer_offsets, __share_group_state and\n"
            "__cluster_metadata are printed as what they say, in JSON.\n",
    .options = records_options,
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_FILE,
    .local = true,
    .run = log_records,
};
