#pragma once

#include <stdatomic.h>

#include "replica/partition.h"

enum partition_state {
    PARTITION_OPENING, /* no log yet */
    PARTITION_ONLINE,
    PARTITION_OFFLINE,
    PARTITION_DELETED,
};

enum { PARTITION_REFUSED_MAX = 16 };

struct refused_producer {
    int64_t id;
    int16_t epoch;
};

struct partition {
    _Atomic int32_t references;
    struct sys *sys;
    int32_t index;
    int32_t node_id;
    struct uuid topic_id;
    struct str topic; /* these two behind the struct */
    struct str name;  /* "topic-0" */

    struct sys_lock lock; /* guards all below */
    enum partition_state state;
    struct volume *volume;
    struct log *log;
    int32_t leader; /* META_LEADER_NONE */
    int32_t leader_epoch;
    int32_t replica_count;
    int32_t isr_count;
    bool epoch_started; /* the log knows leader_epoch */
    struct partition_config config;

    struct list writes; /* submitted and not run */
    bool writing;       /* somebody runs writes: this thread or `drain` */
    struct sys_job drain;

    struct list waiters;

    /* A ring of producers whose first batch was refused: refused.c */
    struct refused_producer refused[PARTITION_REFUSED_MAX];
    int refused_count;
    int refused_next;

    _Atomic bool unreadable_said;
    _Atomic bool tended;      /* upkeep has a write in the queue: tending.c */
    _Atomic bool cleaned_now; /* a cleaning goes on: cleaning.c */
    _Atomic bool uncleanable; /* one failed, as the next would: until compaction is off and on */

    /* The turn of its volume's cleanings at which its last one failed; 0: it did not. */
    _Atomic uint64_t clean_failed_turn;
};

/* With the lock held: OK, or why an operation of this caller cannot go on. */
err_t partition_check(const struct partition *partition, int32_t leader_epoch);

/* With the lock held. */
void partition_wake_locked(struct partition *partition);

/* refused.c: takes note of an append that ended with `err`; and whether one has to wait for an
 * earlier batch of its producer. */
void refused_note(struct partition *partition, const struct partition_append *append, err_t err);
bool refused_waits(struct partition *partition, struct log *log,
                   const struct partition_append *append);

/* The log is there, or will never be: gives the token that the opener held to a worker, or fails
 * the writes that wait. */
void partition_drain(struct partition *partition);
