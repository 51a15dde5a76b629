/* ConsumerGroupHeartbeat and ConsumerGroupDescribe: groups of KIP-848. */
#include "server/handlers/group_request.h"
#include "server/handlers/handlers.h"
#include "server/handlers/operations.h"
#include "server/node_int.h"

typedef struct consumer_group_describe_response_described_group described_group;

/* The cluster may not have them yet, and a node may not want them. */
static bool is_enabled(const struct request *request) {
    struct str protocols =
        config_str(request->node->settings.config, CONFIG_GROUP_COORDINATOR_REBALANCE_PROTOCOLS);
    return config_list_has(protocols, STR("consumer")) &&
           meta_image_feature(request_image(request), STR("group.version")) >= 1;
}

/* --- ConsumerGroupHeartbeat --- */

void handle_consumer_group_heartbeat(struct request *request) {
    if (is_enabled(request)) {
        group_request_pass(request);
        return;
    }
    struct consumer_group_heartbeat_response response;
    wire_init(&consumer_group_heartbeat_response_type, &response);
    response.error_code = ERR_UNSUPPORTED_VERSION;
    request_respond(request, &response);
}

/* --- ConsumerGroupDescribe --- */

static void refuse(described_group *group, struct str id, int16_t code) {
    *group = (described_group){
        .error_code = code,
        .group_id = id,
        .group_state = STR(""),
        .assignor_name = STR(""),
        .authorized_operations = OPERATIONS_UNKNOWN,
    };
}

static void refuse_all(struct request *request) {
    const struct consumer_group_describe_request *message = request->message;
    struct consumer_group_describe_response response;
    wire_init(&consumer_group_describe_response_type, &response);
    response.groups = ARENA_ARRAY(&request->arena, described_group, message->group_ids_count);
    response.groups_count = message->group_ids_count;
    for (int32_t i = 0; i < message->group_ids_count; i++) {
        refuse(&response.groups[i], message->group_ids[i], ERR_UNSUPPORTED_VERSION);
    }
    request_respond(request, &response);
}

static void described(struct group_fan *fan) {
    const struct consumer_group_describe_request *message = fan->request->message;
    struct consumer_group_describe_response answer;
    wire_init(&consumer_group_describe_response_type, &answer);
    answer.groups = ARENA_ARRAY(&fan->request->arena, described_group, message->group_ids_count);
    answer.groups_count = message->group_ids_count;
    for (int32_t i = 0; i < fan->part_count; i++) {
        const struct group_part *part = &fan->parts[i];
        const struct consumer_group_describe_response *response = part->call.response;
        for (int32_t k = 0; k < part->count; k++) {
            described_group *group = &answer.groups[part->places[k]];
            *group = response->groups[k];
            if (group->group_id.size == 0) {
                refuse(group, group->group_id, ERR_INVALID_GROUP_ID);
            } else if (message->include_authorized_operations && group->error_code == 0) {
                group->authorized_operations = OPERATIONS_OF_GROUP;
            }
        }
    }
    request_respond(fan->request, &answer);
}

void handle_consumer_group_describe(struct request *request) {
    const struct consumer_group_describe_request *message = request->message;
    if (!is_enabled(request)) {
        refuse_all(request);
        return;
    }
    struct group_fan *fan = group_fan_new(request, message->group_ids, message->group_ids_count);
    for (int32_t i = 0; i < fan->part_count; i++) {
        struct group_part *part = &fan->parts[i];
        struct consumer_group_describe_request *pass =
            ARENA_NEW(&request->arena, struct consumer_group_describe_request);
        pass->group_ids = ARENA_ARRAY(&request->arena, struct str, part->count);
        pass->group_ids_count = part->count;
        for (int32_t k = 0; k < part->count; k++) {
            pass->group_ids[k] = message->group_ids[part->places[k]];
        }
        part->message = pass;
    }
    group_fan_send(fan, described);
}
