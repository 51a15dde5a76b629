/*
 * Fetches of the metadata log by those who follow it.
 *
 *   asked ──► refused        of another epoch, or not a place that a log can end at
 *         ──► compared       it diverges, or needs a snapshot: answered
 *         ──► read           by a worker first, when the disk would have to be waited for
 *               ├── records, or a high watermark that it does not know: answered
 *               └── nothing  waits; the next commit, or its time, leads back to the first line,
 *                            and then it is answered whatever there is
 *
 * How a follower's log is compared: it says where it ends and the epoch of its last record.
 *
 *   it ends                                                 it gets
 *   -----------------------------------------------------   ------------------------------------
 *   at 0, and there is a snapshot of more than formatting   the newest snapshot: shorter than the
 *                                                           log
 *   at 0, where our log begins, too                         records
 *   before our log begins, or with an epoch older than      the newest snapshot
 *   the oldest snapshot's
 *   where our log begins, with another epoch than the       the newest snapshot
 *   snapshot's there
 *   behind the end of its epoch in our log, or with an      the end of that epoch, or of the one
 *   epoch that our log does not have                        before it: to cut its log there
 *   else                                                    records
 *
 * Only what is committed is given: no other voter is there whose fetches could commit the rest.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "quorum/quorum_int.h"

/* --- comparing --- */

/* The snapshot that the log goes on from, or the oldest behind that. NULL: none. */
static const struct meta_snapshot_id *oldest_snapshot(const struct quorum *quorum) {
    for (size_t i = 0; i < quorum->snapshots.count; i++) {
        if (quorum->snapshots.ids[i].offset >= log_start_offset(quorum->log)) {
            return &quorum->snapshots.ids[i];
        }
    }
    return NULL;
}

static bool needs_snapshot(const struct quorum *quorum, const struct quorum_fetch *fetch) {
    const struct meta_snapshot_id *newest = quorum_newest_snapshot(quorum);
    const struct meta_snapshot_id *oldest = oldest_snapshot(quorum);
    int64_t start_offset = log_start_offset(quorum->log);
    if (newest == NULL) {
        return false;
    }
    if (fetch->offset == 0) {
        return newest->offset > 0;
    }
    return fetch->offset < start_offset || oldest == NULL || fetch->last_epoch < oldest->epoch ||
           (fetch->offset == start_offset && fetch->last_epoch != oldest->epoch);
}

/* Where our log leaves the epoch; an epoch that only the snapshot before the log has ends there. */
static void end_of_epoch(struct quorum *quorum, int32_t epoch, int32_t *ret_epoch,
                         int64_t *ret_end_offset) {
    log_epoch_end_offset(quorum->log, epoch, ret_epoch, ret_end_offset);
    const struct meta_snapshot_id *oldest = oldest_snapshot(quorum);
    if (*ret_epoch == -1) {
        *ret_epoch = log_latest_epoch(quorum->log);
        *ret_end_offset = log_end_offset(quorum->log);
    } else if (oldest != NULL && oldest->offset == *ret_end_offset && *ret_epoch == epoch) {
        *ret_epoch = oldest->epoch;
    }
}

static enum quorum_place compare(struct quorum *quorum, struct quorum_fetch *fetch) {
    if (needs_snapshot(quorum, fetch)) {
        const struct meta_snapshot_id *newest = quorum_newest_snapshot(quorum);
        fetch->place_epoch = newest->epoch;
        fetch->place_offset = newest->offset;
        return QUORUM_PLACE_SNAPSHOT;
    }
    if (fetch->offset == 0 && log_start_offset(quorum->log) == 0) {
        return QUORUM_PLACE_SHARED;
    }
    int32_t epoch;
    int64_t end_offset;
    end_of_epoch(quorum, fetch->last_epoch, &epoch, &end_offset);
    if (epoch == fetch->last_epoch && end_offset >= fetch->offset) {
        return QUORUM_PLACE_SHARED;
    }
    fetch->place_epoch = epoch;
    fetch->place_offset = end_offset;
    return QUORUM_PLACE_DIVERGING;
}

