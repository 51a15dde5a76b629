/*
 * AddPartitionsToTxn: of a client up to version 3, for one transaction; of leaders from version 4
 * on, for many. A partition that cannot be added keeps all of its transaction from being added.
 *
 * The coordinator takes one transaction at a time, in the form of version 4, so that whoever names
 * one twice adds twice.
 */
#include "base/limits.h"
#include "server/handlers/group_request.h"
#include "server/handlers/handlers.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"

typedef struct add_partitions_to_txn_request add_request;
typedef struct add_partitions_to_txn_response add_response;
typedef struct add_partitions_to_txn_request_add_partitions_to_txn_topic asked_topic;
typedef struct add_partitions_to_txn_request_add_partitions_to_txn_transaction asked_transaction;
typedef struct add_partitions_to_txn_response_add_partitions_to_txn_result answer_transaction;
typedef struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result answer_topic;
typedef struct add_partitions_to_txn_response_add_partitions_to_txn_partition_result
    answer_partition;

enum { VERSION_OF_LEADERS = 4 };

/* --- partitions that cannot be added --- */

/* Coordinators write their own topics: the partition of a group comes in by AddOffsetsToTxn, and a
 * client that names one is told what Kafka tells it, authorizer or not. Leaders may name any. */
static err_t topic_err(struct request *request, struct str name, const struct meta_topic **ret) {
    *ret = NULL;
    return request->version < VERSION_OF_LEADERS && topic_is_internal(name)
               ? ERR_TOPIC_AUTHORIZATION_FAILED
               : topic_find(request, name, ret);
}

static err_t partition_err(err_t topic_err, const struct meta_topic *topic, int32_t partition) {
    return topic_err != ERR_OK                              ? topic_err
           : meta_topic_partition(topic, partition) != NULL ? ERR_OK
                                                            : ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static bool can_add(struct request *request, const asked_transaction *asked) {
    for (int32_t i = 0; i < asked->topics_count; i++) {
        const struct meta_topic *topic;
        err_t err = topic_err(request, asked->topics[i].name, &topic);
        for (int32_t k = 0; k < asked->topics[i].partitions_count; k++) {
            if (partition_err(err, topic, asked->topics[i].partitions[k]) != ERR_OK) {
                return false;
            }
        }
    }
    return true;
}

static void refuse(struct request *request, const asked_transaction *asked,
                   answer_transaction *answer) {
    struct arena *arena = &request->arena;
    answer->transactional_id = asked->transactional_id;
    answer->topic_results = ARENA_ARRAY(arena, answer_topic, (size_t)asked->topics_count);
    answer->topic_results_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        const asked_topic *topic = &asked->topics[i];
        const struct meta_topic *found;
        err_t found_err = topic_err(request, topic->name, &found);
        answer_topic *made = &answer->topic_results[i];
        made->name = topic->name;
        made->results_by_partition_count = topic->partitions_count;
        made->results_by_partition =
            ARENA_ARRAY(arena, answer_partition, (size_t)topic->partitions_count);
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            err_t err = partition_err(found_err, found, topic->partitions[k]);
            made->results_by_partition[k] = (answer_partition){
                .partition_index = topic->partitions[k],
                .partition_error_code =
                    err_kafka_code(err == ERR_OK ? ERR_OPERATION_NOT_ATTEMPTED : err),
            };
        }
    }
}

/* --- of a client --- */

static void respond_to_client(struct request *request, answer_transaction *answer) {
    add_response response;
    wire_init(&add_partitions_to_txn_response_type, &response);
    response.results_by_topic_v3_and_below = answer->topic_results;
    response.results_by_topic_v3_and_below_count = answer->topic_results_count;
    for (int32_t i = 0; i < answer->topic_results_count; i++) {
        answer_topic *topic = &answer->topic_results[i];
        for (int32_t k = 0; k < topic->results_by_partition_count; k++) {
            int16_t *code = &topic->results_by_partition[k].partition_error_code;
            bool unknown_to_it = request->version < 2 && *code == ERR_PRODUCER_FENCED;
            *code = unknown_to_it ? (int16_t)ERR_INVALID_PRODUCER_EPOCH : *code;
        }
    }
    request_respond(request, &response);
}

