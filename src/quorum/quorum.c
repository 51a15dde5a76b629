/*
 * Life of a quorum and its drive of raft.
 *
 *   phase      leaves by
 *   --------   ----------------------------------------------------------------------------
 *   new        quorum_start
 *   loading    the load work ends (load.c): raft is made and started
 *   electing   the LeaderChange batch is committed (commit.c): first image, leader, started
 *   leading    quorum_stop
 *   failed     quorum_stop; reached from any phase by an error of the disk or of what is on it
 *   stopping   the work that runs has ended, and the log is closed
 *   stopped    quorum_free
 *
 * Invariants:
 *   1. One work at a time uses the log: quorum_kick gives out the next when the last has finished.
 *   2. Nothing is delivered and no append is done before log_flush has returned for it.
 *   3. Batches have their final offsets when they are queued: only this node writes the log, and a
 *      failed write ends the quorum before another one could take its offsets.
 */
#include "quorum/quorum.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quorum/quorum_int.h"

void quorum_options_init(struct quorum_options *options) {
    *options = (struct quorum_options){
        .election_timeout_ms = 1000,
        .snapshot_bytes = 20 * 1024 * 1024,
        .snapshot_interval_ms = 60 * 60 * 1000,
        .segment_bytes = 1024 * 1024 * 1024,
        .segment_ms = 7ll * 24 * 60 * 60 * 1000,
        .retention_bytes = 100 * 1024 * 1024,
        .retention_ms = 7ll * 24 * 60 * 60 * 1000,
    };
}

void quorum_print(char *text, size_t size, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(text, size, format, args);
    va_end(args);
}

/* --- works --- */

static enum sys_job_result work_run(struct sys_job *job) {
    struct quorum_work *work = container_of(job, struct quorum_work, job);
    bool done = false;
    work->err = work->step(work->quorum, &done);
    return done || work->err != ERR_OK ? SYS_JOB_DONE : SYS_JOB_AGAIN;
}

static void work_done(struct sys_job *job) {
    struct quorum_work *work = container_of(job, struct quorum_work, job);
    work->busy = false;
    work->finish(work->quorum, work->err);
    quorum_kick(work->quorum);
}

void quorum_work_init(struct quorum_work *work, struct quorum *quorum) {
    *work = (struct quorum_work){.quorum = quorum};
}

void quorum_work_run(struct quorum_work *work, err_t (*step)(struct quorum *, bool *),
                     void (*finish)(struct quorum *, err_t)) {
    assert(!work->busy);
    work->busy = true;
    work->step = step;
    work->finish = finish;
    work->job = (struct sys_job){
        .run = work_run,
        .done = work_done,
        .loop = work->quorum->options.loop,
    };
    sys_pool_submit(work->quorum->options.pool, &work->job);
}

/* --- making --- */

static void retry_write(struct sys_timer *timer) {
    quorum_kick(container_of(timer, struct quorum, retry_timer));
}

static void snapshot_time(struct sys_timer *timer) {
    quorum_snapshot_consider(container_of(timer, struct quorum, snapshot_timer));
}

err_t quorum_new(const struct quorum_options *options, struct quorum **ret_quorum) {
    struct quorum *quorum = calloc(1, sizeof *quorum);
    if (quorum == NULL) {
        abort();
    }
    quorum->options = *options;
    raft_voters_init(&quorum->static_voters);
    raft_voters_init(&quorum->voters);
    list_init(&quorum->listeners);
    list_init(&quorum->pending_appends);
    list_init(&quorum->flight_appends);
    quorum_work_init(&quorum->work, quorum);
    quorum_work_init(&quorum->snapshot_work, quorum);
    quorum->retry_timer.fire = retry_write;
    quorum->snapshot_timer.fire = snapshot_time;
    list_init(&quorum->fetches);
    quorum_print(quorum->folder, sizeof quorum->folder, "%s/" METADATA_FOLDER,
                 log_directory_path(options->directory));
    quorum->options.static_voters = STR_NULL; /* parsed here, not kept */
    if (options->static_voters.size > 0 &&
        raft_voters_parse(&quorum->static_voters, options->static_voters) != ERR_OK) {
        quorum_free(quorum);
        return ERR_INVALID;
    }
    *ret_quorum = quorum;
    return ERR_OK;
}

