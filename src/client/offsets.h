#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/uuid.h"
#include "client/core.h"

/*
 * A list of partitions as requests about a group's offsets need it: sorted by topic and partition,
 * each once, with the topics' ids; and found again when the answer comes, by name or by id.
 */
struct offsets_entry {
    struct str topic;
    int32_t partition;
    size_t index; /* in the list it was made of; the last one where a partition occurs twice */
};

struct offsets_topic {
    struct str name;
    struct uuid id; /* zero: not known */
    size_t first;   /* of its entries */
    size_t count;
};

struct offsets_list {
    struct offsets_entry *entries;
    size_t entry_count;
    struct offsets_topic *topics;
    size_t topic_count;
    size_t hint; /* where the topic after the last found one is */
    bool ids;    /* of all topics are known */
};

/* Takes entries with topic and partition; all memory is of the arena, names are borrowed. */
void offsets_list_init(struct offsets_list *list, struct offsets_entry *entries, size_t count,
                       struct arena *arena);

/* Ids as metadata has them now. */
void offsets_list_identify(struct offsets_list *list, const struct ottla_client *client);

/* NULL: not in the list. */
const struct offsets_topic *offsets_topic_find(struct offsets_list *list, struct str name,
                                               const struct uuid *id, bool by_id);
const struct offsets_entry *offsets_entry_find(const struct offsets_list *list,
                                               const struct offsets_topic *topic,
                                               int32_t partition);
