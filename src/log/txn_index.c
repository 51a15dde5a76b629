#include "log/txn_index.h"

#include <stdlib.h>

#include "base/bytes.h"

void txn_index_init(struct txn_index *index, struct log_cache *cache, struct sys_lock *lock,
                    char *path, uint64_t file_size) {
    *index = (struct txn_index){
        .lock = lock,
        .size = file_size / TXN_INDEX_ENTRY_SIZE * TXN_INDEX_ENTRY_SIZE,
        .emptied = true, /* perhaps, by a process that was killed then */
    };
    cached_file_init(&index->file, cache, path);
}

void txn_index_done(struct txn_index *index) {
    cached_file_done(&index->file);
}

static void size_set(struct txn_index *index, uint64_t size) {
    sys_lock_take(index->lock);
    index->size = size;
    sys_lock_give(index->lock);
}

err_t txn_index_add(struct txn_index *index, const struct txn_index_entry *entry) {
    uint8_t data[TXN_INDEX_ENTRY_SIZE];
    put_be16(data, 0);
    put_be64(data + 2, (uint64_t)entry->producer_id);
    put_be64(data + 10, (uint64_t)entry->first_offset);
    put_be64(data + 18, (uint64_t)entry->last_offset);
    put_be64(data + 26, (uint64_t)entry->last_stable_offset);

    struct sys_file *file;
    err_t err = cached_file_take(&index->file, false, &file);
    if (err == ERR_NOT_FOUND && index->size == 0) {
        err = cached_file_create(&index->file);
        if (err == ERR_OK) {
            err = cached_file_take(&index->file, false, &file);
        }
    }
    if (err != ERR_OK) {
        return err;
    }
    err = sys_file_write(file, index->size, data, sizeof data);
    cached_file_give(&index->file);
    if (err == ERR_OK) {
        size_set(index, index->size + sizeof data);
    }
    return err;
}

static err_t truncate_file(struct txn_index *index, uint64_t size) {
    size_set(index, size);
    struct sys_file *file;
    err_t err = cached_file_take(&index->file, false, &file);
    if (err == ERR_OK) {
        err = sys_file_truncate(file, size);
        cached_file_give(&index->file);
    }
    sys_lock_take(index->lock);
    index->emptied = true;
    sys_lock_give(index->lock);
    return err == ERR_NOT_FOUND && size == 0 ? ERR_OK : err;
}

err_t txn_index_cut(struct txn_index *index, int64_t offset) {
    if (index->size == 0) {
        return ERR_OK;
    }
    if (offset == INT64_MIN) {
        return truncate_file(index, 0);
    }
    struct txn_index_entry *entries;
    size_t count;
    err_t err = txn_index_read(index, INT64_MIN, &entries, &count);
    if (err != ERR_OK) {
        return err;
    }
    size_t kept = 0;
    while (kept < count && entries[kept].last_offset < offset) {
        kept++;
    }
    free(entries);
    return kept == count ? ERR_OK : truncate_file(index, kept * TXN_INDEX_ENTRY_SIZE);
}

bool txn_index_is_empty(struct txn_index *index) {
    sys_lock_take(index->lock);
    bool empty = index->size == 0;
    sys_lock_give(index->lock);
    return empty;
}

err_t txn_index_sync(struct txn_index *index) {
    sys_lock_take(index->lock);
    bool empty = index->size == 0;
    bool emptied = index->emptied;
    index->emptied = false; /* a cut that comes meanwhile says so again */
    sys_lock_give(index->lock);
    if (empty && !emptied) {
        return ERR_OK;
    }
    struct sys_file *file;
    err_t err = cached_file_take(&index->file, false, &file);
    if (err == ERR_OK) {
        err = sys_file_sync(file);
        cached_file_give(&index->file);
    }
    err = err == ERR_NOT_FOUND && empty ? ERR_OK : err;
    if (err != ERR_OK) {
        sys_lock_take(index->lock);
        index->emptied |= emptied;
        sys_lock_give(index->lock);
    }
    return err;
}

int16_t txn_index_entry_read(const uint8_t *data, struct txn_index_entry *ret_entry) {
    *ret_entry = (struct txn_index_entry){
        .producer_id = (int64_t)get_be64(data + 2),
        .first_offset = (int64_t)get_be64(data + 10),
        .last_offset = (int64_t)get_be64(data + 18),
        .last_stable_offset = (int64_t)get_be64(data + 26),
    };
    return (int16_t)get_be16(data);
}

static err_t entries_parse(const uint8_t *data, size_t count, int64_t base_offset,
                           struct txn_index_entry *entries) {
    for (size_t i = 0; i < count; i++) {
        int16_t version = txn_index_entry_read(data + i * TXN_INDEX_ENTRY_SIZE, &entries[i]);
        if (version != 0 || entries[i].last_offset < base_offset) {
            return ERR_CORRUPT;
        }
    }
    return ERR_OK;
}

