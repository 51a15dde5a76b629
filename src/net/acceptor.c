/*
 * The acceptor: reactor 0 only. It takes sockets in, counts them by node, listener, address and
 * reactor, and hands them over; a connection that is over comes back to be counted out and freed.
 *
 *   what is reached                          what happens to the next client
 *   ---------------------------------------  -----------------------------------------------------
 *   max.connections of the node              waits in the backlog until a connection closes; on the
 *                                            inter-broker listener it is taken in, and the longest
 *                                            idle connection of another one goes
 *   max.connections of the listener          likewise
 *   max.connection.creation.rate             waits until the next token
 *   max.connections.per.ip                   accepted and closed: it must not stop the others
 *   file descriptors, or sockets_max         waits NET_ACCEPT_PAUSE_MS, one warning a minute
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/net_int.h"

enum { WARN_EVERY_MS = 60 * 1000 };

/* How many connections one address has. The entry lives while it has any. */
struct net_address_count {
    uint8_t key[17];
    int32_t count;
};

static struct bytes address_key(const struct sys_address *address, uint8_t key[17]) {
    memset(key, 0, 17);
    key[0] = address->ipv6;
    memcpy(key + 1, address->ip, address->ipv6 ? 16 : 4);
    return (struct bytes){.data = key, .size = 17};
}

void net_acceptor_init(struct net_server *server) {
    struct net_acceptor *acceptor = &server->acceptor;
    map_init(&acceptor->addresses);
    acceptor->reactor_counts = calloc((size_t)server->reactor_count, sizeof(int32_t));
    acceptor->evictable_counts =
        calloc((size_t)server->reactor_count * NET_BUDGETS, sizeof(int32_t));
    acceptor->no_files_logged_ms = INT64_MIN / 2;
}

void net_acceptor_done(struct net_server *server) {
    struct net_acceptor *acceptor = &server->acceptor;
    assert(acceptor->connection_count == 0);
    assert(map_count(&acceptor->addresses) == 0);
    map_done(&acceptor->addresses);
    free(acceptor->reactor_counts);
    free(acceptor->evictable_counts);
    free((void *)acceptor->limits.ip_limits);
}

/* --- rates --- */

/* Whether a connection may come now; else *ret_wait_ms says when to ask again. */
static bool rate_allows(struct net_rate *rate, int64_t now_ms, int64_t *ret_wait_ms) {
    if (rate->rate_max == INT32_MAX) {
        return true;
    }
    double full = rate->rate_max;
    rate->tokens += (double)(now_ms - rate->filled_ms) * full / 1000;
    rate->tokens = rate->tokens > full ? full : rate->tokens;
    rate->filled_ms = now_ms;
    if (rate->tokens >= 1) {
        return true;
    }
    *ret_wait_ms = full > 0 ? (int64_t)((1 - rate->tokens) * 1000 / full) + 1 : 1000;
    return false;
}

static void rate_take(struct net_rate *rate) {
    if (rate->rate_max != INT32_MAX) {
        rate->tokens -= 1;
    }
}

/* --- pausing --- */

static void resume_due(struct sys_timer *timer);

static void set_resume_timer(struct net_server *server) {
    int64_t next_ms = INT64_MAX;
    for (int i = 0; i < server->listener_count; i++) {
        const struct net_listener *listener = &server->listeners[i];
        if (listener->paused && listener->resume_ms < next_ms) {
            next_ms = listener->resume_ms;
        }
    }
    struct sys_loop *loop = server->reactors[0].loop;
    server->acceptor.resume_timer.fire = resume_due;
    if (next_ms == INT64_MAX) {
        sys_timer_clear(loop, &server->acceptor.resume_timer);
    } else {
        sys_timer_set(loop, &server->acceptor.resume_timer, next_ms);
    }
}

static void listener_pause(struct net_listener *listener, int64_t resume_ms) {
    listener->paused = true;
    listener->resume_ms = resume_ms;
    sys_socket_want(listener->socket, 0);
    net_stat_add(&listener->server->acceptor.pauses, 1);
    set_resume_timer(listener->server);
}

