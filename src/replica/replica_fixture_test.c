#include "replica/replica_fixture_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/file.h"
#include "wire/batch_builder.h"
#include "wire/messages.h"

enum { WAIT_MS_MAX = 60 * 1000 };

static int completions; /* of appends, for their order */

static void keep_line(void *arg, enum text_log_level level, const char *line, int size) {
    (void)level;
    struct fixture *f = arg;
    buffer_add(&f->lines, line, (size_t)size);
}

static int64_t wall_ms(void *arg) {
    return sys_wall_ms(((struct fixture *)arg)->sys);
}

/* --- life --- */

static const struct config_pair base_pairs[] = {
    {STR("process.roles"), STR("broker,controller")},
    {STR("node.id"), STR("1")},
    {STR("listeners"), STR("PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093")},
    {STR("controller.listener.names"), STR("CONTROLLER")},
    {STR("controller.quorum.bootstrap.servers"), STR("127.0.0.1:9093")},
    {STR("log.dirs"), STR("/d0")},
    {STR("log.initial.task.delay.ms"), STR("500")},
    {STR("log.segment.delete.delay.ms"), STR("1000")},
};

enum { BASE_PAIRS = sizeof base_pairs / sizeof base_pairs[0], MORE_PAIRS_MAX = 8 };
static struct config_pair more_pairs[MORE_PAIRS_MAX];
static size_t more_count;

static void make_config(struct fixture *f) {
    struct config_pair pairs[BASE_PAIRS + MORE_PAIRS_MAX];
    memcpy(pairs, base_pairs, sizeof base_pairs);
    memcpy(pairs + BASE_PAIRS, more_pairs, more_count * sizeof *more_pairs);
    struct config_report report;
    config_report_init(&report);
    if (config_new(pairs, BASE_PAIRS + more_count, &report, &f->config) != ERR_OK) {
        fail_msg("%.*s", STR_ARGS(report.errors[0]));
    }
    config_report_done(&report);
}

void fixture_init(struct fixture *f, int volume_count) {
    memset(f, 0, sizeof *f);
    more_count = 0;
    f->world = sim_world_new(1);
    f->host = sim_host_new(f->world, "a", "10.0.0.1");
    f->sys = sim_host_sys(f->host);
    f->text_log =
        (struct text_log){.sink = keep_line, .now_ms = wall_ms, .arg = f, .level = TEXT_LOG_DEBUG};
    f->volume_count = volume_count;
    f->image = meta_image_new();
    f->delta = meta_delta_new(f->image);
    f->compression = compression_new();
}

void fixture_set(struct fixture *f, const char *name, const char *value) {
    assert_null(f->replicas);
    assert_true(more_count < MORE_PAIRS_MAX);
    more_pairs[more_count++] = (struct config_pair){str_from_c(name), str_from_c(value)};
}

void fixture_change(struct fixture *f, const char *name, const char *value) {
    size_t i = 0;
    while (i < more_count && !str_equal(more_pairs[i].name, str_from_c(name))) {
        i++;
    }
    assert_true(i < MORE_PAIRS_MAX);
    more_count += i == more_count;
    more_pairs[i] = (struct config_pair){str_from_c(name), str_from_c(value)};
    config_unref(f->config);
    make_config(f);
    replicas_configure(f->replicas, f->config);
}

static void loaded(void *arg, err_t err, const char *text) {
    struct fixture *f = arg;
    assert_true((err == ERR_OK) == (text == NULL));
    f->loaded = true;
    f->load_err = err;
}

static void stopped(void *arg) {
    ((struct fixture *)arg)->stopped = true;
}

static void misplaced(void *arg, struct uuid topic_id, int32_t index, struct uuid directory) {
    struct fixture *f = arg;
    if (f->place_count < FIXTURE_PLACES_MAX) {
        f->places[f->place_count++] = (struct place){topic_id, index, directory};
    }
}

