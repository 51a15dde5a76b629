#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/metrics_int.h"
#include "metrics/name.h"

void metrics_lock(struct metrics *metrics) {
    if (metrics->guard.take != NULL) {
        metrics->guard.take(metrics->guard.arg);
    }
}

void metrics_unlock(struct metrics *metrics) {
    if (metrics->guard.give != NULL) {
        metrics->guard.give(metrics->guard.arg);
    }
}

struct metrics *metrics_new(const struct metrics_guard *guard, int shard_count) {
    assert(shard_count > 0);
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (guard != NULL) {
        metrics->guard = *guard;
    }
    metrics->shard_count = shard_count;
    map_init(&metrics->series);
    list_init(&metrics->collectors);
    return metrics;
}

static void series_free(struct metrics_series *series) {
    switch (series->kind) {
    case SERIES_COUNTER:
        free(series->counter.cells);
        break;
    case SERIES_GAUGE:
        break;
    case SERIES_HISTOGRAM:
        metrics_histogram_free(series->histogram);
        break;
    }
    free(series->key);
    free(series->family);
    free(series->family_count);
    free(series->labels);
    free(series);
}

void metrics_free(struct metrics *metrics) {
    if (metrics == NULL) {
        return;
    }
    size_t cursor;
    struct metrics_series *series;
    map_for_each (&metrics->series, cursor, series) {
        series_free(series);
    }
    map_done(&metrics->series);
    struct list *link;
    while ((link = list_take_first(&metrics->collectors)) != NULL) {
        free(container_of(link, struct metrics_collector, link));
    }
    free(metrics);
}

void metrics_series_unref(struct metrics_series *series) {
    assert(series->refs > 0);
    if (--series->refs == 0) {
        assert(series->holders == 0);
        series_free(series);
    }
}

/* --- making and giving back --- */

static char *take_text(struct buffer *buffer) {
    buffer_add(buffer, "", 1);
    return (char *)buffer_steal(buffer, &(size_t){0});
}

static char *name_text(enum metrics_name_kind kind, const struct metrics_id *id) {
    struct buffer buffer = {0};
    metrics_name_add(&buffer, kind, id);
    return take_text(&buffer);
}

static struct metrics_series *series_new(enum series_kind kind, const struct metrics_id *id) {
    struct metrics_series *series = calloc(1, sizeof *series);
    series->kind = kind;
    series->family =
        name_text(kind == SERIES_COUNTER ? METRICS_NAME_TOTAL : METRICS_NAME_VALUE, id);
    if (kind == SERIES_HISTOGRAM) {
        series->family_count = name_text(METRICS_NAME_COUNT, id);
    }
    struct buffer labels = {0};
    metrics_labels_add(&labels, id->labels);
    series->labels = take_text(&labels);

    struct buffer key = {0};
    buffer_printf(&key, "%d %s{%s}", (int)kind, series->family, series->labels);
    series->key = take_text(&key);
    return series;
}

static struct bytes series_key(const struct metrics_series *series) {
    return str_bytes(str_from_c(series->key));
}

/* The series of that id: the one there is, or the new one, which the caller has filled. */
static struct metrics_series *series_enter(struct metrics *metrics, struct metrics_series *made) {
    metrics_lock(metrics);
    struct metrics_series *series = map_get(&metrics->series, series_key(made));
    if (series == NULL) {
        series = made;
        made = NULL;
        map_put(&metrics->series, series_key(series), series);
    }
    series->refs++;
    series->holders++;
    metrics_unlock(metrics);
    if (made != NULL) {
        series_free(made);
    }
    return series;
}

static void series_put(struct metrics *metrics, struct metrics_series *series) {
    metrics_lock(metrics);
    assert(series->holders > 0);
    if (--series->holders == 0) {
        map_remove(&metrics->series, series_key(series));
    }
    metrics_series_unref(series);
    metrics_unlock(metrics);
}

static int cell_count(const struct metrics *metrics, int flags) {
    return (flags & METRICS_SHARDED) != 0 ? metrics->shard_count : 1;
}

struct metrics_counter *metrics_counter_get(struct metrics *metrics, const struct metrics_id *id,
                                            int flags) {
    struct metrics_series *series = series_new(SERIES_COUNTER, id);
    int count = cell_count(metrics, flags);
    size_t size = sizeof(struct metrics_cell) * (size_t)count;
    series->counter.cells = aligned_alloc(64, size);
    memset(series->counter.cells, 0, size);
    series->counter.cell_count = count;
    return &series_enter(metrics, series)->counter;
}

void metrics_counter_put(struct metrics *metrics, struct metrics_counter *counter) {
    if (counter != NULL) {
        series_put(metrics, container_of(counter, struct metrics_series, counter));
    }
}

uint64_t metrics_counter_value(const struct metrics_counter *counter) {
    uint64_t sum = 0;
    for (int i = 0; i < counter->cell_count; i++) {
        sum += atomic_load_explicit(&counter->cells[i].value, memory_order_relaxed);
    }
    return sum;
}

struct metrics_gauge *metrics_gauge_get(struct metrics *metrics, const struct metrics_id *id) {
    return &series_enter(metrics, series_new(SERIES_GAUGE, id))->gauge;
}

void metrics_gauge_put(struct metrics *metrics, struct metrics_gauge *gauge) {
    if (gauge != NULL) {
        series_put(metrics, container_of(gauge, struct metrics_series, gauge));
    }
}

struct metrics_histogram *metrics_histogram_get(struct metrics *metrics,
                                                const struct metrics_id *id, double unit,
                                                int flags) {
    struct metrics_series *series = series_new(SERIES_HISTOGRAM, id);
    series->histogram = metrics_histogram_new(unit, cell_count(metrics, flags));
    metrics_histogram_set_series(series->histogram, series);
    return series_enter(metrics, series)->histogram;
}

void metrics_histogram_put(struct metrics *metrics, struct metrics_histogram *histogram) {
    if (histogram != NULL) {
        series_put(metrics, metrics_histogram_series(histogram));
    }
}

struct metrics_collector *metrics_collector_add(struct metrics *metrics, metrics_collect_fn collect,
                                                void *arg) {
    struct metrics_collector *collector = calloc(1, sizeof *collector);
    collector->collect = collect;
    collector->arg = arg;
    metrics_lock(metrics);
    list_add_last(&metrics->collectors, &collector->link);
    metrics_unlock(metrics);
    return collector;
}

void metrics_collector_remove(struct metrics *metrics, struct metrics_collector *collector) {
    if (collector == NULL) {
        return;
    }
    metrics_lock(metrics);
    list_remove(&collector->link);
    metrics_unlock(metrics);
    free(collector);
}
