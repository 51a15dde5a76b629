#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text_log.h"
#include "config/config.h"
#include "meta/delta.h"
#include "meta/image.h"
#include "replica/partition.h"
#include "replica/volume.h"

/*
 * All partitions that this node keeps. Follows the committed image: opens and recovers logs at
 * start, creates and deletes them later, and looks after them in the background.
 *
 * Belongs to reactor 0, except what says that any thread may call it.
 */
struct replicas;

struct replicas_settings {
    struct sys *sys;
    struct sys_loop *loop; /* reactor 0 */
    struct text_log *text_log;
    int32_t node_id;
    struct volume **volumes; /* opened; copied, borrowed */
    int volume_count;
    int data_volume_count; /* the first take partitions, others hold metadata only */
    bool volumes_missing;  /* some log directories could not be opened */
    struct config *config; /* a reference is taken */

    /* The metadata does not have the replica in the directory where it is, or is being made. Called
     * on the loop, with each image that says so. May be NULL. */
    void (*misplaced)(void *arg, struct uuid topic_id, int32_t index, struct uuid directory);
    void *arg;
};

struct replicas *replicas_new(const struct replicas_settings *settings);
void replicas_free(struct replicas *replicas); /* it was stopped, or never loaded. Accepts NULL */

/* --- life --- */

/* Opens every log that the image gives to this node, recovering those that need it, all volumes at
 * once; begins to make those that are missing; sets folders of unknown topics aside as strays. Then
 * calls `loaded`, unless it is stopped before. A log that cannot be opened is said in the log and
 * offline; the others go on, and so do the other volumes when one cannot be listed. What may be in
 * such a volume, or in one that is missing, is offline, too, rather than made anew, empty. An
 * error, with a sentence: no volume could be listed, and nothing was opened. */
void replicas_load(struct replicas *replicas, struct meta_image *image,
                   void (*loaded)(void *arg, err_t err, const char *text), void *arg);

struct replicas_progress {
    size_t logs_open;
    size_t logs_total;
    uint64_t bytes_recovered;
    uint64_t bytes_to_recover; /* of the logs that were begun */
};
void replicas_progress(const struct replicas *replicas, struct replicas_progress *ret_progress);

/* The image moved on, once or often, while logs were being opened. After `loaded`. */
void replicas_catch_up(struct replicas *replicas, struct meta_image *image);

/* The image moved on by these changes. After `loaded`. */
void replicas_apply(struct replicas *replicas, struct meta_image *image,
                    const struct meta_changes *changes);

/* The node's own settings changed. */
void replicas_configure(struct replicas *replicas, struct config *config);

/* Closes every log, writes the checkpoints and, where all went well, the clean-shutdown markers
 * with this broker epoch. Waits for what runs, but gives up recovering. Then calls `stopped`. At
 * any time; when not every log was open yet, nothing is written but what closing writes, and the
 * next start recovers. */
void replicas_stop(struct replicas *replicas, int64_t broker_epoch, void (*stopped)(void *arg),
                   void *arg);

/* --- use --- */

/* A reference to a partition kept here, or NULL. Any thread. */
struct partition *replicas_find(struct replicas *replicas, struct uuid topic_id, int32_t index);

/* All partitions kept here, each with a reference, in an array to free. Any thread. */
struct partition **replicas_list(struct replicas *replicas, size_t *ret_count);

size_t replicas_count(const struct replicas *replicas);

/* Somebody who moved the start of a log up (DeleteRecords), and says so only when it will stay
 * there, whatever happens to the process or the power. */
struct log_start_wait {
    /* The caller's. */
    struct sys_loop *loop;
    void (*done)(struct log_start_wait *wait); /* on `loop` */
    err_t err; /* with done: OK; why it could not be written; NOT_LEADER_OR_FOLLOWER at a stop */

    /* Zero-initialise. */
    struct list link;
    struct sys_task task;
};

/* Has the log starts of a volume written down, then calls done. Any thread. */
void replicas_log_start_wait(struct replicas *replicas, const struct volume *volume,
                             struct log_start_wait *wait);

/* What the cleaner did last, and since the start. Any thread. */
struct replicas_cleaner_stats {
    double dirtiest_ratio; /* of the logs of all directories, when each was looked at last */
    double recopy_ratio;   /* bytes that stayed, of those of the last cleaning */
    double buffer_used;    /* the share of its map's memory */
    double clean_seconds;  /* how long it took */
    double delay_seconds;  /* by how much max.compaction.lag.ms was over when it began, at most */
    int64_t since_look_ms;
    uint64_t io_bytes;
};
void replicas_cleaner_stats(struct replicas *replicas, struct replicas_cleaner_stats *ret_stats);

int replicas_volume_count(const struct replicas *replicas);
int replicas_data_volume_count(const struct replicas *replicas); /* the first ones: of log.dirs */
struct volume *replicas_volume(const struct replicas *replicas, int index);
