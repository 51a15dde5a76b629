/*
 * Copies of requests that arrive late, over a connection of their own: after the answer, after the
 * end of the transaction, and after the one that comes next has begun.
 *
 *   EndTxn, and      of version 2 at any time: the epoch tells the transaction. Older ones when
 *   TxnOffsetCommit  their epoch is over; or while no other transaction is open, and then none is
 *                    begun before the answer. Else nobody can tell that they are not of the next
 *                    transaction (the protocol's own gap, which version 2 closed)
 *   InitProducerId   fences whoever has the id: the producer is told so, and that is fine
 *   AddPartitions,   of clients before version 2 begin a transaction that nobody asked for, unless
 *   AddOffsetsToTxn  their epoch is over. The producer's next one goes on with it; but when it asks
 *                    for an epoch instead, or comes after the timeout, it finds itself fenced
 *   all others       must be refused or change nothing; what an acknowledged copy of Produce says
 *                    is the auditor's to judge
 */
#include <assert.h>
#include <stdlib.h>

#include "node_txn.h"

enum { LATE_ONE_IN = 6, LATE_INIT_ONE_IN = 20, LATE_MS_MAX = 4000, LATE_MS_SHORT = 30 };

struct late_call {
    struct txn_client *client;
    struct txn_session *waiting; /* for the answer; NULL: nobody */
    uint32_t life;
    struct txn_message request;
};

/* Whether the coordinator can tell that it is late: its epoch is known to be over. */
static bool can_be_told(const struct txn_client *client, const struct txn_message *request) {
    const struct txn_session *session = client->current;
    bool needs_epoch = request->kind == TXN_END || request->kind == TXN_OFFSETS;
    return !needs_epoch || request->version_2 ||
           (session->producer_id == request->producer_id && session->epoch > request->epoch);
}

/* Or that it is of the last transaction, for no other is open. */
static bool may_wait_for(const struct txn_client *client, const struct txn_message *request) {
    const struct txn_session *session = client->current;
    return session->active && !session->busy && !session->has_request && !session->waits &&
           session->txn == NULL && session->strays_ms < 0 && session->last == request->txn &&
           session->producer_id == request->producer_id && session->epoch == request->epoch;
}

/* Without an answer it may come later still: the epoch has to be over by then. */
static void go_on(const struct late_call *call, bool is_answered) {
    struct txn_session *session = call->waiting;
    if (session == NULL || session->life != call->life) {
        return;
    }
    session->waits = false;
    if (!is_answered) {
        txn_session_begin(session);
    }
}

static void take_acked(const struct late_call *call, int64_t base_offset) {
    const struct txn_message *request = &call->request;
    struct node_sim *sim = call->client->client.sim;
    for (int32_t i = 0; i < request->count; i++) {
        audit_ack(sim->run->audit, request->first_value + (uint64_t)i, base_offset + i,
                  request->topic->synced ? AUDIT_SYNCED : AUDIT_WRITTEN);
    }
}

static void answered(void *arg, const struct client_response *response) {
    struct late_call *call = arg;
    struct txn_message *request = &call->request;
    struct node_sim *sim = call->client->client.sim;
    if (request->kind == TXN_INIT) {
        txn_client_loosen(call->client);
    }
    go_on(call, response->err == ERR_OK);
    if (response->err == ERR_OK) {
        struct txn_answer answer = txn_answer_read(request, response->message);
        if (answer.code == ERR_OK && request->kind == TXN_PRODUCE) {
            take_acked(call, answer.offset);
        }
        bool refused = txn_error_fences(answer.code) || txn_error_aborts(answer.code);
        if (refused || answer.code == ERR_OK) {
            static const char *const names[TXN_KINDS][2] = {
                [TXN_INIT] = {"late_init_fenced", "late_init"},
                [TXN_ADD] = {"late_add_refused", "late_add"},
                [TXN_PRODUCE] = {"late_produce_refused", "late_produce_known"},
                [TXN_ADD_OFFSETS] = {"late_add_offsets_refused", "late_add_offsets"},
                [TXN_OFFSETS] = {"late_offsets_refused", "late_offsets"},
                [TXN_END] = {"late_end_refused", "late_end_known"},
            };
            points_add(sim->run->points, names[request->kind][refused ? 0 : 1], 1);
        }
    }
    txn_message_done(request);
    free(call);
}

static void arrive(struct sys_timer *timer) {
    struct txn_late *late = container_of(timer, struct txn_late, timer);
    struct txn_client *client = late->client;
    const struct txn_message *request = &late->request;
    bool told = can_be_told(client, request);
    bool waits = !told && may_wait_for(client, request);
    if ((told || waits) && client->late_link.is_up) {
        struct late_call *call = calloc(1, sizeof *call);
        assert(call != NULL);
        call->client = client;
        if (waits) {
            points_add(client->client.sim->run->points, "late_between", 1);
            call->waiting = client->current;
            call->life = client->current->life;
            client->current->waits = true;
        }
        txn_message_copy(&call->request, request);
        if (request->kind == TXN_INIT) {
            txn_client_loosen(client);
        }
        txn_session_strays(client->current, request);
        if (txn_message_send(&call->request, &client->late_link, answered, call) != ERR_OK) {
            go_on(call, true);
            txn_message_done(&call->request);
            free(call);
        }
    }
    txn_message_done(&late->request);
    late->used = false;
}

bool txn_lates_pending(const struct txn_client *client) {
    for (int i = 0; i < TXN_LATE_MAX; i++) {
        if (client->lates[i].used) {
            return true;
        }
    }
    return false;
}

void txn_late_keep(struct txn_session *session, const struct txn_message *request) {
    struct txn_client *client = session->client;
    struct node_sim *sim = client->client.sim;
    for (int i = 0; i < TXN_LATE_MAX; i++) {
        struct txn_late *late = &client->lates[i];
        if (!late->used) {
            late->used = true;
            late->client = client;
            late->timer.fire = arrive;
            txn_message_copy(&late->request, request);
            uint64_t most_ms = node_below(sim, 2) == 0 ? LATE_MS_SHORT : LATE_MS_MAX;
            node_timer_in(sim, &late->timer, (int64_t)node_below(sim, most_ms));
            return;
        }
    }
}

void txn_late_offer(struct txn_session *session, const struct txn_message *request) {
    struct node_sim *sim = session->client->client.sim;
    bool shown = request->kind >= TXN_INIT && request->kind != TXN_FETCH;
    uint64_t one_in = request->kind == TXN_INIT ? LATE_INIT_ONE_IN : LATE_ONE_IN;
    if (session->client->late && shown && !sim->finishing && node_below(sim, one_in) == 0) {
        txn_late_keep(session, request);
    }
}
