#pragma once

#include <stdatomic.h>

#include "replica/partition.h"

enum partition_state {
    PARTITION_OPENING, /* no log yet */
    PARTITION_ONLINE,
    PARTITION_OFFLINE,
    PARTITION_DELETED,
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

    _Atomic bool unreadable_said;
    _Atomic bool tended; /* upkeep has a write in the queue: tending.c */
};

/* With the lock held: OK, or why an operation of this caller cannot go on. */
err_t partition_check(const struct partition *partition, int32_t leader_epoch);

/* With the lock held. */
void partition_wake_locked(struct partition *partition);

/* The log is there, or will never be: gives the token that the opener held to a worker, or fails
 * the writes that wait. */
void partition_drain(struct partition *partition);
