/*
 * kafka-dump-log: the files of a partition, read with the node's own readers.
 *
 *     .log                  batches; with --deep-iteration or --print-data-log their records
 *     .index .timeindex     entries
 *
 * Snapshots, transaction indexes and decoders of the cluster's own topics are not there yet.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/err.h"
#include "cli/kafka/tools.h"
#include "log/batch_header.h"
#include "sys/file.h"
#include "sys/linux.h"
#include "sys/sys.h"
#include "wire/record_batch.h"

enum {
    DECOMPRESSED_SIZE_MAX = 1 << 30,
    INDEX_SIZE_MAX = 1 << 30,
    OFFSET_ENTRY_SIZE = 8,
    TIME_ENTRY_SIZE = 12,
};

struct dump {
    struct tool *tool;
    struct sys *sys;
    const char *path;
    int64_t base_offset; /* as the file's name says */
    struct sys_file *file;
    struct compression *compression;
    struct buffer scratch;
    struct buffer bytes; /* of one batch */
};

/* --- batches --- */

static const char *yes(bool is) {
    return is ? "true" : "false";
}

static const char *time_name(const struct batch_header *header) {
    return (header->attributes & BATCH_LOG_APPEND_TIME) != 0 ? "LogAppendTime" : "CreateTime";
}

