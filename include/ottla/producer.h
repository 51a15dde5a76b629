#pragma once

#include "ottla/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Records to the cluster.
 *
 * ottla_produce copies the record into the batch of its partition and returns; batches are sent by
 * the loop when batch.size is reached (of records before compression), linger.ms is over, memory is
 * short or somebody flushes, up to max.in.flight.requests.per.connection at once per broker.
 * Records for a topic of which nothing is known yet, or for a partition that it does not have so
 * far, wait for it up to max.block.ms. A topic that is not there is made by the broker if it may.
 *
 * Each record's delivery function is called exactly once: with its offset, or with the error that
 * ended it, at the latest delivery.timeout.ms after ottla_produce (while the loop runs), or inside
 * ottla_producer_free. Deliveries of one partition come in the order of ottla_produce. A delivery
 * function may call ottla_produce, but nothing that waits, and not ottla_producer_free.
 *
 * enable.idempotence (the default, as in Kafka's clients) keeps order and rules out duplicates over
 * retries, changes of leaders and restarts of brokers. When a broker says that what was sent can no
 * longer be told from a duplicate, the producer takes a new epoch or id, as KIP-360 does; records
 * whose fate is unknown fail with OUT_OF_ORDER_SEQUENCE_NUMBER, later ones go on. A batch that is
 * too large for the broker goes in halves, down to single records.
 *
 * Partitioners (partitioner.class, also by the short name in brackets):
 *   unset                    as Java's: by murmur2 of the key; without one, sticky by bytes and
 *                            load (KIP-794; partitioner.adaptive.partitioning.enable,
 *                            partitioner.availability.timeout.ms, partitioner.ignore.keys)
 *   …RoundRobinPartitioner   [roundrobin]
 *   murmur2, murmur2_random, consistent, consistent_random, fnv1a, fnv1a_random, random
 *                            as librdkafka names them
 */
struct ottla_producer;
struct ottla_membership; /* ottla/consumer.h */

struct ottla_delivery {
    int code;
    const char *text; /* what is behind the code, by the broker or the client; never NULL */
    const char *topic;
    int32_t partition;    /* -1: none was chosen before it failed */
    int64_t offset;       /* -1: failed, acks=0, or written by a try too long ago to be told */
    int64_t timestamp_ms; /* the broker's with LogAppendTime, else the record's */
};
typedef void (*ottla_delivery_fn)(void *arg, const struct ottla_delivery *delivery);

int ottla_producer_new(struct ottla_client *client, struct ottla_producer **ret_producer,
                       struct ottla_error *ret_error);

/* Drops what is not delivered: each delivery function is told OTTLA_CLOSED. Accepts NULL. */
void ottla_producer_free(struct ottla_producer *producer);

/* delivered may be NULL. OTTLA_BUSY: buffer.memory is used up, run the client and try again;
 * MESSAGE_TOO_LARGE: larger than max.request.size or buffer.memory; OTTLA_INVALID; or the error
 * that ended an idempotent producer for good. */
int ottla_produce(struct ottla_producer *producer, const struct ottla_record *record,
                  ottla_delivery_fn delivered, void *arg, struct ottla_error *ret_error);

/* As above, but sends what is ready along the way, and waits for memory, up to max.block.ms:
 * OTTLA_TIMED_OUT, OTTLA_CLOSED when interrupted. */
int ottla_produce_wait(struct ottla_producer *producer, const struct ottla_record *record,
                       ottla_delivery_fn delivered, void *arg, struct ottla_error *ret_error);

/* Sends all without lingering, and waits until nothing is left, what delivery functions produce
 * meanwhile included; -1: without limit. OTTLA_TIMED_OUT, OTTLA_CLOSED when interrupted. */
int ottla_producer_flush(struct ottla_producer *producer, int64_t timeout_ms);

/* What is on its way. */
struct ottla_producer_stats {
    size_t records; /* not yet delivered */
    size_t memory;  /* bytes of buffer.memory in use */
    uint64_t delivered;
    uint64_t failed;
    uint64_t requests;
    uint64_t batches; /* sent for the first time, halves of others too */
    uint64_t retries; /* batches sent again */
    uint64_t splits;  /* batches that were too large */
};
void ottla_producer_stats(const struct ottla_producer *producer,
                          struct ottla_producer_stats *ret_stats);

/* --- transactions --- */

/*
 * With transactional.id a producer writes in transactions, as Java's does: all of what one wrote,
 * and the offsets it committed for a group, is there for read_committed readers, or nothing is.
 *
 *     ottla_transactions_init           once; whoever had the id before is fenced, and what it left
 *                                       open is aborted
 *     ottla_transaction_begin
 *         ottla_produce …               only in here
 *         ottla_transaction_send_offsets
 *     ottla_transaction_commit | _abort
 *
 * What goes wrong is of three kinds. Errors that pass are repeated inside. After the others the
 * state says what can be done, whatever the code is:
 *
 *     OTTLA_TRANSACTION_ABORTABLE   a record or a request has failed; the transaction cannot be
 *                                   committed: abort it, then begin another. Nothing of it that has
 *                                   not been sent will be
 *     OTTLA_TRANSACTION_FATAL       PRODUCER_FENCED, no right to the id, brokers too old …: the
 *                                   producer is of no use any more: free it
 *
 * A commit sends all records first. Once it returns it is decided; readers see it as soon as the
 * cluster has marked the partitions, which may take a moment longer. transaction.timeout.ms after a
 * transaction's first record the cluster aborts it. A producer that is freed leaves its transaction
 * open until then, or until the next one of its id is initialised.
 *
 * The functions that wait do so up to timeout_ms (-1: without limit). OTTLA_TIMED_OUT and
 * OTTLA_CLOSED (interrupted) leave open what becomes of it, and it goes on while the client runs:
 * call the same again to wait on, and to learn how it ended; offsets given then are not looked at.
 * Until then no other call is allowed, but for aborting what has failed or has not been asked to
 * commit. Each has a form that does not wait: it returns OTTLA_OK, and `done` (which may be NULL)
 * is called once from a turn of the loop; OTTLA_CLOSED: the producer was freed before. It may begin
 * the next transaction and produce, but call nothing that waits, and not ottla_producer_free.
 *
 * One of them at a time: OTTLA_BUSY. OTTLA_INVALID: not in this state (a transaction begun twice,
 * committed without one …), or an argument that cannot be.
 */
enum ottla_transaction_state {
    OTTLA_TRANSACTION_UNINITIALIZED, /* also of a producer without transactional.id */
    OTTLA_TRANSACTION_INITIALIZING,
    OTTLA_TRANSACTION_READY,
    OTTLA_TRANSACTION_OPEN,
    OTTLA_TRANSACTION_COMMITTING,
    OTTLA_TRANSACTION_ABORTING,
    OTTLA_TRANSACTION_ABORTABLE,
    OTTLA_TRANSACTION_FATAL,
};
enum ottla_transaction_state ottla_transaction_state(const struct ottla_producer *producer);

typedef void (*ottla_transaction_fn)(void *arg, int code, const char *text);

int ottla_transactions_init(struct ottla_producer *producer, int64_t timeout_ms,
                            struct ottla_error *ret_error);
int ottla_transactions_init_async(struct ottla_producer *producer, ottla_transaction_fn done,
                                  void *arg, struct ottla_error *ret_error);

/* Does not wait: the cluster hears of it with the first record. */
int ottla_transaction_begin(struct ottla_producer *producer, struct ottla_error *ret_error);

/* Commits offsets of a group (of the next records to read) as a part of the transaction. The
 * membership is that of the consumer that read them (ottla_consumer_membership), whose
 * enable.auto.commit is off; the group refuses it when the partitions have moved on meanwhile
 * (UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, STALE_MEMBER_EPOCH: abort). Of several positions in
 * a partition the last one counts. All is copied. */
int ottla_transaction_send_offsets(struct ottla_producer *producer,
                                   const struct ottla_position *positions, size_t count,
                                   const struct ottla_membership *membership, int64_t timeout_ms,
                                   struct ottla_error *ret_error);
int ottla_transaction_send_offsets_async(struct ottla_producer *producer,
                                         const struct ottla_position *positions, size_t count,
                                         const struct ottla_membership *membership,
                                         ottla_transaction_fn done, void *arg,
                                         struct ottla_error *ret_error);

int ottla_transaction_commit(struct ottla_producer *producer, int64_t timeout_ms,
                             struct ottla_error *ret_error);
int ottla_transaction_commit_async(struct ottla_producer *producer, ottla_transaction_fn done,
                                   void *arg, struct ottla_error *ret_error);

/* Records that wait to be sent fail with TRANSACTION_ABORTABLE. */
int ottla_transaction_abort(struct ottla_producer *producer, int64_t timeout_ms,
                            struct ottla_error *ret_error);
int ottla_transaction_abort_async(struct ottla_producer *producer, ottla_transaction_fn done,
                                  void *arg, struct ottla_error *ret_error);

/* A hash for placing keys as Kafka's clients do. */
uint32_t ottla_murmur2(struct ottla_bytes key);

#ifdef __cplusplus
}
#endif
