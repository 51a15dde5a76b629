/* The table of requests that belong to groups: a row each, and how each of them fails as a whole.
 */
#include "coord/classic.h"
#include "coord/consumer.h"
#include "coord/groups_int.h"
#include "coord/offsets_int.h"
#include "coord/requests_int.h"
#include "wire/api_keys.h"

/* --- whose group decides the shard --- */

static struct str offset_commit_group(const void *request) {
    return ((const struct offset_commit_request *)request)->group_id;
}

static struct str offset_fetch_group(const void *request) {
    return ((const struct offset_fetch_request *)request)->groups[0].group_id;
}

static struct str txn_offset_commit_group(const void *request) {
    return ((const struct txn_offset_commit_request *)request)->group_id;
}

static struct str offset_delete_group(const void *request) {
    return ((const struct offset_delete_request *)request)->group_id;
}

static struct str describe_group(const void *request) {
    return ((const struct describe_groups_request *)request)->groups[0];
}

static struct str delete_group(const void *request) {
    return ((const struct delete_groups_request *)request)->groups_names[0];
}

static struct str join_group(const void *request) {
    return ((const struct join_group_request *)request)->group_id;
}

static struct str sync_group(const void *request) {
    return ((const struct sync_group_request *)request)->group_id;
}

static struct str heartbeat_group(const void *request) {
    return ((const struct heartbeat_request *)request)->group_id;
}

static struct str leave_group(const void *request) {
    return ((const struct leave_group_request *)request)->group_id;
}

static struct str consumer_heartbeat_group(const void *request) {
    return ((const struct consumer_group_heartbeat_request *)request)->group_id;
}

static struct str consumer_describe_group(const void *request) {
    return ((const struct consumer_group_describe_request *)request)->group_ids[0];
}

/* --- failures --- */

static void offset_commit_fail(const struct coord_call *call, int16_t code, void *ret) {
    const struct offset_commit_request *request = call->request;
    struct offset_commit_response *response = ret;
    response->topics =
        ARENA_ARRAY(call->arena, struct offset_commit_response_topic, request->topics_count);
    response->topics_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count; i++) {
        const struct offset_commit_request_topic *topic = &request->topics[i];
        struct offset_commit_response_topic *answer = &response->topics[i];
        answer->name = topic->name;
        answer->topic_id = topic->topic_id;
        answer->partitions = ARENA_ARRAY(call->arena, struct offset_commit_response_partition,
                                         topic->partitions_count);
        answer->partitions_count = topic->partitions_count;
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            answer->partitions[k].partition_index = topic->partitions[k].partition_index;
            answer->partitions[k].error_code = code;
        }
    }
}

/* Consumers before 3.9 do not know COORDINATOR_NOT_AVAILABLE here. */
static void offset_fetch_fail(const struct coord_call *call, int16_t code, void *ret) {
    code = code == ERR_COORDINATOR_NOT_AVAILABLE ? ERR_NOT_COORDINATOR : code;
    const struct offset_fetch_request *request = call->request;
    struct offset_fetch_response *response = ret;
    response->groups =
        ARENA_ARRAY(call->arena, struct offset_fetch_response_group, request->groups_count);
    response->groups_count = request->groups_count;
    for (int32_t i = 0; i < request->groups_count; i++) {
        response->groups[i].group_id = request->groups[i].group_id;
        response->groups[i].error_code = code;
    }
}

static void offset_delete_fail(const struct coord_call *call, int16_t code, void *ret) {
    (void)call;
    ((struct offset_delete_response *)ret)->error_code = code;
}

static void list_fail(const struct coord_call *call, int16_t code, void *ret) {
    (void)call;
    ((struct list_groups_response *)ret)->error_code = code;
}

static void describe_fail(const struct coord_call *call, int16_t code, void *ret) {
    const struct describe_groups_request *request = call->request;
    struct describe_groups_response *response = ret;
    response->groups = ARENA_ARRAY(call->arena, struct describe_groups_response_described_group,
                                   request->groups_count);
    response->groups_count = request->groups_count;
    for (int32_t i = 0; i < request->groups_count; i++) {
        response->groups[i] = (struct describe_groups_response_described_group){
            .error_code = code,
            .group_id = request->groups[i],
            .group_state = STR(""),
            .protocol_type = STR(""),
            .protocol_data = STR(""),
            .authorized_operations = INT32_MIN,
        };
    }
}

