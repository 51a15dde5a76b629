/*
 * Crashes, power cuts and bad disks at any moment, by seed:  log_power_test [FIRST_SEED [COUNT]]
 *
 * A node writes numbered records to a log, flushes, checkpoints, deletes and closes at random,
 * until the world takes its process, its power or its disk away. Then it starts again, and the
 * auditor compares the log with what was promised:
 *
 *   1  what log_append returned OK for is there after a crash of the process, unless a sync failed
 *   2  what log_flush returned OK for is there after a power cut
 *   3  offsets follow each other without a hole, and each has the value that was appended there
 *   4  a producer's last batch, sent again, is a duplicate as long as it is there
 *   5  what is not wanted any more stays away: the log start offset never goes back behind what
 *      its checkpoint says
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/rng.h"
#include "log/batch_header.h"
#include "log/log.h"
#include "sys/sim.h"
#include "sys/sim_disk.h"
#include "wire/batch_builder.h"

/* Nodes are killed and leave their memory behind. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0";
}

enum { RECORDS_MAX = 1 << 16, LIVES = 12, PRODUCER = 77 };

struct audit {
    struct sim_world *world;
    struct sim_host *host;
    struct rng rng;
    uint64_t seed;
    uint64_t values[RECORDS_MAX]; /* by offset */
    int64_t appended;             /* offsets below were acknowledged, */
    int64_t appending;            /* below this may have been written, */
    int64_t flushed;              /* below this were promised to be on the disk */
    int64_t start_offset;         /* of the newest checkpoint that was written */
    int64_t start_offset_max;     /* that may be in force */
    int32_t sequence;             /* next of the producer */
    uint64_t next_value;
    bool power_was_cut; /* or a sync failed, which may drop what was not on the disk */
    bool ended;         /* the node came to its end by itself */
    /* counters of what happened */
    int cuts, clean_ends, failures, fulls, opened_broken;
};

static void broken(const struct audit *audit, const char *what, int64_t offset) {
    fprintf(stderr, "seed %" PRIu64 ": %s (offset %" PRId64 ")\n", audit->seed, what, offset);
    abort();
}

/* --- the node --- */

struct node {
    struct audit *audit;
    struct sys *sys;
    struct log_cache *cache;
    struct log_directory *directory;
    struct log *log;
    struct log_config config;
};

static bool node_open(struct node *node) {
    node->cache = log_cache_new(node->sys, 8, 32 * 1024);
    if (log_directory_open(node->sys, NULL, node->cache, "/data", &node->directory) != ERR_OK) {
        return false;
    }
    err_t err = log_open(node->directory, "t-0", &node->config, &node->log);
    if (err == ERR_NOT_FOUND) {
        err = log_create(node->directory, STR("t"), 0, UUID_ONE, 0, &node->config, &node->log);
    }
    bool done = err != ERR_OK;
    while (err == ERR_OK && !done) {
        err = log_recovery_step(node->log, &done, NULL);
    }
    return err == ERR_OK;
}

static void batch_build(struct audit *audit, uint64_t value, struct buffer *out) {
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.producer_id = PRODUCER;
    options.producer_epoch = 0;
    options.base_sequence = audit->sequence;
    uint8_t data[300] = {0};
    put_be64(data, value);
    struct batch_builder builder;
    batch_builder_init(&builder, out, &options);
    size_t size = 8 + value * 7919 % 280;
    batch_builder_add(&builder, sys_wall_ms(sim_host_sys(audit->host)), (struct bytes){0},
                      (struct bytes){.data = data, .size = size}, NULL, 0);
    batch_builder_finish(&builder, NULL);
}

static uint64_t value_read(const uint8_t *batch, uint32_t size) {
    struct record_iter iter;
    struct record record;
    if (record_iter_init(&iter, batch, size, NULL, NULL, 0) != ERR_OK ||
        record_iter_next(&iter, &record) != ERR_OK || record.value.size < 8) {
        return 0;
    }
    return get_be64(record.value.data);
}

