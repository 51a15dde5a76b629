#pragma once

#include <stdbool.h>

#include "base/list.h"
#include "log/cache.h"
#include "sys/file.h"

/*
 * A file that is open while it is used, and as long after as there is room. Embedded in what it
 * belongs to. Taking and giving may happen on any thread; the path is set before and changes only
 * by cached_file_moved.
 */
struct cached_file {
    struct log_cache *cache;
    char *path; /* owned */
    struct sys_file *file;
    uint32_t users;
    struct list idle; /* in the cache's list while open and unused */
};

void cached_file_init(struct cached_file *file, struct log_cache *cache, char *path);

/* Nobody uses it. Closes it. Accepts a zeroed one. */
void cached_file_done(struct cached_file *file);

/* Opens the file if need be (WOULD_BLOCK with no_wait) and holds it open until it is given back. */
err_t cached_file_take(struct cached_file *file, bool no_wait, struct sys_file **ret_file);
void cached_file_give(struct cached_file *file);

/* The file was renamed; takes over `path`. The caller holds it open, so nobody asks for the path.
 */
void cached_file_moved(struct cached_file *file, char *path);

/* Makes the file, empty, and leaves it open. */
err_t cached_file_create(struct cached_file *file);

/* --- pages of index files --- */

enum { CACHE_PAGE_SIZE = 4096 };

/* A number that no other index of this cache has or had: the owner of pages. An index whose file
 * changed other than by growing takes a new one, and its old pages age out. */
uint64_t cache_owner_new(struct log_cache *cache);

/* Copies the first `size` bytes of a page, which starts at `position` of the file. Reads the file
 * when the cache does not have them (WOULD_BLOCK with no_wait); CORRUPT when it is too short. */
err_t cache_page_read(struct log_cache *cache, uint64_t owner, uint32_t page,
                      struct cached_file *file, uint64_t position, size_t size, bool no_wait,
                      uint8_t *data);
