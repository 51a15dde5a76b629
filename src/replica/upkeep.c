/*
 * What happens in the background, per volume, on its workers
 *
 *   every       tick (1 s)                       look whether anything below is due; free when idle
 *   flush       a log's dirty bytes above        sync it, then move its recovery point, so that a
 *               FLUSH_BYTES, flush.ms over, a    crash re-reads little
 *               segment was sealed, or any when
 *               FLUSH_INTERVAL is over
 *   checkpoint  after flushes; when log starts   recovery points and high watermarks; log starts
 *               moved; when a name is wanted
 *               again (replicas_forget)
 *   retention   log.retention.check.interval.ms  oldest segments by time, size and log start;
 *                                                producers that expired
 *   trash       a file's file.delete.delay.ms    unlink it
 *   open again  logs that a full disk kept from  as opening.c does
 *               being opened
 *
 * A run of a volume goes through its phases, one blocking call per slice; there is never more than
 * one run of it. Flushing stands beside the writers; retention queues as one (tending.c).
 */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "replica/tending_int.h"
#include "sys/sys.h"

enum { TICK_MS = 1000 };

enum phase { LOGS, RECOVERY_POINTS, HIGH_WATERMARKS, LOG_STARTS, TRASH };

struct upkeep {
    struct sys_job job;
    struct replicas *replicas;
    struct volume *volume;
    bool running;

    /* When each is due, on sys_mono_ms; reactor 0's. */
    int64_t flush_all_at_ms;
    int64_t checkpoint_at_ms;
    int64_t retention_at_ms;
    int64_t trash_at_ms;
    bool removed; /* since the last run began, folders went to the trash */
    _Atomic bool starts_moved;
    struct list forgettings;

    /* The run's. */
    struct checkpoint_part *parts;
    size_t count;
    size_t next;
    enum phase phase;
    int64_t flush_target; /* of the log that is being synced; -1: not looked at */
    bool flush_all;
    bool retention;
    bool write_points;
    bool write_starts;
    err_t err; /* of writing checkpoints */
};

/* --- a run, on a worker --- */

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
            bool queued = flush && tending_flushes(log);
            if (queued || upkeep->retention) {
                tending_submit(partition, queued, upkeep->retention);
            }
            upkeep->flush_target = queued ? -1 : upkeep->flush_target;
        }
        if (upkeep->flush_target >= 0) {
            flush_slice(upkeep, log);
            return;
        }
        upkeep->next++;
    }
    upkeep->phase = RECOVERY_POINTS;
}

static void write_phase(struct upkeep *upkeep, enum log_checkpoint kind, bool due) {
    if (due) {
        err_t err = checkpoint_write(upkeep->volume, kind, upkeep->parts, upkeep->count);
        upkeep->err = upkeep->err == ERR_OK ? err : upkeep->err;
        if (err != ERR_OK && kind == LOG_CHECKPOINT_LOG_START) {
            atomic_store(&upkeep->starts_moved, true); /* it is still to be done */
        }
    }
    upkeep->phase++;
}

static enum sys_job_result trash_phase(struct upkeep *upkeep) {
    int64_t next_ms;
    int64_t now_ms = sys_mono_ms(upkeep->volume->sys);
    err_t err = log_directory_trash_step(upkeep->volume->directory, &next_ms);
    upkeep->trash_at_ms = err == ERR_OK ? next_ms : now_ms + TICK_MS;
    return upkeep->trash_at_ms <= now_ms ? SYS_JOB_AGAIN : SYS_JOB_DONE;
}

static enum sys_job_result upkeep_step(struct sys_job *job) {
    struct upkeep *upkeep = container_of(job, struct upkeep, job);
    switch (upkeep->phase) {
    case LOGS:
        look_at_logs(upkeep);
        return SYS_JOB_AGAIN;
    case RECOVERY_POINTS:
        write_phase(upkeep, LOG_CHECKPOINT_RECOVERY_POINT, upkeep->write_points);
        return SYS_JOB_AGAIN;
    case HIGH_WATERMARKS:
        write_phase(upkeep, LOG_CHECKPOINT_HIGH_WATERMARK, upkeep->write_points);
        return SYS_JOB_AGAIN;
    case LOG_STARTS:
        write_phase(upkeep, LOG_CHECKPOINT_LOG_START, upkeep->write_starts);
        return SYS_JOB_AGAIN;
    case TRASH:
        break;
    }
    return trash_phase(upkeep);
}

