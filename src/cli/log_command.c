/*
 * ottla log: what is in the files of a partition, read with the node's own readers, from a node
 * that is down or running (what it still has in memory is not seen).
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/log_int.h"
#include "cli/when.h"
#include "log/cache.h"
#include "log/offset_index.h"
#include "log/producer_snapshot.h"
#include "log/time_index.h"
#include "log/txn_index.h"
#include "wire/record_batch.h"

enum { INDEX_SIZE_MAX = 1 << 30 };

/* --- segments --- */

static const struct cli_column segment_columns[] = {
    {"FIRST", "firstOffset", true},
    {"NEXT", "nextOffset", true},
    {"BATCHES", "batches", true},
    {"RECORDS", "records", true},
    {"BYTES", "bytes", true},
    {"EARLIEST", "earliest"},
    {"LATEST", "latest"},
    {"INDEX BYTES", "indexBytes", true},
    {"TIMES BYTES", "timeIndexBytes", true},
    {"ABORTED BYTES", "txnIndexBytes", true},
    {"FILE", "file"},
    {NULL},
};

struct segment_sum {
    int64_t next_offset;
    int64_t batches;
    int64_t records;
    int64_t bytes;
    int64_t first_ms;
    int64_t last_ms;
};

/* The timestamp of a batch's first record, read from the batch; -1 when it cannot be. */
static int64_t read_first_ms(struct sys_file *file, uint64_t position, uint32_t size) {
    struct compression *compression = compression_new();
    struct buffer bytes = {0};
    struct buffer scratch = {0};
    struct record_iter iter;
    struct record record;
    bool good = log_batch_read(file, position, size, &bytes) &&
                record_iter_init(&iter, bytes.data, size, compression, &scratch,
                                 LOG_DECOMPRESSED_SIZE_MAX) == ERR_OK &&
                record_iter_next(&iter, &record) == ERR_OK;
    int64_t first_ms = good ? record.timestamp : -1;
    buffer_done(&scratch);
    buffer_done(&bytes);
    compression_free(compression);
    return first_ms;
}

/* Mostly the head tells it. The cleaner puts the delete horizon in its place. */
static int64_t first_ms_of(struct sys_file *file, uint64_t position,
                           const struct batch_header *header) {
    if ((header->attributes & BATCH_LOG_APPEND_TIME) != 0) {
        return header->max_timestamp_ms;
    }
    return (header->attributes & RECORD_BATCH_DELETE_HORIZON) != 0
               ? read_first_ms(file, position, header->size)
               : header->base_timestamp_ms;
}

/* Of a batch that the cleaner emptied there is only the head. */
static bool sum_batch(void *arg, struct sys_file *file, uint64_t position,
                      const struct batch_header *header) {
    struct segment_sum *sum = arg;
    if (sum->records == 0 && header->record_count > 0) {
        sum->first_ms = first_ms_of(file, position, header);
    }
    if (header->record_count > 0 && header->max_timestamp_ms > sum->last_ms) {
        sum->last_ms = header->max_timestamp_ms;
    }
    sum->next_offset = header->last_offset + 1;
    sum->bytes = (int64_t)(position + header->size);
    sum->batches++;
    sum->records += header->record_count;
    return true;
}

/* The size of the file beside a .log; null when it is not there. */
static json_t *size_of(struct cli *cli, struct sys *sys, const char *log_path, const char *ending) {
    size_t size = strlen(log_path);
    struct sys_stat stat;
    if (size < 4 || strcmp(log_path + size - 4, ".log") != 0) {
        return json_null();
    }
    const char *path =
        arena_printf(cli_arena(cli), "%.*s%s", (int)(size - 4), log_path, ending).data;
    return sys_path_stat(sys, path, &stat) == ERR_OK ? json_integer((json_int_t)stat.size)
                                                     : json_null();
}

static json_t *date(int64_t ms) {
    char text[WHEN_TEXT_SIZE];
    if (ms < 0) {
        return json_null();
    }
    when_format(ms, text);
    return json_string(text);
}

static int add_segment(struct cli *cli, struct sys *sys, const char *path, void *arg) {
    int64_t base = log_base_offset_of(path);
    struct segment_sum sum = {.next_offset = base, .first_ms = -1, .last_ms = -1};
    int code = log_batches_walk(cli, sys, path, sum_batch, &sum);
    json_array_append_new(
        arg, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "file", path,
                       "firstOffset", (json_int_t)base, "nextOffset", (json_int_t)sum.next_offset,
                       "batches", (json_int_t)sum.batches, "records", (json_int_t)sum.records,
                       "bytes", (json_int_t)sum.bytes, "earliest", date(sum.first_ms), "latest",
                       date(sum.last_ms), "indexBytes", size_of(cli, sys, path, ".index"),
                       "timeIndexBytes", size_of(cli, sys, path, ".timeindex"), "txnIndexBytes",
                       size_of(cli, sys, path, ".txnindex"), "snapshotBytes",
                       size_of(cli, sys, path, ".snapshot")));
    return code;
}

