#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/list.h"
#include "client/aborted.h"
#include "ottla/types.h"
#include "wire/compression.h"
#include "wire/message_set.h"

/*
 * Records out of what a fetch brought of one partition, batch by batch as the application asks for
 * them. Keys and values are views into the received frame, or into the memory a batch was
 * decompressed to; both stay until fetched_pool_release. No memory is taken per record, only per
 * compressed batch (reused), and for headers.
 *
 * The bytes are a broker's: whatever they are, no more than FETCHED_DECOMPRESSED_MAX comes of one
 * batch, and of all batches of one poll not much more than the pool's bound.
 */

/* An answer's memory, shared by the partitions that were in it. */
struct fetched_frame {
    void *memory;
    size_t users;
};

void fetched_frame_unref(struct fetched_frame *frame);

struct fetched_pool {
    struct compression *compression;
    struct list idle;      /* scratch memory that waits for a batch */
    struct list lent;      /* that the application looks at */
    struct list spent;     /* struct fetched: read to the end, looked at */
    struct arena *headers; /* of records that were handed out */
    uint64_t round;        /* from one release to the next; from 1 */
    size_t lent_size;
    size_t lent_max; /* no further batch is opened past it */
    bool check_crcs;
    bool committed_only;
};

void fetched_pool_init(struct fetched_pool *pool, struct arena *headers);
void fetched_pool_done(struct fetched_pool *pool);

/* The application has let go of all records that were handed out. */
void fetched_pool_release(struct fetched_pool *pool);

struct fetched {
    struct list link;
    struct fetched_frame *frame;
    struct bytes records;
    size_t at;           /* of the batch after the open one */
    size_t counted;      /* bytes of it that fetched_take said are used up */
    int64_t next_offset; /* behind the open batch */
    int64_t last_offset; /* of the open batch */
    int32_t epoch;       /* of the open batch */
    enum ottla_timestamp_type timestamp_type;
    bool open;
    bool looked;    /* the batch at `at` was checked and is wanted */
    uint64_t shown; /* the pool's round in which records of the open batch were handed out last */
    int8_t magic;
    union {
        struct record_iter batch;
        struct message_iter message;
    } iter;
    struct fetched_scratch *scratch; /* of the open batch */
    struct aborted aborted;
};

/* Takes a share of the frame. */
struct fetched *fetched_new(struct fetched_frame *frame, struct bytes records,
                            const struct fetch_response_aborted_transaction *aborted,
                            int32_t aborted_count);
/* Frees it; or, when the application may look at its records, with the next release. */
void fetched_free(struct fetched *fetched);
void fetched_retire(struct fetched *fetched, struct fetched_pool *pool);

/* The offset behind the last whole batch; `from` when there is none. Reads headers only. */
int64_t fetched_end_offset(struct bytes records, int64_t from);

/*
 * Fills up to `max` records at or behind *offset, which moves behind the last one, and over batches
 * that hold nothing for the application. topic, partition: copied into each.
 *
 *   OK         `max` records, or as many as the pool allows now
 *   NOT_FOUND  all was read
 *   CORRUPT_MESSAGE, UNSUPPORTED_COMPRESSION_TYPE, MESSAGE_TOO_LARGE (expands beyond the bound)
 *              the record at *offset cannot be read
 * Records may have been filled with any of them: *ret_count. *ret_size: bytes that were used up
 * since the last call.
 */
struct fetched_place {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int32_t epoch; /* of the last record */
};
err_t fetched_take(struct fetched *fetched, struct fetched_pool *pool, struct fetched_place *place,
                   struct ottla_record *records, size_t max, size_t *ret_count, size_t *ret_size);
