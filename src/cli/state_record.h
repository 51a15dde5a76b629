#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/*
 * Records of the topics in which a cluster keeps its own state, as JSON. Fields are named as in
 * Kafka's schemas.
 */
enum state_topic {
    STATE_NONE,
    STATE_GROUPS,       /* __consumer_offsets */
    STATE_TRANSACTIONS, /* __transaction_state */
    STATE_SHARES,       /* __share_group_state */
    STATE_METADATA,     /* __cluster_metadata; its records have no keys */
};

/* STATE_NONE for a topic that holds something else. */
enum state_topic state_topic_of(const char *topic);

struct state_record {
    int16_t type;
    const char *name; /* of the type: "TransactionLog", "FeatureLevelRecord" */
    json_t *key;      /* NULL: there is none */
    json_t *value;    /* NULL: none; in a topic with keys that deletes what the key names */
    int16_t version;  /* of the value */
};

/*
 * Memory of the decoding comes from the arena; the JSON does not need it any more.
 *
 * UNSUPPORTED: a type that we do not know, told by ret_record->type. MALFORMED: *ret_wrong is a
 * sentence, in the arena.
 */
err_t state_record_read(enum state_topic topic, struct bytes key, struct bytes value,
                        struct arena *arena, struct state_record *ret_record,
                        const char **ret_wrong);

/* Takes apart what consumers have put into the members of a group of theirs: subscriptions and
 * assignments, which are base64 else. Other records stay as they are. */
void state_record_take_apart(struct state_record *record, struct arena *arena);

/* Gives the JSON back. */
void state_record_done(struct state_record *record);
