/*
 * Registration of brokers and controllers.
 *
 * A broker registers at its start, with an incarnation id of its own. The offset at which the batch
 * of its registration begins is its epoch: everything it sends carries it, so that what an earlier
 * incarnation sent late is refused. A new registration is fenced until the broker's heartbeats say
 * that it has read the metadata up to it (heartbeats.c).
 */
#include <inttypes.h>

#include "controller/controller_int.h"

bool broker_is_active(const struct meta_broker *broker) {
    return broker != NULL && !broker->fenced && !broker->in_controlled_shutdown;
}

/* Ids below 100 are reserved; three of them mean something (KIP-858). */
static bool dir_is_reserved(struct uuid dir) {
    for (int i = 0; i < 15; i++) {
        if (dir.bytes[i] != 0) {
            return false;
        }
    }
    return dir.bytes[15] < 100;
}

static bool dir_in(const struct uuid *dirs, int32_t dir_count, struct uuid dir) {
    for (int32_t i = 0; i < dir_count; i++) {
        if (uuid_equal(dirs[i], dir)) {
            return true;
        }
    }
    return false;
}

struct uuid broker_default_dir(const struct meta_image *image, int32_t broker_id) {
    const struct meta_broker *broker = meta_image_broker(image, broker_id);
    if (!metadata_version_has_directories(meta_image_metadata_version(image))) {
        return UUID_ZERO;
    }
    if (broker == NULL) {
        return UUID_ONE;
    }
    if (broker->log_dir_count == 0) {
        return UUID_ZERO;
    }
    return broker->log_dir_count == 1 ? broker->log_dirs[0] : UUID_ONE;
}

static err_t fail(struct controller_call *call, struct api_error error) {
    call->error_message = error.message;
    return error.err;
}

err_t broker_check_epoch(struct controller_call *call, int32_t broker_id, int64_t broker_epoch) {
    const struct meta_broker *broker = meta_image_broker(call->controller->image, broker_id);
    if (broker == NULL) {
        return fail(call,
                    api_error(call->arena, ERR_STALE_BROKER_EPOCH,
                              "No broker registration found for broker id %" PRId32, broker_id));
    }
    if (broker->epoch != broker_epoch) {
        return fail(call,
                    api_error(call->arena, ERR_STALE_BROKER_EPOCH,
                              "Expected broker epoch %" PRId64 ", but got broker epoch %" PRId64,
                              broker->epoch, broker_epoch));
    }
    return ERR_OK;
}

/* --- registration of a broker --- */

static struct api_error check_dirs(const struct controller *controller,
                                   const struct broker_registration_request *request,
                                   struct arena *arena) {
    if (request->log_dirs_count <= 0) {
        return api_error(arena, ERR_INVALID_REGISTRATION, "No directories specified in request");
    }
    for (int32_t i = 0; i < request->log_dirs_count; i++) {
        struct uuid dir = request->log_dirs[i];
        if (dir_is_reserved(dir)) {
            return api_error(arena, ERR_INVALID_REGISTRATION, "Reserved directory ID in request");
        }
        if (dir_in(request->log_dirs, i, dir)) {
            return api_error(arena, ERR_INVALID_REGISTRATION, "Duplicate directory ID in request");
        }
    }
    struct pmap_walk walk;
    const struct meta_broker *broker;
    pmap_for_each(&walk, &controller->image->brokers, broker) {
        for (int32_t i = 0; i < broker->log_dir_count && broker->id != request->broker_id; i++) {
            if (dir_in(request->log_dirs, request->log_dirs_count, broker->log_dirs[i])) {
                char text[UUID_TEXT_SIZE + 1];
                uuid_format(broker->log_dirs[i], text);
                return api_error(arena, ERR_INVALID_REGISTRATION,
                                 "Broker %" PRId32 " is already registered with directory %s",
                                 broker->id, text);
            }
        }
    }
    return API_OK;
}

static struct api_error check_feature(struct arena *arena, struct str name, int16_t finalized,
                                      int16_t min, int16_t max) {
    if (finalized >= min && finalized <= max) {
        return API_OK;
    }
    return api_error(arena, ERR_UNSUPPORTED_VERSION,
                     "Unable to register because the broker does not support finalized version %d "
                     "of %.*s. The broker wants a version between %d and %d, inclusive.",
                     finalized, STR_ARGS(name), min, max);
}

