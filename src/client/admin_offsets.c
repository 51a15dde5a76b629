/* Offsets of partitions, records deleted, and who produces: asked of each partition's leader. */
#include "client/admin_int.h"
#include "wire/api_keys.h"

enum { STAGE_FIND, STAGE_ASK };

/* The stages of all of these: a leader that moved is looked up again. */
#define LEADER_STAGES(key, name)                                                                   \
    static const struct admin_stage name##_stages[] = {                                            \
        [STAGE_FIND] = ADMIN_FIND_LEADERS,                                                         \
        [STAGE_ASK] = {.api_key = (key),                                                           \
                       .route = ADMIN_BROKER,                                                      \
                       .once = true,                                                               \
                       .again = STAGE_FIND,                                                        \
                       .passing = ADMIN_PASS_LEADER,                                               \
                       .build = name##_build,                                                      \
                       .take = name##_take},                                                       \
    }

/* --- offsets --- */

typedef struct list_offsets_request_list_offsets_partition offsets_partition;
typedef struct list_offsets_response_list_offsets_topic_response offsets_topic_answer;
typedef struct list_offsets_response_list_offsets_partition_response offsets_partition_answer;

static err_t list_build(struct admin_part *part, int16_t version, struct arena *arena,
                        const void **ret_request) {
    /* The first version that knows a place. */
    static const int16_t places[] = {
        [-OTTLA_OFFSET_MAX_TIMESTAMP] = 7,
        [-OTTLA_OFFSET_EARLIEST_LOCAL] = 8,
        [-OTTLA_OFFSET_LATEST_TIERED] = 9,
        [-OTTLA_OFFSET_EARLIEST_PENDING_UPLOAD] = 11,
    };
    struct list_offsets_request *request = ADMIN_REQUEST(arena, list_offsets_request);
    request->replica_id = -1;
    request->isolation_level = part->call->options.read_committed;
    request->timeout_ms = version >= 10 ? admin_timeout_ms(part->call) : 0;
    offsets_partition *rows = ARENA_ARRAY(arena, offsets_partition, part->item_count);
    ADMIN_PUT_TOPICS(part, arena, request, topics, name, partitions, rows);
    for (size_t i = 0; i < part->item_count; i++) {
        int64_t wanted = *(const int64_t *)part->items[i]->input;
        int16_t needs = wanted >= OTTLA_OFFSET_EARLIEST ? 1 : places[-wanted];
        if (version < needs) {
            return ERR_UNSUPPORTED_VERSION;
        }
        rows[i].partition_index = part->items[i]->number;
        rows[i].current_leader_epoch = -1;
        rows[i].timestamp = wanted;
    }
    *ret_request = request;
    return ERR_OK;
}

static void list_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct list_offsets_response *answer = response;
    for (int32_t t = 0; t < answer->topics_count; t++) {
        const offsets_topic_answer *topic = &answer->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            const offsets_partition_answer *row = &topic->partitions[p];
            struct admin_item *item = admin_find(part, topic->name, row->partition_index);
            if (item != NULL && admin_item_answer(item, row->error_code, STR_NULL)) {
                struct ottla_offset_result *result = item->result;
                result->offset = row->offset;
                result->timestamp_ms = row->timestamp;
                result->leader_epoch = row->leader_epoch;
            }
        }
    }
}

LEADER_STAGES(API_LIST_OFFSETS, list);
static const struct admin_op list_op = {
    .name = "list offsets",
    .kind = ADMIN_OFFSETS,
    .stages = list_stages,
};

struct ottla_call *ottla_offsets_list(struct ottla_client *client,
                                      const struct ottla_position *positions, size_t count,
                                      const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &list_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item =
            admin_partition_add(call, positions[i].topic, positions[i].partition);
        if (positions[i].offset < OTTLA_OFFSET_EARLIEST_PENDING_UPLOAD) {
            admin_item_end(item, OTTLA_INVALID, "there is no such place, nor time");
        }
        int64_t *wanted = ARENA_NEW(&call->arena, int64_t);
        *wanted = positions[i].offset;
        item->input = wanted;
        struct ottla_offset_result *result = admin_result_add(call);
        result->topic = admin_text(call, item->name);
        result->partition = item->number;
        result->offset = -1;
        result->timestamp_ms = -1;
        result->leader_epoch = -1;
        item->result = result;
    }
    return admin_start(call);
}

/* --- records deleted --- */

typedef struct delete_records_request_delete_records_partition delete_partition;

static err_t delete_build(struct admin_part *part, int16_t version, struct arena *arena,
                          const void **ret_request) {
    (void)version;
    struct delete_records_request *request = ADMIN_REQUEST(arena, delete_records_request);
    request->timeout_ms = admin_timeout_ms(part->call);
    delete_partition *rows = ARENA_ARRAY(arena, delete_partition, part->item_count);
    ADMIN_PUT_TOPICS(part, arena, request, topics, name, partitions, rows);
    for (size_t i = 0; i < part->item_count; i++) {
        rows[i].partition_index = part->items[i]->number;
        rows[i].offset = *(const int64_t *)part->items[i]->input;
    }
    *ret_request = request;
    return ERR_OK;
}

