/*
 * DescribeTransactions and ListTransactions.
 *
 * A list by pattern is made on a worker, of a copy of what passed the other filters: a pattern may
 * take long.
 */
#include <assert.h>
#include <stdlib.h>

#include "coord/regex.h"
#include "coord/txn_int.h"

typedef struct describe_transactions_response_transaction_state described;
typedef struct describe_transactions_response_topic_data described_topic;
typedef struct list_transactions_response_transaction_state listed;

/* --- DescribeTransactions --- */

/* Whoever asks why a transaction does not end sees what it waits for. */
static void fill_topics(struct arena *arena, const struct txn *txn, described *ret) {
    int32_t count;
    const struct txn_partition *partitions = txn_partitions_left(txn, &count);
    ret->topics = ARENA_ARRAY(arena, described_topic, (size_t)count + 1);
    for (int32_t first = 0; first < count;) {
        described_topic *topic = &ret->topics[ret->topics_count++];
        topic->topic = arena_str(arena, partitions[first].topic);
        topic->partitions_count = txn_partitions_run(partitions, count, first);
        topic->partitions = ARENA_ARRAY(arena, int32_t, (size_t)topic->partitions_count);
        for (int32_t i = 0; i < topic->partitions_count; i++) {
            topic->partitions[i] = partitions[first + i].partition;
        }
        first += topic->partitions_count;
    }
}

static void describe(struct group_step *step, struct str id, described *ret) {
    const struct txn *txn = txns_find_known(step->groups, id);
    *ret = (described){.transactional_id = id, .transaction_state = STR("")};
    if (id.size == 0) {
        ret->error_code = ERR_INVALID_REQUEST;
    } else if (!step_has_room(step)) {
        ret->error_code = ERR_INVALID_REQUEST;
    } else if (txn == NULL) {
        ret->error_code = ERR_TRANSACTIONAL_ID_NOT_FOUND;
    } else {
        ret->transaction_state = str_from_c(txn_state_name(txn->values.state));
        ret->transaction_timeout_ms = txn->values.timeout_ms;
        ret->transaction_start_time_ms = txn->values.start_ms;
        ret->producer_id = txn->values.producer_id;
        ret->producer_epoch = txn->values.epoch;
        fill_topics(step->arena, txn, ret);
    }
    struct describe_transactions_response one = {.transaction_states = ret,
                                                 .transaction_states_count = 1};
    step_take_room_of(step, &one);
}

err_t txn_describe_step(struct group_step *step) {
    const struct describe_transactions_request *request = step->request;
    struct describe_transactions_response *response = step->response;
    int32_t count = request->transactional_ids_count;
    response->transaction_states = ARENA_ARRAY(step->arena, described, (size_t)count + 1);
    response->transaction_states_count = count;
    for (int32_t i = 0; i < count; i++) {
        describe(step, request->transactional_ids[i], &response->transaction_states[i]);
    }
    return ERR_OK;
}

void txn_describe_fail(const struct coord_call *call, int16_t code, void *ret) {
    const struct describe_transactions_request *request = call->request;
    struct describe_transactions_response *response = ret;
    int32_t count = request->transactional_ids_count;
    response->transaction_states = ARENA_ARRAY(call->arena, described, (size_t)count + 1);
    response->transaction_states_count = count;
    for (int32_t i = 0; i < count; i++) {
        struct str id = request->transactional_ids[i];
        response->transaction_states[i] =
            (described){.error_code = id.size == 0 ? (int16_t)ERR_INVALID_REQUEST : code,
                        .transactional_id = id,
                        .transaction_state = STR("")};
    }
}

/* --- ListTransactions --- */

bool coord_txn_state_known(struct str name) {
    for (int i = 0; i < TXN_STATES; i++) {
        if (str_equal(name, str_from_c(txn_state_name((enum txn_state)i)))) {
            return true;
        }
    }
    return false;
}

err_t coord_txn_pattern_check(struct str pattern) {
    const char *reason;
    return pattern.size == 0 ? ERR_OK : regex_check(pattern, &reason);
}

