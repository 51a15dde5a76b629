/*
 * A run of upkeep goes through its phases on a worker of the volume, one blocking call per slice:
 *
 *   logs ──► recovery points ──► high watermarks ──► log starts ──► cleaned ──► trash
 *
 * or begins with a later one, when nothing else is wanted. Between any two slices log starts are
 * written for those who wait for them. Flushing stands beside the writers; retention queues as one
 * (tending.c).
 */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "replica/tending_int.h"
#include "replica/upkeep_int.h"
#include "sys/sys.h"

/* How far the log is to be synced; -1: nothing is due. */
static int64_t choose_flush_target(struct upkeep *upkeep, struct log *log) {
    int64_t dirty = log_dirty_bytes(log);
    int64_t end_offset = log_end_offset(log);
    if (dirty > 0 && (upkeep->flush_all || dirty >= FLUSH_BYTES ||
                      log_flush_due(log, sys_wall_ms(upkeep->volume->sys)))) {
        return end_offset;
    }
    int64_t sealed_end = log_flush_next(log);
    return dirty > 0 && sealed_end < end_offset ? sealed_end : -1;
}

/* One segment of it. */
static void flush_slice(struct upkeep *upkeep, struct log *log) {
    int64_t next = log_flush_next(log);
    int64_t offset = next < upkeep->flush_target ? next : upkeep->flush_target;
    err_t err = volume_note(upkeep->volume, log_flush(log, offset));
    upkeep->write_points = upkeep->write_points || err == ERR_OK;
    if (err != ERR_OK || offset == upkeep->flush_target) {
        upkeep->flush_target = -1;
        upkeep->next++;
    }
}

/* Looks at logs until one had to be synced, which was the slice's blocking call. */
static void look_at_logs(struct upkeep *upkeep) {
    while (upkeep->next < upkeep->count) {
        struct partition *partition = upkeep->parts[upkeep->next].partition;
        struct log *log = partition_log(partition);
        if (log == NULL || log_directory_state(upkeep->volume->directory) != ERR_OK) {
            upkeep->next++;
            continue;
        }
        if (upkeep->flush_target < 0) {
            upkeep->flush_target = choose_flush_target(upkeep, log);
            bool flush = upkeep->flush_target >= 0;
            struct tending_due due = {.flush = flush && tending_flushes(log),
                                      .retention = upkeep->retention,
                                      .producers = upkeep->producers};
            if (due.flush || due.retention || due.producers) {
                tending_submit(partition, &due);
            }
            upkeep->flush_target = due.flush ? -1 : upkeep->flush_target;
        }
        if (upkeep->flush_target >= 0) {
            flush_slice(upkeep, log);
            return;
        }
        upkeep->next++;
    }
    upkeep->phase = UPKEEP_RECOVERY_POINTS;
}

static err_t write_checkpoint(struct upkeep *upkeep, enum log_checkpoint kind) {
    err_t err = checkpoint_write(upkeep->volume, kind, upkeep->parts, upkeep->count);
    upkeep->err = upkeep->err == ERR_OK ? err : upkeep->err;
    if (err != ERR_OK && kind == LOG_CHECKPOINT_LOG_START) {
        atomic_store(&upkeep->starts_moved, true); /* it is still to be done */
    }
    return err;
}

static void write_phase(struct upkeep *upkeep, enum log_checkpoint kind, bool due) {
    if (due) {
        (void)write_checkpoint(upkeep, kind);
    }
    upkeep->phase++;
}

/* For those who wait. False: nobody does, or the next run is to do it. */
static bool write_awaited(struct upkeep *upkeep) {
    struct log_starts *starts = &upkeep->log_starts;
    if (!log_starts_awaited(starts) || atomic_load(&starts->outdated)) {
        return false;
    }
    struct list waits;
    log_starts_take(starts, &waits);
    log_starts_tell(&waits, write_checkpoint(upkeep, LOG_CHECKPOINT_LOG_START));
    return true;
}

