#pragma once

#include "base/map.h"
#include "replica/replicas.h"

/* A partition in the table, with the key it is found by. */
struct replica {
    uint8_t key[20]; /* topic id, index */
    struct partition *partition;
};

struct volume_upkeep;

struct replicas {
    struct sys *sys;
    struct sys_loop *loop;
    struct text_log *text_log;
    int32_t node_id;
    struct volume **volumes;
    int volume_count;
    size_t *volume_logs; /* how many logs each has, or will have */
    struct config *config;
    struct meta_image *image; /* applied last */

    struct sys_lock lock; /* guards the table for lookups of other threads */
    struct map table;     /* struct replica by key */

    struct map dying;     /* struct removal by folder name: topics deleted, folders still there */
    struct map openings;  /* struct opening by partition: logs being opened */
    size_t tasks_running; /* opens, removals and upkeep that were begun and are not done */

    bool loading;
    size_t logs_open;
    size_t logs_total;
    _Atomic uint64_t bytes_recovered;
    _Atomic uint64_t bytes_to_recover;
    void (*loaded)(void *arg);
    void *loaded_arg;
    struct list listings;

    struct volume_upkeep *upkeep; /* one per volume */
    struct sys_timer upkeep_timer;

    bool stopping;
    int64_t broker_epoch;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

void replica_key(struct uuid topic_id, int32_t index, uint8_t key[20]);
void replicas_put(struct replicas *replicas, struct partition *partition);
void replicas_remove(struct replicas *replicas, struct partition *partition);

/* --- opening.c --- */

/* Opens (folder given) or creates a partition's log on a worker of the volume. Takes over no
 * reference. */
void replicas_open_log(struct replicas *replicas, struct partition *partition,
                       struct volume *volume, const char *folder);

/* Deletes the partition's log; the partition was marked deleted. */
void replicas_remove_log(struct replicas *replicas, struct partition *partition);

/* The volume for a new log: where the image puts it, else the one with the fewest logs; NULL when
 * the image names one that is not here. */
struct volume *replicas_choose_volume(struct replicas *replicas,
                                      const struct meta_partition *state);
void replicas_count_log(struct replicas *replicas, struct volume *volume);

/* --- upkeep.c --- */

void replicas_upkeep_start(struct replicas *replicas);
void replicas_upkeep_free(struct replicas *replicas);
void replicas_upkeep_configure(struct replicas *replicas);

/* A folder was deleted: its files wait to be removed. */
void replicas_note_trash(struct replicas *replicas);

/* --- stopping.c --- */

/* One task ended; goes on with stopping when it was the last. */
void replicas_task_done(struct replicas *replicas);
