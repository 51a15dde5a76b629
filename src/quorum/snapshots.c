/*
 * Snapshots while the quorum runs: when to write one, and what may go once it is there.
 *
 * A snapshot is due when metadata.log.max.record.bytes.between.snapshots have been committed since
 * the last one, or metadata.log.max.snapshot.interval.ms have passed and anything was committed.
 * None is written inside a metadata transaction: the image lags behind the log there.
 *
 * Cleaning looks at pairs (snapshot, the next newer one), the oldest first, as Kafka does: the
 * older one goes when log and snapshots together are larger than metadata.max.retention.bytes, or
 * when it is older than metadata.max.retention.ms. The log then begins at the newer one, and
 * segments wholly before that are deleted. The newest snapshot never goes.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quorum/quorum_int.h"
#include "sys/file.h"
#include "wire/messages.h"

/* --- what is in the folder --- */

static bool ends_with(const char *text, const char *end) {
    size_t size = strlen(text);
    size_t end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static int compare_ids(const void *a, const void *b) {
    const struct meta_snapshot_id *x = a;
    const struct meta_snapshot_id *y = b;
    if (x->offset != y->offset) {
        return x->offset < y->offset ? -1 : 1;
    }
    return x->epoch < y->epoch ? -1 : x->epoch > y->epoch;
}

err_t snapshot_list_read(struct sys *sys, const char *folder, struct snapshot_list *ret_list) {
    struct sys_dir_list names;
    err_t err = sys_dir_list(sys, folder, &names);
    if (err != ERR_OK) {
        return err;
    }
    struct snapshot_list list = {.ids = calloc(names.count + 1, sizeof *list.ids)};
    if (list.ids == NULL) {
        abort();
    }
    for (size_t i = 0; i < names.count; i++) {
        list.count += meta_snapshot_parse_name(names.names[i], &list.ids[list.count]);
    }
    sys_dir_list_free(&names);
    qsort(list.ids, list.count, sizeof *list.ids, compare_ids);
    *ret_list = list;
    return ERR_OK;
}

err_t snapshot_remove_leftovers(struct sys *sys, const char *folder) {
    struct sys_dir_list names;
    err_t err = sys_dir_list(sys, folder, &names);
    if (err != ERR_OK) {
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    }
    for (size_t i = 0; i < names.count && err == ERR_OK; i++) {
        if (ends_with(names.names[i], ".checkpoint.part") ||
            ends_with(names.names[i], ".checkpoint.deleted")) {
            char path[QUORUM_PATH_SIZE];
            quorum_print(path, sizeof path, "%s/%s", folder, names.names[i]);
            err = sys_path_remove(sys, path);
        }
    }
    sys_dir_list_free(&names);
    return err;
}

static void snapshot_list_add(struct snapshot_list *list, struct meta_snapshot_id id) {
    list->ids = reallocarray(list->ids, list->count + 1, sizeof *list->ids);
    if (list->ids == NULL) {
        abort();
    }
    list->ids[list->count++] = id;
}

static void snapshot_list_remove_through(struct snapshot_list *list, int64_t offset) {
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->ids[i].offset > offset) {
            list->ids[kept++] = list->ids[i];
        }
    }
    list->count = kept;
}

void snapshot_list_free(struct snapshot_list *list) {
    free(list->ids);
    *list = (struct snapshot_list){0};
}

static void snapshot_path(const struct quorum *quorum, struct meta_snapshot_id id,
                          char path[QUORUM_PATH_SIZE]) {
    char name[META_SNAPSHOT_NAME_MAX];
    meta_snapshot_name(id, name);
    quorum_print(path, QUORUM_PATH_SIZE, "%s/%s", quorum->folder, name);
}

/* --- writing --- */

static err_t write_step(struct quorum *quorum, bool *ret_done) {
    if (atomic_load(&quorum->cancel_snapshot)) {
        *ret_done = true;
        return ERR_SHUTTING_DOWN;
    }
    return meta_snapshot_writer_step(quorum->snapshot_writer, ret_done);
}

static void written(struct quorum *quorum, err_t err) {
    uint64_t size = meta_snapshot_writer_size(quorum->snapshot_writer);
    meta_snapshot_writer_free(quorum->snapshot_writer);
    quorum->snapshot_writer = NULL;
    quorum->snapshot_mono_ms = sys_mono_ms(quorum->options.sys);
    char path[QUORUM_PATH_SIZE];
    snapshot_path(quorum, quorum->snapshot_writing, path);
    if (err == ERR_OK) {
        text_log_info(quorum->options.text_log, "quorum", "wrote metadata snapshot %s, %llu bytes",
                      path, (unsigned long long)size);
        snapshot_list_add(&quorum->snapshots, quorum->snapshot_writing);
        quorum->clean_due = true;
    } else if (err != ERR_SHUTTING_DOWN) {
        (void)log_directory_note(quorum->options.directory, err);
        text_log_warn(quorum->options.text_log, "quorum",
                      "metadata snapshot %s could not be written: %s; the log is kept and it is "
                      "tried again later",
                      path, err_text(err));
    }
    quorum_snapshot_consider(quorum);
}

const struct meta_snapshot_id *quorum_newest_snapshot(const struct quorum *quorum) {
    const struct snapshot_list *list = &quorum->snapshots;
    return list->count == 0 ? NULL : &list->ids[list->count - 1];
}