static void settle(struct upkeep *upkeep);

static void run_done(struct sys_job *job) {
    struct upkeep *upkeep = container_of(job, struct upkeep, job);
    struct replicas *replicas = upkeep->replicas;
    for (size_t i = 0; i < upkeep->count; i++) {
        partition_unref(upkeep->parts[i].partition);
    }
    free(upkeep->parts);
    upkeep->parts = NULL;
    upkeep->running = false;
    settle(upkeep);
    replicas_task_done(replicas);
}

static void list_parts(struct upkeep *upkeep) {
    struct replicas *replicas = upkeep->replicas;
    upkeep->parts = calloc(map_count(&replicas->table) + 1, sizeof *upkeep->parts);
    upkeep->count = 0;
    size_t cursor;
    struct replica *replica;
    map_for_each (&replicas->table, cursor, replica) {
        if (replica->volume == upkeep->volume) {
            upkeep->parts[upkeep->count++] = (struct checkpoint_part){
                .partition = partition_ref(replica->partition), .found = replica->found};
        }
    }
}

/* What is to be done was set; checkpoints_only: nothing else, and all of them. */
static void start_run(struct upkeep *upkeep, bool checkpoints_only) {
    struct replicas *replicas = upkeep->replicas;
    assert(!upkeep->running);
    list_parts(upkeep);
    upkeep->next = 0;
    upkeep->flush_target = -1;
    upkeep->phase = checkpoints_only ? RECOVERY_POINTS : LOGS;
    upkeep->write_points = checkpoints_only || atomic_exchange(&upkeep->volume->synced, false);
    upkeep->write_starts =
        atomic_exchange(&upkeep->starts_moved, false) || checkpoints_only || upkeep->retention;
    upkeep->err = ERR_OK;
    upkeep->removed = false;
    upkeep->running = true;
    upkeep->job = (struct sys_job){.run = upkeep_step, .done = run_done, .loop = replicas->loop};
    replicas->tasks_running++;
    sys_pool_submit(upkeep->volume->upkeep, &upkeep->job);
}

/* --- names that are wanted again --- */

/* No run goes on. Lets those go on whose names are forgotten; for the others checkpoints are
 * written, at once or, when that failed, at the next tick. */
static void settle(struct upkeep *upkeep) {
    bool give_up = atomic_load(&upkeep->replicas->stopping) ||
                   log_directory_state(upkeep->volume->directory) != ERR_OK;
    struct list *link;
    struct list *after;
    list_for_each_safe (link, after, &upkeep->forgettings) {
        struct forgetting *forgetting = container_of(link, struct forgetting, link);
        if (give_up || !checkpoint_names(upkeep->volume, forgetting->topic, forgetting->index)) {
            list_remove(link);
            forgetting->done(forgetting);
        }
    }
    if (!list_empty(&upkeep->forgettings) && upkeep->err == ERR_OK) {
        start_run(upkeep, true);
    }
}

static struct upkeep *upkeep_of(struct replicas *replicas, const struct volume *volume) {
    int i = 0;
    while (replicas->upkeep[i].volume != volume) {
        i++;
    }
    return &replicas->upkeep[i];
}

void replicas_forget(struct replicas *replicas, struct volume *volume,
                     struct forgetting *forgetting) {
    struct upkeep *upkeep = upkeep_of(replicas, volume);
    bool may_write_old = upkeep->running && upkeep->removed;
    if (!may_write_old && !checkpoint_names(volume, forgetting->topic, forgetting->index)) {
        forgetting->done(forgetting);
        return;
    }
    list_add_last(&upkeep->forgettings, &forgetting->link);
    if (!upkeep->running) {
        upkeep->err = ERR_OK;
        settle(upkeep);
    }
}

void replicas_note_removal(struct replicas *replicas, struct volume *volume) {
    upkeep_of(replicas, volume)->removed = true;
}

void replicas_note_log_start(struct replicas *replicas) {
    for (int i = 0; i < replicas->volume_count; i++) {
        atomic_store(&replicas->upkeep[i].starts_moved, true);
    }
}

/* --- the tick, on reactor 0 --- */

