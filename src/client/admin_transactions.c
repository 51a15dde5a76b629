/*
 * Transactions: listed by every broker, described and fenced by their coordinators, and aborted at
 * the leader of a partition where no coordinator will.
 *
 * Fencing is what a producer does that starts with the transactional id: InitProducerId without an
 * id and epoch of its own aborts what is open and raises the epoch.
 */
#include <stdlib.h>
#include <string.h>

#include "client/admin_int.h"
#include "wire/api_keys.h"

/* --- list --- */

enum { AGE_VERSION = 1, PATTERN_VERSION = 2 }; /* the first that have these filters */

static err_t list_build(struct admin_part *part, int16_t version, struct arena *arena,
                        const void **ret_request) {
    const struct ottla_admin_options *options = &part->call->options;
    struct list_transactions_request *request = ADMIN_REQUEST(arena, list_transactions_request);
    request->state_filters = ARENA_ARRAY(arena, struct str, options->state_count);
    request->state_filters_count = (int32_t)options->state_count;
    for (size_t i = 0; i < options->state_count; i++) {
        request->state_filters[i] = str_from_c(options->states[i]);
    }
    request->producer_id_filters = ARENA_ARRAY(arena, int64_t, options->producer_id_count);
    request->producer_id_filters_count = (int32_t)options->producer_id_count;
    for (size_t i = 0; i < options->producer_id_count; i++) {
        request->producer_id_filters[i] = options->producer_ids[i];
    }
    if (options->older_than_ms != NULL) {
        request->duration_filter = *options->older_than_ms;
    }
    if (options->id_pattern != NULL) {
        request->transactional_id_pattern = str_from_c(options->id_pattern);
    }
    *ret_request = request;
    return (version < AGE_VERSION && request->duration_filter >= 0) ||
                   (version < PATTERN_VERSION && request->transactional_id_pattern.size > 0)
               ? ERR_UNSUPPORTED_VERSION
               : ERR_OK;
}

static void list_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct list_transactions_response *answer = response;
    struct ottla_call *call = part->call;
    if (!admin_part_answer(part, answer->error_code, STR_NULL)) {
        return;
    }
    if (answer->unknown_state_filters_count > 0) {
        admin_item_end(part->items[0], OTTLA_INVALID,
                       arena_printf(&call->arena, "there is no state %.*s",
                                    STR_ARGS(answer->unknown_state_filters[0]))
                           .data);
        return;
    }
    for (int32_t i = 0; i < answer->transaction_states_count; i++) {
        const struct list_transactions_response_transaction_state *row =
            &answer->transaction_states[i];
        struct ottla_transaction_listing *result = admin_result_add(call);
        result->transactional_id = admin_text(call, row->transactional_id);
        result->producer_id = row->producer_id;
        result->state = admin_text(call, row->transaction_state);
        result->broker_id = part->broker_id;
    }
    admin_item_end(part->items[0], OTTLA_OK, NULL);
}

static int by_id(const void *a, const void *b) {
    const struct ottla_transaction_listing *left = a;
    const struct ottla_transaction_listing *right = b;
    return strcmp(left->transactional_id, right->transactional_id);
}

static const struct admin_stage list_stages[] = {
    ADMIN_FIND_BROKERS,
    {.api_key = API_LIST_TRANSACTIONS,
     .route = ADMIN_BROKER,
     .each = true,
     .again = 1,
     .build = list_build,
     .take = list_take},
};
static const struct admin_op list_op = {
    .name = "list transactions",
    .kind = ADMIN_TRANSACTION_LISTINGS,
    .stages = list_stages,
    .order = by_id,
};

struct ottla_call *ottla_transactions_list(struct ottla_client *client,
                                           const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &list_op, options);
    (void)admin_item_whole(call);
    return admin_start(call);
}

/* --- what is asked of a transactional id's coordinator --- */

static struct admin_item *id_add(struct ottla_call *call, const char *transactional_id) {
    const char *id = transactional_id == NULL ? "" : transactional_id;
    struct admin_item *item = admin_item_add(call, str_from_c(id), 0, "transactional id %s", id);
    item->group = item->name;
    if (id[0] == '\0') {
        admin_item_end(item, OTTLA_INVALID, "a transactional id is not empty");
    }
    return item;
}

