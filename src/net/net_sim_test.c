/*
 * The server in the simulated world, under a crowd: clients on hosts of their own send frames of
 * all sizes, cut anywhere, in flight together; the server answers at once, later, out of order, or
 * not; bounds of the node are so tight that they are met all the time; clients vanish, links reset.
 *
 * Held for every seed: a client gets its own answers, whole, in the order of its requests; every
 * request is ended once; and when all is over nothing is left: no memory, no request, no
 * connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/rng.h"
#include "net/net.h"
#include "sys/sim.h"
#include "sys/sim_net.h"

enum {
    REACTORS = 3,
    CLIENTS = 8,
    ROUNDS = 4,    /* connections that a client makes one after the other */
    FRAMES = 60,   /* on each */
    HEAD_SIZE = 9, /* what is asked, who, which */
    RUN_MS_MAX = 600 * 1000,
    SEEDS = 100,
};

struct client {
    struct world *world;
    uint32_t number;
    struct sim_host *host;
    struct sys *sys;
    struct sys_loop *loop;
    struct sys_task begin;
    struct sys_timer pause;
    struct sys_socket *socket;
    bool connecting;
    int rounds_left;
    bool done;

    struct buffer out; /* frames made and not yet sent, from out_sent */
    size_t out_sent;
    int frames_made;
    uint32_t sequence; /* of the next frame made */
    uint32_t expected[FRAMES];
    int expected_first;
    int expected_end;
    struct buffer in;
    int give_up_at; /* frames made when it vanishes; FRAMES: never */
};

struct world {
    struct sim_world *sim;
    struct rng rng;
    struct sim_host *host;
    struct sys_loop *loops[REACTORS];
    struct net_server *net;
    struct sys_address address;
    struct sys_task stop;
    bool stopped;
    uint64_t given;
    uint64_t done;
    struct client clients[CLIENTS];
};

/* --- the server --- */

struct later {
    struct sys_timer timer;
    struct net_request *request;
};

static void answer(struct net_request *request) {
    const uint8_t *data = net_request_data(request);
    size_t size = net_request_size(request);
    if (data[0] == 'n') {
        net_answer_nothing(request);
        return;
    }
    struct buffer body = {0};
    buffer_add(&body, data, size);
    net_answer_buffer(request, &body);
}

static void answer_later(struct sys_timer *timer) {
    struct later *later = container_of(timer, struct later, timer);
    struct net_request *request = later->request;
    net_request_set_context(request, NULL);
    free(later);
    answer(request);
}

static void on_request(void *arg, struct net_request *request) {
    struct world *world = arg;
    world->given++;
    assert_true(net_request_size(request) >= HEAD_SIZE);
    if (net_request_data(request)[0] != 'l') {
        answer(request);
        return;
    }
    if (rng_one_in(&world->rng, 2)) {
        net_request_park(request);
    }
    if (rng_one_in(&world->rng, 10)) {
        net_request_hold_others(request);
    }
    struct later *later = calloc(1, sizeof *later);
    later->request = request;
    later->timer.fire = answer_later;
    net_request_set_context(request, later);
    struct sys_loop *loop = net_request_loop(request);
    sys_timer_set(loop, &later->timer, sys_loop_now_ms(loop) + (int64_t)rng_below(&world->rng, 50));
}

static void on_cancel(void *arg, struct net_request *request) {
    struct world *world = arg;
    struct later *later = net_request_context(request);
    if (later != NULL && rng_one_in(&world->rng, 2)) {
        return; /* it goes on, and is answered to nobody */
    }
    if (later != NULL) {
        sys_timer_clear(net_request_loop(request), &later->timer);
        free(later);
    }
    net_answer_nothing(request);
}

static void on_done(void *arg, struct net_request *request) {
    (void)request;
    struct world *world = arg;
    world->done++;
}

/* Nothing here deserves a warning. */
static void no_line(void *arg, enum text_log_level level, const char *line, int size) {
    (void)arg;
    if (level <= TEXT_LOG_WARN) {
        fail_msg("%.*s", size, line);
    }
}

