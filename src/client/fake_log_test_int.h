#pragma once

#include "client/fake_broker_test_int.h"

/*
 * Partitions of fake brokers that keep what they are sent, and check producers as Apache Kafka's
 * leaders do: the last five batches of a producer are known, a gap is refused, a newer epoch begins
 * with sequence 0. All brokers share them: a leader that changes has lost nothing.
 *
 * Values are numbers of 8 bytes.
 */
enum { FAKE_LOG_WINDOW = 5 };

struct fake_log {
    uint64_t *values;
    size_t count;
    size_t capacity;
    int64_t producer_id; /* -1: none has written */
    int16_t epoch;
    struct fake_log_batch {
        int32_t first;
        int32_t last;
        int64_t offset;
    } window[FAKE_LOG_WINDOW]; /* the newest last */
    int window_count;
    int duplicates; /* batches that were known already */
    int refused;    /* for their sequence */
};

void fake_log_done(struct fake_log *log);

/* The records of one partition of a Produce request, one batch. */
err_t fake_log_append(struct fake_log *log, struct bytes records, int64_t *ret_offset);

/* How many records they are. */
int32_t fake_log_record_count(struct bytes records);
