/* kafka-dump-log: the records of a batch, of any magic. */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/kafka/dump_log_int.h"
#include "wire/json.h"
#include "wire/message_set.h"
#include "wire/messages.h"

enum { DECOMPRESSED_SIZE_MAX = 1 << 30, VERSION_SIZE = 2 };

const char *dump_log_yes(bool is) {
    return is ? "true" : "false";
}

const char *dump_log_time_name(const struct batch_header *header) {
    return header->magic == 0                                  ? "NoTimestampType"
           : (header->attributes & BATCH_LOG_APPEND_TIME) != 0 ? "LogAppendTime"
                                                               : "CreateTime";
}

static bool is_control(const struct batch_header *header) {
    return header->magic == 2 && (header->attributes & BATCH_CONTROL) != 0;
}

/* --- one by one --- */

struct reader {
    const struct batch_header *header;
    struct record_iter records;   /* of magic 2 */
    struct message_iter messages; /* below it */
    struct record_batch message;  /* which of them the record is */
};

/* The batch is the one that dump_log_load has brought. */
static err_t reader_init(struct reader *reader, struct dump *dump,
                         const struct batch_header *header) {
    struct record_batch batch = {dump->bytes.data, header->size, header->magic};
    *reader = (struct reader){.header = header, .message = batch};
    buffer_clear(&dump->scratch);
    return header->magic == 2
               ? record_iter_init(&reader->records, batch.data, batch.size, dump->compression,
                                  &dump->scratch, DECOMPRESSED_SIZE_MAX)
               : message_iter_init(&reader->messages, &batch, dump->compression, &dump->scratch,
                                   DECOMPRESSED_SIZE_MAX);
}

static err_t reader_next(struct reader *reader, struct record *ret_record) {
    if (reader->header->magic == 2) {
        return record_iter_next(&reader->records, ret_record);
    }
    size_t position = reader->messages.position;
    err_t err = message_iter_next(&reader->messages, ret_record);
    if (err == ERR_OK && reader->messages.inner.data != NULL) {
        err = record_batch_next(reader->messages.inner, &position, &reader->message);
    }
    return err;
}

/* --- control records --- */

static const struct control {
    const char *name;
    const struct wire_type *type;
} controls[] = {
    [CONTROL_RECORD_LEADER_CHANGE] = {"LeaderChange:", &leader_change_message_type},
    [CONTROL_RECORD_SNAPSHOT_HEADER] = {"SnapshotHeader", &snapshot_header_record_type},
    [CONTROL_RECORD_SNAPSHOT_FOOTER] = {"SnapshotFooter", &snapshot_footer_record_type},
    [CONTROL_RECORD_KRAFT_VERSION] = {"KRaftVersion", &kraft_version_record_type},
    [CONTROL_RECORD_KRAFT_VOTERS] = {"KRaftVoters", &voters_record_type},
};

/* A message that begins with its version, as JSON. False: it is none. */
static bool print_message(struct dump *dump, const struct control *control, struct bytes value) {
    void *message = arena_alloc(&dump->arena, wire_struct_size(control->type));
    int16_t version = value.size < VERSION_SIZE ? -1 : (int16_t)get_be16(value.data);
    size_t used;
    if (message == NULL || !wire_version_valid(control->type, version) ||
        wire_decode(control->type, version, value, &dump->arena, message, &used) != ERR_OK) {
        return false;
    }
    json_t *json = wire_to_json(control->type, version, message);
    printf(" %s ", control->name);
    json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(json);
    return true;
}

static void print_control(struct dump *dump, const struct batch_header *header,
                          const struct record *record) {
    int marker;
    int32_t epoch;
    int16_t type;
    if (batch_marker_read(header, dump->bytes.data, &marker, &epoch)) {
        printf(" endTxnMarker: %s coordinatorEpoch: %d",
               marker == MARKER_COMMIT ? "COMMIT" : "ABORT", (int)epoch);
        return;
    }
    if (control_record_key_read(record->key, &type) != ERR_OK) {
        return;
    }
    bool known = type >= 0 && (size_t)type < sizeof controls / sizeof controls[0] &&
                 controls[type].type != NULL;
    if (!known || !print_message(dump, &controls[type], record->value)) {
        printf(" controlType: UNKNOWN(%d)", (int)type);
    }
}

/* --- records --- */

static void print_headers(const struct record *record) {
    size_t position = 0;
    fputs(" headerKeys: [", stdout);
    for (int32_t i = 0; i < record->header_count; i++) {
        struct record_header header;
        record_header_next(record, &position, &header);
        printf("%s%.*s", i == 0 ? "" : ",", STR_ARGS(header.key));
    }
    putchar(']');
}

static void print_own(struct dump *dump, const struct batch_header *header,
                      const struct record *record) {
    int64_t sequence = (int64_t)header->base_sequence + record->offset_delta;
    printf(" sequence: %" PRId64, header->base_sequence < 0 ? -1 : sequence & INT32_MAX);
    print_headers(record);
    if (is_control(header)) {
        print_control(dump, header, record);
    }
}

static void print_metadata(struct dump *dump, const struct reader *reader,
                           const struct record *record) {
    const struct batch_header *header = reader->header;
    printf("| offset: %" PRId64 " %s: %" PRId64 " keySize: %" PRId64 " valueSize: %" PRId64,
           record->offset, dump_log_time_name(header), record->timestamp,
           record->key.data == NULL ? -1 : (int64_t)record->key.size,
           record->value.data == NULL ? -1 : (int64_t)record->value.size);
    if (header->magic == 2) {
        print_own(dump, header, record);
    } else {
        printf(" isValid: %s crc: %u", dump_log_yes(message_check(&reader->message) == ERR_OK),
               (unsigned)get_be32(reader->message.data + MESSAGE_CRC));
    }
}

static int print_record(struct dump *dump, const struct reader *reader,
                        const struct record *record) {
    bool metadata = !tool_has(dump->tool, "skip-record-metadata");
    int code = TOOL_DONE;
    arena_reset(&dump->arena);
    if (metadata) {
        print_metadata(dump, reader, record);
    }
    if (dump->contents && !is_control(reader->header)) {
        code = dump_log_print_contents(dump, record, metadata ? " " : "| ");
    }
    if (code == TOOL_DONE) {
        putchar('\n');
    }
    return code;
}

int dump_log_records(struct dump *dump, const struct batch_header *header, int64_t *last_offset) {
    struct reader reader;
    struct record record;
    int code = TOOL_DONE;
    err_t err = reader_init(&reader, dump, header);
    while (err == ERR_OK && code == TOOL_DONE && (err = reader_next(&reader, &record)) == ERR_OK) {
        if (record.offset != *last_offset + 1) {
            dump_log_found(dump, FINDING_GAP, *last_offset, record.offset);
        }
        *last_offset = record.offset;
        code = print_record(dump, &reader, &record);
    }
    return code != TOOL_DONE || err == ERR_NOT_FOUND
               ? code
               : tool_fail(dump->tool, "%s: the records at offset %" PRId64 ": %s", dump->path,
                           header->base_offset, err_text(err));
}
