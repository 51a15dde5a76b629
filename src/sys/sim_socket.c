/* sys/socket.h on the simulated network. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sim_net_int.h"

enum { PORT_FIRST = 32768, PORT_LAST = 60999 };

static struct sim_socket *sim(struct sys_socket *socket) {
    return container_of(socket, struct sim_socket, socket);
}

/* --- addresses --- */

static bool is_any(const struct sys_address *address) {
    static const uint8_t zeros[16];
    return memcmp(address->ip, zeros, address->ipv6 ? 16 : 4) == 0;
}

static struct sys_address host_address(const struct sim_host *host, bool ipv6) {
    struct sys_address address = {.ipv6 = ipv6};
    if (ipv6) {
        address.ip[0] = 0xfd;
        memcpy(&address.ip[12], host->ip, 4);
    } else {
        memcpy(address.ip, host->ip, 4);
    }
    return address;
}

static bool same_ip(const struct sys_address *a, const struct sys_address *b) {
    return a->ipv6 == b->ipv6 && memcmp(a->ip, b->ip, a->ipv6 ? 16 : 4) == 0;
}

static bool is_of_host(const struct sim_host *host, const struct sys_address *address) {
    struct sys_address own = host_address(host, address->ipv6);
    return sys_address_is_loopback(address) || same_ip(address, &own);
}

static struct sim_host *find_host(struct sim_host *from, const struct sys_address *address) {
    if (is_any(address) || is_of_host(from, address)) {
        return from; /* connecting to "any" reaches the own host, as on Linux */
    }
    struct list *link;
    list_for_each (link, &from->world->hosts) {
        struct sim_host *host = container_of(link, struct sim_host, link);
        if (is_of_host(host, address)) {
            return host;
        }
    }
    return NULL;
}

static size_t add_address(struct sys_address *addresses, size_t max, size_t count,
                          struct sys_address address, uint16_t port) {
    if (count < max) {
        address.port = port;
        addresses[count++] = address;
    }
    return count;
}

static size_t resolve_now(struct sim_host *from, const char *name, uint16_t port,
                          struct sys_address *addresses, size_t max) {
    struct sys_address address = {0};
    if (inet_pton(AF_INET, name, address.ip) == 1) {
        return add_address(addresses, max, 0, address, port);
    }
    if (inet_pton(AF_INET6, name, address.ip) == 1) {
        address.ipv6 = true;
        return add_address(addresses, max, 0, address, port);
    }
    if (name[0] == '\0') {
        size_t count = add_address(addresses, max, 0, (struct sys_address){.ipv6 = false}, port);
        return add_address(addresses, max, count, (struct sys_address){.ipv6 = true}, port);
    }
    if (strcmp(name, "localhost") == 0) {
        struct sys_address loopback = {.ip = {127, 0, 0, 1}};
        struct sys_address loopback6 = {.ipv6 = true, .ip[15] = 1};
        size_t count = add_address(addresses, max, 0, loopback, port);
        return add_address(addresses, max, count, loopback6, port);
    }
    struct list *link;
    list_for_each (link, &from->world->hosts) {
        struct sim_host *host = container_of(link, struct sim_host, link);
        if (strcmp(host->name, name) == 0) {
            size_t count = add_address(addresses, max, 0, host_address(host, false), port);
            return add_address(addresses, max, count, host_address(host, true), port);
        }
    }
    return 0;
}

err_t sim_resolve(struct sys *sys, const char *host, uint16_t port, struct sys_address *addresses,
                  size_t address_max, size_t *ret_count) {
    enum { ASK_NS_MIN = 100 * 1000, ASK_NS_MAX = 5 * 1000 * 1000 };
    struct sim_host *from = sim_host_of(sys);
    sim_wait(from->world, sim_between(&from->world->network, ASK_NS_MIN, ASK_NS_MAX));
    size_t count = resolve_now(from, host, port, addresses, address_max);
    if (count == 0) {
        return ERR_NOT_FOUND;
    }
    *ret_count = count;
    return ERR_OK;
}

