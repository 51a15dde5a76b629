/*
 * A coordinator's key is its type and the key's fields in version 0; its value a version and the
 * value's fields in it. A metadata record is one value in a frame of its own (meta/record.h).
 */
#include "cli/state_record.h"

#include <string.h>

#include "meta/record.h"
#include "wire/api.h"
#include "wire/base64.h"
#include "wire/json.h"
#include "wire/messages.h"

enum { VERSION_SIZE = 2, KEY_VERSION = 0 };

enum state_topic state_topic_of(const char *topic) {
    static const char *const names[] = {
        [STATE_GROUPS] = "__consumer_offsets",
        [STATE_TRANSACTIONS] = "__transaction_state",
        [STATE_SHARES] = "__share_group_state",
        [STATE_METADATA] = "__cluster_metadata",
    };
    for (int i = STATE_GROUPS; i <= STATE_METADATA; i++) {
        if (strcmp(topic, names[i]) == 0) {
            return (enum state_topic)i;
        }
    }
    return STATE_NONE;
}

/* --- keys and values of coordinators --- */

static const char *family_of(enum state_topic topic) {
    return topic == STATE_GROUPS ? "group" : topic == STATE_SHARES ? "share" : "transaction";
}

/* Sentences are those of Kafka's tools, up to the reason. */
static const char *read_part(const char *part, const struct wire_type *type, int16_t version,
                             struct bytes data, int16_t named, struct arena *arena,
                             json_t **ret_json) {
    struct bytes body = {.data = data.data + VERSION_SIZE, .size = data.size - VERSION_SIZE};
    void *message = arena_alloc(arena, wire_struct_size(type));
    size_t used;
    err_t err =
        message == NULL ? ERR_LIMIT : wire_decode(type, version, body, arena, message, &used);
    if (err != ERR_OK) {
        return arena_printf(arena,
                            "Could not read record with version %d from %s's buffer due to: %s.",
                            (int)named, part, err_text(err))
            .data;
    }
    *ret_json = wire_to_json(type, version, message);
    return NULL;
}

static const char *read_value(const struct wire_type *type, struct bytes value, struct arena *arena,
                              struct state_record *record) {
    if (value.size < VERSION_SIZE) {
        return "Could not read version from value's buffer.";
    }
    record->version = (int16_t)get_be16(value.data);
    if (!wire_version_valid(type, record->version)) {
        return arena_printf(arena, "Found an unknown record version %d for %d type",
                            (int)record->version, (int)record->type)
            .data;
    }
    return read_part("value", type, record->version, value, record->version, arena, &record->value);
}

static err_t read_coordinator(enum state_topic topic, struct bytes key, struct bytes value,
                              struct arena *arena, struct state_record *record,
                              const char **ret_wrong) {
    const char *family = family_of(topic);
    if (key.size < VERSION_SIZE) {
        *ret_wrong = "Could not read version from key's buffer.";
        return ERR_MALFORMED;
    }
    record->type = (int16_t)get_be16(key.data);
    const struct wire_type *key_type = wire_coordinator_key(family, record->type);
    const struct wire_type *value_type = wire_coordinator_value(family, record->type);
    if (key_type == NULL || value_type == NULL) {
        return ERR_UNSUPPORTED;
    }
    const char *name = wire_type_name(key_type);
    record->name = arena_printf(arena, "%.*s", (int)(strlen(name) - strlen("Key")), name).data;
    *ret_wrong = read_part("key", key_type, KEY_VERSION, key, record->type, arena, &record->key);
    if (*ret_wrong == NULL && value.data != NULL) {
        *ret_wrong = read_value(value_type, value, arena, record);
    }
    return *ret_wrong == NULL ? ERR_OK : ERR_MALFORMED;
}

/* --- metadata --- */

static err_t read_metadata(struct bytes value, struct arena *arena, struct state_record *record,
                           const char **ret_wrong) {
    struct meta_record found;
    err_t err = meta_record_decode(value, arena, &found);
    if (err != ERR_OK) {
        *ret_wrong = err_text(err);
        return ERR_MALFORMED;
    }
    record->type = found.type;
    record->version = found.version;
    record->name = meta_record_name(found.type);
    record->value = wire_to_json(meta_record_wire_type(found.type), found.version, found.message);
    return ERR_OK;
}

err_t state_record_read(enum state_topic topic, struct bytes key, struct bytes value,
                        struct arena *arena, struct state_record *ret_record,
                        const char **ret_wrong) {
    struct state_record record = {.version = -1};
    const char *wrong = NULL;
    err_t err = topic == STATE_METADATA
                    ? read_metadata(value, arena, &record, &wrong)
                    : read_coordinator(topic, key, value, arena, &record, &wrong);
    if (err != ERR_OK) {
        state_record_done(&record);
    }
    *ret_record = record;
    *ret_wrong = wrong;
    return err;
}

/* --- the members of a classic group --- */

/* Puts what the bytes in a field say in their place. They stay when they say nothing: they are
 * clients', and nobody has checked them. */
static void take_apart(json_t *member, const char *field, const struct wire_type *type,
                       struct arena *arena) {
    const json_t *encoded = json_object_get(member, field);
    struct str text = {.data = json_string_value(encoded), .size = json_string_length(encoded)};
    struct bytes bytes;
    if (text.data == NULL || base64_parse(arena, text, &bytes) != ERR_OK ||
        bytes.size < VERSION_SIZE) {
        return;
    }
    int16_t version = (int16_t)get_be16(bytes.data);
    struct bytes body = {.data = bytes.data + VERSION_SIZE, .size = bytes.size - VERSION_SIZE};
    void *message = arena_alloc(arena, wire_struct_size(type));
    size_t used;
    if (message != NULL && wire_decode(type, version, body, arena, message, &used) == ERR_OK) {
        json_object_set_new(member, field, wire_to_json(type, version, message));
    }
}

void state_record_take_apart(struct state_record *record, struct arena *arena) {
    const json_t *members = json_object_get(record->value, "members");
    const char *protocol = json_string_value(json_object_get(record->value, "protocolType"));
    json_t *member;
    size_t i;
    if (protocol == NULL || strcmp(protocol, "consumer") != 0) {
        return;
    }
    json_array_foreach(members, i, member) {
        take_apart(member, "subscription", &consumer_protocol_subscription_type, arena);
        take_apart(member, "assignment", &consumer_protocol_assignment_type, arena);
    }
}

void state_record_done(struct state_record *record) {
    json_decref(record->key);
    json_decref(record->value);
    record->key = NULL;
    record->value = NULL;
}
