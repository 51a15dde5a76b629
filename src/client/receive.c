/* Reading: frames are cut from the stream and given to the calls they answer, in order. The buffer
 * grows with what has arrived, never with a length that was only promised. */
#include <stdlib.h>
#include <string.h>

#include "client/connection_int.h"

enum {
    READ_SIZE = 32 * 1024,
    READ_TURN_MAX = 4 * 1024 * 1024, /* then others have their turn */
};

/* The frame at the head of what was read: true when it is whole. */
static bool next_frame(struct client_connection *connection, struct bytes *ret_frame,
                       size_t *ret_wanted, err_t *ret_err) {
    const uint8_t *data = connection->in.data + connection->in_taken;
    size_t have = connection->in.size - connection->in_taken;
    *ret_err = ERR_OK;
    *ret_wanted = READ_SIZE;
    if (have < 4) {
        return false;
    }
    int32_t length = (int32_t)get_be32(data);
    if (length < 4) {
        *ret_err = ERR_MALFORMED;
        return false;
    }
    if ((size_t)length > connection->response_size_max) {
        *ret_err = ERR_LIMIT;
        return false;
    }
    if (have - 4 < (size_t)length) {
        /* Never more than has arrived already, or a little. */
        size_t rest = (size_t)length - (have - 4);
        size_t trusted = have > READ_SIZE ? have : READ_SIZE;
        *ret_wanted = rest < trusted ? rest : trusted;
        return false;
    }
    *ret_frame = (struct bytes){.data = data + 4, .size = (size_t)length};
    return true;
}

/* Gives all whole frames to their calls. */
static void take_frames(struct client_connection *connection, size_t *ret_wanted) {
    struct bytes frame;
    err_t err = ERR_OK;
    while (connection->state != CLIENT_DEAD && next_frame(connection, &frame, ret_wanted, &err)) {
        struct list *link = list_take_first(&connection->sent);
        if (link == NULL) {
            client_die(connection, ERR_MALFORMED); /* an answer that nobody asked for */
            return;
        }
        connection->in_taken += 4 + frame.size;
        struct client_call *call = container_of(link, struct client_call, link);
        err = client_call_finish(connection, call, frame);
        if (err != ERR_OK) {
            client_die(connection, err);
            return;
        }
    }
    if (connection->state != CLIENT_DEAD && err != ERR_OK) {
        client_die(connection, err);
    }
}

struct bytes client_response_keep(const struct client_response *response, void **ret_memory) {
    struct bytes frame = response->frame;
    struct buffer *in = &response->connection->in;
    if (frame.data + frame.size == in->data + in->size) {
        size_t size;
        *ret_memory = buffer_steal(in, &size);
        response->connection->in_taken = 0;
        return frame;
    }
    uint8_t *copy = malloc(frame.size);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, frame.data, frame.size);
    *ret_memory = copy;
    return (struct bytes){.data = copy, .size = frame.size};
}

/* Bytes that were taken make room for new ones; an idle connection holds nothing. */
static void compact(struct client_connection *connection) {
    if (connection->call_count == 0 && connection->out.size == 0) {
        buffer_done(&connection->out);
    }
    struct buffer *in = &connection->in;
    if (connection->in_taken == in->size) {
        buffer_done(in);
    } else if (connection->in_taken > 0) {
        in->size -= connection->in_taken;
        memmove(in->data, in->data + connection->in_taken, in->size);
    }
    connection->in_taken = 0;
}

void client_read_in(struct client_connection *connection) {
    struct bytes frame;
    size_t wanted;
    err_t ignored; /* take_frames has seen all that is there */
    (void)next_frame(connection, &frame, &wanted, &ignored);
    for (size_t total = 0; connection->state != CLIENT_DEAD && total < READ_TURN_MAX;) {
        uint8_t *data = buffer_reserve(&connection->in, wanted);
        size_t size;
        err_t err = sys_socket_read(connection->socket, data, wanted, &size);
        if (err == ERR_WOULD_BLOCK) {
            break;
        }
        if (err != ERR_OK) {
            client_die(connection, err);
            break;
        }
        (void)buffer_extend(&connection->in, size);
        total += size;
        bool all = size < wanted;
        take_frames(connection, &wanted);
        compact(connection);
        if (all) {
            break;
        }
    }
}