/* --- readiness --- */

static int current_events(const struct sim_socket *socket) {
    if (socket->end == NULL) {
        return socket->waiting_count > 0 ? SYS_SOCKET_READABLE : 0;
    }
    struct sim_end *end = socket->end;
    if (end->failed != ERR_OK) {
        return SYS_SOCKET_READABLE | SYS_SOCKET_WRITABLE;
    }
    if (!end->open) {
        return 0;
    }
    int events = sim_unread(end) > 0 || end->ended ? SYS_SOCKET_READABLE : 0;
    size_t least = (end->send_max + sim_peer(end)->receive_max) / 4;
    return events | (sim_end_space(end) > least ? SYS_SOCKET_WRITABLE : 0);
}

static void unready(struct sim_socket *socket) {
    if (list_linked(&socket->ready_link)) {
        list_remove(&socket->ready_link);
        socket->loop->ready_count--;
    }
}

void sim_socket_update(struct sim_socket *socket) {
    if (socket->loop == NULL) {
        return;
    }
    if ((current_events(socket) & socket->want) == 0) {
        unready(socket);
    } else if (!list_linked(&socket->ready_link)) {
        list_add_last(&socket->loop->ready, &socket->ready_link);
        socket->loop->ready_count++;
    }
}

void sim_socket_run(struct sim_socket *socket) {
    int events = current_events(socket) & socket->want;
    assert(events != 0);
    list_remove(&socket->ready_link);
    list_add_last(&socket->loop->ready, &socket->ready_link);
    socket->ready(socket->arg, events);
}

void sim_socket_attach(struct sys_socket *base, struct sys_loop *loop, sys_socket_ready_fn ready,
                       void *arg) {
    struct sim_socket *socket = sim(base);
    assert(socket->loop == NULL);
    socket->loop = container_of(loop, struct sim_loop, loop);
    socket->ready = ready;
    socket->arg = arg;
}

void sim_socket_want(struct sys_socket *base, int events) {
    struct sim_socket *socket = sim(base);
    assert(socket->loop != NULL);
    socket->want = events;
    sim_socket_update(socket);
}

/* --- life --- */

static struct sim_socket *socket_new(struct sim_host *host, struct sim_end *end) {
    struct sim_socket *socket = calloc(1, sizeof *socket);
    assert(socket != NULL);
    socket->socket.ops = &sim_ops;
    socket->host = host;
    socket->end = end;
    socket->send_max = SIM_SEND_BYTES_DEFAULT;
    socket->receive_max = SIM_RECEIVE_BYTES_DEFAULT;
    list_init(&socket->waiting);
    list_add_last(&host->sockets, &socket->link);
    return socket;
}

static void socket_free(struct sim_socket *socket) {
    unready(socket);
    sim_host_give_file(socket->host);
    list_remove(&socket->link);
    free(socket);
}

static void socket_drop(struct sim_socket *socket, bool reset, bool dark) {
    struct list *link;
    while ((link = list_take_first(&socket->waiting)) != NULL) {
        struct sim_end *end = container_of(link, struct sim_end, accept_link);
        if (dark) {
            sim_end_forget(end);
        } else {
            sim_end_close(end, true);
        }
    }
    if (socket->end != NULL && dark) {
        sim_end_forget(socket->end);
    } else if (socket->end != NULL) {
        sim_end_close(socket->end, reset);
    }
    socket_free(socket);
}

void sim_socket_close(struct sys_socket *base, bool reset) {
    socket_drop(sim(base), reset, false);
}

void sim_sockets_drop(struct sim_host *host, bool dark) {
    struct list *link;
    while ((link = list_first(&host->sockets)) != NULL) {
        socket_drop(container_of(link, struct sim_socket, link), false, dark);
    }
}

static bool hears(const struct sim_socket *socket, const struct sys_address *address) {
    return socket->end == NULL && socket->address.port == address->port &&
           socket->address.ipv6 == address->ipv6 &&
           (is_any(&socket->address) || is_any(address) || same_ip(&socket->address, address));
}