static int64_t no_time(void *arg) {
    (void)arg;
    return 0;
}

static struct text_log no_log = {.sink = no_line, .now_ms = no_time, .level = TEXT_LOG_WARN};

static void start_server(struct world *world) {
    struct sys *sys = sim_host_sys(world->host);
    for (int i = 0; i < REACTORS; i++) {
        assert_int_equal(sys_loop_new(sys, "reactor", &world->loops[i]), ERR_OK);
    }
    struct net_listener_settings listener;
    net_listener_settings_init(&listener);
    listener.name = "PLAINTEXT";
    listener.idle_ms_max = 5000;
    listener.connections_max = (int32_t)rng_below(&world->rng, CLIENTS) + 2;
    struct net_settings settings = {
        .sys = sys,
        .log = &no_log,
        .loops = world->loops,
        .loop_count = REACTORS,
        .listeners = &listener,
        .listener_count = 1,
        .queued_requests_max = (int32_t)rng_below(&world->rng, 6) + 1,
        .request_bytes_max = (int64_t)rng_below(&world->rng, 300000) + 1000,
        .handlers = {.arg = world,
                     .on_request = on_request,
                     .on_request_cancel = on_cancel,
                     .on_request_done = on_done},
    };
    net_limits_init(&settings.limits);
    assert_int_equal(sys_resolve(sys, "10.0.0.1", 9092, &listener.address, 1, &(size_t){0}),
                     ERR_OK);
    world->address = listener.address;
    world->net = net_server_new(&settings);
    assert_int_equal(net_server_listen(world->net, NULL), ERR_OK);
    net_server_start(world->net);
    for (int i = 0; i < REACTORS; i++) {
        assert_int_equal(sys_loop_start(world->loops[i]), ERR_OK);
    }
}

/* --- a client --- */

static void client_begin(struct client *client);

static size_t frame_size(struct rng *rng) {
    switch (rng_below(rng, 10)) {
    case 0:
        return HEAD_SIZE + rng_below(rng, 200000);
    case 1:
    case 2:
        return HEAD_SIZE + 16000 + rng_below(rng, 20000);
    default:
        return HEAD_SIZE + rng_below(rng, 700);
    }
}

static uint8_t byte_at(uint32_t number, uint32_t sequence, size_t index) {
    return (uint8_t)(number * 31 + sequence * 7 + index + index / 251);
}

static void make_frame(struct client *client) {
    struct rng *rng = &client->world->rng;
    static const char asks[] = {'e', 'e', 'l', 'l', 'n'};
    size_t size = frame_size(rng);
    put_be32(buffer_extend(&client->out, 4), (uint32_t)size);
    uint8_t *frame = buffer_extend(&client->out, size);
    frame[0] = (uint8_t)asks[rng_below(rng, sizeof asks)];
    put_be32(frame + 1, client->number);
    put_be32(frame + 5, client->sequence);
    for (size_t i = HEAD_SIZE; i < size; i++) {
        frame[i] = byte_at(client->number, client->sequence, i);
    }
    if (frame[0] != 'n') {
        client->expected[client->expected_end++] = client->sequence;
    }
    client->sequence++;
    client->frames_made++;
}

/* The connection is over, from either side; perhaps there is another round. */
static void client_end(struct client *client) {
    sys_socket_close(client->socket);
    client->socket = NULL;
    buffer_clear(&client->out);
    buffer_clear(&client->in);
    if (client->rounds_left == 0) {
        client->done = true;
        return;
    }
    sys_timer_set(client->loop, &client->pause,
                  sys_loop_now_ms(client->loop) + (int64_t)rng_below(&client->world->rng, 200));
}

