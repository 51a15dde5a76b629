/*
 * The driver of the toy node (toy_node.h): producers that send each value until it is answered, and
 * readers that follow the log. At the end one reader walks it from the begin.
 *
 *   config  bug=no_sync
 *   client  produce count=3 wait=1ms-20ms size=30-800
 *   client  read count=1
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "run.h"
#include "sys/loop.h"
#include "sys/socket.h"
#include "toy_node.h"

enum { RETRY_MS = 50, ANSWER_MS_MAX = 3000 };

static const char *const bug_names[] = {
    [TOY_NO_BUG] = "none",
    [TOY_ACK_BEFORE_WRITE] = "ack_before_write",
    [TOY_NO_SYNC] = "no_sync",
    [TOY_NO_NAME_SYNC] = "no_name_sync",
    [TOY_NO_ROLL_SYNC] = "no_roll_sync",
    [TOY_NO_CUT] = "no_cut",
    [TOY_NO_DUPLICATES] = "no_duplicates",
    [TOY_SKIP_TO_ZEROS] = "skip_to_zeros",
};

enum role { PRODUCER, READER, WALKER };

struct toy;

struct client {
    struct toy *toy;
    enum role role;
    uint32_t number; /* of a producer, from 1 */
    struct scenario_range wait;
    struct scenario_range size;
    struct audit_producer *producer;
    uint64_t value; /* that waits for its answer; 0: none */
    uint32_t sequence;
    uint32_t value_size;
    int64_t offset; /* a reader's next */
    struct sys_socket *socket;
    struct sys_timer timer; /* next request, or no answer came */
    bool asked;             /* and not answered yet */
    struct buffer out;
    struct buffer in;
    bool over;
};

struct toy {
    struct run *run;
    enum toy_bug bug;
    struct audit_partition *partition;
    struct sim_host *host;
    struct sys *sys;
    struct sys_loop *loop;
    struct client *clients;
    int count;
    bool finishing;
};

static void again_in(struct client *client, int64_t delay_ms) {
    sys_timer_set(client->toy->loop, &client->timer, sys_mono_ms(client->toy->sys) + delay_ms);
}

static void disconnect(struct client *client) {
    sys_socket_close(client->socket);
    client->socket = NULL;
    client->asked = false;
    buffer_clear(&client->in);
    buffer_clear(&client->out);
}

/* --- requests --- */

static bool send_rest(struct client *client) {
    struct iovec part = {.iov_base = client->out.data, .iov_len = client->out.size};
    size_t sent = 0;
    err_t err = sys_socket_write(client->socket, &part, 1, &sent);
    if (err != ERR_OK && err != ERR_WOULD_BLOCK) {
        return false;
    }
    memmove(client->out.data, client->out.data + sent, client->out.size - sent);
    client->out.size -= sent;
    sys_socket_want(client->socket,
                    SYS_SOCKET_READABLE | (client->out.size > 0 ? SYS_SOCKET_WRITABLE : 0));
    return true;
}

static bool ask(struct client *client) {
    uint8_t frame[TOY_FRAME_MAX];
    uint32_t size;
    if (client->role == PRODUCER) {
        if (client->value == 0) {
            client->value = audit_send(client->producer, client->toy->partition);
            client->sequence++;
            client->value_size = (uint32_t)scenario_draw(client->size, &client->toy->run->rng);
        }
        frame[4] = 'P';
        put_be32(frame + 5, client->number);
        put_be32(frame + 9, client->sequence);
        audit_value_fill(client->value, frame + 13, client->value_size);
        size = 9 + client->value_size;
    } else {
        frame[4] = 'R';
        put_be64(frame + 5, (uint64_t)client->offset);
        size = 9;
    }
    put_be32(frame, size);
    buffer_add(&client->out, frame, 4 + size);
    client->asked = true;
    return send_rest(client);
}

/* --- answers --- */

static void take_ack(struct client *client, int64_t offset) {
    struct toy *toy = client->toy;
    if (offset < 0) {
        return; /* the disk is full: again */
    }
    audit_ack(toy->run->audit, client->value, offset, AUDIT_SYNCED);
    client->value = 0;
    client->over = toy->finishing;
}

static void take_record(struct client *client, int64_t offset, int64_t end, const uint8_t *bytes,
                        uint32_t size) {
    struct toy *toy = client->toy;
    if (offset < 0) {
        if (client->role == WALKER && client->offset == end) {
            audit_walk_end(toy->partition, end);
            client->over = true;
        } else if (client->offset > end) {
            audit_fail(toy->run->audit, "a reader at offset %lld finds the end at %lld",
                       (long long)client->offset, (long long)end);
        }
        client->over = client->over || (client->role == READER && toy->finishing);
        return;
    }
    uint64_t value = audit_value_check(bytes, size);
    if (value == 0) {
        audit_fail(toy->run->audit, "the record at offset %lld has wrong bytes", (long long)offset);
    } else if (client->role == WALKER) {
        audit_walk_record(toy->partition, offset, value);
    } else {
        audit_read(toy->partition, offset, value);
    }
    client->offset = offset + 1;
}

static void take_answer(struct client *client, const uint8_t *body, uint32_t size) {
    int64_t offset = (int64_t)get_be64(body);
    int64_t end = (int64_t)get_be64(body + 8);
    client->asked = false;
    if (client->role == PRODUCER) {
        take_ack(client, offset);
    } else {
        take_record(client, offset, end, body + 16, size - 16);
    }
    if (client->over) {
        sys_timer_clear(client->toy->loop, &client->timer);
        disconnect(client);
    } else {
        bool waits = client->role == PRODUCER || offset < 0;
        again_in(client, waits ? scenario_draw(client->wait, &client->toy->run->rng) / 1000 : 0);
    }
}

