/*
 * The end of a damaged log. A write that a power cut tore was never promised, and its remains are
 * dropped. It is more than that, and is set aside in files beside the segments, when
 *
 *   - it lies below the recovery point: it had been synced;
 *   - or good batches, or segments, follow it: it was whole once.
 *
 *     00000000000000000042.log.1234.damaged   bytes from position 1234 of that segment on
 *     00000000000000000099.log.damaged        a segment that followed
 *
 * Kafka ignores such names. Nothing removes these files but people.
 *
 * A power cut may also keep a later segment and lose the end of an earlier one, at the end of a
 * batch. A segment begins where the one before ended, so the hole shows. A cleaner makes others, in
 * logs that are compacted: ours below the recovery point only, Kafka's anywhere below the active
 * segment, so in those a hole passes, and passes from then on (gaps.c).
 *
 * In those a hole counts only when nothing follows it but empty segments: nobody could read up to
 * the log's end. Our cleaner leaves none there, for the batch at the end of what it cleans stays.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "log/recovery_int.h"

/* Whether the batch after the bad one is good. Best effort: read errors count as no. */
static bool good_batch_follows(const struct log_segment *segment, struct sys_file *file,
                               uint64_t position, const struct recovery_batch *bad) {
    if (!bad->has_header || bad->header.size >= segment->size - position) {
        return false;
    }
    uint64_t next = position + bad->header.size;
    uint64_t left = segment->size - next;
    size_t size = left < LOG_RECOVERY_CHUNK ? (size_t)left : LOG_RECOVERY_CHUNK;
    uint8_t *data = malloc(size);
    size_t got;
    struct batch_header header;
    bool good = sys_file_read(file, next, data, size, &got) == ERR_OK &&
                batch_header_read(data, got, &header) == NULL && header.size <= got &&
                batch_crc_good(&header, data);
    free(data);
    return good;
}

static err_t copy_tail(struct log *log, struct sys_file *from, uint64_t position, uint64_t end,
                       const char *path) {
    struct sys_file *to;
    err_t err = sys_file_open(log->sys, path, SYS_FILE_CREATE | SYS_FILE_TRUNCATE, &to);
    if (err != ERR_OK) {
        return err;
    }
    uint8_t *data = malloc(LOG_RECOVERY_CHUNK);
    for (uint64_t at = position; at < end && err == ERR_OK;) {
        size_t size = end - at < LOG_RECOVERY_CHUNK ? (size_t)(end - at) : LOG_RECOVERY_CHUNK;
        size_t got = 0;
        err = sys_file_read(from, at, data, size, &got);
        if (err == ERR_OK && got > 0) {
            err = sys_file_write(to, at - position, data, got);
        }
        at += got > 0 ? got : size;
    }
    if (err == ERR_OK) {
        err = sys_file_sync(to);
    }
    free(data);
    sys_file_close(to);
    return err;
}

/* Takes a segment out of the log; its .log is kept under another name. */
static err_t segment_set_aside(struct log *log, size_t index) {
    struct log_segment *segment = log_segment_take_out(log, index);
    char *from = segment_path(log->path, segment->base_offset, SEGMENT_LOG, "");
    char *to = segment_path(log->path, segment->base_offset, SEGMENT_LOG, ".damaged");
    err_t err = segment->size == 0 ? ERR_OK : sys_path_rename(log->sys, from, to);
    if (err == ERR_OK && segment->size > 0) {
        log_say(log, TEXT_LOG_WARN,
                "%s follows the damage and was set aside as %s: %" PRIu64
                " bytes from offset %" PRId64,
                from, to, segment->size, segment->base_offset);
    }
    free(from);
    free(to);
    if (err != ERR_OK) {
        segment_unref(segment);
        return log_note(log, err);
    }
    return log_segment_discard(log, segment);
}

static void say_cut(const struct log *log, const struct recovery *recovery,
                    const struct recovery_batch *bad, const char *kept_path) {
    const struct log_segment *segment = log->segments[recovery->segment];
    uint64_t bytes = segment->size - recovery->position;
    if (kept_path == NULL) {
        log_say(log, TEXT_LOG_WARN,
                "%s: cut %" PRIu64 " bytes at position %" PRIu64 ", from offset %" PRId64
                " on, the remains of a write that was not finished: %s",
                segment->log.path, bytes, recovery->position, recovery->expected_offset,
                bad->wrong);
    } else {
        log_say(log, TEXT_LOG_ERROR,
                "%s is damaged at position %" PRIu64 ", offset %" PRId64 ": %s; the log ends there "
                "now, and the %" PRIu64 " bytes from there on were set aside as %s",
                segment->log.path, recovery->position, recovery->expected_offset, bad->wrong, bytes,
                kept_path);
    }
}