static void listener_resume(struct net_listener *listener) {
    listener->paused = false;
    if (listener->socket != NULL) {
        sys_socket_want(listener->socket, SYS_SOCKET_READABLE);
    }
}

static void resume_due(struct sys_timer *timer) {
    struct net_acceptor *acceptor = container_of(timer, struct net_acceptor, resume_timer);
    struct net_server *server = container_of(acceptor, struct net_server, acceptor);
    int64_t now_ms = sys_loop_now_ms(server->reactors[0].loop);
    for (int i = 0; i < server->listener_count; i++) {
        struct net_listener *listener = &server->listeners[i];
        if (listener->paused && listener->resume_ms <= now_ms) {
            listener_resume(listener);
        }
    }
    set_resume_timer(server);
}

/* A limit may have moved, or a connection closed: those that wait for it look again. */
static void resume_limited(struct net_server *server) {
    for (int i = 0; i < server->listener_count; i++) {
        struct net_listener *listener = &server->listeners[i];
        if (listener->paused && listener->resume_ms == INT64_MAX) {
            listener_resume(listener);
        }
    }
}

/* The rest of the descriptors is for files: a crowd of clients must not stop the logs. */
static void no_files(struct net_listener *listener) {
    struct net_server *server = listener->server;
    int64_t now_ms = sys_loop_now_ms(server->reactors[0].loop);
    if (now_ms - server->acceptor.no_files_logged_ms >= WARN_EVERY_MS) {
        server->acceptor.no_files_logged_ms = now_ms;
        text_log_warn(server->log, "net",
                      "no file descriptor left to accept a connection on listener %s; new clients "
                      "wait. Raise the limit on open files (ulimit -n), or set max.connections",
                      listener->name);
    }
    listener_pause(listener, now_ms + NET_ACCEPT_PAUSE_MS);
}

/* Pauses the listener when a limit says so. */
static bool may_accept(struct net_listener *listener) {
    struct net_server *server = listener->server;
    struct net_acceptor *acceptor = &server->acceptor;
    bool node_full =
        acceptor->budget_counts[listener->settings.budget] >= acceptor->limits.connections_max;
    if (listener->connection_count >= listener->settings.connections_max ||
        (node_full && !listener->settings.inter_broker)) {
        listener_pause(listener, INT64_MAX);
        return false;
    }
    if (acceptor->connection_count >= acceptor->limits.sockets_max) {
        no_files(listener);
        return false;
    }
    int64_t now_ms = sys_loop_now_ms(server->reactors[0].loop);
    int64_t wait_ms;
    if (!rate_allows(&acceptor->rate, now_ms, &wait_ms) ||
        !rate_allows(&listener->rate, now_ms, &wait_ms)) {
        listener_pause(listener, now_ms + wait_ms);
        return false;
    }
    return true;
}

/* --- addresses --- */

static int32_t address_limit(const struct net_limits *limits, const struct sys_address *peer) {
    uint8_t key[17];
    uint8_t other[17];
    (void)address_key(peer, key);
    for (size_t i = 0; i < limits->ip_limit_count; i++) {
        (void)address_key(&limits->ip_limits[i].address, other);
        if (memcmp(key, other, sizeof key) == 0) {
            return limits->ip_limits[i].connections_max;
        }
    }
    return limits->connections_per_ip_max;
}

static bool count_address_in(struct net_acceptor *acceptor, const struct sys_address *peer) {
    uint8_t key[17];
    struct bytes wanted = address_key(peer, key);
    struct net_address_count *entry = map_get(&acceptor->addresses, wanted);
    int32_t count = entry == NULL ? 0 : entry->count;
    if (count >= address_limit(&acceptor->limits, peer)) {
        return false;
    }
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry);
        map_put(&acceptor->addresses, address_key(peer, entry->key), entry);
    }
    entry->count++;
    return true;
}

