/*
 * What is asked for when the page is read: gauges of partitions, replicas, controller, network and
 * process. Runs on the HTTP listener's thread, so it uses only what any thread may.
 *
 * Names are Kafka's MBeans, and kafka_exporter's for offsets of partitions.
 */
#include "server/node_metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/node_int.h"
#include "server/request_metrics.h"
#include "server/topic_metrics.h"

static void emit(struct metrics_page *page, enum metrics_kind kind, const char *group,
                 const char *type, const char *name, double value) {
    struct metrics_id id = {.group = group, .type = type, .name = name};
    metrics_emit(page, kind, &id, value);
}

/* One of ours, by its exported name. */
static void emit_plain(struct metrics_page *page, enum metrics_kind kind, const char *name,
                       double value) {
    emit(page, kind, NULL, NULL, name, value);
}

/* --- partitions --- */

struct partition_labels {
    char topic[LOG_TOPIC_NAME_MAX + 1];
    char index[16];
};

static void emit_partition_value(struct metrics_page *page, const char *group, const char *type,
                                 const char *name, const struct partition_labels *labels,
                                 double value) {
    struct metrics_id id = {
        .group = group,
        .type = type,
        .name = name,
        .labels = {{"topic", labels->topic}, {"partition", labels->index}},
    };
    metrics_emit(page, METRICS_GAUGE, &id, value);
}

static void emit_partition(struct metrics_page *page, struct partition *partition) {
    struct partition_labels labels;
    struct partition_offsets offsets;
    (void)snprintf(labels.topic, sizeof labels.topic, "%.*s", STR_ARGS(partition_topic(partition)));
    (void)snprintf(labels.index, sizeof labels.index, "%d", (int)partition_index(partition));
    struct log *log = partition_log(partition);
    if (log == NULL || partition_offsets(partition, PARTITION_ANY_EPOCH, &offsets) != ERR_OK) {
        return;
    }
    emit_partition_value(page, "kafka.log", "Log", "Size", &labels, (double)log_size(log));
    emit_partition_value(page, "kafka.log", "Log", "NumLogSegments", &labels,
                         (double)log_segment_count(log));
    emit_partition_value(page, "kafka.log", "Log", "LogStartOffset", &labels,
                         (double)offsets.log_start_offset);
    emit_partition_value(page, "kafka.log", "Log", "LogEndOffset", &labels,
                         (double)offsets.log_end_offset);
    emit_partition_value(page, NULL, NULL, "kafka_topic_partition_current_offset", &labels,
                         (double)offsets.high_watermark);
    emit_partition_value(page, NULL, NULL, "kafka_topic_partition_oldest_offset", &labels,
                         (double)offsets.log_start_offset);
}

static void collect_replicas(struct node *node, struct metrics_page *page) {
    size_t count;
    struct partition **partitions = replicas_list(node->replicas, &count);
    size_t leaders = 0;
    size_t offline = 0;
    for (size_t i = 0; i < count; i++) {
        leaders += partition_is_leader(partitions[i]);
        offline += partition_is_offline(partitions[i]);
        emit_partition(page, partitions[i]);
        partition_unref(partitions[i]);
    }
    free(partitions);
    emit(page, METRICS_GAUGE, "kafka.server", "ReplicaManager", "PartitionCount", (double)count);
    emit(page, METRICS_GAUGE, "kafka.server", "ReplicaManager", "LeaderCount", (double)leaders);
    emit(page, METRICS_GAUGE, "kafka.server", "ReplicaManager", "OfflineReplicaCount",
         (double)offline);
}

/* --- the cluster, as the image has it --- */

struct cluster_counts {
    int64_t active_brokers;
    int64_t fenced_brokers;
    int64_t offline_partitions;
    int64_t under_replicated;
    int64_t non_preferred;
};

static void count_partition(struct cluster_counts *counts, const struct meta_partition *state) {
    counts->offline_partitions += state->leader == META_LEADER_NONE;
    counts->under_replicated += state->isr_count < state->replica_count;
    counts->non_preferred += state->replica_count > 0 && state->leader != state->replicas[0];
}

static void emit_topic_partitions(struct metrics_page *page, const struct meta_topic *topic) {
    char name[LOG_TOPIC_NAME_MAX + 1];
    (void)snprintf(name, sizeof name, "%.*s", STR_ARGS(topic->name));
    struct metrics_id id = {.name = "kafka_topic_partitions", .labels = {{"topic", name}}};
    metrics_emit(page, METRICS_GAUGE, &id, (double)topic->partitions.count);
}

static void collect_cluster(struct node *node, struct metrics_page *page) {
    struct meta_image *image = node_image_ref(node);
    struct cluster_counts counts = {0};
    struct pmap_walk walk;
    const struct meta_broker *broker;
    pmap_for_each(&walk, &image->brokers, broker) {
        counts.active_brokers += !broker->fenced;
        counts.fenced_brokers += broker->fenced;
    }
    const struct meta_topic *topic;
    pmap_for_each(&walk, &image->topics, topic) {
        struct pmap_walk partitions;
        const struct meta_partition *state;
        pmap_for_each(&partitions, &topic->partitions, state) {
            count_partition(&counts, state);
        }
        emit_topic_partitions(page, topic);
    }
    static const char type[] = "KafkaController";
    static const char group[] = "kafka.controller";
    emit(page, METRICS_GAUGE, group, type, "ActiveControllerCount",
         atomic_load(&node->state) == NODE_SERVING); /* a quorum of one: it leads */
    emit(page, METRICS_GAUGE, group, type, "ActiveBrokerCount", (double)counts.active_brokers);
    emit(page, METRICS_GAUGE, group, type, "FencedBrokerCount", (double)counts.fenced_brokers);
    emit(page, METRICS_GAUGE, group, type, "GlobalTopicCount", (double)image->topics.count);
    emit(page, METRICS_GAUGE, group, type, "GlobalPartitionCount", (double)image->partition_count);
    emit(page, METRICS_GAUGE, group, type, "OfflinePartitionsCount",
         (double)counts.offline_partitions);
    emit(page, METRICS_GAUGE, group, type, "PreferredReplicaImbalanceCount",
         (double)counts.non_preferred);
    emit(page, METRICS_GAUGE, group, type, "LastAppliedRecordOffset",
         (double)image->provenance.offset);
    emit(page, METRICS_GAUGE, "kafka.server", "ReplicaManager", "UnderReplicatedPartitions",
         (double)counts.under_replicated);
    emit_plain(page, METRICS_GAUGE, "kafka_brokers", (double)counts.active_brokers);
    meta_image_unref(image);
}

