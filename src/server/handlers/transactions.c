/* DescribeTransactions and ListTransactions: asked of all shards that matter, put together here. */
#include "coord/transactions.h"
#include "base/duplicates.h"
#include "server/handlers/group_request.h"
#include "server/handlers/handlers.h"
#include "server/node_int.h"

typedef struct describe_transactions_response_transaction_state described_transaction;
typedef struct list_transactions_response_transaction_state listed_transaction;

/* --- DescribeTransactions --- */

static void described(struct group_fan *fan) {
    const struct describe_transactions_request *message = fan->request->message;
    struct describe_transactions_response answer;
    wire_init(&describe_transactions_response_type, &answer);
    answer.transaction_states = ARENA_ARRAY(&fan->request->arena, described_transaction,
                                            (size_t)message->transactional_ids_count);
    answer.transaction_states_count = message->transactional_ids_count;
    for (int32_t i = 0; i < fan->part_count; i++) {
        const struct group_part *part = &fan->parts[i];
        const struct describe_transactions_response *response = part->call.response;
        for (int32_t k = 0; k < part->count; k++) {
            answer.transaction_states[part->places[k]] = response->transaction_states[k];
        }
    }
    request_respond(fan->request, &answer);
}

void handle_describe_transactions(struct request *request) {
    const struct describe_transactions_request *message = request->message;
    struct group_fan *fan =
        txn_fan_new(request, message->transactional_ids, message->transactional_ids_count);
    for (int32_t i = 0; i < fan->part_count; i++) {
        struct group_part *part = &fan->parts[i];
        struct describe_transactions_request *pass =
            ARENA_NEW(&request->arena, struct describe_transactions_request);
        pass->transactional_ids = ARENA_ARRAY(&request->arena, struct str, (size_t)part->count);
        pass->transactional_ids_count = part->count;
        for (int32_t k = 0; k < part->count; k++) {
            pass->transactional_ids[k] = message->transactional_ids[part->places[k]];
        }
        part->message = pass;
    }
    group_fan_send(fan, described);
}

/* --- ListTransactions --- */

/* A shard that another broker has is no error: the client asks all brokers. */
static err_t list_error(const struct group_fan *fan) {
    for (int32_t i = 0; i < fan->part_count; i++) {
        const struct list_transactions_response *response = fan->parts[i].call.response;
        if (response->error_code != 0 && response->error_code != ERR_NOT_COORDINATOR) {
            return err_from_kafka_code(response->error_code);
        }
    }
    return ERR_OK;
}

struct unknown_states {
    struct str *names;
    int32_t count;
};

/* Each once, as Kafka, which has the filters in a set. */
static struct unknown_states *unknown_states(struct request *request) {
    const struct list_transactions_request *message = request->message;
    struct arena *arena = &request->arena;
    size_t count = (size_t)message->state_filters_count;
    struct unknown_states *unknown = ARENA_NEW(arena, struct unknown_states);
    struct bytes *names = ARENA_ARRAY(arena, struct bytes, count);
    unknown->names = ARENA_ARRAY(arena, struct str, count);
    for (size_t i = 0; i < count; i++) {
        names[i] = str_bytes(message->state_filters[i]);
    }
    struct duplicates duplicates;
    duplicates_find(arena, names, message->state_filters_count, &duplicates);
    for (size_t i = 0; i < count; i++) {
        if (!duplicates.again[i] && !coord_txn_state_known(message->state_filters[i])) {
            unknown->names[unknown->count++] = message->state_filters[i];
        }
    }
    return unknown;
}

static void listed(struct group_fan *fan) {
    struct list_transactions_response answer;
    wire_init(&list_transactions_response_type, &answer);
    answer.error_code = err_kafka_code(list_error(fan));
    if (answer.error_code != 0) {
        request_respond(fan->request, &answer);
        return;
    }
    const struct unknown_states *unknown = fan->context;
    answer.unknown_state_filters = unknown->names;
    answer.unknown_state_filters_count = unknown->count;
    size_t count = 0;
    for (int32_t i = 0; i < fan->part_count; i++) {
        const struct list_transactions_response *response = fan->parts[i].call.response;
        count += (size_t)response->transaction_states_count;
    }
    answer.transaction_states = ARENA_ARRAY(&fan->request->arena, listed_transaction, count);
    for (int32_t i = 0; i < fan->part_count; i++) {
        const struct list_transactions_response *response = fan->parts[i].call.response;
        for (int32_t k = 0; k < response->transaction_states_count; k++) {
            answer.transaction_states[answer.transaction_states_count++] =
                response->transaction_states[k];
        }
    }
    request_respond(fan->request, &answer);
}

void handle_list_transactions(struct request *request) {
    const struct list_transactions_request *message = request->message;
    err_t err = coord_txn_pattern_check(message->transactional_id_pattern);
    if (err != ERR_OK) {
        struct list_transactions_response answer;
        wire_init(&list_transactions_response_type, &answer);
        answer.error_code = err_kafka_code(err);
        request_respond(request, &answer);
        return;
    }
    struct list_transactions_request *pass =
        ARENA_NEW(&request->arena, struct list_transactions_request);
    *pass = *message;
    struct group_fan *fan = txn_fan_new_all(request);
    fan->context = unknown_states(request);
    coord_txn_filters_prepare(pass);
    for (int32_t i = 0; i < fan->part_count; i++) {
        fan->parts[i].message = pass;
    }
    group_fan_send(fan, listed);
}
