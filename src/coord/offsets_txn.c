/*
 * Offsets of a transaction.
 *
 *   TxnOffsetCommit     records in a batch of the transaction: pending until its end
 *   the transaction's   a control batch; apply makes what is pending the committed, or drops it
 *   marker              (offsets.c)
 *
 * Both are steps like others: the end is applied when it is in the log, before anything else is
 * looked at, and answered when it is committed. The log refuses a producer or a coordinator that
 * was fenced, so a step of such a one fails with its append, and nothing is applied.
 *
 * Who calls TxnOffsetCommit has verified that the shard's partition is in the transaction
 * (coord_call.txn).
 */
#include "coord/offsets_int.h"
#include "wire/api_keys.h"

typedef struct txn_offset_commit_request_topic asked_topic;
typedef struct txn_offset_commit_request_partition asked_partition;
typedef struct txn_offset_commit_response_topic answer_topic;
typedef struct txn_offset_commit_response_partition answer_partition;

/* --- TxnOffsetCommit --- */

static err_t check_partitions(const struct group_step *step, const struct group *group,
                              const struct group_caller *caller,
                              const struct txn_offset_commit_request *request) {
    err_t err = ERR_OK;
    for (int32_t i = 0; i < request->topics_count; i++) {
        const asked_topic *topic = &request->topics[i];
        struct uuid id = offsets_topic_id_now(step->groups, topic->name);
        for (int32_t k = 0; k < topic->partitions_count && err == ERR_OK; k++) {
            err = group->ops->check_commit_partition(group, caller, id,
                                                     topic->partitions[k].partition_index);
        }
    }
    return err;
}

/* As OffsetCommit; but who names neither member nor generation may commit whoever is a member: a
 * producer's clients did so once. */
static err_t check(struct group_step *step, const struct txn_offset_commit_request *request) {
    struct group *group = groups_find(step->groups, request->group_id);
    if (group == NULL) {
        return request->generation_id_or_member_epoch < 0 ? ERR_OK : ERR_ILLEGAL_GENERATION;
    }
    struct group_caller caller = {
        .api_key = API_TXN_OFFSET_COMMIT,
        .version = step->call->version,
        .member_id = request->member_id,
        .instance_id = request->group_instance_id,
        .generation_or_epoch = request->generation_id_or_member_epoch,
    };
    if (group->ops == NULL) {
        return group_check_no_members(&caller);
    }
    err_t err = group->ops->check_commit(step, group, &caller);
    if (err == ERR_OK && group->ops->check_commit_partition != NULL) {
        err = check_partitions(step, group, &caller, request);
    }
    return err == ERR_STALE_MEMBER_EPOCH ? ERR_ILLEGAL_GENERATION : err;
}

static const struct coord_record_txn *record_txn(const struct group_step *step,
                                                 const struct txn_offset_commit_request *request) {
    struct coord_record_txn *txn = ARENA_NEW(step->arena, struct coord_record_txn);
    txn->producer_epoch = request->producer_epoch;
    if (step->call->txn != NULL) {
        txn->check = *step->call->txn;
    }
    return txn;
}

static void add_commit(struct group_step *step, const struct txn_offset_commit_request *request,
                       const struct coord_record_txn *txn, struct str topic,
                       const asked_partition *partition) {
    void *made;
    struct offset_commit_key *key = step_record(step, GROUP_RECORD_OFFSET_COMMIT, &made);
    struct offset_commit_value *value = made;
    struct coord_record *record = step->output->records[step->output->record_count - 1];
    record->producer_id = request->producer_id;
    record->txn = txn;
    key->group = request->group_id;
    key->topic = topic;
    key->partition = partition->partition_index;
    value->offset = partition->committed_offset;
    value->metadata =
        partition->committed_metadata.data == NULL ? STR("") : partition->committed_metadata;
    value->commit_timestamp = step->wall_ms;
    value->leader_epoch =
        partition->committed_leader_epoch < 0 ? -1 : partition->committed_leader_epoch;
    value->topic_id = offsets_topic_id_now(step->groups, topic);
}

