/* Leaders' questions to the coordinator: AddPartitionsToTxn, as another node would ask it. */
#include "server/txn_verify.h"

#include <assert.h>
#include <stdlib.h>

#include "server/node_int.h"
#include "server/txn_metrics.h"
#include "sys/sys.h"
#include "wire/api_keys.h"
#include "wire/messages.h"

typedef struct add_partitions_to_txn_request_add_partitions_to_txn_topic asked_topic;
typedef struct add_partitions_to_txn_request_add_partitions_to_txn_transaction asked_transaction;
typedef struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result answer_topic;

/* Of clients of transaction.version 2, and of those before. */
enum { VERSION_ADD = 5, VERSION_VERIFY = 4 };

struct question {
    struct coord_call call;
    struct txn_verify *verify;
    struct node *node;
    int64_t asked_ns;
    struct arena arena;
    struct add_partitions_to_txn_request request;
    asked_transaction transaction;
};

static void count(const struct question *question, int32_t failures) {
    struct node *node = question->node;
    int reactor = node_reactor(node, question->verify->loop)->index;
    int64_t took_ns = sys_mono_ns(node->sys) - question->asked_ns;
    txn_metrics_verified(node->txn_metrics, reactor, took_ns / 1000, failures);
}

/* The answer has a topic for each partition, as the question. */
static void answered(struct coord_call *call) {
    struct question *question = container_of(call, struct question, call);
    struct txn_verify *verify = question->verify;
    const struct add_partitions_to_txn_response *response = call->response;
    const answer_topic *topics = response->results_by_transaction[0].topic_results;
    int32_t failures = 0;
    for (int32_t i = 0; i < verify->part_count; i++) {
        int16_t code = topics[i].results_by_partition[0].partition_error_code;
        verify->parts[i].err = err_from_kafka_code(code);
        failures += code != 0;
    }
    count(question, failures);
    arena_done(&question->arena);
    free(question);
    verify->done(verify);
}

/* Nobody leads any of its partitions before the topic is made, with the first transactional id. */
static bool has_coordinators(struct node *node, const struct txn_verify *verify) {
    const struct meta_image *image = node_reactor(node, verify->loop)->image;
    return meta_image_topic(image, STR("__transaction_state")) != NULL;
}

void txn_verify_begin(struct node *node, struct txn_verify *verify) {
    if (!has_coordinators(node, verify)) {
        for (int32_t i = 0; i < verify->part_count; i++) {
            verify->parts[i].err = ERR_COORDINATOR_NOT_AVAILABLE;
        }
        verify->done(verify);
        return;
    }
    bool adds = verify->mode == TXN_VERIFY_ADD;
    struct question *question = calloc(1, sizeof *question);
    assert(question != NULL);
    question->verify = verify;
    question->node = node;
    question->asked_ns = sys_mono_ns(node->sys);
    arena_init(&question->arena, SIZE_MAX);
    asked_topic *topics = ARENA_ARRAY(&question->arena, asked_topic, (size_t)verify->part_count);
    for (int32_t i = 0; i < verify->part_count; i++) {
        topics[i] = (asked_topic){.name = verify->parts[i].topic,
                                  .partitions = &verify->parts[i].partition,
                                  .partitions_count = 1};
    }
    question->transaction = (asked_transaction){
        .transactional_id = verify->transactional_id,
        .producer_id = verify->producer_id,
        .producer_epoch = verify->producer_epoch,
        .verify_only = !adds,
        .topics = topics,
        .topics_count = verify->part_count,
    };
    question->request.transactions = &question->transaction;
    question->request.transactions_count = 1;
    question->call = (struct coord_call){
        .api_key = API_ADD_PARTITIONS_TO_TXN,
        .version = adds ? VERSION_ADD : VERSION_VERIFY,
        .client_id = STR_NULL,
        .client_host = STR(""),
        .arena = &question->arena,
        .request = &question->request,
        .loop = verify->loop,
        .done = answered,
    };
    coord_submit(node->transactions, &question->call);
}
