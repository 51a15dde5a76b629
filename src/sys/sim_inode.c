/*
 * The bytes of one simulated file.
 *
 *              now (cache)           stored (platters)        dirty
 *   write      the new bytes         -                        set
 *   truncate   zeros past the end    -                        set where stored is not zero
 *   sync       -                     what now was at begin    cleared unless changed since
 *   failed     perhaps as stored     -                        perhaps cleared
 *   power cut  as stored             per dirty sector as now  cleared
 *                                    or as before
 *
 * Invariants
 *   1. Bytes of `now` past the size are zero.
 *   2. A sector that is not dirty has now == stored, except after a failed sync.
 *   3. A sync never stores bytes over those that a later sync stored (versions of pages).
 */
#include "sys/sim_inode.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SECTORS_PER_PAGE = SIM_PAGE_SIZE / SIM_SECTOR_SIZE };
_Static_assert(SECTORS_PER_PAGE == 8, "a page's sectors fit the bits of a byte");

struct sim_page {
    uint64_t version;        /* of the last change of now */
    uint64_t stored_version; /* that a sync stored */
    uint8_t dirty;           /* a bit per sector */
    bool cached;             /* reading does not wait */
    bool present;            /* takes space; else all zero in now */
    uint8_t now[SIM_PAGE_SIZE];
    uint8_t stored[SIM_PAGE_SIZE];
};

struct sync_page {
    size_t index;
    uint64_t version;
    uint8_t mask;
    uint8_t bytes[SIM_PAGE_SIZE];
};

struct sim_sync {
    struct list link;
    uint64_t size;       /* at its begin */
    uint64_t size_least; /* since */
    uint64_t size_most;
    uint64_t version;
    size_t count;
    struct sync_page pages[];
};

static uint64_t min_u64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

struct sim_inode *sim_inode_new(struct sim_disk *disk, bool directory) {
    struct sim_inode *inode = calloc(1, sizeof *inode);
    assert(inode != NULL);
    inode->disk = disk;
    inode->directory = directory;
    list_init(&inode->syncs);
    map_init(&inode->now);
    map_init(&inode->stored);
    return inode;
}

void sim_inode_free(struct sim_inode *inode) {
    sim_inode_forget_syncs(inode);
    for (size_t i = 0; i < inode->page_count; i++) {
        free(inode->pages[i]);
    }
    free(inode->pages);
    map_done(&inode->now);
    map_done(&inode->stored);
    list_remove(&inode->link);
    free(inode->name);
    free(inode);
}

/* --- space --- */

static size_t pages_of(uint64_t size) {
    return (size_t)((size + SIM_PAGE_SIZE - 1) / SIM_PAGE_SIZE);
}

static void charge(struct sim_inode *inode, size_t page_count) {
    inode->disk->used += (uint64_t)page_count * SIM_PAGE_SIZE;
    inode->disk->used -= (uint64_t)inode->charged_page_count * SIM_PAGE_SIZE;
    inode->charged_page_count = page_count;
}

static bool may_charge(const struct sim_inode *inode, size_t page_count) {
    const struct sim_disk *disk = inode->disk;
    return disk->used + (uint64_t)page_count * SIM_PAGE_SIZE <= disk->capacity;
}

void sim_inode_settle_space(struct sim_inode *inode) {
    size_t page_count = 0;
    if (inode->lives > 0) {
        page_count = inode->reserved_page_count;
        for (size_t i = page_count; i < inode->page_count; i++) {
            page_count += inode->pages[i] != NULL && inode->pages[i]->present;
        }
    }
    charge(inode, page_count);
}

bool sim_inode_reserve(struct sim_inode *inode, uint64_t size) {
    size_t reserved_before = inode->reserved_page_count;
    size_t charged_before = inode->charged_page_count;
    if (pages_of(size) <= reserved_before) {
        return true;
    }
    inode->reserved_page_count = pages_of(size);
    sim_inode_settle_space(inode);
    if (inode->disk->used > inode->disk->capacity && inode->charged_page_count > charged_before) {
        inode->reserved_page_count = reserved_before;
        sim_inode_settle_space(inode);
        return false;
    }
    return true;
}

/* --- pages --- */

static struct sim_page *page_at(const struct sim_inode *inode, size_t index) {
    return index < inode->page_count ? inode->pages[index] : NULL;
}

