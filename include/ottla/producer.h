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

/* A hash for placing keys as Kafka's clients do. */
uint32_t ottla_murmur2(struct ottla_bytes key);

#ifdef __cplusplus
}
#endif
