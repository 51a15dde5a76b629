/*
 * AddPartitionsToTxn, one transaction in a call: in the form of version 4 and later, whatever the
 * version. The first partition begins the transaction. All partitions of a transaction are added,
 * or none; verify_only says of each whether it was.
 */
#include "coord/txn_int.h"

typedef struct add_partitions_to_txn_request add_request;
typedef struct add_partitions_to_txn_response add_response;
typedef struct add_partitions_to_txn_request_add_partitions_to_txn_topic asked_topic;
typedef struct add_partitions_to_txn_request_add_partitions_to_txn_transaction asked_transaction;
typedef struct add_partitions_to_txn_response_add_partitions_to_txn_result answer_transaction;
typedef struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result answer_topic;
typedef struct add_partitions_to_txn_response_add_partitions_to_txn_partition_result
    answer_partition;

/* Clients of transaction.version 2 send none: a leader adds for them. */
enum { VERSION_OF_LEADERS = 4 };

static const asked_transaction *asked_of(const struct coord_call *call) {
    return &((const add_request *)call->request)->transactions[0];
}

/* The same for all partitions; or, with a transaction, what it has to do with each. */
static void answer(const struct coord_call *call, err_t err, const struct txn_values *values,
                   add_response *response) {
    const asked_transaction *asked = asked_of(call);
    answer_transaction *result = ARENA_NEW(call->arena, answer_transaction);
    response->results_by_transaction = result;
    response->results_by_transaction_count = 1;
    result->transactional_id = asked->transactional_id;
    result->topic_results = ARENA_ARRAY(call->arena, answer_topic, (size_t)asked->topics_count + 1);
    result->topic_results_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        const asked_topic *topic = &asked->topics[i];
        answer_topic *made = &result->topic_results[i];
        made->name = topic->name;
        made->results_by_partition_count = topic->partitions_count;
        made->results_by_partition =
            ARENA_ARRAY(call->arena, answer_partition, (size_t)topic->partitions_count + 1);
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            bool strange =
                values != NULL && !txn_partitions_have(values, topic->name, topic->partitions[k]);
            made->results_by_partition[k] = (answer_partition){
                .partition_index = topic->partitions[k],
                .partition_error_code = (int16_t)(strange ? ERR_TRANSACTION_ABORTABLE : err),
            };
        }
    }
}

bool txn_add_check(const struct coord_call *call, const struct groups *groups, void *response) {
    (void)groups;
    bool good = asked_of(call)->transactional_id.size > 0;
    if (!good) {
        answer(call, ERR_INVALID_REQUEST, NULL, response);
    }
    return good;
}

void txn_add_fail(const struct coord_call *call, int16_t code, void *response) {
    answer(call, (err_t)code, NULL, response);
}

/* --- adding --- */

static struct txn_partition *list_partitions(struct arena *arena, const asked_transaction *asked,
                                             int32_t *ret_count) {
    size_t count = 0;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        count += (size_t)asked->topics[i].partitions_count;
    }
    struct txn_partition *list = ARENA_ARRAY(arena, struct txn_partition, count + 1);
    *ret_count = 0;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        const asked_topic *topic = &asked->topics[i];
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            list[(*ret_count)++] =
                (struct txn_partition){.topic = topic->name, .partition = topic->partitions[k]};
        }
    }
    return list;
}

static void add(struct group_step *step, struct txn *txn) {
    int32_t count;
    struct txn_partition *list = list_partitions(step->arena, asked_of(step->call), &count);
    bool ongoing = txn->values.state == TXN_ONGOING;
    struct txn_values next = txn_next(step, txn, TXN_ONGOING);
    txn_partitions_add(step->arena, &next, list, count);
    if (ongoing && next.partition_count == txn->values.partition_count) {
        return; /* it has all of them */
    }
    if (!ongoing) {
        next.start_ms = step->wall_ms;
    }
    next.client_version = step->call->version >= VERSION_OF_LEADERS ? 2 : 0;
    txn_write(step, txn, &next);
}

/* While a transaction is ended its producer may have the next epoch, and the next id, already:
 * whatever it names, it has to wait. A leader asks about what it has. */
static err_t check(const struct txn *txn, const asked_transaction *asked) {
    bool busy = txn != NULL && (txn_is_prepared(txn) || txn->asking);
    if (busy && !asked->verify_only) {
        return ERR_CONCURRENT_TRANSACTIONS;
    }
    if (txn == NULL || txn->values.producer_id != asked->producer_id) {
        return ERR_INVALID_PRODUCER_ID_MAPPING;
    }
    if (txn->values.epoch != asked->producer_epoch ||
        asked->producer_epoch == TXN_EPOCH_OF_NOBODY) {
        return ERR_PRODUCER_FENCED;
    }
    return txn_is_prepared(txn) ? ERR_CONCURRENT_TRANSACTIONS : ERR_OK;
}

err_t txn_add_step(struct group_step *step) {
    const asked_transaction *asked = asked_of(step->call);
    struct txn *txn = txns_find_known(step->groups, asked->transactional_id);
    err_t err = check(txn, asked);
    bool verifies = err == ERR_OK && asked->verify_only;
    if (err == ERR_OK && !asked->verify_only) {
        add(step, txn);
    }
    answer(step->call, err, verifies ? &txn->values : NULL, step->response);
    return ERR_OK;
}
