#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/text_log.h"
#include "metrics/metrics.h"
#include "sys/file.h"
#include "sys/loop.h"
#include "sys/socket.h"

/*
 * The network side of a node: listeners, connections, frames in, answers out.
 *
 * The acceptor runs on reactor 0 and hands each new socket to the reactor with the fewest
 * connections. From then on all of a connection (its callbacks, its requests and every call about
 * them) belongs to that reactor's thread; come from elsewhere with sys_loop_post.
 *
 *   net_server_new     nothing opened yet
 *   net_server_listen  sockets are bound; clients queue in the kernel
 *   net_server_start   accepting and serving
 *   net_server_stop    no more accepts, no more requests; what is in flight is answered, at most
 *                      until the deadline; then `stopped` is called
 *   net_server_free
 *
 * A frame is 4 bytes of length and that many bytes. net knows nothing of what is inside.
 *
 * The life of a request:
 *
 *   on_request ──► [park] ──► net_answer* ──► (its turn, written) ──► on_request_done, freed
 *        └── connection dies first: on_request_cancel; the request stays good until it is answered
 *
 * Every request is answered exactly once, by net_answer, net_answer_buffer or net_answer_nothing,
 * at once or at any later time. A connection's requests may be in flight together (up to
 * NET_PIPELINE_MAX) and be answered in any order; answers leave in the order of the requests.
 *
 * Bounds, and what happens at each:
 *   request size         larger than socket.request.max.bytes, or negative: closed, one log line
 *   queued.max.requests  requests read that are neither answered nor parked; reached: nobody is
 *                        read from until it falls
 *   request bytes        memory of frames, whole or on their way, of the whole node; reached: as
 *                        above, except one frame that may come to its end
 *   outgoing bytes       of a connection, answered and not yet taken by the peer; reached: this
 *                        connection is not read from until it falls
 *   turn budgets         requests and bytes of a connection, and of a reactor, until others get
 *                        their turn
 */
struct net_server;
struct net_connection;
struct net_request;

/* --- what the server above gives --- */

struct net_handlers {
    void *arg;

    /* A connection was taken in; set its context here, if at all. */
    void (*on_connection_open)(void *arg, struct net_connection *connection);

    /* A whole frame came. */
    void (*on_request)(void *arg, struct net_request *request);

    /* The connection of an unanswered request is gone. Work on it may stop; the request still
     * has to be answered (net_answer_nothing will do), here or later. May be NULL. */
    void (*on_request_cancel)(void *arg, struct net_request *request);

    /* The answer was written, or dropped with its connection; the times are final. The request is
     * freed on return. May be NULL. */
    void (*on_request_done)(void *arg, struct net_request *request);

    /* Called once, after the last request of the connection was done. */
    void (*on_connection_close)(void *arg, struct net_connection *connection);
};

enum net_security { NET_PLAINTEXT };

/* Brokers' and controllers' listeners count their connections apart, as in Kafka. */
enum { NET_BUDGETS = 2 };

struct net_listener_settings {
    const char *name; /* "PLAINTEXT", "CONTROLLER"; copied */
    struct sys_address address;
    enum net_security security;
    void *context;               /* the server's own, net_connection_listener gives it back */
    int budget;                  /* those of a budget share max.connections; < NET_BUDGETS */
    bool inter_broker;           /* may go beyond it, others of the budget lose connections then */
    int32_t connections_max;     /* listener.name.X.max.connections; INT32_MAX: none */
    int32_t creation_rate_max;   /* per second; INT32_MAX: none */
    int64_t idle_ms_max;         /* connections.max.idle.ms; < 0: never */
    int32_t request_size_max;    /* socket.request.max.bytes */
    int32_t send_buffer_size;    /* socket.send.buffer.bytes; -1: the system's */
    int32_t receive_buffer_size; /* socket.receive.buffer.bytes; -1: the system's */
    int32_t backlog;             /* socket.listen.backlog.size */
};

struct net_ip_limit {           /* max.connections.per.ip.overrides */
    struct sys_address address; /* the port does not count */
    int32_t connections_max;
};

/* These may change while running: net_server_set_limits. */
struct net_limits {
    int32_t connections_max;              /* max.connections, of the node, for each budget */
    int32_t connections_per_ip_max;       /* max.connections.per.ip */
    const struct net_ip_limit *ip_limits; /* copied */
    size_t ip_limit_count;
    int32_t creation_rate_max; /* max.connection.creation.rate, of the node */
    int32_t sockets_max;       /* of all listeners: what is left of the file descriptors */
};

struct net_settings {
    struct sys *sys;
    struct text_log *log;
    struct metrics *metrics; /* may be NULL */
    struct sys_loop **loops; /* the reactors, [0] the acceptor's; copied */
    int loop_count;
    const struct net_listener_settings *listeners; /* copied */
    int listener_count;
    struct net_limits limits;
    int32_t queued_requests_max; /* queued.max.requests */
    int64_t request_bytes_max;   /* queued.max.request.bytes; < 0: NET_REQUEST_BYTES_MAX */
    struct net_handlers handlers;
};

/* What net_listener_settings_init and net_limits_init fill in are Kafka's defaults. */
void net_listener_settings_init(struct net_listener_settings *settings);
void net_limits_init(struct net_limits *limits);

/* --- life --- */

struct net_server *net_server_new(const struct net_settings *settings);

/* The server was stopped, or never started. Accepts NULL. */
void net_server_free(struct net_server *server);

