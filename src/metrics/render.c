/*
 * The page. Series come in any order (from the map, then from collectors), but the format wants
 * the lines of a family together: each family gathers its lines in a buffer of its own, and the
 * families are put one after the other, sorted, at the end.
 *
 * The registry's lock is held only to take references on what there is.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/metrics_int.h"
#include "metrics/name.h"

struct family {
    char *name;
    enum metrics_kind kind;
    struct buffer lines;
};

struct metrics_page {
    struct map families; /* name to family */
    struct buffer name;  /* scratch for metrics_emit */
    struct buffer labels;
};

static struct family *family_get(struct metrics_page *page, const char *name,
                                 enum metrics_kind kind) {
    struct family *family = map_get(&page->families, str_bytes(str_from_c(name)));
    if (family == NULL) {
        family = calloc(1, sizeof *family);
        family->name = strdup(name);
        family->kind = kind;
        map_put(&page->families, str_bytes(str_from_c(family->name)), family);
    }
    return family;
}

static void add_value(struct buffer *out, double value) {
    if (isnan(value)) {
        buffer_printf(out, " NaN\n");
    } else if (isinf(value)) {
        buffer_printf(out, value > 0 ? " +Inf\n" : " -Inf\n");
    } else if (value == trunc(value) && fabs(value) < 9e15) {
        buffer_printf(out, " %lld\n", (long long)value);
    } else {
        buffer_printf(out, " %.10g\n", value);
    }
}

/* quantile: NULL for none. */
static void add_line(struct family *family, struct str labels, const char *quantile, double value) {
    struct buffer *out = &family->lines;
    buffer_add(out, family->name, strlen(family->name));
    if (labels.size > 0 || quantile != NULL) {
        buffer_add(out, "{", 1);
        buffer_add_str(out, labels);
        if (quantile != NULL) {
            buffer_printf(out, "%squantile=\"%s\"", labels.size > 0 ? "," : "", quantile);
        }
        buffer_add(out, "}", 1);
    }
    add_value(out, value);
}

static void add_series(struct metrics_page *page, struct metrics_series *series, int64_t now_ms) {
    struct str labels = str_from_c(series->labels);
    switch (series->kind) {
    case SERIES_COUNTER:
        add_line(family_get(page, series->family, METRICS_COUNTER), labels, NULL,
                 (double)metrics_counter_value(&series->counter));
        break;
    case SERIES_GAUGE:
        add_line(family_get(page, series->family, METRICS_GAUGE), labels, NULL,
                 (double)atomic_load_explicit(&series->gauge.value, memory_order_relaxed));
        break;
    case SERIES_HISTOGRAM: {
        struct metrics_summary summary;
        metrics_histogram_read(series->histogram, now_ms, &summary);
        struct family *family = family_get(page, series->family, METRICS_GAUGE);
        for (int q = 0; q < METRICS_QUANTILES; q++) {
            add_line(family, labels, metrics_quantile_names[q], summary.quantiles[q]);
        }
        add_line(family_get(page, series->family_count, METRICS_COUNTER), labels, NULL,
                 (double)summary.count);
        break;
    }
    }
}

void metrics_emit(struct metrics_page *page, enum metrics_kind kind, const struct metrics_id *id,
                  double value) {
    static const enum metrics_name_kind names[] = {
        [METRICS_COUNTER] = METRICS_NAME_TOTAL,
        [METRICS_GAUGE] = METRICS_NAME_VALUE,
        [METRICS_PERCENT] = METRICS_NAME_PERCENT,
    };
    buffer_clear(&page->name);
    metrics_name_add(&page->name, names[kind], id);
    buffer_clear(&page->labels);
    metrics_labels_add(&page->labels, id->labels);
    add_line(family_get(page, (const char *)page->name.data, kind),
             bytes_str(buffer_bytes(&page->labels)), NULL, value);
}

/* --- the whole page --- */

/* References on all series, and the collectors, in the order they were made. */
struct snapshot {
    struct metrics_series **series;
    size_t series_count;
    struct metrics_collector *collectors;
    size_t collector_count;
};

static void snapshot_take(struct metrics *metrics, struct snapshot *snapshot) {
    *snapshot = (struct snapshot){0};
    metrics_lock(metrics);
    snapshot->series = calloc(map_count(&metrics->series) + 1, sizeof *snapshot->series);
    size_t cursor;
    struct metrics_series *series;
    map_for_each (&metrics->series, cursor, series) {
        series->refs++;
        snapshot->series[snapshot->series_count++] = series;
    }
    struct list *link;
    size_t collector_count = 0;
    list_for_each (link, &metrics->collectors) {
        collector_count++;
    }
    snapshot->collectors = calloc(collector_count + 1, sizeof *snapshot->collectors);
    list_for_each (link, &metrics->collectors) {
        snapshot->collectors[snapshot->collector_count++] =
            *container_of(link, struct metrics_collector, link);
    }
    metrics_unlock(metrics);
}

static void snapshot_give(struct metrics *metrics, struct snapshot *snapshot) {
    metrics_lock(metrics);
    for (size_t i = 0; i < snapshot->series_count; i++) {
        metrics_series_unref(snapshot->series[i]);
    }
    metrics_unlock(metrics);
    free(snapshot->series);
    free(snapshot->collectors);
}

static int compare_families(const void *a, const void *b) {
    return strcmp((*(struct family *const *)a)->name, (*(struct family *const *)b)->name);
}

/* Moves all lines to the output and frees the page. */
static void page_finish(struct metrics_page *page, struct buffer *out) {
    struct family **families = calloc(map_count(&page->families) + 1, sizeof *families);
    size_t count = 0;
    size_t cursor;
    struct family *family;
    map_for_each (&page->families, cursor, family) {
        families[count++] = family;
    }
    qsort(families, count, sizeof *families, compare_families);
    for (size_t i = 0; i < count; i++) {
        family = families[i];
        buffer_printf(out, "# TYPE %s %s\n", family->name,
                      family->kind == METRICS_COUNTER ? "counter" : "gauge");
        buffer_add(out, family->lines.data, family->lines.size);
        buffer_done(&family->lines);
        free(family->name);
        free(family);
    }
    free(families);
    map_done(&page->families);
    buffer_done(&page->name);
    buffer_done(&page->labels);
}

void metrics_render(struct metrics *metrics, int64_t now_ms, struct buffer *out) {
    struct snapshot snapshot;
    snapshot_take(metrics, &snapshot);

    struct metrics_page page = {0};
    map_init(&page.families);
    for (size_t i = 0; i < snapshot.series_count; i++) {
        add_series(&page, snapshot.series[i], now_ms);
    }
    for (size_t i = 0; i < snapshot.collector_count; i++) {
        snapshot.collectors[i].collect(snapshot.collectors[i].arg, &page);
    }
    page_finish(&page, out);
    snapshot_give(metrics, &snapshot);
}
