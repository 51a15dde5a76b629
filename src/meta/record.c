/*
 * A metadata record's frame:
 *
 *   uvarint 1 (frame version) | uvarint type | uvarint version | body in that version
 */
#include "meta/record.h"

#include <assert.h>

#include "base/varint.h"
#include "wire/codec.h"
#include "wire/messages.h"

enum { FRAME_VERSION = 1, STEPS_MAX = 5 };

/* From which metadata.version on which version of the record is written, rising; ends with 0. */
struct step {
    int16_t metadata_version;
    int16_t version;
};

struct row {
    const char *name;
    const struct wire_type *type;
    struct step steps[STEPS_MAX];
};

#define ALWAYS                                                                                     \
    {                                                                                              \
        { METADATA_VERSION_MIN, 0 }                                                                \
    }

static const struct row rows[META_RECORD_TYPES] = {
    [META_RECORD_REGISTER_BROKER] = {"REGISTER_BROKER_RECORD",
                                     &register_broker_record_type,
                                     {{7, 1}, {8, 2}, {17, 3}, {30, 4}}},
    [META_RECORD_UNREGISTER_BROKER] = {"UNREGISTER_BROKER_RECORD", &unregister_broker_record_type,
                                       ALWAYS},
    [META_RECORD_TOPIC] = {"TOPIC_RECORD", &topic_record_type, ALWAYS},
    [META_RECORD_PARTITION] = {"PARTITION_RECORD",
                               &partition_record_type,
                               {{7, 0}, {17, 1}, {23, 2}}},
    [META_RECORD_CONFIG] = {"CONFIG_RECORD", &config_record_type, ALWAYS},
    [META_RECORD_PARTITION_CHANGE] = {"PARTITION_CHANGE_RECORD",
                                      &partition_change_record_type,
                                      {{7, 0}, {17, 1}, {23, 2}}},
    [META_RECORD_FENCE_BROKER] = {"FENCE_BROKER_RECORD", &fence_broker_record_type, ALWAYS},
    [META_RECORD_UNFENCE_BROKER] = {"UNFENCE_BROKER_RECORD", &unfence_broker_record_type, ALWAYS},
    [META_RECORD_REMOVE_TOPIC] = {"REMOVE_TOPIC_RECORD", &remove_topic_record_type, ALWAYS},
    [META_RECORD_DELEGATION_TOKEN] = {"DELEGATION_TOKEN_RECORD",
                                      &delegation_token_record_type,
                                      {{14, 0}}},
    [META_RECORD_USER_SCRAM_CREDENTIAL] = {"USER_SCRAM_CREDENTIAL_RECORD",
                                           &user_scram_credential_record_type,
                                           {{11, 0}}},
    [META_RECORD_FEATURE_LEVEL] = {"FEATURE_LEVEL_RECORD", &feature_level_record_type, ALWAYS},
    [META_RECORD_CLIENT_QUOTA] = {"CLIENT_QUOTA_RECORD", &client_quota_record_type, ALWAYS},
    [META_RECORD_PRODUCER_IDS] = {"PRODUCER_IDS_RECORD", &producer_ids_record_type, ALWAYS},
    [META_RECORD_BROKER_REGISTRATION_CHANGE] = {"BROKER_REGISTRATION_CHANGE_RECORD",
                                                &broker_registration_change_record_type,
                                                {{7, 1}, {17, 2}, {30, 3}}},
    [META_RECORD_ACCESS_CONTROL_ENTRY] = {"ACCESS_CONTROL_ENTRY_RECORD",
                                          &access_control_entry_record_type, ALWAYS},
    [META_RECORD_REMOVE_ACCESS_CONTROL_ENTRY] = {"REMOVE_ACCESS_CONTROL_ENTRY_RECORD",
                                                 &remove_access_control_entry_record_type, ALWAYS},
    [META_RECORD_NO_OP] = {"NO_OP_RECORD", &no_op_record_type, ALWAYS},
    [META_RECORD_ZK_MIGRATION_STATE] = {"ZK_MIGRATION_STATE_RECORD",
                                        &zk_migration_state_record_type,
                                        {{8, 0}}},
    [META_RECORD_REMOVE_USER_SCRAM_CREDENTIAL] = {"REMOVE_USER_SCRAM_CREDENTIAL_RECORD",
                                                  &remove_user_scram_credential_record_type,
                                                  {{11, 0}}},
    [META_RECORD_BEGIN_TRANSACTION] = {"BEGIN_TRANSACTION_RECORD",
                                       &begin_transaction_record_type,
                                       {{13, 0}}},
    [META_RECORD_END_TRANSACTION] = {"END_TRANSACTION_RECORD",
                                     &end_transaction_record_type,
                                     {{13, 0}}},
    [META_RECORD_ABORT_TRANSACTION] = {"ABORT_TRANSACTION_RECORD",
                                       &abort_transaction_record_type,
                                       {{13, 0}}},
    [META_RECORD_REMOVE_DELEGATION_TOKEN] = {"REMOVE_DELEGATION_TOKEN_RECORD",
                                             &remove_delegation_token_record_type,
                                             {{14, 0}}},
    [META_RECORD_REGISTER_CONTROLLER] = {"REGISTER_CONTROLLER_RECORD",
                                         &register_controller_record_type,
                                         {{15, 0}}},
    [META_RECORD_CLEAR_ELR] = {"CLEAR_ELR_RECORD", &clear_elr_record_type, {{23, 0}}},
};

