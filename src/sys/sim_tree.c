#include "sys/sim_tree.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_name {
    struct sim_inode *inode;
    char text[];
};

struct set_name {
    struct sim_inode *dir;
    struct sim_inode *inode; /* NULL: the name is removed */
    char *name;
};

struct change {
    struct list link;
    struct sim_inode *of;    /* whose name it is */
    struct set_name sets[2]; /* a rename across directories or within: remove, set */
    int set_count;
};

/* --- references --- */

void sim_tree_ref(struct sim_inode *inode) {
    inode->refs++;
}

void sim_tree_unref(struct sim_tree *tree, struct sim_inode *inode) {
    assert(inode->refs > 0);
    inode->refs--;
    if (inode->refs == 0 && inode != tree->root) {
        assert(inode->lives == 0);
        if (inode->parent != NULL) {
            sim_tree_unref(tree, inode->parent);
        }
        sim_inode_free(inode);
    }
}

void sim_tree_live(struct sim_inode *inode) {
    if (inode->lives++ == 0) {
        sim_inode_settle_space(inode);
    }
}

void sim_tree_unlive(struct sim_inode *inode) {
    assert(inode->lives > 0);
    if (--inode->lives == 0) {
        sim_inode_settle_space(inode);
    }
}

/* --- names --- */

static struct bytes key_of(const char *name) {
    return str_bytes(str_from_c(name));
}

static struct sim_name *name_new(const char *text, struct sim_inode *inode) {
    struct sim_name *name = malloc(sizeof *name + strlen(text) + 1);
    assert(name != NULL);
    name->inode = inode;
    strcpy(name->text, text);
    return name;
}

static void clear_map(struct sim_tree *tree, struct map *map, bool lives);

static void set_in_map(struct sim_tree *tree, struct map *map, const char *text,
                       struct sim_inode *inode, bool lives) {
    struct sim_name *before;
    if (inode == NULL) {
        before = map_remove(map, key_of(text));
    } else {
        sim_tree_ref(inode);
        if (lives) {
            sim_tree_live(inode);
        }
        struct sim_name *name = name_new(text, inode);
        before = map_put(map, key_of(name->text), name);
    }
    if (before != NULL) {
        if (lives) {
            sim_tree_unlive(before->inode);
        } else if (before->inode->directory && before->inode->lives == 0) {
            clear_map(tree, &before->inode->stored, false); /* nothing leads there any more */
        }
        sim_tree_unref(tree, before->inode);
        free(before);
    }
}

static void clear_map(struct sim_tree *tree, struct map *map, bool lives) {
    size_t cursor = 0;
    struct sim_name *name;
    while ((name = map_next(map, &cursor)) != NULL) {
        struct sim_inode *inode = name->inode;
        map_remove(map, key_of(name->text));
        free(name);
        if (lives) {
            sim_tree_unlive(inode);
        }
        sim_tree_unref(tree, inode);
    }
}

static void set_now(struct sim_tree *tree, const struct set_name *set) {
    set_in_map(tree, &set->dir->now, set->name, set->inode, true);
    struct sim_inode *inode = set->inode;
    if (inode != NULL) {
        sim_tree_ref(set->dir);
        if (inode->parent != NULL) {
            sim_tree_unref(tree, inode->parent);
        }
        inode->parent = set->dir;
        free(inode->name);
        inode->name = strdup(set->name);
    }
}

static void set_stored(struct sim_tree *tree, const struct set_name *set) {
    set_in_map(tree, &set->dir->stored, set->name, set->inode, false);
}

struct sim_inode *sim_tree_child(const struct sim_inode *dir, const char *name) {
    struct sim_name *found = map_get(&dir->now, key_of(name));
    return found == NULL ? NULL : found->inode;
}

bool sim_tree_is_empty(const struct sim_inode *dir) {
    return map_count(&dir->now) == 0;
}

void sim_tree_each(struct sim_inode *dir,
                   void (*visit)(void *arg, const char *name, struct sim_inode *inode), void *arg) {
    size_t cursor;
    struct sim_name *name;
    map_for_each (&dir->now, cursor, name) {
        visit(arg, name->text, name->inode);
    }
}

/* --- paths --- */

err_t sim_tree_find_parent(struct sim_tree *tree, const char *path, struct sim_inode **ret_dir,
                           char ret_name[SIM_PATH_MAX]) {
    struct sim_inode *dir = tree->root;
    char name[SIM_PATH_MAX] = ".";
    while (*path != '\0') {
        size_t size = strcspn(path, "/");
        if (size >= SIM_PATH_MAX) {
            return ERR_INVALID;
        }
        if (size == 2 && memcmp(path, "..", 2) == 0) {
            return ERR_INVALID; /* nobody needs it */
        }
        if (size > 0 && !(size == 1 && path[0] == '.')) {
            if (strcmp(name, ".") != 0) {
                dir = sim_tree_child(dir, name);
                if (dir == NULL || !dir->directory) {
                    return ERR_NOT_FOUND;
                }
            }
            memcpy(name, path, size);
            name[size] = '\0';
        }
        path += size;
        path += *path == '/';
    }
    *ret_dir = dir;
    strcpy(ret_name, name);
    return ERR_OK;
}