static void added_of_client(struct group_request *sent) {
    const add_response *made = sent->call.response;
    respond_to_client(sent->request, &made->results_by_transaction[0]);
}

static void add_of_client(struct request *request) {
    const add_request *message = request->message;
    struct arena *arena = &request->arena;
    asked_transaction *transaction = ARENA_NEW(arena, asked_transaction);
    *transaction = (asked_transaction){
        .transactional_id = message->v3_and_below_transactional_id,
        .producer_id = message->v3_and_below_producer_id,
        .producer_epoch = message->v3_and_below_producer_epoch,
        .topics = message->v3_and_below_topics,
        .topics_count = message->v3_and_below_topics_count,
    };
    if (!can_add(request, transaction)) {
        answer_transaction answer;
        refuse(request, transaction, &answer);
        respond_to_client(request, &answer);
        return;
    }
    add_request *pass = ARENA_NEW(arena, add_request);
    pass->transactions = transaction;
    pass->transactions_count = 1;
    txn_request_send(request, API_ADD_PARTITIONS_TO_TXN, pass, NULL, added_of_client);
}

/* --- of leaders --- */

static void added(struct group_fan *fan) {
    const add_request *message = fan->request->message;
    answer_transaction *answers = fan->context;
    add_response response;
    wire_init(&add_partitions_to_txn_response_type, &response);
    response.results_by_transaction = answers;
    response.results_by_transaction_count = message->transactions_count;
    for (int32_t i = 0; i < fan->part_count; i++) {
        const add_response *made = fan->parts[i].call.response;
        answers[fan->parts[i].places[0]] = made->results_by_transaction[0];
    }
    request_respond(fan->request, &response);
}

static void add_of_leader(struct request *request) {
    const add_request *message = request->message;
    struct arena *arena = &request->arena;
    int32_t count = message->transactions_count;
    struct str *ids = ARENA_ARRAY(arena, struct str, (size_t)count);
    int32_t *places = ARENA_ARRAY(arena, int32_t, (size_t)count);
    answer_transaction *answers = ARENA_ARRAY(arena, answer_transaction, (size_t)count);
    int32_t id_count = 0;
    for (int32_t i = 0; i < count; i++) {
        if (can_add(request, &message->transactions[i])) {
            places[id_count] = i;
            ids[id_count++] = message->transactions[i].transactional_id;
        } else {
            refuse(request, &message->transactions[i], &answers[i]);
        }
    }
    struct group_fan *fan = txn_fan_new_each(request, ids, id_count);
    fan->context = answers;
    for (int32_t i = 0; i < fan->part_count; i++) {
        add_request *pass = ARENA_NEW(arena, add_request);
        fan->parts[i].places[0] = places[i];
        pass->transactions = &message->transactions[places[i]];
        pass->transactions_count = 1;
        fan->parts[i].message = pass;
    }
    group_fan_send(fan, added);
}

static int64_t count_partitions(const asked_topic *topics, int32_t count) {
    int64_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        sum += topics[i].partitions_count;
    }
    return sum;
}

static bool is_too_much(const add_request *message) {
    int64_t partitions =
        count_partitions(message->v3_and_below_topics, message->v3_and_below_topics_count);
    for (int32_t i = 0; i < message->transactions_count; i++) {
        const asked_transaction *asked = &message->transactions[i];
        partitions += count_partitions(asked->topics, asked->topics_count);
    }
    return partitions > TXN_PARTITIONS_MAX || message->transactions_count > TXN_ADDITIONS_MAX;
}

void handle_add_partitions_to_txn(struct request *request) {
    if (is_too_much(request->message)) {
        request_close(request, "it adds to more transactions, or more partitions, than we look at "
                               "at a time");
    } else if (request->version < VERSION_OF_LEADERS) {
        add_of_client(request);
    } else {
        add_of_leader(request);
    }
}
