#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

void heap_init(struct heap *heap, heap_before_fn before) {
    *heap = (struct heap){.before = before};
}

void heap_done(struct heap *heap) {
    free(heap->nodes);
    *heap = (struct heap){.before = heap->before};
}

struct heap_node *heap_top(const struct heap *heap) {
    return heap->count == 0 ? NULL : heap->nodes[0];
}

static void put(struct heap *heap, size_t index, struct heap_node *node) {
    heap->nodes[index] = node;
    node->place = index + 1;
}

static void sift_up(struct heap *heap, size_t index, struct heap_node *node) {
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!heap->before(node, heap->nodes[parent])) {
            break;
        }
        put(heap, index, heap->nodes[parent]);
        index = parent;
    }
    put(heap, index, node);
}

static void sift_down(struct heap *heap, size_t index, struct heap_node *node) {
    for (;;) {
        size_t child = 2 * index + 1;
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

void heap_push(struct heap *heap, struct heap_node *node) {
    assert(!heap_contains(node));
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity == 0 ? 16 : 2 * heap->capacity;
        heap->nodes = realloc(heap->nodes, heap->capacity * sizeof *heap->nodes);
        if (heap->nodes == NULL) {
            abort();
        }
    }
    heap->count++;
    sift_up(heap, heap->count - 1, node);
}

void heap_update(struct heap *heap, struct heap_node *node) {
    assert(heap_contains(node));
    size_t index = node->place - 1;
    assert(heap->nodes[index] == node);
    if (index > 0 && heap->before(node, heap->nodes[(index - 1) / 2])) {
        sift_up(heap, index, node);
    } else {
        sift_down(heap, index, node);
    }
}

void heap_remove(struct heap *heap, struct heap_node *node) {
    if (!heap_contains(node)) {
        return;
    }
    size_t index = node->place - 1;
    assert(heap->nodes[index] == node);
    struct heap_node *last = heap->nodes[--heap->count];
    node->place = 0;
    if (last != node) {
        put(heap, index, last);
        heap_update(heap, last);
    }
}