static void grow_table(struct sim_inode *inode, size_t index) {
    if (index >= inode->page_count) {
        size_t count = (size_t)max_u64(index + 1, 2 * inode->page_count);
        inode->pages = realloc(inode->pages, count * sizeof(struct sim_page *));
        assert(inode->pages != NULL);
        memset(&inode->pages[inode->page_count], 0,
               (count - inode->page_count) * sizeof(struct sim_page *));
        inode->page_count = count;
    }
}

/* NULL when the disk is full. */
static struct sim_page *page_to_write(struct sim_inode *inode, size_t index) {
    grow_table(inode, index);
    struct sim_page *page = inode->pages[index];
    if (page == NULL || !page->present) {
        if (index >= inode->reserved_page_count) {
            if (!may_charge(inode, 1)) {
                return NULL;
            }
            charge(inode, inode->charged_page_count + 1);
        }
        if (page == NULL) {
            page = calloc(1, sizeof *page);
            assert(page != NULL);
            inode->pages[index] = page;
        }
        page->present = true;
    }
    page->cached = true;
    return page;
}

static uint8_t sector_mask(size_t offset, size_t size) {
    size_t first = offset / SIM_SECTOR_SIZE;
    size_t end = (offset + size + SIM_SECTOR_SIZE - 1) / SIM_SECTOR_SIZE;
    return (uint8_t)((1u << end) - (1u << first));
}

/* Of the sectors in the mask: those that differ are dirty, the others are not. */
static void settle_dirty(struct sim_page *page, uint8_t mask) {
    for (int i = 0; i < SECTORS_PER_PAGE; i++) {
        if ((mask >> i & 1) != 0) {
            bool differs = memcmp(&page->now[i * SIM_SECTOR_SIZE],
                                  &page->stored[i * SIM_SECTOR_SIZE], SIM_SECTOR_SIZE) != 0;
            page->dirty = (uint8_t)((page->dirty & ~(1 << i)) | differs << i);
        }
    }
}

static void copy_sectors(uint8_t *to, const uint8_t *from, uint8_t mask) {
    for (int i = 0; i < SECTORS_PER_PAGE; i++) {
        if ((mask >> i & 1) != 0) {
            memcpy(to + i * SIM_SECTOR_SIZE, from + i * SIM_SECTOR_SIZE, SIM_SECTOR_SIZE);
        }
    }
}

/* --- bytes --- */

static void set_size(struct sim_inode *inode, uint64_t size) {
    inode->size = size;
    inode->size_least = min_u64(inode->size_least, size);
    inode->size_most = max_u64(inode->size_most, size);
    inode->version++;
    struct list *link;
    list_for_each (link, &inode->syncs) {
        struct sim_sync *sync = container_of(link, struct sim_sync, link);
        sync->size_least = min_u64(sync->size_least, size);
        sync->size_most = max_u64(sync->size_most, size);
    }
}

size_t sim_inode_read(struct sim_inode *inode, uint64_t position, void *data, size_t size) {
    if (position >= inode->size) {
        return 0;
    }
    size = (size_t)min_u64(size, inode->size - position);
    for (size_t done = 0; done < size;) {
        size_t offset = (position + done) % SIM_PAGE_SIZE;
        size_t part = (size_t)min_u64(SIM_PAGE_SIZE - offset, size - done);
        struct sim_page *page = page_at(inode, (size_t)((position + done) / SIM_PAGE_SIZE));
        if (page == NULL) {
            memset((uint8_t *)data + done, 0, part);
        } else {
            page->cached = true;
            memcpy((uint8_t *)data + done, &page->now[offset], part);
        }
        done += part;
    }
    return size;
}

size_t sim_inode_write(struct sim_inode *inode, uint64_t position, const void *data, size_t size) {
    size_t done = 0;
    while (done < size) {
        size_t offset = (position + done) % SIM_PAGE_SIZE;
        size_t part = (size_t)min_u64(SIM_PAGE_SIZE - offset, size - done);
        struct sim_page *page = page_to_write(inode, (size_t)((position + done) / SIM_PAGE_SIZE));
        if (page == NULL) {
            break;
        }
        memcpy(&page->now[offset], (const uint8_t *)data + done, part);
        page->dirty |= sector_mask(offset, part);
        page->version = ++inode->version;
        done += part;
    }
    if (done > 0) {
        set_size(inode, max_u64(inode->size, position + done));
    }
    return done;
}

