/*
 * What happens in the background, per volume, on its workers
 *
 *   every       tick (1 s)                       look whether anything below is due; free when idle
 *   flush       a log's dirty bytes above        sync it, then move its recovery point, so that a
 *               FLUSH_BYTES, flush.ms over, a    crash re-reads little
 *               segment was sealed, or any when
 *               FLUSH_INTERVAL is over
 *   checkpoint  after flushes; when a name is    recovery points and high watermarks; log starts
 *               wanted again (replicas_forget)
 *   cleaned     after a log was cleaned          up to where logs are compacted
 *   log starts  when somebody waits for them     that checkpoint, between any two slices
 *               (log_starts_int.h)
 *   retention   log.retention.check.interval.ms  oldest segments by time, size and log start; those
 *                                                of compacted logs go with the cleaner's looks, too
 *   producers   producer.id.expiration.check.    those that expired are forgotten
 *               interval.ms
 *   trash       a file's file.delete.delay.ms    unlink it
 *   open again  logs that a full disk kept from  as opening.c does
 *               being opened
 *
 * There is never more than one run (upkeep_run.c) of a volume.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "replica/cleaning_int.h"
#include "replica/upkeep_int.h"
#include "sys/sys.h"

/* --- names that are wanted again, and log starts that are awaited --- */

static err_t why_give_up(const struct upkeep *upkeep) {
    if (atomic_load(&upkeep->replicas->stopping)) {
        return ERR_NOT_LEADER_OR_FOLLOWER;
    }
    return log_directory_state(upkeep->volume->directory);
}

/* Lets those go on whose names are forgotten. */
static void settle_forgettings(struct upkeep *upkeep, bool give_up) {
    struct list *link;
    struct list *after;
    list_for_each_safe (link, after, &upkeep->forgettings) {
        struct forgetting *forgetting = container_of(link, struct forgetting, link);
        if (give_up || !checkpoint_names(upkeep->volume, forgetting->topic, forgetting->index)) {
            list_remove(link);
            forgetting->done(forgetting);
        }
    }
}

/* No run goes on. For those who still wait checkpoints are written, at once or, when that failed,
 * at the next tick. */
