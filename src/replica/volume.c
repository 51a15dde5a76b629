/*
 * When a reactor may write inline
 *
 *   dirty bytes of the directory      below VOLUME_DIRTY_BYTES_MAX: the kernel has room to take a
 *                                     write without throttling the writer
 *   the last inline write             took less than VOLUME_SLOW_WRITE_NS; else workers write for
 *                                     VOLUME_SLOW_PENALTY_MS
 *   the directory                     is not offline
 */
#include "replica/volume.h"

#include <stdlib.h>

#include "base/limits.h"
#include "sys/sys.h"

enum { VOLUME_WRITER_THREADS = 2, VOLUME_SLOW_PENALTY_MS = 1000 };

#define VOLUME_SLOW_WRITE_NS (20 * 1000 * 1000)

err_t volume_open(const struct volume_settings *settings, struct volume **ret_volume) {
    struct volume *volume = calloc(1, sizeof *volume);
    volume->sys = settings->sys;
    volume->text_log = settings->text_log;
    volume->failed = settings->failed;
    volume->failed_arg = settings->failed_arg;

    err_t err = log_directory_open(settings->sys, settings->text_log, settings->cache,
                                   settings->path, &volume->directory);
    if (err == ERR_OK) {
        err = sys_pool_new(settings->sys, "writer", VOLUME_WRITER_THREADS, &volume->writers);
    }
    if (err == ERR_OK) {
        err = sys_pool_new(settings->sys, "upkeep", settings->upkeep_threads, &volume->upkeep);
    }
    if (err != ERR_OK) {
        volume_close(volume);
        return err;
    }
    struct log_meta meta;
    if (log_directory_meta(volume->directory, &meta) && meta.has_directory_id) {
        volume->id = meta.directory_id;
    }
    *ret_volume = volume;
    return ERR_OK;
}

void volume_close(struct volume *volume) {
    if (volume == NULL) {
        return;
    }
    sys_pool_free(volume->writers);
    sys_pool_free(volume->upkeep);
    log_directory_close(volume->directory);
    free(volume);
}

bool volume_is_healthy(struct volume *volume) {
    return log_directory_state(volume->directory) == ERR_OK &&
           log_directory_dirty_bytes(volume->directory) < VOLUME_DIRTY_BYTES_MAX &&
           sys_mono_ms(volume->sys) >=
               atomic_load_explicit(&volume->inline_after_ms, memory_order_relaxed);
}

void volume_note_write(struct volume *volume, int64_t took_ns) {
    if (took_ns > VOLUME_SLOW_WRITE_NS) {
        atomic_store_explicit(&volume->inline_after_ms,
                              sys_mono_ms(volume->sys) + VOLUME_SLOW_PENALTY_MS,
                              memory_order_relaxed);
    }
}

void volume_note_synced(struct volume *volume) {
    atomic_store_explicit(&volume->synced, true, memory_order_relaxed);
}

/* A disk that is nearly full refuses what is large and takes what is small: one line says so, and
 * one that it is over. */
static void note_full(struct volume *volume, bool full) {
    const char *path = log_directory_path(volume->directory);
    int64_t now_ms = sys_mono_ms(volume->sys);
    if (full) {
        atomic_store(&volume->full_ms, now_ms);
        if (!atomic_exchange(&volume->full_said, true)) {
            text_log_error(volume->text_log, "log",
                           "The disk of %s is full; producers get KAFKA_STORAGE_ERROR until there "
                           "is room again, reading goes on",
                           path);
        }
    } else if (now_ms - atomic_load(&volume->full_ms) >= VOLUME_ROOM_AGAIN_MS &&
               atomic_exchange(&volume->full_said, false)) {
        text_log_info(volume->text_log, "log", "The disk of %s has room again", path);
    }
}

err_t volume_note(struct volume *volume, err_t err) {
    const char *path = log_directory_path(volume->directory);
    if (log_directory_state(volume->directory) != ERR_OK &&
        !atomic_exchange(&volume->failed_said, true)) {
        text_log_error(volume->text_log, "log",
                       "The directory %s failed and is offline; its partitions answer "
                       "KAFKA_STORAGE_ERROR until the disk is mended and the node started again",
                       path);
        if (volume->failed != NULL) {
            volume->failed(volume->failed_arg);
        }
    }
    bool full = err == ERR_NO_SPACE || log_directory_full(volume->directory);
    if (full || atomic_load(&volume->full_said)) {
        note_full(volume, full);
    }
    return err;
}

err_t volume_log_err(err_t err) {
    return err == ERR_NOT_FOUND || err == ERR_INVALID || err == ERR_EXISTS ? ERR_IO : err;
}
