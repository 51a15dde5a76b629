#pragma once

#include "base/list.h"
#include "base/map.h"
#include "metrics/metrics.h"

/* Private to the module. */

enum series_kind { SERIES_COUNTER, SERIES_GAUGE, SERIES_HISTOGRAM };

/* One line of the page, or the lines of one histogram. Made by series_get, freed with its last
 * reference (a holder's, or that of a page being rendered). */
struct metrics_series {
    enum series_kind kind;
    int refs;           /* guarded */
    int holders;        /* those of the refs that metrics_*_get gave out; at 0 it leaves the page */
    char *key;          /* kind, family and labels */
    char *family;       /* of a histogram: that of its percentiles */
    char *family_count; /* histogram only */
    char *labels;       /* a="b",c="d" */
    union {
        struct metrics_counter counter;
        struct metrics_gauge gauge;
        struct metrics_histogram *histogram;
    };
};

struct metrics_collector {
    struct list link;
    metrics_collect_fn collect;
    void *arg;
};

struct metrics {
    struct metrics_guard guard;
    int shard_count;
    struct map series;      /* key to metrics_series; guarded */
    struct list collectors; /* guarded */
};

void metrics_lock(struct metrics *metrics);
void metrics_unlock(struct metrics *metrics);
void metrics_series_unref(struct metrics_series *series); /* guarded */

struct metrics_histogram *metrics_histogram_new(double unit, int shard_count);
void metrics_histogram_free(struct metrics_histogram *histogram);

/* The histogram knows its series, so that it can be given back. */
void metrics_histogram_set_series(struct metrics_histogram *histogram,
                                  struct metrics_series *series);
struct metrics_series *metrics_histogram_series(struct metrics_histogram *histogram);
