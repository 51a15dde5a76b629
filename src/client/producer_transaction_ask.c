/*
 * Requests to a transaction's coordinator, and what their errors mean, as Java's producer has it.
 *
 *   error                                  InitProd.Id   AddParts   AddOffsets   TxnOffsets commit
 *   ------------------------------------   -----------   --------   ----------   ---------- ------
 *   retriable, no answer                   again         again      again        again        again
 *   UNKNOWN_PRODUCER_ID                    fatal         abort      abort        abort        abort
 *   TRANSACTION_ABORTABLE                  fatal         abort      abort        abort        abort
 *   about topics, about the group          -             abort      abort        abort        -
 *   INVALID_TXN_STATE, ..ID_MAPPING        fatal         fatal      fatal        abort        fatal
 *   PRODUCER_FENCED, of no right, others   fatal         fatal (1)  fatal        fatal        fatal
 *
 *   (1) others: abort. INVALID_PRODUCER_EPOCH is what older coordinators say for PRODUCER_FENCED.
 *
 * For an abort all but the first line is fatal.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/producer_transaction_int.h"
#include "wire/api.h"

enum {
    FIRST_PAUSE_MS = 20,      /* while the transaction before is being finished */
    RENEWING_VERSION = 3,     /* of InitProducerId, from which on it takes an epoch to renew */
    EXPLICIT_END_VERSION = 4, /* of EndTxn; 5 brings a new epoch */
    CLIENTS_PARTITIONS_VERSION = 3, /* of AddPartitionsToTxn; later ones are for brokers */
};

/* --- asking, and errors --- */

void transaction_ask(struct producer_transaction *transaction, struct client_ask ask) {
    assert(transaction->asked == NULL);
    ask.lane = CLIENT_LANE_MAIN;
    ask.arg = transaction;
    transaction->asked = client_ask(transaction->producer->client, &ask);
}

err_t transaction_judge(const struct producer_transaction *transaction, err_t err) {
    return err == ERR_CONCURRENT_TRANSACTIONS && !transaction->started ? ERR_OK : err;
}

static bool is_about_group(err_t err) {
    return err == ERR_GROUP_AUTHORIZATION_FAILED || err == ERR_FENCED_INSTANCE_ID ||
           err == ERR_UNKNOWN_MEMBER_ID || err == ERR_ILLEGAL_GENERATION ||
           err == ERR_STALE_MEMBER_EPOCH || err == ERR_REBALANCE_IN_PROGRESS;
}

static bool is_about_offsets(err_t err) {
    return err == ERR_TOPIC_AUTHORIZATION_FAILED || err == ERR_OFFSET_METADATA_TOO_LARGE ||
           err == ERR_INVALID_COMMIT_OFFSET_SIZE || err == ERR_INVALID_TXN_STATE;
}

static bool ends_all(err_t err) {
    return err == ERR_PRODUCER_FENCED || err == ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED ||
           err == ERR_CLUSTER_AUTHORIZATION_FAILED || err == ERR_INVALID_TXN_STATE ||
           err == ERR_INVALID_PRODUCER_ID_MAPPING || err == ERR_UNSUPPORTED_VERSION;
}

static bool is_abortable(enum transaction_request request, err_t err) {
    bool of_any = err == ERR_UNKNOWN_PRODUCER_ID || err == ERR_TRANSACTION_ABORTABLE;
    switch (request) {
    case REQUEST_ID:
    case REQUEST_ABORT:
        return false;
    case REQUEST_PARTITIONS:
        return of_any || !ends_all(err);
    case REQUEST_ADD_OFFSETS:
        return of_any || is_about_group(err);
    case REQUEST_OFFSETS:
        return of_any || is_about_group(err) || is_about_offsets(err);
    case REQUEST_COMMIT:
        return of_any;
    }
    return false;
}