/* Rule 3, and how far the log goes. */
static void contents_check(struct node *node, int64_t start_offset, int64_t end_offset) {
    struct audit *audit = node->audit;
    int64_t offset = start_offset;
    while (offset < end_offset) {
        struct log_slice slice;
        if (log_read(node->log, offset, 20000, INT64_MAX, LOG_READ_MIN_ONE, &slice) != ERR_OK ||
            slice.segment == NULL) {
            broken(audit, "an offset cannot be read", offset);
        }
        uint8_t data[20000];
        size_t got;
        if (sys_file_read(slice.file, slice.position, data, slice.size, &got) != ERR_OK) {
            broken(audit, "a slice cannot be read", offset);
        }
        struct batch_header header;
        for (size_t at = 0; at < got; at += header.size) {
            if (batch_header_read(data + at, got - at, &header) != NULL ||
                !batch_crc_good(&header, data + at)) {
                broken(audit, "a damaged batch is served", offset);
            }
            if (header.base_offset != offset) {
                broken(audit, "there is a hole", offset);
            }
            if (value_read(data + at, header.size) != audit->values[offset]) {
                broken(audit, "an offset has another value than was appended", offset);
            }
            offset++;
        }
        log_slice_release(&slice);
    }
}

static void duplicate_check(struct node *node, int64_t end_offset) {
    struct audit *audit = node->audit;
    if (end_offset == log_start_offset(node->log) || end_offset == 0) {
        return;
    }
    /* the sequence of the batch at the last offset; sequences count appends, as offsets do */
    audit->sequence = (int32_t)end_offset - 1;
    struct buffer batch = {0};
    batch_build(audit, audit->values[end_offset - 1], &batch);
    struct log_append append = {.data = batch.data, .size = batch.size};
    struct log_append_result result;
    err_t err = log_append(node->log, &append, &result);
    if (err != ERR_OK || !result.duplicate || result.first_offset != end_offset - 1) {
        broken(audit, "a duplicate was not known", end_offset - 1);
    }
    buffer_done(&batch);
}

static void promises_check(struct node *node) {
    struct audit *audit = node->audit;
    int64_t start_offset = log_start_offset(node->log);
    int64_t end_offset = log_end_offset(node->log);
    int64_t promised = audit->power_was_cut ? audit->flushed : audit->appended;
    if (end_offset < promised) {
        broken(audit, "promised records are lost", end_offset);
    }
    if (end_offset > audit->appending) {
        broken(audit, "records that were never appended", end_offset);
    }
    if (start_offset < audit->start_offset || start_offset > audit->start_offset_max) {
        broken(audit, "the log start offset is wrong", start_offset);
    }
    contents_check(node, start_offset, end_offset);
    duplicate_check(node, end_offset);
    audit->sequence = (int32_t)end_offset;
    audit->appended = end_offset;
    audit->appending = end_offset;
    if (audit->flushed > end_offset) {
        audit->flushed = end_offset;
    }
    audit->power_was_cut = false;
}

static bool node_append(struct node *node) {
    struct audit *audit = node->audit;
    struct buffer batch = {0};
    uint64_t value = ++audit->next_value;
    batch_build(audit, value, &batch);
    audit->values[audit->appending] = value;
    int64_t offset = audit->appending++;
    struct log_append append = {
        .data = batch.data, .size = batch.size, .now_ms = sys_wall_ms(node->sys)};
    struct log_append_result result;
    err_t err = log_append(node->log, &append, &result);
    buffer_done(&batch);
    if (err == ERR_OK) {
        if (result.duplicate || result.first_offset != offset) {
            broken(audit, "appended at the wrong offset", result.first_offset);
        }
        audit->appended = offset + 1;
        audit->sequence++;
        log_high_watermark_set(node->log, offset + 1);
        return true;
    }
    if (log_end_offset(node->log) != offset) {
        broken(audit, "a failed append moved the end", offset);
    }
    audit->appending = offset; /* whatever the disk has of it was cut off, or is after a crash */
    audit->fulls += err == ERR_NO_SPACE;
    if (err != ERR_NO_SPACE || log_directory_state(node->directory) != ERR_OK) {
        audit->appending = offset + 1;
        return false;
    }
    return true;
}

