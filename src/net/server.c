/*
 * The server: its life, and what all reactors share.
 *
 * A stop, step by step:
 *
 *   reactor 0    listening sockets closed; a stop task to every reactor
 *   reactor n    connections drain: no request is read any more, answers go out, then they close;
 *                at the deadline they are closed anyway
 *   reactor 0    the last connection was counted out: a finish task to every reactor
 *   reactor n    nothing is queued on its loop any more: timers cleared
 *   reactor 0    all reactors are finished: `stopped` is called
 *
 * Waiting for the node. A connection that meets a bound of the node (requests, request memory) goes
 * to its reactor's starved list. Nothing is lost between "it was full" and "I wait", because
 *
 *   the waiter   sets `starving`, then looks again
 *   the giver    gives back, then looks at `starving`
 *
 * and both are sequentially consistent.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/net_int.h"

void net_listener_settings_init(struct net_listener_settings *settings) {
    *settings = (struct net_listener_settings){
        .security = NET_PLAINTEXT,
        .connections_max = INT32_MAX,
        .creation_rate_max = INT32_MAX,
        .idle_ms_max = 10 * 60 * 1000,
        .request_size_max = 100 * 1024 * 1024,
        .send_buffer_size = 100 * 1024,
        .receive_buffer_size = 100 * 1024,
        .backlog = 50,
    };
}

void net_limits_init(struct net_limits *limits) {
    *limits = (struct net_limits){
        .connections_max = INT32_MAX,
        .connections_per_ip_max = INT32_MAX,
        .creation_rate_max = INT32_MAX,
        .sockets_max = INT32_MAX,
    };
}

static void take_listeners(struct net_server *server, const struct net_settings *settings) {
    server->listener_count = settings->listener_count;
    server->listeners = calloc((size_t)settings->listener_count, sizeof *server->listeners);
    for (int i = 0; i < server->listener_count; i++) {
        struct net_listener *listener = &server->listeners[i];
        listener->server = server;
        listener->index = i;
        listener->settings = settings->listeners[i];
        listener->name = strdup(settings->listeners[i].name);
        listener->settings.name = listener->name;
        listener->bound = listener->settings.address;
        listener->rate.rate_max = listener->settings.creation_rate_max;
    }
}

struct net_server *net_server_new(const struct net_settings *settings) {
    assert(settings->loop_count > 0);
    assert(settings->listener_count > 0);
    assert(settings->queued_requests_max > 0);
    struct net_server *server = calloc(1, sizeof *server);
    server->sys = settings->sys;
    server->log = settings->log;
    server->metrics = settings->metrics;
    server->handlers = settings->handlers;
    server->queued_max = settings->queued_requests_max;
    server->memory_max =
        settings->request_bytes_max < 0 ? NET_REQUEST_BYTES_MAX : settings->request_bytes_max;
    take_listeners(server, settings);
    server->reactor_count = settings->loop_count;
    server->reactors = calloc((size_t)settings->loop_count, sizeof *server->reactors);
    for (int i = 0; i < server->reactor_count; i++) {
        net_reactor_init(&server->reactors[i], server, i, settings->loops[i]);
    }
    net_acceptor_init(server);
    net_server_set_limits(server, &settings->limits);
    net_metrics_add(server);
    return server;
}

void net_server_free(struct net_server *server) {
    if (server == NULL) {
        return;
    }
    assert(server->phase != NET_STARTED);
    assert(server->phase != NET_STOPPING);
    if (server->metrics != NULL) {
        metrics_collector_remove(server->metrics, server->collector);
    }
    net_acceptor_done(server);
    for (int i = 0; i < server->reactor_count; i++) {
        net_reactor_done(&server->reactors[i]);
    }
    for (int i = 0; i < server->listener_count; i++) {
        sys_socket_close(server->listeners[i].socket);
        free(server->listeners[i].name);
    }
    assert(atomic_load(&server->queued) == 0);
    assert(atomic_load(&server->memory) == 0);
    free(server->busy_ns_read);
    free(server->listeners);
    free(server->reactors);
    free(server);
}

err_t net_server_listen(struct net_server *server, int *ret_failed) {
    assert(server->phase == NET_NEW);
    for (int i = 0; i < server->listener_count; i++) {
        struct net_listener *listener = &server->listeners[i];
        err_t err =
            sys_socket_listen(server->sys, &listener->settings.address, listener->settings.backlog,
                              &listener->socket, &listener->bound);
        if (err == ERR_OK) {
            continue;
        }
        while (i-- > 0) {
            sys_socket_close(server->listeners[i].socket);
            server->listeners[i].socket = NULL;
        }
        if (ret_failed != NULL) {
            *ret_failed = listener->index;
        }
        return err;
    }
    server->phase = NET_LISTENING;
    return ERR_OK;
}

struct sys_address net_server_address(const struct net_server *server, int listener) {
    assert(listener >= 0);
    assert(listener < server->listener_count);
    return server->listeners[listener].bound;
}

void net_server_start(struct net_server *server) {
    assert(server->phase == NET_LISTENING);
    server->phase = NET_STARTED;
    net_acceptor_start(server);
}

/* --- stopping --- */

