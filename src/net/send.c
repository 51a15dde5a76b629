/*
 * Writing answers, in the order of the requests.
 *
 * The first request of the connection is the only one that may write; when its answer is all out it
 * ends, and the next is first. Memory parts of all answers that are ready go into one write, up to
 * the first file range; a file range goes from the disk's cache to the socket by itself.
 *
 * A file that ends before its range does (it was truncated under us) leaves the stream without its
 * promised bytes; there is no way to say so in the protocol, so the connection is closed.
 */
#include <assert.h>

#include "net/net_int.h"

enum { GATHER_MAX = 64 };

static struct net_request *first_answered(struct net_connection *connection) {
    struct list *link = list_first(&connection->requests);
    if (link == NULL) {
        return NULL;
    }
    struct net_request *request = container_of(link, struct net_request, link);
    return request->state == NET_ANSWERED ? request : NULL;
}

/* The part at an index, -1 being the length in front. */
static struct net_part part_at(const struct net_request *request, int index) {
    if (index < 0) {
        return (struct net_part){.data = request->prefix, .size = sizeof request->prefix};
    }
    return request->parts[index];
}

static bool all_sent(const struct net_request *request) {
    return request->silent || request->part_next == request->part_count;
}

/* Goes on by bytes that were taken, or over empty parts (size 0). */
static size_t advance(struct net_request *request, size_t size) {
    while (!all_sent(request)) {
        size_t left = part_at(request, request->part_next).size - request->part_sent;
        if (size < left) {
            request->part_sent += size;
            return 0;
        }
        size -= left;
        request->part_next++;
        request->part_sent = 0;
    }
    return size;
}

static void end_sent(struct net_connection *connection, struct net_request *request,
                     int64_t now_ns) {
    if (!request->silent) {
        request->times.sent_ns = now_ns;
        struct net_reactor *reactor = connection->reactor;
        net_stat_add(&reactor->traffic[connection->listener->index].answers, 1);
    }
    net_request_end(request);
}

/* Bytes were taken by the socket: ends the requests whose answers are out. */
static void taken(struct net_connection *connection, size_t size) {
    struct net_reactor *reactor = connection->reactor;
    int64_t now_ns = sys_mono_ns(reactor->server->sys);
    net_stat_add(&reactor->traffic[connection->listener->index].bytes_out, (int64_t)size);
    net_connection_touch(connection);
    struct net_request *request;
    while (connection->state != NET_CLOSED && (request = first_answered(connection)) != NULL) {
        size = advance(request, size);
        if (!all_sent(request)) {
            break;
        }
        end_sent(connection, request, now_ns);
    }
}

/* Collects memory parts of this request; false when a file range comes next. */
static bool gather_request(struct net_request *request, struct iovec *parts, int *count,
                           size_t *size) {
    size_t skip = request->part_sent;
    for (int i = request->part_next; !request->silent && i < request->part_count; i++) {
        struct net_part part = part_at(request, i);
        if (part.file != NULL && part.size > 0) {
            return false;
        }
        if (part.size > skip) {
            if (*count == GATHER_MAX) {
                return false;
            }
            parts[(*count)++] = (struct iovec){
                .iov_base = (uint8_t *)(uintptr_t)part.data + skip,
                .iov_len = part.size - skip,
            };
            *size += part.size - skip;
        }
        skip = 0;
    }
    return true;
}

static int gather(struct net_connection *connection, struct iovec parts[GATHER_MAX],
                  size_t *ret_size) {
    int64_t now_ns = sys_mono_ns(connection->reactor->server->sys);
    int count = 0;
    *ret_size = 0;
    struct list *link;
    list_for_each (link, &connection->requests) {
        struct net_request *request = container_of(link, struct net_request, link);
        if (request->state != NET_ANSWERED || *ret_size >= NET_SEND_TURN_BYTES) {
            break;
        }
        if (request->times.sending_ns == 0) {
            request->times.sending_ns = now_ns;
        }
        if (!gather_request(request, parts, &count, ret_size)) {
            break;
        }
    }
    return count;
}

static err_t send_file_part(struct net_connection *connection, const struct net_request *request,
                            size_t budget, size_t *ret_size) {
    struct net_part part = part_at(request, request->part_next);
    size_t left = part.size - request->part_sent;
    size_t size = left < budget ? left : budget;
    err_t err = sys_socket_send_file(connection->socket, part.file,
                                     part.position + request->part_sent, size, ret_size);
    if (err == ERR_OK && *ret_size == 0) {
        char text[SYS_ADDRESS_TEXT_MAX];
        sys_address_format(&connection->peer, text);
        text_log_warn(connection->reactor->server->log, "net",
                      "closing the connection from %s: a file ended before the bytes promised from "
                      "it, probably because its log was truncated; the client will ask again",
                      text);
        return ERR_IO;
    }
    return err;
}

static err_t send_some(struct net_connection *connection, const struct net_request *request,
                       size_t budget, size_t *ret_size) {
    struct net_part part = part_at(request, request->part_next);
    if (part.file != NULL) {
        return send_file_part(connection, request, budget, ret_size);
    }
    struct iovec parts[GATHER_MAX];
    size_t size;
    int count = gather(connection, parts, &size);
    assert(count > 0);
    return sys_socket_write(connection->socket, parts, count, ret_size);
}

bool net_send(struct net_connection *connection) {
    size_t budget = NET_SEND_TURN_BYTES;
    struct net_request *request;
    while (!connection->write_blocked && connection->state != NET_CLOSED &&
           (request = first_answered(connection)) != NULL) {
        (void)advance(request, 0);
        if (all_sent(request)) {
            end_sent(connection, request, request->times.sending_ns);
            continue;
        }
        if (budget == 0) {
            connection->write_blocked = true; /* goes on when others had their turn */
            break;
        }
        size_t size;
        err_t err = send_some(connection, request, budget, &size);
        if (err == ERR_WOULD_BLOCK) {
            connection->write_blocked = true;
        } else if (err != ERR_OK) {
            net_connection_close(connection);
        } else {
            budget -= size < budget ? size : budget;
            taken(connection, size);
        }
    }
    return connection->state != NET_CLOSED;
}
