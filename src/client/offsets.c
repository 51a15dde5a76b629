#include "client/offsets.h"

#include <stdlib.h>

static int by_place(const void *a, const void *b) {
    const struct offsets_entry *left = a;
    const struct offsets_entry *right = b;
    int order = str_compare(left->topic, right->topic);
    if (order == 0) {
        order = (left->partition > right->partition) - (left->partition < right->partition);
    }
    return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

static bool same_place(const struct offsets_entry *a, const struct offsets_entry *b) {
    return a->partition == b->partition && str_equal(a->topic, b->topic);
}

void offsets_list_init(struct offsets_list *list, struct offsets_entry *entries, size_t count,
                       struct arena *arena) {
    qsort(entries, count, sizeof *entries, by_place);
    *list = (struct offsets_list){
        .entries = entries,
        .topics = ARENA_ARRAY(arena, struct offsets_topic, count + 1),
    };
    for (size_t i = 0; i < count; i++) {
        if (list->entry_count > 0 && same_place(&entries[i], &entries[list->entry_count - 1])) {
            entries[list->entry_count - 1] = entries[i];
            continue;
        }
        entries[list->entry_count++] = entries[i];
    }
    for (size_t i = 0; i < list->entry_count; i++) {
        if (i == 0 || !str_equal(entries[i].topic, entries[i - 1].topic)) {
            list->topics[list->topic_count++] =
                (struct offsets_topic){.name = entries[i].topic, .first = i};
        }
        list->topics[list->topic_count - 1].count++;
    }
}

void offsets_list_identify(struct offsets_list *list, const struct ottla_client *client) {
    list->ids = true;
    for (size_t i = 0; i < list->topic_count; i++) {
        const struct client_topic *topic = client_topic(client, list->topics[i].name);
        list->topics[i].id = topic == NULL ? UUID_ZERO : topic->id;
        list->ids = list->ids && !uuid_is_zero(list->topics[i].id);
    }
}

/* Brokers answer in the order they were asked in, so that the next one is looked at first. */
const struct offsets_topic *offsets_topic_find(struct offsets_list *list, struct str name,
                                               const struct uuid *id, bool by_id) {
    for (size_t i = 0; i < list->topic_count; i++) {
        size_t at = (list->hint + i) % list->topic_count;
        const struct offsets_topic *topic = &list->topics[at];
        if (by_id ? uuid_equal(topic->id, *id) : str_equal(topic->name, name)) {
            list->hint = at + 1;
            return topic;
        }
    }
    return NULL;
}

const struct offsets_entry *offsets_entry_find(const struct offsets_list *list,
                                               const struct offsets_topic *topic,
                                               int32_t partition) {
    const struct offsets_entry *entries = list->entries + topic->first;
    size_t low = 0, high = topic->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entries[middle].partition == partition) {
            return &entries[middle];
        }
        if (entries[middle].partition < partition) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}
