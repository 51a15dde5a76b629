/*
 * Logs written and read by Ottla's own code, for comparison with Apache Kafka's tools.
 *
 *   log_tool write DIR SHAPE RECORDS      makes the log SHAPE-0 in DIR and closes it cleanly
 *   log_tool append DIR FOLDER RECORDS    opens a log, appends, closes the directory cleanly
 *   log_tool crash DIR FOLDER RECORDS     the same, but ends as by a SIGKILL
 *   log_tool show DIR                     opens every log (recovering it) and prints what is in it,
 *                                         then closes the directory cleanly
 *   log_tool find DIR FOLDER TIME...      prints the offsets that ListOffsets would give
 *   log_tool batches FILE...              prints what says how each batch of these segments reads:
 * its head and a checksum of its records, whatever the codec's bytes are log_tool bench DIR SIZE
 * COUNT         appends COUNT batches of about SIZE bytes and times it
 *
 * SHAPE: plain, gzip, snappy, lz4, zstd, idempotent, transactions, large
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/rng.h"
#include "log/batch_header.h"
#include "log/directory.h"
#include "log/log.h"
#include "sys/linux.h"
#include "wire/batch_builder.h"

struct tool {
    struct sys *sys;
    struct log_cache *cache;
    struct text_log text_log;
    struct log_directory *directory;
    struct compression *compression;
    struct rng rng;
};

static void die(const char *what, err_t err) {
    fprintf(stderr, "log_tool: %s: %s\n", what, err_name(err));
    exit(1);
}

static void must(const char *what, err_t err) {
    if (err != ERR_OK) {
        die(what, err);
    }
}

static void print_line(void *arg, enum text_log_level level, const char *line, int size) {
    (void)arg;
    (void)level;
    fprintf(stderr, "%.*s\n", size, line);
}

static int64_t no_time(void *arg) {
    (void)arg;
    return 0;
}

static void directory_open(struct tool *tool, const char *path) {
    must(path, log_directory_open(tool->sys, &tool->text_log, tool->cache, path, &tool->directory));
}

static struct log *log_open_whole(struct tool *tool, const char *folder,
                                  const struct log_config *config) {
    struct log *log;
    must(folder, log_open(tool->directory, folder, config, &log));
    bool done = false;
    while (!done) {
        must("recovery", log_recovery_step(log, &done, NULL));
    }
    return log;
}

/* --- clean end: checkpoints of all logs that were open --- */

struct checkpoints {
    struct log_checkpoint_entry entries[LOG_CHECKPOINT_COUNT][4096];
    size_t counts[LOG_CHECKPOINT_COUNT];
};

static void checkpoint_add(struct checkpoints *all, enum log_checkpoint kind, struct str topic,
                           int32_t partition, int64_t offset) {
    all->entries[kind][all->counts[kind]++] =
        (struct log_checkpoint_entry){.topic = topic, .partition = partition, .offset = offset};
}

static void checkpoints_add(struct checkpoints *all, const struct log *log) {
    struct str topic = log_topic(log);
    int32_t partition = log_partition(log);
    checkpoint_add(all, LOG_CHECKPOINT_RECOVERY_POINT, topic, partition, log_recovery_point(log));
    checkpoint_add(all, LOG_CHECKPOINT_HIGH_WATERMARK, topic, partition, log_high_watermark(log));
    if (log_start_checkpointed(log)) {
        checkpoint_add(all, LOG_CHECKPOINT_LOG_START, topic, partition, log_start_offset(log));
    }
}

static void directory_end(struct tool *tool, struct checkpoints *all) {
    for (int kind = 0; kind <= LOG_CHECKPOINT_LOG_START; kind++) {
        must("checkpoint",
             log_directory_checkpoint_write(tool->directory, (enum log_checkpoint)kind,
                                            all->entries[kind], all->counts[kind]));
    }
    must("marker", log_directory_mark_clean(tool->directory, -1));
}

/* --- writing --- */

