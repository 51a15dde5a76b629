#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "wire/api_keys.h" /* generated: enum api_key, API_KEYS_MAX */
#include "wire/codec.h"
#include "wire/schema.h"

/*
 * The table of APIs, one row per key of schemas/apis.tsv: what Kafka's release knows, and what its
 * nodes advertise. Constant; any thread.
 */
struct wire_api {
    const char *name; /* "Produce" */
    int16_t key;
    struct wire_versions versions;              /* empty: Kafka removed this API */
    struct wire_versions stable_versions;       /* without one that is not final */
    struct wire_versions broker_advertised;     /* on a broker listener; may be empty */
    struct wire_versions controller_advertised; /* on a controller listener; may be empty */
    bool on_broker;                             /* has a meaning on a broker listener */
    bool on_controller;
    bool cluster_action;             /* only nodes of the cluster may ask it */
    bool forwardable;                /* a broker passes it to the controller in an Envelope */
    const struct wire_type *request; /* NULL: Kafka removed this API */
    const struct wire_type *response;
};

/* NULL for a key that Kafka does not know. */
const struct wire_api *wire_api(int16_t api_key);

/* By name, without regard to case; NULL when there is none. */
const struct wire_api *wire_api_by_name(struct str name);

/*
 * Header versions: request_header_type and response_header_type are messages of their own.
 *
 * The request's is 1, or 2 when the request is flexible; the response's 0 or 1, and always 0 for
 * ApiVersions, whose reader does not know yet what the node speaks. Any version is answered, also
 * one we do not have: its header still has to be read to name its correlation id. -1 for an API
 * that does not exist.
 */
int16_t wire_request_header_version(int16_t api_key, int16_t api_version);
int16_t wire_response_header_version(int16_t api_key, int16_t api_version);

/* The type of a record of the cluster's metadata log; NULL for one we do not know. */
const struct wire_type *wire_metadata_record(int16_t record_type);

/* The key and value types of a coordinator's record. family is "group", "transaction" or "share".
 */
const struct wire_type *wire_coordinator_key(const char *family, int16_t record_type);
const struct wire_type *wire_coordinator_value(const char *family, int16_t record_type);
