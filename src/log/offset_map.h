#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Where each key was written last: the cleaner's map from keys to offsets, in bounded memory.
 *
 * It keeps no keys, but 128 bits of a keyed SipHash of each. Two keys that collide would cost the
 * older one's records; among 2^32 keys that happens once in 2^65 maps, and as the hash key is drawn
 * anew for each map, nobody can choose keys that do. One thread at a time.
 */
struct offset_map {
    struct offset_map_slot *slots;
    size_t slot_count;
    size_t count;
    size_t count_max; /* the load factor's share of the slots */
    int64_t latest_offset;
    uint64_t hash_key[2];
};

enum { OFFSET_MAP_SLOT_SIZE = 24 };

/* At most `memory` bytes, and no more than `keys` keys need at this load factor; of one that is not
 * above 0 no key has room. */
void offset_map_init(struct offset_map *map, uint64_t memory, double load_factor, uint64_t keys,
                     const uint64_t hash_key[2]);
void offset_map_done(struct offset_map *map);

/* Notes that the key is at this offset now. False, and nothing is changed, when the map is full. */
bool offset_map_put(struct offset_map *map, struct bytes key, int64_t offset);

/* The newest offset of the key; -1 when it is not known. */
int64_t offset_map_get(const struct offset_map *map, struct bytes key);

/* Everything up to this offset was looked at. */
void offset_map_reach(struct offset_map *map, int64_t offset);

/* SipHash-2-4 with 128 bits. */
void key_hash(const uint64_t key[2], struct bytes data, uint64_t ret_hash[2]);
