/*
 * The metadata log by hand, for the comparison with Apache Kafka.
 *
 *   meta_tool format DIR NODE_ID CLUSTER_ID HOST PORT [static]
 *   meta_tool run DIR VOTERS history|topic|nothing
 *       starts the quorum (VOTERS: controller.quorum.voters, or "-"), appends what is said, writes
 *       a snapshot, stops
 *   meta_tool image DIR [--log-only]
 *       prints the image as the records that make it, one JSON per line; reads only
 *   meta_tool records FILE
 *       prints the records of a segment or snapshot the same way
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/directory.h"
#include "meta/batch.h"
#include "meta/format.h"
#include "meta/loader.h"
#include "meta/snapshot.h"
#include "meta/test_records.h"
#include "quorum/quorum.h"
#include "sys/file.h"
#include "sys/linux.h"
#include "wire/codec.h"
#include "wire/json.h"

#define FOLDER "__cluster_metadata-0"

enum { PATH_SIZE = 4096, FILE_SIZE_MAX = 1 << 30, LINE_PARTITIONS = 3 };

static _Noreturn void die(const char *what, const char *why) {
    fprintf(stderr, "meta_tool: %s: %s\n", what, why);
    exit(1);
}

static void check(err_t err, const char *what) {
    if (err != ERR_OK) {
        die(what, err_text(err));
    }
}

static void print_record(const struct meta_record *record) {
    json_t *data =
        wire_to_json(meta_record_wire_type(record->type), record->version, record->message);
    json_t *line = json_pack("{s:s, s:i, s:o}", "type", meta_record_name(record->type), "version",
                             record->version, "data", data);
    char *text = json_dumps(line, JSON_COMPACT);
    puts(text);
    free(text);
    json_decref(line);
}

/* --- format --- */

static int format(struct sys *sys, int argc, char **argv) {
    if (argc < 5) {
        return 2;
    }
    const char *dirs[] = {argv[0]};
    struct meta_endpoint endpoint = {
        .name = STR("CONTROLLER"),
        .host = str_from_c(argv[3]),
        .port = (uint16_t)atoi(argv[4]),
    };
    struct meta_format_options options = {
        .dirs = dirs,
        .dir_count = 1,
        .metadata_dir = argv[0],
        .cluster_id = str_from_c(argv[2]),
        .node_id = atoi(argv[1]),
        .standalone = argc == 5,
        .endpoints = &endpoint,
        .endpoint_count = 1,
    };
    char error[META_FORMAT_ERROR_MAX] = "";
    if (meta_format(sys, &options, error) != ERR_OK) {
        die("format", error);
    }
    return 0;
}

/* --- run --- */

struct run {
    struct quorum *quorum;
    struct sys_loop *loop;
    struct log_meta meta;
    const char *dir;
    const char *what;
    char snapshot_path[PATH_SIZE];
    int waiting; /* appends under way */
    struct sys_task start_task;
    struct sys_timer stop_timer;
};

struct run_append {
    struct quorum_append append;
    struct run *run;
};

static void stopped(void *arg) {
    sys_loop_stop(((struct run *)arg)->loop);
}

/* Stopping would cancel the snapshot, so it comes when the file is there. */
static void stop(struct sys_timer *timer) {
    struct run *run = container_of(timer, struct run, stop_timer);
    struct sys_stat stat;
    if (sys_path_stat(sys_loop_sys(run->loop), run->snapshot_path, &stat) == ERR_OK) {
        quorum_stop(run->quorum, stopped, run);
    } else {
        sys_timer_set(run->loop, timer, sys_loop_now_ms(run->loop) + 20);
    }
}

static void finish(struct run *run) {
    const struct meta_provenance *last = &quorum_image(run->quorum)->provenance;
    char name[META_SNAPSHOT_NAME_MAX];
    meta_snapshot_name((struct meta_snapshot_id){.offset = last->offset + 1, .epoch = last->epoch},
                       name);
    snprintf(run->snapshot_path, sizeof run->snapshot_path, "%s/" FOLDER "/%s", run->dir, name);
    quorum_snapshot(run->quorum);
    run->stop_timer.fire = stop;
    sys_timer_set(run->loop, &run->stop_timer, sys_loop_now_ms(run->loop) + 20);
}

static void appended(struct quorum_append *append, err_t err) {
    struct run_append *mine = container_of(append, struct run_append, append);
    struct run *run = mine->run;
    check(err, "append");
    free(mine);
    if (--run->waiting == 0) {
        finish(run);
    }
}

