/*
 * Blocks are taken from malloc, the first of BLOCK_SIZE_MIN, each next twice as large up to
 * BLOCK_SIZE_MAX; a piece larger than a quarter of a block gets a block to itself, placed behind
 * the newest so that the room left in that one stays in use.
 *
 * Invariant: blocks->used of the newest block is where the next small piece goes, and the last
 * piece handed out of it ends there.
 */
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"

struct arena_block {
    struct arena_block *next; /* the one before it in time */
    size_t capacity;
    size_t used;
    size_t reserved; /* keeps data aligned to 16 */
    uint8_t data[];
};

enum { ALIGNMENT = 16, BLOCK_SIZE_MIN = 4096, BLOCK_SIZE_MAX = 1 << 20, KEEP_SIZE_MAX = 64 << 10 };

_Static_assert(sizeof(struct arena_block) % ALIGNMENT == 0, "pieces are aligned");

static size_t round_up(size_t size) {
    return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static struct arena_block *block_new(size_t capacity) {
    struct arena_block *block = malloc(sizeof *block + capacity);
    if (block == NULL) {
        abort();
    }
    *block = (struct arena_block){.capacity = capacity};
    return block;
}

static size_t next_capacity(const struct arena *arena) {
    size_t capacity = BLOCK_SIZE_MIN - sizeof(struct arena_block);
    if (arena->blocks != NULL && arena->blocks->capacity >= capacity) {
        size_t total = (arena->blocks->capacity + sizeof(struct arena_block)) * 2;
        total = total > BLOCK_SIZE_MAX ? BLOCK_SIZE_MAX : total;
        capacity = total - sizeof(struct arena_block);
    }
    return capacity;
}

/* A block of its own for one large piece. */
static void *alloc_large(struct arena *arena, size_t size) {
    struct arena_block *block = block_new(size);
    block->used = size;
    if (arena->blocks == NULL) {
        arena->blocks = block;
    } else {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    }
    return block->data;
}

void arena_init(struct arena *arena, size_t bound) {
    *arena = (struct arena){.bound = bound};
}

void arena_done(struct arena *arena) {
    struct arena_block *block = arena->blocks;
    while (block != NULL) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->blocks = NULL;
    arena->used = 0;
}

void arena_reset(struct arena *arena) {
    struct arena_block *keep = NULL;
    struct arena_block *block = arena->blocks;
    while (block != NULL) {
        struct arena_block *next = block->next;
        if (block->capacity + sizeof *block <= KEEP_SIZE_MAX &&
            (keep == NULL || block->capacity > keep->capacity)) {
            free(keep);
            keep = block;
        } else {
            free(block);
        }
        block = next;
    }
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
    }
    arena->blocks = keep;
    arena->used = 0;
}

void *arena_alloc(struct arena *arena, size_t size) {
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    size_t rounded = round_up(size == 0 ? 1 : size);
    assert(arena->used <= arena->bound);
    if (rounded > arena->bound - arena->used) {
        return NULL;
    }
    arena->used += rounded;
    struct arena_block *block = arena->blocks;
    if (block == NULL || rounded > block->capacity - block->used) {
        size_t capacity = next_capacity(arena);
        if (rounded > capacity / 4) {
            return alloc_large(arena, rounded);
        }
        block = block_new(capacity);
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *piece = block->data + block->used;
    block->used += rounded;
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
    if (piece == NULL) {
        return arena_alloc(arena, new_size);
    }
    if (new_size > SIZE_MAX / 2) {
        return NULL;
    }
    struct arena_block *block = arena->blocks;
    size_t old_rounded = round_up(old_size == 0 ? 1 : old_size);
    size_t more = round_up(new_size == 0 ? 1 : new_size) - old_rounded;
    bool last = (uint8_t *)piece + old_rounded == block->data + block->used;
    if (last && more <= block->capacity - block->used) {
        if (more > arena->bound - arena->used) {
            return NULL;
        }
        arena->used += more;
        block->used += more;
        return piece;
    }
    void *copy = arena_alloc(arena, new_size);
    if (copy != NULL) {
        memcpy(copy, piece, old_size);
    }
    return copy;
}

static size_t capacity_for(size_t count) {
    return count < 2 ? count : (size_t)1 << (64 - __builtin_clzll(count - 1));
}

void *arena_extend(struct arena *arena, void *list, size_t count, size_t more, size_t unit) {
    size_t capacity = capacity_for(count);
    return count + more <= capacity
               ? list
               : arena_grow(arena, list, capacity * unit, capacity_for(count + more) * unit);
}

struct bytes arena_bytes(struct arena *arena, struct bytes b) {
    if (b.data == NULL) {
        return b;
    }
    uint8_t *copy = arena_alloc(arena, b.size);
    if (copy == NULL) {
        return (struct bytes){0};
    }
    memcpy(copy, b.data, b.size);
    return (struct bytes){.data = copy, .size = b.size};
}

struct str arena_str(struct arena *arena, struct str s) {
    return bytes_str(arena_bytes(arena, str_bytes(s)));
}

char *arena_c_str(struct arena *arena, struct str s) {
    char *copy = s.data == NULL ? NULL : arena_alloc(arena, s.size + 1);
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

struct str arena_list(struct arena *arena, struct str list, const char *separator,
                      struct str item) {
    if (list.size > LIMIT_ERROR_TEXT) {
        return list;
    }
    return arena_printf(arena, "%.*s%s%.*s", STR_ARGS(list), list.data == NULL ? "" : separator,
                        STR_ARGS(item));
}