void quorum_free(struct quorum *quorum) {
    if (quorum == NULL) {
        return;
    }
    assert(!quorum->work.busy);
    assert(!quorum->snapshot_work.busy);
    assert(quorum->fetches_reading == 0);
    assert(list_empty(&quorum->fetches));
    quorum_load_free(quorum);
    raft_free(quorum->raft);
    log_free(quorum->log);
    meta_loader_free(quorum->loader);
    meta_image_unref(quorum->image);
    raft_voters_done(&quorum->voters);
    raft_voters_done(&quorum->static_voters);
    buffer_done(&quorum->pending);
    buffer_done(&quorum->flight);
    snapshot_list_free(&quorum->snapshots);
    raft_observers_done(&quorum->observers);
    free(quorum);
}

void quorum_add_listener(struct quorum *quorum, struct quorum_listener *listener) {
    list_add_last(&quorum->listeners, &listener->link);
}

void quorum_remove_listener(struct quorum *quorum, struct quorum_listener *listener) {
    (void)quorum;
    list_remove(&listener->link);
}

/* --- failing --- */

void quorum_fail(struct quorum *quorum, err_t err, const char *format, ...) {
    if (quorum->phase == QUORUM_FAILED || quorum->phase == QUORUM_STOPPING) {
        return;
    }
    bool leading = quorum->phase == QUORUM_LEADING;
    quorum->phase = QUORUM_FAILED;
    quorum->fail_err = err;
    va_list args;
    va_start(args, format);
    vsnprintf(quorum->text, sizeof quorum->text, format, args);
    va_end(args);
    sys_timer_clear(quorum->options.loop, &quorum->retry_timer);
    sys_timer_clear(quorum->options.loop, &quorum->snapshot_timer);
    if (quorum->raft != NULL) {
        quorum_raft_step(quorum, RAFT_STORAGE_FAILED, 0);
    }
    if (!leading) {
        quorum->started(quorum->started_arg, err, quorum->text);
        return;
    }
    quorum_fail_appends(quorum);
    quorum_fetches_end(quorum);
    struct list *link, *after;
    list_for_each_safe (link, after, &quorum->listeners) {
        struct quorum_listener *listener = container_of(link, struct quorum_listener, link);
        if (listener->leader != NULL) {
            listener->leader(listener, -1);
        }
        if (listener->failed != NULL) {
            listener->failed(listener, err, quorum->text);
        }
    }
}

/* --- driving raft --- */

void quorum_raft_step(struct quorum *quorum, enum raft_input_type type, int64_t end_offset) {
    uint64_t random = 0;
    sys_random(quorum->options.sys, &random, sizeof random);
    struct raft_input input = {.type = type, .end_offset = end_offset};
    struct raft_output output;
    raft_step(quorum->raft, &input, sys_loop_now_ms(quorum->options.loop), random, &output);
    assert(output.deadline_ms == INT64_MAX); /* a quorum of one waits for nobody */
    if (output.save_election) {
        quorum->election = output.election;
        quorum->election_due = true;
    }
    if (output.start_epoch) {
        quorum_start_epoch(quorum);
    }
    if (output.high_watermark_moved) {
        assert(output.high_watermark == quorum->flight_end_offset);
        quorum_commit(quorum);
    }
}

static err_t save_election_step(struct quorum *quorum, bool *ret_done) {
    *ret_done = true;
    return election_file_write(quorum->options.sys, quorum->folder, &quorum->election,
                               quorum->kraft_version, &quorum->voters);
}

static void election_saved(struct quorum *quorum, err_t err) {
    if (err != ERR_OK) {
        (void)log_directory_note(quorum->options.directory, err);
        quorum_fail(quorum, err, "%s/quorum-state cannot be written: %s", quorum->folder,
                    err_text(err));
        return;
    }
    if (quorum->phase == QUORUM_ELECTING) {
        quorum_raft_step(quorum, RAFT_ELECTION_SAVED, 0);
    }
}

/* --- stopping --- */

static err_t close_step(struct quorum *quorum, bool *ret_done) {
    *ret_done = true;
    return quorum->log == NULL ? ERR_OK : log_close(quorum->log);
}

