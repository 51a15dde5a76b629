/*
 * A connection on its reactor.
 *
 *   state      reads   gives   writes   left by
 *   --------   -----   -----   ------   ----------------------------------------------------------
 *   OPEN       yes     yes     yes      net_connection_close_after_answers, a stop ─► DRAINING
 *   DRAINING   drops   no      yes      last answer written ─► CLOSED
 *   CLOSED     no      no      no       last request answered by the server ─► given back
 *
 * Any state goes to CLOSED by net_connection_close, an error of the socket, or the peer's end.
 *
 * Whoever works on a connection while functions of the server may be called pins it: closing takes
 * effect at once (socket, cancelled requests), the struct goes with the last pin.
 */
#include <assert.h>
#include <stdlib.h>

#include "net/net_int.h"

struct net_connection *net_connection_new(struct net_listener *listener,
                                          struct net_reactor *reactor, struct sys_socket *socket,
                                          const struct sys_address *peer) {
    struct net_connection *connection = calloc(1, sizeof *connection);
    connection->listener = listener;
    connection->reactor = reactor;
    connection->socket = socket;
    connection->peer = *peer;
    list_init(&connection->requests);
    return connection;
}

/* --- life --- */

static void finish(struct net_connection *connection) {
    struct net_reactor *reactor = connection->reactor;
    struct net_handlers *handlers = &reactor->server->handlers;
    assert(connection->state == NET_CLOSED);
    assert(list_empty(&connection->requests));
    if (handlers->on_connection_close != NULL) {
        handlers->on_connection_close(handlers->arg, connection);
    }
    list_remove(&connection->link);
    list_remove(&connection->due_link);
    net_acceptor_give_back(connection);
}

void net_connection_pin(struct net_connection *connection) {
    connection->pins++;
}

void net_connection_unpin(struct net_connection *connection) {
    assert(connection->pins > 0);
    if (--connection->pins > 0 || connection->state != NET_CLOSED) {
        return;
    }
    net_receive_done(connection);
    if (connection->request_count == 0) {
        finish(connection);
    }
}

/* The next request that has not been told, or NULL. */
static struct net_request *next_uncancelled(struct net_connection *connection) {
    struct list *link;
    list_for_each (link, &connection->requests) {
        struct net_request *request = container_of(link, struct net_request, link);
        if (!request->cancelled) {
            return request;
        }
    }
    return NULL;
}

/* The server may answer any of them while it is told, so each step starts anew. */
static void cancel_requests(struct net_connection *connection) {
    struct net_handlers *handlers = &connection->reactor->server->handlers;
    struct net_request *request;
    while ((request = next_uncancelled(connection)) != NULL) {
        request->cancelled = true;
        if (request->state == NET_ANSWERED) {
            net_request_end(request);
        } else if (handlers->on_request_cancel != NULL) {
            handlers->on_request_cancel(handlers->arg, request);
        }
    }
}

void net_connection_close(struct net_connection *connection) {
    if (connection->state == NET_CLOSED) {
        return;
    }
    net_connection_pin(connection);
    struct net_reactor *reactor = connection->reactor;
    connection->state = NET_CLOSED;
    sys_socket_close(connection->socket);
    connection->socket = NULL;
    list_remove(&connection->idle_link);
    list_remove(&connection->starved_link);
    net_stat_add(&reactor->traffic[connection->listener->index].closed, 1);
    cancel_requests(connection);
    net_connection_unpin(connection);
}

void net_connection_close_after_answers(struct net_connection *connection) {
    if (connection->state == NET_OPEN) {
        connection->state = NET_DRAINING;
        list_remove(&connection->starved_link);
        net_connection_make_due(connection);
    }
}

/* --- being served --- */

void net_connection_touch(struct net_connection *connection) {
    connection->active_ms = sys_loop_now_ms(connection->reactor->loop);
    list_remove(&connection->idle_link);
    list_add_last(&connection->reactor->idle[connection->listener->index], &connection->idle_link);
}

