/*
 * One log under many threads, for the thread sanitizer: a writer that appends, rolls, deletes and
 * now and then truncates; a flusher; readers by offset and time; one that changes settings and
 * asks. Or, of a compacted log, a writer that appends, a cleaner, and the same others.
 *
 *     log_stress_test DIRECTORY [MILLISECONDS [compacted]]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/rng.h"
#include "log/batch_header.h"
#include "log/cleaner.h"
#include "log/directory.h"
#include "log/log.h"
#include "sys/linux.h"
#include "wire/batch_builder.h"

struct stress {
    struct sys *sys;
    struct log *log;
    struct log_directory *directory;
    int64_t end_ms;
    bool compacted;
    struct log_cleaning *swap_due; /* atomic: taken by the writer, */
    bool swapped;                  /* atomic: who did it */
    int64_t longest_append_us, longest_swap_us;
    int64_t appends, reads, lookups, flushes; /* atomic */
    int64_t cleanings;
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
    uint8_t key = (uint8_t)rng_below(rng, 50);
    batch_builder_add(&builder, sys_wall_ms(stress->sys),
                      stress->compacted ? (struct bytes){&key, 1} : (struct bytes){0},
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

static void note_longest(struct stress *stress, int64_t *longest_us, int64_t start_ns) {
    int64_t took_us = (sys_mono_ns(stress->sys) - start_ns) / 1000;
    *longest_us = took_us > *longest_us ? took_us : *longest_us;
}

static void *compacted_writer(void *arg) {
    struct stress *stress = arg;
    struct rng rng;
    rng_init(&rng, 2);
    int32_t sequence = 0;
    while (goes_on(stress)) {
        int64_t start_ns = sys_mono_ns(stress->sys);
        append_one(stress, &rng, sequence++);
        note_longest(stress, &stress->longest_append_us, start_ns);
        struct log_cleaning *cleaning =
            __atomic_exchange_n(&stress->swap_due, NULL, __ATOMIC_ACQ_REL);
        if (cleaning != NULL) {
            start_ns = sys_mono_ns(stress->sys);
            check(log_cleaning_swap(cleaning) == ERR_OK, "swap");
            note_longest(stress, &stress->longest_swap_us, start_ns);
            __atomic_store_n(&stress->swapped, true, __ATOMIC_RELEASE);
        }
        int64_t next_ms;
        if (rng_one_in(&rng, 100)) {
            (void)log_directory_trash_step(stress->directory, &next_ms);
        }
    }
    return NULL;
}

/* False: the time was over before the writer came to it. */
static bool let_swap(struct stress *stress, struct log_cleaning *cleaning) {
    __atomic_store_n(&stress->swapped, false, __ATOMIC_RELEASE);
    __atomic_store_n(&stress->swap_due, cleaning, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&stress->swapped, __ATOMIC_ACQUIRE)) {
        if (!goes_on(stress) &&
            __atomic_exchange_n(&stress->swap_due, NULL, __ATOMIC_ACQ_REL) != NULL) {
            return false;
        }
    }
    return true;
}

static void clean_once(struct stress *stress, const struct log_cleanable *cleanable) {
    struct log_cleaning_settings settings = {.map_bytes = 1 << 16,
                                             .map_load = 0.9,
                                             .io_bytes = 10000,
                                             .now_ms = sys_wall_ms(stress->sys)};
    struct log_cleaning *cleaning = log_cleaning_new(stress->log, cleanable, &settings);
    enum log_cleaning_next next = LOG_CLEANING_AGAIN;
    while (next != LOG_CLEANING_DONE && (goes_on(stress) || !log_cleaning_may_stop(cleaning))) {
        if (next == LOG_CLEANING_SWAP && !let_swap(stress, cleaning)) {
            break;
        }
        check(log_cleaning_step(cleaning, &next) == ERR_OK, "clean");
    }
    stress->cleanings += next == LOG_CLEANING_DONE;
    log_cleaning_free(cleaning);
}

static void *cleaner(void *arg) {
    struct stress *stress = arg;
    while (goes_on(stress)) {
        struct log_cleanable cleanable;
        check(log_cleanable(stress->log, sys_wall_ms(stress->sys), false, &cleanable) == ERR_OK,
              "cleanable");
        if (cleanable.cleanable_bytes > 0) {
            clean_once(stress, &cleanable);
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

/* What is never truncated is whole whenever it is read. */
static void slice_check(const struct stress *stress, const struct log_slice *slice) {
    static __thread uint8_t data[20000];
    size_t got;
    check(sys_file_read(slice->file, slice->position, data, slice->size, &got) == ERR_OK, "read");
    struct batch_header header;
    for (size_t at = 0; at < got; at += header.size) {
        if (batch_header_read(data + at, got - at, &header) != NULL) {
            check(!stress->compacted, "a batch is damaged");
            return; /* truncated under our feet */
        }
        check(!stress->compacted || batch_crc_good(&header, data + at), "a checksum is wrong");
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
            slice_check(stress, &slice);
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
    stress.compacted = argc > 3;
    config.cleanup_compact = stress.compacted;
    check(log_directory_open(stress.sys, NULL, cache, argv[1], &stress.directory) == ERR_OK,
          "directory");
    char name[32];
    snprintf(name, sizeof name, "t%lld", (long long)sys_wall_ms(stress.sys));
    check(log_create(stress.directory, str_from_c(name), 0, UUID_ONE, 0, &config, &stress.log) ==
              ERR_OK,
          "create");
    stress.end_ms = sys_mono_ms(stress.sys) + (argc > 2 ? atoll(argv[2]) : 1000);
    enum { ROLES = 6 };
    void *(*const roles[ROLES])(void *) = {
        stress.compacted ? compacted_writer : writer, flusher, reader, reader, asker,
        stress.compacted ? cleaner : reader};
    pthread_t threads[ROLES];
    for (int i = 0; i < ROLES; i++) {
        pthread_create(&threads[i], NULL, roles[i], &stress);
    }
    for (int i = 0; i < ROLES; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%lld appends, %lld reads, %lld lookups, %lld flushes\n", (long long)stress.appends,
           (long long)stress.reads, (long long)stress.lookups, (long long)stress.flushes);
    if (stress.compacted) {
        printf("%lld cleanings; the longest append took %lld us, the longest swap %lld us\n",
               (long long)stress.cleanings, (long long)stress.longest_append_us,
               (long long)stress.longest_swap_us);
    }
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
