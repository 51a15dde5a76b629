#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "replica/log_starts_int.h"
#include "replica/replicas_int.h"

/* Upkeep of one volume: what is due (upkeep.c), and the run that does it (upkeep_run.c). */

enum { UPKEEP_TICK_MS = 1000 };

enum upkeep_phase {
    UPKEEP_LOGS,
    UPKEEP_RECOVERY_POINTS,
    UPKEEP_HIGH_WATERMARKS,
    UPKEEP_LOG_STARTS,
    UPKEEP_CLEANED,
    UPKEEP_TRASH
};

struct upkeep {
    struct sys_job job;
    struct replicas *replicas;
    struct volume *volume;
    bool running;

    /* When each is due, on sys_mono_ms; reactor 0's. */
    int64_t flush_all_at_ms;
    int64_t checkpoint_at_ms;
    int64_t retention_at_ms;
    int64_t producers_at_ms;
    int64_t trash_at_ms;
    bool late;                 /* a tick could not look, for a run that did only what is awaited */
    bool removed;              /* since the last run began, folders went to the trash */
    _Atomic bool starts_moved; /* log starts that could not be written */
    bool cleaned;              /* logs were, since that checkpoint was written */
    struct list forgettings;
    struct log_starts log_starts;

    /* The run's. */
    void (*ended)(struct upkeep *upkeep); /* reactor 0 */
    struct checkpoint_part *parts;
    size_t count;
    size_t next;
    enum upkeep_phase from; /* it began with */
    enum upkeep_phase phase;
    int64_t flush_target; /* of the log that is being synced; -1: not looked at */
    bool flush_all;
    bool retention;
    bool producers;
    bool write_points;
    bool write_starts;
    bool write_cleaned;
    err_t err; /* of writing checkpoints */
};

/* Begins a run with this phase. What it is to do was set; from UPKEEP_RECOVERY_POINTS on: all
 * checkpoints; from UPKEEP_LOG_STARTS on: nothing but what is awaited. Reactor 0; none goes on. */
void upkeep_run(struct upkeep *upkeep, enum upkeep_phase from);
