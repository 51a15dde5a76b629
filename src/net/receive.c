/*
 * Reading frames.
 *
 * An idle connection has no buffer. What comes is read into the reactor's scratch block; whole
 * frames are given from there. What is left over (the beginning of a frame, or frames that may not
 * be given yet) moves to a block of the connection's own, and further bytes of that frame are read
 * right into it, exactly up to its end.
 *
 * The size of that block, for a frame of which `have` bytes are here:
 *
 *     min(the frame, max(32 KiB, 2 * have, the largest frame this connection ever finished))
 *
 * so a length is never believed beyond what has been paid for, and a client that sends many large
 * frames has each of them in one piece at once.
 *
 * A request shares the block it was read into if it fills at least half of it; else it is copied.
 * So a request never holds more than twice its size, and large ones are never copied.
 *
 * Charging the node's request memory: a connection's own block and a shared scratch block with
 * their capacity, a copied frame with its size; frames that lie behind their request (small) are
 * bounded by their number. Bytes that are here already are charged even beyond the bound; to read
 * more, something must be left of it:
 *
 *     no block yet           memory left, else starve
 *     own block has room     read (it is charged already)
 *     own block too small    take what it grows by, or have the pass, else starve
 */
#include <assert.h>
#include <string.h>

#include "net/net_int.h"

/* What one connection may still do before the next one's turn. */
struct turn {
    int requests;
    int64_t bytes;
};

enum { LENGTH_SIZE = 4, BLOCK_SIZE_MIN = 256, DISCARD_READS_MAX = 16 };

/* --- the frame at the head of the buffer --- */

static size_t have(const struct net_connection *connection) {
    return connection->end - connection->begin;
}

static int32_t frame_length(const struct net_connection *connection) {
    assert(have(connection) >= LENGTH_SIZE);
    return (int32_t)get_be32(connection->block->data + connection->begin);
}

static bool length_is_bad(const struct net_connection *connection, int32_t length) {
    return length < 0 || length > connection->listener->settings.request_size_max;
}

/* The bytes it takes, with its length; 0 when that is not known yet. A bad length takes no more
 * than itself, so it is looked at at once. */
static size_t frame_size(const struct net_connection *connection) {
    if (have(connection) < LENGTH_SIZE) {
        return 0;
    }
    int32_t length = frame_length(connection);
    return length_is_bad(connection, length) ? LENGTH_SIZE : LENGTH_SIZE + (size_t)length;
}

bool net_receive_frame_ready(const struct net_connection *connection) {
    size_t size = frame_size(connection);
    return size > 0 && have(connection) >= size;
}

/* --- the node's bounds --- */

static bool enter_queue(struct net_connection *connection) {
    struct net_server *server = connection->reactor->server;
    if (net_queue_enter(server)) {
        return true;
    }
    net_reactor_mark_starving(connection->reactor);
    if (net_queue_enter(server)) {
        return true;
    }
    net_connection_starve(connection);
    return false;
}

static bool may_begin(struct net_connection *connection) {
    struct net_server *server = connection->reactor->server;
    if (net_memory_left(server)) {
        return true;
    }
    net_reactor_mark_starving(connection->reactor);
    if (net_memory_left(server)) {
        return true;
    }
    net_connection_starve(connection);
    return false;
}

/* Takes memory for a frame on its way, with the pass if need be. */
static bool take_memory(struct net_connection *connection, int64_t size) {
    struct net_server *server = connection->reactor->server;
    if (connection->has_pass) {
        net_memory_force(server, size);
        return true;
    }
    if (net_memory_take(server, size)) {
        return true;
    }
    net_reactor_mark_starving(connection->reactor);
    if (net_memory_take(server, size)) {
        return true;
    }
    if (net_pass_take(connection)) {
        net_memory_force(server, size);
        return true;
    }
    net_connection_starve(connection);
    return false;
}

/* --- blocks --- */

static struct net_block *scratch_block(struct net_reactor *reactor) {
    if (reactor->scratch != NULL && reactor->scratch->refs > 1) {
        net_block_unref(reactor->scratch); /* requests have it now */
        reactor->scratch = NULL;
    }
    if (reactor->scratch == NULL) {
        reactor->scratch = net_block_new(&reactor->pool, NET_SCRATCH_SIZE);
    }
    return reactor->scratch;
}

