/* sys/file.h on the simulated disk. */
#include "sys/sim_file.h"

#include <stdlib.h>
#include <string.h>

#include "sys/sim_fault.h"
#include "sys/sim_tree.h"

struct sim_file {
    struct sys_file file; /* first */
    struct sim_host *host;
    struct list link;
    struct sim_inode *inode;
    bool read_only;
    int busy; /* calls going on */
};

/* One write in so many makes the system store some of the file's sectors on its own. */
enum { WRITE_BACK_ONE_IN = 16 };

static struct sim_file *sim(struct sys_file *file) {
    return container_of(file, struct sim_file, file);
}

static void touch(struct sim_host *host, struct sim_inode *inode) {
    inode->modified_ms = sys_wall_ms(&host->sys);
}

/* --- open and close --- */

static void file_drop(struct sim_file *file) {
    if (file->inode->locked_by == &file->file) {
        file->inode->locked_by = NULL;
    }
    sim_tree_unlive(file->inode);
    sim_tree_unref(file->host->tree, file->inode);
    sim_host_give_file(file->host);
    list_remove(&file->link);
    free(file);
}

static err_t open_inode(struct sim_host *host, const char *path, int flags,
                        struct sim_inode **ret_inode) {
    struct sim_inode *dir;
    char name[SIM_PATH_MAX];
    err_t err = sim_tree_find_parent(host->tree, path, &dir, name);
    if (err != ERR_OK) {
        return err;
    }
    if (strcmp(name, ".") == 0) {
        return ERR_INVALID;
    }
    struct sim_inode *inode = sim_tree_child(dir, name);
    if (inode == NULL) {
        if ((flags & SYS_FILE_CREATE) == 0) {
            return ERR_NOT_FOUND;
        }
        inode = sim_tree_make(host->tree, dir, name, false);
        inode->read_only = (flags & SYS_FILE_READ_ONLY_MODE) != 0;
        touch(host, inode);
        touch(host, dir);
    } else if ((flags & SYS_FILE_CREATE) != 0 && (flags & SYS_FILE_EXCLUSIVE) != 0) {
        return ERR_EXISTS;
    } else if (inode->directory) {
        return ERR_INVALID;
    } else if ((flags & SYS_FILE_TRUNCATE) != 0) {
        sim_inode_truncate(inode, 0);
        touch(host, inode);
    }
    *ret_inode = inode;
    return ERR_OK;
}

err_t sim_file_open(struct sys *sys, const char *path, int flags, struct sys_file **ret_file) {
    struct sim_host *host = sim_host_of(sys);
    struct sim_call call;
    sim_call_begin(&call, host, SIM_CALL_OPEN, (flags & SYS_FILE_CREATE) != 0 ? "create" : "open",
                   path, 0, 0, false);
    sim_call_half(&call);
    if (call.err != ERR_OK) {
        return sim_call_end(&call, call.err);
    }
    err_t err = sim_host_take_file(host);
    if (err != ERR_OK) {
        return sim_call_end(&call, err);
    }
    struct sim_inode *inode;
    err = open_inode(host, path, flags, &inode);
    if (err != ERR_OK) {
        sim_host_give_file(host);
        return sim_call_end(&call, err);
    }
    struct sim_file *file = calloc(1, sizeof *file);
    assert(file != NULL);
    file->file.ops = &sim_ops;
    file->host = host;
    file->inode = inode;
    file->read_only = (flags & SYS_FILE_READ) != 0;
    sim_tree_ref(inode);
    sim_tree_live(inode);
    list_add_last(&host->files, &file->link);
    sim_call_half(&call);
    *ret_file = &file->file;
    return sim_call_end(&call, ERR_OK);
}

void sim_file_close(struct sys_file *base) {
    assert(sim(base)->busy == 0);
    file_drop(sim(base));
}

void sim_files_drop(struct sim_host *host) {
    struct list *link;
    while ((link = list_first(&host->files)) != NULL) {
        struct sim_file *file = container_of(link, struct sim_file, link);
        sim_inode_forget_syncs(file->inode);
        file_drop(file);
    }
}

/* --- bytes --- */

static void begin(struct sim_call *call, struct sim_file *file, unsigned class, const char *what,
                  uint64_t a, uint64_t b, bool cached) {
    char path[SIM_PATH_MAX];
    sim_inode_path(file->inode, path);
    file->busy++;
    sim_call_begin(call, file->host, class, what, path, a, b, cached);
}

static err_t end(struct sim_call *call, struct sim_file *file, err_t err) {
    file->busy--;
    return sim_call_end(call, err);
}

static void flip(struct sim_file *file, enum sim_fault_kind kind, uint64_t position, uint8_t *data,
                 size_t size) {
    struct rng *rng = &file->host->world->disk;
    uint64_t at = rng_below(rng, size);
    unsigned bit = (unsigned)rng_below(rng, 8);
    data[at] ^= (uint8_t)(1u << bit);
    if (kind == SIM_FAULT_FLIP_STORED) {
        sim_inode_flip(file->inode, position + at, bit);
    }
}

