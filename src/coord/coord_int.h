#pragma once

#include "base/buffer.h"
#include "coord/groups_int.h"
#include "coord/standing_int.h"
#include "replica/partition.h"
#include "replica/replicas.h"
#include "wire/compression.h"

/*
 * The shards of a node, and one shard over its partition.
 *
 *   coord.c        which shards there are and who leads them; reactor 0 tells each loop
 *   shard.c        a shard's life: idle, loading, active
 *   shard_log.c    its log: batches to the partition, commits back
 *   loading.c      replay, in slices, read by a worker
 *   rewriting.c    keeps the log short
 *   standing.c     how groups stand, for metrics
 *   fates.c        asks all shards about transactions
 *   placement.c    which shard a group belongs to
 */
struct shard;

/* What the shards of one loop share; the loop's. */
struct coord_loop {
    struct coord *coord;
    struct sys_loop *loop;
    struct compression *compression;
    struct meta_image *image;
    struct config *config;
    struct list shards; /* struct shard */
    struct sys_timer stop_timer;
};

/* The shards by number. A new one replaces it when there are more; old ones live on, for who may
 * still look at them. */
struct shard_table {
    struct list link;
    int32_t partition_count; /* groups are placed on so many */
    int32_t shard_count;     /* not less: a topic that was made anew may have fewer */
    struct shard *shards[];
};

struct coord {
    struct coord_settings settings;
    struct coord_loop *loops;
    _Atomic(struct shard_table *) table;
    struct sys_lock standing_lock; /* of the shards' snapshots */
    _Atomic uint64_t load_count;   /* these three: of shards, since the start */
    _Atomic uint64_t load_ms_sum;
    _Atomic uint64_t load_ms_max;

    /* Reactor 0's. */
    struct list tables;
    int32_t loops_stopping;
    bool stopping;
    void (*stopped)(void *arg);
    void *stopped_arg;
    struct sys_task stopped_task;
};

enum shard_state {
    SHARD_IDLE,    /* another broker leads, or nobody: NOT_COORDINATOR */
    SHARD_LOADING, /* COORDINATOR_LOAD_IN_PROGRESS */
    SHARD_ACTIVE,
};

struct shard {
    struct coord *coord;
    struct coord_loop *home;
    struct list link; /* of home->shards */
    int32_t index;
    struct groups *groups;
    bool led; /* reactor 0's: what the loop was told last */
    int32_t led_epoch;

    /* The loop's. */
    enum shard_state state;
    struct partition *partition; /* while not idle */
    int32_t leader_epoch;
    struct shard_load *load; /* a slice is being read, or waits to be */
    int loads_cancelled;     /* that a worker still has */
    int64_t load_started_ms;
    struct sys_timer retry_timer;
    bool load_failed_said;

    /* shard_log.c: one append at a time. */
    int64_t next_offset;
    int32_t batch_size_max;
    struct partition_append append;
    struct buffer batches;
    struct arena append_arena;
    struct partition *append_partition; /* while one is pending */
    struct partition_waiter waiter;
    struct sys_task waiter_task;
    _Atomic bool waiter_posted;
    bool waiting; /* for a commit */

    struct standing standing; /* standing.c */

    /* rewriting.c */
    uint64_t log_bytes; /* appended or read since the last rewriting began */
    struct rewriting *rewriting;
    uint64_t rewritten_bytes; /* by the last one */
};

/* --- shard.c --- */

struct shard *shard_new(struct coord *coord, int32_t index);
void shard_free(struct shard *shard);

/* This node leads the partition with that epoch; the reference is taken over. */
void shard_lead(struct shard *shard, struct partition *partition, int32_t leader_epoch);
void shard_resign(struct shard *shard);

/* Nothing of it is under way any more. After shard_resign. */
bool shard_is_quiet(const struct shard *shard);

void shard_loaded(struct shard *shard, int64_t next_offset);

/* --- shard_log.c --- */

struct strand_log shard_log(struct shard *shard);
void shard_log_init(struct shard *shard);
void shard_log_done(struct shard *shard);
void shard_log_read_config(struct shard *shard); /* how large a batch may be */
void shard_log_close(struct shard *shard);       /* the partition is given back */

/* --- loading.c --- */

void loading_start(struct shard *shard);
void loading_cancel(struct shard *shard);

/* --- rewriting.c --- */

void rewriting_consider(struct shard *shard);
void rewriting_cancel(struct shard *shard);
