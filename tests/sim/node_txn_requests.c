#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node_txn.h"
#include "wire/api.h"

enum { KEY_GROUP = 0, KEY_TRANSACTION = 1, VERSION_WITH_IDS = 13 };

void txn_message_copy(struct txn_message *to, const struct txn_message *from) {
    *to = *from;
    memset(&to->batch, 0, sizeof to->batch);
    buffer_add(&to->batch, from->batch.data, from->batch.size);
}

void txn_message_done(struct txn_message *request) {
    buffer_done(&request->batch);
    memset(&request->batch, 0, sizeof request->batch);
}

/* --- sending --- */

static err_t send_find(const struct txn_message *request, struct node_link *link,
                       client_done_fn done, void *arg) {
    struct find_coordinator_request message;
    wire_init(&find_coordinator_request_type, &message);
    bool group = request->kind == TXN_FIND_GROUP;
    struct str key = str_from_c(group ? request->group : request->id);
    message.key_type = group ? KEY_GROUP : KEY_TRANSACTION;
    message.coordinator_keys = &key;
    message.coordinator_keys_count = 1;
    return node_link_send(link, API_FIND_COORDINATOR, 4, &message, done, arg);
}

static err_t send_init(const struct txn_message *request, struct node_link *link,
                       client_done_fn done, void *arg) {
    struct init_producer_id_request message;
    wire_init(&init_producer_id_request_type, &message);
    message.transactional_id = str_from_c(request->id);
    message.transaction_timeout_ms = request->timeout_ms;
    message.producer_id = request->producer_id;
    message.producer_epoch = request->epoch;
    return node_link_send(link, API_INIT_PRODUCER_ID, request->version_2 ? 5 : 4, &message, done,
                          arg);
}

static err_t send_fetch(const struct txn_message *request, struct node_link *link,
                        client_done_fn done, void *arg) {
    int32_t partition = request->partition;
    struct offset_fetch_request_topics topic = {
        .name = str_from_c(request->topic->name),
        .partition_indexes = &partition,
        .partition_indexes_count = 1,
    };
    struct offset_fetch_request_group group = {
        .group_id = str_from_c(request->group),
        .member_epoch = -1,
        .topics = &topic,
        .topics_count = 1,
    };
    if (request->who.fetches) {
        group.member_id = str_from_c(request->who.id);
        group.member_epoch = request->who.generation;
    }
    struct offset_fetch_request message;
    wire_init(&offset_fetch_request_type, &message);
    message.groups = &group;
    message.groups_count = 1;
    message.require_stable = true;
    return node_link_send(link, API_OFFSET_FETCH, 9, &message, done, arg);
}

static err_t send_add(const struct txn_message *request, struct node_link *link,
                      client_done_fn done, void *arg) {
    int32_t partition = request->partition;
    struct add_partitions_to_txn_request_add_partitions_to_txn_topic topic = {
        .name = str_from_c(request->topic->name), .partitions = &partition, .partitions_count = 1};
    struct add_partitions_to_txn_request message;
    wire_init(&add_partitions_to_txn_request_type, &message);
    message.v3_and_below_transactional_id = str_from_c(request->id);
    message.v3_and_below_producer_id = request->producer_id;
    message.v3_and_below_producer_epoch = request->epoch;
    message.v3_and_below_topics = &topic;
    message.v3_and_below_topics_count = 1;
    return node_link_send(link, API_ADD_PARTITIONS_TO_TXN, 3, &message, done, arg);
}

static err_t send_produce(const struct txn_message *request, struct node_link *link,
                          client_done_fn done, void *arg) {
    bool by_id = request->produce_version >= VERSION_WITH_IDS;
    struct produce_request_partition_produce_data partition = {
        .index = request->partition,
        .records = {.data = request->batch.data, .size = request->batch.size}};
    struct produce_request_topic_produce_data topic = {
        .name = by_id ? STR("") : str_from_c(request->topic->name),
        .topic_id = by_id ? request->topic->id : UUID_ZERO,
        .partition_data = &partition,
        .partition_data_count = 1,
    };
    struct produce_request message;
    wire_init(&produce_request_type, &message);
    message.transactional_id = str_from_c(request->id);
    message.acks = -1;
    message.timeout_ms = 3000;
    message.topic_data = &topic;
    message.topic_data_count = 1;
    return node_link_send(link, API_PRODUCE, request->produce_version, &message, done, arg);
}

static err_t send_add_offsets(const struct txn_message *request, struct node_link *link,
                              client_done_fn done, void *arg) {
    struct add_offsets_to_txn_request message;
    wire_init(&add_offsets_to_txn_request_type, &message);
    message.transactional_id = str_from_c(request->id);
    message.producer_id = request->producer_id;
    message.producer_epoch = request->epoch;
    message.group_id = str_from_c(request->group);
    return node_link_send(link, API_ADD_OFFSETS_TO_TXN, 3, &message, done, arg);
}

static err_t send_offsets(const struct txn_message *request, struct node_link *link,
                          client_done_fn done, void *arg) {
    struct txn_offset_commit_request_partition partition = {
        .partition_index = request->partition,
        .committed_offset = request->offset,
        .committed_leader_epoch = -1,
        .committed_metadata = STR(""),
    };
    struct txn_offset_commit_request_topic topic = {
        .name = str_from_c(request->topic->name), .partitions = &partition, .partitions_count = 1};
    struct txn_offset_commit_request message;
    wire_init(&txn_offset_commit_request_type, &message);
    message.transactional_id = str_from_c(request->id);
    message.group_id = str_from_c(request->group);
    message.producer_id = request->producer_id;
    message.producer_epoch = request->epoch;
    message.generation_id_or_member_epoch = request->who.generation;
    message.member_id = str_from_c(request->who.id);
    if (request->who.instance[0] != '\0') {
        message.group_instance_id = str_from_c(request->who.instance);
    }
    message.topics = &topic;
    message.topics_count = 1;
    return node_link_send(link, API_TXN_OFFSET_COMMIT, request->version_2 ? 5 : 3, &message, done,
                          arg);
}

