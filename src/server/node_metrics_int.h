#pragma once

#include "metrics/metrics.h"

/* What is asked for when the page is read. All of it runs on the HTTP listener's thread, so it uses
 * only what any thread may. */
struct node;

/* group NULL: `name` is the exported name. */
void emit_value(struct metrics_page *page, enum metrics_kind kind, const char *group,
                const char *type, const char *name, double value);
void emit_labelled(struct metrics_page *page, enum metrics_kind kind, const char *group,
                   const char *type, const char *name, struct metrics_label first,
                   struct metrics_label second, double value);

/* partition_metrics.c: partitions kept here, their logs and directories. */
void collect_partitions(struct node *node, struct metrics_page *page);

/* cleaner_metrics.c: compaction of logs. */
void collect_cleaner(struct node *node, struct metrics_page *page);

/* txn_metrics.c: transactions and their coordinators. */
void collect_transactions(struct node *node, struct metrics_page *page);

/* group_metrics.c: groups and their lag. */
void collect_groups(struct node *node, struct metrics_page *page);

/* cluster_metrics.c: the cluster, as the image has it. */
void collect_cluster(struct node *node, struct metrics_page *page);
