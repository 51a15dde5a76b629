/*
 * Connections: how they begin, how bytes travel, how they end.
 *
 *   an end gets       when its host            it does
 *   ---------------   ----------------------   ---------------------------------------------
 *   data              knows it                 appends to what can be read
 *   end of stream     knows it                 reads CLOSED after the bytes before it
 *   reset             knows it                 fails with IO; by the seed unread bytes are lost
 *   data              is up, knows it not      answers with a reset
 *   anything          is dark or cut off       the piece is sent again until SIM_RESEND_MS_MAX,
 *                                              then the sender fails with TIMED_OUT
 *
 * A connection is freed when neither end has a socket or a place in an accept queue, and nothing is
 * under way.
 */
#include <stdlib.h>
#include <string.h>

#include "sys/sim_net_int.h"

enum {
    RESEND_NS = 200 * 1000 * 1000, /* how often a piece that cannot arrive is tried */
    PIECE_SIZE_MAX = 64 * 1024,
};

static void take_arrivals(struct sim_world *world, struct sim_moment *moment);

struct sim_net *sim_net_new(struct sim_world *world) {
    struct sim_net *net = calloc(1, sizeof *net);
    assert(net != NULL);
    net->world = world;
    list_init(&net->connections);
    list_init(&net->links);
    list_init(&net->cuts);
    net->others = (struct sim_link){.delay_min_us = 50, .delay_max_us = 500};
    return net;
}

static void drop_pieces(struct sim_end *end) {
    struct list *link;
    while ((link = list_take_first(&end->coming)) != NULL) {
        free(container_of(link, struct sim_piece, link));
    }
    end->coming_size = 0;
    if (end->armed) {
        sim_moment_remove(end->connection->world, &end->arrival);
        end->armed = false;
    }
}

static void connection_free(struct sim_connection *connection) {
    for (int i = 0; i < 2; i++) {
        drop_pieces(&connection->ends[i]);
        buffer_done(&connection->ends[i].received);
    }
    if (connection->handshaking) {
        sim_moment_remove(connection->world, &connection->handshake);
    }
    connection->world->net->connection_count--;
    list_remove(&connection->link);
    free(connection);
}

void sim_net_free(struct sim_net *net) {
    struct list *link;
    while ((link = list_first(&net->connections)) != NULL) {
        connection_free(container_of(link, struct sim_connection, link));
    }
    sim_links_free(net);
    free(net);
}

static void maybe_free(struct sim_connection *connection) {
    for (int i = 0; i < 2; i++) {
        const struct sim_end *end = &connection->ends[i];
        if (end->socket != NULL || end->listener != NULL || !list_empty(&end->coming)) {
            return;
        }
    }
    connection_free(connection);
}

static void changed(struct sim_end *end) {
    if (end->socket != NULL) {
        sim_socket_update(end->socket);
    }
}

/* --- ends --- */

size_t sim_end_space(struct sim_end *end) {
    const struct sim_end *peer = sim_peer(end);
    size_t most = end->send_max + peer->receive_max;
    size_t used = peer->coming_size + sim_unread(peer);
    return used < most ? most - used : 0;
}

static void arm(struct sim_end *end, int64_t time_ns) {
    struct sim_world *world = end->connection->world;
    assert(!end->armed);
    end->armed = true;
    end->arrival.run = take_arrivals;
    sim_moment_add(world, &end->arrival, time_ns > world->now_ns ? time_ns - world->now_ns : 0);
}

void sim_end_send(struct sim_end *end, enum sim_piece_kind kind, const void *data, size_t size) {
    struct sim_end *peer = sim_peer(end);
    struct sim_world *world = end->connection->world;
    size_t done = 0;
    do {
        size_t most = size - done < PIECE_SIZE_MAX ? size - done : PIECE_SIZE_MAX;
        size_t part = most;
        if (most > 1 && rng_below(&world->network, 4) == 0) {
            part = 1 + (size_t)rng_below(&world->network, most);
        }
        struct sim_piece *piece = calloc(1, sizeof *piece + part);
        assert(piece != NULL);
        piece->kind = kind;
        piece->size = part;
        if (part > 0) {
            memcpy(piece->bytes, (const uint8_t *)data + done, part);
        }
        int64_t time_ns = world->now_ns + sim_net_delay_ns(world->net, end->host, peer->host);
        piece->time_ns = time_ns > peer->last_time_ns ? time_ns : peer->last_time_ns;
        peer->last_time_ns = piece->time_ns;
        list_add_last(&peer->coming, &piece->link);
        peer->coming_size += part;
        done += part;
        if (!peer->armed) {
            arm(peer, piece->time_ns);
        }
    } while (done < size);
}

