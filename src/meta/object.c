/*
 * The values of an image, and their copies. Each is laid out in one block:
 *
 *   struct | arrays and strings, each aligned to 8
 *
 * Topics and config resources hold a map beside it, which their free function drops.
 */
#include "meta/object_int.h"

#include <assert.h>
#include <stdlib.h>

size_t pack_size(size_t size) {
    return (size + 7) & ~(size_t)7;
}

size_t pack_str_size(struct str s) {
    return pack_size(s.size + 1);
}

static void free_plain(struct shared *shared) {
    free(shared);
}

void *pack_new(struct packer *packer, size_t size, size_t extra) {
    uint8_t *memory = calloc(1, pack_size(size) + extra);
    if (memory == NULL) {
        abort();
    }
    packer->at = memory + pack_size(size);
    packer->end = packer->at + extra;
    shared_init((struct shared *)memory, free_plain);
    return memory;
}

void *pack_copy(struct packer *packer, const void *data, size_t size) {
    assert(pack_size(size) <= (size_t)(packer->end - packer->at));
    void *piece = packer->at;
    if (size > 0) {
        memcpy(piece, data, size);
    }
    packer->at += pack_size(size);
    return piece;
}

struct str pack_str(struct packer *packer, struct str s) {
    assert(pack_str_size(s) <= (size_t)(packer->end - packer->at));
    char *piece = (char *)packer->at;
    if (s.size > 0) {
        memcpy(piece, s.data, s.size);
    }
    packer->at += pack_str_size(s);
    return s.data == NULL ? STR_NULL : (struct str){.data = piece, .size = s.size};
}

void pack_end(const struct packer *packer) {
    assert(packer->at == packer->end);
}

size_t pack_endpoints_size(const struct meta_endpoint *endpoints, int32_t count) {
    size_t size = pack_size((size_t)count * sizeof *endpoints);
    for (int32_t i = 0; i < count; i++) {
        size += pack_str_size(endpoints[i].name) + pack_str_size(endpoints[i].host);
    }
    return size;
}

const struct meta_endpoint *pack_endpoints(struct packer *packer,
                                           const struct meta_endpoint *endpoints, int32_t count) {
    struct meta_endpoint *copy = pack_copy(packer, endpoints, (size_t)count * sizeof *endpoints);
    for (int32_t i = 0; i < count; i++) {
        copy[i].name = pack_str(packer, endpoints[i].name);
        copy[i].host = pack_str(packer, endpoints[i].host);
    }
    return copy;
}

size_t pack_features_size(const struct meta_feature_range *features, int32_t count) {
    size_t size = pack_size((size_t)count * sizeof *features);
    for (int32_t i = 0; i < count; i++) {
        size += pack_str_size(features[i].name);
    }
    return size;
}

const struct meta_feature_range *
pack_features(struct packer *packer, const struct meta_feature_range *features, int32_t count) {
    struct meta_feature_range *copy = pack_copy(packer, features, (size_t)count * sizeof *features);
    for (int32_t i = 0; i < count; i++) {
        copy[i].name = pack_str(packer, features[i].name);
    }
    return copy;
}

struct meta_broker *meta_broker_copy(const struct meta_broker *from) {
    size_t dirs_size = (size_t)from->log_dir_count * sizeof(struct uuid);
    int32_t cordoned = from->cordoned_log_dir_count < 0 ? 0 : from->cordoned_log_dir_count;
    size_t cordoned_size = (size_t)cordoned * sizeof(struct uuid);
    size_t extra = pack_str_size(from->rack) +
                   pack_endpoints_size(from->endpoints, from->endpoint_count) +
                   pack_features_size(from->features, from->feature_count) + pack_size(dirs_size) +
                   pack_size(cordoned_size);
    struct packer packer;
    struct meta_broker *broker = pack_new(&packer, sizeof *broker, extra);
    struct shared head = broker->shared;
    *broker = *from;
    broker->shared = head;
    broker->rack = pack_str(&packer, from->rack);
    broker->endpoints = pack_endpoints(&packer, from->endpoints, from->endpoint_count);
    broker->features = pack_features(&packer, from->features, from->feature_count);
    broker->log_dirs = pack_copy(&packer, from->log_dirs, dirs_size);
    broker->cordoned_log_dirs = pack_copy(&packer, from->cordoned_log_dirs, cordoned_size);
    pack_end(&packer);
    return broker;
}

struct meta_controller *meta_controller_copy(const struct meta_controller *from) {
    size_t extra = pack_endpoints_size(from->endpoints, from->endpoint_count) +
                   pack_features_size(from->features, from->feature_count);
    struct packer packer;
    struct meta_controller *controller = pack_new(&packer, sizeof *controller, extra);
    struct shared head = controller->shared;
    *controller = *from;
    controller->shared = head;
    controller->endpoints = pack_endpoints(&packer, from->endpoints, from->endpoint_count);
    controller->features = pack_features(&packer, from->features, from->feature_count);
    pack_end(&packer);
    return controller;
}

