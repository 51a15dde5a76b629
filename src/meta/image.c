#include "meta/image.h"

#include <assert.h>
#include <stdlib.h>

#include "meta/object_int.h"

static void image_free(struct shared *shared) {
    struct meta_image *image = (struct meta_image *)shared;
    pmap_done(&image->features);
    pmap_done(&image->brokers);
    pmap_done(&image->controllers);
    pmap_done(&image->topics);
    pmap_done(&image->topics_by_id);
    pmap_done(&image->configs);
    pmap_done(&image->quotas);
    pmap_done(&image->acls);
    pmap_done(&image->scrams);
    pmap_done(&image->tokens);
    free(image);
}

struct meta_image *meta_image_new(void) {
    struct meta_image *image = calloc(1, sizeof *image);
    if (image == NULL) {
        abort();
    }
    shared_init(&image->shared, image_free);
    image->provenance = (struct meta_provenance){.offset = -1, .epoch = -1, .timestamp_ms = -1};
    image->next_producer_id = -1;
    return image;
}

struct meta_image *meta_image_ref(struct meta_image *image) {
    shared_ref(&image->shared);
    return image;
}

void meta_image_unref(struct meta_image *image) {
    shared_unref(image == NULL ? NULL : &image->shared);
}

/* --- lookups --- */

const struct meta_topic *meta_image_topic(const struct meta_image *image, struct str name) {
    return name.data == NULL ? NULL : pmap_get(&image->topics, str_bytes(name));
}

const struct meta_topic *meta_image_topic_by_id(const struct meta_image *image, struct uuid id) {
    return pmap_get(&image->topics_by_id, uuid_bytes(&id));
}

const struct meta_partition *meta_topic_partition(const struct meta_topic *topic, int32_t id) {
    return id < 0 ? NULL : pmap_get_u64(&topic->partitions, id_key(id));
}

const struct meta_broker *meta_image_broker(const struct meta_image *image, int32_t id) {
    return pmap_get_u64(&image->brokers, id_key(id));
}

const struct meta_controller *meta_image_controller(const struct meta_image *image, int32_t id) {
    return pmap_get_u64(&image->controllers, id_key(id));
}

const struct meta_config_resource *meta_image_config_resource(const struct meta_image *image,
                                                              int8_t type, struct str name) {
    if (name.data == NULL || name.size >= META_RESOURCE_KEY_MAX) {
        return NULL;
    }
    uint8_t key[META_RESOURCE_KEY_MAX];
    return pmap_get(&image->configs, meta_resource_key(type, name, key));
}

struct str meta_image_config(const struct meta_image *image, int8_t type, struct str resource_name,
                             struct str config_name) {
    const struct meta_config_resource *resource =
        meta_image_config_resource(image, type, resource_name);
    const struct meta_config *config =
        resource == NULL ? NULL : pmap_get(&resource->configs, str_bytes(config_name));
    return config == NULL ? STR_NULL : config->value;
}

int16_t meta_image_feature(const struct meta_image *image, struct str name) {
    const struct meta_feature *feature = pmap_get(&image->features, str_bytes(name));
    return feature == NULL ? 0 : feature->level;
}

int16_t meta_image_metadata_version(const struct meta_image *image) {
    return meta_image_feature(image, STR(META_FEATURE_METADATA_VERSION));
}

static bool contains(const int32_t *ids, int32_t count, int32_t id) {
    for (int32_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

bool meta_broker_has_online_dir(const struct meta_broker *broker, struct uuid dir) {
    if (broker == NULL) {
        return false;
    }
    if (uuid_is_zero(dir) || uuid_equal(dir, UUID_ONE)) {
        return true; /* migrating, unassigned: not known yet (KIP-858) */
    }
    if (uuid_equal(dir, UUID_TWO)) {
        return false; /* lost */
    }
    bool found = broker->log_dir_count == 0;
    for (int32_t i = 0; i < broker->log_dir_count && !found; i++) {
        found = uuid_equal(broker->log_dirs[i], dir);
    }
    return found;
}

struct uuid meta_partition_directory(const struct meta_partition *partition, int32_t broker_id) {
    for (int32_t i = 0; i < partition->replica_count; i++) {
        if (partition->replicas[i] == broker_id) {
            return partition->directories[i];
        }
    }
    return UUID_ZERO;
}

bool meta_partition_has_replica(const struct meta_partition *partition, int32_t broker_id) {
    return contains(partition->replicas, partition->replica_count, broker_id);
}

bool meta_partition_in_isr(const struct meta_partition *partition, int32_t broker_id) {
    return contains(partition->isr, partition->isr_count, broker_id);
}