static void print_batch(const struct dump *dump, const struct batch_header *header,
                        uint64_t position) {
    int codec = header->attributes & BATCH_COMPRESSION_MASK;
    printf("baseOffset: %lld lastOffset: %lld count: %d baseSequence: %d lastSequence: %d "
           "producerId: %lld producerEpoch: %d partitionLeaderEpoch: %d isTransactional: %s "
           "isControl: %s deleteHorizonMs: ",
           (long long)header->base_offset, (long long)header->last_offset,
           (int)header->record_count, (int)header->base_sequence, (int)batch_last_sequence(header),
           (long long)header->producer_id, (int)header->producer_epoch, (int)header->leader_epoch,
           yes((header->attributes & BATCH_TRANSACTIONAL) != 0),
           yes((header->attributes & BATCH_CONTROL) != 0));
    if ((header->attributes & RECORD_BATCH_DELETE_HORIZON) != 0) {
        printf("OptionalLong[%lld]", (long long)header->base_timestamp_ms);
    } else {
        fputs("OptionalLong.empty", stdout);
    }
    printf(" position: %llu %s: %lld size: %u magic: %d compresscodec: %s crc: %u isvalid: %s\n",
           (unsigned long long)position, time_name(header), (long long)header->max_timestamp_ms,
           (unsigned)header->size, (int)header->magic,
           codec < COMPRESSION_TYPE_COUNT ? compression_name((enum compression_type)codec)
                                          : "unknown",
           (unsigned)header->crc, yes(batch_crc_good(header, dump->bytes.data)));
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

/* What a marker of a transaction says, or which kind of control record it is. */
static void print_control(const struct dump *dump, const struct batch_header *header,
                          const struct record *record) {
    int marker;
    int32_t epoch;
    int16_t type;
    if (batch_marker_read(header, dump->bytes.data, &marker, &epoch)) {
        printf(" endTxnMarker: %s coordinatorEpoch: %d",
               marker == MARKER_COMMIT ? "COMMIT" : "ABORT", (int)epoch);
    } else if (control_record_key_read(record->key, &type) == ERR_OK) {
        printf(" controlType: %s(%d)",
               type == CONTROL_RECORD_LEADER_CHANGE ? "LEADER_CHANGE" : "UNKNOWN", (int)type);
    }
}

static void print_data(const char *prefix, const char *name, struct bytes data) {
    printf("%s%s: ", prefix, name);
    fwrite(data.data, 1, data.size, stdout);
}

static void print_record(const struct dump *dump, const struct batch_header *header,
                         const struct record *record) {
    const char *prefix = "| ";
    bool control = (header->attributes & BATCH_CONTROL) != 0;
    if (!tool_has(dump->tool, "skip-record-metadata")) {
        int64_t sequence = (int64_t)header->base_sequence + record->offset_delta;
        sequence = header->base_sequence < 0 ? -1 : sequence & INT32_MAX;
        printf("| offset: %lld %s: %lld keySize: %lld valueSize: %lld sequence: %lld",
               (long long)record->offset, time_name(header), (long long)record->timestamp,
               record->key.data == NULL ? -1LL : (long long)record->key.size,
               record->value.data == NULL ? -1LL : (long long)record->value.size,
               (long long)sequence);
        print_headers(record);
        if (control) {
            print_control(dump, header, record);
        }
        prefix = " ";
    }
    if (tool_has(dump->tool, "print-data-log") && !control) {
        if (record->key.data != NULL) {
            print_data(prefix, "key", record->key);
            prefix = " ";
        }
        if (record->value.data != NULL) {
            print_data(prefix, "payload", record->value);
        }
    }
    putchar('\n');
}

static int print_records(struct dump *dump, const struct batch_header *header) {
    if (header->magic != 2) {
        return tool_fail(dump->tool, "%s: records of magic %d are not supported yet", dump->path,
                         (int)header->magic);
    }
    struct record_iter iter;
    struct record record;
    buffer_clear(&dump->scratch);
    err_t err = record_iter_init(&iter, dump->bytes.data, header->size, dump->compression,
                                 &dump->scratch, DECOMPRESSED_SIZE_MAX);
    while (err == ERR_OK && (err = record_iter_next(&iter, &record)) == ERR_OK) {
        print_record(dump, header, &record);
    }
    return err == ERR_NOT_FOUND
               ? TOOL_DONE
               : tool_fail(dump->tool, "%s: the records at offset %lld: %s", dump->path,
                           (long long)header->base_offset, err_text(err));
}

/* --- .log --- */

/* The whole batch into memory; a walk has checked that its size is in the file. */
static bool load(struct dump *dump, uint64_t position, uint32_t size) {
    size_t got = 0;
    buffer_clear(&dump->bytes);
    uint8_t *data = buffer_extend(&dump->bytes, size);
    return sys_file_read(dump->file, position, data, size, &got) == ERR_OK && got == size;
}

static int dump_log(struct dump *dump) {
    uint64_t size = 0;
    uint64_t max = (uint64_t)tool_number(dump->tool, "max-bytes");
    if (sys_file_size(dump->file, &size) != ERR_OK) {
        return tool_fail(dump->tool, "%s: cannot be read", dump->path);
    }
    bool deep = tool_has(dump->tool, "deep-iteration") || tool_has(dump->tool, "print-data-log");
    struct batch_walk walk;
    struct batch_header header;
    int code = TOOL_DONE;
    uint64_t valid = 0;
    printf("Log starting offset: %lld\n", (long long)dump->base_offset);
    batch_walk_init(&walk, dump->file, 0, size < max ? size : max, false);
    while (code == TOOL_DONE && batch_walk_next(&walk, &header) == ERR_OK) {
        if (!load(dump, valid, header.size)) {
            return tool_fail(dump->tool, "%s: cannot be read", dump->path);
        }
        print_batch(dump, &header, valid);
        valid = walk.position;
        code = deep ? print_records(dump, &header) : TOOL_DONE;
    }
    if (code == TOOL_DONE && valid < size && max == INT32_MAX) {
        printf("Found %llu invalid bytes at the end of %s\n", (unsigned long long)(size - valid),
               dump->path);
    }
    return code;
}

/* --- indexes --- */

/* The last offset of the batch at a position of the .log beside the index; -1. */
static int64_t last_offset_at(struct sys_file *log, uint32_t position) {
    uint8_t data[BATCH_HEADER_SIZE_V2];
    struct batch_header header;
    size_t got = 0;
    return sys_file_read(log, position, data, sizeof data, &got) == ERR_OK &&
                   batch_header_read(data, got, &header) == NULL
               ? header.last_offset
               : -1;
}

static void print_offsets(struct dump *dump, struct sys_file *log, const uint8_t *data,
                          size_t count) {
    bool silent = tool_has(dump->tool, "verify-index-only");
    bool mismatches = false;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *entry = data + i * OFFSET_ENTRY_SIZE;
        int64_t offset = dump->base_offset + (int32_t)get_be32(entry);
        uint32_t position = get_be32(entry + 4);
        if (offset == dump->base_offset && i > 0) {
            return; /* room for more */
        }
        int64_t last = last_offset_at(log, position);
        if (last != offset) {
            if (!mismatches) {
                fprintf(stderr, "Mismatches in :%s\n", dump->path);
            }
            fprintf(stderr, "  Index offset: %lld, log offset: %lld\n", (long long)offset,
                    (long long)last);
            mismatches = true;
        }
        if (!silent) {
            printf("offset: %lld position: %u\n", (long long)offset, (unsigned)position);
        }
    }
}

static void print_times(const struct dump *dump, const uint8_t *data, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t *entry = data + i * TIME_ENTRY_SIZE;
        int64_t offset = dump->base_offset + (int32_t)get_be32(entry + 8);
        if (offset == dump->base_offset && i > 0) {
            return;
        }
        printf("timestamp: %lld offset: %lld\n", (long long)get_be64(entry), (long long)offset);
    }
}

