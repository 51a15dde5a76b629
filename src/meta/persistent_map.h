#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * A sorted map that can be copied in no time: copies share their nodes, and a change to one copy
 * makes new nodes only on the way from the root to what changed (some twenty in a million).
 *
 * The metadata image is made of them. A map value (struct pmap) is one pointer and a count; it owns
 * one reference to its root. Nodes and values are counted with atomics, so different threads may
 * hold, read and drop different copies at the same time; one copy must not be changed by one thread
 * while another uses that same copy. Keys are byte strings in the order of memcmp, or numbers
 * (pmap_*_u64), not mixed in one map; they live inside the values. Running out of memory ends the
 * process.
 */

/* The first member of every value: counts who holds it. */
struct shared {
    _Atomic uint32_t refs;
    void (*free)(struct shared *shared); /* called by whoever drops the last reference */
};

static inline void shared_init(struct shared *shared, void (*free)(struct shared *shared)) {
    atomic_init(&shared->refs, 1);
    shared->free = free;
}

static inline void shared_ref(struct shared *shared) {
    atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
}

void shared_unref(struct shared *shared); /* accepts NULL */

struct pmap_node;

struct pmap {
    struct pmap_node *root; /* NULL when empty: a zeroed map is an empty one */
    size_t count;
};

/* Another copy, for which pmap_done is due. */
struct pmap pmap_copy(const struct pmap *map);
void pmap_done(struct pmap *map);

/* NULL when there is none. The value is borrowed and lives as long as this copy is not changed. */
void *pmap_get(const struct pmap *map, struct bytes key);
void *pmap_get_u64(const struct pmap *map, uint64_t key);

/* Takes over one reference to `value`; a value under the same key is replaced. `key` points into
 * the value. */
void pmap_put(struct pmap *map, struct bytes key, struct shared *value);
void pmap_put_u64(struct pmap *map, uint64_t key, struct shared *value);

/* Fine when there is none. */
void pmap_remove(struct pmap *map, struct bytes key);
void pmap_remove_u64(struct pmap *map, uint64_t key);

/* A walk over all values in the order of their keys; the map must not change meanwhile. */
enum { PMAP_DEPTH_MAX = 48 }; /* an AVL tree of 2^32 entries is at most 46 high */

struct pmap_walk {
    const struct pmap_node *nodes[PMAP_DEPTH_MAX];
    int depth;
};

void pmap_walk_start(struct pmap_walk *walk, const struct pmap *map);
/* From the first key that is not less than `key`. */
void pmap_walk_from(struct pmap_walk *walk, const struct pmap *map, struct bytes key);
void pmap_walk_from_u64(struct pmap_walk *walk, const struct pmap *map, uint64_t key);
void *pmap_walk_next(struct pmap_walk *walk); /* NULL at the end */

#define pmap_for_each(walk, map, value)                                                            \
    for (pmap_walk_start((walk), (map)); ((value) = pmap_walk_next(walk)) != NULL;)
