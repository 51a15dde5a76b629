#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * Counters, gauges and histograms of one node, and their text for Prometheus.
 *
 * A registry is an object; there is no global one. A metric is asked for by its id and belongs to
 * the registry; who asked holds a reference and gives it back when the thing it counts is gone (a
 * deleted topic), which takes the series off the page. Asking for an id that exists gives the same
 * metric again.
 *
 * Ids are written as Kafka's MBeans are, and the exported name follows from them by the rules of
 * metrics/name.h. Metrics that have no MBean are given by their exported name.
 *
 * Counting may be done on any thread and never blocks. All other calls are safe on any thread too,
 * with one exception: metrics_collector_remove.
 */
struct metrics;

struct metrics_label {
    const char *name;
    const char *value;
};

enum { METRICS_LABELS_MAX = 4 };

/* {"kafka.server", "BrokerTopicMetrics", "BytesInPerSec", {{"topic", "orders"}}}; with group NULL
 * `name` is the exported name as it stands. The registry copies what it keeps. */
struct metrics_id {
    const char *group;
    const char *type; /* may be NULL with group NULL */
    const char *name;
    struct metrics_label labels[METRICS_LABELS_MAX]; /* up to the first without a name */
};

/* The lock of the registry, given by its owner because sys stands above this module. Held for
 * short bookkeeping only, never while a collector or gauge function runs. */
struct metrics_guard {
    void (*take)(void *arg);
    void (*give)(void *arg);
    void *arg;
};

/* shard_count: how many threads (reactors) count in metrics made with METRICS_SHARDED. A guard of
 * NULL is for one thread. */
struct metrics *metrics_new(const struct metrics_guard *guard, int shard_count);
void metrics_free(struct metrics *metrics); /* accepts NULL; frees what is still held, too */

enum {
    METRICS_SHARDED = 1, /* hot: a cell per shard, so that reactors do not fight for one */
};

/* --- counters (Kafka's meters are counters here: rates are made by who reads them) --- */

struct metrics_cell {
    _Atomic uint64_t value;
    uint64_t padding[7];
};

struct metrics_counter {
    struct metrics_cell *cells;
    int cell_count;
};

struct metrics_counter *metrics_counter_get(struct metrics *metrics, const struct metrics_id *id,
                                            int flags);
void metrics_counter_put(struct metrics *metrics, struct metrics_counter *counter); /* or NULL */

static inline void metrics_count(struct metrics_counter *counter, uint64_t n) {
    atomic_fetch_add_explicit(&counter->cells[0].value, n, memory_order_relaxed);
}

/* Only the thread that owns the shard may use it, for all sharded metrics alike. */
static inline void metrics_count_at(struct metrics_counter *counter, int shard, uint64_t n) {
    if (counter->cell_count == 1) {
        metrics_count(counter, n);
        return;
    }
    _Atomic uint64_t *value = &counter->cells[shard].value;
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

uint64_t metrics_counter_value(const struct metrics_counter *counter);

/* --- gauges --- */

struct metrics_gauge {
    _Atomic int64_t value;
};

struct metrics_gauge *metrics_gauge_get(struct metrics *metrics, const struct metrics_id *id);
void metrics_gauge_put(struct metrics *metrics, struct metrics_gauge *gauge); /* or NULL */

static inline void metrics_gauge_set(struct metrics_gauge *gauge, int64_t value) {
    atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}

static inline void metrics_gauge_add(struct metrics_gauge *gauge, int64_t change) {
    atomic_fetch_add_explicit(&gauge->value, change, memory_order_relaxed);
}

/* --- histograms --- */

/*
 * Counts values >= 0 in buckets of which eight make up a doubling, so a percentile is off by at
 * most 1/16. Percentiles are those of the last five to ten minutes; count, mean and max are of all
 * time. `unit` is what 1 means in the exported number: values in microseconds shown as Kafka's
 * milliseconds have 0.001.
 */
struct metrics_histogram;

struct metrics_histogram *
metrics_histogram_get(struct metrics *metrics, const struct metrics_id *id, double unit, int flags);
void metrics_histogram_put(struct metrics *metrics, struct metrics_histogram *histogram);

void metrics_observe(struct metrics_histogram *histogram, int64_t value);
void metrics_observe_at(struct metrics_histogram *histogram, int shard, int64_t value);

enum { METRICS_QUANTILES = 6 };
extern const char *const metrics_quantile_names[METRICS_QUANTILES]; /* "0.50" ... "0.999" */

struct metrics_summary {
    uint64_t count;
    double mean;
    double max;
    double quantiles[METRICS_QUANTILES]; /* 50, 75, 95, 98, 99, 99.9 */
};

/* now_ms: a monotonic clock, the same at every call; it moves the window of the percentiles. */
void metrics_histogram_read(struct metrics_histogram *histogram, int64_t now_ms,
                            struct metrics_summary *ret_summary);

/* --- values that are asked for at reading time --- */

enum metrics_kind {
    METRICS_COUNTER,
    METRICS_GAUGE,
    METRICS_PERCENT, /* the mean rate of one of Kafka's meters named ...Percent: 0 to 1 */
};

struct metrics_page; /* the text being made */

/* A collector adds series to the page by metrics_emit. It runs on the thread that renders, so it
 * must be safe there; it may take locks of its own. */
typedef void (*metrics_collect_fn)(void *arg, struct metrics_page *page);

struct metrics_collector;

struct metrics_collector *metrics_collector_add(struct metrics *metrics, metrics_collect_fn collect,
                                                void *arg);

/* Not while metrics_render runs: the node closes its HTTP listener first. Accepts NULL. */
void metrics_collector_remove(struct metrics *metrics, struct metrics_collector *collector);

void metrics_emit(struct metrics_page *page, enum metrics_kind kind, const struct metrics_id *id,
                  double value);

/* Adds the page in Prometheus' text format 0.0.4 to a buffer: families sorted by name, each with
 * its TYPE line. */
void metrics_render(struct metrics *metrics, int64_t now_ms, struct buffer *out);
