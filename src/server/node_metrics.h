#pragma once

struct node;
struct meta_changes;

/* The metrics of a node beside those of requests: per broker and topic, of replicas, the
 * controller, the network and the process. Start comes before the first request, stop after the
 * last. */
void node_metrics_start(struct node *node);
void node_metrics_stop(struct node *node);

/* Series of deleted topics leave the page. */
void topic_metrics_forget(struct node *node, const struct meta_changes *changes);
