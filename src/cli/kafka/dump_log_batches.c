/* kafka-dump-log: batches and records, of logs and of snapshots of the metadata. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/kafka/dump_log_int.h"
#include "cli/kafka/tools.h"
#include "log/batch_header.h"
#include "wire/json.h"
#include "wire/messages.h"

enum {
    DECOMPRESSED_SIZE_MAX = 1 << 30,
    VERSION_SIZE = 2,
    RECORD_SIZE_MIN = 14, /* of a message of magic 0, behind offset and size */
};

/* --- batches --- */

static const char *yes(bool is) {
    return is ? "true" : "false";
}

static const char *time_name(const struct batch_header *header) {
    return header->magic == 0                                  ? "NoTimestampType"
           : (header->attributes & BATCH_LOG_APPEND_TIME) != 0 ? "LogAppendTime"
                                                               : "CreateTime";
}

static void print_batch_head(const struct batch_header *header) {
    printf("baseOffset: %" PRId64 " lastOffset: %" PRId64 " count: %d baseSequence: %d "
           "lastSequence: %d producerId: %" PRId64 " producerEpoch: %d partitionLeaderEpoch: %d "
           "isTransactional: %s isControl: %s deleteHorizonMs: ",
           header->base_offset, header->last_offset, (int)header->record_count,
           (int)header->base_sequence, (int)batch_last_sequence(header), header->producer_id,
           (int)header->producer_epoch, (int)header->leader_epoch,
           yes((header->attributes & BATCH_TRANSACTIONAL) != 0),
           yes((header->attributes & BATCH_CONTROL) != 0));
    if ((header->attributes & RECORD_BATCH_DELETE_HORIZON) != 0) {
        printf("OptionalLong[%" PRId64 "]", header->base_timestamp_ms);
    } else {
        fputs("OptionalLong.empty", stdout);
    }
}

