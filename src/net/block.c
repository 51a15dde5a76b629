#include "net/block.h"

#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"

enum {
    STEPS = 4,             /* sizes per doubling */
    UNIT = 64,             /* class 0 is STEPS units */
    POOLED_MIN = 32 << 10, /* smaller ones malloc has at hand */
};

static size_t class_capacity(uint32_t size_class) {
    return (size_t)(STEPS + size_class % STEPS) * UNIT << size_class / STEPS;
}

static uint32_t class_of(size_t size) {
    if (size <= STEPS * UNIT) {
        return 0;
    }
    size_t units = (size + UNIT - 1) / UNIT;
    uint32_t doublings = 63 - (uint32_t)__builtin_clzll(units) - 2;
    uint32_t size_class = doublings * STEPS + (uint32_t)(units >> doublings) - STEPS;
    if (class_capacity(size_class) < size) {
        size_class++;
    }
    assert(size_class < NET_BLOCK_CLASSES);
    assert(class_capacity(size_class) >= size);
    return size_class;
}

void net_pool_init(struct net_pool *pool) {
    *pool = (struct net_pool){0};
    for (int i = 0; i < NET_BLOCK_CLASSES; i++) {
        list_init(&pool->free[i]);
    }
}

static void free_last(struct net_pool *pool, struct list *list) {
    struct net_block *block = container_of(list->prev, struct net_block, link);
    list_remove(&block->link);
    pool->free_size -= block->capacity;
    free(block);
}

void net_pool_done(struct net_pool *pool) {
    assert(pool->live_blocks == 0);
    for (int i = 0; i < NET_BLOCK_CLASSES; i++) {
        while (!list_empty(&pool->free[i])) {
            free_last(pool, &pool->free[i]);
        }
    }
    assert(pool->free_size == 0);
}

struct net_block *net_block_new(struct net_pool *pool, size_t size) {
    uint32_t size_class = class_of(size);
    struct list *link = list_take_first(&pool->free[size_class]);
    struct net_block *block;
    if (link != NULL) {
        block = container_of(link, struct net_block, link);
        pool->free_size -= block->capacity;
        if (pool->free_size < pool->free_size_min) {
            pool->free_size_min = pool->free_size;
        }
    } else {
        size_t capacity = class_capacity(size_class);
        block = malloc(sizeof *block + capacity);
        if (block == NULL) {
            abort(); /* out of memory ends the process, as everywhere */
        }
        *block = (struct net_block){.pool = pool, .size_class = size_class, .capacity = capacity};
    }
    block->refs = 1;
    pool->live_blocks++;
    return block;
}

struct net_block *net_block_ref(struct net_block *block) {
    assert(block->refs > 0);
    block->refs++;
    return block;
}

void net_block_unref(struct net_block *block) {
    if (block == NULL) {
        return;
    }
    assert(block->refs > 0);
    if (--block->refs > 0) {
        return;
    }
    struct net_pool *pool = block->pool;
    pool->live_blocks--;
    if (block->capacity >= POOLED_MIN && pool->free_size + block->capacity <= NET_POOL_BYTES_MAX) {
        pool->free_size += block->capacity;
        list_add_first(&pool->free[block->size_class], &block->link); /* warm ones first */
    } else {
        free(block);
    }
}

void net_pool_trim(struct net_pool *pool) {
    size_t excess = pool->free_size_min;
    for (int i = NET_BLOCK_CLASSES - 1; i >= 0 && excess > 0; i--) {
        while (!list_empty(&pool->free[i]) && class_capacity((uint32_t)i) <= excess) {
            excess -= class_capacity((uint32_t)i);
            free_last(pool, &pool->free[i]);
        }
    }
    pool->free_size_min = pool->free_size;
}
