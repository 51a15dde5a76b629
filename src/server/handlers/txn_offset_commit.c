/*
 * TxnOffsetCommit: offsets that are committed with a transaction.
 *
 *   partitions that do not exist    refused here
 *   the rest                        the group's partition of __consumer_offsets is verified to be
 *                                   in the transaction, or added to it (version 5), as Produce does
 *                                   for its partitions; then the group's coordinator writes them
 *
 * Both answers are put together.
 */
#include "base/map.h"
#include "replica/partition.h"
#include "server/handlers/group_request.h"
#include "server/handlers/handlers.h"
#include "server/handlers/topics.h"
#include "server/node_int.h"
#include "server/txn_verify.h"

typedef struct txn_offset_commit_request_topic asked_topic;
typedef struct txn_offset_commit_request_partition asked_partition;
typedef struct txn_offset_commit_response_topic answer_topic;
typedef struct txn_offset_commit_response_partition answer_partition;

enum { VERSION_OF_LOADING = 2, VERSION_OF_ABORTABLE = 4, VERSION_OF_ADDING = 5 };

struct commit {
    struct request *request;
    struct txn_offset_commit_request pass;
    struct txn_offset_commit_response response; /* of what is refused here, at first */
    struct map by_name;                         /* answer_topic: those in the response */
    struct txn_verify verify;
    struct txn_verify_part part;
    struct partition_txn txn;
};

/* --- the answer --- */

/* For a topic that is named twice there is one. */
static answer_topic *answer_of(struct commit *commit, struct str name) {
    answer_topic *answer = map_get(&commit->by_name, str_bytes(name));
    if (answer == NULL) {
        answer = &commit->response.topics[commit->response.topics_count++];
        *answer = (answer_topic){.name = name};
        map_put(&commit->by_name, str_bytes(answer->name), answer);
    }
    return answer;
}

static void add_answers(struct commit *commit, struct str topic, const answer_partition *partitions,
                        int32_t count) {
    answer_topic *to = answer_of(commit, topic);
    to->partitions =
        arena_extend(&commit->request->arena, to->partitions, (size_t)to->partitions_count,
                     (size_t)count, sizeof partitions[0]);
    for (int32_t i = 0; i < count; i++) {
        to->partitions[to->partitions_count++] = partitions[i];
    }
}

static void refuse(struct commit *commit, const asked_topic *topic, int32_t partition, err_t err) {
    answer_partition answer = {.partition_index = partition, .error_code = err_kafka_code(err)};
    add_answers(commit, topic->name, &answer, 1);
}

/* Clients of before do not know that a coordinator loads, and crash. */
static void respond(struct commit *commit) {
    bool old = commit->request->version < VERSION_OF_LOADING;
    for (int32_t i = 0; i < commit->response.topics_count; i++) {
        answer_topic *topic = &commit->response.topics[i];
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            if (old && topic->partitions[k].error_code == ERR_COORDINATOR_LOAD_IN_PROGRESS) {
                topic->partitions[k].error_code = ERR_COORDINATOR_NOT_AVAILABLE;
            }
        }
    }
    map_done(&commit->by_name);
    request_respond(commit->request, &commit->response);
}

static void committed(struct group_request *sent) {
    struct commit *commit = sent->context;
    const struct txn_offset_commit_response *response = sent->call.response;
    if (commit->response.topics_count == 0) {
        commit->response = *response; /* a topic that was named twice stays twice */
        respond(commit);
        return;
    }
    for (int32_t i = 0; i < response->topics_count; i++) {
        const answer_topic *topic = &response->topics[i];
        add_answers(commit, topic->name, topic->partitions, topic->partitions_count);
    }
    respond(commit);
}

/* --- verification --- */

/* What a group's client is told of an error of the log or of the transaction's coordinator. */
static err_t known_error(const struct commit *commit, err_t err) {
    switch (err) {
    case ERR_PRODUCER_FENCED:
        return ERR_INVALID_PRODUCER_EPOCH;
    case ERR_TRANSACTION_ABORTABLE:
        return commit->request->version < VERSION_OF_ABORTABLE ? ERR_INVALID_TXN_STATE : err;
    case ERR_NETWORK_EXCEPTION:
        return ERR_COORDINATOR_LOAD_IN_PROGRESS; /* which clients repeat without looking anew */
    case ERR_UNKNOWN_TOPIC_OR_PARTITION:
    case ERR_NOT_ENOUGH_REPLICAS:
    case ERR_REQUEST_TIMED_OUT:
        return ERR_COORDINATOR_NOT_AVAILABLE;
    case ERR_NOT_LEADER_OR_FOLLOWER:
    case ERR_KAFKA_STORAGE_ERROR:
        return ERR_NOT_COORDINATOR;
    default:
        return err;
    }
}

