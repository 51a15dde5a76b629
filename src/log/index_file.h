#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "log/cache_int.h"
#include "sys/lock.h"

/*
 * A file of entries of one size, sorted by rising keys: what offset and time index share.
 *
 * New entries gather in memory (the tail) and go to the file when many have come, and at roll and
 * close. The file is therefore always exactly its entries long, never padded. Lookups search the
 * tail, else the file through the cache of pages.
 *
 * The owner's lock guards the fields. [writer] functions are called by one thread at a time,
 * without the lock, and take it for as long as they change fields; the only writer may therefore
 * read the fields without it. index_file_last and _floor may be called on any thread, without the
 * lock; beside a cut they may come to CORRUPT.
 */
enum { INDEX_ENTRY_SIZE_MAX = 12 };

struct index_file {
    struct cached_file file;
    struct sys_lock *lock;
    uint64_t owner; /* of cached pages */
    uint32_t entry_size;
    uint32_t count;   /* entries in all */
    uint32_t written; /* of them in the file; the others are the tail */
    bool present;     /* there is a file; writer only */
    uint8_t *tail;
    uint32_t tail_capacity; /* entries */
};

typedef int64_t (*index_key_fn)(const uint8_t *entry);

/* file_size: of the existing file; 0 for one that is not present. Takes over `path`. */
void index_file_init(struct index_file *index, struct log_cache *cache, struct sys_lock *lock,
                     char *path, uint32_t entry_size, bool present, uint64_t file_size);

/* [writer] Makes the file, empty. */
err_t index_file_create(struct index_file *index);
void index_file_done(struct index_file *index); /* accepts a zeroed one */

/* [writer] Room in memory for `count` entries more, after writing the tail out if it is long. */
err_t index_file_reserve(struct index_file *index, uint32_t count);

/* [writer] Adds an entry at the end. There is room. */
void index_file_add(struct index_file *index, const uint8_t *entry);

/* [writer] Writes the tail to the file, making it when it is not there. */
err_t index_file_write(struct index_file *index);

/* Syncs what was written; on any thread. */
err_t index_file_sync(struct index_file *index);

/* [writer] Drops all entries from number `count` on. */
err_t index_file_cut(struct index_file *index, uint32_t count);

/* The last entry, on any thread; NOT_FOUND when there is none. */
err_t index_file_last(struct index_file *index, uint8_t *entry);

/* The last entry whose key is not above `target`; NOT_FOUND when there is none. *ret_number may be
 * NULL. */
err_t index_file_floor(struct index_file *index, index_key_fn key, int64_t target, bool no_wait,
                       uint8_t *entry, uint32_t *ret_number);