struct shape {
    const char *name;
    enum compression_type compression;
    bool idempotent;
    bool transactions;
    size_t value_size_max;
    int batch_max;
};

static const struct shape shapes[] = {
    {.name = "plain", .value_size_max = 300, .batch_max = 10},
    {.name = "gzip", .compression = COMPRESSION_GZIP, .value_size_max = 300, .batch_max = 20},
    {.name = "snappy", .compression = COMPRESSION_SNAPPY, .value_size_max = 300, .batch_max = 20},
    {.name = "lz4", .compression = COMPRESSION_LZ4, .value_size_max = 300, .batch_max = 20},
    {.name = "zstd", .compression = COMPRESSION_ZSTD, .value_size_max = 300, .batch_max = 20},
    {.name = "idempotent", .idempotent = true, .value_size_max = 200, .batch_max = 5},
    {.name = "transactions",
     .idempotent = true,
     .transactions = true,
     .value_size_max = 100,
     .batch_max = 5},
    {.name = "large", .value_size_max = 200000, .batch_max = 3},
};

struct writer {
    struct tool *tool;
    struct log *log;
    const struct shape *shape;
    int32_t sequences[4]; /* of producers 1000 to 1003 */
    bool open[4];         /* a transaction */
    int64_t records;
};

static void writer_append(struct writer *writer, struct buffer *batch, int flags) {
    struct log_append append = {
        .data = batch->data,
        .size = batch->size,
        .leader_epoch = log_latest_epoch(writer->log) < 0 ? 0 : log_latest_epoch(writer->log),
        .now_ms = sys_wall_ms(writer->tool->sys),
        .flags = flags,
    };
    struct log_append_result result;
    must("append", log_append(writer->log, &append, &result));
    log_high_watermark_set(writer->log, log_end_offset(writer->log));
    buffer_clear(batch);
}

static void writer_batch(struct writer *writer, int count, struct buffer *out) {
    const struct shape *shape = writer->shape;
    struct rng *rng = &writer->tool->rng;
    int producer = (int)rng_below(rng, 4);
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.compression = shape->compression;
    options.level = compression_level_default(shape->compression);
    if (shape->idempotent) {
        options.producer_id = 1000 + producer;
        options.producer_epoch = 0;
        options.base_sequence = writer->sequences[producer];
        writer->sequences[producer] += count;
    }
    if (shape->transactions) {
        options.attributes = RECORD_BATCH_TRANSACTIONAL;
        writer->open[producer] = true;
    }
    struct batch_builder builder;
    batch_builder_init(&builder, out, &options);
    static uint8_t value[200000];
    for (int i = 0; i < count; i++) {
        char key[32];
        int key_size = snprintf(key, sizeof key, "key-%" PRId64, writer->records++);
        size_t size = rng_below(rng, shape->value_size_max);
        rng_bytes(rng, value, size / 2);
        batch_builder_add(&builder,
                          sys_wall_ms(writer->tool->sys) - 1000000 + writer->records * 7 -
                              (int64_t)rng_below(rng, 500),
                          str_bytes((struct str){.data = key, .size = (size_t)key_size}),
                          (struct bytes){.data = rng_one_in(rng, 20) ? NULL : value, .size = size},
                          NULL, 0);
    }
    batch_builder_finish(&builder, writer->tool->compression);
}

static void writer_marker(struct writer *writer, int producer, bool commit, struct buffer *out) {
    uint8_t value[6] = {0};
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.producer_id = 1000 + producer;
    options.producer_epoch = 0;
    options.attributes = RECORD_BATCH_TRANSACTIONAL | RECORD_BATCH_CONTROL;
    batch_build_control(out, &options, sys_wall_ms(writer->tool->sys),
                        commit ? CONTROL_RECORD_COMMIT : CONTROL_RECORD_ABORT,
                        (struct bytes){.data = value, .size = sizeof value});
    writer->open[producer] = false;
}

