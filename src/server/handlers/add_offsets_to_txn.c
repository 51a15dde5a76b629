/*
 * AddOffsetsToTxn: the partition of __consumer_offsets that the group belongs to becomes part of
 * the transaction, as any other.
 */
#include "server/handlers/group_request.h"
#include "server/handlers/handlers.h"
#include "server/node_int.h"

typedef struct add_partitions_to_txn_request add_request;
typedef struct add_partitions_to_txn_response add_response;
typedef struct add_partitions_to_txn_request_add_partitions_to_txn_topic asked_topic;
typedef struct add_partitions_to_txn_request_add_partitions_to_txn_transaction asked_transaction;

static void added(struct group_request *sent) {
    const add_response *made = sent->call.response;
    struct add_offsets_to_txn_response response;
    wire_init(&add_offsets_to_txn_response_type, &response);
    response.error_code = made->results_by_transaction[0]
                              .topic_results[0]
                              .results_by_partition[0]
                              .partition_error_code;
    if (sent->request->version < 2 && response.error_code == ERR_PRODUCER_FENCED) {
        response.error_code = ERR_INVALID_PRODUCER_EPOCH; /* they do not know the other */
    }
    request_respond(sent->request, &response);
}

void handle_add_offsets_to_txn(struct request *request) {
    const struct add_offsets_to_txn_request *message = request->message;
    struct arena *arena = &request->arena;
    int32_t *partition = ARENA_NEW(arena, int32_t);
    asked_topic *topic = ARENA_NEW(arena, asked_topic);
    asked_transaction *transaction = ARENA_NEW(arena, asked_transaction);
    add_request *pass = ARENA_NEW(arena, add_request);
    *partition = coord_partition(request->node->coord, message->group_id);
    *topic = (asked_topic){
        .name = STR("__consumer_offsets"), .partitions = partition, .partitions_count = 1};
    *transaction = (asked_transaction){
        .transactional_id = message->transactional_id,
        .producer_id = message->producer_id,
        .producer_epoch = message->producer_epoch,
        .topics = topic,
        .topics_count = 1,
    };
    pass->transactions = transaction;
    pass->transactions_count = 1;
    txn_request_send(request, API_ADD_PARTITIONS_TO_TXN, pass, NULL, added);
}
