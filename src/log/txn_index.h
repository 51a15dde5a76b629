#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/cache_int.h"
#include "sys/lock.h"

/*
 * The transaction index of a segment (docs/formats/transaction-index.md): the transactions whose
 * abort marker is in the segment. The file is made with its first entry; most segments have none.
 *
 * [writer] functions by one thread at a time; the others on any.
 */
struct txn_index {
    struct cached_file file;
    struct sys_lock *lock; /* the owner's; guards the two below */
    uint64_t size;         /* of the file; 0: there may be no file */
    bool emptied;          /* it may be longer on the disk, and is not synced since */
};

struct txn_index_entry {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset; /* of the marker */
    int64_t last_stable_offset;
};

enum { TXN_INDEX_ENTRY_SIZE = 34 };

/* An entry as it stands in the file, for those who only look. Returns its version: another than 0
 * is none that we know. */
int16_t txn_index_entry_read(const uint8_t *data, struct txn_index_entry *ret_entry);

void txn_index_init(struct txn_index *index, struct log_cache *cache, struct sys_lock *lock,
                    char *path, uint64_t file_size);
void txn_index_done(struct txn_index *index);

/* On any thread. */
bool txn_index_is_empty(struct txn_index *index);

/* [writer] */
err_t txn_index_add(struct txn_index *index, const struct txn_index_entry *entry);

/* [writer] Drops entries whose marker is at or above an offset; all of them for INT64_MIN. */
err_t txn_index_cut(struct txn_index *index, int64_t offset);

/* Syncs what was written; on any thread. */
err_t txn_index_sync(struct txn_index *index);

/*
 * A walk over the entries from the first one whose marker is at or above an offset. On any thread.
 * Errors as txn_index_read. The file is kept open until the walk is done. no_wait: WOULD_BLOCK,
 * now, where it might have to wait for the disk.
 */
enum { TXN_INDEX_WALK_ENTRIES = 32 };

struct txn_index_walk {
    struct txn_index *index;
    struct sys_file *file; /* NULL: there are no entries */
    int64_t base_offset;
    uint64_t next; /* these two count entries of the file */
    uint64_t count;
    struct txn_index_entry entries[TXN_INDEX_WALK_ENTRIES];
    size_t entry_count;
    size_t entry_index;
};

err_t txn_index_walk_init(struct txn_index_walk *walk, struct txn_index *index, int64_t base_offset,
                          int64_t offset, bool no_wait);
void txn_index_walk_done(struct txn_index_walk *walk);
err_t txn_index_walk_next(struct txn_index_walk *walk, struct txn_index_entry *ret_entry);

/* All entries; *ret_entries is freed with free(), NULL when there are none. CORRUPT for an entry of
 * an unknown version or with a marker below base_offset. */
err_t txn_index_read(struct txn_index *index, int64_t base_offset,
                     struct txn_index_entry **ret_entries, size_t *ret_count);
