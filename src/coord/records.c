/* The table of records of __consumer_offsets, and records as bytes: a row for each type. */
#include <assert.h>

#include "coord/classic.h"
#include "coord/groups_int.h"
#include "coord/offsets_int.h"
#include "wire/codec.h"

static const struct coord_record_kind kinds[] = {
    {GROUP_RECORD_LEGACY_OFFSET_COMMIT, "LEGACY_OFFSET_COMMIT", &legacy_offset_commit_key_type,
     &legacy_offset_commit_value_type, 0, offsets_apply_legacy},
    {GROUP_RECORD_OFFSET_COMMIT, "OFFSET_COMMIT", &offset_commit_key_type,
     &offset_commit_value_type, 4, offsets_apply},
    {GROUP_RECORD_GROUP_METADATA, "GROUP_METADATA", &group_metadata_key_type,
     &group_metadata_value_type, 3, classic_apply},
    {GROUP_RECORD_TRANSACTION_COMMIT, "TRANSACTION_COMMIT", NULL, NULL, -1,
     offsets_apply_transaction_end},
    {GROUP_RECORD_TRANSACTION_ABORT, "TRANSACTION_ABORT", NULL, NULL, -1,
     offsets_apply_transaction_end},
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
    const struct coord_record_kind *kind = coord_record_kind(type);
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
    return step_record_version(step, type, coord_record_kind(type)->value_version, ret_value);
}

/* --- as bytes --- */

err_t coord_record_encode(const struct coord_record *record, struct buffer *key,
                          struct buffer *value) {
    const struct coord_record_kind *kind = coord_record_kind(record->type);
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
    return err == ERR_UNSUPPORTED_VERSION ? ERR_UNSUPPORTED : err;
}

err_t coord_record_decode(struct bytes key, struct bytes value, struct arena *arena,
                          struct coord_record *ret_record) {
    if (key.size < 2 || (value.data != NULL && value.size < 2)) {
        return ERR_MALFORMED;
    }
    struct coord_record record = {
        .type = (int16_t)get_be16(key.data), .value_version = -1, .producer_id = -1};
    const struct coord_record_kind *kind = coord_record_kind(record.type);
    if (kind == NULL || kind->key_type == NULL) {
        return ERR_UNSUPPORTED;
    }
    err_t err = decode(kind->key_type, 0, key, arena, &record.key);
    if (err == ERR_OK && value.data != NULL) {
        record.value_version = (int16_t)get_be16(value.data);
        err = decode(kind->value_type, record.value_version, value, arena, &record.value);
    }
    if (err == ERR_OK) {
        *ret_record = record;
    }
    return err;
}