static size_t ids_size(int32_t count) {
    return (size_t)count * sizeof(int32_t);
}

struct meta_partition *meta_partition_copy(const struct meta_partition *from) {
    size_t dirs_size = (size_t)from->replica_count * sizeof(struct uuid);
    size_t extra = pack_size(ids_size(from->replica_count)) + pack_size(dirs_size) +
                   pack_size(ids_size(from->isr_count)) +
                   pack_size(ids_size(from->removing_count)) +
                   pack_size(ids_size(from->adding_count)) + pack_size(ids_size(from->elr_count)) +
                   pack_size(ids_size(from->last_known_elr_count));
    struct packer packer;
    struct meta_partition *partition = pack_new(&packer, sizeof *partition, extra);
    struct shared head = partition->shared;
    *partition = *from;
    partition->shared = head;
    partition->replicas = pack_copy(&packer, from->replicas, ids_size(from->replica_count));
    partition->directories = pack_copy(&packer, from->directories, dirs_size);
    partition->isr = pack_copy(&packer, from->isr, ids_size(from->isr_count));
    partition->removing = pack_copy(&packer, from->removing, ids_size(from->removing_count));
    partition->adding = pack_copy(&packer, from->adding, ids_size(from->adding_count));
    partition->elr = pack_copy(&packer, from->elr, ids_size(from->elr_count));
    partition->last_known_elr =
        pack_copy(&packer, from->last_known_elr, ids_size(from->last_known_elr_count));
    pack_end(&packer);
    return partition;
}

static void topic_free(struct shared *shared) {
    struct meta_topic *topic = (struct meta_topic *)shared;
    pmap_done(&topic->partitions);
    free(topic);
}

struct meta_topic *meta_topic_copy(const struct meta_topic *from) {
    struct packer packer;
    struct meta_topic *topic = pack_new(&packer, sizeof *topic, pack_str_size(from->name));
    topic->shared.free = topic_free;
    topic->id = from->id;
    topic->name = pack_str(&packer, from->name);
    topic->partitions = pmap_copy(&from->partitions);
    pack_end(&packer);
    return topic;
}

struct meta_feature *meta_feature_make(struct str name, int16_t level) {
    struct packer packer;
    struct meta_feature *feature = pack_new(&packer, sizeof *feature, pack_str_size(name));
    feature->name = pack_str(&packer, name);
    feature->level = level;
    pack_end(&packer);
    return feature;
}

struct meta_config *meta_config_make(struct str name, struct str value) {
    struct packer packer;
    struct meta_config *config =
        pack_new(&packer, sizeof *config, pack_str_size(name) + pack_str_size(value));
    config->name = pack_str(&packer, name);
    config->value = pack_str(&packer, value);
    pack_end(&packer);
    return config;
}

static void config_resource_free(struct shared *shared) {
    struct meta_config_resource *resource = (struct meta_config_resource *)shared;
    pmap_done(&resource->configs);
    free(resource);
}

struct bytes meta_resource_key(int8_t type, struct str name, uint8_t key[META_RESOURCE_KEY_MAX]) {
    assert(name.size < META_RESOURCE_KEY_MAX);
    key[0] = (uint8_t)type;
    if (name.size > 0) {
        memcpy(key + 1, name.data, name.size);
    }
    return (struct bytes){.data = key, .size = 1 + name.size};
}

/* The name stands directly behind the type's byte, see below. */
struct bytes meta_resource_key_of(const struct meta_config_resource *resource) {
    const uint8_t *key = (const uint8_t *)resource->name.data - 1;
    assert(key[0] == (uint8_t)resource->type);
    return (struct bytes){.data = key, .size = 1 + resource->name.size};
}

struct meta_config_resource *meta_config_resource_copy(const struct meta_config_resource *from) {
    size_t key_size = 1 + from->name.size;
    struct packer packer;
    struct meta_config_resource *resource =
        pack_new(&packer, sizeof *resource, pack_size(key_size));
    resource->shared.free = config_resource_free;
    resource->type = from->type;
    uint8_t *key = packer.at;
    packer.at += pack_size(key_size);
    (void)meta_resource_key(from->type, from->name, key);
    resource->name = (struct str){.data = (char *)key + 1, .size = from->name.size};
    resource->configs = pmap_copy(&from->configs);
    pack_end(&packer);
    return resource;
}

struct meta_kept *meta_kept_make(struct bytes key, int16_t type, struct bytes body) {
    struct packer packer;
    struct meta_kept *kept =
        pack_new(&packer, sizeof *kept, pack_size(key.size) + pack_size(body.size));
    kept->type = type;
    kept->key = (struct bytes){.data = pack_copy(&packer, key.data, key.size), .size = key.size};
    kept->body =
        (struct bytes){.data = pack_copy(&packer, body.data, body.size), .size = body.size};
    pack_end(&packer);
    return kept;
}
