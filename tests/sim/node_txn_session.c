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
#include "wire/batch_builder.h"

enum {
    ABORT_ONE_IN = 4,
    STALL_ONE_IN = 60,
    INIT_AGAIN_ONE_IN = 4, /* of the aborts of old clients */
    STALL_MS_MAX = 2500,   /* longer than the timeout */
    STEP_MAX = 20,
    VALUE_SIZE = 40,
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
    return !session->active || (session->txn == NULL && !session->has_request && session->looked);
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
    session->knows_offset = session->looked = false;
    session->producer_id = -1;
    session->epoch = -1;
    session->timeout_ms = node_draw(sim_of(session), client->timeout) / 1000;
    session->txn = NULL;
    session->begin_down = sim_of(session)->down_count;
    memset(session->sequences, 0, sizeof session->sequences);
    memset(session->audits, 0, sizeof session->audits);
}

/* --- a transaction --- */

static void draw_writes(struct txn_session *session) {
    struct node_sim *sim = sim_of(session);
    int wanted = 1 + (int)node_below(sim, TXN_WRITES_MAX);
    session->write_count = 0;
    for (int i = 0; i < wanted; i++) {
        struct node_topic *topic = &sim->topics[node_below(sim, (uint64_t)sim->topic_count)];
        if (topic_is_usable(topic) && !topic->comes_and_goes) {
            session->writes[session->write_count++] = (struct txn_write){
                .topic = topic,
                .partition = (int32_t)node_below(sim, (uint64_t)topic->partition_count),
            };
        }
    }
}

static void begin(struct txn_session *session) {
    struct txn_client *client = session->client;
    draw_writes(session);
    if (session->write_count == 0) {
        return;
    }
    session->txn = audit_txn_begin(sim_of(session)->txns, session->id);
    session->begin_ms = -1;
    session->written = 0;
    session->added_offsets = session->sent_offsets = false;
    session->wants_commit = node_below(sim_of(session), ABORT_ONE_IN) != 0;
    session->stalls = node_below(sim_of(session), STALL_ONE_IN) == 0;
    memset(session->added, 0, sizeof session->added);
    if (client->offsets) {
        int64_t from = session->offset;
        client->last_to = (client->last_to > from ? client->last_to : from) + 1 +
                          (int64_t)node_below(sim_of(session), STEP_MAX);
        session->to = client->last_to;
        audit_txn_offsets(session->txn, client->group, from, session->to);
    }
}

static void build_batch(struct txn_session *session, struct txn_message *request,
                        const struct txn_write *write) {
    struct node_sim *sim = sim_of(session);
    int topic = topic_index(session, write->topic);
    struct audit_producer **audit = &session->audits[topic][write->partition];
    if (*audit == NULL) {
        *audit = audit_producer(sim->run->audit, true, true);
    }
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.producer_id = session->producer_id;
    options.producer_epoch = session->epoch;
    options.base_sequence = session->sequences[topic][write->partition];
    options.attributes = RECORD_BATCH_TRANSACTIONAL;
    request->count = (int32_t)node_draw(sim, session->client->records);
    struct batch_builder builder;
    batch_builder_init(&builder, &request->batch, &options);
    for (int32_t i = 0; i < request->count; i++) {
        uint64_t value = audit_send(*audit, write->topic->partitions[write->partition].audit);
        uint8_t bytes[VALUE_SIZE];
        request->first_value = i == 0 ? value : request->first_value;
        audit_txn_value(session->txn, value);
        audit_value_fill(value, bytes, sizeof bytes);
        node_record_add(&builder, write->topic, value,
                        (struct bytes){.data = bytes, .size = sizeof bytes});
    }
    batch_builder_finish(&builder, NULL);
    session->sequences[topic][write->partition] += request->count;
}

/* --- the next request --- */

static void prepare(struct txn_session *session, enum txn_kind kind) {
    struct txn_client *client = session->client;
    struct txn_message *request = &session->request;
    txn_message_done(request);
    *request = (struct txn_message){
        .kind = kind,
        .version_2 = client->version_2,
        .producer_id = session->producer_id,
        .epoch = session->epoch,
        .timeout_ms = (int32_t)session->timeout_ms,
        .topic = &sim_of(session)->topics[0],
        .group = client->group,
        .txn = session->txn,
        .first_sent_ms = -1,
    };
    snprintf(request->id, sizeof request->id, "%s", session->id);
    session->has_request = true;
}