static void fail(struct client *client) {
    disconnect(client);
    again_in(client, RETRY_MS);
}

static void read_answer(struct client *client) {
    size_t size;
    uint8_t *room = buffer_reserve(&client->in, TOY_FRAME_MAX);
    err_t err = sys_socket_read(client->socket, room, TOY_FRAME_MAX, &size);
    if (err == ERR_OK) {
        client->in.size += size;
        if (client->in.size >= 4 && client->in.size == 4 + get_be32(client->in.data)) {
            client->in.size = 0;
            take_answer(client, client->in.data + 4, get_be32(client->in.data));
        }
    } else if (err != ERR_WOULD_BLOCK) {
        fail(client);
    }
}

static void ready(void *arg, int events) {
    struct client *client = arg;
    if (!client->asked && sys_socket_connect_result(client->socket) != ERR_OK) {
        fail(client);
    } else if (!client->asked && !ask(client)) {
        fail(client);
    } else if (client->out.size > 0 && !send_rest(client)) {
        fail(client);
    } else if ((events & SYS_SOCKET_READABLE) != 0) {
        read_answer(client);
    }
}

static void connect_again(struct client *client) {
    struct toy *toy = client->toy;
    struct sys_address address;
    size_t count;
    err_t err = sys_resolve(toy->sys, "node1", TOY_PORT, &address, 1, &count);
    assert(err == ERR_OK);
    err = sys_socket_connect(toy->sys, &address, &client->socket);
    assert(err == ERR_OK);
    (void)err;
    sys_socket_attach(client->socket, toy->loop, ready, client);
    sys_socket_want(client->socket, SYS_SOCKET_WRITABLE);
}

static void fire(struct sys_timer *timer) {
    struct client *client = container_of(timer, struct client, timer);
    if (client->socket != NULL && client->asked) {
        disconnect(client); /* no answer came */
    }
    if (client->socket == NULL) {
        if (client->role == WALKER) {
            client->offset = 0; /* from the begin, whole */
            audit_walk_begin(client->toy->partition, 0);
        }
        connect_again(client);
    } else if (!ask(client)) {
        disconnect(client);
    }
    again_in(client, ANSWER_MS_MAX);
}

/* --- the driver --- */

static void add_clients(struct toy *toy, struct scenario_line *line) {
    int count = (int)scenario_number(line, "count", "1");
    bool produces = strcmp(line->name, "produce") == 0;
    for (int i = 0; i < count; i++) {
        struct client *client = &toy->clients[toy->count++];
        client->toy = toy;
        client->role = produces ? PRODUCER : READER;
        client->number = (uint32_t)toy->count;
        client->wait = scenario_range(line, "wait", "1ms-20ms");
        client->size = scenario_range(line, "size", "30-800");
        client->timer.fire = fire;
        if (produces) {
            client->producer = audit_producer(toy->run->audit, true, true);
        }
        again_in(client, 0);
    }
}

static void *begin(struct run *run) {
    enum { CLIENTS_MAX = 32 };
    struct toy *toy = calloc(1, sizeof *toy);
    assert(toy != NULL);
    toy->run = run;
    toy->partition = audit_partition(run->audit, "toy", 0);
    toy->clients = calloc(CLIENTS_MAX, sizeof(struct client));
    toy->host = sim_host_new(run->world, "client", "10.0.1.1");
    toy->sys = sim_host_sys(toy->host);
    err_t err = sys_loop_new(toy->sys, "client", &toy->loop);
    assert(err == ERR_OK);
    err = sys_loop_start(toy->loop);
    assert(err == ERR_OK);
    (void)err;
    struct scenario_line *line = NULL;
    while ((line = scenario_next(run->scenario, SCENARIO_CONFIG, NULL, line)) != NULL) {
        const char *bug = scenario_text(line, "bug", "none");
        while (strcmp(bug_names[toy->bug], bug) != 0) {
            toy->bug++;
            assert(toy->bug < sizeof bug_names / sizeof bug_names[0]);
        }
    }
    while ((line = scenario_next(run->scenario, SCENARIO_CLIENT, NULL, line)) != NULL) {
        add_clients(toy, line);
    }
    return toy;
}

static void exited(void *arg) {
    run_node_exited(arg, 0);
}

static void start_node(void *state, int node) {
    struct toy *toy = state;
    struct sim_host *host = toy->run->nodes[node].host;
    toy_node_start(sim_host_sys(host), toy->bug, exited, toy->run);
}

static void stop_node(void *state, int node) {
    struct toy *toy = state;
    run_node_exited(toy->run, node); /* it knows no orderly stop */
}

static void node_gone(void *state, int node) {
    (void)state;
    (void)node;
}

static void finish(void *state) {
    struct toy *toy = state;
    toy->finishing = true;
}

static bool is_finished(void *state) {
    struct toy *toy = state;
    struct client *last = &toy->clients[toy->count - 1];
    for (int i = 0; i < toy->count; i++) {
        if (!toy->clients[i].over) {
            return false;
        }
    }
    if (last->role != WALKER) {
        struct client *walker = &toy->clients[toy->count++];
        *walker = (struct client){.toy = toy, .role = WALKER, .timer.fire = fire};
        again_in(walker, 0);
        return false;
    }
    return true;
}

static void end(void *state) {
    struct toy *toy = state;
    for (int i = 0; i < toy->count; i++) {
        buffer_done(&toy->clients[i].in);
        buffer_done(&toy->clients[i].out);
    }
    free(toy->clients);
    free(toy);
}

const struct driver toy_driver = {
    .name = "toy",
    .begin = begin,
    .start_node = start_node,
    .stop_node = stop_node,
    .node_gone = node_gone,
    .finish = finish,
    .is_finished = is_finished,
    .end = end,
};
