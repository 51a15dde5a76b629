#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/list.h"
#include "log/log.h"
#include "meta/image.h"
#include "replica/volume.h"
#include "sys/lock.h"
#include "sys/loop.h"
#include "sys/worker.h"
#include "wire/record_set.h"

/*
 * One partition as this node keeps it: the replica's log, who leads, how far records are committed,
 * who writes and who waits to read.
 *
 * Counted references; all functions may be called on any thread that holds one. The lock guards
 * the fields below it and is held for a few instructions only.
 *
 * Errors that every operation may have:
 *   NOT_LEADER_OR_FOLLOWER     another broker leads, or nobody, or the replica is being opened
 *   FENCED_LEADER_EPOCH        the caller knows an older leader epoch
 *   UNKNOWN_LEADER_EPOCH       the caller knows a newer one
 *   KAFKA_STORAGE_ERROR        the replica's directory is offline or full
 *   UNKNOWN_TOPIC_OR_PARTITION it was deleted meanwhile
 */
struct partition;

enum { PARTITION_ANY_EPOCH = -1 };

/* What the topic's settings say; copied. */
struct partition_config {
    struct log_config log;
    struct record_set_rules rules;
    int32_t min_insync_replicas;
};

/* Made by `replicas`. The topic's name is copied. */
struct partition *partition_new(struct sys *sys, struct str topic, struct uuid topic_id,
                                int32_t index, int32_t node_id);
struct partition *partition_ref(struct partition *partition);
void partition_unref(struct partition *partition); /* accepts NULL */

struct str partition_topic(const struct partition *partition);
struct uuid partition_topic_id(const struct partition *partition);
int32_t partition_index(const struct partition *partition);

/* --- appending --- */

/*
 * A write is a piece of work that needs the partition's log to itself. Writes run one after the
 * other in the order in which they were submitted: at once on the caller's thread when none is
 * ahead, `blocking` is false and the directory is healthy; else on a worker of the directory.
 */
struct partition_write {
    /* The caller's. */
    err_t (*run)(struct partition_write *write, struct partition *partition, struct log *log);
    void (*done)(struct partition_write *write); /* on `loop`, only after ERR_PENDING */
    struct sys_loop *loop;                       /* NULL: done is called on the worker */
    bool blocking;
    bool even_deleted; /* runs although the partition was deleted meanwhile */
    err_t err;         /* what run returned, or why it was not called */

    /* The partition's. Zero-initialise. */
    struct list link;
    struct sys_task task;
};

/* ERR_OK: it ran, its outcome is in write->err, done will not be called. ERR_PENDING: done will
 * be. */
err_t partition_submit(struct partition *partition, struct partition_write *write);

/* What is known of a transaction that an append writes for. Zero: nothing is asked of it. */
struct partition_txn {
    bool verified;   /* a transaction begins only while `guard` holds, else INVALID_TXN_STATE */
    bool from_zero;  /* a producer that is not known here begins with sequence 0 */
    int16_t version; /* of a marker's transaction: 2 demands an epoch above its records' */
    int64_t guard;   /* of partition_txn_is_open */
    bool exact;      /* a marker ends the transaction of these offsets, else INVALID_TXN_STATE */
    int64_t first_offset;
    int64_t last_offset;
};

struct partition_append {
    struct partition_write write; /* its done, loop and err are the caller's to use */

    /* In. Everything must live until it is done. */
    uint8_t *records;
    size_t size;
    int32_t leader_epoch; /* the caller's, or PARTITION_ANY_EPOCH */
    bool all_acks;        /* acks=all: min.insync.replicas must be met */
    bool coordinator;     /* the node's own records: any number of batches */
    struct partition_txn txn;
    struct arena *arena;             /* for the refusal; nobody else uses it meanwhile */
    struct compression *compression; /* of the calling thread */

    /* Out, with write.err OK: */
    int64_t first_offset;
    int64_t last_offset;
    int64_t log_append_time_ms; /* -1 with create time; of a duplicate: its largest timestamp */
    int64_t log_start_offset;
    int32_t record_count;
    bool duplicate;
    size_t appended_size;
    /* with an error: */
    struct record_set_refusal refusal;

    /* The partition's. */
    struct record_set_result validated;
    bool long_validation;
    struct buffer recompressed;
};

/* Checks leadership, in-sync replicas and records, and appends. As partition_submit. The records
 * are changed in place. */
err_t partition_append(struct partition *partition, struct partition_append *append);

/* Takes note that an append is refused before it is made, for a reason that may pass: what its
 * producer sends after it must not come first. */
void partition_append_refuse(struct partition *partition, struct partition_append *append,
                             err_t err);

/* Whether the producer has an open transaction here at this epoch, which needs no verification; if
 * not, the guard for an append that is verified from now on. Memory only. INVALID_PRODUCER_EPOCH:
 * it has a newer epoch. */
err_t partition_txn_is_open(struct partition *partition, int64_t producer_id, int16_t epoch,
                            bool *ret_open, int64_t *ret_guard);