static void delete_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct delete_records_response *answer = response;
    for (int32_t t = 0; t < answer->topics_count; t++) {
        const struct delete_records_response_delete_records_topic_result *topic =
            &answer->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            const struct delete_records_response_delete_records_partition_result *row =
                &topic->partitions[p];
            struct admin_item *item = admin_find(part, topic->name, row->partition_index);
            if (item != NULL && admin_item_answer(item, row->error_code, STR_NULL)) {
                struct ottla_partition_result *result = item->result;
                result->offset = row->low_watermark;
            }
        }
    }
}

LEADER_STAGES(API_DELETE_RECORDS, delete);
static const struct admin_op delete_op = {
    .name = "delete records",
    .kind = ADMIN_PARTITIONS,
    .effect = ADMIN_CHANGES,
    .stages = delete_stages,
};

struct ottla_call *ottla_records_delete(struct ottla_client *client,
                                        const struct ottla_position *positions, size_t count,
                                        const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &delete_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item =
            admin_partition_add(call, positions[i].topic, positions[i].partition);
        int64_t *before = ARENA_NEW(&call->arena, int64_t);
        *before = positions[i].offset;
        item->input = before;
        (void)admin_partition_result(call, item);
    }
    return admin_start(call);
}

/* --- producers --- */

static err_t producers_build(struct admin_part *part, int16_t version, struct arena *arena,
                             const void **ret_request) {
    (void)version;
    struct describe_producers_request *request = ADMIN_REQUEST(arena, describe_producers_request);
    int32_t *numbers = admin_numbers(part, arena);
    ADMIN_PUT_TOPICS(part, arena, request, topics, name, partition_indexes, numbers);
    *ret_request = request;
    return ERR_OK;
}

static void set_producers(struct ottla_call *call, struct ottla_partition_producers *result,
                          const struct describe_producers_response_partition_response *row) {
    size_t count = row->active_producers_count > 0 ? (size_t)row->active_producers_count : 0;
    struct ottla_producer_state *producers =
        ARENA_ARRAY(&call->arena, struct ottla_producer_state, count);
    for (size_t i = 0; i < count; i++) {
        producers[i] = (struct ottla_producer_state){
            .producer_id = row->active_producers[i].producer_id,
            .producer_epoch = row->active_producers[i].producer_epoch,
            .last_sequence = row->active_producers[i].last_sequence,
            .last_timestamp_ms = row->active_producers[i].last_timestamp,
            .coordinator_epoch = row->active_producers[i].coordinator_epoch,
            .transaction_start_offset = row->active_producers[i].current_txn_start_offset,
        };
    }
    result->producers = producers;
    result->producer_count = count;
}

static void producers_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct describe_producers_response *answer = response;
    for (int32_t t = 0; t < answer->topics_count; t++) {
        const struct describe_producers_response_topic_response *topic = &answer->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            struct admin_item *item =
                admin_find(part, topic->name, topic->partitions[p].partition_index);
            if (item != NULL && admin_item_answer(item, topic->partitions[p].error_code,
                                                  topic->partitions[p].error_message)) {
                set_producers(part->call, item->result, &topic->partitions[p]);
            }
        }
    }
}

LEADER_STAGES(API_DESCRIBE_PRODUCERS, producers);
static const struct admin_op producers_op = {
    .name = "describe producers",
    .kind = ADMIN_PRODUCERS,
    .stages = producers_stages,
};

/* Of a replica, whoever leads. */
static const struct admin_stage replica_producers_stages[] = {{
    .api_key = API_DESCRIBE_PRODUCERS,
    .route = ADMIN_BROKER,
    .build = producers_build,
    .take = producers_take,
}};
static const struct admin_op replica_producers_op = {
    .name = "describe producers",
    .kind = ADMIN_PRODUCERS,
    .stages = replica_producers_stages,
};

struct ottla_call *ottla_producers_describe(struct ottla_client *client,
                                            const struct ottla_partition *partitions, size_t count,
                                            const struct ottla_admin_options *options) {
    const int32_t *broker_id = options == NULL ? NULL : options->broker_id;
    struct ottla_call *call =
        admin_call_new(client, broker_id == NULL ? &producers_op : &replica_producers_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item =
            admin_partition_add(call, partitions[i].topic, partitions[i].partition);
        item->broker_id = broker_id == NULL ? -1 : *broker_id;
        struct ottla_partition_producers *result = admin_result_add(call);
        result->topic = admin_text(call, item->name);
        result->partition = item->number;
        item->result = result;
    }
    return admin_start(call);
}
