/*
 * EndTxn, and transactions that are ended for their producers.
 *
 * Clients of transaction.version 2 get a new epoch with every end, so the epoch of a request tells
 * whether it is a repetition of the last one; older ones repeat with the same epoch:
 *
 *   state            version 2, epoch before   version 2, this epoch    older
 *   --------------   -----------------------   ----------------------   -----------------------
 *   Ongoing          fenced                    ends                     ends
 *   Empty            fenced                    abort: ends, else state  state
 *   PrepareX         concurrent                concurrent               concurrent
 *   CompleteX        X: fine, else state       abort: ends, else state  X: fine, else state
 *
 *   ends: Prepare is logged      fine: the answer of then      fenced: PRODUCER_FENCED
 *   concurrent: CONCURRENT_TRANSACTIONS                        state: INVALID_TXN_STATE
 *
 * In Prepare version 2 says so whatever id and epoch the request names: the producer may have the
 * next of both already. Older ones are asked for theirs first, as in any state. An abort of nothing
 * is there for producers that do not know whether their request came in.
 */
#include "coord/txn_int.h"

/* What the request asks for. */
struct end {
    int64_t producer_id;
    int16_t epoch;
    bool commit;
    int16_t client_version;
};

static struct end end_of(const struct coord_call *call) {
    const struct end_txn_request *request = call->request;
    return (struct end){
        .producer_id = request->producer_id,
        .epoch = request->producer_epoch,
        .commit = request->committed,
        .client_version = call->version >= 5 ? 2 : 0,
    };
}

bool txn_end_check(const struct coord_call *call, const struct groups *groups, void *response) {
    (void)groups;
    bool good = ((const struct end_txn_request *)call->request)->transactional_id.size > 0;
    if (!good) {
        ((struct end_txn_response *)response)->error_code = ERR_INVALID_REQUEST;
    }
    return good;
}

/* --- what is to become of it --- */

enum verdict { ENDS, ENDS_NOTHING, FINE, REFUSED };

static enum verdict refuse(err_t *ret_err, err_t err) {
    *ret_err = err;
    return REFUSED;
}