static void closed(struct quorum *quorum, err_t err) {
    if (err != ERR_OK) {
        text_log_warn(quorum->options.text_log, "quorum",
                      "%s could not be closed cleanly and will be recovered at the next start: %s",
                      quorum->folder, err_text(err));
    }
    quorum->phase = QUORUM_STOPPED;
    quorum->stopped(quorum->stopped_arg);
}

void quorum_stop(struct quorum *quorum, void (*stopped)(void *arg), void *arg) {
    assert(quorum->phase != QUORUM_STOPPING);
    assert(quorum->phase != QUORUM_STOPPED);
    quorum->stopped = stopped;
    quorum->stopped_arg = arg;
    bool leading = quorum->phase == QUORUM_LEADING;
    if (quorum->raft != NULL) {
        quorum_raft_step(quorum, RAFT_STOP, 0);
    }
    quorum->phase = QUORUM_STOPPING;
    atomic_store(&quorum->cancel_snapshot, true);
    sys_timer_clear(quorum->options.loop, &quorum->retry_timer);
    sys_timer_clear(quorum->options.loop, &quorum->snapshot_timer);
    quorum_fail_appends(quorum);
    quorum_fetches_end(quorum);
    struct list *link, *after;
    list_for_each_safe (link, after, &quorum->listeners) {
        struct quorum_listener *listener = container_of(link, struct quorum_listener, link);
        if (leading && listener->leader != NULL) {
            listener->leader(listener, -1);
        }
    }
    quorum_kick(quorum);
}

/* --- what is next for the worker --- */

void quorum_kick(struct quorum *quorum) {
    if (quorum->work.busy || quorum->delivering) {
        return;
    }
    switch (quorum->phase) {
    case QUORUM_ELECTING:
    case QUORUM_LEADING:
        if (quorum->election_due) {
            quorum->election_due = false;
            quorum_work_run(&quorum->work, save_election_step, election_saved);
        } else if (quorum_write_due(quorum)) {
            quorum_write_start(quorum);
        } else if (quorum->clean_due) {
            quorum->clean_due = false;
            quorum_clean_start(quorum);
        }
        break;
    case QUORUM_STOPPING:
        if (!quorum->snapshot_work.busy && quorum->fetches_reading == 0) {
            quorum_work_run(&quorum->work, close_step, closed);
        }
        break;
    case QUORUM_NEW:
    case QUORUM_LOADING:
    case QUORUM_FAILED:
    case QUORUM_STOPPED:
        break;
    }
}

/* --- questions --- */

void quorum_progress(const struct quorum *quorum, uint64_t *ret_done, uint64_t *ret_total) {
    *ret_done = atomic_load(&quorum->progress_done);
    *ret_total = atomic_load(&quorum->progress_total);
}

struct meta_image *quorum_image(const struct quorum *quorum) {
    return quorum->image;
}

bool quorum_is_leader(const struct quorum *quorum) {
    return quorum->phase == QUORUM_LEADING;
}

bool quorum_in_transaction(const struct quorum *quorum) {
    return quorum->loader != NULL && meta_loader_in_transaction(quorum->loader);
}

int32_t quorum_leader_epoch(const struct quorum *quorum) {
    return quorum->raft == NULL ? -1 : raft_epoch(quorum->raft);
}

int64_t quorum_next_offset(const struct quorum *quorum) {
    return quorum->next_offset;
}

void quorum_describe(struct quorum *quorum, struct quorum_description *ret_description) {
    int64_t now_ms = sys_wall_ms(quorum->options.sys);
    raft_observers_expire(&quorum->observers, now_ms);
    *ret_description = (struct quorum_description){
        .leader_id = quorum->raft == NULL ? -1 : raft_leader_id(quorum->raft),
        .leader_epoch = quorum_leader_epoch(quorum),
        .high_watermark = quorum->raft == NULL ? -1 : raft_high_watermark(quorum->raft),
        .kraft_version = quorum->kraft_version,
        .voter =
            {
                .id = quorum->meta.node_id,
                .directory_id = quorum->kraft_version > 0 ? quorum->meta.directory_id : UUID_ZERO,
                .log_end_offset = quorum->log == NULL ? -1 : log_end_offset(quorum->log),
                .last_fetch_ms = now_ms,
                .last_caught_up_ms = now_ms,
            },
        .voters = &quorum->voters,
        .observers = &quorum->observers,
    };
}
