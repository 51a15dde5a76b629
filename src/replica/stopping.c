/*
 * A controlled end: whatever runs is waited for, then
 *
 *   close every log, each in its own queue of writes ──► per volume: checkpoints, then the
 *   clean-shutdown marker ──► stopped
 *
 * The marker is written only where every log was closed without an error (bug T33); the directory
 * itself refuses it otherwise.
 */
#include <assert.h>
#include <stdlib.h>

#include "replica/replicas_int.h"

struct closing {
    struct partition_write write;
    struct stop *stop;
    struct partition *partition;
    int64_t end_offset;
    int64_t start_offset;
    int64_t high_watermark;
    bool start_checkpointed;
    bool closed;
};

struct sealing {
    struct sys_job job;
    struct stop *stop;
    struct volume *volume;
    int step;
    err_t err;
};

struct stop {
    struct replicas *replicas;
    struct closing *closings;
    size_t count;
    struct sealing *sealings;
    size_t running;
};

static void stop_task_done(struct stop *stop);

/* --- per volume --- */

static void write_checkpoint(struct sealing *sealing, enum log_checkpoint kind) {
    struct stop *stop = sealing->stop;
    struct log_checkpoint_entry *entries = calloc(stop->count + 1, sizeof *entries);
    size_t count = 0;
    for (size_t i = 0; i < stop->count; i++) {
        const struct closing *closing = &stop->closings[i];
        if (!closing->closed || partition_volume(closing->partition) != sealing->volume ||
            (kind == LOG_CHECKPOINT_LOG_START && !closing->start_checkpointed)) {
            continue;
        }
        entries[count++] = (struct log_checkpoint_entry){
            .topic = partition_topic(closing->partition),
            .partition = partition_index(closing->partition),
            .offset = kind == LOG_CHECKPOINT_RECOVERY_POINT   ? closing->end_offset
                      : kind == LOG_CHECKPOINT_HIGH_WATERMARK ? closing->high_watermark
                                                              : closing->start_offset,
        };
    }
    err_t err = log_directory_checkpoint_write(sealing->volume->directory, kind, entries, count);
    sealing->err = sealing->err == ERR_OK ? err : sealing->err;
    free(entries);
}

static enum sys_job_result seal_step(struct sys_job *job) {
    struct sealing *sealing = container_of(job, struct sealing, job);
    switch (sealing->step++) {
    case 0:
        write_checkpoint(sealing, LOG_CHECKPOINT_RECOVERY_POINT);
        return SYS_JOB_AGAIN;
    case 1:
        write_checkpoint(sealing, LOG_CHECKPOINT_HIGH_WATERMARK);
        return SYS_JOB_AGAIN;
    case 2:
        write_checkpoint(sealing, LOG_CHECKPOINT_LOG_START);
        return SYS_JOB_AGAIN;
    default:
        if (sealing->err == ERR_OK) {
            sealing->err = log_directory_mark_clean(sealing->volume->directory,
                                                    sealing->stop->replicas->broker_epoch);
        }
        return SYS_JOB_DONE;
    }
}

static void seal_done(struct sys_job *job) {
    struct sealing *sealing = container_of(job, struct sealing, job);
    if (sealing->err != ERR_OK) {
        text_log_warn(sealing->stop->replicas->text_log, "log",
                      "%s could not be closed cleanly (%s); the next start recovers its logs",
                      log_directory_path(sealing->volume->directory), err_text(sealing->err));
    }
    stop_task_done(sealing->stop);
}

static void seal_volumes(struct stop *stop) {
    struct replicas *replicas = stop->replicas;
    stop->sealings = calloc((size_t)replicas->volume_count, sizeof *stop->sealings);
    stop->running = (size_t)replicas->volume_count;
    for (int i = 0; i < replicas->volume_count; i++) {
        struct sealing *sealing = &stop->sealings[i];
        sealing->job =
            (struct sys_job){.run = seal_step, .done = seal_done, .loop = replicas->loop};
        sealing->stop = stop;
        sealing->volume = replicas->volumes[i];
        sys_pool_submit(sealing->volume->upkeep, &sealing->job);
    }
}

static void stop_task_done(struct stop *stop) {
    if (--stop->running > 0) {
        return;
    }
    if (stop->sealings == NULL) {
        seal_volumes(stop);
        return;
    }
    struct replicas *replicas = stop->replicas;
    for (size_t i = 0; i < stop->count; i++) {
        partition_unref(stop->closings[i].partition);
    }
    free(stop->closings);
    free(stop->sealings);
    free(stop);
    replicas->stopped(replicas->stopped_arg);
}

/* --- per log --- */

static err_t run_close(struct partition_write *write, struct partition *partition,
                       struct log *log) {
    struct closing *closing = container_of(write, struct closing, write);
    closing->end_offset = log_end_offset(log);
    closing->start_offset = log_start_offset(log);
    closing->high_watermark = log_high_watermark(log);
    closing->start_checkpointed = log_start_checkpointed(log);
    err_t err = log_close(log);
    closing->closed = err == ERR_OK;
    partition_set_deleted(partition); /* nothing may use the log any more */
    return volume_note(partition_volume(partition), err);
}

static void close_done(struct partition_write *write) {
    struct closing *closing = container_of(write, struct closing, write);
    stop_task_done(closing->stop);
}

static void collect(void *arg, struct partition *partition) {
    struct stop *stop = arg;
    stop->closings[stop->count++] = (struct closing){
        .write = {.run = run_close,
                  .done = close_done,
                  .loop = stop->replicas->loop,
                  .blocking = true},
        .stop = stop,
        .partition = partition_ref(partition),
    };
}

static void close_logs(struct replicas *replicas) {
    struct stop *stop = calloc(1, sizeof *stop);
    stop->replicas = replicas;
    stop->closings = calloc(replicas_count(replicas) + 1, sizeof *stop->closings);
    replicas_each(replicas, collect, stop);
    stop->running = 1; /* this loop */
    for (size_t i = 0; i < stop->count; i++) {
        struct closing *closing = &stop->closings[i];
        stop->running++;
        if (partition_submit(closing->partition, &closing->write) == ERR_OK) {
            stop->running--;
        }
    }
    stop_task_done(stop);
}

void replicas_task_done(struct replicas *replicas) {
    assert(replicas->tasks_running > 0);
    replicas->tasks_running--;
    if (replicas->tasks_running == 0 && replicas->stopping) {
        close_logs(replicas);
    }
}

void replicas_stop(struct replicas *replicas, int64_t broker_epoch, void (*stopped)(void *arg),
                   void *arg) {
    assert(!replicas->stopping);
    replicas->stopping = true;
    replicas->broker_epoch = broker_epoch;
    replicas->stopped = stopped;
    replicas->stopped_arg = arg;
    sys_timer_clear(replicas->loop, &replicas->upkeep_timer);
    replicas->tasks_running++; /* this call */
    replicas_task_done(replicas);
}
