#pragma once

#include "wire/record_set.h"

/* The validation of one batch under way. */
struct record_check {
    const struct record_set_rules *rules;
    int64_t now_ms;
    struct compression *compression;
    struct arena *arena;
    uint8_t *batch;
    size_t size;
    enum compression_type source;
    enum compression_type target;
    struct buffer plain; /* decompressed records, when they were needed as a whole */

    /* found in the records */
    int64_t max_timestamp;
    struct record_set_refusal refusal;
    int32_t error_total; /* refusal.error_count is bounded */
    bool timestamp_error;
    bool disordered; /* offset deltas are not 0, 1, 2, … */
};

/* The records as they came, and as they are when decompressed: into check->plain. */
struct bytes record_check_source(const struct record_check *check);
err_t record_check_decompress(struct record_check *check);

/* Makes what is to be appended of a batch that passed all checks. MESSAGE_TOO_LARGE and
 * RECORD_LIST_TOO_LARGE. */
err_t record_check_store(struct record_check *check, struct buffer *out,
                         struct record_set_result *result);
