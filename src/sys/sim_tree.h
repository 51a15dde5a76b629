#pragma once

#include "base/err.h"
#include "sys/sim_inode.h"

/*
 * The names of a simulated host: its disks, directories and files.
 *
 * Every directory has its names as they are now and as they are stored. A change (a name set, or
 * removed; a rename is both, whole) goes to the names of now and onto a list of changes, from which
 * a sync of its directory moves it to the stored ones. A power cut decides for each change on the
 * list whether it was stored.
 */
struct sim_tree {
    struct list disks;
    struct list inodes;
    struct list changes; /* not yet synced, the oldest first */
    struct sim_inode *root;
};

struct sim_tree *sim_tree_new(uint64_t capacity);
void sim_tree_free(struct sim_tree *tree);

enum { SIM_PATH_MAX = 1024 };

/* NOT_FOUND; relative paths start at the root. */
err_t sim_tree_find(struct sim_tree *tree, const char *path, struct sim_inode **ret_inode);

/* The directory that holds a path's last name, which need not be there. NOT_FOUND, INVALID. */
err_t sim_tree_find_parent(struct sim_tree *tree, const char *path, struct sim_inode **ret_dir,
                           char ret_name[SIM_PATH_MAX]);

/* NULL when there is none. */
struct sim_inode *sim_tree_child(const struct sim_inode *dir, const char *name);

/* The path of the last name that it had. */
void sim_inode_path(const struct sim_inode *inode, char path[SIM_PATH_MAX]);

void sim_tree_ref(struct sim_inode *inode);
void sim_tree_unref(struct sim_tree *tree, struct sim_inode *inode);

/* An open file, or a name of now, keeps the space. */
void sim_tree_live(struct sim_inode *inode);
void sim_tree_unlive(struct sim_inode *inode);

/* Makes a file or directory and gives it a name that was free. */
struct sim_inode *sim_tree_make(struct sim_tree *tree, struct sim_inode *dir, const char *name,
                                bool directory);
void sim_tree_remove(struct sim_tree *tree, struct sim_inode *dir, const char *name);
void sim_tree_rename(struct sim_tree *tree, struct sim_inode *from_dir, const char *from,
                     struct sim_inode *to_dir, const char *to);
bool sim_tree_is_empty(const struct sim_inode *dir);

/* Calls for each name of now. */
void sim_tree_each(struct sim_inode *dir,
                   void (*visit)(void *arg, const char *name, struct sim_inode *inode), void *arg);

void sim_tree_sync(struct sim_tree *tree, struct sim_inode *dir);

/* All changes so far are stored; for what a test puts there before the start. */
void sim_tree_sync_all(struct sim_tree *tree);

/* The power fails: tells each change that was undone, and each file that lost bytes. */
struct sim_cut_report {
    void (*undone)(void *arg, const char *path);
    void (*lost)(void *arg, const char *path, uint64_t sectors, uint64_t size);
    void *arg;
};
void sim_tree_cut(struct sim_tree *tree, struct rng *rng, const struct sim_cut_report *report);
