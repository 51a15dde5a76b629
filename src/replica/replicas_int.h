#pragma once

#include "base/map.h"
#include "log/log.h"
#include "replica/replicas.h"

/* A partition in the table, with the key it is found by. */
struct replica {
    uint8_t key[20]; /* topic id, index */
    struct partition *partition;
    struct volume *volume; /* where its log is, or is to be; NULL: nowhere */
    bool found;            /* its folder was there at the start, so checkpoints may know it */
    bool lacks_space;      /* the disk is too full to open its log; tried again */
};

struct upkeep;

struct replicas {
    struct sys *sys;
    struct sys_loop *loop;
    struct text_log *text_log;
    int32_t node_id;
    struct volume **volumes;
    int volume_count;
    int data_volume_count;
    size_t *volume_logs; /* how many logs each has, or will have */
    struct config *config;
    void (*misplaced)(void *arg, struct uuid topic_id, int32_t index, struct uuid directory);
    void *misplaced_arg;
    struct meta_image *image; /* applied last */

    struct sys_lock lock; /* guards the table for lookups of other threads */
    struct map table;     /* struct replica by key */

    struct map leavings;  /* struct leaving by folder name: folders on their way out */
    struct map openings;  /* struct opening by partition: logs being opened */
    bool lack_space;      /* some replica does */
    size_t tasks_running; /* opens, removals and upkeep that were begun and are not done */

    size_t unplaced; /* partitions that no volume can keep, and were not told yet */
    char unplaced_name[LOG_FOLDER_NAME_MAX + 1]; /* of the first */

    /* Loading. */
    bool volumes_missing;
    bool matching;  /* what no folder was found for may be in a volume that is missing */
    bool following; /* the table stands, and images are applied */
    bool loaded;    /* every log that was found is open or offline */
    size_t logs_open;
    size_t logs_total;
    _Atomic uint64_t bytes_recovered;
    _Atomic uint64_t bytes_to_recover;
    void (*told)(void *arg, err_t err, const char *text); /* NULL: it was */
    void *told_arg;
    struct list listings;

    struct cleaner *cleaner;
    struct upkeep *upkeep; /* one per volume */
    struct sys_timer upkeep_timer;

    _Atomic bool stopping; /* openings on workers look at it */
    int64_t broker_epoch;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

void replica_key(struct uuid topic_id, int32_t index, uint8_t key[20]);

/* Takes over the reference. */
void replicas_put(struct replicas *replicas, struct partition *partition, struct volume *volume,
                  bool found);

/* Brings the table to what the applied image says, whatever came before. */
void replicas_follow(struct replicas *replicas);

/* --- opening.c --- */

/* Opens (folder given) or creates a partition's log on a worker of the volume. */
void replicas_open_log(struct replicas *replicas, struct partition *partition,
                       struct volume *volume, const char *folder);

/* Tries again to open the logs for which there was no space. */
void replicas_open_again(struct replicas *replicas);

/* Takes the log's folder away; the partition was marked deleted and is out of the table. */
void replicas_remove_log(struct replicas *replicas, struct partition *partition,
                         struct volume *volume);

/* Goes on with a removal that waited for the partition's cleaning to end. */
struct leaving;
void replicas_submit_removal(struct leaving *leaving);

/* Renames a folder that belongs to no partition of this node. */
void replicas_set_stray(struct replicas *replicas, struct volume *volume, const char *folder);

/* The volume for a new log: where the image puts it, else the one with the fewest logs; NULL when
 * the image names one that is not here. */
struct volume *replicas_choose_volume(struct replicas *replicas,
                                      const struct meta_partition *state);

/* --- loading.c --- */

/* A log that was found is open, or will never be. */
void replicas_log_opened(struct replicas *replicas);

/* --- checkpoints.c: what is written down of all logs of a volume --- */

/* One partition of a volume. */
struct checkpoint_part {
    struct partition *partition;
    bool found; /* as in struct replica */
};

/* Writes a checkpoint of these partitions, which must be all of the volume. The line of a log that
 * was found and is not open stays as it is. Blocks on the disk. */
err_t checkpoint_write(struct volume *volume, enum log_checkpoint kind,
                       const struct checkpoint_part *parts, size_t count);

/* Memory only: whether any checkpoint of the volume has a line of that name. */
bool checkpoint_names(const struct volume *volume, struct str topic, int32_t index);

/* --- upkeep.c --- */

void replicas_upkeep_new(struct replicas *replicas);
void replicas_upkeep_start(struct replicas *replicas);
void replicas_upkeep_stop(struct replicas *replicas); /* nothing is begun any more */
void replicas_upkeep_free(struct replicas *replicas);
void replicas_upkeep_configure(struct replicas *replicas);

/* A partition is about to come to the volume: a run that goes on does not know it. */
void replicas_note_addition(struct replicas *replicas, const struct volume *volume);

/* Some log of the volume was cleaned, as the checkpoint has to say. */
void replicas_note_cleaned(struct replicas *replicas, struct volume *volume);

/* A folder was deleted: its files wait to be removed, and a run that goes on may still know it. */
void replicas_note_removal(struct replicas *replicas, struct volume *volume);

/* Somebody who wants to use a topic's name again: checkpoints tell partitions by their names only,
 * and what they say of the old one would cut the new one. */
struct forgetting {
    struct list link; /* zero-initialise */
    struct str topic;
    int32_t index;
    void (*done)(struct forgetting *forgetting);
};

/* Calls done, at once or later, when no checkpoint of the volume has a line of that name and none
 * is about to get it. */
void replicas_forget(struct replicas *replicas, struct volume *volume,
                     struct forgetting *forgetting);

/* --- stopping.c --- */

/* One task ended; goes on with stopping when it was the last. */
void replicas_task_done(struct replicas *replicas);