static void note_trouble(struct producer_transaction *transaction, const char *name, err_t err,
                         const char *why) {
    (void)snprintf(transaction->trouble, sizeof transaction->trouble, "%s: %s", name,
                   why != NULL && why[0] != 0 ? why : err_text(err));
}

static void ask_again(struct producer_transaction *transaction, enum transaction_request request,
                      err_t err) {
    struct ottla_producer *producer = transaction->producer;
    bool adds = request == REQUEST_PARTITIONS || request == REQUEST_ADD_OFFSETS;
    if (adds && transaction->state != OTTLA_TRANSACTION_OPEN &&
        transaction->state != OTTLA_TRANSACTION_COMMITTING) {
        transaction->bump = true; /* asked no more; the coordinator may have begun it */
    }
    int64_t pause_ms = client_backoff_ms(producer->client, ++transaction->failures);
    if (adds && transaction_judge(transaction, err) == ERR_OK && pause_ms > FIRST_PAUSE_MS) {
        pause_ms = FIRST_PAUSE_MS;
    }
    transaction->retry_ms = sys_mono_ms(producer->sys) + pause_ms;
    transaction_step_soon(transaction);
}

void transaction_refused(struct producer_transaction *transaction, enum transaction_request request,
                         const struct client_answer *answer, err_t err) {
    static const char *const names[] = {
        [REQUEST_ID] = "InitProducerId",
        [REQUEST_PARTITIONS] = "AddPartitionsToTxn",
        [REQUEST_ADD_OFFSETS] = "AddOffsetsToTxn",
        [REQUEST_OFFSETS] = "TxnOffsetCommit",
        [REQUEST_COMMIT] = "EndTxn",
        [REQUEST_ABORT] = "EndTxn",
    };
    assert(err != ERR_OK);
    const char *name = names[request];
    note_trouble(transaction, name, err, answer->err != ERR_OK ? answer->text : NULL);
    if (err_retriable(err) || (err >= ERR_OWN_FIRST && err != ERR_UNSUPPORTED_VERSION)) {
        ask_again(transaction, request, err);
        return;
    }
    err = err == ERR_INVALID_PRODUCER_EPOCH ? ERR_PRODUCER_FENCED : err;
    char text[OTTLA_ERROR_TEXT_SIZE];
    (void)snprintf(text, sizeof text, "%s of transactional id %.*s: %s", name,
                   STR_ARGS(transaction->id), err_text(err));
    if (is_abortable(request, err)) {
        transaction_abortable(transaction, err, text);
        transaction_step_soon(transaction);
    } else {
        producer_fail(transaction->producer, err, "%s", text);
    }
}

static void went_well(struct producer_transaction *transaction) {
    transaction->failures = 0;
    transaction->trouble[0] = 0;
}

/* --- InitProducerId --- */

static err_t build_id(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                      const void **ret_request) {
    (void)broker_id;
    const struct producer_transaction *transaction = arg;
    const struct ottla_producer *producer = transaction->producer;
    if (transaction->bump && version < RENEWING_VERSION) {
        return ERR_UNSUPPORTED_VERSION;
    }
    struct init_producer_id_request *request = ARENA_NEW(arena, struct init_producer_id_request);
    wire_init(&init_producer_id_request_type, request);
    request->transactional_id = transaction->id;
    request->transaction_timeout_ms = producer->settings.transaction_timeout_ms;
    if (transaction->bump) {
        request->producer_id = producer->producer_id;
        request->producer_epoch = producer->epoch;
    }
    *ret_request = request;
    return ERR_OK;
}

static err_t judge_id(void *arg, int16_t version, const void *message) {
    (void)arg;
    (void)version;
    const struct init_producer_id_response *response = message;
    return err_from_kafka_code(response->error_code);
}

