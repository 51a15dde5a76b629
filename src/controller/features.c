/*
 * UpdateFeatures: the levels of metadata.version and the other features, all of a request or none.
 *
 * A level may rise when this controller and every registered broker and controller support it. It
 * falls only on request, and metadata.version only where no format changed in between. The level of
 * kraft.version is not metadata: it belongs to the quorum, which does not raise it while it runs.
 */
#include <inttypes.h>

#include "controller/controller_int.h"

enum upgrade_type { UPGRADE_UNKNOWN, UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE };

typedef struct update_features_request_feature_update_key feature_update;

struct range {
    int16_t min;
    int16_t max;
};

static struct range supported_here(struct str feature) {
    if (str_equal(feature, STR("metadata.version"))) {
        return (struct range){METADATA_VERSION_MIN, METADATA_VERSION_LATEST};
    }
    const struct meta_feature_info *info = meta_feature_find(feature);
    return info == NULL ? (struct range){0, 0} : (struct range){info->min, info->max};
}

static struct range supported_by(const struct meta_feature_range *features, int32_t count,
                                 struct str feature) {
    for (int32_t i = 0; i < count; i++) {
        if (str_equal(features[i].name, feature)) {
            return (struct range){features[i].min, features[i].max};
        }
    }
    return (struct range){0, 0};
}

static struct api_error invalid_update(struct arena *arena, const feature_update *update,
                                       struct str reason) {
    return api_error(arena, ERR_INVALID_UPDATE_VERSION,
                     "Invalid update version %d for feature %.*s. %.*s", update->max_version_level,
                     STR_ARGS(update->feature), STR_ARGS(reason));
}

/* STR_NULL: supported. */
static struct str unsupported_reason(struct arena *arena, int16_t level, const char *what,
                                     int32_t id, struct range range) {
    if (level >= range.min && level <= range.max) {
        return STR_NULL;
    }
    if (range.max == 0) {
        return arena_printf(arena, "%s %" PRId32 " does not support this feature.", what, id);
    }
    if (range.min == range.max) {
        return arena_printf(arena, "%s %" PRId32 " only supports versions %d", what, id, range.min);
    }
    return arena_printf(arena, "%s %" PRId32 " only supports versions %d-%d", what, id, range.min,
                        range.max);
}

static struct str check_supported(struct controller *controller, const feature_update *update,
                                  struct arena *arena) {
    const struct meta_image *image = controller->image;
    int16_t level = update->max_version_level;
    struct str reason =
        unsupported_reason(arena, level, "Local controller", controller->options.node_id,
                           supported_here(update->feature));
    struct pmap_walk walk;
    const struct meta_broker *broker;
    pmap_for_each(&walk, &image->brokers, broker) {
        if (reason.data == NULL) {
            reason = unsupported_reason(
                arena, level, "Broker", broker->id,
                supported_by(broker->features, broker->feature_count, update->feature));
        }
    }
    const struct meta_controller *other;
    pmap_for_each(&walk, &image->controllers, other) {
        if (reason.data == NULL && other->id != controller->options.node_id) {
            reason = unsupported_reason(
                arena, level, "Controller", other->id,
                supported_by(other->features, other->feature_count, update->feature));
        }
    }
    return reason;
}

/* --- metadata.version --- */

static struct api_error check_metadata_version(struct arena *arena, int16_t current, int16_t next,
                                               int8_t upgrade_type) {
    if (next >= current || !metadata_version_format_differs(next, current)) {
        return API_OK;
    }
    return api_error(arena, ERR_INVALID_UPDATE_VERSION,
                     "Unsupported metadata.version downgrade from %d to %d. %s", current, next,
                     upgrade_type == UNSAFE_DOWNGRADE
                         ? "Unsafe metadata downgrade is not supported in this version."
                         : "Refusing to perform the requested downgrade because it might delete "
                           "metadata information.");
}

/* --- any feature --- */

/* The level that metadata.version would have after the request. */
static int16_t proposed_metadata_version(const struct meta_image *image,
                                         const struct update_features_request *request) {
    int16_t level = meta_image_metadata_version(image);
    for (int32_t i = 0; i < request->feature_updates_count; i++) {
        if (str_equal(request->feature_updates[i].feature, STR("metadata.version"))) {
            level = request->feature_updates[i].max_version_level;
        }
    }
    return level;
}

static struct api_error check_dependency(struct arena *arena, const feature_update *update,
                                         int16_t metadata_version) {
    const struct meta_feature_info *info = meta_feature_find(update->feature);
    int16_t level = update->max_version_level;
    int16_t needed = info == NULL ? 0 : info->needs_metadata_version[level];
    if (needed <= metadata_version) {
        return API_OK;
    }
    return invalid_update(arena, update,
                          arena_printf(arena,
                                       "%.*s could not be set to %d because it depends on "
                                       "metadata.version level %d",
                                       STR_ARGS(update->feature), level, needed));
}

