#include "log/index_file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    TAIL_FIRST = 16,  /* entries that a new tail has room for */
    TAIL_WRITE = 512, /* entries after which it is written out: once per 2 MiB of records */
};

void index_file_init(struct index_file *index, struct log_cache *cache, struct sys_lock *lock,
                     char *path, uint32_t entry_size, bool present, uint64_t file_size) {
    assert(entry_size > 0);
    assert(entry_size <= INDEX_ENTRY_SIZE_MAX);
    *index = (struct index_file){
        .lock = lock,
        .owner = cache_owner_new(cache),
        .entry_size = entry_size,
        .present = present,
        .count = (uint32_t)(file_size / entry_size),
        .written = (uint32_t)(file_size / entry_size),
    };
    cached_file_init(&index->file, cache, path);
}

void index_file_done(struct index_file *index) {
    cached_file_done(&index->file);
    free(index->tail);
    index->tail = NULL;
}

err_t index_file_reserve(struct index_file *index, uint32_t count) {
    if (index->count - index->written >= TAIL_WRITE) {
        err_t err = index_file_write(index);
        if (err != ERR_OK) {
            return err;
        }
    }
    uint32_t wanted = index->count - index->written + count;
    if (wanted <= index->tail_capacity) {
        return ERR_OK;
    }
    uint32_t capacity = index->tail_capacity == 0 ? TAIL_FIRST : index->tail_capacity;
    while (capacity < wanted) {
        capacity *= 2;
    }
    sys_lock_take(index->lock);
    index->tail = realloc(index->tail, (size_t)capacity * index->entry_size);
    index->tail_capacity = capacity;
    sys_lock_give(index->lock);
    return ERR_OK;
}

void index_file_add(struct index_file *index, const uint8_t *entry) {
    sys_lock_take(index->lock);
    uint32_t tail_count = index->count - index->written;
    assert(tail_count < index->tail_capacity);
    memcpy(index->tail + (size_t)tail_count * index->entry_size, entry, index->entry_size);
    index->count++;
    sys_lock_give(index->lock);
}

err_t index_file_create(struct index_file *index) {
    err_t err = cached_file_create(&index->file);
    index->present |= err == ERR_OK;
    return err;
}

err_t index_file_write(struct index_file *index) {
    uint32_t tail_count = index->count - index->written;
    err_t err = index->present ? ERR_OK : index_file_create(index);
    if (err != ERR_OK || tail_count == 0) {
        return err;
    }
    struct sys_file *file;
    err = cached_file_take(&index->file, false, &file);
    if (err != ERR_OK) {
        return err;
    }
    err = sys_file_write(file, (uint64_t)index->written * index->entry_size, index->tail,
                         (size_t)tail_count * index->entry_size);
    cached_file_give(&index->file);
    if (err == ERR_OK) {
        sys_lock_take(index->lock);
        index->written = index->count;
        sys_lock_give(index->lock);
    }
    return err;
}

err_t index_file_sync(struct index_file *index) {
    struct sys_file *file;
    err_t err = cached_file_take(&index->file, false, &file);
    if (err == ERR_OK) {
        err = sys_file_sync(file);
        cached_file_give(&index->file);
    }
    return err;
}

err_t index_file_cut(struct index_file *index, uint32_t count) {
    assert(count <= index->count);
    bool in_file = count < index->written;
    sys_lock_take(index->lock);
    index->count = count;
    if (in_file) {
        index->written = count;
        index->owner = cache_owner_new(index->file.cache);
    }
    sys_lock_give(index->lock);
    struct sys_file *file;
    err_t err = in_file ? cached_file_take(&index->file, false, &file) : ERR_OK;
    if (err == ERR_OK && in_file) {
        err = sys_file_truncate(file, (uint64_t)count * index->entry_size);
        cached_file_give(&index->file);
    }
    return err == ERR_NOT_FOUND && count == 0 ? ERR_OK : err;
}

/* Page size rounded down to whole entries. */
static uint32_t entries_per_page(const struct index_file *index) {
    return CACHE_PAGE_SIZE / index->entry_size;
}

/* What of the file a lookup searches, taken under the lock. */
struct view {
    uint64_t owner;
    uint32_t written;
};

/* Whether the file was cut since: a page that is not whole says nothing. */
static bool view_is_stale(struct index_file *index, const struct view *view) {
    sys_lock_take(index->lock);
    bool stale = index->owner != view->owner;
    sys_lock_give(index->lock);
    return stale;
}