static void id_answered(void *arg, const struct client_answer *answer) {
    struct producer_transaction *transaction = arg;
    struct ottla_producer *producer = transaction->producer;
    transaction->asked = NULL;
    const struct init_producer_id_response *response = answer->response;
    err_t err = answer->err != ERR_OK ? answer->err : err_from_kafka_code(response->error_code);
    if (err == ERR_OK && (response->producer_id < 0 || response->producer_epoch < 0)) {
        err = ERR_MALFORMED;
    }
    if (err != ERR_OK) {
        transaction_refused(transaction, REQUEST_ID, answer, err);
        return;
    }
    went_well(transaction);
    producer->producer_id = response->producer_id;
    producer->epoch = response->producer_epoch;
    transaction_ready(transaction);
}

void transaction_ask_id(struct producer_transaction *transaction) {
    transaction_ask(transaction, (struct client_ask){
                                     .role = CLIENT_TRANSACTION,
                                     .key = transaction->id,
                                     .api_key = API_INIT_PRODUCER_ID,
                                     .version_max = -1,
                                     .build = build_id,
                                     .judge = judge_id,
                                     .done = id_answered,
                                 });
}

/* --- AddPartitionsToTxn --- */

/* Counts the partitions of each topic that joins, which gets a slot. */
static size_t count_topics(const struct list *adding, size_t *ret_partition_count) {
    size_t topics = 0, partitions = 0;
    struct list *link;
    list_for_each (link, adding) {
        container_of(link, struct producer_partition, joining)->topic->slot = -1;
    }
    list_for_each (link, adding) {
        struct producer_topic *topic =
            container_of(link, struct producer_partition, joining)->topic;
        if (topic->slot < 0) {
            topic->slot = (int32_t)topics++;
        }
        partitions++;
    }
    *ret_partition_count = partitions;
    return topics;
}

typedef struct add_partitions_to_txn_request_add_partitions_to_txn_topic request_topic;

static void fill_topics(const struct list *adding, struct arena *arena, request_topic *topics) {
    struct list *link;
    list_for_each (link, adding) {
        const struct producer_topic *topic =
            container_of(link, struct producer_partition, joining)->topic;
        request_topic *row = &topics[topic->slot];
        if (row->partitions == NULL) {
            row->name = topic->name_str;
            row->partitions = ARENA_ARRAY(arena, int32_t, (size_t)topic->partitions_made);
        }
        row->partitions[row->partitions_count++] =
            container_of(link, struct producer_partition, joining)->index;
    }
}

/* Those that have come since the last try go along. */
static err_t build_partitions(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                              const void **ret_request) {
    (void)version;
    (void)broker_id;
    struct producer_transaction *transaction = arg;
    list_splice_last(&transaction->adding, &transaction->joining);
    size_t partition_count;
    size_t topic_count = count_topics(&transaction->adding, &partition_count);
    struct add_partitions_to_txn_request *request =
        ARENA_NEW(arena, struct add_partitions_to_txn_request);
    wire_init(&add_partitions_to_txn_request_type, request);
    request->v3_and_below_transactional_id = transaction->id;
    request->v3_and_below_producer_id = transaction->producer->producer_id;
    request->v3_and_below_producer_epoch = transaction->producer->epoch;
    request->v3_and_below_topics = ARENA_ARRAY(arena, request_topic, topic_count);
    request->v3_and_below_topics_count = (int32_t)topic_count;
    fill_topics(&transaction->adding, arena, request->v3_and_below_topics);
    *ret_request = request;
    return ERR_OK;
}

/* The error that counts: that which ends all before that of a partition, one that passes before
 * that of a bystander. */
static err_t partitions_error(const struct add_partitions_to_txn_response *response,
                              size_t *ret_added) {
    err_t worst = ERR_OK;
    *ret_added = 0;
    for (int32_t t = 0; t < response->results_by_topic_v3_and_below_count; t++) {
        const struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result *topic =
            &response->results_by_topic_v3_and_below[t];
        for (int32_t p = 0; p < topic->results_by_partition_count; p++) {
            err_t err = err_from_kafka_code(topic->results_by_partition[p].partition_error_code);
            *ret_added += err == ERR_OK;
            bool counts = worst == ERR_OK || worst == ERR_OPERATION_NOT_ATTEMPTED || ends_all(err);
            worst = err != ERR_OK && counts ? err : worst;
        }
    }
    return worst;
}

