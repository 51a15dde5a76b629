#include "cli/kafka/java.h"

#include <stdlib.h>

#include "base/java_hash.h"

enum { TABLE_SIZE_FIRST = 16 };

/* The table doubles when it is filled to more than three quarters. */
static size_t table_size(size_t count) {
    size_t size = TABLE_SIZE_FIRST;
    while (count > size / 4 * 3) {
        size *= 2;
    }
    return size;
}

struct place {
    size_t bucket;
    size_t index; /* in a bucket the order is that of putting */
};

static int order_places(const void *a, const void *b) {
    const struct place *left = a;
    const struct place *right = b;
    return left->bucket != right->bucket
               ? (left->bucket > right->bucket ? 1 : -1)
               : (left->index > right->index) - (left->index < right->index);
}

size_t *java_map_order(struct arena *arena, const char *const *keys, size_t count) {
    struct place *places = ARENA_ARRAY(arena, struct place, count + 1);
    size_t size = table_size(count);
    for (size_t i = 0; i < count; i++) {
        uint32_t hash = (uint32_t)java_hash(str_from_c(keys[i]));
        places[i] = (struct place){.bucket = (hash ^ hash >> 16) & (size - 1), .index = i};
    }
    qsort(places, count, sizeof *places, order_places);
    size_t *order = ARENA_ARRAY(arena, size_t, count + 1);
    for (size_t i = 0; i < count; i++) {
        order[i] = places[i].index;
    }
    return order;
}
