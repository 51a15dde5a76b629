/*
 * What happens in the background, per volume, on its workers
 *
 *   every      tick (1 s)                       look whether anything below is due; free when idle
 *   flush      a log's dirty bytes above        sync it, then move its recovery point, so that a
 *              FLUSH_BYTES, flush.ms over, or   crash re-reads little
 *              any when FLUSH_INTERVAL is over
 *   checkpoint after flushes, when high         recovery points, high watermarks, log starts
 *              watermarks or log starts moved
 *   retention  log.retention.check.interval.ms  oldest segments by time, size and log start;
 *                                               producers that expired
 *   trash      a file's file.delete.delay.ms    unlink it
 *
 * One run of a volume goes over its logs one per slice; there is never more than one run of it.
 * Flushing stands beside writers; retention queues as one.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "replica/replicas_int.h"
#include "sys/sys.h"

enum { TICK_MS = 1000 };

struct volume_upkeep {
    struct sys_job job;
    struct replicas *replicas;
    struct volume *volume;
    bool running;

    /* When each is due, on sys_mono_ms. */
    int64_t flush_all_at_ms;
    int64_t retention_at_ms;
    int64_t trash_at_ms;
    _Atomic bool starts_moved;

    /* The run. */
    struct partition **partitions;
    size_t count;
    size_t next;
    bool flush_all;
    bool retention;
    bool flushed;
};

/* --- a run, on a worker --- */

/* A write that nobody waits for: it stands in the partition's queue and frees itself. Closing a log
 * queues behind it. */
static void free_write(struct partition_write *write) {
    free(write);
}

static void submit_and_forget(struct partition *partition,
                              err_t (*run)(struct partition_write *write,
                                           struct partition *partition, struct log *log)) {
    struct partition_write *write = calloc(1, sizeof *write);
    write->run = run;
    write->done = free_write;
    write->blocking = true;
    if (partition_submit(partition, write) == ERR_OK) {
        free_write(write);
    }
}

static err_t run_retention(struct partition_write *write, struct partition *partition,
                           struct log *log) {
    (void)write;
    struct volume *volume = partition_volume(partition);
    int64_t now_ms = sys_wall_ms(volume->sys);
    bool more = true;
    err_t err = ERR_OK;
    log_producers_expire(log, now_ms);
    while (err == ERR_OK && more) {
        err = log_retention_step(log, now_ms, &more);
    }
    return volume_note(volume, err);
}

static err_t run_flush(struct partition_write *write, struct partition *partition,
                       struct log *log) {
    (void)write;
    return volume_note(partition_volume(partition), log_flush(log, INT64_MAX));
}

/* Beside the writers; but where appends flush by themselves (flush.messages) in their queue, for
 * flushes of one log must not overlap. */
static void flush(struct volume_upkeep *upkeep, struct partition *partition, struct log *log) {
    int64_t dirty = log_dirty_bytes(log);
    if (dirty == 0 || !(upkeep->flush_all || dirty >= FLUSH_BYTES ||
                        log_flush_due(log, sys_wall_ms(upkeep->volume->sys)))) {
        return;
    }
    struct log_config config;
    log_config_read(log, &config);
    if (config.flush_messages != INT64_MAX) {
        submit_and_forget(partition, run_flush);
    } else if (volume_note(upkeep->volume, log_flush(log, INT64_MAX)) == ERR_OK) {
        upkeep->flushed = true;
    }
}

static bool in_volume(const struct volume_upkeep *upkeep, struct partition *partition) {
    return partition_volume(partition) == upkeep->volume;
}

static void write_checkpoint(struct volume_upkeep *upkeep, enum log_checkpoint kind) {
    struct log_checkpoint_entry *entries = calloc(upkeep->count + 1, sizeof *entries);
    size_t count = 0;
    for (size_t i = 0; i < upkeep->count; i++) {
        struct partition *partition = upkeep->partitions[i];
        struct log *log = partition_log(partition);
        if (log == NULL || !in_volume(upkeep, partition) ||
            (kind == LOG_CHECKPOINT_LOG_START && !log_start_checkpointed(log))) {
            continue;
        }
        entries[count++] = (struct log_checkpoint_entry){
            .topic = partition_topic(partition),
            .partition = partition_index(partition),
            .offset = kind == LOG_CHECKPOINT_RECOVERY_POINT   ? log_recovery_point(log)
                      : kind == LOG_CHECKPOINT_HIGH_WATERMARK ? log_high_watermark(log)
                                                              : log_start_offset(log),
        };
    }
    (void)volume_note(upkeep->volume, log_directory_checkpoint_write(upkeep->volume->directory,
                                                                     kind, entries, count));
    free(entries);
}

static void finish_run(struct volume_upkeep *upkeep) {
    if (upkeep->flushed) {
        write_checkpoint(upkeep, LOG_CHECKPOINT_RECOVERY_POINT);
        write_checkpoint(upkeep, LOG_CHECKPOINT_HIGH_WATERMARK);
    }
    if (atomic_exchange(&upkeep->starts_moved, false) || upkeep->retention) {
        write_checkpoint(upkeep, LOG_CHECKPOINT_LOG_START);
    }
    int64_t next_ms;
    err_t err = ERR_OK;
    do {
        err = log_directory_trash_step(upkeep->volume->directory, &next_ms);
    } while (err == ERR_OK && next_ms <= sys_mono_ms(upkeep->volume->sys));
    upkeep->trash_at_ms = err == ERR_OK ? next_ms : sys_mono_ms(upkeep->volume->sys) + TICK_MS;
}