static void append(void *arg, int16_t type, const void *message) {
    struct run *run = arg;
    struct run_append *mine = calloc(1, sizeof *mine);
    mine->run = run;
    mine->append.done = appended;
    struct meta_record record = {
        .type = type,
        .version = meta_record_version(type, METADATA_VERSION_LATEST),
        .message = message,
    };
    run->waiting++;
    check(quorum_append(run->quorum, &record, 1, true, &mine->append), meta_record_name(type));
}

/* What a controller would have written: the features, and a topic on this broker's directory. */
static void append_topic(struct run *run) {
    size_t count;
    const struct meta_feature_info *features = meta_features(&count);
    struct feature_level_record feature = {
        .name = STR(META_FEATURE_METADATA_VERSION),
        .feature_level = METADATA_VERSION_LATEST,
    };
    append(run, META_RECORD_FEATURE_LEVEL, &feature);
    for (size_t i = 0; i < count; i++) {
        feature.name = str_from_c(features[i].name);
        feature.feature_level = meta_feature_default(&features[i], METADATA_VERSION_LATEST);
        if (!str_equal(feature.name, STR("kraft.version"))) {
            append(run, META_RECORD_FEATURE_LEVEL, &feature);
        }
    }
    struct topic_record topic = {.name = STR("ours"), .topic_id = test_id(77)};
    append(run, META_RECORD_TOPIC, &topic);
    for (int32_t i = 0; i < LINE_PARTITIONS; i++) {
        struct partition_record partition;
        wire_init(&partition_record_type, &partition);
        partition.topic_id = topic.topic_id;
        partition.partition_id = i;
        partition.replicas = &run->meta.node_id;
        partition.replicas_count = 1;
        partition.isr = &run->meta.node_id;
        partition.isr_count = 1;
        partition.leader = run->meta.node_id;
        partition.leader_epoch = 0;
        partition.partition_epoch = 0;
        partition.directories = &run->meta.directory_id;
        partition.directories_count = 1;
        append(run, META_RECORD_PARTITION, &partition);
    }
    struct config_record config = {
        .resource_type = META_RESOURCE_TOPIC,
        .resource_name = topic.name,
        .name = STR("retention.ms"),
        .value = STR("123456789"),
    };
    append(run, META_RECORD_CONFIG, &config);
}

static void started(void *arg, err_t err, const char *text) {
    struct run *run = arg;
    if (err != ERR_OK) {
        die("start", text);
    }
    if (strcmp(run->what, "history") == 0) {
        test_history(&(struct record_sink){.add = append, .arg = run});
    } else if (strcmp(run->what, "topic") == 0) {
        append_topic(run);
    } else {
        finish(run);
    }
}

static void start(struct sys_task *task) {
    struct run *run = container_of(task, struct run, start_task);
    quorum_start(run->quorum, started, run);
}

static void to_stderr(void *arg, enum text_log_level level, const char *line, int size) {
    (void)arg;
    (void)level;
    fwrite(line, 1, (size_t)size, stderr);
}

static int64_t wall_ms(void *arg) {
    return sys_wall_ms(arg);
}

static void no_image(struct quorum_listener *listener, struct meta_image *image,
                     const struct meta_changes *changes) {
    (void)listener;
    (void)image;
    (void)changes;
}

static int run(struct sys *sys, int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    struct text_log text_log = {
        .sink = to_stderr, .now_ms = wall_ms, .arg = sys, .level = TEXT_LOG_INFO};
    struct run run = {.dir = argv[0], .what = argv[2]};
    struct log_cache *cache = log_cache_new(sys, 100, 1 << 20);
    struct log_directory *directory;
    check(log_directory_open(sys, &text_log, cache, argv[0], &directory), argv[0]);
    struct quorum_options options;
    quorum_options_init(&options);
    struct sys_pool *pool;
    check(sys_loop_new(sys, "reactor-0", &run.loop), "loop");
    check(sys_pool_new(sys, "disk", 1, &pool), "pool");
    options.sys = sys;
    options.loop = run.loop;
    options.pool = pool;
    options.text_log = &text_log;
    options.directory = directory;
    options.static_voters = strcmp(argv[1], "-") == 0 ? STR_NULL : str_from_c(argv[1]);
    (void)log_directory_meta(directory, &run.meta);
    check(quorum_new(&options, &run.quorum), "controller.quorum.voters");
    struct quorum_listener listener = {.image = no_image};
    quorum_add_listener(run.quorum, &listener);
    run.start_task.run = start;
    sys_loop_post(run.loop, &run.start_task);
    sys_loop_run(run.loop);
    quorum_free(run.quorum);
    check(log_directory_mark_clean(directory, -1), "clean shutdown");
    log_directory_close(directory);
    sys_pool_free(pool);
    sys_loop_free(run.loop);
    log_cache_free(cache);
    return 0;
}

/* --- image --- */

