/*
 * The node and its process: what is asked for when the page is read. Names are Kafka's MBeans where
 * it has them.
 */
#include "server/node_metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/node_int.h"
#include "server/node_metrics_int.h"
#include "server/request_metrics.h"
#include "server/topic_metrics.h"
#include "server/txn_metrics.h"

void emit_value(struct metrics_page *page, enum metrics_kind kind, const char *group,
                const char *type, const char *name, double value) {
    struct metrics_id id = {.group = group, .type = type, .name = name};
    metrics_emit(page, kind, &id, value);
}

void emit_labelled(struct metrics_page *page, enum metrics_kind kind, const char *group,
                   const char *type, const char *name, struct metrics_label first,
                   struct metrics_label second, double value) {
    struct metrics_id id = {.group = group, .type = type, .name = name, .labels = {first, second}};
    metrics_emit(page, kind, &id, value);
}

/* One of ours, by its exported name. */
static void emit_plain(struct metrics_page *page, enum metrics_kind kind, const char *name,
                       double value) {
    emit_value(page, kind, NULL, NULL, name, value);
}

/* Kafka's BrokerState. */
static int broker_state(struct node *node) {
    switch (atomic_load(&node->state)) {
    case NODE_STARTING:
        return node->broker != NULL && atomic_load(&node->recovering) ? 2 : 1;
    case NODE_SERVING:
        return 3;
    case NODE_STOPPING:
        return atomic_load(&node->draining) ? 7 : 6;
    default:
        return 0;
    }
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
    emit_value(page, METRICS_GAUGE, "kafka.network", "RequestChannel", "RequestQueueSize",
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
    emit_value(page, METRICS_GAUGE, "kafka.server", "FetchSessionCache",
               "NumIncrementalFetchSessions", (double)stats.sessions);
    emit_value(page, METRICS_GAUGE, "kafka.server", "FetchSessionCache",
               "NumIncrementalFetchPartitionsCached", (double)stats.partitions);
    emit_value(page, METRICS_COUNTER, "kafka.server", "FetchSessionCache",
               "IncrementalFetchSessionEvictionsPerSec", (double)stats.evictions);
}

/* Requests that wait: what Kafka calls its purgatories. */
static void collect_waiting(struct node *node, struct metrics_page *page) {
    const struct {
        const char *operation;
        int64_t count;
    } rows[] = {
        {"Fetch", atomic_load(&node->fetches_waiting)},
        {"Produce", atomic_load(&node->produces_pending)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct metrics_label label = {"delayedOperation", rows[i].operation};
        struct metrics_label none = {NULL, NULL};
        emit_labelled(page, METRICS_GAUGE, "kafka.server", "DelayedOperationPurgatory",
                      "NumDelayedOperations", label, none, (double)rows[i].count);
        emit_labelled(page, METRICS_GAUGE, "kafka.server", "DelayedOperationPurgatory",
                      "PurgatorySize", label, none, (double)rows[i].count);
    }
}

static void collect(void *arg, struct metrics_page *page) {
    struct node *node = arg;
    emit_value(page, METRICS_GAUGE, "kafka.server", "KafkaServer", "BrokerState",
               broker_state(node));
    if (atomic_load(&node->made)) {
        collect_partitions(node, page);
        collect_network(node, page);
        collect_waiting(node, page);
        collect_groups(node, page);
        collect_transactions(node, page);
        collect_cleaner(node, page);
    }
    collect_cluster(node, page);
    collect_reactors(node, page);
    collect_sessions(node, page);
    collect_process(node, page);
}

void node_metrics_start(struct node *node) {
    node->request_metrics = request_metrics_new(node->metrics);
    node->topic_metrics = topic_metrics_new(node->metrics);
    node->txn_metrics = txn_metrics_new(node->metrics);
    node->collector = metrics_collector_add(node->metrics, collect, node);
}

void node_metrics_stop(struct node *node) {
    if (node->metrics == NULL) {
        return;
    }
    metrics_collector_remove(node->metrics, node->collector);
    txn_metrics_free(node->txn_metrics);
    topic_metrics_free(node->topic_metrics);
    request_metrics_free(node->request_metrics);
}
