/*
 * One log under many threads, for the thread sanitizer: a writer that appends, rolls, deletes and
 * now and then truncates; a flusher; readers by offset and time; one that changes settings and
 * asks.
 *
 *     log_stress_test DIRECTORY [MILLISECONDS]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/rng.h"
#include "log/batch_header.h"
#include "log/directory.h"
#include "log/log.h"
#include "sys/linux.h"
#include "wire/batch_builder.h"

struct stress {
    struct sys *sys;
    struct log *log;
    struct log_directory *directory;
    int64_t end_ms;
    int64_t appends, reads, lookups, flushes; /* atomic */
};

static void check(bool good, const char *what) {
    if (!good) {
        fprintf(stderr, "log_stress_test: %s\n", what);
        abort();
    }
}

static bool goes_on(const struct stress *stress) {
    return sys_mono_ms(stress->sys) < stress->end_ms;
}

static void count(int64_t *counter) {
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static void append_one(struct stress *stress, struct rng *rng, int32_t sequence) {
    struct buffer batch = {0};
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.producer_id = 1;
    options.producer_epoch = 0;
    options.base_sequence = sequence;
    struct batch_builder builder;
    batch_builder_init(&builder, &batch, &options);
    uint8_t value[400] = {0};
    batch_builder_add(&builder, sys_wall_ms(stress->sys), (struct bytes){0},
                      (struct bytes){.data = value, .size = rng_below(rng, sizeof value)}, NULL, 0);
    batch_builder_finish(&builder, NULL);
    struct log_append append = {
        .data = batch.data, .size = batch.size, .now_ms = sys_wall_ms(stress->sys)};
    struct log_append_result result;
    check(log_append(stress->log, &append, &result) == ERR_OK, "append");
    log_high_watermark_set(stress->log, result.last_offset + 1);
    buffer_done(&batch);
    count(&stress->appends);
}

static void *writer(void *arg) {
    struct stress *stress = arg;
    struct rng rng;
    rng_init(&rng, 1);
    int32_t sequence = 0;
    while (goes_on(stress)) {
        append_one(stress, &rng, sequence++);
        bool more = rng_one_in(&rng, 200);
        while (more) {
            check(log_retention_step(stress->log, sys_wall_ms(stress->sys), &more) == ERR_OK,
                  "retention");
        }
        int64_t end_offset = log_end_offset(stress->log);
        if (rng_one_in(&rng, 40) && end_offset - log_start_offset(stress->log) > 10) {
            check(log_truncate_to(stress->log, end_offset - 3) == ERR_OK, "truncate");
            sequence -= 3;
        }
        if (rng_one_in(&rng, 100)) {
            int64_t next_ms;
            (void)log_directory_trash_step(stress->directory, &next_ms);
        }
    }
    return NULL;
}

static void *flusher(void *arg) {
    struct stress *stress = arg;
    while (goes_on(stress)) {
        check(log_flush(stress->log, log_flush_next(stress->log)) == ERR_OK, "flush");
        log_start_writeback(stress->log);
        count(&stress->flushes);
    }
    return NULL;
}

static void slice_check(const struct log_slice *slice) {
    static __thread uint8_t data[20000];
    size_t got;
    check(sys_file_read(slice->file, slice->position, data, slice->size, &got) == ERR_OK, "read");
    struct batch_header header;
    for (size_t at = 0; at < got; at += header.size) {
        if (batch_header_read(data + at, got - at, &header) != NULL) {
            return; /* truncated under our feet */
        }
    }
}

static void *reader(void *arg) {
    struct stress *stress = arg;
    struct rng rng;
    rng_init(&rng, (uint64_t)(uintptr_t)&rng);
    while (goes_on(stress)) {
        int64_t start = log_start_offset(stress->log), end = log_end_offset(stress->log);
        if (end <= start) {
            continue;
        }
        int64_t offset = start + (int64_t)rng_below(&rng, (uint64_t)(end - start));
        struct log_slice slice;
        err_t err = log_read(stress->log, offset, 1 + rng_below(&rng, 20000),
                             log_high_watermark(stress->log), 0, &slice);
        check(err == ERR_OK || err == ERR_OFFSET_OUT_OF_RANGE, err_name(err));
        if (err == ERR_OK && slice.segment != NULL) {
            slice_check(&slice);
            log_slice_release(&slice);
        }
        count(&stress->reads);
    }
    return NULL;
}

static void *asker(void *arg) {
    struct stress *stress = arg;
    struct log_config config;
    for (int round = 0; goes_on(stress); round++) {
        log_config_read(stress->log, &config);
        config.segment_bytes = round % 2 == 0 ? 20000 : 30000;
        log_configure(stress->log, &config);
        struct log_time_offset found;
        err_t err = log_offset_for_timestamp(
            stress->log, round % 3 == 0 ? LOG_TIMESTAMP_MAX : sys_wall_ms(stress->sys) - 20,
            &found);
        check(err == ERR_OK, "time");
        struct log_producer *producers;
        size_t producer_count;
        log_producers(stress->log, &producers, &producer_count);
        free(producers);
        (void)log_last_stable_offset(stress->log);
        (void)log_size(stress->log);
        (void)log_roll_due(stress->log, 100, sys_wall_ms(stress->sys), sys_wall_ms(stress->sys));
        (void)log_flush_due(stress->log, sys_wall_ms(stress->sys));
        count(&stress->lookups);
    }
    return NULL;
}

int main(int argc, char **argv) {
    check(argc > 1, "usage: log_stress_test DIRECTORY [MILLISECONDS]");
    struct stress stress = {0};
    check(sys_linux_new(&stress.sys) == ERR_OK, "sys");
    struct log_cache *cache = log_cache_new(stress.sys, 8, 64 * 1024);
    struct log_config config;
    log_config_init(&config);
    config.segment_bytes = 20000;
    config.index_interval_bytes = 500;
    config.retention_bytes = 200000;
    config.file_delete_delay_ms = 10;
    check(log_directory_open(stress.sys, NULL, cache, argv[1], &stress.directory) == ERR_OK,
          "directory");
    char name[32];
    snprintf(name, sizeof name, "t%lld", (long long)sys_wall_ms(stress.sys));
    check(log_create(stress.directory, str_from_c(name), 0, UUID_ONE, 0, &config, &stress.log) ==
              ERR_OK,
          "create");
    stress.end_ms = sys_mono_ms(stress.sys) + (argc > 2 ? atoll(argv[2]) : 1000);
    void *(*const roles[])(void *) = {writer, flusher, reader, reader, asker};
    enum { ROLES = sizeof roles / sizeof roles[0] };
    pthread_t threads[ROLES];
    for (int i = 0; i < ROLES; i++) {
        pthread_create(&threads[i], NULL, roles[i], &stress);
    }
    for (int i = 0; i < ROLES; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%lld appends, %lld reads, %lld lookups, %lld flushes\n", (long long)stress.appends,
           (long long)stress.reads, (long long)stress.lookups, (long long)stress.flushes);
    check(log_delete(stress.log) == ERR_OK, "delete");
    log_free(stress.log);
    int64_t next_ms = 0;
    while (next_ms != INT64_MAX) {
        check(log_directory_trash_step(stress.directory, &next_ms) == ERR_OK, "trash");
    }
    log_directory_close(stress.directory);
    log_cache_free(cache);
    sys_linux_free(stress.sys);
    return 0;
}
