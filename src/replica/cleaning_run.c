/* A run of the cleaner: looks at the logs of a volume, then cleans one; see cleaning_int.h. */
#include "replica/cleaning_run_int.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "replica/partition_int.h"
#include "replica/tending_int.h"
#include "replica/upkeep_int.h"
#include "sys/sys.h"

/* --- what cannot be cleaned --- */

static const char *reason_of(err_t err) {
    switch (err) {
    case ERR_LIMIT:
        return "the map has no room for the keys of one batch; raise "
               "log.cleaner.dedupe.buffer.size or lower log.cleaner.threads";
    case ERR_MESSAGE_TOO_LARGE:
        return "the records of this batch expand to more than 256 MiB";
    case ERR_RECORD_LIST_TOO_LARGE:
        return "what stays, compressed anew, is more than the 2 GiB of a segment; lower "
               "segment.bytes, which holds for segments to come";
    default:
        return err_text(err);
    }
}

/* Whether the next try may go well, or the error is told of the whole directory. */
static bool passes(const struct cleaner_run *run, err_t err) {
    switch (err) {
    case ERR_CLOSED:
    case ERR_NOT_FOUND:
    case ERR_UNKNOWN_TOPIC_OR_PARTITION:
        return true;
    default:
        return log_cleaning_passes(err) || log_directory_state(run->volume->directory) != ERR_OK;
    }
}

static void note_failure(const struct cleaner_run *run, struct partition *partition,
                         const char *where, err_t err) {
    if (!passes(run, err)) {
        atomic_store(&partition->uncleanable, true);
        text_log_error(run->cleaner->replicas->text_log, "cleaner",
                       "%.*s-%d cannot be compacted and is left alone until the next start, or "
                       "until its cleanup.policy was without compact for a moment (%s): %s",
                       STR_ARGS(partition_topic(partition)), (int)partition_index(partition), where,
                       reason_of(err));
    }
}

/* --- LOOK, on a worker --- */

enum { LOGS_PER_SLICE = 100 };

static uint64_t failed_turn(const struct partition *partition) {
    return atomic_load(&partition->clean_failed_turn);
}

static void note_due(struct cleaner_run *run, struct partition *partition,
                     const struct log_cleanable *cleanable) {
    bool failed = failed_turn(partition) != 0;
    struct cleaner_choice *choice = failed ? &run->failed_first : &run->dirtiest_due;
    run->due_count++;
    if (choice->partition == NULL ||
        (failed ? failed_turn(partition) < failed_turn(choice->partition)
                : cleanable->ratio > choice->cleanable.ratio)) {
        *choice = (struct cleaner_choice){partition, *cleanable};
    }
}

/* Whether looking at it may read its files. */
static bool look_at(struct cleaner_run *run, struct partition *partition) {
    struct log *log = partition_log(partition);
    struct log_config config;
    struct log_cleanable cleanable;
    if (log == NULL || atomic_load(&partition->uncleanable) ||
        atomic_load(&partition->cleaned_now)) {
        return false;
    }
    if (log_retention_possible(log)) {
        tending_submit(partition, &(struct tending_due){.retention = true});
    }
    log_config_read(log, &config);
    err_t err = volume_note(run->volume,
                            log_cleanable(log, sys_wall_ms(run->volume->sys), false, &cleanable));
    if (err != ERR_OK) {
        note_failure(run, partition, log_path(log), err);
    } else {
        run->dirtiest = cleanable.ratio > run->dirtiest ? cleanable.ratio : run->dirtiest;
        run->delay_ms = cleanable.delay_ms > run->delay_ms ? cleanable.delay_ms : run->delay_ms;
        if (log_cleanable_due(log, &cleanable)) {
            note_due(run, partition, &cleanable);
        }
    }
    return config.min_compaction_lag_ms > 0 || config.max_compaction_lag_ms < INT64_MAX;
}

