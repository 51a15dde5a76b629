/*
 * Partitions kept here: kafka.cluster:type=Partition, kafka.log, kafka.server:type=ReplicaManager.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/node_int.h"
#include "server/node_metrics_int.h"

struct labels {
    char topic[LOG_TOPIC_NAME_MAX + 1];
    char index[16];
};

struct row {
    const char *group;
    const char *type;
    const char *name;
    double value;
};

static void emit_rows(struct metrics_page *page, const struct labels *labels,
                      const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        emit_labelled(page, METRICS_GAUGE, rows[i].group, rows[i].type, rows[i].name,
                      (struct metrics_label){"topic", labels->topic},
                      (struct metrics_label){"partition", labels->index}, rows[i].value);
    }
}

static void emit_log(struct metrics_page *page, struct partition *partition,
                     const struct labels *labels) {
    struct log *log = partition_log(partition);
    struct partition_offsets offsets;
    if (log == NULL || partition_offsets(partition, PARTITION_ANY_EPOCH, &offsets) != ERR_OK) {
        return;
    }
    const struct row rows[] = {
        {"kafka.log", "Log", "Size", (double)log_size(log)},
        {"kafka.log", "Log", "NumLogSegments", (double)log_segment_count(log)},
        {"kafka.log", "Log", "LogStartOffset", (double)offsets.log_start_offset},
        {"kafka.log", "Log", "LogEndOffset", (double)offsets.log_end_offset},
        {"kafka.cluster", "Partition", "LastStableOffsetLag",
         (double)(offsets.high_watermark - offsets.last_stable_offset)},
        {NULL, NULL, "kafka_topic_partition_current_offset", (double)offsets.high_watermark},
        {NULL, NULL, "kafka_topic_partition_oldest_offset", (double)offsets.log_start_offset},
    };
    emit_rows(page, labels, rows, sizeof rows / sizeof rows[0]);
}

/* How many partitions are led here, and what ails them. */
struct counts {
    size_t leaders;
    size_t offline;
    size_t under_replicated;
    size_t under_min_isr;
    size_t at_min_isr;
};

static void emit_partition(struct metrics_page *page, struct partition *partition,
                           struct counts *counts) {
    struct labels labels;
    (void)snprintf(labels.topic, sizeof labels.topic, "%.*s", STR_ARGS(partition_topic(partition)));
    (void)snprintf(labels.index, sizeof labels.index, "%d", (int)partition_index(partition));
    struct partition_replication state;
    partition_replication(partition, &state);
    bool under_replicated = state.leader && state.isr_count < state.replica_count;
    bool under_min_isr = state.leader && state.isr_count < state.min_isr;
    bool at_min_isr = state.leader && state.isr_count == state.min_isr;
    const struct row rows[] = {
        {"kafka.cluster", "Partition", "ReplicasCount", state.leader ? state.replica_count : 0},
        {"kafka.cluster", "Partition", "InSyncReplicasCount", state.leader ? state.isr_count : 0},
        {"kafka.cluster", "Partition", "UnderReplicated", under_replicated},
        {"kafka.cluster", "Partition", "UnderMinIsr", under_min_isr},
        {"kafka.cluster", "Partition", "AtMinIsr", at_min_isr},
    };
    emit_rows(page, &labels, rows, sizeof rows / sizeof rows[0]);
    emit_log(page, partition, &labels);
    counts->leaders += state.leader;
    counts->offline += partition_is_offline(partition);
    counts->under_replicated += under_replicated;
    counts->under_min_isr += under_min_isr;
    counts->at_min_isr += at_min_isr;
}

static void emit_directory(struct metrics_page *page, const char *path, bool offline) {
    emit_labelled(page, METRICS_GAUGE, "kafka.log", "LogManager", "LogDirectoryOffline",
                  (struct metrics_label){"logDirectory", path}, (struct metrics_label){NULL, NULL},
                  offline);
}

static void emit_directories(struct node *node, struct metrics_page *page) {
    int offline = node->lost_dir_count;
    for (int i = 0; i < node->volume_count; i++) {
        struct log_directory *directory = node->volumes[i]->directory;
        bool failed = log_directory_state(directory) != ERR_OK;
        offline += failed;
        emit_directory(page, log_directory_path(directory), failed);
    }
    for (int i = 0; i < node->lost_dir_count; i++) {
        emit_directory(page, node->lost_dirs[i].path, true);
    }
    emit_value(page, METRICS_GAUGE, "kafka.log", "LogManager", "OfflineLogDirectoryCount",
               (double)offline);
}

void collect_partitions(struct node *node, struct metrics_page *page) {
    size_t count;
    struct partition **partitions = replicas_list(node->replicas, &count);
    struct counts counts = {0};
    for (size_t i = 0; i < count; i++) {
        emit_partition(page, partitions[i], &counts);
        partition_unref(partitions[i]);
    }
    free(partitions);
    const struct row rows[] = {
        {.name = "PartitionCount", .value = (double)count},
        {.name = "LeaderCount", .value = (double)counts.leaders},
        {.name = "OfflineReplicaCount", .value = (double)counts.offline},
        {.name = "UnderReplicatedPartitions", .value = (double)counts.under_replicated},
        {.name = "UnderMinIsrPartitionCount", .value = (double)counts.under_min_isr},
        {.name = "AtMinIsrPartitionCount", .value = (double)counts.at_min_isr},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        emit_value(page, METRICS_GAUGE, "kafka.server", "ReplicaManager", rows[i].name,
                   rows[i].value);
    }
    emit_directories(node, page);
}
