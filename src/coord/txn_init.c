/*
 * InitProducerId of a transactional producer, and producer ids that requests have to wait for.
 *
 * The epoch goes up by one, which fences whoever had the last one; when it cannot, the producer
 * gets a new id. One that says which id and epoch it had (KIP-360) is fenced unless these are the
 * current ones, or those of just before: then its last request was answered, and it did not hear.
 * A transaction that is open is aborted first, and the producer told to ask again.
 *
 * After a stop that was not clean, too, it gets a new id: a power cut may have taken the log's end,
 * and with it epochs that were given out. Who got one of them again would be refused by partitions
 * that have seen a newer one, or its records be taken for repetitions of what is there.
 */
#include <assert.h>
#include <stdlib.h>

#include "coord/txn_int.h"

typedef struct init_producer_id_request init_request;
typedef struct init_producer_id_response init_response;

static void refuse(init_response *response, err_t err) {
    response->error_code = (int16_t)err;
    response->producer_id = TXN_NO_PRODUCER;
    response->producer_epoch = TXN_NO_EPOCH;
}

bool txn_init_check(const struct coord_call *call, const struct groups *groups, void *response) {
    const init_request *request = call->request;
    int32_t timeout_ms_max = config_int(groups->config, CONFIG_TRANSACTION_MAX_TIMEOUT_MS);
    bool half_known =
        (request->producer_id == TXN_NO_PRODUCER) != (request->producer_epoch == TXN_NO_EPOCH);
    if (half_known || request->transactional_id.size == 0) {
        refuse(response, ERR_INVALID_REQUEST);
        return false;
    }
    if (request->transaction_timeout_ms <= 0 || request->transaction_timeout_ms > timeout_ms_max) {
        refuse(response, ERR_INVALID_TRANSACTION_TIMEOUT);
        return false;
    }
    return true;
}

/* --- waiting for a producer id --- */

struct id_job {
    struct group_job job;
    struct coord_id_wait id_wait;
    struct group_wait wait;
    struct arena arena;
    struct str id;
    txn_resume_fn resume;
    err_t err;
    int64_t producer_id;
};

static void id_job_free(struct group_job *base) {
    struct id_job *job = container_of(base, struct id_job, job);
    arena_done(&job->arena);
    free(job);
}

static void id_given(struct coord_id_wait *wait, err_t err, int64_t producer_id) {
    struct id_job *job = container_of(wait, struct id_job, id_wait);
    job->err = err;
    job->producer_id = err == ERR_OK ? producer_id : TXN_NO_PRODUCER;
    group_job_end(&job->job);
}

/* A client that is gone asks for nothing any more. */
static err_t id_arrived(struct group_step *step, struct group_job *base) {
    struct id_job *job = container_of(base, struct id_job, job);
    struct txn *txn = txns_find(step->groups, job->id);
    assert(txn != NULL); /* nobody removes it while it asks */
    assert(txn->asking);
    txn->asking = false;
    bool asked = job->wait.waiting;
    const struct coord_call *call = job->wait.call;
    void *response = asked ? step_answer(step, &job->wait, NULL) : NULL;
    if (!asked || call != NULL) {
        job->resume(step, txn, call, job->err, job->producer_id, response);
    }
    if (!txn->known && step->output->record_count == 0) {
        txns_remove(txn);
    }
    return ERR_OK;
}

void txn_await_producer_id(struct group_step *step, struct txn *txn, txn_resume_fn resume) {
    const struct coord_world *world = txns_of(step->groups)->world;
    struct id_job *job = calloc(1, sizeof *job);
    assert(job != NULL);
    assert(!txn->asking);
    *job = (struct id_job){
        .job = {.finish = id_arrived, .free = id_job_free},
        .id_wait = {.loop = step->groups->loop, .done = id_given},
        .resume = resume,
    };
    arena_init(&job->arena, SIZE_MAX);
    job->id = arena_str(&job->arena, txn->id);
    txn->asking = true;
    if (step->call != NULL) {
        step_park(step, &job->wait);
    }
    group_job_begin(step->groups, &job->job);
    world->next_producer_id(world->arg, &job->id_wait);
}

/* --- InitProducerId --- */

static void start_over(struct txn_values *next, const init_request *request) {
    next->timeout_ms = request->transaction_timeout_ms;
    next->start_ms = -1;
    next->partitions = NULL;
    next->partition_count = 0;
}

