/*
 * A session of a transactional producer: one request after the other, each sent until it is
 * answered.
 *
 *   find ──► InitProducerId ──► the group's offset ──┐
 *                                                    ▼
 *        ┌─────────────────────────────────────── a transaction ◄─────────────┐
 *        │   (AddPartitionsToTxn ──►) Produce, for each batch                 │
 *        │   (AddOffsetsToTxn ──►) TxnOffsetCommit                            │
 *        └──────► EndTxn ─────────────────────────────────────────────────────┘
 *
 *   an answer                           what it means
 *   ---------------------------------   -----------------------------------------------------------
 *   that the producer is fenced, or     fine where somebody else took the id, or the transaction
 *   its transaction is over             took longer than its timeout; else a violation
 *   fine, to a zombie's request that    a violation: its successor had its id already
 *   was sent too late
 *   none, or an error that passes       it is sent again
 *
 * A zombie that asks for a next epoch is fenced, but an open transaction of its successor is
 * aborted before anybody looks at the epoch, as in Apache Kafka.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_txn.h"

enum {
    INIT_AGAIN_ONE_IN = 4, /* of the aborts of old clients */
    STALL_MS_MAX = 2500,   /* longer than the timeout */
};

static const char *const names[TXN_KINDS] = {
    "FindCoordinator", "FindCoordinator", "InitProducerId",  "OffsetFetch", "AddPartitionsToTxn",
    "Produce",         "AddOffsetsToTxn", "TxnOffsetCommit", "EndTxn",
};

static struct node_sim *sim_of(const struct txn_session *session) {
    return session->client->client.sim;
}

static void point(const struct txn_session *session, const char *name) {
    points_add(sim_of(session)->run->points, name, 1);
}

static int topic_index(const struct txn_session *session, const struct node_topic *topic) {
    return (int)(topic - sim_of(session)->topics);
}

bool txn_session_is_over(const struct txn_session *session) {
    return !session->active || (session->txn == NULL && !session->has_request && session->done);
}

void txn_session_begin(struct txn_session *session) {
    struct txn_client *client = session->client;
    txn_message_done(&session->request);
    session->active = true;
    session->zombie = false;
    session->life++;
    session->number = ++client->session_count;
    session->fenced_ms = -1;
    snprintf(session->id, sizeof session->id, "%s-%d", client->name, client->ids);
    session->has_request = session->busy = session->found = session->found_group = false;
    session->looked = 0;
    session->done = false;
    txn_input_forget(session);
    session->producer_id = -1;
    session->epoch = -1;
    session->version_2 = session->waits = false;
    session->strays_ms = -1;
    session->last = NULL;
    session->timeout_ms = node_draw(sim_of(session), client->timeout) / 1000;
    session->txn = NULL;
    session->begin_down = sim_of(session)->down_count;
    memset(session->sequences, 0, sizeof session->sequences);
    memset(session->audits, 0, sizeof session->audits);
}

/* --- answers --- */

void txn_session_strays(struct txn_session *session, const struct txn_message *request) {
    bool begins = request->kind == TXN_ADD || request->kind == TXN_ADD_OFFSETS;
    if (begins && !request->version_2 && session->strays_ms < 0) {
        session->strays_ms = sys_mono_ms(sim_of(session)->sys);
    }
}

/* Whether the power was cut since, where nothing is synced: who had an epoch may have had none. */
static bool may_be_lost(const struct txn_session *session, uint32_t cut) {
    const struct node_sim *sim = sim_of(session);
    return sim->unsynced && cut != sim->run->power_cut_count;
}

/* Whether it may be told that it, or its transaction, is over. One that nobody asked for times out,
 * too. */
static bool may_be_fenced(const struct txn_session *session) {
    int64_t now_ms = sys_mono_ms(sim_of(session)->sys);
    bool too_long = session->txn != NULL && session->begin_ms >= 0 &&
                    now_ms - session->begin_ms >= session->timeout_ms;
    bool strayed = session->strays_ms >= 0 && (session->request.kind == TXN_INIT ||
                                               now_ms - session->strays_ms >= session->timeout_ms);
    return session->zombie || too_long || strayed || now_ms < session->client->loose_until_ms ||
           may_be_lost(session, session->id_cut);
}

/* Where a log's batches were deleted and only the marker behind them is left, a node that builds
 * its producers anew wants the sequences of an old client from 0 on, as Apache Kafka does. */