struct sim_socket *sim_listener_find(struct sim_host *host, const struct sys_address *address) {
    struct list *link;
    list_for_each (link, &host->sockets) {
        struct sim_socket *socket = container_of(link, struct sim_socket, link);
        if (hears(socket, address)) {
            return socket;
        }
    }
    return NULL;
}

static uint16_t next_port(struct sim_host *host) {
    host->port_last = host->port_last < PORT_FIRST || host->port_last >= PORT_LAST
                          ? PORT_FIRST
                          : (uint16_t)(host->port_last + 1);
    return host->port_last;
}

err_t sim_socket_listen(struct sys *sys, const struct sys_address *address, int backlog,
                        struct sys_socket **ret_socket, struct sys_address *ret_bound) {
    struct sim_host *host = sim_host_of(sys);
    struct sys_address bound = *address;
    if (!is_any(address) && !is_of_host(host, address)) {
        return ERR_INVALID;
    }
    for (int i = 0; bound.port == 0 || (address->port == 0 && i <= PORT_LAST - PORT_FIRST &&
                                        sim_listener_find(host, &bound) != NULL);
         i++) {
        bound.port = next_port(host);
    }
    if (sim_listener_find(host, &bound) != NULL) {
        return ERR_IN_USE;
    }
    err_t err = sim_host_take_file(host);
    if (err != ERR_OK) {
        return err;
    }
    struct sim_socket *socket = socket_new(host, NULL);
    socket->address = bound;
    socket->backlog = backlog > 0 ? backlog : 1;
    *ret_socket = &socket->socket;
    *ret_bound = bound;
    return ERR_OK;
}

err_t sim_socket_accept(struct sys_socket *base, struct sys_socket **ret_socket,
                        struct sys_address *ret_peer) {
    struct sim_socket *listener = sim(base);
    assert(listener->end == NULL);
    if (listener->waiting_count == 0) {
        return ERR_WOULD_BLOCK;
    }
    err_t err = sim_host_take_file(listener->host);
    if (err != ERR_OK) {
        return err;
    }
    struct list *link = list_take_first(&listener->waiting);
    struct sim_end *end = container_of(link, struct sim_end, accept_link);
    listener->waiting_count--;
    end->listener = NULL;
    end->socket = socket_new(listener->host, end);
    sim_socket_update(listener);
    *ret_socket = &end->socket->socket;
    *ret_peer = sim_peer(end)->address;
    return ERR_OK;
}

err_t sim_socket_connect(struct sys *sys, const struct sys_address *address,
                         struct sys_socket **ret_socket) {
    struct sim_host *from = sim_host_of(sys);
    struct sim_host *to = find_host(from, address);
    if (to == NULL) {
        return ERR_REFUSED;
    }
    err_t err = sim_host_take_file(from);
    if (err != ERR_OK) {
        return err;
    }
    struct sys_address source = host_address(from, address->ipv6);
    if (sys_address_is_loopback(address)) {
        source = *address;
    }
    source.port = next_port(from);
    struct sim_socket *socket = socket_new(from, NULL);
    socket->end = sim_net_connect(from, to, &source, address, socket);
    *ret_socket = &socket->socket;
    return ERR_OK;
}

err_t sim_socket_connect_result(struct sys_socket *base) {
    const struct sim_end *end = sim(base)->end;
    assert(end != NULL);
    if (end->failed != ERR_OK) {
        return end->failed;
    }
    return end->open ? ERR_OK : ERR_WOULD_BLOCK;
}

/* --- bytes --- */

err_t sim_socket_read(struct sys_socket *base, void *data, size_t size, size_t *ret_size) {
    struct sim_socket *socket = sim(base);
    struct sim_end *end = socket->end;
    assert(end != NULL);
    size_t unread = sim_unread(end);
    if (unread == 0) {
        return end->failed != ERR_OK ? ERR_IO : end->ended ? ERR_CLOSED : ERR_WOULD_BLOCK;
    }
    size_t part = size < unread ? size : unread;
    memcpy(data, end->received.data + end->received_start, part);
    end->received_start += part;
    sim_socket_update(socket);
    if (sim_peer(end)->socket != NULL) {
        sim_socket_update(sim_peer(end)->socket);
    }
    *ret_size = part;
    return ERR_OK;
}

