/*
 * Transactions: what coordinators do, under Kafka's names and ours, and what is open in partitions.
 *
 * Kafka's load times are those of the last minute; here they are all since the start. What a late
 * transaction is follows Kafka, too: five minutes beyond the longest timeout there may be.
 */
#include "server/txn_metrics.h"

#include <stdlib.h>

#include "coord/standing.h"
#include "server/node_int.h"
#include "server/node_metrics_int.h"
#include "server/txn_hanging.h"
#include "sys/sys.h"

enum { LATE_MS = 5 * 60 * 1000 };

/* --- verification --- */

struct txn_metrics {
    struct metrics *metrics;
    struct metrics_counter *failures;
    struct metrics_histogram *time;
};

struct txn_metrics *txn_metrics_new(struct metrics *metrics) {
    struct txn_metrics *all = calloc(1, sizeof *all);
    struct metrics_id id = {.group = "kafka.server", .type = "AddPartitionsToTxnManager"};
    all->metrics = metrics;
    id.name = "VerificationFailureRate";
    all->failures = metrics_counter_get(metrics, &id, METRICS_SHARDED);
    id.name = "VerificationTimeMs";
    all->time = metrics_histogram_get(metrics, &id, 0.001, METRICS_SHARDED);
    return all;
}

void txn_metrics_free(struct txn_metrics *all) {
    if (all != NULL) {
        metrics_counter_put(all->metrics, all->failures);
        metrics_histogram_put(all->metrics, all->time);
        free(all);
    }
}

void txn_metrics_verified(struct txn_metrics *all, int reactor, int64_t took_us,
                          int32_t failure_count) {
    metrics_observe_at(all->time, reactor, took_us);
    metrics_count_at(all->failures, reactor, (uint64_t)failure_count);
}

/* --- coordinators --- */

static void emit_ended(struct coord *coord, struct metrics_page *page) {
    static const struct {
        enum group_count count;
        const char *how;
    } rows[] = {
        {GROUP_COUNT_TXNS_COMMITTED, "commit"},
        {GROUP_COUNT_TXNS_ABORTED, "abort"},
        {GROUP_COUNT_TXNS_FENCED, "fence"},
        {GROUP_COUNT_TXNS_TIMED_OUT, "timeout"},
    };
    uint64_t counts[GROUP_COUNTS];
    coord_counts(coord, counts);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        emit_labelled(page, METRICS_COUNTER, NULL, NULL, "ottla_transactions_ended_total",
                      (struct metrics_label){"by", rows[i].how}, (struct metrics_label){NULL, NULL},
                      (double)counts[rows[i].count]);
    }
}

static void emit_coordinators(struct coord *coord, struct metrics_page *page) {
    struct coord_txn_stats stats;
    coord_txn_stats(coord, &stats);
    const char *group = "kafka.coordinator.transaction",
               *manager = "TransactionMarkerChannelManager";
    emit_value(page, METRICS_GAUGE, group, manager, "UnknownDestinationQueueSize",
               (double)stats.markers_waiting);
    emit_value(page, METRICS_GAUGE, group, manager, "LogAppendRetryQueueSize",
               (double)stats.ends_waiting);
    if (stats.load_count > 0) {
        const char *type = "transaction-coordinator-metrics";
        emit_value(page, METRICS_GAUGE, "kafka.server", type, "partition-load-time-max",
                   (double)stats.load_ms_max);
        emit_value(page, METRICS_GAUGE, "kafka.server", type, "partition-load-time-avg",
                   (double)stats.load_ms_sum / (double)stats.load_count);
    }
}

static void emit_hanging(const struct txn_hanging *hanging, struct metrics_page *page) {
    struct txn_hanging_stats stats;
    txn_hanging_stats(hanging, &stats);
    struct metrics_label none = {NULL, NULL};
    emit_labelled(page, METRICS_COUNTER, NULL, NULL, "ottla_transactions_hung_total",
                  (struct metrics_label){"end", "commit"}, none, (double)stats.committed);
    emit_labelled(page, METRICS_COUNTER, NULL, NULL, "ottla_transactions_hung_total",
                  (struct metrics_label){"end", "abort"}, none, (double)stats.aborted);
}

/* --- partitions --- */

struct open {
    size_t producers;
    size_t transactions;
    size_t late_partitions;
    int64_t oldest_ms;
};

/* What was open before the start is as old as the node is up, at least. */
static void add_partition(struct node *node, struct partition *partition, int64_t now_ms,
                          struct open *open) {
    struct log *log = partition_log(partition);
    open->producers += log == NULL ? 0 : log_producer_count(log);
    struct log_open_txn *txns;
    size_t count;
    if (partition_open_txns(partition, &txns, &count) != ERR_OK) {
        return;
    }
    int64_t up_ms = sys_mono_ms(node->sys) - node->started_ms;
    int64_t max_ms = config_int(node->settings.config, CONFIG_TRANSACTION_MAX_TIMEOUT_MS);
    bool late = false;
    for (size_t i = 0; i < count; i++) {
        int64_t age_ms = txns[i].since_ms < 0 ? up_ms : now_ms - txns[i].since_ms;
        open->oldest_ms = age_ms > open->oldest_ms ? age_ms : open->oldest_ms;
        late |= age_ms > max_ms + LATE_MS;
    }
    open->transactions += count;
    open->late_partitions += late;
    free(txns);
}

static void emit_partitions(struct node *node, struct metrics_page *page) {
    int64_t now_ms = sys_wall_ms(node->sys);
    struct open open = {0};
    size_t count;
    struct partition **partitions = replicas_list(node->replicas, &count);
    for (size_t i = 0; i < count; i++) {
        add_partition(node, partitions[i], now_ms, &open);
        partition_unref(partitions[i]);
    }
    free(partitions);
    const char *group = "kafka.server", *manager = "ReplicaManager";
    emit_value(page, METRICS_GAUGE, group, manager, "ProducerIdCount", (double)open.producers);
    emit_value(page, METRICS_GAUGE, group, manager, "PartitionsWithLateTransactionsCount",
               (double)open.late_partitions);
    emit_value(page, METRICS_GAUGE, NULL, NULL, "ottla_partition_transactions_open",
               (double)open.transactions);
    emit_value(page, METRICS_GAUGE, NULL, NULL, "ottla_partition_transaction_oldest_seconds",
               (double)open.oldest_ms / 1e3);
}

void collect_transactions(struct node *node, struct metrics_page *page) {
    emit_coordinators(node->transactions, page);
    emit_ended(node->transactions, page);
    emit_hanging(node->txn_hanging, page);
    emit_partitions(node, page);
}