void sim_end_fail(struct sim_end *end, err_t err) {
    if (end->failed == ERR_OK) {
        end->failed = err;
        changed(end);
    }
}

void sim_end_close(struct sim_end *end, bool reset) {
    struct sim_end *peer = sim_peer(end);
    bool unread = sim_unread(end) > 0;
    end->socket = NULL;
    end->listener = NULL;
    end->gone = true;
    bool known = end->connection->ends[1].open; /* to the other side */
    if (known && end->failed == ERR_OK) {
        if (reset) {
            drop_pieces(peer); /* what was not sent is dropped */
        }
        sim_end_send(end, reset || unread ? SIM_PIECE_RESET : SIM_PIECE_END, NULL, 0);
    }
    maybe_free(end->connection);
}

void sim_end_forget(struct sim_end *end) {
    drop_pieces(sim_peer(end));
    end->socket = NULL;
    end->listener = NULL;
    end->gone = true;
    maybe_free(end->connection);
}

void sim_connection_reset(struct sim_connection *connection) {
    struct sim_world *world = connection->world;
    sim_record(world, &(struct sim_event){.kind = SIM_EVENT_RESET, .a = connection->number});
    for (int i = 0; i < 2; i++) {
        drop_pieces(&connection->ends[i]);
        sim_end_fail(&connection->ends[i], ERR_IO);
    }
    maybe_free(connection);
}

/* --- arrivals --- */

/* Whether the first piece can arrive; if not, it is tried again, or the sender gives up. */
static bool may_arrive(struct sim_end *end) {
    struct sim_connection *connection = end->connection;
    struct sim_world *world = connection->world;
    struct sim_end *sender = sim_peer(end);
    if (!connection->lost && sim_net_reaches(world->net, sender->host, end->host)) {
        end->stalled_ns = 0;
        return true;
    }
    if (end->stalled_ns == 0) {
        end->stalled_ns = world->now_ns;
    }
    if (world->now_ns - end->stalled_ns < SIM_RESEND_MS_MAX * INT64_C(1000000)) {
        arm(end, world->now_ns + RESEND_NS);
    } else {
        drop_pieces(end);
        sim_end_fail(sender, ERR_TIMED_OUT);
        maybe_free(connection);
    }
    return false;
}

static void answer_with_reset(struct sim_end *end) {
    drop_pieces(end);
    struct sim_end *sender = sim_peer(end);
    if (!sender->gone && sender->failed == ERR_OK) {
        sim_end_send(end, SIM_PIECE_RESET, NULL, 0);
    }
}

static void take_data(struct sim_end *end, const struct sim_piece *piece) {
    struct sim_world *world = end->connection->world;
    if (end->received_start == end->received.size) {
        buffer_clear(&end->received);
        end->received_start = 0;
    }
    buffer_add(&end->received, piece->bytes, piece->size);
    sim_hash_bytes(world, piece->bytes, piece->size);
    sim_record(world, &(struct sim_event){.kind = SIM_EVENT_DELIVER,
                                          .host = end->host,
                                          .a = end->connection->number,
                                          .b = piece->size});
}

static void take_reset(struct sim_end *end) {
    struct sim_world *world = end->connection->world;
    if (rng_below(&world->network, 2) == 0) {
        end->received_start = end->received.size;
    }
    drop_pieces(sim_peer(end));
    end->failed = ERR_IO;
    sim_record(world, &(struct sim_event){.kind = SIM_EVENT_RESET,
                                          .host = end->host,
                                          .a = end->connection->number});
}

static void take_piece(struct sim_end *end, struct sim_piece *piece) {
    list_remove(&piece->link);
    end->coming_size -= piece->size;
    switch (piece->kind) {
    case SIM_PIECE_DATA:
        take_data(end, piece);
        break;
    case SIM_PIECE_END:
        end->ended = true;
        break;
    case SIM_PIECE_RESET:
        take_reset(end);
        break;
    }
    free(piece);
}

