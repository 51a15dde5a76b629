/*
 * kafka-dump-log: offset and time indexes, each entry compared with the .log beside it.
 *
 * An index that a node of Apache Kafka is writing has room behind its entries: zeros. The first
 * entry after the first one that has the base offset is taken for that.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/kafka/dump_log_int.h"
#include "log/batch_header.h"
#include "log/offset_index.h"
#include "log/time_index.h"

enum { INDEX_SIZE_MAX = 1 << 30, DECOMPRESSED_SIZE_MAX = 1 << 30 };

/* An index in memory, and the log. */
struct index {
    struct dump *dump;
    uint8_t *data;
    size_t size;  /* of the file */
    size_t count; /* entries, room included */
    struct sys_file *log;
    uint64_t log_size;
    const char *log_path;
};

static err_t index_read(struct index *index, const char *path, size_t entry_size) {
    char *data = NULL;
    size_t size = 0;
    err_t err = sys_file_read_all(index->dump->sys, path, INDEX_SIZE_MAX, &data, &size);
    if (err == ERR_OK) {
        index->data = (uint8_t *)data;
        index->size = size;
        index->count = size / entry_size;
    }
    return err;
}

/* The log first: without one there is nothing to say. */
static int index_open(struct index *index, struct dump *dump, size_t entry_size) {
    *index = (struct index){.dump = dump, .log_path = dump_log_beside(dump, ".log")};
    err_t err = sys_file_open(dump->sys, index->log_path, SYS_FILE_READ, &index->log);
    if (err == ERR_OK) {
        err = sys_file_size(index->log, &index->log_size);
    }
    if (err != ERR_OK) {
        return dump_log_fail(dump, index->log_path, err);
    }
    err = index_read(index, dump->path, entry_size);
    return err == ERR_OK ? TOOL_DONE : dump_log_fail(dump, dump->path, err);
}

static void index_close(struct index *index) {
    sys_file_close(index->log);
    free(index->data);
}

