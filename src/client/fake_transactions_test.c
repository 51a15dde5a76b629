/* The coordinator and partitions of fake_transactions_test_int.h. */
#include "client/fake_transactions_test_int.h"

#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "wire/record_batch.h"

enum { FIRST_ID = 700 };

/* --- a sound coordinator --- */

void fake_transactions_end(struct fake_transactions *fake, bool commit) {
    for (int p = 0; p < FAKE_TRANSACTIONS_PARTITIONS; p++) {
        for (size_t i = fake->stable[p]; commit && i < fake->logs[p].count; i++) {
            fake->committed[p][fake->committed_count[p]++] = fake->logs[p].values[i];
        }
        fake->stable[p] = fake->logs[p].count;
        fake->joined[p] = false;
    }
    if (commit && fake->pending_offset >= 0) {
        fake->offset = fake->pending_offset;
    }
    fake->pending_offset = -1;
    fake->commits += commit;
    fake->aborts += !commit;
    fake->ongoing = false;
    fake->group = false;
}

static err_t check_producer(struct fake_transactions *fake, int64_t id, int16_t epoch) {
    return id == fake->id && epoch == fake->epoch ? ERR_OK : ERR_PRODUCER_FENCED;
}

static void answer_id(struct fake_transactions *fake, struct fake_call *call) {
    const struct init_producer_id_request *request = call->request;
    struct init_producer_id_response *response = call->response;
    assert_true(str_equal(request->transactional_id, STR("mover")));
    bool renew = request->producer_id >= 0;
    bool again = renew && request->producer_epoch == fake->epoch - 1;
    if (renew && !again && request->producer_epoch != fake->epoch) {
        response->error_code = ERR_PRODUCER_FENCED;
        return;
    }
    if (fake->ongoing) {
        fake_transactions_end(fake, false);
    }
    fake->epoch += again ? 0 : 1;
    response->producer_id = fake->id;
    response->producer_epoch = fake->epoch;
}

static void answer_partitions(struct fake_transactions *fake, struct fake_call *call,
                              err_t refusal) {
    typedef struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result topic_result;
    typedef struct add_partitions_to_txn_response_add_partitions_to_txn_partition_result result;
    const struct add_partitions_to_txn_request *request = call->request;
    struct add_partitions_to_txn_response *response = call->response;
    assert_false(fake->implicit);
    err_t err = refusal;
    if (err == ERR_OK) {
        err = check_producer(fake, request->v3_and_below_producer_id,
                             request->v3_and_below_producer_epoch);
    }
    response->results_by_topic_v3_and_below = ARENA_ARRAY(call->arena, topic_result, 1);
    response->results_by_topic_v3_and_below_count = 1;
    assert_int_equal(request->v3_and_below_topics_count, 1);
    topic_result *topic = &response->results_by_topic_v3_and_below[0];
    topic->name = request->v3_and_below_topics[0].name;
    topic->results_by_partition_count = request->v3_and_below_topics[0].partitions_count;
    topic->results_by_partition = ARENA_ARRAY(call->arena, result, FAKE_TRANSACTIONS_PARTITIONS);
    for (int32_t i = 0; i < topic->results_by_partition_count; i++) {
        int32_t partition = request->v3_and_below_topics[0].partitions[i];
        topic->results_by_partition[i] = (result){partition, err_kafka_code(err)};
        fake->joined[partition] = fake->joined[partition] || err == ERR_OK;
    }
    fake->ongoing = fake->ongoing || err == ERR_OK;
}

static void answer_end(struct fake_transactions *fake, struct fake_call *call) {
    const struct end_txn_request *request = call->request;
    struct end_txn_response *response = call->response;
    assert_int_equal(call->version >= 5, fake->implicit);
    bool again = !fake->ongoing && request->producer_epoch == fake->ended_epoch &&
                 request->committed == fake->ended_committed;
    if (!again) {
        err_t err = check_producer(fake, request->producer_id, request->producer_epoch);
        bool empty = !fake->ongoing && !(fake->implicit && !request->committed);
        if (err != ERR_OK || empty) {
            response->error_code = err_kafka_code(err != ERR_OK ? err : ERR_INVALID_TXN_STATE);
            return;
        }
        fake_transactions_end(fake, request->committed);
        fake->ended_epoch = request->producer_epoch;
        fake->ended_committed = request->committed;
        fake->epoch += fake->implicit ? 1 : 0;
    }
    response->producer_id = fake->implicit ? fake->id : -1;
    response->producer_epoch = fake->implicit ? fake->epoch : -1;
}

static void answer_group(struct fake_transactions *fake, struct fake_call *call) {
    const struct add_offsets_to_txn_request *request = call->request;
    struct add_offsets_to_txn_response *response = call->response;
    assert_false(fake->implicit);
    err_t err = check_producer(fake, request->producer_id, request->producer_epoch);
    response->error_code = err_kafka_code(err);
    fake->ongoing = fake->group = err == ERR_OK;
}