/* Every finalised feature must be within what the broker can do. */
static struct api_error check_features(const struct controller *controller,
                                       const struct broker_registration_request *request,
                                       struct arena *arena) {
    struct map known;
    map_init(&known);
    struct api_error error = API_OK;
    for (int32_t i = 0; i < request->features_count && error.err == ERR_OK; i++) {
        const struct broker_registration_request_feature *feature = &request->features[i];
        map_put(&known, str_bytes(feature->name), (void *)feature);
        error = check_feature(arena, feature->name,
                              meta_image_feature(controller->image, feature->name),
                              feature->min_supported_version, feature->max_supported_version);
    }
    if (error.err == ERR_OK && map_get(&known, str_bytes(STR("metadata.version"))) == NULL) {
        error = api_error(arena, ERR_INVALID_REGISTRATION,
                          "Request features do not contain 'metadata.version'");
    }
    struct pmap_walk walk;
    const struct meta_feature *finalized;
    pmap_for_each(&walk, &controller->image->features, finalized) {
        if (error.err == ERR_OK && map_get(&known, str_bytes(finalized->name)) == NULL) {
            error = check_feature(arena, finalized->name, finalized->level, 0, 0);
        }
    }
    map_done(&known);
    return error;
}

static struct api_error check_registration(struct controller_call *call,
                                           const struct broker_registration_request *request,
                                           const struct meta_broker *existing, int64_t now_ms) {
    struct controller *controller = call->controller;
    struct str cluster_id = controller->options.cluster_id;
    if (!str_equal(request->cluster_id, cluster_id)) {
        return api_error(call->arena, ERR_INCONSISTENT_CLUSTER_ID,
                         "Expected cluster ID %.*s, but got cluster ID %.*s", STR_ARGS(cluster_id),
                         STR_ARGS(request->cluster_id));
    }
    const struct broker_contact *contact = contact_get(controller, request->broker_id);
    if (existing != NULL && !uuid_equal(existing->incarnation_id, request->incarnation_id) &&
        contact != NULL && contact_in_session(controller, contact, now_ms)) {
        return api_error(call->arena, ERR_DUPLICATE_BROKER_REGISTRATION,
                         "Another broker is registered with that broker id. If the broker was "
                         "recently restarted this should self-resolve once the heartbeat manager "
                         "expires the broker's session.");
    }
    if (request->is_migrating_zk_broker) {
        return api_error(call->arena, ERR_BROKER_ID_NOT_REGISTERED,
                         "Controller does not support registering ZK brokers.");
    }
    if (metadata_version_has_directories(meta_image_metadata_version(controller->image))) {
        struct api_error error = check_dirs(controller, request, call->arena);
        if (error.err != ERR_OK) {
            return error;
        }
    }
    return check_features(controller, request, call->arena);
}

static void fill_registration(struct register_broker_record *record,
                              const struct broker_registration_request *request, bool with_dirs,
                              struct arena *arena) {
    record->broker_id = request->broker_id;
    record->incarnation_id = request->incarnation_id;
    record->rack = request->rack;
    record->end_points_count = request->listeners_count;
    record->end_points = ARENA_ARRAY(arena, struct register_broker_record_broker_endpoint,
                                     (size_t)request->listeners_count);
    for (int32_t i = 0; i < request->listeners_count; i++) {
        record->end_points[i] = (struct register_broker_record_broker_endpoint){
            .name = request->listeners[i].name,
            .host = request->listeners[i].host,
            .port = request->listeners[i].port,
            .security_protocol = request->listeners[i].security_protocol,
        };
    }
    record->features_count = request->features_count;
    record->features = ARENA_ARRAY(arena, struct register_broker_record_broker_feature,
                                   (size_t)request->features_count);
    for (int32_t i = 0; i < request->features_count; i++) {
        record->features[i] = (struct register_broker_record_broker_feature){
            .name = request->features[i].name,
            .min_supported_version = request->features[i].min_supported_version,
            .max_supported_version = request->features[i].max_supported_version,
        };
    }
    if (with_dirs) {
        record->log_dirs = request->log_dirs;
        record->log_dirs_count = request->log_dirs_count;
    }
}

/* What the broker's earlier incarnation led or followed: after a shutdown that was not clean it may
 * lack records it had confirmed, so it is no eligible leader any more. */
static void retire_incarnation(struct controller *controller, int32_t broker_id, bool clean,
                               struct strand_output *output) {
    struct leaders_change change = {.of = LEADERS_IN_ISR, .broker_id = broker_id, .add = -1};
    if (!clean && feature_elr_enabled(controller->image)) {
        change.remove = -1;
        change.unclean = broker_id;
        leaders_update(controller, &change, output);
        change.of = LEADERS_IN_ELR;
        leaders_update(controller, &change, output);
    } else {
        change.remove = broker_id;
        change.unclean = -1;
        leaders_update(controller, &change, output);
    }
}

