/*
 * Two lists of least recently used things behind one lock: open files that nobody uses, and index
 * pages. Nothing blocks under the lock: files are opened, closed and read outside, and when two
 * threads did the same work at once, the second one's result is thrown away.
 *
 * A page is found by (owner << PAGE_BITS | page number) and remembers how many of its bytes were
 * in the file when it was read, because the last page of a growing index is read before it is full.
 */
#include "log/cache_int.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "sys/lock.h"

enum { PAGE_BITS = 20 };

struct page {
    struct list recent;
    uint64_t key;
    uint32_t size;
    uint8_t data[CACHE_PAGE_SIZE];
};

struct log_cache {
    struct sys *sys;
    struct sys_lock lock;
    size_t files_max;
    size_t pages_max;
    uint64_t owner_next;
    struct list idle_files; /* oldest first */
    uint64_t files_open;
    uint64_t files_opened;
    struct map pages;
    struct list recent_pages; /* oldest first */
    uint64_t page_hits;
    uint64_t page_misses;
};

struct log_cache *log_cache_new(struct sys *sys, size_t files_max, size_t page_bytes_max) {
    struct log_cache *cache = calloc(1, sizeof *cache);
    cache->sys = sys;
    sys_lock_init(&cache->lock, SYS_RANK_CACHE);
    cache->files_max = files_max;
    cache->pages_max = page_bytes_max / sizeof(struct page);
    if (cache->pages_max == 0) {
        cache->pages_max = 1;
    }
    list_init(&cache->idle_files);
    list_init(&cache->recent_pages);
    map_init(&cache->pages);
    return cache;
}

void log_cache_free(struct log_cache *cache) {
    if (cache == NULL) {
        return;
    }
    assert(cache->files_open == 0);
    struct list *link;
    while ((link = list_take_first(&cache->recent_pages)) != NULL) {
        free(container_of(link, struct page, recent));
    }
    map_done(&cache->pages);
    free(cache);
}

void log_cache_stats(struct log_cache *cache, struct log_cache_stats *ret_stats) {
    sys_lock_take(&cache->lock);
    *ret_stats = (struct log_cache_stats){
        .files_open = cache->files_open,
        .files_opened = cache->files_opened,
        .page_bytes = map_count(&cache->pages) * sizeof(struct page),
        .page_hits = cache->page_hits,
        .page_misses = cache->page_misses,
    };
    sys_lock_give(&cache->lock);
}

/* --- files --- */

void cached_file_init(struct cached_file *file, struct log_cache *cache, char *path) {
    *file = (struct cached_file){.cache = cache, .path = path};
}

void cached_file_done(struct cached_file *file) {
    if (file->cache == NULL) {
        return;
    }
    sys_lock_take(&file->cache->lock);
    assert(file->users == 0);
    list_remove(&file->idle);
    struct sys_file *open = file->file;
    file->file = NULL;
    file->cache->files_open -= open != NULL;
    sys_lock_give(&file->cache->lock);
    sys_file_close(open);
    free(file->path);
    file->path = NULL;
}

/* Takes the longest unused files out while more are open than should be; returns one to close. */
static struct sys_file *surplus_take(struct log_cache *cache, uint64_t files_max) {
    struct list *link = cache->files_open > files_max ? list_take_first(&cache->idle_files) : NULL;
    if (link == NULL) {
        return NULL;
    }
    struct cached_file *file = container_of(link, struct cached_file, idle);
    struct sys_file *surplus = file->file;
    file->file = NULL;
    cache->files_open--;
    return surplus;
}

static void surplus_close(struct log_cache *cache, uint64_t files_max) {
    for (;;) {
        sys_lock_take(&cache->lock);
        struct sys_file *surplus = surplus_take(cache, files_max);
        sys_lock_give(&cache->lock);
        if (surplus == NULL) {
            return;
        }
        sys_file_close(surplus);
    }
}

static err_t open_now(struct cached_file *file, int flags, struct sys_file **ret_file) {
    err_t err = sys_file_open(file->cache->sys, file->path, flags, ret_file);
    if (err == ERR_NO_FILES) {
        surplus_close(file->cache, 0);
        err = sys_file_open(file->cache->sys, file->path, flags, ret_file);
    }
    return err;
}