err_t sim_file_read(struct sys_file *base, uint64_t position, void *data, size_t size,
                    size_t *ret_size) {
    struct sim_file *file = sim(base);
    struct sim_call call;
    bool cached = sim_inode_cached(file->inode, position, size);
    begin(&call, file, SIM_CALL_READ, "read", position, size, cached);
    sim_call_half(&call);
    if (call.err != ERR_OK) {
        return end(&call, file, call.err);
    }
    size_t read_size = sim_inode_read(file->inode, position, data, size);
    if (call.struck && read_size > 0) {
        flip(file, call.kind, position, data, read_size);
    }
    sim_hash_bytes(file->host->world, data, read_size);
    *ret_size = read_size;
    return end(&call, file, ERR_OK);
}

/* Writes the bytes of the parts from `from` to `to`; false when the disk is full. */
static bool write_range(struct sim_file *file, uint64_t position, const struct iovec *parts,
                        int part_count, size_t from, size_t to) {
    size_t part_start = 0;
    for (int i = 0; i < part_count && part_start < to; i++) {
        size_t part_end = part_start + parts[i].iov_len;
        size_t first = from > part_start ? from : part_start;
        size_t last = to < part_end ? to : part_end;
        if (first < last) {
            const uint8_t *bytes = (const uint8_t *)parts[i].iov_base + (first - part_start);
            sim_hash_bytes(file->host->world, bytes, last - first);
            if (sim_inode_write(file->inode, position + first, bytes, last - first) <
                last - first) {
                return false;
            }
        }
        part_start = part_end;
    }
    return true;
}

err_t sim_file_write_vector(struct sys_file *base, uint64_t position, const struct iovec *parts,
                            int part_count) {
    struct sim_file *file = sim(base);
    struct rng *rng = &file->host->world->disk;
    assert(!file->read_only);
    size_t size = 0;
    for (int i = 0; i < part_count; i++) {
        size += parts[i].iov_len;
    }
    struct sim_call call;
    begin(&call, file, SIM_CALL_WRITE, "write", position, size, false);
    if (call.struck && call.kind == SIM_FAULT_ERROR) {
        sim_call_half(&call);
        return end(&call, file, call.err);
    }
    bool whole = call.err == ERR_OK;
    size_t end_size = whole ? size : (size_t)rng_below(rng, size + 1);
    size_t first_size = call.actor == NULL ? 0 : (size_t)rng_below(rng, end_size + 1);
    bool fits = write_range(file, position, parts, part_count, 0, first_size);
    sim_call_half(&call);
    fits = fits && write_range(file, position, parts, part_count, first_size, end_size);
    touch(file->host, file->inode);
    if (rng_one_in(rng, WRITE_BACK_ONE_IN)) {
        sim_inode_write_back(file->inode, rng);
    }
    sim_call_half(&call);
    return end(&call, file, !whole ? call.err : fits ? ERR_OK : ERR_NO_SPACE);
}

err_t sim_file_sync(struct sys_file *base) {
    struct sim_file *file = sim(base);
    struct rng *rng = &file->host->world->disk;
    struct sim_call call;
    begin(&call, file, SIM_CALL_SYNC, "sync", 0, 0, false);
    struct sim_sync *sync = sim_inode_sync_begin(file->inode, rng);
    sim_call_half(&call);
    if (call.err != ERR_OK) {
        sim_inode_sync_fail(file->inode, sync, rng);
        return end(&call, file, call.err);
    }
    sim_inode_sync_end(file->inode, sync);
    sim_call_half(&call);
    return end(&call, file, ERR_OK);
}

err_t sim_file_truncate(struct sys_file *base, uint64_t size) {
    struct sim_file *file = sim(base);
    assert(!file->read_only);
    struct sim_call call;
    begin(&call, file, SIM_CALL_WRITE, "truncate", size, 0, false);
    sim_call_half(&call);
    if (call.err != ERR_OK) {
        return end(&call, file, call.err);
    }
    sim_inode_truncate(file->inode, size);
    touch(file->host, file->inode);
    sim_call_half(&call);
    return end(&call, file, ERR_OK);
}

err_t sim_file_size(struct sys_file *base, uint64_t *ret_size) {
    *ret_size = sim(base)->inode->size;
    return ERR_OK;
}

err_t sim_file_preallocate(struct sys_file *base, uint64_t size) {
    struct sim_file *file = sim(base);
    struct sim_call call;
    begin(&call, file, SIM_CALL_WRITE, "preallocate", size, 0, false);
    sim_call_half(&call);
    if (call.err != ERR_OK) {
        return end(&call, file, call.err);
    }
    bool fits = sim_inode_reserve(file->inode, size);
    return end(&call, file, fits ? ERR_OK : ERR_NO_SPACE);
}

void sim_file_start_writeback(struct sys_file *base, uint64_t position, uint64_t size) {
    (void)position;
    (void)size;
    struct sim_file *file = sim(base);
    sim_inode_write_back(file->inode, &file->host->world->disk);
}

bool sim_file_cached(struct sys_file *base, uint64_t position, size_t size) {
    return sim_inode_cached(sim(base)->inode, position, size);
}

err_t sim_file_lock(struct sys_file *base) {
    struct sim_file *file = sim(base);
    if (file->inode->locked_by != NULL && file->inode->locked_by != base) {
        return ERR_IN_USE;
    }
    file->inode->locked_by = base;
    return ERR_OK;
}
