#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What kafka-producer-perf-test measures: of all records, or of those behind the warm-up.
 *
 * Latencies are in milliseconds. One of so many is kept, so that there are at most half a million.
 * A window is what came since the last line was printed.
 */
struct perf_window {
    int64_t start_ms;
    int64_t count;
    int64_t bytes;
    int64_t latency_sum;
    int64_t latency_max;
};

struct perf_stats {
    int64_t start_ms;
    int64_t interval_ms; /* between lines */
    bool steady;         /* behind the warm-up */
    bool silent;         /* no lines: the steady ones have theirs */
    int64_t count;
    int64_t bytes;
    int64_t latency_sum;
    int64_t latency_max;
    int32_t *latencies;
    int64_t sampled;
    int64_t every;
    struct perf_window window;
};

/* count: how many there will be at most; above 0. */
void perf_stats_init(struct perf_stats *stats, int64_t count, int64_t interval_ms, bool steady,
                     int64_t now_ms);
void perf_stats_done(struct perf_stats *stats); /* accepts a zeroed one */

/* A record that was delivered. Prints a line when it is time for one. */
void perf_stats_add(struct perf_stats *stats, int64_t latency_ms, size_t size, int64_t now_ms);

/* The line at the end; only once. */
void perf_stats_print(struct perf_stats *stats, int64_t now_ms);
