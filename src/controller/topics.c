/*
 * CreateTopics and DeleteTopics.
 *
 * A topic of a request is created as a whole or not at all, beside the others: TopicRecord, its
 * ConfigRecords, then its PartitionRecords; what all topics of a request write is one batch.
 */
#include <assert.h>
#include <inttypes.h>

#include "controller/controller_int.h"
#include "meta/topic_name.h"

typedef struct create_topics_request_creatable_topic new_topic;
typedef struct create_topics_response_creatable_topic_result new_topic_result;

/* --- names --- */

struct api_error topic_check_name(struct str name, struct arena *arena) {
    struct str fault = topic_name_fault(name, arena);
    return (struct api_error){.err = fault.data == NULL ? ERR_OK : ERR_INVALID_TOPIC_EXCEPTION,
                              .message = fault};
}

static bool has_collision_chars(struct str name) {
    return name.size > 0 &&
           (memchr(name.data, '.', name.size) != NULL || memchr(name.data, '_', name.size) != NULL);
}

/* Names that differ only in '.' and '_' would be one name in metrics. */
static struct str unify(struct str name, struct arena *arena) {
    struct str unified = arena_str(arena, name);
    for (size_t i = 0; i < unified.size; i++) {
        if (unified.data[i] == '.') {
            ((char *)unified.data)[i] = '_';
        }
    }
    return unified;
}

/* The names of existing topics by their unified form; left empty when nothing can collide. */
static void find_collisions(struct controller *controller,
                            const struct create_topics_request *request, struct arena *arena,
                            struct map *collisions) {
    bool any = false;
    for (int32_t i = 0; i < request->topics_count; i++) {
        any |= has_collision_chars(request->topics[i].name);
    }
    if (!any) {
        return;
    }
    struct pmap_walk walk;
    struct meta_topic *topic;
    pmap_for_each(&walk, &controller->image->topics, topic) {
        if (has_collision_chars(topic->name)) {
            map_put(collisions, str_bytes(unify(topic->name, arena)), topic);
        }
    }
}

static struct api_error check_new_name(struct controller *controller, struct str name,
                                       const struct map *collisions, struct arena *arena) {
    if (meta_image_topic(controller->image, name) != NULL) {
        return api_error(arena, ERR_TOPIC_ALREADY_EXISTS, "Topic '%.*s' already exists.",
                         STR_ARGS(name));
    }
    if (has_collision_chars(name)) {
        const struct meta_topic *other = map_get(collisions, str_bytes(unify(name, arena)));
        if (other != NULL) {
            return api_error(arena, ERR_INVALID_TOPIC_EXCEPTION,
                             "Topic '%.*s' collides with existing topic: %.*s", STR_ARGS(name),
                             STR_ARGS(other->name));
        }
    }
    return topic_check_name(name, arena);
}

/* --- replicas --- */

static struct api_error assign_manually(struct controller_call *call, const new_topic *topic,
                                        struct new_partition *partitions, struct map *by_index) {
    struct controller *controller = call->controller;
    const err_t err = ERR_INVALID_REPLICA_ASSIGNMENT;
    int32_t replication_factor = -1;
    for (int32_t i = 0; i < topic->assignments_count; i++) {
        const struct create_topics_request_creatable_replica_assignment *assignment =
            &topic->assignments[i];
        struct new_partition partition = {assignment->broker_ids, assignment->broker_ids_count};
        if (map_put_u64(by_index, (uint32_t)assignment->partition_index, (void *)assignment) !=
            NULL) {
            return api_error(call->arena, err,
                             "Found multiple manual partition assignments for partition %" PRId32,
                             assignment->partition_index);
        }
        struct api_error error =
            partition_check_manual(controller, call->arena, &partition, replication_factor);
        if (error.err != ERR_OK) {
            return error;
        }
        replication_factor = partition.replica_count;
        int32_t *isr;
        if (partition_active_replicas(controller->image, &partition, call->arena, &isr) == 0) {
            return api_error(call->arena, err,
                             "All brokers specified in the manual partition assignment for "
                             "partition %" PRId32 " are fenced or in controlled shutdown.",
                             assignment->partition_index);
        }
    }
    for (int32_t i = 0; i < topic->assignments_count; i++) {
        const struct create_topics_request_creatable_replica_assignment *assignment =
            map_get_u64(by_index, (uint32_t)i);
        if (assignment == NULL) {
            return api_error(call->arena, err,
                             "partitions should be a consecutive 0-based integer sequence");
        }
        partitions[i] =
            (struct new_partition){assignment->broker_ids, assignment->broker_ids_count};
    }
    return API_OK;
}

