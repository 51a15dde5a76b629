#include "cli/hanging.h"

#include <stdlib.h>
#include <string.h>

enum { PARTITIONS_AT_ONCE = 500 }; /* a partition may have thousands of producers */

struct open_list {
    struct hanging *items;
    size_t count;
    size_t capacity;
};

static void add(struct hanging_search *search, struct open_list *list,
                const struct ottla_partition_producers *partition,
                const struct ottla_producer_state *producer) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity * 2 + 16;
        struct hanging *items = ARENA_ARRAY(search->arena, struct hanging, capacity);
        if (list->count > 0) {
            memcpy(items, list->items, list->count * sizeof *items);
        }
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = (struct hanging){
        .topic = arena_c_str(search->arena, str_from_c(partition->topic)),
        .partition = partition->partition,
        .producer = *producer,
    };
}

static int by_producer(const void *a, const void *b) {
    int64_t left = ((const struct hanging *)a)->producer.producer_id;
    int64_t right = ((const struct hanging *)b)->producer.producer_id;
    return (left > right) - (left < right);
}

static int by_partition(const void *a, const void *b) {
    const struct hanging *left = a;
    const struct hanging *right = b;
    int order = strcmp(left->topic, right->topic);
    order = order != 0
                ? order
                : (left->partition > right->partition) - (left->partition < right->partition);
    return order != 0 ? order : by_producer(a, b);
}

/* --- 1: what is open --- */

int64_t hanging_idle_ms(const struct ottla_producer_state *producer, int64_t now_ms) {
    int64_t idle_ms;
    bool ancient = __builtin_sub_overflow(now_ms, producer->last_timestamp_ms, &idle_ms);
    return ancient ? INT64_MAX : idle_ms < 0 ? 0 : idle_ms;
}

static bool ask_producers(struct hanging_search *search, const struct ottla_partition *partitions,
                          size_t count, struct open_list *list) {
    struct ottla_admin_options options = {.broker_id = search->broker_id};
    struct ottla_call *call = ottla_producers_describe(search->client, partitions, count, &options);
    bool goes_on = search->wait(search, HANGING_PRODUCERS, count, call);
    size_t told;
    const struct ottla_partition_producers *rows = ottla_call_producers(call, &told);
    for (size_t i = 0; goes_on && i < told; i++) {
        for (size_t p = 0; p < rows[i].producer_count; p++) {
            const struct ottla_producer_state *producer = &rows[i].producers[p];
            bool idle =
                search->idle_ms < 0 || hanging_idle_ms(producer, search->now_ms) > search->idle_ms;
            if (producer->transaction_start_offset >= 0 && idle) {
                add(search, list, &rows[i], producer);
            }
        }
    }
    ottla_call_free(call);
    return goes_on;
}

static bool ask_all_producers(struct hanging_search *search,
                              const struct ottla_partition *partitions, size_t count,
                              struct open_list *list) {
    for (size_t at = 0; at < count; at += PARTITIONS_AT_ONCE) {
        size_t some = count - at < PARTITIONS_AT_ONCE ? count - at : PARTITIONS_AT_ONCE;
        if (!ask_producers(search, partitions + at, some, list)) {
            return false;
        }
    }
    return true;
}

/* --- 2: whose it is --- */

/* The list is sorted by producer. */
static int64_t *producer_ids(struct hanging_search *search, const struct open_list *list,
                             size_t *ret_count) {
    int64_t *ids = ARENA_ARRAY(search->arena, int64_t, list->count);
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (count == 0 || ids[count - 1] != list->items[i].producer.producer_id) {
            ids[count++] = list->items[i].producer.producer_id;
        }
    }
    *ret_count = count;
    return ids;
}

static void name(struct hanging_search *search, struct open_list *list,
                 const struct ottla_transaction_listing *listing) {
    struct hanging key = {.producer.producer_id = listing->producer_id};
    struct hanging *found =
        bsearch(&key, list->items, list->count, sizeof *list->items, by_producer);
    const char *id =
        found == NULL ? NULL : arena_c_str(search->arena, str_from_c(listing->transactional_id));
    struct hanging *end = list->items + list->count;
    while (found != NULL && found > list->items && by_producer(found - 1, &key) == 0) {
        found--;
    }
    for (; found != NULL && found < end && by_producer(found, &key) == 0; found++) {
        found->transactional_id = id;
    }
}

