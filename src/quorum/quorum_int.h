#pragma once

#include "base/buffer.h"
#include "log/log.h"
#include "meta/loader.h"
#include "meta/snapshot.h"
#include "quorum/quorum.h"
#include "sys/worker.h"

#define METADATA_TOPIC  "__cluster_metadata"
#define METADATA_FOLDER METADATA_TOPIC "-0"

enum { QUORUM_PATH_SIZE = 4096, QUORUM_TEXT_SIZE = 1024 };

/*
 * Work for the disk: `step` runs on a worker until it says done or fails, then `finish` runs on the
 * loop. While a work runs, what it says it uses belongs to it.
 */
struct quorum_work {
    struct sys_job job;
    struct quorum *quorum;
    err_t (*step)(struct quorum *quorum, bool *ret_done);
    void (*finish)(struct quorum *quorum, err_t err);
    err_t err;
    bool busy;
};

enum quorum_phase {
    QUORUM_NEW,
    QUORUM_LOADING,  /* the worker has the loader, the log and `load` */
    QUORUM_ELECTING, /* until the LeaderChange batch is committed */
    QUORUM_LEADING,
    QUORUM_FAILED, /* for good; `fail_err` */
    QUORUM_STOPPING,
    QUORUM_STOPPED,
};

/* printf into a path or a sentence; what does not fit is cut. */
void quorum_print(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct quorum_load; /* load.c */

struct snapshot_list {
    struct meta_snapshot_id *ids; /* the oldest first */
    size_t count;
};

struct quorum {
    struct quorum_options options;
    struct raft_voters static_voters;
    char folder[QUORUM_PATH_SIZE]; /* of the log */
    struct log_meta meta;
    enum quorum_phase phase;
    err_t fail_err;
    char text[QUORUM_TEXT_SIZE]; /* for the operator: why it failed */

    struct raft *raft;
    struct raft_voters voters;
    int16_t kraft_version;
    bool voters_in_log; /* else the first leader writes them there */
    struct log *log;
    struct meta_loader *loader;
    struct meta_image *image; /* the last one delivered */
    struct list listeners;

    /* The log's work: one at a time, whatever kind (the log's functions for writers). */
    struct quorum_work work;
    struct quorum_load *load;
    struct raft_election election; /* being saved */
    bool election_due;

    /* Appends: `pending` waits, `flight` is being written and synced. */
    int64_t next_offset;
    struct buffer pending;
    struct list pending_appends;
    struct buffer flight;
    size_t flight_written; /* bytes of it that are in the log */
    int64_t flight_end_offset;
    struct list flight_appends;
    bool epoch_due; /* the log has to note the epoch before the next write */
    bool delivering;
    bool disk_full; /* said so */
    struct sys_timer retry_timer;

    /* Snapshots. */
    struct quorum_work snapshot_work;
    struct meta_snapshot_writer *snapshot_writer;
    struct meta_snapshot_id snapshot_writing;
    struct snapshot_list snapshots; /* as they are on the disk */
    int64_t snapshot_removed;       /* by the cleaning that runs: up to this offset; -1: none */
    int64_t bytes_since_snapshot;
    struct sys_timer snapshot_timer;
    int64_t snapshot_mono_ms; /* when the last one was made */
    bool clean_due;           /* old snapshots and segments may go */
    _Atomic bool cancel_snapshot;

    /* Followers. */
    struct raft_observers observers;
    struct list fetches;    /* that wait */
    size_t fetches_reading; /* that a worker reads for */

    quorum_started_fn started;
    void *started_arg;
    void (*stopped)(void *arg);
    void *stopped_arg;

    _Atomic uint64_t progress_done;
    _Atomic uint64_t progress_total;
};

void quorum_work_init(struct quorum_work *work, struct quorum *quorum);
void quorum_work_run(struct quorum_work *work, err_t (*step)(struct quorum *, bool *),
                     void (*finish)(struct quorum *, err_t));

/* --- quorum.c --- */
void quorum_kick(struct quorum *quorum); /* gives the worker what is due */
void quorum_raft_step(struct quorum *quorum, enum raft_input_type type, int64_t end_offset);
/* Stops it for good, with a sentence in quorum->text. */
void quorum_fail(struct quorum *quorum, err_t err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- load.c --- */
void quorum_load_start(struct quorum *quorum);
void quorum_load_free(struct quorum *quorum);

/* --- election_file.c: the file quorum-state; both block on the disk --- */
err_t election_file_read(struct sys *sys, const char *folder, struct raft_election *ret_election,
                         char *text, size_t text_size);
err_t election_file_write(struct sys *sys, const char *folder, const struct raft_election *election,
                          int16_t kraft_version, const struct raft_voters *voters);

/* --- append.c --- */
void quorum_start_epoch(struct quorum *quorum); /* queues the LeaderChange batch */
bool quorum_write_due(const struct quorum *quorum);
void quorum_write_start(struct quorum *quorum);
void quorum_fail_appends(struct quorum *quorum);

/* --- commit.c --- */
void quorum_commit(struct quorum *quorum);         /* what is in flight is synced */
void quorum_deliver_loaded(struct quorum *quorum); /* the first image */

/* --- snapshots.c --- */
/* Blocks. NOT_FOUND without the folder. */
err_t snapshot_list_read(struct sys *sys, const char *folder, struct snapshot_list *ret_list);
/* Blocks. Removes what was begun and never finished, or meant to be gone; only while nothing is
 * being written. Fine without the folder. */
err_t snapshot_remove_leftovers(struct sys *sys, const char *folder);
void snapshot_list_free(struct snapshot_list *list);
void quorum_snapshot_consider(struct quorum *quorum); /* after a commit */
/* NULL: there is none. */
const struct meta_snapshot_id *quorum_newest_snapshot(const struct quorum *quorum);
void quorum_clean_start(struct quorum *quorum);