static struct api_error check_kraft_version(struct arena *arena, const feature_update *update) {
    return invalid_update(arena, update,
                          update->upgrade_type == UPGRADE
                              ? STR("This quorum cannot change it while it runs.")
                              : STR("Can't downgrade the version of this feature."));
}

static struct api_error check_direction(struct arena *arena, const feature_update *update,
                                        int16_t current) {
    int16_t next = update->max_version_level;
    if (next < current && update->upgrade_type == UPGRADE) {
        return invalid_update(arena, update,
                              STR("Can't downgrade the version of this feature without setting the "
                                  "upgrade type to either safe or unsafe downgrade."));
    }
    if (next > current && update->upgrade_type != UPGRADE) {
        return invalid_update(arena, update, STR("Can't downgrade to a newer version."));
    }
    return API_OK;
}

static struct api_error update_feature(struct controller_call *call, const feature_update *update,
                                       struct strand_output *output) {
    struct controller *controller = call->controller;
    const struct meta_image *image = controller->image;
    if (update->upgrade_type < UPGRADE || update->upgrade_type > UNSAFE_DOWNGRADE) {
        return invalid_update(call->arena, update,
                              STR("The controller does not support the given upgrade type."));
    }
    if (update->max_version_level < 0) {
        return invalid_update(call->arena, update, STR("A feature version cannot be less than 0."));
    }
    struct str reason = check_supported(controller, update, call->arena);
    if (reason.data != NULL) {
        return invalid_update(call->arena, update, reason);
    }
    bool kraft = str_equal(update->feature, STR("kraft.version"));
    int16_t current =
        kraft ? controller->kraft_version : meta_image_feature(image, update->feature);
    struct api_error error = check_direction(call->arena, update, current);
    if (error.err != ERR_OK) {
        return error;
    }
    if (kraft) {
        return update->max_version_level == current ? API_OK
                                                    : check_kraft_version(call->arena, update);
    }
    if (str_equal(update->feature, STR("metadata.version"))) {
        error = check_metadata_version(call->arena, current, update->max_version_level,
                                       update->upgrade_type);
    } else {
        error =
            check_dependency(call->arena, update, proposed_metadata_version(image, call->request));
    }
    if (error.err != ERR_OK) {
        return error;
    }
    struct feature_level_record *record = record_add(controller, output, META_RECORD_FEATURE_LEVEL);
    record->name = update->feature;
    record->feature_level = update->max_version_level;
    return API_OK;
}

/* --- UpdateFeatures --- */

static bool enables_elr(const struct update_features_request *request) {
    for (int32_t i = 0; i < request->feature_updates_count; i++) {
        const feature_update *update = &request->feature_updates[i];
        if (str_equal(update->feature, STR("eligible.leader.replicas.version")) &&
            update->max_version_level > 0) {
            return true;
        }
    }
    return false;
}

static void answer_success(struct controller_call *call) {
    const struct update_features_request *request = call->request;
    struct update_features_response *response = call->response;
    if (call->version > 1) {
        return;
    }
    response->results_count = request->feature_updates_count;
    response->results =
        ARENA_ARRAY(call->arena, struct update_features_response_updatable_feature_result,
                    (size_t)request->feature_updates_count);
    for (int32_t i = 0; i < request->feature_updates_count; i++) {
        response->results[i].feature = request->feature_updates[i].feature;
        response->results[i].error_message = STR("NONE"); /* sic */
    }
}

static err_t update_features_step(struct controller_call *call, const struct strand_input *input,
                                  struct strand_output *output) {
    (void)input;
    struct controller *controller = call->controller;
    const struct update_features_request *request = call->request;
    struct update_features_response *response = call->response;
    if (enables_elr(request)) {
        configs_add_elr_safety(controller, output);
    }
    for (int32_t i = 0; i < request->feature_updates_count; i++) {
        const feature_update *update = &request->feature_updates[i];
        struct api_error error = update_feature(call, update, output);
        if (error.err != ERR_OK) {
            output->record_count = 0;
            response->error_code = err_kafka_code(error.err);
            response->error_message = arena_printf(
                call->arena,
                "The update failed for all features since the following feature had an error: %.*s",
                STR_ARGS(error.message));
            return ERR_OK;
        }
    }
    if (request->validate_only) {
        output->record_count = 0;
    }
    for (int32_t i = 0; i < request->feature_updates_count && !request->validate_only; i++) {
        text_log_info(controller->options.text_log, "controller",
                      "setting feature %.*s to level %d",
                      STR_ARGS(request->feature_updates[i].feature),
                      request->feature_updates[i].max_version_level);
    }
    answer_success(call);
    return ERR_OK;
}

void controller_update_features(struct controller *controller, struct controller_call *call,
                                const struct update_features_request *request, int16_t version,
                                struct update_features_response *response) {
    wire_init(&update_features_response_type, response);
    response->error_message = STR_NULL;
    call->version = version;
    controller_call_start(controller, call, update_features_step, request, response);
}
