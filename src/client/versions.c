/*
 * What the broker speaks. ApiVersions is asked in our highest version; a broker that does not have
 * it answers with UNSUPPORTED_VERSION and its own range, in version 0, and is asked once more.
 */
#include "client/connection_int.h"
#include "wire/messages.h"

static void keep_versions(struct client_connection *connection,
                          const struct api_versions_response *response) {
    for (int16_t key = 0; key < API_KEYS_MAX; key++) {
        connection->versions[key] = (struct wire_versions){.low = 0, .high = -1};
    }
    for (int32_t i = 0; i < response->api_keys_count; i++) {
        const struct api_versions_response_api_version *row = &response->api_keys[i];
        if (row->api_key >= 0 && row->api_key < API_KEYS_MAX) {
            connection->versions[row->api_key] =
                (struct wire_versions){.low = row->min_version, .high = row->max_version};
        }
    }
    connection->versions_known = true;
}

static void keep_features(struct client_connection *connection,
                          const struct api_versions_response *response) {
    connection->features_epoch = response->finalized_features_epoch;
    connection->transaction_version = 0;
    for (int32_t i = 0; i < response->finalized_features_count; i++) {
        const struct api_versions_response_finalized_feature_key *row =
            &response->finalized_features[i];
        if (str_equal(row->name, STR("transaction.version"))) {
            connection->transaction_version = row->max_version_level;
        }
    }
}

bool client_connection_transaction_version(const struct client_connection *connection,
                                           int64_t *ret_epoch, int16_t *ret_version) {
    if (!connection->versions_known || connection->features_epoch < 0) {
        return false;
    }
    *ret_epoch = connection->features_epoch;
    *ret_version = connection->transaction_version;
    return true;
}

static void on_versions(void *arg, const struct client_response *response) {
    struct client_connection *connection = arg;
    if (connection->state == CLIENT_DEAD) {
        return; /* it died, and its owner is told in another way */
    }
    if (response->err != ERR_OK) {
        client_negotiated(connection, response->err);
        return;
    }
    const struct api_versions_response *message = response->message;
    err_t err = err_from_kafka_code(message->error_code);
    if (err == ERR_OK || err == ERR_UNSUPPORTED_VERSION) {
        keep_versions(connection, message);
        keep_features(connection, message);
    }
    if (err == ERR_UNSUPPORTED_VERSION && !connection->asked_again) {
        connection->asked_again = true;
        int16_t version;
        err = client_connection_version(connection, API_API_VERSIONS, &version);
        err = client_negotiate(connection, err == ERR_OK ? version : 0);
        if (err == ERR_OK) {
            return;
        }
    }
    client_negotiated(connection, err);
}

err_t client_negotiate(struct client_connection *connection, int16_t version) {
    struct api_versions_request request;
    wire_init(&api_versions_request_type, &request);
    if (version >= 3) {
        request.client_software_name = STR("ottla");
        request.client_software_version = STR(OTTLA_VERSION);
    }
    struct client_call *call = client_call_new(connection, CALL_STRUCT, API_API_VERSIONS, version,
                                               on_versions, connection);
    err_t err = client_call_encode(connection, call, &request, (struct bytes){0}, &connection->out);
    if (err != ERR_OK) {
        connection->call_count--;
        client_call_free(call);
        return err;
    }
    client_enqueue(connection, call);
    return ERR_OK;
}

static int16_t higher(int16_t a, int16_t b) {
    return a > b ? a : b;
}

static int16_t lower(int16_t a, int16_t b) {
    return a < b ? a : b;
}

bool client_connection_versions(const struct client_connection *connection, int16_t api_key,
                                int16_t *ret_min, int16_t *ret_max) {
    const struct wire_api *api = wire_api(api_key);
    if (api == NULL || !connection->versions_known) {
        return false;
    }
    const struct wire_versions *theirs = &connection->versions[api_key];
    int16_t low = higher(theirs->low, api->versions.low);
    int16_t high = lower(theirs->high, api->versions.high);
    if (low > high) {
        return false;
    }
    *ret_min = low;
    *ret_max = high;
    return true;
}

err_t client_connection_version(const struct client_connection *connection, int16_t api_key,
                                int16_t *ret_version) {
    const struct wire_api *api = wire_api(api_key);
    if (api == NULL) {
        return ERR_UNSUPPORTED_VERSION;
    }
    struct wire_versions range = api->stable_versions;
    if (connection->versions_known) {
        range.low = higher(range.low, connection->versions[api_key].low);
        range.high = lower(range.high, connection->versions[api_key].high);
    }
    if (range.low > range.high) {
        return ERR_UNSUPPORTED_VERSION;
    }
    *ret_version = range.high;
    return ERR_OK;
}
