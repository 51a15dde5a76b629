#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

/*
 * Receive blocks: counted runs of memory that frames are read into and that requests share.
 *
 * A pool belongs to one reactor and so do its blocks; no call may come from another thread. Sizes
 * go in steps of a quarter of a doubling. Large blocks that come back are kept for the next large
 * frame, as fresh memory costs a page fault per 4 KiB; what stays unused is given back to the
 * system by net_pool_trim.
 */
struct net_block {
    struct list link; /* in the pool, while free */
    struct net_pool *pool;
    uint32_t refs;
    uint32_t size_class;
    size_t capacity;
    uint8_t data[];
};

enum { NET_BLOCK_CLASSES = 97 }; /* 256 bytes to 4 GiB */

struct net_pool {
    struct list free[NET_BLOCK_CLASSES];
    size_t free_size;
    size_t free_size_min; /* since the last trim: nobody needed these */
    int64_t live_blocks;  /* handed out; for assertions */
};

void net_pool_init(struct net_pool *pool);
void net_pool_done(struct net_pool *pool); /* all blocks are back */

/* A block with room for at least `size` bytes and at most a quarter more (256 bytes at least), with
 * one reference. */
struct net_block *net_block_new(struct net_pool *pool, size_t size);
struct net_block *net_block_ref(struct net_block *block);
void net_block_unref(struct net_block *block); /* accepts NULL */

/* Frees the blocks that were not needed since the last call. */
void net_pool_trim(struct net_pool *pool);
