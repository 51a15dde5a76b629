/*
 *   state        heartbeat asks for     left when
 *   ----------   --------------------   ------------------------------------------------
 *   UNKNOWN      -                      the controller registered us
 *   FENCED       to stay fenced         broker_unfence: the logs are open
 *   STARTING     to be unfenced         the controller answers that we are not fenced
 *   RUNNING      to be unfenced         broker_shut_down
 *   LEAVING      to shut down           the controller answers that we may, or LEAVE_MS is over
 *   GONE         -
 *
 * One call is under way at a time; a change of what is asked for sends the next heartbeat at once.
 * A shutdown waits for the call that is under way, whose answer does not count any more.
 */
#include "server/broker.h"

#include <stdlib.h>

#include "server/node_int.h"

enum { LEAVE_MS = 5000, CALL_MS = 30 * 1000, HURRY_MS = 1, RETRY_MS = 50 };

enum broker_state {
    BROKER_UNKNOWN,
    BROKER_FENCED,
    BROKER_STARTING,
    BROKER_RUNNING,
    BROKER_LEAVING,
    BROKER_GONE,
};

struct broker {
    struct node *node;
    enum broker_state state;
    int64_t epoch;
    struct uuid incarnation_id;

    struct arena arena;
    struct controller_call call;
    bool calling;
    bool hurry; /* something is to be told before the next heartbeat's time */
    union {
        struct controller_registration_request controller;
        struct broker_registration_request registration;
        struct broker_heartbeat_request heartbeat;
    } request;
    union {
        struct controller_registration_response controller;
        struct broker_registration_response registration;
        struct broker_heartbeat_response heartbeat;
    } response;

    struct sys_timer heartbeat_timer;
    struct sys_timer leave_timer;
    void (*registered)(struct node *node, err_t err, const char *text);
    void (*unfenced)(struct node *node);
    void (*released)(struct node *node);
};

static struct uuid random_uuid(struct sys *sys) {
    struct uuid id;
    uint8_t random[16];
    do {
        sys_random(sys, random, sizeof random);
    } while (!uuid_from_random(random, &id));
    return id;
}

struct broker *broker_new(struct node *node) {
    struct broker *broker = calloc(1, sizeof *broker);
    broker->node = node;
    broker->epoch = -1;
    broker->incarnation_id = random_uuid(node->sys);
    arena_init(&broker->arena, SIZE_MAX);
    return broker;
}

void broker_free(struct broker *broker) {
    if (broker == NULL) {
        return;
    }
    sys_timer_clear(broker->node->loops[0], &broker->heartbeat_timer);
    sys_timer_clear(broker->node->loops[0], &broker->leave_timer);
    arena_done(&broker->arena);
    free(broker);
}

int64_t broker_epoch(const struct broker *broker) {
    return broker->epoch;
}

/* The call struct, ready for the next operation. */
static struct controller_call *start_call(struct broker *broker,
                                          void (*done)(struct controller_call *call, err_t err)) {
    arena_reset(&broker->arena);
    broker->calling = true;
    broker->call = (struct controller_call){
        .arena = &broker->arena,
        .deadline_ms = sys_mono_ms(broker->node->sys) + CALL_MS,
        .principal = STR("User:ANONYMOUS"),
        .done = done,
    };
    return &broker->call;
}

/* --- heartbeats --- */

static void beat(struct broker *broker);

static void beat_later(struct broker *broker, int64_t after_ms) {
    sys_timer_set(broker->node->loops[0], &broker->heartbeat_timer,
                  sys_mono_ms(broker->node->sys) + after_ms);
}

static void release(struct broker *broker) {
    struct node *node = broker->node;
    broker->state = BROKER_GONE;
    sys_timer_clear(node->loops[0], &broker->heartbeat_timer);
    sys_timer_clear(node->loops[0], &broker->leave_timer);
    if (broker->released != NULL && !broker->calling) {
        void (*released)(struct node * node) = broker->released;
        broker->released = NULL;
        released(node);
    }
}

/* A call came to its end. False: we are gone, and that was what the shutdown waited for. */
static bool end_call(struct broker *broker) {
    broker->calling = false;
    if (broker->state == BROKER_GONE) {
        release(broker);
        return false;
    }
    return true;
}

static void take_heartbeat(struct broker *broker) {
    const struct broker_heartbeat_response *response = &broker->response.heartbeat;
    atomic_store(&broker->node->fenced, response->is_fenced);
    if (broker->state == BROKER_STARTING && !response->is_fenced) {
        broker->state = BROKER_RUNNING;
        if (broker->unfenced != NULL) {
            void (*unfenced)(struct node * node) = broker->unfenced;
            broker->unfenced = NULL;
            unfenced(broker->node);
        }
    } else if (broker->state == BROKER_LEAVING && response->should_shut_down) {
        release(broker);
    }
}