static void answer_offsets(struct fake_transactions *fake, struct fake_call *call, err_t refusal) {
    const struct txn_offset_commit_request *request = call->request;
    struct txn_offset_commit_response *response = call->response;
    assert_int_equal(call->version >= 5, fake->implicit);
    assert_true(fake->implicit || fake->group);
    err_t err = refusal != ERR_OK
                    ? refusal
                    : check_producer(fake, request->producer_id, request->producer_epoch);
    assert_int_equal(request->topics_count, 1);
    assert_int_equal(request->topics[0].partitions_count, 1);
    assert_int_equal(request->generation_id_or_member_epoch, 4);
    if (err == ERR_OK) {
        fake->ongoing = true;
        fake->pending_offset = request->topics[0].partitions[0].committed_offset;
    }
    response->topics = ARENA_NEW(call->arena, struct txn_offset_commit_response_topic);
    response->topics_count = 1;
    response->topics[0].name = request->topics[0].name;
    response->topics[0].partitions =
        ARENA_NEW(call->arena, struct txn_offset_commit_response_partition);
    response->topics[0].partitions_count = 1;
    response->topics[0].partitions[0].error_code = err_kafka_code(err);
}

/* --- partitions --- */

static err_t append(struct fake_transactions *fake, int32_t partition, struct bytes records,
                    int64_t *ret_offset) {
    assert_true(record_batch_is_transactional(records.data));
    err_t err = check_producer(fake, record_batch_producer_id(records.data),
                               record_batch_producer_epoch(records.data));
    if (err != ERR_OK) {
        fake->strays++;
        return ERR_INVALID_PRODUCER_EPOCH;
    }
    if (fake->implicit) {
        fake->ongoing = fake->joined[partition] = true;
    }
    if (!fake->joined[partition]) {
        fake->strays++;
        return ERR_INVALID_TXN_STATE;
    }
    return fake_log_append(&fake->logs[partition], records, ret_offset);
}

static void answer_produce(struct fake_transactions *fake, struct fake_call *call, err_t refusal) {
    const struct produce_request *request = call->request;
    struct produce_response *response = call->response;
    assert_int_equal(call->version >= 12, fake->implicit);
    assert_true(str_equal(request->transactional_id, STR("mover")));
    response->responses = ARENA_NEW(call->arena, struct produce_response_topic_produce_response);
    response->responses_count = 1;
    const struct produce_request_topic_produce_data *data = &request->topic_data[0];
    struct produce_response_topic_produce_response *answer = &response->responses[0];
    answer->topic_id = data->topic_id;
    answer->name = data->name;
    answer->partition_responses_count = data->partition_data_count;
    answer->partition_responses =
        ARENA_ARRAY(call->arena, struct produce_response_partition_produce_response,
                    FAKE_TRANSACTIONS_PARTITIONS + 1);
    for (int32_t p = 0; p < data->partition_data_count; p++) {
        int32_t index = data->partition_data[p].index;
        answer->partition_responses[p] =
            (struct produce_response_partition_produce_response){.index = index,
                                                                 .base_offset = -1,
                                                                 .log_append_time_ms = -1,
                                                                 .current_leader = {-1, -1}};
        err_t err = refusal != ERR_OK ? refusal
                                      : append(fake, index, data->partition_data[p].records,
                                               &answer->partition_responses[p].base_offset);
        answer->partition_responses[p].error_code = err_kafka_code(err);
    }
}

/* --- what goes wrong --- */

static void refuse(struct fake_transactions *fake, struct fake_call *call, err_t err) {
    int16_t code = err_kafka_code(err);
    switch (call->api_key) {
    case API_INIT_PRODUCER_ID:
        ((struct init_producer_id_response *)call->response)->error_code = code;
        break;
    case API_ADD_PARTITIONS_TO_TXN:
        answer_partitions(fake, call, err);
        break;
    case API_ADD_OFFSETS_TO_TXN:
        ((struct add_offsets_to_txn_response *)call->response)->error_code = code;
        break;
    case API_TXN_OFFSET_COMMIT:
        answer_offsets(fake, call, err);
        break;
    case API_END_TXN:
        ((struct end_txn_response *)call->response)->error_code = code;
        break;
    case API_PRODUCE:
        answer_produce(fake, call, err);
        break;
    default:
        break;
    }
}

/* The group's is another broker than the transaction's. */
static int32_t group_coordinator(struct fake_transactions *fake) {
    return 1 + fake->cluster->coordinator_id % 3;
}

