/* Leaders elected and replicas reassigned, by the controller. */
#include <string.h>

#include "client/admin_int.h"
#include "wire/api_keys.h"

static bool is_whole(const struct admin_part *part) {
    return part->items[0]->name.size == 0;
}

/* --- elections --- */

static err_t elect_build(struct admin_part *part, int16_t version, struct arena *arena,
                         const void **ret_request) {
    const int8_t *type = part->call->input;
    struct elect_leaders_request *request = ADMIN_REQUEST(arena, elect_leaders_request);
    request->election_type = *type;
    request->timeout_ms = admin_timeout_ms(part->call);
    *ret_request = request;
    if (is_whole(part)) {
        request->topic_partitions_count = -1;
    } else {
        int32_t *numbers = admin_numbers(part, arena);
        ADMIN_PUT_TOPICS(part, arena, request, topic_partitions, topic, partitions, numbers);
    }
    return version < 1 && *type != OTTLA_ELECTION_PREFERRED ? ERR_UNSUPPORTED_VERSION : ERR_OK;
}

/* Of all partitions, those that it names become items. */
static void elected_add(struct admin_part *part, struct str topic,
                        const struct elect_leaders_response_partition_result *row) {
    struct ottla_call *call = part->call;
    const char *name = admin_text(call, topic);
    struct admin_item *item = admin_partition_add(call, name, row->partition_id);
    (void)admin_partition_result(call, item);
    admin_item_end(item, row->error_code,
                   row->error_message.size > 0 ? admin_text(call, row->error_message) : NULL);
}

static void elect_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct elect_leaders_response *answer = response;
    bool whole = is_whole(part);
    if (!admin_part_answer(part, answer->error_code, STR_NULL)) {
        return;
    }
    for (int32_t t = 0; t < answer->replica_election_results_count; t++) {
        const struct elect_leaders_response_replica_election_result *topic =
            &answer->replica_election_results[t];
        for (int32_t p = 0; p < topic->partition_result_count; p++) {
            const struct elect_leaders_response_partition_result *row = &topic->partition_result[p];
            struct admin_item *item =
                whole ? NULL : admin_find(part, topic->topic, row->partition_id);
            if (whole) {
                elected_add(part, topic->topic, row);
            } else if (item != NULL) {
                (void)admin_item_answer(item, row->error_code, row->error_message);
            }
        }
    }
    if (whole) {
        admin_item_end(part->items[0], OTTLA_OK, NULL);
    }
}

static const struct admin_stage elect_stages[] = {{
    .api_key = API_ELECT_LEADERS,
    .route = ADMIN_CONTROLLER,
    .build = elect_build,
    .take = elect_take,
}};
static const struct admin_op elect_op = {
    .name = "elect leaders",
    .kind = ADMIN_PARTITIONS,
    .effect = ADMIN_CHANGES,
    .stages = elect_stages,
};

struct ottla_call *ottla_leaders_elect(struct ottla_client *client, enum ottla_election_type type,
                                       const struct ottla_partition *partitions, size_t count,
                                       const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &elect_op, options);
    int8_t *input = ARENA_NEW(&call->arena, int8_t);
    *input = (int8_t)type;
    call->input = input;
    if (partitions == NULL) {
        (void)admin_item_whole(call);
    }
    for (size_t i = 0; partitions != NULL && i < count; i++) {
        (void)admin_partition_result(
            call, admin_partition_add(call, partitions[i].topic, partitions[i].partition));
    }
    return admin_start(call);
}

/* --- reassignments --- */

static err_t alter_build(struct admin_part *part, int16_t version, struct arena *arena,
                         const void **ret_request) {
    (void)version;
    typedef struct alter_partition_reassignments_request_reassignable_partition reassign_partition;
    struct alter_partition_reassignments_request *request =
        ADMIN_REQUEST(arena, alter_partition_reassignments_request);
    request->timeout_ms = admin_timeout_ms(part->call);
    request->allow_replication_factor_change = !part->call->options.keep_replica_count;
    reassign_partition *rows = ARENA_ARRAY(arena, reassign_partition, part->item_count);
    ADMIN_PUT_TOPICS(part, arena, request, topics, name, partitions, rows);
    for (size_t i = 0; i < part->item_count; i++) {
        const struct ottla_replicas *replicas = part->items[i]->input;
        rows[i].partition_index = part->items[i]->number;
        rows[i].replicas = (int32_t *)replicas->brokers;
        rows[i].replicas_count = replicas->brokers == NULL ? -1 : (int32_t)replicas->count;
    }
    *ret_request = request;
    return ERR_OK;
}