/* Makes `open` the file's own unless another thread was faster; takes the file. */
static struct sys_file *adopt(struct cached_file *file, struct sys_file *open) {
    struct log_cache *cache = file->cache;
    struct sys_file *surplus = NULL;
    sys_lock_take(&cache->lock);
    if (file->file == NULL) {
        file->file = open;
        cache->files_open++;
        cache->files_opened++;
    } else {
        surplus = open;
    }
    list_remove(&file->idle);
    file->users++;
    struct sys_file *result = file->file;
    sys_lock_give(&cache->lock);
    sys_file_close(surplus);
    surplus_close(cache, cache->files_max);
    return result;
}

err_t cached_file_take(struct cached_file *file, bool no_wait, struct sys_file **ret_file) {
    struct log_cache *cache = file->cache;
    sys_lock_take(&cache->lock);
    struct sys_file *open = file->file;
    if (open != NULL) {
        list_remove(&file->idle);
        file->users++;
    }
    sys_lock_give(&cache->lock);
    if (open != NULL) {
        *ret_file = open;
        return ERR_OK;
    }
    if (no_wait) {
        return ERR_WOULD_BLOCK;
    }
    err_t err = open_now(file, 0, &open);
    if (err == ERR_OK) {
        *ret_file = adopt(file, open);
    }
    return err;
}

void cached_file_give(struct cached_file *file) {
    struct log_cache *cache = file->cache;
    sys_lock_take(&cache->lock);
    assert(file->users > 0);
    if (--file->users == 0) {
        list_add_last(&cache->idle_files, &file->idle);
    }
    struct sys_file *surplus = surplus_take(cache, cache->files_max);
    sys_lock_give(&cache->lock);
    sys_file_close(surplus);
}

void cached_file_moved(struct cached_file *file, char *path) {
    free(file->path);
    file->path = path;
}

err_t cached_file_create(struct cached_file *file) {
    assert(file->file == NULL);
    struct sys_file *open;
    err_t err = open_now(file, SYS_FILE_CREATE | SYS_FILE_TRUNCATE, &open);
    if (err == ERR_OK) {
        (void)adopt(file, open);
        cached_file_give(file);
    }
    return err;
}

/* --- pages --- */

uint64_t cache_owner_new(struct log_cache *cache) {
    return __atomic_add_fetch(&cache->owner_next, 1, __ATOMIC_RELAXED);
}

static bool copy_cached(struct log_cache *cache, uint64_t key, size_t size, uint8_t *data) {
    sys_lock_take(&cache->lock);
    struct page *page = map_get_u64(&cache->pages, key);
    bool found = page != NULL && page->size >= size;
    if (found) {
        memcpy(data, page->data, size);
        list_remove(&page->recent);
        list_add_last(&cache->recent_pages, &page->recent);
    }
    cache->page_hits += found;
    cache->page_misses += !found;
    sys_lock_give(&cache->lock);
    return found;
}

/* Takes over `page`, in the place of an older copy or of the longest unused page. */
static void insert(struct log_cache *cache, struct page *page) {
    struct page *dropped = NULL;
    sys_lock_take(&cache->lock);
    struct page *old = map_get_u64(&cache->pages, page->key);
    if (old != NULL) {
        dropped = old;
    } else if (map_count(&cache->pages) >= cache->pages_max) {
        dropped = container_of(list_first(&cache->recent_pages), struct page, recent);
    }
    if (dropped != NULL) {
        map_remove_u64(&cache->pages, dropped->key);
        list_remove(&dropped->recent);
    }
    map_put_u64(&cache->pages, page->key, page);
    list_add_last(&cache->recent_pages, &page->recent);
    sys_lock_give(&cache->lock);
    free(dropped);
}

err_t cache_page_read(struct log_cache *cache, uint64_t owner, uint32_t page,
                      struct cached_file *file, uint64_t position, size_t size, bool no_wait,
                      uint8_t *data) {
    assert(page < 1u << PAGE_BITS);
    assert(size <= CACHE_PAGE_SIZE);
    uint64_t key = owner << PAGE_BITS | page;
    if (copy_cached(cache, key, size, data)) {
        return ERR_OK;
    }
    if (no_wait) {
        return ERR_WOULD_BLOCK;
    }
    struct sys_file *open;
    err_t err = cached_file_take(file, false, &open);
    if (err != ERR_OK) {
        return err;
    }
    struct page *fresh = calloc(1, sizeof *fresh);
    size_t got;
    err = sys_file_read(open, position, fresh->data, size, &got);
    cached_file_give(file);
    if (err == ERR_OK && got < size) {
        err = ERR_CORRUPT;
    }
    if (err != ERR_OK) {
        free(fresh);
        return err;
    }
    memcpy(data, fresh->data, size);
    fresh->key = key;
    fresh->size = (uint32_t)got;
    insert(cache, fresh);
    return ERR_OK;
}
