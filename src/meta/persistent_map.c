/*
 * An AVL tree with counted nodes.
 *
 *   1. A node's count is the number of parents and maps that point at it.
 *   2. A change walks down from the root and first makes every node on its way its own: a node that
 *      only this way leads to (count 1, under a parent that is already ours) is changed in place,
 *      any other is replaced by a copy of itself. So a map that nobody else holds is changed
 * without allocating, and a shared one costs one new node per level.
 *   3. Heights of siblings differ by one at most. Rotations touch a node and one or two of its
 *      children, which are made ours first.
 *   4. A key lies inside its value, so that whoever holds the node holds the key.
 */
#include "meta/persistent_map.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

struct pmap_node {
    _Atomic uint32_t refs;
    int32_t height; /* a leaf has 1 */
    struct pmap_node *left;
    struct pmap_node *right;
    struct bytes key; /* numbers: data NULL, size holds it */
    struct shared *value;
};

static_assert(sizeof(struct pmap_node) == 48,
              "the price of one entry, as the image's budget has it");

void shared_unref(struct shared *shared) {
    if (shared == NULL) {
        return;
    }
    uint32_t before = atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        shared->free(shared);
    }
}

static struct bytes number_key(uint64_t key) {
    return (struct bytes){.data = NULL, .size = key};
}

static int compare(struct bytes a, struct bytes b) {
    if (a.data == NULL) {
        assert(b.data == NULL);
        return a.size < b.size ? -1 : a.size > b.size;
    }
    assert(b.data != NULL);
    size_t common = a.size < b.size ? a.size : b.size;
    int order = memcmp(a.data, b.data, common);
    return order != 0 ? order : a.size < b.size ? -1 : a.size > b.size;
}

/* --- nodes --- */

static struct pmap_node *node_ref(struct pmap_node *node) {
    if (node != NULL) {
        atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
    }
    return node;
}

static void node_unref(struct pmap_node *node) {
    while (node != NULL) {
        uint32_t before = atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel);
        assert(before > 0);
        if (before > 1) {
            return;
        }
        struct pmap_node *right = node->right;
        node_unref(node->left); /* as deep as the tree is high */
        shared_unref(node->value);
        free(node);
        node = right;
    }
}

static struct pmap_node *node_new(struct bytes key, struct shared *value) {
    struct pmap_node *node = malloc(sizeof *node);
    if (node == NULL) {
        abort();
    }
    atomic_init(&node->refs, 1);
    node->height = 1;
    node->left = NULL;
    node->right = NULL;
    node->key = key;
    node->value = value;
    return node;
}

/* Takes over the caller's reference and yields a node that may be changed. */
static struct pmap_node *node_own(struct pmap_node *node) {
    if (atomic_load_explicit(&node->refs, memory_order_acquire) == 1) {
        return node;
    }
    shared_ref(node->value);
    struct pmap_node *copy = node_new(node->key, node->value);
    copy->height = node->height;
    copy->left = node_ref(node->left);
    copy->right = node_ref(node->right);
    node_unref(node);
    return copy;
}

static int32_t height(const struct pmap_node *node) {
    return node == NULL ? 0 : node->height;
}

static void update_height(struct pmap_node *node) {
    int32_t left = height(node->left);
    int32_t right = height(node->right);
    node->height = 1 + (left > right ? left : right);
    assert(node->height <= PMAP_DEPTH_MAX);
}

static struct pmap_node *rotate_right(struct pmap_node *node) {
    struct pmap_node *top = node_own(node->left);
    node->left = top->right;
    top->right = node;
    update_height(node);
    update_height(top);
    return top;
}

static struct pmap_node *rotate_left(struct pmap_node *node) {
    struct pmap_node *top = node_own(node->right);
    node->right = top->left;
    top->left = node;
    update_height(node);
    update_height(top);
    return top;
}

/* `node` is ours, and its children are balanced and differ by two at most. */
static struct pmap_node *balance(struct pmap_node *node) {
    int32_t lean = height(node->left) - height(node->right);
    assert(lean >= -2);
    assert(lean <= 2);
    if (lean == 2) {
        if (height(node->left->left) < height(node->left->right)) {
            node->left = rotate_left(node_own(node->left));
        }
        return rotate_right(node);
    }
    if (lean == -2) {
        if (height(node->right->right) < height(node->right->left)) {
            node->right = rotate_right(node_own(node->right));
        }
        return rotate_left(node);
    }
    update_height(node);
    return node;
}

/* --- changes --- */