/* One log per slice. */
static enum sys_job_result upkeep_step(struct sys_job *job) {
    struct volume_upkeep *upkeep = container_of(job, struct volume_upkeep, job);
    if (upkeep->next == upkeep->count) {
        finish_run(upkeep);
        return SYS_JOB_DONE;
    }
    struct partition *partition = upkeep->partitions[upkeep->next++];
    struct log *log = partition_log(partition);
    if (log != NULL && in_volume(upkeep, partition) &&
        log_directory_state(upkeep->volume->directory) == ERR_OK) {
        flush(upkeep, partition, log);
        if (upkeep->retention) {
            submit_and_forget(partition, run_retention);
        }
    }
    return SYS_JOB_AGAIN;
}

static void run_done(struct sys_job *job) {
    struct volume_upkeep *upkeep = container_of(job, struct volume_upkeep, job);
    struct replicas *replicas = upkeep->replicas;
    for (size_t i = 0; i < upkeep->count; i++) {
        partition_unref(upkeep->partitions[i]);
    }
    free(upkeep->partitions);
    upkeep->partitions = NULL;
    upkeep->running = false;
    replicas_task_done(replicas);
}

/* --- the tick, on reactor 0 --- */

static void collect(void *arg, struct partition *partition) {
    struct volume_upkeep *upkeep = arg;
    if (in_volume(upkeep, partition)) {
        upkeep->partitions[upkeep->count++] = partition_ref(partition);
    }
}

static void start_run(struct volume_upkeep *upkeep) {
    struct replicas *replicas = upkeep->replicas;
    upkeep->partitions = calloc(replicas_count(replicas) + 1, sizeof *upkeep->partitions);
    upkeep->count = 0;
    upkeep->next = 0;
    upkeep->flushed = false;
    upkeep->running = true;
    replicas_each(replicas, collect, upkeep);
    upkeep->job = (struct sys_job){.run = upkeep_step, .done = run_done, .loop = replicas->loop};
    replicas->tasks_running++;
    sys_pool_submit(upkeep->volume->upkeep, &upkeep->job);
}

static int64_t retention_interval_ms(const struct replicas *replicas) {
    return config_long(replicas->config, CONFIG_LOG_RETENTION_CHECK_INTERVAL_MS);
}

static void tick_volume(struct volume_upkeep *upkeep, int64_t now_ms) {
    int64_t dirty = log_directory_dirty_bytes(upkeep->volume->directory);
    upkeep->retention = now_ms >= upkeep->retention_at_ms;
    upkeep->flush_all = dirty > 0 && now_ms >= upkeep->flush_all_at_ms;
    if (dirty == 0) {
        /* What comes next has the whole interval. */
        upkeep->flush_all_at_ms = now_ms + FLUSH_INTERVAL_MS;
    }
    bool due = upkeep->retention || dirty > 0 || now_ms >= upkeep->trash_at_ms ||
               atomic_load(&upkeep->starts_moved);
    if (!due) {
        return;
    }
    if (upkeep->retention) {
        upkeep->retention_at_ms = now_ms + retention_interval_ms(upkeep->replicas);
    }
    if (upkeep->flush_all) {
        upkeep->flush_all_at_ms = now_ms + FLUSH_INTERVAL_MS;
    }
    start_run(upkeep);
}

static void tick(struct sys_timer *timer) {
    struct replicas *replicas = container_of(timer, struct replicas, upkeep_timer);
    int64_t now_ms = sys_mono_ms(replicas->sys);
    for (int i = 0; i < replicas->volume_count; i++) {
        if (!replicas->upkeep[i].running) {
            tick_volume(&replicas->upkeep[i], now_ms);
        }
    }
    sys_timer_set(replicas->loop, timer, now_ms + TICK_MS);
}

void replicas_upkeep_start(struct replicas *replicas) {
    int64_t now_ms = sys_mono_ms(replicas->sys);
    replicas->upkeep = calloc((size_t)replicas->volume_count, sizeof *replicas->upkeep);
    for (int i = 0; i < replicas->volume_count; i++) {
        struct volume_upkeep *upkeep = &replicas->upkeep[i];
        upkeep->replicas = replicas;
        upkeep->volume = replicas->volumes[i];
        upkeep->flush_all_at_ms = now_ms + FLUSH_INTERVAL_MS;
        upkeep->retention_at_ms =
            now_ms + config_long(replicas->config, CONFIG_LOG_INITIAL_TASK_DELAY_MS);
        upkeep->trash_at_ms = now_ms;
    }
    replicas->upkeep_timer.fire = tick;
    sys_timer_set(replicas->loop, &replicas->upkeep_timer, now_ms + TICK_MS);
}

void replicas_upkeep_free(struct replicas *replicas) {
    free(replicas->upkeep);
    replicas->upkeep = NULL;
}

void replicas_upkeep_configure(struct replicas *replicas) {
    int64_t latest_ms = sys_mono_ms(replicas->sys) + retention_interval_ms(replicas);
    for (int i = 0; replicas->upkeep != NULL && i < replicas->volume_count; i++) {
        if (replicas->upkeep[i].retention_at_ms > latest_ms) {
            replicas->upkeep[i].retention_at_ms = latest_ms;
        }
    }
}

void replicas_note_log_start(struct replicas *replicas) {
    for (int i = 0; replicas->upkeep != NULL && i < replicas->volume_count; i++) {
        atomic_store(&replicas->upkeep[i].starts_moved, true);
    }
}

void replicas_note_trash(struct replicas *replicas) {
    for (int i = 0; replicas->upkeep != NULL && i < replicas->volume_count; i++) {
        replicas->upkeep[i].trash_at_ms = 0;
    }
}
