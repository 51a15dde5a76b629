/*
 * A reactor: the connections of one loop, and what they share there.
 *
 * A turn. The loop calls each socket that is ready; each connection reads, gives requests and
 * writes within its budgets. What is left to do that no socket will remind us of (frames in a
 * buffer, answers made outside of a reading) puts the connection on the due list, and the turn
 * task, which the loop runs after the sockets, serves that list once and renews the budgets.
 *
 * Starved connections wait for the node's bounds. A wake task serves them in the order in which
 * they began to wait; who is still refused goes to the end of the list it came from.
 *
 * The pass. If the node's request memory is used up by frames that are all half here, none can
 * end and free any. So one connection of the node may go beyond the bound: whoever finds the pass
 * free. It gives it back when its frame is whole. If it does not move for NET_PASS_IDLE_MS it is
 * closed, as it stops the whole node. There is no pass while whole requests hold half of the memory
 * or more: they end by themselves, and one frame after the other could pass while they are stuck.
 * So the node never has more than one and a half times the bound, and one frame.
 */
#include <assert.h>
#include <stdlib.h>

#include "net/net_int.h"

enum { TRIM_EVERY_MS = 10 * 1000 };

static void turn_run(struct sys_task *task);
static void wake_run(struct sys_task *task);
static void stop_run(struct sys_task *task);
static void finish_run(struct sys_task *task);
static void evict_run(struct sys_task *task);
static void idle_fire(struct sys_timer *timer);
static void trim_fire(struct sys_timer *timer);
static void pass_fire(struct sys_timer *timer);
static void stop_fire(struct sys_timer *timer);

void net_reactor_init(struct net_reactor *reactor, struct net_server *server, int index,
                      struct sys_loop *loop) {
    reactor->server = server;
    reactor->index = index;
    reactor->loop = loop;
    list_init(&reactor->connections);
    list_init(&reactor->due);
    list_init(&reactor->starved);
    reactor->idle = calloc((size_t)server->listener_count, sizeof *reactor->idle);
    for (int i = 0; i < server->listener_count; i++) {
        list_init(&reactor->idle[i]);
    }
    reactor->traffic = calloc((size_t)server->listener_count, sizeof *reactor->traffic);
    net_pool_init(&reactor->pool);
    reactor->turn_requests = NET_REACTOR_TURN_REQUESTS;
    reactor->turn_bytes = NET_REACTOR_TURN_BYTES;
    reactor->turn_task.run = turn_run;
    reactor->wake_task.run = wake_run;
    reactor->stop_task.run = stop_run;
    reactor->finish_task.run = finish_run;
    reactor->evict_task.run = evict_run;
    reactor->idle_timer.fire = idle_fire;
    reactor->trim_timer.fire = trim_fire;
    reactor->pass_timer.fire = pass_fire;
    reactor->stop_timer.fire = stop_fire;
}

void net_reactor_done(struct net_reactor *reactor) {
    assert(list_empty(&reactor->connections));
    assert(!sys_timer_is_set(&reactor->idle_timer));
    net_block_unref(reactor->scratch);
    net_pool_done(&reactor->pool);
    free(reactor->idle);
    free(reactor->traffic);
}

static void set_timer(struct net_reactor *reactor, struct sys_timer *timer, int64_t after_ms) {
    if (!sys_timer_is_set(timer)) {
        sys_timer_set(reactor->loop, timer, sys_loop_now_ms(reactor->loop) + after_ms);
    }
}

static void set_timer_not_after(struct net_reactor *reactor, struct sys_timer *timer,
                                int64_t deadline_ms) {
    if (!sys_timer_is_set(timer) || timer->deadline_ms > deadline_ms) {
        sys_timer_set(reactor->loop, timer, deadline_ms);
    }
}

/* --- turns --- */

void net_reactor_end_turn(struct net_reactor *reactor) {
    if (!reactor->turn_posted) {
        reactor->turn_posted = true;
        sys_loop_post(reactor->loop, &reactor->turn_task);
    }
}

static void turn_run(struct sys_task *task) {
    struct net_reactor *reactor = container_of(task, struct net_reactor, turn_task);
    reactor->turn_posted = false;
    reactor->turn_requests = NET_REACTOR_TURN_REQUESTS;
    reactor->turn_bytes = NET_REACTOR_TURN_BYTES;

    struct list due;
    list_init(&due);
    list_splice_last(&due, &reactor->due);
    struct list *link;
    while ((link = list_take_first(&due)) != NULL) {
        net_connection_serve(container_of(link, struct net_connection, due_link), false);
    }
}

void net_reactor_tend_pool(struct net_reactor *reactor) {
    if (reactor->pool.free_size > 0) {
        set_timer(reactor, &reactor->trim_timer, TRIM_EVERY_MS);
    }
}

static void trim_fire(struct sys_timer *timer) {
    struct net_reactor *reactor = container_of(timer, struct net_reactor, trim_timer);
    net_pool_trim(&reactor->pool);
    net_reactor_tend_pool(reactor);
}

