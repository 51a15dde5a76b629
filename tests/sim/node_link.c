#include <assert.h>
#include <stdlib.h>

#include "node_int.h"

enum { RETRY_MS_MIN = 20, RETRY_MS_MAX = 200, CONNECT_MS_MAX = 3000, ANSWER_MS_MAX = 8000 };

static void connect_again(struct sys_timer *timer);

static void again(struct node_link *link) {
    struct scenario_range wait = {.least = RETRY_MS_MIN, .most = RETRY_MS_MAX};
    node_timer_in(link->sim, &link->timer, node_draw(link->sim, wait));
}

static void on_state(void *arg, struct client_connection *connection, err_t state) {
    struct node_link *link = arg;
    link->is_up = state == ERR_OK;
    if (state == ERR_OK) {
        link->cut = link->sim->run->power_cut_count;
        if (link->up != NULL) {
            link->up(link);
        }
        return;
    }
    link->connection = NULL;
    client_connection_free(connection);
    if (link->down != NULL) {
        link->down(link);
    }
    again(link);
}

static void connect_again(struct sys_timer *timer) {
    struct node_link *link = container_of(timer, struct node_link, timer);
    struct node_sim *sim = link->sim;
    struct client_connection_settings settings = {
        .sys = sim->sys,
        .loop = sim->loop,
        .addresses = &sim->address,
        .address_count = 1,
        .client_id = "sim",
        .connect_timeout_ms = CONNECT_MS_MAX,
        .request_timeout_ms = ANSWER_MS_MAX,
        .negotiate = node_below(sim, link->asks ? 2 : 4) == 0,
        .on_state = on_state,
        .arg = link,
    };
    link->connection = client_connection_new(&settings);
}

void node_link_begin(struct node_link *link, struct node_sim *sim) {
    link->sim = sim;
    link->timer.fire = connect_again;
    again(link);
}

struct link_call {
    struct node_sim *sim;
    uint32_t cut;
    client_done_fn done;
    void *arg;
};

static void call_done(void *arg, const struct client_response *response) {
    struct link_call *call = arg;
    struct node_sim *sim = call->sim;
    sim->said_cut = call->cut;
    audit_said_after_cuts(sim->run->audit, call->cut);
    call->done(call->arg, response);
    sim->said_cut = sim->run->power_cut_count;
    audit_said_after_cuts(sim->run->audit, sim->said_cut);
    free(call);
}

err_t node_link_send(struct node_link *link, int16_t api_key, int16_t version, const void *request,
                     client_done_fn done, void *arg) {
    if (!link->is_up) {
        return ERR_CLOSED;
    }
    struct link_call *call = malloc(sizeof *call);
    assert(call != NULL);
    *call = (struct link_call){.sim = link->sim, .cut = link->cut, .done = done, .arg = arg};
    err_t err =
        client_connection_send(link->connection, api_key, version, request, call_done, call);
    if (err != ERR_OK) {
        free(call);
    }
    return err;
}

void node_link_break(struct node_link *link) {
    struct client_connection *connection = link->connection;
    if (connection == NULL) {
        return;
    }
    link->connection = NULL;
    link->is_up = false;
    client_connection_free(connection); /* its calls fail; on_state is not called */
    if (link->down != NULL) {
        link->down(link);
    }
    again(link);
}