static void delete_fail(const struct coord_call *call, int16_t code, void *ret) {
    const struct delete_groups_request *request = call->request;
    struct delete_groups_response *response = ret;
    response->results =
        ARENA_ARRAY(call->arena, struct delete_groups_response_deletable_group_result,
                    request->groups_names_count);
    response->results_count = request->groups_names_count;
    for (int32_t i = 0; i < request->groups_names_count; i++) {
        response->results[i].group_id = request->groups_names[i];
        response->results[i].error_code = code;
    }
}

/* --- what is wrong whatever the group --- */

/* A group without a name may commit, and is deleted like others: old clients had such groups. */
static bool offset_delete_check(const struct coord_call *call, const struct groups *groups,
                                void *response) {
    (void)groups;
    bool good = ((const struct offset_delete_request *)call->request)->group_id.size > 0;
    if (!good) {
        offset_delete_fail(call, ERR_INVALID_GROUP_ID, response);
    }
    return good;
}

/* Java takes an empty string for none here. */
static bool txn_offset_commit_check(const struct coord_call *call, const struct groups *groups,
                                    void *response) {
    (void)groups;
    bool good = ((const struct txn_offset_commit_request *)call->request)->group_id.size > 0;
    if (!good) {
        offsets_fail_commit_in_transaction(call, ERR_INVALID_GROUP_ID, response);
    }
    return good;
}

/* --- the tables --- */

static const struct coord_api apis[] = {
    {API_JOIN_GROUP, &join_group_request_type, &join_group_response_type, join_group,
     classic_check_join, classic_step_join, classic_fail_join, false},
    {API_SYNC_GROUP, &sync_group_request_type, &sync_group_response_type, sync_group,
     classic_check_sync, classic_step_sync, classic_fail_sync, false},
    {API_HEARTBEAT, &heartbeat_request_type, &heartbeat_response_type, heartbeat_group,
     classic_check_heartbeat, classic_step_heartbeat, classic_fail_heartbeat, true},
    {API_LEAVE_GROUP, &leave_group_request_type, &leave_group_response_type, leave_group,
     classic_check_leave, classic_step_leave, classic_fail_leave, false},
    {API_OFFSET_COMMIT, &offset_commit_request_type, &offset_commit_response_type,
     offset_commit_group, NULL, offsets_commit_step, offset_commit_fail, true},
    {API_TXN_OFFSET_COMMIT, &txn_offset_commit_request_type, &txn_offset_commit_response_type,
     txn_offset_commit_group, txn_offset_commit_check, offsets_commit_in_transaction_step,
     offsets_fail_commit_in_transaction, true},
    {API_WRITE_TXN_MARKERS, &write_txn_markers_request_type, &write_txn_markers_response_type, NULL,
     NULL, offsets_end_transaction_step, offsets_fail_end_transaction, true},
    {API_OFFSET_FETCH, &offset_fetch_request_type, &offset_fetch_response_type, offset_fetch_group,
     NULL, offsets_fetch_step, offset_fetch_fail, true},
    {API_OFFSET_DELETE, &offset_delete_request_type, &offset_delete_response_type,
     offset_delete_group, offset_delete_check, offsets_delete_step, offset_delete_fail, true},
    {API_LIST_GROUPS, &list_groups_request_type, &list_groups_response_type, NULL, NULL,
     groups_list_step, list_fail, true},
    {API_DESCRIBE_GROUPS, &describe_groups_request_type, &describe_groups_response_type,
     describe_group, NULL, groups_describe_step, describe_fail, false},
    {API_CONSUMER_GROUP_HEARTBEAT, &consumer_group_heartbeat_request_type,
     &consumer_group_heartbeat_response_type, consumer_heartbeat_group, consumer_check_heartbeat,
     consumer_step_heartbeat, consumer_fail_heartbeat, false},
    {API_CONSUMER_GROUP_DESCRIBE, &consumer_group_describe_request_type,
     &consumer_group_describe_response_type, consumer_describe_group, NULL, consumer_step_describe,
     consumer_fail_describe, false},
    {API_DELETE_GROUPS, &delete_groups_request_type, &delete_groups_response_type, delete_group,
     NULL, groups_delete_step, delete_fail, true},
};

const struct coord_api *coord_api_find(int16_t key) {
    for (size_t i = 0; i < sizeof apis / sizeof apis[0]; i++) {
        if (apis[i].key == key) {
            return &apis[i];
        }
    }
    return NULL;
}

static const coord_image_fn image_fns[] = {offsets_image_changed, consumer_image_changed};

const coord_image_fn *coord_image_fns(size_t *ret_count) {
    *ret_count = sizeof image_fns / sizeof image_fns[0];
    return image_fns;
}
