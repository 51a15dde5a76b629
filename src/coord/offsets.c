/*
 * The offsets of groups, as the log's records make them.
 *
 *   record                        slot
 *   ---------------------------   ------------------------------------------------------------
 *   value                         committed
 *   value, in a transaction       pending until the transaction's end
 *   tombstone                     gone, with what is pending
 *   commit of a transaction       what it left pending is committed, unless a later record of the
 *                                 same slot is: compaction may have dropped that one's neighbours
 *   abort                         what it left pending is gone
 *
 * A slot that is neither committed nor pending does not exist, nor does a topic without slots.
 */
#include "coord/offsets_int.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What an open transaction wrote last into a slot. */
struct offset_pending {
    struct list in_slot;
    struct open_transaction *transaction;
    struct offset_value value;
    int64_t first_record_offset; /* of all that it wrote there */
    struct group *group;
    struct offset_topic *topic;
    struct offset_slot *slot;
};

struct open_transaction {
    struct map pending; /* struct offset_pending by the slot's address */
};

/* --- lookups --- */

struct offset_topic *offsets_topic(const struct group *group, struct str topic) {
    return group->offsets == NULL ? NULL : map_get(&group->offsets->topics, str_bytes(topic));
}

struct offset_slot *offsets_topic_slot(const struct offset_topic *topic, int32_t partition) {
    return map_get_u64(&topic->partitions, (uint32_t)partition);
}

struct offset_slot *offsets_slot(const struct group *group, struct str topic, int32_t partition) {
    const struct offset_topic *found = offsets_topic(group, topic);
    return found == NULL ? NULL : offsets_topic_slot(found, partition);
}

bool offsets_topic_matches(struct uuid a, struct uuid b) {
    return uuid_is_zero(a) || uuid_is_zero(b) || uuid_equal(a, b);
}

struct uuid offsets_topic_id_now(const struct groups *groups, struct str topic) {
    const struct meta_topic *found = meta_image_topic(groups->image, topic);
    return found == NULL ? UUID_ZERO : found->id;
}

/* --- values --- */

static struct str own_text(struct str text) {
    char *copy = malloc(text.size + 1);
    assert(copy != NULL);
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    return (struct str){.data = copy, .size = text.size};
}

static void value_free(struct offset_value *value) {
    free((char *)value->metadata.data);
    *value = (struct offset_value){0};
}

static struct offset_value value_make(const struct offset_commit_value *value,
                                      int64_t record_offset) {
    return (struct offset_value){
        .offset = value->offset,
        .commit_ms = value->commit_timestamp,
        .expire_ms = value->expire_timestamp,
        .record_offset = record_offset,
        .topic_id = value->topic_id,
        .leader_epoch = value->leader_epoch,
        .metadata = own_text(value->metadata),
    };
}

/* Takes the value over. */
static void slot_commit(struct offset_slot *slot, const struct offset_value *value) {
    value_free(&slot->value);
    slot->value = *value;
    slot->committed = true;
}

/* --- slots --- */

static struct offset_topic *topic_get_or_add(struct group *group, struct str name) {
    struct offset_topic *topic = offsets_topic(group, name);
    if (topic != NULL) {
        return topic;
    }
    if (group->offsets == NULL) {
        group->offsets = calloc(1, sizeof *group->offsets);
        assert(group->offsets != NULL);
    }
    topic = calloc(1, sizeof *topic + name.size);
    assert(topic != NULL);
    memcpy((char *)(topic + 1), name.data, name.size);
    topic->name = (struct str){.data = (char *)(topic + 1), .size = name.size};
    map_put(&group->offsets->topics, str_bytes(topic->name), topic);
    return topic;
}

static struct offset_slot *slot_get_or_add(struct group *group, struct offset_topic *topic,
                                           int32_t partition) {
    struct offset_slot *slot = offsets_topic_slot(topic, partition);
    if (slot == NULL) {
        slot = calloc(1, sizeof *slot);
        assert(slot != NULL);
        slot->partition = partition;
        list_init(&slot->pending);
        map_put_u64(&topic->partitions, (uint32_t)partition, slot);
        group->offsets->slot_count++;
    }
    return slot;
}

static void pending_free(struct offset_pending *pending) {
    list_remove(&pending->in_slot);
    (void)map_remove_u64(&pending->transaction->pending, (uintptr_t)pending->slot);
    value_free(&pending->value);
    free(pending);
}