static enum sys_job_result look_step(struct sys_job *job) {
    struct cleaner_run *run = container_of(job, struct cleaner_run, job);
    bool blocked = false;
    for (int i = 0; i < LOGS_PER_SLICE && run->next < run->candidate_count && !blocked; i++) {
        blocked = look_at(run, run->candidates[run->next++]);
    }
    bool more = run->next < run->candidate_count && !atomic_load(&run->stop);
    return more ? SYS_JOB_AGAIN : SYS_JOB_DONE;
}

/* --- CLEAN, on a worker --- */

/* How long all cleanings together have to wait for what this one has used of the disk. */
static void throttle(struct cleaner_run *run, double rate, uint64_t bytes) {
    int64_t now_ns = sys_mono_ns(run->volume->sys);
    double cost_ns = rate < 0 ? 0 : (double)bytes / rate * 1e9;
    int64_t free_at_ns = atomic_load(&run->cleaner->io_free_at_ns);
    int64_t until_ns;
    do {
        int64_t from_ns = free_at_ns > now_ns ? free_at_ns : now_ns;
        until_ns = from_ns + (cost_ns < 1e15 ? (int64_t)cost_ns : (int64_t)1e15);
    } while (!atomic_compare_exchange_weak(&run->cleaner->io_free_at_ns, &free_at_ns, until_ns));
    if (until_ns - now_ns >= CLEANER_PAUSE_MIN_NS) {
        run->pause_until_ms = until_ns / 1000000;
    }
}

/* How many bytes the disk has read and written since it was asked before: told at once, for a
 * cleaning may take hours. */
static uint64_t stats_note_io(struct cleaner_run *run) {
    struct cleaner *cleaner = run->cleaner;
    uint64_t before = run->stats.bytes_io;
    log_cleaning_stats(run->cleaning, &run->stats);
    uint64_t bytes = run->stats.bytes_io - before;
    sys_lock_take(&cleaner->lock);
    cleaner->stats.io_bytes += bytes;
    sys_lock_give(&cleaner->lock);
    return bytes;
}

static void clean_over(struct cleaner_run *run, err_t err) {
    run->over = true;
    run->err = err;
    run->where = strdup(log_cleaning_where(run->cleaning));
    log_cleaning_free(run->cleaning);
    run->cleaning = NULL;
}

static enum sys_job_result clean_step(struct sys_job *job) {
    struct cleaner_run *run = container_of(job, struct cleaner_run, job);
    bool may_stop = log_cleaning_may_stop(run->cleaning);
    err_t err = run->err;
    if (err == ERR_OK && may_stop && atomic_load(&run->stop)) {
        err = ERR_CLOSED;
    }
    enum log_cleaning_next next = LOG_CLEANING_AGAIN;
    if (err == ERR_OK) {
        err = volume_note(run->volume, log_cleaning_step(run->cleaning, &next));
    }
    uint64_t bytes = stats_note_io(run);
    if (!may_stop && log_cleaning_passes(err) && !atomic_load(&run->stop)) {
        run->pause_until_ms = sys_mono_ms(run->volume->sys) + UPKEEP_TICK_MS;
        return SYS_JOB_DONE;
    }
    if (err != ERR_OK || next == LOG_CLEANING_DONE) {
        clean_over(run, err);
        return SYS_JOB_DONE;
    }
    double rate = atomic_load(&run->cleaner->rate);
    if (rate < DBL_MAX && !atomic_load(&run->stop)) {
        throttle(run, rate, bytes);
    }
    run->swap_due = next == LOG_CLEANING_SWAP;
    return run->swap_due || run->pause_until_ms > 0 ? SYS_JOB_DONE : SYS_JOB_AGAIN;
}

/* --- the course of a run, on reactor 0 --- */

static void submit(struct cleaner_run *run, enum sys_job_result (*step)(struct sys_job *job),
                   void (*done)(struct sys_job *job)) {
    run->job = (struct sys_job){.run = step, .done = done, .loop = run->cleaner->replicas->loop};
    sys_pool_submit(run->volume->upkeep, &run->job);
}