static bool in_scratch(const struct net_connection *connection) {
    return connection->block == connection->reactor->scratch;
}

static void drop_block(struct net_connection *connection) {
    if (connection->block != NULL && !in_scratch(connection)) {
        net_block_unref(connection->block);
    }
    net_memory_give(connection->reactor->server, connection->charge);
    connection->charge = 0;
    connection->block = NULL;
    connection->begin = 0;
    connection->end = 0;
}

/* How large the connection's own block should be for what is in the buffer. A block may come out a
 * quarter larger than asked for, which is taken off before. */
static size_t block_size(const struct net_connection *connection) {
    size_t here = have(connection);
    size_t frame = frame_size(connection);
    size_t limit = here * 2;
    limit = limit > NET_SCRATCH_SIZE ? limit : NET_SCRATCH_SIZE;
    limit = limit - limit / 5;
    if (limit < connection->trusted_size + LENGTH_SIZE) {
        limit = connection->trusted_size + LENGTH_SIZE;
    }
    size_t size = frame < limit ? frame : limit;
    size = size > here ? size : here; /* several whole frames may be here */
    return size > BLOCK_SIZE_MIN ? size : BLOCK_SIZE_MIN;
}

/* Puts the buffer's bytes at the start of a new block, which is charged already. */
static void move_to(struct net_connection *connection, struct net_block *block, int64_t charge) {
    size_t here = have(connection);
    memcpy(block->data, connection->block->data + connection->begin, here);
    drop_block(connection);
    connection->block = block;
    connection->charge = charge;
    connection->end = here;
}

/* After frames were given: what is left must not stay in a block that others use. */
static void stow(struct net_connection *connection) {
    if (connection->block == NULL) {
        return;
    }
    if (have(connection) == 0) {
        drop_block(connection);
        return;
    }
    if (in_scratch(connection) || connection->block->refs > 1) {
        struct net_reactor *reactor = connection->reactor;
        struct net_block *block = net_block_new(&reactor->pool, block_size(connection));
        net_memory_force(reactor->server, (int64_t)block->capacity);
        move_to(connection, block, (int64_t)block->capacity);
    }
}

/* Makes room to read into. False: starved. */
static bool make_room(struct net_connection *connection) {
    struct net_reactor *reactor = connection->reactor;
    if (connection->block == NULL) {
        if (!may_begin(connection)) {
            return false;
        }
        connection->block = scratch_block(reactor);
        return true;
    }
    assert(!in_scratch(connection));
    assert(connection->block->refs == 1);
    size_t frame = frame_size(connection);
    size_t end_wanted = connection->begin + (frame > 0 ? frame : LENGTH_SIZE);
    if (connection->end < connection->block->capacity &&
        (connection->begin == 0 || end_wanted <= connection->block->capacity)) {
        return true;
    }
    struct net_block *block = net_block_new(&reactor->pool, block_size(connection));
    if (!take_memory(connection, (int64_t)block->capacity)) {
        net_block_unref(block);
        return false;
    }
    move_to(connection, block, (int64_t)block->capacity);
    return true;
}

/* --- giving --- */

static void refuse(struct net_connection *connection, int32_t length) {
    struct net_reactor *reactor = connection->reactor;
    char text[SYS_ADDRESS_TEXT_MAX];
    sys_address_format(&connection->peer, text);
    text_log_warn(reactor->server->log, "net",
                  "closing the connection from %s on listener %s: a frame of %d bytes is not "
                  "between 0 and socket.request.max.bytes (%d); is it a Kafka client, speaking "
                  "plaintext?",
                  text, connection->listener->name, length,
                  connection->listener->settings.request_size_max);
    net_stat_add(&reactor->frames_refused, 1);
    net_connection_close(connection);
}

static void give_one(struct net_connection *connection, size_t size) {
    struct net_reactor *reactor = connection->reactor;
    struct net_server *server = reactor->server;
    uint8_t *data = connection->block->data + connection->begin + LENGTH_SIZE;
    struct net_request *request = net_request_new(connection, connection->block, data, size);
    connection->begin += LENGTH_SIZE + size;
    if (size > connection->trusted_size) {
        connection->trusted_size = size;
    }
    net_stat_add(&reactor->traffic[connection->listener->index].requests, 1);
    request->times.received_ns = connection->read_ns;
    request->times.dispatched_ns = sys_mono_ns(server->sys);
    server->handlers.on_request(server->handlers.arg, request);
}