void fixture_begin(struct fixture *f) {
    assert_int_equal(sys_loop_new(f->sys, "reactor-0", &f->loop), ERR_OK);
    assert_int_equal(sys_loop_start(f->loop), ERR_OK);
    make_config(f);
    f->cache = log_cache_new(f->sys, 64, 1024 * 1024);
    for (int i = 0; i < f->volume_count; i++) {
        char path[16];
        (void)snprintf(path, sizeof path, "/d%d", i);
        struct volume_settings settings = {.sys = f->sys,
                                           .text_log = &f->text_log,
                                           .cache = f->cache,
                                           .path = path,
                                           .upkeep_threads = 2};
        assert_int_equal(volume_open(&settings, &f->volumes[i]), ERR_OK);
        f->volumes[i]->id = (struct uuid){{0xd0, (uint8_t)i}};
    }
    struct replicas_settings settings = {.sys = f->sys,
                                         .loop = f->loop,
                                         .text_log = &f->text_log,
                                         .node_id = 1,
                                         .volumes = f->volumes,
                                         .volume_count = f->volume_count,
                                         .data_volume_count = f->volume_count - f->metadata_volumes,
                                         .volumes_missing = f->volumes_missing,
                                         .config = f->config,
                                         .misplaced = misplaced,
                                         .arg = f};
    f->place_count = 0;
    f->replicas = replicas_new(&settings);
    f->loaded = false;
    f->stopped = false;
    replicas_load(f->replicas, f->image, loaded, f);
}

static bool is_loaded(struct fixture *f) {
    return f->loaded;
}

void fixture_start(struct fixture *f) {
    fixture_begin(f);
    fixture_wait(f, is_loaded);
    assert_int_equal(f->load_err, ERR_OK);
}

static void drop(struct fixture *f) {
    replicas_free(f->replicas);
    f->replicas = NULL;
    for (int i = 0; i < f->volume_count; i++) {
        volume_close(f->volumes[i]);
        f->volumes[i] = NULL;
    }
    log_cache_free(f->cache);
    f->cache = NULL;
    config_unref(f->config);
    f->config = NULL;
    sys_loop_stop(f->loop);
    fixture_run_for(f, 1);
    sys_loop_free(f->loop);
    f->loop = NULL;
}

static bool is_stopped(struct fixture *f) {
    return f->stopped;
}

void fixture_stop(struct fixture *f) {
    replicas_stop(f->replicas, 7, stopped, f);
    fixture_wait(f, is_stopped);
    drop(f);
}

void fixture_crash(struct fixture *f, bool power) {
    fixture_settle(f);
    drop(f);
    if (power) {
        sim_host_power_cut(f->host);
    } else {
        sim_host_crash(f->host);
    }
    sim_host_restart(f->host);
}

void fixture_done(struct fixture *f) {
    if (f->replicas != NULL) {
        fixture_stop(f);
    }
    compression_free(f->compression);
    meta_delta_free(f->delta);
    meta_image_unref(f->image);
    buffer_done(&f->lines);
    sim_world_free(f->world);
}

/* --- the image --- */

static void apply(struct fixture *f, int16_t type, const void *message) {
    struct meta_record record = {
        .type = type, .version = wire_version_max(meta_record_wire_type(type)), .message = message};
    if (meta_delta_apply(f->delta, &record) != ERR_OK) {
        fail_msg("%s", meta_delta_error(f->delta));
    }
}

