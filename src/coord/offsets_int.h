#pragma once

#include "coord/group_int.h"

/*
 * Committed offsets, which every kind of group has: a slot for each partition that a group
 * committed. All hard state: it changes in apply only.
 *
 * Offsets written in a transaction that is still open are pending in the slot; the transaction's
 * end makes them the committed ones, or drops them.
 */
struct offsets {
    struct map topics;  /* struct offset_topic by name */
    int32_t slot_count; /* of all topics */
};

struct offset_topic {
    struct str name;       /* behind the struct */
    struct map partitions; /* struct offset_slot by number */
};

struct offset_value {
    int64_t offset;
    int64_t commit_ms; /* wall clock */
    int64_t expire_ms; /* -1: by the retention of all */
    int64_t record_offset;
    struct uuid topic_id; /* zero: not said */
    int32_t leader_epoch; /* -1: not said */
    struct str metadata;  /* owned; never null */
};

struct offset_slot {
    int32_t partition;
    bool committed;
    struct offset_value value; /* when committed */
    struct list pending;       /* struct offset_pending: one of each open transaction */

    bool told; /* these two: standing.c's; where it is in the last snapshot */
    int32_t told_index;
};

/* NULL: none. */
struct offset_topic *offsets_topic(const struct group *group, struct str topic);
struct offset_slot *offsets_topic_slot(const struct offset_topic *topic, int32_t partition);
struct offset_slot *offsets_slot(const struct group *group, struct str topic, int32_t partition);

/* Whether it is the same topic as far as both ids say; zero says nothing. */
bool offsets_topic_matches(struct uuid a, struct uuid b);

/* The id of the topic that has this name now; zero: there is none. */
struct uuid offsets_topic_id_now(const struct groups *groups, struct str topic);

/* --- records --- */

void offsets_apply(struct groups *groups, const struct coord_record *record);
void offsets_apply_legacy(struct groups *groups, const struct coord_record *record);
void offsets_apply_transaction_end(struct groups *groups, const struct coord_record *record);

/* offset.metadata.max.bytes. */
bool offsets_metadata_fits(const struct group_step *step, struct str metadata);

/* Adds the tombstone of one slot; of all of a group's. Returns how many. */
void offsets_add_tombstone(struct group_step *step, struct str group, struct str topic,
                           int32_t partition);
int32_t offsets_add_tombstones(struct group_step *step, const struct group *group);

/* Adds a record for each offset of a group, as it was, but for those that are pending. *keep_offset
 * is lowered to the first record in the log of what is left out. */
void offsets_add_state(struct group_step *step, const struct group *group, int64_t *keep_offset);

/* --- life --- */

void offsets_free(struct offsets *offsets); /* accepts NULL */

/* The shard forgets everything, transactions too; the groups are gone already. */
void offsets_reset(struct groups *groups);

/* The shard was loaded: expiry begins. */
void offsets_begin(struct group_step *step);

/* The offsets of topics that are deleted go with them. */
void offsets_image_changed(struct groups *groups, const struct coord_image_change *change);

/* --- requests: rows of apis.c --- */

err_t offsets_commit_step(struct group_step *step);
err_t offsets_fetch_step(struct group_step *step);
err_t offsets_delete_step(struct group_step *step);
err_t offsets_commit_in_transaction_step(struct group_step *step); /* TxnOffsetCommit */
err_t offsets_end_transaction_step(struct group_step *step);       /* one of WriteTxnMarkers */
void offsets_fail_commit_in_transaction(const struct coord_call *call, int16_t code,
                                        void *response);
void offsets_fail_end_transaction(const struct coord_call *call, int16_t code, void *response);