static struct api_error assign(struct controller_call *call, const struct strand_input *input,
                               const new_topic *topic, int32_t partition_count,
                               struct new_partition *partitions) {
    struct controller *controller = call->controller;
    int32_t replication_factor =
        topic->replication_factor == -1
            ? config_int(controller->options.config, CONFIG_DEFAULT_REPLICATION_FACTOR)
            : topic->replication_factor;
    struct api_error error = placement_choose(controller, input->random, partition_count,
                                              replication_factor, call->arena, partitions);
    if (error.err != ERR_OK) {
        return api_error(call->arena, error.err,
                         "Unable to replicate the partition %" PRId32 " time(s): %.*s",
                         replication_factor, STR_ARGS(error.message));
    }
    return API_OK;
}

/* How many partitions a topic asks for; those that are refused later count as none. */
static int32_t wanted_partitions(const struct controller *controller, const new_topic *topic) {
    if (topic->assignments_count > 0) {
        return topic->assignments_count;
    }
    if (topic->num_partitions == -1) {
        return config_int(controller->options.config, CONFIG_NUM_PARTITIONS);
    }
    return topic->num_partitions > 0 ? topic->num_partitions : 0;
}

static struct api_error choose_partitions(struct controller_call *call,
                                          const struct strand_input *input, const new_topic *topic,
                                          struct new_partition *partitions) {
    if (topic->assignments_count > 0) {
        if (topic->replication_factor != -1) {
            return api_error(call->arena, ERR_INVALID_REQUEST,
                             "A manual partition assignment was specified, but replication factor "
                             "was not set to -1.");
        }
        if (topic->num_partitions != -1) {
            return api_error(call->arena, ERR_INVALID_REQUEST,
                             "A manual partition assignment was specified, but numPartitions was "
                             "not set to -1.");
        }
        struct map by_index;
        map_init(&by_index);
        struct api_error error = assign_manually(call, topic, partitions, &by_index);
        map_done(&by_index);
        return error;
    }
    if (topic->replication_factor < -1 || topic->replication_factor == 0) {
        return api_error(call->arena, ERR_INVALID_REPLICATION_FACTOR,
                         "Replication factor must be larger than 0, or -1 to use the default "
                         "value.");
    }
    if (topic->num_partitions < -1 || topic->num_partitions == 0) {
        return api_error(call->arena, ERR_INVALID_PARTITIONS,
                         "Number of partitions was set to an invalid non-positive value.");
    }
    return assign(call, input, topic, wanted_partitions(call->controller, topic), partitions);
}

/* --- a topic's part of the response --- */

static bool creation_config(const void *arg, struct str name, struct str *ret_value) {
    const new_topic *topic = arg;
    for (int32_t i = topic->configs_count - 1; i >= 0; i--) { /* the last one counts */
        if (str_equal(topic->configs[i].name, name)) {
            *ret_value = topic->configs[i].value;
            return true;
        }
    }
    return false;
}

static void describe_configs(struct controller_call *call, const new_topic *topic,
                             new_topic_result *result) {
    struct config_layers layers = controller_config_layers(call->controller, STR_NULL);
    layers.resource = (struct config_lookup){.get = creation_config, .arg = topic};
    enum config_key first = config_scope_first(CONFIG_TOPIC);
    enum config_key end = config_scope_end(CONFIG_TOPIC);
    result->configs = ARENA_ARRAY(
        call->arena, struct create_topics_response_creatable_topic_configs, (size_t)(end - first));
    result->configs_count = 0;
    for (enum config_key key = first; key < end; key++) {
        if (config_row(key)->internal) {
            continue;
        }
        struct config_entry entry;
        config_describe(&layers, key, call->arena, &entry);
        result->configs[result->configs_count++] =
            (struct create_topics_response_creatable_topic_configs){
                .name = entry.name,
                .value = entry.value,
                .read_only = entry.read_only,
                .config_source = (int8_t)entry.source,
                .is_sensitive = entry.sensitive,
            };
    }
}

static struct uuid random_id(struct rng *random) {
    uint8_t bytes[16];
    struct uuid id;
    do {
        rng_bytes(random, bytes, sizeof bytes);
    } while (!uuid_from_random(bytes, &id));
    return id;
}

static struct api_error create_topic(struct controller_call *call, const struct strand_input *input,
                                     const new_topic *topic, bool describable,
                                     struct strand_output *output, new_topic_result *result) {
    struct controller *controller = call->controller;
    struct strand_output configs = {.arena = output->arena};
    struct api_error error = configs_for_new_topic(controller, call->arena, topic, &configs);
    if (error.err != ERR_OK) {
        return error;
    }
    int32_t partition_count = wanted_partitions(controller, topic);
    struct new_partition *partitions =
        ARENA_ARRAY(output->arena, struct new_partition, (size_t)partition_count);
    error = choose_partitions(call, input, topic, partitions);
    if (error.err != ERR_OK) {
        return error;
    }
    result->topic_id = random_id(input->random);
    if (describable) {
        describe_configs(call, topic, result);
        result->num_partitions = partition_count;
        result->replication_factor = (int16_t)partitions[0].replica_count;
    } else {
        result->topic_config_error_code = ERR_TOPIC_AUTHORIZATION_FAILED;
    }
    struct topic_record *record = record_add(controller, output, META_RECORD_TOPIC);
    record->name = topic->name;
    record->topic_id = result->topic_id;
    for (int32_t i = 0; i < configs.record_count; i++) {
        strand_output_add(output, configs.records[i]);
    }
    for (int32_t i = 0; i < partition_count; i++) {
        partition_add_record(controller, output, result->topic_id, i, &partitions[i]);
    }
    return API_OK;
}

