#pragma once

#include "base/list.h"
#include "base/text_log.h"
#include "log/directory.h"
#include "log/log.h"
#include "meta/delta.h"
#include "meta/image.h"
#include "meta/record.h"
#include "raft/observers.h"
#include "raft/raft.h"
#include "sys/loop.h"
#include "sys/worker.h"

/*
 * The metadata log of this node and who leads it: drives raft over `__cluster_metadata-0`, its
 * snapshots and the file quorum-state.
 *
 *   quorum_append ──► pending batches ──► worker: write, sync ──► committed
 *                                                                   │ image of before + delta
 *                              listeners, in the order added ◄──────┤
 *                              append->done                  ◄──────┘
 *
 * All functions are for the loop's thread (reactor 0), all callbacks come there; disk work runs on
 * the pool. Nothing is committed before it is synced.
 *
 * A full disk makes appends wait until there is room; it is tried again every second. After any
 * other failed write or sync what is on the disk is not known, so the quorum stops for good:
 * waiting appends fail and `failed` is called; only a restart, which reads the disk again, helps.
 */
struct quorum;

/* Called on the loop, never from within a call of the user's own. */
struct quorum_listener {
    struct list link; /* zero-initialise */
    /* A new committed image; both are borrowed for the call (meta_image_ref to keep the image).
     * The first call comes when loading is through, with all that is there as created. */
    void (*image)(struct quorum_listener *listener, struct meta_image *image,
                  const struct meta_changes *changes);
    /* This node leads with `epoch` and the image holds all that was committed before: appends are
     * welcome. -1: it leads no more; appends that wait have failed. May be NULL. */
    void (*leader)(struct quorum_listener *listener, int32_t epoch);
    /* The quorum stopped for good; the node cannot go on as controller. May be NULL. */
    void (*failed)(struct quorum_listener *listener, err_t err, const char *text);
};

struct quorum_options {
    struct sys *sys;
    struct sys_loop *loop;
    struct sys_pool *pool; /* of the disk that the directory is on */
    struct text_log *text_log;
    /* metadata.log.dir, or the first of log.dirs: formatted, open, and open for longer than the
     * quorum, which opens the folder __cluster_metadata-0 in it. */
    struct log_directory *directory;
    struct str static_voters;     /* controller.quorum.voters; null or empty: a dynamic quorum */
    int32_t election_timeout_ms;  /* controller.quorum.election.timeout.ms */
    int64_t snapshot_bytes;       /* metadata.log.max.record.bytes.between.snapshots */
    int64_t snapshot_interval_ms; /* metadata.log.max.snapshot.interval.ms; 0: never by time */
    int32_t segment_bytes;        /* metadata.log.segment.bytes */
    int64_t segment_ms;           /* metadata.log.segment.ms */
    int64_t retention_bytes;      /* metadata.max.retention.bytes; -1: no bound */
    int64_t retention_ms;         /* metadata.max.retention.ms; -1: no bound */
};

/* The options with Kafka's defaults in the numbers; the rest zero. */
void quorum_options_init(struct quorum_options *options);

/* Strings are copied. ERR_INVALID: static_voters is not "1@host:9093,…". */
err_t quorum_new(const struct quorum_options *options, struct quorum **ret_quorum);
/* It was stopped, or never started. Accepts NULL. */
void quorum_free(struct quorum *quorum);

void quorum_add_listener(struct quorum *quorum, struct quorum_listener *listener);
void quorum_remove_listener(struct quorum *quorum, struct quorum_listener *listener);

/*
 * Loads snapshot and log, gets itself elected, delivers the image, then calls started(OK).
 *
 * ERR_UNSUPPORTED: several voters. ERR_NOT_FOUND: the directory was not formatted. Others: the disk
 * failed, or the log is damaged beyond its tail. `text` is a sentence for the operator.
 */
typedef void (*quorum_started_fn)(void *arg, err_t err, const char *text);
void quorum_start(struct quorum *quorum, quorum_started_fn started, void *arg);

/* How far loading is: bytes of snapshot and log. */
void quorum_progress(const struct quorum *quorum, uint64_t *ret_done, uint64_t *ret_total);

/* At any time after quorum_new, once. Finishes what is being written, fails the rest with
 * ERR_NOT_CONTROLLER, closes the log, then calls stopped. A start under way is given up, and its
 * `started` is not called any more. */
void quorum_stop(struct quorum *quorum, void (*stopped)(void *arg), void *arg);

