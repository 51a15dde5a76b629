/*
 * AssignReplicasToDirs (KIP-858): a broker with several log directories says where it keeps its
 * replicas. While nobody knows, the directory stands as UNASSIGNED in the partition's record; once
 * it is known, a failed directory takes away the leadership of what lies in it, and of nothing
 * else.
 *
 * A directory that is not among those of the registration has failed: its replicas leave the ISR,
 * in a record of their own behind that of the assignment, as if the failure had come later.
 */
#include "controller/controller_int.h"

typedef struct assign_replicas_to_dirs_request_directory_data directory_request;
typedef struct assign_replicas_to_dirs_request_topic_data topic_request;
typedef struct assign_replicas_to_dirs_response_directory_data directory_answer;
typedef struct assign_replicas_to_dirs_response_topic_data topic_answer;
typedef struct assign_replicas_to_dirs_response_partition_data partition_answer;

struct assigning {
    struct controller_call *call;
    struct strand_output *output;
    struct directory_change change;
    bool failures; /* this time around: what follows from failed directories */
};

static bool has_replica(const struct meta_partition *partition, int32_t broker_id) {
    return partition != NULL && meta_partition_has_replica(partition, broker_id);
}

/* The records of one topic in one directory. */
static void add_records(struct assigning *assigning, const topic_request *request) {
    struct controller *controller = assigning->call->controller;
    const struct meta_topic *topic = meta_image_topic_by_id(controller->image, request->topic_id);
    if (topic == NULL || request->partitions_count == 0) {
        return;
    }
    struct leaders_change cause = {.of = LEADERS_IN_DIRECTORY,
                                   .broker_id = assigning->change.broker_id,
                                   .directory = assigning->change.directory,
                                   .remove = assigning->failures ? assigning->change.broker_id : -1,
                                   .add = -1,
                                   .unclean = -1};
    struct partition_change change;
    partition_change_init(&change, controller, &cause, topic);
    if (!assigning->failures) {
        change.directory = &assigning->change;
        change.unclean_allowed = false;
    }
    for (int32_t i = 0; i < request->partitions_count; i++) {
        change.partition = meta_topic_partition(topic, request->partitions[i].partition_index);
        if (has_replica(change.partition, assigning->change.broker_id)) {
            partition_change_add(&change, assigning->output);
        }
    }
}

static void add_all_records(struct assigning *assigning) {
    const struct assign_replicas_to_dirs_request *request = assigning->call->request;
    const struct meta_broker *broker =
        meta_image_broker(assigning->call->controller->image, request->broker_id);
    for (int32_t d = 0; d < request->directories_count; d++) {
        const directory_request *directory = &request->directories[d];
        assigning->change.directory = directory->id;
        if (assigning->failures && meta_broker_has_online_dir(broker, directory->id)) {
            continue;
        }
        for (int32_t t = 0; t < directory->topics_count; t++) {
            add_records(assigning, &directory->topics[t]);
        }
    }
}

/* --- the answer --- */

static err_t partition_error(const struct meta_topic *topic, int32_t index, int32_t broker_id) {
    if (topic == NULL) {
        return ERR_UNKNOWN_TOPIC_ID;
    }
    const struct meta_partition *partition = meta_topic_partition(topic, index);
    if (partition == NULL) {
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    return has_replica(partition, broker_id) ? ERR_OK : ERR_NOT_LEADER_OR_FOLLOWER;
}

static void fill_topic(const struct assigning *assigning, const topic_request *request,
                       topic_answer *answer) {
    const struct meta_topic *topic =
        meta_image_topic_by_id(assigning->call->controller->image, request->topic_id);
    answer->topic_id = request->topic_id;
    answer->partitions_count = request->partitions_count;
    answer->partitions =
        ARENA_ARRAY(assigning->call->arena, partition_answer, (size_t)request->partitions_count);
    for (int32_t i = 0; i < request->partitions_count; i++) {
        int32_t index = request->partitions[i].partition_index;
        err_t err = partition_error(topic, index, assigning->change.broker_id);
        answer->partitions[i] =
            (partition_answer){.partition_index = index, .error_code = err_kafka_code(err)};
    }
}

static void fill_response(const struct assigning *assigning) {
    const struct assign_replicas_to_dirs_request *request = assigning->call->request;
    struct assign_replicas_to_dirs_response *response = assigning->call->response;
    struct arena *arena = assigning->call->arena;
    response->directories =
        ARENA_ARRAY(arena, directory_answer, (size_t)request->directories_count);
    response->directories_count = request->directories_count;
    for (int32_t d = 0; d < request->directories_count; d++) {
        const directory_request *directory = &request->directories[d];
        directory_answer *answer = &response->directories[d];
        answer->id = directory->id;
        answer->topics = ARENA_ARRAY(arena, topic_answer, (size_t)directory->topics_count);
        answer->topics_count = directory->topics_count;
        for (int32_t t = 0; t < directory->topics_count; t++) {
            fill_topic(assigning, &directory->topics[t], &answer->topics[t]);
        }
    }
}

static err_t assign_step(struct controller_call *call, const struct strand_input *input,
                         struct strand_output *output) {
    (void)input;
    const struct assign_replicas_to_dirs_request *request = call->request;
    if (!metadata_version_has_directories(meta_image_metadata_version(call->controller->image))) {
        call->error_message = STR("Directory assignment is not supported yet.");
        return ERR_UNSUPPORTED_VERSION;
    }
    err_t err = broker_check_epoch(call, request->broker_id, request->broker_epoch);
    if (err != ERR_OK) {
        return err;
    }
    struct assigning assigning = {
        .call = call, .output = output, .change.broker_id = request->broker_id};
    add_all_records(&assigning);
    assigning.failures = true;
    add_all_records(&assigning);
    fill_response(&assigning);
    output->splittable = true;
    return ERR_OK;
}

void controller_assign_replicas(struct controller *controller, struct controller_call *call,
                                const struct assign_replicas_to_dirs_request *request,
                                struct assign_replicas_to_dirs_response *response) {
    wire_init(&assign_replicas_to_dirs_response_type, response);
    controller_call_start(controller, call, assign_step, request, response);
}