static bool client_write(struct client *client) {
    struct rng *rng = &client->world->rng;
    if (client->out_sent == client->out.size) {
        buffer_clear(&client->out);
        client->out_sent = 0;
        if (client->frames_made == FRAMES) {
            return true;
        }
        make_frame(client);
    }
    size_t left = client->out.size - client->out_sent;
    size_t piece = 1 + rng_below(rng, left < 30000 ? left : 30000);
    struct iovec part = {.iov_base = client->out.data + client->out_sent, .iov_len = piece};
    size_t size;
    err_t err = sys_socket_write(client->socket, &part, 1, &size);
    if (err == ERR_OK) {
        client->out_sent += size;
    }
    return err == ERR_OK || err == ERR_WOULD_BLOCK;
}

static void check_answer(struct client *client, const uint8_t *frame, size_t size) {
    assert_true(size >= HEAD_SIZE);
    assert_true(client->expected_first < client->expected_end);
    uint32_t sequence = client->expected[client->expected_first++];
    assert_int_equal(get_be32(frame + 1), client->number);
    assert_int_equal(get_be32(frame + 5), sequence);
    for (size_t i = HEAD_SIZE; i < size; i++) {
        if (frame[i] != byte_at(client->number, sequence, i)) {
            fail_msg("client %u, frame %u: byte %zu is another's", client->number, sequence, i);
        }
    }
}

static bool client_read(struct client *client) {
    size_t piece = 1 + rng_below(&client->world->rng, 40000);
    uint8_t *data = buffer_reserve(&client->in, piece);
    size_t size;
    err_t err = sys_socket_read(client->socket, data, piece, &size);
    if (err == ERR_WOULD_BLOCK) {
        return true;
    }
    if (err != ERR_OK) {
        return false;
    }
    (void)buffer_extend(&client->in, size);
    size_t at = 0;
    while (client->in.size - at >= 4 &&
           client->in.size - at - 4 >= get_be32(client->in.data + at)) {
        size_t answer_size = get_be32(client->in.data + at);
        check_answer(client, client->in.data + at + 4, answer_size);
        at += 4 + answer_size;
    }
    memmove(client->in.data, client->in.data + at, client->in.size - at);
    client->in.size -= at;
    return true;
}

static void client_ready(void *arg, int events) {
    struct client *client = arg;
    bool alive = true;
    if (client->connecting) {
        err_t err = sys_socket_connect_result(client->socket);
        if (err == ERR_WOULD_BLOCK) {
            return;
        }
        client->connecting = false;
        alive = err == ERR_OK;
    }
    if (alive && (events & SYS_SOCKET_READABLE) != 0) {
        alive = client_read(client);
    }
    if (alive && (events & SYS_SOCKET_WRITABLE) != 0) {
        alive = client_write(client);
    }
    bool all_sent = client->frames_made == FRAMES && client->out_sent == client->out.size;
    bool all_read = all_sent && client->expected_first == client->expected_end;
    if (!alive || all_read || client->frames_made >= client->give_up_at) {
        client_end(client);
        return;
    }
    sys_socket_want(client->socket, SYS_SOCKET_READABLE | (all_sent ? 0 : SYS_SOCKET_WRITABLE));
}

static void client_begin(struct client *client) {
    struct rng *rng = &client->world->rng;
    client->rounds_left--;
    client->frames_made = 0;
    client->out_sent = 0;
    client->expected_first = 0;
    client->expected_end = 0;
    client->give_up_at = rng_one_in(rng, 3) ? 1 + (int)rng_below(rng, FRAMES) : FRAMES + 1;
    if (sys_socket_connect(client->sys, &client->world->address, &client->socket) != ERR_OK) {
        client_end(client);
        return;
    }
    client->connecting = true;
    sys_socket_attach(client->socket, client->loop, client_ready, client);
    sys_socket_want(client->socket, SYS_SOCKET_WRITABLE);
}

static void begin_task(struct sys_task *task) {
    client_begin(container_of(task, struct client, begin));
}

static void pause_over(struct sys_timer *timer) {
    client_begin(container_of(timer, struct client, pause));
}