static err_t register_step(struct controller_call *call, const struct strand_input *input,
                           struct strand_output *output) {
    struct controller *controller = call->controller;
    const struct broker_registration_request *request = call->request;
    struct broker_registration_response *response = call->response;
    const struct meta_broker *existing = meta_image_broker(controller->image, request->broker_id);

    struct api_error error = check_registration(call, request, existing, input->mono_ms);
    if (error.err != ERR_OK) {
        return fail(call, error);
    }
    bool amended =
        existing != NULL && uuid_equal(existing->incarnation_id, request->incarnation_id);
    if (!amended) {
        int64_t stored_epoch = existing == NULL ? -2 : existing->epoch;
        retire_incarnation(controller, request->broker_id,
                           request->previous_broker_epoch == stored_epoch, output);
    }
    bool with_dirs =
        metadata_version_has_directories(meta_image_metadata_version(controller->image));
    struct register_broker_record *record =
        record_add(controller, output, META_RECORD_REGISTER_BROKER);
    fill_registration(record, request, with_dirs, output->arena);
    if (amended) {
        record->broker_epoch = existing->epoch;
        record->fenced = existing->fenced;
        record->in_controlled_shutdown = existing->in_controlled_shutdown;
    } else {
        record->broker_epoch = input->next_offset;
    }
    output->splittable = true;
    response->broker_epoch = record->broker_epoch;
    text_log_info(controller->options.text_log, "controller",
                  "registering %s of broker %" PRId32 " with epoch %" PRId64,
                  amended ? "the same incarnation" : "a new incarnation", request->broker_id,
                  record->broker_epoch);
    return ERR_OK;
}

void controller_register_broker(struct controller *controller, struct controller_call *call,
                                const struct broker_registration_request *request,
                                struct broker_registration_response *response) {
    wire_init(&broker_registration_response_type, response);
    controller_call_start(controller, call, register_step, request, response);
}

/* --- the end of a registration --- */

static err_t unregister_step(struct controller_call *call, const struct strand_input *input,
                             struct strand_output *output) {
    (void)input;
    struct controller *controller = call->controller;
    const struct unregister_broker_request *request = call->request;
    const struct meta_broker *broker = meta_image_broker(controller->image, request->broker_id);
    if (broker == NULL) {
        return fail(call, api_error(call->arena, ERR_BROKER_ID_NOT_REGISTERED,
                                    "Broker ID %" PRId32 " is not currently registered",
                                    request->broker_id));
    }
    struct leaders_change change = {.of = LEADERS_IN_ISR,
                                    .broker_id = broker->id,
                                    .remove = broker->id,
                                    .add = -1,
                                    .unclean = -1};
    leaders_update(controller, &change, output);
    change.of = LEADERS_IN_ELR;
    leaders_update(controller, &change, output);
    struct unregister_broker_record *record =
        record_add(controller, output, META_RECORD_UNREGISTER_BROKER);
    record->broker_id = broker->id;
    record->broker_epoch = broker->epoch;
    output->splittable = true;
    text_log_info(controller->options.text_log, "controller",
                  "unregistering broker %" PRId32 ", on request", broker->id);
    return ERR_OK;
}

void controller_unregister_broker(struct controller *controller, struct controller_call *call,
                                  const struct unregister_broker_request *request,
                                  struct unregister_broker_response *response) {
    wire_init(&unregister_broker_response_type, response);
    response->error_message = STR_NULL;
    controller_call_start(controller, call, unregister_step, request, response);
}

/* --- controllers --- */

static err_t register_controller_step(struct controller_call *call,
                                      const struct strand_input *input,
                                      struct strand_output *output) {
    (void)input;
    struct controller *controller = call->controller;
    const struct controller_registration_request *request = call->request;
    int16_t level = meta_image_metadata_version(controller->image);
    if (!metadata_version_has_controller_registration(level)) {
        return fail(call, api_error(call->arena, ERR_UNSUPPORTED_VERSION,
                                    "The current MetadataVersion is too old to support controller "
                                    "registrations."));
    }
    struct register_controller_record *record =
        record_add(controller, output, META_RECORD_REGISTER_CONTROLLER);
    record->controller_id = request->controller_id;
    record->incarnation_id = request->incarnation_id;
    record->end_points_count = request->listeners_count;
    record->end_points =
        ARENA_ARRAY(output->arena, struct register_controller_record_controller_endpoint,
                    (size_t)request->listeners_count);
    for (int32_t i = 0; i < request->listeners_count; i++) {
        record->end_points[i] = (struct register_controller_record_controller_endpoint){
            .name = request->listeners[i].name,
            .host = request->listeners[i].host,
            .port = request->listeners[i].port,
            .security_protocol = request->listeners[i].security_protocol,
        };
    }
    record->features_count = request->features_count;
    record->features =
        ARENA_ARRAY(output->arena, struct register_controller_record_controller_feature,
                    (size_t)request->features_count);
    for (int32_t i = 0; i < request->features_count; i++) {
        record->features[i] = (struct register_controller_record_controller_feature){
            .name = request->features[i].name,
            .min_supported_version = request->features[i].min_supported_version,
            .max_supported_version = request->features[i].max_supported_version,
        };
    }
    return ERR_OK;
}

void controller_register_controller(struct controller *controller, struct controller_call *call,
                                    const struct controller_registration_request *request,
                                    struct controller_registration_response *response) {
    wire_init(&controller_registration_response_type, response);
    response->error_message = STR_NULL;
    controller_call_start(controller, call, register_controller_step, request, response);
}