static struct meta_image *read_snapshot(struct sys *sys, const char *path,
                                        struct meta_snapshot_id id) {
    struct meta_image *empty = meta_image_new();
    struct meta_delta *delta = meta_delta_new(empty);
    meta_image_unref(empty);
    struct meta_snapshot_reader *reader;
    check(meta_snapshot_reader_open(sys, path, &reader), path);
    bool done = false;
    while (!done) {
        if (meta_snapshot_reader_step(reader, delta, &done) != ERR_OK) {
            die(path, meta_snapshot_reader_error(reader));
        }
    }
    meta_snapshot_reader_free(reader);
    const struct meta_provenance provenance = {.offset = id.offset - 1, .epoch = id.epoch};
    return meta_delta_finish(delta, &provenance, NULL);
}

static void replay_file(struct sys *sys, const char *path, struct meta_loader *loader) {
    char *data;
    size_t size;
    check(sys_file_read_all(sys, path, FILE_SIZE_MAX, &data, &size), path);
    struct bytes run = {.data = (const uint8_t *)data, .size = size};
    size_t position = 0;
    struct record_batch batch;
    while (record_batch_next(run, &position, &batch) == ERR_OK) {
        check(meta_batch_check(&batch), path);
        int64_t offset = meta_loader_image(loader)->provenance.offset;
        if (record_batch_last_offset(batch.data) > offset &&
            meta_loader_batch(loader, &batch) != ERR_OK) {
            die(path, meta_loader_error(loader));
        }
    }
    if (position != size) {
        die(path, "does not end with a batch");
    }
    free(data);
}

static void print_image(struct meta_image *image) {
    struct meta_image_walk *walk = meta_image_walk_new(image);
    struct meta_record record;
    while (meta_image_walk_next(walk, &record)) {
        print_record(&record);
    }
    meta_image_walk_free(walk);
}

static int image(struct sys *sys, int argc, char **argv) {
    if (argc < 1) {
        return 2;
    }
    char folder[PATH_SIZE], path[2 * PATH_SIZE], newest[2 * PATH_SIZE] = "";
    snprintf(folder, sizeof folder, "%s/" FOLDER, argv[0]);
    struct sys_dir_list list;
    check(sys_dir_list(sys, folder, &list), folder);
    struct meta_snapshot_id id, newest_id = {0};
    for (size_t i = 0; i < list.count && argc == 1; i++) { /* sorted by name, so by offset */
        if (meta_snapshot_parse_name(list.names[i], &id)) {
            snprintf(newest, sizeof newest, "%s/%s", folder, list.names[i]);
            newest_id = id;
        }
    }
    struct meta_image *first =
        newest[0] == '\0' ? meta_image_new() : read_snapshot(sys, newest, newest_id);
    struct meta_loader *loader = meta_loader_new(first);
    for (size_t i = 0; i < list.count; i++) {
        size_t size = strlen(list.names[i]);
        if (size == 24 && strcmp(list.names[i] + 20, ".log") == 0) {
            snprintf(path, sizeof path, "%s/%s", folder, list.names[i]);
            replay_file(sys, path, loader);
        }
    }
    print_image(meta_loader_image(loader));
    meta_loader_free(loader);
    meta_image_unref(first);
    sys_dir_list_free(&list);
    return 0;
}

/* --- records --- */

static int records(struct sys *sys, int argc, char **argv) {
    if (argc != 1) {
        return 2;
    }
    char *data;
    size_t size;
    check(sys_file_read_all(sys, argv[0], FILE_SIZE_MAX, &data, &size), argv[0]);
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    size_t position = 0;
    struct record_batch batch;
    while (record_batch_next((struct bytes){(const uint8_t *)data, size}, &position, &batch) ==
           ERR_OK) {
        check(meta_batch_check(&batch), argv[0]);
        struct meta_batch_walk walk;
        check(meta_batch_walk_init(&walk, &batch, &arena), argv[0]);
        struct meta_record record;
        int64_t offset;
        while (!record_batch_is_control(batch.data) &&
               meta_batch_next(&walk, &record, &offset) == ERR_OK) {
            print_record(&record);
        }
    }
    arena_done(&arena);
    free(data);
    return 0;
}

int main(int argc, char **argv) {
    const struct {
        const char *name;
        int (*call)(struct sys *sys, int argc, char **argv);
    } commands[] = {{"format", format}, {"run", run}, {"image", image}, {"records", records}};
    struct sys *sys;
    check(sys_linux_new(&sys), "sys");
    int result = 2;
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            result = commands[i].call(sys, argc - 2, argv + 2);
        }
    }
    if (result == 2) {
        fprintf(stderr, "usage: meta_tool format|run|image|records …, see meta_tool.c\n");
    }
    sys_linux_free(sys);
    return result;
}