static void count_address_out(struct net_acceptor *acceptor, const struct sys_address *peer) {
    uint8_t key[17];
    struct net_address_count *entry = map_get(&acceptor->addresses, address_key(peer, key));
    assert(entry != NULL);
    if (--entry->count == 0) {
        map_remove(&acceptor->addresses, address_key(peer, key));
        free(entry);
    }
}

/* --- more than the node may have --- */

static void count(const struct net_connection *connection, int32_t change) {
    struct net_listener *listener = connection->listener;
    struct net_acceptor *acceptor = &listener->server->acceptor;
    int reactor = connection->reactor->index;
    int budget = listener->settings.budget;
    acceptor->connection_count += change;
    acceptor->reactor_counts[reactor] += change;
    acceptor->budget_counts[budget] += change;
    if (!listener->settings.inter_broker) {
        acceptor->evictable_counts[reactor * NET_BUDGETS + budget] += change;
    }
    listener->connection_count += change;
}

/* The reactor with the most connections that may go. */
static struct net_reactor *choose_victim(struct net_server *server, int budget) {
    const int32_t *counts = server->acceptor.evictable_counts;
    int best = 0;
    for (int i = 1; i < server->reactor_count; i++) {
        if (counts[i * NET_BUDGETS + budget] > counts[best * NET_BUDGETS + budget]) {
            best = i;
        }
    }
    return &server->reactors[best];
}

/* After the inter-broker listener took one in beyond the limit, or the limit was lowered. */
static void evict_excess(struct net_server *server) {
    struct net_acceptor *acceptor = &server->acceptor;
    for (int budget = 0; budget < NET_BUDGETS; budget++) {
        int32_t evictable = 0;
        for (int i = 0; i < server->reactor_count; i++) {
            evictable += acceptor->evictable_counts[i * NET_BUDGETS + budget];
        }
        acceptor->evicting[budget] -= atomic_exchange(&acceptor->evict_missed[budget], 0);
        int32_t excess = acceptor->budget_counts[budget] - acceptor->limits.connections_max;
        int32_t wanted = excess < evictable ? excess : evictable;
        for (; acceptor->evicting[budget] < wanted; acceptor->evicting[budget]++) {
            net_reactor_evict(choose_victim(server, budget), budget);
        }
    }
}

/* --- taking in and handing over --- */

static struct net_reactor *choose_reactor(struct net_server *server) {
    struct net_acceptor *acceptor = &server->acceptor;
    int best = acceptor->next_reactor;
    for (int i = 1; i < server->reactor_count; i++) {
        int candidate = (acceptor->next_reactor + i) % server->reactor_count;
        if (acceptor->reactor_counts[candidate] < acceptor->reactor_counts[best]) {
            best = candidate;
        }
    }
    acceptor->next_reactor = (best + 1) % server->reactor_count;
    return &server->reactors[best];
}

static void open_on_reactor(struct sys_task *task) {
    struct net_connection *connection = container_of(task, struct net_connection, task);
    net_reactor_open(connection->reactor, connection);
}

static void take_in(struct net_listener *listener, struct sys_socket *socket,
                    const struct sys_address *peer) {
    struct net_server *server = listener->server;
    struct net_acceptor *acceptor = &server->acceptor;
    if (!count_address_in(acceptor, peer)) {
        char text[SYS_ADDRESS_TEXT_MAX];
        sys_address_format(peer, text);
        text_log_debug(server->log, "net",
                       "refused %s on listener %s: its address has max.connections.per.ip "
                       "connections already",
                       text, listener->name);
        net_stat_add(&acceptor->refused, 1);
        sys_socket_abort(socket);
        return;
    }
    rate_take(&acceptor->rate);
    rate_take(&listener->rate);
    struct net_reactor *reactor = choose_reactor(server);
    struct net_connection *connection = net_connection_new(listener, reactor, socket, peer);
    connection->id = acceptor->next_id++;
    count(connection, 1);
    if (reactor->index == 0) {
        net_reactor_open(reactor, connection);
    } else {
        connection->task.run = open_on_reactor;
        sys_loop_post(reactor->loop, &connection->task);
    }
    evict_excess(server);
}

