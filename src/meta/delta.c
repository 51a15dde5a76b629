/*
 * The life of a delta, and which function takes which record.
 *
 *   1. The delta owns an image nobody else has seen; its maps start as copies of the base's, so
 *      the base never changes.
 *   2. A value (a topic, a resource's configs) that this delta made is changed in place; one that
 *      came from the base is copied first. `fresh` in the work entries says which.
 *   3. Work entries note what changed, in the order of first change, for meta_changes.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "meta/delta_int.h"

void *delta_calloc(size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

struct bytes delta_dup(struct bytes bytes) {
    if (bytes.data == NULL) {
        return bytes;
    }
    uint8_t *copy = delta_calloc(bytes.size + 1);
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    return (struct bytes){.data = copy, .size = bytes.size};
}

err_t delta_refuse(struct meta_delta *delta, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(delta->error, sizeof delta->error, format, args);
    va_end(args);
    return ERR_INVALID;
}

struct meta_delta *meta_delta_new(struct meta_image *base) {
    struct meta_delta *delta = delta_calloc(sizeof *delta);
    struct meta_image *image = meta_image_new();
    image->provenance = base->provenance;
    image->features = pmap_copy(&base->features);
    image->brokers = pmap_copy(&base->brokers);
    image->controllers = pmap_copy(&base->controllers);
    image->topics = pmap_copy(&base->topics);
    image->topics_by_id = pmap_copy(&base->topics_by_id);
    image->configs = pmap_copy(&base->configs);
    image->quotas = pmap_copy(&base->quotas);
    image->acls = pmap_copy(&base->acls);
    image->scrams = pmap_copy(&base->scrams);
    image->tokens = pmap_copy(&base->tokens);
    image->partition_count = base->partition_count;
    image->next_producer_id = base->next_producer_id;
    image->zk_migration_state = base->zk_migration_state;
    image->zk_migration_state_known = base->zk_migration_state_known;
    delta->image = image;
    map_init(&delta->topics);
    map_init(&delta->brokers);
    map_init(&delta->configs);
    list_init(&delta->topic_list);
    list_init(&delta->broker_list);
    list_init(&delta->config_list);
    return delta;
}

void meta_delta_free(struct meta_delta *delta) {
    if (delta == NULL) {
        return;
    }
    delta_topics_done(delta);
    delta_brokers_done(delta);
    delta_configs_done(delta);
    meta_image_unref(delta->image);
    free(delta);
}

const char *meta_delta_error(const struct meta_delta *delta) {
    return delta->error;
}

const struct meta_image *meta_delta_image(const struct meta_delta *delta) {
    return delta->image;
}

static void producer_ids(struct meta_delta *delta, const struct producer_ids_record *record) {
    delta->image->next_producer_id = record->next_producer_id;
    delta->flags.producer_ids = true;
}

static void zk_migration_state(struct meta_delta *delta,
                               const struct zk_migration_state_record *record) {
    delta->image->zk_migration_state = record->zk_migration_state;
    delta->image->zk_migration_state_known = true;
}

err_t meta_delta_apply(struct meta_delta *delta, const struct meta_record *record) {
    const void *message = record->message;
    delta->error[0] = '\0';
    switch (record->type) {
    case META_RECORD_REGISTER_BROKER:
        return delta_register_broker(delta, message);
    case META_RECORD_UNREGISTER_BROKER:
        return delta_unregister_broker(delta, message);
    case META_RECORD_FENCE_BROKER:
        return delta_fence_broker(delta, message);
    case META_RECORD_UNFENCE_BROKER:
        return delta_unfence_broker(delta, message);
    case META_RECORD_BROKER_REGISTRATION_CHANGE:
        return delta_change_broker(delta, message);
    case META_RECORD_REGISTER_CONTROLLER:
        return delta_register_controller(delta, message);
    case META_RECORD_FEATURE_LEVEL:
        return delta_feature(delta, message);
    case META_RECORD_TOPIC:
        return delta_topic(delta, message);
    case META_RECORD_PARTITION:
        return delta_partition(delta, message);
    case META_RECORD_PARTITION_CHANGE:
        return delta_partition_change(delta, message);
    case META_RECORD_REMOVE_TOPIC:
        return delta_remove_topic(delta, message);
    case META_RECORD_CLEAR_ELR:
        return delta_clear_elr(delta, message);
    case META_RECORD_CONFIG:
        return delta_config(delta, message);
    case META_RECORD_PRODUCER_IDS:
        producer_ids(delta, message);
        return ERR_OK;
    case META_RECORD_ZK_MIGRATION_STATE:
        zk_migration_state(delta, message);
        return ERR_OK;
    case META_RECORD_CLIENT_QUOTA:
    case META_RECORD_ACCESS_CONTROL_ENTRY:
    case META_RECORD_REMOVE_ACCESS_CONTROL_ENTRY:
    case META_RECORD_USER_SCRAM_CREDENTIAL:
    case META_RECORD_REMOVE_USER_SCRAM_CREDENTIAL:
    case META_RECORD_DELEGATION_TOKEN:
    case META_RECORD_REMOVE_DELEGATION_TOKEN:
        return delta_keep(delta, record);
    case META_RECORD_NO_OP:
    case META_RECORD_BEGIN_TRANSACTION: /* the loader's business */
    case META_RECORD_END_TRANSACTION:
    case META_RECORD_ABORT_TRANSACTION:
        return ERR_OK;
    default:
        (void)delta_refuse(delta, "unknown metadata record type %d", record->type);
        return ERR_UNSUPPORTED;
    }
}

struct meta_image *meta_delta_finish(struct meta_delta *delta,
                                     const struct meta_provenance *provenance,
                                     struct meta_changes **ret_changes) {
    struct meta_image *image = delta->image;
    image->provenance = *provenance;
    if (ret_changes != NULL) {
        struct meta_changes *changes = delta_calloc(sizeof *changes);
        *changes = delta->flags;
        delta_topics_finish(delta, changes);
        delta_brokers_finish(delta, changes);
        delta_configs_finish(delta, changes);
        *ret_changes = changes;
    }
    delta->image = NULL;
    meta_delta_free(delta);
    return image;
}

void meta_changes_free(struct meta_changes *changes) {
    if (changes == NULL) {
        return;
    }
    for (int32_t i = 0; i < changes->topic_count; i++) {
        free((char *)changes->topics[i].name.data);
        free(changes->topics[i].partitions);
    }
    for (int32_t i = 0; i < changes->config_count; i++) {
        free((char *)changes->configs[i].name.data);
    }
    free(changes->topics);
    free(changes->brokers);
    free(changes->configs);
    free(changes);
}
