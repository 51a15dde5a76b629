#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * A hash map from byte strings, or numbers, to pointers.
 *
 * Open addressing, keyed SipHash-1-3 so that a stranger cannot choose collisions. The map borrows
 * its keys: a key must live, unchanged, as long as its entry (usually it is a field of the value).
 * Numbers are stored by value (map_*_u64) and must not be mixed with byte keys in one map.
 * Iteration order is that of insertion, the same in every run. A zero-initialised map is an empty
 * one. Not thread safe.
 */
struct map {
    struct map_entry *entries;
    uint32_t *index;
    uint32_t entry_count; /* with the holes that removals left */
    uint32_t entry_capacity;
    uint32_t index_size; /* a power of two, or 0 */
    uint32_t count;
    uint64_t hash_key[2]; /* the process's random numbers, from the first entry on */
};

struct map_entry {
    uint64_t hash;    /* for u64 keys: of the key */
    struct bytes key; /* u64 keys: data NULL, size holds the key */
    void *value;      /* NULL: removed */
};

void map_init(struct map *map);
void map_done(struct map *map); /* the values are the caller's */
void map_clear(struct map *map);

static inline size_t map_count(const struct map *map) {
    return map->count;
}

/* NULL when there is none. */
void *map_get(const struct map *map, struct bytes key);

/* value must not be NULL. Returns the value that was replaced (the key is replaced too), or NULL.
 */
void *map_put(struct map *map, struct bytes key, void *value);

/* Returns the value that was removed, or NULL. */
void *map_remove(struct map *map, struct bytes key);

void *map_get_u64(const struct map *map, uint64_t key);
void *map_put_u64(struct map *map, uint64_t key, void *value);
void *map_remove_u64(struct map *map, uint64_t key);

/* Walks all values: start with cursor 0; NULL at the end. The current entry may be removed during
 * the walk; nothing may be added. */
void *map_next(const struct map *map, size_t *cursor);

#define map_for_each(map, cursor, value)                                                           \
    for ((cursor) = 0; ((value) = map_next((map), &(cursor))) != NULL;)