static void print_batch(const struct dump *dump, const struct batch_header *header,
                        uint64_t position) {
    int codec = header->attributes & BATCH_COMPRESSION_MASK;
    if (header->magic == 2) {
        print_batch_head(header);
    } else {
        printf("offset: %" PRId64, header->last_offset);
    }
    printf(" position: %" PRIu64 " %s: %" PRId64 " size: %u magic: %d compresscodec: %s crc: %u "
           "isvalid: %s\n",
           position, time_name(header), header->max_timestamp_ms, (unsigned)header->size,
           (int)header->magic,
           codec < COMPRESSION_TYPE_COUNT ? compression_name((enum compression_type)codec)
                                          : "unknown",
           (unsigned)header->crc, yes(batch_crc_good(header, dump->bytes.data)));
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

static void print_metadata(struct dump *dump, const struct batch_header *header,
                           const struct record *record) {
    int64_t sequence = (int64_t)header->base_sequence + record->offset_delta;
    sequence = header->base_sequence < 0 ? -1 : sequence & INT32_MAX;
    printf("| offset: %" PRId64 " %s: %" PRId64 " keySize: %" PRId64 " valueSize: %" PRId64
           " sequence: %" PRId64,
           record->offset, time_name(header), record->timestamp,
           record->key.data == NULL ? -1 : (int64_t)record->key.size,
           record->value.data == NULL ? -1 : (int64_t)record->value.size, sequence);
    print_headers(record);
    if ((header->attributes & BATCH_CONTROL) != 0) {
        print_control(dump, header, record);
    }
}

static int print_record(struct dump *dump, const struct batch_header *header,
                        const struct record *record) {
    bool metadata = !tool_has(dump->tool, "skip-record-metadata");
    int code = TOOL_DONE;
    arena_reset(&dump->arena);
    if (metadata) {
        print_metadata(dump, header, record);
    }
    if (dump->contents && (header->attributes & BATCH_CONTROL) == 0) {
        code = dump_log_print_contents(dump, record, metadata ? " " : "| ");
    }
    if (code == TOOL_DONE) {
        putchar('\n');
    }
    return code;
}

static int print_records(struct dump *dump, const struct batch_header *header,
                         int64_t *last_offset) {
    if (header->magic != 2) {
        return tool_fail(dump->tool, "%s: records of magic %d are not supported yet", dump->path,
                         (int)header->magic);
    }
    struct record_iter iter;
    struct record record;
    int code = TOOL_DONE;
    buffer_clear(&dump->scratch);
    err_t err = record_iter_init(&iter, dump->bytes.data, header->size, dump->compression,
                                 &dump->scratch, DECOMPRESSED_SIZE_MAX);
    while (err == ERR_OK && code == TOOL_DONE &&
           (err = record_iter_next(&iter, &record)) == ERR_OK) {
        if (record.offset != *last_offset + 1) {
            dump_log_found(dump, FINDING_GAP, *last_offset, record.offset);
        }
        *last_offset = record.offset;
        code = print_record(dump, header, &record);
    }
    return code != TOOL_DONE || err == ERR_NOT_FOUND
               ? code
               : tool_fail(dump->tool, "%s: the records at offset %" PRId64 ": %s", dump->path,
                           header->base_offset, err_text(err));
}

/* --- files --- */

bool dump_log_load(struct dump *dump, struct sys_file *file, uint64_t position, uint32_t size) {
    size_t got = 0;
    buffer_clear(&dump->bytes);
    uint8_t *data = buffer_extend(&dump->bytes, size);
    return sys_file_read(file, position, data, size, &got) == ERR_OK && got == size;
}

/* Bytes that no batch can begin with, as of a file that was made longer before a power cut, end
 * Kafka's tool. Those that are too few for a head, or for the batch they promise, do not. */
static int check_rest(const struct dump *dump, struct sys_file *file, uint64_t position,
                      uint64_t end) {
    uint8_t head[RECORD_BATCH_MAGIC_END];
    size_t got = 0;
    if (position + sizeof head >= end ||
        sys_file_read(file, position, head, sizeof head, &got) != ERR_OK || got < sizeof head ||
        record_batch_length(head) >= RECORD_SIZE_MIN) {
        return TOOL_DONE;
    }
    return tool_fail(dump->tool,
                     "org.apache.kafka.common.errors.CorruptRecordException: Found record size %d "
                     "smaller than minimum record overhead (%d) in file %s.",
                     (int)record_batch_length(head), RECORD_SIZE_MIN, dump->path);
}

static int dump_batches(struct dump *dump, struct sys_file *file, uint64_t size) {
    uint64_t max = (uint64_t)tool_number(dump->tool, "max-bytes");
    uint64_t end = size < max ? size : max;
    int64_t last_offset = -1;
    uint64_t valid = 0;
    int code = TOOL_DONE;
    struct batch_walk walk;
    struct batch_header header;
    batch_walk_init(&walk, file, 0, end, false);
    while (code == TOOL_DONE && batch_walk_next(&walk, &header) == ERR_OK) {
        if (!dump_log_load(dump, file, valid, header.size)) {
            return tool_fail(dump->tool, "%s: cannot be read", dump->path);
        }
        print_batch(dump, &header, valid);
        valid = walk.position;
        code = dump->deep ? print_records(dump, &header, &last_offset) : TOOL_DONE;
    }
    if (code == TOOL_DONE) {
        code = check_rest(dump, file, valid, end);
    }
    if (code == TOOL_DONE && valid < size && max == INT32_MAX) {
        printf("Found %" PRIu64 " invalid bytes at the end of %s\n", size - valid, dump->name);
    }
    return code;
}

/* "00000000000000000012-0000000003.checkpoint": up to which offset it holds the metadata. */
static bool print_snapshot(const struct dump *dump) {
    long long offset;
    int epoch;
    if (strcmp(dump->name, "bootstrap.checkpoint") == 0) {
        puts("KRaft bootstrap snapshot");
        return true;
    }
    if (sscanf(dump->name, "%20lld-%10d.", &offset, &epoch) != 2) {
        return false;
    }
    printf("Snapshot end offset: %lld, epoch: %d\n", offset, epoch);
    return true;
}

int dump_log_batches(struct dump *dump) {
    struct sys_file *file = NULL;
    uint64_t size = 0;
    if (strcmp(strrchr(dump->name, '.'), ".log") == 0) {
        printf("Log starting offset: %" PRId64 "\n", dump->base_offset);
    } else if (!print_snapshot(dump)) {
        return tool_fail(dump->tool, "%s: the name does not say which snapshot it is", dump->path);
    }
    err_t err = sys_file_open(dump->sys, dump->path, SYS_FILE_READ, &file);
    if (err == ERR_OK) {
        err = sys_file_size(file, &size);
    }
    int code =
        err == ERR_OK ? dump_batches(dump, file, size) : dump_log_fail(dump, dump->path, err);
    sys_file_close(file);
    return code;
}