static void alter_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct alter_partition_reassignments_response *answer = response;
    if (!admin_part_answer(part, answer->error_code, answer->error_message)) {
        return;
    }
    for (int32_t t = 0; t < answer->responses_count; t++) {
        const struct alter_partition_reassignments_response_reassignable_topic_response *topic =
            &answer->responses[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            struct admin_item *item =
                admin_find(part, topic->name, topic->partitions[p].partition_index);
            if (item != NULL) {
                (void)admin_item_answer(item, topic->partitions[p].error_code,
                                        topic->partitions[p].error_message);
            }
        }
    }
}

static const struct admin_stage alter_stages[] = {{
    .api_key = API_ALTER_PARTITION_REASSIGNMENTS,
    .route = ADMIN_CONTROLLER,
    .build = alter_build,
    .take = alter_take,
}};
static const struct admin_op alter_op = {
    .name = "alter reassignments",
    .kind = ADMIN_PARTITIONS,
    .effect = ADMIN_CHANGES,
    .stages = alter_stages,
};

struct ottla_call *ottla_reassignments_alter(struct ottla_client *client,
                                             const struct ottla_reassignment *reassignments,
                                             size_t count,
                                             const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &alter_op, options);
    for (size_t i = 0; i < count; i++) {
        const struct ottla_reassignment *from = &reassignments[i];
        struct admin_item *item = admin_partition_add(call, from->topic, from->partition);
        struct ottla_replicas *replicas = ARENA_NEW(&call->arena, struct ottla_replicas);
        if (from->replicas.brokers != NULL) {
            *replicas = admin_replicas(call, from->replicas.brokers, (int32_t)from->replicas.count);
        }
        item->input = replicas;
        (void)admin_partition_result(call, item);
    }
    return admin_start(call);
}

static err_t list_build(struct admin_part *part, int16_t version, struct arena *arena,
                        const void **ret_request) {
    (void)version;
    struct list_partition_reassignments_request *request =
        ADMIN_REQUEST(arena, list_partition_reassignments_request);
    request->timeout_ms = admin_timeout_ms(part->call);
    *ret_request = request;
    if (is_whole(part)) {
        request->topics_count = -1;
        return ERR_OK;
    }
    int32_t *numbers = admin_numbers(part, arena);
    ADMIN_PUT_TOPICS(part, arena, request, topics, name, partition_indexes, numbers);
    return ERR_OK;
}

/* It names those that go on, and is silent of the others. */
static void list_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct list_partition_reassignments_response *answer = response;
    struct ottla_call *call = part->call;
    if (!admin_part_answer(part, answer->error_code, answer->error_message)) {
        return;
    }
    for (int32_t t = 0; t < answer->topics_count; t++) {
        const char *topic = admin_text(call, answer->topics[t].name);
        for (int32_t p = 0; p < answer->topics[t].partitions_count; p++) {
            const struct list_partition_reassignments_response_ongoing_partition_reassignment
                *from = &answer->topics[t].partitions[p];
            struct ottla_ongoing_reassignment *result = admin_result_add(call);
            result->topic = topic;
            result->partition = from->partition_index;
            result->replicas = admin_replicas(call, from->replicas, from->replicas_count);
            result->adding =
                admin_replicas(call, from->adding_replicas, from->adding_replicas_count);
            result->removing =
                admin_replicas(call, from->removing_replicas, from->removing_replicas_count);
        }
    }
    for (size_t i = 0; i < part->item_count; i++) {
        admin_item_end(part->items[i], OTTLA_OK, NULL);
    }
}

static int by_partition(const void *a, const void *b) {
    const struct ottla_ongoing_reassignment *left = a;
    const struct ottla_ongoing_reassignment *right = b;
    int order = strcmp(left->topic, right->topic);
    return order != 0 ? order
                      : (left->partition > right->partition) - (left->partition < right->partition);
}

static const struct admin_stage list_stages[] = {{
    .api_key = API_LIST_PARTITION_REASSIGNMENTS,
    .route = ADMIN_CONTROLLER,
    .build = list_build,
    .take = list_take,
}};
static const struct admin_op list_op = {
    .name = "list reassignments",
    .kind = ADMIN_REASSIGNMENTS,
    .stages = list_stages,
    .order = by_partition,
};

struct ottla_call *ottla_reassignments_list(struct ottla_client *client,
                                            const struct ottla_partition *partitions, size_t count,
                                            const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &list_op, options);
    if (partitions == NULL) {
        (void)admin_item_whole(call);
    }
    for (size_t i = 0; partitions != NULL && i < count; i++) {
        (void)admin_partition_add(call, partitions[i].topic, partitions[i].partition);
    }
    return admin_start(call);
}
