/* What is due to be looked at, how it ends, and what is told of it; see cleaning_int.h. */
#include <stdlib.h>

#include "replica/cleaning_run_int.h"
#include "replica/partition_int.h"
#include "sys/sys.h"

/* --- what is due --- */

static void candidates_list(struct cleaner_run *run) {
    struct replicas *replicas = run->cleaner->replicas;
    run->candidates = calloc(map_count(&replicas->table) + 1, sizeof(struct partition *));
    size_t cursor;
    struct replica *replica;
    map_for_each (&replicas->table, cursor, replica) {
        struct log_config config;
        partition_log_config(replica->partition, &config);
        if (replica->volume == run->volume && config.cleanup_compact) {
            run->candidates[run->candidate_count++] = partition_ref(replica->partition);
        }
    }
}

static bool is_looked_at(const struct cleaner *cleaner, int volume_index) {
    struct list *link;
    list_for_each (link, &cleaner->runs) {
        const struct cleaner_run *run = container_of(link, struct cleaner_run, link);
        if (run->volume_index == volume_index && run->partition == NULL) {
            return true;
        }
    }
    return false;
}

int64_t cleaner_next_look_ms(const struct cleaner *cleaner, int64_t now_ms) {
    int64_t backoff_ms = config_long(cleaner->replicas->config, CONFIG_LOG_CLEANER_BACKOFF_MS);
    return sys_later_ms(now_ms, backoff_ms);
}

static void begin(struct cleaner *cleaner, int volume_index, int64_t now_ms) {
    struct replicas *replicas = cleaner->replicas;
    struct cleaner_run *run = calloc(1, sizeof *run);
    run->cleaner = cleaner;
    run->volume_index = volume_index;
    run->volume = replicas->volumes[volume_index];
    candidates_list(run);
    cleaner->look_at_ms[volume_index] = cleaner_next_look_ms(cleaner, now_ms);
    if (run->candidate_count == 0) {
        cleaner_note_look(cleaner, volume_index, 0);
        free(run->candidates);
        free(run);
        return;
    }
    list_add_last(&cleaner->runs, &run->link);
    cleaner->run_count++;
    replicas->tasks_running++;
    cleaner_run_begin(run);
}

static bool is_enabled(struct cleaner *cleaner) {
    bool enabled = config_bool(cleaner->replicas->config, CONFIG_LOG_CLEANER_ENABLE);
    if (!enabled && !cleaner->disabled_told) {
        cleaner->disabled_told = true;
        text_log_warn(cleaner->replicas->text_log, "cleaner",
                      "log.cleaner.enable is false: compacted topics are not compacted, and grow");
    }
    return enabled && !cleaner->stopping;
}

/* What waits because of the old rate goes on by the new one. */
static void rate_update(struct cleaner *cleaner) {
    double rate =
        config_double(cleaner->replicas->config, CONFIG_LOG_CLEANER_IO_MAX_BYTES_PER_SECOND);
    if (atomic_exchange(&cleaner->rate, rate) == rate) {
        return;
    }
    atomic_store(&cleaner->io_free_at_ns, 0);
    struct list *link;
    list_for_each (link, &cleaner->runs) {
        cleaner_run_wake(container_of(link, struct cleaner_run, link));
    }
}

void cleaner_tick(struct cleaner *cleaner, int64_t now_ms) {
    rate_update(cleaner);
    if (!is_enabled(cleaner)) {
        return;
    }
    struct replicas *replicas = cleaner->replicas;
    int count = replicas->data_volume_count, first = cleaner->volume_next;
    int64_t latest_ms = cleaner_next_look_ms(cleaner, now_ms);
    for (int n = 0; n < count; n++) {
        int i = (first + n) % count;
        bool usable = log_directory_state(replicas->volumes[i]->directory) == ERR_OK;
        if (cleaner->look_at_ms[i] > latest_ms) { /* by the interval of before */
            cleaner->look_at_ms[i] = latest_ms;
        }
        if (usable && now_ms >= cleaner->look_at_ms[i] && !is_looked_at(cleaner, i) &&
            cleaner->run_count < config_int(replicas->config, CONFIG_LOG_CLEANER_THREADS)) {
            cleaner->volume_next = (i + 1) % count;
            begin(cleaner, i, now_ms);
        }
    }
}