static void fail(struct commit *commit, err_t err) {
    for (int32_t i = 0; i < commit->pass.topics_count; i++) {
        const asked_topic *topic = &commit->pass.topics[i];
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            refuse(commit, topic, topic->partitions[k].partition_index, known_error(commit, err));
        }
    }
    respond(commit);
}

static void pass_on(struct commit *commit) {
    group_request_send_verified(commit->request, &commit->pass, &commit->txn, commit, committed);
}

static void verified(struct txn_verify *verify) {
    struct commit *commit = container_of(verify, struct commit, verify);
    if (commit->part.err != ERR_OK) {
        fail(commit, commit->part.err);
    } else {
        pass_on(commit);
    }
}

/* The group's partition, and whether the transaction is open there already. */
static err_t look(struct commit *commit, bool *ret_open) {
    const struct request *request = commit->request;
    const struct meta_topic *topic;
    struct partition *partition = NULL;
    err_t err = topic_find(request, commit->part.topic, &topic);
    if (err == ERR_OK) {
        err = topic_partition_find(request, topic, commit->part.partition, &partition);
    }
    if (err == ERR_OK) {
        err = partition_txn_is_open(partition, commit->pass.producer_id,
                                    commit->pass.producer_epoch, ret_open, &commit->txn.guard);
    }
    partition_unref(partition);
    return err;
}

static void ask(struct commit *commit, bool adds) {
    commit->verify = (struct txn_verify){
        .transactional_id = commit->pass.transactional_id,
        .producer_id = commit->pass.producer_id,
        .producer_epoch = commit->pass.producer_epoch,
        .mode = adds ? TXN_VERIFY_ADD : TXN_VERIFY_ONLY,
        .parts = &commit->part,
        .part_count = 1,
        .loop = commit->request->reactor->loop,
        .done = verified,
    };
    txn_verify_begin(commit->request->node, &commit->verify);
}

static void begin(struct commit *commit) {
    struct request *request = commit->request;
    bool adds = request->version >= VERSION_OF_ADDING;
    bool verifies =
        config_bool(request->reactor->config, CONFIG_TRANSACTION_PARTITION_VERIFICATION_ENABLE);
    commit->part = (struct txn_verify_part){
        .topic = STR("__consumer_offsets"),
        .partition = coord_partition(request->node->coord, commit->pass.group_id),
    };
    if (!adds && !verifies) {
        pass_on(commit);
        return;
    }
    bool open = false;
    err_t err = look(commit, &open);
    commit->txn.verified = verifies;
    if (err != ERR_OK) {
        fail(commit, err);
    } else if (open) {
        commit->txn.guard = LOG_TXN_GUARD_NONE;
        pass_on(commit);
    } else {
        ask(commit, adds);
    }
}

/* --- the request --- */

/* Copies what exists of a topic to `pass`; refuses the rest. */
static void sort_topic(struct commit *commit, const asked_topic *asked, asked_topic *pass) {
    const struct meta_topic *topic = NULL;
    err_t err = topic_find(commit->request, asked->name, &topic);
    *pass = (asked_topic){
        .name = asked->name,
        .partitions =
            ARENA_ARRAY(&commit->request->arena, asked_partition, asked->partitions_count),
    };
    for (int32_t i = 0; i < asked->partitions_count; i++) {
        const asked_partition *partition = &asked->partitions[i];
        if (err != ERR_OK || meta_topic_partition(topic, partition->partition_index) == NULL) {
            refuse(commit, asked, partition->partition_index, ERR_UNKNOWN_TOPIC_OR_PARTITION);
        } else {
            pass->partitions[pass->partitions_count++] = *partition;
        }
    }
}

void handle_txn_offset_commit(struct request *request) {
    const struct txn_offset_commit_request *message = request->message;
    struct arena *arena = &request->arena;
    struct commit *commit = ARENA_NEW(arena, struct commit);
    commit->request = request;
    wire_init(&txn_offset_commit_response_type, &commit->response);
    commit->response.topics = ARENA_ARRAY(arena, answer_topic, 2 * (size_t)message->topics_count);
    commit->pass = *message;
    commit->pass.topics = ARENA_ARRAY(arena, asked_topic, message->topics_count);
    commit->pass.topics_count = 0;
    for (int32_t i = 0; i < message->topics_count; i++) {
        asked_topic *topic = &commit->pass.topics[commit->pass.topics_count];
        sort_topic(commit, &message->topics[i], topic);
        commit->pass.topics_count += topic->partitions_count > 0;
    }
    if (commit->pass.topics_count == 0) {
        respond(commit);
        return;
    }
    net_request_park(request->net);
    if (message->group_id.size == 0) {
        pass_on(commit); /* the coordinator says what is wrong with it */
    } else {
        begin(commit);
    }
}
