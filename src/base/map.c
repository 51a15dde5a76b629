/*
 * entries holds what was put, in that order; index is an open-addressed table of places in entries
 * (0: empty, else 1 + place). A removed entry stays, with value NULL, until the next rebuild, which
 * comes when entries is full and drops all removed ones.
 *
 * Invariants
 *   1. index_size is 0 or a power of two, and at least 4/3 of entry_capacity: probing ends.
 *   2. Every entry, removed or not, is in the index exactly once.
 */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MAP_CAPACITY_FIRST = 8 };

static uint64_t rotate(uint64_t x, int count) {
    return x << count | x >> (64 - count);
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 with a key made of the seed. */
static uint64_t hash_bytes(uint64_t seed, const uint8_t *data, size_t size) {
    uint64_t v[4] = {seed ^ 0x736f6d6570736575u, ~seed ^ 0x646f72616e646f6du,
                     seed ^ 0x6c7967656e657261u, ~seed ^ 0x7465646279746573u};
    size_t left = size;
    for (; left >= 8; left -= 8, data += 8) {
        uint64_t word;
        memcpy(&word, data, sizeof word);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t word = (uint64_t)size << 56;
    for (size_t i = 0; i < left; i++) {
        word |= (uint64_t)data[i] << (8 * i);
    }
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t hash_key(const struct map *map, struct bytes key) {
    if (key.data == NULL) {
        uint64_t number = key.size;
        return hash_bytes(map->seed, (const uint8_t *)&number, sizeof number);
    }
    return hash_bytes(map->seed, key.data, key.size);
}

static bool same_key(struct bytes a, struct bytes b) {
    return a.size == b.size && (a.data == NULL || memcmp(a.data, b.data, a.size) == 0);
}

void map_init(struct map *map) {
    *map = (struct map){.seed = (uint64_t)(uintptr_t)map ^ (uint64_t)(uintptr_t)map_init << 20};
}

void map_done(struct map *map) {
    free(map->entries);
    free(map->index);
    map_init(map);
}

void map_clear(struct map *map) {
    map_done(map);
}

/* The slot that holds the key's entry, or the empty one where the search ended. */
static uint32_t *find_slot(const struct map *map, struct bytes key, uint64_t hash) {
    uint32_t mask = map->index_size - 1;
    for (uint32_t at = (uint32_t)hash & mask;; at = (at + 1) & mask) {
        uint32_t *slot = &map->index[at];
        if (*slot == 0) {
            return slot;
        }
        const struct map_entry *entry = &map->entries[*slot - 1];
        if (entry->value != NULL && entry->hash == hash && same_key(entry->key, key)) {
            return slot;
        }
    }
}

static void insert_place(struct map *map, uint32_t place) {
    uint32_t mask = map->index_size - 1;
    uint32_t at = (uint32_t)map->entries[place].hash & mask;
    while (map->index[at] != 0) {
        at = (at + 1) & mask;
    }
    map->index[at] = place + 1;
}

/* Drops removed entries and makes room for more. */
static void rebuild(struct map *map) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < map->entry_count; i++) {
        if (map->entries[i].value != NULL) {
            map->entries[kept++] = map->entries[i];
        }
    }
    map->entry_count = kept;
    assert(kept == map->count);
    while (map->entry_capacity < MAP_CAPACITY_FIRST || kept > map->entry_capacity / 4 * 3) {
        map->entry_capacity =
            map->entry_capacity == 0 ? MAP_CAPACITY_FIRST : 2 * map->entry_capacity;
    }
    map->index_size = 2 * map->entry_capacity;
    map->entries = realloc(map->entries, map->entry_capacity * sizeof *map->entries);
    free(map->index);
    map->index = calloc(map->index_size, sizeof *map->index);
    if (map->entries == NULL || map->index == NULL) {
        abort();
    }
    for (uint32_t i = 0; i < kept; i++) {
        insert_place(map, i);
    }
}

void *map_get(const struct map *map, struct bytes key) {
    if (map->count == 0) {
        return NULL;
    }
    const uint32_t *slot = find_slot(map, key, hash_key(map, key));
    return *slot == 0 ? NULL : map->entries[*slot - 1].value;
}

void *map_put(struct map *map, struct bytes key, void *value) {
    assert(value != NULL);
    uint64_t hash = hash_key(map, key);
    if (map->count > 0) {
        const uint32_t *slot = find_slot(map, key, hash);
        if (*slot != 0) {
            struct map_entry *entry = &map->entries[*slot - 1];
            void *before = entry->value;
            entry->key = key;
            entry->value = value;
            return before;
        }
    }
    if (map->entry_count == map->entry_capacity) {
        rebuild(map);
    }
    map->entries[map->entry_count] = (struct map_entry){.hash = hash, .key = key, .value = value};
    insert_place(map, map->entry_count);
    map->entry_count++;
    map->count++;
    return NULL;
}

void *map_remove(struct map *map, struct bytes key) {
    if (map->count == 0) {
        return NULL;
    }
    const uint32_t *slot = find_slot(map, key, hash_key(map, key));
    if (*slot == 0) {
        return NULL;
    }
    struct map_entry *entry = &map->entries[*slot - 1];
    void *value = entry->value;
    entry->value = NULL;
    map->count--;
    return value;
}

static struct bytes number_key(uint64_t key) {
    return (struct bytes){.data = NULL, .size = key};
}

void *map_get_u64(const struct map *map, uint64_t key) {
    return map_get(map, number_key(key));
}

void *map_put_u64(struct map *map, uint64_t key, void *value) {
    return map_put(map, number_key(key), value);
}

void *map_remove_u64(struct map *map, uint64_t key) {
    return map_remove(map, number_key(key));
}

void *map_next(const struct map *map, size_t *cursor) {
    while (*cursor < map->entry_count) {
        void *value = map->entries[(*cursor)++].value;
        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}
