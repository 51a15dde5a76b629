#include "controller/list_value.h"

struct list_value {
    struct str *items;
    size_t count;
};

/* At commas; empty items count only where others follow, or when there is nothing else. */
static struct list_value list_split(struct str text, struct arena *arena) {
    struct list_value list = {.items = ARENA_ARRAY(arena, struct str, text.size + 1)};
    size_t start = 0;
    for (size_t i = 0; i <= text.size; i++) {
        if (i == text.size || text.data[i] == ',') {
            list.items[list.count++] = (struct str){text.data + start, i - start};
            start = i + 1;
        }
    }
    while (list.count > 1 && list.items[list.count - 1].size == 0) {
        list.count--;
    }
    return list;
}

static bool list_find(const struct list_value *list, struct str item, size_t *ret_index) {
    for (size_t i = 0; i < list->count; i++) {
        if (str_equal(list->items[i], item)) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static struct str list_join(const struct list_value *list, struct arena *arena) {
    size_t size = 0;
    for (size_t i = 0; i < list->count; i++) {
        size += list->items[i].size + 1;
    }
    char *text = arena_alloc(arena, size + 1);
    size_t used = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0) {
            text[used++] = ',';
        }
        memcpy(text + used, list->items[i].data, list->items[i].size);
        used += list->items[i].size;
    }
    return (struct str){text, used};
}

/* Without empty items, and with room for more. */
static struct list_value list_open(struct str text, size_t room, struct arena *arena) {
    struct list_value parts = {0};
    if (text.data != NULL) {
        parts = list_split(text, arena);
    }
    struct list_value list = {.items = ARENA_ARRAY(arena, struct str, parts.count + room)};
    for (size_t i = 0; i < parts.count; i++) {
        if (parts.items[i].size > 0) {
            list.items[list.count++] = parts.items[i];
        }
    }
    return list;
}

struct str list_append(struct str now, struct str given, struct arena *arena) {
    struct list_value added = list_split(given, arena);
    struct list_value list = list_open(now, added.count, arena);
    for (size_t i = 0; i < added.count; i++) {
        size_t index;
        if (!list_find(&list, added.items[i], &index)) {
            list.items[list.count++] = added.items[i];
        }
    }
    return list_join(&list, arena);
}

struct str list_subtract(struct str now, struct str given, struct arena *arena) {
    struct list_value taken = list_split(given, arena);
    struct list_value list = list_open(now, 0, arena);
    for (size_t i = 0; i < taken.count; i++) {
        size_t index = 0;
        if (list_find(&list, taken.items[i], &index)) {
            list.count--;
            memmove(&list.items[index], &list.items[index + 1],
                    (list.count - index) * sizeof list.items[0]);
        }
    }
    return list_join(&list, arena);
}
