/*
 * Transactions:
 *
 *   state            BeginTransaction          EndTransaction       AbortTransaction
 *   outside          what there is is ready;   refused              refused
 *                    a new delta, inside
 *   inside           refused                   the delta is ready   the delta is dropped
 */
#include "meta/loader.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "meta/batch.h"
#include "meta/delta_int.h"

struct ready {
    struct list link;
    struct meta_image *image;
    struct meta_changes *changes;
};

struct meta_loader {
    struct meta_image *image; /* the newest one that is ready */
    struct meta_delta *delta; /* on top of it; NULL: nothing yet */
    bool in_transaction;
    struct meta_provenance last; /* of the last record read, also inside a transaction */
    struct list ready;           /* struct ready, the oldest first */
    struct arena arena;
    char error[DELTA_ERROR_MAX + 128];
};

struct meta_loader *meta_loader_new(struct meta_image *image) {
    struct meta_loader *loader = delta_calloc(sizeof *loader);
    loader->image = meta_image_ref(image);
    loader->last = image->provenance;
    list_init(&loader->ready);
    arena_init(&loader->arena, SIZE_MAX);
    return loader;
}

void meta_loader_free(struct meta_loader *loader) {
    if (loader == NULL) {
        return;
    }
    struct meta_image *image;
    struct meta_changes *changes;
    while (meta_loader_take(loader, &image, &changes)) {
        meta_image_unref(image);
        meta_changes_free(changes);
    }
    meta_delta_free(loader->delta);
    meta_image_unref(loader->image);
    arena_done(&loader->arena);
    free(loader);
}

const char *meta_loader_error(const struct meta_loader *loader) {
    return loader->error;
}

struct meta_image *meta_loader_image(const struct meta_loader *loader) {
    return loader->image;
}

bool meta_loader_in_transaction(const struct meta_loader *loader) {
    return loader->in_transaction;
}

bool meta_loader_take(struct meta_loader *loader, struct meta_image **ret_image,
                      struct meta_changes **ret_changes) {
    struct list *link = list_take_first(&loader->ready);
    if (link == NULL) {
        return false;
    }
    struct ready *ready = container_of(link, struct ready, link);
    *ret_image = ready->image;
    *ret_changes = ready->changes;
    free(ready);
    return true;
}

/* What was applied so far becomes an image. */
static void make_ready(struct meta_loader *loader) {
    if (loader->delta == NULL) {
        loader->delta = meta_delta_new(loader->image);
    }
    struct ready *ready = delta_calloc(sizeof *ready);
    ready->image = meta_delta_finish(loader->delta, &loader->last, &ready->changes);
    loader->delta = NULL;
    meta_image_unref(loader->image);
    loader->image = meta_image_ref(ready->image);
    list_add_last(&loader->ready, &ready->link);
}

static err_t refuse(struct meta_loader *loader, const struct meta_record *record, int64_t offset,
                    const char *why, err_t err) {
    snprintf(loader->error, sizeof loader->error, "%s at offset %lld of the metadata log: %s",
             record == NULL ? "a record" : meta_record_name(record->type), (long long)offset, why);
    return err;
}

static err_t transaction_record(struct meta_loader *loader, const struct meta_record *record,
                                int64_t offset) {
    bool begin = record->type == META_RECORD_BEGIN_TRANSACTION;
    if (begin == loader->in_transaction) {
        return refuse(loader, record, offset,
                      begin ? "a metadata transaction is open already"
                            : "no metadata transaction is open",
                      ERR_INVALID);
    }
    if (begin && loader->delta != NULL) {
        make_ready(loader);
    }
    if (record->type == META_RECORD_ABORT_TRANSACTION) {
        meta_delta_free(loader->delta);
        loader->delta = NULL;
    }
    loader->in_transaction = begin;
    return ERR_OK;
}

static err_t apply(struct meta_loader *loader, const struct meta_record *record, int64_t offset) {
    switch (record->type) {
    case META_RECORD_BEGIN_TRANSACTION:
    case META_RECORD_END_TRANSACTION:
    case META_RECORD_ABORT_TRANSACTION:
        return transaction_record(loader, record, offset);
    default:
        if (loader->delta == NULL) {
            loader->delta = meta_delta_new(loader->image);
        }
        err_t err = meta_delta_apply(loader->delta, record);
        return err == ERR_OK ? ERR_OK
                             : refuse(loader, record, offset, meta_delta_error(loader->delta), err);
    }
}

static err_t apply_records(struct meta_loader *loader, const struct record_batch *batch) {
    struct meta_batch_walk walk;
    err_t err = meta_batch_walk_init(&walk, batch, &loader->arena);
    int64_t offset = record_batch_base_offset(batch->data);
    while (err == ERR_OK) {
        struct meta_record record;
        err = meta_batch_next(&walk, &record, &offset);
        if (err == ERR_NOT_FOUND) {
            return ERR_OK;
        }
        if (err == ERR_OK) {
            err = apply(loader, &record, offset);
            loader->last.offset = offset;
            if (err != ERR_OK) {
                return err;
            }
        }
    }
    return refuse(loader, NULL, offset,
                  err == ERR_UNSUPPORTED ? "of a type or version that this release does not know"
                                         : "it cannot be read",
                  err);
}

err_t meta_loader_batch(struct meta_loader *loader, const struct record_batch *batch) {
    loader->last.epoch = record_batch_leader_epoch(batch->data);
    loader->last.timestamp_ms = record_batch_max_timestamp(batch->data);
    if (!record_batch_is_control(batch->data)) {
        err_t err = apply_records(loader, batch);
        if (err != ERR_OK) {
            return err;
        }
    }
    loader->last.offset = record_batch_last_offset(batch->data);
    if (!loader->in_transaction) {
        make_ready(loader);
    }
    return ERR_OK;
}

/* --- everything as a change --- */

static void all_topics(const struct meta_image *image, struct meta_changes *changes) {
    changes->topics = delta_calloc((image->topics.count + 1) * sizeof *changes->topics);
    struct pmap_walk walk;
    const struct meta_topic *topic;
    pmap_for_each(&walk, &image->topics, topic) {
        struct meta_topic_change *change = &changes->topics[changes->topic_count++];
        change->change = META_CREATED;
        change->id = topic->id;
        change->name = bytes_str(delta_dup(str_bytes(topic->name)));
        delta_list_partitions(topic, change);
    }
}

struct meta_changes *meta_changes_of_all(const struct meta_image *image) {
    struct meta_changes *changes = delta_calloc(sizeof *changes);
    all_topics(image, changes);
    changes->brokers = delta_calloc((image->brokers.count + 1) * sizeof *changes->brokers);
    struct pmap_walk walk;
    const struct meta_broker *broker;
    pmap_for_each(&walk, &image->brokers, broker) {
        changes->brokers[changes->broker_count++] =
            (struct meta_broker_change){.change = META_CREATED, .id = broker->id};
    }
    changes->configs = delta_calloc((image->configs.count + 1) * sizeof *changes->configs);
    const struct meta_config_resource *resource;
    pmap_for_each(&walk, &image->configs, resource) {
        changes->configs[changes->config_count++] = (struct meta_config_change){
            .type = resource->type,
            .name = bytes_str(delta_dup(str_bytes(resource->name))),
        };
    }
    changes->features = true;
    changes->controllers = true;
    changes->producer_ids = true;
    changes->quotas = true;
    changes->acls = true;
    changes->scrams = true;
    changes->tokens = true;
    return changes;
}
