#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"
#include "sys/file.h"

/*
 * One file or directory of a simulated disk: what is read now, and what is stored for good.
 *
 * The bytes are in pages of eight sectors. A page has both contents; a sector whose contents may
 * differ and that the system still means to store is dirty. Sizes follow the same rule.
 */
enum { SIM_SECTOR_SIZE = 512, SIM_PAGE_SIZE = 4096 };

struct sim_disk {
    struct list link;
    uint64_t capacity;
    uint64_t used;
};

struct sim_page;

struct sim_inode {
    struct list link; /* of the tree */
    struct sim_disk *disk;
    uint32_t refs;  /* names, now and stored, changes not yet stored, open files */
    uint32_t lives; /* names now and open files: it takes space while there are any */
    bool directory;
    bool read_only;
    bool undone; /* during a power cut: a change of its name was */
    int64_t modified_ms;
    struct sim_inode *parent; /* of the last name it got, for its path */
    char *name;

    /* a file */
    uint64_t size;
    uint64_t size_stored;
    uint64_t size_stored_version;
    uint64_t size_least; /* since the last sync began */
    uint64_t size_most;
    uint64_t version; /* rises with every change of the bytes */
    struct sim_page **pages;
    size_t page_count; /* of the table; entries may be NULL: zeros */
    size_t reserved_page_count;
    size_t charged_page_count;
    struct list syncs; /* struct sim_sync, going on */
    const struct sys_file *locked_by;

    /* a directory: struct sim_name by name */
    struct map now;
    struct map stored;
};

struct sim_inode *sim_inode_new(struct sim_disk *disk, bool directory);
void sim_inode_free(struct sim_inode *inode);

/* lives became 0, or is no longer: gives the space back, or takes it again even when full. */
void sim_inode_settle_space(struct sim_inode *inode);

/* How much was read: less than asked only at the end. */
size_t sim_inode_read(struct sim_inode *inode, uint64_t position, void *data, size_t size);

/* How much was written: less than asked when the disk is full. */
size_t sim_inode_write(struct sim_inode *inode, uint64_t position, const void *data, size_t size);
void sim_inode_truncate(struct sim_inode *inode, uint64_t size);
bool sim_inode_reserve(struct sim_inode *inode, uint64_t size); /* false: not enough space */
bool sim_inode_cached(const struct sim_inode *inode, uint64_t position, size_t size);
void sim_inode_drop_cache(struct sim_inode *inode);
void sim_inode_flip(struct sim_inode *inode, uint64_t position, unsigned bit);
uint64_t sim_inode_dirty_sectors(const struct sim_inode *inode);

/* Stores some dirty sectors, as a system does on its own. */
void sim_inode_write_back(struct sim_inode *inode, struct rng *rng);

/* What is dirty at the begin is stored at the end, some of it earlier. */
struct sim_sync *sim_inode_sync_begin(struct sim_inode *inode, struct rng *rng);
void sim_inode_sync_end(struct sim_inode *inode, struct sim_sync *sync);
void sim_inode_sync_fail(struct sim_inode *inode, struct sim_sync *sync, struct rng *rng);
void sim_inode_forget_syncs(struct sim_inode *inode);

/* The power fails. Returns how many sectors are not as they were read before. */
uint64_t sim_inode_cut(struct sim_inode *inode, struct rng *rng);
