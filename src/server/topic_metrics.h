#pragma once

#include "metrics/metrics.h"

/* Counters per topic; counted by handlers through handlers/topics.h. */
struct topic_metrics;

struct topic_metrics *topic_metrics_new(struct metrics *metrics);
void topic_metrics_free(struct topic_metrics *metrics); /* accepts NULL */