static enum sys_job_result trash_phase(struct upkeep *upkeep) {
    int64_t next_ms;
    int64_t now_ms = sys_mono_ms(upkeep->volume->sys);
    err_t err = log_directory_trash_step(upkeep->volume->directory, &next_ms);
    upkeep->trash_at_ms = err == ERR_OK ? next_ms : now_ms + UPKEEP_TICK_MS;
    return upkeep->trash_at_ms <= now_ms ? SYS_JOB_AGAIN : SYS_JOB_DONE;
}

static enum sys_job_result upkeep_step(struct sys_job *job) {
    struct upkeep *upkeep = container_of(job, struct upkeep, job);
    if (write_awaited(upkeep)) {
        return SYS_JOB_AGAIN;
    }
    switch (upkeep->phase) {
    case UPKEEP_LOGS:
        look_at_logs(upkeep);
        return SYS_JOB_AGAIN;
    case UPKEEP_RECOVERY_POINTS:
        write_phase(upkeep, LOG_CHECKPOINT_RECOVERY_POINT, upkeep->write_points);
        return SYS_JOB_AGAIN;
    case UPKEEP_HIGH_WATERMARKS:
        write_phase(upkeep, LOG_CHECKPOINT_HIGH_WATERMARK, upkeep->write_points);
        return SYS_JOB_AGAIN;
    case UPKEEP_LOG_STARTS:
        write_phase(upkeep, LOG_CHECKPOINT_LOG_START, upkeep->write_starts);
        return SYS_JOB_AGAIN;
    case UPKEEP_CLEANED:
        write_phase(upkeep, LOG_CHECKPOINT_CLEANER, upkeep->write_cleaned);
        return SYS_JOB_AGAIN;
    case UPKEEP_TRASH:
        break;
    }
    return trash_phase(upkeep);
}

/* --- its begin and end, on reactor 0 --- */

static void run_done(struct sys_job *job) {
    struct upkeep *upkeep = container_of(job, struct upkeep, job);
    struct replicas *replicas = upkeep->replicas;
    for (size_t i = 0; i < upkeep->count; i++) {
        partition_unref(upkeep->parts[i].partition);
    }
    free(upkeep->parts);
    upkeep->parts = NULL;
    upkeep->running = false;
    upkeep->ended(upkeep);
    replicas_task_done(replicas);
}

static void list_parts(struct upkeep *upkeep) {
    struct replicas *replicas = upkeep->replicas;
    upkeep->parts = calloc(map_count(&replicas->table) + 1, sizeof *upkeep->parts);
    upkeep->count = 0;
    atomic_store(&upkeep->log_starts.outdated, false);
    size_t cursor;
    struct replica *replica;
    map_for_each (&replicas->table, cursor, replica) {
        if (replica->volume == upkeep->volume) {
            upkeep->parts[upkeep->count++] = (struct checkpoint_part){
                .partition = partition_ref(replica->partition), .found = replica->found};
        }
    }
}

void upkeep_run(struct upkeep *upkeep, enum upkeep_phase from) {
    struct replicas *replicas = upkeep->replicas;
    assert(!upkeep->running);
    list_parts(upkeep);
    upkeep->next = 0;
    upkeep->flush_target = -1;
    upkeep->from = from;
    upkeep->phase = from;
    upkeep->write_points = from == UPKEEP_RECOVERY_POINTS ||
                           (from == UPKEEP_LOGS && atomic_exchange(&upkeep->volume->synced, false));
    upkeep->write_starts =
        from != UPKEEP_LOG_STARTS && (atomic_exchange(&upkeep->starts_moved, false) ||
                                      from == UPKEEP_RECOVERY_POINTS || upkeep->retention);
    upkeep->write_cleaned =
        from != UPKEEP_LOG_STARTS && (upkeep->cleaned || from == UPKEEP_RECOVERY_POINTS);
    upkeep->cleaned &= !upkeep->write_cleaned;
    upkeep->err = ERR_OK;
    upkeep->removed = false;
    upkeep->running = true;
    upkeep->job = (struct sys_job){.run = upkeep_step, .done = run_done, .loop = replicas->loop};
    replicas->tasks_running++;
    sys_pool_submit(upkeep->volume->upkeep, &upkeep->job);
}