/* --- its end, and that of partitions --- */

void cleaner_stop(struct cleaner *cleaner) {
    cleaner->stopping = true;
    struct list *link;
    list_for_each (link, &cleaner->runs) {
        cleaner_run_stop(container_of(link, struct cleaner_run, link));
    }
}

bool cleaner_delays(struct cleaner *cleaner, const struct partition *partition,
                    struct leaving *leaving) {
    struct list *link;
    list_for_each (link, &cleaner->runs) {
        struct cleaner_run *run = container_of(link, struct cleaner_run, link);
        if (run->partition == partition) {
            run->leaving = leaving;
            cleaner_run_stop(run);
            return true;
        }
    }
    return false;
}

struct cleaner *cleaner_new(struct replicas *replicas) {
    struct cleaner *cleaner = calloc(1, sizeof *cleaner);
    cleaner->replicas = replicas;
    cleaner->look_at_ms = calloc((size_t)replicas->volume_count, sizeof *cleaner->look_at_ms);
    cleaner->turns = calloc((size_t)replicas->volume_count, sizeof *cleaner->turns);
    cleaner->dirtiest_ratios =
        calloc((size_t)replicas->volume_count, sizeof *cleaner->dirtiest_ratios);
    cleaner->looked_at_ms = sys_mono_ms(replicas->sys);
    list_init(&cleaner->runs);
    sys_lock_init(&cleaner->lock, SYS_RANK_WAITING);
    return cleaner;
}

void cleaner_free(struct cleaner *cleaner) {
    if (cleaner != NULL) {
        free(cleaner->look_at_ms);
        free(cleaner->turns);
        free(cleaner->dirtiest_ratios);
        free(cleaner);
    }
}

/* --- metrics --- */

void cleaner_note_look(struct cleaner *cleaner, int volume_index, double dirtiest_ratio) {
    sys_lock_take(&cleaner->lock);
    cleaner->dirtiest_ratios[volume_index] = dirtiest_ratio;
    cleaner->looked_at_ms = sys_mono_ms(cleaner->replicas->sys);
    sys_lock_give(&cleaner->lock);
}

/* Under the lock. Logs of a directory that failed are out of reach. */
static double dirtiest_ratio(const struct cleaner *cleaner) {
    const struct replicas *replicas = cleaner->replicas;
    double dirtiest = 0;
    for (int i = 0; i < replicas->data_volume_count; i++) {
        bool usable = log_directory_state(replicas->volumes[i]->directory) == ERR_OK;
        if (usable && cleaner->dirtiest_ratios[i] > dirtiest) {
            dirtiest = cleaner->dirtiest_ratios[i];
        }
    }
    return dirtiest;
}

void replicas_cleaner_stats(struct replicas *replicas, struct replicas_cleaner_stats *ret_stats) {
    struct cleaner *cleaner = replicas->cleaner;
    int64_t now_ms = sys_mono_ms(replicas->sys);
    sys_lock_take(&cleaner->lock);
    *ret_stats = cleaner->stats;
    ret_stats->dirtiest_ratio = dirtiest_ratio(cleaner);
    ret_stats->since_look_ms = now_ms - cleaner->looked_at_ms;
    sys_lock_give(&cleaner->lock);
}

bool partition_uncleanable(struct partition *partition, uint64_t *ret_bytes) {
    struct log *log = partition_log(partition);
    struct log_cleanable cleanable;
    if (log == NULL || !atomic_load(&partition->uncleanable)) {
        return false;
    }
    (void)log_cleanable(log, 0, true, &cleanable);
    *ret_bytes = cleanable.cleanable_bytes;
    return true;
}
