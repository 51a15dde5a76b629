/*
 * Requests, from their frame to their answer.
 *
 *   state      means                                      left by
 *   --------   ----------------------------------------   -----------------------------------------
 *   RUNNING    given to the server; counts as queued      net_request_park, an answer
 *   PARKED     waits for something; not queued            an answer
 *   ANSWERED   waits for its turn and the socket          all bytes taken, or the connection's end
 *
 * `cancelled` says that the connection is closed: the answer, when it comes, ends the request.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/net_int.h"

/* --- life --- */

static void take_frame(struct net_request *request, struct net_block *block, uint8_t *data) {
    struct net_connection *connection = request->connection;
    struct net_reactor *reactor = connection->reactor;
    if (request->size <= NET_INLINE_FRAME_MAX) {
        request->data = request->inline_frame;
        memcpy(request->data, data, request->size);
        return;
    }
    if (request->size < block->capacity / 2) {
        request->block = net_block_new(&reactor->pool, request->size);
        request->data = request->block->data;
        memcpy(request->data, data, request->size);
    } else {
        request->block = net_block_ref(block);
        request->data = data;
    }
    if (request->block == block && block != reactor->scratch) {
        request->charge = connection->charge;
        connection->charge = 0;
    } else {
        request->charge = (int64_t)request->block->capacity;
        net_memory_force(reactor->server, request->charge);
    }
    atomic_fetch_add(&reactor->server->memory_given, request->charge);
}

struct net_request *net_request_new(struct net_connection *connection, struct net_block *block,
                                    uint8_t *data, size_t size) {
    size_t inline_size = size <= NET_INLINE_FRAME_MAX ? size : 0;
    struct net_request *request = malloc(sizeof *request + inline_size);
    *request = (struct net_request){.connection = connection, .size = size, .part_next = -1};
    request->parts = request->inline_parts;
    take_frame(request, block, data);
    list_add_last(&connection->requests, &request->link);
    connection->request_count++;
    return request;
}

void net_request_drop_frame(struct net_request *request) {
    struct net_server *server = request->connection->reactor->server;
    atomic_fetch_sub(&server->memory_given, request->charge);
    net_memory_give(server, request->charge);
    request->charge = 0;
    net_block_unref(request->block);
    request->block = NULL;
    request->data = NULL;
}

void net_request_end(struct net_request *request) {
    struct net_connection *connection = request->connection;
    struct net_handlers *handlers = &connection->reactor->server->handlers;
    assert(request->state == NET_ANSWERED);
    net_connection_pin(connection);
    list_remove(&request->link);
    connection->request_count--;
    connection->outgoing_size -= request->memory_size;
    for (int i = 0; i < request->part_count; i++) {
        if (request->parts[i].release != NULL) {
            request->parts[i].release(request->parts[i].arg);
        }
    }
    if (handlers->on_request_done != NULL) {
        handlers->on_request_done(handlers->arg, request);
    }
    net_request_drop_frame(request);
    if (request->parts != request->inline_parts) {
        free(request->parts);
    }
    free(request);
    net_connection_unpin(connection);
}

/* --- what the server asks and says --- */

struct net_connection *net_request_connection(const struct net_request *request) {
    return request->connection;
}

struct sys_loop *net_request_loop(const struct net_request *request) {
    return request->connection->reactor->loop;
}

uint8_t *net_request_data(struct net_request *request) {
    return request->data;
}

size_t net_request_size(const struct net_request *request) {
    return request->size;
}

void net_request_set_context(struct net_request *request, void *context) {
    request->context = context;
}

void *net_request_context(const struct net_request *request) {
    return request->context;
}

bool net_request_cancelled(const struct net_request *request) {
    return request->cancelled;
}

void net_request_park(struct net_request *request) {
    assert(request->state == NET_RUNNING);
    struct net_server *server = request->connection->reactor->server;
    request->state = NET_PARKED;
    request->times.parked_ns = sys_mono_ns(server->sys);
    net_queue_leave(server);
}

void net_request_hold_others(struct net_request *request) {
    struct net_connection *connection = request->connection;
    assert(request->state != NET_ANSWERED);
    assert(connection->holder == NULL || connection->holder == request);
    connection->holder = request;
}

/* --- answers --- */

static void set_parts(struct net_request *request, const struct net_part *parts, int part_count) {
    if (part_count > NET_INLINE_PARTS) {
        request->parts = malloc(sizeof *parts * (size_t)part_count);
    }
    if (part_count > 0) {
        memcpy(request->parts, parts, sizeof *parts * (size_t)part_count);
    }
    request->part_count = part_count;
    size_t size = 0;
    request->memory_size = sizeof request->prefix;
    for (int i = 0; i < part_count; i++) {
        size += parts[i].size;
        request->memory_size += parts[i].file == NULL ? parts[i].size : 0;
    }
    assert(size <= INT32_MAX);
    put_be32(request->prefix, (uint32_t)size);
    request->answer_size = sizeof request->prefix + size;
}

static void answered(struct net_request *request) {
    struct net_connection *connection = request->connection;
    struct net_server *server = connection->reactor->server;
    assert(sys_loop_is_current(connection->reactor->loop));
    if (request->state == NET_RUNNING) {
        net_queue_leave(server);
    }
    request->state = NET_ANSWERED;
    request->times.answered_ns = sys_mono_ns(server->sys);
    if (connection->outgoing_size == 0 && !request->cancelled) {
        net_connection_touch(connection); /* the peer has from now on to take it */
    }
    connection->outgoing_size += request->memory_size;
    if (connection->holder == request) {
        connection->holder = NULL;
    }
    if (request->cancelled) {
        net_request_end(request);
    } else if (!connection->serving) {
        net_connection_make_due(connection);
    }
}

void net_answer(struct net_request *request, const struct net_part *parts, int part_count) {
    assert(request->state != NET_ANSWERED);
    set_parts(request, parts, part_count);
    answered(request);
}

void net_answer_buffer(struct net_request *request, struct buffer *body) {
    size_t size;
    uint8_t *data = buffer_steal(body, &size);
    struct net_part part = {.data = data, .size = size, .release = free, .arg = data};
    net_answer(request, &part, 1);
}

void net_answer_nothing(struct net_request *request) {
    assert(request->state != NET_ANSWERED);
    request->silent = true;
    answered(request);
}

/* --- times --- */

const struct net_times *net_request_times(const struct net_request *request) {
    return &request->times;
}

static int64_t between(int64_t from_ns, int64_t to_ns) {
    return from_ns == 0 || to_ns == 0 || to_ns < from_ns ? 0 : to_ns - from_ns;
}

void net_request_spans(const struct net_request *request, struct net_spans *ret_spans) {
    const struct net_times *t = &request->times;
    int64_t local_end_ns = t->parked_ns != 0 ? t->parked_ns : t->answered_ns;
    *ret_spans = (struct net_spans){
        .request_queue_ns = between(t->received_ns, t->dispatched_ns),
        .local_ns = between(t->dispatched_ns, local_end_ns),
        .remote_ns = between(t->parked_ns, t->answered_ns),
        .response_queue_ns = between(t->answered_ns, t->sending_ns),
        .response_send_ns = between(t->sending_ns, t->sent_ns),
        .total_ns = between(t->received_ns, t->sent_ns != 0 ? t->sent_ns : t->answered_ns),
    };
}

size_t net_request_answer_size(const struct net_request *request) {
    return request->answer_size;
}