static int log_segments(struct cli *cli) {
    json_t *rows = json_array();
    int code = log_files_each(cli, ".log", add_segment, rows);
    cli_print_rows(cli, segment_columns, rows);
    return code;
}

static const struct cli_command segments_command = {
    .name = "segments",
    .arguments = "FOLDER|FILE.log…",
    .summary = "the segments of a partition: offsets, times, sizes",
    .text =
        "EARLIEST is the timestamp of the first record, LATEST the largest. Sizes of indexes (of\n"
        "offsets, of times, of aborted transactions) are those of their files; ottla log index\n"
        "shows what is in them.\n",
    .examples = "  ottla log segments data/orders-0\n",
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_FILE,
    .local = true,
    .run = log_segments,
};

/* --- indexes --- */

static const struct cli_column index_columns[] = {
    {"OFFSET", "offset", true},
    {"POSITION", "position", true},
    {"TIMESTAMP", "timestamp", true},
    {"TIME", "time"},
    {"PRODUCER", "producerId", true},
    {"FIRST", "firstOffset", true},
    {"LAST STABLE", "lastStableOffset", true},
    {"FILE", "file"},
    {NULL},
};

/* Kafka keeps room behind the entries of an index that is being written: zeros. */
static bool is_room(const uint8_t *entry, size_t size, size_t number) {
    size_t i = 0;
    while (i < size && entry[i] == 0) {
        i++;
    }
    return number > 0 && i == size;
}

static void add_entries(json_t *rows, const char *path, const uint8_t *data, size_t size,
                        bool times) {
    int64_t base = log_base_offset_of(path);
    size_t entry_size = times ? TIME_INDEX_ENTRY_SIZE : OFFSET_INDEX_ENTRY_SIZE;
    for (size_t i = 0; (i + 1) * entry_size <= size; i++) {
        const uint8_t *entry = data + i * entry_size;
        if (is_room(entry, entry_size, i)) {
            return;
        }
        json_int_t offset = base + (int32_t)get_be32(times ? entry + 8 : entry);
        json_array_append_new(rows,
                              times ? json_pack("{s:s, s:I, s:I, s:o}", "file", path, "offset",
                                                offset, "timestamp", (json_int_t)get_be64(entry),
                                                "time", date((int64_t)get_be64(entry)))
                                    : json_pack("{s:s, s:I, s:I}", "file", path, "offset", offset,
                                                "position", (json_int_t)get_be32(entry + 4)));
    }
}

static err_t add_aborted(struct sys *sys, json_t *rows, const char *path, size_t size) {
    struct log_cache *cache = log_cache_new(sys, 1, 0);
    struct sys_lock lock;
    struct txn_index index;
    struct txn_index_entry *entries = NULL;
    size_t count = 0;
    sys_lock_init(&lock, SYS_RANK_SEGMENT);
    txn_index_init(&index, cache, &lock, strdup(path), size);
    err_t err = txn_index_read(&index, log_base_offset_of(path), &entries, &count);
    for (size_t i = 0; err == ERR_OK && i < count; i++) {
        json_array_append_new(rows,
                              json_pack("{s:s, s:I, s:I, s:I, s:I}", "file", path, "offset",
                                        (json_int_t)entries[i].last_offset, "producerId",
                                        (json_int_t)entries[i].producer_id, "firstOffset",
                                        (json_int_t)entries[i].first_offset, "lastStableOffset",
                                        (json_int_t)entries[i].last_stable_offset));
    }
    free(entries);
    txn_index_done(&index);
    log_cache_free(cache);
    return err;
}

static bool ends_with(const char *path, const char *ending) {
    size_t size = strlen(path);
    return size >= strlen(ending) && strcmp(path + size - strlen(ending), ending) == 0;
}