/* --- waiting for the node --- */

/* Nothing that a connection could wait for is to be had. */
static bool node_is_full(const struct net_server *server) {
    return atomic_load(&server->queued) >= server->queued_max ||
           (!net_memory_left(server) &&
            (atomic_load(&server->pass_taken) || net_memory_mostly_given(server)));
}

void net_reactor_mark_starving(struct net_reactor *reactor) {
    int fed = NET_FED;
    (void)atomic_compare_exchange_strong(&reactor->starving, &fed, NET_STARVING);
}

static void wake_run(struct sys_task *task) {
    struct net_reactor *reactor = container_of(task, struct net_reactor, wake_task);
    atomic_store(&reactor->starving, NET_FED);
    struct list woken;
    list_init(&woken);
    list_splice_last(&woken, &reactor->starved);
    while (!list_empty(&woken)) {
        if (node_is_full(reactor->server)) {
            net_reactor_mark_starving(reactor);
            if (node_is_full(reactor->server)) {
                break;
            }
        }
        struct list *link = list_take_first(&woken);
        net_connection_serve(container_of(link, struct net_connection, starved_link), false);
    }
    /* Who was not reached stays in front of who was refused just now. */
    list_splice_last(&woken, &reactor->starved);
    list_splice_last(&reactor->starved, &woken);
}

void net_connection_starve(struct net_connection *connection) {
    struct net_reactor *reactor = connection->reactor;
    if (!list_linked(&connection->starved_link)) {
        list_add_last(&reactor->starved, &connection->starved_link);
        net_stat_add(&reactor->read_stalls, 1);
    }
}

/* --- the pass --- */

bool net_pass_take(struct net_connection *connection) {
    struct net_reactor *reactor = connection->reactor;
    if (net_memory_mostly_given(reactor->server) ||
        atomic_exchange(&reactor->server->pass_taken, true)) {
        return false;
    }
    connection->has_pass = true;
    reactor->pass_holder = connection;
    set_timer(reactor, &reactor->pass_timer, NET_PASS_IDLE_MS);
    return true;
}

void net_pass_give(struct net_connection *connection) {
    if (connection->has_pass) {
        struct net_reactor *reactor = connection->reactor;
        connection->has_pass = false;
        reactor->pass_holder = NULL;
        atomic_store(&reactor->server->pass_taken, false);
        net_server_wake(reactor->server);
    }
}

static void pass_fire(struct sys_timer *timer) {
    struct net_reactor *reactor = container_of(timer, struct net_reactor, pass_timer);
    struct net_connection *holder = reactor->pass_holder;
    if (holder == NULL) {
        return;
    }
    int64_t idle_ms = sys_loop_now_ms(reactor->loop) - holder->active_ms;
    if (idle_ms < NET_PASS_IDLE_MS) {
        set_timer(reactor, timer, NET_PASS_IDLE_MS - idle_ms);
        return;
    }
    char text[SYS_ADDRESS_TEXT_MAX];
    sys_address_format(&holder->peer, text);
    text_log_warn(reactor->server->log, "net",
                  "closing the connection from %s: the memory for requests is used up "
                  "(queued.max.request.bytes), and it stopped sending in the middle of one",
                  text);
    net_connection_close(holder);
}

/* --- connections come, idle and go --- */

void net_reactor_open(struct net_reactor *reactor, struct net_connection *connection) {
    int listener = connection->listener->index;
    if (reactor->stopping) {
        sys_socket_close(connection->socket);
        net_acceptor_give_back(connection);
        return;
    }
    list_add_last(&reactor->connections, &connection->link);
    list_add_last(&reactor->idle[listener], &connection->idle_link);
    connection->active_ms = sys_loop_now_ms(reactor->loop);
    net_stat_add(&reactor->traffic[listener].opened, 1);
    int64_t idle_ms_max = connection->listener->settings.idle_ms_max;
    if (idle_ms_max >= 0) {
        set_timer_not_after(reactor, &reactor->idle_timer, connection->active_ms + idle_ms_max);
    }
    net_connection_open(connection);
}

/* Closes who idles longer than its listener allows. One whose requests wait here is not idle: the
 * client is waiting for us. One that does not take its answers is. */
static int64_t expire(struct net_reactor *reactor, int index) {
    struct net_listener *listener = &reactor->server->listeners[index];
    int64_t now_ms = sys_loop_now_ms(reactor->loop);
    int64_t idle_ms_max = listener->settings.idle_ms_max == 0 ? 1 : listener->settings.idle_ms_max;
    struct list *head = &reactor->idle[index];
    for (;;) {
        struct list *link = list_first(head);
        if (link == NULL || idle_ms_max < 0) {
            return INT64_MAX;
        }
        struct net_connection *connection = container_of(link, struct net_connection, idle_link);
        if (connection->active_ms + idle_ms_max > now_ms) {
            return connection->active_ms + idle_ms_max;
        }
        if (connection->request_count > 0 && connection->outgoing_size == 0) {
            net_connection_touch(connection);
            continue;
        }
        net_stat_add(&reactor->traffic[index].expired, 1);
        net_connection_close(connection);
    }
}

