/* The table of records of __consumer_offsets, and records as bytes: a row for each type. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coord/classic.h"
#include "coord/consumer.h"
#include "coord/groups_int.h"
#include "coord/offsets_int.h"
#include "wire/codec.h"

/* --- records that are only kept --- */

struct foreign {
    struct bytes key; /* both behind the struct */
    struct bytes value;
};

void groups_apply_foreign(struct groups *groups, const struct coord_record *record) {
    const struct bytes *key = record->key, *value = record->value;
    free(map_remove(&groups->foreign, *key));
    if (value == NULL) {
        return;
    }
    struct foreign *foreign = malloc(sizeof *foreign + key->size + value->size);
    assert(foreign != NULL);
    uint8_t *memory = (uint8_t *)(foreign + 1);
    memcpy(memory, key->data, key->size);
    memcpy(memory + key->size, value->data, value->size);
    foreign->key = (struct bytes){memory, key->size};
    foreign->value = (struct bytes){memory + key->size, value->size};
    map_put(&groups->foreign, foreign->key, foreign);
}

void groups_forget_foreign(struct groups *groups) {
    struct foreign *foreign;
    size_t cursor;
    map_for_each (&groups->foreign, cursor, foreign) {
        free(foreign);
    }
    map_clear(&groups->foreign);
}

void groups_add_foreign(struct group_step *step) {
    const struct foreign *foreign;
    size_t cursor;
    map_for_each (&step->groups->foreign, cursor, foreign) {
        struct coord_record *record = ARENA_NEW(step->arena, struct coord_record);
        *record = (struct coord_record){.type = GROUP_RECORD_FOREIGN,
                                        .key = &foreign->key,
                                        .value = &foreign->value,
                                        .producer_id = -1};
        strand_output_add(step->output, record);
    }
}

/* --- the table --- */

static const struct coord_record_kind kinds[] = {
    {GROUP_RECORD_LEGACY_OFFSET_COMMIT, "LEGACY_OFFSET_COMMIT", &legacy_offset_commit_key_type,
     &legacy_offset_commit_value_type, 0, offsets_apply_legacy},
    {GROUP_RECORD_OFFSET_COMMIT, "OFFSET_COMMIT", &offset_commit_key_type,
     &offset_commit_value_type, 4, offsets_apply},
    {GROUP_RECORD_GROUP_METADATA, "GROUP_METADATA", &group_metadata_key_type,
     &group_metadata_value_type, 3, classic_apply},
    {GROUP_RECORD_CONSUMER_GROUP_METADATA, "CONSUMER_GROUP_METADATA",
     &consumer_group_metadata_key_type, &consumer_group_metadata_value_type, 0,
     consumer_apply_epoch},
    {GROUP_RECORD_CONSUMER_GROUP_PARTITION_METADATA, "CONSUMER_GROUP_PARTITION_METADATA",
     &consumer_group_partition_metadata_key_type, &consumer_group_partition_metadata_value_type, 0,
     consumer_apply_topics},
    {GROUP_RECORD_CONSUMER_GROUP_MEMBER_METADATA, "CONSUMER_GROUP_MEMBER_METADATA",
     &consumer_group_member_metadata_key_type, &consumer_group_member_metadata_value_type, 0,
     consumer_apply_member},
    {GROUP_RECORD_CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA,
     "CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA",
     &consumer_group_target_assignment_metadata_key_type,
     &consumer_group_target_assignment_metadata_value_type, 0, consumer_apply_target_epoch},
    {GROUP_RECORD_CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER,
     "CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER", &consumer_group_target_assignment_member_key_type,
     &consumer_group_target_assignment_member_value_type, 0, consumer_apply_target},
    {GROUP_RECORD_CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT,
     "CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT", &consumer_group_current_member_assignment_key_type,
     &consumer_group_current_member_assignment_value_type, 0, consumer_apply_ownership},
    {GROUP_RECORD_CONSUMER_GROUP_REGULAR_EXPRESSION, "CONSUMER_GROUP_REGULAR_EXPRESSION",
     &consumer_group_regular_expression_key_type, &consumer_group_regular_expression_value_type, 0,
     consumer_apply_regex},
    {GROUP_RECORD_TRANSACTION_COMMIT, "TRANSACTION_COMMIT", NULL, NULL, -1,
     offsets_apply_transaction_end},
    {GROUP_RECORD_TRANSACTION_ABORT, "TRANSACTION_ABORT", NULL, NULL, -1,
     offsets_apply_transaction_end},
    {GROUP_RECORD_FOREIGN, "FOREIGN", NULL, NULL, -1, groups_apply_foreign},
};