static int add_index(struct cli *cli, struct sys *sys, const char *path, void *arg) {
    bool times = ends_with(path, ".timeindex");
    bool aborted = ends_with(path, ".txnindex");
    if (!times && !aborted && !ends_with(path, ".index")) {
        return cli_fail(cli, CLI_USAGE, NULL, "%s: there are .index, .timeindex and .txnindex",
                        path);
    }
    char *data = NULL;
    size_t size = 0;
    err_t err = sys_file_read_all(sys, path, INDEX_SIZE_MAX, &data, &size);
    if (err == ERR_OK && aborted) {
        err = add_aborted(sys, arg, path, size);
    } else if (err == ERR_OK) {
        add_entries(arg, path, (const uint8_t *)data, size, times);
    }
    free(data);
    return err == ERR_OK ? CLI_DONE
                         : cli_fail(cli, CLI_FAILED, NULL, "%s: %s", path, err_text(err));
}

static int log_index(struct cli *cli) {
    json_t *rows = json_array();
    int code = log_files_each(cli, "index", add_index, rows);
    cli_print_rows(cli, index_columns, rows);
    return code;
}

static const struct cli_command index_command = {
    .name = "index",
    .arguments = "FOLDER|FILE…",
    .summary = "the entries of offset, time and transaction indexes",
    .examples = "  ottla log index data/orders-0/00000000000000000000.timeindex\n"
                "  ottla log index data/orders-0\n",
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_FILE,
    .local = true,
    .run = log_index,
};

/* --- snapshots --- */

static const struct cli_column producer_columns[] = {
    {"PRODUCER", "producerId", true},
    {"EPOCH", "epoch", true},
    {"SEQUENCE", "lastSequence", true},
    {"OFFSET", "lastOffset", true},
    {"LAST SEEN", "lastSeen"},
    {"COORDINATOR EPOCH", "coordinatorEpoch", true},
    {"OPEN SINCE", "transactionStartOffset", true},
    {"FILE", "file"},
    {NULL},
};

static json_t *producer_json(const char *path, const struct producer *producer) {
    const struct sequence_window *window = &producer->window;
    const struct sequence_batch *last =
        window->count == 0 ? NULL : &window->batches[window->count - 1];
    return json_pack("{s:s, s:I, s:i, s:o, s:o, s:I, s:o, s:o, s:o}", "file", path, "producerId",
                     (json_int_t)producer->id, "epoch", (int)window->epoch, "lastSequence",
                     last == NULL ? json_null() : json_integer(last->last_sequence), "lastOffset",
                     last == NULL ? json_null() : json_integer(last->last_offset), "lastTimestamp",
                     (json_int_t)producer->last_timestamp_ms, "lastSeen",
                     date(producer->last_timestamp_ms), "coordinatorEpoch",
                     producer->coordinator_epoch < 0 ? json_null()
                                                     : json_integer(producer->coordinator_epoch),
                     "transactionStartOffset",
                     producer->current_txn_offset < 0 ? json_null()
                                                      : json_integer(producer->current_txn_offset));
}

static int add_producers(struct cli *cli, struct sys *sys, const char *path, void *arg) {
    struct producer_state state;
    const char *wrong = NULL;
    const struct producer *producer;
    size_t cursor;
    producer_state_init(&state, 0);
    err_t err =
        producer_snapshot_read(sys, path, log_base_offset_of(path), 0, INT64_MAX, &state, &wrong);
    map_for_each (&state.producers, cursor, producer) {
        json_array_append_new(arg, producer_json(path, producer));
    }
    producer_state_done(&state);
    return err == ERR_OK ? CLI_DONE
                         : cli_fail(cli, CLI_FAILED, NULL, "%s: %s", path,
                                    wrong != NULL ? wrong : err_text(err));
}

static int log_producers(struct cli *cli) {
    json_t *rows = json_array();
    int code = log_files_each(cli, ".snapshot", add_producers, rows);
    cli_print_rows(cli, producer_columns, rows);
    return code;
}

static const struct cli_command producers_command = {
    .name = "producers",
    .arguments = "FOLDER|FILE.snapshot…",
    .summary = "the producers in the snapshots of a partition",
    .examples = "  ottla log producers data/orders-0\n",
    .arguments_min = 1,
    .arguments_max = -1,
    .complete = CLI_COMPLETE_FILE,
    .local = true,
    .run = log_producers,
};

static const struct cli_command *const commands[] = {&segments_command,    &log_batches_command,
                                                     &log_records_command, &index_command,
                                                     &producers_command,   NULL};
const struct cli_command cli_log_command = {
    .name = "log",
    .summary = "look into the files of a partition",
    .text = "Files are only read, so that this is safe beside a node that runs; it writes indexes\n"
            "and snapshots now and then, so that they may be behind.\n",
    .commands = commands,
};