static err_t page_read(struct index_file *index, const struct view *view, uint32_t page,
                       bool no_wait, uint8_t *data, uint32_t *ret_count) {
    uint32_t per_page = entries_per_page(index);
    uint32_t first = page * per_page;
    uint32_t count = view->written - first < per_page ? view->written - first : per_page;
    *ret_count = count;
    return cache_page_read(index->file.cache, view->owner, page, &index->file,
                           (uint64_t)first * index->entry_size, (size_t)count * index->entry_size,
                           no_wait, data);
}

static err_t last_in_file(struct index_file *index, const struct view *view, uint8_t *entry) {
    if (view->written == 0) {
        return ERR_NOT_FOUND;
    }
    uint8_t data[CACHE_PAGE_SIZE];
    uint32_t count;
    err_t err =
        page_read(index, view, (view->written - 1) / entries_per_page(index), false, data, &count);
    if (err == ERR_OK) {
        memcpy(entry, data + (size_t)(count - 1) * index->entry_size, index->entry_size);
    }
    return err;
}

err_t index_file_last(struct index_file *index, uint8_t *entry) {
    for (;;) {
        sys_lock_take(index->lock);
        struct view view = {.owner = index->owner, .written = index->written};
        uint32_t tail_count = index->count - index->written;
        if (tail_count > 0) {
            memcpy(entry, index->tail + (size_t)(tail_count - 1) * index->entry_size,
                   index->entry_size);
        }
        sys_lock_give(index->lock);
        err_t err = tail_count > 0 ? ERR_OK : last_in_file(index, &view, entry);
        if (err != ERR_CORRUPT || !view_is_stale(index, &view)) {
            return err;
        }
    }
}

/* How many of `count` sorted entries have keys that are not above the target. */
static uint32_t count_below(const uint8_t *entries, uint32_t count, uint32_t entry_size,
                            index_key_fn key, int64_t target) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (key(entries + (size_t)middle * entry_size) <= target) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Narrows down to the last page whose first entry is not above the target. */
static err_t floor_in_file(struct index_file *index, const struct view *view, index_key_fn key,
                           int64_t target, bool no_wait, uint8_t *entry, uint32_t *ret_number) {
    if (view->written == 0) {
        return ERR_NOT_FOUND;
    }
    uint8_t data[CACHE_PAGE_SIZE];
    uint32_t per_page = entries_per_page(index);
    uint32_t low = 0, high = (view->written - 1) / per_page + 1; /* the answer is in [low, high) */
    uint32_t loaded = UINT32_MAX, count = 0;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        err_t err = page_read(index, view, middle, no_wait, data, &count);
        if (err != ERR_OK) {
            return err;
        }
        loaded = middle;
        if (key(data) <= target) {
            low = middle;
        } else {
            high = middle;
        }
    }
    if (loaded != low) {
        err_t err = page_read(index, view, low, no_wait, data, &count);
        if (err != ERR_OK) {
            return err;
        }
    }
    uint32_t below = count_below(data, count, index->entry_size, key, target);
    if (below == 0) {
        return ERR_NOT_FOUND;
    }
    memcpy(entry, data + (size_t)(below - 1) * index->entry_size, index->entry_size);
    *ret_number = low * per_page + below - 1;
    return ERR_OK;
}

err_t index_file_floor(struct index_file *index, index_key_fn key, int64_t target, bool no_wait,
                       uint8_t *entry, uint32_t *ret_number) {
    for (;;) {
        sys_lock_take(index->lock);
        struct view view = {.owner = index->owner, .written = index->written};
        uint32_t below =
            count_below(index->tail, index->count - index->written, index->entry_size, key, target);
        if (below > 0) {
            memcpy(entry, index->tail + (size_t)(below - 1) * index->entry_size, index->entry_size);
        }
        sys_lock_give(index->lock);
        uint32_t number = view.written + below - 1;
        err_t err =
            below > 0 ? ERR_OK : floor_in_file(index, &view, key, target, no_wait, entry, &number);
        if (err == ERR_CORRUPT && view_is_stale(index, &view)) {
            continue;
        }
        if (err == ERR_OK && ret_number != NULL) {
            *ret_number = number;
        }
        return err;
    }
}