static void heartbeat_done(struct controller_call *call, err_t err) {
    struct broker *broker = container_of(call, struct broker, call);
    if (!end_call(broker)) {
        return;
    }
    bool fine = err == ERR_OK && broker->response.heartbeat.error_code == 0;
    if (fine) {
        take_heartbeat(broker);
    } else {
        err_t why =
            err != ERR_OK ? err : err_from_kafka_code(broker->response.heartbeat.error_code);
        text_log_warn(broker->node->text_log, "broker",
                      "The controller did not take the heartbeat (%s); trying again",
                      err_name(why));
    }
    if (broker->state == BROKER_GONE) {
        return;
    }
    int64_t interval_ms = config_int(broker->node->config, CONFIG_BROKER_HEARTBEAT_INTERVAL_MS);
    bool hurry =
        broker->state == BROKER_STARTING || broker->state == BROKER_LEAVING || broker->hurry;
    beat_later(broker, !hurry ? interval_ms : fine ? HURRY_MS : RETRY_MS);
}

/* The directories that failed since they were registered. If the one with the metadata log did,
 * nobody could write that down, and the quorum ends the node. */
static void fill_failed(struct broker *broker, struct broker_heartbeat_request *request) {
    struct node *node = broker->node;
    request->offline_log_dirs =
        ARENA_ARRAY(&broker->arena, struct uuid, (size_t)node->data_volume_count);
    for (int i = 0; i < node->data_volume_count; i++) {
        const struct volume *volume = node->volumes[i];
        if (volume != node->metadata_volume && log_directory_state(volume->directory) != ERR_OK) {
            request->offline_log_dirs[request->offline_log_dirs_count++] = volume->id;
        }
    }
}

static void beat(struct broker *broker) {
    if (broker->calling || broker->state < BROKER_FENCED || broker->state == BROKER_GONE) {
        return;
    }
    struct node *node = broker->node;
    struct controller_call *call = start_call(broker, heartbeat_done);
    struct broker_heartbeat_request *request = &broker->request.heartbeat;
    wire_init(&broker_heartbeat_request_type, request);
    wire_init(&broker_heartbeat_response_type, &broker->response.heartbeat);
    request->broker_id = node->node_id;
    request->broker_epoch = broker->epoch;
    request->current_metadata_offset = node->image->provenance.offset;
    request->want_fence = broker->state == BROKER_FENCED;
    request->want_shut_down = broker->state == BROKER_LEAVING;
    request->cordoned_log_dirs_count = 0; /* none, rather than null: not known */
    broker->hurry = false;
    fill_failed(broker, request);
    controller_heartbeat(node->controller, call, request, &broker->response.heartbeat);
}

static void beat_now(struct sys_timer *timer) {
    beat(container_of(timer, struct broker, heartbeat_timer));
}

static void leave_now(struct sys_timer *timer) {
    struct broker *broker = container_of(timer, struct broker, leave_timer);
    text_log_warn(broker->node->text_log, "broker",
                  "The controller did not agree to the shutdown in time; stopping all the same");
    release(broker);
}

/* --- registration --- */

static void registration_done(struct controller_call *call, err_t err) {
    struct broker *broker = container_of(call, struct broker, call);
    struct node *node = broker->node;
    if (!end_call(broker)) {
        return;
    }
    if (err == ERR_OK) {
        err = err_from_kafka_code(broker->response.registration.error_code);
    }
    if (err != ERR_OK) {
        broker->registered(node, err, "the controller refused to register this broker");
        return;
    }
    broker->epoch = broker->response.registration.broker_epoch;
    broker->state = BROKER_FENCED;
    broker->heartbeat_timer.fire = beat_now;
    broker->leave_timer.fire = leave_now;
    beat(broker);
    broker->registered(node, ERR_OK, NULL);
}

static int16_t protocol_number(const struct listener *listener) {
    (void)listener;
    return 0; /* PLAINTEXT; the settings refuse the others */
}

static void fill_listeners(struct broker *broker, struct broker_registration_request *request) {
    struct node *node = broker->node;
    request->listeners = ARENA_ARRAY(&broker->arena, struct broker_registration_request_listener,
                                     node->listener_count);
    for (int i = 0; i < node->listener_count; i++) {
        const struct listener *listener = &node->listeners[i];
        if (listener->advertised) {
            request->listeners[request->listeners_count++] =
                (struct broker_registration_request_listener){.name = listener->name,
                                                              .host = listener->advertised_host,
                                                              .port = listener->advertised_port,
                                                              .security_protocol =
                                                                  protocol_number(listener)};
        }
    }
}

static void fill_features(struct broker *broker, struct broker_registration_request *request) {
    size_t count;
    const struct meta_feature_info *features = meta_features(&count);
    request->features =
        ARENA_ARRAY(&broker->arena, struct broker_registration_request_feature, count + 1);
    request->features[request->features_count++] = (struct broker_registration_request_feature){
        .name = STR("metadata.version"),
        .min_supported_version = METADATA_VERSION_MIN,
        .max_supported_version = METADATA_VERSION_LATEST};
    for (size_t i = 0; i < count; i++) {
        request->features[request->features_count++] =
            (struct broker_registration_request_feature){.name = str_from_c(features[i].name),
                                                         .min_supported_version = features[i].min,
                                                         .max_supported_version = features[i].max};
    }
}

