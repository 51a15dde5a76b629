/*
 * Buckets. Values below 8 have one each; above, a doubling is split into eight equal buckets:
 *
 *   value       0 .. 7   8 9 .. 15   16 18 .. 30   32 36 .. 60   ...   2^40 ..
 *   bucket      0 .. 7   8 9 .. 15   16 17 .. 23   24 25 .. 31   ...   304 .. 311
 *
 * Windows. Every shard has two sets of buckets. Observers count in the current one; a reader who
 * finds it older than five minutes empties the other and makes it current. Percentiles are taken
 * over both. An observation that meets the swap may land in either, or be lost from the window (it
 * is still in the count): that is fine for a percentile.
 *
 * A shard's memory is made when it first counts, so a histogram that nobody uses costs nothing.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "metrics/metrics_int.h"

enum {
    SPLIT_BITS = 3,
    SPLIT = 1 << SPLIT_BITS,
    EXPONENT_MAX = 40,
    BUCKET_COUNT = (EXPONENT_MAX - SPLIT_BITS + 2) * SPLIT,
    WINDOW_MS = 5 * 60 * 1000,
};

struct shard {
    _Atomic uint64_t count;
    _Atomic uint64_t sum;
    _Atomic uint64_t max;
    _Atomic uint32_t windows[2][BUCKET_COUNT];
};

struct metrics_histogram {
    struct metrics_series *series;
    double unit;
    int shard_count;
    _Atomic uint32_t current;        /* which window */
    _Atomic int64_t window_start_ms; /* INT64_MIN: not read yet */
    _Atomic(struct shard *) shards[];
};

const char *const metrics_quantile_names[METRICS_QUANTILES] = {"0.50", "0.75", "0.95",
                                                               "0.98", "0.99", "0.999"};
static const double quantiles[METRICS_QUANTILES] = {0.5, 0.75, 0.95, 0.98, 0.99, 0.999};

struct metrics_histogram *metrics_histogram_new(double unit, int shard_count) {
    struct metrics_histogram *histogram =
        calloc(1, sizeof *histogram + sizeof(struct shard *) * (size_t)shard_count);
    histogram->unit = unit;
    histogram->shard_count = shard_count;
    atomic_store(&histogram->window_start_ms, INT64_MIN);
    return histogram;
}

void metrics_histogram_free(struct metrics_histogram *histogram) {
    for (int i = 0; i < histogram->shard_count; i++) {
        free(atomic_load(&histogram->shards[i]));
    }
    free(histogram);
}

void metrics_histogram_set_series(struct metrics_histogram *histogram,
                                  struct metrics_series *series) {
    histogram->series = series;
}

struct metrics_series *metrics_histogram_series(struct metrics_histogram *histogram) {
    return histogram->series;
}

/* --- counting --- */

static uint32_t bucket_of(uint64_t value) {
    if (value < SPLIT) {
        return (uint32_t)value;
    }
    uint32_t exponent = 63 - (uint32_t)__builtin_clzll(value);
    if (exponent > EXPONENT_MAX) {
        return BUCKET_COUNT - 1;
    }
    uint32_t part = (uint32_t)(value >> (exponent - SPLIT_BITS)) & (SPLIT - 1);
    return (exponent - SPLIT_BITS + 1) * SPLIT + part;
}

static double bucket_start(uint32_t bucket) {
    if (bucket < SPLIT) {
        return bucket;
    }
    uint32_t exponent = bucket / SPLIT - 1;
    return (double)((uint64_t)(SPLIT + bucket % SPLIT) << exponent);
}

static struct shard *shard_at(struct metrics_histogram *histogram, int index) {
    struct shard *shard = atomic_load_explicit(&histogram->shards[index], memory_order_acquire);
    if (shard != NULL) {
        return shard;
    }
    struct shard *made = calloc(1, sizeof *made);
    if (atomic_compare_exchange_strong(&histogram->shards[index], &shard, made)) {
        return made;
    }
    free(made); /* another thread was first */
    return shard;
}