static void settle(struct upkeep *upkeep) {
    err_t err = why_give_up(upkeep);
    settle_forgettings(upkeep, err != ERR_OK);
    if (err != ERR_OK) {
        struct list waits;
        log_starts_take(&upkeep->log_starts, &waits);
        log_starts_tell(&waits, err);
    } else if (!list_empty(&upkeep->forgettings) && upkeep->err == ERR_OK) {
        upkeep_run(upkeep, UPKEEP_RECOVERY_POINTS);
    } else if (log_starts_awaited(&upkeep->log_starts)) {
        upkeep_run(upkeep, UPKEEP_LOG_STARTS);
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

void replicas_note_cleaned(struct replicas *replicas, struct volume *volume) {
    upkeep_of(replicas, volume)->cleaned = true;
}

void replicas_note_addition(struct replicas *replicas, const struct volume *volume) {
    atomic_store(&upkeep_of(replicas, volume)->log_starts.outdated, true);
}

void replicas_log_start_wait(struct replicas *replicas, const struct volume *volume,
                             struct log_start_wait *wait) {
    log_starts_add(&upkeep_of(replicas, volume)->log_starts, wait);
}

static void somebody_waits(struct sys_task *task) {
    struct log_starts *starts = container_of(task, struct log_starts, task);
    struct upkeep *upkeep = container_of(starts, struct upkeep, log_starts);
    log_starts_note_task(starts);
    if (!upkeep->running) {
        settle(upkeep);
    }
}

/* --- the tick, on reactor 0 --- */

static int64_t retention_interval_ms(const struct replicas *replicas) {
    return config_long(replicas->config, CONFIG_LOG_RETENTION_CHECK_INTERVAL_MS);
}

static int64_t expiry_interval_ms(const struct replicas *replicas) {
    return config_int(replicas->config, CONFIG_PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS);
}

/* Whether that time has come; from then on the next is an interval later. While nothing is there to
 * do, the interval begins anew. */
static bool is_over(int64_t *at_ms, int64_t now_ms, bool pending, int64_t interval_ms) {
    bool over = pending && now_ms >= *at_ms;
    if (over || !pending) {
        *at_ms = sys_later_ms(now_ms, interval_ms);
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
    upkeep->producers =
        is_over(&upkeep->producers_at_ms, now_ms, true, expiry_interval_ms(upkeep->replicas));
    bool trash = upkeep->removed || now_ms >= upkeep->trash_at_ms;
    bool names = !list_empty(&upkeep->forgettings);
    if (dirty || points || upkeep->retention || upkeep->producers || trash || upkeep->cleaned ||
        atomic_load(&upkeep->starts_moved)) {
        upkeep_run(upkeep, UPKEEP_LOGS);
    } else if (names) {
        upkeep_run(upkeep, UPKEEP_RECOVERY_POINTS);
    }
}

static void look(struct upkeep *upkeep, int64_t now_ms) {
    if (why_give_up(upkeep) == ERR_OK) {
        tick_volume(upkeep, now_ms);
    } else {
        settle(upkeep);
    }
}

static void run_ended(struct upkeep *upkeep) {
    if (upkeep->late) {
        upkeep->late = false;
        look(upkeep, sys_mono_ms(upkeep->volume->sys));
    }
    if (!upkeep->running) {
        settle(upkeep);
    }
}

static void tick(struct sys_timer *timer) {
    struct replicas *replicas = container_of(timer, struct replicas, upkeep_timer);
    int64_t now_ms = sys_mono_ms(replicas->sys);
    replicas_open_again(replicas);
    for (int i = 0; i < replicas->volume_count; i++) {
        struct upkeep *upkeep = &replicas->upkeep[i];
        if (upkeep->running) {
            upkeep->late = upkeep->from == UPKEEP_LOG_STARTS;
        } else {
            look(upkeep, now_ms);
        }
    }
    cleaner_tick(replicas->cleaner, now_ms);
    sys_timer_set(replicas->loop, timer, now_ms + UPKEEP_TICK_MS);
}

/* --- life --- */

void replicas_upkeep_new(struct replicas *replicas) {
    replicas->cleaner = cleaner_new(replicas);
    replicas->upkeep = calloc((size_t)replicas->volume_count, sizeof *replicas->upkeep);
    for (int i = 0; i < replicas->volume_count; i++) {
        replicas->upkeep[i].replicas = replicas;
        replicas->upkeep[i].volume = replicas->volumes[i];
        replicas->upkeep[i].ended = run_ended;
        list_init(&replicas->upkeep[i].forgettings);
        log_starts_init(&replicas->upkeep[i].log_starts, replicas->loop, somebody_waits);
    }
}

void replicas_upkeep_start(struct replicas *replicas) {
    int64_t now_ms = sys_mono_ms(replicas->sys);
    for (int i = 0; i < replicas->volume_count; i++) {
        struct upkeep *upkeep = &replicas->upkeep[i];
        upkeep->flush_all_at_ms = now_ms + FLUSH_INTERVAL_MS;
        upkeep->retention_at_ms =
            sys_later_ms(now_ms, config_long(replicas->config, CONFIG_LOG_INITIAL_TASK_DELAY_MS));
        upkeep->producers_at_ms = now_ms + expiry_interval_ms(replicas);
        upkeep->trash_at_ms = now_ms;
    }
    replicas->upkeep_timer.fire = tick;
    sys_timer_set(replicas->loop, &replicas->upkeep_timer, now_ms + UPKEEP_TICK_MS);
}

void replicas_upkeep_stop(struct replicas *replicas) {
    sys_timer_clear(replicas->loop, &replicas->upkeep_timer);
    cleaner_stop(replicas->cleaner);
    for (int i = 0; i < replicas->volume_count; i++) {
        if (!replicas->upkeep[i].running) {
            settle(&replicas->upkeep[i]);
        }
    }
}

void replicas_upkeep_free(struct replicas *replicas) {
    cleaner_free(replicas->cleaner);
    replicas->cleaner = NULL;
    free(replicas->upkeep);
    replicas->upkeep = NULL;
}

void replicas_upkeep_configure(struct replicas *replicas) {
    int64_t latest_ms = sys_later_ms(sys_mono_ms(replicas->sys), retention_interval_ms(replicas));
    for (int i = 0; i < replicas->volume_count; i++) {
        if (replicas->upkeep[i].retention_at_ms > latest_ms) {
            replicas->upkeep[i].retention_at_ms = latest_ms;
        }
    }
}
