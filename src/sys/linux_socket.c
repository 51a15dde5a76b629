/* TCP sockets on Linux. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "sys/linux_int.h"

enum { CALL_SIZE_MAX = 0x7ffff000 };

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static struct linux_socket *socket_of(struct sys_socket *base) {
    return (struct linux_socket *)base;
}

static socklen_t to_any(const struct sys_address *address, union any_address *any) {
    memset(any, 0, sizeof *any);
    if (address->ipv6) {
        any->v6.sin6_family = AF_INET6;
        any->v6.sin6_port = htons(address->port);
        memcpy(&any->v6.sin6_addr, address->ip, 16);
        return sizeof any->v6;
    }
    any->v4.sin_family = AF_INET;
    any->v4.sin_port = htons(address->port);
    memcpy(&any->v4.sin_addr, address->ip, 4);
    return sizeof any->v4;
}

static void from_any(const union any_address *any, struct sys_address *address) {
    memset(address, 0, sizeof *address);
    if (any->any.sa_family == AF_INET6) {
        address->ipv6 = true;
        address->port = ntohs(any->v6.sin6_port);
        memcpy(address->ip, &any->v6.sin6_addr, 16);
    } else {
        address->port = ntohs(any->v4.sin_port);
        memcpy(address->ip, &any->v4.sin_addr, 4);
    }
}

static void set_option(int fd, int level, int option, int value) {
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

struct linux_socket *linux_socket_from_fd(int fd) {
    struct linux_socket *socket = calloc(1, sizeof *socket);
    if (socket == NULL) {
        abort();
    }
    socket->socket.ops = &linux_ops;
    socket->fd = fd;
    return socket;
}

/* -1, and errno, when there is none. */
static int new_fd(const struct sys_address *address) {
    return socket(address->ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                  0);
}