static bool ask_ids(struct hanging_search *search, struct open_list *list) {
    struct ottla_admin_options options = {0};
    options.producer_ids = producer_ids(search, list, &options.producer_id_count);
    struct ottla_call *call = ottla_transactions_list(search->client, &options);
    bool goes_on = search->wait(search, HANGING_LIST, options.producer_id_count, call);
    size_t count;
    const struct ottla_transaction_listing *listings =
        ottla_call_transaction_listings(call, &count);
    for (size_t i = 0; goes_on && i < count; i++) {
        name(search, list, &listings[i]);
    }
    ottla_call_free(call);
    return goes_on;
}

/* --- 3: what their coordinators have --- */

static int partition_order(const void *a, const void *b) {
    const struct ottla_partition *left = a;
    const struct ottla_partition *right = b;
    int order = strcmp(left->topic, right->topic);
    return order != 0 ? order
                      : (left->partition > right->partition) - (left->partition < right->partition);
}

static bool is_kept(const struct ottla_transaction_description *description,
                    const struct hanging *open) {
    struct ottla_partition key = {open->topic, open->partition};
    return description->code == OTTLA_OK && description->partition_count > 0 &&
           bsearch(&key, description->partitions, description->partition_count,
                   sizeof *description->partitions, partition_order) != NULL;
}

/* What is well is taken out of the list. Ids come in the order of the list: equal ones together. */
static bool ask_coordinators(struct hanging_search *search, struct open_list *list) {
    const char **ids = ARENA_ARRAY(search->arena, const char *, list->count);
    size_t id_count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const char *id = list->items[i].transactional_id;
        if (id != NULL && (id_count == 0 || strcmp(ids[id_count - 1], id) != 0)) {
            ids[id_count++] = id;
        }
    }
    if (id_count == 0) {
        return true;
    }
    struct ottla_call *call = ottla_transactions_describe(search->client, ids, id_count, NULL);
    bool goes_on = search->wait(search, HANGING_DESCRIBE, id_count, call);
    size_t told;
    const struct ottla_transaction_description *rows =
        ottla_call_transaction_descriptions(call, &told);
    size_t kept = 0;
    for (size_t i = 0, at = 0; goes_on && i < list->count; i++) {
        const char *id = list->items[i].transactional_id;
        while (id != NULL && at < told && strcmp(rows[at].transactional_id, id) != 0) {
            at++;
        }
        if (id == NULL || at == told || !is_kept(&rows[at], &list->items[i])) {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
    ottla_call_free(call);
    return goes_on;
}

/* --- 4: what is open still --- */

static bool is_same(const struct hanging *left, const struct hanging *right) {
    return by_partition(left, right) == 0 &&
           left->producer.transaction_start_offset == right->producer.transaction_start_offset;
}

/* Both are sorted by partition and producer. */
static void keep_common(struct open_list *list, const struct open_list *open) {
    size_t kept = 0;
    for (size_t i = 0, at = 0; i < list->count; i++) {
        while (at < open->count && by_partition(&open->items[at], &list->items[i]) < 0) {
            at++;
        }
        if (at < open->count && is_same(&open->items[at], &list->items[i])) {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
}

/* Takes out what was ended since it was first seen. The list is sorted by partition. */
static bool look_again(struct hanging_search *search, struct open_list *list) {
    struct ottla_partition *partitions =
        ARENA_ARRAY(search->arena, struct ottla_partition, list->count);
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct ottla_partition partition = {list->items[i].topic, list->items[i].partition};
        if (count == 0 || partition_order(&partitions[count - 1], &partition) != 0) {
            partitions[count++] = partition;
        }
    }
    struct open_list open = {0};
    if (!ask_all_producers(search, partitions, count, &open)) {
        return false;
    }
    if (open.count > 0) {
        qsort(open.items, open.count, sizeof *open.items, by_partition);
    }
    keep_common(list, &open);
    return true;
}

bool hanging_find(struct hanging_search *search, const struct ottla_partition *partitions,
                  size_t count, struct hanging **ret_hanging, size_t *ret_count) {
    struct open_list list = {0};
    if (!ask_all_producers(search, partitions, count, &list)) {
        return false;
    }
    if (list.count > 0) {
        qsort(list.items, list.count, sizeof *list.items, by_producer);
        if (!ask_ids(search, &list) || !ask_coordinators(search, &list)) {
            return false;
        }
        qsort(list.items, list.count, sizeof *list.items, by_partition);
        if (!look_again(search, &list)) {
            return false;
        }
    }
    *ret_hanging = list.items;
    *ret_count = list.count;
    return true;
}
