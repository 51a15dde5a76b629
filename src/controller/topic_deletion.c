/*
 * DeleteTopics: by name or by id, each topic answered once, in the order of the request.
 *
 *   given                                         answer
 *   -------------------------------------------   ----------------------------------------------
 *   neither name nor id; both                     INVALID_REQUEST
 *   a name, or an id, more than once              INVALID_REQUEST, once
 *   an unknown name; an unknown id                UNKNOWN_TOPIC_OR_PARTITION; UNKNOWN_TOPIC_ID
 *   a name, and also the id of the same topic     INVALID_REQUEST for the name, nothing for the id
 *   else                                          deleted
 */
#include <inttypes.h>

#include "controller/controller_int.h"

struct target {
    struct str name; /* null: by id */
    struct uuid id;
    int32_t times; /* given in this request */
};

struct deletion {
    struct controller_call *call;
    struct delete_topics_response *response;
    struct strand_output *output;
    struct target *targets; /* in the order of the request */
    int32_t target_count;
    struct map names; /* struct target */
    struct map ids;   /* struct target */
};

static void answer(struct deletion *deletion, struct str name, struct uuid id,
                   struct api_error error) {
    deletion->response->responses[deletion->response->responses_count++] =
        (struct delete_topics_response_deletable_topic_result){
            .name = name,
            .topic_id = id,
            .error_code = err_kafka_code(error.err),
            .error_message = error.message,
        };
}

static struct api_error invalid(struct deletion *deletion, const char *text) {
    return api_error(deletion->call->arena, ERR_INVALID_REQUEST, "%s", text);
}

static void add_target(struct deletion *deletion, struct str name, struct uuid id) {
    struct target *target = &deletion->targets[deletion->target_count];
    *target = (struct target){.name = name, .id = id, .times = 1};
    struct map *map = name.data != NULL ? &deletion->names : &deletion->ids;
    struct bytes key = name.data != NULL
                           ? str_bytes(name)
                           : (struct bytes){target->id.bytes, sizeof target->id.bytes};
    struct target *before = map_get(map, key);
    if (before != NULL) {
        before->times++;
        return;
    }
    map_put(map, key, target);
    deletion->target_count++;
}

static void read_request(struct deletion *deletion, const struct delete_topics_request *request) {
    for (int32_t i = 0; i < request->topic_names_count; i++) {
        add_target(deletion, request->topic_names[i], UUID_ZERO);
    }
    for (int32_t i = 0; i < request->topics_count; i++) {
        struct str name = request->topics[i].name;
        struct uuid id = request->topics[i].topic_id;
        if (name.data == NULL && uuid_is_zero(id)) {
            answer(deletion, STR_NULL, UUID_ZERO,
                   invalid(deletion, "Neither topic name nor id were specified."));
        } else if (name.data != NULL && !uuid_is_zero(id)) {
            answer(deletion, name, id,
                   invalid(deletion, "You may not specify both topic name and topic id."));
        } else {
            add_target(deletion, name, id);
        }
    }
}

static void delete_topic(struct deletion *deletion, const struct meta_topic *topic) {
    struct controller *controller = deletion->call->controller;
    struct remove_topic_record *record =
        record_add(controller, deletion->output, META_RECORD_REMOVE_TOPIC);
    record->topic_id = topic->id;
    answer(deletion, arena_str(deletion->call->arena, topic->name), topic->id, API_OK);
    text_log_info(controller->options.text_log, "controller", "deleting topic %.*s",
                  STR_ARGS(topic->name));
}

static void take_name(struct deletion *deletion, struct target *target) {
    const struct meta_topic *topic =
        meta_image_topic(deletion->call->controller->image, target->name);
    if (target->times > 1) {
        answer(deletion, target->name, UUID_ZERO, invalid(deletion, "Duplicate topic name."));
    } else if (topic == NULL) {
        answer(deletion, target->name, UUID_ZERO,
               api_error(deletion->call->arena, ERR_UNKNOWN_TOPIC_OR_PARTITION,
                         "This server does not host this topic-partition."));
    } else if (map_get(&deletion->ids, (struct bytes){topic->id.bytes, 16}) != NULL) {
        answer(
            deletion, target->name, topic->id,
            invalid(deletion, "The provided topic name maps to an ID that was already supplied."));
    } else {
        delete_topic(deletion, topic);
    }
}

static void take_id(struct deletion *deletion, struct target *target) {
    const struct meta_topic *topic =
        meta_image_topic_by_id(deletion->call->controller->image, target->id);
    if (target->times > 1) {
        answer(deletion, STR_NULL, target->id, invalid(deletion, "Duplicate topic id."));
    } else if (topic == NULL) {
        answer(deletion, STR_NULL, target->id,
               api_error(deletion->call->arena, ERR_UNKNOWN_TOPIC_ID,
                         "This server does not host this topic ID."));
    } else {
        const struct target *named = map_get(&deletion->names, str_bytes(topic->name));
        if (named == NULL || named->times > 1) {
            delete_topic(deletion, topic);
        }
    }
}

static err_t delete_topics_step(struct controller_call *call, const struct strand_input *input,
                                struct strand_output *output) {
    (void)input;
    const struct delete_topics_request *request = call->request;
    if (!config_bool(call->controller->options.config, CONFIG_DELETE_TOPIC_ENABLE)) {
        if (call->version >= 3) {
            return ERR_TOPIC_DELETION_DISABLED;
        }
        call->error_message = STR("This version does not support topic deletion.");
        return ERR_INVALID_REQUEST;
    }
    size_t count = (size_t)request->topic_names_count + (size_t)request->topics_count;
    struct deletion deletion = {
        .call = call,
        .response = call->response,
        .output = output,
        .targets = ARENA_ARRAY(call->arena, struct target, count + 1),
    };
    deletion.response->responses =
        ARENA_ARRAY(call->arena, struct delete_topics_response_deletable_topic_result, count);
    map_init(&deletion.names);
    map_init(&deletion.ids);
    read_request(&deletion, request);
    for (int32_t i = 0; i < deletion.target_count; i++) {
        if (deletion.targets[i].name.data != NULL) {
            take_name(&deletion, &deletion.targets[i]);
        } else {
            take_id(&deletion, &deletion.targets[i]);
        }
    }
    map_done(&deletion.names);
    map_done(&deletion.ids);
    return ERR_OK;
}

void controller_delete_topics(struct controller *controller, struct controller_call *call,
                              const struct delete_topics_request *request, int16_t version,
                              struct delete_topics_response *response) {
    wire_init(&delete_topics_response_type, response);
    call->version = version;
    controller_call_start(controller, call, delete_topics_step, request, response);
}