/* --- describe --- */

typedef struct describe_transactions_response_transaction_state described_state;

static err_t describe_build(struct admin_part *part, int16_t version, struct arena *arena,
                            const void **ret_request) {
    (void)version;
    struct describe_transactions_request *request =
        ADMIN_REQUEST(arena, describe_transactions_request);
    request->transactional_ids = &part->items[0]->name;
    request->transactional_ids_count = 1;
    *ret_request = request;
    return ERR_OK;
}

static void set_partitions(struct ottla_call *call, struct ottla_transaction_description *result,
                           const described_state *row) {
    size_t count = 0;
    for (int32_t t = 0; t < row->topics_count; t++) {
        count += row->topics[t].partitions_count > 0 ? (size_t)row->topics[t].partitions_count : 0;
    }
    struct ottla_partition *partitions = ARENA_ARRAY(&call->arena, struct ottla_partition, count);
    result->partition_count = count;
    count = 0;
    for (int32_t t = 0; t < row->topics_count; t++) {
        const char *topic = admin_text(call, row->topics[t].topic);
        for (int32_t p = 0; p < row->topics[t].partitions_count; p++) {
            partitions[count++] = (struct ottla_partition){topic, row->topics[t].partitions[p]};
        }
    }
    qsort(partitions, count, sizeof *partitions, admin_partition_order);
    result->partitions = partitions;
}

static void describe_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct describe_transactions_response *answer = response;
    for (int32_t i = 0; i < answer->transaction_states_count; i++) {
        const described_state *row = &answer->transaction_states[i];
        struct admin_item *item = admin_find(part, row->transactional_id, 0);
        if (item != NULL && admin_item_answer(item, row->error_code, STR_NULL)) {
            struct ottla_transaction_description *result = item->result;
            result->state = admin_text(part->call, row->transaction_state);
            result->producer_id = row->producer_id;
            result->producer_epoch = row->producer_epoch;
            result->timeout_ms = row->transaction_timeout_ms;
            result->start_ms =
                row->transaction_start_time_ms < 0 ? -1 : row->transaction_start_time_ms;
            result->broker_id = part->broker_id;
            set_partitions(part->call, result, row);
        }
    }
}

static const struct admin_stage describe_stages[] = {{
    .api_key = API_DESCRIBE_TRANSACTIONS,
    .route = ADMIN_TRANSACTION,
    .each = true,
    .build = describe_build,
    .take = describe_take,
}};
static const struct admin_op describe_op = {
    .name = "describe transactions",
    .kind = ADMIN_TRANSACTION_DESCRIPTIONS,
    .stages = describe_stages,
};

struct ottla_call *ottla_transactions_describe(struct ottla_client *client,
                                               const char *const *transactional_ids, size_t count,
                                               const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &describe_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item = id_add(call, transactional_ids[i]);
        struct ottla_transaction_description *result = admin_result_add(call);
        result->transactional_id = admin_text(call, item->name);
        result->state = "";
        result->producer_id = -1;
        result->producer_epoch = -1;
        result->start_ms = -1;
        result->broker_id = -1;
        item->result = result;
    }
    return admin_start(call);
}

/* --- fence --- */

/* The timeout goes for a transaction that will not be; it also bounds how long the coordinator may
 * take over the one it aborts. */
static err_t fence_build(struct admin_part *part, int16_t version, struct arena *arena,
                         const void **ret_request) {
    (void)version;
    struct init_producer_id_request *request = ADMIN_REQUEST(arena, init_producer_id_request);
    request->transactional_id = part->items[0]->name;
    request->transaction_timeout_ms =
        (int32_t)client_settings(part->call->client)->request_timeout_ms;
    request->producer_id = -1;
    request->producer_epoch = -1;
    *ret_request = request;
    return ERR_OK;
}

static void fence_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct init_producer_id_response *answer = response;
    struct admin_item *item = part->items[0];
    if (admin_item_answer(item, answer->error_code, STR_NULL)) {
        struct ottla_fenced_producer *result = item->result;
        result->producer_id = answer->producer_id;
        result->producer_epoch = answer->producer_epoch;
    }
}

