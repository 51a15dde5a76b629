/*
 * Offsets of a group as a part of a transaction: AddOffsetsToTxn to the transaction's coordinator
 * (not with transaction.version 2), then TxnOffsetCommit to the group's. A request is repeated as a
 * whole: the same offsets twice do no harm.
 */
#include <assert.h>
#include <stdlib.h>

#include "client/offsets.h"
#include "client/producer_transaction_int.h"
#include "ottla/consumer.h"
#include "wire/api.h"

enum {
    MEMBERSHIP_VERSION = 3,       /* of TxnOffsetCommit, from which on it tells of the member */
    EXPLICIT_OFFSETS_VERSION = 4, /* from 5 on it adds the group to the transaction */
    IMPLICIT_OFFSETS_VERSION = 5,
};

struct transaction_offsets {
    struct arena arena;
    struct str group_id;
    struct str member_id;
    struct str instance_id;
    int32_t generation;
    struct ottla_position *positions;
    struct offsets_list list;
    bool added; /* the coordinator knows of the group */
};

/* --- what is sent --- */

static const char *what_is_wrong(const struct ottla_position *positions, size_t count,
                                 const struct ottla_membership *membership) {
    if (membership == NULL || membership->group_id == NULL || membership->group_id[0] == 0) {
        return "a group's offsets need its group_id";
    }
    if (membership->generation > 0 &&
        (membership->member_id == NULL || membership->member_id[0] == 0)) {
        return "a generation is that of a member: its member_id is missing";
    }
    for (size_t i = 0; i < count; i++) {
        if (positions[i].topic == NULL || positions[i].topic[0] == 0 ||
            positions[i].partition < 0 || positions[i].offset < 0) {
            return "a position to commit has a topic, a partition and an offset from 0";
        }
    }
    return NULL;
}

static struct str copy_text(struct arena *arena, const char *text, struct str otherwise) {
    return text == NULL ? otherwise : arena_str(arena, str_from_c(text));
}

static void copy_positions(struct transaction_offsets *offsets,
                           const struct ottla_position *positions, size_t count) {
    struct arena *arena = &offsets->arena;
    struct offsets_entry *entries = ARENA_ARRAY(arena, struct offsets_entry, count + 1);
    offsets->positions = ARENA_ARRAY(arena, struct ottla_position, count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct ottla_position *from = &positions[i];
        const char *metadata = from->metadata == NULL ? "" : from->metadata;
        offsets->positions[i] = (struct ottla_position){
            .offset = from->offset,
            .leader_epoch = from->leader_epoch > 0 ? from->leader_epoch : -1,
            .metadata = arena_c_str(arena, str_from_c(metadata)),
        };
        entries[i] = (struct offsets_entry){.topic = arena_str(arena, str_from_c(from->topic)),
                                            .partition = from->partition,
                                            .index = i};
    }
    offsets_list_init(&offsets->list, entries, count, arena);
}

struct transaction_offsets *transaction_offsets_new(const struct ottla_position *positions,
                                                    size_t count,
                                                    const struct ottla_membership *membership,
                                                    struct ottla_error *ret_error) {
    const char *wrong = what_is_wrong(positions, count, membership);
    if (wrong != NULL) {
        (void)client_error_set(ret_error, OTTLA_INVALID, "%s", wrong);
        return NULL;
    }
    struct transaction_offsets *offsets = calloc(1, sizeof *offsets);
    if (offsets == NULL) {
        abort();
    }
    arena_init(&offsets->arena, SIZE_MAX);
    offsets->group_id = copy_text(&offsets->arena, membership->group_id, STR(""));
    offsets->member_id = copy_text(&offsets->arena, membership->member_id, STR(""));
    offsets->instance_id = copy_text(&offsets->arena, membership->instance_id, STR_NULL);
    offsets->generation = membership->generation;
    copy_positions(offsets, positions, count);
    return offsets;
}

void transaction_offsets_free(struct transaction_offsets *offsets) {
    if (offsets != NULL) {
        arena_done(&offsets->arena);
        free(offsets);
    }
}

bool transaction_offsets_empty(const struct transaction_offsets *offsets) {
    return offsets->list.entry_count == 0;
}

/* --- AddOffsetsToTxn --- */

static err_t build_group(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                         const void **ret_request) {
    (void)version;
    (void)broker_id;
    const struct producer_transaction *transaction = arg;
    struct add_offsets_to_txn_request *request =
        ARENA_NEW(arena, struct add_offsets_to_txn_request);
    wire_init(&add_offsets_to_txn_request_type, request);
    request->transactional_id = transaction->id;
    request->producer_id = transaction->producer->producer_id;
    request->producer_epoch = transaction->producer->epoch;
    request->group_id = transaction->offsets->group_id;
    *ret_request = request;
    return ERR_OK;
}

static err_t judge_group(void *arg, int16_t version, const void *message) {
    (void)version;
    const struct add_offsets_to_txn_response *response = message;
    return transaction_judge(arg, err_from_kafka_code(response->error_code));
}

static void group_answered(void *arg, const struct client_answer *answer) {
    struct producer_transaction *transaction = arg;
    transaction->asked = NULL;
    const struct add_offsets_to_txn_response *response = answer->response;
    err_t err = answer->err != ERR_OK ? answer->err : err_from_kafka_code(response->error_code);
    if (err != ERR_OK) {
        transaction_refused(transaction, REQUEST_ADD_OFFSETS, answer, err);
        return;
    }
    transaction->started = true;
    transaction->offsets->added = true;
    transaction_step_soon(transaction);
}

