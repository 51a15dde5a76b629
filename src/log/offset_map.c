#include "log/offset_map.h"

#include <stdlib.h>
#include <string.h>

/* Empty when offset_and_one is 0, so that memory fresh from the system is an empty map and costs
 * nothing before it is used. */
struct offset_map_slot {
    uint64_t hash[2];
    uint64_t offset_and_one;
};

_Static_assert(sizeof(struct offset_map_slot) == OFFSET_MAP_SLOT_SIZE, "what the bound counts");

/* --- the hash --- */

static uint64_t rotate(uint64_t value, int bits) {
    return value << bits | value >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], int rounds) {
    for (int i = 0; i < rounds; i++) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

static uint64_t word_read(const uint8_t *data, size_t size) {
    uint64_t word = 0;
    for (size_t i = 0; i < size; i++) {
        word |= (uint64_t)data[i] << (8 * i);
    }
    return word;
}

void key_hash(const uint64_t key[2], struct bytes data, uint64_t ret_hash[2]) {
    uint64_t v[4] = {
        key[0] ^ 0x736f6d6570736575u,
        key[1] ^ 0x646f72616e646f6du ^ 0xee, /* 0xee: 128 bits are wanted */
        key[0] ^ 0x6c7967656e657261u,
        key[1] ^ 0x7465646279746573u,
    };
    size_t at = 0;
    for (; data.size - at >= 8; at += 8) {
        uint64_t word = word_read(data.data + at, 8);
        v[3] ^= word;
        sip_rounds(v, 2);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)data.size << 56;
    if (at < data.size) {
        last |= word_read(data.data + at, data.size - at);
    }
    v[3] ^= last;
    sip_rounds(v, 2);
    v[0] ^= last;
    v[2] ^= 0xee;
    sip_rounds(v, 4);
    ret_hash[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    sip_rounds(v, 4);
    ret_hash[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* --- the map --- */

void offset_map_init(struct offset_map *map, uint64_t memory, double load_factor, uint64_t keys,
                     const uint64_t hash_key[2]) {
    uint64_t slots = load_factor > 0 ? memory / OFFSET_MAP_SLOT_SIZE : 0;
    double wanted = (double)keys / load_factor + 2;
    if (slots > 0 && wanted < (double)slots) {
        slots = (uint64_t)wanted;
    }
    *map = (struct offset_map){.latest_offset = -1, .hash_key = {hash_key[0], hash_key[1]}};
    map->slot_count = (size_t)slots;
    map->count_max = (size_t)((double)slots * load_factor);
    if (map->count_max >= map->slot_count && map->slot_count > 0) {
        map->count_max = map->slot_count - 1; /* a search ends at an empty slot */
    }
    map->slots = slots == 0 ? NULL : calloc(map->slot_count, sizeof *map->slots);
}

void offset_map_done(struct offset_map *map) {
    free(map->slots);
    *map = (struct offset_map){0};
}

/* The slot of this hash, or the empty one where it belongs. */
static struct offset_map_slot *slot_find(const struct offset_map *map, const uint64_t hash[2]) {
    size_t at = (size_t)(hash[0] % map->slot_count);
    for (;;) {
        struct offset_map_slot *slot = &map->slots[at];
        if (slot->offset_and_one == 0 || memcmp(slot->hash, hash, sizeof slot->hash) == 0) {
            return slot;
        }
        at = at + 1 == map->slot_count ? 0 : at + 1;
    }
}

bool offset_map_put(struct offset_map *map, struct bytes key, int64_t offset) {
    if (map->count_max == 0) {
        return false;
    }
    uint64_t hash[2];
    key_hash(map->hash_key, key, hash);
    struct offset_map_slot *slot = slot_find(map, hash);
    if (slot->offset_and_one == 0) {
        if (map->count == map->count_max) {
            return false;
        }
        memcpy(slot->hash, hash, sizeof slot->hash);
        map->count++;
    }
    slot->offset_and_one = (uint64_t)offset + 1;
    return true;
}

int64_t offset_map_get(const struct offset_map *map, struct bytes key) {
    if (map->count == 0) {
        return -1;
    }
    uint64_t hash[2];
    key_hash(map->hash_key, key, hash);
    return (int64_t)slot_find(map, hash)->offset_and_one - 1;
}

void offset_map_reach(struct offset_map *map, int64_t offset) {
    if (offset > map->latest_offset) {
        map->latest_offset = offset;
    }
}
