/*
 * Requests of the classic protocol before they reach a group: what concerns no group is checked;
 * then the group's ops go on. A consumer group serves its classic members itself.
 *
 * Where there is no group, or one with offsets only, a member that joins without an id begins a
 * classic group; who has an id already is unknown.
 */
#include "base/rng.h"
#include "coord/classic_int.h"

/* Of JoinGroup: since then the protocol's name may be null. */
enum { VERSION_PROTOCOL_NAME_NULL = 7 };

/* Of SyncGroup: since then protocol type and name must be there. */
enum { VERSION_PROTOCOL_REQUIRED = 5 };

/* Of LeaveGroup: since then there may be several members, each with an error of its own. */
enum { VERSION_SEVERAL_LEAVE = 3 };

/* --- JoinGroup --- */

struct str classic_make_member_id(struct group_step *step, struct str instance_id) {
    struct str prefix = instance_id.data != NULL ? instance_id : step->call->client_id;
    uint8_t u[16];
    rng_bytes(step->random, u, sizeof u);
    u[6] = (uint8_t)((u[6] & 0x0f) | 0x40); /* version 4 */
    u[8] = (uint8_t)((u[8] & 0x3f) | 0x80); /* variant 1 */
    return arena_printf(step->arena,
                        "%.*s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                        STR_ARGS(prefix), u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8],
                        u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

void classic_refuse_join(struct join_group_response *response, int16_t version, err_t err,
                         struct str member_id) {
    response->error_code = err_kafka_code(err);
    response->protocol_name = version >= VERSION_PROTOCOL_NAME_NULL ? STR_NULL : STR("");
    response->member_id = member_id;
}

void classic_fail_join(const struct coord_call *call, int16_t code, void *response) {
    classic_refuse_join(response, call->version, err_from_kafka_code(code), STR(""));
}

bool classic_check_join(const struct coord_call *call, const struct groups *groups,
                        void *response) {
    const struct join_group_request *request = call->request;
    int32_t timeout_ms = request->session_timeout_ms;
    err_t err = ERR_OK;
    if (request->group_id.size == 0) {
        err = ERR_INVALID_GROUP_ID;
    } else if (timeout_ms < config_int(groups->config, CONFIG_GROUP_MIN_SESSION_TIMEOUT_MS) ||
               timeout_ms > config_int(groups->config, CONFIG_GROUP_MAX_SESSION_TIMEOUT_MS)) {
        err = ERR_INVALID_SESSION_TIMEOUT;
    }
    if (err != ERR_OK) {
        classic_refuse_join(response, call->version, err, request->member_id);
    }
    return err == ERR_OK;
}

err_t classic_step_join(struct group_step *step) {
    const struct join_group_request *request = step->request;
    struct group *group = groups_find(step->groups, request->group_id);
    if (group == NULL || group->type == GROUP_SIMPLE) {
        return classic_join_first(step, group);
    }
    return group->ops->join(step, group);
}

/* --- SyncGroup --- */

void classic_fail_sync(const struct coord_call *call, int16_t code, void *response) {
    (void)call;
    ((struct sync_group_response *)response)->error_code = code;
}

/* NULL: nobody can be a member there. */
static struct group *group_with_members(const struct group_step *step, struct str id) {
    struct group *group = groups_find(step->groups, id);
    return group == NULL || group->type == GROUP_SIMPLE ? NULL : group;
}

bool classic_check_sync(const struct coord_call *call, const struct groups *groups,
                        void *response) {
    (void)groups;
    const struct sync_group_request *request = call->request;
    err_t err = ERR_OK;
    if (call->version >= VERSION_PROTOCOL_REQUIRED &&
        (request->protocol_type.data == NULL || request->protocol_name.data == NULL)) {
        err = ERR_INCONSISTENT_GROUP_PROTOCOL;
    } else if (request->group_id.size == 0) {
        err = ERR_INVALID_GROUP_ID;
    }
    if (err != ERR_OK) {
        classic_fail_sync(call, err_kafka_code(err), response);
    }
    return err == ERR_OK;
}

err_t classic_step_sync(struct group_step *step) {
    const struct sync_group_request *request = step->request;
    struct group *group = group_with_members(step, request->group_id);
    if (group == NULL) {
        classic_fail_sync(step->call, ERR_UNKNOWN_MEMBER_ID, step->response);
        return ERR_OK;
    }
    return group->ops->sync(step, group);
}

/* --- Heartbeat --- */

/* While the group is being loaded a member is not sent away. */
void classic_fail_heartbeat(const struct coord_call *call, int16_t code, void *response) {
    (void)call;
    ((struct heartbeat_response *)response)->error_code =
        code == ERR_COORDINATOR_LOAD_IN_PROGRESS ? ERR_OK : code;
}

bool classic_check_heartbeat(const struct coord_call *call, const struct groups *groups,
                             void *response) {
    (void)groups;
    bool good = ((const struct heartbeat_request *)call->request)->group_id.size > 0;
    if (!good) {
        classic_fail_heartbeat(call, ERR_INVALID_GROUP_ID, response);
    }
    return good;
}

err_t classic_step_heartbeat(struct group_step *step) {
    const struct heartbeat_request *request = step->request;
    struct heartbeat_response *response = step->response;
    struct group *group = group_with_members(step, request->group_id);
    if (group == NULL) {
        response->error_code = ERR_UNKNOWN_MEMBER_ID;
        return ERR_OK;
    }
    return group->ops->heartbeat(step, group);
}

/* --- LeaveGroup --- */

void classic_fail_leave(const struct coord_call *call, int16_t code, void *response) {
    (void)call;
    ((struct leave_group_response *)response)->error_code = code;
}

static err_t leave_no_group(struct group_step *step, const struct leave_group_request *request) {
    struct leave_group_response *response = step->response;
    response->members = ARENA_ARRAY(step->arena, struct leave_group_response_member_response,
                                    request->members_count);
    response->members_count = request->members_count;
    for (int32_t i = 0; i < request->members_count; i++) {
        response->members[i] = (struct leave_group_response_member_response){
            .member_id = request->members[i].member_id,
            .group_instance_id = request->members[i].group_instance_id,
            .error_code = ERR_UNKNOWN_MEMBER_ID,
        };
    }
    return ERR_OK;
}

static err_t leave(struct group_step *step, const struct leave_group_request *request) {
    struct group *group = group_with_members(step, request->group_id);
    return group == NULL ? leave_no_group(step, request) : group->ops->leave(step, group);
}

/* Versions in which one member leaves, whose error is the answer's. */
static err_t leave_alone(struct group_step *step) {
    const struct leave_group_request *request = step->request;
    struct leave_group_response *response = step->response;
    struct leave_group_request_member_identity *member =
        ARENA_NEW(step->arena, struct leave_group_request_member_identity);
    *member = (struct leave_group_request_member_identity){.member_id = request->member_id};
    struct leave_group_request *with_list = ARENA_NEW(step->arena, struct leave_group_request);
    *with_list = *request;
    with_list->members = member;
    with_list->members_count = 1;
    step->request = with_list;
    err_t err = leave(step, with_list);
    if (err == ERR_OK && response->members_count == 1) {
        response->error_code = response->members[0].error_code;
        response->members_count = 0;
    }
    return err;
}

bool classic_check_leave(const struct coord_call *call, const struct groups *groups,
                         void *response) {
    (void)groups;
    bool good = ((const struct leave_group_request *)call->request)->group_id.size > 0;
    if (!good) {
        classic_fail_leave(call, ERR_INVALID_GROUP_ID, response);
    }
    return good;
}

err_t classic_step_leave(struct group_step *step) {
    const struct leave_group_request *request = step->request;
    return step->call->version < VERSION_SEVERAL_LEAVE ? leave_alone(step) : leave(step, request);
}
