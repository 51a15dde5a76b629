#pragma once

#include <stdatomic.h>

#include "replica/cleaning_int.h"
#include "replica/partition.h"

/* The inside of the cleaner: what is due (cleaning.c), and a run that does it (cleaning_run.c). */

struct cleaner {
    struct replicas *replicas;
    struct list runs; /* struct cleaner_run */
    int run_count;
    int64_t *look_at_ms; /* per volume */
    uint64_t *turns;     /* per volume: cleanings that were begun */
    int volume_next;     /* is asked first whether it is due: each has its turn */
    bool stopping;
    bool disabled_told;
    _Atomic double rate;           /* log.cleaner.io.max.bytes.per.second; changes with it */
    _Atomic int64_t io_free_at_ns; /* the disks may be used again, as the rate has it */

    struct sys_lock lock; /* guards the rest */
    struct replicas_cleaner_stats stats;
    double *dirtiest_ratios; /* per volume: of the logs of its last look */
    int64_t looked_at_ms;    /* sys_mono_ms of the last look, or of the start */
};

struct cleaner_choice {
    struct partition *partition; /* one of the candidates, or NULL */
    struct log_cleanable cleanable;
};

/* A volume that is looked at, then perhaps a log that is cleaned. */
struct cleaner_run {
    struct list link;
    struct sys_job job;
    struct sys_timer timer;
    struct cleaner *cleaner;
    int volume_index;
    struct volume *volume;

    /* LOOK */
    struct partition **candidates;
    size_t candidate_count;
    size_t next;
    size_t due_count;
    struct cleaner_choice dirtiest_due; /* of those whose last cleaning did not fail */
    struct cleaner_choice failed_first; /* of the others */
    const struct cleaner_choice *best;  /* one of the two */
    double dirtiest;
    int64_t delay_ms; /* the most by which max.compaction.lag.ms of a log is over */

    /* CLEAN */
    struct partition *partition; /* a reference */
    struct partition_write write;
    struct log_cleaning *cleaning;
    struct log_cleaning_settings settings;
    struct log_cleaning_stats stats;
    int64_t began_ms;
    int64_t pause_until_ms; /* 0: not paused */
    bool swap_due;
    bool over;
    err_t err;
    char *where; /* of an error */
    _Atomic bool stop;
    struct leaving *leaving;
};

/* Reactor 0: when a volume is looked at again that is looked at now. */
int64_t cleaner_next_look_ms(const struct cleaner *cleaner, int64_t now_ms);

/* Reactor 0: the logs of a volume were looked at. */
void cleaner_note_look(struct cleaner *cleaner, int volume_index, double dirtiest_ratio);

/* Reactor 0. Volume and candidates were set, and the run is in the cleaner's list. */
void cleaner_run_begin(struct cleaner_run *run);

/* Reactor 0: it ends soon. */
void cleaner_run_stop(struct cleaner_run *run);

/* Reactor 0: a pause ends now. */
void cleaner_run_wake(struct cleaner_run *run);