struct uuid fixture_topic(struct fixture *f, const char *name, int partitions) {
    struct uuid id = {{0xaa}};
    id.bytes[15] = (uint8_t)++f->ids_given;
    struct topic_record topic;
    wire_init(&topic_record_type, &topic);
    topic.name = str_from_c(name);
    topic.topic_id = id;
    apply(f, META_RECORD_TOPIC, &topic);
    int32_t self = 1;
    struct uuid unassigned = UUID_ZERO;
    for (int i = 0; i < partitions; i++) {
        struct partition_record partition;
        wire_init(&partition_record_type, &partition);
        partition.partition_id = i;
        partition.topic_id = id;
        partition.replicas = &self;
        partition.replicas_count = 1;
        partition.isr = &self;
        partition.isr_count = 1;
        partition.leader = 1;
        partition.leader_epoch = 0;
        partition.partition_epoch = 0;
        partition.directories = &unassigned;
        partition.directories_count = 1;
        apply(f, META_RECORD_PARTITION, &partition);
    }
    return id;
}

void fixture_delete(struct fixture *f, struct uuid id) {
    struct remove_topic_record record;
    wire_init(&remove_topic_record_type, &record);
    record.topic_id = id;
    apply(f, META_RECORD_REMOVE_TOPIC, &record);
}

void fixture_leader(struct fixture *f, struct uuid id, int32_t partition, int32_t leader) {
    struct partition_change_record record;
    wire_init(&partition_change_record_type, &record);
    record.topic_id = id;
    record.partition_id = partition;
    record.leader = leader;
    apply(f, META_RECORD_PARTITION_CHANGE, &record);
}

void fixture_directory(struct fixture *f, struct uuid id, int32_t partition,
                       struct uuid directory) {
    struct partition_change_record record;
    wire_init(&partition_change_record_type, &record);
    record.topic_id = id;
    record.partition_id = partition;
    record.directories = &directory;
    record.directories_count = 1;
    apply(f, META_RECORD_PARTITION_CHANGE, &record);
}

void fixture_replicas(struct fixture *f, struct uuid id, int32_t partition, int count) {
    static int32_t nodes[] = {1, 2, 3, 4};
    static struct uuid directories[4];
    struct partition_change_record record;
    wire_init(&partition_change_record_type, &record);
    record.topic_id = id;
    record.partition_id = partition;
    record.replicas = nodes;
    record.replicas_count = count;
    record.directories = directories;
    record.directories_count = count;
    apply(f, META_RECORD_PARTITION_CHANGE, &record);
}

void fixture_config(struct fixture *f, int8_t type, const char *resource, const char *name,
                    const char *value) {
    struct config_record record;
    wire_init(&config_record_type, &record);
    record.resource_type = type;
    record.resource_name = str_from_c(resource);
    record.name = str_from_c(name);
    record.value = value == NULL ? STR_NULL : str_from_c(value);
    apply(f, META_RECORD_CONFIG, &record);
}

void fixture_commit(struct fixture *f) {
    struct meta_changes *changes;
    struct meta_provenance provenance = f->image->provenance;
    provenance.offset++;
    struct meta_image *before = f->image;
    f->image = meta_delta_finish(f->delta, &provenance, &changes);
    f->delta = meta_delta_new(f->image);
    if (f->replicas != NULL && f->loaded) {
        replicas_apply(f->replicas, f->image, changes);
    }
    meta_changes_free(changes);
    meta_image_unref(before);
}

/* --- waiting --- */

void fixture_run_for(struct fixture *f, int64_t duration_ms) {
    sim_world_run_for(f->world, duration_ms);
}

static bool ask(void *arg) {
    struct fixture *f = arg;
    return f->until(f);
}

void fixture_wait(struct fixture *f, bool (*until)(struct fixture *f)) {
    f->until = until;
    if (!sim_world_run_until(f->world, ask, f, WAIT_MS_MAX)) {
        fail_msg("waited in vain; told: %.*s", (int)f->lines.size, (const char *)f->lines.data);
    }
}

static bool is_settled(struct fixture *f) {
    for (int i = 0; i < f->volume_count; i++) {
        if (sys_pool_depth(f->volumes[i]->writers) + sys_pool_depth(f->volumes[i]->upkeep) > 0) {
            return false;
        }
    }
    return true;
}