static bool may_be_forgotten(const struct txn_session *session, int16_t code) {
    const struct node_topic *topic = session->request.topic;
    return code == ERR_OUT_OF_ORDER_SEQUENCE_NUMBER && !session->version_2 &&
           (topic->deletes_records || topic->retention_bytes >= 0) &&
           session->begin_down != sim_of(session)->down_count;
}

static void fenced(struct txn_session *session, int16_t code) {
    if (may_be_forgotten(session, code)) {
        point(session, "txn_forgotten");
    } else if (!may_be_fenced(session)) {
        node_fail(sim_of(session),
                  "%s: %s (%s) with producer id %" PRId64 ", epoch %d is answered with %s, and "
                  "nobody fenced it",
                  session->id, names[session->request.kind], session->request.topic->name,
                  session->producer_id, session->epoch, err_name(code));
    }
    session->has_request = false;
    if (session->zombie) {
        point(session, "txn_zombie_fenced");
        session->active = false;
        return;
    }
    if (session->begin_ms >= 0 && session->txn != NULL) {
        point(session, "txn_timed_out");
    }
    txn_session_begin(session);
}

/* What a zombie asks for when its successor has its id must be refused. */
static void check_zombie(const struct txn_session *session) {
    const struct txn_message *request = &session->request;
    if (session->zombie && session->fenced_ms >= 0 && request->kind > TXN_FETCH &&
        !may_be_lost(session, session->fenced_cut) && request->first_sent_ms > session->fenced_ms) {
        node_fail(sim_of(session), "%s: a producer with epoch %d is heeded after it was fenced",
                  session->id, request->epoch);
    }
}

/* Before the first transaction, and between two: what was told when a connection came up, which may
 * be long ago. True: the next one is the first of version 2, and needs an epoch of its own. */
static bool learn_version(struct txn_session *session) {
    struct txn_client *client = session->client;
    int64_t epoch;
    int16_t level;
    if (session->link.is_up &&
        client_connection_transaction_version(session->link.connection, &epoch, &level) &&
        epoch > client->features_epoch) {
        client->features_epoch = epoch;
        client->cluster_version = level;
    }
    bool before = session->version_2;
    session->version_2 = client->knows_version_2 && client->cluster_version >= 2;
    if (before != session->version_2) {
        point(session, before ? "txn_version_2_left" : "txn_version_2");
    }
    return session->version_2 && !before;
}

static void take_id(struct txn_session *session, const struct txn_answer *answer) {
    struct txn_client *client = session->client;
    session->producer_id = answer->producer_id;
    session->epoch = answer->epoch;
    session->strays_ms = -1;
    session->last = NULL;
    memset(session->sequences, 0, sizeof session->sequences);
    for (int i = 0; i < TXN_SESSIONS && !session->zombie; i++) {
        struct txn_session *other = &client->sessions[i];
        if (other->active && other->zombie && other->fenced_ms < 0 &&
            strcmp(other->id, session->id) == 0) {
            other->fenced_ms = sys_mono_ms(sim_of(session)->sys);
            other->fenced_cut = sim_of(session)->said_cut;
        }
    }
}

static void take_ended(struct txn_session *session, const struct txn_answer *answer) {
    struct node_sim *sim = sim_of(session);
    bool commit = session->request.commit;
    audit_txn_ended(session->txn, commit);
    point(session, commit ? "txn_committed" : "txn_aborted");
    if (session->request.sends > 1) {
        point(session, "txn_end_repeated");
    }
    session->last = session->txn;
    session->txn = NULL;
    if (session->client->offsets) {
        txn_input_ended(session, commit);
    }
    if (session->version_2) {
        if (answer->epoch <= session->epoch && answer->producer_id == session->producer_id) {
            node_fail(sim, "%s: EndTxn leaves epoch %d", session->id, answer->epoch);
        }
        take_id(session, answer);
        (void)learn_version(session);
    } else if (learn_version(session) || (!commit && node_below(sim, INIT_AGAIN_ONE_IN) == 0)) {
        txn_session_prepare(session, TXN_INIT); /* with the id and epoch that it had */
    }
}

static void take_acked(struct txn_session *session, int64_t base_offset) {
    struct node_sim *sim = sim_of(session);
    const struct txn_message *request = &session->request;
    for (int32_t i = 0; i < request->count; i++) {
        uint64_t value = request->first_value + (uint64_t)i;
        audit_ack(sim->run->audit, value, base_offset + i,
                  request->topic->synced ? AUDIT_SYNCED : AUDIT_WRITTEN);
    }
    if (request->sends > 1) {
        point(session, "txn_produce_repeated");
    }
    session->written++;
}

