/* What a session asks for next: the requests of a transaction, one after the other. */
#include <stdio.h>
#include <string.h>

#include "node_txn.h"
#include "wire/batch_builder.h"

enum { ABORT_ONE_IN = 4, STALL_ONE_IN = 60, VALUE_SIZE = 40 };

static struct node_sim *sim_of(const struct txn_session *session) {
    return session->client->client.sim;
}

static int topic_index(const struct txn_session *session, const struct node_topic *topic) {
    return (int)(topic - sim_of(session)->topics);
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
    draw_writes(session);
    if (session->write_count == 0) {
        return;
    }
    session->txn = audit_txn_begin(sim_of(session)->txns, session->id);
    if (session->version_2) {
        audit_txn_own_epoch(session->txn);
    }
    session->begin_ms = -1;
    session->written = 0;
    session->added_offsets = session->sent_offsets = false;
    session->wants_commit = node_below(sim_of(session), ABORT_ONE_IN) != 0;
    session->stalls = node_below(sim_of(session), STALL_ONE_IN) == 0;
    memset(session->added, 0, sizeof session->added);
    if (session->client->offsets) {
        txn_input_begin(session);
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

void txn_session_prepare(struct txn_session *session, enum txn_kind kind) {
    struct txn_client *client = session->client;
    struct txn_message *request = &session->request;
    txn_message_done(request);
    *request = (struct txn_message){
        .kind = kind,
        .version_2 = session->version_2,
        .producer_id = session->producer_id,
        .epoch = session->epoch,
        .timeout_ms = (int32_t)session->timeout_ms,
        .topic = &sim_of(session)->topics[0],
        .group = client->group,
        .who = {.generation = -1},
        .txn = session->txn,
        .first_sent_ms = -1,
    };
    snprintf(request->id, sizeof request->id, "%s", session->id);
    session->has_request = true;
}

static void prepare_write(struct txn_session *session) {
    const struct txn_write *write = &session->writes[session->written];
    bool added = session->added[topic_index(session, write->topic)][write->partition];
    bool adds = !session->version_2 && !added;
    txn_session_prepare(session, adds ? TXN_ADD : TXN_PRODUCE);
    session->request.topic = write->topic;
    session->request.partition = write->partition;
    if (!adds) {
        struct node_sim *sim = sim_of(session);
        session->request.produce_version =
            (int16_t)(session->version_2 ? 12 + node_below(sim, 2) : 3 + node_below(sim, 9));
        build_batch(session, &session->request, write);
    }
}

static void prepare_offsets(struct txn_session *session, enum txn_kind kind, bool looks) {
    txn_session_prepare(session, kind);
    session->request.topic = session->input.topic;
    session->request.partition = session->input.partition;
    session->request.offset = session->input.to;
    session->request.looks = looks;
    session->request.who = kind == TXN_OFFSETS ? *txn_input_who(session) : session->input.who;
}

void txn_session_next(struct txn_session *session) {
    const struct txn_client *client = session->client;
    bool finishing = sim_of(session)->finishing;
    if (!session->found) {
        txn_session_prepare(session, TXN_FIND);
    } else if (client->offsets && !session->found_group) {
        txn_session_prepare(session, TXN_FIND_GROUP);
    } else if (session->producer_id < 0) {
        txn_session_prepare(session, TXN_INIT);
    } else if (session->txn == NULL && finishing && client->offsets && txn_input_look(session)) {
        prepare_offsets(session, TXN_FETCH, true);
    } else if (session->txn == NULL && finishing) {
        session->done = true;
    } else if (session->txn == NULL && client->offsets && !txn_input_choose(session)) {
        return;
    } else if (session->txn == NULL && client->offsets && !session->input.knows_offset) {
        prepare_offsets(session, TXN_FETCH, false);
    } else if (session->txn == NULL) {
        begin(session);
    } else if (session->written < session->write_count) {
        prepare_write(session);
    } else if (client->offsets && !session->version_2 && !session->added_offsets) {
        txn_session_prepare(session, TXN_ADD_OFFSETS);
    } else if (client->offsets && !session->sent_offsets) {
        prepare_offsets(session, TXN_OFFSETS, false);
    } else {
        txn_session_prepare(session, TXN_END);
        session->request.commit = session->wants_commit;
    }
}