/* Now and then the system takes less than it could. */
static size_t writable_now(struct sim_end *end, size_t size) {
    enum { SHORT_ONE_IN = 16 };
    struct rng *rng = &end->connection->world->network;
    size_t space = sim_end_space(end);
    size_t most = size < space ? size : space;
    return most > 1 && rng_one_in(rng, SHORT_ONE_IN) ? 1 + (size_t)rng_below(rng, most) : most;
}

err_t sim_socket_write(struct sys_socket *base, const struct iovec *parts, int part_count,
                       size_t *ret_size) {
    struct sim_socket *socket = sim(base);
    struct sim_end *end = socket->end;
    assert(end != NULL);
    if (end->failed != ERR_OK) {
        return ERR_CLOSED;
    }
    size_t size = 0;
    for (int i = 0; i < part_count; i++) {
        size += parts[i].iov_len;
    }
    size_t left = end->open ? writable_now(end, size) : 0;
    if (left == 0) {
        if (size == 0) {
            *ret_size = 0;
        }
        return size == 0 ? ERR_OK : ERR_WOULD_BLOCK;
    }
    *ret_size = left;
    for (int i = 0; i < part_count && left > 0; i++) {
        size_t part = parts[i].iov_len < left ? parts[i].iov_len : left;
        if (part > 0) {
            sim_end_send(end, SIM_PIECE_DATA, parts[i].iov_base, part);
            left -= part;
        }
    }
    sim_socket_update(socket);
    return ERR_OK;
}

err_t sim_socket_send_file(struct sys_socket *base, struct sys_file *file, uint64_t position,
                           size_t size, size_t *ret_size) {
    enum { CHUNK_SIZE = 64 * 1024 };
    struct sim_end *end = sim(base)->end;
    assert(end != NULL);
    if (end->failed != ERR_OK) {
        return ERR_CLOSED;
    }
    size_t space = sim_end_space(end);
    size_t part = size < space ? size : space;
    part = part < CHUNK_SIZE ? part : CHUNK_SIZE;
    if (part == 0) {
        return ERR_WOULD_BLOCK;
    }
    void *bytes = malloc(part);
    assert(bytes != NULL);
    size_t got;
    err_t err = sys_file_read(file, position, bytes, part, &got);
    if (err == ERR_OK && got > 0) {
        err = sim_socket_write(base, &(struct iovec){.iov_base = bytes, .iov_len = got}, 1, &got);
    }
    free(bytes);
    if (err == ERR_OK) {
        *ret_size = got;
    }
    return err;
}

void sim_socket_set_buffers(struct sys_socket *base, int send_bytes, int receive_bytes) {
    struct sim_socket *socket = sim(base);
    socket->send_max = send_bytes > 0 ? (size_t)send_bytes : socket->send_max;
    socket->receive_max = receive_bytes > 0 ? (size_t)receive_bytes : socket->receive_max;
    if (socket->end != NULL) {
        socket->end->send_max = socket->send_max;
        socket->end->receive_max = socket->receive_max;
        sim_socket_update(socket);
        if (sim_peer(socket->end)->socket != NULL) {
            sim_socket_update(sim_peer(socket->end)->socket); /* what it may send changed */
        }
    }
}

err_t sim_port_holder(struct sys *sys, uint16_t port, char *text, size_t size) {
    struct sim_host *host = sim_host_of(sys);
    for (int ipv6 = 0; ipv6 < 2; ipv6++) {
        struct sys_address address = {.ipv6 = ipv6 != 0, .port = port};
        if (sim_listener_find(host, &address) != NULL) {
            snprintf(text, size, "pid 1 (%s)", host->name);
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}
