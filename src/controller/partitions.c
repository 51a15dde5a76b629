/* New partitions: of a new topic (topics.c), and CreatePartitions. */
#include <assert.h>
#include <inttypes.h>

#include "base/duplicates.h"
#include "controller/controller_int.h"

int32_t partition_active_replicas(const struct meta_image *image,
                                  const struct new_partition *partition, struct arena *arena,
                                  int32_t **ret_isr) {
    int32_t *isr = ARENA_ARRAY(arena, int32_t, (size_t)partition->replica_count);
    int32_t count = 0;
    for (int32_t i = 0; i < partition->replica_count; i++) {
        if (broker_is_active(meta_image_broker(image, partition->replicas[i]))) {
            isr[count++] = partition->replicas[i];
        }
    }
    *ret_isr = isr;
    return count;
}

void partition_add_record(struct controller *controller, struct strand_output *output,
                          struct uuid topic_id, int32_t id, const struct new_partition *partition) {
    struct partition_record *record = record_add(controller, output, META_RECORD_PARTITION);
    record->topic_id = topic_id;
    record->partition_id = id;
    record->replicas = partition->replicas;
    record->replicas_count = partition->replica_count;
    record->isr_count =
        partition_active_replicas(controller->image, partition, output->arena, &record->isr);
    assert(record->isr_count > 0);
    record->leader = record->isr[0];
    record->leader_epoch = 0;
    record->partition_epoch = 0;
    if (!metadata_version_has_directories(meta_image_metadata_version(controller->image))) {
        return;
    }
    record->directories_count = partition->replica_count;
    record->directories = ARENA_ARRAY(output->arena, struct uuid, (size_t)partition->replica_count);
    for (int32_t i = 0; i < partition->replica_count; i++) {
        record->directories[i] = broker_default_dir(controller->image, partition->replicas[i]);
    }
}

struct api_error partition_check_manual(struct controller *controller, struct arena *arena,
                                        const struct new_partition *partition,
                                        int32_t replication_factor) {
    const err_t err = ERR_INVALID_REPLICA_ASSIGNMENT;
    if (partition->replica_count <= 0) {
        return api_error(arena, err,
                         "The manual partition assignment includes an empty replica list.");
    }
    int32_t *sorted = ARENA_ARRAY(arena, int32_t, (size_t)partition->replica_count);
    for (int32_t i = 0; i < partition->replica_count; i++) {
        int32_t place = i;
        while (place > 0 && sorted[place - 1] > partition->replicas[i]) {
            sorted[place] = sorted[place - 1];
            place--;
        }
        sorted[place] = partition->replicas[i];
    }
    for (int32_t i = 0; i < partition->replica_count; i++) {
        if (meta_image_broker(controller->image, sorted[i]) == NULL) {
            return api_error(arena, err,
                             "The manual partition assignment includes broker %" PRId32
                             ", but no such broker is registered.",
                             sorted[i]);
        }
        if (i > 0 && sorted[i] == sorted[i - 1]) {
            return api_error(arena, err,
                             "The manual partition assignment includes the broker %" PRId32
                             " more than once.",
                             sorted[i]);
        }
    }
    if (replication_factor >= 0 && partition->replica_count != replication_factor) {
        return api_error(arena, err,
                         "The manual partition assignment includes a partition with %" PRId32
                         " replica(s), but this is not consistent with previous partitions, which "
                         "have %" PRId32 " replica(s).",
                         partition->replica_count, replication_factor);
    }
    return API_OK;
}

/* --- CreatePartitions --- */

typedef struct create_partitions_request_create_partitions_topic partitions_topic;

static struct api_error choose_manual(struct controller *controller, const partitions_topic *topic,
                                      int32_t start, int32_t replication_factor,
                                      struct arena *arena, struct new_partition *partitions) {
    for (int32_t i = 0; i < topic->assignments_count; i++) {
        partitions[i].replicas = topic->assignments[i].broker_ids;
        partitions[i].replica_count = topic->assignments[i].broker_ids_count;
        struct api_error error =
            partition_check_manual(controller, arena, &partitions[i], replication_factor);
        if (error.err != ERR_OK) {
            return error;
        }
        int32_t *isr;
        if (partition_active_replicas(controller->image, &partitions[i], arena, &isr) == 0) {
            return api_error(arena, ERR_INVALID_REPLICA_ASSIGNMENT,
                             "All brokers specified in the manual partition assignment for "
                             "partition %" PRId32 " are fenced or in controlled shutdown.",
                             start + i);
        }
    }
    return API_OK;
}

