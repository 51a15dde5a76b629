#include "toy_node.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/list.h"
#include "sys/loop.h"
#include "sys/socket.h"

struct node {
    struct sys *sys;
    struct sys_loop *loop;
    struct sys_task start;
    struct sys_socket *listener;
    struct toy_log *log;
    enum toy_bug bug;
    void (*exited)(void *arg);
    void *arg;
};

struct peer {
    struct node *node;
    struct sys_socket *socket;
    struct buffer in;
    struct buffer out;
    size_t sent;
};

static void add_answer(struct peer *peer, int64_t offset, const uint8_t *value, uint32_t size) {
    uint8_t *head = buffer_extend(&peer->out, 20);
    put_be32(head, 16 + size);
    put_be64(head + 4, (uint64_t)offset);
    put_be64(head + 12, (uint64_t)toy_log_end(peer->node->log));
    if (size > 0) {
        buffer_add(&peer->out, value, size);
    }
}

static void serve_append(struct peer *peer, const uint8_t *body, uint32_t size) {
    struct node *node = peer->node;
    int64_t offset = toy_log_end(node->log);
    if (node->bug == TOY_ACK_BEFORE_WRITE) {
        add_answer(peer, offset, NULL, 0);
        size_t out_size;
        struct iovec part = {.iov_base = peer->out.data + peer->sent,
                             .iov_len = peer->out.size - peer->sent};
        if (sys_socket_write(peer->socket, &part, 1, &out_size) == ERR_OK) {
            peer->sent += out_size;
        }
    }
    err_t err =
        toy_log_append(node->log, get_be32(body), get_be32(body + 4), body + 8, size - 8, &offset);
    if (err != ERR_OK && err != ERR_NO_SPACE) {
        node->exited(node->arg);
        return;
    }
    if (node->bug != TOY_ACK_BEFORE_WRITE) {
        add_answer(peer, err == ERR_OK ? offset : -1, NULL, 0);
    }
}

static void serve_read(struct peer *peer, int64_t offset) {
    struct node *node = peer->node;
    uint8_t value[TOY_VALUE_MAX];
    uint32_t size = 0;
    if (offset < 0 || offset >= toy_log_end(node->log)) {
        add_answer(peer, -1, NULL, 0);
    } else if (toy_log_read(node->log, offset, value, &size) == ERR_OK) {
        add_answer(peer, offset, value, size);
    } else {
        node->exited(node->arg);
    }
}

static void serve(struct peer *peer) {
    size_t used = 0;
    while (peer->in.size - used >= 5) {
        const uint8_t *frame = peer->in.data + used;
        uint32_t size = get_be32(frame);
        assert(size <= TOY_FRAME_MAX);
        if (peer->in.size - used < 4 + (size_t)size) {
            break;
        }
        if (frame[4] == 'P') {
            serve_append(peer, frame + 5, size - 1);
        } else {
            serve_read(peer, (int64_t)get_be64(frame + 5));
        }
        used += 4 + size;
    }
    memmove(peer->in.data, peer->in.data + used, peer->in.size - used);
    peer->in.size -= used;
}

static void drop(struct peer *peer) {
    sys_socket_close(peer->socket);
    buffer_done(&peer->in);
    buffer_done(&peer->out);
    free(peer);
}

static void ready(void *arg, int events) {
    struct peer *peer = arg;
    err_t err = ERR_OK;
    if ((events & SYS_SOCKET_READABLE) != 0) {
        size_t size;
        uint8_t *room = buffer_reserve(&peer->in, TOY_FRAME_MAX);
        err = sys_socket_read(peer->socket, room, TOY_FRAME_MAX, &size);
        if (err == ERR_OK) {
            peer->in.size += size;
            serve(peer);
        }
    }
    if (peer->out.size > peer->sent) {
        size_t size;
        struct iovec part = {.iov_base = peer->out.data + peer->sent,
                             .iov_len = peer->out.size - peer->sent};
        err_t write_err = sys_socket_write(peer->socket, &part, 1, &size);
        peer->sent += write_err == ERR_OK ? size : 0;
        err = write_err == ERR_OK || write_err == ERR_WOULD_BLOCK ? err : write_err;
    }
    if (err != ERR_OK && err != ERR_WOULD_BLOCK) {
        drop(peer);
        return;
    }
    if (peer->sent == peer->out.size) {
        buffer_clear(&peer->out);
        peer->sent = 0;
    }
    sys_socket_want(peer->socket,
                    SYS_SOCKET_READABLE | (peer->out.size > 0 ? SYS_SOCKET_WRITABLE : 0));
}

static void accept_peer(void *arg, int events) {
    (void)events;
    struct node *node = arg;
    struct sys_socket *socket;
    if (sys_socket_accept(node->listener, &socket, NULL) != ERR_OK) {
        return;
    }
    struct peer *peer = calloc(1, sizeof *peer);
    assert(peer != NULL);
    peer->node = node;
    peer->socket = socket;
    sys_socket_attach(socket, node->loop, ready, peer);
    sys_socket_want(socket, SYS_SOCKET_READABLE);
}

static void start(struct sys_task *task) {
    struct node *node = container_of(task, struct node, start);
    struct sys_address any = {.port = TOY_PORT};
    err_t err = toy_log_open(node->sys, node->bug, &node->log);
    if (err == ERR_OK) {
        err = sys_socket_listen(node->sys, &any, 16, &node->listener, NULL);
    }
    if (err != ERR_OK) {
        node->exited(node->arg);
        return;
    }
    sys_socket_attach(node->listener, node->loop, accept_peer, node);
    sys_socket_want(node->listener, SYS_SOCKET_READABLE);
}

void toy_node_start(struct sys *sys, enum toy_bug bug, void (*exited)(void *arg), void *arg) {
    struct node *node = calloc(1, sizeof *node);
    assert(node != NULL);
    *node = (struct node){.sys = sys, .bug = bug, .exited = exited, .arg = arg, .start.run = start};
    err_t err = sys_loop_new(sys, "toy", &node->loop);
    assert(err == ERR_OK);
    err = sys_loop_start(node->loop);
    assert(err == ERR_OK);
    (void)err;
    sys_loop_post(node->loop, &node->start);
}