static struct pmap_node *insert(struct pmap_node *node, struct bytes key, struct shared *value,
                                bool *added) {
    if (node == NULL) {
        *added = true;
        return node_new(key, value);
    }
    node = node_own(node);
    int order = compare(key, node->key);
    if (order == 0) {
        shared_unref(node->value);
        node->key = key;
        node->value = value;
        return node;
    }
    if (order < 0) {
        node->left = insert(node->left, key, value, added);
    } else {
        node->right = insert(node->right, key, value, added);
    }
    return balance(node);
}

/* Takes the least node out of a subtree. It comes without children, and is ours. */
static struct pmap_node *take_least(struct pmap_node *node, struct pmap_node **ret_least) {
    node = node_own(node);
    if (node->left == NULL) {
        struct pmap_node *right = node->right;
        node->right = NULL;
        *ret_least = node;
        return right;
    }
    node->left = take_least(node->left, ret_least);
    return balance(node);
}

/* The key is there. */
static struct pmap_node *extract(struct pmap_node *node, struct bytes key) {
    assert(node != NULL);
    node = node_own(node);
    int order = compare(key, node->key);
    if (order < 0) {
        node->left = extract(node->left, key);
        return balance(node);
    }
    if (order > 0) {
        node->right = extract(node->right, key);
        return balance(node);
    }
    struct pmap_node *left = node->left;
    struct pmap_node *right = node->right;
    node->left = NULL;
    node->right = NULL;
    node_unref(node);
    if (left == NULL || right == NULL) {
        return left == NULL ? right : left;
    }
    struct pmap_node *top;
    right = take_least(right, &top);
    top->left = left;
    top->right = right;
    return balance(top);
}

static struct pmap_node *find(const struct pmap *map, struct bytes key) {
    struct pmap_node *node = map->root;
    while (node != NULL) {
        int order = compare(key, node->key);
        if (order == 0) {
            return node;
        }
        node = order < 0 ? node->left : node->right;
    }
    return NULL;
}

static void put(struct pmap *map, struct bytes key, struct shared *value) {
    bool added = false;
    map->root = insert(map->root, key, value, &added);
    map->count += added;
}

static void take_out(struct pmap *map, struct bytes key) {
    if (find(map, key) != NULL) { /* a miss must not copy anything */
        map->root = extract(map->root, key);
        map->count--;
    }
}

/* --- the module's face --- */

struct pmap pmap_copy(const struct pmap *map) {
    return (struct pmap){.root = node_ref(map->root), .count = map->count};
}

void pmap_done(struct pmap *map) {
    node_unref(map->root);
    *map = (struct pmap){0};
}

void *pmap_get(const struct pmap *map, struct bytes key) {
    assert(key.data != NULL);
    struct pmap_node *node = find(map, key);
    return node == NULL ? NULL : node->value;
}

void *pmap_get_u64(const struct pmap *map, uint64_t key) {
    struct pmap_node *node = find(map, number_key(key));
    return node == NULL ? NULL : node->value;
}

void pmap_put(struct pmap *map, struct bytes key, struct shared *value) {
    assert(key.data != NULL);
    put(map, key, value);
}

void pmap_put_u64(struct pmap *map, uint64_t key, struct shared *value) {
    put(map, number_key(key), value);
}

void pmap_remove(struct pmap *map, struct bytes key) {
    assert(key.data != NULL);
    take_out(map, key);
}

void pmap_remove_u64(struct pmap *map, uint64_t key) {
    take_out(map, number_key(key));
}

/* --- walks: the stack holds the nodes whose right side is still to come --- */

static void descend_left(struct pmap_walk *walk, const struct pmap_node *node) {
    for (; node != NULL; node = node->left) {
        assert(walk->depth < PMAP_DEPTH_MAX);
        walk->nodes[walk->depth++] = node;
    }
}

void pmap_walk_start(struct pmap_walk *walk, const struct pmap *map) {
    walk->depth = 0;
    descend_left(walk, map->root);
}

static void walk_from(struct pmap_walk *walk, const struct pmap *map, struct bytes key) {
    walk->depth = 0;
    for (const struct pmap_node *node = map->root; node != NULL;) {
        if (compare(key, node->key) <= 0) {
            walk->nodes[walk->depth++] = node;
            node = node->left;
        } else {
            node = node->right;
        }
    }
}

void pmap_walk_from(struct pmap_walk *walk, const struct pmap *map, struct bytes key) {
    assert(key.data != NULL);
    walk_from(walk, map, key);
}

void pmap_walk_from_u64(struct pmap_walk *walk, const struct pmap *map, uint64_t key) {
    walk_from(walk, map, number_key(key));
}

void *pmap_walk_next(struct pmap_walk *walk) {
    if (walk->depth == 0) {
        return NULL;
    }
    const struct pmap_node *node = walk->nodes[--walk->depth];
    descend_left(walk, node->right);
    return node->value;
}
