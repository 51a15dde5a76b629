#include "log/log_fixture_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "log/batch_header.h"
#include "wire/batch_builder.h"

#define DATA "/data"

static void keep_line(void *arg, enum text_log_level level, const char *line, int size) {
    (void)level;
    struct fixture *f = arg;
    buffer_add(&f->lines, line, (size_t)size);
    buffer_add(&f->lines, "\n", 1);
}

static int64_t fixed_now(void *arg) {
    (void)arg;
    return 0;
}

void fixture_init(struct fixture *f) {
    memset(f, 0, sizeof *f);
    f->world = sim_world_new(1);
    f->host = sim_host_new(f->world, "a", "10.0.0.1");
    f->sys = sim_host_sys(f->host);
    f->text_log = (struct text_log){
        .sink = keep_line, .now_ms = fixed_now, .arg = f, .level = TEXT_LOG_DEBUG};
    log_config_init(&f->config);
    f->config.file_delete_delay_ms = 1000;
    f->now_ms = SIM_START_WALL_MS;
}

static void drop(struct fixture *f) {
    log_free(f->log);
    log_directory_close(f->directory);
    log_cache_free(f->cache);
    f->log = NULL;
    f->directory = NULL;
    f->cache = NULL;
}

void fixture_done(struct fixture *f) {
    drop(f);
    buffer_done(&f->lines);
    sim_world_free(f->world);
}

err_t fixture_try_open(struct fixture *f) {
    if (f->cache == NULL) {
        f->cache = log_cache_new(f->sys, 16, 256 * 1024);
        err_t err = log_directory_open(f->sys, &f->text_log, f->cache, DATA, &f->directory);
        assert_int_equal(err, ERR_OK);
    }
    struct sys_stat stat;
    if (sys_path_stat(f->sys, DATA "/t-0", &stat) == ERR_NOT_FOUND) {
        return log_create(f->directory, STR("t"), 0, UUID_ONE, 0, &f->config, &f->log);
    }
    err_t err = log_open(f->directory, "t-0", &f->config, &f->log);
    bool done = err != ERR_OK;
    while (err == ERR_OK && !done) {
        struct log_recovery_progress progress;
        err = log_recovery_step(f->log, &done, &progress);
    }
    return err;
}

void fixture_open(struct fixture *f) {
    assert_int_equal(fixture_try_open(f), ERR_OK);
}

static void checkpoint_write(struct fixture *f, enum log_checkpoint kind, int64_t offset,
                             size_t count) {
    struct log_checkpoint_entry entry = {.topic = STR("t"), .partition = 0, .offset = offset};
    assert_int_equal(log_directory_checkpoint_write(f->directory, kind, &entry, count), ERR_OK);
}

void fixture_checkpoint_at(struct fixture *f, enum log_checkpoint kind, int64_t offset) {
    checkpoint_write(f, kind, offset, 1);
}

void fixture_checkpoint(struct fixture *f) {
    int64_t recovery_point = log_recovery_point(f->log);
    fixture_checkpoint_at(f, LOG_CHECKPOINT_RECOVERY_POINT, recovery_point);
    log_recovery_point_checkpointed(f->log, recovery_point);
    fixture_checkpoint_at(f, LOG_CHECKPOINT_HIGH_WATERMARK, log_high_watermark(f->log));
    checkpoint_write(f, LOG_CHECKPOINT_LOG_START, log_start_offset(f->log),
                     log_start_checkpointed(f->log) ? 1 : 0);
}

void fixture_close(struct fixture *f) {
    assert_int_equal(log_close(f->log), ERR_OK);
    fixture_checkpoint(f);
    assert_int_equal(log_directory_mark_clean(f->directory, 7), ERR_OK);
    drop(f);
}

void fixture_crash(struct fixture *f, bool power) {
    drop(f);
    if (power) {
        sim_host_power_cut(f->host);
    } else {
        sim_host_crash(f->host);
    }
    sim_host_restart(f->host);
}

/* --- appending --- */

void batch_make(struct fixture *f, const struct batch_spec *spec, struct buffer *out) {
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    if (spec->producer_id > 0) {
        options.producer_id = spec->producer_id;
        options.producer_epoch = spec->producer_epoch;
        options.base_sequence = spec->sequence;
    }
    options.attributes = spec->transactional ? RECORD_BATCH_TRANSACTIONAL : 0;
    options.compression = (enum compression_type)spec->compression;
    options.level = compression_level_default(options.compression);
    struct batch_builder builder;
    batch_builder_init(&builder, out, &options);
    size_t size = spec->value_size == 0 ? 10 : (size_t)spec->value_size;
    char *value = malloc(size);
    int count = spec->records == 0 ? 1 : spec->records;
    for (int i = 0; i < count; i++) {
        memset(value, 'a' + i % 26, size);
        int64_t timestamp = (spec->timestamp == 0 ? f->now_ms : spec->timestamp) + i;
        batch_builder_add(&builder, timestamp, (struct bytes){0},
                          (struct bytes){.data = (uint8_t *)value, .size = size}, NULL, 0);
    }
    free(value);
    struct compression *compression = compression_new();
    batch_builder_finish(&builder, compression);
    compression_free(compression);
}

err_t fixture_try_append(struct fixture *f, const struct batch_spec *spec,
                         struct log_append_result *ret_result) {
    struct buffer batch = {0};
    batch_make(f, spec, &batch);
    struct log_append append = {
        .data = batch.data,
        .size = batch.size,
        .leader_epoch = spec->leader_epoch,
        .now_ms = f->now_ms,
    };
    err_t err = log_append(f->log, &append, ret_result);
    buffer_done(&batch);
    return err;
}

