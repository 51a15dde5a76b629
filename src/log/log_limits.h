#pragma once

#include <stdint.h>

/* Bounds of this module, each with its reason. */
enum {
    /* A million producers of 46 bytes: more in one partition means that expiry does not work. */
    LOG_PRODUCER_SNAPSHOT_SIZE_MAX = 64 << 20,
    /* Checkpoints have a line per partition: 100,000 partitions with names of 249 characters. */
    LOG_CHECKPOINT_SIZE_MAX = 64 << 20,
    /* meta.properties, partition.metadata, .kafka_cleanshutdown: a few short lines. */
    LOG_SMALL_FILE_SIZE_MAX = 64 << 10,
    /* Recovery reads this much at a time, more only for a batch that is larger. */
    LOG_RECOVERY_CHUNK = 1 << 20,
    /* A batch larger than this is taken for damage: Kafka's segments cannot hold one. */
    LOG_BATCH_SIZE_MAX = INT32_MAX - 12,
};