static void take_fetched(struct txn_session *session, int64_t offset) {
    const struct txn_message *request = &session->request;
    audit_txns_fetched_since(sim_of(session)->txns, session->input.name, request->asked_at, offset);
    if (request->looks) {
        session->looked++;
    } else {
        txn_input_fetched(session, offset);
    }
}

/* The group has given the partition to somebody else, or will: the transaction is aborted. */
static void refused(struct txn_session *session) {
    session->has_request = false;
    if (session->request.kind == TXN_OFFSETS) {
        point(session, "txn_offsets_refused");
        session->sent_offsets = true;
        session->wants_commit = false;
    } else {
        point(session, "txn_fetch_refused");
    }
    txn_input_refused(session);
}

static void take(struct txn_session *session, const struct txn_answer *answer) {
    const struct txn_message *request = &session->request;
    session->has_request = false;
    if (request->sends > 1) {
        txn_session_strays(session, request);
    }
    check_zombie(session);
    switch (request->kind) {
    case TXN_FIND:
        session->found = true;
        break;
    case TXN_FIND_GROUP:
        session->found_group = true;
        break;
    case TXN_INIT:
        session->id_cut = sim_of(session)->said_cut;
        take_id(session, answer);
        (void)learn_version(session);
        break;
    case TXN_FETCH:
        take_fetched(session, answer->offset);
        break;
    case TXN_ADD:
        session->added[topic_index(session, request->topic)][request->partition] = true;
        break;
    case TXN_PRODUCE:
        take_acked(session, answer->offset);
        break;
    case TXN_ADD_OFFSETS:
        session->added_offsets = true;
        break;
    case TXN_OFFSETS:
        session->sent_offsets = true;
        audit_txn_offsets_acked(session->txn);
        break;
    default:
        take_ended(session, answer);
    }
}

struct call {
    struct txn_session *session;
    uint32_t life;
};

static void answered(void *arg, const struct client_response *response) {
    struct call *call = arg;
    struct txn_session *session = call->session;
    bool ours = session->life == call->life;
    free(call);
    if (!ours) {
        return;
    }
    session->busy = false;
    if (response->err != ERR_OK) {
        if (session->request.kind == TXN_INIT) {
            txn_client_loosen(session->client);
        }
        return; /* it is sent again */
    }
    struct txn_answer answer = txn_answer_read(&session->request, response->message);
    run_say(sim_of(session)->run, "%s%s: %s at epoch %d: %s (%" PRId64 ", %d)", session->id,
            session->zombie ? ", a zombie" : "", names[session->request.kind], session->epoch,
            err_name(answer.code), answer.producer_id, answer.epoch);
    if (answer.code == ERR_OK) {
        take(session, &answer);
    } else if (txn_error_fences(answer.code) || txn_error_aborts(answer.code)) {
        fenced(session, answer.code);
    } else if (session->request.who.generation >= 0 && txn_error_of_group(answer.code)) {
        refused(session);
    } else if (!txn_error_passes(answer.code)) {
        node_fail(sim_of(session), "%s: %s is answered with %s", session->id,
                  names[session->request.kind], err_name(answer.code));
    } else if (answer.code == ERR_UNSTABLE_OFFSET_COMMIT) {
        point(session, "txn_offset_unstable");
    }
    txn_client_crash(session);
}

/* --- turns --- */

static bool stalls(struct txn_session *session) {
    if (!session->stalls || session->written == 0) {
        return false;
    }
    session->stalls = false;
    node_timer_in(sim_of(session), &session->timer,
                  session->timeout_ms + (int64_t)node_below(sim_of(session), STALL_MS_MAX));
    return true;
}

void txn_session_turn(struct txn_session *session) {
    if (!session->active || session->busy || session->waits || !session->link.is_up ||
        stalls(session)) {
        return;
    }
    if (!session->has_request) {
        txn_session_next(session);
    }
    if (!session->has_request) {
        return;
    }
    if (session->txn != NULL && session->begin_ms < 0) {
        session->begin_ms = sys_mono_ms(sim_of(session)->sys);
    }
    if (txn_client_crash_sending(session)) {
        return;
    }
    struct call *call = malloc(sizeof *call);
    assert(call != NULL);
    *call = (struct call){.session = session, .life = session->life};
    if (session->zombie && session->request.kind == TXN_INIT) {
        txn_client_loosen(
            session->client); /* it is fenced; a transaction is aborted all the same */
    }
    txn_late_offer(session, &session->request);
    session->busy = true;
    if (txn_message_send(&session->request, &session->link, answered, call) != ERR_OK) {
        session->busy = false;
        free(call);
    }
}