static void answer(struct fake_transactions *fake, struct fake_call *call) {
    bool to_coordinator = call->broker_id == fake->cluster->coordinator_id;
    switch (call->api_key) {
    case API_INIT_PRODUCER_ID:
        to_coordinator ? answer_id(fake, call) : refuse(fake, call, ERR_NOT_COORDINATOR);
        break;
    case API_ADD_PARTITIONS_TO_TXN:
        answer_partitions(fake, call, to_coordinator ? ERR_OK : ERR_NOT_COORDINATOR);
        break;
    case API_ADD_OFFSETS_TO_TXN:
        to_coordinator ? answer_group(fake, call) : refuse(fake, call, ERR_NOT_COORDINATOR);
        break;
    case API_TXN_OFFSET_COMMIT:
        answer_offsets(fake, call,
                       call->broker_id == group_coordinator(fake) ? ERR_OK : ERR_NOT_COORDINATOR);
        break;
    case API_END_TXN:
        to_coordinator ? answer_end(fake, call) : refuse(fake, call, ERR_NOT_COORDINATOR);
        break;
    case API_PRODUCE:
        answer_produce(fake, call, ERR_OK);
        break;
    default:
        break;
    }
}

static void tell_coordinator(struct fake_transactions *fake, struct fake_call *call) {
    const struct find_coordinator_request *request = call->request;
    struct find_coordinator_response *response = call->response;
    bool group = request->key_type == 0;
    assert_int_equal(request->coordinator_keys_count, 1);
    assert_true(str_equal(request->coordinator_keys[0], group ? STR("readers") : STR("mover")));
    if (group) {
        char host[16];
        (void)snprintf(host, sizeof host, "10.0.0.%d", (int)group_coordinator(fake));
        response->coordinators[0].node_id = group_coordinator(fake);
        response->coordinators[0].host = arena_str(call->arena, str_from_c(host));
    }
}

static void tell_features(struct fake_transactions *fake, struct fake_call *call) {
    struct api_versions_response *response = call->response;
    response->finalized_features =
        ARENA_NEW(call->arena, struct api_versions_response_finalized_feature_key);
    response->finalized_features_count = 1;
    response->finalized_features[0] = (struct api_versions_response_finalized_feature_key){
        .name = STR("transaction.version"), .max_version_level = fake->told_version};
    response->finalized_features_epoch = fake->told_version * 10;
}

static enum fake_do hook(void *arg, struct fake_call *call) {
    struct fake_transactions *fake = arg;
    fake->calls[call->api_key]++;
    if (call->api_key == API_API_VERSIONS) {
        tell_features(fake, call);
    } else if (call->api_key == API_FIND_COORDINATOR) {
        tell_coordinator(fake, call);
    }
    for (int i = 0; i < fake->fault_count; i++) {
        struct fake_fault_row *fault = &fake->faults[i];
        if (fault->api_key != call->api_key || fault->count == 0) {
            continue;
        }
        fault->count--;
        if (fault->kind == REFUSE) {
            refuse(fake, call, fault->err);
            return FAKE_ANSWER;
        }
        if (fault->kind == LOSE_ANSWER) {
            answer(fake, call);
        }
        return fault->kind == HOLD ? FAKE_SILENCE : FAKE_CLOSE;
    }
    bool ours = call->api_key == API_PRODUCE ||
                (call->api_key >= API_INIT_PRODUCER_ID && call->api_key <= API_TXN_OFFSET_COMMIT);
    if (fake->chance > 0 && ours && rng_below(&fake->rng, fake->chance) == 0) {
        if (rng_below(&fake->rng, 2) == 0) {
            answer(fake, call);
        }
        return FAKE_CLOSE;
    }
    answer(fake, call);
    return FAKE_ANSWER;
}

/* --- life --- */

void fake_transactions_init(struct fake_transactions *fake, struct fake_cluster *cluster,
                            bool implicit) {
    memset(fake, 0, sizeof *fake);
    fake->cluster = cluster;
    fake->implicit = implicit;
    fake->told_version = implicit ? 2 : 1;
    fake->id = FIRST_ID;
    fake->epoch = fake->ended_epoch = -1;
    fake->offset = fake->pending_offset = -1;
    for (int p = 0; p < FAKE_TRANSACTIONS_PARTITIONS; p++) {
        fake->logs[p].producer_id = -1;
    }
    (void)fake_cluster_topic(cluster, "orders", FAKE_TRANSACTIONS_PARTITIONS);
    cluster->hook = hook;
    cluster->arg = fake;
}

void fake_transactions_done(struct fake_transactions *fake) {
    for (int p = 0; p < FAKE_TRANSACTIONS_PARTITIONS; p++) {
        fake_log_done(&fake->logs[p]);
    }
}

void fake_transactions_fault(struct fake_transactions *fake, int16_t api_key, enum fake_fault kind,
                             int count, err_t err) {
    assert_true(fake->fault_count < FAKE_FAULTS_MAX);
    fake->faults[fake->fault_count].api_key = api_key;
    fake->faults[fake->fault_count].kind = kind;
    fake->faults[fake->fault_count].count = count;
    fake->faults[fake->fault_count++].err = err;
}
