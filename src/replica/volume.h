#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/text_log.h"
#include "base/uuid.h"
#include "log/directory.h"
#include "sys/worker.h"

/*
 * One log directory of the node: the directory itself, its workers, and its health.
 *
 * A disk that hangs must hang nobody else, so each volume has its own pools: `writers` finish
 * appends that may not run on a reactor, `upkeep` recovers, flushes, deletes and reads what is
 * cold.
 */
struct volume {
    struct sys *sys;
    struct text_log *text_log;
    struct log_directory *directory;
    struct uuid id; /* directory.id of meta.properties */
    struct sys_pool *writers;
    struct sys_pool *upkeep;
    _Atomic int64_t inline_after_ms; /* sys_mono_ms: a slow write sends others to the workers */
    _Atomic bool synced;             /* appends synced logs since checkpoints were written */
    void (*failed)(void *arg);
    void *failed_arg;
    _Atomic bool failed_said; /* its failure was told */
    _Atomic bool full_said;   /* the full disk was logged */
    _Atomic int64_t full_ms;  /* when it was last found full */
};

struct volume_settings {
    struct sys *sys;
    struct text_log *text_log;
    struct log_cache *cache;
    const char *path;
    int upkeep_threads; /* num.recovery.threads.per.data.dir */

    /* The directory is offline from now on. Any thread, once. May be NULL. */
    void (*failed)(void *arg);
    void *failed_arg;
};

/* Opens and locks the directory. Errors are those of log_directory_open. */
err_t volume_open(const struct volume_settings *settings, struct volume **ret_volume);

/* Every log in it is closed and no job is queued. Accepts NULL. */
void volume_close(struct volume *volume);

/* Any thread. Whether a reactor may write here itself: the directory works, its unsynced bytes are
 * bounded, and no write was slow just now. */
bool volume_is_healthy(struct volume *volume);

/* Any thread. Tells how long an inline write took. */
void volume_note_write(struct volume *volume, int64_t took_ns);

/* Any thread. A writer synced a log, so that its recovery point is worth writing down. */
void volume_note_synced(struct volume *volume);

/* Any thread. Notes the outcome of disk work in this directory and says in the log, once per
 * failure, what the operator should know. Returns err. */
err_t volume_note(struct volume *volume, err_t err);

/* What a log's error is to those who use the log: a file that must be there and is not, or is
 * something else, is IO. Others stay. */
err_t volume_log_err(err_t err);