static err_t judge_partitions(void *arg, int16_t version, const void *message) {
    (void)version;
    size_t added;
    return transaction_judge(arg, partitions_error(message, &added));
}

static void partitions_answered(void *arg, const struct client_answer *answer) {
    struct producer_transaction *transaction = arg;
    transaction->asked = NULL;
    size_t asked_count, added = 0;
    (void)count_topics(&transaction->adding, &asked_count);
    err_t err = answer->err != ERR_OK ? answer->err : partitions_error(answer->response, &added);
    if (err == ERR_OK && added != asked_count) {
        err = ERR_MALFORMED;
    }
    if (err != ERR_OK) {
        transaction_refused(transaction, REQUEST_PARTITIONS, answer, err);
        return;
    }
    went_well(transaction);
    transaction->started = true;
    struct list *link;
    while ((link = list_take_first(&transaction->adding)) != NULL) {
        struct producer_partition *partition =
            container_of(link, struct producer_partition, joining);
        partition->transaction = transaction->number;
        producer_partition_ready(partition);
    }
    transaction_step_soon(transaction);
}

void transaction_ask_partitions(struct producer_transaction *transaction) {
    transaction_ask(transaction, (struct client_ask){
                                     .role = CLIENT_TRANSACTION,
                                     .key = transaction->id,
                                     .api_key = API_ADD_PARTITIONS_TO_TXN,
                                     .version_max = CLIENTS_PARTITIONS_VERSION,
                                     .build = build_partitions,
                                     .judge = judge_partitions,
                                     .done = partitions_answered,
                                 });
}

/* --- EndTxn --- */

static err_t build_end(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                       const void **ret_request) {
    (void)version;
    (void)broker_id;
    const struct producer_transaction *transaction = arg;
    struct end_txn_request *request = ARENA_NEW(arena, struct end_txn_request);
    wire_init(&end_txn_request_type, request);
    request->transactional_id = transaction->id;
    request->producer_id = transaction->producer->producer_id;
    request->producer_epoch = transaction->producer->epoch;
    request->committed = transaction->state == OTTLA_TRANSACTION_COMMITTING;
    *ret_request = request;
    return ERR_OK;
}

static err_t judge_end(void *arg, int16_t version, const void *message) {
    (void)arg;
    (void)version;
    const struct end_txn_response *response = message;
    return err_from_kafka_code(response->error_code);
}

static void end_answered(void *arg, const struct client_answer *answer) {
    struct producer_transaction *transaction = arg;
    struct ottla_producer *producer = transaction->producer;
    transaction->asked = NULL;
    const struct end_txn_response *response = answer->response;
    err_t err = answer->err != ERR_OK ? answer->err : err_from_kafka_code(response->error_code);
    if (err != ERR_OK) {
        bool commit = transaction->state == OTTLA_TRANSACTION_COMMITTING;
        transaction_refused(transaction, commit ? REQUEST_COMMIT : REQUEST_ABORT, answer, err);
        return;
    }
    went_well(transaction);
    if (response->producer_id >= 0 && response->producer_epoch >= 0) {
        producer->producer_id = response->producer_id;
        producer->epoch = response->producer_epoch;
        transaction->bump = false;
    } else if (transaction->implicit) {
        transaction->bump = true; /* a coordinator of before */
    }
    transaction_completed(transaction);
}

void transaction_ask_end(struct producer_transaction *transaction) {
    transaction_ask(transaction,
                    (struct client_ask){
                        .role = CLIENT_TRANSACTION,
                        .key = transaction->id,
                        .api_key = API_END_TXN,
                        .version_max = transaction->implicit ? -1 : EXPLICIT_END_VERSION,
                        .build = build_end,
                        .judge = judge_end,
                        .done = end_answered,
                    });
}