static void take_arrivals(struct sim_world *world, struct sim_moment *moment) {
    struct sim_end *end = container_of(moment, struct sim_end, arrival);
    struct sim_end *sender = sim_peer(end);
    end->armed = false;
    if (!may_arrive(end)) {
        return;
    }
    const struct sim_link *link = sim_net_link(world->net, sender->host, end->host);
    if (!end->gone && rng_one_in(&world->network, link->reset_one_in)) {
        sim_connection_reset(end->connection);
        return;
    }
    struct sim_piece *piece = container_of(list_first(&end->coming), struct sim_piece, link);
    if (end->gone && piece->kind == SIM_PIECE_DATA) {
        answer_with_reset(end);
    } else {
        take_piece(end, piece);
    }
    struct list *next = list_first(&end->coming);
    if (next != NULL) {
        arm(end, container_of(next, struct sim_piece, link)->time_ns);
    }
    changed(end);
    changed(sender);
    maybe_free(end->connection);
}

/* --- the handshake --- */

static void open_client(struct sim_world *world, struct sim_moment *moment) {
    struct sim_connection *connection = container_of(moment, struct sim_connection, handshake);
    (void)world;
    connection->handshaking = false;
    connection->ends[0].open = true;
    changed(&connection->ends[0]);
}

static void handshake_in(struct sim_connection *connection, int64_t delay_ns) {
    connection->handshaking = true;
    sim_moment_add(connection->world, &connection->handshake, delay_ns);
}

static void give_up(struct sim_connection *connection, err_t err) {
    sim_end_fail(&connection->ends[0], err);
    maybe_free(connection);
}

static void join_queue(struct sim_end *end, struct sim_socket *listener) {
    struct sim_connection *connection = end->connection;
    sim_record(
        connection->world,
        &(struct sim_event){.kind = SIM_EVENT_CONNECT, .host = end->host, .a = connection->number});
    end->gone = false;
    end->open = true;
    end->listener = listener;
    end->send_max = listener->send_max;
    end->receive_max = listener->receive_max;
    list_add_last(&listener->waiting, &end->accept_link);
    listener->waiting_count++;
    sim_socket_update(listener);
}

/* The first packet arrives, or does not. */
static void knock(struct sim_world *world, struct sim_moment *moment) {
    enum { KNOCK_AGAIN_NS = 1000 * 1000 * 1000 };
    struct sim_connection *connection = container_of(moment, struct sim_connection, handshake);
    struct sim_end *client = &connection->ends[0];
    struct sim_end *server = &connection->ends[1];
    connection->handshaking = false;
    if (client->socket == NULL) {
        maybe_free(connection);
        return;
    }
    bool reaches = !connection->lost && sim_net_reaches(world->net, client->host, server->host) &&
                   sim_net_reaches(world->net, server->host, client->host);
    struct sim_socket *listener =
        reaches ? sim_listener_find(server->host, &server->address) : NULL;
    bool full = listener != NULL && listener->waiting_count >= listener->backlog;
    int64_t delay_ns = sim_net_delay_ns(world->net, server->host, client->host);
    if (!reaches || full) {
        if (world->now_ns - connection->begin_ns >= SIM_CONNECT_MS_MAX * INT64_C(1000000)) {
            give_up(connection, ERR_TIMED_OUT);
        } else {
            handshake_in(connection, KNOCK_AGAIN_NS);
        }
    } else if (listener == NULL) {
        give_up(connection, ERR_REFUSED);
    } else {
        join_queue(server, listener);
        client->last_time_ns = world->now_ns + delay_ns;
        connection->handshake.run = open_client;
        handshake_in(connection, delay_ns);
    }
}

static void end_init(struct sim_connection *connection, struct sim_end *end, struct sim_host *host,
                     const struct sys_address *address) {
    end->connection = connection;
    end->host = host;
    end->address = *address;
    end->send_max = SIM_SEND_BYTES_DEFAULT;
    end->receive_max = SIM_RECEIVE_BYTES_DEFAULT;
    list_init(&end->coming);
    buffer_init(&end->received);
}

struct sim_end *sim_net_connect(struct sim_host *from, struct sim_host *to,
                                const struct sys_address *source, const struct sys_address *target,
                                struct sim_socket *socket) {
    struct sim_net *net = from->world->net;
    struct sim_connection *connection = calloc(1, sizeof *connection);
    assert(connection != NULL);
    connection->world = from->world;
    connection->number = ++net->connection_last;
    connection->begin_ns = from->world->now_ns;
    connection->handshake.run = knock;
    end_init(connection, &connection->ends[0], from, source);
    end_init(connection, &connection->ends[1], to, target);
    connection->ends[0].socket = socket;
    connection->ends[1].gone = true; /* until it is in a queue */
    list_add_last(&net->connections, &connection->link);
    net->connection_count++;
    handshake_in(connection, sim_net_delay_ns(net, from, to));
    return &connection->ends[0];
}