/* Small answers must not wait for acknowledgements, and a peer that vanished must be noticed. */
static void set_stream_options(int fd) {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

/* --- listening --- */

static err_t bind_and_listen(int fd, const struct sys_address *address, int backlog,
                             struct sys_address *ret_bound) {
    union any_address any;
    socklen_t size = to_any(address, &any);
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address->ipv6) {
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    if (bind(fd, &any.any, size) != 0 || listen(fd, backlog) != 0) {
        return linux_err(errno);
    }
    size = sizeof any;
    if (getsockname(fd, &any.any, &size) != 0) {
        return linux_err(errno);
    }
    from_any(&any, ret_bound);
    return ERR_OK;
}

err_t linux_socket_listen(struct sys *sys, const struct sys_address *address, int backlog,
                          struct sys_socket **ret_socket, struct sys_address *ret_bound) {
    (void)sys;
    /* sendfile has no flag against it. Who only connects, as a client inside somebody's program,
     * sends no files and leaves the program's signals alone. */
    (void)signal(SIGPIPE, SIG_IGN);
    int fd = new_fd(address);
    if (fd < 0) {
        return linux_err(errno);
    }
    err_t err = bind_and_listen(fd, address, backlog, ret_bound);
    if (err != ERR_OK) {
        (void)close(fd);
        return err;
    }
    *ret_socket = &linux_socket_from_fd(fd)->socket;
    return ERR_OK;
}

err_t linux_socket_accept(struct sys_socket *base, struct sys_socket **ret_socket,
                          struct sys_address *ret_peer) {
    union any_address any;
    for (;;) {
        socklen_t size = sizeof any;
        int fd = accept4(socket_of(base)->fd, &any.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            set_stream_options(fd);
            from_any(&any, ret_peer);
            *ret_socket = &linux_socket_from_fd(fd)->socket;
            return ERR_OK;
        }
        switch (errno) {
        case EAGAIN:
            return ERR_WOULD_BLOCK;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
        case EBADF:
        case EINVAL:
            return linux_err(errno);
        default:
            break; /* that one connection failed before it was taken: the next */
        }
    }
}

/* --- connecting --- */

err_t linux_socket_connect(struct sys *sys, const struct sys_address *address,
                           struct sys_socket **ret_socket) {
    (void)sys;
    int fd = new_fd(address);
    if (fd < 0) {
        return linux_err(errno);
    }
    set_stream_options(fd);
    union any_address any;
    socklen_t size = to_any(address, &any);
    if (connect(fd, &any.any, size) != 0 && errno != EINPROGRESS && errno != EINTR) {
        err_t err = linux_err(errno);
        (void)close(fd);
        return err;
    }
    *ret_socket = &linux_socket_from_fd(fd)->socket;
    return ERR_OK;
}

err_t linux_socket_connect_result(struct sys_socket *base) {
    struct linux_socket *socket = socket_of(base);
    struct pollfd poll_fd = {.fd = socket->fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;
    if (socket->connect_err != ERR_OK) {
        return socket->connect_err; /* the kernel tells it only once */
    }
    if (poll(&poll_fd, 1, 0) <= 0) {
        return ERR_WOULD_BLOCK;
    }
    if (getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
    }
    if (error != 0) {
        socket->connect_err = linux_err(error);
    }
    return socket->connect_err;
}

/* --- on a loop --- */

void linux_socket_attach(struct sys_socket *base, struct sys_loop *loop, sys_socket_ready_fn ready,
                         void *arg) {
    struct linux_socket *socket = socket_of(base);
    assert(socket->loop == NULL);
    assert(loop->ops == base->ops);
    socket->loop = (struct linux_loop *)loop;
    socket->ready = ready;
    socket->arg = arg;
}

void linux_socket_want(struct sys_socket *base, int events) {
    struct linux_socket *socket = socket_of(base);
    assert(socket->loop != NULL);
    linux_loop_watch(socket->loop, socket, events);
}

void linux_socket_close(struct sys_socket *base, bool reset) {
    struct linux_socket *socket = socket_of(base);
    if (socket->loop != NULL) {
        linux_loop_forget(socket->loop, socket);
    }
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(socket->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    (void)close(socket->fd);
    free(socket);
}

/* --- bytes --- */

err_t linux_socket_read(struct sys_socket *base, void *data, size_t size, size_t *ret_size) {
    assert(size > 0);
    for (;;) {
        ssize_t count = recv(socket_of(base)->fd, data, size, 0);
        if (count > 0) {
            *ret_size = (size_t)count;
            return ERR_OK;
        }
        if (count == 0) {
            return ERR_CLOSED;
        }
        if (errno != EINTR) {
            return errno == EAGAIN ? ERR_WOULD_BLOCK : ERR_IO;
        }
    }
}

static err_t write_err(int number) {
    switch (number) {
    case EAGAIN:
        return ERR_WOULD_BLOCK;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
    case ETIMEDOUT:
        return ERR_CLOSED;
    default:
        return linux_err(number);
    }
}

err_t linux_socket_write(struct sys_socket *base, const struct iovec *parts, int part_count,
                         size_t *ret_size) {
    struct msghdr message = {
        .msg_iov = (struct iovec *)(uintptr_t)parts,
        .msg_iovlen = (size_t)(part_count < LIMIT_IO_PARTS ? part_count : LIMIT_IO_PARTS),
    };
    for (;;) {
        ssize_t count = sendmsg(socket_of(base)->fd, &message, MSG_NOSIGNAL);
        if (count >= 0) {
            *ret_size = (size_t)count;
            return ERR_OK;
        }
        if (errno != EINTR) {
            return write_err(errno);
        }
    }
}

err_t linux_socket_send_file(struct sys_socket *base, struct sys_file *file, uint64_t position,
                             size_t size, size_t *ret_size) {
    assert(file->ops == base->ops);
    size_t wanted = size < CALL_SIZE_MAX ? size : CALL_SIZE_MAX;
    for (;;) {
        off_t offset = (off_t)position;
        ssize_t count =
            sendfile(socket_of(base)->fd, ((const struct linux_file *)file)->fd, &offset, wanted);
        if (count >= 0) {
            *ret_size = (size_t)count;
            return ERR_OK;
        }
        if (errno != EINTR) {
            return write_err(errno);
        }
    }
}

void linux_socket_set_buffers(struct sys_socket *base, int send_bytes, int receive_bytes) {
    if (send_bytes > 0) {
        set_option(socket_of(base)->fd, SOL_SOCKET, SO_SNDBUF, send_bytes);
    }
    if (receive_bytes > 0) {
        set_option(socket_of(base)->fd, SOL_SOCKET, SO_RCVBUF, receive_bytes);
    }
}
