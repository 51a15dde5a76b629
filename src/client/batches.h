#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/list.h"
#include "ottla/producer.h"
#include "wire/batch_builder.h"
#include "wire/compression.h"

/*
 * A producer's batches, and the memory of all of them (buffer.memory).
 *
 *     open ── batches_append … ──► batch_close (packs) ──► batch_stamp (producer, sequence, CRC)
 *
 * Records are written straight into the bytes that are sent. A batch counts with all it has
 * allocated. Buffers of the size of a full batch are kept for the next ones; what packing leaves of
 * a buffer is used again at once, while it is still in the processor's cache.
 *
 * No I/O, no clock. Where a batch is on its way is the producer's business (producer_int.h).
 */
struct batches {
    size_t batch_size;
    size_t memory_max;
    size_t memory;          /* of batches in use */
    size_t spare;           /* of buffers kept */
    struct buffer *buffers; /* kept */
    size_t buffer_count;
    size_t buffer_capacity;
    enum compression_type codec;
    int level;
    bool transactional; /* what batches are marked as */
    struct compression *compression;
    struct buffer packed; /* scratch */
};

/* Who is told about a record. */
struct batch_receipt {
    ottla_delivery_fn delivered; /* may be NULL */
    void *arg;
    int64_t timestamp_ms;
};

struct batch {
    struct list link; /* of its partition */
    struct batch_builder builder;
    struct buffer bytes;
    struct batch_receipt *receipts; /* NULL: nobody wants to hear */
    size_t receipt_capacity;
    bool open; /* takes more records */
    bool packed;

    /* --- the producer's --- */
    enum { BATCH_QUEUED, BATCH_IN_FLIGHT, BATCH_ANSWERED } state;
    int64_t created_ms; /* of sys_mono_ms */
    int32_t attempts;   /* of the whole, for a half */
    bool sent;
    bool sequenced;     /* has a sequence that the broker may have seen */
    bool maybe_written; /* a try of it ended without a word */
    bool half;          /* of one that was too large: no broker knows it as a duplicate */
    bool told;          /* its records have been reported, though it is still in flight */

    /* The outcome, once answered. */
    err_t err;
    char *text; /* NULL: that of err */
    int64_t offset;
    int64_t append_time_ms;             /* of the broker; -1: the records have their own */
    struct batch_complaint *complaints; /* of single records (KIP-467); by index */
    size_t complaint_count;
    size_t complaint_capacity;
};

struct batch_complaint {
    int32_t index;
    char *text;
};

void batches_init(struct batches *batches, size_t batch_size, size_t memory_max,
                  enum compression_type codec, int level);
void batches_done(struct batches *batches);

/* What a record takes at most, in a batch of its own too. */
size_t batch_record_bound(const struct ottla_record *record);

/* An empty one, open, with room for a record of that bound; made as large as is likely to be
 * needed. NULL: the memory is used up. */
struct batch *batches_open(struct batches *batches, size_t record_bound, size_t likely_size);

/* Counts other memory of the producer along. False: the memory is used up. */
bool batches_reserve(struct batches *batches, size_t size);
void batches_unreserve(struct batches *batches, size_t size);

/* OK; LIMIT: it is full, close it; BUSY: the memory is used up. The record has been checked. */
err_t batches_append(struct batches *batches, struct batch *batch, size_t record_bound,
                     const struct ottla_record *record, int64_t timestamp_ms,
                     ottla_delivery_fn delivered, void *arg);

bool batch_is_full(const struct batches *batches, const struct batch *batch);

static inline int32_t batch_record_count(const struct batch *batch) {
    return batch->builder.record_count;
}

/* No more records; packs them, if that makes them smaller. Nothing when it is closed. */
void batch_close(struct batches *batches, struct batch *batch);

/* Closes it, and writes header and checksum; a second time with another producer or sequence. */
void batch_stamp(struct batches *batches, struct batch *batch, int64_t producer_id, int16_t epoch,
                 int32_t sequence);

static inline int32_t batch_sequence(const struct batch *batch) {
    return batch->builder.options.base_sequence;
}
int32_t batch_next_sequence(const struct batch *batch);

/* Two batches of about half its records each: closed, not stamped, with its receipts. The batch has
 * been stamped, and has two records at least; it stays, to be freed unreported. */
void batch_split(struct batches *batches, struct batch *batch, struct batch *ret_halves[2]);

/* --- the outcome: delivery.c --- */

/* What became of it; the text (may be null) is copied. */
void batch_set_outcome(struct batch *batch, err_t err, struct str text);

/* Also a complaint about one record; told in the order of their indexes. */
void batch_add_complaint(struct batch *batch, int32_t index, struct str text);

/* Calls the delivery functions with the outcome. */
void batch_deliver(const struct batch *batch, const char *topic, int32_t partition);
void batch_outcome_done(struct batch *batch);

/* Takes its memory back. Accepts NULL. */
void batch_free(struct batches *batches, struct batch *batch);
