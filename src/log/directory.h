#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/text_log.h"
#include "base/uuid.h"
#include "log/cache.h"
#include "sys/sys.h"

/*
 * One directory of log.dirs: its lock, identity, checkpoints and the folders of partitions in it.
 *
 * Calls block on the disk unless they say "memory only". Those may be made on any thread at any
 * time; the others by one thread at a time per directory, except log_directory_trash_step, which
 * may run beside anything.
 *
 * Failure: an IO error of a write or sync anywhere in the directory takes it offline for good
 * (until the next start): every later write in it fails with ERR_IO. A full disk does not: the call
 * fails with ERR_NO_SPACE and the next one tries again.
 */
struct log_directory;

/* Locks the directory (IN_USE when another process has it), reads meta.properties and the
 * checkpoints, and takes away the clean-shutdown marker after reading it. Makes the directory when
 * it is not there. A file that cannot be parsed is named in `text_log` and fails the open with
 * ERR_CORRUPT, except a checkpoint: that one is treated as absent, which costs recovery time only.
 * `path` is copied; text_log may be NULL. */
err_t log_directory_open(struct sys *sys, struct text_log *text_log, struct log_cache *cache,
                         const char *path, struct log_directory **ret_directory);

/* All logs in it are closed. Gives the lock back. Accepts NULL. */
void log_directory_close(struct log_directory *directory);

const char *log_directory_path(const struct log_directory *directory);

/* --- identity: meta.properties --- */

enum { LOG_CLUSTER_ID_MAX = 128 };

struct log_meta {
    int version; /* 0 or 1 */
    char cluster_id[LOG_CLUSTER_ID_MAX + 1];
    int32_t node_id; /* -1 when the file has none */
    bool has_directory_id;
    struct uuid directory_id;
};

/* Memory only. False: the directory is not formatted. */
bool log_directory_meta(const struct log_directory *directory, struct log_meta *ret_meta);

/* Writes meta.properties, version 1. */
err_t log_directory_format(struct log_directory *directory, const struct log_meta *meta);

/* Reads the meta.properties of a directory that is not open, for tools. NOT_FOUND; CORRUPT with a
 * sentence in `reason`. */
err_t log_meta_read(struct sys *sys, const char *path, struct log_meta *ret_meta, char *reason,
                    size_t reason_size);

/* --- clean shutdown --- */

/* Memory only: whether the last user closed everything; *ret_broker_epoch is -1 when unknown. */
bool log_directory_was_clean(const struct log_directory *directory, int64_t *ret_broker_epoch);

/* Writes the marker. Only after every log was closed with log_close and ERR_OK and the checkpoints
 * were written: refuses with ERR_INVALID when some log was not, or the directory failed. */
err_t log_directory_mark_clean(struct log_directory *directory, int64_t broker_epoch);

/* --- checkpoints: topic, partition, offset --- */

enum log_checkpoint {
    LOG_CHECKPOINT_RECOVERY_POINT, /* recovery-point-offset-checkpoint */
    LOG_CHECKPOINT_HIGH_WATERMARK, /* replication-offset-checkpoint */
    LOG_CHECKPOINT_LOG_START,      /* log-start-offset-checkpoint */
    LOG_CHECKPOINT_CLEANER,        /* cleaner-offset-checkpoint */
    LOG_CHECKPOINT_COUNT,
};

struct log_checkpoint_entry {
    struct str topic;
    int32_t partition;
    int64_t offset;
};

/* Memory only: what was read at open or written last. False: no entry. */
bool log_directory_checkpoint_get(const struct log_directory *directory, enum log_checkpoint kind,
                                  struct str topic, int32_t partition, int64_t *ret_offset);

/* Replaces the file by these entries, after a power cut whole or not at all. */
err_t log_directory_checkpoint_write(struct log_directory *directory, enum log_checkpoint kind,
                                     const struct log_checkpoint_entry *entries, size_t count);

/* --- folders --- */

enum log_folder_kind {
    LOG_FOLDER_CURRENT, /* topic-0 */
    LOG_FOLDER_FUTURE,  /* topic-0.<hex>-future */
    LOG_FOLDER_DELETED, /* topic-0.<hex>-delete */
    LOG_FOLDER_STRAY,   /* topic-0.<hex>-stray */
};

enum { LOG_FOLDER_NAME_MAX = 255, LOG_TOPIC_NAME_MAX = 249 };

struct log_folder {
    char name[LOG_FOLDER_NAME_MAX + 1];
    struct str topic; /* inside name; cut short in a long deleted folder's name */
    int32_t partition;
    enum log_folder_kind kind;
    bool has_topic_id; /* from partition.metadata */
    struct uuid topic_id;
};

/* All folders that hold a partition, sorted by name; *ret_folders is freed with free() (topic
 * points into the array's own elements). Names that are none of a partition's are skipped, and said
 * in the text log when they are directories. Deleted folders are put into the trash at once. */
err_t log_directory_list(struct log_directory *directory, struct log_folder **ret_folders,
                         size_t *ret_count);

/* Splits a folder's name. ERR_MALFORMED when it is not a partition's. */
err_t log_folder_parse(const char *name, struct log_folder *ret_folder);

/* "topic-7", or for the other kinds with the id and suffix, the topic cut so that the name fits. */
void log_folder_format(struct str topic, int32_t partition, enum log_folder_kind kind,
                       struct uuid id, char name[LOG_FOLDER_NAME_MAX + 1]);

/* Renames topic-0 to topic-0.<hex>-stray: kept, and not opened any more. */
err_t log_directory_set_stray(struct log_directory *directory, const char *name);

/* --- trash: what waits for its file.delete.delay.ms --- */

/* Removes at most one file whose time has come. *ret_next_ms is when to call again, on sys_mono_ms;
 * INT64_MAX when the trash is empty. */
err_t log_directory_trash_step(struct log_directory *directory, int64_t *ret_next_ms);

/* --- health: memory only --- */

/* ERR_OK, or ERR_IO once the directory failed. */
err_t log_directory_state(const struct log_directory *directory);

/* Takes note of the error of a write or sync in the directory; returns it. */
err_t log_directory_note(struct log_directory *directory, err_t err);

/* Whether the last write found the disk full; appends go on being tried. */
bool log_directory_full(const struct log_directory *directory);

/* Bytes written to segments and not known to be on the disk. */
int64_t log_directory_dirty_bytes(const struct log_directory *directory);

/* Blocks. The file system's size and what is left of it. */
err_t log_directory_space(struct log_directory *directory, uint64_t *ret_total_bytes,
                          uint64_t *ret_free_bytes);