static int compare_ids(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

void coord_txn_filters_prepare(struct list_transactions_request *request) {
    int32_t count = 0;
    for (int32_t i = 0; i < request->state_filters_count; i++) {
        struct str name = request->state_filters[i];
        bool again = false;
        for (int32_t k = 0; k < count; k++) {
            again = again || str_equal(name, request->state_filters[k]);
        }
        if (!again && coord_txn_state_known(name)) {
            request->state_filters[count++] = name;
        }
    }
    if (count == 0 && request->state_filters_count > 0) {
        count = 1; /* nothing passes one that is unknown, but everything would pass none */
    }
    request->state_filters_count = count;
    if (request->producer_id_filters_count > 1) {
        qsort(request->producer_id_filters, (size_t)request->producer_id_filters_count,
              sizeof(int64_t), compare_ids);
    }
}

/* A bit each. */
static unsigned states_of(const struct list_transactions_request *request) {
    unsigned states = request->state_filters_count == 0 ? ~0U : 0;
    for (int32_t i = 0; i < request->state_filters_count; i++) {
        for (int k = 0; k < TXN_STATES; k++) {
            struct str name = str_from_c(txn_state_name((enum txn_state)k));
            states |= str_equal(name, request->state_filters[i]) ? 1U << k : 0;
        }
    }
    return states;
}

static bool producer_passes(const struct list_transactions_request *request, int64_t producer_id) {
    int32_t count = request->producer_id_filters_count;
    return count == 0 || bsearch(&producer_id, request->producer_id_filters, (size_t)count,
                                 sizeof producer_id, compare_ids) != NULL;
}

static bool passes(const struct list_transactions_request *request, unsigned states,
                   const struct txn *txn, int64_t now_ms) {
    const struct txn_values *values = &txn->values;
    int64_t age_ms;
    bool old = request->duration_filter < 0 ||
               __builtin_sub_overflow(now_ms, values->start_ms, &age_ms) ||
               age_ms > request->duration_filter;
    return txn->known && old && (states >> values->state & 1) != 0 &&
           producer_passes(request, values->producer_id);
}

/* Those that pass; with ids of their own in the arena. */
static listed *collect(const struct group_step *step,
                       const struct list_transactions_request *request, struct arena *arena,
                       int32_t *ret_count) {
    const struct map *by_id = &txns_of(step->groups)->by_id;
    unsigned states = states_of(request);
    listed *list = ARENA_ARRAY(arena, listed, map_count(by_id) + 1);
    const struct txn *txn;
    size_t cursor;
    *ret_count = 0;
    map_for_each (by_id, cursor, txn) {
        if (passes(request, states, txn, step->wall_ms)) {
            list[(*ret_count)++] =
                (listed){.transactional_id = arena_str(arena, txn->id),
                         .producer_id = txn->values.producer_id,
                         .transaction_state = str_from_c(txn_state_name(txn->values.state))};
        }
    }
    return list;
}

struct pattern_job {
    struct group_job job;
    struct group_wait wait;
    struct arena arena;
    struct str pattern;
    listed *list;
    int32_t count;
    err_t err;
};

static void pattern_run(struct group_job *base) {
    struct pattern_job *job = container_of(base, struct pattern_job, job);
    struct regex *regex;
    const char *reason;
    int32_t kept = 0;
    job->err = regex_new(job->pattern, &regex, &reason);
    if (job->err != ERR_OK) {
        return;
    }
    for (int32_t i = 0; i < job->count; i++) {
        bool matches = false;
        if (regex_match(regex, job->list[i].transactional_id, &matches) == ERR_OK && matches) {
            job->list[kept++] = job->list[i];
        }
    }
    job->count = kept;
    regex_free(regex);
}

static err_t pattern_finish(struct group_step *step, struct group_job *base) {
    struct pattern_job *job = container_of(base, struct pattern_job, job);
    struct list_transactions_response *response = step_answer(step, &job->wait, NULL);
    response->error_code = err_kafka_code(job->err);
    response->transaction_states = job->list;
    response->transaction_states_count = job->err == ERR_OK ? job->count : 0;
    return ERR_OK;
}

static void pattern_free(struct group_job *base) {
    struct pattern_job *job = container_of(base, struct pattern_job, job);
    arena_done(&job->arena);
    free(job);
}

static void list_by_pattern(struct group_step *step,
                            const struct list_transactions_request *request) {
    struct pattern_job *job = calloc(1, sizeof *job);
    assert(job != NULL);
    job->job =
        (struct group_job){.run = pattern_run, .finish = pattern_finish, .free = pattern_free};
    arena_init(&job->arena, SIZE_MAX);
    job->pattern = arena_str(&job->arena, request->transactional_id_pattern);
    job->list = collect(step, request, &job->arena, &job->count);
    if (job->count == 0) {
        pattern_free(&job->job);
        return;
    }
    step_park(step, &job->wait);
    group_job_start(step->groups, &job->job);
}

err_t txn_list_step(struct group_step *step) {
    const struct list_transactions_request *request = step->request;
    struct list_transactions_response *response = step->response;
    if (request->transactional_id_pattern.size > 0) {
        list_by_pattern(step, request);
    } else {
        response->transaction_states =
            collect(step, request, step->arena, &response->transaction_states_count);
    }
    return ERR_OK;
}
