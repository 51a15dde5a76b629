#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * A binary heap of members that carry their own place, so that one can be removed or moved from
 * the middle. The member with the least key, by the heap's order, is on top. Not thread safe.
 */
struct heap_node {
    size_t place; /* 0: in no heap; else 1 + index */
};

typedef bool (*heap_before_fn)(const struct heap_node *a, const struct heap_node *b);

struct heap {
    struct heap_node **nodes;
    size_t count;
    size_t capacity;
    heap_before_fn before;
};

void heap_init(struct heap *heap, heap_before_fn before);
void heap_done(struct heap *heap);

static inline bool heap_contains(const struct heap_node *node) {
    return node->place != 0;
}

/* NULL when empty. */
struct heap_node *heap_top(const struct heap *heap);
void heap_push(struct heap *heap, struct heap_node *node);
void heap_remove(struct heap *heap, struct heap_node *node); /* nothing when it is in no heap */

/* The key of a member changed. */
void heap_update(struct heap *heap, struct heap_node *node);
