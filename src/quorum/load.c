/*
 * Loading at the start, in slices on a worker:
 *
 *   tidy       a snapshot that a crash left half-written is removed
 *   list       the folder's snapshots
 *   snapshot   the newest one that is whole; a damaged one is set aside (bug T29), the next older
 *              one is tried, and the log then has to reach further back
 *   log        made when there is none, else opened
 *   recover    after anything but a clean stop
 *   fit        snapshot and log must join without a gap
 *   replay     what the log has behind the snapshot
 *   election   quorum-state
 *
 * Nothing is ever deleted to make a start succeed: where metadata would be missing, the start fails
 * with a sentence that says which.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quorum/load_int.h"

void quorum_load_free(struct quorum *quorum) {
    struct quorum_load *load = quorum->load;
    if (load != NULL) {
        snapshot_list_free(&load->snapshots);
        meta_snapshot_reader_free(load->reader);
        meta_delta_free(load->delta);
        buffer_done(&load->data);
        arena_done(&load->arena);
        free(load);
        quorum->load = NULL;
    }
}

/* --- snapshots --- */

static err_t tidy(struct quorum *quorum, struct quorum_load *load) {
    load->stage = STAGE_LIST;
    return snapshot_remove_leftovers(quorum->options.sys, quorum->folder);
}