static void transaction_free(struct open_transaction *transaction) {
    map_done(&transaction->pending);
    free(transaction);
}

static void topic_free(struct offset_topic *topic) {
    map_done(&topic->partitions);
    free(topic);
}

static void slot_free(struct offset_slot *slot) {
    struct list *link;
    while ((link = list_first(&slot->pending)) != NULL) {
        pending_free(container_of(link, struct offset_pending, in_slot));
    }
    value_free(&slot->value);
    free(slot);
}

/* Removes a slot that says nothing any more, and what is empty without it. */
static void slot_tidy(struct group *group, struct offset_topic *topic, struct offset_slot *slot) {
    if (slot->committed || !list_empty(&slot->pending)) {
        return;
    }
    map_remove_u64(&topic->partitions, (uint32_t)slot->partition);
    slot_free(slot);
    group->offsets->slot_count--;
    if (map_count(&topic->partitions) == 0) {
        map_remove(&group->offsets->topics, str_bytes(topic->name));
        topic_free(topic);
    }
    if (group->offsets->slot_count == 0) {
        offsets_free(group->offsets);
        group->offsets = NULL;
    }
}

void offsets_free(struct offsets *offsets) {
    if (offsets == NULL) {
        return;
    }
    struct offset_topic *topic;
    struct offset_slot *slot;
    size_t topics, slots;
    map_for_each (&offsets->topics, topics, topic) {
        map_for_each (&topic->partitions, slots, slot) {
            slot_free(slot);
        }
        topic_free(topic);
    }
    map_done(&offsets->topics);
    free(offsets);
}

void offsets_reset(struct groups *groups) {
    struct open_transaction *transaction;
    size_t cursor;
    map_for_each (&groups->transactions, cursor, transaction) {
        assert(map_count(&transaction->pending) == 0);
        transaction_free(transaction);
    }
    map_done(&groups->transactions);
    map_init(&groups->transactions);
}

/* --- records --- */

static struct open_transaction *transaction_get_or_add(struct groups *groups, int64_t producer_id) {
    struct open_transaction *transaction =
        map_get_u64(&groups->transactions, (uint64_t)producer_id);
    if (transaction == NULL) {
        transaction = calloc(1, sizeof *transaction);
        assert(transaction != NULL);
        map_put_u64(&groups->transactions, (uint64_t)producer_id, transaction);
    }
    return transaction;
}

/* Takes the value over. A slot that is written again needs no more memory. */
static void set_pending(struct open_transaction *transaction, struct group *group,
                        struct offset_topic *topic, struct offset_slot *slot,
                        const struct offset_value *value) {
    struct offset_pending *pending = map_get_u64(&transaction->pending, (uintptr_t)slot);
    if (pending != NULL) {
        value_free(&pending->value);
        pending->value = *value;
        return;
    }
    pending = calloc(1, sizeof *pending);
    assert(pending != NULL);
    *pending = (struct offset_pending){.transaction = transaction,
                                       .value = *value,
                                       .first_record_offset = value->record_offset,
                                       .group = group,
                                       .topic = topic,
                                       .slot = slot};
    list_add_last(&slot->pending, &pending->in_slot);
    map_put_u64(&transaction->pending, (uintptr_t)slot, pending);
}

static void take_value(struct groups *groups, const struct offset_commit_key *key,
                       const struct offset_commit_value *value, int64_t producer_id) {
    struct group *group = groups_find(groups, key->group);
    if (group == NULL) {
        group = groups_add(groups, key->group);
    }
    struct offset_topic *topic = topic_get_or_add(group, key->topic);
    struct offset_slot *slot = slot_get_or_add(group, topic, key->partition);
    struct offset_value made = value_make(value, groups->apply_offset);
    if (producer_id >= 0) {
        set_pending(transaction_get_or_add(groups, producer_id), group, topic, slot, &made);
    } else {
        slot_commit(slot, &made);
    }
}

static void take_tombstone(struct groups *groups, const struct offset_commit_key *key) {
    struct group *group = groups_find(groups, key->group);
    struct offset_topic *topic = group == NULL ? NULL : offsets_topic(group, key->topic);
    struct offset_slot *slot = topic == NULL ? NULL : offsets_topic_slot(topic, key->partition);
    if (slot == NULL) {
        return;
    }
    struct list *link;
    while ((link = list_first(&slot->pending)) != NULL) {
        pending_free(container_of(link, struct offset_pending, in_slot));
    }
    slot->committed = false;
    slot_tidy(group, topic, slot);
}

