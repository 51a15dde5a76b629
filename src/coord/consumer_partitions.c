#include "coord/consumer_partitions.h"

#include <stdlib.h>
#include <string.h>

#include "coord/piece.h"

static int compare(const struct partition_item *a, const struct partition_item *b) {
    int order = uuid_compare(a->topic_id, b->topic_id);
    if (order != 0) {
        return order;
    }
    return a->partition < b->partition ? -1 : a->partition > b->partition;
}

static int compare_items(const void *a, const void *b) {
    return compare(a, b);
}

const struct partition_item *partition_set_find(const struct partition_set *set,
                                                struct uuid topic_id, int32_t partition) {
    struct partition_item key = {.topic_id = topic_id, .partition = partition};
    return set->count == 0
               ? NULL
               : bsearch(&key, set->items, (size_t)set->count, sizeof set->items[0], compare_items);
}

bool partition_set_equal(const struct partition_set *a, const struct partition_set *b) {
    if (a->count != b->count) {
        return false;
    }
    for (int32_t i = 0; i < a->count; i++) {
        if (compare(&a->items[i], &b->items[i]) != 0 || a->items[i].epoch != b->items[i].epoch) {
            return false;
        }
    }
    return true;
}

void partition_set_sort(struct partition_set *set) {
    if (set->count == 0) {
        return;
    }
    qsort(set->items, (size_t)set->count, sizeof set->items[0], compare_items);
    int32_t kept = 1;
    for (int32_t i = 1; i < set->count; i++) {
        if (compare(&set->items[kept - 1], &set->items[i]) != 0) {
            set->items[kept++] = set->items[i];
        }
    }
    set->count = kept;
}

/* Walks through both: keeps of `a` what `b` has too, or what it has not, and of `b` what `a` has
 * not. */
static struct partition_set combine(struct arena *arena, const struct partition_set *a,
                                    const struct partition_set *b, bool both, bool only_a,
                                    bool only_b) {
    struct partition_set set = {0};
    size_t count_max = (size_t)a->count + (size_t)(only_b ? b->count : 0);
    set.items = ARENA_ARRAY(arena, struct partition_item, count_max);
    int32_t i = 0;
    int32_t j = 0;
    while (i < a->count || j < b->count) {
        int order = i == a->count ? 1 : j == b->count ? -1 : compare(&a->items[i], &b->items[j]);
        const struct partition_item *item = order <= 0 ? &a->items[i] : &b->items[j];
        if (order == 0 ? both : order < 0 ? only_a : only_b) {
            set.items[set.count++] = *item;
        }
        i += order <= 0;
        j += order >= 0;
    }
    return set;
}

struct partition_set partition_set_common(struct arena *arena, const struct partition_set *a,
                                          const struct partition_set *b) {
    return combine(arena, a, b, true, false, false);
}

struct partition_set partition_set_without(struct arena *arena, const struct partition_set *a,
                                           const struct partition_set *b) {
    return combine(arena, a, b, false, true, false);
}

struct partition_set partition_set_union(struct arena *arena, const struct partition_set *a,
                                         const struct partition_set *b) {
    return combine(arena, a, b, true, true, true);
}

struct partition_set partition_set_copy(const struct partition_set *set) {
    struct partition_set copy = {.count = set->count};
    if (set->count > 0) {
        size_t size = (size_t)set->count * sizeof set->items[0];
        copy.items = piece_new(size);
        memcpy(copy.items, set->items, size);
    }
    return copy;
}

void partition_set_free(struct partition_set *set) {
    piece_unref(set->items);
    *set = (struct partition_set){0};
}

/* --- topic by topic --- */

bool partition_set_next(const struct partition_set *set, int32_t *cursor,
                        struct partition_run *ret_run) {
    if (*cursor == set->count) {
        return false;
    }
    int32_t first = *cursor;
    int32_t end = first + 1;
    while (end < set->count && uuid_equal(set->items[first].topic_id, set->items[end].topic_id)) {
        end++;
    }
    *ret_run = (struct partition_run){
        .topic_id = set->items[first].topic_id, .items = &set->items[first], .count = end - first};
    *cursor = end;
    return true;
}

int32_t partition_set_topic_count(const struct partition_set *set) {
    int32_t cursor = 0;
    int32_t count = 0;
    struct partition_run run;
    while (partition_set_next(set, &cursor, &run)) {
        count++;
    }
    return count;
}

int32_t *partition_run_numbers(struct arena *arena, const struct partition_run *run) {
    int32_t *numbers = ARENA_ARRAY(arena, int32_t, (size_t)run->count);
    for (int32_t i = 0; i < run->count; i++) {
        numbers[i] = run->items[i].partition;
    }
    return numbers;
}