static int corrupt(struct dump *dump, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int corrupt(struct dump *dump, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return tool_fail(dump->tool, "org.apache.kafka.storage.internals.log.CorruptIndexException: %s",
                     text);
}

/* --- the batches that entries name --- */

/* The walk stands behind the batch. False, printed: there is none. */
static bool batch_next(struct index *index, struct batch_walk *walk, struct batch_header *header) {
    if (batch_walk_next(walk, header) == ERR_OK) {
        return true;
    }
    (void)tool_fail(index->dump->tool, "java.util.NoSuchElementException");
    return false;
}

static bool batch_at(struct index *index, uint32_t position, struct batch_header *header) {
    struct batch_walk walk;
    if (position > index->log_size) {
        (void)tool_fail(index->dump->tool,
                        "java.lang.IllegalArgumentException: Slice from position %u exceeds end "
                        "position of FileRecords(size=%" PRIu64
                        ", file=%s, start=0, end=2147483647)",
                        (unsigned)position, index->log_size, index->log_path);
        return false;
    }
    batch_walk_init(&walk, index->log, position, index->log_size, false);
    return batch_next(index, &walk, header);
}

/* --- .index --- */

static int64_t offset_of(const struct dump *dump, const uint8_t *entry) {
    return dump->base_offset + (int32_t)get_be32(entry);
}

static int check_offsets(struct index *index) {
    struct dump *dump = index->dump;
    int64_t last = offset_of(dump, index->data + (index->count - 1) * OFFSET_INDEX_ENTRY_SIZE);
    if (last < dump->base_offset) {
        return corrupt(dump,
                       "Corrupt index found, index file %s has non-zero size but the last offset "
                       "is %" PRId64 " which is less than the base offset %" PRId64,
                       dump_log_whole_path(dump), last, dump->base_offset);
    }
    if (index->size % OFFSET_INDEX_ENTRY_SIZE != 0) {
        return corrupt(dump,
                       "Index file %s is corrupt, found %zu bytes which is neither positive nor a "
                       "multiple of %d",
                       dump_log_whole_path(dump), index->size, OFFSET_INDEX_ENTRY_SIZE);
    }
    printf("%s passed sanity check.\n", dump->path);
    return TOOL_DONE;
}

static int print_offsets(struct index *index) {
    struct dump *dump = index->dump;
    bool silent = tool_has(dump->tool, "verify-index-only");
    struct batch_header header;
    for (size_t i = 0; i < index->count; i++) {
        const uint8_t *entry = index->data + i * OFFSET_INDEX_ENTRY_SIZE;
        int64_t offset = offset_of(dump, entry);
        uint32_t position = get_be32(entry + 4);
        if (offset == dump->base_offset && i > 0) {
            break;
        }
        if (!batch_at(index, position, &header)) {
            return TOOL_FAILED;
        }
        if (header.last_offset != offset) {
            dump_log_found(dump, FINDING_INDEX, offset, header.last_offset);
        }
        if (!silent) {
            printf("offset: %" PRId64 " position: %u\n", offset, (unsigned)position);
        }
    }
    return TOOL_DONE;
}

int dump_log_offsets(struct dump *dump) {
    struct index index;
    int code = index_open(&index, dump, OFFSET_INDEX_ENTRY_SIZE);
    if (code == TOOL_DONE && index.count == 0) {
        printf("%s is empty.\n", dump->path);
    } else if (code == TOOL_DONE && tool_has(dump->tool, "index-sanity-check")) {
        code = check_offsets(&index);
    } else if (code == TOOL_DONE) {
        code = print_offsets(&index);
    }
    index_close(&index);
    return code;
}

/* --- .timeindex --- */

struct time {
    int64_t timestamp;
    int64_t offset;
};

static struct time time_at(const struct index *index, size_t number) {
    const uint8_t *entry = index->data + number * TIME_INDEX_ENTRY_SIZE;
    return (struct time){(int64_t)get_be64(entry),
                         index->dump->base_offset + (int32_t)get_be32(entry + 8)};
}

static int check_times(struct index *index) {
    struct dump *dump = index->dump;
    const char *path = dump_log_whole_path(dump);
    if (index->count > 0) {
        struct time first = time_at(index, 0);
        struct time last = time_at(index, index->count - 1);
        if (last.timestamp < first.timestamp) {
            return corrupt(dump,
                           "Corrupt time index found, time index file (%s) has non-zero size but "
                           "the last timestamp is %" PRId64
                           " which is less than the first timestamp %" PRId64,
                           path, last.timestamp, first.timestamp);
        }
        if (last.offset < dump->base_offset) {
            return corrupt(dump,
                           "Corrupt time index found, time index file (%s) has non-zero size but "
                           "the last offset is %" PRId64
                           " which is less than the first offset %" PRId64,
                           path, last.offset, dump->base_offset);
        }
    }
    if (index->size % TIME_INDEX_ENTRY_SIZE != 0) {
        return corrupt(dump,
                       "Time index file %s is corrupt, found %zu bytes which is neither positive "
                       "nor a multiple of %d",
                       path, index->size, TIME_INDEX_ENTRY_SIZE);
    }
    printf("%s passed sanity check.\n", dump->path);
    return TOOL_DONE;
}

/* The batch of an entry: the first that reaches its offset, from where the offset index says. The
 * entries' offsets rise, so that each looks on from the batch of the one before. */
struct finder {
    struct index *times;
    struct index offsets;
    struct batch_walk walk;
    struct batch_header header; /* of the batch that was found last */
    uint64_t position;          /* of that batch */
    uint64_t start;             /* where that search began */
    int64_t offset;             /* what it was for */
    bool found;
};

static void finder_init(struct finder *finder, struct index *times) {
    *finder = (struct finder){.times = times, .offsets = {.dump = times->dump}};
    /* Without an offset index the search begins where the log does. */
    (void)index_read(&finder->offsets, dump_log_beside(times->dump, ".index"),
                     OFFSET_INDEX_ENTRY_SIZE);
    struct index *offsets = &finder->offsets;
    size_t count = 0;
    while (count < offsets->count &&
           (count == 0 || get_be32(offsets->data + count * OFFSET_INDEX_ENTRY_SIZE) != 0)) {
        count++;
    }
    offsets->count = count;
}

/* Of the last entry at or before an offset. */
static uint32_t position_of(const struct index *offsets, int64_t offset) {
    size_t low = 0;
    size_t high = offsets->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (offset_of(offsets->dump, offsets->data + middle * OFFSET_INDEX_ENTRY_SIZE) <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? 0 : get_be32(offsets->data + (low - 1) * OFFSET_INDEX_ENTRY_SIZE + 4);
}

static bool find(struct finder *finder, int64_t offset) {
    uint64_t position = position_of(&finder->offsets, offset);
    bool on = finder->found && offset > finder->offset && position >= finder->start &&
              position <= finder->position;
    finder->offset = offset;
    if (!on) {
        batch_walk_init(&finder->walk, finder->times->log, position, finder->times->log_size,
                        false);
        finder->start = position;
        finder->position = position;
        finder->found = batch_walk_next(&finder->walk, &finder->header) == ERR_OK;
    }
    while (finder->found && finder->header.last_offset < offset) {
        finder->position = finder->walk.position;
        finder->found = batch_walk_next(&finder->walk, &finder->header) == ERR_OK;
    }
    return finder->found;
}

/* The largest timestamp of the records in the batch, whatever its head says of that. */
static int64_t max_timestamp(struct finder *finder) {
    struct dump *dump = finder->times->dump;
    struct record_iter iter;
    struct record record;
    int64_t max = RECORD_NO_TIMESTAMP;
    if (finder->header.magic != 2 ||
        !dump_log_load(dump, finder->times->log, finder->position, finder->header.size)) {
        return finder->header.max_timestamp_ms;
    }
    buffer_clear(&dump->scratch);
    err_t err = record_iter_init(&iter, dump->bytes.data, finder->header.size, dump->compression,
                                 &dump->scratch, DECOMPRESSED_SIZE_MAX);
    while (err == ERR_OK && record_iter_next(&iter, &record) == ERR_OK) {
        max = record.timestamp > max ? record.timestamp : max;
    }
    return max;
}

static void check_time(struct finder *finder, struct time entry, int64_t previous) {
    struct dump *dump = finder->times->dump;
    if (!find(finder, entry.offset)) {
        dump_log_found(dump, FINDING_TIME_OFFSET, entry.offset, -1);
        return;
    }
    if (finder->header.last_offset != entry.offset) {
        dump_log_found(dump, FINDING_TIME_OFFSET, entry.offset, finder->header.last_offset);
        return;
    }
    int64_t timestamp = max_timestamp(finder);
    if (timestamp != entry.timestamp) {
        dump_log_found(dump, FINDING_TIMESTAMP, entry.timestamp, timestamp);
    }
    if (previous >= entry.timestamp) {
        dump_log_found(dump, FINDING_TIME_ORDER, entry.timestamp, previous);
    }
}

static void print_times(struct index *index) {
    bool silent = tool_has(index->dump->tool, "verify-index-only");
    int64_t previous = RECORD_NO_TIMESTAMP;
    struct finder finder;
    finder_init(&finder, index);
    for (size_t i = 0; i < index->count; i++) {
        struct time entry = time_at(index, i);
        if (entry.offset == index->dump->base_offset && i > 0) {
            break;
        }
        check_time(&finder, entry, previous);
        if (!silent) {
            printf("timestamp: %" PRId64 " offset: %" PRId64 "\n", entry.timestamp, entry.offset);
        }
        previous = entry.timestamp;
    }
    free(finder.offsets.data);
}

int dump_log_times(struct dump *dump) {
    struct index index;
    int code = index_open(&index, dump, TIME_INDEX_ENTRY_SIZE);
    if (code == TOOL_DONE && tool_has(dump->tool, "index-sanity-check")) {
        code = check_times(&index);
    } else if (code == TOOL_DONE) {
        print_times(&index);
    }
    index_close(&index);
    return code;
}
