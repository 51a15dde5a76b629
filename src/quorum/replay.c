/* Replaying at the start: what the log has behind the snapshot goes through the loader, a run of
 * batches a step; control batches tell the voters and the version of the quorum's own records. */
#include "meta/batch.h"
#include "quorum/load_int.h"
#include "wire/codec.h"
#include "wire/messages.h"

enum { READ_SIZE = 1024 * 1024 };

static err_t replay_control(struct quorum *quorum, struct quorum_load *load, int16_t type,
                            struct bytes value) {
    size_t used;
    err_t err = ERR_OK;
    if (type == CONTROL_RECORD_KRAFT_VERSION) {
        struct kraft_version_record version;
        err = wire_decode(&kraft_version_record_type, 0, value, &load->arena, &version, &used);
        if (err == ERR_OK) {
            quorum->kraft_version = version.kraft_version;
        }
    } else if (type == CONTROL_RECORD_KRAFT_VOTERS) {
        struct voters_record voters;
        err = wire_decode(&voters_record_type, 0, value, &load->arena, &voters, &used);
        if (err == ERR_OK) {
            raft_voters_from_record(&quorum->voters, &voters);
            quorum->voters_in_log = true;
        }
    }
    return err;
}

static err_t replay_control_batch(struct quorum *quorum, struct quorum_load *load,
                                  const struct record_batch *batch) {
    struct meta_batch_walk walk;
    err_t err = meta_batch_walk_init(&walk, batch, &load->arena);
    while (err == ERR_OK) {
        int16_t type;
        struct bytes value;
        err = meta_batch_next_control(&walk, &type, &value);
        if (err == ERR_OK) {
            err = replay_control(quorum, load, type, value);
        }
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static err_t replay_batch(struct quorum *quorum, struct quorum_load *load,
                          const struct record_batch *batch) {
    int64_t offset = record_batch_base_offset(batch->data);
    err_t err = meta_batch_check(batch);
    if (err != ERR_OK) {
        return FAIL(load, err, "the metadata log %s is damaged at offset %lld: %s", quorum->folder,
                    (long long)offset, err_text(err));
    }
    if (record_batch_next_offset(batch->data) <= load->offset) {
        return ERR_OK; /* in the snapshot */
    }
    if (offset > load->offset) {
        return FAIL(load, ERR_CORRUPT, "the metadata log %s has a gap: offset %lld follows %lld",
                    quorum->folder, (long long)offset, (long long)load->offset - 1);
    }
    if (record_batch_is_control(batch->data)) {
        err = replay_control_batch(quorum, load, batch);
    }
    if (err == ERR_OK) {
        err = meta_loader_batch(quorum->loader, batch);
    }
    if (err != ERR_OK) {
        return FAIL(load, err, "%s: %s", quorum->folder, meta_loader_error(quorum->loader));
    }
    struct meta_image *image; /* only the last one counts */
    struct meta_changes *changes;
    while (meta_loader_take(quorum->loader, &image, &changes)) {
        meta_image_unref(image);
        meta_changes_free(changes);
    }
    load->offset = record_batch_next_offset(batch->data);
    quorum->bytes_since_snapshot += (int64_t)batch->size;
    return ERR_OK;
}

/* The next run of whole batches, into load->data. */
static err_t read_run(struct quorum *quorum, struct quorum_load *load) {
    struct log_slice slice;
    err_t err = log_read(quorum->log, load->offset, READ_SIZE, INT64_MAX, LOG_READ_MIN_ONE, &slice);
    if (err != ERR_OK) {
        return err;
    }
    buffer_clear(&load->data);
    size_t got = 0;
    if (slice.segment != NULL) {
        uint8_t *at = buffer_reserve(&load->data, slice.size);
        err = sys_file_read(slice.file, slice.position, at, slice.size, &got);
        load->data.size = err == ERR_OK ? got : 0;
        if (err == ERR_OK && got < slice.size) {
            err = ERR_CORRUPT;
        }
    }
    log_slice_release(&slice);
    return err;
}

err_t quorum_replay(struct quorum *quorum, struct quorum_load *load) {
    if (load->offset == log_end_offset(quorum->log)) {
        load->stage = STAGE_ELECTION;
        return ERR_OK;
    }
    int64_t before = load->offset;
    err_t err = read_run(quorum, load);
    if (err != ERR_OK) {
        return FAIL(load, err, "the metadata log %s cannot be read at offset %lld: %s",
                    quorum->folder, (long long)load->offset, err_text(err));
    }
    struct bytes run = buffer_bytes(&load->data);
    size_t position = 0;
    struct record_batch batch;
    while (err == ERR_OK && record_batch_next(run, &position, &batch) == ERR_OK) {
        err = replay_batch(quorum, load, &batch);
    }
    if (err == ERR_OK && load->offset == before) {
        err = FAIL(load, ERR_CORRUPT, "the metadata log %s holds nothing at offset %lld",
                   quorum->folder, (long long)before);
    }
    return err;
}