static void grant(struct group_step *step, struct txn *txn, const struct txn_values *next,
                  init_response *response) {
    txn_write(step, txn, next);
    response->producer_id = next->producer_id;
    response->producer_epoch = next->epoch;
}

/* Of a new transactional id, or one whose epochs are spent or may have been given out. */
static void resume(struct group_step *step, struct txn *txn, const struct coord_call *call,
                   err_t err, int64_t producer_id, void *response) {
    const init_request *request = call->request;
    if (err != ERR_OK) {
        refuse(response, err);
        return;
    }
    struct txn_values next = txn_next(step, txn, TXN_EMPTY);
    bool knows = request->producer_id != TXN_NO_PRODUCER;
    next.producer_id = producer_id;
    if (!txn->known) {
        next.previous_producer_id =
            producer_id; /* as in Apache Kafka, which makes it with the id */
    }
    next.last_epoch = knows ? txn->values.epoch : TXN_NO_EPOCH;
    next.epoch = 0;
    start_over(&next, request);
    grant(step, txn, &next, response);
}

/* Whether the id that the producer says to have is one that it may go on from. */
static bool id_is_fine(const struct txn_values *values, const init_request *request) {
    return request->producer_id == TXN_NO_PRODUCER || values->producer_id == request->producer_id ||
           (values->previous_producer_id == request->producer_id &&
            (request->producer_epoch >= TXN_EPOCH_EXHAUSTED ||
             request->producer_epoch == values->last_epoch));
}

static void take_next_epoch(struct group_step *step, struct txn *txn, init_response *response) {
    const init_request *request = step->request;
    const struct txn_values *values = &txn->values;
    bool knows = request->producer_id != TXN_NO_PRODUCER;
    struct txn_values next = txn_next(step, txn, TXN_EMPTY);
    start_over(&next, request);
    if (knows && request->producer_epoch != values->epoch) {
        if (request->producer_epoch != values->last_epoch) {
            refuse(response, ERR_PRODUCER_FENCED);
            return;
        }
        /* Answered before: once more the same. */
    } else {
        next.last_epoch = knows ? values->epoch : TXN_NO_EPOCH;
        next.epoch++;
    }
    grant(step, txn, &next, response);
}

/* The producer asks again, and gets the next epoch. */
static void resume_fence(struct group_step *step, struct txn *txn, const struct coord_call *call,
                         err_t err, int64_t producer_id, void *response) {
    (void)call;
    if (err == ERR_OK) {
        txn_fence(step, txn, producer_id);
        step_count(step, GROUP_COUNT_TXNS_FENCED, 1);
    }
    refuse(response, err == ERR_OK ? ERR_CONCURRENT_TRANSACTIONS : err);
}

static void init_known(struct group_step *step, struct txn *txn, init_response *response) {
    const init_request *request = step->request;
    const struct txn_values *values = &txn->values;
    bool knows = request->producer_id != TXN_NO_PRODUCER;
    if (txn->asking || txn_is_prepared(txn)) {
        refuse(response, ERR_CONCURRENT_TRANSACTIONS);
    } else if (!id_is_fine(values, request)) {
        refuse(response, ERR_PRODUCER_FENCED);
    } else if (values->state == TXN_ONGOING && txn_fence_needs_id(txn)) {
        txn_await_producer_id(step, txn, resume_fence);
    } else if (values->state == TXN_ONGOING) {
        txn_fence(step, txn, TXN_NO_PRODUCER);
        step_count(step, GROUP_COUNT_TXNS_FENCED, 1);
        refuse(response, ERR_CONCURRENT_TRANSACTIONS);
    } else if ((values->epoch >= TXN_EPOCH_EXHAUSTED || txn->unsure) &&
               (!knows || request->producer_epoch == values->epoch)) {
        txn_await_producer_id(step, txn, resume);
    } else {
        take_next_epoch(step, txn, response);
    }
}

err_t txn_init_step(struct group_step *step) {
    const init_request *request = step->request;
    struct txn *txn = txns_find(step->groups, request->transactional_id);
    if (txn != NULL) {
        init_known(step, txn, step->response);
    } else {
        txn_await_producer_id(step, txns_add(step->groups, request->transactional_id), resume);
    }
    return ERR_OK;
}
