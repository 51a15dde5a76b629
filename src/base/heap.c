#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

static void put(struct heap *heap, size_t index, struct heap_node *node) {
    heap->nodes[index] = node;
    node->place = index + 1;
}

static size_t sift_up(struct heap *heap, size_t index) {
    struct heap_node *node = heap->nodes[index];
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!heap->before(node, heap->nodes[parent])) {
            break;
        }
        put(heap, index, heap->nodes[parent]);
        index = parent;
    }
    put(heap, index, node);
    return index;
}

static void sift_down(struct heap *heap, size_t index) {
    struct heap_node *node = heap->nodes[index];
    for (;;) {
        size_t child = index * 2 + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count && heap->before(heap->nodes[child + 1], heap->nodes[child])) {
            child++;
        }
        if (!heap->before(heap->nodes[child], node)) {
            break;
        }
        put(heap, index, heap->nodes[child]);
        index = child;
    }
    put(heap, index, node);
}

void heap_init(struct heap *heap, heap_before_fn before) {
    *heap = (struct heap){.before = before};
}

void heap_done(struct heap *heap) {
    free(heap->nodes);
    *heap = (struct heap){0};
}

struct heap_node *heap_top(const struct heap *heap) {
    return heap->count == 0 ? NULL : heap->nodes[0];
}

void heap_push(struct heap *heap, struct heap_node *node) {
    assert(!heap_contains(node));
    if (heap->count == heap->capacity) {
        size_t capacity = heap->capacity == 0 ? 16 : heap->capacity * 2;
        struct heap_node **nodes = realloc(heap->nodes, capacity * sizeof nodes[0]);
        if (nodes == NULL) {
            abort();
        }
        heap->nodes = nodes;
        heap->capacity = capacity;
    }
    put(heap, heap->count++, node);
    (void)sift_up(heap, heap->count - 1);
}

void heap_remove(struct heap *heap, struct heap_node *node) {
    if (!heap_contains(node)) {
        return;
    }
    size_t index = node->place - 1;
    assert(index < heap->count);
    assert(heap->nodes[index] == node);
    node->place = 0;
    heap->count--;
    if (index < heap->count) {
        put(heap, index, heap->nodes[heap->count]);
        heap_update(heap, heap->nodes[index]);
    }
}

void heap_update(struct heap *heap, struct heap_node *node) {
    assert(heap_contains(node));
    assert(heap->nodes[node->place - 1] == node);
    sift_down(heap, sift_up(heap, node->place - 1));
}
