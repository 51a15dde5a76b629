#pragma once

#include "replica/replicas_int.h"

/*
 * Work on a log that upkeep leaves to the partition's queue of writes, because it must not overlap
 * with a writer. At most one such piece of a partition waits at a time: whatever is due meanwhile
 * is found due again by a later run.
 */

/* Whether syncing this log must queue: its appends sync it, too (flush.messages), and syncs of one
 * log must not overlap. */
bool tending_flushes(struct log *log);

struct tending_due {
    bool flush;
    bool retention;
    bool producers; /* those that expired are forgotten */
};

/* Any thread. Closing a log queues behind it. */
void tending_submit(struct partition *partition, const struct tending_due *due);