static bool node_flush(struct node *node) {
    int64_t end_offset = node->audit->appended;
    if (log_flush(node->log, end_offset) != ERR_OK) {
        node->audit->power_was_cut = true;
        return false;
    }
    if (node->audit->flushed < end_offset) {
        node->audit->flushed = end_offset;
    }
    return true;
}

static bool node_checkpoint(struct node *node) {
    struct log_checkpoint_entry entry = {
        .topic = STR("t"), .partition = 0, .offset = log_recovery_point(node->log)};
    err_t err =
        log_directory_checkpoint_write(node->directory, LOG_CHECKPOINT_RECOVERY_POINT, &entry, 1);
    entry.offset = log_high_watermark(node->log);
    if (err == ERR_OK) {
        err = log_directory_checkpoint_write(node->directory, LOG_CHECKPOINT_HIGH_WATERMARK, &entry,
                                             1);
    }
    entry.offset = log_start_offset(node->log);
    bool listed = log_start_checkpointed(node->log);
    if (err == ERR_OK) {
        err = log_directory_checkpoint_write(node->directory, LOG_CHECKPOINT_LOG_START, &entry,
                                             listed ? 1 : 0);
    }
    if (err == ERR_OK) {
        node->audit->start_offset = entry.offset;
    }
    return err == ERR_OK || err == ERR_NO_SPACE;
}

static bool node_retention(struct node *node) {
    struct audit *audit = node->audit;
    bool more = true;
    err_t err = ERR_OK;
    audit->start_offset_max = audit->appended;
    if (rng_one_in(&audit->rng, 3)) {
        int64_t start = log_start_offset(node->log);
        err = log_delete_records(
            node->log,
            start + (int64_t)rng_below(&audit->rng,
                                       (uint64_t)(log_high_watermark(node->log) - start + 1)));
    }
    while (err == ERR_OK && more) {
        err = log_retention_step(node->log, sys_wall_ms(node->sys), &more);
    }
    int64_t next_ms;
    if (err == ERR_OK) {
        err = log_directory_trash_step(node->directory, &next_ms);
    }
    return err == ERR_OK || err == ERR_NO_SPACE;
}

/* A follower does it; the recovery point's checkpoint follows before anything else. */
static bool node_truncate(struct node *node) {
    struct audit *audit = node->audit;
    int64_t start_offset = log_start_offset(node->log);
    int64_t length = audit->appended - start_offset;
    if (length < 2) {
        return true;
    }
    int64_t offset =
        audit->appended - (int64_t)rng_below(&audit->rng, (uint64_t)(length < 40 ? length : 40));
    audit->appended = offset;
    audit->flushed = audit->flushed < offset ? audit->flushed : offset;
    if (log_truncate_to(node->log, offset) != ERR_OK) {
        return false;
    }
    if (log_end_offset(node->log) != offset) {
        broken(audit, "truncated to another offset", log_end_offset(node->log));
    }
    audit->appending = offset;
    audit->sequence = (int32_t)offset;
    return node_checkpoint(node);
}

static void node_close(struct node *node) {
    if (log_close(node->log) != ERR_OK) {
        node->audit->power_was_cut = true;
        return;
    }
    node->audit->flushed = node->audit->appended;
    if (node_checkpoint(node) && log_directory_mark_clean(node->directory, 1) == ERR_OK) {
        node->audit->clean_ends++;
    }
}