/* --- reading --- */

static err_t check(const struct quorum *quorum, const struct quorum_fetch *fetch) {
    if (fetch->size_max < 0 || fetch->wait_ms_max < 0 || fetch->offset < 0 ||
        fetch->last_epoch < 0 || fetch->last_epoch > fetch->leader_epoch ||
        fetch->replica_id == quorum->meta.node_id) {
        return ERR_INVALID_REQUEST;
    }
    if (quorum->raft == NULL) {
        return ERR_NOT_LEADER_OR_FOLLOWER;
    }
    err_t err = raft_check_leader(quorum->raft, fetch->leader_epoch);
    return err == ERR_OK && quorum->phase != QUORUM_LEADING ? ERR_NOT_LEADER_OR_FOLLOWER : err;
}

static err_t read_records(struct quorum *quorum, struct quorum_fetch *fetch, bool wait) {
    int flags = LOG_READ_MIN_ONE | (wait ? 0 : LOG_READ_NO_WAIT);
    err_t err = log_read(quorum->log, fetch->offset, (size_t)fetch->size_max, fetch->limit_offset,
                         flags, &fetch->slice);
    if (err == ERR_OK && !wait && fetch->slice.size > 0) {
        size_t probe =
            fetch->slice.size < FETCH_PROBE_BYTES_MAX ? fetch->slice.size : FETCH_PROBE_BYTES_MAX;
        if (!sys_file_cached(fetch->slice.file, fetch->slice.position, probe)) {
            log_slice_release(&fetch->slice);
            err = ERR_WOULD_BLOCK;
        }
    }
    return err;
}

static void note_observer(struct quorum *quorum, const struct quorum_fetch *fetch) {
    if (fetch->replica_id >= 0) {
        int64_t offset = fetch->slice.size > 0 ? fetch->slice.start_offset : fetch->offset;
        raft_observers_note(&quorum->observers, fetch->replica_id, fetch->directory_id, offset,
                            fetch->limit_offset, sys_wall_ms(quorum->options.sys));
    }
}

/* --- answering --- */

static void answer(struct quorum *quorum, struct quorum_fetch *fetch, err_t err) {
    if (fetch->waiting) {
        list_remove(&fetch->link);
        sys_timer_clear(quorum->options.loop, &fetch->timer);
        fetch->waiting = false;
    }
    fetch->err = err;
    fetch->high_watermark = err == ERR_OK ? fetch->limit_offset : -1;
    fetch->log_start_offset = quorum->log == NULL ? -1 : log_start_offset(quorum->log);
    fetch->leader_id = quorum->raft == NULL ? -1 : raft_leader_id(quorum->raft);
    fetch->current_epoch = quorum_leader_epoch(quorum);
    fetch->done(fetch);
}

static void timed_out(struct sys_timer *timer);
static void read_later(struct quorum *quorum, struct quorum_fetch *fetch);

static void wait(struct quorum *quorum, struct quorum_fetch *fetch) {
    fetch->waiting = true;
    fetch->timer.fire = timed_out;
    list_add_last(&quorum->fetches, &fetch->link);
    sys_timer_set(quorum->options.loop, &fetch->timer,
                  sys_mono_ms(quorum->options.sys) + fetch->wait_ms_max);
}

static void advance(struct quorum *quorum, struct quorum_fetch *fetch, bool may_wait) {
    err_t err = check(quorum, fetch);
    if (err == ERR_OK) {
        fetch->limit_offset = raft_high_watermark(quorum->raft);
        fetch->place = compare(quorum, fetch);
    }
    if (err == ERR_OK && fetch->place == QUORUM_PLACE_SHARED) {
        err = read_records(quorum, fetch, false);
        if (err == ERR_WOULD_BLOCK) {
            read_later(quorum, fetch);
            return;
        }
        if (err == ERR_OK) {
            note_observer(quorum, fetch);
        }
    }
    bool nothing = err == ERR_OK && fetch->place == QUORUM_PLACE_SHARED && fetch->slice.size == 0 &&
                   fetch->known_high_watermark >= fetch->limit_offset;
    if (nothing && may_wait && fetch->wait_ms_max > 0) {
        wait(quorum, fetch);
    } else {
        answer(quorum, fetch, err);
    }
}