static void writer_run(struct writer *writer, int64_t records) {
    struct buffer batch = {0};
    struct rng *rng = &writer->tool->rng;
    while (writer->records < records) {
        int count = 1 + (int)rng_below(rng, (uint64_t)writer->shape->batch_max);
        writer_batch(writer, count, &batch);
        writer_append(writer, &batch, 0);
        int producer = (int)rng_below(rng, 4);
        if (writer->shape->transactions && writer->open[producer] && rng_one_in(rng, 3)) {
            writer_marker(writer, producer, rng_one_in(rng, 2), &batch);
            writer_append(writer, &batch, LOG_APPEND_COORDINATOR);
        }
        if (rng_one_in(rng, 100)) {
            must("epoch", log_epoch_start(writer->log, log_latest_epoch(writer->log) + 1));
        }
    }
    buffer_done(&batch);
}

static const struct shape *shape_find(const char *name) {
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (strcmp(shapes[i].name, name) == 0) {
            return &shapes[i];
        }
    }
    die(name, ERR_NOT_FOUND);
    return NULL;
}

static void command_write(struct tool *tool, const char *path, const char *name, int64_t records) {
    static struct checkpoints checkpoints;
    struct log_config config;
    log_config_init(&config);
    config.segment_bytes = strcmp(name, "large") == 0 ? 1 << 20 : 100000;
    directory_open(tool, path);
    struct writer writer = {.tool = tool, .shape = shape_find(name)};
    must("create",
         log_create(tool->directory, str_from_c(name), 0, UUID_TWO, 0, &config, &writer.log));
    writer_run(&writer, records);
    must("close", log_close(writer.log));
    checkpoints_add(&checkpoints, writer.log);
    directory_end(tool, &checkpoints);
    log_free(writer.log);
}

/* Opens all logs; appends to one of them; ends well or not at all. */
static void command_append(struct tool *tool, const char *path, const char *name, int64_t records,
                           bool crash) {
    static struct checkpoints checkpoints;
    struct log_config config;
    log_config_init(&config);
    config.segment_bytes = 1 << 20;
    directory_open(tool, path);
    struct log_folder *folders;
    size_t count;
    must("list", log_directory_list(tool->directory, &folders, &count));
    struct log **logs = calloc(count + 1, sizeof *logs);
    for (size_t i = 0; i < count; i++) {
        logs[i] = log_open_whole(tool, folders[i].name, &config);
        if (strcmp(folders[i].name, name) == 0) {
            struct writer writer = {.tool = tool, .log = logs[i], .shape = &shapes[0]};
            writer_run(&writer, records);
        }
    }
    if (crash) {
        _Exit(0);
    }
    for (size_t i = 0; i < count; i++) {
        must("close", log_close(logs[i]));
        checkpoints_add(&checkpoints, logs[i]);
    }
    directory_end(tool, &checkpoints);
    for (size_t i = 0; i < count; i++) {
        log_free(logs[i]);
    }
    free(logs);
    free(folders);
}

/* --- reading --- */

static int64_t records_count(struct log *log) {
    int64_t records = 0, offset = log_start_offset(log);
    while (offset < log_end_offset(log)) {
        struct log_slice slice;
        must("read", log_read(log, offset, 1 << 20, INT64_MAX, LOG_READ_MIN_ONE, &slice));
        if (slice.segment == NULL) {
            break;
        }
        uint8_t *data = malloc(slice.size);
        size_t got;
        must("read", sys_file_read(slice.file, slice.position, data, slice.size, &got));
        struct batch_header header;
        for (size_t at = 0; at < got; at += header.size) {
            if (batch_header_read(data + at, got - at, &header) != NULL ||
                !batch_crc_good(&header, data + at)) {
                die("a served batch is damaged", ERR_CORRUPT);
            }
            records += header.record_count;
            offset = header.last_offset + 1;
        }
        free(data);
        log_slice_release(&slice);
    }
    return records;
}