static bool is_complete(enum txn_state state, bool commit) {
    return state == (commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
}

static enum verdict judge_old(const struct txn_values *values, const struct end *end,
                              err_t *ret_err) {
    if (values->producer_id != end->producer_id) {
        return refuse(ret_err, ERR_INVALID_PRODUCER_ID_MAPPING);
    }
    if (values->epoch != end->epoch || end->epoch == TXN_EPOCH_OF_NOBODY) {
        return refuse(ret_err, ERR_PRODUCER_FENCED);
    }
    if (txn_state_is_prepared(values->state)) {
        return refuse(ret_err, ERR_CONCURRENT_TRANSACTIONS);
    }
    if (values->state == TXN_ONGOING) {
        return ENDS;
    }
    return is_complete(values->state, end->commit) ? FINE : refuse(ret_err, ERR_INVALID_TXN_STATE);
}

static enum verdict judge_complete(const struct txn_values *values, const struct end *end,
                                   bool again, err_t *ret_err) {
    if (again) {
        return is_complete(values->state, end->commit) ? FINE
                                                       : refuse(ret_err, ERR_INVALID_TXN_STATE);
    }
    if (values->epoch != end->epoch) {
        return refuse(ret_err, ERR_PRODUCER_FENCED);
    }
    return end->commit ? refuse(ret_err, ERR_INVALID_TXN_STATE) : ENDS_NOTHING;
}

/* By a client of before version 2, which leaves the epoch as it is: then the next epoch is not that
 * of an end of version 2, but of who took over. */
static bool ended_by_old(const struct txn_values *values) {
    return values->client_version == 0;
}

static enum verdict judge(const struct txn_values *values, const struct end *end, err_t *ret_err) {
    bool rotated = values->previous_producer_id == end->producer_id &&
                   end->epoch == TXN_EPOCH_EXHAUSTED && values->epoch == 0;
    bool bumped = values->epoch == end->epoch + 1;
    if (txn_state_is_prepared(values->state)) {
        return refuse(ret_err, ERR_CONCURRENT_TRANSACTIONS);
    }
    if (values->producer_id != end->producer_id && !rotated) {
        return refuse(ret_err, ERR_INVALID_PRODUCER_ID_MAPPING);
    }
    if (end->epoch == TXN_EPOCH_OF_NOBODY) {
        return refuse(ret_err, ERR_PRODUCER_FENCED);
    }
    if (values->state == TXN_COMPLETE_COMMIT || values->state == TXN_COMPLETE_ABORT) {
        bool again = (bumped && !ended_by_old(values)) || rotated;
        return judge_complete(values, end, again, ret_err);
    }
    if (values->epoch != end->epoch) {
        return refuse(ret_err, ERR_PRODUCER_FENCED);
    }
    if (values->state == TXN_EMPTY) {
        return end->commit ? refuse(ret_err, ERR_INVALID_TXN_STATE) : ENDS_NOTHING;
    }
    return ENDS;
}

/* --- Prepare --- */

static struct txn_values prepare(struct group_step *step, struct txn *txn, bool commit,
                                 int16_t client_version, int64_t next_producer_id) {
    struct txn_values next = txn_next(step, txn, commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT);
    if (client_version >= 2) {
        next.last_epoch = next.epoch;
        next.epoch++;
    }
    if (txn->values.state != TXN_ONGOING) {
        next.start_ms = step->wall_ms;
    } else {
        step_count(step, commit ? GROUP_COUNT_TXNS_COMMITTED : GROUP_COUNT_TXNS_ABORTED, 1);
    }
    next.client_version = client_version;
    next.next_producer_id = next_producer_id;
    txn_write(step, txn, &next);
    return next;
}

/* The answer says with which id and epoch the producer goes on. */
static void end_it(struct group_step *step, struct txn *txn, const struct end *end,
                   int64_t next_producer_id, struct end_txn_response *response) {
    struct txn_values next = prepare(step, txn, end->commit, end->client_version, next_producer_id);
    if (end->client_version >= 2) {
        bool rotates = next_producer_id != TXN_NO_PRODUCER;
        response->producer_id = rotates ? next_producer_id : next.producer_id;
        response->producer_epoch = rotates ? 0 : next.epoch;
    }
}

static void resume(struct group_step *step, struct txn *txn, const struct coord_call *call,
                   err_t err, int64_t producer_id, void *ret) {
    struct end_txn_response *response = ret;
    struct end end = end_of(call);
    if (err != ERR_OK) {
        response->error_code = (int16_t)err;
    } else {
        end_it(step, txn, &end, producer_id, response);
    }
}

err_t txn_end_step(struct group_step *step) {
    const struct end_txn_request *request = step->request;
    struct end_txn_response *response = step->response;
    struct txn *txn = txns_find_known(step->groups, request->transactional_id);
    struct end end = end_of(step->call);
    err_t err = ERR_INVALID_PRODUCER_ID_MAPPING;
    if (txn == NULL) {
        response->error_code = (int16_t)err;
        return ERR_OK;
    }
    bool version_2 = end.client_version >= 2;
    enum verdict verdict =
        version_2 ? judge(&txn->values, &end, &err) : judge_old(&txn->values, &end, &err);
    if (verdict != REFUSED && txn->asking) {
        verdict = refuse(&err, ERR_CONCURRENT_TRANSACTIONS);
    }
    if (verdict == REFUSED) {
        response->error_code = (int16_t)err;
    } else if (verdict == FINE) {
        response->producer_id = version_2 ? txn->values.producer_id : TXN_NO_PRODUCER;
        response->producer_epoch = version_2 ? txn->values.epoch : TXN_NO_EPOCH;
    } else if (version_2 && txn->values.epoch >= TXN_EPOCH_EXHAUSTED) {
        txn_await_producer_id(step, txn, resume);
    } else {
        end_it(step, txn, &end, TXN_NO_PRODUCER, response);
    }
    return ERR_OK;
}

/* --- not by the producer --- */

bool txn_fence_needs_id(const struct txn *txn) {
    return txn_cluster_version(txn->groups) >= 2 && txn->values.epoch == TXN_EPOCH_EXHAUSTED;
}

void txn_fence(struct group_step *step, struct txn *txn, int64_t next_producer_id) {
    struct txn_values next = txn_next(step, txn, TXN_PREPARE_ABORT);
    int16_t version = txn_cluster_version(step->groups);
    bool bumps = next.epoch < TXN_EPOCH_OF_NOBODY;
    next.last_epoch = version >= 2 ? next.epoch : TXN_NO_EPOCH;
    next.epoch += bumps;
    next.client_version = bumps || version < 2 ? version : 1; /* its markers are not higher */
    next.next_producer_id = next_producer_id;
    txn_write(step, txn, &next);
}

static void resume_timed_out(struct group_step *step, struct txn *txn,
                             const struct coord_call *call, err_t err, int64_t producer_id,
                             void *response) {
    (void)call;
    (void)response;
    if (err == ERR_OK) {
        txn_fence(step, txn, producer_id);
        step_count(step, GROUP_COUNT_TXNS_TIMED_OUT, 1);
    } else {
        txn_follow_state(step, txn); /* at the next check */
    }
}

err_t txn_timed_out(struct group_step *step, struct group_timer *timer) {
    struct txn *txn = container_of(timer, struct txn, timer);
    if (txn->values.state != TXN_ONGOING) {
        return ERR_OK;
    }
    if (txn->asking) { /* it is being ended just now */
        txn_follow_state(step, txn);
        return ERR_OK;
    }
    text_log_info(step->groups->text_log, "coord",
                  "The transaction of %.*s is aborted: it took longer than its timeout, %d ms",
                  STR_ARGS(txn->id), (int)txn->values.timeout_ms);
    if (txn_fence_needs_id(txn)) {
        txn_await_producer_id(step, txn, resume_timed_out);
    } else {
        txn_fence(step, txn, TXN_NO_PRODUCER);
        step_count(step, GROUP_COUNT_TXNS_TIMED_OUT, 1);
    }
    return ERR_OK;
}
