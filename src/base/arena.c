#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_ALIGN = 16, ARENA_BLOCK_SIZE = 4096, ARENA_BLOCK_KEPT_MAX = 64 * 1024 };

struct arena_block {
    struct arena_block *next; /* older */
    size_t size;              /* of data */
    size_t used;
    size_t padding; /* keeps data aligned */
    uint8_t data[];
};

_Static_assert(sizeof(struct arena_block) % ARENA_ALIGN == 0, "pieces are aligned");

static size_t align(size_t size) {
    return (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
}

void arena_init(struct arena *arena, size_t bound) {
    *arena = (struct arena){.bound = bound};
}

void arena_done(struct arena *arena) {
    for (struct arena_block *block = arena->blocks; block != NULL;) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->blocks = NULL;
    arena->used = 0;
}

void arena_reset(struct arena *arena) {
    struct arena_block *kept = NULL;
    for (struct arena_block *block = arena->blocks; block != NULL;) {
        struct arena_block *next = block->next;
        if (block->size <= ARENA_BLOCK_KEPT_MAX && (kept == NULL || block->size > kept->size)) {
            free(kept);
            kept = block;
        } else {
            free(block);
        }
        block = next;
    }
    if (kept != NULL) {
        kept->next = NULL;
        kept->used = 0;
    }
    arena->blocks = kept;
    arena->used = 0;
}

/* A new block, larger than the one before so that many pieces need few blocks. */
static struct arena_block *add_block(struct arena *arena, size_t size) {
    size_t capacity = ARENA_BLOCK_SIZE - sizeof(struct arena_block);
    if (arena->blocks != NULL && arena->blocks->size < ARENA_BLOCK_KEPT_MAX / 2) {
        capacity = 2 * arena->blocks->size;
    } else if (arena->blocks != NULL) {
        capacity = ARENA_BLOCK_KEPT_MAX - sizeof(struct arena_block);
    }
    if (capacity < size) {
        capacity = size;
    }
    struct arena_block *block = malloc(sizeof *block + capacity);
    if (block == NULL) {
        abort();
    }
    block->size = capacity;
    block->used = 0;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size) {
    if (size > arena->bound || arena->used > arena->bound - size) {
        return NULL;
    }
    size_t taken = align(size == 0 ? 1 : size);
    if (taken < size) {
        return NULL;
    }
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < taken) {
        block = add_block(arena, taken);
    }
    void *piece = block->data + block->used;
    block->used += taken;
    arena->used += size;
    return piece;
}

void *arena_alloc_zero(struct arena *arena, size_t size) {
    void *piece = arena_alloc(arena, size);
    if (piece != NULL) {
        memset(piece, 0, size);
    }
    return piece;
}

void *arena_grow(struct arena *arena, void *piece, size_t old_size, size_t new_size) {
    assert(new_size >= old_size);
    struct arena_block *block = arena->blocks;
    size_t old_taken = align(old_size == 0 ? 1 : old_size);
    size_t more = align(new_size) - (old_size == 0 ? 0 : align(old_size));
    bool last =
        piece != NULL && block != NULL && (uint8_t *)piece + old_taken == block->data + block->used;
    if (last && old_size > 0 && block->size - block->used >= more) {
        size_t grown = new_size - old_size;
        if (grown > arena->bound || arena->used > arena->bound - grown) {
            return NULL;
        }
        block->used += more;
        arena->used += grown;
        return piece;
    }
    void *larger = arena_alloc(arena, new_size);
    if (larger != NULL && old_size > 0) {
        memcpy(larger, piece, old_size);
    }
    return larger;
}

struct str arena_str(struct arena *arena, struct str s) {
    if (s.data == NULL) {
        return s;
    }
    char *copy = arena_alloc(arena, s.size);
    if (copy == NULL) {
        return STR_NULL;
    }
    memcpy(copy, s.data, s.size);
    return (struct str){.data = copy, .size = s.size};
}

struct bytes arena_bytes(struct arena *arena, struct bytes b) {
    return str_bytes(arena_str(arena, bytes_str(b)));
}

char *arena_c_str(struct arena *arena, struct str s) {
    if (s.data == NULL) {
        return NULL;
    }
    char *copy = arena_alloc(arena, s.size + 1);
    if (copy != NULL) {
        memcpy(copy, s.data, s.size);
        copy[s.size] = '\0';
    }
    return copy;
}

struct str arena_printf(struct arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(size >= 0);
    char *text = arena_alloc(arena, (size_t)size + 1);
    if (text == NULL) {
        return STR_NULL;
    }
    va_start(args, format);
    (void)vsnprintf(text, (size_t)size + 1, format, args);
    va_end(args);
    return (struct str){.data = text, .size = (size_t)size};
}