static err_t tail_cut(struct log *log, struct recovery *recovery, const struct recovery_batch *bad,
                      bool followed) {
    struct log_segment *segment = log->segments[recovery->segment];
    struct sys_file *file;
    err_t err = cached_file_take(&segment->log, false, &file);
    if (err != ERR_OK) {
        return err;
    }
    bool more_than_torn = followed || recovery->expected_offset < recovery->synced_offset ||
                          good_batch_follows(segment, file, recovery->position, bad);
    char suffix[40];
    snprintf(suffix, sizeof suffix, ".%" PRIu64 ".damaged", recovery->position);
    char *path =
        more_than_torn ? segment_path(log->path, segment->base_offset, SEGMENT_LOG, suffix) : NULL;
    if (path != NULL) {
        err = copy_tail(log, file, recovery->position, segment->size, path);
    }
    cached_file_give(&segment->log);
    if (err == ERR_OK) {
        say_cut(log, recovery, bad, path);
        err = segment_truncate(segment, recovery->position, recovery->expected_offset);
    }
    free(path);
    return log_note(log, err);
}

/* The last one first, each for good: a power cut in between must not leave a hole. */
static err_t following_set_aside(struct log *log, const struct recovery *recovery) {
    err_t err = ERR_OK;
    while (err == ERR_OK && log->segment_count > recovery->segment + 1) {
        err = segment_set_aside(log, log->segment_count - 1);
        if (err == ERR_OK) {
            err = log_note(log, sys_dir_sync(log->sys, log->path));
        }
    }
    return err;
}

err_t recovery_cut(struct log *log, struct recovery *recovery, const struct recovery_batch *bad) {
    bool followed = recovery->segment + 1 < log->segment_count;
    err_t err = following_set_aside(log, recovery);
    if (err == ERR_OK) {
        err = tail_cut(log, recovery, bad, followed);
    }
    return err == ERR_OK ? log_note(log, sys_dir_sync(log->sys, log->path)) : err;
}

bool recovery_at_hole(const struct log *log, struct recovery *recovery) {
    size_t next = recovery->segment + 1;
    int64_t end = next < log->segment_count ? log->segments[next]->base_offset : 0;
    if (end <= recovery->synced_offset || end <= recovery->expected_offset) {
        return false;
    }
    bool compacted = recovery->config.cleanup_compact || log->cleaned_offset >= 0;
    bool passes = compacted || end <= log->gaps_end;
    recovery->gaps_end = passes ? end : recovery->gaps_end;
    return !passes;
}

err_t recovery_end_at_hole(struct log *log, struct recovery *recovery) {
    log_say(log, TEXT_LOG_WARN,
            "%s ends at offset %" PRId64 ", but the segment after it begins at %" PRId64
            ": what was between was never synced and is gone; the log ends here now",
            log->segments[recovery->segment]->log.path, recovery->expected_offset,
            log->segments[recovery->segment + 1]->base_offset);
    return following_set_aside(log, recovery);
}

/* How many segments are left without those that begin above the last batch, and so are empty. What
 * begins at or below the recovery point, where the scan began, or the end of what is compacted was
 * synced and stays. Below the log's start there is nothing to read, and nobody misses it. */
static size_t count_before_hole(const struct log *log, const struct recovery *recovery) {
    int64_t reachable = recovery->batches_end;
    reachable = log->start_offset > reachable ? log->start_offset : reachable;
    reachable = log->cleaned_offset > reachable ? log->cleaned_offset : reachable;
    size_t count = log->segment_count;
    while (log->segments[count - 1]->base_offset > reachable) {
        count--;
    }
    return count;
}

err_t recovery_drop_hole_at_end(struct log *log, struct recovery *recovery) {
    size_t count = count_before_hole(log, recovery);
    if (count == log->segment_count) {
        return ERR_OK;
    }
    const struct log_segment *last = log->segments[count - 1];
    bool empty = last->base_offset > recovery->batches_end;
    recovery_seek(recovery, count - 1, last->size,
                  empty ? last->base_offset : recovery->batches_end);
    if (log->snapshot_offset > recovery->expected_offset) {
        log->snapshot_offset = -1; /* it goes with its segment */
    }
    return recovery_end_at_hole(log, recovery);
}