static void node_run(void *arg) {
    struct audit *audit = arg;
    struct node node = {.audit = audit, .sys = sim_host_sys(audit->host)};
    log_config_init(&node.config);
    node.config.segment_bytes = 3000;
    node.config.index_interval_bytes = 400;
    node.config.file_delete_delay_ms = 20;
    node.config.retention_bytes = 30000;
    if (!node_open(&node)) {
        audit->opened_broken++;
        audit->ended = true;
        return;
    }
    promises_check(&node);
    audit->start_offset_max = audit->appended;
    bool good = true;
    while (good && audit->appending < RECORDS_MAX - 1) {
        uint64_t choice = rng_below(&audit->rng, 100);
        good = choice < 80   ? node_append(&node)
               : choice < 90 ? node_flush(&node)
               : choice < 95 ? node_checkpoint(&node)
               : choice < 99 ? node_retention(&node)
                             : true;
        if (choice == 99 && rng_one_in(&audit->rng, 4)) {
            node_close(&node);
            break;
        }
        if (good && choice == 99) {
            good = node_truncate(&node);
        }
    }
    audit->failures += !good;
    audit->ended = true;
}

/* --- the world --- */

static bool node_ended(void *arg) {
    return ((struct audit *)arg)->ended;
}

static void trouble_make(struct audit *audit) {
    uint64_t choice = rng_below(&audit->rng, 4);
    if (choice == 0) {
        sim_disk_set_capacity(audit->host, "/", 8192 + rng_below(&audit->rng, 60000));
    } else if (choice == 1) {
        struct sim_fault fault = {
            .kind = rng_one_in(&audit->rng, 2) ? SIM_FAULT_SHORT_WRITE : SIM_FAULT_ERROR,
            .calls = SIM_CALL_WRITE | SIM_CALL_SYNC | SIM_CALL_NAME,
            .one_in = 30,
            .count_max = 1,
            .err = rng_one_in(&audit->rng, 2) ? ERR_NO_SPACE : ERR_IO,
        };
        (void)sim_disk_add_fault(audit->host, &fault);
    }
}

static void life(struct audit *audit) {
    audit->ended = false;
    sim_disk_set_capacity(audit->host, "/", 64 << 20);
    sim_disk_remove_all_faults(audit->host);
    sim_host_spawn(audit->host, "node", node_run, audit);
    int64_t patience_ms = 1 + (int64_t)rng_below(&audit->rng, 400);
    sim_world_run_until(audit->world, node_ended, audit, patience_ms);
    if (!audit->ended) {
        trouble_make(audit);
        sim_world_run_until(audit->world, node_ended, audit, (int64_t)rng_below(&audit->rng, 300));
    }
    /* the disk is well again before the next start */
    /* After a failed sync pages may count as clean that are not on the disk: only a restart of the
     * machine shows the truth. */
    if (rng_one_in(&audit->rng, 2) || audit->power_was_cut) {
        audit->power_was_cut = true;
        audit->cuts++;
        sim_host_power_cut(audit->host);
    } else {
        sim_host_crash(audit->host);
    }
    sim_host_restart(audit->host);
}

int main(int argc, char **argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 60;
    struct audit *audit = malloc(sizeof *audit);
    int64_t appended = 0;
    int cuts = 0, clean_ends = 0, failures = 0, fulls = 0, opened_broken = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        memset(audit, 0, sizeof *audit);
        audit->seed = seed;
        rng_init(&audit->rng, seed);
        audit->world = sim_world_new(seed);
        audit->host = sim_host_new(audit->world, "a", "10.0.0.1");
        for (int i = 0; i < LIVES; i++) {
            life(audit);
        }
        sim_world_free(audit->world);
        appended += (int64_t)audit->next_value;
        cuts += audit->cuts;
        clean_ends += audit->clean_ends;
        failures += audit->failures;
        fulls += audit->fulls;
        opened_broken += audit->opened_broken;
    }
    free(audit);
    printf("%" PRIu64 " seeds, %" PRId64
           " appends, %d power cuts, %d clean ends, %d disk failures, "
           "%d full disks, %d starts that failed\n",
           count, appended, cuts, clean_ends, failures, fulls, opened_broken);
    return appended > 0 && clean_ends > 0 && opened_broken < (int)count ? 0 : 1;
}
