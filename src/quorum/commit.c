/*
 * What was synced is committed: its batches become images, listeners see them in the order of the
 * log, and every append is answered when the listeners have seen its records.
 */
#include <assert.h>

#include "meta/batch.h"
#include "quorum/quorum_int.h"

static void deliver(struct quorum *quorum, struct meta_image *image,
                    const struct meta_changes *changes) {
    meta_image_unref(quorum->image);
    quorum->image = meta_image_ref(image);
    struct list *link, *after;
    list_for_each_safe (link, after, &quorum->listeners) {
        struct quorum_listener *listener = container_of(link, struct quorum_listener, link);
        listener->image(listener, image, changes);
    }
}

static void deliver_ready(struct quorum *quorum) {
    struct meta_image *image;
    struct meta_changes *changes;
    while (meta_loader_take(quorum->loader, &image, &changes)) {
        deliver(quorum, image, changes);
        meta_image_unref(image);
        meta_changes_free(changes);
    }
}

static void drop_ready(struct quorum *quorum) {
    struct meta_image *image;
    struct meta_changes *changes;
    while (meta_loader_take(quorum->loader, &image, &changes)) {
        meta_image_unref(image);
        meta_changes_free(changes);
    }
}

void quorum_deliver_loaded(struct quorum *quorum) {
    drop_ready(quorum);
    struct meta_image *image = meta_loader_image(quorum->loader);
    struct meta_changes *changes = meta_changes_of_all(image);
    deliver(quorum, image, changes);
    meta_changes_free(changes);
}

static void answer_appends(struct quorum *quorum, int64_t committed_offset) {
    struct list *link;
    while ((link = list_first(&quorum->flight_appends)) != NULL) {
        struct quorum_append *append = container_of(link, struct quorum_append, link);
        if (append->last_offset >= committed_offset) {
            break;
        }
        list_remove(&append->link);
        append->done(append, ERR_OK);
    }
}

/* The first batch of an epoch is committed: everything before it is too, and we lead. */
static void begin_leading(struct quorum *quorum) {
    quorum->phase = QUORUM_LEADING;
    quorum_deliver_loaded(quorum);
    struct list *link, *after;
    list_for_each_safe (link, after, &quorum->listeners) {
        struct quorum_listener *listener = container_of(link, struct quorum_listener, link);
        if (listener->leader != NULL) {
            listener->leader(listener, raft_epoch(quorum->raft));
        }
    }
    quorum->started(quorum->started_arg, ERR_OK, "");
}

void quorum_commit(struct quorum *quorum) {
    quorum->delivering = true; /* appends of listeners are queued, and kicked afterwards */
    log_high_watermark_set(quorum->log, quorum->flight_end_offset);
    struct bytes run = buffer_bytes(&quorum->flight);
    size_t position = 0;
    struct record_batch batch;
    while (record_batch_next(run, &position, &batch) == ERR_OK) {
        err_t err = meta_loader_batch(quorum->loader, &batch);
        if (err != ERR_OK) { /* the controller wrote what it must not */
            quorum->delivering = false;
            quorum_fail(quorum, err, "%s", meta_loader_error(quorum->loader));
            return;
        }
        quorum->bytes_since_snapshot += (int64_t)batch.size;
        if (quorum->phase == QUORUM_LEADING) {
            deliver_ready(quorum);
            answer_appends(quorum, record_batch_next_offset(batch.data));
        }
    }
    assert(position == run.size);
    buffer_clear(&quorum->flight);
    if (quorum->phase == QUORUM_ELECTING) {
        begin_leading(quorum);
    }
    assert(list_empty(&quorum->flight_appends));
    quorum->delivering = false;
    quorum_fetches_end(quorum);
    quorum_snapshot_consider(quorum);
}