/* --- CreateTopics --- */

static new_topic_result *result_add(struct create_topics_response *response, struct str name,
                                    struct api_error error) {
    new_topic_result *result = &response->topics[response->topics_count++];
    *result = (new_topic_result){
        .name = name,
        .error_code = err_kafka_code(error.err),
        .error_message = error.message,
        .num_partitions = -1,
        .replication_factor = -1,
    };
    return result;
}

static err_t check_total(struct controller_call *call,
                         const struct create_topics_request *request) {
    int64_t total = 0;
    for (int32_t i = 0; i < request->topics_count; i++) {
        total += wanted_partitions(call->controller, &request->topics[i]);
    }
    if (total <= CONTROLLER_RECORDS_MAX) {
        return ERR_OK;
    }
    call->error_message = STR("Excessively large number of partitions per request.");
    return ERR_POLICY_VIOLATION;
}

/* How often each name is in the request: topics named twice are not created at all. */
static void count_names(const struct create_topics_request *request, struct map *counts,
                        struct arena *arena) {
    for (int32_t i = 0; i < request->topics_count; i++) {
        struct bytes name = str_bytes(request->topics[i].name);
        int32_t *count = map_get(counts, name);
        if (count == NULL) {
            count = ARENA_NEW(arena, int32_t);
            map_put(counts, name, count);
        }
        (*count)++;
    }
}

static void answer_refused(struct controller_call *call,
                           const struct create_topics_request *request, const struct map *counts) {
    for (int32_t i = 0; i < request->topics_count; i++) {
        struct str name = request->topics[i].name;
        int32_t *count = map_get(counts, str_bytes(name));
        if (*count > 1) {
            (void)result_add(call->response, name,
                             api_error(call->arena, ERR_INVALID_REQUEST, "Duplicate topic name."));
            *count = 0; /* answered */
        } else if (*count == 1 && str_equal(name, STR("__cluster_metadata"))) {
            (void)result_add(call->response, name,
                             api_error(call->arena, ERR_INVALID_REQUEST,
                                       "Creation of internal topic __cluster_metadata is "
                                       "prohibited."));
        }
    }
}

static void create_accepted(struct controller_call *call, const struct strand_input *input,
                            const struct create_topics_request *request, const struct map *counts,
                            const struct map *collisions, struct strand_output *output) {
    struct controller *controller = call->controller;
    for (int32_t i = 0; i < request->topics_count; i++) {
        const new_topic *topic = &request->topics[i];
        const int32_t *count = map_get(counts, str_bytes(topic->name));
        if (*count > 1 || str_equal(topic->name, STR("__cluster_metadata"))) {
            continue;
        }
        new_topic_result *result = result_add(call->response, topic->name, API_OK);
        struct api_error error = check_new_name(controller, topic->name, collisions, call->arena);
        if (error.err == ERR_OK) {
            bool describable = call->describable == NULL || call->describable[i];
            error = create_topic(call, input, topic, describable, output, result);
        }
        result->error_code = err_kafka_code(error.err);
        result->error_message = error.message;
        if (error.err == ERR_OK && !request->validate_only) {
            char id[UUID_TEXT_SIZE + 1];
            uuid_format(result->topic_id, id);
            text_log_info(controller->options.text_log, "controller",
                          "creating topic %.*s with id %s and %" PRId32 " partitions",
                          STR_ARGS(topic->name), id, wanted_partitions(controller, topic));
        }
    }
}

static err_t create_topics_step(struct controller_call *call, const struct strand_input *input,
                                struct strand_output *output) {
    const struct create_topics_request *request = call->request;
    struct create_topics_response *response = call->response;
    err_t err = check_total(call, request);
    if (err != ERR_OK) {
        return err;
    }
    response->topics = ARENA_ARRAY(call->arena, new_topic_result, (size_t)request->topics_count);
    struct map counts, collisions;
    map_init(&counts);
    map_init(&collisions);
    count_names(request, &counts, call->arena);
    find_collisions(call->controller, request, call->arena, &collisions);
    create_accepted(call, input, request, &counts, &collisions, output);
    answer_refused(call, request, &counts);
    map_done(&collisions);
    map_done(&counts);
    if (request->validate_only) {
        output->record_count = 0;
    }
    return ERR_OK;
}

void controller_create_topics(struct controller *controller, struct controller_call *call,
                              const struct create_topics_request *request, const bool *describable,
                              struct create_topics_response *response) {
    wire_init(&create_topics_response_type, response);
    call->describable = describable;
    controller_call_start(controller, call, create_topics_step, request, response);
}
