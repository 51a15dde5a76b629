#pragma once

#include "base/arena.h"
#include "coord/standing.h"
#include "sys/loop.h"
#include "sys/worker.h"

/*
 * Snapshots of a shard's groups. The shard's loop makes one when something changed, at most every
 * second, and publishes it; from then on it changes no more, but for the ages that a worker finds.
 *
 * The age of a group's lag is told by the record that it will read next, so that record's time has
 * to be read from the log: once for each offset at which a group stands and is behind.
 */
struct shard;
struct standing_snapshot;

struct standing {
    struct sys_timer timer;
    bool changed;                      /* since the last snapshot */
    bool costly;                       /* to make: it has a rest afterwards */
    struct standing_snapshot *current; /* under coord->standing_lock for all but the loop */
    struct standing_job *job;
};

void standing_done(struct shard *shard); /* the loops have ended */

/* A step was taken: something may have changed. */
void standing_note(struct shard *shard);

/* The shard is idle: nothing is told of its groups any more. */
void standing_stop(struct shard *shard);
bool standing_is_quiet(const struct shard *shard);