static int64_t clean_shutdown_epoch(const struct node *node) {
    int64_t epoch = -1;
    if (node->lost_dir_count > 0) {
        return -1; /* what is in the others is not all */
    }
    for (int i = 0; i < node->volume_count; i++) {
        int64_t found = -1;
        if (!log_directory_was_clean(node->volumes[i]->directory, &found)) {
            return -1;
        }
        if (i > 0 && found != epoch) {
            return -1;
        }
        epoch = found;
    }
    return epoch;
}

static void register_broker(struct broker *broker) {
    struct node *node = broker->node;
    struct controller_call *call = start_call(broker, registration_done);
    struct broker_registration_request *request = &broker->request.registration;
    wire_init(&broker_registration_request_type, request);
    wire_init(&broker_registration_response_type, &broker->response.registration);
    request->broker_id = node->node_id;
    request->cluster_id = str_from_c(node->cluster_id);
    request->incarnation_id = broker->incarnation_id;
    request->rack = config_str(node->config, CONFIG_BROKER_RACK);
    request->previous_broker_epoch = clean_shutdown_epoch(node);
    fill_listeners(broker, request);
    fill_features(broker, request);
    request->log_dirs = ARENA_ARRAY(&broker->arena, struct uuid, node->data_volume_count);
    request->log_dirs_count = node->data_volume_count;
    for (int i = 0; i < node->data_volume_count; i++) {
        request->log_dirs[i] = node->volumes[i]->id;
    }
    controller_register_broker(node->controller, call, request, &broker->response.registration);
}

/* --- the controller half --- */

static void controller_registered(struct controller_call *call, err_t err) {
    struct broker *broker = container_of(call, struct broker, call);
    if (!end_call(broker)) {
        return;
    }
    if (err == ERR_OK) {
        err = err_from_kafka_code(broker->response.controller.error_code);
    }
    if (err != ERR_OK) {
        broker->registered(broker->node, err, "the controller could not be registered");
        return;
    }
    register_broker(broker);
}

static void fill_controller(struct broker *broker,
                            struct controller_registration_request *request) {
    struct node *node = broker->node;
    request->listeners = ARENA_ARRAY(
        &broker->arena, struct controller_registration_request_listener, node->listener_count);
    for (int i = 0; i < node->listener_count; i++) {
        const struct listener *listener = &node->listeners[i];
        if (listener->controller) {
            request->listeners[request->listeners_count++] =
                (struct controller_registration_request_listener){.name = listener->name,
                                                                  .host = listener->advertised_host,
                                                                  .port = listener->advertised_port,
                                                                  .security_protocol =
                                                                      protocol_number(listener)};
        }
    }
    size_t count;
    const struct meta_feature_info *features = meta_features(&count);
    request->features =
        ARENA_ARRAY(&broker->arena, struct controller_registration_request_feature, count + 1);
    request->features[request->features_count++] = (struct controller_registration_request_feature){
        .name = STR("metadata.version"),
        .min_supported_version = METADATA_VERSION_MIN,
        .max_supported_version = METADATA_VERSION_LATEST};
    for (size_t i = 0; i < count; i++) {
        request->features[request->features_count++] =
            (struct controller_registration_request_feature){
                .name = str_from_c(features[i].name),
                .min_supported_version = features[i].min,
                .max_supported_version = features[i].max};
    }
}

void broker_register(struct broker *broker,
                     void (*registered)(struct node *node, err_t err, const char *text)) {
    struct node *node = broker->node;
    broker->registered = registered;
    /* The controller's image, for the records it begins an empty log with may not be committed. */
    int16_t level = meta_image_metadata_version(controller_image(node->controller));
    if (!metadata_version_has_controller_registration(level)) {
        register_broker(broker);
        return;
    }
    struct controller_call *call = start_call(broker, controller_registered);
    struct controller_registration_request *request = &broker->request.controller;
    wire_init(&controller_registration_request_type, request);
    wire_init(&controller_registration_response_type, &broker->response.controller);
    request->controller_id = node->node_id;
    request->incarnation_id = broker->incarnation_id;
    fill_controller(broker, request);
    controller_register_controller(node->controller, call, request, &broker->response.controller);
}

void broker_unfence(struct broker *broker, void (*unfenced)(struct node *node)) {
    broker->unfenced = unfenced;
    broker->state = BROKER_STARTING;
    beat(broker);
}

void broker_tell_failure(struct broker *broker) {
    broker->hurry = true;
    beat(broker);
}

void broker_shut_down(struct broker *broker, void (*released)(struct node *node)) {
    broker->released = released;
    if (broker->state != BROKER_RUNNING) {
        release(broker);
        return;
    }
    broker->state = BROKER_LEAVING;
    sys_timer_set(broker->node->loops[0], &broker->leave_timer,
                  sys_mono_ms(broker->node->sys) + LEAVE_MS);
    beat(broker);
}
