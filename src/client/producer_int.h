#pragma once

#include "base/map.h"
#include "base/rng.h"
#include "client/batches.h"
#include "client/core.h"
#include "client/partitioner.h"
#include "wire/messages.h"

/*
 * Private to the producer.
 *
 *     ottla_produce ── topic known? ── no ──► producer_topic.waiting ──┐ metadata
 *                          │ yes                                      ▼
 *                          └──► partition: batches, the oldest first; the last takes records
 *                                   │ full, lingered, flushed: ready
 *                                   ▼
 *                    producer_broker.ready ──► producer_request ──► client_ask, answer
 *
 *   producer.c            public functions, life
 *   producer_topics.c     topics and partitions as metadata tells of them
 *   producer_waiting.c    records that wait for it
 *   producer_choose.c     which partition a record goes to
 *   producer_partition.c  a partition's batches: when they are ready, in time, told, over
 *   producer_send.c       from ready partitions to requests
 *   producer_answer.c     what an answer means for each batch
 *   producer_sequence.c   producer ids, epochs and sequences
 *   producer_transaction*.c   transactions (producer_transaction_int.h)
 */

struct producer_topic;

enum { PRODUCER_WINDOW_BATCHES = 5 }; /* that a broker remembers of a producer */

/* A broker as far as it leads partitions of ours. */
struct producer_broker {
    struct list link; /* in producer->brokers */
    struct ottla_producer *producer;
    int32_t id;
    struct list ready;      /* partitions with a batch that may be sent, in turn */
    size_t in_flight;       /* requests */
    int64_t held_until_ms;  /* throttled, or not to be reached: nothing is sent before */
    int64_t ready_since_ms; /* since when something waits here that was not sent; -1: nothing */
    struct sys_timer timer; /* the end of held_until_ms */
};

/*
 * A partition. Its batches are in the order of ottla_produce, and stay in it over all retries:
 *
 *     [answered …] [in flight, or queued again …] [queued for the first time …] [open]
 */
struct producer_partition {
    struct producer_topic *topic;
    int32_t index;
    int32_t leader; /* -1: none known */
    int32_t leader_epoch;
    struct list batches;
    int32_t batch_count;
    size_t last_size;       /* of the last one when it was closed, unpacked */
    struct list active;     /* link in producer->active while there are batches */
    struct list ready;      /* link in producer_broker.ready */
    struct sys_timer timer; /* linger, back-off or delivery.timeout.ms, whatever is next */
    int32_t in_flight;
    int32_t in_flight_broker; /* of those in flight */
    uint64_t request_number;  /* of the last request it has a batch in */
    int64_t retry_ms;         /* back-off: nothing is sent before */

    /* producer_sequence.c */
    int64_t producer_id; /* -1: has none yet */
    int16_t epoch;
    int32_t next_sequence;
    bool begun; /* a batch of this epoch was written */
    bool gap;   /* a batch with a sequence is over, and no answer says that it was written */
    bool renew; /* goes on under a new epoch, once nothing is in flight */

    /* producer_transaction.c */
    struct list joining;  /* link in a list of its transaction, until the coordinator knows of it */
    uint64_t transaction; /* the number of the last that it is part of */
};

/* A record whose partition is not known yet; key, value and headers are behind it. */
struct producer_waiting {
    struct list link;
    struct ottla_record record;
    ottla_delivery_fn delivered;
    void *arg;
    int64_t produced_ms;
    size_t memory;
};

struct producer_topic {
    struct list link; /* in producer->topics */
    struct ottla_producer *producer;
    char *name;
    struct str name_str;
    struct uuid id;
    bool wanted;     /* in the client's metadata */
    int64_t used_ms; /* when a batch was begun last */
    struct producer_partition **partitions;
    int32_t partition_count; /* as metadata tells now; 0: not known */
    int32_t partitions_made; /* at least as many */
    struct list waiting;
    struct sys_timer timer; /* the deadline of the first that waits */

    int32_t sticky;                           /* -1: to be drawn */
    size_t sticky_bytes;                      /* since it was drawn */
    uint32_t round_robin;                     /* next */
    int32_t slot;                             /* while a request is put together */
    struct partitioner_candidate *candidates; /* scratch; as many as partitions_made */
};

