#include "client/member_set.h"

#include <assert.h>
#include <stdlib.h>

void member_set_init(struct member_set *set) {
    *set = (struct member_set){0};
    arena_init(&set->arena, SIZE_MAX);
}

void member_set_done(struct member_set *set) {
    free(set->items);
    arena_done(&set->arena);
    set->items = NULL;
    set->count = set->capacity = 0;
}

void member_set_clear(struct member_set *set) {
    set->count = 0;
    arena_reset(&set->arena);
}

void member_set_add(struct member_set *set, struct str topic, struct uuid topic_id,
                    int32_t partition) {
    if (set->count == set->capacity) {
        set->capacity = set->capacity == 0 ? 16 : set->capacity * 2;
        set->items = realloc(set->items, set->capacity * sizeof set->items[0]);
        assert(set->items != NULL);
    }
    bool again = set->count > 0 && str_equal(set->items[set->count - 1].topic, topic);
    set->items[set->count] = (struct member_partition){
        .topic = again ? set->items[set->count - 1].topic : arena_str(&set->arena, topic),
        .topic_id = topic_id,
        .partition = partition,
    };
    set->count++;
}

static int compare(const void *a, const void *b) {
    const struct member_partition *x = a;
    const struct member_partition *y = b;
    int order = uuid_compare(x->topic_id, y->topic_id);
    if (order == 0 && uuid_is_zero(x->topic_id)) {
        order = str_compare(x->topic, y->topic);
    }
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

void member_set_finish(struct member_set *set) {
    if (set->count == 0) {
        return;
    }
    qsort(set->items, set->count, sizeof set->items[0], compare);
    size_t kept = 1;
    for (size_t i = 1; i < set->count; i++) {
        if (compare(&set->items[kept - 1], &set->items[i]) != 0) {
            set->items[kept++] = set->items[i];
        }
    }
    set->count = kept;
}

void member_set_copy(struct member_set *to, const struct member_set *from) {
    assert(to != from);
    member_set_clear(to);
    for (size_t i = 0; i < from->count; i++) {
        member_set_add(to, from->items[i].topic, from->items[i].topic_id, from->items[i].partition);
    }
}

void member_set_minus(struct member_set *to, const struct member_set *a,
                      const struct member_set *b) {
    assert(to != a);
    assert(to != b);
    member_set_clear(to);
    for (size_t i = 0; i < a->count; i++) {
        if (!member_set_has(b, &a->items[i])) {
            member_set_add(to, a->items[i].topic, a->items[i].topic_id, a->items[i].partition);
        }
    }
}

bool member_set_has(const struct member_set *set, const struct member_partition *partition) {
    return set->count > 0 &&
           bsearch(partition, set->items, set->count, sizeof set->items[0], compare) != NULL;
}

bool member_set_equal(const struct member_set *a, const struct member_set *b) {
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (compare(&a->items[i], &b->items[i]) != 0) {
            return false;
        }
    }
    return true;
}