static void accept_ready(void *arg, int events) {
    (void)events;
    struct net_listener *listener = arg;
    for (int i = 0; i < NET_ACCEPT_TURN_MAX; i++) {
        if (listener->paused || !may_accept(listener)) {
            return;
        }
        struct sys_socket *socket;
        struct sys_address peer;
        switch (sys_socket_accept(listener->socket, &socket, &peer)) {
        case ERR_OK:
            take_in(listener, socket, &peer);
            break;
        case ERR_WOULD_BLOCK:
            return;
        case ERR_NO_FILES:
            no_files(listener);
            return;
        default:
            break; /* that client was gone before it was taken in */
        }
    }
}

void net_acceptor_start(struct net_server *server) {
    struct sys_loop *loop = server->reactors[0].loop;
    int64_t now_ms = sys_mono_ms(server->sys);
    struct net_acceptor *acceptor = &server->acceptor;
    acceptor->rate.tokens = acceptor->rate.rate_max;
    acceptor->rate.filled_ms = now_ms;
    for (int i = 0; i < server->listener_count; i++) {
        struct net_listener *listener = &server->listeners[i];
        listener->rate.tokens = listener->rate.rate_max;
        listener->rate.filled_ms = now_ms;
        sys_socket_attach(listener->socket, loop, accept_ready, listener);
        sys_socket_want(listener->socket, SYS_SOCKET_READABLE);
    }
}

void net_acceptor_stop(struct net_server *server) {
    sys_timer_clear(server->reactors[0].loop, &server->acceptor.resume_timer);
    for (int i = 0; i < server->listener_count; i++) {
        sys_socket_close(server->listeners[i].socket);
        server->listeners[i].socket = NULL;
    }
}

/* --- counting out --- */

static void count_out(struct sys_task *task) {
    struct net_connection *connection = container_of(task, struct net_connection, task);
    struct net_listener *listener = connection->listener;
    struct net_server *server = listener->server;
    struct net_acceptor *acceptor = &server->acceptor;
    count_address_out(acceptor, &connection->peer);
    acceptor->evicting[listener->settings.budget] -= connection->evicted;
    count(connection, -1);
    free(connection);
    if (server->phase == NET_STARTED) {
        evict_excess(server); /* what was asked for in vain */
        resume_limited(server);
    } else if (server->phase == NET_STOPPING && acceptor->connection_count == 0) {
        net_server_drained(server);
    }
}

void net_acceptor_give_back(struct net_connection *connection) {
    connection->task.run = count_out;
    sys_loop_post(connection->reactor->server->reactors[0].loop, &connection->task);
}

/* --- limits --- */

void net_server_set_limits(struct net_server *server, const struct net_limits *limits) {
    struct net_acceptor *acceptor = &server->acceptor;
    struct net_ip_limit *ip_limits = NULL;
    if (limits->ip_limit_count > 0) {
        size_t size = limits->ip_limit_count * sizeof *ip_limits;
        ip_limits = malloc(size);
        memcpy(ip_limits, limits->ip_limits, size);
    }
    free((void *)acceptor->limits.ip_limits);
    acceptor->limits = *limits;
    acceptor->limits.ip_limits = ip_limits;
    acceptor->rate.rate_max = limits->creation_rate_max;
    if (server->phase == NET_STARTED) {
        evict_excess(server);
        resume_limited(server);
    }
}

void net_server_set_listener_limits(struct net_server *server, int index, int32_t connections_max,
                                    int32_t creation_rate_max) {
    assert(index >= 0);
    assert(index < server->listener_count);
    struct net_listener *listener = &server->listeners[index];
    listener->settings.connections_max = connections_max;
    listener->settings.creation_rate_max = creation_rate_max;
    listener->rate.rate_max = creation_rate_max;
    if (server->phase == NET_STARTED) {
        resume_limited(server);
    }
}
