/*
 * Kinds of metadata that nobody acts upon yet: client quotas, ACLs, SCRAM credentials, delegation
 * tokens. The record that made one is kept as bytes, under the key by which a later record replaces
 * or removes it:
 *
 *   ACL     its id
 *   SCRAM   mechanism as a byte, user name
 *   token   token id
 *   quota   per part of the entity, sorted by type: type NUL (0 | 1 name) NUL, then the quota's
 * name
 */
#include <assert.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "meta/delta_int.h"
#include "wire/codec.h"

static void keep(struct pmap *map, struct bytes key, int16_t type, const void *message) {
    const struct wire_type *wire = meta_record_wire_type(type);
    struct buffer body = {0};
    err_t err = wire_encode(wire, wire_version_max(wire), message, &body);
    assert(err == ERR_OK); /* it was decoded, or encoded, before */
    struct meta_kept *kept = meta_kept_make(key, type, buffer_bytes(&body));
    pmap_put(map, kept->key, &kept->shared);
    buffer_done(&body);
}

static err_t acl(struct meta_delta *delta, const struct access_control_entry_record *record) {
    keep(&delta->image->acls, uuid_bytes(&record->id), META_RECORD_ACCESS_CONTROL_ENTRY, record);
    delta->flags.acls = true;
    return ERR_OK;
}

static err_t remove_acl(struct meta_delta *delta,
                        const struct remove_access_control_entry_record *record) {
    if (pmap_get(&delta->image->acls, uuid_bytes(&record->id)) == NULL) {
        char text[UUID_TEXT_SIZE + 1];
        uuid_format(record->id, text);
        return delta_refuse(delta, "RemoveAccessControlEntryRecord: there is no ACL %s", text);
    }
    pmap_remove(&delta->image->acls, uuid_bytes(&record->id));
    delta->flags.acls = true;
    return ERR_OK;
}

static void scram_key(struct buffer *key, int8_t mechanism, struct str name) {
    buffer_add(key, &mechanism, 1);
    buffer_add_str(key, name);
}

static err_t scram(struct meta_delta *delta, const struct user_scram_credential_record *record) {
    struct buffer key = {0};
    scram_key(&key, record->mechanism, record->name);
    keep(&delta->image->scrams, buffer_bytes(&key), META_RECORD_USER_SCRAM_CREDENTIAL, record);
    buffer_done(&key);
    delta->flags.scrams = true;
    return ERR_OK;
}

static err_t remove_scram(struct meta_delta *delta,
                          const struct remove_user_scram_credential_record *record) {
    struct buffer key = {0};
    scram_key(&key, record->mechanism, record->name);
    pmap_remove(&delta->image->scrams, buffer_bytes(&key));
    buffer_done(&key);
    delta->flags.scrams = true;
    return ERR_OK;
}

static err_t token(struct meta_delta *delta, const struct delegation_token_record *record) {
    keep(&delta->image->tokens, str_bytes(record->token_id), META_RECORD_DELEGATION_TOKEN, record);
    delta->flags.tokens = true;
    return ERR_OK;
}

static err_t remove_token(struct meta_delta *delta,
                          const struct remove_delegation_token_record *record) {
    pmap_remove(&delta->image->tokens, str_bytes(record->token_id));
    delta->flags.tokens = true;
    return ERR_OK;
}

static int compare_entities(const void *a, const void *b) {
    const struct client_quota_record_entity_data *x = a;
    const struct client_quota_record_entity_data *y = b;
    return str_compare(x->entity_type, y->entity_type);
}

static err_t quota_key(struct meta_delta *delta, const struct client_quota_record *record,
                       struct buffer *key) {
    enum { PARTS_MAX = 8 }; /* Kafka knows user, client-id and ip */
    struct client_quota_record_entity_data parts[PARTS_MAX];
    if (record->entity_count < 1 || record->entity_count > PARTS_MAX) {
        return delta_refuse(delta, "ClientQuotaRecord: an entity of %d parts",
                            record->entity_count);
    }
    size_t count = (size_t)record->entity_count;
    memcpy(parts, record->entity, count * sizeof parts[0]);
    qsort(parts, count, sizeof parts[0], compare_entities);
    for (size_t i = 0; i < count; i++) {
        buffer_add_str(key, parts[i].entity_type);
        buffer_add(key, parts[i].entity_name.data == NULL ? "\0\0" : "\0\1", 2);
        buffer_add_str(key, parts[i].entity_name);
        buffer_add(key, "", 1);
    }
    buffer_add_str(key, record->key);
    return ERR_OK;
}

static err_t quota(struct meta_delta *delta, const struct client_quota_record *record) {
    struct buffer key = {0};
    err_t err = quota_key(delta, record, &key);
    if (err == ERR_OK && record->remove) {
        pmap_remove(&delta->image->quotas, buffer_bytes(&key));
    } else if (err == ERR_OK) {
        keep(&delta->image->quotas, buffer_bytes(&key), META_RECORD_CLIENT_QUOTA, record);
    }
    if (err == ERR_OK) {
        delta->flags.quotas = true;
    }
    buffer_done(&key);
    return err;
}

err_t delta_keep(struct meta_delta *delta, const struct meta_record *record) {
    const void *message = record->message;
    switch (record->type) {
    case META_RECORD_ACCESS_CONTROL_ENTRY:
        return acl(delta, message);
    case META_RECORD_REMOVE_ACCESS_CONTROL_ENTRY:
        return remove_acl(delta, message);
    case META_RECORD_USER_SCRAM_CREDENTIAL:
        return scram(delta, message);
    case META_RECORD_REMOVE_USER_SCRAM_CREDENTIAL:
        return remove_scram(delta, message);
    case META_RECORD_DELEGATION_TOKEN:
        return token(delta, message);
    case META_RECORD_REMOVE_DELEGATION_TOKEN:
        return remove_token(delta, message);
    default:
        assert(record->type == META_RECORD_CLIENT_QUOTA);
        return quota(delta, message);
    }
}
