#include "node_txn.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "node_member.h"

enum {
    ZOMBIE_MS_MAX = 3000,
    LOOSE_MS = 20000,
    GONE_ONE_IN = 4, /* crashes after which nobody comes back for the transaction */
};

void txn_client_loosen(struct txn_client *client) {
    client->loose_until_ms = sys_mono_ms(client->client.sim->sys) + LOOSE_MS;
}

static void session_over(struct txn_session *session) {
    if (session->has_request && session->busy && session->request.kind == TXN_INIT) {
        txn_client_loosen(session->client);
    }
    session->active = false;
    session->has_request = false;
    session->life++;
}

/* The slot for the next session; a zombie may lose its own. */
static struct txn_session *free_slot(struct txn_client *client) {
    struct txn_session *found = NULL;
    for (int i = 0; i < TXN_SESSIONS; i++) {
        struct txn_session *session = &client->sessions[i];
        if (session != client->current &&
            (found == NULL || !session->active || session->number < found->number)) {
            found = session;
        }
    }
    if (found->active) {
        session_over(found);
    }
    return found;
}

static void crash(struct txn_session *session, bool zombie) {
    struct txn_client *client = session->client;
    struct node_sim *sim = client->client.sim;
    points_add(sim->run->points, session->txn != NULL ? "txn_crash_within" : "txn_crash", 1);
    struct txn_session *next = free_slot(client);
    bool in_group = client->member != NULL;
    bool gone = (!client->offsets || in_group) && node_below(sim, GONE_ONE_IN) == 0;
    if (in_group) {
        member_vanish(client->member);
    }
    if (zombie && (!gone || in_group)) {
        session->zombie = true;
        session->zombie_ends_ms = sys_mono_ms(sim->sys) + (int64_t)node_below(sim, ZOMBIE_MS_MAX);
    } else {
        session_over(session);
    }
    if (gone) {
        client->ids++;
        points_add(sim->run->points, "txn_abandoned", 1);
    }
    client->current = next;
    txn_session_begin(next);
}

static bool may_crash(const struct txn_session *session) {
    return session == session->client->current && session->producer_id >= 0 &&
           !session->client->client.sim->finishing;
}

void txn_client_crash(struct txn_session *session) {
    struct node_sim *sim = session->client->client.sim;
    if (may_crash(session) && node_below(sim, (uint64_t)session->client->dies_one_in) == 0) {
        crash(session, node_below(sim, 2) == 0);
    }
}

bool txn_client_crash_sending(struct txn_session *session) {
    struct node_sim *sim = session->client->client.sim;
    if (!session->client->late || session->txn == NULL || session->request.sends > 0 ||
        !may_crash(session) || node_below(sim, (uint64_t)session->client->dies_one_in) != 0) {
        return false;
    }
    txn_late_keep(session, &session->request);
    crash(session, false);
    points_add(sim->run->points, "txn_crash_sending", 1);
    return true;
}

static void turn(struct sys_timer *timer) {
    struct txn_session *session = container_of(timer, struct txn_session, timer);
    struct txn_client *client = session->client;
    struct node_sim *sim = client->client.sim;
    if (session->active && session->zombie && sys_mono_ms(sim->sys) >= session->zombie_ends_ms) {
        session_over(session);
    }
    txn_session_turn(session);
    bool over = sim->finishing && !txn_lates_pending(client);
    for (int i = 0; i < TXN_SESSIONS; i++) {
        const struct txn_session *other = &client->sessions[i];
        over = over && (other == client->current ? txn_session_is_over(other) : !other->active);
    }
    client->client.over = client->client.over || over;
    if (!client->client.over && !sys_timer_is_set(&session->timer)) {
        node_timer_in(sim, &session->timer, 1 + node_draw(sim, client->wait) / 1000);
    }
}

static void describe(struct node_client *base, char *text, size_t size) {
    const struct txn_client *client = container_of(base, struct txn_client, client);
    const struct txn_session *session = client->current;
    snprintf(text, size,
             "a transactional producer: %s, producer id %" PRId64 ", request %d, sent %d times",
             session->id, session->producer_id,
             session->has_request ? (int)session->request.kind : -1, session->request.sends);
}

static void client_free(struct node_client *base) {
    struct txn_client *client = container_of(base, struct txn_client, client);
    for (int i = 0; i < TXN_SESSIONS; i++) {
        txn_message_done(&client->sessions[i].request);
    }
    for (int i = 0; i < TXN_LATE_MAX; i++) {
        txn_message_done(&client->lates[i].request);
    }
    free(client);
}

void node_txn_new(struct node_sim *sim, struct scenario_line *line) {
    struct txn_client *client = calloc(1, sizeof *client);
    assert(client != NULL);
    node_client_add(sim, &client->client, "transactional");
    client->client.free = client_free;
    client->client.describe = describe;
    client->number = ++sim->txn_client_count;
    snprintf(client->name, sizeof client->name, "producer%d", client->number);
    snprintf(client->group, sizeof client->group, "consumer%d", client->number);
    client->features_epoch = -1;
    client->knows_version_2 = node_draw(sim, scenario_range(line, "version", "0-2")) == 2;
    txn_input_new(client, line);
    client->late = scenario_flag(line, "late", false);
    client->dies_one_in = scenario_number(line, "dies_one_in", "150");
    client->wait = scenario_range(line, "wait", "5ms-60ms");
    client->records = scenario_range(line, "records", "1-5");
    client->timeout = scenario_range(line, "timeout", "2s-6s");
    node_link_begin(&client->late_link, sim);
    for (int i = 0; i < TXN_SESSIONS; i++) {
        struct txn_session *session = &client->sessions[i];
        session->client = client;
        session->timer.fire = turn;
        session->link.asks = true;
        node_link_begin(&session->link, sim);
        node_timer_in(sim, &session->timer, 1 + node_draw(sim, client->wait) / 1000);
    }
    client->current = &client->sessions[0];
    txn_session_begin(client->current);
}
