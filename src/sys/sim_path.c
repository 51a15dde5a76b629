/* The names of sys/file.h on the simulated disk, and what a harness asks of disks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sim_fault.h"
#include "sys/sim_file.h"
#include "sys/sim_tree.h"

static void begin(struct sim_call *call, struct sys *sys, unsigned class, const char *what,
                  const char *path) {
    sim_call_begin(call, sim_host_of(sys), class, what, path, 0, 0, false);
    sim_call_half(call);
}

static void touch(struct sim_host *host, struct sim_inode *inode) {
    inode->modified_ms = sys_wall_ms(&host->sys);
}

err_t sim_path_stat(struct sys *sys, const char *path, struct sys_stat *ret_stat) {
    struct sim_call call;
    begin(&call, sys, SIM_CALL_LOOK, "stat", path);
    struct sim_inode *inode;
    err_t err = call.err;
    if (err == ERR_OK) {
        err = sim_tree_find(sim_host_of(sys)->tree, path, &inode);
    }
    if (err == ERR_OK) {
        *ret_stat = (struct sys_stat){
            .size = inode->size,
            .modified_ms = inode->modified_ms,
            .directory = inode->directory,
        };
    }
    return sim_call_end(&call, err);
}

err_t sim_path_set_modified(struct sys *sys, const char *path, int64_t modified_ms) {
    struct sim_call call;
    begin(&call, sys, SIM_CALL_NAME, "set-modified", path);
    struct sim_inode *inode;
    err_t err = call.err;
    if (err == ERR_OK) {
        err = sim_tree_find(sim_host_of(sys)->tree, path, &inode);
    }
    if (err == ERR_OK) {
        inode->modified_ms = modified_ms;
    }
    return sim_call_end(&call, err);
}

static err_t rename_now(struct sim_host *host, const char *from, const char *to) {
    struct sim_inode *from_dir;
    struct sim_inode *to_dir;
    char from_name[SIM_PATH_MAX];
    char to_name[SIM_PATH_MAX];
    err_t err = sim_tree_find_parent(host->tree, from, &from_dir, from_name);
    if (err != ERR_OK) {
        return err;
    }
    err = sim_tree_find_parent(host->tree, to, &to_dir, to_name);
    if (err != ERR_OK) {
        return err;
    }
    struct sim_inode *inode = sim_tree_child(from_dir, from_name);
    struct sim_inode *replaced = sim_tree_child(to_dir, to_name);
    if (inode == NULL) {
        return ERR_NOT_FOUND;
    }
    if (inode == replaced) {
        return ERR_OK;
    }
    if (inode->disk != to_dir->disk) {
        return ERR_INVALID;
    }
    if (replaced != NULL && (replaced->directory || inode->directory)) {
        bool may = replaced->directory && inode->directory && sim_tree_is_empty(replaced);
        if (!may) {
            return ERR_EXISTS;
        }
    }
    sim_tree_rename(host->tree, from_dir, from_name, to_dir, to_name);
    touch(host, from_dir);
    touch(host, to_dir);
    return ERR_OK;
}

err_t sim_path_rename(struct sys *sys, const char *from, const char *to) {
    struct sim_call call;
    begin(&call, sys, SIM_CALL_NAME, "rename", to);
    if (call.err != ERR_OK) {
        return sim_call_end(&call, call.err);
    }
    err_t err = rename_now(sim_host_of(sys), from, to);
    sim_call_half(&call);
    return sim_call_end(&call, err);
}

static err_t remove_now(struct sim_host *host, const char *path) {
    struct sim_inode *dir;
    char name[SIM_PATH_MAX];
    err_t err = sim_tree_find_parent(host->tree, path, &dir, name);
    if (err != ERR_OK) {
        return err;
    }
    struct sim_inode *inode = sim_tree_child(dir, name);
    if (inode == NULL) {
        return ERR_NOT_FOUND;
    }
    if (inode->directory && !sim_tree_is_empty(inode)) {
        return ERR_EXISTS;
    }
    sim_tree_remove(host->tree, dir, name);
    touch(host, dir);
    return ERR_OK;
}

err_t sim_path_remove(struct sys *sys, const char *path) {
    struct sim_call call;
    begin(&call, sys, SIM_CALL_NAME, "remove", path);
    if (call.err != ERR_OK) {
        return sim_call_end(&call, call.err);
    }
    err_t err = remove_now(sim_host_of(sys), path);
    sim_call_half(&call);
    return sim_call_end(&call, err);
}

static err_t make_now(struct sim_host *host, const char *path) {
    struct sim_inode *dir;
    char name[SIM_PATH_MAX];
    err_t err = sim_tree_find_parent(host->tree, path, &dir, name);
    if (err != ERR_OK) {
        return err;
    }
    if (strcmp(name, ".") == 0 || sim_tree_child(dir, name) != NULL) {
        return ERR_EXISTS;
    }
    touch(host, sim_tree_make(host->tree, dir, name, true));
    touch(host, dir);
    return ERR_OK;
}

err_t sim_dir_make(struct sys *sys, const char *path) {
    struct sim_call call;
    begin(&call, sys, SIM_CALL_NAME, "make", path);
    if (call.err != ERR_OK) {
        return sim_call_end(&call, call.err);
    }
    err_t err = make_now(sim_host_of(sys), path);
    sim_call_half(&call);
    return sim_call_end(&call, err);
}

err_t sim_dir_sync(struct sys *sys, const char *path) {
    struct sim_tree *tree = sim_host_of(sys)->tree;
    struct sim_call call;
    begin(&call, sys, SIM_CALL_NAME, "sync-names", path);
    struct sim_inode *dir;
    err_t err = call.err;
    if (err == ERR_OK) {
        err = sim_tree_find(tree, path, &dir);
    }
    if (err == ERR_OK && !dir->directory) {
        err = ERR_INVALID;
    }
    if (err == ERR_OK) {
        sim_tree_sync(tree, dir);
        sim_call_half(&call);
    }
    return sim_call_end(&call, err);
}

static void add_name(void *arg, const char *name, struct sim_inode *inode) {
    (void)inode;
    sys_dir_list_add(arg, name);
}

err_t sim_dir_list(struct sys *sys, const char *path, struct sys_dir_list *list) {
    struct sim_call call;
    begin(&call, sys, SIM_CALL_LOOK, "list", path);
    struct sim_inode *dir;
    err_t err = call.err;
    if (err == ERR_OK) {
        err = sim_tree_find(sim_host_of(sys)->tree, path, &dir);
    }
    if (err == ERR_OK && !dir->directory) {
        err = ERR_NOT_FOUND;
    }
    if (err == ERR_OK) {
        sim_tree_each(dir, add_name, list);
    }
    return sim_call_end(&call, err);
}

void sim_working_dir(struct sys *sys, char *path, size_t size) {
    (void)sys;
    (void)snprintf(path, size, "/");
}

err_t sim_dir_space(struct sys *sys, const char *path, struct sys_space *ret_space) {
    struct sim_call call;
    begin(&call, sys, SIM_CALL_LOOK, "space", path);
    struct sim_inode *inode;
    err_t err = call.err;
    if (err == ERR_OK) {
        err = sim_tree_find(sim_host_of(sys)->tree, path, &inode);
    }
    if (err == ERR_OK) {
        const struct sim_disk *disk = inode->disk;
        *ret_space = (struct sys_space){
            .total_bytes = disk->capacity,
            .free_bytes = disk->used < disk->capacity ? disk->capacity - disk->used : 0,
        };
    }
    return sim_call_end(&call, err);
}

/* --- for harnesses --- */