static void idle_fire(struct sys_timer *timer) {
    struct net_reactor *reactor = container_of(timer, struct net_reactor, idle_timer);
    int64_t next_ms = INT64_MAX;
    for (int i = 0; i < reactor->server->listener_count; i++) {
        int64_t listener_next_ms = expire(reactor, i);
        next_ms = listener_next_ms < next_ms ? listener_next_ms : next_ms;
    }
    if (next_ms < INT64_MAX) {
        sys_timer_set(reactor->loop, timer, next_ms);
    }
}

/* Whose place is needed: NULL, when nobody is there who may go. */
static struct net_connection *longest_idle(struct net_reactor *reactor, int budget) {
    struct net_connection *found = NULL;
    for (int i = 0; i < reactor->server->listener_count; i++) {
        const struct net_listener_settings *settings = &reactor->server->listeners[i].settings;
        struct list *link = list_first(&reactor->idle[i]);
        if (link == NULL || settings->budget != budget || settings->inter_broker) {
            continue;
        }
        struct net_connection *connection = container_of(link, struct net_connection, idle_link);
        if (found == NULL || connection->active_ms < found->active_ms) {
            found = connection;
        }
    }
    return found;
}

static void evict(struct net_reactor *reactor, int budget) {
    struct net_server *server = reactor->server;
    struct net_connection *connection = longest_idle(reactor, budget);
    if (connection == NULL) {
        atomic_fetch_add(&server->acceptor.evict_missed[budget], 1);
        return;
    }
    char text[SYS_ADDRESS_TEXT_MAX];
    sys_address_format(&connection->peer, text);
    text_log_info(server->log, "net",
                  "closing the connection from %s on listener %s, which was idle longest: the node "
                  "has more than max.connections",
                  text, connection->listener->name);
    connection->evicted = true;
    net_connection_close(connection);
}

static void evict_run(struct sys_task *task) {
    struct net_reactor *reactor = container_of(task, struct net_reactor, evict_task);
    atomic_store(&reactor->evict_posted, false);
    for (int budget = 0; budget < NET_BUDGETS; budget++) {
        int32_t due = atomic_exchange(&reactor->evict_due[budget], 0);
        while (due-- > 0) {
            evict(reactor, budget);
        }
    }
}

void net_reactor_evict(struct net_reactor *reactor, int budget) {
    atomic_fetch_add(&reactor->evict_due[budget], 1);
    if (!atomic_exchange(&reactor->evict_posted, true)) {
        sys_loop_post(reactor->loop, &reactor->evict_task);
    }
}

/* --- stopping --- */

/* Closing one may end others, by what the server does when it is told: each goes back to the list
 * before it is touched. */
static void for_all(struct net_reactor *reactor, void (*end)(struct net_connection *connection)) {
    struct list todo;
    list_init(&todo);
    list_splice_last(&todo, &reactor->connections);
    struct list *link;
    while ((link = list_take_first(&todo)) != NULL) {
        list_add_last(&reactor->connections, link);
        end(container_of(link, struct net_connection, link));
    }
}

static void stop_run(struct sys_task *task) {
    struct net_reactor *reactor = container_of(task, struct net_reactor, stop_task);
    atomic_store(&reactor->stop_posted, false);
    reactor->stopping = true;
    int64_t deadline_ms = atomic_load(&reactor->server->stop_deadline_ms);
    if (deadline_ms <= sys_loop_now_ms(reactor->loop)) {
        for_all(reactor, net_connection_close);
        return;
    }
    for_all(reactor, net_connection_close_after_answers);
    if (!list_empty(&reactor->connections)) {
        sys_timer_set(reactor->loop, &reactor->stop_timer, deadline_ms);
    }
}

static void stop_fire(struct sys_timer *timer) {
    for_all(container_of(timer, struct net_reactor, stop_timer), net_connection_close);
}

static void finish_run(struct sys_task *task) {
    struct net_reactor *reactor = container_of(task, struct net_reactor, finish_task);
    struct net_server *server = reactor->server;
    assert(list_empty(&reactor->connections));
    assert(list_empty(&reactor->starved));
    if (reactor->turn_posted || atomic_load(&reactor->stop_posted) ||
        atomic_load(&reactor->evict_posted) || atomic_load(&reactor->starving) == NET_WOKEN) {
        sys_loop_post(reactor->loop, task); /* behind what still is queued */
        return;
    }
    sys_timer_clear(reactor->loop, &reactor->idle_timer);
    sys_timer_clear(reactor->loop, &reactor->trim_timer);
    sys_timer_clear(reactor->loop, &reactor->pass_timer);
    sys_timer_clear(reactor->loop, &reactor->stop_timer);
    if (atomic_fetch_sub(&server->reactors_unfinished, 1) == 1) {
        sys_loop_post(server->reactors[0].loop, &server->stopped_task);
    }
}