const struct coord_record_kind *coord_record_kind(int16_t type) {
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].type == type) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* --- made by a step --- */

void *step_record_version(struct group_step *step, enum group_record type, int16_t value_version,
                          void **ret_value) {
    const struct coord_record_kind *kind = step->groups->kind->record((int16_t)type);
    assert(kind != NULL);
    struct coord_record *record = ARENA_NEW(step->arena, struct coord_record);
    void *key = arena_alloc(step->arena, wire_struct_size(kind->key_type));
    wire_init(kind->key_type, key);
    *record =
        (struct coord_record){.type = type, .value_version = -1, .key = key, .producer_id = -1};
    if (ret_value != NULL) {
        void *value = arena_alloc(step->arena, wire_struct_size(kind->value_type));
        wire_init(kind->value_type, value);
        record->value = value;
        record->value_version = value_version;
        *ret_value = value;
    }
    strand_output_add(step->output, record);
    return key;
}

void *step_record(struct group_step *step, enum group_record type, void **ret_value) {
    int16_t version = step->groups->kind->record((int16_t)type)->value_version;
    return step_record_version(step, type, version, ret_value);
}

void step_take_back(struct group_step *step) {
    step->output->record_count = 0;
    memset(step->counts, 0, sizeof step->counts);
    step->settled = NULL;
}

/* --- as bytes --- */

static void add_bytes(struct buffer *out, const struct bytes *bytes) {
    buffer_add(out, bytes->data, bytes->size);
}

err_t coord_record_encode(const struct coord_kind *coord_kind, const struct coord_record *record,
                          struct buffer *key, struct buffer *value) {
    if (record->type == GROUP_RECORD_FOREIGN) {
        add_bytes(key, record->key);
        add_bytes(value, record->value);
        return ERR_OK;
    }
    const struct coord_record_kind *kind = coord_kind->record(record->type);
    put_be16(buffer_extend(key, 2), (uint16_t)record->type);
    err_t err = wire_encode(kind->key_type, 0, record->key, key);
    if (err == ERR_OK && record->value != NULL) {
        put_be16(buffer_extend(value, 2), (uint16_t)record->value_version);
        err = wire_encode(kind->value_type, record->value_version, record->value, value);
    }
    return err;
}

static err_t decode(const struct wire_type *type, int16_t version, struct bytes bytes,
                    struct arena *arena, const void **ret_message) {
    void *message = arena_alloc(arena, wire_struct_size(type));
    size_t used;
    struct bytes body = {.data = bytes.data + 2, .size = bytes.size - 2};
    err_t err = wire_decode(type, version, body, arena, message, &used);
    if (err == ERR_OK) {
        *ret_message = message;
    }
    return err;
}

static err_t decode_known(const struct coord_record_kind *kind, struct bytes key,
                          struct bytes value, struct arena *arena, struct coord_record *record) {
    if (kind == NULL || kind->key_type == NULL || (value.data != NULL && value.size < 2)) {
        return ERR_UNSUPPORTED;
    }
    err_t err = decode(kind->key_type, 0, key, arena, &record->key);
    if (err == ERR_OK && value.data != NULL) {
        record->value_version = (int16_t)get_be16(value.data);
        err = decode(kind->value_type, record->value_version, value, arena, &record->value);
    }
    return err;
}

static const struct bytes *keep_bytes(struct arena *arena, struct bytes bytes) {
    struct bytes *kept = ARENA_NEW(arena, struct bytes);
    *kept = bytes;
    return kept;
}

err_t coord_record_decode(const struct coord_kind *coord_kind, struct bytes key, struct bytes value,
                          struct arena *arena, struct coord_record *ret_record) {
    if (key.size < 2) {
        return ERR_MALFORMED;
    }
    struct coord_record record = {
        .type = (int16_t)get_be16(key.data), .value_version = -1, .producer_id = -1};
    if (decode_known(coord_kind->record(record.type), key, value, arena, &record) != ERR_OK) {
        record = (struct coord_record){
            .type = GROUP_RECORD_FOREIGN,
            .value_version = -1,
            .key = keep_bytes(arena, key),
            .value = value.data == NULL ? NULL : keep_bytes(arena, value),
            .producer_id = -1,
        };
    }
    *ret_record = record;
    return ERR_OK;
}
