/* kafka-dump-log: batches, of logs and of snapshots of the metadata. */
#include <inttypes.h>
#include <string.h>

#include "cli/kafka/dump_log_int.h"
#include "log/batch_header.h"

enum { RECORD_SIZE_MIN = 14 }; /* of a message of magic 0, behind offset and size */

/* --- batches --- */

static void print_batch_head(const struct batch_header *header) {
    printf("baseOffset: %" PRId64 " lastOffset: %" PRId64 " count: %d baseSequence: %d "
           "lastSequence: %d producerId: %" PRId64 " producerEpoch: %d partitionLeaderEpoch: %d "
           "isTransactional: %s isControl: %s deleteHorizonMs: ",
           header->base_offset, header->last_offset, (int)header->record_count,
           (int)header->base_sequence, (int)batch_last_sequence(header), header->producer_id,
           (int)header->producer_epoch, (int)header->leader_epoch,
           dump_log_yes((header->attributes & BATCH_TRANSACTIONAL) != 0),
           dump_log_yes((header->attributes & BATCH_CONTROL) != 0));
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
           position, dump_log_time_name(header), header->max_timestamp_ms, (unsigned)header->size,
           (int)header->magic,
           codec < COMPRESSION_TYPE_COUNT ? compression_name((enum compression_type)codec)
                                          : "unknown",
           (unsigned)header->crc, dump_log_yes(batch_crc_good(header, dump->bytes.data)));
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
        code = dump->deep ? dump_log_records(dump, &header, &last_offset) : TOOL_DONE;
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
