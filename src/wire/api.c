#include "wire/api.h"

#include <string.h>
#include <strings.h>

#include "wire/api_int.h"
#include "wire/messages.h"

const struct wire_api *wire_api(int16_t api_key) {
    if (api_key < 0 || api_key >= API_KEYS_MAX || wire_api_table[api_key].name == NULL) {
        return NULL;
    }
    return &wire_api_table[api_key];
}

const struct wire_api *wire_api_by_name(struct str name) {
    for (int16_t key = 0; key < API_KEYS_MAX; key++) {
        const struct wire_api *api = wire_api(key);
        if (api != NULL && strlen(api->name) == name.size &&
            strncasecmp(api->name, name.data, name.size) == 0) {
            return api;
        }
    }
    return NULL;
}

int16_t wire_request_header_version(int16_t api_key, int16_t api_version) {
    const struct wire_api *api = wire_api(api_key);
    if (api == NULL || api->request == NULL) {
        return -1;
    }
    return wire_versions_have(api->request->flexible, api_version) ? 2 : 1;
}

int16_t wire_response_header_version(int16_t api_key, int16_t api_version) {
    const struct wire_api *api = wire_api(api_key);
    if (api == NULL || api->response == NULL) {
        return -1;
    }
    if (api_key == API_API_VERSIONS) {
        return 0;
    }
    return wire_versions_have(api->response->flexible, api_version) ? 1 : 0;
}

static const struct wire_type *record_type_in(const struct wire_type *const *table, int16_t count,
                                              int16_t record_type) {
    return record_type >= 0 && record_type < count ? table[record_type] : NULL;
}

const struct wire_type *wire_metadata_record(int16_t record_type) {
    return record_type_in(wire_metadata_table, wire_metadata_table_count, record_type);
}

const struct wire_type *wire_coordinator_key(const char *family, int16_t record_type) {
    if (strcmp(family, "group") == 0) {
        return record_type_in(wire_group_key_table, wire_group_key_table_count, record_type);
    }
    if (strcmp(family, "transaction") == 0) {
        return record_type_in(wire_transaction_key_table, wire_transaction_key_table_count,
                              record_type);
    }
    if (strcmp(family, "share") == 0) {
        return record_type_in(wire_share_key_table, wire_share_key_table_count, record_type);
    }
    return NULL;
}

const struct wire_type *wire_coordinator_value(const char *family, int16_t record_type) {
    if (strcmp(family, "group") == 0) {
        return record_type_in(wire_group_value_table, wire_group_value_table_count, record_type);
    }
    if (strcmp(family, "transaction") == 0) {
        return record_type_in(wire_transaction_value_table, wire_transaction_value_table_count,
                              record_type);
    }
    if (strcmp(family, "share") == 0) {
        return record_type_in(wire_share_value_table, wire_share_value_table_count, record_type);
    }
    return NULL;
}