/* What a worker has finished is told by a task: one more turn. */
void fixture_settle(struct fixture *f) {
    do {
        fixture_wait(f, is_settled);
        fixture_run_for(f, 1);
    } while (!is_settled(f));
}

/* --- records --- */

static void make_batch(struct fixture *f, const struct batch *batch, struct buffer *out) {
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    if (batch->producer_id > 0) {
        options.producer_id = batch->producer_id;
        options.producer_epoch = 0;
        options.base_sequence = batch->sequence;
    }
    options.compression = (enum compression_type)batch->compression;
    options.level = compression_level_default(options.compression);
    size_t size = batch->value_size == 0 ? 10 : batch->value_size;
    uint8_t *value = calloc(1, size);
    struct batch_builder builder;
    batch_builder_init(&builder, out, &options);
    for (int i = 0; i < (batch->records == 0 ? 1 : batch->records); i++) {
        struct bytes key =
            batch->key == NULL ? (struct bytes){0} : str_bytes(str_from_c(batch->key));
        batch_builder_add(&builder, sys_wall_ms(f->sys), key,
                          (struct bytes){.data = value, .size = size}, NULL, 0);
    }
    batch_builder_finish(&builder, f->compression);
    free(value);
}

static void appended(struct partition_write *write) {
    struct appending *appending = container_of(write, struct appending, append.write);
    appending->done = true;
    appending->order = ++completions;
}

void append_begin(struct fixture *f, struct partition *partition, const struct batch *batch,
                  struct appending *ret_appending) {
    *ret_appending = (struct appending){.pending = true};
    make_batch(f, batch, &ret_appending->bytes);
    arena_init(&ret_appending->arena, SIZE_MAX);
    ret_appending->append = (struct partition_append){
        .write = {.done = appended, .loop = f->loop},
        .records = ret_appending->bytes.data,
        .size = ret_appending->bytes.size,
        .leader_epoch = PARTITION_ANY_EPOCH,
        .all_acks = true,
        .arena = &ret_appending->arena,
        .compression = f->compression,
    };
    if (partition_append(partition, &ret_appending->append) == ERR_OK) {
        ret_appending->pending = false;
        appended(&ret_appending->append.write);
    }
}

void append_end(struct appending *appending) {
    assert_true(appending->done);
    partition_append_done(&appending->append);
    arena_done(&appending->arena);
    buffer_done(&appending->bytes);
}

static bool is_done(void *arg) {
    return ((struct appending *)arg)->done;
}

err_t append_try(struct fixture *f, struct partition *partition, const struct batch *batch) {
    struct appending appending;
    append_begin(f, partition, batch, &appending);
    assert_true(sim_world_run_until(f->world, is_done, &appending, WAIT_MS_MAX));
    err_t err = appending.append.write.err;
    append_end(&appending);
    return err;
}

int64_t append(struct fixture *f, struct partition *partition, const struct batch *batch) {
    struct appending appending;
    append_begin(f, partition, batch, &appending);
    assert_true(sim_world_run_until(f->world, is_done, &appending, WAIT_MS_MAX));
    assert_int_equal(appending.append.write.err, ERR_OK);
    int64_t offset = appending.append.first_offset;
    append_end(&appending);
    return offset;
}

struct partition *find(struct fixture *f, struct uuid id, int32_t index) {
    struct partition *partition = replicas_find(f->replicas, id, index);
    assert_non_null(partition);
    return partition;
}

static int64_t walk(const struct log_slice *slice, int64_t *offset) {
    uint8_t *data = malloc(slice->size);
    size_t got = 0;
    assert_int_equal(sys_file_read(slice->file, slice->position, data, slice->size, &got), ERR_OK);
    assert_int_equal(got, slice->size);
    int64_t records = 0;
    for (size_t at = 0; at < slice->size;
         at += RECORD_BATCH_OVERHEAD + (size_t)record_batch_length(data + at)) {
        assert_int_equal(record_batch_base_offset(data + at), *offset);
        records += record_batch_record_count(data + at);
        *offset = record_batch_last_offset(data + at) + 1;
    }
    free(data);
    return records;
}