/* --- this process --- */

static void collect_reactors(struct node *node, struct metrics_page *page) {
    for (int i = 0; i < node->reactor_count; i++) {
        struct sys_loop_stats stats;
        char index[8];
        (void)snprintf(index, sizeof index, "%d", i);
        sys_loop_stats_take(node->loops[i], &stats);
        struct metrics_id id = {.name = "ottla_reactor_stall_max_seconds",
                                .labels = {{"reactor", index}}};
        metrics_emit(page, METRICS_GAUGE, &id, (double)stats.stall_max_ns / 1e9);
        id.name = "ottla_reactor_busy_seconds_total";
        metrics_emit(page, METRICS_COUNTER, &id, (double)stats.busy_ns / 1e9);
        id.name = "ottla_reactor_turns_total";
        metrics_emit(page, METRICS_COUNTER, &id, (double)stats.turns);
    }
}

static void collect_network(struct node *node, struct metrics_page *page) {
    struct net_stats stats;
    net_server_stats(node->net, &stats);
    emit(page, METRICS_GAUGE, "kafka.network", "RequestChannel", "RequestQueueSize",
         (double)stats.requests_queued);
    emit_plain(page, METRICS_GAUGE, "ottla_connections", (double)stats.connections);
    emit_plain(page, METRICS_COUNTER, "ottla_connections_opened_total",
               (double)stats.connections_opened);
    emit_plain(page, METRICS_COUNTER, "ottla_connections_refused_total",
               (double)stats.connections_refused);
    emit_plain(page, METRICS_COUNTER, "ottla_connections_expired_total",
               (double)stats.connections_expired);
    emit_plain(page, METRICS_COUNTER, "ottla_frames_refused_total", (double)stats.frames_refused);
    emit_plain(page, METRICS_COUNTER, "ottla_network_bytes_in_total", (double)stats.bytes_in);
    emit_plain(page, METRICS_COUNTER, "ottla_network_bytes_out_total", (double)stats.bytes_out);
    emit_plain(page, METRICS_COUNTER, "ottla_read_stalls_total", (double)stats.read_stalls);
    emit_plain(page, METRICS_GAUGE, "ottla_request_bytes", (double)stats.request_bytes);
    emit_plain(page, METRICS_GAUGE, "ottla_request_bytes_max", (double)stats.request_bytes_max);
}

static void collect_process(struct node *node, struct metrics_page *page) {
    struct sys_usage usage;
    sys_usage_read(node->sys, &usage);
    emit_plain(page, METRICS_GAUGE, "process_resident_memory_bytes", (double)usage.resident_bytes);
    emit_plain(page, METRICS_COUNTER, "process_cpu_seconds_total", (double)usage.cpu_ns / 1e9);
    emit_plain(page, METRICS_GAUGE, "process_open_fds", (double)usage.open_files);
    emit_plain(page, METRICS_GAUGE, "process_max_fds", (double)usage.open_files_max);
    emit_plain(page, METRICS_GAUGE, "process_start_time_seconds",
               (double)usage.start_wall_ms / 1e3);
}

static void collect_sessions(struct node *node, struct metrics_page *page) {
    struct fetch_sessions_stats stats;
    fetch_sessions_stats(node->fetch_sessions, &stats);
    emit(page, METRICS_GAUGE, "kafka.server", "FetchSessionCache", "NumIncrementalFetchSessions",
         (double)stats.sessions);
    emit(page, METRICS_GAUGE, "kafka.server", "FetchSessionCache",
         "NumIncrementalFetchPartitionsCached", (double)stats.partitions);
    emit(page, METRICS_COUNTER, "kafka.server", "FetchSessionCache",
         "IncrementalFetchSessionEvictionsPerSec", (double)stats.evictions);
}

static void collect(void *arg, struct metrics_page *page) {
    struct node *node = arg;
    if (atomic_load(&node->made)) {
        collect_replicas(node, page);
        collect_network(node, page);
    }
    collect_cluster(node, page);
    collect_reactors(node, page);
    collect_sessions(node, page);
    collect_process(node, page);
}

void node_metrics_start(struct node *node) {
    node->request_metrics = request_metrics_new(node->metrics);
    node->topic_metrics = topic_metrics_new(node->metrics);
    node->collector = metrics_collector_add(node->metrics, collect, node);
}

void node_metrics_stop(struct node *node) {
    if (node->metrics == NULL) {
        return;
    }
    metrics_collector_remove(node->metrics, node->collector);
    topic_metrics_free(node->topic_metrics);
    request_metrics_free(node->request_metrics);
}
