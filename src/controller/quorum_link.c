/* The controller's log is the quorum's: appends go there, leadership and commits come from there.
 */
#include <assert.h>
#include <stdlib.h>

#include "controller/controller_int.h"
#include "quorum/quorum.h"

struct quorum_link {
    struct controller *controller;
    struct quorum *quorum;
    struct quorum_listener listener;
};

struct pending_append {
    struct quorum_append append;
    struct controller *controller;
};

/* A failed append needs no word here: leadership is lost with it, and all that waits has failed. */
static void append_done(struct quorum_append *append, err_t err) {
    struct pending_append *pending = container_of(append, struct pending_append, append);
    if (err == ERR_OK) {
        controller_committed(pending->controller, append->last_offset);
    }
    free(pending);
}

static int64_t link_next_offset(void *arg) {
    const struct quorum_link *link = arg;
    return quorum_next_offset(link->quorum);
}

static err_t link_append(void *arg, void *const *records, int32_t record_count, bool splittable,
                         int64_t *ret_last_offset) {
    struct quorum_link *link = arg;
    struct meta_record *array = calloc((size_t)record_count, sizeof *array);
    struct pending_append *pending = calloc(1, sizeof *pending);
    assert(array != NULL);
    assert(pending != NULL);
    for (int32_t i = 0; i < record_count; i++) {
        array[i] = *(const struct meta_record *)records[i];
    }
    pending->controller = link->controller;
    pending->append.done = append_done;
    err_t err =
        quorum_append(link->quorum, array, (size_t)record_count, !splittable, &pending->append);
    free(array);
    if (err != ERR_OK) {
        free(pending);
        return err;
    }
    *ret_last_offset = pending->append.last_offset;
    return ERR_OK;
}

/* --- what the quorum says --- */

static void on_image(struct quorum_listener *listener, struct meta_image *image,
                     const struct meta_changes *changes) {
    (void)listener; /* the state is ahead of what is committed, and commits come with append_done */
    (void)image;
    (void)changes;
}

static void on_leader(struct quorum_listener *listener, int32_t epoch) {
    struct quorum_link *link = container_of(listener, struct quorum_link, listener);
    if (epoch < 0) {
        controller_resign(link->controller);
        return;
    }
    struct quorum_description description;
    quorum_describe(link->quorum, &description);
    link->controller->kraft_version = description.kraft_version;
    link->controller->in_transaction = quorum_in_transaction(link->quorum);
    controller_activate(link->controller, quorum_image(link->quorum), epoch);
}

static void on_failed(struct quorum_listener *listener, err_t err, const char *text) {
    struct quorum_link *link = container_of(listener, struct quorum_link, listener);
    (void)err;
    (void)text; /* the node says why it stops */
    controller_resign(link->controller);
}

void controller_attach(struct controller *controller, struct quorum *quorum) {
    assert(controller->link == NULL);
    struct quorum_link *link = calloc(1, sizeof *link);
    assert(link != NULL);
    link->controller = controller;
    link->quorum = quorum;
    link->listener =
        (struct quorum_listener){.image = on_image, .leader = on_leader, .failed = on_failed};
    controller->link = link;
    struct strand_log log = {.arg = link, .next_offset = link_next_offset, .append = link_append};
    controller_attach_log(controller, &log);
    quorum_add_listener(quorum, &link->listener);
}

void quorum_link_free(struct quorum_link *link) {
    if (link != NULL) {
        quorum_remove_listener(link->quorum, &link->listener);
        free(link);
    }
}