err_t txn_index_read(struct txn_index *index, int64_t base_offset,
                     struct txn_index_entry **ret_entries, size_t *ret_count) {
    sys_lock_take(index->lock);
    size_t size = (size_t)index->size;
    sys_lock_give(index->lock);
    if (size == 0) {
        *ret_entries = NULL;
        *ret_count = 0;
        return ERR_OK;
    }
    struct sys_file *file;
    err_t err = cached_file_take(&index->file, false, &file);
    if (err != ERR_OK) {
        return err;
    }
    uint8_t *data = malloc(size);
    size_t got;
    err = sys_file_read(file, 0, data, size, &got);
    cached_file_give(&index->file);
    if (err == ERR_OK && got < size) {
        err = ERR_CORRUPT;
    }
    size_t count = size / TXN_INDEX_ENTRY_SIZE;
    struct txn_index_entry *entries = malloc(count * sizeof *entries);
    if (err == ERR_OK) {
        err = entries_parse(data, count, base_offset, entries);
    }
    free(data);
    if (err != ERR_OK) {
        free(entries);
        return err;
    }
    *ret_entries = entries;
    *ret_count = count;
    return ERR_OK;
}

/* --- a walk --- */

static uint64_t entry_count(struct txn_index *index) {
    sys_lock_take(index->lock);
    uint64_t count = index->size / TXN_INDEX_ENTRY_SIZE;
    sys_lock_give(index->lock);
    return count;
}

/* NOT_FOUND: the last of them were taken back meanwhile, and walk->count says how many are left. */
static err_t entries_read(struct txn_index_walk *walk, uint64_t first, size_t count,
                          struct txn_index_entry *entries) {
    uint8_t data[TXN_INDEX_WALK_ENTRIES * TXN_INDEX_ENTRY_SIZE];
    size_t size = count * TXN_INDEX_ENTRY_SIZE;
    size_t got;
    err_t err = sys_file_read(walk->file, first * TXN_INDEX_ENTRY_SIZE, data, size, &got);
    if (err != ERR_OK || got == size) {
        return err == ERR_OK ? entries_parse(data, count, walk->base_offset, entries) : err;
    }
    uint64_t left = entry_count(walk->index);
    if (left >= first + count) {
        return ERR_CORRUPT;
    }
    walk->count = left < walk->count ? left : walk->count;
    return ERR_NOT_FOUND;
}

/* Markers rise in the file. */
static err_t find_first(struct txn_index_walk *walk, int64_t offset) {
    uint64_t low = 0, high = walk->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct txn_index_entry entry;
        err_t err = entries_read(walk, middle, 1, &entry);
        if (err != ERR_OK && err != ERR_NOT_FOUND) {
            return err;
        }
        if (err == ERR_OK && entry.last_offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    walk->next = low;
    return ERR_OK;
}

err_t txn_index_walk_init(struct txn_index_walk *walk, struct txn_index *index, int64_t base_offset,
                          int64_t offset, bool no_wait) {
    *walk = (struct txn_index_walk){.index = index, .base_offset = base_offset};
    walk->count = entry_count(index);
    if (walk->count == 0) {
        return ERR_OK;
    }
    err_t err = cached_file_take(&index->file, no_wait, &walk->file);
    if (err != ERR_OK) {
        walk->file = NULL;
        return err;
    }
    bool cold = no_wait && !sys_file_cached(walk->file, 0, walk->count * TXN_INDEX_ENTRY_SIZE);
    err = cold ? ERR_WOULD_BLOCK : find_first(walk, offset);
    if (err != ERR_OK) {
        txn_index_walk_done(walk);
    }
    return err;
}

void txn_index_walk_done(struct txn_index_walk *walk) {
    if (walk->file != NULL) {
        cached_file_give(&walk->index->file);
        walk->file = NULL;
    }
}

err_t txn_index_walk_next(struct txn_index_walk *walk, struct txn_index_entry *ret_entry) {
    while (walk->entry_index == walk->entry_count) {
        uint64_t left = walk->next < walk->count ? walk->count - walk->next : 0;
        size_t count = left < TXN_INDEX_WALK_ENTRIES ? (size_t)left : TXN_INDEX_WALK_ENTRIES;
        if (count == 0) {
            return ERR_NOT_FOUND;
        }
        err_t err = entries_read(walk, walk->next, count, walk->entries);
        if (err == ERR_NOT_FOUND) {
            continue;
        }
        if (err != ERR_OK) {
            return err;
        }
        walk->next += count;
        walk->entry_count = count;
        walk->entry_index = 0;
    }
    *ret_entry = walk->entries[walk->entry_index++];
    return ERR_OK;
}