/* Frees what an append holds; after it is done. */
void partition_append_done(struct partition_append *append);

/* --- reading --- */

struct partition_read {
    /* In. */
    int64_t offset;
    size_t size_max;
    bool min_one;          /* the first batch whatever its size */
    bool committed_only;   /* read_committed: up to the last stable offset */
    bool no_wait;          /* WOULD_BLOCK rather than wait for the disk */
    int32_t leader_epoch;  /* the caller's, or PARTITION_ANY_EPOCH */
    int32_t fetched_epoch; /* of the record before `offset`, or PARTITION_ANY_EPOCH: detects
                              that logs diverged */
    /* Out. The first three are valid with OFFSET_OUT_OF_RANGE, too. */
    int64_t high_watermark;
    int64_t last_stable_offset;
    int64_t log_start_offset;
    struct log_slice slice; /* log_slice_release is due */
    bool diverging;         /* read nothing: truncate to this epoch's end first */
    int32_t diverging_epoch;
    int64_t diverging_end_offset;
};

/* Also OFFSET_OUT_OF_RANGE. Blocks on the disk unless no_wait. */
err_t partition_read(struct partition *partition, struct partition_read *read);

/* Someone who waits for a partition to have more. Woken at most once between two arms; waking posts
 * the task to the loop. */
struct partition_waiter {
    struct list link; /* the partition's. Zero-initialise */
    struct sys_loop *loop;
    struct sys_task *task;
    _Atomic bool *posted; /* shared by all waiters of one owner: the task is posted once */
};

/* Adds a waiter; it stays until it is removed. Returns the high watermark, so that what came
 * between the read and the wait is not missed. */
int64_t partition_wait(struct partition *partition, struct partition_waiter *waiter);
void partition_unwait(struct partition *partition, struct partition_waiter *waiter);

struct partition_offsets {
    int64_t log_start_offset;
    int64_t high_watermark;
    int64_t last_stable_offset;
    int64_t log_end_offset;
    int32_t leader_epoch;
};

/* Memory only. */
err_t partition_offsets(struct partition *partition, int32_t leader_epoch,
                        struct partition_offsets *ret_offsets);

struct partition_replication {
    int32_t replica_count;
    int32_t isr_count;
    int32_t min_isr; /* min.insync.replicas, at most replica_count */
    bool leader;     /* this node leads */
};

/* Memory only. */
void partition_replication(struct partition *partition, struct partition_replication *ret);

/* ListOffsets. Blocks on the disk. read_committed bounds what is found, but for the earliest. */
err_t partition_offset_for_timestamp(struct partition *partition, int32_t leader_epoch,
                                     int64_t timestamp_ms, bool committed_only,
                                     struct log_time_offset *ret_found);

/* OffsetForLeaderEpoch. Memory only; both -1 when unknown. */
err_t partition_epoch_end_offset(struct partition *partition, int32_t leader_epoch,
                                 int32_t requested_epoch, int32_t *ret_epoch,
                                 int64_t *ret_end_offset);

/* Transactions aborted in a range of offsets; see log_aborted_transactions. no_wait: WOULD_BLOCK
 * rather than wait for the disk. */
err_t partition_aborted_transactions(struct partition *partition, int64_t start_offset,
                                     int64_t end_offset, bool no_wait,
                                     struct log_aborted **ret_aborted, size_t *ret_count);

err_t partition_producers(struct partition *partition, struct log_producer **ret_producers,
                          size_t *ret_count);

/* Transactions that are open here, where this node leads; see log_open_txns. Memory only. */
err_t partition_open_txns(struct partition *partition, struct log_open_txn **ret_txns,
                          size_t *ret_count);

/* --- by replicas --- */

/* Follows the image: leader, epochs, replicas. */
void partition_set_leadership(struct partition *partition, const struct meta_partition *state);
void partition_configure(struct partition *partition, const struct partition_config *config);
void partition_log_config(struct partition *partition, struct log_config *ret_config);

/* The replica's log is open (and recovered); the partition owns it from here on. It is configured
 * anew, for the settings may have changed meanwhile. */
void partition_set_log(struct partition *partition, struct volume *volume, struct log *log);

/* The log could not be opened, or its directory failed: KAFKA_STORAGE_ERROR from now on. */
void partition_set_offline(struct partition *partition);

/* The topic is gone: every operation from now on gets UNKNOWN_TOPIC_OR_PARTITION. */
void partition_set_deleted(struct partition *partition);

/* The log as long as the reference is held; NULL when there is none. For upkeep and reports. */
struct log *partition_log(struct partition *partition);
struct volume *partition_volume(struct partition *partition); /* NULL: not known yet */
bool partition_is_offline(struct partition *partition);

/* Whether the cleaner met what it cannot clean, and how much is left as it is. It is tried again
 * after a start, and when the topic's cleanup.policy was without compact meanwhile. Any thread. */
bool partition_uncleanable(struct partition *partition, uint64_t *ret_bytes);

/* Wakes everybody who waits, for what they read may have changed. */
void partition_wake(struct partition *partition);