void metrics_observe(struct metrics_histogram *histogram, int64_t value) {
    uint64_t v = value < 0 ? 0 : (uint64_t)value;
    struct shard *shard = shard_at(histogram, 0);
    uint32_t window = atomic_load_explicit(&histogram->current, memory_order_relaxed);
    atomic_fetch_add_explicit(&shard->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&shard->sum, v, memory_order_relaxed);
    atomic_fetch_add_explicit(&shard->windows[window][bucket_of(v)], 1, memory_order_relaxed);
    uint64_t max = atomic_load_explicit(&shard->max, memory_order_relaxed);
    while (v > max && !atomic_compare_exchange_weak_explicit(
                          &shard->max, &max, v, memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* The owner of a cell needs no locked instruction. */
static void own_add(_Atomic uint64_t *cell, uint64_t n) {
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void metrics_observe_at(struct metrics_histogram *histogram, int index, int64_t value) {
    if (histogram->shard_count == 1) {
        metrics_observe(histogram, value);
        return;
    }
    uint64_t v = value < 0 ? 0 : (uint64_t)value;
    struct shard *shard = shard_at(histogram, index);
    uint32_t window = atomic_load_explicit(&histogram->current, memory_order_relaxed);
    _Atomic uint32_t *bucket = &shard->windows[window][bucket_of(v)];
    own_add(&shard->count, 1);
    own_add(&shard->sum, v);
    atomic_store_explicit(bucket, atomic_load_explicit(bucket, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    if (v > atomic_load_explicit(&shard->max, memory_order_relaxed)) {
        atomic_store_explicit(&shard->max, v, memory_order_relaxed);
    }
}

/* --- reading --- */

static void turn_window(struct metrics_histogram *histogram, int64_t now_ms) {
    int64_t start = atomic_load(&histogram->window_start_ms);
    if (start == INT64_MIN) {
        atomic_compare_exchange_strong(&histogram->window_start_ms, &start, now_ms);
        return;
    }
    if (now_ms - start < WINDOW_MS ||
        !atomic_compare_exchange_strong(&histogram->window_start_ms, &start, now_ms)) {
        return;
    }
    uint32_t next = 1 - atomic_load(&histogram->current);
    for (int i = 0; i < histogram->shard_count; i++) {
        struct shard *shard = atomic_load(&histogram->shards[i]);
        for (int b = 0; shard != NULL && b < BUCKET_COUNT; b++) {
            atomic_store_explicit(&shard->windows[next][b], 0, memory_order_relaxed);
        }
    }
    atomic_store(&histogram->current, next);
}

/* Where in the buckets a share of all values lies, going evenly through a bucket. */
static double find_quantile(const uint64_t *buckets, uint64_t total, double quantile, double max) {
    double rank = quantile * (double)total;
    double below = 0;
    for (uint32_t b = 0; b < BUCKET_COUNT; b++) {
        double count = (double)buckets[b];
        if (count > 0 && below + count >= rank) {
            double start = bucket_start(b);
            double width = b < SPLIT ? 0 : bucket_start(b + 1) - start;
            double value = start + width * (rank - below) / count;
            return value < max ? value : max;
        }
        below += count;
    }
    return max;
}

void metrics_histogram_read(struct metrics_histogram *histogram, int64_t now_ms,
                            struct metrics_summary *ret_summary) {
    turn_window(histogram, now_ms);
    uint64_t buckets[BUCKET_COUNT] = {0};
    uint64_t in_window = 0, count = 0, sum = 0, max = 0;
    for (int i = 0; i < histogram->shard_count; i++) {
        struct shard *shard = atomic_load(&histogram->shards[i]);
        if (shard == NULL) {
            continue;
        }
        count += atomic_load_explicit(&shard->count, memory_order_relaxed);
        sum += atomic_load_explicit(&shard->sum, memory_order_relaxed);
        uint64_t shard_max = atomic_load_explicit(&shard->max, memory_order_relaxed);
        max = shard_max > max ? shard_max : max;
        for (int b = 0; b < BUCKET_COUNT; b++) {
            uint64_t n =
                (uint64_t)atomic_load_explicit(&shard->windows[0][b], memory_order_relaxed) +
                atomic_load_explicit(&shard->windows[1][b], memory_order_relaxed);
            buckets[b] += n;
            in_window += n;
        }
    }
    struct metrics_summary summary = {.count = count, .max = (double)max * histogram->unit};
    summary.mean = count == 0 ? 0 : (double)sum / (double)count * histogram->unit;
    for (int q = 0; in_window > 0 && q < METRICS_QUANTILES; q++) {
        summary.quantiles[q] =
            find_quantile(buckets, in_window, quantiles[q], (double)max) * histogram->unit;
    }
    *ret_summary = summary;
}
