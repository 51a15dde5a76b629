/* The table of requests that belong to transactional ids, and how each of them fails as a whole. */
#include "coord/txn_int.h"
#include "wire/api_keys.h"

/* --- whose transactional id decides the shard --- */

static struct str init_id(const void *request) {
    return ((const struct init_producer_id_request *)request)->transactional_id;
}

static struct str add_id(const void *request) {
    return ((const struct add_partitions_to_txn_request *)request)
        ->transactions[0]
        .transactional_id;
}

static struct str end_id(const void *request) {
    return ((const struct end_txn_request *)request)->transactional_id;
}

static struct str describe_id(const void *request) {
    return ((const struct describe_transactions_request *)request)->transactional_ids[0];
}

/* --- failures --- */

static void init_fail(const struct coord_call *call, int16_t code, void *ret) {
    (void)call;
    struct init_producer_id_response *response = ret;
    response->error_code = code;
    response->producer_id = TXN_NO_PRODUCER;
    response->producer_epoch = TXN_NO_EPOCH;
}

static void end_fail(const struct coord_call *call, int16_t code, void *ret) {
    (void)call;
    ((struct end_txn_response *)ret)->error_code = code;
}

static void list_fail(const struct coord_call *call, int16_t code, void *ret) {
    (void)call;
    ((struct list_transactions_response *)ret)->error_code = code;
}

/* --- the table --- */

static const struct coord_api apis[] = {
    {API_INIT_PRODUCER_ID, &init_producer_id_request_type, &init_producer_id_response_type, init_id,
     txn_init_check, txn_init_step, init_fail, false},
    {API_ADD_PARTITIONS_TO_TXN, &add_partitions_to_txn_request_type,
     &add_partitions_to_txn_response_type, add_id, txn_add_check, txn_add_step, txn_add_fail, true},
    {API_END_TXN, &end_txn_request_type, &end_txn_response_type, end_id, txn_end_check,
     txn_end_step, end_fail, false},
    {API_DESCRIBE_TRANSACTIONS, &describe_transactions_request_type,
     &describe_transactions_response_type, describe_id, NULL, txn_describe_step, txn_describe_fail,
     false},
    {API_LIST_TRANSACTIONS, &list_transactions_request_type, &list_transactions_response_type, NULL,
     NULL, txn_list_step, list_fail, false},
};

const struct coord_api *txn_api_find(int16_t key) {
    for (size_t i = 0; i < sizeof apis / sizeof apis[0]; i++) {
        if (apis[i].key == key) {
            return &apis[i];
        }
    }
    return NULL;
}
