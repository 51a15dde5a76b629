#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "net/block.h"
#include "net/net.h"

/*
 * Private to the module. Who owns what:
 *
 *   net_server      limits and counters of the node that all reactors share (atomics)
 *   acceptor        part of the server; reactor 0 only: listeners, connection counts, addresses
 *   net_reactor     one loop's connections, receive blocks, lists of who has something to do
 *   net_connection  made by the acceptor, then its reactor's, given back to the acceptor when over
 *   net_request     its connection's, in the order of arrival
 */

/* --- counting --- */

/* Written by one thread only, read by any. */
typedef _Atomic int64_t net_stat;

static inline void net_stat_add(net_stat *stat, int64_t n) {
    atomic_store_explicit(stat, atomic_load_explicit(stat, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline int64_t net_stat_read(const net_stat *stat) {
    return atomic_load_explicit(stat, memory_order_relaxed);
}

/* Of one listener on one reactor. */
struct net_traffic {
    net_stat opened;
    net_stat closed;
    net_stat expired;
    net_stat bytes_in;
    net_stat bytes_out;
    net_stat requests;
    net_stat answers;
};

/* --- requests --- */

enum net_request_state { NET_RUNNING, NET_PARKED, NET_ANSWERED };

enum {
    NET_INLINE_PARTS = 4,       /* an answer with more has its parts on the heap */
    NET_INLINE_FRAME_MAX = 512, /* a frame up to this size lies behind its request */
};

struct net_request {
    struct list link; /* in its connection */
    struct net_connection *connection;
    void *context;
    struct net_times times;

    struct net_block *block; /* NULL: the frame lies in inline_frame, or was dropped */
    uint8_t *data;
    size_t size;
    int64_t charge; /* bytes taken from the node's request memory */

    enum net_request_state state;
    bool cancelled;
    bool silent; /* answered with nothing */

    /* The answer: its length, then the parts. */
    uint8_t prefix[4];
    struct net_part *parts; /* inline_parts or on the heap */
    int part_count;
    int part_next;    /* -1: the prefix */
    size_t part_sent; /* bytes of part_next already taken by the socket */
    size_t answer_size;
    size_t memory_size; /* of answer_size, without file ranges */
    struct net_part inline_parts[NET_INLINE_PARTS];

    uint8_t inline_frame[];
};

/* Makes a request of a frame, copying it or sharing the block it lies in. */
struct net_request *net_request_new(struct net_connection *connection, struct net_block *block,
                                    uint8_t *data, size_t size);

/* The end: releases the answer's parts, tells the server, frees. */
void net_request_end(struct net_request *request);

/* --- connections --- */

enum net_connection_state {
    NET_OPEN,
    NET_DRAINING, /* answers what it has, then closes */
    NET_CLOSED,   /* the socket is gone; waits for its requests to be answered */
};

struct net_connection {
    struct net_reactor *reactor;
    struct net_listener *listener;
    struct sys_socket *socket;
    struct sys_address peer;
    uint64_t id;
    void *context;
    struct sys_task task; /* to the reactor to be opened, to the acceptor to be counted out */
    bool evicted;

    struct list link;         /* reactor->connections */
    struct list idle_link;    /* reactor->idle[listener], the longest idle first */
    struct list due_link;     /* reactor->due */
    struct list starved_link; /* reactor->starved */
    int64_t active_ms;

    enum net_connection_state state;
    int pins;                   /* > 0: somebody up the stack uses it */
    int want;                   /* as told to the socket */
    bool serving;               /* net_connection_serve is up the stack */
    bool write_blocked;         /* the socket takes no more now */
    bool eof;                   /* the peer will send no more; what came is still served */
    bool has_pass;              /* see reactor.c */
    struct net_request *holder; /* of net_request_hold_others */

    /* Bytes read and not yet given: block->data[begin, end). While reading, block may be the
     * reactor's scratch block, which is not the connection's. */
    struct net_block *block;
    size_t begin;
    size_t end;
    int64_t charge;      /* of the block */
    size_t trusted_size; /* the largest frame that came whole */
    int64_t read_ns;

    struct list requests; /* in order of arrival; the first is the next to be sent */
    int request_count;
    size_t outgoing_size; /* answered bytes in memory, not yet sent */
};

struct net_connection *net_connection_new(struct net_listener *listener,
                                          struct net_reactor *reactor, struct sys_socket *socket,
                                          const struct sys_address *peer);

/* Keeps the struct alive while the caller is inside it. */
void net_connection_pin(struct net_connection *connection);
void net_connection_unpin(struct net_connection *connection);

/* On its reactor, once: the server is told, reading begins. */
void net_connection_open(struct net_connection *connection);

/* Gives frames that lie in the buffer, reads if `readable`, writes what can be written, and asks
 * the socket for what is still wanted. */
void net_connection_serve(struct net_connection *connection, bool readable);

/* To be served once more this turn or the next. */
void net_connection_make_due(struct net_connection *connection);

/* To be served when the node's requests or request memory have fallen. The reactor was marked as
 * starving, and then the node looked at once more. */
void net_connection_starve(struct net_connection *connection);

/* Bytes moved. */
void net_connection_touch(struct net_connection *connection);

/* The connection's own reasons not to give it more requests now. */
bool net_connection_may_serve(const struct net_connection *connection);

/* receive.c */
void net_receive(struct net_connection *connection, bool readable);
bool net_receive_frame_ready(const struct net_connection *connection);
void net_receive_discard(struct net_connection *connection);
void net_receive_done(struct net_connection *connection);

/* send.c: false when the connection was closed by it. */
bool net_send(struct net_connection *connection);

/* --- reactors --- */

struct net_reactor {
    struct net_server *server;
    struct sys_loop *loop;
    int index;
    bool stopping;

    struct list connections;
    struct list *idle;   /* one per listener */
    struct list due;     /* connections to serve at the end of the turn */
    struct list starved; /* connections that wait for the node, the first first */
    struct net_pool pool;
    struct net_block *scratch;

    struct sys_task turn_task; /* ends a turn: new budgets, serves who is due */
    bool turn_posted;
    int turn_requests; /* left */
    int64_t turn_bytes;

    struct sys_task wake_task;
    _Atomic int starving; /* NET_FED, NET_STARVING, NET_WOKEN */
    struct sys_task stop_task;
    _Atomic bool stop_posted;
    struct sys_task finish_task;
    struct sys_task evict_task;
    _Atomic int32_t evict_due[NET_BUDGETS]; /* so many connections are to be closed */
    _Atomic bool evict_posted;

    struct sys_timer idle_timer;
    struct sys_timer trim_timer;
    struct sys_timer pass_timer;
    struct sys_timer stop_timer;
    struct net_connection *pass_holder;

    struct net_traffic *traffic; /* one per listener */
    net_stat frames_refused;
    net_stat read_stalls;
};

enum { NET_FED, NET_STARVING, NET_WOKEN };

void net_reactor_init(struct net_reactor *reactor, struct net_server *server, int index,
                      struct sys_loop *loop);
void net_reactor_done(struct net_reactor *reactor);

/* From the acceptor, on the reactor's thread. */
void net_reactor_open(struct net_reactor *reactor, struct net_connection *connection);

/* Any thread: closes the connection of a listener of that budget, but not of the inter-broker one,
 * that was idle longest. */
void net_reactor_evict(struct net_reactor *reactor, int budget);

/* The turn task will run. */
void net_reactor_end_turn(struct net_reactor *reactor);

/* Free blocks that stay unused will be given back to the system. */
void net_reactor_tend_pool(struct net_reactor *reactor);

/* From here on, whoever gives something of the node's bounds back wakes this reactor. */
void net_reactor_mark_starving(struct net_reactor *reactor);

/* The right to pass the bound on request memory. give: nothing when it has none. */
bool net_pass_take(struct net_connection *connection);
void net_pass_give(struct net_connection *connection);

/* --- acceptor --- */

/* Connections per second: a bucket of tokens that holds one second's worth. */
struct net_rate {
    int32_t rate_max;
    double tokens;
    int64_t filled_ms;
};

struct net_listener {
    struct net_server *server;
    int index;
    struct net_listener_settings settings;
    char *name;
    struct sys_socket *socket;
    struct sys_address bound;
    int32_t connection_count;
    struct net_rate rate;
    bool paused;
    int64_t resume_ms; /* paused: when to try again; INT64_MAX: when a connection closes */
};

struct net_acceptor {
    struct map addresses; /* peer address to net_address_count */
    int32_t connection_count;
    int32_t *reactor_counts;
    int32_t budget_counts[NET_BUDGETS];
    int32_t *evictable_counts; /* per budget and reactor: all but those of inter-broker listeners */
    int32_t evicting[NET_BUDGETS];             /* asked for, and not yet counted out */
    _Atomic int32_t evict_missed[NET_BUDGETS]; /* asked for in vain */
    int next_reactor;
    uint64_t next_id;
    struct net_rate rate;
    struct net_limits limits;
    struct sys_timer resume_timer;
    int64_t no_files_logged_ms;
    net_stat refused;
    net_stat pauses;
};

void net_acceptor_init(struct net_server *server);
void net_acceptor_done(struct net_server *server);
void net_acceptor_start(struct net_server *server);
void net_acceptor_stop(struct net_server *server); /* closes the listening sockets */

/* Any thread: the connection is over; the acceptor counts it out and frees it. */
void net_acceptor_give_back(struct net_connection *connection);

/* --- the server --- */

enum net_phase { NET_NEW, NET_LISTENING, NET_STARTED, NET_STOPPING, NET_STOPPED };

struct net_server {
    struct sys *sys;
    struct text_log *log;
    struct metrics *metrics;
    struct metrics_collector *collector;
    struct net_handlers handlers;

    struct net_listener *listeners;
    int listener_count;
    struct net_reactor *reactors;
    int reactor_count;
    struct net_acceptor acceptor;
    enum net_phase phase;

    /* The node's bounds. */
    int32_t queued_max;
    int64_t memory_max;
    _Atomic int32_t queued;
    _Atomic int64_t memory;
    _Atomic int64_t memory_given; /* of it, held by whole requests */
    _Atomic bool pass_taken;

    _Atomic int64_t stop_deadline_ms;
    void (*stopped)(void *arg);
    void *stopped_arg;
    _Atomic int reactors_unfinished;
    struct sys_task stopped_task;

    /* Metrics' memory of the last reading. */
    _Atomic int64_t *busy_ns_read;
    _Atomic int64_t read_at_ns;
};

/* The acceptor has no connections left: ends a stop. */
void net_server_drained(struct net_server *server);

/* Counts a request in, unless queued.max.requests is reached. */
bool net_queue_enter(struct net_server *server);
void net_queue_leave(struct net_server *server);

/* Request memory. take: false when it would pass the bound. force: may pass it. */
bool net_memory_take(struct net_server *server, int64_t size);
void net_memory_force(struct net_server *server, int64_t size);
void net_memory_give(struct net_server *server, int64_t size);
bool net_memory_left(const struct net_server *server);

/* Whether it is whole requests, and not frames on their way, that hold most of it. */
bool net_memory_mostly_given(const struct net_server *server);

/* Something of the node's bounds was given back: reactors with starved connections are woken. */
void net_server_wake(struct net_server *server);

/* metrics.c */
void net_metrics_add(struct net_server *server);