static void log_show(struct log *log) {
    struct log_time_offset newest;
    must("time", log_offset_for_timestamp(log, LOG_TIMESTAMP_MAX, &newest));
    struct log_producer *producers;
    size_t producer_count;
    log_producers(log, &producers, &producer_count);
    struct log_aborted *aborted;
    size_t aborted_count;
    must("aborted", log_aborted_transactions(log, 0, INT64_MAX, 0, &aborted, &aborted_count));
    printf("%.*s-%" PRId32 " start %" PRId64 " end %" PRId64 " segments %zu records %" PRId64
           " newest %" PRId64 "@%" PRId64 " epoch %" PRId32
           " producers %zu aborted %zu stable %" PRId64 "\n",
           STR_ARGS(log_topic(log)), log_partition(log), log_start_offset(log), log_end_offset(log),
           log_segment_count(log), records_count(log), newest.timestamp_ms, newest.offset,
           log_latest_epoch(log), producer_count, aborted_count, log_last_stable_offset(log));
    free(producers);
    free(aborted);
}

static void command_show(struct tool *tool, const char *path) {
    static struct checkpoints checkpoints;
    struct log_config config;
    log_config_init(&config);
    directory_open(tool, path);
    printf("clean %d\n", log_directory_was_clean(tool->directory, NULL));
    struct log_folder *folders;
    size_t count;
    must("list", log_directory_list(tool->directory, &folders, &count));
    struct log **logs = calloc(count + 1, sizeof *logs);
    for (size_t i = 0; i < count; i++) {
        logs[i] = log_open_whole(tool, folders[i].name, &config);
        log_show(logs[i]);
        must("close", log_close(logs[i]));
        checkpoints_add(&checkpoints, logs[i]);
    }
    directory_end(tool, &checkpoints);
    for (size_t i = 0; i < count; i++) {
        log_free(logs[i]);
    }
    free(logs);
    free(folders);
}

static void command_find(struct tool *tool, const char *path, const char *name, char **times,
                         int time_count) {
    struct log_config config;
    log_config_init(&config);
    directory_open(tool, path);
    struct log *log = log_open_whole(tool, name, &config);
    for (int i = 0; i < time_count; i++) {
        struct log_time_offset found;
        must("time", log_offset_for_timestamp(log, atoll(times[i]), &found));
        printf("%" PRId64 "\n", found.offset);
    }
    log_free(log);
}

static uint32_t bytes_add(uint32_t crc, struct bytes bytes) {
    uint8_t size[4];
    put_be32(size, bytes.data == NULL ? UINT32_MAX : (uint32_t)bytes.size);
    return crc32c(crc32c(crc, size, sizeof size), bytes.data, bytes.size);
}

static void batch_print(struct tool *tool, const uint8_t *data, size_t size) {
    struct record_iter iter;
    struct record record;
    struct buffer scratch = {0};
    must("records", record_iter_init(&iter, data, size, tool->compression, &scratch, 1 << 30));
    uint32_t crc = 0;
    while (record_iter_next(&iter, &record) == ERR_OK) {
        uint8_t numbers[16];
        put_be64(numbers, (uint64_t)record.offset);
        put_be64(numbers + 8, (uint64_t)record.timestamp);
        crc = crc32c(crc, numbers, sizeof numbers);
        crc = bytes_add(bytes_add(crc, record.key), record.value);
        crc = bytes_add(crc, record.headers);
    }
    buffer_done(&scratch);
    printf("%" PRId64 " %" PRId64 " %x %" PRId64 " %d %d %d %d %" PRId64 " %08x\n",
           record_batch_base_offset(data), record_batch_last_offset(data),
           record_batch_attributes(data), record_batch_producer_id(data),
           record_batch_producer_epoch(data), record_batch_base_sequence(data),
           record_batch_leader_epoch(data), record_batch_record_count(data),
           record_batch_max_timestamp(data), crc);
}

