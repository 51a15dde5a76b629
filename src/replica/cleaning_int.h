#pragma once

#include "log/cleaner.h"
#include "replica/replicas_int.h"

/*
 * The cleaner of the node: which compacted log is cleaned next, on the workers of its volume.
 *
 *   every log.cleaner.backoff.ms, per volume, while fewer than log.cleaner.threads cleanings go on
 *
 *     LOOK    worker      at all compacted logs of the volume: the one with the largest share of
 *                         dirty bytes among those that are due. One that failed lets the others
 *                         have their turn first: it may be the one for which there is no room.
 *                         Volumes take turns; a disk that hangs keeps only its own logs waiting.
 *                         What retention may delete of a log goes (tending_int.h), unless it is
 *                         being cleaned
 *     CLEAN   worker      slice by slice (log/cleaner.h); paused when faster than
 *                         log.cleaner.io.max.bytes.per.second, all cleanings together
 *     swap    reactor 0   a write of the partition, memory only
 *     end     reactor 0   looks again at once when there was something to do
 *
 * A deletion of the partition, and the node's stop, wait until its cleaning has ended: it is told,
 * and ends with its next slice unless it is renaming files.
 */
struct cleaner;
struct leaving;

struct cleaner *cleaner_new(struct replicas *replicas);
void cleaner_free(struct cleaner *cleaner); /* nothing goes on; accepts NULL */

/* Reactor 0: begins what is due. */
void cleaner_tick(struct cleaner *cleaner, int64_t now_ms);

/* Reactor 0: nothing is begun any more, and what goes on ends soon. */
void cleaner_stop(struct cleaner *cleaner);

/* Reactor 0: the partition is to be removed. True: it is being cleaned, and replicas_submit_removal
 * is called for `leaving` when that has ended. */
bool cleaner_delays(struct cleaner *cleaner, const struct partition *partition,
                    struct leaving *leaving);
