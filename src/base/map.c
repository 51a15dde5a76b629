/*
 * entries[] holds the pairs in the order of insertion; index[] is the hash table, of places in
 * entries[]: 0 is a free slot, n stands for entries[n - 1].
 *
 * Invariants
 *   1. index_size is twice entry_capacity, so at least half of the slots are free and probing ends.
 *   2. Every entry, with value or removed, has exactly one slot. A removed one keeps its slot so
 *      that probing goes on past it; both go when the entries are full and the map is rebuilt.
 *   3. count is the number of entries with a value.
 */
#include "base/map.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/auxv.h>

enum { CAPACITY_MIN = 8 };

/* The kernel gives each process 16 random bytes at its start. */
static void read_hash_key(struct map *map) {
    const void *random = (const void *)getauxval(AT_RANDOM);
    if (random != NULL) {
        memcpy(map->hash_key, random, sizeof map->hash_key);
    }
}

static uint64_t rotate_left(uint64_t x, int count) {
    return x << count | x >> (64 - count);
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate_left(v[1], 13) ^ v[0];
    v[3] = rotate_left(v[3], 16) ^ v[2];
    v[0] = rotate_left(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate_left(v[1], 17) ^ v[2];
    v[3] = rotate_left(v[3], 21) ^ v[0];
    v[2] = rotate_left(v[2], 32);
}

static uint64_t sip_hash(const uint64_t key[2], const uint8_t *data, size_t size) {
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                     key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    uint64_t word = 0;
    size_t left = size;
    for (; left >= sizeof word; left -= sizeof word, data += sizeof word) {
        memcpy(&word, data, sizeof word);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)size << 56;
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

/* A number's entry has data NULL and the number as size; no bytes are behind it. So a null is a key
 * too, and not the same as an empty one. */
static uint64_t hash_of(const struct map *map, struct bytes key) {
    if (key.data == NULL) {
        uint64_t number = key.size;
        return sip_hash(map->hash_key, (const uint8_t *)&number, sizeof number);
    }
    return sip_hash(map->hash_key, key.data, key.size);
}

static bool key_equal(struct bytes a, struct bytes b) {
    return a.size == b.size && (a.data == NULL) == (b.data == NULL) &&
           (a.data == NULL || a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static void *alloc_zero(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static struct map_entry *find(const struct map *map, struct bytes key, uint64_t hash) {
    if (map->count == 0) {
        return NULL;
    }
    uint32_t mask = map->index_size - 1;
    for (uint32_t slot = (uint32_t)hash & mask; map->index[slot] != 0; slot = (slot + 1) & mask) {
        struct map_entry *entry = &map->entries[map->index[slot] - 1];
        if (entry->hash == hash && entry->value != NULL && key_equal(entry->key, key)) {
            return entry;
        }
    }
    return NULL;
}

static void index_add(struct map *map, uint64_t hash, uint32_t place) {
    uint32_t mask = map->index_size - 1;
    uint32_t slot = (uint32_t)hash & mask;
    while (map->index[slot] != 0) {
        slot = (slot + 1) & mask;
    }
    map->index[slot] = place + 1;
}

/* Makes room for one entry at least: drops the removed ones and picks the capacity anew. */
static void rebuild(struct map *map) {
    uint32_t capacity = CAPACITY_MIN;
    while (capacity / 4 * 3 <= map->count) {
        assert(capacity <= UINT32_MAX / 4);
        capacity *= 2;
    }
    struct map_entry *entries = alloc_zero(capacity, sizeof entries[0]);
    uint32_t used = 0;
    for (uint32_t i = 0; i < map->entry_count; i++) {
        if (map->entries[i].value != NULL) {
            entries[used++] = map->entries[i];
        }
    }
    assert(used == map->count);
    free(map->entries);
    free(map->index);
    map->entries = entries;
    map->entry_count = used;
    map->entry_capacity = capacity;
    map->index_size = capacity * 2;
    map->index = alloc_zero(map->index_size, sizeof map->index[0]);
    for (uint32_t i = 0; i < used; i++) {
        index_add(map, entries[i].hash, i);
    }
}

void map_init(struct map *map) {
    *map = (struct map){0};
}

void map_done(struct map *map) {
    free(map->entries);
    free(map->index);
    *map = (struct map){0};
}

void map_clear(struct map *map) {
    if (map->entry_count > 0) {
        memset(map->index, 0, map->index_size * sizeof map->index[0]);
    }
    map->entry_count = 0;
    map->count = 0;
}

void *map_get(const struct map *map, struct bytes key) {
    struct map_entry *entry = find(map, key, hash_of(map, key));
    return entry == NULL ? NULL : entry->value;
}

void *map_put(struct map *map, struct bytes key, void *value) {
    assert(value != NULL);
    if (map->entry_capacity == 0) {
        read_hash_key(map);
    }
    uint64_t hash = hash_of(map, key);
    struct map_entry *entry = find(map, key, hash);
    if (entry != NULL) {
        void *replaced = entry->value;
        entry->key = key;
        entry->value = value;
        return replaced;
    }
    if (map->entry_count == map->entry_capacity) {
        rebuild(map);
    }
    index_add(map, hash, map->entry_count);
    map->entries[map->entry_count++] = (struct map_entry){hash, key, value};
    map->count++;
    return NULL;
}

void *map_remove(struct map *map, struct bytes key) {
    struct map_entry *entry = find(map, key, hash_of(map, key));
    if (entry == NULL) {
        return NULL;
    }
    void *value = entry->value;
    entry->value = NULL;
    entry->key = (struct bytes){0};
    map->count--;
    return value;
}

void *map_get_u64(const struct map *map, uint64_t key) {
    return map_get(map, (struct bytes){.size = key});
}

void *map_put_u64(struct map *map, uint64_t key, void *value) {
    return map_put(map, (struct bytes){.size = key}, value);
}

void *map_remove_u64(struct map *map, uint64_t key) {
    return map_remove(map, (struct bytes){.size = key});
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