static struct sim_inode *find(struct sim_host *host, const char *path) {
    struct sim_inode *inode;
    return sim_tree_find(host->tree, path, &inode) == ERR_OK ? inode : NULL;
}

void sim_disk_mount(struct sim_host *host, const char *path, uint64_t capacity_bytes) {
    err_t err = sys_dir_make_all(&host->sys, path);
    assert(err == ERR_OK);
    (void)err;
    sim_tree_sync_all(host->tree);
    struct sim_disk *disk = calloc(1, sizeof *disk);
    assert(disk != NULL);
    disk->capacity = capacity_bytes;
    list_add_last(&host->tree->disks, &disk->link);
    struct sim_inode *dir = find(host, path);
    assert(sim_tree_is_empty(dir));
    dir->disk = disk;
}

void sim_disk_set_capacity(struct sim_host *host, const char *path, uint64_t capacity_bytes) {
    struct sim_inode *inode = find(host, path);
    assert(inode != NULL);
    inode->disk->capacity = capacity_bytes;
}

uint64_t sim_disk_used(struct sim_host *host, const char *path) {
    struct sim_inode *inode = find(host, path);
    assert(inode != NULL);
    return inode->disk->used;
}

err_t sim_disk_flip(struct sim_host *host, const char *path, uint64_t position, unsigned bit) {
    struct sim_inode *inode = find(host, path);
    if (inode == NULL) {
        return ERR_NOT_FOUND;
    }
    if (position >= inode->size) {
        return ERR_INVALID;
    }
    sim_inode_flip(inode, position, bit);
    return ERR_OK;
}

void sim_disk_drop_cache(struct sim_host *host) {
    struct list *link;
    list_for_each (link, &host->tree->inodes) {
        sim_inode_drop_cache(container_of(link, struct sim_inode, link));
    }
}

uint64_t sim_disk_dirty_bytes(struct sim_host *host, const char *path) {
    struct sim_inode *inode = find(host, path);
    return inode == NULL ? 0 : sim_inode_dirty_sectors(inode) * SIM_SECTOR_SIZE;
}
