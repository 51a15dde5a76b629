/* ApiVersions (KIP-35, KIP-511, KIP-584): what this listener answers, and the features. */
#include "meta/record.h"
#include "server/dispatch.h"
#include "server/handlers/handlers.h"
#include "server/node_int.h"

typedef struct api_versions_response_api_version api_version;
typedef struct api_versions_response_supported_feature_key supported_feature;
typedef struct api_versions_response_finalized_feature_key finalized_feature;

static void list_apis(struct request *request, struct api_versions_response *response) {
    size_t count;
    const struct api_row *rows = api_rows(&count);
    bool controller = request_on_controller(request);
    response->api_keys = ARENA_ARRAY(&request->arena, api_version, count);
    for (size_t i = 0; i < count; i++) {
        if (api_row_find(rows[i].key, controller) != NULL) {
            struct wire_versions versions = api_row_versions(&rows[i], controller);
            response->api_keys[response->api_keys_count++] = (api_version){
                .api_key = rows[i].key,
                .min_version = versions.low,
                .max_version = versions.high,
            };
        }
    }
}

/* A client of a version that cannot read a range from 0 gets the range from 1 (Kafka does so for
 * ApiVersions below 4). */
static void add_supported(struct api_versions_response *response, struct str name, int16_t min,
                          int16_t max, int16_t version) {
    if (min == 0 && version < 4) {
        return;
    }
    response->supported_features[response->supported_features_count++] =
        (supported_feature){.name = name, .min_version = min, .max_version = max};
}

static void add_finalized(struct api_versions_response *response, struct str name, int16_t level) {
    if (level > 0) {
        response->finalized_features[response->finalized_features_count++] = (finalized_feature){
            .name = name, .min_version_level = level, .max_version_level = level};
    }
}

static void list_features(struct request *request, struct api_versions_response *response) {
    const struct meta_image *image = request_image(request);
    size_t count;
    const struct meta_feature_info *features = meta_features(&count);
    response->supported_features = ARENA_ARRAY(&request->arena, supported_feature, count + 1);
    response->finalized_features = ARENA_ARRAY(&request->arena, finalized_feature, count + 1);

    add_supported(response, STR("metadata.version"), METADATA_VERSION_MIN, METADATA_VERSION_LATEST,
                  request->version);
    for (size_t i = 0; i < count; i++) {
        add_supported(response, str_from_c(features[i].name), features[i].min, features[i].max,
                      request->version);
    }
    struct pmap_walk walk;
    const struct meta_feature *feature;
    pmap_for_each(&walk, &image->features, feature) {
        add_finalized(response, feature->name, feature->level);
    }
    add_finalized(response, STR("kraft.version"), atomic_load(&request->node->kraft_version));
    response->finalized_features_epoch = image->provenance.offset;
}

/* KIP-511: a version we do not have is answered in version 0, with what we do have of this API. */
static void respond_unsupported(struct request *request) {
    bool controller = request_on_controller(request);
    struct wire_versions versions = api_row_versions(request->row, controller);
    api_version own = {
        .api_key = API_API_VERSIONS, .min_version = versions.low, .max_version = versions.high};
    struct api_versions_response response;
    wire_init(&api_versions_response_type, &response);
    response.error_code = ERR_UNSUPPORTED_VERSION;
    response.api_keys = &own;
    response.api_keys_count = 1;
    request->version = 0;
    request_respond(request, &response);
}

/* A name or version of client software may hold letters, digits, dots and dashes only. */
static bool software_text_valid(struct str text) {
    if (text.size == 0) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool inner = c == '.' || c == '-';
        if (!alphanumeric && !(inner && i > 0 && i + 1 < text.size)) {
            return false;
        }
    }
    return true;
}

void handle_api_versions(struct request *request) {
    const struct api_versions_request *message = request->message;
    if (message == NULL) {
        respond_unsupported(request);
        return;
    }
    struct api_versions_response response;
    wire_init(&api_versions_response_type, &response);
    if (request->version >= 3 && (!software_text_valid(message->client_software_name) ||
                                  !software_text_valid(message->client_software_version))) {
        response.error_code = ERR_INVALID_REQUEST;
        request_respond(request, &response);
        return;
    }
    list_apis(request, &response);
    if (request->version >= 3) {
        list_features(request, &response);
    }
    request_respond(request, &response);
}