static void give_frames(struct net_connection *connection, struct turn *turn) {
    struct net_reactor *reactor = connection->reactor;
    while (net_receive_frame_ready(connection) && net_connection_may_serve(connection)) {
        int32_t length = frame_length(connection);
        if (length_is_bad(connection, length)) {
            refuse(connection, length);
            return;
        }
        net_pass_give(connection);
        if (turn->requests == 0 || reactor->turn_requests == 0) {
            net_reactor_end_turn(reactor);
            return;
        }
        if (!enter_queue(connection)) {
            return;
        }
        turn->requests--;
        reactor->turn_requests--;
        give_one(connection, (size_t)length);
    }
}

/* --- reading --- */

static bool may_read(struct net_connection *connection, const struct turn *turn) {
    struct net_reactor *reactor = connection->reactor;
    if (!net_connection_may_serve(connection) || connection->eof ||
        list_linked(&connection->starved_link) || net_receive_frame_ready(connection)) {
        return false;
    }
    if (turn->bytes <= 0 || reactor->turn_bytes <= 0) {
        net_reactor_end_turn(reactor);
        return false;
    }
    return true;
}

/* How much to read: in a block of its own, the rest of the frame and no more. */
static size_t room(const struct net_connection *connection) {
    size_t left = connection->block->capacity - connection->end;
    size_t frame = frame_size(connection);
    if (frame > 0 && frame - have(connection) < left) {
        left = frame - have(connection);
    }
    assert(left > 0);
    return left;
}

/* Reads once. False: nothing more to read now. */
static bool read_once(struct net_connection *connection, struct turn *turn) {
    struct net_reactor *reactor = connection->reactor;
    size_t wanted = room(connection);
    size_t size;
    err_t err = sys_socket_read(connection->socket, connection->block->data + connection->end,
                                wanted, &size);
    if (err == ERR_WOULD_BLOCK) {
        return false;
    }
    if (err == ERR_CLOSED) {
        connection->eof = true;
        return false;
    }
    if (err != ERR_OK) {
        net_connection_close(connection);
        return false;
    }
    connection->end += size;
    connection->read_ns = sys_mono_ns(reactor->server->sys);
    turn->bytes -= (int64_t)size;
    reactor->turn_bytes -= (int64_t)size;
    net_stat_add(&reactor->traffic[connection->listener->index].bytes_in, (int64_t)size);
    net_connection_touch(connection);
    /* A frame in a block of its own was read to its end, and often nothing follows. */
    return size == wanted && (in_scratch(connection) || !net_receive_frame_ready(connection));
}

/* Requests that come while it drains are dropped, but they are read: closing a socket with unread
 * bytes resets it, and a reset takes the last answers with it. */
void net_receive_discard(struct net_connection *connection) {
    uint8_t *data = scratch_block(connection->reactor)->data;
    for (int i = 0; i < DISCARD_READS_MAX; i++) {
        size_t size;
        err_t err = sys_socket_read(connection->socket, data, NET_SCRATCH_SIZE, &size);
        if (err == ERR_WOULD_BLOCK) {
            return;
        }
        if (err != ERR_OK) {
            connection->eof = true;
            return;
        }
    }
}

void net_receive(struct net_connection *connection, bool readable) {
    if (connection->state == NET_DRAINING) {
        drop_block(connection);
        if (readable) {
            net_receive_discard(connection);
        }
        return;
    }
    struct turn turn = {
        .requests = NET_CONNECTION_TURN_REQUESTS,
        .bytes = NET_CONNECTION_TURN_BYTES,
    };
    give_frames(connection, &turn);
    bool more = readable;
    while (more && may_read(connection, &turn) && make_room(connection)) {
        more = read_once(connection, &turn);
        if (connection->state != NET_CLOSED) {
            give_frames(connection, &turn);
        }
        if (connection->state != NET_CLOSED) {
            stow(connection);
        }
    }
    if (connection->state != NET_CLOSED) {
        stow(connection);
    }
    net_reactor_tend_pool(connection->reactor);
}

void net_receive_done(struct net_connection *connection) {
    net_pass_give(connection);
    drop_block(connection);
}
