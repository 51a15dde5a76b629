#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "replica/replicas.h"
#include "sys/lock.h"

/*
 * Those who wait until the log starts of one volume are on the disk (DeleteRecords). A checkpoint
 * is written for all who wait when it begins, by upkeep's run that goes on or by one of its own;
 * so there is one writer of the file, and a request with many partitions costs few writes.
 */
struct log_starts {
    struct sys_loop *loop; /* reactor 0 */
    struct sys_task task;  /* posted there when somebody comes */
    struct sys_lock lock;
    struct list waits; /* lock */
    bool posted;       /* lock */

    /* Partitions came since upkeep's run listed them: those who wait may be of these. */
    _Atomic bool outdated;
};

/* task: what reactor 0 does when somebody waits. */
void log_starts_init(struct log_starts *starts, struct sys_loop *loop,
                     void (*task)(struct sys_task *task));

/* Any thread. */
void log_starts_add(struct log_starts *starts, struct log_start_wait *wait);

/* The task runs: from here on the next who comes posts it again. */
void log_starts_note_task(struct log_starts *starts);

bool log_starts_awaited(struct log_starts *starts);

/* Takes all who wait over to an empty list. */
void log_starts_take(struct log_starts *starts, struct list *ret_waits);

/* Tells them, each on its loop. */
void log_starts_tell(struct list *waits, err_t err);
