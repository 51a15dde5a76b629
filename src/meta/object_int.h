#pragma once

#include "meta/delta.h"
#include "wire/messages.h"

/*
 * Making the values of an image. A value is one piece of memory: its struct, then everything that
 * it points at, so that freeing it is one free().
 */

/* Hands out the memory behind a struct, in pieces aligned to 8. */
struct packer {
    uint8_t *at;
    uint8_t *end;
};

size_t pack_size(size_t size);      /* what a piece of that size takes */
size_t pack_str_size(struct str s); /* the same for the copy of a string */

/* A zeroed struct with room for `extra` bytes of pieces, and a shared head of one reference. */
void *pack_new(struct packer *packer, size_t size, size_t extra);
void *pack_copy(struct packer *packer, const void *data, size_t size);
struct str pack_str(struct packer *packer, struct str s); /* null stays null */
void pack_end(const struct packer *packer); /* checks that the room was counted well */

/* Endpoints and features of brokers and controllers: their room, and their copies. */
size_t pack_endpoints_size(const struct meta_endpoint *endpoints, int32_t count);
const struct meta_endpoint *pack_endpoints(struct packer *packer,
                                           const struct meta_endpoint *endpoints, int32_t count);
size_t pack_features_size(const struct meta_feature_range *features, int32_t count);
const struct meta_feature_range *
pack_features(struct packer *packer, const struct meta_feature_range *features, int32_t count);

/* Copies of values made elsewhere: `from` may point anywhere, its shared head is not looked at. */
struct meta_broker *meta_broker_copy(const struct meta_broker *from);
struct meta_controller *meta_controller_copy(const struct meta_controller *from);
struct meta_partition *meta_partition_copy(const struct meta_partition *from);
/* With another reference to the partitions' root. */
struct meta_topic *meta_topic_copy(const struct meta_topic *from);
struct meta_feature *meta_feature_make(struct str name, int16_t level);
struct meta_config *meta_config_make(struct str name, struct str value);
struct meta_config_resource *meta_config_resource_copy(const struct meta_config_resource *from);
struct meta_kept *meta_kept_make(struct bytes key, int16_t type, struct bytes body);

/* The key of a config resource: its type as a byte, then its name. */
enum { META_RESOURCE_KEY_MAX = 1 + INT16_MAX };
struct bytes meta_resource_key(int8_t type, struct str name, uint8_t key[META_RESOURCE_KEY_MAX]);
struct bytes meta_resource_key_of(const struct meta_config_resource *resource);

/* The key of an id inside a value. */
static inline struct bytes uuid_bytes(const struct uuid *id) {
    return (struct bytes){.data = id->bytes, .size = sizeof id->bytes};
}

static inline uint64_t id_key(int32_t id) {
    return (uint32_t)id;
}
