#pragma once

#include <stddef.h>

#include "base/buffer.h"
#include "metrics/metrics.h"

/*
 * The names under which Kafka's MBeans are exported: those that the JMX exporter gives with its
 * example configuration for KRaft clusters, which dashboards are written against.
 *
 *   what                                   exported
 *   -------------------------------------  ------------------------------------------------------
 *   group, type, name                      kafka_server_replicamanager_leadercount
 *   a meter, ...PerSec                     without PerSec, _total
 *   a Kafka counter, ...-total             _total
 *   a Kafka counter, ...-count             _count
 *   a histogram or timer: its count        _count
 *   a histogram or timer: a percentile     the plain name with a label quantile="0.99"
 *   the mean rate of a ...Percent meter    without Percent, _percent
 *
 * All is lower case; what Prometheus does not allow in a name becomes an underscore, and a run of
 * underscores is one. Label names keep their case.
 *
 * One departure: where Kafka's own metrics (type=socket-server-metrics, ...) have labels, they are
 * labels here, too. The example puts them into the name, which no dashboard can use.
 */
enum metrics_name_kind {
    METRICS_NAME_TOTAL, /* a meter's or counter's count */
    METRICS_NAME_VALUE, /* a gauge, or a percentile */
    METRICS_NAME_COUNT, /* of a histogram */
    METRICS_NAME_PERCENT,
};

/* Adds the name, zero-terminated (the zero is not counted in the buffer's size). */
void metrics_name_add(struct buffer *out, enum metrics_name_kind kind, const struct metrics_id *id);

/* Adds {a="b",c="d"} without the braces, values escaped; nothing for no labels. */
void metrics_labels_add(struct buffer *out, const struct metrics_label *labels);