static void candidates_free(struct cleaner_run *run) {
    for (size_t i = 0; i < run->candidate_count; i++) {
        partition_unref(run->candidates[i]);
    }
    free(run->candidates);
    run->candidates = NULL;
    run->candidate_count = 0;
}

static void run_end(struct cleaner_run *run, bool look_again) {
    struct cleaner *cleaner = run->cleaner;
    struct replicas *replicas = cleaner->replicas;
    int64_t now_ms = sys_mono_ms(replicas->sys);
    cleaner->look_at_ms[run->volume_index] =
        look_again ? now_ms : cleaner_next_look_ms(cleaner, now_ms);
    list_remove(&run->link);
    cleaner->run_count--;
    free(run->where);
    free(run);
    cleaner_tick(cleaner, now_ms);
    replicas_task_done(replicas);
}

static void stats_note_clean(struct cleaner_run *run) {
    struct cleaner *cleaner = run->cleaner;
    const struct log_cleaning_stats *stats = &run->stats;
    double seconds = (double)(sys_mono_ms(run->volume->sys) - run->began_ms) / 1000;
    sys_lock_take(&cleaner->lock);
    cleaner->stats.recopy_ratio =
        stats->bytes_read == 0 ? 0 : (double)stats->bytes_written / (double)stats->bytes_read;
    cleaner->stats.buffer_used = stats->map_used;
    cleaner->stats.clean_seconds = seconds;
    sys_lock_give(&cleaner->lock);
}

static void tell_clean(const struct cleaner_run *run) {
    const struct log_cleaning_stats *stats = &run->stats;
    text_log_info(run->cleaner->replicas->text_log, "cleaner",
                  "%.*s-%d is compacted up to offset %lld: %llu of %llu records stay (%llu of %llu "
                  "bytes); %llu without a key were dropped",
                  STR_ARGS(partition_topic(run->partition)), (int)partition_index(run->partition),
                  (long long)stats->end_offset, (unsigned long long)stats->records_kept,
                  (unsigned long long)stats->records_read, (unsigned long long)stats->bytes_written,
                  (unsigned long long)stats->bytes_read,
                  (unsigned long long)stats->records_without_key);
}

static void clean_end(struct cleaner_run *run) {
    if (run->err == ERR_OK) {
        stats_note_clean(run);
        tell_clean(run);
        replicas_note_cleaned(run->cleaner->replicas, run->volume);
    } else {
        note_failure(run, run->partition, run->where, run->err);
    }
    uint64_t turns = run->cleaner->turns[run->volume_index];
    atomic_store(&run->partition->clean_failed_turn, run->err == ERR_OK ? 0 : turns);
    atomic_store(&run->partition->cleaned_now, false);
    if (run->leaving != NULL) {
        replicas_submit_removal(run->leaving);
    }
    partition_unref(run->partition);
    run_end(run, run->err == ERR_OK);
}

static void clean_done(struct sys_job *job);

static err_t run_swap(struct partition_write *write, struct partition *partition, struct log *log) {
    (void)partition, (void)log;
    return log_cleaning_swap(container_of(write, struct cleaner_run, write)->cleaning);
}

/* An error is given to the next slice, which tidies up. */
static void swap_done(struct partition_write *write) {
    struct cleaner_run *run = container_of(write, struct cleaner_run, write);
    run->err = write->err;
    submit(run, clean_step, clean_done);
}

static void swap_submit(struct cleaner_run *run) {
    run->swap_due = false;
    run->write = (struct partition_write){
        .run = run_swap, .done = swap_done, .loop = run->cleaner->replicas->loop};
    if (partition_submit(run->partition, &run->write) == ERR_OK) {
        swap_done(&run->write);
    }
}

static void pause_over(struct sys_timer *timer) {
    struct cleaner_run *run = container_of(timer, struct cleaner_run, timer);
    run->pause_until_ms = 0;
    submit(run, clean_step, clean_done);
}

