/* Sockets of either world: calls go to the world's table; addresses are plain data, here. */
#include "sys/socket.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "sys/sys_int.h"

void sys_address_format(const struct sys_address *address, char text[SYS_ADDRESS_TEXT_MAX]) {
    char ip[INET6_ADDRSTRLEN] = "?";
    (void)inet_ntop(address->ipv6 ? AF_INET6 : AF_INET, address->ip, ip, sizeof ip);
    (void)snprintf(text, SYS_ADDRESS_TEXT_MAX, address->ipv6 ? "[%s]:%u" : "%s:%u", ip,
                   address->port);
}

bool sys_address_equal(const struct sys_address *a, const struct sys_address *b) {
    return a->ipv6 == b->ipv6 && a->port == b->port && memcmp(a->ip, b->ip, a->ipv6 ? 16 : 4) == 0;
}

bool sys_address_is_loopback(const struct sys_address *address) {
    static const uint8_t loopback[16] = {[15] = 1};
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (!address->ipv6) {
        return address->ip[0] == 127;
    }
    bool mapped_loopback =
        memcmp(address->ip, mapped, sizeof mapped) == 0 && address->ip[12] == 127;
    return mapped_loopback || memcmp(address->ip, loopback, sizeof loopback) == 0;
}

err_t sys_resolve(struct sys *sys, const char *host, uint16_t port, struct sys_address *addresses,
                  size_t address_max, size_t *ret_count) {
    return sys->ops->resolve(sys, host, port, addresses, address_max, ret_count);
}

err_t sys_socket_listen(struct sys *sys, const struct sys_address *address, int backlog,
                        struct sys_socket **ret_socket, struct sys_address *ret_bound) {
    struct sys_address bound;
    return sys->ops->socket_listen(sys, address, backlog, ret_socket,
                                   ret_bound == NULL ? &bound : ret_bound);
}

err_t sys_socket_accept(struct sys_socket *listener, struct sys_socket **ret_socket,
                        struct sys_address *ret_peer) {
    struct sys_address peer;
    return listener->ops->socket_accept(listener, ret_socket, ret_peer == NULL ? &peer : ret_peer);
}

err_t sys_socket_connect(struct sys *sys, const struct sys_address *address,
                         struct sys_socket **ret_socket) {
    return sys->ops->socket_connect(sys, address, ret_socket);
}

err_t sys_socket_connect_result(struct sys_socket *socket) {
    return socket->ops->socket_connect_result(socket);
}

void sys_socket_attach(struct sys_socket *socket, struct sys_loop *loop, sys_socket_ready_fn ready,
                       void *arg) {
    socket->ops->socket_attach(socket, loop, ready, arg);
}

void sys_socket_want(struct sys_socket *socket, int events) {
    socket->ops->socket_want(socket, events);
}

void sys_socket_close(struct sys_socket *socket) {
    if (socket != NULL) {
        socket->ops->socket_close(socket, false);
    }
}

void sys_socket_abort(struct sys_socket *socket) {
    if (socket != NULL) {
        socket->ops->socket_close(socket, true);
    }
}

err_t sys_socket_read(struct sys_socket *socket, void *data, size_t size, size_t *ret_size) {
    return socket->ops->socket_read(socket, data, size, ret_size);
}

err_t sys_socket_write(struct sys_socket *socket, const struct iovec *parts, int part_count,
                       size_t *ret_size) {
    return socket->ops->socket_write(socket, parts, part_count, ret_size);
}

err_t sys_socket_send_file(struct sys_socket *socket, struct sys_file *file, uint64_t position,
                           size_t size, size_t *ret_size) {
    return socket->ops->socket_send_file(socket, file, position, size, ret_size);
}

void sys_socket_set_buffers(struct sys_socket *socket, int send_bytes, int receive_bytes) {
    socket->ops->socket_set_buffers(socket, send_bytes, receive_bytes);
}

err_t sys_port_holder(struct sys *sys, uint16_t port, char *text, size_t size) {
    return sys->ops->port_holder(sys, port, text, size);
}
