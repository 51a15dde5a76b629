#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * The settings of one log: Kafka's topic settings of the same names, plus the broker's ones that a
 * log follows. Plain data. log_configure changes them while the log is in use.
 */
struct log_config {
    int32_t segment_bytes;          /* segment.bytes */
    int64_t segment_ms;             /* segment.ms */
    int64_t segment_jitter_ms;      /* segment.jitter.ms */
    int32_t segment_index_bytes;    /* segment.index.bytes */
    int32_t index_interval_bytes;   /* index.interval.bytes */
    int64_t retention_ms;           /* retention.ms, -1: no bound */
    int64_t retention_bytes;        /* retention.bytes, -1: no bound */
    int64_t flush_messages;         /* flush.messages */
    int64_t flush_ms;               /* flush.ms */
    int64_t file_delete_delay_ms;   /* file.delete.delay.ms */
    int64_t producer_expiration_ms; /* producer.id.expiration.ms (broker) */
    int64_t delete_retention_ms;    /* delete.retention.ms */
    int64_t min_compaction_lag_ms;  /* min.compaction.lag.ms */
    int64_t max_compaction_lag_ms;  /* max.compaction.lag.ms */
    double min_cleanable_ratio;     /* min.cleanable.dirty.ratio */
    bool preallocate;               /* preallocate */
    bool cleanup_delete;            /* cleanup.policy has "delete" */
    bool cleanup_compact;           /* cleanup.policy has "compact" */
};

/* Kafka's defaults. */
void log_config_init(struct log_config *config);