static void ask_group(struct producer_transaction *transaction) {
    transaction_ask(transaction, (struct client_ask){
                                     .role = CLIENT_TRANSACTION,
                                     .key = transaction->id,
                                     .api_key = API_ADD_OFFSETS_TO_TXN,
                                     .version_max = -1,
                                     .build = build_group,
                                     .judge = judge_group,
                                     .done = group_answered,
                                 });
}

/* --- TxnOffsetCommit --- */

static void fill_topic(const struct transaction_offsets *offsets, const struct offsets_topic *from,
                       struct txn_offset_commit_request_topic *to, struct arena *arena) {
    to->name = from->name;
    to->partitions = ARENA_ARRAY(arena, struct txn_offset_commit_request_partition, from->count);
    to->partitions_count = (int32_t)from->count;
    for (size_t i = 0; i < from->count; i++) {
        const struct offsets_entry *entry = &offsets->list.entries[from->first + i];
        const struct ottla_position *position = &offsets->positions[entry->index];
        to->partitions[i] = (struct txn_offset_commit_request_partition){
            .partition_index = entry->partition,
            .committed_offset = position->offset,
            .committed_leader_epoch = position->leader_epoch,
            .committed_metadata = str_from_c(position->metadata),
        };
    }
}

static err_t build_offsets(void *arg, int16_t version, int32_t broker_id, struct arena *arena,
                           const void **ret_request) {
    (void)broker_id;
    struct producer_transaction *transaction = arg;
    const struct transaction_offsets *offsets = transaction->offsets;
    bool member = offsets->member_id.size > 0 || offsets->instance_id.data != NULL;
    if ((member && version < MEMBERSHIP_VERSION) ||
        (transaction->implicit && version < IMPLICIT_OFFSETS_VERSION)) {
        return ERR_UNSUPPORTED_VERSION;
    }
    struct txn_offset_commit_request *request = ARENA_NEW(arena, struct txn_offset_commit_request);
    wire_init(&txn_offset_commit_request_type, request);
    request->transactional_id = transaction->id;
    request->group_id = offsets->group_id;
    request->producer_id = transaction->producer->producer_id;
    request->producer_epoch = transaction->producer->epoch;
    if (version >= MEMBERSHIP_VERSION) {
        request->generation_id_or_member_epoch = offsets->generation;
        request->member_id = offsets->member_id;
        request->group_instance_id = offsets->instance_id;
    }
    size_t count = offsets->list.topic_count;
    request->topics = ARENA_ARRAY(arena, struct txn_offset_commit_request_topic, count);
    request->topics_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        fill_topic(offsets, &offsets->list.topics[i], &request->topics[i], arena);
    }
    *ret_request = request;
    return ERR_OK;
}

/* The first error that does not pass, else the first that does. */
static err_t offsets_error(const struct txn_offset_commit_response *response,
                           size_t *ret_committed) {
    err_t worst = ERR_OK;
    *ret_committed = 0;
    for (int32_t t = 0; t < response->topics_count; t++) {
        for (int32_t p = 0; p < response->topics[t].partitions_count; p++) {
            err_t err = err_from_kafka_code(response->topics[t].partitions[p].error_code);
            *ret_committed += err == ERR_OK;
            bool worse = worst == ERR_OK || (err_retriable(worst) && !err_retriable(err));
            worst = err != ERR_OK && worse ? err : worst;
        }
    }
    return worst;
}

/* The group's coordinator is looked for anew where the error may say that it moved. */
static err_t judge_offsets(void *arg, int16_t version, const void *message) {
    (void)arg;
    (void)version;
    size_t committed;
    err_t err = offsets_error(message, &committed);
    return err == ERR_REQUEST_TIMED_OUT ? ERR_COORDINATOR_NOT_AVAILABLE : err;
}

static void offsets_answered(void *arg, const struct client_answer *answer) {
    struct producer_transaction *transaction = arg;
    transaction->asked = NULL;
    size_t committed = 0;
    err_t err = answer->err != ERR_OK ? answer->err : offsets_error(answer->response, &committed);
    if (err == ERR_OK && committed != transaction->offsets->list.entry_count) {
        err = ERR_MALFORMED;
    }
    if (err != ERR_OK) {
        transaction_refused(transaction, REQUEST_OFFSETS, answer, err);
        return;
    }
    transaction->failures = 0;
    transaction->trouble[0] = 0;
    transaction_offsets_free(transaction->offsets);
    transaction->offsets = NULL;
    transaction_step_soon(transaction);
    if (transaction->call.op == OP_OFFSETS) {
        transaction_tell(transaction, ERR_OK, "");
    }
}

void transaction_ask_offsets(struct producer_transaction *transaction) {
    if (!transaction->implicit && !transaction->offsets->added) {
        ask_group(transaction);
        return;
    }
    transaction->started = true;
    transaction_ask(transaction,
                    (struct client_ask){
                        .role = CLIENT_GROUP,
                        .key = transaction->offsets->group_id,
                        .api_key = API_TXN_OFFSET_COMMIT,
                        .version_max = transaction->implicit ? IMPLICIT_OFFSETS_VERSION
                                                             : EXPLICIT_OFFSETS_VERSION,
                        .build = build_offsets,
                        .judge = judge_offsets,
                        .done = offsets_answered,
                    });
}