static void start_client(struct world *world, int index) {
    struct client *client = &world->clients[index];
    char name[16], ip[16];
    snprintf(name, sizeof name, "client%d", index);
    snprintf(ip, sizeof ip, "10.0.1.%d", index + 1);
    client->world = world;
    client->number = (uint32_t)index;
    client->rounds_left = ROUNDS;
    client->host = sim_host_new(world->sim, name, ip);
    client->sys = sim_host_sys(client->host);
    assert_int_equal(sys_loop_new(client->sys, name, &client->loop), ERR_OK);
    client->begin.run = begin_task;
    client->pause.fire = pause_over;
    sys_loop_post(client->loop, &client->begin);
    assert_int_equal(sys_loop_start(client->loop), ERR_OK);
}

/* --- a run --- */

static bool all_done(void *arg) {
    const struct world *world = arg;
    for (int i = 0; i < CLIENTS; i++) {
        if (!world->clients[i].done) {
            return false;
        }
    }
    return true;
}

static bool is_stopped(void *arg) {
    return ((const struct world *)arg)->stopped;
}

static void on_stopped(void *arg) {
    ((struct world *)arg)->stopped = true;
}

static void stop_server(struct sys_task *task) {
    struct world *world = container_of(task, struct world, stop);
    net_server_stop(world->net, sys_loop_now_ms(world->loops[0]) + 1000, on_stopped, world);
}

static void finish(struct world *world) {
    world->stop.run = stop_server;
    sys_loop_post(world->loops[0], &world->stop);
    assert_true(sim_world_run_until(world->sim, is_stopped, world, 60 * 1000));
    struct net_stats stats;
    net_server_stats(world->net, &stats);
    assert_int_equal(stats.connections, 0);
    assert_int_equal(stats.requests_queued, 0);
    assert_int_equal(stats.request_bytes, 0);
    assert_int_equal(stats.requests, world->given);
    assert_int_equal(world->done, world->given);
    for (int i = 0; i < REACTORS; i++) {
        sys_loop_stop(world->loops[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        sys_loop_stop(world->clients[i].loop);
    }
    sim_world_run_for(world->sim, 100);
    net_server_free(world->net);
    for (int i = 0; i < REACTORS; i++) {
        sys_loop_free(world->loops[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        sys_loop_free(world->clients[i].loop);
        buffer_done(&world->clients[i].in);
        buffer_done(&world->clients[i].out);
    }
    sim_world_free(world->sim);
}

static uint64_t run_seed(uint64_t seed) {
    struct world *world = calloc(1, sizeof *world);
    world->sim = sim_world_new(seed);
    rng_init(&world->rng, seed);
    world->host = sim_host_new(world->sim, "server", "10.0.0.1");
    struct sim_link link = {
        .delay_min_us = 50, .delay_max_us = 3000, .reset_one_in = seed % 3 == 0 ? 2000 : 0};
    sim_net_set_link(world->sim, NULL, NULL, &link);
    start_server(world);
    for (int i = 0; i < CLIENTS; i++) {
        start_client(world, i);
    }
    if (!sim_world_run_until(world->sim, all_done, world, RUN_MS_MAX)) {
        fail_msg("seed %llu: clients are stuck", (unsigned long long)seed);
    }
    struct net_stats stats;
    net_server_stats(world->net, &stats);
    assert_int_equal(stats.connections_expired, 0); /* nobody was forgotten */
    if (!rng_one_in(&world->rng, 4)) {
        sim_world_run_for(world->sim, 7000); /* half-closed and idle ones go */
    }
    uint64_t given = world->given;
    finish(world);
    free(world);
    return given;
}

static void crowd_is_served(void **state) {
    (void)state;
    const char *only = getenv("SEED");
    if (only != NULL) {
        run_seed(strtoull(only, NULL, 10));
        return;
    }
    uint64_t requests = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        requests += run_seed(seed);
    }
    print_message("%d seeds, %llu requests\n", SEEDS, (unsigned long long)requests);
    assert_true(requests > SEEDS * CLIENTS * FRAMES);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(crowd_is_served)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
