/* The cleaner of compacted logs: kafka.log:type=LogCleaner and LogCleanerManager. */
#include <stdlib.h>

#include "server/node_int.h"
#include "server/node_metrics_int.h"

/* What is left alone in a log directory. */
struct uncleanable {
    size_t partitions;
    uint64_t bytes;
};

static void emit_uncleanable(struct node *node, struct metrics_page *page) {
    size_t count;
    struct partition **partitions = replicas_list(node->replicas, &count);
    for (int i = 0; i < node->data_volume_count; i++) {
        struct uncleanable sum = {0};
        for (size_t p = 0; p < count; p++) {
            uint64_t bytes;
            if (partition_volume(partitions[p]) == node->volumes[i] &&
                partition_uncleanable(partitions[p], &bytes)) {
                sum.partitions++;
                sum.bytes += bytes;
            }
        }
        struct metrics_label none = {NULL, NULL};
        struct metrics_label directory = {"logDirectory",
                                          log_directory_path(node->volumes[i]->directory)};
        emit_labelled(page, METRICS_GAUGE, "kafka.log", "LogCleanerManager",
                      "uncleanable-partitions-count", directory, none, (double)sum.partitions);
        emit_labelled(page, METRICS_GAUGE, "kafka.log", "LogCleanerManager", "uncleanable-bytes",
                      directory, none, (double)sum.bytes);
    }
    for (size_t p = 0; p < count; p++) {
        partition_unref(partitions[p]);
    }
    free(partitions);
}

/* Percents and seconds are whole numbers, as Apache Kafka has them. */
static double whole(double value) {
    return (double)(int64_t)value;
}

void collect_cleaner(struct node *node, struct metrics_page *page) {
    struct replicas_cleaner_stats stats;
    replicas_cleaner_stats(node->replicas, &stats);
    const char *group = "kafka.log", *cleaner = "LogCleaner", *manager = "LogCleanerManager";
    emit_value(page, METRICS_GAUGE, group, cleaner, "DeadThreadCount", 0);
    emit_value(page, METRICS_GAUGE, group, cleaner, "cleaner-recopy-percent",
               whole(100 * stats.recopy_ratio));
    emit_value(page, METRICS_GAUGE, group, cleaner, "max-buffer-utilization-percent",
               whole(100 * stats.buffer_used));
    emit_value(page, METRICS_GAUGE, group, cleaner, "max-clean-time-secs",
               whole(stats.clean_seconds));
    emit_value(page, METRICS_GAUGE, group, cleaner, "max-compaction-delay-secs",
               whole(stats.delay_seconds));
    emit_value(page, METRICS_GAUGE, group, manager, "max-dirty-percent",
               whole(100 * stats.dirtiest_ratio));
    emit_value(page, METRICS_GAUGE, group, manager, "time-since-last-run-ms",
               (double)stats.since_look_ms);
    emit_value(page, METRICS_COUNTER, "kafka.utils", "Throttler", "cleaner-io",
               (double)stats.io_bytes);
    emit_uncleanable(node, page);
}