void net_connection_make_due(struct net_connection *connection) {
    if (connection->state != NET_CLOSED && !list_linked(&connection->due_link)) {
        list_add_last(&connection->reactor->due, &connection->due_link);
        net_reactor_end_turn(connection->reactor);
    }
}

bool net_connection_may_serve(const struct net_connection *connection) {
    return connection->state == NET_OPEN && connection->holder == NULL &&
           connection->request_count < NET_PIPELINE_MAX &&
           connection->outgoing_size < NET_OUTGOING_BYTES_MAX;
}

static void ask_socket(struct net_connection *connection) {
    int want = 0;
    bool reads = net_connection_may_serve(connection) && !list_linked(&connection->starved_link) &&
                 !net_receive_frame_ready(connection);
    if (!connection->eof && (reads || connection->state == NET_DRAINING)) {
        want |= SYS_SOCKET_READABLE;
    }
    if (connection->write_blocked) {
        want |= SYS_SOCKET_WRITABLE;
    }
    if (want != connection->want) {
        connection->want = want;
        sys_socket_want(connection->socket, want);
    }
}

static void ready(void *arg, int events) {
    struct net_connection *connection = arg;
    if ((events & SYS_SOCKET_WRITABLE) != 0) {
        connection->write_blocked = false;
    }
    net_connection_serve(connection, (events & SYS_SOCKET_READABLE) != 0);
}

/* Whether nothing more will happen here: the peer ended, or we do. */
static bool is_over(const struct net_connection *connection) {
    if (connection->state == NET_DRAINING) {
        return connection->request_count == 0 || connection->eof;
    }
    return connection->eof && !net_receive_frame_ready(connection);
}

void net_connection_serve(struct net_connection *connection, bool readable) {
    if (connection->state == NET_CLOSED) {
        return;
    }
    assert(!connection->serving);
    connection->serving = true;
    net_connection_pin(connection);
    net_receive(connection, readable);
    if (connection->state != NET_CLOSED && net_send(connection)) {
        if (is_over(connection)) {
            if (connection->state == NET_DRAINING) {
                net_receive_discard(connection);
            }
            net_connection_close(connection);
        } else {
            if (net_receive_frame_ready(connection) && net_connection_may_serve(connection) &&
                !list_linked(&connection->starved_link)) {
                net_connection_make_due(connection);
            }
            ask_socket(connection);
        }
    }
    connection->serving = false;
    net_connection_unpin(connection);
}

void net_connection_open(struct net_connection *connection) {
    struct net_handlers *handlers = &connection->reactor->server->handlers;
    struct net_listener_settings *settings = &connection->listener->settings;
    int send_size = settings->send_buffer_size > 0 ? settings->send_buffer_size : 0;
    int receive_size = settings->receive_buffer_size > 0 ? settings->receive_buffer_size : 0;
    sys_socket_set_buffers(connection->socket, send_size, receive_size);
    sys_socket_attach(connection->socket, connection->reactor->loop, ready, connection);
    net_connection_pin(connection);
    if (handlers->on_connection_open != NULL) {
        handlers->on_connection_open(handlers->arg, connection);
    }
    net_connection_serve(connection, false);
    net_connection_unpin(connection);
}

/* --- what the server asks --- */

void net_connection_set_context(struct net_connection *connection, void *context) {
    connection->context = context;
}

void *net_connection_context(const struct net_connection *connection) {
    return connection->context;
}

int net_connection_listener(const struct net_connection *connection) {
    return connection->listener->index;
}

const struct net_listener_settings *
net_connection_listener_settings(const struct net_connection *connection) {
    return &connection->listener->settings;
}

const struct sys_address *net_connection_peer(const struct net_connection *connection) {
    return &connection->peer;
}

int net_connection_reactor(const struct net_connection *connection) {
    return connection->reactor->index;
}

uint64_t net_connection_id(const struct net_connection *connection) {
    return connection->id;
}