static void commit_topic(struct group_step *step, const struct txn_offset_commit_request *request,
                         const struct coord_record_txn *txn, const asked_topic *topic,
                         answer_topic *answer) {
    answer->name = topic->name;
    answer->partitions = ARENA_ARRAY(step->call->arena, answer_partition, topic->partitions_count);
    answer->partitions_count = topic->partitions_count;
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        const asked_partition *partition = &topic->partitions[i];
        answer->partitions[i].partition_index = partition->partition_index;
        if (offsets_metadata_fits(step, partition->committed_metadata)) {
            add_commit(step, request, txn, topic->name, partition);
            step_count(step, GROUP_COUNT_OFFSETS_COMMITTED, 1);
        } else {
            answer->partitions[i].error_code = ERR_OFFSET_METADATA_TOO_LARGE;
        }
    }
}

err_t offsets_commit_in_transaction_step(struct group_step *step) {
    const struct txn_offset_commit_request *request = step->request;
    struct txn_offset_commit_response *response = step->response;
    err_t err = check(step, request);
    if (err != ERR_OK) {
        return err;
    }
    const struct coord_record_txn *txn = record_txn(step, request);
    response->topics = ARENA_ARRAY(step->call->arena, answer_topic, request->topics_count);
    response->topics_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count; i++) {
        commit_topic(step, request, txn, &request->topics[i], &response->topics[i]);
    }
    return ERR_OK;
}

void offsets_fail_commit_in_transaction(const struct coord_call *call, int16_t code, void *ret) {
    const struct txn_offset_commit_request *request = call->request;
    struct txn_offset_commit_response *response = ret;
    response->topics = ARENA_ARRAY(call->arena, answer_topic, request->topics_count);
    response->topics_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count; i++) {
        const asked_topic *topic = &request->topics[i];
        answer_topic *answer = &response->topics[i];
        answer->name = topic->name;
        answer->partitions = ARENA_ARRAY(call->arena, answer_partition, topic->partitions_count);
        answer->partitions_count = topic->partitions_count;
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            answer->partitions[k] = (answer_partition){
                .partition_index = topic->partitions[k].partition_index, .error_code = code};
        }
    }
}

/* --- the end --- */

/* A call is of one marker, for the shard's partition. */
static void answer_end(const struct coord_call *call, int16_t code,
                       struct write_txn_markers_response *response) {
    typedef struct write_txn_markers_response_writable_txn_marker_result marker_answer;
    typedef struct write_txn_markers_response_writable_txn_marker_topic_result topic_answer;
    typedef struct write_txn_markers_response_writable_txn_marker_partition_result part_answer;
    const struct write_txn_markers_request *request = call->request;
    part_answer *partition = ARENA_NEW(call->arena, part_answer);
    topic_answer *topic = ARENA_NEW(call->arena, topic_answer);
    marker_answer *marker = ARENA_NEW(call->arena, marker_answer);
    *partition = (part_answer){
        .partition_index = request->markers[0].topics[0].partition_indexes[0], .error_code = code};
    *topic = (topic_answer){
        .name = request->markers[0].topics[0].name, .partitions = partition, .partitions_count = 1};
    *marker = (marker_answer){
        .producer_id = request->markers[0].producer_id, .topics = topic, .topics_count = 1};
    response->markers = marker;
    response->markers_count = 1;
}

err_t offsets_end_transaction_step(struct group_step *step) {
    const struct write_txn_markers_request *request = step->request;
    const struct write_txn_markers_request_writable_txn_marker *marker = &request->markers[0];
    struct coord_record_txn *txn = ARENA_NEW(step->arena, struct coord_record_txn);
    txn->producer_epoch = marker->producer_epoch;
    txn->coordinator_epoch = marker->coordinator_epoch;
    if (step->call->txn != NULL) {
        txn->check = *step->call->txn;
    }
    txn->check.version = marker->transaction_version;
    struct coord_record *record = ARENA_NEW(step->arena, struct coord_record);
    *record = (struct coord_record){
        .type = marker->transaction_result ? GROUP_RECORD_TRANSACTION_COMMIT
                                           : GROUP_RECORD_TRANSACTION_ABORT,
        .value_version = -1,
        .producer_id = marker->producer_id,
        .txn = txn,
    };
    strand_output_add(step->output, record);
    answer_end(step->call, 0, step->response);
    return ERR_OK;
}

void offsets_fail_end_transaction(const struct coord_call *call, int16_t code, void *response) {
    answer_end(call, code, response);
}
