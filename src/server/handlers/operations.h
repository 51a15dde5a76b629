#pragma once

#include <stdint.h>

/*
 * Bit sets of AclOperation, 1 << code, that a caller may do (KIP-430). While nothing is authorised
 * everybody may do all that a resource has.
 */
enum {
    OPERATIONS_UNKNOWN = INT32_MIN, /* not asked for */
    /* READ WRITE CREATE DELETE ALTER DESCRIBE DESCRIBE_CONFIGS ALTER_CONFIGS */
    OPERATIONS_OF_TOPIC = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11,
    /* READ DELETE DESCRIBE DESCRIBE_CONFIGS ALTER_CONFIGS */
    OPERATIONS_OF_GROUP = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11,
    /* CREATE ALTER DESCRIBE CLUSTER_ACTION DESCRIBE_CONFIGS ALTER_CONFIGS IDEMPOTENT_WRITE */
    OPERATIONS_OF_CLUSTER = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12,
};
