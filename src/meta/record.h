#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/err.h"
#include "meta/feature_levels.h"

/*
 * Records of the cluster's metadata: their types, their frame, and which version of them to write.
 * The bodies are the generated structs of wire/messages.h.
 */
enum meta_record_type {
    META_RECORD_REGISTER_BROKER = 0,
    META_RECORD_UNREGISTER_BROKER = 1,
    META_RECORD_TOPIC = 2,
    META_RECORD_PARTITION = 3,
    META_RECORD_CONFIG = 4,
    META_RECORD_PARTITION_CHANGE = 5,
    META_RECORD_FENCE_BROKER = 7,
    META_RECORD_UNFENCE_BROKER = 8,
    META_RECORD_REMOVE_TOPIC = 9,
    META_RECORD_DELEGATION_TOKEN = 10,
    META_RECORD_USER_SCRAM_CREDENTIAL = 11,
    META_RECORD_FEATURE_LEVEL = 12,
    META_RECORD_CLIENT_QUOTA = 14,
    META_RECORD_PRODUCER_IDS = 15,
    META_RECORD_BROKER_REGISTRATION_CHANGE = 17,
    META_RECORD_ACCESS_CONTROL_ENTRY = 18,
    META_RECORD_REMOVE_ACCESS_CONTROL_ENTRY = 19,
    META_RECORD_NO_OP = 20,
    META_RECORD_ZK_MIGRATION_STATE = 21,
    META_RECORD_REMOVE_USER_SCRAM_CREDENTIAL = 22,
    META_RECORD_BEGIN_TRANSACTION = 23,
    META_RECORD_END_TRANSACTION = 24,
    META_RECORD_ABORT_TRANSACTION = 25,
    META_RECORD_REMOVE_DELEGATION_TOKEN = 26,
    META_RECORD_REGISTER_CONTROLLER = 27,
    META_RECORD_CLEAR_ELR = 28,
    META_RECORD_TYPES = 29, /* one above the last */
};

struct meta_record {
    int16_t type;        /* enum meta_record_type */
    int16_t version;     /* of the body; see meta_record_version */
    const void *message; /* struct topic_record and so on, borrowed */
};

struct wire_type;

/* The description of a record type's struct; NULL for a number that is none. */
const struct wire_type *meta_record_wire_type(int16_t type);

/* "TOPIC_RECORD", as Kafka's dump tool prints it; "UNKNOWN". */
const char *meta_record_name(int16_t type);

/* Appends the framed record: frame version, type, version, body. An error means that the message
 * has a field that this version cannot carry. */
err_t meta_record_encode(const struct meta_record *record, struct buffer *out);

/* Reads a framed record. The struct comes from the arena, its strings point into `value`.
 * ERR_MALFORMED, or ERR_UNSUPPORTED for a frame, type or version of a newer release. */
err_t meta_record_decode(struct bytes value, struct arena *arena, struct meta_record *ret_record);

/* The version of a record type to write at this metadata.version; -1 when the level does not have
 * the type. */
int16_t meta_record_version(int16_t type, int16_t metadata_version);