static void prepare_write(struct txn_session *session) {
    const struct txn_write *write = &session->writes[session->written];
    bool added = session->added[topic_index(session, write->topic)][write->partition];
    bool adds = !session->client->version_2 && !added;
    prepare(session, adds ? TXN_ADD : TXN_PRODUCE);
    session->request.topic = write->topic;
    session->request.partition = write->partition;
    if (!adds) {
        struct node_sim *sim = sim_of(session);
        session->request.produce_version =
            (int16_t)(session->client->version_2 ? 12 + node_below(sim, 2)
                                                 : 3 + node_below(sim, 9));
        build_batch(session, &session->request, write);
    }
}

static void prepare_next(struct txn_session *session) {
    const struct txn_client *client = session->client;
    bool finishing = sim_of(session)->finishing;
    if (!session->found) {
        prepare(session, TXN_FIND);
    } else if (client->offsets && !session->found_group) {
        prepare(session, TXN_FIND_GROUP);
    } else if (session->producer_id < 0) {
        prepare(session, TXN_INIT);
    } else if (session->txn == NULL && client->offsets &&
               (!session->knows_offset || (finishing && !session->looked))) {
        prepare(session, TXN_FETCH);
    } else if (session->txn == NULL && finishing) {
        session->looked = true;
    } else if (session->txn == NULL) {
        begin(session);
    } else if (session->written < session->write_count) {
        prepare_write(session);
    } else if (client->offsets && !client->version_2 && !session->added_offsets) {
        prepare(session, TXN_ADD_OFFSETS);
    } else if (client->offsets && !session->sent_offsets) {
        prepare(session, TXN_OFFSETS);
        session->request.offset = session->to;
    } else {
        prepare(session, TXN_END);
        session->request.commit = session->wants_commit;
    }
}

/* --- answers --- */

/* Whether it may be told that it, or its transaction, is over. */
static bool may_be_fenced(const struct txn_session *session) {
    int64_t now_ms = sys_mono_ms(sim_of(session)->sys);
    bool too_long = session->txn != NULL && session->begin_ms >= 0 &&
                    now_ms - session->begin_ms >= session->timeout_ms;
    return session->zombie || too_long || now_ms < session->client->loose_until_ms;
}

/* Where a log's batches were deleted and only the marker behind them is left, a node that builds
 * its producers anew wants the sequences of an old client from 0 on, as Apache Kafka does. */
static bool may_be_forgotten(const struct txn_session *session, int16_t code) {
    const struct node_topic *topic = session->request.topic;
    return code == ERR_OUT_OF_ORDER_SEQUENCE_NUMBER && !session->client->version_2 &&
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
        request->first_sent_ms > session->fenced_ms) {
        node_fail(sim_of(session), "%s: a producer with epoch %d is heeded after it was fenced",
                  session->id, request->epoch);
    }
}

static void take_id(struct txn_session *session, const struct txn_answer *answer) {
    struct txn_client *client = session->client;
    session->producer_id = answer->producer_id;
    session->epoch = answer->epoch;
    memset(session->sequences, 0, sizeof session->sequences);
    for (int i = 0; i < TXN_SESSIONS && !session->zombie; i++) {
        struct txn_session *other = &client->sessions[i];
        if (other->active && other->zombie && other->fenced_ms < 0 &&
            strcmp(other->id, session->id) == 0) {
            other->fenced_ms = sys_mono_ms(sim_of(session)->sys);
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
    session->txn = NULL;
    if (commit && session->client->offsets) {
        session->offset = session->to;
    }
    if (session->client->version_2) {
        if (answer->epoch <= session->epoch && answer->producer_id == session->producer_id) {
            node_fail(sim, "%s: EndTxn leaves epoch %d", session->id, answer->epoch);
        }
        take_id(session, answer);
    } else if (!commit && node_below(sim, INIT_AGAIN_ONE_IN) == 0) {
        prepare(session, TXN_INIT); /* with the id and epoch that it had */
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
    audit_txns_fetched(sim_of(session)->txns, session->client->group, offset);
    session->offset = offset < 0 ? 0 : offset;
    session->knows_offset = true;
    session->looked = sim_of(session)->finishing;
}

static void take(struct txn_session *session, const struct txn_answer *answer) {
    const struct txn_message *request = &session->request;
    session->has_request = false;
    check_zombie(session);
    switch (request->kind) {
    case TXN_FIND:
        session->found = true;
        break;
    case TXN_FIND_GROUP:
        session->found_group = true;
        break;
    case TXN_INIT:
        take_id(session, answer);
        break;
    case TXN_FETCH:
        if (!session->zombie) {
            take_fetched(session, answer->offset);
        }
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
    } else if (!txn_error_passes(answer.code)) {
        node_fail(sim_of(session), "%s: request %d is answered with %s", session->id,
                  session->request.kind, err_name(answer.code));
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
    if (!session->active || session->busy || !session->link.is_up || stalls(session)) {
        return;
    }
    if (!session->has_request) {
        prepare_next(session);
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