static struct api_error check_count(const partitions_topic *topic, int32_t present,
                                    struct arena *arena) {
    if (topic->count == present) {
        return api_error(arena, ERR_INVALID_PARTITIONS,
                         "Topic already has %" PRId32 " partition(s).", present);
    }
    if (topic->count < present) {
        return api_error(arena, ERR_INVALID_PARTITIONS,
                         "The topic %.*s currently has %" PRId32 " partition(s); %" PRId32
                         " would not be an increase.",
                         STR_ARGS(topic->name), present, topic->count);
    }
    int32_t additional = topic->count - present;
    if (topic->assignments_count >= 0 && topic->assignments_count != additional) {
        return api_error(arena, ERR_INVALID_REPLICA_ASSIGNMENT,
                         "Attempted to add %" PRId32 " additional partition(s), but only %" PRId32
                         " assignment(s) were specified.",
                         additional, topic->assignments_count);
    }
    return API_OK;
}

static struct api_error create_partitions(struct controller_call *call,
                                          const struct strand_input *input,
                                          const partitions_topic *request,
                                          struct strand_output *output) {
    struct controller *controller = call->controller;
    const struct meta_topic *topic = meta_image_topic(controller->image, request->name);
    if (topic == NULL) {
        return api_error_plain(ERR_UNKNOWN_TOPIC_OR_PARTITION);
    }
    int32_t present = (int32_t)topic->partitions.count;
    struct api_error error = check_count(request, present, call->arena);
    if (error.err != ERR_OK) {
        return error;
    }
    int32_t additional = request->count - present;
    if (output->record_count + (int64_t)additional > CONTROLLER_RECORDS_MAX) {
        return api_error(call->arena, ERR_POLICY_VIOLATION, "%s", controller_records_max_text);
    }
    const struct meta_partition *first = meta_topic_partition(topic, 0);
    int32_t replication_factor = first->replica_count;
    struct new_partition *partitions =
        ARENA_ARRAY(output->arena, struct new_partition, (size_t)additional);
    if (request->assignments_count >= 0) {
        error = choose_manual(controller, request, present, replication_factor, call->arena,
                              partitions);
    } else {
        error = placement_choose(controller, input->random, additional, replication_factor,
                                 call->arena, partitions);
    }
    for (int32_t i = 0; i < additional && error.err == ERR_OK; i++) {
        partition_add_record(controller, output, topic->id, present + i, &partitions[i]);
    }
    return error;
}

static err_t create_partitions_step(struct controller_call *call, const struct strand_input *input,
                                    struct strand_output *output) {
    const struct create_partitions_request *request = call->request;
    struct create_partitions_response *response = call->response;
    response->results =
        ARENA_ARRAY(call->arena, struct create_partitions_response_create_partitions_topic_result,
                    (size_t)request->topics_count);
    response->results_count = 0;
    struct bytes *names = ARENA_ARRAY(call->arena, struct bytes, (size_t)request->topics_count);
    for (int32_t i = 0; i < request->topics_count; i++) {
        names[i] = str_bytes(request->topics[i].name);
    }
    struct duplicates duplicates;
    duplicates_find(call->arena, names, request->topics_count, &duplicates);
    for (int32_t i = 0; i < request->topics_count; i++) {
        if (duplicates.again[i]) {
            continue;
        }
        struct api_error error =
            duplicates.twice[i]
                ? api_error(call->arena, ERR_INVALID_REQUEST, "Duplicate topic name.")
                : create_partitions(call, input, &request->topics[i], output);
        response->results[response->results_count++] =
            (struct create_partitions_response_create_partitions_topic_result){
                .name = request->topics[i].name,
                .error_code = err_kafka_code(error.err),
                .error_message = error.message,
            };
    }
    if (request->validate_only) {
        output->record_count = 0;
    }
    return ERR_OK;
}

void controller_create_partitions(struct controller *controller, struct controller_call *call,
                                  const struct create_partitions_request *request,
                                  struct create_partitions_response *response) {
    wire_init(&create_partitions_response_type, response);
    controller_call_start(controller, call, create_partitions_step, request, response);
}