int64_t count_records(struct partition *partition, int64_t offset) {
    int64_t records = 0;
    for (;;) {
        struct partition_read read = {.offset = offset,
                                      .size_max = 64 * 1024,
                                      .min_one = true,
                                      .leader_epoch = PARTITION_ANY_EPOCH,
                                      .fetched_epoch = PARTITION_ANY_EPOCH};
        assert_int_equal(partition_read(partition, &read), ERR_OK);
        if (read.slice.segment == NULL) {
            return records;
        }
        records += walk(&read.slice, &offset);
        log_slice_release(&read.slice);
    }
}

/* --- partition 0 of a topic --- */

int64_t fill(struct fixture *f, struct uuid id, int records) {
    struct partition *partition = find(f, id, 0);
    int64_t last = -1;
    for (int i = 0; i < records; i++) {
        last = append(f, partition, &(struct batch){.records = 1});
    }
    partition_unref(partition);
    return last + 1;
}

int64_t records_of(struct fixture *f, struct uuid id, int64_t offset) {
    struct partition *partition = find(f, id, 0);
    int64_t count = count_records(partition, offset);
    partition_unref(partition);
    return count;
}

struct partition_offsets offsets_of(struct fixture *f, struct uuid id) {
    struct partition *partition = find(f, id, 0);
    struct partition_offsets offsets;
    assert_int_equal(partition_offsets(partition, PARTITION_ANY_EPOCH, &offsets), ERR_OK);
    partition_unref(partition);
    return offsets;
}

static err_t run_cut(struct partition_write *write, struct partition *partition, struct log *log) {
    (void)partition;
    return log_delete_records(log, container_of(write, struct cut, write)->offset);
}

static void cut_done(struct log_start_wait *wait) {
    container_of(wait, struct cut, wait)->done = true;
}

static void cut_written(struct partition_write *write) {
    struct cut *cut = container_of(write, struct cut, write);
    assert_int_equal(write->err, ERR_OK);
    cut->wait = (struct log_start_wait){.loop = cut->fixture->loop, .done = cut_done};
    replicas_log_start_wait(cut->fixture->replicas, cut->volume, &cut->wait);
}

void cut_begin(struct fixture *f, struct uuid id, int64_t offset, struct cut *ret_cut) {
    struct partition *partition = find(f, id, 0);
    *ret_cut = (struct cut){
        .write = {.run = run_cut, .done = cut_written, .loop = f->loop, .blocking = true},
        .fixture = f,
        .volume = partition_volume(partition),
        .offset = offset,
    };
    assert_int_equal(partition_submit(partition, &ret_cut->write), ERR_PENDING);
    partition_unref(partition);
}

void cut_below(struct fixture *f, struct uuid id, int64_t offset) {
    struct cut cut;
    cut_begin(f, id, offset, &cut);
    fixture_settle(f);
    assert_true(cut.done);
    assert_int_equal(cut.wait.err, ERR_OK);
}

/* --- what is to be seen --- */

bool told(struct fixture *f, const char *text) {
    buffer_add(&f->lines, "", 1);
    bool found = strstr((const char *)f->lines.data, text) != NULL;
    buffer_done(&f->lines);
    return found;
}

bool exists(struct fixture *f, const char *path) {
    struct sys_stat stat;
    return sys_path_stat(f->sys, path, &stat) == ERR_OK;
}

int count_names(struct fixture *f, const char *directory, const char *start) {
    struct sys_dir_list list;
    assert_int_equal(sys_dir_list(f->sys, directory, &list), ERR_OK);
    int count = 0;
    for (size_t i = 0; i < list.count; i++) {
        count += strncmp(list.names[i], start, strlen(start)) == 0;
    }
    sys_dir_list_free(&list);
    return count;
}