static void command_batches(struct tool *tool, char **paths, int count) {
    for (int i = 0; i < count; i++) {
        char *data;
        size_t size, at = 0;
        must(paths[i], sys_file_read_all(tool->sys, paths[i], INT32_MAX, &data, &size));
        struct record_batch batch;
        while (record_batch_next((struct bytes){(uint8_t *)data, size}, &at, &batch) == ERR_OK) {
            if (!record_batch_crc_matches(batch.data, batch.size)) {
                die(paths[i], ERR_CORRUPT);
            }
            batch_print(tool, batch.data, batch.size);
        }
        free(data);
    }
}

static void command_bench(struct tool *tool, const char *path, size_t size, int64_t count) {
    struct log_config config;
    log_config_init(&config);
    directory_open(tool, path);
    struct writer writer = {.tool = tool, .shape = &shapes[0]};
    must("create", log_create(tool->directory, STR("bench"), 0, UUID_TWO, 0, &config, &writer.log));
    struct buffer batch = {0};
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    struct batch_builder builder;
    batch_builder_init(&builder, &batch, &options);
    uint8_t value[1000] = {1};
    while (batch_builder_size(&builder) + sizeof value < size) {
        batch_builder_add(&builder, 1700000000000, (struct bytes){0},
                          (struct bytes){.data = value, .size = sizeof value}, NULL, 0);
    }
    batch_builder_add(&builder, 1700000000000, (struct bytes){0},
                      (struct bytes){.data = value, .size = 1}, NULL, 0);
    batch_builder_finish(&builder, NULL);
    size_t batch_size = batch.size;
    int64_t start_ns = sys_mono_ns(tool->sys);
    for (int64_t i = 0; i < count; i++) {
        batch.size = batch_size;
        writer_append(&writer, &batch, 0);
    }
    int64_t spent_ns = sys_mono_ns(tool->sys) - start_ns;
    printf("%" PRId64 " batches of %zu bytes: %" PRId64 " ns each, %.0f MiB/s\n", count, batch_size,
           spent_ns / count,
           (double)batch_size * (double)count / 1048576.0 / ((double)spent_ns / 1e9));
    buffer_done(&batch);
    log_free(writer.log);
}

static void run(struct tool *tool, int argc, char **argv) {
    const char *command = argc > 2 ? argv[1] : "";
    if (strcmp(command, "write") == 0 && argc == 5) {
        command_write(tool, argv[2], argv[3], atoll(argv[4]));
    } else if (strcmp(command, "append") == 0 && argc == 5) {
        command_append(tool, argv[2], argv[3], atoll(argv[4]), false);
    } else if (strcmp(command, "crash") == 0 && argc == 5) {
        command_append(tool, argv[2], argv[3], atoll(argv[4]), true);
    } else if (strcmp(command, "show") == 0 && argc == 3) {
        command_show(tool, argv[2]);
    } else if (strcmp(command, "find") == 0 && argc > 4) {
        command_find(tool, argv[2], argv[3], argv + 4, argc - 4);
    } else if (strcmp(command, "batches") == 0 && argc > 2) {
        command_batches(tool, argv + 2, argc - 2);
    } else if (strcmp(command, "bench") == 0 && argc == 5) {
        command_bench(tool, argv[2], (size_t)atoll(argv[3]), atoll(argv[4]));
    } else {
        fprintf(stderr, "usage: see the head of log_tool.c\n");
        exit(2);
    }
}

int main(int argc, char **argv) {
    struct tool tool = {
        .text_log = {.sink = print_line, .now_ms = no_time, .level = TEXT_LOG_INFO},
        .compression = compression_new(),
    };
    must("sys", sys_linux_new(&tool.sys));
    tool.cache = log_cache_new(tool.sys, 100, 1 << 20);
    rng_init(&tool.rng, 42);
    run(&tool, argc, argv);
    log_directory_close(tool.directory);
    log_cache_free(tool.cache);
    compression_free(tool.compression);
    sys_linux_free(tool.sys);
    return 0;
}