void offsets_apply(struct groups *groups, const struct coord_record *record) {
    if (record->value != NULL) {
        take_value(groups, record->key, record->value, record->producer_id);
    } else {
        take_tombstone(groups, record->key);
    }
}

void offsets_apply_legacy(struct groups *groups, const struct coord_record *record) {
    const struct legacy_offset_commit_key *old_key = record->key;
    const struct legacy_offset_commit_value *old_value = record->value;
    struct offset_commit_key key = {old_key->group, old_key->topic, old_key->partition};
    struct offset_commit_value value;
    wire_init(&offset_commit_value_type, &value);
    if (old_value != NULL) {
        value.offset = old_value->offset;
        value.metadata = old_value->metadata;
        value.commit_timestamp = old_value->commit_timestamp;
        take_value(groups, &key, &value, record->producer_id);
    } else {
        take_tombstone(groups, &key);
    }
}

void offsets_apply_transaction_end(struct groups *groups, const struct coord_record *record) {
    struct open_transaction *transaction =
        map_remove_u64(&groups->transactions, (uint64_t)record->producer_id);
    if (transaction == NULL) {
        return; /* it wrote no offsets here */
    }
    struct offset_pending *pending;
    size_t cursor;
    map_for_each (&transaction->pending, cursor, pending) {
        struct offset_slot *slot = pending->slot;
        struct group *group = pending->group;
        struct offset_topic *topic = pending->topic;
        if (record->type == GROUP_RECORD_TRANSACTION_COMMIT &&
            (!slot->committed || pending->value.record_offset > slot->value.record_offset)) {
            slot_commit(slot, &pending->value);
            pending->value = (struct offset_value){0};
        }
        pending_free(pending);
        slot_tidy(group, topic, slot);
    }
    transaction_free(transaction);
}

void offsets_add_tombstone(struct group_step *step, struct str group, struct str topic,
                           int32_t partition) {
    struct offset_commit_key *key = step_record(step, GROUP_RECORD_OFFSET_COMMIT, NULL);
    key->group = group;
    key->topic = topic;
    key->partition = partition;
}

int32_t offsets_add_tombstones(struct group_step *step, const struct group *group) {
    if (group->offsets == NULL) {
        return 0;
    }
    const struct offset_topic *topic;
    const struct offset_slot *slot;
    size_t topics, slots;
    map_for_each (&group->offsets->topics, topics, topic) {
        map_for_each (&topic->partitions, slots, slot) {
            offsets_add_tombstone(step, group->id, topic->name, slot->partition);
        }
    }
    return group->offsets->slot_count;
}

static void add_slot(struct group_step *step, const struct group *group,
                     const struct offset_topic *topic, const struct offset_slot *slot) {
    bool expires = slot->value.expire_ms >= 0;
    void *made;
    struct offset_commit_key *key =
        step_record_version(step, GROUP_RECORD_OFFSET_COMMIT, expires ? 1 : 4, &made);
    struct offset_commit_value *value = made;
    key->group = group->id;
    key->topic = topic->name;
    key->partition = slot->partition;
    value->offset = slot->value.offset;
    value->leader_epoch = slot->value.leader_epoch;
    value->metadata = slot->value.metadata;
    value->commit_timestamp = slot->value.commit_ms;
    value->expire_timestamp = slot->value.expire_ms;
    value->topic_id = slot->value.topic_id;
}

/* Everything that the log says of a slot with something pending stays as it is. */
static void keep_slot(const struct offset_slot *slot, int64_t *keep_offset) {
    if (slot->committed && slot->value.record_offset < *keep_offset) {
        *keep_offset = slot->value.record_offset;
    }
    struct list *link;
    list_for_each (link, &slot->pending) {
        const struct offset_pending *pending = container_of(link, struct offset_pending, in_slot);
        if (pending->first_record_offset < *keep_offset) {
            *keep_offset = pending->first_record_offset;
        }
    }
}

void offsets_add_state(struct group_step *step, const struct group *group, int64_t *keep_offset) {
    if (group->offsets == NULL) {
        return;
    }
    const struct offset_topic *topic;
    const struct offset_slot *slot;
    size_t topics, slots;
    map_for_each (&group->offsets->topics, topics, topic) {
        map_for_each (&topic->partitions, slots, slot) {
            if (list_empty(&slot->pending)) {
                add_slot(step, group, topic, slot);
            } else {
                keep_slot(slot, keep_offset);
            }
        }
    }
}
