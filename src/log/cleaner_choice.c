/*
 * What of a log may be cleaned. Not above
 *
 *   the active segment       its records are still coming
 *   the last stable offset   whether a transaction was aborted must be known
 *   the recovery point       what is not synced may be lost, and older records of its keys with it;
 *                            as it is in the checkpoint: a start takes gaps above it for a loss
 *   a young segment          it has a record younger than min.compaction.lag.ms
 *
 * rounded down to the base of a segment.
 */
#include <stdlib.h>

#include "log/cleaner.h"
#include "log/log_int.h"

/* The sealed segments and offsets of a log, with references. */
struct sealed {
    struct log_segment **segments;
    size_t count;
    int64_t end_offset; /* where the active segment begins */
    int64_t bound; /* the active segment's base, the last stable offset or the recovery point */
    int64_t first_dirty;
    uint64_t truncations;
    struct log_config config;
};

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The log may have been deleted from below since. */
static int64_t first_dirty(const struct log *log) {
    return log->cleaned_offset > log->start_offset ? log->cleaned_offset : log->start_offset;
}

static void sealed_take(struct log *log, struct sealed *sealed) {
    sys_lock_take(&log->lock);
    sealed->count = log->segment_count - 1;
    sealed->segments = calloc(sealed->count + 1, sizeof *sealed->segments);
    for (size_t i = 0; i < sealed->count; i++) {
        sealed->segments[i] = segment_ref(log->segments[i]);
    }
    sealed->end_offset = log_active(log)->base_offset;
    sealed->bound = least(sealed->end_offset, least(log->recovery_point, log->checkpointed_point));
    sealed->first_dirty = first_dirty(log);
    sealed->truncations = log->truncations;
    sealed->config = log->config;
    sys_lock_give(&log->lock);
    sealed->bound = least(sealed->bound, log_last_stable_offset(log));
}

static void sealed_done(struct sealed *sealed) {
    for (size_t i = 0; i < sealed->count; i++) {
        segment_unref(sealed->segments[i]);
    }
    free(sealed->segments);
}

static int64_t end_of(const struct sealed *sealed, size_t index) {
    return index + 1 < sealed->count ? sealed->segments[index + 1]->base_offset
                                     : sealed->end_offset;
}

/* Lowers the bound to the first dirty segment with a record that is too young. */
static err_t keep_young(struct sealed *sealed, int64_t now_ms) {
    int64_t lag_ms = sealed->config.min_compaction_lag_ms;
    for (size_t i = 0; i < sealed->count && lag_ms > 0; i++) {
        if (end_of(sealed, i) <= sealed->first_dirty) {
            continue;
        }
        int64_t newest_ms, offset;
        err_t err = segment_max_timestamp(sealed->segments[i], &newest_ms, &offset);
        if (err != ERR_OK) {
            return err;
        }
        if (newest_ms > now_ms - lag_ms) {
            sealed->bound = least(sealed->bound, sealed->segments[i]->base_offset);
            break;
        }
    }
    return ERR_OK;
}

/* How long the oldest dirty record has waited beyond max.compaction.lag.ms. */
static err_t delay_find(const struct sealed *sealed, int64_t now_ms, int64_t *ret_delay_ms) {
    int64_t lag_ms = sealed->config.max_compaction_lag_ms;
    *ret_delay_ms = 0;
    for (size_t i = 0; i < sealed->count && lag_ms < INT64_MAX; i++) {
        if (end_of(sealed, i) <= sealed->first_dirty || segment_size(sealed->segments[i]) == 0) {
            continue;
        }
        int64_t first_ms;
        err_t err = segment_first_timestamp(sealed->segments[i], &first_ms);
        if (err != ERR_OK) {
            return err;
        }
        int64_t due_ms = now_ms - lag_ms;
        int64_t delay_ms = first_ms > 0 && first_ms < due_ms ? due_ms - first_ms : 0;
        *ret_delay_ms = delay_ms > *ret_delay_ms ? delay_ms : *ret_delay_ms;
    }
    return ERR_OK;
}

/* A segment that is clean in part counts as both, as by Apache Kafka. */
static void count_bytes(const struct sealed *sealed, struct log_cleanable *cleanable) {
    cleanable->first_uncleanable_offset = cleanable->first_dirty_offset;
    for (size_t i = 0; i < sealed->count; i++) {
        int64_t end = end_of(sealed, i);
        uint64_t size = segment_size(sealed->segments[i]);
        if (sealed->segments[i]->base_offset < sealed->first_dirty) {
            cleanable->clean_bytes += size;
        }
        if (end > sealed->first_dirty && end <= sealed->bound) {
            cleanable->cleanable_bytes += size;
            cleanable->first_uncleanable_offset = end;
        }
    }
    uint64_t both = cleanable->clean_bytes + cleanable->cleanable_bytes;
    cleanable->ratio = both == 0 ? 0 : (double)cleanable->cleanable_bytes / (double)both;
}

err_t log_cleanable(struct log *log, int64_t now_ms, bool memory_only,
                    struct log_cleanable *ret_cleanable) {
    struct sealed sealed;
    sealed_take(log, &sealed);
    struct log_cleanable cleanable = {.first_dirty_offset = sealed.first_dirty,
                                      .truncations = sealed.truncations};
    err_t err = memory_only ? ERR_OK : keep_young(&sealed, now_ms);
    if (err == ERR_OK && !memory_only) {
        err = delay_find(&sealed, now_ms, &cleanable.delay_ms);
    }
    count_bytes(&sealed, &cleanable);
    if (err == ERR_OK) {
        *ret_cleanable = cleanable;
    } else if (log_is_outdated(log, sealed.truncations)) {
        err = ERR_NOT_FOUND; /* it read what was being cut, or replaced */
    }
    sealed_done(&sealed);
    return err;
}

bool log_cleanable_due(struct log *log, const struct log_cleanable *cleanable) {
    struct log_config config;
    log_config_read(log, &config);
    return config.cleanup_compact && cleanable->cleanable_bytes > 0 &&
           (cleanable->delay_ms > 0 || cleanable->ratio > config.min_cleanable_ratio);
}

bool log_cleaned_offset(struct log *log, int64_t *ret_offset) {
    sys_lock_take(&log->lock);
    int64_t offset = log->cleaned_offset;
    sys_lock_give(&log->lock);
    if (offset >= 0) {
        *ret_offset = offset;
    }
    return offset >= 0;
}