static err_t list_snapshots(struct quorum *quorum, struct quorum_load *load) {
    err_t err = snapshot_list_read(quorum->options.sys, quorum->folder, &load->snapshots);
    load->has_folder = err == ERR_OK;
    load->snapshots_left = load->snapshots.count;
    load->stage = load->snapshots_left > 0 ? STAGE_SNAPSHOT : STAGE_LOG;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static err_t open_snapshot(struct quorum *quorum, struct quorum_load *load) {
    char name[META_SNAPSHOT_NAME_MAX];
    load->snapshot = load->snapshots.ids[--load->snapshots_left];
    meta_snapshot_name(load->snapshot, name);
    quorum_print(load->snapshot_path, sizeof load->snapshot_path, "%s/%s", quorum->folder, name);
    err_t err = meta_snapshot_reader_open(quorum->options.sys, load->snapshot_path, &load->reader);
    if (err != ERR_OK) {
        return FAIL(load, err, "the metadata snapshot %s cannot be opened: %s", load->snapshot_path,
                    err_text(err));
    }
    struct meta_image *empty = meta_image_new();
    load->delta = meta_delta_new(empty);
    meta_image_unref(empty);
    uint64_t done, total;
    meta_snapshot_reader_progress(load->reader, &done, &total);
    load->snapshot_size = total;
    atomic_store(&quorum->progress_done, 0);
    atomic_store(&quorum->progress_total, total);
    return ERR_OK;
}

/* Renames it so that nobody takes it for good, and everybody can look at it. */
static err_t set_aside(struct quorum *quorum, struct quorum_load *load) {
    char aside[QUORUM_PATH_SIZE + 16];
    quorum_print(aside, sizeof aside, "%s.damaged", load->snapshot_path);
    text_log_error(quorum->options.text_log, "quorum",
                   "the metadata snapshot %s is damaged %s; it is kept as %s, and an older one or "
                   "the log itself is used",
                   load->snapshot_path, meta_snapshot_reader_error(load->reader), aside);
    meta_snapshot_reader_free(load->reader);
    load->reader = NULL;
    meta_delta_free(load->delta);
    load->delta = NULL;
    err_t err = sys_path_rename(quorum->options.sys, load->snapshot_path, aside);
    if (err != ERR_OK) {
        return FAIL(load, err, "the damaged metadata snapshot %s cannot be renamed: %s",
                    load->snapshot_path, err_text(err));
    }
    load->stage = load->snapshots_left > 0 ? STAGE_SNAPSHOT : STAGE_LOG;
    return ERR_OK;
}

static void take_snapshot(struct quorum *quorum, struct quorum_load *load) {
    struct meta_provenance provenance = {
        .offset = load->snapshot.offset - 1,
        .epoch = load->snapshot.epoch,
        .timestamp_ms = meta_snapshot_reader_timestamp_ms(load->reader),
    };
    struct meta_image *image = meta_delta_finish(load->delta, &provenance, NULL);
    load->delta = NULL;
    quorum->loader = meta_loader_new(image);
    meta_image_unref(image);
    quorum->kraft_version = meta_snapshot_reader_kraft_version(load->reader);
    if (meta_snapshot_reader_voters(load->reader) != NULL) {
        raft_voters_from_record(&quorum->voters, meta_snapshot_reader_voters(load->reader));
        quorum->voters_in_log = load->snapshot.offset > 0;
    }
    meta_snapshot_reader_free(load->reader);
    load->reader = NULL;
    load->has_snapshot = true;
    load->stage = STAGE_LOG;
}

static err_t read_snapshot(struct quorum *quorum, struct quorum_load *load) {
    if (load->reader == NULL) {
        return open_snapshot(quorum, load);
    }
    bool done = false;
    err_t err = meta_snapshot_reader_step(load->reader, load->delta, &done);
    uint64_t position, size;
    meta_snapshot_reader_progress(load->reader, &position, &size);
    atomic_store(&quorum->progress_done, position);
    if (err == ERR_CORRUPT) {
        return set_aside(quorum, load);
    }
    if (err != ERR_OK) {
        return FAIL(load, err, "the metadata snapshot %s cannot be read: %s %s",
                    load->snapshot_path, err_text(err), meta_snapshot_reader_error(load->reader));
    }
    if (done) {
        take_snapshot(quorum, load);
    }
    return ERR_OK;
}

/* --- the log --- */

static void log_settings(const struct quorum *quorum, struct log_config *config) {
    log_config_init(config);
    config->segment_bytes = quorum->options.segment_bytes;
    config->segment_ms = quorum->options.segment_ms;
    config->retention_ms = -1; /* only what a snapshot holds may go: snapshots.c */
    config->retention_bytes = -1;
}

static err_t open_log(struct quorum *quorum, struct quorum_load *load) {
    struct log_config config;
    log_settings(quorum, &config);
    err_t err;
    if (load->has_folder) {
        err = log_open(quorum->options.directory, METADATA_FOLDER, &config, &quorum->log);
    } else {
        err = log_create(quorum->options.directory, STR(METADATA_TOPIC), 0, UUID_ONE, 0, &config,
                         &quorum->log);
    }
    if (err != ERR_OK) {
        return FAIL(load, err, "the metadata log %s cannot be opened: %s", quorum->folder,
                    err_text(err));
    }
    load->stage = log_needs_recovery(quorum->log) ? STAGE_RECOVER : STAGE_FIT;
    return ERR_OK;
}

static err_t recover_log(struct quorum *quorum, struct quorum_load *load) {
    bool done = false;
    struct log_recovery_progress progress = {0};
    err_t err = log_recovery_step(quorum->log, &done, &progress);
    if (err != ERR_OK) {
        return FAIL(load, err, "the metadata log %s cannot be recovered: %s", quorum->folder,
                    err_text(err));
    }
    atomic_store(&quorum->progress_done, load->snapshot_size + progress.bytes_done);
    atomic_store(&quorum->progress_total, load->snapshot_size + progress.bytes_total);
    if (done) {
        load->stage = STAGE_FIT;
    }
    return ERR_OK;
}

/* The log as recovered, and the snapshot that was read. */
static err_t fit(struct quorum *quorum, struct quorum_load *load) {
    int64_t start_offset = log_start_offset(quorum->log);
    int64_t end_offset = log_end_offset(quorum->log);
    load->offset = load->has_snapshot ? load->snapshot.offset : 0;
    load->stage = STAGE_REPLAY;
    if (load->offset < start_offset) {
        return FAIL(load, ERR_CORRUPT,
                    "the metadata log %s begins at offset %lld, and there is no undamaged snapshot "
                    "that reaches so far; restore one (<offset>-<epoch>.checkpoint) from a backup",
                    quorum->folder, (long long)start_offset);
    }
    if (load->offset > end_offset) {
        text_log_warn(quorum->options.text_log, "quorum",
                      "the metadata log %s ends at offset %lld, before its snapshot at %lld; it "
                      "goes on behind the snapshot",
                      quorum->folder, (long long)end_offset, (long long)load->offset);
        err_t err = log_truncate_fully(quorum->log, load->offset);
        if (err != ERR_OK) {
            return FAIL(load, err, "the metadata log %s cannot be written: %s", quorum->folder,
                        err_text(err));
        }
    }
    if (quorum->loader == NULL) {
        struct meta_image *empty = meta_image_new();
        quorum->loader = meta_loader_new(empty);
        meta_image_unref(empty);
    }
    err_t err = log_topic_id_set(quorum->log, UUID_ONE);
    return err == ERR_OK ? err
                         : FAIL(load, err, "%s/partition.metadata does not fit: %s", quorum->folder,
                                err_text(err));
}

/* --- steps, and the end --- */

static err_t load_step(struct quorum *quorum, bool *ret_done) {
    struct quorum_load *load = quorum->load;
    err_t err = ERR_OK;
    switch (load->stage) {
    case STAGE_TIDY:
        err = tidy(quorum, load);
        break;
    case STAGE_LIST:
        err = list_snapshots(quorum, load);
        break;
    case STAGE_SNAPSHOT:
        err = read_snapshot(quorum, load);
        break;
    case STAGE_LOG:
        err = open_log(quorum, load);
        break;
    case STAGE_RECOVER:
        err = recover_log(quorum, load);
        break;
    case STAGE_FIT:
        err = fit(quorum, load);
        break;
    case STAGE_REPLAY:
        err = quorum_replay(quorum, load);
        break;
    case STAGE_ELECTION:
        err = election_file_read(quorum->options.sys, quorum->folder, &load->election, load->text,
                                 sizeof load->text);
        load->stage = STAGE_END;
        break;
    case STAGE_END:
        break;
    }
    *ret_done = load->stage == STAGE_END;
    return err;
}

/* Which voters count: those of the log, else those of the settings. */
static const char *choose_voters(struct quorum *quorum) {
    if (quorum->kraft_version == 0 && quorum->static_voters.voter_count > 0) {
        raft_voters_copy(&quorum->voters, &quorum->static_voters);
    }
    if (quorum->voters.voter_count == 0) {
        return "it knows no voters: set controller.quorum.voters, or format the directory with "
               "`ottla storage format --standalone`";
    }
    const struct raft_options options = {
        .node_id = quorum->meta.node_id,
        .directory_id = quorum->meta.directory_id,
    };
    return raft_refusal(&options, &quorum->voters);
}

static void load_finished(struct quorum *quorum, err_t err) {
    struct quorum_load *load = quorum->load;
    if (quorum->phase == QUORUM_STOPPING) {
        return;
    }
    if (err != ERR_OK) {
        quorum_fail(quorum, err, "%s", load->text[0] != '\0' ? load->text : err_text(err));
        return;
    }
    const char *refusal = choose_voters(quorum);
    if (refusal != NULL) {
        quorum_fail(quorum, ERR_UNSUPPORTED, "the metadata log %s: %s", quorum->folder, refusal);
        return;
    }
    quorum->next_offset = log_end_offset(quorum->log);
    if (load->has_snapshot) { /* those behind it were set aside, those before it are still there */
        quorum->snapshots = load->snapshots;
        quorum->snapshots.count = load->snapshots_left + 1;
        load->snapshots = (struct snapshot_list){0};
    }
    quorum->snapshot_mono_ms = sys_mono_ms(quorum->options.sys);
    quorum->clean_due = true;
    struct raft_options options = {
        .node_id = quorum->meta.node_id,
        .directory_id = quorum->meta.directory_id,
        .election_timeout_ms = quorum->options.election_timeout_ms,
    };
    int32_t log_epoch = meta_loader_image(quorum->loader)->provenance.epoch;
    int32_t cached_epoch = log_latest_epoch(quorum->log);
    err = raft_new(&options, &load->election, &quorum->voters, quorum->next_offset,
                   log_epoch > cached_epoch ? log_epoch : cached_epoch, &quorum->raft);
    assert(err == ERR_OK); /* refused above otherwise */
    quorum_load_free(quorum);
    quorum->phase = QUORUM_ELECTING;
    quorum_raft_step(quorum, RAFT_START, 0);
}

void quorum_load_start(struct quorum *quorum) {
    quorum->load = calloc(1, sizeof *quorum->load);
    if (quorum->load == NULL) {
        abort();
    }
    arena_init(&quorum->load->arena, SIZE_MAX);
    quorum->phase = QUORUM_LOADING;
    quorum_work_run(&quorum->work, load_step, load_finished);
}

/* Refuses later, from the loop: no callback from within the user's call. */
static err_t unformatted_step(struct quorum *quorum, bool *ret_done) {
    (void)quorum;
    *ret_done = true;
    return ERR_NOT_FOUND;
}

static void unformatted(struct quorum *quorum, err_t err) {
    quorum_fail(quorum, err,
                "the metadata directory %s is not formatted; `ottla storage format` does it",
                log_directory_path(quorum->options.directory));
}

void quorum_start(struct quorum *quorum, quorum_started_fn started, void *arg) {
    assert(quorum->phase == QUORUM_NEW);
    quorum->started = started;
    quorum->started_arg = arg;
    if (log_directory_meta(quorum->options.directory, &quorum->meta)) {
        quorum_load_start(quorum);
    } else {
        quorum->phase = QUORUM_LOADING;
        quorum_work_run(&quorum->work, unformatted_step, unformatted);
    }
}