void quorum_snapshot(struct quorum *quorum) {
    const struct meta_image *image = quorum->image;
    const struct meta_snapshot_id *newest = quorum_newest_snapshot(quorum);
    if (quorum->phase != QUORUM_LEADING || quorum->snapshot_work.busy ||
        meta_loader_in_transaction(quorum->loader) ||
        (newest != NULL && image->provenance.offset + 1 <= newest->offset)) {
        return;
    }
    quorum->snapshot_writing = (struct meta_snapshot_id){
        .offset = image->provenance.offset + 1,
        .epoch = image->provenance.epoch,
    };
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct voters_record voters;
    raft_voters_to_record(&quorum->voters, &arena, &voters);
    struct meta_snapshot_head head = {
        .epoch = image->provenance.epoch,
        .last_contained_timestamp_ms = image->provenance.timestamp_ms,
        .kraft_version = quorum->kraft_version,
        .voters = &voters,
    };
    char name[META_SNAPSHOT_NAME_MAX];
    meta_snapshot_name(quorum->snapshot_writing, name);
    quorum->snapshot_writer =
        meta_snapshot_writer_new(quorum->options.sys, quorum->folder, name, quorum->image, &head);
    arena_done(&arena);
    quorum->bytes_since_snapshot = 0;
    sys_timer_clear(quorum->options.loop, &quorum->snapshot_timer);
    quorum_work_run(&quorum->snapshot_work, write_step, written);
}

void quorum_snapshot_consider(struct quorum *quorum) {
    if (quorum->phase != QUORUM_LEADING || quorum->bytes_since_snapshot == 0 ||
        quorum->snapshot_work.busy) {
        return;
    }
    int64_t interval_ms = quorum->options.snapshot_interval_ms;
    int64_t due_ms = interval_ms == 0 ? INT64_MAX : quorum->snapshot_mono_ms + interval_ms;
    if (quorum->bytes_since_snapshot >= quorum->options.snapshot_bytes ||
        sys_mono_ms(quorum->options.sys) >= due_ms) {
        quorum_snapshot(quorum);
    } else if (due_ms != INT64_MAX && !sys_timer_is_set(&quorum->snapshot_timer)) {
        sys_timer_set(quorum->options.loop, &quorum->snapshot_timer, due_ms);
    }
}

/* --- cleaning --- */

static uint64_t total_size(struct quorum *quorum, const struct snapshot_list *list) {
    uint64_t total = log_size(quorum->log);
    for (size_t i = 0; i < list->count; i++) {
        char path[QUORUM_PATH_SIZE];
        struct sys_stat stat;
        snapshot_path(quorum, list->ids[i], path);
        if (sys_path_stat(quorum->options.sys, path, &stat) == ERR_OK) {
            total += stat.size;
        }
    }
    return total;
}

static bool too_old(struct quorum *quorum, struct meta_snapshot_id id) {
    char path[QUORUM_PATH_SIZE];
    struct sys_stat stat;
    snapshot_path(quorum, id, path);
    return quorum->options.retention_ms >= 0 &&
           sys_path_stat(quorum->options.sys, path, &stat) == ERR_OK &&
           sys_wall_ms(quorum->options.sys) - stat.modified_ms > quorum->options.retention_ms;
}

/* The log may begin where a snapshot ends. */
static err_t shorten_log(struct quorum *quorum, int64_t offset) {
    if (log_start_offset(quorum->log) < offset) {
        err_t err = log_delete_records(quorum->log, offset);
        if (err != ERR_OK) {
            return err;
        }
    }
    bool more = true;
    err_t err = ERR_OK;
    while (err == ERR_OK && more) {
        err = log_retention_step(quorum->log, sys_wall_ms(quorum->options.sys), &more);
    }
    return err;
}

/* Takes at most the oldest snapshot. */
static err_t clean_step(struct quorum *quorum, bool *ret_done) {
    struct snapshot_list list;
    err_t err = snapshot_list_read(quorum->options.sys, quorum->folder, &list);
    if (err != ERR_OK) {
        return err;
    }
    int64_t bytes_max = quorum->options.retention_bytes;
    bool too_large = bytes_max >= 0 && total_size(quorum, &list) > (uint64_t)bytes_max;
    *ret_done = list.count < 2 || !(too_large || too_old(quorum, list.ids[0]));
    if (!*ret_done) {
        char path[QUORUM_PATH_SIZE];
        snapshot_path(quorum, list.ids[0], path);
        err = shorten_log(quorum, list.ids[1].offset); /* first: the newer one must suffice */
        if (err == ERR_OK) {
            err = sys_path_remove(quorum->options.sys, path);
        }
        if (err == ERR_OK) {
            quorum->snapshot_removed = list.ids[0].offset;
        }
    }
    snapshot_list_free(&list);
    return err;
}

static void cleaned(struct quorum *quorum, err_t err) {
    snapshot_list_remove_through(&quorum->snapshots, quorum->snapshot_removed);
    if (err != ERR_OK) {
        text_log_warn(quorum->options.text_log, "quorum",
                      "old metadata snapshots in %s could not be removed: %s", quorum->folder,
                      err_text(err));
    }
}

void quorum_clean_start(struct quorum *quorum) {
    quorum->snapshot_removed = -1;
    quorum_work_run(&quorum->work, clean_step, cleaned);
}