static int64_t retention_interval_ms(const struct replicas *replicas) {
    return config_long(replicas->config, CONFIG_LOG_RETENTION_CHECK_INTERVAL_MS);
}

/* Whether that time has come; from then on the next is an interval later. While nothing is there to
 * do, the interval begins anew. */
static bool is_over(int64_t *at_ms, int64_t now_ms, bool pending, int64_t interval_ms) {
    bool over = pending && now_ms >= *at_ms;
    if (over || !pending) {
        *at_ms = now_ms + interval_ms;
    }
    return over;
}

static void tick_volume(struct upkeep *upkeep, int64_t now_ms) {
    struct volume *volume = upkeep->volume;
    bool dirty = log_directory_dirty_bytes(volume->directory) > 0;
    bool synced = atomic_load_explicit(&volume->synced, memory_order_relaxed);
    upkeep->flush_all = is_over(&upkeep->flush_all_at_ms, now_ms, dirty, FLUSH_INTERVAL_MS);
    bool points = is_over(&upkeep->checkpoint_at_ms, now_ms, synced, FLUSH_INTERVAL_MS);
    upkeep->retention =
        is_over(&upkeep->retention_at_ms, now_ms, true, retention_interval_ms(upkeep->replicas));
    bool trash = upkeep->removed || now_ms >= upkeep->trash_at_ms;
    bool names = !list_empty(&upkeep->forgettings);
    if (dirty || points || upkeep->retention || trash || atomic_load(&upkeep->starts_moved)) {
        start_run(upkeep, false);
    } else if (names) {
        start_run(upkeep, true);
    }
}

static void tick(struct sys_timer *timer) {
    struct replicas *replicas = container_of(timer, struct replicas, upkeep_timer);
    int64_t now_ms = sys_mono_ms(replicas->sys);
    replicas_open_again(replicas);
    for (int i = 0; i < replicas->volume_count; i++) {
        struct upkeep *upkeep = &replicas->upkeep[i];
        if (upkeep->running) {
            continue;
        }
        if (log_directory_state(upkeep->volume->directory) == ERR_OK) {
            tick_volume(upkeep, now_ms);
        } else {
            settle(upkeep);
        }
    }
    sys_timer_set(replicas->loop, timer, now_ms + TICK_MS);
}

/* --- life --- */

void replicas_upkeep_new(struct replicas *replicas) {
    replicas->upkeep = calloc((size_t)replicas->volume_count, sizeof *replicas->upkeep);
    for (int i = 0; i < replicas->volume_count; i++) {
        replicas->upkeep[i].replicas = replicas;
        replicas->upkeep[i].volume = replicas->volumes[i];
        list_init(&replicas->upkeep[i].forgettings);
    }
}

void replicas_upkeep_start(struct replicas *replicas) {
    int64_t now_ms = sys_mono_ms(replicas->sys);
    for (int i = 0; i < replicas->volume_count; i++) {
        struct upkeep *upkeep = &replicas->upkeep[i];
        upkeep->flush_all_at_ms = now_ms + FLUSH_INTERVAL_MS;
        upkeep->retention_at_ms =
            now_ms + config_long(replicas->config, CONFIG_LOG_INITIAL_TASK_DELAY_MS);
        upkeep->trash_at_ms = now_ms;
    }
    replicas->upkeep_timer.fire = tick;
    sys_timer_set(replicas->loop, &replicas->upkeep_timer, now_ms + TICK_MS);
}

void replicas_upkeep_stop(struct replicas *replicas) {
    sys_timer_clear(replicas->loop, &replicas->upkeep_timer);
    for (int i = 0; i < replicas->volume_count; i++) {
        if (!replicas->upkeep[i].running) {
            settle(&replicas->upkeep[i]);
        }
    }
}

void replicas_upkeep_free(struct replicas *replicas) {
    free(replicas->upkeep);
    replicas->upkeep = NULL;
}

void replicas_upkeep_configure(struct replicas *replicas) {
    int64_t latest_ms = sys_mono_ms(replicas->sys) + retention_interval_ms(replicas);
    for (int i = 0; i < replicas->volume_count; i++) {
        if (replicas->upkeep[i].retention_at_ms > latest_ms) {
            replicas->upkeep[i].retention_at_ms = latest_ms;
        }
    }
}