static void zero_from(struct sim_inode *inode, uint64_t size) {
    for (size_t i = (size_t)(size / SIM_PAGE_SIZE); i < inode->page_count; i++) {
        struct sim_page *page = inode->pages[i];
        if (page == NULL) {
            continue;
        }
        size_t keep = i == size / SIM_PAGE_SIZE ? (size_t)(size % SIM_PAGE_SIZE) : 0;
        memset(&page->now[keep], 0, SIM_PAGE_SIZE - keep);
        settle_dirty(page, 0xff);
        page->version = ++inode->version;
        if (keep == 0) {
            page->stored_version = page->version; /* syncs that began before have no say */
            page->present = false;
        }
    }
}

void sim_inode_truncate(struct sim_inode *inode, uint64_t size) {
    if (size < inode->size) {
        zero_from(inode, size);
    }
    if (pages_of(size) < inode->reserved_page_count) {
        inode->reserved_page_count = pages_of(size);
    }
    set_size(inode, size);
    sim_inode_settle_space(inode);
}

bool sim_inode_cached(const struct sim_inode *inode, uint64_t position, size_t size) {
    uint64_t end = min_u64(position + size, inode->size);
    for (uint64_t at = position; at < end; at = (at / SIM_PAGE_SIZE + 1) * SIM_PAGE_SIZE) {
        const struct sim_page *page = page_at(inode, (size_t)(at / SIM_PAGE_SIZE));
        if (page != NULL && !page->cached) {
            return false;
        }
    }
    return true;
}

void sim_inode_drop_cache(struct sim_inode *inode) {
    for (size_t i = 0; i < inode->page_count; i++) {
        struct sim_page *page = inode->pages[i];
        if (page != NULL && page->dirty == 0) {
            page->cached = false;
            memcpy(page->now, page->stored, SIM_PAGE_SIZE); /* differs after a failed sync */
        }
    }
}

void sim_inode_flip(struct sim_inode *inode, uint64_t position, unsigned bit) {
    struct sim_page *page = page_at(inode, (size_t)(position / SIM_PAGE_SIZE));
    if (page != NULL) {
        page->now[position % SIM_PAGE_SIZE] ^= (uint8_t)(1u << bit % 8);
        page->stored[position % SIM_PAGE_SIZE] ^= (uint8_t)(1u << bit % 8);
    }
}

uint64_t sim_inode_dirty_sectors(const struct sim_inode *inode) {
    uint64_t count = 0;
    for (size_t i = 0; i < inode->page_count; i++) {
        if (inode->pages[i] != NULL) {
            count += (uint64_t)__builtin_popcount(inode->pages[i]->dirty);
        }
    }
    return count;
}

/* --- storing --- */

void sim_inode_write_back(struct sim_inode *inode, struct rng *rng) {
    for (size_t i = 0; i < inode->page_count; i++) {
        struct sim_page *page = inode->pages[i];
        if (page != NULL && page->dirty != 0) {
            uint8_t mask = (uint8_t)(rng_next(rng) & page->dirty);
            copy_sectors(page->stored, page->now, mask);
            settle_dirty(page, mask);
        }
    }
}

struct sim_sync *sim_inode_sync_begin(struct sim_inode *inode, struct rng *rng) {
    size_t count = 0;
    for (size_t i = 0; i < inode->page_count; i++) {
        count += inode->pages[i] != NULL && inode->pages[i]->dirty != 0;
    }
    struct sim_sync *sync = calloc(1, sizeof *sync + count * sizeof(struct sync_page));
    assert(sync != NULL);
    sync->size = sync->size_least = sync->size_most = inode->size;
    sync->version = inode->version;
    for (size_t i = 0; i < inode->page_count; i++) {
        struct sim_page *page = inode->pages[i];
        if (page != NULL && page->dirty != 0) {
            struct sync_page *copy = &sync->pages[sync->count++];
            copy->index = i;
            copy->version = page->version;
            copy->mask = page->dirty;
            memcpy(copy->bytes, page->now, SIM_PAGE_SIZE);
            copy_sectors(page->stored, page->now, (uint8_t)(rng_next(rng) & page->dirty));
        }
    }
    list_add_last(&inode->syncs, &sync->link);
    return sync;
}

