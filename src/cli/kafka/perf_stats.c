#include "cli/kafka/perf_stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES_MAX = 500000 };

void perf_stats_init(struct perf_stats *stats, int64_t count, int64_t interval_ms, bool steady,
                     int64_t now_ms) {
    int64_t kept = count < SAMPLES_MAX ? count : SAMPLES_MAX;
    *stats = (struct perf_stats){.start_ms = now_ms,
                                 .interval_ms = interval_ms,
                                 .steady = steady,
                                 .every = count / kept,
                                 .window = {.start_ms = now_ms}};
    stats->latencies = calloc((size_t)(count / stats->every) + 2, sizeof *stats->latencies);
}

void perf_stats_done(struct perf_stats *stats) {
    free(stats->latencies);
    stats->latencies = NULL;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* --- lines along the way --- */

static void window_print(const struct perf_window *window, int64_t now_ms) {
    double elapsed_ms = (double)(now_ms - window->start_ms);
    printf("%" PRId64 " records sent, %.1f records/sec (%.2f MB/sec), %.1f ms avg latency, %.1f ms "
           "max latency.\n",
           window->count, 1000.0 * (double)window->count / elapsed_ms,
           1000.0 * (double)window->bytes / elapsed_ms / (1024.0 * 1024.0),
           (double)window->latency_sum / (double)window->count, (double)window->latency_max);
    fflush(stdout);
}

static void window_end(struct perf_stats *stats, int64_t now_ms) {
    if (stats->steady && stats->count == stats->window.count) {
        puts("In steady state.");
    }
    if (!stats->silent) {
        window_print(&stats->window, now_ms);
    }
    stats->window = (struct perf_window){.start_ms = now_ms};
}

void perf_stats_add(struct perf_stats *stats, int64_t latency_ms, size_t size, int64_t now_ms) {
    struct perf_window *window = &stats->window;
    if (stats->count % stats->every == 0) {
        stats->latencies[stats->sampled++] = (int32_t)latency_ms;
    }
    stats->count++;
    stats->bytes += (int64_t)size;
    stats->latency_sum += latency_ms;
    stats->latency_max = larger(stats->latency_max, latency_ms);
    window->count++;
    window->bytes += (int64_t)size;
    window->latency_sum += latency_ms;
    window->latency_max = larger(window->latency_max, latency_ms);
    if (now_ms - window->start_ms >= stats->interval_ms) {
        window_end(stats, now_ms);
    }
}

/* --- the end --- */

static int order(const void *a, const void *b) {
    int32_t left = *(const int32_t *)a;
    int32_t right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

static int32_t percentile(const struct perf_stats *stats, double part) {
    int64_t index = (int64_t)(part * (double)stats->sampled);
    return stats->sampled == 0
               ? 0
               : stats->latencies[index < stats->sampled ? index : stats->sampled - 1];
}

void perf_stats_print(struct perf_stats *stats, int64_t now_ms) {
    double elapsed_ms = (double)(now_ms > stats->start_ms ? now_ms - stats->start_ms : 1);
    double count = (double)(stats->count == 0 ? 1 : stats->count);
    qsort(stats->latencies, (size_t)stats->sampled, sizeof *stats->latencies, order);
    printf("%" PRId64 "%s records sent, %f records/sec (%.2f MB/sec), %.2f ms avg latency, %.2f ms "
           "max latency, %" PRId32 " ms 50th, %" PRId32 " ms 95th, %" PRId32 " ms 99th, %" PRId32
           " ms 99.9th.\n",
           stats->count, stats->steady ? " steady state" : "",
           1000.0 * (double)stats->count / elapsed_ms,
           1000.0 * (double)stats->bytes / elapsed_ms / (1024.0 * 1024.0),
           (double)stats->latency_sum / count, (double)stats->latency_max, percentile(stats, 0.5),
           percentile(stats, 0.95), percentile(stats, 0.99), percentile(stats, 0.999));
}