struct producer_request {
    struct list link; /* in producer->requests */
    struct ottla_producer *producer;
    struct producer_broker *broker;
    struct client_asked *asked;
    struct arena arena;
    struct produce_request message;
    struct producer_sent {
        struct batch *batch;
        struct producer_partition *partition;
        bool answered;
    } * sent; /* in the order of the message */
    size_t sent_count;
};

struct ottla_producer {
    struct ottla_client *client;
    struct sys *sys;
    struct sys_loop *loop;
    struct client_settings settings;
    struct client_watcher watcher;
    struct sys_timer send_timer; /* the next turn: sends what is ready */
    struct sys_timer idle_timer; /* looks for topics that nobody uses */
    int depth;                   /* > 0: a function of the program is up the stack */
    struct rng rng;
    enum partitioner_kind partitioner;

    struct map topic_map; /* by name */
    struct list topics;
    struct producer_topic *last_topic; /* of the last ottla_produce */
    struct list brokers;
    struct list active; /* partitions with batches */
    struct list requests;
    struct batches batches;
    size_t record_count; /* not yet told about */
    bool empty;          /* record_count is 0: what flush waits for */
    bool progress;       /* memory was given back: what ottla_produce_wait waits for */
    bool exhausted;      /* memory is used up: nothing lingers */
    int flushing;
    uint64_t request_number; /* of the last request */
    struct ottla_producer_stats stats;

    bool idempotent;
    int64_t producer_id; /* -1: to be asked for */
    int16_t epoch;
    struct init_producer_id_request id_request;
    struct client_asked *id_asked;
    int id_failures;
    struct sys_timer id_timer; /* before it is asked again */
    err_t ending;              /* not OK: it fails when the answer at hand has been read */
    err_t fatal;               /* not OK: nothing is sent any more, and why */
    char *fatal_text;

    struct producer_transaction *transaction; /* NULL: no transactional.id */
};

/* --- producer.c --- */

/* Tells a record's owner, whose record is then over. */
void producer_told(struct ottla_producer *producer, size_t count, bool good);