static const struct admin_stage fence_stages[] = {{
    .api_key = API_INIT_PRODUCER_ID,
    .route = ADMIN_TRANSACTION,
    .each = true,
    .passing = ADMIN_PASS_TRANSACTION,
    .build = fence_build,
    .take = fence_take,
}};
static const struct admin_op fence_op = {
    .name = "fence producers",
    .kind = ADMIN_FENCED_PRODUCERS,
    .effect = ADMIN_CHANGES,
    .stages = fence_stages,
};

struct ottla_call *ottla_producers_fence(struct ottla_client *client,
                                         const char *const *transactional_ids, size_t count,
                                         const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &fence_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item = id_add(call, transactional_ids[i]);
        struct ottla_fenced_producer *result = admin_result_add(call);
        result->transactional_id = admin_text(call, item->name);
        result->producer_id = -1;
        result->producer_epoch = -1;
        item->result = result;
    }
    return admin_start(call);
}

/* --- abort --- */

enum { STAGE_FIND, STAGE_MARK };

static err_t abort_build(struct admin_part *part, int16_t version, struct arena *arena,
                         const void **ret_request) {
    (void)version;
    const struct admin_item *item = part->items[0];
    const struct ottla_transaction_abort *input = item->input;
    struct write_txn_markers_request_writable_txn_marker *marker =
        ARENA_NEW(arena, struct write_txn_markers_request_writable_txn_marker);
    struct write_txn_markers_request_writable_txn_marker_topic *topic =
        ARENA_NEW(arena, struct write_txn_markers_request_writable_txn_marker_topic);
    *topic = (struct write_txn_markers_request_writable_txn_marker_topic){
        .name = item->name,
        .partition_indexes = admin_numbers(part, arena),
        .partition_indexes_count = 1,
    };
    *marker = (struct write_txn_markers_request_writable_txn_marker){
        .producer_id = input->producer_id,
        .producer_epoch = input->producer_epoch,
        .transaction_result = false,
        .topics = topic,
        .topics_count = 1,
        .coordinator_epoch = input->coordinator_epoch < 0 ? 0 : input->coordinator_epoch,
    };
    struct write_txn_markers_request *request = ADMIN_REQUEST(arena, write_txn_markers_request);
    request->markers = marker;
    request->markers_count = 1;
    *ret_request = request;
    return ERR_OK;
}

static void abort_take(struct admin_part *part, const void *response, int16_t version) {
    (void)version;
    const struct write_txn_markers_response *answer = response;
    for (int32_t m = 0; m < answer->markers_count; m++) {
        for (int32_t t = 0; t < answer->markers[m].topics_count; t++) {
            const struct write_txn_markers_response_writable_txn_marker_topic_result *topic =
                &answer->markers[m].topics[t];
            for (int32_t p = 0; p < topic->partitions_count; p++) {
                struct admin_item *item =
                    admin_find(part, topic->name, topic->partitions[p].partition_index);
                if (item != NULL) {
                    (void)admin_item_answer(item, topic->partitions[p].error_code, STR_NULL);
                }
            }
        }
    }
}

static const struct admin_stage abort_stages[] = {
    [STAGE_FIND] = ADMIN_FIND_LEADERS,
    [STAGE_MARK] = {.api_key = API_WRITE_TXN_MARKERS,
                    .route = ADMIN_BROKER,
                    .each = true,
                    .once = true,
                    .again = STAGE_FIND,
                    .passing = ADMIN_PASS_LEADER,
                    .build = abort_build,
                    .take = abort_take},
};
static const struct admin_op abort_op = {
    .name = "abort transactions",
    .kind = ADMIN_PARTITIONS,
    .effect = ADMIN_CHANGES,
    .stages = abort_stages,
};

struct ottla_call *ottla_transactions_abort(struct ottla_client *client,
                                            const struct ottla_transaction_abort *aborts,
                                            size_t count,
                                            const struct ottla_admin_options *options) {
    struct ottla_call *call = admin_call_new(client, &abort_op, options);
    for (size_t i = 0; i < count; i++) {
        struct admin_item *item = admin_partition_add(call, aborts[i].topic, aborts[i].partition);
        struct ottla_transaction_abort *copy =
            ARENA_NEW(&call->arena, struct ottla_transaction_abort);
        *copy = aborts[i]; /* its topic is the item's name */
        item->input = copy;
        (void)admin_partition_result(call, item);
    }
    return admin_start(call);
}
