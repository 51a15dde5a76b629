/*
 * A controlled end: whatever runs is waited for, then
 *
 *   close every log, each in its own queue of writes ──► per volume: checkpoints, then the
 *   clean-shutdown marker ──► stopped
 *
 * The marker is written only where every log was closed without an error (bug T33); the directory
 * itself refuses it otherwise. A stop before all logs were open leaves checkpoints and marker
 * alone: the table does not know of every log then.
 */
#include <assert.h>
#include <stdlib.h>

#include "replica/replicas_int.h"

struct closing {
    struct partition_write write;
    struct stop *stop;
    struct partition *partition;
};

struct sealing {
    struct sys_job job;
    struct stop *stop;
    struct volume *volume;
    struct checkpoint_part *parts;
    size_t part_count;
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

static void write_one(struct sealing *sealing, enum log_checkpoint kind) {
    err_t err = checkpoint_write(sealing->volume, kind, sealing->parts, sealing->part_count);
    sealing->err = sealing->err == ERR_OK ? err : sealing->err;
}

static enum sys_job_result seal_step(struct sys_job *job) {
    struct sealing *sealing = container_of(job, struct sealing, job);
    switch (sealing->step++) {
    case 0:
        write_one(sealing, LOG_CHECKPOINT_RECOVERY_POINT);
        return SYS_JOB_AGAIN;
    case 1:
        write_one(sealing, LOG_CHECKPOINT_HIGH_WATERMARK);
        return SYS_JOB_AGAIN;
    case 2:
        write_one(sealing, LOG_CHECKPOINT_LOG_START);
        return SYS_JOB_AGAIN;
    case 3:
        write_one(sealing, LOG_CHECKPOINT_CLEANER);
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
                      log_directory_path(sealing->volume->directory),
                      sealing->err == ERR_INVALID ? "not all of its logs were"
                                                  : err_text(sealing->err));
    }
    free(sealing->parts);
    stop_task_done(sealing->stop);
}

static void list_parts(struct sealing *sealing) {
    struct replicas *replicas = sealing->stop->replicas;
    sealing->parts = calloc(map_count(&replicas->table) + 1, sizeof *sealing->parts);
    size_t cursor;
    struct replica *replica;
    map_for_each (&replicas->table, cursor, replica) {
        if (replica->volume == sealing->volume) {
            sealing->parts[sealing->part_count++] =
                (struct checkpoint_part){.partition = replica->partition, .found = replica->found};
        }
    }
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
        list_parts(sealing);
        sys_pool_submit(sealing->volume->upkeep, &sealing->job);
    }
}

static void stop_task_done(struct stop *stop) {
    if (--stop->running > 0) {
        return;
    }
    struct replicas *replicas = stop->replicas;
    if (stop->sealings == NULL && replicas->loaded) {
        seal_volumes(stop);
        return;
    }
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
    (void)write;
    err_t err = log_close(log);
    partition_set_deleted(partition); /* nothing may use the log any more */
    return volume_note(partition_volume(partition), err);
}

static void close_done(struct partition_write *write) {
    struct closing *closing = container_of(write, struct closing, write);
    stop_task_done(closing->stop);
}

static void close_logs(struct replicas *replicas) {
    struct stop *stop = calloc(1, sizeof *stop);
    stop->replicas = replicas;
    stop->closings = calloc(map_count(&replicas->table) + 1, sizeof *stop->closings);
    size_t cursor;
    struct replica *replica;
    map_for_each (&replicas->table, cursor, replica) {
        stop->closings[stop->count++] = (struct closing){
            .write = {.run = run_close,
                      .done = close_done,
                      .loop = replicas->loop,
                      .blocking = true},
            .stop = stop,
            .partition = partition_ref(replica->partition),
        };
    }
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
    if (replicas->tasks_running == 0 && atomic_load(&replicas->stopping)) {
        close_logs(replicas);
    }
}

void replicas_stop(struct replicas *replicas, int64_t broker_epoch, void (*stopped)(void *arg),
                   void *arg) {
    assert(!atomic_load(&replicas->stopping));
    atomic_store(&replicas->stopping, true);
    replicas->broker_epoch = broker_epoch;
    replicas->stopped = stopped;
    replicas->stopped_arg = arg;
    replicas->tasks_running++; /* this call */
    replicas_upkeep_stop(replicas);
    replicas_task_done(replicas);
}
