#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Memory of one lifetime: taken piece by piece, given back at once.
 *
 * A request, a decoded record or a build of something big has an arena; everything in it dies
 * together. Pieces are aligned to 16 bytes and not zeroed, unless the name says so. Not thread
 * safe: one owner at a time.
 *
 * An arena may have a bound; a piece that would pass it is NULL, and the caller answers with an
 * error. Without a bound an allocation never fails (running out of memory ends the process).
 */
struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes handed out since the last reset */
    size_t bound;               /* SIZE_MAX: none */
};

void arena_init(struct arena *arena, size_t bound);
void arena_done(struct arena *arena);

/* Gives all pieces back and keeps one block of at most 64 KiB for the next round. */
void arena_reset(struct arena *arena);

void *arena_alloc(struct arena *arena, size_t size);
void *arena_alloc_zero(struct arena *arena, size_t size);

/* Makes a piece larger; in place when it was the last one taken. The old piece is not to be used
 * afterwards. NULL on the bound, and then the old piece stays good. */
void *arena_grow(struct arena *arena, void *piece, size_t old_size, size_t new_size);

/* A list with room for `more` items behind its `count`, each of `unit` bytes. It is NULL at first,
 * and grows by this function only: its capacity is a power of two, so that also lists which grow in
 * turn take linear time and memory. NULL on the bound. */
void *arena_extend(struct arena *arena, void *list, size_t count, size_t more, size_t unit);

/* Copies; null stays null. The text of arena_c_str is zero-terminated. On the bound: null. */
struct str arena_str(struct arena *arena, struct str s);
struct bytes arena_bytes(struct arena *arena, struct bytes b);
char *arena_c_str(struct arena *arena, struct str s);

/* printf into the arena, zero-terminated. */
struct str arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A list in a message: `list` (null at first) with one more item. Past LIMIT_ERROR_TEXT bytes items
 * are left out, so that a list of whatever a stranger sent stays short. */
struct str arena_list(struct arena *arena, struct str list, const char *separator, struct str item);

#define ARENA_NEW(arena, type)          ((type *)arena_alloc_zero((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_alloc_zero((arena), sizeof(type) * (count)))