static void clean_done(struct sys_job *job) {
    struct cleaner_run *run = container_of(job, struct cleaner_run, job);
    if (run->over) {
        clean_end(run);
    } else if (run->swap_due) {
        run->pause_until_ms = 0;
        swap_submit(run);
    } else {
        run->timer.fire = pause_over;
        sys_timer_set(run->cleaner->replicas->loop, &run->timer,
                      atomic_load(&run->stop) ? 0 : run->pause_until_ms);
    }
}

static struct log_cleaning_settings settings_read(const struct replicas *replicas) {
    const struct config *config = replicas->config;
    int threads = config_int(config, CONFIG_LOG_CLEANER_THREADS);
    int64_t map = config_long(config, CONFIG_LOG_CLEANER_DEDUPE_BUFFER_SIZE) / threads;
    int64_t io = config_int(config, CONFIG_LOG_CLEANER_IO_BUFFER_SIZE) / threads / 2;
    return (struct log_cleaning_settings){
        .map_bytes = map > 0 ? (uint64_t)map : 0,
        .map_load = config_double(config, CONFIG_LOG_CLEANER_IO_BUFFER_LOAD_FACTOR),
        .io_bytes = io > CLEANER_IO_BYTES_MIN ? (size_t)io : CLEANER_IO_BYTES_MIN,
        .now_ms = sys_wall_ms(replicas->sys),
    };
}

/* Whether the partition is one of the node's still, and of no other cleaning. */
static bool may_begin(struct cleaner_run *run) {
    struct replicas *replicas = run->cleaner->replicas;
    struct partition *best = run->best->partition;
    if (best == NULL || atomic_load(&run->stop)) {
        return false;
    }
    struct partition *found =
        replicas_find(replicas, partition_topic_id(best), partition_index(best));
    partition_unref(found);
    return found == best && config_int(replicas->config, CONFIG_LOG_CLEANER_THREADS) > 0 &&
           !atomic_exchange(&best->cleaned_now, true);
}

/* One that failed has its turn when there were as many as logs are due, or nothing else is. */
static void choose(struct cleaner_run *run) {
    const struct cleaner_choice *failed = &run->failed_first, *choice = &run->dirtiest_due;
    uint64_t turns = run->cleaner->turns[run->volume_index];
    if (failed->partition != NULL &&
        (choice->partition == NULL || turns - failed_turn(failed->partition) >= run->due_count)) {
        choice = failed;
    }
    run->best = choice;
}

static void look_done(struct sys_job *job) {
    struct cleaner_run *run = container_of(job, struct cleaner_run, job);
    struct cleaner *cleaner = run->cleaner;
    cleaner_note_look(cleaner, run->volume_index, run->dirtiest);
    choose(run);
    bool begin = may_begin(run);
    if (begin) {
        run->partition = partition_ref(run->best->partition);
        cleaner->turns[run->volume_index]++;
    }
    candidates_free(run);
    if (!begin) {
        run_end(run, false);
        return;
    }
    sys_lock_take(&cleaner->lock);
    cleaner->stats.delay_seconds = (double)run->delay_ms / 1000;
    sys_lock_give(&cleaner->lock);
    run->began_ms = sys_mono_ms(run->volume->sys);
    run->settings = settings_read(cleaner->replicas);
    run->cleaning =
        log_cleaning_new(partition_log(run->partition), &run->best->cleanable, &run->settings);
    submit(run, clean_step, clean_done);
}

void cleaner_run_begin(struct cleaner_run *run) {
    submit(run, look_step, look_done);
}

void cleaner_run_wake(struct cleaner_run *run) {
    if (sys_timer_is_set(&run->timer)) {
        sys_timer_clear(run->cleaner->replicas->loop, &run->timer);
        pause_over(&run->timer);
    }
}

void cleaner_run_stop(struct cleaner_run *run) {
    atomic_store(&run->stop, true);
    cleaner_run_wake(run);
}