static void timed_out(struct sys_timer *timer) {
    struct quorum_fetch *fetch = container_of(timer, struct quorum_fetch, timer);
    advance(fetch->quorum, fetch, false);
}

/* --- what is not in the page cache --- */

/* Reads and drops a chunk: what counts is that the kernel has it afterwards. */
static err_t warm(struct quorum_fetch *fetch) {
    size_t size = fetch->slice.size - fetch->warmed;
    size = size < FETCH_WARM_CHUNK_SIZE ? size : FETCH_WARM_CHUNK_SIZE;
    size_t got = 0;
    uint8_t *chunk = malloc(size);
    err_t err =
        sys_file_read(fetch->slice.file, fetch->slice.position + fetch->warmed, chunk, size, &got);
    free(chunk);
    fetch->warmed += got;
    return err == ERR_OK && got == 0 ? ERR_CORRUPT : err;
}

static enum sys_job_result read_step(struct sys_job *job) {
    struct quorum_fetch *fetch = container_of(job, struct quorum_fetch, job);
    if (fetch->slice.segment == NULL) {
        fetch->err = read_records(fetch->quorum, fetch, true);
    } else {
        fetch->err = warm(fetch);
    }
    bool more = fetch->err == ERR_OK && fetch->warmed < fetch->slice.size;
    return more ? SYS_JOB_AGAIN : SYS_JOB_DONE;
}

static void read_done(struct sys_job *job) {
    struct quorum_fetch *fetch = container_of(job, struct quorum_fetch, job);
    struct quorum *quorum = fetch->quorum;
    quorum->fetches_reading--;
    if (fetch->err != ERR_OK) {
        log_slice_release(&fetch->slice);
    }
    if (fetch->err == ERR_OFFSET_OUT_OF_RANGE) {
        advance(quorum, fetch, false); /* the log was shortened meanwhile: a snapshot, now */
    } else {
        if (fetch->err == ERR_OK) {
            note_observer(quorum, fetch);
        }
        answer(quorum, fetch, fetch->err);
    }
    quorum_kick(quorum); /* a stop may wait for this */
}

static void read_later(struct quorum *quorum, struct quorum_fetch *fetch) {
    if (fetch->waiting) {
        list_remove(&fetch->link);
        sys_timer_clear(quorum->options.loop, &fetch->timer);
        fetch->waiting = false;
    }
    fetch->warmed = 0;
    fetch->job =
        (struct sys_job){.run = read_step, .done = read_done, .loop = quorum->options.loop};
    quorum->fetches_reading++;
    sys_pool_submit(quorum->options.pool, &fetch->job);
}

/* --- from outside --- */

void quorum_fetch(struct quorum *quorum, struct quorum_fetch *fetch) {
    assert(sys_loop_is_current(quorum->options.loop));
    fetch->quorum = quorum;
    fetch->waiting = false;
    fetch->place = QUORUM_PLACE_SHARED;
    fetch->slice = (struct log_slice){0};
    advance(quorum, fetch, true);
}

void quorum_fetch_end(struct quorum_fetch *fetch) {
    if (fetch->waiting) {
        advance(fetch->quorum, fetch, false);
    }
}

void quorum_fetches_end(struct quorum *quorum) {
    struct list ending; /* those that begin while these are answered may wait */
    list_init(&ending);
    list_splice_last(&ending, &quorum->fetches);
    struct list *link;
    while ((link = list_first(&ending)) != NULL) {
        advance(quorum, container_of(link, struct quorum_fetch, link), false);
    }
}
