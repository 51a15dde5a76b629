#pragma once

#include "base/buffer.h"
#include "sys/sim_int.h"
#include "sys/sim_net.h"

/*
 * Connections of the simulated network.
 *
 * A connection has two ends. What is sent waits in `coming` of the other end, in order, each piece
 * with the time of its arrival; a moment of that end takes the pieces that are due. An end lives on
 * without a socket: before it is accepted, and after it was closed, until nothing is under way.
 */
struct sim_socket;
struct sim_connection;

enum sim_piece_kind { SIM_PIECE_DATA, SIM_PIECE_END, SIM_PIECE_RESET };

struct sim_piece {
    struct list link;
    enum sim_piece_kind kind;
    int64_t time_ns; /* of arrival */
    size_t size;
    uint8_t bytes[];
};

struct sim_end {
    struct sim_moment arrival; /* first; on the heap as part of the connection, see armed */
    struct sim_connection *connection;
    struct sim_host *host;
    struct sys_address address;
    struct sim_socket *socket;   /* NULL: not accepted yet, or closed */
    struct sim_socket *listener; /* in whose queue it is, or NULL */
    struct list accept_link;
    bool open;    /* connected */
    bool gone;    /* its host does not know it any more: closed, crashed, dark */
    err_t failed; /* OK, or why it is over: IO, REFUSED, TIMED_OUT */
    bool ended;   /* the peer sent its last byte, and it arrived */
    struct buffer received;
    size_t received_start; /* what was read of it */
    struct list coming;
    size_t coming_size;
    bool armed;
    int64_t last_time_ns; /* of the last piece in coming */
    int64_t stalled_ns;   /* since when the first piece cannot arrive; 0: it can */
    size_t send_max;
    size_t receive_max;
};

struct sim_connection {
    struct list link;
    uint64_t number;
    struct sim_world *world;
    struct sim_end ends[2]; /* the connecting one, the accepting one */
    struct sim_moment handshake;
    bool handshaking;
    int64_t begin_ns;
    bool lost; /* nothing arrives any more */
};

struct sim_net {
    struct sim_world *world;
    struct list connections;
    struct list links; /* struct link_rule */
    struct list cuts;
    struct sim_link others;
    uint64_t connection_last;
    uint64_t connection_count;
};

struct sim_socket {
    struct sys_socket socket; /* first */
    struct sim_host *host;
    struct list link;
    struct sim_loop *loop;
    sys_socket_ready_fn ready;
    void *arg;
    int want;
    struct list ready_link; /* of the loop, while it has something that is wanted */
    struct sim_end *end;    /* NULL: it listens */
    struct sys_address address;
    struct list waiting; /* struct sim_end.accept_link */
    int waiting_count;
    int backlog;
    size_t send_max;
    size_t receive_max;
};

struct sim_net *sim_net_new(struct sim_world *world);
void sim_net_free(struct sim_net *net);

/* sim_link.c */
const struct sim_link *sim_net_link(const struct sim_net *net, const struct sim_host *a,
                                    const struct sim_host *b);
int64_t sim_net_delay_ns(struct sim_net *net, const struct sim_host *a, const struct sim_host *b);
bool sim_net_reaches(const struct sim_net *net, const struct sim_host *from,
                     const struct sim_host *to);
void sim_links_free(struct sim_net *net);

/* sim_net.c */
static inline struct sim_end *sim_peer(struct sim_end *end) {
    struct sim_connection *connection = end->connection;
    return end == &connection->ends[0] ? &connection->ends[1] : &connection->ends[0];
}

static inline size_t sim_unread(const struct sim_end *end) {
    return end->received.size - end->received_start;
}

/* How much may be written now. */
size_t sim_end_space(struct sim_end *end);
void sim_end_send(struct sim_end *end, enum sim_piece_kind kind, const void *data, size_t size);

/* The program closes it, or its process ends. It may be freed. */
void sim_end_close(struct sim_end *end, bool reset);
void sim_end_fail(struct sim_end *end, err_t err);

/* The host lost its power: it does not know the end any more, and tells nobody. */
void sim_end_forget(struct sim_end *end);

/* Both sides see a reset, now. */
void sim_connection_reset(struct sim_connection *connection);

struct sim_end *sim_net_connect(struct sim_host *from, struct sim_host *to,
                                const struct sys_address *source, const struct sys_address *target,
                                struct sim_socket *socket);

/* sim_socket.c */
void sim_socket_update(struct sim_socket *socket); /* something changed: is it ready? */
void sim_socket_run(struct sim_socket *socket);    /* calls ready; it may be gone afterwards */
struct sim_socket *sim_listener_find(struct sim_host *host, const struct sys_address *address);
void sim_sockets_drop(struct sim_host *host, bool dark);

err_t sim_resolve(struct sys *sys, const char *host, uint16_t port, struct sys_address *addresses,
                  size_t address_max, size_t *ret_count);
err_t sim_socket_listen(struct sys *sys, const struct sys_address *address, int backlog,
                        struct sys_socket **ret_socket, struct sys_address *ret_bound);
err_t sim_socket_accept(struct sys_socket *listener, struct sys_socket **ret_socket,
                        struct sys_address *ret_peer);
err_t sim_socket_connect(struct sys *sys, const struct sys_address *address,
                         struct sys_socket **ret_socket);
err_t sim_socket_connect_result(struct sys_socket *socket);
void sim_socket_attach(struct sys_socket *socket, struct sys_loop *loop, sys_socket_ready_fn ready,
                       void *arg);
void sim_socket_want(struct sys_socket *socket, int events);
void sim_socket_close(struct sys_socket *socket, bool reset);
err_t sim_socket_read(struct sys_socket *socket, void *data, size_t size, size_t *ret_size);
err_t sim_socket_write(struct sys_socket *socket, const struct iovec *parts, int part_count,
                       size_t *ret_size);
err_t sim_socket_send_file(struct sys_socket *socket, struct sys_file *file, uint64_t position,
                           size_t size, size_t *ret_size);
void sim_socket_set_buffers(struct sys_socket *socket, int send_bytes, int receive_bytes);
err_t sim_port_holder(struct sys *sys, uint16_t port, char *text, size_t size);
