#pragma once

#include <stdint.h>

#include "metrics/metrics.h"

/* Counts questions to transactions' coordinators: kafka.server:type=AddPartitionsToTxnManager. */
struct txn_metrics;

struct txn_metrics *txn_metrics_new(struct metrics *metrics);
void txn_metrics_free(struct txn_metrics *metrics); /* accepts NULL */

/* One was answered, on the reactor of that index. */
void txn_metrics_verified(struct txn_metrics *metrics, int reactor, int64_t took_us,
                          int32_t failure_count);