/* Ends it for good: all that waits fails with this error, and all that comes. */
void producer_fail(struct ottla_producer *producer, err_t err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- producer_topics.c --- */

/* Makes it known to metadata, too. */
struct producer_topic *producer_topic_get(struct ottla_producer *producer, const char *name);

/* All that is left of them is told CLOSED. */
void producer_topics_free(struct ottla_producer *producer);

void producer_topics_changed(struct client_watcher *watcher);
void producer_topics_idle(struct sys_timer *timer);
void producer_topics_fail(struct ottla_producer *producer, err_t err, const char *text);

/* --- producer_choose.c --- */

/* The partition for a record, as the partitioner chooses; NULL: not known yet. */
struct producer_partition *producer_choose(struct producer_topic *topic,
                                           const struct ottla_record *record);

/* --- producer_waiting.c --- */

/* Copies it. BUSY: memory is used up. */
err_t producer_wait_for_partition(struct producer_topic *topic, const struct ottla_record *record,
                                  ottla_delivery_fn delivered, void *arg);
void producer_waited(struct sys_timer *timer);

/* Gives those whose partition is known now to it. */
void producer_move_waiting(struct producer_topic *topic);
void producer_fail_waiting(struct producer_topic *topic, err_t err, const char *text);

/* --- producer_partition.c --- */

struct producer_partition *producer_partition_new(struct producer_topic *topic, int32_t index);

/* All that is left of it is told CLOSED. Nothing is in flight any more, or will be answered. */
void producer_partition_free(struct producer_partition *partition);

/* BUSY: memory is used up. The record has been checked. produced_ms -1: now. */
err_t producer_append(struct producer_partition *partition, const struct ottla_record *record,
                      int64_t produced_ms, ottla_delivery_fn delivered, void *arg);

/* Looks at what is due: expires, tells what is answered, makes it ready, sets its timer. Calls
 * delivery functions, so only from turns of the loop. */
void producer_partition_check(struct producer_partition *partition);

/* As above, but tells nobody yet. */
void producer_partition_ready(struct producer_partition *partition);

/* The batch that may be sent now, if any. */
struct batch *producer_partition_next(struct producer_partition *partition);

/* All partitions with batches: something about all of them has changed. */
void producer_partitions_ready(struct ottla_producer *producer);

/* No more records; the next batch is likely to be as large. */
void producer_batch_close(struct producer_partition *partition, struct batch *batch);

/* Ends a batch; the next check tells. */
void producer_batch_over(struct producer_partition *partition, struct batch *batch, err_t err,
                         struct str text);

/* Puts two halves in the place of a batch, and frees it. */
void producer_partition_replace(struct producer_partition *partition, struct batch *batch,
                                struct batch *const halves[2]);

/* Ends all that is queued. */
void producer_partition_fail(struct producer_partition *partition, err_t err, struct str text);

/* --- producer_send.c --- */

struct producer_broker *producer_broker_get(struct ottla_producer *producer, int32_t id);

/* Forgets those that have nothing to do. */
void producer_brokers_sweep(struct ottla_producer *producer);
void producer_brokers_free(struct ottla_producer *producer);
void producer_broker_hold(struct producer_broker *broker, int64_t duration_ms);
void producer_send_soon(struct ottla_producer *producer);
void producer_send_ready(struct sys_timer *timer);
void producer_request_free(struct producer_request *request);

/* --- producer_answer.c --- */

void producer_answered(void *arg, const struct client_answer *answer);

/* --- producer_sequence.c --- */

/* Whether this batch, the first that is queued, may be sent as far as sequences go; asks for an id
 * and begins a new epoch where that is needed. */
bool producer_sequence_allows(struct producer_partition *partition, const struct batch *batch);

/* Gives it header and sequence before it is sent; nothing when it has them. */
void producer_sequence_stamp(struct producer_partition *partition, struct batch *batch);

/* Those of the whole one, one after the other. */
void producer_sequence_stamp_halves(struct producer_partition *partition, const struct batch *whole,
                                    struct batch *const halves[2]);

/* It was written, with all before it. */
void producer_sequence_written(struct producer_partition *partition, const struct batch *batch);

/* One with a sequence is over, and may not have been written. */
void producer_sequence_lost(struct producer_partition *partition);

/* The broker does not see it following what it has: OUT_OF_ORDER_SEQUENCE_NUMBER,
 * UNKNOWN_PRODUCER_ID. Whether it may be sent again. */
bool producer_sequence_refused(struct producer_partition *partition, struct batch *batch,
                               int64_t log_start_offset, err_t err);
void producer_sequence_done(struct ottla_producer *producer);

/* --- producer_transaction.c; all but the first two do nothing without transactional.id --- */

void producer_transaction_new(struct ottla_producer *producer);

/* Whoever waits for something of it is told CLOSED. */
void producer_transaction_free(struct ottla_producer *producer);

/* Whether records may be produced now. */
err_t producer_transaction_takes(const struct ottla_producer *producer,
                                 struct ottla_error *ret_error);

/* Whether this batch may be sent as far as transactions go; makes its partition part of the one
 * that is open. */
bool producer_transaction_allows(struct producer_partition *partition, const struct batch *batch);

/* A record was not written: so the transaction can only be aborted. */
void producer_transaction_record_failed(struct ottla_producer *producer, err_t err,
                                        struct str text);

/* Something was sent that may be missing among the sequences that brokers have. */
void producer_transaction_gap(struct ottla_producer *producer);

/* No batch is left: what waits for that looks. */
void producer_transaction_flushed(struct ottla_producer *producer);

/* The producer has ended for good (producer->fatal). */
void producer_transaction_fatal(struct ottla_producer *producer);

/* Whether a batch refused with this error ends the producer, too. */
bool producer_transaction_ends_with(const struct ottla_producer *producer, err_t err);

/* The highest version of Produce: from 12 on partitions become part of a transaction by it. -1:
 * any. */
int16_t producer_transaction_produce_version(const struct ottla_producer *producer);
void producer_id_retry(struct sys_timer *timer);
