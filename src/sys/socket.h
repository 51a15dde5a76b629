#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "sys/file.h"
#include "sys/loop.h"

/*
 * TCP sockets, never blocking. A socket is made on no loop and belongs to its maker's thread until
 * it is attached; from then on it belongs to that loop's thread.
 *
 * Readiness is level-triggered and only for what was asked with sys_socket_want.
 */
struct sys_socket;

/* A numeric address and port. Names are resolved by sys_resolve. */
struct sys_address {
    bool ipv6;
    uint8_t ip[16]; /* the first 4 for IPv4 */
    uint16_t port;
};

enum { SYS_ADDRESS_TEXT_MAX = 56 };

/* "10.0.0.1:9092", "[::1]:9092" */
void sys_address_format(const struct sys_address *address, char text[SYS_ADDRESS_TEXT_MAX]);
bool sys_address_equal(const struct sys_address *a, const struct sys_address *b); /* the port too */
bool sys_address_is_loopback(const struct sys_address *address);

/* All addresses of a host name or numeric address, in the order to try them; "" is every local
 * address (0.0.0.0 and [::]). May block (DNS): start-up, workers and tools only. */
err_t sys_resolve(struct sys *sys, const char *host, uint16_t port, struct sys_address *addresses,
                  size_t address_max, size_t *ret_count);

enum { SYS_SOCKET_READABLE = 1, SYS_SOCKET_WRITABLE = 2 };

typedef void (*sys_socket_ready_fn)(void *arg, int events);

/* port 0 picks a free one; *ret_bound (may be NULL) says which. IN_USE when taken. Dual-stack
 * binding is off: an IPv6 listener hears IPv6 only. */
err_t sys_socket_listen(struct sys *sys, const struct sys_address *address, int backlog,
                        struct sys_socket **ret_socket, struct sys_address *ret_bound);

/* WOULD_BLOCK when nobody waits; NO_FILES when out of descriptors. */
err_t sys_socket_accept(struct sys_socket *listener, struct sys_socket **ret_socket,
                        struct sys_address *ret_peer);

/* Starts to connect. Attach it and want WRITABLE; then sys_socket_connect_result tells. */
err_t sys_socket_connect(struct sys *sys, const struct sys_address *address,
                         struct sys_socket **ret_socket);
err_t sys_socket_connect_result(struct sys_socket *socket); /* OK, WOULD_BLOCK, REFUSED, ... */

void sys_socket_attach(struct sys_socket *socket, struct sys_loop *loop, sys_socket_ready_fn ready,
                       void *arg);
void sys_socket_want(struct sys_socket *socket, int events);

/* Detaches and closes. `ready` is not called any more. Accepts NULL. */
void sys_socket_close(struct sys_socket *socket);

/* As above, but the peer sees a reset; what was not sent is dropped. */
void sys_socket_abort(struct sys_socket *socket);

/* OK with at least one byte; CLOSED at the end of the stream; WOULD_BLOCK; IO on a reset. */
err_t sys_socket_read(struct sys_socket *socket, void *data, size_t size, size_t *ret_size);

/* OK with how much was taken, which may be less than given; WOULD_BLOCK; CLOSED. */
err_t sys_socket_write(struct sys_socket *socket, const struct iovec *parts, int part_count,
                       size_t *ret_size);

/* Sends from a file without copying through the process. *ret_size 0 means the file ended. */
err_t sys_socket_send_file(struct sys_socket *socket, struct sys_file *file, uint64_t position,
                           size_t size, size_t *ret_size);

/* 0 keeps the system's default. */
void sys_socket_set_buffers(struct sys_socket *socket, int send_bytes, int receive_bytes);

/* Who listens on a local port, for messages: "pid 123 (java)"; NOT_FOUND when it cannot be told. */
err_t sys_port_holder(struct sys *sys, uint16_t port, char *text, size_t size);