err_t sim_tree_find(struct sim_tree *tree, const char *path, struct sim_inode **ret_inode) {
    struct sim_inode *dir;
    char name[SIM_PATH_MAX];
    err_t err = sim_tree_find_parent(tree, path, &dir, name);
    if (err != ERR_OK) {
        return err;
    }
    struct sim_inode *inode = strcmp(name, ".") == 0 ? dir : sim_tree_child(dir, name);
    if (inode == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret_inode = inode;
    return ERR_OK;
}

void sim_inode_path(const struct sim_inode *inode, char path[SIM_PATH_MAX]) {
    size_t at = SIM_PATH_MAX - 1;
    char text[SIM_PATH_MAX];
    text[at] = '\0';
    for (; inode->name != NULL; inode = inode->parent) {
        size_t size = strlen(inode->name);
        if (size + 1 > at) {
            break;
        }
        at -= size;
        memcpy(&text[at], inode->name, size);
        text[--at] = '/';
    }
    strcpy(path, text[at] == '\0' ? "/" : &text[at]);
}

/* --- changes --- */

static void add_set(struct change *change, struct sim_inode *dir, const char *name,
                    struct sim_inode *inode) {
    struct set_name *set = &change->sets[change->set_count++];
    sim_tree_ref(dir);
    if (inode != NULL) {
        sim_tree_ref(inode);
    }
    set->dir = dir;
    set->inode = inode;
    set->name = strdup(name);
    assert(set->name != NULL);
}

static struct change *change_new(struct sim_inode *of) {
    struct change *change = calloc(1, sizeof *change);
    assert(change != NULL);
    assert(of != NULL);
    sim_tree_ref(of);
    change->of = of;
    return change;
}

static void change_do(struct sim_tree *tree, struct change *change) {
    for (int i = 0; i < change->set_count; i++) {
        set_now(tree, &change->sets[i]);
    }
    list_add_last(&tree->changes, &change->link);
}

static void change_store(struct sim_tree *tree, const struct change *change) {
    for (int i = 0; i < change->set_count; i++) {
        set_stored(tree, &change->sets[i]);
    }
}

static void change_free(struct sim_tree *tree, struct change *change) {
    list_remove(&change->link);
    for (int i = 0; i < change->set_count; i++) {
        if (change->sets[i].inode != NULL) {
            sim_tree_unref(tree, change->sets[i].inode);
        }
        sim_tree_unref(tree, change->sets[i].dir);
        free(change->sets[i].name);
    }
    sim_tree_unref(tree, change->of);
    free(change);
}

static bool concerns(const struct change *change, const struct sim_inode *dir) {
    return change->sets[0].dir == dir || (change->set_count == 2 && change->sets[1].dir == dir);
}

struct sim_inode *sim_tree_make(struct sim_tree *tree, struct sim_inode *dir, const char *name,
                                bool directory) {
    assert(sim_tree_child(dir, name) == NULL);
    struct sim_inode *inode = sim_inode_new(dir->disk, directory);
    list_add_last(&tree->inodes, &inode->link);
    struct change *change = change_new(inode);
    add_set(change, dir, name, inode);
    change_do(tree, change);
    return inode;
}

void sim_tree_remove(struct sim_tree *tree, struct sim_inode *dir, const char *name) {
    struct change *change = change_new(sim_tree_child(dir, name));
    add_set(change, dir, name, NULL);
    change_do(tree, change);
}

void sim_tree_rename(struct sim_tree *tree, struct sim_inode *from_dir, const char *from,
                     struct sim_inode *to_dir, const char *to) {
    struct sim_inode *inode = sim_tree_child(from_dir, from);
    struct change *change = change_new(inode);
    add_set(change, from_dir, from, NULL);
    add_set(change, to_dir, to, inode);
    change_do(tree, change);
}

/* A rename out of another directory takes along what happened there before: stored in order. */
void sim_tree_sync(struct sim_tree *tree, struct sim_inode *dir) {
    const struct change *last_across = NULL;
    struct list *link;
    struct list *after;
    list_for_each (link, &tree->changes) {
        const struct change *change = container_of(link, struct change, link);
        if (concerns(change, dir) && change->set_count == 2 &&
            change->sets[0].dir != change->sets[1].dir) {
            last_across = change;
        }
    }
    bool all = last_across != NULL;
    list_for_each_safe (link, after, &tree->changes) {
        struct change *change = container_of(link, struct change, link);
        bool was_last_across = change == last_across;
        if (all || concerns(change, dir)) {
            change_store(tree, change);
            change_free(tree, change);
        }
        all = all && !was_last_across;
    }
}

void sim_tree_sync_all(struct sim_tree *tree) {
    struct list *link;
    while ((link = list_first(&tree->changes)) != NULL) {
        struct change *change = container_of(link, struct change, link);
        change_store(tree, change);
        change_free(tree, change);
    }
}

/* --- power cut --- */

static void report_undone(const struct change *change, const struct sim_cut_report *report) {
    const struct set_name *set = &change->sets[change->set_count - 1];
    char dir[SIM_PATH_MAX];
    char path[2 * SIM_PATH_MAX];
    sim_inode_path(set->dir, dir);
    snprintf(path, sizeof path, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, set->name);
    report->undone(report->arg, path);
}

/* Half of the times all after some change are undone, as a journal does; else any of them, but
 * with one change of a file or directory also the later ones of the same. */
static void cut_changes(struct sim_tree *tree, struct rng *rng,
                        const struct sim_cut_report *report) {
    uint64_t count = 0;
    struct list *link;
    list_for_each (link, &tree->changes) {
        count++;
    }
    bool in_order = rng_below(rng, 2) == 0;
    uint64_t kept_count = rng_below(rng, count + 1);
    for (uint64_t i = 0; i < count; i++) {
        struct change *change = container_of(list_first(&tree->changes), struct change, link);
        bool keep = in_order ? i < kept_count : rng_below(rng, 2) == 0;
        if (keep && !change->of->undone) {
            change_store(tree, change);
        } else {
            change->of->undone = true;
            report_undone(change, report);
        }
        change_free(tree, change);
    }
}

static void restore(struct sim_tree *tree, struct sim_inode *dir) {
    size_t cursor;
    struct sim_name *name;
    map_for_each (&dir->stored, cursor, name) {
        set_now(tree, &(struct set_name){.dir = dir, .inode = name->inode, .name = name->text});
        if (name->inode->directory) {
            restore(tree, name->inode);
        }
    }
}

static void cut_files(struct sim_tree *tree, struct rng *rng, const struct sim_cut_report *report) {
    struct list *link;
    list_for_each (link, &tree->inodes) {
        struct sim_inode *inode = container_of(link, struct sim_inode, link);
        assert(list_empty(&inode->syncs));
        if (inode->directory) {
            continue;
        }
        uint64_t lost = sim_inode_cut(inode, rng);
        sim_inode_settle_space(inode);
        if (lost > 0 && inode->lives > 0) {
            char path[SIM_PATH_MAX];
            sim_inode_path(inode, path);
            report->lost(report->arg, path, lost, inode->size);
        }
    }
}

void sim_tree_cut(struct sim_tree *tree, struct rng *rng, const struct sim_cut_report *report) {
    cut_changes(tree, rng, report);
    struct list *link;
    list_for_each (link, &tree->inodes) {
        sim_tree_ref(container_of(link, struct sim_inode, link)); /* none goes in the middle */
    }
    list_for_each (link, &tree->inodes) {
        struct sim_inode *inode = container_of(link, struct sim_inode, link);
        inode->undone = false;
        clear_map(tree, &inode->now, true);
    }
    restore(tree, tree->root);
    cut_files(tree, rng, report);
    list_for_each (link, &tree->inodes) {
        struct sim_inode *inode = container_of(link, struct sim_inode, link);
        if (inode->lives == 0) {
            clear_map(tree, &inode->stored, false);
        }
    }
    list_for_each (link, &tree->inodes) {
        struct sim_inode *inode = container_of(link, struct sim_inode, link);
        if (inode->parent != NULL && inode->lives == 0) {
            sim_tree_unref(tree, inode->parent);
            inode->parent = NULL;
        }
    }
    struct list *after;
    list_for_each_safe (link, after, &tree->inodes) {
        sim_tree_unref(tree, container_of(link, struct sim_inode, link));
    }
}

/* --- life --- */

struct sim_tree *sim_tree_new(uint64_t capacity) {
    struct sim_tree *tree = calloc(1, sizeof *tree);
    struct sim_disk *disk = calloc(1, sizeof *disk);
    assert(tree != NULL);
    assert(disk != NULL);
    list_init(&tree->disks);
    list_init(&tree->inodes);
    list_init(&tree->changes);
    disk->capacity = capacity;
    list_add_last(&tree->disks, &disk->link);
    tree->root = sim_inode_new(disk, true);
    tree->root->refs = 1;
    tree->root->lives = 1;
    list_add_last(&tree->inodes, &tree->root->link);
    return tree;
}

static void free_names(struct map *map) {
    size_t cursor;
    struct sim_name *name;
    map_for_each (map, cursor, name) {
        free(name);
    }
    map_clear(map);
}

void sim_tree_free(struct sim_tree *tree) {
    sim_tree_sync_all(tree);
    struct list *link;
    while ((link = list_first(&tree->inodes)) != NULL) {
        struct sim_inode *inode = container_of(link, struct sim_inode, link);
        free_names(&inode->now);
        free_names(&inode->stored);
        sim_inode_free(inode);
    }
    while ((link = list_take_first(&tree->disks)) != NULL) {
        free(container_of(link, struct sim_disk, link));
    }
    free(tree);
}