void sim_inode_sync_end(struct sim_inode *inode, struct sim_sync *sync) {
    for (size_t i = 0; i < sync->count; i++) {
        const struct sync_page *copy = &sync->pages[i];
        struct sim_page *page = page_at(inode, copy->index);
        if (page != NULL && copy->version >= page->stored_version) {
            copy_sectors(page->stored, copy->bytes, copy->mask);
            page->stored_version = copy->version;
            settle_dirty(page, copy->mask);
        }
    }
    if (sync->version >= inode->size_stored_version) {
        inode->size_stored = sync->size;
        inode->size_stored_version = sync->version;
        inode->size_least = sync->size_least;
        inode->size_most = sync->size_most;
    }
    list_remove(&sync->link);
    free(sync);
}

/* Which of the three a real system does depends on its kernel, file system and luck. */
void sim_inode_sync_fail(struct sim_inode *inode, struct sim_sync *sync, struct rng *rng) {
    enum { STAYS_DIRTY, COUNTS_AS_CLEAN, DROPPED, OUTCOME_COUNT };
    uint64_t outcome = rng_below(rng, OUTCOME_COUNT);
    for (size_t i = 0; i < inode->page_count && outcome != STAYS_DIRTY; i++) {
        struct sim_page *page = inode->pages[i];
        if (page != NULL && page->dirty != 0) {
            if (outcome == DROPPED) {
                copy_sectors(page->now, page->stored, page->dirty);
                page->version = ++inode->version;
            }
            page->dirty = 0;
        }
    }
    if (outcome == DROPPED) {
        zero_from(inode, inode->size); /* old bytes past the end came back with their sectors */
    }
    list_remove(&sync->link);
    free(sync);
}

void sim_inode_forget_syncs(struct sim_inode *inode) {
    struct list *link;
    while ((link = list_take_first(&inode->syncs)) != NULL) {
        free(container_of(link, struct sim_sync, link));
    }
}

/* --- power cut --- */

static uint64_t size_after_cut(const struct sim_inode *inode, uint64_t mood, struct rng *rng) {
    if (mood == 0) {
        return inode->size_stored;
    }
    if (mood == 1) {
        return inode->size;
    }
    uint64_t least = min_u64(inode->size_least, inode->size_stored);
    uint64_t most = max_u64(inode->size_most, inode->size_stored);
    return least + rng_below(rng, most - least + 1);
}

/* Mood 0: nothing more was stored; 1: all was; 2: all before some sector; 3: any of them. */
uint64_t sim_inode_cut(struct sim_inode *inode, struct rng *rng) {
    uint64_t mood = rng_below(rng, 4);
    uint64_t dirty_count = sim_inode_dirty_sectors(inode);
    uint64_t kept_in_order = dirty_count == 0 ? 0 : rng_below(rng, dirty_count + 1);
    uint64_t seen = 0;
    uint64_t lost = 0;
    uint64_t size = size_after_cut(inode, mood, rng);
    for (size_t i = 0; i < inode->page_count; i++) {
        struct sim_page *page = inode->pages[i];
        if (page == NULL) {
            continue;
        }
        uint8_t kept = 0;
        for (int s = 0; s < SECTORS_PER_PAGE; s++) {
            if ((page->dirty >> s & 1) == 0) {
                continue;
            }
            bool keep = mood == 1 || (mood == 2 && seen < kept_in_order) ||
                        (mood == 3 && rng_below(rng, 2) == 0);
            kept |= (uint8_t)(keep << s);
            lost += !keep;
            seen++;
        }
        copy_sectors(page->stored, page->now, kept);
        memcpy(page->now, page->stored, SIM_PAGE_SIZE);
        page->present = true;
    }
    lost += size != inode->size;
    zero_from(inode, size);
    for (size_t i = 0; i < inode->page_count; i++) {
        struct sim_page *page = inode->pages[i];
        if (page != NULL) {
            memcpy(page->stored, page->now, SIM_PAGE_SIZE);
            page->dirty = 0;
            page->cached = false;
        }
    }
    inode->size = inode->size_stored = inode->size_least = inode->size_most = size;
    return lost;
}