/* One append. Embed it in the operation that waits; it must live until done was called. */
struct quorum_append {
    struct list link; /* zero-initialise */
    /* OK: committed, and the listeners have seen the image with it. NOT_CONTROLLER: not known
     * whether it will ever be committed, as in Kafka when leadership is lost. */
    void (*done)(struct quorum_append *append, err_t err);
    int64_t first_offset; /* set by quorum_append */
    int64_t last_offset;
};

/* The offset that the first record of the next append gets (Kafka's broker epochs come from it). */
int64_t quorum_next_offset(const struct quorum *quorum);

/*
 * Queues records for the log, in order of the calls; they are encoded before it returns. Appends
 * that wait at the same time are written and synced together.
 *
 * atomic: all in one batch, so all or none of them come back after a crash.
 * On an error nothing is queued and done is not called:
 * ERR_NOT_CONTROLLER:        not leading, or stopping.
 * ERR_RECORD_LIST_TOO_LARGE: atomic, and more than a batch holds (8 MiB).
 * ERR_BUSY:                  too much waits already; the disk is slow, or full.
 * others:                    a record cannot be encoded in its version.
 */
err_t quorum_append(struct quorum *quorum, const struct meta_record *records, size_t count,
                    bool atomic, struct quorum_append *append);

/* The last committed image; never NULL after started(OK). Borrowed. */
struct meta_image *quorum_image(const struct quorum *quorum);

/* Whether an earlier leader left a metadata transaction open: the log is ahead of the image. A new
 * leader ends it with an AbortTransactionRecord. */
bool quorum_in_transaction(const struct quorum *quorum);

int32_t quorum_leader_epoch(const struct quorum *quorum);
bool quorum_is_leader(const struct quorum *quorum);

/* What DescribeQuorum tells. */
struct quorum_voter_state {
    int32_t id;
    struct uuid directory_id;
    int64_t log_end_offset;
    int64_t last_fetch_ms;     /* the leader itself: now */
    int64_t last_caught_up_ms; /* the leader itself: now */
};
struct quorum_description {
    int32_t leader_id; /* -1: none */
    int32_t leader_epoch;
    int64_t high_watermark;
    int16_t kraft_version;
    struct quorum_voter_state voter;        /* of the single voter */
    const struct raft_voters *voters;       /* borrowed: with endpoints */
    const struct raft_observers *observers; /* borrowed: good until the loop's next turn */
};
void quorum_describe(struct quorum *quorum, struct quorum_description *ret_description);

/* What a follower's log has in common with ours. */
enum quorum_place {
    QUORUM_PLACE_SHARED,    /* everything: here is what comes next */
    QUORUM_PLACE_DIVERGING, /* it has to be cut at place_offset, the end of place_epoch, at least */
    QUORUM_PLACE_SNAPSHOT,  /* too little: the snapshot of place_offset and place_epoch comes first
                             */
};

/* One fetch of somebody who follows the metadata log. Embed it; it must live until done was called.
 */
struct quorum_fetch {
    /* In. */
    int32_t replica_id;           /* -1: nobody to remember */
    struct uuid directory_id;     /* of the replica */
    int32_t leader_epoch;         /* whose leader is asked */
    int64_t offset;               /* where its log ends */
    int32_t last_epoch;           /* of its last record */
    int64_t known_high_watermark; /* INT64_MAX: of no interest */
    int32_t size_max;             /* the first batch comes whatever its size */
    int32_t wait_ms_max;          /* for news, when there are none */
    void (*done)(struct quorum_fetch *fetch);

    /* Out. */
    err_t err;
    int64_t high_watermark;   /* -1 with an error */
    int64_t log_start_offset; /* this and what follows with an error, too; -1: not known */
    int32_t leader_id;
    int32_t current_epoch;
    enum quorum_place place;
    int32_t place_epoch;
    int64_t place_offset;
    struct log_slice slice; /* log_slice_release is due, on any thread */

    /* The quorum's. Zero-initialise. */
    struct list link;
    struct sys_timer timer;
    struct sys_job job;
    struct quorum *quorum;
    int64_t limit_offset;
    size_t warmed;
    bool waiting;
};

/*
 * Reads committed records for a follower, as Kafka's Fetch of the metadata log does. `done` is
 * called on the loop, perhaps before this returns.
 *
 *   FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER   as raft_check_leader
 *   INVALID_REQUEST   a place where no log can end, a size or a wait that cannot be; ourselves
 *   others            the disk
 */
void quorum_fetch(struct quorum *quorum, struct quorum_fetch *fetch);

/* One fetch, or all, need not wait any more. */
void quorum_fetch_end(struct quorum_fetch *fetch);
void quorum_fetches_end(struct quorum *quorum);

/* Writes a snapshot of the committed image now, unless one of that offset is there. */
void quorum_snapshot(struct quorum *quorum);