static int dump_index(struct dump *dump, bool times) {
    struct tool *tool = dump->tool;
    if (times && tool_has(tool, "verify-index-only")) {
        return tool_fail(tool, "--verify-index-only: of a .timeindex, not supported yet");
    }
    char *data = NULL;
    size_t size = 0;
    struct sys_file *log = NULL;
    size_t entry_size = times ? TIME_ENTRY_SIZE : OFFSET_ENTRY_SIZE;
    const char *log_path = arena_printf(tool_arena(tool), "%.*s.log",
                                        (int)(strrchr(dump->path, '.') - dump->path), dump->path)
                               .data;
    err_t err = sys_file_read_all(dump->sys, dump->path, INDEX_SIZE_MAX, &data, &size);
    if (err == ERR_OK && !times) {
        err = sys_file_open(dump->sys, log_path, SYS_FILE_READ, &log);
    }
    int code = TOOL_DONE;
    if (err != ERR_OK) {
        code = tool_fail(tool, "%s: %s", dump->path, err_text(err));
    } else if (tool_has(tool, "index-sanity-check") && size % entry_size == 0) {
        printf("%s passed sanity check.\n", dump->path);
    } else if (tool_has(tool, "index-sanity-check")) {
        code = tool_fail(tool, "%s: the size is no multiple of %zu", dump->path, entry_size);
    } else if (times) {
        print_times(dump, (const uint8_t *)data, size / entry_size);
    } else if (size < entry_size) {
        printf("%s is empty.\n", dump->path);
    } else {
        print_offsets(dump, log, (const uint8_t *)data, size / entry_size);
    }
    sys_file_close(log);
    free(data);
    return code;
}

/* --- files --- */

static int dump_file(struct dump *dump) {
    const char *slash = strrchr(dump->path, '/');
    const char *name = slash == NULL ? dump->path : slash + 1;
    const char *ending = strrchr(name, '.');
    ending = ending == NULL ? "" : ending;
    bool log = strcmp(ending, ".log") == 0;
    bool index = strcmp(ending, ".index") == 0;
    bool times = strcmp(ending, ".timeindex") == 0;
    char *end;
    printf("Dumping %s\n", dump->path);
    dump->base_offset = strtoll(name, &end, 10);
    if (strcmp(ending, ".snapshot") == 0 || strcmp(ending, ".txnindex") == 0 ||
        strcmp(ending, ".checkpoint") == 0) {
        return tool_fail(dump->tool, "%s: files of this kind are not supported yet", dump->path);
    }
    if (!log && !index && !times) {
        (void)tool_fail(dump->tool, "Ignoring unknown file %s", dump->path);
        return TOOL_DONE;
    }
    if (end == name) {
        return tool_fail(dump->tool, "For input string: \"%.*s\"", (int)strcspn(name, "."), name);
    }
    if (!log) {
        return dump_index(dump, times);
    }
    err_t err = sys_file_open(dump->sys, dump->path, SYS_FILE_READ, &dump->file);
    if (err != ERR_OK) {
        return tool_fail(dump->tool, "%s: %s", dump->path, err_text(err));
    }
    int code = dump_log(dump);
    sys_file_close(dump->file);
    return code;
}

static bool check(struct tool *tool) {
    static const char *const files[] = {"files", NULL};
    static const char *const missing[] = {"cluster-metadata-decoder", "offsets-decoder",
                                          "transaction-log-decoder", "share-group-state-decoder",
                                          "remote-log-metadata-decoder"};
    static const char *const decoders[] = {"key-decoder-class", "value-decoder-class"};
    if (!tool_require(tool, files)) {
        return false;
    }
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        if (tool_has(tool, missing[i])) {
            (void)tool_unsupported(tool, missing[i]);
            return false;
        }
    }
    for (size_t i = 0; i < sizeof decoders / sizeof decoders[0]; i++) {
        const char *name = tool_text(tool, decoders[i]);
        if (name != NULL && strstr(name, "StringDecoder") == NULL) {
            (void)tool_unsupported(tool, decoders[i]);
            return false;
        }
    }
    return true;
}

int kafka_dump_log(struct tool *tool) {
    struct dump dump = {.tool = tool};
    if (!check(tool)) {
        return TOOL_FAILED;
    }
    if (sys_linux_new(&dump.sys) != ERR_OK) {
        return tool_fail(tool, "no memory");
    }
    dump.compression = compression_new();
    int code = TOOL_DONE;
    char *rest = NULL;
    char *list = arena_c_str(tool_arena(tool), str_from_c(tool_text(tool, "files")));
    for (char *path = strtok_r(list, ",", &rest); code == TOOL_DONE && path != NULL;
         path = strtok_r(NULL, ",", &rest)) {
        dump.path = path;
        code = dump_file(&dump);
    }
    buffer_done(&dump.scratch);
    buffer_done(&dump.bytes);
    compression_free(dump.compression);
    sys_linux_free(dump.sys);
    return code;
}