static err_t send_end(const struct txn_message *request, struct node_link *link,
                      client_done_fn done, void *arg) {
    struct end_txn_request message;
    wire_init(&end_txn_request_type, &message);
    message.transactional_id = str_from_c(request->id);
    message.producer_id = request->producer_id;
    message.producer_epoch = request->epoch;
    message.committed = request->commit;
    return node_link_send(link, API_END_TXN, request->version_2 ? 5 : 3, &message, done, arg);
}

err_t txn_message_send(struct txn_message *request, struct node_link *link, client_done_fn done,
                       void *arg) {
    typedef err_t (*send_fn)(const struct txn_message *, struct node_link *, client_done_fn,
                             void *);
    static const send_fn sends[TXN_KINDS] = {
        [TXN_FIND] = send_find,       [TXN_FIND_GROUP] = send_find,
        [TXN_INIT] = send_init,       [TXN_FETCH] = send_fetch,
        [TXN_ADD] = send_add,         [TXN_PRODUCE] = send_produce,
        [TXN_END] = send_end,         [TXN_ADD_OFFSETS] = send_add_offsets,
        [TXN_OFFSETS] = send_offsets,
    };
    if (!link->is_up) {
        return ERR_CLOSED;
    }
    if (request->first_sent_ms < 0) {
        request->first_sent_ms = sys_mono_ms(link->sim->sys);
    }
    request->sends++;
    request->asked_at = audit_txns_now(link->sim->txns);
    if (request->kind == TXN_END) {
        audit_txn_end_asked(request->txn, request->commit);
    }
    return sends[request->kind](request, link, done, arg);
}

/* --- answers --- */

static struct txn_answer read_produce(const struct produce_response *response) {
    return (struct txn_answer){
        .code = response->responses[0].partition_responses[0].error_code,
        .offset = response->responses[0].partition_responses[0].base_offset,
    };
}

static struct txn_answer read_init(const struct init_producer_id_response *response) {
    return (struct txn_answer){
        .code = response->error_code,
        .producer_id = response->producer_id,
        .epoch = response->producer_epoch,
    };
}

static struct txn_answer read_end(const struct end_txn_response *response) {
    return (struct txn_answer){
        .code = response->error_code,
        .producer_id = response->producer_id,
        .epoch = response->producer_epoch,
    };
}

static struct txn_answer read_fetch(const struct offset_fetch_response *response) {
    const struct offset_fetch_response_group *group = &response->groups[0];
    if (group->error_code != ERR_OK) {
        return (struct txn_answer){.code = group->error_code};
    }
    return (struct txn_answer){
        .code = group->topics[0].partitions[0].error_code,
        .offset = group->topics[0].partitions[0].committed_offset,
    };
}

static int16_t code_of(const struct txn_message *request, const void *message) {
    switch (request->kind) {
    case TXN_FIND:
    case TXN_FIND_GROUP:
        return ((const struct find_coordinator_response *)message)->coordinators[0].error_code;
    case TXN_ADD: {
        const struct add_partitions_to_txn_response *response = message;
        return response->results_by_topic_v3_and_below[0]
            .results_by_partition[0]
            .partition_error_code;
    }
    case TXN_ADD_OFFSETS:
        return ((const struct add_offsets_to_txn_response *)message)->error_code;
    default: {
        assert(request->kind == TXN_OFFSETS);
        const struct txn_offset_commit_response *response = message;
        return response->topics[0].partitions[0].error_code;
    }
    }
}

struct txn_answer txn_answer_read(const struct txn_message *request, const void *message) {
    switch (request->kind) {
    case TXN_INIT:
        return read_init(message);
    case TXN_FETCH:
        return read_fetch(message);
    case TXN_PRODUCE:
        return read_produce(message);
    case TXN_END:
        return read_end(message);
    default:
        return (struct txn_answer){.code = code_of(request, message)};
    }
}

bool txn_error_passes(int16_t code) {
    return node_error_passes(code) || code == ERR_COORDINATOR_NOT_AVAILABLE ||
           code == ERR_NOT_COORDINATOR || code == ERR_CONCURRENT_TRANSACTIONS ||
           code == ERR_UNSTABLE_OFFSET_COMMIT;
}

bool txn_error_fences(int16_t code) {
    return code == ERR_PRODUCER_FENCED || code == ERR_INVALID_PRODUCER_EPOCH;
}

bool txn_error_aborts(int16_t code) {
    return code == ERR_INVALID_TXN_STATE || code == ERR_TRANSACTION_ABORTABLE ||
           code == ERR_OUT_OF_ORDER_SEQUENCE_NUMBER || code == ERR_INVALID_PRODUCER_ID_MAPPING;
}

bool txn_error_of_group(int16_t code) {
    return code == ERR_ILLEGAL_GENERATION || code == ERR_UNKNOWN_MEMBER_ID ||
           code == ERR_FENCED_INSTANCE_ID || code == ERR_FENCED_MEMBER_EPOCH ||
           code == ERR_STALE_MEMBER_EPOCH || code == ERR_REBALANCE_IN_PROGRESS ||
           code == ERR_GROUP_ID_NOT_FOUND;
}