static void finish_stop(struct sys_task *task) {
    struct net_server *server = container_of(task, struct net_server, stopped_task);
    server->phase = NET_STOPPED;
    if (server->stopped != NULL) {
        server->stopped(server->stopped_arg);
    }
}

void net_server_stop(struct net_server *server, int64_t deadline_ms, void (*stopped)(void *arg),
                     void *arg) {
    atomic_store(&server->stop_deadline_ms, deadline_ms);
    if (server->phase == NET_STOPPED) {
        return;
    }
    if (server->phase != NET_STOPPING) {
        server->stopped = stopped;
        server->stopped_arg = arg;
        server->phase = NET_STOPPING;
        net_acceptor_stop(server);
        if (server->acceptor.connection_count == 0) {
            net_server_drained(server);
        }
    }
    if (server->acceptor.connection_count == 0) {
        return;
    }
    for (int i = 0; i < server->reactor_count; i++) {
        struct net_reactor *reactor = &server->reactors[i];
        if (!atomic_exchange(&reactor->stop_posted, true)) {
            sys_loop_post(reactor->loop, &reactor->stop_task);
        }
    }
}

void net_server_drained(struct net_server *server) {
    assert(server->phase == NET_STOPPING);
    assert(server->acceptor.connection_count == 0);
    server->stopped_task.run = finish_stop;
    atomic_store(&server->reactors_unfinished, server->reactor_count);
    for (int i = 0; i < server->reactor_count; i++) {
        sys_loop_post(server->reactors[i].loop, &server->reactors[i].finish_task);
    }
}

/* --- the node's bounds --- */

bool net_queue_enter(struct net_server *server) {
    int32_t queued = atomic_load_explicit(&server->queued, memory_order_relaxed);
    do {
        if (queued >= server->queued_max) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&server->queued, &queued, queued + 1));
    return true;
}

void net_queue_leave(struct net_server *server) {
    int32_t before = atomic_fetch_sub(&server->queued, 1);
    assert(before > 0);
    if (before >= server->queued_max) {
        net_server_wake(server);
    }
}

bool net_memory_left(const struct net_server *server) {
    return atomic_load(&server->memory) < server->memory_max;
}

bool net_memory_mostly_given(const struct net_server *server) {
    return atomic_load(&server->memory_given) >= server->memory_max / 2;
}

bool net_memory_take(struct net_server *server, int64_t size) {
    int64_t taken = atomic_load_explicit(&server->memory, memory_order_relaxed);
    do {
        if (taken + size > server->memory_max) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&server->memory, &taken, taken + size));
    return true;
}

void net_memory_force(struct net_server *server, int64_t size) {
    atomic_fetch_add(&server->memory, size);
}

/* A waiter may need much more than one byte, so any return wakes: starving is rare, and checking
 * for it is one load per reactor. */
void net_memory_give(struct net_server *server, int64_t size) {
    assert(size >= 0);
    if (size > 0) {
        int64_t before = atomic_fetch_sub(&server->memory, size);
        assert(before >= size);
        net_server_wake(server);
    }
}

void net_server_wake(struct net_server *server) {
    for (int i = 0; i < server->reactor_count; i++) {
        struct net_reactor *reactor = &server->reactors[i];
        int starving = NET_STARVING;
        if (atomic_load(&reactor->starving) == NET_STARVING &&
            atomic_compare_exchange_strong(&reactor->starving, &starving, NET_WOKEN)) {
            sys_loop_post(reactor->loop, &reactor->wake_task);
        }
    }
}

/* --- statistics --- */

void net_server_stats(struct net_server *server, struct net_stats *ret_stats) {
    struct net_stats stats = {
        .connections_refused = (uint64_t)net_stat_read(&server->acceptor.refused),
        .accept_pauses = (uint64_t)net_stat_read(&server->acceptor.pauses),
        .requests_queued = atomic_load(&server->queued),
        .request_bytes = atomic_load(&server->memory),
        .request_bytes_max = server->memory_max,
    };
    for (int r = 0; r < server->reactor_count; r++) {
        struct net_reactor *reactor = &server->reactors[r];
        stats.frames_refused += (uint64_t)net_stat_read(&reactor->frames_refused);
        stats.read_stalls += (uint64_t)net_stat_read(&reactor->read_stalls);
        for (int i = 0; i < server->listener_count; i++) {
            const struct net_traffic *traffic = &reactor->traffic[i];
            uint64_t closed = (uint64_t)net_stat_read(&traffic->closed);
            uint64_t opened = (uint64_t)net_stat_read(&traffic->opened);
            stats.connections_opened += opened;
            stats.connections_closed += closed;
            stats.connections += (int64_t)(opened - closed);
            stats.connections_expired += (uint64_t)net_stat_read(&traffic->expired);
            stats.requests += (uint64_t)net_stat_read(&traffic->requests);
            stats.answers += (uint64_t)net_stat_read(&traffic->answers);
            stats.bytes_in += (uint64_t)net_stat_read(&traffic->bytes_in);
            stats.bytes_out += (uint64_t)net_stat_read(&traffic->bytes_out);
        }
    }
    *ret_stats = stats;
}