/* Binds all listeners. On failure none is bound, and *ret_failed (may be NULL) is the index of the
 * one that could not: IN_USE, ACCESS, INVALID (no such local address). */
err_t net_server_listen(struct net_server *server, int *ret_failed);

/* The address a listener is bound to, with the port the system chose for port 0. */
struct sys_address net_server_address(const struct net_server *server, int listener);

/* Reactor 0, or before the loops run. */
void net_server_start(struct net_server *server);

/* Reactor 0. Requests that wait (parked) should be answered by the server now. `stopped` is called
 * on reactor 0 when every connection is closed and every request done; at the deadline (of
 * sys_mono_ms) connections are closed whatever is in flight. A deadline in the past: at once. A
 * second call only moves the deadline. */
void net_server_stop(struct net_server *server, int64_t deadline_ms, void (*stopped)(void *arg),
                     void *arg);

/* Reactor 0. */
void net_server_set_limits(struct net_server *server, const struct net_limits *limits);
void net_server_set_listener_limits(struct net_server *server, int listener,
                                    int32_t connections_max, int32_t creation_rate_max);

/* --- connections --- */

void net_connection_set_context(struct net_connection *connection, void *context);
void *net_connection_context(const struct net_connection *connection);

int net_connection_listener(const struct net_connection *connection); /* its index */
const struct net_listener_settings *
net_connection_listener_settings(const struct net_connection *connection);
const struct sys_address *net_connection_peer(const struct net_connection *connection);
int net_connection_reactor(const struct net_connection *connection); /* index of its loop */
uint64_t net_connection_id(const struct net_connection *connection); /* unique in the server */

/* Closes it: at once, or when all requests before have been answered and sent. No request is given
 * any more. */
void net_connection_close(struct net_connection *connection);
void net_connection_close_after_answers(struct net_connection *connection);

/* --- requests --- */

struct net_connection *net_request_connection(const struct net_request *request);
struct sys_loop *net_request_loop(const struct net_request *request);

/* The frame without its length: contiguous, the server's to change in place. Good until the request
 * is done, or net_request_drop_frame. */
uint8_t *net_request_data(struct net_request *request);
size_t net_request_size(const struct net_request *request);

void net_request_set_context(struct net_request *request, void *context);
void *net_request_context(const struct net_request *request);

/* The request now waits for something else (replication, data, a controller). It stops counting
 * against queued.max.requests, and its remote time begins. At most once. */
void net_request_park(struct net_request *request);

/* Gives the frame's memory back early. A parked request should not hold its frame longer than it
 * must: what it needs to be woken may be waiting for memory. */
void net_request_drop_frame(struct net_request *request);

/* No later request of the connection is given before this one is answered: for those that change
 * what the connection is. */
void net_request_hold_others(struct net_request *request);

/* Whether the connection is gone, and the answer will be dropped. */
bool net_request_cancelled(const struct net_request *request);

/* --- answers --- */

/* A run of bytes in memory, or in a file when file != NULL. `release` (may be NULL) is called
 * exactly once, on the reactor, when the bytes were sent or dropped. */
struct net_part {
    const void *data;
    struct sys_file *file;
    uint64_t position; /* in the file */
    size_t size;
    void (*release)(void *arg);
    void *arg;
};

/* The parts one after the other are the answer; its length goes in front by itself. The array is
 * copied. Writing happens later in the turn; only a cancelled request is done before the call
 * returns. */
void net_answer(struct net_request *request, const struct net_part *parts, int part_count);

/* Takes the buffer's memory over and leaves it empty. */
void net_answer_buffer(struct net_request *request, struct buffer *body);

/* No answer is sent (acks=0, or a cancelled request). */
void net_answer_nothing(struct net_request *request);

/* When a request passed its stages, in sys_mono_ns; 0 for one not passed. */
struct net_times {
    int64_t received_ns;   /* the last byte of the frame was read */
    int64_t dispatched_ns; /* on_request was called */
    int64_t parked_ns;     /* net_request_park */
    int64_t answered_ns;   /* net_answer */
    int64_t sending_ns;    /* its turn came: writing began */
    int64_t sent_ns;       /* the last byte was taken by the socket */
};

/* Kafka's five spans of a request, from the above. */
struct net_spans {
    int64_t request_queue_ns;  /* received to dispatched */
    int64_t local_ns;          /* dispatched to parked, or answered */
    int64_t remote_ns;         /* parked to answered */
    int64_t response_queue_ns; /* answered to sending */
    int64_t response_send_ns;  /* sending to sent */
    int64_t total_ns;
};

const struct net_times *net_request_times(const struct net_request *request);
void net_request_spans(const struct net_request *request, struct net_spans *ret_spans);
size_t net_request_answer_size(const struct net_request *request); /* with the length */

/* --- statistics: any thread --- */

struct net_stats {
    int64_t connections;         /* open now */
    uint64_t connections_opened; /* since the start, and so on below */
    uint64_t connections_closed;
    uint64_t connections_refused; /* over max.connections.per.ip */
    uint64_t connections_expired; /* closed for being idle */
    uint64_t accept_pauses;       /* accepting waited: limits, rate, or no file descriptors */
    uint64_t frames_refused;      /* bad lengths */
    uint64_t requests;
    uint64_t answers;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t read_stalls;    /* a connection waited for one of the node's bounds */
    int64_t requests_queued; /* now, as queued.max.requests counts */
    int64_t request_bytes;   /* now */
    int64_t request_bytes_max;
};

void net_server_stats(struct net_server *server, struct net_stats *ret_stats);