int64_t fixture_append(struct fixture *f, const struct batch_spec *spec) {
    struct log_append_result result;
    assert_int_equal(fixture_try_append(f, spec, &result), ERR_OK);
    log_high_watermark_set(f->log, result.last_offset + 1);
    return result.first_offset;
}

void fixture_append_many(struct fixture *f, int batches, int value_size) {
    for (int i = 0; i < batches; i++) {
        f->now_ms++;
        fixture_append(f, &(struct batch_spec){.value_size = value_size});
    }
}

err_t fixture_marker_of(struct fixture *f, int64_t producer_id, int16_t epoch, bool commit,
                        int32_t coordinator_epoch, int16_t transaction_version) {
    struct buffer batch = {0};
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.producer_id = producer_id;
    options.producer_epoch = epoch;
    batch_build_end_transaction(&batch, &options, f->now_ms, commit, coordinator_epoch);
    struct log_append append = {
        .data = batch.data,
        .size = batch.size,
        .now_ms = f->now_ms,
        .flags = LOG_APPEND_COORDINATOR,
        .transaction_version = transaction_version,
    };
    struct log_append_result result;
    err_t err = log_append(f->log, &append, &result);
    buffer_done(&batch);
    return err;
}

err_t fixture_marker(struct fixture *f, int64_t producer_id, int16_t epoch, bool commit,
                     int32_t coordinator_epoch) {
    return fixture_marker_of(f, producer_id, epoch, commit, coordinator_epoch, 0);
}

int64_t fixture_walk(const struct log_slice *slice, int64_t *offset) {
    uint8_t *data = malloc(slice->size);
    size_t got;
    assert_int_equal(sys_file_read(slice->file, slice->position, data, slice->size, &got), ERR_OK);
    assert_int_equal(got, slice->size);
    int64_t records = 0;
    struct batch_header header;
    size_t at = 0;
    for (; at < slice->size; at += header.size) {
        assert_null(batch_header_read(data + at, slice->size - at, &header));
        assert_true(header.size <= slice->size - at);
        assert_true(batch_crc_good(&header, data + at));
        assert_true(header.base_offset >= *offset || at == 0);
        records += header.record_count;
        *offset = header.last_offset + 1;
    }
    assert_int_equal(at, slice->size);
    free(data);
    return records;
}

int64_t fixture_read_all(struct fixture *f, int64_t offset) {
    int64_t records = 0;
    while (offset < log_end_offset(f->log)) {
        struct log_slice slice;
        assert_int_equal(log_read(f->log, offset, 3000, INT64_MAX, LOG_READ_MIN_ONE, &slice),
                         ERR_OK);
        assert_non_null(slice.segment);
        records += fixture_walk(&slice, &offset);
        log_slice_release(&slice);
    }
    return records;
}

/* --- files --- */

const char *fixture_path(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, DATA "/t-0/%s", name);
    return path;
}

uint64_t file_size(struct fixture *f, const char *name) {
    struct sys_stat stat;
    assert_int_equal(sys_path_stat(f->sys, fixture_path(name), &stat), ERR_OK);
    return stat.size;
}

bool file_exists(struct fixture *f, const char *name) {
    struct sys_stat stat;
    return sys_path_stat(f->sys, fixture_path(name), &stat) == ERR_OK;
}

struct buffer file_read(struct fixture *f, const char *name) {
    char *data;
    size_t size;
    assert_int_equal(sys_file_read_all(f->sys, fixture_path(name), 1 << 30, &data, &size), ERR_OK);
    struct buffer buffer = {0};
    buffer_add(&buffer, data, size);
    free(data);
    return buffer;
}

static struct sys_file *file_open(struct fixture *f, const char *name, int flags) {
    struct sys_file *file;
    assert_int_equal(sys_file_open(f->sys, fixture_path(name), flags, &file), ERR_OK);
    return file;
}

void file_write(struct fixture *f, const char *name, const void *data, size_t size) {
    struct sys_file *file = file_open(f, name, SYS_FILE_CREATE | SYS_FILE_TRUNCATE);
    assert_int_equal(sys_file_write(file, 0, data, size), ERR_OK);
    sys_file_close(file);
}

void file_truncate(struct fixture *f, const char *name, uint64_t size) {
    struct sys_file *file = file_open(f, name, 0);
    assert_int_equal(sys_file_truncate(file, size), ERR_OK);
    sys_file_close(file);
}

void file_flip(struct fixture *f, const char *name, uint64_t position) {
    assert_int_equal(sim_disk_flip(f->host, fixture_path(name), position, 3), ERR_OK);
}

void file_remove(struct fixture *f, const char *name) {
    assert_int_equal(sys_path_remove(f->sys, fixture_path(name)), ERR_OK);
}

bool told(struct fixture *f, const char *text) {
    bool found = memmem(f->lines.data, f->lines.size, text, strlen(text)) != NULL;
    if (!found) {
        fprintf(stderr, "not told: %s\nbut:\n%.*s", text, (int)f->lines.size,
                (const char *)f->lines.data);
    }
    buffer_clear(&f->lines);
    return found;
}

void told_nothing(struct fixture *f) {
    if (f->lines.size > 0) {
        fail_msg("told: %.*s", (int)f->lines.size, (const char *)f->lines.data);
    }
}
