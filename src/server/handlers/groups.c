/* ListGroups, DescribeGroups and DeleteGroups: asked of all shards that matter, put together here.
 */
#include <string.h>

#include "base/duplicates.h"
#include "server/handlers/group_request.h"
#include "server/handlers/handlers.h"
#include "server/handlers/operations.h"
#include "server/node_int.h"

typedef struct list_groups_response_listed_group listed_group;
typedef struct describe_groups_response_described_group described_group;
typedef struct delete_groups_response_deletable_group_result deleted_group;

/* --- ListGroups --- */

/* A shard that another broker has is no error: the client asks all brokers. */
static err_t list_error(const struct group_fan *fan) {
    for (int32_t i = 0; i < fan->part_count; i++) {
        const struct list_groups_response *response = fan->parts[i].call.response;
        if (response->error_code != 0 && response->error_code != ERR_NOT_COORDINATOR) {
            return err_from_kafka_code(response->error_code);
        }
    }
    return ERR_OK;
}

static void listed(struct group_fan *fan) {
    struct list_groups_response answer;
    wire_init(&list_groups_response_type, &answer);
    answer.error_code = err_kafka_code(list_error(fan));
    size_t count = 0;
    for (int32_t i = 0; i < fan->part_count; i++) {
        const struct list_groups_response *response = fan->parts[i].call.response;
        count += (size_t)response->groups_count;
    }
    answer.groups = ARENA_ARRAY(&fan->request->arena, listed_group, count);
    for (int32_t i = 0; i < fan->part_count && answer.error_code == 0; i++) {
        const struct list_groups_response *response = fan->parts[i].call.response;
        for (int32_t k = 0; k < response->groups_count; k++) {
            answer.groups[answer.groups_count++] = response->groups[k];
        }
    }
    request_respond(fan->request, &answer);
}

void handle_list_groups(struct request *request) {
    const struct list_groups_request *message = request->message;
    struct list_groups_request *pass = ARENA_NEW(&request->arena, struct list_groups_request);
    struct group_fan *fan = group_fan_new_all(request);
    *pass = *message;
    coord_group_filters_prepare(pass);
    for (int32_t i = 0; i < fan->part_count; i++) {
        fan->parts[i].message = pass;
    }
    group_fan_send(fan, listed);
}

/* --- DescribeGroups --- */

static void described(struct group_fan *fan) {
    const struct describe_groups_request *message = fan->request->message;
    struct describe_groups_response answer;
    wire_init(&describe_groups_response_type, &answer);
    answer.groups = ARENA_ARRAY(&fan->request->arena, described_group, message->groups_count);
    answer.groups_count = message->groups_count;
    for (int32_t i = 0; i < fan->part_count; i++) {
        const struct group_part *part = &fan->parts[i];
        const struct describe_groups_response *response = part->call.response;
        for (int32_t k = 0; k < part->count; k++) {
            described_group *group = &answer.groups[part->places[k]];
            *group = response->groups[k];
            if (message->include_authorized_operations && group->error_code == 0) {
                group->authorized_operations = OPERATIONS_OF_GROUP;
            }
        }
    }
    request_respond(fan->request, &answer);
}

void handle_describe_groups(struct request *request) {
    const struct describe_groups_request *message = request->message;
    struct group_fan *fan = group_fan_new(request, message->groups, message->groups_count);
    for (int32_t i = 0; i < fan->part_count; i++) {
        struct group_part *part = &fan->parts[i];
        struct describe_groups_request *pass =
            ARENA_NEW(&request->arena, struct describe_groups_request);
        pass->groups = ARENA_ARRAY(&request->arena, struct str, part->count);
        pass->groups_count = part->count;
        for (int32_t k = 0; k < part->count; k++) {
            pass->groups[k] = message->groups[part->places[k]];
        }
        part->message = pass;
    }
    group_fan_send(fan, described);
}

/* --- DeleteGroups --- */

static void deleted(struct group_fan *fan) {
    struct delete_groups_response answer;
    wire_init(&delete_groups_response_type, &answer);
    const struct delete_groups_request *message = fan->context;
    answer.results = ARENA_ARRAY(&fan->request->arena, deleted_group, message->groups_names_count);
    answer.results_count = message->groups_names_count;
    for (int32_t i = 0; i < fan->part_count; i++) {
        const struct group_part *part = &fan->parts[i];
        const struct delete_groups_response *response = part->call.response;
        for (int32_t k = 0; k < part->count; k++) {
            answer.results[part->places[k]] = response->results[k];
        }
    }
    request_respond(fan->request, &answer);
}

/* Each group once. */
static struct delete_groups_request *distinct(struct request *request) {
    const struct delete_groups_request *message = request->message;
    struct arena *arena = &request->arena;
    int32_t count = message->groups_names_count;
    struct bytes *keys = ARENA_ARRAY(arena, struct bytes, count);
    for (int32_t i = 0; i < count; i++) {
        keys[i] = str_bytes(message->groups_names[i]);
    }
    struct duplicates duplicates;
    duplicates_find(arena, keys, count, &duplicates);
    struct delete_groups_request *once = ARENA_NEW(arena, struct delete_groups_request);
    once->groups_names = ARENA_ARRAY(arena, struct str, count);
    for (int32_t i = 0; i < count; i++) {
        if (!duplicates.again[i]) {
            once->groups_names[once->groups_names_count++] = message->groups_names[i];
        }
    }
    return once;
}

void handle_delete_groups(struct request *request) {
    struct delete_groups_request *message = distinct(request);
    struct group_fan *fan =
        group_fan_new(request, message->groups_names, message->groups_names_count);
    fan->context = message;
    for (int32_t i = 0; i < fan->part_count; i++) {
        struct group_part *part = &fan->parts[i];
        struct delete_groups_request *pass =
            ARENA_NEW(&request->arena, struct delete_groups_request);
        pass->groups_names = ARENA_ARRAY(&request->arena, struct str, part->count);
        pass->groups_names_count = part->count;
        for (int32_t k = 0; k < part->count; k++) {
            pass->groups_names[k] = message->groups_names[part->places[k]];
        }
        part->message = pass;
    }
    group_fan_send(fan, deleted);
}

/* --- members of classic groups: their coordinator knows all about it --- */

void handle_join_group(struct request *request) {
    group_request_pass_long(request);
}

void handle_sync_group(struct request *request) {
    group_request_pass_long(request);
}

void handle_heartbeat(struct request *request) {
    group_request_pass(request);
}

void handle_leave_group(struct request *request) {
    group_request_pass(request);
}