static const struct row *row_of(int16_t type) {
    if (type < 0 || type >= META_RECORD_TYPES || rows[type].type == NULL) {
        return NULL;
    }
    return &rows[type];
}

const struct wire_type *meta_record_wire_type(int16_t type) {
    const struct row *row = row_of(type);
    return row == NULL ? NULL : row->type;
}

const char *meta_record_name(int16_t type) {
    const struct row *row = row_of(type);
    return row == NULL ? "UNKNOWN" : row->name;
}

int16_t meta_record_version(int16_t type, int16_t metadata_version) {
    const struct row *row = row_of(type);
    int16_t version = -1;
    for (int i = 0; row != NULL && i < STEPS_MAX; i++) {
        const struct step *step = &row->steps[i];
        if (step->metadata_version == 0 || step->metadata_version > metadata_version) {
            break;
        }
        version = step->version;
    }
    return version;
}

err_t meta_record_encode(const struct meta_record *record, struct buffer *out) {
    const struct row *row = row_of(record->type);
    assert(row != NULL);
    size_t start = out->size;
    uint8_t *p = buffer_reserve(out, 3 * UVARINT_SIZE_MAX);
    size_t size = uvarint_write(p, FRAME_VERSION);
    size += uvarint_write(p + size, (uint32_t)record->type);
    size += uvarint_write(p + size, (uint32_t)record->version);
    (void)buffer_extend(out, size);
    err_t err = wire_encode(row->type, record->version, record->message, out);
    if (err != ERR_OK) {
        out->size = start;
    }
    return err;
}

/* The three numbers before the body; 0 when they are not there. */
static size_t read_frame(struct bytes value, uint32_t numbers[3]) {
    size_t position = 0;
    for (int i = 0; i < 3; i++) {
        size_t used = uvarint_read(value.data + position, value.size - position, &numbers[i]);
        if (used == 0) {
            return 0;
        }
        position += used;
    }
    return position;
}

err_t meta_record_decode(struct bytes value, struct arena *arena, struct meta_record *ret_record) {
    uint32_t numbers[3];
    size_t head = read_frame(value, numbers);
    if (head == 0) {
        return ERR_MALFORMED;
    }
    if (numbers[0] != FRAME_VERSION || numbers[1] >= META_RECORD_TYPES || numbers[2] > INT16_MAX) {
        return ERR_UNSUPPORTED;
    }
    const struct row *row = row_of((int16_t)numbers[1]);
    if (row == NULL || !wire_version_valid(row->type, (int16_t)numbers[2])) {
        return ERR_UNSUPPORTED;
    }
    void *message = arena_alloc(arena, wire_struct_size(row->type));
    if (message == NULL) {
        return ERR_LIMIT;
    }
    struct bytes body = {.data = value.data + head, .size = value.size - head};
    size_t used;
    err_t err = wire_decode(row->type, (int16_t)numbers[2], body, arena, message, &used);
    if (err != ERR_OK) {
        return err;
    }
    if (used != body.size) {
        return ERR_MALFORMED;
    }
    *ret_record = (struct meta_record){
        .type = (int16_t)numbers[1],
        .version = (int16_t)numbers[2],
        .message = message,
    };
    return ERR_OK;
}
